//! Saves files. A new file is written in the target's folder, and then replaces the target in one step.
//!
//! Contract: the old file stays unchanged until that step. A failure leaves no other file behind (IO-11). If the file system supports it,
//! the new file has no name while it is written, so that even a killed process leaves none behind. A link as target is followed. A folder,
//! device or pipe is refused, as is a file without write permission. The old file's permissions are kept. Only data that are not dense need
//! memory: one staging buffer (IO-10).

use super::error::Path;
use super::write::Head;
use crate::blit::{self, HostView, Scratch};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::layout::{Layout, Order};
use crate::sys::file::{self, Errno, File, Name};
use crate::types::*;
use core::ffi::{CStr, c_int};
use core::fmt::{self, Display, Formatter};

/// The size of the buffer into which data that are not dense are packed before they are written.
const STAGING_BYTES: i64 = 1 << 20;

/// The file, to which the data are written in order.
pub struct Sink<'a> {
    file: &'a File,
    name: FileName<'a>,
    remaining: u64,
}

/// A file in error messages.
#[derive(Clone, Copy)]
enum FileName<'a> {
    Path(&'a CStr),
    Descriptor(c_int),
}

impl Display for FileName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FileName::Path(path) => Path(path).fmt(f),
            FileName::Descriptor(fd) => write!(f, "descriptor {fd}"),
        }
    }
}

impl Sink<'_> {
    /// Writes the next bytes of the data. TN_ERR_IO: the disk is full, or failed.
    ///
    /// # Safety
    /// - `from` may be read for `bytes` bytes.
    pub unsafe fn write(&mut self, from: *const u8, bytes: usize) -> Result<()> {
        assert!(bytes as u64 <= self.remaining, "more data than the header says");
        // SAFETY: the caller's obligation.
        unsafe { self.file.write(from, bytes) }.map_err(|errno| self.unwritten(errno))?;
        self.remaining -= bytes as u64;
        Ok(())
    }

    #[cold]
    fn unwritten(&self, errno: Errno) -> Status {
        fail(TN_ERR_IO, format_args!("{} cannot be written: {errno}", self.name))
    }

    /// Writes the header and the data of a file.
    fn write_file(&mut self, head: &Head, produce: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
        let head = head.as_bytes();
        // SAFETY: the header's own bytes.
        unsafe { self.write(head.as_ptr(), head.len())? };
        produce(self)?;
        assert!(self.remaining == 0, "{} bytes of data are missing", self.remaining);
        Ok(())
    }

    /// Writes all elements of a view, in C or F order.
    fn write_view(&mut self, view: &HostView, order: Order) -> Result<()> {
        let layout = if order == Order::F { view.layout().transpose()? } else { view.layout().try_clone()? };
        if layout.is_empty() {
            return Ok(());
        }
        if layout.is_c() {
            // SAFETY: the view vouches for its elements, which are these bytes.
            return unsafe {
                self.write(core::ptr::with_exposed_provenance(layout.offset() as usize), layout.bytes() as usize)
            };
        }
        let scratch = Scratch::new(layout.bytes().min(STAGING_BYTES) as usize)?;
        self.write_parts(&layout, 0, &scratch)
    }

    /// Writes `layout` in parts along `axis`, each packed in the scratch. If one index is larger than the scratch, it is cut along the next
    /// axis. The recursion is at most as deep as there are axes.
    fn write_parts(&mut self, layout: &Layout, axis: usize, scratch: &Scratch) -> Result<()> {
        if layout.bytes() <= STAGING_BYTES {
            return self.write_packed(layout, scratch);
        }
        let length = layout.shape()[axis];
        let each = layout.bytes() / length;
        let step = (STAGING_BYTES / each).max(1);
        let mut start = 0;
        while start < length {
            let part = layout.part(axis, start, step.min(length - start))?;
            self.write_parts(&part, axis + 1, scratch)?;
            start += step;
        }
        Ok(())
    }

    fn write_packed(&mut self, part: &Layout, scratch: &Scratch) -> Result<()> {
        let address = scratch.address();
        let packed = Layout::contiguous(part.dtype(), part.shape(), Order::C, address.expose_provenance() as i64)?;
        // SAFETY: the scratch is at least as long as any part, and only this call uses it. The view vouches for its parts.
        unsafe { blit::copy(&HostView::new(&packed), &HostView::new(part))? };
        // SAFETY: as above; the copy has initialised the bytes.
        unsafe { self.write(address, packed.bytes() as usize) }
    }
}

