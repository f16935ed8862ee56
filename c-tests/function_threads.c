/*
 * function_threads.c - functions called from several threads: two variables change together, calls that update one variable exclude each
 * other, spare buffers go to one call each, and a function that is released meanwhile (FN-1, FN-30, FN-31, FN-36,
 * FN-40, SV-4, SV-36, SV-38).
 */
#define _POSIX_C_SOURCE 200809L
#include "crossings.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define ELEMENTS 64

static atomic_int stop;
static atomic_int wrong;

/* CHECK of another thread: the counter of failures belongs to the main one. */
#define HOPE(condition)                                                                             \
    ((condition) ? (void)0                                                                          \
                 : (void)(atomic_fetch_add(&wrong, 1),                                              \
                          fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, tn_last_error())))

static void run_together(int n, void *(*body)(void *), void *contexts[], pthread_t threads[])
{
    for (int i = 0; i < n; i++)
        CHECK(pthread_create(&threads[i], NULL, body, contexts[i]) == 0);
}

static void end_all(int n, pthread_t threads[])
{
    for (int i = 0; i < n; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_exchange(&wrong, 0) == 0);
    stop = 0;
}

static tn_shared *numbered(int64_t number)
{
    int64_t shape[1] = {ELEMENTS};
    tn_array *value = NULL;
    OK(tn_array_full(NULL, TN_I64, 1, shape, &number, NULL, &value));
    tn_shared *shared = shared_of(value, TN_TAKE_OWNERSHIP, ALIAS);
    drop(value);
    return shared;
}

/* The number that all elements have; -1 if they differ, or cannot be read. */
static int64_t number_of(tn_array *array)
{
    int64_t found[ELEMENTS];
    if (tn_array_copy_to_host(array, found, NULL, NULL) != TN_OK)
        return -1;
    for (int i = 1; i < ELEMENTS; i++)
        if (found[i] != found[0])
            return -1;
    return found[0];
}

/* ---- two variables ---- */

static tn_status compares(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)out, (void)update;
    tn_array *const last = context ? in[*(size_t *)context] : in[1];
    int64_t a = number_of(in[0]), b = number_of(last), again = number_of(in[0]);
    HOPE(a >= 0 && a == b && a == again); /* both old or both new, and constant in the body */
    if (a != b || a != again)
        fprintf(stderr, "    %lld, %lld, then %lld\n", (long long)a, (long long)b, (long long)again);
    return TN_OK;
}

typedef struct {
    tn_function *function;
    tn_shared *variable;
    _Atomic uint64_t calls;
} reader;

static void *reads(void *context)
{
    reader *r = context;
    while (!stop) {
        tn_status status = tn_function_call(r->function, 0, NULL, 0, NULL, NULL, NULL);
        HOPE(status == TN_OK || status == TN_ERR_BORROWED_WRITE); /* the latter while a body writes in place */
        atomic_fetch_add(&r->calls, status == TN_OK);
    }
    return NULL;
}

/* Reads one variable. Its value is constant while the array is held. */
static void *gets(void *context)
{
    reader *r = context;
    int64_t before = 0;
    while (!stop) {
        tn_array *value = NULL;
        tn_status status = tn_shared_get(r->variable, TN_RAW | TN_BORROW, &value, NULL);
        HOPE(status == TN_OK || status == TN_ERR_BORROWED_WRITE);
        if (status != TN_OK)
            continue;
        int64_t number = number_of(value);
        HOPE(number >= before && number_of(value) == number); /* never an older one than before */
        before = number;
        HOPE(tn_array_release(value) == TN_OK);
        atomic_fetch_add(&r->calls, 1);
    }
    return NULL;
}

static int64_t next_number;

static tn_status replaces_both(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)in, (void)out;
    uint32_t flags = *(uint32_t *)context;
    for (int i = 0; i < 2; i++) {
        int64_t shape[1] = {ELEMENTS};
        if (update[i] == NULL)
            HOPE(tn_array_empty(NULL, TN_I64, 1, shape, NULL, &update[i]) == TN_OK);
        HOPE(tn_array_fill(update[i], &next_number, TN_WRITE_UNIQUE, NULL) == TN_OK);
    }
    return next_number % 7 == 3 && !(flags & TN_MAY_OVERWRITE) ? TN_ERR_IO : TN_OK;
}

