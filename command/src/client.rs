//! Asks a process that listens, and checks that it is this process that answers.
//!
//! Any user can take the name `tenure/PID` of a process that does not listen. The kernel tells the process and the user
//! on the other side, so an answer is read only from the process that was asked for, of this user or of root. Root may
//! ask the processes of all users.

use crate::Failure;
use crate::progress::Progress;
use crate::text::size;
use std::time::{Duration, Instant};
use tenure::sys::local_socket::Socket;
use tenure::sys::os;

/// Time for the connection and for each part of the answer: longer than the listener serves a silent client before.
const WAIT: Duration = Duration::from_secs(10);
/// Time for the whole answer; the listener gives up a little earlier.
const LIMIT: Duration = Duration::from_secs(70);
/// A process is not trusted with all memory of this one.
const MAX_BYTES: usize = 2 << 30;

/// The socket, closed at the end.
struct Connection(Socket);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The report of a running process, as JSON; `for_page`: with the bounded lists of a page. Shows progress if that takes
/// long.
pub fn report(process: u32, for_page: bool) -> Result<Vec<u8>, Failure> {
    let mut progress = Progress::new();
    answer_to(process, if for_page { "page" } else { "json" }, &mut |what| progress.tick(|| what.to_owned()))
}

/// The whole report, and shows nothing.
pub fn quiet_report(process: u32) -> Result<Vec<u8>, Failure> {
    answer_to(process, "json", &mut |_| ())
}

/// The report with bounded lists, and shows nothing.
pub fn quiet_page(process: u32) -> Result<Vec<u8>, Failure> {
    answer_to(process, "page", &mut |_| ())
}

fn answer_to(process: u32, request: &str, tell: &mut dyn FnMut(&str)) -> Result<Vec<u8>, Failure> {
    let answer = ask(process, request, tell)?;
    match answer.strip_prefix(b"error: ") {
        Some(why) => Err(format!("process {process}: {}", String::from_utf8_lossy(why).trim_end())),
        None if answer.is_empty() => Err(format!("process {process} gave no answer; is it of this user?")),
        None => Ok(answer),
    }
}

/// Sends a request and reads all of the answer.
fn ask(process: u32, request: &str, tell: &mut dyn FnMut(&str)) -> Result<Vec<u8>, Failure> {
    let Connection(socket) = &connect(process, tell)?;
    check(socket, process)?;
    let request = format!("{request}\n");
    let sent = socket.send(request.as_bytes()).map_err(|errno| format!("process {process}: {errno}"))?;
    debug_assert_eq!(sent, request.len(), "a new socket has room for a short line");
    let (start, mut last) = (Instant::now(), Instant::now());
    let mut answer = Vec::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match socket.receive(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(count) => {
                answer.extend_from_slice(&part[..count]);
                last = Instant::now();
                if answer.len() > MAX_BYTES {
                    return Err(format!(
                        "process {process} sends more than {}; its answer was dropped",
                        size(MAX_BYTES as u64)
                    ));
                }
            }
            Err(errno) if errno.is_again() => {
                if last.elapsed() > WAIT || start.elapsed() > LIMIT {
                    return Err(format!(
                        "process {process} does not answer; it may be stopped, or another client keeps it busy: try again"
                    ));
                }
                socket.wait(false, Some(100));
            }
            Err(errno) => return Err(format!("process {process}: {errno}")),
        }
        tell(&format!("process {process}: {} of its report", size(answer.len() as u64)));
    }
}

fn connect(process: u32, tell: &mut dyn FnMut(&str)) -> Result<Connection, Failure> {
    let start = Instant::now();
    loop {
        match Socket::connect(format!("tenure/{process}").as_bytes()) {
            Ok(socket) => return Ok(Connection(socket)),
            Err(errno) if errno.is_again() && start.elapsed() < WAIT => {
                tell(&format!("process {process} is busy with other clients"));
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(errno) if errno.is_again() => {
                return Err(format!("process {process} does not take connections; it may be stopped: try again"));
            }
            Err(_) if !std::path::Path::new(&format!("/proc/{process}")).exists() => {
                return Err(format!("there is no process {process}; tenure ps lists those that use Tenure"));
            }
            Err(_) => {
                return Err(format!(
                    "process {process} does not listen; start it with TENURE_LISTEN=1 in its environment (in a container, run this command there)"
                ));
            }
        }
    }
}

/// Checks who listens.
fn check(socket: &Socket, process: u32) -> Result<(), Failure> {
    let peer = socket.peer().map_err(|errno| format!("process {process}: {errno}"))?;
    let own = os::user().ok_or("this user has no number in this user namespace; run the command as another user")?;
    if peer.process != process {
        let other = if peer.process == 0 {
            "a process of another PID namespace".to_owned()
        } else {
            format!("process {}", peer.process)
        };
        return Err(format!("{other} listens under the name of process {process}; its answer was not read"));
    }
    if peer.user != own && peer.user != 0 && own != 0 {
        return Err(format!("process {process} is of user {}; run the command as that user, or as root", peer.user));
    }
    Ok(())
}
