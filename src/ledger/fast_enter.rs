//! The fast path of entering a scope with a few handles, whose ledgers it locks together. [`super::fast_path`] is that
//! of one handle.
//!
//! It serves at most eight parameters: plain arrays, which their owners keep, and promises that are the only ones of
//! their arrays. It either does all of the work, or changes nothing; the caller then takes the slow path, which knows
//! every case and every status.

use super::fast_path::SlotInLedger;
use super::state::{Claim, Ledger, Promise, TakenBy};
use crate::slots::{Id, Kind, Slot, Table};
use crate::thread::{CriticalSection, Thread, are_devices_in_doubt};

const MAX_PARAMS: usize = 8;

/// A parameter: an array that its owner keeps, or a promise of one.
#[derive(Clone, Copy)]
enum Param {
    Plain(SlotInLedger<Claim>),
    Given(SlotInLedger<Promise>),
}

impl Param {
    #[inline(always)]
    fn guess(id: Id) -> Option<Param> {
        if id.is_of(Kind::Promise) {
            SlotInLedger::guess(id).map(Param::Given)
        } else {
            SlotInLedger::guess(id).map(Param::Plain)
        }
    }

    #[inline(always)]
    fn ledger(self) -> &'static Ledger {
        match self {
            Param::Plain(at) => at.ledger,
            Param::Given(at) => at.ledger,
        }
    }

    /// Whether the fast path can serve the parameter.
    ///
    /// # Safety
    /// - Its ledger is locked by the caller, and no reference exists to anything that this ledger guards.
    #[inline(always)]
    unsafe fn can_enter_fast(self, id: Id) -> bool {
        match self {
            Param::Plain(at) => {
                if !at.slot.head().is_live(id) || !at.guards() {
                    return false;
                }
                // SAFETY: the ledger guards the slot, as we saw, and is locked by the caller.
                let body = unsafe { at.body() };
                body.given == 0 && body.lease.is_none() && body.layout.is_inline()
            }
            // SAFETY: as above.
            Param::Given(at) => at.slot.head().is_live(id) && at.guards() && unsafe { at.passing_claim() }.is_some(),
        }
    }
}

/// The ledgers of the parameters, each once, ascending, locked. Its drop unlocks them.
struct Locks {
    ledgers: [Option<&'static Ledger>; MAX_PARAMS],
    /// Delays a fork until the ledgers are unlocked.
    inside: CriticalSection,
}

impl Locks {
    #[inline(always)]
    fn take(thread: &'static Thread, params: &[Option<Param>; MAX_PARAMS]) -> Locks {
        let address = |ledger: &'static Ledger| core::ptr::from_ref(ledger) as usize;
        let mut ledgers: [Option<&'static Ledger>; MAX_PARAMS] = [None; MAX_PARAMS];
        let mut n = 0_usize;
        for ledger in params.iter().map_while(|param| param.map(Param::ledger)) {
            let mut at = n;
            while let Some(before) = at.checked_sub(1).and_then(|before| ledgers[before])
                && address(before) > address(ledger)
            {
                at -= 1;
            }
            let known = at.checked_sub(1).and_then(|before| ledgers[before]);
            if known.is_some_and(|known| core::ptr::eq(known, ledger)) {
                continue;
            }
            ledgers.copy_within(at..n, at + 1);
            ledgers[at] = Some(ledger);
            n += 1;
        }
        let inside = CriticalSection::enter(thread);
        for ledger in ledgers.iter().map_while(|ledger| *ledger) {
            ledger.lock.lock();
        }
        Locks { ledgers, inside }
    }
}

impl Drop for Locks {
    #[inline(always)]
    fn drop(&mut self) {
        for ledger in self.ledgers.iter().map_while(|ledger| *ledger) {
            ledger.lock.unlock();
        }
    }
}

/// Enters with arrays and promises: `out(i, id)` receives the new handle for the i-th, under the locks. False if the
/// fast path does not serve the call, and then nothing has changed.
#[inline(always)]
pub fn enter_fast(thread: &'static Thread, ids: &[Id], out: &mut impl FnMut(usize, Id)) -> bool {
    let mut params: [Option<Param>; MAX_PARAMS] = [None; MAX_PARAMS];
    if ids.len() > MAX_PARAMS || are_devices_in_doubt() {
        return false;
    }
    for (place, id) in params.iter_mut().zip(ids) {
        *place = Param::guess(*id);
        if place.is_none() {
            return false;
        }
    }
    let locks = Locks::take(thread, &params);
    let thread = locks.inside.thread();
    // Each array has one promise here, so two promises of one array are the same promise.
    let twice = |at: usize| ids[at].is_of(Kind::Promise) && ids[..at].contains(&ids[at]);
    for (at, param) in params.iter().map_while(|param| *param).enumerate() {
        // SAFETY: `locks` has its ledger, and no reference is out.
        if twice(at) || !unsafe { param.can_enter_fast(ids[at]) } {
            return false;
        }
    }
    if Table::<Claim>::cached(thread) < ids.len() {
        return false;
    }
    for (at, param) in params.iter().map_while(|param| *param).enumerate() {
        let id = match param {
            // SAFETY: `locks` has its ledger, which guards the slot, as we saw, and no reference is out.
            Param::Plain(plain) => unsafe {
                plain.add_claim(thread, |from, to| to.copy_layout_and_name_from(from).then_some(true))
            },
            Param::Given(given) => {
                // SAFETY: as above.
                unsafe { given.passing_claim().and_then(|claim| given.take(thread, claim, TakenBy::Enter)) }
            }
        };
        out(at, id.expect("checked above, under the same locks, with enough slots in the cache"));
    }
    true
}
