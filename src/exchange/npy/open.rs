//! Opens files: maps their data, or reads them into the caller's memory.
//!
//! Contract: opening reads the header only, so a file of 1 TiB opens as fast as a small one (IO-1). If another process
//! truncates a file while it is read, the call fails with TN_ERR_IO. If it truncates a mapped file, an access to the
//! lost part raises SIGBUS, which no library can prevent (IO-9).

use super::DEFAULT_MAX_HEADER_BYTES;
use super::error::Fault;
use super::header::{self, Header, PREAMBLE_BYTES};
use crate::blit::Scratch;
use crate::error::{Result, Status, fail};
use crate::names::Path;
use crate::sys::file::{Access, Errno, File, Mapping};
use crate::types::*;
use core::ffi::{CStr, c_int};
use core::fmt::{self, Display, Formatter};

/// The file to open.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// The file at this path.
    Path(&'a CStr),
    /// The file of the caller's descriptor, from the byte at `offset` on. The descriptor stays open, and its position
    /// is neither used nor changed.
    Descriptor {
        /// The descriptor.
        fd: c_int,
        /// The first byte.
        offset: u64,
    },
}

impl Origin<'_> {
    /// The file, opened with the flags of open(2) unless it is the caller's.
    pub(in crate::exchange) fn open(&self, flags: c_int) -> Result<File> {
        match self {
            Origin::Path(path) => {
                File::open(None, path, flags, 0).map_err(|errno| io_error(self, "cannot be opened", errno))
            }
            Origin::Descriptor { fd, .. } => Ok(File::lent(*fd)),
        }
    }

    /// The offset in the file of the first byte.
    pub(in crate::exchange) fn offset(&self) -> u64 {
        match self {
            Origin::Path(_) => 0,
            Origin::Descriptor { offset, .. } => *offset,
        }
    }
}

impl Display for Origin<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => Path(path).fmt(f),
            Origin::Descriptor { fd, offset: 0 } => write!(f, "descriptor {fd}"),
            Origin::Descriptor { fd, offset } => write!(f, "descriptor {fd}, from byte {offset} on,"),
        }
    }
}

/// An open file with a valid header. Its drop unmaps the data, unless [`Opened::into_mapping`] took the mapping.
#[derive(Debug)]
pub struct Opened<'a> {
    header: Header,
    file: File,
    origin: Origin<'a>,
    mapping: Option<Mapping>,
}

/// Opens a file in one of the modes TN_NPY_. Maps its data, unless the mode is TN_NPY_COPY or the file has no data.
///
/// `max_header_bytes` 0 stands for 64 KiB. In the order of the checks: TN_ERR_INVALID: there is no such mode.
/// TN_ERR_DTYPE: an element type that Tenure lacks. TN_ERR_LIMIT: a header longer than allowed. TN_ERR_OVERFLOW: more
/// than 64 axes, or a size beyond 63 bits. TN_ERR_WOULD_COPY: the mode maps, and the data are big-endian or not aligned
/// for their type. TN_ERR_NO_HOST_MEMORY. TN_ERR_IO: the file cannot be opened, read or mapped, or is damaged.
pub fn open<'a>(origin: Origin<'a>, mode: u32, max_header_bytes: u64) -> Result<Opened<'a>> {
    let access = match mode {
        TN_NPY_READ => Some(Access::Read),
        TN_NPY_COW => Some(Access::Private),
        TN_NPY_WRITE => Some(Access::Write),
        TN_NPY_COPY => None,
        _ => return Err(fail(TN_ERR_INVALID, format_args!("mode {mode} is none of TN_NPY_READ, _COW, _WRITE, _COPY"))),
    };
    let file = origin.open(if mode == TN_NPY_WRITE { libc::O_RDWR } else { libc::O_RDONLY })?;
    let (header, file_bytes) = read_header(&file, &origin, max_header_bytes)?;
    let mut opened = Opened { header, file, origin, mapping: None };
    if let Some(access) = access.filter(|_| header.data_bytes > 0) {
        opened.check_mappable()?;
        opened.check_complete(file_bytes)?;
        opened.map(access)?;
    } else {
        opened.check_complete(file_bytes)?;
    }
    Ok(opened)
}

