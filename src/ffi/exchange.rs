//! Section "exchange": exports to other libraries and imports from them, with DLPack and the CUDA array interface.
//!
//! An export that aliases keeps the store alive until the consumer released it. There are three classes. XR, the
//! default, is read-only. XS (TN_EXPORT_WRITABLE) is a shared view that both sides may write. XW (with
//! TN_EXPORT_EXCLUSIVE too) is exclusive.

use crate::boundary::enter;
use crate::error::{Result, fail};
use crate::exchange::cuda_array_interface;
use crate::exchange::cudamat;
use crate::exchange::dlpack::{self, Form, Options};
use crate::exchange::host::{self, Export};
use crate::ffi::convert::{self, Noted, Out};
use crate::ledger::{self, Claim, Class};
use crate::types::*;
use core::ffi::{CStr, c_void};

/// Exports an array as raw host bytes with a layout, for consumers without an exchange format. It is the counterpart of
/// `tn_array_import_host`.
///
/// @param array        An array. It may be released while the export lives.
/// @param flags        No flag: a copy, which only the guard holds. TN_BORROW: an alias where possible.
///                     TN_REQUIRE_BORROW: an alias, else an error. An alias is read-only; with TN_EXPORT_WRITABLE it is
///                     a shared view, with TN_EXPORT_EXCLUSIVE too it is exclusive. Also TN_EXPORT_NONNEGATIVE,
///                     TN_EXPORT_C_CONTIGUOUS, TN_UNORDERED, TN_WAIT.
/// @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
/// @param stream       The stream that accesses the bytes; NULL: the host, now. On host memory the stream constants
///                     mean the same as NULL.
/// @param[out] view    The address and the layout, valid until the guard ends.
/// @param[out] guard   The guard. Ended by `tn_borrow_end`, which ends the export.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_LAYOUT if only a copy is possible; TN_ERR_DEVICE for bytes that the host cannot access;
///         TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED,
///         TN_ERR_IN_EXPRESSION; TN_ERR_PENDING while a device uses the bytes; TN_ERR_FOREIGN; TN_ERR_WOULD_COPY;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: with TN_WAIT, until the device's work is done. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_host(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    mode: tn_write_mode,
    stream: *mut tn_stream,
    view: *mut tn_view_info,
    guard: *mut *mut tn_borrow,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_host", || {
        let id = convert::id(array, "array")?;
        let (view, guard) = (Out::new(view, "view")?, Out::new(guard, "guard")?);
        ledger::find::<Claim>(id)?;
        let stream = convert::stream(stream)?;
        host::check_flags(flags, host::EXPORT_FLAGS)?;
        let (class, unique) = host::class(flags, mode, true)?;
        let export = Export { function: c"tn_array_export_host", flags, class, copy: Class::ExportExclusive, unique };
        let exported = host::export(id, &export, Ok(stream), &|layout| host::unwanted(flags, layout))?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            let mut is = convert::view(exported.guard.layout(), exported.guard.device());
            convert::add_device_address(&mut is);
            view.write(is);
            convert::write_opt(how, exported.how);
            guard.write(convert::handle(exported.guard.publish()));
        }
        Ok(())
    })
}

/// # Safety
/// - `options` is NULL or points to a struct of the size it says.
#[inline(always)]
unsafe fn dlpack_options(options: *const tn_dlpack_options) -> Noted<Options> {
    // SAFETY: the caller's obligation.
    let raw = unsafe { convert::sized(options)? };
    let raw = raw.unwrap_or(<tn_dlpack_options as convert::VersionedStruct>::defaults());
    if raw.reserved != 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("tn_dlpack_options.reserved is {}; set it to 0", raw.reserved)));
    }
    Ok(Options {
        flags: raw.flags,
        mode: raw.mode,
        label: raw.label,
        target: raw.target,
        consumer: convert::stream(raw.consumer),
    })
}

