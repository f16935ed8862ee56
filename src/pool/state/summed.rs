//! When the bytes of all heaps were last summed: for a peak, or to decide about free memory.
//!
//! Contract: that of `state`, under the same lock. The sum takes a nanosecond for each thread, which is too much for
//! each block beside many threads. So while the pool itself has hardly more than at the last sum, no new one is made:
//! heaps have the peaks updated when they rise themselves, and a peak is low by `slack` at most. Decisions about free
//! memory that decays use one sum in each tick of the coarse clock.

use crate::pool::client::{CLIENTS, Client, Tally};
use crate::pool::thread_heap::Heap;

/// Pools with at most this many heaps sum them every time.
const FEW_HEAPS: usize = 8;

/// What the pool itself had then.
#[derive(Default)]
pub(super) struct Summed {
    heaps: usize,
    all: Tally,
    clients: [Tally; CLIENTS],
    /// The usable bytes of all heaps, modulo 2^64, and when they were summed. None: they are summed each time.
    in_heaps: Option<(u64, u64)>,
}

impl Summed {
    /// Whether the last sum still serves: the pool has at most `slack` bytes more, in all and of the client.
    pub fn covers(&self, (all, client, own): (&Tally, Client, &Tally), slack: u64) -> bool {
        self.heaps > FEW_HEAPS && !all.exceeds(&self.all, slack) && !own.exceeds(&self.clients[client.index()], slack)
    }

    /// Notes a new sum over so many heaps.
    pub fn note(&mut self, heaps: usize, all: &Tally, client: Client, own: &Tally) {
        self.heaps = heaps;
        self.all = *all;
        self.clients[client.index()] = *own;
    }

    /// The usable bytes of all heaps at a time of the coarse clock, modulo 2^64.
    pub fn in_heaps(&mut self, now: u64, heaps: impl Iterator<Item = &'static Heap>) -> u64 {
        if let Some((in_use, _)) = self.in_heaps.filter(|(_, time)| *time == now) {
            return in_use;
        }
        let (count, in_use) = heaps.fold((0, 0_u64), |(n, sum), heap| (n + 1, sum.wrapping_add(heap.in_use())));
        self.in_heaps = (count > FEW_HEAPS).then_some((in_use, now));
        in_use
    }
}
