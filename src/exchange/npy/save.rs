//! Writes files: beside the target, then put in its place in one step.
//!
//! Contract: until that step the old file is as it was, and if it fails nothing is left beside it (IO-11). Where the
//! file system can, the new file has no name while it is written, so that not even a killed process leaves one behind.
//! A link as target is followed; a folder, device or pipe is refused, so is a file that may not be written. The old
//! file's permissions are kept. Needs one staging chunk of memory, and only for data that are not dense (IO-10).

use super::error::Path;
use super::write::Head;
use crate::blit::{self, HostView, Scratch};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::layout::{Layout, Order};
use crate::sys::file::{self, Errno, File, Name};
use crate::types::*;
use core::ffi::CStr;

/// What data that are not dense are packed into before they are written, in bytes.
const STAGING_BYTES: i64 = 1 << 20;

/// Where the data go, one after the other.
pub struct Sink<'a> {
    file: &'a File,
    path: &'a CStr,
    left: u64,
}

impl Sink<'_> {
    /// Writes the next bytes of the data. TN_ERR_IO: the disk is full, or failed.
    ///
    /// # Safety
    /// - `from` may be read for `bytes` bytes.
    pub unsafe fn write(&mut self, from: *const u8, bytes: usize) -> Result<()> {
        assert!(bytes as u64 <= self.left, "more data than the header says");
        // SAFETY: the caller's promise.
        unsafe { self.file.write(from, bytes) }.map_err(|errno| refused(self.path, "cannot be written", errno))?;
        self.left -= bytes as u64;
        Ok(())
    }

    /// Writes all elements of a place, in C or F order.
    fn write_place(&mut self, place: &HostView, order: Order) -> Result<()> {
        let layout = if order == Order::F { place.layout().transpose()? } else { place.layout().try_clone()? };
        if layout.is_empty() {
            return Ok(());
        }
        if layout.is_c() {
            // SAFETY: the place vouches for its elements, which are these bytes.
            return unsafe {
                self.write(core::ptr::with_exposed_provenance(layout.offset() as usize), layout.bytes() as usize)
            };
        }
        let scratch = Scratch::new(layout.bytes().min(STAGING_BYTES) as usize)?;
        self.write_parts(&layout, 0, &scratch)
    }

    /// Writes `layout` in parts along `axis`, each packed in the scratch; one index at a time, and then along the next
    /// axis, where one index is too much. As deep as there are axes.
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
        // SAFETY: the scratch is at least as long as any part, and ours alone; the part is one of the place, which
        // vouches for it.
        unsafe { blit::copy(&HostView::new(&packed), &HostView::new(part))? };
        // SAFETY: as above, and just filled.
        unsafe { self.write(address, packed.bytes() as usize) }
    }
}

/// Saves a place: in C order, in F order if it is dense only so. TN_ERR_INVALID, TN_ERR_DTYPE, TN_ERR_NO_HOST_MEMORY,
/// TN_ERR_IO as [`save`] says.
pub fn save_view(path: &CStr, place: &HostView, flags: u32) -> Result<()> {
    let layout = place.layout();
    let order = if layout.is_f() && !layout.is_c() { Order::F } else { Order::C };
    save(path, layout.dtype(), order, layout.shape(), flags, |sink| sink.write_place(place, order))
}

/// Saves what `produce` writes: all data of an array of that type and shape, in that order.
///
/// TN_ERR_INVALID: flags other than TN_IO_SYNC and TN_IO_EXCLUSIVE. TN_ERR_DTYPE: bfloat16. TN_ERR_IO: the file cannot
/// be written, or with TN_IO_EXCLUSIVE is there already. Any status of `produce` is passed on.
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
            format_args!("flags {unknown:#x} are unknown; use TN_IO_SYNC, TN_IO_EXCLUSIVE"),
        ));
    }
    let head = Head::new(dtype, order, shape)?;
    // Overflow and negative lengths are statuses of Layout.
    let data = Layout::contiguous(dtype, shape, order, 0)?.bytes() as u64;
    let target = Target::find(path, flags)?;
    let fresh = Fresh::make(&target)?;
    fresh.write(path, &head, data, produce)?;
    fresh.put(&target)
}

/// The place that the file shall take.
struct Target<'a> {
    /// As the caller named it.
    path: &'a CStr,
    flags: u32,
    folder: File,
    /// In the folder; of a link, what it leads to.
    name: Name,
    /// Permissions of the file that is there.
    permissions: Option<u32>,
}

