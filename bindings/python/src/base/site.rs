//! Records where Python code makes guards, promises, exports and arrays (PY-21). The library keeps its file and line as
//! the call site.
//!
//! Contract: `here` sets the site to the line of the innermost Python frame outside this package and Python's standard
//! library: the line that pickles an array, not one of `multiprocessing`. A thread without such a frame has no site.
//! Dropping the value of `here` removes the site, so that C code that runs later on the thread does not get it. Nothing
//! raises. A small table caches the file names of code objects.

use crate::api;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// Whether small arrays record a call site too.
static OF_SMALL_ARRAYS: AtomicBool = AtomicBool::new(false);

/// Makes small arrays record call sites, or not. A log of events wants them, and its cost is larger than theirs.
pub fn record_of_small_arrays(on: bool) {
    OF_SMALL_ARRAYS.store(on, Ordering::Relaxed);
}

/// Whether small arrays record a call site too.
#[inline]
pub fn are_of_small_arrays() -> bool {
    OF_SMALL_ARRAYS.load(Ordering::Relaxed)
}

/// A guard: this thread has a call site until the value is dropped. Callers bind it to `_site`.
pub struct Site(());

/// Number of cached code objects; a power of two.
const SLOTS: usize = 256;

/// A code object and the UTF-8 text of its file, which the code object keeps alive. None: the file belongs to this
/// package or the standard library. `line` is the line of the last instruction that was looked up: finding a line reads
/// the code's line table from its start.
#[derive(Clone, Copy)]
struct CodeEntry {
    code: *mut ffi::PyObject,
    file: Option<*const c_char>,
    instruction: c_int,
    line: c_int,
}

/// No instruction.
const UNKNOWN: c_int = -2;

type GetLasti = unsafe extern "C" fn(*mut ffi::PyFrameObject) -> c_int;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// `PyFrame_GetLasti`. Every CPython from 3.11 on has it, though it is not in the stable ABI. None where it is missing.
fn get_lasti() -> Option<GetLasti> {
    static FOUND: OnceLock<Option<GetLasti>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: NULL searches all loaded libraries; a terminated name.
        let found = unsafe { dlsym(core::ptr::null_mut(), c"PyFrame_GetLasti".as_ptr()) };
        // SAFETY: NULL or the function of that name, whose type is public.
        unsafe { core::mem::transmute::<*mut c_void, Option<GetLasti>>(found) }
    })
}

/// The cache. An extension for the stable ABI of 3.11 loads only into interpreters where one thread at a time is
/// attached, and that serves as the lock. Entries are read and replaced whole, without a call into the interpreter in
/// between.
struct Table(UnsafeCell<[CodeEntry; SLOTS]>);

// SAFETY: only `get` and `put` access it, both attached, neither across a call into the interpreter.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new(
    [CodeEntry { code: core::ptr::null_mut(), file: None, instruction: UNKNOWN, line: 0 }; SLOTS],
));

impl Table {
    fn get(&self, _py: Python<'_>, slot: usize) -> CodeEntry {
        // SAFETY: attached, by `_py`; a copy is taken.
        unsafe { (*self.0.get())[slot] }
    }

    fn put(&self, _py: Python<'_>, slot: usize, known: CodeEntry) -> CodeEntry {
        // SAFETY: attached, by `_py`; no reference into the table exists.
        unsafe { core::mem::replace(&mut (*self.0.get())[slot], known) }
    }
}

/// Sets the site to the running Python code, until the returned value is dropped.
#[inline]
pub fn here(py: Python<'_>) -> Site {
    // SAFETY: attached, by `py`; a borrowed reference or NULL.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    if !frame.is_null() {
        at(py, frame);
    }
    Site(())
}

/// Sets the site to a given place; "" is the running Python code.
pub fn at_place(py: Python<'_>, file: &CStr, line: i32) -> Site {
    if file.is_empty() {
        return here(py);
    }
    api::here(Some(file), line);
    Site(())
}

impl Drop for Site {
    #[inline]
    fn drop(&mut self) {
        api::here(None, 0);
    }
}

/// The running Python code as "file:line".
pub fn text(py: Python<'_>) -> Option<String> {
    // SAFETY: attached, by `py`; a borrowed reference or NULL.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    let mut text = None;
    if !frame.is_null() {
        find(py, frame, &mut |file, line| text = Some(format!("{}:{line}", file.to_string_lossy())));
    }
    text
}

fn at(py: Python<'_>, frame: *mut ffi::PyFrameObject) {
    find(py, frame, &mut |file, line| api::here(Some(file), line));
}

