/*
 * threads.c - two threads at the same time: the result is that of the calls in some order (TH-1 to TH-16, TH-19 to TH-25).
 *
 * Each row runs many rounds. In a round the main thread makes the objects and both threads meet at a barrier. Each makes its call, one of
 * them delayed by a different number of turns in each round. They meet again, and the main thread checks the results. No row may hang,
 * because nothing here waits for a holder.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

/* The two calls and their statuses. A call may also output a handle. */
typedef tn_status (*deed)(void *subject, void **made);
static struct {
    pthread_barrier_t barrier;
    deed second;
    void *subject, *made;
    tn_status status;
    int delay, over;
} partner;

static volatile int turns;

static void dawdle(int n)
{
    for (int i = 0; i < n; i++)
        turns = i;
}

static void *run_partner(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_barrier_wait(&partner.barrier);
        if (partner.over)
            return NULL;
        dawdle(partner.delay);
        partner.status = partner.second(partner.subject, &partner.made);
        pthread_barrier_wait(&partner.barrier);
    }
}

static pthread_t partner_thread;

static void start(void)
{
    CHECK(pthread_barrier_init(&partner.barrier, NULL, 2) == 0);
    CHECK(pthread_create(&partner_thread, NULL, run_partner, NULL) == 0);
}

static void stop(void)
{
    partner.over = 1;
    pthread_barrier_wait(&partner.barrier);
    CHECK(pthread_join(partner_thread, NULL) == 0);
    CHECK(pthread_barrier_destroy(&partner.barrier) == 0);
}

typedef struct outcome {
    tn_status first, second;
    void *first_made, *second_made;
} outcome;

/* Runs both at the same time. */
static outcome race(int round, deed first, void *first_subject, deed second, void *second_subject)
{
    outcome o = {TN_OK, TN_OK, UNTOUCHED, UNTOUCHED};
    partner.second = second;
    partner.subject = second_subject;
    partner.made = UNTOUCHED;
    partner.delay = round % 3 == 0 ? round * 7 % 400 : 0;
    pthread_barrier_wait(&partner.barrier);
    dawdle(round % 3 == 1 ? round * 11 % 400 : 0);
    o.first = first(first_subject, &o.first_made);
    pthread_barrier_wait(&partner.barrier);
    o.second = partner.status;
    o.second_made = partner.made;
    return o;
}

static int times; /* rounds of each row */

#define ONE_EACH(o, x, y) (((o).first == (x) && (o).second == (y)) || ((o).first == (y) && (o).second == (x)))

static tn_status do_release(void *a, void **made) { (void)made; return tn_array_release(a); }
static tn_status do_clone(void *a, void **made) { return tn_array_clone(a, (tn_array **)(void *)made); }
static tn_status do_take(void *p, void **made) { return tn_take(1, (tn_promise *[]){p}, (tn_array **)(void *)made); }
static tn_status do_cancel(void *p, void **made) { (void)made; return tn_promise_cancel(p); }
static tn_status do_give(void *a, void **made) { return tn_array_give(a, 1, (tn_promise **)(void *)made); }
static tn_status do_upgrade(void *w, void **made) { return tn_weak_upgrade(w, (tn_array **)(void *)made); }
static tn_status do_end(void *g, void **made) { (void)made; return tn_borrow_end(g, 0, NULL); }
static tn_status do_read(void *a, void **made) { return tn_array_borrow_read(a, 0, NULL, NULL, NULL,
                                                                             (tn_borrow **)(void *)made); }
static tn_status do_write(void *a, void **made) { return tn_array_borrow_write(a, 0, NULL, NULL, NULL,
                                                                               (tn_borrow **)(void *)made); }
static tn_status do_write_unique(void *a, void **made)
{
    return tn_array_borrow_write(a, TN_WRITE_UNIQUE, NULL, NULL, NULL, (tn_borrow **)(void *)made);
}
static tn_status do_write_cow(void *a, void **made)
{
    return tn_array_borrow_write(a, TN_WRITE_COW, NULL, NULL, NULL, (tn_borrow **)(void *)made);
}
static tn_status do_export_shared(void *a, void **made)
{
    tn_view_info view;
    return tn_array_export_host(a, XS, 0, NULL, &view, (tn_borrow **)(void *)made, NULL);
}

static tn_pool *pool;

