/*
 * npy.c - .npy files: opened by mapping and by reading, refused if damaged, saved (IO-1 to IO-11, NP-1, NP-2), by threads
 * that are cancelled meanwhile (TH-26).
 *
 * Works in a folder of its own, which it removes at the end.
 */
#define _POSIX_C_SOURCE 200809L
#include "helpers.h"
#include "signals.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "npy-XXXXXX";
static char path_text[128];

static const char *path_of(const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
    return path_text;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(path_of(name), "wb");
    CHECK(file != NULL);
    if (file == NULL)
        return;
    CHECK(fwrite(bytes, 1, n, file) == n);
    CHECK(fclose(file) == 0);
}

static unsigned char buffer[200000];

/* Builds a file in `buffer`: magic, version, the header, padded with spaces so that the data begin at a multiple of
   `align`, and the data. */
static size_t build(int major, int minor, const char *header, size_t align, const void *data, size_t bytes)
{
    size_t prefix = major == 1 ? 10 : 12, length = strlen(header) + 1, n = prefix;
    while (align != 0 && (prefix + length) % align != 0)
        length++;
    memcpy(buffer, "\x93NUMPY", 6);
    buffer[6] = (unsigned char)major;
    buffer[7] = (unsigned char)minor;
    for (size_t i = 0; i < prefix - 8; i++)
        buffer[8 + i] = (unsigned char)(length >> (8 * i));
    memset(buffer + n, ' ', length);
    memcpy(buffer + n, header, strlen(header));
    n += length;
    buffer[n - 1] = '\n';
    memcpy(buffer + n, data, bytes);
    return n + bytes;
}

static void write_npy(const char *name, const char *header, const void *data, size_t bytes)
{
    write_file(name, buffer, build(1, 0, header, 64, data, bytes));
}

static tn_npy_options in_mode(uint32_t mode)
{
    return (tn_npy_options){.size = sizeof(tn_npy_options), .mode = mode, .fd = -1};
}

static tn_array *open_as(const char *name, uint32_t mode)
{
    tn_npy_options options = in_mode(mode);
    tn_array *out = NULL;
    OK(tn_array_open_npy(path_of(name), &options, &out));
    return out;
}

static int open_descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    int n = 0;
    if (list == NULL)
        return 0;
    while (readdir(list) != NULL)
        n++;
    closedir(list);
    return n;
}

static int files_in_folder(void)
{
    DIR *list = opendir(folder);
    int n = 0;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return n;
}

static tn_status try_open(const char *path, const tn_npy_options *options)
{
    tn_array *out = UNTOUCHED;
    int before = open_descriptors();
    tn_status status = tn_array_open_npy(path, options, &out);
    if (status == TN_OK)
        drop(out);
    else
        CHECK(out == UNTOUCHED);
    CHECK(open_descriptors() == before);
    return status;
}

/* The status in a mapped mode and in TN_NPY_COPY. */
static void refused(const char *name, tn_status mapped, tn_status copied)
{
    tn_npy_options copy = in_mode(TN_NPY_COPY);
    tn_status got = try_open(path_of(name), NULL);
    CHECK(got == mapped);
    CHECK(got == TN_OK || says(name) || got != TN_ERR_IO);
    tn_status second = try_open(path_of(name), &copy);
    CHECK(second == copied);
    if (got != mapped || second != copied)
        fprintf(stderr, "%s: mapped %s, copied %s: %s\n", name, tn_status_name(got), tn_status_name(second),
                tn_last_error());
}

static const int64_t six[6] = {0, 1, 2, 3, 4, 5};
#define SIX "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }"

