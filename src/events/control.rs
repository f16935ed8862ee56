//! A log begins, ends and is copied.
//!
//! Contract: one log at a time. A log in memory stays after its end, to be copied, until the next one begins. The
//! callers of this file are in no critical section, because the world is stopped for them.

use super::store::{CHUNK_BYTES, KINDS, LOG, Reserved, STORE};
use super::texts;
use crate::error::{Result, Status, fail};
use crate::names::Path;
use crate::sys::file::{self, Errno, File, Name};
use crate::thread::{self, CriticalSection};
use crate::types::*;
use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

/// The number of the last log. Changes while the world is stopped.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Where a log goes.
pub enum Destination<'a> {
    /// Memory, which keeps the newest events.
    Memory,
    /// A new file, in place of one with that name.
    File(&'a CStr),
}

/// Begins a log of at most `capacity` bytes. TN_ERR_DUPLICATE: one runs already.
pub fn start(destination: Destination<'_>, kinds: u32, capacity: usize) -> Result<()> {
    if LOG.load(Ordering::Relaxed) != 0 {
        return Err(runs_already());
    }
    let (log, file) = match destination {
        Destination::Memory => (None, None),
        Destination::File(path) => NewLog::create(path).map(|(log, file)| (Some(log), Some(file)))?,
    };
    let is_file = file.is_some();
    let reserved = Reserved::new(capacity / CHUNK_BYTES, file).map_err(|errno| match &log {
        Some(NewLog { path, .. }) => {
            fail(TN_ERR_IO, format_args!("{} cannot take {capacity} bytes of events: {errno}", Path(path)))
        }
        None => fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {capacity} bytes of events: {errno}")),
    })?;
    log.map_or(Ok(()), NewLog::install)?;
    thread::on_fork_child(after_fork);
    thread::stop_the_world(|| {
        if LOG.load(Ordering::Relaxed) != 0 {
            return Err(runs_already());
        }
        STORE.begin(reserved, kinds);
        texts::begin(is_file);
        LOG.store(LAST.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        KINDS.store(kinds, Ordering::Relaxed);
        thread::set_recording(true);
        Ok(())
    })
}

#[cold]
fn runs_already() -> Status {
    fail(TN_ERR_DUPLICATE, format_args!("a log of events runs already; end it with tn_log_stop first"))
}

/// The file of a log that begins. It has a name beside its path until it has room for events. Its drop removes it.
struct NewLog<'a> {
    path: &'a CStr,
    beside: Name,
}

/// The folder that relative paths begin in.
const HERE: File = File::lent(libc::AT_FDCWD);

impl<'a> NewLog<'a> {
    /// Makes the file. TN_ERR_IO, also for a path of anything but a regular file.
    fn create(path: &'a CStr) -> Result<(NewLog<'a>, File)> {
        let refuse =
            |errno: Errno| fail(TN_ERR_IO, format_args!("{} cannot be created for events: {errno}", Path(path)));
        match file::stat_at(&HERE, path) {
            Ok(old) if !old.is_regular() => {
                return Err(fail(
                    TN_ERR_IO,
                    format_args!("{} is no regular file; events go to a regular file only", Path(path)),
                ));
            }
            Ok(_) | Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(refuse(errno)),
        }
        loop {
            let folder = path.to_bytes().iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            let beside = Name::of(&path.to_bytes()[..folder]).and_then(|mut name| {
                write!(name, "{}", file::fresh_name()).ok()?;
                Some(name)
            });
            let beside = beside.ok_or_else(|| refuse(Errno(libc::ENAMETOOLONG)))?;
            match File::open(None, beside.as_cstr(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600) {
                Ok(file) => return Ok((NewLog { path, beside }, file)),
                Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(refuse(errno)),
            }
        }
    }

    /// Gives the file its path, in place of an old file. A process that still writes to that one keeps it.
    fn install(self) -> Result<()> {
        file::rename(&HERE, self.beside.as_cstr(), self.path, false).map_err(|errno| {
            fail(TN_ERR_IO, format_args!("{} cannot be replaced by a log of events: {errno}", Path(self.path)))
        })?;
        core::mem::forget(self);
        Ok(())
    }
}

impl Drop for NewLog<'_> {
    fn drop(&mut self) {
        // The call fails already, and reports that failure.
        let _ = file::remove(&HERE, self.beside.as_cstr());
    }
}

/// Ends the log that runs. TN_ERR_INVALID: none does.
pub fn stop() -> Result<()> {
    thread::stop_the_world(|| {
        if LOG.load(Ordering::Relaxed) == 0 {
            return Err(fail(TN_ERR_INVALID, format_args!("no log of events runs; begin one with tn_log_start")));
        }
        close();
        STORE.finish();
        Ok(())
    })
}

fn close() {
    KINDS.store(0, Ordering::Relaxed);
    LOG.store(0, Ordering::Relaxed);
    thread::set_recording(false);
}

/// The child of a fork: the log is its parent's.
fn after_fork() {
    close();
    STORE.end();
}

/// What a log has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// TN_LOG_ bits; 0: no log runs.
    pub kinds: u32,
    /// Slots that are in the log: events, and texts.
    pub slots: u64,
    /// Slots that newer ones have overwritten.
    pub overwritten: u64,
    /// Events that found no room.
    pub dropped: u64,
    /// Bytes that the log may have.
    pub capacity: u64,
    /// The events go to a file.
    pub is_file: bool,
}

/// What the log has that runs, or the last one, if it is in memory still.
pub fn stats() -> Stats {
    // The store stays meanwhile.
    let _inside = CriticalSection::enter(thread::current());
    if !STORE.exists() {
        return Stats::default();
    }
    Stats {
        kinds: KINDS.load(Ordering::Relaxed),
        slots: (0..STORE.memory().1).map(|number| STORE.used(number)).sum(),
        overwritten: STORE.overwritten(),
        dropped: STORE.dropped.load(Ordering::Relaxed),
        capacity: STORE.capacity() as u64,
        is_file: STORE.is_file(),
    }
}
