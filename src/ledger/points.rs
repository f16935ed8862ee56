//! Points of device work that an access has to come after, and the time at which bytes are used.

use super::locked::reserve;
use crate::error::Result;
use crate::stream::{Point, Queue};
use crate::types::{TN_CUDA, TN_CUDA_MANAGED, TN_ERR_UNSUPPORTED, tn_device};
use smallvec::SmallVec;

/// When bytes are going to be touched.
#[derive(Clone, Copy, Default, Debug)]
pub struct UseTime {
    /// In the order of this queue; None: by the host, now.
    pub(crate) queue: Option<&'static Queue>,
    /// The host waits for unfinished device work, in place of TN_ERR_PENDING.
    pub(crate) wait: bool,
}

impl UseTime {
    /// The host, now.
    pub(crate) const HOST: UseTime = UseTime { queue: None, wait: false };

    /// In the order of a queue.
    pub fn on(queue: &'static Queue) -> UseTime {
        UseTime { queue: Some(queue), wait: false }
    }

    /// The same, where the host waits for work that is in the way.
    pub(crate) fn waiting(self, wait: bool) -> UseTime {
        UseTime { wait, ..self }
    }
}

/// A point behind all that was issued on a queue so far. Has an event, unless the queue is capturing a graph: then whoever asks later records one.
pub fn point_behind(queue: &'static Queue) -> Result<Point> {
    match queue.mark() {
        Err(status) if status.code() == TN_ERR_UNSUPPORTED => Ok(queue.now()),
        outcome => outcome,
    }
}

/// Whether memory of a device goes with the GPU of a point, when that is lost: then nobody is told what the bytes are anyhow.
fn is_of(device: tn_device, point: Point) -> bool {
    matches!(device.r#type, TN_CUDA | TN_CUDA_MANAGED) && device.id == point.queue().device().id
}

/// Whether a lost GPU left work unfinished in memory that does not go with it: nobody knows what the bytes are.
pub(super) fn leaves_unknown(device: tn_device, point: Point) -> bool {
    point.is_lost() && !is_of(device, point)
}

/// Unfinished work that is in the way of something, found under a lock: of each queue the last. What does not fit is found again.
#[derive(Default)]
pub struct Points {
    list: [Option<Wanted>; Points::ROOM],
    length: usize,
    /// What queues were made to wait for already: nothing else remembers all of it.
    done: SmallVec<[Wanted; 4]>,
}

#[derive(Clone, Copy)]
struct Wanted {
    point: Point,
    /// Who has to be after it; None: the host.
    by: Option<&'static Queue>,
}

impl Points {
    const ROOM: usize = 8;

    /// Whether nothing is in the way.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The work before `point` is in the way of a queue, or of the host.
    pub(crate) fn add(&mut self, point: Point, by: Option<&'static Queue>) {
        let alike = |wanted: &Wanted| wanted.by == by && wanted.point.queue() == point.queue();
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
            // Who has to be refused for it must be able to ask for it.
            self.list[0] = wanted;
        }
    }

    /// Adds all of another list.
    pub(crate) fn join(&mut self, other: &Points) {
        for wanted in other.wanted() {
            self.add(wanted.point, wanted.by);
        }
    }

    fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.list.into_iter().flatten()
    }

    /// Whether all that the host would wait for has passed, by now. Asks the driver, never waits; under no lock.
    pub(crate) fn have_passed(&self) -> bool {
        // All are asked, so that what has passed is known when the records are looked at again.
        let mut all = true;
        for wanted in self.wanted().filter(|wanted| wanted.by.is_none()) {
            all &= wanted.point.poll();
        }
        all
    }

    /// Lets queues wait on their device, and the host here; the list is empty then. Under no lock.
    pub(crate) fn wait(&mut self) -> Result<()> {
        reserve(&mut self.done, self.length)?;
        self.length = 0;
        for wanted in core::mem::take(&mut self.list).into_iter().flatten() {
            match wanted.by {
                Some(queue) => queue.wait_for(wanted.point)?,
                None => wanted.point.wait()?,
            }
            self.done.push(wanted);
        }
        Ok(())
    }

    /// Forgets what was found, to look again.
    pub(crate) fn clear(&mut self) {
        self.list = Default::default();
        self.length = 0;
    }
}
