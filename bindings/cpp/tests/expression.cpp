// expression.cpp - lazy expressions: their values, and the operands that they overwrite.
#include "check.hpp"

#include <cmath>
#include <typeinfo>

using tenure::array;
using tenure::diagonal;
using tenure::lazy;
using tenure::pool;

// n x n, symmetric, and positive definite once n is added to its diagonal.
static array matrix(std::int64_t n, const pool &from) {
    array a = tenure::empty<double>({n, n}, tenure::options().pool(from));
    auto w = a.write<double>();
    for (std::int64_t i = 0; i < n; i++)
        for (std::int64_t j = 0; j < n; j++)
            w(i, j) = 1.0 / static_cast<double>(1 + std::abs(i - j));
    return a;
}

static array vector(std::int64_t n, double value, const pool &from) {
    return tenure::full<double>({n}, value, tenure::options().pool(from));
}

static void check_factor(const array &k, const array &l, double added) {
    auto a = k.read<double>();
    auto f = l.read<double>();
    for (std::int64_t i = 0; i < a.extent(0); i++)
        for (std::int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (std::int64_t m = 0; m <= j; m++)
                sum += f(i, m) * f(j, m);
            CHECK(std::abs(sum - a(i, j) - (i == j ? added : 0.0)) < 1e-12);
        }
}

// A matrix that is moved in is overwritten by the sum and the factor; a named one stays.
static void in_place() {
    const std::int64_t n = 20;
    pool own(tenure::pool_options().name("expressions"));
    array k = matrix(n, own), d = vector(n, 5.0, own), same = k.copy(own);
    const void *before = address(k);
    array kept = (lazy(k) + diagonal(d)).cholesky().compute();
    CHECK(address(kept) != before && k.is_unique() && kept.is_unique());
    check_factor(same, kept, 5.0);
    kept.reset();
    auto allocations = own.stats().allocation_count;
    array l = (lazy(std::move(k)) + diagonal(std::move(d))).cholesky().compute();
    CHECK(!k && !d && address(l) == before && l.is_unique());
    CHECK(own.stats().allocation_count == allocations);
    check_factor(same, l, 5.0);
    // A given operand belongs to the expression.
    array m = same.copy(own);
    before = address(m);
    array twice = (2.0 * lazy(tenure::give(std::move(m)))).compute();
    CHECK(address(twice) == before && twice.read<double>()(0, 0) == 2.0);
    // A named expression keeps its value, and can be an operand of several.
    lazy sum = lazy(same.copy(own)) + lazy(same);
    array first = sum.compute();
    array second = (-sum).compute();
    CHECK(first.read<double>()(0, 0) == 2.0 && second.read<double>()(0, 0) == -2.0);
    CHECK(tenure::overlap_of(first, sum.compute()) == tenure::overlap::exact);
}

static void operations() {
    array two = tenure::full<double>({2, 2}, 2.0), v = tenure::full<double>({2}, 3.0);
    auto value = [](const array &a) { return a.to_vector<double>()[0]; };
    CHECK(value((lazy(two) - lazy(two)).compute()) == 0.0);
    CHECK(value((lazy(two) * lazy(v)).compute()) == 12.0);
    CHECK(value(tenure::multiply(lazy(two), lazy(two)).compute()) == 4.0);
    CHECK(value(tenure::divide(lazy(v), lazy(v)).compute()) == 1.0);
    CHECK(value(sqrt(lazy(two)).compute()) == std::sqrt(2.0));
    CHECK(std::abs(value(log(exp(lazy(two))).compute()) - 2.0) < 1e-15);
    CHECK(value(lazy(two).sum(0).compute()) == 4.0);
    CHECK(value(lazy(two).sum().compute()) == 8.0);
    CHECK(lazy(two).sum(0).shape() == tenure::dims({2}) && lazy(two).sum().shape().size() == 0);
    CHECK(lazy(two).dtype() == tenure::dtype::f64);
    CHECK(value(lazy(two).transpose().compute()) == 2.0);
    CHECK(value(solve(diagonal(v), lazy(v)).compute()) == 1.0);
    CHECK(value(solve(tenure::lower(two), lazy(v)).compute()) == 1.5);
    CHECK(value((diagonal(v) * lazy(v)).compute()) == 9.0);
    CHECK(value((lazy(v) * 0.5).compute()) == 1.5);
}

