//! Memory of the host whose bytes are accessible only while something may use them (the option `check`, CK-1).
//!
//! Contract: each range is a block of its own, followed by pages that are never accessible. What a ledger allows is the
//! most that the processor allows. A freed range stays inaccessible, until many others were freed after it. An access
//! that is refused is reported before the fault goes its way: which array, which byte, and who last had it.
//!
//! A range changes its access by a system call, under the lock of the store that it has. Protection keys would spare
//! that call, but belong to a thread, and a guard is good for all threads.

use super::checked_ranges::{self, Range, Ranges, Use};
use super::interface::{Device, GRANULE, Terms};
use crate::error::{Result, Text};
use crate::names::Name;
use crate::options;
use crate::sites::Site;
use crate::sys::page_access::{self, Cause, Fault, PageAccess};
use crate::sys::{bytes, checker, machine, os};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The memory.
pub struct Checked;

/// The only one.
pub static CHECKED: Checked = Checked;

/// A range takes two mappings, and the process needs others.
const MAPPINGS_PER_RANGE: usize = 4;
/// What the bytes between the end of an array and the end of its page have.
const RED_ZONE: u8 = 0xa5;

/// All ranges.
static RANGES: QuickLock<Ranges> = QuickLock::new(Ranges::EMPTY);

/// Whether memory of this kind was ever made: spares other processes a look.
static EXISTS: AtomicBool = AtomicBool::new(false);

/// Whether any memory is checked.
#[inline(always)]
pub fn exists() -> bool {
    EXISTS.load(Ordering::Relaxed)
}

/// Whether pools that are made now are to be checked: by the option, or the environment's TENURE_CHECK.
pub fn is_wanted() -> bool {
    /// 0: not asked yet; 1: no; 2: yes.
    static ENVIRONMENT: AtomicU8 = AtomicU8::new(0);
    let set = match ENVIRONMENT.load(Ordering::Relaxed) {
        0 => {
            let set = os::with_variable(c"TENURE_CHECK", |value| !matches!(value.to_bytes(), b"" | b"0")) == Some(true);
            ENVIRONMENT.store(1 + u8::from(set), Ordering::Relaxed);
            set
        }
        known => known == 2,
    };
    set || options::check()
}

/// Prepares the process: the fast paths, which change no access, are not used from now on.
pub fn begin() {
    if EXISTS.swap(true, Ordering::Relaxed) {
        return;
    }
    thread::set_devices_in_doubt();
    page_access::report_faults(report);
    checker::report_errors(|address, writes| {
        report(Fault { address, writes: Some(writes), cause: Cause::Protection });
    });
}

/// The last accessible address of a range, and one.
fn end_of(range: &Range) -> usize {
    let used = if range.array > 0 { range.array.next_multiple_of(os::page_bytes()) } else { range.bytes };
    range.start + used.min(range.bytes)
}

/// Fills the bytes between the end of an array and the end of its page, which memory checkers treat as inaccessible.
///
/// # Safety
/// - the bytes are of the array's block and accessible.
unsafe fn fill_red_zone(start: usize, end: usize) {
    checker::open(start, end - start);
    // SAFETY: the caller's obligation.
    unsafe { bytes::fill(start as *mut u8, RED_ZONE, end - start) };
    checker::shut(start, end - start);
}

/// Whether nobody wrote there since [`fill_red_zone`]. The end is that of a page.
///
/// # Safety
/// - the bytes are of the array's block and accessible.
unsafe fn is_red_zone(start: usize, end: usize) -> bool {
    const WORD: usize = size_of::<u64>();
    let words = start.next_multiple_of(WORD).min(end);
    // Volatile, because the program may write there now; no reference to the bytes is formed.
    // SAFETY: the caller's obligation.
    let is_byte_red = |at: usize| unsafe { (at as *const u8).read_volatile() == RED_ZONE };
    // SAFETY: the caller's obligation; aligned.
    let is_word_red = |at: usize| unsafe { (at as *const u64).read_volatile() == u64::from_ne_bytes([RED_ZONE; WORD]) };
    (start..words).all(is_byte_red) && (words..end).step_by(WORD).all(is_word_red)
}

