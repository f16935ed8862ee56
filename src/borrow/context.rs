//! What a call passes to open guards: the entries, and the conditions that hold for all of them.

use super::rules::{Mode, Use};
use crate::array::Checked;
use crate::blit;
use crate::device_copy::{self, Outstanding};
use crate::error::{Result, quietly};
use crate::ledger::{self, Claim, Class, GuardParams, InternalGuard, Locked, NewStore, UseTime};
use crate::lists;
use crate::slots::Id;
use crate::stream::{self, Stream};
use crate::sys::os;
use crate::types::{TN_CUDA_MANAGED, tn_device};
use core::ffi::CStr;
use smallvec::SmallVec;

/// One array, and the use that a call makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The array's handle.
    pub(crate) id: Id,
    /// The use.
    pub(crate) wanted: Use,
    /// When the bytes are used.
    pub(crate) when: UseTime,
    /// It may overlap an entry that is written in mode ALIASED, if it is read or is written in that mode itself
    /// (KN-11).
    pub(crate) may_alias: bool,
}

impl Entry {
    /// An entry that overlaps no other one where one of them is written.
    pub fn new(id: Id, wanted: Use, when: UseTime) -> Entry {
        Entry { id, wanted, when, may_alias: false }
    }

    /// Whether the overlap of a writing entry with this one is intended.
    pub(super) fn may_overlap(self, writer: Entry) -> bool {
        let is_plain = |entry: Entry| matches!(entry.wanted, Use::Write { mode: Mode::Aliased, .. });
        self.may_alias && is_plain(writer) && (is_plain(self) || matches!(self.wanted, Use::Read { .. }))
    }
}

/// The call for which a list of entries is opened.
#[derive(Clone, Copy)]
pub struct BorrowContext<'a> {
    /// The C function, for the statistics of copies.
    pub(crate) function: &'static CStr,
    /// Entries may overlap each other, as in a copy within one store.
    pub(crate) may_overlap: bool,
    /// Checks the arguments against the layouts: after the states of the handles, before conflicts with other holders.
    pub(crate) check_shapes: Option<&'a ShapeCheck<'a>>,
    /// What prevents the work itself. Checked last, before a guard opens or bytes are copied.
    pub(crate) check_last: Option<&'a dyn Fn() -> Result<()>>,
    /// The host uses the bytes: arrays that it cannot access are refused.
    pub(crate) by_host: bool,
}

impl<'a> BorrowContext<'a> {
    /// For entries that may not overlap, without further checks.
    pub fn new(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { function, may_overlap: false, check_shapes: None, check_last: None, by_host: false }
    }

    /// As [`BorrowContext::new`], for a use by the host.
    pub(crate) fn by_host(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { by_host: true, ..BorrowContext::new(function) }
    }
}

/// See [`BorrowContext::check_shapes`].
pub type ShapeCheck<'a> = dyn Fn(&Locked, &[&'static Claim]) -> Checked<()> + 'a;

/// A list of entries; short ones need no allocation.
pub type List<T> = SmallVec<[T; 4]>;

/// The guard that a use opens.
pub fn guard_params(wanted: Use) -> GuardParams {
    match wanted {
        Use::Read { frozen } => GuardParams { class: Class::Read, frozen, discard: false, time_ns: 0 },
        Use::Write { discard, .. } => GuardParams { class: Class::Write, frozen: false, discard, time_ns: 0 },
        Use::Export { class, .. } => {
            GuardParams { class, frozen: false, discard: false, time_ns: os::coarse_time_ns() }
        }
    }
}

/// A list of `n` equal items.
#[inline]
pub fn filled<T: Copy>(n: usize, item: T) -> Result<List<T>> {
    let mut filled = List::new();
    fill(&mut filled, n, item)?;
    Ok(filled)
}

/// Adds `n` equal items to an empty list.
#[inline]
pub fn fill<T: Copy>(list: &mut List<T>, n: usize, item: T) -> Result<()> {
    lists::reserve(list, n)?;
    (0..n).for_each(|_| list.push(item));
    Ok(())
}

/// Whether the host itself copies the bytes of a COW entry, on return. Otherwise a device copies them, in the order of
/// the entry's stream. Page-locked bytes are always copied by the host: the driver's copy between two ranges of host
/// memory would block the caller as well.
pub(super) fn is_copied_by_host(device: tn_device, when: UseTime) -> bool {
    ledger::is_reachable(device) && (when.stream.is_none() || device.r#type != TN_CUDA_MANAGED)
}

/// Copies the bytes of a COW entry on `stream`. Without one the copy is done on return: the host copies what it can
/// reach, and the thread's current stream the rest. After a failure no stream copies either.
pub(super) fn copy_bytes(to: &mut NewStore, from: &InternalGuard, stream: Option<&'static Stream>) -> Result<()> {
    let on = match stream {
        Some(stream) => stream,
        None if ledger::is_reachable(to.device()) => return blit::copy(&to.host_view()?, &from.host_view()?),
        None => stream::current(to.device())?,
    };
    match device_copy::copy(on, &to.memory_view()?, &from.memory_view()?, false) {
        Ok(Outstanding::Nothing) => Ok(()),
        Ok(_) if stream.is_some() => Ok(()),
        Ok(_) => on.synchronize(),
        Err(failed) => {
            let _ = quietly(|| on.synchronize());
            Err(failed.status)
        }
    }
}
