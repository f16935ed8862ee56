//! Spans of a heap: owned, collected, given up.
//!
//! An empty span is not given up at once, so that a loop that frees and allocates its last block is not slow. For
//! each class the heap keeps the first span of the list, however empty it is, and one more. `empty` and `idle` count
//! the empty spans except the first of each list.

use super::{Heap, NO_BLOCKS};
use crate::pool::span::{Span, class};
use crate::pool::state::PoolState;
use crate::pool::{Pool, remote_free};
use crate::sys::os;

impl Heap {
    /// Takes ownership of a span that has no owner and is in no list. Under the pool's lock.
    pub fn own(&'static self, span: &'static Span) {
        let class = span.class.get();
        span.older.set(None);
        let newer = self.owned.get();
        span.newer.set(newer);
        if let Some(newer) = newer {
            newer.older.set(Some(span));
        }
        self.owned.set(Some(span));
        debug_assert!(!span.is_empty(), "a heap takes a span for one of its blocks");
        if span.is_full() {
            span.set_edge(FULL);
        } else {
            self.enter_list(span, class);
        }
        span.set_heap(Some(self));
    }

    /// Gives a span up to the pool. Under the pool's lock.
    fn disown(&self, state: &mut PoolState, span: &'static Span) {
        let class = span.class.get();
        if !span.is_full() || self.is_first(span, class) {
            self.leave_list(span, class);
        }
        match span.older.get() {
            Some(older) => older.newer.set(span.newer.get()),
            None => self.owned.set(span.newer.get()),
        }
        if let Some(newer) = span.newer.get() {
            newer.older.set(span.older.get());
        }
        if self.recent.span.get().is_some_and(|recent| recent.is(span)) {
            self.recent.bytes.set(0);
        }
        span.set_heap(None);
        state.receive(span);
    }

    // ---- the lists of spans with free blocks ----

