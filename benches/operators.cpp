/*
 * operators.cpp - the cost of one node of an expression: built by an operator of C++ and dropped, and by the calls of C (bar T34).
 *
 *     operators cpp|c TURNS     builds and drops that many nodes, and prints the least ns of a node
 *
 * `cargo xtask bench operators` also counts instructions under callgrind, from runs of two lengths. benches/operators.rs has the same in Rust.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tenure.hpp>

using tenure::matrix;

static constexpr long WINDOW = 100; // nodes in a row, whose time is taken

static void by_operators(const matrix &m, const matrix &d, long turns) {
    while (turns-- > 0)
        static_cast<void>(m + d);
}

/* As the operator: a leaf of each operand, and the sum. */
static void by_calls(const matrix &m, const matrix &d, long turns) {
    while (turns-- > 0) {
        tn_expr *x = nullptr, *y = nullptr, *sum = nullptr;
        if (tn_expr_leaf(m.handle(), TN_FORM_OF_HANDLE, &x) || tn_expr_leaf(d.handle(), TN_FORM_OF_HANDLE, &y) || tn_expr_add(x, y, &sum) ||
            tn_expr_release(x) || tn_expr_release(y) || tn_expr_release(sum))
            std::abort();
    }
}

int main(int count, char **words) {
    if (count != 3 || (std::strcmp(words[1], "cpp") && std::strcmp(words[1], "c"))) {
        std::fprintf(stderr, "usage: operators cpp|c TURNS\n");
        return 2;
    }
    const auto work = std::strcmp(words[1], "c") ? by_operators : by_calls;
    const matrix m(tenure::full<double>({2, 2}, 1.0)), d = matrix::diagonal(tenure::full<double>({2}, 1.0));
    double least = 1e9;
    for (long left = std::atol(words[2]); left > 0; left -= WINDOW) {
        const auto start = std::chrono::steady_clock::now();
        work(m, d, WINDOW);
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        least = took.count() / (3 * WINDOW) < least ? took.count() / (3 * WINDOW) : least; // two leaves and a sum
    }
    std::printf("ns\t%.2f\t%.2f\n", least, least);
}
