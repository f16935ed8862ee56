//! The copy book: which calls copied bytes, in every language of the process.

use crate::error::{Result, check};
use crate::sys;
use std::ffi::CStr;
use std::ptr;

/// The copies of one function at one line for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CopySite {
    /// The function of the C interface: "tn_array_borrow_write".
    pub function: &'static str,
    /// The caller's line, as "step.rs:41"; empty if it is unknown.
    pub site: String,
    /// Whether the caller would have accepted the bytes themselves.
    pub is_forced: bool,
    /// The number of copies.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The copies of imports, exports and writes so far, most bytes first. [`Array::copy`](crate::Array::copy) and other
/// calls whose purpose is a copy are not among them.
pub fn copies() -> Result<Vec<CopySite>> {
    let item = size_of::<sys::tn_copy_site>();
    let mut count = 0;
    // SAFETY: room for no item, and a place for their number.
    check(unsafe { sys::tn_copies_query(item, 0, ptr::null_mut(), &mut count) })?;
    let mut sites: Vec<sys::tn_copy_site> = Vec::with_capacity(count);
    let capacity = sites.capacity();
    // SAFETY: room for that many items of this size, and a place for their number.
    check(unsafe { sys::tn_copies_query(item, capacity, sites.as_mut_ptr(), &mut count) })?;
    // SAFETY: the call wrote these. There may be more by now.
    unsafe { sites.set_len(count.min(capacity)) };
    Ok(sites.iter().map(CopySite::new).collect())
}

impl CopySite {
    fn new(site: &sys::tn_copy_site) -> CopySite {
        let line = site.site.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
        CopySite {
            // SAFETY: a NUL-terminated text that lives as long as the library.
            function: unsafe { CStr::from_ptr(site.function) }.to_str().unwrap_or_default(),
            site: String::from_utf8(line).unwrap_or_default(),
            is_forced: site.forced != 0,
            count: site.count,
            bytes: site.bytes,
        }
    }
}
