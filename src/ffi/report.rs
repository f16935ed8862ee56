//! Section "report": who holds what, what was copied at borders, and what was not given back.

use crate::boundary::enter;
use crate::copy_stats;
use crate::ffi::convert::{self, Holders, Out};
use crate::report;
use crate::types::*;
use core::ffi::c_char;
use core::fmt;

fn copy_site(copies: &copy_stats::Copies) -> tn_copy_site {
    tn_copy_site {
        function: copies.key.function.unwrap_or(c"other").as_ptr(),
        site: copies.key.site.name().to_c(),
        why: copies.key.why,
        forced: i32::from(copies.key.forced),
        count: copies.count,
        bytes: copies.bytes,
        reserved: 0,
    }
}

/// Room for a text that the caller gave, and the text's length, also of what does not fit.
struct Room {
    at: *mut c_char,
    capacity: usize,
    length: usize,
}

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last place is the NUL's.
        if self.length + text.len() < self.capacity {
            // SAFETY: so many places are there, by the documentation of tn_report_json.
            unsafe { core::ptr::copy_nonoverlapping(text.as_ptr().cast(), self.at.add(self.length), text.len()) };
        }
        self.length += text.len();
        Ok(())
    }
}

/// Writes who holds what, as JSON: every pool with its figures and who it hands out to, every store with who holds it, where and since when,
/// raw blocks by place, what is open beside, and the copy book. docs/report.schema.json describes the text.
///
/// @param flags        0: no flag is defined yet.
/// @param capacity     bytes at text.
/// @param[out] text    UTF-8 with its NUL if it fits into capacity, else "". NULL only with capacity 0.
/// @param[out] length  bytes of the text without its NUL. As long as other threads work it differs from call to call: give more room than
///                     the last call asked for, and repeat.
/// @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for unknown flags.
/// @note Threads: any; each store and each pool is of one moment, all of them together are not. Blocks: never for long. Allocates: what it
///       gets to be quicker; it works without.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_report_json(
    flags: u32,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> tn_status {
    enter("tn_report_json", || {
        let length = Out::new(length, "length")?;
        if capacity > 0 {
            Out::new(text, "text")?;
        }
        crate::exchange::host::check_flags(flags, 0)?;
        let mut room = Room { at: text, capacity, length: 0 };
        report::write(&mut room);
        if capacity > 0 {
            let end = if room.length < capacity { room.length } else { 0 };
            // SAFETY: inside of what the caller gave.
            unsafe { text.add(end).write(0) };
        }
        // SAFETY: writable by this function's documentation.
        unsafe { length.write(room.length) };
        Ok(())
    })
}

/// Lists all copies at borders (import, export, COW writes), added up by function, site and reason, most bytes first. Copies that are the whole
/// point of a call (tn_array_copy, tn_array_copy_into) are not among them.
///
/// @param capacity     places at sites.
/// @param[out] sites   what fits; NULL only with capacity 0.
/// @param[out] count   how many there are.
/// @return TN_OK; TN_ERR_NULL.
/// @note Threads: any; adds up all threads. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_copies_query(capacity: usize, sites: *mut tn_copy_site, count: *mut usize) -> tn_status {
    enter("tn_copies_query", || {
        if capacity > 0 {
            Out::new(sites, "sites")?;
        }
        let count = Out::new(count, "count")?;
        let mut write = |index: usize, copies: copy_stats::Copies| {
            // SAFETY: `capacity` places, by this function's documentation.
            unsafe { sites.add(index).write(copy_site(&copies)) };
        };
        let all = copy_stats::copies(&mut write, capacity);
        // SAFETY: writable by this function's documentation.
        unsafe { count.write(all) };
        Ok(())
    })
}

/// Forbids copies that the caller would have taken an alias for: on this thread they are TN_ERR_WOULD_COPY from now on, and change nothing.
///
/// @param on   1: forbid; 0: take one such call back. Calls nest.
/// @return TN_OK; TN_ERR_INVALID for another value, and for 0 without a 1 before.
/// @note Threads: any; only the calling thread is meant. Blocks: never.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub extern "C" fn tn_copies_forbid(on: i32) -> tn_status {
    enter("tn_copies_forbid", || report::forbid_copies(convert::switch(on, "on")?))
}

/// Lists everything that was not given back so far: handles, guards, exports, promises, weak handles, scopes, expressions, pools, raw
/// blocks of pools, release callbacks that wait. Empty at the end of a program that cleans up.
///
/// @param capacity     places at leaks.
/// @param[out] leaks   what fits, with names, sites and threads; NULL only with capacity 0.
/// @param[out] count   how many there are.
/// @return TN_OK; TN_ERR_NULL.
/// @note Threads: any; what other threads make and release meanwhile may or may not be listed. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_leaks(capacity: usize, leaks: *mut tn_holder, count: *mut usize) -> tn_status {
    enter("tn_leaks", || {
        let mut list = Holders::new(capacity, leaks, "leaks")?;
        let count = Out::new(count, "count")?;
        report::leaks(&mut |held| list.add(held));
        // SAFETY: writable by this function's documentation.
        unsafe { count.write(list.finish()) };
        Ok(())
    })
}
