//! The C functions that the package calls, as safe Rust: one call each, and no decisions.
//!
//! Contract: a handle is a checked id that the library never dereferences. Any `Id` may be passed; a wrong one returns
//! a status. A function that needs a pointer to real bytes stays `unsafe`. A `Failure` must become a Python exception
//! on the same thread before the next call, because its message is in a buffer of the library for this thread
//! (`base::errors`).

pub mod cuda;
pub mod events;
pub mod expr;
pub mod function;
pub mod ipc;
pub mod kernel;
pub mod mirror;
pub mod variable;

use crate::sys::*;
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

/// A status other than TN_OK. `tn_last_error` has its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure(pub tn_status);

/// The result of a call of the library.
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

/// Calls with an output for one handle.
#[inline(always)]
fn made<T>(call: impl FnOnce(*mut *mut T) -> tn_status) -> Result<Id> {
    let mut out: *mut T = null_mut();
    check(call(&mut out))?;
    Ok(Id(out as u64))
}

/// The message of this thread's last failure.
pub fn last_error() -> String {
    // SAFETY: never NULL, NUL-terminated, valid until this thread's next failure.
    unsafe { CStr::from_ptr(tn_last_error()) }.to_string_lossy().into_owned()
}

/// "TN_ERR_STALE" and the like.
pub fn status_name(status: tn_status) -> String {
    // SAFETY: static text, never NULL.
    unsafe { CStr::from_ptr(tn_status_name(status)) }.to_string_lossy().into_owned()
}

/// The version of the running library, encoded as TN_VERSION.
pub fn version() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { tn_version() }
}

/// The loader's description of an address (`Dl_info`).
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
    // SAFETY: dladdr accepts any address; `origin` is writable.
    let found = unsafe { dladdr(tn_version as *const c_void, &mut origin) } != 0 && !origin.file.is_null();
    // SAFETY: NUL-terminated; the loader owns it while the library is loaded.
    found.then(|| PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(origin.file) }.to_bytes())))
}

/// Sets a process-wide option.
pub fn option_set(name: &CStr, value: &CStr) -> Result<()> {
    // SAFETY: two terminated texts, read during the call.
    check(unsafe { tn_option_set(name.as_ptr(), value.as_ptr()) })
}

/// Reads a process-wide option.
pub fn option_get(name: &CStr) -> Result<String> {
    let mut length = 0;
    // SAFETY: capacity 0 writes the length only.
    check(unsafe { tn_option_get(name.as_ptr(), 0, null_mut(), &mut length) })?;
    let mut text = vec![0u8; length + 1];
    // SAFETY: `text` has room for the bytes of its length.
    check(unsafe { tn_option_get(name.as_ptr(), text.len(), text.as_mut_ptr().cast(), &mut length) })?;
    text.truncate(length);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Sets the call site that the library records for this thread. None removes it.
pub fn here(file: Option<&CStr>, line: i32) {
    // SAFETY: NULL or a terminated text that is copied. A failure (text that is not UTF-8) leaves the site unchanged.
    unsafe { tn_here(file.map_or(null(), CStr::as_ptr), line) };
}

/// Runs the queued release callbacks. Returns how many ran.
pub fn run_releases() -> Result<usize> {
    let mut count = 0;
    // SAFETY: `count` is writable.
    check(unsafe { tn_run_releases(&mut count) })?;
    Ok(count)
}

// ---- pools

/// Creates a pool.
///
/// # Safety
/// - `options.name` is NULL or a terminated text.
pub unsafe fn pool_create(device: tn_device, options: &tn_pool_options) -> Result<Id> {
    // SAFETY: by this function's list.
    made(|out| unsafe { tn_pool_create(device, options, out) })
}

/// A new handle to the device's default pool.
pub fn pool_default(device: tn_device) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { tn_pool_default(device, out) })
}

/// A new handle to the thread's current pool of the device.
pub fn pool_current(device: tn_device) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { tn_pool_current(device, out) })
}

/// Makes a pool the thread's current one.
pub fn pool_set_current(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_pool_set_current(pool.raw()) })
}

/// Makes a pool the process-wide default pool of its device.
pub fn pool_set_default(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_pool_set_default(pool.raw()) })
}

/// Releases a pool handle.
pub fn pool_release(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_pool_release(pool.raw()) })
}

