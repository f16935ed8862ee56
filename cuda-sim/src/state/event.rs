//! Events: positions in streams that other work waits for, with the time at which they were passed.

use super::point::{Dependency, Point};
use crate::base::types::Handle;
use crate::memory::shared::EventSlot;
use std::ffi::c_uint;
use std::time::Instant;

pub const BLOCKING_SYNC: c_uint = 1;
pub const DISABLE_TIMING: c_uint = 2;
pub const INTERPROCESS: c_uint = 4;

pub struct Event {
    pub context: Handle,
    pub flags: c_uint,
    /// The last record; None: never recorded, which counts as passed.
    pub point: Option<Point>,
    /// When that record was passed.
    pub time: Option<Instant>,
    /// Counts records, so that an old one does not set the time of a new one.
    pub version: u64,
    /// The last record was captured: the capture, and the nodes that the event stands behind.
    pub captured: Option<(Handle, Vec<usize>)>,
    /// The address of its `EventSlot`, if other processes may use it.
    pub slot: Option<usize>,
}

impl Event {
    pub fn new(context: Handle, flags: c_uint, slot: Option<usize>) -> Event {
        Event { context, flags, point: None, time: None, version: 0, captured: None, slot }
    }

    /// What waiting for it means; None: nothing to wait for.
    pub fn dependency(&self) -> Option<Dependency> {
        match self.slot {
            Some(slot) => Some(Dependency::Shared(slot, EventSlot::at(slot).recorded())),
            None => self.point.map(Dependency::Point),
        }
    }
}
