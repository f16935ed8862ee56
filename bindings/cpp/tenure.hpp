/**
 * @file tenure.hpp
 * Tenure for C++17 and later: the handles of tenure.h as objects that own their handle. Header-only.
 *
 * **Handles** (`array`, `weak`, `pool`, `promise`, guards, exports) can be moved, but not copied. A copy would be a
 * hidden claim, and the number of claims decides whether bytes may be overwritten in place. `array::clone()` makes a
 * further claim, `array::copy()` makes new bytes. A moved-from handle is empty; calls on it throw `usage_error`
 * (TN_ERR_NULL).
 *
 * **Pointers** come from guards only. `read_guard<T>` gives only const access. A pointer that would outlive its guard
 * (`a.read<double>().data()`) does not compile. A write guard that an exception ends poisons its region.
 *
 * **Errors** are exceptions: all are `tenure::error`, with the status and the library's message; those about memory are
 * `std::bad_alloc` too. A function of this header that throws has changed nothing. Destructors never throw. Without exceptions
 * (-fno-exceptions) the message is printed and `std::terminate` is called.
 *
 * **Ownership** is passed by value: `void f(tenure::taken x)` is called as `f(tenure::give(std::move(a)))`, or as
 * `f(a.clone())` to keep `a`. A function that accepts arrays and promises alike enters a scope with `tenure::enter`.
 *
 * **const.** A `const array` can be read, viewed and cloned, but not written. As with a shared pointer, const applies
 * to the handle and not to the bytes: a clone can write them.
 *
 * **Threads.** As in C: any thread may call with any handle. An object of this header must not be moved, assigned or
 * destroyed by one thread while another uses it.
 *
 * One program may mix translation units of C++17 and C++20, because every class has one layout in both. So both use
 * `tenure::span`, which converts to `std::span` in C++20.
 */
#ifndef TENURE_HPP
#define TENURE_HPP

#include "tenure.h"

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "tenure.hpp: C++17 or later"
#endif

#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>
#if __cplusplus >= 202002L
#include <span>
#include <version>
#endif
#if defined(__cpp_lib_mdspan)
#include <mdspan>
#endif

/** Records this line as the site of the thread's next calls: as a statement, or with a comma as in
 *  `auto b = (TENURE_HERE, a.clone())`. */
#define TENURE_HERE (static_cast<void>(tn_here(__FILE__, static_cast<std::int32_t>(__LINE__))))

/* What clang checks while it compiles: docs/static-checks.md. Other compilers ignore it. */
#if defined(__clang__)
/** Behind a function: its result is valid as long as the object. */
#define TENURE_LIFETIMEBOUND [[clang::lifetimebound]]
/** Before the name of a class: an object that was moved from is empty, and -Wconsumed warns of its use. */
#define TENURE_CONSUMABLE [[clang::consumable(unconsumed)]]
/** Before a function: for an object that has a handle. */
#define TENURE_NEEDS_HANDLE [[clang::callable_when("unconsumed", "unknown")]]
/** Before a function: afterwards the object has a handle (unconsumed), has none (consumed), or may have one (unknown). */
#define TENURE_LEAVES(state) [[clang::set_typestate(state)]]
/** Before a constructor: whether the object may have a handle, as for TENURE_LEAVES. */
#define TENURE_MADE(state) [[clang::return_typestate(state)]]
#pragma clang diagnostic push
// What this header moves, it means to move.
#pragma clang diagnostic ignored "-Wconsumed"
#else
#define TENURE_LIFETIMEBOUND
#define TENURE_CONSUMABLE
#define TENURE_NEEDS_HANDLE
#define TENURE_LEAVES(state)
#define TENURE_MADE(state)
#endif

namespace tenure {

/* ===================================================== places ===================================================== */

/// A line of the program. Each call that opens or makes something takes one as its last parameter, whose default is the line of the call:
/// messages and reports then name it as "step.cpp:41". It stays this thread's site until the next such call, as with TENURE_HERE.
///
/// With TENURE_NO_SITES defined in all units of a program, calls record no line by themselves.
class site {
public:
    /// The line of the call.
    static constexpr site here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
        return site(file, line);
    }
    /// Another line; the text is not copied.
    constexpr site(const char *file, int line) noexcept : file_(file), line_(line) {}

    /// The path as the compiler passes it.
    constexpr const char *file() const noexcept { return file_; }
    /// Counted from 1.
    constexpr int line() const noexcept { return line_; }

private:
    const char *file_;
    int line_;
};

namespace detail {

/// Ignores a status where no exception may leave and nothing can be done, as in a destructor.
inline void ignore(tn_status) noexcept {}

/// Sets the site of this thread's next calls.
inline void record([[maybe_unused]] site place) noexcept {
#if !defined TENURE_NO_SITES
    static_cast<void>(tn_here(place.file(), place.line()));
#endif
}

} // namespace detail

/* ==================================================== statuses ==================================================== */

/// Base class of all exceptions of this header: a status and the library's message. `catch (const tenure::error &e)` catches all.
///
/// It is not derived from `std::exception`, so that `out_of_memory` can be a `std::bad_alloc`. Each class that is thrown is derived from
/// one.
class error {
public:
    virtual ~error() = default;
    /// TN_ERR_*.
    tn_status status() const noexcept { return status_; }
    /// The status's name, for example "TN_ERR_BORROWED".
    const char *name() const noexcept { return tn_status_name(status_); }
    /// The function, what was wrong, the offending values, what to do.
    virtual const char *what() const noexcept { return text_; }

protected:
    error(tn_status status, const char *text) noexcept : status_(status) {
        std::snprintf(text_, sizeof text_, "%s", text);
    }
    error(const error &) = default;
    error &operator=(const error &) = default;

private:
    tn_status status_;
    // Stored in the exception, because an error must not need memory.
    char text_[512];
};

/// An `error` that is also a standard exception.
template <class Standard>
class error_as : public error, public Standard {
public:
    /// From a status and its message.
    error_as(tn_status status, const char *text) noexcept : error(status, text) {}
    const char *what() const noexcept override { return error::what(); }
};

/// The call itself is wrong, for any array: NULL, STALE, KIND, INVALID.
class usage_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

/// An argument does not fit the array: COUNT, DUPLICATE, DTYPE, OVERFLOW, LIMIT, SHAPE, RANGE, LAYOUT, DEVICE.
class argument_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

/// The array's state or another holder prevents the call: DESTRUCTED, GIVEN, POISONED, READONLY, BORROWED_WRITE, BORROWED, EXPORTED,
/// SHARED, IN_EXPRESSION, FOREIGN, ALIASED.
class ownership_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

/// The call needs a copy, which the caller forbade: WOULD_COPY.
class copy_error : public ownership_error {
    using ownership_error::ownership_error;
};

/// Device work is not finished: PENDING.
class pending_error : public ownership_error {
    using ownership_error::ownership_error;
};

/// NO_HOST_MEMORY, NO_DEVICE_MEMORY, POOL_LIMIT; a `std::bad_alloc`.
class out_of_memory : public error_as<std::bad_alloc> {
    using error_as<std::bad_alloc>::error_as;
};

/// Not possible here: UNSUPPORTED.
class unsupported_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

/// A file: IO.
class io_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

/// The work itself failed: FAILED, DRIVER, PANIC, and statuses that newer libraries add.
class work_error : public error_as<std::exception> {
    using error_as<std::exception>::error_as;
};

namespace detail {

/// Throws the exception class of a status.
[[noreturn]] inline void raise(tn_status status, const char *text) {
#if defined(__cpp_exceptions)
    switch (status) {
    case TN_ERR_NULL:
    case TN_ERR_STALE:
    case TN_ERR_KIND:
    case TN_ERR_INVALID: throw usage_error(status, text);
    case TN_ERR_COUNT:
    case TN_ERR_DUPLICATE:
    case TN_ERR_DTYPE:
    case TN_ERR_OVERFLOW:
    case TN_ERR_LIMIT:
    case TN_ERR_SHAPE:
    case TN_ERR_RANGE:
    case TN_ERR_LAYOUT:
    case TN_ERR_DEVICE: throw argument_error(status, text);
    case TN_ERR_DESTRUCTED:
    case TN_ERR_GIVEN:
    case TN_ERR_POISONED:
    case TN_ERR_READONLY:
    case TN_ERR_BORROWED_WRITE:
    case TN_ERR_BORROWED:
    case TN_ERR_EXPORTED:
    case TN_ERR_SHARED:
    case TN_ERR_IN_EXPRESSION:
    case TN_ERR_FOREIGN:
    case TN_ERR_ALIASED: throw ownership_error(status, text);
    case TN_ERR_WOULD_COPY: throw copy_error(status, text);
    case TN_ERR_PENDING: throw pending_error(status, text);
    case TN_ERR_NO_HOST_MEMORY:
    case TN_ERR_NO_DEVICE_MEMORY:
    case TN_ERR_POOL_LIMIT: throw out_of_memory(status, text);
    case TN_ERR_UNSUPPORTED: throw unsupported_error(status, text);
    case TN_ERR_IO: throw io_error(status, text);
    default: throw work_error(status, text);
    }
#else
    std::fprintf(stderr, "tenure: %s: %s\n", tn_status_name(status), text);
    std::terminate();
#endif
}

/// Throws if the call failed.
inline void check(tn_status status) {
    if (status != TN_OK)
        raise(status, tn_last_error());
}

/// A whole text of the library; repeated if it grew between two calls.
template <class Query>
std::string text_of(Query query) {
    std::size_t length = 0;
    detail::check(query(std::size_t{0}, static_cast<char *>(nullptr), &length));
    std::string text;
    do {
        text.resize(length + 1);
        detail::check(query(text.size(), text.data(), &length));
    } while (length >= text.size());
    text.resize(length);
    return text;
}

/// Throws an error that this header detects itself.
template <class... Values>
[[noreturn]] void refuse(tn_status status, const char *format, Values... values) {
    char text[512];
    std::snprintf(text, sizeof text, format, values...);
    raise(status, text);
}

} // namespace detail

/* ===================================================== flags ====================================================== */

/// Enables the operators of flags for an enumeration.
template <class E>
inline constexpr bool is_flags = false;

