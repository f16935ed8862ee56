//! Programs of other languages, which the tests compile, run, and put under checkers.

#[path = "../support"]
mod support {
    pub mod cuda;
    pub mod handover;
    pub mod matmul;
    pub mod random;
    pub mod readme;
    pub mod runner;
    pub mod simulated;
    pub mod tools;
}

mod bench;
mod bench_copy;
mod c;
mod checkers;
mod compiler;
mod cpp;
mod examples;
mod fortran;
mod go;
mod java;
mod kernel_header;
mod node;
mod r;
mod tiled_matmul;
mod zig;

fn main() -> std::process::ExitCode {
    tenure_harness::main_with(c::trials())
}
