/*
 * Loads and unloads shared objects with thread-local data while threads allocate. The loader then allocates inside an access to a
 * thread-local; an allocator that uses dynamic thread-locals itself would recurse without end. The first argument is the object, which
 * the program copies.
 */
#include "check.h"
#include <pthread.h>

enum { MODULES = 60 };
static void *modules[MODULES];
static char *(*touch[MODULES])(void);
static pthread_barrier_t barrier;

static void copy(const char *from, const char *to)
{
    char buffer[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    CHECK(in != NULL && out != NULL);
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, in)) > 0;) CHECK(fwrite(buffer, 1, n, out) == n);
    fclose(in);
    CHECK(fclose(out) == 0);
}

static void *use(void *unused)
{
    for (int round = 0; round < 6; round++) {
        /* All are loaded; this thread's table of thread-locals grows at its first access. */
        pthread_barrier_wait(&barrier);
        free(malloc(100));
        for (int i = 0; i < MODULES; i++) {
            char *block = malloc((size_t)i * 100);
            touch[i]()[0]++;
            CHECK(touch[i]()[0] == 1);
            free(block);
        }
        pthread_barrier_wait(&barrier);
        /* All are unloaded; this thread's data of them is freed at its next access. */
        pthread_barrier_wait(&barrier);
        free(malloc(100));
        errno = 0;
        CHECK(malloc(PTRDIFF_MAX) == NULL && errno == ENOMEM);
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

int main(int argc, char **argv)
{
    check_preloaded();
    CHECK(argc > 1);
    alarm(600); /* ends a test that hangs */
    char names[MODULES][32];
    for (int i = 0; i < MODULES; i++) {
        snprintf(names[i], sizeof names[i], "./module-%d.so", i);
        copy(argv[1], names[i]);
    }
    pthread_t threads[2];
    CHECK(pthread_barrier_init(&barrier, NULL, 3) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, use, NULL) == 0);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < MODULES; i++) {
            modules[i] = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
            CHECK(modules[i] != NULL);
            touch[i] = (char *(*)(void))dlsym(modules[i], "touch");
            CHECK(touch[i] != NULL);
        }
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < MODULES; i++) CHECK(dlclose(modules[i]) == 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < MODULES; i++) CHECK(unlink(names[i]) == 0);
    return 0;
}
