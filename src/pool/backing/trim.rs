//! Cached memory that goes back when somebody asks.

use crate::pool::registry::each_pool;
use crate::pool::state::Kit;
use crate::pool::{Pool, span, thread_heap};
use crate::sys::os;
use crate::thread;
use crate::types::*;

/// What all pools of a device have cached goes back to it; what came from an upstream is none of the device's.
pub(in crate::pool) fn trim_all(device: tn_device) {
    each_pool(|pool| {
        if pool.device() == device && !pool.is_imported() {
            pool.trim(0);
        }
    });
}

impl Pool {
    /// Gives cached memory back to the device, longest unused first, until at most `keep` bytes are cached or nothing
    /// whole is left; never below what was committed at creation. The bytes by which reserved fell (PO-40, PO-41). Of what is cached still,
    /// the pages that no live block touches lose their memory.
    pub fn trim(&'static self, keep: usize) -> usize {
        if self.is_calling(thread::current()) {
            return 0;
        }
        self.free_ring();
        self.ask_all();
        if self.has_heaps() {
            thread_heap::recall(self, keep == 0);
        }
        let mut released = 0;
        let mut kit = Kit::gather(None);
        let mut books = self.books.lock();
        books.sort_returned(self);
        books.dissolve_empty(os::coarse_ms());
        books.merge_recent();
        loop {
            let cached = books.stats().cached_bytes as usize;
            let most = books.spare();
            if most == 0 {
                break;
            }
            let Some(piece) = books.evict(cached.saturating_sub(keep), most, kit.as_mut()) else { break };
            released += piece.bytes;
            books = self.give_back(books, piece);
        }
        while let Some(piece) = books.drop_room() {
            books = self.give_back(books, piece);
        }
        books = self.purge(books);
        if books.stats().cached_bytes as usize > keep {
            books = self.unlocked(books, || self.sweep()).0;
        }
        if keep == 0 && released > 0 {
            let vacate = || {
                drop(kit);
                span::vacate();
            };
            books = self.unlocked(books, vacate).0;
        }
        books.figures.trim_count += (released > 0) as u64;
        if books.retired {
            self.settle(books, 0);
        }
        released
    }
}
