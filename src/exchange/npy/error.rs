//! The faults of a file: their status, and a text that names the value.
//!
//! Contract: a fault borrows from the header's text, and allocates nothing. Its text follows the file's name, which the
//! caller writes.
#![forbid(unsafe_code)]

use crate::types::*;
use core::fmt::{self, Display, Formatter};

/// The deepest nesting of brackets that is accepted. Structured types of structured types need three or four.
pub(super) const MAX_DEPTH: usize = 32;

/// A fault of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault<'a> {
    /// The file ends before its header.
    Short {
        bytes: u64,
    },
    /// Not a `.npy` file.
    Magic,
    /// The format version is not 1.0, 2.0 or 3.0.
    Version {
        major: u8,
        minor: u8,
    },
    /// The header is longer than the caller allows.
    Long {
        header: u64,
        allowed: u64,
    },
    /// The header is longer than the file.
    Past {
        header: u64,
        bytes: u64,
    },
    /// A header of version 3.0 that is not UTF-8.
    Encoding {
        at: usize,
    },
    /// The header's text is not a dictionary of the three keys.
    Syntax {
        at: usize,
        wanted: &'static str,
    },
    /// An unknown key.
    Key {
        key: &'a [u8],
    },
    /// A key that occurs twice.
    Double {
        key: &'static str,
    },
    Missing {
        key: &'static str,
    },
    /// More than [`MAX_DEPTH`] nested brackets.
    Deep {
        at: usize,
    },
    /// A negative length.
    Negative {
        at: usize,
    },
    /// An element type that Tenure lacks.
    Type {
        descr: &'a [u8],
    },
    /// A structured type, or no type at all.
    Structured,
    /// More axes than 64.
    Axes {
        ndim: usize,
    },
    /// A size beyond 63 bits.
    Size,
    /// The data are shorter than the shape requires.
    Truncated {
        data: u64,
        wanted: u64,
    },
}

impl Fault<'_> {
    /// The status that reports the fault.
    pub fn status(&self) -> tn_status {
        match self {
            Fault::Type { .. } | Fault::Structured => TN_ERR_DTYPE,
            Fault::Long { .. } | Fault::Deep { .. } => TN_ERR_LIMIT,
            Fault::Axes { .. } | Fault::Size => TN_ERR_OVERFLOW,
            _ => TN_ERR_IO,
        }
    }
}

impl Display for Fault<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Short { bytes } => write!(f, "is not an .npy file: it ends after {bytes} bytes"),
            Fault::Magic => f.write_str("is not an .npy file: it does not begin with \\x93NUMPY"),
            Fault::Version { major, minor } => {
                write!(f, "has format version {major}.{minor}; only 1.0, 2.0 and 3.0 are supported")
            }
            Fault::Long { header, allowed } => {
                write!(
                    f,
                    "has a header of {header} bytes, and {allowed} are allowed; raise max_header_bytes if you trust it"
                )
            }
            Fault::Past { header, bytes } => {
                write!(f, "is damaged: its header ends at byte {header}, the file at {bytes}")
            }
            Fault::Encoding { at } => {
                write!(f, "is damaged: byte {at} of the header is not UTF-8, as version 3.0 demands")
            }
            Fault::Syntax { at, wanted } => write!(f, "is damaged: its header has no {wanted} at byte {at}"),
            Fault::Key { key } => {
                write!(f, "is damaged: its header has a key {}; it has descr, fortran_order and shape only", Shown(key))
            }
            Fault::Double { key } => write!(f, "is damaged: its header has the key '{key}' twice"),
            Fault::Missing { key } => write!(f, "is damaged: its header lacks the key '{key}'"),
            Fault::Deep { at } => {
                write!(f, "has a header with more than {MAX_DEPTH} nested brackets at byte {at}")
            }
            Fault::Negative { at } => {
                write!(f, "is damaged: its shape has a negative length at byte {at} of the header")
            }
            Fault::Type { descr } => {
                write!(
                    f,
                    "has elements of type {}; supported are b1, i1 to i8, u1 to u8, f2 to f8, c8 and c16",
                    Shown(descr)
                )
            }
            Fault::Structured => f.write_str("has structured elements; save one field of them as an array of its own"),
            Fault::Axes { ndim } => write!(f, "has {ndim} axes, more than {TN_MAX_NDIM}"),
            Fault::Size => f.write_str("has a shape whose size in bytes does not fit in 63 bits"),
            Fault::Truncated { data, wanted } => {
                write!(f, "is cut short: {data} bytes of data, and its shape and type say {wanted}")
            }
        }
    }
}

/// Bytes of a header in quotes, escaped. Long ones are cut.
struct Shown<'a>(&'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN_BYTES: usize = 40;
        let (text, more) = match self.0.get(..MAX_SHOWN_BYTES) {
            Some(start) if self.0.len() > MAX_SHOWN_BYTES => (start, "..."),
            _ => (self.0, ""),
        };
        write!(f, "'{}{more}'", text.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Path;
    use core::ffi::CStr;

    #[test]
    fn texts_stay_within_the_limit() {
        let long = [0xFFu8; 5000];
        let path = [&long[..4000], b"\0"].concat();
        let path = CStr::from_bytes_with_nul(&path).unwrap();
        for fault in
            [Fault::Type { descr: &long }, Fault::Key { key: &long }, Fault::Truncated { data: 0, wanted: 1 << 63 }]
        {
            let text = format!("{} {fault}", Path(path));
            assert!(text.len() < 460, "{}: {text}", text.len());
        }
    }
}
