/*
 * copies.c - the copy book: which copies are counted, under which key, and how a thread forbids copies (CP-1, CP-2, CP-3, CP-5, BR-51).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <pthread.h>

static tn_copy_site *book;
static size_t book_length;

static void read_book(void)
{
    size_t n = 0;
    OK(tn_copies_query(sizeof(tn_copy_site), 0, NULL, &n));
    free(book);
    book = malloc((n + 1) * sizeof *book);
    OK(tn_copies_query(sizeof(tn_copy_site), n, book, &book_length));
    CHECK(book_length == n);
}

static tn_copy_site entry(const char *function, const char *site, uint32_t reasons)
{
    tn_copy_site none = {.count = 0};
    read_book();
    for (size_t i = 0; i < book_length; i++)
        if (strcmp(book[i].function, function) == 0 && strcmp(book[i].site, site) == 0 && book[i].why == reasons)
            return book[i];
    return none;
}

static uint64_t all_counts(void)
{
    uint64_t sum = 0;
    read_book();
    for (size_t i = 0; i < book_length; i++)
        sum += book[i].count;
    return sum;
}

static int64_t memory[16];

static tn_array *import(void *ptr, uint32_t flags)
{
    return array_of(ptr, flags, NULL, NULL, SHAPE(4));
}

static void counted(void) /* CP-1, CP-2 */
{
    OK(tn_here("book.c", 10));
    uint64_t before = all_counts();
    drop(import(memory, 0)); /* a copy is the call's contract */
    tn_copy_site one = entry("tn_array_import_host", "book.c:10", 0);
    CHECK(one.count == 1 && one.bytes == 32 && one.forced == 0 && all_counts() == before + 1);
    drop(import(memory, 0));
    one = entry("tn_array_import_host", "book.c:10", 0);
    CHECK(one.count == 2 && one.bytes == 64 && all_counts() == before + 2);

    OK(tn_here("book.c", 11)); /* another site, another entry */
    drop(import((char *)memory + 1, TN_BORROW));
    one = entry("tn_array_import_host", "book.c:11", TN_WHY_LAYOUT);
    CHECK(one.count == 1 && one.bytes == 32 && one.forced == 1 && all_counts() == before + 3);
    CHECK(entry("tn_array_import_host", "book.c:10", 0).count == 2);

    /* an export */
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a), *copy = NULL, *out = NULL;
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_export_host(a, 0, 0, NULL, &view, &guard, NULL));
    end(guard);
    one = entry("tn_array_export_host", "book.c:11", 0);
    CHECK(one.count == 1 && one.bytes == 32 && one.forced == 0);

    /* COW that moved, with its reasons (BR-51) */
    end(writing(a, TN_WRITE_COW));
    one = entry("tn_array_borrow_write", "book.c:11", TN_WHY_SHARED);
    CHECK(one.count == 1 && one.bytes == 32 && one.forced == 1);
    before = all_counts();
    end(writing(a, TN_WRITE_COW)); /* in place: neither counted nor a copy */
    CHECK(all_counts() == before);
    drop(a);
    a = clone(twin);
    guard = exporting(twin, XR);
    int64_t value = 3;
    OK(tn_array_fill(a, &value, TN_WRITE_COW, NULL)); /* moved, but no byte was copied */
    one = entry("tn_array_fill", "book.c:11", TN_WHY_SHARED | TN_WHY_EXPORTED);
    CHECK(one.count == 1 && one.bytes == 0 && one.forced == 1 && all_counts() == before + 1);
    end(guard);

    /* calls that are no copies */
    before = all_counts();
    drop(import(memory, TN_BORROW));
    end(exporting(a, XS));
    OK(tn_array_copy(a, NULL, NULL, &copy));
    OK(tn_array_copy_into(a, twin, 0, NULL));
    OK(tn_array_copy_to_host(a, memory, NULL, NULL));
    OK(tn_array_copy_from_host(a, memory, NULL, 0, NULL));
    OK(tn_array_to_device(a, HOST, NULL, NULL, &out));
    CHECK(all_counts() == before);
    drop(copy);
    drop(out);
    drop(a);
    drop(twin);
    OK(tn_here(NULL, 0));
    before = entry("tn_array_import_host", "", 0).count;
    drop(import(memory, 0));
    CHECK(entry("tn_array_import_host", "", 0).count == before + 1);

    /* most bytes first; capacity and count as in every list */
    read_book();
    for (size_t i = 1; i < book_length; i++)
        CHECK(book[i - 1].bytes >= book[i].bytes);
    CHECK(book_length >= 5);
    tn_copy_site few[3];
    memset(few, 0x5a, sizeof few);
    tn_copy_site canary = few[2];
    size_t n = 0;
    OK(tn_copies_query(sizeof(tn_copy_site), 2, few, &n));
    CHECK(n == book_length && few[0].bytes == book[0].bytes && memcmp(&few[2], &canary, sizeof canary) == 0);
    n = 77;
    FAILS(tn_copies_query(sizeof(tn_copy_site), 2, NULL, &n), TN_ERR_NULL);
    FAILS(tn_copies_query(sizeof(tn_copy_site), 2, few, NULL), TN_ERR_NULL);
    CHECK(n == 77);
}

