/* Automatic in-place operations: a function takes matrices, its caller gives them or lends a clone, and a move ends what nobody needs. */
#include <cassert>
#include <cstdio>
#include <tenure.hpp>

using tenure::array, tenure::give, tenure::lazy, tenure::matrix;

static array compute_v(matrix M1, matrix M2, const array &u) {
    lazy L = (std::move(M1) + std::move(M2)).cholesky();
    return L * u;
}

static std::array<array, 2> compute_both_v(matrix X, matrix Y1, matrix Y2, const array &u1, const array &u2) {
    array v1 = compute_v(X.clone(), give(std::move(Y1)), u1);
    array v2 = compute_v(give(std::move(X)), give(std::move(Y2)), u2);
    return {std::move(v1), std::move(v2)};
}

int main() {
    const std::int64_t n = 500;
    const array ones = tenure::full<double>({n}, 1.0);
    tenure::pool pool(tenure::pool_options().thread_cache_size(TN_POOL_NONE)); // its counts are exact
    tenure::use_pool scope(pool);
    matrix A((3.0 * matrix::identity<double>(n)).dense().compute());
    matrix D1 = matrix::identity<double>(n), D2 = matrix::identity<double>(n);
    const auto before = pool.stats();
    pool.reset_peak();
    auto [v1, v2] = compute_both_v(give(std::move(A)), give(std::move(D1)), give(std::move(D2)), ones, ones);
    const auto after = pool.stats();
    const auto x = v1.to_vector<double>(), y = v2.to_vector<double>();
    std::printf("[%.1f, %.1f] [%.1f, %.1f]\n", x[0], x[1], y[0], y[1]);
    const auto made = static_cast<int>(after.allocation_count - before.allocation_count);
    const auto peak = static_cast<int>((after.peak_requested_bytes - before.requested_bytes) / (8 * n * n));
    std::printf("%d arrays were made, and at most %d matrix at once\n", made, peak);
    assert(!A && x[0] == 2.0 && y[1] == 2.0 && made == 3 && peak == 1);
}
/* It prints:
[2.0, 2.0] [2.0, 2.0]
3 arrays were made, and at most 1 matrix at once
*/
