//! The C functions for tests of threads, forks and out of memory. Handles are plain numbers, which threads may share,
//! and every failing call is checked to leave its outputs untouched.
#![allow(dead_code)] // each file uses some of it
#![allow(clippy::missing_safety_doc)]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use tenure::ffi::{
    array, arrow, borrow, exchange, expr, function, ipc, launch, library, mirror, module, pool, promise, report,
    safetensors, shared, transfer, view,
};
use tenure::types::*;

/// The bits of a handle of any kind.
pub type Handle = usize;
/// A new handle, or the status of a failure.
pub type Made = Result<Handle, tn_status>;
/// Success, or the status of a failure.
pub type Done = Result<(), tn_status>;

pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
/// The value of outputs before a call: no handle and no address.
pub const UNTOUCHED: usize = 0x5e5e_5e5e_5e5e_5e5e;

thread_local! {
    /// Whether the thread is in a function of the library. Allocations then are the library's.
    pub static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function of the library and marks the thread as inside.
pub fn inside(call: impl FnOnce() -> tn_status) -> tn_status {
    INSIDE.set(true);
    let status = call();
    INSIDE.set(false);
    status
}

/// Result of a call that makes nothing.
pub fn done(call: impl FnOnce() -> tn_status) -> Done {
    result(inside(call))
}

fn result(status: tn_status) -> Done {
    if status == TN_OK { Ok(()) } else { Err(status) }
}

fn made<T>(call: impl FnOnce(*mut *mut T) -> tn_status) -> Made {
    let mut out = UNTOUCHED as *mut T;
    let status = inside(|| call(&mut out));
    assert!(status == TN_OK || out as usize == UNTOUCHED, "{} wrote its output", name(status));
    result(status).map(|()| out as usize)
}

/// The handle as C has it.
pub fn name(status: tn_status) -> &'static str {
    tenure::error::name(status).to_str().unwrap()
}

/// The message of this thread's last failure.
pub fn text() -> String {
    // SAFETY: NUL-terminated, and valid until the next failure.
    unsafe { CStr::from_ptr(library::tn_last_error()) }.to_str().unwrap().to_owned()
}

pub fn here(file: &CStr, line: i32) {
    // SAFETY: a C string.
    assert_eq!(inside(|| unsafe { library::tn_here(file.as_ptr(), line) }), TN_OK);
}

// ---- pools ----

pub fn pool_of(change: impl FnOnce(&mut tn_pool_options)) -> Made {
    // SAFETY: plain data; 0 is the default of every field.
    let mut options: tn_pool_options = unsafe { std::mem::zeroed() };
    options.size = size_of::<tn_pool_options>();
    change(&mut options);
    // SAFETY: a struct of its size, and a writable output.
    made(|out| unsafe { pool::tn_pool_create(HOST, &options, out) })
}

pub fn new_pool() -> Handle {
    pool_of(|_| ()).unwrap()
}

pub fn pool_release(pool: Handle) -> Done {
    done(|| pool::tn_pool_release(pool as *mut tn_pool))
}

pub fn set_current(pool: Handle) -> Done {
    done(|| pool::tn_pool_set_current(pool as *mut tn_pool))
}

pub fn set_default(pool: Handle) -> Done {
    done(|| pool::tn_pool_set_default(pool as *mut tn_pool))
}

pub fn default_pool(device: tn_device) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { pool::tn_pool_default(device, out) })
}

pub fn stats(pool: Handle) -> tn_pool_stats {
    // SAFETY: plain data.
    let mut stats: tn_pool_stats = unsafe { std::mem::zeroed() };
    stats.size = size_of::<tn_pool_stats>();
    // SAFETY: a struct of its size.
    assert_eq!(inside(|| unsafe { pool::tn_pool_query(pool as *mut tn_pool, &mut stats) }), TN_OK);
    stats
}

pub fn live_bytes(pool: Handle) -> u64 {
    stats(pool).requested_bytes
}

pub fn wait(a: Handle) -> Done {
    done(|| array::tn_array_wait(a as *mut tn_array, TN_WRITE))
}

pub fn allocate(pool: Handle, bytes: usize) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { pool::tn_pool_allocate(pool as *mut tn_pool, bytes, 0, null_mut(), out) })
}

pub fn reallocate(pool: Handle, at: usize, bytes: usize) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { pool::tn_pool_reallocate(pool as *mut tn_pool, at as *mut c_void, bytes, null_mut(), out) })
}