/// # Safety
/// - `options` is NULL or points to a struct of the size it says; `out` and `how` may be written, `how` may be NULL.
#[inline(always)]
unsafe fn export<T>(
    function: &'static CStr,
    form: Form,
    array: *mut tn_array,
    options: *const tn_dlpack_options,
    out: *mut *mut T,
    how: *mut tn_how,
) -> Result<()> {
    let id = convert::id(array, "array")?;
    let out = Out::new(out, "out")?;
    // SAFETY: the caller's obligation.
    let options = unsafe { dlpack_options(options) };
    let (tensor, was) = dlpack::export(function, id, options, form)?;
    // SAFETY: the caller's obligation.
    unsafe {
        convert::write_opt(how, was);
        out.write(tensor.cast());
    }
    Ok(())
}

/// Exports an array as a DLManagedTensor: the DLPack struct without a version, which cannot express "read-only".
///
/// @param array        An array. It may be released while the export lives.
/// @param options      The flags, write mode, device label and target; NULL: a copy with the device label unchanged.
/// @param[out] out     The struct, with byte_offset 0 and strides in elements, never NULL. The consumer ends the export
///                     by calling the struct's deleter, exactly once, on any thread. On failure: untouched.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_export_host`; TN_ERR_READONLY for a READONLY array without
///         TN_EXPORT_CONSUMER_READS, because then this format exports a shared view; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED
///         for a label or target that is impossible for the memory.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_dlpack(
    array: *mut tn_array,
    options: *const tn_dlpack_options,
    out: *mut *mut DLManagedTensor,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_dlpack", || {
        // SAFETY: a struct of that size and writable outputs, by this function's documentation.
        unsafe { export(c"tn_array_export_dlpack", Form::Legacy, array, options, out, how) }
    })
}

/// Exports an array as a DLManagedTensorVersioned of version 1.1, with its flags for read-only and copied.
///
/// @param array        An array. It may be released while the export lives.
/// @param options      The flags, write mode, device label and target; NULL: a copy with the device label unchanged.
/// @param[out] out     The struct, with byte_offset 0 and strides in elements, never NULL. The consumer ends the export
///                     by calling the struct's deleter, exactly once, on any thread. On failure: untouched.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_export_host`; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED for a label or target that is
///         impossible for the memory.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_dlpack_versioned(
    array: *mut tn_array,
    options: *const tn_dlpack_options,
    out: *mut *mut DLManagedTensorVersioned,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_dlpack_versioned", || {
        // SAFETY: a struct of that size and writable outputs, by this function's documentation.
        unsafe { export(c"tn_array_export_dlpack_versioned", Form::Versioned, array, options, out, how) }
    })
}

/// Makes an array from a DLManagedTensor. If the bytes belong to a live store, the array is another claim on it; a
/// struct exported by this library becomes a clone.
///
/// @param tensor       The struct. On success the library owns it and calls its deleter exactly once: at once if the
///                     bytes were copied, else after the last holder derived from the import ended. On failure the
///                     caller still owns it.
/// @param flags        As for `tn_array_import_host`. TN_IMPORT_WRITABLE: the producer permits writing; without it the
///                     handle is READONLY. For a tensor on a device the thread's current stream must come after the
///                     producer's work, and all uses of the array come after that stream's present work. With
///                     TN_UNORDERED the caller orders them.
/// @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_import_host`; TN_ERR_DEVICE for memory of another device than the tensor states,
///         by the driver's knowledge, and for a GPU that does not exist.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_dlpack(
    tensor: *mut DLManagedTensor,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_dlpack", || {
        convert::id(tensor, "tensor")?;
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of the caller's, by this function's documentation.
        let imported = unsafe { dlpack::import_legacy(c"tn_array_import_dlpack", tensor.cast(), flags)? };
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}

