//! Opens `.npy` files as arrays, and saves arrays as `.npy` files.

use super::npy::{self, Origin};
use crate::array::HOST;
use crate::borrow::{BorrowContext, Use};
use crate::error::Result;
use crate::exchange::host;
use crate::exchange::mapping::{self, Mapped};
use crate::flags;
use crate::ledger::{self, NewStore, Release, UseTime};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::thread;
use crate::transfer;
use crate::types::*;
use core::ffi::{CStr, c_int};

/// Opens a `.npy` file in one of the modes TN_NPY_. Returns the array, and the offset in the file of the byte behind
/// it.
pub fn open(
    function: &'static CStr,
    origin: Origin<'_>,
    mode: u32,
    pool: Option<&'static Pool>,
    max_header_bytes: u64,
) -> Result<(Id, u64)> {
    let thread = thread::current();
    let opened = npy::open(origin, mode, max_header_bytes)?;
    let (header, file_end) = (opened.header(), opened.end());
    let Some(data) = opened.data() else {
        let pool = match pool {
            Some(pool) => pool,
            None => pool::current(HOST)?,
        };
        let mut new_store = NewStore::allocate(thread, pool, &mut header.layout(0)?, false)?;
        let to = new_store.host_view()?.layout().offset() as *mut u8;
        // SAFETY: new memory for a dense layout of the header's shape. An empty array writes nothing.
        unsafe { opened.read_into(to)? };
        if mode == TN_NPY_READ {
            new_store.claim().set_readonly(true);
        }
        if mode == TN_NPY_COPY {
            host::record_copy(function, 0, false, header.data_bytes);
        }
        return Ok((new_store.finish(), file_end));
    };
    let (layout, bytes) = (header.layout(0)?, header.data_bytes as i64);
    let id = mapping::array(Mapped {
        release: Release::Unmap(opened.into_mapping().expect("mapped data have a mapping")),
        range: (data as i64, bytes),
        layout,
        readonly: mode == TN_NPY_READ,
        // Writes to the mapping would fail or change the file.
        shared: mode != TN_NPY_COW,
        name: Name::NONE,
    })?;
    Ok((id, file_end))
}

/// The file that an array is saved to.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// The file at this path, which is replaced.
    Path(&'a CStr),
    /// The caller's descriptor, written at its position.
    Descriptor(c_int),
}

/// Saves an array as a `.npy` file.
pub fn save(function: &'static CStr, id: Id, target: Target<'_>, flags: u32) -> Result<()> {
    ledger::find::<ledger::Claim>(id)?;
    let known = if matches!(target, Target::Path(_)) { TN_IO_SYNC | TN_IO_EXCLUSIVE } else { TN_IO_SYNC };
    flags::check("flags", flags, known, &flags::SAVE)?;
    let check_shapes = |locked: &ledger::Locked, claims: &[&'static ledger::Claim]| -> crate::array::Checked<()> {
        Ok(npy::Head::new(locked.get(claims[0]).layout.dtype(), crate::layout::Order::C, &[]).map(drop)?)
    };
    let call = BorrowContext { check_shapes: Some(&check_shapes), ..BorrowContext::by_host(function) };
    let source = transfer::acquire_one(call, id, Use::Read { frozen: false }, UseTime::HOST)?;
    let outcome = source.host_view().and_then(|view| match target {
        Target::Path(path) => npy::save_view(path, &view, flags),
        Target::Descriptor(fd) => npy::append_view(fd, &view, flags),
    });
    source.end(false);
    outcome
}