pub fn deallocate(at: usize) -> Done {
    done(|| pool::tn_pool_deallocate(null_mut(), at as *mut c_void, null_mut()))
}

// ---- arrays ----

/// An array of zeros; dtype TN_I64.
pub fn zeros(pool: Handle, shape: &[i64]) -> Made {
    // SAFETY: a shape of that length, and a writable output.
    made(|out| unsafe {
        array::tn_array_zeros(pool as *mut tn_pool, TN_I64, shape.len() as i32, shape.as_ptr(), null(), out)
    })
}

/// An array of 0, 1, 2, .. in C order; panics on failure.
pub fn numbers(pool: Handle, shape: &[i64]) -> Handle {
    let a = zeros(pool, shape).unwrap();
    let values: Vec<i64> = (0..shape.iter().product()).collect();
    // SAFETY: as many values as elements.
    let status = inside(|| unsafe {
        transfer::tn_array_copy_from_host(a as *mut _, values.as_ptr().cast(), null(), 0, null_mut())
    });
    assert_eq!(status, TN_OK);
    a
}

/// An array of float64 values in C order.
pub fn floats(pool: Handle, shape: &[i64], values: &[f64]) -> Handle {
    // SAFETY: a shape of that length, and a writable output.
    let a = made(|out| unsafe {
        array::tn_array_zeros(pool as *mut tn_pool, TN_F64, shape.len() as i32, shape.as_ptr(), null(), out)
    })
    .unwrap();
    assert_eq!(info(a).count as usize, values.len());
    // SAFETY: as many values as elements.
    done(|| unsafe { transfer::tn_array_copy_from_host(a as *mut _, values.as_ptr().cast(), null(), 0, null_mut()) })
        .unwrap();
    a
}

/// The elements in C order.
pub fn elements(a: Handle) -> Vec<i64> {
    let mut values = vec![0i64; info(a).count as usize];
    // SAFETY: the buffer has all elements.
    let status = inside(|| unsafe {
        transfer::tn_array_copy_to_host(a as *mut _, values.as_mut_ptr().cast(), null(), null_mut())
    });
    assert_eq!(status, TN_OK, "{}", text());
    values
}

pub fn full(pool: Handle, shape: &[i64], value: i64) -> Made {
    // SAFETY: a shape of that length, one element, and a writable output.
    made(|out| unsafe {
        let value = (&raw const value).cast();
        array::tn_array_full(pool as *mut _, TN_I64, shape.len() as i32, shape.as_ptr(), value, null(), out)
    })
}

pub fn like(pool: Handle, a: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_array_like(a as *mut _, pool as *mut _, null(), out) })
}

pub fn release(a: Handle) -> Done {
    done(|| array::tn_array_release(a as *mut _))
}

pub fn clone(a: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_array_clone(a as *mut _, out) })
}

pub fn copy(a: Handle, pool: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_array_copy(a as *mut _, pool as *mut _, null_mut(), out) })
}

pub fn set_name(a: Handle, name: &str) {
    let name = CString::new(name).unwrap();
    // SAFETY: a text.
    assert_eq!(inside(|| unsafe { array::tn_array_set_name(a as *mut _, name.as_ptr()) }), TN_OK);
}

pub fn array_pool(a: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_array_pool(a as *mut _, out) })
}

pub fn try_info(a: Handle) -> Result<tn_array_info, tn_status> {
    // SAFETY: plain data.
    let mut info: tn_array_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<tn_array_info>();
    // SAFETY: a struct of its size.
    done(|| unsafe { array::tn_array_query(a as *mut _, &mut info) })?;
    Ok(info)
}

pub fn info(a: Handle) -> tn_array_info {
    try_info(a).unwrap()
}

pub fn shared_create(value: Handle, flags: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { shared::tn_shared_create(value as *mut _, flags, null(), out, null_mut()) })
}

pub fn shared_get(variable: Handle, flags: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { shared::tn_shared_get(variable as *mut _, flags, out, null_mut()) })
}

pub fn shared_set(variable: Handle, value: Handle, flags: u32) -> Done {
    // SAFETY: no output.
    done(|| unsafe { shared::tn_shared_set(variable as *mut _, value as *mut _, flags, null_mut()) })
}

pub fn shared_update(variable: Handle, flags: u32, callback: tn_update_callback) -> Done {
    // SAFETY: a callback without a context, and no output.
    done(|| unsafe { shared::tn_shared_update(variable as *mut _, flags, callback, null_mut(), null_mut()) })
}

