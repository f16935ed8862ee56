//! Counted objects: what a handle and the running calls on it share, in the slot of the handle.
//!
//! Contract: the handle and each [`Ref`] are a reference. An object does not move and is not replaced while it has one.
//! [`Object::end`] gets it from whoever drops the last reference, under no lock, so a call may release the handle that
//! it works on. Any thread.

use crate::error::Result;
use crate::slots::{self, Head, Id, Kind, Slot, State, Table};
use crate::sys::sync::atomic::{AtomicU32, Ordering};
use crate::thread::{self, ColdLock};
use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};

/// A type of counted objects.
pub trait Object: Sized + Send + Sync + 'static {
    /// The kind of their handles.
    const KIND: Kind;
    /// What a slot has beside its object, and keeps while it has none. It can be reached without a reference.
    type Beside: Default + Send + Sync + 'static;
    /// Ends an object without references.
    fn end(last: Last<Self>);
}

/// A slot for an object.
pub struct Counted<T: Object> {
    head: Head,
    /// The handle, and each [`Ref`].
    refs: AtomicU32,
    /// Held during a visit without a reference. The end of an object waits for it.
    visit: ColdLock<()>,
    /// Written while there is no reference.
    object: UnsafeCell<MaybeUninit<T>>,
    beside: T::Beside,
}

// SAFETY: the object is Send and Sync. It is written by one thread, while there is no reference.
unsafe impl<T: Object> Sync for Counted<T> {}

impl<T: Object> Slot for Counted<T> {
    const KIND: Kind = T::KIND;
    fn new(head: Head) -> Counted<T> {
        Counted {
            head,
            refs: AtomicU32::new(0),
            visit: ColdLock::new(()),
            object: UnsafeCell::new(MaybeUninit::uninit()),
            beside: T::Beside::default(),
        }
    }
    #[inline]
    fn head(&self) -> &Head {
        &self.head
    }
}

impl<T: Object> Counted<T> {
    /// What stands beside the object, now and later.
    #[inline]
    pub fn beside(&self) -> &T::Beside {
        &self.beside
    }

    /// Adds a reference. None: there is no object. It may be another one than the caller's handle names.
    #[inline]
    fn add_ref(&'static self) -> Option<Ref<T>> {
        let add = |refs: u32| refs.checked_add(1).filter(|_| refs > 0);
        // Acquire pairs with the Release in `create`.
        self.refs.fetch_update(Ordering::Acquire, Ordering::Relaxed, add).ok()?;
        Some(Ref(self))
    }

    #[inline]
    fn drop_ref(&'static self) {
        // The end of the object comes after all uses by other references.
        if self.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Later visits find no reference.
            drop(self.visit.lock());
            T::end(Last(self));
        }
    }

    /// The object.
    ///
    /// # Safety
    /// - There is a reference, or a [`Last`], as long as the result is used.
    #[inline]
    unsafe fn object(&self) -> &T {
        // SAFETY: written by `create` before the first reference, and not again while there is one.
        unsafe { (*self.object.get()).assume_init_ref() }
    }
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release<T: Object>(id: Id) -> Result<()> {
    thread::current(); // what can fail comes before the handle ends
    let slot = Table::<Counted<T>>::find(id)?;
    if !slot.head.end(id) {
        return Err(slots::stale(id, T::KIND));
    }
    slot.drop_ref();
    Ok(())
}

/// Calls `visit` with each object.
pub fn each<T: Object>(mut visit: impl FnMut(&T)) {
    Table::<Counted<T>>::each(|slot| slot.add_ref().into_iter().for_each(|object| visit(&object)));
}

/// Calls `visit` with each object whose handle is not released. Adds no reference, so that none ends here.
pub fn each_open<T: Object>(mut visit: impl FnMut(Id, &T)) {
    Table::<Counted<T>>::each(|slot| {
        let _visit = slot.visit.lock();
        let id = slot.id();
        if slot.refs.load(Ordering::Acquire) > 0 && slot.head.is_live(id) {
            // SAFETY: there was a reference, and the end of the object waits for `_visit`.
            visit(id, unsafe { slot.object() });
        }
    });
}

/// A reference on an object.
pub struct Ref<T: Object>(&'static Counted<T>);

impl<T: Object> Ref<T> {
    /// A new object. [`Ref::publish`] gives it a handle. After a failure the object is dropped, and not ended.
    pub fn create(object: T) -> Result<Ref<T>> {
        let slot: &'static Counted<T> = Table::take(thread::current())?;
        // SAFETY: taken, without a reference: ours alone.
        unsafe { (*slot.object.get()).write(object) };
        slot.refs.store(1, Ordering::Release);
        slot.head.set_state(State::Kept);
        Ok(Ref(slot))
    }

    /// Gives a new object its handle, which the caller owns.
    pub fn publish(&self) -> Id {
        core::mem::forget(self.clone());
        Table::publish(self.0)
    }

    /// The object of a handle. TN_ERR_STALE, TN_ERR_KIND.
    #[inline]
    pub fn find(id: Id) -> Result<Ref<T>> {
        thread::current(); // what can fail comes before the reference, whose drop may end the object
        let slot = Table::<Counted<T>>::find(id)?;
        // A reference that was added to another object is dropped again.
        slot.add_ref().filter(|_| slot.head.is(id)).ok_or_else(|| slots::stale(id, T::KIND))
    }

    /// The object in the slot of a handle, which may be stale. So it may be another object.
    pub fn guess(id: Id) -> Option<Ref<T>> {
        Table::<Counted<T>>::guess(id)?.add_ref()
    }

    /// The bits of the handle, until that is released.
    #[inline]
    pub fn id(&self) -> Id {
        self.0.id()
    }

    /// Whether the handle was released.
    pub fn is_released(&self) -> bool {
        self.0.head.state() != State::Live
    }

    /// What stands beside the object.
    #[inline]
    pub fn beside(&self) -> &T::Beside {
        &self.0.beside
    }
}

impl<T: Object> Clone for Ref<T> {
    fn clone(&self) -> Ref<T> {
        self.0.refs.fetch_add(1, Ordering::Relaxed);
        Ref(self.0)
    }
}

impl<T: Object> Deref for Ref<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is a reference.
        unsafe { self.0.object() }
    }
}

impl<T: Object> Drop for Ref<T> {
    #[inline]
    fn drop(&mut self) {
        self.0.drop_ref();
    }
}

/// An object without references, which only its owner reaches. Its drop drops the object and frees the slot.
pub struct Last<T: Object>(&'static Counted<T>);

impl<T: Object> Last<T> {
    /// Frees the slot.
    pub fn into_inner(self) -> T {
        let slot = ManuallyDrop::new(self).0;
        // SAFETY: there is an object, and it is read once, because the drop was forgotten.
        let object = unsafe { (*slot.object.get()).assume_init_read() };
        Table::free(thread::current(), slot);
        object
    }

    /// What stands beside the object.
    pub fn beside(&self) -> &T::Beside {
        &self.0.beside
    }
}

impl<T: Object> Deref for Last<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this is the `Last`.
        unsafe { self.0.object() }
    }
}

impl<T: Object> DerefMut for Last<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is an object, and nobody else reaches it.
        unsafe { (*self.0.object.get()).assume_init_mut() }
    }
}

impl<T: Object> Drop for Last<T> {
    fn drop(&mut self) {
        // SAFETY: there is an object, and nobody else reaches it. The slot gets another one before it is read again.
        unsafe { (*self.0.object.get()).assume_init_drop() };
        Table::free(thread::current(), self.0);
    }
}