/// Union of flags.
template <class E, class = std::enable_if_t<is_flags<E>>>
constexpr E operator|(E a, E b) noexcept {
    return static_cast<E>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// Intersection of flags.
template <class E, class = std::enable_if_t<is_flags<E>>>
constexpr E operator&(E a, E b) noexcept {
    return static_cast<E>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}

/// Whether any of these flags is set.
template <class E, class = std::enable_if_t<is_flags<E>>>
constexpr bool has(E flags, E wanted) noexcept {
    return (static_cast<std::uint32_t>(flags) & static_cast<std::uint32_t>(wanted)) != 0;
}

/// How a write treats other holders of the bytes.
enum class mode : tn_write_mode {
    aliased = TN_WRITE_ALIASED, ///< they see the change; the default
    unique = TN_WRITE_UNIQUE,   ///< there are none, else SHARED and the like
    cow = TN_WRITE_COW,         ///< if there are, this handle moves to a copy
    discard = TN_WRITE_DISCARD, ///< with any mode: the old contents are not needed; heals poison
    wait = TN_WAIT,             ///< with any mode: wait for the array's device work
};
template <>
inline constexpr bool is_flags<mode> = true;

/// How bytes are read.
enum class reading : tn_guard_flags {
    plain = 0,          ///< no writes through the library meanwhile
    frozen = TN_FROZEN, ///< no changes at all: excludes shared views
    wait = TN_WAIT,     ///< wait for the array's device work
};
template <>
inline constexpr bool is_flags<reading> = true;

/// How bytes are imported and exported.
enum class flag : tn_borrow_flags {
    copy = 0,                                         ///< nothing aliases after the call
    borrow = TN_BORROW,                               ///< an alias where possible
    require_borrow = TN_REQUIRE_BORROW,               ///< an alias, or an exception
    raw = TN_RAW,                                     ///< shared variable, function: on its own device, without a transfer
    may_overwrite = TN_MAY_OVERWRITE,                 ///< import, input: an alias whose contents may be destroyed
    take = TN_TAKE_OWNERSHIP,                                   ///< import, input: the library owns the memory afterwards
    strict = TN_STRICT,                               ///< shared variable, input: neither a transfer nor packing
    reuse = TN_REUSE,                                 ///< output, update: the body finds a buffer of an earlier call
    release_queued = TN_RELEASE_QUEUED,               ///< import: the release callback runs in `run_releases` only
    import_readonly = TN_IMPORT_READONLY,             ///< import: the array cannot be written
    import_writable = TN_IMPORT_WRITABLE,             ///< import of a legacy DLPack struct: its producer permits writes
    export_writable = TN_EXPORT_WRITABLE,             ///< export: both sides may write
    export_exclusive = TN_EXPORT_EXCLUSIVE,           ///< export, with writable: no other reads or writes
    export_consumer_reads = TN_EXPORT_CONSUMER_READS, ///< export: the caller guarantees that the consumer only reads
    export_nonnegative = TN_EXPORT_NONNEGATIVE,       ///< export: negative strides are copied
    export_c_contiguous = TN_EXPORT_C_CONTIGUOUS,     ///< export: what is not C-contiguous is copied, in C order
    unordered = TN_UNORDERED,                         ///< no ordering with streams
    cudamat_transposed = TN_CUDAMAT_TRANSPOSED,       ///< export to CUDAMat: a C-contiguous array crosses as its transpose
    ipc_private = TN_IPC_PRIVATE,                     ///< export to another process: memory that has nothing else
    ipc_writable = TN_IPC_WRITABLE,                   ///< export to another process, import there: the importer may write
    ipc_trusted = TN_IPC_TRUSTED,                     ///< import from another process: memory without a seal is accepted
    ipc_give = TN_IPC_GIVE,                           ///< export to another process: an offer; import there: takes the array
    wait = TN_WAIT,                                   ///< wait for the array's device work
};
template <>
inline constexpr bool is_flags<flag> = true;

/// Why an array's bytes may not be overwritten in place, or were copied.
enum class why : tn_why {
    none = 0,                             ///< no reason
    given = TN_WHY_GIVEN,                 ///< the handle is given
    shared = TN_WHY_SHARED,               ///< other handles or promises claim the store
    in_expression = TN_WHY_IN_EXPRESSION, ///< a lazy expression claims it
    exported = TN_WHY_EXPORTED,           ///< it has an export
    borrowed = TN_WHY_BORROWED,           ///< a guard overlaps
    readonly = TN_WHY_READONLY,           ///< handle or store cannot be written
    foreign = TN_WHY_FOREIGN,             ///< the bytes are borrowed from an import's owner
    poisoned = TN_WHY_POISONED,           ///< a failed writer left them undefined
    layout = TN_WHY_LAYOUT,               ///< the layout does not fit
    device = TN_WHY_DEVICE,               ///< another device
    waste = TN_WHY_WASTE,                 ///< more than twice the bytes that are needed
    not_aliasable = TN_WHY_NOT_ALIASABLE, ///< elements share bytes, or the range is not in one store
};
template <>
inline constexpr bool is_flags<why> = true;

/// As text: "shared, exported"; "nothing" for none.
inline std::string to_string(why bits) {
    static constexpr const char *words[] = {
        "given",    "shared",   "in an expression", "exported",         "borrowed",         "read-only",
        "foreign",  "poisoned", "another layout",   "on another device", "more than is needed", "not aliasable",
    };
    std::string text;
    for (std::uint32_t bit = 0; bit < 32; bit++) {
        if ((static_cast<std::uint32_t>(bits) >> bit & 1u) == 0)
            continue;
        text += text.empty() ? "" : ", ";
        text += bit < std::size(words) ? words[bit] : "a reason of a newer library";
    }
    return text.empty() ? "nothing" : text;
}

/// Whether bytes were aliased or copied.
enum class how : tn_how { aliased = TN_ALIASED, copied = TN_COPIED };

/// The order of elements.
enum class order : tn_order {
    c = TN_ORDER_C, ///< row-major
    f = TN_ORDER_F, ///< column-major
    a = TN_ORDER_A, ///< F if F- and not C-contiguous, else C
    k = TN_ORDER_K, ///< `like` only: that of the prototype's strides
};

/// The form of a matrix: what expressions take an array for.
enum class form : tn_form {
    full = TN_FORM_FULL,           ///< all elements
    diagonal = TN_FORM_DIAGONAL,   ///< a vector as the diagonal of a matrix that is 0 elsewhere
    lower = TN_FORM_LOWER,         ///< a square matrix whose elements above the diagonal count as 0 and are not read
    upper = TN_FORM_UPPER,         ///< a square matrix whose elements below the diagonal count as 0 and are not read
    matrix = TN_FORM_MATRIX,       ///< all elements, of an array with two axes: the form of a `tenure::matrix`
    of_handle = TN_FORM_OF_HANDLE, ///< `lazy` and `matrix` only: the form that the array has
};

/// How two arrays overlap.
enum class overlap : tn_overlap {
    none = TN_OVERLAP_NONE,       ///< no byte in common
    exact = TN_OVERLAP_EXACT,     ///< identical elements in the same order
    some = TN_OVERLAP_SOME,       ///< bytes in common
    unknown = TN_OVERLAP_UNKNOWN, ///< not decided; counts as overlap
};

/* ================================================= element types ================================================== */

/// An IEEE half precision number, as its bits: for storage and exchange.
struct half {
    std::uint16_t bits; ///< sign, 5 bits of exponent, 10 of fraction
};
/// Equal bits.
constexpr bool operator==(half a, half b) noexcept { return a.bits == b.bits; }
/// Different bits.
constexpr bool operator!=(half a, half b) noexcept { return a.bits != b.bits; }

/// A bfloat16 number, as its bits, which are the upper ones of a float.
struct bfloat16 {
    std::uint16_t bits; ///< sign, 8 bits of exponent, 7 of fraction
};
/// Equal bits.
constexpr bool operator==(bfloat16 a, bfloat16 b) noexcept { return a.bits == b.bits; }
/// Different bits.
constexpr bool operator!=(bfloat16 a, bfloat16 b) noexcept { return a.bits != b.bits; }

/// The element types, named by kind and bits.
enum class dtype : tn_dtype {
    boolean = TN_BOOL, ///< `bool`: one byte, 0 or 1
    i8 = TN_I8,        ///< `std::int8_t`
    i16 = TN_I16,      ///< `std::int16_t`
    i32 = TN_I32,      ///< `std::int32_t`
    i64 = TN_I64,      ///< `std::int64_t`
    u8 = TN_U8,        ///< `std::uint8_t`
    u16 = TN_U16,      ///< `std::uint16_t`
    u32 = TN_U32,      ///< `std::uint32_t`
    u64 = TN_U64,      ///< `std::uint64_t`
    f16 = TN_F16,      ///< `half`
    f32 = TN_F32,      ///< `float`
    f64 = TN_F64,      ///< `double`
    bf16 = TN_BF16,    ///< `bfloat16`
    c64 = TN_C64,      ///< `std::complex<float>`
    c128 = TN_C128,    ///< `std::complex<double>`
};

namespace detail {

/// The type's code, or 0: `char`, wide characters and `long double` are no element types.
template <class T>
constexpr tn_dtype code_of() noexcept {
    if constexpr (std::is_same_v<T, bool>)
        return TN_BOOL;
    else if constexpr (std::is_same_v<T, half>)
        return TN_F16;
    else if constexpr (std::is_same_v<T, bfloat16>)
        return TN_BF16;
    else if constexpr (std::is_same_v<T, float>)
        return TN_F32;
    else if constexpr (std::is_same_v<T, double>)
        return TN_F64;
    else if constexpr (std::is_same_v<T, std::complex<float>>)
        return TN_C64;
    else if constexpr (std::is_same_v<T, std::complex<double>>)
        return TN_C128;
    else if constexpr (std::is_same_v<T, signed char> || std::is_same_v<T, short> || std::is_same_v<T, int> ||
                       std::is_same_v<T, long> || std::is_same_v<T, long long>)
        return TN_DTYPE(TN_CODE_INT, static_cast<tn_dtype>(8 * sizeof(T)));
    else if constexpr (std::is_same_v<T, unsigned char> || std::is_same_v<T, unsigned short> ||
                       std::is_same_v<T, unsigned int> || std::is_same_v<T, unsigned long> ||
                       std::is_same_v<T, unsigned long long>)
        return TN_DTYPE(TN_CODE_UINT, static_cast<tn_dtype>(8 * sizeof(T)));
    else
        return 0;
}

} // namespace detail

/// Whether T is an element type.
template <class T>
inline constexpr bool is_element = detail::code_of<std::remove_cv_t<T>>() != 0;

/// The element type of a C++ type: bool, the integers except `char`, half, bfloat16, float, double, and std::complex of the latter two.
template <class T>
constexpr dtype dtype_of() noexcept {
    static_assert(is_element<T>, "tenure: this C++ type is no element type; see tenure::dtype_of");
    return static_cast<dtype>(detail::code_of<std::remove_cv_t<T>>());
}

/// Bytes of one element.
constexpr std::size_t item_size(dtype type) noexcept { return ((static_cast<tn_dtype>(type) >> 8) & 0xffu) / 8u; }

/// The type's name as in NumPy: "float64".
inline const char *name_of(dtype type) noexcept {
    switch (type) {
    case dtype::boolean: return "bool";
    case dtype::i8: return "int8";
    case dtype::i16: return "int16";
    case dtype::i32: return "int32";
    case dtype::i64: return "int64";
    case dtype::u8: return "uint8";
    case dtype::u16: return "uint16";
    case dtype::u32: return "uint32";
    case dtype::u64: return "uint64";
    case dtype::f16: return "float16";
    case dtype::f32: return "float32";
    case dtype::f64: return "float64";
    case dtype::bf16: return "bfloat16";
    case dtype::c64: return "complex64";
    case dtype::c128: return "complex128";
    }
    return "?";
}

/* ============================================= spans, shapes, devices ============================================= */

/// A range of consecutive elements, not owned. Converts to `std::span` in C++20.
template <class T>
class span {
public:
    using element_type = T;                 ///< T with its const
    using value_type = std::remove_cv_t<T>; ///< T without const
    using size_type = std::size_t;          ///< type of sizes
    using iterator = T *;                   ///< type of iterators

    /// An empty span.
    constexpr span() noexcept = default;
    /// `size` elements from `data` on.
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /// Makes a span of const elements.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
    constexpr span(const span<U> &other) noexcept : data_(other.data()), size_(other.size()) {}

    /// The first element.
    constexpr T *data() const noexcept { return data_; }
    /// Number of elements.
    constexpr std::size_t size() const noexcept { return size_; }
    /// Size in bytes.
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    /// Whether it has no elements.
    constexpr bool empty() const noexcept { return size_ == 0; }
    /// For range-for and algorithms.
    constexpr T *begin() const noexcept { return data_; }
    /// One past the last.
    constexpr T *end() const noexcept { return data_ + size_; }
    /// An element; `index` is checked by `assert` only.
    constexpr T &operator[](std::size_t index) const noexcept { return assert(index < size_), data_[index]; }
    /// A part: `count` elements from `start` on, checked by `assert` only.
    constexpr span subspan(std::size_t start, std::size_t count) const noexcept {
        return assert(start <= size_ && count <= size_ - start), span(data_ + start, count);
    }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/// A shape or a list of strides: up to 64 numbers, stored in the object. `{2, 3}` makes one from constants, `dims::of(n, m)` from any
/// integers.
class dims {
public:
    /// No axes.
    dims() noexcept : size_(0) {}
    /// From these numbers.
    dims(std::initializer_list<std::int64_t> values) : dims(values.begin(), values.size()) {}
    /// From `count` numbers at `values`.
    dims(const std::int64_t *values, std::size_t count) : size_(check(count)) {
        for (std::size_t axis = 0; axis < count; axis++)
            values_[axis] = values[axis];
    }
    /// The numbers of a container of integers.
    template <class C, class = std::enable_if_t<
                           std::is_integral_v<std::decay_t<decltype(*std::begin(std::declval<const C &>()))>>>>
    explicit dims(const C &values) : size_(0) {
        for (auto value : values) {
            check(size_ + 1);
            values_[size_++] = static_cast<std::int64_t>(value);
        }
    }
    dims(const dims &other) noexcept { *this = other; }
    dims &operator=(const dims &other) noexcept {
        size_ = other.size_;
        for (std::size_t axis = 0; axis < size_; axis++)
            values_[axis] = other.values_[axis];
        return *this;
    }
    /// From integers of any types: `dims::of(v.size(), 3)`.
    template <class... Index>
    static dims of(Index... values) {
        static_assert((std::is_integral_v<Index> && ...), "tenure::dims: lengths are integers");
        return dims{static_cast<std::int64_t>(values)...};
    }

    /// Number of axes.
    std::size_t size() const noexcept { return size_; }
    /// Number of axes, in C's type.
    std::int32_t ndim() const noexcept { return static_cast<std::int32_t>(size_); }
    /// Pointer to the first number.
    const std::int64_t *data() const noexcept { return values_; }
    /// For range-for and algorithms.
    const std::int64_t *begin() const noexcept { return values_; }
    /// One past the last.
    const std::int64_t *end() const noexcept { return values_ + size_; }
    /// The number of an axis; `assert` checks the index.
    std::int64_t operator[](std::size_t axis) const noexcept { return assert(axis < size_), values_[axis]; }
    /// The number of an axis, writable.
    std::int64_t &operator[](std::size_t axis) noexcept { return assert(axis < size_), values_[axis]; }
    /// The product of all numbers: a shape's number of elements. 1 for no axes.
    std::int64_t count() const noexcept {
        std::int64_t product = 1;
        for (std::int64_t length : *this)
            product *= length;
        return product;
    }
    /// Equal numbers.
    friend bool operator==(const dims &a, const dims &b) noexcept {
        if (a.size_ != b.size_)
            return false;
        for (std::size_t axis = 0; axis < a.size_; axis++)
            if (a.values_[axis] != b.values_[axis])
                return false;
        return true;
    }
    /// Different numbers.
    friend bool operator!=(const dims &a, const dims &b) noexcept { return !(a == b); }

private:
    static std::size_t check(std::size_t count) {
        if (count > TN_MAX_NDIM)
            detail::refuse(TN_ERR_OVERFLOW, "tenure::dims: %zu axes; at most %d", count,
                           static_cast<int>(TN_MAX_NDIM));
        return count;
    }

    std::size_t size_;
    // Only the first size_ are read.
    std::int64_t values_[TN_MAX_NDIM];
};

/// An absent bound of a `range`.
inline constexpr std::int64_t none = TN_NONE;

/// Indices of one axis, as in Python: negative ones count from the end, and bounds outside the axis are clamped.
struct range {
    /// The whole axis.
    constexpr range() noexcept = default;
    /// From `first` to before `last` in steps of `by`; each may be `none`.
    constexpr range(std::int64_t first, std::int64_t last, std::int64_t by = none) noexcept
        : start(first), stop(last), step(by) {}

    std::int64_t start = none; ///< first index
    std::int64_t stop = none;  ///< one past the last
    std::int64_t step = none;  ///< not 0; none is 1
};

/// The whole axis, for `array::slice`.
inline constexpr range all{};

/// A device: where bytes are.
struct device {
    tn_device_type type = TN_CPU; ///< TN_CPU, TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED
    std::int32_t id = 0;          ///< its number

    /// The host.
    constexpr device() noexcept = default;
    /// Any device.
    constexpr device(tn_device_type kind, std::int32_t number) noexcept : type(kind), id(number) {}
    /// From C.
    constexpr device(tn_device other) noexcept : type(other.type), id(other.id) {}
    /// A GPU.
    static constexpr device cuda(std::int32_t number = 0) noexcept { return {TN_CUDA, number}; }
    /// Page-locked host memory.
    static constexpr device pinned() noexcept { return {TN_CUDA_HOST, 0}; }
    /// Managed memory, which migrates between the host and a GPU.
    static constexpr device managed(std::int32_t number = 0) noexcept { return {TN_CUDA_MANAGED, number}; }
    /// To C.
    constexpr operator tn_device() const noexcept { return tn_device{type, id}; }
    /// Equal devices.
    friend constexpr bool operator==(device a, device b) noexcept { return a.type == b.type && a.id == b.id; }
    /// Different devices.
    friend constexpr bool operator!=(device a, device b) noexcept { return !(a == b); }
};

/// Number of devices of a type.
inline std::size_t device_count(tn_device_type type) {
    std::size_t count = 0;
    detail::check(tn_device_count(type, &count));
    return count;
}

/// Properties of a device; with TN_QUERY_MEMORY also its free memory.
inline tn_device_info device_query(device which = {}, tn_query_flags flags = 0) {
    tn_device_info info;
    info.size = sizeof info;
    detail::check(tn_device_query(which, flags, &info));
    return info;
}

/// Waits for all work on a device.
inline void device_synchronize(device which) { detail::check(tn_device_synchronize(which)); }

/* =============================================== streams and events =============================================== */

// A namespace of its own, because a user's call of a function without its namespace also searches those of base classes. A class without
// data of its own has a constructor with a body, because it would be an aggregate in C++17.
namespace detail::bases {

/// The base of a class `Self` that owns a handle of C, which `Release` gives back. It can be moved, not copied, and is one pointer large.
template <class Self, class C, auto Release>
class owner {
public:
    /// Takes ownership of a C handle.
    static Self adopt(C *handle) noexcept {
        Self out;
        out.handle_ = handle;
        return out;
    }
    /// The handle, not released.
    C *handle() const noexcept { return handle_; }
    /// Returns the handle, which the caller then releases.
    [[nodiscard]] C *detach() noexcept { return std::exchange(handle_, nullptr); }
    /// Whether it has a handle.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

protected:
    owner() noexcept = default;
    owner(owner &&other) noexcept : handle_(other.detach()) {}
    owner &operator=(owner &&other) noexcept {
        if (this != &other) {
            drop();
            handle_ = other.detach();
        }
        return *this;
    }
    ~owner() { drop(); }

    void drop() noexcept {
        if (handle_ != nullptr)
            static_cast<void>(Release(detach()));
    }

    C *handle_ = nullptr;
};

/// The base of options `Self`: a struct of C, whose parts its calls set. Each call returns the object.
template <class Self, class C>
class settings {
public:
    /// For C calls; valid until this object changes, and as long as what it refers to.
    C get() const noexcept {
        C c = c_;
        c.size = sizeof c;
        return c;
    }

protected:
    template <class V>
    Self &set(V &part, std::common_type_t<V> value) {
        part = std::move(value);
        return static_cast<Self &>(*this);
    }

    C c_{};
};

/// The base of options with a name.
template <class Self, class C>
class named_settings : public settings<Self, C> {
public:
    /// The name in messages and reports: at most 63 bytes of UTF-8. That of an array is cut there.
    Self &name(std::string text) { return this->set(name_, std::move(text)); }
    /// For C calls; valid until this object changes.
    C get() const noexcept {
        C c = settings<Self, C>::get();
        c.name = name_.empty() ? nullptr : name_.c_str();
        return c;
    }

private:
    std::string name_;
};

} // namespace detail::bases

namespace detail {

/// The object that owns the handle that `call(arguments.., &handle)` outputs.
template <class Owner, class Call, class... A>
Owner output(Call call, A... arguments) {
    decltype(std::declval<Owner>().handle()) out = nullptr;
    check(call(arguments..., &out));
    return Owner::adopt(out);
}
/// As above, for a call with a site.
template <class Owner, class Call, class... A>
Owner made(site place, Call call, A... arguments) {
    record(place);
    return output<Owner>(call, arguments...);
}

/// The struct that describes a handle.
template <class Handle, class Info>
Info queried(tn_status (*query)(Handle *, Info *), Handle *handle) {
    Info out;
    out.size = sizeof out;
    check(query(handle, &out));
    return out;
}

/// The shape in such a struct.
template <class Info>
dims shape_of(const Info &is) {
    return dims(is.shape, static_cast<std::size_t>(is.ndim));
}

/// The constants are not released.
inline tn_status release_stream(tn_stream *stream) noexcept {
    return reinterpret_cast<std::uintptr_t>(stream) > 3 ? tn_stream_release(stream) : TN_OK;
}

} // namespace detail

/// A stream. As an argument, an empty one, `stream()`, means "done on return", or in a guard "the host, now".
///
/// It can be moved, not copied, as every handle. Destroying it does not wait; its work still runs.
class stream : public detail::bases::owner<stream, tn_stream, detail::release_stream> {
public:
    /// No stream: the host, now.
    stream() noexcept = default;
    /// A new stream. Lower priorities run sooner; `blocking`: it and the legacy stream wait for one another.
    explicit stream(device where, std::int32_t priority = 0, bool blocking = false,
                    site place = site::here()) {
        detail::record(place);
        detail::check(tn_stream_create(where, blocking ? TN_STREAM_BLOCKING : 0u, priority, &handle_));
    }
    /// Another library's CUstream, which that library still destroys; 0 and 1 are the legacy stream, 2 the per-thread one.
    static stream of_native(device where, std::uint64_t native, site place = site::here()) {
        return detail::made<stream>(place, tn_stream_import, where, native);
    }
    /// The thread's current stream of a device.
    static stream current(device where, site place = site::here()) {
        return detail::made<stream>(place, tn_stream_current, where);
    }
    /// The legacy stream of the call's device.
    static stream legacy() noexcept { return adopt(TN_STREAM_LEGACY); }
    /// The calling thread's default stream of the call's device.
    static stream per_thread() noexcept { return adopt(TN_STREAM_PER_THREAD); }
    /// The thread's current stream of the call's device.
    static stream current() noexcept { return adopt(TN_STREAM_CURRENT); }

    /// The CUstream; never 0.
    std::uint64_t native() const {
        std::uint64_t out = 0;
        detail::check(tn_stream_native(handle_, &out));
        return out;
    }
    /// Waits for its work and throws that work's error, if any.
    void synchronize() const { detail::check(tn_stream_synchronize(handle_)); }
};

/// A point in a stream. An event that was never recorded counts as passed.
class event : public detail::bases::owner<event, tn_event, tn_event_release> {
public:
    /// No event.
    event() noexcept = default;
    /// An event of a device; with `timing` it can measure times.
    explicit event(device where, bool timing = false, site place = site::here()) {
        detail::record(place);
        detail::check(tn_event_create(where, timing ? TN_EVENT_TIMING : 0u, &handle_));
    }

    /// Records the end of the stream's current work.
    void record(const stream &on) { detail::check(tn_event_record(handle_, on.handle())); }
    /// Makes the stream wait for it; the host does not wait.
    void wait(const stream &on) const { detail::check(tn_stream_wait_event(on.handle(), handle_)); }
    /// Makes the host wait for it.
    void synchronize() const { detail::check(tn_event_synchronize(handle_)); }
    /// Whether it has passed. Never waits.
    bool passed() const {
        std::int32_t out = 0;
        detail::check(tn_event_query(handle_, &out));
        return out != 0;
    }
    /// The time from another event to this one; both have passed and were made with timing.
    std::chrono::nanoseconds since(const event &start) const {
        std::int64_t out = 0;
        detail::check(tn_event_elapsed(start.handle_, handle_, &out));
        return std::chrono::nanoseconds(out);
    }

private:
    using owner::adopt, owner::detach; // an event stays in its object
};

/// Makes a stream the thread's current one of its device until the end of the C++ scope.
class [[nodiscard]] stream_scope {
public:
    /// `synchronize`: the end of the scope waits for the stream.
    [[nodiscard]] stream_scope(device where, const stream &wanted, bool synchronize = false,
                               site place = site::here()) {
        detail::record(place);
        detail::check(tn_stream_enter(where, wanted.handle(), synchronize ? TN_AUTO_SYNCHRONIZE : 0u, &handle_));
    }
    ~stream_scope() {
        if (handle_ != nullptr)
            detail::ignore(tn_stream_leave(handle_));
    }
    stream_scope(const stream_scope &) = delete;
    stream_scope &operator=(const stream_scope &) = delete;

    /// Ends it now, and throws errors that the destructor would ignore, such as those of the stream's work.
    void leave() { detail::check(tn_stream_leave(std::exchange(handle_, nullptr))); }

private:
    tn_stream_scope *handle_ = nullptr;
};

/* ==================================================== library ===================================================== */

/// The version of the loaded library: major << 16 | minor << 8 | patch. `TN_VERSION` is that of the header.
inline std::uint32_t version() noexcept { return tn_version(); }

/// Sets an option of the whole process: "strict", "abort_on_misuse", "pool.cpu.max_size" and the like.
inline void set_option(const char *name, const char *value) { detail::check(tn_option_set(name, value)); }

/// The value of an option.
inline std::string option(const char *name) {
    return detail::text_of([&](std::size_t capacity, char *text, std::size_t *length) {
        return tn_option_get(name, capacity, text, length);
    });
}

/// Runs the release callbacks that `flag::release_queued` deferred. Returns how many ran.
inline std::size_t run_releases() {
    std::size_t count = 0;
    detail::check(tn_run_releases(&count));
    return count;
}

/* ==================================================== holders ===================================================== */

/// A holder of a store, or something that was not released.
struct holder {
    tn_holder_kind kind;   ///< TN_HOLDER_*
    tenure::device device; ///< where its bytes are
    std::uint64_t id;      ///< the handle's bits; for a raw block its address
    std::uint64_t bytes;   ///< of its store or block
    std::uint64_t thread;  ///< the system's number of the thread that made it
    std::uint64_t time_ns; ///< when it was made, ns since the epoch; 0 if not recorded
    std::string name;      ///< of the array, pool, ..
    std::string site;      ///< the site at which it was made: "step.cpp:41"
};

/// As text: "read guard on 'K' at step.cpp:41".
inline std::string to_string(const holder &who) {
    static constexpr const char *words[] = {
        "holder",      "handle",           "promise",          "expression", "shared variable", "read-only export",
        "shared view", "exclusive export", "read guard",       "write guard", "block",          "pool",
        "stream",      "event",            "scope",            "weak handle", "function",       "mirror",
        "queued release", "module",
    };
    const bool known = who.kind > 0 && static_cast<std::size_t>(who.kind) < std::size(words);
    std::string text = words[known ? who.kind : 0];
    if (!who.name.empty())
        text += (who.kind >= TN_HOLDER_PROMISE && who.kind <= TN_HOLDER_GUARD_WRITE ? " on '" : " '") + who.name + "'";
    return who.site.empty() ? text : text + " at " + who.site;
}

/// The reasons why bytes cannot be overwritten in place, and the holders. False if there are none.
struct reasons {
    why bits;                    ///< none: no reason
    std::vector<holder> holders; ///< all holders of the store except the queried array

    /// Whether there is a reason.
    explicit operator bool() const noexcept { return bits != why::none; }
    /// Whether one of these reasons applies.
    bool has(why wanted) const noexcept { return tenure::has(bits, wanted); }
    /// As text: "shared, borrowed: handle 'row'; read guard on 'K' at step.cpp:41".
    std::string text() const {
        std::string text = to_string(bits);
        for (const holder &who : holders)
            text += (&who == holders.data() ? ": " : "; ") + to_string(who);
        return text;
    }
};

/// Copies by one function from one site.
struct copy_site {
    std::string function; ///< the C function
    std::string site;     ///< TENURE_HERE; "" if none
    why reason;           ///< the reason for the copy
    bool forced;          ///< an alias was requested
    std::uint64_t count;  ///< number of copies
    std::uint64_t bytes;  ///< bytes in all
};

namespace detail {

inline holder to_holder(const tn_holder &from) {
    return {from.kind, from.device, from.id, from.bytes, from.thread, from.time_ns, from.name, from.site};
}

/// A whole list of the library; repeated if it grew between two calls.
template <class Item, class Query>
std::vector<Item> listed(Query query) {
    std::vector<Item> items;
    std::size_t count = 0;
    detail::check(query(std::size_t{0}, static_cast<Item *>(nullptr), &count));
    while (count > items.size()) {
        items.resize(count);
        detail::check(query(items.size(), items.data(), &count));
    }
    items.resize(count);
    return items;
}

inline std::vector<holder> to_holders(const std::vector<tn_holder> &from) {
    std::vector<holder> holders;
    holders.reserve(from.size());
    for (const tn_holder &one : from)
        holders.push_back(to_holder(one));
    return holders;
}

} // namespace detail

/// Everything in the process that is not released yet.
inline std::vector<holder> leaks() {
    return detail::to_holders(detail::listed<tn_holder>(
        [](std::size_t capacity, tn_holder *items, std::size_t *count) {
            return tn_leaks(sizeof(tn_holder), capacity, items, count);
        }));
}

/// All copies so far, by function, site and reason, most bytes first.
inline std::vector<copy_site> copies() {
    auto found = detail::listed<tn_copy_site>([](std::size_t capacity, tn_copy_site *items, std::size_t *count) {
        return tn_copies_query(sizeof(tn_copy_site), capacity, items, count);
    });
    std::vector<copy_site> sites;
    sites.reserve(found.size());
    for (const tn_copy_site &one : found)
        sites.push_back({one.function, one.site, static_cast<why>(one.why), one.forced != 0, one.count, one.bytes});
    return sites;
}

/// All pools, stores, holders and copies of the process as JSON; docs/report.schema.json describes it.
inline std::string report() {
    return detail::text_of([](std::size_t capacity, char *text, std::size_t *length) {
        return tn_report_json(0, capacity, text, length);
    });
}

/// Saves a page for a browser that shows the report: a map of the memory, the arrays with their holders, copies and pools. It is one file
/// that loads nothing. An old file is replaced in one step.
inline void save_report(const std::string &path) { detail::check(tn_report_html(0, path.c_str())); }

/// The page of `save_report` as a text.
inline std::string report_html() {
    return detail::text_of([](std::size_t capacity, char *text, std::size_t *length) {
        return tn_report_html_text(0, capacity, text, length);
    });
}

/// The holders of the bytes at any address except NULL; the bytes are not read.
inline std::vector<holder> holders_of(const void *address, std::size_t bytes = 1) {
    return detail::to_holders(
        detail::listed<tn_holder>([&](std::size_t capacity, tn_holder *items, std::size_t *count) {
            return tn_holders_of(address, bytes, sizeof(tn_holder), capacity, nullptr, items, count);
        }));
}

/// What a log of events records.
enum class event_kind : tn_log_kinds {
    allocate = TN_LOG_ALLOCATE,     ///< a pool allocated a block
    free = TN_LOG_FREE,             ///< a block was freed
    copy = TN_LOG_COPY,             ///< an import, an export or a write copied
    transfer = TN_LOG_TRANSFER,     ///< bytes were copied between arrays, or between memory and an array
    exported = TN_LOG_EXPORT,       ///< an export began or ended
    give = TN_LOG_GIVE,             ///< an array was given
    take = TN_LOG_TAKE,             ///< a given array was taken
    borrow = TN_LOG_BORROW,         ///< a guard began or ended
    reallocate = TN_LOG_REALLOCATE, ///< a raw block changed its size
    imported = TN_LOG_IMPORT,       ///< an import of bytes began or ended
    name = TN_LOG_NAME,             ///< an array got a name
    everything = TN_LOG_ALL,        ///< all of them
};
template <>
inline constexpr bool is_flags<event_kind> = true;

/// While it lives, the process records events: what happens to the memory of all pools and arrays, with times, threads and sites. A process
/// has one log at a time, so a second one throws DUPLICATE.
class [[nodiscard]] event_log {
public:
    /// Begins a log in memory, which keeps the newest events for `save`. `capacity`: the most bytes that it may have; 0: 16 MiB.
    [[nodiscard]] explicit event_log(event_kind kinds = event_kind::everything, std::uint64_t capacity = 0)
        : runs_(begin(nullptr, kinds, capacity)) {}
    /// Begins a log in a file, which is good however the process ends. An old file is replaced. `capacity` 0: 1 GiB.
    [[nodiscard]] explicit event_log(const std::string &path, event_kind kinds = event_kind::everything, std::uint64_t capacity = 0)
        : runs_(begin(path.c_str(), kinds, capacity)) {}
    event_log(event_log &&other) noexcept : runs_(std::exchange(other.runs_, false)) {}
    event_log &operator=(event_log &&other) noexcept {
        if (this != &other) {
            drop();
            runs_ = std::exchange(other.runs_, false);
        }
        return *this;
    }
    event_log(const event_log &) = delete;
    event_log &operator=(const event_log &) = delete;
    ~event_log() { drop(); }

    /// Ends it now. A second call, and one of a log that was moved from, does nothing.
    void stop() {
        if (std::exchange(runs_, false))
            detail::check(tn_log_stop());
    }
    /// Whether it was not stopped.
    explicit operator bool() const noexcept { return runs_; }
    /// Saves a log in memory, until the next one begins. It goes on. An old file is replaced in one step.
    void save(const std::string &path) const { detail::check(tn_log_save(path.c_str())); }
    /// How many events it has.
    tn_log_stats stats() const {
        tn_log_stats out;
        out.size = sizeof out;
        detail::check(tn_log_query(&out));
        return out;
    }

private:
    static bool begin(const char *path, event_kind kinds, std::uint64_t capacity) {
        tn_log_options options{};
        options.size = sizeof options;
        options.kinds = static_cast<tn_log_kinds>(kinds);
        options.path = path;
        options.capacity = capacity;
        detail::check(tn_log_start(&options));
        return true;
    }
    void drop() noexcept {
        if (std::exchange(runs_, false))
            detail::ignore(tn_log_stop());
    }

    bool runs_;
};

/// While it lives, an unrequested copy on this thread throws `copy_error`. It can be nested, and is destroyed on the same thread.
class [[nodiscard]] no_copies {
public:
    /// Starts now.
    [[nodiscard]] no_copies() { detail::check(tn_copies_forbid(1)); }
    ~no_copies() { detail::ignore(tn_copies_forbid(0)); }
    no_copies(const no_copies &) = delete;
    no_copies &operator=(const no_copies &) = delete;
};

/* ===================================================== pools ====================================================== */

/// Options of a pool. Each call returns the object, so calls can be chained: `pool_options().name("step").max_size(1 << 30)`. The default
/// name is "pool-N".
class pool_options : public detail::bases::named_settings<pool_options, tn_pool_options> {
public:
    /// All defaults.
    pool_options() noexcept {}
    /// Bytes committed at creation.
    pool_options &initial_size(std::uint64_t bytes) noexcept { return set(c_.initial_size, bytes); }
    /// Upper bound of one growth step, bytes.
    pool_options &max_growth(std::uint64_t bytes) noexcept { return set(c_.max_growth, bytes); }
    /// Upper bound of committed bytes; beyond it `out_of_memory` with POOL_LIMIT.
    pool_options &max_size(std::uint64_t bytes) noexcept { return set(c_.max_size, bytes); }
    /// At least 1.
    pool_options &growth_factor(double factor) noexcept { return set(c_.growth_factor, factor); }
    /// Power of two, 8 to 4 MiB.
    pool_options &alignment(std::uint64_t bytes) noexcept { return set(c_.alignment, bytes); }
    /// Bytes of free blocks that a thread may cache; TN_POOL_NONE: none.
    pool_options &thread_cache_size(std::uint64_t bytes) noexcept { return set(c_.thread_cache_size, bytes); }
    /// Cached bytes above this are returned to the device; TN_POOL_NONE: never.
    pool_options &release_threshold(std::uint64_t bytes) noexcept { return set(c_.release_threshold, bytes); }
    /// Free memory that was unused for this time is returned; TN_POOL_NONE: never.
    pool_options &release_delay_ms(std::uint64_t ms) noexcept { return set(c_.release_delay_ms, ms); }
    /// TN_HUGE_*.
    pool_options &huge_pages(tn_huge_pages how) noexcept { return set(c_.huge_pages, how); }
    /// Prefers a NUMA node, counted from 0.
    pool_options &numa_node(std::int32_t node) noexcept { return set(c_.numa_node, node + 1); }
    /// TN_HOST_* or TN_MANAGED_*.
    pool_options &host_flags(tn_host_flags bits) noexcept { return set(c_.host_flags, bits); }
    /// CUDA: TN_BACKEND_*.
    pool_options &backend(tn_backend how) noexcept { return set(c_.backend, how); }
    /// CUDA: a bit for each other device that may use the memory too.
    pool_options &peers(std::uint64_t bits) noexcept { return set(c_.peers, bits); }
    /// TN_POOL_*.
    pool_options &flags(tn_pool_flags bits) noexcept { return set(c_.flags, bits); }
};

/// A handle on a pool. Its arrays and blocks may outlive it.
class pool : public detail::bases::owner<pool, tn_pool, tn_pool_release> {
public:
    /// No pool; as an argument, the thread's current one.
    pool() noexcept = default;
    /// A new pool.
    explicit pool(const pool_options &options, device where = {}, site place = site::here()) {
        detail::record(place);
        tn_pool_options c = options.get();
        detail::check(tn_pool_create(where, &c, &handle_));
    }
    /// A pool whose memory comes from callbacks. They must not throw. They and their context must stay valid until `upstream.release` is
    /// called.
    static pool over(const tn_upstream &upstream, const pool_options &options = {}, device where = {},
                     site place = site::here()) {
        tn_upstream from = upstream;
        from.size = sizeof from;
        const tn_pool_options c = options.get();
        return detail::made<pool>(place, tn_pool_import, where, &from, &c);
    }
    /// Makes this the process-wide pool of its device, also after the first use: see `tn_pool_set_default`. `pool::process_default()` before,
    /// and its `enable()` later, undo it.
    void enable() const {
        if (handle_ == nullptr)
            detail::refuse(TN_ERR_NULL, "%s", "tenure::pool::enable: the pool is empty; it was moved from or never made");
        detail::check(tn_pool_set_default(handle_));
    }
    /// The process-wide pool of a device.
    static pool process_default(device where = {}, site place = site::here()) {
        return detail::made<pool>(place, tn_pool_default, where);
    }
    /// The thread's current pool of a device.
    static pool current(device where = {}, site place = site::here()) {
        return detail::made<pool>(place, tn_pool_current, where);
    }
    /// The pool whose live block contains an address.
    static pool of(const void *address, site place = site::here()) {
        return detail::made<pool>(place, tn_pool_of, address);
    }

    /// Allocates a raw block for `deallocate`; alignment 0 is the pool's. `on`: this stream may use device memory at once; without it, the
    /// current stream. The host may use host memory at once.
    [[nodiscard]] void *allocate(std::size_t bytes, std::size_t alignment = 0, const stream &on = {},
                                 site place = site::here()) {
        detail::record(place);
        void *out = nullptr;
        detail::check(tn_pool_allocate(handle_, bytes, alignment, on.handle(), &out));
        return out;
    }
    /// Allocates a raw block of zeros.
    [[nodiscard]] void *allocate_zeroed(std::size_t bytes, std::size_t alignment = 0, const stream &on = {},
                                        site place = site::here()) {
        detail::record(place);
        void *out = nullptr;
        detail::check(tn_pool_allocate_zeroed(handle_, bytes, alignment, on.handle(), &out));
        return out;
    }
    /// Resizes a raw block, which may move; contents and alignment are kept.
    [[nodiscard]] void *reallocate(void *block, std::size_t bytes, site place = site::here()) {
        detail::record(place);
        void *out = nullptr;
        detail::check(tn_pool_reallocate(handle_, block, bytes, nullptr, &out));
        return out;
    }
    /// Frees a raw block; throws for an invalid address, which is not read.
    void deallocate(void *block, const stream &on = {}) {
        detail::check(tn_pool_deallocate(handle_, block, on.handle()));
    }
    /// Work of that stream uses the block too: its memory is reused only after that work.
    void record_use(void *block, const stream &on) { detail::check(tn_pool_record_use(handle_, block, on.handle())); }
    /// Statistics of the pool at one moment.
    tn_pool_stats stats() const { return detail::queried(tn_pool_query, handle_); }
    /// Resets the peaks to the current values.
    void reset_peak() { detail::check(tn_pool_reset_peak(handle_)); }
    /// Returns cached memory beyond `keep_bytes` to the device. Returns the number of bytes.
    std::size_t trim(std::size_t keep_bytes = 0) {
        std::size_t released = 0;
        detail::check(tn_pool_trim(handle_, keep_bytes, &released));
        return released;
    }
    /// At its limit, the pool writes arrays that nobody uses to nameless files in this folder, see `tn_pool_set_spill`. NULL: no longer.
    /// `max_bytes` in files, 0: no bound; arrays of at least `min_array_bytes`.
    void set_spill(const char *folder, std::uint64_t max_bytes = 0, std::uint64_t min_array_bytes = 0) {
        const tn_spill_options options{sizeof options, folder, max_bytes, min_array_bytes};
        detail::check(tn_pool_set_spill(handle_, folder == nullptr ? nullptr : &options));
    }
    /// Spills arrays that nobody uses until so many bytes of memory are free. Returns the number of bytes.
    std::size_t spill(std::size_t bytes = SIZE_MAX) {
        std::size_t spilled = 0;
        detail::check(tn_pool_spill(handle_, bytes, &spilled));
        return spilled;
    }
    /// Statistics of all block sizes in use: large blocks first, with block_bytes 0, then by size.
    std::vector<tn_pool_class_stats> classes() const {
        return detail::listed<tn_pool_class_stats>(
            [&](std::size_t capacity, tn_pool_class_stats *items, std::size_t *count) {
                return tn_pool_query_classes(handle_, sizeof(tn_pool_class_stats), capacity, items, count);
            });
    }
    /// Statistics of the pool's clients: arrays, raw blocks, and each library that allocates from it.
    std::vector<tn_pool_client> clients() const {
        return detail::listed<tn_pool_client>([&](std::size_t capacity, tn_pool_client *items, std::size_t *count) {
            return tn_pool_query_clients(handle_, sizeof(tn_pool_client), capacity, items, count);
        });
    }
};

/// Until the end of the C++ scope, another pool serves a pool's requests for memory on a stream: see `tn_pool_private_begin`. For captures of
/// graphs, whose blocks must not go to others while a graph lives.
class [[nodiscard]] private_pool_scope {
public:
    /// `served`, `to` and `on` must live until the scope ends.
    [[nodiscard]] private_pool_scope(const pool &served, const pool &to, const stream &on, site place = site::here())
        : pool_(&served), stream_(&on) {
        detail::record(place);
        detail::check(tn_pool_private_begin(served.handle(), to.handle(), on.handle()));
    }
    ~private_pool_scope() {
        if (pool_ != nullptr)
            detail::ignore(tn_pool_private_end(pool_->handle(), stream_->handle()));
    }
    private_pool_scope(const private_pool_scope &) = delete;
    private_pool_scope &operator=(const private_pool_scope &) = delete;

    /// Ends it now, and throws errors that the destructor would ignore.
    void leave() { detail::check(tn_pool_private_end(std::exchange(pool_, nullptr)->handle(), stream_->handle())); }

private:
    const pool *pool_;
    const stream *stream_;
};

/// Usable bytes of a live block.
inline std::size_t usable_size(const void *block) {
    std::size_t bytes = 0;
    detail::check(tn_pool_usable_size(block, &bytes));
    return bytes;
}

/// While it lives, `called(needed_bytes, reason)` runs when a pool is out of memory, before the request fails; reason is TN_PRESSURE_*. It
/// returns the number of bytes that it freed, and may run on any thread. An exception counts as 0.
class [[nodiscard]] pressure_callback {
public:
    /// `called` lives as long as this object, and until its running calls end.
    template <class F, class = std::enable_if_t<std::is_invocable_r_v<std::size_t, F &, std::size_t, tn_pressure>>>
    [[nodiscard]] pressure_callback(const pool &of, F called) : pool_(of.handle()) {
        using call = holder<F>;
        auto *made = new call{std::move(called)};
        tn_status status = tn_pool_on_pressure(pool_, &call::run, made, &call::let_go);
        if (status != TN_OK) {
            delete made;
            detail::check(status);
        }
        callback_ = &call::run;
        context_ = made;
    }
    ~pressure_callback() { detail::ignore(tn_pool_off_pressure(pool_, callback_, context_)); }
    pressure_callback(const pressure_callback &) = delete;
    pressure_callback &operator=(const pressure_callback &) = delete;

private:
    template <class F>
    struct holder {
        F called;
        static std::size_t run(void *context, std::size_t needed, tn_pressure reason) noexcept {
#if defined __cpp_exceptions
            try {
                return static_cast<holder *>(context)->called(needed, reason);
            } catch (...) {
                return 0;
            }
#else
            return static_cast<holder *>(context)->called(needed, reason);
#endif
        }
        static void let_go(void *context) noexcept { delete static_cast<holder *>(context); }
    };

    /// Not owned; a stale one means that the registration ended with the pool.
    tn_pool *pool_;
    tn_pressure_callback callback_ = nullptr;
    void *context_ = nullptr;
};

/// While it lives, a pool is the thread's current one of its device. Its end restores the previous one. Destroyed on the same thread.
class [[nodiscard]] use_pool {
public:
    /// Makes `wanted` the current pool of its device; throws NULL for an empty one.
    [[nodiscard]] explicit use_pool(const pool &wanted, site place = site::here())
        : before_(pool::current(device_of(wanted), place)) {
        detail::check(tn_pool_set_current(wanted.handle()));
    }
    ~use_pool() { detail::ignore(tn_pool_set_current(before_.handle())); }
    use_pool(const use_pool &) = delete;
    use_pool &operator=(const use_pool &) = delete;

private:
    static device device_of(const pool &wanted) {
        if (!wanted)
            detail::refuse(TN_ERR_NULL, "%s", "tenure::use_pool: the pool is empty; it was moved from or never made");
        return device(wanted.stats().device);
    }
    pool before_;
};

/// Options of a new array: `options().name("K").order(order::f).pool(p)`.
class options : public detail::bases::named_settings<options, tn_array_options> {
public:
    /// The order of the elements; the default is C.
    options &order(tenure::order wanted) noexcept { return set(c_.order, static_cast<tn_order>(wanted)); }
    /// The pool of the bytes; the default is the thread's current pool. Not owned.
    options &pool(const tenure::pool &from) noexcept { return set(pool_, from.handle()); }
    /// Allocates from the thread's current pool of a device instead of the host's.
    options &on(device where, site place = site::here()) {
        owned_ = std::make_shared<tenure::pool>(tenure::pool::current(where, place));
        return pool(*owned_);
    }
    /// The stream that uses the array first; the default is the current one. Not owned.
    options &stream(const tenure::stream &first) noexcept { return set(c_.stream, first.handle()); }
    /// The pool, or NULL.
    tn_pool *from() const noexcept { return pool_; }

private:
    tn_pool *pool_ = nullptr;
    std::shared_ptr<tenure::pool> owned_;
};

/// `options` with a name.
inline options named(std::string text) { return options().name(std::move(text)); }

/* ===================================================== views ====================================================== */

namespace detail {

/// A forward iterator over the elements of a layout in C order, for any strides. Holds nothing; valid as long as its view.
template <class T>
class element_iterator {
    using raw = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;

public:
    using value_type = std::remove_cv_t<T>;
    using difference_type = std::ptrdiff_t;
    using reference = T &;
    using pointer = T *;
    using iterator_category = std::forward_iterator_tag;

    element_iterator() noexcept = default;
    /// At element `position`, in C order, of an array that has elements.
    element_iterator(T *data, const std::int64_t *shape, const std::int64_t *strides, std::int32_t ndim,
                     std::int64_t position) noexcept
        : data_(data), shape_(shape), strides_(strides), ndim_(ndim), position_(position) {
        enter_row();
    }

    reference operator*() const noexcept { return *at_; }
    pointer operator->() const noexcept { return at_; }
    element_iterator &operator++() noexcept {
        position_++;
        if (--left_ > 0)
            at_ = plus(at_, step_);
        else
            enter_row();
        return *this;
    }
    element_iterator operator++(int) noexcept {
        element_iterator before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const element_iterator &a, const element_iterator &b) noexcept {
        return a.position_ == b.position_;
    }
    friend bool operator!=(const element_iterator &a, const element_iterator &b) noexcept { return !(a == b); }

private:
    static T *plus(T *at, std::int64_t bytes) noexcept {
        return reinterpret_cast<T *>(reinterpret_cast<raw *>(at) + bytes);
    }
    // Computes the address, and how many elements follow on the last axis, with this one. Behind the last element the address is that of
    // an element, which nobody reads.
    void enter_row() noexcept {
        std::int64_t rest = position_, offset = 0;
        for (std::int32_t axis = ndim_; axis-- > 0; rest /= shape_[axis])
            offset += rest % shape_[axis] * strides_[axis];
        at_ = plus(data_, offset);
        step_ = ndim_ > 0 ? strides_[ndim_ - 1] : 0;
        left_ = ndim_ > 0 ? shape_[ndim_ - 1] - position_ % shape_[ndim_ - 1] : 1;
    }

    T *data_ = nullptr;
    const std::int64_t *shape_ = nullptr;
    const std::int64_t *strides_ = nullptr;
    std::int32_t ndim_ = 0;
    std::int64_t position_ = 0;
    T *at_ = nullptr;
    std::int64_t step_ = 0, left_ = 0;
};

/// The elements of a view, for range-for and algorithms.
template <class T>
class element_range {
public:
    element_range(element_iterator<T> first, element_iterator<T> last) noexcept : first_(first), last_(last) {}
    /// The first element in C order.
    element_iterator<T> begin() const noexcept { return first_; }
    /// One past the last.
    element_iterator<T> end() const noexcept { return last_; }

private:
    element_iterator<T> first_, last_;
};

} // namespace detail

/// A pointer to elements with their layout, from a guard. Holds nothing; valid until its guard ends.
///
/// `view<const T>` reads, `view<T>` reads and writes, `view<void>` has only address and layout. Pass it by value.
template <class T>
class view {
    using raw = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;

public:
    using element_type = T;                 ///< T with its const
    using value_type = std::remove_cv_t<T>; ///< T without const
    /// `T &`.
    using reference = std::add_lvalue_reference_t<T>;

    /// An empty view.
    view() noexcept = default;
    /// From C's struct.
    explicit view(const tn_view_info &info) noexcept
        : data_(static_cast<T *>(info.data)), shape_(info.shape), strides_(info.strides), ndim_(info.ndim) {
        count();
    }
    /// Makes a view of const elements.
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
    view(const view<U> &other) noexcept
        : data_(other.data()), shape_(other.shape().data()), strides_(other.strides().data()), ndim_(other.ndim()),
          size_(other.size()) {}

    /// Element (0, .., 0); NULL if there is none.
    T *data() const noexcept { return data_; }
    /// Number of elements.
    std::int64_t size() const noexcept { return size_; }
    /// Number of axes.
    std::int32_t ndim() const noexcept { return ndim_; }
    /// Lengths in elements.
    tenure::span<const std::int64_t> shape() const noexcept { return {shape_, static_cast<std::size_t>(ndim_)}; }
    /// Strides in bytes, signed.
    tenure::span<const std::int64_t> strides() const noexcept { return {strides_, static_cast<std::size_t>(ndim_)}; }
    /// Length of one axis.
    std::int64_t extent(std::int32_t axis) const noexcept { return shape()[static_cast<std::size_t>(axis)]; }

    /// An element; throws COUNT for a wrong number of indices, and `assert` checks each index.
    template <class... Index>
    reference operator()(Index... indices) const {
        check_count(sizeof...(Index));
        assert(in_range(indices...));
        return element(indices...);
    }
    /// An element of one axis; throws COUNT if there are more axes or none, and `assert` checks the index.
    reference operator[](std::int64_t index) const { return (*this)(index); }
    /// An element; throws COUNT for a wrong number of indices, RANGE for an index outside.
    template <class... Index>
    reference at(Index... indices) const {
        check_count(sizeof...(Index));
        if (!in_range(indices...)) {
            const std::int64_t given[] = {static_cast<std::int64_t>(indices)..., 0};
            std::int32_t axis = 0;
            while (given[axis] >= 0 && given[axis] < shape_[axis])
                axis++;
            detail::refuse(TN_ERR_RANGE, "tenure::view::at: index %lld on axis %d of length %lld",
                           static_cast<long long>(given[axis]), axis,
                           static_cast<long long>(shape_[axis]));
        }
        return element(indices...);
    }

    /// One index of the first axis: a view with one axis less, which needs no guard of its own. Throws COUNT if there is no axis, RANGE for
    /// an index outside.
    view row(std::int64_t index) const {
        if (ndim_ == 0)
            detail::refuse(TN_ERR_COUNT, "%s", "tenure::view::row: there is no axis");
        if (index < 0 || index >= shape_[0])
            detail::refuse(TN_ERR_RANGE, "tenure::view::row: index %lld on axis 0 of length %lld",
                           static_cast<long long>(index), static_cast<long long>(shape_[0]));
        view out;
        out.data_ = data_ == nullptr ? nullptr : moved(index * strides_[0]);
        out.shape_ = shape_ + 1;
        out.strides_ = strides_ + 1;
        out.ndim_ = ndim_ - 1;
        out.count();
        return out;
    }
    /// All elements in C order, for range-for, whatever the strides are. `span` and `begin` are faster where the elements are contiguous.
    detail::element_range<T> elements() const noexcept {
        static_assert(is_element<T>,
                      "tenure::view: bytes without a type cannot be walked; ask for read<T>() or write<T>()");
        using iterator = detail::element_iterator<T>;
        if (size_ == 0)
            return {iterator(), iterator()};
        return {iterator(data_, shape_, strides_, ndim_, 0), iterator(data_, shape_, strides_, ndim_, size_)};
    }

    /// Whether the elements are contiguous in C order.
    bool is_contiguous() const noexcept {
        static_assert(is_element<T>,
                      "tenure::view: bytes without a type cannot be walked; ask for read<T>() or write<T>()");
        std::int64_t expected = sizeof(T);
        if (size_ == 0)
            return true;
        for (std::int32_t axis = ndim_; axis-- > 0;) {
            if (shape_[axis] != 1 && strides_[axis] != expected)
                return false;
            expected *= shape_[axis];
        }
        return true;
    }
    /// All elements in C order; throws LAYOUT if they are not contiguous.
    tenure::span<T> span() const {
        if (!is_contiguous())
            detail::refuse(TN_ERR_LAYOUT,
                           "tenure::view::span: %d axes are not C-contiguous; use elements(), or copy the array first",
                           static_cast<int>(ndim_));
        return {data_, static_cast<std::size_t>(size_)};
    }
    /// For range-for over C-contiguous elements; throws LAYOUT for others.
    T *begin() const { return span().begin(); }
    /// One past the last.
    T *end() const { return span().end(); }

protected:
    /// A wrong number of indices would reach bytes of other arrays, so it is checked without `assert` too. Compilers move the check out
    /// of loops.
    void check_count(std::size_t indices) const {
        if (indices != static_cast<std::size_t>(ndim_))
            detail::refuse(TN_ERR_COUNT, "tenure::view: %zu indices for %d axes", indices, static_cast<int>(ndim_));
    }
    void count() noexcept {
        size_ = 1;
        for (std::int32_t axis = 0; axis < ndim_; axis++)
            size_ *= shape_[axis];
    }
    template <class... Index>
    bool in_range(Index... indices) const noexcept {
        static_assert((std::is_integral_v<Index> && ...), "tenure::view: indices are integers");
        std::size_t axis = 0;
        if (sizeof...(Index) != static_cast<std::size_t>(ndim_))
            return false;
        // An index of a wide unsigned type that does not fit becomes negative, and so is out of range.
        auto inside = [&](std::int64_t index) { return index >= 0 && index < shape_[axis++]; };
        static_cast<void>(inside);
        return (inside(static_cast<std::int64_t>(indices)) && ...);
    }
    template <class... Index>
    reference element(Index... indices) const noexcept {
        static_assert(is_element<T>,
                      "tenure::view: bytes without a type have no elements; ask for read<T>() or write<T>()");
        std::int64_t offset = 0;
        std::size_t axis = 0;
        ((offset += static_cast<std::int64_t>(indices) * strides_[axis++]), ...);
        static_cast<void>(axis);
        return *moved(offset);
    }
    /// The address of element (0, .., 0) plus bytes.
    T *moved(std::int64_t bytes) const noexcept {
        return reinterpret_cast<T *>(reinterpret_cast<raw *>(data_) + bytes);
    }

    T *data_ = nullptr;
    const std::int64_t *shape_ = nullptr;
    const std::int64_t *strides_ = nullptr;
    std::int32_t ndim_ = 0;
    std::int64_t size_ = 0;
};

/* ===================================================== guards ===================================================== */

namespace detail {

/// The end of a borrow by a destructor. A write borrow that ends by an exception poisons its region, because the write is incomplete.
struct borrow_end {
    tn_stream *on = nullptr; // the stream that uses the bytes; not owned
    int exceptions = 0;

    void operator()(tn_borrow *handle) const noexcept {
        // Readers ignore the flag.
        ignore(tn_borrow_end(handle, std::uncaught_exceptions() > exceptions ? TN_END_FAILED : 0u, on));
    }
};

/// An open borrow.
class borrowed {
public:
    borrowed() noexcept = default;
    explicit borrowed(tn_borrow *handle, tn_stream *on = nullptr) noexcept
        : handle_(handle, {on, std::uncaught_exceptions()}) {}

    tn_borrow *handle() const noexcept { return handle_.get(); }
    void end(tn_end_flags flags) {
        check(tn_borrow_end(handle(), flags, handle_.get_deleter().on));
        static_cast<void>(handle_.release());
    }
    /// Only exceptions of the calling thread that are thrown from now on poison.
    void watch_exceptions() noexcept { handle_.get_deleter().exceptions = std::uncaught_exceptions(); }

private:
    std::unique_ptr<tn_borrow, borrow_end> handle_;
};

/// A view with the borrow that keeps it valid. Calls on a temporary that would leave a dangling pointer are deleted.
template <class T>
class guard : public view<T> {
    using base = view<T>;

public:
    guard() noexcept = default;
    guard(guard &&other) noexcept : base(other), borrow_(std::move(other.borrow_)) { other.forget(); }
    guard &operator=(guard &&other) noexcept {
        if (this != &other) {
            borrow_ = std::move(other.borrow_);
            static_cast<base &>(*this) = other;
            other.forget();
        }
        return *this;
    }
    guard(const guard &) = delete;
    guard &operator=(const guard &) = delete;
    ~guard() = default;

    T *data() const & noexcept TENURE_LIFETIMEBOUND { return base::data(); }
    T *data() const && = delete; // the guard ends here: name it first
    tenure::span<T> span() const & TENURE_LIFETIMEBOUND { return base::span(); }
    tenure::span<T> span() const && = delete; // the guard ends here: name it first
    tenure::span<const std::int64_t> shape() const & noexcept TENURE_LIFETIMEBOUND { return base::shape(); }
    tenure::span<const std::int64_t> shape() const && = delete; // the guard ends here: name it first
    tenure::span<const std::int64_t> strides() const & noexcept TENURE_LIFETIMEBOUND { return base::strides(); }
    tenure::span<const std::int64_t> strides() const && = delete; // the guard ends here: name it first
    T *begin() const & TENURE_LIFETIMEBOUND { return base::begin(); }
    T *begin() const && = delete; // the guard ends here: name it first
    T *end() const & TENURE_LIFETIMEBOUND { return base::end(); }
    T *end() const && = delete; // the guard ends here: name it first
    base row(std::int64_t index) const & { return base::row(index); }
    base row(std::int64_t index) const && = delete; // the guard ends here: name it first
    element_range<T> elements() const & noexcept { return base::elements(); }
    element_range<T> elements() const && = delete; // the guard ends here: name it first

    /// The borrow, not released.
    tn_borrow *handle() const noexcept { return borrow_.handle(); }
    /// Whether it is open.
    explicit operator bool() const noexcept { return borrow_.handle() != nullptr; }
    /// Its bytes: address, address on the device, length.
    tn_borrow_info info() const { return detail::queried(tn_borrow_query, borrow_.handle()); }
    /// Ends it now. If that fails, it throws and the borrow stays open.
    void reset() {
        borrow_.end(0);
        forget();
    }

protected:
    guard(const tn_view_info &info, borrowed &&borrow) noexcept : base(info), borrow_(std::move(borrow)) {}
    void forget() noexcept { static_cast<base &>(*this) = base(); }
    void end_failed() {
        borrow_.end(TN_END_FAILED);
        forget();
    }

private:
    borrowed borrow_;
};

} // namespace detail

#if defined(__cpp_lib_mdspan)
/// A `std::mdspan` over the elements of a view or of a named guard, `mdspan_of<2>(r)`, where the compiler has it (C++23). Throws COUNT if
/// there are not `Rank` axes, and LAYOUT for a stride that is negative, 0 or no multiple of an element's size. Valid until the guard ends.
template <std::size_t Rank, class T>
std::mdspan<T, std::dextents<std::int64_t, Rank>, std::layout_stride> mdspan_of(const view<T> &elements) {
    static_assert(is_element<T>,
                  "tenure::mdspan_of: bytes without a type have no elements; ask for read<T>() or write<T>()");
    if (elements.ndim() != static_cast<std::int32_t>(Rank))
        detail::refuse(TN_ERR_COUNT, "tenure::mdspan_of<%zu>: the view has %d axes", Rank,
                       static_cast<int>(elements.ndim()));
    constexpr auto element = static_cast<std::int64_t>(sizeof(T));
    std::array<std::int64_t, Rank> lengths{}, steps{};
    for (std::size_t axis = 0; axis < Rank; axis++) {
        const std::int64_t stride = elements.strides()[axis];
        lengths[axis] = elements.shape()[axis];
        // The stride of an axis of one element is not used.
        steps[axis] = lengths[axis] > 1 ? stride / element : 1;
        if (lengths[axis] > 1 && (stride <= 0 || stride % element != 0))
            detail::refuse(TN_ERR_LAYOUT,
                           "tenure::mdspan_of: stride %lld of axis %zu is not a positive multiple of %lld bytes; index "
                           "the view, or copy the array first",
                           static_cast<long long>(stride), axis, static_cast<long long>(element));
    }
    using extents = std::dextents<std::int64_t, Rank>;
    return {elements.data(), std::layout_stride::mapping<extents>(extents(lengths), steps)};
}
/// A guard that ends here: does not compile, name it first.
template <std::size_t Rank, class T>
void mdspan_of(detail::guard<T> &&ends_here) = delete;
#endif

class array;
class mirror;

/// An open guard for reading: until it ends, the library excludes writes to the bytes. It gives only const access.
template <class T = void>
class [[nodiscard]] read_guard : public detail::guard<const T> {
public:
    /// No guard.
    read_guard() noexcept = default;

private:
    using detail::guard<const T>::guard;
    friend class array;
    friend class mirror;
};

/// An open guard for writing: until it ends, the library excludes other reads and writes of the bytes.
///
/// If an exception that was thrown after its construction ends it, it poisons its region. Poisoned bytes cannot be read until they are
/// overwritten.
template <class T = void>
class [[nodiscard]] write_guard : public detail::guard<T> {
public:
    /// No guard.
    write_guard() noexcept = default;
    /// Ends it now and marks its region as undefined.
    void fail() { this->end_failed(); }

private:
    using detail::guard<T>::guard;
    friend class array;
    friend class mirror;
};

/// Bytes exported for code without Tenure, in place or as a copy. Its destructor releases the export.
template <class T = void>
class [[nodiscard]] host_export : public detail::guard<T> {
public:
    /// No export.
    host_export() noexcept = default;
    /// Whether the bytes are aliased or copied.
    tenure::how how() const noexcept { return how_; }

private:
    host_export(const tn_view_info &info, detail::borrowed &&borrow, tenure::how what) noexcept
        : detail::guard<T>(info, std::move(borrow)), how_(what) {}
    friend class array;

    tenure::how how_ = tenure::how::aliased;
};

/// A description of an array for a library whose format has no release: the struct, and the guard that keeps the bytes. Its destructor ends
/// the export.
template <class Struct>
class [[nodiscard]] struct_export {
public:
    /// No export.
    struct_export() noexcept = default;
    /// The struct; its pointers are valid while the export is open.
    const Struct &get() const noexcept { return struct_; }
    /// Whether the bytes are aliased or copied.
    tenure::how how() const noexcept { return how_; }
    /// Ends the export now.
    void end() { borrow_.end(0); }

private:
    struct_export(const Struct &is, detail::borrowed &&borrow, tenure::how what) noexcept
        : struct_(is), borrow_(std::move(borrow)), how_(what) {}
    friend class array;

    Struct struct_{};
    detail::borrowed borrow_;
    tenure::how how_ = tenure::how::aliased;
};

/// An array exported to other processes of this machine: what travels, and the guard. Its destructor closes the file descriptor and ends the
/// export. Importers keep the bytes; those on a GPU only as long as this process lives.
class [[nodiscard]] ipc_export {
public:
    /// No export.
    ipc_export() noexcept = default;
    ipc_export(ipc_export &&other) noexcept { take(other); }
    ipc_export &operator=(ipc_export &&other) noexcept {
        if (this != &other) {
            close();
            take(other);
        }
        return *this;
    }
    ipc_export(const ipc_export &) = delete;
    ipc_export &operator=(const ipc_export &) = delete;
    ~ipc_export() { close(); }

    /// Plain data for `import_ipc` in the other process.
    span<const unsigned char> descriptor() const & noexcept { return {bytes_.data(), bytes_.size()}; }
    span<const unsigned char> descriptor() const && = delete; // the bytes end here: name the export first
    /// The descriptor of the memory, for SCM_RIGHTS. The object closes it.
    int fd() const noexcept { return fd_; }
    /// Whether the bytes are aliased or copied.
    tenure::how how() const noexcept { return how_; }
    /// Ends the export now. The handle of an array that was offered is then destructed if a process took it. If this throws, the export stays.
    void end() {
        borrow_.end(0);
        close();
    }

private:
    friend class array;
    void take(ipc_export &other) noexcept {
        bytes_ = std::move(other.bytes_);
        borrow_ = std::move(other.borrow_);
        how_ = other.how_;
        fd_ = std::exchange(other.fd_, -1);
    }
    void close() noexcept {
        if (fd_ >= 0)
            static_cast<void>(::close(std::exchange(fd_, -1)));
    }

    std::vector<unsigned char> bytes_;
    detail::borrowed borrow_;
    tenure::how how_ = tenure::how::aliased;
    int fd_ = -1;
};

/// A part from `array::split_write`, with a write guard of its own for a thread of its own, whose function moves it into a local variable
/// or calls `run`.
template <class T>
class [[nodiscard]] chunk : public view<T> {
public:
    chunk(chunk &&other) noexcept : view<T>(other) { take(other); }
    chunk &operator=(chunk &&other) noexcept {
        if (this != &other) {
            static_cast<view<T> &>(*this) = other;
            take(other);
        }
        return *this;
    }
    chunk(const chunk &) = delete;
    chunk &operator=(const chunk &) = delete;
    ~chunk() = default;

    /// First index along the split axis.
    std::int64_t start() const noexcept { return start_; }
    /// Number of indices along the split axis.
    std::int64_t length() const noexcept { return length_; }
    /// The borrow, not released.
    tn_borrow *handle() const noexcept { return borrow_.handle(); }
    /// Ends it now.
    void reset() { end(0); }
    /// Ends it now and marks its part as undefined.
    void fail() { end(TN_END_FAILED); }
    /// Calls `work(part)`, ends the guard, and returns what `work` returned. If `work` throws, the part is poisoned. `work` may end the guard
    /// earlier. This object is empty afterwards.
    ///
    /// For the function of a thread. A guard among the captures of a lambda ends when the lambda is destroyed: `std::packaged_task` and
    /// `std::async` keep it past the call, and catch what it throws. So that guard would miss the exception of the function, and could see
    /// an unrelated one later.
    template <class F>
    std::invoke_result_t<F, chunk &> run(F &&work) {
        chunk part = std::move(*this);
        return std::forward<F>(work)(part);
    }
    /// One past the last element, as of `view`.
    using view<T>::end;

private:
    friend class array;
    chunk(const tn_part &part, const tn_array_info &info, std::size_t axis) noexcept
        : borrow_(part.guard), start_(part.start), length_(part.length) {
        lengths_ = detail::shape_of(info);
        steps_ = dims(info.strides, static_cast<std::size_t>(info.ndim));
        lengths_[axis] = part.length;
        this->data_ = static_cast<T *>(part.data);
        this->ndim_ = info.ndim;
        point();
        this->count();
    }
    void end(tn_end_flags flags) {
        borrow_.end(flags);
        static_cast<view<T> &>(*this) = view<T>();
    }
    // The layout is stored in the object, and moves with it.
    void point() noexcept {
        this->shape_ = lengths_.data();
        this->strides_ = steps_.data();
    }
    void take(chunk &other) noexcept {
        borrow_ = std::move(other.borrow_);
        borrow_.watch_exceptions(); // perhaps another thread's from now on
        lengths_ = other.lengths_;
        steps_ = other.steps_;
        start_ = other.start_;
        length_ = other.length_;
        point();
        static_cast<view<T> &>(other) = view<T>();
    }

    detail::borrowed borrow_;
    dims lengths_, steps_;
    std::int64_t start_ = 0, length_ = 0;
};

/* ===================================================== arrays ===================================================== */

/// The layout of elements in raw memory: `layout(dtype::f64, {2, 3}).strides({24, 8}).offset(16)`.
class layout {
public:
    /// In C order, unless `strides` is called.
    layout(tenure::dtype type, const dims &shape) noexcept : shape_(shape), type_(type) {}
    /// With the element type of a C++ type.
    template <class T>
    static layout of(const dims &shape) noexcept {
        return layout(dtype_of<T>(), shape);
    }
    /// Strides in bytes, signed, one per axis.
    layout &strides(const dims &steps) {
        if (steps.size() != shape_.size())
            detail::refuse(TN_ERR_COUNT, "tenure::layout::strides: %zu strides for %zu axes", steps.size(),
                           shape_.size());
        strides_ = steps;
        strided_ = true;
        return *this;
    }
    /// Bytes from the pointer to element (0, .., 0).
    layout &offset(std::int64_t bytes) noexcept {
        offset_ = bytes;
        return *this;
    }
    /// For C calls; valid until this object changes.
    tn_layout get() const noexcept {
        tn_layout out{};
        out.size = sizeof out;
        out.dtype = static_cast<tn_dtype>(type_);
        out.ndim = shape_.ndim();
        out.shape = shape_.data();
        out.strides = strided_ ? strides_.data() : nullptr;
        out.offset = offset_;
        return out;
    }

private:
    dims shape_, strides_;
    tenure::dtype type_;
    bool strided_ = false;
    std::int64_t offset_ = 0;
};

class weak;
class promise;
template <class Tensor, std::size_t DeleterAt>
class basic_dlpack;
/// A DLManagedTensorVersioned that calls its deleter.
using dlpack = basic_dlpack<DLManagedTensorVersioned, 16>;
/// A DLManagedTensor, the form without a version, that calls its deleter.
using dlpack_legacy = basic_dlpack<DLManagedTensor, 56>;

namespace detail {

/// Throws DTYPE unless the elements are of type T, or T is void.
template <class T>
void must_be(const array &what, const char *function);

} // namespace detail

/// One claim on a store, with a layout.
///
/// Views and clones are further claims. An array cannot be copied implicitly, because the number of claims decides whether bytes may be
/// overwritten in place.
class TENURE_CONSUMABLE array : public detail::bases::owner<array, tn_array, tn_array_release> {
public:
    /// No array.
    TENURE_MADE(unconsumed) array() noexcept = default;
    array(array &&other) noexcept : owner(std::move(other)), type_(other.known_type()) {}
    TENURE_LEAVES(unconsumed) array &operator=(array &&other) noexcept {
        owner::operator=(std::move(other));
        type_.store(other.known_type(), std::memory_order_relaxed);
        return *this;
    }
    array(const array &) = delete;            // clone() makes a claim, copy() makes new bytes, std::move passes on
    array &operator=(const array &) = delete; // clone() makes a claim, copy() makes new bytes, std::move passes on
    ~array() = default;

    /// Releases it now, and throws errors that the destructor would ignore.
    TENURE_LEAVES(consumed) void reset() {
        detail::check(tn_array_release(handle_));
        static_cast<void>(detach());
    }

    /* ---- what it is ---- */

    /// All properties, in one call.
    TENURE_NEEDS_HANDLE tn_array_info info() const { return detail::queried(tn_array_query, handle_); }
    /// Element type.
    tenure::dtype dtype() const { return static_cast<tenure::dtype>(info().dtype); }
    /// Number of axes.
    std::int32_t ndim() const { return info().ndim; }
    /// Lengths in elements.
    TENURE_NEEDS_HANDLE dims shape() const { return detail::shape_of(info()); }
    /// Strides in bytes, signed.
    dims strides() const {
        const tn_array_info is = info();
        return dims(is.strides, static_cast<std::size_t>(is.ndim));
    }
    /// Number of elements.
    std::uint64_t size() const { return info().count; }
    /// Bytes of the elements.
    std::uint64_t bytes() const { return info().bytes; }
    /// The device of the bytes.
    tenure::device device() const { return info().device; }
    /// Whether a flag of `tn_array_info` is set: TN_C_CONTIGUOUS, TN_READONLY, ...
    bool is(tn_array_flags flags) const { return (info().flags & flags) == flags; }
    /// Its name; "" without one.
    std::string name() const { return info().name; }
    /// Sets its name in messages and reports.
    /// Whether the pool may spill the bytes, see `pool::set_spill`. False brings them back first.
    array &set_spillable(bool on) {
        detail::check(tn_array_set_spillable(handle_, on ? 1 : 0));
        return *this;
    }
    array &set_name(const char *text) {
        detail::check(tn_array_set_name(handle_, text));
        return *this;
    }
    /// The form of its matrix.
    tenure::form form() const { return static_cast<tenure::form>(info().form); }
    /// Sets what expressions take this handle for; no byte changes, and other handles keep their form.
    array &set_form(tenure::form as) {
        detail::check(tn_array_set_form(handle_, static_cast<tn_form>(as)));
        return *this;
    }
    /// Another claim on these bytes, with this form.
    [[nodiscard]] array with_form(tenure::form as, site place = site::here()) const {
        array out = clone(place);
        out.set_form(as);
        return out;
    }
    /// The pool of the bytes.
    tenure::pool pool() const {
        return detail::output<tenure::pool>(tn_array_pool, handle_);
    }
    /// Waits for device work on it: TN_READ, TN_WRITE.
    void wait(tn_access access = TN_READ) const { detail::check(tn_array_wait(handle_, access)); }
    /// Accepts the bytes as they are, after a writer that failed. Needs what a writer needs.
    void heal() { detail::check(tn_array_heal(handle_)); }

    /* ---- claims ---- */

    /// Another claim on these bytes.
    TENURE_NEEDS_HANDLE [[nodiscard]] array clone(site place = site::here()) const {
        return detail::made<array>(place, tn_array_clone, handle_);
    }
    /// New bytes with the same elements.
    TENURE_NEEDS_HANDLE [[nodiscard]] array copy(const tenure::pool &from = {}, const stream &on = {}, site place = site::here()) const {
        return detail::made<array>(place, tn_array_copy, handle_, from.handle(), on.handle());
    }
    /// A weak handle, which has no claim.
    [[nodiscard]] weak weaken(site place = site::here()) const;
    /// Whether it is the store's only claim, without borrows and exports.
    bool is_unique() const {
        std::int32_t out = 0;
        detail::check(tn_array_is_unique(handle_, &out));
        return out != 0;
    }
    /// The reasons why the bytes cannot be overwritten in place, and the holders.
    reasons why_not() const { return why_not(nullptr); }
    /// As above, for a result with this type and shape.
    reasons why_not(tenure::dtype type, const dims &shape, tenure::device where = {}) const {
        tn_target target{};
        target.size = sizeof target;
        target.device = where;
        target.dtype = static_cast<tn_dtype>(type);
        target.ndim = shape.ndim();
        target.shape = shape.data();
        return why_not(&target);
    }

    /* ---- views: never a copy ---- */

    /// A view of another shape; one length may be -1 and is computed.
    TENURE_NEEDS_HANDLE [[nodiscard]] array reshape(const dims &shape, order by = order::c, site place = site::here()) const {
        return detail::made<array>(place, tn_array_reshape, handle_, shape.ndim(), shape.data(),
                                   static_cast<tn_order>(by));
    }
    /// A view of all elements on one axis.
    [[nodiscard]] array ravel(order by = order::c, site place = site::here()) const {
        return detail::made<array>(place, tn_array_ravel, handle_, static_cast<tn_order>(by));
    }
    /// A view with all axes reversed.
    [[nodiscard]] array transpose(site place = site::here()) const {
        return detail::made<array>(place, tn_array_transpose, handle_);
    }
    /// A view whose axis i is axis axes[i] of the array.
    [[nodiscard]] array permute(std::initializer_list<std::int32_t> axes, site place = site::here()) const {
        return detail::made<array>(place, tn_array_permute, handle_, static_cast<std::int32_t>(axes.size()),
                                   axes.begin());
    }
    /// A view of a part: a range for each of the first axes; `all` is a whole axis.
    TENURE_NEEDS_HANDLE [[nodiscard]] array slice(std::initializer_list<range> ranges, site place = site::here()) const {
        tn_slice_spec specs[TN_MAX_NDIM];
        if (ranges.size() > TN_MAX_NDIM)
            detail::refuse(TN_ERR_COUNT, "tenure::array::slice: %zu ranges; at most %d axes", ranges.size(),
                           static_cast<int>(TN_MAX_NDIM));
        std::size_t count = 0;
        for (const range &one : ranges)
            specs[count++] = tn_slice_spec TN_SLICE(one.start, one.stop, one.step);
        return detail::made<array>(place, tn_array_slice, handle_, count, specs);
    }
    /// A view of one index of an axis, which is removed; negative indices count from the end.
    TENURE_NEEDS_HANDLE [[nodiscard]] array index(std::int32_t axis, std::int64_t at, site place = site::here()) const {
        return detail::made<array>(place, tn_array_index, handle_, axis, at);
    }
    /// A view without these axes, all of length 1; without an argument: without all axes of length 1.
    [[nodiscard]] array squeeze(std::initializer_list<std::int32_t> axes = {}, site place = site::here()) const {
        return detail::made<array>(place, tn_array_squeeze, handle_, axes.size(),
                                   axes.size() == 0 ? nullptr : axes.begin());
    }
    /// A view with a new axis of length 1.
    [[nodiscard]] array expand(std::int32_t axis, site place = site::here()) const {
        return detail::made<array>(place, tn_array_expand, handle_, axis);
    }
    /// A view of a larger shape in which elements repeat; read-only.
    [[nodiscard]] array broadcast(const dims &shape, site place = site::here()) const {
        return detail::made<array>(place, tn_array_broadcast, handle_, shape.ndim(), shape.data());
    }
    /// Splits an axis into this many consecutive parts.
    [[nodiscard]] std::vector<array> split(std::int32_t axis, std::size_t parts, site place = site::here()) const {
        detail::record(place);
        return list([&](std::size_t capacity, tn_array **outs, std::size_t *count) {
            return tn_array_split(handle_, axis, parts, capacity, outs, count);
        });
    }
    /// Splits an axis into consecutive parts of this length.
    [[nodiscard]] std::vector<array> chunks(std::int32_t axis, std::int64_t length, site place = site::here()) const {
        detail::record(place);
        return list([&](std::size_t capacity, tn_array **outs, std::size_t *count) {
            return tn_array_chunks(handle_, axis, length, capacity, outs, count);
        });
    }
    /// A view of the bytes as another element type.
    [[nodiscard]] array view_dtype(tenure::dtype type, site place = site::here()) const {
        return detail::made<array>(place, tn_array_view_dtype, handle_, static_cast<tn_dtype>(type));
    }

    /* ---- guards ---- */

    /// Opens a guard for reading; throws DTYPE if the elements are not of type T. `read()` gives address and layout for any type.
    ///
    /// `on`: work of that stream reads. It waits for other streams' writes, and the end of the guard is ordered after the stream's work up
    /// to then. The stream must outlive the guard. Without `on` the host reads, now: `pending_error` while a device writes.
    template <class T = void>
    TENURE_NEEDS_HANDLE read_guard<T> read(reading how = reading::plain, const stream &on = {}, site place = site::here()) const {
        detail::must_be<T>(*this, "read");
        detail::record(place);
        tn_view_info info;
        tn_borrow *borrow = nullptr;
        detail::check(
            tn_array_borrow_read(handle_, static_cast<std::uint32_t>(how), on.handle(), nullptr, &info, &borrow));
        return read_guard<T>(info, detail::borrowed(borrow, on.handle()));
    }
    /// A stream that dies before the guard: does not compile.
    template <class T = void>
    read_guard<T> read(reading how, stream &&on) const = delete;
    /// Opens a guard for writing; throws DTYPE if the elements are not of type T. `write()` gives address and layout for any type. `on`: as
    /// in `read`.
    template <class T = void>
    TENURE_NEEDS_HANDLE write_guard<T> write(mode how = mode::aliased, const stream &on = {}, site place = site::here()) {
        detail::must_be<T>(*this, "write");
        detail::record(place);
        tn_view_info info;
        tn_borrow *borrow = nullptr;
        detail::check(
            tn_array_borrow_write(handle_, static_cast<std::uint32_t>(how), on.handle(), nullptr, &info, &borrow));
        return write_guard<T>(info, detail::borrowed(borrow, on.handle()));
    }
    /// A stream that dies before the guard: does not compile.
    template <class T = void>
    write_guard<T> write(mode how, stream &&on) = delete;
    /// Opens write guards on `parts` consecutive parts of an axis, for as many threads; the first parts may be longer by one.
    template <class T>
    [[nodiscard]] std::vector<chunk<T>> split_write(std::size_t parts, std::int32_t axis = 0,
                                                     mode how = mode::aliased, site place = site::here()) {
        detail::must_be<T>(*this, "split_write");
        detail::record(place);
        // Reserves all memory first, because an open guard must be stored. At least one, so that 0 parts is INVALID and not NULL.
        std::vector<tn_part> opened(parts == 0 ? 1 : parts);
        std::vector<chunk<T>> out;
        out.reserve(parts);
        detail::check(
            tn_array_split_write(handle_, axis, parts, static_cast<std::uint32_t>(how), nullptr, opened.data()));
        // Read only now: copy-on-write may have changed the strides.
        tn_array_info is;
        is.size = sizeof is;
        const tn_status status = tn_array_query(handle_, &is);
        for (const tn_part &part : opened) {
            if (status == TN_OK)
                out.push_back(chunk<T>(part, is, static_cast<std::size_t>(axis < 0 ? axis + is.ndim : axis)));
            else
                detail::ignore(tn_borrow_end(part.guard, 0, nullptr));
        }
        detail::check(status);
        return out;
    }

    /* ---- movement: with a stream as its work, without one done on return ---- */

    /// Sets every element to a value of exactly the array's type.
    template <class T>
    TENURE_NEEDS_HANDLE void fill(const T &value, mode how = mode::aliased, const stream &on = {}) {
        detail::must_be<T>(*this, "fill");
        detail::check(tn_array_fill(handle_, &value, static_cast<std::uint32_t>(how), on.handle()));
    }
    /// Sets every byte to 0.
    TENURE_NEEDS_HANDLE void zero(mode how = mode::aliased, const stream &on = {}) {
        detail::check(tn_array_clear(handle_, static_cast<std::uint32_t>(how), on.handle()));
    }
    /// Copies the elements into another array of equal type and shape; the two may overlap.
    void copy_into(array &destination, mode how = mode::aliased, const stream &on = {}) const {
        detail::check(tn_array_copy_into(handle_, destination.handle_, static_cast<std::uint32_t>(how), on.handle()));
    }
    /// A new array on a device.
    [[nodiscard]] array to_device(tenure::device where, const tenure::pool &from = {}, const stream &on = {},
                                  site place = site::here()) const & {
        return detail::made<array>(place, tn_array_to_device, handle_, where, from.handle(), on.handle());
    }
    /// As above, from the device's current pool.
    [[nodiscard]] array to_device(tenure::device where, const stream &on, site place = site::here()) const & {
        return to_device(where, tenure::pool(), on, place);
    }
    /// Moves the array, `std::move(a).to_device(..)`: the old bytes go back to their pool when they were read, and an array that is there
    /// already is not copied. If other holders share the bytes, it is copied. The object is empty afterwards; if this throws, it is
    /// unchanged.
    [[nodiscard]] array to_device(tenure::device where, const tenure::pool &from = {}, const stream &on = {},
                                  site place = site::here()) && {
        array out;
        if (!is_unique()) {
            out = static_cast<const array &>(*this).to_device(where, from, on, place);
        } else {
            detail::record(place);
            tn_promise *given = nullptr;
            tn_array *moved = nullptr;
            detail::check(tn_array_give(handle_, 1, &given));
            const tn_status status = tn_promise_to_device(given, where, from.handle(), on.handle(), &moved);
            static_cast<void>(tn_promise_release(given)); // cancels it where it was not taken
            detail::check(status);
            out = adopt(moved);
        }
        drop();
        return out;
    }
    /// As above, to the device's current pool.
    [[nodiscard]] array to_device(tenure::device where, const stream &on, site place = site::here()) && {
        return std::move(*this).to_device(where, tenure::pool(), on, place);
    }
    /// Copies the elements, in C order, to `destination`, which has exactly `count` elements. With a stream, page-locked memory must stay
    /// valid until the stream has passed; other memory is written on return.
    template <class T>
    void copy_to_host(T *destination, std::size_t count, const stream &on = {}) const {
        detail::must_be<T>(*this, "copy_to_host");
        must_have(count, "copy_to_host");
        detail::check(tn_array_copy_to_host(handle_, destination, nullptr, on.handle()));
    }
    /// Copies exactly `count` elements, in C order, from `source`. `on`: as `copy_to_host`.
    template <class T>
    void copy_from_host(const T *source, std::size_t count, mode how = mode::aliased, const stream &on = {}) {
        detail::must_be<T>(*this, "copy_from_host");
        must_have(count, "copy_from_host");
        detail::check(tn_array_copy_from_host(handle_, source, nullptr, static_cast<std::uint32_t>(how), on.handle()));
    }
    /// Managed memory: advises how it will be used, TN_ADVISE_*.
    void advise(tn_advice advice, tenure::device where) const {
        detail::check(tn_array_advise(handle_, advice, where));
    }
    /// Managed memory: prefetches its pages to a GPU or the host.
    void prefetch(tenure::device where, const stream &on = {}) const {
        detail::check(tn_array_prefetch(handle_, where, on.handle()));
    }
    /// A vector with the elements, in C order.
    template <class T>
    [[nodiscard]] std::vector<T> to_vector() const {
        static_assert(!std::is_same_v<T, bool>,
                      "tenure: std::vector<bool> holds no bools; use copy_to_host or read<bool>()");
        detail::must_be<T>(*this, "to_vector");
        std::vector<T> out(size());
        copy_to_host(out.data(), out.size());
        return out;
    }

    /* ---- exchange ---- */

    /// Exports raw memory: `flag::copy`, `borrow` or `require_borrow`. `const T` is for reading; with `T` both sides may write, or with
    /// `flag::export_exclusive` only the consumer.
    template <class T>
    host_export<T> export_host(flag flags = flag::copy, mode how = mode::aliased, site place = site::here()) const {
        detail::must_be<T>(*this, "export_host");
        detail::record(place);
        if (!std::is_const_v<T>)
            flags = flags | flag::export_writable;
        tn_view_info info;
        tn_borrow *borrow = nullptr;
        tn_how what = 0;
        detail::check(tn_array_export_host(handle_, static_cast<std::uint32_t>(flags), static_cast<std::uint32_t>(how),
                                           nullptr, &info, &borrow, &what));
        return host_export<T>(info, detail::borrowed(borrow), static_cast<tenure::how>(what));
    }
    /// Exports a DLPack struct, which the object owns until `detach()`. `what` gets whether it is an alias or a copy.
    [[nodiscard]] dlpack export_dlpack(flag flags = flag::copy, mode how = mode::aliased,
                                       tenure::how *what = nullptr, site place = site::here()) const;
    /// As above, with all options.
    [[nodiscard]] dlpack export_dlpack(const tn_dlpack_options &options, tenure::how *what = nullptr,
                                       site place = site::here()) const;
    /// Exports the form without a version, which cannot say "read-only".
    [[nodiscard]] dlpack_legacy export_dlpack_legacy(flag flags = flag::copy, mode how = mode::aliased,
                                                     tenure::how *what = nullptr,
                                                     site place = site::here()) const;
    /// Exports the array to other processes of this machine: `flag::copy` and `borrow` copy an array whose pool has no TN_POOL_SHAREABLE
    /// (a GPU: TN_POOL_IPC), `require_borrow` throws. With `flag::ipc_writable` all may write. With `flag::ipc_give` one process may take the
    /// array.
    [[nodiscard]] ipc_export export_ipc(flag flags = flag::copy, site place = site::here()) const {
        detail::record(place);
        ipc_export out;
        out.bytes_.resize(TN_IPC_DESCRIPTOR_BYTES);
        std::size_t bytes = 0;
        tn_borrow *borrow = nullptr;
        tn_how what = 0;
        detail::check(tn_array_export_ipc(handle_, static_cast<std::uint32_t>(flags), out.bytes_.size(),
                                          out.bytes_.data(), &bytes, &out.fd_, &borrow, &what));
        out.borrow_ = detail::borrowed(borrow);
        out.bytes_.resize(bytes);
        out.how_ = static_cast<tenure::how>(what);
        return out;
    }
    /// Exports memory that devices can access, as the CUDA array interface describes it. `consumer` waits for unfinished work, and its work
    /// ends the export; without one the struct names a stream to wait for.
    [[nodiscard]] struct_export<tn_cuda_array_interface>
    export_cuda_array_interface(flag flags = flag::copy, mode how = mode::aliased, const stream &consumer = {},
                                site place = site::here()) const {
        detail::record(place);
        tn_cuda_array_interface is{};
        is.size = sizeof is;
        tn_borrow *borrow = nullptr;
        tn_how what = 0;
        detail::check(tn_array_export_cuda_array_interface(handle_, static_cast<std::uint32_t>(flags),
                                                           static_cast<std::uint32_t>(how), consumer.handle(), &is,
                                                           &borrow, &what));
        return {is, detail::borrowed(borrow, consumer.handle()), static_cast<tenure::how>(what)};
    }
    /// The export ends on the stream, which must live until then: name it first.
    struct_export<tn_cuda_array_interface> export_cuda_array_interface(flag flags, mode how, stream &&consumer,
                                                                       site place = site::here()) const = delete;
    /// Exports a matrix of float on a GPU to CUDAMat, whose work is on the legacy stream.
    [[nodiscard]] struct_export<tn_cudamat> export_cudamat(flag flags = flag::copy, mode how = mode::aliased,
                                                           site place = site::here()) const {
        detail::record(place);
        tn_cudamat is{};
        tn_borrow *borrow = nullptr;
        tn_how what = 0;
        detail::check(tn_array_export_cudamat(handle_, static_cast<std::uint32_t>(flags),
                                              static_cast<std::uint32_t>(how), &is, &borrow, &what));
        return {is, detail::borrowed(borrow, TN_STREAM_LEGACY), static_cast<tenure::how>(what)};
    }
    /// Saves a `.npy` file: TN_IO_SYNC, TN_IO_EXCLUSIVE.
    void save_npy(const std::string &path, tn_io_flags flags = 0) const {
        detail::check(tn_array_save_npy(handle_, path.c_str(), flags));
    }

private:
    void must_have(std::size_t count, const char *function) const {
        const tn_array_info is = info();
        if (is.count != count)
            detail::refuse(TN_ERR_COUNT, "tenure::array::%s: %zu elements for array '%s' of %llu", function, count,
                           is.name, static_cast<unsigned long long>(is.count));
    }
    reasons why_not(const tn_target *target) const {
        tn_why bits = 0;
        auto holders = detail::listed<tn_holder>([&](std::size_t capacity, tn_holder *items, std::size_t *count) {
            return tn_array_why_not(handle_, target, sizeof(tn_holder), capacity, &bits, items, count);
        });
        return {static_cast<why>(bits), detail::to_holders(holders)};
    }
    template <class Call>
    static std::vector<array> list(Call call) {
        std::size_t count = 0;
        detail::check(call(std::size_t{0}, nullptr, &count));
        std::vector<tn_array *> handles(count);
        std::vector<array> out(count);
        detail::check(call(count, handles.data(), &count));
        for (std::size_t at = 0; at < count; at++)
            out[at].handle_ = handles[at];
        return out;
    }

    template <class T>
    friend void detail::must_be(const array &what, const char *function);
    tn_dtype known_type() const noexcept { return type_.load(std::memory_order_relaxed); }

    // 0 until the first query; a handle never changes its element type. Guards check it, and a query would double their cost. Calls with an
    // empty array are refused whatever this is.
    mutable std::atomic<tn_dtype> type_{0};
};

namespace detail {

template <class T>
void must_be([[maybe_unused]] const array &what, [[maybe_unused]] const char *function) {
    if constexpr (!std::is_void_v<T>) {
        constexpr tn_dtype wanted = static_cast<tn_dtype>(dtype_of<T>());
        if (what.known_type() == wanted)
            return;
        const tn_array_info is = what.info();
        what.type_.store(is.dtype, std::memory_order_relaxed);
        if (is.dtype != wanted)
            refuse(TN_ERR_DTYPE, "tenure::array::%s: array '%s' has elements of type %s, not %s", function, is.name,
                   name_of(static_cast<dtype>(is.dtype)), name_of(dtype_of<T>()));
    }
}

} // namespace detail

/// How the bytes of two arrays overlap.
inline overlap overlap_of(const array &a, const array &b) {
    tn_overlap out = 0;
    detail::check(tn_array_overlap(a.handle(), b.handle(), &out));
    return static_cast<overlap>(out);
}

/// Page-locks the caller's memory, TN_HOST_*, so that copies need no staging. Returns an array of its bytes. It is unlocked when that array
/// and its views are gone, which waits for copies that use it; until then the caller must keep the memory.
[[nodiscard]] inline array host_register(void *memory, std::size_t bytes, tn_host_flags flags = 0,
                                          site place = site::here()) {
    return detail::made<array>(place, tn_host_register, memory, bytes, flags);
}
/// As above, for the elements of a span.
template <class T, class = std::enable_if_t<!std::is_const_v<T>>>
[[nodiscard]] array host_register(span<T> memory, tn_host_flags flags = 0, site place = site::here()) {
    return host_register(memory.data(), memory.size() * sizeof(T), flags, place).view_dtype(dtype_of<T>(), place);
}

/// A handle without a claim: it does not keep the bytes, and prevents no call.
class weak : public detail::bases::owner<weak, tn_weak, tn_weak_release> {
public:
    /// No handle.
    weak() noexcept {}

    /// A new claim; throws DESTRUCTED if the store has had no claim in between.
    [[nodiscard]] array upgrade(site place = site::here()) const {
        return detail::made<array>(place, tn_weak_upgrade, handle_);
    }
    /// A new claim, or an empty array if the store has had no claim in between.
    [[nodiscard]] std::optional<array> try_upgrade(site place = site::here()) const {
        detail::record(place);
        tn_array *out = nullptr;
        const tn_status status = tn_weak_upgrade(handle_, &out);
        if (status == TN_ERR_DESTRUCTED)
            return std::nullopt;
        detail::check(status);
        return array::adopt(out);
    }
};

inline weak array::weaken(site place) const {
    return detail::made<weak>(place, tn_array_weaken, handle_);
}

/* ==================================================== creation ==================================================== */

/// An array with undefined contents.
[[nodiscard]] inline array empty(dtype type, const dims &shape, const options &how = {},
                                  site place = site::here()) {
    const tn_array_options c = how.get();
    return detail::made<array>(place, tn_array_empty, how.from(), static_cast<tn_dtype>(type), shape.ndim(),
                               shape.data(), &c);
}
/// An array with undefined contents, of a C++ type.
template <class T>
[[nodiscard]] array empty(const dims &shape, const options &how = {}, site place = site::here()) {
    return empty(dtype_of<T>(), shape, how, place);
}

/// An array of zeros.
[[nodiscard]] inline array zeros(dtype type, const dims &shape, const options &how = {},
                                  site place = site::here()) {
    const tn_array_options c = how.get();
    return detail::made<array>(place, tn_array_zeros, how.from(), static_cast<tn_dtype>(type), shape.ndim(),
                               shape.data(), &c);
}
/// An array of zeros, of a C++ type.
template <class T>
[[nodiscard]] array zeros(const dims &shape, const options &how = {}, site place = site::here()) {
    return zeros(dtype_of<T>(), shape, how, place);
}

/// An array with every element set to one value.
template <class T>
[[nodiscard]] array full(const dims &shape, const T &value, const options &how = {}, site place = site::here()) {
    const tn_array_options c = how.get();
    return detail::made<array>(place, tn_array_full, how.from(), static_cast<tn_dtype>(dtype_of<T>()), shape.ndim(),
                               shape.data(), &value, &c);
}

/// The identity matrix of n rows, as a diagonal of n ones.
template <class T>
[[nodiscard]] array identity(std::int64_t n, const options &how = {}, site place = site::here()) {
    array out = full<T>({n}, T(1), how, place);
    out.set_form(form::diagonal);
    return out;
}

/// An array with undefined contents, with the type and shape of another array.
[[nodiscard]] inline array like(const array &prototype, const options &how = {}, site place = site::here()) {
    const tn_array_options c = how.get();
    return detail::made<array>(place, tn_array_like, prototype.handle(), how.from(), &c);
}

/* ===================================================== import ===================================================== */

namespace detail {

/// Owns a callable until the library calls it, once.
template <class F>
void released(void *context) noexcept {
    const std::unique_ptr<F> call(static_cast<F *>(context));
    (*call)();
}

/// Says what became of the bytes, if somebody asked.
inline void tell(how *what, tn_how became) noexcept {
    if (what != nullptr)
        *what = static_cast<how>(became);
}

/// Makes an array by `call(arguments.., &array, &became)`.
template <class Call, class... A>
array imported(site place, how *what, Call call, A... arguments) {
    tn_how became = 0;
    array out = made<array>(place, [&](tn_array **made) { return call(arguments..., made, &became); });
    tell(what, became);
    return out;
}

/// Makes an array by `call(arguments.., release, context, &array, &became)`. The release calls `owner`, unless that is a nullptr.
template <class F, class Call, class... A>
array imported_from(F &&owner, site place, how *what, Call call, A... arguments) {
    using callable = std::decay_t<F>;
    tn_release_callback release = nullptr;
    std::unique_ptr<callable> context;
    if constexpr (!std::is_same_v<callable, std::nullptr_t>) {
        context = std::make_unique<callable>(std::forward<F>(owner));
        release = released<callable>;
    }
    array out = imported(place, what, call, arguments..., release, context.get());
    static_cast<void>(context.release());
    return out;
}

template <class C>
using element_of = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

} // namespace detail

/// Makes an array of the caller's memory. Unless it is copied, the memory must stay valid until the last claim, guard and export on it has
/// ended.
[[nodiscard]] inline array import_host(void *memory, const layout &lies, flag flags, how *what = nullptr,
                                        site place = site::here()) {
    const tn_layout c = lies.get();
    return detail::imported_from(nullptr, place, what, tn_array_import_host, memory, &c,
                                 static_cast<std::uint32_t>(flags));
}

/// As above. `release`, a callable without arguments that must not throw, is called once when the memory is not needed any more: at once if
/// it was copied. If this function throws, it is not called. With `flag::take` the library owns the memory.
template <class F, class = std::enable_if_t<std::is_invocable_v<std::decay_t<F> &>>>
[[nodiscard]] array import_host(void *memory, const layout &lies, flag flags, F &&release, how *what = nullptr,
                                site place = site::here()) {
    const tn_layout c = lies.get();
    return detail::imported_from(std::forward<F>(release), place, what, tn_array_import_host, memory, &c,
                                 static_cast<std::uint32_t>(flags));
}

/// Makes an array of memory that the CUDA array interface of another library describes. `release` is as for `import_host`; nullptr: none.
template <class F = std::nullptr_t>
[[nodiscard]] array import_cuda_array_interface(const tn_cuda_array_interface &source, flag flags,
                                                F &&release = nullptr, how *what = nullptr,
                                                site place = site::here()) {
    return detail::imported_from(std::forward<F>(release), place, what, tn_array_import_cuda_array_interface, &source,
                                 static_cast<std::uint32_t>(flags));
}

/// Makes an array of the elements of CUDAMat's matrix. `release` is as for `import_host`; nullptr: none.
template <class F = std::nullptr_t>
[[nodiscard]] array import_cudamat(const tn_cudamat &source, flag flags, F &&release = nullptr, how *what = nullptr,
                                   site place = site::here()) {
    return detail::imported_from(std::forward<F>(release), place, what, tn_array_import_cudamat, &source,
                                 static_cast<std::uint32_t>(flags));
}

/// Makes an array of a container, whose memory it owns afterwards: nothing is copied. The array has one axis, or `shape`.
///
/// The container (a vector, std::array, any class with `data()` and `size()`) is moved in, and destroyed when the last claim, guard and
/// export has ended. If this throws, the container still has its elements.
template <class C>
[[nodiscard]] array from(C &&container, const dims &shape, site place = site::here()) {
    detail::record(place);
    static_assert(!std::is_lvalue_reference_v<C>,
                  "tenure::from takes the container's memory: write from(std::move(v)), or copy_of(v) for a copy");
    static_assert(!std::is_const_v<C>, "tenure::from takes the container's memory: a const one cannot be moved");
    using element = detail::element_of<C>;
    static_assert(!std::is_const_v<element>, "tenure::from: the container's elements are const");
    static_assert(is_element<element>,
                  "tenure::from: the container's elements are no element type; see tenure::dtype_of");
    if (static_cast<std::uint64_t>(shape.count()) != static_cast<std::uint64_t>(std::size(container)))
        detail::refuse(TN_ERR_COUNT, "tenure::from: the container has %zu elements, the shape %lld",
                       static_cast<std::size_t>(std::size(container)), static_cast<long long>(shape.count()));
    auto owner = std::make_unique<C>(std::move(container));
    auto release = [](void *context) { delete static_cast<C *>(context); };
    const layout lies = layout::of<element>(shape);
    const tn_layout c = lies.get();
    array out;
    const tn_status status = [&] {
        tn_array *made = nullptr;
        const tn_status got = tn_array_import_host(std::data(*owner), &c, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, release,
                                                   owner.get(), &made, nullptr);
        out = array::adopt(made);
        return got;
    }();
    if (status != TN_OK)
        container = std::move(*owner);
    detail::check(status);
    static_cast<void>(owner.release());
    return out;
}
/// As above, with one axis.
template <class C>
[[nodiscard]] array from(C &&container, site place = site::here()) {
    const dims shape = dims::of(std::size(container));
    return from(std::forward<C>(container), shape, place);
}

/// Makes an array with a copy of a container's elements: with one axis, or `shape`.
template <class C>
[[nodiscard]] array copy_of(const C &container, const dims &shape, const options &how = {},
                            site place = site::here()) {
    using element = std::remove_const_t<detail::element_of<const C>>;
    static_assert(is_element<element>,
                  "tenure::copy_of: the container's elements are no element type; see tenure::dtype_of");
    if (how.get().order != TN_ORDER_C)
        detail::refuse(TN_ERR_INVALID, "%s", "tenure::copy_of: the elements of a container are in C order");
    array out = empty<element>(shape, how, place);
    out.copy_from_host(std::data(container), static_cast<std::size_t>(std::size(container)));
    return out;
}
/// As above, with one axis.
template <class C>
[[nodiscard]] array copy_of(const C &container, const options &how = {}, site place = site::here()) {
    return copy_of(container, dims::of(std::size(container)), how, place);
}

namespace detail {

/// The struct is complete only if dlpack.h is included, but its layout is fixed: the deleter is at this byte.
template <class Tensor, std::size_t DeleterAt>
void delete_dlpack(Tensor *tensor) noexcept {
    void (*deleter)(Tensor *) = nullptr;
    std::memcpy(&deleter, reinterpret_cast<const char *>(tensor) + DeleterAt, sizeof deleter);
    if (deleter != nullptr)
        deleter(tensor);
}

} // namespace detail

/// A DLPack struct that calls its deleter: `dlpack`, or `dlpack_legacy` for the form without a version.
///
/// `detach()` passes it to a consumer, who then calls its deleter; otherwise the destructor does.
template <class Tensor, std::size_t DeleterAt>
class [[nodiscard]] basic_dlpack
    : detail::bases::owner<basic_dlpack<Tensor, DeleterAt>, Tensor, detail::delete_dlpack<Tensor, DeleterAt>> {
public:
    /// No struct.
    basic_dlpack() noexcept = default;
    /// Takes ownership of a struct.
    explicit basic_dlpack(Tensor *tensor) noexcept { this->handle_ = tensor; }

    /// The struct, still owned.
    Tensor *get() const noexcept { return this->handle_; }
    /// Returns the struct, whose deleter the caller then calls.
    using basic_dlpack::owner::detach;
    /// Whether it has a struct.
    using basic_dlpack::owner::operator bool;
};

namespace detail {

/// A DLPack struct that the call exports.
template <class Struct, class Tensor>
Struct exported(tn_status (*call)(tn_array *, const tn_dlpack_options *, Tensor **, tn_how *), tn_array *from,
                const tn_dlpack_options &options, how *what, site place) {
    record(place);
    Tensor *out = nullptr;
    tn_how became = 0;
    check(call(from, &options, &out, &became));
    tell(what, became);
    return Struct(out);
}

inline tn_dlpack_options dlpack_options(flag flags, mode how) noexcept {
    tn_dlpack_options options{};
    options.size = sizeof options;
    options.flags = static_cast<std::uint32_t>(flags);
    options.mode = static_cast<std::uint32_t>(how);
    return options;
}

} // namespace detail

inline dlpack array::export_dlpack(const tn_dlpack_options &options, tenure::how *what, site place) const {
    return detail::exported<dlpack>(tn_array_export_dlpack_versioned, handle_, options, what, place);
}

inline dlpack array::export_dlpack(flag flags, mode how, tenure::how *what, site place) const {
    return export_dlpack(detail::dlpack_options(flags, how), what, place);
}

inline dlpack_legacy array::export_dlpack_legacy(flag flags, mode how, tenure::how *what, site place) const {
    return detail::exported<dlpack_legacy>(tn_array_export_dlpack, handle_, detail::dlpack_options(flags, how), what,
                                           place);
}

/// Makes an array of a DLPack struct. If this throws, the object still owns the struct.
[[nodiscard]] inline array import_dlpack(dlpack &&tensor, flag flags = flag::copy, how *what = nullptr,
                                          site place = site::here()) {
    array out = detail::imported(place, what, tn_array_import_dlpack_versioned, tensor.get(),
                                 static_cast<std::uint32_t>(flags));
    static_cast<void>(tensor.detach());
    return out;
}
/// As above, for the form without a version.
[[nodiscard]] inline array import_dlpack(dlpack_legacy &&tensor, flag flags = flag::copy, how *what = nullptr,
                                          site place = site::here()) {
    array out = detail::imported(place, what, tn_array_import_dlpack, tensor.get(), static_cast<std::uint32_t>(flags));
    static_cast<void>(tensor.detach());
    return out;
}

/// Makes an array of bytes that another process exported. It is read-only, or writable with `flag::ipc_writable`. `flag::ipc_give` takes an
/// array that is offered. `fd` stays the caller's.
[[nodiscard]] inline array import_ipc(span<const unsigned char> descriptor, int fd, flag flags = flag::copy,
                                      site place = site::here()) {
    return detail::imported(place, nullptr, tn_array_import_ipc, descriptor.data(), descriptor.size(), fd,
                            static_cast<std::uint32_t>(flags));
}

/// The mode in which a `.npy` file is opened.
enum class npy : tn_npy_mode {
    read = TN_NPY_READ,   ///< mapped, read-only
    cow = TN_NPY_COW,     ///< mapped, writable; the file never changes
    write = TN_NPY_WRITE, ///< mapped, writes reach the file
    copy = TN_NPY_COPY,   ///< read into a pool's memory
};

/// Opens a `.npy` file as an array.
[[nodiscard]] inline array open_npy(const std::string &path, npy how = npy::read, const pool &from = {},
                                     site place = site::here()) {
    tn_npy_options options{};
    options.size = sizeof options;
    options.mode = static_cast<std::uint32_t>(how);
    options.pool = from.handle();
    return detail::made<array>(place, tn_array_open_npy, path.c_str(), &options);
}

/// The tensors of a safetensors file, in the order of their bytes.
inline std::vector<tn_safetensors_info> safetensors(const std::string &path) {
    using info = tn_safetensors_info;
    return detail::listed<info>([&](std::size_t capacity, info *items, std::size_t *count) {
        return tn_safetensors_query(path.c_str(), sizeof(tn_safetensors_info), capacity, items, count);
    });
}

/// Opens tensors of a safetensors file by their names, all or none. `flag::copy`: read into the pool; `borrow`: read-only arrays on one
/// mapping of the file, and copies of tensors that are not aligned there; `require_borrow`: an exception for those.
[[nodiscard]] inline std::vector<array> open_safetensors(const std::string &path, const std::vector<std::string> &names,
                                                         flag flags = flag::copy, const pool &from = {},
                                                         site place = site::here()) {
    detail::record(place);
    std::vector<const char *> texts;
    texts.reserve(names.size());
    for (const std::string &name : names)
        texts.push_back(name.c_str());
    std::vector<tn_array *> made(names.size());
    std::vector<array> out;
    out.reserve(names.size());
    tn_safetensors_options options{};
    options.size = sizeof options;
    options.pool = from.handle();
    options.flags = static_cast<tn_borrow_flags>(flags);
    detail::check(
        tn_array_open_safetensors(path.c_str(), texts.size(), texts.data(), &options, made.data(), nullptr));
    for (tn_array *one : made)
        out.push_back(array::adopt(one));
    return out;
}

/* ===================================================== arrow ====================================================== */

/// Exports an array through Arrow's C data interface: `flag::copy`, `borrow` or `require_borrow`. The caller then owns the structs and
/// calls their releases. The structs are defined in Arrow's own header.
inline how export_arrow(const array &from, ArrowSchema *schema, ArrowArray *out, flag flags = flag::copy,
                        site place = site::here()) {
    detail::record(place);
    tn_how what = 0;
    detail::check(
        tn_array_export_arrow(from.handle(), static_cast<std::uint32_t>(flags), schema, out, &what));
    return static_cast<how>(what);
}
/// As above through Arrow's C device interface, for the host.
inline how export_arrow(const array &from, ArrowSchema *schema, ArrowDeviceArray *out, flag flags = flag::copy,
                        site place = site::here()) {
    detail::record(place);
    tn_how what = 0;
    detail::check(
        tn_array_export_arrow_device(from.handle(), static_cast<std::uint32_t>(flags), schema, out, &what));
    return static_cast<how>(what);
}
/// Makes an array of an Arrow array, which is moved in: its release is NULL afterwards. If this throws, the Arrow array is unchanged.
[[nodiscard]] inline array import_arrow(const ArrowSchema *schema, ArrowArray *source, flag flags = flag::copy,
                                        how *what = nullptr, site place = site::here()) {
    return detail::imported(place, what, tn_array_import_arrow, schema, source, static_cast<std::uint32_t>(flags));
}
/// As above for Arrow's C device interface.
[[nodiscard]] inline array import_arrow(const ArrowSchema *schema, ArrowDeviceArray *source, flag flags = flag::copy,
                                        how *what = nullptr, site place = site::here()) {
    return detail::imported(place, what, tn_array_import_arrow_device, schema, source,
                            static_cast<std::uint32_t>(flags));
}

/* ==================================================== threads ===================================================== */

/// A task for a runner: called with each index once, on any thread.
struct task {
    tn_task called;  ///< the C function
    void *argument;  ///< its argument
    /// Does one part of the work.
    void operator()(std::size_t index) const { called(argument, index); }
};

/// While it lives, large copies of this thread are divided among the threads of a runner. `run(task, count)` calls `task(i)` for every i
/// below count, in any order, on any threads, and returns after all calls; it must not throw. The calling thread does parts that it left
/// out. Its end restores the previous runner. Destroyed on the same thread.
template <class F>
class [[nodiscard]] use_runner {
    static_assert(std::is_invocable_v<F &, task, std::size_t>, "tenure::use_runner: call it as run(task, count)");

public:
    /// Copies of at least `least_bytes` (0: the library's default) become at most `threads` tasks.
    [[nodiscard]] use_runner(F run, std::size_t threads, std::size_t least_bytes = 0) : run_(std::move(run)) {
        before_.size = sizeof before_;
        detail::check(tn_runner_current(&before_));
        tn_runner mine{};
        mine.size = sizeof mine;
        mine.run = &call;
        mine.context = this;
        mine.threads = threads;
        mine.least_bytes = least_bytes;
        detail::check(tn_runner_set_current(&mine));
    }
    ~use_runner() { detail::ignore(tn_runner_set_current(&before_)); }
    use_runner(const use_runner &) = delete;
    use_runner &operator=(const use_runner &) = delete;

private:
    static void call(void *context, tn_task called, void *argument, std::size_t count) noexcept {
        static_cast<use_runner *>(context)->run_(task{called, argument}, count);
    }

    F run_;
    tn_runner before_{};
};

/* ================================================ several at once ================================================= */

/// One array for `access_all` or `launch`, made by `reads`, `writes` or `overwrites`.
template <class T>
struct access_spec {
    const array *what; ///< the array
    tn_access access;  ///< TN_READ, TN_READ_WRITE or TN_WRITE, with mode bits
    std::int32_t ndim; ///< the axes that it must have; -1: one for `launch`, any for `access_all`
};

/// For reading. `reads<double, 2>(x)`: an array with two axes, for a kernel whose parameter is `tn_view<const double, 2>`.
template <class T, std::int32_t Ndim = -1>
[[nodiscard]] access_spec<const T> reads(const array &what, reading how = reading::plain) noexcept {
    return {&what, TN_READ | static_cast<std::uint32_t>(how), Ndim};
}
/// For reading and writing.
template <class T, std::int32_t Ndim = -1>
[[nodiscard]] access_spec<T> writes(array &what, mode how = mode::aliased) noexcept {
    return {&what, TN_READ_WRITE | static_cast<std::uint32_t>(how), Ndim};
}
/// For overwriting every element; the old contents are not needed.
template <class T, std::int32_t Ndim = -1>
[[nodiscard]] access_spec<T> overwrites(array &what, mode how = mode::aliased) noexcept {
    return {&what, TN_WRITE | static_cast<std::uint32_t>(how), Ndim};
}

namespace detail {

/// Throws DTYPE for elements that are not of type T, SHAPE for another number of axes than the one that was asked for.
template <class T>
void must_fit(const access_spec<T> &given) {
    must_be<T>(*given.what, "access_all");
    if (given.ndim >= 0 && given.what->ndim() != given.ndim)
        refuse(TN_ERR_SHAPE, "tenure::access_all: array '%s' has %d axes, not %d", given.what->info().name,
               static_cast<int>(given.what->ndim()), static_cast<int>(given.ndim));
}

} // namespace detail

/// Open guards on several arrays, which end together: `auto [x, y] = access_all(reads<double>(a), writes<double>(b));`
///
/// If an exception ends them, the written regions are poisoned, as with `write_guard`.
template <class... T>
class [[nodiscard]] access {
public:
    access(access &&) noexcept = default;
    access &operator=(access &&) noexcept = default;
    access(const access &) = delete;
    access &operator=(const access &) = delete;
    ~access() = default;

    /// The view of array number Index.
    template <std::size_t Index>
    std::tuple_element_t<Index, std::tuple<view<T>...>> get() const noexcept {
        return std::get<Index>(views_);
    }
    /// The borrow, not released.
    tn_borrow *handle() const noexcept { return borrow_.handle(); }
    /// Ends all now; the views are invalid afterwards.
    void reset() {
        borrow_.end(0);
        views_ = std::tuple<view<T>...>();
    }
    /// Ends all now and marks the written regions as undefined.
    void fail() {
        borrow_.end(TN_END_FAILED);
        views_ = std::tuple<view<T>...>();
    }

private:
    template <class... U>
    friend access<U...> access_all(access_spec<U>... specs);
    template <std::size_t... Index>
    access(const tn_view_info *infos, detail::borrowed &&borrow, std::index_sequence<Index...>) noexcept
        : borrow_(std::move(borrow)), views_(view<T>(infos[Index])...) {}

    detail::borrowed borrow_;
    std::tuple<view<T>...> views_;
};

/// Opens guards on several arrays, all or none; no order of arguments can deadlock.
template <class... T>
access<T...> access_all(access_spec<T>... specs) {
    static_assert(sizeof...(T) > 0, "tenure::access_all: at least one array");
    (detail::must_fit(specs), ...);
    const tn_borrow_spec entries[] = {tn_borrow_spec{specs.what->handle(), nullptr, specs.access, {}}...};
    tn_view_info infos[sizeof...(T)];
    tn_borrow *borrow = nullptr;
    detail::check(tn_borrow_all(sizeof...(T), entries, infos, &borrow));
    return access<T...>(infos, detail::borrowed(borrow), std::index_sequence_for<T...>());
}

/* =================================================== ownership ==================================================== */

template <std::size_t Count>
class scope;
class promise;
/// Gives an array away; see below.
template <class A>
promise give(A &&what, site place = site::here());

/// An array that was given away: a promise can be passed on, used up once by `take` or a parameter `taken`, or cancelled.
///
/// If it is destroyed unused, the given array is released. The giver of a promise that `adopt` took keeps a handle of its own.
class [[nodiscard]] promise : public detail::bases::owner<promise, tn_promise, tn_promise_release> {
public:
    /// No promise.
    promise() noexcept = default;
    promise(promise &&) noexcept = default;
    promise &operator=(promise &&) noexcept = default;
    promise(const promise &) = delete;
    promise &operator=(const promise &) = delete;
    ~promise() { drop(); }

    /// Cancels it and returns the given array. For a promise made in C it returns nothing, because its giver has the array again.
    array cancel() {
        detail::check(tn_promise_cancel(handle_));
        static_cast<void>(tn_promise_release(detach()));
        return std::move(giver_);
    }

    /// Takes it and moves the array to a device: see `tn_promise_to_device`. The promise is empty afterwards; if this throws, it is
    /// unchanged.
    [[nodiscard]] array to_device(tenure::device where, const tenure::pool &from = {}, const stream &on = {},
                                  site place = site::here()) && {
        array out = detail::made<array>(place, tn_promise_to_device, handle_, where, from.handle(), on.handle());
        drop();
        return out;
    }

private:
    template <class A>
    friend promise give(A &&what, site place);
    template <class... P>
    friend std::array<array, sizeof...(P)> take_all(P &&...promises);
    friend std::vector<array> take_all(std::vector<promise> &&promises);
    template <class... P>
    friend scope<sizeof...(P)> enter(P &&...params);
    static void used(promise &one) noexcept { one.drop(); }
    static void used(const array &) noexcept {}

    using owner::detach;
    void drop() noexcept {
        // First the promise, which is cancelled if it was not taken; then the giver's handle, which is destructed if it was.
        owner::drop();
        giver_ = array();
    }

    // Kept until the end, because with option "strict" a given handle cannot be released.
    array giver_;
};

/// Gives an array away: `f(tenure::give(std::move(a)))`. The object is empty afterwards, also if f throws: the array is then released with
/// the promise. If `give` throws (the array has open guards of its own), the object is unchanged.
template <class A>
promise give(A &&what, site place) {
    static_assert(std::is_base_of_v<array, std::decay_t<A>>, "tenure::give gives an array");
    static_assert(!std::is_lvalue_reference_v<A>,
                  "tenure::give consumes the array: write give(std::move(a)), or pass a.clone() to keep a");
    static_assert(!std::is_const_v<std::remove_reference_t<A>>,
                  "tenure::give consumes the array: a const one cannot be given");
    detail::record(place);
    promise out;
    detail::check(tn_array_give(what.handle(), 1, &out.handle_));
    out.giver_ = array(std::move(what));
    return out;
}

/// Takes promises, all or none: an array for each. They are empty afterwards; if this throws, they are unchanged.
template <class... P>
[[nodiscard]] std::array<array, sizeof...(P)> take_all(P &&...promises) {
    static_assert((std::is_same_v<P, promise> && ...),
                  "tenure::take_all consumes promises: write take_all(std::move(p), std::move(q))");
    tn_promise *const handles[] = {promises.handle()...};
    tn_array *made[sizeof...(P)] = {};
    detail::check(tn_take(sizeof...(P), handles, made));
    std::array<array, sizeof...(P)> out;
    for (std::size_t at = 0; at < sizeof...(P); at++)
        out[at] = array::adopt(made[at]);
    (promises.drop(), ...);
    return out;
}

/// As above for a list: an array for each promise, in their order. The list is empty afterwards; if this throws, it is unchanged.
[[nodiscard]] inline std::vector<array> take_all(std::vector<promise> &&promises) {
    // Reserves all memory first, because taken arrays must be stored.
    std::vector<tn_promise *> handles;
    std::vector<tn_array *> made(promises.size());
    std::vector<array> out(promises.size());
    handles.reserve(promises.size());
    for (const promise &one : promises)
        handles.push_back(one.handle());
    detail::check(tn_take(handles.size(), handles.data(), made.data()));
    for (std::size_t at = 0; at < made.size(); at++)
        out[at] = array::adopt(made[at]);
    promises.clear();
    return out;
}

/// Takes one promise.
[[nodiscard]] inline array take(promise &&one, site place = site::here()) {
    detail::record(place);
    return std::move(take_all(std::move(one))[0]);
}

/// A parameter that a function may use up: `void f(tenure::taken x)`.
///
/// `f(give(std::move(a)))` moves ownership in: if the bytes have no other holder, f overwrites them in place. `f(a.clone())` lends: f gets
/// a claim beside the caller's. f need not know which. The parameter is an `array`; `return array(std::move(x));` returns it.
class taken : public array {
public:
    /// Takes the promise.
    taken(promise &&given, site place = site::here()) : array(take(std::move(given), place)) {}
    /// From a clone, or an array that is not needed any more.
    taken(array &&passed) noexcept : array(std::move(passed)) {}
    taken(const array &) = delete; // give(std::move(a)) moves ownership, a.clone() lends
    taken(taken &&) noexcept = default;
    taken &operator=(taken &&) noexcept = default;
};

/// A callee's own arrays of its parameters, all made together: `auto [m, d] = tenure::enter(x, std::move(p));`
///
/// A promise is taken as by `take`; a named array is lent, as a clone. The callee may release a parameter (`m = array()`), give it on or
/// write it, in both cases alike. The end of the scope, also by an exception, releases the rest. A parameter that was moved out (`return
/// std::move(m);`, `s.keep(0)`) belongs to its new owner and stays.
template <std::size_t Count>
class [[nodiscard]] scope {
public:
    scope(scope &&other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), entered_(other.entered_), arrays_(std::move(other.arrays_)) {}
    scope &operator=(scope &&other) noexcept {
        if (this != &other) {
            static_cast<void>(end());
            handle_ = std::exchange(other.handle_, nullptr);
            entered_ = other.entered_;
            arrays_ = std::move(other.arrays_);
        }
        return *this;
    }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    ~scope() { static_cast<void>(end()); }

    /// The parameter at this index; `assert` checks the index.
    array &operator[](std::size_t at) & noexcept { return assert(at < Count), arrays_[at]; }
    array &operator[](std::size_t at) && = delete; // the scope ends here: name it first
    /// The Index-th parameter, for structured bindings.
    template <std::size_t Index>
    array &get() noexcept {
        static_assert(Index < Count, "tenure::scope: so many parameters were not entered");
        return arrays_[Index];
    }
    /// Moves the parameter at this index out of the scope, for the callee to return.
    [[nodiscard]] array keep(std::size_t at) noexcept { return assert(at < Count), std::move(arrays_[at]); }
    /// The scope, not released.
    tn_scope *handle() const noexcept { return handle_; }
    /// Whether it is entered.
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /// Leaves now, and throws errors that the destructor would ignore: with option "strict" a parameter with open guards or exports is not
    /// released. Then nothing changes.
    void leave() {
        if (handle_ == nullptr)
            detail::refuse(TN_ERR_NULL, "%s", "tenure::scope::leave: the scope was left or moved from");
        detail::check(end());
    }

private:
    template <class... P>
    friend scope<sizeof...(P)> enter(P &&...params);
    scope(tn_scope *handle, const std::array<tn_array *, Count> &made) noexcept : handle_(handle), entered_(made) {
        for (std::size_t at = 0; at < Count; at++)
            arrays_[at] = array::adopt(made[at]);
    }
    static bool alive(tn_array *handle) noexcept {
        std::int32_t unique = 0;
        return tn_array_is_unique(handle, &unique) != TN_ERR_STALE;
    }
    tn_status end() noexcept {
        if (handle_ == nullptr)
            return TN_OK;
        tn_status status = TN_OK;
        std::size_t before = Count + 1, count = 0;
        do {
            // Of the parameters that were moved out, keeps those that are still live.
            std::array<tn_array *, Count> moved{};
            count = 0;
            for (std::size_t at = 0; at < Count; at++)
                if (arrays_[at].handle() != entered_[at] && alive(entered_[at]))
                    moved[count++] = entered_[at];
            if (count >= before)
                return status;
            before = count;
            status = tn_leave(handle_, count, moved.data());
            // If another thread released one meanwhile, there is one less to keep.
        } while (status == TN_ERR_STALE && count > 0);
        if (status != TN_OK)
            return status;
        handle_ = nullptr;
        for (std::size_t at = 0; at < Count; at++)
            if (arrays_[at].handle() == entered_[at])
                static_cast<void>(arrays_[at].detach());
        return TN_OK;
    }

    tn_scope *handle_ = nullptr;
    std::array<tn_array *, Count> entered_{};
    std::array<array, Count> arrays_;
};

/// Enters a scope: an array for each parameter, all or none. Named arrays are lent; promises are taken and empty afterwards. If this
/// throws, nothing changes.
template <class... P>
scope<sizeof...(P)> enter(P &&...params) {
    static_assert(((std::is_base_of_v<array, std::decay_t<P>> || std::is_same_v<std::decay_t<P>, promise>) && ...),
                  "tenure::enter takes arrays and promises");
    static_assert(((!std::is_base_of_v<array, std::decay_t<P>> || std::is_lvalue_reference_v<P>) && ...),
                  "tenure::enter lends named arrays: write give(std::move(a)) for one that is not needed any more");
    static_assert((std::is_lvalue_reference_v<P> + ... + 0) == (std::is_base_of_v<array, std::decay_t<P>> + ... + 0) &&
                      (!(std::is_const_v<std::remove_reference_t<P>> && std::is_same_v<std::decay_t<P>, promise>) &&
                       ...),
                  "tenure::enter consumes promises: write enter(std::move(p))");
    // One more than needed: there are no arrays of length 0.
    void *const handles[sizeof...(P) + 1] = {static_cast<void *>(params.handle())...};
    std::array<tn_array *, sizeof...(P)> made{};
    tn_scope *entered = nullptr;
    detail::check(tn_enter(sizeof...(P), handles, made.data(), &entered));
    (promise::used(params), ...);
    return scope<sizeof...(P)>(entered, made);
}

/* ================================================ shared variables ================================================ */

/// What became of a value that entered or left a shared variable.
struct crossing {
    tenure::how how = tenure::how::copied; ///< aliased or copied
    tenure::why why = tenure::why::none;   ///< the reasons for a copy in place of an alias
    /// Whether both sides share the bytes.
    bool is_alias() const noexcept { return how == tenure::how::aliased; }
};

namespace detail {

inline crossing to_crossing(const tn_crossing &from) noexcept {
    return {static_cast<how>(from.how), static_cast<why>(from.why)};
}
inline void tell(crossing *what, const tn_crossing &became) noexcept {
    if (what != nullptr)
        *what = to_crossing(became);
}

} // namespace detail

/// Options of a shared variable. The default name is that of the value.
class shared_options : public detail::bases::named_settings<shared_options, tn_shared_options> {
public:
    /// All defaults.
    shared_options() noexcept {}
    /// The device that keeps the value; default: that of the value at creation.
    shared_options &on(device where) noexcept { return set(c_.device, where); }
    /// The pool for copies of new values, of that device; default: the current one.
    shared_options &from(const pool &of) noexcept { return set(c_.pool, of.handle()); }
};

/// A shared variable: one array value that the library keeps. The value is constant while no call changes it, and what a caller got from
/// the variable never changes.
class shared : public detail::bases::owner<shared, tn_shared, tn_shared_release> {
public:
    /// No variable.
    shared() noexcept = default;
    /// A variable with a copy of the value, or with `flag::borrow` with its bytes.
    explicit shared(const array &value, flag flags = flag::copy, const shared_options &how = {}, crossing *what = nullptr,
                    site place = site::here()) {
        detail::record(place);
        create(value.handle(), flags, how, what);
    }
    /// A variable that takes the value over: its bytes move, and are copied only where an alias is impossible.
    explicit shared(array &&value, const shared_options &how = {}, crossing *what = nullptr, site place = site::here()) {
        detail::record(place);
        create(value.handle(), flag::take, how, what);
        value = array();
    }

    /// The value: a copy, or with `flag::borrow` an alias that cannot be written. `flag::raw` is on the variable's own device.
    [[nodiscard]] array get(flag flags = flag::copy, crossing *what = nullptr, site place = site::here()) const {
        tn_crossing became{};
        array out = detail::made<array>(place, [&](tn_array **made) {
            return tn_shared_get(handle_, static_cast<tn_borrow_flags>(flags), made, &became);
        });
        detail::tell(what, became);
        return out;
    }
    /// Replaces the value by a copy, or with `flag::borrow` by an alias. Element type and number of axes stay.
    void set(const array &value, flag flags = flag::copy, crossing *what = nullptr, site place = site::here()) {
        detail::record(place);
        store(value.handle(), flags, what);
    }
    /// Replaces the value, and takes the new one over.
    void set(array &&value, crossing *what = nullptr, site place = site::here()) {
        detail::record(place);
        store(value.handle(), flag::take, what);
        value = array();
    }
    /// Calls `body` with an array that has the value, and makes what it leaves there the value. By default this is a copy, which is dropped
    /// if `body` throws. With `flag::may_overwrite` it is the value itself, if nobody else holds it; if `body` then throws, the value is
    /// undefined until a set. An exception of `body` passes through.
    template <class F>
    void update(F &&body, flag flags = flag::copy, crossing *what = nullptr, site place = site::here()) {
        detail::record(place);
        call<std::remove_reference_t<F>> task{&body, {}};
        tn_crossing became{};
        const tn_status status = tn_shared_update(handle_, static_cast<tn_borrow_flags>(flags),
                                                  &call<std::remove_reference_t<F>>::run, &task, &became);
#if defined(__cpp_exceptions)
        if (task.thrown)
            std::rethrow_exception(task.thrown);
#endif
        detail::check(status);
        detail::tell(what, became);
    }

    /// All properties, in one call.
    tn_shared_info info() const { return detail::queried(tn_shared_query, handle_); }
    /// 1 at first; incremented by each successful set and update.
    std::uint64_t version() const { return info().version; }
    /// Its name; "" without one.
    std::string name() const { return info().name; }
    /// Element type.
    tenure::dtype dtype() const { return static_cast<tenure::dtype>(info().dtype); }
    /// Lengths in elements.
    dims shape() const { return detail::shape_of(info()); }
    /// The device that keeps the value.
    tenure::device device() const { return info().device; }
    /// The device of the value at creation.
    tenure::device home() const { return info().home; }

private:
    template <class F>
    struct call {
        F *body;
#if defined(__cpp_exceptions)
        std::exception_ptr thrown;
#else
        char thrown;
#endif
        static tn_status run(void *context, tn_array *handle) noexcept {
            call &self = *static_cast<call *>(context);
            array value = array::adopt(handle);
            tn_status status = TN_OK;
#if defined(__cpp_exceptions)
            try {
                (*self.body)(value);
            } catch (...) {
                self.thrown = std::current_exception();
                status = TN_ERR_FAILED;
            }
#else
            (*self.body)(value);
#endif
            // The library releases the handle.
            static_cast<void>(value.detach());
            return status;
        }
    };

    void create(tn_array *value, flag flags, const shared_options &how, crossing *what) {
        const tn_shared_options c = how.get();
        tn_crossing became{};
        detail::check(tn_shared_create(value, static_cast<tn_borrow_flags>(flags), &c, &handle_, &became));
        detail::tell(what, became);
    }
    void store(tn_array *value, flag flags, crossing *what) {
        tn_crossing became{};
        detail::check(tn_shared_set(handle_, value, static_cast<tn_borrow_flags>(flags), &became));
        detail::tell(what, became);
    }
};

/* ==================================================== mirrors ===================================================== */

/// A side of a mirror.
enum class side : tn_side {
    host = TN_SIDE_HOST,     ///< memory that the host can access
    device = TN_SIDE_DEVICE, ///< memory of a GPU
};

/// Options of a mirror. The default name is that of the object.
class mirror_options : public detail::bases::named_settings<mirror_options, tn_mirror_options> {
public:
    /// All defaults.
    mirror_options() noexcept {}
    /// The GPU of the device side; default: that of the object, else the first one.
    mirror_options &on(device gpu) noexcept { return set(c_.device, gpu); }
    /// The side with the contents at first; default: that of the object, else the host's.
    mirror_options &at(side first) noexcept { return set(c_.where, static_cast<tn_side>(first)); }
    /// The order of the memory that the mirror allocates; default: `order::c`.
    mirror_options &in(tenure::order order) noexcept { return set(c_.order, static_cast<tn_order>(order)); }
    /// The pools of the sides; default: the current ones.
    mirror_options &from(const pool &host, const pool &gpu) noexcept {
        c_.host_pool = host.handle();
        return set(c_.device_pool, gpu.handle());
    }
};

/// One array with a side on the host and a side on a GPU, which moves only when needed. A side is made valid by one transfer, when somebody
/// borrows or gets it. A writing borrow makes its side the only valid one.
class mirror : public detail::bases::owner<mirror, tn_mirror, tn_mirror_release> {
public:
    /// No mirror.
    mirror() noexcept = default;
    /// A mirror with a copy of the array, or with `flag::borrow` with the array as a side.
    explicit mirror(const array &object, flag flags = flag::copy, const mirror_options &how = {}, crossing *what = nullptr,
                    site place = site::here()) {
        detail::record(place);
        tn_mirror_options c = how.get();
        c.object = object.handle();
        c.borrow_flags = static_cast<tn_borrow_flags>(flags);
        tn_crossing became{};
        detail::check(tn_mirror_create(&c, &handle_, &became));
        detail::tell(what, became);
    }
    /// A mirror of undefined contents.
    explicit mirror(tenure::dtype type, const dims &shape, const mirror_options &how = {}, site place = site::here()) {
        detail::record(place);
        tn_mirror_options c = how.get();
        c.dtype = static_cast<tn_dtype>(type);
        c.ndim = static_cast<std::int32_t>(shape.size());
        c.shape = shape.data();
        detail::check(tn_mirror_create(&c, &handle_, nullptr));
    }

    /// Makes a side valid and opens a guard for reading it; throws DTYPE if the elements are not of type T.
    ///
    /// `on` orders the transfer, and on the device the reads; it must outlive the guard. Without it the call waits for its transfer.
    template <class T = void>
    read_guard<T> read(side which, const stream &on = {}, site place = site::here()) {
        return acquire<T, read_guard<T>>("read", which, TN_READ, on, place);
    }
    /// A stream that dies before the guard: does not compile.
    template <class T = void>
    read_guard<T> read(side which, stream &&on) = delete;
    /// Opens a guard for reading and writing. Its end makes the side the only valid one, and refreshes the other if somebody holds it.
    template <class T = void>
    write_guard<T> write(side which, const stream &on = {}, site place = site::here()) {
        return acquire<T, write_guard<T>>("write", which, TN_READ_WRITE, on, place);
    }
    /// A stream that dies before the guard: does not compile.
    template <class T = void>
    write_guard<T> write(side which, stream &&on) = delete;
    /// As `write`, for a caller that writes every element, so that no transfer is needed.
    template <class T = void>
    write_guard<T> overwrite(side which, const stream &on = {}, site place = site::here()) {
        return acquire<T, write_guard<T>>("overwrite", which, TN_WRITE, on, place);
    }
    /// A stream that dies before the guard: does not compile.
    template <class T = void>
    write_guard<T> overwrite(side which, stream &&on) = delete;

    /// The side as an array, made valid first. While it, or anything that descends from it, lives, the side is refreshed whenever the other
    /// one changes.
    [[nodiscard]] array get(side which, site place = site::here()) {
        return detail::made<array>(place, tn_mirror_get, handle_, static_cast<tn_side>(which));
    }
    /// Makes a side the only valid one, after code changed its bytes in a way that the library does not see.
    void mark_changed(side which) { detail::check(tn_mirror_mark_changed(handle_, static_cast<tn_side>(which))); }

    /// All properties, in one call.
    tn_mirror_info info() const { return detail::queried(tn_mirror_query, handle_); }
    /// Whether a side has the present contents.
    bool is_valid(side which) const { return (info().valid & static_cast<tn_side>(which)) != 0; }
    /// Its name; "" without one.
    std::string name() const { return info().name; }
    /// Element type.
    tenure::dtype dtype() const { return static_cast<tenure::dtype>(info().dtype); }
    /// Lengths in elements.
    dims shape() const { return detail::shape_of(info()); }
    /// The GPU of the device side.
    tenure::device device() const { return info().device; }

private:
    template <class T, class Guard>
    Guard acquire(const char *call, side which, tn_access access, const stream &on, const site &place) {
        if constexpr (!std::is_void_v<T>) {
            const tn_mirror_info is = this->info();
            if (is.dtype != static_cast<tn_dtype>(dtype_of<T>()))
                detail::refuse(TN_ERR_DTYPE, "tenure::mirror::%s: mirror '%s' has elements of type %s, not %s", call, is.name,
                               name_of(static_cast<tenure::dtype>(is.dtype)), name_of(dtype_of<T>()));
        }
        detail::record(place);
        tn_view_info info;
        tn_borrow *borrow = nullptr;
        detail::check(tn_mirror_acquire(handle_, static_cast<tn_side>(which), access, on.handle(), nullptr, &info, &borrow));
        // The host is done with the bytes when its guard ends.
        return Guard(info, detail::borrowed(borrow, which == side::host ? nullptr : on.handle()));
    }
};

/* ==================================================== kernels ===================================================== */

/// A kernel that `launch` can run: code of a GPU, from `module::function` or another library, or a function of the host.
class kernel {
public:
    /// No kernel.
    kernel() noexcept = default;
    /// A CUfunction, which belongs to its module.
    explicit kernel(void *function) noexcept : function_(function) {}
    /// A function of the host, called once for each block.
    explicit kernel(tn_host_kernel function) noexcept : host_(function) {}
    /// The CUfunction; nullptr for one of the host.
    void *native() const noexcept { return function_; }
    /// The function of the host, or nullptr.
    tn_host_kernel host() const noexcept { return host_; }
    /// Whether there is one.
    explicit operator bool() const noexcept { return function_ != nullptr || host_ != nullptr; }

private:
    void *function_ = nullptr;
    tn_host_kernel host_ = nullptr;
};

/// How `module::compile` compiles. The name of the module is in the compiler's log too.
class compile_options : public detail::bases::named_settings<compile_options, tn_module_options> {
public:
    /// "compute_80" makes PTX, "sm_80" a cubin; default: PTX for the oldest of the GPUs.
    compile_options &arch(std::string text) { return set(arch_, std::move(text)); }
    /// One more option of NVRTC, such as "-DTILE=16".
    compile_options &option(std::string text) {
        options_.push_back(std::move(text));
        return *this;
    }

private:
    friend class module;
    using named_settings::get; // without the lists, which `module` adds
    std::string arch_;
    std::vector<std::string> options_;
};

/// Device code with kernels. Each GPU loads it when `function` first needs it there, and unloads it after the end of this object, once the
/// kernels that were launched before are done.
class module : public detail::bases::owner<module, tn_module, tn_module_release> {
public:
    /// No module.
    module() noexcept {}
    /// From an image, which is copied: PTX, a whole cubin or a whole fatbin.
    static module load(const void *image, std::size_t bytes, const std::string &name = {}, site place = site::here()) {
        tn_module_options options{};
        options.size = sizeof options;
        options.name = name.empty() ? nullptr : name.c_str();
        return detail::made<module>(place, tn_module_load, image, bytes, &options);
    }
    /// As above, from PTX as text.
    static module load(const std::string &ptx, const std::string &name = {}, site place = site::here()) {
        return load(ptx.data(), ptx.size(), name, place);
    }
    /// Compiles CUDA C++ with NVRTC; throws UNSUPPORTED without it, FAILED if the program has errors. `log`: the compiler's log, at most
    /// 64 KiB of it, is written there, also after a failure.
    static module compile(const std::string &source, const compile_options &how = {}, std::string *log = nullptr,
                          site place = site::here()) {
        detail::record(place);
        std::vector<const char *> texts;
        texts.reserve(how.options_.size());
        for (const std::string &option : how.options_)
            texts.push_back(option.c_str());
        if (log != nullptr)
            log->assign(std::size_t{64} << 10, '\0');
        std::size_t length = 0;
        tn_module_options options = how.get();
        options.arch = how.arch_.empty() ? nullptr : how.arch_.c_str();
        options.options = texts.data();
        options.n_options = texts.size();
        options.log = log == nullptr ? nullptr : log->data();
        options.log_capacity = log == nullptr ? 0 : log->size();
        options.log_length = &length;
        tn_module *made = nullptr;
        const tn_status status = tn_module_compile(source.c_str(), &options, &made);
        if (log != nullptr)
            log->resize(length < log->size() ? length : log->size() - 1);
        detail::check(status);
        return adopt(made);
    }

    /// A kernel on a GPU, by the name that it has there: declare it extern "C". Valid as long as this object; no longer after a reset of the
    /// GPU's primary context.
    kernel function(const std::string &name, device gpu = device::cuda()) const {
        void *found = nullptr;
        detail::check(tn_module_function(handle_, name.c_str(), gpu, &found));
        return kernel(found);
    }
};

/// One mirror for `launch`, made by `reads`, `writes` or `overwrites`.
template <class T>
struct mirror_spec {
    const mirror *what; ///< the mirror
    tn_access access;   ///< TN_READ, TN_READ_WRITE or TN_WRITE
    std::int32_t ndim;  ///< the axes that it must have
};

/// For reading: the kernel's side is made valid first.
template <class T, std::int32_t Ndim = 1>
[[nodiscard]] mirror_spec<const T> reads(mirror &what) noexcept {
    return {&what, TN_READ, Ndim};
}
/// For reading and writing.
template <class T, std::int32_t Ndim = 1>
[[nodiscard]] mirror_spec<T> writes(mirror &what) noexcept {
    return {&what, TN_READ_WRITE, Ndim};
}
/// For overwriting every element, so that no transfer is needed.
template <class T, std::int32_t Ndim = 1>
[[nodiscard]] mirror_spec<T> overwrites(mirror &what) noexcept {
    return {&what, TN_WRITE, Ndim};
}

/// An array of which a kernel gets the address alone, made by `address_of`.
template <class T>
struct address_spec {
    access_spec<T> of; ///< the array
};

/// For a kernel with a parameter `T *`. The array must be C-contiguous.
template <class T>
[[nodiscard]] address_spec<T> address_of(access_spec<T> array) noexcept {
    return {array};
}

namespace detail {

/// A value, of which the kernel gets a copy.
template <class V>
tn_arg kernel_argument(const V &value) {
    static_assert(!std::is_base_of_v<array, V> && !std::is_same_v<V, mirror>,
                  "tenure::launch: say what the kernel does with it: reads<T>(x), writes<T>(x) or overwrites<T>(x)");
    static_assert(std::is_trivially_copyable_v<V>, "tenure::launch: a kernel gets the bytes of a value");
    tn_arg out{};
    out.kind = TN_ARG_VALUE;
    out.what = &value;
    out.bytes = sizeof value;
    return out;
}
/// An array, as `tn_view<T, N>`; the library refuses one with other than N axes.
template <class T>
tn_arg kernel_argument(const access_spec<T> &given) {
    must_be<T>(*given.what, "launch");
    tn_arg out{};
    out.kind = TN_ARG_ARRAY;
    out.access = given.access;
    out.ndim = given.ndim < 0 ? 1 : given.ndim;
    out.what = given.what->handle();
    return out;
}
/// The address of an array.
template <class T>
tn_arg kernel_argument(const address_spec<T> &given) {
    must_be<T>(*given.of.what, "launch");
    tn_arg out{};
    out.kind = TN_ARG_POINTER;
    out.access = given.of.access;
    out.what = given.of.what->handle();
    return out;
}
/// A mirror, as an array.
template <class T>
tn_arg kernel_argument(const mirror_spec<T> &given) {
    const tn_mirror_info is = given.what->info();
    if constexpr (!std::is_void_v<T>) {
        using element = std::remove_const_t<T>;
        if (is.dtype != static_cast<tn_dtype>(dtype_of<element>()))
            refuse(TN_ERR_DTYPE, "tenure::launch: mirror '%s' has elements of type %s, not %s", is.name,
                   name_of(static_cast<tenure::dtype>(is.dtype)), name_of(dtype_of<element>()));
    }
    tn_arg out{};
    out.kind = TN_ARG_MIRROR;
    out.access = given.access;
    out.ndim = given.ndim;
    out.what = given.what->handle();
    return out;
}

} // namespace detail

/// Blocks of a launch, or threads of a block, in three directions: `{64}`, `{8, 8}`.
struct extents {
    std::uint32_t x = 1; ///< the first direction
    std::uint32_t y = 1; ///< the second
    std::uint32_t z = 1; ///< the third
};

/// What a launch runs, and how often: `launch_config(scale, {blocks}, {256}).on(s)`.
class launch_config : public detail::bases::settings<launch_config, tn_launch_config> {
public:
    /// `grid` blocks with `block` threads each.
    launch_config(const kernel &code, extents grid, extents block, site place = site::here()) noexcept : place_(place) {
        c_.size = sizeof c_;
        c_.function = code.native();
        c_.host_function = code.host();
        const std::uint32_t sizes[2][3] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}};
        std::memcpy(c_.grid, sizes[0], sizeof c_.grid);
        std::memcpy(c_.block, sizes[1], sizeof c_.block);
    }
    /// The stream that runs it, which must exist at the launch; default: the current one, for which the launch waits.
    launch_config &on(const stream &where) noexcept { return set(c_.stream, where.handle()); }
    /// Bytes of dynamic block memory of each block.
    launch_config &block_bytes(std::int64_t bytes) noexcept { return set(c_.block_bytes, bytes); }
    /// The struct of C, valid as long as the kernel and the stream.
    const tn_launch_config &get() const noexcept { return c_; }
    /// The site of the launch.
    site place() const noexcept { return place_; }

private:
    site place_;
};

