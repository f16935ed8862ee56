//! The descriptor of an array on a GPU for another process. It begins as that of the host does, and differs in its
//! kind.
//!
//! Contract: that of `descriptor`. The driver's handles are bytes that only the driver can check. What they lead to,
//! and the file that comes with the descriptor, is checked by `device`.
#![forbid(unsafe_code)]

use super::descriptor::{MAGIC, MOST_BYTES, Reader, WRITABLE, Writer, invalid};
use crate::device::Entry;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::gpu::ipc::Handle;
use crate::layout::{Layout, check_ndim};
use crate::names::{NAME_BYTES, Name};
use crate::types::*;

/// The version of this form; that of the host has its own.
const VERSION: u32 = 1;
/// Bytes of a GPU, in an allocation of the driver.
const DEVICE_ALLOCATION: u64 = 2;
/// Where the kind stands.
const KIND_AT: usize = 16;

/// The fields before shape and strides, each a number of 8 bytes, but for magic, UUID, handles and name.
const HEADER_BYTES: usize = 8 * 11 + 16 + 2 * size_of::<Handle>() + NAME_BYTES + 1;

const _: () = assert!(HEADER_BYTES + 16 * TN_MAX_NDIM <= MOST_BYTES);

/// What a descriptor says.
pub struct DeviceDescriptor {
    /// The elements. The offset counts from the first byte of the allocation.
    pub layout: Layout,
    /// The size of the allocation.
    pub bytes: u64,
    /// Whether importers may write.
    pub writable: bool,
    /// The number of the process that exported the array, as it sees itself.
    pub process: u32,
    /// The allocation in the file of the exporting process.
    pub entry: Entry,
    /// The number of the GPU.
    pub uuid: [u8; 16],
    /// The driver's handle of the allocation.
    pub memory: Handle,
    /// The driver's handle of the event after which the bytes are valid.
    pub event: Handle,
    /// The name of the array.
    pub name: Name,
}

/// The size of the descriptor of an array with so many axes.
pub fn bytes_for(ndim: usize) -> usize {
    HEADER_BYTES + 16 * ndim
}

/// Whether a descriptor is of this kind.
pub fn is_one(bytes: &[u8]) -> bool {
    let kind = bytes.get(KIND_AT..KIND_AT + 8);
    bytes.starts_with(&MAGIC) && kind == Some(&DEVICE_ALLOCATION.to_ne_bytes()[..])
}

impl DeviceDescriptor {
    /// Writes the descriptor of elements in an allocation whose first byte is at the address `base`; `to` has at least
    /// [`bytes_for`] bytes. Returns how many it wrote. Allocates nothing.
    pub fn write(&self, base: i64, to: &mut [u8]) -> usize {
        let total = bytes_for(self.layout.ndim());
        let mut text = [0; NAME_BYTES + 1];
        text[..self.name.as_str().len()].copy_from_slice(self.name.as_str().as_bytes());
        let mut out = Writer { to, at: 0 };
        out.bytes(&MAGIC);
        out.bytes(&VERSION.to_ne_bytes());
        let flags = if self.writable { WRITABLE.into() } else { 0 };
        let dtype = self.layout.dtype().raw().into();
        for number in [total as u64, DEVICE_ALLOCATION, flags, dtype, self.layout.ndim() as u64] {
            out.number(number);
        }
        out.number((self.layout.offset() - base) as u64);
        out.number(self.bytes);
        out.number(self.process.into());
        out.number(self.entry.place.into());
        out.number(self.entry.serial);
        out.bytes(&self.uuid);
        out.bytes(&self.memory);
        out.bytes(&self.event);
        out.bytes(&text);
        for number in self.layout.shape().iter().chain(self.layout.strides()) {
            out.number(*number as u64);
        }
        debug_assert_eq!(out.at, total);
        total
    }

