//! Fills, and new arrays of memory that the host does not reach.
#![forbid(unsafe_code)]

use super::operand::{WHOLE, is_free_mode, is_hosts, lies, one, writing};
use super::route::Route;
use crate::array::{self, Contents};
use crate::blit;
use crate::borrow::{self, BorrowContext};
use crate::error::Result;
use crate::layout::Layout;
use crate::ledger::{self, Claim, InternalGuard, NewStore};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::Id;
use crate::stream::Stream;
use crate::thread;
use crate::types::*;
use core::ffi::CStr;

/// The largest element, in bytes.
const ITEM: usize = 16;

/// Overwrites every element with one value, or with zeros.
pub fn fill(
    function: &'static CStr,
    id: Id,
    value: Option<&dyn Fn(usize) -> [u8; ITEM]>,
    mode: u32,
    stream: Result<Stream>,
) -> Result<()> {
    let value = |item: usize| value.map_or([0; ITEM], |value| value(item));
    if is_hosts(&stream)
        && is_free_mode(mode)
        && let Some(target) = borrow::hold_free(thread::current(), id, WHOLE)
    {
        // Other memory than the host's own is filled on a stream that was given.
        if target.device().r#type == TN_CPU
            || matches!(stream, Ok(Stream::Now)) && ledger::is_reachable(target.device())
        {
            let item = target.layout().item() as usize;
            let outcome = target.host_view().map(|place| blit::fill(&place, &value(item)[..item]));
            target.end(false);
            return outcome;
        }
        borrow::abandon(target);
    }
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let wanted = writing(mode)?;
    let (device, is_empty) = lies(id)?;
    let route = if is_empty { Route::HOST } else { Route::of_fill(&stream, device)? };
    let target = one(BorrowContext::new(function), id, wanted, route.when(mode & TN_WAIT != 0))?;
    let item = target.layout().item() as usize;
    let outcome = route.fill(target.memory_view(), &value(item)[..item]);
    route.end(Some(target), None, outcome)
}

/// A new array on new bytes. `stream`: in whose order a GPU makes the contents; not looked at for memory that the host makes them in.
#[inline(always)]
pub fn create(
    pool: Option<&'static Pool>,
    layout: &mut Layout,
    contents: Contents<'_>,
    name: &Name,
    stream: impl FnOnce() -> Result<Stream>,
) -> Result<Id> {
    match pool.filter(|pool| pool.device().r#type == TN_CUDA) {
        None => array::create(pool, layout, contents, name),
        Some(pool) => create_on_gpu(pool, layout, contents, name, stream()),
    }
}

/// A new array on a GPU's pool, whose contents are made in the order of a stream.
fn create_on_gpu(
    pool: &'static Pool,
    layout: &mut Layout,
    contents: Contents<'_>,
    name: &Name,
    stream: Result<Stream>,
) -> Result<Id> {
    // NULL is the current stream here: a new array is waited for by whoever uses it.
    let stream = match stream? {
        Stream::Now => Stream::Current,
        stream => stream,
    };
    if layout.is_empty() {
        return array::create(Some(pool), layout, Contents::Undefined, name);
    }
    let route = Route::of(&stream, &[pool.device()], false)?;
    let Contents::Full(value) = contents else {
        let zeroed = matches!(contents, Contents::Zero);
        let mut fresh = NewStore::allocate_on(thread::current(), route.queue(), pool, layout, zeroed)?;
        fresh.claim().set_name(*name);
        return Ok(fresh.finish());
    };
    let (id, target) = open(pool, layout, name, &route)?;
    let outcome = route.fill(target.memory_view(), value);
    let ended = route.end(Some(target), None, outcome);
    keep(id, ended)
}

/// A new array that nobody knows yet, with a guard for writing it.
pub fn open(pool: &'static Pool, layout: &mut Layout, name: &Name, route: &Route) -> Result<(Id, InternalGuard)> {
    let mut fresh = NewStore::allocate_on(thread::current(), route.queue(), pool, layout, false)?;
    fresh.claim().set_name(*name);
    let id = fresh.finish();
    match one(BorrowContext::new(c"tn_array"), id, WHOLE, route.when(false)) {
        Ok(hold) => Ok((id, hold)),
        Err(status) => keep(id, Err(status)).map(|_| unreachable!("an error stays one")),
    }
}

/// The new array, or its end: with its bytes go what work is left on them.
pub fn keep(id: Id, ended: Result<()>) -> Result<Id> {
    if ended.is_err() {
        let _ = array::release_now(id);
    }
    ended.map(|()| id)
}
