//! Section "borrow": guards. The only way to a pointer; many readers or one writer per region, and a conflict is a status at once.

use crate::borrow::{self, BorrowContext, LayoutSink, Mode, Use};
use crate::boundary::enter;
use crate::device_copy;
use crate::ffi::convert::{self, Out};
use crate::layout::Layout;
use crate::ledger;
use crate::types::*;
use core::ffi::c_void;

/// Opens a guard for reading: until it ends, nobody writes the bytes through this library.
///
/// @param array        An array.
/// @param flags        TN_FROZEN: beside no shared view, and none may begin meanwhile. TN_WAIT: waits for unfinished device work.
/// @param stream       The stream that reads: NULL is the host, now; on host memory the stream constants mean the same. A stream is made to
///                     wait for the unfinished writers of the bytes, the host does not wait for them.
/// @param[out] data    The address of element (0,..,0), NULL if there is none; not to be written. Valid until the guard ends. May be NULL.
/// @param[out] view    The layout at this moment; its pointers are the guard's, valid until it ends. May be NULL.
/// @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: untouched, as are the others.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE
///         for a stream of another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_PENDING for the host while a
///         device writes the bytes; TN_ERR_DRIVER; TN_ERR_LIMIT when no more guards can be made.
/// @note Threads: any. Blocks: with TN_WAIT for the device, after all other checks and under no lock; never for a holder. Allocates:
///       bookkeeping only.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_borrow_read(
    array: *mut tn_array,
    flags: tn_borrow_flags,
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
        let free =
            if stream.is_null() && flags & !TN_WAIT == 0 { borrow::open_fast(id, plain, &outputs) } else { None };
        let guard = match free {
            Some(guard) => guard,
            None => {
                let (stream, wanted) = (convert::stream(stream), borrow::reading(flags));
                let call = BorrowContext::new(c"tn_array_borrow_read");
                borrow::open(call, id, stream, wanted, flags & TN_WAIT != 0, &outputs)?
            }
        };
        // SAFETY: as above.
        unsafe { out.write(convert::handle(guard)) };
        Ok(())
    })
}

/// Where the caller wants what a guard gives access to: NULL, or writable by the documentation of the functions that make it.
struct Outputs {
    data: *mut *mut c_void,
    view: *mut tn_view_info,
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

/// Opens a guard for writing: until it ends, nobody else reads or writes the bytes through this library.
///
/// @param array        An array.
/// @param mode         TN_WRITE_ALIASED (0): other handles on the store see the change. TN_WRITE_UNIQUE: only if nobody else holds the
///                     store, that is if `tn_array_why_not` gives 0. TN_WRITE_COW: if somebody else does, this handle moves to a copy. With
///                     TN_WRITE_DISCARD the old contents are not needed: they are not copied, and poison heals. TN_WAIT.
/// @param stream       The stream that writes: NULL is the host, now; on host memory the stream constants mean the same. A stream is made
///                     to wait for the unfinished readers and writers of the bytes, the host does not wait for them.
/// @param[out] data    The address of element (0,..,0), NULL if there is none. Valid until the guard ends. May be NULL.
/// @param[out] view    The layout at this moment; its pointers are the guard's, valid until it ends. May be NULL.
/// @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: untouched, as are the others.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE
///         for a stream of another device; TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED,
///         TN_ERR_SHARED, TN_ERR_IN_EXPRESSION; TN_ERR_PENDING for the host while a device uses the bytes; TN_ERR_FOREIGN; TN_ERR_DRIVER;
///         TN_ERR_WOULD_COPY for COW under `tn_copies_forbid`; for COW TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT.
/// @note Threads: any. Blocks: with TN_WAIT for the device, after all other checks and under no lock; never for a holder. Allocates:
///       bookkeeping; COW that copies the copy, under no lock.
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
        let plain = Use::Write { mode: Mode::Aliased, discard: false };
        let free = if stream.is_null() && mode & !TN_WAIT == 0 { borrow::open_fast(id, plain, &outputs) } else { None };
        let guard = match free {
            Some(guard) => guard,
            None => {
                let (stream, wanted) = (convert::stream(stream), borrow::mode(mode, 0));
                let call = BorrowContext::new(c"tn_array_borrow_write");
                borrow::open(call, id, stream, wanted, mode & TN_WAIT != 0, &outputs)?
            }
        };
        // SAFETY: as above.
        unsafe { out.write(convert::handle(guard)) };
        Ok(())
    })
}

