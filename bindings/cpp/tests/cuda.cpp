// cuda.cpp - streams, events, device, page-locked and managed arrays; and their errors without a driver.
#include "check.hpp"

#include <cstdlib>
#include <thread>

using tenure::array;
using tenure::device;
using tenure::event;
using tenure::mode;
using tenure::options;
using tenure::reading;
using tenure::stream;

static const device gpu = device::cuda();

// Streams and events: ST-1, ST-4, ST-5, ST-11, ST-12.
static void streams() {
    stream s(gpu), low(gpu, 100, true);
    CHECK(s && s.native() > 2);
    CHECK(stream::of_native(gpu, 0).native() == 1);
    CHECK(stream::legacy().native() == 1 && stream::per_thread().native() == 2);
    THROWS(tenure::usage_error, TN_ERR_KIND, static_cast<void>(stream::current().native()));
    CHECK(stream::current(gpu).native() == 1);
    event before(gpu, true), after(gpu, true), plain(gpu);
    CHECK(before.passed());
    before.record(s);
    after.record(s);
    after.wait(low);
    after.synchronize();
    CHECK(after.passed() && after.since(before).count() >= 0);
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(plain.since(before)));
    const std::uint64_t native = s.native();
    stream moved = std::move(s);
    CHECK(!s && moved.native() == native);
    THROWS(tenure::usage_error, TN_ERR_NULL, s.synchronize());
    moved.synchronize();
}

// Scopes: ST-3, ST-7.
static void scopes() {
    stream s(gpu), t(gpu);
    {
        tenure::stream_scope outer(gpu, s);
        CHECK(stream::current(gpu).native() == s.native());
        tenure::stream_scope inner(gpu, t, true);
        CHECK(stream::current(gpu).native() == t.native());
        std::uint64_t elsewhere = 0;
        std::thread([&] { elsewhere = stream::current(gpu).native(); }).join();
        CHECK(elsewhere == 1);
        inner.leave();
        CHECK(stream::current(gpu).native() == s.native());
    }
    CHECK(stream::current(gpu).native() == 1);
}

// PD-15: another pool serves a stream's requests until the C++ scope ends. PD-17: a pool of the driver.
static void private_pools() {
    const tenure::pool served(tenure::pool_options().backend(TN_BACKEND_DRIVER_POOL), gpu), graphs(tenure::pool_options(), gpu);
    const stream s(gpu);
    const auto live_blocks = [](const tenure::pool &of) { return of.stats().live_blocks; };
    {
        tenure::private_pool_scope ends_by_itself(served, graphs, s);
        THROWS(tenure::argument_error, TN_ERR_DUPLICATE, tenure::private_pool_scope twice(served, graphs, s));
    }
    void *block = nullptr;
    tenure::private_pool_scope scope(served, graphs, s);
    CHECK(tn_pool_allocate(served.handle(), 1 << 20, 0, s.handle(), &block) == TN_OK);
    CHECK(live_blocks(served) == 0 && live_blocks(graphs) == 1);
    CHECK(tn_pool_deallocate(served.handle(), block, s.handle()) == TN_OK);
    scope.leave();
    CHECK(tn_pool_allocate(served.handle(), 4 << 20, 0, s.handle(), &block) == TN_OK);
    CHECK(live_blocks(served) == 1 && live_blocks(graphs) == 0);
    CHECK(tn_pool_deallocate(served.handle(), block, s.handle()) == TN_OK);
    CHECK(served.stats().largest_free_bytes == 0 && served.stats().cached_bytes >= 4u << 20);
}

// Copies to and from the device, with and without a stream, with gaps and transposed: TR-6, TR-8, TR-9.
static void copies() {
    const array n = numbers({4, 6});
    array d = n.to_device(gpu);
    CHECK(d.device() == gpu && elements(d) == elements(n));
    stream s(gpu);
    array e = n.to_device(gpu, s);
    array back = e.transpose().to_device({}, s);
    e.reset();
    CHECK(back.device() == device::pinned());
    back.wait();
    CHECK(back.read<std::int64_t>()(5, 3) == 23);
    const std::vector<std::int64_t> from{100, 101, 102, 103, 104, 105};
    d.index(0, 1).copy_from_host(from.data(), from.size());
    std::vector<std::int64_t> to(6);
    d.index(0, 1).copy_to_host(to.data(), to.size(), s); // not page-locked: written on return
    CHECK(to == from);
    d.fill(std::int64_t{7}, mode::aliased, s);
    CHECK(d.copy().index(0, 3).index(0, 5).to_vector<std::int64_t>() == std::vector<std::int64_t>{7});
    d.zero();
    CHECK(elements(d) == std::vector<std::int64_t>(24));
    n.copy_into(d, mode::aliased, s);
    CHECK(elements(d) == elements(n));
    CHECK(d.pool().stats().live_blocks > 0);
}

