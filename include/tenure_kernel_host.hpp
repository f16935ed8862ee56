/**
 * @file tenure_kernel_host.hpp
 * Kernels on the host: what tenure_kernel.cuh includes for compilers without CUDA. It defines CUDA's words, and runs the threads of a block
 * on one thread of the operating system.
 *
 * The threads of a block run one after the other, on the stack of the OS thread, as long as none of them waits: a kernel without
 * `tn_block_sync` is a loop of calls. A thread that waits keeps its stack, and the next threads run on another one. When each thread waits
 * or has returned, all that wait go on, in the order in which they came.
 *
 * A stack whose thread has returned takes the next thread that has not started. So a barrier needs one stack for each thread of the block
 * but one, and two jumps for each thread. An OS thread keeps its stacks for the next block, and unmaps them when it ends.
 */

#ifndef TENURE_KERNEL_HOST_HPP
#define TENURE_KERNEL_HOST_HPP

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <type_traits>
#include <ucontext.h>
#include <unistd.h>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define TN_KERNEL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TN_KERNEL_ASAN 1
#endif
#endif
#ifdef TN_KERNEL_ASAN
extern "C" void __sanitizer_start_switch_fiber(void **fake_stack, const void *lowest, size_t bytes);
extern "C" void __sanitizer_finish_switch_fiber(void *fake_stack, const void **lowest, size_t *bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void *lowest, size_t bytes);
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define TN_KERNEL_STACK_REGISTER(lowest, end) VALGRIND_STACK_REGISTER(lowest, end)
#define TN_KERNEL_STACK_DEREGISTER(id) VALGRIND_STACK_DEREGISTER(id)
#else
#define TN_KERNEL_STACK_REGISTER(lowest, end) 0u
#define TN_KERNEL_STACK_DEREGISTER(id) static_cast<void>(id)
#endif

/** `longjmp` without the check of _FORTIFY_SOURCE, which knows one stack only. */
extern "C" void tn_kernel_jump(jmp_buf, int) __asm__("_longjmp");

#define TN_KERNEL_FUNCTION inline
#define TN_KERNEL_DEVICE inline
#define TN_KERNEL_SHARED static thread_local

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static thread_local

/**
 * Bytes of a stack on which threads of a block wait. Local variables and arrays of a thread must fit; below each stack lies a page without
 * access.
 */
#ifndef TN_HOST_STACK_BYTES
#define TN_HOST_STACK_BYTES (64 * 1024)
#endif

/** As in tenure.h. */
struct tn_host_block;

/** A position, or a size, in a grid or a block. */
struct tn_index3 {
    unsigned x, y, z;
};

/* As in CUDA. One OS thread runs one block at a time, and one thread of that block at a time. */
inline thread_local tn_index3 threadIdx __attribute__((visibility("hidden")));
inline thread_local tn_index3 blockIdx __attribute__((visibility("hidden")));
inline thread_local tn_index3 blockDim __attribute__((visibility("hidden")));
inline thread_local tn_index3 gridDim __attribute__((visibility("hidden")));

namespace tn_kernel {
namespace host __attribute__((visibility("hidden"))) {

/** The fields of tn_host_block that this file knows. */
struct block_info {
    size_t size;
    unsigned grid[3];
    unsigned block[3];
    unsigned index[3];
    unsigned reserved;
    void *memory;
    size_t memory_bytes;
};

/** A stack, and what it needs to go on. */
struct stack {
    stack *next;
    /** Its lowest byte and its size; nullptr: the stack of the OS thread. */
    void *lowest;
    size_t bytes;
    unsigned valgrind_id;
    bool is_started;
    tn_index3 thread;
    jmp_buf state;
    /** AddressSanitizer's. */
    void *fake_stack;
};

/** Stacks in the order in which they came. */
struct queue {
    stack *first = nullptr, *last = nullptr;

    void push(stack *added)
    {
        added->next = nullptr;
        (first ? last->next : first) = added;
        last = added;
    }

    stack *pop()
    {
        stack *taken = first;
        if (taken)
            first = taken->next;
        return taken;
    }
};

/** Stacks without a thread, of one OS thread. */
struct idle_stacks {
    queue stacks;
    size_t n_made = 0;
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

