//! The descriptor of an array for another process: plain data without pointers, at most [`MOST_BYTES`] bytes.
//!
//! Contract: the format is that of this machine, and has a version. A descriptor may come from anybody, so each field
//! is checked, and parsing reads nothing but the bytes that were passed. What the file of the bytes must be is checked
//! by `super`.
#![forbid(unsafe_code)]

use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::layout::{Layout, check_ndim};
use crate::names::{NAME_BYTES, Name};
use crate::sys::process::Process;
use crate::types::*;

/// No descriptor is larger.
pub const MOST_BYTES: usize = TN_IPC_DESCRIPTOR_BYTES;

pub(super) const MAGIC: [u8; 4] = *b"TNIP";
const VERSION: u32 = 1;
/// Bytes of the host, in a file in memory.
const HOST_FILE: u32 = 1;
/// Flag: importers may write.
pub(super) const WRITABLE: u32 = 1 << 0;
/// Flag: one importer takes the array.
const OFFERED: u32 = 1 << 1;

/// The fields before shape and strides, each a number of 8 bytes, but for magic and name.
const HEADER_BYTES: usize = 8 * 12 + NAME_BYTES + 1;

/// What importers may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shared {
    /// All may read.
    ReadOnly,
    /// All may read and write.
    Writable,
    /// One takes the array, while the word behind its memory has this value.
    Offered(u64),
}

/// What a descriptor says.
#[derive(Debug)]
pub struct Descriptor {
    /// The elements. The offset counts from the first byte of the file.
    pub layout: Layout,
    /// The size of the file.
    pub file_bytes: u64,
    /// Whether importers may write.
    pub writable: bool,
    /// Of an array that is offered: the value of the word behind its memory while it is.
    pub offer: Option<u64>,
    /// The process that exported the array.
    pub process: Process,
    /// The name of the array.
    pub name: Name,
}

/// Writes numbers one behind the other.
pub(super) struct Writer<'a> {
    pub to: &'a mut [u8],
    pub at: usize,
}

impl Writer<'_> {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.to[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_ne_bytes());
    }
}

/// Reads numbers one behind the other; 0 behind the end.
pub(super) struct Reader<'a> {
    pub from: &'a [u8],
    pub at: usize,
}

impl Reader<'_> {
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(found) = self.from.get(self.at..self.at + N) {
            bytes.copy_from_slice(found);
        }
        self.at += N;
        bytes
    }

    pub fn number(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes())
    }
}

#[cold]
pub(super) fn invalid(what: core::fmt::Arguments<'_>) -> Status {
    fail(TN_ERR_INVALID, format_args!("the descriptor is none of tn_array_export_ipc, or was damaged: {what}"))
}

/// The size of the descriptor of an array with so many axes.
pub fn bytes_for(ndim: usize) -> usize {
    HEADER_BYTES + 16 * ndim
}