/// Launches a kernel, which borrows its arguments: `launch({scale, {n / 256}, {256}}, writes<float>(y), reads<float>(x), 2.0f);`
///
/// An array or a mirror is passed with what the kernel does with it, as in `access_all`, and with the N of the kernel's `tn_view<T, N>` if
/// that is not 1: `reads<float, 2>(m)`. An array with another number of axes throws SHAPE: the kernel would take its lengths for strides.
/// `address_of` passes the address of an array with any number of axes. Anything else is passed by value, with the size of its C++ type. All checks come before the launch, and a launch that throws leaves no borrow.
template <class... A>
void launch(const launch_config &how, const A &...arguments) {
    // One more than needed: there are no arrays of length 0.
    const tn_arg list[sizeof...(A) + 1] = {detail::kernel_argument(arguments)...};
    detail::record(how.place());
    detail::check(tn_launch(&how.get(), sizeof...(A), list));
}

/* ================================================== expressions =================================================== */

/// The effect of a failing `compute`.
enum class on_failure : tn_compute_flags {
    poison = 0,             ///< the expression cannot be computed any more, and its operands are released
    keep = TN_KEEP_ON_FAIL, ///< nothing changes; `compute` makes a copy instead of overwriting operands
};

/// The format of `lazy::explain`.
enum class explanation : tn_explain_format {
    text = TN_EXPLAIN_TEXT, ///< a line for each operation
    dot = TN_EXPLAIN_DOT,   ///< a graph for Graphviz
};

