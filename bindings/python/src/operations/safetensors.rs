//! Safetensors files: some or all of their tensors as arrays on one mapping (NP-10, NP-11).

use crate::api::{self, Id};
use crate::base::site;
use crate::handles::array::Array;
use crate::handles::pool::Pool;
use crate::sys::*;
use crate::values::convert::{crossing, fixed_text};
use crate::values::file::{FileArgument, Source};
use core::ffi::c_char;
use core::ptr::null_mut;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::ffi::{CStr, CString};
use std::io::Read;

/// The names of all tensors, in the order of their bytes.
fn all_names(file: &FileArgument<'_>) -> PyResult<Vec<String>> {
    let query = |infos: &mut Vec<tn_safetensors_info>| {
        let mut count = 0;
        let room = infos.capacity();
        let (size, to) = (size_of::<tn_safetensors_info>(), infos.as_mut_ptr());
        // SAFETY: a terminated path, the stated number of places, a writable count.
        let status = unsafe {
            match file {
                FileArgument::Path(path) => tn_safetensors_query(path.as_ptr(), size, room, to, &mut count),
                FileArgument::Open(file) => {
                    tn_safetensors_query_fd(file.fd(), file.position(), size, room, to, &mut count)
                }
            }
        };
        if status != TN_OK {
            return Err(PyErr::from(api::Failure(status)));
        }
        // SAFETY: the call filled this number of entries.
        unsafe { infos.set_len(count.min(room)) };
        Ok(count)
    };
    let mut infos = Vec::new();
    // The file may change between the calls.
    loop {
        let count = query(&mut infos)?;
        if count <= infos.len() {
            break;
        }
        infos.clear();
        infos.reserve_exact(count);
    }
    let mut names: Vec<String> = infos.iter().map(|info| fixed_text(&info.name)).collect();
    if infos.iter().zip(&names).any(|(info, name)| name.len() as u64 != info.name_bytes) {
        names = whole_names(file, &names)?;
    }
    Ok(names)
}

/// The names from the text of the header, for a file with names that `tn_safetensors_query` cut. `listed` is its
/// answer.
fn whole_names(file: &FileArgument<'_>, listed: &[String]) -> PyResult<Vec<String>> {
    let text = header_text(file)?;
    Python::attach(|py| {
        let header = py.import("json")?.call_method1("loads", (text,))?;
        let mut tensors = Vec::new();
        for (position, entry) in header.cast::<PyDict>()?.iter().enumerate() {
            let name: String = entry.0.extract()?;
            if name != "__metadata__" {
                let [begin, end]: [u64; 2] = entry.1.get_item("data_offsets")?.extract()?;
                tensors.push((begin, end, position, name));
            }
        }
        // The order of the query.
        tensors.sort();
        let same = |(listed, whole): (&String, &(u64, u64, usize, String))| whole.3.starts_with(listed.as_str());
        if tensors.len() != listed.len() || !listed.iter().zip(&tensors).all(same) {
            return Err(PyValueError::new_err("the file has changed while its header was read"));
        }
        Ok(tensors.into_iter().map(|tensor| tensor.3).collect())
    })
}

/// The JSON of a file whose header the library has checked.
fn header_text(file: &FileArgument<'_>) -> PyResult<Vec<u8>> {
    let mut length = [0; 8];
    let mut reader = file.reader()?;
    reader.read_exact(&mut length)?;
    let mut text = Vec::new();
    reader.take(u64::from_le_bytes(length)).read_to_end(&mut text)?;
    Ok(text)
}

/// A tensor's name for the library, which takes names with a NUL by the part before it.
fn c_name(name: &str) -> CString {
    CString::new(name.split('\0').next().unwrap_or("")).expect("no NUL is left")
}

