//! Arrays in memory of any kind through the C functions, each store with a copy of its expected bytes.

#![allow(dead_code)] // each test program uses a part

use crate::support::random::Random;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use tenure::ffi::{array, borrow, device, pool, stream, transfer, view};
use tenure::types::*;

pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
pub const PINNED: tn_device = tn_device { r#type: TN_CUDA_HOST, id: 0 };
pub const MANAGED: tn_device = tn_device { r#type: TN_CUDA_MANAGED, id: 0 };
pub const GPU: tn_device = tn_device { r#type: TN_CUDA, id: 0 };
pub const GPU1: tn_device = tn_device { r#type: TN_CUDA, id: 1 };

/// TN_STREAM_LEGACY.
pub const LEGACY: *mut tn_stream = std::ptr::without_provenance_mut(1);

/// A status as a result; the test checks the message.
pub type Done = Result<(), tn_status>;

pub fn done(status: tn_status) -> Done {
    if status == TN_OK { Ok(()) } else { Err(status) }
}

pub fn text() -> String {
    crate::support::cuda::last_error()
}

fn made<T>(call: impl FnOnce(*mut *mut T) -> tn_status) -> Result<*mut T, tn_status> {
    const UNTOUCHED: usize = 0x5e5e_5e5e;
    let mut out = UNTOUCHED as *mut T;
    let status = call(&mut out);
    assert!(status == TN_OK || out as usize == UNTOUCHED, "a failing call wrote its output");
    done(status).map(|()| out)
}

/// An array handle, released when it drops.
#[derive(Debug)]
pub struct Array(pub *mut tn_array);

// SAFETY: a handle is a number.
unsafe impl Send for Array {}

impl Drop for Array {
    fn drop(&mut self) {
        assert_eq!(array::tn_array_release(self.0), TN_OK, "{}", text());
    }
}

/// The default pool of a device, never released.
pub fn pool_of(device: tn_device) -> *mut tn_pool {
    // SAFETY: a writable output.
    made(|out| unsafe { pool::tn_pool_default(device, out) }).unwrap_or_else(|status| panic!("{status}: {}", text()))
}

impl Array {
    pub fn empty(device: tn_device, dtype: u32, shape: &[i64]) -> Array {
        let pool = pool_of(device);
        // SAFETY: as many lengths as axes.
        let new =
            made(|out| unsafe { array::tn_array_empty(pool, dtype, shape.len() as i32, shape.as_ptr(), null(), out) });
        Array(new.unwrap_or_else(|status| panic!("{status}: {}", text())))
    }

    pub fn try_zeros(device: tn_device, dtype: u32, shape: &[i64], stream: *mut tn_stream) -> Result<Array, tn_status> {
        let options =
            tn_array_options { size: size_of::<tn_array_options>(), order: 0, flags: 0, stream, name: null() };
        let pool = pool_of(device);
        // SAFETY: as many lengths as axes, a struct of its size.
        made(|out| unsafe { array::tn_array_zeros(pool, dtype, shape.len() as i32, shape.as_ptr(), &options, out) })
            .map(Array)
    }

    pub fn try_full(device: tn_device, dtype: u32, shape: &[i64], value: &[u8]) -> Result<Array, tn_status> {
        let pool = pool_of(device);
        let value = value.as_ptr().cast::<c_void>();
        // SAFETY: as many lengths as axes, one element.
        made(|out| unsafe { array::tn_array_full(pool, dtype, shape.len() as i32, shape.as_ptr(), value, null(), out) })
            .map(Array)
    }

    pub fn clone(&self) -> Array {
        // SAFETY: a writable output.
        Array(made(|out| unsafe { array::tn_array_clone(self.0, out) }).unwrap())
    }

    pub fn copy(&self, stream: *mut tn_stream) -> Result<Array, tn_status> {
        // SAFETY: a writable output.
        made(|out| unsafe { array::tn_array_copy(self.0, null_mut(), stream, out) }).map(Array)
    }

    pub fn like(&self, order: u32) -> Array {
        let size = size_of::<tn_array_options>();
        let options = tn_array_options { size, order, flags: 0, stream: null_mut(), name: null() };
        // SAFETY: a struct of its size, a writable output.
        Array(made(|out| unsafe { array::tn_array_like(self.0, null_mut(), &options, out) }).unwrap())
    }

    pub fn to_device(&self, device: tn_device, stream: *mut tn_stream) -> Result<Array, tn_status> {
        // SAFETY: a writable output.
        made(|out| unsafe { transfer::tn_array_to_device(self.0, device, null_mut(), stream, out) }).map(Array)
    }

    pub fn slice(&self, specs: &[tn_slice_spec]) -> Array {
        // SAFETY: as many specs, a writable output.
        Array(made(|out| unsafe { view::tn_array_slice(self.0, specs.len(), specs.as_ptr(), out) }).unwrap())
    }

    pub fn permute(&self, axes: &[i32]) -> Array {
        // SAFETY: as many axes, a writable output.
        Array(made(|out| unsafe { view::tn_array_permute(self.0, axes.len() as i32, axes.as_ptr(), out) }).unwrap())
    }

    pub fn broadcast(&self, shape: &[i64]) -> Array {
        // SAFETY: as many lengths, a writable output.
        Array(made(|out| unsafe { view::tn_array_broadcast(self.0, shape.len() as i32, shape.as_ptr(), out) }).unwrap())
    }

    pub fn info(&self) -> tn_array_info {
        // SAFETY: plain data.
        let mut info: tn_array_info = unsafe { std::mem::zeroed() };
        info.size = size_of::<tn_array_info>();
        // SAFETY: a struct of its size.
        assert_eq!(unsafe { array::tn_array_query(self.0, &mut info) }, TN_OK);
        info
    }

    pub fn copy_into(&self, target: &Array, mode: u32, stream: *mut tn_stream) -> Done {
        done(transfer::tn_array_copy_into(self.0, target.0, mode, stream))
    }

    pub fn fill(&self, value: &[u8], mode: u32, stream: *mut tn_stream) -> Done {
        // SAFETY: one element.
        done(unsafe { transfer::tn_array_fill(self.0, value.as_ptr().cast(), mode, stream) })
    }

    pub fn zero(&self, mode: u32, stream: *mut tn_stream) -> Done {
        done(transfer::tn_array_clear(self.0, mode, stream))
    }

    /// All elements in C order.
    pub fn read(&self) -> Vec<u8> {
        self.try_read(null_mut()).unwrap_or_else(|status| panic!("{status}: {}", text()))
    }

    pub fn try_read(&self, stream: *mut tn_stream) -> Result<Vec<u8>, tn_status> {
        let mut bytes = vec![0u8; self.info().bytes as usize];
        // SAFETY: the buffer has all elements.
        done(unsafe { transfer::tn_array_copy_to_host(self.0, bytes.as_mut_ptr().cast(), null(), stream) })?;
        Ok(bytes)
    }

    /// All elements in C order, read from host memory.
    pub fn write(&self, bytes: &[u8], stream: *mut tn_stream) -> Done {
        assert_eq!(bytes.len() as u64, self.info().bytes);
        // SAFETY: the array has these elements.
        done(unsafe { transfer::tn_array_copy_from_host(self.0, bytes.as_ptr().cast(), null(), TN_WAIT, stream) })
    }

    pub fn wait(&self, access: u32) -> Done {
        done(array::tn_array_wait(self.0, access))
    }

    /// A read borrow that ends at once.
    pub fn look(&self, flags: u32, stream: *mut tn_stream) -> Done {
        let mut data = null();
        // SAFETY: writable outputs.
        let guard =
            made(|out| unsafe { borrow::tn_array_borrow_read(self.0, flags, stream, &mut data, null_mut(), out) })?;
        done(borrow::tn_borrow_end(guard, 0, null_mut()))
    }
}

/// A stream of the test's own, released on drop.
pub struct Stream(pub *mut tn_stream);

impl Stream {
    pub fn new(device: tn_device) -> Stream {
        // SAFETY: a writable output.
        Stream(made(|out| unsafe { stream::tn_stream_create(device, 0, 0, out) }).unwrap())
    }
    pub fn native(&self) -> u64 {
        let mut native = 0;
        // SAFETY: a writable output.
        assert_eq!(unsafe { stream::tn_stream_native(self.0, &mut native) }, TN_OK);
        native
    }
    pub fn synchronize(&self) -> Done {
        done(stream::tn_stream_synchronize(self.0))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        assert_eq!(stream::tn_stream_release(self.0), TN_OK);
    }
}

pub fn describe(device: tn_device) -> tn_device_info {
    let mut info = tenure::device::NO_INFO;
    // SAFETY: a struct of its size.
    assert_eq!(unsafe { device::tn_device_query(device, 0, &mut info) }, TN_OK, "{}", text());
    info
}

pub const DTYPES: [(u32, usize); 5] = [(TN_BOOL, 1), (TN_F16, 2), (TN_I32, 4), (TN_F64, 8), (TN_C128, 16)];

/// A contiguous array, and its expected bytes.
pub struct Store {
    pub array: Array,
    pub bytes: Vec<u8>,
    pub item: usize,
}

/// A view of a store: the handle, and the position of each element in the store, in C order.
pub struct View {
    pub array: Array,
    pub at: Vec<usize>,
    pub shape: Vec<i64>,
    pub text: String,
}

impl Store {
    /// With random bytes.
    pub fn new(random: &mut Random, device: tn_device, (dtype, item): (u32, usize), shape: &[i64]) -> Store {
        let array = Array::empty(device, dtype, shape);
        let bytes: Vec<u8> = (0..array.info().bytes).map(|_| random.next() as u8).collect();
        array.write(&bytes, null_mut()).unwrap_or_else(|status| panic!("{status}: {}", text()));
        Store { array, bytes, item }
    }

    /// A store for a view of that shape, and the view: permuted axes, steps, gaps at the ends, reversed axes.
    pub fn with_view(random: &mut Random, device: tn_device, kind: (u32, usize), shape: &[i64]) -> (Store, View) {
        let mut order: Vec<usize> = (0..shape.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below_i64(at as i64 + 1) as usize);
        }
        if random.one_in(2) {
            order.sort_unstable();
        }
        let (mut lengths, mut specs) = (Vec::new(), Vec::new());
        for &axis in &order {
            let n = shape[axis];
            let step = if random.one_in(2) { 1 } else { 1 + random.below_i64(3) };
            let (before, after) = if random.one_in(2) { (0, 0) } else { (random.below_i64(3), random.below_i64(3)) };
            let last = before + (n - 1).max(0) * step;
            lengths.push(last + 1 + after);
            specs.push(match (n, random.one_in(4)) {
                (0, _) => tn_slice_spec { start: 0, stop: 0, step: 1, reserved: [0; 4] },
                (_, false) => tn_slice_spec { start: before, stop: last + 1, step, reserved: [0; 4] },
                (_, true) => tn_slice_spec {
                    start: last,
                    stop: if before == 0 { TN_NONE } else { before - 1 },
                    step: -step,
                    reserved: [0; 4],
                },
            });
        }
        let store = Store::new(random, device, kind, &lengths);
        let mut back = vec![0; shape.len()];
        order.iter().enumerate().for_each(|(place, &axis)| back[axis] = place as i32);
        let array = store.array.slice(&specs).permute(&back);
        let view = View::of(array);
        assert_eq!(view.shape, shape);
        (store, view)
    }

    /// Applies a write through a view to the expected bytes.
    pub fn put(&mut self, view: &View, elements: &[u8]) {
        for (&at, element) in view.at.iter().zip(elements.chunks(self.item.max(1))) {
            self.bytes[at..at + self.item].copy_from_slice(element);
        }
    }

    /// The expected elements of a view, in C order.
    pub fn get(&self, view: &View) -> Vec<u8> {
        view.at.iter().flat_map(|&at| self.bytes[at..at + self.item].to_vec()).collect()
    }

    pub fn check(&self, why: &str) {
        assert!(self.array.read() == self.bytes, "{why}");
    }
}

impl View {
    pub fn of(array: Array) -> View {
        let info = array.info();
        let ndim = info.ndim as usize;
        let (shape, strides) = (info.shape[..ndim].to_vec(), &info.strides[..ndim]);
        let at = crate::support::strided_cases::elements(&shape, strides, info.offset)
            .into_iter()
            .map(|at| at as usize)
            .collect();
        let text = format!("{:?} {strides:?} on {:?}", shape, (info.device.r#type, info.device.id));
        View { array, at, shape, text }
    }
}
