// exchange.cpp - import and export of raw memory, DLPack and files; the list of copies, and how to forbid them.
#include "check.hpp"

#include <typeinfo>

using tenure::array;
using tenure::flag;
using tenure::how;

static void host() {
    array a = numbers({2, 3}, tenure::named("a"));
    {
        auto x = a.export_host<const std::int64_t>(flag::require_borrow);
        CHECK(x.how() == how::aliased && x(1, 2) == 5 && x.size() == 6);
        THROWS(tenure::ownership_error, TN_ERR_EXPORTED, a.zero());
        auto moved = std::move(x);
        CHECK(!x && moved.span()[4] == 4);
    }
    {
        auto x = a.export_host<std::int64_t>(flag::borrow);
        x(0, 0) = 9;
        CHECK(a.read<std::int64_t>()(0, 0) == 9);
        CHECK(a.why_not().has(tenure::why::exported));
    }
    {
        auto x = a.export_host<std::int64_t>(flag::require_borrow | flag::export_exclusive, tenure::mode::unique);
        THROWS(tenure::ownership_error, TN_ERR_EXPORTED, static_cast<void>(a.read<std::int64_t>()));
    }
    auto copy = a.export_host<const std::int64_t>();
    CHECK(copy.how() == how::copied && copy(0, 0) == 9);
    a.zero();
    CHECK(copy(0, 0) == 9);
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(a.export_host<const float>()));
}

// The same process imports; c-tests/ipc.c has two.
static void other_processes() {
    const tenure::pool shareable(tenure::pool_options().flags(TN_POOL_SHAREABLE));
    const tenure::options in = tenure::options().pool(shareable);
    array a = tenure::full({2, 3}, 1.0, in);
    int closed = -1;
    {
        tenure::ipc_export sent = a.export_ipc(flag::require_borrow | flag::ipc_writable);
        CHECK(sent.how() == how::aliased && sent.fd() >= 0 && sent.descriptor().size() > 0);
        tenure::ipc_export moved;
        moved = std::move(sent);
        array b = tenure::import_ipc(moved.descriptor(), moved.fd(), flag::ipc_writable);
        CHECK(tenure::overlap_of(a, b) == tenure::overlap::exact);
        closed = moved.fd();
    }
    CHECK(::lseek(closed, 0, SEEK_CUR) == -1);
    // The end of an offer that nobody took.
    array c = tenure::full({2, 3}, 1.0, in);
    tenure::ipc_export offer = c.export_ipc(flag::ipc_give);
    THROWS(tenure::ownership_error, TN_ERR_EXPORTED, static_cast<void>(c.read<double>()));
    offer.end();
    CHECK(c.read<double>()(1, 2) == 1.0 && offer.fd() == -1);
    // One that was taken.
    offer = c.export_ipc(flag::ipc_give);
    array taken = tenure::import_ipc(offer.descriptor(), offer.fd(), flag::ipc_give);
    offer.end();
    THROWS(tenure::ownership_error, TN_ERR_DESTRUCTED, static_cast<void>(c.read<double>()));
    taken.zero();
    array plain = numbers({2, 3});
    THROWS(tenure::copy_error, TN_ERR_WOULD_COPY, static_cast<void>(plain.export_ipc(flag::require_borrow)));
    tenure::ipc_export copied = plain.export_ipc();
    CHECK(copied.how() == how::copied);
    const tenure::span<const unsigned char> cut(copied.descriptor().data(), 8);
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(tenure::import_ipc(cut, copied.fd())));
}

