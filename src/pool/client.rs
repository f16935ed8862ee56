//! Clients: who allocated a block. Arrays, raw blocks of C code, or the allocator of another library.
//!
//! Contract: every live block counts for exactly one client. The sum of `live_bytes` over the clients is the pool's
//! `in_use_bytes` in every answer (PO-61). The tag of a raw block has the client beside the thread's number. Blocks
//! of stores belong to `ARRAYS`.
#![forbid(unsafe_code)]

use crate::thread;
use crate::types::*;

/// One of TN_CLIENT_.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client(u8);

/// The client of C's functions; in the preload library, of every caller.
pub(super) const PLAIN: Client = if cfg!(preload) { Client::MALLOC } else { Client::RAW };

/// Number of clients.
pub const CLIENTS: usize = 12;

const NAMES: [&str; CLIENTS] =
    ["arrays", "raw", "numpy", "torch", "cupy", "numba", "rmm", "umf", "cpp", "rust", "malloc", "other"];

/// Bits of the client in a raw block's tag, and where they lie. From [`thread::STAMP_SHIFT`] on it has the stamp of the
/// allocating thread.
const CLIENT_BITS: u32 = 4;
const CLIENT_SHIFT: u32 = 3;
/// Entries of a table that is indexed by the client bits of a tag.
pub(super) const CLIENT_CODES: usize = 1 << CLIENT_BITS;
/// All bits of a raw block's tag.
pub(super) const TAG: u64 = ((1 << thread::STAMP_END) - (1 << thread::STAMP_SHIFT)) | CLIENT;
/// Of those, the client's.
const CLIENT: u64 = (CLIENT_CODES as u64 - 1) << CLIENT_SHIFT;
const _: () = assert!(CLIENTS <= CLIENT_CODES);

impl Client {
    /// Stores of arrays.
    pub const ARRAYS: Client = Client(TN_CLIENT_ARRAYS as u8);
    /// `tn_pool_allocate`.
    pub const RAW: Client = Client(TN_CLIENT_RAW as u8);
    /// NumPy's handler.
    pub const NUMPY: Client = Client(TN_CLIENT_NUMPY as u8);
    /// PyTorch's pluggable allocator.
    pub const TORCH: Client = Client(TN_CLIENT_TORCH as u8);
    /// CuPy's allocators.
    pub const CUPY: Client = Client(TN_CLIENT_CUPY as u8);
    /// Numba's memory manager.
    pub const NUMBA: Client = Client(TN_CLIENT_NUMBA as u8);
    /// RMM's memory resources.
    pub const RMM: Client = Client(TN_CLIENT_RMM as u8);
    /// Pools and providers of UMF.
    pub const UMF: Client = Client(TN_CLIENT_UMF as u8);
    /// `tenure::memory_resource` and `tenure::allocator`.
    pub const CPP: Client = Client(TN_CLIENT_CPP as u8);
    /// `tenure::PoolAllocator`.
    pub const RUST: Client = Client(TN_CLIENT_RUST as u8);
    /// The C library's functions, in the preload library.
    pub const MALLOC: Client = Client(TN_CLIENT_MALLOC as u8);
    /// A library without a client of its own.
    pub const OTHER: Client = Client(TN_CLIENT_OTHER as u8);

    /// All clients.
    pub fn all() -> impl Iterator<Item = Client> {
        (0..CLIENTS as u8).map(Client)
    }

    /// The client of an answer of [`crate::pool::Pool::each_client`].
    pub fn of(to_c: &tn_pool_client) -> Client {
        Client((to_c.client as u8).min(CLIENTS as u8 - 1))
    }

    /// Its index in a table of [`CLIENTS`].
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it is the allocator of another library.
    pub fn is_library(self) -> bool {
        self != Client::ARRAYS && self != Client::RAW
    }

    /// "numpy" and the like.
    pub fn name(self) -> &'static str {
        NAMES.get(self.index()).unwrap_or(&"other")
    }

    /// The tag of a raw block, of the bits [`TAG`]. `stamp`: the allocating thread's.
    #[inline]
    pub(super) const fn tag(self, stamp: u64) -> u64 {
        (self.0 as u64) << CLIENT_SHIFT | stamp
    }

    /// The client of a raw block's tag.
    #[inline]
    pub(super) fn of_tag(tag: u64) -> Client {
        Client(((tag & CLIENT) >> CLIENT_SHIFT) as u8)
    }

    /// Thread and call site of a raw block's tag.
    pub(super) fn origin(tag: u64) -> (u32, u32) {
        thread::stamp_parts(tag)
    }
}

