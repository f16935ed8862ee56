/* What a program sees of the version, the names and the constants. The records in `abi` have sizes, offsets and values. */
#include "check.h"

int main(void) {
    CHECK(tn_version() >= TN_VERSION);
    CHECK(strcmp(tn_status_name(TN_ERR_STALE), "TN_ERR_STALE") == 0);
    CHECK(strcmp(tn_status_name(UINT32_MAX), "TN_ERR_?") == 0);
    CHECK(strcmp(tn_last_error(), "") == 0);
    CHECK(sizeof(tn_array *) == 8 && sizeof(size_t) == 8);
    CHECK(TN_DTYPE(TN_CODE_COMPLEX, 128u) == TN_C128 && TN_DTYPE(TN_CODE_BOOL, 8u) == TN_BOOL);
    /* Flags that several families share have equal values; other flags do not overlap. */
    _Static_assert((TN_WAIT & (TN_READ_WRITE | TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_REQUIRE_ASYNC)) == 0,
                   "TN_WAIT is a bit of its own");
    _Static_assert((TN_READ_WRITE & (TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_REQUIRE_ASYNC)) == 0,
                   "an access has bits of its own");
    _Static_assert((TN_ALLOW_ALIAS & (TN_READ_WRITE | TN_WAIT | TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD)) == 0,
                   "TN_ALLOW_ALIAS is a bit of its own");
    CHECK(TN_STREAM_LEGACY == tn_stream_legacy() && TN_STREAM_PER_THREAD == tn_stream_per_thread());
    CHECK(TN_STREAM_CURRENT == tn_stream_of_thread());
    return finish();
}
