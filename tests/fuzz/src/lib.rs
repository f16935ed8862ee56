//! All parsers of foreign bytes, as functions of bytes: files of NumPy and of safetensors, the structs of DLPack and of
//! Arrow, descriptors of arrays of other processes, event logs.
//!
//! Each entry accepts any input. It calls the C functions as a consumer does, and panics if the library breaks a
//! promise: a panic status, a release that ran twice or never, an output that a failure touched, an array beyond its
//! bytes. `cargo xtask fuzz` runs the entries under libFuzzer, tests/fuzz_short.rs with fixed inputs.

mod descriptors;

mod files;

mod logs;

mod structs;

pub use descriptors::descriptors;
pub use files::{npy, safetensors};
pub use logs::event_log;
pub use structs::{arrow, dlpack};

use std::ffi::CStr;
use tenure::ffi::{array, library, report};
use tenure::types::*;

/// A function that accepts any bytes.
pub type Entry = fn(&[u8]);

/// A fuzz target.
pub struct Target {
    pub name: &'static str,
    pub entry: Entry,
    /// Initial inputs, mostly valid ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target { name: "npy", entry: npy, seeds: files::npy_seeds },
    Target { name: "safetensors", entry: safetensors, seeds: files::safetensors_seeds },
    Target { name: "dlpack", entry: dlpack, seeds: structs::seeds },
    Target { name: "arrow", entry: arrow, seeds: structs::seeds },
    Target { name: "descriptors", entry: descriptors, seeds: descriptors::seeds },
    Target { name: "event_log", entry: event_log, seeds: logs::seeds },
];

/// Panics if the status shows a bug of the library.
fn sound(status: tn_status) -> tn_status {
    assert_ne!(status, TN_ERR_PANIC, "{}", text());
    status
}

/// The message of the last failure.
fn text() -> String {
    // SAFETY: NUL-terminated, valid until this thread's next failure.
    unsafe { CStr::from_ptr(library::tn_last_error()) }.to_string_lossy().into_owned()
}

fn info_of(handle: *mut tn_array) -> tn_array_info {
    let mut info = std::mem::MaybeUninit::<tn_array_info>::zeroed();
    // SAFETY: a struct of the size it says, all zeros otherwise.
    unsafe {
        (*info.as_mut_ptr()).size = size_of::<tn_array_info>();
        assert_eq!(sound(array::tn_array_query(handle, info.as_mut_ptr())), TN_OK);
        info.assume_init()
    }
}

fn release(handle: *mut tn_array) {
    assert_eq!(sound(array::tn_array_release(handle)), TN_OK);
}

/// Checks that nothing of the entries is left.
pub fn assert_nothing_left() {
    let mut count = 0;
    // SAFETY: capacity 0, and a writable count.
    assert_eq!(unsafe { report::tn_leaks(size_of::<tn_holder>(), 0, std::ptr::null_mut(), &mut count) }, TN_OK);
    assert_eq!(count, 0, "handles, guards or exports are left");
}
