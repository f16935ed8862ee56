/*
 * arrow.c - Arrow's C data and C device interface: exports (CA-30 to CA-32), imports and refused imports (CA-33, CA-34).
 */
#define _POSIX_C_SOURCE 200809L
#include "arrow_abi.h"
#include "helpers.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define I64(p) ((const int64_t *)(p))

/* ---- exports ---- */

static int32_t exported(tn_array *array, uint32_t flags, struct ArrowSchema *schema, struct ArrowArray *out)
{
    tn_how how = 77;
    memset(schema, 0xa5, sizeof *schema);
    memset(out, 0xa5, sizeof *out);
    OK(tn_array_export_arrow(array, flags, schema, out, &how));
    return how;
}

static void let_go(struct ArrowSchema *schema, struct ArrowArray *array)
{
    schema->release(schema);
    array->release(array);
    CHECK(schema->release == NULL && array->release == NULL);
}

static int plain(const struct ArrowSchema *schema)
{
    return schema->flags == 0 && strcmp(schema->name, "") == 0 && schema->metadata == NULL && schema->dictionary == NULL;
}

static void one_axis(void) /* CA-30, CA-31 */
{
    tn_array *a = numbers(NULL, SHAPE(5));
    struct ArrowSchema schema;
    struct ArrowArray array;
    CHECK(exported(a, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
    CHECK(strcmp(schema.format, "l") == 0 && plain(&schema) && schema.n_children == 0);
    CHECK(array.length == 5 && array.null_count == 0 && array.offset == 0 && array.n_buffers == 2);
    CHECK(array.n_children == 0 && array.dictionary == NULL && array.buffers[0] == NULL);
    CHECK(array.buffers[1] == address(a));
    /* read-only: the library may read it too, but not write it */
    CHECK(count_holders(a, TN_HOLDER_EXPORT_READ) == 1 && why(a) == TN_WHY_EXPORTED);
    CHECK(try_read(a, TN_FROZEN) == TN_OK && try_write(a, 0) == TN_ERR_EXPORTED);
    let_go(&schema, &array);
    CHECK(why(a) == 0 && try_write(a, 0) == TN_OK);

    /* a part of it, at its own address */
    tn_array *tail = part(a, 2, TN_NONE, 1);
    CHECK(exported(tail, TN_BORROW, &schema, &array) == TN_ALIASED);
    CHECK(array.length == 3 && array.offset == 0 && I64(array.buffers[1])[0] == 2);
    drop(tail);
    let_go(&schema, &array);

    tn_how how = 77;
    FAILS(tn_array_export_arrow(a, TN_BORROW | TN_EXPORT_WRITABLE, &schema, &array, &how), TN_ERR_INVALID);
    FAILS(tn_array_export_arrow(a, 1u << 31, &schema, &array, &how), TN_ERR_INVALID);
    FAILS(tn_array_export_arrow(NULL, 0, &schema, &array, &how), TN_ERR_NULL);
    FAILS(tn_array_export_arrow(a, 0, NULL, &array, &how), TN_ERR_NULL);
    FAILS(tn_array_export_arrow(a, 0, &schema, NULL, &how), TN_ERR_NULL);
    FAILS(tn_array_export_arrow(stale(), 0, &schema, &array, &how), TN_ERR_STALE);
    tn_borrow *writer = writing(a, 0);
    FAILS(tn_array_export_arrow(a, TN_BORROW, &schema, &array, &how), TN_ERR_BORROWED_WRITE);
    end(writer);
    /* XC-6: nothing was written, and nothing leaks */
    CHECK(how == 77 && schema.release == NULL && array.release == NULL && why(a) == 0);
    OK(tn_array_export_arrow(a, TN_BORROW, &schema, &array, NULL));
    let_go(&schema, &array);
    drop(a);
}

static void shapes(void) /* CA-30 */
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    tn_array *cube = numbers(NULL, SHAPE(2, 3, 4));
    CHECK(exported(cube, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
    CHECK(strcmp(schema.format, "+w:3") == 0 && plain(&schema) && schema.n_children == 1);
    CHECK(strcmp(schema.children[0]->format, "+w:4") == 0 && plain(schema.children[0]));
    CHECK(strcmp(schema.children[0]->children[0]->format, "l") == 0 && plain(schema.children[0]->children[0]));
    CHECK(array.length == 2 && array.n_buffers == 1 && array.buffers[0] == NULL && array.n_children == 1);
    const struct ArrowArray *rows = array.children[0], *leaf = rows->children[0];
    CHECK(rows->length == 6 && rows->n_buffers == 1 && rows->offset == 0 && rows->null_count == 0);
    CHECK(leaf->length == 24 && leaf->n_buffers == 2 && leaf->n_children == 0 && leaf->buffers[1] == address(cube));
    let_go(&schema, &array);
    CHECK(why(cube) == 0);
    drop(cube);

    tn_array *scalar = numbers(NULL, 0, NULL);
    CHECK(exported(scalar, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
    CHECK(strcmp(schema.format, "l") == 0 && array.length == 1 && array.buffers[1] == address(scalar));
    let_go(&schema, &array);
    drop(scalar);

    const int64_t none[2][3] = {{0, 3, 4}, {3, 0, 4}};
    for (int i = 0; i < 2; i++) {
        tn_array *empty_one = empty(NULL, TN_F32, 3, none[i]);
        CHECK(exported(empty_one, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
        CHECK(array.length == none[i][0] && array.children[0]->length == none[i][0] * none[i][1]);
        CHECK(array.children[0]->children[0]->length == 0 && array.children[0]->children[0]->buffers[1] != NULL);
        CHECK(why(empty_one) == 0);
        let_go(&schema, &array);
        drop(empty_one);
    }

    int64_t deep[TN_MAX_NDIM];
    for (int i = 0; i < TN_MAX_NDIM; i++)
        deep[i] = i == 63 ? 2 : 1;
    tn_array *nested = numbers(NULL, TN_MAX_NDIM, deep);
    CHECK(exported(nested, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
    int levels = 1;
    for (const struct ArrowSchema *at = &schema; at->n_children == 1; at = at->children[0])
        levels++;
    CHECK(levels == TN_MAX_NDIM);
    let_go(&schema, &array);
    drop(nested);

    /* an inner axis whose length exceeds Arrow's 32 bits */
    tn_array *byte = zeros(NULL, TN_U8, SHAPE(1, 1)), *wide = broadcast(byte, SHAPE(0, (int64_t)1 << 31));
    FAILS(tn_array_export_arrow(wide, TN_BORROW, &schema, &array, NULL), TN_ERR_OVERFLOW);
    CHECK(says("2147483648"));
    drop(wide);
    drop(byte);
}

static void copies(void) /* CA-30: arrays that are not C-contiguous */
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *turned = NULL, *every = part(a, 0, 2, 1);
    OK(tn_array_transpose(a, &turned));
    tn_how how = 77;
    FAILS(tn_array_export_arrow(turned, TN_REQUIRE_BORROW, &schema, &array, &how), TN_ERR_LAYOUT);
    CHECK(how == 77);
    CHECK(exported(turned, TN_BORROW, &schema, &array) == TN_COPIED);
    CHECK(why(a) == TN_WHY_SHARED); /* the copy holds nothing of it */
    CHECK(strcmp(schema.format, "+w:2") == 0 && array.length == 3);
    const int64_t expected[6] = {0, 3, 1, 4, 2, 5};
    CHECK(memcmp(array.children[0]->buffers[1], expected, sizeof expected) == 0);
    OK(tn_copies_forbid(1));
    FAILS(tn_array_export_arrow(turned, TN_BORROW, &schema, &array, &how), TN_ERR_WOULD_COPY); /* CP-3 */
    OK(tn_copies_forbid(0));
    let_go(&schema, &array);
    CHECK(exported(every, 0, &schema, &array) == TN_COPIED && I64(array.children[0]->buffers[1])[5] == 5);
    let_go(&schema, &array);
    tn_array *line = numbers(NULL, SHAPE(6)), *back = part(line, TN_NONE, TN_NONE, -2);
    CHECK(exported(back, TN_BORROW, &schema, &array) == TN_COPIED && I64(array.buffers[1])[2] == 1);
    let_go(&schema, &array);
    drop(back);
    drop(line);
    drop(every);
    drop(turned);
    drop(a);
}

static void types(void) /* the table of element types; DL-30 */
{
    const struct {
        tn_dtype dtype;
        const char *format;
    } rows[] = {{TN_I8, "c"},  {TN_I16, "s"}, {TN_I32, "i"}, {TN_I64, "l"}, {TN_U8, "C"},  {TN_U16, "S"}, {TN_U32, "I"},
                {TN_U64, "L"}, {TN_F16, "e"}, {TN_F32, "f"}, {TN_F64, "g"}, {TN_BOOL, NULL}, {TN_BF16, NULL},
                {TN_C64, NULL}, {TN_C128, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ArrowSchema schema = {.release = NULL};
        struct ArrowArray array = {.release = NULL};
        tn_array *a = zeros(NULL, rows[i].dtype, SHAPE(3));
        if (rows[i].format == NULL) {
            FAILS(tn_array_export_arrow(a, 0, &schema, &array, NULL), TN_ERR_DTYPE);
            CHECK(says("view_dtype") && schema.release == NULL && array.release == NULL);
        } else {
            CHECK(exported(a, TN_REQUIRE_BORROW, &schema, &array) == TN_ALIASED);
            CHECK(strcmp(schema.format, rows[i].format) == 0);
            tn_array *again = NULL;
            OK(tn_array_import_arrow(&schema, &array, TN_REQUIRE_BORROW, &again, NULL));
            CHECK(array.release == NULL && info_of(again).dtype == rows[i].dtype && address(again) == address(a));
            schema.release(&schema);
            drop(again);
        }
        drop(a);
    }
}

/* Releases an array on another thread. */
static void *elsewhere(void *array)
{
    struct ArrowArray *moved = array;
    moved->release(moved);
    return NULL;
}

static void releases(void) /* CA-32, XC-4 */
{
    tn_pool *pool = own_pool("arrow");
    const uint64_t before = live_bytes(pool);
    struct ArrowSchema schema;
    struct ArrowArray array;

    /* the structs moved by memcpy, and released in either order, after the handle and on another thread */
    tn_array *a = numbers(pool, SHAPE(4, 5));
    exported(a, TN_BORROW, &schema, &array);
    drop(a);
    struct ArrowArray moved;
    memcpy(&moved, &array, sizeof moved);
    memset(&array, 0x5a, sizeof array);
    CHECK(live_bytes(pool) > before && I64(moved.children[0]->buffers[1])[19] == 19);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, elsewhere, &moved) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(live_bytes(pool) == before);
    struct ArrowSchema moved_schema;
    memcpy(&moved_schema, &schema, sizeof schema);
    CHECK(strcmp(moved_schema.children[0]->format, "l") == 0); /* the schema does not need the array */
    moved_schema.release(&moved_schema);

    /* a child that is moved out outlives its parent, and holds the bytes */
    a = numbers(pool, SHAPE(2, 3, 4));
    exported(a, TN_BORROW, &schema, &array);
    struct ArrowArray child = *array.children[0];
    array.children[0]->release = NULL;
    struct ArrowSchema type = *schema.children[0];
    schema.children[0]->release = NULL;
    array.release(&array);
    schema.release(&schema);
    drop(a);
    CHECK(live_bytes(pool) > before && strcmp(type.format, "+w:4") == 0);
    struct ArrowArray leaf = *child.children[0];
    child.children[0]->release = NULL;
    child.release(&child);
    CHECK(live_bytes(pool) > before && I64(leaf.buffers[1])[23] == 23 && leaf.length == 24);
    leaf.release(&leaf);
    CHECK(live_bytes(pool) == before && child.release == NULL && leaf.release == NULL);
    CHECK(strcmp(type.children[0]->format, "l") == 0);
    type.release(&type);

    /* released after the pool's handle, and in a child process, where it releases nothing of the parent */
    a = numbers(pool, SHAPE(3));
    exported(a, TN_BORROW, &schema, &array);
    pid_t pid = fork();
    if (pid == 0) {
        let_go(&schema, &array);
        _exit(why(a) == TN_WHY_EXPORTED || try_read(a, 0) == TN_OK ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(why(a) == TN_WHY_EXPORTED);
    drop(a);
    OK(tn_pool_release(pool));
    CHECK(I64(array.buffers[1])[2] == 2);
    let_go(&schema, &array);
}

static void on_the_device(void) /* CA-34, CA-35 */
{
    tn_array *a = numbers(NULL, SHAPE(3)), *b = NULL;
    struct ArrowSchema schema;
    struct ArrowDeviceArray out;
    memset(&out, 0xa5, sizeof out);
    tn_how how = 0;
    OK(tn_array_export_arrow_device(a, TN_BORROW, &schema, &out, &how));
    CHECK(how == TN_ALIASED && out.device_type == TN_CPU && out.device_id == -1 && out.sync_event == NULL);
    CHECK(out.reserved[0] == 0 && out.reserved[1] == 0 && out.reserved[2] == 0);
    CHECK(out.array.length == 3 && out.array.buffers[1] == address(a));

    out.device_type = TN_CUDA;
    FAILS(tn_array_import_arrow_device(&schema, &out, TN_BORROW, &b, &how), TN_ERR_DEVICE);
    out.device_type = TN_CPU;
    out.sync_event = &out;
    FAILS(tn_array_import_arrow_device(&schema, &out, TN_BORROW, &b, &how), TN_ERR_DEVICE);
    out.sync_event = NULL;
    CHECK(out.array.release != NULL);
    out.device_id = 5; /* Arrow leaves it undefined for the host */
    OK(tn_array_import_arrow_device(&schema, &out, TN_REQUIRE_BORROW, &b, &how));
    CHECK(how == TN_ALIASED && out.array.release == NULL && address(b) == address(a));
    FAILS(tn_array_import_arrow_device(&schema, &out, TN_BORROW, &b, &how), TN_ERR_STALE);
    FAILS(tn_array_import_arrow_device(NULL, &out, TN_BORROW, &b, &how), TN_ERR_NULL);
    FAILS(tn_array_import_arrow_device(&schema, NULL, TN_BORROW, &b, &how), TN_ERR_NULL);
    FAILS(tn_array_export_arrow_device(a, TN_BORROW, NULL, &out, &how), TN_ERR_NULL);
    FAILS(tn_array_export_arrow_device(a, TN_BORROW, &schema, NULL, &how), TN_ERR_NULL);
    schema.release(&schema);
    drop(b);
    CHECK(why(a) == 0);
    drop(a);
}

/* ---- imports ---- */

static int released;

static void theirs_released(struct ArrowArray *array)
{
    released++;
    array->release = NULL;
}

static void schema_released(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

/* A producer's structs: up to three levels that point to one another. */
struct theirs {
    struct ArrowSchema schema[3], *schema_child[3];
    struct ArrowArray array[3], *array_child[3];
    const void *buffers[3][2];
};

static _Alignas(64) int64_t values[64];

/* `formats` outermost first; lengths of each level. */
static void make(struct theirs *t, int levels, const char *const *formats, const int64_t *lengths)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < levels; i++) {
        int inner = i + 1 < levels;
        t->schema_child[i] = inner ? &t->schema[i + 1] : NULL;
        t->array_child[i] = inner ? &t->array[i + 1] : NULL;
        t->buffers[i][1] = values;
        t->schema[i] = (struct ArrowSchema){.format = formats[i],
                                            .name = "theirs",
                                            .flags = 2, /* nullable; the array says whether there are nulls */
                                            .n_children = inner,
                                            .children = inner ? &t->schema_child[i] : NULL,
                                            .release = schema_released};
        t->array[i] = (struct ArrowArray){.length = lengths[i],
                                          .n_buffers = inner ? 1 : 2,
                                          .n_children = inner,
                                          .buffers = t->buffers[i],
                                          .children = inner ? &t->array_child[i] : NULL,
                                          .release = theirs_released};
    }
}

static void make_line(struct theirs *t, int64_t length)
{
    make(t, 1, (const char *const[]){"l"}, &length);
}

static void make_table(struct theirs *t)
{
    make(t, 2, (const char *const[]){"+w:3", "l"}, (const int64_t[]){4, 12});
}

static tn_array *imported(struct theirs *t, uint32_t flags, tn_how expected)
{
    tn_array *out = NULL;
    tn_how how = 77;
    OK(tn_array_import_arrow(t->schema, t->array, flags, &out, &how));
    CHECK(how == expected && t->array[0].release == NULL && t->schema[0].release != NULL);
    return out;
}

/* The memory of the caller's struct ends with the bytes: the release finds it moved, and nothing touches it afterwards. */
static struct ArrowArray *callers;

static void ends_callers(struct ArrowArray *array)
{
    released++;
    CHECK(array != callers && callers->release == NULL);
    memset(callers, 0xa5, sizeof *callers);
    array->release = NULL;
}

static void moves_first(void) /* CA-33 */
{
    struct theirs t;
    released = 0;
    make_line(&t, 8);
    t.array[0].release = ends_callers;
    callers = &t.array[0];
    tn_array *a = NULL;
    OK(tn_array_import_arrow(t.schema, t.array, 0, &a, NULL));
    CHECK(released == 1 && HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7));
    const unsigned char *left = (const unsigned char *)callers;
    for (size_t i = 0; i < sizeof *callers; i++)
        CHECK(left[i] == 0xa5);
    drop(a);
}

static void comes_in(void) /* CA-33 */
{
    struct theirs t;
    released = 0;
    make_line(&t, 8);
    tn_array *a = imported(&t, TN_BORROW, TN_ALIASED);
    CHECK(address(a) == values && HOLDS(a, 0, 1, 2, 3, 4, 5, 6, 7) && released == 0);
    CHECK(info_of(a).flags & TN_READONLY);
    CHECK(try_write(a, 0) == TN_ERR_READONLY);
    drop(a);
    CHECK(released == 1);

    /* offsets of all levels: rows 1 and 2 of a table that begins at element 5 */
    make_table(&t);
    t.array[0].offset = 1;
    t.array[0].length = 2;
    t.array[1].offset = 5;
    t.array[1].null_count = -1;
    a = imported(&t, TN_REQUIRE_BORROW, TN_ALIASED);
    CHECK(info_of(a).ndim == 2 && info_of(a).shape[0] == 2 && info_of(a).shape[1] == 3);
    CHECK(HOLDS(a, 8, 9, 10, 11, 12, 13));
    tn_array *view = part(a, 1, 2, 1);
    drop(a);
    CHECK(released == 1);
    drop(view);
    CHECK(released == 2);

    /* no flag: a copy; the structs are released at once; writable */
    make_table(&t);
    a = imported(&t, 0, TN_COPIED);
    CHECK(released == 3 && address(a) != values && try_write(a, 0) == TN_OK);
    drop(a);

    /* not aligned for its elements: copied, or refused and still the producer's */
    make_line(&t, 3);
    t.buffers[0][1] = (const char *)values + 4;
    tn_array *none = UNTOUCHED;
    FAILS(tn_array_import_arrow(t.schema, t.array, TN_REQUIRE_BORROW, &none, NULL), TN_ERR_WOULD_COPY);
    CHECK(none == UNTOUCHED && t.array[0].release == theirs_released && released == 3);
    a = imported(&t, TN_BORROW, TN_COPIED);
    CHECK(released == 4);
    drop(a);

    /* no elements: no buffer is read */
    make_line(&t, 0);
    t.buffers[0][1] = NULL;
    a = imported(&t, TN_BORROW, TN_ALIASED);
    CHECK(info_of(a).count == 0);
    drop(a);
    CHECK(released == 5);

    /* queued: not released before tn_run_releases */
    make_line(&t, 4);
    a = imported(&t, TN_BORROW | TN_RELEASE_QUEUED, TN_ALIASED);
    drop(a);
    CHECK(released == 5);
    OK(tn_run_releases(NULL));
    CHECK(released == 6);

    /* the bytes imported twice: one store */
    struct theirs second;
    make_line(&t, 8);
    make_line(&second, 8);
    a = imported(&t, TN_BORROW, TN_ALIASED);
    tn_array *b = imported(&second, TN_BORROW, TN_ALIASED);
    CHECK(claims(a) == 2);
    drop(a);
    CHECK(released == 7);
    drop(b);
    CHECK(released == 8);

    /* an exported array is imported again: the same store, which ends with the last handle */
    tn_array *ours = numbers(NULL, SHAPE(2, 2));
    struct ArrowSchema schema;
    struct ArrowArray array;
    exported(ours, TN_BORROW, &schema, &array);
    OK(tn_array_import_arrow(&schema, &array, TN_REQUIRE_BORROW, &b, NULL));
    schema.release(&schema);
    CHECK(address(b) == address(ours) && claims(ours) == 2);
    drop(ours);
    CHECK(HOLDS(b, 0, 1, 2, 3));
    drop(b);
}

static void refuse(struct theirs *t, tn_status expected)
{
    tn_array *out = UNTOUCHED;
    tn_how how = 77;
    void (*release)(struct ArrowArray *) = t->array[0].release;
    FAILS(tn_array_import_arrow(t->schema, t->array, TN_BORROW, &out, &how), expected);
    /* XC-6 */
    CHECK(out == UNTOUCHED && how == 77 && t->array[0].release == release);
}

static void refused(void) /* CA-33, XC-7 */
{
    struct theirs t;
    released = 0;
    make_line(&t, 8);
    t.array[0].release = NULL;
    refuse(&t, TN_ERR_STALE);
    make_line(&t, 8);
    t.schema[0].release = NULL;
    refuse(&t, TN_ERR_STALE);
    make_table(&t);
    t.array[1].release = NULL;
    refuse(&t, TN_ERR_STALE);

    make_line(&t, 8);
    tn_array *out = NULL;
    FAILS(tn_array_import_arrow(NULL, t.array, 0, &out, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_arrow(t.schema, NULL, 0, &out, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_arrow(t.schema, t.array, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_import_arrow(t.schema, t.array, 1u << 30, &out, NULL), TN_ERR_INVALID);
    FAILS(tn_array_import_arrow(t.schema, t.array, TN_BORROW | TN_IMPORT_WRITABLE, &out, NULL), TN_ERR_INVALID);

    const char *const formats[] = {"b", "n", "u", "z", "U", "w:8", "d:10,2", "tdD", "tsu:Europe/Berlin and much further on", "+l",
                                   "+s", "+ud:0,1", "+w", "+w:", "+w:-1", "+w:99999999999", "", "ll", "\xff"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        make_line(&t, 8);
        t.schema[0].format = formats[i];
        refuse(&t, TN_ERR_DTYPE);
    }
    make_line(&t, 8);
    t.schema[0].dictionary = &t.schema[1];
    refuse(&t, TN_ERR_DTYPE);
    make_line(&t, 8);
    t.array[0].dictionary = &t.array[1];
    refuse(&t, TN_ERR_DTYPE);

    const int64_t nulls[] = {1, 8, -2, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        for (int level = 0; level < 2; level++) {
            make_table(&t);
            t.array[level].null_count = nulls[i];
            refuse(&t, TN_ERR_UNSUPPORTED);
        }
    make_line(&t, 8);
    t.array[0].null_count = -1;
    t.buffers[0][0] = values; /* a bitmap that may have nulls */
    refuse(&t, TN_ERR_UNSUPPORTED);
    t.array[0].null_count = 0; /* and a count that says it has none */
    drop(imported(&t, TN_BORROW, TN_ALIASED));
    CHECK(released == 1);

    make_line(&t, -1);
    refuse(&t, TN_ERR_SHAPE);
    make_line(&t, 8);
    t.array[0].offset = -1;
    refuse(&t, TN_ERR_SHAPE);
    make_table(&t);
    t.array[1].length = 11; /* 4 lists of 3 need 12 */
    refuse(&t, TN_ERR_SHAPE);
    make_table(&t);
    t.array[0].offset = 1;
    refuse(&t, TN_ERR_SHAPE);

    make_line(&t, 8);
    t.buffers[0][1] = NULL;
    refuse(&t, TN_ERR_NULL);
    make_line(&t, 8);
    t.array[0].buffers = NULL;
    refuse(&t, TN_ERR_NULL);
    make_line(&t, 8);
    t.schema[0].format = NULL;
    refuse(&t, TN_ERR_NULL);
    make_table(&t);
    t.schema[0].children = NULL;
    refuse(&t, TN_ERR_NULL);
    make_table(&t);
    t.array_child[0] = NULL;
    refuse(&t, TN_ERR_NULL);

    const int64_t counts[] = {-1, 0, 3, INT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        make_table(&t);
        t.array[0].n_buffers = counts[i];
        refuse(&t, TN_ERR_INVALID);
        make_table(&t);
        t.array[0].n_children = counts[i];
        refuse(&t, TN_ERR_INVALID);
        make_table(&t);
        t.schema[0].n_children = counts[i];
        refuse(&t, TN_ERR_INVALID);
        make_table(&t);
        t.array[1].n_buffers = counts[i];
        refuse(&t, TN_ERR_INVALID);
    }

    make_line(&t, INT64_MAX);
    refuse(&t, TN_ERR_OVERFLOW);
    make_line(&t, 8);
    t.array[0].offset = INT64_MAX;
    refuse(&t, TN_ERR_RANGE);
    make_line(&t, 8);
    t.array[0].offset = INT64_MAX / 8;
    refuse(&t, TN_ERR_RANGE);
    make_line(&t, 8);
    t.buffers[0][1] = (const void *)(uintptr_t)0xdead000000000000; /* of no process */
    refuse(&t, TN_ERR_RANGE);
    make_line(&t, 8);
    t.buffers[0][1] = (const void *)(uintptr_t)64;
    refuse(&t, TN_ERR_RANGE);
    make(&t, 3, (const char *const[]){"+w:2147483647", "+w:2147483647", "l"}, (const int64_t[]){8, INT64_MAX, INT64_MAX});
    refuse(&t, TN_ERR_OVERFLOW);
    make_table(&t);
    t.array[0].offset = INT64_MAX;
    refuse(&t, TN_ERR_OVERFLOW);
    /* a list that contains itself: more axes than possible */
    make(&t, 2, (const char *const[]){"+w:1", "l"}, (const int64_t[]){1, 1});
    t.schema_child[0] = &t.schema[0];
    t.array_child[0] = &t.array[0];
    refuse(&t, TN_ERR_OVERFLOW);
    CHECK(released == 1);
}

/* An imported copy is read like any other array: Arrow data are immutable, so no access is excluded. */
static void copies_come_back(void)
{
    tn_array *a = numbers(NULL, SHAPE(4)), *back = NULL;
    struct ArrowSchema schema;
    struct ArrowArray data;
    struct ArrowDeviceArray there;
    tn_how how = 0;
    OK(tn_array_export_arrow(a, 0, &schema, &data, &how));
    CHECK(how == TN_COPIED);
    OK(tn_array_import_arrow(&schema, &data, TN_REQUIRE_BORROW, &back, &how));
    CHECK(how == TN_ALIASED && try_read(back, 0) == TN_OK && try_write(back, 0) == TN_ERR_READONLY);
    schema.release(&schema);
    drop(back);
    OK(tn_array_export_arrow_device(a, 0, &schema, &there, &how));
    OK(tn_array_import_arrow_device(&schema, &there, TN_BORROW, &back, &how));
    CHECK(how == TN_ALIASED && try_read(back, 0) == TN_OK);
    schema.release(&schema);
    drop(back);
    drop(a);
}

int main(void)
{
    for (int64_t i = 0; i < 64; i++)
        values[i] = i;
    one_axis();
    shapes();
    copies();
    types();
    releases();
    on_the_device();
    comes_in();
    moves_first();
    refused();
    copies_come_back();
    return finish();
}
