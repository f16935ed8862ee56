// expression.cpp - lazy expressions: their values, and the operands that they overwrite.
#include "check.hpp"

#include <cmath>
#include <typeinfo>

using tenure::array;
using tenure::diagonal;
using tenure::give;
using tenure::lazy;
using tenure::matrix;
using tenure::pool;

// n x n, symmetric, and positive definite once n is added to its diagonal.
static array symmetric(std::int64_t n, const pool &from) {
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
    array k = symmetric(n, own), d = vector(n, 5.0, own), same = k.copy(own);
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
    array k = symmetric(n, own), same = k.copy(own), d = vector(n, 5.0, own);
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

// The guide "Automatic in-place operations": a function takes matrices, and its caller gives or lends them.
static array compute_v(matrix M1, matrix M2, const array &u) {
    lazy L = (std::move(M1) + std::move(M2)).cholesky();
    return L * u;
}

static std::array<array, 2> compute_both_v(matrix X, matrix Y1, matrix Y2, const array &u1, const array &u2) {
    array v1 = compute_v(X.clone(), give(std::move(Y1)), u1);
    array v2 = compute_v(give(std::move(X)), give(std::move(Y2)), u2);
    return {std::move(v1), std::move(v2)};
}

// The arrays that work makes, and how many n x n matrices of them there are at the most at once.
struct figures {
    std::uint64_t arrays, matrices;
    bool operator==(const figures &other) const { return arrays == other.arrays && matrices == other.matrices; }
};

template <class Work>
static figures measured(pool &own, std::uint64_t n, Work work) {
    own.reset_peak();
    const auto before = own.stats();
    work();
    const auto after = own.stats();
    return {after.allocation_count - before.allocation_count,
            (after.peak_requested_bytes - before.requested_bytes) / (8 * n * n)};
}

// All elements, in C order.
using table = std::vector<double>;

static table dense(lazy x) { return std::move(x).dense().compute().to_vector<double>(); }

static bool near(const table &x, const table &y) {
    bool equal = x.size() == y.size();
    for (std::size_t at = 0; equal && at < x.size(); at++)
        equal = std::abs(x[at] - y[at]) < 1e-12 * (1 + std::abs(y[at]));
    return equal;
}

// p * x + q * y.
static table sum(double p, const table &x, double q, const table &y) {
    table out(x.size());
    for (std::size_t at = 0; at < x.size(); at++)
        out[at] = p * x[at] + q * y[at];
    return out;
}

// The product of an n x n matrix and a matrix of n rows.
static table product(std::size_t n, const table &x, const table &y) {
    const std::size_t columns = y.size() / n;
    table out(y.size());
    for (std::size_t i = 0; i < n; i++)
        for (std::size_t m = 0; m < n; m++)
            for (std::size_t j = 0; j < columns; j++)
                out[i * columns + j] += x[i * n + m] * y[m * columns + j];
    return out;
}

static table transposed(std::size_t n, const table &x) {
    table out(x.size());
    for (std::size_t at = 0; at < x.size(); at++)
        out[at % n * n + at / n] = x[at];
    return out;
}

// FM-8, EX-20 to EX-22, EX-27: the guide's functions allocate what the guide says, and their values do not depend on who gives.
static void guide() {
    const std::int64_t n = 40;
    pool own(tenure::pool_options().name("guide").thread_cache_size(TN_POOL_NONE));
    const array k = (lazy(symmetric(n, own)) + diagonal(vector(n, 3.0, own))).compute();
    const array u1 = vector(n, 1.0, own), u2 = vector(n, 2.0, own), d1 = vector(n, 5.0, own), d2 = vector(n, 6.0, own);
    auto expected = [&](const array &d, const array &u) {
        array l = (lazy(k) + diagonal(d)).cholesky().compute();
        check_factor(k, l, d.to_vector<double>()[0]);
        return product(n, dense(lazy(l)), u.to_vector<double>());
    };
    const table first = expected(d1, u1), second = expected(d2, u2);
    auto dense_one = [&] { return matrix(k.copy(own)); };
    auto diagonal_one = [&](const array &d) { return matrix::diagonal(d.copy(own)); };
    array v1, v2;

    // One new matrix, because the first call lends X.
    matrix A = dense_one(), D1 = diagonal_one(d1), D2 = diagonal_one(d2);
    CHECK(measured(own, n, [&] {
              auto both = compute_both_v(give(std::move(A)), give(std::move(D1)), give(std::move(D2)), u1, u2);
              v1 = std::move(both[0]);
              v2 = std::move(both[1]);
          }) == (figures{3, 1}));
    CHECK(near(v1.to_vector<double>(), first) && near(v2.to_vector<double>(), second));
    CHECK(!A && !D1 && !D2 && v1.is_unique() && v2.is_unique());

    // Each call by itself: the first makes the matrix, the second none.
    A = dense_one(), D1 = diagonal_one(d1), D2 = diagonal_one(d2);
    CHECK(measured(own, n, [&] { v1 = compute_v(A.clone(), give(std::move(D1)), u1); }) == (figures{2, 1}));
    CHECK(A.is_unique() && A.to_vector<double>() == k.to_vector<double>());
    CHECK(measured(own, n, [&] { v2 = compute_v(give(std::move(A)), std::move(D2), u2); }) == (figures{1, 0}));
    CHECK(near(v1.to_vector<double>(), first) && near(v2.to_vector<double>(), second));

    // The diagonal is needed twice; the dense matrix is overwritten by its only sum.
    A = dense_one(), D1 = diagonal_one(d1), D2 = diagonal_one(d2);
    CHECK(measured(own, n, [&] {
              static_cast<void>(compute_both_v(D1.clone(), give(std::move(A)), give(std::move(D2)), u1, u2));
          }) == (figures{2, 0}));
    CHECK(D1.is_unique() && D1.to_vector<double>() == d1.to_vector<double>());

    // Without a promise nothing is overwritten.
    A = dense_one(), D2 = diagonal_one(d2);
    CHECK(measured(own, n, [&] { v1 = std::get<0>(compute_both_v(A.clone(), D1.clone(), D2.clone(), u1, u2)); }).arrays == 4);
    CHECK(near(v1.to_vector<double>(), first) && A.to_vector<double>() == k.to_vector<double>());

    // A vector that is moved in becomes the product.
    array u = u1.copy(own);
    const void *place = address(u);
    CHECK(measured(own, n, [&] { v1 = (std::move(A) + D1).cholesky() * std::move(u); }) == (figures{0, 0}));
    CHECK(!A && !u && address(v1) == place && near(v1.to_vector<double>(), first));
}

// FM-8: results in place of operands, in expressions that the guide does not show.
static void chains() {
    const std::int64_t n = 20;
    pool own(tenure::pool_options().name("chains").thread_cache_size(TN_POOL_NONE));
    const array k = (lazy(symmetric(n, own)) + diagonal(vector(n, 3.0, own))).compute(), d = vector(n, 5.0, own);
    const table all = k.to_vector<double>(), added = dense(diagonal(d));
    const matrix D = matrix::diagonal(d);
    array block = k.copy(own), x;
    const void *place = address(block);
    CHECK(measured(own, n, [&] { x = solve(2.0 * D, std::move(block)); }).matrices == 0);
    CHECK(!block && address(x) == place && near(x.to_vector<double>(), sum(0.1, all, 0, all)));
    matrix A(k.copy(own)), B(k.copy(own));
    place = address(A);
    CHECK(measured(own, n, [&] { x = (std::move(A) + D + B).compute(); }) == (figures{0, 0}));
    CHECK(address(x) == place && near(x.to_vector<double>(), sum(2, all, 1, added)) && B.is_unique());
    // The factor and its transpose, a view, share the bytes of B.
    place = address(B);
    array y;
    CHECK(measured(own, n, [&] {
              lazy L = (std::move(B) + D).cholesky();
              x = solve(L.transpose(), solve(L, vector(n, 1.0, own)));
              y = L.compute();
          }) == (figures{1, 0}));
    CHECK(address(y) == place && near(product(n, sum(1, all, 1, added), x.to_vector<double>()), table(n, 1.0)));
    // Factors for two right-hand sides, in the bytes of a matrix that is moved in; each solution in those of its own.
    const table general = sum(1, all, 2, added);
    A = matrix((lazy(k) + 2.0 * D).compute());
    array right = vector(n, 1.0, own), other = vector(n, 2.0, own);
    CHECK(measured(own, n, [&] {
              lazy f = std::move(A).lu();
              x = solve(f, std::move(right));
              y = solve(f, std::move(other));
          }) == (figures{0, 0}));
    CHECK(!A && near(product(n, general, x.to_vector<double>()), table(n, 1.0)));
    CHECK(near(product(n, general, y.to_vector<double>()), table(n, 2.0)));
    // A named matrix is kept, and its factors are computed once.
    A = matrix(k.copy(own));
    CHECK(measured(own, n, [&] {
              const lazy f = A.lu();
              x = solve(f, vector(n, 1.0, own));
              y = solve(f, vector(n, 1.0, own));
          }) == (figures{3, 1}));
    CHECK(A.to_vector<double>() == all && x.to_vector<double>() == y.to_vector<double>());
    THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, static_cast<void>(A.lu().compute()));
    CHECK(near(product(n, all, solve(lazy(A).lu(), x).to_vector<double>()), x.to_vector<double>()));
    // Factors multiply, in the bytes of a vector that is moved in; their transpose solves; their product is the matrix.
    lazy f = A.lu();
    const table ones = table(n, 1.0);
    array u = vector(n, 1.0, own);
    place = address(u);
    x = f * std::move(u);
    CHECK(address(x) == place && near(x.to_vector<double>(), product(n, all, ones)));
    x = solve(f.transpose(), f.transpose() * vector(n, 1.0, own));
    CHECK(near(x.to_vector<double>(), ones));
    using tenure::lu_part;
    y = (f.part(lu_part::p) * f.part(lu_part::l) * f.part(lu_part::u)).compute();
    CHECK(near(y.to_vector<double>(), all));
    y = std::move(f).part(lu_part::l).compute();
    CHECK(y.form() == tenure::form::lower && y.to_vector<double>()[0] == 1.0);
    // A matrix takes the promise of an array, and an expression the matrix of a temporary.
    array c = k.copy(own);
    place = address(c);
    matrix C = give(std::move(c));
    CHECK(C.form() == tenure::form::matrix && address(C) == place);
    CHECK(measured(own, n, [&] { x = (-std::move(C) * 2.0).compute(); }) == (figures{0, 0}));
    CHECK(!C && address(x) == place && near(x.to_vector<double>(), sum(-2, all, 0, all)));
    // A matrix that is moved into one operation is not needed any more.
    C = matrix(k.copy(own)), place = address(C);
    CHECK(measured(own, n, [&] { x = std::move(C).cholesky().compute(); }) == (figures{0, 0}));
    CHECK(!C && address(x) == place);
    check_factor(k, x, 0);
    C = matrix(std::move(x)), place = address(C);
    CHECK(measured(own, n, [&] { x = std::move(C).transpose().compute(); }) == (figures{0, 0}));
    CHECK(!C && address(x) == place && x.is_unique() && x.form() == tenure::form::upper);
}

