/* The functions one by one: sizes, alignments, contents, failures, errno. */
#include "check.h"

static int aligned_to(const void *block, size_t alignment) { return (uintptr_t)block % alignment == 0; }

static void sizes_and_alignment(void)
{
    for (size_t bytes = 0; bytes < 5000; bytes = bytes < 300 ? bytes + 1 : bytes + 97) {
        char *block = malloc(bytes);
        CHECK(block != NULL && aligned_to(block, 16));
        CHECK(malloc_usable_size(block) >= bytes);
        /* All usable bytes can be written. */
        memset(block, 0x5a, malloc_usable_size(block));
        free(block);
    }
    void *a = malloc(0), *b = malloc(0);
    CHECK(a != NULL && b != NULL && a != b);
    free(a);
    free(b);
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0);
}

static void large_alignments(void)
{
    for (size_t alignment = 16; alignment <= (size_t)4 << 20; alignment *= 2) {
        const size_t sizes[] = {0, 1, 100, 5000, 100000, 5000000};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            char *a = memalign(alignment, sizes[i]), *b = aligned_alloc(alignment, sizes[i]);
            void *c = NULL;
            CHECK(posix_memalign(&c, alignment, sizes[i]) == 0);
            CHECK(a != NULL && b != NULL && c != NULL);
            CHECK(aligned_to(a, alignment) && aligned_to(b, alignment) && aligned_to(c, alignment));
            fill(a, sizes[i], 1);
            fill(b, sizes[i], 2);
            fill(c, sizes[i], 3);
            CHECK(is_filled(a, sizes[i], 1) && is_filled(b, sizes[i], 2));
            /* An aligned block is resized and freed as any other. */
            a = realloc(a, sizes[i] + 1000);
            CHECK(a != NULL && is_filled(a, sizes[i], 1));
            free(a);
            free(b);
            free(c);
        }
    }
    /* As in the C library: memalign rounds the alignment up, the others refuse it. */
    void *block = memalign(48, 100);
    CHECK(aligned_to(block, 64));
    free(block);
    errno = 0;
    CHECK(aligned_alloc(48, 96) == NULL && errno == EINVAL);
    errno = 77;
    void *untouched = &block;
    CHECK(posix_memalign(&untouched, 48, 96) == EINVAL && posix_memalign(&untouched, 4, 96) == EINVAL);
    CHECK(posix_memalign(&untouched, 64, (size_t)1 << 62) == ENOMEM);
    CHECK(untouched == &block && errno == 77);
    errno = 0;
    CHECK(memalign((size_t)8 << 20, 100) == NULL && errno == ENOMEM);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *v = valloc(100), *p = pvalloc(page + 1);
    CHECK(aligned_to(v, page) && aligned_to(p, page) && malloc_usable_size(p) >= 2 * page);
    free(v);
    free(p);
}

/* A block that is freed leaves nothing in use, whatever function made it. */
static void all_of_it_is_freed(void)
{
    for (size_t bytes = 1; bytes < 4000000; bytes = bytes * 3 / 2 + 7) {
        size_t before = 0;
        for (int round = 0; round < 100; round++) {
            free(malloc(bytes));
            free(calloc(bytes, 1));
            free(aligned_alloc(64, bytes));
            free(realloc(calloc(1, bytes), bytes * 2));
            if (round == 10) before = mallinfo2().uordblks;
        }
        CHECK(mallinfo2().uordblks <= before);
    }
}

