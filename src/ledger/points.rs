//! When bytes are used, and the points of the device work that must be done before.

use super::spill;
use crate::error::Result;
use crate::gpu::managed;
use crate::lists::reserve;
use crate::stream::{Point, Stream};
use crate::types::{TN_CUDA, TN_CUDA_MANAGED, TN_ERR_UNSUPPORTED, tn_device};
use smallvec::SmallVec;

/// When bytes are used.
#[derive(Clone, Copy, Default, Debug)]
pub struct UseTime {
    /// In the order of this stream; None: by the host, now.
    pub(crate) stream: Option<&'static Stream>,
    /// The host waits for unfinished device work, instead of TN_ERR_PENDING.
    pub(crate) wait: bool,
    /// Unfinished device work does not matter: the caller orders its use itself (TN_UNORDERED).
    pub(crate) unordered: bool,
}

impl UseTime {
    /// The host, now.
    pub(crate) const HOST: UseTime = UseTime { stream: None, wait: false, unordered: false };

    /// In the order of a stream.
    pub fn on(stream: &'static Stream) -> UseTime {
        UseTime { stream: Some(stream), ..UseTime::HOST }
    }

    /// The same time, with `wait` set to the argument.
    pub(crate) fn waiting(self, wait: bool) -> UseTime {
        UseTime { wait, ..self }
    }
}

/// A point after all work that was issued on a stream so far. It has an event, unless the stream is capturing a graph:
/// then a later poll records one.
pub fn point_behind(stream: &'static Stream) -> Result<Point> {
    match stream.record_point() {
        Err(status) if status.code() == TN_ERR_UNSUPPORTED => Ok(stream.now()),
        outcome => outcome,
    }
}

/// The point behind the work for which a guard was open. As [`point_behind`], but without an event where nobody has
/// waited for one for long.
pub fn end_point(stream: &'static Stream) -> Result<Point> {
    match stream.unrecorded_end() {
        Some(point) => Ok(point),
        None => point_behind(stream).inspect(|_| stream.count_recorded_end()),
    }
}

/// Whether the memory of a device is lost together with the GPU of a point.
fn is_of(device: tn_device, point: Point) -> bool {
    let gpu = match device.r#type {
        TN_CUDA => device.id,
        TN_CUDA_MANAGED => managed::gpu_of(device),
        _ => return false,
    };
    gpu == point.stream().device().id
}

/// Whether a lost GPU left work unfinished in memory that still exists, so that the bytes there are undefined.
pub(super) fn leaves_unknown(device: tn_device, point: Point) -> bool {
    point.is_lost() && !is_of(device, point)
}

/// What has to be done before bytes can be used, found under a lock: the unfinished device work to wait for, as the last
/// point of each stream, and the stores to bring back into memory. What does not fit is found again by the next check.
#[derive(Default)]
pub struct Points {
    list: [Option<Wanted>; Points::CAPACITY],
    length: usize,
    /// The waits that were already made, so that they are not repeated.
    done: SmallVec<[Wanted; 4]>,
    /// Tags of stores whose bytes are not in memory.
    away: [u64; Points::MOST_AWAY],
    away_count: usize,
    /// Stores that this call has brought back, and needs in memory.
    brought: SmallVec<[u64; 4]>,
}

#[derive(Clone, Copy)]
struct Wanted {
    point: Point,
    /// The stream that waits; None: the host.
    by: Option<&'static Stream>,
}

impl Points {
    const CAPACITY: usize = 8;
    const MOST_AWAY: usize = 4;

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.away_count == 0
    }

    /// Adds a store whose bytes have to come back into memory.
    pub(super) fn add_away(&mut self, tag: u64) {
        let known = self.away[..self.away_count].contains(&tag);
        if !known && let Some(place) = self.away.get_mut(self.away_count) {
            *place = tag;
            self.away_count += 1;
        }
    }

    /// Brings stores back into memory. Under no lock.
    pub(crate) fn bring_back(&mut self) -> Result<()> {
        let count = core::mem::take(&mut self.away_count);
        reserve(&mut self.brought, count)?;
        for tag in &self.away[..count] {
            spill::bring_back(*tag, &self.brought)?;
            self.brought.push(*tag);
        }
        Ok(())
    }

    /// Adds a point that a stream, or the host, has to wait for.
    pub(crate) fn add(&mut self, point: Point, by: Option<&'static Stream>) {
        let alike = |wanted: &Wanted| wanted.by == by && wanted.point.stream() == point.stream();
        if self.done.iter().any(|done| alike(done) && done.point.tick() >= point.tick()) {
            return;
        }
        if let Some(wanted) = self.list.iter_mut().flatten().find(|wanted| alike(wanted)) {
            if point.tick() > wanted.point.tick() {
                wanted.point = point;
            }
            return;
        }
        let wanted = Some(Wanted { point, by });
        if let Some(place) = self.list.get_mut(self.length) {
            *place = wanted;
            self.length += 1;
        } else if by.is_none() && self.wanted().all(|wanted| wanted.by.is_some()) {
            // A refusal for the host needs a point that it can poll.
            self.list[0] = wanted;
        }
    }

    pub(crate) fn join(&mut self, other: &Points) {
        for wanted in other.wanted() {
            self.add(wanted.point, wanted.by);
        }
        other.away[..other.away_count].iter().for_each(|tag| self.add_away(*tag));
    }

    fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.list.into_iter().flatten()
    }

    /// Whether all points that the host has to wait for have passed. Queries the driver, but never waits; under no
    /// lock.
    pub(crate) fn have_passed(&self) -> bool {
        // All are polled, so that the records know which of them have passed.
        let mut all = true;
        for wanted in self.wanted().filter(|wanted| wanted.by.is_none()) {
            wanted.point.stream().note_wait(wanted.point.tick());
            all &= wanted.point.poll();
        }
        all
    }

    /// Whether new work on a stream is known to come after all points. Calls no driver.
    pub(crate) fn are_before(&self, stream: &'static Stream) -> bool {
        self.wanted().all(|wanted| stream.follows(wanted.point))
    }

    /// Brings stores back into memory, lets each stream wait for its points on the device, blocks until the host's points
    /// have passed, and empties the list. Under no lock.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.bring_back()?;
        reserve(&mut self.done, self.length)?;
        self.length = 0;
        for wanted in core::mem::take(&mut self.list).into_iter().flatten() {
            wanted.point.stream().note_wait(wanted.point.tick());
            match wanted.by {
                Some(stream) => stream.wait_for(wanted.point)?,
                None => wanted.point.wait()?,
            }
            self.done.push(wanted);
        }
        Ok(())
    }

    /// Empties the list for another check.
    pub(crate) fn clear(&mut self) {
        self.list = Default::default();
        self.length = 0;
        self.away_count = 0;
    }
}