/// A part of LU factors, for `lazy::part`.
enum class lu_part : tn_lu_part {
    p = TN_LU_P, ///< the permutation, a full matrix
    l = TN_LU_L, ///< the lower triangle, with a diagonal of ones
    u = TN_LU_U, ///< the upper triangle
};

/// A lazy expression: computed once, by `compute`, which overwrites operands without other holders.
///
/// `(lazy(std::move(k)) + diagonal(d)).cholesky().compute()`: an operand that is moved in, or is a temporary, belongs to the expression
/// alone and may be overwritten by the result. A named operand stays its owner's and is not overwritten.
class [[nodiscard]] lazy : public detail::bases::owner<lazy, tn_expr, tn_expr_release> {
public:
    /// No expression.
    lazy() noexcept = default;
    /// A leaf. The array stays the caller's, so it is not overwritten.
    explicit lazy(const array &what, form as = form::of_handle, site place = site::here()) {
        detail::record(place);
        detail::check(tn_expr_leaf(what.handle(), static_cast<std::uint32_t>(as), &handle_));
    }
    /// A leaf that takes the array's claim. If this throws, the array is unchanged.
    explicit lazy(array &&what, form as = form::of_handle, site place = site::here())
        : lazy(static_cast<const array &>(what), as, place) {
        what = array();
    }
    /// A leaf of a given array.
    explicit lazy(promise &&given, form as = form::of_handle, site place = site::here())
        : lazy(take(std::move(given), place), as, place) {}
    lazy(lazy &&) noexcept = default;
    lazy &operator=(lazy &&) noexcept = default;
    lazy(const lazy &) = delete; // an operand can stand in several expressions as it is: name it, and do not move it
    lazy &operator=(const lazy &) = delete; // as above
    ~lazy() = default;

