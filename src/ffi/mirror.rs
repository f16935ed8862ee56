//! Section "mirror": one array on the host and on a GPU, whose bytes move only when the other side is asked for.

use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::ffi::borrow::Outputs;
use crate::ffi::convert::{self, Fill, Out};
use crate::layout::Order;
use crate::ledger::{self, Claim};
use crate::mirror::{self, Access, Side};
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_void;

/// Creates a mirror: one array with a side on the host and a side on a GPU, of which one or both are valid.
///
/// A side gets memory when it is first needed. It is made valid by one transfer, when somebody acquires or gets it. A
/// writing borrow makes its side the only valid one. No other call moves bytes, except for a side that somebody holds:
/// see `tn_mirror_get`.
///
/// By default the mirror copies `object`. With TN_BORROW the object becomes the side on which its bytes are. Other
/// handles on it then hold that side, and see its bytes change. An object that may not be written is copied when it
/// would be.
///
/// A machine without a GPU can use the host side of every mirror.
///
/// @param options  The options, copied. Either `object` or `shape`, or both if they agree.
/// @param[out] out The mirror. Released by `tn_mirror_release`. On failure: untouched.
/// @param[out] crossing Whether the object was aliased or copied, and why; without an object 0. May be NULL. On
///                      failure: untouched.
/// @return TN_OK; TN_ERR_NULL for options without object and shape; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID;
///         TN_ERR_DTYPE, TN_ERR_SHAPE, also for an object that disagrees with them; TN_ERR_OVERFLOW; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_DEVICE for a device that is no GPU, or a pool of another device; TN_ERR_UNSUPPORTED for
///         a device side without a driver; the statuses of a read of the object; TN_ERR_WOULD_COPY with
///         TN_REQUIRE_BORROW for an object on another GPU, with elements that overlap, or with exports, and for the
///         same objects on a thread that forbids copies; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: to wait for a copy into memory that the host can access. Allocates: bookkeeping and the
///       side `where`.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_mirror_create(
    options: *const tn_mirror_options,
    out: *mut *mut tn_mirror,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_mirror_create", || {
        if options.is_null() {
            return Err(convert::null("options"));
        }
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of its size, by this function's documentation.
        let options = unsafe { options_of(options)? };
        let (made, became) = mirror::create(c"tn_mirror_create", options)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(convert::handle(made));
            convert::write_opt(crossing, became);
        }
        Ok(())
    })
}

/// # Safety
/// - `from` points to a struct of as many bytes as its `size` says, and its `shape` to ndim lengths that stay valid
///   during the call.
unsafe fn options_of<'a>(from: *const tn_mirror_options) -> Result<mirror::Options<'a>> {
    // SAFETY: the caller's obligation.
    let raw =
        unsafe { convert::sized(from)? }.unwrap_or_else(<tn_mirror_options as convert::VersionedStruct>::defaults);
    let object = (!raw.object.is_null()).then_some(Id::from_bits(raw.object as u64));
    let has_shape = !raw.shape.is_null() || object.is_none() && raw.ndim == 0 && raw.dtype != 0;
    if object.is_none() && !has_shape {
        return Err(fail(TN_ERR_NULL, format_args!("object and shape are NULL; pass one of them")));
    }
    if let Some(object) = object {
        ledger::find::<Claim>(object)?;
    }
    let pools = [convert::pool(raw.host_pool)?, convert::pool(raw.device_pool)?];
    let side = if raw.r#where == 0 { None } else { Some(Side::of(raw.r#where)?) };
    let order = Order::of(raw.order)?;
    if raw.reserved != 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("tn_mirror_options.reserved is {}; set it to 0", raw.reserved)));
    }
    // SAFETY: the caller's obligation.
    let name = unsafe { convert::name(raw.name)? };
    let dtype = if raw.dtype == 0 && object.is_some() { None } else { Some(Dtype::of(raw.dtype)?) };
    // SAFETY: the caller's obligation.
    let shape = if has_shape { Some(unsafe { convert::shape(raw.ndim, raw.shape, "shape")? }?) } else { None };
    let device = (raw.device != tn_device { r#type: 0, id: 0 }).then_some(raw.device);
    Ok(mirror::Options { object, flags: raw.borrow_flags, dtype, shape, order, device, side, pools, name })
}

/// Makes a side valid and borrows it.
///
/// A borrow for reading goes beside others, on both sides. A borrow for writing excludes all others on both sides. Its
/// end, by `tn_borrow_end`, makes its side the only valid one; if somebody holds the other side, that is refreshed
/// first. With TN_END_FAILED the contents are those of the other side if that was valid before the write, else
/// undefined.
///
/// @param mirror       A mirror.
/// @param side         TN_SIDE_HOST or TN_SIDE_DEVICE.
/// @param access       TN_READ; TN_READ_WRITE; TN_WRITE: the caller writes every element, so no transfer is needed.
/// @param stream       The stream of the GPU that orders the transfer, and on the device side the use. NULL: the call
///                     waits for its transfer.
/// @param[out] data    The address of element (0,..,0), valid until the guard ends; NULL if there is no element. The
///                     output may be NULL.
/// @param[out] view    As for `tn_array_borrow_read`; may be NULL.
/// @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. It keeps the bytes if the mirror is
///                     released. On failure: all outputs are untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DEVICE for a stream of another GPU;
///         TN_ERR_UNSUPPORTED for the device side without a driver; TN_ERR_POISONED, except with TN_WRITE;
///         TN_ERR_BORROWED_WRITE while somebody writes either side; TN_ERR_BORROWED for a write while a guard is open
///         on either side; TN_ERR_EXPORTED for an exclusive export of either side; TN_ERR_ALIASED if both sides were
///         written through other handles; TN_ERR_DRIVER; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT; TN_ERR_WOULD_COPY on a thread that forbids copies, for the first write of a
///         read-only object. After a failure no side is lost.
/// @note Threads: any. Blocks: on the host side until its bytes are there, and while another thread's call works on the
///       mirror; never for a holder. Allocates: bookkeeping; the side, when it is first needed.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_mirror_acquire(
    mirror: *mut tn_mirror,
    side: tn_side,
    access: tn_access,
    stream: *mut tn_stream,
    data: *mut *mut c_void,
    view: *mut tn_view_info,
    out: *mut *mut tn_borrow,
) -> tn_status {
    enter("tn_mirror_acquire", || {
        let id = convert::id(mirror, "mirror")?;
        let out = Out::new(out, "out")?;
        let outputs = Outputs { data, view };
        let (side, access) = (Side::of(side), Access::of(access));
        let guard = mirror::acquire(c"tn_mirror_acquire", id, side, access, convert::stream(stream), &outputs)?;
        // SAFETY: writable by this function's documentation.
        unsafe { outputs.finish(out, guard) };
        Ok(())
    })
}

