//! A request on the slow path, and the results of its steps.
//!
//! Contract: owned by one call; no other thread sees it.

use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::span::class;
use crate::pool::span::stream_uses::Stream;
use crate::pool::state::{Count, Prealloc, Want};
use crate::types::{TN_PRESSURE_LIMIT, tn_pressure};

/// A request on the slow path.
pub(in crate::pool) struct Request {
    pub want: Want,
    pub count: Count,
    /// Descriptors for the current attempt.
    pub prealloc: Prealloc,
    pub progress: ReclaimProgress,
    /// TN_PRESSURE_: why the pool cannot grow.
    pub reason: tn_pressure,
}

/// Which steps were taken already.
#[derive(Default)]
pub(in crate::pool) struct ReclaimProgress {
    pub trimmed: bool,
    pub reclaimed_elsewhere: bool,
    /// How often memory was reclaimed from thread heaps.
    pub thread_reclaims: u32,
    /// How often blocks were freed that strict mode holds back.
    pub held_back_frees: u32,
    /// A free span was to be extended for this request.
    pub tried_to_extend: bool,
    /// And it was.
    pub has_extended: bool,
    /// Bytes returned to the device to make up for the growth of this request.
    pub exchanged_bytes: usize,
    /// Bytes that came from the device, to be made up for when the block was taken.
    pub to_return: usize,
    /// The pressure callback that was called last.
    pub last_listener: usize,
    /// Blocks that wait for being cleared were tried again.
    pub cleared_pending: bool,
    pub polled_what_fits: bool,
    /// Free granules were kept for the growth of this request.
    pub remapped: bool,
    pub polled_some: bool,
    /// The host waited for the known streams of the device.
    pub outlasted_streams: bool,
    /// Whether the request's stream captures a graph; None: not asked yet.
    captures: Option<bool>,
    /// Whether memory may go back to the device; None: not asked yet.
    may_return: Option<bool>,
}

/// The result of one step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) enum StepOutcome {
    /// The step changed something: the driver tries to take a block again.
    Retry,
    /// Nothing changed: the driver tries the next step.
    NoEffect,
}

impl StepOutcome {
    pub fn of(changed: bool) -> StepOutcome {
        if changed { StepOutcome::Retry } else { StepOutcome::NoEffect }
    }
}

impl Request {
    pub fn new(want: Want, count: Count, prealloc: Prealloc) -> Request {
        Request { want, count, prealloc, progress: ReclaimProgress::default(), reason: TN_PRESSURE_LIMIT }
    }

    /// Whether its stream captures a graph: then the host waits for nothing (PD-15). Asks the driver once, under no lock. Where the driver cannot tell, it counts as capturing.
    pub fn captures(&mut self) -> bool {
        let asks = |stream: &'static Stream| stream.can_be_captured() && stream.is_capturing().unwrap_or(true);
        let stream = self.want.stream;
        *self.progress.captures.get_or_insert_with(|| stream.is_some_and(asks))
    }

    /// Whether memory may go back to the device for it: no stream captures a graph, as far as the library may ask. Asks
    /// the driver once, under no lock.
    pub fn may_return(&mut self, pool: &'static Pool) -> bool {
        let captures = self.captures();
        *self.progress.may_return.get_or_insert_with(|| !captures && !pool.waits_for_captures())
    }

    /// Bytes of the smallest span that can serve it.
    pub fn least_span_bytes(&self) -> usize {
        match self.want.class {
            Some(class) => class::least_span_bytes(class),
            // Without a red zone.
            None => self.want.block_bytes.next_multiple_of(GRANULE).min(self.want.span_bytes),
        }
    }
}
