//! Between host and device.
//!
//! Page-locked memory is copied by the device itself, as the plan says, and the call returns when that is enqueued. Anything else is staged:
//! the host packs a piece into a chunk in the order of the *device's* memory, so that the device has few boxes to copy, whatever the host's
//! side looks like. Page-locked memory is staged too where its boxes would be too many.

use super::context::{CopyContext, Memory, MemoryView, Outstanding};
use super::plan::{self, BroadcastSplit, Plan};
use super::registered;
use super::staging::{ChunkRing, Direction};
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::gpu::copy::CopyKind;
use crate::layout::Layout;
use crate::types::TN_HOST_READ_ONLY;
use core::sync::atomic::Ordering;

/// So many bytes of pageable memory in one run are left to the driver, which takes them into its command buffer before the call returns. That
/// is what drivers do; the reference promises it for synchronous copies alone. A GPU that reaches pageable memory by itself might read it
/// later: there they are staged, too.
const SMALL: i64 = 64 << 10;
/// More boxes than that are not worth to be enqueued where the caller wants no staging.
const MOST_CALLS: u64 = 4096;

/// How the host's side is reached.
enum HostAccess {
    /// By the device, which may take its time.
    Device,
    /// By the driver, before its call returns.
    Driver,
    /// Through staging.
    Staging,
}

fn reach(trip: &CopyContext, host: &MemoryView, plan: &Plan, to_device: bool) -> Result<HostAccess> {
    match host.memory {
        Memory::Pageable => {
            trip.check_staging("the host's memory is not page-locked")?;
            let small = plan.is_run() && plan.bytes() as i64 <= SMALL;
            let driver = small && !(to_device && trip.queue.gpu().reaches_pageable());
            return Ok(if driver { HostAccess::Driver } else { HostAccess::Staging });
        }
        // What devices only read, they cannot write.
        _ if !to_device && is_read_only(host) => trip.check_staging("the memory is registered as TN_HOST_READ_ONLY")?,
        _ if !plan.is_slower_than_staging() => return Ok(HostAccess::Device),
        _ if trip.strict && plan.calls() <= MOST_CALLS => return Ok(HostAccess::Device),
        _ if !trip.strict && trip.queue.is_capturing()? => return Ok(HostAccess::Device),
        _ => trip.check_staging("the two layouts share no boxes that a device copies")?,
    }
    Ok(HostAccess::Staging)
}

fn is_read_only(host: &MemoryView) -> bool {
    let flags = host.layout.extent().and_then(registered::flags);
    flags.is_some_and(|flags| flags & TN_HOST_READ_ONLY != 0)
}

/// A registration lasts at least until the device has done with it.
fn note_use(trip: &CopyContext, host: &MemoryView) {
    if let Some(range) = host.layout.extent() {
        registered::note_use(range, trip.queue.now());
    }
}

/// From the host to a device: repeated elements cross once, and are doubled there.
pub fn to_device(trip: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    if let Some(first) = BroadcastSplit::of(dst.layout, src.layout)? {
        let left = to_device(trip, &dst.part(&first.dst), &src.part(&first.src))?;
        BroadcastSplit::doublings(dst.layout, src.layout, |to, from| trip.send(CopyKind::Within, to, from))?;
        return Ok(left);
    }
    let Some(plan) = Plan::copy(dst.layout, src.layout) else { return Ok(Outstanding::Nothing) };
    let bytes = plan.bytes();
    let left = match reach(trip, src, &plan, true)? {
        HostAccess::Device => {
            let sent = trip.send_plan(CopyKind::ToDevice, &plan);
            note_use(trip, src);
            sent?;
            Outstanding::Both
        }
        HostAccess::Driver => {
            trip.send_plan(CopyKind::ToDevice, &plan)?;
            Outstanding::Writing
        }
        HostAccess::Staging => {
            stage_to_device(trip, dst.layout, src.layout)?;
            Outstanding::Writing
        }
    };
    let traffic = &trip.queue.gpu().traffic;
    traffic.to_device_count.fetch_add(1, Ordering::Relaxed);
    traffic.to_device_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(left)
}

