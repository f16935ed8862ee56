//! Free lists of descriptors, in memory of the library's arena.
//!
//! Contract: a descriptor stays mapped until the process ends. A stale reference reads an object of the same type, or
//! zeros, and never an unmapped page. Slabs without a live object can return their pages to the system. No system call
//! runs under the lock. Nothing here calls malloc; the preload library relies on that.

use crate::arena;
use crate::pool::lock::Lock;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// An object with room for a link while no thread uses it.
///
/// # Safety
/// - memory that is all zero is a valid object;
/// - nothing else uses the link while the object lies in a [`Recycler`].
pub(super) unsafe trait Recycled: Sync + 'static {
    fn link(&self) -> &AtomicPtr<Self>
    where
        Self: Sized;
}

/// Bytes of a slab. The objects of one type share slabs, so that a slab whose objects are all free can lose its
/// pages.
const SLAB_BYTES: usize = 64 << 10;

/// A slab that lost its pages.
#[derive(Debug, Default)]
struct Vacant {
    start: AtomicUsize,
    next: AtomicPtr<Vacant>,
    recycled: AtomicPtr<Vacant>,
}

// SAFETY: zero is valid, and `recycled` serves the list only.
unsafe impl Recycled for Vacant {
    fn link(&self) -> &AtomicPtr<Vacant> {
        &self.recycled
    }
}

static VACANT: Recycler<Vacant> = Recycler::new();

/// Free list of objects of one type and size: returned objects, newest first, then objects that were never used. They
/// stay valid objects: a stale reference reads one, or zeros, which are one too.
pub(super) struct Recycler<T: Recycled> {
    lists: Lock<Lists<T>>,
}

struct Lists<T: Recycled> {
    free: Option<&'static T>,
    /// The first object of the current slab that was never used; 0: none is left.
    next: usize,
    vacant: Option<&'static Vacant>,
}

fn link<T: Recycled>(object: &T) -> Option<&'static T> {
    // SAFETY: set by `set_link` only, to an object of this arena or to NULL.
    unsafe { object.link().load(Ordering::Relaxed).as_ref() }
}

fn set_link<T: Recycled>(object: &T, next: Option<&'static T>) {
    let next = next.map_or(core::ptr::null_mut(), |next| core::ptr::from_ref(next).cast_mut());
    object.link().store(next, Ordering::Relaxed);
}

fn slab_of<T>(object: &'static T) -> usize {
    core::ptr::from_ref(object) as usize / SLAB_BYTES * SLAB_BYTES
}

impl<T: Recycled> Lists<T> {
    /// An object of `bytes` that needs no system call.
    fn take(&mut self, bytes: usize) -> Option<&'static T> {
        if let Some(object) = self.free {
            self.free = link(object);
            return Some(object);
        }
        if self.next == 0 {
            let vacant = self.vacant?;
            // SAFETY: NULL or a record of this arena.
            self.vacant = unsafe { vacant.next.load(Ordering::Relaxed).as_ref() };
            self.next = vacant.start.load(Ordering::Relaxed);
            VACANT.put(vacant);
        }
        Some(self.cut(bytes))
    }

    /// The next unused object of the slab.
    fn cut(&mut self, bytes: usize) -> &'static T {
        let at = self.next;
        let next = at + bytes;
        // An object never crosses the end of its slab. At the end of the slab `next` becomes 0.
        self.next = if next % SLAB_BYTES + bytes > SLAB_BYTES || next.is_multiple_of(SLAB_BYTES) { 0 } else { next };
        // SAFETY: zeroed memory of this recycler's slab, large enough and aligned, never unmapped; zero is a valid T
        // (`Recycled`).
        unsafe { &*(at as *const T) }
    }
}

impl<T: Recycled> Recycler<T> {
    pub const fn new() -> Recycler<T> {
        Recycler { lists: Lock::new(Lists { free: None, next: 0, vacant: None }) }
    }
    /// A free object: a returned one as it was left, else one that is all zero. None: no memory.
    pub fn get(&self) -> Option<&'static T> {
        self.get_sized(size_of::<T>())
    }
    /// As `get`, with `bytes` in all, which are zero in a new object. `bytes` never changes for one recycler.
    pub fn get_sized(&self, bytes: usize) -> Option<&'static T> {
        let bytes = bytes.next_multiple_of(align_of::<T>());
        debug_assert!(bytes >= size_of::<T>() && bytes <= SLAB_BYTES);
        if let Some(object) = self.lists.lock().take(bytes) {
            return Some(object);
        }
        self.get_from_slab(bytes)
    }

    /// An object of a new slab.
    #[cold]
    #[inline(never)]
    fn get_from_slab(&self, bytes: usize) -> Option<&'static T> {
        let slab = arena::take(SLAB_BYTES, SLAB_BYTES)?.as_ptr().addr();
        let mut lists = self.lists.lock();
        if lists.next == 0 {
            lists.next = slab;
            return Some(lists.cut(bytes));
        }
        // Another thread brought a slab meanwhile. Ours is kept for later if a record is left to note it.
        let object = lists.take(bytes);
        drop(lists);
        if let Some(record) = VACANT.get() {
            self.keep_vacant(slab, record);
        }
        object
    }
    /// Returns an object that only the caller uses.
    pub fn put(&self, object: &'static T) {
        let mut lists = self.lists.lock();
        set_link(object, lists.free);
        lists.free = Some(object);
    }

    /// Keeps a slab without pages for later.
    fn keep_vacant(&self, slab: usize, vacant: &'static Vacant) {
        vacant.start.store(slab, Ordering::Relaxed);
        let mut lists = self.lists.lock();
        let next = lists.vacant.map_or(core::ptr::null_mut(), |next| core::ptr::from_ref(next).cast_mut());
        vacant.next.store(next, Ordering::Relaxed);
        lists.vacant = Some(vacant);
    }

    /// Gives the pages of a slab back to the system; none of its objects is in a list. False: nothing changed.
    fn empty(&self, slab: usize) -> bool {
        let Some(record) = VACANT.get() else { return false };
        // SAFETY: the slab has free objects only, and readers without a lock accept zeros.
        if !unsafe { os::discard(slab, SLAB_BYTES) } {
            VACANT.put(record);
            return false;
        }
        self.keep_vacant(slab, record);
        true
    }

    /// Gives the pages of slabs back whose objects are all free. `bytes` as in `get_sized`. Takes no lock around
    /// system calls.
    pub fn vacate(&self, bytes: usize) {
        let bytes = bytes.next_multiple_of(align_of::<T>());
        let (free, next) = {
            let mut lists = self.lists.lock();
            (lists.free.take(), core::mem::take(&mut lists.next))
        };
        let (mut list, mut kept, mut last) = (sorted(free), None::<&'static T>, None::<&'static T>);
        let mut rest = next;
        while let Some(first) = list {
            let slab = slab_of(first);
            let (mut end, mut count) = (first, 1);
            while let Some(object) = link(end).filter(|&object| slab_of(object) == slab) {
                (end, count) = (object, count + 1);
            }
            list = link(end);
            let is_rest = next != 0 && next / SLAB_BYTES * SLAB_BYTES == slab;
            let made = if is_rest { (next - slab) / bytes } else { SLAB_BYTES / bytes };
            if count == made && self.empty(slab) {
                rest = if is_rest { 0 } else { rest };
                continue;
            }
            set_link(end, kept);
            kept = Some(first);
            last = last.or(Some(end));
        }
        let mut lists = self.lists.lock();
        if let Some(last) = last {
            set_link(last, lists.free);
            lists.free = kept;
        }
        // Else another thread has begun a slab meanwhile, and the addresses of this one are lost.
        if lists.next == 0 {
            lists.next = rest;
        }
    }
}

