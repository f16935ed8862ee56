//! NumPy's file format `.npy`: files are mapped or read, and written.
//!
//! Contract: this module knows layouts and addresses, but no array and no store. A file is untrusted input: every fault
//! in it is a status. The time is linear in the header's length, the stack is bounded, and the only memory is that of
//! the header's bytes. A failed [`open`] leaves no mapping and no open descriptor. A failed [`save`] leaves the old
//! file unchanged and no other file. Errors name the file and the reason.
//!
//! Two maintained crates read these files, npyz 0.9 and ndarray-npy 0.10, but neither is safe for untrusted input. Both
//! parse the header with py_literal, a recursive parser of all Python literals: nested brackets overflow the stack.
//! Strings and lists are allocated without a status on failure. So is the header, with the length that the file claims.
//! A header has three keys only, so `dict` needs 200 lines, and neither recursion nor memory.
//!
//! | file | contents |
//! |---|---|
//! | `header` | the meaning of a header |
//! | `dict` | the parser of a header's text |
//! | `error` | the faults of a file |
//! | `write` | the writer of headers |
//! | `open`, `save` | opening and saving of files |
//!
//! Tests: tests/npy.rs, and the tests of the Python package against NumPy.

mod dict;

mod error;

mod header;

mod open;

mod save;

mod write;

pub use header::{Header, NAMES, name, parse};
pub use open::{Opened, Origin, open};
pub use save::{Sink, append_view, save, save_view};
pub use write::Head;

/// The first bytes of every file.
const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// The longest header that is read by default.
pub const DEFAULT_MAX_HEADER_BYTES: u64 = 64 << 10;

// The header says that the data are little-endian, and they are written in native byte order.
const _: () = assert!(cfg!(target_endian = "little"));
