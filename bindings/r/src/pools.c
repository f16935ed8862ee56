// Pools, and what the library reports: memory, copies, holders, leaks.
#include "binding.h"

static void finish_pool(SEXP object) {
    tn_pool *pool = R_ExternalPtrAddr(object);
    R_ClearExternalPtr(object);
    if (pool != NULL) {
        tn_pool_release(pool);
    }
}

// A list of numbers, by name. The last field is "".
static SEXP numbers(const char **fields, const uint64_t *values) {
    SEXP list = PROTECT(Rf_mkNamed(VECSXP, fields));
    for (R_xlen_t at = 0; at < XLENGTH(list); at++) {
        SET_VECTOR_ELT(list, at, Rf_ScalarReal((double)values[at]));
    }
    UNPROTECT(1);
    return list;
}

static const tn_device HOST = {TN_CPU, 0};

SEXP r_pool(SEXP name, SEXP initial_size, SEXP max_size) {
    prepare();
    tn_pool_options options = {
        .size = sizeof options,
        .name = Rf_isString(name) ? Rf_translateCharUTF8(STRING_ELT(name, 0)) : NULL,
        .initial_size = (uint64_t)Rf_asReal(initial_size),
        .max_size = (uint64_t)Rf_asReal(max_size),
    };
    tn_pool *made = NULL;
    SEXP object = PROTECT(object_for("tenure_pool", finish_pool));
    check(tn_pool_create(HOST, &options, &made));
    R_SetExternalPtrAddr(object, made);
    UNPROTECT(1);
    return object;
}

SEXP r_pool_release(SEXP object) {
    tn_pool *pool = pool_of(object);
    R_ClearExternalPtr(object);
    check(tn_pool_release(pool));
    return R_NilValue;
}

// Makes it the thread's pool, and returns the one before.
SEXP r_pool_set_current(SEXP pool) {
    tn_pool *next = pool_of(pool), *before = NULL;
    SEXP object = PROTECT(object_for("tenure_pool", finish_pool));
    check(tn_pool_current(HOST, &before));
    R_SetExternalPtrAddr(object, before);
    check(tn_pool_set_current(next));
    UNPROTECT(1);
    return object;
}

SEXP r_pool_stats(SEXP pool) {
    tn_pool_stats stats = {.size = sizeof stats};
    check(tn_pool_query(pool_of(pool), &stats));
    const char *fields[] = {"live_blocks",    "requested_bytes",   "in_use_bytes",     "cached_bytes",
                            "reserved_bytes", "peak_in_use_bytes", "allocation_count", "limit_bytes", ""};
    const uint64_t values[] = {stats.live_blocks,    stats.requested_bytes,   stats.in_use_bytes,     stats.cached_bytes,
                               stats.reserved_bytes, stats.peak_in_use_bytes, stats.allocation_count, stats.limit_bytes};
    return numbers(fields, values);
}

SEXP r_pool_trim(SEXP pool, SEXP keep_bytes) {
    size_t released = 0;
    check(tn_pool_trim(pool_of(pool), (size_t)Rf_asReal(keep_bytes), &released));
    return Rf_ScalarReal((double)released);
}

SEXP r_memory(void) {
    tn_device_info info = {.size = sizeof info};
    check(tn_device_query(HOST, TN_QUERY_MEMORY, &info));
    const char *fields[] = {"total_bytes", "free_bytes", "used_bytes", "pool_bytes", "pool_free_bytes", ""};
    const uint64_t values[] = {info.total_bytes, info.free_bytes, info.used_bytes, info.pool_bytes, info.pool_free_bytes};
    return numbers(fields, values);
}

