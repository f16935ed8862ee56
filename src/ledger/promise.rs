//! Promises, which pass a claim on, and weak handles, which have none.

use super::claim::Root;
use super::{Claim, Guarded, GuardedSlot, Lease, Ledger, Locked, Origin};
use crate::error::Result;
use crate::layout::Layout;
use crate::names::Name;
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::thread::Thread;

/// A promise, in a slot: Live while outstanding, Spent once used up or cancelled.
pub struct Promise {
    head: Head,
    guarded: Guarded<PromiseBody>,
}

/// What a promise's ledger guards: the ledger of its claim, which cannot move while the promise is outstanding.
pub struct PromiseBody {
    next: Option<&'static Promise>,
    /// None once it is used up.
    pub(super) claim: Option<&'static Claim>,
    /// Where it was made.
    pub made: Origin,
}

impl PromiseBody {
    /// The first promise of a claim.
    #[inline(always)]
    pub(super) fn of(claim: &'static Claim, made: Origin) -> PromiseBody {
        PromiseBody { next: None, claim: Some(claim), made }
    }
}

impl Slot for Promise {
    const KIND: Kind = Kind::Promise;
    fn new(head: Head) -> Promise {
        Promise { head, guarded: Guarded::new(PromiseBody { next: None, claim: None, made: Origin::default() }) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Promise {
    type Body = PromiseBody;
    fn guarded(&self) -> &Guarded<PromiseBody> {
        &self.guarded
    }
}

impl Promise {
    /// The bits of its handle.
    pub fn id(&'static self) -> Id {
        Slot::id(self)
    }
    /// Gives the slot of a promise that is not outstanding back.
    pub fn free(&'static self, locked: &Locked) {
        Table::free(locked.thread(), self);
    }
}

/// A taken promise slot that is nobody's yet.
pub struct SparePromise {
    promise: &'static Promise,
    thread: &'static Thread,
    used: bool,
}

impl SparePromise {
    /// Takes a slot; outside of locks.
    pub fn take(thread: &'static Thread) -> Result<SparePromise> {
        Ok(SparePromise { promise: Table::take(thread)?, thread, used: false })
    }
}

impl Drop for SparePromise {
    fn drop(&mut self) {
        if !self.used {
            Table::free(self.thread, self.promise);
        }
    }
}

impl Locked {
    /// One more promise of the claim is outstanding.
    pub fn add_promise(&mut self, claim: &'static Claim, mut spare: SparePromise) -> Id {
        spare.used = true;
        let promise = spare.promise;
        let made = self.made();
        let body = self.get_mut(claim);
        body.given += 1;
        let next = body.promises.replace(promise);
        promise.guarded.set_ledger(self.ledger_of(claim));
        *self.get_mut(promise) = PromiseBody { next, claim: Some(claim), made };
        Table::publish(promise)
    }

    /// The claim that an outstanding promise passes on.
    pub fn promised(&self, promise: &'static Promise) -> &'static Claim {
        self.get(promise).claim.expect("outstanding promises have a claim")
    }

    /// The promise is used up: no longer outstanding, its handle still to be released. The claim is not looked at further.
    pub fn spend_promise(&mut self, promise: &'static Promise) {
        let claim = self.promised(promise);
        let after = self.get(promise).next;
        let mut at = self.get(claim).promises;
        if at.is_some_and(|first| core::ptr::eq(first, promise)) {
            self.get_mut(claim).promises = after;
        } else {
            while let Some(other) = at {
                at = self.get(other).next;
                if at.is_some_and(|next| core::ptr::eq(next, promise)) {
                    self.get_mut(other).next = after;
                    break;
                }
            }
        }
        let body = self.get_mut(promise);
        body.next = None;
        body.claim = None;
        self.get_mut(claim).given -= 1;
        promise.head.set_state(State::Spent);
    }

    /// No promise of the claim is outstanding any more: its handle is live again, or, if that was released, the claim ends.
    pub fn ungive(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        debug_assert_eq!(self.get(claim).given, 0);
        self.get_mut(claim).required = 0;
        if claim.head().state() == State::Kept {
            self.unlink(claim);
            self.relax(claim);
            self.collect(claim);
            self.settle(ledger);
        }
    }

    /// The claim passes to `spare`, with layout, root, lease, name and READONLY; H is unchanged. The old handle, if it is still out,
    /// is destructed and remembers who took it, and whether by entering a scope. `spare`'s layout has room for it.
    pub fn pass_claim(&mut self, claim: &'static Claim, spare: super::claim::Spare, entered: bool) -> Id {
        let ledger = self.ledger_of(claim);
        let made = self.made();
        let id = self.copy_claim(claim, spare);
        self.unlink(claim);
        let body = self.get_mut(claim);
        body.required = 0;
        body.made = made;
        body.entered = entered;
        if claim.head().state() == State::Kept {
            self.relax(claim);
            self.collect(claim);
        } else {
            claim.head().set_state(State::Spent);
            // What an export needs of a lease it has itself; exports and records may still need layout and root.
            self.let_go(claim);
            if self.get(claim).pins == 0 {
                self.drop_root(claim);
            }
        }
        self.settle(ledger);
        id
    }

    /// `spare` becomes a clone of the claim: H + 1. Its layout has room for it.
    pub fn copy_claim(&mut self, claim: &'static Claim, mut spare: super::claim::Spare) -> Id {
        let ledger = self.ledger_of(claim);
        let made = self.made();
        self.share_root(claim, &mut spare);
        let from = self.get(claim);
        let to = spare.body();
        let fits = to.copy(from);
        assert!(fits, "the caller has made room");
        to.made = made;
        let lease = from.lease;
        self.add_claim(ledger, spare, lease)
    }

    /// The outstanding promises of a claim.
    pub fn each_promise(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Promise)) {
        let mut at = self.get(claim).promises;
        while let Some(promise) = at {
            visit(promise);
            at = self.get(promise).next;
        }
    }
}

/// A weak handle, in a slot.
pub struct Weak {
    head: Head,
    guarded: Guarded<WeakBody>,
}

/// What a weak handle's ledger guards. The ledger may have been recycled meanwhile; `epoch` tells.
pub struct WeakBody {
    /// Next of a chain of dead ones.
    pub(super) next: Option<&'static Weak>,
    layout: Layout,
    root: Option<&'static Root>,
    readonly: bool,
    lease: Option<(&'static Lease, u32)>,
    epoch: u64,
    /// Name of the array.
    pub name: Name,
    /// Where it was made.
    pub made: Origin,
}

impl Slot for Weak {
    const KIND: Kind = Kind::Weak;
    fn new(head: Head) -> Weak {
        let body = WeakBody {
            next: None,
            layout: Layout::EMPTY,
            root: None,
            readonly: false,
            lease: None,
            epoch: 0,
            name: Name::NONE,
            made: Origin::default(),
        };
        Weak { head, guarded: Guarded::new(body) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Weak {
    type Body = WeakBody;
    fn guarded(&self) -> &Guarded<WeakBody> {
        &self.guarded
    }
}

/// A taken weak slot that is nobody's yet.
pub struct SpareWeak {
    weak: &'static Weak,
    thread: &'static Thread,
    used: bool,
}

impl SpareWeak {
    /// Takes a slot; outside of locks.
    pub fn take(thread: &'static Thread) -> Result<SpareWeak> {
        Ok(SpareWeak { weak: Table::take(thread)?, thread, used: false })
    }
    /// The layout of the weak handle to be.
    pub fn layout(&mut self) -> &mut Layout {
        // SAFETY: not published, in no list: the slot is ours alone.
        &mut unsafe { self.weak.guarded.own() }.layout
    }
}

impl Drop for SpareWeak {
    fn drop(&mut self) {
        if !self.used {
            *self.layout() = Layout::EMPTY;
            Table::free(self.thread, self.weak);
        }
    }
}

impl Locked {
    /// A weak handle of the claim, whose layout has been copied into `spare` before.
    pub fn add_weak(&mut self, claim: &'static Claim, mut spare: SpareWeak) -> Id {
        spare.used = true;
        let weak = spare.weak;
        let ledger = self.ledger_of(claim);
        let made = self.made();
        let epoch = self.books(ledger).epoch;
        let root = self.get(claim).root;
        if let Some(root) = root {
            self.use_root(root);
        }
        let (readonly, name, lease) = {
            let body = self.get(claim);
            (body.readonly, body.name, body.lease.map(|lease| (lease, lease.epoch())))
        };
        weak.guarded.set_ledger(ledger);
        let body = self.get_mut(weak);
        body.root = root;
        body.readonly = readonly;
        body.lease = lease;
        body.epoch = epoch;
        body.name = name;
        body.made = made;
        Table::publish(weak)
    }

    /// The layout that a weak handle remembers.
    pub fn weak_layout(&self, weak: &'static Weak) -> &Layout {
        &self.get(weak).layout
    }

    /// A new claim with what the weak handle remembers; `spare`'s layout has been set. None if the store has had no claim since, or
    /// the import that the handle descended from has ended.
    pub fn upgrade(&mut self, weak: &'static Weak, mut spare: super::claim::Spare) -> Option<Id> {
        let ledger = self.ledger_of(weak);
        let body = self.get(weak);
        let (root, readonly, lease, epoch, name) = (body.root, body.readonly, body.lease, body.epoch, body.name);
        let books = self.books(ledger);
        let there = books.claims > 0 && books.epoch == epoch && ledger.is_alive();
        if !there || lease.is_some_and(|(lease, epoch)| lease.epoch() != epoch || self.is_over(lease)) {
            return None;
        }
        if let Some(root) = root {
            self.use_root(root);
        }
        let made = self.made();
        let to = spare.body();
        to.root = root;
        to.readonly = readonly;
        to.name = name;
        to.made = made;
        Some(self.add_claim(ledger, spare, lease.map(|(lease, _)| lease)))
    }

    /// Gives a weak handle back.
    pub fn release_weak(&mut self, weak: &'static Weak) {
        if let Some(root) = self.get_mut(weak).root.take() {
            self.drop_root_use(root);
        }
        self.get_mut(weak).lease = None;
        weak.head.make_stale(State::Kept);
        let chain = self.after.weaks;
        self.get_mut(weak).next = chain;
        self.after.weaks = Some(weak);
    }
}

impl Weak {
    /// Gives the slot back; nobody knows it any more. Returns the next of the chain.
    pub(super) fn reset(&'static self, thread: &'static Thread) -> Option<&'static Weak> {
        // SAFETY: its handle is stale and it is in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        body.layout = Layout::EMPTY;
        let next = body.next.take();
        Table::free(thread, self);
        next
    }
}

impl Ledger {
    /// Whether the store is there: a ledger that is dead or recycled to nothing has none.
    pub fn is_alive(&self) -> bool {
        self.head.state() == State::Kept
    }
}
