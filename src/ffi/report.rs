//! Section "report": holders, copies of imports and exports, and leaks.

use crate::boundary::enter;
use crate::copy_stats;
use crate::events;
use crate::ffi::convert::{self, Holders, Out, TextOut};
use crate::report;
use crate::types::*;
use core::ffi::{CStr, c_char};
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

/// Writes a report as JSON: every pool with its statistics and clients, every store with its holders, their call sites
/// and ages, raw blocks by call site, other open objects, the copy book, and the copies of this library in the process.
/// docs/report.schema.json is its schema.
///
/// @param flags        0: no flag is defined yet.
/// @param capacity     The number of bytes at text.
/// @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
/// @param[out] length  The number of bytes of the whole text without its NUL. It can grow between two calls while other
///                     threads work: repeat with more room than the last call reported.
/// @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag.
/// @note Threads: any; each store and each pool is a snapshot of one moment, the whole report is not. Blocks: briefly,
///       for locks. Allocates: temporary memory if there is any; the call works without.
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
        report::write(&mut text, report::Extent::WHOLE);
        // SAFETY: writable by this function's documentation.
        unsafe { length.write(text.length()) };
        Ok(())
    })
}

/// Saves a page for a browser: a map of the memory, the arrays with their holders, the copy book, pools and limits. It
/// is one file that loads nothing from a network. It shows the snapshot of `tn_report_json` with bounded lists, the
/// largest entries first, and says what it leaves out.
///
/// @param flags    0: no flag is defined yet.
/// @param path     The file, which is replaced in one step.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag; TN_ERR_IO if the file cannot be written: then an old
///         file is unchanged.
/// @note Threads: as `tn_report_json`. Blocks: for the file system, and briefly for locks. Allocates: temporary memory
///       if there is any; the call works without.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_report_html(flags: tn_report_flags, path: *const c_char) -> tn_status {
    enter("tn_report_html", || {
        // SAFETY: a text by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        crate::exchange::host::check_flags(flags, 0)?;
        report::save_page(path)
    })
}

/// Writes the page of `tn_report_html` into memory.
///
/// @param flags        0: no flag is defined yet.
/// @param capacity     The number of bytes at text.
/// @param[out] text    The page in UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
/// @param[out] length  The number of bytes of the whole page without its NUL. It can grow between two calls while other
///                     threads work: repeat with more room than the last call reported.
/// @return TN_OK, also if the page did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag.
/// @note Threads: as `tn_report_json`. Blocks: briefly, for locks. Allocates: temporary memory if there is any; the
///       call works without.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_report_html_text(
    flags: tn_report_flags,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> tn_status {
    enter("tn_report_html_text", || {
        let length = Out::new(length, "length")?;
        let mut text = TextOut::new(capacity, text, "text")?;
        crate::exchange::host::check_flags(flags, 0)?;
        report::write_page(&mut text);
        // SAFETY: writable by this function's documentation.
        unsafe { length.write(text.length()) };
        Ok(())
    })
}

/// Lists the copy book: the copies of imports, exports and copy-on-write, added up by function, call site and reason,
/// most bytes first. Calls whose purpose is a copy (`tn_array_copy`, `tn_array_copy_into`) are not counted.
///
/// @param item_size    The size of an item in the caller's program: sizeof(tn_copy_site).
/// @param capacity     The number of items at sites.
/// @param[out] sites   The first `capacity` entries; NULL only with capacity 0.
/// @param[out] n_sites The total number of entries.
/// @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; counts the copies of all threads. Blocks: never. Allocates: nothing.
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

/// Forbids copies on this thread where the caller would have accepted an alias. Such a call then fails with
/// TN_ERR_WOULD_COPY and changes nothing.
///
/// @param on   1: forbid; 0: undo one earlier call with 1. Calls nest.
/// @return TN_OK; TN_ERR_INVALID for another value, and for a 0 without a preceding 1.
/// @note Threads: any; affects only the calling thread. Blocks: never.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub extern "C" fn tn_copies_forbid(on: i32) -> tn_status {
    enter("tn_copies_forbid", || report::forbid_copies(convert::switch(on, "on")?))
}

