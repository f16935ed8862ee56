//! Section "library": version, statuses, texts.

use crate::boundary::enter;
use crate::error;
use crate::ffi::convert::{self, Out, TextOut};
use crate::names::Site;
use crate::options;
use crate::thread;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// The version of the library that runs, made like TN_VERSION.
///
/// @return major << 16 | minor << 8 | patch.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_version() -> u32 {
    TN_VERSION
}

/// The symbolic name of a status.
///
/// @param status   Any number.
/// @return "TN_ERR_STALE" and the like, "TN_ERR_?" for an unknown one. Static text, never NULL.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_status_name(status: tn_status) -> *const c_char {
    error::name(status).as_ptr()
}

/// The text of this thread's last failure: the function, what was wrong, the offending values, what to do.
///
/// @return NUL-terminated UTF-8, "" if nothing failed yet; never NULL. The library's, valid until the thread's next failure.
/// @note Threads: any; the text is the calling thread's own. Where tasks change threads between two calls (goroutines, virtual
///       threads), pin the thread for the call and this one. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_last_error() -> *const c_char {
    error::published()
}

/// Sets an option of the whole process.
///
/// @param name     "strict" (release of what is given, borrowed or exported is refused; for tests), "abort_on_misuse" (a wrong free
///                 stops the process), "stream.default" (which stream is a thread's current one until it sets another: legacy or
///                 per-thread), "pool.<device>.<field>" with device cpu, cuda, cuda_host or cuda_managed and a field of
///                 tn_pool_options, for the default pool of that device before its first use. NUL-terminated.
/// @param value    The value as text: 0 or 1; legacy or per-thread; a number, with KiB, MiB or GiB behind it; none. NUL-terminated.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown name, a value that is none, or a pool that exists already.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_option_set(name: *const c_char, value: *const c_char) -> tn_status {
    enter("tn_option_set", || {
        // SAFETY: texts by this function's documentation.
        let (name, value) = unsafe { (convert::text(name, "name")?, convert::text(value, "value")?) };
        options::set(convert::readable(name), convert::readable(value))
    })
}

/// The value of an option, as text that tn_option_set takes.
///
/// @param name         As for tn_option_set.
/// @param capacity     The number of bytes at text.
/// @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
/// @param[out] length  The number of bytes of the whole text without its NUL.
/// @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown name.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_option_get(
    name: *const c_char,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> tn_status {
    enter("tn_option_get", || {
        // SAFETY: a text by this function's documentation.
        let name = unsafe { convert::text(name, "name")? };
        let length = Out::new(length, "length")?;
        let mut text = TextOut::new(capacity, text, "text")?;
        let value = options::get(convert::readable(name))?;
        // SAFETY: room for so many bytes, and a writable length, by this function's documentation.
        unsafe {
            text.add(value.as_str());
            length.write(text.length());
        }
        Ok(())
    })
}

/// Tells where this thread is; what it makes and copies from now on bears the place, until its next tn_here. Usually called by the
/// macro TN_HERE: as a statement, or as (TN_HERE, tn_array_borrow_read(..)).
///
/// @param file     The file name; it is copied, of a long one the end. NULL: nowhere.
/// @param line     The line number.
/// @return TN_OK. A file name that is not UTF-8 is kept as far as it can be read.
/// @note Threads: any; the place is the calling thread's own. Blocks: never.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_here(file: *const c_char, line: i32) -> tn_status {
    enter("tn_here", || {
        let mut site = Site::NONE;
        if !file.is_null() {
            // SAFETY: a text by this function's documentation.
            let file = unsafe { CStr::from_ptr(file) };
            site = Site::same(file, line).unwrap_or_else(|| Site::at(convert::readable(file), line));
        }
        thread::current().set_site(site.number());
        Ok(())
    })
}

/// Runs the release callbacks that TN_RELEASE_QUEUED held back, in the order in which they were queued. What they queue in turn waits for
/// the next call. Imports that nobody holds any more, but whose bytes a device still used, end here once it is done with them.
///
/// @param[out] n_run   The number of callbacks that ran; may be NULL.
/// @return TN_OK.
/// @note Threads: any; the callbacks run on the calling thread, each exactly once. Blocks: as long as they do.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_run_releases(n_run: *mut usize) -> tn_status {
    enter("tn_run_releases", || {
        let ran = crate::ledger::run_releases();
        // SAFETY: NULL or writable by this function's documentation.
        unsafe { convert::write_opt(n_run, ran) };
        Ok(())
    })
}