/// Makes the bytes of a new array the only ones of its range that are ever accessible, and marks what is behind them.
/// The range is accessible until [`set_access`]. Nothing happens at an address that is in no range.
pub fn begin_array(start: usize, bytes: usize, name: Name) {
    let mut ranges = RANGES.lock();
    let Some(range) = ranges.at(start) else { return };
    (range.array, range.name) = (bytes, name);
    let (end, whole) = (end_of(range), range.start + range.bytes);
    drop(ranges);
    // SAFETY: of the array's block, behind its bytes: nobody else's.
    unsafe {
        fill_red_zone(start + bytes, end);
        if end < whole {
            page_access::set(end, whole - end, PageAccess::None);
        }
    }
}

/// Sets what may be done with an array's bytes. `ended`: the use that has ended. Returns false if bytes behind the
/// array were written since the last call. The caller holds the lock of the store.
pub fn set_access(start: usize, access: PageAccess, name: Name, ended: Option<Use>) -> bool {
    let mut ranges = RANGES.lock();
    let Some(range) = ranges.at(start).filter(|range| range.array > 0) else { return true };
    let before = core::mem::replace(&mut range.access, access);
    range.last = ended.or(range.last);
    if !name.is_none() {
        range.name = name;
    }
    let (end, array, open) = (end_of(range), range.array, range.open);
    let behind = start + array;
    drop(ranges);
    // Pages for reads only are as they were. Where no use ends, nobody would be told.
    let may_differ = ended.is_some() && (before == PageAccess::Write || open);
    // SAFETY: of the array's block, behind its bytes, and accessible before the change below.
    let intact = !may_differ || checker::without_reports(|| unsafe { is_red_zone(behind, end) });
    if !intact {
        // SAFETY: as above. Each overrun is told once.
        unsafe { fill_red_zone(behind, end) };
    }
    if before == access {
        return intact;
    }
    if !open {
        // SAFETY: whole pages of the array's block. The ledger says that no use of them is left that needs more.
        unsafe { page_access::set(start, end - start, access) };
    }
    // Checkers know no pages for reads only.
    match (before, access) {
        (_, PageAccess::None) => checker::shut(start, array),
        (PageAccess::None, _) => checker::open(start, array),
        _ => {}
    }
    intact
}

/// Unmaps the ranges that were freed first, if many were.
fn unmap_oldest() {
    loop {
        let Some((start, extent)) = RANGES.lock().remove_oldest() else { return };
        checker::open(start, extent);
        // SAFETY: mapped by `reserve`, freed, and off the list.
        unsafe { os::unmap(start, extent) };
    }
}

/// What is known of an address at which an access was refused.
struct Known {
    range: Range,
    fault: Fault,
}

/// Tells of a refused access. Runs in a signal handler.
fn report(fault: Fault) {
    let mut known = None;
    let looked = RANGES.peek(|ranges| {
        known = ranges.nearest(fault.address).map(|range| Known { range, fault });
    });
    if !looked {
        os::print_error(&[
            "tenure: an access was refused; its array is unknown, because the list of arrays is in use\n",
        ]);
    } else if let Some(known) = known {
        known.print();
    }
}

/// `array "weights" of 800 bytes`; the name is left out if there is none.
struct Described<'a> {
    what: &'static str,
    name: &'a Name,
    bytes: usize,
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if !self.name.is_none() {
            write!(f, " \"{}\"", self.name.as_str())?;
        }
        write!(f, " of {} bytes", self.bytes)
    }
}

/// "train.py:10", or how to get such a place.
fn place(site: u32) -> Name {
    match Site::from_number(site).name() {
        name if name.is_none() => Name::head("a place without TN_HERE"),
        name => name,
    }
}

