//! The operands of a copy between memories, and the driver calls that it makes.

use super::plan::{BroadcastSplit, Plan};
use super::registered;
use crate::blit::HostView;
use crate::error::{Result, Status, fail};
use crate::gpu::copy::{self, CopyKind};
use crate::gpu::{self, Gpu, page_lock};
use crate::layout::Layout;
use crate::pool;
use crate::stream::Queue;
use crate::types::*;

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
    pub(super) layout: &'a Layout,
    pub(super) memory: Memory,
}

impl<'a> MemoryView<'a> {
    /// Vouches for the bytes of a layout.
    ///
    /// # Safety
    /// - As for [`crate::blit::HostView::new`], for memory of that kind: until the queue of the call that it is given to has passed that
    ///   call.
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
    pub(super) fn part<'b>(&self, layout: &'b Layout) -> MemoryView<'b> {
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
pub(super) struct CopyContext {
    pub queue: &'static Queue,
    /// Nothing may be staged.
    pub strict: bool,
    /// Whether some bytes of the destination were, or will be, written.
    pub wrote: bool,
}

impl CopyContext {
    /// Enqueues the boxes of a copy into the destination.
    pub fn send(&mut self, way: CopyKind, dst: &Layout, src: &Layout) -> Result<()> {
        match Plan::copy(dst, src) {
            Some(plan) => self.send_plan(way, &plan),
            None => Ok(()),
        }
    }

    /// Enqueues the boxes of a plan into the destination.
    pub fn send_plan(&mut self, way: CopyKind, plan: &Plan) -> Result<()> {
        let wrote = &mut self.wrote;
        enqueue(self.queue, way, plan, || *wrote = true)
    }

    /// Enqueues the boxes of a copy into packed memory that is not the destination's: each repeated element once, as it lies packed.
    pub fn fetch(&self, way: CopyKind, packed: &Layout, src: &Layout) -> Result<()> {
        let plan = match BroadcastSplit::of(packed, src)? {
            Some(first) => Plan::copy(&first.dst, &first.src),
            None => Plan::copy(packed, src),
        };
        plan.map_or(Ok(()), |plan| enqueue(self.queue, way, &plan, || ()))
    }

    /// Nothing may be staged where the caller said so, nor while the queue captures a graph, which must find its bytes when it runs. The
    /// driver itself takes pageable memory into a graph, and at each launch reads or writes what is at that address then: nobody would
    /// know.
    pub fn check_staging(&self, why: &str) -> Result<()> {
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