/// Counts of blocks and bytes, modulo 2^64. One heap may free what another one allocated, so only the sum over a pool
/// means something.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    /// Usable bytes of live blocks.
    pub in_use: u64,
    /// Requested bytes of live blocks.
    pub requested: u64,
    pub allocated: u64,
    pub freed: u64,
    /// Blocks that changed their size. They count neither as allocated nor as freed, also if they moved.
    pub reallocated: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.in_use = self.in_use.wrapping_add(other.in_use);
        self.requested = self.requested.wrapping_add(other.requested);
        self.allocated = self.allocated.wrapping_add(other.allocated);
        self.freed = self.freed.wrapping_add(other.freed);
        self.reallocated = self.reallocated.wrapping_add(other.reallocated);
    }

    pub fn subtract(&mut self, other: &Tally) {
        self.in_use = self.in_use.wrapping_sub(other.in_use);
        self.requested = self.requested.wrapping_sub(other.requested);
        self.allocated = self.allocated.wrapping_sub(other.allocated);
        self.freed = self.freed.wrapping_sub(other.freed);
        self.reallocated = self.reallocated.wrapping_sub(other.reallocated);
    }

    /// Whether one of the bytes is greater by more than `slack`.
    pub fn exceeds(&self, other: &Tally, slack: u64) -> bool {
        let more = |now: u64, then: u64| now.wrapping_sub(then) as i64 > slack as i64;
        more(self.in_use, other.in_use) || more(self.requested, other.requested)
    }

    /// Changes the bytes of live blocks.
    pub fn change(&mut self, usable: u64, requested: u64) {
        self.in_use = self.in_use.wrapping_add(usable);
        self.requested = self.requested.wrapping_add(requested);
    }

    /// Live blocks. Heaps count without a lock, so a sum taken while they run may have more frees than allocations. One
    /// client's part of such a sum may also have a negative number of allocations or frees.
    pub fn blocks(&self) -> u64 {
        (self.allocated.wrapping_sub(self.freed) as i64).max(0) as u64
    }

    /// Allocations and reallocations, at least 0 for the same reason.
    pub fn requests(&self) -> u64 {
        (self.allocated.wrapping_add(self.reallocated) as i64).max(0) as u64
    }

    /// Usable bytes of live blocks, at least 0 for the same reason.
    pub fn bytes(&self) -> u64 {
        (self.in_use as i64).max(0) as u64
    }
}

/// What one client did. Only read and written under the pool's lock.
#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    /// Without the counts of thread heaps.
    pub tally: Tally,
    pub peak: u64,
    pub failures: u64,
    pub misuses: u64,
    pub mismatches: u64,
}

impl Account {
    pub fn is_used(&self, all: &Tally) -> bool {
        all.requests() + self.failures + self.misuses > 0
    }

    /// As C sees it. `all`: with the counts of thread heaps.
    pub fn to_c(self, client: Client, all: &Tally) -> tn_pool_client {
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(client.name().bytes()) {
            *to = from as core::ffi::c_char;
        }
        tn_pool_client {
            client: client.index() as tn_client,
            reserved: 0,
            name,
            live_blocks: all.blocks(),
            live_bytes: all.bytes(),
            requested_bytes: (all.requested as i64).max(0) as u64,
            peak_bytes: self.peak.max(all.bytes()),
            allocation_count: all.requests(),
            failure_count: self.failures,
            misuse_count: self.misuses,
            mismatch_count: self.mismatches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heap can count the block of an array between the reads of all its blocks and of those of the arrays. The
    /// difference, for raw blocks, then is -1.
    #[test]
    fn a_sum_that_is_one_block_behind_is_0() {
        let behind = Tally { allocated: 0u64.wrapping_sub(1), ..Tally::default() };
        let account = Account { misuses: 1, ..Account::default() };
        assert!(account.is_used(&behind) && !Account::default().is_used(&behind));
        let reported = account.to_c(Client::RAW, &behind);
        assert_eq!((reported.live_blocks, reported.allocation_count), (0, 0));
        let behind = Tally { allocated: 3, freed: 0u64.wrapping_sub(1), ..Tally::default() };
        assert_eq!(behind.blocks(), 4);
    }

    #[test]
    fn a_tag_keeps_client_thread_and_site() {
        let most = ((1 << 22) - 1, u16::MAX.into());
        for client in Client::all().skip(1) {
            let tag = client.tag(thread::stamp(most.0, most.1));
            assert_eq!((Client::of_tag(tag), Client::origin(tag)), (client, most));
            assert!(tag & !TAG == 0 && client.name().len() < 16);
        }
        assert_eq!(Client::RUST.name(), "rust");
        assert_eq!(Client::of_tag(u64::MAX).name(), "other", "a torn tag still has a name");
    }
}
