//! Copies between host and device.
//!
//! Page-locked memory is copied by the device, box by box, and the call returns once the boxes are enqueued. All other memory is staged.
//! The host packs each piece into a chunk, in the order of the *device's* memory. So the device copies few boxes, whatever the layout of
//! the host's side. Page-locked memory is staged too if the copy would need too many boxes, and no kernel is faster.

use super::context::{CopyContext, Memory, MemoryView, Outstanding};
use super::kernels;
use super::plan::{self, BroadcastSplit, Plan};
use super::registered;
use super::staging::{ChunkRing, Direction};
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::gpu::copy::CopyKind;
use crate::layout::Layout;
use crate::types::TN_HOST_READ_ONLY;
use core::sync::atomic::Ordering;

/// A run of pageable memory of at most this size is left to the driver. Drivers copy it into their command buffer before the call returns,
/// although their reference guarantees this for synchronous copies only. A GPU that can access pageable memory might read it later, so
/// copies to such a GPU are staged.
const SMALL_BYTES: i64 = 64 << 10;
/// A copy that must not be staged fails if it needs more driver calls.
const MAX_CALLS: u64 = 4096;

/// The side that accesses the host's memory.
enum HostAccess {
    /// The device, perhaps after the call has returned.
    Device,
    /// The driver, before its call returns.
    Driver,
    /// The host, which copies through staging.
    Staging,
}

/// Chooses the access, or fails if the copy needs staging and must not be staged.
fn host_access(
    context: &CopyContext,
    host: &MemoryView,
    device: &Layout,
    plan: &Plan,
    to_device: bool,
) -> Result<HostAccess> {
    let kind = if to_device { CopyKind::ToDevice } else { CopyKind::ToHost };
    let kernels_ns = || kernels::for_copy(context.stream, kind, plan).map(|kernels| kernels.ns);
    match host.memory {
        Memory::Pageable => {
            context.check_staging("the host's memory is not page-locked", "page-lock it (tn_host_register)")?;
            let small = plan.is_run() && plan.bytes() as i64 <= SMALL_BYTES;
            let driver = small && !(to_device && context.stream.gpu().reaches_pageable());
            return Ok(if driver { HostAccess::Driver } else { HostAccess::Staging });
        }
        // Devices cannot write memory that is registered for reading.
        _ if !to_device && is_read_only(host) => {
            context.check_staging("the memory is registered as TN_HOST_READ_ONLY", "register it without that flag")?
        }
        _ if !plan.is_slower_than_staging(true, &[device]) => return Ok(HostAccess::Device),
        _ if kernels_ns().is_some_and(|ns| context.strict || ns <= plan.staged_ns(&[device])) => {
            return Ok(HostAccess::Device);
        }
        _ if context.strict && plan.calls() <= MAX_CALLS => return Ok(HostAccess::Device),
        _ if !context.strict && context.stream.is_capturing()? => return Ok(HostAccess::Device),
        _ => context
            .check_staging("the two layouts need too many driver calls", "copy between arrays with equal strides")?,
    }
    Ok(HostAccess::Staging)
}

fn is_read_only(host: &MemoryView) -> bool {
    let flags = host.layout.extent().and_then(registered::flags);
    flags.is_some_and(|flags| flags & TN_HOST_READ_ONLY != 0)
}

/// Makes the end of the registration wait for the copy.
fn record_use(context: &CopyContext, host: &MemoryView) {
    if let Some(range) = host.layout.extent() {
        registered::record_use(range, context.stream.now());
    }
}

/// Copies from the host to a device. Repeated elements are transferred once, and doubled on the device.
pub fn to_device(context: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    if let Some(distinct) = BroadcastSplit::of(dst.layout, src.layout)? {
        let outstanding = to_device(context, &dst.part(&distinct.dst), &src.part(&distinct.src))?;
        BroadcastSplit::doublings(dst.layout, src.layout, |to, from| context.enqueue(CopyKind::Within, to, from))?;
        return Ok(outstanding);
    }
    let Some(plan) = Plan::copy(dst.layout, src.layout) else { return Ok(Outstanding::Nothing) };
    let bytes = plan.bytes();
    let outstanding = match host_access(context, src, dst.layout, &plan, true)? {
        HostAccess::Device => {
            let sent = context.enqueue_plan(CopyKind::ToDevice, &plan);
            record_use(context, src);
            sent?;
            Outstanding::Both
        }
        HostAccess::Driver => {
            context.enqueue_plan(CopyKind::ToDevice, &plan)?;
            Outstanding::Writing
        }
        HostAccess::Staging => {
            stage_to_device(context, dst.layout, src.layout)?;
            Outstanding::Writing
        }
    };
    let traffic = &context.stream.gpu().traffic;
    traffic.to_device_count.fetch_add(1, Ordering::Relaxed);
    traffic.to_device_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(outstanding)
}

