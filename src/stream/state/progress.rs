//! The progress of a stream: its points, the events behind them, and what is known to be done.
//!
//! Contract: only functions that record or query an event call the driver, and hold no lock.

use super::waits::{capturing, is_capturing};
use super::{CLOCK, LEGACY, Origin, Stream, advance_clock};
use crate::cuda_driver::{CUstream, code};
use crate::error::{Result, Status, fail, quietly};
use crate::gpu::{self, Inside};
use crate::stream::event_pool::EventRef;
use crate::stream::point::Point;
use crate::types::*;
use core::sync::atomic::{AtomicU64, Ordering};

/// So many ends of borrows in a row may record an event that no wait needs.
const MAX_UNNEEDED_EVENTS: u32 = 64;

/// How often work of any stream became known to be done, or lost with its device; never 0.
static PROGRESS: AtomicU64 = AtomicU64::new(1);

/// A number that changes whenever a point may have passed. Points that had not passed when it was read have not passed
/// while it is unchanged.
pub fn progress() -> u64 {
    // Acquire pairs with the Release in `note_progress`.
    PROGRESS.load(Ordering::Acquire).wrapping_add(gpu::lost_count())
}

fn note_progress() {
    // Release: a thread that sees the new number sees what passed.
    PROGRESS.fetch_add(1, Ordering::Release);
}

impl Stream {
    /// The point behind all work issued so far, and possibly some of what comes next. Calls no driver.
    pub fn now(&'static self) -> Point {
        // SeqCst: read after the driver returned from what was issued last, see the head of `state`.
        let tick = CLOCK.load(Ordering::SeqCst);
        if self.last_point.load(Ordering::Relaxed) < tick {
            self.last_point.fetch_max(tick, Ordering::Relaxed);
        }
        Point::new(self, tick)
    }

    /// The point behind all work issued so far, where a use of the stream ends. The caller vouches that the CUstream
    /// exists during this call.
    ///
    /// For another library's stream an event is recorded now, because no caller vouches for it later; for a per-thread
    /// stream too, because other threads cannot name it. Where none can be recorded, as in a capture, the point passes
    /// with a later event of the stream, or with the next wait for the whole device. For all other streams this is
    /// [`Stream::now`], which calls no driver. Called under no lock.
    #[inline]
    pub fn end_of_use(&'static self) -> Point {
        if self.needs_early_events() { self.end_of_use_recorded() } else { self.now() }
    }

    #[cold]
    fn end_of_use_recorded(&'static self) -> Point {
        quietly(|| self.record_point()).unwrap_or_else(|_| self.now())
    }

    /// The point behind a kernel that was just launched, where its borrows end. The caller vouches for the CUstream, as
    /// in [`Stream::end_of_use`]. It has an event unless [`Stream::unrecorded_end`] has a point. Called under no lock.
    #[inline]
    pub fn end_of_launch(&'static self) -> Point {
        self.unrecorded_end().unwrap_or_else(|| self.end_of_launch_recorded())
    }

    #[inline(never)]
    fn end_of_launch_recorded(&'static self) -> Point {
        self.count_recorded_end();
        self.end_of_use_recorded()
    }

    /// The point behind work for which borrows were open, without an event. None: record one. Calls no driver.
    ///
    /// An event lets a wait for this work not be one for later work, and takes as much time as a launch. So it is
    /// recorded as long as that is of use. After [`MAX_UNNEEDED_EVENTS`] ends without a wait for any but the latest,
    /// the points have no event, until such a wait. It then waits for more than it has to, once.
    #[inline]
    pub fn unrecorded_end(&'static self) -> Option<Point> {
        let records = self.needs_early_events() || self.unneeded_events.load(Ordering::Relaxed) < MAX_UNNEEDED_EVENTS;
        if records || !self.is_usable() {
            return None;
        }
        // A tick of its own tells later ends from this one.
        let tick = advance_clock();
        self.last_point.fetch_max(tick, Ordering::Relaxed);
        Some(Point::new(self, tick))
    }

    /// States that an event was recorded where borrows end.
    pub fn count_recorded_end(&self) {
        self.unneeded_events.fetch_add(1, Ordering::Relaxed);
    }

