//! Section "array": creation, queries, names, clones, copies, weak handles, files.

use crate::array::{self, Contents, HOST, Options};
use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::exchange::host::{self, Import};
use crate::exchange::{file, npy};
use crate::ffi::convert::{self, Fill, Noted, Out};
use crate::layout::{Form, Layout, Order};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::transfer;
use crate::types::*;
use core::ffi::{c_char, c_void};

/// The options of a new array, or what is wrong with them. `like`: TN_ORDER_K is permitted.
///
/// # Safety
/// - `options` is NULL or points to a struct of the size it says.
unsafe fn options(options: *const tn_array_options, like: bool) -> Noted<Options> {
    // SAFETY: the caller's obligation.
    let Some(raw) = (unsafe { convert::sized(options)? }) else { return Ok(Options::DEFAULT) };
    let order = if like { Order::of_like(raw.order)? } else { Order::of(raw.order)? };
    if raw.flags != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("tn_array_options.flags is {:#x}; no flag is defined", raw.flags),
        ));
    }
    convert::stream(raw.stream)?;
    // SAFETY: a text by the struct's documentation.
    Ok(Options { order, name: unsafe { convert::name(raw.name)? } })
}

/// The stream of options that [`options`] has read.
///
/// # Safety
/// - As for [`options`].
unsafe fn stream_of(options: *const tn_array_options) -> Noted<StreamArg> {
    // SAFETY: the caller's obligation.
    let raw = unsafe { convert::sized(options)? };
    convert::stream(raw.map_or(core::ptr::null_mut(), |raw| raw.stream))
}

/// The common part of empty, zeros and full: checks all arguments in order, and creates the array.
///
/// # Safety
/// - As for [`options`].
#[inline(always)]
unsafe fn create(
    pool: Result<Option<&'static Pool>>,
    options: *const tn_array_options,
    dtype: tn_dtype,
    shape: Noted<&[i64]>,
    contents: impl FnOnce(Dtype) -> Contents<'static>,
    out: Out<*mut tn_array>,
) -> Result<()> {
    let pool = pool?;
    let given;
    // Usually there are no options; then no name is copied.
    let (order, name) = if options.is_null() {
        (Order::C, &Name::NONE)
    } else {
        // SAFETY: the caller's obligation.
        given = unsafe { self::options(options, false)? };
        (given.order, &given.name)
    };
    let dtype = Dtype::of(dtype)?;
    let mut layout = Layout::EMPTY;
    layout.set_contiguous(dtype, shape?, order, 0)?;
    // SAFETY: the caller's obligation.
    let stream = || unsafe { stream_of(options) };
    let id = transfer::create(pool, &mut layout, contents(dtype), name, stream)?;
    // SAFETY: writable by the documentation of the functions that call this.
    unsafe { out.write(convert::handle(id)) };
    Ok(())
}

/// Makes an array of new bytes with undefined contents.
///
/// @param pool     The pool to allocate from; NULL: the thread's current pool of the host.
/// @param dtype    The element type, TN_BOOL .. TN_C128.
/// @param ndim     The number of axes, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements, none negative. NULL only with ndim 0. An array with a length of 0 has
///                 no bytes and does not use the pool.
/// @param options  The order and name; NULL: C order, no name.
/// @param[out] out The array: dense, aligned to 256 bytes. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for invalid options, an unknown order or a
///         name that is not UTF-8; TN_ERR_DTYPE; TN_ERR_OVERFLOW for more than 64 axes or a size that overflows;
///         TN_ERR_SHAPE for a negative ndim or length; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT if no
///         more handles can be made.
/// @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_empty(
    pool: *mut tn_pool,
    dtype: tn_dtype,
    ndim: i32,
    shape: *const i64,
    options: *const tn_array_options,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_empty", || {
        // SAFETY: an array of that length, by this function's documentation.
        let shape = unsafe { convert::shape(ndim, shape, "shape")? };
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of that size, by this function's documentation.
        unsafe { create(convert::pool(pool), options, dtype, shape, |_| Contents::Undefined, out) }
    })
}

