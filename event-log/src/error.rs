//! Why there is no log.

use std::fmt;
use std::io;

/// Why bytes gave no log, or a log could not be written.
#[derive(Debug)]
pub enum Error {
    /// A file could not be read or written.
    Io(io::Error),
    /// The bytes at `offset` are not what the format has there.
    Malformed {
        /// Where, in bytes from the beginning of the unpacked file.
        offset: u64,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is not enough memory for the events of the log.
    Memory {
        /// Bytes that the events need.
        bytes: u64,
    },
}

impl Error {
    pub(crate) fn at(offset: usize, problem: impl Into<String>, remedy: &'static str) -> Error {
        Error::Malformed { offset: offset as u64, problem: problem.into(), remedy }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => error.fmt(f),
            Error::Malformed { offset, problem, remedy } => write!(f, "{problem} at byte {offset}; {remedy}"),
            Error::Memory { bytes } => write!(f, "the events need {bytes} bytes of memory; read a shorter log"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}
