//! Functions that this run's driver lacks, for `dlsym` too: those introduced after TENURE_SIM_VERSION, and those that
//! TENURE_SIM_MISSING lists, separated by commas.
//!
//! The loader compares names with the string table of the loaded file. A constructor changes the first letter of each
//! hidden name there, before any program can look a symbol up.

use super::call_counts::base_name;
use super::config::{self, Config};
use super::driver_version::driver_version;

use std::sync::OnceLock;

#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

const STRING_TABLE: i64 = 5;
const STRING_SIZE: i64 = 10;

static HIDDEN: OnceLock<Vec<String>> = OnceLock::new();

fn listed() -> &'static [String] {
    HIDDEN.get_or_init(|| {
        let list = config::text("TENURE_SIM_MISSING").unwrap_or_default();
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    })
}

/// Whether this driver lacks an exported function. TENURE_SIM_MISSING names it exactly, or without a version for all of
/// its versions.
pub fn is_hidden(name: &str) -> bool {
    static VERSION: OnceLock<i32> = OnceLock::new();
    if driver_version(name) > *VERSION.get_or_init(|| Config::from_environment().version) {
        return true;
    }
    let listed = listed();
    !listed.is_empty() && listed.iter().any(|hidden| hidden == name || hidden == base_name(name))
}

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    if ["TENURE_SIM_MISSING", "TENURE_SIM_VERSION"].iter().any(|name| std::env::var_os(name).is_some()) {
        std::panic::catch_unwind(hide).ok();
    }
}

fn hide() {
    let Some((table, size)) = string_table() else { return };
    // SAFETY: queries a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let start = table as usize / page * page;
    let length = (table as usize + size).next_multiple_of(page) - start;
    // SAFETY: whole pages of this file's own read-only segment.
    if unsafe { libc::mprotect(start as *mut libc::c_void, length, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
        return;
    }
    let mut at = 0;
    while at < size {
        // SAFETY: the table is a sequence of C texts, `size` bytes in all.
        let name = unsafe { std::ffi::CStr::from_ptr(table.add(at).cast()) }.to_bytes();
        let length = name.len();
        if std::str::from_utf8(name).is_ok_and(|name| name.starts_with("cu") && is_hidden(name)) {
            // SAFETY: made writable above.
            unsafe { *table.add(at) = b'x' };
        }
        at += length + 1;
    }
    // SAFETY: as above; back to what it was.
    unsafe { libc::mprotect(start as *mut libc::c_void, length, libc::PROT_READ) };
}

/// The string table of the dynamic symbols of this file, and its size.
fn string_table() -> Option<(*mut u8, usize)> {
    unsafe extern "C" {
        // The linker's name for this file's own dynamic section.
        #[link_name = "_DYNAMIC"]
        static DYNAMIC: Dynamic;
    }
    let (mut table, mut size) = (None, None);
    let mut at = &raw const DYNAMIC;
    loop {
        // SAFETY: the section ends with a tag of 0, which ends the loop.
        let entry = unsafe { &*at };
        match entry.tag {
            0 => break,
            STRING_TABLE => table = Some(entry.value as *mut u8),
            STRING_SIZE => size = Some(entry.value as usize),
            _ => {}
        }
        at = at.wrapping_add(1);
    }
    Some((table?, size?))
}
