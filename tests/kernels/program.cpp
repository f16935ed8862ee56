// Runs the kernels of kernels.cu on the host: KN-3, KN-4, KN-5, KN-6, KN-7 without a device.
//
//     program              all checks
//     program trap NAME    one access that TN_KERNEL_CHECK must stop

#include "kernels.cu"
#include "tenure.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

using tn_kernel::host::block_info;

#define SAME(field) static_assert(offsetof(block_info, field) == offsetof(tn_host_block, field), "as in tenure.h")
static_assert(sizeof(block_info) == sizeof(tn_host_block), "as in tenure.h");
SAME(size);
SAME(grid);
SAME(block);
SAME(index);
SAME(reserved);
SAME(memory);
SAME(memory_bytes);

static int failures;

#define CHECK(condition)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            failures++;                                                                                                                    \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                           \
        }                                                                                                                                  \
    } while (0)

// ---- the layout of views ----

template <typename T, int N> constexpr bool is_laid_out()
{
    using view = tn_view<T, N>;
    constexpr size_t n = N > 0 ? N : 1;
    return sizeof(view) == 8 + 16 * n && alignof(view) == 8 && offsetof(view, data) == 0 && offsetof(view, shape) == 8 &&
           offsetof(view, strides) == 8 + 8 * n && std::is_trivial<view>::value && std::is_standard_layout<view>::value;
}

template <typename T> constexpr bool are_laid_out()
{
    return is_laid_out<T, 0>() && is_laid_out<T, 1>() && is_laid_out<T, 2>() && is_laid_out<T, 3>() && is_laid_out<T, 4>() &&
           is_laid_out<T, 5>() && is_laid_out<T, 6>() && is_laid_out<T, 7>() && is_laid_out<T, 8>();
}

// KN-6
static_assert(are_laid_out<float>() && are_laid_out<const float>() && are_laid_out<bool>() && are_laid_out<complex<double>>());
static_assert(are_laid_out<half>() && are_laid_out<const complex<float>>());
static_assert(std::is_same<decltype(std::declval<tn_view<const float, 2>>()(0, 0)), const float &>::value, "const T is read-only");
static_assert(std::is_same<decltype(std::declval<tn_view<float, 2>>()(0, 0)), float &>::value, "T is writable");

// ---- launches ----

struct size3 {
    unsigned x = 1, y = 1, z = 1;
};

// Runs all blocks of a grid, each with its own dynamic memory, on some threads at once.
template <typename... A>
static void launch(tn_host_kernel kernel, size3 grid, size3 block, size_t memory_bytes, unsigned n_threads, const A &...arguments)
{
    void *args[] = {const_cast<void *>(static_cast<const void *>(&arguments))...};
    unsigned n = grid.x * grid.y * grid.z;
    auto work = [&](unsigned first) {
        void *memory = memory_bytes > 0 ? std::aligned_alloc(128, (memory_bytes + 127) / 128 * 128) : nullptr;
        for (unsigned i = first; i < n; i += n_threads) {
            tn_host_block one = {sizeof(tn_host_block),
                                 {grid.x, grid.y, grid.z},
                                 {block.x, block.y, block.z},
                                 {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y},
                                 0,
                                 memory,
                                 memory_bytes};
            kernel(&one, args);
        }
        std::free(memory);
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < n_threads; i++)
        threads.emplace_back(work, i);
    work(0);
    for (std::thread &thread : threads)
        thread.join();
}

template <typename T> static tn_view<T, 1> line_of(std::vector<T> &values)
{
    return {values.data(), {static_cast<long long>(values.size())}, {sizeof(T)}};
}

// ---- the rows ----

