// function.cpp - functions: callables with declared inputs, outputs and updates of shared variables.
#include "check.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>

using tenure::array;
using tenure::crossings;
using tenure::flag;
using tenure::function;
using tenure::in;
using tenure::lazy;
using tenure::mode;
using tenure::out;
using tenure::places;
using tenure::shared;
using tenure::update;
using tenure::why;

static void add_to(array &into, const array &what) {
    auto [to, from] = tenure::access_all(tenure::writes<std::int64_t>(into), tenure::reads<std::int64_t>(what));
    for (std::int64_t at = 0; at < to.size(); at++)
        to[at] += from[at];
}

static array sum(const array &x, const array &y) {
    array total = x.copy();
    add_to(total, y);
    return total;
}

static bool is(const array &a, std::vector<std::int64_t> expected) { return elements(a) == expected; }

// FN-2, FN-10, FN-18: arguments, a variable's value, a default; outputs and updates are returned.
static void returned() {
    shared w(numbers({3}), flag::copy, tenure::shared_options().name("w"));
    {
        const array one = tenure::full<std::int64_t>({3}, 1);
        function step(
            [](const array &x, const array &value, const array &rate) {
                array next = sum(value, x);
                return std::tuple(sum(x, rate), next.clone(), std::move(next));
            },
            {"x", w, in("rate").value(one)}, {"first", "second"}, {w}, "step");
        const array x = tenure::full<std::int64_t>({3}, 10);
        const auto [first, second] = step.call<2>(x, one);
        CHECK(is(first, {11, 11, 11}) && is(second, {10, 11, 12}) && is(w.get(), {10, 11, 12}) && w.version() == 2);
        const auto [only] = step.call<1>(x, nullptr); // the default
        CHECK(is(only, {11, 11, 11}) && is(w.get(), {20, 21, 22}));
        static_cast<void>(step.call<0>(x, array())); // as an empty array
        CHECK(is(w.get(), {30, 31, 32}));
        THROWS(tenure::argument_error, TN_ERR_COUNT, step(x, one)); // which of the two outputs?
        THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(step.call<2>(x)));
        THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(step.call<3>(x, one)));
        THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(step.call<2>(nullptr, one)));
        CHECK(w.version() == 4);
    }
    function nothing([] {}, {});
    CHECK(!nothing());
    function pair([](const array &x) { return std::pair(x.copy(), x.copy()); }, {"x"}, {"a", "b"});
    function equal([](const array &x) { return std::array<array, 2>{x.copy(), x.copy()}; }, {"x"}, {"a", "b"});
    const array x = numbers({2});
    CHECK(is(pair.call<2>(x)[1], {0, 1}) && is(equal.call<2>(x)[0], {0, 1}));
}

// FN-3, FN-41: what does not fit is refused by name.
static void refused() {
    shared w(numbers({2}));
    const auto identity = [](const array &x) { return x.clone(); };
    THROWS(tenure::argument_error, TN_ERR_COUNT, function(identity, {"x", "y"}, {"z"}));
    THROWS(tenure::argument_error, TN_ERR_COUNT, function(identity, {"x"}));
    THROWS(tenure::argument_error, TN_ERR_COUNT, function(identity, {"x"}, {"z"}, {w}));
    THROWS(tenure::argument_error, TN_ERR_DUPLICATE,
           function([](const array &x) { return std::pair(x.clone(), x.clone()); }, {"x"}, {}, {w, w}));
    THROWS(tenure::usage_error, TN_ERR_INVALID, function(identity, {{"x", flag::reuse}}, {"z"}));
    function typed(identity, {in("rows").dtype(tenure::dtype::f32).ndim(1)}, {out("z").dtype(tenure::dtype::f32)}, {},
                   "typed");
    try {
        typed(numbers({2}));
        CHECK(false);
    } catch (const tenure::argument_error &e) {
        CHECK(e.status() == TN_ERR_DTYPE && says(e.what(), "rows"));
    }
    function wrong([](const array &) { return array(); }, {"x"}, {"z"});
    THROWS(tenure::work_error, TN_ERR_FAILED, wrong(numbers({2})));
}

