//! Page-locking of the caller's memory, and advice for managed memory.
//!
//! A registration is a lease. It lasts as long as the array that `register` returned and all that descends from it. Its
//! end waits for the copies on the memory, and unlocks it (PN-6).
#![forbid(unsafe_code)]

use super::operand::location_of;
use crate::address_index::{self, AddressIndex};
use crate::array;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::flags;
use crate::gpu::{self, Gpu, managed};
use crate::layout::{Layout, Order};
use crate::ledger::{
    self, Backing, Claim, Found, Lease, Ledger, Locked, Origin, Release, SpareClaim, StoreParams, StoreSource,
};
use crate::slots::Id;
use crate::stream::{self, StreamArg};
use crate::thread;
use crate::types::*;

/// Flags of [`register`].
const FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_READ_ONLY | TN_HOST_BEST_EFFORT;

/// Checks the arguments without a look at existing arrays. Returns the range.
fn check(start: u64, bytes: usize, flags: u32) -> Result<(i64, i64)> {
    let invalid = |text: core::fmt::Arguments<'_>| Err(fail(TN_ERR_INVALID, text));
    if flags & TN_HOST_WRITE_COMBINED != 0 {
        return invalid(format_args!(
            "TN_HOST_WRITE_COMBINED is not possible for existing memory; use a pool of TN_CUDA_HOST"
        ));
    }
    flags::check("flags", flags, FLAGS, &flags::HOST)?;
    if bytes == 0 {
        return invalid(format_args!("bytes is 0; there is nothing to register"));
    }
    match start.checked_add(bytes as u64).filter(|end| *end <= i64::MAX as u64) {
        Some(end) => Ok((start as i64, end as i64)),
        None => Err(fail(TN_ERR_RANGE, format_args!("{bytes} bytes from {start:#x} on exceed the address space"))),
    }
}

/// The store that has the range's bytes, locked. None: no store has any of them. Fails if a store has only some of
/// them.
fn owner(index: &mut AddressIndex, (start, end): (i64, i64)) -> Result<Option<(Locked, &'static Ledger)>> {
    let aliased = |what: &str| {
        fail(TN_ERR_ALIASED, format_args!("{what}; register the memory of one array, or memory of no array"))
    };
    match ledger::find_by_address(index, start, end) {
        Found::Nothing => Ok(None),
        Found::Several => Err(aliased("more than one store has some of the bytes")),
        Found::One(locked, ledger) => {
            let state = locked.state(ledger);
            let inside = state.start <= start && end <= state.start + state.bytes;
            if inside || matches!(state.backing, Backing::Lent) {
                return Ok(Some((locked, ledger)));
            }
            Err(aliased("the bytes extend beyond the store that has some of them"))
        }
    }
}

/// Page-locks [start, start + bytes) and returns a 1-D array of bytes on it. `lock` calls the driver. With
/// TN_HOST_BEST_EFFORT and without a driver, the array is made and no memory is locked.
pub fn register(
    start: u64,
    bytes: usize,
    flags: u32,
    lock: &dyn Fn(&'static Gpu, (i64, i64), u32) -> Result<()>,
) -> Result<Id> {
    let range = check(start, bytes, flags)?;
    let gpu = match gpu::home() {
        Ok(gpu) => Some(gpu),
        Err(_) if flags & TN_HOST_BEST_EFFORT != 0 => None,
        // There is a driver, but no device that the memory could be locked for.
        Err(status) if status.code() == TN_ERR_DEVICE => {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!("there is no GPU to page-lock memory for; TN_HOST_BEST_EFFORT works without one"),
            ));
        }
        Err(status) => return Err(status),
    };
    // A conflict with an existing store is reported before the driver is called.
    owner(&mut address_index::lock()?, range)?;
    let thread = thread::current();
    let release = if gpu.is_some() { Release::Unlock(range.0) } else { Release::None };
    let (queued, may_overwrite) = (false, false);
    let mut lease = Lease::spare(thread, release, queued, may_overwrite, range)?;
    lease.set_waits();
    let mut claim = SpareClaim::take(thread)?;
    *claim.layout() = Layout::contiguous(Dtype::U8, &[bytes as i64], Order::C, range.0)?;
    claim.set_readonly(flags & TN_HOST_READ_ONLY != 0 && gpu.is_some());
    claim.set_origin(Origin::by(thread));
    let store = Ledger::spare(thread)?;
    let mut index = match gpu {
        Some(gpu) => {
            lock(gpu, range, flags)?;
            match address_index::lock() {
                Ok(index) => index,
                Err(status) => {
                    lease.end_now();
                    return Err(status);
                }
            }
        }
        None => address_index::lock()?,
    };
    match owner(&mut index, range) {
        Ok(Some((mut locked, ledger))) => {
            let id = locked.join(ledger, lease, claim);
            let state = locked.state(ledger);
            if matches!(state.backing, Backing::Lent) {
                index.resize(state.start, state.start + state.bytes, ledger.tag());
            }
            Ok(id)
        }
        Ok(None) => {
            let device = if gpu.is_some() { tn_device { r#type: TN_CUDA_HOST, id: 0 } } else { array::HOST };
            let from = StoreSource::Lent(lease);
            let params =
                StoreParams { device, start: range.0, bytes: bytes as i64, readonly: false, mapped: false, from };
            let (locked, ledger, id) = ledger::create(store, params, claim);
            index.insert(range.0, range.1, ledger.tag());
            drop(locked);
            Ok(id)
        }
        Err(status) => {
            drop(index);
            // The end of the lease unlocks the memory.
            lease.end_now();
            Err(status)
        }
    }
}

/// The range of a managed array's elements. None: it is empty. TN_ERR_UNSUPPORTED: the memory is not managed.
fn managed_range(id: Id) -> Result<Option<(u64, usize)>> {
    let (device, _) = location_of(id)?;
    if device.r#type != TN_CUDA_MANAGED {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "the array is on device {}, and only managed memory (TN_CUDA_MANAGED) can be advised on or prefetched",
                crate::names::DeviceName(device)
            ),
        ));
    }
    let extent = array::snapshot(id)?.extent();
    Ok(extent.map(|(start, end)| (start as u64, (end - start) as usize)))
}

/// Advises the driver on the placement of managed memory. The advice applies to whole pages of the array's range.
pub fn advise(id: Id, advice: tn_advice, device: tn_device) -> Result<()> {
    ledger::find::<Claim>(id)?;
    if !(TN_ADVISE_READ_MOSTLY..=TN_ADVISE_UNSET_ACCESSED_BY).contains(&advice) {
        return Err(fail(TN_ERR_INVALID, format_args!("advice {advice} is none of the TN_ADVISE_ constants")));
    }
    gpu::gpu(0)?;
    managed::check_location(device)?;
    let Some((start, bytes)) = managed_range(id)? else { return Ok(()) };
    managed::advise(&managed::gpu()?.enter()?, start, bytes, advice, device)
}

/// Prefetches managed memory to a device, in the order of a stream. With stream NULL the call waits for the thread's
/// current stream.
pub fn prefetch(id: Id, device: tn_device, stream: Result<StreamArg>) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let (from, _) = location_of(id)?;
    gpu::gpu(0)?;
    managed::check_location(device)?;
    let Some((start, bytes)) = managed_range(id)? else { return Ok(()) };
    let gpu = if device.r#type == TN_CUDA { device } else { from };
    let given = stream.on(gpu)?;
    let stream = match given {
        Some(stream) => stream,
        None => stream::current(gpu)?,
    };
    stream::prefetch(stream, start, bytes, device)?;
    if given.is_none() { stream.synchronize() } else { Ok(()) }
}
