//! Opens tensors as arrays. Aliased tensors share one mapping of the file; all others are read into memory of a pool.

use super::file::File;
use super::header::Tensor;
use crate::address_index;
use crate::array::{self, HOST};
use crate::borrow::would_copy;
use crate::error::{Result, fail};
use crate::exchange::host;
use crate::exchange::npy::Origin as FileOrigin;
use crate::layout::{Layout, Order};
use crate::ledger::{self, Found, Lease, Ledger, NewStore, Origin, Release, SpareClaim, StoreParams, StoreSource};
use crate::lists;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::sys::file::Mapping;
use crate::thread::{self, Thread};
use crate::types::*;
use core::ffi::CStr;

/// Arrays that the caller does not have yet, each with the index of its name. The drop releases them.
struct NewArrays(Vec<(usize, Id, tn_how)>);

impl NewArrays {
    /// Passes all arrays to the caller, which releases them from now on.
    fn pass_on(mut self, mut write: impl FnMut(usize, Id, tn_how)) {
        for (index, id, how) in self.0.drain(..) {
            write(index, id, how);
        }
    }
}

impl Drop for NewArrays {
    fn drop(&mut self) {
        for (_, id, _) in self.0.drain(..) {
            // Cannot fail: no other code knows the new array.
            let _released = array::release_now(id);
        }
    }
}

/// A mapping that no store has yet. The drop unmaps it.
struct UnmapOnDrop(Mapping);

impl Drop for UnmapOnDrop {
    fn drop(&mut self) {
        // SAFETY: `File::map` made the mapping. No lease has it yet, so no array uses it.
        unsafe { self.0.unmap() };
    }
}

/// Opens tensors by their names: all or none. `write` gets the index of each name, its array, and TN_ALIASED or
/// TN_COPIED.
pub fn open<'a>(
    function: &'static CStr,
    origin: FileOrigin<'_>,
    pool: Option<&'static Pool>,
    names: impl ExactSizeIterator<Item = &'a CStr>,
    flags: u32,
    write: impl FnMut(usize, Id, tn_how),
) -> Result<()> {
    host::check_flags(flags, TN_BORROW | TN_REQUIRE_BORROW)?;
    let wants_alias = flags != 0;
    let thread = thread::current();
    let file = File::open(origin)?;
    let pool = match pool {
        Some(pool) => pool,
        None => pool::current(HOST)?,
    };
    let mut arrays = NewArrays(lists::vector(names.len(), "tensors")?);
    let mut tensors = lists::vector(names.len(), "tensors")?;
    for name in names {
        let tensor = *file.tensor(name)?;
        file.dtype(&tensor)?;
        // The capacity is reserved above.
        tensors.push(tensor);
    }
    // The mapping begins at a page boundary, so the offset in the file decides the alignment in memory.
    let alignment = |tensor: &Tensor| tensor.dtype.map_or(1, |dtype| dtype.align() as u64);
    let is_aligned = |tensor: &Tensor| file.offset_of(tensor).is_multiple_of(alignment(tensor));
    let is_aliased = |tensor: &Tensor| wants_alias && !tensor.is_empty() && is_aligned(tensor);
    let is_copied = |tensor: &Tensor| !tensor.is_empty() && !is_aliased(tensor);
    if wants_alias && let Some(misaligned) = tensors.iter().find(|tensor| is_copied(tensor)) {
        if flags & TN_REQUIRE_BORROW != 0 {
            return Err(file.misaligned(misaligned));
        }
        if thread.forbids() > 0 {
            return Err(would_copy(TN_WHY_LAYOUT));
        }
    }
    let aliased = tensors.iter().enumerate().filter(|(_, tensor)| is_aliased(tensor));
    let aliased_count = aliased.clone().count();
    if aliased_count > 0 {
        map(thread, &file, aliased, aliased_count, &mut arrays)?;
    }
    for (index, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| !is_aliased(tensor)) {
        let (id, how) = read(thread, &file, pool, tensor, wants_alias)?;
        arrays.0.push((index, id, how));
    }
    for tensor in tensors.iter().filter(|tensor| is_copied(tensor)) {
        let why = if wants_alias { TN_WHY_LAYOUT } else { 0 };
        host::record_copy(function, why, wants_alias, tensor.bytes());
    }
    arrays.pass_on(write);
    Ok(())
}

