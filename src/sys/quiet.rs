//! System calls without the signals that end a program: SIGXFSZ at the limit for files, SIGPIPE without a reader.
//!
//! Contract: a library call never ends its program because a file reaches RLIMIT_FSIZE, or a pipe has no reader: the
//! call gets EFBIG or EPIPE. The program's handlers of SIGXFSZ and SIGPIPE do not run, and stay as they are. Nothing is
//! allocated.

use core::mem::MaybeUninit;

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
