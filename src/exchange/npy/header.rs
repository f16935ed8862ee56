//! What a header means: element type, byte order, element order, shape, where the data begin.
//!
//! Contract: reads bytes that are in memory already. Called for every file before anything is mapped or read.
#![forbid(unsafe_code)]

use super::MAGIC;
use super::dict::{self, Dict};
use super::error::Fault;
use crate::arith;
use crate::dtype::Dtype;
use crate::error::{self, fail};
use crate::layout::{Layout, Order};
use crate::types::*;

/// Bytes that say how long the header is, in the longer form.
pub(super) const PREAMBLE_BYTES: usize = 12;

/// A header that was understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Of each element.
    pub dtype: Dtype,
    /// The bytes of each component are swapped; never for types of one byte.
    pub big_endian: bool,
    /// C or F.
    pub order: Order,
    /// Where the data begin, in bytes from the start of the file.
    pub data_offset: u64,
    /// Length of the data, at most i64::MAX.
    pub data_bytes: u64,
    ndim: usize,
    lengths: [i64; TN_MAX_NDIM],
}

impl Header {
    /// The lengths of the axes.
    pub fn shape(&self) -> &[i64] {
        &self.lengths[..self.ndim]
    }

    /// The layout of the data where its first byte has the address `address`.
    pub fn layout(&self, address: i64) -> error::Result<Layout> {
        Layout::contiguous(self.dtype, self.shape(), self.order, address)
    }
}

/// Reads a file's first bytes, at least up to the end of its header.
///
/// TN_ERR_DTYPE: an element type that Tenure lacks. TN_ERR_LIMIT: more than 64 axes, a size beyond 63 bits, more than
/// 32 brackets in one another. TN_ERR_IO: anything else that is no header.
pub fn parse(bytes: &[u8]) -> error::Result<Header> {
    read(bytes).map_err(|fault| fail(fault.status(), format_args!("the file {fault}")))
}

/// Where the header's text stands in the file: from the first number to the second.
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

/// As [`parse`], with the fault itself.
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

/// Errors in the order in which they are reported: the type, then the sizes.
fn interpret<'a>(dict: &Dict<'a>, data_offset: u64) -> Result<Header, Fault<'a>> {
    let descr = dict.descr.ok_or(Fault::Structured)?;
    let (dtype, big_endian) = element(descr).ok_or(Fault::Type { descr })?;
    let shape = &dict.shape;
    let Some(lengths) = shape.lengths.get(..shape.ndim) else { return Err(Fault::Axes { ndim: shape.ndim }) };
    let dense = if shape.overflow { None } else { arith::dense_bytes(dtype.item(), lengths) }.ok_or(Fault::Size)?;
    // Zeros count as 1 in what must fit, and make the data empty.
    let data_bytes = if lengths.contains(&0) { 0 } else { dense as u64 };
    let order = if dict.fortran_order { Order::F } else { Order::C };
    Ok(Header { dtype, big_endian, order, data_offset, data_bytes, ndim: shape.ndim, lengths: shape.lengths })
}

/// The element type that a descr means, and whether its bytes are swapped; None if Tenure lacks it.
///
/// Like NumPy, takes no sign, `=` and `|` as the machine's own order.
fn element(descr: &[u8]) -> Option<(Dtype, bool)> {
    let (swapped, name) = match descr {
        [b'>', name @ ..] => (true, name),
        [b'<' | b'=' | b'|', name @ ..] => (false, name),
        name => (false, name),
    };
    let (_, raw) = NAMES.into_iter().find(|(known, _)| known.as_bytes() == name)?;
    let dtype = Dtype::known(raw)?;
    Some((dtype, swapped && dtype.item() > 1))
}

/// What NumPy calls our types, without the sign of the byte order; bfloat16 has no name there.
const NAMES: [(&str, tn_dtype); 14] = [
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

/// NumPy's name of a type, without the sign; None for bfloat16.
pub(super) fn name(dtype: Dtype) -> Option<&'static str> {
    NAMES.into_iter().find(|(_, raw)| *raw == dtype.raw()).map(|(name, _)| name)
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