pub fn shared_info(variable: Handle) -> tn_shared_info {
    // SAFETY: plain data.
    let mut info: tn_shared_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<tn_shared_info>();
    // SAFETY: a struct of its size.
    done(|| unsafe { shared::tn_shared_query(variable as *mut _, &mut info) }).unwrap();
    info
}

pub fn shared_release(variable: Handle) -> Done {
    done(|| shared::tn_shared_release(variable as *mut _))
}

/// A mirror of an array.
pub fn mirror_create(object: Handle, flags: u32) -> Made {
    // SAFETY: plain data; 0 is the default of every field.
    let mut options: tn_mirror_options = unsafe { std::mem::zeroed() };
    options.size = size_of::<tn_mirror_options>();
    options.object = object as *mut _;
    options.borrow_flags = flags;
    // SAFETY: a struct of its size, and a writable output.
    made(|out| unsafe { mirror::tn_mirror_create(&options, out, null_mut()) })
}

/// A guard on the host side.
pub fn mirror_acquire(m: Handle, access: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe {
        mirror::tn_mirror_acquire(m as *mut _, TN_SIDE_HOST, access, null_mut(), null_mut(), null_mut(), out)
    })
}

/// An array on the host side.
pub fn mirror_get(m: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { mirror::tn_mirror_get(m as *mut _, TN_SIDE_HOST, out) })
}

pub fn mirror_release(m: Handle) -> Done {
    done(|| mirror::tn_mirror_release(m as *mut _))
}

/// A module of an image.
pub fn module_load(image: &[u8]) -> Made {
    // SAFETY: bytes of ours, and a writable output.
    made(|out| unsafe { module::tn_module_load(image.as_ptr().cast(), image.len(), std::ptr::null(), out) })
}

pub fn module_release(m: Handle) -> Done {
    done(|| module::tn_module_release(m as *mut _))
}

/// An input: a default value, a variable, or neither.
pub fn input(flags: u32, default: Handle, variable: Handle) -> tn_in {
    // SAFETY: plain data; 0 is the default of every field but the next ones.
    let blank: tn_in = unsafe { std::mem::zeroed() };
    let size = size_of::<tn_in>();
    tn_in { size, flags, ndim: -1, default_value: default as *mut _, shared: variable as *mut _, ..blank }
}

/// # Safety
/// - The body, which is one of the two, may be called with the context until the function is released.
pub unsafe fn function_create(
    (body, expr_body): (tn_function_body, tn_function_expr_body),
    context: *mut c_void,
    inputs: &[tn_in],
    outputs: &[u32],
    updates: &[(Handle, u32)],
) -> Made {
    // SAFETY: plain data; 0 is the default of every field but the next ones.
    let (blank, blank_options): (tn_out, tn_function_options) = unsafe { std::mem::zeroed() };
    let outputs: Vec<tn_out> =
        outputs.iter().map(|flags| tn_out { size: size_of::<tn_out>(), flags: *flags, ndim: -1, ..blank }).collect();
    let size = size_of::<tn_update>();
    let updates: Vec<tn_update> = updates
        .iter()
        .map(|(target, flags)| tn_update { size, target: *target as *mut _, flags: *flags, reserved: 0 })
        .collect();
    let options = tn_function_options {
        size: size_of::<tn_function_options>(),
        body,
        expr_body,
        context,
        n_in: inputs.len(),
        n_out: outputs.len(),
        n_update: updates.len(),
        inputs: inputs.as_ptr(),
        outputs: outputs.as_ptr(),
        updates: updates.as_ptr(),
        ..blank_options
    };
    // SAFETY: a struct of its size with lists of their lengths, and a writable output.
    made(|out| unsafe { function::tn_function_create(&options, out) })
}

pub fn function_call(function: Handle, arguments: &[Handle], n_out: usize) -> Result<Vec<Handle>, tn_status> {
    let mut out = vec![UNTOUCHED; n_out];
    // SAFETY: as many places as said.
    let outcome = done(|| unsafe {
        let (arguments, n_in, places) = (arguments.as_ptr(), arguments.len(), out.as_mut_ptr());
        function::tn_function_call(
            function as *mut _,
            n_in,
            arguments.cast(),
            n_out,
            places.cast(),
            null_mut(),
            null_mut(),
        )
    });
    assert!(outcome.is_ok() || out.iter().all(|place| *place == UNTOUCHED), "a failing call wrote its outputs");
    outcome.map(|()| out)
}

