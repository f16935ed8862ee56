//! Copies from and to raw host memory.
//!
//! Page-locked memory is recognised, whether `tn_host_register` locked it or a pool allocated it. A device copies such
//! memory itself. The caller must keep it until the stream has completed the copy.
#![forbid(unsafe_code)]

use super::operand::{acquire_one, check_match, location_of, write_use};
use super::route::{Outcome, Route};
use crate::array::{Checked, HOST};
use crate::borrow::{self, BorrowContext, Use};
use crate::device_copy::{Memory, MemoryView, Outstanding};
use crate::error::{Result, fail};
use crate::layout::{Layout, Tuple};
use crate::ledger::{self, Claim, Locked};
use crate::pool::{self, Located};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::CStr;

/// The caller's side of a copy: raw memory that the caller vouches for.
pub struct Side<'a> {
    /// Makes the layout of the raw memory from the layout of the array.
    pub layout: &'a dyn Fn(&Layout) -> Result<Layout>,
    /// Makes the view with which the caller vouches for the bytes.
    pub vouch: &'a dyn for<'x> Fn(&'x Layout, Memory) -> MemoryView<'x>,
}

/// What the library knows of raw host memory.
struct RawMemory {
    memory: Memory,
    /// The pool's block that contains it.
    block: Option<Located>,
}

impl RawMemory {
    fn of(layout: &Layout) -> Result<RawMemory> {
        let Some((start, end)) = layout.extent() else {
            return Ok(RawMemory { memory: Memory::Pageable, block: None });
        };
        let block = pool::locate(start as usize).filter(|block| end as usize <= block.start + block.usable);
        let device = block.as_ref().map(|block| block.pool.device()).filter(|device| device.r#type != TN_CUDA);
        Ok(RawMemory { memory: Memory::of(device.unwrap_or(HOST), layout)?, block })
    }

    /// Records a copy that is outstanding: the pool reuses a block that the caller frees meanwhile only after it
    /// (PD-18).
    fn record_use(&self, route: &Route, outcome: &Outcome) {
        if let (Some(block), Some(stream), Ok(Outstanding::Both)) = (&self.block, route.stream(), outcome) {
            block.pool.record_use(block.start, stream.end_of_use());
        }
    }
}

/// Copies the elements into raw host memory.
pub fn copy_to_host(function: &'static CStr, id: Id, stream: Result<StreamArg>, target: Side<'_>) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let (from, is_empty) = location_of(id)?;
    let route = Route::find(&stream, &[HOST, from], false, is_empty);
    let check_shapes = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let layout = &locked.get(claims[0]).layout;
        let target = (target.layout)(layout)?;
        check_match(layout, &target)?;
        if target.self_overlaps() {
            return Err(fail(
                TN_ERR_LAYOUT,
                format_args!(
                    "elements of the target share bytes (strides {}); give each of them a place of its own",
                    Tuple(target.strides())
                ),
            )
            .into());
        }
        route.as_ref().map(drop).map_err(|failed| failed.report().into())
    };
    let when = route.as_ref().map_or(ledger::UseTime::HOST, |route| route.when(false));
    let opened = acquire_one(
        BorrowContext { check_shapes: Some(&check_shapes), ..BorrowContext::new(function) },
        id,
        Use::Read { frozen: false },
        when,
    );
    let (source, route) = (opened?, route.map_err(|failed| failed.report())?);
    let outcome = (target.layout)(source.layout()).and_then(|to| {
        let raw = RawMemory::of(&to)?;
        let outcome = route.copy(Ok((target.vouch)(&to, raw.memory)), source.memory_view());
        raw.record_use(&route, &outcome);
        Ok(outcome)
    });
    match outcome {
        Ok(outcome) => route.end(None, Some(source), outcome),
        Err(status) => {
            source.end(false);
            Err(status)
        }
    }
}

/// Copies elements from raw host memory.
pub fn copy_from_host(
    function: &'static CStr,
    id: Id,
    mode: u32,
    stream: Result<StreamArg>,
    source: Side<'_>,
) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let wanted = write_use(mode)?;
    let (to, is_empty) = location_of(id)?;
    let strict = mode & TN_REQUIRE_ASYNC != 0;
    let route = Route::find(&stream, &[to, HOST], strict, is_empty);
    let check_shapes = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let layout = &locked.get(claims[0]).layout;
        check_match(&(source.layout)(layout)?, layout)?;
        route.as_ref().map(drop).map_err(|failed| failed.report().into())
    };
    let when = route.as_ref().map_or(ledger::UseTime::HOST, |route| route.when(mode & TN_WAIT != 0));
    let opened = acquire_one(
        BorrowContext { check_shapes: Some(&check_shapes), ..BorrowContext::new(function) },
        id,
        wanted,
        when,
    );
    let (target, route) = (opened?, route.map_err(|failed| failed.report())?);
    let outcome = (source.layout)(target.layout()).and_then(|from| {
        let raw = RawMemory::of(&from)?;
        let outcome = route.copy(target.memory_view(), Ok((source.vouch)(&from, raw.memory)));
        raw.record_use(&route, &outcome);
        Ok(outcome)
    });
    match outcome {
        Ok(outcome) => route.end(Some(target), None, outcome),
        Err(status) => {
            borrow::abandon(target);
            Err(status)
        }
    }
}
