// borrow.cpp - guards and their views, exceptions, chunks for threads, several arrays at once.
#include "check.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <typeinfo>

using tenure::array;
using tenure::dims;
using tenure::mode;

static void reading() {
    const array a = numbers({3, 4}, tenure::named("a"));
    auto r = a.read<std::int64_t>();
    CHECK(r.size() == 12 && r.ndim() == 2 && r.extent(1) == 4);
    CHECK(r.shape()[0] == 3 && r.strides()[0] == 32 && r.strides()[1] == 8);
    CHECK(r(2, 3) == 11 && r.at(0, 1) == 1);
    CHECK(std::accumulate(r.begin(), r.end(), std::int64_t{0}) == 66);
    CHECK(r.span().size() == 12 && r.span()[5] == 5 && r.span().subspan(4, 2).data() == r.data() + 4);
    CHECK(r.span().size_bytes() == 96 && !r.span().empty());
    std::int64_t sum = 0;
    for (std::int64_t value : a.read<std::int64_t>())
        sum += value;
    CHECK(sum == 66);
#if __cplusplus >= 202002L
    std::span<const std::int64_t> standard = r.span();
    CHECK(standard.size() == 12 && standard.data() == r.data());
    CHECK(std::ranges::max(r.span()) == 11);
    static_assert(std::ranges::borrowed_range<tenure::span<double>>);
    static_assert(std::ranges::contiguous_range<tenure::span<double>>);
#endif
    // BR-1: many readers, and no writer at the same time.
    auto second = a.read<std::int64_t>();
    array same = a.clone();
    THROWS(tenure::ownership_error, TN_ERR_BORROWED, static_cast<void>(same.write<std::int64_t>()));
    try {
        static_cast<void>(same.write<std::int64_t>());
    } catch (const tenure::error &e) {
        CHECK(says(e.what(), "tn_array_borrow_write") && says(e.what(), "borrowed for reading"));
    }
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(r.at(1)));
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(r(1)));
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(r[1]));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(r.at(3, 0)));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(r.at(0, -1)));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(r.at(0, ~std::uint64_t{0})));
    try {
        static_cast<void>(r.at(1, 4));
    } catch (const tenure::error &e) {
        CHECK(says(e.what(), "index 4 on axis 1 of length 4"));
    }
    // A moved-from guard is empty.
    auto moved = std::move(r);
    CHECK(!r && r.data() == nullptr && r.size() == 0 && moved(1, 1) == 5);
    r = std::move(moved);
    CHECK(r(1, 1) == 5 && !moved);
    r.reset();
    CHECK(!r && r.data() == nullptr);
    THROWS(tenure::usage_error, TN_ERR_NULL, r.reset());
    second.reset();
    same.write<std::int64_t>()(0, 0) = 1;
    // Without a type: address and layout.
    auto raw = a.read();
    static_assert(std::is_same_v<decltype(raw.data()), const void *>);
    CHECK(raw.data() != nullptr && raw.shape().size() == 2 && raw.size() == 12);
    CHECK(a.read<std::int64_t>(tenure::reading::frozen | tenure::reading::wait)(0, 0) == 1);
}

// The type is an argument: it is checked before other holders, and before anything is opened or copied.
static void types() {
    array a = numbers({2}, tenure::named("a"));
    array b = a.clone();
    auto r = a.read<std::int64_t>();
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(b.write<float>()));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(b.read<std::uint64_t>()));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(b.write<double>(mode::cow)));
    CHECK(tenure::overlap_of(a, b) == tenure::overlap::exact);
    try {
        static_cast<void>(b.read<double>());
    } catch (const tenure::error &e) {
        CHECK(says(e.what(), "array 'a' has elements of type int64, not float64"));
    }
}

