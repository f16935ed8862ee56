//! The feature `dlpack`.
#![cfg(feature = "dlpack")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use tenure_rs::{Array, DlpackTensor, Status};

/// DLManagedTensorVersioned, as `dlpack.h` has it.
#[repr(C)]
struct Managed {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
    flags: u64,
    data: *mut c_void,
    device: (i32, i32),
    ndim: i32,
    dtype: (u8, u8, u16),
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

static DELETED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn delete(tensor: *mut Managed) {
    DELETED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the box of `produced`.
    drop(unsafe { Box::from_raw(tensor) });
}

/// A tensor of another library, over memory that the test keeps.
fn produced(memory: &mut [f32; 2], shape: &mut [i64; 1], major: u32) -> DlpackTensor {
    let tensor = Box::new(Managed {
        major,
        minor: 0,
        context: std::ptr::null_mut(),
        deleter: Some(delete),
        flags: 0,
        data: memory.as_mut_ptr().cast(),
        device: (1, 0),
        ndim: 1,
        dtype: (2, 32, 1),
        shape: shape.as_mut_ptr(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    });
    // SAFETY: a tensor with a deleter for any thread, whose memory outlives it.
    unsafe { DlpackTensor::from_raw(Box::into_raw(tensor).cast()) }.unwrap()
}

#[test]
fn an_export_is_read_only_and_comes_back() {
    let mut a = Array::full([3], 1.5).unwrap();
    let tensor = a.to_dlpack().unwrap();
    // SAFETY: a tensor of the library.
    let head = unsafe { &*tensor.as_raw().cast::<Managed>() };
    assert_eq!((head.major, head.flags & 1, head.ndim, head.dtype), (1, 1, 1, (2, 64, 1)));
    assert_eq!(head.data.cast_const().cast(), a.read().unwrap().as_ptr());
    assert_eq!(a.write().unwrap_err().status(), Status::EXPORTED);
    let mut back = Array::<f64>::from_dlpack(tensor).unwrap();
    assert_eq!(back.to_vec().unwrap(), [1.5; 3]);
    assert_eq!(back.write().unwrap_err().status(), Status::READONLY);
    drop(back);
    a.fill_(2.0).unwrap();
}

#[test]
fn foreign_tensors_are_lent_and_end_once() {
    let (mut memory, mut shape) = ([1.0_f32, 2.0], [2]);
    let refused = Array::<f32>::from_dlpack(produced(&mut memory, &mut shape, 2)).unwrap_err();
    assert_eq!(refused.error.status(), Status::UNSUPPORTED);
    drop(refused);
    assert_eq!(DELETED.load(Ordering::Relaxed), 1);

    let tensor = produced(&mut memory, &mut shape, 1);
    let a = Array::<f32>::from_dlpack(tensor).unwrap();
    assert_eq!(a.read().unwrap_err().status(), Status::FOREIGN);
    assert_eq!(a.copy().unwrap().read().unwrap().as_slice().unwrap(), [1.0, 2.0]);
    assert_eq!(DELETED.load(Ordering::Relaxed), 1);
    drop(a);
    assert_eq!(DELETED.load(Ordering::Relaxed), 2);

    let refused = Array::<f64>::from_dlpack(produced(&mut memory, &mut shape, 1)).unwrap_err();
    assert!(refused.error.status() == Status::DTYPE && refused.value.is_none());
    assert_eq!(DELETED.load(Ordering::Relaxed), 3);
}
