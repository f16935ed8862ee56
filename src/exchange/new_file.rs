//! New files: each is written in the target's folder, and then replaces the target in one step.
//!
//! Contract: the old file stays unchanged until that step. A failure leaves no other file behind (IO-11). If the file
//! system supports it, the new file has no name while it is written, so that even a killed process leaves none behind.
//! A link as target is followed. A folder, device or pipe is refused, as is a file without write permission. The old
//! file's permissions are kept.

use crate::error::{Result, Status, fail};
use crate::names::Path;
use crate::sys::file::{self, Errno, File, Name};
use crate::types::*;
use core::ffi::CStr;
use core::fmt;

/// Bytes of a text that are written at once.
const BUFFER_BYTES: usize = 8 << 10;

/// Saves a text: the file at `path` has all that `write` writes, or stays as it was. TN_ERR_IO.
pub fn save_text(path: &CStr, write: impl FnOnce(&mut dyn fmt::Write)) -> Result<()> {
    save(path, |file| {
        let mut text = TextFile { file, buffer: [0; BUFFER_BYTES], used: 0, failed: None };
        write(&mut text);
        text.flush();
        text.failed.map_or(Ok(()), Err)
    })
}

/// Saves bytes: the file at `path` has all of them, or stays as it was. TN_ERR_IO.
pub fn save_bytes(path: &CStr, bytes: &[u8]) -> Result<()> {
    // SAFETY: the slice.
    save(path, |file| unsafe { file.write(bytes.as_ptr(), bytes.len()) })
}

/// Saves what `write` writes into the new file, unless that fails.
fn save(path: &CStr, write: impl FnOnce(&File) -> file::Outcome<()>) -> Result<()> {
    let target = Target::find(path, 0)?;
    let new_file = NewFile::make(&target)?;
    write(&new_file.file).map_err(|errno| io_error(path, "cannot be written", errno))?;
    new_file.install(&target)
}

/// A file as a sink of text.
struct TextFile<'a> {
    file: &'a File,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
    /// The first failure. Nothing is written after it.
    failed: Option<Errno>,
}

impl TextFile<'_> {
    fn flush(&mut self) {
        if self.failed.is_none() {
            // SAFETY: the first bytes of the buffer.
            self.failed = unsafe { self.file.write(self.buffer.as_ptr(), self.used) }.err();
        }
        self.used = 0;
    }
}

impl fmt::Write for TextFile<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() && self.failed.is_none() {
            let taken = rest.len().min(BUFFER_BYTES - self.used);
            self.buffer[self.used..self.used + taken].copy_from_slice(&rest[..taken]);
            self.used += taken;
            rest = &rest[taken..];
            if self.used == BUFFER_BYTES {
                self.flush();
            }
        }
        if self.failed.is_none() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The path that the new file gets.
pub struct Target<'a> {
    /// The caller's path.
    path: &'a CStr,
    flags: u32,
    folder: File,
    /// The name in the folder. Links are resolved.
    name: Name,
    /// The permissions of the old file. None: there is no old file.
    permissions: Option<u32>,
}

impl<'a> Target<'a> {
    /// Opens the folder of a path, and checks that a file can be saved there.
    pub fn find(path: &'a CStr, flags: u32) -> Result<Target<'a>> {
        let unusable = |errno| io_error(path, "cannot be saved to", errno);
        let (folder, name) = split(path, path, flags)?;
        let found = match file::stat_at(&folder, name.as_cstr()) {
            Err(Errno(libc::ENOENT)) => return Ok(Target { path, flags, folder, name, permissions: None }),
            found => found.map_err(unusable)?,
        };
        if flags & TN_IO_EXCLUSIVE != 0 {
            return Err(unusable(Errno(libc::EEXIST)));
        }
        let (folder, name, found) = if found.is_link() {
            let real =
                Name::resolved(path).map_err(|errno| io_error(path, "is a link that leads to no file", errno))?;
            let (folder, name) = split(path, real.as_cstr(), flags)?;
            let found = file::stat_at(&folder, name.as_cstr()).map_err(unusable)?;
            (folder, name, found)
        } else {
            (folder, name, found)
        };
        if !found.is_regular() {
            let kind = if found.is_folder() { "a folder" } else { "a pipe, socket or device" };
            return Err(fail(TN_ERR_IO, format_args!("{} is {kind}; only a regular file is replaced", Path(path))));
        }
        file::check_writable(&folder, name.as_cstr()).map_err(unusable)?;
        Ok(Target { path, flags, folder, name, permissions: Some(found.permissions()) })
    }

    fn syncs(&self) -> bool {
        self.flags & TN_IO_SYNC != 0
    }
    fn is_exclusive(&self) -> bool {
        self.flags & TN_IO_EXCLUSIVE != 0
    }
    fn not_installed(&self, errno: Errno) -> Status {
        io_error(self.path, "cannot be put in its place", errno)
    }
}

/// Opens the folder of `real`. Returns it and the name in it. Errors name `path`, which the caller passed.
fn split(path: &CStr, real: &CStr, flags: u32) -> Result<(File, Name)> {
    let bytes = real.to_bytes();
    let (folder, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
        None => (&b"."[..], bytes),
        Some(0) => (&b"/"[..], &bytes[1..]),
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
    };
    if matches!(name, b"" | b"." | b"..") {
        return Err(fail(TN_ERR_IO, format_args!("{} names no file; add a file name to the folder", Path(path))));
    }
    let (Some(folder), Some(name)) = (Name::of(folder), Name::of(name)) else {
        return Err(io_error(path, "cannot be saved to", Errno(libc::ENAMETOOLONG)));
    };
    // Only a folder that is synced must be readable.
    let kind = if flags & TN_IO_SYNC != 0 { libc::O_RDONLY } else { libc::O_PATH };
    let folder = File::open(None, folder.as_cstr(), kind | libc::O_DIRECTORY, 0)
        .map_err(|errno| io_error(path, "cannot be saved: its folder cannot be opened", errno))?;
    Ok((folder, name))
}

/// A new file with a temporary name or without a name. Its drop removes it.
pub struct NewFile<'a> {
    file: File,
    named: Option<TemporaryName<'a>>,
}

