// errors.cpp - every status is an exception of the right class; destructors and moves do not throw.
#include "check.hpp"

#include <new>
#include <thread>
#include <type_traits>
#include <typeinfo>

using tenure::array;

// Destructors and moves never throw, and handles cannot be copied.
template <class T>
constexpr bool well_behaved =
    std::is_nothrow_destructible_v<T> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T> && !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(well_behaved<array> && well_behaved<tenure::weak> && well_behaved<tenure::pool> &&
              well_behaved<tenure::promise>);
static_assert(well_behaved<tenure::taken> && well_behaved<tenure::dlpack> && well_behaved<tenure::dlpack_legacy>);
static_assert(well_behaved<tenure::read_guard<double>> && well_behaved<tenure::write_guard<double>> &&
              well_behaved<tenure::read_guard<>>);
static_assert(well_behaved<tenure::chunk<float>> && well_behaved<tenure::host_export<const int>>);
static_assert(well_behaved<tenure::access<double, const float>>);
// An exception whose copy throws would end the program.
static_assert(std::is_nothrow_copy_constructible_v<tenure::usage_error> &&
              std::is_nothrow_copy_constructible_v<tenure::out_of_memory>);
static_assert(!std::is_convertible_v<array &, array> && !std::is_convertible_v<array &, tenure::taken>);
static_assert(!std::is_constructible_v<tenure::taken, const array &> &&
              std::is_constructible_v<tenure::taken, tenure::promise>);

template <class Kind>
static void is(tn_status status) {
    bool thrown = false;
    try {
        tenure::detail::raise(status, "text");
    } catch (const Kind &e) {
        thrown = e.status() == status && std::strcmp(e.what(), "text") == 0 &&
                 std::strcmp(e.name(), tn_status_name(status)) == 0 && typeid(e) == typeid(Kind);
    } catch (...) {
    }
    if (!thrown)
        std::printf("%s\n", tn_status_name(status));
    CHECK(thrown);
    // Each is a standard exception too.
    thrown = false;
    try {
        tenure::detail::raise(status, "text");
    } catch (const std::exception &e) {
        thrown = std::strcmp(e.what(), "text") == 0;
    }
    CHECK(thrown);
}

static void classes() {
    for (tn_status status : {TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND, TN_ERR_INVALID})
        is<tenure::usage_error>(status);
    for (tn_status status : {TN_ERR_COUNT, TN_ERR_DUPLICATE, TN_ERR_DTYPE, TN_ERR_LIMIT, TN_ERR_OVERFLOW, TN_ERR_SHAPE, TN_ERR_RANGE,
                             TN_ERR_LAYOUT, TN_ERR_DEVICE})
        is<tenure::argument_error>(status);
    for (tn_status status :
         {TN_ERR_DESTRUCTED, TN_ERR_GIVEN, TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED,
          TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION, TN_ERR_FOREIGN, TN_ERR_ALIASED})
        is<tenure::ownership_error>(status);
    is<tenure::copy_error>(TN_ERR_WOULD_COPY);
    is<tenure::pending_error>(TN_ERR_PENDING);
    for (tn_status status : {TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT})
        is<tenure::out_of_memory>(status);
    is<tenure::unsupported_error>(TN_ERR_UNSUPPORTED);
    is<tenure::io_error>(TN_ERR_IO);
    for (tn_status status : std::initializer_list<tn_status>{TN_ERR_FAILED, TN_ERR_DRIVER, TN_ERR_PANIC, 12345})
        is<tenure::work_error>(status);
    // A handler of ownership errors catches each kind of them.
    bool thrown = false;
    try {
        tenure::detail::raise(TN_ERR_WOULD_COPY, "text");
    } catch (const tenure::ownership_error &) {
        thrown = true;
    }
    CHECK(thrown);
}

static void memory() {
    tenure::pool small(tenure::pool_options().name("small").max_size(1 << 20));
    bool thrown = false;
    try {
        static_cast<void>(tenure::zeros<double>({1 << 20}, tenure::named("large").pool(small)));
    } catch (const std::bad_alloc &e) {
        thrown = says(e.what(), "small");
    }
    CHECK(thrown);
    thrown = false;
    try {
        static_cast<void>(tenure::zeros<double>({1 << 20}, tenure::named("large").pool(small)));
    } catch (const tenure::error &e) {
        thrown = e.status() == TN_ERR_POOL_LIMIT;
    }
    CHECK(thrown);
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, tenure::pool(tenure::pool_options(), {TN_CUDA_MANAGED, 0}));
}

// The message is that of the failure, whatever destructors did during unwinding.
static void text() {
    array a = tenure::zeros<double>({2, 3}, tenure::named("a"));
    try {
        array b = a.clone();
        auto r = b.read<double>();
        static_cast<void>(a.reshape({7}));
    } catch (const tenure::error &e) {
        static_cast<void>(tn_array_release(nullptr));
        CHECK(says(e.what(), "tn_array_reshape") && says(e.what(), "7"));
        CHECK(e.status() == TN_ERR_SHAPE);
    }
    // An exception may be read on another thread.
    std::exception_ptr kept;
    try {
        static_cast<void>(a.index(5, 0));
    } catch (...) {
        kept = std::current_exception();
    }
    std::thread([&] {
        try {
            std::rethrow_exception(kept);
        } catch (const tenure::error &e) {
            CHECK(e.status() == TN_ERR_RANGE && says(e.what(), "tn_array_index"));
        }
    }).join();
    // A destructor ignores a stale handle.
    {
        array stale = a.clone();
        CHECK(tn_array_release(stale.handle()) == TN_OK);
    }
    CHECK(tenure::version() == TN_VERSION);
    THROWS(tenure::usage_error, TN_ERR_INVALID, tenure::set_option("no such option", "1"));
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(tenure::option("no such option")));
}

int main() {
    classes();
    memory();
    text();
    return finish();
}
