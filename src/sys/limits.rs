//! Limits of the process (setrlimit(2)) and of the system, which explain refusals, and the signals with which the
//! system enforces those for files.
//!
//! Contract: a library call never ends its program because a file reaches RLIMIT_FSIZE, or a pipe has no reader: the
//! call gets EFBIG or EPIPE. The program's handlers of SIGXFSZ and SIGPIPE do not run, and stay as they are. Nothing is
//! allocated.

use super::os;
use core::ffi::c_int;
use core::fmt;
use core::mem::MaybeUninit;

/// A resource, as the C library of the target numbers it.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = c_int;

/// Runs one system call that writes or extends a file, and takes back the signal that it sends to this thread where it
/// fails.
pub(super) fn without_signal(call: impl FnOnce() -> isize) -> isize {
    let set = signals();
    let mut before = MaybeUninit::uninit();
    // SAFETY: a set, and room for one. It fails only for an unknown `how`.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
    let mut pending = MaybeUninit::uninit();
    // SAFETY: room for a set, which the call fills. A signal that waits already is the program's, and stays.
    let had = unsafe {
        libc::sigpending(pending.as_mut_ptr());
        pending.assume_init()
    };
    let result = call();
    let errno = std::io::Error::last_os_error().raw_os_error();
    let sent = match (result < 0, errno) {
        (true, Some(libc::EFBIG)) => Some(libc::SIGXFSZ),
        (true, Some(libc::EPIPE)) => Some(libc::SIGPIPE),
        _ => None,
    };
    // SAFETY: sets and a duration that live during the calls; `before` was filled above. The system sends the signal to
    // this thread before the call returns, so it is there, or never comes: EFBIG may have another reason.
    unsafe {
        if let Some(signal) = sent
            && libc::sigismember(&raw const had, signal) == 0
        {
            let mut one = MaybeUninit::uninit();
            libc::sigemptyset(one.as_mut_ptr());
            libc::sigaddset(one.as_mut_ptr(), signal);
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(one.as_ptr(), core::ptr::null_mut(), &raw const at_once);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
        if let Some(errno) = errno {
            *libc::__errno_location() = errno;
        }
    }
    result
}

fn signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: room for a set, which the first call fills.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

/// A limit that explains a refusal of the system; displayed as a clause.
pub(super) enum Limit {
    /// Of the process: what it limits, its value, and the option of the shell's `ulimit` that shows it.
    Process(&'static str, u64, &'static str),
    /// Of the memory that all processes together have mapped and may write.
    Commit(os::Commit),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Process(what, limit, option) => {
                write!(f, "the process may have {limit} {what}, see ulimit {option}")
            }
            Limit::Commit(os::Commit { limit, committed }) => {
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
            .or_else(|| os::commit().map(Limit::Commit)),
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
