/*
 * block_layout.c - where arrays lie in the memory of a thread block (KN-1, KN-2).
 */
#include "helpers.h"

#define MOST 3

typedef struct {
    size_t n_items;
    tn_block_item items[MOST];
    int64_t offsets[MOST];
    int64_t total;
} row;

/* KN-1: the table of the specification. */
static const row rows[] = {
    {2, {{TN_F32, 0, 256, 0}, {TN_F32, 0, 256, 0}}, {0, 1024}, 2048},
    {3, {{TN_I8, 0, 3, 0}, {TN_F64, 0, 7, 0}, {TN_F32, 0, 5, 0}}, {0, 8, 64}, 84},
    {3, {{TN_BOOL, 0, 1, 0}, {TN_C128, 0, 1, 0}, {TN_I16, 0, 1, 0}}, {0, 16, 32}, 34},
    {2, {{TN_F64, 0, 0, 0}, {TN_I32, 0, 2, 0}}, {0, 0}, 8},
    {2, {{TN_U8, 0, 1, 0}, {TN_F32, 0, 4, 128}}, {0, 128}, 144},
    {3, {{TN_I32, 0, 1, 0}, {TN_F16, 0, 3, 0}, {TN_F64, 0, 1, 0}}, {0, 4, 16}, 24},
    /* An empty array behind another one, with an alignment above its own; an alignment below the element's size. */
    {3, {{TN_U8, 0, 1, 0}, {TN_F32, 0, 0, 64}, {TN_U8, 0, 1, 0}}, {0, 64, 64}, 65},
    {2, {{TN_U8, 0, 1, 0}, {TN_F64, 0, 2, 1}}, {0, 1}, 17},
    {1, {{TN_C64, 0, 5, 0}}, {0}, 40},
};

static void kn_1_the_table(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t offsets[MOST + 1] = {-1, -1, -1, -1}, total = -1;
        OK(tn_block_layout(rows[i].n_items, rows[i].items, offsets, &total));
        CHECK(total == rows[i].total);
        CHECK(memcmp(offsets, rows[i].offsets, rows[i].n_items * sizeof *offsets) == 0);
        CHECK(offsets[rows[i].n_items] == -1);
    }
}

/* The call fails with this status and this text, and writes nothing. */
static void refused(size_t n_items, const tn_block_item *items, tn_status status, const char *text)
{
    int64_t offsets[MOST] = {-1, -1, -1}, total = -1;
    FAILS(tn_block_layout(n_items, items, offsets, &total), status);
    CHECK(says(text));
    CHECK(offsets[0] == -1 && offsets[1] == -1 && offsets[2] == -1 && total == -1);
}

static void kn_2_no_items(void)
{
    int64_t total = -1, untouched = -1;
    OK(tn_block_layout(0, NULL, NULL, &total));
    CHECK(total == 0);
    OK(tn_block_layout(0, rows[0].items, &untouched, &total));
    CHECK(total == 0 && untouched == -1);
}

static void kn_2_null(void)
{
    int64_t offsets[MOST] = {-1}, total = -1;
    const tn_block_item bad = {TN_F32, 1, -1, 3};
    FAILS(tn_block_layout(1, NULL, offsets, &total), TN_ERR_NULL);
    CHECK(says("items"));
    FAILS(tn_block_layout(1, &bad, NULL, NULL), TN_ERR_NULL);
    CHECK(says("offsets"));
    FAILS(tn_block_layout(1, &bad, offsets, NULL), TN_ERR_NULL);
    CHECK(says("total"));
    FAILS(tn_block_layout(0, NULL, NULL, NULL), TN_ERR_NULL);
    CHECK(offsets[0] == -1 && total == -1);
}

static void kn_2_wrong_items(void)
{
    static const int64_t aligns[] = {-1, -128, INT64_MIN, 3, 24, 129, 256, INT64_MAX};
    for (size_t i = 0; i < sizeof aligns / sizeof *aligns; i++) {
        const tn_block_item items[] = {{TN_F32, 0, 1, 0}, {TN_F32, 0, 1, aligns[i]}};
        char text[64];
        snprintf(text, sizeof text, "items[1].align is %lld;", (long long)aligns[i]);
        refused(2, items, TN_ERR_INVALID, text);
    }
    refused(2, (tn_block_item[]){{TN_F32, 0, 1, 0}, {TN_F32, 0, -3, 0}}, TN_ERR_INVALID, "items[1].count is -3;");
    refused(1, (tn_block_item[]){{TN_F32, 7, 1, 0}}, TN_ERR_INVALID, "items[0].reserved is 7;");
    refused(2, (tn_block_item[]){{TN_F32, 0, 1, 0}, {TN_F32 + 1, 0, 1, 0}}, TN_ERR_DTYPE, "items[1]");
    refused(1, (tn_block_item[]){{0, 0, 0, 0}}, TN_ERR_DTYPE, "items[0]");
    refused(2, (tn_block_item[]){{TN_F64, 0, INT64_MAX / 8, 0}, {TN_F64, 0, 1, 0}}, TN_ERR_OVERFLOW, "items[1]");
    refused(1, (tn_block_item[]){{TN_C128, 0, INT64_MAX / 8, 0}}, TN_ERR_OVERFLOW, "complex128");
    refused(2, (tn_block_item[]){{TN_U8, 0, INT64_MAX, 0}, {TN_U8, 0, 0, 128}}, TN_ERR_OVERFLOW, "items[1]");
    /* The order of checks: INVALID, DTYPE, OVERFLOW, whichever item comes first. */
    refused(3, (tn_block_item[]){{TN_F64, 0, INT64_MAX, 0}, {1, 0, 1, 0}, {TN_F64, 0, 1, 3}}, TN_ERR_INVALID, "items[2]");
    refused(2, (tn_block_item[]){{TN_F64, 0, INT64_MAX, 0}, {1, 0, 1, 0}}, TN_ERR_DTYPE, "items[1]");
}

int main(void)
{
    kn_1_the_table();
    kn_2_no_items();
    kn_2_null();
    kn_2_wrong_items();
    return finish();
}
