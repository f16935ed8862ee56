//! Converts arguments from C to the types of the layers below.
//!
//! A NULL argument is reported at once. Every other error is noted in a `Result` ([`Noted`]) and passed on, because the
//! STALE and KIND of handles are reported first.

use crate::array;
use crate::borrow::HolderInfo;
use crate::device_copy;
use crate::error::{Result, fail, rank};
use crate::exchange::host::Imported;
use crate::ledger::Release;
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// The status for an argument that is NULL.
#[cold]
pub fn null(name: &str) -> crate::error::Status {
    fail(TN_ERR_NULL, format_args!("{name} is NULL"))
}

/// The id of a handle. No slot is looked up.
#[inline]
pub fn id<T>(handle: *const T, name: &str) -> Result<Id> {
    if handle.is_null() { Err(null(name)) } else { Ok(Id::from_bits(handle as u64)) }
}

/// An id as the pointer that C sees.
#[inline]
pub fn handle<T>(id: Id) -> *mut T {
    id.bits() as *mut T
}

/// An output that must not be NULL.
#[derive(Clone, Copy)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks for NULL.
    #[inline]
    pub fn new(out: *mut T, name: &str) -> Result<Out<T>> {
        if out.is_null() { Err(null(name)) } else { Ok(Out(out)) }
    }

    /// Writes the output.
    ///
    /// # Safety
    /// - The pointer may be written for a `T`: the caller's obligation by the function's documentation.
    #[inline]
    pub unsafe fn write(self, value: T) {
        // SAFETY: not NULL, checked by `new`; the caller's obligation.
        unsafe { self.0.write(value) }
    }

    /// Writes item `index` of an output array.
    ///
    /// # Safety
    /// - The pointer may be written for `index + 1` values of `T`.
    #[inline]
    pub unsafe fn write_at(self, index: usize, value: T) {
        // SAFETY: the caller's obligation.
        unsafe { self.0.add(index).write(value) }
    }

    /// The pointer.
    pub fn pointer(self) -> *mut T {
        self.0
    }
}

/// Writes an output that may be NULL.
///
/// # Safety
/// - `out` is NULL or may be written for a `T`.
#[inline]
pub unsafe fn write_opt<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: the caller's obligation.
        unsafe { out.write(value) }
    }
}

/// Writes the outputs of an import.
///
/// # Safety
/// - `out` and `how` may be written, `how` may be NULL.
pub unsafe fn write_import(imported: Imported, out: Out<*mut tn_array>, how: *mut tn_how) {
    // SAFETY: the caller's obligation.
    unsafe {
        write_opt(how, imported.how);
        out.write(handle(imported.id));
    }
}

/// An input array of `n` values, read during the call only.
///
/// # Safety
/// - `values` is NULL or points to `n` values.
pub unsafe fn slice<'a, T>(n: usize, values: *const T, name: &str) -> Result<&'a [T]> {
    match (n, values.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(null(name)),
        // SAFETY: the caller's obligation.
        _ => Ok(unsafe { core::slice::from_raw_parts(values, n) }),
    }
}

/// An input array with one value per axis. More than [`TN_MAX_NDIM`] values are noted as TN_ERR_COUNT, and not read.
///
/// # Safety
/// - `values` is NULL or points to `n` values.
pub unsafe fn per_axis<'a, T>(n: usize, values: *const T, name: &str) -> Result<Noted<&'a [T]>> {
    if n > TN_MAX_NDIM && !values.is_null() {
        return Ok(Err(fail(TN_ERR_COUNT, format_args!("{n} {name} for an array of at most {TN_MAX_NDIM} axes"))));
    }
    // SAFETY: the caller's obligation.
    unsafe { slice(n, values, name) }.map(Ok)
}

/// An input array of `n` handles, none NULL. No slot is looked up.
///
/// # Safety
/// - `handles` is NULL or points to `n` pointers.
pub unsafe fn ids<'a, T>(n: usize, handles: *const *mut T, name: &str) -> Result<&'a [Id]> {
    // SAFETY: the caller's obligation; an id has the bits of the pointer, and any bits are one.
    let ids = unsafe { slice(n, handles.cast::<Id>(), name)? };
    match ids.iter().position(|id| id.bits() == 0) {
        Some(position) => Err(fail(TN_ERR_NULL, format_args!("{name}[{position}] is NULL"))),
        None => Ok(ids),
    }
}

