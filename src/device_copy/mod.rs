//! Ferry: bytes between host and devices, raw.
//!
//! Contract: as `blit`, but for memory of any kind, on a queue: a copy moves every element of the source to the destination as if the
//! source had been read in full first, a fill sets every element, and no other byte is touched. Knows no store, no ledger and no handle: who
//! may touch which bytes was settled by the caller, who vouches for it with [`MemoryView::new`], and whose queue is after all that it must be after.
//! What is not done on return is done when the queue has passed it; [`Outstanding`] says what that is. Under no lock.
//!
//! | file | what |
//! |---|---|
//! | `plan` | which calls of the driver make a copy between two layouts; pure |
//! | `bus` | host and device: at once where the host's memory is page-locked, else through staging |
//! | `device` | within one device, with overlap, and between two |
//! | `staging` | the ring of page-locked chunks |
//! | `fill` | every element set, without kernels |
//! | `registered` | which host memory is page-locked by `tn_host_register` |

mod host_device;

mod device;

mod fill;

pub mod plan;

pub mod registered;

mod staging;

pub use fill::fill;
pub use staging::trim;

use crate::blit::HostView;
use crate::error::{Result, Status, fail};
use crate::gpu::copy::{self, CopyKind};
use crate::gpu::{self, Gpu, page_lock};
use crate::layout::Layout;
use crate::pool;
use crate::stream::Queue;
use crate::types::*;
use plan::{BroadcastSplit, Plan};

/// What kind of memory bytes lie in.
#[derive(Clone, Copy)]
pub enum Memory {
    /// The host's, which the system may move: a driver copies it by itself, or through page-locked memory.
    Pageable,
    /// The host's, page-locked.
    Pinned,
    /// Both sides', by one address.
    Managed,
    /// A GPU's.
    Device(&'static Gpu),
}

impl Memory {
    /// Of a store on `device`; `layout` is what will be touched.
    pub fn of(device: tn_device, layout: &Layout) -> Result<Memory> {
        Ok(match device.r#type {
            TN_CUDA => Memory::Device(gpu::gpu(device.id)?),
            TN_CUDA_HOST => Memory::Pinned,
            TN_CUDA_MANAGED => Memory::Managed,
            _ if layout.extent().is_some_and(registered::covers) => Memory::Pinned,
            _ => Memory::Pageable,
        })
    }

    /// Whether the host can touch it.
    pub fn is_host(self) -> bool {
        !matches!(self, Memory::Device(_))
    }
}

/// Where bytes are, and that they may be touched: what [`crate::blit::HostView`] is for memory of any kind.
#[derive(Clone, Copy)]
pub struct MemoryView<'a> {
    layout: &'a Layout,
    memory: Memory,
}

impl<'a> MemoryView<'a> {
    /// Vouches for the bytes of a layout.
    ///
    /// # Safety
    /// - As for [`crate::blit::HostView::new`], for memory of that kind: until the queue of the call that it is given to has passed that call.
    pub unsafe fn new(layout: &'a Layout, memory: Memory) -> MemoryView<'a> {
        MemoryView { layout, memory }
    }

    /// The layout, with its absolute address as offset.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// What kind of memory it is.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// For the host, if it can touch it.
    pub fn place(&self) -> Option<HostView<'a>> {
        // SAFETY: whoever made this berth vouches for its bytes, and the host reaches them.
        self.memory.is_host().then(|| unsafe { HostView::new(self.layout) })
    }

    /// The same kind of memory in another layout: of elements that this one has.
    fn part<'b>(&self, layout: &'b Layout) -> MemoryView<'b> {
        MemoryView { layout, memory: self.memory }
    }
}

/// Where devices see the byte at a host address, if it is mapped for them; 0: they do not. Under no lock.
pub fn seen_at(address: usize) -> u64 {
    if address == 0 {
        return 0;
    }
    let seen = registered::seen((address as i64, address as i64 + 1));
    let mapped = || {
        let pool = pool::locate(address)?.pool;
        if pool.memory_flags() & TN_MAPPED != 0 { page_lock::seen_at(gpu::gpu(0).ok()?, address).ok() } else { None }
    };
    if seen == 0 { mapped().unwrap_or(0) } else { seen }
}

