/*
 * checked.c - accesses that no guard allows, with the option `check`: each is stopped at its instruction, and told (CK-1 to CK-6).
 *
 * Each defect runs in a fresh process, which is this program again with TENURE_CHECK=1 and the defect's name.
 */
#include "processes.h"
#include <pthread.h>
#include <setjmp.h>

/* ---- the defects ---- */
static double *open_pointer; /* what the program keeps too long */
static volatile double sink;

static tn_array *weights(void)
{
    tn_array *array = zeros(NULL, TN_F64, SHAPE(100));
    OK(tn_array_set_name(array, "weights"));
    return array;
}

static tn_borrow *write_it(tn_array *array)
{
    tn_borrow *guard = NULL;
    void *data = NULL;
    TN_HERE;
    OK(tn_array_borrow_write(array, 0, NULL, &data, NULL, &guard));
    open_pointer = data;
    open_pointer[3] = 1;
    return guard;
}

static void write_after_end(void)
{
    end(write_it(weights()));
    open_pointer[5] = 2;
}

static void read_after_end(void)
{
    end(write_it(weights()));
    sink = open_pointer[5];
}

static void write_through_a_reader(void)
{
    tn_array *array = weights();
    end(write_it(array));
    reading(array);
    sink = open_pointer[5];
    open_pointer[5] = 2;
}

/* CK-3 */
static void read_after_release(void)
{
    tn_array *array = weights();
    end(write_it(array));
    TN_HERE;
    drop(array);
    sink = open_pointer[0];
}

static void write_after_give(void)
{
    tn_array *array = weights();
    end(write_it(array));
    tn_promise *promise = give(array);
    tn_array *taken = take(promise);
    end(writing(taken, 0));
    open_pointer[1] = 3;
}

static void read_of_what_the_taker_released(void)
{
    tn_array *array = weights();
    end(write_it(array));
    drop(take(give(array)));
    sink = open_pointer[1];
}

static void write_far_behind(void)
{
    tn_array *array = weights();
    write_it(array);
    open_pointer[1000] = 3;
}

static void write_just_behind(void)
{
    tn_array *array = weights();
    tn_borrow *guard = write_it(array);
    open_pointer[100] = 3;
    end(guard);
    drop(array);
}

/* In front of an array is memory of others, or none: why an access was refused there is not known. Maps a page there. */
static volatile char *page_before(int protection, int flags, int file)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 100; i++) {
        write_it(weights());
        char *wanted = (char *)open_pointer - page;
        void *mapped = mmap(wanted, page, protection, flags | MAP_FIXED_NOREPLACE, file, 0);
        if (mapped == wanted)
            return wanted;
    }
    CHECK(0);
    return NULL;
}

