//! What the library does behind each call of the crate, and what it refuses.

use std::thread;
use tenure_rs::{Array, Bool, Device, Mode, Pool, Promise, Result, Slice, Status, enter, memory_info, sys};

/// Consecutive numbers.
fn numbers(shape: &[usize]) -> Array<f64> {
    let count: usize = shape.iter().product();
    Array::from_vec((0..count).map(|i| i as f64).collect(), shape).unwrap()
}

/// The status of a refused call.
fn status<V>(result: std::result::Result<V, impl Into<tenure_rs::Error>>) -> Status {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.into().status(),
    }
}

/// A borrowed, writable export by the C interface, as NumPy has it: a shared view. Ended by `tn_borrow_end`.
fn shared_view(array: &Array<f64>) -> (*mut f64, *mut sys::tn_borrow) {
    let mut view = std::mem::MaybeUninit::<sys::tn_view_info>::uninit();
    let mut guard = std::ptr::null_mut();
    let flags = sys::TN_REQUIRE_BORROW | sys::TN_EXPORT_WRITABLE;
    let null = std::ptr::null_mut();
    // SAFETY: places for the view and the guard.
    let status = unsafe {
        sys::tn_array_export_host(array.as_raw(), flags, 0, null, view.as_mut_ptr(), &mut guard, std::ptr::null_mut())
    };
    assert_eq!(status, sys::TN_OK);
    // SAFETY: written by the call.
    (unsafe { view.assume_init() }.data.cast(), guard)
}

fn end(guard: *mut sys::tn_borrow) {
    // SAFETY: an open guard.
    assert_eq!(unsafe { sys::tn_borrow_end(guard, 0, std::ptr::null_mut()) }, sys::TN_OK);
}

#[test]
fn zeros_and_full() {
    let a = Array::<i32>::zeros([2, 3]).unwrap();
    assert_eq!((a.shape(), a.ndim(), a.len(), a.is_empty()), (&[2, 3][..], 2, 6, false));
    assert_eq!(a.to_vec().unwrap(), [0; 6]);
    assert_eq!(Array::full([2], 7_u8).unwrap().to_vec().unwrap(), [7, 7]);
    assert_eq!(Array::full([1], Bool::from(true)).unwrap().to_vec().unwrap(), [Bool::from(true)]);
}

#[test]
fn an_array_without_axes_has_one_element() {
    let mut a = Array::full([], 2.5).unwrap();
    a.write().unwrap()[[]] += 1.0;
    assert_eq!((a.ndim(), a.read().unwrap()[[]], a.sum(None).unwrap().item().unwrap()), (0, 3.5, 3.5));
}

#[test]
fn an_array_without_elements_has_empty_slices() {
    let mut a = Array::<f64>::zeros([3, 0]).unwrap();
    assert!(a.is_empty() && a.read().unwrap().as_slice().unwrap().is_empty());
    assert!(a.write().unwrap().as_mut_slice().unwrap().is_empty());
    assert_eq!((a.read().unwrap().iter().count(), a.to_vec().unwrap().len()), (0, 0));
    let huge = [1 << 30, 1 << 30, 1 << 30, 0];
    for made in [Array::<u8>::zeros(huge), Array::from_vec(Vec::<u8>::new(), huge), Array::from_slice(&[], huge)] {
        match made {
            Ok(array) => assert!(array.is_empty() && array.read().unwrap().as_slice().unwrap().is_empty()),
            Err(error) => assert_eq!(error.status(), Status::OVERFLOW),
        }
    }
}

#[test]
fn every_byte_is_a_truth_value() {
    let mut truth = Array::<Bool>::zeros([4]).unwrap();
    let mut guard = truth.write_shared(Mode::Aliased).unwrap();
    // SAFETY: the four bytes of the elements, written as foreign code may.
    unsafe { guard.as_mut_ptr().cast::<[u8; 4]>().write([0, 1, 2, 255]) };
    drop(guard);
    let truth: Vec<bool> = truth.read().unwrap().iter().map(|value| value.get()).collect();
    assert_eq!(truth, [false, true, true, true]);
}

