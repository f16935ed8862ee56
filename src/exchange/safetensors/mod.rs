//! Safetensors files: many named tensors behind one header, <https://huggingface.co/docs/safetensors>.
//!
//! Contract: reads; writing is left to who has the names. A file is input from anywhere: whatever is in it, the answer is a status, and
//! no allocation is larger than 16 times the file (NP-13). Tensors that are opened together alias one read-only mapping, which ends with
//! the last of them; all or none are opened. Errors name the file, and the tensor where it is one's.
//!
//! The header is JSON, read event by event by `picojson`, which has neither recursion nor heap. The `safetensors` crate itself does not
//! do: of two tensors with one name it takes the last, and its maps and texts, as those of `serde_json`, grow without a way to fail.
//!
//! `header` says what a header means and what is wrong with one, `file` opens files, `open` makes arrays. Tests: tests/safetensors.rs,
//! and against the Python package of that name in ours.

mod file;

mod header;

mod open;

pub use file::File;
pub use header::{Header, Tensor, parse};
pub use open::open;

/// Bytes before the header, which are its length.
const PREFIX: u64 = 8;

/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;
