//! Copies from and to raw host memory.
//!
//! Memory that is page-locked, by `tn_host_register` or as a block of a pool of such memory, is recognised: then a device copies it by
//! itself, and the caller keeps it until the stream has passed.
#![forbid(unsafe_code)]

use super::operand::{check_match, lies, one, writing};
use super::route::Route;
use crate::array::{Checked, HOST};
use crate::borrow::{BorrowContext, Use};
use crate::device_copy::{Failed, Memory, MemoryView, Outstanding};
use crate::error::{Result, fail};
use crate::layout::{Layout, Tuple};
use crate::ledger::{self, Claim, Locked};
use crate::pool::{self, Located};
use crate::slots::Id;
use crate::stream::Stream;
use crate::types::*;
use core::ffi::CStr;

/// The caller's side of a copy: memory that it vouches for.
pub struct Side<'a> {
    /// How the elements lie there, beside an array's layout.
    pub layout: &'a dyn Fn(&Layout) -> Result<Layout>,
    /// Vouches for them.
    pub vouch: &'a dyn for<'x> Fn(&'x Layout, Memory) -> MemoryView<'x>,
}

/// Raw host memory beside what this library knows of it.
struct Known {
    memory: Memory,
    /// The block of a pool that it lies in.
    block: Option<Located>,
}

impl Known {
    fn of(layout: &Layout) -> Result<Known> {
        let Some((start, end)) = layout.extent() else {
            return Ok(Known { memory: Memory::Pageable, block: None });
        };
        let block = pool::locate(start as usize).filter(|block| end as usize <= block.start + block.usable);
        let device = block.as_ref().map(|block| block.pool.device()).filter(|device| device.r#type != TN_CUDA);
        Ok(Known { memory: Memory::of(device.unwrap_or(HOST), layout)?, block })
    }

    /// A block that the caller gives back meanwhile is nobody's before the copy is done (PD-18).
    fn note_use(&self, route: &Route, outcome: &core::result::Result<Outstanding, Failed>) {
        if let (Some(block), Some(queue), Ok(Outstanding::Both)) = (&self.block, route.queue(), outcome) {
            block.pool.record_use(block.start, queue.now());
        }
    }
}

/// Copies the elements into raw host memory.
pub fn copy_to_host(function: &'static CStr, id: Id, stream: Result<Stream>, target: Side<'_>) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let (from, is_empty) = lies(id)?;
    let route = Route::find(&stream, &[HOST, from], false, is_empty);
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
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
        route.as_ref().map(drop).map_err(|none| none.say().into())
    };
    let when = route.as_ref().map_or(ledger::UseTime::HOST, |route| route.when(false));
    let opened =
        one(BorrowContext { fits: Some(&fits), ..BorrowContext::new(function) }, id, Use::Read { frozen: false }, when);
    let (source, route) = (opened?, route.map_err(|none| none.say())?);
    let outcome = (target.layout)(source.layout()).and_then(|to| {
        let known = Known::of(&to)?;
        let outcome = route.copy(Ok((target.vouch)(&to, known.memory)), source.memory_view());
        known.note_use(&route, &outcome);
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
    stream: Result<Stream>,
    source: Side<'_>,
) -> Result<()> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let wanted = writing(mode)?;
    let (to, is_empty) = lies(id)?;
    let strict = mode & TN_REQUIRE_ASYNC != 0;
    let route = Route::find(&stream, &[to, HOST], strict, is_empty);
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let layout = &locked.get(claims[0]).layout;
        check_match(&(source.layout)(layout)?, layout)?;
        route.as_ref().map(drop).map_err(|none| none.say().into())
    };
    let when = route.as_ref().map_or(ledger::UseTime::HOST, |route| route.when(mode & TN_WAIT != 0));
    let opened = one(BorrowContext { fits: Some(&fits), ..BorrowContext::new(function) }, id, wanted, when);
    let (target, route) = (opened?, route.map_err(|none| none.say())?);
    let outcome = (source.layout)(target.layout()).and_then(|from| {
        let known = Known::of(&from)?;
        let outcome = route.copy(target.memory_view(), Ok((source.vouch)(&from, known.memory)));
        known.note_use(&route, &outcome);
        Ok(outcome)
    });
    match outcome {
        Ok(outcome) => route.end(Some(target), None, outcome),
        Err(status) => {
            crate::borrow::abandon(target);
            Err(status)
        }
    }
}
