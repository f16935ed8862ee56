/*
 * Forks of a process whose threads allocate all the time (PO-58). The child allocates, frees the parent's blocks, starts threads and forks
 * again; the parent is unaffected. Fork handlers allocate too.
 */
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

enum { BLOCKS = 300 };
static char *blocks[BLOCKS];
static int stop;
extern char **environ;

static size_t size_of(int i) { return (size_t)(i % 17) * (size_t)(i % 17) * 500 + 1; }

static void *allocate(void *number)
{
    unsigned state = (unsigned)(uintptr_t)number;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t bytes = next_random(&state) % 3000 + (next_random(&state) % 100 == 0 ? 300000 : 0);
        char *block = malloc(bytes + 1);
        CHECK(block != NULL);
        fill(block, bytes, state);
        block = realloc(block, bytes * 2 + 1);
        CHECK(is_filled(block, bytes, state));
        free(block);
    }
    return NULL;
}

static void around(void)
{
    char *block = malloc(200);
    CHECK(block != NULL);
    free(block);
}

static void *in_child(void *block)
{
    free(block);
    return malloc(70000);
}

static void use_all(int depth)
{
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(is_filled(blocks[i], size_of(i), (unsigned)i));
        free(blocks[i]);
        blocks[i] = calloc(size_of(i), 1);
        CHECK(blocks[i] != NULL && blocks[i][size_of(i) - 1] == 0);
        fill(blocks[i], size_of(i), (unsigned)i);
    }
    pthread_t thread;
    void *made = NULL;
    CHECK(pthread_create(&thread, NULL, in_child, malloc(50)) == 0 && pthread_join(thread, &made) == 0);
    free(made);
    malloc_trim(0);
    if (depth > 0) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            use_all(depth - 1);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

int main(int argc, char **argv)
{
    check_preloaded();
    if (argc > 1 && strcmp(argv[1], "spawned") == 0) return 0;
    CHECK(pthread_atfork(around, around, around) == 0);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(size_of(i));
        fill(blocks[i], size_of(i), (unsigned)i);
    }
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, allocate, (void *)i) == 0);
    int rounds = argc > 1 ? 100 : 15;
    for (int round = 0; round < rounds; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(600); /* ends a child that hangs */
            use_all(1);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        if (round % 10 == 0) {
            char *arguments[] = {argv[0], "spawned", NULL};
            CHECK(posix_spawn(&child, argv[0], NULL, NULL, arguments, environ) == 0);
            CHECK(waitpid(child, &status, 0) == child && status == 0);
        }
    }
    for (int i = 0; i < BLOCKS; i++) CHECK(is_filled(blocks[i], size_of(i), (unsigned)i));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
