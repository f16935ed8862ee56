//! Events as slots.
//!
//! Contract: a time is taken before bytes are given up, and after bytes are got. So among all threads, the order of
//! times is an order in which no two owners have the same bytes.

use super::cursor::Cursor;
use super::event::{Event, Kind};
use super::store::{KINDS, STORE};
use super::texts;
use crate::sys::ticks;
use crate::thread::{self, CriticalSection, Thread};
use core::sync::atomic::Ordering;

/// Whether a log runs that records this kind.
#[inline(always)]
pub fn records(kind: Kind) -> bool {
    KINDS.load(Ordering::Relaxed) & 1 << kind as u32 != 0
}

/// The time, for [`record_since`].
#[inline(always)]
pub fn now() -> u64 {
    ticks::now()
}

/// Records an event of now, if its kind is recorded. `fill` sets the fields that it has.
#[inline(always)]
pub fn record(kind: Kind, fill: impl FnOnce(&mut Event)) {
    if records(kind) {
        record_since(ticks::now(), kind, fill);
    }
}

/// Records an event of an earlier time. The caller has asked whether its kind is recorded.
#[cold]
pub fn record_since(ticks: u64, kind: Kind, fill: impl FnOnce(&mut Event)) {
    let mut event = Event::of(kind);
    fill(&mut event);
    write(ticks, &event);
}

#[inline(never)]
fn write(ticks: u64, event: &Event) {
    in_section(|thread| {
        let site = thread.site();
        texts::use_site(thread, site);
        Cursor::write(thread, &[event.slot(ticks, site)]);
    });
}

/// Records that an array has a name.
pub fn name(array: u64, address: u64, name: &str) {
    if records(Kind::Name) {
        in_section(|thread| Cursor::write(thread, &texts::slots(Kind::Name, array, address, name)));
    }
}

/// Defines a pool's name, in a log that goes to a file.
pub fn define_pool(serial: u64, name: &str) {
    if KINDS.load(Ordering::Relaxed) != 0 && texts::are_written() {
        in_section(|thread| Cursor::write(thread, &texts::slots(Kind::Pool, serial, 0, name)));
    }
}

/// Writes in a critical section of the thread. Only a thread that has ended, or found no memory for its record, has
/// none, and drops the event.
#[inline(always)]
fn in_section(write: impl FnOnce(&'static Thread)) {
    let Some(thread) = thread::current_if_registered() else {
        STORE.dropped.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let _inside = CriticalSection::enter(thread);
    write(thread);
}