    ~idle_stacks()
    {
        while (stack *unused = stacks.pop()) {
            TN_KERNEL_STACK_DEREGISTER(unused->valgrind_id);
#ifdef TN_KERNEL_ASAN
            __asan_unpoison_memory_region(unused->lowest, unused->bytes);
#endif
            munmap(static_cast<char *>(unused->lowest) - page, mapped_bytes());
        }
    }

    /** A page without access, the stack, and a page for its record. */
    size_t mapped_bytes() const { return (size_t{TN_HOST_STACK_BYTES} + 3 * page - 1) / page * page; }

    stack *take()
    {
        stack *taken = stacks.pop();
        return taken ? taken : made();
    }

    stack *made()
    {
        char *mapped = static_cast<char *>(
            mmap(nullptr, mapped_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0));
        if (mapped == MAP_FAILED || mprotect(mapped, page, PROT_NONE) != 0) {
            fprintf(stderr, "tenure_kernel.cuh: no memory for the stack of a thread of a block (%zu bytes)\n", mapped_bytes());
            abort();
        }
        // Each stack ends at another place of its last page: else all of them would share few lines of the cache.
        size_t places = (page - sizeof(stack)) / 64, place = n_made++ * 7 % places;
        stack *added = reinterpret_cast<stack *>(mapped + mapped_bytes() - page + 64 * place);
        added->lowest = mapped + page;
        added->bytes = static_cast<size_t>(reinterpret_cast<char *>(added) - mapped) - page;
        added->valgrind_id = TN_KERNEL_STACK_REGISTER(added->lowest, added);
        return added;
    }
};

inline thread_local idle_stacks idle;

/** A block that runs. */
struct block_run {
    void *const *args = nullptr;
    /** Calls the kernel for each thread that has not started. */
    void (*start_threads)(block_run &) = nullptr;
    /** Threads that have started, and the next one. */
    unsigned long long started = 0, count = 0;
    tn_index3 next = {0, 0, 0};
    unsigned char *memory = nullptr;
    size_t memory_bytes = 0;
    stack own = {};
    stack *current = &own;
    /** The stack that was current before. */
    stack *left = nullptr;
    queue ready, waiting;

    /** Makes the next thread that has not started the current one; false: all have started. */
    bool start_next()
    {
        if (started == count)
            return false;
        started++;
        threadIdx = current->thread = next;
        if (++next.x == blockDim.x) {
            next.x = 0;
            if (++next.y == blockDim.y) {
                next.y = 0;
                next.z++;
            }
        }
        return true;
    }

