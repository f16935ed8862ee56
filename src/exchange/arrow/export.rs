//! Exports of arrays: the caller passes two structs, and each gets a record of the library as its private data.
//!
//! A record has the inner structs of all levels, their buffers and their format strings. Each level holds a reference
//! on the record, because a consumer may move a child out and release its parent first. The last release frees the
//! record. That of the array also ends the export.
//!
//! The release of an array on a device names no stream. So what the consumer's streams have then counts as unfinished
//! reads of the array, until all work of the device is done: only writes have to wait for it, and the reuse of the
//! memory.

use super::abi::{Array, DeviceArray, MAX_LIST, Schema, letter};
use super::{from_heap, to_heap};
use crate::array::{self, HOST};
use crate::cuda_driver::CUevent;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::exchange::device::{self, DeviceExport};
use crate::exchange::host::{self, Exported, WhyNot};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Class, Guard};
use crate::slots::Id;
use crate::stream::{self, EventRef, Stream, StreamArg};
use crate::thread;
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::panic::catch_unwind;

/// Enough for the longest format string and its NUL: `+w:2147483647`.
const FORMAT_BYTES: usize = 16;

/// The private data of a schema.
struct SchemaRecord {
    /// References: the levels that are not released.
    refs: AtomicU32,
    levels: Vec<SchemaLevel>,
}

/// A level of a schema. The struct of level 0 is the caller's, so its `schema` is unused.
struct SchemaLevel {
    schema: Schema,
    child: *mut Schema,
    format: [u8; FORMAT_BYTES],
}

/// The private data of an array.
struct ArrayRecord {
    refs: AtomicU32,
    levels: Vec<ArrayLevel>,
    /// The guard of the export. None: the array is empty.
    guard: Option<&'static Guard>,
    /// Where the consumer reads the bytes.
    consumer: Consumer,
    /// The event behind all work that has to be done before, and the CUevent to which `sync_event` points.
    event: Option<EventRef>,
    native_event: CUevent,
    /// Whether this library imported the whole array, so that the ledger knows all work of the consumer.
    came_back: AtomicBool,
    /// The number of forks before the export. In the child of a fork, an export of the parent holds no bytes.
    forks: u32,
}

