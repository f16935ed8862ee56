//! Arrays on mapped files. The store unmaps its file when its last claim, guard and export have ended.

use crate::address_index;
use crate::array::HOST;
use crate::error::{Result, fail};
use crate::layout::Layout;
use crate::ledger::{self, Found, Lease, Ledger, Release, SpareClaim, StoreParams, StoreSource};
use crate::names::Name;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// What becomes an array.
pub struct Mapped {
    /// How a mapping that nobody uses is released.
    pub release: Release,
    /// The first address of the store, and its bytes.
    pub range: (i64, i64),
    /// The elements. The offset counts from the first address of the store.
    pub layout: Layout,
    /// Whether writes would fail.
    pub readonly: bool,
    /// Whether writes change what others see, so that the store is FOREIGN.
    pub shared: bool,
    pub name: Name,
}

/// Makes the array. A failure releases the mapping: TN_ERR_RANGE, TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
pub fn array(mapped: Mapped) -> Result<Id> {
    let release = mapped.release;
    make(mapped).inspect_err(|_| {
        // SAFETY: the mapping is the caller's alone, and no array uses it.
        unsafe { release.run(false) }
    })
}

fn make(mapped: Mapped) -> Result<Id> {
    let thread = thread::current();
    let Mapped { release, range: (start, bytes), mut layout, readonly, shared, name } = mapped;
    let end = start + bytes;
    layout.rebase(start as u64)?;
    let mut claim = SpareClaim::take(thread)?;
    // Also where the store becomes writable later.
    claim.set_readonly(readonly || layout.self_overlaps());
    *claim.layout() = layout;
    claim.set_name(name);
    claim.set_origin(ledger::Origin::by(thread));
    let store = Ledger::spare(thread)?;
    let mut index = address_index::lock()?;
    // The addresses are new. Stores that are still in the index at these addresses have ended, and the lookup removes
    // them.
    if !matches!(ledger::find_by_address(&mut index, start, end), Found::Nothing) {
        return Err(fail(TN_ERR_ALIASED, format_args!("the file was mapped over memory that is in use at {start:#x}")));
    }
    let lease = Lease::spare(thread, release, false, false, (start, end))?;
    let params = StoreParams { device: HOST, start, bytes, readonly, mapped: shared, from: StoreSource::Taken(lease) };
    let (locked, ledger, id) = ledger::create(store, params, claim);
    index.insert(start, end, ledger.tag());
    drop(locked);
    Ok(id)
}
