//! Usable bytes that are out, as one heap counts them: what it handed out less what its thread gave back, also to spans of other heaps.
//!
//! Contract: the heap's thread counts, with one load and two stores for what goes out and less for what comes back; anyone may read, and
//! gets what was out at some moment of the call. What goes out is counted down, from an allowance: where it ends, the peaks must be looked
//! at. So they are low by the allowance at most, whatever came back meanwhile.

use core::sync::atomic::{AtomicUsize, Ordering, fence};

/// All zero: nothing is out, and the first block is more than is allowed.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// What may still go out without a look.
    left: AtomicUsize,
    /// The allowances so far, and thus what went out and what is left; odd: both are being changed.
    allowed: AtomicUsize,
    /// What came back.
    back: AtomicUsize,
}

/// How often a reader tries to see no change.
const TRIES: usize = 8;

impl Out {
    /// Counts what goes out. True: it is more than was allowed, and `allow` must follow.
    #[inline(always)]
    pub fn add(&self, bytes: usize) -> bool {
        let left = self.left.load(Ordering::Relaxed).wrapping_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        (left as isize) < 0
    }

    /// Counts what came back.
    #[inline(always)]
    pub fn subtract(&self, bytes: usize) {
        self.back.store(self.back.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
    }

    /// So much may go out until the next look, an odd number rounded down; what went out since the last one, if that was as much. The counts
    /// stay what they are.
    pub fn allow(&self, bytes: usize) -> usize {
        let bytes = bytes & !1;
        let more = bytes.wrapping_sub(self.left.load(Ordering::Relaxed));
        // Blocks have an even number of bytes, and so has the sum.
        let allowed = self.allowed.load(Ordering::Relaxed).wrapping_add(more);
        debug_assert!(allowed.is_multiple_of(2));
        self.allowed.store(allowed | 1, Ordering::Relaxed);
        // Orders it before `left`, for the Acquire fence in `get`.
        fence(Ordering::Release);
        self.left.store(bytes, Ordering::Relaxed);
        // Pairs with the Acquire in `get`.
        self.allowed.store(allowed, Ordering::Release);
        more
    }

    /// What is out, modulo 2^64.
    pub fn get(&self) -> usize {
        let mut out = 0;
        for _ in 0..TRIES {
            let allowed = self.allowed.load(Ordering::Acquire);
            let left = self.left.load(Ordering::Acquire);
            let back = self.back.load(Ordering::Acquire);
            out = (allowed & !1).wrapping_sub(left).wrapping_sub(back);
            // `left` only falls while `allowed` stays: between two equal ones nothing went out, and `back` is of such a moment.
            let same = self.left.load(Ordering::Acquire) == left && self.allowed.load(Ordering::Relaxed) == allowed;
            if same && allowed.is_multiple_of(2) {
                break;
            }
        }
        out
    }

    /// As if nothing had ever gone out.
    pub fn clear(&self) {
        [&self.left, &self.allowed, &self.back].into_iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_is_told_whatever_is_allowed() {
        let out = Out::default();
        assert!(out.add(16), "nothing was allowed yet");
        out.allow(101);
        assert_eq!(out.get(), 16);
        assert!(!out.add(64) && !out.add(32));
        assert!(out.add(16), "100 were allowed");
        out.subtract(64);
        assert_eq!(out.get(), 64);
        assert_eq!(out.allow(1000), 1000 - 100 + 112);
        assert_eq!(out.get(), 64);
        out.subtract(96);
        assert_eq!(out.get(), 0usize.wrapping_sub(32), "it may be another heap's block");
        out.clear();
        assert_eq!(out.get(), 0);
    }

    #[test]
    fn po_32_a_reader_never_sees_an_allowance() {
        use core::sync::atomic::AtomicBool;
        static OUT: Out = Out { left: AtomicUsize::new(0), allowed: AtomicUsize::new(0), back: AtomicUsize::new(0) };
        static OVER: AtomicBool = AtomicBool::new(false);
        OUT.allow(1 << 20);
        OUT.add(1 << 10);
        let reader = std::thread::spawn(|| {
            while !OVER.load(Ordering::Relaxed) {
                let out = OUT.get();
                assert!([1 << 10, (1 << 10) + 64].contains(&out), "{out} bytes out");
            }
        });
        for turn in 0..200_000 {
            OUT.add(64);
            if turn % 3 == 0 {
                OUT.allow(1 << 20);
            }
            // Not while a reader could give up.
            OUT.subtract(64);
        }
        OVER.store(true, Ordering::Relaxed);
        assert!(reader.join().is_ok());
    }
}
