//! Arrays that are offered to another process (IP-8).
//!
//! Contract: an offered array has an exclusive export, so nobody here uses it. The [`Word`] of its file is odd while it
//! is offered. The process that takes the array and the one that ends the offer both advance the word, and one of them
//! succeeds, whichever process dies when. So one process at most uses the bytes.

use crate::array::Quoted;
use crate::borrow::Ending;
use crate::device::shareable;
use crate::error::{Result, Status, fail};
use crate::grow_unlocked;
use crate::ledger::{Completion, Guard, InternalGuard};
use crate::slots::{self, Kind};
use crate::sys::file::{Errno, File};
use crate::sys::memory_file::{self, Word};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::ffi::c_int;

/// An open offer: its export, a descriptor of the file, and the value of the word meanwhile.
#[derive(Clone, Copy)]
struct Offer {
    export: &'static Guard,
    fd: c_int,
    value: u64,
    identity: (u64, u64),
    forks: u32,
    /// A thread ends it.
    ending: bool,
    /// This process took the array, and has another handle on it.
    taken_here: bool,
}

static OFFERS: QuickLock<Vec<Offer>> = QuickLock::new(Vec::new());

#[cold]
fn no_word(errno: Errno) -> Status {
    fail(
        TN_ERR_IO,
        format_args!("the last page of the array's memory, which says whose it is, could not be mapped: {errno}"),
    )
}

/// Begins an offer by an exclusive export. Returns the value of the word, for the descriptor. TN_ERR_IO,
/// TN_ERR_NO_HOST_MEMORY.
pub fn begin(export: &InternalGuard, file: &File) -> Result<u64> {
    let word = Word::of(file).map_err(no_word)?;
    let own = memory_file::duplicate(file).map_err(shareable::no_descriptor)?;
    let (forks, identity) = (thread::forks(), own.stat().map_err(no_word)?.identity);
    let before = word.get();
    if !before.is_multiple_of(2) || !word.advance(before) {
        return Err(fail(TN_ERR_ALIASED, format_args!("another process offers these bytes; only their owner can")));
    }
    let value = before + 1;
    let offer =
        Offer { export: export.guard(), fd: own.fd(), value, identity, forks, ending: false, taken_here: false };
    let mut offers = grow_unlocked::lock(&OFFERS, 16).map_err(|entries| {
        word.advance(value);
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {entries} offered arrays"))
    })?;
    offers.push(offer);
    drop(offers);
    let _ = own.into_fd();
    export.set_completion(Completion::Offer);
    Ok(value)
}

/// Takes the array in a file, which is offered with this value. TN_ERR_DESTRUCTED: it was taken before, or the offer
/// has ended.
pub fn take(file: &File, identity: (u64, u64), value: u64) -> Result<()> {
    let word = Word::of(file).map_err(no_word)?;
    if !value.is_multiple_of(2) && word.advance(value) {
        let is_own = |offer: &&mut Offer| offer.identity == identity && offer.value == value;
        OFFERS.lock().iter_mut().find(is_own).into_iter().for_each(|offer| offer.taken_here = true);
        return Ok(());
    }
    Err(fail(
        TN_ERR_DESTRUCTED,
        format_args!(
            "the array was taken by another import already, or its owner ended the offer; import each offer once"
        ),
    ))
}

/// Ends an offer: the array is its owner's again, or, if another process took it, its handle is
/// destructed. TN_ERR_STALE; TN_ERR_SHARED for a taken array that has other holders here: the offer stays open.
pub fn end(Ending { id, guard, locked, .. }: Ending) -> Result<()> {
    // Another thread may end the same handle.
    let mine = with_offer(guard, |offer| !core::mem::replace(&mut offer.ending, true));
    let offer = with_offer(guard, |offer| *offer).filter(|_| mine == Some(true));
    drop(locked);
    let offer = offer.ok_or_else(|| slots::stale(id, Kind::Borrow))?;
    if offer.forks != thread::forks() {
        // A child ends what it inherited from its parent, whose offer it is.
        guard.lock().end_guard(guard, false);
        return Ok(());
    }
    let ended = Word::of(&File::lent(offer.fd)).map_err(no_word).and_then(|word| {
        let mut locked = guard.lock();
        if word.advance(offer.value) {
            locked.end_guard(guard, false);
            return Ok(());
        }
        let name = locked.get(locked.get(guard).owner()).name;
        let outcome = locked.end_export_as_taken(guard, with_offer(guard, |offer| offer.taken_here) == Some(true));
        drop(locked);
        outcome.map_err(|others| {
            let text = "was taken by another process, and has other handles, promises or expressions here";
            fail(TN_ERR_SHARED, format_args!("{} {text}: {others}; release these first", Quoted(&name)))
        })
    });
    if let Err(status) = ended {
        with_offer(guard, |offer| offer.ending = false);
        return Err(status);
    }
    OFFERS.lock().retain(|other| other.fd != offer.fd);
    drop(File::owned(offer.fd));
    Ok(())
}

fn with_offer<T>(export: &'static Guard, then: impl FnOnce(&mut Offer) -> T) -> Option<T> {
    OFFERS.lock().iter_mut().find(|offer| core::ptr::eq(offer.export, export)).map(then)
}
