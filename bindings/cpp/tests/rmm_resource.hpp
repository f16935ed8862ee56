// rmm_resource.hpp - the tests of `tenure::rmm_resource`, for both forms of RMM's resources. The including file defines how each form is
// called: take, give and equal.
#ifndef TENURE_TESTS_RMM_RESOURCE_HPP
#define TENURE_TESTS_RMM_RESOURCE_HPP

#include <cstdlib>

static tn_pool *made(tn_device device, const char *name, std::uint64_t max_size = 0) {
    tn_pool_options options = {};
    options.size = sizeof options;
    options.name = name;
    options.max_size = max_size;
    tn_pool *pool = nullptr;
    CHECK(tn_pool_create(device, &options, &pool) == TN_OK);
    return pool;
}

// The text of the exception that the request raises, and its class.
template <class Exception> static std::string refused(tenure::rmm_resource &resource, std::size_t bytes) {
    try {
        static_cast<void>(take(resource, bytes));
    } catch (const Exception &e) {
        return e.what();
    }
    return "no exception";
}

static const tn_device gpu = {TN_CUDA, 0};

static void al_60_without_a_driver() {
    tenure::rmm_resource resource;
    CHECK(says(refused<rmm::out_of_memory>(resource, 100), "libcuda.so.1"));
    CHECK(take(resource, 0) == nullptr);
    tn_pool *host = made({TN_CPU, 0}, "host");
    tenure::rmm_resource on_host(host);
    CHECK(says(refused<rmm::out_of_memory>(on_host, 100), "GPUs cannot use its memory"));
    CHECK(tn_pool_release(host) == TN_OK);
}

static void al_60_blocks() {
    tn_pool *pool = made(gpu, "rmm", 4 << 20);
    tenure::rmm_resource resource(pool);
    void *p = take(resource, 1024), *q = take(resource, 2 << 20);
    CHECK(p != nullptr && reinterpret_cast<std::uintptr_t>(p) % 256 == 0 && reinterpret_cast<std::uintptr_t>(q) % 256 == 0);
    CHECK(says(refused<rmm::out_of_memory>(resource, 3 << 20), "3 MiB asked"));
    CHECK(says(refused<std::bad_alloc>(resource, 3 << 20), "\"rmm\""));
    give(resource, p, 1024);
    give(resource, q, 2 << 20);
    tn_pool_client client[12] = {};
    std::size_t count = 0;
    CHECK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 12, client, &count) == TN_OK && count == 1);
    CHECK(std::string(client[0].name) == "rmm" && client[0].live_blocks == 0 && client[0].allocation_count == 2);
    CHECK(client[0].mismatch_count == 0 && client[0].misuse_count == 0);
    CHECK(tn_pool_release(pool) == TN_OK);
}

static void al_60_equality_and_the_end_of_the_pool() {
    tn_pool *pool = made(gpu, "one"), *other = made(gpu, "two"), *again = nullptr;
    tenure::rmm_resource resource(pool), same(pool), elsewhere(other), by_default, default_too;
    void *block = take(resource, 5120);
    CHECK(tn_pool_of(block, &again) == TN_OK);
    tenure::rmm_resource second_handle(again);
    CHECK(equal(resource, same) && equal(resource, second_handle) && equal(by_default, default_too));
    CHECK(!equal(resource, elsewhere) && !equal(resource, by_default));
    CHECK(tn_pool_release(again) == TN_OK && tn_pool_release(pool) == TN_OK && tn_pool_release(other) == TN_OK);
    CHECK(says(refused<rmm::out_of_memory>(resource, 8), "released"));
    give(resource, block, 5120);
}

static int all() {
    if (!has_gpu()) {
        al_60_without_a_driver();
        return finish();
    }
    al_60_blocks();
    al_60_equality_and_the_end_of_the_pool();
    return finish();
}

#endif
