//! Headers: the names, element types, shapes and offsets of tensors.
//!
//! Contract: reads bytes that are in memory already, in time `n log n`, without recursion. The lists of tensors,
//! lengths and names are allocated with a status on failure. They take no more than a few times the memory of the text.
//! `picojson` uses no heap memory.
#![forbid(unsafe_code)]

use crate::arith;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::types::*;
use core::fmt;
use picojson::{Event, PullParser, SliceParser};

/// A tensor of a file.
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    /// The element type; None: one that no array can have, see [`Header::type_name`].
    pub dtype: Option<Dtype>,
    /// The offset of its first byte in the data.
    pub begin: u64,
    /// The offset behind its last byte in the data.
    pub end: u64,
    /// Begin and end of its name in the header's names.
    name: (usize, usize),
    /// Begin and end of the name of an element type that no array can have, there too; else empty.
    type_name: (usize, usize),
    /// Begin and end of its shape in the header's lengths.
    shape: (usize, usize),
    /// Its index in the order of the header's text.
    position: usize,
}

impl Tensor {
    /// Bytes of its elements.
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }
}

/// A valid header.
#[derive(Debug)]
pub struct Header {
    /// In the order of their bytes.
    tensors: Vec<Tensor>,
    /// Indices of `tensors`, in the order of their names.
    by_name: Vec<usize>,
    names: Vec<u8>,
    lengths: Vec<i64>,
}

impl Header {
    /// All tensors, in the order of their bytes in the file.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// A tensor's name, in UTF-8.
    pub fn name(&self, tensor: &Tensor) -> &[u8] {
        &self.names[tensor.name.0..tensor.name.1]
    }

    /// The name of a tensor's element type if no array can have that, in UTF-8; else empty.
    pub fn type_name(&self, tensor: &Tensor) -> &[u8] {
        &self.names[tensor.type_name.0..tensor.type_name.1]
    }

    /// A tensor's lengths, at most 64.
    pub fn shape(&self, tensor: &Tensor) -> &[i64] {
        &self.lengths[tensor.shape.0..tensor.shape.1]
    }

    /// The tensor of that name.
    pub fn find(&self, name: &[u8]) -> Option<&Tensor> {
        let at = self.by_name.binary_search_by(|at| self.name(&self.tensors[*at]).cmp(name)).ok()?;
        Some(&self.tensors[self.by_name[at]])
    }

    /// The tensors whose names are cut to this one in lists.
    pub(super) fn find_listed(&self, name: &[u8]) -> impl Iterator<Item = &Tensor> {
        let first = self.by_name.partition_point(|at| self.name(&self.tensors[*at]) <= name);
        let tensors = self.by_name[first..].iter().map(|at| &self.tensors[*at]);
        // Names that continue with a NUL are the first of those that begin with `name`. The others are cut after at
        // least this many bytes.
        const LEAST_CUT_BYTES: usize = LISTED_NAME_BYTES - 3;
        let is_cut =
            |whole: &[u8]| whole.strip_prefix(name).is_some_and(|rest| rest[0] == 0 || name.len() >= LEAST_CUT_BYTES);
        let candidates = tensors.take_while(move |tensor| is_cut(self.name(tensor)));
        candidates.filter(move |tensor| listed_name(self.name(tensor)).as_bytes() == name)
    }
}

/// The longest name that a list of tensors has room for.
pub const LISTED_NAME_BYTES: usize = 255;