/// The name of a temporary file. Its drop removes the file.
struct TemporaryName<'a> {
    folder: &'a File,
    name: Name,
}

impl Drop for TemporaryName<'_> {
    fn drop(&mut self) {
        // The call fails already, and reports that failure.
        let _ = file::remove(self.folder, self.name.as_cstr());
    }
}

impl<'a> TemporaryName<'a> {
    /// Calls `make` with new names until it gets one that does not exist.
    fn make<T>(
        folder: &'a File,
        mut make: impl FnMut(&CStr) -> file::Outcome<T>,
    ) -> file::Outcome<(T, TemporaryName<'a>)> {
        let mut name = Name::new();
        loop {
            name.print(format_args!("{}", file::fresh_name()));
            match make(name.as_cstr()) {
                Err(Errno(libc::EEXIST)) => {}
                made => return made.map(|made| (made, TemporaryName { folder, name })),
            }
        }
    }

    /// Renames the file to the target's name.
    fn rename(self, target: &Target) -> Result<()> {
        file::rename(self.folder, self.name.as_cstr(), target.name.as_cstr(), target.is_exclusive())
            .map_err(|errno| target.not_installed(errno))?;
        core::mem::forget(self);
        Ok(())
    }
}

/// The permissions of a new file, before the process's umask applies.
const ALL_PERMISSIONS: u32 = 0o666;

