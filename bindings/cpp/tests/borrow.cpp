// borrow.cpp - guards and their views, exceptions, chunks for threads, several arrays at once.
#include "check.hpp"

#include <algorithm>
#include <future>
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

// The guard of a part ends inside the function of its thread, whatever keeps that function and its exception.
static void parts_end_with_their_work() {
    array a = tenure::zeros<double>({4});
    {
        std::vector<std::packaged_task<void()>> tasks;
        for (auto &one : a.split_write<double>(2))
            tasks.emplace_back([part = std::move(one)]() mutable {
                part.run([](auto &mine) {
                    mine[0] = 1.0;
                    throw std::runtime_error("half way");
                });
            });
        for (auto &task : tasks)
            std::thread(std::ref(task)).join();
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<double>()));
    a.zero();
    // An exception that has nothing to do with the parts.
    try {
        std::vector<std::future<double>> results;
        for (auto &one : a.split_write<double>(2))
            results.push_back(std::async(std::launch::async, [part = std::move(one)]() mutable {
                const double sum = part.run([](tenure::chunk<double> &mine) {
                    for (double &value : mine)
                        value = static_cast<double>(mine.start()) + 1.0;
                    return mine[0] + mine[1];
                });
                CHECK(part.handle() == nullptr && part.size() == 0);
                return sum;
            }));
        for (auto &result : results)
            result.wait();
        CHECK(results[1].get() == 6.0);
        throw std::runtime_error("something else");
    } catch (const std::runtime_error &) {
    }
    CHECK(a.read<double>()[3] == 3.0);
    // Parts that are made while an exception passes: those of another thread count.
    struct at_the_end {
        array &to;
        ~at_the_end() {
            for (auto &part : to.split_write<double>(2))
                std::thread([&] {
                    try {
                        part.run([](auto &mine) {
                            mine[1] = 5.0;
                            throw std::runtime_error("half way");
                        });
                    } catch (const std::runtime_error &) {
                    }
                }).join();
        }
    };
    try {
        at_the_end writes{a};
        throw std::runtime_error("passes");
    } catch (const std::runtime_error &) {
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<double>()));
    a.zero();
    // The work may end it too.
    a.split_write<double>(1)[0].run([](auto &mine) { mine.fail(); });
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.read<double>()));
}

// A part of a view needs no handle and no guard of its own.
static void rows_of_a_view() {
    array a = numbers({2, 3, 4});
    const auto r = a.read<std::int64_t>();
    const tenure::view<const std::int64_t> plane = r.row(1), row = plane.row(2);
    CHECK(plane.ndim() == 2 && plane.size() == 12 && plane(0, 1) == 13 && plane.data() == r.data() + 12);
    CHECK(row.ndim() == 1 && row.extent(0) == 4 && row[3] == 23 && row.row(3)() == 23);
    CHECK(std::accumulate(plane.begin(), plane.end(), std::int64_t{0}) == 210);
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(r.row(2)));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(r.row(-1)));
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(row.row(0).row(0)));
    try {
        static_cast<void>(r.row(2));
    } catch (const tenure::error &e) {
        CHECK(says(e.what(), "index 2 on axis 0 of length 2"));
    }
    array none = tenure::zeros<double>({2, 0});
    const auto empty = none.read<double>();
    CHECK(empty.row(1).size() == 0 && empty.row(1).data() == nullptr);
    array bytes = tenure::zeros<std::uint8_t>({2, 2});
    bytes.write<std::uint8_t>().at(1, 0) = 7;
    const auto b = bytes.read<std::uint8_t>();
    CHECK(b.row(1)[0] == 7);
}

// The elements of any strides in C order.
static std::vector<std::int64_t> walked(const array &a) {
    const auto r = a.read<std::int64_t>();
    std::vector<std::int64_t> out;
    for (std::int64_t value : r.elements())
        out.push_back(value);
    return out;
}

static void elements_of_any_strides() {
    array a = numbers({2, 3, 4});
    for (const array &one :
         {a.clone(), a.transpose(), a.slice({{tenure::none, tenure::none, -1}, {0, 2}, {3, tenure::none, -2}}),
          a.index(1, 2), a.index(0, 1).index(0, 1).index(0, 1), a.slice({{0, 0}}),
          a.index(0, 0).index(0, 0).broadcast({3, 4})})
        CHECK(walked(one) == elements(one));
    {
        array turned = a.transpose();
        auto w = turned.write<std::int64_t>();
        THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(w.begin()));
        for (std::int64_t &value : w.elements())
            value *= 2;
        CHECK(*std::max_element(w.elements().begin(), w.elements().end()) == 46);
        auto after = w.elements().begin();
        CHECK(*after++ == 0 && *after == 24);
    }
    CHECK(elements(a)[23] == 46);
    for (auto &part : a.split_write<std::int64_t>(2, 2))
        for (std::int64_t &value : part.elements())
            value = part.start();
    CHECK(elements(a)[1] == 0 && elements(a)[2] == 2 && elements(a)[23] == 2);
    using iterator = decltype(std::declval<tenure::view<const double>>().elements().begin());
    static_assert(std::is_same_v<std::iterator_traits<iterator>::reference, const double &>);
#if __cplusplus >= 202002L
    static_assert(std::forward_iterator<iterator>);
    static_assert(std::ranges::forward_range<decltype(std::declval<tenure::view<double>>().elements())>);
#endif
}

#if defined(__cpp_lib_mdspan)
static void standard_mdspan() {
    array a = numbers({2, 3, 4});
    const auto r = a.read<std::int64_t>();
    const auto m = tenure::mdspan_of<3>(r);
    static_assert(std::is_same_v<decltype(m)::element_type, const std::int64_t>);
    CHECK(m.extent(1) == 3 && (m[1, 2, 3]) == 23 && m.stride(0) == 12 && m.data_handle() == r.data());
    const array turned = a.transpose();
    const auto t = turned.read<std::int64_t>();
    CHECK((tenure::mdspan_of<3>(t)[3, 2, 1]) == 23);
    CHECK((tenure::mdspan_of<2>(r.row(1))[2, 3]) == 23);
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(tenure::mdspan_of<2>(r)));
    const array reversed = a.slice({{tenure::none, tenure::none, -1}});
    const auto back = reversed.read<std::int64_t>();
    THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(tenure::mdspan_of<3>(back)));
    array b = numbers({2, 1});
    auto parts = b.split_write<std::int64_t>(2);
    tenure::mdspan_of<2>(parts[1])[0, 0] = 5; // an axis of one element has no stride that counts
    CHECK(parts[1](0, 0) == 5);
}
#endif

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
    // A number of axes that is asked for is checked, and leaves no guard.
    array table = tenure::zeros<double>({2, 3});
    THROWS(tenure::argument_error, TN_ERR_SHAPE,
           static_cast<void>(tenure::access_all(tenure::writes<double>(c), tenure::reads<double, 1>(table))));
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(tenure::access_all(tenure::overwrites<double, 2>(c))));
    {
        auto [t, line] = tenure::access_all(tenure::writes<double, 2>(table), tenure::reads<double, 1>(a));
        t(1, 2) = line[0];
    }
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
    parts_end_with_their_work();
    rows_of_a_view();
    elements_of_any_strides();
#if defined(__cpp_lib_mdspan)
    standard_mdspan();
#endif
    several();
    return finish();
}
