/* Threads: blocks that pass from one to another, and frees while a thread ends and after its end. */
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { THREADS = 6, STEPS = 20000, SLOTS = 256 };

/* Threads exchange blocks through slots: one thread allocates a block, another checks and frees it (PO-55). */
struct block { size_t bytes; unsigned seed; char data[]; };
static struct block *slots[SLOTS];

static struct block *make(unsigned *state)
{
    size_t bytes = next_random(state) % (1u << (next_random(state) % 12 + 1));
    if (next_random(state) % 500 == 0) bytes = 200000;
    struct block *block = malloc(sizeof *block + bytes);
    CHECK(block != NULL);
    block->bytes = bytes;
    block->seed = *state;
    fill(block->data, bytes, block->seed);
    return block;
}

static void end(struct block *block)
{
    if (block == NULL) return;
    CHECK(is_filled(block->data, block->bytes, block->seed));
    free(block);
}

static void *exchange(void *number)
{
    unsigned state = (unsigned)(uintptr_t)number * 977 + 5;
    for (int step = 0; step < STEPS; step++) {
        struct block *mine = make(&state);
        if (next_random(&state) % 8 == 0) {
            mine = realloc(mine, sizeof *mine + mine->bytes * 2);
            CHECK(mine != NULL);
        }
        end(__atomic_exchange_n(&slots[next_random(&state) % SLOTS], mine, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void handover(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, exchange, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < SLOTS; i++) {
        end(slots[i]);
        slots[i] = NULL;
    }
}

/* A long-running producer and consumer need bounded memory (PO-55). */
enum { PASSED = 300000, RING = 64 };

static void *consume(void *unused)
{
    for (int i = 0; i < PASSED; i++) {
        struct block *block;
        while ((block = __atomic_exchange_n(&slots[i % RING], NULL, __ATOMIC_ACQ_REL)) == NULL) sched_yield();
        end(block);
    }
    return unused;
}

static void production(void)
{
    pthread_t consumer;
    unsigned state = 9;
    long before = 0;
    CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0);
    for (int i = 0; i < PASSED; i++) {
        while (__atomic_load_n(&slots[i % RING], __ATOMIC_ACQUIRE) != NULL) sched_yield();
        __atomic_store_n(&slots[i % RING], make(&state), __ATOMIC_RELEASE);
        if (i == PASSED / 4) before = resident_kib();
    }
    CHECK(pthread_join(consumer, NULL) == 0);
    CHECK(resident_kib() < before + 4000);
}

/* The destructors of a thread's keys free, allocate and set their key again, up to the C library's last round. By then the allocator has
 * closed the thread's heap (PO-57). */
static pthread_key_t keys[3];

static void at_end(void *value)
{
    char *block = value;
    CHECK(is_filled(block, 40, 3));
    free(block);
    block = malloc(40);
    CHECK(block != NULL);
    fill(block, 40, 3);
    for (int i = 0; i < 3; i++)
        if (pthread_getspecific(keys[i]) == NULL) {
            CHECK(pthread_setspecific(keys[i], block) == 0);
            return;
        }
    free(block);
}

static void *short_life(void *from_parent)
{
    free(from_parent);
    for (int i = 0; i < 3; i++) {
        char *block = malloc(40);
        fill(block, 40, 3);
        CHECK(pthread_setspecific(keys[i], block) == 0);
    }
    char *kept = malloc(1000);
    fill(kept, 1000, 11);
    return kept;
}

/* Thousands of short threads leave no memory behind (PO-56). Their live blocks stay, and any thread may free them. */
static void short_lives(int count)
{
    long before = 0;
    for (int round = 0; round < count; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, short_life, malloc(300)) == 0);
        for (int i = 0; i < 4; i++) {
            void *kept = NULL;
            CHECK(pthread_join(threads[i], &kept) == 0);
            CHECK(is_filled(kept, 1000, 11));
            free(kept);
        }
        if (round == count / 10) before = resident_kib();
    }
    long after = resident_kib();
    /* After the C library's last round of destructors each thread leaves three blocks of 48 bytes, which any allocator loses. A record
     * of the thread, some KiB, would be tens of MiB. */
    long lost = 4L * count * 3 * 48 / 1024;
    if (after > before + lost + 2000) fprintf(stderr, "%ld KiB grew to %ld, of which %ld are lost blocks\n", before, after, lost);
    CHECK(after <= before + lost + 2000);
}

/* A thread with the smallest possible stack. */
static void *on_little_stack(void *block)
{
    free(block);
    free(malloc(100));
    free(malloc(1000000));
    errno = 0;
    if (malloc(PTRDIFF_MAX) != NULL || errno != ENOMEM) return NULL;
    return realloc(malloc(50), 3000);
}

static void little_stacks(void)
{
    pthread_attr_t little;
    CHECK(pthread_attr_init(&little) == 0 && pthread_attr_setstacksize(&little, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        void *made = NULL;
        CHECK(pthread_create(&thread, &little, on_little_stack, malloc(10)) == 0 && pthread_join(thread, &made) == 0);
        CHECK(made != NULL);
        free(made);
    }
}

static char *until_exit;
static void at_exit(void)
{
    CHECK(is_filled(until_exit, 5000, 12));
    free(until_exit);
    until_exit = malloc(100);
    CHECK(until_exit != NULL);
    free(until_exit);
}

static void *allocate_endlessly(void *unused)
{
    unsigned state = 1;
    for (;;) end(make(&state));
    return unused;
}

int main(int argc, char **argv)
{
    check_preloaded();
    (void)argv;
    for (int i = 0; i < 3; i++) CHECK(pthread_key_create(&keys[i], at_end) == 0);
    for (int round = 0; round < (argc > 1 ? 20 : 2); round++) handover();
    production();
    little_stacks();
    short_lives(argc > 1 ? 10000 : 1500);
    /* The process ends while threads allocate; its exit handlers allocate too. */
    until_exit = malloc(5000);
    fill(until_exit, 5000, 12);
    CHECK(atexit(at_exit) == 0);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, allocate_endlessly, NULL) == 0 && pthread_detach(thread) == 0);
    }
    exit(0);
}
