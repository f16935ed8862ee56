//! Parses the text of a header: one Python dictionary with the keys descr, fortran_order and shape.
//!
//! Contract: the parser reads the text once and never goes back, so its time is linear. It needs no recursion and no
//! memory. It accepts what any version of NumPy writes: keys in any order, free white space, `3L` and `u'..'` of Python
//! 2. Other Python literals are syntax faults, such as a comment, joined strings or `0x10`. The value of a structured
//! type is skipped.
#![forbid(unsafe_code)]

use super::error::{Fault, MAX_DEPTH};
use crate::types::TN_MAX_NDIM;

/// The values of the three keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dict<'a> {
    /// The text of `descr`. None: it is not a string.
    pub descr: Option<&'a [u8]>,
    pub fortran_order: bool,
    pub shape: Shape,
}

/// The value of `shape`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// The number of lengths in the text, which may exceed that of `lengths`.
    pub ndim: usize,
    pub lengths: [i64; TN_MAX_NDIM],
    /// Whether a length does not fit in 63 bits.
    pub overflow: bool,
}

const KEYS: [&str; 3] = ["descr", "fortran_order", "shape"];

/// Parses the whole text.
pub(super) fn read(text: &[u8]) -> Result<Dict<'_>, Fault<'_>> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect(b'{', "dictionary")?;
    while !cursor.accept(b'}') {
        let key = cursor.string("key in quotes")?;
        cursor.expect(b':', "':' behind the key")?;
        let is_duplicate = match key {
            b"descr" => descr.replace(cursor.descr()?).is_some(),
            b"fortran_order" => fortran_order.replace(cursor.boolean()?).is_some(),
            b"shape" => shape.replace(cursor.shape()?).is_some(),
            _ => return Err(Fault::Key { key }),
        };
        if let Some(key) = KEYS.into_iter().find(|name| is_duplicate && name.as_bytes() == key) {
            return Err(Fault::Double { key });
        }
        if !cursor.accept(b',') {
            cursor.expect(b'}', "',' or '}' behind the value")?;
            break;
        }
    }
    if cursor.peek().is_some() {
        return Err(cursor.wants("end"));
    }
    let missing = |at: usize| Fault::Missing { key: KEYS[at] };
    Ok(Dict {
        descr: descr.ok_or(missing(0))?,
        fortran_order: fortran_order.ok_or(missing(1))?,
        shape: shape.ok_or(missing(2))?,
    })
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C) {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn accept(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, wanted: u8, name: &'static str) -> Result<(), Fault<'a>> {
        if self.accept(wanted) { Ok(()) } else { Err(self.wants(name)) }
    }

    fn wants(&self, wanted: &'static str) -> Fault<'a> {
        Fault::Syntax { at: self.at, wanted }
    }

    /// The text of a string in single or double quotes. Its escapes are not decoded.
    fn string(&mut self, wanted: &'static str) -> Result<&'a [u8], Fault<'a>> {
        let mut quote = self.peek();
        if matches!(quote, Some(b'u' | b'U')) {
            self.at += 1;
            // No white space is allowed between the prefix and the quote.
            quote = self.text.get(self.at).copied();
        }
        let Some(quote @ (b'\'' | b'"')) = quote else { return Err(self.wants(wanted)) };
        self.at += 1;
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                _ if byte == quote => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                b'\\' => self.at += 2,
                b'\n' | b'\r' => break,
                _ => self.at += 1,
            }
        }
        Err(self.wants("closing quote"))
    }

    /// The value of `descr`: the text of a string. None: a structured type, which is skipped.
    fn descr(&mut self) -> Result<Option<&'a [u8]>, Fault<'a>> {
        match self.peek() {
            Some(b'(' | b'[' | b'{') => self.skip_brackets().map(|()| None),
            Some(b'\'' | b'"' | b'u' | b'U') => self.string("type in quotes").map(Some),
            _ => Err(self.wants("type in quotes")),
        }
    }

    /// Skips a bracketed value, up to and including its closing bracket.
    fn skip_brackets(&mut self) -> Result<(), Fault<'a>> {
        let mut closers = [0u8; MAX_DEPTH];
        let mut depth = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b'(' | b'[' | b'{' => {
                    let closer = match byte {
                        b'(' => b')',
                        b'[' => b']',
                        _ => b'}',
                    };
                    *closers.get_mut(depth).ok_or(Fault::Deep { at: self.at })? = closer;
                    depth += 1;
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    if closers[depth - 1] != byte {
                        return Err(self.wants("closing bracket of the same kind"));
                    }
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                b'\'' | b'"' => {
                    self.string("string")?;
                }
                _ => self.at += 1,
            }
        }
        Err(self.wants("closing bracket"))
    }

    fn boolean(&mut self) -> Result<bool, Fault<'a>> {
        self.peek();
        let rest = &self.text[self.at..];
        for (name, value) in [(&b"True"[..], true), (&b"False"[..], false)] {
            if rest.starts_with(name)
                && !rest.get(name.len()).is_some_and(|&next| next == b'_' || next.is_ascii_alphanumeric())
            {
                self.at += name.len();
                return Ok(value);
            }
        }
        Err(self.wants("True or False"))
    }

    /// A tuple of lengths: `()`, `(3,)`, `(3, 4)`. All lengths are parsed, and the first TN_MAX_NDIM are stored.
    fn shape(&mut self) -> Result<Shape, Fault<'a>> {
        let mut shape = Shape { ndim: 0, lengths: [0; TN_MAX_NDIM], overflow: false };
        self.expect(b'(', "tuple of lengths")?;
        while !self.accept(b')') {
            match self.length()? {
                Some(length) => shape.lengths.get_mut(shape.ndim).into_iter().for_each(|slot| *slot = length),
                None => shape.overflow = true,
            }
            shape.ndim += 1;
            if !self.accept(b',') {
                // `(3)` is a number in Python.
                let wanted =
                    if shape.ndim == 1 { "',' behind the only length" } else { "',' or ')' behind the length" };
                if shape.ndim == 1 || !self.accept(b')') {
                    return Err(self.wants(wanted));
                }
                break;
            }
        }
        Ok(shape)
    }

    /// A whole number in decimal digits. None: it does not fit in 63 bits.
    fn length(&mut self) -> Result<Option<i64>, Fault<'a>> {
        let negative = self.accept(b'-');
        let start = self.at;
        let mut value = Some(0i64);
        self.peek();
        let first = self.at;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at).copied() {
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
            self.at += 1;
        }
        let digits = &self.text[first..self.at];
        if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
            self.at = first;
            return Err(self.wants("whole number"));
        }
        if negative && value != Some(0) {
            return Err(Fault::Negative { at: start.saturating_sub(1) });
        }
        // The suffix of a long in Python 2.
        if matches!(self.text.get(self.at), Some(b'L' | b'l')) {
            self.at += 1;
        }
        Ok(value)
    }
}