    /// The value, computed now if necessary. The expression keeps it too.
    [[nodiscard]] array compute(on_failure then = on_failure::poison, site place = site::here()) const & {
        return detail::made<array>(place, tn_expr_compute, handle_, static_cast<std::uint32_t>(then));
    }
    /// As above for an expression that is not needed any more: the value belongs to the array alone.
    [[nodiscard]] array compute(on_failure then = on_failure::poison, site place = site::here()) && {
        array out = static_cast<const lazy &>(*this).compute(then, place);
        drop();
        return out;
    }
    /// What `compute` would do now: for each operation whether its result overwrites an operand, or why not.
    [[nodiscard]] std::string explain(explanation as = explanation::text) const {
        return detail::text_of([&](std::size_t capacity, char *text, std::size_t *length) {
            return tn_expr_explain(handle_, static_cast<std::uint32_t>(as), capacity, text, length);
        });
    }

    /// The lower Cholesky factor.
    lazy cholesky() const & { return detail::output<lazy>(tn_expr_cholesky, handle_); }
    /// As above for an expression that is not needed any more.
    lazy cholesky() && { return used(*this, static_cast<const lazy &>(*this).cholesky()); }
    /// The LU factors: `solve(f, b)` with one `f` for several b factors once. `f * x`, `f.transpose()` and `f.part(..)` use them too.
    lazy lu() const & { return detail::output<lazy>(tn_expr_lu, handle_); }
    /// As above for an expression that is not needed any more.
    lazy lu() && { return used(*this, static_cast<const lazy &>(*this).lu()); }
    /// A part of LU factors: the matrix is `f.part(lu_part::p) * f.part(lu_part::l) * f.part(lu_part::u)`.
    lazy part(lu_part which) const & {
        return detail::output<lazy>(tn_expr_lu_part, handle_, static_cast<tn_lu_part>(which));
    }
    /// As above for factors that are not needed any more.
    lazy part(lu_part which) && { return used(*this, static_cast<const lazy &>(*this).part(which)); }
    /// The transpose, a view of the same bytes.
    lazy transpose() const & { return detail::output<lazy>(tn_expr_transpose, handle_); }
    /// As above for an expression that is not needed any more.
    lazy transpose() && { return used(*this, static_cast<const lazy &>(*this).transpose()); }
    /// All elements of the matrix, with the zeros of its form. A copy of them is counted in the statistics of copies.
    lazy dense() const & { return detail::output<lazy>(tn_expr_dense, handle_); }
    /// As above for an expression that is not needed any more.
    lazy dense() && { return used(*this, static_cast<const lazy &>(*this).dense()); }
    /// The sum over an axis.
    lazy sum(std::int32_t axis) const & { return detail::output<lazy>(tn_expr_sum, handle_, axis); }
    /// As above for an expression that is not needed any more.
    lazy sum(std::int32_t axis) && { return used(*this, static_cast<const lazy &>(*this).sum(axis)); }
    /// The lengths of the axes of the array that `compute` makes.
    [[nodiscard]] dims shape() const { return detail::shape_of(info()); }
    /// The element type of that array.
    [[nodiscard]] tenure::dtype dtype() const { return static_cast<tenure::dtype>(info().dtype); }
    /// The sum over all axes.
    lazy sum() const & { return sum(TN_ALL_AXES); }
    /// As above for an expression that is not needed any more.
    lazy sum() && { return std::move(*this).sum(TN_ALL_AXES); }

private:
    [[nodiscard]] tn_expr_info info() const { return detail::queried(tn_expr_query, handle_); }
    static lazy used(lazy &operand, lazy &&result) noexcept {
        operand.drop();
        return std::move(result);
    }
};

