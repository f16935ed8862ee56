//! The operands of a copy between memories, and the driver calls that it makes.

use super::kernels;
use super::plan::{BroadcastSplit, Plan};
use super::registered;
use crate::blit::HostView;
use crate::device::refuse_dead;
use crate::error::{Result, Status, fail, quietly};
use crate::gpu::copy::{self, CopyKind};
use crate::gpu::{self, Gpu, page_lock};
use crate::layout::Layout;
use crate::pool;
use crate::stream::Stream;
use crate::types::*;

/// The kind of memory that bytes lie in.
#[derive(Clone, Copy)]
pub enum Memory {
    /// Host memory that the system may move. No device copies it without help from the driver or from staging.
    Pageable,
    /// Page-locked host memory.
    PageLocked,
    /// Managed memory: host and devices use one address for it.
    Managed,
    /// Memory of a GPU.
    Device(&'static Gpu),
}

impl Memory {
    /// The kind of memory of a store on `device`. `layout` covers the bytes that will be accessed.
    pub fn of(device: tn_device, layout: &Layout) -> Result<Memory> {
        Ok(match device.r#type {
            TN_CUDA => Memory::Device(gpu::gpu(device.id)?),
            TN_CUDA_HOST => Memory::PageLocked,
            TN_CUDA_MANAGED => Memory::Managed,
            _ if layout.extent().is_some_and(registered::covers) => Memory::PageLocked,
            _ => Memory::Pageable,
        })
    }

    /// Whether the host can access it.
    pub fn is_host(self) -> bool {
        !matches!(self, Memory::Device(_))
    }
}

/// A layout in memory of any kind, whose bytes the holder may access. [`HostView`] is the counterpart for host memory.
#[derive(Clone, Copy)]
pub struct MemoryView<'a> {
    pub(super) layout: &'a Layout,
    pub(super) memory: Memory,
}

impl<'a> MemoryView<'a> {
    /// Makes a view of the bytes of a layout.
    ///
    /// # Safety
    /// - The obligations of [`HostView::new`], for memory of that kind.
    /// - They hold until the stream has completed the work of the call that gets the view.
    pub unsafe fn new(layout: &'a Layout, memory: Memory) -> MemoryView<'a> {
        MemoryView { layout, memory }
    }

    /// The layout. Its offset is an absolute address.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The kind of memory.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// The view for the host, if it can access the memory.
    pub fn host_view(&self) -> Option<HostView<'a>> {
        // SAFETY: the maker of this view vouches for its bytes, and the host can access them.
        self.memory.is_host().then(|| unsafe { HostView::new(self.layout) })
    }

    /// A view of some of the elements. `layout` has no other elements than this one.
    pub(super) fn part<'b>(&self, layout: &'b Layout) -> MemoryView<'b> {
        MemoryView { layout, memory: self.memory }
    }
}

/// The address at which kernels access the byte at `address` of a store on `device`. 0: no device can access it. Called
/// under no lock.
pub fn device_address(device: tn_device, address: usize) -> u64 {
    match device.r#type {
        _ if address == 0 => 0,
        // Host and devices use one address for it.
        TN_CUDA | TN_CUDA_MANAGED => address as u64,
        TN_CUDA_HOST => registered_address(address).or_else(|| mapped_address(address)).unwrap_or(0),
        _ => registered_address(address).unwrap_or(0),
    }
}

/// The device's address of registered memory. None: the memory is not registered.
fn registered_address(address: usize) -> Option<u64> {
    registered::device_address((address as i64, address as i64 + 1))
}

/// The device's address of page-locked memory that is mapped for it. Whether imported memory is mapped is the driver's
/// knowledge; before a GPU was used, such memory counts as not mapped.
#[cold]
fn mapped_address(address: usize) -> Option<u64> {
    let is_mapped = match pool::locate(address) {
        Some(found) => found.pool.memory_flags() & TN_MAPPED != 0,
        None => gpu::any_used(),
    };
    if !is_mapped {
        return None;
    }
    quietly(|| page_lock::device_address(gpu::home().ok()?, address).ok())
}

/// The work of a copy that its stream has not completed when the call returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outstanding {
    /// The copy is complete.
    Nothing,
    /// The source has been read; the stream writes the destination.
    Writing,
    /// The stream reads the source and writes the destination.
    Both,
}

/// A copy that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Why it failed.
    pub status: Status,
    /// Whether bytes of the destination may have been written, or may still be written by the stream.
    pub wrote: bool,
}

/// A copy that is being enqueued.
pub(super) struct CopyContext {
    pub stream: &'static Stream,
    /// Staging is forbidden.
    pub strict: bool,
    /// Whether bytes of the destination were written, or will be written by the stream.
    pub wrote: bool,
}

impl CopyContext {
    /// Enqueues the boxes of a copy into the destination.
    pub fn enqueue(&mut self, kind: CopyKind, dst: &Layout, src: &Layout) -> Result<()> {
        match Plan::copy(dst, src) {
            Some(plan) => self.enqueue_plan(kind, &plan),
            None => Ok(()),
        }
    }

    /// Enqueues the boxes of a plan into the destination.
    pub fn enqueue_plan(&mut self, kind: CopyKind, plan: &Plan) -> Result<()> {
        let wrote = &mut self.wrote;
        enqueue_boxes(self.stream, kind, plan, || *wrote = true)
    }

    /// Enqueues the boxes of a copy into a temporary. An element that the source repeats is copied once, as `packed`
    /// holds it.
    pub fn enqueue_packed(&self, kind: CopyKind, packed: &Layout, src: &Layout) -> Result<()> {
        let plan = match BroadcastSplit::of(packed, src)? {
            Some(distinct) => Plan::copy(&distinct.dst, &distinct.src),
            None => Plan::copy(packed, src),
        };
        plan.map_or(Ok(()), |plan| enqueue_boxes(self.stream, kind, &plan, || ()))
    }

    /// Fails if the copy must not be staged: because the caller forbids it, or because the stream captures a graph.
    /// `why` states why the copy needs staging, and `remedy` how to avoid that. Staged bytes would be gone when the
    /// graph runs. The driver itself accepts pageable memory in a graph. But each launch then silently uses whatever
    /// bytes are at the address at that time.
    pub fn check_staging(&self, why: &str, remedy: &str) -> Result<()> {
        if self.strict {
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!("TN_REQUIRE_ASYNC, and {why}, so the copy goes through staging memory; {remedy}"),
            ));
        }
        if self.stream.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!("the stream is capturing a graph, and {why}, so the host must copy in between; {remedy}"),
            ));
        }
        Ok(())
    }
}

/// Enqueues the boxes of a plan, or kernels where these are faster. Calls `after` for each box or launch that was
/// enqueued.
fn enqueue_boxes(stream: &'static Stream, kind: CopyKind, plan: &Plan, mut after: impl FnMut()) -> Result<()> {
    if let Some(kernels) = kernels::for_copy(stream, kind, plan) {
        return kernels.enqueue(stream, after);
    }
    let inside = stream.enter()?;
    // All boxes of a side are in one block.
    refuse_dead(plan.block().dst.at as usize)?;
    refuse_dead(plan.block().src.at as usize)?;
    plan.each(|block| {
        // SAFETY: the makers of memory views vouch for their bytes until the stream has completed the copy. Staging
        // memory is not reused before that. Their memory is of `kind`, and the two sides of a plan share no byte.
        unsafe { copy::copy(&inside, stream.raw(), kind, block) }?;
        after();
        Ok(())
    })
}
