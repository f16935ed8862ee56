//! Section "arrow": Arrow's C data interface, and its C device interface for host memory.
//!
//! Arrow's data are immutable: an export is read-only, and an import is a READONLY array. An array of one axis is a primitive array; each
//! further axis is a list of fixed size around it. Arrow's own header, arrow/c/abi.h, defines the structs.

use crate::boundary::enter;
use crate::exchange::arrow;
use crate::ffi::convert::{self, Out};
use crate::types::*;

/// Exports an array through Arrow's C data interface. One axis becomes a primitive array, more axes become lists of a fixed size, and no
/// axis becomes an array of one element.
///
/// @param array       An array. It may be released while the export lives.
/// @param flags       No flag: a copy. TN_BORROW: an alias if the array is C-contiguous, else a copy. TN_REQUIRE_BORROW: an alias, else an
///                    error. Also TN_UNORDERED, TN_WAIT.
/// @param[out] schema The type, not nullable, with an empty name. The consumer releases it by its release callback, and may move it.
/// @param[out] out    The elements, without nulls and with offset 0. The consumer ends the export by its release callback, on any thread.
///                    It may move the struct and its children; a moved child keeps the bytes alive until it is released. On failure all
///                    outputs are untouched.
/// @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for TN_EXPORT_WRITABLE; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DTYPE for bool, bfloat16 and complex elements, which cannot be exported; TN_ERR_OVERFLOW for an inner axis of 2^31
///         elements or more; TN_ERR_LAYOUT if only a copy is possible; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED;
///         TN_ERR_WOULD_COPY; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_arrow(
    array: *mut tn_array,
    flags: tn_crossing_flags,
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

/// Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, with the host as the device.
///
/// @param array       An array. It may be released while the export lives.
/// @param flags       As for `tn_array_export_arrow`.
/// @param[out] schema The type, as for `tn_array_export_arrow`.
/// @param[out] out    The elements, with device_type 1 (the host), device_id -1 and no sync_event. On failure all outputs are untouched.
/// @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_export_arrow`.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_arrow_device(
    array: *mut tn_array,
    flags: tn_crossing_flags,
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

/// Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers. If the bytes belong to a live store, the array is
/// another claim on it.
///
/// @param schema   The type of the array. The caller keeps it.
/// @param source   The array. On success it is moved into the library: its release callback here becomes NULL. The library calls that
///                 callback exactly once: at once if the bytes were copied, else after the last holder derived from the import ended. On
///                 failure the caller still owns the array.
/// @param flags    As for `tn_array_import_host`.
/// @param[out] out The array. It is READONLY, as Arrow's data are immutable; a requested copy (no flag) is writable. Released by
///                 `tn_array_release`. On failure: untouched.
/// @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
/// @return TN_OK; TN_ERR_NULL, also for pointers in the structs; TN_ERR_STALE for a released struct; TN_ERR_INVALID; TN_ERR_DTYPE for types
///         without elements of a fixed size (bools, which are packed bits; texts, dictionaries, unions, structs); TN_ERR_OVERFLOW;
///         TN_ERR_SHAPE for contradictory lengths; TN_ERR_RANGE; TN_ERR_UNSUPPORTED for nulls, also if they are only possible (null_count
///         -1 with a validity bitmap); and the statuses of `tn_array_import_host`.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_arrow(
    schema: *const ArrowSchema,
    source: *mut ArrowArray,
    flags: tn_crossing_flags,
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

/// Makes an array from an Arrow device array, whose memory the host must be able to access. Otherwise as `tn_array_import_arrow`.
///
/// @param schema   The type of the array. The caller keeps it.
/// @param source   The array, as for `tn_array_import_arrow`, with any device_id.
/// @param flags    As for `tn_array_import_host`.
/// @param[out] out The array, as for `tn_array_import_arrow`.
/// @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_import_arrow`; TN_ERR_DEVICE for a device other than the host, or a sync_event.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup arrow
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_arrow_device(
    schema: *const ArrowSchema,
    source: *mut ArrowDeviceArray,
    flags: tn_crossing_flags,
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
