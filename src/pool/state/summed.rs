//! When the bytes of all heaps were last summed for a peak.
//!
//! Contract: that of `state`, under the same lock. The sum takes a nanosecond for each thread, which is too much for
//! each block beside many threads. So while the pool itself has hardly more than at the last sum, no new one is made:
//! heaps have the peaks updated when they rise themselves, and a peak is low by `slack` at most.

use crate::pool::client::{CLIENTS, Client, Tally};

/// So few heaps are summed each time.
const FEW_HEAPS: usize = 8;

/// What the pool itself had then.
#[derive(Default)]
pub(super) struct Summed {
    heaps: usize,
    all: Tally,
    clients: [Tally; CLIENTS],
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
}
