// no_exceptions.cpp - with -fno-exceptions -fno-rtti: everything works, and an error prints its message and terminates.
#include "tenure.hpp"

#include <cstdlib>

static tenure::array doubled(tenure::taken x) {
    {
        auto w = x.write<double>(tenure::mode::cow);
        for (double &value : w)
            value *= 2;
    }
    return tenure::array(std::move(x));
}

int main() {
    int wrong = 0;
    {
        tenure::array a = tenure::full<double>({3}, 2.0);
        tenure::array b = doubled(tenure::give(std::move(a)));
        auto [x] = tenure::access_all(tenure::reads<double>(b));
        wrong += x[2] != 4.0;
        tenure::array c = tenure::from(std::vector<float>{1, 2, 3});
        wrong += c.size() != 3;
        tenure::shared w(b);
        tenure::function halves([](const tenure::array &value) { return 0.5 * tenure::lazy(value); }, {w}, {}, {w});
        halves();
        wrong += w.get().read<double>()[0] != 2.0;
    }
    wrong += !tenure::leaks().empty();
    std::set_terminate([] { std::_Exit(7); });
    if (wrong == 0)
        static_cast<void>(tenure::zeros<double>({-1}));
    return 1;
}
