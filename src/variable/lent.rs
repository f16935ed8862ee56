//! The handle through which a callback has the bytes of an array that the library keeps.
//!
//! Contract: while the bytes are lent, the library's own claim rests. So the callback's handle can be the only holder
//! and may write in any mode; so may its clones and views. The callback may release it; the bytes stay. Afterwards the
//! claim counts again, and no other handle may write the value.

use crate::array;
use crate::borrow;
use crate::error::Result;
use crate::ledger::{self, Claim, Locked, SpareClaim};
use crate::slots::Id;
use crate::thread;

/// An array that is lent.
pub struct Lent {
    resting: &'static Claim,
    handle: Id,
    /// The store's number of finished writes when the bytes were lent.
    version: u64,
}

/// An update in progress.
pub struct Update {
    /// The value, or a copy of it.
    pub lent: Lent,
    /// The reasons for a copy in place of the value itself: TN_WHY_ bits.
    pub why: u32,
    /// It ends when its callback returns.
    pub by_callback: bool,
}

/// What a callback left behind.
#[derive(Clone, Copy)]
pub struct Left {
    /// An open write guard, or an export through which the bytes can be written.
    pub is_writable: bool,
    /// A write that failed.
    pub is_poisoned: bool,
    /// The bytes may differ from those that were lent.
    pub is_changed: bool,
}

/// Lends an array to a callback.
pub fn lend(array: Id) -> Result<Lent> {
    lend_if(array, |_| true).map(|lent| lent.expect("nothing prevents it"))
}

/// Lends an array whose bytes may be overwritten, because nobody else holds them. Err: TN_WHY_ bits.
pub fn lend_alone(array: Id) -> Result<core::result::Result<Lent, u32>> {
    let mut reasons = 0;
    let lent = lend_if(array, |found| {
        reasons = found;
        found == 0
    })?;
    Ok(lent.ok_or(reasons))
}

fn lend_if(array: Id, mut may: impl FnMut(u32) -> bool) -> Result<Option<Lent>> {
    let mut spare = SpareClaim::take(thread::current())?;
    let (mut locked, resting) = array::lock_with_layout(array, spare.layout())?;
    if !may(borrow::reasons_against_writing(&locked, resting)) {
        return Ok(None);
    }
    let handle = locked.copy_claim(resting, spare);
    let claim = ledger::find::<Claim>(handle).expect("only this function knows it");
    locked.begin_lent(claim);
    locked.rest(resting);
    let version = locked.state(locked.ledger_of(resting)).version;
    Ok(Some(Lent { resting, handle, version }))
}

impl Lent {
    /// The array that is lent.
    pub fn array(&self) -> Id {
        self.resting.id()
    }

    /// The callback's handle.
    pub fn handle(&self) -> Id {
        self.handle
    }

    /// Ends the callback's handle, if it did not release it. The library's claim counts again.
    pub fn end(self) -> Left {
        array::release_if_open(self.handle);
        self.keep_handle()
    }

    /// As [`Lent::end`], for bytes that are the value from now on. Its form is that of the callback's handle.
    pub fn end_in_place(self) {
        let mut locked = self.resting.lock_moving();
        if let Some(claim) = locked.find_beside(self.resting, self.handle) {
            let form = locked.get(claim).form;
            locked.get_mut(self.resting).form = form;
            locked.release(claim);
        }
        locked.wake(self.resting);
    }

    /// As [`Lent::end`], for a handle that the library goes on to use.
    pub fn keep_handle(self) -> Left {
        let mut locked = self.resting.lock_moving();
        let left = self.left_in(&locked);
        locked.wake(self.resting);
        left
    }

    /// What the callback left until now.
    pub fn left(&self) -> Left {
        self.left_in(&self.resting.lock_moving())
    }

    fn left_in(&self, locked: &Locked) -> Left {
        let state = locked.state(locked.ledger_of(self.resting));
        // A guard on bytes of the store beside these, and a write of such bytes that failed, can be from before.
        let (is_writing, is_poisoned) = match state.writers + state.poisoned {
            0 => (false, false),
            _ => borrow::writes_over(locked, self.resting),
        };
        let is_writable = is_writing || state.exports_shared + state.exports_exclusive > 0;
        let is_written = state.version != self.version || state.was_exported;
        Left { is_writable, is_poisoned, is_changed: is_writable || is_poisoned || is_written }
    }
}