/// A shape: NULL only without axes. A negative or too large number of axes is noted.
///
/// # Safety
/// - `shape` is NULL or points to `ndim` lengths.
pub unsafe fn shape<'a>(ndim: i32, shape: *const i64, name: &str) -> Result<Noted<&'a [i64]>> {
    if ndim > 0 && shape.is_null() {
        return Err(null(name));
    }
    match crate::layout::check_ndim(ndim) {
        Ok(0) => Ok(Ok(&[])),
        // SAFETY: the caller's obligation.
        Ok(n) => Ok(Ok(unsafe { core::slice::from_raw_parts(shape, n) })),
        Err(status) => Ok(Err(status)),
    }
}

/// An argument whose errors are reported after those of the handles.
pub type Noted<T> = Result<T>;

/// A struct that starts with its size.
pub trait VersionedStruct: Copy {
    /// Bytes of the first version.
    const FIRST: usize;
    /// Its name.
    const NAME: &'static str;
    /// The defaults of all fields; `size` is 0.
    fn defaults() -> Self;
}

/// Reads a struct by its size. Missing fields have their defaults; bytes that the library does not know must be zero.
///
/// # Safety
/// - `given` is NULL or points to a struct of as many bytes as it says.
#[inline]
pub unsafe fn sized<T: VersionedStruct>(given: *const T) -> Noted<Option<T>> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: every such struct starts with its size.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    if size == size_of::<T>() {
        // SAFETY: the struct has `size` bytes by the caller's obligation; T is plain data.
        return Ok(Some(unsafe { given.read_unaligned() }));
    }
    check_size::<T>(size)?;
    let mut value = T::defaults();
    let known = size.min(size_of::<T>());
    // SAFETY: both structs have at least `known` bytes; T is plain data.
    unsafe { core::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    for at in known..size {
        // SAFETY: within the struct.
        if unsafe { given.cast::<u8>().add(at).read() } != 0 {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "{} has size {size}, and its byte {at}, which this library does not know, is not 0",
                    T::NAME
                ),
            ));
        }
    }
    Ok(Some(value))
}

fn check_size<T: VersionedStruct>(size: usize) -> Result<()> {
    if size < T::FIRST {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("{}.size is {size}; set it to sizeof({}), at least {}", T::NAME, T::NAME, T::FIRST),
        ));
    }
    Ok(())
}

/// An output struct, and how many of its bytes the caller has.
pub struct Fill<T> {
    out: *mut T,
    size: usize,
}

/// Refuses a struct whose required callback is NULL. A struct with a wrong size is not examined.
pub fn callback<T>(given: &Noted<T>, is_there: impl FnOnce(&T) -> bool, name: &str) -> Result<()> {
    match given {
        Ok(given) if !is_there(given) => Err(null(name)),
        _ => Ok(()),
    }
}

/// The output struct of a query. NULL is reported at once; a wrong size is noted.
///
/// # Safety
/// - `out` is NULL or points to a writable struct of as many bytes as its `size` says.
pub unsafe fn fill<T: VersionedStruct>(out: *mut T, name: &str) -> Result<Noted<Fill<T>>> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: every such struct starts with its size.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    Ok(check_size::<T>(size).map(|()| Fill { out, size }))
}

/// As [`fill`], for an output that may be NULL, where no other check precedes that of its size.
///
/// # Safety
/// - As for [`fill`].
pub unsafe fn fill_opt<T: VersionedStruct>(out: *mut T) -> Result<Option<Fill<T>>> {
    // SAFETY: the caller's obligation.
    if out.is_null() { Ok(None) } else { unsafe { fill(out, "")? }.map(Some) }
}

/// Raw memory that may be NULL only for an array without elements.
pub fn not_null_unless_empty(ptr: *const core::ffi::c_void, id: Id) -> Result<()> {
    if ptr.is_null() && !array::is_empty(id) { Err(null("ptr")) } else { Ok(()) }
}