/// Calls `found` with the file and the line of a frame, or of the nearest caller outside this package and the standard
/// library.
fn find(py: Python<'_>, frame: *mut ffi::PyFrameObject, found: &mut dyn FnMut(&CStr, c_int)) {
    // SAFETY: a live frame; the code object comes as a reference of our own.
    let code = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetCode(frame).cast()) };
    let Some(code) = code else { return };
    if let Some(file) = file_of(py, &code) {
        let line = line_of(py, code.as_ptr(), frame);
        // SAFETY: terminated UTF-8, kept by the code object, which `code` keeps.
        found(unsafe { CStr::from_ptr(file) }, line);
        return;
    }
    // The frame belongs to this package or the standard library: its caller is the site.
    // SAFETY: a live frame, borrowed.
    let frame: Bound<'_, PyAny> = unsafe { Bound::from_borrowed_ptr(py, frame.cast()) };
    if let Ok(back) = frame.getattr(pyo3::intern!(py, "f_back"))
        && !back.is_none()
    {
        find(py, back.as_ptr().cast(), found);
    }
}

fn slot_of(code: *mut ffi::PyObject) -> usize {
    (code as usize >> 6) % SLOTS
}

/// The line of a frame. `code` is the frame's code, and its file is in the table.
fn line_of(py: Python<'_>, code: *mut ffi::PyObject, frame: *mut ffi::PyFrameObject) -> c_int {
    // SAFETY: a live frame.
    let instruction = get_lasti().map_or(UNKNOWN, |get| unsafe { get(frame) });
    let known = TABLE.get(py, slot_of(code));
    if known.code == code && known.instruction == instruction && instruction >= 0 {
        return known.line;
    }
    // SAFETY: a live frame.
    let line = unsafe { ffi::PyFrame_GetLineNumber(frame) };
    if known.code == code {
        TABLE.put(py, slot_of(code), CodeEntry { instruction, line, ..known });
    }
    line
}

/// The file of a code object; None for those of this package and of the standard library.
fn file_of(py: Python<'_>, code: &Bound<'_, PyAny>) -> Option<*const c_char> {
    let key = code.as_ptr();
    let slot = slot_of(key);
    let found = TABLE.get(py, slot);
    if found.code == key {
        return found.file;
    }
    let name = code.getattr(pyo3::intern!(py, "co_filename")).ok()?;
    let mut length = 0;
    // SAFETY: attached; NULL for an object that is not text or not UTF-8, then the error is cleared.
    let text = unsafe { ffi::PyUnicode_AsUTF8AndSize(name.as_ptr(), &mut length) };
    if text.is_null() {
        // SAFETY: attached.
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    // SAFETY: terminated by AsUTF8AndSize, valid while `name` lives, which the code object holds.
    let is_passed_over = Folders::get(py).have(unsafe { CStr::from_ptr(text) }.to_bytes());
    let known = CodeEntry { code: key, file: (!is_passed_over).then_some(text), instruction: UNKNOWN, line: 0 };
    // The table owns a reference, so that no other code object gets this address.
    core::mem::forget(code.clone());
    let old = TABLE.put(py, slot, known);
    if !old.code.is_null() {
        // SAFETY: the reference that the table owned.
        drop(unsafe { Bound::<PyAny>::from_owned_ptr(py, old.code) });
    }
    known.file
}

/// The folders of this package and of the standard library, each with a slash.
struct Folders {
    package: String,
    standard_library: String,
}

impl Folders {
    fn get(py: Python<'_>) -> &'static Folders {
        static FOLDERS: pyo3::sync::PyOnceLock<Folders> = pyo3::sync::PyOnceLock::new();
        // No file's name begins with an unknown folder.
        let folder = |found: PyResult<String>| found.map_or_else(|_| "\0".to_owned(), |folder| folder + "/");
        FOLDERS.get_or_init(py, || {
            let package = || py.import("tenure")?.getattr("__path__")?.get_item(0)?.extract();
            let os = || py.import("os")?.getattr("__file__")?.extract::<String>();
            let standard_library = || Ok(os()?.rsplit_once('/').map_or("\0", |(folder, _)| folder).to_owned());
            Folders { package: folder(package()), standard_library: folder(standard_library()) }
        })
    }

    /// Whether a file belongs to this package or to the standard library.
    fn have(&self, file: &[u8]) -> bool {
        // The folders of installed packages lie in that of the standard library.
        let is_installed = |rest: &[u8]| rest.starts_with(b"site-packages/") || rest.starts_with(b"dist-packages/");
        let below = file.strip_prefix(self.standard_library.as_bytes());
        file.starts_with(self.package.as_bytes())
            || file.starts_with(b"<frozen ")
            || below.is_some_and(|rest| !is_installed(rest))
    }
}
