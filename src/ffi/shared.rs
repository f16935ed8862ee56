//! Section "shared": shared variables, which keep one array value inside the library. Flags decide what is aliased and
//! what is copied.

use crate::boundary::enter;
use crate::error::Result;
use crate::ffi::convert::{self, Fill, Out};
use crate::slots::Id;
use crate::types::*;
use crate::variable;
use core::ffi::c_void;

/// Creates a shared variable from an array. By default the variable copies the value, and shares no byte with the
/// caller.
///
/// While the variable has a value, that is constant: through the caller's handles on the same bytes, a write is
/// TN_ERR_SHARED, except with TN_WRITE_COW, and a writable export is TN_ERR_SHARED. Only `tn_shared_set` and
/// `tn_shared_update` change it. A buffer belongs to one variable at most.
///
/// @param value    The value. With TN_TAKE_OWNERSHIP its handle is destructed on success, and is still released by the
///                 caller.
/// @param flags    No flag: a copy. TN_BORROW: an alias where possible. TN_REQUIRE_BORROW: an alias, else an error.
///                 TN_TAKE_OWNERSHIP: the claim of `value` moves to the variable; copied only where an alias is
///                 impossible. TN_STRICT: `value` is on the variable's device and C-contiguous, else an error.
/// @param options  The options, copied; NULL: the device and name of the value, and the current pool.
/// @param[out] out The variable. Released by `tn_shared_release`. On failure: untouched.
/// @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_LAYOUT with TN_STRICT; TN_ERR_DEVICE for a device that does not exist, a pool of another device, or
///         with TN_STRICT; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED for an exclusive export,
///         TN_ERR_PENDING; TN_ERR_BORROWED with TN_TAKE_OWNERSHIP for an open guard of the handle. With
///         TN_REQUIRE_BORROW: TN_ERR_READONLY, TN_ERR_BORROWED, TN_ERR_EXPORTED for a shared view, TN_ERR_ALIASED for
///         the buffer of another variable, else TN_ERR_WOULD_COPY. On a thread that forbids copies: TN_ERR_WOULD_COPY
///         for a copy in place of an alias. TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT,
///         TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping; for a copy its bytes, from the variable's pool.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_create(
    value: *mut tn_array,
    flags: tn_borrow_flags,
    options: *const tn_shared_options,
    out: *mut *mut tn_shared,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_shared_create", || {
        let id = convert::id(value, "value")?;
        let out = Out::new(out, "out")?;
        // SAFETY: NULL or a struct of its size, by this function's documentation.
        let options = unsafe { options_of(options) };
        let (variable, became) = variable::create(c"tn_shared_create", id, flags, options)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(convert::handle(variable));
            convert::write_opt(crossing, became);
        }
        Ok(())
    })
}

/// # Safety
/// - `from` is NULL or points to a struct of as many bytes as its `size` says.
unsafe fn options_of(from: *const tn_shared_options) -> Result<variable::Options> {
    // SAFETY: the caller's obligation.
    let given = unsafe { convert::sized(from)? };
    let raw = given.unwrap_or_else(<tn_shared_options as convert::VersionedStruct>::defaults);
    let pool = convert::pool(raw.pool)?;
    // SAFETY: the caller's obligation.
    let name = unsafe { convert::name(raw.name)? };
    let device = (raw.device != tn_device { r#type: 0, id: 0 }).then_some(raw.device);
    Ok(variable::Options { device, pool, name })
}

/// Reads a shared variable. By default the array is a copy on the device that the value had when the variable was
/// created.
///
/// The bytes of the array never change, whatever is set later: a set that finds it takes another buffer.
///
/// @param shared   A shared variable.
/// @param flags    No flag: a C-contiguous copy. TN_BORROW: an alias if the variable is on that device, or in memory
///                 that the host can access, else a copy. TN_REQUIRE_BORROW: an alias, else an error. TN_RAW: on the
///                 variable's own device, without a transfer. With TN_BORROW as well: an alias, in constant time.
/// @param[out] out The array. Released by `tn_array_release`; it outlives the variable. On failure: untouched.
/// @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_POISONED after an update in place that
///         failed; TN_ERR_BORROWED_WRITE while a call changes the value in place; TN_ERR_WOULD_COPY; TN_ERR_DEVICE in
///         the child of a fork; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: to wait for a copy into ordinary host memory. Allocates: bookkeeping; for a copy its
///       bytes, from the calling thread's current pool.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_get(
    shared: *mut tn_shared,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_shared_get", || {
        let id = convert::id(shared, "shared")?;
        let out = Out::new(out, "out")?;
        let (array, became) = variable::get(c"tn_shared_get", id, flags)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(convert::handle(array));
            convert::write_opt(crossing, became);
        }
        Ok(())
    })
}