// TR-30
static void moves() {
    const tenure::pool own(tenure::pool_options().name("moves"), gpu);
    array n = tenure::full<std::int64_t>({4, 6}, 5);
    const tenure::pool host = n.pool();
    const auto blocks = host.stats().live_blocks;
    array d = std::move(n).to_device(gpu, own);
    CHECK(!n && host.stats().live_blocks == blocks - 1 && own.stats().live_blocks == 1);
    CHECK(d.device() == gpu && elements(d) == std::vector<std::int64_t>(24, 5));
    // It is there already, and nothing is copied.
    const tn_array *const before = d.handle();
    array same = std::move(d).to_device(gpu);
    CHECK(!d && same.handle() != before && own.stats().live_blocks == 1);
    // Shared bytes are copied, also those of a temporary view.
    array twin = same.clone();
    array copied = std::move(twin).to_device(gpu, own);
    CHECK(!twin && own.stats().live_blocks == 2 && copied.is_unique());
    array column = same.transpose().to_device(gpu, own);
    CHECK(own.stats().live_blocks == 3 && column.is_unique());
    // A failure changes nothing.
    THROWS(tenure::argument_error, TN_ERR_DEVICE, static_cast<void>(std::move(same).to_device(device::cuda(40))));
    CHECK(same && elements(same) == std::vector<std::int64_t>(24, 5));
    // A promise moves too, as work of a stream.
    stream s(gpu);
    auto given = tenure::give(std::move(same));
    array back = std::move(given).to_device({}, {}, s);
    CHECK(!given);
    back.wait();
    CHECK(back.device() == device::pinned() && elements(back) == std::vector<std::int64_t>(24, 5));
    s.synchronize();
    CHECK(own.stats().live_blocks == 2);
}

// Guards for work of a stream: BR-60, BR-62.
static void guards() {
    stream s(gpu);
    array d = tenure::zeros<std::uint8_t>({100}, options().on(gpu).name("bytes"));
    CHECK(d.device() == gpu);
    {
        const auto writing = d.write<std::uint8_t>(mode::aliased, s);
        CHECK(writing.info().device_data != 0 || writing.info().data != nullptr);
        THROWS(tenure::ownership_error, TN_ERR_BORROWED_WRITE, static_cast<void>(d.read()));
    }
    {
        const auto reading_it = d.read<std::uint8_t>(reading::plain, s);
        CHECK(reading_it.handle() != nullptr);
    }
    s.synchronize();
    CHECK(d.to_vector<std::uint8_t>() == std::vector<std::uint8_t>(100));
}

// Page-locked and managed memory, registered memory: PN-1, PN-2, PN-9, PN-10, PN-11.
static void host_memory() {
    array pinned = tenure::zeros<double>({10}, options().on(device::pinned()));
    CHECK(pinned.device() == device::pinned() && (pinned.info().flags & TN_PINNED) != 0);
    pinned.write<double>()(3) = 2.5;
    CHECK(pinned.to_device(gpu).to_vector<double>()[3] == 2.5);

    array managed = tenure::zeros<double>({10}, options().on(device::managed()));
    CHECK(managed.device() == device::managed());
    managed.advise(TN_ADVISE_READ_MOSTLY, gpu);
    managed.prefetch(gpu);
    CHECK(managed.read<double>()(9) == 0);
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, pinned.prefetch(gpu));

    std::vector<float> mine(1000, 1.5f);
    {
        array registered = tenure::host_register(tenure::span<float>(mine.data(), mine.size()));
        CHECK(registered.shape() == tenure::dims({1000}) && registered.device() == device::pinned());
        CHECK(registered.to_device(gpu).to_vector<float>() == mine);
        THROWS(tenure::argument_error, TN_ERR_DUPLICATE,
               static_cast<void>(tenure::host_register(mine.data(), 4000)));
    }
    static_cast<void>(tenure::host_register(mine.data(), 4000));
}

