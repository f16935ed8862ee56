//! Weak handles: slots with a layout and without a claim.

use super::origin::Origin;
use super::state::{Guarded, GuardedSlot, Lease, Root};
use crate::layout::{Form, Layout};
use crate::names::Name;
use crate::slots::{Head, Kind, Slot, Spare, Table};
use crate::thread::Thread;

/// A weak handle, in a slot.
pub struct Weak {
    pub(super) head: Head,
    pub(super) guarded: Guarded<WeakBody>,
}

/// The contents of a weak handle. If its ledger has been recycled, `epoch` differs.
pub struct WeakBody {
    /// Next in a chain of dead slots.
    pub(super) next: Option<&'static Weak>,
    pub(super) layout: Layout,
    pub(super) root: Option<&'static Root>,
    pub(super) readonly: bool,
    pub(super) form: Form,
    pub(super) lease: Option<(&'static Lease, u32)>,
    pub(super) epoch: u64,
    pub(crate) name: Name,
    pub(crate) origin: Origin,
}

impl Slot for Weak {
    const KIND: Kind = Kind::Weak;
    fn new(head: Head) -> Weak {
        let body = WeakBody {
            next: None,
            layout: Layout::EMPTY,
            root: None,
            readonly: false,
            form: Form::Full,
            lease: None,
            epoch: 0,
            name: Name::NONE,
            origin: Origin::default(),
        };
        Weak { head, guarded: Guarded::new(body) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
    fn discard(&'static self, thread: &'static Thread) {
        self.reset(thread);
    }
}

impl GuardedSlot for Weak {
    type Body = WeakBody;
    fn guarded(&self) -> &Guarded<WeakBody> {
        &self.guarded
    }
}

/// A weak slot that is not published yet.
pub type SpareWeak = Spare<Weak>;

impl SpareWeak {
    /// The layout of the weak handle to be.
    pub(crate) fn layout(&mut self) -> &mut Layout {
        // SAFETY: not published, in no list: the slot is ours alone.
        &mut unsafe { self.slot().guarded.own() }.layout
    }
}

impl Weak {
    /// Frees the slot, to which only the caller refers, and returns the next of the chain.
    pub(super) fn reset(&'static self, thread: &'static Thread) -> Option<&'static Weak> {
        // SAFETY: its handle is stale and it is in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        body.layout = Layout::EMPTY;
        let next = body.next.take();
        Table::free(thread, self);
        next
    }
}
