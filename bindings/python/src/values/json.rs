//! The library's report as Python's objects.
//!
//! Contract: reads the JSON that `tn_report_json` writes: objects, lists, texts, integers of 64 bits, seconds, true, false
//! and null, without spaces. Objects of a report have few sets of keys. So objects with equal keys share the texts of
//! the keys, and begin as a copy of the first one, which has room for all of them. Texts that occur often are one object.
#![forbid(unsafe_code)]

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyList, PyString};

/// Number of texts that are remembered, a power of two.
const TEXTS: usize = 1 << 10;
/// The node of an object without keys.
const ROOT: usize = 0;

/// A sequence of keys: that of its parent, and one more.
struct Node<'py, 'text> {
    name: &'text [u8],
    key: Bound<'py, PyString>,
    /// The first of the sequences that are one key longer; `ROOT`: none.
    longer: usize,
    /// Another sequence of the same parent; `ROOT`: none.
    sibling: usize,
    /// The first object with exactly these keys.
    first: Option<Bound<'py, PyDict>>,
}

struct Reader<'py, 'text> {
    py: Python<'py>,
    text: &'text [u8],
    at: usize,
    nodes: Vec<Node<'py, 'text>>,
    /// The fields of unfinished objects.
    fields: Vec<(usize, Bound<'py, PyAny>)>,
    /// By their hash.
    texts: Vec<Option<(&'text [u8], Bound<'py, PyString>)>>,
}

/// Makes the objects of a report.
pub fn read<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let mut reader = Reader {
        py,
        text: text.as_bytes(),
        at: 0,
        nodes: vec![Node { name: b"", key: PyString::new(py, ""), longer: ROOT, sibling: ROOT, first: None }],
        fields: Vec::new(),
        texts: vec![None; TEXTS],
    };
    let value = reader.value()?;
    if reader.at == text.len() { Ok(value) } else { Err(reader.unexpected()) }
}

impl<'py, 'text> Reader<'py, 'text> {
    #[cold]
    fn unexpected(&self) -> PyErr {
        PyValueError::new_err(format!("the report has an unexpected character at byte {}", self.at))
    }

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    /// Passes a character if it is the next one.
    fn takes(&mut self, wanted: u8) -> bool {
        let found = self.peek() == wanted;
        self.at += usize::from(found);
        found
    }

    /// Passes a character that must be next.
    fn take(&mut self, wanted: u8) -> PyResult<()> {
        if self.takes(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn value(&mut self) -> PyResult<Bound<'py, PyAny>> {
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => Ok(self.quoted()?.1.into_any()),
            b't' => self.word("true", PyBool::new(self.py, true).to_owned().into_any()),
            b'f' => self.word("false", PyBool::new(self.py, false).to_owned().into_any()),
            b'n' => self.word("null", self.py.None().into_bound(self.py)),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let begin = self.at;
        let is_negative = self.takes(b'-');
        let digits = self.at;
        let mut value: u64 = 0;
        while let digit @ b'0'..=b'9' = self.peek() {
            let next = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')));
            value = next.ok_or_else(|| self.unexpected())?;
            self.at += 1;
        }
        if self.at == digits {
            return Err(self.unexpected());
        }
        if self.takes(b'.') {
            while self.peek().is_ascii_digit() {
                self.at += 1;
            }
            let number = str::from_utf8(&self.text[begin..self.at]).ok().and_then(|number| number.parse().ok());
            return Ok(PyFloat::new(self.py, number.ok_or_else(|| self.unexpected())?).into_any());
        }
        if is_negative { (-i128::from(value)).into_bound_py_any(self.py) } else { value.into_bound_py_any(self.py) }
    }

    /// The next text: as it stands between the quotes, and as an object.
    fn quoted(&mut self) -> PyResult<(&'text [u8], Bound<'py, PyString>)> {
        self.take(b'"')?;
        let rest = &self.text[self.at..];
        let (mut length, mut hash, mut is_escaped) = (0, 0usize, false);
        loop {
            match rest.get(length) {
                Some(b'"') => break,
                Some(b'\\') => (is_escaped, length) = (true, length + 2),
                Some(byte) => (hash, length) = (hash.wrapping_mul(31).wrapping_add(usize::from(*byte)), length + 1),
                None => return Err(self.unexpected()),
            }
        }
        let raw = &rest[..length];
        let slot = hash % TEXTS;
        let object = match &self.texts[slot] {
            Some((known, object)) if *known == raw => object.clone(),
            _ => {
                let plain = str::from_utf8(raw).map_err(|_| self.unexpected())?;
                let object = match is_escaped {
                    true => PyString::new(self.py, &unescaped(plain).ok_or_else(|| self.unexpected())?),
                    false => PyString::new(self.py, plain),
                };
                // An address or an id occurs once or twice.
                if !raw.starts_with(b"0x") {
                    self.texts[slot] = Some((raw, object.clone()));
                }
                object
            }
        };
        self.at += length + 1;
        Ok((raw, object))
    }

    /// The node of a sequence of keys with the next key behind it.
    fn key(&mut self, node: usize) -> PyResult<usize> {
        let mut longer = self.nodes[node].longer;
        while longer != ROOT {
            let name = self.nodes[longer].name;
            // Nearly always the key that was there in the object before.
            let rest = self.text.get(self.at + 1..).unwrap_or_default();
            if self.peek() == b'"' && rest.starts_with(name) && rest.get(name.len()) == Some(&b'"') {
                self.at += name.len() + 2;
                return Ok(longer);
            }
            longer = self.nodes[longer].sibling;
        }
        let (name, key) = self.quoted()?;
        let made = self.nodes.len();
        let sibling = core::mem::replace(&mut self.nodes[node].longer, made);
        self.nodes.push(Node { name, key, longer: ROOT, sibling, first: None });
        Ok(made)
    }

    fn object(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.take(b'{')?;
        let (begin, mut node) = (self.fields.len(), ROOT);
        if self.peek() != b'}' {
            loop {
                node = self.key(node)?;
                self.take(b':')?;
                let value = self.value()?;
                self.fields.push((node, value));
                if !self.takes(b',') {
                    break;
                }
            }
        }
        self.take(b'}')?;
        let made = match &self.nodes[node].first {
            Some(first) => first.copy()?,
            None => PyDict::new(self.py),
        };
        for (node, value) in self.fields.drain(begin..) {
            made.set_item(&self.nodes[node].key, value)?;
        }
        self.nodes[node].first.get_or_insert_with(|| made.clone());
        Ok(made.into_any())
    }

    fn list(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.take(b'[')?;
        let made = PyList::empty(self.py);
        if self.peek() != b']' {
            loop {
                made.append(self.value()?)?;
                if !self.takes(b',') {
                    break;
                }
            }
        }
        self.take(b']')?;
        Ok(made.into_any())
    }
}

/// A text without its escapes: `\"`, `\\`, and `\u` with four digits. None: there are others.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('\\');
    let mut plain = String::from(parts.next()?);
    while let Some(part) = parts.next() {
        if let Some(code) = part.strip_prefix('u') {
            plain.push(char::from_u32(u32::from_str_radix(code.get(..4)?, 16).ok()?)?);
            plain.push_str(&code[4..]);
        } else if part.is_empty() {
            // Two backslashes, between which nothing stands.
            plain.push('\\');
            plain.push_str(parts.next()?);
        } else if part.starts_with('"') {
            plain.push_str(part);
        } else {
            return None;
        }
    }
    Some(plain)
}
