//! The listener: answers requests of the `tenure` command about this process.
//!
//! Contract: exists only on request, by the option `listen` or by `TENURE_LISTEN=1` (`load`). It is one thread, which
//! takes no signal and serves one connection at a time. It holds no lock while it waits, so it delays nothing in the
//! program. Each wait has a limit, and the request too. Nothing that a client sends or leaves out ends the listener.
//!
//! The socket's name is `tenure/PID` in the abstract namespace. Any user can connect to such a name, so the listener
//! asks the kernel for the user on the other side. It answers root and its own user, and closes other connections
//! without a word. Any user can take a free name too, so the command asks the kernel in the same way which process
//! listens.
//!
//! A request is one line, and the answer ends with the connection:
//!
//! | request | answer |
//! |---|---|
//! | `json` | the report, as [`report::write`] writes it |
//! | `page` | the same with the bounded lists of a page, as JSON too |
//! | another one | a line that begins with `error: ` |
//!
//! The child of a fork has no listener: the child closes the sockets, so its parent's name ends with the parent. It can
//! set the option itself. The library stays loaded from the start of the thread on.
#![forbid(unsafe_code)]

use crate::boundary;
use crate::error::{Result, fail};
use crate::options;
use crate::report;
use crate::sys::file::Name;
use crate::sys::local_socket::{Place, Socket};
use crate::sys::os;
use crate::thread::{self, CriticalSection};
use crate::types::*;
use core::fmt::{self, Write};

/// The longest request, with its end of line.
const REQUEST_BYTES: usize = 64;
/// Time for the whole request.
const REQUEST_MS: u64 = 1_000;
/// Time in which a client must take some of the answer.
const STALL_MS: u64 = 2_000;
/// Time for the whole answer.
const ANSWER_MS: u64 = 60_000;
/// Pause after the system refused a connection, for example because the process has no descriptor left.
const REFUSED_PAUSE_US: u32 = 100_000;

/// The sockets, which the child of a fork closes. They are set and closed in critical sections, during which no fork
/// begins.
static LISTENER: Place = Place::new();
static CONNECTION: Place = Place::new();

/// Starts the listener if the option asks for it. A failure turns the option off.
pub fn follow_option() -> Result<()> {
    if !options::listens() || LISTENER.get().is_some() {
        return Ok(());
    }
    start().inspect_err(|_| options::set_listens(false))
}

/// Starts the listener.
pub fn start() -> Result<()> {
    let thread = thread::try_current().ok_or_else(|| {
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the listener; free some, and try again"))
    })?;
    let number = os::process_number();
    if os::user().is_none() {
        let text = format_args!("the user has no number in this user namespace, so clients cannot be told apart");
        return Err(fail(TN_ERR_IO, text));
    }
    // The thread runs this code until the process ends.
    os::pin_library();
    thread::on_fork_child(after_fork);
    let mut name = Name::default();
    name.print(format_args!("tenure/{number}"));
    {
        let _no_fork = CriticalSection::enter(thread);
        let socket = Socket::listen(name.as_cstr().to_bytes()).map_err(|errno| {
            let text = format_args!(
                "process {number} cannot listen: {errno}; another copy of the library, or a process of another PID namespace, may have its name"
            );
            fail(TN_ERR_IO, text)
        })?;
        LISTENER.set(Some(socket));
    }
    options::set_listens(true);
    thread::start("the option listen", serve).inspect_err(|_| end())
}

/// Closes the listener's socket, if there is one.
fn end() {
    let _no_fork = thread::try_current().map(CriticalSection::enter);
    options::set_listens(false);
    let socket = LISTENER.get();
    LISTENER.set(None);
    socket.iter().for_each(Socket::close);
}

/// In the child of a fork, which has no listener's thread.
fn after_fork() {
    for place in [&LISTENER, &CONNECTION] {
        let socket = place.get();
        place.set(None);
        socket.iter().for_each(Socket::close);
    }
    options::set_listens(false);
}