static void mapped(void) /* IO-1, NP-2 */
{
    write_npy("six.npy", SIX, six, sizeof six);
    int before = open_descriptors();
    tn_array *a = NULL;
    OK(tn_array_open_npy(path_of("six.npy"), NULL, &a));
    tn_array_info info = info_of(a);
    CHECK(info.dtype == TN_I64 && info.ndim == 2 && info.shape[0] == 2 && info.shape[1] == 3 && info.strides[0] == 24);
    CHECK(info.device.type == TN_CPU && (info.flags & TN_READONLY) && (info.flags & TN_FOREIGN) &&
          (info.flags & TN_ALIGNED));
    CHECK(open_descriptors() == before && HOLDS(a, 0, 1, 2, 3, 4, 5));
    CHECK(try_write(a, 0) == TN_ERR_READONLY && try_write(a, TN_WRITE_UNIQUE) == TN_ERR_READONLY);
    CHECK(try_export(a, XS, 0) == TN_ERR_READONLY && try_export(a, XR, 0) == TN_OK);
    CHECK(remove(path_of("six.npy")) == 0); /* its name may be removed */
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5));
    tn_array *row = at(a, 0, 1);
    tn_view_info view;
    tn_borrow *guard = NULL;
    OK(tn_array_export_host(row, XR, 0, NULL, &view, &guard, NULL));
    drop(a);
    drop(row);
    CHECK(((const int64_t *)view.data)[2] == 5); /* mapped until the last consumer is done */
    end(guard);

    /* by descriptor, which stays the caller's */
    write_npy("six.npy", SIX, six, sizeof six);
    tn_npy_options options = in_mode(TN_NPY_READ);
    options.fd = open(path_of("six.npy"), O_RDONLY);
    OK(tn_array_open_npy(NULL, &options, &a));
    CHECK(fcntl(options.fd, F_GETFD) != -1 && close(options.fd) == 0);
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5));
    int64_t value = 1;
    OK(tn_array_fill(a, &value, TN_WRITE_COW, NULL));
    CHECK(HOLDS(a, 1, 1, 1, 1, 1, 1));
    drop(a);
    a = open_as("six.npy", TN_NPY_READ);
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5));
    drop(a);

    a = UNTOUCHED;
    options.size = 0;
    FAILS(tn_array_open_npy(path_of("six.npy"), &options, &a), TN_ERR_INVALID);
    options = in_mode(7);
    FAILS(tn_array_open_npy(path_of("six.npy"), &options, &a), TN_ERR_INVALID);
    FAILS(tn_array_open_npy(path_of("six.npy"), NULL, NULL), TN_ERR_NULL);
    FAILS(tn_array_open_npy(NULL, NULL, &a), TN_ERR_NULL);
    CHECK(a == UNTOUCHED);
}

/* Page faults of the process so far. */
static long page_faults(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt + usage.ru_majflt;
}

static void a_very_large_file(void) /* IO-1: nothing is read ahead */
{
    const int64_t sizes[2] = {(int64_t)1 << 40, (int64_t)1 << 30};
    for (int i = 0; i < 2; i++) {
        char header[100];
        snprintf(header, sizeof header, "{'descr': '|u1', 'fortran_order': False, 'shape': (%lld,), }",
                 (long long)sizes[i]);
        write_npy("large.npy", header, "", 0);
        struct stat status;
        CHECK(stat(path_of("large.npy"), &status) == 0);
        off_t total = status.st_size + (off_t)sizes[i];
        int fd = open(path_of("large.npy"), O_RDONLY);
        int room = truncate(path_of("large.npy"), total) == 0;
        void *probe = room ? mmap(NULL, (size_t)total, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (probe != MAP_FAILED)
            munmap(probe, (size_t)total);
        close(fd);
        if (probe == MAP_FAILED) {
            printf("skipped IO-1 with %lld bytes: this system cannot map such a file\n", (long long)sizes[i]);
            remove(path_of("large.npy"));
            continue;
        }
        long before = page_faults();
        tn_array *a = open_as("large.npy", TN_NPY_READ);
        CHECK(page_faults() - before < 5000); /* a few; reading all of it would take more than 16,000, 64 KiB at a time */
        tn_array *last = at(a, 0, -1);
        uint8_t value = 7;
        OK(tn_array_copy_to_host(last, &value, NULL, NULL));
        CHECK(value == 0 && info_of(a).bytes == (uint64_t)sizes[i]);
        drop(last);
        drop(a);
        remove(path_of("large.npy"));
        return;
    }
}

static void modes(void) /* IO-2 */
{
    write_npy("m.npy", SIX, six, sizeof six);
    int64_t value = 9;
    tn_array *a = open_as("m.npy", TN_NPY_COW), *b = NULL;
    CHECK((info_of(a).flags & TN_READONLY) == 0);
    OK(tn_array_fill(a, &value, 0, NULL));
    CHECK(HOLDS(a, 9, 9, 9, 9, 9, 9));
    b = open_as("m.npy", TN_NPY_READ);
    CHECK(HOLDS(b, 0, 1, 2, 3, 4, 5)); /* the file never changes */
    drop(a);
    drop(b);

    a = open_as("m.npy", TN_NPY_WRITE);
    tn_array *row = at(a, 0, 0);
    drop(a);
    OK(tn_array_fill(row, &value, 0, NULL));
    drop(row);
    b = open_as("m.npy", TN_NPY_READ);
    CHECK(HOLDS(b, 9, 9, 9, 3, 4, 5));
    drop(b);

    tn_pool *pool = own_pool("io-2");
    tn_npy_options options = in_mode(TN_NPY_COPY);
    options.pool = pool;
    OK(tn_array_open_npy(path_of("m.npy"), &options, &a));
    CHECK(live_bytes(pool) == 48 && why(a) == 0 && (info_of(a).flags & (TN_READONLY | TN_FOREIGN)) == 0);
    CHECK((uintptr_t)address(a) % 256 == 0);
    CHECK(truncate(path_of("m.npy"), 0) == 0); /* independent of the file */
    CHECK(HOLDS(a, 9, 9, 9, 3, 4, 5));
    drop(a);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));

    write_npy("readonly.npy", SIX, six, sizeof six);
    CHECK(chmod(path_of("readonly.npy"), 0444) == 0);
    if (access(path_of("readonly.npy"), W_OK) != 0) { /* not for users who may write everywhere */
        options = in_mode(TN_NPY_WRITE);
        CHECK(try_open(path_of("readonly.npy"), &options) == TN_ERR_IO);
    }
    options = in_mode(TN_NPY_WRITE);
    options.fd = open(path_of("readonly.npy"), O_RDONLY); /* a descriptor that cannot write */
    CHECK(try_open(NULL, &options) == TN_ERR_IO);
    close(options.fd);
    options = in_mode(TN_NPY_COW);
    CHECK(try_open(path_of("readonly.npy"), &options) == TN_OK);
}

