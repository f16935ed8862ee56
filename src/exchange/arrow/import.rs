//! Imports of arrays. The library takes over the caller's array struct; the schema stays the caller's.

use super::abi::{self, Array, DeviceArray, Format, Schema};
use super::{export, from_heap, to_heap};
use crate::array::HOST;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::exchange::device::{self, DeviceImport, Producer};
use crate::exchange::host::{self, Import, Imported};
use crate::layout::{Layout, Order};
use crate::ledger::Release;
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};

/// The flags that an import accepts.
const FLAGS: u32 = host::IMPORT_FLAGS | TN_UNORDERED | TN_WAIT;

/// The longest part of a format string that is read. All supported ones are shorter.
const FORMAT_BYTES: usize = 32;

/// Imports an array on the host. On success the struct is moved out of `source`, which is marked as released before the
/// producer's release can run, and not touched afterwards.
///
/// # Safety
/// - `schema` and `source` are Arrow structs whose pointers point to what their fields say.
/// - The caller owns `source`, and it may be written.
pub unsafe fn import(
    function: &'static CStr,
    schema: *const c_void,
    source: *mut c_void,
    flags: u32,
) -> Result<Imported> {
    let (schema, source) = (schema.cast::<Schema>(), source.cast::<Array>());
    // SAFETY: the caller's obligation.
    unsafe {
        check_not_released(schema, source)?;
        host::check_flags(flags, FLAGS)?;
        import_checked(function, schema, source, flags, None)
    }
}

