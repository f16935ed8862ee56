//! Section "library": version, error messages, options, call sites.

use crate::background;
use crate::boundary::enter;
use crate::error;
use crate::ffi::convert::{self, Out, TextOut};
use crate::listen;
use crate::options;
use crate::sites::Site;
use crate::thread;
use crate::types::*;
use core::ffi::{CStr, c_char};

/// Returns the version of the loaded library, encoded as TN_VERSION.
///
/// @return The version: major << 16 | minor << 8 | patch.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_version() -> u32 {
    TN_VERSION
}

/// Returns the symbolic name of a status.
///
/// @param status   Any number.
/// @return The name, such as "TN_ERR_STALE"; "TN_ERR_?" for an unknown status. Static text, never NULL.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_status_name(status: tn_status) -> *const c_char {
    error::name(status).as_ptr()
}

/// Returns the message of this thread's last failed call: the function, what was wrong, the offending values, what to
/// do.
///
/// @return NUL-terminated UTF-8; "" if no call failed yet; never NULL. The library owns the text; it is valid until the
///         thread's next failure.
/// @note Threads: any; each thread has its own message. A task that may change threads between two calls (a goroutine,
///       a virtual thread) must pin its thread around the failing call and this one. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_last_error() -> *const c_char {
    error::published()
}

/// Sets an option of the whole process.
///
/// | option | values | what it sets |
/// |---|---|---|
/// | strict | 0, 1 | for tests: the release of an array that is given, borrowed or exported is refused |
/// | check | 0, 1 | for tests: later arrays of host pools are accessible only while a guard or an export has them open |
/// | check_managed | 0, 1 | for tests: a set or update of a shared variable checks that nobody wrote by a raw pointer |
/// | abort_on_misuse | 0, 1 | an invalid free aborts the process |
/// | background | 0, 1 | a thread of the library gives decayed memory back, ten times a second |
/// | listen | 0, 1 | the process answers the `tenure` command of its own user, until it ends |
/// | expr.blas | auto, openblas, faer | the library that multiplies two matrices in expressions |
/// | transfer.chunk | bytes | the chunks in which copies between host and device are staged |
/// | transfer.chunks | 1 to 64 | the most such chunks of a device |
/// | transfer.kernels | auto, on, off | kernels of the library copy and fill on a GPU: where they are faster, where they can, never |
/// | stream.default | legacy, per-thread | the stream that is a thread's current one until it sets another |
/// | stream.wait | spin, block | how a thread waits for a stream or an event |
/// | torch.on_failure | null, exit | whether a failed `tn_torch_alloc` returns NULL or aborts the process |
/// | pool.DEVICE.FIELD | as the field | a field of tn_pool_options of the default pool of cpu, cuda, cuda_host or cuda_managed, before its first use |
///
/// In the environment, TENURE_CHECK=1, TENURE_BACKGROUND=1 and TENURE_LISTEN=1 set those options when the library is
/// loaded. "expr.blas": auto takes an OpenBLAS that the process has loaded already for large products, else faer, which
/// is part of this library; openblas loads it if it is not loaded yet. faer always computes the product of an operand
/// without contiguous rows or columns. OpenBLAS uses the number of threads that the program gave it.
///
/// @param name     The option, NUL-terminated.
/// @param value    The value, NUL-terminated. Bytes: a number, optionally followed by KiB, MiB or GiB.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown name, an invalid value, a default pool that exists
///         already, or "listen" set to 0 in a process that listens; TN_ERR_NO_HOST_MEMORY if "background" or "listen"
///         fails, and TN_ERR_IO if "listen" does; TN_ERR_UNSUPPORTED for "expr.blas" set to openblas without an
///         OpenBLAS that has threads, or in a build without the Cargo feature `linalg`.
/// @note Threads: any. Blocks: while a library is loaded for "expr.blas", else never.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_option_set(name: *const c_char, value: *const c_char) -> tn_status {
    enter("tn_option_set", || {
        // SAFETY: texts by this function's documentation.
        let (name, value) = unsafe { (convert::text(name, "name")?, convert::text(value, "value")?) };
        let (name, value) = (convert::readable(name), convert::readable(value));
        #[cfg(feature = "linalg")]
        crate::kernels::prepare_option(name, value)?;
        options::set(name, value)?;
        listen::follow_option()?;
        background::follow_option()
    })
}

/// Writes the value of an option, as text that `tn_option_set` accepts.
///
/// @param name         The option, as for `tn_option_set`.
/// @param capacity     The number of bytes at text.
/// @param[out] text    UTF-8 with its NUL, cut off where it does not fit. NULL only with capacity 0.
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
        // SAFETY: `capacity` bytes and the length are writable, by this function's documentation.
        unsafe {
            text.add(value.as_str());
            length.write(text.length());
        }
        Ok(())
    })
}

/// Sets this thread's call site. Whatever the thread makes and copies is recorded with it, until the next `tn_here`:
/// also a hundred lines later, and in other functions. So set it at every call. The macro TN_HERE does that as part of
/// a program's own macro: `#define OK(call) must((TN_HERE, (call)))`. It also serves as a statement.
///
/// @param file     The file name. It is copied; of a long one, the end is kept. NULL: no call site.
/// @param line     The line number.
/// @return TN_OK. A file name that is not UTF-8 is kept up to the first invalid byte.
/// @note Threads: any; each thread has its own call site. Blocks: never.
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

/// Runs the release callbacks that TN_RELEASE_QUEUED delayed, in the order in which they were queued. Callbacks that
/// these queue in turn run in the next call. It also ends imports that have no holder and were kept only for device
/// work that is now done.
///
/// @param[out] n_run   The number of callbacks that ran; may be NULL.
/// @return TN_OK.
/// @note Threads: any; the callbacks run on the calling thread, each exactly once. Blocks: while the callbacks run.
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