static void opens(const char *name, int64_t first, int64_t second)
{
    tn_array *a = open_as(name, TN_NPY_READ);
    int64_t values[6] = {0};
    if (a == NULL)
        return;
    OK(tn_array_copy_to_host(a, values, NULL, NULL));
    CHECK(values[0] == first && values[1] == second);
    drop(a);
}

static void versions_and_shapes(void) /* IO-3, NP-1 */
{
    write_file("v1.npy", buffer, build(1, 0, SIX, 64, six, sizeof six));
    opens("v1.npy", 0, 1);
    write_file("v2.npy", buffer, build(2, 0, SIX, 64, six, sizeof six));
    opens("v2.npy", 0, 1);
    write_file("v3.npy", buffer, build(3, 0, SIX, 64, six, sizeof six));
    opens("v3.npy", 0, 1);
    write_file("a16.npy", buffer, build(1, 0, SIX, 16, six, sizeof six)); /* aligned as by old writers */
    opens("a16.npy", 0, 1);
    write_npy("free.npy", "  {  \"shape\" :( 2,3 ),'fortran_order':True  ,\t'descr':\"<i8\"}  ", six, sizeof six);
    opens("free.npy", 0, 2);
    tn_array *a = open_as("free.npy", TN_NPY_READ);
    CHECK(info_of(a).strides[0] == 8 && info_of(a).strides[1] == 16 && HOLDS(a, 0, 2, 4, 1, 3, 5));
    drop(a);
    int64_t more[10] = {0, 1, 2, 3, 4, 5, -1, -1, -1, -1};
    write_npy("more.npy", SIX, more, sizeof more); /* bytes after the data are ignored */
    opens("more.npy", 0, 1);

    const struct {
        const char *header;
        int32_t ndim;
        uint64_t count;
    } rows[6] = {{"{'descr': '<i8', 'fortran_order': False, 'shape': (), }", 0, 1},
                 {"{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }", 1, 0},
                 {"{'descr': '<i8', 'fortran_order': True, 'shape': (3, 0, 2), }", 3, 0},
                 {"{'descr': '<i8', 'fortran_order': False, 'shape': (6,), }", 1, 6},
                 {"{'descr': '<i8', 'fortran_order': False, 'shape': (6,)}", 1, 6},
                 {"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2), }", 11, 2}};
    const uint32_t modes[4] = {TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE, TN_NPY_COPY};
    for (int i = 0; i < 6; i++) {
        write_npy("shape.npy", rows[i].header, six, rows[i].count * 8);
        for (int k = 0; k < 4; k++) {
            a = open_as("shape.npy", modes[k]);
            CHECK(info_of(a).ndim == rows[i].ndim && info_of(a).count == rows[i].count);
            if (rows[i].count == 6)
                CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5));
            if (rows[i].count == 0) {
                const void *data = UNTOUCHED;
                tn_borrow *guard = NULL;
                OK(tn_array_borrow_read(a, 0, NULL, &data, NULL, &guard));
                CHECK(data == NULL);
                end(guard);
            }
            drop(a);
        }
    }
}

static void data_that_is_not_aligned(void) /* IO-4 */
{
    char header[100];
    size_t bytes = 0;
    for (int spaces = 0; spaces < 16; spaces++) { /* the data begin at an odd offset */
        snprintf(header, sizeof header, "%s%*s", SIX, spaces, "");
        bytes = build(1, 0, header, 0, six, sizeof six);
        if ((bytes - sizeof six) % 8 == 4)
            break;
    }
    write_file("odd.npy", buffer, bytes);
    refused("odd.npy", TN_ERR_WOULD_COPY, TN_OK);
    tn_array *a = open_as("odd.npy", TN_NPY_COPY);
    CHECK(HOLDS(a, 0, 1, 2, 3, 4, 5) && (info_of(a).flags & TN_ALIGNED));
    drop(a);
}