/// Replaces the value of a shared variable. Element type and number of axes stay; the lengths may change.
///
/// A copy goes into the present buffer if nobody else holds it and its size is equal, and allocates nothing then.
///
/// @param shared   A shared variable.
/// @param value    The new value. With TN_TAKE_OWNERSHIP its handle is destructed on success.
/// @param flags    As for `tn_shared_create`.
/// @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
/// @return The statuses of `tn_shared_create`; TN_ERR_DTYPE, TN_ERR_SHAPE if element type or number of axes differ;
///         TN_ERR_BORROWED_WRITE while another call changes the variable. On failure the value and its version are
///         unchanged. If the driver fails during a transfer into the present buffer, the value is undefined: reading it
///         is TN_ERR_POISONED.
/// @note Threads: any. Blocks: never. Allocates: for a copy its bytes, from the variable's pool, unless the present
///       buffer is used.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_set(
    shared: *mut tn_shared,
    value: *mut tn_array,
    flags: tn_borrow_flags,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_shared_set", || {
        let (id, value) = (convert::id(shared, "shared")?, convert::id(value, "value")?);
        let became = variable::set(c"tn_shared_set", id, value, flags)?;
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_opt(crossing, became) };
        Ok(())
    })
}

/// Changes the value of a shared variable by a callback.
///
/// By default the callback works on a copy, which becomes the value if it returns TN_OK. With TN_MAY_OVERWRITE it works
/// on the value itself, if nobody else holds it and its memory is not lent. If the callback then fails, the value is
/// undefined, and reading it is TN_ERR_POISONED until a set succeeds.
///
/// @param shared   A shared variable.
/// @param flags    0 or TN_MAY_OVERWRITE.
/// @param callback Gets the context and an array that has the value, and may use it in every way until it returns, also
///                 through views and clones. The library releases the array; other handles that are left cannot write
///                 the value. TN_WRITE_COW on the array does not move it to a copy: if there is another holder, it is
///                 TN_ERR_SHARED. Another variable gets a copy of the value, or with the default flags shares the
///                 bytes, which the callback then cannot write any more. The callback leaves no write guard and no
///                 writable export open. It returns TN_OK or a failure, and runs under no lock.
/// @param context  Passed to the callback.
/// @param[out] crossing TN_ALIASED if the callback worked on the value itself; else TN_COPIED and why; may be NULL. On
///                      failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_BORROWED_WRITE while another call
///         changes the variable, also from the callback; TN_ERR_POISONED; what the callback returned, TN_ERR_FAILED if
///         that is no status code; TN_ERR_FAILED if the callback left the value open for writing; TN_ERR_WOULD_COPY on
///         a thread that forbids copies, with TN_MAY_OVERWRITE; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: as long as the callback runs. Allocates: for a copy its bytes, from the variable's pool.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_update(
    shared: *mut tn_shared,
    flags: tn_borrow_flags,
    callback: tn_update_callback,
    context: *mut c_void,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_shared_update", || {
        let id = convert::id(shared, "shared")?;
        let callback = callback.ok_or_else(|| convert::null("callback"))?;
        // SAFETY: a callback that may be called with its context, by this function's documentation.
        let mut call = |value: Id| unsafe { callback(context, convert::handle(value)) };
        let became = variable::update(c"tn_shared_update", id, flags, &mut call)?;
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_opt(crossing, became) };
        Ok(())
    })
}