/// Whether T is an expression, named or not.
template <class X>
inline constexpr bool is_lazy = std::is_same_v<std::remove_cv_t<std::remove_reference_t<X>>, lazy>;

class matrix;

namespace detail {

/// The expression of an operand: itself, or a leaf of an array.
inline const lazy &operand(const lazy &x) noexcept { return x; }
inline lazy operand(const array &x) { return output<lazy>(tn_expr_leaf, x.handle(), TN_FORM_OF_HANDLE); }

// A temporary operand is released as soon as it is part of the expression, because its value is kept as long as it has a handle.
template <class X>
void let_go([[maybe_unused]] X &&x) noexcept {
    if constexpr (!std::is_lvalue_reference_v<X> && !std::is_const_v<std::remove_reference_t<X>>) {
        using handle = std::conditional_t<is_lazy<X>, lazy, array>;
        handle &owner = x;
        owner = handle();
    }
}

template <class X, class Y, class Call>
lazy combined(X &&x, Y &&y, Call call) {
    const lazy &left = operand(x), &right = operand(y);
    lazy out = output<lazy>(call, left.handle(), right.handle());
    let_go(std::forward<X>(x));
    let_go(std::forward<Y>(y));
    return out;
}

template <class X, class Call>
lazy changed(X &&x, Call call) {
    const lazy &of = operand(x);
    lazy out = output<lazy>(call, of.handle());
    let_go(std::forward<X>(x));
    return out;
}

/// The value of a temporary expression. The site is the thread's last one, because operators have no parameter for it.
inline array value_of(lazy &&of) {
    return output<array>(tn_expr_compute, of.handle(), static_cast<tn_compute_flags>(on_failure::poison));
}

template <class X>
lazy elementwise(tn_expr_op operation, X &&x) {
    return changed(std::forward<X>(x),
                   [&](tn_expr *of, tn_expr **out) { return tn_expr_elementwise(operation, of, nullptr, out); });
}

template <class X, class Y>
lazy elementwise(tn_expr_op operation, X &&x, Y &&y) {
    return combined(std::forward<X>(x), std::forward<Y>(y), [&](tn_expr *left, tn_expr *right, tn_expr **out) {
        return tn_expr_elementwise(operation, left, right, out);
    });
}

/// Whether operators of X are lazy.
template <class X>
inline constexpr bool is_operand = is_lazy<X> || std::is_same_v<std::decay_t<X>, matrix>;

template <class... X>
using if_lazy = std::enable_if_t<(is_operand<X> && ...)>;

/// Whether X is an array whose product with an expression is computed at once.
template <class X>
using if_array = std::enable_if_t<std::is_base_of_v<array, std::decay_t<X>> && !is_operand<X>>;

} // namespace detail

