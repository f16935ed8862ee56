//! The library, called from Rust. What replaces the global allocator is a program of its own.
#![allow(clippy::macro_metavars_in_unsafe)] // `out!` stands for a call of C: its arguments are the test's own pointers

#[path = "../support"]
mod support {
    pub mod bodies;
    pub mod capi;
    pub mod crossings;
    pub mod cuda;
    pub mod decay;
    pub mod expr;
    pub mod layout_oracle;
    pub mod pools;
    pub mod random;
    pub mod runner;
    pub mod strided_cases;
    pub mod tables;
    pub mod tools;
}

mod background;
mod blit_extremes;
mod blit_paths;
mod borrowing;
mod events;
#[cfg(feature = "linalg")]
mod expr;
#[cfg(feature = "linalg")]
mod expr_random;
#[cfg(feature = "linalg")]
mod expr_rules;
#[cfg(feature = "linalg")]
mod expr_values;
mod fork;
#[cfg(feature = "linalg")]
mod forms;
mod full_disk;
mod layout;
mod layout_model;
mod listen;
mod mapped_files;
mod memory_limits;
mod mirror_random;
mod misuse;
#[cfg(feature = "linalg")]
mod openblas;
mod plan;
mod pool;
mod pool_decay;
mod pool_default;
mod pool_exit;
mod pool_misuse;
mod pool_oom;
mod pool_page_moves;
mod pool_pages;
mod pool_pressure;
mod pool_release;
mod pool_resident;
mod pool_soak;
mod pool_threads;
mod pool_upstream;
mod region;
mod report;
mod safetensors;
mod stress;
mod stress_calls;
mod unload;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}
