// The kernels of the tests for the simulated driver: each runs on the host when its stream reaches the launch. A process that loads this
// library has them. tests/support/simulated.rs compiles it.

#include "kernels.cu"
#include "tenure_sim.h"
#include "tiled_matmul.cu"

#include <cstdlib>
#include <dlfcn.h>
#include <tuple>

// As in tenure.h.
struct tn_host_block {
    size_t size;
    unsigned grid[3], block[3], index[3], reserved;
    void *memory;
    size_t memory_bytes;
};

static decltype(&tenure_sim_bytes) device_bytes;

// Other arguments mean the same on the host.
template <typename T> static bool translate(T &, int) { return true; }

// The device's address becomes that of the simulator's bytes; false: the device may not use them.
template <typename T, int N> static bool translate(tn_view<T, N> &view, int device)
{
    long long low = 0, high = sizeof(T);
    for (int axis = 0; axis < N; axis++) {
        long long span = view.strides[axis] * (view.shape[axis] - 1);
        (span < 0 ? low : high) += span;
    }
    unsigned long long first = reinterpret_cast<unsigned long long>(view.data) + static_cast<unsigned long long>(low);
    void *bytes = view.size() == 0 ? nullptr : device_bytes(first, static_cast<size_t>(high - low), device);
    view.data = reinterpret_cast<T *>(static_cast<char *>(bytes) - (bytes ? low : 0));
    return bytes != nullptr || view.size() == 0;
}

template <auto kernel, typename... P, size_t... i>
static unsigned run(const tenure_sim_launch &launch, void **parameters, void (*)(P...), std::index_sequence<i...>)
{
    std::tuple<P...> values(*static_cast<P *>(parameters[i])...);
    if (!(translate(std::get<i>(values), launch.device) && ...))
        return 700;
    void *args[] = {&std::get<i>(values)...};
    void *memory = std::aligned_alloc(128, (launch.shared_bytes + 127u) / 128 * 128);
    for (unsigned z = 0; z < launch.grid[2]; z++)
        for (unsigned y = 0; y < launch.grid[1]; y++)
            for (unsigned x = 0; x < launch.grid[0]; x++) {
                tn_host_block block = {sizeof block, {}, {}, {x, y, z}, 0, memory, launch.shared_bytes};
                memcpy(block.grid, launch.grid, sizeof block.grid);
                memcpy(block.block, launch.block, sizeof block.block);
                tn_kernel::host::run_block<kernel>(&block, args);
            }
    std::free(memory);
    return 0;
}

template <auto kernel, typename... P>
static int add(decltype(&tenure_sim_register_kernel) register_kernel, const char *name, void (*)(P...))
{
    const size_t sizes[] = {sizeof(P)...};
    auto implementation = [](const tenure_sim_launch *launch, void **parameters) {
        return run<kernel>(*launch, parameters, kernel, std::index_sequence_for<P...>());
    };
    return register_kernel(name, implementation, sizes, sizeof...(P), 0);
}

#define ADD(kernel) add<&kernel>(register_kernel, #kernel, kernel)

__attribute__((constructor)) static void register_all()
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    auto find = [=](const char *name) { return driver ? dlsym(driver, name) : nullptr; };
    device_bytes = reinterpret_cast<decltype(device_bytes)>(find("tenure_sim_bytes"));
    auto register_kernel = reinterpret_cast<decltype(&tenure_sim_register_kernel)>(find("tenure_sim_register_kernel"));
    if (!device_bytes || !register_kernel)
        return;
    int failed = ADD(add_index_0) | ADD(add_index_1) | ADD(add_index_3) | ADD(add_index_8) | ADD(two_types) | ADD(alias) |
                 ADD(write_range) | ADD(shift) | ADD(sums) | ADD(one_sum) | ADD(all_types) | ADD(rotate) | ADD(leave_early) | ADD(where) |
                 ADD(matmul_static) | ADD(matmul_dynamic) | ADD(matmul_f64);
    if (failed)
        std::abort();
}
