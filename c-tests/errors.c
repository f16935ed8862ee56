/*
 * errors.c - which error wins when several apply (ER-1 to ER-13), and that a failing call changes nothing (I7).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

#define EITHER_COPY_OR_UNIQUE (TN_WRITE_UNIQUE | TN_WRITE_COW) /* no mode */

static void call_before_state(void) /* ER-1, ER-3, ER-5: errors of the call alone come before the handle's state */
{
    tn_array *a = destructed(), *out = UNTOUCHED;
    tn_borrow *guard = UNTOUCHED;
    tn_slice_spec still = TN_SLICE(0, 1, 0);
    CHECK(try_write(a, EITHER_COPY_OR_UNIQUE) == TN_ERR_INVALID);
    CHECK(try_write(a, 0) == TN_ERR_DESTRUCTED);
    CHECK(try_read(a, TN_READ) == TN_ERR_INVALID);
    FAILS(tn_array_borrow_read(a, TN_READ, NULL, NULL, NULL, NULL), TN_ERR_NULL); /* an output, like any other */
    FAILS(tn_array_slice(a, 1, &still, &out), TN_ERR_INVALID); /* ER-9 */
    FAILS(tn_array_index(a, 0, 1000, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_index(a, 99, 0, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_reshape(a, SHAPE(7, 7), TN_ORDER_C, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_permute(a, 5, (int32_t[]){0, 0, 0, 0, 0}, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_slice(a, SIZE_MAX, &still, &out), TN_ERR_DESTRUCTED);
    FAILS(tn_array_wait(a, 0), TN_ERR_INVALID);
    /* an invalid stream, and a stale array, come before the state as well (ER-8) */
    FAILS(tn_array_borrow_read(a, 0, (tn_stream *)(void *)a, NULL, NULL, &guard), TN_ERR_KIND);
    FAILS(tn_array_borrow_write(a, EITHER_COPY_OR_UNIQUE, (tn_stream *)(void *)a, NULL, NULL, &guard), TN_ERR_KIND);
    FAILS(tn_array_borrow_write(stale(), EITHER_COPY_OR_UNIQUE, NULL, NULL, NULL, &guard), TN_ERR_STALE);
    CHECK(out == UNTOUCHED && guard == UNTOUCHED);
    drop(a);
}

static void the_leftmost(void) /* ER-2, ER-6 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *out[3] = {UNTOUCHED, UNTOUCHED, UNTOUCHED};
    tn_array *b = numbers(NULL, SHAPE(4));
    tn_promise *used = give(a), *gone = give(b);
    OK(tn_promise_cancel(used));
    OK(tn_promise_release(gone));
    tn_promise *list[3] = {used, gone, NULL};
    FAILS(tn_take(2, list, out), TN_ERR_STALE); /* destructed, stale */
    FAILS(tn_take(3, list, out), TN_ERR_NULL);  /* destructed, stale, NULL */
    tn_promise *kinds[2] = {(tn_promise *)(void *)a, gone};
    FAILS(tn_take(2, kinds, out), TN_ERR_STALE);
    tn_promise *twice[2] = {used, used};
    FAILS(tn_take(2, twice, out), TN_ERR_DESTRUCTED); /* a used-up promise comes before DUPLICATE (ER-6) */
    for (int i = 0; i < 3; i++)
        CHECK(out[i] == UNTOUCHED);
    CHECK(state_of(a) == TN_OK && state_of(b) == TN_OK && claims(a) == 1);

    /* the message names the leftmost parameter with the error */
    tn_array *first = numbers(NULL, SHAPE(4)), *second = numbers(NULL, SHAPE(4));
    OK(tn_array_set_name(first, "left"));
    OK(tn_array_set_name(second, "right"));
    tn_promise *p = give(first), *q = give(second);
    FAILS(tn_array_copy_into(first, second, 0, NULL), TN_ERR_GIVEN);
    CHECK(says("left") && !says("right"));
    FAILS(tn_array_copy_into(b, second, 0, NULL), TN_ERR_GIVEN);
    CHECK(says("right"));
    FAILS(tn_array_copy_into(first, NULL, 0, NULL), TN_ERR_NULL);
    CHECK(says("destination"));
    drop(take(p));
    FAILS(tn_array_copy_into(second, first, 0, NULL), TN_ERR_DESTRUCTED); /* given, destructed: the list decides */
    CHECK(says("left"));
    OK(tn_promise_release(p));
    OK(tn_promise_release(q));
    drop(first);
    drop(second);
    OK(tn_promise_release(used));
    drop(a);
    drop(b);
}

static void giving(void) /* ER-4 */
{
    tn_array *a = destructed(), *b = numbers(NULL, SHAPE(4));
    tn_promise *p = UNTOUCHED;
    FAILS(tn_array_give(a, 0, &p), TN_ERR_INVALID);
    tn_borrow *guard = reading(b);
    FAILS(tn_array_give(b, 0, &p), TN_ERR_INVALID);
    FAILS(tn_array_give(b, 1, &p), TN_ERR_BORROWED);
    CHECK(p == UNTOUCHED && state_of(b) == TN_OK);
    end(guard);
    drop(a);
    drop(b);
}

static void writing_in_the_way(void) /* ER-5 */
{
    tn_array *a = numbers(NULL, SHAPE(8)), *head = part(a, 0, 4, 1), *tail = part(a, 4, 8, 1);
    tn_array *wide = broadcast(a, SHAPE(2, 8));
    poison(head);
    tn_promise *p = give(a);
    CHECK(try_write(a, 0) == TN_ERR_GIVEN); /* GIVEN and poisoned */
    OK(tn_promise_release(p));
    CHECK(try_write(wide, 0) == TN_ERR_POISONED); /* poisoned and READONLY */
    OK(tn_array_clear(head, 0, NULL));
    tn_borrow *writer = writing(tail, 0), *reader = reading(head);
    CHECK(try_write(wide, 0) == TN_ERR_READONLY); /* READONLY and a writer open */
    CHECK(try_write(a, 0) == TN_ERR_BORROWED_WRITE); /* a writer and a reader, disjoint, both overlapping */
    end(writer);
    writer = exporting(tail, XR);
    CHECK(try_write(a, 0) == TN_ERR_BORROWED); /* a read guard and an export */
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_BORROWED); /* a guard and other claims */
    end(reader);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_EXPORTED); /* an export and other claims */
    end(writer);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    drop(wide);
    drop(head);
    drop(tail);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_OK);
    drop(a);

    /* other claims and FOREIGN */
    int64_t lent[2] = {1, 2};
    a = array_of(lent, TN_BORROW, NULL, NULL, SHAPE(2));
    tn_array *twin = clone(a);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_SHARED);
    drop(twin);
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_FOREIGN && try_write(a, TN_WRITE_UNIQUE | TN_WAIT) == TN_ERR_FOREIGN);
    drop(a);
}

