//! Tenure: who holds each buffer, and for how long.
//!
//! The public interface is C: the headers in `include`, generated from [`types`] and [`ffi`]. Rust programs have
//! [`PoolAllocator`] besides. The modules below stand in the order of the layers of ARCHITECTURE.md: lower layers first. A
//! module uses its own layer and lower ones; `tests/layers.rs` checks it.
#![deny(missing_docs)]

pub mod types;

pub mod error;

pub mod boundary;

pub mod arith;

pub mod options;

pub mod names;

pub mod flags;

pub mod sys;

pub mod thread;

pub mod dtype;

pub mod layout;

pub mod region;

pub mod slots;

pub mod copy_stats;

pub mod reclaim;

pub mod grow_unlocked;

pub mod stream;

pub mod device;

pub mod pool;

pub mod runner;

pub mod blit;

pub mod device_copy;

pub mod ledger;

pub mod address_index;

pub mod array;

pub mod borrow;

pub mod promise;

pub mod transfer;

pub mod exchange;

// What expressions compute is none of the model checker's business, and long to build.
#[cfg(not(loom))]
pub mod kernels;

#[cfg(not(loom))]
pub mod expr;

pub mod plugin;

pub mod report;

pub mod ffi;

pub use plugin::rust::PoolAllocator;