static void both_or_neither(uint32_t flags) /* FN-30, FN-40, SV-4, SV-36 */
{
    tn_shared *a = numbered(0), *b = numbered(0);
    size_t between = 6; /* other values that the reader takes between the two, so that a commit falls between them more often */
    size_t last_index = between + 1;
    tn_shared *others[6];
    plan p = planned(compares, &last_index), q = planned(replaces_both, &flags);
    takes_value_of(&p, a, NONE);
    for (size_t i = 0; i < between; i++) {
        others[i] = numbered(0);
        takes_value_of(&p, others[i], NONE);
    }
    takes_value_of(&p, b, TN_BORROW);
    assigns(&q, a, flags);
    assigns(&q, b, flags);
    reader r = {.function = made(&p), .variable = b};
    tn_function *writes = made(&q);
    pthread_t threads[3];
    void *contexts[2] = {&r, &r};
    run_together(2, reads, contexts, threads);
    run_together(1, gets, contexts, threads + 2);
    uint64_t succeeded = 0;
    int64_t last = 0;
    int n = rounds(flags & TN_MAY_OVERWRITE ? 24000 : 8000);
    for (int i = 0; i < n || r.calls < 100; i++) {
        next_number = i + 1;
        tn_status expected = next_number % 7 == 3 && !(flags & TN_MAY_OVERWRITE) ? TN_ERR_IO : TN_OK;
        CHECK(run(writes) == expected);
        if (expected == TN_OK) {
            succeeded++;
            last = next_number;
        }
    }
    stop = 1;
    end_all(3, threads);
    tn_array *value = got(a, NONE, COPY(0));
    CHECK(number_of(value) == last && facts(a).version == succeeded + 1 && facts(b).version == succeeded + 1);
    drop(value);
    if (check_failures)
        fprintf(stderr, "    flags %u\n", flags);
    end_function(r.function);
    end_function(writes);
    for (size_t i = 0; i < between; i++)
        end_shared(others[i]);
    end_shared(a);
    end_shared(b);
}

/* ---- exchanges ---- */

static tn_status exchanges(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out;
    update[0] = update[1] = NULL;
    if (tn_array_clone(in[1], &update[0]) != TN_OK || tn_array_clone(in[0], &update[1]) != TN_OK)
        return TN_ERR_NO_HOST_MEMORY;
    return TN_OK;
}

static tn_status differ(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)out, (void)update;
    int64_t a = number_of(in[0]), b = number_of(in[1]);
    HOPE((a == 1 && b == 2) || (a == 2 && b == 1)); /* never one value twice */
    return TN_OK;
}

static void exchanged_under_readers(void) /* FN-30, FN-31 */
{
    tn_shared *a = numbered(1), *b = numbered(2);
    plan p = planned(differ, NULL), q = planned(exchanges, NULL);
    takes_value_of(&p, a, NONE);
    takes_value_of(&p, b, NONE);
    takes_value_of(&q, a, NONE);
    takes_value_of(&q, b, NONE);
    assigns(&q, a, NONE);
    assigns(&q, b, NONE);
    reader r = {.function = made(&p)};
    tn_function *f = made(&q);
    pthread_t threads[2];
    void *contexts[2] = {&r, &r};
    run_together(2, reads, contexts, threads);
    uint64_t n = 0;
    for (; n < (uint64_t)rounds(5000) || r.calls < 100; n++)
        OK(run(f));
    stop = 1;
    end_all(2, threads);
    CHECK(facts(a).version == n + 1 && facts(b).version == n + 1);
    end_function(r.function);
    end_function(f);
    end_shared(a);
    end_shared(b);
}

/* ---- one variable, several writers ---- */

typedef struct {
    tn_function *function;
    uint64_t succeeded, refused;
    uint64_t all;
    atomic_int *inside;
} writer;

static tn_status counts_up(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    atomic_int *inside = context;
    (void)in, (void)out;
    HOPE(atomic_fetch_add(inside, 1) == 0); /* no two bodies at once */
    int64_t number = number_of(update[0]) + 1;
    HOPE(number > 0 && tn_array_fill(update[0], &number, TN_WRITE_UNIQUE, NULL) == TN_OK);
    HOPE(atomic_fetch_sub(inside, 1) == 1);
    return TN_OK;
}

static void *writes(void *context)
{
    writer *w = context;
    for (uint64_t i = 0; i < w->all; i++) {
        tn_status status = tn_function_call(w->function, 0, NULL, 0, NULL, NULL, NULL);
        HOPE(status == TN_OK || status == TN_ERR_BORROWED_WRITE);
        w->succeeded += status == TN_OK;
        w->refused += status == TN_ERR_BORROWED_WRITE;
    }
    return NULL;
}

