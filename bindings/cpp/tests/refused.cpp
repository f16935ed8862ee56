// refused.cpp - misuse that does not compile.
//
// tests/languages/cpp.rs compiles each line that ends in `// REFUSED: reason` by itself, and the compiler must reject it with that reason. Without
// all these lines the file compiles, so nothing else is wrong with it.
#include "tenure.hpp"

#include <utility>
#include <vector>

void takes(tenure::taken x);
void plain(tenure::array x);
void reader(tenure::view<const double> v);

void misuse(tenure::array &a, const tenure::array &fixed, tenure::promise &p, tenure::weak &w,
            tenure::pool &pool, tenure::dlpack &tensor) {
    // A handle is not copied: that would be a hidden claim.
    tenure::array copy = a; // REFUSED: use of deleted function
    tenure::array other; other = a; // REFUSED: use of deleted function
    plain(a); // REFUSED: use of deleted function
    std::vector<tenure::array> list{std::move(a)}; // REFUSED: result type must be constructible from input type
    auto weak_copy = w; // REFUSED: use of deleted function
    auto pool_copy = pool; // REFUSED: use of deleted function
    auto promise_copy = p; // REFUSED: use of deleted function

    // Ownership moves visibly.
    takes(a); // REFUSED: give(std::move(a)) moves ownership, a.clone() lends
    takes(tenure::give(a)); // REFUSED: tenure::give consumes the array: write give(std::move(a))
    takes(tenure::give(std::move(fixed))); // REFUSED: tenure::give consumes the array: a const one cannot be given
    takes(tenure::give(1)); // REFUSED: tenure::give gives an array
    takes(p); // REFUSED: could not convert
    static_cast<void>(tenure::take(p)); // REFUSED: cannot bind rvalue reference
    static_cast<void>(tenure::take_all(p)); // REFUSED: tenure::take_all consumes promises
    static_cast<void>(tenure::import_dlpack(tensor)); // REFUSED: cannot bind rvalue reference
    std::vector<double> values; static_cast<void>(tenure::from(values)); // REFUSED: write from(std::move(v)), or copy_of(v) for a copy
    p.shape(); // REFUSED: has no member named 'shape'
    auto s = tenure::enter(fixed, a);
    auto scope_copy = s; // REFUSED: use of deleted function
    static_cast<void>(tenure::enter(p)); // REFUSED: tenure::enter consumes promises: write enter(std::move(p))
    static_cast<void>(tenure::enter(fixed, p)); // REFUSED: tenure::enter consumes promises
    static_cast<void>(tenure::enter(std::move(a))); // REFUSED: tenure::enter lends named arrays
    static_cast<void>(tenure::enter(a, 1)); // REFUSED: tenure::enter takes arrays and promises
    tenure::enter(a); // REFUSED: nodiscard
    auto &gone = tenure::enter(a)[0]; // REFUSED: the scope ends here: name it first
    s.keep(0); // REFUSED: nodiscard
    s.get<2>(); // REFUSED: so many parameters were not entered
    auto [one] = tenure::enter(a, fixed); // REFUSED: decomposes into 2 elements

    // Reading does not permit writing.
    auto r = fixed.read<double>();
    r(0) = 1.0; // REFUSED: assignment of read-only location
    r[0] = 1.0; // REFUSED: assignment of read-only location
    *r.data() = 1.0; // REFUSED: assignment of read-only location
    for (double &value : r) value = 1.0; // REFUSED: discards qualifiers
    tenure::view<double> writable = r; // REFUSED: conversion from
    static_cast<void>(fixed.write<double>()); // REFUSED: discards qualifiers
    fixed.zero(); // REFUSED: discards qualifiers
    static_cast<void>(tenure::writes<double>(fixed)); // REFUSED: discards qualifiers
    static_cast<void>(tenure::access_all(tenure::reads<double>(a)).get<0>()[0] = 1.0); // REFUSED: assignment of read-only location

    // A pointer does not outlive its guard, and a guard is not dropped at once.
    const double *dangling = fixed.read<double>().data(); // REFUSED: the guard ends here: name it first
    auto span = fixed.read<double>().span(); // REFUSED: the guard ends here: name it first
    auto begin = a.write<double>().begin(); // REFUSED: the guard ends here: name it first
    auto lengths = fixed.read<double>().shape(); // REFUSED: the guard ends here: name it first
    auto row = fixed.read<double>().row(0); // REFUSED: the guard ends here: name it first
    for (double value : fixed.read<double>().elements()) static_cast<void>(value); // REFUSED: the guard ends here: name it first
    a.write<double>(); // REFUSED: nodiscard
    fixed.read<double>(); // REFUSED: nodiscard
    tenure::give(std::move(a)); // REFUSED: nodiscard
    a.clone(); // REFUSED: nodiscard
    a.transpose(); // REFUSED: nodiscard
    tenure::no_copies(); // REFUSED: nodiscard

    // Elements have a type.
    static_cast<void>(a.read<char>()); // REFUSED: this C++ type is no element type
    static_cast<void>(tenure::zeros<int *>({3})); // REFUSED: this C++ type is no element type
    auto raw = a.read();
    static_cast<void>(raw(0)); // REFUSED: bytes without a type have no elements
    static_cast<void>(raw.span()); // REFUSED: bytes without a type cannot be walked
    static_cast<void>(raw.elements()); // REFUSED: bytes without a type cannot be walked
    static_cast<void>(r("0")); // REFUSED: indices are integers
    static_cast<void>(a.to_vector<bool>()); // REFUSED: std::vector<bool> holds no bools

    // Flags are not numbers, and families of flags do not mix.
    static_cast<void>(a.write<double>(1)); // REFUSED: cannot convert 'int' to 'tenure::mode'
    static_cast<void>(fixed.read<double>(tenure::mode::cow)); // REFUSED: cannot convert 'tenure::mode' to 'tenure::reading'
    static_cast<void>(tenure::mode::cow | tenure::reading::frozen); // REFUSED: no match for 'operator|'

    // A named operand can be used in several expressions, but not copied.
    tenure::lazy x(fixed);
    tenure::lazy same = x; // REFUSED: use of deleted function
    tenure::lazy implicit = a; // REFUSED: conversion from
    static_cast<void>(x + a); // REFUSED: no match for 'operator+'
    x + x; // REFUSED: nodiscard
    x.explain(); // REFUSED: nodiscard
    static_cast<void>(x.compute(TN_KEEP_ON_FAIL)); // REFUSED: cannot convert
    static_cast<void>(x * "2"); // REFUSED: no match for 'operator*'
    static_cast<void>(x + x);

    // A matrix is lent as a clone, and is no operand of an array.
    tenure::matrix m(fixed);
    tenure::matrix lent = m; // REFUSED: use of deleted function
    tenure::matrix unsaid = fixed.clone(); // REFUSED: conversion from
    static_cast<void>(m + fixed); // REFUSED: no match for 'operator+'
    static_cast<void>(fixed * m); // REFUSED: no match for 'operator*'
    m * fixed; // REFUSED: nodiscard
    m.cholesky(); // REFUSED: nodiscard
    static_cast<void>(m * m);

    // A function has a callable with one signature, whose arrays are declared one by one.
    tenure::shared variable(fixed);
    tenure::function identity([](const tenure::array &one) { return one.clone(); }, {"one"}, {"same"});
    auto variable_copy = variable; // REFUSED: use of deleted function
    auto function_copy = identity; // REFUSED: use of deleted function
    identity(1); // REFUSED: the arguments are arrays, or nullptr for a default
    identity(variable); // REFUSED: the arguments are arrays, or nullptr for a default
    tenure::function generic([](const auto &one) { return one.clone(); }, {"one"}, {"same"}); // REFUSED: the callable's parameters must have types
    tenure::function both([](const tenure::array &, const tenure::lazy &) {}, {"one", "two"}); // REFUSED: the callable's parameters are all arrays, or all expressions
    tenure::function number([](const tenure::array &) { return 1; }, {"one"}, {"two"}); // REFUSED: the callable returns arrays, expressions, or a tuple of them, by value
    tenure::function reference([](tenure::array &one) -> tenure::array & { return one; }, {"one"}, {"two"}); // REFUSED: the callable returns arrays, expressions, or a tuple of them, by value
    tenure::function mixed([](tenure::places &, tenure::array &) {}, {"one"}); // REFUSED: a callable with tenure::places & has no other parameter and returns nothing
    tenure::function list([](const tenure::array &one) { return one.clone(); }, {"one", tenure::flag::borrow}, {"two"}); // REFUSED: no matching function for call

    // A kernel's arguments say what it does with arrays; what else it gets are bytes.
    tenure::module code;
    const tenure::launch_config once(tenure::kernel(), {1}, {1});
    auto module_copy = code; // REFUSED: use of deleted function
    tenure::launch(once, fixed); // REFUSED: say what the kernel does with it
    tenure::launch(once, tenure::mirror(fixed)); // REFUSED: say what the kernel does with it
    tenure::launch(once, std::vector<double>(3)); // REFUSED: a kernel gets the bytes of a value
    tenure::launch(once, tenure::writes<double>(fixed)); // REFUSED: no matching function for call

    // The intended forms compile.
    reader(r);
    reader(fixed.read<double>());
    takes(tenure::give(std::move(a)));
    takes(fixed.clone());
    takes(std::move(p));
}
