//! Vectors of 16, 32 and 64 bytes, as the loops of `tile` and `row` need them. A file for each processor implements
//! them.
//!
//! Contract: each method is one instruction or a few. It is inlined into a function that enables the instructions of
//! its vector. Callers check `cpu::vectors` before they call that function. "The processor has the vector" below means
//! this check.

#[cfg(target_arch = "aarch64")]
mod aarch64;

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// A vector of 16-byte lanes. `ITEM` is the size in bytes of the items that are moved as a whole: 1, 2, 4, 8 or 16.
pub(super) trait Lanes: Copy {
    /// The size of the vector.
    const BYTES: usize;

    /// Loads 16 bytes into each lane, from `at`, `at + step`, ...
    ///
    /// # Safety
    /// - Every lane's bytes may be read, and the processor has the vector.
    unsafe fn gather(at: *const u8, step: isize) -> Self;

    /// # Safety
    /// - A vector may be written to `at`, and the processor has the vector.
    unsafe fn store(self, at: *mut u8);

    /// Stores the vector past the caches, if the processor has such stores.
    ///
    /// # Safety
    /// - A vector may be written to `at`, and the processor has the vector.
    /// - `at` is a multiple of the vector's size.
    unsafe fn stream(self, at: *mut u8);

    /// Interleaves the lower halves of each lane: a0 b0 a1 b1 ...
    ///
    /// # Safety
    /// - The processor has the vector.
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self;

    /// Interleaves the upper halves of each lane.
    ///
    /// # Safety
    /// - The processor has the vector.
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self;
}

/// A vector of at least two lanes, with the operations that the loops of `row` need.
pub(super) trait Wide: Lanes {
    /// # Safety
    /// - A vector may be read from `at`, and the processor has the vector.
    unsafe fn load(at: *const u8) -> Self;

    /// Loads 32 bytes into each pair of lanes, from `at`, `at + step`, ...
    ///
    /// # Safety
    /// - Every pair's bytes may be read, and the processor has the vector.
    unsafe fn gather_pairs(at: *const u8, step: isize) -> Self;

    /// The items in reverse order.
    ///
    /// # Safety
    /// - The processor has the vector.
    unsafe fn reversed<const ITEM: usize>(self) -> Self;

    /// The first, third, fifth, ... item of `a` followed by `b`. Items have at most 8 bytes.
    ///
    /// # Safety
    /// - The processor has the vector.
    unsafe fn every_second<const ITEM: usize>(a: Self, b: Self) -> Self;
}
