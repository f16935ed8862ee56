//! Fills, and new arrays in device memory.
#![forbid(unsafe_code)]

use super::operand::{OVERWRITE, acquire_one, is_default_mode, is_left_to_host, location_of, write_use};
use super::route::Route;
use crate::array::{self, Contents};
use crate::blit;
use crate::borrow::{self, BorrowContext};
use crate::device_copy::Outstanding;
use crate::error::Result;
use crate::layout::Layout;
use crate::ledger::{self, Claim, NewStore};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::thread;
use crate::types::*;
use core::ffi::CStr;

/// The size of the largest element.
const MAX_ITEM_BYTES: usize = 16;

/// Overwrites every element with one value, or with zeros.
pub fn fill(
    function: &'static CStr,
    id: Id,
    value: Option<&dyn Fn(usize) -> [u8; MAX_ITEM_BYTES]>,
    mode: u32,
    stream: Result<StreamArg>,
) -> Result<()> {
    let value = |item: usize| value.map_or([0; MAX_ITEM_BYTES], |value| value(item));
    if is_left_to_host(&stream)
        && is_default_mode(mode)
        && let Some(target) = borrow::open_internal_fast(thread::current(), id, OVERWRITE)
    {
        // The host fills its own memory itself. It fills other memory that it can access only if the caller gave no
        // stream.
        if target.device().r#type == TN_CPU
            || matches!(stream, Ok(StreamArg::Now)) && ledger::is_reachable(target.device())
        {
            let item = target.layout().item() as usize;
            let outcome = target.host_view().map(|view| blit::fill(&view, &value(item)[..item]));
            target.end(false);
            return outcome;
        }
        borrow::abandon(target);
    }
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let wanted = write_use(mode)?;
    let (device, is_empty) = location_of(id)?;
    let route = if is_empty { Route::HOST } else { Route::of_fill(&stream, device)? };
    let target = acquire_one(BorrowContext::new(function), id, wanted, route.when(mode & TN_WAIT != 0))?;
    let item = target.layout().item() as usize;
    let outcome = route.fill(target.memory_view(), &value(item)[..item]);
    route.end(Some(target), None, outcome)
}

/// Creates an array with new bytes. A GPU writes the contents in the order of `stream`. If the host writes them,
/// `stream` is not called.
#[inline(always)]
pub fn create(
    pool: Option<&'static Pool>,
    layout: &mut Layout,
    contents: Contents<'_>,
    name: &Name,
    stream: impl FnOnce() -> Result<StreamArg>,
) -> Result<Id> {
    match pool.filter(|pool| pool.device().r#type == TN_CUDA) {
        None => array::create(pool, layout, contents, name),
        Some(pool) => create_on_gpu(pool, layout, contents, name, stream()),
    }
}

/// Creates an array in memory of a GPU, which writes the contents in the order of a stream.
fn create_on_gpu(
    pool: &'static Pool,
    layout: &mut Layout,
    contents: Contents<'_>,
    name: &Name,
    stream: Result<StreamArg>,
) -> Result<Id> {
    // NULL stands for the current stream here, and this call does not wait: later uses of the array are ordered after
    // the stream.
    let stream = match stream? {
        StreamArg::Now => StreamArg::Current,
        stream => stream,
    };
    if layout.is_empty() {
        return array::create(Some(pool), layout, Contents::Undefined, name);
    }
    let route = Route::of(&stream, &[pool.device()], false)?;
    let zeroed = matches!(contents, Contents::Zero);
    let mut new_store = NewStore::allocate_on(thread::current(), route.stream(), pool, layout, zeroed)?;
    new_store.claim().set_name(*name);
    let outcome = match contents {
        Contents::Full(value) => route.fill(new_store.memory_view(), value),
        Contents::Undefined | Contents::Zero => Ok(Outstanding::Nothing),
    };
    route.publish(new_store, None, outcome)
}