/// Makes an array from a DLManagedTensorVersioned. If the bytes belong to a live store, the array is another claim on
/// it; a struct exported by this library becomes a clone.
///
/// @param tensor       The struct, as for `tn_array_import_dlpack`. For a struct of another major version the call
///                     fails and calls its deleter, as the format requires.
/// @param flags        As for `tn_array_import_host`. The struct's read-only flag makes the handle READONLY.
/// @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
/// @return The statuses of `tn_array_import_dlpack`; TN_ERR_UNSUPPORTED for another major version.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_dlpack_versioned(
    tensor: *mut DLManagedTensorVersioned,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_dlpack_versioned", || {
        convert::id(tensor, "tensor")?;
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of the caller's, by this function's documentation.
        let imported = unsafe { dlpack::import_versioned(c"tn_array_import_dlpack_versioned", tensor.cast(), flags)? };
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}

/// Gets DLPack's table of C functions, with which other libraries exchange arrays with the Python package without a
/// call into the interpreter.
///
/// @param[out] out     The table, of version 1.3, valid until the process ends. No function in it is NULL, and it links
///                     to no older table. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED until the Python package is imported, which provides three of the
///         functions.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_dlpack_exchange_api(out: *mut *const DLPackExchangeAPI) -> tn_status {
    enter("tn_dlpack_exchange_api", || {
        let out = Out::new(out, "out")?;
        let table = dlpack::exchange_api()?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(table.cast()) };
        Ok(())
    })
}

/// Exports an array that devices can access, as the CUDA array interface describes it. The interface has no release:
/// the guard is the release.
///
/// @param array        An array in memory of a GPU, in managed memory, or in page-locked memory that is mapped. It may
///                     be released while the export lives.
/// @param flags        As for `tn_array_export_host`. A copy stays on the array's device.
/// @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
/// @param stream       The consumer's stream, which is made to wait for unfinished work on the bytes. NULL: it is not
///                     known, and `out` names a stream to wait for.
/// @param[out] out     The struct to fill, with `size` set by the caller. Its lists are valid until the guard ends. Its
///                     stream never ends.
/// @param[out] guard   The guard. Ended by `tn_borrow_end` with the stream of the consumer's last work; that ends the
///                     export.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
/// @return The statuses of `tn_array_export_host`; TN_ERR_DTYPE for bfloat16, which the interface does not have;
///         TN_ERR_DEVICE for bytes that no device can access, and for a stream of another device; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_cuda_array_interface(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    mode: tn_write_mode,
    stream: *mut tn_stream,
    out: *mut tn_cuda_array_interface,
    guard: *mut *mut tn_borrow,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_cuda_array_interface", || {
        let id = convert::id(array, "array")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let out = unsafe { convert::fill(out, "out")? };
        let guard = Out::new(guard, "guard")?;
        ledger::find::<Claim>(id)?;
        let (stream, out) = (convert::stream(stream)?, out?);
        let function = c"tn_array_export_cuda_array_interface";
        let (description, opened, was) = cuda_array_interface::export(function, id, flags, mode, Ok(stream))?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(&description, size_of::<tn_cuda_array_interface>());
            convert::write_opt(how, was);
            guard.write(convert::handle(opened.publish()));
        }
        Ok(())
    })
}

/// Makes an array of memory that the CUDA array interface of another library describes. The driver says whose memory it
/// is.
///
/// @param source       The description; the lists are read during the call only. Versions up to 3, and later ones with
///                     these fields. The pointers in it must point to what its fields say.
/// @param flags        As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides.
/// @param release      As for `tn_array_import_host`. It also runs only after this library's work on the bytes is done.
/// @param context      Passed to release.
/// @param[out] out     The array, READONLY if the description says so. Work of the description's stream counts as
///                     unfinished work on it, and the thread's current stream waits for it.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched, and the bytes stay
///                     the caller's.
/// @return The statuses of `tn_array_import_host`; TN_ERR_INVALID for stream 0; TN_ERR_DTYPE for a typestr without an
///         element type; TN_ERR_DEVICE for an address that the driver does not know, or of a context other than the
///         primary one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: only for a copy, until it is done. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_cuda_array_interface(
    source: *const tn_cuda_array_interface,
    flags: tn_borrow_flags,
    release: tn_release_callback,
    context: *mut c_void,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_cuda_array_interface", || {
        convert::id(source, "source")?;
        let out = Out::new(out, "out")?;
        let release = convert::release(flags, release, context)?;
        let function = c"tn_array_import_cuda_array_interface";
        // SAFETY: a struct of that size, whose pointers point to what it says, by this function's documentation.
        let imported = unsafe {
            let source = convert::sized(source)?.expect("not NULL");
            cuda_array_interface::import(function, source, flags, release)?
        };
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}

