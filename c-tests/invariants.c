/*
 * invariants.c - the invariants after every call (I1 to I14): random calls on a few small stores, with a tally of the successful ones. The
 * tally predicts no status; it says which states are possible.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"

#define STORES   3
#define HANDLES  16
#define PROMISES 6
#define GUARDS   8
#define ROWS     4 /* regions are ranges of rows, as bit masks */

enum { NONE, LIVE, GIVEN, DESTRUCTED, LEFT /* released while given: its promises keep the claim */ };

#define POISONED 16
static struct {
    int used;
    int poison[POISONED]; /* the rows of each poisoned region; 0 if there is none */
} stores[STORES];
static struct {
    tn_array *id;
    int state, store, rows;
    uint32_t required, given;
} handles[HANDLES];
static struct {
    tn_promise *id;
    int outstanding, handle;
} promises[PROMISES];
static struct {
    tn_borrow *id;
    const int64_t *data;
    int kind, store, rows, handle, discard, frozen;
} guards[GUARDS];

static tn_pool *pool;
static uint64_t random_state;

static int below(int n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

static int claims_of(int store)
{
    int n = 0;
    for (int h = 0; h < HANDLES; h++)
        n += handles[h].store == store && (handles[h].state == LIVE || handles[h].state == GIVEN ||
                                           handles[h].state == LEFT);
    return n;
}

static int guards_of(int store)
{
    int n = 0;
    for (int g = 0; g < GUARDS; g++)
        n += guards[g].id != NULL && guards[g].store == store;
    return n;
}

static int is_poisoned(int store, int rows)
{
    int met = 0;
    for (int k = 0; k < POISONED; k++)
        met |= stores[store].poison[k] & rows;
    return met != 0;
}

static void add_poison(int store, int rows)
{
    int k = 0;
    while (k < POISONED - 1 && stores[store].poison[k] != 0 && stores[store].poison[k] != rows)
        k++;
    stores[store].poison[k] = rows;
}

/* A writer that needed none of the old contents wrote these rows: regions inside them are healed. */
static void remove_poison(int store, int rows)
{
    for (int k = 0; k < POISONED; k++)
        if ((stores[store].poison[k] & ~rows) == 0)
            stores[store].poison[k] = 0;
}

static int is_export(int kind)
{
    return kind >= TN_HOLDER_EXPORT_READ && kind <= TN_HOLDER_EXPORT_EXCLUSIVE;
}

/* Whether two overlapping guards may be open at the same time (I3). */
static int agree(int a, int b)
{
    int x = guards[a].kind, y = guards[b].kind;
    if (x == TN_HOLDER_EXPORT_EXCLUSIVE || y == TN_HOLDER_EXPORT_EXCLUSIVE)
        return 0;
    if (x == TN_HOLDER_GUARD_WRITE || y == TN_HOLDER_GUARD_WRITE) {
        int other = x == TN_HOLDER_GUARD_WRITE ? y : x;
        return other == TN_HOLDER_EXPORT_SHARED;
    }
    if (x == TN_HOLDER_EXPORT_SHARED || y == TN_HOLDER_EXPORT_SHARED)
        return !guards[a].frozen && !guards[b].frozen;
    return 1;
}

static void look(void)
{
    uint64_t live = 0, held = 0, bytes = ROWS * 2 * sizeof(int64_t);
    for (int s = 0; s < STORES; s++) {
        stores[s].used = claims_of(s) + guards_of(s) > 0; /* I2 */
        if (!stores[s].used)
            memset(stores[s].poison, 0, sizeof stores[s].poison);
        live += stores[s].used ? bytes : 0;
        held += stores[s].used && claims_of(s) == 0 ? bytes : 0;
    }
    CHECK(live_bytes(pool) == live && held_bytes(pool) == held); /* I2, I11 */
    for (int a = 0; a < GUARDS; a++)
        for (int b = 0; guards[a].id != NULL && b < a; b++)
            if (guards[b].id != NULL && guards[a].store == guards[b].store && (guards[a].rows & guards[b].rows))
                CHECK(agree(a, b)); /* I3 */
    for (int g = 0; g < GUARDS; g++)
        if (guards[g].id != NULL && guards[g].kind == TN_HOLDER_GUARD_READ)
            /* I4 */
            CHECK(guards[g].data[0] >= 1000 * guards[g].store && guards[g].data[0] < 1000 * (guards[g].store + 1));
    for (int h = 0; h < HANDLES; h++) {
        int store = handles[h].store;
        uint32_t outstanding = 0;
        for (int p = 0; p < PROMISES; p++)
            outstanding += promises[p].id != NULL && promises[p].outstanding && promises[p].handle == h;
        switch (handles[h].state) {
        case NONE:
            if (handles[h].id != NULL)
                CHECK(state_of(handles[h].id) == TN_ERR_STALE); /* I14 */
            break;
        case LEFT:
            CHECK(outstanding >= 1 && outstanding <= handles[h].required); /* I5 */
            CHECK(state_of(handles[h].id) == TN_ERR_STALE);
            break;
        case DESTRUCTED: { /* I6 */
            int32_t answer = 7;
            CHECK(outstanding == 0 && state_of(handles[h].id) == TN_ERR_DESTRUCTED);
            FAILS(tn_array_is_unique(handles[h].id, &answer), TN_ERR_DESTRUCTED);
            break;
        }
        default: {
            CHECK(state_of(handles[h].id) == (handles[h].state == LIVE ? TN_OK : TN_ERR_GIVEN));
            /* I5 */
            CHECK(handles[h].state == LIVE ? outstanding == 0 : outstanding >= 1 && outstanding <= handles[h].required);
            tn_holder list[MAX_HOLDERS];
            size_t n = holders_of(handles[h].id, list), others = 0, kept = 0;
            for (size_t i = 0; i < n; i++)
                others += list[i].kind == TN_HOLDER_HANDLE;
            for (int k = 0; k < HANDLES; k++)
                kept += handles[k].store == store && handles[k].state == LEFT;
            CHECK(1 + others + kept == (size_t)claims_of(store)); /* I1 */
            uint32_t expected = handles[h].state == GIVEN ? TN_WHY_GIVEN : 0;
            if (claims_of(store) > 1)
                expected |= TN_WHY_SHARED;
            if (is_poisoned(store, handles[h].rows))
                expected |= TN_WHY_POISONED;
            for (int g = 0; g < GUARDS; g++)
                if (guards[g].id != NULL && guards[g].store == store)
                    expected |= is_export(guards[g].kind)              ? TN_WHY_EXPORTED
                                : (guards[g].rows & handles[h].rows) ? TN_WHY_BORROWED
                                                                      : 0;
            uint32_t bits = why(handles[h].id);
            CHECK(bits == expected);
            CHECK(unique(handles[h].id) ==
                  ((bits & (TN_WHY_GIVEN | TN_WHY_SHARED | TN_WHY_EXPORTED | TN_WHY_BORROWED)) == 0)); /* I8 */
            CHECK((try_write(handles[h].id, TN_WRITE_UNIQUE) == TN_OK) == (bits == 0));                   /* I9 */
        }
        }
    }
}

static int free_handle(void)
{
    for (int h = 0; h < HANDLES; h++)
        if (handles[h].state == NONE)
            return h;
    return -1;
}

static int add_handle(tn_array *id, int store, int rows)
{
    int h = free_handle();
    handles[h].id = id;
    handles[h].state = LIVE;
    handles[h].store = store;
    handles[h].rows = rows;
    handles[h].required = handles[h].given = 0;
    return h;
}

/* A promise of the handle is used up or cancelled. */
static void one_promise_less(int h)
{
    handles[h].given--;
    if (handles[h].given == 0)
        handles[h].state = handles[h].state == LEFT ? NONE : LIVE;
}

static void create(void)
{
    for (int s = 0; s < STORES; s++)
        if (!stores[s].used && free_handle() >= 0) {
            tn_array *a = empty(pool, TN_I64, SHAPE(ROWS, 2));
            fill_i64(a, 1000 * s);
            add_handle(a, s, (1 << ROWS) - 1);
            return;
        }
}

static void derive(int h)
{
    tn_array *out = UNTOUCHED;
    if (free_handle() < 0)
        return;
    int low = 0;
    while (handles[h].state == LIVE && !(handles[h].rows & 1 << low))
        low++;
    int n = 0;
    while (handles[h].rows & 1 << (low + n))
        n++;
    int start = n > 0 ? below(n) : 0, length = n > 0 ? 1 + below(n - start) : 1;
    tn_slice_spec spec = TN_SLICE(start, start + length, 1);
    tn_status status = tn_array_slice(handles[h].id, 1, &spec, &out);
    CHECK((status == TN_OK) == (handles[h].state == LIVE)); /* checks no guard, export or poison */
    if (status == TN_OK)
        add_handle(out, handles[h].store, ((1 << length) - 1) << (low + start));
}

static void release(int h)
{
    tn_status status = tn_array_release(handles[h].id);
    CHECK((status == TN_OK) == (handles[h].state != NONE && handles[h].state != LEFT)); /* I14 */
    if (status == TN_OK)
        handles[h].state = handles[h].state == GIVEN ? LEFT : NONE;
}

static void give_away(int h)
{
    tn_promise *id = UNTOUCHED;
    uint32_t required = 1 + (uint32_t)below(2);
    int p = 0;
    while (p < PROMISES && promises[p].id != NULL)
        p++;
    if (p == PROMISES || tn_array_give(handles[h].id, required, &id) != TN_OK)
        return;
    CHECK(handles[h].state == LIVE || handles[h].state == GIVEN);
    if (handles[h].state == LIVE)
        handles[h].required = 0;
    handles[h].state = GIVEN;
    handles[h].required = handles[h].required > required ? handles[h].required : required;
    handles[h].given++;
    promises[p].id = id;
    promises[p].outstanding = 1;
    promises[p].handle = h;
}

static void end_promise(int p, int by_release)
{
    if (promises[p].id == NULL)
        return;
    tn_status status = by_release ? tn_promise_release(promises[p].id) : tn_promise_cancel(promises[p].id);
    CHECK(status == (by_release || promises[p].outstanding ? TN_OK : TN_ERR_DESTRUCTED));
    if (status == TN_OK && promises[p].outstanding)
        one_promise_less(promises[p].handle);
    promises[p].outstanding = 0;
    if (by_release)
        promises[p].id = NULL;
}

static void take_some(void)
{
    int first = below(PROMISES), second = below(PROMISES), n = 1 + below(2), before[STORES];
    for (int p = 0; p < PROMISES && below(4) != 0; p++) /* mostly valid ones, and two of one handle if possible */
        if (promises[p].id != NULL && promises[p].outstanding) {
            if (promises[first].id == NULL || !promises[first].outstanding)
                first = p;
            else if (p != first && promises[p].handle == promises[first].handle)
                second = p;
        }
    int list[2] = {first, second};
    tn_promise *ids[2] = {promises[first].id, promises[second].id};
    tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
    int room = 0;
    for (int h = 0; h < HANDLES; h++)
        room += handles[h].state == NONE;
    if (room < 2)
        return;
    for (int s = 0; s < STORES; s++)
        before[s] = claims_of(s);
    if (tn_take((size_t)n, ids, out) != TN_OK) {
        CHECK(out[0] == UNTOUCHED && out[1] == UNTOUCHED);
        return;
    }
    /* all required promises were taken: the claim moves to the leftmost, and the giver is destructed */
    for (int i = 0; i < n; i++) {
        int h = promises[list[i]].handle;
        uint32_t arrived = 0;
        for (int k = 0; k < n; k++)
            arrived += promises[list[k]].handle == h && promises[list[k]].outstanding;
        int moves = arrived == handles[h].required;
        for (int k = 0; k < n; k++)
            if (promises[list[k]].handle == h && promises[list[k]].outstanding) {
                add_handle(out[k], handles[h].store, handles[h].rows);
                promises[list[k]].outstanding = 0;
                if (!moves)
                    one_promise_less(h);
            }
        if (moves) {
            handles[h].given = 0;
            handles[h].state = handles[h].state == LEFT ? NONE : DESTRUCTED;
        }
    }
    for (int s = 0; s < STORES; s++) /* I10; a clone of a handle that its giver had released takes over its claim */
        CHECK(claims_of(s) >= before[s]);
}

static void open_guard(int h)
{
    int g = 0, rows = handles[h].rows, store = handles[h].store;
    while (g < GUARDS && guards[g].id != NULL)
        g++;
    if (g == GUARDS)
        return;
    tn_borrow *id = UNTOUCHED;
    const void *data = NULL;
    void *writable = NULL;
    tn_view_info view = {0};
    tn_array *a = handles[h].id;
    int kind = TN_HOLDER_EXPORT_READ + below(5), discard = 0, frozen = 0;
    tn_status status;
    if (kind == TN_HOLDER_GUARD_READ) {
        frozen = below(3) == 0;
        status = tn_array_borrow_read(a, frozen ? TN_FROZEN : 0, NULL, &data, NULL, &id);
        if (status == TN_OK)
            CHECK(!is_poisoned(store, rows)); /* I13 */
    } else if (kind == TN_HOLDER_GUARD_WRITE) {
        discard = below(2);
        status = tn_array_borrow_write(a, (discard ? TN_WRITE_DISCARD : 0) | (below(3) == 0 ? TN_WRITE_UNIQUE : 0),
                                       NULL, &writable,
                                       NULL, &id);
    } else {
        static const uint32_t classes[3] = {XR, XS, XW};
        status = tn_array_export_host(a, classes[kind - TN_HOLDER_EXPORT_READ], 0, NULL, &view, &id, NULL);
        if (status == TN_OK)
            CHECK(!is_poisoned(store, rows)); /* I13 */
    }
    CHECK(status == TN_OK || id == UNTOUCHED);
    if (status != TN_OK)
        return;
    CHECK(handles[h].state == LIVE);
    guards[g].id = id;
    guards[g].data = data;
    guards[g].kind = kind;
    guards[g].store = store;
    guards[g].rows = rows;
    guards[g].discard = discard;
    guards[g].frozen = frozen;
}

static void end_guard(int g)
{
    if (guards[g].id == NULL)
        return;
    int failed = guards[g].kind == TN_HOLDER_GUARD_WRITE && below(4) == 0;
    OK(tn_borrow_end(guards[g].id, failed ? TN_END_FAILED : 0, NULL));
    if (failed)
        add_poison(guards[g].store, guards[g].rows);
    else if (guards[g].kind == TN_HOLDER_GUARD_WRITE && guards[g].discard)
        remove_poison(guards[g].store, guards[g].rows);
    FAILS(tn_borrow_end(guards[g].id, 0, NULL), TN_ERR_STALE); /* I14 */
    guards[g].id = NULL;
}

static void heal(int store)
{
    for (int h = 0; h < HANDLES; h++)
        if (handles[h].store == store && handles[h].state == LIVE && handles[h].rows == (1 << ROWS) - 1) {
            int64_t value = 1000 * store + below(999);
            if (tn_array_fill(handles[h].id, &value, 0, NULL) == TN_OK)
                remove_poison(store, handles[h].rows);
            return;
        }
}

static void everything_goes(void) /* I12 */
{
    for (int g = 0; g < GUARDS; g++)
        end_guard(g);
    for (int p = 0; p < PROMISES; p++)
        end_promise(p, 1);
    for (int h = 0; h < HANDLES; h++)
        if (handles[h].state != NONE)
            release(h);
    look();
    CHECK(live_bytes(pool) == 0 && held_bytes(pool) == 0);
}

static void random_calls(void) /* I1 to I6, I8 to I14 */
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        memset(handles, 0, sizeof handles);
        for (int step = 0; step < rounds(300); step++) {
            int h = below(HANDLES), before = check_failures;
            for (int tries = 0; tries < HANDLES && handles[h].state == NONE && below(10) != 0; tries++)
                h = (h + 1) % HANDLES; /* mostly a live one, sometimes a stale one */
            int used = handles[h].id != NULL, there = handles[h].state != NONE && handles[h].state != LEFT;
            int what = below(20);
            if (what < 2)
                create();
            else if (what < 5 && there)
                derive(h);
            else if (what < 7 && used)
                release(h);
            else if (what < 9 && used)
                give_away(h);
            else if (what < 10) {
                int p = below(PROMISES);
                end_promise(p, !promises[p].outstanding || below(2));
            } else if (what < 12)
                take_some();
            else if (what < 16 && there)
                open_guard(h);
            else if (what < 19)
                end_guard(below(GUARDS));
            else
                heal(below(STORES));
            look();
            if (check_failures != before) {
                fprintf(stderr, "seed %llu, step %d\n", (unsigned long long)seed, step);
                return;
            }
        }
        everything_goes();
    }
}

int main(void)
{
    pool = own_pool("invariants");
    random_calls();
    OK(tn_pool_release(pool));
    return finish();
}