/// Piece by piece through the chunks; the source has been read on return.
pub fn stage_to_device(trip: &mut CopyContext, dst: &Layout, src: &Layout) -> Result<()> {
    let gpu = trip.queue.gpu();
    let mut relay = ChunkRing::new(gpu, Direction::ToDevice);
    plan::pieces(dst, src, relay.chunk_bytes(), &mut |to, from| {
        let (turn, at) = relay.next()?;
        let staged = plan::packed(to, at)?;
        // SAFETY: the chunk is ours and the device has done with it; whoever gave the source vouches for it.
        let (chunk, from) = unsafe { (HostView::new(&staged), HostView::new(from)) };
        blit::copy(&chunk, &from)?;
        let sent = trip.send(CopyKind::ToDevice, to, &staged);
        // Also if that failed in the middle: nobody takes the chunk too early.
        relay.busy_until(turn, trip.queue.record_point().unwrap_or_else(|_| trip.queue.now()));
        gpu.traffic.staged_bytes.fetch_add(to.bytes() as u64, Ordering::Relaxed);
        sent
    })
}

/// From a device to the host.
pub fn to_host(trip: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    let Some(plan) = Plan::copy(dst.layout, src.layout) else { return Ok(Outstanding::Nothing) };
    let (left, bytes) = match reach(trip, dst, &plan, false)? {
        HostAccess::Device => {
            let sent = trip.send_plan(CopyKind::ToHost, &plan);
            note_use(trip, dst);
            sent?;
            (Outstanding::Both, plan.bytes())
        }
        HostAccess::Driver => {
            trip.send_plan(CopyKind::ToHost, &plan)?;
            // Most drivers have waited by themselves; the reference says that they might.
            trip.queue.synchronize()?;
            (Outstanding::Nothing, plan.bytes())
        }
        HostAccess::Staging => {
            stage_to_host(trip, dst.layout, src.layout)?;
            (Outstanding::Nothing, plan::packed_bytes(src.layout) as u64)
        }
    };
    let traffic = &trip.queue.gpu().traffic;
    traffic.to_host_count.fetch_add(1, Ordering::Relaxed);
    traffic.to_host_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(left)
}

/// What a chunk holds that is still on its way there.
struct Arriving {
    turn: usize,
    staged: Layout,
    to: Layout,
}

/// Piece by piece through the chunks: while one arrives, the host copies the one before. All is done on return.
pub fn stage_to_host(trip: &mut CopyContext, dst: &Layout, src: &Layout) -> Result<()> {
    let gpu = trip.queue.gpu();
    let mut relay = ChunkRing::new(gpu, Direction::ToHost);
    let mut arriving: Option<Arriving> = None;
    let wrote = &mut trip.wrote;
    let mut unpack = |relay: &mut ChunkRing, piece: Arriving| {
        relay.wait(piece.turn)?;
        *wrote = true;
        // SAFETY: the chunk is ours and has arrived; whoever gave the destination vouches for it.
        let (chunk, to) = unsafe { (HostView::new(&piece.staged), HostView::new(&piece.to)) };
        blit::copy(&to, &chunk)
    };
    let trip = CopyContext { wrote: false, ..*trip };
    plan::pieces(src, dst, relay.chunk_bytes(), &mut |from, to| {
        let bytes = plan::packed_bytes(from);
        let (turn, at) = relay.next()?;
        // One chunk alone has to be emptied before it is filled again.
        if let Some(before) = arriving.take_if(|before| before.turn == turn) {
            unpack(&mut relay, before)?;
        }
        let piece = Arriving { turn, staged: plan::packed(from, at)?, to: to.try_clone()? };
        let fetched = trip.fetch(CopyKind::ToHost, &piece.staged, from);
        // Also if that failed in the middle: nobody takes the chunk too early.
        relay.busy_until(turn, trip.queue.record_point().unwrap_or_else(|_| trip.queue.now()));
        gpu.traffic.staged_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        fetched?;
        match arriving.replace(piece) {
            Some(before) => unpack(&mut relay, before),
            None => Ok(()),
        }
    })?;
    match arriving.take() {
        Some(last) => unpack(&mut relay, last),
        None => Ok(()),
    }
}
