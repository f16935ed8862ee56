//! Reports: holders of memory, leaks, and copies made by imports and exports. They read the tables and change nothing.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | forbidding copies on a thread |
//! | `open_handles` | handles and blocks that are not released |
//! | `snapshot` | the state of everything at one moment, as JSON |
//! | `extent` | how much of it is listed: all, or what fits on a page |
//! | `pools`, `stores`, `holders`, `groups` | its parts |
//! | `log`, `timeline` | the event log, and use over time |
//! | `page` | the snapshot in a page for a browser |
//! | `json` | a JSON writer |
#![forbid(unsafe_code)]

mod json;

mod log;

mod extent;

mod groups;

mod holders;

mod open_handles;

mod page;

mod pools;

mod snapshot;

mod stores;

mod timeline;

pub use extent::Extent;
pub use log::{save as save_events, start as start_events, start_at as start_events_at};
pub use open_handles::leaks;
pub use page::{save as save_page, write as write_page, write_around};
pub use snapshot::write;

use crate::error::{Result, fail};
use crate::thread;
use crate::types::*;

/// Forbids forced copies on this thread (`true`), or takes back one earlier call (`false`).
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