static void reading_in_the_way(void) /* ER-7 */
{
    tn_array *a = numbers(NULL, SHAPE(9)), *first = part(a, 0, 3, 1), *second = part(a, 3, 6, 1),
        *third = part(a, 6, 9, 1);
    poison(first);
    tn_borrow *writer = writing(second, 0), *exclusive = exporting(third, XW);
    CHECK(try_read(a, 0) == TN_ERR_POISONED && try_copy(a) == TN_ERR_POISONED);
    tn_array *behind = part(a, 3, 9, 1);
    CHECK(try_read(behind, 0) == TN_ERR_BORROWED_WRITE); /* a writer and an exclusive export */
    CHECK(try_export(behind, XR, 0) == TN_ERR_BORROWED_WRITE);
    end(writer);
    CHECK(try_read(behind, 0) == TN_ERR_EXPORTED);
    end(exclusive);
    CHECK(try_read(behind, 0) == TN_OK);
    drop(behind);
    drop(first);
    drop(second);
    drop(third);
    drop(a);
}

static void chunks(void) /* ER-9 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a);
    tn_part out[2], canary[2];
    memset(out, 0x5a, sizeof out);
    memcpy(canary, out, sizeof out);
    FAILS(tn_array_split_write(a, 3, 2, TN_WRITE_UNIQUE, NULL, out), TN_ERR_RANGE); /* wrong axis and shared */
    tn_borrow *guard = writing(twin, 0);
    FAILS(tn_array_split_write(a, 3, 2, 0, NULL, out), TN_ERR_RANGE);
    FAILS(tn_array_split_write(a, 3, 0, 0, NULL, out), TN_ERR_INVALID);
    end(guard);
    CHECK(memcmp(out, canary, sizeof out) == 0 && count_holders(a, TN_HOLDER_GUARD_WRITE) == 0);
    drop(twin);
    drop(a);
}