impl<'a> Target<'a> {
    fn find(path: &'a CStr, flags: u32) -> Result<Target<'a>> {
        let unusable = |errno| refused(path, "cannot be saved to", errno);
        let (folder, name) = split(path, path, flags)?;
        let found = match file::stat_at(&folder, name.as_cstr()) {
            Err(Errno(libc::ENOENT)) => return Ok(Target { path, flags, folder, name, permissions: None }),
            found => found.map_err(unusable)?,
        };
        if flags & TN_IO_EXCLUSIVE != 0 {
            return Err(unusable(Errno(libc::EEXIST)));
        }
        let (folder, name, found) = if found.is_link() {
            let real = Name::resolved(path).map_err(|errno| refused(path, "is a link that leads to no file", errno))?;
            let (folder, name) = split(path, real.as_cstr(), flags)?;
            let found = file::stat_at(&folder, name.as_cstr()).map_err(unusable)?;
            (folder, name, found)
        } else {
            (folder, name, found)
        };
        if !found.is_regular() {
            let what = if found.is_folder() { "a folder" } else { "a pipe, socket or device" };
            return Err(fail(TN_ERR_IO, format_args!("{} is {what}; only a regular file is replaced", Path(path))));
        }
        file::check_writable(&folder, name.as_cstr()).map_err(unusable)?;
        Ok(Target { path, flags, folder, name, permissions: Some(found.permissions()) })
    }

    fn syncs(&self) -> bool {
        self.flags & TN_IO_SYNC != 0
    }
    fn keeps(&self) -> bool {
        self.flags & TN_IO_EXCLUSIVE != 0
    }
    fn unplaced(&self, errno: Errno) -> Status {
        refused(self.path, "cannot be put in its place", errno)
    }
}

/// Opens the folder of `real`, and gives the name in it; `path` is what the caller said.
fn split(path: &CStr, real: &CStr, flags: u32) -> Result<(File, Name)> {
    let bytes = real.to_bytes();
    let (folder, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
        None => (&b"."[..], bytes),
        Some(0) => (&b"/"[..], &bytes[1..]),
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
    };
    if matches!(name, b"" | b"." | b"..") {
        return Err(fail(TN_ERR_IO, format_args!("{} names no file; put a name behind the folder", Path(path))));
    }
    let (Some(folder), Some(name)) = (Name::of(folder), Name::of(name)) else {
        return Err(refused(path, "cannot be saved to", Errno(libc::ENAMETOOLONG)));
    };
    // A folder that is synced must be readable, one that is only used need not.
    let kind = if flags & TN_IO_SYNC != 0 { libc::O_RDONLY } else { libc::O_PATH };
    let folder = File::open(None, folder.as_cstr(), kind | libc::O_DIRECTORY, 0)
        .map_err(|errno| refused(path, "cannot be saved: its folder cannot be opened", errno))?;
    Ok((folder, name))
}

/// The new file, with a name of its own or without any; removed when it is dropped.
struct Fresh<'a> {
    file: File,
    named: Option<Named<'a>>,
}

/// A temporary's name, removed when it is dropped.
struct Named<'a> {
    folder: &'a File,
    name: Name,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        // It is the way out of another failure, which is the one to report.
        let _ = file::remove(self.folder, self.name.as_cstr());
    }
}

impl<'a> Named<'a> {
    /// Tries new names until `make` takes one.
    fn make<T>(folder: &'a File, mut make: impl FnMut(&CStr) -> file::Outcome<T>) -> file::Outcome<(T, Named<'a>)> {
        let mut name = Name::new();
        loop {
            name.print(format_args!(".tenure-{:016x}.tmp", file::fresh_number()));
            match make(name.as_cstr()) {
                Err(Errno(libc::EEXIST)) => {}
                made => return made.map(|made| (made, Named { folder, name })),
            }
        }
    }

    /// Gives the file the target's name; the temporary one is gone then.
    fn rename(self, target: &Target) -> Result<()> {
        file::rename(self.folder, self.name.as_cstr(), target.name.as_cstr(), target.keeps())
            .map_err(|errno| target.unplaced(errno))?;
        core::mem::forget(self);
        Ok(())
    }
}

/// Who may do what with a new file, less what the process's mask takes away.
const ANYBODY: u32 = 0o666;