static void layouts() {
    array a = numbers({2, 3, 4});
    array t = a.transpose();
    auto r = t.read<std::int64_t>();
    CHECK(!r.is_contiguous() && r(3, 2, 1) == 23 && r.strides()[0] == 8);
    THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(r.span()));
    THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(r.begin()));
    r.reset();
    array back = a.slice({tenure::all, {tenure::none, tenure::none, -1}});
    auto b = back.read<std::int64_t>();
    CHECK(b(0, 0, 0) == 8 && b(1, 2, 3) == 15 && !b.is_contiguous());
    b.reset();
    // Lengths of 1 and 0 are contiguous with any stride.
    array one = a.slice({{0, 1}, tenure::all, tenure::all});
    CHECK(one.read<std::int64_t>().is_contiguous());
    array none = a.slice({tenure::all, {0, 0}, {tenure::none, tenure::none, 2}});
    CHECK(none.read<std::int64_t>().is_contiguous() && none.read<std::int64_t>().size() == 0);
    // A view is passed by value, also from a guard.
    auto total = [](tenure::view<const std::int64_t> v) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < v.extent(0); i++)
            sum += v(i, 0, 0);
        return sum;
    };
    CHECK(total(a.read<std::int64_t>()) == 12);
    CHECK(total(a.write<std::int64_t>()) == 12);
}

static void writing() {
    array a = numbers({4}, tenure::named("a"));
    {
        auto w = a.write<std::int64_t>();
        w[0] = 10;
        w.at(1) = 11;
        std::fill(w.begin() + 2, w.end(), 12);
        THROWS(tenure::ownership_error, TN_ERR_BORROWED_WRITE, static_cast<void>(a.read<std::int64_t>()));
    }
    CHECK(elements(a) == (std::vector<std::int64_t>{10, 11, 12, 12}));
    array b = a.clone();
    THROWS(tenure::ownership_error, TN_ERR_SHARED, static_cast<void>(b.write<std::int64_t>(mode::unique)));
    {
        auto w = b.write<std::int64_t>(mode::cow);
        w[0] = 0;
    }
    CHECK(elements(a)[0] == 10 && elements(b)[0] == 0 && elements(b)[1] == 11);
    CHECK(a.is_unique() && b.is_unique());
    b.write<std::int64_t>(mode::unique | mode::discard)[0] = 1;
    auto raw = b.write();
    static_assert(std::is_same_v<decltype(raw.data()), void *>);
    std::memset(raw.data(), 0, 32);
    raw.reset();
    CHECK(elements(b)[1] == 0);
}

// A writer that an exception ends leaves undefined bytes: its region is poisoned, and overwriting heals it.
static void exceptions() {
    array a = numbers({4}, tenure::named("a"));
    try {
        auto w = a.write<std::int64_t>();
        w[0] = 1;
        throw std::runtime_error("half done");
    } catch (const std::runtime_error &) {
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<std::int64_t>()));
    CHECK(a.why_not().has(tenure::why::poisoned));
    a.heal();
    CHECK(elements(a)[0] == 1);
    a.zero();
    CHECK(elements(a) == (std::vector<std::int64_t>{0, 0, 0, 0}));
    // A guard that is opened and ended during stack unwinding is a writer that did not fail.
    struct cleanup {
        array &what;
        ~cleanup() { what.write<std::int64_t>()[0] = 7; }
    };
    try {
        cleanup on_the_way{a};
        throw std::runtime_error("elsewhere");
    } catch (const std::runtime_error &) {
    }
    CHECK(elements(a)[0] == 7);
    // A caught one does not poison.
    {
        auto w = a.write<std::int64_t>();
        try {
            throw std::runtime_error("caught");
        } catch (const std::runtime_error &) {
        }
    }
    CHECK(elements(a)[0] == 7);
    auto w = a.index(0, 0).write<std::int64_t>();
    w.fail();
    CHECK(!w);
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<std::int64_t>()));
    a.fill(std::int64_t{1}, mode::aliased);
    // A reader poisons nothing.
    try {
        auto r = a.read<std::int64_t>();
        throw std::runtime_error("read");
    } catch (const std::runtime_error &) {
    }
    CHECK(elements(a)[0] == 1);
}

static void outliving() {
    // A guard keeps the bytes after the array is released.
    auto guard = numbers({3}).read<std::int64_t>();
    CHECK(guard[2] == 2);
    tenure::read_guard<std::int64_t> later;
    CHECK(!later && later.size() == 0);
    later = std::move(guard);
    CHECK(later[1] == 1);
}