#[test]
fn elements_that_share_bytes_have_no_writer() {
    let a = numbers(&[1, 3]);
    let mut handle = std::ptr::null_mut();
    // SAFETY: a handle of this test, two lengths, and a place for the view.
    let status_of_view = unsafe { sys::tn_array_broadcast(a.as_raw(), 2, [2, 3].as_ptr(), &mut handle) };
    assert_eq!(status_of_view, sys::TN_OK);
    // SAFETY: the handle of the view.
    let mut twice = unsafe { Array::<f64>::from_raw(handle) }.unwrap();
    assert_eq!(twice.read().unwrap().iter().copied().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
    assert_eq!(status(twice.write()), Status::READONLY);
}

#[test]
fn elements_that_are_not_aligned_have_no_references() {
    let bytes = Array::from_vec(vec![0_u32; 4], [4]).unwrap();
    let (mut raw, mut part, mut floats) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
    let spec = sys::tn_slice_spec { start: 2, stop: 10, step: 1, reserved: [0; 4] };
    // SAFETY: handles of this test, one spec, and places for the views; each handle is released once.
    unsafe {
        assert_eq!(sys::tn_array_view_dtype(bytes.as_raw(), sys::TN_U8, &mut raw), sys::TN_OK);
        assert_eq!(sys::tn_array_slice(raw, 1, &spec, &mut part), sys::TN_OK);
        let viewed = sys::tn_array_view_dtype(part, sys::TN_F32, &mut floats);
        sys::tn_array_release(raw);
        sys::tn_array_release(part);
        if viewed != sys::TN_OK {
            return; // the library makes no such view
        }
    }
    // SAFETY: the handle of the view.
    let a = unsafe { Array::<f32>::from_raw(floats) }.unwrap();
    assert_eq!(status(a.read()), Status::LAYOUT);
    assert_eq!(a.to_vec().unwrap(), [0.0; 2]);
}

#[test]
fn from_slice_copies() {
    let source = [1.0_f32, 2.0, 3.0];
    let a = Array::from_slice(&source, [3]).unwrap();
    assert_eq!(a.to_vec().unwrap(), source);
    assert_ne!(a.read().unwrap().as_ptr(), source.as_ptr());
    assert_eq!(status(Array::from_slice(&source, [2])), Status::SHAPE);
}

#[test]
fn from_vec_takes_the_memory() {
    let source = vec![1_i64, 2, 3, 4];
    let address = source.as_ptr();
    let mut a = Array::from_vec(source, [2, 2]).unwrap();
    let guard = a.write_as(Mode::Unique).unwrap();
    assert_eq!((guard.as_ptr(), guard[[1, 0]]), (address, 3));
    drop(guard);
    assert_eq!(status(Array::from_vec(vec![1_i64], [2])), Status::SHAPE);
    assert_eq!(status(Array::<i8>::zeros([usize::MAX])), Status::OVERFLOW);
}

#[test]
fn a_read_guard_has_slices_and_indices() {
    let a = numbers(&[2, 3]);
    let guard = a.read().unwrap();
    assert_eq!(guard.as_slice().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((guard[[1, 2]], guard.get([0, 1]), guard.get([2, 0]), guard.get([0])), (5.0, Some(&1.0), None, None));
    assert_eq!((guard.shape(), guard.strides(), guard.len()), (&[2, 3][..], &[24, 8][..], 6));
    let other = a.read().unwrap();
    assert_eq!(guard.as_ptr(), other.as_ptr());
}

#[test]
#[should_panic(expected = "index [3] is outside shape [3]")]
fn an_index_outside_panics() {
    let a = numbers(&[3]);
    let _ = a.read().unwrap()[[3]];
}

#[test]
fn a_write_guard_writes() {
    let mut a = numbers(&[4]);
    let mut guard = a.write().unwrap();
    guard.as_mut_slice().unwrap()[0] = 9.0;
    guard[[1]] = 8.0;
    *guard.get_mut([2]).unwrap() = 7.0;
    guard.iter_mut().for_each(|x| *x += 1.0);
    (&mut guard).into_iter().for_each(|x| *x += 1.0);
    drop(guard);
    assert_eq!(a.to_vec().unwrap(), [11.0, 10.0, 9.0, 5.0]);
}

#[test]
fn strided_elements_come_in_order() {
    let a = numbers(&[3, 4]);
    let view = a.slice([Slice::ALL.step(-1), Slice::from(1..).step(2)]).unwrap();
    assert_eq!(view.shape(), [3, 2]);
    let guard = view.read().unwrap();
    assert_eq!(guard.iter().copied().collect::<Vec<_>>(), [9.0, 11.0, 5.0, 7.0, 1.0, 3.0]);
    assert_eq!((guard[[0, 1]], guard.iter().len()), (11.0, 6));
    assert_eq!(status(guard.as_slice()), Status::LAYOUT);
    let transposed = a.transpose().unwrap();
    assert_eq!(status(transposed.read().unwrap().as_slice()), Status::LAYOUT);
    assert_eq!(transposed.to_vec().unwrap()[..3], [0.0, 4.0, 8.0]);
}

#[test]
fn strided_elements_can_be_written() {
    let a = numbers(&[3, 3]);
    let mut column = a.index(1, -1).unwrap();
    column.write().unwrap().iter_mut().for_each(|x| *x = -1.0);
    assert_eq!(a.to_vec().unwrap(), [0.0, 1.0, -1.0, 3.0, 4.0, -1.0, 6.0, 7.0, -1.0]);
}

#[test]
fn views_share_the_bytes() {
    let a = numbers(&[6]);
    let mut matrix = a.reshape([2, 3]).unwrap();
    matrix.fill_(1.0).unwrap();
    assert_eq!(a.to_vec().unwrap(), [1.0; 6]);
    assert_eq!(status(matrix.transpose().unwrap().reshape([6])), Status::LAYOUT);
    assert_eq!(status(a.index(1, 0)), Status::RANGE);
    assert_eq!(a.slice([Slice::from(..2)]).unwrap().len(), 2);
    assert_eq!(a.slice([Slice::from(-2..i64::MAX)]).unwrap().len(), 2);
    assert_eq!(a.slice([Slice::from(..)]).unwrap().len(), 6);
}

#[test]
fn guards_of_two_handles_conflict_at_run_time() {
    let mut a = numbers(&[4]);
    let mut b = a.try_clone().unwrap();
    let reader = a.read().unwrap();
    let refused = b.write().unwrap_err();
    assert_eq!(refused.status(), Status::BORROWED);
    assert!(refused.message().contains("calls.rs:"), "{refused}");
    assert_eq!(reader.as_slice().unwrap()[3], 3.0);
    drop(reader);
    let writer = b.write().unwrap();
    assert_eq!(status(a.read()), Status::BORROWED_WRITE);
    drop(writer);
    assert_eq!(status(a.write_as(Mode::Unique)), Status::SHARED);
}

#[test]
fn disjoint_views_can_be_written_together() {
    let a = numbers(&[4]);
    let (mut even, mut odd) = (a.slice([Slice::ALL.step(2)]).unwrap(), a.slice([Slice::from(1..).step(2)]).unwrap());
    let (mut first, mut second) = (even.write().unwrap(), odd.write().unwrap());
    std::mem::swap(&mut first[[0]], &mut second[[0]]);
    drop((first, second));
    assert_eq!(a.to_vec().unwrap(), [1.0, 0.0, 2.0, 3.0]);
}

#[test]
fn copy_on_write_moves_to_a_copy() {
    let mut a = numbers(&[2]);
    let before = a.read().unwrap().as_ptr();
    assert_eq!(a.write_as(Mode::CopyOnWrite).unwrap().as_ptr(), before);
    let b = a.try_clone().unwrap();
    let mut guard = a.write_as(Mode::CopyOnWrite).unwrap();
    assert_ne!(guard.as_ptr(), before);
    guard[[0]] = 5.0;
    drop(guard);
    assert_eq!((a.to_vec().unwrap(), b.to_vec().unwrap()), (vec![5.0, 1.0], vec![0.0, 1.0]));
}

#[test]
fn a_shared_view_excludes_references() {
    let mut a = numbers(&[2]);
    let (address, export) = shared_view(&a);
    assert_eq!(
        (status(a.read()), status(a.write()), status(a.split_mut(0, 2))),
        (Status::EXPORTED, Status::EXPORTED, Status::EXPORTED)
    );
    assert_eq!(a.read_shared().unwrap().as_ptr(), address);
    assert_eq!(a.write_shared(Mode::Aliased).unwrap().as_mut_ptr(), address);
    // SAFETY: this test has the only export, and does not write through it meanwhile.
    let frozen = unsafe { a.read_shared().unwrap().assume_frozen() }.unwrap();
    assert_eq!(frozen.as_slice().unwrap(), [0.0, 1.0]);
    drop(frozen);
    // SAFETY: as above.
    unsafe { a.write_shared(Mode::Aliased).unwrap().assume_exclusive() }.unwrap()[[0]] = 4.0;
    assert_eq!(a.write_as(Mode::CopyOnWrite).unwrap()[[0]], 4.0);
    assert_ne!(a.read().unwrap().as_ptr(), address);
    end(export);
}

#[test]
fn references_exclude_shared_views() {
    let mut a = numbers(&[2]);
    let b = a.try_clone().unwrap();
    let export = |array: &Array<f64>| {
        let mut view = std::mem::MaybeUninit::<sys::tn_view_info>::uninit();
        let (mut guard, null) = (std::ptr::null_mut(), std::ptr::null_mut());
        let flags = sys::TN_REQUIRE_BORROW | sys::TN_EXPORT_WRITABLE;
        // SAFETY: places for the view and the guard.
        unsafe {
            sys::tn_array_export_host(
                array.as_raw(),
                flags,
                0,
                null,
                view.as_mut_ptr(),
                &mut guard,
                std::ptr::null_mut(),
            )
        }
    };
    let reader = a.read().unwrap();
    assert_eq!(export(&b), sys::TN_ERR_BORROWED);
    drop(reader);
    let writer = a.write().unwrap();
    assert_eq!(export(&b), sys::TN_ERR_BORROWED_WRITE);
    drop(writer);
}

#[test]
fn lent_bytes_have_no_references() {
    let mut memory = [1.0, 2.0];
    let shape = [2];
    let layout = sys::tn_layout {
        size: size_of::<sys::tn_layout>(),
        dtype: sys::TN_F64,
        ndim: 1,
        shape: shape.as_ptr(),
        strides: std::ptr::null(),
        offset: 0,
    };
    let (mut handle, null) = (std::ptr::null_mut(), std::ptr::null_mut());
    let address = memory.as_mut_ptr();
    // SAFETY: memory that outlives the array, and a place for the handle.
    let done = unsafe {
        sys::tn_array_import_host(
            address.cast(),
            &layout,
            sys::TN_BORROW,
            None,
            null,
            &mut handle,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(done, sys::TN_OK);
    // SAFETY: the handle of the import.
    let mut a = unsafe { Array::<f64>::from_raw(handle) }.unwrap();
    assert_eq!((status(a.read()), status(a.write())), (Status::FOREIGN, Status::FOREIGN));
    assert_eq!(a.read_shared().unwrap().as_ptr(), address);
    assert_eq!(a.copy().unwrap().read().unwrap().as_slice().unwrap(), [1.0, 2.0]);
    assert_eq!(a.write_as(Mode::CopyOnWrite).unwrap()[[1]], 2.0);
}

#[test]
fn handles_of_another_type_are_refused() {
    let raw = numbers(&[2]).into_raw();
    // SAFETY: the caller keeps the handle when the call fails.
    assert_eq!(status(unsafe { Array::<i32>::from_raw(raw) }), Status::DTYPE);
    // SAFETY: this test's own handle.
    assert_eq!(unsafe { Array::<f64>::from_raw(raw) }.unwrap().len(), 2);
    // SAFETY: NULL is refused.
    assert_eq!(status(unsafe { Array::<f64>::from_raw(std::ptr::null_mut()) }), Status::NULL);
}

#[test]
fn zero_fill_and_copy_from_slice() {
    let mut a = numbers(&[3]);
    a.fill_(2.0).unwrap();
    assert_eq!(a.to_vec().unwrap(), [2.0; 3]);
    a.zero_().unwrap();
    assert_eq!(a.to_vec().unwrap(), [0.0; 3]);
    a.copy_from_slice(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(a.sum(None).unwrap().item().unwrap(), 6.0);
    assert_eq!(status(a.copy_from_slice(&[1.0])), Status::SHAPE);
    let b = a.try_clone().unwrap();
    let reader = b.read().unwrap();
    assert_eq!((status(a.zero_()), status(a.fill_(1.0))), (Status::BORROWED, Status::BORROWED));
    drop(reader);
}

#[test]
fn copy_has_bytes_of_its_own() {
    let a = numbers(&[3]);
    let mut b = a.copy().unwrap();
    b.fill_(5.0).unwrap();
    assert_eq!(a.to_vec().unwrap(), [0.0, 1.0, 2.0]);
}

#[test]
fn unique_and_named() {
    let a = numbers(&[3]);
    a.set_name("weights").unwrap();
    assert_eq!((a.name().unwrap(), a.is_unique().unwrap()), ("weights".to_owned(), true));
    let mut b = a.try_clone().unwrap();
    assert!(!a.is_unique().unwrap());
    let guard = a.read().unwrap();
    let refused = b.fill_(0.0).unwrap_err();
    assert!(refused.message().contains("weights"), "{refused}");
    drop(guard);
}

#[test]
fn give_and_take_move_the_claim() {
    let a = numbers(&[3]);
    let address = a.read().unwrap().as_ptr();
    let promise = a.give().unwrap();
    let mut b = promise.take().unwrap();
    let guard = b.write_as(Mode::Unique).unwrap();
    assert_eq!(guard.as_ptr(), address);
}

#[test]
fn a_cancelled_promise_returns_the_array() {
    let a = numbers(&[3]);
    let back = a.give().unwrap().cancel().unwrap().unwrap();
    assert_eq!((back.to_vec().unwrap(), back.is_unique().unwrap()), (vec![0.0, 1.0, 2.0], true));
}

#[test]
fn a_promise_passes_through_foreign_code() {
    let promise = numbers(&[3]).give().unwrap().into_raw();
    // SAFETY: the promise above.
    let a = unsafe { Promise::<f64>::from_raw(promise) }.unwrap().take().unwrap();
    assert_eq!((a.sum(None).unwrap().item().unwrap(), a.is_unique().unwrap()), (3.0, true));
    // SAFETY: NULL is refused.
    assert_eq!(status(unsafe { Promise::<f64>::from_raw(std::ptr::null_mut()) }), Status::NULL);
}

#[test]
fn a_refused_give_returns_the_array() {
    let a = numbers(&[3]);
    std::mem::forget(a.read().unwrap());
    let refused = a.give().unwrap_err();
    assert_eq!((refused.error.status(), refused.value.to_vec().unwrap().len()), (Status::BORROWED, 3));
    let refused = refused.value.to_device(Device::Host).unwrap_err();
    assert_eq!((refused.error.status(), refused.value.len()), (Status::BORROWED, 3));
}

#[test]
fn enter_takes_lent_and_given_parameters() {
    let (lent, given) = (numbers(&[2]), numbers(&[2]));
    let promise = given.give().unwrap().into_raw();
    // SAFETY: a handle and a promise of this test.
    let [mut x, mut y] = unsafe { enter::<f64, 2>([lent.as_raw().cast(), promise.cast()]) }.unwrap();
    x.write_as(Mode::CopyOnWrite).unwrap()[[0]] = 9.0;
    assert_eq!(lent.to_vec().unwrap(), [0.0, 1.0]);
    assert!(y.write_as(Mode::Unique).is_ok());
    // SAFETY: a promise of this test, released once.
    assert_eq!(unsafe { sys::tn_promise_release(promise) }, sys::TN_OK);
    // SAFETY: a handle of this test.
    assert_eq!(status(unsafe { enter::<i8, 1>([lent.as_raw().cast()]) }), Status::DTYPE);
    drop(x);
    assert!(lent.is_unique().unwrap());
}

#[test]
fn to_device_moves() {
    let a = numbers(&[3]);
    let address = a.read().unwrap().as_ptr();
    let a = a.to_device(Device::Host).unwrap();
    assert_eq!((a.read().unwrap().as_ptr(), a.device().unwrap()), (address, Device::Host));
    let refused = a.to_device(Device::Cuda(1 << 20)).unwrap_err();
    assert!([Status::DEVICE, Status::UNSUPPORTED].contains(&refused.error.status()));
    assert_eq!(refused.value.read().unwrap().as_ptr(), address);
}

#[test]
fn a_weak_handle_has_no_claim() {
    let a = numbers(&[3]);
    let weak = a.downgrade().unwrap();
    assert!(a.is_unique().unwrap());
    assert_eq!(weak.upgrade().unwrap().to_vec().unwrap(), [0.0, 1.0, 2.0]);
    drop(a);
    assert_eq!(status(weak.upgrade()), Status::DESTRUCTED);
}

#[test]
fn chunks_are_written_by_threads() {
    let mut a = Array::<f64>::zeros([10, 2]).unwrap();
    let parts = a.split_mut(0, 3).unwrap();
    assert_eq!(parts.iter().map(|chunk| chunk.part.shape()[0]).collect::<Vec<_>>(), [4, 3, 3]);
    thread::scope(|scope| {
        for mut chunk in parts {
            scope.spawn(move || chunk.part.as_mut_slice().unwrap().fill(chunk.start as f64));
        }
    });
    assert_eq!(a.read().unwrap()[[9, 1]], 7.0);
    let columns = a.split_mut(1, 4).unwrap();
    assert_eq!((columns.len(), columns[0].part.iter().len(), columns[3].part.len()), (4, 10, 0));
    drop(columns);
    assert_eq!((status(a.split_mut(2, 1)), status(a.split_mut(0, 0))), (Status::RANGE, Status::INVALID));
    assert_eq!(a.sum(None).unwrap().item().unwrap(), 2.0 * (3.0 * 4.0 + 3.0 * 7.0));
}

#[test]
fn guards_work_on_other_threads() {
    let mut a = numbers(&[1000]);
    let guard = a.read().unwrap();
    let slice = guard.as_slice().unwrap();
    let sum: f64 = thread::scope(|scope| {
        let halves: Vec<_> = slice.chunks(500).map(|half| scope.spawn(move || half.iter().sum::<f64>())).collect();
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    assert_eq!(sum, 499_500.0);
    thread::scope(|scope| scope.spawn(move || drop(guard)).join().unwrap());
    assert!(a.write().is_ok());
}

#[test]
fn a_panicking_writer_poisons() {
    let mut a = numbers(&[3]);
    let panicked = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut guard = a.write().unwrap();
            guard[[0]] = 1.0;
            panic!("half way");
        });
        writer.join().is_err()
    });
    assert!(panicked);
    assert_eq!(status(a.read()), Status::POISONED);
    a.heal().unwrap();
    assert_eq!(a.to_vec().unwrap(), [1.0, 1.0, 2.0]);
}

#[test]
fn a_file_comes_back() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("numbers.npy");
    numbers(&[2, 3]).save(&path).unwrap();
    let mut a = Array::<f64>::open(&path).unwrap();
    assert_eq!(a.shape(), [2, 3]);
    a.write_as(Mode::Unique).unwrap()[[1, 2]] += 1.0;
    assert_eq!(a.sum(None).unwrap().item().unwrap(), 16.0);
    assert_eq!(status(Array::<f32>::open(&path)), Status::DTYPE);
    assert_eq!(status(Array::<f32>::open(path.with_extension("none"))), Status::IO);
}

/// The names of the guide to tensors in the manner of Rust.
#[test]
fn tensors_have_the_names_of_the_guide() {
    use tenure_rs::{CudaMemoryPool, Device, MemoryPool, Tensor, cuda};
    let t = Tensor::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(t.to_string(), "[[1, 2], [3, 4]]");
    let view = t.view().unwrap();
    assert!(!t.is_unique().unwrap());
    assert_eq!(view.sum(Some(0)).unwrap().to_vec().unwrap(), [4.0, 6.0]);
    assert_eq!(view.sum(None).unwrap().item().unwrap(), 10.0);
    assert_eq!(status(view.item()), Status::SHAPE);
    assert_eq!(status(view.sum(Some(2))), Status::RANGE);
    let ones = Tensor::<u8>::ones([3]).unwrap();
    assert_eq!(
        (ones.to_vec().unwrap(), Tensor::<Bool>::ones([1]).unwrap().to_string()),
        (vec![1; 3], "[true]".to_owned())
    );
    let rows = t.chunks(1).unwrap();
    assert_eq!(rows.iter().map(|row| row.to_string()).collect::<Vec<_>>(), ["[[1, 2]]", "[[3, 4]]"]);
    let uneven = Tensor::new(&[5], vec![0, 1, 2, 3, 4]).unwrap().chunks(2).unwrap();
    assert_eq!(uneven.last().unwrap().to_vec().unwrap(), [4]);
    assert_eq!((status(t.chunks(0)), status(t.sum(None).unwrap().chunks(1))), (Status::INVALID, Status::RANGE));
    let long = Tensor::new(&[9], (0..9).collect()).unwrap();
    assert_eq!(long.to_string(), "[0, 1, 2, ..., 6, 7, 8]");
    let pool = MemoryPool::configure().initial_size(1 << 20).growth_factor(2.0).build().unwrap();
    assert_eq!(pool.zeros::<f32>([2]).unwrap().to_string(), "[0, 0]");
    if cuda::device_count() == 0 {
        for refused in
            [status(Device::cuda(0)), status(cuda::get_memory_info(0)), status(Tensor::<f32>::zeros_pinned([2]))]
        {
            assert!([Status::UNSUPPORTED, Status::DEVICE].contains(&refused), "{refused:?}");
        }
        assert!(CudaMemoryPool::configure().build().is_err());
    }
}

#[test]
fn files_follow_one_another() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("two.npy");
    numbers(&[2]).save(&path).unwrap();
    let one = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&one[..], &one[..]].concat()).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(Array::<f64>::from_file(&file).unwrap().to_vec().unwrap(), [0.0, 1.0]);
    }
    assert_eq!(status(Array::<f64>::from_file(&file)), Status::IO);
}