impl Descriptor {
    /// Writes the descriptor of elements in a file whose first byte is at the address `base`; `to` has at least
    /// [`bytes_for`] bytes. Returns how many it wrote. Allocates nothing.
    pub fn write(
        to: &mut [u8],
        layout: &Layout,
        base: i64,
        file_bytes: u64,
        access: Shared,
        process: Process,
        name: Name,
    ) -> usize {
        let total = bytes_for(layout.ndim());
        let mut text = [0; NAME_BYTES + 1];
        text[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
        let mut out = Writer { to, at: 0 };
        out.bytes(&MAGIC);
        out.bytes(&VERSION.to_ne_bytes());
        let (flags, offer) = match access {
            Shared::ReadOnly => (0, 0),
            Shared::Writable => (WRITABLE, 0),
            Shared::Offered(offer) => (WRITABLE | OFFERED, offer),
        };
        for number in [total as u64, HOST_FILE.into(), flags.into(), layout.dtype().raw().into(), layout.ndim() as u64]
        {
            out.number(number);
        }
        out.number((layout.offset() - base) as u64);
        out.number(file_bytes);
        out.number(process.id.into());
        out.number(process.started);
        out.number(process.namespace);
        out.number(offer);
        out.bytes(&text);
        for number in layout.shape().iter().chain(layout.strides()) {
            out.number(*number as u64);
        }
        debug_assert_eq!(out.at, total);
        total
    }

    /// Reads and checks a descriptor. TN_ERR_INVALID, TN_ERR_UNSUPPORTED, TN_ERR_SHAPE, TN_ERR_DTYPE, TN_ERR_OVERFLOW,
    /// TN_ERR_RANGE, TN_ERR_NO_HOST_MEMORY.
    pub fn read(bytes: &[u8]) -> Result<Descriptor> {
        let mut from = Reader { from: bytes, at: 0 };
        if bytes.len() < HEADER_BYTES || bytes.len() > MOST_BYTES || from.bytes() != MAGIC {
            return Err(invalid(format_args!("it has {} bytes, or does not begin with \"TNIP\"", bytes.len())));
        }
        let version = u32::from_ne_bytes(from.bytes());
        if version != VERSION {
            let text = format_args!("the descriptor has version {version}; this library knows version {VERSION}");
            return Err(fail(TN_ERR_UNSUPPORTED, text));
        }
        let (total, kind, flags, dtype, ndim) =
            (from.number(), from.number(), from.number(), from.number(), from.number() as i64);
        if total != bytes.len() as u64 {
            return Err(invalid(format_args!("it says that it has {total} bytes, and has {}", bytes.len())));
        }
        if kind != HOST_FILE.into() || flags & !u64::from(WRITABLE | OFFERED) != 0 {
            let text =
                format_args!("the descriptor has kind {kind} and flags {flags:#x}, which this library does not know");
            return Err(fail(TN_ERR_UNSUPPORTED, text));
        }
        let dtype = Dtype::of(u32::try_from(dtype).unwrap_or(u32::MAX))?;
        let ndim = check_ndim(ndim.clamp(i32::MIN.into(), i32::MAX.into()) as i32)?;
        if bytes_for(ndim) != bytes.len() {
            return Err(invalid(format_args!(
                "it has {} bytes, and {ndim} axes need {}",
                bytes.len(),
                bytes_for(ndim)
            )));
        }
        let (offset, file_bytes) = (from.number() as i64, from.number());
        let process = Process { id: from.number() as u32, started: from.number(), namespace: from.number() };
        let offer = from.number();
        let name: [u8; NAME_BYTES + 1] = from.bytes();
        let mut dims = [0; 2 * TN_MAX_NDIM];
        let dims = &mut dims[..2 * ndim];
        dims.fill_with(|| from.number() as i64);
        let (shape, strides) = dims.split_at(ndim);
        let layout = Layout::strided(dtype, shape, strides, offset)?;
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        let name = core::str::from_utf8(&name[..length]).map_or(Name::NONE, Name::of_sender);
        let has = |flag: u32| flags & u64::from(flag) != 0;
        let offer = has(OFFERED).then_some(offer);
        Ok(Descriptor { layout, file_bytes, writable: has(WRITABLE), offer, process, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: Process = Process { id: 7, started: 9, namespace: 11 };

    /// Writes the descriptor of an array of ones at byte 4096 of its file.
    fn write(to: &mut [u8], ndim: usize) -> usize {
        let dtype = Dtype::of(TN_F64).unwrap();
        let layout = Layout::strided(dtype, &vec![1; ndim], &vec![-8; ndim], 5096).unwrap();
        Descriptor::write(to, &layout, 1000, 8192, Shared::Offered(5), PROCESS, Name::head("a name"))
    }

    #[test]
    fn reads_what_it_wrote() {
        for ndim in [0, 1, 3, 64] {
            let mut bytes = [0xff; MOST_BYTES];
            let total = write(&mut bytes, ndim);
            let read = Descriptor::read(&bytes[..total]).unwrap();
            assert_eq!((read.layout.ndim(), read.layout.offset(), read.file_bytes), (ndim, 4096, 8192));
            assert_eq!(read.layout.strides(), vec![-8; ndim]);
            assert_eq!((read.writable, read.offer), (true, Some(5)));
            assert_eq!((read.process, read.name.as_str()), (PROCESS, "a name"));
            for length in 0..total {
                assert_eq!(Descriptor::read(&bytes[..length]).unwrap_err().code(), TN_ERR_INVALID, "{length}");
            }
            assert_eq!(Descriptor::read(&bytes).unwrap_err().code(), TN_ERR_INVALID);
        }
    }

    #[test]
    fn each_field_is_checked() {
        let mut bytes = [0; MOST_BYTES];
        let total = write(&mut bytes, 2);
        let with = |at: usize, value: u64| {
            let mut changed = bytes;
            changed[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            Descriptor::read(&changed[..total]).map_or_else(|status| status.code(), |_| TN_OK)
        };
        assert_eq!(with(0, 0), TN_ERR_INVALID);
        assert_eq!(with(0, u64::from_ne_bytes(*b"TNIP\x02\0\0\0")), TN_ERR_UNSUPPORTED);
        assert_eq!(with(8, total as u64 - 1), TN_ERR_INVALID);
        assert_eq!(with(16, 2), TN_ERR_UNSUPPORTED);
        assert_eq!(with(24, 4), TN_ERR_UNSUPPORTED);
        for dtype in [0, u64::MAX, 1 << 32 | u64::from(TN_F64)] {
            assert_eq!(with(32, dtype), TN_ERR_DTYPE);
        }
        assert_eq!(with(40, u64::MAX), TN_ERR_SHAPE);
        assert_eq!(with(40, 65), TN_ERR_OVERFLOW);
        assert_eq!(with(40, 1), TN_ERR_INVALID);
        assert_eq!(with(HEADER_BYTES, u64::MAX), TN_ERR_SHAPE);
        assert_eq!(with(HEADER_BYTES, 1 << 62), TN_ERR_OVERFLOW);
    }
}
