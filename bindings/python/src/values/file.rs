//! Files as arguments: paths, and open files, which are used at their position (AR-62).
//!
//! Contract: an open file has a descriptor of its own file: `io.FileIO`, what `open(path, "rb")` returns, a temporary
//! file, or another object with `fileno()`. Its buffer is flushed first, and its position is passed on and set
//! afterwards. The descriptor is duplicated, so that another thread may close the file meanwhile.

use core::ffi::{CStr, c_int};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

/// A file that a caller passed.
pub enum FileArgument<'py> {
    Path(CString),
    Open(OpenFile<'py>),
}

/// An open file of Python.
pub struct OpenFile<'py> {
    object: Bound<'py, PyAny>,
    file: File,
    /// None: it has none, as a pipe.
    position: Option<u64>,
}

/// The file for a call of the library, without Python's objects.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Path(&'a CStr),
    /// A descriptor, and the position in the file.
    Open(c_int, u64),
}

/// The path in a str, bytes or `os.PathLike`.
pub fn path_of(object: &Bound<'_, PyAny>) -> PyResult<CString> {
    let bytes: Vec<u8> = object.py().import("os")?.getattr("fsencode")?.call1((object,))?.extract()?;
    CString::new(bytes).map_err(|_| match object.repr() {
        Ok(path) => PyValueError::new_err(format!("embedded null byte in the path {path}; remove it")),
        Err(error) => error,
    })
}

impl OpenFile<'_> {
    /// The descriptor, open as long as this value.
    pub fn fd(&self) -> c_int {
        self.file.as_raw_fd()
    }

    /// The position at which the caller's file stood.
    pub fn position(&self) -> u64 {
        self.position.unwrap_or(0)
    }

    fn set_position(&self, position: u64) -> PyResult<()> {
        if self.object.hasattr("seek")? {
            self.object.call_method1("seek", (position,))?;
            return Ok(());
        }
        (&self.file).seek(SeekFrom::Start(position)).map(drop).map_err(PyErr::from)
    }
}

impl<'py> FileArgument<'py> {
    /// The argument of a function that reads.
    pub fn to_read(object: &Bound<'py, PyAny>) -> PyResult<FileArgument<'py>> {
        FileArgument::of(object, "numpy.load(file) reads it, and tenure.array makes an array of the result")
    }

    /// The argument of a function that writes. The descriptor stands at the file's position.
    pub fn to_write(object: &Bound<'py, PyAny>) -> PyResult<FileArgument<'py>> {
        let file = FileArgument::of(object, "numpy.save(file, x) writes to it")?;
        if let FileArgument::Open(OpenFile { file, position: Some(position), .. }) = &file {
            (&*file).seek(SeekFrom::Start(*position))?;
        }
        Ok(file)
    }

    fn of(object: &Bound<'py, PyAny>, otherwise: &str) -> PyResult<FileArgument<'py>> {
        let is_path = object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>();
        if !is_path && !object.hasattr("__fspath__")? {
            return open(object, otherwise).map(FileArgument::Open);
        }
        path_of(object).map(FileArgument::Path)
    }

    /// For the call itself.
    pub fn source(&self) -> Source<'_> {
        match self {
            FileArgument::Path(path) => Source::Path(path),
            FileArgument::Open(file) => Source::Open(file.fd(), file.position()),
        }
    }

    /// The bytes from the beginning of the file, or from an open file's position, which stays as it is.
    pub fn reader(&self) -> io::Result<ReaderAt> {
        Ok(match self {
            FileArgument::Path(path) => ReaderAt(File::open(OsStr::from_bytes(path.to_bytes()))?, 0),
            FileArgument::Open(file) => ReaderAt(file.file.try_clone()?, file.position()),
        })
    }

    /// Moves an open file to a position.
    pub fn move_to(&self, position: u64) -> PyResult<()> {
        match self {
            FileArgument::Open(file) => file.set_position(position),
            FileArgument::Path(_) => Ok(()),
        }
    }

    /// Moves an open file to its end.
    pub fn move_to_end(&self) -> PyResult<()> {
        match self {
            FileArgument::Open(file) => file.set_position(file.file.metadata()?.len()),
            FileArgument::Path(_) => Ok(()),
        }
    }

    /// Moves an open file to where its descriptor stands, after a write to that.
    pub fn follow_descriptor(&self) -> PyResult<()> {
        match self {
            FileArgument::Open(file) if file.position.is_some() => {
                let now = (&file.file).stream_position()?;
                file.set_position(now)
            }
            _ => Ok(()),
        }
    }
}

/// Reads a file from a position on, and moves the position of no descriptor.
pub struct ReaderAt(File, u64);

impl Read for ReaderAt {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(to, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

fn type_error(object: &Bound<'_, PyAny>, why: &str, otherwise: &str) -> PyErr {
    match object.get_type().name() {
        Ok(what) => PyTypeError::new_err(format!(
            "a path or an open binary file is needed, not {what}{why}; pass the path, or open(path, \"rb\"); {otherwise}"
        )),
        Err(error) => error,
    }
}

fn open<'py>(object: &Bound<'py, PyAny>, otherwise: &str) -> PyResult<OpenFile<'py>> {
    let refuse = |why: &str| Err(type_error(object, why, otherwise));
    let io = object.py().import("io")?;
    let is = |object: &Bound<'py, PyAny>, class: &str| object.is_instance(&io.getattr(class)?);
    if is(object, "TextIOBase")? {
        return refuse(", which is open in text mode: its position counts characters");
    }
    // A stream that decompresses has the descriptor of the compressed file.
    let is_stream = is(object, "BufferedIOBase")? || is(object, "RawIOBase")?;
    if is_stream && !is(object, "FileIO")? {
        let raw = object.getattr("raw").ok();
        if !raw.map(|raw| is(&raw, "FileIO")).transpose()?.unwrap_or(false) {
            return refuse(", which has no file of its own");
        }
    }
    if !object.hasattr("fileno")? {
        return refuse("");
    }
    let number: c_int = match object.call_method0("fileno") {
        Ok(number) => number.extract()?,
        // io.UnsupportedOperation is one.
        Err(error) if error.is_instance_of::<PyOSError>(object.py()) => {
            let refusal = type_error(object, ", which has no descriptor", otherwise);
            refusal.set_cause(object.py(), Some(error));
            return Err(refusal);
        }
        Err(error) => return Err(error),
    };
    if number < 0 {
        return refuse(", whose fileno() is negative");
    }
    // SAFETY: used for the duplicate only; a number that is not open gives an error.
    let file = File::from(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?);
    if object.hasattr("flush")? {
        object.call_method0("flush")?;
    }
    let position = if object.hasattr("tell")? {
        match object.call_method0("tell") {
            Ok(position) => Some(position.extract()?),
            Err(error) if error.is_instance_of::<PyOSError>(object.py()) => None,
            Err(error) => return Err(error),
        }
    } else {
        (&file).stream_position().ok()
    };
    Ok(OpenFile { object: object.clone(), file, position })
}
