//! What the layers above keep in each thread's record, by type.
//!
//! Contract: a layer implements [`PerThread`] for its type, once per area. Reaching the value costs an addition to the
//! record's address.

use super::area::Area;
use super::record::Thread;

/// A type whose value is kept in each thread's record.
///
/// # Safety
/// - All-zero bytes are a valid value, which a new thread begins with. A value is never dropped, and outlives the
///   thread.
/// - A value is accessed by its thread only, or by a thread that has checked that the owner is gone; other threads may
///   use its atomics.
/// - No other type has the same area.
pub unsafe trait PerThread: Sized + 'static {
    /// The area of this type: exactly its size.
    const AREA: Area;

    /// The value of a thread.
    #[inline(always)]
    fn of(thread: &Thread) -> &Self {
        const { assert!(size_of::<Self>() == Self::AREA.bytes && align_of::<Self>() <= 8) };
        // SAFETY: the area lies in the record, has the size and alignment of the type, and holds zeros or what its
        // users left: a valid value.
        unsafe { &*thread.areas().byte_add(Self::AREA.start).cast::<Self>() }
    }
}