static void element_types(void) /* IO-5, IO-8 */
{
    static const struct {
        const char *descr;
        tn_dtype dtype;
        int bytes;
    } rows[14] = {{"|b1", TN_BOOL, 1}, {"|i1", TN_I8, 1},  {"<i2", TN_I16, 2}, {"<i4", TN_I32, 4}, {"<i8", TN_I64, 8},
                  {"|u1", TN_U8, 1},   {"<u2", TN_U16, 2}, {"<u4", TN_U32, 4}, {"<u8", TN_U64, 8}, {"<f2", TN_F16, 2},
                  {"<f4", TN_F32, 4},  {"<f8", TN_F64, 8}, {"<c8", TN_C64, 8}, {"<c16", TN_C128, 16}};
    unsigned char data[64], got[64];
    char header[120];
    for (int i = 0; i < 14; i++) {
        for (int k = 0; k < 64; k++)
            data[k] = (unsigned char)(rows[i].dtype == TN_BOOL ? k % 2 : k + 1);
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (4,), }", rows[i].descr);
        write_npy("type.npy", header, data, (size_t)rows[i].bytes * 4);
        for (uint32_t mode = TN_NPY_READ; mode <= TN_NPY_COPY; mode++) {
            tn_array *a = open_as("type.npy", mode);
            CHECK(info_of(a).dtype == rows[i].dtype && info_of(a).bytes == (uint64_t)rows[i].bytes * 4);
            OK(tn_array_copy_to_host(a, got, NULL, NULL));
            CHECK(memcmp(got, data, (size_t)rows[i].bytes * 4) == 0);
            drop(a);
        }
        /* big-endian: single bytes are equal, others are swapped when they are read */
        char descr[8];
        snprintf(descr, sizeof descr, ">%s", rows[i].descr + 1);
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (4,), }", descr);
        write_npy("big.npy", header, data, (size_t)rows[i].bytes * 4);
        refused("big.npy", rows[i].bytes == 1 ? TN_OK : TN_ERR_WOULD_COPY, TN_OK);
        tn_array *a = open_as("big.npy", TN_NPY_COPY);
        OK(tn_array_copy_to_host(a, got, NULL, NULL));
        int swapped = rows[i].descr[1] == 'c' ? rows[i].bytes / 2 : rows[i].bytes; /* complex: each component is swapped */
        for (int k = 0; k < rows[i].bytes * 4; k++)
            CHECK(got[k] == data[k / swapped * swapped + (swapped - 1 - k % swapped)]);
        drop(a);
    }
    static const char *const wrong[12] = {"'|O'",  "'<U5'",   "'|S5'", "'<M8[ns]'", "'|V8'", "'<f16'",
                                          "'<c32'", "[('a', '<i8')]", "'<i3'", "'i8x'",     "'<b1x'",
                                          "[('x', [('y', '<i4')])]"};
    for (int i = 0; i < 12; i++) {
        snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': (2,), }", wrong[i]);
        write_npy("wrong.npy", header, data, 64);
        tn_status status = try_open(path_of("wrong.npy"), NULL);
        CHECK(status == TN_ERR_DTYPE || (i >= 8 && status == TN_ERR_IO));
        if (status != TN_ERR_DTYPE && i < 8)
            fprintf(stderr, "descr %s: %s\n", wrong[i], tn_status_name(status));
    }
    const unsigned char flags[4] = {0, 1, 2, 255}; /* IO-8 */
    write_npy("bool.npy", "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", flags, 4);
    tn_array *a = open_as("bool.npy", TN_NPY_COPY);
    OK(tn_array_copy_to_host(a, got, NULL, NULL));
    CHECK(got[0] == 0 && got[1] == 1 && got[2] == 1 && got[3] == 1);
    drop(a);
    a = open_as("bool.npy", TN_NPY_READ);
    OK(tn_array_copy_to_host(a, got, NULL, NULL));
    CHECK(memcmp(got, flags, 4) == 0);
    drop(a);
}

