//! The atomics of `block_state` and `free_protocol`. The loom model compiles these two files with the model checker's.

pub(super) use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