impl<T: VersionedStruct> Fill<T> {
    /// Writes the first `bytes` bytes of the struct, or as many as the caller has. Leaves `size` unchanged.
    ///
    /// # Safety
    /// - As for [`fill`].
    pub unsafe fn write(&self, value: &T, bytes: usize) {
        let start = size_of::<usize>();
        let end = bytes.min(self.size).min(size_of::<T>());
        let from = core::ptr::from_ref(value).cast::<u8>();
        // SAFETY: both structs have at least `end` bytes, and do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(from.add(start), self.out.cast::<u8>().add(start), end - start) };
    }

    /// Writes numbers at an offset of the struct, as far as the caller's struct reaches.
    ///
    /// # Safety
    /// - As for [`fill`].
    pub unsafe fn write_numbers(&self, offset: usize, numbers: &[i64]) {
        for (index, number) in numbers.iter().enumerate() {
            let at = offset + index * size_of::<i64>();
            if at + size_of::<i64>() <= self.size {
                // SAFETY: within the caller's struct, checked above.
                unsafe { self.out.cast::<u8>().add(at).cast::<i64>().write_unaligned(*number) };
            }
        }
    }
}

macro_rules! sized {
    ($($type:ident: $defaults:expr),* $(,)?) => {
        $(impl VersionedStruct for $type {
            const FIRST: usize = size_of::<$type>();
            const NAME: &'static str = stringify!($type);
            fn defaults() -> $type {
                $defaults
            }
        })*
    };
}

const NOWHERE: tn_device = tn_device { r#type: 0, id: 0 };

sized! {
    tn_array_options: tn_array_options {
        size: 0, order: 0, flags: 0, stream: core::ptr::null_mut(), name: core::ptr::null(),
    },
    tn_layout: tn_layout {
        size: 0, dtype: 0, ndim: 0, shape: core::ptr::null(), strides: core::ptr::null(), offset: 0,
    },
    tn_npy_options: tn_npy_options { size: 0, mode: 0, fd: -1, pool: core::ptr::null_mut(), max_header_bytes: 0 },
    tn_safetensors_options: tn_safetensors_options { size: 0, pool: core::ptr::null_mut(), flags: 0, reserved: 0 },
    tn_borrow_info: tn_borrow_info { size: 0, data: core::ptr::null_mut(), device_data: 0, bytes: 0 },
    tn_store_info: tn_store_info {
        size: 0, address: 0, bytes: 0, device: NOWHERE, flags: 0, reserved: 0, version: 0, pool_name: [0; 64],
    },
    tn_target: tn_target { size: 0, device: NOWHERE, dtype: 0, ndim: 0, shape: core::ptr::null() },
    tn_dlpack_options: tn_dlpack_options {
        size: 0, flags: 0, mode: 0, label: 0, reserved: 0, target: NOWHERE, consumer: core::ptr::null_mut(),
    },
    tn_cuda_array_interface: tn_cuda_array_interface {
        size: 0, data: 0, shape: core::ptr::null(), strides: core::ptr::null(), ndim: 0, readonly: 0, c_contiguous: 0,
        version: 0, typestr: [0; 8], stream: 0, has_stream: 0, reserved: 0,
    },
    tn_log_options: tn_log_options { size: 0, kinds: 0, reserved: 0, path: core::ptr::null(), capacity: 0 },
    tn_log_stats: tn_log_stats {
        size: 0, kinds: 0, is_file: 0, events: 0, overwritten: 0, dropped: 0, capacity: 0,
    },
    tn_expr_info: tn_expr_info { size: 0, dtype: 0, ndim: 0, form: 0, reserved: 0, shape: [0; TN_MAX_NDIM] },
    tn_shared_options: tn_shared_options {
        size: 0, device: NOWHERE, pool: core::ptr::null_mut(), name: core::ptr::null(),
    },
    tn_in: tn_in {
        size: 0, name: core::ptr::null(), flags: 0, dtype: 0, device: NOWHERE, ndim: -1, reserved: 0,
        default_value: core::ptr::null_mut(), shared: core::ptr::null_mut(),
    },
    tn_out: tn_out {
        size: 0, name: core::ptr::null(), flags: 0, dtype: 0, device: NOWHERE, ndim: -1, reserved: 0,
    },
    tn_update: tn_update { size: 0, target: core::ptr::null_mut(), flags: 0, reserved: 0 },
    tn_function_options: tn_function_options {
        size: 0, name: core::ptr::null(), body: None, expr_body: None, context: core::ptr::null_mut(), release: None,
        n_in: 0, n_out: 0, n_update: 0, inputs: core::ptr::null(), outputs: core::ptr::null(), updates: core::ptr::null(),
    },
    tn_call_crossings: tn_call_crossings {
        size: 0, inputs: core::ptr::null_mut(), outputs: core::ptr::null_mut(), updates: core::ptr::null_mut(),
    },
    tn_shared_info: tn_shared_info {
        size: 0, device: NOWHERE, home: NOWHERE, dtype: 0, ndim: 0, flags: 0, is_poisoned: 0, version: 0, bytes: 0,
        detach_count: 0, name: [0; 64], shape: [0; TN_MAX_NDIM],
    },
    tn_mirror_options: tn_mirror_options {
        size: 0, object: core::ptr::null_mut(), borrow_flags: 0, dtype: 0, ndim: 0, order: 0, shape: core::ptr::null(),
        device: NOWHERE, r#where: 0, reserved: 0, host_pool: core::ptr::null_mut(), device_pool: core::ptr::null_mut(),
        name: core::ptr::null(),
    },
    tn_module_options: tn_module_options {
        size: 0, name: core::ptr::null(), arch: core::ptr::null(), options: core::ptr::null(), n_options: 0,
        log: core::ptr::null_mut(), log_capacity: 0, log_length: core::ptr::null_mut(),
    },
    tn_mirror_info: tn_mirror_info {
        size: 0, valid: 0, allocated: 0, held: 0, is_poisoned: 0, transfers_to_device: 0, transfers_to_host: 0,
        bytes_to_device: 0, bytes_to_host: 0, device: NOWHERE, dtype: 0, ndim: 0, bytes: 0, name: [0; 64],
        shape: [0; TN_MAX_NDIM],
    },
    tn_array_info: tn_array_info {
        size: 0, dtype: 0, ndim: 0, device: NOWHERE, flags: 0, form: 0, bytes: 0, count: 0, store_bytes: 0, offset: 0,
        name: [0; 64], shape: [0; TN_MAX_NDIM], strides: [0; TN_MAX_NDIM],
    },
}

/// A switch: 0 or 1.
pub fn switch(value: i32, name: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(fail(TN_ERR_INVALID, format_args!("{name} is {value}; it is 0 or 1"))),
    }
}