/// The statistics of a pool.
pub fn pool_query(pool: Id) -> Result<tn_pool_stats> {
    let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..Default::default() };
    // SAFETY: writable, and `size` is its length.
    check(unsafe { tn_pool_query(pool.raw(), &mut stats) })?;
    Ok(stats)
}

/// Sets the peaks to the current values.
pub fn pool_reset_peak(pool: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_pool_reset_peak(pool.raw()) })
}

/// Releases cached memory to the system. Returns the number of bytes.
pub fn pool_trim(pool: Id, keep_bytes: usize) -> Result<usize> {
    let mut released = 0;
    // SAFETY: a checked id, `released` is writable.
    check(unsafe { tn_pool_trim(pool.raw(), keep_bytes, &mut released) })?;
    Ok(released)
}

/// Lets another pool serve a pool's requests on a stream.
pub fn pool_private_begin(pool: Id, private_pool: Id, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_pool_private_begin(pool.raw(), private_pool.raw(), stream.raw()) })
}

/// Ends what `pool_private_begin` began.
pub fn pool_private_end(pool: Id, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_pool_private_end(pool.raw(), stream.raw()) })
}

/// The thread's runner.
pub fn runner_current() -> Result<tn_runner> {
    let mut out =
        tn_runner { size: size_of::<tn_runner>(), run: None, context: null_mut(), threads: 0, least_bytes: 0 };
    // SAFETY: writable, and `size` is its length.
    check(unsafe { tn_runner_current(&mut out) })?;
    Ok(out)
}

/// Sets the thread's runner.
///
/// # Safety
/// - The callback follows the contract of `tn_run_callback`. Its context lives until another runner is set.
pub unsafe fn runner_set_current(runner: &tn_runner) -> Result<()> {
    // SAFETY: by this function's list.
    check(unsafe { tn_runner_set_current(runner) })
}

/// The statistics of a pool by client.
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
        tn_pool_query_clients(pool.raw(), size_of::<tn_pool_client>(), n, at, count)
    })
}

/// The statistics of a pool by size class.
pub fn pool_classes(pool: Id) -> Result<Vec<tn_pool_class_stats>> {
    // SAFETY: room for n entries.
    listed(tn_pool_class_stats::default(), |n, at, count| unsafe {
        tn_pool_query_classes(pool.raw(), size_of::<tn_pool_class_stats>(), n, at, count)
    })
}

/// Called by a pool that runs out of memory.
pub type PressureCallback = unsafe extern "C" fn(*mut c_void, usize, tn_pressure) -> usize;
/// Called once when a registration ends.
pub type ReleaseCallback = unsafe extern "C" fn(*mut c_void);

/// Registers a callback for when a pool runs out of memory.
///
/// # Safety
/// - Both functions accept `context` until `release` was called.
pub unsafe fn pool_on_pressure(
    pool: Id,
    callback: PressureCallback,
    context: *mut c_void,
    release: ReleaseCallback,
) -> Result<()> {
    // SAFETY: a checked id; by this function's list.
    check(unsafe { tn_pool_on_pressure(pool.raw(), Some(callback), context, Some(release)) })
}

/// Ends a registration.
pub fn pool_off_pressure(pool: Id, callback: PressureCallback, context: *mut c_void) -> Result<()> {
    // SAFETY: a checked id; the two are only compared.
    check(unsafe { tn_pool_off_pressure(pool.raw(), Some(callback), context) })
}

/// The allocation handler that NumPy uses for a pool.
pub fn numpy_handler(pool: Id) -> Result<*mut c_void> {
    let mut out = null_mut();
    // SAFETY: a checked id, `out` is writable.
    check(unsafe { tn_numpy_handler(pool.raw(), &mut out) })?;
    Ok(out)
}

// ---- arrays

/// The initial contents of a new array.
pub enum Content<'a> {
    Empty,
    Zeros,
    /// The bytes of one element; the first ones count.
    Full(&'a [u8; 16]),
}

/// Creates an array. `pool` NULL: in the current host pool.
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
            Content::Empty => tn_array_empty(pool.raw(), dtype, n, at, options, out),
            Content::Zeros => tn_array_zeros(pool.raw(), dtype, n, at, options, out),
            Content::Full(value) => tn_array_full(pool.raw(), dtype, n, at, value.as_ptr().cast(), options, out),
        }
    })
}

