//! Compares sizes, alignments, field offsets and constants of the C header with `src/types.rs`; panics on the first difference.
//!
//! Does not see: signatures (the header's freshness test does) and what only the header has (`c-tests/abi.c` does).
#![allow(clippy::all, unused_imports, missing_docs)]

use tenure::types::*;

include!(concat!(env!("OUT_DIR"), "/abi.rs"));