/// Makes an array of new bytes that are all 0.
///
/// @param pool     As for `tn_array_empty`.
/// @param dtype    The element type.
/// @param ndim     The number of axes, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements. NULL only with ndim 0.
/// @param options  The order and name; NULL: C order, no name.
/// @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
/// @return The statuses of `tn_array_empty`.
/// @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_zeros(
    pool: *mut tn_pool,
    dtype: tn_dtype,
    ndim: i32,
    shape: *const i64,
    options: *const tn_array_options,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_zeros", || {
        // SAFETY: an array of that length, by this function's documentation.
        let shape = unsafe { convert::shape(ndim, shape, "shape")? };
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of that size, by this function's documentation.
        unsafe { create(convert::pool(pool), options, dtype, shape, |_| Contents::Zero, out) }
    })
}

/// Makes an array whose elements all have one value.
///
/// @param pool     As for `tn_array_empty`.
/// @param dtype    The element type.
/// @param ndim     The number of axes, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements. NULL only with ndim 0.
/// @param value    One element, copied bit by bit before the call returns; any alignment.
/// @param options  The order and name; NULL: C order, no name.
/// @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
/// @return The statuses of `tn_array_empty`; TN_ERR_NULL also for value.
/// @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_full(
    pool: *mut tn_pool,
    dtype: tn_dtype,
    ndim: i32,
    shape: *const i64,
    value: *const c_void,
    options: *const tn_array_options,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_full", || {
        // SAFETY: an array of that length, by this function's documentation.
        let shape = unsafe { convert::shape(ndim, shape, "shape")? };
        convert::id(value, "value")?;
        let out = Out::new(out, "out")?;
        // SAFETY: one element of the type, by this function's documentation; it outlives the call.
        let element = |dtype: Dtype| unsafe { core::slice::from_raw_parts(value.cast::<u8>(), dtype.item() as usize) };
        // SAFETY: a struct of that size, by this function's documentation.
        unsafe { create(convert::pool(pool), options, dtype, shape, |dtype| Contents::Full(element(dtype)), out) }
    })
}

/// Makes an array with the type and shape of another one, of new bytes with undefined contents.
///
/// @param prototype    An array, which is neither read nor changed.
/// @param pool         The pool to allocate from; NULL: the thread's current pool of the prototype's device.
/// @param options      The order and name; TN_ORDER_K keeps the order of the prototype's strides. NULL: C order, no
///                     name.
/// @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_OVERFLOW; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_like(
    prototype: *mut tn_array,
    pool: *mut tn_pool,
    options: *const tn_array_options,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_like", || {
        let id = convert::id(prototype, "prototype")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let options = unsafe { self::options(options, true) };
        let out = Out::new(out, "out")?;
        let pool = convert::array_and_pool(id, pool)?;
        let new = array::like(pool, id, options?)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(new)) };
        Ok(())
    })
}

/// A layout over raw memory, with absolute addresses. Checks element type, shape and strides.
///
/// # Safety
/// - `layout` points to a struct of the size it says, whose arrays have ndim numbers.
pub unsafe fn raw_layout(ptr: *const c_void, layout: *const tn_layout) -> Result<Layout> {
    // SAFETY: the caller's obligation.
    let raw = unsafe { convert::sized(layout)? };
    let Some(raw) = raw else { return Err(fail(TN_ERR_NULL, format_args!("layout is NULL"))) };
    let dtype = Dtype::of(raw.dtype)?;
    // SAFETY: as above.
    let shape = unsafe { convert::shape(raw.ndim, raw.shape, "layout.shape")? }?;
    let mut made = if raw.strides.is_null() {
        Layout::contiguous(dtype, shape, Order::C, 0)?
    } else {
        // SAFETY: as above.
        let strides = unsafe { core::slice::from_raw_parts(raw.strides, shape.len()) };
        Layout::strided(dtype, shape, strides, 0)?
    };
    if !made.is_empty() {
        if ptr.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("ptr is NULL, and the layout has elements")));
        }
        made.rebase((ptr as u64).wrapping_add_signed(raw.offset))?;
        if (ptr as u64).checked_add_signed(raw.offset).is_none() {
            return Err(fail(
                TN_ERR_RANGE,
                format_args!("offset {} from {ptr:p} on leaves the address space", raw.offset),
            ));
        }
    }
    Ok(made)
}