/// The release of an import. TN_TAKE_OWNERSHIP requires a callback.
pub fn release(
    flags: tn_borrow_flags,
    release: tn_release_callback,
    context: *mut core::ffi::c_void,
) -> Result<Release> {
    match release {
        Some(release) => Ok(Release::Call(release, context as usize)),
        None if flags & TN_TAKE_OWNERSHIP != 0 => {
            Err(fail(TN_ERR_NULL, format_args!("release is NULL, and TN_TAKE_OWNERSHIP needs one")))
        }
        None => Ok(Release::None),
    }
}

/// What a stream argument means.
#[inline]
pub fn stream(stream: *const tn_stream) -> Noted<StreamArg> {
    StreamArg::of(stream as u64)
}

/// As [`stream`], where NULL is not allowed.
pub fn some_stream(stream: *const tn_stream) -> Result<Noted<StreamArg>> {
    if stream.is_null() { Err(null("stream")) } else { Ok(self::stream(stream)) }
}

/// Whether a stream argument means the host, now.
#[inline(always)]
pub fn is_now(stream: *const tn_stream) -> bool {
    StreamArg::is_now(stream as u64)
}

/// A pool argument; NULL: None.
pub fn pool(pool: *const tn_pool) -> Result<Option<&'static Pool>> {
    if pool.is_null() { Ok(None) } else { pool::of_handle(Id::from_bits(pool as u64)).map(Some) }
}

/// An array and a pool argument. If both are invalid, reports the status that comes first in the order of checks.
pub fn array_and_pool(array: Id, pool: *const tn_pool) -> Result<Option<&'static Pool>> {
    handle_and_pool::<crate::ledger::Claim>(array, pool)
}

/// As [`array_and_pool`], for a promise.
pub fn promise_and_pool(promise: Id, pool: *const tn_pool) -> Result<Option<&'static Pool>> {
    handle_and_pool::<crate::ledger::Promise>(promise, pool)
}