// KN-6: all numbers of axes, negative strides and strides of 0.
static void kn_6_elements()
{
    double number = 5, more = 0;
    launch(add_index_0_host, {}, {}, 0, 1, tn_view<double, 0>{&more, {1}, {8}}, tn_view<const double, 0>{&number, {1}, {8}});
    CHECK(more == 5);

    std::vector<short> from = {1, 2, 3, 4, 5, 6}, to(12, -1);
    tn_view<const short, 1> reversed = {&from[5], {6}, {-2}}, same = {&from[2], {6}, {0}};
    tn_view<short, 1> every_second = {to.data(), {6}, {4}};
    launch(add_index_1_host, {}, {4}, 0, 1, every_second, reversed);
    for (size_t i = 0; i < 6; i++)
        CHECK(to[2 * i] == 6 && to[2 * i + 1] == -1);
    launch(add_index_1_host, {}, {4}, 0, 1, every_second, same);
    for (size_t i = 0; i < 6; i++)
        CHECK(to[2 * i] == static_cast<short>(3 + i) && to[2 * i + 1] == -1);

    // A transposition: (2, 3, 4) from (4, 3, 2).
    std::vector<float> cube(24), turned(24, -1);
    for (size_t i = 0; i < 24; i++)
        cube[i] = 100.0f * static_cast<float>(i);
    launch(add_index_3_host, {}, {5}, 0, 1, tn_view<float, 3>{turned.data(), {2, 3, 4}, {48, 16, 4}},
           tn_view<const float, 3>{cube.data(), {2, 3, 4}, {4, 8, 24}});
    for (size_t i = 0; i < 24; i++)
        CHECK(turned[i] == 100.0f * static_cast<float>(i / 12 + i / 4 % 3 * 2 + i % 4 * 6) + static_cast<float>(i));

    std::vector<long long> many(256), copies(256, -1);
    for (size_t i = 0; i < 256; i++)
        many[i] = static_cast<long long>(1000 * i);
    tn_view<const long long, 8> all = {many.data(), {}, {}};
    tn_view<long long, 8> last = {&copies[255], {}, {}};
    for (int axis = 0; axis < 8; axis++) {
        all.shape[axis] = last.shape[axis] = 2;
        all.strides[axis] = 8ll << (7 - axis);
        last.strides[axis] = -(8ll << (7 - axis));
    }
    CHECK(all.size() == 256);
    launch(add_index_8_host, {}, {32}, 0, 1, last, all);
    for (size_t i = 0; i < 256; i++)
        CHECK(copies[255 - i] == static_cast<long long>(1001 * i));

    tn_view<const float, 3> none = {nullptr, {4, 0, 5}, {0, 20, 4}};
    CHECK(none.size() == 0);
    launch(add_index_3_host, {}, {5}, 0, 1, tn_view<float, 3>{nullptr, {4, 0, 5}, {0, 20, 4}}, none);
}

// KN-3
static void kn_3_two_types_in_one_memory()
{
    for (long long doubles : {256ll, 512ll}) {
        std::vector<double> to(32);
        launch(two_types_host, {}, {32}, static_cast<size_t>(doubles + 256), 1, line_of(to), 0ll, doubles);
        for (size_t i = 0; i < 32; i++)
            CHECK(to[i] == 1000.0 + 1.5 * static_cast<double>((i + 1) % 32));
    }
    for (long long offset : {0ll, 64ll}) {
        std::vector<unsigned> seen(2, 77);
        launch(alias_host, {}, {}, 128, 1, line_of(seen), offset);
        CHECK(seen[0] == 0x3f800000 && seen[1] == 0);
    }
}

// KN-4
static void kn_4_block_arrays_are_distinct()
{
    std::vector<int> to(16 * 64);
    launch(sums_host, {16}, {64}, 0, 3, tn_view<int, 2>{to.data(), {16, 64}, {256, 4}});
    for (int block = 0; block < 16; block++)
        for (int i = 0; i < 64; i++)
            CHECK(to[static_cast<size_t>(64 * block + i)] == (63 * 64 + 64 * block) * 100 + 63 - i);
    std::vector<int> one(64);
    launch(one_sum_host, {}, {64}, 0, 1, line_of(one));
    for (int value : one)
        CHECK(value == 65);
}

// KN-4
static void kn_4_all_element_types()
{
    std::vector<int> to(32, -1);
    launch(all_types_host, {}, {32}, 128 + 32 * 16, 1, line_of(to));
    for (int found : to)
        CHECK(found == 0);
}

static bool holds(const std::vector<int> &values, std::initializer_list<int> expected)
{
    return values == std::vector<int>(expected);
}

// KN-5
static void kn_5_ranges_of_a_block_array()
{
    std::vector<int> to(6);
    for (unsigned threads : {1u, 2u, 32u}) {
        auto write = [&](long long first, long long step, long long length) {
            to.assign(6, -1);
            launch(write_range_host, {}, {threads}, 24, 1, line_of(to), first, step, length);
        };
        write(4, -2, 3);
        CHECK(holds(to, {3, 99, 2, 99, 1, 99}));
        write(1, 2, 3);
        CHECK(holds(to, {99, 1, 99, 2, 99, 3}));
        write(5, -1, 6);
        CHECK(holds(to, {6, 5, 4, 3, 2, 1}));
        write(2, 1, 2);
        CHECK(holds(to, {99, 99, 1, 2, 99, 99}));
    }
    for (long long by : {1ll, 3ll, 15ll}) {
        std::vector<int> values(16);
        for (size_t i = 0; i < 16; i++)
            values[i] = static_cast<int>(i);
        launch(shift_host, {}, {16}, 64, 1, line_of(values), by);
        for (int i = 0; i < 16; i++)
            CHECK(values[static_cast<size_t>(i)] == (i < by ? i : i - static_cast<int>(by)));
    }
}

// ---- threads on the host ----

static void barriers_hold_all_threads()
{
    for (size3 block : {size3{1}, size3{2}, size3{7, 3, 2}, size3{32, 32}, size3{1024}, size3{1, 1, 64}}) {
        size_t n = size_t{block.x} * block.y * block.z;
        std::vector<int> values(9 * n);
        for (size_t i = 0; i < values.size(); i++)
            values[i] = static_cast<int>(i);
        launch(rotate_host, {9}, block, 0, 3, line_of(values), 5);
        for (size_t i = 0; i < values.size(); i++)
            CHECK(values[i] == static_cast<int>(i / n * n + (i % n + 5) % n));
    }
}