/// Where a consumer reads the bytes.
#[derive(Clone, Copy)]
enum Consumer {
    Host,
    /// On a device; the caller orders later uses (TN_UNORDERED).
    Unordered,
    /// On streams of a device that it does not name, for which this stream stands.
    Device(&'static Stream),
}

struct ArrayLevel {
    array: Array,
    child: *mut Array,
    /// The validity bitmap, which is always NULL, and the data.
    buffers: [*const c_void; 2],
}

/// The address of the data of an empty array.
#[repr(align(64))]
struct NoData(#[allow(dead_code)] [u8; 64]);
static NO_DATA: NoData = NoData([0; 64]);

/// A record that no struct has yet. Its drop frees it.
struct NewRecord<T>(*mut T);

impl<T> NewRecord<T> {
    fn keep(self) -> *mut T {
        let at = self.0;
        core::mem::forget(self);
        at
    }
}

impl<T> Drop for NewRecord<T> {
    fn drop(&mut self) {
        // SAFETY: made by `to_heap`, and not passed on.
        drop(unsafe { from_heap(self.0) });
    }
}

fn levels<T>(count: usize, mut each: impl FnMut() -> T) -> Result<Vec<T>> {
    let mut levels = Vec::new();
    levels.try_reserve_exact(count).map_err(|_| {
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the Arrow structs of an array of {count} axes"))
    })?;
    // The capacity is reserved above.
    levels.extend((0..count).map(|_| each()));
    Ok(levels)
}

/// Exports an array into the caller's structs, whose contents are overwritten. Returns TN_ALIASED or TN_COPIED.
///
/// # Safety
/// - `schema` and `out` may be written.
pub unsafe fn export(
    function: &'static CStr,
    id: Id,
    flags: u32,
    schema: *mut c_void,
    out: *mut c_void,
) -> Result<tn_how> {
    let (made, DeviceArray { array, .. }, how) = make(function, id, flags, false)?;
    // SAFETY: the caller's obligation.
    unsafe {
        schema.cast::<Schema>().write(made);
        out.cast::<Array>().write(array);
    }
    Ok(how)
}

/// Exports an array, and its device, into the caller's structs. Page-locked memory is the host's, because consumers
/// without a device read only that.
///
/// # Safety
/// - `schema` and `out` may be written.
pub unsafe fn export_device(
    function: &'static CStr,
    id: Id,
    flags: u32,
    schema: *mut c_void,
    out: *mut c_void,
) -> Result<tn_how> {
    let (made, device, how) = make(function, id, flags, true)?;
    // SAFETY: the caller's obligation.
    unsafe {
        schema.cast::<Schema>().write(made);
        out.cast::<DeviceArray>().write(device);
    }
    Ok(how)
}

/// Opens an export to a consumer on the host, or with `names_device` on the array's own device. Returns its structs,
/// and TN_ALIASED or TN_COPIED.
fn make(function: &'static CStr, id: Id, flags: u32, names_device: bool) -> Result<(Schema, DeviceArray, tn_how)> {
    ledger::find::<Claim>(id)?;
    host::check_flags(flags, TN_BORROW | TN_REQUIRE_BORROW | TN_UNORDERED | TN_WAIT)?;
    let own = array::device(id)?;
    let device = if names_device && matches!(own.r#type, TN_CUDA | TN_CUDA_MANAGED) { own } else { HOST };
    // The number of axes and the type never change, whatever other threads do with the handle before the export.
    let layout = array::snapshot(id)?;
    let letter = check_type(layout.dtype())?;
    check_lists(&layout)?;
    let count = layout.ndim().max(1);
    let schemas = SchemaRecord {
        refs: AtomicU32::new(count as u32),
        levels: levels(count, || SchemaLevel { schema: Schema::NONE, child: null_mut(), format: [0; FORMAT_BYTES] })?,
    };
    let schemas = NewRecord(to_heap(schemas)?);
    let arrays = ArrayRecord {
        refs: AtomicU32::new(count as u32),
        levels: levels(count, || ArrayLevel { array: Array::NONE, child: null_mut(), buffers: [null(); 2] })?,
        guard: None,
        consumer: match device {
            HOST => Consumer::Host,
            _ if flags & TN_UNORDERED != 0 => Consumer::Unordered,
            _ => Consumer::Device(stream::unknown(device)?),
        },
        event: None,
        native_event: null_mut(),
        came_back: AtomicBool::new(false),
        forks: thread::forks(),
    };
    let arrays = NewRecord(to_heap(arrays)?);
    let request = host::Export { function, flags, class: Class::ExportRead, copy: Class::ExportRead, unique: false };
    let fits =
        |layout: &Layout| (!layout.is_c()).then_some("the elements are not C-contiguous, and Arrow has no strides");
    let Opened { exported, data, event } = open(id, &request, device, &fits)?;
    // From now on the consumer has pointers to the release functions.
    crate::sys::os::pin_library();
    let layout = exported.guard.layout();
    let schema = fill_schema(schemas.keep(), layout, letter);
    let empty = layout.is_empty();
    let record = arrays.keep();
    let array = fill_array(record, layout, data);
    let device_id = if device == HOST { -1 } else { i64::from(device.id) };
    let mut out =
        DeviceArray { array, device_id, device_type: device.r#type, sync_event: null_mut(), reserved: [0; 3] };
    // An empty array has no bytes that the consumer could keep.
    if empty {
        exported.guard.end(false);
    } else {
        // SAFETY: the record is not shared yet.
        unsafe {
            (*record).guard = Some(exported.guard.into_guard());
            if let Some(event) = event {
                (*record).native_event = event.event();
                (*record).event = Some(event);
                out.sync_event = (&raw mut (*record).native_event).cast();
            }
        }
    }
    Ok((schema, out, exported.how))
}

/// An open export.
struct Opened {
    exported: Exported,
    /// The address of the first element.
    data: *const c_void,
    /// The event behind the unfinished work on the bytes.
    event: Option<EventRef>,
}

fn open(id: Id, request: &host::Export, device: tn_device, fits: &WhyNot) -> Result<Opened> {
    if device == HOST {
        let exported = host::export_ordered(id, request, StreamArg::of(0), fits, Order::C)?;
        let layout = exported.guard.layout();
        let data =
            if layout.is_empty() { core::ptr::from_ref(&NO_DATA).cast() } else { layout.offset() as *const c_void };
        return Ok(Opened { exported, data, event: None });
    }
    let DeviceExport { exported, address, ready } = device::export(id, request, &StreamArg::Now, fits, Order::C)?;
    match ready.map(|stream| stream.record(false)).transpose() {
        Ok(event) => Ok(Opened { exported, data: address as *const c_void, event }),
        Err(status) => {
            exported.guard.end(false);
            Err(status)
        }
    }
}

fn check_type(dtype: Dtype) -> Result<u8> {
    letter(dtype).ok_or_else(|| {
        let (why, instead) = match dtype.raw() {
            TN_BOOL => ("packs bools into bits", "uint8"),
            TN_BF16 => ("has no bfloat16", "uint16"),
            TN_C64 => ("has no complex numbers", "float32"),
            _ => ("has no complex numbers", "float64"),
        };
        fail(
            TN_ERR_DTYPE,
            format_args!("{} elements: Arrow {why}; export a view of them as {instead} (view_dtype)", dtype.name()),
        )
    })
}

fn check_lists(layout: &Layout) -> Result<()> {
    match layout.shape().iter().skip(1).position(|length| *length > MAX_LIST) {
        None => Ok(()),
        Some(inner) => Err(fail(
            TN_ERR_OVERFLOW,
            format_args!(
                "axis {} has {} elements, and a list of Arrow has at most {MAX_LIST}",
                inner + 1,
                layout.shape()[inner + 1]
            ),
        )),
    }
}

/// Fills the record's inner levels, and returns the outermost struct.
fn fill_schema(record: *mut SchemaRecord, layout: &Layout, letter: u8) -> Schema {
    // SAFETY: the record is new and not shared yet. Its levels do not move any more.
    let levels = unsafe { &mut (*record).levels };
    let last = levels.len() - 1;
    let mut outer = Schema::NONE;
    for at in (0..=last).rev() {
        let format = &mut levels[at].format;
        if at == last {
            format[0] = letter;
        } else {
            write_list(format, layout.shape()[at + 1]);
        }
        let format = format.as_ptr().cast::<c_char>();
        let mut schema = Schema {
            format,
            name: c"".as_ptr(),
            release: Some(release_schema),
            private_data: record.cast(),
            ..Schema::NONE
        };
        if at < last {
            levels[at].child = &raw mut levels[at + 1].schema;
            schema.n_children = 1;
            schema.children = &raw mut levels[at].child;
        }
        if at == 0 {
            outer = schema;
        } else {
            levels[at].schema = schema;
        }
    }
    outer
}

/// Writes `+w:N` with its NUL. N has at most ten digits.
fn write_list(format: &mut [u8; FORMAT_BYTES], length: i64) {
    format[..3].copy_from_slice(b"+w:");
    let digits = length.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = length;
    for digit in format[3..3 + digits].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn fill_array(record: *mut ArrayRecord, layout: &Layout, data: *const c_void) -> Array {
    // SAFETY: the record is new and not shared yet. Its levels do not move any more.
    let levels = unsafe { &mut (*record).levels };
    let last = levels.len() - 1;
    let mut outer = Array::NONE;
    for at in (0..=last).rev() {
        // The number of elements or lists at this level. It cannot overflow: the shape fits in memory even if its zeros
        // were ones.
        let length = layout.shape().iter().take(at + 1).product();
        let level = &mut levels[at];
        level.buffers[1] = if at == last { data } else { null() };
        let mut array = Array {
            length,
            n_buffers: if at == last { 2 } else { 1 },
            buffers: level.buffers.as_mut_ptr(),
            release: Some(release_array),
            private_data: record.cast(),
            ..Array::NONE
        };
        if at < last {
            levels[at].child = &raw mut levels[at + 1].array;
            array.n_children = 1;
            array.children = &raw mut levels[at].child;
        }
        if at == 0 {
            outer = array;
        } else {
            levels[at].array = array;
        }
    }
    outer
}

/// Releases a level of a schema, and the levels inside it that were not moved out. Any thread may call this: without an
/// interpreter, or while the process exits.
unsafe extern "C" fn release_schema(schema: *mut Schema) {
    // SAFETY: the consumer passes a struct that this module made and that is not released. It may have been moved.
    let released = catch_unwind(|| unsafe {
        let Schema { n_children, children, private_data, .. } = *schema;
        if n_children == 1 {
            let child = *children;
            if let Some(release) = (*child).release {
                release(child);
            }
        }
        (*schema).release = None;
        let record = private_data.cast::<SchemaRecord>();
        // The AcqRel operations pair with each other: the last release sees all uses of the record before it frees it.
        if (*record).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(from_heap(record));
        }
    });
    // A release function cannot report an error. A panic is a bug, and must not unwind into the consumer.
    debug_assert!(released.is_ok());
}

/// Releases a level of an array, and the levels inside it that were not moved out. The last level ends the export.
unsafe extern "C" fn release_array(array: *mut Array) {
    // SAFETY: as in `release_schema`.
    let released = catch_unwind(|| unsafe {
        let Array { n_children, children, private_data, .. } = *array;
        if n_children == 1 {
            let child = *children;
            if let Some(release) = (*child).release {
                release(child);
            }
        }
        (*array).release = None;
        let record = private_data.cast::<ArrayRecord>();
        // As above.
        if (*record).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            end(from_heap(record));
        }
    });
    debug_assert!(released.is_ok());
}

fn end(mut record: ArrayRecord) {
    if record.forks != thread::forks() {
        // The child of a fork makes no call for an event of its parent.
        core::mem::forget(record.event.take());
        return;
    }
    let Some(guard) = record.guard else { return };
    match record.consumer {
        Consumer::Unordered => device::end_unordered(guard),
        Consumer::Device(unknown) if !record.came_back.load(Ordering::Relaxed) => {
            guard.lock().end_guard_at(guard, false, Some(unknown.now()));
        }
        _ => guard.lock().end_guard(guard, false),
    }
}

/// Notes whether this library imports an array. Does nothing unless it is a whole array that this library exported.
///
/// # Safety
/// - `array` is an Arrow struct that is not released.
pub unsafe fn note_import(array: &Array, imported: bool) {
    let release = release_array as unsafe extern "C" fn(*mut Array);
    if !array.release.is_some_and(|theirs| core::ptr::fn_addr_eq(theirs, release)) {
        return;
    }
    let record = array.private_data.cast::<ArrayRecord>();
    // SAFETY: a struct of ours, which is not released, has its record. No reference is made to what the consumer may
    // write, the levels.
    unsafe {
        let outermost = (*record).levels.as_ptr();
        if array.buffers.cast_const() == (&raw const (*outermost).buffers).cast() {
            (*record).came_back.store(imported, Ordering::Relaxed);
        }
    }
}