/// Makes an array from the caller's host memory: an alias or a copy, as the flags say. If the bytes belong to a live
/// store, the array is another claim on that store.
///
/// @param ptr          The address that `layout.offset` counts from. NULL only for a layout without elements.
/// @param layout       The element type, shape in elements, strides in bytes (NULL: C order) and offset in bytes.
/// @param flags        No flag: a copy. TN_BORROW: an alias where possible. TN_REQUIRE_BORROW: an alias, else an error.
///                     TN_MAY_OVERWRITE: an alias whose contents may be overwritten. TN_TAKE_OWNERSHIP: an alias; the
///                     library takes ownership of the memory. TN_RELEASE_QUEUED: the callback runs only in
///                     `tn_run_releases`. TN_IMPORT_READONLY: the handle is READONLY.
/// @param release      The callback that ends the import. If the call succeeds, it is called exactly once: at once if
///                     the bytes were copied, else after the last of this handle and the claims, guards and exports
///                     derived from it ended (with TN_TAKE_OWNERSHIP: after the store ended). The memory must stay
///                     valid until then. NULL only without TN_TAKE_OWNERSHIP. If the call fails, the callback is never
///                     called, and the caller keeps the memory.
/// @param context      The argument of release.
/// @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID; TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE; TN_ERR_RANGE for addresses
///         that wrap around; TN_ERR_ALIASED if TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP or TN_MAY_OVERWRITE is not possible
///         because live stores own some of the bytes; TN_ERR_WOULD_COPY for memory that is not aligned for the type, or
///         under `tn_copies_forbid`; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
/// @note Threads: any; release runs on the thread that ended the last holder, under no lock, and may call the library.
///       Blocks: never.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_host(
    ptr: *mut c_void,
    layout: *const tn_layout,
    flags: tn_borrow_flags,
    release: tn_release_callback,
    context: *mut c_void,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_host", || {
        convert::id(layout, "layout")?;
        let out = Out::new(out, "out")?;
        let release = convert::release(flags, release, context)?;
        host::check_flags(flags, host::IMPORT_FLAGS)?;
        let function = c"tn_array_import_host";
        // SAFETY: a struct of that size, and memory of that layout, by this function's documentation.
        let imported = unsafe {
            let layout = raw_layout(ptr, layout)?;
            host::import(Import { function, device: HOST, layout: &layout, flags, release, after: None })?
        };
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}

/// Describes an array: type, shape, strides, device, flags, form, bytes, name.
///
/// @param array        An array, also a given one. It is neither read nor changed.
/// @param[out] info    The struct to fill, with `size` set by the caller. As much as fits is filled; of shape and
///                     strides, only the first ndim entries. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DESTRUCTED.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_query(array: *mut tn_array, info: *mut tn_array_info) -> tn_status {
    enter("tn_array_query", || {
        let id = convert::id(array, "array")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let info = unsafe { convert::fill(info, "info")? };
        crate::ledger::find::<crate::ledger::Claim>(id)?;
        write_info(id, &info?)
    })
}

fn write_info(id: Id, info: &Fill<tn_array_info>) -> Result<()> {
    array::query(id, |found| {
        let layout = found.layout;
        let mut value = <tn_array_info as convert::VersionedStruct>::defaults();
        value.dtype = layout.dtype().raw();
        value.ndim = layout.ndim() as i32;
        value.device = found.device;
        value.flags = found.flags;
        value.form = found.form.raw();
        value.bytes = if layout.is_empty() { 0 } else { layout.bytes() as u64 };
        value.count = layout.count() as u64;
        value.store_bytes = found.store_bytes;
        value.offset = found.offset;
        value.name = found.name.to_c();
        // SAFETY: checked by `fill`, and writable by the documentation of `tn_array_query`.
        unsafe {
            info.write(&value, core::mem::offset_of!(tn_array_info, shape));
            info.write_numbers(core::mem::offset_of!(tn_array_info, shape), layout.shape());
            info.write_numbers(core::mem::offset_of!(tn_array_info, strides), layout.strides());
        }
    })
}

