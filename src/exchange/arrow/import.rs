//! Arrays come in: the caller's array struct is moved to us, the schema stays the caller's.

use super::abi::{self, Array, DeviceArray, Format, Schema};
use super::{place, take};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::exchange::host::{self, Import, Imported};
use crate::layout::{Layout, Order};
use crate::ledger::Release;
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};

/// Flags of an import.
const FLAGS: u32 = host::IMPORT_FLAGS | TN_UNORDERED | TN_WAIT;

/// Longest part of a format text that is looked at; all that we know are shorter.
const FORMAT_BYTES: usize = 32;

/// Imports an array on the host. On success `source` is released, which is to say moved.
///
/// # Safety
/// - `schema` and `source` are Arrow structs whose pointers point to what they say; `source` is the caller's and may be written.
pub unsafe fn import(
    function: &'static CStr,
    schema: *const c_void,
    source: *mut c_void,
    flags: u32,
) -> Result<Imported> {
    let (schema, source) = (schema.cast::<Schema>(), source.cast::<Array>());
    // SAFETY: the caller's promise.
    unsafe {
        check_there(schema, source)?;
        host::check_flags(flags, FLAGS)?;
        moved(function, schema, source, flags)
    }
}

/// Imports an array of the device interface, where its device is the host.
///
/// # Safety
/// - As for [`import`]; `source` is an ArrowDeviceArray.
pub unsafe fn import_device(
    function: &'static CStr,
    schema: *const c_void,
    source: *mut c_void,
    flags: u32,
) -> Result<Imported> {
    let (schema, source) = (schema.cast::<Schema>(), source.cast::<DeviceArray>());
    // SAFETY: the caller's promise; read as values.
    unsafe {
        check_there(schema, &raw const (*source).array)?;
        host::check_flags(flags, FLAGS)?;
        let (kind, id, event) = ((*source).device_type, (*source).device_id, (*source).sync_event);
        // Any device_id: Arrow leaves it open for the host.
        if !matches!(kind, TN_CPU | TN_CUDA_HOST) {
            return Err(fail(
                TN_ERR_DEVICE,
                format_args!("the array is on device ({kind}, {id}), and only host memory can be imported"),
            ));
        }
        if !event.is_null() {
            return Err(fail(
                TN_ERR_DEVICE,
                format_args!("sync_event is {event:p}, and no driver is in use that could wait for it"),
            ));
        }
        moved(function, schema, &raw mut (*source).array, flags)
    }
}

/// # Safety
/// - As for [`import`].
unsafe fn check_there(schema: *const Schema, source: *const Array) -> Result<()> {
    // SAFETY: the caller's promise.
    let (schema, source) = unsafe { ((*schema).release, (*source).release) };
    if schema.is_none() {
        return Err(stale("schema"));
    }
    if source.is_none() { Err(stale("array")) } else { Ok(()) }
}

#[cold]
fn stale(what: &str) -> Status {
    fail(TN_ERR_STALE, format_args!("the {what} was released or moved already: its release is NULL"))
}

#[cold]
fn absent(what: &str, level: usize) -> Status {
    fail(TN_ERR_NULL, format_args!("{what} is NULL at level {level} of the array"))
}

/// # Safety
/// - As for [`import`]; neither is released.
unsafe fn moved(function: &'static CStr, schema: *const Schema, source: *mut Array, flags: u32) -> Result<Imported> {
    // SAFETY: the caller's promise.
    let layout = unsafe { layout_of(schema, source)? };
    let mut flags = flags & host::IMPORT_FLAGS;
    // What is not copied is immutable for everybody who has it; a copy that was asked for is the caller's own.
    if flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE) != 0 {
        flags |= TN_IMPORT_READONLY;
    }
    // SAFETY: the caller's promise; a value.
    let kept = place(unsafe { source.read() })?;
    let release = Release::Call(release_kept, kept as usize);
    // SAFETY: checked as far as it can be; the bytes stay until the release is called.
    match unsafe { host::import(Import { function, layout: &layout, flags, release }) } {
        Ok(imported) => {
            // SAFETY: the caller's promise. The struct is ours, and the caller's is as if released.
            unsafe { (*source).release = None };
            Ok(imported)
        }
        Err(status) => {
            // SAFETY: a failing import calls no release: still ours, and the contents still the caller's.
            let _unused: Array = unsafe { take(kept) };
            Err(status)
        }
    }
}

/// What the library calls when nobody here uses the bytes any more.
unsafe extern "C" fn release_kept(context: *mut c_void) {
    // SAFETY: made by `moved`, called once.
    let mut array = unsafe { take(context.cast::<Array>()) };
    if let Some(release) = array.release {
        // SAFETY: the producer's function for the producer's struct, which may have been moved.
        unsafe { release(&raw mut array) };
    }
}