/// The listener's thread.
fn serve() {
    os::name_thread(c"tenure-listen");
    while let Some(listener) = LISTENER.get() {
        let is_ready = listener.wait(false, None);
        // A program may close every descriptor, and the number may be that of another file by now.
        if !listener.is_open() {
            return end();
        }
        let served = boundary::answer("listen", false, || Ok(is_ready && serve_next(&listener)));
        if !served {
            os::sleep_us(REFUSED_PAUSE_US);
        }
    }
}

/// Takes a connection and answers it. False: there is none, or the system refuses it.
fn serve_next(listener: &Socket) -> bool {
    let Some(thread) = thread::try_current() else { return false };
    let connection = {
        let _no_fork = CriticalSection::enter(thread);
        let Ok(connection) = listener.accept() else { return false };
        CONNECTION.set(Some(connection));
        connection
    };
    let _ = boundary::enter("listen", || {
        answer(&connection);
        Ok(())
    });
    connection.shut_down();
    let _no_fork = CriticalSection::enter(thread);
    CONNECTION.set(None);
    connection.close();
    true
}

fn answer(connection: &Socket) {
    // The user now: a program may have changed it since the start.
    let Some(own) = os::user() else { return };
    if !connection.peer().is_ok_and(|peer| peer.user == own || peer.user == 0) {
        return;
    }
    let mut room = [0; REQUEST_BYTES];
    let Some(request) = read_request(connection, &mut room) else { return };
    let mut answer = Answer::new(connection);
    match request {
        b"json" => report::write(&mut answer, report::Extent::WHOLE),
        b"page" => report::write(&mut answer, report::Extent::PAGE),
        _ => {
            let _ = answer
                .write_str("error: the request is unknown to this version of the library; it answers json and page\n");
        }
    }
    answer.flush();
}

/// Reads a line. None: it did not come in time, or does not fit.
fn read_request<'a>(connection: &Socket, room: &'a mut [u8; REQUEST_BYTES]) -> Option<&'a [u8]> {
    let end_ms = os::coarse_ms() + REQUEST_MS;
    let mut length = 0;
    loop {
        if let Some(end) = room[..length].iter().position(|byte| *byte == b'\n') {
            return Some(&room[..end]);
        }
        let left_ms = end_ms.checked_sub(os::coarse_ms()).filter(|left| *left > 0)?;
        if length == room.len() || !connection.wait(false, Some(left_ms)) {
            return None;
        }
        match connection.receive(&mut room[length..]) {
            Ok(0) | Err(_) => return None,
            Ok(count) => length += count,
        }
    }
}

/// An answer on its way. What the client does not take in time is dropped, with all that follows.
struct Answer<'a> {
    connection: &'a Socket,
    end_ms: u64,
    buffer: [u8; 8192],
    length: usize,
    is_lost: bool,
}

impl<'a> Answer<'a> {
    fn new(connection: &'a Socket) -> Answer<'a> {
        let end_ms = os::coarse_ms() + ANSWER_MS;
        Answer { connection, end_ms, buffer: [0; 8192], length: 0, is_lost: false }
    }

    /// Sends what is in the buffer.
    fn flush(&mut self) {
        let mut rest = &self.buffer[..core::mem::take(&mut self.length)];
        while !rest.is_empty() && !self.is_lost {
            match self.connection.send(rest) {
                Ok(count) => rest = &rest[count..],
                Err(errno) if errno.is_again() => {
                    let left_ms = self.end_ms.saturating_sub(os::coarse_ms());
                    self.is_lost = left_ms == 0 || !self.connection.wait(true, Some(left_ms.min(STALL_MS)));
                }
                Err(_) => self.is_lost = true,
            }
        }
    }
}

impl Write for Answer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() && !self.is_lost {
            if self.length == self.buffer.len() {
                self.flush();
                continue;
            }
            let count = rest.len().min(self.buffer.len() - self.length);
            self.buffer[self.length..self.length + count].copy_from_slice(&rest[..count]);
            self.length += count;
            rest = &rest[count..];
        }
        if self.is_lost { Err(fmt::Error) } else { Ok(()) }
    }
}
