//! Opens files. Opening reads the header only; the data are read or mapped on request.

use super::header::{Header, Quoted, Tensor, parse};
use super::{MAX_HEADER_BYTES, PREFIX_BYTES};
use crate::blit::Scratch;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::exchange::npy::Origin;
use crate::sys::file::{self as sys, Access, Errno, Mapping};
use crate::types::*;
use core::ffi::CStr;

/// An open file with a valid header.
#[derive(Debug)]
pub struct File<'a> {
    header: Header,
    file: sys::File,
    origin: Origin<'a>,
    /// The offset of the data in the file.
    data_offset: u64,
    /// The length of the file when it was opened.
    bytes: u64,
}

impl<'a> File<'a> {
    /// Opens a file, from its first byte to its end.
    ///
    /// TN_ERR_LIMIT: the header has more than 100 000 000 bytes. TN_ERR_IO: the file cannot be opened or read.
    /// Otherwise as [`parse`].
    pub fn open(origin: Origin<'a>) -> Result<File<'a>> {
        let shown = &origin;
        let unread = |errno: Errno| fail(TN_ERR_IO, format_args!("{shown} cannot be read: {errno}"));
        let file = origin.open(libc::O_RDONLY)?;
        let stat = file.stat().map_err(unread)?;
        if !stat.is_regular() {
            let kind = if stat.is_folder() { "a folder" } else { "a pipe, socket or device" };
            return Err(fail(TN_ERR_IO, format_args!("{shown} is {kind}; only a regular file can be opened")));
        }
        // Nothing is behind the end of the file.
        let first = origin.offset().min(stat.bytes);
        let mut prefix = [0u8; PREFIX_BYTES as usize];
        // SAFETY: `prefix` has that many bytes.
        let n = unsafe { file.read_at(prefix.as_mut_ptr(), prefix.len(), first) }.map_err(unread)?;
        if n < prefix.len() {
            return Err(fail(TN_ERR_IO, format_args!("{shown} has {n} bytes; a safetensors file has at least 10")));
        }
        let length = u64::from_le_bytes(prefix);
        if length > MAX_HEADER_BYTES {
            return Err(fail(
                TN_ERR_LIMIT,
                format_args!("{shown} says that its header has {length} bytes; the format allows {MAX_HEADER_BYTES}"),
            ));
        }
        let (bytes, header_end) = (stat.bytes - first, PREFIX_BYTES + length);
        if header_end > bytes {
            return Err(fail(
                TN_ERR_IO,
                format_args!("{shown} has {bytes} bytes, and its header alone ends at byte {header_end}"),
            ));
        }
        let scratch = Scratch::new(length as usize)?;
        // SAFETY: the scratch has that many bytes.
        let n = unsafe { file.read_at(scratch.address(), length as usize, first + PREFIX_BYTES) }.map_err(unread)?;
        // SAFETY: the call above wrote `n` bytes. Only this function uses them, and `scratch` outlives the text.
        let text = unsafe { core::slice::from_raw_parts(scratch.address(), n) };
        if n < length as usize {
            return Err(fail(TN_ERR_IO, format_args!("{shown} was cut short while its header was read")));
        }
        let header = parse(text, bytes - header_end, shown)?;
        Ok(File { header, file, origin, data_offset: first + header_end, bytes: stat.bytes })
    }

    /// The header of the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The tensor of that name, or the only one whose name is listed so. TN_ERR_INVALID: there is none.
    pub fn tensor(&self, name: &CStr) -> Result<&Tensor> {
        if let Some(tensor) = self.header.find(name.to_bytes()) {
            return Ok(tensor);
        }
        let mut listed = self.header.find_listed(name.to_bytes());
        match (listed.next(), listed.next()) {
            (Some(tensor), None) => Ok(tensor),
            (first, _) => Err(self.unknown(Quoted(name.to_bytes()), first.is_some())),
        }
    }

    #[cold]
    fn unknown(&self, name: Quoted<'_>, ambiguous: bool) -> Status {
        let (shown, count) = (&self.origin, self.header.tensors().len());
        if ambiguous {
            let what = "several tensors whose names begin with";
            return fail(TN_ERR_INVALID, format_args!("{shown} has {what} {name}; pass the whole name"));
        }
        fail(
            TN_ERR_INVALID,
            format_args!("{shown} has no tensor {name} among its {count}; tn_safetensors_query lists them"),
        )
    }

    /// The offset of a tensor's bytes in the file.
    pub(super) fn offset_of(&self, tensor: &Tensor) -> u64 {
        self.data_offset + tensor.begin
    }

    /// The offsets in the file of the begin and the end of all data.
    pub(super) fn data(&self) -> (u64, u64) {
        (self.data_offset, self.bytes)
    }

    /// The element type of a tensor; TN_ERR_DTYPE: no array can have it.
    pub(super) fn dtype(&self, tensor: &Tensor) -> Result<Dtype> {
        tensor.dtype.ok_or_else(|| {
            let (shown, name) = (&self.origin, Quoted(self.header.name(tensor)));
            let type_name = Quoted(self.header.type_name(tensor));
            fail(
                TN_ERR_DTYPE,
                format_args!("{shown}: tensor {name} has elements of type {type_name}, which Tenure does not support"),
            )
        })
    }

    /// The error for an alias of a tensor that is not aligned for its elements.
    pub(super) fn misaligned(&self, tensor: &Tensor) -> Status {
        let (shown, name) = (&self.origin, Quoted(self.header.name(tensor)));
        fail(
            TN_ERR_WOULD_COPY,
            format_args!(
                "{shown} has tensor {name} at byte {}, not aligned for its elements; only a copy would do",
                self.offset_of(tensor)
            ),
        )
    }

    /// Maps the whole file read-only.
    pub(super) fn map(&self) -> Result<Mapping> {
        self.file.map(self.bytes as usize, Access::Read).map_err(|errno| {
            let shown = &self.origin;
            match errno.0 {
                libc::ENOMEM => fail(
                    TN_ERR_NO_HOST_MEMORY,
                    format_args!("{shown} cannot be mapped: no address space or memory for {} bytes", self.bytes),
                ),
                _ => fail(TN_ERR_IO, format_args!("{shown} cannot be mapped: {errno}")),
            }
        })
    }

    /// Reads a tensor's bytes.
    ///
    /// # Safety
    /// - `to` may be written for as many bytes as the tensor has.
    pub(super) unsafe fn read(&self, tensor: &Tensor, to: *mut u8) -> Result<()> {
        let bytes = tensor.bytes() as usize;
        // SAFETY: the caller's obligation.
        let read = unsafe { self.file.read_at(to, bytes, self.offset_of(tensor)) };
        let (shown, name) = (&self.origin, Quoted(self.header.name(tensor)));
        match read {
            Ok(n) if n == bytes => Ok(()),
            Ok(n) => {
                Err(fail(TN_ERR_IO, format_args!("{shown} was cut short: tensor {name} has {n} bytes of {bytes} left")))
            }
            Err(errno) => Err(fail(TN_ERR_IO, format_args!("{shown}: tensor {name} cannot be read: {errno}"))),
        }
    }
}