/// The layout of the elements, from the outermost level to the innermost.
///
/// # Safety
/// - As for [`import`].
unsafe fn layout_of(schema: *const Schema, array: *const Array) -> Result<Layout> {
    let mut shape = [0i64; TN_MAX_NDIM];
    let mut ndim = 1;
    let (mut schema, mut array) = (schema, array);
    // Of the level: the first element or list that is wanted, without the level's own offset, and how many.
    // SAFETY: the caller's promise.
    let (mut first, mut count) = (0i64, unsafe { (*array).length });
    shape[0] = count;
    for level in 0.. {
        // SAFETY: the caller's promise for the outermost; the others were found not NULL.
        let (kind, part) = unsafe { (schema.read(), array.read()) };
        check_level(&kind, &part, level, first, count)?;
        let far = || {
            fail(
                TN_ERR_OVERFLOW,
                format_args!("offset {} at level {level} overflows in what it means inside", part.offset),
            )
        };
        // SAFETY: the schema's own text, by the caller's promise.
        let format = unsafe { format_of(kind.format, level)? };
        let (buffers, children) = if matches!(format, Format::Lists(_)) { (1, 1) } else { (2, 0) };
        if (part.n_buffers, part.n_children, kind.n_children) != (buffers, children, children) {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "level {level} has {} buffers and {} children, its schema {} children; its type has {buffers} and {children}",
                    part.n_buffers, part.n_children, kind.n_children
                ),
            ));
        }
        // SAFETY: so many buffers are there, by the caller's promise.
        let buffer = |at: usize| unsafe { part.buffers.add(at).read() };
        if part.buffers.is_null() {
            return Err(absent("buffers", level));
        }
        check_nulls(&part, buffer(0), level)?;
        let start = first.checked_add(part.offset).ok_or_else(far)?;
        match format {
            Format::Lists(length) => {
                let Some(next) = shape.get_mut(ndim) else {
                    return Err(fail(
                        TN_ERR_OVERFLOW,
                        format_args!("lists in lists are more than {TN_MAX_NDIM} axes, the most that an array has"),
                    ));
                };
                *next = length;
                ndim += 1;
                first = start.checked_mul(length).ok_or_else(far)?;
                count = count.checked_mul(length).ok_or_else(|| too_large(count, length))?;
                if kind.children.is_null() || part.children.is_null() {
                    return Err(absent("children", level));
                }
                // SAFETY: one child is there, by the caller's promise.
                (schema, array) = unsafe { (kind.children.read(), part.children.read()) };
                if schema.is_null() || array.is_null() {
                    return Err(absent("children[0]", level));
                }
            }
            Format::Element(dtype) => return place_at(dtype, &shape[..ndim], buffer(1), start),
        }
    }
    unreachable!("levels end with the elements, or with the number of axes")
}

#[cold]
fn too_large(count: i64, length: i64) -> Status {
    fail(TN_ERR_OVERFLOW, format_args!("{count} lists of {length} elements each are more than can be counted"))
}

/// Whether a level is whole, and has what the level around it wants of it.
fn check_level(kind: &Schema, part: &Array, level: usize, first: i64, count: i64) -> Result<()> {
    if kind.release.is_none() {
        return Err(stale("schema's child"));
    }
    if part.release.is_none() {
        return Err(stale("array's child"));
    }
    if !kind.dictionary.is_null() || !part.dictionary.is_null() {
        return Err(fail(TN_ERR_DTYPE, format_args!("level {level} is encoded by a dictionary; decode it first")));
    }
    let (length, offset) = (part.length, part.offset);
    if length < 0 || offset < 0 {
        return Err(fail(TN_ERR_SHAPE, format_args!("length {length} and offset {offset} at level {level}: negative")));
    }
    match first.checked_add(count) {
        Some(end) if end <= length => Ok(()),
        _ => Err(fail(
            TN_ERR_SHAPE,
            format_args!("level {level} has {length} elements, and the lists around it need {count} from {first} on"),
        )),
    }
}

/// # Safety
/// - `text` is NULL or ends with a NUL.
unsafe fn format_of(text: *const c_char, level: usize) -> Result<Format> {
    if text.is_null() {
        return Err(absent("format", level));
    }
    let mut bytes = [0u8; FORMAT_BYTES];
    let mut length = 0;
    // Not a byte behind the NUL, and none at all beyond what can be a format that we know.
    while length < FORMAT_BYTES {
        // SAFETY: the caller's promise; no byte before this one was the NUL.
        match unsafe { text.add(length).read() } {
            0 => break,
            byte => bytes[length] = byte as u8,
        }
        length += 1;
    }
    let text = &bytes[..length];
    abi::format(text).ok_or_else(|| {
        let hint = match text {
            b"b" => ": packed bits; cast them to uint8 first",
            b"n" => ": nothing but nulls",
            _ => "; only numbers, and lists of a fixed size of them, are arrays",
        };
        fail(TN_ERR_DTYPE, format_args!("format \"{}\" at level {level}{hint}", text.escape_ascii()))
    })
}

fn check_nulls(part: &Array, validity: *const c_void, level: usize) -> Result<()> {
    match part.null_count {
        0 => Ok(()),
        -1 if validity.is_null() => Ok(()),
        -1 => Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "level {level} may have nulls: there is a validity bitmap, and null_count is -1; count them first"
            ),
        )),
        nulls => Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!("level {level} has {nulls} nulls, which an array cannot have; fill them in first"),
        )),
    }
}

/// Elements of that shape, in C order, from element `start` of the buffer on.
fn place_at(dtype: Dtype, shape: &[i64], data: *const c_void, start: i64) -> Result<Layout> {
    let mut layout = Layout::contiguous(dtype, shape, Order::C, 0)?;
    if layout.is_empty() {
        return Ok(layout);
    }
    if data.is_null() {
        return Err(fail(
            TN_ERR_NULL,
            format_args!("the buffer of the elements is NULL, and there are {}", layout.count()),
        ));
    }
    let first = start.checked_mul(dtype.item()).and_then(|bytes| (data as u64).checked_add(bytes as u64));
    let first = first.ok_or_else(|| {
        fail(TN_ERR_RANGE, format_args!("element {start} from {data:p} on wraps around the address space"))
    })?;
    layout.rebase(first)?;
    Ok(layout)
}
