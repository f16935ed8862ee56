// Kernels of the tests of tenure_kernel.cuh. program.cpp runs them on the host; `cargo xtask ptx --check` compiles them for GPUs.

#include "tenure_kernel.cuh"

// Element types that C++ does not have. Their constructors are not trivial, as those of many libraries.
struct half {
    unsigned short bits;
    __host__ __device__ half() : bits(0x7e00) {}
    __host__ __device__ explicit half(int value) : bits(static_cast<unsigned short>(value)) {}
    __host__ __device__ explicit operator int() const { return bits; }
};
struct bfloat16 {
    unsigned short bits;
    __host__ __device__ bfloat16() : bits(0x7fc0) {}
    __host__ __device__ explicit bfloat16(int value) : bits(static_cast<unsigned short>(value)) {}
    __host__ __device__ explicit operator int() const { return bits; }
};
template <typename F> struct complex {
    F re, im;
    __host__ __device__ complex() : re(-1), im(-1) {}
    __host__ __device__ explicit complex(int value) : re(static_cast<F>(value)), im(static_cast<F>(-value)) {}
    __host__ __device__ explicit operator int() const { return re == -im ? static_cast<int>(re) : -1; }
};

// ---- views ----

template <typename T, int N> struct element;
template <typename T> struct element<T, 0> {
    static __device__ T &of(const tn_view<T, 0> &v, long long) { return v(); }
};
template <typename T> struct element<T, 1> {
    static __device__ T &of(const tn_view<T, 1> &v, long long i) { return v(i); }
};
template <typename T> struct element<T, 3> {
    static __device__ T &of(const tn_view<T, 3> &v, long long i)
    {
        return v(i / (v.shape[1] * v.shape[2]), static_cast<int>(i / v.shape[2] % v.shape[1]), static_cast<unsigned>(i % v.shape[2]));
    }
};
template <typename T> struct element<T, 8> {
    static __device__ T &of(const tn_view<T, 8> &v, long long i)
    {
        long long at[8];
        for (int axis = 7; axis >= 0; axis--) {
            at[axis] = i % v.shape[axis];
            i /= v.shape[axis];
        }
        return v(at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]);
    }
};

// Element i of the destination, in C order, becomes that of the source plus i.
template <typename T, int N> __device__ void add_index(tn_view<T, N> to, tn_view<const T, N> from)
{
    for (long long i = threadIdx.x; i < to.size(); i += blockDim.x)
        element<T, N>::of(to, i) = static_cast<T>(element<const T, N>::of(from, i) + static_cast<T>(i));
}

extern "C" __global__ void add_index_0(tn_view<double, 0> to, tn_view<const double, 0> from) { add_index(to, from); }
extern "C" __global__ void add_index_1(tn_view<short, 1> to, tn_view<const short, 1> from) { add_index(to, from); }
extern "C" __global__ void add_index_3(tn_view<float, 3> to, tn_view<const float, 3> from) { add_index(to, from); }
extern "C" __global__ void add_index_8(tn_view<long long, 8> to, tn_view<const long long, 8> from) { add_index(to, from); }
TN_HOST_KERNEL(add_index_0);
TN_HOST_KERNEL(add_index_1);
TN_HOST_KERNEL(add_index_3);
TN_HOST_KERNEL(add_index_8);

// For TN_KERNEL_CHECK.
extern "C" __global__ void write_at(tn_view<int, 2> to, long long i, long long j) { to(i, j) = 7; }
extern "C" __global__ void block_at(long long offset) { *tn_block_at<double>(offset) = 1; }
TN_HOST_KERNEL(write_at);
TN_HOST_KERNEL(block_at);

// ---- dynamic block memory ----

// Two arrays of other types, at the given offsets. Each thread writes its elements, and reads those of another thread.
extern "C" __global__ void two_types(tn_view<double, 1> to, long long ints, long long doubles)
{
    int *first = tn_block_at<int>(ints);
    double *second = tn_block_at<double>(doubles);
    unsigned me = threadIdx.x, other = (me + 1) % blockDim.x;
    first[me] = static_cast<int>(1000 + me);
    second[me] = 0.5 * me;
    tn_block_sync();
    to(me) = first[other] + second[other];
}
TN_HOST_KERNEL(two_types);

// Two calls with one offset give the same bytes.
extern "C" __global__ void alias(tn_view<unsigned, 1> to, long long offset)
{
    *tn_block_at<float>(offset) = 1.0f;
    to(0) = *tn_block_at<unsigned>(offset);
    to(1) = static_cast<unsigned>(reinterpret_cast<unsigned long long>(tn_block_at<char>(0)) % 128);
}
TN_HOST_KERNEL(alias);

