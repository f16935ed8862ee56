//! Copies within one device, and between two.
//!
//! Within a device the two sides may share bytes. [`OverlapPlan`] gives an order of pieces that is safe, or says that
//! the copy needs a temporary. The temporary is device memory, and no call waits for it.
//!
//! Between two devices the driver copies directly if they can access each other's memory, which the first copy asks for:
//! of the contexts, and of the pools that map memory. Otherwise it stages a run
//! through host memory by itself, and all other layouts pass through the staging memory of this library, where the
//! processor rearranges them. So do the bytes of a copy within a device that would need too many driver calls.

use super::context::{CopyContext, MemoryView, Outstanding};
use super::host_device::{stage_to_device, stage_to_host};
use super::kernels;
use super::plan::{self, BroadcastSplit, OverlapPlan, Plan};
use crate::blit::Scratch;
use crate::device::PeerAccess;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::copy::CopyKind;
use crate::layout::{self, Layout};
use crate::pool::{self, Client, Pool};
use crate::stream::{self, Stream};

/// The alignment of temporaries, which is that of arrays.
const ALIGNMENT_BYTES: usize = 256;

/// Copies within one device, or between it and managed memory.
pub fn within(context: &mut CopyContext, dst: &MemoryView, src: &MemoryView) -> Result<Outstanding> {
    let (dst, src) = (dst.layout, src.layout);
    match OverlapPlan::of(dst, src) {
        OverlapPlan::Done => Ok(Outstanding::Nothing),
        OverlapPlan::Any => copy_disjoint(context, CopyKind::Within, None, dst, src),
        OverlapPlan::Pieces { axis, length, upwards } => {
            let count = dst.shape()[axis];
            let parts = layout::pieces(count, length);
            let mut enqueue = |(start, length): (i64, i64)| {
                context.enqueue(CopyKind::Within, &dst.part(axis, start, length)?, &src.part(axis, start, length)?)
            };
            if upwards {
                parts.clone().try_for_each(&mut enqueue)?;
            } else {
                (0..parts.len() as i64)
                    .rev()
                    .map(|i| (i * length, length.min(count - i * length)))
                    .try_for_each(enqueue)?;
            }
            Ok(Outstanding::Both)
        }
        OverlapPlan::Through => {
            let temporary = Temporary::new(context.stream, plan::packed_bytes(src))?;
            let packed = plan::packed(src, temporary.address)?;
            context.enqueue_packed(CopyKind::Within, &packed, src)?;
            copy_disjoint(context, CopyKind::Within, None, dst, &packed)
        }
    }
}

/// The GPUs of destination and source of a copy between two.
type Gpus = Option<(&'static Gpu, &'static Gpu)>;

/// Copies between two sides that share no byte.
fn copy_disjoint(
    context: &mut CopyContext,
    kind: CopyKind,
    gpus: Gpus,
    dst: &Layout,
    src: &Layout,
) -> Result<Outstanding> {
    let Some(plan) = Plan::copy(dst, src) else { return Ok(Outstanding::Nothing) };
    if let Some(kernels) = kernels::for_copy(context.stream, kind, &plan) {
        let wrote = &mut context.wrote;
        kernels.enqueue(context.stream, || *wrote = true)?;
        return Ok(Outstanding::Both);
    }
    if let Some(distinct) = BroadcastSplit::of(dst, src)? {
        let outstanding = copy_disjoint(context, kind, gpus, &distinct.dst, &distinct.src)?;
        BroadcastSplit::doublings(dst, src, |to, from| context.enqueue(kind.within_destination(), to, from))?;
        return Ok(outstanding);
    }
    // Staging is only an optimisation here. Where it is not allowed, many driver calls do the work.
    if plan.is_slower_than_staging(false, &[dst, src]) && !context.strict && !context.stream.is_capturing()? {
        return match gpus {
            // Only a stream of its own GPU may access memory that is mapped for that GPU alone.
            Some((to, from)) => by_host(context, to, from, dst, src),
            None => through_host(context, context.stream, dst, src),
        };
    }
    context.enqueue_plan(kind, &plan)?;
    Ok(Outstanding::Both)
}