    /// Another stream, or the host, waits for a point of this stream.
    pub fn note_wait(&self, tick: u64) {
        let last = self.last_point.load(Ordering::Relaxed).max(self.recorded.load(Ordering::Relaxed));
        if tick < last {
            self.unneeded_events.store(0, Ordering::Relaxed);
        }
    }

    /// Whether events must be recorded when a use ends. The owner of an imported stream may destroy it at any time
    /// afterwards. Another thread cannot name a per-thread stream: it would have to record on the legacy stream, which
    /// all blocking streams wait for.
    #[inline]
    pub fn needs_early_events(&self) -> bool {
        matches!(self.origin(), Origin::Imported | Origin::PerThread)
    }

    /// The point behind all work issued so far, with an event recorded. The caller vouches for the CUstream, as in
    /// [`Stream::end_of_use`]. TN_ERR_UNSUPPORTED: the stream captures a graph; TN_ERR_DRIVER.
    pub fn record_point(&'static self) -> Result<Point> {
        self.record(false).map(|event| Point::of(self, &event))
    }

    /// Records an event behind all work issued so far, with timing or without.
    pub fn record(&'static self, timing: bool) -> Result<EventRef> {
        match self.try_ref() {
            Some(_held) => self.record_held(timing),
            None => Err(self.ended_error()),
        }
    }

    /// As [`Stream::record`], for a stream whose CUstream is known to exist.
    pub(in crate::stream) fn record_held(&'static self, timing: bool) -> Result<EventRef> {
        if self.is_imported()
            && !timing
            && let Some(event) = self.record_directly()
        {
            return Ok(event);
        }
        let gpu = self.gpu();
        let inside = self.enter()?;
        let stream = if self.is_nameable() { self.raw() } else { LEGACY as CUstream };
        if is_capturing(gpu, &inside, stream)? {
            return Err(capturing(gpu));
        }
        let event = EventRef::take(gpu, &inside, timing)?;
        event.set_tick(advance_clock());
        // SAFETY: an event of this context that this call alone has, and a stream with a reference.
        gpu.check(unsafe { inside.cuEventRecord(event.event(), stream)? }, "cuEventRecord")?;
        if self.add_recorded(&event) {
            self.query_events(&inside);
        }
        Ok(event)
    }

    /// As [`Stream::record_held`], by two calls of the driver in whatever context is current: event and stream are of
    /// one context, and no capture forbids the calls. None: it was not recorded so.
    fn record_directly(&'static self) -> Option<EventRef> {
        let (gpu, mut status) = (self.gpu(), 0);
        let driver = quietly(|| gpu.alive()).ok().filter(|_| !self.is_gone())?;
        // SAFETY: a stream with a reference, for which the caller vouches; the number is ours.
        let asked = unsafe { driver.cuStreamIsCapturing(self.raw(), &mut status) };
        if !matches!(asked, Ok(code::SUCCESS)) || status != 0 {
            return None;
        }
        let event = EventRef::reuse(gpu, false)?;
        event.set_tick(advance_clock());
        // SAFETY: as above, and an event of its context that this call alone has.
        let recorded = unsafe { driver.cuEventRecord(event.event(), self.raw()) };
        if !matches!(recorded, Ok(code::SUCCESS)) {
            return None;
        }
        if self.add_recorded(&event)
            && let Ok(inside) = quietly(|| self.enter())
        {
            self.query_events(&inside);
        }
        Some(event)
    }

    /// Adds an event that was recorded. True: there are so many that they should be queried.
    fn add_recorded(&self, event: &EventRef) -> bool {
        self.recorded.fetch_max(event.tick(), Ordering::Relaxed);
        let mut events = self.events.lock();
        events.insert(event);
        events.is_over_threshold()
    }

    /// Waits on the host for an event of this stream. Called under no lock.
    pub(in crate::stream) fn wait_for_own(&'static self, event: &EventRef) -> Result<()> {
        let gpu = self.gpu();
        let inside = gpu.enter()?;
        if event.is_of(gpu) {
            // SAFETY: an event of ours, with a reference.
            gpu.check(unsafe { inside.cuEventSynchronize(event.event())? }, "cuEventSynchronize")?;
        }
        self.pass(event.tick());
        Ok(())
    }