static void threads() {
    array a = tenure::zeros<double>({10, 3});
    {
        auto chunks = a.split_write<double>(4);
        CHECK(chunks.size() == 4);
        CHECK(chunks[0].start() == 0 && chunks[0].length() == 3 && chunks[3].start() == 8 && chunks[3].length() == 2);
        CHECK(chunks[1].shape()[0] == 3 && chunks[1].shape()[1] == 3 && chunks[1].strides()[0] == 24);
        std::vector<std::thread> workers;
        for (auto &one : chunks)
            workers.emplace_back([part = std::move(one)]() mutable {
                for (std::int64_t i = 0; i < part.length(); i++)
                    for (std::int64_t j = 0; j < part.extent(1); j++)
                        part(i, j) = static_cast<double>(part.start() + i);
                part.reset();
            });
        for (auto &worker : workers)
            worker.join();
        CHECK(chunks[0].handle() == nullptr && chunks[0].size() == 0);
    }
    auto values = a.to_vector<double>();
    for (std::size_t at = 0; at < values.size(); at++)
        CHECK(values[at] == static_cast<double>(at / 3));
    {
        auto columns = a.split_write<double>(2, -1);
        CHECK(columns[0].length() == 2 && columns[1].length() == 1 && columns[1].extent(0) == 10);
        columns[1](9, 0) = -1.0;
        // A vector of chunks can move.
        auto moved = std::move(columns);
        CHECK(moved[1](9, 0) == -1.0);
        moved[0] = std::move(moved[1]);
        CHECK(moved[0](9, 0) == -1.0 && moved[0].start() == 2);
    }
    CHECK(a.read<double>()(9, 2) == -1.0);
    {
        auto parts = a.slice({{0, 2}}).split_write<double>(3);
        CHECK(parts[2].size() == 0 && parts[2].data() == nullptr);
        parts[0].fail();
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<double>()));
    a.zero();
    // COW: the parts have the layout of the copy.
    array shared = a.transpose();
    auto parts = shared.split_write<double>(2, 0, mode::cow);
    CHECK(parts[0].extent(0) == 2 && parts[0].extent(1) == 10);
    parts[0](0, 9) = 4.0;
    parts.clear();
    CHECK(a.read<double>()(9, 0) == 0.0 && shared.read<double>()(0, 9) == 4.0);
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(a.split_write<float>(2)));
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(a.split_write<double>(0)));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(a.split_write<double>(2, 5)));
}

static void several() {
    array a = tenure::full<double>({3}, 2.0);
    array b = tenure::full<float>({3}, 3.0f);
    array c = tenure::empty<double>({3});
    {
        auto [x, y, z] =
            tenure::access_all(tenure::reads<double>(a), tenure::writes<float>(b), tenure::overwrites<double>(c));
        static_assert(std::is_same_v<decltype(x), tenure::view<const double>>);
        static_assert(std::is_same_v<decltype(y), tenure::view<float>>);
        for (std::int64_t i = 0; i < 3; i++) {
            z[i] = x[i] * static_cast<double>(y[i]);
            y[i] = 1.0f;
        }
        THROWS(tenure::ownership_error, TN_ERR_BORROWED_WRITE, static_cast<void>(b.read<float>()));
        THROWS(tenure::ownership_error, TN_ERR_BORROWED, a.zero());
    }
    CHECK(c.to_vector<double>() == (std::vector<double>{6, 6, 6}) && b.to_vector<float>()[0] == 1.0f);
    THROWS(tenure::ownership_error, TN_ERR_ALIASED,
           static_cast<void>(tenure::access_all(tenure::reads<double>(a), tenure::writes<double>(a))));
    THROWS(tenure::argument_error, TN_ERR_DTYPE,
           static_cast<void>(tenure::access_all(tenure::reads<double>(a), tenure::reads<double>(b))));
    auto both = tenure::access_all(tenure::reads<double>(a), tenure::writes<double>(c));
    auto moved = std::move(both);
    CHECK(both.handle() == nullptr && moved.get<0>()[1] == 2.0);
    moved.reset();
    CHECK(moved.handle() == nullptr && moved.get<0>().data() == nullptr);
    try {
        auto [z] = tenure::access_all(tenure::writes<double>(c));
        z[0] = 0;
        throw std::runtime_error("half done");
    } catch (const std::runtime_error &) {
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(c.read<double>()));
    auto heal = tenure::access_all(tenure::overwrites<double>(c));
    heal.fail();
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(c.read<double>()));
}

int main() {
    reading();
    types();
    layouts();
    writing();
    exceptions();
    outliving();
    threads();
    several();
    return finish();
}
