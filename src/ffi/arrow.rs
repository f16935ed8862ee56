//! Section "arrow": Arrow's C data interface, and its C device interface.
//!
//! Arrow's data are immutable: an export is read-only, and an import is a READONLY array. An array of one axis is a
//! primitive array; each further axis is a list of fixed size around it. Arrow's own header, arrow/c/abi.h, defines the
//! structs.

use crate::boundary::enter;
use crate::exchange::arrow;
use crate::ffi::convert::{self, Out};
use crate::types::*;

/// Exports an array through Arrow's C data interface. One axis becomes a primitive array, more axes become lists of a
/// fixed size, and no axis becomes an array of one element.
///
/// @param array       An array. It may be released while the export lives.
/// @param flags       No flag: a copy. TN_BORROW: an alias if the array is C-contiguous, else a copy.
///                    TN_REQUIRE_BORROW: an alias, else an error. Also TN_UNORDERED, TN_WAIT.
/// @param[out] schema The type, not nullable, with an empty name. The consumer releases it by its release callback, and
///                    may move it.
/// @param[out] out    The elements, without nulls and with offset 0. The consumer ends the export by its release
///                    callback, on any thread. It may move the struct and its children; a moved child keeps the bytes
///                    alive until it is released. On failure all outputs are untouched.
/// @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for TN_EXPORT_WRITABLE;
///         TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for bool, bfloat16 and complex elements, which cannot be
///         exported; TN_ERR_OVERFLOW for an inner axis of 2^31 elements or more; TN_ERR_LAYOUT if only a copy is
///         possible; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_WOULD_COPY; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_arrow(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    schema: *mut ArrowSchema,
    out: *mut ArrowArray,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_arrow", || {
        let id = convert::id(array, "array")?;
        let (schema, out) = (Out::new(schema, "schema")?.pointer(), Out::new(out, "out")?.pointer());
        // SAFETY: writable by this function's documentation.
        let was = unsafe { arrow::export(c"tn_array_export_arrow", id, flags, schema.cast(), out.cast())? };
        // SAFETY: NULL or writable by this function's documentation.
        unsafe { convert::write_opt(how, was) };
        Ok(())
    })
}

/// Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, from any memory.
///
/// A consumer on a device names no stream, neither here nor when it releases the array. So what its streams have at the
/// release counts as unfinished reads, until a wait for all work of the device (`tn_device_synchronize`): writes of the
/// array by the host wait for it, writes on a stream fail with TN_ERR_DRIVER, and the memory is not reused before. An
/// array that comes back by `tn_array_import_arrow_device` leaves nothing to wait for.
///
/// @param array       An array. It may be released while the export lives.
/// @param flags       As for `tn_array_export_arrow`. A copy stays on the array's device. TN_UNORDERED: without an
///                    event, and later writes of the array do not wait for the consumer.
/// @param[out] schema The type, as for `tn_array_export_arrow`.
/// @param[out] out    The elements, as for `tn_array_export_arrow`. In memory of a GPU and managed memory: with
///                    addresses for devices, that device, and in sync_event a CUevent behind all unfinished work on the
///                    bytes, which lives until then; NULL if there is none. The host does not wait. In other memory:
///                    device_type 1 (the host), device_id -1, no sync_event. On failure all outputs are untouched.
/// @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_export_arrow`; TN_ERR_DRIVER; TN_ERR_UNSUPPORTED if the event would become part of
///         a graph capture.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_arrow_device(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    schema: *mut ArrowSchema,
    out: *mut ArrowDeviceArray,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_arrow_device", || {
        let id = convert::id(array, "array")?;
        let (schema, out) = (Out::new(schema, "schema")?.pointer(), Out::new(out, "out")?.pointer());
        // SAFETY: writable by this function's documentation.
        let was =
            unsafe { arrow::export_device(c"tn_array_export_arrow_device", id, flags, schema.cast(), out.cast())? };
        // SAFETY: NULL or writable by this function's documentation.
        unsafe { convert::write_opt(how, was) };
        Ok(())
    })
}

/// Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers. If the bytes belong to a live
/// store, the array is another claim on it.
///
/// @param schema   The type of the array. The caller keeps it.
/// @param source   The array. On success it is moved into the library: its release callback here becomes NULL. The
///                 library calls that callback exactly once: at once if the bytes were copied, else after the last
///                 holder derived from the import ended. On failure the caller still owns the array.
/// @param flags    As for `tn_array_import_host`.
/// @param[out] out The array. It is READONLY, as Arrow's data are immutable; a requested copy (no flag) is writable.
///                 Released by `tn_array_release`. On failure: untouched.
/// @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
/// @return TN_OK; TN_ERR_NULL, also for pointers in the structs; TN_ERR_STALE for a released struct; TN_ERR_INVALID;
///         TN_ERR_DTYPE for types without elements of a fixed size (bools, which are packed bits; texts, dictionaries,
///         unions, structs); TN_ERR_OVERFLOW; TN_ERR_SHAPE for contradictory lengths; TN_ERR_RANGE; TN_ERR_UNSUPPORTED
///         for nulls, also if they are only possible (null_count -1 with a validity bitmap); and the statuses of
///         `tn_array_import_host`.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_arrow(
    schema: *const ArrowSchema,
    source: *mut ArrowArray,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_arrow", || {
        convert::id(schema, "schema")?;
        convert::id(source, "source")?;
        let out = Out::new(out, "out")?;
        // SAFETY: structs of the caller's and writable outputs, by this function's documentation.
        unsafe {
            let imported = arrow::import(c"tn_array_import_arrow", schema.cast(), source.cast(), flags)?;
            convert::write_import(imported, out, how);
        }
        Ok(())
    })
}

/// Makes an array from an Arrow device array in memory of the host or of a GPU. Otherwise as `tn_array_import_arrow`.
///
/// @param schema   The type of the array. The caller keeps it.
/// @param source   The array, as for `tn_array_import_arrow`. Its device_type is 1 (the host), 2 (a GPU), 3
///                 (page-locked memory) or 13 (managed memory); device_id counts for 2 and 13. On a device the release
///                 callback also runs only after this library's work on the bytes is done.
/// @param flags    As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides, and
///                 sync_event is not read.
/// @param[out] out The array, as for `tn_array_import_arrow`. The thread's current stream waits for sync_event, and
///                 every use of the array comes after it. The host does not wait.
/// @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_import_arrow`; TN_ERR_DEVICE for memory that is not of the stated device, for an
///         unknown device_type, and for a sync_event with memory of the host; TN_ERR_NULL for a sync_event that points
///         to NULL; TN_ERR_DRIVER; TN_ERR_UNSUPPORTED while the current stream captures a graph, and without a driver.
/// @note Threads: any. Blocks: only for a copy from a device, until it is done. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_arrow_device(
    schema: *const ArrowSchema,
    source: *mut ArrowDeviceArray,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_arrow_device", || {
        convert::id(schema, "schema")?;
        convert::id(source, "source")?;
        let out = Out::new(out, "out")?;
        // SAFETY: structs of the caller's and writable outputs, by this function's documentation.
        unsafe {
            let imported = arrow::import_device(c"tn_array_import_arrow_device", schema.cast(), source.cast(), flags)?;
            convert::write_import(imported, out, how);
        }
        Ok(())
    })
}
