// ownership.cpp - giving arrays away, parameters that may be used up, promises that are passed on or cancelled.
#include "check.hpp"

#include <stdexcept>
#include <typeinfo>

using tenure::array;
using tenure::give;
using tenure::mode;
using tenure::promise;
using tenure::taken;
using tenure::weak;

// A handle's class is one pointer that moves, and nothing converts to it in braces.
template <class... Handle>
constexpr bool are_handles =
    ((sizeof(Handle) == sizeof(void *) && std::is_nothrow_move_constructible_v<Handle> &&
      std::is_nothrow_move_assignable_v<Handle> && !std::is_copy_constructible_v<Handle> &&
      !std::is_copy_assignable_v<Handle> && !std::is_aggregate_v<Handle>) && ...);
static_assert(are_handles<tenure::stream, tenure::event, tenure::pool, tenure::weak, tenure::shared, tenure::mirror,
                          tenure::module, tenure::lazy, tenure::dlpack, tenure::dlpack_legacy>);

// Doubles the elements in place if the bytes have no other holder, else in a copy; returns the result.
static array doubled(taken x) {
    {
        auto w = x.write<std::int64_t>(mode::cow);
        for (std::int64_t &value : w)
            value *= 2;
    }
    return array(std::move(x));
}

// Passes the promise on without using it.
static array forwarded(promise p) { return doubled(std::move(p)); }

// OO-1: given, the bytes are overwritten in place.
static void given() {
    array a = numbers({4}, tenure::named("a"));
    const void *before = address(a);
    array b = doubled(give(std::move(a)));
    CHECK(!a);
    CHECK(address(b) == before && b.is_unique() && b.name() == "a");
    CHECK(elements(b) == (std::vector<std::int64_t>{0, 2, 4, 6}));
    array c = forwarded(give(std::move(b)));
    CHECK(address(c) == before && elements(c)[3] == 12);
    // A plain move needs no promise.
    array d = doubled(std::move(c));
    CHECK(address(d) == before && elements(d)[3] == 24);
    // From a temporary.
    CHECK(elements(doubled(give(numbers({2}))))[1] == 2);
    CHECK(elements(doubled(numbers({2})))[1] == 2);
}

// Lent: the callee has a claim beside the caller's, and so must not overwrite.
static void lent() {
    array a = numbers({4});
    array b = doubled(a.clone());
    CHECK(a && elements(a)[3] == 3 && elements(b)[3] == 6);
    CHECK(address(a) != address(b));
    // With another clone the bytes stay, given or not.
    array other = a.clone();
    array c = doubled(give(std::move(a)));
    CHECK(elements(other)[3] == 3 && elements(c)[3] == 6);
    // OO-30: decided at the write. The clone is gone by then, and the bytes are reused.
    const void *before = address(other);
    array clone = other.clone();
    promise p = give(std::move(other));
    clone = array();
    CHECK(address(doubled(std::move(p))) == before);
}

static void cancelled() {
    array a = numbers({3}, tenure::named("a"));
    promise p = give(std::move(a));
    CHECK(p && p.handle() != nullptr);
    array b = p.cancel();
    CHECK(!p && b && b.name() == "a" && elements(b)[2] == 2);
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(p.cancel()));
    // Never taken: the array is released with its promise, because the giver kept nothing.
    weak w = b.weaken();
    { promise lost = give(std::move(b)); }
    CHECK(!w.try_upgrade());
    // Assigning over a promise releases its array.
    promise first = give(numbers({1}));
    first = give(numbers({2}));
    CHECK(tenure::take(std::move(first)).size() == 2);
    CHECK(!first);
}

// The array is consumed only if the call succeeds.
// The object of the caller is empty after `give`, whatever the callee does; the array ends with its promise.
static array throws_first(promise p) {
    CHECK(p);
    throw std::runtime_error("before it took anything");
}

static void not_accepted() {
    array a = numbers({3}, tenure::named("a"));
    weak w = a.weaken();
    try {
        static_cast<void>(throws_first(give(std::move(a))));
        CHECK(false);
    } catch (const std::runtime_error &) {
    }
    CHECK(!a && !w.try_upgrade());
}

static void refused() {
    array a = numbers({3});
    {
        auto r = a.read<std::int64_t>();
        THROWS(tenure::ownership_error, TN_ERR_BORROWED, static_cast<void>(give(std::move(a))));
        CHECK(a && a.size() == 3);
    }
    promise p = give(std::move(a));
    CHECK(!a);
    array empty;
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(give(std::move(empty))));
    array taken_once = tenure::take(std::move(p));
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(tenure::take(std::move(p))));
    CHECK(taken_once.is_unique());
}

// Several promises are taken together, or none is (OO-12).
static void together() {
    promise p = give(numbers({1}));
    promise q = give(numbers({2}));
    promise nothing;
    THROWS(tenure::usage_error, TN_ERR_NULL,
           static_cast<void>(tenure::take_all(std::move(p), std::move(q), std::move(nothing))));
    CHECK(p && q);
    auto [a, b] = tenure::take_all(std::move(p), std::move(q));
    CHECK(!p && !q && a.size() == 1 && b.size() == 2 && a.is_unique());
}

// Case II: C may demand several promises of one handle. With fewer the taker has a clone.
static void from_c() {
    array giver = numbers({3}, tenure::named("giver"));
    tn_promise *one = nullptr, *two = nullptr;
    CHECK(tn_array_give(giver.handle(), 2, &one) == TN_OK);
    CHECK(tn_array_give(giver.handle(), 2, &two) == TN_OK);
    promise p = promise::adopt(one), q = promise::adopt(two);
    THROWS(tenure::ownership_error, TN_ERR_GIVEN, static_cast<void>(giver.read<std::int64_t>()));
    array clone = tenure::take(std::move(p));
    CHECK(!clone.is_unique());
    CHECK(!q.cancel());
    CHECK(elements(giver)[2] == 2);
    // Both together: the claim moves, and the giver's message names the taker.
    CHECK(tn_array_give(giver.handle(), 2, &one) == TN_OK);
    CHECK(tn_array_give(giver.handle(), 2, &two) == TN_OK);
    clone = array();
    p = promise::adopt(one);
    q = promise::adopt(two);
    auto both = tenure::take_all(std::move(p), std::move(q));
    THROWS(tenure::ownership_error, TN_ERR_DESTRUCTED, static_cast<void>(giver.read<std::int64_t>()));
    CHECK(elements(both[0])[1] == 1 && elements(both[1])[1] == 1);
}

// With the option "strict" a given handle cannot be released until its promise is taken.
static void strict() {
    tenure::set_option("strict", "1");
    CHECK(tenure::option("strict") == "1");
    array b = doubled(give(numbers({4})));
    promise p = give(std::move(b));
    p = promise();
    array c = numbers({1});
    promise q = give(std::move(c));
    c = q.cancel();
    tenure::set_option("strict", "0");
    CHECK(c.is_unique());
}

// A taken parameter is an array, and can be given on.
static std::int64_t sum(taken x) {
    std::int64_t total = 0;
    for (std::int64_t value : x.read<std::int64_t>())
        total += value;
    array y = doubled(give(std::move(x)));
    CHECK(!x);
    return total + elements(y).back();
}

int main() {
    given();
    lent();
    cancelled();
    not_accepted();
    refused();
    together();
    from_c();
    strict();
    CHECK(sum(give(numbers({4}))) == 12);
    CHECK(sum(numbers({4})) == 12);
    return finish();
}
