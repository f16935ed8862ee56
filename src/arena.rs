//! Memory for records that are never unmapped, and the quarantine of records that wait for reuse.
//!
//! A stale reference to a record reads an object of the same type, never an unmapped page. So handles, threads and
//! pools can be looked up without a lock, and the caller checks afterwards that it found what it looked for. A
//! quarantine makes that check reliable where a record has no generation: a retired record is reused only after a
//! number of others were retired.
//!
//! Contract: memory comes from the operating system, never from Rust's heap, and reads 0. [`take`] holds no lock, so
//! that a fork at any moment leaves it usable in the child. A [`Quarantine`] has no lock of its own: its user guards
//! it, or keeps one per thread.

use crate::sys::os;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The memory that is reserved at a time. Pages are committed as they are touched.
const CHUNK_BYTES: usize = 1 << 20;
/// Larger requests get a mapping of their own.
const MAX_SHARED_BYTES: usize = CHUNK_BYTES / 4;
/// The largest alignment of a mapping of its own: that of the smallest pages that a supported system has.
const MAX_MAPPING_ALIGNMENT_BYTES: usize = 4096;

/// The first free address of the current chunk, above the chunk's start; 0: there is no chunk. Chunks are aligned to
/// their size.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Takes zeroed memory that is never unmapped. None: the system has none.
pub fn take(bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
    debug_assert!(bytes > 0 && alignment.is_power_of_two() && alignment <= CHUNK_BYTES);
    if bytes > MAX_SHARED_BYTES {
        debug_assert!(alignment <= MAX_MAPPING_ALIGNMENT_BYTES);
        return os::map_forever(bytes);
    }
    loop {
        let next = NEXT.load(Ordering::Relaxed);
        let start = next.next_multiple_of(alignment);
        // `next` lies above the start of its chunk, so this is the chunk's end, and 0 without a chunk.
        if start + bytes <= next.next_multiple_of(CHUNK_BYTES) {
            if NEXT.compare_exchange_weak(next, start + bytes, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return NonNull::new(start as *mut u8);
            }
            continue;
        }
        let chunk = os::map(CHUNK_BYTES, CHUNK_BYTES)?;
        if NEXT.compare_exchange(next, chunk + bytes, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            os::keep_until_unload(chunk, CHUNK_BYTES);
            return NonNull::new(chunk as *mut u8);
        }
        // SAFETY: mapped above, and not shared: another thread was first.
        unsafe { os::unmap(chunk, CHUNK_BYTES) };
    }
}

/// Records of one type. `SPARES` of them are static, for when the system has no memory.
pub struct Arena<T, const SPARES: usize = 0> {
    spares: [UnsafeCell<MaybeUninit<T>>; SPARES],
    spares_used: AtomicUsize,
}

// SAFETY: each spare has one owner, the call that raised `spares_used` to its number.
unsafe impl<T: Sync, const SPARES: usize> Sync for Arena<T, SPARES> {}

impl<T: Sync + 'static, const SPARES: usize> Default for Arena<T, SPARES> {
    fn default() -> Arena<T, SPARES> {
        Arena::new()
    }
}

impl<T: Sync + 'static, const SPARES: usize> Arena<T, SPARES> {
    /// An arena without records.
    pub const fn new() -> Arena<T, SPARES> {
        Arena { spares: [const { UnsafeCell::new(MaybeUninit::uninit()) }; SPARES], spares_used: AtomicUsize::new(0) }
    }

    /// A new record. None: there is no memory.
    pub fn get(&'static self, value: impl FnOnce() -> T) -> Option<&'static T> {
        let memory = take(size_of::<T>(), align_of::<T>()).map(|memory| memory.cast::<T>().as_ptr());
        let record = memory.or_else(|| self.spare())?;
        // SAFETY: memory for one record, aligned, that this call alone has, and that is never unmapped.
        unsafe {
            record.write(value());
            Some(&*record)
        }
    }

    #[cold]
    fn spare(&'static self) -> Option<*mut T> {
        let next = |used: usize| (used < SPARES).then_some(used + 1);
        let index = self.spares_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(self.spares[index].get().cast())
    }
}

/// The link of a record that is in a [`Quarantine`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    /// The link of a record that is in none.
    pub const fn new() -> Link<T> {
        Link(AtomicPtr::new(core::ptr::null_mut()))
    }
}

impl<T> Default for Link<T> {
    fn default() -> Link<T> {
        Link::new()
    }
}

