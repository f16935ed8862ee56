//! Pointers that callers pass: outputs are written, inputs are read, NULL is refused.

use super::status::{Answer, INVALID_VALUE};
use std::ffi::{CStr, c_char};

/// Writes an output; NULL is an invalid argument.
pub fn put<T>(out: *mut T, value: T) -> Answer {
    if out.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not NULL, and by the driver's interface writable for one T, perhaps unaligned in a caller's packed
    // struct.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Writes an output that the caller may leave out with NULL.
pub fn put_optional<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: as in `put`.
        unsafe { out.write_unaligned(value) };
    }
}

/// Writes a text with its NUL, cut to `length` bytes.
pub fn put_text(out: *mut c_char, length: usize, text: &[u8]) -> Answer {
    if out.is_null() || length == 0 {
        return Err(INVALID_VALUE);
    }
    let kept = text.len().min(length - 1);
    // SAFETY: the caller's buffer has `length` bytes, by the driver's interface.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), out.cast(), kept);
        *out.add(kept) = 0;
    }
    Ok(())
}

/// Reads an input; NULL is an invalid argument.
pub fn get<T: Copy>(input: *const T) -> Answer<T> {
    if input.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not NULL, and by the driver's interface one T.
    Ok(unsafe { input.read_unaligned() })
}

/// Borrows a C string for the duration of the call; NULL is an invalid argument.
pub fn get_text<'a>(input: *const c_char) -> Answer<&'a CStr> {
    if input.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's C string, by the driver's interface; used during the call only.
    Ok(unsafe { CStr::from_ptr(input) })
}
