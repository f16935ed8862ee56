//! The C functions that the package calls, as safe Rust: one call each, and no decisions.
//!
//! Contract: a handle is a checked id that the library never dereferences. Any `Id` may be passed; a wrong one returns
//! a status. A function that needs a pointer to real bytes stays `unsafe`. A `Failure` must become a Python exception
//! on the same thread before the next call, because its message is in a buffer of the library for this thread
//! (`base::errors`).

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

impl<T> From<Id> for *mut T {
    fn from(id: Id) -> *mut T {
        id.raw()
    }
}

/// What an output of the type C becomes.
trait Output<C> {
    fn of(value: C) -> Self;
}

impl<T> Output<T> for T {
    fn of(value: T) -> T {
        value
    }
}

impl<T> Output<*mut T> for Id {
    fn of(handle: *mut T) -> Id {
        Id(handle as u64)
    }
}

impl Output<i32> for bool {
    fn of(value: i32) -> bool {
        value != 0
    }
}

/// Plain data of C.
///
/// # Safety
/// - All zeros are a value of it.
unsafe trait Plain: Copy {}

// SAFETY: zero is NULL.
unsafe impl<T> Plain for *mut T {}

macro_rules! plain {
    ($($type:ty),*) => {
        $(
            // SAFETY: numbers, addresses and absent callbacks.
            unsafe impl Plain for $type {}
        )*
    };
}

plain!(i32, i64, u32, u64, usize, tn_array_info, tn_borrow_info, tn_part, tn_copy_site, tn_crossing, tn_device_info);
plain!(tn_cuda_array_interface, tn_expr_info, tn_holder, tn_log_stats, tn_mirror_info, tn_pool_class_stats);
plain!(tn_pool_client, tn_pool_stats, tn_runner, tn_shared_info, tn_store_info, tn_view_info);

