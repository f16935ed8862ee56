/*
 * A libtenure.so, whose path is the argument, in a process that preloads this malloc. The two copies of the pools are separate: each
 * refuses the other's blocks, and nothing is damaged.
 */
#include "check.h"
#include "tenure.h"
#include <pthread.h>

#define FIND(name) __typeof__(&name) find_##name = (__typeof__(&name))dlsym(library, #name)

static void *library;

static void *thread_of_its_own(void *unused)
{
    FIND(tn_pool_allocate);
    FIND(tn_pool_deallocate);
    void *block = NULL;
    CHECK(find_tn_pool_allocate(NULL, 1000, 0, NULL, &block) == TN_OK);
    fill(block, 1000, 5);
    char *other = malloc(1000);
    fill(other, 1000, 6);
    CHECK(is_filled(block, 1000, 5) && find_tn_pool_deallocate(NULL, block, NULL) == TN_OK);
    CHECK(is_filled(other, 1000, 6));
    free(other);
    return unused;
}

int main(int argc, char **argv)
{
    check_preloaded();
    CHECK(argc > 1);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    FIND(tn_pool_allocate);
    FIND(tn_pool_deallocate);
    FIND(tn_array_zeros);
    FIND(tn_array_release);
    FIND(tn_leaks);
    void *theirs = NULL;
    CHECK(find_tn_pool_allocate(NULL, 3000, 0, NULL, &theirs) == TN_OK);
    fill(theirs, 3000, 1);
    char *ours = malloc(3000);
    fill(ours, 3000, 2);
    CHECK(find_tn_pool_deallocate(NULL, ours, NULL) == TN_ERR_FOREIGN);
    free(theirs);
    CHECK(malloc_usable_size(theirs) == 0);
    CHECK(is_filled(theirs, 3000, 1) && is_filled(ours, 3000, 2));
    CHECK(find_tn_pool_deallocate(NULL, theirs, NULL) == TN_OK);
    free(ours);
    const int64_t shape[] = {100, 100};
    tn_array *array = NULL;
    CHECK(find_tn_array_zeros(NULL, TN_F64, 2, shape, NULL, &array) == TN_OK);
    CHECK(find_tn_array_release(array) == TN_OK);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, thread_of_its_own, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    size_t left = 1;
    CHECK(find_tn_leaks(sizeof(tn_holder), 0, NULL, &left) == TN_OK && left == 0);
    CHECK(dlclose(library) == 0);
    free(malloc(100));
    return 0;
}
