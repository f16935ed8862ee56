//! Guards that the library itself holds while it works on an array's bytes.

use super::class::GuardParams;
use super::fast_path::LockedSlot;
use super::guard::SpareGuard;
use super::locked::Locked;
use super::reach::{is_reachable, reach};
use super::state::{Claim, Guard, GuardedSlot};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView};
use crate::error::Result;
use crate::layout::Layout;
use crate::slots::{Id, Table};
use crate::stream::Point;
use crate::sys::cpu;
use crate::thread::Thread;
use crate::types::tn_device;

/// An open guard that the library itself uses: ended by [`InternalGuard::end`], or by its drop as one that failed.
pub struct InternalGuard {
    guard: &'static Guard,
}

impl Locked {
    /// Opens a guard on a claim for the library's own use.
    pub(crate) fn open_internal(
        &mut self,
        spare: SpareGuard,
        params: GuardParams,
        claim: &'static Claim,
    ) -> InternalGuard {
        InternalGuard { guard: self.add_guard(spare, params, claim, claim, None) }
    }

    /// Ends it while its ledger is locked already.
    pub(crate) fn end_internal(&mut self, hold: InternalGuard, failed: bool) {
        self.end_internal_at(hold, failed, None);
    }

    /// The same; `point`: work of a device goes on until then.
    pub(crate) fn end_internal_at(&mut self, hold: InternalGuard, failed: bool, point: Option<Point>) {
        self.end_guard_at(hold.guard, failed, point);
        core::mem::forget(hold);
    }
}

impl LockedSlot<Claim> {
    /// Opens a guard on the claim for the library's own use, and unlocks.
    #[inline(always)]
    pub(crate) fn open_internal(mut self, params: GuardParams) -> Option<InternalGuard> {
        self.add_guard(params).map(InternalGuard::of)
    }
}

impl InternalGuard {
    /// Of a guard that is open and has no handle.
    pub(super) fn of(guard: &'static Guard) -> InternalGuard {
        InternalGuard { guard }
    }

    /// Its bytes for the host, which stay as long as it is open; DEVICE if the host cannot reach them.
    pub(crate) fn host_view(&self) -> Result<HostView<'_>> {
        let layout = self.layout();
        reach(self.device())?;
        // SAFETY: the guard is open and ours: the claim that it layout_refs keeps its layout, the store its bytes, and whoever would touch
        // them in a conflicting way is refused. Its offset is an absolute address, of memory that the host can reach.
        Ok(unsafe { HostView::new(layout) })
    }

    /// The same; None if the host cannot reach them, and nothing is said.
    #[inline]
    pub(crate) fn host_view_if_reachable(&self) -> Option<HostView<'_>> {
        // SAFETY: as in `place`.
        is_reachable(self.device()).then(|| unsafe { HostView::new(self.layout()) })
    }

    /// Its bytes for `ferry`, wherever they are.
    pub(crate) fn memory_view(&self) -> Result<MemoryView<'_>> {
        let memory = Memory::of(self.device(), self.layout())?;
        // SAFETY: as for `place`; work of a queue keeps the store's bytes by the point that the guard's end records.
        Ok(unsafe { MemoryView::new(self.layout(), memory) })
    }

    /// Where its bytes are.
    #[inline]
    pub(crate) fn device(&self) -> tn_device {
        let ledger = self.guard.guarded.ledger().expect("not a head");
        // SAFETY: written before the store had a handle, and not again as long as this guard keeps it.
        unsafe { (&raw const (*ledger.state.get()).device).read() }
    }

    /// The layout of its region.
    #[inline]
    pub(crate) fn layout(&self) -> &Layout {
        // SAFETY: the open guard layout_refs the claim, and the layout of a claim with an open guard does not change.
        unsafe { &(*(*self.guard.guarded.body.get()).region().guarded().body.get()).layout }
    }

    /// Makes it the caller's: a handle that `end_guard` will end.
    pub(crate) fn publish(self) -> Id {
        let id = Table::publish(self.guard);
        core::mem::forget(self);
        id
    }

    /// Hands the open guard over to whoever ends it with [`Guard::lock`] and [`Locked::end_guard`].
    pub fn into_guard(self) -> &'static Guard {
        let guard = self.guard;
        core::mem::forget(self);
        guard
    }

    /// The guard.
    pub(crate) fn guard(&self) -> &'static Guard {
        self.guard
    }

    /// Ends it where work on the bytes was put into a queue: that goes on until the point, and who comes next is ordered after it.
    pub fn end_at(self, failed: bool, point: Point) {
        let guard = self.into_guard();
        guard.lock().end_guard_at(guard, failed, Some(point));
    }

    /// Asks for the lines that its end looks at.
    #[inline(always)]
    pub(crate) fn fetch(&self) {
        // SAFETY: as in `layout`; only the address of the claim is taken.
        let claim = unsafe { (*self.guard.guarded.body.get()).region() };
        cpu::prefetch(core::ptr::from_ref(claim));
        self.guard.guarded.ledger().inspect(|ledger| cpu::prefetch(core::ptr::from_ref(*ledger)));
    }

    /// Ends it; `failed`: what was written is undefined.
    pub(crate) fn end(self, failed: bool) {
        self.end_by(crate::thread::current(), failed);
    }

    /// The same by a thread that is known.
    pub(crate) fn end_by(self, thread: &'static Thread, failed: bool) {
        let guard = self.into_guard();
        if !LockedSlot::held(thread, guard).end_guard(failed) {
            guard.lock().end_guard(guard, failed);
        }
    }
}

impl Drop for InternalGuard {
    fn drop(&mut self) {
        self.guard.lock().end_guard(self.guard, true);
    }
}
