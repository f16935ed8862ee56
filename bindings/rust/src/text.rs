//! Text: arrays whose rows are lines of numbers, as `numpy.savetxt` and programs for tables write them.

use crate::array::Array;
use crate::dynamic::{Dtype, failed};
use crate::element::Element;
use crate::error::{Error, Result, Status};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What each NPY file begins with.
const NPY_MAGIC: [u8; 6] = *b"\x93NUMPY";

/// The most characters of a field that an error shows.
const SHOWN_CHARACTERS: usize = 40;

impl<T: Element> Array<T> {
    /// Reads text to its end: a line is a row, so the array has two axes. The delimiter stands between two fields of a
    /// row; `None` stands for any white space. What follows a `#` in a line is a comment, and lines without a field are
    /// skipped. With a delimiter, fields may be quoted as in CSV.
    ///
    /// ```
    /// # use tenure_rs::Tensor;
    /// let t = Tensor::<f64>::from_text("# seconds, metres\n1, 2.5\n2, 1e3\n".as_bytes(), b',')?;
    /// assert_eq!(t.to_string(), "[[1, 2.5], [2, 1000]]");
    /// let refused = Tensor::<f64>::from_text("1 2\n3 x4\n".as_bytes(), None).unwrap_err();
    /// assert_eq!(refused.message(), r#"tenure_rs: line 2, column 2: "x4" is no float64"#);
    /// # Ok::<(), tenure_rs::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Status::DTYPE`] for a field that is no `T`, [`Status::SHAPE`] for a row of another length than the first one,
    /// [`Status::IO`].
    #[track_caller]
    pub fn from_text(reader: impl Read, delimiter: impl Into<Option<u8>>) -> Result<Array<T>> {
        let delimiter = delimiter.into();
        parsed(reader, |_| delimiter)
    }
}

/// The array of a file whose name says that it is text.
#[track_caller]
pub(crate) fn open<T: Element>(path: &Path) -> Option<Result<Array<T>>> {
    let delimiter = match path.extension()?.to_str()? {
        "csv" => Some(b','),
        "txt" => None,
        _ => return None,
    };
    let file = File::open(path).map_err(|error| Error::new(Status::IO, format!("tenure_rs: {path:?}: {error}")));
    Some(file.and_then(|file| Array::from_text(file, delimiter)))
}

/// Whether a file has at its position something else than an NPY file.
pub(crate) fn is_text(mut file: &File) -> Result<bool> {
    let mut head = [0; NPY_MAGIC.len()];
    let offset = file.stream_position().map_err(failed)?;
    let read = file.read_at(&mut head, offset).map_err(failed)?;
    Ok(head[..read] != NPY_MAGIC[..read])
}

/// The array of a file's text, whose first row shows what the delimiter is. A failure leaves the position.
#[track_caller]
pub(crate) fn from_file<T: Element>(mut file: &File) -> Result<Array<T>> {
    let start = file.stream_position().map_err(failed)?;
    let made = parsed(file, |row| row.contains(&b',').then_some(b','));
    if made.is_err() {
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
    }
    made
}

/// The array of a text. `delimiter_of` gets the first row.
#[track_caller]
fn parsed<T: Element>(reader: impl Read, delimiter_of: impl FnOnce(&[u8]) -> Option<u8>) -> Result<Array<T>> {
    let mut lines = Lines { reader: BufReader::new(reader), row: Vec::new(), given: 0, number: 0 };
    let mut table = Table { elements: Vec::new(), rows: 0, columns: 0, first_line: 0 };
    let mut more = lines.advance().map_err(failed)?;
    match delimiter_of(&lines.row) {
        Some(delimiter) => {
            let mut options = csv::ReaderBuilder::new();
            let mut records = options.delimiter(delimiter).has_headers(false).flexible(true).from_reader(lines);
            let mut record = csv::ByteRecord::new();
            while records.read_byte_record(&mut record).map_err(|error| failed(error.into()))? {
                table.add(records.get_ref().number, record.iter())?;
            }
        }
        None => {
            while more {
                let fields = lines.row.split(u8::is_ascii_whitespace);
                table.add(lines.number, fields.filter(|field| !field.is_empty()))?;
                more = lines.advance().map_err(failed)?;
            }
        }
    }
    Array::from_vec(table.elements, [table.rows, table.columns])
}

/// Lines without their comments and ends. As a reader it gives at most one line a call, so that `number` is the line
/// of what a consumer got last.
struct Lines<R> {
    reader: BufReader<R>,
    /// The line, with a newline.
    row: Vec<u8>,
    /// How many of its bytes the consumer has.
    given: usize,
    /// The line's number, from 1.
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Goes to the next line that has a field. False at the end of the text.
    fn advance(&mut self) -> io::Result<bool> {
        self.given = 0;
        loop {
            self.row.clear();
            if self.reader.read_until(b'\n', &mut self.row)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            let length = self.row.iter().position(|byte| matches!(byte, b'#' | b'\n'));
            self.row.truncate(length.unwrap_or(self.row.len()));
            if self.row.ends_with(b"\r") {
                self.row.pop();
            }
            if !self.row.trim_ascii().is_empty() {
                self.row.push(b'\n');
                return Ok(true);
            }
        }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.row.len() && !self.advance()? {
            return Ok(0);
        }
        let length = (&self.row[self.given..]).read(out)?;
        self.given += length;
        Ok(length)
    }
}

/// The rows so far.
struct Table<T> {
    elements: Vec<T>,
    rows: usize,
    columns: usize,
    /// The number of the first row's line.
    first_line: u64,
}

impl<T: Element> Table<T> {
    /// Adds the row of a line.
    fn add<'a>(&mut self, line: u64, fields: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let before = self.elements.len();
        for (column, field) in fields.enumerate() {
            let field = String::from_utf8_lossy(field.trim_ascii());
            let element = field.parse().map_err(|_| {
                let (column, dtype) = (column + 1, Dtype::of::<T>());
                let shown: String = field.chars().take(SHOWN_CHARACTERS).collect();
                let text = format!("tenure_rs: line {line}, column {column}: {shown:?} is no {dtype}");
                Error::new(Status::DTYPE, text)
            })?;
            self.elements.push(element);
        }
        let columns = self.elements.len() - before;
        if self.rows == 0 {
            (self.columns, self.first_line) = (columns, line);
        }
        if columns != self.columns {
            let (wanted, first_line) = (self.columns, self.first_line);
            let text =
                format!("tenure_rs: the number of columns is {columns} in line {line}, {wanted} in line {first_line}");
            return Err(Error::new(Status::SHAPE, text));
        }
        self.rows += 1;
        Ok(())
    }
}