/// A matrix: an array whose operators are those of linear algebra, and lazy.
///
/// `matrix l((m + matrix::diagonal(d)).cholesky().compute())`: `+`, `-`, `*` with a number and `*` with a matrix build a `lazy`, as do
/// `cholesky()`, `lu()` and `transpose()`. A product with, or a solution for, an `array` (a vector, or vectors side by side) is computed at once:
/// `m * u`, `solve(m, u)`. A matrix that is moved in belongs to the expression, which may overwrite it; a named one stays unchanged.
///
/// A function with parameters of type `matrix` is called with `give(std::move(m))` or `std::move(m)` to give a matrix, with `m.clone()` to
/// lend it.
class matrix : public array {
public:
    /// No matrix.
    matrix() noexcept = default;
    /// From an array that is moved in, or is a clone: `matrix m(std::move(a))`. Without `as` it keeps its form, but `full` becomes
    /// `form::matrix`. If this throws, the array is unchanged.
    explicit matrix(array &&what, tenure::form as = form::of_handle, site = site::here()) : array(formed(what, as)) {}
    /// One more claim on the bytes of an array, which stays the caller's.
    explicit matrix(const array &what, tenure::form as = form::of_handle, site place = site::here())
        : matrix(what.clone(place), as) {}
    /// Takes the promise.
    matrix(promise &&given, tenure::form as = form::of_handle, site place = site::here())
        : matrix(take(std::move(given), place), as) {}
    matrix(matrix &&) noexcept = default;
    matrix &operator=(matrix &&) noexcept = default;
    matrix(const matrix &) = delete;            // std::move(m) and give(std::move(m)) move ownership, m.clone() lends
    matrix &operator=(const matrix &) = delete; // as above
    ~matrix() = default;

    /// A vector as the diagonal of a matrix that is 0 elsewhere. Arrays are moved in or, by name, share their bytes.
    template <class A>
    [[nodiscard]] static matrix diagonal(A &&vector, site place = site::here()) {
        return matrix(std::forward<A>(vector), form::diagonal, place);
    }
    /// A square array whose elements above the diagonal count as 0.
    template <class A>
    [[nodiscard]] static matrix lower(A &&square, site place = site::here()) {
        return matrix(std::forward<A>(square), form::lower, place);
    }
    /// A square array whose elements below the diagonal count as 0.
    template <class A>
    [[nodiscard]] static matrix upper(A &&square, site place = site::here()) {
        return matrix(std::forward<A>(square), form::upper, place);
    }
    /// The identity matrix of n rows, as a diagonal of n ones.
    template <class T>
    [[nodiscard]] static matrix identity(std::int64_t n, const options &how = {}, site place = site::here()) {
        return matrix(tenure::identity<T>(n, how, place));
    }

    /// Another claim on these bytes.
    [[nodiscard]] matrix clone(site place = site::here()) const { return matrix(array::clone(place)); }
    /// New bytes with the same elements.
    [[nodiscard]] matrix copy(const tenure::pool &from = {}, const stream &on = {}, site place = site::here()) const {
        return matrix(array::copy(from, on, place));
    }

    /// The lower Cholesky factor.
    lazy cholesky() const & { return detail::changed(*this, tn_expr_cholesky); }
    /// As above for a matrix that is not needed any more.
    lazy cholesky() && { return detail::changed(std::move(*this), tn_expr_cholesky); }
    /// The LU factors: `lazy f = m.lu()`, then `solve(f, b)` for each b.
    lazy lu() const & { return detail::changed(*this, tn_expr_lu); }
    /// As above for a matrix that is not needed any more.
    lazy lu() && { return detail::changed(std::move(*this), tn_expr_lu); }
    /// The transpose, a view of the same bytes.
    lazy transpose() const & { return detail::changed(*this, tn_expr_transpose); }
    /// As above for a matrix that is not needed any more.
    lazy transpose() && { return detail::changed(std::move(*this), tn_expr_transpose); }

private:
    // Sets the form first, so that a refused array is not lost.
    static array &&formed(array &from, tenure::form as) {
        if (as != form::of_handle)
            from.set_form(as);
        else if (from && from.form() == form::full)
            from.set_form(form::matrix);
        return std::move(from);
    }
};

/// A vector as the diagonal of a matrix that is 0 elsewhere.
template <class A>
lazy diagonal(A &&vector, site place = site::here()) {
    return lazy(std::forward<A>(vector), form::diagonal, place);
}
/// A square matrix whose elements above the diagonal count as 0.
template <class A>
lazy lower(A &&square, site place = site::here()) {
    return lazy(std::forward<A>(square), form::lower, place);
}
/// A square matrix whose elements below the diagonal count as 0.
template <class A>
lazy upper(A &&square, site place = site::here()) {
    return lazy(std::forward<A>(square), form::upper, place);
}