/// Sets the name of the array in messages and reports.
///
/// @param array    An array, also a given one.
/// @param name     The name, UTF-8, of which the first 63 bytes are copied; NULL: the name is removed.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a name that is not UTF-8;
///         TN_ERR_DESTRUCTED.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_set_name(array: *mut tn_array, name: *const c_char) -> tn_status {
    enter("tn_array_set_name", || {
        let id = convert::id(array, "array")?;
        // SAFETY: a text by this function's documentation.
        array::set_name(id, unsafe { convert::name(name) })
    })
}

/// Sets whether the pool of an array may spill its bytes, see `tn_pool_set_spill`. This concerns all handles on the bytes.
/// An array that may not be spilled stays in memory, and its borrows note no time.
///
/// @param array    An array, also a given one.
/// @param on       1 or 0. 0 brings spilled bytes back first.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED; TN_ERR_UNSUPPORTED for 1 if the pool does
///         not spill arrays of this size; TN_ERR_POOL_LIMIT or TN_ERR_IO for 0 as from a borrow.
/// @note Threads: any. Blocks: for 0, while a file is read. Allocates: nothing.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_set_spillable(array: *mut tn_array, on: i32) -> tn_status {
    enter("tn_array_set_spillable", || array::set_spillable(convert::id(array, "array")?, on != 0))
}

/// Sets the form of a matrix: what expressions take the array for. No byte and no shape changes.
///
/// The form belongs to the handle; other handles on the bytes keep theirs. A clone, a taken or entered handle, an
/// upgraded weak handle and a copy to new bytes have the form of their source, and copy-on-write keeps it. A view is
/// full, except that the transpose of a lower triangle is an upper one, and the reverse, and that of a diagonal or a
/// matrix has its form. A new array is full, and so are imports and opened files: exports and files have the elements alone.
///
/// @param array    An array, which may be borrowed, exported, read-only or poisoned.
/// @param form     TN_FORM_FULL: all elements, as at first. TN_FORM_DIAGONAL: the array, which has one axis, is the
///                 diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER, TN_FORM_UPPER: of a square matrix, the
///                 elements above, or below, the diagonal count as 0 and are not read. TN_FORM_MATRIX: all elements, of
///                 an array with two axes, for languages whose operators differ for arrays and matrices.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown form; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_SHAPE if the array's shape does not fit the form.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_set_form(array: *mut tn_array, form: tn_form) -> tn_status {
    enter("tn_array_set_form", || array::set_form(convert::id(array, "array")?, Form::of(form)))
}

/// Makes a new handle on the pool of an array's bytes.
///
/// @param array    An array, also a view or clone of one.
/// @param[out] out The pool. Released by `tn_pool_release`. If the pool was released before, queries work and
///                 allocations fail. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_FOREIGN for imported
///         bytes and arrays without elements; TN_ERR_LIMIT if no more handles can be made.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_pool(array: *mut tn_array, out: *mut *mut tn_pool) -> tn_status {
    enter("tn_array_pool", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let pool = crate::pool::open(array::pool(id)?)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(pool)) };
        Ok(())
    })
}

/// Waits until the device work on an array is done, so that the host may access the bytes, and brings them back if they
/// were spilled. It neither checks nor takes guards, and does not call the driver if no work is unfinished.
///
/// @param array    An array.
/// @param access   TN_READ: wait for unfinished writers. TN_WRITE: wait for unfinished readers and writers.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for access 0 or another bit;
///         TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DRIVER, also if the device is lost; TN_ERR_POOL_LIMIT or TN_ERR_IO if
///         spilled bytes cannot come back, see `tn_pool_set_spill`.
/// @note Threads: any. Blocks: for the device and for files, never for a holder.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_wait(array: *mut tn_array, access: tn_access) -> tn_status {
    enter("tn_array_wait", || array::wait(convert::id(array, "array")?, access))
}

/// Makes another handle with its own claim on the same bytes, and with the same layout, form and name.
///
/// @param array    An array, which may be borrowed, exported or poisoned.
/// @param[out] out The clone. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT if no more
///         handles can be made.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_clone(array: *mut tn_array, out: *mut *mut tn_array) -> tn_status {
    enter("tn_array_clone", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let clone = array::clone(id)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(clone)) };
        Ok(())
    })
}

