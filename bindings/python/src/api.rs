//! The C functions that the package calls, as safe Rust: one line each, nothing decided here.
//!
//! Contract: a handle is a checked id that the library never dereferences, so any `Id` may be passed and a wrong one
//! is a status; what needs a pointer to real bytes stays `unsafe fn`. A failure is a `Failure` that must become a
//! Python exception on the same thread before the next call, because the text lies in the library's buffer of this
//! thread (`errors`).

pub mod cuda;
pub mod expr;

use crate::ffi_generated as c;
use crate::types::*;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// `TN_NONE`: the absent bound of a slice.
pub const NONE: i64 = TN_NONE;

/// The bits of a handle of any kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id(pub u64);

/// A status that is not TN_OK; its text is in `tn_last_error`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure(pub tn_status);

/// What a call of the library returns.
pub type Result<T> = core::result::Result<T, Failure>;

impl Id {
    /// No handle.
    pub const NULL: Id = Id(0);

    fn raw<T>(self) -> *mut T {
        self.0 as *mut T
    }
}

#[inline(always)]
fn check(status: tn_status) -> Result<()> {
    if status == TN_OK { Ok(()) } else { Err(Failure(status)) }
}

/// Calls with a place for one handle.
#[inline(always)]
fn made<T>(call: impl FnOnce(*mut *mut T) -> tn_status) -> Result<Id> {
    let mut out: *mut T = null_mut();
    check(call(&mut out))?;
    Ok(Id(out as u64))
}

/// The text of this thread's last failure.
pub fn last_error() -> String {
    // SAFETY: never NULL, NUL-terminated, valid until this thread's next failure.
    unsafe { CStr::from_ptr(c::tn_last_error()) }.to_string_lossy().into_owned()
}

/// "TN_ERR_STALE" and the like.
pub fn status_name(status: tn_status) -> String {
    // SAFETY: static text, never NULL.
    unsafe { CStr::from_ptr(c::tn_status_name(status)) }.to_string_lossy().into_owned()
}

/// The running library's version, as TN_VERSION.
pub fn version() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { c::tn_version() }
}

/// What the loader says about an address (`Dl_info`).
#[repr(C)]
struct Origin {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, origin: *mut Origin) -> c_int;
}

/// The file that the library was loaded from.
pub fn library() -> Option<PathBuf> {
    let mut origin = Origin { file: null(), base: null_mut(), symbol: null(), address: null_mut() };
    // SAFETY: any address may be asked about; `origin` is writable.
    let found = unsafe { dladdr(c::tn_version as *const c_void, &mut origin) } != 0 && !origin.file.is_null();
    // SAFETY: terminated, the loader's, valid while the library is loaded.
    found.then(|| PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(origin.file) }.to_bytes())))
}

/// Sets a process-wide option.
pub fn option_set(name: &CStr, value: &CStr) -> Result<()> {
    // SAFETY: two terminated texts, read during the call.
    check(unsafe { c::tn_option_set(name.as_ptr(), value.as_ptr()) })
}

/// Reads a process-wide option.
pub fn option_get(name: &CStr) -> Result<String> {
    let mut length = 0;
    // SAFETY: capacity 0 writes the length only.
    check(unsafe { c::tn_option_get(name.as_ptr(), 0, null_mut(), &mut length) })?;
    let mut text = vec![0u8; length + 1];
    // SAFETY: `text` has room for as many bytes as it says.
    check(unsafe { c::tn_option_get(name.as_ptr(), text.len(), text.as_mut_ptr().cast(), &mut length) })?;
    text.truncate(length);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Where this thread is from now on; None: nowhere.
pub fn here(file: Option<&CStr>, line: i32) {
    // SAFETY: NULL or a terminated text that is copied. A failure (text that is not UTF-8) leaves the site as it was.
    unsafe { c::tn_here(file.map_or(null(), CStr::as_ptr), line) };
}

/// Runs the queued release callbacks; how many ran.
pub fn run_releases() -> Result<usize> {
    let mut count = 0;
    // SAFETY: `count` is writable.
    check(unsafe { c::tn_run_releases(&mut count) })?;
    Ok(count)
}

// ---- pools

/// A pool of its own.
///
/// # Safety
/// - `options.name` is NULL or a terminated text.
pub unsafe fn pool_create(device: tn_device, options: &tn_pool_options) -> Result<Id> {
    // SAFETY: by this function's list.
    made(|out| unsafe { c::tn_pool_create(device, options, out) })
}

/// A new handle on the device's default pool.
pub fn pool_default(device: tn_device) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { c::tn_pool_default(device, out) })
}

