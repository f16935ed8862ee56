// checked.cpp - accesses that no guard allows, one for each argument; tests/languages/cpp.rs runs them with TENURE_CHECK=1 (CK-1 to CK-4).
#include "check.hpp"

#include <algorithm>
#include <numeric>
#include <sys/resource.h>
#include <thread>

using tenure::array;

static volatile double sink;

static array weights() { return tenure::full<double>({100}, 1.0, tenure::named("weights")); }

// The span outlives the guard of the block.
static void span_outlives_its_guard() {
    array a = weights();
    tenure::span<double> kept;
    {
        auto w = a.write<double>();
        kept = w.span();
        kept[5] = 2;
    }
    kept[5] = 3;
}

// A view is a pair of pointers, and knows nothing of the guard that it came from.
static void view_outlives_its_guard() {
    array a = weights();
    const auto view_of = [](const array &of) {
        auto r = of.read<double>();
        return tenure::view<const double>(r);
    };
    const auto v = view_of(a);
    sink = v(7);
}

static void lambda_keeps_a_reference() {
    array a = weights();
    auto w = a.write<double>();
    const auto next = [&first = w[0]] { return first += 1; };
    next();
    w.reset();
    next();
}

static double sum_of(tenure::taken x) {
    auto r = x.read<double>();
    return std::accumulate(r.begin(), r.end(), 0.0);
}

// The callee owns the bytes, and its parameter ends with the call.
static void pointer_outlives_the_gift() {
    array a = weights();
    double *data = nullptr;
    {
        auto w = a.write<double>();
        data = w.data();
    }
    sink = sum_of(tenure::give(std::move(a)));
    data[1] = 3;
}

static void pointer_outlives_a_promise() {
    array a = weights();
    auto w = a.write<double>();
    double *data = w.data();
    w.reset();
    tenure::promise p = tenure::give(std::move(a));
    const array b = tenure::take(std::move(p));
    data[1] = 3;
}

static void write_of_what_is_read() {
    const array a = weights();
    auto r = a.read<double>();
    const_cast<double &>(r[3]) = 2;
}

// `std::sort` on an iterator that a cast made writable: the writes are in the library's code.
static void sort_of_what_is_read() {
    const array a = weights();
    auto r = a.read<double>();
    std::sort(const_cast<double *>(r.begin()), const_cast<double *>(r.end()), std::greater<>());
}

static void pointer_outlives_the_array() {
    const double *data = nullptr;
    {
        array a = weights();
        auto r = a.read<double>();
        data = r.data();
    }
    sink = data[0];
}

// The bytes of the left side are released.
static void pointer_outlives_an_assignment() {
    array a = weights();
    auto r = a.read<double>();
    const double *data = r.data();
    r.reset();
    a = tenure::zeros<double>({10});
    sink = data[2];
}

static void thread_outlives_the_guard() {
    array a = weights();
    auto w = a.write<double>();
    double *data = w.data();
    w.reset();
    std::thread([data] { data[4] = 1; }).join();
}

// The guard's length is taken twice.
static void overrun() {
    array a = weights();
    {
        auto w = a.write<double>();
        std::fill(w.data(), w.data() + w.size() + 1, 0.0);
    }
    sink = a.read<double>()[0];
}

static void far_overrun() {
    array a = weights();
    auto w = a.write<double>();
    w.data()[w.size() * 8] = 1;
}

static const struct {
    const char *name;
    void (*run)();
} defects[] = {
    {"span_outlives_its_guard", span_outlives_its_guard},
    {"view_outlives_its_guard", view_outlives_its_guard},
    {"lambda_keeps_a_reference", lambda_keeps_a_reference},
    {"pointer_outlives_the_gift", pointer_outlives_the_gift},
    {"pointer_outlives_a_promise", pointer_outlives_a_promise},
    {"write_of_what_is_read", write_of_what_is_read},
    {"sort_of_what_is_read", sort_of_what_is_read},
    {"pointer_outlives_the_array", pointer_outlives_the_array},
    {"pointer_outlives_an_assignment", pointer_outlives_an_assignment},
    {"thread_outlives_the_guard", thread_outlives_the_guard},
    {"overrun", overrun},
    {"far_overrun", far_overrun},
};

int main(int argc, char **argv) {
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);
    for (const auto &defect : defects) {
        if (argc > 1 && std::strcmp(argv[1], defect.name) == 0) {
            defect.run();
            return finish();
        }
    }
    // Without one of them: their names.
    for (const auto &defect : defects)
        std::puts(defect.name);
    return 0;
}