/// Copies an array to new bytes. The copy has the source's form, and is dense, in F order if the source is F- and not
/// C-contiguous, else in C order.
///
/// @param array    The source. It is read during the call, or with a stream until the copy is done. It may be READONLY;
///                 the copy is not.
/// @param pool     The pool to allocate from; NULL: the thread's current pool of the array's device.
/// @param stream   The stream of the copy; NULL: the copy is done on return. On host memory the stream constants mean
///                 the same as NULL.
/// @param[out] out The copy. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a pool of
///         another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: the copy, from the pool.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_copy(
    array: *mut tn_array,
    pool: *mut tn_pool,
    stream: *mut tn_stream,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_copy", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let pool = convert::array_and_pool(id, pool)?;
        let copy = transfer::copy(c"tn_array_copy", id, pool, convert::stream(stream))?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(copy)) };
        Ok(())
    })
}

/// Releases an array handle and its claim. Open guards, exports and promises keep the bytes alive; the bytes are freed
/// after the last of them ended.
///
/// @param array    An array, in whatever state. Each handle is released exactly once, even if its claim was taken.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND. With the option "strict": TN_ERR_GIVEN,
///         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED if this handle is given or has open guards or
///         exports.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_release(array: *mut tn_array) -> tn_status {
    enter("tn_array_release", || array::release(convert::id(array, "array")?))
}

/// Makes a weak handle, which keeps the layout but has no claim on the bytes.
///
/// @param array    An array.
/// @param[out] out The weak handle. Released by `tn_weak_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_weaken(array: *mut tn_array, out: *mut *mut tn_weak) -> tn_status {
    enter("tn_array_weaken", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let weak = array::weaken(id)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(weak)) };
        Ok(())
    })
}

/// Makes an array handle, with a claim, from a weak handle.
///
/// @param weak     A weak handle. It stays valid.
/// @param[out] out The array, with the layout of the weak handle. Released by `tn_array_release`. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if the store had no claim at any time
///         since, or the import that the handle derives from ended; TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_weak_upgrade(weak: *mut tn_weak, out: *mut *mut tn_array) -> tn_status {
    enter("tn_weak_upgrade", || {
        let id = convert::id(weak, "weak")?;
        let out = Out::new(out, "out")?;
        let array = array::upgrade(id)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(array)) };
        Ok(())
    })
}

/// Releases a weak handle.
///
/// @param weak     A weak handle. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_weak_release(weak: *mut tn_weak) -> tn_status {
    enter("tn_weak_release", || array::release_weak(convert::id(weak, "weak")?))
}

/// Opens a `.npy` file as an array: maps it, or reads it into a pool's memory. Pickled objects are not supported, so
/// nothing in a file is executed.
///
/// A file stays mapped until the last claim, guard and export ended; it may be closed, renamed or deleted before. If
/// another process truncates a mapped file, an access past its end raises SIGBUS; TN_NPY_COPY returns TN_ERR_IO
/// instead. Mapped booleans are the unchanged bytes of the file; TN_NPY_COPY turns every byte other than 0 into 1.
///
/// @param path     The file, NUL-terminated. NULL: use `options.fd`, which the caller still closes.
/// @param options  The mode, file descriptor, pool and header limit; NULL: TN_NPY_READ.
/// @param[out] out The array, which is READONLY with TN_NPY_READ, and FOREIGN with TN_NPY_READ and TN_NPY_WRITE.
///                 Released by `tn_array_release`. On failure: untouched; no mapping and no descriptor is left behind.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DTYPE for an element type that Tenure
///         does not have; TN_ERR_OVERFLOW for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a header
///         that is too long; TN_ERR_WOULD_COPY in the mapped modes for data that is unaligned or big-endian;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_IO with the reason.
/// @note Threads: any. Blocks: for the file system.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_open_npy(
    path: *const c_char,
    options: *const tn_npy_options,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_open_npy", || {
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let options = unsafe { convert::sized(options) };
        let options = options.map(|o| o.unwrap_or(<tn_npy_options as convert::VersionedStruct>::defaults()));
        let pool = options.map_or(Ok(None), |options| convert::pool(options.pool));
        if path.is_null() && options.is_ok_and(|options| options.fd < 0) {
            return Err(fail(TN_ERR_NULL, format_args!("path is NULL, and options.fd is not a descriptor")));
        }
        let (pool, options) = (pool?, options?);
        // SAFETY: NULL, or a text that stays during the call, by this function's documentation.
        let origin = match unsafe { convert::text(path, "path") } {
            Ok(path) => npy::Origin::Path(path),
            Err(_) => npy::Origin::Descriptor { fd: options.fd, offset: 0 },
        };
        let (id, _) = file::open(c"tn_array_open_npy", origin, options.mode, pool, options.max_header_bytes)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Opens an array in `.npy` format that begins at any byte of an open file, as `tn_array_open_npy` does.
