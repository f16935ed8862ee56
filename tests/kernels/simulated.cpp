// The kernels of the tests for the simulated driver. A process that loads this library has them. tests/support/simulated.rs compiles it.

#include "kernels.cu"
#include "simulated.hpp"
#include "tiled_matmul.cu"

SIMULATE(add_index_0);
SIMULATE(add_index_1);
SIMULATE(add_index_3);
SIMULATE(add_index_8);
SIMULATE(two_types);
SIMULATE(alias);
SIMULATE(write_range);
SIMULATE(shift);
SIMULATE(sums);
SIMULATE(one_sum);
SIMULATE(all_types);
SIMULATE(rotate);
SIMULATE(leave_early);
SIMULATE(where);
SIMULATE(matmul_static);
SIMULATE(matmul_dynamic);
SIMULATE(matmul_f64);