static void dlpack() {
    array a = numbers({2, 3}, tenure::named("a"));
    how what{};
    {
        tenure::dlpack p = a.export_dlpack(flag::borrow | flag::export_writable, tenure::mode::aliased, &what);
        CHECK(p && what == how::aliased);
        // Never consumed: the destructor calls the deleter.
    }
    CHECK(a.is_unique());
    {
        tenure::dlpack p = a.export_dlpack(flag::borrow | flag::export_writable);
        array b = tenure::import_dlpack(std::move(p), flag::require_borrow, &what);
        CHECK(!p && what == how::aliased);
        CHECK(tenure::overlap_of(a, b) == tenure::overlap::exact);
        CHECK(b.shape() == a.shape());
    }
    {
        tenure::dlpack p = a.export_dlpack();
        array b = tenure::import_dlpack(std::move(p), flag::borrow);
        CHECK(tenure::overlap_of(a, b) == tenure::overlap::none && elements(b) == elements(a));
    }
    {
        tenure::dlpack_legacy p = a.export_dlpack_legacy(flag::borrow | flag::export_writable);
        CHECK(p.get() != nullptr);
        tenure::dlpack_legacy unused = a.export_dlpack_legacy(flag::borrow | flag::export_writable);
        unused = a.export_dlpack_legacy();
        array b = tenure::import_dlpack(std::move(p), flag::borrow | flag::import_writable);
        CHECK(tenure::overlap_of(a, b) == tenure::overlap::exact);
    }
    // A failing import leaves the struct with its owner.
    tenure::dlpack p = a.export_dlpack(flag::borrow);
    THROWS(tenure::usage_error, TN_ERR_INVALID,
           static_cast<void>(tenure::import_dlpack(std::move(p), flag::export_writable)));
    CHECK(p);
    tn_dlpack_options options{};
    options.size = sizeof options;
    options.flags = TN_REQUIRE_BORROW;
    tenure::dlpack q = a.export_dlpack(options);
    CHECK(a.why_not().has(tenure::why::exported));
}

static void files() {
    array a = numbers({3, 5}, tenure::named("a"));
    a.save_npy("a.npy");
    {
        array b = tenure::open_npy("a.npy");
        CHECK(elements(b) == elements(a) && b.is(TN_READONLY));
        THROWS(tenure::ownership_error, TN_ERR_READONLY, b.zero());
    }
    {
        array c = tenure::open_npy("a.npy", tenure::npy::write);
        c.write<std::int64_t>()(0, 0) = 42;
    }
    {
        array c = tenure::open_npy("a.npy", tenure::npy::cow);
        CHECK(c.read<std::int64_t>()(0, 0) == 42);
        c.zero();
    }
    tenure::pool own(tenure::pool_options().name("files"));
    array d = tenure::open_npy(std::string("a.npy"), tenure::npy::copy, own);
    CHECK(d.read<std::int64_t>()(0, 0) == 42 && own.stats().live_blocks == 1);
    THROWS(tenure::io_error, TN_ERR_IO, static_cast<void>(tenure::open_npy("missing.npy")));
    THROWS(tenure::io_error, TN_ERR_IO, a.save_npy("a.npy", TN_IO_EXCLUSIVE));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, tenure::zeros<tenure::bfloat16>({2}).save_npy("b.npy"));
}

static void book() {
    array a = numbers({4}, tenure::named("a"));
    array b = a.clone();
    {
        tenure::no_copies forbidden;
        THROWS(tenure::copy_error, TN_ERR_WOULD_COPY, static_cast<void>(b.write<std::int64_t>(tenure::mode::cow)));
        { tenure::no_copies nested; }
        THROWS(tenure::copy_error, TN_ERR_WOULD_COPY, static_cast<void>(b.write<std::int64_t>(tenure::mode::cow)));
    }
    const int line = __LINE__ + 1;
    static_cast<void>(b.write<std::int64_t>(tenure::mode::cow));
    bool found = false;
    const std::string here = "exchange.cpp:" + std::to_string(line);
    for (const tenure::copy_site &site : tenure::copies())
        if (says(site.site, here.c_str()))
            found = site.function == "tn_array_borrow_write" && site.reason == tenure::why::shared && site.forced &&
                    site.bytes == 32 && site.count == 1;
    CHECK(found);
    // Leaks are named, with their site.
    array left = numbers({8}, tenure::named("left"));
    found = false;
    for (const tenure::holder &one : tenure::leaks())
        found = found || (one.name == "left" && says(one.site, "exchange.cpp") && one.bytes == 64 &&
                          one.device == tenure::device());
    CHECK(found);
    auto r = left.read<std::int64_t>();
    auto holders = tenure::holders_of(r.data(), 8);
    CHECK(holders.size() == 2 && holders[0].name == "left");
    int elsewhere = 0;
    THROWS(tenure::ownership_error, TN_ERR_FOREIGN, static_cast<void>(tenure::holders_of(&elsewhere)));
}

int main() {
    host();
    other_processes();
    dlpack();
    files();
    book();
    return finish();
}
