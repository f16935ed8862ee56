/* A stand-in for OpenBLAS: the two functions with the names, integers and words of a build, which the macros give. It tells what it was
 * called with. A large product is only marked, by 42 in each element. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef INTEGER
#define INTEGER int32_t
#endif
#ifndef CONFIG
#define CONFIG "OpenBLAS 0.3.30 NO_AFFINITY Haswell MAX_THREADS=64"
#endif
#ifndef PARALLEL
#define PARALLEL 1
#endif
#define JOIN(a, b, c) a##b##c
#define NAME(a, b, c) JOIN(a, b, c)
#ifndef PREFIX
#define PREFIX
#endif
#ifndef SUFFIX
#define SUFFIX
#endif

static char calls[4096];

/* The calls so far, one on each line. */
const char *test_calls(void) { return calls; }

const char *NAME(PREFIX, openblas_get_config, SUFFIX)(void);
const char *NAME(PREFIX, openblas_get_config, SUFFIX)(void) { return CONFIG; }

int NAME(PREFIX, openblas_get_parallel, SUFFIX)(void);
int NAME(PREFIX, openblas_get_parallel, SUFFIX)(void) { return PARALLEL; }

#define PRODUCT(name, type)                                                                                                      \
    void NAME(PREFIX, name, SUFFIX)(int layout, int how_a, int how_b, INTEGER m, INTEGER n, INTEGER k, type alpha, const type *a, \
                                    INTEGER lda, const type *b, INTEGER ldb, type beta, type *c, INTEGER ldc);                   \
    void NAME(PREFIX, name, SUFFIX)(int layout, int how_a, int how_b, INTEGER m, INTEGER n, INTEGER k, type alpha, const type *a, \
                                    INTEGER lda, const type *b, INTEGER ldb, type beta, type *c, INTEGER ldc)                    \
    {                                                                                                                            \
        size_t used = strlen(calls);                                                                                             \
        snprintf(calls + used, sizeof calls - used, "%s %d %d %d %lld %lld %lld %g %lld %lld %g %lld\n", #name, layout, how_a,   \
                 how_b, (long long)m, (long long)n, (long long)k, (double)alpha, (long long)lda, (long long)ldb, (double)beta,   \
                 (long long)ldc);                                                                                                \
        int rows = layout == 101;                                                                                                \
        int marks = (double)m * n * k > 1e8;                                                                                     \
        for (INTEGER i = 0; i < m; i++)                                                                                          \
            for (INTEGER j = 0; j < n; j++) {                                                                                    \
                type sum = 0;                                                                                                    \
                for (INTEGER l = 0; !marks && l < k; l++) {                                                                      \
                    type x = (how_a == 111) == rows ? a[i * lda + l] : a[i + l * lda];                                           \
                    type y = (how_b == 111) == rows ? b[l * ldb + j] : b[l + j * ldb];                                           \
                    sum += x * y;                                                                                                \
                }                                                                                                                \
                c[rows ? i * ldc + j : i + j * ldc] = marks ? 42 : alpha * sum;                                                  \
            }                                                                                                                    \
    }

PRODUCT(cblas_dgemm, double)
PRODUCT(cblas_sgemm, float)