static void read_of_a_closed_page_before(void)
{
    page_before(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    sink = open_pointer[-1];
}

static void read_of_a_short_file_before(void)
{
    sink = *page_before(PROT_READ, MAP_SHARED, memfd_create("short", MFD_CLOEXEC));
}

/* The pages of an array are no longer there: guards have no part in it. */
static void read_of_what_the_program_unmapped(void)
{
    write_it(weights());
    CHECK(munmap(open_pointer, 800) == 0);
    sink = open_pointer[5];
}

static void read_after_an_export(void)
{
    tn_array *array = weights();
    end(write_it(array));
    tn_borrow *exported = exporting(array, XR);
    sink = open_pointer[2];
    end(exported);
    sink = open_pointer[2];
}

static void write_after_a_shared_view(void)
{
    tn_array *array = weights();
    end(write_it(array));
    tn_borrow *shared = exporting(array, XS);
    open_pointer[2] = 4;
    end(shared);
    open_pointer[2] = 5;
}

static void write_of_the_old_bytes_after_a_copy_on_write(void)
{
    tn_array *array = weights(), *other = clone(array);
    end(write_it(array));
    double *old = open_pointer;
    end(writing(array, TN_WRITE_COW));
    (void)other;
    old[0] = 1;
}

static void *writes(void *unused)
{
    open_pointer[7] = 1;
    return unused;
}

static void write_by_a_thread_that_is_late(void)
{
    end(write_it(weights()));
    pthread_t thread;
    pthread_create(&thread, NULL, writes, NULL);
    pthread_join(thread, NULL);
}

/* CK-3 */
static void read_of_a_freed_block(void)
{
    void *block = NULL;
    OK(tn_pool_allocate(NULL, 5000, 0, NULL, &block));
    memset(block, 1, 5000);
    OK(tn_pool_deallocate(NULL, block, NULL));
    sink = *(volatile char *)block;
}

static void read_of_a_block_that_moved(void)
{
    void *block = NULL, *larger = NULL;
    OK(tn_pool_allocate(NULL, 5000, 0, NULL, &block));
    memset(block, 1, 5000);
    OK(tn_pool_reallocate(NULL, block, 500000, NULL, &larger));
    CHECK(((char *)larger)[4999] == 1);
    sink = *(volatile char *)block;
}

static void leave(int signal)
{
    (void)signal;
    _exit(42);
}

/* A handler that the program had before still runs. */
static void with_a_handler(void)
{
    signal(SIGSEGV, leave);
    write_after_end();
}

/* A fault elsewhere is none of the library's business. */
static void elsewhere(void)
{
    drop(weights());
    sink = *(volatile double *)(uintptr_t)8;
}

/* CK-5: what the program had set before the first array does what the system would make it do. */
static void sent_by_somebody(void)
{
    drop(weights());
    raise(SIGSEGV);
}

static void ignored_and_sent(void)
{
    signal(SIGBUS, SIG_IGN);
    drop(weights());
    raise(SIGBUS);
    raise(SIGBUS);
    _exit(42);
}

static void ignored_and_a_fault(void)
{
    signal(SIGSEGV, SIG_IGN);
    elsewhere();
}

static volatile sig_atomic_t caught;
static sigjmp_buf back;

static void count(int signal)
{
    (void)signal;
    caught++;
}

static void jump(int signal)
{
    count(signal);
    siglongjmp(back, 1);
}

static void handled(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

/* The mask is not saved: the signal comes again only because it is not blocked while the handler runs. */
static void handler_that_is_not_deferred(void)
{
    handled(jump, SA_NODEFER);
    drop(weights());
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(back, 0) == 0)
            sink = *(volatile double *)(uintptr_t)8;
    _exit(caught == 3 ? 42 : 1);
}

/* It returns, so the instruction faults again, and there is no handler any more. */
static void handler_that_runs_once(void)
{
    handled(count, (int)SA_RESETHAND);
    elsewhere();
}

#define FREED    "of the array \"weights\" of 800 bytes at 0x", ", which was released"
#define CLOSED   "of the array \"weights\" of 800 bytes at 0x", ", which no guard or export has open"
#define BEFORE(bytes) #bytes " bytes behind it the array \"weights\" of 800 bytes begins, at 0x"
#define LAST     "its last use was a write guard, begun at "
#define SEGV     (-SIGSEGV)

static const struct {
    const char *name;
    void (*run)(void);
    int ends; /* the exit status, or minus the signal */
    const char *says[4]; /* after a '!': what it must not say */
} defects[] = {
    {"write_after_end", write_after_end, SEGV, {"a write of byte 40", CLOSED, LAST}},
    {"read_after_end", read_after_end, SEGV, {"a read of byte 40", CLOSED, LAST}},
    {"write_through_a_reader", write_through_a_reader, SEGV, {"a write of byte 40", ", which is open for reads only", LAST}},
    {"read_after_release", read_after_release, SEGV, {"a read of byte 0", FREED, "it was released at "}},
    {"write_after_give", write_after_give, SEGV, {"a write of byte 8", CLOSED, LAST}},
    {"read_of_what_the_taker_released", read_of_what_the_taker_released, SEGV, {"a read of byte 8", FREED, LAST}},
    {"write_far_behind", write_far_behind, SEGV, {"a write 7200 bytes behind the array \"weights\" of 800 bytes"}},
    {"read_of_a_closed_page_before", read_of_a_closed_page_before, SEGV, {"a read at 0x", BEFORE(8), "!guard"}},
    {"read_of_a_short_file_before", read_of_a_short_file_before, -SIGBUS, {NULL}},
    {"read_of_what_the_program_unmapped", read_of_what_the_program_unmapped, SEGV, {"a read of byte 40", "its page is missing", "!no guard"}},
    {"write_just_behind", write_just_behind, 0, {"bytes behind the array \"weights\" of 800 bytes", "were written during a write guard"}},
    {"read_after_an_export", read_after_an_export, SEGV, {"a read of byte 16", CLOSED, "its last use was an export"}},
    {"write_after_a_shared_view", write_after_a_shared_view, SEGV, {"a write of byte 16", CLOSED, "its last use was an export"}},
    {"write_of_the_old_bytes_after_a_copy_on_write", write_of_the_old_bytes_after_a_copy_on_write, SEGV, {"a write of byte 0", "which no guard"}},
    {"write_by_a_thread_that_is_late", write_by_a_thread_that_is_late, SEGV, {"a write of byte 56", CLOSED, LAST}},
    {"read_of_a_freed_block", read_of_a_freed_block, SEGV, {"a read of byte 0 of the block", ", which was released"}},
    {"read_of_a_block_that_moved", read_of_a_block_that_moved, SEGV, {"a read of byte 0 of the block", ", which was released"}},
    {"with_a_handler", with_a_handler, 42, {"a write of byte 40", CLOSED, LAST}},
    {"elsewhere", elsewhere, SEGV, {NULL}},
    {"sent_by_somebody", sent_by_somebody, SEGV, {NULL}},
    {"ignored_and_sent", ignored_and_sent, 42, {NULL}},
    {"ignored_and_a_fault", ignored_and_a_fault, SEGV, {NULL}},
    {"handler_that_is_not_deferred", handler_that_is_not_deferred, 42, {NULL}},
    {"handler_that_runs_once", handler_that_runs_once, SEGV, {NULL}},
};
#define DEFECTS (sizeof defects / sizeof *defects)

/* ---- this process ---- */
/* Runs a defect; the text has what it printed. Returns the exit status, or minus the signal. */
static int run(const char *name, const char *setting, char *text, size_t room)
{
    int ends[2], status = 0;
    size_t length = 0;
    ssize_t got;
    pid_t pid = 0;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    setenv("TENURE_CHECK", setting, 1);
    char *argv[] = {program, (char *)(uintptr_t)name, NULL};
    CHECK(posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (length + 1 < room && (got = read(ends[0], text + length, room - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    program = argv[0];
    for (size_t i = 0; argc > 1 && i < DEFECTS; i++)
        if (strcmp(argv[1], defects[i].name) == 0) {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            defects[i].run();
            _exit(check_failures);
        }
    /* Memory checkers have handlers of their own, and report the same. */
    if (is_watched())
        return 0;
    char text[8192];
    for (size_t i = 0; i < DEFECTS; i++) {
        const int ended = run(defects[i].name, "1", text, sizeof text);
        int told = ended == defects[i].ends;
        for (size_t k = 0; k < 4 && defects[i].says[k] != NULL; k++) {
            const int never = defects[i].says[k][0] == '!';
            told = told && (strstr(text, defects[i].says[k] + never) == NULL) == never;
        }
        if (defects[i].says[0] == NULL)
            told = told && strstr(text, "tenure:") == NULL;
        if (!told)
            fprintf(stderr, "%s ended with %d, and printed:\n%s", defects[i].name, ended, text);
        CHECK(told);
    }
    /* CK-6: without the option the accesses go unseen, as in any program. */
    CHECK(run("write_after_end", "0", text, sizeof text) == 0 && text[0] == 0);
    CHECK(run("write_just_behind", "0", text, sizeof text) == 0 && text[0] == 0);
    return finish();
}