pub fn function_release(function: Handle) -> Done {
    done(|| function::tn_function_release(function as *mut _))
}

pub fn weaken(a: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_array_weaken(a as *mut _, out) })
}

pub fn upgrade(weak: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { array::tn_weak_upgrade(weak as *mut _, out) })
}

pub fn weak_release(weak: Handle) -> Done {
    done(|| array::tn_weak_release(weak as *mut _))
}

/// Imports int64 elements of that shape, contiguous, from an address.
pub unsafe fn import(
    at: *mut i64,
    shape: &[i64],
    flags: u32,
    release: tn_release_callback,
    context: *mut c_void,
) -> Made {
    let layout = tn_layout {
        size: size_of::<tn_layout>(),
        dtype: TN_I64,
        ndim: shape.len() as i32,
        shape: shape.as_ptr(),
        strides: null(),
        offset: 0,
    };
    // SAFETY: a struct of its size; the caller guarantees the bytes.
    made(|out| unsafe { array::tn_array_import_host(at.cast(), &layout, flags, release, context, out, null_mut()) })
}

// ---- views ----

pub fn slice(a: Handle, start: i64, stop: i64, step: i64) -> Made {
    let spec = tn_slice_spec { start, stop, step, reserved: [0; 4] };
    // SAFETY: one spec, and a writable output.
    made(|out| unsafe { view::tn_array_slice(a as *mut _, 1, &spec, out) })
}

pub fn index(a: Handle, axis: i32, index: i64) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { view::tn_array_index(a as *mut _, axis, index, out) })
}

pub fn transpose(a: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { view::tn_array_transpose(a as *mut _, out) })
}

pub fn permute(a: Handle, axes: &[i32]) -> Made {
    // SAFETY: a list of that length, and a writable output.
    made(|out| unsafe { view::tn_array_permute(a as *mut _, axes.len() as i32, axes.as_ptr(), out) })
}

pub fn reshape(a: Handle, shape: &[i64]) -> Made {
    // SAFETY: a shape of that length, and a writable output.
    made(|out| unsafe { view::tn_array_reshape(a as *mut _, shape.len() as i32, shape.as_ptr(), TN_ORDER_C, out) })
}

pub fn broadcast(a: Handle, shape: &[i64]) -> Made {
    // SAFETY: a shape of that length, and a writable output.
    made(|out| unsafe { view::tn_array_broadcast(a as *mut _, shape.len() as i32, shape.as_ptr(), out) })
}

pub fn expand(a: Handle, axis: i32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { view::tn_array_expand(a as *mut _, axis, out) })
}

pub fn split(a: Handle, axis: i32, parts: usize) -> Result<Vec<Handle>, tn_status> {
    let mut outs = vec![UNTOUCHED as *mut tn_array; parts];
    let mut count = UNTOUCHED;
    // SAFETY: the array has an item per part, and the count is writable.
    let status =
        inside(|| unsafe { view::tn_array_split(a as *mut _, axis, parts, parts, outs.as_mut_ptr(), &mut count) });
    let untouched = count == UNTOUCHED && outs.iter().all(|out| *out as usize == UNTOUCHED);
    assert!(status == TN_OK || untouched, "{} wrote its outputs", name(status));
    result(status).map(|()| outs.into_iter().map(|out| out as usize).collect())
}

// ---- guards ----

/// An open guard, and the address of its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    pub id: Handle,
    pub data: usize,
}

fn guarded(call: impl FnOnce(*mut *mut c_void, *mut *mut tn_borrow) -> tn_status) -> Result<Guard, tn_status> {
    let mut data = UNTOUCHED as *mut c_void;
    let id = made(|out| call(&mut data, out));
    assert!(id.is_ok() || data as usize == UNTOUCHED);
    id.map(|id| Guard { id, data: data as usize })
}

pub fn read(a: Handle, flags: u32) -> Result<Guard, tn_status> {
    // SAFETY: writable outputs.
    guarded(|data, out| unsafe {
        borrow::tn_array_borrow_read(a as *mut _, flags, null_mut(), data.cast(), null_mut(), out)
    })
}

pub fn write(a: Handle, mode: u32) -> Result<Guard, tn_status> {
    // SAFETY: writable outputs.
    guarded(|data, out| unsafe { borrow::tn_array_borrow_write(a as *mut _, mode, null_mut(), data, null_mut(), out) })
}

