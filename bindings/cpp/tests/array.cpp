// array.cpp - creation, element types, properties, views, clones, weak handles, imported memory, copies.
#include "check.hpp"

#include <array>
#include <limits>
#include <numeric>
#include <typeinfo>

using tenure::all;
using tenure::array;
using tenure::dims;
using tenure::dtype;
using tenure::none;

template <class T>
static void one_type(dtype expected, const char *name, T value) {
    static_assert(tenure::is_element<T>);
    CHECK(tenure::dtype_of<T>() == expected);
    CHECK(tenure::item_size(expected) == sizeof(T));
    CHECK(std::strcmp(tenure::name_of(expected), name) == 0);
    array a = tenure::full<T>({2, 3}, value);
    CHECK(a.dtype() == expected);
    CHECK(a.bytes() == 6 * sizeof(T));
    auto r = a.read<T>();
    for (const T &element : r)
        CHECK(element == value);
    CHECK(r(1, 2) == value);
}

// The fifteen element types, each with its C++ type.
static void types() {
    one_type<bool>(dtype::boolean, "bool", true);
    one_type<std::int8_t>(dtype::i8, "int8", -8);
    one_type<std::int16_t>(dtype::i16, "int16", -16);
    one_type<std::int32_t>(dtype::i32, "int32", -32);
    one_type<std::int64_t>(dtype::i64, "int64", -64);
    one_type<std::uint8_t>(dtype::u8, "uint8", 8);
    one_type<std::uint16_t>(dtype::u16, "uint16", 16);
    one_type<std::uint32_t>(dtype::u32, "uint32", 32);
    one_type<std::uint64_t>(dtype::u64, "uint64", 64);
    one_type<tenure::half>(dtype::f16, "float16", tenure::half{0x3c00});
    one_type<float>(dtype::f32, "float32", 1.5f);
    one_type<double>(dtype::f64, "float64", 2.5);
    one_type<tenure::bfloat16>(dtype::bf16, "bfloat16", tenure::bfloat16{0x3f80});
    one_type<std::complex<float>>(dtype::c64, "complex64", {1.0f, -1.0f});
    one_type<std::complex<double>>(dtype::c128, "complex128", {1.0, -1.0});
    // Two names of one size are one type; types that are no numbers have none.
    static_assert(tenure::dtype_of<long long>() == dtype::i64 && tenure::dtype_of<long>() == dtype::i64);
    static_assert(tenure::dtype_of<const unsigned long long>() == dtype::u64);
    static_assert(!tenure::is_element<char> && !tenure::is_element<wchar_t> && !tenure::is_element<long double>);
    static_assert(!tenure::is_element<char16_t> && !tenure::is_element<int *> && !tenure::is_element<std::byte>);
    static_assert(sizeof(tenure::half) == 2 && sizeof(tenure::bfloat16) == 2);
}

static void making() {
    array e = tenure::empty<float>({4, 5}, tenure::named("e").order(tenure::order::f));
    CHECK(e.name() == "e");
    CHECK(e.is(TN_F_CONTIGUOUS) && !e.is(TN_C_CONTIGUOUS));
    CHECK(e.strides() == (dims{4, 16}));
    array k = tenure::like(e, tenure::options().order(tenure::order::k));
    CHECK(k.strides() == e.strides() && k.shape() == e.shape() && k.dtype() == dtype::f32);
    array z = tenure::zeros(dtype::i64, {2, 2});
    CHECK(elements(z) == (std::vector<std::int64_t>{0, 0, 0, 0}));
    array scalar = tenure::full<std::int64_t>({}, 7);
    CHECK(scalar.ndim() == 0 && scalar.size() == 1);
    CHECK(scalar.read<std::int64_t>()() == 7);
    const std::vector<unsigned> lengths{3, 0};
    array nothing = tenure::zeros<double>(dims(lengths));
    CHECK(nothing.size() == 0 && nothing.read<double>().size() == 0);
    CHECK(nothing.device() == tenure::device());
    std::size_t rows = 2;
    CHECK(tenure::zeros<double>(dims::of(rows, 3)).shape() == (dims{2, 3}));
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(tenure::zeros<double>({2, -1})));
    THROWS(tenure::argument_error, TN_ERR_OVERFLOW, dims(std::vector<int>(65, 1)));
    THROWS(tenure::argument_error, TN_ERR_OVERFLOW,
           static_cast<void>(tenure::zeros<double>({std::numeric_limits<std::int64_t>::max(), 2})));
    e.set_name("other");
    CHECK(e.name() == "other");
    e.wait();
}

