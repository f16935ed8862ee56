//! The statistics of a pool: bytes in use, counts and peaks.
//!
//! Contract: that of `state`, under the same lock. Thread heaps count on their own, and their counts are added when
//! statistics are read. So statistics are of one moment for everything under the lock, and of some moment of the call
//! for each heap.

use super::summed::Summed;
use super::{NewBlock, PoolState, Want};
use crate::pool::client::{Account, CLIENTS, Tally};
use crate::pool::span::block_state::Block;
use crate::pool::span::class;
use crate::pool::thread_heap::{Counts, Heap};
use crate::types::*;
use core::sync::atomic::Ordering;

/// How a request counts.
#[derive(Clone, Copy)]
pub(in crate::pool) struct Count {
    /// False: the request is a part of a reallocation.
    pub allocation: bool,
    /// Zeros were requested: bytes that are known to read 0 need no clearing.
    pub zeroed: bool,
}

/// Allocations of a class, modulo 2^64.
#[derive(Clone, Copy, Default)]
pub(in crate::pool) struct AllocationCounts {
    pub all: u64,
    /// Of those: without a device call.
    pub hits: u64,
}

impl AllocationCounts {
    pub fn add(&mut self, all: u64, hits: u64) {
        self.all = self.all.wrapping_add(all);
        self.hits = self.hits.wrapping_add(hits);
    }
}

impl PoolState {
    pub fn stats(&self) -> tn_pool_stats {
        let (mut stats, counts) = (self.figures, self.counts());
        let all = counts.all();
        (stats.in_use_bytes, stats.requested_bytes) = self.in_use(&all);
        stats.cached_bytes = stats.reserved_bytes - stats.overhead_bytes - stats.pending_bytes - stats.in_use_bytes;
        stats.peak_in_use_bytes = stats.peak_in_use_bytes.max(stats.in_use_bytes);
        stats.peak_requested_bytes = stats.peak_requested_bytes.max(stats.requested_bytes);
        stats.hit_count = stats.hit_count.wrapping_add(counts.hits);
        stats.thread_hit_count = stats.thread_hit_count.wrapping_add(counts.hits);
        stats.deallocation_count = all.freed;
        stats.reallocation_count = all.reallocated;
        stats.live_blocks = all.blocks();
        stats.allocation_count = stats.live_blocks + stats.deallocation_count;
        stats.zero_bytes_skipped += counts.zero_skipped;
        stats.thread_count = counts.heaps;
        stats.largest_free_bytes = self.largest_free() as u64;
        stats
    }

