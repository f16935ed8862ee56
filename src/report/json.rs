//! A JSON writer: values are written one after another into a sink.
//!
//! Contract: allocates nothing and cannot fail; it ignores errors of the sink. It writes commas, quotes and escapes.
//! Texts are UTF-8.
#![forbid(unsafe_code)]

use crate::names::is_obeyed;
use core::fmt::{self, Write};

/// Writes one JSON text. Values of an object are written as named fields, those of a list by `value`, `item` and
/// `open`.
pub struct Json<'a> {
    sink: &'a mut dyn Write,
    /// The next value follows another one in its object or list, so it needs a comma.
    follows: bool,
}

/// A text as it stands between the quotes. Whoever prints the JSON on a terminal sees all characters of a name.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_escaped = |c| matches!(c, '"' | '\\') || is_obeyed(c);
        let mut rest = self.0;
        // Nearly all names have nothing to escape.
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
            f.write_str(&rest[..at])?;
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c => write!(f, "\\u{:04x}", u32::from(c))?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

impl<'a> Json<'a> {
    /// An empty text.
    pub(crate) fn new(sink: &'a mut dyn Write) -> Json<'a> {
        Json { sink, follows: false }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // A full sink only counts the rest, and no error can be returned here.
        let _ = self.sink.write_fmt(text);
    }

    fn separate(&mut self) {
        if core::mem::replace(&mut self.follows, true) {
            self.put(format_args!(","));
        }
    }

    fn name(&mut self, name: &str) {
        self.separate();
        self.put(format_args!("\"{name}\":"));
    }

    /// Begins an object or a list with its bracket; `close` ends it.
    pub(crate) fn open(&mut self, bracket: char) {
        self.separate();
        self.put(format_args!("{bracket}"));
        self.follows = false;
    }

    /// Begins an object or a list as a field of an object.
    pub(crate) fn open_field(&mut self, name: &str, bracket: char) {
        self.name(name);
        self.put(format_args!("{bracket}"));
        self.follows = false;
    }

    /// Ends what `open` began.
    pub(crate) fn close(&mut self, bracket: char) {
        self.put(format_args!("{bracket}"));
        self.follows = true;
    }

    /// A field that is a number.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<i128>) {
        self.name(name);
        self.put(format_args!("{}", value.into()));
    }

    /// A field that is an id or an address: hexadecimal, because 64 bits do not fit the numbers of every reader.
    pub(crate) fn bits(&mut self, name: &str, value: u64) {
        self.name(name);
        self.put(format_args!("\"{value:#x}\""));
    }

    /// A field that is true or false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.put(format_args!("{value}"));
    }

    /// A field that is a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.put(format_args!("\"{}\"", Escaped(value)));
    }

    /// A field that has no value.
    pub(crate) fn null(&mut self, name: &str) {
        self.name(name);
        self.put(format_args!("null"));
    }

    /// A number in a list.
    pub(crate) fn value(&mut self, value: impl Into<i128>) {
        self.separate();
        self.put(format_args!("{}", value.into()));
    }

    /// A time in a list, in seconds.
    pub(crate) fn seconds(&mut self, ns: u64) {
        self.separate();
        self.put(format_args!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000));
    }

    /// A text in a list.
    pub(crate) fn item(&mut self, value: &str) {
        self.separate();
        self.put(format_args!("\"{}\"", Escaped(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_quotes_and_escapes_are_right() {
        let mut text = String::new();
        let mut json = Json::new(&mut text);
        json.open('{');
        json.open_field("empty", '[');
        json.close(']');
        json.open_field("list", '[');
        json.item("a");
        json.open('{');
        json.number("n", -3);
        json.number("m", u64::MAX);
        json.close('}');
        json.item("b\"\\\n\u{1}ä");
        json.item("\u{7f}\u{9b}\u{202e}\u{2066}");
        json.close(']');
        json.flag("yes", true);
        json.null("none");
        json.bits("id", 0xff00_0000_0000_0001);
        json.text("t", "x");
        json.close('}');
        let wanted = "{\"empty\":[],\"list\":[\"a\",{\"n\":-3,\"m\":18446744073709551615},\"b\\\"\\\\\\u000a\\u0001ä\",\
                      \"\\u007f\\u009b\\u202e\\u2066\"],\
                      \"yes\":true,\"none\":null,\"id\":\"0xff00000000000001\",\"t\":\"x\"}";
        assert_eq!(text, wanted);
    }
}
