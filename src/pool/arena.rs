//! Memory for bookkeeping: zeroed, never given back, never from Rust's heap.
//!
//! Contract: what is taken here stays mapped until the process ends, so a stale reference into it reads an object of
//! the same type, never an unmapped page. Those who give objects back keep a list of their own for reuse
//! ([`Recycler`]). No system call runs under the lock. A preload library over our pools can rely on it: nothing here
//! calls malloc.

use crate::pool::lock::Lock;
use crate::sys::os;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Asked from the system at a time; what is not touched costs addresses only.
const CHUNK_BYTES: usize = 1 << 20;

struct Chunk {
    next: usize,
    end: usize,
}

static CHUNK: Lock<Chunk> = Lock::new(Chunk { next: 0, end: 0 });

/// `bytes` of zeroed memory at a multiple of `alignment` (at most a page), for ever. None: the system has no memory.
pub(super) fn take(bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
    debug_assert!(alignment.is_power_of_two() && alignment <= os::page_bytes());
    let fits = |chunk: &mut Chunk| {
        let at = chunk.next.next_multiple_of(alignment);
        (chunk.next != 0 && at + bytes <= chunk.end).then(|| {
            chunk.next = at + bytes;
            at
        })
    };
    let at = if bytes > CHUNK_BYTES / 4 {
        os::map(bytes.next_multiple_of(os::page_bytes()), os::page_bytes())?
    } else {
        let found = fits(&mut CHUNK.lock());
        match found {
            Some(at) => at,
            None => {
                let fresh = os::map(CHUNK_BYTES, os::page_bytes())?;
                let mut chunk = CHUNK.lock();
                // Another thread may have brought a chunk meanwhile; the emptier one stays, the rest of the other is
                // lost.
                if chunk.end - chunk.next < CHUNK_BYTES {
                    *chunk = Chunk { next: fresh, end: fresh + CHUNK_BYTES };
                }
                fits(&mut chunk)?
            }
        }
    };
    NonNull::new(at as *mut u8)
}

/// An object of an arena that knows a place for a link while nobody uses it.
///
/// # Safety
/// - memory that is all zero is a valid object;
/// - the link is not used by anything else while the object lies in a [`Recycler`].
pub(super) unsafe trait Recycled: Sync + 'static {
    /// The place of the link.
    fn link(&self) -> &AtomicPtr<Self>
    where
        Self: Sized;
}

/// Objects of one type that were given back, newest first. They stay valid objects: readers with a stale reference see
/// one.
pub(super) struct Recycler<T: Recycled> {
    head: Lock<Option<&'static T>>,
}

impl<T: Recycled> Recycler<T> {
    /// An empty one.
    pub const fn new() -> Recycler<T> {
        Recycler { head: Lock::new(None) }
    }
    /// An object that was given back, as it was left.
    pub fn pop(&self) -> Option<&'static T> {
        let mut head = self.head.lock();
        let object = (*head)?;
        // SAFETY: the link was set by `put` to an object of this arena or to NULL.
        *head = unsafe { object.link().load(Ordering::Relaxed).as_ref() };
        Some(object)
    }
    /// An object that nobody uses: one that was given back, as it was left, else a new one that is all zero. None: no
    /// memory.
    pub fn get(&self) -> Option<&'static T> {
        if let Some(object) = self.pop() {
            return Some(object);
        }
        let at = take(size_of::<T>(), align_of::<T>())?;
        // SAFETY: fresh zeroed memory of the right size and alignment, mapped for ever; zero is a valid T (`Recycled`).
        Some(unsafe { at.cast::<T>().as_ref() })
    }
    /// Gives back an object that the caller alone uses.
    pub fn put(&self, object: &'static T) {
        let mut head = self.head.lock();
        let next = head.map_or(core::ptr::null_mut(), |next| core::ptr::from_ref(next).cast_mut());
        object.link().store(next, Ordering::Relaxed);
        *head = Some(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_aligned_and_apart() {
        let mut last = 0;
        for i in 1..2000usize {
            let at = take(i, 64).unwrap().as_ptr() as usize;
            assert!(at.is_multiple_of(64) && at != last);
            // SAFETY: taken above, `i` bytes.
            let bytes = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, i) };
            assert!(bytes.iter().all(|&b| b == 0));
            bytes.fill(0xff);
            last = at;
        }
    }

    #[test]
    fn without_memory_it_says_so() {
        // A size that always needs the system.
        os::fail_calls(0, 1);
        assert!(take(CHUNK_BYTES, 64).is_none());
        assert!(take(CHUNK_BYTES, 64).is_some());
    }

    #[test]
    fn what_is_put_back_is_got_again() {
        struct Thing(AtomicPtr<Thing>);
        // SAFETY: a NULL pointer is valid, and the link has no other use.
        unsafe impl Recycled for Thing {
            fn link(&self) -> &AtomicPtr<Self> {
                &self.0
            }
        }
        let things = Recycler::<Thing>::new();
        let (a, b) = (things.get().unwrap(), things.get().unwrap());
        assert!(!core::ptr::eq(a, b));
        things.put(a);
        assert!(core::ptr::eq(things.get().unwrap(), a));
    }
}
