/* Runs with TENURE_MALLOC_LIMIT=32MiB: requests fail at the limit and succeed again after frees, in one thread and in several. */
#include "check.h"
#include <pthread.h>

static void *fill_up(void *unused)
{
    enum { MOST = 4096 };
    static __thread void *blocks[MOST];
    int count = 0;
    while (count < MOST && (blocks[count] = malloc(64 << 10)) != NULL) memset(blocks[count++], 1, 64 << 10);
    /* The last request failed and changed nothing. */
    CHECK(count <= 32 * 16 && errno == ENOMEM);
    while (count > 0) free(blocks[--count]);
    return unused;
}

int main(void)
{
    check_preloaded();
    errno = 0;
    CHECK(malloc(33 << 20) == NULL && errno == ENOMEM);
    for (int round = 0; round < 3; round++) fill_up(NULL);
    char *most = malloc(28 << 20);
    CHECK(most != NULL);
    memset(most, 1, 28 << 20);
    free(most);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, fill_up, NULL) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(mallinfo2().arena <= 32 << 20);
    free(malloc(20 << 20));
    return 0;
}