static void one_writer_at_a_time(void) /* FN-36 */
{
    tn_shared *a = numbered(0);
    atomic_int inside = 0;
    plan p = planned(counts_up, &inside);
    assigns(&p, a, TN_MAY_OVERWRITE);
    tn_function *f = made(&p);
    writer w[3];
    void *contexts[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (writer){.function = f, .all = (uint64_t)rounds(3000), .inside = &inside};
        contexts[i] = &w[i];
    }
    run_together(3, writes, contexts, threads);
    end_all(3, threads);
    uint64_t succeeded = 0;
    for (int i = 0; i < 3; i++) {
        succeeded += w[i].succeeded;
        CHECK(w[i].succeeded + w[i].refused == w[i].all);
    }
    tn_array *value = got(a, NONE, COPY(0));
    CHECK(number_of(value) == (int64_t)succeeded && facts(a).version == succeeded + 1 && succeeded > 0);
    drop(value);
    end_function(f);
    end_shared(a);
}

/* ---- two variables in opposite orders ---- */

static tn_status counts_both_up(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)in, (void)out;
    atomic_int *inside = context;
    HOPE(atomic_fetch_add(inside, 1) == 0);
    int64_t number = number_of(update[0]) + 1;
    HOPE(number_of(update[1]) + 1 == number);
    for (int i = 0; i < 2; i++)
        HOPE(tn_array_fill(update[i], &number, TN_WRITE_UNIQUE, NULL) == TN_OK);
    HOPE(atomic_fetch_sub(inside, 1) == 1);
    return TN_OK;
}

static void opposite_orders(void) /* FN-36: all claims or none, and no call waits for another */
{
    tn_shared *a = numbered(0), *b = numbered(0);
    atomic_int inside = 0;
    writer w[2];
    void *contexts[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        plan p = planned(counts_both_up, &inside);
        assigns(&p, i ? b : a, TN_MAY_OVERWRITE);
        assigns(&p, i ? a : b, TN_MAY_OVERWRITE);
        w[i] = (writer){.function = made(&p), .all = (uint64_t)rounds(5000)};
        contexts[i] = &w[i];
    }
    run_together(2, writes, contexts, threads);
    end_all(2, threads);
    uint64_t succeeded = w[0].succeeded + w[1].succeeded;
    tn_array *value = got(a, NONE, COPY(0));
    CHECK(number_of(value) == (int64_t)succeeded && facts(a).version == succeeded + 1 && facts(b).version == succeeded + 1);
    drop(value);
    for (int i = 0; i < 2; i++) {
        CHECK(w[i].succeeded + w[i].refused == w[i].all);
        end_function(w[i].function);
    }
    end_shared(a);
    end_shared(b);
}

/* ---- a fork while others call ---- */

static tn_status replaces(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in, (void)out;
    int64_t shape[1] = {ELEMENTS}, number = 3;
    for (int i = 0; i < 2; i++)
        if (update[i] == NULL)
            HOPE(tn_array_full(NULL, TN_I64, 1, shape, &number, NULL, &update[i]) == TN_OK);
        else
            HOPE(tn_array_fill(update[i], &number, TN_WRITE_UNIQUE, NULL) == TN_OK);
    return TN_OK;
}

static void *calls_until_stopped(void *context)
{
    while (!stop) {
        tn_status status = tn_function_call(context, 0, NULL, 0, NULL, NULL, NULL);
        HOPE(status == TN_OK || status == TN_ERR_BORROWED_WRITE);
    }
    return NULL;
}

