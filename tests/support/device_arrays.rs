//! Arrays on device memory that the test owns, and guards on them, for the tests of pending work.
#![allow(dead_code)] // each test file uses its part

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tenure::dtype::Dtype;
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::library::*;
use tenure::ffi::stream::*;
use tenure::ffi::view::*;
use tenure::layout::{Layout, Order};
use tenure::ledger::{self, Lease, Ledger, Origin, Release, SpareClaim};
use tenure::types::*;
use tenure::{address_index, thread};

pub type Array = *mut tn_array;
pub type Guard = *mut tn_borrow;
pub type Stream = *mut tn_stream;

pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
pub const MANAGED: tn_device = tn_device { r#type: TN_CUDA_MANAGED, id: 0 };
pub const PINNED: tn_device = tn_device { r#type: TN_CUDA_HOST, id: 0 };

pub fn gpu(id: i32) -> tn_device {
    tn_device { r#type: TN_CUDA, id }
}

fn dtype() -> Dtype {
    Dtype::of(TN_F32).unwrap()
}

/// Memory that a test imports, labelled as a device's. Only the test and the library's host code touch it.
pub struct Memory {
    bytes: Box<[f32]>,
    released: Box<AtomicU32>,
    lent: Cell<u32>,
}

/// At the end, pending device work is waited for and every import is released once.
impl Drop for Memory {
    fn drop(&mut self) {
        let patience = Instant::now() + Duration::from_secs(600);
        while self.released() < self.lent.get() && Instant::now() < patience && !std::thread::panicking() {
            run_releases();
        }
        if std::thread::panicking() {
            // Deferred releases may still use it.
            std::mem::forget(std::mem::take(&mut self.bytes));
            std::mem::forget(std::mem::take(&mut self.released));
        } else {
            assert_eq!(self.released(), self.lent.get());
        }
    }
}

unsafe extern "C" fn count(context: *mut c_void) {
    // SAFETY: the counter of a `Memory` that outlives its arrays.
    unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
}

impl Memory {
    pub fn new(n: usize) -> Memory {
        Memory { bytes: (0..n).map(|i| i as f32).collect(), released: Box::default(), lent: Cell::new(0) }
    }

    pub fn address(&self) -> u64 {
        self.bytes.as_ptr() as u64
    }

    /// The number of runs of the release callback.
    pub fn released(&self) -> u32 {
        self.released.load(Ordering::SeqCst)
    }

    /// The whole memory as an array on that device. `overwrite`: TN_MAY_OVERWRITE; `waits`: the end of the import waits
    /// for the device.
    pub fn lend(&self, device: tn_device, overwrite: bool, waits: bool) -> Array {
        self.lent.set(self.lent.get() + 1);
        let thread = thread::current();
        let start = self.address() as i64;
        let end = start + size_of_val(&*self.bytes) as i64;
        let release = Release::Call(count, std::ptr::from_ref(&*self.released) as usize);
        let mut lease = Lease::spare(thread, release, false, overwrite, (start, end)).unwrap();
        if waits {
            lease.set_waits();
        }
        let mut claim = SpareClaim::take(thread).unwrap();
        *claim.layout() = Layout::contiguous(dtype(), &[self.bytes.len() as i64], Order::C, start).unwrap();
        claim.set_origin(Origin::by(thread));
        let store = Ledger::spare(thread).unwrap();
        let mut index = address_index::lock().unwrap();
        assert!(matches!(ledger::find_by_address(&mut index, start, end), ledger::Found::Nothing));
        let (ledger, id) = ledger::lend(store, device, (start, end), lease, claim);
        index.insert(start, end, ledger.tag());
        id.bits() as Array
    }
}

pub fn stream(device: i32) -> Stream {
    let mut stream = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_stream_create(gpu(device), 0, 0, &mut stream) }, TN_OK);
    stream
}

pub fn native(stream: Stream) -> u64 {
    let mut native = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_stream_native(stream, &mut native) }, TN_OK);
    native
}

pub fn read(array: Array, flags: u32, stream: Stream) -> Result<Guard, tn_status> {
    let mut guard = null_mut();
    // SAFETY: the pointer is ours.
    match unsafe { tn_array_borrow_read(array, flags, stream, null_mut(), null_mut(), &mut guard) } {
        TN_OK => Ok(guard),
        status => {
            assert!(guard.is_null(), "untouched");
            Err(status)
        }
    }
}

pub fn write(array: Array, mode: u32, stream: Stream) -> Result<Guard, tn_status> {
    let mut guard = null_mut();
    // SAFETY: the pointer is ours.
    match unsafe { tn_array_borrow_write(array, mode, stream, null_mut(), null_mut(), &mut guard) } {
        TN_OK => Ok(guard),
        status => {
            assert!(guard.is_null(), "untouched");
            Err(status)
        }
    }
}

pub fn end(guard: Guard, stream: Stream) {
    assert_eq!(tn_borrow_end(guard, 0, stream), TN_OK);
}

/// Read work on a stream.
pub fn reads_on(array: Array, stream: Stream) {
    end(read(array, 0, stream).unwrap(), stream);
}

/// Write work on a stream.
pub fn writes_on(array: Array, stream: Stream) {
    end(write(array, 0, stream).unwrap(), stream);
}

/// Whether the host could read and write the array now.
pub fn host(array: Array) -> (tn_status, tn_status) {
    let ask = |opened: Result<Guard, tn_status>| match opened {
        Ok(guard) => {
            end(guard, null_mut());
            TN_OK
        }
        Err(status) => status,
    };
    (ask(read(array, 0, null_mut())), ask(write(array, 0, null_mut())))
}

/// Elements [start, stop) of a vector.
pub fn part(array: Array, start: i64, stop: i64) -> Array {
    let spec = tn_slice_spec { start, stop, step: 1, reserved: [0; 4] };
    let mut view = null_mut();
    // SAFETY: one axis, one spec; the pointer is ours.
    assert_eq!(unsafe { tn_array_slice(array, 1, &spec, &mut view) }, TN_OK);
    view
}

pub fn clone(array: Array) -> Array {
    let mut clone = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_array_clone(array, &mut clone) }, TN_OK);
    clone
}

pub fn release(array: Array) {
    assert_eq!(tn_array_release(array), TN_OK);
}

/// Calls tn_run_releases; returns how many releases ran.
pub fn run_releases() -> usize {
    let mut count = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_run_releases(&mut count) }, TN_OK);
    count
}