static void refused() {
    array k = tenure::full<double>({2, 2}, -1.0);
    lazy factor = lazy(k).cholesky();
    THROWS(tenure::work_error, TN_ERR_FAILED, static_cast<void>(factor.compute(tenure::on_failure::keep)));
    THROWS(tenure::work_error, TN_ERR_FAILED, static_cast<void>(factor.compute()));
    THROWS(tenure::ownership_error, TN_ERR_POISONED, static_cast<void>(factor.compute()));
    // A failing operation leaves its operands unchanged.
    lazy x(tenure::zeros<double>({2})), y(tenure::zeros<double>({3}));
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(std::move(x) + std::move(y)));
    CHECK(x && y);
    array narrow = tenure::zeros<std::int64_t>({2});
    THROWS(tenure::argument_error, TN_ERR_DTYPE, static_cast<void>(lazy(std::move(narrow))));
    CHECK(narrow);
    // An array that an expression holds cannot be written.
    lazy leaf(k);
    THROWS(tenure::ownership_error, TN_ERR_IN_EXPRESSION, k.zero());
    CHECK(k.why_not().has(tenure::why::in_expression));
    lazy nothing;
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(nothing.compute()));
}

// The operands that would be overwritten, and the reasons why not.
static void explained() {
    array k = tenure::full<double>({4, 4}, 1.0), d = tenure::full<double>({4}, 4.0);
    lazy l = (lazy(k) + diagonal(d)).cholesky();
    const std::string held = l.explain();
    CHECK(says(held, "a new array; not [0]: shared"));
    CHECK(says(held, "cholesky [2]: lower float64 (4, 4), in place of [2]"));
    k = array();
    CHECK(says(l.explain(), "add [0] [1]: full float64 (4, 4), in place of [0]"));
    const std::string graph = l.explain(tenure::explanation::dot);
    CHECK(graph.compare(0, 7, "digraph") == 0 && says(graph, "cholesky"));
    static_cast<void>(l.compute());
    CHECK(!says(l.explain(), "add"));
    lazy nothing;
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(nothing.explain()));
}

// The Cholesky factor of a sum; the callee does not know the forms.
static array factor(tenure::promise x, tenure::promise y) {
    return (lazy(std::move(x)) + lazy(std::move(y))).cholesky().compute();
}

// FM-1 to FM-4: the form belongs to the handle, is given with it, and results have the form that they are stored in.
static void forms() {
    using tenure::form;
    const std::int64_t n = 20;
    pool own(tenure::pool_options().name("forms"));
    array k = matrix(n, own), same = k.copy(own), d = vector(n, 5.0, own);
    CHECK(k.form() == form::full && &d.set_form(form::diagonal) == &d && d.form() == form::diagonal);
    array low = k.with_form(form::lower);
    CHECK(low.form() == form::lower && k.form() == form::full && tenure::overlap_of(low, k) == tenure::overlap::exact);
    CHECK(low.transpose().form() == form::upper && low.slice({{0, 2}}).form() == form::full);
    CHECK(low.copy().form() == form::lower && lazy(low).dense().compute().form() == form::full);
    low.reset();
    const void *place = address(k);
    auto allocations = own.stats().allocation_count;
    array l = factor(tenure::give(std::move(k)), tenure::give(std::move(d)));
    CHECK(l.form() == form::lower && address(l) == place && own.stats().allocation_count == allocations);
    check_factor(same, l, 5.0);
    array x = vector(n, 4.0, own).set_form(form::diagonal).clone(), y = vector(n, 5.0, own).with_form(form::diagonal);
    array root = factor(tenure::give(std::move(x)), tenure::give(std::move(y)));
    CHECK(root.form() == form::diagonal && root.ndim() == 1 && root.read<double>()[0] == 3.0);
    array one = tenure::identity<double>(3);
    CHECK(one.form() == form::diagonal && one.to_vector<double>() == std::vector<double>({1, 1, 1}));
    array all = lazy(one).dense().compute();
    CHECK(all.to_vector<double>() == std::vector<double>({1, 0, 0, 0, 1, 0, 0, 0, 1}));
    CHECK(lazy(one, form::full).compute().form() == form::full && tenure::upper(all).compute().form() == form::upper);
    THROWS(tenure::argument_error, TN_ERR_SHAPE, one.set_form(form::lower));
    THROWS(tenure::usage_error, TN_ERR_INVALID, one.set_form(form::of_handle));
    CHECK(one.form() == form::diagonal);
}

int main() {
    in_place();
    forms();
    explained();
    operations();
    refused();
    return finish();
}