/* ER-1: a wrong argument gives one status, whatever other handles the array has */
static void arguments_before_holders(void)
{
    tn_array *a = numbers(NULL, SHAPE(4)), *u = zeros(NULL, TN_U8, SHAPE(4)), *s = zeros(NULL, TN_I64, SHAPE(5));
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){5}};
    int64_t raw[5] = {0};
    tn_borrow *guard = writing(a, 0);
    poison(u);
    FAILS(tn_array_copy_into(a, u, 0, NULL), TN_ERR_DTYPE);
    FAILS(tn_array_copy_into(a, s, 0, NULL), TN_ERR_SHAPE);
    FAILS(tn_array_copy_into(u, s, 0, NULL), TN_ERR_DTYPE); /* dtype, then shape, then poison */
    FAILS(tn_array_copy_to_host(a, raw, &layout, NULL), TN_ERR_SHAPE);
    layout.dtype = TN_F64;
    FAILS(tn_array_copy_from_host(a, raw, &layout, 0, NULL), TN_ERR_DTYPE);
    end(guard);
    drop(a);
    drop(u);
    drop(s);
}

static void memory_is_last(void) /* ER-11 */
{
    tn_pool *pool = limited_pool("er-11", 8 << 20);
    tn_array *a = zeros(pool, TN_U8, SHAPE(5 << 20)), *twin = clone(a);
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_POOL_LIMIT);
    poison(a);
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_POISONED);
    /* reads nothing, but has no memory either */
    CHECK(try_write(a, TN_WRITE_COW | TN_WRITE_DISCARD) == TN_ERR_POOL_LIMIT);
    CHECK(why(a) == (TN_WHY_SHARED | TN_WHY_POISONED));
    drop(twin);
    drop(a);
    OK(tn_pool_release(pool));
}

static tn_status try_all(tn_array *a, uint32_t access_a, tn_array *b, uint32_t access_b)
{
    tn_borrow_spec specs[2] = {{.array = a, .access = access_a}, {.array = b, .access = access_b}};
    tn_borrow *guard = UNTOUCHED;
    tn_status status = tn_borrow_all(2, specs, NULL, &guard);
    if (status == TN_OK)
        end(guard);
    else
        CHECK(guard == UNTOUCHED);
    return status;
}

static void several_at_once(void) /* ER-12 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = numbers(NULL, SHAPE(4)), *twin = clone(b), *gone = stale();
    poison(a);
    CHECK(try_all(a, TN_READ, gone, TN_READ) == TN_ERR_STALE && try_all(gone, TN_READ, a, TN_READ) == TN_ERR_STALE);
    /* shared with UNIQUE, and the entries overlap */
    CHECK(try_all(b, TN_READ_WRITE | TN_WRITE_UNIQUE, twin, TN_READ_WRITE) == TN_ERR_SHARED);
    /* one is poisoned, the other borrowed: the list decides, not the position */
    tn_borrow *guard = writing(b, 0);
    CHECK(try_all(b, TN_READ, a, TN_READ) == TN_ERR_POISONED && try_all(a, TN_READ, b, TN_READ) == TN_ERR_POISONED);
    end(guard);
    CHECK(why(a) == TN_WHY_POISONED && why(b) == TN_WHY_SHARED);
    drop(a);
    drop(b);
    drop(twin);
}

