//! The quarantine of exported structs that their consumers have deleted.
//!
//! Contract: a slot is reused only after [`KEPT`] others entered the same quarantine: that of a thread, or the shared
//! one. Until then a second call of its deleter is detected. A thread with too many slots moves some to the shared
//! quarantine, and all of them when it ends. Its own quarantine changes only in a critical section, so that a fork
//! finds it complete. Only [`take`] allocates. Any thread may call this module.

use super::abi::Export;
use crate::arena::Quarantine;
use crate::error::Result;
use crate::slots::Table;
use crate::thread::{self, Area, ColdLock, CriticalSection, PerThread, Thread, area};

/// Slots that stay in a quarantine.
const KEPT: usize = 64;
/// A thread with this many slots passes [`KEPT`] of them on. It may delete structs that other threads export.
const MAX_PER_THREAD: usize = 2 * KEPT;

static SHARED: ColdLock<Quarantine<Export>> = ColdLock::new(Quarantine::new());

#[repr(transparent)]
struct OwnQuarantine(Quarantine<Export>);

// SAFETY: zeros are an empty quarantine; only the thread, or its exit hook, touches it; the area is for this type.
unsafe impl PerThread for OwnQuarantine {
    const AREA: Area = area::EXPORTS;
}

/// The oldest slot of this thread's quarantine, if enough others are there.
#[inline(always)]
pub fn take_own(thread: &'static Thread) -> Option<&'static Export> {
    let own = &OwnQuarantine::of(thread).0;
    if own.count() <= KEPT {
        return None;
    }
    let _inside = CriticalSection::enter(thread);
    own.take_beyond(KEPT)
}

/// Takes a slot that nothing else uses.
pub fn take(thread: &'static Thread) -> Result<&'static Export> {
    if let Some(slot) = take_own(thread) {
        return Ok(slot);
    }
    let shared = SHARED.lock().take_beyond(KEPT);
    shared.map_or_else(|| Table::<Export>::take(thread), Ok)
}

/// Retires a slot whose struct was deleted.
#[inline(always)]
pub fn put(thread: &'static Thread, slot: &'static Export) {
    let own = &OwnQuarantine::of(thread).0;
    if own.count() == 0 {
        thread::on_exit(pass_on_all);
    }
    let inside = CriticalSection::enter(thread);
    own.put(slot);
    drop(inside);
    if own.count() >= MAX_PER_THREAD {
        pass_on(thread, KEPT);
    }
}

fn pass_on_all(thread: &'static Thread) {
    pass_on(thread, OwnQuarantine::of(thread).0.count());
}

/// Moves a thread's oldest slots to the shared quarantine. The thread is the calling one, or is gone.
#[cold]
#[inline(never)]
fn pass_on(thread: &'static Thread, count: usize) {
    let shared = SHARED.lock();
    let own = &OwnQuarantine::of(thread).0;
    for _ in 0..count {
        let Some(slot) = own.take_beyond(0) else { break };
        shared.put(slot);
    }
}