/// A record that can be in a [`Quarantine`].
pub trait Linked: Sync + 'static {
    /// Its link, which nothing else uses.
    fn link(&self) -> &Link<Self>
    where
        Self: Sized;
}

/// Retired records, oldest first. All-zero bytes are an empty one.
pub struct Quarantine<T: 'static> {
    first: Cell<Option<&'static T>>,
    /// The newest record; meaningless while there is none.
    last: Cell<Option<&'static T>>,
    count: Cell<usize>,
}

// SAFETY: a record may be reached from any thread.
unsafe impl<T: Sync> Send for Quarantine<T> {}

impl<T: Linked> Quarantine<T> {
    /// An empty quarantine.
    pub const fn new() -> Quarantine<T> {
        Quarantine { first: Cell::new(None), last: Cell::new(None), count: Cell::new(0) }
    }

    /// The number of records.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Adds a record that is in no quarantine, as the newest.
    #[inline]
    pub fn put(&self, record: &'static T) {
        record.link().0.store(core::ptr::null_mut(), Ordering::Relaxed);
        match self.last.replace(Some(record)) {
            Some(last) if self.count.get() > 0 => {
                last.link().0.store(core::ptr::from_ref(record).cast_mut(), Ordering::Relaxed);
            }
            _ => self.first.set(Some(record)),
        }
        self.count.set(self.count.get() + 1);
    }

    /// Takes the oldest record, if more than `kept` are there.
    #[inline]
    pub fn take_beyond(&self, kept: usize) -> Option<&'static T> {
        if self.count.get() <= kept {
            return None;
        }
        let record = self.first.get()?;
        // SAFETY: NULL, or set by `put` from a static reference.
        self.first.set(unsafe { record.link().0.load(Ordering::Relaxed).as_ref() });
        self.count.set(self.count.get() - 1);
        Some(record)
    }
}

impl<T: Linked> Default for Quarantine<T> {
    fn default() -> Quarantine<T> {
        Quarantine::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn memory_is_zero_aligned_and_disjoint() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    let taken = (1..3000usize).map(|bytes| {
                        let at = take(bytes, 64).unwrap();
                        // SAFETY: taken above, `bytes` bytes.
                        let memory = unsafe { core::slice::from_raw_parts_mut(at.as_ptr(), bytes) };
                        assert!(at.as_ptr().addr().is_multiple_of(64) && memory.iter().all(|byte| *byte == 0));
                        memory.fill(0xff);
                        (at.as_ptr().addr(), bytes)
                    });
                    taken.collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }

    #[test]
    fn without_memory_the_spares_are_used() {
        static RECORDS: Arena<[u8; CHUNK_BYTES], 2> = Arena::new();
        os::fail_calls(0, u64::MAX);
        let got: Vec<_> = (0..3).map(|_| RECORDS.get(|| [7; CHUNK_BYTES])).collect();
        os::fail_calls(0, 0);
        assert_eq!(got.iter().flatten().count(), 2);
        assert!(got.iter().flatten().all(|record| record[CHUNK_BYTES - 1] == 7));
    }

    struct Record(Link<Record>);

    impl Linked for Record {
        fn link(&self) -> &Link<Record> {
            &self.0
        }
    }

    #[test]
    fn a_record_waits_until_enough_others_were_retired() {
        static RECORDS: Arena<Record> = Arena::new();
        let quarantine = Quarantine::<Record>::new();
        let all: Vec<_> = (0..5).map(|_| RECORDS.get(|| Record(Link::new())).unwrap()).collect();
        let addresses: BTreeSet<_> = all.iter().map(|record| core::ptr::from_ref(*record)).collect();
        assert_eq!(addresses.len(), 5);
        all.iter().for_each(|&record| quarantine.put(record));
        assert!(core::ptr::eq(quarantine.take_beyond(3).unwrap(), all[0]));
        assert!(core::ptr::eq(quarantine.take_beyond(3).unwrap(), all[1]));
        assert!(quarantine.take_beyond(3).is_none());
        (2..5).for_each(|index| assert!(core::ptr::eq(quarantine.take_beyond(0).unwrap(), all[index])));
        assert!(quarantine.take_beyond(0).is_none() && quarantine.count() == 0);
        quarantine.put(all[2]);
        assert!(core::ptr::eq(quarantine.take_beyond(0).unwrap(), all[2]));
    }
}
