//! A request on the slow path, and what its steps tell the driver.
//!
//! Contract: owned by one call; no other thread sees it.

use crate::pool::span::class;
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
    /// How often threads were asked to return what they keep.
    pub thread_reclaims: u32,
    /// Bytes that were returned because as many were about to come.
    pub exchanged_bytes: usize,
    /// The pressure callback that was called last.
    pub last_listener: usize,
    /// Blocks that wait for being cleared were tried again.
    pub cleared_pending: bool,
    pub polled_what_fits: bool,
    pub polled_some: bool,
}

/// What came of one step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) enum StepOutcome {
    /// Something changed: look again.
    LookAgain,
    /// Try the next step.
    NoHelp,
}

impl StepOutcome {
    pub fn of(changed: bool) -> StepOutcome {
        if changed { StepOutcome::LookAgain } else { StepOutcome::NoHelp }
    }
}

impl Request {
    pub fn new(want: Want, count: Count, prealloc: Prealloc) -> Request {
        Request { want, count, prealloc, progress: ReclaimProgress::default(), reason: TN_PRESSURE_LIMIT }
    }

    /// Bytes of the smallest span that can serve it.
    pub fn least_span_bytes(&self) -> usize {
        self.want.class.map_or(self.want.span_bytes, class::least_span_bytes)
    }
}