static void two_releases(void) /* TH-1 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        outcome o = race(i, do_release, a, do_release, a);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_STALE));
        CHECK(live_bytes(pool) == 0);
    }
}

static void release_and_clone(void) /* TH-2 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        outcome o = race(i, do_release, a, do_clone, a);
        CHECK(o.first == TN_OK && (o.second == TN_OK || o.second == TN_ERR_STALE));
        if (o.second == TN_OK) {
            CHECK(HOLDS(o.second_made, 0, 1, 2, 3) && unique(o.second_made));
            drop(o.second_made);
        } else {
            CHECK(o.second_made == UNTOUCHED);
        }
        CHECK(live_bytes(pool) == 0);
    }
}

static void two_takes(void) /* TH-3 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_promise *p = give(a);
        outcome o = race(i, do_take, p, do_take, p);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_DESTRUCTED) && state_of(a) == TN_ERR_DESTRUCTED);
        tn_array *taker = o.first == TN_OK ? o.first_made : o.second_made;
        CHECK(unique(taker) && (o.first == TN_OK ? o.second_made : o.first_made) == UNTOUCHED);
        drop(taker);
        OK(tn_promise_release(p));
        drop(a);
        CHECK(live_bytes(pool) == 0);
    }
}

static void take_and_cancel(void) /* TH-4 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_promise *p = give(a);
        outcome o = race(i, do_take, p, do_cancel, p);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_DESTRUCTED));
        CHECK(state_of(a) == (o.first == TN_OK ? TN_ERR_DESTRUCTED : TN_OK));
        if (o.first == TN_OK)
            drop(o.first_made);
        OK(tn_promise_release(p));
        drop(a);
        CHECK(live_bytes(pool) == 0);
    }
}

typedef struct pair {
    tn_promise *p[2];
    tn_array *out[2];
} pair;

static tn_status do_take_both(void *subject, void **made)
{
    pair *both = subject;
    (void)made;
    return tn_take(2, both->p, both->out);
}

static void two_takes_of_two(void) /* TH-5 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4)), *b = numbers(pool, SHAPE(4));
        tn_promise *p = give(a), *q = give(b);
        pair there = {{p, q}, {UNTOUCHED, UNTOUCHED}}, back = {{q, p}, {UNTOUCHED, UNTOUCHED}};
        outcome o = race(i, do_take_both, &there, do_take_both, &back);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_DESTRUCTED));
        pair *winner = o.first == TN_OK ? &there : &back, *loser = o.first == TN_OK ? &back : &there;
        CHECK(loser->out[0] == UNTOUCHED && loser->out[1] == UNTOUCHED);
        CHECK(unique(winner->out[0]) && unique(winner->out[1]));
        drop(winner->out[0]);
        drop(winner->out[1]);
        OK(tn_promise_release(p));
        OK(tn_promise_release(q));
        drop(a);
        drop(b);
        CHECK(live_bytes(pool) == 0);
    }
}

static void take_and_release_of_the_giver(void) /* TH-6 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_promise *p = give(a);
        outcome o = race(i, do_take, p, do_release, a);
        CHECK(o.first == TN_OK && o.second == TN_OK);
        CHECK(unique(o.first_made) && why(o.first_made) == 0 && HOLDS(o.first_made, 0, 1, 2, 3));
        drop(o.first_made);
        OK(tn_promise_release(p));
        CHECK(live_bytes(pool) == 0);
    }
}

static void two_gives(void) /* TH-7 */
{
    tn_array *a = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        outcome o = race(i, do_give, a, do_give, a);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_GIVEN));
        OK(tn_promise_release(o.first == TN_OK ? o.first_made : o.second_made));
        CHECK(state_of(a) == TN_OK);
    }
    drop(a);
}

static void give_and_read(void) /* TH-8 */
{
    tn_array *a = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        outcome o = race(i, do_give, a, do_read, a);
        if (o.first == TN_OK) {
            CHECK(o.second == TN_ERR_GIVEN && o.second_made == UNTOUCHED);
            OK(tn_promise_release(o.first_made));
        } else {
            CHECK(o.first == TN_ERR_BORROWED && o.second == TN_OK);
            end(o.second_made);
        }
        CHECK(why(a) == 0);
    }
    drop(a);
}

static void two_writers(void) /* TH-9 */
{
    tn_array *a = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        outcome o = race(i, do_write, a, do_write, a);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_BORROWED_WRITE));
        end(o.first == TN_OK ? o.first_made : o.second_made);
        CHECK(why(a) == 0);
    }
    drop(a);
}

