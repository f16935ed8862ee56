//! Stream sockets between processes of this machine, by abstract names.
//!
//! Contract: allocates nothing, and sends no signal. An abstract name leaves no file: it ends with the last descriptor
//! of its socket. Every process of the network namespace can connect to one and can take a free one, so both sides ask
//! the kernel who the other is.

use super::file::{Errno, Outcome, retry};
use super::os::keep_errno;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A socket that never waits. It stays open until [`close`](Socket::close).
#[derive(Clone, Copy)]
pub struct Socket {
    fd: c_int,
    /// The kernel's number of the socket, by which it is told from another one that got its descriptor.
    inode: u64,
}

/// Where a socket is kept for other threads and for the child of a fork. Its user writes in a critical section.
pub struct Place {
    fd: AtomicI32,
    inode: AtomicU64,
}

impl Default for Place {
    fn default() -> Place {
        Place::new()
    }
}

impl Place {
    /// A place without a socket.
    pub const fn new() -> Place {
        Place { fd: AtomicI32::new(-1), inode: AtomicU64::new(0) }
    }

    /// The socket.
    pub fn get(&self) -> Option<Socket> {
        // Acquire pairs with the Release in `set`.
        let fd = self.fd.load(Ordering::Acquire);
        (fd >= 0).then(|| Socket { fd, inode: self.inode.load(Ordering::Relaxed) })
    }

    /// Sets the socket.
    pub fn set(&self, socket: Option<Socket>) {
        self.inode.store(socket.map_or(0, |socket| socket.inode), Ordering::Relaxed);
        self.fd.store(socket.map_or(-1, |socket| socket.fd), Ordering::Release);
    }
}

/// Who has the other end of a connection, in the namespaces of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its effective user id when it connected, or began to listen.
    pub user: u32,
    /// Its process then; 0: one that this PID namespace does not show.
    pub process: u32,
}

/// The socket's number of a descriptor; None: it is no socket.
fn socket_inode(fd: c_int) -> Option<u64> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: any number, and room for the answer.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: filled by the successful call.
    let stat = unsafe { stat.assume_init() };
    (stat.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(stat.st_ino)
}

impl Socket {
    fn of(fd: c_int) -> Socket {
        Socket { fd, inode: socket_inode(fd).unwrap_or(0) }
    }

    /// A new socket, on which `begin` succeeded with the address of an abstract name of at most 100 bytes.
    fn with_name(
        name: &[u8],
        begin: impl Fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int,
    ) -> Outcome<Socket> {
        // SAFETY: all-zero is a valid address.
        let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        // The first byte stays 0, which makes the name abstract.
        let room = address.sun_path.get_mut(1..=name.len()).ok_or(Errno(libc::ENAMETOOLONG))?;
        room.iter_mut().zip(name).for_each(|(to, from)| *to = *from as _);
        let bytes = core::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        keep_errno(|| {
            // SAFETY: integers only.
            let socket = Socket::of(retry(|| unsafe { libc::socket(libc::AF_UNIX, kind, 0) } as isize)? as c_int);
            match retry(|| begin(socket.fd, (&raw const address).cast(), bytes as libc::socklen_t) as isize) {
                Ok(_) => Ok(socket),
                Err(errno) => {
                    socket.close();
                    Err(errno)
                }
            }
        })
    }

    /// Listens under an abstract name. EADDRINUSE: another socket has it.
    pub fn listen(name: &[u8]) -> Outcome<Socket> {
        // SAFETY: `with_name` passes its socket, and an address with its size.
        Socket::with_name(name, |fd, address, bytes| unsafe {
            if libc::bind(fd, address, bytes) == 0 { libc::listen(fd, 8) } else { -1 }
        })
    }

    /// Connects to an abstract name. ECONNREFUSED: nobody listens there. EAGAIN: too many wait there already.
    pub fn connect(name: &[u8]) -> Outcome<Socket> {
        // SAFETY: as above.
        Socket::with_name(name, |fd, address, bytes| unsafe { libc::connect(fd, address, bytes) })
    }