    /// Finds out about how many of many events have passed, by few queries: the last one, and if it has not, by halves.
    #[cold]
    fn query_events(&'static self, inside: &Inside) {
        const MOST_QUERIES: u32 = 6;
        let (mut done, mut open) = (self.passed.load(Ordering::Relaxed), self.recorded.load(Ordering::Relaxed));
        for query in 0..MOST_QUERIES {
            // A wait for the whole stream may have passed more than the last event.
            let Some(between) = open.checked_sub(done).filter(|ticks| *ticks > 0) else { break };
            let tick = if query == 0 { open } else { done + between / 2 };
            let Some(event) = self.behind(tick) else { break };
            // SAFETY: an event of ours.
            match unsafe { inside.cuEventQuery(event.event()) } {
                Ok(code::SUCCESS) => {
                    self.pass(event.tick());
                    done = event.tick();
                }
                _ => open = tick,
            }
        }
        self.events.lock().adapt_threshold();
    }

    /// States that all work up to a tick is done.
    pub(in crate::stream) fn pass(&self, tick: u64) {
        // Release pairs with the Acquire in `has_passed`: a thread that sees the tick sees what the work wrote.
        if self.passed.fetch_max(tick, Ordering::AcqRel) < tick {
            note_progress();
        }
        loop {
            let passed = self.events.lock().take_passed(tick);
            if passed.is_none() {
                break;
            }
        }
    }

    /// The first event at or behind a tick.
    pub(in crate::stream) fn behind(&self, tick: u64) -> Option<EventRef> {
        self.events.lock().behind(tick)
    }

    /// Whether all work up to a tick is known to be done.
    #[inline]
    pub(in crate::stream) fn has_passed(&self, tick: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= tick
    }

    /// Whether all points that were ever returned have passed.
    pub(in crate::stream) fn is_idle(&self) -> bool {
        self.has_passed(self.last_point.load(Ordering::Relaxed).max(self.recorded.load(Ordering::Relaxed)))
    }

    /// Whether the work that was issued before a tick is done. The first call records an event behind unfinished work,
    /// so that later calls do not wait for what is issued meanwhile. Where none can be recorded, and on a stream that
    /// was idle then, later work may count too. Queries the driver; under no lock.
    pub(in crate::stream) fn has_done(&'static self, tick: u64) -> bool {
        let last = self.last_point.load(Ordering::Relaxed).max(self.recorded.load(Ordering::Relaxed));
        let is_idle = last <= tick && self.has_passed(last);
        if is_idle || self.born.load(Ordering::Relaxed) > tick {
            return true;
        }
        // Nobody vouches for another library's stream any more.
        Point::new(self, if self.is_foreign() { last.min(tick) } else { tick }).poll()
    }

    /// Waits on the host for the work behind all points that were returned; where the last ones have no event, for that
    /// behind the last event. Called under no lock.
    pub(in crate::stream) fn outlast(&'static self) {
        let recorded = self.recorded.load(Ordering::Relaxed);
        let last = self.last_point.load(Ordering::Relaxed).max(recorded);
        if !self.has_passed(last) && Point::new(self, last).wait().is_err() {
            let _ = Point::new(self, recorded).wait();
        }
    }

    /// Whether a point was returned that has not passed and has no event behind it.
    pub(in crate::stream) fn has_unrecorded(&self) -> bool {
        let last_point = self.last_point.load(Ordering::Relaxed);
        last_point > self.recorded.load(Ordering::Relaxed) && !self.has_passed(last_point)
    }

    /// Queries the last event of a stream that ended.
    pub(in crate::stream) fn poll_last_event(&'static self) {
        let last = self.recorded.load(Ordering::Relaxed);
        if !self.has_passed(last) {
            let _ = Point::new(self, last).poll();
        }
    }

    /// The error of a point that has no event, where no caller vouches for the CUstream any more.
    #[cold]
    pub(in crate::stream) fn ended_error(&self) -> Status {
        let what = match self.origin() {
            Origin::Unnamed | Origin::Unknown => {
                "another library may still use the memory on a stream that it did not name"
            }
            _ => "a stream ended before an event could be recorded behind its last work",
        };
        fail(
            TN_ERR_DRIVER,
            format_args!("GPU {}: {what}; wait for that work with tn_device_synchronize", self.gpu().id()),
        )
    }
}
