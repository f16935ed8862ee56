//! Atomics that the model checker can explore: std's, or loom's under `cfg(loom)`; and accesses to memory behind a
//! lock, which it checks.

#[cfg(not(loom))]
pub use core::sync::atomic;

#[cfg(loom)]
pub use loom::sync::atomic;

/// Accompanies memory that a lock guards. Under loom, the model fails if two threads access the memory in no defined
/// order. In other builds it has no effect.
#[cfg(not(loom))]
#[derive(Default)]
pub struct Watch;

#[cfg(not(loom))]
impl Watch {
    /// A watch for memory that was not accessed yet.
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

/// Accompanies memory that a lock guards.
#[cfg(loom)]
#[derive(Default)]
pub struct Watch(loom::cell::UnsafeCell<()>);

#[cfg(loom)]
impl Watch {
    /// A watch for memory that was not accessed yet.
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
