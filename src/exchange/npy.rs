//! NumPy's file format `.npy`: headers, files that are mapped or read, files that are written.
//!
//! Contract: knows layouts and addresses, no array and no store. A file is input from anywhere: whatever is in it, the
//! answer is a status, after time linear in the header's length, a bounded stack and no memory beyond the header's own
//! bytes; nothing in it is ever executed. A failed [`open`] leaves nothing mapped and no descriptor open; a failed
//! [`save`] leaves the old file as it was and nothing beside it. Errors name the file and the reason.
//!
//! Why our own parser: the two crates that are kept up, npyz 0.9 and ndarray-npy 0.10, both read the header through
//! py_literal, a recursive grammar that builds a tree of every Python literal there is: brackets overflow the stack,
//! and strings and lists are allocated without a way to fail, as is the header itself, by the length that the file
//! claims. What a header may say is so little (three keys) that `dict` needs 200 lines and neither recursion nor
//! memory.
//!
//! `header` says what a header means and what is wrong with one, `dict` reads its text, `write` makes one, `open` and
//! `save` deal with files. Tests: tests/npy.rs, and against NumPy itself in the Python package.

mod dict;

mod error;

mod header;

mod open;

mod save;

mod write;

pub(super) use error::Path;
pub use header::{Header, parse};
pub use open::{Opened, Origin, open};
pub use save::{Sink, save, save_view};
pub use write::Head;

/// The first bytes of every file.
const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Longest header that is read unless the caller says otherwise, in bytes.
pub const DEFAULT_MAX_HEADER_BYTES: u64 = 64 << 10;

// What is written is native, and says `<`.
const _: () = assert!(cfg!(target_endian = "little"));
