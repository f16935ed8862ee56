//! Opens files: maps their data, or reads them into memory of the caller's choice.
//!
//! Contract: reads the header and nothing else until the data are asked for; a file of 1 TiB opens as fast as a small
//! one (IO-1). A file that others cut short while it is mapped ends its reader with SIGBUS, which nobody can prevent;
//! one that is read is TN_ERR_IO (IO-9).

use super::DEFAULT_MAX_HEADER_BYTES;
use super::error::{Fault, Path};
use super::header::{self, Header, PREAMBLE_BYTES};
use crate::blit::Scratch;
use crate::error::{Result, Status, fail};
use crate::sys::file::{Access, Errno, File, Mapping};
use crate::types::*;
use core::ffi::{CStr, c_int};
use core::fmt::{self, Display, Formatter};

/// Which file.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// The one with this path.
    Path(&'a CStr),
    /// The caller's descriptor, read from its first byte on wherever its position is; stays open, and its position
    /// where it was.
    Descriptor(c_int),
}

impl Display for Origin<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => Path(path).fmt(f),
            Origin::Descriptor(fd) => write!(f, "descriptor {fd}"),
        }
    }
}

/// An open file whose header was understood; its mapping ends with it unless [`Opened::keep`] takes it.
#[derive(Debug)]
pub struct Opened<'a> {
    header: Header,
    file: File,
    origin: Origin<'a>,
    mapping: Option<Mapping>,
}

/// Opens a file in one of the modes TN_NPY_, and maps its data unless the mode is TN_NPY_COPY or there are none.
///
/// `max_header_bytes` 0 is 64 KiB. In the order of the checks: TN_ERR_INVALID: no such mode. TN_ERR_DTYPE: an element
/// type that Tenure lacks. TN_ERR_LIMIT: a header longer than allowed, more than 64 axes, a size beyond 63 bits.
/// TN_ERR_WOULD_COPY: a mapped mode, and the data are big-endian or not aligned for their type. TN_ERR_NO_HOST_MEMORY.
/// TN_ERR_IO: the file cannot be opened, read or mapped, or is damaged.
pub fn open<'a>(origin: Origin<'a>, mode: u32, max_header_bytes: u64) -> Result<Opened<'a>> {
    let access = match mode {
        TN_NPY_READ => Some(Access::Read),
        TN_NPY_COW => Some(Access::Private),
        TN_NPY_WRITE => Some(Access::Write),
        TN_NPY_COPY => None,
        _ => return Err(fail(TN_ERR_INVALID, format_args!("mode {mode} is none of TN_NPY_READ, _COW, _WRITE, _COPY"))),
    };
    let file = match origin {
        Origin::Path(path) => {
            let flags = if mode == TN_NPY_WRITE { libc::O_RDWR } else { libc::O_RDONLY };
            File::open(None, path, flags, 0).map_err(|errno| refused(&origin, "cannot be opened", errno))?
        }
        Origin::Descriptor(fd) => File::lent(fd),
    };
    let (header, file_bytes) = read_header(&file, &origin, max_header_bytes)?;
    let mut opened = Opened { header, file, origin, mapping: None };
    if let Some(access) = access.filter(|_| header.data_bytes > 0) {
        opened.check_mappable()?;
        opened.check_whole(file_bytes)?;
        opened.map(access)?;
    } else {
        opened.check_whole(file_bytes)?;
    }
    Ok(opened)
}

/// Gives the header, and the length of the file.
fn read_header(file: &File, origin: &Origin, max_header_bytes: u64) -> Result<(Header, u64)> {
    let faulty = |fault: Fault| fail(fault.status(), format_args!("{origin} {fault}"));
    let unread = |errno| refused(origin, "cannot be read", errno);
    let stat = file.stat().map_err(unread)?;
    if !stat.is_regular() {
        let what = if stat.is_folder() { "a folder" } else { "a pipe, socket or device" };
        return Err(fail(TN_ERR_IO, format_args!("{origin} is {what}; only a regular file can be opened")));
    }
    let mut start = [0u8; PREAMBLE_BYTES];
    // SAFETY: as many bytes as there is room for.
    let n = unsafe { file.read_at(start.as_mut_ptr(), PREAMBLE_BYTES, 0) }.map_err(unread)?;
    let (from, end) = header::span(&start[..n]).map_err(faulty)?;
    let allowed = if max_header_bytes == 0 { DEFAULT_MAX_HEADER_BYTES } else { max_header_bytes };
    if end - from as u64 > allowed {
        return Err(faulty(Fault::Long { header: end - from as u64, allowed }));
    }
    if end > stat.bytes {
        return Err(faulty(Fault::Past { header: end, bytes: stat.bytes }));
    }
    // The length is 32 bits at most.
    let scratch = Scratch::new(end as usize)?;
    // SAFETY: as many bytes as the scratch has.
    let n = unsafe { file.read_at(scratch.address(), end as usize, 0) }.map_err(unread)?;
    // SAFETY: so many bytes were just written, and they are ours alone until `scratch` goes.
    let bytes = unsafe { core::slice::from_raw_parts(scratch.address(), n) };
    // Read again as a whole: what the file says now counts, and shorter than before is a fault.
    let header = header::read(bytes).map_err(faulty)?;
    Ok((header, stat.bytes))
}