static void reader_and_writer(void) /* TH-10 */
{
    tn_array *a = numbers(pool, SHAPE(4)), *twin = clone(a);
    for (int i = 0; i < times; i++) {
        outcome o = race(i, do_read, a, do_write, i % 2 ? a : twin);
        if (o.first == TN_OK) {
            CHECK(o.second == TN_ERR_BORROWED);
            end(o.first_made);
        } else {
            CHECK(o.first == TN_ERR_BORROWED_WRITE && o.second == TN_OK);
            end(o.second_made);
        }
        CHECK(why(a) == TN_WHY_SHARED);
    }
    drop(a);
    drop(twin);
}

static void unique_and_clone(void) /* TH-11, TH-12 */
{
    for (int i = 0; i < 2 * times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_weak *weak = NULL;
        OK(tn_array_weaken(a, &weak));
        outcome o = i % 2 ? race(i, do_write_unique, a, do_clone, a) : race(i, do_write_unique, a, do_upgrade, weak);
        CHECK(o.second == TN_OK && (o.first == TN_OK || o.first == TN_ERR_SHARED));
        if (o.first == TN_OK)
            end(o.first_made);
        CHECK(claims(a) == 2);
        drop(o.second_made);
        OK(tn_weak_release(weak));
        drop(a);
    }
    CHECK(live_bytes(pool) == 0);
}

static void cow_and_release(void) /* TH-13 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4)), *b = clone(a);
        outcome o = race(i, do_write_cow, a, do_release, b);
        CHECK(o.first == TN_OK && o.second == TN_OK);
        end(o.first_made);
        CHECK(HOLDS(a, 0, 1, 2, 3) && why(a) == 0 && live_bytes(pool) == 32);
        drop(a);
        CHECK(live_bytes(pool) == 0);
    }
}

static void two_ends(void) /* TH-14 */
{
    tn_array *a = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        tn_borrow *guard = i % 2 ? reading(a) : writing(a, 0);
        outcome o = race(i, do_end, guard, do_end, guard);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_STALE) && why(a) == 0);
    }
    drop(a);
}

static void end_and_release(void) /* TH-15 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_borrow *guard = i % 2 ? reading(a) : exporting(a, XS);
        outcome o = race(i, do_release, a, do_end, guard);
        CHECK(o.first == TN_OK && o.second == TN_OK && live_bytes(pool) == 0 && held_bytes(pool) == 0);
    }
}

static void upgrade_and_last_release(void) /* TH-16 */
{
    for (int i = 0; i < times; i++) {
        tn_array *a = numbers(pool, SHAPE(4));
        tn_weak *weak = NULL;
        OK(tn_array_weaken(a, &weak));
        outcome o = race(i, do_upgrade, weak, do_release, a);
        CHECK(o.second == TN_OK && (o.first == TN_OK || o.first == TN_ERR_DESTRUCTED));
        if (o.first == TN_OK) {
            CHECK(unique(o.first_made) && HOLDS(o.first_made, 0, 1, 2, 3));
            drop(o.first_made);
        }
        CHECK(live_bytes(pool) == 0);
        OK(tn_weak_release(weak));
    }
}

static void *take_elsewhere(void *subject)
{
    pair *both = subject;
    OK(tn_take(1, both->p, both->out));
    OK(tn_promise_release(both->p[0]));
    return NULL;
}

static void *give_elsewhere(void *subject)
{
    pair *both = subject;
    OK(tn_array_give(both->out[1], 1, &both->p[0]));
    OK(tn_array_release(both->out[1]));
    return NULL;
}

static void one_after_the_other(void) /* OO-38: no call depends on a thread */
{
    pair both = {{NULL, NULL}, {NULL, numbers(pool, SHAPE(4))}};
    void *(*const deeds[2])(void *) = {give_elsewhere, take_elsewhere};
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, deeds[i], &both) == 0 && pthread_join(thread, NULL) == 0);
    }
    CHECK(HOLDS(both.out[0], 0, 1, 2, 3) && why(both.out[0]) == 0);
    drop(both.out[0]);
    CHECK(live_bytes(pool) == 0);
}

#define WORKERS 4

static tn_part chunks[WORKERS];
static tn_status chunk_status[WORKERS];

static void *write_a_chunk(void *which)
{
    intptr_t k = (intptr_t)which;
    int64_t *data = chunks[k].data;
    for (int64_t i = 0; i < chunks[k].length; i++)
        data[i] = 1000 * k + i;
    chunk_status[k] = tn_borrow_end(chunks[k].guard, 0, NULL);
    return NULL;
}