///
/// @param fd       The descriptor of a regular file, which the caller still closes. Its position is neither used nor
///                 changed.
/// @param offset   The offset in bytes of the array's header in the file.
/// @param options  The mode, pool and header limit; `fd` is ignored. NULL: TN_NPY_READ.
/// @param[out] end The offset in bytes behind the array's data, where another array may begin; may be NULL.
/// @param[out] out The array, as from `tn_array_open_npy`. On failure: both outputs are untouched.
/// @return The statuses of `tn_array_open_npy`. Data that are mapped must be aligned for their type in the file.
/// @note Threads: any. Blocks: for the file system.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_open_npy_fd(
    fd: i32,
    offset: u64,
    options: *const tn_npy_options,
    end: *mut u64,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_open_npy_fd", || {
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let options = unsafe { convert::sized(options) };
        let options = options.map(|o| o.unwrap_or(<tn_npy_options as convert::VersionedStruct>::defaults()));
        let pool = options.map_or(Ok(None), |options| convert::pool(options.pool))?;
        let (options, origin) = (options?, npy::Origin::Descriptor { fd, offset });
        let (id, after) = file::open(c"tn_array_open_npy_fd", origin, options.mode, pool, options.max_header_bytes)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            convert::write_opt(end, after);
            out.write(convert::handle(id));
        }
        Ok(())
    })
}

/// Saves an array as a `.npy` file for NumPy, in C order, or in F order if the array is only F-contiguous. The call
/// writes a temporary file beside the target and then renames it, so the target is at any time the old file or the
/// complete new one. An array may be saved over the file that it is mapped from.
///
/// @param array    The array, with any layout, read only during the call.
/// @param path     The file, NUL-terminated.
/// @param flags    TN_IO_SYNC: sync the file and its directory to disk before the call returns. TN_IO_EXCLUSIVE: fail
///                 with TN_ERR_IO if the file exists.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE
///         for bfloat16, which the format does not have; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the old file is unchanged, and no temporary file is left.
/// @note Threads: any. Blocks: for the file system. Allocates: at most one chunk.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_save_npy(array: *mut tn_array, path: *const c_char, flags: tn_io_flags) -> tn_status {
    enter("tn_array_save_npy", || {
        let id = convert::id(array, "array")?;
        // SAFETY: a text by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        file::save(c"tn_array_save_npy", id, file::Target::Path(path), flags)
    })
}

/// Writes an array in `.npy` format to an open file, pipe or socket, at the descriptor's position, which is behind the
/// data afterwards.
///
/// Unlike `tn_array_save_npy`, it writes in place: if it fails, a part may have been written, and the position is
/// behind that part. An array that is mapped from the file must not be written over itself.
///
/// @param array    The array, with any layout, read only during the call.
/// @param fd       A descriptor that is open for writing, which the caller still closes.
/// @param flags    TN_IO_SYNC: sync the file to disk before the call returns.
/// @return The statuses of `tn_array_save_npy`; TN_ERR_INVALID also for TN_IO_EXCLUSIVE.
/// @note Threads: any. Blocks: for the file system, or the reader of the pipe. Allocates: at most one chunk.
/// @since 0.1
/// @ingroup array
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_save_npy_fd(array: *mut tn_array, fd: i32, flags: tn_io_flags) -> tn_status {
    enter("tn_array_save_npy_fd", || {
        let id = convert::id(array, "array")?;
        file::save(c"tn_array_save_npy_fd", id, file::Target::Descriptor(fd), flags)
    })
}
