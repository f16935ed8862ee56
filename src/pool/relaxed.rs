//! The plain counters and fields of descriptors.

use core::sync::atomic::{AtomicUsize, Ordering};

/// A relaxed counter or field that other threads read without the lock.
#[derive(Debug, Default)]
pub(super) struct RelaxedUsize(AtomicUsize);

impl RelaxedUsize {
    pub const fn new(value: usize) -> RelaxedUsize {
        RelaxedUsize(AtomicUsize::new(value))
    }
    #[inline]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
    #[inline]
    pub fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }
    /// Adds, modulo 2^64. Only one thread may write.
    #[inline(always)]
    pub fn add(&self, more: usize) {
        self.set(self.get().wrapping_add(more));
    }
    /// Subtracts, modulo 2^64. Only one thread may write.
    #[inline(always)]
    pub fn subtract(&self, less: usize) {
        self.set(self.get().wrapping_sub(less));
    }
}
