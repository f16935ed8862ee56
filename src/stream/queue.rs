//! Queues: a CUstream's order of work, and points in it.
//!
//! All ticks come from one clock of the process, which moves on whenever an event is about to be recorded or a wait for a whole stream or
//! device is about to begin. [`Queue::now`] is the clock: what was issued before it was read is issued before any event with that tick or a
//! later one. A queue knows up to which tick it has **passed**; a mark of tick t that is done makes that t. So a queue that ended and serves
//! another CUstream later needs nothing but the clock: what an old point asks for has passed.
//!
//! Another thread's per-thread stream has no name that the driver understands here. The legacy stream is ordered after it, so an event there
//! serves; it may come later than it had to.

use super::held::Held;
use super::mark::{Marks, Pin};
use super::order::Order;
use super::point::Point;
use crate::device::cuda::{Gpu, Inside};
use crate::error::{Result, Status, fail};
use crate::slots::{Head, Kind, Slot, State, Table};
use crate::sys::cuda::{CUstream, code};
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
    marks: QuickLock<Marks>,
    order: QuickLock<Order>,
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
            marks: QuickLock::new(Marks::new()),
            order: QuickLock::new(Order::NONE),
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
    pub(super) fn begin(gpu: &'static Gpu, native: u64, origin: Origin, blocking: bool) -> Result<Held> {
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
        *queue.order.lock() = Order::NONE;
        queue.head.set_state(State::Kept);
        // Release pairs with the Acquire in `hold`: who finds it finds all of it.
        queue.holds.store(1, Ordering::Release);
        Ok(Held(queue))
    }

    /// Gives the slot of one that ended back; what an old point asks for has passed.
    pub(super) fn recycle(&'static self) {
        Table::free(thread::current(), self);
    }

    /// One more hold, of a queue that the caller knows to be held.
    pub fn held(&'static self) -> Held {
        let before = self.holds.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "held, as the caller knows");
        Held(self)
    }

    /// A hold, if somebody else has one.
    pub fn hold(&'static self) -> Option<Held> {
        let more = |holds: u32| (holds > 0).then_some(holds + 1);
        self.holds.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).ok().map(|_| Held(self))
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

    /// All that was issued so far, and perhaps some of what comes next. Asks no driver.
    pub fn now(&'static self) -> Point {
        // SeqCst: not read before the driver let go of what it issued last, see the head of this file.
        let tick = CLOCK.load(Ordering::SeqCst);
        if self.asked.load(Ordering::Relaxed) < tick {
            self.asked.fetch_max(tick, Ordering::Relaxed);
        }
        Point::new(self, tick)
    }

    /// Opens a use: work that others issue on it until [`Queue::close_use`] is told the number that this gives. The caller holds the queue,
    /// the use does not: it is closed when the queue ends, behind an event.
    pub fn open_use(&self) -> u64 {
        self.opened.store(true, Ordering::Relaxed);
        self.born.load(Ordering::Relaxed)
    }

    /// Whether it still is what it was when that use was opened.
    pub fn has_use(&self, opened: u64) -> bool {
        self.born.load(Ordering::Relaxed) == opened
    }

    /// Closes a use: a point behind its work. The queue may have ended meanwhile, and be another one by now, which it was not before that work
    /// was done.
    pub fn close_use(&'static self, opened: u64) -> Point {
        if !self.has_use(opened) {
            return Point::new(self, 0);
        }
        let ended = || Some(self.ended.load(Ordering::SeqCst)).filter(|tick| *tick > 0);
        // Not asked of one that has ended: nothing comes behind it any more. Where it ends in between, either this finds so, or the end finds
        // what was asked.
        let tick = ended().unwrap_or_else(|| {
            let now = self.now().tick();
            ended().unwrap_or(now)
        });
        Point::new(self, tick)
    }

    /// It ends, and with it the uses that are open; before an event is recorded behind what was asked.
    pub(super) fn close_uses(&'static self) {
        if self.opened.load(Ordering::Relaxed) {
            self.ended.store(self.now().tick(), Ordering::SeqCst);
        }
    }

    /// All that was issued so far, with an event behind it. TN_ERR_UNSUPPORTED: it is capturing a graph; TN_ERR_DRIVER.
    pub fn mark(&'static self) -> Result<Point> {
        self.record(false).map(|pin| Point::of(self, &pin))
    }

    /// The same, and its event, with timing or without.
    pub(super) fn record(&'static self, timing: bool) -> Result<Pin> {
        match self.hold() {
            Some(_held) => self.record_held(timing),
            None => Err(self.refusal()),
        }
    }

    /// The same for one whose CUstream is there for certain.
    pub(super) fn record_held(&'static self, timing: bool) -> Result<Pin> {
        let gpu = self.gpu();
        if self.gone.load(Ordering::Relaxed) {
            return Err(self.refusal());
        }
        let inside = gpu.enter()?;
        let stream = if self.is_nameable() { self.raw() } else { LEGACY as CUstream };
        if is_capturing(gpu, &inside, stream)? {
            return Err(capturing(gpu));
        }
        let pin = Pin::take(gpu, &inside, timing)?;
        pin.set_tick(tick());
        // SAFETY: an event of this context that nobody else uses, and a stream that is held.
        gpu.check(unsafe { inside.cuEventRecord(pin.event(), stream)? }, "cuEventRecord")?;
        self.marked.fetch_max(pin.tick(), Ordering::Relaxed);
        let mut marks = self.marks.lock();
        marks.insert(&pin);
        let many = marks.are_many();
        drop(marks);
        if many {
            self.look_at_marks(&inside);
        }
        Ok(pin)
    }

    /// Finds how many of many marks have passed.
    #[cold]
    fn look_at_marks(&'static self, inside: &Inside) {
        let _relaxed = inside.relaxed();
        loop {
            let Some(pin) = self.behind(0) else { break };
            // SAFETY: an event of ours.
            match unsafe { inside.cuEventQuery(pin.event()) } {
                Ok(code::SUCCESS) => self.pass(pin.tick()),
                _ => break,
            }
        }
        self.marks.lock().looked_at();
    }

    /// Everything up to a tick is done.
    pub(super) fn pass(&self, tick: u64) {
        // Release pairs with the Acquire in `has_passed`: what the work wrote is there for who asks.
        self.passed.fetch_max(tick, Ordering::AcqRel);
        loop {
            let passed = self.marks.lock().take_passed(tick);
            if passed.is_none() {
                break;
            }
        }
    }

    /// The first event that has a tick behind it.
    pub(super) fn behind(&self, tick: u64) -> Option<Pin> {
        self.marks.lock().behind(tick)
    }

    /// Whether everything up to a tick is known to be done.
    #[inline]
    pub(super) fn has_passed(&self, tick: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= tick
    }

    /// Whether everything that was ever asked of it is done.
    pub(super) fn is_idle(&self) -> bool {
        self.has_passed(self.asked.load(Ordering::Relaxed).max(self.marked.load(Ordering::Relaxed)))
    }

    /// Whether a point was given out that no event is behind.
    pub(super) fn is_unmarked(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked > self.marked.load(Ordering::Relaxed) && !self.has_passed(asked)
    }

    /// The last of its marks, for one that ended.
    pub(super) fn poll_marks(&'static self) {
        let last = self.marked.load(Ordering::Relaxed);
        if !self.has_passed(last) {
            let _ = Point::new(self, last).poll();
        }
    }

    /// Makes what is issued on this queue from now on wait for a point; the host does not. Nothing to do where that is so already.
    /// TN_ERR_UNSUPPORTED: one of the two is capturing a graph; TN_ERR_DRIVER: the point's stream ended with no event behind the point, or
    /// this one ended, or is another thread's own, of which the driver would take this thread's.
    pub fn wait_for(&'static self, point: Point) -> Result<()> {
        if self.follows(point) {
            return Ok(());
        }
        let Some(_held) = self.hold().filter(|_| self.is_nameable()) else { return Err(self.out_of_reach()) };
        let pin = point.pin()?;
        let gpu = self.gpu();
        let inside = gpu.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return if point.poll() { Ok(()) } else { Err(capturing(gpu)) };
        }
        // The driver waits for the record that the event has now, whatever is recorded on it later (cuEventRecord's reference).
        // SAFETY: an event that is pinned, of whatever GPU, and a stream that is held.
        gpu.check(unsafe { inside.cuStreamWaitEvent(self.raw(), pin.event(), 0)? }, "cuStreamWaitEvent")?;
        self.order.lock().learn(point.queue().head.number(), pin.tick());
        Ok(())
    }

    /// Whether what is issued on this queue from now on comes after a point for certain. Asks no driver.
    pub fn follows(&'static self, point: Point) -> bool {
        self == point.queue()
            || point.is_passed()
            || self.is_ordered_with(point.queue())
            || self.order.lock().has(point.queue().head.number(), point.tick())
    }

    /// The legacy stream waits for what was issued on the blocking ones of its GPU, and they for it (PD-9).
    fn is_ordered_with(&self, other: &Queue) -> bool {
        let legacy = self.origin() == Origin::Legacy || other.origin() == Origin::Legacy;
        let blocking = self.blocking.load(Ordering::Relaxed) && other.blocking.load(Ordering::Relaxed);
        legacy && blocking && core::ptr::eq(self.gpu(), other.gpu())
    }

    /// Waits for all that was issued on it so far (ST-6), under no lock. TN_ERR_UNSUPPORTED: it is capturing a graph, which goes on.
    pub fn synchronize(&'static self) -> Result<()> {
        let gpu = self.gpu();
        let inside = gpu.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return Err(capturing(gpu));
        }
        let tick = tick();
        // SAFETY: a stream that the caller holds.
        gpu.check(unsafe { inside.cuStreamSynchronize(self.raw())? }, "cuStreamSynchronize")?;
        self.pass(tick);
        Ok(())
    }

    /// Whether a graph is being captured on it.
    pub fn is_capturing(&'static self) -> Result<bool> {
        let gpu = self.gpu();
        is_capturing(gpu, &gpu.enter()?, self.raw())
    }

    #[cold]
    fn refusal(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} ended before an event could be recorded behind its last work; \
                 tn_device_synchronize makes sure of it",
                self.gpu().id()
            ),
        )
    }

    #[cold]
    fn out_of_reach(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} ended, or is another thread's own, and cannot be made to wait",
                self.gpu().id()
            ),
        )
    }
}

/// Asked before anything that would break a capture: the reference promises that asking breaks none, also where the answer is IMPLICIT.
fn is_capturing(gpu: &'static Gpu, inside: &Inside, stream: CUstream) -> Result<bool> {
    const NONE: u32 = 0;
    /// Another thread captures a graph, and the legacy stream would become part of it.
    const IMPLICIT: u32 = 906;
    let mut status = NONE;
    // SAFETY: a stream that the caller holds; the number is ours.
    match unsafe { inside.cuStreamIsCapturing(stream, &mut status)? } {
        IMPLICIT => Ok(true),
        number => gpu.check(number, "cuStreamIsCapturing").map(|()| status != NONE),
    }
}

#[cold]
fn capturing(gpu: &Gpu) -> Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!("a graph is being captured on this stream of GPU {}, and this cannot be part of it", gpu.id()),
    )
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
pub(super) fn find(gpu: &'static Gpu, native: u64) -> Option<Held> {
    let mut found = None;
    each(|queue| {
        if found.is_none() && queue.is_of(gpu, native) {
            // It may have ended a moment ago, and stand for another one now.
            found = queue.hold().filter(|held| held.queue().is_of(gpu, native));
        }
    });
    found
}