/// A new handle on the thread's current pool of the device.
pub fn pool_current(device: tn_device) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { c::tn_pool_current(device, out) })
}

/// Makes the pool the thread's current one.
pub fn pool_set_current(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_pool_set_current(pool.raw()) })
}

/// Gives the handle back.
pub fn pool_release(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_pool_release(pool.raw()) })
}

/// What the pool holds and did.
pub fn pool_query(pool: Id) -> Result<tn_pool_stats> {
    let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..Default::default() };
    // SAFETY: writable, and `size` says how long it is.
    check(unsafe { c::tn_pool_query(pool.raw(), &mut stats) })?;
    Ok(stats)
}

/// Starts the peaks anew.
pub fn pool_reset_peak(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_pool_reset_peak(pool.raw()) })
}

/// Gives cached memory back; how many bytes.
pub fn pool_trim(pool: Id, keep_bytes: usize) -> Result<usize> {
    let mut released = 0;
    // SAFETY: a checked id, `released` is writable.
    check(unsafe { c::tn_pool_trim(pool.raw(), keep_bytes, &mut released) })?;
    Ok(released)
}

/// The thread's runner.
pub fn runner_current() -> Result<tn_runner> {
    let mut out =
        tn_runner { size: size_of::<tn_runner>(), run: None, context: null_mut(), threads: 0, least_bytes: 0 };
    // SAFETY: writable, and `size` says how long it is.
    check(unsafe { c::tn_runner_current(&mut out) })?;
    Ok(out)
}

/// Sets the thread's runner.
///
/// # Safety
/// - its callback does what `tn_run_callback` says, with a context that lives until another runner is set.
pub unsafe fn runner_set_current(runner: &tn_runner) -> Result<()> {
    // SAFETY: by this function's list.
    check(unsafe { c::tn_runner_set_current(runner) })
}

/// What the clients of a pool hold and did.
pub fn pool_clients(pool: Id) -> Result<Vec<tn_pool_client>> {
    let blank = tn_pool_client {
        client: 0,
        reserved: 0,
        name: [0; 16],
        live_blocks: 0,
        live_bytes: 0,
        requested_bytes: 0,
        peak_bytes: 0,
        allocation_count: 0,
        failure_count: 0,
        misuse_count: 0,
        mismatch_count: 0,
    };
    // SAFETY: room for n entries.
    listed(blank, |n, at, count| unsafe {
        c::tn_pool_query_clients(pool.raw(), size_of::<tn_pool_client>(), n, at, count)
    })
}

/// The size classes of a pool.
pub fn pool_classes(pool: Id) -> Result<Vec<tn_pool_class_stats>> {
    // SAFETY: room for n entries.
    listed(tn_pool_class_stats::default(), |n, at, count| unsafe {
        c::tn_pool_query_classes(pool.raw(), size_of::<tn_pool_class_stats>(), n, at, count)
    })
}

/// What a pool calls when it runs out of memory, and how it lets go of it.
pub type PressureCallback = unsafe extern "C" fn(*mut c_void, usize, tn_pressure) -> usize;
/// The end of a registration.
pub type ReleaseCallback = unsafe extern "C" fn(*mut c_void);

/// Registers a callback for when the pool runs out of memory.
///
/// # Safety
/// - `context` is what both expect, until `release` was called.
pub unsafe fn pool_on_pressure(
    pool: Id,
    callback: PressureCallback,
    context: *mut c_void,
    release: ReleaseCallback,
) -> Result<()> {
    // SAFETY: a checked id; by this function's list.
    check(unsafe { c::tn_pool_on_pressure(pool.raw(), Some(callback), context, Some(release)) })
}