static void damaged(void) /* IO-6 */
{
    refused("missing.npy", TN_ERR_IO, TN_ERR_IO);
    CHECK(mkdir(path_of("folder.npy"), 0755) == 0);
    refused("folder.npy", TN_ERR_IO, TN_ERR_IO);
    CHECK(rmdir(path_of("folder.npy")) == 0);
    write_file("empty.npy", "", 0);
    refused("empty.npy", TN_ERR_IO, TN_ERR_IO);
    size_t n = build(1, 0, SIX, 64, six, sizeof six);
    for (size_t cut = 1; cut < n; cut += cut < 12 ? 1 : 7) { /* truncated anywhere */
        build(1, 0, SIX, 64, six, sizeof six);
        write_file("cut.npy", buffer, cut);
        refused("cut.npy", TN_ERR_IO, TN_ERR_IO);
    }
    write_file("byte.npy", buffer, n - 1); /* one byte is enough */
    refused("byte.npy", TN_ERR_IO, TN_ERR_IO);
    const struct {
        int place;
        unsigned char value;
    } bytes[5] = {{0, 'X'}, {5, 'y'}, {6, 4}, {6, 0}, {7, 9}};
    for (int i = 0; i < 5; i++) { /* magic; versions 4.0, 0.0, 1.9 */
        build(1, 0, SIX, 64, six, sizeof six);
        buffer[bytes[i].place] = bytes[i].value;
        write_file("magic.npy", buffer, n);
        refused("magic.npy", TN_ERR_IO, TN_ERR_IO);
    }
    build(1, 0, SIX, 64, six, sizeof six);
    buffer[8] = 0xff; /* a header that ends after the file */
    buffer[9] = 0x7f;
    write_file("long.npy", buffer, n);
    refused("long.npy", TN_ERR_IO, TN_ERR_IO);

    static const char *const headers[] = {
        "",
        "x",
        "{}",
        "[1, 2]",
        "{'descr': '<i8', 'fortran_order': False}",
        "{'descr': '<i8', 'shape': (2, 3)}",
        "{'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), 'extra': 1}",
        "{'descr': '<i8', 'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': 'False', 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-2, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2.0, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': ('2', 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, (3,))}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': 6}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)} trailing",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)}}",
        "{'descr: '<i8', 'fortran_order': False, 'shape': (2, 3)}",
        "__import__('os').abort()",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        write_npy("header.npy", headers[i], six, sizeof six);
        tn_status status = try_open(path_of("header.npy"), NULL);
        CHECK(status == TN_ERR_IO && says("header.npy"));
        if (status != TN_ERR_IO)
            fprintf(stderr, "header %s: %s\n", headers[i], tn_status_name(status));
    }
}