    /// Takes the next connection; it does not wait for one.
    pub fn accept(&self) -> Outcome<Socket> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let none = core::ptr::null_mut();
        // SAFETY: no address is asked for.
        let fd = retry(|| unsafe { libc::accept4(self.fd, none, core::ptr::null_mut(), flags) } as isize)?;
        Ok(Socket::of(fd as c_int))
    }

    /// Whether the descriptor still is this socket. A program may close all descriptors, and then get the number for a
    /// file of its own.
    pub fn is_open(&self) -> bool {
        keep_errno(|| socket_inode(self.fd) == Some(self.inode))
    }

    /// Who connected.
    pub fn peer(&self) -> Outcome<Peer> {
        let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: room for the answer, and its size.
        retry(|| unsafe {
            let out = (&raw mut found).cast();
            libc::getsockopt(self.fd, libc::SOL_SOCKET, libc::SO_PEERCRED, out, &mut bytes) as isize
        })?;
        Ok(Peer { user: found.uid, process: found.pid as u32 })
    }

    /// Waits until the socket has something to read (or a connection to take), or room to send. False: the time is
    /// over. None: without limit.
    pub fn wait(&self, to_send: bool, limit_ms: Option<u64>) -> bool {
        let events = if to_send { libc::POLLOUT } else { libc::POLLIN };
        let mut wanted = libc::pollfd { fd: self.fd, events, revents: 0 };
        let limit = limit_ms.map_or(-1, |ms| ms.min(60_000) as c_int);
        // SAFETY: one element of ours. An interrupted wait counts as the end of the time, which is checked by the
        // caller.
        unsafe { libc::poll(&mut wanted, 1, limit) > 0 }
    }

    /// Reads what has come, at most as much as fits. 0: the other side is done. EAGAIN: nothing has come.
    pub fn receive(&self, bytes: &mut [u8]) -> Outcome<usize> {
        // SAFETY: room for that many bytes.
        let count =
            retry(|| unsafe { libc::recv(self.fd, bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) })?;
        Ok(count as usize)
    }

    /// Sends as much as there is room for. EAGAIN: there is none. EPIPE: the other side is gone; no signal tells so.
    pub fn send(&self, bytes: &[u8]) -> Outcome<usize> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: that many bytes.
        Ok(retry(|| unsafe { libc::send(self.fd, bytes.as_ptr().cast(), bytes.len(), flags) })? as usize)
    }

    /// Ends the connection for both sides, also if another process has inherited the descriptor.
    pub fn shut_down(&self) {
        // SAFETY: integers only.
        unsafe { libc::shutdown(self.fd, libc::SHUT_RDWR) };
    }

    /// Closes the descriptor, if it still is this socket.
    pub fn close(&self) {
        if self.is_open() {
            // SAFETY: it is a descriptor of this library.
            keep_errno(|| unsafe { libc::close(self.fd) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_free_after_the_close() {
        let name = format!("tenure-test/{}", std::process::id());
        let socket = Socket::listen(name.as_bytes()).unwrap();
        assert_eq!(Socket::listen(name.as_bytes()).err(), Some(Errno(libc::EADDRINUSE)));
        assert!(!socket.wait(false, Some(0)) && socket.accept().is_err());
        let client = Socket::connect(name.as_bytes()).unwrap();
        assert_eq!(client.send(b"one").unwrap(), 3);
        assert!(socket.wait(false, Some(1000)));
        let connection = socket.accept().unwrap();
        // SAFETY: no argument.
        let own = Peer { user: unsafe { libc::geteuid() }, process: std::process::id() };
        assert_eq!((connection.peer().unwrap(), client.peer().unwrap()), (own, own));
        let mut room = [0; 8];
        assert!(connection.wait(false, Some(1000)));
        assert_eq!(connection.receive(&mut room).unwrap(), 3);
        assert_eq!(connection.send(b"two").unwrap(), 3);
        assert_eq!((client.receive(&mut room).unwrap(), &room[..3]), (3, &b"two"[..]));
        assert!(client.receive(&mut room).unwrap_err().is_again());
        connection.shut_down();
        assert_eq!(client.receive(&mut room).unwrap(), 0);
        client.close();
        assert_eq!(connection.send(b"late").err(), Some(Errno(libc::EPIPE)));
        connection.close();
        socket.close();
        assert!(!socket.is_open());
        assert_eq!(Socket::connect(name.as_bytes()).err(), Some(Errno(libc::ECONNREFUSED)));
        Socket::listen(name.as_bytes()).unwrap().close();
    }
}
