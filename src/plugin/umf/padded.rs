//! Allocations of which a pool uses the aligned part, because the provider could not align them.
//!
//! Contract: any thread may add and take entries. An entry is found by the address of the aligned part. Memory has one
//! owner at a time, so no two entries have the same address.

use crate::arena::{Arena, Link, Linked, Quarantine};
use crate::thread::ColdLock;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// An allocation of a provider. Changes only under the lock of the table, or while it is in no list.
struct Padded {
    link: Link<Padded>,
    next: AtomicPtr<Padded>,
    /// The address of the part that the pool uses.
    aligned: AtomicUsize,
    /// What the provider returned: address and size in bytes.
    start: AtomicUsize,
    bytes: AtomicUsize,
}

impl Linked for Padded {
    fn link(&self) -> &Link<Padded> {
        &self.link
    }
}

const LISTS: usize = 256;

/// The allocations, in lists by address, and unused entries.
struct Table {
    lists: [AtomicPtr<Padded>; LISTS],
    unused: Quarantine<Padded>,
}

static ENTRIES: Arena<Padded> = Arena::new();
static TABLE: ColdLock<Table> =
    ColdLock::new(Table { lists: [const { AtomicPtr::new(core::ptr::null_mut()) }; LISTS], unused: Quarantine::new() });

impl Table {
    /// The list for an address. Aligned parts are multiples of 64 KiB.
    fn list(&self, aligned: usize) -> &AtomicPtr<Padded> {
        &self.lists[(aligned >> 16) % LISTS]
    }
}

/// Adds an allocation. False: there is no memory for the entry.
pub(super) fn add(aligned: usize, start: usize, bytes: usize) -> bool {
    let unused = TABLE.lock().unused.take_beyond(0);
    let entry = unused.or_else(|| {
        ENTRIES.get(|| Padded {
            link: Link::new(),
            next: AtomicPtr::new(core::ptr::null_mut()),
            aligned: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        })
    });
    let Some(entry) = entry else { return false };
    entry.aligned.store(aligned, Ordering::Relaxed);
    entry.start.store(start, Ordering::Relaxed);
    entry.bytes.store(bytes, Ordering::Relaxed);
    let table = TABLE.lock();
    let list = table.list(aligned);
    entry.next.store(list.load(Ordering::Relaxed), Ordering::Relaxed);
    list.store(core::ptr::from_ref(entry).cast_mut(), Ordering::Relaxed);
    true
}

/// Removes an allocation. Returns what the provider returned: address and size in bytes. None: the provider aligned it
/// itself.
pub(super) fn take(aligned: usize) -> Option<(usize, usize)> {
    let table = TABLE.lock();
    let mut at = table.list(aligned);
    loop {
        // SAFETY: NULL or an entry, and entries are never unmapped.
        let entry: &'static Padded = unsafe { at.load(Ordering::Relaxed).as_ref() }?;
        if entry.aligned.load(Ordering::Relaxed) == aligned {
            at.store(entry.next.load(Ordering::Relaxed), Ordering::Relaxed);
            table.unused.put(entry);
            return Some((entry.start.load(Ordering::Relaxed), entry.bytes.load(Ordering::Relaxed)));
        }
        at = &entry.next;
    }
}