// FN-11, FN-12, FN-20, FN-22: what the flags of inputs and outputs do, and what a call tells of it.
static void flags() {
    crossings what;
    array x = numbers({3});
    const auto identity = [](const array &a) { return a.clone(); };
    const array apart = function(identity, {"x"}, {"y"})(&what, x);
    CHECK(what.in.size() == 1 && what.in[0].is_alias() && what.out.size() == 1 && what.out[0].why == why::shared);
    CHECK(address(apart) != address(x) && apart.is_unique());
    const array alias = function(identity, {{"x", flag::borrow}}, {{"y", flag::borrow}})(&what, x);
    CHECK(address(alias) == address(x) && what.out[0].is_alias());
    THROWS(tenure::copy_error, TN_ERR_WOULD_COPY, function(identity, {"x"}, {{"y", flag::require_borrow}})(x));

    const auto doubled = [](array &a) {
        for (std::int64_t &value : a.write<std::int64_t>(mode::unique))
            value *= 2;
        return std::move(a);
    };
    THROWS(tenure::ownership_error, TN_ERR_READONLY, function(doubled, {"x"}, {"y"})(x)); // may not be written
    function over(doubled, {{"x", flag::may_overwrite}}, {{"y", flag::borrow}});
    const array copied = over(&what, x);
    CHECK(what.in[0].why == why::shared && is(copied, {0, 2, 4}) && is(x, {0, 1, 2})); // alias is alive
    array mine = numbers({3});
    const void *bytes = address(mine);
    const array in_place = over(&what, mine);
    CHECK(what.in[0].is_alias() && address(in_place) == bytes && is(mine, {0, 2, 4}));

    array given = numbers({3});
    bytes = address(given);
    function takes([](tenure::taken a) { return array(std::move(a)); }, {{"x", flag::take}}, {"y"});
    const array moved = takes(&what, std::move(given));
    CHECK(!given && address(moved) == bytes && moved.is_unique() && what.out[0].is_alias());
    array kept = numbers({3});
    THROWS(tenure::argument_error, TN_ERR_COUNT, takes(std::move(kept), x));
    CHECK(is(kept, {0, 1, 2})); // a failed call leaves it with its owner
}

// FN-47, FN-48: what became of variables, as inputs and as updates; the default value of an input.
static void told() {
    shared w(numbers({3})), v(numbers({2})), same(numbers({1}));
    crossings what;
    array one = tenure::full<std::int64_t>({3}, 1);
    function step(
        [](const array &x, const array &value, const array &, array &to, array &) {
            to = sum(x, value);
            return value.copy();
        },
        {w, in("x").value(one), v}, {"y"}, {w, same});
    const array x = numbers({3});
    THROWS(tenure::argument_error, TN_ERR_COUNT, step(&what, x, x));
    CHECK(what.shared.empty() && what.update.empty());
    step(&what, x);
    CHECK(what.in.size() == 1 && what.in[0].is_alias() && what.out.size() == 1);
    CHECK(what.shared.size() == 2 && what.shared[0].is_alias() && what.shared[1].is_alias());
    CHECK(what.update.size() == 2 && what.update[0] && what.update[0]->is_alias() && !what.update[1]);
    CHECK(is(w.get(), {0, 2, 4}));
    step(nullptr);
    CHECK(is(w.get(), {1, 3, 5}));

    one.write<std::int64_t>()[0] = 7;
    array seen = step.default_value(1);
    CHECK(is(seen, {1, 1, 1}) && seen.name() == "x");
    THROWS(tenure::ownership_error, TN_ERR_READONLY, static_cast<void>(seen.write<std::int64_t>()));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(step.default_value(3)));
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(step.default_value(0)));
    const function adopted = function::adopt(step.detach(), 1);
    adopted(&what, x);
    CHECK(what.in.size() == 1 && what.in[0].is_alias() && what.shared.empty() && what.update.empty());
}

// FN-14, FN-34: updates in place, through a parameter.
static void in_place() {
    shared w(numbers({3}));
    const void *bytes = address(w.get(flag::borrow));
    function add([](const array &x, array &value) { add_to(value, x); }, {"x"}, {}, {{w, flag::may_overwrite}});
    const array x = tenure::full<std::int64_t>({3}, 5);
    add(x);
    CHECK(is(w.get(), {5, 6, 7}) && address(w.get(flag::borrow)) == bytes && w.version() == 2);
    const array held = w.get(flag::borrow);
    add(x); // works on a copy, because the old value is held
    CHECK(is(held, {5, 6, 7}) && is(w.get(), {10, 11, 12}));
    function mean([](const array &x, array &value) { return add_to(value, x), x.copy(); }, {"x"}, {"y"},
                  {{w, flag::may_overwrite}});
    CHECK(is(mean(x), {5, 5, 5}) && is(w.get(), {15, 16, 17}));
    function leaves([](array &value) { value = array(); }, {}, {}, {w});
    leaves();
    CHECK(w.version() == 4); // nothing there: the variable is as it was
}

