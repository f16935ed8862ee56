//! Compares sizes, alignments, field offsets and constants of the C header with `src/types.rs`; panics on the first difference.
//!
//! Does not see: signatures (the header's freshness test does) and changes (`tests/repository/symbols.rs` does).
#![allow(clippy::all, dead_code, unused_imports, missing_docs)]

/// The file itself: it stands alone, and compiling the library for it would take minutes.
#[path = "../../src/types.rs"]
mod types;
use types::*;

include!(concat!(env!("OUT_DIR"), "/abi.rs"));
