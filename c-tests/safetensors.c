/*
 * safetensors.c - files of several tensors through the C interface: listed, mapped together, read, all or none (NP-10, NP-11).
 * tests/library/safetensors.rs has the refused files (NP-12).
 *
 * Works in a folder of its own, which it removes at the end.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "safetensors-XXXXXX";
static char path[128];

/* A file with that header, padded with `pad` spaces, and the data bytes 0, 1, 2, ... */
static void write_file(const char *header, size_t pad, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    uint64_t length = strlen(header) + pad;
    CHECK(file != NULL && fwrite(&length, 8, 1, file) == 1);
    fputs(header, file);
    while (pad-- > 0)
        fputc(' ', file);
    for (size_t i = 0; i < bytes; i++)
        fputc((int)(i & 0xff), file);
    CHECK(fclose(file) == 0);
}

/* Tensors of a file, with pool and flags. */
static tn_status open_tensors(const char *file, tn_pool *pool, size_t n, const char *const *names, tn_borrow_flags flags,
                              tn_array **out, tn_how *how)
{
    tn_safetensors_options options = {.size = sizeof options, .pool = pool, .flags = flags};
    return tn_array_open_safetensors(file, n, names, &options, out, how);
}

/* Header and length have 208 bytes: the data begin at a multiple of 8. */
static const char THREE[] = "{\"__metadata__\":{\"by\":\"hand\"},"
                            "\"later\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]},"
                            "\"first\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                            "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[24,24]}}";

static void three_tensors(size_t extra)
{
    size_t length = 8 + strlen(THREE);
    write_file(THREE, (8 - length % 8) % 8 + extra, 24);
}

static void unknown_type(void) /* NP-10 */
{
    static const char header[] = "{\"__metadata__\":null,"
                                 "\"small\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]},"
                                 "\"plain\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}";
    write_file(header, 0, 6);
    tn_safetensors_info infos[2];
    size_t count = 0;
    OK(tn_safetensors_query(path, sizeof(tn_safetensors_info), 2, infos, &count));
    CHECK(count == 2 && infos[0].dtype == 0 && infos[0].bytes == 4 && infos[0].shape[0] == 4 && infos[1].dtype == TN_U8);
    tn_array *array = UNTOUCHED;
    FAILS(open_tensors(path, NULL, 1, (const char *[]){"small"}, 0, &array, NULL), TN_ERR_DTYPE);
    CHECK(array == UNTOUCHED && strstr(tn_last_error(), "small") != NULL && strstr(tn_last_error(), "F8_E4M3") != NULL);
    OK(open_tensors(path, NULL, 1, (const char *[]){"plain"}, 0, &array, NULL));
    drop(array);
}

static int is_mapped(void)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, folder) != NULL;
    fclose(maps);
    return found;
}