/// Exports an array as CUDAMat's matrix of float32. CUDAMat works on the legacy stream, which is made to wait for
/// unfinished work.
///
/// @param array        An array of float32 with 2 axes in memory of a GPU or in managed memory, and at most 2^31 - 1
///                     elements. It may be released while the export lives.
/// @param flags        As for `tn_array_export_host`. An F-contiguous array is shared, and CUDAMat sees it as it is.
///                     With TN_CUDAMAT_TRANSPOSED a C-contiguous array is shared, and CUDAMat sees its transpose. Any
///                     other order needs a copy. The struct cannot express "read-only": an export is a shared view,
///                     unless TN_EXPORT_CONSUMER_READS is given.
/// @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
/// @param[out] out     The struct to fill, for one matrix of CUDAMat, which may change it. owns_data is 0.
/// @param[out] guard   The guard. Ended by `tn_borrow_end`, with TN_STREAM_LEGACY if CUDAMat's work may be unfinished.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
/// @return The statuses of `tn_array_export_host`; TN_ERR_DTYPE, TN_ERR_SHAPE for another number of axes,
///         TN_ERR_OVERFLOW; TN_ERR_LAYOUT if only a copy is possible; TN_ERR_DEVICE for memory of the host;
///         TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_cudamat(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    mode: tn_write_mode,
    out: *mut tn_cudamat,
    guard: *mut *mut tn_borrow,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_cudamat", || {
        let id = convert::id(array, "array")?;
        let (out, guard) = (Out::new(out, "out")?, Out::new(guard, "guard")?);
        let (matrix, opened, was) = cudamat::export(c"tn_array_export_cudamat", id, flags, mode)?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            out.write(matrix);
            convert::write_opt(how, was);
            guard.write(convert::handle(opened.publish()));
        }
        Ok(())
    })
}

/// Makes an array of the elements of CUDAMat's matrix.
///
/// @param source       The matrix, with its elements on a GPU. It is read during the call only.
/// @param flags        As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides.
/// @param release      As for `tn_array_import_host`. NULL is refused if the matrix owns its elements.
/// @param context      Passed to release.
/// @param[out] out     The array: size[0] x size[1], by columns; with is_trans its transpose. CUDAMat's unfinished
///                     work, which is on the legacy stream, counts as unfinished work on it.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched, and the elements
///                     stay CUDAMat's.
/// @return The statuses of `tn_array_import_host`; TN_ERR_NULL, also for data_device with elements; TN_ERR_INVALID for
///         is_trans; TN_ERR_OVERFLOW for more than 2^31 - 1 elements; TN_ERR_SHAPE for a negative size; TN_ERR_DEVICE
///         if the elements are not on a GPU, or not in its primary context; TN_ERR_UNSUPPORTED without a driver;
///         TN_ERR_DRIVER.
/// @note Threads: any. Blocks: only for a copy, until it is done. Allocates: bookkeeping, or the copy.
/// @since 0.1
/// @ingroup exchange
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_cudamat(
    source: *const tn_cudamat,
    flags: tn_borrow_flags,
    release: tn_release_callback,
    context: *mut c_void,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_cudamat", || {
        convert::id(source, "source")?;
        let out = Out::new(out, "out")?;
        let release = convert::release(flags, release, context)?;
        // SAFETY: a matrix that describes elements on a GPU, by this function's documentation; read as a value.
        let imported =
            unsafe { cudamat::import(c"tn_array_import_cudamat", &source.read_unaligned(), flags, release)? };
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}
