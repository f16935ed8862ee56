// C = A B with tiles in block memory, for arrays of any strides: A is (m, k), B (k, n), C (m, n). The grid has one block for each tile of C:
// (ceil(n / tile), ceil(m / tile)) blocks.
//
// `cargo xtask ptx` compiles this file to tiled_matmul.ptx. A C++ compiler compiles it for the host.

#include "tenure_kernel.cuh"

// Computes one tile of C. Each thread computes `per` x `per` elements, which are `tile / per` apart.
template <typename T, int tile, int per>
__device__ void multiply(tn_view<T, 2> c, tn_view<const T, 2> a, tn_view<const T, 2> b, T *a_tile, T *b_tile)
{
    constexpr int apart = tile / per;
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const long long row = 1ll * tile * blockIdx.y, column = 1ll * tile * blockIdx.x, k = a.shape[1];
    TN_THREAD_ARRAY(T, sum, per, per);
    for (int i = 0; i < per; i++)
        for (int j = 0; j < per; j++)
            sum[i][j] = 0;
    for (long long first = 0; first < k; first += tile) {
        // Elements outside of A and B count as 0.
        for (int i = y; i < y + tile; i += apart)
            for (int j = x; j < x + tile; j += apart) {
                a_tile[i * tile + j] = row + i < c.shape[0] && first + j < k ? a(row + i, first + j) : T(0);
                b_tile[i * tile + j] = first + i < k && column + j < c.shape[1] ? b(first + i, column + j) : T(0);
            }
        tn_block_sync();
        for (int l = 0; l < tile; l++)
            for (int i = 0; i < per; i++)
                for (int j = 0; j < per; j++)
                    sum[i][j] += a_tile[(y + i * apart) * tile + l] * b_tile[l * tile + x + j * apart];
        // The next tiles must not overwrite elements that another thread still reads.
        tn_block_sync();
    }
    for (int i = 0; i < per; i++)
        for (int j = 0; j < per; j++)
            if (row + y + i * apart < c.shape[0] && column + x + j * apart < c.shape[1])
                c(row + y + i * apart, column + x + j * apart) = sum[i][j];
}

// Tiles of 16 x 16 in static block memory; blocks of 16 x 16 threads.
extern "C" __global__ void matmul_static(tn_view<float, 2> c, tn_view<const float, 2> a, tn_view<const float, 2> b)
{
    TN_BLOCK_ARRAY(float, a_tile, 16, 16);
    TN_BLOCK_ARRAY(float, b_tile, 16, 16);
    multiply<float, 16, 1>(c, a, b, &a_tile[0][0], &b_tile[0][0]);
}
TN_HOST_KERNEL(matmul_static);

// Tiles of 16 x 16 in dynamic block memory, where `tn_block_layout` placed them; blocks of 16 x 16 threads.
extern "C" __global__ void matmul_dynamic(tn_view<float, 2> c, tn_view<const float, 2> a, tn_view<const float, 2> b, long long a_offset,
                                          long long b_offset)
{
    multiply<float, 16, 1>(c, a, b, tn_block_at<float>(a_offset), tn_block_at<float>(b_offset));
}
TN_HOST_KERNEL(matmul_dynamic);

// Tiles of 64 x 64 doubles, together 64 KiB of dynamic block memory, which a launch must raise the limit for; blocks of 32 x 32 threads.
extern "C" __global__ void __launch_bounds__(1024)
    matmul_f64(tn_view<double, 2> c, tn_view<const double, 2> a, tn_view<const double, 2> b, long long a_offset, long long b_offset)
{
    multiply<double, 64, 2>(c, a, b, tn_block_at<double>(a_offset), tn_block_at<double>(b_offset));
}
TN_HOST_KERNEL(matmul_f64);