/// Ends a registration.
pub fn pool_off_pressure(pool: Id, callback: PressureCallback, context: *mut c_void) -> Result<()> {
    // SAFETY: a checked id; the two are only compared.
    check(unsafe { c::tn_pool_off_pressure(pool.raw(), Some(callback), context) })
}

/// NumPy's handler of a pool.
pub fn numpy_handler(pool: Id) -> Result<*mut c_void> {
    let mut out = null_mut();
    // SAFETY: a checked id, `out` is writable.
    check(unsafe { c::tn_numpy_handler(pool.raw(), &mut out) })?;
    Ok(out)
}

// ---- arrays

/// How a new array's elements begin.
pub enum Content<'a> {
    /// Undefined.
    Empty,
    /// All bytes 0.
    Zeros,
    /// The bytes of one element, at least as many as its type has.
    Full(&'a [u8; 16]),
}

/// A new array. `pool` NULL: the current host pool.
#[inline]
pub fn array_new(
    pool: Id,
    dtype: tn_dtype,
    shape: &[i64],
    content: Content<'_>,
    options: Option<&tn_array_options>,
) -> Result<Id> {
    let (n, at) = (shape.len() as i32, shape.as_ptr());
    let options = options.map_or(null(), |o| o as *const _);
    // SAFETY: `shape` has n entries; the element has 16 bytes, the longest type's; options are whole and their name
    // terminated.
    made(|out| unsafe {
        match content {
            Content::Empty => c::tn_array_empty(pool.raw(), dtype, n, at, options, out),
            Content::Zeros => c::tn_array_zeros(pool.raw(), dtype, n, at, options, out),
            Content::Full(value) => c::tn_array_full(pool.raw(), dtype, n, at, value.as_ptr().cast(), options, out),
        }
    })
}

/// A new array like another.
pub fn array_like(pool: Id, prototype: Id, options: Option<&tn_array_options>) -> Result<Id> {
    let options = options.map_or(null(), |o| o as *const _);
    // SAFETY: checked ids; options are whole and their name terminated.
    made(|out| unsafe { c::tn_array_like(pool.raw(), prototype.raw(), options, out) })
}

/// Host memory as an array.
///
/// # Safety
/// - `ptr` and `layout` describe memory that stays valid until `release` ran (with no alias: until the return).
/// - `release` may be called once with `context` from any thread.
pub unsafe fn import_host(
    ptr: *mut c_void,
    layout: &tn_layout,
    flags: u32,
    release: tn_release_callback,
    context: *mut c_void,
) -> Result<(Id, tn_how)> {
    let mut how = 0;
    // SAFETY: by this function's list.
    let id = made(|out| unsafe { c::tn_array_import_host(ptr, layout, flags, release, context, out, &mut how) })?;
    Ok((id, how))
}

/// What the array is.
#[inline]
pub fn query(array: Id) -> Result<tn_array_info> {
    let mut info = MaybeUninit::<tn_array_info>::zeroed();
    // SAFETY: `info` is writable and `size` says how long it is; zeros are a value of this plain struct, so it may be
    // read whole.
    unsafe {
        (*info.as_mut_ptr()).size = size_of::<tn_array_info>();
        check(c::tn_array_query(array.raw(), info.as_mut_ptr()))?;
        Ok(info.assume_init())
    }
}

/// Names the array; None removes the name.
pub fn set_name(array: Id, name: Option<&CStr>) -> Result<()> {
    // SAFETY: NULL or a terminated text that is copied.
    check(unsafe { c::tn_array_set_name(array.raw(), name.map_or(null(), CStr::as_ptr)) })
}

/// A new handle on the pool that the bytes came from.
pub fn array_pool(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_pool(array.raw(), out) })
}

/// Another claim on the same bytes.
pub fn clone(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_clone(array.raw(), out) })
}

