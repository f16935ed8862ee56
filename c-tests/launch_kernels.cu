// The kernels of cuda_launch.c. `cargo xtask ptx` compiles this file into launch_kernels.h. The simulated driver does not run them: the test
// gives it host functions of the same names.

// tn_view<T, N> of tenure_kernel.cuh.
template <class T, int N> struct View {
    T *data;
    long long shape[N], strides[N];

    __device__ T &at(long long i) const
    {
        return *reinterpret_cast<T *>(reinterpret_cast<char *>(const_cast<void *>(static_cast<const void *>(data))) + i * strides[0]);
    }
};

__device__ static long long thread() { return blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; }

// to = factor * from + value
extern "C" __global__ void launch_scale(View<double, 1> to, View<double, 1> from, double factor, double value)
{
    const long long i = thread();
    if (i < to.shape[0])
        to.at(i) = factor * from.at(i) + value;
}

// x = factor * x + value
extern "C" __global__ void launch_change(double *x, long long n, double factor, double value)
{
    const long long i = thread();
    if (i < n)
        x[i] = factor * x[i] + value;
}

// What the kernel gets of an array of two axes: address, lengths, strides.
extern "C" __global__ void launch_tell(long long *to, View<double, 2> view)
{
    to[0] = reinterpret_cast<long long>(view.data);
    to[1] = view.shape[0];
    to[2] = view.shape[1];
    to[3] = view.strides[0];
    to[4] = view.strides[1];
}

// Writes the whole block memory, and the sum of its bytes to `to`.
extern "C" __global__ void launch_block_memory(long long *to, long long bytes)
{
    extern __shared__ unsigned char memory[];
    for (long long i = threadIdx.x; i < bytes; i += blockDim.x)
        memory[i] = 1;
    __syncthreads();
    if (threadIdx.x == 0) {
        long long sum = 0;
        for (long long i = 0; i < bytes; ++i)
            sum += memory[i];
        to[blockIdx.x] = sum;
    }
}

extern "C" __global__ void launch_nothing() {}
