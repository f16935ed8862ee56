//! `cuGetProcAddress`: finds a function by its name without version, through the loader's own table of this library.

use crate::base::args::{get_text, put, put_optional};
use crate::base::driver_version::driver_version;
use crate::base::hidden_symbols::is_hidden;
use crate::base::status::*;
use crate::entry::enter::driver;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

/// CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM: the variants whose stream 0 is the per-thread stream.
const PER_THREAD_STREAM: u64 = 2;
// CUdriverProcAddressQueryResult.
const FOUND: c_uint = 0;
const SYMBOL_NOT_FOUND: c_uint = 1;
const VERSION_NOT_SUFFICIENT: c_uint = 2;

/// The names with several versions that differ: each suffix with the driver version that introduced it, newest first.
/// Every other name means its `_v2`, if that exists.
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

/// This library, as a handle for `dlsym`.
fn this_library() -> *mut c_void {
    static HANDLE: OnceLock<usize> = OnceLock::new();
    *HANDLE.get_or_init(|| {
        // SAFETY: queries the loader about an address of this file, and opens the file that is loaded already.
        unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr((&raw const HANDLE).cast(), &mut info) == 0 {
                return 0;
            }
            libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD) as usize
        }
    }) as *mut c_void
}

/// An exported function by its exact name, unless it is hidden.
fn exported(name: &str) -> Option<*mut c_void> {
    if is_hidden(name) {
        return None;
    }
    let name = CString::new(name).ok()?;
    // SAFETY: a C text; the handle is this file's, which is never unloaded.
    let found = unsafe { libc::dlsym(this_library(), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// The result of a lookup for a caller that was built for some driver version.
enum Found {
    Function(*mut c_void),
    /// The function exists, but in a later version only.
    Later,
    Nothing,
}

fn lookup(symbol: *const c_char, version: c_int, flags: u64) -> Answer<Found> {
    let Ok(name) = get_text(symbol)?.to_str() else { return Ok(Found::Nothing) };
    let several = VERSIONS.iter().find(|(base, _)| *base == name).map(|(_, versions)| *versions);
    let mut later = false;
    for (introduced, suffix) in several.unwrap_or(&[(0, "_v2"), (0, "")]) {
        let full = format!("{name}{suffix}");
        let per_thread = || exported(&format!("{full}_ptsz")).or_else(|| exported(&format!("{full}_ptds")));
        let found = if flags & PER_THREAD_STREAM != 0 { per_thread() } else { None };
        let Some(found) = found.or_else(|| exported(&full)) else { continue };
        if driver_version(&full).max(*introduced) <= version {
            return Ok(Found::Function(found));
        }
        later = true;
    }
    Ok(if later { Found::Later } else { Found::Nothing })
}

driver! {
    fn cuGetProcAddress(symbol: *const c_char, function: *mut *mut c_void, version: c_int, flags: u64) in Stateless => |_| {
        match lookup(symbol, version, flags)? {
            Found::Function(found) => put(function, found),
            _ => put(function, std::ptr::null_mut()).and(Err(NOT_FOUND)),
        }
    }

    fn cuGetProcAddress_v2(
        symbol: *const c_char, function: *mut *mut c_void, version: c_int, flags: u64, status: *mut c_uint
    ) in Stateless => |_| {
        let (found, how) = match lookup(symbol, version, flags)? {
            Found::Function(found) => (found, FOUND),
            Found::Later => (std::ptr::null_mut(), VERSION_NOT_SUFFICIENT),
            Found::Nothing => (std::ptr::null_mut(), SYMBOL_NOT_FOUND),
        };
        put(function, found)?;
        put_optional(status, how);
        // A caller that does not ask for the status gets an error instead.
        if status.is_null() && how != FOUND { Err(NOT_FOUND) } else { Ok(()) }
    }

    fn cuGetExportTable(table: *mut *const c_void, _id: *const c_void) in Stateless => |_| {
        put_optional(table, std::ptr::null());
        Err(NOT_SUPPORTED)
    }
}