/// The layout of a tensor whose first byte is at `address`.
fn layout(file: &File, tensor: &Tensor, address: i64) -> Result<Layout> {
    Layout::contiguous(file.dtype(tensor)?, file.header().shape(tensor), Order::C, address)
}

/// Reads a tensor into a new array of a pool. If the caller wants aliases, an empty tensor is read-only and counts as
/// aliased, because none of its bytes are copied.
fn read(
    thread: &'static Thread,
    file: &File,
    pool: &'static Pool,
    tensor: &Tensor,
    wants_alias: bool,
) -> Result<(Id, tn_how)> {
    let mut new_store = NewStore::allocate(thread, pool, &mut layout(file, tensor, 0)?, false)?;
    if !tensor.is_empty() {
        // The offset of a store's layout is an absolute address.
        let to = new_store.host_view()?.layout().offset() as *mut u8;
        // SAFETY: new memory for a dense layout of the tensor's size.
        unsafe { file.read(tensor, to)? };
    }
    let aliased = wants_alias && tensor.is_empty();
    new_store.claim().set_readonly(aliased);
    Ok((new_store.finish(), if aliased { TN_ALIASED } else { TN_COPIED }))
}

/// Maps the file and makes an array for each of `count` tensors, at least one. The arrays share one store, whose memory
/// is the mapping.
fn map<'a>(
    thread: &'static Thread,
    file: &File,
    tensors: impl Iterator<Item = (usize, &'a Tensor)>,
    count: usize,
    arrays: &mut NewArrays,
) -> Result<()> {
    let mut claims = lists::vector::<(usize, SpareClaim)>(count, "tensors")?;
    let mapping = UnmapOnDrop(file.map()?);
    let base = mapping.0.address as i64;
    let origin = Origin::by(thread);
    for (index, tensor) in tensors {
        let mut claim = SpareClaim::take(thread)?;
        *claim.layout() = layout(file, tensor, base + file.offset_of(tensor) as i64)?;
        claim.set_origin(origin);
        claims.push((index, claim));
    }
    let spare_ledger = Ledger::spare(thread)?;
    let (data_begin, data_end) = file.data();
    let (start, end) = (base + data_begin as i64, base + data_end as i64);
    let mut addresses = address_index::lock()?;
    // The kernel chose unmapped addresses. So a store that is still alive there has lost its memory.
    if !matches!(ledger::find_by_address(&mut addresses, start, end), Found::Nothing) {
        return Err(fail(TN_ERR_ALIASED, format_args!("the file was mapped over memory that is in use at {start:#x}")));
    }
    let (queued, may_overwrite) = (false, false);
    let lease = Lease::spare(thread, Release::Unmap(mapping.0), queued, may_overwrite, (start, end))?;
    // From here on nothing fails, and the end of the lease unmaps the file.
    core::mem::forget(mapping);
    let params = StoreParams {
        device: HOST,
        start,
        bytes: end - start,
        readonly: true,
        mapped: true,
        from: StoreSource::Taken(lease),
    };
    let mut claims = claims.into_iter();
    let (first_index, first_claim) = claims.next().expect("at least one tensor");
    let (mut locked, ledger, id) = ledger::create(spare_ledger, params, first_claim);
    // `open` reserved the capacity.
    arrays.0.push((first_index, id, TN_ALIASED));
    for (index, claim) in claims {
        arrays.0.push((index, locked.add_claim(ledger, claim, None), TN_ALIASED));
    }
    addresses.insert(start, end, ledger.tag());
    drop(locked);
    Ok(())
}
