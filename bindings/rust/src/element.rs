//! Element types.

use crate::sys;
use std::fmt;
use std::str::{FromStr, ParseBoolError};

mod sealed {
    pub trait Sealed {}
}

/// A type of elements: the integers, `f32`, `f64`, [`Bool`], and with the features `half` and `complex` those of these
/// crates.
///
/// Every pattern of bits is a value of such a type, because foreign code writes the bytes. `bool` is none, hence
/// [`Bool`].
pub trait Element: sealed::Sealed + Copy + FromStr + Send + Sync + 'static {
    /// The library's number of the type.
    const DTYPE: sys::tn_dtype;
    /// 1, or true.
    const ONE: Self;
}

macro_rules! elements {
    ($($type:ty = $dtype:ident, $one:expr;)*) => {
        $(impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: sys::tn_dtype = sys::$dtype;
            const ONE: $type = $one;
        })*
    };
}

elements! {
    i8 = TN_I8, 1;
    i16 = TN_I16, 1;
    i32 = TN_I32, 1;
    i64 = TN_I64, 1;
    u8 = TN_U8, 1;
    u16 = TN_U16, 1;
    u32 = TN_U32, 1;
    u64 = TN_U64, 1;
    f32 = TN_F32, 1.0;
    f64 = TN_F64, 1.0;
    Bool = TN_BOOL, Bool(1);
}

#[cfg(feature = "half")]
elements! {
    half::f16 = TN_F16, half::f16::ONE;
    half::bf16 = TN_BF16, half::bf16::ONE;
}

#[cfg(feature = "complex")]
elements! {
    num_complex::Complex<f32> = TN_C64, num_complex::Complex::new(1.0, 0.0);
    num_complex::Complex<f64> = TN_C128, num_complex::Complex::new(1.0, 0.0);
}

/// A truth value of one byte. Bytes other than 0 count as true, which a `bool` must not have.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Bool(u8);

impl Bool {
    /// Whether the byte is not 0.
    pub fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    fn from(value: bool) -> Bool {
        Bool(value.into())
    }
}

impl From<Bool> for bool {
    fn from(value: Bool) -> bool {
        value.get()
    }
}

/// "true" or "1", "false" or "0".
impl FromStr for Bool {
    type Err = ParseBoolError;

    fn from_str(text: &str) -> std::result::Result<Bool, ParseBoolError> {
        match text {
            "0" => Ok(Bool(0)),
            "1" => Ok(Bool(1)),
            other => other.parse().map(bool::into),
        }
    }
}

impl PartialEq for Bool {
    fn eq(&self, other: &Bool) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Bool {}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

impl fmt::Display for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}
