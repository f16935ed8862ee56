/*
 * release.c - when bytes are released, held bytes, strict mode, weak handles, queued release callbacks (RL-1 to RL-8), the holders of an
 * address (WN-10), and tn_leaks.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>
#include <unistd.h>

static void last_one_out(void) /* RL-1, RL-2 */
{
    tn_pool *pool = own_pool("rl-1");
    /* claims, guards and exports end in every order of four: only the last one frees */
    for (int order = 0; order < 24; order++) {
        tn_array *a = numbers(pool, SHAPE(4)), *twin = clone(a);
        tn_borrow *guard = reading(a), *export = exporting(a, XR);
        int left[4] = {0, 1, 2, 3}, code = order;
        for (int n = 4; n > 0; n--) {
            int pick = code % n, what = left[pick];
            code /= n;
            left[pick] = left[n - 1];
            CHECK(live_bytes(pool) == 32);
            switch (what) {
            case 0: drop(a); break;
            case 1: drop(twin); break;
            case 2: end(guard); break;
            default: end(export); break;
            }
        }
        CHECK(live_bytes(pool) == 0 && held_bytes(pool) == 0);
    }
    tn_array *a = numbers(pool, SHAPE(4));
    tn_borrow *guard = writing(a, 0);
    CHECK(held_bytes(pool) == 0);
    drop(a);
    CHECK(held_bytes(pool) == 32 && live_bytes(pool) == 32);
    end(guard);
    CHECK(held_bytes(pool) == 0 && live_bytes(pool) == 0);
    /* a promise that is not used up keeps a claim: the bytes are not held */
    a = numbers(pool, SHAPE(4));
    tn_promise *p = give(a);
    drop(a);
    CHECK(held_bytes(pool) == 0 && live_bytes(pool) == 32);
    OK(tn_promise_release(p));
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

static struct {
    int runs;
    pthread_t thread;
    tn_array *made;
} called;

static void on_release(void *context)
{
    called.runs++;
    called.thread = pthread_self();
    /* it may call the library: no lock is locked */
    if (context != NULL) {
        tn_array *copy = NULL;
        if (tn_array_clone((tn_array *)context, &copy) == TN_OK)
            called.made = copy;
    }
}

static int64_t memory[8] = {0, 1, 2, 3, 4, 5, 6, 7};

static tn_array *import(uint32_t flags, int64_t first, int64_t n, tn_release_callback release, void *context)
{
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = &n};
    tn_array *out = NULL;
    tn_how how = 0;
    OK(tn_array_import_host(memory + first, &layout, flags, release, context, &out, &how));
    CHECK(how == TN_ALIASED);
    return out;
}

static void *end_it(void *guard)
{
    OK(tn_borrow_end(guard, 0, NULL));
    return NULL;
}

static void callbacks_run_once(void) /* RL-3, XC-8 */
{
    tn_array *other = numbers(NULL, SHAPE(2));
    memset(&called, 0, sizeof called);
    tn_array *a = import(TN_BORROW, 0, 4, on_release, other);
    tn_borrow *guard = reading(a);
    drop(a);
    CHECK(called.runs == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_it, guard) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(called.runs == 1 && pthread_equal(called.thread, thread));
    CHECK(called.made != NULL && HOLDS(called.made, 0, 1));
    drop(called.made);
    drop(other);

    memset(&called, 0, sizeof called);
    a = import(TN_TAKE_OWNERSHIP, 0, 4, on_release, NULL);
    tn_array *twin = clone(a);
    drop(a);
    CHECK(called.runs == 0);
    drop(twin);
    CHECK(called.runs == 1 && pthread_equal(called.thread, pthread_self()));
}

static void strict_mode(void) /* RL-4 */
{
    char text[16] = "";
    size_t length = 0;
    OK(tn_option_set("strict", "1"));
    OK(tn_option_get("strict", sizeof text, text, &length));
    CHECK(length == strlen(text) && strcmp(text, "1") == 0);

    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a);
    tn_promise *p = give(a);
    FAILS(tn_array_release(a), TN_ERR_GIVEN);
    CHECK(state_of(a) == TN_ERR_GIVEN && claims(twin) == 2);
    OK(tn_promise_release(p));
    tn_borrow *guard = reading(a);
    FAILS(tn_array_release(a), TN_ERR_BORROWED);
    CHECK(state_of(a) == TN_OK && count_holders(a, TN_HOLDER_GUARD_READ) == 1);
    end(guard);
    guard = writing(a, 0);
    FAILS(tn_array_release(a), TN_ERR_BORROWED_WRITE);
    end(guard);
    guard = exporting(a, XS);
    FAILS(tn_array_release(a), TN_ERR_EXPORTED);
    CHECK(claims(a) == 2);
    end(guard);
    guard = reading(twin); /* another handle's guard is no reason */
    drop(a);
    FAILS(tn_array_release(twin), TN_ERR_BORROWED);
    end(guard);
    drop(twin);
    /* a destructed handle can be released */
    a = destructed();
    drop(a);

    OK(tn_option_set("strict", "0"));
    a = numbers(NULL, SHAPE(4));
    guard = reading(a);
    drop(a);
    end(guard);
}