static tn_status elsewhere;

static void *copies_elsewhere(void *array)
{
    tn_borrow *guard = NULL;
    elsewhere = tn_array_borrow_write(array, TN_WRITE_COW, NULL, NULL, NULL, &guard);
    if (elsewhere == TN_OK)
        end(guard);
    return NULL;
}

static void forbidden(void) /* CP-3, BR-51 */
{
    tn_array *a = numbers(NULL, SHAPE(4)), *twin = clone(a), *out = UNTOUCHED;
    OK(tn_array_set_name(twin, "obstacle"));
    void *old = address(a);
    uint64_t before = all_counts();
    tn_how how = 77;
    FAILS(tn_copies_forbid(0), TN_ERR_INVALID);
    OK(tn_copies_forbid(1));
    OK(tn_copies_forbid(1));
    for (int depth = 2; depth > 0; depth--) {
        CHECK(try_write(a, TN_WRITE_COW) == TN_ERR_WOULD_COPY);
        CHECK(says("obstacle"));
        CHECK(try_write(a, TN_WRITE_COW | TN_WRITE_DISCARD) == TN_ERR_WOULD_COPY);
        CHECK(address(a) == old && claims(a) == 2 && why(a) == TN_WHY_SHARED);
        tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){4}};
        FAILS(tn_array_import_host((char *)memory + 1, &layout, TN_BORROW, NULL, NULL, &out, &how), TN_ERR_WOULD_COPY);
        CHECK(out == UNTOUCHED && how == 77);
        OK(tn_copies_forbid(0));
    }
    CHECK(all_counts() == before);
    FAILS(tn_copies_forbid(0), TN_ERR_INVALID);
    FAILS(tn_copies_forbid(2), TN_ERR_INVALID);

    /* requested copies succeed, and so do calls that need no copy */
    OK(tn_copies_forbid(1));
    drop(import(memory, 0));
    drop(import(memory, TN_BORROW));
    OK(tn_array_copy(a, NULL, NULL, &out));
    drop(out);
    CHECK(all_counts() == before + 1);
    /* other threads may copy */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, copies_elsewhere, a) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(elsewhere == TN_OK && why(a) == 0 && address(a) != old);
    CHECK(try_write(a, TN_WRITE_COW) == TN_OK); /* unshared now: in place */
    OK(tn_copies_forbid(0));
    drop(a);
    drop(twin);
}

static void *count_from_a_thread(void *unused)
{
    (void)unused;
    OK(tn_here("many.c", 1));
    for (int i = 0; i < 500; i++)
        drop(import(memory, 0));
    return NULL;
}

static void added_up_over_threads(void) /* CP-1 */
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, count_from_a_thread, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    tn_copy_site one = entry("tn_array_import_host", "many.c:1", 0);
    CHECK(one.count == 2000 && one.bytes == 64000);
}

static void a_fixed_number_of_places(void) /* CP-5 */
{
    if (rounds(10) != 10) /* it takes thousands of keys, also on slow machines */
        return;
    uint64_t before = all_counts();
    for (int line = 0; line < 5000; line++) {
        OK(tn_here("filler.c", line));
        drop(import(memory, 0));
    }
    OK(tn_here(NULL, 0));
    CHECK(all_counts() == before + 5000); /* nothing is lost: the rest is counted in one entry */
    CHECK(book_length > 4000 && book_length <= 4097); /* a key that finds no place near its own is counted there too */
    int other = 0;
    for (size_t i = 0; i < book_length; i++)
        other += strcmp(book[i].function, "other") == 0 || strcmp(book[i].site, "other") == 0;
    CHECK(other == 1);
    /* keys with an entry keep it */
    uint64_t count = entry("tn_array_import_host", "filler.c:0", 0).count;
    OK(tn_here("filler.c", 0));
    drop(import(memory, 0));
    OK(tn_here(NULL, 0));
    CHECK(count == 1 && entry("tn_array_import_host", "filler.c:0", 0).count == 2);
}

int main(void)
{
    counted();
    forbidden();
    added_up_over_threads();
    a_fixed_number_of_places();
    free(book);
    return finish();
}
