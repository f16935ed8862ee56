//! Outstanding bytes of one heap: usable bytes of the blocks that it allocated, less those that its thread freed,
//! also to spans of other heaps. And how many of these bytes were requested.
//!
//! Contract: the heap's thread counts an allocation with one load and two stores, and a free with less. Any thread
//! may read, and gets the value of some moment of the call. Allocations count an allowance down. When it is used up,
//! the peaks must be checked. So peaks are too low by the allowance at most.

use crate::sys::instructions;
use core::sync::atomic::{AtomicUsize, Ordering};

/// All zero: nothing is outstanding, and the first allocation exceeds the allowance.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// What is left of the current allowance. Bit 0: which of the two entries of `allowed` is current.
    left: AtomicUsize,
    /// The sums of all allowances. The other entry becomes current with the next allowance.
    allowed: [AtomicUsize; 2],
    /// Freed bytes.
    back: AtomicUsize,
    /// Requested bytes of all blocks, and of freed ones the bytes that were not requested. Less `back`: the requested
    /// bytes that are outstanding. So neither call computes more than it has at hand.
    asked: AtomicUsize,
}

/// How often a reader tries to get a consistent value.
const TRIES: usize = 8;

impl Outstanding {
    #[cfg(test)]
    const fn new() -> Outstanding {
        Outstanding {
            left: AtomicUsize::new(0),
            allowed: [const { AtomicUsize::new(0) }; 2],
            back: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }
    }

    /// Counts an allocation. True: the allowance is used up, and the caller must call `allow`. `AT`: where `left` lies
    /// in the heap.
    #[inline(always)]
    pub fn add<Heap, const AT: usize>(&self, heap: &Heap, bytes: usize, requested: usize) -> bool {
        self.request(requested);
        // Blocks have an even number of bytes, so bit 0 stays. Its Release pairs with the Acquire in `get`.
        // SAFETY: the caller's constant, which debug builds check.
        unsafe { instructions::subtract_at::<_, AT>(heap, &self.left, bytes) }
    }

    /// Where `left` lies here.
    pub const LEFT: usize = core::mem::offset_of!(Outstanding, left);