/// Reads the header. Returns it and the length of the file from its first byte on.
fn read_header(file: &File, origin: &Origin, max_header_bytes: u64) -> Result<(Header, u64)> {
    let faulty = |fault: Fault| fail(fault.status(), format_args!("{origin} {fault}"));
    let unread = |errno| io_error(origin, "cannot be read", errno);
    let stat = file.stat().map_err(unread)?;
    if !stat.is_regular() {
        let kind = if stat.is_folder() { "a folder" } else { "a pipe, socket or device" };
        return Err(fail(TN_ERR_IO, format_args!("{origin} is {kind}; only a regular file can be opened")));
    }
    // Nothing is behind the end of the file.
    let first = origin.offset().min(stat.bytes);
    let bytes = stat.bytes - first;
    let mut start = [0u8; PREAMBLE_BYTES];
    // SAFETY: `start` has that many bytes.
    let n = unsafe { file.read_at(start.as_mut_ptr(), PREAMBLE_BYTES, first) }.map_err(unread)?;
    let (from, end) = header::span(&start[..n]).map_err(faulty)?;
    let allowed = if max_header_bytes == 0 { DEFAULT_MAX_HEADER_BYTES } else { max_header_bytes };
    if end - from as u64 > allowed {
        return Err(faulty(Fault::Long { header: end - from as u64, allowed }));
    }
    if end > bytes {
        return Err(faulty(Fault::Past { header: end, bytes }));
    }
    // The format limits the length to 32 bits, so it fits in usize.
    let scratch = Scratch::new(end as usize)?;
    // SAFETY: the scratch has that many bytes.
    let n = unsafe { file.read_at(scratch.address(), end as usize, first) }.map_err(unread)?;
    // SAFETY: the call above wrote `n` bytes. Only this function uses them, and `scratch` outlives the slice.
    let text = unsafe { core::slice::from_raw_parts(scratch.address(), n) };
    // The whole header is read again, and only this version counts. The file may have changed; a shorter one is a
    // fault.
    let header = header::read(text).map_err(faulty)?;
    Ok((header, bytes))
}