pub fn end(guard: Handle, flags: u32) -> Done {
    done(|| borrow::tn_borrow_end(guard as *mut _, flags, null_mut()))
}

/// Arrays with the requested access of each.
pub fn borrow_all(wanted: &[(Handle, u32)]) -> Made {
    let specs: Vec<tn_borrow_spec> = wanted
        .iter()
        .map(|(a, access)| tn_borrow_spec {
            array: *a as *mut _,
            stream: null_mut(),
            access: *access,
            reserved: [0; 9],
        })
        .collect();
    // SAFETY: a list of that length, no views, and a writable output.
    made(|out| unsafe { borrow::tn_borrow_all(specs.len(), specs.as_ptr(), null_mut(), out) })
}

/// Parts of axis 0: guard, first byte, length.
pub fn split_write(a: Handle, n: usize, mode: u32) -> Result<Vec<(Guard, i64)>, tn_status> {
    let untouched = tn_part { guard: UNTOUCHED as *mut _, data: null_mut(), start: -1, length: -1, reserved: [0; 4] };
    let mut chunks = vec![untouched; n];
    // SAFETY: as many places as chunks.
    let status =
        inside(|| unsafe { borrow::tn_array_split_write(a as *mut _, 0, n, mode, null_mut(), chunks.as_mut_ptr()) });
    assert!(status == TN_OK || chunks.iter().all(|c| c.guard as usize == UNTOUCHED && c.start == -1));
    let guard = |c: &tn_part| Guard { id: c.guard as usize, data: c.data as usize };
    result(status).map(|()| chunks.iter().map(|c| (guard(c), c.length)).collect())
}

pub fn export(a: Handle, flags: u32, mode: u32) -> Made {
    // SAFETY: plain data.
    let mut view: tn_view_info = unsafe { std::mem::zeroed() };
    // SAFETY: writable outputs.
    made(|out| unsafe {
        exchange::tn_array_export_host(a as *mut _, flags, mode, null_mut(), &mut view, out, null_mut())
    })
}

/// The descriptor of an array for other processes, and its file descriptor.
pub fn export_ipc(a: Handle, flags: u32) -> Result<(Vec<u8>, i32), tn_status> {
    let mut descriptor = vec![0u8; TN_IPC_DESCRIPTOR_BYTES];
    let (mut bytes, mut fd) = (usize::MAX, -1);
    let at = descriptor.as_mut_ptr().cast();
    // SAFETY: a descriptor of the capacity that is passed, writable outputs.
    let hold = made(|out| unsafe {
        let capacity = TN_IPC_DESCRIPTOR_BYTES;
        ipc::tn_array_export_ipc(a as *mut _, flags, capacity, at, &mut bytes, &mut fd, out, null_mut())
    });
    assert!(hold.is_ok() || bytes == usize::MAX && fd == -1);
    end(hold?, 0).expect("an open guard");
    descriptor.truncate(bytes);
    Ok((descriptor, fd))
}

/// Imports it, and closes the file descriptor.
pub fn import_ipc((descriptor, fd): (Vec<u8>, i32), flags: u32) -> Made {
    let at = descriptor.as_ptr().cast();
    // SAFETY: a descriptor of its size, a writable output.
    let array = made(|out| unsafe { ipc::tn_array_import_ipc(at, descriptor.len(), fd, flags, out, null_mut()) });
    // SAFETY: the caller's own.
    unsafe { libc::close(fd) };
    array
}

// ---- ownership ----

pub fn give(a: Handle, required: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { promise::tn_array_give(a as *mut _, required as usize, out) })
}

pub fn take(promises: &[Handle]) -> Result<Vec<Handle>, tn_status> {
    let list: Vec<*mut tn_promise> = promises.iter().map(|p| *p as *mut _).collect();
    let mut out = vec![UNTOUCHED as *mut tn_array; list.len()];
    // SAFETY: a list of that length, and an output of that length.
    let status = inside(|| unsafe { promise::tn_take(list.len(), list.as_ptr(), out.as_mut_ptr()) });
    assert!(status == TN_OK || out.iter().all(|out| *out as usize == UNTOUCHED));
    result(status).map(|()| out.into_iter().map(|out| out as usize).collect())
}

/// Moves the array of a promise to a pool of the host.
pub fn promise_to_device(promise: Handle, pool: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe {
        transfer::tn_promise_to_device(promise as *mut _, HOST, pool as *mut tn_pool, null_mut(), out)
    })
}

