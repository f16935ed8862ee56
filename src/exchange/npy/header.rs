//! Headers: element type, byte order, element order, shape, and the offset of the data.
//!
//! Contract: reads bytes that are in memory already. Every file's header is checked here before its data are mapped or
//! read.
#![forbid(unsafe_code)]

use super::MAGIC;
use super::dict::{self, Dict};
use super::error::Fault;
use crate::arith;
use crate::dtype::Dtype;
use crate::error::{self, fail};
use crate::layout::{Layout, Order};
use crate::types::*;

/// The size of the longer form of magic, version and header length.
pub(super) const PREAMBLE_BYTES: usize = 12;

/// A valid header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The element type.
    pub dtype: Dtype,
    /// Whether the components are big-endian. False for types of one byte.
    pub big_endian: bool,
    /// C or F.
    pub order: Order,
    /// The offset of the data in the file.
    pub data_offset: u64,
    /// The size of the data, at most i64::MAX.
    pub data_bytes: u64,
    ndim: usize,
    lengths: [i64; TN_MAX_NDIM],
}

impl Header {
    /// The lengths of the axes.
    pub fn shape(&self) -> &[i64] {
        &self.lengths[..self.ndim]
    }

    /// The layout of the data if their first byte is at `address`.
    pub fn layout(&self, address: i64) -> error::Result<Layout> {
        Layout::contiguous(self.dtype, self.shape(), self.order, address)
    }
}

/// Parses the header in a file's first bytes. They must reach at least to its end.
///
/// TN_ERR_DTYPE: an element type that Tenure lacks. TN_ERR_LIMIT: more than 32 nested brackets. TN_ERR_OVERFLOW: more
/// than 64 axes, or a size beyond 63 bits. TN_ERR_IO: any other fault.
pub fn parse(bytes: &[u8]) -> error::Result<Header> {
    read(bytes).map_err(|fault| fail(fault.status(), format_args!("the file {fault}")))
}

/// Begin and end of the header's text in the file.
pub(super) fn span(bytes: &[u8]) -> Result<(usize, u64), Fault<'static>> {
    let Some((magic, rest)) = bytes.split_first_chunk() else { return Err(Fault::Short { bytes: bytes.len() as u64 }) };
    if *magic != MAGIC {
        return Err(Fault::Magic);
    }
    match *rest {
        [1, 0, a, b, ..] => Ok((10, 10 + u64::from(u16::from_le_bytes([a, b])))),
        [2 | 3, 0, a, b, c, d, ..] => Ok((12, 12 + u64::from(u32::from_le_bytes([a, b, c, d])))),
        [1..=3, 0, ..] | [] | [_] => Err(Fault::Short { bytes: bytes.len() as u64 }),
        [major, minor, ..] => Err(Fault::Version { major, minor }),
    }
}

/// As [`parse`], but returns the fault itself.
pub(super) fn read(bytes: &[u8]) -> Result<Header, Fault<'_>> {
    let (start, end) = span(bytes)?;
    let whole = usize::try_from(end).ok().and_then(|end| bytes.get(start..end));
    let text = whole.ok_or(Fault::Past { header: end, bytes: bytes.len() as u64 })?;
    if bytes[MAGIC.len()] == 3
        && let Err(error) = core::str::from_utf8(text)
    {
        return Err(Fault::Encoding { at: error.valid_up_to() });
    }
    interpret(&dict::read(text)?, end)
}