/// Copies between two devices. The stream belongs to one of them.
pub fn between(
    context: &mut CopyContext,
    (to, dst): (&'static Gpu, &MemoryView),
    (from, src): (&'static Gpu, &MemoryView),
) -> Result<Outstanding> {
    let (dst, src) = (dst.layout, src.layout);
    let is_direct = to.has_peer_access(from)?;
    if !is_direct {
        context.check_staging(
            "the two devices cannot access each other's memory",
            "copy by way of an array in page-locked memory",
        )?;
    }
    let start = |layout: &Layout| layout.extent().map_or(0, |(start, _)| start as usize);
    let access = (pool::open_to(start(dst), from.id()), pool::open_to(start(src), to.id()));
    let other = if context.stream.gpu().id() == to.id() { access.1 } else { access.0 };
    // A copy between contexts may be lost in a driver's pool that the other GPU has access to.
    let is_open_pool = access.0 == PeerAccess::OpenPool || access.1 == PeerAccess::OpenPool;
    let is_reached = is_direct && other != PeerAccess::Closed;
    // Without access the driver stages a run by itself, in the order of the stream.
    let is_run = || !src.stretched() && Plan::copy(dst, src).is_some_and(|plan| plan.is_run());
    if if is_open_pool { is_reached } else { is_direct || is_run() } {
        let kind = match is_open_pool {
            true => CopyKind::Within,
            false => CopyKind::Peer { dst: to.enter()?.context(), src: from.enter()?.context() },
        };
        return copy_disjoint(context, kind, Some((to, from)), dst, src);
    }
    by_host(context, to, from, dst, src)
}

/// Copies between two devices through host memory.
fn by_host(
    context: &mut CopyContext,
    to: &'static Gpu,
    from: &'static Gpu,
    dst: &Layout,
    src: &Layout,
) -> Result<Outstanding> {
    let own = context.stream;
    let receives = own.gpu().id() == to.id();
    // The other device works on a stream of the library's, which may wait for nothing: other copies use it too. So the
    // host waits for the earlier work of the caller's stream, as it would for the first piece anyway.
    let other = stream::undelayed_stream(if receives { from } else { to }.device())?;
    own.record_point()?.wait()?;
    let (sender, receiver) = if receives { (other, own) } else { (own, other) };
    context.stream = receiver;
    let outstanding = through_host(context, sender, dst, src);
    context.stream = own;
    if !receives {
        own.wait_for(other.record_point()?)?;
    }
    outstanding
}

/// Copies through host memory, in pieces of the destination. The source has been read on return.
fn through_host(context: &mut CopyContext, sender: &'static Stream, dst: &Layout, src: &Layout) -> Result<Outstanding> {
    let scratch = Scratch::new(plan::packed_bytes(dst).min(HOST_PIECE_BYTES) as usize)?;
    plan::pieces(dst, src, HOST_PIECE_BYTES, &mut |to, from| {
        let packed = plan::packed(to, scratch.address().expose_provenance() as i64)?;
        let mut to_scratch = CopyContext { stream: sender, strict: false, wrote: false };
        stage_to_host(&mut to_scratch, &packed, from)?;
        stage_to_device(context, to, &packed)
    })?;
    Ok(Outstanding::Writing)
}

/// The size of a piece that passes through host memory.
const HOST_PIECE_BYTES: i64 = 16 << 20;

/// Device memory for the duration of a copy. The drop frees it in the order of the stream, so its pool reuses it only
/// after the copy.
struct Temporary {
    pool: &'static Pool,
    stream: &'static Stream,
    address: i64,
}

impl Temporary {
    fn new(stream: &'static Stream, bytes: i64) -> Result<Temporary> {
        let pool = pool::current(stream.device())?;
        let address =
            pool.allocate_raw_on(Client::RAW, Some(stream), bytes as usize, ALIGNMENT_BYTES, false, 0)?.as_ptr() as i64;
        Ok(Temporary { pool, stream, address })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let address = self.address as usize;
        let freed = pool::deallocate_on(Client::RAW, Some(self.pool), address, None, |_| Ok(Some(self.stream)));
        debug_assert!(freed.is_ok(), "the block belongs to this copy alone");
    }
}
