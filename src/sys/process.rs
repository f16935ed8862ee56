//! A process of this machine as others know it: whether it still runs.
//!
//! Contract: uses no heap. What the system does not tell is unknown: where /proc is missing, or of a process in another
//! PID namespace.

use super::{machine, os};
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A process. The three numbers together are no other process's while the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id, as its own PID namespace counts.
    pub id: u32,
    /// When it started, in ticks of the system since boot; 0: unknown.
    pub started: u64,
    /// Its PID namespace; 0: unknown.
    pub namespace: u64,
}

impl Process {
    /// This process. Asks the system once, and once more in the child of a fork.
    pub fn this() -> Process {
        /// The process that the other two numbers are of; 0: none yet.
        static ID: AtomicU32 = AtomicU32::new(0);
        static STARTED: AtomicU64 = AtomicU64::new(0);
        static NAMESPACE: AtomicU64 = AtomicU64::new(0);
        let id = os::process_number();
        // Acquire pairs with the Release below. Threads that ask at once store the same numbers.
        if ID.load(Ordering::Acquire) != id {
            STARTED.store(started(c"/proc/self/stat").unwrap_or(0), Ordering::Relaxed);
            NAMESPACE.store(namespace(), Ordering::Relaxed);
            ID.store(id, Ordering::Release);
        }
        Process { id, started: STARTED.load(Ordering::Relaxed), namespace: NAMESPACE.load(Ordering::Relaxed) }
    }

    /// Whether the process still runs; None: unknown.
    pub fn is_running(&self) -> Option<bool> {
        let own = Process::this();
        if self.started == 0 || self.namespace == 0 || self.namespace != own.namespace || own.started == 0 {
            return None;
        }
        let mut path = super::file::Name::default();
        write!(path, "/proc/{}/stat", self.id).ok()?;
        Some(started(path.as_cstr()) == Some(self.started))
    }
}

/// The identity of this process's PID namespace; 0: unknown.
fn namespace() -> u64 {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: a NUL-terminated path, and room for the answer.
    match unsafe { libc::stat(c"/proc/self/ns/pid".as_ptr(), stat.as_mut_ptr()) } {
        // SAFETY: filled by the successful call.
        0 => unsafe { stat.assume_init() }.st_ino,
        _ => 0,
    }
}

/// Field 22 of a process's file `stat`; see proc_pid_stat(5). None: no such process, or one that has ended and awaits
/// its parent.
fn started(path: &CStr) -> Option<u64> {
    let mut text = [0u8; 1024];
    let text = machine::read(path, &mut text)?;
    // The second field is the program's name in parentheses, which may have parentheses and blanks itself.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = text[end + 1..].split(|byte| *byte == b' ').skip(1);
    let state = fields.next()?;
    if matches!(state, b"Z" | b"X") {
        return None;
    }
    core::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_runs_until_it_is_killed() {
        let this = Process::this();
        assert_eq!((this.id, this.is_running()), (std::process::id(), Some(true)));
        assert!(this.started > 0 && this.namespace > 0);
        assert_eq!(Process { started: this.started + 1, ..this }.is_running(), Some(false));
        assert_eq!(Process { namespace: this.namespace + 1, ..this }.is_running(), None);
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let path = std::ffi::CString::new(format!("/proc/{}/stat", child.id())).unwrap();
        let other = Process { id: child.id(), started: started(&path).unwrap(), ..this };
        assert_eq!(other.is_running(), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(other.is_running(), Some(false));
    }
}
