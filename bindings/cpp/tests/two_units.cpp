// two_units.cpp - half of a program, compiled once as C++17 and once as C++20: the halves pass objects of all classes to one another.
#include "tenure.hpp"

// Functions of the C++20 half.
double sum(tenure::view<const double> v);
tenure::span<const double> all_of(const tenure::read_guard<double> &guard);
tenure::array scaled(tenure::taken x, tenure::dims shape);

#if __cplusplus >= 202002L
double sum(tenure::view<const double> v) {
    double total = 0;
    for (double value : std::span<const double>(v.span()))
        total += value;
    return total;
}
tenure::span<const double> all_of(const tenure::read_guard<double> &guard) { return guard.span(); }
tenure::array scaled(tenure::taken x, tenure::dims shape) {
    for (double &value : x.write<double>())
        value *= 2;
    return x.reshape(shape);
}
#else
int main() {
    int wrong = 0;
    {
        tenure::array a = tenure::full<double>({6}, 1.5);
        wrong += sum(a.read<double>()) != 9.0;
        auto guard = a.read<double>();
        wrong += all_of(guard).size() != 6;
        guard.reset();
        tenure::array b = scaled(tenure::give(std::move(a)), {2, 3});
        wrong += b.read<double>()(1, 2) != 3.0;
        try {
            static_cast<void>(scaled(tenure::zeros<double>({2}), {3}));
            wrong++;
        } catch (const tenure::argument_error &) {
        }
    }
    return wrong + !tenure::leaks().empty();
}
#endif