/// The sum.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy operator+(X &&x, Y &&y) {
    return detail::combined(std::forward<X>(x), std::forward<Y>(y), tn_expr_add);
}
/// The difference.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy operator-(X &&x, Y &&y) {
    return detail::combined(std::forward<X>(x), std::forward<Y>(y), tn_expr_subtract);
}
/// The matrix product of a matrix and a matrix or vector; `multiply` is the element-wise product.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy operator*(X &&m, Y &&x) {
    return detail::combined(std::forward<X>(m), std::forward<Y>(x), tn_expr_multiply);
}
/// The product of a matrix and an array, computed at once. It may overwrite an array that is moved in, which a failing computation releases.
template <class X, class A, class = detail::if_lazy<X>, class = detail::if_array<A>>
[[nodiscard]] array operator*(X &&m, A &&x) {
    return detail::value_of(detail::combined(std::forward<X>(m), std::forward<A>(x), tn_expr_multiply));
}
/// A number times an expression.
template <class X, class = detail::if_lazy<X>>
lazy operator*(double factor, X &&x) {
    return detail::changed(std::forward<X>(x),
                           [&](tn_expr *of, tn_expr **out) { return tn_expr_scale(of, factor, out); });
}
/// An expression times a number.
template <class X, class = detail::if_lazy<X>>
lazy operator*(X &&x, double factor) {
    return factor * std::forward<X>(x);
}
/// The negative.
template <class X, class = detail::if_lazy<X>>
lazy operator-(X &&x) {
    return detail::elementwise(TN_EXPR_NEGATE, std::forward<X>(x));
}
/// The solution x of m * x = b.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy solve(X &&m, Y &&b) {
    return detail::combined(std::forward<X>(m), std::forward<Y>(b), tn_expr_solve);
}
/// As above for an array, computed at once. It may overwrite an array that is moved in, which a failing computation releases.
template <class X, class A, class = detail::if_lazy<X>, class = detail::if_array<A>>
[[nodiscard]] array solve(X &&m, A &&b, site place = site::here()) {
    detail::record(place);
    return detail::value_of(detail::combined(std::forward<X>(m), std::forward<A>(b), tn_expr_solve));
}
/// The element-wise product.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy multiply(X &&x, Y &&y) {
    return detail::elementwise(TN_EXPR_MULTIPLY, std::forward<X>(x), std::forward<Y>(y));
}
/// The element-wise quotient.
template <class X, class Y, class = detail::if_lazy<X, Y>>
lazy divide(X &&x, Y &&y) {
    return detail::elementwise(TN_EXPR_DIVIDE, std::forward<X>(x), std::forward<Y>(y));
}
/// The square roots of the elements.
template <class X, class = detail::if_lazy<X>>
lazy sqrt(X &&x) {
    return detail::elementwise(TN_EXPR_SQRT, std::forward<X>(x));
}
/// e to the power of the elements.
template <class X, class = detail::if_lazy<X>>
lazy exp(X &&x) {
    return detail::elementwise(TN_EXPR_EXP, std::forward<X>(x));
}
/// The natural logarithms of the elements.
template <class X, class = detail::if_lazy<X>>
lazy log(X &&x) {
    return detail::elementwise(TN_EXPR_LOG, std::forward<X>(x));
}

/* =================================================== functions ==================================================== */

namespace detail::bases {

/// The base of a declared input or output of a function.
template <class Self, class C>
class declared : public settings<Self, C> {
public:
    /// Only this element type; default: any.
    Self &dtype(tenure::dtype type) noexcept { return this->set(this->c_.dtype, static_cast<tn_dtype>(type)); }
    /// Only this number of axes; default: any.
    Self &ndim(std::int32_t axes) noexcept { return this->set(this->c_.ndim, axes); }
    /// The device on which the body gets an input, or the caller an output; default: where it is.
    Self &on(device where) noexcept { return this->set(this->c_.device, where); }

protected:
    declared(const char *name, flag flags) noexcept {
        this->c_.name = name;
        this->c_.flags = static_cast<tn_borrow_flags>(flags);
        this->c_.ndim = -1;
    }
};

} // namespace detail::bases

/// An input of a function: `tenure::in("x")`, or `tenure::in(w)` for the value of a shared variable, which is no argument of the calls.
///
/// The flags: `borrow`, `require_borrow`, `may_overwrite`, `take`, `raw`, `strict`.
class in : public detail::bases::declared<in, tn_in> {
public:
    /// An argument without a name.
    explicit in(flag flags = flag::copy) noexcept : declared(nullptr, flags) {}
    /// An argument. The name appears in messages.
    in(const char *name, flag flags = flag::copy) noexcept : declared(name, flags) {}
    /// The value of a variable at the time of the call. The function keeps the variable alive.
    in(const shared &variable, flag flags = flag::copy) noexcept : in(flags) { c_.shared = variable.handle(); }
    /// The value of an omitted argument. The function copies it.
    in &value(const array &by_default) noexcept { return set(c_.default_value, by_default.handle()); }
};

/// An output of a function: `tenure::out("loss")`.
///
/// The flags: `borrow`, `require_borrow`, `raw`, `reuse`.
class out : public detail::bases::declared<out, tn_out> {
public:
    /// An output without a name.
    explicit out(flag flags = flag::copy) noexcept : declared(nullptr, flags) {}
    /// An output. The name appears in messages.
    out(const char *name, flag flags = flag::copy) noexcept : declared(name, flags) {}
};

/// A shared variable that each call of a function gives a new value: `tenure::update(w)`.
///
/// The flags: `may_overwrite`: the body finds the value itself, or a copy if another holder needs it. `reuse`: it finds a buffer of an
/// earlier call, if there is one, with undefined contents.
class update : public detail::bases::settings<update, tn_update> {
public:
    /// The function keeps the variable alive.
    update(const shared &target, flag flags = flag::copy) noexcept {
        c_.target = target.handle();
        c_.flags = static_cast<tn_borrow_flags>(flags);
    }
};

/// What became of the values of a call.
struct crossings {
    std::vector<crossing> in;                    ///< one for each argument
    std::vector<crossing> out;                   ///< one for each output
    std::vector<crossing> shared;                ///< one for each input that is the value of a variable
    std::vector<std::optional<crossing>> update; ///< one for each update; none: the variable stays as it was
};

/// What a body works on that takes any number of arrays: `[](tenure::places &at) { at.out[0] = at.in[0].copy(); }`.
struct places {
    span<array> in;     ///< the inputs, also the implicit ones
    span<array> out;    ///< the outputs: empty arrays, or spare buffers; the body leaves an array in each
    span<array> update; ///< the new values: as `out`, or the values themselves; an empty array changes nothing
};

namespace detail {

template <class R, class... A>
struct signature {
    using result = R;
    template <std::size_t Index>
    using parameter = std::tuple_element_t<Index, std::tuple<A...>>;
    static constexpr std::size_t count = sizeof...(A);
    static constexpr bool has_lazy = (is_lazy<A> || ...);
    static constexpr bool has_places = (std::is_same_v<std::decay_t<A>, places> || ...);
    template <class Box>
    static constexpr bool takes_only =
        ((std::is_same_v<Box, std::decay_t<A>> || (std::is_same_v<Box, array> && std::is_same_v<taken, A>)) && ...);
};

template <class Member>
struct member_signature;
template <class C, class R, class... A>
struct member_signature<R (C::*)(A...)> : signature<R, A...> {};
template <class C, class R, class... A>
struct member_signature<R (C::*)(A...) const> : signature<R, A...> {};
template <class C, class R, class... A>
struct member_signature<R (C::*)(A...) noexcept> : signature<R, A...> {};
template <class C, class R, class... A>
struct member_signature<R (C::*)(A...) const noexcept> : signature<R, A...> {};

/// The result and the parameters of a callable, which has one signature.
template <class F, class = void>
struct signature_of {
    static_assert(sizeof(F) == 0,
                  "tenure::function: the callable's parameters must have types: const tenure::array &, not auto");
};
template <class R, class... A>
struct signature_of<R (*)(A...), void> : signature<R, A...> {};
template <class R, class... A>
struct signature_of<R (*)(A...) noexcept, void> : signature<R, A...> {};
template <class F>
struct signature_of<F, std::void_t<decltype(&F::operator())>> : member_signature<decltype(&F::operator())> {};

/// The results of a body as a tuple of references.
template <class R>
struct results_of {
    static_assert(std::is_base_of_v<array, R> || is_lazy<R>,
                  "tenure::function: the callable returns arrays, expressions, or a tuple of them, by value");
    static constexpr std::size_t count = 1;
    static auto all(R &one) noexcept { return std::tie(one); }
};
template <>
struct results_of<void> {
    static constexpr std::size_t count = 0;
};
template <class... R>
struct results_of<std::tuple<R...>> {
    static_assert(((std::is_base_of_v<array, R> || is_lazy<R>) && ...),
                  "tenure::function: the callable returns a tuple of arrays and expressions");
    static constexpr std::size_t count = sizeof...(R);
    static auto &all(std::tuple<R...> &tuple) noexcept { return tuple; }
};
template <class X, std::size_t Count>
struct results_of<std::array<X, Count>> {
    static_assert(std::is_base_of_v<array, X> || is_lazy<X>,
                  "tenure::function: the callable returns an array of arrays or of expressions");
    static constexpr std::size_t count = Count;
    static auto &all(std::array<X, Count> &results) noexcept { return results; }
};
template <class A, class B>
struct results_of<std::pair<A, B>> : results_of<std::tuple<A, B>> {
    static auto all(std::pair<A, B> &pair) noexcept { return std::tie(pair.first, pair.second); }
};

/// What a callable gets for a parameter of this type: a reference, or a value that is moved into it.
template <class Parameter, class Box>
decltype(auto) passed_as(Box &box) noexcept {
    if constexpr (std::is_same_v<Parameter, taken>)
        return taken(std::move(box));
    else
        return static_cast<Parameter &&>(box);
}

/// A result as what the library expects.
template <class Box, class X>
Box result_as(X &&x) {
    if constexpr (std::is_same_v<Box, array> && is_lazy<X>)
        return std::move(x).compute();
    else
        return Box(std::move(x));
}

/// A call that waits for its body, which stores the exception that it throws here, because it must not pass through C.
struct waiting_call {
    const tn_function *function;
#if defined(__cpp_exceptions)
    std::exception_ptr thrown;
#endif

    /// The innermost one of this thread whose body has not begun.
    static waiting_call *&innermost() noexcept {
        thread_local waiting_call *call = nullptr;
        return call;
    }
};

/// Runs the body of a function, and returns the status that says what it threw.
template <class Work>
tn_status run_body([[maybe_unused]] const tn_function *function, Work work) noexcept {
#if defined(__cpp_exceptions)
    waiting_call *call = waiting_call::innermost();
    // The call is another one if a C caller called this function.
    if (call != nullptr && call->function == function)
        waiting_call::innermost() = nullptr;
    else
        call = nullptr;
    const auto failed = [&](tn_status status) {
        if (call != nullptr)
            call->thrown = std::current_exception();
        return status;
    };
    try {
        work();
        return TN_OK;
    } catch (const error &e) {
        return failed(e.status());
    } catch (const std::bad_alloc &) {
        return failed(TN_ERR_NO_HOST_MEMORY);
    } catch (...) {
        return failed(TN_ERR_FAILED);
    }
#else
    work();
    return TN_OK;
#endif
}

/// What a function has of its callable, however that is called.
struct body_base {
    std::size_t n_in, n_out, n_update;
    tn_function *function = nullptr;
};

/// A callable with a parameter for each array.
template <class F, bool = signature_of<F>::has_places>
struct body : body_base {
    using sign = signature_of<F>;
    using result = typename sign::result;
    /// Expressions, or arrays.
    using box = std::conditional_t<sign::has_lazy, lazy, array>;
    using pointer = std::conditional_t<sign::has_lazy, tn_expr *, tn_array *>;
    static_assert(sign::template takes_only<box>,
                  "tenure::function: the callable's parameters are all arrays, or all expressions");

    F callable;

    body(body_base counts, F &&from) : body_base(counts), callable(std::move(from)) {}

    /// Throws if the callable does not fit the declarations.
    void check() const {
        const std::size_t arrays = n_in + n_out + n_update, returned = results_of<result>::count;
        if (!(sign::count >= n_in && sign::count + returned == arrays &&
              (sign::count == n_in || sign::count == n_in + n_update || sign::count == arrays)))
            refuse(TN_ERR_COUNT,
                   "tenure::function: %zu inputs, %zu outputs and %zu updates for a callable with %zu parameters that "
                   "returns %zu arrays; it has a parameter for each input, may have one for each update, or for each "
                   "output and update, and returns the others",
                   n_in, n_out, n_update, sign::count, returned);
    }
    void set(tn_function_options &options) const noexcept {
        if constexpr (sign::has_lazy)
            options.expr_body = &run;
        else
            options.body = &run;
    }

private:
    static tn_status run(void *context, const pointer *in, pointer *out, pointer *update) noexcept {
        body &self = *static_cast<body *>(context);
        std::array<box, sign::count> boxes;
        for (std::size_t at = 0; at < sign::count; at++)
            boxes[at] = box::adopt(at < self.n_in ? in[at] : *self.place(at, out, update));
        const tn_status status =
            run_body(self.function, [&] { self.call(boxes, out, update, std::make_index_sequence<sign::count>()); });
        // What is left in the boxes belongs to the library, also on failure.
        for (std::size_t at = 0; at < sign::count; at++) {
            const pointer left = boxes[at].detach();
            if (at >= self.n_in)
                *self.place(at, out, update) = left;
        }
        return status;
    }
    /// The place of a parameter behind the inputs.
    pointer *place(std::size_t parameter, pointer *out, pointer *update) const noexcept {
        const std::size_t at = parameter - n_in;
        const bool has_outputs = sign::count == n_in + n_out + n_update;
        return has_outputs && at < n_out ? out + at : update + (has_outputs ? at - n_out : at);
    }
    template <std::size_t... Index>
    void call(std::array<box, sign::count> &boxes, pointer *out, pointer *update, std::index_sequence<Index...>) {
        if constexpr (std::is_void_v<result>) {
            callable(passed_as<typename sign::template parameter<Index>>(boxes[Index])...);
        } else {
            result results = callable(passed_as<typename sign::template parameter<Index>>(boxes[Index])...);
            const auto convert = [](auto &...one) {
                return std::array<box, sizeof...(one)>{{result_as<box>(std::move(one))...}};
            };
            store(std::apply(convert, results_of<result>::all(results)), out, update);
        }
    }
    /// Results in the places that have no parameter: the outputs, then the updates.
    void store(std::array<box, results_of<result>::count> &&results, pointer *out, pointer *update) const noexcept {
        // A spare buffer that was there stays the library's.
        for (std::size_t at = 0; at < results.size(); at++)
            (at < n_out ? out[at] : update[at - n_out]) = results[at].detach();
    }
};

/// A callable that takes `places`.
template <class F>
struct body<F, true> : body_base {
    static_assert(signature_of<F>::count == 1 && std::is_void_v<typename signature_of<F>::result>,
                  "tenure::function: a callable with tenure::places & has no other parameter and returns nothing");

    F callable;

    body(body_base counts, F &&from) : body_base(counts), callable(std::move(from)) {}

    void check() const noexcept {}
    void set(tn_function_options &options) const noexcept { options.body = &run; }

private:
    static tn_status run(void *context, tn_array *const *in, tn_array **out, tn_array **update) noexcept {
        body &self = *static_cast<body *>(context);
        const std::size_t n_in = self.n_in, n_out = self.n_out, n_all = n_in + n_out + self.n_update;
        return run_body(self.function, [&] {
            std::vector<array> boxes(n_all);
            const auto handle = [&](std::size_t at) -> tn_array *& {
                return at < n_in + n_out ? out[at - n_in] : update[at - n_in - n_out];
            };
            // What is left in the boxes belongs to the library, also if the callable throws.
            struct giver {
                std::vector<array> &boxes;
                decltype(handle) &handle_of;
                std::size_t n_in;
                ~giver() {
                    for (std::size_t at = 0; at < boxes.size(); at++) {
                        tn_array *left = boxes[at].detach();
                        if (at >= n_in)
                            handle_of(at) = left;
                    }
                }
            } const gives{boxes, handle, n_in};
            for (std::size_t at = 0; at < n_all; at++)
                boxes[at] = array::adopt(at < n_in ? in[at] : handle(at));
            array *const first = boxes.data();
            places all{{first, n_in}, {first + n_in, n_out}, {first + n_in + n_out, self.n_update}};
            self.callable(all);
        });
    }
};

/// The handle of an argument; NULL takes the default.
inline tn_array *argument(const array &passed) noexcept { return passed.handle(); }
inline tn_array *argument(std::nullptr_t) noexcept { return nullptr; }

template <class A>
void used_up([[maybe_unused]] A &&argument) noexcept {
    if constexpr (!std::is_lvalue_reference_v<A> && !std::is_const_v<A> && !std::is_same_v<A, std::nullptr_t>)
        argument = std::remove_reference_t<A>(array());
}

} // namespace detail

/// Code of the program with declared inputs, outputs and updates of shared variables. Flags decide what is aliased and what is copied at
/// each border; all updates of a call become visible together, or none.
///
///     tenure::function step([](const array &x, const array &w) { return lazy(w) - 0.1 * lazy(x); }, {"x", w}, {}, {w});
///     step(x);
///
/// **The callable** has a parameter for each input: `const array &`, or `array` for one that it may release. It returns the arrays for the
/// outputs, then those for the updates: one, or a tuple. It may have further parameters, `array &`, for the updates, or for the outputs and
/// then the updates; it does not return those. Such a parameter is empty at first, or has what the flags `reuse` and `may_overwrite` offer.
/// The callable writes it or assigns another array. An empty array leaves a variable as it is. A returned expression is computed.
///
/// With parameters of type `lazy` in place of `array`, the callable builds expressions, and the library computes them; operations overwrite
/// an input with `may_overwrite` or `take`, and the value of an update with `may_overwrite`.
///
/// **Exceptions** of the callable do not pass through the library: the call fails, and throws them to its caller. A caller in C or in
/// another language gets the status of a `tenure::error`, or TN_ERR_FAILED.
///
/// **Threads.** Any number of threads may call it at once, and the callable then runs on them at once. Of two calls that update one
/// variable, the second is refused.
class function : public detail::bases::owner<function, tn_function, tn_function_release> {
public:
    /// No function.
    function() noexcept = default;
    /// From a callable and declarations: `{"x", {"y", flag::borrow}, w}`. Throws COUNT if they do not fit. The callable is moved in, and
    /// destroyed after the last call.
    template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, function>>>
    function(F &&callable, std::initializer_list<tenure::in> inputs, std::initializer_list<tenure::out> outputs = {},
             std::initializer_list<tenure::update> updates = {}, const std::string &name = {},
             site place = site::here())
        : function(std::forward<F>(callable), span<const tenure::in>(inputs.begin(), inputs.size()),
                   span<const tenure::out>(outputs.begin(), outputs.size()),
                   span<const tenure::update>(updates.begin(), updates.size()), name, place) {}
    /// As above, with lists that the program made.
    template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, function>>>
    function(F &&callable, span<const tenure::in> inputs, span<const tenure::out> outputs,
             span<const tenure::update> updates, const std::string &name = {}, site place = site::here())
        : n_out_(outputs.size()), n_update_(updates.size()) {
        using body = detail::body<std::decay_t<F>>;
        auto made = std::make_unique<body>(detail::body_base{inputs.size(), outputs.size(), updates.size()},
                                           std::decay_t<F>(std::forward<F>(callable)));
        made->check();
        const std::vector<tn_in> in = listed<tn_in>(inputs);
        is_argument_.reserve(in.size());
        for (const tn_in &input : in)
            is_argument_.push_back(input.shared == nullptr);
        const std::vector<tn_out> out = listed<tn_out>(outputs);
        const std::vector<tn_update> update = listed<tn_update>(updates);
        tn_function_options options{};
        options.size = sizeof options;
        options.name = name.empty() ? nullptr : name.c_str();
        made->set(options);
        options.context = made.get();
        options.release = [](void *context) { delete static_cast<body *>(context); };
        options.n_in = in.size();
        options.n_out = out.size();
        options.n_update = update.size();
        options.inputs = in.data();
        options.outputs = out.data();
        options.updates = update.data();
        detail::record(place);
        detail::check(tn_function_create(&options, &handle_));
        made.release()->function = handle_;
    }
    /// Takes ownership of a C handle of a function with so many outputs. `crossings` tell of its arguments and outputs alone.
    static function adopt(tn_function *handle, std::size_t n_out) noexcept {
        function made;
        made.handle_ = handle;
        made.n_out_ = n_out;
        made.is_adopted_ = true;
        return made;
    }
    /// The default value of an input, counted among all inputs: a read-only array on the function's own copy.
    [[nodiscard]] array default_value(std::size_t index, site place = site::here()) const {
        detail::record(place);
        return detail::output<array>(tn_function_default, handle_, index);
    }

    /// Calls it and returns its output, or an empty array if it has none; throws COUNT if it has several.
    ///
    /// An argument is a named array, or one that is moved in and empty afterwards; `nullptr` or an empty array takes the default. If the
    /// call throws, they are as before. Exceptions of the callable are thrown on.
    template <class... A>
    array operator()(A &&...arguments) const {
        return one(nullptr, std::forward<A>(arguments)...);
    }
    /// As above; `what` tells what became of each value.
    template <class... A>
    array operator()(crossings *what, A &&...arguments) const {
        return one(what, std::forward<A>(arguments)...);
    }
    /// Calls it and returns the first Count outputs; others are released: `auto [loss, gradient] = step.call<2>(x, y);`
    template <std::size_t Count, class... A>
    std::array<array, Count> call(A &&...arguments) const {
        return invoke<Count>(nullptr, std::forward<A>(arguments)...);
    }
    /// As above; `what` tells what became of each value.
    template <std::size_t Count, class... A>
    std::array<array, Count> call(crossings *what, A &&...arguments) const {
        return invoke<Count>(what, std::forward<A>(arguments)...);
    }

private:
    template <class C, class T>
    static std::vector<C> listed(span<const T> items) {
        std::vector<C> list;
        list.reserve(items.size());
        for (const T &item : items)
            list.push_back(item.get());
        return list;
    }
    template <class... A>
    array one(crossings *what, A &&...arguments) const {
        if (n_out_ > 1)
            detail::refuse(TN_ERR_COUNT, "tenure::function: it has %zu outputs; write call<%zu>(...)", n_out_, n_out_);
        if (n_out_ == 0) {
            static_cast<void>(invoke<0>(what, std::forward<A>(arguments)...));
            return array();
        }
        return std::move(invoke<1>(what, std::forward<A>(arguments)...)[0]);
    }
    template <std::size_t Count, class... A>
    std::array<array, Count> invoke(crossings *what, A &&...arguments) const {
        static_assert(((std::is_base_of_v<array, std::decay_t<A>> || std::is_same_v<std::decay_t<A>, std::nullptr_t>) &&
                       ...),
                      "tenure::function: the arguments are arrays, or nullptr for a default");
        // One more than needed: there are no arrays of length 0.
        tn_array *const given[sizeof...(A) + 1] = {detail::argument(arguments)...};
        tn_array *made[Count + 1] = {};
        const bool tells_all = what != nullptr && !is_adopted_;
        tn_crossing in_how[sizeof...(A) + 1] = {}, out_how[Count + 1] = {};
        std::vector<tn_crossing> inputs, updates;
        // Allocates first, because the outputs must be stored.
        if (what != nullptr) {
            what->in.resize(sizeof...(A));
            what->out.resize(Count);
            what->shared.clear();
            what->update.clear();
        }
        if (tells_all) {
            inputs.resize(is_argument_.size());
            updates.resize(n_update_);
            what->shared.reserve(is_argument_.size());
            what->update.reserve(n_update_);
        }
        const tn_call_crossings told{sizeof told, inputs.data(), out_how, updates.data()};
        detail::waiting_call call{};
        call.function = handle_;
        detail::waiting_call *const outer = std::exchange(detail::waiting_call::innermost(), &call);
        const tn_status status =
            tells_all ? tn_function_call_crossings(handle_, sizeof...(A), given, Count, made, &told)
                      : tn_function_call(handle_, sizeof...(A), given, Count, made, in_how, out_how);
        detail::waiting_call::innermost() = outer;
#if defined(__cpp_exceptions)
        if (status != TN_OK && call.thrown)
            std::rethrow_exception(std::move(call.thrown));
#endif
        detail::check(status);
        (detail::used_up<A>(std::forward<A>(arguments)), ...);
        std::array<array, Count> outputs;
        for (std::size_t at = 0; at < Count; at++)
            outputs[at] = array::adopt(made[at]);
        // A call with another number of arguments is refused, so each has its place.
        std::size_t argument = 0;
        for (std::size_t at = 0; at < inputs.size(); at++) {
            if (is_argument_[at])
                in_how[argument++] = inputs[at];
            else
                what->shared.push_back(detail::to_crossing(inputs[at]));
        }
        for (const tn_crossing &became : updates)
            what->update.push_back(became.how == 0 ? std::nullopt : std::optional(detail::to_crossing(became)));
        if (what != nullptr) {
            for (std::size_t at = 0; at < sizeof...(A); at++)
                what->in[at] = detail::to_crossing(in_how[at]);
            for (std::size_t at = 0; at < Count; at++)
                what->out[at] = detail::to_crossing(out_how[at]);
        }
        return outputs;
    }

    std::size_t n_out_ = 0, n_update_ = 0;
    // For each input; the others are values of variables.
    std::vector<bool> is_argument_;
    bool is_adopted_ = false;
};

} // namespace tenure

/// For structured bindings.
template <class... T>
struct std::tuple_size<tenure::access<T...>> : std::integral_constant<std::size_t, sizeof...(T)> {};
/// For structured bindings.
template <std::size_t Index, class... T>
struct std::tuple_element<Index, tenure::access<T...>> {
    /// The type of a structured binding.
    using type = tenure::view<std::tuple_element_t<Index, std::tuple<T...>>>;
};
/// For structured bindings.
template <std::size_t Count>
struct std::tuple_size<tenure::scope<Count>> : std::integral_constant<std::size_t, Count> {};
/// For structured bindings.
template <std::size_t Index, std::size_t Count>
struct std::tuple_element<Index, tenure::scope<Count>> {
    /// The type of a structured binding.
    using type = tenure::array;
};
#if defined(__cpp_lib_span) && defined(__cpp_lib_concepts)
/// A span owns nothing, so a temporary one converts to `std::span`.
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<tenure::span<T>> = true;
#endif

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#endif /* TENURE_HPP */
