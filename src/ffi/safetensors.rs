//! Section "safetensors": files of many named tensors.

use crate::boundary::enter;
use crate::error::{Result, fail};
use crate::exchange::safetensors::{self, File, Tensor};
use crate::ffi::convert::{self, Out};
use crate::types::*;
use core::ffi::{CStr, c_char};

/// Lists the tensors of a safetensors file in the order of their bytes. Reads the header and nothing else.
///
/// @param path       the file, NUL-terminated.
/// @param capacity   places in `infos`.
/// @param[out] infos as many tensors as fit; NULL only with capacity 0.
/// @param[out] count how many tensors the file has. On failure nothing is written.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_DTYPE for an element type that no array has (8-bit floats and smaller); TN_ERR_LIMIT for a header of more
///         than 100 000 000 bytes, more than 64 axes, a size that overflows; TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the file
///         cannot be read or is damaged, which its whole header is checked for.
/// @note Threads: any. Blocks: for the file system. Allocates: the header, and a few times its length meanwhile.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_safetensors_query(
    path: *const c_char,
    capacity: usize,
    infos: *mut tn_safetensors_info,
    count: *mut usize,
) -> tn_status {
    enter("tn_safetensors_query", || {
        // SAFETY: NULL or a text, by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        let count = Out::new(count, "count")?;
        let infos = if capacity == 0 { None } else { Some(Out::new(infos, "infos")?) };
        let file = File::open(path)?;
        let tensors = file.header().tensors();
        // SAFETY: `capacity` places and the count are writable, by this function's documentation.
        unsafe {
            tensors.iter().take(capacity).enumerate().for_each(|(at, tensor)| {
                infos.into_iter().for_each(|infos| infos.write_at(at, info(&file, tensor)));
            });
            count.write(tensors.len());
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
/// @param path     the file, NUL-terminated. A file that is cut short while it is mapped ends the process at the next touch (SIGBUS).
/// @param pool     where what is read goes; NULL: the thread's current host pool.
/// @param n        number of names.
/// @param names    `n` NUL-terminated names; NULL only with n 0. The same name twice gives two arrays.
/// @param flags    none: all are read into the pool. TN_BORROW: all are READONLY arrays on one mapping of the file, which ends with the last of
///                 them; one whose bytes are not aligned for its elements is read. TN_REQUIRE_BORROW: that one is a status.
/// @param[out] out `n` arrays in the order of the names, each released by `tn_array_release`.
/// @param[out] how `n` times TN_ALIASED or TN_COPIED; NULL: not wanted. On failure all are untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND of the pool; TN_ERR_INVALID, also for a name that is not there; TN_ERR_WOULD_COPY; and as
///         `tn_safetensors_query`; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and what is read.
/// @since 0.1
/// @ingroup safetensors
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_open_safetensors(
    path: *const c_char,
    pool: *mut tn_pool,
    n: usize,
    names: *const *const c_char,
    flags: u32,
    out: *mut *mut tn_array,
    how: *mut i32,
) -> tn_status {
    enter("tn_array_open_safetensors", || {
        // SAFETY: texts and arrays as this function's documentation says.
        let (path, names) = unsafe { (convert::text(path, "path")?, texts(n, names)?) };
        let outs = if n == 0 { None } else { Some(Out::new(out, "out")?) };
        let pool = convert::pool(pool)?;
        // SAFETY: checked for NULL by `texts`; they stay during the call.
        let names = names.iter().map(|name| unsafe { CStr::from_ptr(*name) });
        safetensors::open(c"tn_array_open_safetensors", path, pool, names, flags, |at, id, was| {
            // SAFETY: n places are writable, by this function's documentation.
            unsafe {
                outs.into_iter().for_each(|out| out.write_at(at, convert::handle(id)));
                convert::write_opt(if how.is_null() { how } else { how.add(at) }, was);
            }
        })
    })
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
