//! Section "report": what was copied at borders, and what was not given back.

use crate::boundary::enter;
use crate::ffi::convert::{self, Holders, Out};
use crate::journal;
use crate::report;
use crate::types::*;

fn copy_site(copies: &journal::Copies) -> tn_copy_site {
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
        let mut write = |index: usize, copies: journal::Copies| {
            // SAFETY: `capacity` places, by this function's documentation.
            unsafe { sites.add(index).write(copy_site(&copies)) };
        };
        let all = journal::copies(&mut write, capacity);
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