// Where the dynamic memory begins.
extern "C" __global__ void memory_at(unsigned long long *to) { *to = reinterpret_cast<unsigned long long>(tn_block_at<char>(0)); }
TN_HOST_KERNEL(memory_at);

// Writes 1, 2, .. through a range of one block array that holds 99, and then its elements to `to`.
extern "C" __global__ void write_range(tn_view<int, 1> to, long long first, long long step, long long length)
{
    int *all = tn_block_at<int>(0);
    for (long long i = threadIdx.x; i < to.size(); i += blockDim.x)
        all[i] = 99;
    tn_block_sync();
    tn_view<int, 1> range = {all + first, {length}, {step * static_cast<long long>(sizeof(int))}};
    for (long long i = threadIdx.x; i < length; i += blockDim.x)
        range(i) = static_cast<int>(i + 1);
    tn_block_sync();
    for (long long i = threadIdx.x; i < to.size(); i += blockDim.x)
        to(i) = all[i];
}
TN_HOST_KERNEL(write_range);

// Copies between two overlapping ranges of one block array: all elements are read before one is written.
extern "C" __global__ void shift(tn_view<int, 1> values, long long by)
{
    int *all = tn_block_at<int>(0);
    unsigned me = threadIdx.x;
    all[me] = values(me);
    tn_block_sync();
    tn_view<const int, 1> from = {all, {blockDim.x - by}, {sizeof(int)}};
    tn_view<int, 1> to = {all + by, {blockDim.x - by}, {sizeof(int)}};
    int kept = me < from.size() ? from(me) : 0;
    tn_block_sync();
    if (me < from.size())
        to(me) = kept;
    tn_block_sync();
    values(me) = all[me];
}
TN_HOST_KERNEL(shift);

// ---- static block arrays and thread arrays ----

// The sum over the threads of the block; its array is not that of the kernel.
static __device__ int block_sum(int value)
{
    TN_BLOCK_ARRAY(int, values, 64);
    values[threadIdx.x] = value;
    tn_block_sync();
    int sum = 0;
    for (unsigned i = 0; i < blockDim.x; i++)
        sum += values[i];
    tn_block_sync();
    return sum;
}

extern "C" __global__ void sums(tn_view<int, 2> to)
{
    TN_BLOCK_ARRAY(int, values, 64);
    int me = static_cast<int>(threadIdx.x);
    values[me] = me;
    int sum = block_sum(2 * me + static_cast<int>(blockIdx.x));
    tn_block_sync();
    to(blockIdx.x, me) = sum * 100 + values[blockDim.x - 1 - threadIdx.x];
}
TN_HOST_KERNEL(sums);

// Another kernel that calls the same function, and has arrays with the same names.
extern "C" __global__ void one_sum(tn_view<int, 1> to)
{
    TN_BLOCK_ARRAY(float, values, 2, 32);
    values[threadIdx.x / 32][threadIdx.x % 32] = 0.5f;
    int sum = block_sum(1);
    to(threadIdx.x) = sum + static_cast<int>(2 * values[threadIdx.x / 32][threadIdx.x % 32]);
}
TN_HOST_KERNEL(one_sum);

// For one element type: block arrays with 1, 2 and 3 axes, a thread array and dynamic memory. 0: all elements are right.
template <typename T> __device__ int faults()
{
    TN_BLOCK_ARRAY(T, line, 32);
    TN_BLOCK_ARRAY(T, plane, 4, 9);
    TN_BLOCK_ARRAY(T, cube, 2, 4, 5);
    TN_THREAD_ARRAY(T, own, 3);
    TN_THREAD_ARRAY(T, matrix, 2, 3);
    static_assert(sizeof(line) == 32 * sizeof(T) && sizeof(plane) == 36 * sizeof(T) && sizeof(cube) == 40 * sizeof(T), "lengths");
    static_assert(sizeof(own) == 3 * sizeof(T) && sizeof(plane[0]) == 9 * sizeof(T) && sizeof(cube[0][0]) == 5 * sizeof(T), "axes");
    T *dynamic = tn_block_at<T>(128);
    int me = static_cast<int>(threadIdx.x), other = 31 - me, found = 0;
    for (int i = 0; i < 3; i++)
        own[i] = static_cast<T>((me + i) & 1);
    matrix[0][2] = own[0];
    matrix[1][0] = own[1];
    line[me] = own[0];
    plane[me / 8][me % 8] = own[1];
    cube[me / 16][me / 4 % 4][me % 4] = own[2];
    dynamic[me] = matrix[0][2];
    tn_block_sync();
    found += static_cast<int>(line[other]) != (other & 1);
    found += static_cast<int>(plane[other / 8][other % 8]) != ((other + 1) & 1);
    found += static_cast<int>(cube[other / 16][other / 4 % 4][other % 4]) != (other & 1);
    found += static_cast<int>(dynamic[other]) != (other & 1);
    found += static_cast<int>(matrix[1][0]) != ((me + 1) & 1);
    found += reinterpret_cast<unsigned long long>(&line) % 16 != 0 || reinterpret_cast<unsigned long long>(&plane) % 16 != 0;
    found += reinterpret_cast<unsigned long long>(&cube) % alignof(T) != 0 || reinterpret_cast<unsigned long long>(&own) % alignof(T) != 0;
    tn_block_sync();
    return found;
}

