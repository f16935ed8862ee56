//! Tenure: who holds each buffer, and for how long.
//!
//! The public interface is C: the headers in `include`, generated from [`types`] and [`ffi`]. Rust programs can also
//! use [`PoolAllocator`]. The modules below are in the order of the layers of ARCHITECTURE.md: each uses only modules
//! above it in this list (`tests/repository/layers.rs`).
#![deny(missing_docs)]

pub mod types;
pub mod error;
pub mod boundary;
pub mod arith;
pub mod options;
pub mod names;
pub mod flags;
pub mod lists;
pub mod sys;
pub mod arena;
pub mod thread;
pub mod cuda_driver;
#[cfg(not(loom))]
pub mod cuda_compiler;
pub mod dtype;
pub mod layout;
pub mod region;
pub mod block_layout;
pub mod slots;
pub mod counted;
pub mod sites;
pub mod events;
pub mod copy_stats;
pub mod reclaim;
pub mod grow_unlocked;
pub mod gpu;
pub mod stream;
pub mod runner;
pub mod device;
pub mod pool;
pub mod blit;
pub mod device_copy;
pub mod address_index;
pub mod ledger;
pub mod array;
pub mod borrow;
pub mod promise;
pub mod transfer;
pub mod exchange;
// The loom models do not use expressions, which take long to build.
#[cfg(not(loom))]
pub mod kernels;
#[cfg(not(loom))]
pub mod expr;
pub mod variable;
#[cfg(not(loom))]
pub mod function;
#[cfg(not(loom))]
pub mod mirror;
#[cfg(not(loom))]
pub mod module;
#[cfg(not(loom))]
pub mod launch;
pub mod plugin;
pub mod report;
pub mod background;
pub mod listen;
#[cfg(not(loom))]
pub mod load;
#[cfg(not(loom))]
pub mod unload;
pub mod ffi;

pub use plugin::rust::PoolAllocator;
