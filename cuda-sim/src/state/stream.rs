//! Streams: queues of work.

use super::point::Dependency;
use super::work::Work;
use crate::base::types::Handle;
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::time::{Duration, Instant};

pub const LEAST_PRIORITY: c_int = 0;
pub const GREATEST_PRIORITY: c_int = -5;
pub const NON_BLOCKING: c_uint = 1;

pub struct Stream {
    pub context: Handle,
    /// The green context that it belongs to, besides the primary one; 0: none.
    pub green: Handle,
    pub flags: c_uint,
    pub priority: c_int,
    pub id: u64,
    pub queue: VecDeque<Op>,
    /// The number of the last piece of work that was queued, and of the last one that is done.
    pub enqueued: u64,
    pub completed: u64,
    /// A host function or kernel of it runs outside the lock.
    pub running: bool,
    /// A test holds it.
    pub held: bool,
    /// The least time that each piece of work takes, set by a test, and when the next one may begin.
    pub slow: Duration,
    pub free_at: Instant,
    /// Destroyed by the program; it is removed when its work is done.
    pub destroyed: bool,
    /// Of the streams that may run, the one with the highest rank runs first.
    pub rank: u64,
    /// The capture that records its work, and the nodes that the next one follows.
    pub capture: Option<(Handle, Vec<usize>)>,
}

/// One piece of work in a queue.
pub struct Op {
    pub seq: u64,
    pub label: &'static str,
    pub after: Vec<Dependency>,
    pub work: Work,
}

impl Stream {
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.running
    }

    /// Whether it is ordered with the legacy stream.
    pub fn is_blocking(&self) -> bool {
        self.flags & NON_BLOCKING == 0
    }
}