static void texts(void) /* a failure's message names the function and the value; a success keeps the last message */
{
    tn_array *a = numbers(NULL, SHAPE(10)), *out = UNTOUCHED;
    tn_borrow *guard = UNTOUCHED;
    OK(tn_array_set_name(a, "measured"));
    FAILS(tn_array_index(a, 0, 12, &out), TN_ERR_RANGE);
    CHECK(says("tn_array_index") && says("12") && says("10"));
    tn_array *twin = clone(a);
    CHECK(says("tn_array_index") && says("12"));
    FAILS(tn_array_borrow_read(a, 1u << 30, NULL, NULL, NULL, &guard), TN_ERR_INVALID);
    CHECK(says("tn_array_borrow_read") && !says("tn_array_index"));
    CHECK(try_write(a, TN_WRITE_UNIQUE) == TN_ERR_SHARED && says("measured"));
    CHECK(strlen(tn_last_error()) <= 500);
    drop(twin);
    drop(a);
}

static void array_and_pool(void) /* ER-1, ER-2 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *out = UNTOUCHED;
    tn_pool *pool = own_pool("gone");
    OK(tn_pool_release(pool));
    tn_pool *no_pool = (tn_pool *)(void *)a;
    FAILS(tn_array_copy(a, pool, NULL, &out), TN_ERR_STALE);
    FAILS(tn_array_copy(stale(), no_pool, NULL, &out), TN_ERR_STALE);
    FAILS(tn_array_copy((tn_array *)(void *)7, pool, NULL, &out), TN_ERR_STALE);
    FAILS(tn_array_copy((tn_array *)(void *)7, no_pool, NULL, &out), TN_ERR_KIND);
    CHECK(says("0x0000000000000007"));
    FAILS(tn_array_like(stale(), no_pool, NULL, &out), TN_ERR_STALE);
    CHECK(out == UNTOUCHED);
    drop(a);
}

/* TN_WRITE_COW is advised only if it helps: for a write through a handle without readers of its own. */
static void advice(void)
{
    tn_array *a = numbers(NULL, SHAPE(4)), *b = NULL;
    tn_promise *promise = UNTOUCHED;
    OK(tn_array_clone(a, &b));
    tn_borrow *reader = reading(a);
    CHECK(try_write(b, 0) == TN_ERR_BORROWED && says("TN_WRITE_COW"));
    CHECK(try_write(b, TN_WRITE_COW) == TN_OK);
    CHECK(try_write(a, 0) == TN_ERR_BORROWED && says("; end that borrow") && !says("TN_WRITE_COW"));
    CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_BORROWED && !says("TN_WRITE_COW"));
    FAILS(tn_array_give(a, 1, &promise), TN_ERR_BORROWED);
    CHECK(!says("TN_WRITE_COW"));
    end(reader);
    drop(b);

    /* flags that a call does not take: the message lists those that it takes; a stream constant passed to release; a count beyond the limit
     * */
    FAILS(tn_array_borrow_read(a, TN_WRITE_COW, NULL, NULL, NULL, &reader), TN_ERR_INVALID);
    CHECK(says("does not take: 0x2; it takes TN_FROZEN, TN_INTERPROCESS, TN_WAIT"));
    FAILS(tn_array_save_npy(a, "never", 1u << 9), TN_ERR_INVALID);
    CHECK(says("it takes TN_IO_SYNC, TN_IO_EXCLUSIVE"));
    FAILS(tn_stream_release(TN_STREAM_LEGACY), TN_ERR_KIND);
    CHECK(says("a constant TN_STREAM_"));
    const int64_t lengths[65] = {0};
    FAILS(tn_array_broadcast(a, 65, lengths, &b), TN_ERR_OVERFLOW);
    CHECK(says("65 axes are more than 64, the most"));
    void *block = UNTOUCHED;
    FAILS(tn_pool_allocate(NULL, SIZE_MAX / 4, 0, NULL, &block), TN_ERR_NO_HOST_MEMORY);
    CHECK(says("ask for less than the device has") && block == UNTOUCHED);
    drop(a);
}

