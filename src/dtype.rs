//! The 15 element types of Tenure, in DLPack's encoding.
//!
//! Contract: pure. A [`Dtype`] is always one of the constants TN_BOOL .. TN_C128, so code that has one need not check
//! it.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;

/// A known element type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Dtype(tn_dtype);

impl Dtype {
    /// One byte, 0 or 1.
    pub const BOOL: Dtype = Dtype(TN_BOOL);
    /// Unsigned bytes, also the element type of raw memory.
    pub const U8: Dtype = Dtype(TN_U8);
    /// IEEE double precision.
    pub const F64: Dtype = Dtype(TN_F64);

    /// All types, in the order of the header.
    pub const ALL: [Dtype; 15] = [
        Dtype(TN_BOOL),
        Dtype(TN_I8),
        Dtype(TN_I16),
        Dtype(TN_I32),
        Dtype(TN_I64),
        Dtype(TN_U8),
        Dtype(TN_U16),
        Dtype(TN_U32),
        Dtype(TN_U64),
        Dtype(TN_F16),
        Dtype(TN_F32),
        Dtype(TN_F64),
        Dtype(TN_BF16),
        Dtype(TN_C64),
        Dtype(TN_C128),
    ];

    /// The type with these bits, if there is one. For constants.
    #[inline]
    pub const fn known(raw: tn_dtype) -> Option<Dtype> {
        match raw {
            TN_BOOL | TN_I8 | TN_I16 | TN_I32 | TN_I64 | TN_U8 | TN_U16 | TN_U32 | TN_U64 | TN_F16 | TN_F32
            | TN_F64 | TN_BF16 | TN_C64 | TN_C128 => Some(Dtype(raw)),
            _ => None,
        }
    }

    /// The type with the bits that a caller passed. TN_ERR_DTYPE: there is none.
    #[inline]
    pub fn of(raw: tn_dtype) -> Result<Dtype> {
        match Dtype::known(raw) {
            Some(dtype) => Ok(dtype),
            None => Err(unknown(raw)),
        }
    }

    /// The bits of the C type.
    #[inline]
    pub const fn raw(self) -> tn_dtype {
        self.0
    }

    /// Bytes of an element.
    #[inline]
    pub const fn item(self) -> i64 {
        ((self.0 >> 11) & 0x1f) as i64 // the byte at bit 8 is the number of bits
    }

    /// Alignment of an element in bytes, a power of two: the size of the element, or of one component of a complex one.
    #[inline]
    pub const fn align(self) -> i64 {
        if self.0 & 0xff == TN_CODE_COMPLEX { self.item() / 2 } else { self.item() }
    }

    /// NumPy's name of the type; "bfloat16", which NumPy does not have.
    pub const fn name(self) -> &'static str {
        match self.0 {
            TN_BOOL => "bool",
            TN_I8 => "int8",
            TN_I16 => "int16",
            TN_I32 => "int32",
            TN_I64 => "int64",
            TN_U8 => "uint8",
            TN_U16 => "uint16",
            TN_U32 => "uint32",
            TN_U64 => "uint64",
            TN_F16 => "float16",
            TN_F32 => "float32",
            TN_F64 => "float64",
            TN_BF16 => "bfloat16",
            TN_C64 => "complex64",
            _ => "complex128",
        }
    }
}

#[cold]
fn unknown(raw: tn_dtype) -> crate::error::Status {
    let (code, bits, lanes) = (raw & 0xff, (raw >> 8) & 0xff, raw >> 16);
    if lanes != 1 && Dtype::known((raw & 0xffff) | (1 << 16)).is_some() {
        return fail(
            TN_ERR_DTYPE,
            format_args!("element type {raw:#010x} has {lanes} lanes; use 1 lane and an axis for the vector"),
        );
    }
    fail(
        TN_ERR_DTYPE,
        format_args!(
            "element type {raw:#010x} (code {code}, {bits} bits, {lanes} lanes) is not known; use TN_BOOL .. TN_C128"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_has_its_size_alignment_and_name() {
        let rows = [
            (TN_BOOL, 1, 1, "bool"),
            (TN_I8, 1, 1, "int8"),
            (TN_I16, 2, 2, "int16"),
            (TN_I32, 4, 4, "int32"),
            (TN_I64, 8, 8, "int64"),
            (TN_U8, 1, 1, "uint8"),
            (TN_U16, 2, 2, "uint16"),
            (TN_U32, 4, 4, "uint32"),
            (TN_U64, 8, 8, "uint64"),
            (TN_F16, 2, 2, "float16"),
            (TN_F32, 4, 4, "float32"),
            (TN_F64, 8, 8, "float64"),
            (TN_BF16, 2, 2, "bfloat16"),
            (TN_C64, 8, 4, "complex64"),
            (TN_C128, 16, 8, "complex128"),
        ];
        for ((raw, item, align, name), of_all) in rows.into_iter().zip(Dtype::ALL) {
            let dtype = Dtype::of(raw).unwrap();
            assert_eq!((dtype.raw(), dtype.item(), dtype.align(), dtype.name()), (raw, item, align, name));
            assert_eq!(dtype, of_all);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        // No type at all, lanes 0 and 2, 4 bits, a code that DLPack has and we lack, bool of 16 bits, bfloat of 32.
        let wrong =
            [0, TN_F64 & 0xffff, TN_F32 + (1 << 16), 0x0001_0400, 0x0001_0803, 0x0001_1006, 0x0001_2004, u32::MAX];
        for raw in wrong {
            assert_eq!(Dtype::of(raw).unwrap_err().code(), TN_ERR_DTYPE, "{raw:#x}");
        }
        let known = (0..1 << 17).filter(|&raw| Dtype::known(raw).is_some()).count();
        assert_eq!(known, 15);
    }
}
