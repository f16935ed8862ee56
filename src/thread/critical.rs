//! Critical sections: a fork waits until no thread is in one.

use super::gate::BehindGate;
use super::record::Thread;
use super::records::current_if_registered;
use crate::sys::os;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// 0: no fork. Bit 0: a fork, or `stop_the_world`, waits. Bit 1: the system has no membarrier, so entering needs a
/// fence. Bit 2: events are recorded, bit 3: a pool has memory to give back, both of which [`FastEntry`] leaves to slow
/// paths. Changed by `gates`.
pub(super) static FORKING: AtomicU32 = AtomicU32::new(0);
/// The bit of a fork.
#[cfg(not(loom))]
pub(super) const FORK: u32 = 1 << 0;
/// The bit of a system without membarrier.
#[cfg(not(loom))]
pub(super) const NO_BARRIER: u32 = 1 << 1;
/// The bit for events.
pub(super) const RECORDING: u32 = 1 << 2;
/// The bit for memory to give back.
pub(super) const DUE: u32 = 1 << 3;
/// The system's number of the thread that forks.
pub(super) static FORKER: AtomicUsize = AtomicUsize::new(0);

/// Entered while a lock of the library is held: delays forks. Nests.
pub struct CriticalSection {
    thread: &'static Thread,
    /// Not Send.
    own: PhantomData<*const ()>,
}

impl CriticalSection {
    /// Enters; `thread` is the calling thread.
    #[inline]
    pub fn enter(thread: &'static Thread) -> CriticalSection {
        let depth = thread.inside.load(Ordering::Relaxed);
        thread.inside.store(depth + 1, Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        // The forking thread sets the bit, makes every thread pass a barrier, and then reads `inside`. Either it sees
        // the store above, or this thread sees its bit.
        if FORKING.load(Ordering::Acquire) & !(RECORDING | DUE) != 0 {
            wait_for_fork(thread, depth);
        }
        CriticalSection { thread, own: PhantomData }
    }

    /// The thread that entered.
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }
}

impl Drop for CriticalSection {
    #[inline]
    fn drop(&mut self) {
        let depth = self.thread.inside.load(Ordering::Relaxed);
        // Release pairs with the Acquire in `wait_until_alone`: the child sees complete changes.
        self.thread.inside.store(depth - 1, Ordering::Release);
    }
}

/// Runs foreign code outside of the thread's critical section, if it is in one, so that forks do not wait for that
/// code. The caller holds no lock, and has left what the section protects in a complete state.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    let Some(thread) = current_if_registered().filter(|thread| thread.is_inside()) else { return work() };
    let (depth, fast) = (thread.inside.load(Ordering::Relaxed), thread.fast.load(Ordering::Relaxed));
    // As at the end of `CriticalSection`.
    thread.fast.store(0, Ordering::Release);
    thread.inside.store(0, Ordering::Release);
    let result = work();
    let section = CriticalSection::enter(thread);
    thread.fast.store(fast, Ordering::Relaxed);
    // Release orders the store before: a fork that finds depth 0 finds the short call.
    thread.inside.store(depth, Ordering::Release);
    core::mem::forget(section);
    result
}

/// The critical section of a short call. May nest in a [`CriticalSection`], but not in another short call.
// It stores constants, so that a call does not wait for the store of the one before: a counter costs more than the rest
// of a short call.
// A word of its own, so that a call need not look whether it nests in a section: the section's depth stays.
#[repr(transparent)]
pub struct FastEntry {
    thread: &'static Thread,
    /// Not Send.
    own: PhantomData<*const ()>,
}

impl FastEntry {
    /// Enters; `thread` is the calling thread. None: it would have to wait, or a slow path has something to do: events
    /// are recorded, or a pool has memory to give back.
    #[inline(always)]
    pub fn begin(thread: &'static Thread) -> Option<FastEntry> {
        FastEntry::begin_unless(thread, !0)
    }

    /// As [`FastEntry::begin`], for a caller on a slow path, which records its events and has given memory back.
    #[inline(always)]
    pub fn begin_recording(thread: &'static Thread) -> Option<FastEntry> {
        FastEntry::begin_unless(thread, !(RECORDING | DUE))
    }

    #[inline(always)]
    fn begin_unless(thread: &'static Thread, obstacles: u32) -> Option<FastEntry> {
        debug_assert!(thread.fast.load(Ordering::Relaxed) == 0, "a short call in a short call");
        thread.fast.store(1, Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        // As in `CriticalSection::enter`.
        let entry = FastEntry { thread, own: PhantomData };
        (FORKING.load(Ordering::Acquire) & obstacles == 0).then_some(entry)
    }

    /// As [`FastEntry::begin`], for what lies behind the gate of a thread or of no thread. Where fast paths are off, that
    /// has nothing.
    #[inline(always)]
    pub fn through_gate<T: BehindGate>(thread: &'static Thread) -> Option<(FastEntry, &'static T)> {
        debug_assert!(!thread.is_taken() || thread.fast.load(Ordering::Relaxed) == 0, "a short call in a short call");
        thread.fast.store(1, Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        // The gate is closed where `CriticalSection::enter` sees the bit.
        let entry = FastEntry { thread, own: PhantomData };
        thread.gate.get().map(|behind| (entry, behind))
    }

    /// The thread that entered.
    #[inline(always)]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }
}

impl Drop for FastEntry {
    #[inline(always)]
    fn drop(&mut self) {
        // As in `CriticalSection`.
        self.thread.fast.store(0, Ordering::Release);
    }
}

#[cold]
#[inline(never)]
fn wait_for_fork(thread: &'static Thread, depth: u32) {
    // A thread that is inside already must not wait: the fork waits for it.
    if depth > 0 || thread.fast.load(Ordering::Relaxed) != 0 {
        return;
    }
    loop {
        core::sync::atomic::fence(Ordering::SeqCst);
        // Acquire pairs with the Release in `resume_others`, after which this thread sees what was done meanwhile, and
        // with the store of the bit, before which `FORKER` was stored.
        if FORKING.load(Ordering::Acquire) & 1 == 0 || FORKER.load(Ordering::Relaxed) == thread.number() as usize {
            return;
        }
        thread.inside.store(0, Ordering::Release);
        os::sleep_us(20);
        thread.inside.store(1, Ordering::Relaxed);
    }
}