static void advice_helps(void) /* ER-13: the call that a message advises succeeds */
{
    tn_array *a = numbers(NULL, SHAPE(5, 4)), *row = at(a, 0, 1), *other = at(a, 0, 2), *copy = UNTOUCHED;
    OK(tn_array_set_name(a, "base"));

    /* given: a take would destruct the handle */
    tn_promise *promise = give(a);
    CHECK(try_read(a, 0) == TN_ERR_GIVEN && says("; cancel its promise to use it again"));
    OK(tn_promise_cancel(promise));
    CHECK(try_read(a, 0) == TN_OK);
    OK(tn_promise_release(promise));
    tn_promise *two[2];
    OK(tn_array_give(a, 2, &two[0]));
    OK(tn_array_give(a, 2, &two[1]));
    CHECK(try_read(a, 0) == TN_ERR_GIVEN && says("; cancel its promises to use it again"));
    OK(tn_promise_release(two[0]));
    OK(tn_promise_release(two[1]));

    /* writers: one, and two */
    tn_borrow *first = writing(row, 0);
    CHECK(try_read(a, 0) == TN_ERR_BORROWED_WRITE && says("; end that borrow"));
    tn_borrow *second = writing(other, 0);
    CHECK(try_read(a, 0) == TN_ERR_BORROWED_WRITE && says("2 times") && says("; end those borrows"));
    end(first);
    end(second);

    /* poison of a part: writing that part is enough */
    poison(row);
    CHECK(try_read(a, 0) == TN_ERR_POISONED && says("rewrite all that it wrote by one write with TN_WRITE_DISCARD"));
    CHECK(try_write(a, 0) == TN_ERR_POISONED && try_write(a, TN_WRITE_COW) == TN_ERR_POISONED);
    CHECK(try_write(row, TN_WRITE_DISCARD) == TN_OK && try_read(a, 0) == TN_OK);

    /* a read-only export keeps from writing in place; only a copy on write is no conflict */
    tn_borrow *exported = exporting(a, XR);
    CHECK(try_write(row, 0) == TN_ERR_EXPORTED && says("end its guard with tn_borrow_end, or use TN_WRITE_COW"));
    CHECK(try_write(row, TN_WRITE_COW) == TN_OK);
    drop(row);
    row = at(a, 0, 1);
    end(exported);

    /* an exclusive one keeps from everything that reads the bytes */
    exported = exporting(a, XW);
    CHECK(try_read(row, 0) == TN_ERR_EXPORTED && says("; drop the consumer's view, or end its guard with tn_borrow_end"));
    CHECK(!says("TN_WRITE_COW") && !says("to a copy"));
    FAILS(tn_array_copy(row, NULL, NULL, &copy), TN_ERR_EXPORTED);
    CHECK(!says("TN_WRITE_COW") && !says("to a copy") && copy == UNTOUCHED);
    CHECK(try_write(row, 0) == TN_ERR_EXPORTED && !says("TN_WRITE_COW"));
    CHECK(try_write(row, TN_WRITE_COW) == TN_ERR_EXPORTED && !says("TN_WRITE_COW"));
    CHECK(try_write(row, TN_WRITE_DISCARD) == TN_ERR_EXPORTED && says("or use TN_WRITE_COW"));
    CHECK(try_write(row, TN_WRITE_DISCARD | TN_WRITE_COW) == TN_OK);
    end(exported);

    /* entries that overlap: which ones */
    tn_array *none = numbers(NULL, SHAPE(1)), *last = at(a, 0, 2);
    OK(tn_array_set_name(last, "row"));
    const tn_borrow_spec specs[3] = {
        {.array = a, .access = TN_READ}, {.array = none, .access = TN_READ_WRITE}, {.array = last, .access = TN_READ_WRITE}};
    tn_view_info views[3];
    tn_borrow *all = UNTOUCHED;
    FAILS(tn_borrow_all(3, specs, views, &all), TN_ERR_ALIASED);
    CHECK(says("arrays 0 (\"base\") and 2 (\"row\") of this call overlap") && all == UNTOUCHED);
    drop(none);
    drop(last);
    drop(row);
    drop(other);
    drop(a);
}

