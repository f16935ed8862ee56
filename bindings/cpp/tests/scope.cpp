// scope.cpp - a callee's arrays of its parameters: lent and given in one call, released, given on, returned, and released by exceptions.
#include "check.hpp"

#include <stdexcept>
#include <thread>
#include <typeinfo>

using tenure::array;
using tenure::enter;
using tenure::give;
using tenure::mode;
using tenure::pool;
using tenure::promise;
using tenure::why;

static std::size_t scopes() {
    std::size_t count = 0;
    for (const tenure::holder &one : tenure::leaks())
        count += one.kind == TN_HOLDER_SCOPE;
    return count;
}

static bool destructed(const array &a) {
    std::int32_t unique = 0;
    return tn_array_is_unique(a.handle(), &unique) == TN_ERR_DESTRUCTED;
}

// A promise whose giver keeps its handle, as one made in C.
static promise given_by(array &giver) {
    tn_promise *out = nullptr;
    CHECK(tn_array_give(giver.handle(), 1, &out) == TN_OK);
    return promise::adopt(out);
}

// OO-1, OO-36: a promise moves the claim, a named array is lent.
static void given_and_lent() {
    array a = numbers({4}, tenure::named("a")), b = numbers({3}, tenure::named("b"));
    const void *before = address(a);
    {
        auto s = enter(give(std::move(a)), b);
        CHECK(s && s.handle() != nullptr && scopes() == 1);
        auto &x = s[0], &y = s[1];
        CHECK(!a && x.is_unique() && x.name() == "a" && address(x) == before);
        CHECK(!y.is_unique() && b.why_not().has(why::shared) && elements(y)[2] == 2);
        x.fill(std::int64_t{7});
        CHECK(elements(x)[3] == 7);
    }
    CHECK(scopes() == 0 && b.is_unique());
    // OO-13: lent and given in one call, in either order.
    array c = numbers({3});
    promise p = given_by(c);
    {
        auto [lent, taken] = enter(c, std::move(p));
        CHECK(!p && destructed(c) && !taken.is_unique());
        lent = array();
        CHECK(taken.is_unique());
    }
    // OO-35: nothing to enter.
    auto nothing = enter();
    CHECK(nothing);
    nothing.leave();
    CHECK(!nothing);
    THROWS(tenure::usage_error, TN_ERR_NULL, nothing.leave());
}

// OO-12: all or nothing.
static void refused() {
    array a = numbers({4}), b = numbers({3});
    promise p = give(std::move(a)), q = give(std::move(b)), none;
    array c = numbers({2});
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(enter(std::move(p), c, std::move(none))));
    CHECK(p && c.is_unique() && scopes() == 0);
    CHECK(tn_promise_cancel(q.handle()) == TN_OK);
    THROWS(tenure::ownership_error, TN_ERR_DESTRUCTED, static_cast<void>(enter(std::move(p), c, std::move(q))));
    CHECK(p && q && c.is_unique() && scopes() == 0);
    // OO-15: given, and its promise is not in the call.
    promise r = given_by(c);
    THROWS(tenure::ownership_error, TN_ERR_GIVEN, static_cast<void>(enter(c, std::move(p))));
    CHECK(p);
    array back = p.cancel();
    CHECK(elements(back)[3] == 3);
}

// OO-31: a parameter that is moved out is returned; OO-32: one that is released early is not released again.
static array returned(promise p, const array &lent) {
    auto [x, y] = enter(std::move(p), lent);
    y = array();
    return std::move(x);
}

static array kept(promise p, const array &lent) {
    auto s = enter(std::move(p), lent);
    array out = s.keep(0);
    CHECK(out.is_unique());
    s.leave();
    CHECK(!s && scopes() == 0 && out.is_unique() && lent.is_unique());
    return out;
}

static void moved_out() {
    array a = numbers({4}), b = numbers({3});
    const void *before = address(a);
    array c = returned(give(std::move(a)), b);
    CHECK(c.is_unique() && b.is_unique() && address(c) == before && scopes() == 0);
    array d = kept(give(std::move(c)), b);
    CHECK(address(d) == before);
    // Swapped, so that no parameter is at its index: each is released once.
    {
        auto s = enter(give(std::move(d)), b);
        std::swap(s[0], s[1]);
        CHECK(elements(s[1])[3] == 3);
    }
    CHECK(b.is_unique());
    // A moved scope takes its parameters along; assigning over a scope leaves it.
    auto first = enter(b);
    {
        auto second = std::move(first);
        CHECK(!first && second && !b.is_unique());
        auto third = enter(b);
        CHECK(scopes() == 2 && b.why_not().holders.size() == 2);
        third = std::move(second);
        CHECK(scopes() == 1 && b.why_not().holders.size() == 1);
    }
    CHECK(b.is_unique() && scopes() == 0);
    // Detached for C, which must release it.
    tn_array *raw = nullptr;
    {
        auto s = enter(b);
        raw = s[0].detach();
    }
    CHECK(!b.is_unique() && tn_array_release(raw) == TN_OK && b.is_unique());
    // Another thread has one of them and releases it while the scope ends (TH-17).
    for (int round = 0; round < 200; round++) {
        std::thread other;
        {
            auto s = enter(b, b);
            other = std::thread([x = s.keep(0)]() mutable { x = array(); });
        }
        other.join();
        CHECK(b.is_unique());
    }
    CHECK(scopes() == 0);
}

// OO-34: given on from inside, also beyond the scope's end.
static promise given_on(promise p) {
    auto s = enter(std::move(p));
    return give(std::move(s[0]));
}