impl<'a> Fresh<'a> {
    /// Makes the file, without a name where the system can give it one later.
    fn make(target: &'a Target) -> Result<Fresh<'a>> {
        let fresh = match Fresh::nameless(target) {
            Some(fresh) => fresh,
            None => Fresh::named(target)?,
        };
        if let Some(permissions) = target.permissions {
            // Some file systems know none; the contents matter more.
            let _ = fresh.file.set_permissions(permissions);
        }
        Ok(fresh)
    }

    fn nameless(target: &'a Target) -> Option<Fresh<'a>> {
        if !file::can_link() {
            return None;
        }
        let file = File::open(Some(&target.folder), c".", libc::O_TMPFILE | libc::O_WRONLY, ANYBODY).ok()?;
        Some(Fresh { file, named: None })
    }

    fn named(target: &'a Target) -> Result<Fresh<'a>> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let made = Named::make(&target.folder, |name| File::open(Some(&target.folder), name, flags, ANYBODY));
        let unmade = |errno| refused(target.path, "cannot be saved: nothing can be written in its folder", errno);
        let (file, named) = made.map_err(unmade)?;
        Ok(Fresh { file, named: Some(named) })
    }

    fn write(&self, path: &CStr, head: &Head, data: u64, produce: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
        let head = head.as_bytes();
        let mut sink = Sink { file: &self.file, path, left: data + head.len() as u64 };
        // SAFETY: the header's own bytes.
        unsafe { sink.write(head.as_ptr(), head.len())? };
        produce(&mut sink)?;
        assert!(sink.left == 0, "{} bytes of data are missing", sink.left);
        Ok(())
    }

    /// Puts the finished file in the target's place.
    fn put(self, target: &Target) -> Result<()> {
        let Fresh { file, named } = self;
        if target.syncs() {
            file.sync().map_err(|errno| refused(target.path, "cannot be synced", errno))?;
        }
        if let Some(named) = named {
            file.close().map_err(|errno| refused(target.path, "cannot be written", errno))?;
            named.rename(target)?;
        } else {
            link(&file, target)?;
        }
        if target.syncs() {
            target.folder.sync().or_else(|errno| match errno.0 {
                // A file system that has no such thing.
                libc::EINVAL => Ok(()),
                _ => Err(refused(target.path, "is saved, but its folder cannot be synced", errno)),
            })?;
        }
        Ok(())
    }
}

/// Gives a nameless file the target's name. A name that is taken cannot be linked to: a temporary one is renamed to it.
fn link(file: &File, target: &Target) -> Result<()> {
    if target.permissions.is_none() {
        match file::link(file, &target.folder, target.name.as_cstr()) {
            Ok(()) => return Ok(()),
            Err(Errno(libc::EEXIST)) if !target.keeps() => {}
            Err(errno) => return Err(target.unplaced(errno)),
        }
    }
    let linked = Named::make(&target.folder, |name| file::link(file, &target.folder, name));
    let ((), named) = linked.map_err(|errno| target.unplaced(errno))?;
    named.rename(target)
}

fn refused(path: &CStr, what: &str, errno: Errno) -> Status {
    fail(TN_ERR_IO, format_args!("{} {what}: {errno}", Path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::path::PathBuf;

    /// A folder of the test's own, removed at its end.
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

    /// Saves three bytes as file systems without nameless files do.
    fn save_named(path: &CStr, flags: u32, bytes: &[u8; 3]) -> Result<()> {
        let head = Head::new(Dtype::U8, Order::C, &[3])?;
        let target = Target::find(path, flags)?;
        let fresh = Fresh::named(&target)?;
        // SAFETY: the three bytes.
        fresh.write(path, &head, 3, |sink| unsafe { sink.write(bytes.as_ptr(), 3) })?;
        fresh.put(&target)
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
            let fresh = if nameless { Fresh::nameless(&target).unwrap() } else { Fresh::named(&target).unwrap() };
            // Somebody else was faster.
            std::fs::write(folder.0.join("a.npy"), "theirs").unwrap();
            assert_eq!(fresh.put(&target).unwrap_err().code(), TN_ERR_IO);
            assert_eq!(std::fs::read(folder.0.join("a.npy")).unwrap(), b"theirs");
            assert_eq!(folder.names(), ["a.npy"]);
            // Without the flag the name is taken over.
            let target = Target { flags: 0, ..target };
            let fresh = if nameless { Fresh::nameless(&target).unwrap() } else { Fresh::named(&target).unwrap() };
            fresh.put(&target).unwrap();
            assert_eq!(std::fs::read(folder.0.join("a.npy")).unwrap(), b"");
            assert_eq!(folder.names(), ["a.npy"]);
        }
    }

    #[test]
    fn io_11_a_failed_write_leaves_no_name() {
        let folder = Folder::new();
        let path = CString::new(folder.0.join("a.npy").to_str().unwrap()).unwrap();
        let target = Target::find(&path, 0).unwrap();
        let fresh = Fresh::named(&target).unwrap();
        assert_eq!(folder.names().len(), 1);
        let head = Head::new(Dtype::U8, Order::C, &[3]).unwrap();
        let failed = fresh.write(&path, &head, 3, |_| Err(fail(TN_ERR_IO, format_args!("no"))));
        assert_eq!(failed.unwrap_err().code(), TN_ERR_IO);
        drop(fresh);
        assert!(folder.names().is_empty());
    }
}
