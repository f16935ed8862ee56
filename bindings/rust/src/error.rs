//! Errors: a status of the library with its message.

use crate::sys;
use std::ffi::CStr;
use std::fmt;

/// What calls of this crate return.
pub type Result<V> = std::result::Result<V, Error>;

/// Which error it was: one of the TN_ERR_ constants of `tenure.h`. Newer libraries may have more.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(sys::tn_status);

macro_rules! statuses {
    ($($name:ident = $constant:ident, $text:literal;)*) => {
        impl Status {
            $(#[doc = $text] pub const $name: Status = Status(sys::$constant);)*
        }
    };
}

statuses! {
    NULL = TN_ERR_NULL, "An argument that must not be NULL is NULL.";
    STALE = TN_ERR_STALE, "The handle was released.";
    KIND = TN_ERR_KIND, "The handle is of another kind.";
    DESTRUCTED = TN_ERR_DESTRUCTED, "The array was taken by another holder.";
    GIVEN = TN_ERR_GIVEN, "The array was given away.";
    POISONED = TN_ERR_POISONED, "A failed writer left the elements undefined.";
    READONLY = TN_ERR_READONLY, "The array must not be written.";
    BORROWED_WRITE = TN_ERR_BORROWED_WRITE, "An open write guard overlaps the bytes.";
    BORROWED = TN_ERR_BORROWED, "An open read guard overlaps the bytes.";
    EXPORTED = TN_ERR_EXPORTED, "An export of the bytes is alive.";
    SHARED = TN_ERR_SHARED, "Other handles have claims on the bytes.";
    IN_EXPRESSION = TN_ERR_IN_EXPRESSION, "A lazy expression holds the bytes.";
    PENDING = TN_ERR_PENDING, "Device work on the bytes is not finished.";
    FOREIGN = TN_ERR_FOREIGN, "The bytes are lent by another owner, who may still use them.";
    COUNT = TN_ERR_COUNT, "A list has too few or too many items.";
    DUPLICATE = TN_ERR_DUPLICATE, "An item is in a list twice.";
    RANGE = TN_ERR_RANGE, "An index or axis is out of range.";
    INVALID = TN_ERR_INVALID, "An argument is invalid by itself.";
    DTYPE = TN_ERR_DTYPE, "The elements are of another type.";
    SHAPE = TN_ERR_SHAPE, "The shape does not fit.";
    LAYOUT = TN_ERR_LAYOUT, "The elements do not lie as the call needs them.";
    DEVICE = TN_ERR_DEVICE, "The bytes are on another device than the call needs.";
    WOULD_COPY = TN_ERR_WOULD_COPY, "Only a copy is possible, and the caller refused one.";
    ALIASED = TN_ERR_ALIASED, "Two operands overlap that must not.";
    FAILED = TN_ERR_FAILED, "The operation failed.";
    NO_HOST_MEMORY = TN_ERR_NO_HOST_MEMORY, "The host is out of memory.";
    NO_DEVICE_MEMORY = TN_ERR_NO_DEVICE_MEMORY, "The device is out of memory.";
    POOL_LIMIT = TN_ERR_POOL_LIMIT, "The pool would exceed its limit.";
    UNSUPPORTED = TN_ERR_UNSUPPORTED, "Not supported here.";
    DRIVER = TN_ERR_DRIVER, "The device's driver reported an error.";
    IO = TN_ERR_IO, "A file could not be opened, read or written.";
    LIMIT = TN_ERR_LIMIT, "A table of the library is full.";
    PANIC = TN_ERR_PANIC, "A bug in the library was caught.";
    OVERFLOW = TN_ERR_OVERFLOW, "A size does not fit into 64 bits.";
}

impl Status {
    /// The number of the C interface.
    pub fn code(self) -> u32 {
        self.0
    }

    /// The name of the C interface: "TN_ERR_BORROWED".
    pub fn name(self) -> &'static str {
        // SAFETY: the function takes every number, and returns a text that lives as long as the library.
        let text = unsafe { CStr::from_ptr(sys::tn_status_name(self.0)) };
        text.to_str().unwrap_or("TN_ERR")
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call that failed, and changed nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: Box<str>,
}

impl Error {
    /// An error that this crate detects.
    pub(crate) fn new(status: Status, message: impl Into<Box<str>>) -> Error {
        Error { status, message: message.into() }
    }

    /// Which error it is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The library's message: the function, what was wrong, the offending values, what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status.name())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// The result of a C call, with the message of this thread's last failure.
pub(crate) fn check(status: sys::tn_status) -> Result<()> {
    if status == sys::TN_OK {
        return Ok(());
    }
    // SAFETY: the message is NUL-terminated, and unchanged until this thread's next call.
    let message = unsafe { CStr::from_ptr(sys::tn_last_error()) };
    Err(Error::new(Status(status), message.to_string_lossy()))
}

/// A call that would have used up its receiver and failed: the error, and the receiver as it was.
///
/// `?` in a function that returns [`Result`] keeps the error and drops the value.
pub struct Refused<V> {
    /// Why.
    pub error: Error,
    /// What the call was made on.
    pub value: V,
}

impl<V> Refused<V> {
    pub(crate) fn new(error: Error, value: V) -> Refused<V> {
        Refused { error, value }
    }
}

impl<V> From<Refused<V>> for Error {
    fn from(refused: Refused<V>) -> Error {
        refused.error
    }
}

impl<V> fmt::Debug for Refused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl<V> fmt::Display for Refused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<V> std::error::Error for Refused<V> {}
