//! Injected out-of-memory: of the heap, of the system, and of the slot tables.

use crate::support::capi::INSIDE;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tenure::ledger::{Claim, Guard, Lease, Ledger, Promise, Root, Weak};
use tenure::slots::{Slot, State, Table};
use tenure::sys::os;
use tenure::thread;

/// The heap. It fails inside the library, on a thread that requested it.
pub struct Scarce;

thread_local! {
    /// Allocations that still succeed, and how many fail after them.
    static ORDERED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

fn refuses() -> bool {
    if !INSIDE.get() {
        return false;
    }
    match ORDERED.get() {
        (_, 0) => false,
        (0, fail) => {
            ORDERED.set((0, fail - 1));
            REFUSED.set(REFUSED.get() + 1);
            true
        }
        (succeed, fail) => {
            ORDERED.set((succeed - 1, fail));
            false
        }
    }
}

// SAFETY: the system's allocator, or NULL, which an allocator may always return. `realloc` and `alloc_zeroed` come here
// too.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligation.
        if refuses() { core::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligation.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The resource that runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One heap allocation fails, or all from there on.
    Heap { once: bool },
    /// One mapping fails, or all from there on.
    Maps { once: bool },
    /// This many slots are free in the table with that number in [`TABLES`].
    Slots(usize),
}

/// Makes allocations fail after `succeed` successes.
pub fn arm(kind: Kind, succeed: u64) {
    REFUSED.set(0);
    let fail = |once| if once { 1 } else { u64::MAX };
    match kind {
        Kind::Heap { once } => ORDERED.set((succeed, fail(once))),
        Kind::Maps { once } => drop(os::fail_calls(succeed, fail(once))),
        Kind::Slots(_) => drop(os::fail_calls(0, u64::MAX)),
    }
}

/// Stops the failures; returns whether any occurred.
pub fn disarm(kind: Kind) -> bool {
    ORDERED.set((0, 0));
    let left = os::fail_calls(0, 0);
    match kind {
        Kind::Heap { .. } => REFUSED.get() > 0,
        Kind::Maps { once } => left < if once { 1 } else { u64::MAX },
        Kind::Slots(_) => left < u64::MAX,
    }
}

/// Fails every allocation and mapping. Returns how many were tried.
pub fn with_nothing(body: impl FnOnce()) -> u64 {
    REFUSED.set(0);
    ORDERED.set((0, u64::MAX));
    os::fail_calls(0, u64::MAX);
    body();
    ORDERED.set((0, 0));
    REFUSED.get() + (u64::MAX - os::fail_calls(0, 0))
}

/// One table of slots.
pub trait Drain {
    /// Takes every free slot.
    fn fill(&mut self);
    /// Returns this many.
    fn give(&mut self, n: usize);
    /// The number of taken slots.
    fn taken(&self) -> usize;
    /// The number of slots in use.
    fn in_use(&self) -> usize;
}

struct Taken<T: Slot>(Vec<&'static T>);

impl<T: Slot> Drain for Taken<T> {
    fn fill(&mut self) {
        os::fail_calls(0, u64::MAX);
        while let Ok(slot) = Table::<T>::take(thread::current()) {
            self.0.push(slot);
        }
        os::fail_calls(0, 0);
    }
    fn give(&mut self, n: usize) {
        self.0.drain(self.0.len() - n..).for_each(|slot| Table::free(thread::current(), slot));
    }
    fn taken(&self) -> usize {
        self.0.len()
    }
    fn in_use(&self) -> usize {
        let mut count = 0;
        Table::<T>::each(|slot| count += usize::from(slot.head().state() != State::Free));
        count
    }
}

pub const TABLES: usize = 7;
/// The index of the table of views' roots.
pub const ROOTS: usize = 6;

/// The tables of arrays, guards, promises, weak handles, stores, imports and views.
pub fn tables() -> [Box<dyn Drain>; TABLES] {
    fn of<T: Slot>() -> Box<dyn Drain> {
        Box::new(Taken::<T>(Vec::new()))
    }
    [of::<Claim>(), of::<Guard>(), of::<Promise>(), of::<Weak>(), of::<Ledger>(), of::<Lease>(), of::<Root>()]
}
