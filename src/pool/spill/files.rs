//! The files of a pool's spilled stores.
//!
//! Contract: files have no name, and nothing is left of them when all processes that have them open have ended. A block
//! lies in a sparse file at the place that its address gives. Places of live blocks are therefore disjoint, and need no
//! bookkeeping. The space of a place that ends returns to the file system, and a file without places is closed. A file
//! that a fork has shared with a child is only read from then on: parent and child write to new ones.

use crate::grow_unlocked;
use crate::sys::file::{Errno, File, Name, Outcome, fresh_name, remove};
use crate::thread::{self, QuickLock};
use core::fmt;

/// Half of the offsets in a file. ext4 with blocks of 1 KiB has 4 TiB less a block; [`check`] tries the last one.
const HALF_BYTES: u64 = (2 << 40) - (1 << 20);

/// The file of a spilled store: how many forks there had been when it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpillFile(u32);

/// Why a block is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotWritten {
    /// Files have as many bytes as they may.
    Bound,
    /// Its pages are locked in memory.
    Locked,
    /// What the system says.
    System(Errno),
}

impl NotWritten {
    /// As a number that is not 0.
    pub(super) fn code(self) -> i32 {
        match self {
            NotWritten::Bound => -1,
            NotWritten::Locked => -2,
            NotWritten::System(Errno(code)) => code,
        }
    }

    /// From such a number; None: 0.
    pub(super) fn of(code: i32) -> Option<NotWritten> {
        match code {
            0 => None,
            -1 => Some(NotWritten::Bound),
            -2 => Some(NotWritten::Locked),
            code => Some(NotWritten::System(Errno(code))),
        }
    }
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotWritten::Bound => f.write_str("files have max_bytes (tn_pool_set_spill)"),
            NotWritten::Locked => f.write_str("pages are locked in memory (mlock)"),
            NotWritten::System(errno) => errno.fmt(f),
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    file: SpillFile,
    fd: i32,
    /// Places in use.
    places: usize,
    /// Bytes of places that ended, and whose space stays because the file is shared.
    kept: u64,
}

/// A pool's files.
pub(super) struct Files(QuickLock<State>);

struct State {
    /// Where files are made; None: nothing is spilled any more.
    folder: Option<i32>,
    files: Vec<Entry>,
    /// The address whose offset is [`HALF_BYTES`]; 0: no block was spilled yet.
    middle: u64,
    /// Bytes of all places, with those that shared files keep, and the most that there may be.
    bytes: u64,
    most: u64,
}

impl State {
    fn find(&mut self, file: SpillFile) -> Option<&mut Entry> {
        self.files.iter_mut().find(|entry| entry.file == file)
    }

    fn offset(&self, start: usize) -> Option<u64> {
        Some((start as u64).wrapping_sub(self.middle).wrapping_add(HALF_BYTES))
            .filter(|offset| *offset < 2 * HALF_BYTES)
    }
}

/// A part of an open file.
pub(super) struct Place {
    pub file: File,
    pub offset: u64,
}

impl Files {
    pub const fn new() -> Files {
        Files(QuickLock::new(State { folder: None, files: Vec::new(), middle: 0, bytes: 0, most: 0 }))
    }

    /// Sets the folder of new files, and the most bytes in files. None: nothing more is spilled.
    pub fn set_folder(&self, folder: Option<File>, most: u64) {
        let mut state = self.0.lock();
        let old = core::mem::replace(&mut state.folder, folder.map(File::into_fd));
        state.most = most;
        drop(state);
        drop(old.map(File::owned));
    }

    /// The pool has no block any more, and no folder.
    pub fn close(&self) {
        let files = core::mem::take(&mut self.0.lock().files);
        debug_assert!(files.is_empty(), "each spilled store has ended");
        files.iter().for_each(|entry| drop(File::owned(entry.fd)));
    }

    /// A place for `bytes` of the block at `start`. Not while another thread calls this or `set_folder`.
    pub fn begin(&self, start: usize, bytes: usize) -> Result<(SpillFile, Place), NotWritten> {
        let file = SpillFile(thread::children());
        loop {
            let mut state = self.0.lock();
            if state.bytes.saturating_add(bytes as u64) > state.most {
                return Err(NotWritten::Bound);
            }
            if state.middle == 0 {
                state.middle = start as u64;
            }
            let offset = state.offset(start).ok_or(NotWritten::System(Errno(libc::EFBIG)))?;
            if let Some(entry) = state.find(file) {
                entry.places += 1;
                let place = Place { file: File::lent(entry.fd), offset };
                state.bytes += bytes as u64;
                return Ok((file, place));
            }
            drop(state);
            self.add(file).map_err(NotWritten::System)?;
        }
    }