// FM-8: what is lazy and what is an array, for all mixes of dense and diagonal.
static void matrices() {
    const std::int64_t n = 3;
    const array k = tenure::copy_of(table{4, 1, 2, 1, 5, 3, 2, 3, 6}, {n, n});
    const array d = tenure::copy_of(table{1, 2, 4}), block = tenure::copy_of(table{1, 2, 3, 4, 5, 7}, {n, 2});
    const matrix a(k), m = matrix::diagonal(d);
    static_assert(std::is_same_v<decltype(a + m), lazy> && std::is_same_v<decltype(a * m), lazy>);
    static_assert(std::is_same_v<decltype(a * d), array> && std::is_same_v<decltype(solve(a + m, d)), array>);
    const table dense_values[] = {k.to_vector<double>(), {1, 0, 0, 0, 2, 0, 0, 0, 4}};
    const matrix *const all[] = {&a, &m};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const matrix &X = *all[i], &Y = *all[j];
            const table &x = dense_values[i], &y = dense_values[j];
            CHECK(near(dense(X + Y), sum(1, x, 1, y)));
            CHECK(near(dense(X - lazy(Y)), sum(1, x, -1, y)));
            CHECK(near(dense(2.0 * X + Y * 3.0), sum(2, x, 3, y)));
            CHECK(near(dense(-X), sum(-1, x, 0, x)));
            CHECK(near(dense(X * Y), product(n, x, y)));
            CHECK(near(dense((X * Y).transpose() + X.transpose()), transposed(n, sum(1, product(n, x, y), 1, x))));
            CHECK(near(product(n, x, dense(solve(X, Y))), y));
            lazy l = X.cholesky();
            CHECK(near(dense(l * l.transpose()), x));
            for (const array *vectors : {&d, &block}) {
                const table u = vectors->to_vector<double>();
                CHECK(near((X * *vectors).to_vector<double>(), product(n, x, u)));
                CHECK(near(((X + Y) * *vectors).to_vector<double>(), product(n, sum(1, x, 1, y), u)));
                CHECK(near(product(n, x, solve(X, *vectors).to_vector<double>()), u));
                CHECK((X * *vectors).form() == tenure::form::full);
            }
        }
    CHECK(near((matrix::lower(k) * d).to_vector<double>(), {4, 11, 32}));
    CHECK(near((matrix::upper(k) * d).to_vector<double>(), {14, 22, 24}));
    CHECK(near((matrix::identity<double>(n) * d).to_vector<double>(), {1, 2, 4}));
    CHECK(d.form() == tenure::form::full && k.form() == tenure::form::full);
}

