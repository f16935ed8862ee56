// Ends R's lent array on a thread that R does not know.
#include <pthread.h>
#include <stdio.h>
#include "tenure.h"

static void *take_and_release(void *given) {
    tn_array *array = NULL;
    if (tn_take(1, given, &array) || tn_array_release(array)) {
        printf("%s\n", tn_last_error());
    }
    return NULL;
}

void release_on_thread(tn_promise **given) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, take_and_release, given) || pthread_join(thread, NULL)) {
        printf("no thread\n");
    }
}
