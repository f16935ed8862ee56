//! A thread's record.

use super::area::WORDS;
use super::gate::Gate;
use crate::sys::tls::TlsSlot;
use core::cell::{Cell, UnsafeCell};
// Not those of `sys::sync`: forks are not explored by the model checker.
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A thread's record.
#[repr(C, align(64))]
pub struct Thread {
    // What fast paths read.
    /// How many [`CriticalSection`](super::CriticalSection)s nest.
    pub(super) inside: AtomicU32,
    forbids: Cell<u32>,
    stamp: Cell<u64>,
    site: Cell<u32>,
    number: Cell<u32>,
    /// Whether a thread has the record: [`UNUSED`], [`USED`] or [`LATE`].
    pub(super) used: AtomicU32,
    /// 1: in a [`FastEntry`](super::FastEntry).
    pub(super) fast: AtomicU32,
    pub(super) gate: Gate,
    /// What the layers above keep here.
    areas: UnsafeCell<[u64; WORDS]>,
    pub(super) tls: TlsSlot,
    /// The link of the list of all records; never changes once the record is in it.
    pub(super) next: AtomicPtr<Thread>,
}

// The first areas share the cache line of the fast paths.
const _: () = assert!(core::mem::offset_of!(Thread, areas) == 48);

// SAFETY: Cells and areas are accessed by the owner only (contract of this module, and of `PerThread`); the rest is
// atomic.
unsafe impl Sync for Thread {}

/// No thread has the record.
pub(super) const UNUSED: u32 = 0;
/// A thread has the record, and leaves it at its end.
pub(super) const USED: u32 = 1;
/// The record of a thread that called after its thread-locals had ended. It cannot leave the record: another thread
/// takes it back once the thread is gone.
#[cfg(not(loom))]
pub(super) const LATE: u32 = 2;

/// Bits of a thread's number (Linux has at most 2^22) and of a site's.
const NUMBER_BITS: u32 = 22;
const SITE_BITS: u32 = 16;

/// The bits of a stamp below those of the number. A word that has a stamp has something else there.
pub const STAMP_SHIFT: u32 = 12;
/// The bit above a stamp.
pub const STAMP_END: u32 = STAMP_SHIFT + NUMBER_BITS + SITE_BITS;

/// Packs a thread's number and a site's number into one word.
#[inline]
pub fn stamp(number: u32, site: u32) -> u64 {
    let number = u64::from(number & ((1 << NUMBER_BITS) - 1));
    (number | u64::from(site & ((1 << SITE_BITS) - 1)) << NUMBER_BITS) << STAMP_SHIFT
}

/// The thread's number and the site's number of a [`stamp`].
pub fn stamp_parts(stamp: u64) -> (u32, u32) {
    let stamp = stamp >> STAMP_SHIFT;
    (stamp as u32 & ((1 << NUMBER_BITS) - 1), (stamp >> NUMBER_BITS) as u32 & ((1 << SITE_BITS) - 1))
}

impl Thread {
    /// The record of no thread, behind whose gate is something that has nothing.
    pub const fn of_none(gate: *mut ()) -> Thread {
        Thread { used: AtomicU32::new(UNUSED), ..Thread::new(gate) }
    }
    pub(super) const fn new(gate: *mut ()) -> Thread {
        Thread {
            inside: AtomicU32::new(0),
            forbids: Cell::new(0),
            stamp: Cell::new(0),
            site: Cell::new(0),
            number: Cell::new(0),
            used: AtomicU32::new(USED),
            fast: AtomicU32::new(0),
            gate: Gate::new(gate),
            areas: UnsafeCell::new([0; WORDS]),
            tls: TlsSlot::new(),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Whether a thread has it.
    #[inline(always)]
    pub(super) fn is_taken(&self) -> bool {
        self.used.load(Ordering::Relaxed) != UNUSED
    }
    /// Whether the thread is in a critical section, and so may hold a lock of the library.
    pub fn is_inside(&self) -> bool {
        // Acquire pairs with the Release at the end of a section, for a thread that waits for this one. The depth
        // first: see the end of `outside`.
        let depth = self.inside.load(Ordering::Acquire);
        depth | self.fast.load(Ordering::Acquire) != 0
    }
    /// The system's number of the thread.
    pub fn number(&self) -> u32 {
        self.number.get()
    }
    /// The number of the site that TN_HERE set; 0: none.
    pub fn site(&self) -> u32 {
        self.site.get()
    }
    /// Sets the site.
    pub fn set_site(&self, site: u32) {
        self.site.set(site);
        self.set_stamp();
    }
    #[cfg(not(loom))]
    pub(super) fn set_number(&self, number: u32) {
        self.number.set(number);
        self.set_stamp();
    }
    fn set_stamp(&self) {
        self.stamp.set(stamp(self.number(), self.site()));
    }
    /// The [`stamp`] of the thread's number and site.
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.stamp.get()
    }
    /// How many `tn_copies_forbid` calls are in effect.
    pub fn forbids(&self) -> u32 {
        self.forbids.get()
    }
    /// Sets how many are in effect.
    pub fn set_forbids(&self, count: u32) {
        self.forbids.set(count);
    }
    /// Ends what belongs to the thread that had the record.
    #[cfg(not(loom))]
    pub(super) fn reset(&self) {
        self.site.set(0);
        self.forbids.set(0);
    }

    #[inline(always)]
    pub(super) fn areas(&self) -> *const u64 {
        self.areas.get().cast()
    }
}
