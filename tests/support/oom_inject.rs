//! Memory that runs out when a test says so: of the heap, of the system, and of the tables of slots.

use crate::support::capi::INSIDE;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tenure::ledger::{Claim, Guard, Lease, Ledger, Promise, Root, Weak};
use tenure::slots::{Slot, State, Table};
use tenure::sys::os;
use tenure::thread;

/// The heap. Inside the library, on a thread that ordered it, it refuses.
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

// SAFETY: the system's allocator, or NULL, which an allocator may give at any time. `realloc` and `alloc_zeroed` come here too.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses() { core::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One allocation of the heap fails, or all from there on.
    Heap { once: bool },
    /// One mapping fails, or all from there on.
    Maps { once: bool },
    /// So many slots are free, of the table with that number in [`TABLES`].
    Slots(usize),
}

/// Orders that after `succeed` successes the next ones fail.
pub fn arm(kind: Kind, succeed: u64) {
    REFUSED.set(0);
    let fail = |once| if once { 1 } else { u64::MAX };
    match kind {
        Kind::Heap { once } => ORDERED.set((succeed, fail(once))),
        Kind::Maps { once } => drop(os::fail_calls(succeed, fail(once))),
        Kind::Slots(_) => drop(os::fail_calls(0, u64::MAX)),
    }
}

/// Ends it; whether anything failed.
pub fn disarm(kind: Kind) -> bool {
    ORDERED.set((0, 0));
    let left = os::fail_calls(0, 0);
    match kind {
        Kind::Heap { .. } => REFUSED.get() > 0,
        Kind::Maps { once } => left < if once { 1 } else { u64::MAX },
        Kind::Slots(_) => left < u64::MAX,
    }
}

/// Nothing at all is left: no heap, no mapping. Gives how often something was asked for.
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
    /// Takes every slot that there is.
    fn fill(&mut self);
    /// Gives so many back.
    fn give(&mut self, n: usize);
    /// How many are taken.
    fn taken(&self) -> usize;
    /// How many are in use.
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
/// The number of the roots of views.
pub const ROOTS: usize = 6;

/// The tables that arrays, guards, promises, weak handles, stores, imports and views live in.
pub fn tables() -> [Box<dyn Drain>; TABLES] {
    fn of<T: Slot>() -> Box<dyn Drain> {
        Box::new(Taken::<T>(Vec::new()))
    }
    [of::<Claim>(), of::<Guard>(), of::<Promise>(), of::<Weak>(), of::<Ledger>(), of::<Lease>(), of::<Root>()]
}