/// Makes a side valid, and returns an array handle on it.
///
/// The side is held from now on, until the handle and all clones, views, guards and exports that descend from it have
/// ended. A side that is held is refreshed whenever the other one changes, in place: pointers to it see the new bytes.
/// A write through the handle makes the side the valid one at the next call on the mirror.
///
/// @param mirror   A mirror.
/// @param side     TN_SIDE_HOST or TN_SIDE_DEVICE. The transfer to the device runs on the thread's current stream.
/// @param[out] out The array. Released by `tn_array_release`; it outlives the mirror as an ordinary array. On failure:
///                 untouched.
/// @return The statuses of `tn_mirror_acquire` with TN_READ.
/// @note Threads: any. Blocks: as `tn_mirror_acquire`. Allocates: as `tn_mirror_acquire`.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_mirror_get(mirror: *mut tn_mirror, side: tn_side, out: *mut *mut tn_array) -> tn_status {
    enter("tn_mirror_get", || {
        let id = convert::id(mirror, "mirror")?;
        let out = Out::new(out, "out")?;
        let array = mirror::get(c"tn_mirror_get", id, Side::of(side))?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(array)) };
        Ok(())
    })
}

/// Makes a side the only valid one, after bytes of it were changed in a way that the library does not see: through a
/// shared view, or through a raw pointer. If somebody holds the other side, it is refreshed.
///
/// It also decides between two sides that were both written, and accepts the bytes that a failed write left.
///
/// @param mirror   A mirror.
/// @param side     TN_SIDE_HOST or TN_SIDE_DEVICE, which has memory.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for a side that was never allocated;
///         TN_ERR_UNSUPPORTED for the device side without a driver; TN_ERR_BORROWED_WRITE; TN_ERR_EXPORTED for an
///         exclusive export of either side; TN_ERR_BORROWED for a guard on a side that would be refreshed;
///         TN_ERR_DRIVER.
/// @note Threads: any. Blocks: as `tn_mirror_acquire`. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub extern "C" fn tn_mirror_mark_changed(mirror: *mut tn_mirror, side: tn_side) -> tn_status {
    enter("tn_mirror_mark_changed", || {
        let id = convert::id(mirror, "mirror")?;
        mirror::mark_changed(c"tn_mirror_mark_changed", id, Side::of(side))
    })
}

/// Queries state and transfers of a mirror. It moves nothing.
///
/// @param mirror   A mirror.
/// @param[out] info The properties; `size` set by the caller. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DEVICE in the child
///         of a fork.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_mirror_query(mirror: *mut tn_mirror, info: *mut tn_mirror_info) -> tn_status {
    enter("tn_mirror_query", || {
        let id = convert::id(mirror, "mirror")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let info = unsafe { convert::fill(info, "info")? };
        mirror::check_handle(id)?;
        write_info(id, &info?)
    })
}

fn write_info(id: Id, info: &Fill<tn_mirror_info>) -> Result<()> {
    mirror::query(id, |found| {
        let [to_host, to_device] = found.transfers;
        let mut value = <tn_mirror_info as convert::VersionedStruct>::defaults();
        value.valid = found.valid;
        value.allocated = found.allocated;
        value.held = found.held;
        value.is_poisoned = u32::from(found.is_poisoned);
        value.transfers_to_device = to_device.count;
        value.transfers_to_host = to_host.count;
        value.bytes_to_device = to_device.bytes;
        value.bytes_to_host = to_host.bytes;
        value.device = found.fixed.device;
        value.dtype = found.layout.dtype().raw();
        value.ndim = found.layout.ndim() as i32;
        value.bytes = if found.layout.is_empty() { 0 } else { found.layout.bytes() as u64 };
        value.name = found.fixed.name.to_c();
        // SAFETY: checked by `fill`, and writable by the documentation of `tn_mirror_query`.
        unsafe {
            info.write(&value, core::mem::offset_of!(tn_mirror_info, shape));
            info.write_numbers(core::mem::offset_of!(tn_mirror_info, shape), found.layout.shape());
        }
    })
}

/// Releases a mirror. Handles on its sides live on as ordinary arrays, with the last contents that they saw. Open
/// borrows keep their bytes.
///
/// @param mirror   A mirror. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup mirror
#[unsafe(no_mangle)]
pub extern "C" fn tn_mirror_release(mirror: *mut tn_mirror) -> tn_status {
    enter("tn_mirror_release", || mirror::release(convert::id(mirror, "mirror")?))
}
