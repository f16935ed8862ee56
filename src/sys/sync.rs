//! Atomics as the model checker needs them: std's, or loom's under `cfg(loom)`; and what tells it of memory behind a lock.

#[cfg(not(loom))]
pub use core::sync::atomic;

#[cfg(loom)]
pub use loom::sync::atomic;

/// Stands beside memory that a lock guards. Under loom it fails the model when two threads reach the memory with nothing that
/// orders them; otherwise it is nothing.
#[cfg(not(loom))]
#[derive(Default)]
pub struct Watch;

#[cfg(not(loom))]
impl Watch {
    /// A watch over memory that nobody has reached yet.
    pub const fn new() -> Watch {
        Watch
    }
    /// The memory is about to be read.
    #[inline(always)]
    pub fn read(&self) {}
    /// The memory is about to be written.
    #[inline(always)]
    pub fn write(&self) {}
}

/// See the one of other builds.
#[cfg(loom)]
#[derive(Default)]
pub struct Watch(loom::cell::UnsafeCell<()>);

#[cfg(loom)]
impl Watch {
    /// A watch over memory that nobody has reached yet.
    pub fn new() -> Watch {
        Watch(loom::cell::UnsafeCell::new(()))
    }
    /// The memory is about to be read.
    pub fn read(&self) {
        self.0.with(|_| ());
    }
    /// The memory is about to be written.
    pub fn write(&self) {
        self.0.with_mut(|_| ());
    }
}