extern "C" __global__ void all_types(tn_view<int, 1> to)
{
    int found = faults<bool>();
    found += faults<signed char>() + faults<short>() + faults<int>() + faults<long long>();
    found += faults<unsigned char>() + faults<unsigned short>() + faults<unsigned>() + faults<unsigned long long>();
    found += faults<half>() + faults<float>() + faults<double>() + faults<bfloat16>();
    found += faults<complex<float>>() + faults<complex<double>>();
    to(threadIdx.x) = found;
}
TN_HOST_KERNEL(all_types);

// ---- barriers ----

// Rounds of a rotation by one place: each needs two barriers.
extern "C" __global__ void __launch_bounds__(1024) rotate(tn_view<int, 1> values, int rounds)
{
    TN_BLOCK_ARRAY(int, line, 1024);
    unsigned n = blockDim.x * blockDim.y * blockDim.z, me = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    long long first = static_cast<long long>(blockIdx.x) * n;
    int value = values(first + me);
    for (int round = 0; round < rounds; round++) {
        line[me] = value;
        tn_block_sync();
        value = line[(me + 1) % n];
        __syncthreads();
    }
    values(first + me) = value;
}
TN_HOST_KERNEL(rotate);

// Thread i returns after i barriers. Those that are left count in each round the threads that have not returned.
extern "C" __global__ void leave_early(tn_view<int, 1> counts)
{
    __shared__ int present[65];
    int me = static_cast<int>(threadIdx.x);
    present[me] = 1;
    for (int round = 0; round < me; round++) {
        tn_block_sync();
        if (round < me - 1)
            continue;
        int n = 0;
        for (unsigned i = 0; i < blockDim.x; i++)
            n += present[i];
        counts(me) = n;
    }
    present[me] = 0;
}
TN_HOST_KERNEL(leave_early);

// What CUDA's words say, for each thread of the grid.
extern "C" __global__ void where(tn_view<unsigned, 2> to)
{
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned at = block * blockDim.x * blockDim.y * blockDim.z + thread;
    to(at, 0) = block;
    to(at, 1) = thread;
    to(at, 2) = gridDim.x * 100 + gridDim.y * 10 + gridDim.z;
    to(at, 3) = blockDim.x * 100 + blockDim.y * 10 + blockDim.z;
    to(at, 4)++;
}
TN_HOST_KERNEL(where);

// Arguments of all sizes, by value.
struct three_bytes {
    unsigned char values[3];
};
extern "C" __global__ void values(int *to, char a, three_bytes b, short c, double d, const float *e, long long f)
{
    *to = a + b.values[0] + b.values[1] + b.values[2] + c + static_cast<int>(d) + static_cast<int>(*e) + static_cast<int>(f);
}
TN_HOST_KERNEL(values);

// The threads of a block have arrays that fill most of a stack.
extern "C" __global__ void deep(tn_view<int, 1> to)
{
    TN_THREAD_ARRAY(int, numbers, 12 * 1024);
    volatile int *all = numbers;
    for (int i = 0; i < 12 * 1024; i++)
        all[i] = i + static_cast<int>(threadIdx.x);
    tn_block_sync();
    int sum = 0;
    for (int i = 0; i < 12 * 1024; i++)
        sum += all[i] != i + static_cast<int>(threadIdx.x);
    to(threadIdx.x) = sum;
}
TN_HOST_KERNEL(deep);
