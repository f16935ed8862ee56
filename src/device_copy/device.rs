//! Within one device, and between two.
//!
//! Within a device the two sides may share bytes: a course says in which order their pieces can go, or that it takes a temporary, which is
//! the device's own and is waited for by nobody. Between two devices the driver copies where one reaches the other; else, and where a
//! copy within a device would be too many boxes, the bytes go by the host's staging memory, where the processor arranges them.

use super::context::{CopyContext, MemoryView, Outstanding};
use super::host_device::{stage_to_device, stage_to_host};
use super::plan::{self, BroadcastSplit, OverlapPlan, Plan};
use crate::blit::Scratch;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::copy::CopyKind;
use crate::layout::{self, Layout};
use crate::pool::{self, Pool};
use crate::stream::{self, Queue};

/// Alignment of temporaries in bytes: as that of arrays.
const ALIGNMENT: usize = 256;

/// Within one device, or between it and managed memory.
pub fn within(trip: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    let (dst, src) = (dst.layout, src.layout);
    match OverlapPlan::of(dst, src) {
        OverlapPlan::Done => Ok(Outstanding::Nothing),
        OverlapPlan::Any => apart(trip, CopyKind::Within, dst, src),
        OverlapPlan::Pieces { axis, length, upwards } => {
            let count = dst.shape()[axis];
            let parts = layout::pieces(count, length);
            let mut send = |(start, length): (i64, i64)| {
                trip.send(CopyKind::Within, &dst.part(axis, start, length)?, &src.part(axis, start, length)?)
            };
            if upwards {
                parts.clone().try_for_each(&mut send)?;
            } else {
                (0..parts.len() as i64)
                    .rev()
                    .map(|i| (i * length, length.min(count - i * length)))
                    .try_for_each(send)?;
            }
            Ok(Outstanding::Both)
        }
        OverlapPlan::Through => {
            let temporary = Temporary::new(trip.queue, plan::packed_bytes(src))?;
            let packed = plan::packed(src, temporary.address)?;
            trip.fetch(CopyKind::Within, &packed, src)?;
            apart(trip, CopyKind::Within, dst, &packed)
        }
    }
}

/// Sides that share no byte.
fn apart(trip: &mut CopyContext, way: CopyKind, dst: &Layout, src: &Layout) -> Result<Outstanding> {
    if let Some(first) = BroadcastSplit::of(dst, src)? {
        let left = apart(trip, way, &first.dst, &first.src)?;
        BroadcastSplit::doublings(dst, src, |to, from| trip.send(way.onwards(), to, from))?;
        return Ok(left);
    }
    let Some(plan) = Plan::copy(dst, src) else { return Ok(Outstanding::Nothing) };
    // The way by the host is no crossing that the caller asked for: where it is not allowed, many boxes do it as well.
    if plan.is_slower_than_staging() && !trip.strict && !trip.queue.is_capturing()? {
        return by_host(trip, trip.queue, dst, src);
    }
    trip.send_plan(way, &plan)?;
    Ok(Outstanding::Both)
}

/// Between two devices. The queue is of one of them.
pub fn between(
    trip: &mut CopyContext,
    (to, dst): (&'static Gpu, &MemoryView),
    (from, src): (&'static Gpu, &MemoryView),
) -> Result<Outstanding> {
    if to.reaches(from)? {
        let way = CopyKind::Peer { dst: to.enter()?.context(), src: from.enter()?.context() };
        return apart(trip, way, dst.layout, src.layout);
    }
    trip.check_staging("the two devices do not reach each other")?;
    // Each device has a queue of its own; the caller's is ordered around the other one.
    let own = trip.queue;
    let receives = own.gpu().id() == to.id();
    let other = stream::current(if receives { from } else { to }.device())?;
    other.wait_for(own.record_point()?)?;
    let (sender, receiver) = if receives { (other, own) } else { (own, other) };
    trip.queue = receiver;
    let left = by_host(trip, sender, dst.layout, src.layout);
    trip.queue = own;
    if !receives {
        own.wait_for(other.record_point()?)?;
    }
    left
}

/// By the host's memory, in pieces of the destination: the source has been read on return.
fn by_host(trip: &mut CopyContext, sender: &'static Queue, dst: &Layout, src: &Layout) -> Result<Outstanding> {
    let scratch = Scratch::new(plan::packed_bytes(dst).min(PASSING) as usize)?;
    plan::pieces(dst, src, PASSING, &mut |to, from| {
        let passing = plan::packed(to, scratch.address().expose_provenance() as i64)?;
        let mut fetching = CopyContext { queue: sender, strict: false, wrote: false };
        stage_to_host(&mut fetching, &passing, from)?;
        stage_to_device(trip, to, &passing)
    })?;
    Ok(Outstanding::Writing)
}

/// Bytes that pass by the host at a time.
const PASSING: i64 = 16 << 20;

/// Memory of a device for the length of a copy: it goes back at once, and its pool hands it out again when the queue has passed.
struct Temporary {
    pool: &'static Pool,
    queue: &'static Queue,
    address: i64,
}

impl Temporary {
    fn new(queue: &'static Queue, bytes: i64) -> Result<Temporary> {
        let pool = pool::current(queue.device())?;
        let address = pool.allocate_raw_on(Some(queue), bytes as usize, ALIGNMENT, false, 0)?.as_ptr() as i64;
        Ok(Temporary { pool, queue, address })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let address = self.address as usize;
        let freed = pool::deallocate_on(Some(self.pool), address, |_| Ok(Some(self.queue)));
        debug_assert!(freed.is_ok(), "it was made by this copy, and nobody else knows it");
    }
}