static void hostile_headers(void) /* IO-7 */
{
    size_t n = 70000;
    char *header = malloc(n + 1);
    memset(header, ' ', n);
    header[n] = 0;
    memcpy(header, SIX, strlen(SIX));
    write_file("wide.npy", buffer, build(2, 0, header, 64, six, sizeof six));
    refused("wide.npy", TN_ERR_LIMIT, TN_ERR_LIMIT);
    tn_npy_options options = in_mode(TN_NPY_READ);
    options.max_header_bytes = 100000;
    CHECK(try_open(path_of("wide.npy"), &options) == TN_OK);
    options.max_header_bytes = 20;
    write_npy("six.npy", SIX, six, sizeof six);
    CHECK(try_open(path_of("six.npy"), &options) == TN_ERR_LIMIT);

    /* 60 KiB of brackets of each kind: neither deep recursion nor much time */
    const char *const brackets[3] = {"(", "[", "{'a':"};
    for (int i = 0; i < 3; i++) {
        size_t step = strlen(brackets[i]), used = 0;
        used += (size_t)sprintf(header, "{'descr': '<i8', 'fortran_order': False, 'shape': ");
        while (used + step < 60000) {
            memcpy(header + used, brackets[i], step);
            used += step;
        }
        header[used] = 0;
        write_file("deep.npy", buffer, build(2, 0, header, 64, six, sizeof six));
        tn_status status = try_open(path_of("deep.npy"), NULL);
        CHECK(status == TN_ERR_IO || status == TN_ERR_LIMIT);
        used = (size_t)sprintf(header, "{'descr': ");
        while (used + step < 60000) {
            memcpy(header + used, brackets[i], step);
            used += step;
        }
        header[used] = 0;
        write_file("deep.npy", buffer, build(2, 0, header, 64, six, sizeof six));
        status = try_open(path_of("deep.npy"), NULL);
        CHECK(status == TN_ERR_IO || status == TN_ERR_LIMIT || status == TN_ERR_DTYPE);
    }
    /* 65 axes; sizes that overflow */
    size_t used = (size_t)sprintf(header, "{'descr': '<i8', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < 65; i++)
        used += (size_t)sprintf(header + used, "1, ");
    sprintf(header + used, "), }");
    write_npy("axes.npy", header, six, sizeof six);
    refused("axes.npy", TN_ERR_OVERFLOW, TN_ERR_OVERFLOW);
    static const char *const sizes[3] = {"(4611686018427387904, 4611686018427387904)", "(9223372036854775807,)",
                                         "(99999999999999999999999999,)"};
    for (int i = 0; i < 3; i++) {
        sprintf(header, "{'descr': '<i8', 'fortran_order': False, 'shape': %s, }", sizes[i]);
        write_npy("size.npy", header, six, sizeof six);
        refused("size.npy", TN_ERR_OVERFLOW, TN_ERR_OVERFLOW);
    }
    free(header);
}

/* Parses the saved file without the library. */
static struct {
    int major;
    size_t data_at, size;
    char header[1024];
    const unsigned char *data;
} saved;

static void read_saved(const char *name)
{
    memset(&saved, 0, sizeof saved);
    FILE *file = fopen(path_of(name), "rb");
    CHECK(file != NULL);
    if (file == NULL)
        return;
    saved.size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    CHECK(saved.size > 12 && memcmp(buffer, "\x93NUMPY", 6) == 0 && buffer[7] == 0);
    saved.major = buffer[6];
    size_t prefix = saved.major == 1 ? 10 : 12, length = 0;
    for (size_t i = prefix - 8; i > 0; i--)
        length = length << 8 | buffer[7 + i];
    saved.data_at = prefix + length;
    CHECK(saved.data_at <= saved.size && buffer[saved.data_at - 1] == '\n');
    size_t shown = length < sizeof saved.header ? length : sizeof saved.header - 1;
    memcpy(saved.header, buffer + prefix, shown);
    saved.data = buffer + saved.data_at;
}

static void saving(void) /* IO-10, NP-1 */
{
    static const struct {
        tn_dtype dtype;
        const char *descr;
    } types[14] = {{TN_BOOL, "'|b1'"}, {TN_I8, "'|i1'"},  {TN_I16, "'<i2'"}, {TN_I32, "'<i4'"}, {TN_I64, "'<i8'"},
                   {TN_U8, "'|u1'"},   {TN_U16, "'<u2'"}, {TN_U32, "'<u4'"}, {TN_U64, "'<u8'"}, {TN_F16, "'<f2'"},
                   {TN_F32, "'<f4'"},  {TN_F64, "'<f8'"}, {TN_C64, "'<c8'"}, {TN_C128, "'<c16'"}};
    for (int i = 0; i < 14; i++) {
        uint8_t one[16] = {1, 0, 0, 0, 0, 0, 0, 0, 2};
        tn_array *a = NULL, *b = NULL;
        OK(tn_array_full(NULL, types[i].dtype, SHAPE(2, 3), one, NULL, &a));
        OK(tn_array_save_npy(a, path_of("saved.npy"), 0));
        read_saved("saved.npy");
        CHECK(saved.major == 1 && saved.data_at % 64 == 0 && strstr(saved.header, types[i].descr) != NULL);
        CHECK(strstr(saved.header, "'fortran_order': False") != NULL && strstr(saved.header, "(2, 3)") != NULL);
        size_t item = ((types[i].dtype >> 8) & 0xff) / 8;
        CHECK(saved.size == saved.data_at + 6 * item && memcmp(saved.data + 5 * item, one, item) == 0);
        b = open_as("saved.npy", TN_NPY_READ);
        CHECK(info_of(b).dtype == types[i].dtype && info_of(b).shape[1] == 3);
        drop(a);
        drop(b);
    }
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *b = NULL, *t = NULL;
    OK(tn_array_transpose(a, &t)); /* F-contiguous only: stays F-contiguous */
    OK(tn_array_save_npy(t, path_of("saved.npy"), TN_IO_SYNC));
    read_saved("saved.npy");
    CHECK(strstr(saved.header, "'fortran_order': True") != NULL && strstr(saved.header, "(3, 2)") != NULL);
    CHECK(memcmp(saved.data, six, sizeof six) == 0);
    b = open_as("saved.npy", TN_NPY_READ);
    CHECK(HOLDS(b, 0, 3, 1, 4, 2, 5) && info_of(b).strides[0] == 8);
    drop(b);
    tn_array *views[4] = {block(a, TN_NONE, TN_NONE, -1, 0, 3, 2), broadcast(a, SHAPE(2, 2, 3)), part(a, 0, 0, 1),
                          at(t, 0, 1)};
    for (int i = 0; i < 4; i++) { /* any layout */
        OK(tn_array_save_npy(views[i], path_of("saved.npy"), 0));
        b = open_as("saved.npy", TN_NPY_READ);
        tn_array_info from = info_of(views[i]), to = info_of(b);
        CHECK(to.ndim == from.ndim && to.count == from.count && memcmp(to.shape, from.shape, (size_t)to.ndim * 8) == 0);
        int64_t expected[12] = {0}, got[12] = {0};
        OK(tn_array_copy_to_host(views[i], expected, NULL, NULL));
        OK(tn_array_copy_to_host(b, got, NULL, NULL));
        CHECK(memcmp(expected, got, sizeof got) == 0);
        drop(b);
        drop(views[i]);
    }
    tn_array *point = NULL, *row = at(a, 0, 1);
    point = at(row, 0, 2);
    OK(tn_array_save_npy(point, path_of("saved.npy"), 0));
    read_saved("saved.npy");
    CHECK(strstr(saved.header, "'shape': ()") != NULL && saved.size == saved.data_at + 8);
    OK(tn_array_save_npy(row, path_of("saved.npy"), 0));
    read_saved("saved.npy");
    CHECK(strstr(saved.header, "(3,)") != NULL);
    drop(point);
    drop(row);

    tn_array *brain = zeros(NULL, TN_BF16, SHAPE(3));
    FAILS(tn_array_save_npy(brain, path_of("bf16.npy"), 0), TN_ERR_DTYPE);
    CHECK(access(path_of("bf16.npy"), F_OK) != 0);
    drop(brain);
    drop(t);
    drop(a);
}

static void saving_is_all_or_nothing(void) /* IO-11 */
{
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *b = zeros(NULL, TN_I64, SHAPE(4));
    OK(tn_array_save_npy(a, path_of("kept.npy"), 0));
    int files = files_in_folder(), descriptors = open_descriptors();
    FAILS(tn_array_save_npy(b, path_of("kept.npy"), TN_IO_EXCLUSIVE), TN_ERR_IO);
    CHECK(says("kept.npy"));
    FAILS(tn_array_save_npy(b, path_of("kept.npy"), 1u << 31), TN_ERR_INVALID);
    FAILS(tn_array_save_npy(b, NULL, 0), TN_ERR_NULL);
    FAILS(tn_array_save_npy(b, path_of("no/such/folder.npy"), 0), TN_ERR_IO);
    tn_borrow *guard = writing(b, 0);
    FAILS(tn_array_save_npy(b, path_of("kept.npy"), 0), TN_ERR_BORROWED_WRITE); /* saving is a read */
    end(guard);
    poison(b);
    FAILS(tn_array_save_npy(b, path_of("kept.npy"), 0), TN_ERR_POISONED);
    CHECK(files_in_folder() == files && open_descriptors() == descriptors); /* no temporary file is left */
    opens("kept.npy", 0, 1);
    CHECK(mkdir(path_of("target.npy"), 0755) == 0); /* a folder cannot be replaced */
    FAILS(tn_array_save_npy(a, path_of("target.npy"), 0), TN_ERR_IO);
    CHECK(files_in_folder() == files + 1);
    CHECK(rmdir(path_of("target.npy")) == 0);
    OK(tn_array_save_npy(a, path_of("new.npy"), TN_IO_EXCLUSIVE | TN_IO_SYNC));
    CHECK(files_in_folder() == files + 1);

    /* replaces the file from which the array is mapped */
    tn_array *mapped_file = open_as("kept.npy", TN_NPY_READ), *rows = part(mapped_file, TN_NONE, TN_NONE, -1);
    OK(tn_array_save_npy(rows, path_of("kept.npy"), 0));
    CHECK(HOLDS(mapped_file, 0, 1, 2, 3, 4, 5)); /* the old mapping still has the old file */
    opens("kept.npy", 3, 4);
    drop(rows);
    drop(mapped_file);
    drop(a);
    drop(b);
}

static void statistics_and_copies(void) /* CP-2: TN_NPY_COPY is a copy by contract, a mapping is none */
{
    write_npy("six.npy", SIX, six, sizeof six);
    OK(tn_copies_forbid(1));
    tn_array *a = open_as("six.npy", TN_NPY_COPY), *b = open_as("six.npy", TN_NPY_READ);
    OK(tn_copies_forbid(0));
    drop(a);
    drop(b);
}

static void remove_folder(void)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        if (entry->d_name[0] != '.') {
            char name[512];
            snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
            remove(name);
        }
    closedir(list);
    CHECK(rmdir(folder) == 0);
}

