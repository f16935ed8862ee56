//! Status codes and error messages.
//!
//! Contract: the layer that detects an error writes a draft of the message with [`fail`], and returns the [`Status`].
//! Only `boundary` publishes the draft, which `tn_last_error` then returns. So a caller never sees an error that an
//! inner layer handled. The draft and the published message are fixed buffers of the thread, so failing needs no
//! memory.
#![forbid(unsafe_code)]

use crate::types::*;
use core::cell::{Cell, RefCell};
use core::fmt::{self, Write};

/// A failure: any `tn_status` but TN_OK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(tn_status);

impl Status {
    /// The status code of C.
    pub fn code(self) -> tn_status {
        self.0
    }
}

/// The result of a fallible function.
pub type Result<T> = core::result::Result<T, Status>;

/// The panic payload of a thread whose first call finds no memory for the thread's record. The code that finds out
/// cannot return a status; `boundary` turns the panic into one.
pub struct NoRecord;

/// Longest message, without the NUL.
pub const TEXT_BYTES: usize = 500;

/// A text of at most [`TEXT_BYTES`] bytes; longer text is cut at a character.
pub struct Text {
    bytes: [u8; TEXT_BYTES + 1],
    length: usize,
}

impl Text {
    /// An empty text.
    pub const fn new() -> Text {
        Text { bytes: [0; TEXT_BYTES + 1], length: 0 }
    }
    /// The text as a string.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
    fn clear(&mut self) {
        self.length = 0;
        self.bytes[0] = 0;
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::new()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut end = text.len().min(TEXT_BYTES - self.length);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes[self.length..self.length + end].copy_from_slice(&text.as_bytes()[..end]);
        self.length += end;
        self.bytes[self.length] = 0;
        if end == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

thread_local! {
    // `const` and without Drop: no destructor is registered, so they work while the thread ends.
    static DRAFT: RefCell<Text> = const { RefCell::new(Text::new()) };
    static PUBLISHED: RefCell<Text> = const { RefCell::new(Text::new()) };
    static PUBLISHED_AT: Cell<*const core::ffi::c_char> = const { Cell::new(c"".as_ptr()) };
}

/// Writes the draft of the message, and returns the status: `return Err(fail(..))`.
#[cold]
#[inline(never)]
pub fn fail(status: tn_status, text: fmt::Arguments<'_>) -> Status {
    debug_assert!(status != TN_OK);
    DRAFT.with(|draft| {
        // If an argument's Display calls `fail` itself, the draft is borrowed: the status stays, and that text is
        // dropped. A long text is cut.
        if let Ok(mut draft) = draft.try_borrow_mut() {
            draft.clear();
            let _ = draft.write_fmt(text);
        }
    });
    Status(status)
}

/// A copy of the draft, for callers that cannot return a status.
#[cold]
pub fn drafted() -> Text {
    let mut text = Text::new();
    DRAFT.with(|draft| {
        if let Ok(draft) = draft.try_borrow() {
            let _ = text.write_str(draft.as_str());
        }
    });
    text
}

/// Runs `work` and restores the draft, also if `work` fails.
pub fn quietly<R>(work: impl FnOnce() -> R) -> R {
    let before = drafted();
    let result = work();
    DRAFT.with(|draft| {
        if let Ok(mut draft) = draft.try_borrow_mut() {
            *draft = before;
        }
    });
    result
}

/// Puts a parameter's name in front of the draft.
#[cold]
pub fn about(status: Status, parameter: impl fmt::Display) -> Status {
    let mut text = Text::new();
    DRAFT.with(|draft| {
        let _ = write!(text, "{parameter}: {}", draft.borrow().as_str());
    });
    fail(status.code(), format_args!("{}", text.as_str()))
}

/// Of several errors the first in the order of checks, see [`rank`], with its message. Of those with one rank it is the
/// one that was seen first.
#[derive(Default)]
pub struct FirstError(Option<(Status, Text)>);

impl FirstError {
    /// Sees an error, whose message is the draft.
    #[cold]
    pub fn see(&mut self, found: Status) {
        if self.0.as_ref().is_none_or(|(first, _)| rank(found.code()) < rank(first.code())) {
            self.0 = Some((found, drafted()));
        }
    }

    /// The first error, with its message as the draft; None: none was seen.
    pub fn into_status(self) -> Option<Status> {
        self.0.map(|(status, text)| fail(status.code(), format_args!("{}", text.as_str())))
    }
}

/// An error that is reported later, with its message.
pub struct Kept {
    status: Status,
    text: Text,
}

impl Kept {
    /// Keeps an error, whose message is the draft.
    #[cold]
    pub fn new(status: Status) -> Kept {
        Kept { status, text: drafted() }
    }

    /// Writes the message as the draft again, and returns the status.
    #[cold]
    pub fn report(&self) -> Status {
        fail(self.status.code(), format_args!("{}", self.text.as_str()))
    }
}

/// Another status with the draft of this one as its message.
#[cold]
pub fn recode(status: Status, code: tn_status) -> Status {
    if status.code() == code { status } else { Status(code) }
}

/// Publishes the draft, with the function's name in front, as the message of `tn_last_error`. Called only by
/// `boundary`.
#[cold]
#[inline(never)]
pub fn publish(function: &str) {
    PUBLISHED.with(|published| {
        let mut published = published.borrow_mut();
        published.clear();
        DRAFT.with(|draft| {
            let _ = write!(published, "{function}: {}", draft.borrow().as_str());
        });
        PUBLISHED_AT.set(published.bytes.as_ptr().cast());
    });
}

/// The published message, NUL-terminated and valid until the thread's next error; "" if there was none.
pub fn published() -> *const core::ffi::c_char {
    PUBLISHED_AT.get()
}

/// The position of a status in the order of checks. If several apply, a call returns the one with the lowest position.
/// The order is: the arguments alone, the states of the handles, the arguments against the array, conflicts with other
/// users, and the work itself.
pub fn rank(status: tn_status) -> u8 {
    const ORDER: [tn_status; 35] = [
        TN_OK,
        TN_ERR_NULL,
        TN_ERR_STALE,
        TN_ERR_KIND,
        TN_ERR_INVALID,
        TN_ERR_DESTRUCTED,
        TN_ERR_GIVEN,
        TN_ERR_COUNT,
        TN_ERR_DUPLICATE,
        TN_ERR_DTYPE,
        TN_ERR_OVERFLOW,
        TN_ERR_SHAPE,
        TN_ERR_RANGE,
        TN_ERR_LAYOUT,
        TN_ERR_DEVICE,
        TN_ERR_UNSUPPORTED,
        TN_ERR_POISONED,
        TN_ERR_READONLY,
        TN_ERR_BORROWED_WRITE,
        TN_ERR_BORROWED,
        TN_ERR_EXPORTED,
        TN_ERR_SHARED,
        TN_ERR_IN_EXPRESSION,
        TN_ERR_PENDING,
        TN_ERR_FOREIGN,
        TN_ERR_ALIASED,
        TN_ERR_WOULD_COPY,
        TN_ERR_FAILED,
        TN_ERR_NO_HOST_MEMORY,
        TN_ERR_NO_DEVICE_MEMORY,
        TN_ERR_POOL_LIMIT,
        TN_ERR_DRIVER,
        TN_ERR_IO,
        TN_ERR_LIMIT,
        TN_ERR_PANIC,
    ];
    ORDER.iter().position(|s| *s == status).unwrap_or(ORDER.len()) as u8
}

/// The symbolic name of a status.
pub fn name(status: tn_status) -> &'static core::ffi::CStr {
    match status {
        TN_OK => c"TN_OK",
        TN_ERR_NULL => c"TN_ERR_NULL",
        TN_ERR_STALE => c"TN_ERR_STALE",
        TN_ERR_KIND => c"TN_ERR_KIND",
        TN_ERR_DESTRUCTED => c"TN_ERR_DESTRUCTED",
        TN_ERR_GIVEN => c"TN_ERR_GIVEN",
        TN_ERR_POISONED => c"TN_ERR_POISONED",
        TN_ERR_READONLY => c"TN_ERR_READONLY",
        TN_ERR_BORROWED_WRITE => c"TN_ERR_BORROWED_WRITE",
        TN_ERR_BORROWED => c"TN_ERR_BORROWED",
        TN_ERR_EXPORTED => c"TN_ERR_EXPORTED",
        TN_ERR_SHARED => c"TN_ERR_SHARED",
        TN_ERR_IN_EXPRESSION => c"TN_ERR_IN_EXPRESSION",
        TN_ERR_PENDING => c"TN_ERR_PENDING",
        TN_ERR_FOREIGN => c"TN_ERR_FOREIGN",
        TN_ERR_COUNT => c"TN_ERR_COUNT",
        TN_ERR_DUPLICATE => c"TN_ERR_DUPLICATE",
        TN_ERR_RANGE => c"TN_ERR_RANGE",
        TN_ERR_INVALID => c"TN_ERR_INVALID",
        TN_ERR_DTYPE => c"TN_ERR_DTYPE",
        TN_ERR_SHAPE => c"TN_ERR_SHAPE",
        TN_ERR_LAYOUT => c"TN_ERR_LAYOUT",
        TN_ERR_DEVICE => c"TN_ERR_DEVICE",
        TN_ERR_WOULD_COPY => c"TN_ERR_WOULD_COPY",
        TN_ERR_ALIASED => c"TN_ERR_ALIASED",
        TN_ERR_FAILED => c"TN_ERR_FAILED",
        TN_ERR_NO_HOST_MEMORY => c"TN_ERR_NO_HOST_MEMORY",
        TN_ERR_NO_DEVICE_MEMORY => c"TN_ERR_NO_DEVICE_MEMORY",
        TN_ERR_POOL_LIMIT => c"TN_ERR_POOL_LIMIT",
        TN_ERR_UNSUPPORTED => c"TN_ERR_UNSUPPORTED",
        TN_ERR_DRIVER => c"TN_ERR_DRIVER",
        TN_ERR_IO => c"TN_ERR_IO",
        TN_ERR_LIMIT => c"TN_ERR_LIMIT",
        TN_ERR_PANIC => c"TN_ERR_PANIC",
        TN_ERR_OVERFLOW => c"TN_ERR_OVERFLOW",
        _ => c"TN_ERR_?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        PUBLISHED.with(|t| t.borrow().as_str().to_owned())
    }

    #[test]
    fn a_draft_is_seen_only_once_published() {
        let status = fail(TN_ERR_RANGE, format_args!("index {} is outside", 12));
        assert_eq!(status.code(), TN_ERR_RANGE);
        assert_eq!(text(), "");
        publish("tn_array_index");
        assert_eq!(text(), "tn_array_index: index 12 is outside");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        fail(TN_ERR_INVALID, format_args!("{}", "ä".repeat(400)));
        publish("f");
        assert!(text().len() <= TEXT_BYTES);
        assert!(text().ends_with('ä'));
    }
}