/// The list sorted by address, lowest first.
fn sorted<T: Recycled>(list: Option<&'static T>) -> Option<&'static T> {
    // bins[i]: a sorted list of 2^i objects, or none.
    let mut bins = [None; 48];
    let mut next = list;
    while let Some(object) = next {
        next = link(object);
        set_link(object, None);
        let (mut carry, mut bin) = (Some(object), 0);
        while let Some(other) = bins[bin].take() {
            carry = merged(Some(other), carry);
            bin += 1;
        }
        bins[bin] = carry;
    }
    bins.into_iter().fold(None, merged)
}

fn merged<T: Recycled>(mut a: Option<&'static T>, mut b: Option<&'static T>) -> Option<&'static T> {
    let (mut first, mut last) = (None::<&'static T>, None::<&'static T>);
    let mut append = |object: &'static T| {
        match last {
            Some(last) => set_link(last, Some(object)),
            None => first = Some(object),
        }
        last = Some(object);
    };
    while let (Some(x), Some(y)) = (a, b) {
        if core::ptr::from_ref(x) < core::ptr::from_ref(y) {
            append(x);
            a = link(x);
        } else {
            append(y);
            b = link(y);
        }
    }
    // The remainder is linked already.
    if let Some(rest) = a.or(b) {
        append(rest);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU8;

    struct Thing(AtomicPtr<Thing>, [AtomicU8; 1000]);
    // SAFETY: zeros are valid, and the link has no other use.
    unsafe impl Recycled for Thing {
        fn link(&self) -> &AtomicPtr<Self> {
            &self.0
        }
    }

    #[test]
    fn what_is_put_back_is_got_again() {
        let things = Recycler::<Thing>::new();
        let (a, b) = (things.get().unwrap(), things.get().unwrap());
        assert!(!core::ptr::eq(a, b));
        things.put(a);
        assert!(core::ptr::eq(things.get().unwrap(), a));
    }

    fn is(thing: &Thing, value: u8) -> bool {
        thing.1.iter().all(|byte| byte.load(Ordering::Relaxed) == value)
    }

    #[test]
    fn slabs_of_free_objects_lose_their_pages_and_serve_again() {
        let things = Recycler::<Thing>::new();
        let per_slab = SLAB_BYTES / size_of::<Thing>();
        for round in 0..4 {
            let mut all: Vec<_> = (0..5 * per_slab + 7).map(|_| things.get().unwrap()).collect();
            let mut places: Vec<_> = all.iter().map(|thing| core::ptr::from_ref(*thing) as usize).collect();
            places.sort_unstable();
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= size_of::<Thing>()), "no two overlap");
            let slabs = places.iter().map(|at| at / SLAB_BYTES).collect::<std::collections::BTreeSet<_>>().len();
            assert!(slabs <= 6 + 1, "round {round}: {slabs} slabs");
            all.iter().for_each(|thing| thing.1.iter().for_each(|byte| byte.store(7, Ordering::Relaxed)));
            // In another order. One object stays, and its slab with it.
            let at = round * 31;
            all.rotate_left(at);
            let stays = all.swap_remove(at);
            all.iter().for_each(|thing| things.put(thing));
            things.vacate(size_of::<Thing>());
            assert!(is(stays, 7));
            let zero = all.iter().filter(|thing| is(thing, 0)).count();
            assert!(zero >= 4 * per_slab, "round {round}: {zero} of {} lost their pages", all.len());
            assert!(all.iter().all(|&thing| slab_of(thing) != slab_of(stays) || is(thing, 7)));
            things.put(stays);
            things.vacate(size_of::<Thing>());
            assert!(is(stays, 0));
            assert!(things.lists.lock().free.is_none());
        }
    }
}