// FN-16: parameters for all places, in their order; and what the body found in a place and did not use.
static void all_places() {
    shared a(numbers({1})), b(numbers({2}));
    function fill(
        [](const array &x, array &first, array &second, array &of_a, array &of_b) {
            first = x.copy(), second = sum(x, x);
            of_a = tenure::full<std::int64_t>({1}, 8), of_b = tenure::full<std::int64_t>({2}, 9);
        },
        {"x"}, {"first", "second"}, {a, b});
    const auto [first, second] = fill.call<2>(numbers({2}));
    CHECK(is(first, {0, 1}) && is(second, {0, 2}) && is(a.get(), {8}) && is(b.get(), {9, 9}));
    function ignores([](const array &x) { return std::pair(x.copy(), x.copy()); }, {"x"}, {{"y", flag::reuse}},
                     {{b, flag::may_overwrite}});
    function drops([](const array &x) { return std::pair(x.copy(), x.copy()); }, {"x"}, {{"y", flag::reuse}},
                   {{a, flag::reuse}});
    for (int call = 0; call < 4; call++)
        CHECK(is(ignores(numbers({2})), {0, 1}) && is(drops(numbers({1})), {0}));
    CHECK(is(b.get(), {0, 1}) && is(a.get(), {0}));
}

// FN-31: a swap exchanges the buffers.
static void swapped() {
    shared a(numbers({2})), b(tenure::full<std::int64_t>({4}, 7));
    const void *of_a = address(a.get(flag::borrow)), *of_b = address(b.get(flag::borrow));
    function swap([](const array &x, const array &y) { return std::pair(y.clone(), x.clone()); }, {a, b}, {}, {a, b});
    swap();
    CHECK(address(a.get(flag::borrow)) == of_b && address(b.get(flag::borrow)) == of_a && a.shape()[0] == 4);
}

// FN-35: with reuse, a call allocates nothing after two calls.
static void reused() {
    tenure::pool pool(tenure::pool_options().name("of the function"));
    tenure::use_pool scope(pool);
    shared w(numbers({100}));
    const auto next_into = [](const array &x, const array &value, array &place) {
        if (!place)
            place = tenure::empty<std::int64_t>({100});
        auto [a, b, to] = tenure::access_all(tenure::reads<std::int64_t>(x), tenure::reads<std::int64_t>(value),
                                             tenure::writes<std::int64_t>(place));
        for (std::int64_t at = 0; at < 100; at++)
            to[at] = a[at] + b[at];
    };
    const auto body = [&](const array &x, const array &value, array &total, array &next) {
        next_into(x, value, total);
        next_into(x, value, next);
    };
    function step(body, {"x", w}, {{"total", flag::reuse}}, {{w, flag::reuse}});
    const array x = tenure::full<std::int64_t>({100}, 1);
    for (int call = 0; call < 2; call++)
        step(x);
    const std::uint64_t before = pool.stats().allocation_count;
    for (int call = 0; call < 10; call++)
        CHECK(elements(step(x))[0] == 3 + call);
    CHECK(pool.stats().allocation_count == before);
    CHECK(elements(w.get())[99] == 99 + 12);
}

// A body that builds expressions, which the library computes; a body that returns one.
static void expressions() {
    const auto ones = [] { return tenure::full<double>({3}, 1.0); };
    const auto first = [](const array &a) { return a.read<double>()[0]; };
    shared w(ones());
    function computes([](const array &x, const array &v) { return lazy(v) - 0.5 * lazy(x); }, {"x", w}, {}, {w});
    computes(ones());
    CHECK(first(w.get()) == 0.5);
    function lazily([](const lazy &x, const lazy &v) { return std::tuple(x * 2.0, v + x); }, {"x", w}, {"y"}, {w});
    CHECK(first(lazily(ones())) == 2.0 && first(w.get()) == 1.5);
    function mixed([](const lazy &x, lazy &v) { return v = v + x, 3.0 * x; }, {"x"}, {"y"}, {{w, flag::may_overwrite}});
    const void *bytes = address(w.get(flag::borrow));
    CHECK(first(mixed(ones())) == 3.0 && first(w.get()) == 2.5 && address(w.get(flag::borrow)) == bytes);
    array x = ones();
    bytes = address(x);
    function over([](const lazy &a, const lazy &b) { return a + b; }, {{"a", flag::take}, "b"}, {"sum"});
    const array total = over(std::move(x), ones());
    CHECK(first(total) == 2.0 && address(total) == bytes && !x);
    function constant([](const lazy &) { return tenure::full<double>({1}, 4.0); }, {"x"}, {"y"});
    THROWS(tenure::argument_error, TN_ERR_SHAPE,
           function([](const lazy &x, const lazy &y) { return x + y; }, {"x", "y"}, {"z"})(
               ones(), tenure::full<double>({2}, 1.0)));
}

