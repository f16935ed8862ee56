//! Marks: events of the driver, each recorded behind what a queue had at some tick.
//!
//! Contract: an event is made once and never destroyed; a mark that nobody uses any more waits for the next record on its GPU. While a
//! [`EventRef`] on it lives, its event stands for the same tick. Marks lie in slots, so looking at one that was recycled is harmless.
//! None is recorded in a capture: such an event can be asked neither then nor, as far as is known, afterwards (907).

use crate::cuda_driver::CUevent;
use crate::error::Result;
use crate::gpu::{GPUS, Gpu, Inside};
use crate::slots::{Head, Kind, Slot, State, Table};
use crate::thread::{self, QuickLock};
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Flags of cuEventCreate: no timing, which makes it cheaper.
const DISABLE_TIMING: u32 = 2;

/// An event.
pub struct EventSlot {
    head: Head,
    event: AtomicPtr<cudarc::driver::sys::CUevent_st>,
    /// 2 * GPU + whether it has timing: the list where it waits.
    place: AtomicU32,
    tick: AtomicU64,
    users: AtomicU32,
    /// The next of its list; guarded by that list's lock.
    next: Cell<Option<&'static EventSlot>>,
}

// SAFETY: `next` is guarded by the lock of the list that the mark is in; the rest is atomic.
unsafe impl Sync for EventSlot {}

impl Slot for EventSlot {
    const KIND: Kind = Kind::Mark;
    fn new(head: Head) -> EventSlot {
        EventSlot {
            head,
            event: AtomicPtr::new(core::ptr::null_mut()),
            place: AtomicU32::new(0),
            tick: AtomicU64::new(0),
            users: AtomicU32::new(0),
            next: Cell::new(None),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// Those that wait for their next record, per GPU, without and with timing.
static FREE: [QuickLock<List>; 2 * GPUS] = [const { QuickLock::new(List { first: None }) }; 2 * GPUS];

struct List {
    first: Option<&'static EventSlot>,
}

// SAFETY: marks may be reached from any thread.
unsafe impl Send for List {}

/// A mark that stays as it is while this lives.
pub struct EventRef(&'static EventSlot);

impl EventRef {
    /// An event of that GPU that nobody else uses.
    pub fn take(gpu: &'static Gpu, inside: &Inside, timing: bool) -> Result<EventRef> {
        let place = 2 * gpu.id() as usize + usize::from(timing);
        let mut free = FREE[place].lock();
        if let Some(mark) = free.first {
            free.first = mark.next.take();
            drop(free);
            mark.users.store(1, Ordering::Relaxed);
            return Ok(EventRef(mark));
        }
        drop(free);
        EventRef::create(gpu, inside, timing, place)
    }

    #[cold]
    fn create(gpu: &'static Gpu, inside: &Inside, timing: bool, place: usize) -> Result<EventRef> {
        let _relaxed = inside.relaxed();
        let mut event: CUevent = core::ptr::null_mut();
        let flags = if timing { 0 } else { DISABLE_TIMING };
        // SAFETY: the pointer is ours.
        gpu.check(unsafe { inside.cuEventCreate(&mut event, flags)? }, "cuEventCreate")?;
        let thread = thread::current();
        let Ok(mark) = Table::<EventSlot>::take(thread) else {
            // SAFETY: just made, and recorded nowhere.
            let _ = unsafe { inside.cuEventDestroy_v2(event) };
            return Err(crate::error::fail(
                crate::types::TN_ERR_NO_HOST_MEMORY,
                format_args!("no memory for the bookkeeping of one more event"),
            ));
        };
        mark.head.set_state(State::Kept);
        mark.event.store(event, Ordering::Relaxed);
        mark.place.store(place as u32, Ordering::Relaxed);
        mark.users.store(1, Ordering::Relaxed);
        Ok(EventRef(mark))
    }

    /// The driver's event.
    pub fn event(&self) -> CUevent {
        self.0.event.load(Ordering::Relaxed)
    }

    /// What its event has behind it.
    pub fn tick(&self) -> u64 {
        self.0.tick.load(Ordering::Relaxed)
    }

    /// Says so, before anybody else knows it.
    pub fn set_tick(&self, tick: u64) {
        self.0.tick.store(tick, Ordering::Relaxed);
    }

    /// One more on a mark that has some.
    fn more(mark: &'static EventSlot) -> EventRef {
        mark.users.fetch_add(1, Ordering::Relaxed);
        EventRef(mark)
    }
}

impl Clone for EventRef {
    fn clone(&self) -> EventRef {
        EventRef::more(self.0)
    }
}

impl Drop for EventRef {
    fn drop(&mut self) {
        let mark = self.0;
        // AcqRel: who takes it next comes after all who used it.
        if mark.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut free = FREE[mark.place.load(Ordering::Relaxed) as usize].lock();
            mark.next.set(free.first.take());
            free.first = Some(mark);
        }
    }
}

/// The marks of one queue that have not passed as far as we know, by their ticks. Guarded by the queue.
pub struct PointCache {
    first: Option<&'static EventSlot>,
    count: usize,
    /// From so many on, those that passed are looked for.
    many: usize,
}

// SAFETY: as for `List`.
unsafe impl Send for PointCache {}

/// Marks that a queue keeps without asking which of them have passed.
const FEW: usize = 16;

impl PointCache {
    /// None.
    pub const fn new() -> PointCache {
        PointCache { first: None, count: 0, many: FEW }
    }

    /// Adds one, which the list shares.
    pub fn insert(&mut self, pin: &EventRef) {
        let mark = pin.0;
        core::mem::forget(EventRef::more(mark));
        let mut before: Option<&'static EventSlot> = None;
        let mut at = self.first;
        while let Some(other) = at.filter(|other| other.tick.load(Ordering::Relaxed) < pin.tick()) {
            before = Some(other);
            at = other.next.get();
        }
        mark.next.set(at);
        match before {
            Some(before) => before.next.set(Some(mark)),
            None => self.first = Some(mark),
        }
        self.count += 1;
    }

    /// The first that has a tick behind it.
    pub fn behind(&self, tick: u64) -> Option<EventRef> {
        let mut at = self.first;
        while let Some(mark) = at {
            if mark.tick.load(Ordering::Relaxed) >= tick {
                return Some(EventRef::more(mark));
            }
            at = mark.next.get();
        }
        None
    }

    /// Takes one out that has passed; the caller drops it under no lock.
    pub fn take_passed(&mut self, passed: u64) -> Option<EventRef> {
        let mark = self.first.filter(|mark| mark.tick.load(Ordering::Relaxed) <= passed)?;
        self.first = mark.next.take();
        self.count -= 1;
        Some(EventRef(mark))
    }

    /// Whether it is time to look for those that passed; if so, next time when twice as many are left as then.
    pub fn are_many(&self) -> bool {
        self.count >= self.many
    }

    /// What was left of them.
    pub fn looked_at(&mut self) {
        self.many = FEW.max(2 * self.count);
    }
}
