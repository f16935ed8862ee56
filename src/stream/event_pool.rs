//! Events of the driver, each recorded behind what a stream had at some tick.
//!
//! Contract: an event is created once and never destroyed; an unused one is recorded again later, on the same GPU.
//! While an [`EventRef`] lives, its event keeps its tick. Events lie in slots, so that a stale reference is harmless.
//! None is recorded in a graph capture: such an event can be queried neither then nor, as far as is known, afterwards
//! (result 907).

use crate::arena::{Link, Linked, Quarantine};
use crate::cuda_driver::CUevent;
use crate::error::{Result, fail};
use crate::gpu::{GPUS, Gpu, Inside};
use crate::options;
use crate::slots::{Head, Kind, Slot, State, Table};
use crate::thread::{self, QuickLock};
use crate::types::TN_ERR_NO_HOST_MEMORY;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// CU_EVENT_DISABLE_TIMING: makes an event cheaper.
const DISABLE_TIMING: u32 = 2;
/// CU_EVENT_BLOCKING_SYNC: a thread that waits for the event sleeps, instead of spinning.
const BLOCKING_SYNC: u32 = 1;

/// An event.
pub struct EventSlot {
    head: Head,
    event: AtomicPtr<cudarc::driver::sys::CUevent_st>,
    /// The index of its free list: see `list_of`.
    list: AtomicU32,
    /// Which of the GPU's contexts has it.
    epoch: AtomicU32,
    tick: AtomicU64,
    users: AtomicU32,
    /// The next event of its stream; guarded by the stream's lock.
    next: Cell<Option<&'static EventSlot>>,
    link: Link<EventSlot>,
}

// SAFETY: `next` is guarded by the lock of the stream that has the event; the rest is atomic.
unsafe impl Sync for EventSlot {}