/// Copies to a device, piece by piece through the chunks. The source has been read on return.
pub fn stage_to_device(context: &mut CopyContext, dst: &Layout, src: &Layout) -> Result<()> {
    let gpu = context.stream.gpu();
    let mut ring = ChunkRing::new(gpu, Direction::ToDevice);
    plan::pieces(dst, src, ring.chunk_bytes(), &mut |to, from| {
        let (index, at) = ring.next()?;
        let staged = plan::packed(to, at)?;
        // SAFETY: this copy has the chunk, and the device has finished with it. The maker of the view vouches for the source.
        let (chunk, from) = unsafe { (HostView::new(&staged), HostView::new(from)) };
        blit::copy(&chunk, &from)?;
        let sent = context.enqueue(CopyKind::ToDevice, to, &staged);
        // The device may use the chunk even if a box failed.
        ring.busy_until(index, context.stream.record_point().unwrap_or_else(|_| context.stream.now()));
        gpu.traffic.staged_bytes.fetch_add(to.bytes() as u64, Ordering::Relaxed);
        sent
    })
}

/// Copies from a device to the host.
pub fn to_host(context: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    let Some(plan) = Plan::copy(dst.layout, src.layout) else { return Ok(Outstanding::Nothing) };
    let (outstanding, bytes) = match host_access(context, dst, src.layout, &plan, false)? {
        HostAccess::Device => {
            let sent = context.enqueue_plan(CopyKind::ToHost, &plan);
            record_use(context, dst);
            sent?;
            (Outstanding::Both, plan.bytes())
        }
        HostAccess::Driver => {
            context.enqueue_plan(CopyKind::ToHost, &plan)?;
            // Most drivers have waited already, but their reference does not guarantee it.
            context.stream.synchronize()?;
            (Outstanding::Nothing, plan.bytes())
        }
        HostAccess::Staging => {
            stage_to_host(context, dst.layout, src.layout)?;
            (Outstanding::Nothing, plan::packed_bytes(src.layout) as u64)
        }
    };
    let traffic = &context.stream.gpu().traffic;
    traffic.to_host_count.fetch_add(1, Ordering::Relaxed);
    traffic.to_host_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(outstanding)
}

/// A piece that the device is copying into a chunk.
struct Arriving {
    index: usize,
    staged: Layout,
    to: Layout,
}

/// Copies to the host, piece by piece through the chunks. While one arrives, the host copies the one before. Complete on return.
pub fn stage_to_host(context: &mut CopyContext, dst: &Layout, src: &Layout) -> Result<()> {
    let gpu = context.stream.gpu();
    let mut ring = ChunkRing::new(gpu, Direction::ToHost);
    let mut arriving: Option<Arriving> = None;
    let wrote = &mut context.wrote;
    let mut unpack = |ring: &mut ChunkRing, piece: Arriving| {
        ring.wait(piece.index)?;
        *wrote = true;
        // SAFETY: this copy has the chunk, and the bytes have arrived. The maker of the view vouches for the destination.
        let (chunk, to) = unsafe { (HostView::new(&piece.staged), HostView::new(&piece.to)) };
        blit::copy(&to, &chunk)
    };
    let context = CopyContext { wrote: false, ..*context };
    plan::pieces(src, dst, ring.chunk_bytes(), &mut |from, to| {
        let bytes = plan::packed_bytes(from);
        let (index, at) = ring.next()?;
        // A ring with one chunk: its piece is copied out before the chunk is filled again.
        if let Some(before) = arriving.take_if(|before| before.index == index) {
            unpack(&mut ring, before)?;
        }
        let piece = Arriving { index, staged: plan::packed(from, at)?, to: to.try_clone()? };
        let fetched = context.enqueue_packed(CopyKind::ToHost, &piece.staged, from);
        // The device may use the chunk even if a box failed.
        ring.busy_until(index, context.stream.record_point().unwrap_or_else(|_| context.stream.now()));
        gpu.traffic.staged_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        fetched?;
        match arriving.replace(piece) {
            Some(before) => unpack(&mut ring, before),
            None => Ok(()),
        }
    })?;
    match arriving.take() {
        Some(last) => unpack(&mut ring, last),
        None => Ok(()),
    }
}