#[test]
fn sum_is_of_floats() {
    assert_eq!(Array::full([1000], 0.5_f32).unwrap().sum(None).unwrap().item().unwrap(), 500.0);
    assert_eq!(status(Array::full([2], 1_i32).unwrap().sum(None)), Status::DTYPE);
}

#[test]
fn pools_count_and_limit() {
    let pool = Pool::configure().name("step").max_size(1 << 20).build().unwrap();
    let a = pool.zeros::<f64>([1000]).unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!((stats.live_blocks, stats.limit), (1, 1 << 20));
    assert!(stats.in_use >= 8000 && stats.reserved >= stats.in_use);
    assert_eq!(status(pool.zeros::<f64>([1 << 20])), Status::POOL_LIMIT);
    drop(a);
    assert_eq!(pool.stats().unwrap().live_blocks, 0);
    pool.trim(0).unwrap();
    assert_eq!(status(Pool::configure().growth_factor(0.5).build()), Status::INVALID);
}

#[test]
fn a_pool_is_current_for_a_scope() {
    let pool = Pool::configure().initial_size(1 << 20).growth_factor(1.5).build().unwrap();
    let current = pool.make_current().unwrap();
    let a = numbers(&[3]).copy().unwrap();
    assert_eq!(pool.stats().unwrap().live_blocks, 1);
    drop(current);
    let _other = a.copy().unwrap();
    assert_eq!(pool.stats().unwrap().live_blocks, 1);
}

#[test]
fn memory_info_of_the_host() {
    let memory = memory_info(Device::Host).unwrap();
    assert!(memory.total > 0 && memory.free <= memory.total && memory.pools_free <= memory.pools);
    assert!(status(memory_info(Device::Cuda(1 << 20))).name().starts_with("TN_ERR_"));
}

#[test]
fn errors_are_errors() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let a = numbers(&[3]);
    let error: Box<dyn std::error::Error> = a.index(0, 7).unwrap_err().into();
    assert!(error.to_string().ends_with("(TN_ERR_RANGE)"), "{error}");
    assert_eq!(format!("{:?}", Status::RANGE), "TN_ERR_RANGE");
    fn moved(a: Array<f64>) -> Result<Array<f64>> {
        Ok(a.give()?.take()?)
    }
    assert_eq!(moved(a)?.len(), 3);
    Ok(())
}