static void parallel_chunks(void) /* TH-19 */
{
    for (int round = 0; round < 20; round++) {
        tn_array *a = zeros(pool, TN_I64, SHAPE(1001));
        pthread_t threads[WORKERS];
        OK(tn_array_split_write(a, 0, WORKERS, TN_WRITE_UNIQUE | TN_WRITE_DISCARD, NULL, chunks));
        for (intptr_t k = 0; k < WORKERS; k++)
            CHECK(pthread_create(&threads[k], NULL, write_a_chunk, (void *)k) == 0);
        for (int k = 0; k < WORKERS; k++)
            CHECK(pthread_join(threads[k], NULL) == 0 && chunk_status[k] == TN_OK);
        int64_t values[1001], wrong = 0;
        OK(tn_array_copy_to_host(a, values, NULL, NULL));
        for (int k = 0; k < WORKERS; k++)
            for (int64_t i = 0; i < chunks[k].length; i++)
                wrong += values[chunks[k].start + i] != 1000 * k + i;
        CHECK(wrong == 0 && why(a) == 0);
        drop(a);
    }
}

static struct {
    tn_array *array;
    int failures[WORKERS];
    int n;
} common;

static void *clone_and_release(void *which)
{
    intptr_t k = (intptr_t)which;
    for (int i = 0; i < common.n; i++) {
        tn_array *twin = NULL;
        if (tn_array_clone(common.array, &twin) != TN_OK || tn_array_release(twin) != TN_OK)
            common.failures[k]++;
    }
    return NULL;
}

static void *poll_unique(void *which)
{
    intptr_t k = (intptr_t)which;
    for (int i = 0; i < common.n; i++) {
        int32_t answer = 7;
        uint32_t bits = 7;
        size_t n = 0;
        if (tn_array_is_unique(common.array, &answer) != TN_OK || (answer != 0 && answer != 1))
            common.failures[k]++;
        if (tn_array_why_not(common.array, NULL, sizeof(tn_holder), 0, &bits, NULL, &n) != TN_OK || (bits & ~TN_WHY_SHARED) != 0)
            common.failures[k]++;
    }
    return NULL;
}

static void many_clones(void) /* TH-20, WN-8: a result may be out of date at once, and that is its only error */
{
    memset(&common, 0, sizeof common);
    common.array = numbers(pool, SHAPE(4));
    common.n = times * 20;
    pthread_t threads[WORKERS];
    for (intptr_t k = 0; k < WORKERS; k++)
        CHECK(pthread_create(&threads[k], NULL, k == 0 ? poll_unique : clone_and_release, (void *)k) == 0);
    for (int k = 0; k < WORKERS; k++)
        CHECK(pthread_join(threads[k], NULL) == 0 && common.failures[k] == 0);
    CHECK(unique(common.array) && why(common.array) == 0);
    drop(common.array);
    CHECK(live_bytes(pool) == 0);
}

static tn_status do_weaken(void *a, void **made) { return tn_array_weaken(a, (tn_weak **)(void *)made); }
static tn_status do_view(void *a, void **made) { return tn_array_transpose(a, (tn_array **)(void *)made); }

static void cow_that_copies(void) /* TH-21 */
{
    const int64_t n = 60000; /* long enough to copy that the other call overlaps */
    for (int i = 0; i < times; i++) {
        tn_array *a = zeros(pool, TN_I64, SHAPE(n)), *twin = clone(a);
        int64_t value = 7;
        OK(tn_array_fill(a, &value, 0, NULL));
        static const deed others[8] = {do_clone, do_view, do_weaken, do_read, do_write, do_give, do_export_shared,
                                       do_release};
        int what = i % 9;
        outcome o = race(i, do_write_cow, a, what < 8 ? others[what] : do_write, what < 8 ? a : twin);
        tn_status s = o.second;
        int live = 1; /* a is still live */
        if (what < 3) {
            CHECK(o.first == TN_OK && s == TN_OK);
        } else if (what == 3) { /* a reader before, at the same time, or after */
            CHECK((o.first == TN_OK && s == TN_ERR_BORROWED_WRITE) || (o.first == TN_ERR_BORROWED && s == TN_OK));
        } else if (what == 4) {
            CHECK(ONE_EACH(o, TN_OK, TN_ERR_BORROWED_WRITE));
        } else if (what == 5) {
            CHECK((o.first == TN_OK && s == TN_ERR_BORROWED_WRITE) || (o.first == TN_ERR_GIVEN && s == TN_OK));
        } else if (what == 6) { /* an export before the COW is one more reason to copy */
            CHECK(o.first == TN_OK && (s == TN_ERR_BORROWED_WRITE || s == TN_OK));
        } else if (what == 7) {
            CHECK(s == TN_OK && (o.first == TN_OK || o.first == TN_ERR_STALE));
            live = 0;
        } else { /* a writer of the old bytes through another handle */
            CHECK(o.first == TN_OK || o.first == TN_ERR_BORROWED_WRITE);
            CHECK(s == TN_OK || s == TN_ERR_BORROWED);
            CHECK(o.first == TN_OK || s == TN_OK);
        }
        if (o.first == TN_OK)
            end(o.first_made);
        if (s == TN_OK)
            switch (what) {
            case 0:
            case 1: drop(o.second_made); break;
            case 2: OK(tn_weak_release(o.second_made)); break;
            case 5: OK(tn_promise_release(o.second_made)); break;
            case 7: break;
            default: end(o.second_made); break;
            }
        if (live) {
            tn_array *last = at(a, 0, n - 1);
            CHECK(HOLDS(last, 7));
            drop(last);
            drop(a);
        }
        CHECK(why(twin) == 0);
        drop(twin);
        CHECK(live_bytes(pool) == 0);
    }
}

