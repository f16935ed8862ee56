//! Positions in streams, and what a piece of work waits for.

use crate::base::types::Handle;

/// A position in a stream: reached when the stream has completed work number `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub stream: Handle,
    pub seq: u64,
}

#[derive(Clone, Copy)]
pub enum Dependency {
    Point(Point),
    /// A record of an event that several processes share: the address of its slot, and the record's number.
    Shared(usize, u64),
}

impl From<Point> for Dependency {
    fn from(point: Point) -> Dependency {
        Dependency::Point(point)
    }
}