/// Creates an array with the shape and type of another.
pub fn array_like(pool: Id, prototype: Id, options: Option<&tn_array_options>) -> Result<Id> {
    let options = options.map_or(null(), |o| o as *const _);
    // SAFETY: checked ids; options are whole and their name terminated.
    made(|out| unsafe { tn_array_like(prototype.raw(), pool.raw(), options, out) })
}

/// Makes an array on host memory.
///
/// # Safety
/// - `ptr` and `layout` describe memory that stays valid until `release` ran; without an alias, until the return.
/// - `release` may be called once with `context`, on any thread.
pub unsafe fn import_host(
    ptr: *mut c_void,
    layout: &tn_layout,
    flags: u32,
    release: tn_release_callback,
    context: *mut c_void,
) -> Result<(Id, tn_how)> {
    let mut how = 0;
    // SAFETY: by this function's list.
    let id = made(|out| unsafe { tn_array_import_host(ptr, layout, flags, release, context, out, &mut how) })?;
    Ok((id, how))
}

/// Makes an array on memory that the CUDA array interface describes.
///
/// # Safety
/// - The lists of `source` have as many numbers as it says.
/// - Devices may access the memory until `release` ran; without an alias, until the return.
/// - `release` may be called once with `context`, on any thread.
pub unsafe fn import_cuda_array_interface(
    source: &tn_cuda_array_interface,
    flags: u32,
    release: tn_release_callback,
    context: *mut c_void,
) -> Result<Id> {
    // SAFETY: by this function's list.
    made(|out| unsafe { tn_array_import_cuda_array_interface(source, flags, release, context, out, null_mut()) })
}

/// Makes an array of the elements of CUDAMat's matrix.
///
/// # Safety
/// - `source` is a matrix. Devices may access its elements until `release` ran.
/// - `release` may be called once with `context`, on any thread.
pub unsafe fn import_cudamat(
    source: *const tn_cudamat,
    flags: u32,
    release: tn_release_callback,
    context: *mut c_void,
) -> Result<Id> {
    // SAFETY: by this function's list.
    made(|out| unsafe { tn_array_import_cudamat(source, flags, release, context, out, null_mut()) })
}

/// The description of an array.
#[inline]
pub fn query(array: Id) -> Result<tn_array_info> {
    let mut info = MaybeUninit::<tn_array_info>::zeroed();
    // SAFETY: `info` is writable and `size` is its length. All-zero bytes are a valid value of this plain struct, so it
    // may be read whole.
    unsafe {
        (*info.as_mut_ptr()).size = size_of::<tn_array_info>();
        check(tn_array_query(array.raw(), info.as_mut_ptr()))?;
        Ok(info.assume_init())
    }
}

/// Names an array. None removes the name.
pub fn set_name(array: Id, name: Option<&CStr>) -> Result<()> {
    // SAFETY: NULL or a terminated text that is copied.
    check(unsafe { tn_array_set_name(array.raw(), name.map_or(null(), CStr::as_ptr)) })
}

/// The form of the handle's matrix.
pub fn form(array: Id) -> Result<tn_form> {
    Ok(query(array)?.form)
}

/// Sets the form of the handle's matrix.
pub fn set_form(array: Id, form: tn_form) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_set_form(array.raw(), form) })
}

/// A new handle to the pool of an array's bytes.
pub fn array_pool(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_pool(array.raw(), out) })
}

/// A new handle with a claim of its own on the same bytes.
pub fn clone(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_clone(array.raw(), out) })
}

/// Copies an array. `stream` NULL, here and below: the work is complete on return.
pub fn copy(array: Id, pool: Id, stream: Id) -> Result<Id> {
    // SAFETY: checked ids, `out` is writable.
    made(|out| unsafe { tn_array_copy(array.raw(), pool.raw(), stream.raw(), out) })
}

/// Releases an array handle and its claim.
#[inline]
pub fn release(array: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_release(array.raw()) })
}

/// Accepts the bytes of an array as they are, after a writer that failed.
pub fn heal(array: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_heal(array.raw()) })
}

/// Makes a weak handle.
pub fn weaken(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_weaken(array.raw(), out) })
}