impl Opened<'_> {
    /// The header of the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The first byte of the mapped data. None: no data are mapped.
    pub fn data(&self) -> Option<*mut u8> {
        self.mapping.map(|mapping| mapping.address.wrapping_add(self.data_offset() as usize))
    }

    /// The offset in the file of the first byte of the data.
    fn data_offset(&self) -> u64 {
        // Cannot overflow: the header was read from there.
        self.origin.offset() + self.header.data_offset
    }

    /// The offset in the file of the byte behind the data.
    pub fn end(&self) -> u64 {
        // Cannot overflow: `check_complete` found the file long enough, and no file is longer than i64::MAX.
        self.data_offset() + self.header.data_bytes
    }

    /// Takes the mapping, which the caller then unmaps, and closes the file.
    pub fn into_mapping(mut self) -> Option<Mapping> {
        self.mapping.take()
    }

    /// Checks that the bytes of the file are elements without a conversion (IO-4, IO-5).
    fn check_mappable(&self) -> Result<()> {
        let (origin, dtype, at) = (&self.origin, self.header.dtype, self.data_offset());
        if self.header.big_endian {
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!("{origin} holds big-endian {}, which cannot be mapped; use TN_NPY_COPY", dtype.name()),
            ));
        }
        // The mapping begins at a page, so the offset in the file decides.
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

    fn check_complete(&self, file_bytes: u64) -> Result<()> {
        let data = file_bytes.saturating_sub(self.header.data_offset);
        if data < self.header.data_bytes { Err(self.cut_short(data)) } else { Ok(()) }
    }

    fn cut_short(&self, data: u64) -> Status {
        let fault = Fault::Truncated { data, wanted: self.header.data_bytes };
        fail(fault.status(), format_args!("{} {fault}", self.origin))
    }

    /// Maps the data, from the file's first byte on, because a mapping begins at a page.
    fn map(&mut self, access: Access) -> Result<()> {
        let bytes = self.end();
        let mapping = self.file.map(bytes as usize, access).map_err(|errno| match errno.0 {
            libc::ENOMEM => fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!("{} cannot be mapped: no address space or memory for {bytes} bytes", self.origin),
            ),
            libc::EACCES => io_error(&self.origin, "cannot be mapped: the descriptor is not open for this mode", errno),
            _ => io_error(&self.origin, "cannot be mapped", errno),
        })?;
        self.mapping = Some(mapping);
        Ok(())
    }

    /// Reads the data to `to`: dense, in the header's order and in native byte order. Booleans become 0 and 1 (IO-8).
    ///
    /// TN_ERR_IO: the file cannot be read, or was truncated since it was opened. The bytes at `to` are then undefined.
    ///
    /// # Safety
    /// - `to` may be written for the header's `data_bytes` bytes.
    pub unsafe fn read_into(&self, to: *mut u8) -> Result<()> {
        // A multiple of every item size, and small enough that the bytes are still cached when they are converted.
        const CONVERT_STEP_BYTES: u64 = 256 << 10;
        let needs_conversion = self.header.big_endian || self.header.dtype == crate::dtype::Dtype::BOOL;
        let whole = self.header.data_bytes;
        let step = if needs_conversion { CONVERT_STEP_BYTES } else { whole };
        let mut done = 0;
        while done < whole {
            let bytes = step.min(whole - done) as usize;
            let part = to.wrapping_add(done as usize);
            // SAFETY: the caller's obligation, on a part of the data.
            let n = unsafe { self.file.read_at(part, bytes, self.data_offset() + done) }
                .map_err(|errno| io_error(&self.origin, "cannot be read", errno))?;
            if n < bytes {
                return Err(self.cut_short(done + n as u64));
            }
            if needs_conversion {
                // SAFETY: as above.
                unsafe { self.convert(part, bytes) };
            }
            done += bytes as u64;
        }
        Ok(())
    }

    /// Converts whole elements in place, to native byte order and booleans of 0 and 1.
    ///
    /// # Safety
    /// - `at` may be read and written for `bytes` bytes, which are whole elements.
    unsafe fn convert(&self, at: *mut u8, bytes: usize) {
        // SAFETY: the caller's obligation. The components of a complex number are swapped one by one.
        unsafe {
            match self.header.dtype.align() {
                1 => convert_each(at, bytes, |byte: u8| u8::from(byte != 0)),
                2 => convert_each(at, bytes, u16::swap_bytes),
                4 => convert_each(at, bytes, u32::swap_bytes),
                _ => convert_each(at, bytes, u64::swap_bytes),
            }
        }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            // SAFETY: made by `map`, not passed on, and not used by any array.
            unsafe { mapping.unmap() };
        }
    }
}

/// Replaces each number by the result of `change`.
///
/// # Safety
/// - `at` may be read and written for `bytes` bytes, a multiple of the size of T.
unsafe fn convert_each<T: Copy>(at: *mut u8, bytes: usize, change: impl Fn(T) -> T) {
    let at = at.cast::<T>();
    for index in 0..bytes / size_of::<T>() {
        // SAFETY: the caller's obligation. The accesses are unaligned, because the destination need not be aligned.
        unsafe { at.add(index).write_unaligned(change(at.add(index).read_unaligned())) };
    }
}

fn io_error(origin: &Origin, what: &str, errno: Errno) -> Status {
    fail(TN_ERR_IO, format_args!("{origin} {what}: {errno}"))
}