static void views() {
    array a = numbers({3, 4});
    CHECK(a.reshape({2, -1}).shape() == (dims{2, 6}));
    CHECK(a.ravel().shape() == dims{12});
    CHECK(elements(a.transpose()) == (std::vector<std::int64_t>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
    CHECK(a.permute({1, 0}).shape() == (dims{4, 3}));
    CHECK(elements(a.slice({{1, none}, {none, none, -2}})) == (std::vector<std::int64_t>{7, 5, 11, 9}));
    CHECK(elements(a.slice({all, {0, 1}})) == (std::vector<std::int64_t>{0, 4, 8}));
    CHECK(elements(a.index(0, -1)) == (std::vector<std::int64_t>{8, 9, 10, 11}));
    CHECK(a.expand(0).squeeze().shape() == a.shape());
    CHECK(a.expand(1).squeeze({1}).shape() == a.shape());
    array wide = a.index(0, 0).broadcast({2, 4});
    CHECK(wide.is(TN_READONLY));
    THROWS(tenure::ownership_error, TN_ERR_READONLY, static_cast<void>(wide.write<std::int64_t>()));
    CHECK(a.view_dtype(dtype::i32).shape() == (dims{3, 8}));
    auto parts = a.split(0, 2);
    CHECK(parts.size() == 2 && parts[0].shape() == (dims{2, 4}) && parts[1].shape() == (dims{1, 4}));
    auto pieces = a.chunks(1, 3);
    CHECK(pieces.size() == 2 && pieces[1].shape() == (dims{3, 1}));
    CHECK(tenure::overlap_of(parts[0], parts[1]) == tenure::overlap::none);
    CHECK(tenure::overlap_of(a, parts[1]) == tenure::overlap::some);
    CHECK(tenure::overlap_of(a, a.clone()) == tenure::overlap::exact);
    THROWS(tenure::argument_error, TN_ERR_LAYOUT, static_cast<void>(a.transpose().reshape({12})));
    THROWS(tenure::argument_error, TN_ERR_RANGE, static_cast<void>(a.index(0, 3)));
    // A view is a claim: the array sees its writes.
    a.index(0, 1).fill(std::int64_t{5});
    CHECK(elements(a.index(0, 1)) == (std::vector<std::int64_t>{5, 5, 5, 5}));
}

static void claims() {
    array a = numbers({4}, tenure::named("a"));
    CHECK(a.is_unique() && !a.why_not());
    tenure::weak w = a.weaken();
    {
        array b = a.clone();
        CHECK(!a.is_unique());
        array c = w.upgrade();
        tenure::reasons r = a.why_not();
        CHECK(r && r.has(tenure::why::shared) && !r.has(tenure::why::readonly));
        CHECK(r.holders.size() == 2 && r.holders[0].name == "a" && r.holders[0].kind == TN_HOLDER_HANDLE);
        b.fill(std::int64_t{9});
        CHECK(c.read<std::int64_t>()[3] == 9);
    }
    CHECK(a.is_unique());
    CHECK(a.why_not(dtype::f32, {4}).has(tenure::why::layout) == static_cast<bool>(a.why_not(dtype::f32, {4})));
    CHECK(!a.why_not(dtype::i64, {4}));
    array moved = std::move(a);
    CHECK(!a && moved);
    CHECK(w.try_upgrade().has_value());
    moved = array();
    CHECK(!w.try_upgrade().has_value());
    THROWS(tenure::ownership_error, TN_ERR_DESTRUCTED, static_cast<void>(w.upgrade()));
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(a.clone()));
    THROWS(tenure::usage_error, TN_ERR_NULL, a.reset());
    // Handles convert from and to C.
    tn_array *raw = numbers({2}).detach();
    array back = array::adopt(raw);
    CHECK(back.handle() == raw && back.size() == 2);
    back.reset();
    CHECK(!back);
    // Only reset reports a failing release; afterwards it still has the handle.
    array twice = numbers({2});
    CHECK(tn_array_release(twice.handle()) == TN_OK);
    THROWS(tenure::usage_error, TN_ERR_STALE, twice.reset());
    CHECK(twice);
    array &self = moved;
    moved = std::move(self);
    CHECK(!moved);
}

static void copies() {
    array a = numbers({2, 3});
    array b = a.copy();
    b.zero();
    CHECK(elements(a)[5] == 5 && elements(b)[5] == 0);
    a.copy_into(b);
    CHECK(elements(a) == elements(b));
    array f = a.transpose().copy();
    CHECK(f.is(TN_F_CONTIGUOUS));
    std::array<std::int64_t, 6> out{};
    a.copy_to_host(out.data(), out.size());
    CHECK(out[4] == 4);
    out.fill(3);
    a.copy_from_host(out.data(), out.size());
    CHECK(elements(a)[0] == 3);
    CHECK(a.to_device({}).read<std::int64_t>()(1, 1) == 3);
    THROWS(tenure::argument_error, TN_ERR_COUNT, a.copy_to_host(out.data(), 5));
    THROWS(tenure::argument_error, TN_ERR_COUNT, a.copy_from_host(out.data(), 7));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, a.fill(1.0));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(a.to_vector<float>()));
    THROWS(tenure::argument_error, TN_ERR_DEVICE, static_cast<void>(a.to_device({77, 0})));
}

