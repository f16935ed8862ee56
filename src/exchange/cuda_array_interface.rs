//! The CUDA array interface, version 3: <https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html>.
//!
//! Contract: the interface has no release, so an export comes with a guard that the caller ends (XC-5). On import every
//! field is checked; only the pointers themselves are trusted.

use crate::array;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::exchange::device::{self, DeviceImport, Producer};
use crate::exchange::host::{self, Export, Imported};
use crate::exchange::npy;
use crate::layout::{Layout, Order, check_ndim};
use crate::ledger::{self, Claim, Class, InternalGuard, Release};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// The version of the interface that exports have.
const VERSION: i32 = 3;

/// The flags that an import accepts.
pub const IMPORT_FLAGS: u32 = host::IMPORT_FLAGS | TN_UNORDERED;

/// Bytes of the longest typestr, with its NUL.
const TYPESTR_BYTES: usize = 8;
type Typestr = [c_char; TYPESTR_BYTES];

/// The typestr of an element type. TN_ERR_DTYPE: there is none.
fn typestr(dtype: Dtype) -> Result<Typestr> {
    let Some(code) = npy::name(dtype) else {
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!(
                "{} elements: the interface has no such type; export a view of them as uint16 (view_dtype)",
                dtype.name()
            ),
        ));
    };
    let order = if dtype.item() == 1 { b'|' } else { b'<' };
    let mut text: Typestr = [0; TYPESTR_BYTES];
    for (to, from) in text.iter_mut().zip([order].into_iter().chain(code.bytes())) {
        *to = from as c_char;
    }
    Ok(text)
}

/// The element type of a typestr.
fn dtype_of(text: &Typestr) -> Result<Dtype> {
    let bytes = text.map(|letter| letter as u8);
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(TYPESTR_BYTES);
    let unknown = || {
        let text = bytes[..length].escape_ascii();
        fail(
            TN_ERR_DTYPE,
            format_args!("typestr \"{text}\" is none of |b1, |i1, |u1, <i2 .. <i8, <u2 .. <u8, <f2 .. <f8, <c8, <c16"),
        )
    };
    let (order, code) = bytes[..length].split_first().ok_or_else(unknown)?;
    let found =
        npy::NAMES.into_iter().find(|(known, _)| known.as_bytes() == code).and_then(|(_, raw)| Dtype::known(raw));
    match (order, found) {
        (b'<', Some(dtype)) => Ok(dtype),
        (b'|' | b'>' | b'=', Some(dtype)) if dtype.item() == 1 => Ok(dtype),
        (b'=', Some(dtype)) if cfg!(target_endian = "little") => Ok(dtype),
        _ => Err(unknown()),
    }
}

/// Exports an array. Returns the description, the guard that keeps its bytes and its lists, and TN_ALIASED or
/// TN_COPIED.
pub fn export(
    function: &'static CStr,
    id: Id,
    flags: u32,
    mode: u32,
    stream: Result<StreamArg>,
) -> Result<(tn_cuda_array_interface, InternalGuard, tn_how)> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    host::check_flags(flags, host::EXPORT_FLAGS)?;
    let (class, unique) = host::class(flags, mode, true)?;
    let typestr = typestr(array::snapshot(id)?.dtype())?;
    let request = Export { function, flags, class, copy: Class::ExportShared, unique };
    let why_not = |layout: &Layout| host::unwanted(flags, layout);
    let export = device::export(id, &request, &stream, &why_not, host::copy_order(flags))?;
    let (guard, how) = (export.exported.guard, export.exported.how);
    let layout = guard.layout();
    let description = tn_cuda_array_interface {
        size: size_of::<tn_cuda_array_interface>(),
        data: export.address,
        shape: layout.shape().as_ptr(),
        strides: layout.strides().as_ptr(),
        ndim: layout.ndim() as i32,
        readonly: i32::from(class == Class::ExportRead && how == TN_ALIASED),
        c_contiguous: i32::from(layout.is_c()),
        version: VERSION,
        typestr,
        stream: export.ready.map_or(0, |stream| stream.native()),
        has_stream: i32::from(export.ready.is_some()),
        reserved: 0,
    };
    Ok((description, guard, how))
}