/// Imports an array of the device interface: as [`import`], or from memory that devices access. Uses on a device come
/// after its event.
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
    // SAFETY: the caller's obligation; read as values.
    unsafe {
        check_not_released(schema, &raw const (*source).array)?;
        host::check_flags(flags, FLAGS)?;
        let (kind, id, event) = ((*source).device_type, (*source).device_id, (*source).sync_event);
        let from = match (kind, event.is_null()) {
            (TN_CPU | TN_CUDA_HOST, true) => None,
            (TN_CPU, false) => {
                return Err(fail(
                    TN_ERR_DEVICE,
                    format_args!(
                        "sync_event is {event:p}, and host memory is imported without events; wait for it, and pass NULL"
                    ),
                ));
            }
            // Arrow does not define the device_id of host memory, so any is accepted.
            (TN_CUDA_HOST, false) => Some((tn_device { r#type: kind, id: 0 }, producer(event, flags)?)),
            (TN_CUDA | TN_CUDA_MANAGED, _) => Some((device::stated(kind, id)?, producer(event, flags)?)),
            _ => {
                return Err(fail(
                    TN_ERR_DEVICE,
                    format_args!("the array is on a device of the unknown type {kind}; 1, 2, 3 and 13 are known"),
                ));
            }
        };
        import_checked(function, schema, &raw mut (*source).array, flags, from)
    }
}

/// The producer's unfinished work.
///
/// # Safety
/// - `event` is NULL or points to a CUevent.
unsafe fn producer(event: *const c_void, flags: u32) -> Result<Producer> {
    if event.is_null() || flags & TN_UNORDERED != 0 {
        return Ok(Producer::None);
    }
    // SAFETY: the caller's obligation; CUevent is a pointer.
    match unsafe { event.cast::<u64>().read_unaligned() } {
        0 => Err(fail(TN_ERR_NULL, format_args!("sync_event points to an event that is NULL"))),
        event => Ok(Producer::Event(event)),
    }
}

/// # Safety
/// - As for [`import`].
unsafe fn check_not_released(schema: *const Schema, source: *const Array) -> Result<()> {
    // SAFETY: the caller's obligation.
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

/// Imports an array of the host, or of memory that devices access and with unfinished work of the producer.
///
/// # Safety
/// - As for [`import_device`]; neither struct is released.
unsafe fn import_checked(
    function: &'static CStr,
    schema: *const Schema,
    source: *mut Array,
    flags: u32,
    from: Option<(tn_device, Producer)>,
) -> Result<Imported> {
    // SAFETY: the caller's obligation.
    let (mut layout, data) = unsafe { layout_of(schema, source)? };
    let mut flags = flags & host::IMPORT_FLAGS;
    // Arrow's data are immutable, so an alias is read-only. A copy belongs to the caller alone.
    if flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0 {
        flags |= TN_IMPORT_READONLY;
    }
    // SAFETY: the caller's obligation; a value.
    let moved = to_heap(unsafe { source.read() })?;
    let release = Release::Call(release_moved, moved as usize);
    // Arrow's order of a move: the release may run during the import, and the memory of `source` may end with it.
    // SAFETY: the caller's obligation.
    unsafe { (*source).release = None };
    // SAFETY: the caller's obligation, and the checks above. The bytes stay until the release is called.
    let imported = unsafe {
        export::note_import(&*moved, true);
        match from {
            None => layout.rebase(data).and_then(|()| {
                host::import(Import { function, device: HOST, layout: &layout, flags, release, after: None })
            }),
            Some((stated, producer)) => {
                let (layout, stated) = (&mut layout, Some(stated));
                device::import(DeviceImport { function, layout, data, stated, flags, producer, release })
            }
        }
    };
    imported.inspect_err(|_| {
        // SAFETY: a failed import calls no release function, so `source` and the copy on the heap still exist. The
        // contents stay the caller's.
        unsafe {
            let back = from_heap(moved);
            export::note_import(&back, false);
            (*source).release = back.release;
        }
    })
}

/// Releases the producer's struct after the last use of the bytes.
unsafe extern "C" fn release_moved(context: *mut c_void) {
    // SAFETY: made by `import_checked`; the library calls a release once.
    let mut array = unsafe { from_heap(context.cast::<Array>()) };
    if let Some(release) = array.release {
        // SAFETY: the producer's function gets the producer's struct, which Arrow allows to be moved.
        unsafe { release(&raw mut array) };
    }
}

/// The layout of the elements, from the outermost level to the innermost, and the address of the first one.
///
/// # Safety
/// - As for [`import`].
unsafe fn layout_of(schema: *const Schema, array: *const Array) -> Result<(Layout, u64)> {
    let mut shape = [0i64; TN_MAX_NDIM];
    let mut ndim = 1;
    let (mut schema, mut array) = (schema, array);
    // The first element or list of the level that the import needs, without the level's own offset, and their number.
    // SAFETY: the caller's obligation.
    let (mut first, mut count) = (0i64, unsafe { (*array).length });
    shape[0] = count;
    for level in 0.. {
        // SAFETY: the caller's obligation; the pointers of inner levels are checked for NULL below.
        let (kind, part) = unsafe { (schema.read(), array.read()) };
        check_level(&kind, &part, level, first, count)?;
        let overflow = || {
            fail(
                TN_ERR_OVERFLOW,
                format_args!("offset {} at level {level} overflows when it is counted in elements", part.offset),
            )
        };
        // SAFETY: a text that ends with a NUL, by the caller's obligation.
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
        // SAFETY: the array has `n_buffers` buffers, by the caller's obligation; the number was checked.
        let buffer = |at: usize| unsafe { part.buffers.add(at).read() };
        if part.buffers.is_null() {
            return Err(absent("buffers", level));
        }
        check_nulls(&part, buffer(0), level)?;
        let start = first.checked_add(part.offset).ok_or_else(overflow)?;
        match format {
            Format::Lists(length) => {
                let Some(next) = shape.get_mut(ndim) else {
                    return Err(fail(
                        TN_ERR_OVERFLOW,
                        format_args!(
                            "the nested lists are more than {TN_MAX_NDIM} axes, the most that an array can have"
                        ),
                    ));
                };
                *next = length;
                ndim += 1;
                first = start.checked_mul(length).ok_or_else(overflow)?;
                count = count.checked_mul(length).ok_or_else(|| too_large(count, length))?;
                if kind.children.is_null() || part.children.is_null() {
                    return Err(absent("children", level));
                }
                // SAFETY: there is one child, by the caller's obligation; the number was checked.
                (schema, array) = unsafe { (kind.children.read(), part.children.read()) };
                if schema.is_null() || array.is_null() {
                    return Err(absent("children[0]", level));
                }
            }
            Format::Element(dtype) => return element_layout(dtype, &shape[..ndim], buffer(1), start),
        }
    }
    unreachable!("levels end with the elements, or with the number of axes")
}

#[cold]
fn too_large(count: i64, length: i64) -> Status {
    fail(
        TN_ERR_OVERFLOW,
        format_args!("the number of elements of {count} lists of {length} each does not fit in 63 bits"),
    )
}

/// Checks that a level is not released, and that it has the elements that the level around it needs.
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
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!("length {length} or offset {offset} at level {level} is negative"),
        ));
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
    // No byte after the NUL is read, nor more bytes than a supported format has.
    while length < FORMAT_BYTES {
        // SAFETY: the caller's obligation; no byte before this one was the NUL.
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
            b"n" => ": an array of nulls has no elements",
            _ => "; only numbers and fixed-size lists of numbers can be imported",
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
            format_args!("level {level} has {nulls} nulls, which an array cannot represent; fill them in first"),
        )),
    }
}

/// The layout of elements of that shape, in C order, and the address of element `start` of the buffer, which is the
/// first.
fn element_layout(dtype: Dtype, shape: &[i64], data: *const c_void, start: i64) -> Result<(Layout, u64)> {
    let layout = Layout::contiguous(dtype, shape, Order::C, 0)?;
    if layout.is_empty() {
        return Ok((layout, 0));
    }
    if data.is_null() {
        return Err(fail(
            TN_ERR_NULL,
            format_args!("the buffer of the elements is NULL, and the array has {} elements", layout.count()),
        ));
    }
    let first = start.checked_mul(dtype.item()).and_then(|bytes| (data as u64).checked_add(bytes as u64));
    let first = first.ok_or_else(|| {
        fail(TN_ERR_RANGE, format_args!("element {start} from {data:p} on wraps around the address space"))
    })?;
    Ok((layout, first))
}