// Counts live objects, so that a test sees when a container is destroyed.
struct tracked {
    std::vector<double> values;
    int *alive;
    tracked(std::vector<double> v, int *count) : values(std::move(v)), alive(count) { ++*alive; }
    tracked(tracked &&other) noexcept : values(std::move(other.values)), alive(other.alive) { ++*alive; }
    tracked &operator=(tracked &&other) noexcept {
        values = std::move(other.values);
        return *this;
    }
    ~tracked() { --*alive; }
    double *data() { return values.data(); }
    std::size_t size() const { return values.size(); }
};

static void containers() {
    std::vector<double> v(1000);
    std::iota(v.begin(), v.end(), 0.0);
    const double *where = v.data();
    array a = tenure::from(std::move(v), {10, 100});
    auto r = a.read<double>();
    CHECK(r.data() == where && r(9, 99) == 999.0);
    r.reset();
    // Taken, not borrowed: it may be overwritten in place.
    CHECK(!a.why_not());
    array b = tenure::from(std::array<std::complex<float>, 3>{});
    CHECK(b.dtype() == dtype::c64 && b.shape() == dims{3});
    array none_of_them = tenure::from(std::vector<int>());
    CHECK(none_of_them.size() == 0);
    int alive = 0;
    {
        array t = tenure::from(tracked({1, 2, 3}, &alive));
        CHECK(alive == 1);
        auto view = t.index(0, 1);
        t = array();
        CHECK(alive == 1);
        auto guard = view.read<double>();
        view = array();
        CHECK(alive == 1 && guard() == 2.0);
    }
    CHECK(alive == 0);
    // On failure the caller still has the elements.
    tracked kept({1, 2, 3}, &alive);
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(tenure::from(std::move(kept), {4})));
    CHECK(kept.values.size() == 3);
    array first = tenure::import_host(kept.data(), tenure::layout::of<double>({3}), tenure::flag::require_borrow);
    THROWS(tenure::ownership_error, TN_ERR_ALIASED, static_cast<void>(tenure::from(std::move(kept))));
    CHECK(kept.values.size() == 3 && alive == 1);
    const std::vector<float> readable{1, 2, 3, 4};
    array copy = tenure::copy_of(readable, {2, 2}, tenure::named("copy"));
    CHECK(copy.name() == "copy" && copy.read<float>()(1, 1) == 4.0f);
    CHECK(tenure::copy_of(readable).shape() == dims{4});
    THROWS(tenure::argument_error, TN_ERR_COUNT, static_cast<void>(tenure::copy_of(readable, {5})));
}

static void raw_memory() {
    std::int64_t memory[6] = {0, 1, 2, 3, 4, 5};
    tenure::how what{};
    int released = 0;
    {
        array every_other = tenure::import_host(
            memory, tenure::layout(dtype::i64, {3}).strides({16}).offset(8), tenure::flag::borrow, [&] { released++; },
            &what);
        CHECK(what == tenure::how::aliased);
        CHECK(elements(every_other) == (std::vector<std::int64_t>{1, 3, 5}));
        every_other.write<std::int64_t>()[0] = 11;
        CHECK(memory[1] == 11);
        CHECK(every_other.why_not().has(tenure::why::foreign));
        CHECK(released == 0);
    }
    CHECK(released == 1);
    array copied = tenure::import_host(
        memory, tenure::layout::of<std::int64_t>({6}), tenure::flag::copy, [&] { released++; }, &what);
    CHECK(what == tenure::how::copied && released == 2);
    array read_only = tenure::import_host(memory, tenure::layout::of<std::int64_t>({6}),
                                          tenure::flag::require_borrow | tenure::flag::import_readonly);
    THROWS(tenure::ownership_error, TN_ERR_READONLY, read_only.zero());
    // A call that fails never calls the release.
    THROWS(tenure::usage_error, TN_ERR_NULL,
           static_cast<void>(
               tenure::import_host(nullptr, tenure::layout::of<int>({6}), tenure::flag::borrow, [&] { released++; })));
    CHECK(released == 2);
    {
        array queued = tenure::import_host(memory, tenure::layout::of<std::int64_t>({1}).offset(0),
                                           tenure::flag::borrow | tenure::flag::release_queued, [&] { released++; });
    }
    CHECK(released == 2);
    CHECK(tenure::run_releases() == 1 && released == 3);
    THROWS(tenure::argument_error, TN_ERR_COUNT, tenure::layout::of<int>({2, 2}).strides({8}));
}

int main() {
    types();
    making();
    views();
    claims();
    copies();
    containers();
    raw_memory();
    return finish();
}