/// Imports an array.
///
/// # Safety
/// - The lists of `source` have as many numbers as it says, and devices may read the elements that it describes.
pub unsafe fn import(
    function: &'static CStr,
    source: tn_cuda_array_interface,
    flags: u32,
    release: Release,
) -> Result<Imported> {
    host::check_flags(flags, IMPORT_FLAGS)?;
    if source.version < 0 || source.reserved != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("version is {} and reserved is {}; both are 0 at least", source.version, source.reserved),
        ));
    }
    let producer = match (source.has_stream, source.stream) {
        (0, _) => Producer::None,
        (1, 0) => {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "stream 0 is ambiguous in this interface; 1 is the legacy default stream, 2 the per-thread one"
                ),
            ));
        }
        (1, _) if flags & TN_UNORDERED != 0 => Producer::None,
        (1, stream) => Producer::Stream(stream),
        (other, _) => return Err(fail(TN_ERR_INVALID, format_args!("has_stream is {other}; it is 0 or 1"))),
    };
    // SAFETY: the caller's obligation.
    let mut layout = unsafe { layout_of(&source)? };
    let readonly = if source.readonly != 0 { TN_IMPORT_READONLY } else { 0 };
    let flags = flags & host::IMPORT_FLAGS | readonly;
    // SAFETY: the caller's obligation. The layout was checked.
    unsafe {
        let (layout, data) = (&mut layout, source.data);
        device::import(DeviceImport { function, layout, data, stated: None, flags, producer, release })
    }
}

/// # Safety
/// - As for [`import`].
unsafe fn layout_of(source: &tn_cuda_array_interface) -> Result<Layout> {
    let ndim = check_ndim(source.ndim)?;
    if ndim > 0 && source.shape.is_null() {
        return Err(fail(TN_ERR_NULL, format_args!("shape is NULL, and ndim is {ndim}")));
    }
    let dtype = dtype_of(&source.typestr)?;
    let (mut shape, mut strides) = ([0i64; TN_MAX_NDIM], [0i64; TN_MAX_NDIM]);
    for axis in 0..ndim {
        // SAFETY: both lists have `ndim` numbers, by the caller's obligation; NULL strides are not read. Each number is
        // read once.
        unsafe {
            shape[axis] = source.shape.add(axis).read_unaligned();
            if !source.strides.is_null() {
                strides[axis] = source.strides.add(axis).read_unaligned();
            }
        }
    }
    let layout = if source.strides.is_null() {
        Layout::contiguous(dtype, &shape[..ndim], Order::C, 0)?
    } else {
        Layout::strided(dtype, &shape[..ndim], &strides[..ndim], 0)?
    };
    if !layout.is_empty() && source.data == 0 {
        return Err(fail(TN_ERR_NULL, format_args!("data is 0, and the array has {} elements", layout.count())));
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(letters: &str) -> Typestr {
        let mut text = [0; TYPESTR_BYTES];
        letters.bytes().zip(&mut text).for_each(|(from, to)| *to = from as c_char);
        text
    }

    #[test]
    fn every_element_type_but_bfloat16_has_a_typestr() {
        for dtype in Dtype::ALL {
            match typestr(dtype) {
                Ok(text) => assert_eq!(dtype_of(&text).unwrap(), dtype),
                Err(status) => assert_eq!((status.code(), dtype.raw()), (TN_ERR_DTYPE, TN_BF16)),
            }
        }
        assert_eq!(typestr(Dtype::F64).unwrap(), text("<f8"));
        assert_eq!(typestr(Dtype::BOOL).unwrap(), text("|b1"));
        assert_eq!(dtype_of(&text("=f8")).unwrap(), Dtype::F64);
        for wrong in ["", "<", ">f8", "|f8", "<f16", "<b2", "f8", "<f8 ", "<V8", "|O8", "12345678"] {
            assert_eq!(dtype_of(&text(wrong)).unwrap_err().code(), TN_ERR_DTYPE, "{wrong}");
        }
    }
}
