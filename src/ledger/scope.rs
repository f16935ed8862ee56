//! Scopes: lists of the handles that one call of `enter` made, to be released together.
//!
//! The handles of a scope belong to several stores, so a scope has a lock of its own, which comes before the locks of
//! ledgers. A scope ends under its lock, so that exactly one caller gets the list. The memory of the list is reserved
//! before the handles are made, so the end of a scope allocates nothing.

use super::origin::Origin;
use crate::error::{Result, fail};
use crate::lists::reserve;
use crate::slots::{Head, Id, Kind, Slot, Spare, State, Table};
use crate::sys::lock::RawLock;
use crate::sys::sync::Watch;
use crate::thread::{self, CriticalSection, Thread};
use crate::types::*;
use core::cell::UnsafeCell;
use smallvec::SmallVec;

/// The handles of a scope, in the order of its parameters; a short list needs no allocation.
pub type Handles = SmallVec<[Id; 8]>;

/// A scope, in a slot: Live while it is entered.
pub struct Scope {
    head: Head,
    lock: RawLock,
    body: UnsafeCell<ScopeBody>,
    watch: Watch,
}

struct ScopeBody {
    handles: Handles,
    origin: Origin,
}

// SAFETY: the body is reached under the lock, or by the only thread that knows the slot.
unsafe impl Sync for Scope {}

impl Slot for Scope {
    const KIND: Kind = Kind::Scope;
    fn new(head: Head) -> Scope {
        let body = ScopeBody { handles: Handles::new(), origin: Origin::default() };
        Scope { head, lock: RawLock::new(), body: UnsafeCell::new(body), watch: Watch::new() }
    }
    fn head(&self) -> &Head {
        &self.head
    }
    fn discard(&'static self, thread: &'static Thread) {
        self.watch.write();
        // SAFETY: not published: the slot is ours alone.
        unsafe { &mut *self.body.get() }.handles = Handles::new();
        Table::free(thread, self);
    }
}

/// A scope slot that is not published yet.
pub type SpareScope = Spare<Scope>;

impl Scope {
    /// Takes a slot with a capacity of `n` handles; outside of locks.
    pub(crate) fn spare(thread: &'static Thread, n: usize) -> Result<SpareScope> {
        let mut spare = SpareScope::take(thread)?;
        reserve(&mut spare.body().handles, n)?;
        Ok(spare)
    }
}

impl SpareScope {
    fn body(&mut self) -> &mut ScopeBody {
        self.slot().watch.write();
        // SAFETY: not published: the slot is ours alone.
        unsafe { &mut *self.slot().body.get() }
    }

    /// Adds a handle, within the capacity.
    pub(crate) fn push(&mut self, id: Id) {
        debug_assert!(self.body().handles.len() < self.body().handles.capacity(), "room was reserved");
        self.body().handles.push(id);
    }

    /// The handles that were pushed, to be replaced one by one.
    pub(crate) fn handles(&mut self) -> &mut [Id] {
        &mut self.body().handles
    }

    /// Publishes the handle of the scope.
    pub(crate) fn publish(mut self) -> Id {
        self.body().origin = Origin { site: self.thread().site(), thread: self.thread().number() };
        Table::publish(self.into_slot())
    }
}

/// A locked scope, which is entered.
pub struct LockedScope {
    scope: &'static Scope,
    id: Id,
    inside: CriticalSection,
}

/// Locks a scope that is entered; TN_ERR_STALE or TN_ERR_KIND for any other handle.
pub fn lock_scope(id: Id) -> Result<LockedScope> {
    let scope = Table::<Scope>::find(id)?;
    let inside = CriticalSection::enter(thread::current());
    scope.lock.lock();
    let locked = LockedScope { scope, id, inside };
    if scope.head.is(id) {
        return Ok(locked);
    }
    drop(locked);
    Err(fail(TN_ERR_STALE, format_args!("the tn_scope {id} was left already")))
}

impl LockedScope {
    /// Its handles, some of which may be released.
    pub(crate) fn handles(&self) -> &[Id] {
        self.scope.watch.read();
        // SAFETY: we have the lock, and the only `&mut` is made by `end`, which consumes us.
        unsafe { &(*self.scope.body.get()).handles }
    }

    /// Ends the scope, whose handle is stale from now on, and returns its list.
    pub(crate) fn end(self) -> Handles {
        let (scope, thread) = (self.scope, self.inside.thread());
        debug_assert!(scope.head.is(self.id), "entered, as we saw under its lock");
        scope.head.make_stale(State::Kept);
        scope.watch.write();
        // SAFETY: we have the lock, and no handle leads to the slot any more.
        let body = unsafe { &mut *scope.body.get() };
        let handles = core::mem::take(&mut body.handles);
        drop(self);
        Table::free(thread, scope);
        handles
    }
}

impl Drop for LockedScope {
    fn drop(&mut self) {
        self.scope.lock.unlock();
    }
}

/// Calls `visit` with every scope that is entered: its handle, and where it was made.
pub fn each_scope(mut visit: impl FnMut(Id, Origin)) {
    Table::<Scope>::each(|scope| {
        if scope.head.state() == State::Live
            && let Ok(locked) = lock_scope(scope.id())
        {
            scope.watch.read();
            // SAFETY: under the lock; copied out before anything else runs.
            let body = unsafe { &*scope.body.get() };
            let (id, origin) = (locked.id, body.origin);
            drop(locked);
            visit(id, origin);
        }
    });
}
