//! CUDAMat's matrices: float32 on a GPU, column by column: <https://github.com/cudamat/cudamat>.
//!
//! Contract: an export shares the bytes only where CUDAMat then sees the array itself, or its transpose if the caller
//! asks for that. A matrix whose size contradicts the order of its elements is never written. The struct has no
//! release, so an export comes with a guard (XC-5). CUDAMat works on the legacy stream, which waits for unfinished
//! work.

use crate::array;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::exchange::device::{self, DeviceImport, Producer};
use crate::exchange::host::{self, Export, Imported};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Class, InternalGuard, Release};
use crate::names::DeviceName;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::CStr;
use core::mem::offset_of;
use core::ptr::null_mut;

const _: () = {
    assert!(size_of::<tn_cudamat>() == 40 && offset_of!(tn_cudamat, data_device) == 8);
    assert!(offset_of!(tn_cudamat, on_device) == 16 && offset_of!(tn_cudamat, on_host) == 20);
    assert!(offset_of!(tn_cudamat, size) == 24 && offset_of!(tn_cudamat, is_trans) == 32);
    assert!(offset_of!(tn_cudamat, owns_data) == 36);
};

/// The flags that an export accepts.
pub const EXPORT_FLAGS: u32 =
    (host::EXPORT_FLAGS & !(TN_EXPORT_NONNEGATIVE | TN_EXPORT_C_CONTIGUOUS)) | TN_CUDAMAT_TRANSPOSED;

/// The flags that an import accepts.
pub const IMPORT_FLAGS: u32 = host::IMPORT_FLAGS | TN_UNORDERED;

/// The reason why CUDAMat cannot see an array, or with `transposed` its transpose, in these bytes. None: it can. A
/// vector has both orders.
fn why_not_expressible(layout: &Layout, transposed: bool) -> Option<&'static str> {
    match transposed {
        false if layout.is_f() => None,
        true if layout.is_c() => None,
        false => Some("the elements are not F-contiguous, and CUDAMat's matrices are stored by columns"),
        true => Some("the elements are not C-contiguous, so CUDAMat cannot see their transpose"),
    }
}

/// Rows and columns of a float32 matrix with at most 2^31 - 1 elements.
fn size_of_matrix(layout: &Layout) -> Result<[i32; 2]> {
    if layout.dtype().raw() != TN_F32 {
        let name = layout.dtype().name();
        return Err(fail(TN_ERR_DTYPE, format_args!("{name} elements: CUDAMat's matrices have float32 only")));
    }
    let &[rows, columns] = layout.shape() else {
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!("the array has {} axes, and CUDAMat's matrices have 2; reshape it first", layout.ndim()),
        ));
    };
    match (i32::try_from(rows), i32::try_from(columns)) {
        (Ok(rows), Ok(columns)) if rows.checked_mul(columns).is_some() => Ok([rows, columns]),
        _ => Err(too_large(rows, columns)),
    }
}

#[cold]
fn too_large(rows: i64, columns: i64) -> Status {
    fail(
        TN_ERR_OVERFLOW,
        format_args!("{rows} x {columns} elements: CUDAMat's matrices have at most 2^31 - 1 elements"),
    )
}

/// Exports an array. Returns the struct, the guard that keeps its bytes, and TN_ALIASED or TN_COPIED.
pub fn export(function: &'static CStr, id: Id, flags: u32, mode: u32) -> Result<(tn_cudamat, InternalGuard, tn_how)> {
    ledger::find::<Claim>(id)?;
    host::check_flags(flags, EXPORT_FLAGS)?;
    let transposed = flags & TN_CUDAMAT_TRANSPOSED != 0;
    let (class, unique) = host::class(flags, mode, false)?;
    // The type and the shape of an array never change.
    let [rows, columns] = size_of_matrix(&array::snapshot(id)?)?;
    check_on_gpu(array::device(id)?)?;
    let request = Export { function, flags, class, copy: Class::ExportShared, unique };
    let order = if transposed { Order::C } else { Order::F };
    let why_not = |layout: &Layout| why_not_expressible(layout, transposed);
    let export = device::export(id, &request, &StreamArg::Legacy, &why_not, order)?;
    let matrix = tn_cudamat {
        data_host: null_mut(),
        data_device: export.address as *mut f32,
        on_device: 1,
        on_host: 0,
        size: if transposed { [columns, rows] } else { [rows, columns] },
        is_trans: 0,
        owns_data: 0,
    };
    Ok((matrix, export.exported.guard, export.exported.how))
}