impl Opened<'_> {
    /// What the file holds.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The first byte of the mapped data; None where nothing is mapped.
    pub fn data(&self) -> Option<*mut u8> {
        self.mapping.map(|mapping| mapping.address.wrapping_add(self.header.data_offset as usize))
    }

    /// Passes the mapping on: from now on the caller ends it. The file is closed.
    pub fn keep(mut self) -> Option<Mapping> {
        self.mapping.take()
    }

    /// IO-4, IO-5: whether the bytes as they lie in the file are elements.
    fn check_mappable(&self) -> Result<()> {
        let (origin, dtype, at) = (&self.origin, self.header.dtype, self.header.data_offset);
        if self.header.big_endian {
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!("{origin} holds big-endian {}, which cannot be mapped; use TN_NPY_COPY", dtype.name()),
            ));
        }
        // The mapping itself begins at a page.
        if at % dtype.align() as u64 != 0 {
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!(
                    "{origin} has its data at byte {at}, not aligned for {}, so it cannot be mapped; use TN_NPY_COPY",
                    dtype.name()
                ),
            ));
        }
        Ok(())
    }

    fn check_whole(&self, file_bytes: u64) -> Result<()> {
        let data = file_bytes.saturating_sub(self.header.data_offset);
        if data < self.header.data_bytes { Err(self.cut_short(data)) } else { Ok(()) }
    }

    fn cut_short(&self, data: u64) -> Status {
        let fault = Fault::Truncated { data, wanted: self.header.data_bytes };
        fail(fault.status(), format_args!("{} {fault}", self.origin))
    }

    /// Maps from the file's first byte on, because a mapping begins at a page.
    fn map(&mut self, access: Access) -> Result<()> {
        // No overflow: no file is longer than i64::MAX, and this one was found to be long enough.
        let bytes = self.header.data_offset + self.header.data_bytes;
        let mapping = self.file.map(bytes as usize, access).map_err(|errno| match errno.0 {
            libc::ENOMEM => fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!("{} cannot be mapped: no address space or memory for {bytes} bytes", self.origin),
            ),
            libc::EACCES => refused(&self.origin, "cannot be mapped: the descriptor is not open for this mode", errno),
            _ => refused(&self.origin, "cannot be mapped", errno),
        })?;
        self.mapping = Some(mapping);
        Ok(())
    }

    /// Reads the data to `to`, dense and in the header's order, in the machine's byte order, booleans as 0 and 1
    /// (IO-8).
    ///
    /// TN_ERR_IO: the file cannot be read, or was cut short since it was opened; what `to` has then is undefined.
    ///
    /// # Safety
    /// - `to` may be written for the header's `data_bytes` bytes.
    pub unsafe fn read_into(&self, to: *mut u8) -> Result<()> {
        // A multiple of every item size; small enough that what is changed after reading is still cached.
        const CHANGED_AT_ONCE: u64 = 256 << 10;
        let changed = self.header.big_endian || self.header.dtype == crate::dtype::Dtype::BOOL;
        let whole = self.header.data_bytes;
        let step = if changed { CHANGED_AT_ONCE } else { whole };
        let mut done = 0;
        while done < whole {
            let bytes = step.min(whole - done) as usize;
            let part = to.wrapping_add(done as usize);
            // SAFETY: the caller's promise; a part of the data.
            let n = unsafe { self.file.read_at(part, bytes, self.header.data_offset + done) }
                .map_err(|errno| refused(&self.origin, "cannot be read", errno))?;
            if n < bytes {
                return Err(self.cut_short(done + n as u64));
            }
            if changed {
                // SAFETY: as above.
                unsafe { self.change(part, bytes) };
            }
            done += bytes as u64;
        }
        Ok(())
    }

    /// # Safety
    /// - `at` may be read and written for `bytes` bytes, which are whole elements.
    unsafe fn change(&self, at: *mut u8, bytes: usize) {
        // SAFETY: the caller's promise. The components of a complex number are swapped one by one.
        unsafe {
            match self.header.dtype.align() {
                1 => each(at, bytes, |byte: u8| u8::from(byte != 0)),
                2 => each(at, bytes, u16::swap_bytes),
                4 => each(at, bytes, u32::swap_bytes),
                _ => each(at, bytes, u64::swap_bytes),
            }
        }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            // SAFETY: made by `map`, not passed on, and no array was made on it.
            unsafe { mapping.unmap() };
        }
    }
}

/// Puts `change` of each number in its place.
///
/// # Safety
/// - `at` may be read and written for `bytes` bytes, which are a multiple of T's.
unsafe fn each<T: Copy>(at: *mut u8, bytes: usize, change: impl Fn(T) -> T) {
    let at = at.cast::<T>();
    for index in 0..bytes / size_of::<T>() {
        // SAFETY: the caller's promise; unaligned, because the destination may be anything.
        unsafe { at.add(index).write_unaligned(change(at.add(index).read_unaligned())) };
    }
}

fn refused(origin: &Origin, what: &str, errno: Errno) -> Status {
    fail(TN_ERR_IO, format_args!("{origin} {what}: {errno}"))
}