// FM-8: a matrix is an array with a form, which can be given, lent, and passed to functions.
static void arrays_of_matrices() {
    using tenure::form;
    array v = tenure::full<double>({2}, 3.0);
    matrix m(tenure::full<double>({2, 2}, 2.0)), d = matrix::diagonal(give(std::move(v)));
    CHECK(!v && m.form() == form::matrix && d.form() == form::diagonal && d.is_unique());
    const matrix copied = d.copy();
    matrix cloned = m.clone();
    CHECK(copied.form() == form::diagonal && copied.is_unique() && cloned.form() == form::matrix && !cloned.is_unique());
    m.set_name("m");
    const array &plain = m;
    CHECK(plain.name() == "m" && plain.why_not().has(tenure::why::shared));
    cloned.reset();
    array back = give(std::move(m)).cancel();
    CHECK(!m && back.is_unique() && back.form() == form::matrix);
    m = matrix(std::move(back));
    tenure::function twice([](const array &x) { return 2.0 * lazy(x); }, {{"x", tenure::flag::take}}, {"y"});
    CHECK(twice(std::move(m)).to_vector<double>()[0] == 4.0 && !m);
    // Arguments of a call that fails are as before.
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(matrix::lower(std::move(d))));
    array axis = tenure::full<double>({2}, 3.0);
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(matrix(std::move(axis))));
    matrix large = matrix::identity<double>(3);
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(std::move(d) + std::move(large)));
    THROWS(tenure::argument_error, TN_ERR_SHAPE, static_cast<void>(std::move(large) * std::move(axis)));
    CHECK(d && d.form() == form::diagonal && axis && axis.form() == form::full && large && large.is_unique());
    matrix negative(tenure::full<double>({2, 2}, -1.0));
    THROWS(tenure::work_error, TN_ERR_FAILED, static_cast<void>(negative.cholesky() * axis));
    CHECK(negative.is_unique() && axis.is_unique());
    matrix nothing, same = matrix(array());
    CHECK(!nothing && !same);
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(nothing + negative));
}

int main() {
    in_place();
    forms();
    guide();
    chains();
    matrices();
    arrays_of_matrices();
    explained();
    operations();
    refused();
    return finish();
}