static void calloc_is_zero(void)
{
    const size_t sizes[] = {1, 16, 100, 1000, 20000, 70000, 300000, 3000000};
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            char *blocks[8];
            for (int j = 0; j < 8; j++) {
                blocks[j] = calloc(sizes[i], 1);
                CHECK(blocks[j] != NULL);
                for (size_t at = 0; at < sizes[i]; at++) CHECK(blocks[j][at] == 0);
                memset(blocks[j], 0xff, malloc_usable_size(blocks[j]));
            }
            for (int j = 0; j < 8; j++) free(blocks[j]);
        }
    }
    errno = 0;
    CHECK(calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(reallocarray(NULL, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
}

static void oversized_requests_fail(void)
{
    const size_t sizes[] = {(size_t)1 << 60, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        CHECK(malloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(calloc(1, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(pvalloc(sizes[i]) == NULL && errno == ENOMEM);
        char *block = malloc(100);
        fill(block, 100, 9);
        errno = 0;
        CHECK(realloc(block, sizes[i]) == NULL && errno == ENOMEM);
        CHECK(is_filled(block, 100, 9));
        free(block);
    }
}

static void realloc_keeps_contents(void)
{
    char *block = realloc(NULL, 1);
    CHECK(block != NULL);
    fill(block, 1, 4);
    size_t bytes = 1;
    for (size_t more = 2; more < (size_t)64 << 20; more = more * 5 / 3 + 1) {
        block = realloc(block, more);
        CHECK(block != NULL && aligned_to(block, 16) && is_filled(block, bytes, 4));
        fill(block, more, 4);
        bytes = more;
    }
    while (bytes > 1) {
        bytes = bytes / 3 + 1 < bytes ? bytes / 3 + 1 : 1;
        block = realloc(block, bytes);
        CHECK(block != NULL && is_filled(block, bytes, 4));
    }
    /* A small block stays in place while its size class fits. When it moves, all of its usable bytes are copied. */
    char *small = malloc(100);
    memset(small, 7, malloc_usable_size(small));
    if (getenv("TENURE_MALLOC_STRICT") == NULL) CHECK(realloc(small, malloc_usable_size(small)) == small && realloc(small, 101) == small);
    size_t usable = malloc_usable_size(small);
    small = realloc(small, 4000);
    for (size_t i = 0; i < usable; i++) CHECK(small[i] == 7);
    free(small);
    char *aligned = realloc(memalign(1024, 100), 2000);
    CHECK(aligned_to(aligned, 1024));
    free(aligned);
    /* As in the C library: realloc to 0 bytes frees. */
    CHECK(realloc(block, 0) == NULL);
    block = reallocarray(NULL, 10, 10);
    fill(block, 100, 5);
    block = reallocarray(block, 1000, 10);
    CHECK(is_filled(block, 100, 5));
    free(block);
}

static void free_leaves_errno(void)
{
    const size_t sizes[] = {10, 100000, 100000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = malloc(sizes[i]);
        CHECK(block != NULL);
        errno = 1234;
        free(block);
        CHECK(errno == 1234);
    }
    malloc_trim(0);
    CHECK(errno == 1234);
}

static void remaining_functions(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))FUNCTION("free_sized");
    void (*aligned_sized)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))FUNCTION("free_aligned_sized");
    void (*old)(void *) = (void (*)(void *))FUNCTION("cfree");
    struct mallinfo2 before = mallinfo2();
    void *blocks[3] = {malloc(1 << 20), aligned_alloc(64, 1 << 20), malloc(1 << 20)};
    struct mallinfo2 then = mallinfo2();
    CHECK(then.uordblks >= before.uordblks + (3 << 20) && then.arena >= then.uordblks);
    sized(blocks[0], 1 << 20);
    aligned_sized(blocks[1], 64, 1 << 20);
    old(blocks[2]);
    CHECK(mallinfo2().uordblks + (3 << 20) <= then.uordblks);
    /* Trimming returns free memory to the system. */
    void *large = malloc(100 << 20);
    memset(large, 1, 100 << 20);
    long resident = resident_kib();
    CHECK(resident > 90 << 10);
    free(large);
    malloc_trim(0);
    CHECK(resident_kib() < resident - (90 << 10));
}

/* Blocks of any size, alignment and age do not overlap. */
static void random_traces(void)
{
    enum { SLOTS = 500 };
    static struct { char *at; size_t bytes; unsigned seed; } slots[SLOTS];
    unsigned state = 42;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned slot = next_random(&state) % SLOTS;
        if (slots[slot].at != NULL) CHECK(is_filled(slots[slot].at, slots[slot].bytes, slots[slot].seed));
        size_t bytes = next_random(&state) % (1u << (next_random(&state) % 14 + 1));
        size_t kept = bytes < slots[slot].bytes ? bytes : slots[slot].bytes;
        switch (next_random(&state) % 8) {
        case 0:
            slots[slot].at = realloc(slots[slot].at, bytes + 1);
            CHECK(slots[slot].at != NULL && is_filled(slots[slot].at, kept, slots[slot].seed));
            break;
        case 1:
            free(slots[slot].at);
            slots[slot].at = aligned_alloc((size_t)1 << next_random(&state) % 13, bytes);
            break;
        case 2:
            free(slots[slot].at);
            slots[slot].at = calloc(bytes + 1, 1);
            for (size_t i = 0; i < bytes; i++) CHECK(slots[slot].at[i] == 0);
            break;
        case 3:
        case 4:
            free(slots[slot].at);
            slots[slot].at = NULL;
            bytes = 0;
            break;
        default:
            free(slots[slot].at);
            slots[slot].at = malloc(bytes);
        }
        slots[slot].bytes = bytes;
        slots[slot].seed = step;
        if (slots[slot].at != NULL) fill(slots[slot].at, bytes, step);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].at != NULL) CHECK(is_filled(slots[i].at, slots[i].bytes, slots[i].seed));
        free(slots[i].at);
    }
}

int main(void)
{
    check_preloaded();
    sizes_and_alignment();
    large_alignments();
    all_of_it_is_freed();
    calloc_is_zero();
    oversized_requests_fail();
    realloc_keeps_contents();
    free_leaves_errno();
    remaining_functions();
    random_traces();
    return 0;
}