impl Known {
    fn print(&self) {
        let range = &self.range;
        let access = match self.fault.writes {
            Some(true) => "a write",
            Some(false) => "a read",
            None => "an access",
        };
        let mut text = Text::new();
        let (what, bytes) = if range.array > 0 { ("array", range.array) } else { ("block", range.bytes) };
        let described = Described { what, name: &range.name, bytes };
        let (address, start) = (self.fault.address, range.start);
        let Some(at) = address.checked_sub(start) else {
            // What is in front of a range is not its memory. Whose it is, and why it was refused, is unknown.
            let distance = start - address;
            if self.fault.cause != Cause::Missing {
                let _ = writeln!(
                    text,
                    "tenure: {access} at {address:#x} was refused; {distance} bytes behind it the {described} begins, \
                     at {start:#x}"
                );
                os::print_error(&[text.as_str()]);
            }
            return;
        };
        let _ = if at < bytes {
            write!(text, "tenure: {access} of byte {at} of the {described} ")
        } else {
            write!(text, "tenure: {access} {} bytes behind the {described} ", at - bytes)
        };
        if self.fault.cause != Cause::Protection {
            let _ = writeln!(text, "at {start:#x} was refused because its page is missing, whatever guards are open");
            os::print_error(&[text.as_str()]);
            return;
        }
        let why = match range.access {
            _ if range.release.is_some() => ", which was released",
            PageAccess::None => ", which no guard or export has open",
            PageAccess::Read => ", which is open for reads only",
            PageAccess::Write => "",
        };
        let _ = writeln!(text, "at {start:#x}{why}");
        os::print_error(&[text.as_str()]);
        if let Some(last) = range.last {
            let mut text = Text::new();
            let (began, ended) = (place(last.began), place(last.ended));
            let _ = writeln!(
                text,
                "tenure: its last use was {}, begun at {}, and ended at {} by thread {}",
                last.what,
                began.as_str(),
                ended.as_str(),
                last.thread
            );
            os::print_error(&[text.as_str()]);
        }
        if let Some(release) = range.release {
            let mut text = Text::new();
            let (site, thread) = release;
            let _ = writeln!(text, "tenure: it was released at {} by thread {thread}", place(site).as_str());
            os::print_error(&[text.as_str()]);
        }
    }
}

/// Tells that bytes behind an array were written; `site`: where the use ended.
#[cold]
pub fn report_overrun(start: usize, bytes: usize, name: Name, used: &Use) {
    let mut text = Text::new();
    let (began, ended) = (place(used.began), place(used.ended));
    let described = Described { what: "array", name: &name, bytes };
    let _ = writeln!(
        text,
        "tenure: bytes behind the {described} at {start:#x} were written during {}, begun at {}, ended at {} by \
         thread {}",
        used.what,
        began.as_str(),
        ended.as_str(),
        used.thread
    );
    os::print_error(&[text.as_str()]);
    if options::abort_on_misuse() {
        std::process::abort();
    }
}

impl Device for Checked {
    fn terms(&self) -> Terms {
        let page = os::page_bytes();
        Terms { page, refusal: TN_ERR_NO_HOST_MEMORY, whole: true, zeroed: true, touch: true, ..Terms::NONE }
    }

    /// A freed range stays without access for a while, so that accesses to its block are found.
    fn can_keep(&self, _start: usize) -> bool {
        false
    }

    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>> {
        let Some(whole) = bytes.checked_add(GRANULE) else { return Ok(None) };
        let Some(start) = os::map(whole, alignment.max(GRANULE)) else { return Ok(None) };
        if let Some(node) = node.checked_sub(1) {
            os::prefer_node(start, bytes, node);
        }
        let mut range = Range::new(start, bytes);
        loop {
            let mut ranges = RANGES.lock();
            range.open = ranges.in_use() * MAPPINGS_PER_RANGE > page_access::most_mappings();
            let entered = ranges.enter(range);
            drop(ranges);
            if entered {
                break;
            }
            if !checked_ranges::make_room(&RANGES) {
                // SAFETY: mapped above, and nobody has the address.
                unsafe { os::unmap(start, whole) };
                return Ok(None);
            }
        }
        // SAFETY: behind the range, and nobody's.
        unsafe { page_access::set(start + bytes, GRANULE, PageAccess::None) };
        Ok(Some(start))
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        // SAFETY: the caller's obligation.
        unsafe {
            os::discard(start, bytes);
            page_access::set(start, bytes, PageAccess::None);
        }
        checker::shut(start, bytes);
        let thread = thread::current();
        RANGES.lock().free(start, (thread.site(), thread.number()));
        unmap_oldest();
        true
    }

    unsafe fn prefault(&self, start: usize, bytes: usize) {
        // SAFETY: the caller's obligation.
        unsafe { os::populate(start, bytes) };
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let memory = machine::memory();
        Some((memory.total, memory.free))
    }
}
