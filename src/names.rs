//! Names, devices and call sites for messages and reports.
//!
//! Contract: a [`Name`] is at most 63 bytes of UTF-8, stored inline. It needs neither a table nor a reference count, so cloning a handle
//! touches no shared memory. A [`Site`] is the number of an interned "file:line". Sites are few and never freed, so that any record can
//! keep a number. Any thread.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;
use core::ffi::{CStr, c_char};
use core::fmt;
use parking_lot::{Mutex, MutexGuard};
use std::cell::RefCell;

/// The longest name. With its NUL it fills the 64 bytes of the C structs.
pub const NAME_BYTES: usize = 63;

/// At most 63 bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    length: u8,
    bytes: [u8; NAME_BYTES],
}

impl Name {
    /// No name.
    pub const NONE: Name = Name { length: 0, bytes: [0; NAME_BYTES] };

    /// The first 63 bytes, cut at a character.
    pub fn head(text: &str) -> Name {
        let mut end = text.len().min(NAME_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Name::exact(&text[..end])
    }

    /// The last 63 bytes, cut at a character. The end of a path is its most useful part.
    pub fn tail(text: &str) -> Name {
        let mut start = text.len().saturating_sub(NAME_BYTES);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        Name::exact(&text[start..])
    }

    fn exact(text: &str) -> Name {
        let mut name = Name::NONE;
        name.bytes[..text.len()].copy_from_slice(text.as_bytes());
        name.length = text.len() as u8;
        name
    }

    /// A name from C. TN_ERR_INVALID: it is not UTF-8.
    pub fn of(text: &CStr) -> Result<Name> {
        match text.to_str() {
            Ok(text) => Ok(Name::head(text)),
            Err(at) => {
                Err(fail(TN_ERR_INVALID, format_args!("the name is not UTF-8 from byte {} on", at.valid_up_to())))
            }
        }
    }

    /// Whether there is no name.
    pub fn is_none(&self) -> bool {
        self.length == 0
    }

    /// The name; "" if there is none.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length as usize]).unwrap_or("")
    }

    /// The FNV-1a hash of the name.
    fn hashed(&self) -> u64 {
        let text = &self.bytes[..self.length as usize];
        text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    }

    /// The name with its NUL, as in the C structs.
    pub fn to_c(&self) -> [c_char; 64] {
        let mut out = [0; 64];
        for (to, from) in out.iter_mut().zip(&self.bytes[..self.length as usize]) {
            *to = *from as c_char;
        }
        out
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a device type in messages.
pub fn device_type_name(device_type: tn_device_type) -> &'static str {
    match device_type {
        TN_CPU => "cpu",
        TN_CUDA => "cuda",
        TN_CUDA_HOST => "cuda_host",
        TN_CUDA_MANAGED => "cuda_managed",
        _ => "unknown",
    }
}

/// A device in messages, written like the C struct: "{cuda, 0}".
pub struct DeviceName(pub tn_device);

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match device_type_name(self.0.r#type) {
            "unknown" => write!(f, "{{{}, {}}}", self.0.r#type, self.0.id),
            name => write!(f, "{{{name}, {}}}", self.0.id),
        }
    }
}

/// A call site: the number of an interned "file:line"; 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Site(u32);

/// Sites beyond this number share the last one, so that a program that generates sites cannot fill the memory. All numbers, including 0,
/// fit 16 bits.
const MAX_SITES: usize = (1 << 16) - 1;

/// The interned sites. They are two vectors, because leak checkers report a hash map as possibly lost: it keeps only a pointer into the
/// middle of its allocation.
struct Sites {
    names: Vec<Name>,
    /// An open-addressing table of site numbers by the name's hash; 0: free. Its length is a power of two, and at most half of it is used.
    table: Vec<u32>,
}

static TABLE: Mutex<Sites> = Mutex::new(Sites { names: Vec::new(), table: Vec::new() });

impl Sites {
    /// The number of a name. Err: the free table index where it belongs.
    fn find(&self, name: &Name) -> std::result::Result<u32, usize> {
        let last = self.table.len() - 1;
        let mut at = name.hashed() as usize & last;
        loop {
            match self.table[at] {
                0 => return Err(at),
                number if self.names[number as usize - 1] == *name => return Ok(number),
                _ => at = (at + 1) & last,
            }
        }
    }

    /// Ensures capacity for one more name. False: there is no memory, and nothing changed.
    fn reserve(&mut self) -> bool {
        if self.names.try_reserve(1).is_err() {
            return false;
        }
        if (self.names.len() + 1) * 2 <= self.table.len() {
            return true;
        }
        let length = (self.table.len() * 2).max(64);
        let mut grown = Vec::new();
        if grown.try_reserve_exact(length).is_err() {
            return false;
        }
        grown.resize(length, 0);
        self.table = grown;
        for number in 1..=self.names.len() {
            if let Err(at) = self.find(&self.names[number - 1]) {
                self.table[at] = number as u32;
            }
        }
        true
    }
}

