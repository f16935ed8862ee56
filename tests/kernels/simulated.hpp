// Kernels that include tenure_kernel.cuh, for the simulated driver: each runs on the host when its stream reaches the launch.
//
// SIMULATE(kernel), in a file that defines the kernel and includes this one, registers it when the process starts or loads the file. A real
// driver, or none, changes nothing.

#ifndef TENURE_SIMULATED_HPP
#define TENURE_SIMULATED_HPP

#include "tenure_kernel.cuh"
#include "tenure_sim.h"

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

template <auto kernel, typename... P> static bool add(const char *name, void (*)(P...))
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    auto find = [=](const char *function) { return driver ? dlsym(driver, function) : nullptr; };
    device_bytes = reinterpret_cast<decltype(device_bytes)>(find("tenure_sim_bytes"));
    auto register_kernel = reinterpret_cast<decltype(&tenure_sim_register_kernel)>(find("tenure_sim_register_kernel"));
    if (!device_bytes || !register_kernel)
        return false;
    // One more, because an array has a length.
    const size_t sizes[] = {sizeof(P)..., 0};
    auto implementation = [](const tenure_sim_launch *launch, void **parameters) {
        return run<kernel>(*launch, parameters, kernel, std::index_sequence_for<P...>());
    };
    if (register_kernel(name, implementation, sizes, sizeof...(P), 0) != 0)
        std::abort();
    return true;
}

#define SIMULATE(kernel) [[maybe_unused]] static const bool kernel##_is_simulated = add<&kernel>(#kernel, kernel)

#endif
