//! Tenure: who holds each buffer, and for how long.
//!
//! The public interface is C: the headers in `include`, generated from [`types`] and [`ffi`]. Rust programs can also
//! use [`PoolAllocator`]. The modules below are in the order of the layers of ARCHITECTURE.md: each uses only modules
//! above it in this list (`tests/repository/layers.rs`).
#![deny(missing_docs)]
// The core alone has what only the other modules use.
#![cfg_attr(not(feature = "managed"), allow(dead_code))]

pub mod types;
pub mod error;
pub mod probes;
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
#[cfg(feature = "managed")]
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
#[cfg(feature = "managed")]
pub mod kernels;
#[cfg(feature = "managed")]
pub mod expr;
#[cfg(any(feature = "managed", loom))]
pub mod variable;
#[cfg(feature = "managed")]
pub mod function;
#[cfg(feature = "managed")]
pub mod mirror;
#[cfg(feature = "managed")]
pub mod module;
#[cfg(feature = "managed")]
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
