//! The tests of GPUs: on a real one, on the simulated driver (`cargo xtask test --sim`), or ignored.

#[path = "../support"]
mod support {
    pub mod capi;
    pub mod crossings;
    pub mod cuda;
    pub mod device_arrays;
    pub mod device_pools;
    pub mod matmul;
    pub mod random;
    pub mod runner;
    pub mod shadowed_arrays;
    pub mod simulated;
    pub mod strided_cases;
    pub mod tables;
}

mod cuda_borrow;
mod cuda_borrowing;
mod cuda_captures;
mod cuda_cleared;
mod cuda_device;
mod cuda_device_copy;
mod cuda_driver_pool;
mod cuda_kernel_header;
mod cuda_kernels;
mod cuda_many;
mod cuda_mapped;
mod cuda_mirror_random;
mod cuda_model;
mod cuda_order;
mod cuda_plugins;
mod cuda_pool;
mod cuda_pool_random;
mod cuda_register;
mod cuda_reset;
mod cuda_scale;
mod cuda_stream;
mod cuda_threads;
mod cuda_transfer;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}
