//! Section "borrow": guards. A guard gives access to an array's pointer. A region has many readers or one writer, and a
//! conflict is reported at once.

use crate::borrow::{self, BorrowContext, LayoutSink, Use};
use crate::boundary::enter;
use crate::device_copy;
use crate::error::Result;
#[cfg(not(loom))]
use crate::exchange::ipc;
use crate::ffi::convert::{self, Out};
use crate::layout::Layout;
use crate::ledger;
#[cfg(feature = "managed")]
use crate::mirror;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::c_void;

/// Opens a read guard: until it ends, no other guard of this library may write the bytes.
///
/// @param array        An array.
/// @param flags        TN_FROZEN: exclude shared views, existing and new ones, so that the bytes do not change.
///                     TN_WAIT: wait for unfinished device work. TN_INTERPROCESS: exclude write guards of other
///                     processes that have the flag too, from the array's first byte to its last; for arrays in
///                     shareable memory (TN_POOL_SHAREABLE, `tn_array_import_ipc`). The kernel ends the exclusion with
///                     the process.
/// @param stream       The stream that reads; NULL: the host, now. On host memory the stream constants mean the same as
///                     NULL. A stream is made to wait for unfinished writers of the bytes. The host does not wait for
///                     them, except with TN_WAIT.
/// @param[out] data    The address of element (0,..,0), valid until the guard ends, for reading only; NULL if there is
///                     no element. The output may be NULL.
/// @param[out] view    The array's layout at this moment. Its pointers are valid until the guard ends. May be NULL.
/// @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: all outputs are untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DEVICE for a stream of another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, also for a guard of
///         another process, TN_ERR_EXPORTED; TN_ERR_PENDING for the host while a device writes the bytes;
///         TN_ERR_DRIVER; TN_ERR_LIMIT if no more guards can be made; TN_ERR_POOL_LIMIT or TN_ERR_IO if spilled bytes cannot
///         come back. With TN_INTERPROCESS TN_ERR_UNSUPPORTED for other memory, TN_ERR_IO, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: while spilled bytes are read (`tn_pool_set_spill`); with TN_WAIT, until the device's work is done, after all other checks and under no lock;
///       never for a holder. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_borrow_read(
    array: *mut tn_array,
    flags: tn_guard_flags,
    stream: *mut tn_stream,
    data: *mut *const c_void,
    view: *mut tn_view_info,
    out: *mut *mut tn_borrow,
) -> tn_status {
    enter("tn_array_borrow_read", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let outputs = Outputs { data: data.cast(), view };
        let plain = Use::Read { frozen: false };
        let opened = if flags & !TN_WAIT == 0 { open_fast(id, plain, stream, &outputs) } else { None };
        let guard = match opened {
            Some(guard) => guard,
            None => {
                let (stream, wanted) = (convert::stream(stream), borrow::reading(flags, TN_INTERPROCESS));
                open_slow(BorrowContext::new(c"tn_array_borrow_read"), id, stream, wanted, flags, &outputs)?
            }
        };
        // SAFETY: the outputs are writable by this function's documentation.
        unsafe { outputs.finish(out, guard) };
        Ok(())
    })
}

/// The fast path of a borrow of one array.
#[inline(always)]
fn open_fast(id: Id, wanted: Use, stream: *mut tn_stream, outputs: &Outputs) -> Option<Id> {
    if stream.is_null() {
        return borrow::open_fast(id, wanted, outputs);
    }
    borrow::open_with_stream_fast(id, wanted, stream as u64, outputs)
}

/// The slow path of a borrow of one array.
#[cold]
fn open_slow(
    call: BorrowContext<'_>,
    id: Id,
    stream: Result<StreamArg>,
    wanted: Result<Use>,
    flags: u32,
    outputs: &Outputs,
) -> Result<Id> {
    let wait = flags & TN_WAIT != 0;
    #[cfg(not(loom))]
    if flags & TN_INTERPROCESS != 0 {
        return ipc::open_locked(call, id, stream, wanted, wait, outputs);
    }
    borrow::open(call, id, stream, wanted, wait, outputs)
}

/// The optional outputs of a borrow: NULL, or writable by the documentation of the functions that construct it.
pub(super) struct Outputs {
    pub(super) data: *mut *mut c_void,
    pub(super) view: *mut tn_view_info,
}

