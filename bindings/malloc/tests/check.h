/* Helpers of the tests. Each test is a program that runs with libtenure_malloc.so preloaded and ends with status 0 if it passes. */
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

/* Each block has a pattern of its own, which shows overlaps and changes. */
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

/* Anonymous memory of the process in KiB, resident or swapped out. Read from the page tables: the counters in statm lag by some pages per
 * processor, and include the program's code. */
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