// Raw blocks for streams: PD-1, PD-6.
static void blocks() {
    stream s(gpu), t(gpu);
    tenure::pool pool(tenure::pool_options().name("raw").max_size(64u << 20), gpu);
    void *block = pool.allocate(1 << 20, 0, s);
    CHECK(block != nullptr && tenure::usable_size(block) >= 1u << 20);
    pool.record_use(block, t);
    pool.deallocate(block, s);
    CHECK(pool.stats().live_blocks == 0);
    // The pool's device decides whose current pool it becomes, and its end restores that one.
    const std::uint64_t before = tenure::pool::current(gpu).stats().serial, of_host = tenure::pool::current().stats().serial;
    {
        tenure::use_pool scope(pool);
        CHECK(tenure::pool::current(gpu).stats().serial == pool.stats().serial);
    }
    CHECK(tenure::pool::current(gpu).stats().serial == before && tenure::pool::current().stats().serial == of_host);
    s.synchronize();
    t.synchronize();
}

// Functions: arguments move to the declared device, outputs to theirs, and values of variables stay on their own (FN-2, FN-15, SV-12).
static void functions() {
    using tenure::flag;
    tenure::shared w(numbers({3}), flag::copy, tenure::shared_options().on(gpu));
    CHECK(w.device() == gpu && w.home() == device());
    device of_x, of_w;
    const auto body = [&](const array &x, const array &value) {
        of_x = x.device(), of_w = value.device();
        return std::tuple(value.clone(), x.clone());
    };
    tenure::function step(body, {tenure::in("x").on(gpu), w}, {tenure::out("before").on(device())}, {w});
    tenure::crossings what;
    const array before = step(&what, tenure::full<std::int64_t>({3}, 7));
    CHECK(of_x == gpu && of_w == gpu && before.device() == device() && w.device() == gpu);
    CHECK(what.in[0].why == tenure::why::device && what.out[0].why == tenure::why::device);
    CHECK(elements(before)[2] == 2 && elements(w.get())[2] == 7);
    tenure::function stays([&](const array &x) { return of_x = x.device(), x.copy(); },
                           {{"x", flag::raw}}, {"y"});
    CHECK(elements(stays(numbers({3})))[2] == 2 && of_x == device());
}

// The CUDA array interface and CUDAMat's matrices (CA-1, CA-10, CM-2, CM-5).
static void exchange() {
    using tenure::flag;
    array n = tenure::zeros<float>({3, 4}), d = n.to_device(gpu), f;
    int released = 0;
    {
        const auto shown = d.export_cuda_array_interface(flag::borrow | flag::export_writable);
        CHECK(shown.how() == tenure::how::aliased && shown.get().ndim == 2 && shown.get().shape[1] == 4);
        tenure::how how = tenure::how::copied;
        array again = tenure::import_cuda_array_interface(shown.get(), flag::borrow, [&] { released++; }, &how);
        CHECK(how == tenure::how::aliased && again.device() == gpu);
        const array copy = tenure::import_cuda_array_interface(shown.get(), flag::copy);
        CHECK(copy.device() == gpu && copy.is_unique());
        THROWS(tenure::ownership_error, TN_ERR_EXPORTED, d.fill(1.0f, mode::unique, stream::legacy()));
    }
    CHECK(released == 1 && d.is_unique());
    f = d.transpose();
    auto matrix = f.export_cudamat(flag::require_borrow | flag::export_writable);
    CHECK(matrix.get().size[0] == 4 && matrix.get().size[1] == 3 && matrix.get().owns_data == 0);
    const array back = tenure::import_cudamat(matrix.get(), flag::borrow);
    CHECK(back.shape() == tenure::dims({4, 3}));
    matrix.end();
    THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(d.export_cudamat(flag::require_borrow)));
}

static void without_driver() {
    CHECK(tenure::device_count(TN_CUDA) == 0);
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, stream(gpu).synchronize());
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, event(gpu).synchronize());
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, static_cast<void>(numbers({3}).to_device(gpu)));
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, static_cast<void>(options().on(gpu)));
    char byte = 0;
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, static_cast<void>(tenure::host_register(&byte, 1)));
    // On the host the constants mean "now".
    array n = numbers({3});
    const stream now = stream::current();
    n.fill(std::int64_t{4}, mode::aliased, now);
    CHECK(n.read<std::int64_t>(reading::plain, now)(2) == 4);
}

int main() {
    if (!has_gpu()) {
        without_driver();
        return finish();
    }
    streams();
    scopes();
    private_pools();
    copies();
    moves();
    guards();
    host_memory();
    blocks();
    functions();
    exchange();
    return finish();
}
