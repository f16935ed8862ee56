/* What the tests share. Each is a program that runs with libtenure_malloc.so preloaded, and ends with status 0 if all is well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            _exit(1);                                                                         \
        }                                                                                     \
    } while (0)

/* Functions that the C library of the build may not declare. */
#define FUNCTION(name) ((void (*)(void))dlsym(RTLD_DEFAULT, name))

/* Without the preload every test would test the C library. */
static inline void check_preloaded(void)
{
    Dl_info info;
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
    CHECK(strstr(info.dli_fname, "libtenure_malloc") != NULL);
}

/* A block is filled with a pattern of its own, so that an overlap or a change is seen. */
static inline void fill(void *block, size_t bytes, unsigned seed)
{
    unsigned char *at = block;
    for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)(seed * 131 + i * 7);
}

static inline int is_filled(const void *block, size_t bytes, unsigned seed)
{
    const unsigned char *at = block;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != (unsigned char)(seed * 131 + i * 7)) return 0;
    return 1;
}

static inline unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* KiB of the process that no file stands behind, in memory or swapped out. From the page tables: the counters in statm are late by some
 * pages for each processor, and say what of the program's own code was used. */
static inline long resident_kib(void)
{
    char line[256];
    long resident = 0, part, found = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Anonymous: %ld", &part) == 1 || sscanf(line, "Swap: %ld", &part) == 1) {
            resident += part;
            found++;
        }
    fclose(file);
    CHECK(found == 2);
    return resident;
}
