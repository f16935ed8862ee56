//! Free huge pages move to where a large request fits (PH-24), so that it has no page faults there.
//!
//! Contract: called under no lock, with fresh memory that only the caller knows. Each moved page may be a mapping of
//! its own, of which the system allows a process about 65,000; so a bounded number is moved.

use super::huge::{self, HUGE_PAGE_BYTES};
use crate::pool::Pool;
use crate::pool::state::{Count, Piece, Prealloc, Want};
use crate::sys::checker;
use crate::types::{TN_POOL_DIRECT, TN_POOL_STRICT};
use core::sync::atomic::{AtomicBool, Ordering};

/// Most pages in the process that were moved.
const MOST_MOVED: usize = 16_384;

/// Whether the system refused to move a page. It would refuse again, and each refusal costs the addresses of the
/// request.
static REFUSED: AtomicBool = AtomicBool::new(false);

impl Pool {
    /// Moves free huge pages to the first huge pages of a piece that arrived for a request. `dirty` tells how far.
    /// None: the system refused; the piece is gone.
    pub(in crate::pool) fn move_free_pages(
        &'static self,
        mut piece: Piece,
        want: &Want,
        count: Count,
    ) -> Option<Piece> {
        let bytes = if want.class.is_none() { want.span_bytes.min(piece.bytes) } else { 0 };
        // Zeros that nobody touches cost nothing in fresh memory. Moved pages would be cleared.
        if bytes >= HUGE_PAGE_BYTES && !count.zeroed && self.moves_pages() && !self.move_into(&mut piece) {
            return None;
        }
        huge::mark_movable(piece.start, piece.start + piece.bytes);
        Some(piece)
    }

    /// Whether pages of this pool can be moved. A memory checker, and strict mode, know what each address has; direct
    /// memory goes back at once.
    fn moves_pages(&'static self) -> bool {
        self.is_plain_host()
            && self.flags.load(Ordering::Relaxed) & (TN_POOL_STRICT | TN_POOL_DIRECT) == 0
            && !checker::watches()
            && !REFUSED.load(Ordering::Relaxed)
    }

    /// Fills the huge pages of a piece, in order, while there are free ones. False: the system refused; the piece is
    /// gone.
    fn move_into(&'static self, piece: &mut Piece) -> bool {
        let (first, end) = match huge::inside(piece.start, piece.start + piece.bytes) {
            Some((first, bytes)) if huge::all_marked(first, bytes) => (first, first + bytes),
            _ => return true,
        };
        let mut to = first;
        while to < end && huge::moved_pages() < MOST_MOVED {
            let Some(mut prealloc) = Prealloc::for_request(None) else { break };
            let free = self.state.lock().evict_pages(end - to, piece.start, &mut prealloc);
            let Some(free) = free else { break };
            for page in huge::pages(free.start, free.start + free.bytes) {
                // SAFETY: the old page left the pool's state, and the new one was never in it: no other thread knows
                // either. If the move fails, the new one is not used again, as the call requires.
                let moved = unsafe { self.ops().move_pages(page, HUGE_PAGE_BYTES, to, HUGE_PAGE_BYTES) };
                if !moved {
                    self.free_range(page, free.start + free.bytes - page);
                    self.lose_page(piece, to);
                    return false;
                }
                huge::mark_moved(to);
                to += HUGE_PAGE_BYTES;
            }
            piece.dirty = to - piece.start;
        }
        true
    }

    /// Gives a piece up of which the system may have unmapped one page. All but that page goes back.
    #[cold]
    fn lose_page(&'static self, piece: &Piece, page: usize) {
        REFUSED.store(true, Ordering::Relaxed);
        let end = piece.start + piece.bytes;
        let marked = huge::unmark(piece.start, piece.bytes) * HUGE_PAGE_BYTES;
        self.state.lock().figures.huge_bytes -= marked as u64;
        for (start, end) in [(piece.start, page), (page + HUGE_PAGE_BYTES, end)] {
            if start < end {
                self.free_range(start, end - start);
            }
        }
        self.lost_bytes.fetch_add(HUGE_PAGE_BYTES as u64, Ordering::Relaxed);
    }
}