static tn_array *of_thread;
static tn_borrow *guard_of_thread;

static void *read_elsewhere(void *unused)
{
    (void)unused;
    OK(tn_here("elsewhere.c", 3));
    guard_of_thread = reading(of_thread);
    return NULL;
}

static void *release_elsewhere(void *unused)
{
    (void)unused;
    drop(of_thread);
    return NULL;
}

static void whose_thread(void) /* WN-9: a message names the thread of a holder if it is not the caller's */
{
    pthread_t thread;
    of_thread = numbers(NULL, SHAPE(4));
    CHECK(pthread_create(&thread, NULL, read_elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(try_write(of_thread, 0) == TN_ERR_BORROWED && says("(at elsewhere.c:3 by thread "));
    end(guard_of_thread);
    OK(tn_here("here.c", 4));
    tn_borrow *guard = reading(of_thread);
    CHECK(try_write(of_thread, 0) == TN_ERR_BORROWED && says("(at here.c:4)") && !says("by thread"));
    OK(tn_here(NULL, 0));
    end(guard);
    drop(of_thread);
}

static void what_was_released(void) /* WN-9: the name and line of a stale handle, until its slot is used again */
{
    OK(tn_here("made.c", 5));
    tn_array *a = numbers(NULL, SHAPE(4));
    OK(tn_array_set_name(a, "weights"));
    tn_borrow *guard = reading(a);
    OK(tn_here(NULL, 0));
    end(guard);
    FAILS(tn_borrow_end(guard, 0, NULL), TN_ERR_STALE);
    CHECK(says("(begun at made.c:5) ended already"));
    drop(a);
    FAILS(tn_array_release(a), TN_ERR_STALE);
    CHECK(says("\"weights\" (made at made.c:5) was released already"));
    /* The slot is used again, by an array without a name: nothing is told of either but the handle. */
    tn_array *next = numbers(NULL, SHAPE(4));
    FAILS(tn_array_release(a), TN_ERR_STALE);
    CHECK(says("was released already") && !says("weights") && !says("made.c"));
    drop(next);
    FAILS(tn_array_release(next), TN_ERR_STALE);
    CHECK(says("was released already") && !says("weights") && !says("made.c"));
    /* A promise keeps the slot beyond the release of the handle. */
    a = numbers(NULL, SHAPE(4));
    OK(tn_array_set_name(a, "given"));
    tn_promise *promise = give(a);
    drop(a);
    FAILS(tn_array_release(a), TN_ERR_STALE);
    CHECK(!says("given"));
    OK(tn_promise_release(promise));
    FAILS(tn_array_release(a), TN_ERR_STALE);
    CHECK(says("\"given\" was released already"));
    /* Another thread has the slot, and may use it at any moment. */
    of_thread = numbers(NULL, SHAPE(4));
    OK(tn_array_set_name(of_thread, "passed"));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, release_elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
    FAILS(tn_array_release(of_thread), TN_ERR_STALE);
    CHECK(says("was released already"));
}

int main(void)
{
    call_before_state();
    array_and_pool();
    the_leftmost();
    giving();
    writing_in_the_way();
    reading_in_the_way();
    chunks();
    arguments_before_holders();
    memory_is_last();
    several_at_once();
    texts();
    advice();
    advice_helps();
    whose_thread();
    what_was_released();
    return finish();
}
