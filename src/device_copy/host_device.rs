//! Copies between host and device.
//!
//! Page-locked memory is copied by the device, box by box, and the call returns once the boxes are enqueued. Large
//! memory that another library page-locked is copied so too, but the call waits for the copy. All other memory is
//! staged. The host packs each piece into a chunk, in the order of the *device's* memory. So the device copies few
//! boxes, whatever the layout of the host's side. Page-locked memory is staged too if the copy would need too many
//! boxes, and no kernel is faster.
//!
//! Pageable memory is never left to the driver while page-locked memory can be had. When the driver reads it, and for
//! which stream it waits meanwhile, depends on the size, the driver and the machine.

use super::context::{CopyContext, Memory, MemoryView, Outstanding};
use super::kernels;
use super::plan::{self, BroadcastSplit, Plan};
use super::registered;
use super::staging::ChunkRing;
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::gpu::copy::CopyKind;
use crate::gpu::page_lock;
use crate::layout::Layout;
use crate::types::TN_HOST_READ_ONLY;
use core::sync::atomic::Ordering;

/// For smaller copies of pageable memory the driver is not asked whether another library page-locked it.
const MIN_RECOGNISED_BYTES: u64 = 1 << 20;
/// A copy that must not be staged fails if it needs more driver calls.
const MAX_CALLS: u64 = 4096;

/// The side that accesses the host's memory.
enum HostAccess {
    /// The device, perhaps after the call has returned.
    Device,
    /// The device, before the call returns. Another library page-locked the memory.
    DeviceNow,
    /// The host, which copies through staging memory.
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
            if is_page_locked_elsewhere(context, host, plan) {
                return Ok(HostAccess::DeviceNow);
            }
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

/// Whether another library page-locked the memory of a large copy. Its owner does not know of the copy, so the call
/// waits for it. A single driver call, so that staging is possible if the driver refuses it.
fn is_page_locked_elsewhere(context: &CopyContext, host: &MemoryView, plan: &Plan) -> bool {
    let is_large = plan.bytes() > MIN_RECOGNISED_BYTES && plan.calls() == 1;
    let range = host.layout.extent().filter(|_| is_large);
    range.is_some_and(|range| page_lock::is_page_locked(context.stream.gpu(), range))
}

fn is_read_only(host: &MemoryView) -> bool {
    let flags = host.layout.extent().and_then(registered::flags);
    flags.is_some_and(|flags| flags & TN_HOST_READ_ONLY != 0)
}

/// Makes the end of the registration wait for the copy.
fn record_use(context: &CopyContext, host: &MemoryView) {
    if let Some(range) = host.layout.extent() {
        registered::record_use(range, context.stream.end_of_use());
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
        HostAccess::DeviceNow if context.enqueue_plan(CopyKind::ToDevice, &plan).is_ok() => {
            context.stream.now().wait()?;
            Outstanding::Nothing
        }
        HostAccess::DeviceNow | HostAccess::Staging => {
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
    let mut ring = ChunkRing::new(context.stream, plan::packed_bytes(dst))?;
    plan::pieces(dst, src, ring.piece_bytes(), &mut |to, from| {
        let (index, at) = ring.next()?;
        let staged = plan::packed(to, at)?;
        // SAFETY: this copy has the chunk, and the device has finished with it. The maker of the view vouches for the
        // source.
        let (chunk, from) = unsafe { (HostView::new(&staged), HostView::new(from)) };
        blit::copy(&chunk, &from)?;
        let sent = context.enqueue(CopyKind::ToDevice, to, &staged);
        // The device may use the chunk even if a box failed.
        ring.mark_used(index);
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
        HostAccess::DeviceNow if context.enqueue_plan(CopyKind::ToHost, &plan).is_ok() => {
            context.stream.now().wait()?;
            (Outstanding::Nothing, plan.bytes())
        }
        HostAccess::DeviceNow | HostAccess::Staging => {
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

/// Copies to the host, piece by piece through the chunks. While one arrives, the host copies the one before. Complete
/// on return.
pub fn stage_to_host(context: &mut CopyContext, dst: &Layout, src: &Layout) -> Result<()> {
    let gpu = context.stream.gpu();
    let mut ring = ChunkRing::new(context.stream, plan::packed_bytes(src))?;
    let mut arriving: Option<Arriving> = None;
    let wrote = &mut context.wrote;
    let mut unpack = |ring: &mut ChunkRing, piece: Arriving| {
        ring.wait(piece.index)?;
        *wrote = true;
        // SAFETY: this copy has the chunk, and the bytes have arrived. The maker of the view vouches for the
        // destination.
        let (chunk, to) = unsafe { (HostView::new(&piece.staged), HostView::new(&piece.to)) };
        blit::copy(&to, &chunk)
    };
    let context = CopyContext { wrote: false, ..*context };
    plan::pieces(src, dst, ring.piece_bytes(), &mut |from, to| {
        let bytes = plan::packed_bytes(from);
        let (index, at) = ring.next()?;
        // A ring with one chunk: its piece is copied out before the chunk is filled again.
        if let Some(before) = arriving.take_if(|before| before.index == index) {
            unpack(&mut ring, before)?;
        }
        let piece = Arriving { index, staged: plan::packed(from, at)?, to: to.try_clone()? };
        let fetched = context.enqueue_packed(CopyKind::ToHost, &piece.staged, from);
        // The device may use the chunk even if a box failed.
        ring.mark_used(index);
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