    fn heaps(&self) -> impl Iterator<Item = &'static Heap> + use<> {
        core::iter::successors(self.heaps, |heap| heap.next())
    }

    /// The counts of the state and all heaps.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { clients: self.clients.map(|account| account.tally), ..Counts::default() };
        for heap in self.heaps() {
            heap.add_to(&mut counts);
        }
        counts
    }

    /// Allocations of a class, or large ones.
    pub fn handed(&self, class: usize) -> AllocationCounts {
        let mut sum = self.classes[class];
        for heap in self.heaps() {
            let handed = heap.handed(class);
            sum.add(handed, handed);
        }
        sum
    }

    /// Adds the counts of a heap that ends.
    pub fn add_counts(&mut self, counts: &Counts) {
        self.summed = Summed::default();
        for (account, tally) in self.clients.iter_mut().zip(&counts.clients) {
            account.tally.add(tally);
            self.total.add(tally);
        }
        let f = &mut self.figures;
        f.zero_bytes_skipped += counts.zero_skipped;
        f.hit_count = f.hit_count.wrapping_add(counts.hits);
        f.thread_hit_count = f.thread_hit_count.wrapping_add(counts.hits);
    }

    fn largest_free(&self) -> usize {
        let largest = self.around_recent().max(self.free_bins.largest()).max(self.largest_in_ranges());
        if largest > 0 {
            return largest;
        }
        let has_free_block =
            |class: usize| self.heaps().any(|heap| heap.has_free_block(class)) || self.partial[class].first().is_some();
        (0..class::COUNT).rev().find(|&class| has_free_block(class)).map_or(0, class::bytes)
    }

    /// Updates the peaks.
    pub fn peak(&mut self) {
        self.count_peak_update();
        let mut clients = [0; CLIENTS];
        for (in_use, account) in clients.iter_mut().zip(&self.clients) {
            *in_use = account.tally.in_use;
        }
        let mut all = self.total;
        for heap in self.heaps() {
            let (in_use, requested) = heap.add_in_use(&mut clients);
            all.change(in_use, requested);
        }
        for (account, in_use) in self.clients.iter_mut().zip(clients) {
            account.peak = account.peak.max((in_use as i64).max(0) as u64);
        }
        self.peak_of_all(&all);
    }

    /// Counts an update of the peaks. Heaps read this without the lock, to know whether their last update still
    /// holds.
    fn count_peak_update(&self) {
        if let Some(looks) = self.peak_updates {
            looks.store(looks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    fn peak_of_all(&mut self, all: &Tally) {
        let (in_use, requested) = self.in_use(all);
        let f = &mut self.figures;
        f.peak_in_use_bytes = f.peak_in_use_bytes.max(in_use);
        f.peak_requested_bytes = f.peak_requested_bytes.max(requested);
        f.peak_reserved_bytes = f.peak_reserved_bytes.max(f.reserved_bytes);
    }

    /// Usable and requested bytes of live blocks, of the state and all heaps.
    fn now(&self) -> Tally {
        let mut all = self.total;
        for heap in self.heaps() {
            all.change(heap.in_use(), heap.requested());
        }
        all
    }

    /// Sets the peaks to the current values.
    pub fn reset_peak(&mut self) {
        let f = &mut self.figures;
        (f.peak_in_use_bytes, f.peak_requested_bytes, f.peak_reserved_bytes) = (0, 0, 0);
        self.clients.iter_mut().for_each(|account| account.peak = 0);
        self.summed = Summed::default();
        self.peak();
    }

    /// Usable and requested bytes of live blocks, limited so that the sum of all parts fits: see [`Tally::blocks`].
    fn in_use(&self, all: &Tally) -> (u64, u64) {
        let f = &self.figures;
        let in_use = all.bytes().min(f.reserved_bytes - f.overhead_bytes - f.pending_bytes);
        (in_use, ((all.requested as i64).max(0) as u64).min(in_use))
    }

    /// Usable bytes of live blocks.
    pub fn in_use_now(&self) -> usize {
        self.in_use(&self.now()).0 as usize
    }

    /// Usable bytes of live blocks, where many heaps count as they did at some moment of this tick.
    pub fn in_use_lately(&mut self, now: u64) -> usize {
        let mut all = self.total;
        all.change(self.summed.in_heaps(now, self.heaps()), 0);
        self.in_use(&all).0 as usize
    }

    /// Whether so many more bytes from the device would exceed the limit.
    pub fn over_limit(&self, more: usize) -> bool {
        self.bytes_above_limit(more) > 0
    }

    /// By how many bytes so many more would exceed the limit. Spilled bytes do not count.
    pub fn bytes_above_limit(&self, more: usize) -> usize {
        let resident = (self.figures.reserved_bytes - self.figures.spilled_bytes) as usize;
        let all = resident.saturating_add(self.coming_bytes).saturating_add(more);
        if self.settings.limit == 0 { 0 } else { all.saturating_sub(self.settings.limit) }
    }

    /// Counts a served request. `hit`: without a device call.
    pub fn count(&mut self, want: &Want, count: Count, placed: &NewBlock, hit: bool) {
        if count.allocation {
            let tally = &mut self.account(want.block).tally;
            tally.allocated = tally.allocated.wrapping_add(1);
            self.figures.hit_count = self.figures.hit_count.wrapping_add(hit as u64);
            self.classes[want.class.unwrap_or(class::COUNT)].add(1, u64::from(hit));
        }
        if count.zeroed {
            self.figures.zero_bytes_skipped += want.block.requested.saturating_sub(placed.dirty) as u64;
        }
    }

    /// Corrects the counts after a heap counted a block of a reallocation as an allocation.
    pub fn uncount_hit(&mut self, class: usize, block: Block) {
        self.classes[class].add(u64::MAX, u64::MAX);
        let tally = &mut self.account(block).tally;
        tally.allocated = tally.allocated.wrapping_sub(1);
        let f = &mut self.figures;
        for count in [&mut f.hit_count, &mut f.thread_hit_count] {
            *count = count.wrapping_sub(1);
        }
    }

    /// Corrects the counts after a moved block was freed at its old place.
    pub fn count_moved(&mut self, block: Block) {
        let account = self.account(block);
        account.tally.freed = account.tally.freed.wrapping_sub(1);
        account.tally.reallocated += 1;
    }

    pub(super) fn count_in(&mut self, usable: usize, block: Block) {
        self.change(block, usable as u64, block.requested as u64);
        let (client, own) = (block.client(), self.account(block).tally);
        if self.summed.covers((&self.total, client, &own), self.settings.thread_cache as u64) {
            return;
        }
        let (mut in_use, mut all, mut heaps) = (own.in_use, self.total, 0);
        for heap in self.heaps() {
            all.change(heap.in_use(), heap.requested());
            in_use = in_use.wrapping_add(heap.in_use_of(client));
            heaps += 1;
        }
        let account = self.account(block);
        account.peak = account.peak.max((in_use as i64).max(0) as u64);
        self.summed.note(heaps, &self.total, client, &own);
        self.count_peak_update();
        self.peak_of_all(&all);
    }

    /// The number of heaps that have not been used for a while.
    pub fn idle_heaps(&self, now: u64) -> usize {
        self.heaps().filter(|heap| heap.note_idle(now)).count()
    }

    /// Counts a failed request, or a failed operation on a block.
    pub fn count_failure(&mut self, block: Block) {
        self.figures.failure_count += 1;
        self.account(block).failures += 1;
    }

    /// Counts a block as not in use any more.
    pub fn count_out(&mut self, usable: usize, block: Block) {
        self.change(block, (usable as u64).wrapping_neg(), (block.requested as u64).wrapping_neg());
    }

    /// Changes the bytes in use.
    pub fn change(&mut self, block: Block, usable: u64, requested: u64) {
        self.account(block).tally.change(usable, requested);
        self.total.change(usable, requested);
    }

    pub fn account(&mut self, block: Block) -> &mut Account {
        &mut self.clients[block.client().index()]
    }
}