/// All zeros.
#[inline(always)]
fn blank<T: Plain>() -> T {
    // SAFETY: the promise of `Plain`.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// All zeros, except the size.
macro_rules! sized {
    ($type:ident) => {
        $type { size: size_of::<$type>(), ..$crate::api::blank() }
    };
}

#[inline(always)]
fn check(status: tn_status) -> Result<()> {
    if status == TN_OK { Ok(()) } else { Err(Failure(status)) }
}

/// Calls with an output for one handle or number.
#[inline(always)]
fn made<C: Plain, T: Output<C>>(call: impl FnOnce(*mut C) -> tn_status) -> Result<T> {
    let mut out = blank();
    check(call(&mut out))?;
    Ok(T::of(out))
}

/// Calls with a struct to fill.
#[inline(always)]
fn filled<T>(mut out: T, call: impl FnOnce(*mut T) -> tn_status) -> Result<T> {
    check(call(&mut out))?;
    Ok(out)
}

/// Safe functions, each for a function of C with the same handles and numbers. An output is the last parameter there.
/// Lists, texts and memory of the caller need a function with a promise of its own.
macro_rules! calls {
    ($($(#[$about:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $output:ty)? = $function:ident;)*) => {
        $(
            $(#[$about])*
            #[inline]
            pub fn $name($($argument: $type),*) -> $crate::api::Result<calls!(@type $($output)?)> {
                calls!(@call $function($($argument),*) $($output)?)
            }
        )*
    };
    (@type) => { () };
    (@type $output:ty) => { $output };
    (@call $function:ident($($argument:ident),*)) => {
        // SAFETY: the library checks handles and numbers.
        $crate::api::check(unsafe { $function($($argument.into()),*) })
    };
    (@call $function:ident($($argument:ident),*) $output:ty) => {
        // SAFETY: as above; `out` is writable.
        $crate::api::made(|out| unsafe { $function($($argument.into(),)* out) })
    };
}

pub mod cuda;
pub mod events;
pub mod expr;
pub mod function;
pub mod ipc;
pub mod kernel;
pub mod mirror;
pub mod variable;

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

calls! {
    /// Runs the queued release callbacks. Returns how many ran.
    fn run_releases() -> usize = tn_run_releases;
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

calls! {
    /// A new handle to the device's default pool.
    fn pool_default(device: tn_device) -> Id = tn_pool_default;
    /// A new handle to the thread's current pool of the device.
    fn pool_current(device: tn_device) -> Id = tn_pool_current;
    /// Makes a pool the thread's current one.
    fn pool_set_current(pool: Id) = tn_pool_set_current;
    /// Makes a pool the process-wide default pool of its device.
    fn pool_set_default(pool: Id) = tn_pool_set_default;
    /// Releases a pool handle.
    fn pool_release(pool: Id) = tn_pool_release;
    /// Sets the peaks to the current values.
    fn pool_reset_peak(pool: Id) = tn_pool_reset_peak;
    /// Releases cached memory to the system. Returns the number of bytes.
    fn pool_trim(pool: Id, keep_bytes: usize) -> usize = tn_pool_trim;
    /// Spills arrays that nobody uses. Returns the number of bytes.
    fn pool_spill(pool: Id, bytes: usize) -> usize = tn_pool_spill;
    /// Sets whether the pool of an array may spill it.
    fn array_set_spillable(array: Id, on: i32) = tn_array_set_spillable;
    /// Lets another pool serve a pool's requests on a stream.
    fn pool_private_begin(pool: Id, private_pool: Id, stream: Id) = tn_pool_private_begin;
    /// Ends what `pool_private_begin` began.
    fn pool_private_end(pool: Id, stream: Id) = tn_pool_private_end;
}

/// The statistics of a pool.
pub fn pool_query(pool: Id) -> Result<tn_pool_stats> {
    // SAFETY: a checked id; `stats` is writable, and says its size.
    filled(sized!(tn_pool_stats), |stats| unsafe { tn_pool_query(pool.raw(), stats) })
}

/// Lets a pool spill to a folder.
pub fn pool_set_spill(pool: Id, folder: Option<&CStr>, max_bytes: u64, min_array_bytes: u64) -> Result<()> {
    let size = size_of::<tn_spill_options>();
    let options = folder.map(|folder| tn_spill_options { size, folder: folder.as_ptr(), max_bytes, min_array_bytes });
    // SAFETY: a checked id; NULL, or a struct that says its size, with a terminated folder.
    check(unsafe { tn_pool_set_spill(pool.raw(), options.as_ref().map_or(null(), core::ptr::from_ref)) })
}

/// The thread's runner.
pub fn runner_current() -> Result<tn_runner> {
    // SAFETY: `runner` is writable, and says its size.
    filled(sized!(tn_runner), |runner| unsafe { tn_runner_current(runner) })
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
    // SAFETY: room for n entries.
    listed(|n, at, count| unsafe { tn_pool_query_clients(pool.raw(), size_of::<tn_pool_client>(), n, at, count) })
}

/// The statistics of a pool by size class.
pub fn pool_classes(pool: Id) -> Result<Vec<tn_pool_class_stats>> {
    // SAFETY: room for n entries.
    listed(|n, at, count| unsafe { tn_pool_query_classes(pool.raw(), size_of::<tn_pool_class_stats>(), n, at, count) })
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
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_numpy_handler(pool.raw(), out) })
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
    // SAFETY: a checked id; `info` is writable, and says its size.
    filled(sized!(tn_array_info), |info| unsafe { tn_array_query(array.raw(), info) })
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

calls! {
    /// Sets the form of the handle's matrix.
    fn set_form(array: Id, form: tn_form) = tn_array_set_form;
    /// A new handle to the pool of an array's bytes.
    fn array_pool(array: Id) -> Id = tn_array_pool;
    /// A new handle with a claim of its own on the same bytes.
    fn clone(array: Id) -> Id = tn_array_clone;
    /// Copies an array. `stream` NULL, here and below: the work is complete on return.
    fn copy(array: Id, pool: Id, stream: Id) -> Id = tn_array_copy;
    /// Releases an array handle and its claim.
    fn release(array: Id) = tn_array_release;
    /// Accepts the bytes of an array as they are, after a writer that failed.
    fn heal(array: Id) = tn_array_heal;
    /// Makes a weak handle.
    fn weaken(array: Id) -> Id = tn_array_weaken;
    /// Makes an array handle from a weak one, while any claim exists.
    fn upgrade(weak: Id) -> Id = tn_weak_upgrade;
    /// Releases a weak handle.
    fn weak_release(weak: Id) = tn_weak_release;
    /// Writes an array in `.npy` format at the position of a descriptor.
    fn save_npy_fd(array: Id, fd: c_int, flags: u32) = tn_array_save_npy_fd;
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

calls! {
    /// A view with one axis.
    fn ravel(array: Id, order: tn_order) -> Id = tn_array_ravel;
    /// A view with the axes reversed.
    fn transpose(array: Id) -> Id = tn_array_transpose;
    /// A view at one index of an axis, without that axis.
    fn index(array: Id, axis: i32, index: i64) -> Id = tn_array_index;
    /// A view with a new axis of length 1.
    fn expand(array: Id, axis: i32) -> Id = tn_array_expand;
    /// A view with another element type.
    fn view_dtype(array: Id, dtype: tn_dtype) -> Id = tn_array_view_dtype;
    /// How two arrays overlap: a constant TN_OVERLAP_.
    fn overlap(a: Id, b: Id) -> tn_overlap = tn_array_overlap;
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

/// A view without axes of length 1. No axis named: without all of them.
pub fn squeeze(array: Id, axes: &[i32]) -> Result<Id> {
    let at = if axes.is_empty() { null() } else { axes.as_ptr() };
    // SAFETY: `axes` has the stated number of entries, NULL with 0.
    made(|out| unsafe { tn_array_squeeze(array.raw(), axes.len(), at, out) })
}

/// A view broadcast to a shape.
pub fn broadcast(array: Id, shape: &[i64]) -> Result<Id> {
    // SAFETY: `shape` has the stated number of entries.
    made(|out| unsafe { tn_array_broadcast(array.raw(), shape.len() as i32, shape.as_ptr(), out) })
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

// ---- borrows and ownership

/// Opens a read guard; the view describes the bytes.
pub fn borrow_read(array: Id, flags: u32) -> Result<(Id, tn_view_info)> {
    let mut view = blank();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id = made(|out| unsafe { tn_array_borrow_read(array.raw(), flags, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// Opens a write guard; the view describes the bytes.
pub fn borrow_write(array: Id, mode: u32) -> Result<(Id, tn_view_info)> {
    let mut view = blank();
    // SAFETY: a checked id, `view` and `out` are writable.
    let id = made(|out| unsafe { tn_array_borrow_write(array.raw(), mode, null_mut(), null_mut(), &mut view, out) })?;
    Ok((id, view))
}

/// Opens one guard for several arrays, all or none.
pub fn borrow_all(specs: &[tn_borrow_spec]) -> Result<(Id, Vec<tn_view_info>)> {
    let mut views = vec![blank(); specs.len()];
    // SAFETY: `specs` and `views` have as many entries as said.
    let id = made(|out| unsafe { tn_borrow_all(specs.len(), specs.as_ptr(), views.as_mut_ptr(), out) })?;
    Ok((id, views))
}

/// Opens write guards on `n` consecutive parts of an axis.
pub fn split_write(array: Id, axis: i32, n: usize, mode: u32) -> Result<Vec<tn_part>> {
    let mut chunks = vec![blank::<tn_part>(); n];
    // SAFETY: `chunks` has the stated number of entries.
    check(unsafe { tn_array_split_write(array.raw(), axis, n, mode, null_mut(), chunks.as_mut_ptr()) })?;
    Ok(chunks)
}

/// The address for kernels of the bytes of an open guard; 0: no device reaches them.
pub fn borrow_device_data(guard: Id) -> Result<u64> {
    // SAFETY: a checked id; `info` is writable, and says its size.
    Ok(filled(sized!(tn_borrow_info), |info| unsafe { tn_borrow_query(guard.raw(), info) })?.device_data)
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
    let mut view = blank();
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
    let mut interface = sized!(tn_cuda_array_interface);
    let at = &raw mut interface;
    // SAFETY: a checked id, a constant stream, writable outputs; `interface` says its size.
    let id = made(|out| unsafe {
        tn_array_export_cuda_array_interface(array.raw(), flags, 0, stream, at, out, null_mut())
    })?;
    Ok((id, interface))
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

calls! {
    /// Cancels a promise: the giver can use its array again.
    fn promise_cancel(promise: Id) = tn_promise_cancel;
    /// Releases a promise. One that was not taken is cancelled.
    fn promise_release(promise: Id) = tn_promise_release;
    /// Whether the array has the only claim on its bytes, without a borrow or export.
    fn is_unique(array: Id) -> bool = tn_array_is_unique;
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
    let scope: Id = made(|out| unsafe { tn_enter(params.len(), params.as_ptr().cast(), outs.as_mut_ptr(), out) })?;
    // SAFETY: `outs` has the stated number of entries. No other code knows the scope or its handles, so this cannot
    // fail.
    check(unsafe { tn_leave(scope.raw(), outs.len(), outs.as_ptr()) })?;
    Ok(outs.into_iter().map(|out| Id(out as u64)).collect())
}

const _: () = assert!(size_of::<Id>() == size_of::<*mut tn_promise>());

/// Queries a list until it fits: other threads may add entries in between.
fn listed<T: Plain>(call: impl Fn(usize, *mut T, &mut usize) -> tn_status) -> Result<Vec<T>> {
    let mut list = vec![blank(); 16];
    loop {
        let mut count = 0;
        check(call(list.len(), list.as_mut_ptr(), &mut count))?;
        if count <= list.len() {
            list.truncate(count);
            return Ok(list);
        }
        list.resize(count + count / 4, blank());
    }
}

/// The reasons why an array cannot be overwritten in place, and the holders of its bytes.
pub fn why_not(array: Id, target: Option<&tn_target>) -> Result<(u32, Vec<tn_holder>)> {
    let bits = core::cell::Cell::new(0);
    let target = target.map_or(null(), |t| t as *const _);
    let holders = listed(|n, at, count| {
        let mut now = 0;
        // SAFETY: a checked id, a whole target whose shape has ndim entries, room for n holders.
        let status = unsafe { tn_array_why_not(array.raw(), target, size_of::<tn_holder>(), n, &mut now, at, count) };
        bits.set(now);
        status
    })?;
    Ok((bits.get(), holders))
}

/// The store behind an address, and its holders.
pub fn holders_of(address: u64, bytes: usize) -> Result<(tn_store_info, Vec<tn_holder>)> {
    let store = core::cell::Cell::new(sized!(tn_store_info));
    let holders = listed(|n, at, count| {
        // SAFETY: nothing is read at the address; `store` is whole, room for n holders.
        unsafe { tn_holders_of(address as *const c_void, bytes, size_of::<tn_holder>(), n, store.as_ptr(), at, count) }
    })?;
    Ok((store.get(), holders))
}

/// The store of an array in whatever state, and its holders.
pub fn array_holders(array: Id) -> Result<(tn_store_info, Vec<tn_holder>)> {
    let store = core::cell::Cell::new(sized!(tn_store_info));
    let holders = listed(|n, at, count| {
        // SAFETY: a checked id; `store` is whole, room for n holders.
        unsafe { tn_array_holders(array.raw(), size_of::<tn_holder>(), n, store.as_ptr(), at, count) }
    })?;
    Ok((store.get(), holders))
}

/// The handles that are still open.
pub fn leaks() -> Result<Vec<tn_holder>> {
    // SAFETY: room for n entries.
    listed(|n, at, count| unsafe { tn_leaks(size_of::<tn_holder>(), n, at, count) })
}

/// The statistics of copies, by call site.
pub fn copies() -> Result<Vec<tn_copy_site>> {
    // SAFETY: room for n entries.
    listed(|n, at, count| unsafe { tn_copies_query(size_of::<tn_copy_site>(), n, at, count) })
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
            return Ok(
                String::from_utf8(text).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
            );
        }
        // Other threads may add entries in between.
        text = vec![0; length + length / 4 + 1];
    }
}

calls! {
    /// Turns the refusal of forced copies on this thread on or off. Calls nest.
    fn copies_forbid(on: bool) = tn_copies_forbid;
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

calls! {
    /// Copies all elements of an array into another of the same shape and type.
    fn copy_into(source: Id, destination: Id, mode: u32, stream: Id) = tn_array_copy_into;
    /// Sets every byte of every element to 0.
    fn zero(array: Id, mode: u32, stream: Id) = tn_array_clear;
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