static tn_status do_borrow_both(void *subject, void **made)
{
    return tn_borrow_all(2, subject, NULL, (tn_borrow **)(void *)made);
}

static void two_borrow_alls(void) /* TH-22, BA-6 */
{
    tn_array *a = numbers(pool, SHAPE(4)), *b = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        tn_borrow_spec there[2] = {{.array = a, .access = TN_READ_WRITE}, {.array = b, .access = TN_READ_WRITE}};
        tn_borrow_spec back[2] = {there[1], there[0]};
        outcome o = race(i, do_borrow_both, there, do_borrow_both, back);
        CHECK(ONE_EACH(o, TN_OK, TN_ERR_BORROWED_WRITE)); /* neither ends before both tried */
        end(o.first == TN_OK ? o.first_made : o.second_made);
        CHECK(why(a) == 0 && why(b) == 0);
    }
    drop(a);
    drop(b);
}

static void writer_and_shared_view(void) /* TH-23 */
{
    tn_array *a = numbers(pool, SHAPE(4));
    for (int i = 0; i < times; i++) {
        outcome o = race(i, do_write, a, do_export_shared, a);
        CHECK(o.first == TN_OK && (o.second == TN_OK || o.second == TN_ERR_BORROWED_WRITE));
        end(o.first_made);
        if (o.second == TN_OK)
            end(o.second_made);
        CHECK(why(a) == 0);
    }
    drop(a);
}

/* Written by whichever thread is last; read after both threads met at a barrier. */
static int64_t lent[4];

static void count_up(void *counter)
{
    ++*(int *)counter;
}

static tn_array *lend(uint32_t flags, int *counter)
{
    return array_of(lent, flags, count_up, counter, SHAPE(4));
}

static void last_two_of_a_lease(void) /* TH-24 */
{
    for (int i = 0; i < times; i++) {
        int runs = 0;
        tn_array *x = lend(i % 2 ? TN_BORROW : TN_TAKE_OWNERSHIP, &runs), *y = clone(x);
        outcome o = race(i, do_release, x, do_release, y);
        CHECK(o.first == TN_OK && o.second == TN_OK && runs == 1);
    }
}


static tn_status do_run(void *subject, void **made)
{
    (void)made;
    return tn_run_releases(subject);
}

static void two_runs_of_releases(void) /* TH-25 */
{
    for (int i = 0; i < times; i++) {
        int runs[4] = {0};
        for (int k = 0; k < 4; k++)
            drop(lend(TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, &runs[k]));
        size_t first = 77, second = 77;
        outcome o = race(i, do_run, &first, do_run, &second);
        CHECK(o.first == TN_OK && o.second == TN_OK && first + second == 4);
        for (int k = 0; k < 4; k++)
            CHECK(runs[k] == 1);
    }
}

int main(void)
{
    times = rounds(400);
    pool = own_pool("threads");
    start();
    two_releases();
    release_and_clone();
    two_takes();
    take_and_cancel();
    two_takes_of_two();
    take_and_release_of_the_giver();
    two_gives();
    give_and_read();
    two_writers();
    reader_and_writer();
    unique_and_clone();
    cow_and_release();
    two_ends();
    end_and_release();
    upgrade_and_last_release();
    one_after_the_other();
    parallel_chunks();
    many_clones();
    cow_that_copies();
    two_borrow_alls();
    writer_and_shared_view();
    last_two_of_a_lease();
    two_runs_of_releases();
    stop();
    OK(tn_pool_release(pool));
    return finish();
}