static void open_files(void) /* AR-62 */
{
    int fd = open(path_of("several.npy"), O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && write(fd, "12345678", 8) == 8);
    tn_array *a = numbers(NULL, SHAPE(2, 3)), *turned = NULL, *out = NULL;
    OK(tn_array_transpose(a, &turned));
    OK(tn_array_save_npy_fd(a, fd, TN_IO_SYNC));
    off_t between = lseek(fd, 0, SEEK_CUR);
    CHECK(between == 8 + 128 + 48);
    OK(tn_array_save_npy_fd(turned, fd, 0));
    off_t last = lseek(fd, 0, SEEK_CUR);
    uint64_t end = 0;
    tn_npy_options options = {.size = sizeof options, .mode = TN_NPY_COPY, .fd = -1};
    OK(tn_array_open_npy_fd(fd, 8, NULL, &end, &out));
    CHECK(end == (uint64_t)between && HOLDS(out, 0, 1, 2, 3, 4, 5) && (info_of(out).flags & TN_READONLY) != 0);
    drop(out);
    OK(tn_array_open_npy_fd(fd, end, &options, &end, &out));
    CHECK(end == (uint64_t)last && HOLDS(out, 0, 3, 1, 4, 2, 5) && lseek(fd, 0, SEEK_CUR) == last);
    drop(out);
    OK(tn_array_open_npy_fd(fd, 8, &options, NULL, &out));
    drop(out);
    out = UNTOUCHED;
    end = 7;
    FAILS(tn_array_open_npy_fd(fd, 0, NULL, &end, &out), TN_ERR_IO);
    FAILS(tn_array_open_npy_fd(fd, (uint64_t)last, NULL, &end, &out), TN_ERR_IO);
    FAILS(tn_array_open_npy_fd(fd, UINT64_MAX, NULL, &end, &out), TN_ERR_IO);
    FAILS(tn_array_open_npy_fd(-1, 0, NULL, &end, &out), TN_ERR_IO);
    FAILS(tn_array_open_npy_fd(fd, 8, NULL, &end, NULL), TN_ERR_NULL);
    options.mode = 9;
    FAILS(tn_array_open_npy_fd(fd, 8, &options, &end, &out), TN_ERR_INVALID);
    CHECK(out == UNTOUCHED && end == 7);
    FAILS(tn_array_save_npy_fd(a, fd, TN_IO_EXCLUSIVE), TN_ERR_INVALID);
    FAILS(tn_array_save_npy_fd(NULL, fd, 0), TN_ERR_NULL);
    FAILS(tn_array_save_npy_fd(a, -1, 0), TN_ERR_IO);
    CHECK(says("descriptor -1") && lseek(fd, 0, SEEK_CUR) == last);
    CHECK(close(fd) == 0);
    fd = open(path_of("several.npy"), O_RDONLY);
    FAILS(tn_array_save_npy_fd(a, fd, 0), TN_ERR_IO);
    CHECK(close(fd) == 0);
    /* a pipe has no position; it can be written, and not opened */
    int ends[2];
    unsigned char header[128 + 48];
    CHECK(pipe(ends) == 0);
    OK(tn_array_save_npy_fd(a, ends[1], 0));
    CHECK(read(ends[0], header, sizeof header) == (ssize_t)sizeof header && memcmp(header, "\x93NUMPY", 6) == 0);
    FAILS(tn_array_open_npy_fd(ends[0], 0, NULL, NULL, &out), TN_ERR_IO);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    drop(turned);
    drop(a);
    CHECK(remove(path_of("several.npy")) == 0);
}

