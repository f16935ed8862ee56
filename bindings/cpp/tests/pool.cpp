// pool.cpp - pools and their options, raw blocks, the thread's current pool, devices.
#include "check.hpp"

#include <typeinfo>

using tenure::array;
using tenure::pool;
using tenure::pool_options;

static void blocks() {
    pool p(pool_options()
               .name("p")
               .alignment(128)
               .max_size(std::uint64_t{64} << 20)
               .thread_cache_size(TN_POOL_NONE)
               .flags(0));
    void *block = p.allocate(1000);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 128 == 0);
    CHECK(tenure::usable_size(block) >= 1000);
    CHECK(p.stats().live_blocks == 1 && p.stats().requested_bytes == 1000 &&
          p.stats().limit_bytes == std::uint64_t{64} << 20);
    block = p.reallocate(block, 100000);
    CHECK(p.stats().requested_bytes == 100000);
    pool same = pool::of(block);
    CHECK(same.stats().live_blocks == 1);
    THROWS(tenure::usage_error, TN_ERR_INVALID, p.deallocate(static_cast<char *>(block) + 8));
    p.deallocate(block);
    THROWS(tenure::usage_error, TN_ERR_STALE, p.deallocate(block));
    auto *zeroed = static_cast<unsigned char *>(p.allocate_zeroed(64, 4096));
    CHECK(reinterpret_cast<std::uintptr_t>(zeroed) % 4096 == 0 && zeroed[0] == 0 && zeroed[63] == 0);
    p.deallocate(zeroed);
    CHECK(p.stats().peak_requested_bytes >= 100000);
    p.reset_peak();
    CHECK(p.stats().peak_requested_bytes == 0);
    CHECK(p.trim() > 0);
    THROWS(tenure::usage_error, TN_ERR_INVALID, pool(pool_options().growth_factor(0.5)));
    pool moved = std::move(p);
    CHECK(!p && moved);
    moved = std::move(same);
    pool raw = pool::adopt(moved.detach());
    CHECK(!moved && raw);
}

static void current() {
    pool p(pool_options().name("scoped"));
    {
        tenure::use_pool scope(p);
        array a = tenure::zeros<double>({10});
        CHECK(p.stats().live_blocks == 1);
        CHECK(a.pool().stats().live_blocks == 1);
        CHECK(pool::current().stats().live_blocks == 1);
        {
            pool inner(pool_options().name("inner"));
            tenure::use_pool nested(inner);
            array b = tenure::zeros<double>({10});
            CHECK(inner.stats().live_blocks == 1);
        }
        array c = tenure::zeros<double>({10});
        CHECK(p.stats().live_blocks == 2);
    }
    array d = tenure::zeros<double>({10});
    CHECK(p.stats().live_blocks == 0);
    CHECK(pool::process_default().stats().live_blocks >= 1);
    THROWS(tenure::usage_error, TN_ERR_NULL, tenure::use_pool scope{pool()});
    // AR-61
    THROWS(tenure::usage_error, TN_ERR_NULL, pool().enable());
    const pool previous = pool::process_default();
    const pool next(pool_options().name("next"));
    next.enable();
    CHECK(tenure::zeros<double>({4}).pool().stats().serial == next.stats().serial);
    previous.enable();
    CHECK(tenure::zeros<double>({4}).pool().stats().serial == previous.stats().serial);
    CHECK(tn_pool_set_current(nullptr) == TN_OK);
    // An array outlives the handle of its pool.
    array e = tenure::zeros<double>({4}, tenure::options().pool(p));
    p = pool();
    CHECK(e.read<double>()[3] == 0.0);
    CHECK(e.copy(pool::current()).size() == 4);
}

/* PO-43, PO-35 */
static void pressure() {
    pool p(pool_options().name("tight").max_size(4 << 20));
    // Each block leaves a page for the bytes that a memory checker watches.
    constexpr std::size_t mebibyte = 1 << 20, page = 4096;
    std::vector<void *> cache;
    for (int i = 0; i < 3; i++)
        cache.push_back(p.allocate(mebibyte - page));
    auto classes = p.classes();
    CHECK(classes.size() == 1 && classes[0].block_bytes == 0 && classes[0].live_blocks == 3);
    std::size_t calls = 0;
    auto counted = std::make_shared<int>(0);
    {
        tenure::pressure_callback first(p, [&calls](std::size_t, std::int32_t) -> std::size_t {
            calls++;
            throw 1;
        });
        tenure::pressure_callback second(p, [&, counted](std::size_t needed, std::int32_t reason) -> std::size_t {
            CHECK(needed >= 2 * mebibyte - page && needed <= 2 * mebibyte && reason == TN_PRESSURE_LIMIT);
            p.deallocate(cache.back());
            cache.pop_back();
            return 1 << 20;
        });
        CHECK(counted.use_count() == 2);
        p.deallocate(p.allocate(2 * mebibyte - page));
        CHECK(calls == 1 && cache.size() == 2 && p.stats().pressure_count == 2);
    }
    CHECK(counted.use_count() == 1);
    THROWS(tenure::out_of_memory, TN_ERR_POOL_LIMIT, static_cast<void>(p.allocate(3 << 20)));
    CHECK(calls == 1);
    for (void *block : cache)
        p.deallocate(block);
    // The pool may be released first, which ends its registrations.
    tenure::pressure_callback last(p, [counted](std::size_t, std::int32_t) -> std::size_t { return 0; });
    CHECK(counted.use_count() == 2);
    p = pool();
    CHECK(counted.use_count() == 1);
}

static void devices() {
    CHECK(tenure::device_count(TN_CPU) == 1);
    CHECK(tenure::device_query({}, TN_QUERY_MEMORY).total_bytes > 0);
    tenure::device_synchronize({});
    THROWS(tenure::argument_error, TN_ERR_DEVICE, static_cast<void>(tenure::device_count(99)));
    CHECK(tenure::device(TN_CUDA, 1) != tenure::device());
}

int main() {
    blocks();
    current();
    pressure();
    devices();
    return finish();
}
