//! Saves arrays as files: the header, then the data.
//!
//! Contract: a file is replaced in one step (`exchange::new_file`). Only data that are not dense need memory: one
//! staging buffer (IO-10).

use super::write::Head;
use crate::blit::{self, HostView, Scratch};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::exchange::new_file::{NewFile, Target};
use crate::flags;
use crate::layout::{Layout, Order};
use crate::names::Path;
use crate::sys::file::{Errno, File};
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

    /// Writes `layout` in parts along `axis`, each packed in the scratch. If one index is larger than the scratch, it
    /// is cut along the next axis. The recursion is at most as deep as there are axes.
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
        // SAFETY: the scratch is at least as long as any part, and only this call uses it. The view vouches for its
        // parts.
        unsafe { blit::copy(&HostView::new(&packed), &HostView::new(part))? };
        // SAFETY: as above; the copy has initialised the bytes.
        unsafe { self.write(address, packed.bytes() as usize) }
    }
}

/// Saves a view: in F order if it is F- but not C-contiguous, else in C order. Fails as [`save`], and with
/// TN_ERR_NO_HOST_MEMORY.
pub fn save_view(path: &CStr, view: &HostView, flags: u32) -> Result<()> {
    let (layout, order) = (view.layout(), order_of(view));
    save(path, layout.dtype(), order, layout.shape(), flags, |sink| sink.write_view(view, order))
}

fn order_of(view: &HostView) -> Order {
    let layout = view.layout();
    if layout.is_f() && !layout.is_c() { Order::F } else { Order::C }
}

/// Writes a view as [`save_view`] does, at the position of the caller's descriptor. A failure may leave a part of it
/// there.
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
/// TN_ERR_INVALID: flags other than TN_IO_SYNC and TN_IO_EXCLUSIVE. TN_ERR_DTYPE: bfloat16. TN_ERR_IO: the file cannot
/// be written, or exists already and the flags have TN_IO_EXCLUSIVE. A failure of `produce` is returned.
pub fn save(
    path: &CStr,
    dtype: Dtype,
    order: Order,
    shape: &[i64],
    flags: u32,
    produce: impl FnOnce(&mut Sink) -> Result<()>,
) -> Result<()> {
    flags::check("flags", flags, TN_IO_SYNC | TN_IO_EXCLUSIVE, &flags::SAVE)?;
    let head = Head::new(dtype, order, shape)?;
    // The layout checks for overflow and negative lengths.
    let data = Layout::contiguous(dtype, shape, order, 0)?.bytes() as u64;
    let target = Target::find(path, flags)?;
    let new_file = NewFile::make(&target)?;
    let remaining = data + head.as_bytes().len() as u64;
    Sink { file: new_file.file(), name: FileName::Path(path), remaining }.write_file(&head, produce)?;
    new_file.install(&target)
}
