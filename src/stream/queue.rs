//! Queues: a CUstream's order of work, and points in it.
//!
//! All ticks come from one clock of the process, which moves on whenever an event is about to be recorded or a wait for a whole stream or
//! device is about to begin. [`Queue::now`] is the clock: what was issued before it was read is issued before any event with that tick or a
//! later one. A queue knows up to which tick it has **passed**; a mark of tick t that is done makes that t. So a queue that ended and serves
//! another CUstream later needs nothing but the clock: what an old point asks for has passed.
//!
//! Another thread's per-thread stream has no name that the driver understands here. The legacy stream is ordered after it, so an event there
//! serves; it may come later than it had to.
//!
//! | file | what |
//! |---|---|
//! | `progress` | points, the events behind them, and what is done |
//! | `uses` | work that others issue, open until they say its end |
//! | `waits` | who waits for what, and captures |

mod progress;

mod uses;

mod waits;

use super::event_pool::PointCache;
use super::known_waits::KnownWaits;
use super::queue_ref::QueueRef;
use crate::cuda_driver::CUstream;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::slots::{Head, Kind, Slot, State, Table};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What the driver calls the legacy and the per-thread stream.
pub const LEGACY: u64 = 1;
/// See [`LEGACY`].
pub const PER_THREAD: u64 = 2;

static CLOCK: AtomicU64 = AtomicU64::new(1);

/// The clock moves on; the tick that is over.
pub fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

/// Where a queue's CUstream is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Origin {
    /// Made by us, and destroyed by us.
    Created = 0,
    /// Another library's.
    Imported = 1,
    /// The legacy stream of a GPU.
    Legacy = 2,
    /// The per-thread stream of a GPU and a thread.
    PerThread = 3,
}

/// An order of device work; type-stable.
pub struct Queue {
    head: Head,
    gpu: AtomicPtr<Gpu>,
    native: AtomicU64,
    origin: AtomicU32,
    /// It is ordered with the legacy stream of its GPU.
    blocking: AtomicBool,
    /// The record of the thread that it belongs to, of a per-thread one.
    owner: AtomicUsize,
    /// The number that the driver gave an imported stream, which no other one ever has; 0: not known.
    serial: AtomicU64,
    /// Its owner has destroyed it while we had it.
    gone: AtomicBool,
    /// The tick at which it began to stand for its CUstream: no other queue, nor this one at another time, has the same.
    born: AtomicU64,
    /// A use was opened on it.
    opened: AtomicBool,
    /// The tick that closed the uses that were open when it ended; 0: it did not end, or had none.
    ended: AtomicU64,
    /// Who uses its CUstream: handles, threads that have it as their current one, scopes, calls under way. 0: it ended, or was never used.
    pub(super) holds: AtomicU32,
    /// The latest tick of a point that was given out without an event.
    asked: AtomicU64,
    /// The latest tick of an event.
    marked: AtomicU64,
    /// Everything up to that tick is done.
    passed: AtomicU64,
    marks: QuickLock<PointCache>,
    order: QuickLock<KnownWaits>,
    /// The next of the queues that ended with work under way; guarded by `end`.
    pub(super) next: AtomicPtr<Queue>,
}

impl Slot for Queue {
    const KIND: Kind = Kind::Queue;
    fn new(head: Head) -> Queue {
        Queue {
            head,
            gpu: AtomicPtr::new(core::ptr::null_mut()),
            native: AtomicU64::new(0),
            origin: AtomicU32::new(0),
            blocking: AtomicBool::new(false),
            owner: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            born: AtomicU64::new(0),
            opened: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            holds: AtomicU32::new(0),
            asked: AtomicU64::new(0),
            marked: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            marks: QuickLock::new(PointCache::new()),
            order: QuickLock::new(KnownWaits::NONE),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl PartialEq for Queue {
    fn eq(&self, other: &Queue) -> bool {
        core::ptr::eq(self, other)
    }
}

impl core::fmt::Debug for Queue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "queue {} of GPU {}", self.head.number(), self.gpu().id())
    }
}