static void weak_handles(void) /* RL-5, RL-6, RL-7 */
{
    tn_pool *pool = own_pool("rl-5");
    tn_array *a = numbers(pool, SHAPE(2, 3)), *view = block(a, TN_NONE, TN_NONE, 1, TN_NONE, TN_NONE, -2),
        *out = UNTOUCHED;
    tn_weak *weak = NULL;
    OK(tn_array_weaken(view, &weak));
    CHECK(claims(a) == 2 && why(a) == TN_WHY_SHARED);
    drop(view);
    CHECK(why(a) == 0); /* a weak handle claims nothing */
    OK(tn_weak_upgrade(weak, &out)); /* the handle is released, the store lives: its layout comes back */
    CHECK(claims(a) == 2 && HOLDS(out, 2, 0, 5, 3) && info_of(out).strides[1] == -16);
    drop(out);

    /* RL-6: the claim moved, the weak handle still works, and the taker's why_not shows it */
    tn_promise *p = give(a);
    tn_array *x = take(p);
    CHECK(why(x) == 0);
    OK(tn_weak_upgrade(weak, &out));
    CHECK(why(x) == TN_WHY_SHARED && !unique(x));
    drop(out);
    OK(tn_promise_release(p));
    drop(a);
    drop(x);
    CHECK(live_bytes(pool) == 0); /* RL-5 */
    out = UNTOUCHED;
    FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED);
    CHECK(out == UNTOUCHED);
    OK(tn_weak_release(weak));
    FAILS(tn_weak_release(weak), TN_ERR_STALE);
    FAILS(tn_weak_upgrade(weak, &out), TN_ERR_STALE);

    /* RL-7: held bytes are dead to a weak handle, also when an import joins them again */
    a = numbers(pool, SHAPE(4));
    int64_t *bytes = address(a);
    OK(tn_array_weaken(a, &weak));
    tn_borrow *guard = exporting(a, XR);
    drop(a);
    FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED);
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){4}};
    tn_array *joined = NULL;
    tn_how how = 0;
    OK(tn_array_import_host(bytes, &layout, TN_BORROW, NULL, NULL, &joined, &how));
    CHECK(how == TN_ALIASED && live_bytes(pool) == 32 && held_bytes(pool) == 0);
    FAILS(tn_weak_upgrade(weak, &out), TN_ERR_DESTRUCTED);
    CHECK(out == UNTOUCHED);
    end(guard);
    drop(joined);
    CHECK(live_bytes(pool) == 0);
    OK(tn_weak_release(weak));
    OK(tn_pool_release(pool));
}

static int sequence[8], sequence_length;

static void note(void *context)
{
    sequence[sequence_length++ % 8] = (int)(intptr_t)context;
}

static void imports_again(void *context)
{
    note(context);
    drop(import(TN_BORROW | TN_RELEASE_QUEUED, 6, 2, note, (void *)(intptr_t)9));
}

static uint64_t queued_now(void)
{
    tn_device_info info = {.size = sizeof info};
    OK(tn_device_query(HOST, 0, &info));
    return info.queued_releases;
}

static size_t leaks_of_kind(tn_holder_kind kind)
{
    tn_holder leaks[MAX_HOLDERS];
    size_t count = 0, found = 0;
    OK(tn_leaks(sizeof(tn_holder), MAX_HOLDERS, leaks, &count));
    for (size_t i = 0; i < count && i < MAX_HOLDERS; i++)
        found += leaks[i].kind == kind;
    return found;
}