impl Outputs {
    /// Completes the view, and writes the open guard.
    ///
    /// # Safety
    /// - The outputs are writable, and the view was written.
    #[inline(always)]
    pub(super) unsafe fn finish(&self, out: Out<*mut tn_borrow>, guard: Id) {
        // SAFETY: the caller's obligation.
        unsafe {
            convert::add_device_address(self.view);
            out.write(convert::handle(guard));
        }
    }
}

impl LayoutSink for Outputs {
    #[inline(always)] // measured: as a call of its own it costs a borrow 2 ns
    fn see(&self, layout: &Layout, device: &tn_device) {
        // SAFETY: see `Outputs`.
        unsafe { convert::write_opt(self.data, convert::data(layout)) };
        if !self.view.is_null() {
            // SAFETY: as above.
            unsafe { self.view.write(convert::view(layout, *device)) };
        }
    }
}

/// Opens a write guard: until it ends, no other guard of this library may read or write the bytes.
///
/// @param array        An array.
/// @param mode         TN_WRITE_ALIASED (0): other handles on the store see the change. TN_WRITE_UNIQUE: fail if
///                     anything else holds the store, that is unless `tn_array_why_not` reports 0. TN_WRITE_COW: copy
///                     on write; if anything else holds the store, this handle moves to a copy. TN_WRITE_DISCARD: the
///                     old contents are not needed, so they are not copied, and poison is cleared. TN_WAIT: wait for
///                     unfinished device work. TN_INTERPROCESS, not with TN_WRITE_COW: as for `tn_array_borrow_read`,
///                     and exclude read guards of other processes too.
/// @param stream       The stream that writes; NULL: the host, now. On host memory the stream constants mean the same
///                     as NULL. A stream is made to wait for unfinished readers and writers of the bytes. The host does
///                     not wait for them, except with TN_WAIT. A copy of page-locked bytes (TN_WRITE_COW) is made by
///                     the host: TN_ERR_PENDING while a stream writes them.
/// @param[out] data    The address of element (0,..,0), valid until the guard ends; NULL if there is no element. The
///                     output may be NULL.
/// @param[out] view    The array's layout at this moment. Its pointers are valid until the guard ends. May be NULL.
/// @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: all outputs are untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DEVICE for a stream of another device; TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE,
///         TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION; TN_ERR_PENDING for the host while a
///         device uses the bytes; TN_ERR_FOREIGN; TN_ERR_DRIVER; with TN_WRITE_COW, TN_ERR_WOULD_COPY under
///         `tn_copies_forbid`, and TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT. With TN_INTERPROCESS
///         TN_ERR_BORROWED for a guard of another process, TN_ERR_UNSUPPORTED for other memory, TN_ERR_IO.
/// @note Threads: any. Blocks: with TN_WAIT, until the device's work is done, after all other checks and under no lock;
///       never for a holder. Allocates: bookkeeping; with TN_WRITE_COW also the copy, under no lock.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_borrow_write(
    array: *mut tn_array,
    mode: tn_write_mode,
    stream: *mut tn_stream,
    data: *mut *mut c_void,
    view: *mut tn_view_info,
    out: *mut *mut tn_borrow,
) -> tn_status {
    enter("tn_array_borrow_write", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let outputs = Outputs { data, view };
        let opened = borrow::plain_mode(mode).and_then(|wanted| open_fast(id, wanted, stream, &outputs));
        let guard = match opened {
            Some(guard) => guard,
            None => {
                let (stream, wanted) = (convert::stream(stream), borrow::mode(mode, TN_INTERPROCESS));
                open_slow(BorrowContext::new(c"tn_array_borrow_write"), id, stream, wanted, mode, &outputs)?
            }
        };
        // SAFETY: the outputs are writable by this function's documentation.
        unsafe { outputs.finish(out, guard) };
        Ok(())
    })
}