/// Makes an array handle from a weak one, while any claim exists.
pub fn upgrade(weak: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_weak_upgrade(weak.raw(), out) })
}

/// Releases a weak handle.
pub fn weak_release(weak: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_weak_release(weak.raw()) })
}

/// Opens a `.npy` file as an array.
pub fn open_npy(path: &CStr, options: &tn_npy_options) -> Result<Id> {
    // SAFETY: a terminated path, whole options.
    made(|out| unsafe { tn_array_open_npy(path.as_ptr(), options, out) })
}

/// Opens an array in `.npy` format in an open file. Returns it, and the offset behind it.
pub fn open_npy_fd(fd: c_int, offset: u64, options: &tn_npy_options) -> Result<(Id, u64)> {
    let mut end = 0;
    // SAFETY: whole options, writable outputs.
    let id = made(|out| unsafe { tn_array_open_npy_fd(fd, offset, options, &mut end, out) })?;
    Ok((id, end))
}

/// Writes an array in `.npy` format at the position of a descriptor.
pub fn save_npy_fd(array: Id, fd: c_int, flags: u32) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_save_npy_fd(array.raw(), fd, flags) })
}

/// Writes an array as a `.npy` file.
pub fn save_npy(array: Id, path: &CStr, flags: u32) -> Result<()> {
    // SAFETY: a checked id, a terminated path.
    check(unsafe { tn_array_save_npy(array.raw(), path.as_ptr(), flags) })
}

// ---- views

/// A view with another shape.
pub fn reshape(array: Id, shape: &[i64], order: tn_order) -> Result<Id> {
    // SAFETY: `shape` has the stated number of entries.
    made(|out| unsafe { tn_array_reshape(array.raw(), shape.len() as i32, shape.as_ptr(), order, out) })
}

/// A view with one axis.
pub fn ravel(array: Id, order: tn_order) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_ravel(array.raw(), order, out) })
}

/// A view with the axes reversed.
pub fn transpose(array: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_transpose(array.raw(), out) })
}

/// A view with the axes in another order.
pub fn permute(array: Id, axes: &[i32]) -> Result<Id> {
    // SAFETY: `axes` has the stated number of entries.
    made(|out| unsafe { tn_array_permute(array.raw(), axes.len() as i32, axes.as_ptr(), out) })
}

/// A view of a part, one slice for each axis.
#[inline]
pub fn slice(array: Id, specs: &[tn_slice_spec]) -> Result<Id> {
    // SAFETY: `specs` has the stated number of entries.
    made(|out| unsafe { tn_array_slice(array.raw(), specs.len(), specs.as_ptr(), out) })
}

/// A view at one index of an axis, without that axis.
#[inline]
pub fn index(array: Id, axis: i32, index: i64) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_index(array.raw(), axis, index, out) })
}

/// A view without axes of length 1. No axis named: without all of them.
pub fn squeeze(array: Id, axes: &[i32]) -> Result<Id> {
    let at = if axes.is_empty() { null() } else { axes.as_ptr() };
    // SAFETY: `axes` has the stated number of entries, NULL with 0.
    made(|out| unsafe { tn_array_squeeze(array.raw(), axes.len(), at, out) })
}

/// A view with a new axis of length 1.
pub fn expand(array: Id, axis: i32) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_expand(array.raw(), axis, out) })
}

/// A view broadcast to a shape.
pub fn broadcast(array: Id, shape: &[i64]) -> Result<Id> {
    // SAFETY: `shape` has the stated number of entries.
    made(|out| unsafe { tn_array_broadcast(array.raw(), shape.len() as i32, shape.as_ptr(), out) })
}

/// A view with another element type.
pub fn view_dtype(array: Id, dtype: tn_dtype) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_view_dtype(array.raw(), dtype, out) })
}