/// Enters a scope with arrays and promises, mixed. Returns the new handles and the scope.
pub fn enter(params: &[Handle]) -> Result<(Vec<Handle>, Handle), tn_status> {
    let list: Vec<*mut c_void> = params.iter().map(|p| *p as *mut _).collect();
    let mut out = vec![UNTOUCHED as *mut tn_array; list.len()];
    // SAFETY: a list of that length, an output of that length, and a writable output.
    let scope = made(|scope| unsafe { promise::tn_enter(list.len(), list.as_ptr(), out.as_mut_ptr(), scope) });
    assert!(scope.is_ok() || out.iter().all(|out| *out as usize == UNTOUCHED));
    scope.map(|scope| (out.into_iter().map(|out| out as usize).collect(), scope))
}

pub fn leave(scope: Handle) -> Done {
    // SAFETY: keeps no handle.
    done(|| unsafe { promise::tn_leave(scope as *mut _, 0, null()) })
}

pub fn cancel(promise: Handle) -> Done {
    done(|| promise::tn_promise_cancel(promise as *mut _))
}

pub fn promise_release(promise: Handle) -> Done {
    done(|| promise::tn_promise_release(promise as *mut _))
}

pub fn try_unique(a: Handle) -> Result<bool, tn_status> {
    let mut unique = -7;
    // SAFETY: a writable output.
    done(|| unsafe { promise::tn_array_is_unique(a as *mut _, &mut unique) })?;
    assert!(unique == 0 || unique == 1);
    Ok(unique == 1)
}

pub fn unique(a: Handle) -> bool {
    try_unique(a).unwrap()
}

/// The bits of why_not and the number of holders.
pub fn why_not(a: Handle) -> (u32, usize) {
    let (mut bits, mut n) = (u32::MAX, UNTOUCHED);
    // SAFETY: no target, capacity 0, writable outputs.
    let status = inside(|| unsafe {
        promise::tn_array_why_not(a as *mut _, null(), size_of::<tn_holder>(), 0, &mut bits, null_mut(), &mut n)
    });
    assert_eq!(status, TN_OK, "{}", text());
    (bits, n)
}

// ---- movement ----

pub fn fill(a: Handle, value: i64, mode: u32) -> Done {
    // SAFETY: one element.
    done(|| unsafe { transfer::tn_array_fill(a as *mut _, (&raw const value).cast(), mode, null_mut()) })
}

pub fn copy_into(from: Handle, to: Handle, mode: u32) -> Done {
    done(|| transfer::tn_array_copy_into(from as *mut _, to as *mut _, mode, null_mut()))
}

/// Launches a kernel of the host that does nothing, with these arrays and accesses.
pub fn launch_on_host(arrays: &[(Handle, u32)], block_bytes: i64) -> Done {
    unsafe extern "C" fn nothing(_: *const tn_host_block, _: *const *mut c_void) {}
    let args: Vec<tn_arg> = arrays
        .iter()
        .map(|(array, access)| tn_arg {
            kind: TN_ARG_ARRAY,
            access: *access,
            ndim: ndim(*array),
            reserved: 0,
            what: *array as *const c_void,
            bytes: 0,
        })
        .collect();
    let config = tn_launch_config {
        size: size_of::<tn_launch_config>(),
        function: null_mut(),
        grid: [2, 2, 1],
        block: [1; 3],
        block_bytes,
        stream: null_mut(),
        host_function: Some(nothing),
        flags: 0,
        cluster: [0; 3],
    };
    // SAFETY: a list of that length.
    done(|| unsafe { launch::tn_launch(&config, args.len(), args.as_ptr()) })
}

/// The number of axes; 0 for what is no array.
fn ndim(array: Handle) -> i32 {
    // SAFETY: a struct of this size.
    unsafe {
        let mut info = tn_array_info { size: size_of::<tn_array_info>(), ..std::mem::zeroed() };
        array::tn_array_query(array as *mut _, &mut info);
        info.ndim
    }
}

// ---- expressions ----

pub fn leaf(a: Handle, form: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_leaf(a as *mut _, form, out) })
}

pub fn add(x: Handle, y: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_add(x as *mut _, y as *mut _, out) })
}

pub fn multiply(x: Handle, y: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_multiply(x as *mut _, y as *mut _, out) })
}

