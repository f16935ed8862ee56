//! Section "safetensors": files of many named tensors.

use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::exchange::npy::Origin;
use crate::exchange::safetensors::{self, File, Tensor};
use crate::ffi::convert::{self, Out};
use crate::pool::Pool;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// Lists the tensors of a safetensors file, in the order of their bytes. The call reads only the header.
///
/// @param path       The file, NUL-terminated.
/// @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
/// @param capacity   The number of items at infos.
/// @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
/// @param[out] n_infos The number of tensors in the file. On failure all outputs are untouched.
/// @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small; TN_ERR_OVERFLOW
///         for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a header of more than 100 000 000 bytes;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the file cannot be read, or its header is invalid. The
///         whole header is checked.
/// @note Threads: any. Blocks: for the file system. Allocates: during the call, a few times the length of the header.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_safetensors_query(
    path: *const c_char,
    item_size: usize,
    capacity: usize,
    infos: *mut tn_safetensors_info,
    n_infos: *mut usize,
) -> tn_status {
    enter("tn_safetensors_query", || {
        // SAFETY: NULL or a text, by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        // SAFETY: writable by this function's documentation.
        unsafe { query(Origin::Path(path), item_size, capacity, infos, n_infos) }
    })
}

/// Lists the tensors of an open safetensors file, as `tn_safetensors_query` does.
///
/// @param fd         The descriptor of a regular file, which the caller still closes. Its position is neither used nor
///                   changed.
/// @param offset     The offset in bytes at which the safetensors data begin; they reach to the end of the file.
/// @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
/// @param capacity   The number of items at infos.
/// @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
/// @param[out] n_infos The number of tensors in the file. On failure all outputs are untouched.
/// @return The statuses of `tn_safetensors_query`.
/// @note Threads: any. Blocks: for the file system. Allocates: during the call, a few times the length of the header.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_safetensors_query_fd(
    fd: i32,
    offset: u64,
    item_size: usize,
    capacity: usize,
    infos: *mut tn_safetensors_info,
    n_infos: *mut usize,
) -> tn_status {
    enter("tn_safetensors_query_fd", || {
        // SAFETY: writable by this function's documentation.
        unsafe { query(Origin::Descriptor { fd, offset }, item_size, capacity, infos, n_infos) }
    })
}

/// # Safety
/// - `infos` is writable for `capacity` items of `item_size` bytes, and `n_infos` is NULL or writable.
unsafe fn query(
    origin: Origin<'_>,
    item_size: usize,
    capacity: usize,
    infos: *mut tn_safetensors_info,
    n_infos: *mut usize,
) -> Result<()> {
    let infos = convert::list(item_size, capacity, infos, "infos")?;
    let n_infos = Out::new(n_infos, "n_infos")?;
    let mut infos = infos?;
    let file = File::open(origin)?;
    // SAFETY: the caller's obligation.
    unsafe {
        file.header().tensors().iter().for_each(|tensor| infos.add(&info(&file, tensor)));
        n_infos.write(infos.count());
    }
    Ok(())
}

fn info(file: &File, tensor: &Tensor) -> tn_safetensors_info {
    let (name, shape) = (file.header().name(tensor), file.header().shape(tensor));
    let mut info = tn_safetensors_info {
        dtype: tensor.dtype.map_or(0, Dtype::raw),
        ndim: shape.len() as i32,
        bytes: tensor.bytes(),
        name_bytes: name.len() as u64,
        name: [0; 256],
        shape: [0; TN_MAX_NDIM],
        reserved: [0; 2],
    };
    info.shape[..shape.len()].copy_from_slice(shape);
    // The last byte stays the NUL.
    const { assert!(size_of::<[c_char; 256]>() == safetensors::LISTED_NAME_BYTES + 1) };
    for (to, from) in info.name.iter_mut().zip(safetensors::listed_name(name).bytes()) {
        *to = from as c_char;
    }
    info
}

