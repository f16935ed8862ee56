//! Guards that the library itself opens while it works on an array's bytes.

use super::class::{Completion, GuardParams};
use super::fast_path::LockedSlot;
use super::guard::SpareGuard;
use super::locked::Locked;
use super::reach::{check_reachable, is_reachable};
use super::state::{Claim, Guard, GuardedSlot};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView};
use crate::error::Result;
use crate::layout::Layout;
use crate::names::Name;
use crate::slots::{Id, Table};
use crate::stream::Point;
use crate::sys::cpu;
use crate::thread::Thread;
use crate::types::tn_device;

/// An open guard of the library itself. [`InternalGuard::end`] ends it; its drop ends it as failed.
pub struct InternalGuard {
    guard: &'static Guard,
}

impl Locked {
    pub(crate) fn open_internal(
        &mut self,
        spare: SpareGuard,
        params: GuardParams,
        claim: &'static Claim,
    ) -> InternalGuard {
        InternalGuard { guard: self.add_guard(spare, params, claim, claim, None) }
    }

    /// Ends a guard whose ledger is locked. Device work on the bytes continues until `point`.
    pub(crate) fn end_internal_at(&mut self, guard: InternalGuard, failed: bool, point: Option<Point>) {
        self.end_guard_at(guard.guard, failed, point);
        core::mem::forget(guard);
    }
}

impl LockedSlot<Claim> {
    /// Opens a guard on the claim, and unlocks.
    #[inline(always)]
    pub(crate) fn open_internal(mut self, params: GuardParams) -> Option<InternalGuard> {
        self.add_guard(params).map(InternalGuard::of)
    }
}

impl InternalGuard {
    /// For a guard that is open and has no handle.
    pub(super) fn of(guard: &'static Guard) -> InternalGuard {
        InternalGuard { guard }
    }

    /// The bytes for a use by the host, while the guard is open; TN_ERR_DEVICE if the host cannot access them.
    pub(crate) fn host_view(&self) -> Result<HostView<'_>> {
        let layout = self.layout();
        check_reachable(self.device())?;
        // SAFETY: the guard is open and ours: the claim keeps its layout and the store its bytes, and a use
        // in conflict with it is refused. Its offset is an absolute address, of memory that the host can reach.
        Ok(unsafe { HostView::new(layout) })
    }

    /// As [`InternalGuard::host_view`], but None without an error message.
    #[inline]
    pub(crate) fn host_view_if_reachable(&self) -> Option<HostView<'_>> {
        // SAFETY: as in `host_view`.
        is_reachable(self.device()).then(|| unsafe { HostView::new(self.layout()) })
    }

    /// The bytes for `device_copy`, on any device.
    pub(crate) fn memory_view(&self) -> Result<MemoryView<'_>> {
        let memory = Memory::of(self.device(), self.layout())?;
        // SAFETY: as in `host_view`. After the guard's end, the point that it records keeps the bytes for work of a
        // stream.
        Ok(unsafe { MemoryView::new(self.layout(), memory) })
    }

    #[inline]
    pub(crate) fn device(&self) -> tn_device {
        let ledger = self.guard.guarded.ledger().expect("not a head");
        // SAFETY: written before the store had a handle, and not again as long as this guard keeps it.
        unsafe { (&raw const (*ledger.state.get()).device).read() }
    }

    #[inline]
    pub(crate) fn layout(&self) -> &Layout {
        // SAFETY: the open guard has a reference on the claim's layout, which therefore does not change.
        unsafe { &(*(*self.guard.guarded.body.get()).region().guarded().body.get()).layout }
    }

    /// The name of the array through which it was opened.
    pub(crate) fn name(&self) -> Name {
        let locked = self.guard.lock();
        locked.get(locked.get(self.guard).owner()).name
    }

    /// Publishes the guard's handle, which the caller owns.
    pub(crate) fn publish(self) -> Id {
        let id = Table::publish(self.guard);
        core::mem::forget(self);
        id
    }

    /// Passes the open guard to the caller, who ends it with [`Guard::lock`] and [`Locked::end_guard`].
    pub fn into_guard(self) -> &'static Guard {
        let guard = self.guard;
        core::mem::forget(self);
        guard
    }

    /// Sets who completes its end. It has no handle yet.
    pub(crate) fn set_completion(&self, completion: Completion) {
        self.guard.lock().get_mut(self.guard).completion = completion;
    }

    pub(crate) fn guard(&self) -> &'static Guard {
        self.guard
    }

    /// Ends a guard for device work that continues until `point`. Later uses are ordered after it.
    pub fn end_at(self, failed: bool, point: Point) {
        let guard = self.into_guard();
        guard.lock().end_guard_at(guard, failed, Some(point));
    }

    /// Prefetches the cache lines that the end of the guard reads.
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        // SAFETY: as in `layout`; only the address of the claim is taken.
        let claim = unsafe { (*self.guard.guarded.body.get()).region() };
        cpu::prefetch(core::ptr::from_ref(claim));
        self.guard.guarded.ledger().inspect(|ledger| cpu::prefetch(core::ptr::from_ref(*ledger)));
    }

    /// Ends the guard. `failed`: what was written is undefined.
    pub(crate) fn end(self, failed: bool) {
        self.end_on_thread(crate::thread::current(), failed);
    }

    /// As [`InternalGuard::end`], for a caller that has its thread's record.
    pub(crate) fn end_on_thread(self, thread: &'static Thread, failed: bool) {
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