impl Site {
    /// No site.
    pub const NONE: Site = Site(0);

    /// The site of `file` and `line`; [`Site::NONE`] if there is no memory for a new one.
    pub fn at(file: &str, line: i32) -> Site {
        let site = Site::interned(file, line);
        let bytes = file.as_bytes();
        if let Ok(length) = u8::try_from(bytes.len()) {
            RECENT.with_borrow_mut(|sites| {
                let last = &mut sites[line as usize % RECENT_SITES];
                last.file[..bytes.len()].copy_from_slice(bytes);
                (last.line, last.length, last.site) = (line, length, site);
            });
        }
        site
    }

    /// The site, if this thread set it recently. A loop sets the same few sites repeatedly, so this saves it the table's lock.
    #[inline]
    pub fn same(file: &CStr, line: i32) -> Option<Site> {
        RECENT.with_borrow(|sites| {
            let last = &sites[line as usize % RECENT_SITES];
            let same = last.line == line && last.file[..usize::from(last.length)] == *file.to_bytes();
            (same && last.site != Site::NONE).then_some(last.site)
        })
    }

    fn interned(file: &str, line: i32) -> Site {
        let mut text = crate::error::Text::new();
        // A name keeps the end of the path, so a long path is cut at its start.
        let mut start = file.len().saturating_sub(4 * NAME_BYTES);
        while !file.is_char_boundary(start) {
            start += 1;
        }
        let _ = fmt::write(&mut text, format_args!("{}:{line}", &file[start..]));
        Site::of(Name::tail(text.as_str()))
    }

    fn of(name: Name) -> Site {
        let mut table = TABLE.lock();
        let table = &mut *table;
        if !table.table.is_empty()
            && let Ok(number) = table.find(&name)
        {
            return Site(number);
        }
        if table.names.len() >= MAX_SITES {
            return Site(MAX_SITES as u32);
        }
        if !table.reserve() {
            return Site::NONE;
        }
        let Err(at) = table.find(&name) else { return Site::NONE };
        table.names.push(name);
        table.table[at] = table.names.len() as u32;
        Site(table.names.len() as u32)
    }

    /// The name of the site. Takes the table's lock: never called under a ledger's lock.
    pub fn name(self) -> Name {
        match self.0 {
            0 => Name::NONE,
            number => TABLE.lock().names.get(number as usize - 1).copied().unwrap_or(Name::NONE),
        }
    }

    /// The site's number; 0: none.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The site of a number from [`Site::number`].
    pub fn from_number(number: u32) -> Site {
        Site(number)
    }
}

/// The number of recent sites that a thread remembers, by the remainder of the line number.
const RECENT_SITES: usize = 8;

/// A site that a thread set recently.
struct RecentSite {
    line: i32,
    site: Site,
    /// Length of the file's name in bytes. Longer names than `u8::MAX` are not kept.
    length: u8,
    file: [u8; u8::MAX as usize],
}

thread_local! {
    static RECENT: RefCell<[RecentSite; RECENT_SITES]> = const {
        RefCell::new([const { RecentSite { line: 0, site: Site::NONE, length: 0, file: [0; u8::MAX as usize] } }; RECENT_SITES])
    };
    /// The forking thread holds the table's lock during a fork, so that the child finds the table complete.
    static FORKING: RefCell<Option<MutexGuard<'static, Sites>>> = const { RefCell::new(None) };
}

/// Before a fork: locks the table until [`after_fork`].
pub fn before_fork() {
    let _ = FORKING.try_with(|guard| *guard.borrow_mut() = Some(TABLE.lock()));
}

/// After a fork, in parent and child: unlocks the table.
pub fn after_fork() {
    let _ = FORKING.try_with(|guard| *guard.borrow_mut() = None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_characters() {
        let text = format!("{}äb", "x".repeat(62));
        assert_eq!(Name::head(&text).as_str(), "x".repeat(62));
        assert!(Name::tail(&text).as_str().ends_with("äb"));
        assert_eq!(Name::head("short").as_str(), "short");
        assert_eq!(Name::NONE.to_c()[0], 0);
    }

    #[test]
    fn sites_are_interned() {
        let site = Site::at("step.c", 41);
        assert_eq!(site, Site::at("step.c", 41));
        assert_ne!(site, Site::at("step.c", 42));
        assert_eq!(site.name().as_str(), "step.c:41");
        let long = format!("{}/step.c", "d".repeat(300));
        assert!(Site::at(&long, 7).name().as_str().ends_with("/step.c:7"));
        assert_eq!(Site::NONE.name().as_str(), "");
    }

    #[test]
    fn each_of_many_sites_keeps_its_number() {
        let numbers: Vec<Site> = (0..5000).map(|line| Site::at("many.c", line)).collect();
        for (line, site) in numbers.iter().enumerate() {
            assert_eq!(*site, Site::at("many.c", line as i32));
            assert_eq!(site.name().as_str(), format!("many.c:{line}"));
        }
    }
}