/// TN_ERR_DEVICE for memory that is not a GPU's: CUDAMat copies from and to the host itself.
fn check_on_gpu(device: tn_device) -> Result<()> {
    if matches!(device.r#type, TN_CUDA | TN_CUDA_MANAGED) {
        return Ok(());
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "the array is on device {}, and CUDAMat's matrices are on a GPU; copy it with tn_array_to_device first",
            DeviceName(device)
        ),
    ))
}

/// Imports a matrix.
///
/// # Safety
/// - Devices may read the elements that the matrix describes.
pub unsafe fn import(function: &'static CStr, source: &tn_cudamat, flags: u32, release: Release) -> Result<Imported> {
    host::check_flags(flags, IMPORT_FLAGS)?;
    let [first, second] = source.size;
    if source.owns_data != 0 && matches!(release, Release::None) {
        return Err(fail(TN_ERR_NULL, format_args!("release is NULL, and the matrix owns its elements")));
    }
    if source.on_device != 1 {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("on_device is {}: the elements are not on a GPU; call copy_to_device first", source.on_device),
        ));
    }
    let mut layout = layout_of(source)?;
    let data = source.data_device as u64;
    if !layout.is_empty() && data == 0 {
        return Err(fail(TN_ERR_NULL, format_args!("data_device is NULL, and the matrix is {first} x {second}")));
    }
    let producer = if flags & TN_UNORDERED == 0 { Producer::Stream(StreamArg::LEGACY) } else { Producer::None };
    let flags = flags & host::IMPORT_FLAGS;
    // SAFETY: the caller's obligation. The layout was checked.
    unsafe {
        let layout = &mut layout;
        device::import(DeviceImport { function, layout, data, stated: None, flags, producer, release })
    }
}

/// The layout of the elements, at offset 0.
fn layout_of(source: &tn_cudamat) -> Result<Layout> {
    let dtype = Dtype::of(TN_F32)?;
    let [first, second] = source.size.map(i64::from);
    if first < 0 || second < 0 {
        return Err(fail(TN_ERR_SHAPE, format_args!("size {{{first}, {second}}} has a negative length")));
    }
    if first * second > i64::from(i32::MAX) {
        return Err(too_large(first, second));
    }
    let (item, column) = (dtype.item(), dtype.item() * first);
    match source.is_trans {
        0 => Layout::strided(dtype, &[first, second], &[item, column], 0),
        1 => Layout::strided(dtype, &[second, first], &[column, item], 0),
        other => Err(fail(TN_ERR_INVALID, format_args!("is_trans is {other}; it is 0 or 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: [i32; 2], is_trans: i32) -> Result<(Vec<i64>, Vec<i64>)> {
        let matrix = tn_cudamat {
            data_host: null_mut(),
            data_device: null_mut(),
            on_device: 1,
            on_host: 0,
            size,
            is_trans,
            owns_data: 0,
        };
        layout_of(&matrix).map(|layout| (layout.shape().to_vec(), layout.strides().to_vec()))
    }

    #[test]
    fn matrices_are_stored_by_columns() {
        assert_eq!(layout([3, 4], 0).unwrap(), (vec![3, 4], vec![4, 12]));
        assert_eq!(layout([3, 4], 1).unwrap(), (vec![4, 3], vec![12, 4]));
        assert_eq!(layout([0, 4], 0).unwrap().0, [0, 4]);
        let refused = |size, is_trans| layout(size, is_trans).unwrap_err().code();
        assert_eq!(refused([-1, 4], 0), TN_ERR_SHAPE);
        assert_eq!(refused([46341, 46341], 0), TN_ERR_OVERFLOW);
        assert_eq!(refused([3, 4], 2), TN_ERR_INVALID);
    }

    #[test]
    fn only_the_array_or_its_transpose_is_shared() {
        let dtype = Dtype::of(TN_F32).unwrap();
        let shares = |shape: [i64; 2], order, transposed| {
            why_not_expressible(&Layout::contiguous(dtype, &shape, order, 0).unwrap(), transposed).is_none()
        };
        assert!(shares([3, 4], Order::F, false) && shares([3, 4], Order::C, true));
        assert!(!shares([3, 4], Order::C, false) && !shares([3, 4], Order::F, true));
        assert!(!shares([4, 4], Order::C, false), "a square matrix is still a transpose");
        for shape in [[1, 4], [4, 1]] {
            assert!(shares(shape, Order::C, false) && shares(shape, Order::F, true), "a vector has both orders");
        }
    }
}