/// Queries the number of handles, then fills a list of that length.
fn several(call: impl Fn(usize, *mut *mut tn_array, *mut usize) -> tn_status) -> Result<Vec<Id>> {
    let mut count = 0;
    check(call(0, null_mut(), &mut count))?;
    let mut outs = vec![null_mut::<tn_array>(); count];
    check(call(count, outs.as_mut_ptr(), &mut count))?;
    outs.truncate(count);
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

/// Exactly `parts` views along an axis.
pub fn split(array: Id, axis: i32, parts: usize) -> Result<Vec<Id>> {
    // SAFETY: `several` passes as many places as its count.
    several(|n, outs, count| unsafe { tn_array_split(array.raw(), axis, parts, n, outs, count) })
}

/// Views of `length` along an axis; the last one may be shorter.
pub fn chunks(array: Id, axis: i32, length: i64) -> Result<Vec<Id>> {
    // SAFETY: `several` passes as many places as its count.
    several(|n, outs, count| unsafe { tn_array_chunks(array.raw(), axis, length, n, outs, count) })
}

/// How two arrays overlap: a constant TN_OVERLAP_.
pub fn overlap(a: Id, b: Id) -> Result<tn_overlap> {
    let mut out = 0;
    // SAFETY: checked ids, `out` is writable.
    check(unsafe { tn_array_overlap(a.raw(), b.raw(), &mut out) })?;
    Ok(out)
}

// ---- borrows and ownership

/// A blank `tn_view_info`.
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

/// Opens a read guard; the view describes the bytes.
pub fn borrow_read(array: Id, flags: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id = made(|out| unsafe { tn_array_borrow_read(array.raw(), flags, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// Opens a write guard; the view describes the bytes.
pub fn borrow_write(array: Id, mode: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id = made(|out| unsafe { tn_array_borrow_write(array.raw(), mode, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// Opens one guard for several arrays, all or none.
pub fn borrow_all(specs: &[tn_borrow_spec]) -> Result<(Id, Vec<tn_view_info>)> {
    let mut views = vec![no_view(); specs.len()];
    // SAFETY: `specs` and `views` have as many entries as said.
    let id = made(|out| unsafe { tn_borrow_all(specs.len(), specs.as_ptr(), views.as_mut_ptr(), out) })?;
    Ok((id, views))
}

/// Opens write guards on `n` consecutive parts of an axis.
pub fn chunks_write(array: Id, axis: i32, n: usize, mode: u32) -> Result<Vec<tn_chunk>> {
    let mut chunks = vec![tn_chunk { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] }; n];
    // SAFETY: `chunks` has the stated number of entries.
    check(unsafe { tn_array_split_write(array.raw(), axis, n, mode, null_mut(), chunks.as_mut_ptr()) })?;
    Ok(chunks)
}

/// The address for kernels of the bytes of an open guard; 0: no device reaches them.
pub fn borrow_device_data(guard: Id) -> Result<u64> {
    let mut info = tn_borrow_info { size: size_of::<tn_borrow_info>(), data: null_mut(), device_data: 0, bytes: 0 };
    // SAFETY: a checked id; `info` is writable and `size` is its length.
    check(unsafe { tn_borrow_query(guard.raw(), &mut info) })?;
    Ok(info.device_data)
}

/// Ends a guard of any kind.
#[inline]
pub fn borrow_end(guard: Id, flags: u32) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_borrow_end(guard.raw(), flags, null_mut()) })
}

/// Opens an export; the view is valid until the guard ends.
#[inline]
pub fn export_host(array: Id, flags: u32, mode: u32) -> Result<(Id, tn_view_info)> {
    let mut view = no_view();
    let mut how = 0;
    // SAFETY: a checked id, the outputs are writable.
    let id =
        made(|out| unsafe { tn_array_export_host(array.raw(), flags, mode, null_mut(), &mut view, out, &mut how) })?;
    Ok((id, view))
}

/// Opens an export to a consumer on a device; its stream, if that is known, waits for unfinished work. The lists of the
/// description are valid until the guard ends.
pub fn export_cuda_array_interface(array: Id, flags: u32, stream: Option<Id>) -> Result<(Id, tn_cuda_array_interface)> {
    let stream = stream.map_or(null_mut(), Id::raw);
    let mut interface = MaybeUninit::<tn_cuda_array_interface>::zeroed();
    // SAFETY: as in `query`; a checked id, a constant stream, writable outputs.
    unsafe {
        (*interface.as_mut_ptr()).size = size_of::<tn_cuda_array_interface>();
        let at = interface.as_mut_ptr();
        let id = made(|out| tn_array_export_cuda_array_interface(array.raw(), flags, 0, stream, at, out, null_mut()))?;
        Ok((id, interface.assume_init()))
    }
}

/// Opens an export to CUDAMat.
///
/// # Safety
/// - `matrix` may be written.
pub unsafe fn export_cudamat(array: Id, flags: u32, matrix: *mut tn_cudamat) -> Result<Id> {
    // SAFETY: by this function's list; a checked id.
    made(|out| unsafe { tn_array_export_cudamat(array.raw(), flags, 0, matrix, out, null_mut()) })
}

/// Completes DLPack's exchange table with the functions in `slots`, and returns it.
///
/// # Safety
/// - `slots` is a DLPackExchangeAPI whose functions for Python objects stay callable until the process ends.
pub unsafe fn exchange_table(slots: *const DLPackExchangeAPI) -> Result<*const DLPackExchangeAPI> {
    let mut table = null();
    // SAFETY: by this function's list; the output is writable.
    check(unsafe { tn_dlpack_register_python(slots) })?;
    // SAFETY: the output is writable.
    check(unsafe { tn_dlpack_exchange_api(&mut table) })?;
    Ok(table)
}

/// Makes a promise to hand an array over.
pub fn give(array: Id, required: u32) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_array_give(array.raw(), required as usize, out) })
}

/// Cancels a promise: the giver can use its array again.
pub fn promise_cancel(promise: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_promise_cancel(promise.raw()) })
}