pub fn cholesky(x: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_cholesky(x as *mut _, out) })
}

pub fn lu(x: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_lu(x as *mut _, out) })
}

pub fn solve(m: Handle, b: Handle) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_solve(m as *mut _, b as *mut _, out) })
}

pub fn compute(x: Handle, flags: u32) -> Made {
    // SAFETY: a writable output.
    made(|out| unsafe { expr::tn_expr_compute(x as *mut _, flags, out) })
}

/// Explains an expression, and drops the text.
pub fn explain(x: Handle, format: u32) -> Done {
    let mut length = 0;
    // SAFETY: the length is the only output.
    done(|| unsafe { expr::tn_expr_explain(x as *mut _, format, 0, null_mut(), &mut length) })
}

pub fn expr_release(x: Handle) -> Done {
    // SAFETY: a handle, or none.
    done(|| unsafe { expr::tn_expr_release(x as *mut _) })
}

// ---- files, DLPack ----

pub fn open_npy(path: &CStr, mode: u32, pool: Handle) -> Made {
    let options =
        tn_npy_options { size: size_of::<tn_npy_options>(), mode, fd: -1, pool: pool as *mut _, max_header_bytes: 0 };
    // SAFETY: a text, a struct of its size, and a writable output.
    made(|out| unsafe { array::tn_array_open_npy(path.as_ptr(), &options, out) })
}

pub fn save_npy(a: Handle, path: &CStr) -> Done {
    // SAFETY: a text.
    done(|| unsafe { array::tn_array_save_npy(a as *mut _, path.as_ptr(), 0) })
}

