//! The C functions for mirrors.

use super::{Id, Result, blank, filled, made};
use crate::sys::*;
use core::ffi::CStr;
use core::ptr::{null, null_mut};

/// What a mirror is made from.
pub struct Options<'a> {
    pub object: Id,
    pub flags: u32,
    pub dtype: tn_dtype,
    /// None: the object's.
    pub shape: Option<&'a [i64]>,
    pub order: tn_order,
    pub device: Option<tn_device>,
    /// 0: the object's.
    pub side: tn_side,
    pub host_pool: Id,
    pub device_pool: Id,
    pub name: Option<&'a CStr>,
}

/// Creates a mirror.
pub fn create(options: &Options<'_>) -> Result<(Id, tn_crossing)> {
    let mut how = blank();
    let raw = tn_mirror_options {
        size: size_of::<tn_mirror_options>(),
        object: options.object.raw(),
        borrow_flags: options.flags,
        dtype: options.dtype,
        ndim: options.shape.map_or(0, |shape| shape.len() as i32),
        order: options.order,
        shape: options.shape.map_or(null(), <[i64]>::as_ptr),
        device: options.device.unwrap_or(tn_device { r#type: 0, id: 0 }),
        r#where: options.side,
        reserved: 0,
        host_pool: options.host_pool.raw(),
        device_pool: options.device_pool.raw(),
        name: options.name.map_or(null(), CStr::as_ptr),
    };
    // SAFETY: checked ids; the options are valid during the call; the outputs are writable.
    let mirror = made(|out| unsafe { tn_mirror_create(&raw, out, &mut how) })?;
    Ok((mirror, how))
}

/// Makes a side valid, and borrows it.
pub fn acquire(mirror: Id, side: tn_side, access: tn_access, stream: Id) -> Result<(Id, tn_view_info)> {
    let mut view = blank();
    // SAFETY: checked ids; `view` and `out` are writable.
    let guard =
        made(|out| unsafe { tn_mirror_acquire(mirror.raw(), side, access, stream.raw(), null_mut(), &mut view, out) })?;
    Ok((guard, view))
}

calls! {
    /// An array on a side, which is made valid.
    fn get(mirror: Id, side: tn_side) -> Id = tn_mirror_get;
    /// Makes a side the only valid one.
    fn mark_changed(mirror: Id, side: tn_side) = tn_mirror_mark_changed;
    /// Releases a mirror.
    fn release(mirror: Id) = tn_mirror_release;
}

/// State and transfers of a mirror.
pub fn query(mirror: Id) -> Result<tn_mirror_info> {
    // SAFETY: a checked id; `info` is writable, and says its size.
    filled(sized!(tn_mirror_info), |info| unsafe { tn_mirror_query(mirror.raw(), info) })
}