static void listed(void) /* NP-10 */
{
    three_tensors(0);
    size_t count = 0;
    OK(tn_safetensors_query(path, sizeof(tn_safetensors_info), 0, NULL, &count));
    CHECK(count == 3);
    tn_safetensors_info infos[4];
    memset(infos, 0x5a, sizeof infos);
    count = 0;
    OK(tn_safetensors_query(path, sizeof(tn_safetensors_info), 2, infos, &count));
    CHECK(count == 3 && infos[2].ndim == 0x5a5a5a5a);
    OK(tn_safetensors_query(path, sizeof(tn_safetensors_info), 4, infos, &count));
    CHECK(count == 3 && infos[3].ndim == 0x5a5a5a5a);
    CHECK(strcmp(infos[0].name, "first") == 0 && infos[0].dtype == TN_I64 && infos[0].ndim == 0 && infos[0].bytes == 8);
    CHECK(strcmp(infos[1].name, "later") == 0 && infos[1].dtype == TN_F32 && infos[1].ndim == 2);
    CHECK(infos[1].shape[0] == 2 && infos[1].shape[1] == 2 && infos[1].shape[2] == 0 && infos[1].bytes == 16);
    CHECK(infos[1].name_bytes == 5 && infos[1].reserved[0] == 0 && infos[1].reserved[1] == 0);
    CHECK(strcmp(infos[2].name, "none") == 0 && infos[2].bytes == 0 && infos[2].shape[1] == 7);
    count = 77;
    FAILS(tn_safetensors_query(NULL, sizeof(tn_safetensors_info), 0, NULL, &count), TN_ERR_NULL);
    FAILS(tn_safetensors_query(path, sizeof(tn_safetensors_info), 1, NULL, &count), TN_ERR_NULL);
    FAILS(tn_safetensors_query(path, sizeof(tn_safetensors_info), 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_safetensors_query("/nowhere/x.safetensors", sizeof(tn_safetensors_info), 0, NULL, &count), TN_ERR_IO);
    CHECK(says("x.safetensors") && count == 77);

    /* a long name is truncated at the end of a character */
    char header[1024], name[400] = "";
    for (int i = 0; i < 130; i++)
        strcat(name, "\xc3\xa4");
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    write_file(header, 0, 1);
    OK(tn_safetensors_query(path, sizeof(tn_safetensors_info), 1, infos, &count));
    CHECK(count == 1 && infos[0].name_bytes == 260 && strlen(infos[0].name) == 254);
    const char *names[1] = {name};
    tn_array *a = NULL;
    OK(open_tensors(path, NULL, 1, names, 0, &a, NULL));
    drop(a);
    names[0] = infos[0].name; /* as listed */
    OK(open_tensors(path, NULL, 1, names, 0, &a, NULL));
    drop(a);
    a = NULL;
    name[10] = 0;
    names[0] = name;
    FAILS(open_tensors(path, NULL, 1, names, 0, &a, NULL), TN_ERR_INVALID);
    CHECK(a == NULL);
}

static void mapped(void) /* NP-11 */
{
    three_tensors(0);
    const char *names[4] = {"later", "first", "none", "first"};
    tn_array *out[4] = {NULL, NULL, NULL, NULL};
    tn_how how[4] = {0, 0, 0, 0};
    OK(tn_copies_forbid(1));
    OK(open_tensors(path, NULL, 4, names, TN_REQUIRE_BORROW, out, how));
    OK(tn_copies_forbid(0));
    CHECK(remove(path) == 0); /* the mapping keeps the file */
    for (int i = 0; i < 4; i++) {
        CHECK(how[i] == TN_ALIASED && (info_of(out[i]).flags & TN_READONLY) != 0);
        CHECK(try_write(out[i], 0) == TN_ERR_READONLY);
    }
    CHECK(info_of(out[0]).dtype == TN_F32 && info_of(out[0]).shape[1] == 2);
    const unsigned char *bytes = address(out[0]), *first = address(out[1]);
    CHECK(bytes == first + 8 && bytes[0] == 8 && bytes[15] == 23 && first[7] == 7 && address(out[3]) == first);
    CHECK(info_of(out[2]).dtype == TN_BF16 && info_of(out[2]).count == 0 && info_of(out[2]).shape[1] == 7);
    CHECK(claims(out[0]) == 3 && (info_of(out[0]).flags & TN_FOREIGN) != 0);
    drop(out[0]);
    drop(out[2]);
    drop(out[1]);
    CHECK(is_mapped()); /* ends with the last array */
    drop(out[3]);
    CHECK(!is_mapped());
}

static void read_into_a_pool(void) /* NP-11, CP-2 */
{
    three_tensors(0);
    tn_pool *pool = own_pool("tensors");
    const char *names[3] = {"first", "later", "none"};
    tn_array *out[3] = {NULL, NULL, NULL};
    tn_how how[3] = {0, 0, 0};
    OK(tn_copies_forbid(1)); /* a copy is the call's contract */
    OK(open_tensors(path, pool, 3, names, 0, out, how));
    OK(tn_copies_forbid(0));
    CHECK(how[0] == TN_COPIED && how[1] == TN_COPIED && how[2] == TN_COPIED && !is_mapped());
    CHECK(live_bytes(pool) == 24 && try_write(out[1], TN_WRITE_UNIQUE) == TN_OK);
    tn_borrow *guards[] = {reading(out[0]), reading(out[1])};
    CHECK(((unsigned char *)address(out[1]))[15] == 23 && ((unsigned char *)address(out[0]))[7] == 7);
    end(guards[0]);
    end(guards[1]);
    for (int i = 0; i < 3; i++)
        drop(out[i]);
    OK(open_tensors(path, NULL, 0, NULL, TN_BORROW, NULL, NULL));
    OK(tn_pool_release(pool));
}

static void not_aligned(void) /* NP-11 */
{
    three_tensors(4); /* floats still are aligned, int64 are not */
    const char *names[2] = {"first", "later"};
    tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
    tn_how how[2] = {77, 77};
    FAILS(open_tensors(path, NULL, 2, names, TN_REQUIRE_BORROW, out, how), TN_ERR_WOULD_COPY);
    CHECK(says("first"));
    OK(tn_copies_forbid(1));
    FAILS(open_tensors(path, NULL, 2, names, TN_BORROW, out, how), TN_ERR_WOULD_COPY);
    OK(tn_copies_forbid(0));
    CHECK(out[0] == UNTOUCHED && out[1] == UNTOUCHED && how[0] == 77 && !is_mapped());
    OK(open_tensors(path, NULL, 2, names, TN_BORROW, out, how));
    unsigned char first[64] = {0};
    OK(tn_array_copy_to_host(out[0], first, NULL, NULL));
    CHECK(how[0] == TN_COPIED && how[1] == TN_ALIASED && first[3] == 3);
    CHECK(try_write(out[0], 0) == TN_OK && try_write(out[1], 0) == TN_ERR_READONLY);
    drop(out[0]);
    drop(out[1]);
    CHECK(!is_mapped());
}

static void all_or_none(void) /* NP-12 */
{
    three_tensors(0);
    const char *names[2] = {"first", "missing"}, *null[2] = {"first", NULL};
    tn_array *out[2] = {UNTOUCHED, UNTOUCHED};
    for (uint32_t flags = 0; flags <= TN_BORROW; flags += TN_BORROW) {
        FAILS(open_tensors(path, NULL, 2, names, flags, out, NULL), TN_ERR_INVALID);
        CHECK(says("missing"));
    }
    FAILS(open_tensors(path, NULL, 2, null, 0, out, NULL), TN_ERR_NULL);
    FAILS(open_tensors(path, NULL, 2, NULL, 0, out, NULL), TN_ERR_NULL);
    FAILS(open_tensors(NULL, NULL, 1, names, 0, out, NULL), TN_ERR_NULL);
    FAILS(open_tensors(path, NULL, 1, names, 0, NULL, NULL), TN_ERR_NULL);
    FAILS(open_tensors(path, NULL, 1, names, TN_TAKE_OWNERSHIP, out, NULL), TN_ERR_INVALID);
    tn_pool *small = limited_pool("small", 8);
    const char *both[2] = {"first", "later"};
    FAILS(open_tensors(path, small, 2, both, 0, out, NULL), TN_ERR_POOL_LIMIT);
    CHECK(live_bytes(small) == 0 && out[0] == UNTOUCHED && out[1] == UNTOUCHED && !is_mapped());
    OK(tn_pool_release(small));
    FAILS(open_tensors(path, small, 2, both, 0, out, NULL), TN_ERR_STALE);
}

static void open_files(void) /* AR-62 */
{
    three_tensors(0);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && lseek(fd, 5, SEEK_SET) == 5);
    size_t count = 0;
    OK(tn_safetensors_query_fd(fd, 0, sizeof(tn_safetensors_info), 0, NULL, &count));
    CHECK(count == 3);
    tn_array *array = NULL;
    tn_how how = 0;
    tn_safetensors_options options = {.size = sizeof options, .flags = TN_REQUIRE_BORROW};
    OK(tn_array_open_safetensors_fd(fd, 0, 1, (const char *[]){"first"}, &options, &array, &how));
    CHECK(how == TN_ALIASED && info_of(array).dtype == TN_I64 && is_mapped() && lseek(fd, 0, SEEK_CUR) == 5);
    drop(array);
    array = UNTOUCHED;
    count = 7;
    FAILS(tn_safetensors_query_fd(fd, 3, sizeof(tn_safetensors_info), 0, NULL, &count), TN_ERR_LIMIT);
    FAILS(tn_safetensors_query_fd(-1, 0, sizeof(tn_safetensors_info), 0, NULL, &count), TN_ERR_IO);
    FAILS(tn_safetensors_query_fd(fd, 0, sizeof(tn_safetensors_info), 0, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_open_safetensors_fd(fd, 1 << 20, 1, (const char *[]){"first"}, NULL, &array, NULL), TN_ERR_IO);
    FAILS(tn_array_open_safetensors_fd(fd, 0, 1, (const char *[]){"nobody"}, NULL, &array, NULL), TN_ERR_INVALID);
    FAILS(tn_array_open_safetensors_fd(fd, 0, 1, NULL, NULL, &array, NULL), TN_ERR_NULL);
    CHECK(array == UNTOUCHED && count == 7);
    CHECK(close(fd) == 0);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/f.safetensors", folder);
    listed();
    unknown_type();
    mapped();
    read_into_a_pool();
    not_aligned();
    all_or_none();
    open_files();
    remove(path);
    CHECK(rmdir(folder) == 0);
    return finish();
}
