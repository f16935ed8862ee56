//! The event log as the program asks for it: options, the file of a log in memory, and the use of memory over time.
//!
//! Contract: checks what the caller passes, and adds what only upper layers know, the names of pools.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::events::{self, Destination};
use crate::exchange::new_file;
use crate::names::readable;
use crate::pool;
use crate::sys::file::Name;
use crate::sys::os;
use crate::types::*;
use core::ffi::CStr;
use core::fmt::Write;

const DEFAULT_BYTES_IN_MEMORY: u64 = 16 << 20;
const DEFAULT_BYTES_IN_FILE: u64 = 1 << 30;
const VALID_BYTES: core::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;

/// Begins a log. None: everything, in memory.
pub fn start(options: Option<&tn_log_options>, path: Option<&CStr>) -> Result<()> {
    let (kinds, reserved, capacity) = options.map_or((0, 0, 0), |o| (o.kinds, o.reserved, o.capacity));
    if kinds & !TN_LOG_ALL != 0 {
        let unknown = kinds & !TN_LOG_ALL;
        return Err(fail(TN_ERR_INVALID, format_args!("kinds has the unknown bits {unknown:#x}; use TN_LOG_ bits")));
    }
    if reserved != 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("reserved is {reserved}; set it to 0")));
    }
    let default = if path.is_some() { DEFAULT_BYTES_IN_FILE } else { DEFAULT_BYTES_IN_MEMORY };
    let capacity = if capacity == 0 { default } else { capacity };
    if !VALID_BYTES.contains(&capacity) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("capacity is {capacity} bytes; use 1 MiB to 1 TiB, or 0 for {default} bytes"),
        ));
    }
    let destination = path.map_or(Destination::Memory, Destination::File);
    events::start(destination, if kinds == 0 { TN_LOG_ALL } else { kinds }, capacity as usize)?;
    pool::each_pool(|pool| events::define_pool(pool.serial(), pool.name().as_str()));
    Ok(())
}

/// Begins a log of everything in a file. "%p" in the path stands for the process id, because children inherit the
/// environment.
pub fn start_at(path: &CStr) -> Result<()> {
    let mut name = Name::new();
    let mut parts = readable(path.to_bytes()).split("%p");
    let mut printed = name.write_str(parts.next().unwrap_or_default());
    for part in parts {
        printed = printed.and_then(|()| write!(name, "{}{part}", os::process_number()));
    }
    if printed.is_err() {
        return Err(fail(TN_ERR_IO, format_args!("the path is longer than the system allows")));
    }
    start(None, Some(name.as_cstr()))
}

/// Saves the log that is in memory.
pub fn save(path: &CStr) -> Result<()> {
    let copied = events::copy(|define| pool::each_pool(|pool| define(pool.serial(), pool.name().as_str())))?;
    new_file::save_bytes(path, copied.bytes())
}
