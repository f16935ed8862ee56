//! Opens tensors as arrays. They share one mapping, or are read into a pool.

use super::file::File;
use super::header::Tensor;
use crate::address_index;
use crate::array::{self, HOST};
use crate::borrow::would_copy;
use crate::error::{Result, fail};
use crate::exchange::host;
use crate::layout::{Layout, Order};
use crate::ledger::{
    self, Found, NewStore, Origin, Release, SpareClaim, SpareLease, SpareLedger, StoreParams, StoreSource,
};
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::sys::file::Mapping;
use crate::thread::{self, Thread};
use crate::types::*;
use core::ffi::CStr;

/// New arrays. The drop releases them, unless the caller has them.
struct NewArrays {
    ids: Vec<(Id, tn_how)>,
    /// Whether the caller has them.
    given: bool,
}

impl Drop for NewArrays {
    fn drop(&mut self) {
        for (id, _) in self.ids.drain(..).filter(|_| !self.given) {
            // Cannot fail: no other code knows the new array.
            let _released = array::release_now(id);
        }
    }
}

/// A mapping that no store has yet. Its drop unmaps it.
struct OwnMapping(Mapping);

impl Drop for OwnMapping {
    fn drop(&mut self) {
        // SAFETY: made by `File::map`, not passed on, and not used by any array.
        unsafe { self.0.unmap() };
    }
}

/// Opens tensors by their names: all or none. `give` gets the index of each name, its array, and TN_ALIASED or TN_COPIED.
pub fn open<'a>(
    function: &'static CStr,
    path: &CStr,
    pool: Option<&'static Pool>,
    names: impl ExactSizeIterator<Item = &'a CStr>,
    flags: u32,
    mut give: impl FnMut(usize, Id, tn_how),
) -> Result<()> {
    host::check_flags(flags, TN_BORROW | TN_REQUIRE_BORROW)?;
    let thread = thread::current();
    let file = File::open(path)?;
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current(HOST)?,
    };
    let mut made = NewArrays { ids: list(names.len())?, given: false };
    let mut wanted = list(names.len())?;
    for name in names {
        // The capacity is reserved above.
        wanted.push(*file.tensor(name)?);
    }
    let aliases = |tensor: &Tensor| {
        flags != 0
            && tensor.begin < tensor.end
            // The mapping begins at a page, so the offset in the file decides.
            && file.offset_of(tensor).is_multiple_of(tensor.dtype.align() as u64)
    };
    let mut mapped = Vec::new();
    for tensor in &wanted {
        if aliases(tensor) {
            continue;
        }
        if tensor.begin < tensor.end && flags & TN_REQUIRE_BORROW != 0 {
            return Err(file.misaligned(tensor));
        }
        if flags != 0 && tensor.begin < tensor.end && thread.forbids() > 0 {
            return Err(would_copy(TN_WHY_LAYOUT));
        }
    }
    let shared = wanted.iter().filter(|tensor| aliases(tensor)).count();
    if shared > 0 {
        mapped = map(thread, &file, wanted.iter().filter(|tensor| aliases(tensor)), shared)?;
    }
    // The mapped tensors have handles now. A failure from here on releases them.
    let mut mapped = NewArrays { ids: mapped, given: false };
    mapped.ids.reverse();
    for tensor in &wanted {
        let next = if aliases(tensor) {
            mapped.ids.pop().expect("one for each that aliases")
        } else {
            read(thread, &file, pool, tensor, flags)?
        };
        made.ids.push(next);
    }
    for tensor in wanted.iter().filter(|tensor| !aliases(tensor) && tensor.begin < tensor.end) {
        let why = if flags == 0 { 0 } else { TN_WHY_LAYOUT };
        host::record_copy(function, why, flags != 0, tensor.end - tensor.begin);
    }
    made.given = true;
    for (index, (id, how)) in made.ids.iter().enumerate() {
        give(index, *id, *how);
    }
    Ok(())
}

fn list<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {count} tensors")))?;
    Ok(list)
}

/// The layout of a tensor whose first byte is at `address`.
fn layout(file: &File, tensor: &Tensor, address: i64) -> Result<Layout> {
    Layout::contiguous(tensor.dtype, file.header().shape(tensor), Order::C, address)
}

/// Reads a tensor into memory of its own. An empty tensor counts as aliased, and is read-only, if the caller asked for aliases.
fn read(
    thread: &'static Thread,
    file: &File,
    pool: &'static Pool,
    tensor: &Tensor,
    flags: u32,
) -> Result<(Id, tn_how)> {
    let mut new_store = NewStore::allocate(thread, pool, &mut layout(file, tensor, 0)?, false)?;
    let empty = tensor.begin == tensor.end;
    if !empty {
        let to = new_store.host_view()?.layout().offset() as *mut u8;
        // SAFETY: new memory for a dense layout of the tensor's size.
        unsafe { file.read(tensor, to)? };
    }
    let aliased = empty && flags != 0;
    new_store.claim().set_readonly(aliased);
    Ok((new_store.finish(), if aliased { TN_ALIASED } else { TN_COPIED }))
}

/// Makes arrays of at least one tensor on a new mapping, which becomes one store.
fn map<'a>(
    thread: &'static Thread,
    file: &File,
    tensors: impl Iterator<Item = &'a Tensor>,
    count: usize,
) -> Result<Vec<(Id, tn_how)>> {
    let mut ids = list(count)?;
    let mut claims = list::<SpareClaim>(count)?;
    let mapped = OwnMapping(file.map()?);
    let base = mapped.0.address as i64;
    let made = Origin::by(thread);
    for tensor in tensors {
        let mut claim = SpareClaim::take(thread)?;
        *claim.layout() = layout(file, tensor, base + file.offset_of(tensor) as i64)?;
        claim.set_origin(made);
        claims.push(claim);
    }
    let store = SpareLedger::take(thread)?;
    let (from, to) = file.data();
    let (start, end) = (base + from as i64, base + to as i64);
    let mut index = address_index::lock()?;
    // The addresses are new. Stores that are still in the index at these addresses have ended, and the lookup removes them.
    if !matches!(ledger::find_by_address(&mut index, start, end), Found::Nothing) {
        return Err(fail(TN_ERR_ALIASED, format_args!("the file was mapped over memory that is in use at {start:#x}")));
    }
    let lease = SpareLease::take(thread, Release::Unmap(mapped.0), false, false, (start, end))?;
    core::mem::forget(mapped);
    let params = StoreParams {
        device: HOST,
        start,
        bytes: end - start,
        readonly: true,
        mapped: true,
        from: StoreSource::Taken(lease),
    };
    let mut claims = claims.into_iter();
    let first = claims.next().expect("at least one tensor");
    let (mut locked, ledger, id) = ledger::create(store, params, first);
    // The capacity is reserved above.
    ids.push((id, TN_ALIASED));
    for claim in claims {
        ids.push((locked.add_claim(ledger, claim, None), TN_ALIASED));
    }
    index.insert(start, end, ledger.tag());
    drop(locked);
    Ok(ids)
}
