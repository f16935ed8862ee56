//! A JSON writer: values are written one after another into a sink.
//!
//! Contract: allocates nothing and cannot fail; it ignores errors of the sink. It writes commas, quotes and escapes.
//! Texts are UTF-8.
#![forbid(unsafe_code)]

use crate::names::is_obeyed;
use arrayvec::ArrayVec;
use core::fmt::Write;

/// Bytes that are collected before the sink receives them.
const BUFFER_BYTES: usize = 4096;

/// Writes one JSON text. Values of an object are written as named fields, those of a list by `value`, `item` and
/// `open`. The sink has the whole text when the writer is dropped.
pub struct Json<'a> {
    sink: &'a mut dyn Write,
    /// Whole characters.
    buffer: ArrayVec<u8, BUFFER_BYTES>,
    /// The next value follows another one in its object or list, so it needs a comma.
    follows: bool,
}

/// Writes whole characters. A full sink only counts the rest, and the writer can return no error.
fn write(sink: &mut dyn Write, text: &[u8]) {
    let _ = sink.write_str(core::str::from_utf8(text).unwrap_or_default());
}

impl Drop for Json<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<'a> Json<'a> {
    /// An empty text.
    pub(crate) fn new(sink: &'a mut dyn Write) -> Json<'a> {
        Json { sink, buffer: ArrayVec::new(), follows: false }
    }

    fn flush(&mut self) {
        write(self.sink, &self.buffer);
        self.buffer.clear();
    }

    /// Puts whole characters.
    #[inline]
    fn put(&mut self, text: impl AsRef<[u8]>) {
        if self.buffer.try_extend_from_slice(text.as_ref()).is_err() {
            self.put_slow(text.as_ref());
        }
    }

    #[cold]
    fn put_slow(&mut self, text: &[u8]) {
        self.flush();
        if self.buffer.try_extend_from_slice(text).is_err() {
            write(self.sink, text);
        }
    }

    /// Puts a number with at least `least` digits. `core::fmt` takes several times as long.
    fn digits<const BASE: u64>(&mut self, mut value: u64, least: usize) {
        let mut digits = [0; u64::MAX.ilog10() as usize + 1];
        let mut at = digits.len();
        while value > 0 || digits.len() - at < least {
            at -= 1;
            digits[at] = b"0123456789abcdef"[(value % BASE) as usize];
            value /= BASE;
        }
        self.put(&digits[at..]);
    }

    #[inline]
    fn integer(&mut self, value: i128) {
        if value < 0 {
            self.put("-");
        }
        self.digits::<10>(value.unsigned_abs() as u64, 1);
    }

    fn quoted(&mut self, text: &str) {
        let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        self.put("\"");
        // Nearly all texts have nothing to escape. Without an early end, the loop becomes vector instructions.
        match text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            true => self.put(text),
            false => self.escaped(text),
        }
        self.put("\"");
    }

    /// A text as it stands between the quotes. Whoever prints the JSON on a terminal sees all characters of a name.
    fn escaped(&mut self, mut text: &str) {
        let is_escaped = |c| matches!(c, '"' | '\\') || is_obeyed(c);
        while let Some((at, c)) = text.char_indices().find(|(_, c)| is_escaped(*c)) {
            self.put(&text[..at]);
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                c => {
                    self.put("\\u");
                    self.digits::<16>(u32::from(c).into(), 4);
                }
            }
            text = &text[at + c.len_utf8()..];
        }
        self.put(text);
    }

    #[inline]
    fn separate(&mut self) {
        if core::mem::replace(&mut self.follows, true) {
            self.put(",");
        }
    }

    #[inline]
    fn bracket(&mut self, bracket: char, follows: bool) {
        self.put(bracket.encode_utf8(&mut [0; 4]));
        self.follows = follows;
    }

    fn name(&mut self, name: &str) {
        self.separate();
        self.put("\"");
        self.put(name);
        self.put("\":");
    }

    /// Begins an object or a list with its bracket; `close` ends it.
    pub(crate) fn open(&mut self, bracket: char) {
        self.separate();
        self.bracket(bracket, false);
    }

    /// Begins an object or a list as a field of an object.
    pub(crate) fn open_field(&mut self, name: &str, bracket: char) {
        self.name(name);
        self.bracket(bracket, false);
    }

    /// Ends what `open` began.
    pub(crate) fn close(&mut self, bracket: char) {
        self.bracket(bracket, true);
    }

    /// A field that is a number of at most 64 bits.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<i128>) {
        self.name(name);
        self.integer(value.into());
    }

    /// A field that is an id or an address: hexadecimal, because 64 bits do not fit the numbers of every reader.
    pub(crate) fn bits(&mut self, name: &str, value: u64) {
        self.name(name);
        self.put("\"0x");
        self.digits::<16>(value, 1);
        self.put("\"");
    }

    /// A field that is true or false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.put(if value { "true" } else { "false" });
    }

    /// A field that is a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.quoted(value);
    }

    /// A field that has no value.
    pub(crate) fn null(&mut self, name: &str) {
        self.name(name);
        self.put("null");
    }

    /// A number of at most 64 bits in a list.
    pub(crate) fn value(&mut self, value: impl Into<i128>) {
        self.separate();
        self.integer(value.into());
    }

    /// A time in a list, in seconds.
    pub(crate) fn seconds(&mut self, ns: u64) {
        self.separate();
        self.digits::<10>(ns / 1_000_000_000, 1);
        self.put(".");
        self.digits::<10>(ns % 1_000_000_000 / 1000, 6);
    }

    /// A text in a list.
    pub(crate) fn item(&mut self, value: &str) {
        self.separate();
        self.quoted(value);
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
        json.number("least", i64::MIN);
        json.close('}');
        json.item("b\"\\\n\u{1}ä");
        json.item("\u{7f}\u{9b}\u{202e}\u{2066}");
        json.close(']');
        json.flag("yes", true);
        json.null("none");
        json.bits("id", 0xff00_0000_0000_0001);
        json.text("t", "x");
        json.open_field("times", '[');
        json.seconds(0);
        json.seconds(12_000_345_678);
        json.close(']');
        json.close('}');
        drop(json);
        let wanted = "{\"empty\":[],\"list\":[\"a\",{\"n\":-3,\"m\":18446744073709551615,\
                      \"least\":-9223372036854775808},\
                      \"b\\\"\\\\\\u000a\\u0001ä\",\"\\u007f\\u009b\\u202e\\u2066\"],\
                      \"yes\":true,\"none\":null,\"id\":\"0xff00000000000001\",\"t\":\"x\",\
                      \"times\":[0.000000,12.000345]}";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_text_longer_than_the_buffer_keeps_its_order() {
        // "ä" has two bytes: every alignment of the texts to the end of the buffer occurs.
        let texts: Vec<String> = [0, 1, 2, 3, 4093, 4094, 4095, 4096, 4097, 9000, 5]
            .map(|count| "ä".repeat(count / 2) + &"x".repeat(count % 2))
            .into();
        let mut text = String::new();
        let mut json = Json::new(&mut text);
        json.open('[');
        (0..60).for_each(|_| texts.iter().for_each(|item| json.item(item)));
        json.close(']');
        drop(json);
        assert_eq!(text, format!("[\"{}\"]", vec![texts.join("\",\""); 60].join("\",\"")));
    }
}
