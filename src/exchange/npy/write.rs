//! Writes headers that are byte for byte those of NumPy.
//!
//! Contract: a header is written into a buffer of fixed size, and needs no other memory. The format version is always
//! 1.0. Even a header of 64 axes with 19 digits each is far below the 64 KiB that require version 2.0.
#![forbid(unsafe_code)]

use super::MAGIC;
use super::header::name;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::layout::Order;
use crate::types::*;
use core::fmt::{self, Write};

/// The data begin at a multiple of this size.
const ALIGNMENT_BYTES: usize = 64;

/// NumPy pads the header so that the first axis (F: the last) can grow to this number of digits. So data can be
/// appended to a file.
const GROWTH_DIGITS: usize = 21;

/// The size of magic, version and header length.
const PREFIX_BYTES: usize = MAGIC.len() + 4;

/// Enough for the longest header: keys and type, 64 lengths of 19 digits with comma and space, growth, padding.
const MAX_HEADER_BYTES: usize = 2048;
const _: () = assert!(PREFIX_BYTES + 70 + TN_MAX_NDIM * 21 + GROWTH_DIGITS + ALIGNMENT_BYTES + 1 < MAX_HEADER_BYTES);

/// The bytes of a file up to its data: magic, version, and header.
pub struct Head {
    bytes: [u8; MAX_HEADER_BYTES],
    length: usize,
}

impl Head {
    /// The header of data in `order`, C or F. TN_ERR_DTYPE: the type is bfloat16, for which the format has no name.
    /// TN_ERR_OVERFLOW: more than 64 axes.
    pub fn new(dtype: Dtype, order: Order, shape: &[i64]) -> Result<Head> {
        let Some(name) = name(dtype) else {
            return Err(fail(
                TN_ERR_DTYPE,
                format_args!(
                    "the .npy format has no name for {}; save it as uint16 by tn_array_view_dtype",
                    dtype.name()
                ),
            ));
        };
        if shape.len() > TN_MAX_NDIM {
            return Err(fail(TN_ERR_OVERFLOW, format_args!("{} axes are more than {TN_MAX_NDIM}", shape.len())));
        }
        let mut head = Head { bytes: [b' '; MAX_HEADER_BYTES], length: PREFIX_BYTES };
        // Cannot fail: the assertion above shows that the longest header fits.
        let _ = head.print(name, dtype, order, shape);
        // NumPy pads with 1 to 64 spaces, never with none.
        let text = head.length - PREFIX_BYTES + 1;
        let length = text + ALIGNMENT_BYTES - (PREFIX_BYTES + text) % ALIGNMENT_BYTES;
        head.length = PREFIX_BYTES + length;
        head.bytes[head.length - 1] = b'\n';
        head.bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        head.bytes[MAGIC.len()..PREFIX_BYTES - 2].copy_from_slice(&[1, 0]);
        head.bytes[PREFIX_BYTES - 2..PREFIX_BYTES].copy_from_slice(&(length as u16).to_le_bytes());
        Ok(head)
    }

    fn print(&mut self, name: &str, dtype: Dtype, order: Order, shape: &[i64]) -> fmt::Result {
        let sign = if dtype.item() == 1 { '|' } else { '<' };
        let fortran = order == Order::F;
        write!(
            self,
            "{{'descr': '{sign}{name}', 'fortran_order': {}, 'shape': (",
            if fortran { "True" } else { "False" }
        )?;
        for (axis, length) in shape.iter().enumerate() {
            write!(self, "{}{length}", if axis > 0 { ", " } else { "" })?;
        }
        write!(self, "{}), }}", if shape.len() == 1 { "," } else { "" })?;
        if let Some(&grows) = if fortran { shape.last() } else { shape.first() } {
            let digits = 1 + grows.checked_ilog10().unwrap_or(0) as usize;
            // The buffer was filled with spaces.
            self.length += GROWTH_DIGITS - digits;
        }
        Ok(())
    }

    /// The bytes, a multiple of 64.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::npy::parse;

    fn text(raw: tn_dtype, order: Order, shape: &[i64]) -> String {
        let head = Head::new(Dtype::of(raw).unwrap(), order, shape).unwrap();
        String::from_utf8_lossy(&head.as_bytes()[PREFIX_BYTES..]).into_owned()
    }

    #[test]
    fn np_1_headers_are_those_of_numpy() {
        let spaces = |n: usize| " ".repeat(n);
        // Lengths counted in files of NumPy 2.4.
        let rows: [(tn_dtype, Order, &[i64], &str, usize); 6] = [
            (TN_F64, Order::C, &[], "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 62),
            (TN_F64, Order::C, &[3], "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 60),
            (TN_F64, Order::C, &[3, 4], "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }", 58),
            (TN_F64, Order::F, &[3, 4], "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 4), }", 59),
            (TN_BOOL, Order::C, &[0], "{'descr': '|b1', 'fortran_order': False, 'shape': (0,), }", 60),
            (
                TN_C128,
                Order::C,
                &[1 << 40],
                "{'descr': '<c16', 'fortran_order': False, 'shape': (1099511627776,), }",
                47,
            ),
        ];
        for (raw, order, shape, start, padding) in rows {
            assert_eq!(text(raw, order, shape), format!("{start}{}\n", spaces(padding)));
        }
        // 32 axes of length 1 need another 64 bytes.
        assert_eq!(text(TN_F64, Order::C, &[1; 32]).len(), 192 - PREFIX_BYTES);
    }

    #[test]
    fn what_is_written_is_read() {
        let shapes: [&[i64]; 6] = [&[], &[0], &[7], &[2, 3], &[5, 0, 9], &[1; 64]];
        for dtype in Dtype::ALL.into_iter().filter(|dtype| dtype.raw() != TN_BF16) {
            for order in [Order::C, Order::F] {
                for shape in shapes {
                    let head = Head::new(dtype, order, shape).unwrap();
                    assert_eq!(head.as_bytes().len() % ALIGNMENT_BYTES, 0);
                    let header = parse(head.as_bytes()).unwrap();
                    assert_eq!((header.dtype, header.order, header.shape()), (dtype, order, shape));
                    assert_eq!((header.big_endian, header.data_offset), (false, head.as_bytes().len() as u64));
                }
            }
        }
    }

    #[test]
    fn the_longest_header_fits() {
        let head = Head::new(Dtype::of(TN_C128).unwrap(), Order::F, &[i64::MAX; 64]).unwrap();
        assert!(head.as_bytes().ends_with(b" \n"));
        assert_eq!(parse(head.as_bytes()).unwrap_err().code(), TN_ERR_OVERFLOW);
    }

    #[test]
    fn io_10_bfloat16_has_no_name() {
        assert_eq!(Head::new(Dtype::of(TN_BF16).unwrap(), Order::C, &[]).err().map(|s| s.code()), Some(TN_ERR_DTYPE));
        assert_eq!(
            Head::new(Dtype::of(TN_U8).unwrap(), Order::C, &[1; 65]).err().map(|s| s.code()),
            Some(TN_ERR_OVERFLOW)
        );
    }
}