/// Begins to change the value of a shared variable. `tn_shared_update` does the work between begin and end in a
/// callback.
///
/// @param shared   A shared variable. Until `tn_shared_update_end`, other changes of it are TN_ERR_BORROWED_WRITE. The
///                 release of its last handle ends the update as failed.
/// @param flags    As for `tn_shared_update`.
/// @param[out] value An array that has the value: a copy, or the value itself. It may be used in every way until the
///                 end. Released by `tn_array_release` or `tn_shared_update_end`, whichever comes first. On failure:
///                 untouched.
/// @param[out] crossing TN_ALIASED for the value itself; else TN_COPIED and why; may be NULL. On failure: untouched.
/// @return The statuses of `tn_shared_update`.
/// @note Threads: any. Blocks: never. Allocates: for a copy its bytes, from the variable's pool.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_update_begin(
    shared: *mut tn_shared,
    flags: tn_borrow_flags,
    value: *mut *mut tn_array,
    crossing: *mut tn_crossing,
) -> tn_status {
    enter("tn_shared_update_begin", || {
        let id = convert::id(shared, "shared")?;
        let out = Out::new(value, "value")?;
        let (array, became) = variable::begin_update(c"tn_shared_update_begin", id, flags)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(convert::handle(array));
            convert::write_opt(crossing, became);
        }
        Ok(())
    })
}

/// Ends an update of a shared variable. What the array of `tn_shared_update_begin` has is the value from now on.
///
/// @param shared   A shared variable with an update in progress.
/// @param flags    0; TN_END_FAILED: the update failed. A copy is dropped; a value that was changed in place is
///                 undefined, and reading it is TN_ERR_POISONED until a set succeeds.
/// @return TN_OK, also with TN_END_FAILED; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for other flags, and
///         if no update is in progress. If the end fails otherwise, the update is over and counts as failed:
///         TN_ERR_FAILED if the value was left open for writing, or a write of it failed; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub extern "C" fn tn_shared_update_end(shared: *mut tn_shared, flags: tn_end_flags) -> tn_status {
    enter("tn_shared_update_end", || {
        let id = convert::id(shared, "shared")?;
        variable::end_update(c"tn_shared_update_end", id, flags)
    })
}

/// Queries a shared variable.
///
/// @param shared   A shared variable.
/// @param[out] info The properties; `size` set by the caller. Version and value belong together. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DEVICE in the child
///         of a fork.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_shared_query(shared: *mut tn_shared, info: *mut tn_shared_info) -> tn_status {
    enter("tn_shared_query", || {
        let id = convert::id(shared, "shared")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let info = unsafe { convert::fill(info, "info")? };
        variable::check_handle(id)?;
        write_info(id, &info?)
    })
}

fn write_info(id: Id, info: &Fill<tn_shared_info>) -> Result<()> {
    variable::query(id, |found| {
        let layout = found.array.layout;
        let mut value = <tn_shared_info as convert::VersionedStruct>::defaults();
        value.device = found.fixed.device;
        value.home = found.fixed.home;
        value.dtype = found.fixed.dtype.raw();
        value.ndim = layout.ndim() as i32;
        value.flags = found.array.flags;
        value.is_poisoned = i32::from(found.is_poisoned);
        value.version = found.version;
        value.bytes = if layout.is_empty() { 0 } else { layout.bytes() as u64 };
        value.detach_count = found.detach_count;
        value.name = found.fixed.name.to_c();
        // SAFETY: checked by `fill`, and writable by the documentation of `tn_shared_query`.
        unsafe {
            info.write(&value, core::mem::offset_of!(tn_shared_info, shape));
            info.write_numbers(core::mem::offset_of!(tn_shared_info, shape), layout.shape());
        }
    })
}

/// Releases a shared variable. Arrays that were read from it keep their bytes, and may be written again if no other
/// variable has them.
///
/// @param shared   A shared variable. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup shared
#[unsafe(no_mangle)]
pub extern "C" fn tn_shared_release(shared: *mut tn_shared) -> tn_status {
    enter("tn_shared_release", || variable::release(convert::id(shared, "shared")?))
}
