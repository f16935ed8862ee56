//! Reports: who holds what, what was not given back, and what was copied at borders. Reads the tables; changes nothing.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what was not given back |
//! | `snapshot` | everything at this moment, as JSON |
//! | `json` | commas, quotes and escapes |
#![forbid(unsafe_code)]

mod json;

mod open_handles;

mod snapshot;

pub use open_handles::leaks;
pub use snapshot::write;

use crate::error::{Result, fail};
use crate::thread;
use crate::types::*;

/// Forced copies are refused on this thread until as many calls with `false` have come.
pub fn forbid_copies(on: bool) -> Result<()> {
    let thread = thread::current();
    let count = thread.forbids();
    let next = if on { count.checked_add(1) } else { count.checked_sub(1) };
    match next {
        Some(next) => {
            thread.set_forbids(next);
            Ok(())
        }
        None => Err(fail(TN_ERR_INVALID, format_args!("copies are not forbidden on this thread; call with 1 first"))),
    }
}
