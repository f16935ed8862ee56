// A second unit of the program with program.cpp: another kernel, whose function with a barrier lies in the first unit.

#include "tenure_kernel.cuh"

__device__ int other_unit(int value);

extern "C" __global__ void two_units(tn_view<int, 1> to) { to(threadIdx.x) = other_unit(static_cast<int>(threadIdx.x)); }
TN_HOST_KERNEL(two_units);
