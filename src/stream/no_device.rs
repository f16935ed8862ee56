//! Queues of a library that has no device: there are none, and so no point of one. Pools ask them as everywhere, of an `Option` that is None.

use crate::error::Result;
use crate::types::tn_device;

/// No queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {}

/// No point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point(Queue);

impl Queue {
    /// There is none to ask.
    pub fn now(&'static self) -> Point {
        match *self {}
    }
    /// There is none to ask.
    pub fn open_use(&self) -> u64 {
        match *self {}
    }
    /// There is none to ask.
    pub fn has_use(&self, _opened: u64) -> bool {
        match *self {}
    }
    /// There is none to ask.
    pub fn close_use(&'static self, _opened: u64) -> Point {
        match *self {}
    }
    /// There is none to ask.
    pub fn mark(&'static self) -> Result<Point> {
        match *self {}
    }
    /// There is none to ask.
    pub fn wait_for(&'static self, _point: Point) -> Result<()> {
        match *self {}
    }
    /// There is none to ask.
    pub fn follows(&'static self, _point: Point) -> bool {
        match *self {}
    }
    /// There is none to ask.
    pub fn can_be_captured(&self) -> bool {
        match *self {}
    }
    /// There is none to ask.
    pub fn is_capturing(&'static self) -> Result<bool> {
        match *self {}
    }
    /// There is none to ask.
    pub fn device(&'static self) -> tn_device {
        match *self {}
    }
    /// There is none to ask.
    pub fn native(&'static self) -> u64 {
        match *self {}
    }
}

/// The host has no stream.
pub fn current(_device: tn_device) -> Result<&'static Queue> {
    Err(crate::error::fail(crate::types::TN_ERR_UNSUPPORTED, format_args!("there are no streams here")))
}

/// Nor has the library one.
pub fn internal_stream(device: tn_device) -> Result<&'static Queue> {
    current(device)
}

impl Point {
    /// There is none to have one of.
    pub fn new(queue: &'static Queue, _tick: u64) -> Point {
        match *queue {}
    }
    /// There is none to ask.
    pub fn tick(self) -> u64 {
        match self.0 {}
    }
    /// There is none to ask.
    pub fn queue(self) -> &'static Queue {
        match self.0 {}
    }
    /// There is none to ask.
    pub fn is_passed(self) -> bool {
        match self.0 {}
    }
    /// There is none to ask.
    pub fn poll(self) -> bool {
        match self.0 {}
    }
    /// There is none to ask.
    pub fn outlast(self) -> bool {
        match self.0 {}
    }
}
