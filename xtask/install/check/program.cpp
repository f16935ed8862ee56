// The program in C++, with the headers that are installed beside the C one.
#include <iostream>
#include <tenure.hpp>
#include <tenure_kernel.cuh>

extern "C" __global__ void twice(tn_view<double, 1> x)
{
    x(threadIdx.x) *= 2;
}
TN_HOST_KERNEL(twice);

int main()
{
    {
        tenure::array a = tenure::zeros<double>({2, 3}, tenure::named("a"));
        auto w = a.write<double>();
        w(1, 2) = 1.5;
    }
    std::size_t leaks = 1;
    if (tn_leaks(sizeof(tn_holder), 0, nullptr, &leaks) != TN_OK)
        return 1;
    std::cout << "leaks: " << leaks << '\n';
    return leaks != 0;
}
