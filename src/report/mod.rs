//! Reports: who holds what, what was not given back, and what was copied at borders. Reads the tables; changes nothing.
//!
//! | file | what |
//! |---|---|
//! | `leaks` | what was not released |
//! | `snapshot` | everything at this moment, as JSON |
//! | `json` | commas, quotes and escapes |
#![forbid(unsafe_code)]

mod json;

mod leaks;

mod snapshot;

pub use leaks::{forbid_copies, leaks};
pub use snapshot::write;
