//! Section "safetensors": files of many named tensors.

use crate::boundary::enter;
use crate::error::{Result, fail};
use crate::exchange::safetensors::{self, File, Tensor};
use crate::ffi::convert::{self, Out};
use crate::pool::Pool;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// Lists the tensors of a safetensors file in the order of their bytes. Reads the header and nothing else.
///
/// @param path       The file, NUL-terminated.
/// @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
/// @param capacity   The number of items at infos.
/// @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
/// @param[out] n_infos The number of tensors in the file. On failure nothing is written.
/// @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small; TN_ERR_DTYPE for an element type
///         that no array has (8-bit floats and smaller); TN_ERR_OVERFLOW for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a
///         header of more than 100 000 000 bytes; TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the file cannot be read or is damaged,
///         which its whole header is checked for.
/// @note Threads: any. Blocks: for the file system. Allocates: the header, and a few times its length meanwhile.
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
        let infos = convert::list(item_size, capacity, infos, "infos")?;
        let n_infos = Out::new(n_infos, "n_infos")?;
        let mut infos = infos?;
        let file = File::open(path)?;
        // SAFETY: `capacity` items and the number are writable, by this function's documentation.
        unsafe {
            file.header().tensors().iter().for_each(|tensor| infos.add(&info(&file, tensor)));
            n_infos.write(infos.count());
        }
        Ok(())
    })
}

fn info(file: &File, tensor: &Tensor) -> tn_safetensors_info {
    let (name, shape) = (file.header().name(tensor), file.header().shape(tensor));
    let mut info = tn_safetensors_info {
        dtype: tensor.dtype.raw(),
        ndim: shape.len() as i32,
        bytes: tensor.end - tensor.begin,
        name_bytes: name.len() as u64,
        name: [0; 256],
        shape: [0; TN_MAX_NDIM],
        reserved: [0; 2],
    };
    info.shape[..shape.len()].copy_from_slice(shape);
    // Cut where a character ends; the last byte stays the NUL.
    let shown = name[..name.len().min(info.name.len() - 1)].utf8_chunks().next().map_or("", |chunk| chunk.valid());
    for (to, from) in info.name.iter_mut().zip(shown.bytes()) {
        *to = from as c_char;
    }
    info
}

/// Opens tensors of a safetensors file by their names, all of them or none.
///
/// @param path     The file, NUL-terminated. A file that is cut short while it is mapped ends the process at the next touch (SIGBUS).
/// @param n_names  The number of names.
/// @param names    The n_names NUL-terminated names; NULL only with n_names 0. The same name twice gives two arrays.
/// @param options  The pool, and flags. No flag: all tensors are read into the pool. TN_BORROW: all are READONLY arrays on one mapping of
///                 the file, which ends with the last of them; one whose bytes are not aligned for its elements is read. TN_REQUIRE_BORROW:
///                 that one is a status. NULL: no flag, and the thread's current host pool.
/// @param[out] out The n_names arrays in the order of the names, each released by `tn_array_release`.
/// @param[out] how For each name TN_ALIASED or TN_COPIED; NULL: not wanted. On failure all are untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND of the pool; TN_ERR_INVALID, also for a name that is not there; TN_ERR_WOULD_COPY;
///         and as `tn_safetensors_query`; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and what is read.
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
        // SAFETY: texts and arrays as this function's documentation says.
        let (path, names) = unsafe { (convert::text(path, "path")?, texts(n_names, names)?) };
        let outs = if n_names == 0 { None } else { Some(Out::new(out, "out")?) };
        // SAFETY: a struct of that size, by this function's documentation.
        let (pool, flags) = unsafe { self::options(options)? };
        // SAFETY: checked for NULL by `texts`; they stay during the call.
        let names = names.iter().map(|name| unsafe { CStr::from_ptr(*name) });
        safetensors::open(c"tn_array_open_safetensors", path, pool, names, flags, |at, id, was| {
            // SAFETY: n_names places are writable, by this function's documentation.
            unsafe {
                outs.into_iter().for_each(|out| out.write_at(at, convert::handle(id)));
                convert::write_opt(if how.is_null() { how } else { how.add(at) }, was);
            }
        })
    })
}

/// The pool and the flags: a wrong pool comes before other wrong options.
///
/// # Safety
/// - `options` is NULL or points to a struct of the size it says.
unsafe fn options(options: *const tn_safetensors_options) -> Result<(Option<&'static Pool>, tn_crossing_flags)> {
    // SAFETY: the caller's promise.
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
    // SAFETY: the caller's promise.
    let names = unsafe { convert::slice(n, names, "names")? };
    match names.iter().position(|name| name.is_null()) {
        Some(at) => Err(fail(TN_ERR_NULL, format_args!("names[{at}] is NULL"))),
        None => Ok(names),
    }
}
