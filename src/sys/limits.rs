//! Limits of the process (setrlimit(2)) and of the system, which explain refusals.
//!
//! Contract: reads them, and allocates nothing.

use super::machine::{self, Commit};
use core::ffi::c_int;
use core::fmt;
use core::mem::MaybeUninit;

/// A resource, as the C library of the target numbers it.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = c_int;

/// A limit that explains a refusal of the system; displayed as a clause.
pub(super) enum Limit {
    /// Of the process: what it limits, its value, and the option of the shell's `ulimit` that shows it.
    Process(&'static str, u64, &'static str),
    /// Of the memory that all processes together have mapped and may write.
    Commit(Commit),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Process(what, limit, option) => {
                write!(f, "the process may have {limit} {what}, see ulimit {option}")
            }
            Limit::Commit(Commit { limit, committed }) => {
                write!(f, "vm.overcommit_memory is 2: {committed} of {limit} bytes are committed, see /proc/meminfo")
            }
        }
    }
}

/// The limit that explains an errno.
pub(super) fn of(errno: c_int) -> Option<Limit> {
    let process = |resource, what, option| value_of(resource).map(|limit| Limit::Process(what, limit, option));
    match errno {
        libc::EFBIG => process(libc::RLIMIT_FSIZE, "bytes of a file", "-f"),
        libc::EMFILE => process(libc::RLIMIT_NOFILE, "open files", "-n"),
        libc::ENOMEM => process(libc::RLIMIT_AS, "bytes of addresses", "-v")
            .or_else(|| process(libc::RLIMIT_DATA, "bytes of data", "-d"))
            .or_else(|| machine::commit().map(Limit::Commit)),
        _ => None,
    }
}

/// The limit that is in force. None: there is none.
fn value_of(resource: Resource) -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: room for the limits, which the call fills if it succeeds.
    let limit = unsafe {
        if libc::getrlimit(resource, limit.as_mut_ptr()) != 0 {
            return None;
        }
        limit.assume_init()
    };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