fn dlpack_options(flags: u32) -> tn_dlpack_options {
    tn_dlpack_options {
        size: size_of::<tn_dlpack_options>(),
        flags,
        mode: 0,
        label: 0,
        reserved: 0,
        target: tn_device { r#type: 0, id: 0 },
        consumer: null_mut(),
    }
}

pub fn export_dlpack(a: Handle, flags: u32) -> Made {
    // SAFETY: a struct of its size, and a writable output.
    made(|out| unsafe {
        exchange::tn_array_export_dlpack_versioned(a as *mut _, &dlpack_options(flags), out, null_mut())
    })
}

pub fn export_dlpack_legacy(a: Handle, flags: u32) -> Made {
    // SAFETY: a struct of its size, and a writable output.
    made(|out| unsafe { exchange::tn_array_export_dlpack(a as *mut _, &dlpack_options(flags), out, null_mut()) })
}

pub fn import_dlpack(tensor: Handle, flags: u32) -> Made {
    // SAFETY: a struct that was exported, or that the test made; a writable output.
    made(|out| unsafe { exchange::tn_array_import_dlpack_versioned(tensor as *mut _, flags, out, null_mut()) })
}

pub fn import_dlpack_legacy(tensor: Handle, flags: u32) -> Made {
    // SAFETY: as above.
    made(|out| unsafe { exchange::tn_array_import_dlpack(tensor as *mut _, flags, out, null_mut()) })
}

/// An ArrowSchema and an ArrowArray, as words. The words before each are its release callback's, as Arrow lays them
/// out.
pub struct Arrow {
    schema: [u64; 9],
    array: [u64; 10],
}

pub fn export_arrow(a: Handle, flags: u32) -> Result<Arrow, tn_status> {
    let mut out = Arrow { schema: [0; 9], array: [0; 10] };
    let (schema, array) = (out.schema.as_mut_ptr(), out.array.as_mut_ptr());
    // SAFETY: the buffers hold the two structs.
    done(|| unsafe { arrow::tn_array_export_arrow(a as *mut _, flags, schema.cast(), array.cast(), null_mut()) })?;
    Ok(out)
}

/// Imports them. On failure they still own the array.
pub fn import_arrow(from: &mut Arrow, flags: u32) -> Made {
    let (schema, array) = (from.schema.as_ptr(), from.array.as_mut_ptr());
    // SAFETY: structs that were exported, and a writable output.
    made(|out| unsafe { arrow::tn_array_import_arrow(schema.cast(), array.cast(), flags, out, null_mut()) })
}

impl Drop for Arrow {
    fn drop(&mut self) {
        type Release = unsafe extern "C" fn(*mut c_void);
        let structs = [(self.schema.as_mut_ptr(), self.schema[7]), (self.array.as_mut_ptr(), self.array[8])];
        for (at, release) in structs.into_iter().filter(|(_, release)| *release != 0) {
            // SAFETY: a struct of the library's that is not released, and its own release.
            let release = unsafe { std::mem::transmute::<usize, Release>(release as usize) };
            done(|| {
                // SAFETY: as above.
                unsafe { release(at.cast()) };
                TN_OK
            })
            .unwrap();
        }
    }
}

/// Opens tensors of a file and releases them.
pub fn open_safetensors(path: &CStr, names: &[&CStr], pool: Handle, flags: u32) -> Done {
    let names: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let mut out = vec![null_mut(); names.len()];
    let (n, names, to) = (names.len(), names.as_ptr(), out.as_mut_ptr());
    // SAFETY: texts, and as many outputs as names.
    done(|| unsafe {
        let options = tn_safetensors_options {
            size: size_of::<tn_safetensors_options>(),
            pool: pool as *mut _,
            flags,
            reserved: 0,
        };
        safetensors::tn_array_open_safetensors(path.as_ptr(), n, names, &options, to, null_mut())
    })?;
    out.into_iter().for_each(|array| release(array as Handle).unwrap());
    Ok(())
}

/// Calls the deleter of a DLManagedTensorVersioned, as a consumer does.
pub fn delete_dlpack(tensor: Handle) {
    // After two 32-bit numbers and the context.
    delete_by(tensor, 16);
}

/// Calls the deleter of a DLManagedTensor, which is its last field.
pub fn delete_dlpack_legacy(tensor: Handle) {
    delete_by(tensor, 56);
}

fn delete_by(tensor: Handle, offset: usize) {
    type Deleter = unsafe extern "C" fn(*mut c_void);
    // SAFETY: a struct of the library's, which has its deleter there.
    let deleter = unsafe { (tensor as *const u8).add(offset).cast::<Deleter>().read() };
    done(|| {
        // SAFETY: the struct is still exported, and is deleted once.
        unsafe { deleter(tensor as *mut c_void) };
        TN_OK
    })
    .unwrap();
}

// ---- reports ----

pub fn run_releases() -> usize {
    let mut count = 0;
    // SAFETY: a writable output.
    assert_eq!(inside(|| unsafe { library::tn_run_releases(&mut count) }), TN_OK);
    count
}

/// Everything that is not released: kind and site.
pub fn leaks() -> Vec<(u32, String)> {
    // SAFETY: plain data.
    let mut places = vec![unsafe { std::mem::zeroed::<tn_holder>() }; 1 << 12];
    let mut count = 0;
    let (size, room) = (size_of::<tn_holder>(), places.len());
    // SAFETY: as many places as said.
    assert_eq!(inside(|| unsafe { report::tn_leaks(size, room, places.as_mut_ptr(), &mut count) }), TN_OK);
    // SAFETY: NUL-terminated.
    let site = |holder: &tn_holder| unsafe { CStr::from_ptr(holder.site.as_ptr()) }.to_str().unwrap().to_owned();
    places.iter().take(count).map(|holder| (holder.kind, site(holder))).collect()
}

/// The number of things that are not released.
pub fn leak_count() -> usize {
    let mut count = 0;
    // SAFETY: capacity 0, and a writable output.
    assert_eq!(inside(|| unsafe { report::tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut count) }), TN_OK);
    count
}

/// The report, in a static buffer; None if it does not fit.
pub fn with_report<R>(see: impl FnOnce(&str) -> R) -> Option<R> {
    with_text(report::tn_report_json, see)
}

/// As `with_report`: the report as a page.
pub fn with_page<R>(see: impl FnOnce(&str) -> R) -> Option<R> {
    with_text(report::tn_report_html_text, see)
}

type WritesText = unsafe extern "C" fn(tn_report_flags, usize, *mut c_char, *mut usize) -> tn_status;

fn with_text<R>(write: WritesText, see: impl FnOnce(&str) -> R) -> Option<R> {
    static TEXT: Mutex<[u8; 1 << 22]> = Mutex::new([0; 1 << 22]);
    let mut text = TEXT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut length = 0;
    let (room, at) = (text.len(), text.as_mut_ptr().cast());
    // SAFETY: as many bytes as said, and a writable output.
    assert_eq!(inside(|| unsafe { write(0, room, at, &mut length) }), TN_OK);
    let shown = CStr::from_bytes_until_nul(&text[..]).expect("the text ends").to_str().expect("the text is UTF-8");
    (shown.len() == length).then(|| see(shown))
}
