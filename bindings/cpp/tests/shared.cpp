// shared.cpp - shared variables: values that are copied, borrowed and moved in, read, set and updated.
#include "check.hpp"

#include <stdexcept>

using tenure::array;
using tenure::crossing;
using tenure::flag;
using tenure::mode;
using tenure::shared;

static void add_one(array &value) {
    auto w = value.write<std::int64_t>(mode::unique);
    for (std::int64_t &element : w)
        element += 1;
}

// SV-1, SV-11, SV-21: copies by default, aliases on request, and the borrowed value is constant.
static void borrowed() {
    array value = numbers({4}, tenure::named("w"));
    crossing what;
    const shared own(value, flag::copy, {}, &what);
    CHECK(!what.is_alias() && what.why == tenure::why::none && value.is_unique());
    const shared borrows(value, flag::borrow, tenure::shared_options().name("lent"), &what);
    CHECK(what.is_alias() && borrows.name() == "lent" && own.name() == "w");
    THROWS(tenure::ownership_error, TN_ERR_SHARED, static_cast<void>(value.write<std::int64_t>()));
    const array seen = borrows.get(flag::borrow, &what);
    CHECK(what.is_alias() && address(seen) == address(value));
    const array copied = borrows.get();
    CHECK(address(copied) != address(value) && elements(copied)[3] == 3);
    THROWS(tenure::ownership_error, TN_ERR_ALIASED, shared(value, flag::require_borrow));
}

// SV-7: a moved value is the variable's own.
static void moved() {
    array value = numbers({4});
    const void *bytes = address(value);
    crossing what;
    shared w(std::move(value), {}, &what);
    CHECK(!value && what.is_alias() && address(w.get(flag::borrow)) == bytes);
    array next = numbers({2});
    bytes = address(next);
    w.set(std::move(next), &what);
    CHECK(!next && what.is_alias() && w.version() == 2 && w.shape()[0] == 2);
    CHECK(address(w.get(flag::borrow)) == bytes);
    array wide = tenure::zeros<std::int64_t>({1}).broadcast({2});
    w.set(std::move(wide), &what); // its elements share bytes, so it is copied
    CHECK(!wide && what.why == tenure::why::layout);
    array other = tenure::zeros<double>({2});
    THROWS(tenure::argument_error, TN_ERR_DTYPE, w.set(std::move(other)));
    CHECK(static_cast<bool>(other)); // a failure leaves it with its owner
}

// SV-34: updates in a copy and in place; an exception passes through.
static void updated() {
    shared w(numbers({4}));
    const void *bytes = address(w.get(flag::borrow));
    crossing what;
    w.update(add_one, flag::may_overwrite, &what);
    CHECK(what.is_alias() && address(w.get(flag::borrow)) == bytes && elements(w.get())[0] == 1);
    w.update([](array &value) { add_one(value); }, flag::copy, &what);
    CHECK(!what.is_alias() && elements(w.get())[3] == 5 && w.version() == 3);
    const auto fails = [](array &value) {
        add_one(value);
        throw std::runtime_error("no");
    };
    for (const flag flags : {flag::copy, flag::may_overwrite}) {
        bool passed = false;
        try {
            w.update(fails, flags);
        } catch (const std::runtime_error &) {
            passed = true;
        }
        CHECK(passed && w.version() == 3);
        if (flags == flag::copy)
            CHECK(elements(w.get())[3] == 5);
    }
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(w.get()));
    w.set(numbers({4}));
    CHECK(elements(w.get())[3] == 3 && w.info().is_poisoned == 0);
    w.update([](array &value) { array kept = std::move(value); }); // its release does no harm
    CHECK(elements(w.get())[3] == 3 && w.version() == 5);
}

static void handles() {
    shared empty;
    CHECK(!empty && empty.handle() == nullptr);
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(empty.get()));
    shared first(numbers({3})), second = std::move(first);
    CHECK(!first && second);
    second = shared(numbers({5}));
    CHECK(second.shape()[0] == 5 && second.dtype() == tenure::dtype::i64 && second.device() == tenure::device());
    tn_shared *handle = second.detach();
    CHECK(!second);
    CHECK(tn_shared_release(handle) == TN_OK);
}

int main() {
    borrowed();
    moved();
    updated();
    handles();
    return finish();
}