/// Lists every object that was not released so far: handles, guards, exports, promises, weak handles, scopes,
/// expressions, shared variables, functions, pools, raw blocks of pools, queued release callbacks. The default values
/// and spare buffers of a function are listed as handles beside it. The list is empty at the end of a program without
/// leaks.
///
/// @param item_size    The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity     The number of items at leaks.
/// @param[out] leaks   The first `capacity` leaks, with names, call sites and threads; NULL only with capacity 0.
/// @param[out] n_leaks The total number of leaks.
/// @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; objects that other threads make or release during the call may or may not be listed. Blocks:
///       never. Allocates: nothing.
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

/// Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads and
/// call sites.
///
/// In memory the log keeps the newest events, and `tn_log_save` writes them to a file at any time. In a file each event
/// is written in place as it happens, so the file is good however the process ends. A full file, or a full disk, drops
/// events and counts them. Nobody may truncate the file meanwhile. docs/event-log.md has the format; `tenure convert`
/// makes traces of it, and `tenure replay` repeats it.
///
/// While events are recorded, calls take their slow paths. Guards, promises and blocks from before the start are not in
/// the log. The child of a fork has no log. The environment variable TENURE_EVENTS names a file for a log that begins
/// when the library is loaded; "%p" in it becomes the process id.
///
/// @param options  What is recorded, and where; copied. NULL: everything, in memory.
/// @return TN_OK; TN_ERR_DUPLICATE if a log runs already; TN_ERR_INVALID for an unknown kind, `reserved` other than 0,
///         or a capacity below 1 MiB or above 1 TiB; TN_ERR_IO if the file cannot be made; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library, and for the file
///       system. Allocates: the log, whose pages become resident as they are used.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_log_start(options: *const tn_log_options) -> tn_status {
    enter("tn_log_start", || {
        // SAFETY: NULL or a struct of its size, by this function's documentation.
        let options = unsafe { convert::sized(options)? };
        // SAFETY: NULL or a text, by this function's documentation.
        let path =
            options.filter(|options| !options.path.is_null()).map(|options| unsafe { CStr::from_ptr(options.path) });
        report::start_events(options.as_ref(), path)
    })
}

/// Ends the log. A log in memory can be saved until the next one begins; its memory is kept until then.
///
/// @return TN_OK; TN_ERR_INVALID if no log runs.
/// @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub extern "C" fn tn_log_stop() -> tn_status {
    enter("tn_log_stop", events::stop)
}

/// Saves the log that is in memory, as a file of the format that a log in a file has. The log goes on.
///
/// @param path     The file, which is replaced in one step.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if there is no log, or if the events go to a file already;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO if the file cannot be written: then an old file is unchanged.
/// @note Threads: any. Blocks: for a copy of the log in memory all calls of other threads wait, some milliseconds for
///       16 MiB; then for the file system. Allocates: temporary memory of the size of the log.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_log_save(path: *const c_char) -> tn_status {
    enter("tn_log_save", || {
        // SAFETY: a text by this function's documentation.
        let path = unsafe { convert::text(path, "path")? };
        report::save_events(path)
    })
}

/// Reports how many events the log has: the one that runs, or the last one, if it was in memory.
///
/// @param[out] stats   The numbers; `size` is set by the caller. All 0: there is no log.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a size that is too small.
/// @note Threads: any; events of other threads may or may not be counted. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup report
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_log_query(stats: *mut tn_log_stats) -> tn_status {
    enter("tn_log_query", || {
        // SAFETY: NULL or a struct of its size, by this function's documentation.
        let out = unsafe { convert::fill(stats, "stats")? }?;
        let found = events::stats();
        let value = tn_log_stats {
            size: 0,
            kinds: found.kinds,
            is_file: i32::from(found.is_file),
            events: found.slots,
            overwritten: found.overwritten,
            dropped: found.dropped,
            capacity: found.capacity,
        };
        // SAFETY: as above.
        unsafe { out.write(&value, size_of::<tn_log_stats>()) };
        Ok(())
    })
}
