//! Atomics and spinning as the model checker needs them: std's, or loom's under `cfg(loom)`.

#[cfg(not(loom))]
pub use core::{hint::spin_loop, sync::atomic};

#[cfg(loom)]
pub use loom::sync::atomic;

/// Under loom a spinning thread must let the others run.
#[cfg(loom)]
pub fn spin_loop() {
    loom::thread::yield_now();
}