#[inline(always)]
fn handle_and_pool<S: crate::slots::Slot>(handle: Id, pool: *const tn_pool) -> Result<Option<&'static Pool>> {
    let found = crate::ledger::find::<S>(handle);
    let pool = self::pool(pool);
    match (found, &pool) {
        // Looked up again for its message, which the pool's has replaced.
        (Err(first), Err(second)) if rank(first.code()) <= rank(second.code()) => {
            crate::ledger::find::<S>(handle).and(pool)
        }
        (Err(status), Ok(_)) => Err(status),
        _ => pool,
    }
}

/// A name; NULL: no name. Invalid UTF-8 is noted.
///
/// # Safety
/// - `name` is NULL or a NUL-terminated text.
pub unsafe fn name(name: *const c_char) -> Noted<Name> {
    if name.is_null() {
        return Ok(Name::NONE);
    }
    // SAFETY: the caller's obligation.
    Name::of(unsafe { CStr::from_ptr(name) })
}

/// A text that must not be NULL.
///
/// # Safety
/// - `text` is NULL or a NUL-terminated text that stays valid during the call.
pub unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a CStr> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's obligation.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// The valid UTF-8 at the start of a text.
pub fn readable(text: &CStr) -> &str {
    match text.to_str() {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&text.to_bytes()[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// An output text, written as by snprintf: it is cut to the capacity, and the length counts the whole text.
pub struct TextOut {
    text: *mut c_char,
    capacity: usize,
    length: usize,
    /// A part did not fit. Later parts are only counted, so that the text has no gap.
    is_cut: bool,
}

impl TextOut {
    /// NULL is allowed with capacity 0.
    pub fn new(capacity: usize, text: *mut c_char, name: &str) -> Result<TextOut> {
        if capacity > 0 && text.is_null() {
            return Err(null(name));
        }
        Ok(TextOut { text, capacity, length: 0, is_cut: false })
    }

    /// Appends a part.
    ///
    /// # Safety
    /// - `capacity` bytes may be written: the caller's obligation by the function's documentation.
    pub unsafe fn add(&mut self, part: &str) {
        let room = self.capacity.saturating_sub(self.length + 1);
        if !self.is_cut {
            let mut fitting = part.len().min(room);
            while !part.is_char_boundary(fitting) {
                fitting -= 1;
            }
            self.is_cut = fitting < part.len();
            if self.capacity > 0 {
                // SAFETY: the part and its NUL fit into `capacity` bytes, which are writable by the caller's
                // obligation.
                unsafe {
                    core::ptr::copy_nonoverlapping(part.as_ptr().cast(), self.text.add(self.length), fitting);
                    self.text.add(self.length + fitting).write(0);
                }
            }
        }
        self.length += part.len();
    }

    /// Bytes of the whole text without its NUL.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// A struct that a query lists. Every caller's struct has at least the fields of the first version.
pub trait Item: Copy {
    /// Bytes of the first version.
    const FIRST: usize;
    /// Its name.
    const NAME: &'static str;
}

macro_rules! items {
    ($($type:ident),*) => {
        $(impl Item for $type {
            const FIRST: usize = size_of::<$type>();
            const NAME: &'static str = stringify!($type);
        })*
    };
}

items!(tn_pool_class_stats, tn_pool_client, tn_safetensors_info, tn_copy_site, tn_holder);

/// A list that a query fills: the first `capacity` items, each cut to the size of the caller's struct.
pub struct ListOut<T> {
    items: *mut u8,
    item_size: usize,
    capacity: usize,
    count: usize,
    of: core::marker::PhantomData<T>,
}

/// The output list of a query. NULL is reported at once unless `capacity` is 0; a wrong item size is noted.
pub fn list<T: Item>(item_size: usize, capacity: usize, items: *mut T, name: &str) -> Result<Noted<ListOut<T>>> {
    if capacity > 0 && items.is_null() {
        return Err(null(name));
    }
    if capacity > 0 && item_size < T::FIRST {
        return Ok(Err(fail(
            TN_ERR_INVALID,
            format_args!("item_size is {item_size}; pass sizeof({}), at least {}", T::NAME, T::FIRST),
        )));
    }
    Ok(Ok(ListOut { items: items.cast(), item_size, capacity, count: 0, of: core::marker::PhantomData }))
}

impl<T: Item> ListOut<T> {
    /// Counts an item, and adds it if it fits.
    ///
    /// # Safety
    /// - `capacity` items of `item_size` bytes may be written: the caller's obligation by the function's documentation.
    pub unsafe fn add(&mut self, item: &T) {
        if self.count < self.capacity {
            let known = size_of::<T>().min(self.item_size);
            // SAFETY: within `capacity` items, by the caller's obligation. Bytes that the library does not know are
            // zeroed.
            unsafe {
                let to = self.items.add(self.count * self.item_size);
                core::ptr::copy_nonoverlapping(core::ptr::from_ref(item).cast::<u8>(), to, known);
                to.add(known).write_bytes(0, self.item_size - known);
            }
        }
        self.count += 1;
    }

    /// The number of items, including those that did not fit.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// A list of holders.
pub struct Holders(ListOut<tn_holder>);

impl Holders {
    /// As [`list`].
    pub fn new(item_size: usize, capacity: usize, out: *mut tn_holder, name: &str) -> Result<Noted<Holders>> {
        Ok(list(item_size, capacity, out, name)?.map(Holders))
    }

    /// Adds a holder. May run under a ledger's lock, so it keeps the number of the site in `reserved` until
    /// [`Holders::finish`].
    pub fn add(&mut self, held: HolderInfo) {
        let holder = tn_holder {
            kind: held.kind,
            device: held.device,
            reserved: held.origin.site,
            id: held.id,
            bytes: held.bytes,
            thread: u64::from(held.origin.thread),
            time_ns: held.time_ns,
            name: held.name.to_c(),
            site: [0; 64],
        };
        // SAFETY: the caller has `capacity` items, by the documentation of the functions that take them.
        unsafe { self.0.add(&holder) };
    }

    /// Resolves the sites, under no lock. Returns the total number of holders.
    pub fn finish(self) -> usize {
        for index in 0..self.0.count.min(self.0.capacity) {
            // SAFETY: an item of at least the first version's size, written by `add`; any alignment.
            unsafe {
                let item = self.0.items.add(index * self.0.item_size);
                let number = item.add(core::mem::offset_of!(tn_holder, reserved)).cast::<u32>();
                let site = crate::sites::Site::from_number(number.read_unaligned());
                number.write_unaligned(0);
                item.add(core::mem::offset_of!(tn_holder, site))
                    .cast::<[c_char; 64]>()
                    .write_unaligned(site.name().to_c());
            }
        }
        self.0.count
    }
}

/// The address of element (0,..,0) of an open guard's layout; NULL if there is no element.
#[inline]
pub fn data(layout: &crate::layout::Layout) -> *mut core::ffi::c_void {
    if layout.is_empty() { core::ptr::null_mut() } else { layout.offset() as *mut core::ffi::c_void }
}

/// The view of an open guard's layout on a device. Its `device_data` is 0: see [`add_device_address`].
pub fn view(layout: &crate::layout::Layout, device: tn_device) -> tn_view_info {
    let ndim = layout.ndim();
    let (data, bytes) = if layout.is_empty() { (0, 0) } else { (layout.offset() as u64, layout.bytes() as u64) };
    tn_view_info {
        data: data as *mut core::ffi::c_void,
        device,
        ndim: ndim as i32,
        dtype: layout.dtype().raw(),
        shape: layout.shape().as_ptr(),
        strides: layout.strides().as_ptr(),
        device_data: 0,
        bytes,
        reserved: [0; 4],
    }
}

/// Sets the `device_data` of a view. It may call the driver, so the guard is open and no lock is held.
///
/// # Safety
/// - `view` is NULL or points to what [`view`] made.
#[inline]
pub unsafe fn add_device_address(view: *mut tn_view_info) {
    // SAFETY: the caller's obligation.
    if let Some(view) = unsafe { view.as_mut() }
        && (view.device.r#type != TN_CPU || device_copy::is_any_registered())
    {
        fill_device_address(view);
    }
}

#[cold]
#[inline(never)]
fn fill_device_address(view: &mut tn_view_info) {
    view.device_data = device_copy::device_address(view.device, view.data as usize);
}
