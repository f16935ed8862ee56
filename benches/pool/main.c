/*
 * main.c - the cost of allocation in one allocator; one round per process.
 *
 *     pool forwards|backwards full|quick|tiny NAME LIBRARY CASE..    lines "case <tab> minimum <tab> median"; no case: all
 *     pool replay full|quick|tiny NAME LIBRARY CASE FILE             replays a file of operations as the case replay.CASE
 *     pool one TURNS NAME LIBRARY CASE                               one case of alloc.c alone, for profilers
 *
 * `cargo xtask bench pool` runs the rounds and compares. One-thread cases run on one core. An idle thread is alive, because glibc is faster
 * in processes of one thread. Lines that begin with # are about the process.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include "harness.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static char **asked;
static int asked_count;

bool wanted(const char *name)
{
    for (int i = 0; i < asked_count; i++) {
        if (strncmp(name, asked[i], strlen(asked[i])) == 0) {
            return true;
        }
    }
    return asked_count == 0;
}

/* Whether a case of the group is selected. */
static bool group(const char *name)
{
    for (int i = 0; i < asked_count; i++) {
        size_t length = strcspn(asked[i], ".");
        if (strncmp(name, asked[i], length) == 0) {
            return true;
        }
    }
    return asked_count == 0;
}

static void *idle(void *context)
{
    pause();
    return context;
}

/*
 * Writes to as many bytes as the largest workload has, and gives them back. A virtual machine may have lent its free memory to its host, and gets
 * it back page by page, which takes several times as long as a page fault. No allocator is to be the first that needs it.
 */
static void bring_memory_back(void)
{
    const size_t bytes = (size_t)3 << 29;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return;
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    touch(memory, bytes);
    munmap(memory, bytes);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: pool forwards|backwards full|quick|tiny NAME LIBRARY CASE.., pool replay full|quick|tiny NAME LIBRARY CASE FILE, "
                        "or pool one TURNS NAME LIBRARY CASE\n");
        return 2;
    }
    allocator_open(argv[3], argv[4]);
    allocator_enter();
    asked = argv + 5;
    asked_count = argc - 5;
    pthread_t sleeper;
    pthread_create(&sleeper, NULL, idle, NULL);
    if (strcmp(argv[1], "one") == 0) {
        bool known = asked_count == 1 && alloc_one(asked[0], strtoull(argv[2], NULL, 10));
        fflush(stdout);
        _exit(known ? 0 : 2);
    }
    bool backwards = strcmp(argv[1], "backwards") == 0;
    how_long = strcmp(argv[2], "tiny") == 0 ? TINY : strcmp(argv[2], "quick") == 0 ? QUICK : FULL;
    (void)setpriority(PRIO_PROCESS, 0, -20); /* if permitted: other processes should not share the core */
    printf("# cores\t%d\n", cores());
    if (strcmp(argv[1], "replay") == 0) {
        if (asked_count != 2) {
            fprintf(stderr, "pool: replay takes the name of a case and a file of operations\n");
            return 2;
        }
        replay_case(asked[0], asked[1]);
        fflush(stdout);
        _exit(0);
    }
    if (group("alloc")) {
        alloc_cases(backwards);
    }
    if (group("threads")) {
        thread_cases(backwards);
    }
    if (asked_count > 0 && group("scale")) {
        scale_cases();
    }
    if (how_long != TINY && (group("memory") || group("touch") || group("mixes"))) {
        bring_memory_back();
    }
    if (group("memory")) {
        memory_cases();
    }
    if (group("touch")) {
        touch_cases();
    }
    if (group("mixes")) {
        mix_cases(backwards);
    }
    fflush(stdout);
    _exit(0); /* skips the destructors of thirteen allocators */
}
