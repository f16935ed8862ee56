//! One handle and its ledger, locked: the short way, for what happens to most handles most of the time.
//!
//! [`One`] says that its slot is guarded by its ledger, so nothing is checked again; it needs no list of ledgers and leaves nothing to be
//! done after unlocking. Each call here first makes sure that it is the usual case, having changed nothing; if not, it hands the ledger on,
//! still locked, to the general way of [`Locked`], which does the same in every case. `tests/model.rs` compares both with one model.
//!
//! Measured, as a whole: borrow + end takes 19 ns this way and 30 ns the general one, of which 9 are the two locks.

use super::{Books, Claim, Guard, GuardBody, GuardedSlot, Id, Ledger, Locked, Made, SpareGuard, Terms};
use crate::error::Result;
use crate::layout::Layout;
use crate::slots::Table;
use crate::thread::{Critical, Thread};

/// A slot with a handle that is out, and its ledger, locked. Its drop unlocks.
pub struct One<S: GuardedSlot> {
    slot: &'static S,
    ledger: &'static Ledger,
    inside: core::mem::ManuallyDrop<Critical>,
}

/// Locks the ledger of the handle `id`, as [`super::lock`] does.
#[inline(always)]
pub fn lock_one<S: GuardedSlot>(thread: &'static Thread, id: Id) -> Result<One<S>> {
    lock_found(thread, Table::find(id)?, id)
}

/// The same for a slot that [`super::find`] gave a moment ago.
#[inline(always)]
pub fn lock_found<S: GuardedSlot>(thread: &'static Thread, slot: &'static S, id: Id) -> Result<One<S>> {
    if let Some(ledger) = slot.guarded().ledger()
        && let Some(one) = One::lock(thread, slot, ledger, id)
    {
        return Ok(one);
    }
    lock_again(thread, id)
}

/// The handle moved to another ledger, or was released, between its lookup and the lock.
#[cold]
#[inline(never)]
fn lock_again<S: GuardedSlot>(thread: &'static Thread, id: Id) -> Result<One<S>> {
    loop {
        let slot: &'static S = Table::find(id)?;
        // Published slots name a ledger; a slot that is recycled at this moment may name any, and is refused by `lock`.
        if let Some(ledger) = slot.guarded().ledger()
            && let Some(one) = One::lock(thread, slot, ledger, id)
        {
            return Ok(one);
        }
    }
}

impl<S: GuardedSlot> One<S> {
    /// None if the slot is no longer that handle's, or guarded by another ledger.
    #[inline(always)]
    fn lock(thread: &'static Thread, slot: &'static S, ledger: &'static Ledger, id: Id) -> Option<One<S>> {
        let inside = core::mem::ManuallyDrop::new(Critical::enter(thread));
        ledger.lock.lock();
        let one = One { slot, ledger, inside };
        let same = slot.head().is(id) && slot.guarded().ledger().is_some_and(|now| core::ptr::eq(now, ledger));
        same.then_some(one)
    }

    /// The slot.
    #[inline(always)]
    pub fn slot(&self) -> &'static S {
        self.slot
    }

    /// What the slot holds.
    #[inline(always)]
    pub fn body(&self) -> &S::Body {
        // SAFETY: its ledger is locked by us, and `&self` lets no mutable reference be.
        unsafe { &*self.slot.guarded().body.get() }
    }

    /// What the slot holds, and the books of its ledger.
    #[inline(always)]
    fn parts(&mut self) -> (&mut S::Body, &mut Books) {
        // SAFETY: the ledger is locked by us, `&mut self` lets no other reference be, and the two are different memory.
        unsafe { (&mut *self.slot.guarded().body.get(), &mut *self.ledger.books.get()) }
    }

    /// The books of its ledger.
    #[inline(always)]
    pub fn books(&self) -> &Books {
        // SAFETY: the ledger is locked by us, and `&self` lets no mutable reference be.
        unsafe { &*self.ledger.books.get() }
    }

    /// Goes on in the general way.
    #[inline(always)]
    pub fn into_locked(self) -> (Locked, &'static S) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: moved out once, and `this` is not dropped.
        let inside = unsafe { core::ptr::read(&*this.inside) };
        (Locked::of(inside, this.ledger), this.slot)
    }
}

impl<S: GuardedSlot> Drop for One<S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ledger.lock.unlock();
        // SAFETY: dropped once, here.
        unsafe { core::mem::ManuallyDrop::drop(&mut self.inside) };
    }
}

impl One<Claim> {
    /// Opens a guard on the claim and gives it a handle; `visit` sees its layout.
    #[inline(always)]
    pub fn open_guard(mut self, spare: SpareGuard, terms: Terms, visit: impl FnOnce(&Layout)) -> Id {
        let (claim, ledger) = (self.slot, self.ledger);
        let guard = spare.into_guard();
        let made = Made::by(self.inside.thread());
        let (body, books) = self.parts();
        let next = books.guard_list.replace(guard);
        *books.count(terms.class) += 1;
        books.frozen += u32::from(terms.frozen);
        *body.count(terms.class) += 1;
        body.pins += 1;
        if let Some(next) = next {
            // SAFETY: in a list of the ledger, which is locked.
            unsafe { next.guarded().own() }.previous = Some(guard);
        }
        guard.guarded().set_ledger(ledger);
        // SAFETY: taken, and not published yet: ours alone.
        *unsafe { guard.guarded().own() } = GuardBody::whole(claim, terms, made, next);
        visit(&body.layout);
        Table::publish(guard)
    }
}

impl One<Guard> {
    /// Closes a guard, if nothing else ends with it: a reader, or a writer that leaves no poison and heals none, of a handle that still is a
    /// claim. Otherwise the general way has to.
    #[inline(always)]
    pub fn end_guard(mut self, failed: bool) -> core::result::Result<(), Self> {
        let guard = self.slot;
        let thread = self.inside.thread();
        let (body, books) = self.parts();
        let (class, owner) = (body.class, body.owner());
        // SAFETY: the claims of a guard are guarded by its ledger, which is locked; claims and guards are different memory.
        let claim = unsafe { owner.guarded().own() };
        let writes = class == super::Class::Write;
        let usual = (class == super::Class::Read || (writes && !failed && !(body.discard && books.poisoned > 0)))
            && body.group.is_none()
            && claim.counted
            && core::ptr::eq(owner, body.region());
        if !usual {
            return Err(self);
        }
        let (next, previous) = (body.next, body.previous);
        books.frozen -= u32::from(body.frozen);
        books.version += u64::from(writes);
        *books.count(class) -= 1;
        *claim.count(class) -= 1;
        claim.pins -= 1;
        match previous {
            // SAFETY: in a list of the ledger, which is locked; no guard is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => books.guard_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
        Table::free(thread, guard);
        Ok(())
    }
}