    /** A stack that can go on once all threads have started; nullptr: all have returned. */
    stack *next_ready()
    {
        if (!ready.first) {
            // Each thread waits or has returned, so the barrier is complete.
            ready = waiting;
            waiting = queue();
        }
        return ready.pop();
    }
};

inline thread_local block_run *running = nullptr;

inline void go_to(stack *to);

/** Tells AddressSanitizer that another stack is the current one now. */
inline void has_arrived(void *fake_stack)
{
#ifdef TN_KERNEL_ASAN
    const void *lowest;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fake_stack, &lowest, &bytes);
    running->left->lowest = const_cast<void *>(lowest);
    running->left->bytes = bytes;
#else
    static_cast<void>(fake_stack);
#endif
}

/** The outermost function of each stack but that of the OS thread. */
inline void run_on_stack() noexcept
{
    has_arrived(nullptr);
    for (;;) {
        block_run &run = *running;
        run.start_threads(run);
        idle.stacks.push(run.current);
        stack *next = run.next_ready();
        go_to(next ? next : &run.own);
    }
}

/** Leaves the current stack for one without a frame. This function never returns, so it must not mark its frame for AddressSanitizer. */
__attribute__((no_sanitize_address)) inline void begin(stack *on)
{
    on->is_started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = on->lowest;
    context.uc_stack.ss_size = on->bytes;
    context.uc_link = nullptr;
    makecontext(&context, run_on_stack, 0);
    setcontext(&context);
    abort();
}

/** Goes on where another stack stopped. Returns when a stack goes on with this one. Compilers inline no caller of setjmp. */
inline void go_to(stack *to)
{
    stack *from = running->current;
    if (to == from)
        return;
    running->left = from;
    running->current = to;
#ifdef TN_KERNEL_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->lowest, to->bytes);
#endif
    if (_setjmp(from->state) == 0) {
        if (to->is_started)
            tn_kernel_jump(to->state, 1);
        begin(to);
    }
    stack *current = running->current;
    has_arrived(current->fake_stack);
    threadIdx = current->thread;
}

/** Waits until each other thread of the block waits or has returned. */
inline void sync()
{
    block_run &run = *running;
    run.waiting.push(run.current);
    go_to(run.started < run.count ? idle.take() : run.next_ready());
}

template <auto kernel, typename... P, size_t... i>
void start_threads(block_run &run, void (*)(P...), std::index_sequence<i...>)
{
    while (run.start_next())
        kernel(*static_cast<P *>(run.args[i])...);
}

template <auto kernel, typename... P>
void run_block(const block_info &info, void *const *args, void (*)(P...)) noexcept
{
    static_assert((std::is_trivially_copyable_v<P> && ...), "arguments of kernels are plain data");
    gridDim = {info.grid[0], info.grid[1], info.grid[2]};
    blockDim = {info.block[0], info.block[1], info.block[2]};
    blockIdx = {info.index[0], info.index[1], info.index[2]};
    block_run run;
    run.args = args;
    run.start_threads = [](block_run &self) { start_threads<kernel>(self, kernel, std::index_sequence_for<P...>()); };
    run.count = 1ull * blockDim.x * blockDim.y * blockDim.z;
    run.memory = static_cast<unsigned char *>(info.memory);
    run.memory_bytes = info.memory_bytes;
    run.own.is_started = true;
    running = &run;
    run.start_threads(run);
    // This stack is the current one again when all threads have returned.
    if (stack *next = run.next_ready())
        go_to(next);
    running = nullptr;
}

/** Runs all threads of a block. Fields that the caller's struct lacks are zero. */
template <auto kernel>
void run_block(const tn_host_block *block, void *const *args)
{
    block_info info = {};
    memcpy(&info.size, block, sizeof info.size);
    memcpy(&info, block, info.size < sizeof info ? info.size : sizeof info);
    run_block<kernel>(info, args, kernel);
}

} // namespace host

/** Ends the program: an index or an offset is wrong. */
[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fail(const char *what, ...)
{
    va_list values;
    va_start(values, what);
    fprintf(stderr, "tenure_kernel.cuh: ");
    vfprintf(stderr, what, values);
    va_end(values);
    fprintf(stderr, ", in thread (%u, %u, %u) of block (%u, %u, %u)\n", threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y,
            blockIdx.z);
    abort();
}

/** The start of the dynamic block memory. */
inline unsigned char *memory()
{
    return host::running->memory;
}

/** The number of bytes of dynamic block memory. */
inline long long memory_bytes()
{
    return static_cast<long long>(host::running->memory_bytes);
}

} // namespace tn_kernel

inline void __syncthreads()
{
    tn_kernel::host::sync();
}

/**
 * Defines the C function `kernel_host`, a tn_host_kernel: it runs all threads of one block of the kernel on the calling thread. Blocks may
 * run on several threads at once. Each argument is aligned as its type demands. Stands where the kernel is defined, followed by a semicolon.
 *
 * A kernel that calls `tn_block_sync` needs a stack of TN_HOST_STACK_BYTES for each thread of a block that waits, but the first one.
 */
#define TN_HOST_KERNEL(kernel)                                                                                                             \
    extern "C" __attribute__((visibility("default"))) void kernel##_host(const tn_host_block *block, void *const *args);                   \
    extern "C" void kernel##_host(const tn_host_block *block, void *const *args)                                                           \
    {                                                                                                                                      \
        tn_kernel::host::run_block<&kernel>(block, args);                                                                                  \
    }                                                                                                                                      \
    static_assert(true, "a semicolon follows")

#endif