    /// Counts more requested bytes (modulo 2^64: less) of blocks that are outstanding.
    #[inline(always)]
    pub fn request(&self, more: usize) {
        self.asked.store(self.asked.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Counts a free. `slack`: bytes of the block that were not requested.
    #[inline(always)]
    pub fn subtract(&self, bytes: usize, slack: usize) {
        self.request(slack);
        // Release pairs with the Acquire in `get` and `requested`.
        self.back.store(self.back.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Release);
    }

    /// Grants an allowance of `bytes` (rounded down to even) and returns how much of the old one was used. The value
    /// itself does not change: one store switches both the rest and the sum that it belongs to.
    pub fn allow(&self, bytes: usize) -> usize {
        let (bytes, left) = (bytes & !1, self.left.load(Ordering::Relaxed));
        let (more, turn) = (bytes.wrapping_sub(left & !1), left & 1);
        let allowed = self.allowed[turn].load(Ordering::Relaxed).wrapping_add(more);
        self.allowed[turn ^ 1].store(allowed, Ordering::Relaxed);
        // Release pairs with the Acquire in `get`, here and in `add`.
        self.left.store(bytes | turn ^ 1, Ordering::Release);
        more
    }

    /// The outstanding bytes, modulo 2^64.
    pub fn get(&self) -> usize {
        let mut outstanding = 0;
        for _ in 0..TRIES {
            let left = self.left.load(Ordering::Acquire);
            let allowed = self.allowed[left & 1].load(Ordering::Acquire);
            let back = self.back.load(Ordering::Acquire);
            outstanding = allowed.wrapping_sub(left & !1).wrapping_sub(back);
            // `left` only falls until the other entry is current. So nothing was allocated between two equal reads,
            // and `back` is of such a moment. After two switches in between, the reader sees another sum.
            let same = self.left.load(Ordering::Acquire) == left;
            if same && self.allowed[left & 1].load(Ordering::Relaxed) == allowed {
                break;
            }
        }
        outstanding
    }

    /// The outstanding requested bytes, modulo 2^64.
    pub fn requested(&self) -> usize {
        let mut outstanding = 0;
        for _ in 0..TRIES {
            let back = self.back.load(Ordering::Acquire);
            let asked = self.asked.load(Ordering::Acquire);
            outstanding = asked.wrapping_sub(back);
            // Nothing was freed between two equal reads but the slack of one block at most.
            if self.back.load(Ordering::Relaxed) == back {
                break;
            }
        }
        outstanding
    }

    /// As `requested`, for the heap's thread.
    #[inline]
    pub fn requested_own(&self) -> usize {
        self.asked.load(Ordering::Relaxed).wrapping_sub(self.back.load(Ordering::Relaxed))
    }

    /// As `get`, for the heap's thread.
    #[inline]
    pub fn get_own(&self) -> usize {
        let left = self.left.load(Ordering::Relaxed);
        let allowed = self.allowed[left & 1].load(Ordering::Relaxed);
        allowed.wrapping_sub(left & !1).wrapping_sub(self.back.load(Ordering::Relaxed))
    }

    /// A value that changes with nearly every allocation and every free.
    pub fn activity(&self) -> usize {
        self.left.load(Ordering::Relaxed).wrapping_mul(31).wrapping_add(self.back.load(Ordering::Relaxed))
    }

    /// Resets it to "nothing was ever allocated".
    pub fn clear(&self) {
        let [first, second] = &self.allowed;
        [&self.left, first, second, &self.back, &self.asked]
            .into_iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn add(out: &Outstanding, bytes: usize, requested: usize) -> bool {
        out.add::<_, { Outstanding::LEFT }>(out, bytes, requested)
    }

    #[test]
    fn what_is_out_is_told_whatever_is_allowed() {
        let out = Outstanding::default();
        assert!(add(&out, 16, 9), "nothing was allowed yet");
        out.allow(101);
        assert_eq!((out.get(), out.requested()), (16, 9));
        assert!(!add(&out, 64, 60) && !add(&out, 32, 32));
        assert!(add(&out, 16, 1), "100 were allowed");
        out.subtract(64, 4);
        assert_eq!((out.get(), out.get_own()), (64, 64));
        assert_eq!((out.requested(), out.requested_own()), (42, 42));
        out.request(6);
        out.request(0usize.wrapping_sub(3));
        assert_eq!(out.requested(), 45);
        assert_eq!(out.allow(1000), 1000 - 100 + 112);
        assert_eq!(out.get(), 64);
        out.subtract(96, 0);
        assert_eq!(out.get(), 0usize.wrapping_sub(32), "it may be another heap's block");
        out.clear();
        assert_eq!((out.get(), out.requested()), (0, 0));
    }

    #[test]
    fn po_32_a_thread_that_is_stopped_in_the_middle_misleads_nobody() {
        use core::sync::atomic::AtomicBool;
        use std::time::{Duration, Instant};
        static OVER: AtomicBool = AtomicBool::new(false);
        static OUTS: [Outstanding; 64] = [const { Outstanding::new() }; 64];
        static TURNS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
        let write = |writer: usize| {
            let out = &OUTS[writer];
            while !OVER.load(Ordering::Relaxed) {
                out.allow(1 << 20);
                add(out, 64, 64);
                out.allow(0);
                out.subtract(64, 0);
                TURNS[writer].fetch_add(1, Ordering::Relaxed);
            }
        };
        let writers: Vec<_> = (0..OUTS.len()).map(|writer| std::thread::spawn(move || write(writer))).collect();
        let start = Instant::now();
        let (mut wrong, mut between) = (0, 0);
        // Long enough, and until every writer was stopped in the middle of its turns with a reader looking: else
        // nothing was tested.
        let turns = || TURNS.iter().map(|turns| turns.load(Ordering::Relaxed));
        while start.elapsed() < Duration::from_millis(500) || turns().any(|turns| turns < 100) || between == 0 {
            assert!(start.elapsed() < Duration::from_secs(120), "turns: {:?}, seen: {between}", turns().min());
            for out in &OUTS {
                let seen = out.get() as isize;
                // A reader that gives up may have missed some that came back.
                wrong += usize::from(seen.unsigned_abs() > 1 << 19);
                between += usize::from(seen != 0);
            }
        }
        OVER.store(true, Ordering::Relaxed);
        assert!(writers.into_iter().all(|writer| writer.join().is_ok()));
        assert_eq!(wrong, 0);
    }

    #[test]
    fn po_32_a_reader_never_sees_an_allowance() {
        use core::sync::atomic::AtomicBool;
        use std::time::{Duration, Instant};
        static OUT: Outstanding = Outstanding::new();
        static OVER: AtomicBool = AtomicBool::new(false);
        static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        const VALUES: [usize; 2] = [1 << 10, (1 << 10) + 64];
        OUT.allow(1 << 20);
        add(&OUT, VALUES[0], VALUES[0]);
        let reader = std::thread::spawn(|| {
            while !OVER.load(Ordering::Relaxed) {
                let seen = OUT.get();
                let value = VALUES.iter().position(|&value| value == seen);
                SEEN[value.unwrap_or_else(|| panic!("{seen} bytes outstanding"))].fetch_add(1, Ordering::Relaxed);
            }
        });
        // Long enough for a consistent read, so that the reader never gives up.
        let pause = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(2) {}
        };
        let start = Instant::now();
        let mut turn = 0;
        while turn < 50_000 || SEEN.iter().any(|count| count.load(Ordering::Relaxed) < 100) {
            assert!(
                start.elapsed() < Duration::from_secs(120) && !reader.is_finished(),
                "turns: {turn}, seen: {SEEN:?}"
            );
            add(&OUT, 64, 64);
            pause();
            if turn % 3 == 0 {
                OUT.allow(1 << 20);
                pause();
            }
            OUT.subtract(64, 0);
            pause();
            turn += 1;
        }
        OVER.store(true, Ordering::Relaxed);
        assert!(reader.join().is_ok());
    }
}
