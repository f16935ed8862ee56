//! Section "report": who holds what, what was copied at borders, and what was not given back.

use crate::boundary::enter;
use crate::copy_stats;
use crate::ffi::convert::{self, Holders, Out, TextOut};
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

impl fmt::Write for TextOut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // SAFETY: `capacity` bytes, by the documentation of tn_report_json.
        unsafe { self.add(part) };
        Ok(())
    }
}

/// Writes who holds what, as JSON: every pool with its figures and who it hands out to, every store with who holds it, where and since when,
/// raw blocks by place, what is open beside, and the copy book. docs/report.schema.json describes the text.
///
/// @param flags        0: no flag is defined yet.
/// @param capacity     The number of bytes at text.
/// @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
/// @param[out] length  The number of bytes of the text without its NUL. As long as other threads work it differs from call to call: give
///                     more room than the last call asked for, and repeat.
/// @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for unknown flags.
/// @note Threads: any; each store and each pool is of one moment, all of them together are not. Blocks: never for long. Allocates: what it
///       gets to be quicker; it works without.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_report_json(
    flags: tn_report_flags,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> tn_status {
    enter("tn_report_json", || {
        let length = Out::new(length, "length")?;
        let mut text = TextOut::new(capacity, text, "text")?;
        crate::exchange::host::check_flags(flags, 0)?;
        report::write(&mut text);
        // SAFETY: writable by this function's documentation.
        unsafe { length.write(text.length()) };
        Ok(())
    })
}

/// Lists all copies at borders (import, export, COW writes), added up by function, site and reason, most bytes first. Copies that are the whole
/// point of a call (tn_array_copy, tn_array_copy_into) are not among them.
///
/// @param item_size    The size of an item in the caller's program: sizeof(tn_copy_site).
/// @param capacity     The number of items at sites.
/// @param[out] sites   The first `capacity` places; NULL only with capacity 0.
/// @param[out] n_sites The number of places in all.
/// @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; adds up all threads. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_copies_query(
    item_size: usize,
    capacity: usize,
    sites: *mut tn_copy_site,
    n_sites: *mut usize,
) -> tn_status {
    enter("tn_copies_query", || {
        let sites = convert::list(item_size, capacity, sites, "sites")?;
        let n_sites = Out::new(n_sites, "n_sites")?;
        let mut sites = sites?;
        // SAFETY: `capacity` items, by this function's documentation.
        let mut write = |_, copies: copy_stats::Copies| unsafe { sites.add(&copy_site(&copies)) };
        let all = copy_stats::copies(&mut write, capacity);
        // SAFETY: writable by this function's documentation.
        unsafe { n_sites.write(all) };
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
/// @param item_size    The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity     The number of items at leaks.
/// @param[out] leaks   The first `capacity` of them, with names, sites and threads; NULL only with capacity 0.
/// @param[out] n_leaks The number of leaks in all.
/// @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; what other threads make and release meanwhile may or may not be listed. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_leaks(
    item_size: usize,
    capacity: usize,
    leaks: *mut tn_holder,
    n_leaks: *mut usize,
) -> tn_status {
    enter("tn_leaks", || {
        let list = Holders::new(item_size, capacity, leaks, "leaks")?;
        let n_leaks = Out::new(n_leaks, "n_leaks")?;
        let mut list = list?;
        report::leaks(&mut |held| list.add(held));
        // SAFETY: writable by this function's documentation.
        unsafe { n_leaks.write(list.finish()) };
        Ok(())
    })
}