// FN-16, FN-33: a body with any number of arrays.
static void any_number() {
    shared a(numbers({2})), b(numbers({2}));
    const std::vector<in> inputs(3, in());
    const std::vector<out> outputs(2, out());
    const std::vector<update> updates{a, b};
    function step(
        [](places &at) {
            CHECK(at.in.size() == 3 && at.out.size() == 2 && at.update.size() == 2);
            CHECK(!at.out[0] && !at.update[1]);
            for (array &place : at.out)
                place = sum(at.in[0], at.in[1]);
            at.update[1] = std::move(at.in[2]);
        },
        {inputs.data(), inputs.size()}, {outputs.data(), outputs.size()}, {updates.data(), updates.size()});
    const array x = numbers({2});
    const auto made = step.call<2>(x, x, x);
    CHECK(is(made[0], {0, 2}) && is(made[1], {0, 2}) && a.version() == 1 && b.version() == 2);
    CHECK(address(b.get(flag::borrow)) != address(x));
}

struct thrown_by_body {
    int code;
};

// FN-17, FN-30: an exception of the callable reaches the caller, and all variables are as they were.
static void thrown() {
    shared a(numbers({2})), b(numbers({2}));
    function fails(
        [](const array &x, array &, array &second) -> array {
            second = x.copy();
            if (x.size() == 1)
                throw thrown_by_body{7};
            if (x.size() == 2)
                throw std::bad_alloc();
            array view = x.transpose();
            view.zero(); // throws an error of Tenure, because it may not be written
            return view;
        },
        {"x"}, {"y"}, {a, b}, "fails");
    int code = 0;
    try {
        fails(numbers({1}));
    } catch (const thrown_by_body &e) {
        code = e.code;
    }
    CHECK(code == 7);
    bool bad_alloc = false;
    try {
        fails(numbers({2}));
    } catch (const std::bad_alloc &) {
        bad_alloc = true;
    }
    CHECK(bad_alloc);
    array x = numbers({3});
    THROWS(tenure::ownership_error, TN_ERR_READONLY, fails(std::move(x)));
    CHECK(is(x, {0, 1, 2}) && a.version() == 1 && b.version() == 1);

    // A caller in C gets a status.
    tn_array *const one = x.handle();
    tn_array *none = nullptr;
    CHECK(tn_function_call(fails.handle(), 1, &one, 1, &none, nullptr, nullptr) == TN_ERR_READONLY && none == nullptr);
    const array two = numbers({2});
    tn_array *const short_of_memory = two.handle();
    CHECK(tn_function_call(fails.handle(), 1, &short_of_memory, 1, &none, nullptr, nullptr) == TN_ERR_NO_HOST_MEMORY);

    // A function that calls another one: the exception passes through both, or ends in the first.
    function passes([&](const array &y) { return fails(y); }, {"y"}, {"z"});
    code = 0;
    try {
        passes(numbers({1}));
    } catch (const thrown_by_body &e) {
        code = e.code;
    }
    CHECK(code == 7);
    function catches(
        [&](const array &y) {
            try {
                fails(y);
            } catch (const thrown_by_body &) {
            }
            tn_array *handle = y.handle(), *made = nullptr;
            CHECK(tn_function_call(fails.handle(), 1, &handle, 1, &made, nullptr, nullptr) == TN_ERR_FAILED);
            return array(); // no output: the call fails, but not with the exception
        },
        {"y"}, {"z"});
    THROWS(tenure::work_error, TN_ERR_FAILED, catches(numbers({1})));

    // An exception of a call from C belongs to no other call, not even to one of this function.
    const function *self = nullptr;
    function inner(
        [&](const array &y) {
            if (y.size() == 1)
                throw thrown_by_body{8};
            const array single = numbers({1});
            tn_array *handle = single.handle(), *made = nullptr;
            CHECK(tn_function_call(self->handle(), 1, &handle, 1, &made, nullptr, nullptr) == TN_ERR_FAILED);
            return array();
        },
        {"y"}, {"z"});
    self = &inner;
    THROWS(tenure::work_error, TN_ERR_FAILED, inner(numbers({2})));

    // A value that was written in place is undefined after an exception.
    function spoils(
        [](array &value) {
            auto w = value.write<std::int64_t>();
            w[0] = 9;
            throw std::runtime_error("no");
        },
        {}, {}, {{a, flag::may_overwrite}});
    bool passed = false;
    try {
        spoils();
    } catch (const std::runtime_error &) {
        passed = true;
    }
    CHECK(passed);
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(a.get()));
    a.set(numbers({2}));
    CHECK(is(a.get(), {0, 1}));
}