/// Opens guards on several arrays, all or none, with one handle for all; never a deadlock, whatever the order.
///
/// @param n_specs      The number of entries; 0 makes a guard of nothing.
/// @param specs        The n_specs entries: array, stream, and access TN_READ (with TN_FROZEN), TN_READ_WRITE, or TN_WRITE, which
///                     overwrites everything; writing ones with a TN_WRITE_ mode. NULL only with n_specs 0.
/// @param[out] views   The n_specs views, in the order of the specs; their pointers are valid until the guard ends. May be NULL. On
///                     failure: untouched.
/// @param[out] out     The guard. Ended by one `tn_borrow_end`. On failure: untouched.
/// @return what single borrows would get, the first in the order of checks over all entries; TN_ERR_ALIASED where an entry writes what
///         another one uses, or moves to a copy beside another entry of the same handle; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: for the device, where an entry has TN_WAIT. Allocates: bookkeeping; the copies of COW entries.
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
                unsafe { views.add(index).write(convert::view(hold.layout(), hold.device())) };
            }
        })?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(guard)) };
        Ok(())
    })
}

/// Opens write guards on consecutive parts of an axis, for as many threads: the checks of one write of everything, then a guard for each part, all or none.
///
/// @param array        An array.
/// @param axis         The axis; a negative one counts from the last one.
/// @param n_chunks     The number of parts, at least 1; the first (length mod n_chunks) of them are one longer. More parts than indices are
///                     empty.
/// @param mode         As for `tn_array_borrow_write`, decided once for the whole array.
/// @param stream       As for `tn_array_borrow_write`.
/// @param[out] chunks  The n_chunks parts: guard, pointer (NULL if empty), first index and length on the axis. Each guard is ended by
///                     `tn_borrow_end`, on any thread. On failure: untouched.
/// @return as `tn_array_borrow_write`; TN_ERR_INVALID for n_chunks 0; TN_ERR_RANGE for an axis that is not there; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: with TN_WAIT for the device. Allocates: bookkeeping; COW that copies the copy.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_chunks_write(
    array: *mut tn_array,
    axis: i32,
    n_chunks: usize,
    mode: tn_write_mode,
    stream: *mut tn_stream,
    chunks: *mut tn_chunk,
) -> tn_status {
    enter("tn_array_chunks_write", || {
        let id = convert::id(array, "array")?;
        let chunks = Out::new(chunks, "chunks")?;
        let (stream, wanted) = (convert::stream(stream), borrow::mode(mode, 0));
        let call = BorrowContext::new(c"tn_array_chunks_write");
        let wait = mode & TN_WAIT != 0;
        borrow::chunks(call, id, (axis, n_chunks), stream, wanted, wait, |index, guard, layout, start, length| {
            let data = convert::data(layout);
            // SAFETY: n_chunks places, by this function's documentation.
            unsafe {
                chunks
                    .write_at(index, tn_chunk { guard: convert::handle(guard), data, start, length, reserved: [0; 4] })
            };
        })
    })
}

/// Says what an open guard gives access to.
///
/// @param borrow       A guard of one array.
/// @param[out] info    The struct to fill, with `size` set by the caller. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size, and for a guard of `tn_borrow_all`, whose views
///         have it all.
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
        borrow::query(id, |layout, device| {
            let view = convert::view(layout, device);
            value = tn_borrow_info { size: 0, data: view.data, device_data: view.device_data, bytes: view.bytes };
        })?;
        if value.device_data == 0 {
            // Of page-locked memory the driver may know another address.
            value.device_data = device_copy::device_address(value.data as usize);
        }
        // SAFETY: writable by this function's documentation.
        unsafe { info.write(&value, size_of::<tn_borrow_info>()) };
        Ok(())
    })
}

/// Ends a guard of any kind, once. The bytes go back if it was the last that held them.
///
/// @param borrow   A guard; its pointers are not to be used any more.
/// @param flags    TN_END_FAILED: what a writer wrote is undefined; reading its region is refused until it is rewritten. Ignored for
///                 readers.
/// @param stream   The stream that the last work on the bytes is on, which may go on: who uses them next comes after it. NULL: it is done.
///                 On host memory the stream constants mean the same. Of a `tn_borrow_all` it is meant for the entries that were taken with
///                 a stream.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, TN_ERR_DEVICE for a stream of another device, TN_ERR_DRIVER, and
///         then the guard stays open.
/// @note Threads: any, also another one than the borrow's. Blocks: never. Allocates: nothing. May run the release callback of an import, under
///       no lock.
/// @since 0.1
/// @ingroup borrow
#[unsafe(no_mangle)]
pub extern "C" fn tn_borrow_end(borrow: *mut tn_borrow, flags: tn_end_flags, stream: *mut tn_stream) -> tn_status {
    enter("tn_borrow_end", || {
        let id = convert::id(borrow, "borrow")?;
        if stream.is_null() { borrow::end(id, flags) } else { borrow::end_slow(id, flags, convert::stream(stream)) }
    })
}