static void forked_while_called(void) /* SV-38: no lock that another thread had stays locked in the child */
{
    tn_shared *a = numbered(3), *b = numbered(3), *c = numbered(3), *d = numbered(3);
    plan p = planned(compares, NULL), q = planned(replaces, NULL), other = planned(replaces, NULL);
    takes_value_of(&p, a, NONE);
    takes_value_of(&p, b, NONE);
    assigns(&q, a, TN_REUSE);
    assigns(&q, b, TN_REUSE);
    assigns(&other, c, TN_REUSE);
    assigns(&other, d, TN_REUSE);
    tn_function *reading_one = made(&p), *writing_one = made(&q), *other_one = made(&other);
    pthread_t threads[2];
    void *contexts[2] = {reading_one, writing_one};
    run_together(2, calls_until_stopped, contexts, threads);
    fflush(stderr);
    for (int i = 0; i < 4 * rounds(9); i++) { /* none under valgrind, where the memory of the child's lost threads is a leak */
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a lock that stays locked */
            tn_status status = TN_OK;
            for (int k = 0; k < 3 && status == TN_OK; k++) {
                status = tn_function_call(other_one, 0, NULL, 0, NULL, NULL, NULL);
                if (status == TN_OK)
                    status = tn_function_call(reading_one, 0, NULL, 0, NULL, NULL, NULL);
                if (status == TN_OK)
                    status = tn_function_call(writing_one, 0, NULL, 0, NULL, NULL, NULL);
            }
            if (status != TN_OK)
                fprintf(stderr, "    in the child: %s\n", tn_last_error());
            _exit(status == TN_OK && wrong == 0 ? 0 : 1);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = 1;
    end_all(2, threads);
    end_function(reading_one);
    end_function(writing_one);
    end_function(other_one);
    end_shared(a);
    end_shared(b);
    end_shared(c);
    end_shared(d);
}

/* ---- spares ---- */

static atomic_int tags;

static tn_status tags_output(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    (void)context, (void)in, (void)update;
    int64_t shape[1] = {ELEMENTS}, tag = atomic_fetch_add(&tags, 1);
    if (out[0] == NULL)
        HOPE(tn_array_empty(NULL, TN_I64, 1, shape, NULL, &out[0]) == TN_OK);
    HOPE(tn_array_fill(out[0], &tag, TN_WRITE_UNIQUE, NULL) == TN_OK);
    HOPE(number_of(out[0]) == tag); /* no other call has this buffer */
    return TN_OK;
}

static void *keeps_outputs(void *context)
{
    tn_function *f = context;
    tn_array *kept[3] = {NULL, NULL, NULL};
    int64_t numbers[3] = {-1, -1, -1};
    for (int i = 0; i < rounds(3000); i++) {
        int at = i % 3;
        if (kept[at] != NULL) { /* unchanged by all the calls since, of this thread and others */
            HOPE(number_of(kept[at]) == numbers[at] && numbers[at] >= 0);
            HOPE(tn_array_release(kept[at]) == TN_OK);
        }
        HOPE(tn_function_call(f, 0, NULL, 1, &kept[at], NULL, NULL) == TN_OK);
        numbers[at] = number_of(kept[at]);
    }
    for (int at = 0; at < 3; at++) {
        HOPE(number_of(kept[at]) == numbers[at]);
        HOPE(tn_array_release(kept[at]) == TN_OK);
    }
    return NULL;
}

static void one_spare_for_one_call(uint32_t flags) /* FN-40, FN-23, SV-4 */
{
    plan p = planned(tags_output, NULL);
    gives(&p, "y", flags);
    tn_function *f = made(&p);
    pthread_t threads[3];
    void *contexts[3] = {f, f, f};
    run_together(3, keeps_outputs, contexts, threads);
    for (int i = 0; i < 20; i++) { /* drops spares meanwhile */
        tn_pool *pool = NULL;
        OK(tn_pool_default(HOST, &pool));
        OK(tn_pool_trim(pool, 0, NULL));
        OK(tn_pool_release(pool));
    }
    end_all(3, threads);
    end_function(f);
}

/* ---- released while it is called ---- */

typedef struct {
    tn_function *function;
    atomic_int running, released, entered;
} life;

static tn_status lives(void *context, tn_array *const *in, tn_array **out, tn_array **update)
{
    life *l = context;
    (void)update;
    atomic_fetch_add(&l->running, 1);
    atomic_store(&l->entered, 1);
    for (int i = 0; i < 50; i++)
        HOPE(number_of(in[0]) == 5 && l->released == 0);
    HOPE(tn_array_clone(in[0], &out[0]) == TN_OK);
    atomic_fetch_sub(&l->running, 1);
    return TN_OK;
}

static void note_end(void *context)
{
    life *l = context;
    HOPE(l->running == 0);
    atomic_fetch_add(&l->released, 1);
}

static void *calls_until_released(void *context)
{
    life *l = context;
    for (;;) {
        tn_array *out = NULL;
        tn_status status = tn_function_call(l->function, 0, NULL, 1, &out, NULL, NULL);
        if (status == TN_ERR_STALE)
            return NULL;
        HOPE(status == TN_OK && number_of(out) == 5 && tn_array_release(out) == TN_OK);
    }
}

static void released_while_called(void) /* FN-1, FN-40 */
{
    for (int i = 0; i < rounds(100); i++) {
        life l = {0};
        tn_shared *w = numbered(5);
        plan p = planned(lives, &l);
        p.options.release = note_end;
        takes_value_of(&p, w, NONE);
        gives(&p, "y", i % 2 ? TN_BORROW | TN_REUSE : NONE);
        l.function = made(&p);
        end_shared(w);
        pthread_t threads[2];
        void *contexts[2] = {&l, &l};
        run_together(2, calls_until_released, contexts, threads);
        while (!l.entered)
            ;
        OK(tn_function_release(l.function));
        end_all(2, threads);
        CHECK(l.released == 1);
    }
}

int main(void)
{
    both_or_neither(NONE);
    both_or_neither(TN_REUSE);
    both_or_neither(TN_MAY_OVERWRITE);
    exchanged_under_readers();
    one_writer_at_a_time();
    opposite_orders();
    forked_while_called();
    one_spare_for_one_call(TN_REUSE);
    one_spare_for_one_call(TN_REUSE | TN_BORROW);
    one_spare_for_one_call(NONE);
    released_while_called();
    return finish();
}