static const char *const KINDS[] = {
    [TN_HOLDER_HANDLE] = "handle",
    [TN_HOLDER_PROMISE] = "promise",
    [TN_HOLDER_EXPRESSION] = "expression",
    [TN_HOLDER_SHARED_VARIABLE] = "shared variable",
    [TN_HOLDER_EXPORT_READ] = "export for reading",
    [TN_HOLDER_EXPORT_SHARED] = "shared export",
    [TN_HOLDER_EXPORT_EXCLUSIVE] = "exclusive export",
    [TN_HOLDER_GUARD_READ] = "read guard",
    [TN_HOLDER_GUARD_WRITE] = "write guard",
    [TN_HOLDER_BLOCK] = "block",
    [TN_HOLDER_POOL] = "pool",
    [TN_HOLDER_STREAM] = "stream",
    [TN_HOLDER_EVENT] = "event",
    [TN_HOLDER_SCOPE] = "scope",
    [TN_HOLDER_WEAK] = "weak handle",
    [TN_HOLDER_FUNCTION] = "function",
    [TN_HOLDER_MIRROR] = "mirror",
    [TN_HOLDER_QUEUED_RELEASE] = "queued release",
    [TN_HOLDER_MODULE] = "module",
};

// Holders as columns of a data frame.
static SEXP columns_of(const tn_holder *holders, size_t count) {
    const char *fields[] = {"kind", "name", "bytes", "site", ""};
    SEXP list = PROTECT(Rf_mkNamed(VECSXP, fields));
    for (int column = 0; column < 4; column++) {
        SET_VECTOR_ELT(list, column, Rf_allocVector(column == 2 ? REALSXP : STRSXP, (R_xlen_t)count));
    }
    for (size_t at = 0; at < count; at++) {
        const tn_holder *one = &holders[at];
        bool is_known = one->kind < sizeof KINDS / sizeof *KINDS && KINDS[one->kind] != NULL;
        SET_STRING_ELT(VECTOR_ELT(list, 0), (R_xlen_t)at, Rf_mkChar(is_known ? KINDS[one->kind] : "other"));
        SET_STRING_ELT(VECTOR_ELT(list, 1), (R_xlen_t)at, Rf_mkCharCE(one->name, CE_UTF8));
        REAL(VECTOR_ELT(list, 2))[at] = (double)one->bytes;
        SET_STRING_ELT(VECTOR_ELT(list, 3), (R_xlen_t)at, Rf_mkCharCE(one->site, CE_UTF8));
    }
    UNPROTECT(1);
    return list;
}

// The holders of an array; with R's NULL, all objects that were not released.
SEXP r_holders(SEXP object) {
    release_lent();
    tn_array *array = object == R_NilValue ? NULL : array_of(object);
    tn_holder *holders = NULL;
    size_t capacity = 0, count = 0;
    // Other threads can make more between two calls.
    do {
        capacity = count;
        holders = (tn_holder *)R_alloc(capacity + 1, sizeof *holders);
        check(object == R_NilValue ? tn_leaks(sizeof *holders, capacity, holders, &count)
                                   : tn_array_holders(array, sizeof *holders, capacity, NULL, holders, &count));
    } while (count > capacity);
    return columns_of(holders, count);
}

SEXP r_copy_count(void) {
    size_t n_sites = 0, capacity = 0;
    tn_copy_site *sites = NULL;
    do {
        capacity = n_sites;
        sites = (tn_copy_site *)R_alloc(capacity + 1, sizeof *sites);
        check(tn_copies_query(sizeof *sites, capacity, sites, &n_sites));
    } while (n_sites > capacity);
    double count = 0;
    for (size_t at = 0; at < n_sites; at++) {
        count += (double)sites[at].count;
    }
    return Rf_ScalarReal(count);
}

SEXP r_version(void) {
    uint32_t version = tn_version();
    SEXP numbers = Rf_allocVector(INTSXP, 3);
    for (int at = 0; at < 3; at++) {
        INTEGER(numbers)[at] = (int)(version >> (8 * (2 - at)) & (at == 0 ? 0xffff : 0xff));
    }
    return numbers;
}