    /// The span of a class to allocate from. A full span leaves the list here, not before.
    pub(super) fn span_with_free(&self, class: usize) -> Option<&'static Span> {
        let first = self.with_free.get(class)?.first()?;
        if !first.is_full() {
            return Some(first);
        }
        self.leave_list(first, class);
        self.with_free.get(class)?.first()
    }

    /// Puts a span in front of its list after it got a free block.
    fn enter_list(&self, span: &'static Span, class: usize) {
        let before = self.span_with_free(class);
        self.with_free[class].push(span);
        self.set_ready(class);
        // The first of the list may become full or empty, and stays.
        span.set_edge(0);
        let Some(before) = before else { return };
        before.set_edge(before.bump.get());
        if before.is_empty() {
            self.count_idle(before, class);
        }
    }

    /// Removes a full span, or one that is about to be given up, from its list.
    fn leave_list(&self, span: &'static Span, class: usize) {
        let was_first = self.is_first(span, class);
        self.with_free[class].remove(span);
        self.set_ready(class);
        let other = if was_first { self.with_free[class].first() } else { Some(span) };
        span.set_edge(FULL);
        if was_first && let Some(other) = other {
            other.set_edge(0);
        }
        if let Some(other) = other.filter(|other| other.is_empty()) {
            self.empty[class].set(self.empty[class].get() - 1);
            self.idle.set(self.idle.get() - used_bytes(other));
        }
    }

    /// Points `ready` at the first span of the list.
    fn set_ready(&self, class: usize) {
        self.ready[class].set(self.with_free[class].first().or(Some(&NO_BLOCKS)));
    }

    /// Sets all of `ready` of a new heap.
    pub(super) fn set_up_ready(&self) {
        (0..class::COUNT).for_each(|class| self.set_ready(class));
    }

    /// Counts an empty span that is not the first of its list.
    fn count_idle(&self, span: &'static Span, class: usize) {
        self.empty[class].set(self.empty[class].get() + 1);
        self.idle.set(self.idle.get() + used_bytes(span));
    }

    /// Whether the last free gave a full span its first free block, or emptied a span that is not the first of its
    /// list. The span's `edge` says this at once.
    pub(super) fn is_at_edge(&self, span: &'static Span) -> bool {
        let (free_count, bump) = (span.free_count(), span.bump.get());
        (free_count == bump || free_count == 1 && bump == span.count.get()) && !self.is_first(span, span.class.get())
    }

    /// After a free to a span that was full, or is empty now.
    pub(super) fn at_edge(&self, span: &'static Span) {
        let class = span.class.get();
        debug_assert!(self.is_at_edge(span));
        if span.free_count() == 1 && span.bump.get() == span.count.get() {
            self.enter_list(span, class);
        } else {
            self.count_idle(span, class);
        }
        if self.empty[class].get() > 1 || self.idle.get() > self.keep.get() {
            self.give_up_idle(class);
        }
    }

    /// Gives empty spans to the pool: all but one of the class, and those of all classes if they are too many bytes
    /// together.
    #[cold]
    #[inline(never)]
    fn give_up_idle(&self, class: usize) {
        let Some(pool) = self.pool() else { return };
        let mut state = pool.state.lock();
        self.each_idle(class, 1, |span| self.disown(&mut state, span));
        if self.idle.get() > self.keep.get() {
            (0..class::COUNT).for_each(|class| self.each_idle(class, 0, |span| self.disown(&mut state, span)));
        }
        // One span of the class may stay whatever the threshold is, as a block that was just freed may.
        pool.enforce_threshold(state, class::span_bytes(class));
    }

    /// Calls `visit`, which gives a span up, with all but `keep` of the empty spans of a class.
    fn each_idle(&self, class: usize, keep: usize, mut visit: impl FnMut(&'static Span)) {
        let mut next = self.with_free[class].first().and_then(|first| first.next.get());
        while let Some(span) = next.filter(|_| self.empty[class].get() > keep) {
            next = span.next.get();
            // A span that is queued for collection may be in this heap's queue.
            if span.is_empty() && !span.is_queued() {
                visit(span);
            }
        }
    }

    /// Before the heap gets a new span: gives up all empty ones if they are too many bytes.
    pub(super) fn shed(&self, pool: &'static Pool) {
        let firsts = || self.with_free.iter().filter_map(|list| list.first()).filter(|first| first.is_empty());
        let empty: usize = firsts().map(used_bytes).sum();
        if empty + self.idle.get() > self.keep.get() {
            let mut state = pool.state.lock();
            self.give_up(&mut state, false);
            pool.enforce_threshold(state, self.keep.get());
        }
    }

    /// Gives up all spans, or the empty ones. True: there were any. Under the pool's lock; the caller is the heap's
    /// thread, or runs alone.
    fn give_up(&self, state: &mut PoolState, all: bool) -> bool {
        let mut any = false;
        let mut next = self.owned.get();
        while let Some(span) = next {
            next = span.newer.get();
            if all || span.is_empty() && !span.is_queued() {
                self.disown(state, span);
                any = true;
            }
        }
        any
    }

    /// Collects remote frees, gives up the large blocks that the heap keeps, and then spans as `give_up`.
    pub(super) fn flush(&self, pool: &'static Pool, state: &mut PoolState, all: bool) -> bool {
        let pending = self.take_pending(pool, state);
        state.figures.misuse_count += self.collect_all(pool, pending) as u64;
        let any = self.give_up_large(state);
        self.give_up(state, all) | any
    }

    /// Gives the large blocks up that the heap keeps. True: there were any. Under the pool's lock, as `give_up`.
    pub(super) fn give_up_large(&self, state: &mut PoolState) -> bool {
        let mut any = false;
        while let Some(span) = self.large.take(|_| true) {
            state.end_free(span, 0, os::coarse_ms());
            any = true;
        }
        any
    }

    // ---- remote frees ----

    /// Collects remote frees of its spans. Called by its thread, under no lock.
    pub(super) fn collect(&self, pool: &'static Pool) {
        if pool.returned.is_empty() && self.pending.get().is_none() {
            return;
        }
        let mut state = pool.state.lock();
        let pending = self.take_pending(pool, &mut state);
        drop(state);
        let wrong = self.collect_all(pool, pending);
        if wrong > 0 {
            pool.state.lock().figures.misuse_count += wrong as u64;
        }
    }

    /// Takes the queue of its spans that wait for being collected. Under the pool's lock.
    fn take_pending(&self, pool: &'static Pool, state: &mut PoolState) -> Option<&'static Span> {
        state.sort_returned(pool);
        let first = self.pending.get();
        self.pending.set(None);
        first
    }

    /// Collects the spans of such a queue. Returns how many blocks were freed twice.
    fn collect_all(&self, pool: &'static Pool, mut next: Option<&'static Span>) -> usize {
        let mut wrong = 0;
        while let Some(span) = next {
            next = span.queue.get();
            wrong += self.collect_one(pool, span);
        }
        wrong
    }

    fn collect_one(&self, pool: &'static Pool, span: &'static Span) -> usize {
        let class = span.class.get();
        let (was_full, was_empty) = (span.is_full(), span.is_empty());
        let (blocks, wrong) = remote_free::collect(pool, span);
        if self.is_first(span, class) {
            return wrong;
        }
        if blocks > 0 && was_full {
            self.enter_list(span, class);
        } else if span.is_empty() && !was_empty {
            self.count_idle(span, class);
        }
        wrong
    }
}

/// The `edge` of a full span that is in no list.
const FULL: usize = 1;

/// Bytes of an empty span that were ever allocated: the most memory that keeping it costs.
fn used_bytes(span: &'static Span) -> usize {
    span.touched() * span.block_bytes.get()
}
