// Strided copies and fills of units of 1, 2, 4, 8 and 16 bytes.
//
// `cargo xtask ptx` compiles this file to strided.ptx, which the library embeds. `launch.rs` fills `Launch`; the two layouts must agree. The
// file includes nothing: tests/kernel_source.rs also compiles it as C++ and runs it on the host.
//
// A launch visits fewer than 2^31 units, so an index has 32 bits. Strides and addresses have 64 bits. Source and destination share no byte.

// Most axes of a launch: fewer than 2^31 units have at most 30 axes of at least two steps.
#define MAX_AXES 32
// Threads of a block, and the units that each of them copies or fills.
#define THREADS 256
#define UNITS_PER_THREAD 4
// The side of a tile in units, and the rows of a tile that a block moves at a time.
#define TILE 32
#define TILE_ROWS 8

// Division of an index below 2^31 by `divisor`, as a multiplication and a shift.
struct Divider {
    unsigned divisor, multiplier, shift;

    __device__ unsigned quotient(unsigned index) const { return (__umulhi(index, multiplier) + index) >> shift; }
};

// One loop: its number of steps (the divisor), and the bytes that both sides move per step.
struct Axis {
    long long dst, src;
    Divider length;
    unsigned reserved;
};

struct Launch {
    // Addresses of the first unit of both sides.
    char *dst;
    const char *src;
    // The value of a fill, repeated up to 16 bytes.
    unsigned long long value[2];
    // The number of units.
    unsigned count;
    // At least 1; at least 2 in a transposition.
    unsigned n_axes;
    // The number of units after which the value of a fill repeats, minus 1; the number is a power of two.
    unsigned value_mask;
    unsigned reserved;
    // The numbers of tiles along the first two axes of a transposition.
    Divider tiles[2];
    // Innermost first. In a transposition, the units of the destination are close along the first axis, those of the source along the second.
    Axis axes[MAX_AXES];
};

// The bytes from the first unit to the unit `index` of both sides, along the axes from `first` on.
struct Offset {
    long long dst, src;

    __device__ void add(const Axis &axis, unsigned steps)
    {
        dst += axis.dst * (long long)steps;
        src += axis.src * (long long)steps;
    }

    // `index` counts the units along the axes from `first` on.
    __device__ void add_all(const Launch &launch, unsigned first, unsigned index)
    {
#pragma unroll 1
        for (unsigned at = first; at < launch.n_axes; ++at) {
            const Axis &axis = launch.axes[at];
            unsigned outer = axis.length.quotient(index);
            add(axis, index - outer * axis.length.divisor);
            index = outer;
        }
    }
};

// The units of a thread. Their offsets are computed together, so that the loads of all units are in flight at the same time.
struct Units {
    unsigned first;
    Offset offsets[UNITS_PER_THREAD];

    __device__ Units(const Launch &launch, unsigned block, unsigned thread)
    {
        first = block * (THREADS * UNITS_PER_THREAD) + thread;
        unsigned index[UNITS_PER_THREAD];
#pragma unroll
        for (unsigned n = 0; n < UNITS_PER_THREAD; ++n) {
            offsets[n].dst = offsets[n].src = 0;
            // Beyond the last unit the offsets have no meaning, and are not used.
            index[n] = first + n * THREADS;
        }
#pragma unroll 1
        for (unsigned at = 0; at < launch.n_axes; ++at) {
            const Axis &axis = launch.axes[at];
#pragma unroll
            for (unsigned n = 0; n < UNITS_PER_THREAD; ++n) {
                unsigned outer = axis.length.quotient(index[n]);
                offsets[n].add(axis, index[n] - outer * axis.length.divisor);
                index[n] = outer;
            }
        }
    }

    __device__ bool has(const Launch &launch, unsigned n) const { return first + n * THREADS < launch.count; }
};

template <typename Unit> __device__ void copy_units(const Launch &launch, unsigned block, unsigned thread)
{
    Units units(launch, block, thread);
    Unit values[UNITS_PER_THREAD];
#pragma unroll
    for (unsigned n = 0; n < UNITS_PER_THREAD; ++n) {
        if (units.has(launch, n)) {
            values[n] = *(const Unit *)(launch.src + units.offsets[n].src);
        }
    }
#pragma unroll
    for (unsigned n = 0; n < UNITS_PER_THREAD; ++n) {
        if (units.has(launch, n)) {
            *(Unit *)(launch.dst + units.offsets[n].dst) = values[n];
        }
    }
}