/// New bytes with the same elements. `stream` NULL, here and below: done on return.
pub fn copy(array: Id, pool: Id, stream: Id) -> Result<Id> {
    // SAFETY: checked ids, `out` is writable.
    made(|out| unsafe { c::tn_array_copy(array.raw(), pool.raw(), stream.raw(), out) })
}

/// Ends the claim.
#[inline]
pub fn release(array: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_array_release(array.raw()) })
}

/// A handle without a claim.
pub fn weaken(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_weaken(array.raw(), out) })
}

/// A claim again, while there is one.
pub fn upgrade(weak: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_weak_upgrade(weak.raw(), out) })
}

/// Gives a weak handle back.
pub fn weak_release(weak: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_weak_release(weak.raw()) })
}

/// An array on a file.
pub fn open_npy(path: &CStr, options: &tn_npy_options) -> Result<Id> {
    // SAFETY: a terminated path, whole options.
    made(|out| unsafe { c::tn_array_open_npy(path.as_ptr(), options, out) })
}

/// A file of an array.
pub fn save_npy(array: Id, path: &CStr, flags: u32) -> Result<()> {
    // SAFETY: a checked id, a terminated path.
    check(unsafe { c::tn_array_save_npy(array.raw(), path.as_ptr(), flags) })
}

// ---- views

/// The same elements in another shape.
pub fn reshape(array: Id, shape: &[i64], order: tn_order) -> Result<Id> {
    // SAFETY: `shape` has as many entries as said.
    made(|out| unsafe { c::tn_array_reshape(array.raw(), shape.len() as i32, shape.as_ptr(), order, out) })
}

/// The same elements on one axis.
pub fn ravel(array: Id, order: tn_order) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_ravel(array.raw(), order, out) })
}

/// All axes reversed.
pub fn transpose(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_transpose(array.raw(), out) })
}

/// The axes in another order.
pub fn permute(array: Id, axes: &[i32]) -> Result<Id> {
    // SAFETY: `axes` has as many entries as said.
    made(|out| unsafe { c::tn_array_permute(array.raw(), axes.len() as i32, axes.as_ptr(), out) })
}

/// Part of the array, axis by axis.
#[inline]
pub fn slice(array: Id, specs: &[tn_slice_spec]) -> Result<Id> {
    // SAFETY: `specs` has as many entries as said.
    made(|out| unsafe { c::tn_array_slice(array.raw(), specs.len(), specs.as_ptr(), out) })
}

/// One index of an axis, which goes.
#[inline]
pub fn index(array: Id, axis: i32, index: i64) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_index(array.raw(), axis, index, out) })
}

/// Without axes of length 1; none named: all of them.
pub fn squeeze(array: Id, axes: &[i32]) -> Result<Id> {
    let at = if axes.is_empty() { null() } else { axes.as_ptr() };
    // SAFETY: `axes` has as many entries as said, NULL with 0.
    made(|out| unsafe { c::tn_array_squeeze(array.raw(), axes.len(), at, out) })
}

/// A new axis of length 1.
pub fn expand(array: Id, axis: i32) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_expand(array.raw(), axis, out) })
}

/// Stretched to a shape.
pub fn broadcast(array: Id, shape: &[i64]) -> Result<Id> {
    // SAFETY: `shape` has as many entries as said.
    made(|out| unsafe { c::tn_array_broadcast(array.raw(), shape.len() as i32, shape.as_ptr(), out) })
}

/// The same bytes as another element type.
pub fn view_dtype(array: Id, dtype: tn_dtype) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_view_dtype(array.raw(), dtype, out) })
}