/// Makes the header of a dictionary. A fault of the type is reported before a fault of the sizes.
fn interpret<'a>(dict: &Dict<'a>, data_offset: u64) -> Result<Header, Fault<'a>> {
    let descr = dict.descr.ok_or(Fault::Structured)?;
    let (dtype, big_endian) = element(descr).ok_or(Fault::Type { descr })?;
    let shape = &dict.shape;
    let Some(lengths) = shape.lengths.get(..shape.ndim) else { return Err(Fault::Axes { ndim: shape.ndim }) };
    let dense = if shape.overflow { None } else { arith::dense_bytes(dtype.item(), lengths) }.ok_or(Fault::Size)?;
    // `dense_bytes` counts a length of 0 as 1, so that the product of the others is checked. The data are then empty.
    let data_bytes = if lengths.contains(&0) { 0 } else { dense as u64 };
    let order = if dict.fortran_order { Order::F } else { Order::C };
    Ok(Header { dtype, big_endian, order, data_offset, data_bytes, ndim: shape.ndim, lengths: shape.lengths })
}

/// The element type of a descr, and whether it is big-endian. None: Tenure lacks the type.
///
/// Besides the names that NumPy writes, its letters and its long names are accepted, as NumPy's own reader does. As in
/// NumPy, `=`, `|` and no sign stand for native byte order; the long names have no sign.
fn element(descr: &[u8]) -> Option<(Dtype, bool)> {
    let (swapped, name) = match descr {
        [b'>', name @ ..] => (true, name),
        [b'<' | b'=' | b'|', name @ ..] => (false, name),
        name => (false, name),
    };
    let short = || NAMES.into_iter().find(|(known, _)| known.as_bytes() == name).map(|(_, raw)| raw);
    let letter = || LETTERS.into_iter().find(|(known, _)| [*known] == *name).map(|(_, raw)| raw);
    let long = || LONG_NAMES.into_iter().find(|(known, _)| known.as_bytes() == descr).map(|(_, raw)| raw);
    let dtype = Dtype::known(short().or_else(letter).or_else(long)?)?;
    Some((dtype, swapped && dtype.item() > 1))
}

/// NumPy's names of the element types, without the sign of the byte order. NumPy has no name for bfloat16.
pub const NAMES: [(&str, tn_dtype); 14] = [
    ("b1", TN_BOOL),
    ("i1", TN_I8),
    ("i2", TN_I16),
    ("i4", TN_I32),
    ("i8", TN_I64),
    ("u1", TN_U8),
    ("u2", TN_U16),
    ("u4", TN_U32),
    ("u8", TN_U64),
    ("f2", TN_F16),
    ("f4", TN_F32),
    ("f8", TN_F64),
    ("c8", TN_C64),
    ("c16", TN_C128),
];

/// NumPy's letters of the element types on 64-bit Linux.
const LETTERS: [(u8, tn_dtype); 18] = [
    (b'?', TN_BOOL),
    (b'b', TN_I8),
    (b'h', TN_I16),
    (b'i', TN_I32),
    (b'l', TN_I64),
    (b'q', TN_I64),
    (b'p', TN_I64),
    (b'B', TN_U8),
    (b'H', TN_U16),
    (b'I', TN_U32),
    (b'L', TN_U64),
    (b'Q', TN_U64),
    (b'P', TN_U64),
    (b'e', TN_F16),
    (b'f', TN_F32),
    (b'd', TN_F64),
    (b'F', TN_C64),
    (b'D', TN_C128),
];

/// NumPy's names of the element types as attributes of its module.
const LONG_NAMES: [(&str, tn_dtype); 14] = [
    ("bool", TN_BOOL),
    ("int8", TN_I8),
    ("int16", TN_I16),
    ("int32", TN_I32),
    ("int64", TN_I64),
    ("uint8", TN_U8),
    ("uint16", TN_U16),
    ("uint32", TN_U32),
    ("uint64", TN_U64),
    ("float16", TN_F16),
    ("float32", TN_F32),
    ("float64", TN_F64),
    ("complex64", TN_C64),
    ("complex128", TN_C128),
];

/// NumPy's name of a type, without the sign. None: the type is bfloat16.
pub fn name(dtype: Dtype) -> Option<&'static str> {
    NAMES.into_iter().find(|(_, raw)| *raw == dtype.raw()).map(|(name, _)| name)
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
