//! Spilling: the bytes of a store that nobody uses go to a file of their pool, and come back when they are used.
//!
//! A store of a pool that spills counts one record more than it has, so that no fast path serves it: each use is noted,
//! and finds out whether the bytes are there. Whoever has to wait for device work on the bytes also waits here, see
//! [`Points`]. Other stores have no cost.
//!
//! Contract: bytes leave only while nobody uses them: there is no guard, export, expression, import, record of device work
//! or poison, and no call that moves or lends the array. While they are on their way, the store goes on to exist. Files
//! are read and written under no ledger's lock, by the thread that has the pool's turn. The lock of a ledger comes after
//! the turn. A failure changes nothing.
//!
//! [`Points`]: super::points::Points

use super::locked::{self, Locked};
use super::residence::Residence;
use super::state::{Backing, Claim, Ledger, LedgerState};
use crate::error::Result;
use crate::pool::{self, Pool, SpillFile, SpillHooks, Turn};
use crate::probes;
use crate::slots::Id;
use crate::thread;
use core::sync::atomic::{AtomicU64, Ordering};

/// The time of uses: their number.
static USES: AtomicU64 = AtomicU64::new(1);

fn used_now() -> Residence {
    Residence::Memory(USES.fetch_add(1, Ordering::Relaxed))
}

impl LedgerState {
    /// When the bytes were used last, if nobody uses them.
    fn idle_since(&self) -> Option<u64> {
        let in_use = self.readers + self.writers + self.exports() + self.nodes + self.moves + self.leases;
        match self.residence {
            Residence::Memory(used) if in_use == 0 && self.records == 1 && self.claims > 0 => Some(used),
            _ => None,
        }
    }

    /// The file of a spilled store, which ends.
    pub(super) fn end_residence(&mut self) -> Option<SpillFile> {
        self.records -= self.residence.tracked();
        match core::mem::replace(&mut self.residence, Residence::Fixed) {
            Residence::File(file) => Some(file),
            _ => None,
        }
    }

    fn pool_block(&self) -> Option<(&'static Pool, usize, usize)> {
        match self.backing {
            Backing::Pool(pool, requested) => Some((pool, self.start as usize, requested as usize)),
            _ => None,
        }
    }
}

impl Locked {
    /// Notes a use of the bytes.
    #[inline]
    pub(super) fn note_use(&mut self, ledger: &'static Ledger) {
        if let Residence::Memory(_) = self.state(ledger).residence {
            self.state_mut(ledger).residence = used_now();
        }
    }

    /// Lets the pool of a new store spill it, if the pool spills.
    pub(super) fn begin_residence(&mut self, id: Id) {
        let Ok(claim) = locked::find::<Claim>(id) else { return };
        let ledger = self.ledger_of(claim);
        if self.can_be_spilled(ledger) {
            self.set_spillable(ledger, true);
        }
    }

    /// Whether the store may be spilled.
    pub(crate) fn is_spillable(&self, ledger: &'static Ledger) -> bool {
        self.state(ledger).residence.tracked() > 0
    }

    /// Whether the pool of the store spills stores of its size.
    pub(crate) fn can_be_spilled(&self, ledger: &'static Ledger) -> bool {
        self.state(ledger).pool_block().is_some_and(|(pool, _, bytes)| pool.spills(bytes))
    }

    /// Sets whether the store may be spilled. Its bytes are in memory.
    pub(crate) fn set_spillable(&mut self, ledger: &'static Ledger, on: bool) {
        let state = self.state_mut(ledger);
        debug_assert!(!state.residence.is_away());
        state.records -= state.residence.tracked();
        state.residence = if on { used_now() } else { Residence::Fixed };
        state.records += state.residence.tracked();
        pool::spill_by(SpillHooks { last_use, spill });
    }

    fn set_residence(&mut self, ledger: &'static Ledger, residence: Residence) {
        self.state_mut(ledger).residence = residence;
        // The last claim may have ended on the way.
        self.mark_dead_if_unused(ledger);
    }
}

/// For a pool: when a store was used last, if it may be spilled.
fn last_use(tag: u64) -> Option<u64> {
    let (mut locked, ledger) = locked::lock_tag(tag)?;
    if !matches!(locked.state(ledger).residence, Residence::Memory(_)) {
        return None;
    }
    locked.drop_passed_work(ledger);
    locked.state(ledger).idle_since()
}

