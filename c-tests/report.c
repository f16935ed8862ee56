/*
 * report.c - holders: tn_report_json, the page of tn_report_html, the holders of an address, and the messages of a pool without memory (PO-38, PO-45, AL-23, WN-10).
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <unistd.h>

static char *text;
static size_t room;

/* The report, in a static buffer. */
static const char *report(void)
{
    size_t length = room;
    for (;;) {
        OK(tn_report_json(0, room, text, &length));
        if (length < room)
            break;
        CHECK(room == 0 || strlen(text) == room - 1);
        room = 2 * length;
        text = realloc(text, room);
    }
    CHECK(strlen(text) == length);
    return text;
}

static int reports(const char *part)
{
    return strstr(report(), part) != NULL;
}

/* The part of the report after `from` and before the next `to`. */
static int between(const char *from, const char *to, const char *part)
{
    const char *begin = strstr(report(), from);
    if (begin == NULL)
        return 0;
    const char *end = strstr(begin, to), *found = strstr(begin, part);
    return found != NULL && (end == NULL || found < end);
}

/* Quotes are escaped, braces and brackets are balanced. */
static int is_balanced(const char *json)
{
    int depth = 0, quoted = 0;
    for (; *json != 0; json++) {
        if (quoted && *json == '\\')
            json++;
        else if (*json == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*json == '{' || *json == '[') - (*json == '}' || *json == ']');
        if (depth < 0)
            return 0;
    }
    return depth == 0 && !quoted;
}