/// Releases a promise. One that was not taken is cancelled.
pub fn promise_release(promise: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_promise_release(promise.raw()) })
}

/// Takes promises: a new array handle for each, all or none.
pub fn take(promises: &[Id]) -> Result<Vec<Id>> {
    let mut outs = vec![null_mut::<tn_array>(); promises.len()];
    // SAFETY: both have as many entries as said; an `Id` of 64 bits is read as the pointer whose bits it has.
    check(unsafe { tn_take(promises.len(), promises.as_ptr().cast(), outs.as_mut_ptr()) })?;
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

/// A new handle for each array and promise, all or none. The scope is left at once and keeps every handle: the caller
/// owns them.
pub fn enter_and_keep(params: &[Id]) -> Result<Vec<Id>> {
    let mut outs = vec![null_mut::<tn_array>(); params.len()];
    // SAFETY: both have as many entries as said; an `Id` of 64 bits is read as the pointer whose bits it has.
    let scope = made(|out| unsafe { tn_enter(params.len(), params.as_ptr().cast(), outs.as_mut_ptr(), out) })?;
    // SAFETY: `outs` has the stated number of entries. No other code knows the scope or its handles, so this cannot
    // fail.
    check(unsafe { tn_leave(scope.raw(), outs.len(), outs.as_ptr()) })?;
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

const _: () = assert!(size_of::<Id>() == size_of::<*mut tn_promise>());

/// Whether the array has the only claim on its bytes, without a borrow or export.
pub fn is_unique(array: Id) -> Result<bool> {
    let mut out = 0;
    // SAFETY: a checked id, `out` is writable.
    check(unsafe { tn_array_is_unique(array.raw(), &mut out) })?;
    Ok(out != 0)
}

/// A blank `tn_holder`.
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

/// Queries a list until it fits: other threads may add entries in between.
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

/// The reasons why an array cannot be overwritten in place, and the holders of its bytes.
pub fn why_not(array: Id, target: Option<&tn_target>) -> Result<(u32, Vec<tn_holder>)> {
    let bits = core::cell::Cell::new(0);
    let target = target.map_or(null(), |t| t as *const _);
    let holders = listed(no_holder(), |n, at, count| {
        let mut now = 0;
        // SAFETY: a checked id, a whole target whose shape has ndim entries, room for n holders.
        let status = unsafe { tn_array_why_not(array.raw(), target, size_of::<tn_holder>(), n, &mut now, at, count) };
        bits.set(now);
        status
    })?;
    Ok((bits.get(), holders))
}

/// A blank `tn_store_info`.
fn no_store() -> tn_store_info {
    tn_store_info {
        size: size_of::<tn_store_info>(),
        address: 0,
        bytes: 0,
        device: tn_device { r#type: 0, id: 0 },
        flags: 0,
        reserved: 0,
        version: 0,
        pool_name: [0; 64],
    }
}

/// The store behind an address, and its holders.
pub fn holders_of(address: u64, bytes: usize) -> Result<(tn_store_info, Vec<tn_holder>)> {
    let store = core::cell::Cell::new(no_store());
    let holders = listed(no_holder(), |n, at, count| {
        // SAFETY: nothing is read at the address; `store` is whole, room for n holders.
        unsafe { tn_holders_of(address as *const c_void, bytes, size_of::<tn_holder>(), n, store.as_ptr(), at, count) }
    })?;
    Ok((store.get(), holders))
}

/// The store of an array in whatever state, and its holders.
pub fn array_holders(array: Id) -> Result<(tn_store_info, Vec<tn_holder>)> {
    let store = core::cell::Cell::new(no_store());
    let holders = listed(no_holder(), |n, at, count| {
        // SAFETY: a checked id; `store` is whole, room for n holders.
        unsafe { tn_array_holders(array.raw(), size_of::<tn_holder>(), n, store.as_ptr(), at, count) }
    })?;
    Ok((store.get(), holders))
}

/// The handles that are still open.
pub fn leaks() -> Result<Vec<tn_holder>> {
    // SAFETY: room for n entries.
    listed(no_holder(), |n, at, count| unsafe { tn_leaks(size_of::<tn_holder>(), n, at, count) })
}

/// The statistics of copies, by call site.
pub fn copies() -> Result<Vec<tn_copy_site>> {
    let blank = tn_copy_site { function: null(), site: [0; 64], why: 0, forced: 0, count: 0, bytes: 0, reserved: 0 };
    // SAFETY: room for n entries.
    listed(blank, |n, at, count| unsafe { tn_copies_query(size_of::<tn_copy_site>(), n, at, count) })
}

/// The report of all holders, as JSON.
pub fn report_json() -> Result<String> {
    // SAFETY: room for the bytes of its length.
    whole_text(|room, text, length| unsafe { tn_report_json(0, room, text, length) })
}

/// The report as a page for a browser.
pub fn report_html() -> Result<String> {
    // SAFETY: room for the bytes of its length.
    whole_text(|room, text, length| unsafe { tn_report_html_text(0, room, text, length) })
}

/// The text that a function writes: repeats the call until there is room for all of it.
fn whole_text(write: impl Fn(usize, *mut c_char, *mut usize) -> tn_status) -> Result<String> {
    let mut text = vec![0u8; 1 << 16];
    loop {
        let mut length = 0;
        check(write(text.len(), text.as_mut_ptr().cast(), &mut length))?;
        if length < text.len() {
            text.truncate(length);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        // Other threads may add entries in between.
        text.resize(length + length / 4 + 1, 0);
    }
}

/// Turns the refusal of forced copies on this thread on or off. Calls nest.
pub fn copies_forbid(on: bool) -> Result<()> {
    // SAFETY: a number.
    check(unsafe { tn_copies_forbid(on.into()) })
}

/// Whether forced copies are refused on this thread.
pub fn copies_forbidden() -> Result<bool> {
    // Turning the refusal off succeeds only where it is on. It is turned on again at once.
    match copies_forbid(false) {
        Ok(()) => copies_forbid(true).map(|()| true),
        Err(Failure(TN_ERR_INVALID)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

// ---- movement

/// Copies all elements of an array into another of the same shape and type.
pub fn copy_into(source: Id, destination: Id, mode: u32, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_array_copy_into(source.raw(), destination.raw(), mode, stream.raw()) })
}

/// Copies all elements of an array from raw memory.
///
/// # Safety
/// - `ptr` and `layout` describe memory that may be read during the call.
pub unsafe fn copy_from_host(array: Id, ptr: *const c_void, layout: &tn_layout, mode: u32) -> Result<()> {
    // SAFETY: by this function's list.
    check(unsafe { tn_array_copy_from_host(array.raw(), ptr, layout, mode, null_mut()) })
}

/// Sets every element to a value.
pub fn fill(array: Id, value: &[u8; 16], mode: u32, stream: Id) -> Result<()> {
    // SAFETY: the longest element has 16 bytes.
    check(unsafe { tn_array_fill(array.raw(), value.as_ptr().cast(), mode, stream.raw()) })
}

/// Sets every byte of every element to 0.
pub fn zero(array: Id, mode: u32, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_array_clear(array.raw(), mode, stream.raw()) })
}