/// Opens one guard on several arrays, all or none. Calls that list the arrays in different orders do not deadlock.
///
/// @param n_specs      The number of entries; 0 makes an empty guard.
/// @param specs        The n_specs entries: an array, a stream and an access. The access is TN_READ, also with
///                     TN_FROZEN; TN_READ_WRITE; or TN_WRITE, which overwrites every element. A writing access may add
///                     a TN_WRITE_ mode. NULL only with n_specs 0.
/// @param[out] views   The n_specs views, in the order of specs. Their pointers are valid until the guard ends. May be
///                     NULL. On failure: untouched.
/// @param[out] out     The guard. Ended by one `tn_borrow_end`. On failure: untouched.
/// @return The statuses of `tn_array_borrow_read` and `tn_array_borrow_write`; of several errors, the first in the
///         order of checks. TN_ERR_ALIASED if an entry writes bytes that another entry uses, or copies on write while
///         another entry has the same handle; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: if an entry has TN_WAIT, until the device's work is done. Allocates: bookkeeping, and
///       the copies of TN_WRITE_COW.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_borrow_all(
    n_specs: usize,
    specs: *const tn_borrow_spec,
    views: *mut tn_view_info,
    out: *mut *mut tn_borrow,
) -> tn_status {
    enter("tn_borrow_all", || {
        // SAFETY: an array of that length, by this function's documentation.
        let specs = unsafe { convert::slice(n_specs, specs, "specs")? };
        let out = Out::new(out, "out")?;
        let guard = borrow::all(BorrowContext::new(c"tn_borrow_all"), specs, |index, hold| {
            if !views.is_null() {
                // SAFETY: n_specs places, by this function's documentation.
                unsafe {
                    views.add(index).write(convert::view(hold.layout(), hold.device()));
                    convert::add_device_address(views.add(index));
                }
            }
        })?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(guard)) };
        Ok(())
    })
}

/// Opens write guards on consecutive parts of an axis, so that each part can be written by its own thread. The call
/// checks the whole array as one write, and makes all guards or none.
///
/// @param array        An array.
/// @param axis         The axis; a negative one counts from the last one.
/// @param n_parts     The number of parts, at least 1. The first (length mod n_parts) parts are one longer than the
///                     rest. Parts beyond the length of the axis are empty.
/// @param mode         As for `tn_array_borrow_write`, applied once to the whole array.
/// @param stream       As for `tn_array_borrow_write`.
/// @param[out] parts   The n_parts parts: guard, address (NULL if empty), first index and length on the axis. Each
///                     guard is ended by its own `tn_borrow_end`, on any thread. On failure: untouched.
/// @return The statuses of `tn_array_borrow_write`; TN_ERR_INVALID for n_parts 0; TN_ERR_RANGE for an axis out of
///         range; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: with TN_WAIT, until the device's work is done. Allocates: bookkeeping; with TN_WRITE_COW
///       also the copy.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_split_write(
    array: *mut tn_array,
    axis: i32,
    n_parts: usize,
    mode: tn_write_mode,
    stream: *mut tn_stream,
    parts: *mut tn_part,
) -> tn_status {
    enter("tn_array_split_write", || {
        let id = convert::id(array, "array")?;
        let parts = Out::new(parts, "parts")?;
        let (stream, wanted) = (convert::stream(stream), borrow::mode(mode, 0));
        let call = BorrowContext::new(c"tn_array_split_write");
        let wait = mode & TN_WAIT != 0;
        borrow::split(call, id, (axis, n_parts), stream, wanted, wait, |index, guard, layout, start, length| {
            let data = convert::data(layout);
            // SAFETY: n_parts places, by this function's documentation.
            unsafe {
                parts.write_at(index, tn_part { guard: convert::handle(guard), data, start, length, reserved: [0; 4] })
            };
        })
    })
}

/// Describes the memory that an open guard gives access to.
///
/// @param borrow       A guard of one array.
/// @param[out] info    The struct to fill, with `size` set by the caller. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size, and for a guard of
///         `tn_borrow_all`, which writes the views itself.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_borrow_query(borrow: *mut tn_borrow, info: *mut tn_borrow_info) -> tn_status {
    enter("tn_borrow_query", || {
        let id = convert::id(borrow, "borrow")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let info = unsafe { convert::fill(info, "info")? };
        ledger::find::<ledger::Guard>(id)?;
        let info = info?;
        let mut value = <tn_borrow_info as convert::VersionedStruct>::defaults();
        let mut on = tn_device { r#type: TN_CPU, id: 0 };
        borrow::query(id, |layout, device| {
            let view = convert::view(layout, device);
            value = tn_borrow_info { size: 0, data: view.data, device_data: 0, bytes: view.bytes };
            on = device;
        })?;
        value.device_data = device_copy::device_address(on, value.data as usize);
        // SAFETY: writable by this function's documentation.
        unsafe { info.write(&value, size_of::<tn_borrow_info>()) };
        Ok(())
    })
}