/// A name as lists of tensors show it: cut before a NUL, and at a character if it is too long.
pub fn listed_name(name: &[u8]) -> &str {
    let end = name.iter().take(LISTED_NAME_BYTES).position(|byte| *byte == 0);
    let shown = &name[..end.unwrap_or(name.len().min(LISTED_NAME_BYTES))];
    shown.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// Parses a header. `text` is the JSON, `data_bytes` the size of the file after it. `file` names the file in error
/// texts.
///
/// TN_ERR_OVERFLOW: more than 64 axes, or a size beyond 63 bits. TN_ERR_NO_HOST_MEMORY. TN_ERR_IO: any other fault.
pub fn parse(text: &[u8], data_bytes: u64, file: &dyn fmt::Display) -> Result<Header> {
    // The format wants the brace first. The reference implementation reads files with white space before it, so such
    // files exist.
    let text = text.trim_ascii_start();
    if text.first() != Some(&b'{') {
        return Err(fail(TN_ERR_IO, format_args!("{file} has a header that does not begin with '{{'")));
    }
    let text = core::str::from_utf8(text).map_err(|error| {
        fail(TN_ERR_IO, format_args!("{file} has a header that is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let mut header = Header { tensors: Vec::new(), by_name: Vec::new(), names: Vec::new(), lengths: Vec::new() };
    // Unescaping makes a string shorter, so the length of the text is enough.
    let mut unescaped = Vec::new();
    if text.contains('\\') {
        grow(&mut unescaped, text.len())?;
        unescaped.resize(text.len(), 0);
    }
    let mut json = Json { parser: SliceParser::with_buffer(text, &mut unescaped), file };
    json.read(&mut header)?;
    header.tensors.sort_unstable_by_key(|tensor| (tensor.begin, tensor.end, tensor.position));
    check_names(&mut header, file)?;
    check_coverage(&header, data_bytes, file)?;
    Ok(header)
}

/// Reserves capacity for `more` items, or fails with TN_ERR_NO_HOST_MEMORY.
fn grow<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more)
        .map_err(|_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory to read the header of a safetensors file")))
}

/// The parser of a header's text.
struct Json<'a, 'b> {
    parser: SliceParser<'a, 'b>,
    file: &'a dyn fmt::Display,
}

/// A key of a tensor's object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Dtype = 1,
    Shape = 2,
    Offsets = 4,
}

impl Json<'_, '_> {
    fn next(&mut self) -> Result<Event<'_, '_>> {
        let file = self.file;
        self.parser.next_event().map_err(|error| fail(TN_ERR_IO, format_args!("{file} has a damaged header: {error}")))
    }

    #[cold]
    fn damaged(&self, what: &str) -> Status {
        fail(TN_ERR_IO, format_args!("{} has a damaged header: {what}", self.file))
    }

    fn expect(&mut self, wanted: Event<'static, 'static>, what: &str) -> Result<()> {
        if self.next()? == wanted { Ok(()) } else { Err(self.damaged(what)) }
    }

    /// Reads the whole header.
    fn read(&mut self, header: &mut Header) -> Result<()> {
        self.expect(Event::StartObject, "it is not an object")?;
        let mut metadata = false;
        loop {
            let start = header.names.len();
            match self.next()? {
                Event::Key(key) if key.as_str() == "__metadata__" => {
                    if metadata {
                        return Err(self.damaged("__metadata__ occurs twice"));
                    }
                    metadata = true;
                    self.metadata()?;
                    continue;
                }
                Event::Key(key) => {
                    grow(&mut header.names, key.len())?;
                    header.names.extend_from_slice(key.as_bytes());
                }
                Event::EndObject => break,
                _ => return Err(self.damaged("a name in quotes is missing")),
            }
            let tensor = self.tensor(header, start)?;
            grow(&mut header.tensors, 1)?;
            header.tensors.push(tensor);
        }
        self.expect(Event::EndDocument, "text follows its object")
    }

    /// Checks the strings of `__metadata__`, and discards them. Some writers put null there.
    fn metadata(&mut self) -> Result<()> {
        const WHAT: &str = "__metadata__ is not an object of strings";
        match self.next()? {
            Event::Null => return Ok(()),
            Event::StartObject => {}
            _ => return Err(self.damaged(WHAT)),
        }
        loop {
            match self.next()? {
                Event::EndObject => return Ok(()),
                Event::Key(_) | Event::String(_) => {}
                _ => return Err(self.damaged(WHAT)),
            }
        }
    }

    /// Reads the object of the tensor whose name begins at `start` in the header's names.
    fn tensor(&mut self, header: &mut Header, start: usize) -> Result<Tensor> {
        const WHAT: &str = "a tensor has dtype, shape and data_offsets, each once, and nothing else";
        self.expect(Event::StartObject, WHAT)?;
        let (first, name_end) = (header.lengths.len(), header.names.len());
        let (mut seen, mut dtype, mut offsets) = (0, None, [0; 2]);
        loop {
            let part = match self.next()? {
                Event::EndObject => break,
                Event::Key(key) => match key.as_str() {
                    "dtype" => Part::Dtype,
                    "shape" => Part::Shape,
                    "data_offsets" => Part::Offsets,
                    _ => return Err(self.damaged(WHAT)),
                },
                _ => return Err(self.damaged(WHAT)),
            };
            if seen & part as u32 != 0 {
                return Err(self.damaged(WHAT));
            }
            seen |= part as u32;
            match part {
                Part::Dtype => dtype = self.dtype(header)?,
                Part::Shape => self.shape(header, start, name_end)?,
                Part::Offsets => offsets = self.offsets()?,
            }
        }
        let all = Part::Dtype as u32 | Part::Shape as u32 | Part::Offsets as u32;
        if seen != all {
            return Err(self.damaged(WHAT));
        }
        let shape = &header.lengths[first..];
        let name = Quoted(&header.names[start..name_end]);
        let [begin, end] = offsets;
        let between = end.checked_sub(begin);
        let bytes = match dtype {
            Some(dtype) => {
                let dense = arith::dense_bytes(dtype.item(), shape).ok_or_else(|| too_large(self.file, &name))?;
                // `dense_bytes` counts a length of 0 as 1, so that the product of the others is checked. The tensor
                // itself is empty.
                if shape.contains(&0) { 0 } else { dense as u64 }
            }
            // Its elements have a size that is not known here; they may be smaller than a byte.
            None => between.unwrap_or(0),
        };
        if between != Some(bytes) {
            return Err(fail(
                TN_ERR_IO,
                format_args!(
                    "{}: tensor {name} has bytes {begin} to {end}, and its lengths give {bytes} bytes",
                    self.file
                ),
            ));
        }
        let (name, type_name) = ((start, name_end), (name_end, header.names.len()));
        let shape = (first, header.lengths.len());
        Ok(Tensor { dtype, begin, end, name, type_name, shape, position: header.tensors.len() })
    }

    /// Reads an element type. If no array can have it, its name is added to the header's names, and the result is None.
    fn dtype(&mut self, header: &mut Header) -> Result<Option<Dtype>> {
        match self.next()? {
            Event::String(text) => {
                let dtype = element(&text);
                if dtype.is_none() {
                    grow(&mut header.names, text.len())?;
                    header.names.extend_from_slice(text.as_bytes());
                }
                Ok(dtype)
            }
            _ => Err(self.damaged("dtype is not a string")),
        }
    }

    fn shape(&mut self, header: &mut Header, start: usize, name_end: usize) -> Result<()> {
        const WHAT: &str = "shape is not a list of lengths";
        self.expect(Event::StartArray, WHAT)?;
        let first = header.lengths.len();
        while let Some(length) = self.number(WHAT)? {
            let name = Quoted(&header.names[start..name_end]);
            let length = length.and_then(|length| i64::try_from(length).ok());
            let length = length.ok_or_else(|| too_large(self.file, &name))?;
            if header.lengths.len() - first == TN_MAX_NDIM {
                return Err(fail(
                    TN_ERR_OVERFLOW,
                    format_args!("{}: tensor {name} has more than {TN_MAX_NDIM} axes", self.file),
                ));
            }
            grow(&mut header.lengths, 1)?;
            header.lengths.push(length);
        }
        Ok(())
    }

    fn offsets(&mut self) -> Result<[u64; 2]> {
        const WHAT: &str = "data_offsets is not a list of two offsets";
        self.expect(Event::StartArray, WHAT)?;
        let mut offsets = [0; 2];
        for offset in &mut offsets {
            *offset = self.number(WHAT)?.flatten().ok_or_else(|| self.damaged(WHAT))?;
        }
        if self.number(WHAT)?.is_some() { Err(self.damaged(WHAT)) } else { Ok(offsets) }
    }

    /// The next number of a list: whole and not negative. None: the list has ended. Some(None): the number does not fit
    /// in 64 bits.
    fn number(&mut self, what: &str) -> Result<Option<Option<u64>>> {
        match self.next()? {
            Event::EndArray => Ok(None),
            Event::Number(number) if number.as_str().bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Some(number.parse().ok()))
            }
            _ => Err(self.damaged(what)),
        }
    }
}

#[cold]
fn too_large(file: &dyn fmt::Display, name: &Quoted<'_>) -> Status {
    fail(TN_ERR_OVERFLOW, format_args!("{file}: the size of tensor {name} overflows"))
}

/// The element type of that name.
fn element(text: &str) -> Option<Dtype> {
    const NAMES: [(&str, tn_dtype); 14] = [
        ("BOOL", TN_BOOL),
        ("I8", TN_I8),
        ("I16", TN_I16),
        ("I32", TN_I32),
        ("I64", TN_I64),
        ("U8", TN_U8),
        ("U16", TN_U16),
        ("U32", TN_U32),
        ("U64", TN_U64),
        ("F16", TN_F16),
        ("F32", TN_F32),
        ("F64", TN_F64),
        ("BF16", TN_BF16),
        ("C64", TN_C64),
    ];
    NAMES.into_iter().find(|(name, _)| *name == text).and_then(|(_, raw)| Dtype::known(raw))
}

/// Sorts the names. Fails if two tensors have one name.
fn check_names(header: &mut Header, file: &dyn fmt::Display) -> Result<()> {
    let Header { tensors, by_name, names, .. } = header;
    let name = |at: usize| &names[tensors[at].name.0..tensors[at].name.1];
    grow(by_name, tensors.len())?;
    by_name.extend(0..tensors.len());
    by_name.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
    match by_name.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
        None => Ok(()),
        Some(pair) => Err(fail(TN_ERR_IO, format_args!("{file} names tensor {} twice", Quoted(name(pair[0]))))),
    }
}

/// Checks that the tensors, sorted by their bytes, cover all data without a hole or an overlap.
fn check_coverage(header: &Header, data_bytes: u64, file: &dyn fmt::Display) -> Result<()> {
    let mut end = 0;
    for tensor in &header.tensors {
        if tensor.begin != end {
            let fault = if tensor.begin > end { "a hole" } else { "an overlap" };
            let (name, begin) = (Quoted(header.name(tensor)), tensor.begin);
            return Err(fail(
                TN_ERR_IO,
                format_args!(
                    "{file}: {fault} before tensor {name}: it begins at byte {begin} of the data, not at {end}"
                ),
            ));
        }
        end = tensor.end;
    }
    if end == data_bytes {
        return Ok(());
    }
    Err(fail(TN_ERR_IO, format_args!("{file} has {data_bytes} bytes of data, and its tensors end at byte {end}")))
}

/// A name in quotes. A long name is cut after its beginning.
pub(super) struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN_BYTES: usize = 80;
        let shown = &self.0[..self.0.len().min(MAX_SHOWN_BYTES)];
        // Does not cut a character in two.
        let text = shown.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        write!(f, "\"{text}{}\"", if text.len() < self.0.len() { "..." } else { "" })
    }
}
