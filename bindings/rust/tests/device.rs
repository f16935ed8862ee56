//! Arrays on a GPU. Without one there is nothing to test; the gate has the simulated driver, and says so by
//! TENURE_TEST_DEVICE.

use tenure_rs::{Array, Device, Mode, Status, memory_info, sys};

fn has_gpu() -> bool {
    let mut count = 0;
    // SAFETY: a place for the number.
    let status = unsafe { sys::tn_device_count(sys::TN_CUDA, &mut count) };
    let found = status == sys::TN_OK && count > 0;
    assert!(
        found || std::env::var_os("TENURE_TEST_DEVICE").is_none(),
        "TENURE_TEST_DEVICE is set, and there is no GPU"
    );
    found
}

#[test]
fn arrays_move_to_a_gpu_and_back() {
    if !has_gpu() {
        return;
    }
    let gpu = Device::Cuda(0);
    let a = Array::from_vec(vec![1.0, 2.0, 3.0], [3]).unwrap();
    let kept = a.try_clone().unwrap();
    let mut there = a.to_device(gpu).unwrap();
    assert_eq!((there.device().unwrap(), there.to_vec().unwrap()), (gpu, vec![1.0, 2.0, 3.0]));
    assert!(kept.is_unique().unwrap());
    let read = there.read().unwrap_err();
    let written = there.write_as(Mode::Unique).unwrap_err();
    let chunked = there.split_mut(0, 2).unwrap_err();
    assert_eq!([read.status(), written.status(), chunked.status()], [Status::DEVICE; 3]);
    let address = there.read_shared().unwrap().as_ptr();
    assert!(!address.is_null());
    there.fill_(4.0).unwrap();
    let there = there.to_device(gpu).unwrap();
    assert_eq!(there.read_shared().unwrap().as_ptr(), address);
    let back = there.to_device(Device::Host).unwrap();
    assert_eq!(back.read().unwrap().as_slice().unwrap(), [4.0; 3]);
    assert!(memory_info(gpu).unwrap().total > 0);
}

#[test]
fn page_locked_memory_has_references() {
    if !has_gpu() {
        return;
    }
    let mut a = Array::<f64>::zeros([3]).unwrap().to_device(Device::PageLocked).unwrap();
    a.write().unwrap()[[1]] = 2.0;
    assert_eq!((a.device().unwrap(), a.read().unwrap().as_slice().unwrap()[1]), (Device::PageLocked, 2.0));
}