/// Writes what a kernel gets of the memory of an open guard, for callers that launch their kernels themselves.
///
/// They open the guard on the kernel's stream, pass the view to the kernel, launch it, and end the guard on that
/// stream.
///
/// @param borrow       A guard of one array.
/// @param ndim         The N of the kernel's `tn_view<T, N>`, 1 to 8: the array's number of axes. An array without axes
///                     is passed as one axis of length 1, for which 0 is accepted too.
/// @param bytes        The sizeof of tn_view<T, N>, 8 + 16 * N: the number of bytes at out.
/// @param[out] out     The view: `void *data; int64_t shape[N]; int64_t strides[N]`, strides in bytes. Of page-locked
///                     memory, `data` is the address that devices use. Without elements it is NULL, and the shape is
///                     the array's. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another number of bytes, for more than 8
///         axes, and for a guard of `tn_borrow_all`, which writes the views itself; TN_ERR_SHAPE for an array with
///         another number of axes; TN_ERR_LAYOUT for elements that are not at multiples of their size; TN_ERR_DEVICE
///         for page-locked memory that is not mapped for devices.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_borrow_kernel_view(
    borrow: *mut tn_borrow,
    ndim: i32,
    bytes: usize,
    out: *mut c_void,
) -> tn_status {
    enter("tn_borrow_kernel_view", || {
        let id = convert::id(borrow, "borrow")?;
        let out = Out::new(out, "out")?;
        let view = borrow::kernel_view_of(id, ndim, bytes)?;
        // SAFETY: `bytes` bytes by this function's documentation, and the view has as many, as the call checked.
        unsafe { view.words().as_ptr().cast::<u8>().copy_to_nonoverlapping(out.pointer().cast(), bytes) };
        Ok(())
    })
}

/// Ends a guard of any kind. The bytes are freed if the guard was their last holder.
///
/// @param borrow   A guard. It is ended exactly once, and its pointers must not be used afterwards.
/// @param flags    TN_END_FAILED: the writer failed, and the contents of its region are undefined. Reads of the region
///                 are refused until it is rewritten. Ignored for readers.
/// @param stream   The stream of the last work on the bytes, which may be unfinished; later uses are ordered after it.
///                 NULL: the work is done. On host memory the stream constants mean the same as NULL. For a guard of
///                 `tn_borrow_all`, it applies to the entries that were opened with a stream.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, TN_ERR_DEVICE for a stream of another device,
///         TN_ERR_DRIVER: the guard then stays open.
/// @note Threads: any, also another thread than the one that opened the guard. Blocks: never. Allocates: nothing. May
///       run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub extern "C" fn tn_borrow_end(borrow: *mut tn_borrow, flags: tn_end_flags, stream: *mut tn_stream) -> tn_status {
    enter("tn_borrow_end", || {
        let id = convert::id(borrow, "borrow")?;
        let ended = if stream.is_null() {
            borrow::end_fast(id, flags)
        } else {
            borrow::end_with_stream_fast(id, flags, stream as u64)
        };
        if ended {
            return Ok(());
        }
        end_slow(id, flags, convert::stream(stream))
    })
}

/// The slow path of `tn_borrow_end`: the module that the guard's completion names ends it.
#[cold]
fn end_slow(id: Id, flags: u32, stream: Result<StreamArg>) -> Result<()> {
    borrow::end(id, flags, stream, |ending| match ending.completion() {
        #[cfg(not(loom))]
        ledger::Completion::Offer => ipc::end_offer(ending),
        #[cfg(not(loom))]
        ledger::Completion::InterprocessLock => ipc::end_locked(ending),
        #[cfg(feature = "managed")]
        ledger::Completion::Mirror => mirror::end(c"tn_borrow_end", ending),
        _ => ending.finish(),
    })
}

/// Accepts the bytes of an array as they are, after a writer that failed: they count as written. A write guard with
/// TN_WRITE_DISCARD that is opened and ended has this effect too.
///
/// @param array    An array. Poisoned regions that lie wholly in it are poisoned no longer; those that reach beyond it
///                 stay.
/// @return TN_OK, also if nothing is poisoned; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_IN_EXPRESSION: whatever
///         refuses a writer; TN_ERR_PENDING while a device uses the bytes: see `tn_array_wait`; TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_heal(array: *mut tn_array) -> tn_status {
    enter("tn_array_heal", || borrow::heal(BorrowContext::new(c"tn_array_heal"), convert::id(array, "array")?))
}
