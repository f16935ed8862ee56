//! Programs with a time limit: at the limit the whole process group is killed.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often a program is looked at that is silent.
const POLL: Duration = Duration::from_millis(50);

/// How a program ended.
pub struct Ended {
    /// None: it was killed at its limit.
    pub status: Option<ExitStatus>,
    /// How long it ran.
    pub took: Duration,
}

impl Ended {
    /// Whether it ended by itself with success.
    pub fn well(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs a program to its end or to `limit`, and hands over each line that it prints to stdout or stderr. Processes that it leaves behind in
/// its group are killed, and so is the program if the caller dies.
pub fn watch(command: &mut Command, limit: Duration, mut line: impl FnMut(&str)) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    // SAFETY: prctl is async-signal-safe, and the closure uses nothing else.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    };
    let start = Instant::now();
    let child = command.spawn();
    // The command keeps the write ends of the pipe, which would never close.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child?;
    let group = child.id() as i32;
    let (sender, lines) = channel();
    let reading = std::thread::spawn(move || {
        for bytes in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut open = true;
    let at_limit = loop {
        match lines.recv_timeout(POLL) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
        if has_ended(group) {
            break false;
        }
        if start.elapsed() > limit {
            break true;
        }
        if !open {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // SAFETY: the leader is not reaped yet, so the number is still that of our group.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    let status = child.wait()?;
    let took = start.elapsed();
    // The pipe is closed now, unless a process left the group: then nobody waits for it.
    while let Ok(text) = lines.recv_timeout(Duration::from_secs(1)) {
        line(&text);
    }
    if reading.is_finished() {
        let _ = reading.join();
    }
    Ok(Ended { status: (!at_limit).then_some(status), took })
}

/// Whether a child ended, which stays to be reaped.
fn has_ended(child: i32) -> bool {
    // SAFETY: plain data, for which zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: asks about a child of ours; the place is ours.
    let asked = unsafe { libc::waitid(libc::P_PID, child as u32, &mut info, how) };
    // SAFETY: waitid filled it in.
    asked == 0 && unsafe { info.si_pid() } == child
}