    /// Reads and checks a descriptor for which [`is_one`]. TN_ERR_INVALID, TN_ERR_UNSUPPORTED, TN_ERR_SHAPE,
    /// TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_RANGE, TN_ERR_NO_HOST_MEMORY.
    pub fn read(bytes: &[u8]) -> Result<DeviceDescriptor> {
        let mut from = Reader { from: bytes, at: MAGIC.len() };
        if bytes.len() < HEADER_BYTES || bytes.len() > MOST_BYTES {
            return Err(invalid(format_args!("it has {} bytes", bytes.len())));
        }
        let version = u32::from_ne_bytes(from.bytes());
        if version != VERSION {
            let text =
                format_args!("the descriptor of an array on a GPU has version {version}; this library knows {VERSION}");
            return Err(fail(TN_ERR_UNSUPPORTED, text));
        }
        let (total, _kind, flags, dtype, ndim) =
            (from.number(), from.number(), from.number(), from.number(), from.number() as i64);
        if total != bytes.len() as u64 {
            return Err(invalid(format_args!("it says that it has {total} bytes, and has {}", bytes.len())));
        }
        if flags & !u64::from(WRITABLE) != 0 {
            let text = format_args!("the descriptor has flags {flags:#x}, which this library does not know");
            return Err(fail(TN_ERR_UNSUPPORTED, text));
        }
        let dtype = Dtype::of(u32::try_from(dtype).unwrap_or(u32::MAX))?;
        let ndim = check_ndim(ndim.clamp(i32::MIN.into(), i32::MAX.into()) as i32)?;
        if bytes_for(ndim) != bytes.len() {
            let (has, needs) = (bytes.len(), bytes_for(ndim));
            return Err(invalid(format_args!("it has {has} bytes, and {ndim} axes need {needs}")));
        }
        let (offset, allocation) = (from.number() as i64, from.number());
        let (process, place, serial) = (from.number() as u32, from.number(), from.number());
        let entry = Entry { place: u32::try_from(place).unwrap_or(u32::MAX), serial };
        let (uuid, memory, event) = (from.bytes(), from.bytes(), from.bytes());
        let name: [u8; NAME_BYTES + 1] = from.bytes();
        let mut dims = [0; 2 * TN_MAX_NDIM];
        let dims = &mut dims[..2 * ndim];
        dims.fill_with(|| from.number() as i64);
        let (shape, strides) = dims.split_at(ndim);
        let layout = Layout::strided(dtype, shape, strides, offset)?;
        let (first, end) = layout.extent().unwrap_or((0, 0));
        if first < 0 || u64::try_from(end).is_ok_and(|end| end > allocation) {
            let text = format_args!("the array has bytes {first} to {end}, and its memory has {allocation}");
            return Err(fail(TN_ERR_RANGE, text));
        }
        if !layout.is_aligned() {
            let (offset, align) = (layout.offset(), layout.dtype().align());
            let text = format_args!(
                "offset {offset} or the strides are not multiples of {align} bytes, the alignment of the elements"
            );
            return Err(fail(TN_ERR_LAYOUT, text));
        }
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        let name = core::str::from_utf8(&name[..length]).map_or(Name::NONE, Name::of_sender);
        let writable = flags & u64::from(WRITABLE) != 0;
        Ok(DeviceDescriptor { layout, bytes: allocation, writable, process, entry, uuid, memory, event, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the descriptor of an array of ones at byte 4096 of its allocation.
    fn write(to: &mut [u8], ndim: usize) -> usize {
        let layout = Layout::strided(Dtype::of(TN_F64).unwrap(), &vec![1; ndim], &vec![-8; ndim], 5096).unwrap();
        let descriptor = DeviceDescriptor {
            layout,
            bytes: 8192,
            writable: true,
            process: 7,
            entry: Entry { place: 5, serial: 9 },
            uuid: [1; 16],
            memory: [2; 64],
            event: [3; 64],
            name: Name::head("a name"),
        };
        descriptor.write(1000, to)
    }

    fn status(bytes: &[u8]) -> tn_status {
        DeviceDescriptor::read(bytes).map_or_else(|status| status.code(), |_| TN_OK)
    }

    #[test]
    fn reads_what_it_wrote() {
        for ndim in [0, 1, 3, 64] {
            let mut bytes = [0xff; MOST_BYTES];
            let total = write(&mut bytes, ndim);
            assert!(is_one(&bytes[..total]));
            let read = DeviceDescriptor::read(&bytes[..total]).unwrap();
            assert_eq!((read.layout.ndim(), read.layout.offset(), read.bytes), (ndim, 4096, 8192));
            assert_eq!(read.layout.strides(), vec![-8; ndim]);
            assert_eq!((read.writable, read.process, read.name.as_str()), (true, 7, "a name"));
            assert_eq!((read.entry, read.uuid), (Entry { place: 5, serial: 9 }, [1; 16]));
            assert_eq!((read.memory, read.event), ([2; 64], [3; 64]));
            for length in 0..total {
                assert_eq!(status(&bytes[..length]), TN_ERR_INVALID, "{length}");
            }
            assert_eq!(status(&bytes), TN_ERR_INVALID);
        }
    }

    #[test]
    fn each_field_is_checked() {
        let mut bytes = [0; MOST_BYTES];
        let total = write(&mut bytes, 2);
        let with = |at: usize, value: u64| {
            let mut changed = bytes;
            changed[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            status(&changed[..total])
        };
        assert_eq!(with(0, u64::from_ne_bytes(*b"TNIP\x02\0\0\0")), TN_ERR_UNSUPPORTED);
        assert_eq!(with(8, total as u64 - 1), TN_ERR_INVALID);
        assert_eq!(with(24, 2), TN_ERR_UNSUPPORTED);
        for dtype in [0, u64::MAX, 1 << 32 | u64::from(TN_F64)] {
            assert_eq!(with(32, dtype), TN_ERR_DTYPE);
        }
        assert_eq!(with(40, u64::MAX), TN_ERR_SHAPE);
        assert_eq!(with(40, 65), TN_ERR_OVERFLOW);
        assert_eq!(with(40, 1), TN_ERR_INVALID);
        for offset in [8185, u64::MAX, 1 << 62] {
            assert_eq!(with(48, offset), TN_ERR_RANGE, "{offset}");
        }
        assert_eq!(with(48, 4100), TN_ERR_LAYOUT);
        assert_eq!(with(56, 4103), TN_ERR_RANGE);
        assert_eq!(with(HEADER_BYTES, u64::MAX), TN_ERR_SHAPE);
        assert_eq!(with(HEADER_BYTES, 1 << 62), TN_ERR_OVERFLOW);
        let mut changed = bytes;
        changed[16] = 1;
        assert!(!is_one(&changed[..total]) && !is_one(&bytes[..23]) && !is_one(b"TNIP"));
    }
}
