//! Holds on pools, and the end: the last hold retires a pool, and with its last block it is over (PO-6).

use crate::pool::registry::park;
use crate::pool::requests::Open;
use crate::pool::state::stream_lists::Ordered;
use crate::pool::{Pool, thread_heap};
use crate::sys::os;
use crate::thread;

impl Pool {
    /// One more hold. The caller has one already, or knows of a live block.
    pub fn hold(&'static self) {
        self.books.lock().holds += 1;
    }

    /// One more hold, unless the last one went before.
    pub fn try_hold(&'static self) -> bool {
        let mut books = self.books.lock();
        books.holds += !books.retired as u64;
        !books.retired
    }

    /// Ends a hold. With the last one the pool is retired (PO-6).
    pub fn drop_hold(&'static self) {
        let mut books = self.books.lock();
        debug_assert!(books.holds > 0);
        books.holds -= 1;
        if books.holds == 0 {
            books.retired = true;
            if books.heaps.is_some() {
                books = self.unlocked(books, || thread_heap::end_all(self)).0;
            }
            books.sort_returned(self);
            if books.ordered.is_some() {
                books = self.unlocked(books, || self.ask_all()).0;
            }
            if books.listeners.is_some() {
                books = self.unlocked(books, || self.end_pressure()).0;
            }
            self.settle(books, 0);
        }
    }

    /// Handles, threads and the library itself that hold it.
    pub fn holds(&self) -> u64 {
        self.books.lock().holds
    }

    /// Whether its last hold went: it has live blocks, or is over.
    pub fn is_retired(&self) -> bool {
        self.books.lock().retired
    }

    /// The end of every call that freed something: gives back what is due, and parks a pool to which nothing leads any
    /// more.
    pub(super) fn settle(&'static self, mut books: Open, just: usize) {
        if books.retired && books.ring.is_some_and(|ring| ring.count() > 0) {
            books = self.unlocked(books, || self.free_ring()).0;
        }
        let now = os::coarse_ms();
        if !self.is_calling(thread::current()) {
            while let Some(piece) = books.evict_due(just, now) {
                books = self.give_back(books, piece);
            }
        }
        if books.is_over() && !core::mem::replace(&mut books.parked, true) {
            let ordered = books.ordered.take();
            drop(books);
            ordered.into_iter().for_each(Ordered::release);
            self.call(|_| self.upstream.end());
            park(self);
        }
    }

    /// Does something without the lock; the pool is not over before that is done.
    pub(super) fn unlocked<R>(&'static self, mut books: Open, work: impl FnOnce() -> R) -> (Open, R) {
        books.busy += 1;
        drop(books);
        let result = work();
        let mut books = self.books.lock();
        books.busy -= 1;
        (books, result)
    }
}