/// Saves a view: in F order if it is F- but not C-contiguous, else in C order. Fails as [`save`], and with TN_ERR_NO_HOST_MEMORY.
pub fn save_view(path: &CStr, view: &HostView, flags: u32) -> Result<()> {
    let (layout, order) = (view.layout(), order_of(view));
    save(path, layout.dtype(), order, layout.shape(), flags, |sink| sink.write_view(view, order))
}

fn order_of(view: &HostView) -> Order {
    let layout = view.layout();
    if layout.is_f() && !layout.is_c() { Order::F } else { Order::C }
}

/// Writes a view as [`save_view`] does, at the position of the caller's descriptor. A failure may leave a part of it there.
pub fn append_view(fd: c_int, view: &HostView, flags: u32) -> Result<()> {
    let (layout, order) = (view.layout(), order_of(view));
    let head = Head::new(layout.dtype(), order, layout.shape())?;
    let file = File::lent(fd);
    let remaining = head.as_bytes().len() as u64 + layout.bytes() as u64;
    let mut sink = Sink { file: &file, name: FileName::Descriptor(fd), remaining };
    sink.write_file(&head, |sink| sink.write_view(view, order))?;
    if flags & TN_IO_SYNC != 0 {
        file.sync().map_err(|errno| fail(TN_ERR_IO, format_args!("{} cannot be synced: {errno}", sink.name)))?;
    }
    Ok(())
}

/// Saves the data that `produce` writes: all elements of an array of that type and shape, in that order.
///
/// TN_ERR_INVALID: flags other than TN_IO_SYNC and TN_IO_EXCLUSIVE. TN_ERR_DTYPE: bfloat16. TN_ERR_IO: the file cannot be written, or
/// exists already and the flags have TN_IO_EXCLUSIVE. A failure of `produce` is returned.
pub fn save(
    path: &CStr,
    dtype: Dtype,
    order: Order,
    shape: &[i64],
    flags: u32,
    produce: impl FnOnce(&mut Sink) -> Result<()>,
) -> Result<()> {
    let unknown = flags & !(TN_IO_SYNC | TN_IO_EXCLUSIVE);
    if unknown != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("flags {unknown:#x} are unknown; use TN_IO_SYNC and TN_IO_EXCLUSIVE"),
        ));
    }
    let head = Head::new(dtype, order, shape)?;
    // The layout checks for overflow and negative lengths.
    let data = Layout::contiguous(dtype, shape, order, 0)?.bytes() as u64;
    let target = Target::find(path, flags)?;
    let new_file = NewFile::make(&target)?;
    new_file.write(path, &head, data, produce)?;
    new_file.install(&target)
}

/// The path that the new file gets.
struct Target<'a> {
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
    fn find(path: &'a CStr, flags: u32) -> Result<Target<'a>> {
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
struct NewFile<'a> {
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
            name.print(format_args!(".tenure-{:016x}.tmp", file::fresh_number()));
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
    fn make(target: &'a Target) -> Result<NewFile<'a>> {
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

    fn write(&self, path: &CStr, head: &Head, data: u64, produce: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
        let remaining = data + head.as_bytes().len() as u64;
        Sink { file: &self.file, name: FileName::Path(path), remaining }.write_file(head, produce)
    }

    /// Replaces the target by the finished file.
    fn install(self, target: &Target) -> Result<()> {
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

/// Gives a file without a name the target's name. A link cannot replace an existing file, so then a temporary name is linked and renamed.
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
        let head = Head::new(Dtype::U8, Order::C, &[3])?;
        let target = Target::find(path, flags)?;
        let new_file = NewFile::named(&target)?;
        // SAFETY: the three bytes.
        new_file.write(path, &head, 3, |sink| unsafe { sink.write(bytes.as_ptr(), 3) })?;
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
        let target = Target::find(&path, 0).unwrap();
        let new_file = NewFile::named(&target).unwrap();
        assert_eq!(folder.names().len(), 1);
        let head = Head::new(Dtype::U8, Order::C, &[3]).unwrap();
        let failed = new_file.write(&path, &head, 3, |_| Err(fail(TN_ERR_IO, format_args!("no"))));
        assert_eq!(failed.unwrap_err().code(), TN_ERR_IO);
        drop(new_file);
        assert!(folder.names().is_empty());
    }
}