// A pressure callback that calls functions while another call copies its argument: each exception reaches its own caller.
static void called_before_the_body() {
    const tenure::dims shape{4 << 20};
    tenure::pool pool(tenure::pool_options().max_size(64 << 20));
    tenure::use_pool scope(pool);
    array hog, x = tenure::zeros<std::int8_t>(shape);
    const array other = x.clone();
    const array small = numbers({1});
    function throws([](const array &) { throw thrown_by_body{9}; }, {"x"});
    function outer([](array &) { throw thrown_by_body{10}; }, {{"x", flag::may_overwrite}});
    bool frees = true;
    int calls = 0;
    tenure::pressure_callback callback(pool, [&](std::size_t, tn_pressure) -> std::size_t {
        calls++;
        if (!frees) {
            tn_array *handle = small.handle();
            CHECK(tn_function_call(throws.handle(), 1, &handle, 0, nullptr, nullptr, nullptr) == TN_ERR_FAILED);
            return 0;
        }
        int code = 0;
        try {
            throws(small);
        } catch (const thrown_by_body &e) {
            code = e.code;
        }
        CHECK(code == 9);
        hog = array();
        return 56 << 20;
    });
    for (int turn = 0; turn < 2; turn++) {
        hog = tenure::zeros<std::int8_t>({56 << 20});
        int code = 0;
        try {
            outer(x); // copies x, because `other` is alive
        } catch (const thrown_by_body &e) {
            code = e.code;
        } catch (const tenure::out_of_memory &) {
            code = 1;
        }
        CHECK(calls == turn + 1 && code == (frees ? 10 : 1));
        frees = false;
    }
}

// FN-36: a call within a call that updates one variable is refused.
static void recursive() {
    shared w(numbers({2}));
    const function *self = nullptr;
    function again([&](const array &x) { return (*self)(x), x.copy(); }, {"x"}, {}, {w});
    self = &again;
    THROWS(tenure::ownership_error, TN_ERR_BORROWED_WRITE, again(numbers({2})));
    CHECK(w.version() == 1);
}

// FN-1, FN-40: the callable lives until the last call has returned, also if the function ends within one; threads call one function.
static void lifetimes() {
    auto alive = std::make_shared<int>(1);
    const std::weak_ptr<int> seen = alive;
    {
        function holds([alive](const array &x) { return x.copy(); }, {"x"}, {"y"});
        alive.reset();
        CHECK(!seen.expired());
        function other = std::move(holds);
        CHECK(!holds && other && is(other(numbers({2})), {0, 1}));
        THROWS(tenure::usage_error, TN_ERR_NULL, holds(numbers({2})));
        tn_function *handle = other.detach();
        const function adopted = function::adopt(handle, 1);
        CHECK(is(adopted(numbers({2})), {0, 1}));
    }
    CHECK(seen.expired());

    function ends;
    alive = std::make_shared<int>(2);
    const std::weak_ptr<int> still = alive;
    ends = function(
        [&ends, still, alive](const array &x) {
            ends = function();
            CHECK(!still.expired());
            return x.copy();
        },
        {"x"}, {"y"});
    alive.reset();
    CHECK(is(ends(numbers({2})), {0, 1}) && still.expired() && !ends);

    std::atomic<int> calls{0};
    function counts([&](const array &x) { return calls++, x.copy(); }, {"x"}, {"y"});
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; thread++)
        threads.emplace_back([&] {
            for (int call = 0; call < 50; call++)
                CHECK(counts(numbers({2})).size() == 2);
        });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(calls == 150);

    auto kept = std::make_shared<int>(3);
    const std::weak_ptr<int> left = kept;
    shared w(numbers({2}));
    THROWS(tenure::argument_error, TN_ERR_DUPLICATE, function([kept](array &, array &) {}, {}, {}, {w, w}));
    kept.reset();
    CHECK(left.expired()); // also if the function is refused

    function keeps([](array &value) { add_to(value, value.copy()); }, {}, {}, {{w, flag::may_overwrite}});
    w = shared(); // the function keeps the variable
    keeps();
}

int main() {
    returned();
    refused();
    flags();
    told();
    in_place();
    all_places();
    swapped();
    reused();
    expressions();
    any_number();
    thrown();
    called_before_the_body();
    recursive();
    lifetimes();
    return finish();
}
