//! Call sites for messages and reports.
//!
//! Contract: a [`Site`] is the number of an interned "file:line". Sites are few and never freed, so that any record can
//! keep a number. The table has no lock: a fork at any moment leaves it complete for the child. Any thread.

use crate::arena::Arena;
use crate::names::{NAME_BYTES, Name};
use core::ffi::CStr;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::cell::RefCell;

/// A call site: the number of an interned "file:line"; 0: none. All numbers fit 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Site(u32);

/// The number of sites that a program can have.
const CAPACITY: usize = (1 << 16) - 2;

/// The longest search for an entry. It reaches a free one unless nine in ten are taken.
const MAX_PROBES: usize = 64;

/// An open-addressing hash table of the sites. An entry is null or has its name for ever; its index plus 1 is the
/// site's number.
static TABLE: [AtomicPtr<Name>; CAPACITY] = [const { AtomicPtr::new(ptr::null_mut()) }; CAPACITY];

static NAMES: Arena<Name> = Arena::new();

/// The name at an index of the table.
fn name_at(index: usize) -> Option<&'static Name> {
    let name = TABLE.get(index)?.load(Ordering::Acquire);
    // SAFETY: null, or a record of `NAMES`, which is never freed, and was written before its pointer was stored.
    unsafe { name.as_ref() }
}

impl Site {
    /// No site.
    pub const NONE: Site = Site(0);

    /// The site that stands for all others once the table is full, so that a program that generates sites cannot fill
    /// the memory.
    const OTHERS: Site = Site(CAPACITY as u32 + 1);

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

    /// The site, if this thread set it recently. A loop sets the same few sites repeatedly, so this saves formatting
    /// and hashing.
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
        let hash = name.hashed();
        let start = (hash ^ (hash >> 32)) as usize;
        let mut record = None;
        for probe in 0..MAX_PROBES {
            let index = start.wrapping_add(probe) % CAPACITY;
            if name_at(index).is_none() {
                // A record that another thread's entry makes needless stays unused: 64 bytes, once per such race.
                let Some(new) = record.or_else(|| NAMES.get(|| name)) else { return Site::NONE };
                record = Some(new);
                let new = ptr::from_ref(new).cast_mut();
                // Release: the name is visible to threads that find the entry. After a failure the entry has a name,
                // compared below.
                _ = TABLE[index].compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed);
            }
            if name_at(index) == Some(&name) {
                return Site(index as u32 + 1);
            }
        }
        Site::OTHERS
    }

    /// The name of the site.
    pub fn name(self) -> Name {
        if self == Site::OTHERS {
            return Name::head("(more call sites than the library records)");
        }
        (self.0 as usize).checked_sub(1).and_then(name_at).copied().unwrap_or(Name::NONE)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_interned() {
        let site = Site::at("step.c", 41);
        assert_eq!(site, Site::at("step.c", 41));
        assert_ne!(site, Site::at("step.c", 42));
        assert_eq!(site.name().as_str(), "step.c:41");
        let long = format!("{}/step.c", "d".repeat(300));
        assert!(Site::at(&long, 7).name().as_str().ends_with("/step.c:7"));
        assert_eq!(Site::NONE.name().as_str(), "");
        assert_eq!(Site::from_number(u32::MAX).name().as_str(), "");
    }

    #[test]
    fn each_of_many_sites_keeps_its_number() {
        let sites: Vec<Site> = (0..5000).map(|line| Site::at("many.c", line)).collect();
        for (line, site) in sites.iter().enumerate() {
            assert_eq!(*site, Site::at("many.c", line as i32));
            assert_eq!(site.name().as_str(), format!("many.c:{line}"));
        }
    }

    #[test]
    fn threads_that_intern_one_site_get_one_number() {
        let numbers = || (0..500).map(|line| Site::at("shared.c", line).number()).collect::<Vec<u32>>();
        let of_threads: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(of_threads.iter().all(|seen| *seen == numbers()));
    }
}