/// Asks for the number, makes room, fills it.
fn several(call: impl Fn(usize, *mut *mut tn_array, *mut usize) -> tn_status) -> Result<Vec<Id>> {
    let mut count = 0;
    check(call(0, null_mut(), &mut count))?;
    let mut outs = vec![null_mut::<tn_array>(); count];
    check(call(count, outs.as_mut_ptr(), &mut count))?;
    outs.truncate(count);
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

/// Exactly `parts` views.
pub fn split(array: Id, axis: i32, parts: usize) -> Result<Vec<Id>> {
    // SAFETY: `several` passes as many places as it says.
    several(|n, outs, count| unsafe { c::tn_array_split(array.raw(), axis, parts, n, outs, count) })
}

/// Views of `length`, the last one shorter.
pub fn chunks(array: Id, axis: i32, length: i64) -> Result<Vec<Id>> {
    // SAFETY: `several` passes as many places as it says.
    several(|n, outs, count| unsafe { c::tn_array_chunks(array.raw(), axis, length, n, outs, count) })
}

/// TN_OVERLAP_ of two arrays.
pub fn overlap(a: Id, b: Id) -> Result<tn_overlap> {
    let mut out = 0;
    // SAFETY: checked ids, `out` is writable.
    check(unsafe { c::tn_array_overlap(a.raw(), b.raw(), &mut out) })?;
    Ok(out)
}

// ---- borrows and ownership

/// A `tn_view_info` to be filled.
fn no_view() -> tn_view_info {
    tn_view_info {
        data: null_mut(),
        device: tn_device { r#type: 0, id: 0 },
        ndim: 0,
        dtype: 0,
        shape: null(),
        strides: null(),
        device_data: 0,
        bytes: 0,
        reserved: [0; 4],
    }
}

/// A read guard and what it lets one touch.
pub fn borrow_read(array: Id, flags: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id =
        made(|out| unsafe { c::tn_array_borrow_read(array.raw(), flags, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// A write guard and what it lets one touch.
pub fn borrow_write(array: Id, mode: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id =
        made(|out| unsafe { c::tn_array_borrow_write(array.raw(), mode, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// One guard for several arrays, all or nothing.
pub fn borrow_all(specs: &[tn_borrow_spec]) -> Result<(Id, Vec<tn_view_info>)> {
    let mut views = vec![no_view(); specs.len()];
    // SAFETY: `specs` and `views` have as many entries as said.
    let id = made(|out| unsafe { c::tn_borrow_all(specs.len(), specs.as_ptr(), views.as_mut_ptr(), out) })?;
    Ok((id, views))
}

/// Write guards over n consecutive parts.
pub fn chunks_write(array: Id, axis: i32, n: usize, mode: u32) -> Result<Vec<tn_chunk>> {
    let mut chunks = vec![tn_chunk { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] }; n];
    // SAFETY: `chunks` has as many entries as said.
    check(unsafe { c::tn_array_chunks_write(array.raw(), axis, n, mode, null_mut(), chunks.as_mut_ptr()) })?;
    Ok(chunks)
}

/// Ends a guard of any kind.
#[inline]
pub fn borrow_end(guard: Id, flags: u32) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_borrow_end(guard.raw(), flags, null_mut()) })
}

/// Bytes with their layout, valid until the guard ends.
#[inline]
pub fn export_host(array: Id, flags: u32, mode: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    let mut how = 0;
    // SAFETY: a checked id, the outputs are writable.
    let id =
        made(|out| unsafe { c::tn_array_export_host(array.raw(), flags, mode, null_mut(), &mut view, out, &mut how) })?;
    Ok((id, view))
}

/// Completes DLPack's exchange table with the functions of `slots`, and where the table is.
///
/// # Safety
/// - `slots` is a DLPackExchangeAPI whose functions for Python objects stay callable until the process ends.
pub unsafe fn exchange_table(slots: *const DLPackExchangeAPI) -> Result<*const DLPackExchangeAPI> {
    let mut table = null();
    // SAFETY: by this function's list; the output is writable.
    check(unsafe { c::tn_dlpack_register_python(slots) })?;
    // SAFETY: the output is writable.
    check(unsafe { c::tn_dlpack_exchange_api(&mut table) })?;
    Ok(table)
}

/// A promise not to use the handle again.
pub fn give(array: Id, required: u32) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { c::tn_array_give(array.raw(), required as usize, out) })
}

/// The giver has its array back.
pub fn promise_cancel(promise: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_promise_cancel(promise.raw()) })
}

/// Gives a promise back; cancels it if nobody took it.
pub fn promise_release(promise: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { c::tn_promise_release(promise.raw()) })
}

/// A new handle for each promise, all or none.
pub fn take(promises: &[Id]) -> Result<Vec<Id>> {
    let mut outs = vec![null_mut::<tn_array>(); promises.len()];
    // SAFETY: both have as many entries as said; an `Id` of 64 bits is read as the pointer whose bits it has.
    check(unsafe { c::tn_take(promises.len(), promises.as_ptr().cast(), outs.as_mut_ptr()) })?;
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

/// A new handle for each array and promise, all or none. The scope is left at once and keeps them all: they are the
/// caller's.
pub fn enter_and_keep(params: &[Id]) -> Result<Vec<Id>> {
    let mut outs = vec![null_mut::<tn_array>(); params.len()];
    // SAFETY: both have as many entries as said; an `Id` of 64 bits is read as the pointer whose bits it has.
    let scope = made(|out| unsafe { c::tn_enter(params.len(), params.as_ptr().cast(), outs.as_mut_ptr(), out) })?;
    // SAFETY: `outs` has as many entries as said. Nobody else knows the scope or its handles: this cannot fail.
    check(unsafe { c::tn_leave(scope.raw(), outs.len(), outs.as_ptr()) })?;
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

const _: () = assert!(size_of::<Id>() == size_of::<*mut tn_promise>());

/// Nobody else claims, borrows or exports the bytes.
pub fn is_unique(array: Id) -> Result<bool> {
    let mut out = 0;
    // SAFETY: a checked id, `out` is writable.
    check(unsafe { c::tn_array_is_unique(array.raw(), &mut out) })?;
    Ok(out != 0)
}

/// A holder to be filled.
fn no_holder() -> tn_holder {
    tn_holder {
        kind: 0,
        device: tn_device { r#type: 0, id: 0 },
        reserved: 0,
        id: 0,
        bytes: 0,
        thread: 0,
        time_ns: 0,
        name: [0; 64],
        site: [0; 64],
    }
}

/// Asks until the list fits: other threads may add to it in between.
fn listed<T: Clone>(blank: T, call: impl Fn(usize, *mut T, &mut usize) -> tn_status) -> Result<Vec<T>> {
    let mut list = vec![blank.clone(); 16];
    loop {
        let mut count = 0;
        check(call(list.len(), list.as_mut_ptr(), &mut count))?;
        if count <= list.len() {
            list.truncate(count);
            return Ok(list);
        }
        list.resize(count + count / 4, blank.clone());
    }
}

/// What stands in the way of overwriting in place, and who.
pub fn why_not(array: Id, target: Option<&tn_target>) -> Result<(u32, Vec<tn_holder>)> {
    let bits = core::cell::Cell::new(0);
    let target = target.map_or(null(), |t| t as *const _);
    let holders = listed(no_holder(), |n, at, count| {
        let mut now = 0;
        // SAFETY: a checked id, a whole target whose shape has ndim entries, room for n holders.
        let status =
            unsafe { c::tn_array_why_not(array.raw(), target, size_of::<tn_holder>(), n, &mut now, at, count) };
        bits.set(now);
        status
    })?;
    Ok((bits.get(), holders))
}

/// Whose an address is.
pub fn holders_of(address: u64, bytes: usize) -> Result<(tn_store_info, Vec<tn_holder>)> {
    let store = core::cell::Cell::new(tn_store_info {
        size: size_of::<tn_store_info>(),
        address: 0,
        bytes: 0,
        device: tn_device { r#type: 0, id: 0 },
        flags: 0,
        reserved: 0,
        version: 0,
        pool_name: [0; 64],
    });
    let holders = listed(no_holder(), |n, at, count| {
        // SAFETY: nothing is read at the address; `store` is whole, room for n holders.
        unsafe {
            c::tn_holders_of(address as *const c_void, bytes, size_of::<tn_holder>(), n, store.as_ptr(), at, count)
        }
    })?;
    Ok((store.get(), holders))
}

/// Everything not given back so far.
pub fn leaks() -> Result<Vec<tn_holder>> {
    // SAFETY: room for n entries.
    listed(no_holder(), |n, at, count| unsafe { c::tn_leaks(size_of::<tn_holder>(), n, at, count) })
}

/// The copy book.
pub fn copies() -> Result<Vec<tn_copy_site>> {
    let blank = tn_copy_site { function: null(), site: [0; 64], why: 0, forced: 0, count: 0, bytes: 0, reserved: 0 };
    // SAFETY: room for n entries.
    listed(blank, |n, at, count| unsafe { c::tn_copies_query(size_of::<tn_copy_site>(), n, at, count) })
}

/// Who holds what, as JSON.
pub fn report_json() -> Result<String> {
    let mut text = vec![0u8; 1 << 16];
    loop {
        let mut length = 0;
        // SAFETY: room for as many bytes as it says.
        check(unsafe { c::tn_report_json(0, text.len(), text.as_mut_ptr().cast(), &mut length) })?;
        if length < text.len() {
            text.truncate(length);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        // Other threads may add to it in between.
        text.resize(length + length / 4 + 1, 0);
    }
}

/// Forced copies of this thread are a status from now on, or not any more.
pub fn copies_forbid(on: bool) -> Result<()> {
    // SAFETY: a number.
    check(unsafe { c::tn_copies_forbid(on.into()) })
}

/// Whether forced copies of this thread are a status now.
pub fn copies_forbidden() -> Result<bool> {
    // Taking one back works only where they are; it is put back at once.
    match copies_forbid(false) {
        Ok(()) => copies_forbid(true).map(|()| true),
        Err(Failure(TN_ERR_INVALID)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

// ---- movement

/// All elements from another array of the same shape and type.
pub fn copy_into(source: Id, destination: Id, mode: u32, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { c::tn_array_copy_into(source.raw(), destination.raw(), mode, stream.raw()) })
}

/// The bytes of the only element that a read guard lends, `bytes` long; None: there is another number of elements. Ends the guard.
///
/// # Safety
/// - `guard` lends `view`, in memory that the host can touch.
#[inline]
pub unsafe fn read_one(guard: Id, view: &tn_view_info, bytes: usize) -> Result<Option<[u8; 16]>> {
    let mut element = [0u8; 16];
    let one = view.bytes == bytes as u64 && bytes <= element.len();
    if one {
        // SAFETY: the guard lends as many bytes at `data`; the element has room for 16.
        unsafe { core::ptr::copy_nonoverlapping(view.data.cast::<u8>(), element.as_mut_ptr(), bytes) };
    }
    borrow_end(guard, 0)?;
    Ok(one.then_some(element))
}

/// Overwrites the only element that a write guard lends; false: there is another number of elements. Ends the guard.
///
/// # Safety
/// - `guard` lends `view`, in memory that the host can touch.
#[inline]
pub unsafe fn write_one(guard: Id, view: &tn_view_info, element: &[u8; 16], bytes: usize) -> Result<bool> {
    let one = view.bytes == bytes as u64 && bytes <= element.len();
    if one {
        // SAFETY: the guard lends as many bytes at `data`, and nobody else touches them; the element has 16.
        unsafe { core::ptr::copy_nonoverlapping(element.as_ptr(), view.data.cast::<u8>(), bytes) };
    }
    borrow_end(guard, 0)?;
    Ok(one)
}

/// All elements from raw memory.
///
/// # Safety
/// - `ptr` and `layout` describe memory that may be read during the call.
pub unsafe fn copy_from_host(array: Id, ptr: *const c_void, layout: &tn_layout, mode: u32) -> Result<()> {
    // SAFETY: by this function's list.
    check(unsafe { c::tn_array_copy_from_host(array.raw(), ptr, layout, mode, null_mut()) })
}

/// Every element becomes the given one.
pub fn fill(array: Id, value: &[u8; 16], mode: u32, stream: Id) -> Result<()> {
    // SAFETY: 16 bytes are the longest element.
    check(unsafe { c::tn_array_fill(array.raw(), value.as_ptr().cast(), mode, stream.raw()) })
}

/// Every byte of every element becomes 0.
pub fn zero(array: Id, mode: u32, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { c::tn_array_zero(array.raw(), mode, stream.raw()) })
}