static void nested() {
    array a = numbers({4});
    const void *before = address(a);
    promise p = given_on(given_on(give(std::move(a))));
    CHECK(scopes() == 0);
    array b = tenure::take(std::move(p));
    CHECK(b.is_unique() && address(b) == before);
    // OO-37: lent, and given on: the caller still has a claim.
    auto outer = enter(b);
    auto inner = enter(give(std::move(outer[0])));
    CHECK(inner[0].why_not().has(why::shared));
    // Scopes are independent of one another.
    outer.leave();
    CHECK(elements(inner[0])[1] == 1);
    inner.leave();
    CHECK(b.is_unique());
    // A taken parameter is an ordinary array.
    auto of_taken = [](tenure::taken x) {
        auto [y] = enter(x);
        return y.is_unique();
    };
    CHECK(!of_taken(b.clone()));
    CHECK(b.is_unique());
}

// An exception leaves the scope as the end of its block does.
static void exceptions() {
    pool own(tenure::pool_options().name("scopes"));
    array a = tenure::zeros<double>({8}, tenure::options().pool(own)), b = tenure::zeros<double>({8});
    bool seen = false;
    try {
        auto [x, y] = enter(give(std::move(a)), b);
        CHECK(own.stats().live_blocks == 1 && y.size() == 8);
        auto w = x.write<double>();
        w[0] = 1;
        throw std::runtime_error("as it was");
    } catch (const std::runtime_error &e) {
        seen = says(e.what(), "as it was");
    }
    CHECK(seen && !a && b.is_unique() && own.stats().live_blocks == 0 && scopes() == 0);
    // Strict: a parameter with open guards is not released; leaving explicitly reports it.
    tenure::set_option("strict", "1");
    {
        auto s = enter(b);
        auto r = s[0].read<double>();
        THROWS(tenure::ownership_error, TN_ERR_BORROWED, s.leave());
        CHECK(s && r[0] == 0.0);
        r.reset();
        s.leave();
    }
    tenure::set_option("strict", "0");
    CHECK(b.is_unique());
}

// OO-12 with the largest number of promises.
static void many() {
    std::vector<promise> promises;
    for (std::int64_t n = 1; n < 5; n++)
        promises.push_back(give(numbers({n})));
    promises.emplace_back();
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(tenure::take_all(std::move(promises))));
    CHECK(promises.size() == 5 && promises[3]);
    promises.pop_back();
    std::vector<array> arrays = tenure::take_all(std::move(promises));
    CHECK(promises.empty() && arrays.size() == 4 && arrays[2].size() == 3 && arrays[3].is_unique());
    CHECK(tenure::take_all(std::vector<promise>()).empty());
}

// OO-40: the chain. The first call needs a copy of x, because x is used again; the second overwrites x.
static array added(promise given, const array &lent, const array &to, bool give_it) {
    auto sum = [](array &m, array &d) {
        {
            auto [into, from] =
                tenure::access_all(tenure::writes<std::int64_t>(m, mode::cow), tenure::reads<std::int64_t>(d));
            for (std::int64_t i = 0; i < into.size(); i++)
                into[i] += from[i];
        }
        return std::move(m);
    };
    if (give_it) {
        auto [m, d] = enter(std::move(given), to);
        return sum(m, d);
    }
    auto [m, d] = enter(lent, to);
    return sum(m, d);
}

static void chain() {
    pool own(tenure::pool_options().name("chain"));
    array a = numbers({4}, tenure::options().pool(own)), d = numbers({4});
    const void *before = address(a);
    auto allocations = own.stats().allocation_count;
    auto s = enter(give(std::move(a)), d);
    array v1 = added(promise(), s[0], s[1], false);
    array v2 = added(give(s.keep(0)), v1, s[1], true);
    CHECK(own.stats().allocation_count == allocations + 1);
    CHECK(address(v1) != before && address(v2) == before && elements(v1) == elements(v2));
}

// As text.
static void words() {
    array a = (TENURE_HERE, numbers({4}, tenure::named("K")));
    CHECK(a.why_not().text() == "nothing");
    array row = a.slice({{0, 2}});
    row.set_name("row");
    auto r = a.read<std::int64_t>();
    const std::string text = a.why_not().text();
    CHECK(says(text, "shared, borrowed: ") && says(text, "handle 'row' at ") && says(text, "read guard on 'K' at ") &&
          says(text, "scope.cpp:"));
    CHECK(tenure::to_string(why::none) == "nothing" && tenure::to_string(why::in_expression) == "in an expression");
    CHECK(tenure::to_string(why::not_aliasable | why::given) == "given, not aliasable");
    CHECK(tenure::to_string(static_cast<why>(1u << 30)) == "a reason of a newer library");
    tenure::holder newer{99, {}, 0, 0, 0, 0, "n", ""};
    CHECK(tenure::to_string(newer) == "holder 'n'");
    newer.kind = TN_HOLDER_QUEUED_RELEASE;
    CHECK(tenure::to_string(newer) == "queued release 'n'");
    newer.kind = TN_HOLDER_MODULE;
    CHECK(tenure::to_string(newer) == "module 'n'");
    // The bytes of a guard.
    CHECK(r.info().data == r.data() && r.info().bytes == 32);
    tenure::read_guard<std::int64_t> none;
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(none.info()));
}

int main() {
    given_and_lent();
    refused();
    moved_out();
    nested();
    exceptions();
    many();
    chain();
    words();
    return finish();
}