/// Opens tensors of a safetensors file by their names, all or none.
///
/// @param path     The file, NUL-terminated. If it is truncated while it is mapped, an access past its end raises
///                 SIGBUS.
/// @param n_names  The number of names.
/// @param names    The n_names NUL-terminated names, in any length, or cut as `tn_safetensors_query` lists them if only
///                 one tensor is listed so. NULL only with n_names 0. A name that occurs twice makes two arrays.
/// @param options  The pool and the flags. No flag: read all tensors into the pool. TN_BORROW: make READONLY arrays on
///                 one mapping of the file, which ends with the last of them; a tensor that is not aligned for its
///                 elements is read. TN_REQUIRE_BORROW: such a tensor is an error. NULL: no flag, and the thread's
///                 current host pool.
/// @param[out] out The n_names arrays, in the order of names. NULL only with n_names 0. Each is released by
///                 `tn_array_release`.
/// @param[out] how The n_names results, each TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are
///                 untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND for the pool; TN_ERR_INVALID, also for a name that the file
///         does not have; TN_ERR_WOULD_COPY; the statuses of `tn_safetensors_query`; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and memory for the tensors
///       that are read.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_open_safetensors(
    path: *const c_char,
    n_names: usize,
    names: *const *const c_char,
    options: *const tn_safetensors_options,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_open_safetensors", || {
        // SAFETY: a text by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        // SAFETY: arrays and outputs as this function's documentation says.
        unsafe { open(c"tn_array_open_safetensors", Origin::Path(path), n_names, names, options, out, how) }
    })
}

/// Opens tensors of an open safetensors file by their names, all or none, as `tn_array_open_safetensors` does.
///
/// @param fd       The descriptor of a regular file, which the caller still closes. Its position is neither used nor
///                 changed.
/// @param offset   The offset in bytes at which the safetensors data begin; they reach to the end of the file.
/// @param n_names  The number of names.
/// @param names    The n_names NUL-terminated names. NULL only with n_names 0. A name that is listed twice makes two
///                 arrays.
/// @param options  The pool and the flags, as for `tn_array_open_safetensors`. The alignment of a tensor is that of its
///                 offset in the file.
/// @param[out] out The n_names arrays, in the order of names. NULL only with n_names 0. Each is released by
///                 `tn_array_release`.
/// @param[out] how The n_names results, each TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are
///                 untouched.
/// @return The statuses of `tn_array_open_safetensors`.
/// @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and memory for the tensors
///       that are read.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_open_safetensors_fd(
    fd: i32,
    offset: u64,
    n_names: usize,
    names: *const *const c_char,
    options: *const tn_safetensors_options,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_open_safetensors_fd", || {
        let origin = Origin::Descriptor { fd, offset };
        // SAFETY: arrays and outputs as this function's documentation says.
        unsafe { open(c"tn_array_open_safetensors_fd", origin, n_names, names, options, out, how) }
    })
}

/// # Safety
/// - `names` has n_names texts, `options` is NULL or points to a struct of the size it says, and the outputs have
///   n_names places.
unsafe fn open(
    function: &'static CStr,
    origin: Origin<'_>,
    n_names: usize,
    names: *const *const c_char,
    options: *const tn_safetensors_options,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> Result<()> {
    // SAFETY: the caller's obligation.
    let names = unsafe { texts(n_names, names)? };
    let outs = if n_names == 0 { None } else { Some(Out::new(out, "out")?) };
    // SAFETY: the caller's obligation.
    let (pool, flags) = unsafe { self::options(options)? };
    // SAFETY: checked for NULL by `texts`; they stay during the call.
    let names = names.iter().map(|name| unsafe { CStr::from_ptr(*name) });
    safetensors::open(function, origin, pool, names, flags, |at, id, was| {
        // SAFETY: the caller's obligation.
        unsafe {
            outs.into_iter().for_each(|out| out.write_at(at, convert::handle(id)));
            convert::write_opt(if how.is_null() { how } else { how.add(at) }, was);
        }
    })
}

/// The pool and the flags. An invalid pool is reported before other invalid options.
///
/// # Safety
/// - `options` is NULL or points to a struct of the size it says.
unsafe fn options(options: *const tn_safetensors_options) -> Result<(Option<&'static Pool>, tn_borrow_flags)> {
    // SAFETY: the caller's obligation.
    let options = unsafe { convert::sized(options) };
    let options =
        options.map(|given| given.unwrap_or(<tn_safetensors_options as convert::VersionedStruct>::defaults()));
    let pool = options.map_or(Ok(None), |options| convert::pool(options.pool))?;
    let options = options?;
    if options.reserved != 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("options.reserved is {}; set it to 0", options.reserved)));
    }
    Ok((pool, options.flags))
}

/// # Safety
/// - `names` is NULL or points to `n` pointers.
unsafe fn texts<'a>(n: usize, names: *const *const c_char) -> Result<&'a [*const c_char]> {
    // SAFETY: the caller's obligation.
    let names = unsafe { convert::slice(n, names, "names")? };
    match names.iter().position(|name| name.is_null()) {
        Some(at) => Err(fail(TN_ERR_NULL, format_args!("names[{at}] is NULL"))),
        None => Ok(names),
    }
}
