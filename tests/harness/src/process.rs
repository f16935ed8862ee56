//! Programs with a time limit, at which a program is killed with its child processes.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a silent program is polled.
const POLL: Duration = Duration::from_millis(50);

/// Time that counts for limits: it goes slower while more programs want to run than the machine has cores, so that a
/// busy machine fails no test.
struct Clock {
    counted: f64,
    last: Instant,
    load: f64,
    looked: Option<Instant>,
}

/// How often the clock looks at the load.
const LOOK: Duration = Duration::from_secs(1);

impl Clock {
    fn start() -> Clock {
        Clock { counted: 0.0, last: Instant::now(), load: 1.0, looked: None }
    }

    /// Whether more than the limit has passed.
    fn is_over(&mut self, limit: Duration) -> bool {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now - looked > LOOK) {
            (self.load, self.looked) = (load(), Some(now));
        }
        self.counted += (now - self.last).as_secs_f64() / self.load.max(1.0);
        self.last = now;
        self.counted > limit.as_secs_f64()
    }
}

/// The programs that want to run for each core, on average over a minute.
fn load() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get()) as f64;
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).map_or(1.0, |running| running / cores)
}

/// How a program ended.
pub struct Ended {
    /// None if it was killed at its limit.
    pub status: Option<ExitStatus>,
    /// How long it ran.
    pub took: Duration,
    /// The processor time of it and of those child processes that it waited for.
    pub processor: Duration,
}

impl Ended {
    /// Whether it ended by itself with success.
    pub fn well(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs a program to its end or to `limit`, and passes on each line that it prints to stdout or stderr. Processes that
/// it leaves in its group are killed, and so is the program if the caller dies.
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
    let child = child?;
    let group = child.id() as i32;
    let (sender, lines) = channel();
    let reading = std::thread::spawn(move || {
        for bytes in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                break;
            }
        }
    });
    let (mut open, mut clock) = (true, Clock::start());
    let at_limit = loop {
        match lines.recv_timeout(POLL) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
        if has_ended(group) {
            break false;
        }
        if clock.is_over(limit) {
            break true;
        }
        if !open {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // SAFETY: the leader is not reaped yet, so the number still belongs to its group.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    let (status, processor) = reap(group)?;
    let took = start.elapsed();
    // The pipe is closed now, unless a process left the group; that process is not waited for.
    while let Ok(text) = lines.recv_timeout(Duration::from_secs(1)) {
        line(&text);
    }
    if reading.is_finished() {
        let _ = reading.join();
    }
    Ok(Ended { status: (!at_limit).then_some(status), took, processor })
}

/// Waits for a child that nothing else waits for. Returns its status and its processor time.
fn reap(child: i32) -> io::Result<(ExitStatus, Duration)> {
    // SAFETY: plain data, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: waits for our own child; both outputs are writable.
    while unsafe { libc::wait4(child, &mut status, 0, &mut usage) } != child {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok((ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime)))
}

/// The processor time of all child processes that this process has waited for, and of theirs.
pub fn processor_of_children() -> Duration {
    // SAFETY: plain data, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the output is writable.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn time(value: libc::timeval) -> Duration {
    Duration::new(value.tv_sec as u64, value.tv_usec as u32 * 1000)
}

/// Whether a child ended; it still has to be reaped.
fn has_ended(child: i32) -> bool {
    // SAFETY: plain data, for which zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: queries our own child; the output is writable.
    let asked = unsafe { libc::waitid(libc::P_PID, child as u32, &mut info, how) };
    // SAFETY: waitid filled it in.
    asked == 0 && unsafe { info.si_pid() } == child
}

/// Waits for a child that shares the caller's terminal. At the limit it is killed with its child processes, and the
/// result is None.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut clock = Clock::start();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if clock.is_over(limit) {
            kill_tree(child.id());
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(POLL);
    }
}

/// The output of a program up to its end or its limit.
pub struct Printed {
    /// None if it was killed at its limit.
    pub status: Option<ExitStatus>,
    /// To stdout.
    pub stdout: String,
    /// To stderr.
    pub stderr: String,
}

/// Runs a program to its end or to `limit` and returns its output.
pub fn output(command: &mut Command, limit: Duration) -> io::Result<Printed> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, limit)?;
    let text = |reader: JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned();
    Ok(Printed { status, stdout: text(stdout), stderr: text(stderr) })
}

/// Reads on a thread of its own, because a full pipe would stop the program.
fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Kills a process and its child processes, as far as they are still its descendants.
fn kill_tree(root: u32) {
    let mut all = vec![root];
    let processes: Vec<(u32, u32)> = std::fs::read_dir("/proc").into_iter().flatten().filter_map(parent).collect();
    let mut at = 0;
    while at < all.len() {
        let parent = all[at];
        all.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        at += 1;
    }
    for process in all {
        // SAFETY: a signal to a descendant; the root is not reaped yet.
        unsafe { libc::kill(process as i32, libc::SIGKILL) };
    }
}

/// A process and its parent.
fn parent(entry: io::Result<std::fs::DirEntry>) -> Option<(u32, u32)> {
    let path = entry.ok()?.path();
    let process = path.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    // "1234 (name) S 1230 ...", where the name may contain any character.
    let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
    Some((process, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_slower_on_a_busy_machine() {
        let passed = |load: f64| {
            let before = Instant::now();
            let mut clock = Clock { counted: 0.0, last: before - LATER, load, looked: Some(before) };
            [clock.is_over(LATER / 2), clock.is_over(LATER * 2)]
        };
        assert_eq!(passed(1.0), [true, false]);
        assert_eq!(passed(0.1), [true, false], "an idle machine makes it no faster");
        assert_eq!(passed(4.0), [false, false]);
    }

    const SOON: Duration = Duration::from_millis(300);
    const LATER: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_is_told_with_its_lines() {
        let mut lines = Vec::new();
        let ended =
            watch(&mut shell("echo one; echo two >&2; exit 3"), LATER, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert!(!ended.well() && lines == ["one", "two"], "{lines:?}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let mut started = String::new();
        let script = "sleep 1000 & echo $!; wait";
        let ended = watch(&mut shell(script), SOON, |line| started = line.to_owned()).unwrap();
        assert!(ended.status.is_none() && ended.took < LATER);
        assert!(is_gone(&started));
        let printed = output(&mut shell(script), SOON).unwrap();
        assert!(printed.status.is_none());
        assert!(is_gone(printed.stdout.trim()));
    }

    /// Whether a killed process ends; that may take time, and its new parent may not have reaped it yet.
    fn is_gone(process: &str) -> bool {
        let file = format!("/proc/{process}/stat");
        let start = Instant::now();
        while std::fs::read_to_string(&file).is_ok_and(|stat| !stat.contains(") Z ")) {
            if start.elapsed() > LATER {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    #[test]
    fn processes_that_a_program_leaves_behind_are_killed() {
        let mut left = String::new();
        let ended = watch(&mut shell("sleep 1000 & echo $!"), LATER, |line| left = line.to_owned()).unwrap();
        assert!(ended.well() && ended.took < LATER);
        assert!(is_gone(&left));
    }
}
