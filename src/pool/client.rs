//! Who asked a pool for its blocks: arrays, raw blocks of C code, or another library's allocator (a client).
//!
//! Contract: every live block counts for exactly one client, so that the sum of `live_bytes` over the clients is the
//! pool's `in_use_bytes` in every answer (PO-61). A block's client stands in its tag: raw blocks have it beside the
//! thread's number, blocks of stores are those of arrays.
#![forbid(unsafe_code)]

use crate::thread;
use crate::types::*;

/// One of TN_CLIENT_.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client(u8);

/// Who asks through the functions of C, and in the preload library everybody.
pub(super) const PLAIN: Client = if cfg!(preload) { Client::MALLOC } else { Client::RAW };

/// Number of clients that there are.
pub const CLIENTS: usize = 12;

const NAMES: [&str; CLIENTS] =
    ["arrays", "raw", "numpy", "torch", "cupy", "numba", "rmm", "umf", "cpp", "rust", "malloc", "other"];

/// Bits of the client in a raw block's tag; above them the stamp of who asked.
const CLIENT_BITS: u32 = 4;
/// Places for clients in tables that are looked up by a tag's.
pub(super) const PLACES: usize = 1 << CLIENT_BITS;
const _: () = assert!(CLIENTS <= PLACES);

impl Client {
    /// Stores of arrays.
    pub const ARRAYS: Client = Client(TN_CLIENT_ARRAYS as u8);
    /// `tn_pool_allocate`.
    pub const RAW: Client = Client(TN_CLIENT_RAW as u8);
    /// NumPy's handler.
    pub const NUMPY: Client = Client(TN_CLIENT_NUMPY as u8);
    /// Pools and providers of UMF.
    pub const UMF: Client = Client(TN_CLIENT_UMF as u8);
    /// `tenure::memory_resource` and `tenure::allocator`.
    pub const CPP: Client = Client(TN_CLIENT_CPP as u8);
    /// `tenure::PoolAllocator`.
    pub const RUST: Client = Client(TN_CLIENT_RUST as u8);
    /// The C library's functions, in the preload library.
    pub const MALLOC: Client = Client(TN_CLIENT_MALLOC as u8);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Client> {
        (0..CLIENTS as u8).map(Client)
    }

    /// The client of what [`crate::pool::Pool::each_client`] tells.
    pub fn of(told: &tn_pool_client) -> Client {
        Client((told.client as u8).min(CLIENTS as u8 - 1))
    }

    /// Its place in a table of [`CLIENTS`].
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it is neither arrays nor callers of the pool itself.
    pub fn is_library(self) -> bool {
        self != Client::ARRAYS && self != Client::RAW
    }

    /// "numpy" and the like.
    pub fn name(self) -> &'static str {
        NAMES.get(self.index()).unwrap_or(&"other")
    }

    /// The tag of a raw block that it asked for; `stamp`: the thread's. Below 2^42.
    #[inline]
    pub(super) fn tag(self, stamp: u64) -> u64 {
        u64::from(self.0) | stamp << CLIENT_BITS
    }

    /// The client of a raw block's tag.
    #[inline]
    pub(super) fn of_tag(tag: u64) -> Client {
        Client(tag as u8 & (PLACES as u8 - 1))
    }

    /// Thread and site of a raw block's tag.
    pub(super) fn asker(tag: u64) -> (u32, u32) {
        thread::stamp_parts(tag >> CLIENT_BITS)
    }
}

/// Blocks that went out and came back, and the bytes of those that are out. Counts modulo 2^64: what one heap handed out another one may
/// have taken back, so that only the sum over the pool means something.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    /// Usable bytes.
    pub in_use: u64,
    /// Bytes that were asked for.
    pub requested: u64,
    /// Blocks that went out.
    pub allocated: u64,
    /// Blocks that came back.
    pub freed: u64,
    /// Blocks that changed their size: neither the one nor the other, also where they moved.
    pub reallocated: u64,
}

impl Tally {
    /// The sum with another one.
    pub fn add(&mut self, other: &Tally) {
        self.in_use = self.in_use.wrapping_add(other.in_use);
        self.requested = self.requested.wrapping_add(other.requested);
        self.allocated = self.allocated.wrapping_add(other.allocated);
        self.freed = self.freed.wrapping_add(other.freed);
        self.reallocated = self.reallocated.wrapping_add(other.reallocated);
    }

    /// The difference to another one.
    pub fn subtract(&mut self, other: &Tally) {
        self.in_use = self.in_use.wrapping_sub(other.in_use);
        self.requested = self.requested.wrapping_sub(other.requested);
        self.allocated = self.allocated.wrapping_sub(other.allocated);
        self.freed = self.freed.wrapping_sub(other.freed);
        self.reallocated = self.reallocated.wrapping_sub(other.reallocated);
    }

    /// Changes what is out.
    pub fn change(&mut self, usable: u64, requested: u64) {
        self.in_use = self.in_use.wrapping_add(usable);
        self.requested = self.requested.wrapping_add(requested);
    }

    /// Blocks that are out. Heaps count without a lock: of a sum over moments that lie apart, more may have come back.
    pub fn blocks(&self) -> u64 {
        self.allocated.max(self.freed) - self.freed
    }

    /// Bytes that are out, likewise.
    pub fn bytes(&self) -> u64 {
        (self.in_use as i64).max(0) as u64
    }
}

/// What a client did; only read and written under the pool's lock.
#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    /// Without heaps.
    pub tally: Tally,
    pub peak: u64,
    pub failures: u64,
    pub misuses: u64,
    pub mismatches: u64,
}

impl Account {
    /// Whether there is anything to tell.
    pub fn is_used(&self, all: &Tally) -> bool {
        all.allocated + all.reallocated + self.failures + self.misuses > 0
    }

    /// As C sees it; `all`: with the heaps.
    pub fn told(&self, client: Client, all: &Tally) -> tn_pool_client {
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
            allocation_count: all.allocated + all.reallocated,
            failure_count: self.failures,
            misuse_count: self.misuses,
            mismatch_count: self.mismatches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_client_thread_and_site() {
        let most = ((1 << 22) - 1, u16::MAX.into());
        for client in Client::all().skip(1) {
            let tag = client.tag(thread::stamp(most.0, most.1));
            assert_eq!((Client::of_tag(tag), Client::asker(tag)), (client, most));
            assert!(tag < 1 << 42 && client.name().len() < 16);
        }
        assert_eq!(Client::RUST.name(), "rust");
        assert_eq!(Client::of_tag(u64::MAX).name(), "other", "a torn tag names somebody all the same");
    }
}