impl Slot for EventSlot {
    const KIND: Kind = Kind::EventSlot;
    fn new(head: Head) -> EventSlot {
        EventSlot {
            head,
            event: AtomicPtr::new(core::ptr::null_mut()),
            list: AtomicU32::new(0),
            epoch: AtomicU32::new(0),
            tick: AtomicU64::new(0),
            users: AtomicU32::new(0),
            next: Cell::new(None),
            link: Link::new(),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Linked for EventSlot {
    fn link(&self) -> &Link<EventSlot> {
        &self.link
    }
}

/// Unused events by GPU; without and with timing; for waits that spin and that block.
static FREE: [QuickLock<Quarantine<EventSlot>>; KINDS * GPUS] =
    [const { QuickLock::new(Quarantine::new()) }; KINDS * GPUS];

/// Kinds of events of a GPU.
const KINDS: usize = 4;

fn list_of(gpu: &Gpu, timing: bool, blocking: bool) -> usize {
    KINDS * gpu.id() as usize + 2 * usize::from(blocking) + usize::from(timing)
}

/// A reference on an event. Its event keeps its tick while the reference lives.
pub struct EventRef(&'static EventSlot);

impl EventRef {
    /// An unused event of a GPU.
    pub fn take(gpu: &'static Gpu, inside: &Inside, timing: bool) -> Result<EventRef> {
        match EventRef::reuse(gpu, timing) {
            Some(event) => Ok(event),
            None => EventRef::create(gpu, inside, timing, options::stream_waits_block()),
        }
    }

    /// An unused event of a GPU that exists already. Calls no driver.
    pub fn reuse(gpu: &'static Gpu, timing: bool) -> Option<EventRef> {
        let list = list_of(gpu, timing, options::stream_waits_block());
        loop {
            let event = FREE[list].lock().take_beyond(0)?;
            // Else it went with its context.
            if event.epoch.load(Ordering::Relaxed) == gpu.epoch() {
                event.users.store(1, Ordering::Relaxed);
                return Some(EventRef(event));
            }
        }
    }

    #[cold]
    fn create(gpu: &'static Gpu, inside: &Inside, timing: bool, blocking: bool) -> Result<EventRef> {
        let mut event: CUevent = core::ptr::null_mut();
        let flags = if timing { 0 } else { DISABLE_TIMING } | if blocking { BLOCKING_SYNC } else { 0 };
        // SAFETY: the pointer is ours.
        gpu.check(unsafe { inside.cuEventCreate(&mut event, flags)? }, "cuEventCreate")?;
        let Ok(slot) = Table::<EventSlot>::take(thread::current()) else {
            // SAFETY: just created, and never recorded.
            let _ = unsafe { inside.cuEventDestroy_v2(event) };
            return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the bookkeeping of one more event")));
        };
        slot.head.set_state(State::Kept);
        slot.event.store(event, Ordering::Relaxed);
        slot.list.store(list_of(gpu, timing, blocking) as u32, Ordering::Relaxed);
        slot.epoch.store(gpu.epoch(), Ordering::Relaxed);
        slot.users.store(1, Ordering::Relaxed);
        Ok(EventRef(slot))
    }

    /// Whether the event exists in the context of its GPU that is in use now.
    pub fn is_of(&self, gpu: &Gpu) -> bool {
        self.0.epoch.load(Ordering::Relaxed) == gpu.epoch()
    }

    /// The driver's event.
    pub fn event(&self) -> CUevent {
        self.0.event.load(Ordering::Relaxed)
    }

    /// The tick of the event: once the event has passed, all work up to this tick is done.
    pub fn tick(&self) -> u64 {
        self.0.tick.load(Ordering::Relaxed)
    }

    /// Sets the tick, before the event is shared.
    pub fn set_tick(&self, tick: u64) {
        self.0.tick.store(tick, Ordering::Relaxed);
    }

    fn more(event: &'static EventSlot) -> EventRef {
        event.users.fetch_add(1, Ordering::Relaxed);
        EventRef(event)
    }
}

impl Clone for EventRef {
    fn clone(&self) -> EventRef {
        EventRef::more(self.0)
    }
}

impl Drop for EventRef {
    fn drop(&mut self) {
        let event = self.0;
        // AcqRel: the next user comes after all earlier ones.
        if event.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            FREE[event.list.load(Ordering::Relaxed) as usize].lock().put(event);
        }
    }
}

/// The events of one stream that are not known to have passed, in the order of their ticks. Guarded by the stream's
/// lock.
pub struct PointCache {
    first: Option<&'static EventSlot>,
    /// The event with the highest tick.
    last: Option<&'static EventSlot>,
    count: usize,
    /// From this count on, the events are queried.
    threshold: usize,
}

// SAFETY: events may be reached from any thread.
unsafe impl Send for PointCache {}

/// Events that a stream keeps without querying them.
const MIN_THRESHOLD: usize = 64;

impl PointCache {
    /// No events.
    pub const fn new() -> PointCache {
        PointCache { first: None, last: None, count: 0, threshold: MIN_THRESHOLD }
    }

    /// Adds an event; the cache gets a reference of its own.
    pub fn insert(&mut self, event: &EventRef) {
        let slot = event.0;
        core::mem::forget(EventRef::more(slot));
        let is_earlier = |other: &&'static EventSlot| other.tick.load(Ordering::Relaxed) < event.tick();
        // A new event nearly always has the highest tick. Only two threads that record at the same time insert in
        // another order.
        let (mut before, mut at) = match self.last.filter(is_earlier) {
            Some(last) => (Some(last), None),
            None => (None, self.first),
        };
        while let Some(other) = at.filter(is_earlier) {
            before = Some(other);
            at = other.next.get();
        }
        slot.next.set(at);
        match before {
            Some(before) => before.next.set(Some(slot)),
            None => self.first = Some(slot),
        }
        if at.is_none() {
            self.last = Some(slot);
        }
        self.count += 1;
    }

    /// The first event at or behind a tick.
    pub fn behind(&self, tick: u64) -> Option<EventRef> {
        // Nearly always the question is about work behind the last event.
        self.last.filter(|last| last.tick.load(Ordering::Relaxed) >= tick)?;
        let mut at = self.first;
        while let Some(event) = at {
            if event.tick.load(Ordering::Relaxed) >= tick {
                return Some(EventRef::more(event));
            }
            at = event.next.get();
        }
        None
    }

    /// Removes an event that has passed; the caller drops it under no lock.
    pub fn take_passed(&mut self, passed: u64) -> Option<EventRef> {
        let event = self.first.filter(|event| event.tick.load(Ordering::Relaxed) <= passed)?;
        self.first = event.next.take();
        if self.first.is_none() {
            self.last = None;
        }
        self.count -= 1;
        Some(EventRef(event))
    }

    /// Whether there are so many events that they should be queried.
    pub fn is_over_threshold(&self) -> bool {
        self.count >= self.threshold
    }

    /// Sets the next threshold, after the events were queried.
    pub fn adapt_threshold(&mut self) {
        self.threshold = MIN_THRESHOLD.max(2 * self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event that was never recorded.
    fn event(tick: u64) -> EventRef {
        let slot = Table::<EventSlot>::take(thread::current()).unwrap();
        slot.users.store(1, Ordering::Relaxed);
        slot.tick.store(tick, Ordering::Relaxed);
        EventRef(slot)
    }

    #[test]
    fn events_are_sorted_by_their_ticks() {
        let mut cache = PointCache::new();
        assert!(cache.behind(0).is_none());
        for tick in [5, 9, 7, 3, 11, 11] {
            cache.insert(&event(tick));
        }
        for (tick, first) in [(0, 3), (3, 3), (4, 5), (8, 9), (10, 11), (11, 11)] {
            assert_eq!(cache.behind(tick).unwrap().tick(), first);
        }
        assert!(cache.behind(12).is_none());
        let passed = core::iter::from_fn(|| cache.take_passed(9)).map(|event| event.tick()).collect::<Vec<_>>();
        assert_eq!(passed, [3, 5, 7, 9]);
        assert!(cache.take_passed(10).is_none());
        // The list may run empty, and begin again.
        assert_eq!(core::iter::from_fn(|| cache.take_passed(20)).count(), 2);
        assert!(cache.behind(0).is_none() && cache.count == 0);
        cache.insert(&event(30));
        cache.insert(&event(20));
        assert_eq!((cache.behind(25).unwrap().tick(), cache.behind(1).unwrap().tick()), (30, 20));
        while cache.take_passed(u64::MAX).is_some() {}
    }
}