/// For a pool: spills a store, if nobody uses it. Returns the bytes that became free.
fn spill(turn: &Turn<'_>, tag: u64) -> usize {
    let Some((mut locked, ledger)) = locked::lock_tag(tag) else { return 0 };
    let state = locked.state_mut(ledger);
    let (Some(used), Some((pool, start, bytes))) = (state.idle_since(), state.pool_block()) else { return 0 };
    state.residence = Residence::Moving;
    drop(locked);
    // SAFETY: the store's block. `Moving` keeps the store, and whoever wants to use the bytes waits for the turn.
    let written = unsafe { turn.write(start, bytes) };
    let mut locked = Locked::one(thread::current(), ledger);
    let (residence, freed) = match written {
        Ok((file, freed)) => (Residence::File(file), freed),
        Err(_) => (Residence::Memory(used), 0),
    };
    locked.set_residence(ledger, residence);
    if freed > 0 {
        probes::spill(pool.serial(), start, freed);
    }
    freed
}

/// Brings the bytes of a store back into memory, if they are away. The stores `keep` stay in memory. TN_ERR_POOL_LIMIT;
/// TN_ERR_IO, and nothing has changed.
pub fn bring_back(tag: u64, keep: &[u64]) -> Result<()> {
    let mut heard = None;
    loop {
        let Some((locked, ledger)) = locked::lock_tag(tag) else { return Ok(()) };
        let (away, block) = (locked.state(ledger).residence.is_away(), locked.state(ledger).pool_block());
        let (Some((pool, start, bytes)), true) = (block, away) else { return Ok(()) };
        let (name, _) = locked.name_and_origin(ledger);
        drop(locked);
        let Some(turn) = pool.turn(keep) else { return Ok(()) };
        let Some((mut locked, ledger)) = locked::lock_tag(tag) else { return Ok(()) };
        let state = locked.state_mut(ledger);
        let Residence::File(file) = state.residence else { continue };
        state.residence = Residence::Moving;
        drop(locked);
        let has_room = turn.make_room(bytes);
        // SAFETY: the store's block, which was spilled to this file; `Moving` as in `spill`.
        let outcome = has_room.then(|| unsafe { turn.read(file, start, bytes) });
        let back = if outcome == Some(Ok(())) { used_now() } else { Residence::File(file) };
        Locked::one(thread::current(), ledger).set_residence(ledger, back);
        drop(turn);
        match outcome {
            Some(Ok(())) => {
                probes::unspill(pool.serial(), start, bytes);
                return Ok(());
            }
            Some(Err(errno)) => return Err(pool.not_read_back(name, bytes, errno)),
            None if pool.free_for_spilled(bytes, &mut heard) => {}
            None => return Err(pool.no_room_for_spilled(name, bytes)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::ffi::array::{tn_array_empty, tn_array_release};
    use crate::ffi::pool::{tn_pool_create, tn_pool_release, tn_pool_set_spill};
    use crate::ledger::{Claim, locked};
    use crate::slots::Id;
    use crate::types::*;
    use core::ptr::{null, null_mut};

    /// What a fast path reads of a new array of that many bytes.
    fn records(pool: *mut tn_pool, bytes: i64) -> u32 {
        let mut array = null_mut();
        // SAFETY: the output is ours.
        assert_eq!(unsafe { tn_array_empty(pool, TN_U8, 1, [bytes].as_ptr(), null(), &mut array) }, TN_OK);
        let (locked, claim) = locked::lock::<Claim>(Id::from_bits(array.addr() as u64)).unwrap();
        let records = locked.state(locked.ledger_of(claim)).records;
        drop(locked);
        assert_eq!(tn_array_release(array), TN_OK);
        records
    }

    #[test]
    fn sp_15_only_arrays_that_may_be_spilled_leave_the_fast_path() {
        let (host, mut pool) = (tn_device { r#type: TN_CPU, id: 0 }, null_mut());
        // SAFETY: the output is ours; NULL is all defaults.
        assert_eq!(unsafe { tn_pool_create(host, null(), &mut pool) }, TN_OK);
        assert_eq!(records(pool, 1 << 20), 0);
        let options = tn_spill_options {
            size: size_of::<tn_spill_options>(),
            folder: c"/tmp".as_ptr(),
            max_bytes: 0,
            min_array_bytes: 1 << 20,
        };
        // SAFETY: a struct of its size with a text.
        assert_eq!(unsafe { tn_pool_set_spill(pool, &options) }, TN_OK);
        assert_eq!([(1 << 20) - 1, 1 << 20].map(|bytes| records(pool, bytes)), [0, 1]);
        assert_eq!(records(null_mut(), 1 << 20), 0);
        // SAFETY: as above.
        assert_eq!(unsafe { tn_pool_set_spill(pool, null()) }, TN_OK);
        assert_eq!(records(pool, 1 << 20), 0);
        assert_eq!(tn_pool_release(pool), TN_OK);
    }
}
