// memory.cpp - containers on pools: std::pmr and the allocator (AL-90..92).
#include "check.hpp"
#include "tenure_memory.hpp"

#include <list>
#include <map>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

// The statistics of a pool's containers.
static tn_pool_client containers(tn_pool *pool) {
    tn_pool_client list[16];
    std::size_t count = 0;
    CHECK(tn_pool_query_clients(pool, sizeof(tn_pool_client), 16, list, &count) == TN_OK);
    for (std::size_t at = 0; at < count; at++)
        if (list[at].client == TN_CLIENT_CPP)
            return list[at];
    return {};
}
static std::uint64_t blocks(const tenure::pool &pool) { return containers(pool.handle()).live_blocks; }

template <class T>
using on_pool = std::vector<T, tenure::allocator<T>>;
using characters = std::basic_string<char, std::char_traits<char>, tenure::allocator<char>>;

struct alignas(256) wide {
    double values[32];
};

// AL-90: any alignment, bad_alloc, sizes ignored, equality by pool.
static void al_90_memory_resource() {
    tenure::pool pool(tenure::pool_options().name("pmr").max_size(8 << 20)), other(tenure::pool_options().name("other"));
    tenure::memory_resource resource(pool), twin(pool), strange(other), home;
    {
        std::pmr::vector<int> v(1000, 7, &resource);
        std::pmr::map<int, std::pmr::string> m(&resource);
        for (int i = 0; i < 100; i++)
            m.emplace(i, std::string(static_cast<std::size_t>(40 + i), 'x'));
        std::pmr::unordered_map<std::pmr::string, double> u(&resource);
        u["a text that does not fit into the string itself"] = 2.5;
        std::pmr::list<wide> l(5, wide{}, &resource);
        for (const wide &one : l)
            CHECK(reinterpret_cast<std::uintptr_t>(&one) % 256 == 0);
        CHECK(v[999] == 7 && m.at(99).size() == 139 && u.size() == 1);
        CHECK(m.at(0).get_allocator().resource() == &resource);
        CHECK(blocks(pool) > 200);
        CHECK(tenure::pool::of(v.data()).stats().serial == pool.stats().serial);

        std::pmr::vector<int> moved(std::move(v), &twin); // the same pool: no element is copied
        CHECK(moved.size() == 1000);
        const int *before = moved.data();
        std::pmr::vector<int> again(std::move(moved), &resource);
        CHECK(again.data() == before);
        std::pmr::vector<int> elsewhere(std::move(again), &strange); // another: the elements go over
        CHECK(elsewhere.data() != before && elsewhere[500] == 7 && blocks(other) == 1);
    }
    CHECK(blocks(pool) == 0 && blocks(other) == 0);
    CHECK(resource.is_equal(twin) && !resource.is_equal(strange) && !resource.is_equal(home));
    CHECK(!resource.is_equal(*std::pmr::new_delete_resource()));
    tenure::memory_resource of_default(tenure::pool::process_default());
    CHECK(home.is_equal(of_default) && of_default.is_equal(home));

    for (std::size_t alignment = 1; alignment <= 4u << 20; alignment *= 2) {
        void *block = resource.allocate(24, alignment);
        CHECK(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
        resource.deallocate(block, 1, 1);
    }
    void *empty = resource.allocate(0, 1), *second = twin.allocate(0, 1);
    CHECK(empty != nullptr && empty != second);
    twin.deallocate(empty, 0, 1);
    resource.deallocate(second, 0, 1);

    bool refused = false;
    try {
        static_cast<void>(resource.allocate(9 << 20, 8));
    } catch (const std::bad_alloc &e) {
        refused = says(e.what(), "tn_cpp_allocate: pool \"pmr\" on {");
    }
    CHECK(refused);
    THROWS(tenure::out_of_memory, TN_ERR_POOL_LIMIT, static_cast<void>(resource.allocate(9 << 20, 8)));
    THROWS(tenure::out_of_memory, TN_ERR_INVALID, static_cast<void>(resource.allocate(8, 8u << 20)));
    CHECK(blocks(pool) == 0);

    // An invalid address is left alone and counted.
    int local = 0;
    resource.deallocate(&local, sizeof local, alignof(int));
    CHECK(containers(pool.handle()).misuse_count == 1);
}

// AL-90, AL-2: it outlives the handle, and its blocks outlive it.
static void al_90_outlives() {
    tenure::pool pool(tenure::pool_options().name("short"));
    auto *resource = new tenure::memory_resource(pool);
    void *one = resource->allocate(100, 8), *two = resource->allocate(200, 8);
    pool = tenure::pool();
    THROWS(tenure::out_of_memory, TN_ERR_STALE, static_cast<void>(resource->allocate(8, 8)));
    resource->deallocate(one, 100, 8);
    delete resource;
    tenure::pool still = tenure::pool::of(two);
    tenure::memory_resource(still).deallocate(two, 200, 8);
    THROWS(tenure::ownership_error, TN_ERR_FOREIGN, static_cast<void>(tenure::pool::of(two)));

    tenure::memory_resource owner(tenure::pool(tenure::pool_options().name("kept")));
    std::pmr::vector<double> v(100, 1.5, &owner);
    CHECK(v[99] == 1.5 && owner.handle() != nullptr);
}

// AL-91: traits, rebinding, overflow.
static void al_91_allocator() {
    using ints = tenure::allocator<int>;
    using traits = std::allocator_traits<ints>;
    static_assert(traits::propagate_on_container_copy_assignment::value);
    static_assert(traits::propagate_on_container_move_assignment::value);
    static_assert(traits::propagate_on_container_swap::value);
    static_assert(!traits::is_always_equal::value);
    static_assert(std::is_same_v<traits::rebind_alloc<double>, tenure::allocator<double>>);
    static_assert(std::is_nothrow_copy_constructible_v<ints> && std::is_nothrow_default_constructible_v<ints>);

    tenure::pool pool(tenure::pool_options().name("a")), other(tenure::pool_options().name("b"));
    ints a(pool), b(other), home;
    tenure::allocator<double> rebound(a);
    CHECK(a == rebound && ints(rebound) == a && a != b && a != home && home == ints());
    CHECK(a.select_on_container_copy_construction() == a && a.handle() == pool.handle());
    bool refused = false;
    try {
        static_cast<void>(a.allocate(static_cast<std::size_t>(-1) / sizeof(int) + 1));
    } catch (const std::bad_array_new_length &) {
        refused = true;
    }
    CHECK(refused);
    THROWS(tenure::out_of_memory, TN_ERR_NO_HOST_MEMORY, static_cast<void>(a.allocate(static_cast<std::size_t>(-1) / 8)));
}

// AL-91: containers, and moves between pools.
static void al_91_containers() {
    tenure::pool pool(tenure::pool_options().name("a")), other(tenure::pool_options().name("b"));
    {
        on_pool<double> x(1000, 2.0, pool), y(10, 3.0, other), z(pool);
        CHECK(blocks(pool) == 1 && blocks(other) == 1);
        const double *before = x.data();
        y = std::move(x); // takes the pool along: no element moves
        CHECK(y.data() == before && y.get_allocator() == tenure::allocator<double>(pool) && blocks(other) == 0);
        z = y; // copied into the source's pool
        CHECK(z.size() == 1000 && z.data() != before && blocks(pool) == 2);
        on_pool<double> w(5, 4.0, other);
        std::swap(y, w);
        CHECK(w.data() == before && y[4] == 4.0 && y.get_allocator() == tenure::allocator<double>(other));
        on_pool<double> copy(w);
        CHECK(copy.get_allocator() == w.get_allocator() && copy[999] == 2.0);

        characters s("a text that does not fit into the string itself", pool);
        s += s;
        CHECK(s.size() == 94 && tenure::pool::of(s.data()).stats().serial == pool.stats().serial);
        std::map<int, characters, std::less<>, tenure::allocator<std::pair<const int, characters>>> m(pool);
        for (int i = 0; i < 50; i++)
            m.emplace(i, characters(std::string(static_cast<std::size_t>(i + 30), 'y').c_str(), pool));
        CHECK(m.at(49).size() == 79);
        std::unordered_map<int, double, std::hash<int>, std::equal_to<>, tenure::allocator<std::pair<const int, double>>> u(
            16, std::hash<int>(), std::equal_to<>(), tenure::allocator<std::pair<const int, double>>(other));
        for (int i = 0; i < 1000; i++)
            u[i] = 0.5 * i;
        CHECK(u.at(999) == 499.5 && blocks(other) > 1000);
        std::vector<wide, tenure::allocator<wide>> aligned(3, wide{}, pool);
        CHECK(reinterpret_cast<std::uintptr_t>(aligned.data()) % 256 == 0);
        on_pool<int> home{1, 2, 3};
        CHECK(tenure::pool::of(home.data()).stats().serial == tenure::pool::process_default().stats().serial);
    }
    CHECK(blocks(pool) == 0 && blocks(other) == 0 && containers(pool.handle()).misuse_count == 0);
    tn_pool_client used = containers(pool.handle());
    CHECK(used.peak_bytes > 0 && used.failure_count == 0 && std::string(used.name) == "cpp");
}

// AL-1: threads; a container that ends on another thread.
static void al_1_threads() {
    tenure::pool pool(tenure::pool_options().name("threads"));
    tenure::memory_resource resource(pool);
    std::vector<std::thread> workers;
    std::vector<std::pmr::vector<int>> made;
    for (int n = 0; n < 4; n++)
        made.emplace_back(&resource);
    for (std::size_t n = 0; n < 4; n++)
        workers.emplace_back([&made, n] {
            for (int i = 0; i < 5000; i++)
                made[n].push_back(i);
        });
    for (auto &worker : workers)
        worker.join();
    std::thread([all = std::move(made)]() mutable { all.clear(); }).join();
    CHECK(blocks(pool) == 0);
}

// Leaks are listed under their name, with the site.
static void what_is_left_is_named() {
    tenure::memory_resource resource;
    TENURE_HERE;
    void *block = resource.allocate(64, 8);
    auto left = tenure::leaks();
    CHECK(left.size() == 1 && left[0].name == "cpp" && says(left[0].site, "memory.cpp:"));
    resource.deallocate(block, 64, 8);
}

int main() {
    al_90_memory_resource();
    al_90_outlives();
    al_91_allocator();
    al_91_containers();
    al_1_threads();
    what_is_left_is_named();
    return finish();
}