static void queued_callbacks(void) /* RL-8, AR-25 */
{
    size_t count = 77;
    sequence_length = 0;
    OK(tn_run_releases(&count));
    CHECK(count == 0);
    tn_array *first = import(TN_BORROW | TN_RELEASE_QUEUED, 0, 2, note, (void *)(intptr_t)1);
    tn_array *second = import(TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, 2, 2, note, (void *)(intptr_t)2);
    tn_array *third = import(TN_BORROW | TN_RELEASE_QUEUED, 4, 2, imports_again, (void *)(intptr_t)3);
    uint64_t before = queued_now();
    drop(second);
    drop(first);
    drop(third);
    CHECK(sequence_length == 0 && queued_now() == before + 3 && leaks_of_kind(TN_HOLDER_QUEUED_RELEASE) == 3);
    /* the bytes were given up when they were queued: they can be imported again, without a join */
    tn_array *again = import(TN_TAKE_OWNERSHIP, 2, 2, note, (void *)(intptr_t)4);
    CHECK(why(again) == 0);
    drop(again);
    CHECK(sequence_length == 1 && sequence[0] == 4);
    /* copied at once: the callback still runs only on request */
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){2}};
    tn_how how = 0;
    OK(tn_array_import_host(memory, &layout, TN_RELEASE_QUEUED, note, (void *)(intptr_t)5, &again, &how));
    CHECK(how == TN_COPIED && sequence_length == 1);
    drop(again);

    OK(tn_run_releases(&count));
    CHECK(count == 4 && sequence_length == 5);
    const int expected[5] = {4, 2, 1, 3, 5};
    for (int i = 0; i < 5; i++)
        CHECK(sequence[i] == expected[i]);
    CHECK(queued_now() == before + 1); /* releases that were queued meanwhile wait for the next call */
    OK(tn_run_releases(NULL));
    CHECK(sequence_length == 6 && sequence[5] == 9 && queued_now() == before &&
          leaks_of_kind(TN_HOLDER_QUEUED_RELEASE) == 0);
    OK(tn_run_releases(&count));
    CHECK(count == 0);
}