/// Raises KeyError for a name with a NUL that the library would not take for this tensor.
fn check_nul(names: &[String], all: &[String]) -> PyResult<()> {
    for name in names.iter().filter(|name| name.contains('\0')) {
        let same = all.iter().filter(|other| c_name(other) == c_name(name)).count();
        if same != 1 || !all.contains(name) {
            let what =
                "the file has no such tensor, or several whose names differ only after it; pass a name of the file";
            return Err(PyKeyError::new_err(format!("{name:?} has a NUL character: {what}")));
        }
    }
    Ok(())
}

/// A tensor's name as its array has it, which the library would cut without a mark.
fn shortened(name: &CStr) -> CString {
    const MOST_BYTES: usize = 63;
    const MARK: &str = "...";
    let bytes = name.to_bytes();
    if bytes.len() <= MOST_BYTES {
        return name.to_owned();
    }
    let start = bytes[..MOST_BYTES - MARK.len()].utf8_chunks().next().map_or("", |chunk| chunk.valid());
    CString::new(format!("{start}{MARK}")).expect("a part of a text without a NUL")
}

/// The requested names: one, or several.
fn requested_names(names: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(name) = names.cast::<PyString>() {
        return Ok(vec![name.to_string()]);
    }
    names.try_iter()?.map(|name| name?.extract()).collect()
}

/// Opens tensors of a safetensors file: a dict of arrays by name, or one array where `names` is one name.
///
/// Each array has its tensor's name. names: None for all, in the order of the file. copy: None maps the file read-only,
/// all arrays on one mapping, and copies only a tensor that is not aligned for its elements; False raises for such a
/// tensor; True reads all into the pool, writable. path: a path, or an open binary file, which is read from its
/// position to its end, where it stands afterwards.
///
/// If a mapped file is truncated, the next access ends the process (SIGBUS), as with every mapping.
#[pyfunction]
#[pyo3(signature = (path, names=None, *, copy=None, pool=None))]
pub fn open_safetensors<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    names: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
    pool: Option<&Bound<'py, Pool>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (file, pool) = (FileArgument::to_read(path)?, Pool::id_of(pool)?);
    let listed = match names {
        Some(names) => requested_names(names)?,
        None => all_names(&file)?,
    };
    if listed.iter().any(|name| name.contains('\0')) {
        let all = if names.is_some() { &all_names(&file)? } else { &listed };
        check_nul(&listed, all)?;
    }
    let texts: Vec<CString> = listed.iter().map(|name| c_name(name)).collect();
    let _site = site::here(py);
    let source = file.source();
    let ids = py.detach(|| {
        let names: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let mut out: Vec<*mut tn_array> = vec![null_mut(); names.len()];
        let (n, pool, to) = (names.len(), pool.0 as *mut tn_pool, out.as_mut_ptr());
        let size = size_of::<tn_safetensors_options>();
        let options = tn_safetensors_options { size, pool, flags: crossing(copy), reserved: 0 };
        // SAFETY: terminated texts, as many places as names.
        let status = unsafe {
            match source {
                Source::Path(path) => {
                    tn_array_open_safetensors(path.as_ptr(), n, names.as_ptr(), &options, to, null_mut())
                }
                Source::Open(fd, at) => {
                    tn_array_open_safetensors_fd(fd, at, n, names.as_ptr(), &options, to, null_mut())
                }
            }
        };
        if status == TN_OK { Ok(out.into_iter().map(|id| Id(id as u64)).collect()) } else { Err(api::Failure(status)) }
    });
    let ids: Vec<Id> = ids.map_err(PyErr::from)?;
    // All handles become objects before anything can fail, so that none is lost.
    let arrays: Vec<PyResult<Bound<'py, Array>>> = ids.into_iter().map(|id| Array::adopt(py, id)).collect();
    file.move_to_end()?;
    let opened = PyDict::new(py);
    for ((name, text), array) in listed.iter().zip(&texts).zip(arrays) {
        let array = array?;
        // The name in messages and reports.
        api::set_name(array.get().id()?, Some(&shortened(text)))?;
        opened.set_item(name, array)?;
    }
    match names {
        Some(names) if names.is_instance_of::<PyString>() => opened.as_any().get_item(names),
        _ => Ok(opened.into_any()),
    }
}
