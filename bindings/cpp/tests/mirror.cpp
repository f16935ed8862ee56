// mirror.cpp - mirrors: sides that are borrowed, gotten and marked. The device side needs a driver.
#include "check.hpp"

#include <stdexcept>

using tenure::array;
using tenure::crossing;
using tenure::flag;
using tenure::mirror;
using tenure::side;

// MI-1, MI-11: the host side of every mirror.
static void on_the_host() {
    array object = numbers({2, 3}, tenure::named("m"));
    crossing what;
    mirror own(object, flag::copy, {}, &what);
    CHECK(!what.is_alias() && own.name() == "m" && own.dtype() == tenure::dtype::i64 && own.shape().size() == 2);
    mirror borrows(object, flag::borrow, tenure::mirror_options().name("lent"), &what);
    CHECK(what.is_alias() && borrows.name() == "lent" && own.is_valid(side::host) && !own.is_valid(side::device));
    {
        auto w = borrows.write<std::int64_t>(side::host);
        w.data()[5] = 50;
        THROWS(tenure::ownership_error, TN_ERR_BORROWED_WRITE, static_cast<void>(object.read()));
    }
    CHECK(elements(object)[5] == 50 && elements(own.get(side::host))[5] == 5);
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(own.read<float>(side::host)));
    try {
        auto w = own.overwrite<std::int64_t>(side::host);
        throw std::runtime_error("the write fails");
    } catch (const std::runtime_error &) {
    }
    CHECK(own.info().is_poisoned == 1);
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(own.get(side::host)));
    own.mark_changed(side::host);
    CHECK(own.info().is_poisoned == 0);
    mirror moved = std::move(own);
    CHECK(!own && moved && moved.read(side::host).handle() != nullptr);
    mirror undefined(tenure::dtype::f32, {2, 2}, tenure::mirror_options().in(tenure::order::f));
    CHECK(undefined.info().bytes == 16 && undefined.get(side::host).strides()[0] == 4);
}

// M1, M2, MI-2, MI-4: a GPU, simulated or real.
static void on_both() {
    const tenure::stream s(tenure::device::cuda(0));
    mirror m(numbers({4}));
    for (int round = 0; round < 3; round++) {
        auto r = m.read(side::device, s);
        CHECK(r.info().device_data != 0);
    }
    CHECK(m.info().transfers_to_device == 1 && m.is_valid(side::host) && m.is_valid(side::device));
    {
        auto w = m.write<std::int64_t>(side::host);
        w.data()[0] = 7;
    }
    array there = m.get(side::device);
    CHECK(m.info().transfers_to_device == 2 && elements(there.to_device(tenure::device()))[0] == 7);
    there.fill(std::int64_t{9});
    const auto r = m.read<std::int64_t>(side::host);
    CHECK(r(0) == 9 && r(3) == 9 && m.info().transfers_to_host == 1);
}

int main() {
    on_the_host();
    if (tenure::device_count(TN_CUDA) > 0)
        on_both();
    return finish();
}