static void holders_of_an_address(void) /* WN-10, I16 */
{
    tn_pool *pool = own_pool("wn-10");
    tn_array *a = numbers(pool, SHAPE(6)), *tail = part(a, 3, 6, 1);
    OK(tn_array_set_name(a, "asked"));
    int64_t *bytes = address(a);
    tn_store_info store = {.size = sizeof store};
    tn_holder holders[8];
    size_t n = 0;
    tn_borrow *guard = reading(tail);
    OK(tn_holders_of(bytes + 1, 8, sizeof(tn_holder), 8, &store, holders, &n));
    CHECK(store.address == (uint64_t)(uintptr_t)bytes && store.bytes == 48 && store.device.type == TN_CPU);
    CHECK(strcmp(store.pool_name, "wn-10") == 0 && (store.flags & (TN_FOREIGN | TN_READONLY)) == 0);
    CHECK(n == 2 && holders[0].kind == TN_HOLDER_HANDLE && holders[1].kind == TN_HOLDER_HANDLE);
    CHECK(strcmp(holders[0].name, "asked") == 0 || strcmp(holders[1].name, "asked") == 0);
    OK(tn_holders_of(bytes, 48, sizeof(tn_holder), 8, NULL, holders, &n)); /* the guard's bytes are among them now */
    CHECK(n == 3);
    end(guard);
    uint64_t version = store.version;
    fill_i64(tail, 1);
    OK(tn_holders_of(bytes, 8, sizeof(tn_holder), 0, &store, NULL, &n));
    CHECK(n == 2 && store.version > version);

    n = 77;
    memset(holders, 0x5a, sizeof holders);
    tn_holder canary = holders[0];
    FAILS(tn_holders_of(bytes, 0, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_INVALID);
    FAILS(tn_holders_of(NULL, 8, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_NULL);
    FAILS(tn_holders_of(&n, 8, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_FOREIGN);
    FAILS(tn_holders_of((void *)(uintptr_t)16, 8, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_FOREIGN);
    FAILS(tn_holders_of(bytes, 8, sizeof(tn_holder), 8, &store, NULL, &n), TN_ERR_NULL);
    FAILS(tn_holders_of(bytes, 8, sizeof(tn_holder), 8, &store, holders, NULL), TN_ERR_NULL);
    CHECK(n == 77 && memcmp(holders, &canary, sizeof canary) == 0);

    /* borrowed bytes; a range over two stores */
    tn_array *left = import(TN_TAKE_OWNERSHIP, 0, 4, note, NULL), *right = import(TN_BORROW, 4, 4, NULL, NULL);
    OK(tn_holders_of(memory + 5, 8, sizeof(tn_holder), 8, &store, holders, &n));
    CHECK(n == 1 && (store.flags & TN_FOREIGN) && store.pool_name[0] == 0 && store.bytes == 32);
    n = 77;
    FAILS(tn_holders_of(memory + 3, 16, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_ALIASED);
    CHECK(n == 77);
    drop(left);
    drop(right);
    FAILS(tn_holders_of(memory + 3, 16, sizeof(tn_holder), 8, &store, holders, &n), TN_ERR_FOREIGN);

    /* a raw block is one holder */
    void *raw = NULL;
    OK(tn_pool_allocate(pool, 100, 0, NULL, &raw));
    OK(tn_holders_of((char *)raw + 50, 1, sizeof(tn_holder), 8, &store, holders, &n));
    CHECK(n == 1 && holders[0].kind == TN_HOLDER_BLOCK && holders[0].id == (uint64_t)(uintptr_t)raw);
    CHECK(strcmp(store.pool_name, "wn-10") == 0 && store.address == (uint64_t)(uintptr_t)raw);
    OK(tn_pool_deallocate(pool, raw, NULL));
    drop(a);
    drop(tail);
    OK(tn_pool_release(pool));
}

static void leaks(void) /* the list of tn_leaks; each entry goes with its release */
{
    size_t count = 77;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &count));
    CHECK(count == 0);
    OK(tn_here("leak.c", 5));
    tn_pool *pool = own_pool("leaky");
    tn_array *a = numbers(pool, SHAPE(4)), *twin = clone(a);
    OK(tn_here(NULL, 0));
    OK(tn_array_set_name(a, "forgotten"));
    tn_weak *weak = NULL;
    OK(tn_array_weaken(a, &weak));
    tn_promise *p = give(twin);
    tn_borrow *guard = reading(a), *writer = NULL, *export = NULL;
    tn_array *b = numbers(pool, SHAPE(2));
    writer = writing(b, 0);
    tn_array *c = numbers(pool, SHAPE(2));
    export = exporting(c, XW);
    void *raw = NULL;
    OK(tn_pool_allocate(pool, 64, 0, NULL, &raw));

    CHECK(leaks_of_kind(TN_HOLDER_HANDLE) == 4 && leaks_of_kind(TN_HOLDER_WEAK) == 1);
    CHECK(leaks_of_kind(TN_HOLDER_PROMISE) == 1 && leaks_of_kind(TN_HOLDER_POOL) == 1);
    CHECK(leaks_of_kind(TN_HOLDER_GUARD_READ) == 1 && leaks_of_kind(TN_HOLDER_GUARD_WRITE) == 1);
    CHECK(leaks_of_kind(TN_HOLDER_EXPORT_EXCLUSIVE) == 1 && leaks_of_kind(TN_HOLDER_BLOCK) == 1);
    tn_holder all[MAX_HOLDERS], few[3];
    OK(tn_leaks(sizeof(tn_holder), MAX_HOLDERS, all, &count));
    CHECK(count == 11);
    int named = 0;
    for (size_t i = 0; i < count && i < MAX_HOLDERS; i++)
        named += all[i].kind == TN_HOLDER_HANDLE && strcmp(all[i].name, "forgotten") == 0 &&
                 strcmp(all[i].site, "leak.c:5") == 0 && all[i].bytes == 32 && all[i].thread == (uint64_t)getpid();
    CHECK(named == 1);
    memset(few, 0x5a, sizeof few);
    tn_holder canary = few[2];
    count = 0;
    OK(tn_leaks(sizeof(tn_holder), 2, few, &count));
    CHECK(count == 11 && memcmp(&few[2], &canary, sizeof canary) == 0);
    FAILS(tn_leaks(sizeof(tn_holder), 2, few, NULL), TN_ERR_NULL);
    count = 77;
    FAILS(tn_leaks(sizeof(tn_holder), 2, NULL, &count), TN_ERR_NULL);
    CHECK(count == 77);

    drop(a);
    CHECK(leaks_of_kind(TN_HOLDER_HANDLE) == 3);
    OK(tn_weak_release(weak));
    OK(tn_promise_release(p));
    end(guard);
    end(writer);
    end(export);
    drop(twin);
    drop(b);
    drop(c);
    OK(tn_pool_release(pool)); /* its last block is still allocated: listed under the pool's name (PO-8) */
    OK(tn_leaks(sizeof(tn_holder), MAX_HOLDERS, all, &count));
    CHECK(count == 1 && all[0].kind == TN_HOLDER_BLOCK && strcmp(all[0].name, "leaky") == 0);
    OK(tn_pool_deallocate(NULL, raw, NULL));
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &count));
    CHECK(count == 0);
}

int main(void)
{
    last_one_out();
    callbacks_run_once();
    strict_mode();
    weak_handles();
    queued_callbacks();
    holders_of_an_address();
    leaks();
    return finish();
}
