/*
 * Invalid frees. Each kind is refused and damages nothing: live blocks keep their bytes, and no block is allocated twice.
 * The program runs itself again to compare the output in each mode of TENURE_MALLOC_MISUSE.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { LIVE = 200 };
static char *live[LIVE];

static size_t size_of(int i) { return (size_t)(i % 20) * (size_t)(i % 20) * 400 + 24; }

static void begin(void)
{
    for (int i = 0; i < LIVE; i++) {
        live[i] = malloc(size_of(i));
        CHECK(live[i] != NULL);
        fill(live[i], size_of(i), (unsigned)i);
    }
}

/* New blocks overlap neither each other nor live blocks. */
static void check_undamaged(void)
{
    static char *fresh[LIVE];
    for (int i = 0; i < LIVE; i++) {
        fresh[i] = malloc(size_of(i));
        CHECK(fresh[i] != NULL);
        fill(fresh[i], size_of(i), (unsigned)i + 1000);
    }
    for (int i = 0; i < LIVE; i++) {
        CHECK(is_filled(live[i], size_of(i), (unsigned)i));
        CHECK(is_filled(fresh[i], size_of(i), (unsigned)i + 1000));
        free(fresh[i]);
    }
}

static void *free_it(void *block)
{
    free(block);
    return NULL;
}

static pthread_barrier_t barrier;

static void *free_together(void *block)
{
    pthread_barrier_wait(&barrier);
    free(block);
    return NULL;
}

static void invalid_frees(void)
{
    static char none[64] __attribute__((aligned(64)));
    char local[64] __attribute__((aligned(64)));
    const size_t sizes[] = {1, 100, 5000, 60000, 200000, 20000000};
    pthread_t thread, other;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = malloc(sizes[i]);
        /* A pointer into a live block. */
        fill(block, sizes[i], 7);
        free(block + sizes[i] / 2 + 1);
        free(block + 16);
        CHECK(is_filled(block, sizes[i], 7));
        check_undamaged();
        /* Freed twice, by this thread and by another one. */
        free(block);
        free(block);
        check_undamaged();
        block = malloc(sizes[i]);
        CHECK(pthread_create(&thread, NULL, free_it, block) == 0 && pthread_join(thread, NULL) == 0);
        free(block);
        CHECK(pthread_create(&thread, NULL, free_it, block) == 0 && pthread_join(thread, NULL) == 0);
        check_undamaged();
        /* Resized after it was freed. */
        errno = 0;
        CHECK(realloc(block, sizes[i] + 1) == NULL && errno == EINVAL);
        check_undamaged();
        CHECK(malloc_usable_size(block) == 0);
    }
    /* A pointer that was never allocated. */
    free(none);
    free(local);
    free((void *)(uintptr_t)16);
    free((void *)(uintptr_t)0x123456789ab0);
    free((void *)UINTPTR_MAX);
    errno = 0;
    CHECK(realloc(none, 100) == NULL && errno == EINVAL);
    check_undamaged();
    /* Two threads free one block at the same time: one of the two frees is valid. */
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    for (int round = 0; round < 100; round++) {
        char *block = malloc((size_t)round * 50 + 1);
        CHECK(pthread_create(&thread, NULL, free_together, block) == 0);
        CHECK(pthread_create(&other, NULL, free_together, block) == 0);
        CHECK(pthread_join(thread, NULL) == 0 && pthread_join(other, NULL) == 0);
    }
    check_undamaged();
}

/* A write after a free, then enough frees that the quarantined block is checked. */
static void write_after_free(void)
{
    char *volatile block = malloc(4000);
    free(block);
    block[3] = 1;
    for (int i = 0; i < 100000; i++) free(malloc(4000));
}

/* Runs this program again with an argument; returns its output and its status. */
static char *printed(char *program, const char *argument, const char *mode, int *status)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], 2);
        setenv("TENURE_MALLOC_MISUSE", mode, 1);
        execl(program, program, argument, (char *)NULL);
        _exit(99);
    }
    close(ends[1]);
    char *text = calloc(1, 10000);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, 9999 - length)) > 0;) length += (size_t)n;
    close(ends[0]);
    CHECK(waitpid(child, status, 0) == child);
    return text;
}

static int lines(const char *text)
{
    int count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

int main(int argc, char **argv)
{
    check_preloaded();
    if (argc > 1) {
        if (strcmp(argv[1], "written") == 0) {
            write_after_free();
            return 0;
        }
        begin();
        invalid_frees();
        return 0;
    }
    int status = 0;
    char *text = printed(argv[0], "again", "report", &status);
    CHECK(status == 0 && lines(text) == 1 && strstr(text, "tenure_malloc: ") == text);
    CHECK(strstr(text, ": free: ") != NULL && strstr(text, " is inside ") != NULL);
    free(text);
    text = printed(argv[0], "again", "ignore", &status);
    CHECK(status == 0 && lines(text) == 0);
    free(text);
    text = printed(argv[0], "again", "abort", &status);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && lines(text) == 1 && strstr(text, ": free: ") != NULL);
    free(text);
    text = printed(argv[0], "again", "sometimes", &status);
    CHECK(status == 0 && lines(text) == 2 && strstr(text, "TENURE_MALLOC_MISUSE must be report, abort or ignore, not \"sometimes\""));
    free(text);
    const char *found = "was written to after it was freed";
    const char *strict = getenv("TENURE_MALLOC_STRICT");
    const int sees = strict != NULL && strcmp(strict, "1") == 0;
    text = printed(argv[0], "written", "report", &status);
    CHECK(status == 0 && lines(text) == sees && (strstr(text, found) != NULL) == sees);
    free(text);
    text = printed(argv[0], "written", "abort", &status);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) == sees && (strstr(text, found) != NULL) == sees);
    free(text);
    return 0;
}
