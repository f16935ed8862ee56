// The kernels of strided.cu as C++ on the host: the blocks of a launch and the threads of a block run one after the other, in a random order.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#define __device__
#define __global__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(threads)

struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};
static struct {
    unsigned x;
} blockIdx, threadIdx;

static unsigned __umulhi(unsigned a, unsigned b) { return unsigned(std::uint64_t(a) * b >> 32); }
static void __syncthreads() {}

#include STRIDED_CU

static_assert(sizeof(Axis) == 32 && sizeof(Launch) == 1096 && offsetof(Launch, axes) == 72, "as in launch.rs");

static std::vector<unsigned> shuffled(unsigned count, std::mt19937 &random)
{
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    return order;
}

template <typename Unit> static void run(unsigned operation, unsigned blocks, const Launch &launch, std::mt19937 &random)
{
    for (unsigned block : shuffled(blocks, random)) {
        if (operation < 2) {
            for (unsigned thread : shuffled(THREADS, random)) {
                operation == 0 ? copy_units<Unit>(launch, block, thread) : fill_units<Unit>(launch, block, thread);
            }
            continue;
        }
        // All threads load before one stores, as the barrier of the kernel demands.
        Tile<Unit> tile;
        TilePlace place(launch, block);
        for (unsigned thread : shuffled(THREADS, random)) {
            load_tile<Unit>(launch, place, tile, thread % TILE, thread / TILE);
        }
        for (unsigned thread : shuffled(THREADS, random)) {
            store_tile<Unit>(launch, place, tile, thread % TILE, thread / TILE);
        }
    }
}

// Runs the kernel at a position in `launch::NAMES`.
extern "C" void run_kernel(unsigned kernel, unsigned blocks, const Launch *launch, unsigned seed)
{
    std::mt19937 random(seed);
    unsigned operation = kernel / 5;
    switch (kernel % 5) {
    case 0: return run<unsigned char>(operation, blocks, *launch, random);
    case 1: return run<unsigned short>(operation, blocks, *launch, random);
    case 2: return run<unsigned int>(operation, blocks, *launch, random);
    case 3: return run<unsigned long long>(operation, blocks, *launch, random);
    default: return run<ulonglong2>(operation, blocks, *launch, random);
    }
}