static void calls(void)
{
    size_t length = 7;
    char small[8] = "........";
    FAILS(tn_report_json(0, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_report_json(0, 4, NULL, &length), TN_ERR_NULL);
    FAILS(tn_report_json(1, sizeof small, small, &length), TN_ERR_INVALID);
    CHECK(length == 7 && small[0] == '.');
    OK(tn_report_json(0, 0, NULL, &length));
    CHECK(length > 100);
    OK(tn_report_json(0, sizeof small, small, &length)); /* truncated, and nothing is written past the capacity */
    CHECK(strlen(small) == sizeof small - 1 && small[0] == '{' && length > 100);
}

/* The contents of a file, or NULL. */
static char *contents(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    static char bytes[2 << 20];
    size_t length = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[length] = 0;
    CHECK(fclose(file) == 0 && length < sizeof bytes - 1);
    return bytes;
}

/* PO-66, PO-68: the page has the snapshot, in which no name ends the script; a failed call leaves the old file. */
static void page(void)
{
    char path[] = "report-XXXXXX";
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && write(descriptor, "old", 3) == 3 && close(descriptor) == 0);
    FAILS(tn_report_html(0, NULL), TN_ERR_NULL);
    FAILS(tn_report_html(1, path), TN_ERR_INVALID);
    FAILS(tn_report_html(0, "no such folder/page.html"), TN_ERR_IO);
    CHECK(says("no such folder/page.html"));
    CHECK(strcmp(contents(path), "old") == 0 && contents("no such folder/page.html") == NULL);

    tn_array *a = numbers(NULL, SHAPE(3));
    OK(tn_array_set_name(a, "</script><!-- \"&\xe2\x80\xa8"));
    OK(tn_report_html(0, path));
    char *text = contents(path);
    CHECK(strncmp(text, "<!doctype html>", 15) == 0 && strstr(text, "</html>") != NULL && strstr(text, "\"schema\":1,") != NULL);
    CHECK(strstr(text, "\"name\":\"\\u003c/script\\u003e\\u003c!-- \\\"\\u0026\\u2028\"") != NULL);
    CHECK(strstr(text, "\"dtype\":\"int64\",\"shape\":[3],\"offset\":0,\"extent_bytes\":24,\"why\":[]") != NULL);

    size_t length = 7, again = 0, room = strlen(text) + 4096;
    char small[16] = "................";
    FAILS(tn_report_html_text(0, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_report_html_text(0, 4, NULL, &length), TN_ERR_NULL);
    FAILS(tn_report_html_text(2, sizeof small, small, &length), TN_ERR_INVALID);
    CHECK(length == 7 && small[0] == '.');
    OK(tn_report_html_text(0, sizeof small, small, &length));
    CHECK(strcmp(small, "<!doctype html>") == 0 && length > 10000);
    char *whole = malloc(room);
    OK(tn_report_html_text(0, room, whole, &again));
    CHECK(again < room && strlen(whole) == again && strstr(whole, "\\u003c/script\\u003e") != NULL);
    CHECK(strcmp(strstr(whole, "</script>\n<script>"), strstr(text, "</script>\n<script>")) == 0);
    free(whole);
    drop(a);
    CHECK(remove(path) == 0);
}

/* PO-69: the map of a span of small blocks: which are live, and whose. */
static void cells(void)
{
    tn_pool *pool = own_pool("cells");
    void *blocks[40];
    for (int i = 0; i < 40; i++)
        OK(tn_pool_allocate(pool, 1000, 0, NULL, &blocks[i]));
    for (int i = 0; i < 40; i += 2)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    CHECK(between("\"name\":\"cells\"", "\"stores\"", "\"block_bytes\":1024,\"blocks\":64,\"live\":20,\"clients\":{\"raw\":20480},"));
    CHECK(between("\"name\":\"cells\"", "\"stores\"", ".b.b.b.b.b"));
    for (int i = 1; i < 40; i += 2)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    OK(tn_here("large.c", 2));
    OK(tn_pool_allocate(pool, 3 << 20, 0, NULL, &blocks[0]));
    OK(tn_here(NULL, 0));
    CHECK(between("\"name\":\"cells\"", "\"stores\"",
        "\"block_bytes\":3145728,\"blocks\":1,\"live\":1,\"clients\":{\"raw\":3145728},\"site\":\"large.c:2\",\"thread\":"));
    OK(tn_pool_deallocate(pool, blocks[0], NULL));
    OK(tn_pool_release(pool));
}

/* A program of a later header has larger items: their unknown part is zeroed. */
static void items_of_other_sizes(void)
{
    tn_array *a = numbers(NULL, SHAPE(3));
    struct later {
        tn_holder known;
        uint64_t unknown[2];
    } leaks[2];
    size_t n = 77;
    memset(leaks, 0xee, sizeof leaks);
    OK(tn_leaks(sizeof leaks[0], 2, (tn_holder *)leaks, &n));
    CHECK(n == 1 && leaks[0].known.kind == TN_HOLDER_HANDLE && leaks[0].known.id == (uint64_t)(uintptr_t)a);
    CHECK(leaks[0].unknown[0] == 0 && leaks[0].unknown[1] == 0);
    CHECK(leaks[1].unknown[0] == UINT64_C(0xeeeeeeeeeeeeeeee)); /* nothing is written past the last item */
    n = 77;
    FAILS(tn_leaks(sizeof(tn_holder) - 1, 2, (tn_holder *)leaks, &n), TN_ERR_INVALID);
    FAILS(tn_leaks(0, 1, (tn_holder *)leaks, &n), TN_ERR_INVALID);
    CHECK(n == 77);
    OK(tn_leaks(0, 0, NULL, &n)); /* no items, no size */
    CHECK(n == 1);
    tn_array *b = numbers(NULL, SHAPE(3));
    memset(leaks, 0xee, sizeof leaks);
    OK(tn_leaks(sizeof(tn_holder), 1, (tn_holder *)leaks, &n)); /* the first items, and the full count */
    CHECK(n == 2 && leaks[0].known.kind == TN_HOLDER_HANDLE && leaks[0].unknown[0] == UINT64_C(0xeeeeeeeeeeeeeeee));
    drop(b);
    drop(a);
}

static void stores_and_holders(void) /* PO-38: each live block of an array has its holders */
{
    tn_pool *pool = own_pool("report \"me\"");
    OK(tn_here("report.c", 70));
    tn_array *a = empty(pool, TN_F64, SHAPE(10, 10)), *view = NULL;
    OK(tn_array_set_name(a, "K\\1"));
    OK(tn_array_transpose(a, &view));
    OK(tn_here("report.c", 73));
    tn_borrow *reader = NULL;
    OK(tn_array_borrow_read(view, 0, NULL, NULL, NULL, &reader));
    OK(tn_here(NULL, 0));

    CHECK(is_balanced(report()));
    CHECK(reports("\"name\":\"report \\\"me\\\"\"") && reports("\"live_blocks\":1,"));
    CHECK(between("\"stores\"", "\"blocks\"", "\"bytes\":800,\"device\":\"cpu\",\"pool\":"));
    CHECK(between("\"stores\"", "\"blocks\"", "\"kind\":\"handle\"") && reports("\"name\":\"K\\\\1\",\"site\":\"report.c:70\""));
    CHECK(between("\"stores\"", "\"blocks\"", "\"kind\":\"guard_read\"") && reports("\"site\":\"report.c:73\""));
    CHECK(between("\"clients\":[{\"name\":\"arrays\"", "]", "\"live_blocks\":1,"));
    CHECK(between("\"open\"", "\"copies\"", "\"kind\":\"pool\""));

    /* A GIVEN array is listed as a promise; a DESTRUCTED one holds nothing any more. */
    OK(tn_borrow_end(reader, 0, NULL));
    drop(view);
    tn_promise *promise = NULL;
    OK(tn_array_give(a, 1, &promise));
    CHECK(between("\"stores\"", "\"blocks\"", "\"kind\":\"promise\""));
    tn_array *mine = NULL;
    OK(tn_take(1, &promise, &mine));
    CHECK(!between("\"stores\"", "\"blocks\"", "\"kind\":\"promise\""));
    CHECK(between("\"open\"", "\"copies\"", "\"kind\":\"promise\""));
    OK(tn_promise_release(promise));
    CHECK(between("\"open\"", "\"copies\"", "\"kind\":\"handle\"")); /* a, until it is released */
    drop(a);
    CHECK(!between("\"open\"", "\"copies\"", "\"kind\":\"handle\""));
    drop(mine);
    OK(tn_pool_release(pool));
    CHECK(!reports("report \\\"me\\\""));
}

static void many_holders(void) /* more holders than one step lists */
{
    enum { MANY = 1000 };
    static tn_array *views[MANY];
    tn_array *a = empty(NULL, TN_I64, SHAPE(4));
    for (int i = 0; i < MANY; i++)
        OK(tn_array_clone(a, &views[i]));
    size_t handles = 0;
    for (const char *at = strstr(report(), "\"stores\""); (at = strstr(at, "\"handle\"")) != NULL; at++)
        handles++;
    CHECK(handles == MANY + 1);
    for (int i = 0; i < MANY; i++)
        drop(views[i]);
    drop(a);
}

static void raw_blocks(void) /* by site, because there may be very many */
{
    tn_pool *pool = own_pool("blocks");
    void *blocks[100];
    OK(tn_here("raw.c", 5));
    for (int i = 0; i < 100; i++)
        OK(tn_pool_allocate(pool, 1000, 0, NULL, &blocks[i]));
    OK(tn_here(NULL, 0));
    CHECK(reports("\"client\":\"raw\",\"site\":\"raw.c:5\",\"blocks\":100,\"bytes\":102400,\"largest_bytes\":1024"));
    CHECK(reports("{\"name\":\"raw\",\"live_blocks\":100,\"live_bytes\":102400,\"requested_bytes\":100000,"));
    for (int i = 0; i < 100; i++)
        OK(tn_pool_deallocate(pool, blocks[i], NULL));
    CHECK(!reports("raw.c:5"));
    OK(tn_pool_release(pool));
}

/* AL-6, PO-61: a library that allocates from the pools appears by its name, with its blocks, in the report and in messages. */
static void clients(void)
{
    tn_pool *pool = limited_pool("clients", 4 << 20);
    OK(tn_here("vector.cpp", 4));
    void *block = NULL;
    OK(tn_cpp_allocate(pool, 3 << 20, 64, &block));
    OK(tn_here(NULL, 0));
    tn_array *a = empty(pool, TN_U8, SHAPE(1000)), *more = NULL;
    CHECK(reports("{\"name\":\"cpp\",\"live_blocks\":1,\"live_bytes\":3145728,\"requested_bytes\":3145728,\"peak_bytes\":3145728,"));
    CHECK(between("\"name\":\"clients\"", "\"segments\"", "{\"name\":\"arrays\",\"live_blocks\":1,"));
    /* PO-38: and its memory, by block size and by site: the 3 MiB, and the array's in a span of its own class */
    CHECK(between("\"name\":\"clients\"", "\"segments\"", "{\"block_bytes\":0,\"span_bytes\":0,\"live_blocks\":1,"));
    CHECK(between("\"name\":\"clients\"", "\"segments\"", "{\"block_bytes\":1024,\"span_bytes\":65536,\"live_blocks\":1,"));
    CHECK(between("\"segments\"", "\"stores\"", "\"live_blocks\":2,\"live_bytes\":3146752}")
        || between("\"segments\"", "\"stores\"", "\"spans\":1,\"live_blocks\":1,\"live_bytes\":3145728}"));
    CHECK(between("\"blocks\"", "\"open\"", "\"client\":\"cpp\",") && between("\"blocks\"", "\"open\"", "\"bytes\":3145728,"));
    FAILS(tn_array_empty(pool, TN_U8, SHAPE(2 << 20), NULL, &more), TN_ERR_POOL_LIMIT);
    CHECK(says("largest holders: 3 MiB of cpp"));
    drop(a);
    OK(tn_cpp_deallocate(pool, block));
    OK(tn_pool_release(pool));
}

static void copy_book(void) /* CP-1: the report has the list of the copy book */
{
    static int64_t memory[9];
    tn_layout layout = {.size = sizeof layout, .dtype = TN_I64, .ndim = 1, .shape = (int64_t[]){9}};
    tn_array *copy = NULL;
    OK(tn_here("border.c", 3));
    OK(tn_array_import_host(memory, &layout, 0, NULL, NULL, &copy, NULL));
    OK(tn_here(NULL, 0));
    CHECK(between("\"copies\"", "\"none\"", "{\"function\":\"tn_array_import_host\",\"site\":\"border.c:3\",\"why\":[],\"forced\":false,"
                                            "\"count\":1,\"bytes\":72}"));
    drop(copy);
}

/* AL-23, WN-10: a block that another library allocated from a pool, and an array on it. */
static void owner_of_a_block(void)
{
    tn_pool *pool = own_pool("theirs");
    OK(tn_here("theirs.c", 8));
    void *block = NULL;
    OK(tn_pool_allocate(pool, 4000, 0, NULL, &block));
    tn_store_info store = {.size = sizeof store};
    tn_holder holders[4];
    size_t n = 0;
    OK(tn_holders_of((char *)block + 100, 8, sizeof(tn_holder), 4, &store, holders, &n));
    CHECK(n == 1 && holders[0].kind == TN_HOLDER_BLOCK && strcmp(holders[0].site, "theirs.c:8") == 0);
    CHECK(store.address == (uint64_t)block && store.bytes == 4096 && strcmp(store.pool_name, "theirs") == 0);

    tn_layout layout = {.size = sizeof layout, .dtype = TN_F32, .ndim = 1, .shape = (int64_t[]){10}};
    tn_array *array = NULL;
    tn_how how = 0;
    OK(tn_array_import_host(block, &layout, TN_BORROW, NULL, NULL, &array, &how));
    OK(tn_array_set_name(array, "on theirs"));
    CHECK(how == TN_ALIASED);
    OK(tn_holders_of(block, 40, sizeof(tn_holder), 4, &store, holders, &n));
    CHECK(n == 2 && holders[0].kind == TN_HOLDER_HANDLE && strcmp(holders[0].name, "on theirs") == 0);
    CHECK(holders[1].kind == TN_HOLDER_BLOCK && holders[1].id == (uint64_t)block);
    CHECK(store.bytes == 40 && (store.flags & TN_FOREIGN) != 0 && strcmp(store.pool_name, "theirs") == 0);
    CHECK(reports("\"imports\":1,\"flags\":[\"foreign\"]"));
    drop(array);

    OK(tn_here(NULL, 0));
    OK(tn_pool_deallocate(pool, block, NULL));
    FAILS(tn_holders_of(block, 8, sizeof(tn_holder), 4, &store, holders, &n), TN_ERR_FOREIGN);
    OK(tn_pool_release(pool));
}

/* PO-45: the holders that prevent a request, largest first, by name and site. */
static void out_of_memory(void)
{
    tn_pool *pool = limited_pool("narrow", 8 << 20);
    OK(tn_here("model.c", 10));
    tn_array *small = empty(pool, TN_F64, SHAPE(128, 1024)), *large = empty(pool, TN_F64, SHAPE(384, 1024));
    OK(tn_here("model.c", 12));
    tn_array *unnamed = empty(pool, TN_F64, SHAPE(256, 1024)), *more = UNTOUCHED;
    OK(tn_array_set_name(small, "bias"));
    OK(tn_array_set_name(large, "weights"));
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(1024, 1024), NULL, &more), TN_ERR_POOL_LIMIT);
    CHECK(more == UNTOUCHED);
    CHECK(says("\"narrow\"") && says("8 MiB asked") && says("limit 8 MiB"));
    CHECK(says("largest holders: \"weights\" 3 MiB at model.c:10, 2 MiB at model.c:12, \"bias\" 1 MiB at model.c:10; release arrays"));

    /* A raw block is named by its site. */
    drop(unnamed);
    void *block = NULL;
    OK(tn_here("cache.c", 99));
    OK(tn_pool_allocate(pool, 2 << 20, 0, NULL, &block));
    FAILS(tn_array_empty(pool, TN_F64, SHAPE(1024, 1024), NULL, &more), TN_ERR_POOL_LIMIT);
    CHECK(says("\"weights\" 3 MiB at model.c:10, 2 MiB at cache.c:99, \"bias\""));
    OK(tn_here(NULL, 0));
    OK(tn_pool_deallocate(pool, block, NULL));
    drop(small);
    drop(large);
    OK(tn_pool_release(pool));
}

int main(void)
{
    items_of_other_sizes();
    calls();
    page();
    cells();
    stores_and_holders();
    many_holders();
    raw_blocks();
    clients();
    copy_book();
    owner_of_a_block();
    out_of_memory();
    free(text);
    return finish();
}