impl Queue {
    /// A queue for a CUstream, with one hold.
    pub(super) fn begin(gpu: &'static Gpu, native: u64, origin: Origin, blocking: bool) -> Result<QueueRef> {
        let thread = thread::current();
        let queue = Table::<Queue>::take(thread)?;
        queue.gpu.store(core::ptr::from_ref(gpu).cast_mut(), Ordering::Relaxed);
        queue.native.store(native, Ordering::Relaxed);
        queue.origin.store(origin as u32, Ordering::Relaxed);
        queue.blocking.store(blocking, Ordering::Relaxed);
        let owner = if origin == Origin::PerThread { core::ptr::from_ref(thread) as usize } else { 0 };
        queue.owner.store(owner, Ordering::Relaxed);
        queue.serial.store(0, Ordering::Relaxed);
        queue.gone.store(false, Ordering::Relaxed);
        queue.born.store(tick(), Ordering::Relaxed);
        queue.opened.store(false, Ordering::Relaxed);
        queue.ended.store(0, Ordering::Relaxed);
        *queue.order.lock() = KnownWaits::NONE;
        queue.head.set_state(State::Kept);
        // Release pairs with the Acquire in `hold`: who finds it finds all of it.
        queue.holds.store(1, Ordering::Release);
        Ok(QueueRef(queue))
    }

    /// Gives the slot of one that ended back; what an old point asks for has passed.
    pub(super) fn recycle(&'static self) {
        Table::free(thread::current(), self);
    }

    /// One more hold, of a queue that the caller knows to be held.
    pub fn held(&'static self) -> QueueRef {
        let before = self.holds.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "held, as the caller knows");
        QueueRef(self)
    }

    /// A hold, if somebody else has one.
    pub fn hold(&'static self) -> Option<QueueRef> {
        let more = |holds: u32| (holds > 0).then_some(holds + 1);
        self.holds.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).ok().map(|_| QueueRef(self))
    }

    /// Its GPU.
    pub fn gpu(&self) -> &'static Gpu {
        // SAFETY: a slot that was ever used has its GPU's place in a static.
        unsafe { &*self.gpu.load(Ordering::Relaxed) }
    }

    /// Its device, as C names it.
    pub fn device(&self) -> tn_device {
        self.gpu().device()
    }

    /// The CUstream as other libraries want it: never 0.
    pub fn native(&self) -> u64 {
        self.native.load(Ordering::Relaxed)
    }

    /// The same as the driver wants it.
    pub fn raw(&self) -> CUstream {
        self.native() as CUstream
    }

    pub(super) fn origin(&self) -> Origin {
        match self.origin.load(Ordering::Relaxed) {
            0 => Origin::Created,
            1 => Origin::Imported,
            2 => Origin::Legacy,
            _ => Origin::PerThread,
        }
    }

    /// Whether it stands for the CUstream with that value now.
    fn is_of(&self, gpu: &Gpu, native: u64) -> bool {
        let there = self.holds.load(Ordering::Acquire) > 0 && !self.gone.load(Ordering::Relaxed);
        there && core::ptr::eq(self.gpu(), gpu) && self.native() == native
    }

    /// The driver's number of its stream, where an imported one is known by it.
    pub(super) fn serial(&self) -> u64 {
        self.serial.load(Ordering::Relaxed)
    }

    /// Sets that, before anybody else knows the queue.
    pub(super) fn set_serial(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
    }

    /// Another stream has its value: its owner destroyed the one that we knew, and nothing is asked of it any more.
    pub(super) fn lose_stream(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the driver knows the stream on this thread by the name that it has.
    fn is_nameable(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner == 0 || owner == core::ptr::from_ref(thread::current()) as usize
    }
}

/// Calls `visit` with every queue that is held, or ended with work under way.
pub(super) fn each(mut visit: impl FnMut(&'static Queue)) {
    Table::<Queue>::each(|queue| {
        if queue.head.state() == State::Kept {
            visit(queue);
        }
    });
}

/// The queue of a CUstream that has a name of its own, if it is known.
pub(super) fn find(gpu: &'static Gpu, native: u64) -> Option<QueueRef> {
    let mut found = None;
    each(|queue| {
        if found.is_none() && queue.is_of(gpu, native) {
            // It may have ended a moment ago, and stand for another one now.
            found = queue.hold().filter(|held| held.queue().is_of(gpu, native));
        }
    });
    found
}