/* No call ends because a signal interrupts one of its system calls. */
static void interrupted(void) /* IO-2, IO-10 */
{
    tn_array *a = numbers(NULL, SHAPE(3, 10000)), *turned = NULL, *back = NULL;
    OK(tn_array_transpose(a, &turned));
    begin_interruptions();
    for (int i = 0; i < rounds(1000) || interruptions == 0; i++) {
        OK(tn_array_save_npy(turned, path_of("interrupted.npy"), 0));
        back = open_as("interrupted.npy", i % 2 ? TN_NPY_COPY : TN_NPY_READ);
        drop(back);
    }
    end_interruptions();
    drop(turned);
    drop(a);
    CHECK(remove(path_of("interrupted.npy")) == 0);
}

static char saved_path[160], opened_path[160];

/* Saves and opens until it is cancelled, which only its own cancellation point serves. */
static void *save_and_open(void *array)
{
    tn_array *a = array, *b = NULL;
    for (;;) {
        OK(tn_array_save_npy(a, saved_path, 0));
        OK(tn_array_open_npy(opened_path, NULL, &b));
        OK(tn_array_release(b));
        pthread_testcancel();
    }
    return NULL;
}

static void threads_that_are_cancelled(void) /* TH-26 */
{
    tn_array *a = numbers(NULL, SHAPE(1000));
    int files = files_in_folder();
    snprintf(saved_path, sizeof saved_path, "%s", path_of("cancelled.npy"));
    snprintf(opened_path, sizeof opened_path, "%s", path_of("source.npy"));
    OK(tn_array_save_npy(a, opened_path, 0));
    int before = open_descriptors();
    for (int i = 0; i < rounds(40); i++) {
        pthread_t thread;
        void *ended = NULL;
        struct timespec pause = {0, 200000 + i * 37000 % 900000};
        CHECK(pthread_create(&thread, NULL, save_and_open, a) == 0);
        nanosleep(&pause, NULL);
        CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &ended) == 0 && ended == PTHREAD_CANCELED);
    }
    CHECK(open_descriptors() == before);
    tn_borrow *guard;
    OK(tn_array_borrow_write(a, 0, NULL, NULL, NULL, &guard));
    end(guard);
    drop(a);
    /* no temporary file is left beside them */
    CHECK(remove(saved_path) == 0 && remove(opened_path) == 0 && files_in_folder() == files);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    mapped();
    a_very_large_file();
    modes();
    versions_and_shapes();
    data_that_is_not_aligned();
    element_types();
    damaged();
    hostile_headers();
    saving();
    saving_is_all_or_nothing();
    statistics_and_copies();
    open_files();
    interrupted();
    threads_that_are_cancelled();
    remove_folder();
    return finish();
}
