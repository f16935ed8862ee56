//! Safetensors files: many named tensors behind one header, <https://huggingface.co/docs/safetensors>.
//!
//! Contract: this module reads files; it writes none. A file is untrusted input: every fault in it is a status, and no
//! allocation is larger than 16 times the file (NP-13). A call opens all of its tensors or none. Those that it can map
//! share one read-only mapping, which ends with the last of them. Errors name the file, and the tensor if it is known.
//!
//! The header is JSON. `picojson` parses it event by event, without recursion or heap memory. The `safetensors` crate
//! is not used for two reasons. Of two tensors with one name it silently takes the last. Its maps and strings abort the
//! process when memory is short.
//!
//! | file | contents |
//! |---|---|
//! | `header` | the meaning of a header, and its faults |
//! | `file` | opening and reading of files |
//! | `open` | arrays of tensors |
//!
//! Tests: tests/library/safetensors.rs, and the tests of the Python package against the Python package `safetensors`.

mod file;

mod header;

mod open;

pub use file::File;
pub use header::{Header, LISTED_NAME_BYTES, Tensor, listed_name, parse};
pub use open::open;

/// The size of the header's length, which precedes the header.
const PREFIX_BYTES: u64 = 8;

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;