    /// The place of a spilled block. Its file is open as long as the place is in use.
    pub fn place(&self, file: SpillFile, start: usize) -> Place {
        let mut state = self.0.lock();
        let offset = state.offset(start).expect("a spilled block has one");
        Place { file: File::lent(state.find(file).expect("it is open").fd), offset }
    }

    /// Ends the place of a block, which is not freed as yet.
    pub fn end(&self, file: SpillFile, start: usize, bytes: usize) {
        let place = self.place(file, start);
        // A child, or the parent, may still read what both have.
        let is_shared = file.0 != thread::children();
        if !is_shared {
            place.file.punch_hole(place.offset, bytes as u64);
        }
        let mut state = self.0.lock();
        let Some(at) = state.files.iter().position(|entry| entry.file == file) else { return };
        let entry = &mut state.files[at];
        entry.places -= 1;
        // A place ends at once, or with its file.
        entry.kept += bytes as u64;
        let mut ended = 0;
        if !is_shared || entry.places == 0 {
            ended = core::mem::take(&mut entry.kept);
        }
        let unused = (entry.places == 0).then(|| state.files.swap_remove(at));
        state.bytes -= ended;
        drop(state);
        drop(unused.map(|entry| File::owned(entry.fd)));
    }

    fn add(&self, file: SpillFile) -> Outcome<()> {
        let folder = self.0.lock().folder.map(File::lent).ok_or(Errno(libc::ENOENT))?;
        grow_unlocked::make_in(&self.0, |state| &mut state.files, 4).map_err(|_| Errno::NO_MEMORY)?;
        let fd = make(&folder)?.into_fd();
        self.0.lock().files.push(Entry { file, fd, places: 0, kept: 0 });
        Ok(())
    }
}

/// Makes a file without a name.
fn make(folder: &File) -> Outcome<File> {
    const OWNER: u32 = 0o600;
    match File::open(Some(folder), c".", libc::O_TMPFILE | libc::O_RDWR, OWNER) {
        // Some file systems make no such files.
        Err(Errno(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {}
        made => return made,
    }
    let mut name = Name::new();
    name.print(format_args!("{}", fresh_name()));
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = File::open(Some(folder), name.as_cstr(), flags, OWNER)?;
    remove(folder, name.as_cstr())?;
    Ok(file)
}

/// Checks that files can be made in a folder, and that they have all offsets.
pub(super) fn check(folder: &File) -> Outcome<()> {
    let file = make(folder)?;
    // SAFETY: one byte, which the call reads.
    unsafe { file.write_at([0u8].as_ptr(), 1, 2 * HALF_BYTES - 1) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_addresses() {
        let files = Files::new();
        let folder = File::open(None, c"/tmp", libc::O_PATH | libc::O_DIRECTORY, 0).unwrap();
        files.set_folder(Some(folder), 1 << 20);
        let middle = 1 << 46;
        let (file, first) = files.begin(middle, 4096).unwrap();
        assert_eq!(first.offset, HALF_BYTES);
        let (_, below) = files.begin(middle - 8192, 4096).unwrap();
        assert_eq!(below.offset, HALF_BYTES - 8192);
        assert_eq!(files.begin(middle + HALF_BYTES as usize, 1).err(), Some(NotWritten::System(Errno(libc::EFBIG))));
        assert_eq!(
            files.begin(middle - HALF_BYTES as usize - 4096, 1).err(),
            Some(NotWritten::System(Errno(libc::EFBIG)))
        );
        assert_eq!(files.begin(middle + 4096, 1 << 20).err(), Some(NotWritten::Bound));
        files.end(file, middle, 4096);
        assert_eq!(files.0.lock().files.len(), 1);
        files.end(file, middle - 8192, 4096);
        assert_eq!(files.0.lock().files.len(), 0);
        assert_eq!(files.0.lock().bytes, 0);
        files.set_folder(None, 1 << 20);
        assert_eq!(files.begin(middle, 4096).err(), Some(NotWritten::System(Errno(libc::ENOENT))));
    }
}
