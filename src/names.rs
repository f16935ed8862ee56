//! Names and devices for messages and reports.
//!
//! Contract: a [`Name`] is at most 63 bytes of UTF-8, stored inline. It needs neither a table nor a reference count, so
//! cloning a handle touches no shared memory.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;
use core::ffi::{CStr, c_char};
use core::fmt;

/// The longest name. With its NUL it fills the 64 bytes of the C structs.
pub const NAME_BYTES: usize = 63;

/// The UTF-8 at the start of a text of another library, up to its NUL.
pub fn readable(text: &[u8]) -> &str {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    match core::str::from_utf8(&text[..end]) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Whether a character is obeyed and not shown: a control character, or one that changes the direction of the text
/// around it. https://www.unicode.org/reports/tr9/
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most 63 bytes of UTF-8.
#[derive(Clone, Copy)]
pub struct Name {
    length: u8,
    bytes: [u8; NAME_BYTES],
}

impl Name {
    /// No name.
    pub const NONE: Name = Name { length: 0, bytes: [0; NAME_BYTES] };

    /// The first 63 bytes, cut at a character.
    pub fn head(text: &str) -> Name {
        let mut end = text.len().min(NAME_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Name::exact(&text[..end])
    }

    /// The first bytes of a name that another process chose. Characters that a terminal would obey are replaced: names
    /// are in messages.
    pub fn of_sender(text: &str) -> Name {
        let mut name = Name::NONE;
        for c in text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }) {
            let end = name.length as usize + c.len_utf8();
            if end > NAME_BYTES {
                break;
            }
            c.encode_utf8(&mut name.bytes[name.length as usize..]);
            name.length = end as u8;
        }
        name
    }

    /// The last 63 bytes, cut at a character. The end of a path is its most useful part.
    pub fn tail(text: &str) -> Name {
        let mut start = text.len().saturating_sub(NAME_BYTES);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        Name::exact(&text[start..])
    }

    fn exact(text: &str) -> Name {
        let mut name = Name::NONE;
        name.bytes[..text.len()].copy_from_slice(text.as_bytes());
        name.length = text.len() as u8;
        name
    }

    /// A name from C. TN_ERR_INVALID: it is not UTF-8.
    pub fn of(text: &CStr) -> Result<Name> {
        match text.to_str() {
            Ok(text) => Ok(Name::head(text)),
            Err(error) => {
                let (at, bytes) = (error.valid_up_to(), text.to_bytes());
                let valid = Name::head(core::str::from_utf8(&bytes[..at]).unwrap_or_default());
                Err(fail(
                    TN_ERR_INVALID,
                    format_args!(
                        "the name is not UTF-8: byte {at}, behind \"{}\", is {:#04x}; encode it in UTF-8",
                        valid.as_str(),
                        bytes[at]
                    ),
                ))
            }
        }
    }

    /// Whether there is no name.
    pub fn is_none(&self) -> bool {
        self.length == 0
    }

    /// Ends the name. [`Name::ended`] still tells it, until another one is assigned.
    #[inline]
    pub fn end(&mut self) {
        self.length = 0;
    }

    /// The name that was ended last.
    pub fn ended(&self) -> Name {
        Name::head(readable(&self.bytes))
    }

    /// The name; "" if there is none.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length as usize]).unwrap_or("")
    }

    /// The FNV-1a hash of the name.
    pub fn hashed(&self) -> u64 {
        let text = &self.bytes[..self.length as usize];
        text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    }

    /// The name with its NUL, as in the C structs.
    pub fn to_c(&self) -> [c_char; 64] {
        let mut out = [0; 64];
        for (to, from) in out.iter_mut().zip(&self.bytes[..self.length as usize]) {
            *to = *from as c_char;
        }
        out
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a device type in messages.
pub fn device_type_name(device_type: tn_device_type) -> &'static str {
    match device_type {
        TN_CPU => "cpu",
        TN_CUDA => "cuda",
        TN_CUDA_HOST => "cuda_host",
        TN_CUDA_MANAGED => "cuda_managed",
        _ => "unknown",
    }
}

/// A device in messages, written like the C struct: "{cuda, 0}".
pub struct DeviceName(pub tn_device);

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match device_type_name(self.0.r#type) {
            "unknown" => write!(f, "{{{}, {}}}", self.0.r#type, self.0.id),
            name => write!(f, "{{{name}, {}}}", self.0.id),
        }
    }
}

/// A path in quotes. A long path is cut at its beginning, because the end says more. Bytes that are not UTF-8 become
/// replacement characters.
pub struct Path<'a>(pub &'a CStr);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest reason must still fit in an error text of 500 bytes, even if each byte becomes a replacement
        // character.
        const MAX_SHOWN_BYTES: usize = 200;
        let bytes = self.0.to_bytes();
        fmt::Write::write_char(f, '"')?;
        let mut start = bytes.len().saturating_sub(MAX_SHOWN_BYTES);
        if start > 0 {
            f.write_str("...")?;
            // Does not cut a character in two.
            while start < bytes.len() && bytes[start] & 0xC0 == 0x80 {
                start += 1;
            }
        }
        let mut remaining = MAX_SHOWN_BYTES;
        for chunk in bytes[start..].utf8_chunks() {
            f.write_str(chunk.valid())?;
            remaining = remaining.saturating_sub(chunk.valid().len());
            if !chunk.invalid().is_empty() && remaining >= 3 {
                fmt::Write::write_char(f, char::REPLACEMENT_CHARACTER)?;
                remaining -= 3;
            }
        }
        fmt::Write::write_char(f, '"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_characters() {
        let text = format!("{}äb", "x".repeat(62));
        assert_eq!(Name::head(&text).as_str(), "x".repeat(62));
        assert!(Name::tail(&text).as_str().ends_with("äb"));
        assert_eq!(Name::head("short").as_str(), "short");
        assert_eq!(Name::NONE.to_c()[0], 0);
    }

    #[test]
    fn a_senders_name_commands_no_terminal() {
        assert_eq!(Name::of_sender("a\u{1b}[2J\u{202e}ä").as_str(), "a\u{fffd}[2J\u{fffd}ä");
        assert_eq!(Name::of_sender(&"x".repeat(80)).as_str(), "x".repeat(63));
        assert_eq!(Name::of_sender(&"\u{7}".repeat(80)).as_str(), "\u{fffd}".repeat(21));
        assert!(Name::of_sender("").is_none());
    }

    #[test]
    fn a_long_path_keeps_its_end_whole() {
        let path = ["ä".repeat(300).as_bytes(), b"/file.npy\0"].concat();
        let text = Path(CStr::from_bytes_with_nul(&path).unwrap()).to_string();
        assert!(text.starts_with("\"...ä") && text.ends_with("ä/file.npy\""), "{text}");
        assert_eq!(Path(c"a b.npy").to_string(), "\"a b.npy\"");
    }
}