static void threads_that_returned_are_not_waited_for()
{
    std::vector<int> counts(65, -1);
    launch(leave_early_host, {}, {65}, 0, 1, line_of(counts));
    // After its last barrier, thread i sees the threads from i on, and those before that have not run since: none. Thread i + 1 and later
    // ones still are there, and thread i itself.
    CHECK(counts[0] == -1);
    for (int i = 1; i < 65; i++)
        CHECK(counts[static_cast<size_t>(i)] == 65 - i);
}

static void words_of_cuda()
{
    const unsigned n = 3 * 2 * 4 * 5 * 6 * 2;
    std::vector<unsigned> to(5 * n, 0);
    launch(where_host, {3, 2, 4}, {5, 6, 2}, 0, 2, tn_view<unsigned, 2>{to.data(), {n, 5}, {20, 4}});
    for (unsigned i = 0; i < n; i++) {
        const unsigned *seen = &to[5 * i];
        CHECK(seen[0] == i / 60 && seen[1] == i % 60 && seen[2] == 324 && seen[3] == 562 && seen[4] == 1);
    }
}

static void arguments_by_value()
{
    int to = 0;
    float e = 10000;
    launch(values_host, {}, {}, 0, 1, &to, 'a', three_bytes{{1, 2, 3}}, short{400}, 5000.9, static_cast<const float *>(&e), 1ll << 20);
    CHECK(to == 'a' + 6 + 400 + 5000 + 10000 + (1 << 20));
}

static void stacks_hold_thread_arrays()
{
    std::vector<int> to(20, -1);
    launch(deep_host, {}, {20}, 0, 1, line_of(to));
    for (int found : to)
        CHECK(found == 0);
}

// A caller's struct that is larger or smaller than the one that the kernels know.
static void other_versions_of_the_block()
{
    unsigned seen[5] = {};
    tn_view<unsigned, 2> to = {seen, {1, 5}, {20, 4}};
    void *args[] = {&to};
    unsigned char larger[sizeof(tn_host_block) + 8];
    std::memset(larger, 0xff, sizeof larger);
    tn_host_block one = {sizeof larger, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, 0, nullptr, 0};
    std::memcpy(larger, &one, sizeof one);
    where_host(reinterpret_cast<tn_host_block *>(larger), args);
    CHECK(seen[2] == 111 && seen[3] == 111 && seen[4] == 1);
    unsigned long long at = 5;
    unsigned long long *to_at = &at;
    void *other_args[] = {&to_at};
    one.memory = larger;
    one.size = offsetof(tn_host_block, memory);
    memory_at_host(&one, other_args);
    CHECK(at == 0);
    one.size = sizeof one;
    memory_at_host(&one, other_args);
    CHECK(at == reinterpret_cast<uintptr_t>(larger));
}

// Its barrier lies in this unit, the kernel in another one.
__device__ int other_unit(int value);
__device__ int other_unit(int value)
{
    return block_sum(value) + value;
}
extern "C" void two_units_host(const tn_host_block *block, void *const *args);

static void units_share_a_block()
{
    std::vector<int> to(10, -1);
    launch(two_units_host, {}, {10}, 0, 1, line_of(to));
    for (int i = 0; i < 10; i++)
        CHECK(to[static_cast<size_t>(i)] == 45 + i);
}

// KN-6: TN_KERNEL_CHECK ends the program at each of these but those that lie inside.
static int trap(const char *name)
{
    int values[100] = {};
    tn_view<int, 2> view = {&values[50], {3, 4}, {16, 4}};
    struct {
        const char *name;
        long long i, j;
    } cases[] = {{"first_below", -1, 0}, {"first_above", 3, 0}, {"last_below", 0, -1}, {"last_above", 0, 4}, {"inside", 2, 3}};
    for (const auto &one : cases)
        if (std::strcmp(name, one.name) == 0)
            launch(write_at_host, {2}, {2}, 0, 1, view, one.i, one.j);
    struct {
        const char *name;
        long long offset;
    } offsets[] = {{"offset_below", -8}, {"offset_above", 136}, {"offset_odd", 12}, {"offset_inside", 120}};
    for (const auto &one : offsets)
        if (std::strcmp(name, one.name) == 0)
            launch(block_at_host, {}, {}, 128, 1, one.offset);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return trap(argv[2]);
    kn_6_elements();
    kn_3_two_types_in_one_memory();
    kn_4_block_arrays_are_distinct();
    kn_4_all_element_types();
    kn_5_ranges_of_a_block_array();
    barriers_hold_all_threads();
    threads_that_returned_are_not_waited_for();
    words_of_cuda();
    arguments_by_value();
    stacks_hold_thread_arrays();
    other_versions_of_the_block();
    units_share_a_block();
    // Once more, with the stacks of the first time.
    barriers_hold_all_threads();
    return failures == 0 ? 0 : 1;
}
