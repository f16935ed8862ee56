//! Streams and points of the preload library, which supports no GPU: there are none. Pools use an `Option` of them,
//! which is None.

#![allow(missing_docs, reason = "the functions of `stream` and `point`, none of which can be called")]

use crate::error::{Result, fail};
use crate::types::{TN_ERR_UNSUPPORTED, tn_device};

/// Has no values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {}

/// Has no values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point(Stream);

impl Stream {
    pub fn now(&'static self) -> Point {
        match *self {}
    }
    pub fn end_of_use(&'static self) -> Point {
        match *self {}
    }
    pub fn needs_early_events(&self) -> bool {
        match *self {}
    }
    pub fn has_ended(&self) -> bool {
        match *self {}
    }
    pub fn number(&self) -> u32 {
        match *self {}
    }
    pub fn life(&self) -> u64 {
        match *self {}
    }
    pub fn open_use(&self) -> u64 {
        match *self {}
    }
    pub fn has_use(&self, _opened: u64) -> bool {
        match *self {}
    }
    pub fn close_use(&'static self, _opened: u64) -> Point {
        match *self {}
    }
    pub fn record_point(&'static self) -> Result<Point> {
        match *self {}
    }
    pub fn wait_for(&'static self, _point: Point) -> Result<()> {
        match *self {}
    }
    pub fn follows(&'static self, _point: Point) -> bool {
        match *self {}
    }
    pub fn is_no_stream(&self) -> bool {
        match *self {}
    }
    pub fn try_ref(&'static self) -> Option<Point> {
        match *self {}
    }
    pub fn can_be_captured(&self) -> bool {
        match *self {}
    }
    pub fn while_held<R>(&'static self, _work: impl FnOnce(&'static Stream) -> R) -> Option<R> {
        match *self {}
    }
    pub fn check_legacy(&'static self) -> Result<()> {
        match *self {}
    }
    pub fn is_capturing(&'static self) -> Result<bool> {
        match *self {}
    }
    pub fn device(&'static self) -> tn_device {
        match *self {}
    }
    pub fn native(&'static self) -> u64 {
        match *self {}
    }
}

/// Never changes.
pub fn progress() -> u64 {
    1
}

/// TN_ERR_UNSUPPORTED.
pub fn current(_device: tn_device) -> Result<&'static Stream> {
    Err(fail(TN_ERR_UNSUPPORTED, format_args!("this library has no streams")))
}

/// TN_ERR_UNSUPPORTED.
pub fn internal_stream(device: tn_device) -> Result<&'static Stream> {
    current(device)
}

/// TN_ERR_UNSUPPORTED.
pub fn undelayed_stream(device: tn_device) -> Result<&'static Stream> {
    current(device)
}

impl Point {
    pub fn new(stream: &'static Stream, _tick: u64) -> Point {
        match *stream {}
    }
    pub fn tick(self) -> u64 {
        match self.0 {}
    }
    pub fn stream(self) -> &'static Stream {
        match self.0 {}
    }
    pub fn is_passed(self) -> bool {
        match self.0 {}
    }
    pub fn poll(self) -> bool {
        match self.0 {}
    }
    pub fn wait_for_event(self) -> Result<()> {
        match self.0 {}
    }
    pub fn outlast(self) -> bool {
        match self.0 {}
    }
}
