//! `cuGetProcAddress`: names without version to the functions of this file, through the loader's own table.

use crate::entry::{put, put_if};
use crate::status::*;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

/// Stream 0 of what is looked up means the per-thread stream.
const PER_THREAD_STREAM: u64 = 2;
const FOUND: c_uint = 0;
const NOT_FOUND_AT_ALL: c_uint = 1;
const VERSION_NOT_SUFFICIENT: c_uint = 2;

/// Where a name has several versions that differ: the oldest driver version of each suffix, newest first. Every other name means
/// its `_v2`, if there is one.
const VERSIONS: &[(&str, &[(c_int, &str)])] = &[
    ("cuCtxCreate", &[(12050, "_v4"), (11040, "_v3"), (3020, "_v2")]),
    ("cuMemAdvise", &[(12020, "_v2"), (8000, "")]),
    ("cuMemPrefetchAsync", &[(12020, "_v2"), (8000, "")]),
    ("cuStreamGetCaptureInfo", &[(12030, "_v3"), (11030, "_v2"), (10010, "")]),
    ("cuStreamGetCtx", &[(12050, "_v2"), (9020, "")]),
    ("cuCtxGetDevice", &[(13000, "_v2"), (2000, "")]),
    ("cuCtxSynchronize", &[(13000, "_v2"), (2000, "")]),
    ("cuEventElapsedTime", &[(12080, "_v2"), (2000, "")]),
    ("cuGraphInstantiate", &[(12000, "WithFlags"), (11000, "_v2"), (10000, "")]),
    ("cuDeviceGetUuid", &[(11040, "_v2"), (9020, "")]),
    ("cuGetProcAddress", &[(12000, "_v2"), (11030, "")]),
];

/// This file, opened once more.
fn this() -> *mut c_void {
    static HANDLE: OnceLock<usize> = OnceLock::new();
    *HANDLE.get_or_init(|| {
        // SAFETY: asks the loader about an address of this file, and opens the file that is loaded already.
        unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr((&raw const HANDLE).cast(), &mut info) == 0 {
                return 0;
            }
            libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD) as usize
        }
    }) as *mut c_void
}

/// An exported function by its exact name, if it is not declared missing.
fn exported(name: &str) -> Option<*mut c_void> {
    if crate::missing::is_missing(name) {
        return None;
    }
    let name = CString::new(name).ok()?;
    // SAFETY: a C text; the handle is this file's, which is never unloaded.
    let found = unsafe { libc::dlsym(this(), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// What a caller gets that was made for `version` of the driver.
enum Found {
    Function(*mut c_void),
    /// There is one, for callers that know a later driver.
    Later,
    Nothing,
}

fn lookup(symbol: *const c_char, version: c_int, flags: u64) -> Answer<Found> {
    if symbol.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: a C text, by the driver's interface.
    let Ok(name) = unsafe { CStr::from_ptr(symbol) }.to_str() else { return Ok(Found::Nothing) };
    let several = VERSIONS.iter().find(|(plain, _)| *plain == name).map(|(_, versions)| *versions);
    let mut later = false;
    for (since, suffix) in several.unwrap_or(&[(0, "_v2"), (0, "")]) {
        let full = format!("{name}{suffix}");
        let per_thread = || exported(&format!("{full}_ptsz")).or_else(|| exported(&format!("{full}_ptds")));
        let found = if flags & PER_THREAD_STREAM != 0 { per_thread() } else { None };
        let Some(found) = found.or_else(|| exported(&full)) else { continue };
        if crate::since::since(&full).max(*since) <= version {
            return Ok(Found::Function(found));
        }
        later = true;
    }
    Ok(if later { Found::Later } else { Found::Nothing })
}

driver! {
    fn cuGetProcAddress(symbol: *const c_char, function: *mut *mut c_void, version: c_int, flags: u64) in Aside => |_| {
        match lookup(symbol, version, flags)? {
            Found::Function(found) => put(function, found),
            _ => put(function, std::ptr::null_mut()).and(Err(NOT_FOUND)),
        }
    }

    fn cuGetProcAddress_v2(
        symbol: *const c_char, function: *mut *mut c_void, version: c_int, flags: u64, status: *mut c_uint
    ) in Aside => |_| {
        let (found, how) = match lookup(symbol, version, flags)? {
            Found::Function(found) => (found, FOUND),
            Found::Later => (std::ptr::null_mut(), VERSION_NOT_SUFFICIENT),
            Found::Nothing => (std::ptr::null_mut(), NOT_FOUND_AT_ALL),
        };
        put(function, found)?;
        put_if(status, how);
        // Without a place for the status, not found is an error.
        if status.is_null() && how != FOUND { Err(NOT_FOUND) } else { Ok(()) }
    }

    fn cuGetExportTable(table: *mut *const c_void, _id: *const c_void) in Aside => |_| {
        put_if(table, std::ptr::null());
        Err(NOT_SUPPORTED)
    }
}