impl<'a> NewFile<'a> {
    /// Creates the file, without a name if the system can give it one later.
    pub fn make(target: &'a Target) -> Result<NewFile<'a>> {
        let new_file = match NewFile::nameless(target) {
            Some(new_file) => new_file,
            None => NewFile::named(target)?,
        };
        if let Some(permissions) = target.permissions {
            // Some file systems have no permissions; the save succeeds without them.
            let _ = new_file.file.set_permissions(permissions);
        }
        Ok(new_file)
    }

    fn nameless(target: &'a Target) -> Option<NewFile<'a>> {
        if !file::can_link() {
            return None;
        }
        let file = File::open(Some(&target.folder), c".", libc::O_TMPFILE | libc::O_WRONLY, ALL_PERMISSIONS).ok()?;
        Some(NewFile { file, named: None })
    }

    fn named(target: &'a Target) -> Result<NewFile<'a>> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let made =
            TemporaryName::make(&target.folder, |name| File::open(Some(&target.folder), name, flags, ALL_PERMISSIONS));
        let unmade = |errno| io_error(target.path, "cannot be saved: nothing can be written in its folder", errno);
        let (file, named) = made.map_err(unmade)?;
        Ok(NewFile { file, named: Some(named) })
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Replaces the target by the finished file.
    pub fn install(self, target: &Target) -> Result<()> {
        let NewFile { file, named } = self;
        if target.syncs() {
            file.sync().map_err(|errno| io_error(target.path, "cannot be synced", errno))?;
        }
        if let Some(named) = named {
            file.close().map_err(|errno| io_error(target.path, "cannot be written", errno))?;
            named.rename(target)?;
        } else {
            link(&file, target)?;
        }
        if target.syncs() {
            target.folder.sync().or_else(|errno| match errno.0 {
                // The file system does not support it.
                libc::EINVAL => Ok(()),
                _ => Err(io_error(target.path, "is saved, but its folder cannot be synced", errno)),
            })?;
        }
        Ok(())
    }
}

/// Gives a file without a name the target's name. A link cannot replace an existing file, so then a temporary name is
/// linked and renamed.
fn link(file: &File, target: &Target) -> Result<()> {
    if target.permissions.is_none() {
        match file::link(file, &target.folder, target.name.as_cstr()) {
            Ok(()) => return Ok(()),
            Err(Errno(libc::EEXIST)) if !target.is_exclusive() => {}
            Err(errno) => return Err(target.not_installed(errno)),
        }
    }
    let linked = TemporaryName::make(&target.folder, |name| file::link(file, &target.folder, name));
    let ((), named) = linked.map_err(|errno| target.not_installed(errno))?;
    named.rename(target)
}

fn io_error(path: &CStr, what: &str, errno: Errno) -> Status {
    fail(TN_ERR_IO, format_args!("{} {what}: {errno}", Path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::path::PathBuf;

    /// A temporary folder. Its drop removes it.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            let path = std::env::temp_dir().join(format!("tenure-save-{:x}", file::fresh_number()));
            std::fs::create_dir(&path).unwrap();
            Folder(path)
        }
        fn names(&self) -> Vec<String> {
            let names = std::fs::read_dir(&self.0).unwrap();
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Saves three bytes in the way of file systems that do not support files without a name.
    fn save_named(path: &CStr, flags: u32, bytes: &[u8; 3]) -> Result<()> {
        let target = Target::find(path, flags)?;
        let new_file = NewFile::named(&target)?;
        // SAFETY: the three bytes.
        unsafe { new_file.file().write(bytes.as_ptr(), 3) }.unwrap();
        new_file.install(&target)
    }

    #[test]
    fn io_11_without_nameless_files_too() {
        let folder = Folder::new();
        let path = CString::new(folder.0.join("a.npy").to_str().unwrap()).unwrap();
        let read = || std::fs::read(folder.0.join("a.npy")).unwrap();
        save_named(&path, 0, b"abc").unwrap();
        assert!(read().ends_with(b"abc"));
        save_named(&path, TN_IO_SYNC, b"def").unwrap();
        assert!(read().ends_with(b"def"));
        assert_eq!(save_named(&path, TN_IO_EXCLUSIVE, b"ghi").unwrap_err().code(), TN_ERR_IO);
        assert!(read().ends_with(b"def"));
        assert_eq!(folder.names(), ["a.npy"]);
    }

    #[test]
    fn io_11_exclusive_is_decided_in_the_last_step_too() {
        for nameless in [false, true] {
            let folder = Folder::new();
            let path = CString::new(folder.0.join("a.npy").to_str().unwrap()).unwrap();
            let target = Target::find(&path, TN_IO_EXCLUSIVE).unwrap();
            let new_file =
                if nameless { NewFile::nameless(&target).unwrap() } else { NewFile::named(&target).unwrap() };
            // Another process creates the file first.
            std::fs::write(folder.0.join("a.npy"), "theirs").unwrap();
            assert_eq!(new_file.install(&target).unwrap_err().code(), TN_ERR_IO);
            assert_eq!(std::fs::read(folder.0.join("a.npy")).unwrap(), b"theirs");
            assert_eq!(folder.names(), ["a.npy"]);
            // Without the flag the file is replaced.
            let target = Target { flags: 0, ..target };
            let new_file =
                if nameless { NewFile::nameless(&target).unwrap() } else { NewFile::named(&target).unwrap() };
            new_file.install(&target).unwrap();
            assert_eq!(std::fs::read(folder.0.join("a.npy")).unwrap(), b"");
            assert_eq!(folder.names(), ["a.npy"]);
        }
    }

    #[test]
    fn io_11_a_failed_write_leaves_no_name() {
        let folder = Folder::new();
        let path = CString::new(folder.0.join("a.npy").to_str().unwrap()).unwrap();
        let target = Target::find(&path, TN_IO_EXCLUSIVE).unwrap();
        let new_file = NewFile::named(&target).unwrap();
        assert_eq!(folder.names().len(), 1);
        drop(new_file);
        assert!(folder.names().is_empty());
    }

    #[test]
    fn a_text_is_saved_whole_or_not_at_all() {
        let folder = Folder::new();
        let path = CString::new(folder.0.join("a.txt").to_str().unwrap()).unwrap();
        let line = "0123456789\u{e4}\n";
        save_text(&path, |sink| (0..5000).for_each(|_| sink.write_str(line).unwrap())).unwrap();
        assert_eq!(std::fs::read_to_string(folder.0.join("a.txt")).unwrap(), line.repeat(5000));
        // A full device.
        let full = File::open(None, c"/dev/full", libc::O_WRONLY, 0).unwrap();
        let mut text = TextFile { file: &full, buffer: [0; BUFFER_BYTES], used: 0, failed: None };
        assert!((0..5000).any(|_| fmt::Write::write_str(&mut text, line).is_err()));
        assert_eq!(text.failed, Some(Errno(libc::ENOSPC)));
        let missing = CString::new(folder.0.join("none/a.txt").to_str().unwrap()).unwrap();
        assert_eq!(save_text(&missing, |_| ()).unwrap_err().code(), TN_ERR_IO);
        assert_eq!(folder.names(), ["a.txt"]);
    }
}