template <typename Unit> __device__ void fill_units(const Launch &launch, unsigned block, unsigned thread)
{
    Units units(launch, block, thread);
    const Unit *value = (const Unit *)launch.value;
#pragma unroll
    for (unsigned n = 0; n < UNITS_PER_THREAD; ++n) {
        if (units.has(launch, n)) {
            *(Unit *)(launch.dst + units.offsets[n].dst) = value[(units.first + n * THREADS) & launch.value_mask];
        }
    }
}

// The tile of a block: its first indices along the first two axes, and the offsets along all other axes.
struct TilePlace {
    unsigned first[2];
    Offset others;

    __device__ TilePlace(const Launch &launch, unsigned block)
    {
        unsigned rest = launch.tiles[0].quotient(block);
        first[0] = (block - rest * launch.tiles[0].divisor) * TILE;
        unsigned outer = launch.tiles[1].quotient(rest);
        first[1] = (rest - outer * launch.tiles[1].divisor) * TILE;
        others.dst = others.src = 0;
        others.add_all(launch, 2, outer);
    }

    // Whether the launch has the unit at these indices of the tile.
    __device__ bool contains(const Launch &launch, unsigned in_first, unsigned in_second) const
    {
        return first[0] + in_first < launch.axes[0].length.divisor && first[1] + in_second < launch.axes[1].length.divisor;
    }
};

// One column more than a tile has, so that the units of a column are in different banks of the shared memory.
template <typename Unit> struct Tile {
    Unit units[TILE][TILE + 1];
};

// Neighbouring threads read neighbouring units of the source.
template <typename Unit>
__device__ void load_tile(const Launch &launch, const TilePlace &place, Tile<Unit> &tile, unsigned x, unsigned y)
{
#pragma unroll
    for (unsigned row = y; row < TILE; row += TILE_ROWS) {
        if (place.contains(launch, row, x)) {
            Offset offset = place.others;
            offset.add(launch.axes[0], place.first[0] + row);
            offset.add(launch.axes[1], place.first[1] + x);
            tile.units[row][x] = *(const Unit *)(launch.src + offset.src);
        }
    }
}

// Neighbouring threads write neighbouring units of the destination.
template <typename Unit>
__device__ void store_tile(const Launch &launch, const TilePlace &place, const Tile<Unit> &tile, unsigned x, unsigned y)
{
#pragma unroll
    for (unsigned row = y; row < TILE; row += TILE_ROWS) {
        if (place.contains(launch, x, row)) {
            Offset offset = place.others;
            offset.add(launch.axes[0], place.first[0] + x);
            offset.add(launch.axes[1], place.first[1] + row);
            *(Unit *)(launch.dst + offset.dst) = tile.units[x][row];
        }
    }
}

#define KERNELS(WIDTH, UNIT)                                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS) tenure_copy_##WIDTH(const __grid_constant__ Launch launch)  \
    {                                                                                                                 \
        copy_units<UNIT>(launch, blockIdx.x, threadIdx.x);                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) tenure_fill_##WIDTH(const __grid_constant__ Launch launch)  \
    {                                                                                                                 \
        fill_units<UNIT>(launch, blockIdx.x, threadIdx.x);                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                             \
        tenure_transpose_##WIDTH(const __grid_constant__ Launch launch)                                               \
    {                                                                                                                 \
        __shared__ Tile<UNIT> tile;                                                                                   \
        TilePlace place(launch, blockIdx.x);                                                                          \
        load_tile<UNIT>(launch, place, tile, threadIdx.x % TILE, threadIdx.x / TILE);                                 \
        __syncthreads();                                                                                              \
        store_tile<UNIT>(launch, place, tile, threadIdx.x % TILE, threadIdx.x / TILE);                                \
    }

KERNELS(1, unsigned char)
KERNELS(2, unsigned short)
KERNELS(4, unsigned int)
KERNELS(8, unsigned long long)
KERNELS(16, ulonglong2)
