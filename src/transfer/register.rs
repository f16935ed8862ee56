//! Page-locking of the caller's memory, and advice for managed memory.
//!
//! A registration is a lease: it lasts as long as the array that it gave and what descends from that, and its end unlocks the memory, after
//! the copies on it (PN-6).
#![forbid(unsafe_code)]

use super::operand::lies;
use crate::address_index::{self, AddressIndex};
use crate::array;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::flags;
use crate::gpu::{self, Gpu, managed};
use crate::layout::{Layout, Order};
use crate::ledger::{
    self, Backing, Claim, Found, Ledger, Locked, Origin, Release, SpareClaim, SpareLease, SpareLedger, StoreParams,
    StoreSource,
};
use crate::slots::Id;
use crate::stream::{self, Stream};
use crate::thread;
use crate::types::*;

/// Flags of [`register`].
const FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_READ_ONLY | TN_HOST_BEST_EFFORT;

/// Checks what C passed alone; the range.
fn check(start: u64, bytes: usize, flags: u32) -> Result<(i64, i64)> {
    let invalid = |text: core::fmt::Arguments<'_>| Err(fail(TN_ERR_INVALID, text));
    if flags & TN_HOST_WRITE_COMBINED != 0 {
        return invalid(format_args!(
            "TN_HOST_WRITE_COMBINED cannot be had for memory that is there; use a pool of TN_CUDA_HOST"
        ));
    }
    flags::check("flags", flags, FLAGS, &flags::HOST)?;
    if bytes == 0 {
        return invalid(format_args!("bytes is 0; there is nothing to register"));
    }
    match start.checked_add(bytes as u64).filter(|end| *end <= i64::MAX as u64) {
        Some(end) => Ok((start as i64, end as i64)),
        None => Err(fail(TN_ERR_RANGE, format_args!("{bytes} bytes from {start:#x} on leave the address space"))),
    }
}

/// Where the range's bytes are: None: in no store; else the one that has them, locked.
fn owner(index: &mut AddressIndex, (start, end): (i64, i64)) -> Result<Option<(Locked, &'static Ledger)>> {
    let aliased = |what: &str| {
        fail(
            TN_ERR_ALIASED,
            format_args!("{what}; register the memory of one array, or none that is known to this library"),
        )
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
            Err(aliased("the bytes reach beyond the store that has some of them"))
        }
    }
}

/// Page-locks [start, start + bytes) and gives a 1-D array of bytes on it. `lock` asks the driver for it. Without a driver and with
/// TN_HOST_BEST_EFFORT the array is there and nothing is locked.
pub fn register(
    start: u64,
    bytes: usize,
    flags: u32,
    lock: &dyn Fn(&'static Gpu, (i64, i64), u32) -> Result<()>,
) -> Result<Id> {
    let range = check(start, bytes, flags)?;
    let gpu = match gpu::gpu(0) {
        Ok(gpu) => Some(gpu),
        Err(_) if flags & TN_HOST_BEST_EFFORT != 0 => None,
        // With a driver and no device there is nobody to lock it for either.
        Err(status) if status.code() == TN_ERR_DEVICE => {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!("there is no GPU to page-lock memory for; TN_HOST_BEST_EFFORT does without"),
            ));
        }
        Err(status) => return Err(status),
    };
    // What others have is said before the driver is asked.
    owner(&mut address_index::lock()?, range)?;
    let thread = thread::current();
    let release = if gpu.is_some() { Release::Unlock(range.0) } else { Release::None };
    let mut lease = SpareLease::take(thread, release, false, false, range)?;
    lease.set_waits();
    let mut claim = SpareClaim::take(thread)?;
    *claim.layout() = Layout::contiguous(Dtype::U8, &[bytes as i64], Order::C, range.0)?;
    claim.set_readonly(flags & TN_HOST_READ_ONLY != 0 && gpu.is_some());
    claim.set_made(Origin::by(thread));
    let store = SpareLedger::take(thread)?;
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
            let what =
                StoreParams { device, start: range.0, bytes: bytes as i64, readonly: false, mapped: false, from };
            let (locked, ledger, id) = ledger::create(store, what, claim);
            index.insert(range.0, range.1, ledger.tag());
            drop(locked);
            Ok(id)
        }
        Err(status) => {
            drop(index);
            // What was locked is unlocked; nobody has it yet.
            lease.end_now();
            Err(status)
        }
    }
}

/// The range of a managed array's elements; None: it has none. UNSUPPORTED: other memory takes no advice.
fn managed_range(id: Id) -> Result<Option<(u64, usize)>> {
    let (device, _) = lies(id)?;
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

/// Says where managed memory is best, on the whole pages of the array's range.
pub fn advise(id: Id, advice: tn_advice, device: tn_device) -> Result<()> {
    ledger::find::<Claim>(id)?;
    if !(TN_ADVISE_READ_MOSTLY..=TN_ADVISE_UNSET_ACCESSED_BY).contains(&advice) {
        return Err(fail(TN_ERR_INVALID, format_args!("advice {advice} is none of the TN_ADVISE_ constants")));
    }
    gpu::gpu(0)?;
    managed::check_location(device)?;
    let Some((start, bytes)) = managed_range(id)? else { return Ok(()) };
    managed::advise(&gpu::gpu(0)?.enter()?, start, bytes, advice, device)
}

/// Brings managed memory to a device, in the order of a stream; with NULL of the thread's current one, which is waited for.
pub fn prefetch(id: Id, device: tn_device, stream: Result<Stream>) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let (from, _) = lies(id)?;
    gpu::gpu(0)?;
    managed::check_location(device)?;
    let Some((start, bytes)) = managed_range(id)? else { return Ok(()) };
    let gpu = if device.r#type == TN_CUDA { device } else { from };
    let given = stream.on(gpu)?;
    let queue = match given {
        Some(queue) => queue,
        None => stream::current(gpu)?,
    };
    stream::prefetch(queue, start, bytes, device)?;
    if given.is_none() { queue.synchronize() } else { Ok(()) }
}