/// What a copy leaves to its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outstanding {
    /// Nothing: all is done.
    Nothing,
    /// The source was read, the destination will be written.
    Writing,
    /// The source will be read, and the destination written.
    Both,
}

/// A copy that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Why.
    pub status: Status,
    /// Whether some bytes of the destination may have been written already, or will be.
    pub wrote: bool,
}

/// One copy on its way.
struct CopyContext {
    queue: &'static Queue,
    /// Nothing may be staged.
    strict: bool,
    /// Whether some bytes of the destination were, or will be, written.
    wrote: bool,
}

impl CopyContext {
    /// Enqueues the boxes of a copy into the destination.
    fn send(&mut self, way: CopyKind, dst: &Layout, src: &Layout) -> Result<()> {
        match Plan::copy(dst, src) {
            Some(plan) => self.send_plan(way, &plan),
            None => Ok(()),
        }
    }

    /// Enqueues the boxes of a plan into the destination.
    fn send_plan(&mut self, way: CopyKind, plan: &Plan) -> Result<()> {
        let wrote = &mut self.wrote;
        enqueue(self.queue, way, plan, || *wrote = true)
    }

    /// Enqueues the boxes of a copy into packed memory that is not the destination's: each repeated element once, as it lies packed.
    fn fetch(&self, way: CopyKind, packed: &Layout, src: &Layout) -> Result<()> {
        let plan = match BroadcastSplit::of(packed, src)? {
            Some(first) => Plan::copy(&first.dst, &first.src),
            None => Plan::copy(packed, src),
        };
        plan.map_or(Ok(()), |plan| enqueue(self.queue, way, &plan, || ()))
    }

    /// Nothing may be staged where the caller said so, nor while the queue captures a graph, which must find its bytes when it runs. The driver
    /// itself takes pageable memory into a graph, and at each launch reads or writes what is at that address then: nobody would know.
    fn check_staging(&self, why: &str) -> Result<()> {
        if self.strict {
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!(
                    "TN_REQUIRE_ASYNC, and {why}, so the copy goes through staging memory; page-lock it (tn_host_register)"
                ),
            ));
        }
        if self.queue.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "the stream is capturing a graph, and {why}, so the host must copy in between; use page-locked memory"
                ),
            ));
        }
        Ok(())
    }
}

/// Enqueues the boxes of a plan; `after` runs behind each.
fn enqueue(queue: &'static Queue, way: CopyKind, plan: &Plan, mut after: impl FnMut()) -> Result<()> {
    let inside = queue.gpu().enter()?;
    plan.each(|block| {
        // SAFETY: the berths that the plan was made of vouch for its bytes until the queue has passed the copy, or they are staging memory
        // that is not used again before; their kinds are those of `way`, and a plan is made of sides that share no byte.
        unsafe { copy::copy(&inside, queue.raw(), way, block) }?;
        after();
        Ok(())
    })
}

/// Copies every element of `src` to the element of `dst` at the same index, on a queue; at least one of the two is a GPU's memory.
///
/// Shapes and item sizes are equal. The queue is one of a GPU that has one of the two. `strict`: TN_ERR_WOULD_COPY in place of staging.
pub fn copy(
    queue: &'static Queue,
    dst: &MemoryView,
    src: &MemoryView,
    strict: bool,
) -> core::result::Result<Outstanding, Failed> {
    debug_assert!(dst.layout.shape() == src.layout.shape() && dst.layout.item() == src.layout.item());
    if dst.layout.is_empty() {
        return Ok(Outstanding::Nothing);
    }
    let mut trip = CopyContext { queue, strict, wrote: false };
    let outcome = match (dst.memory, src.memory) {
        (Memory::Device(to), Memory::Device(from)) if to.id() != from.id() => {
            device::between(&mut trip, (to, dst), (from, src))
        }
        (Memory::Device(_), Memory::Device(_) | Memory::Managed) | (Memory::Managed, Memory::Device(_)) => {
            device::within(&mut trip, dst, src)
        }
        (Memory::Device(_), _) => host_device::to_device(&mut trip, dst, src),
        (_, Memory::Device(_)) => host_device::to_host(&mut trip, dst, src),
        _ => unreachable!("copies between host memories are the host's"),
    };
    outcome.map_err(|status| Failed { status, wrote: trip.wrote })
}
