//! Ends of free spans behind which something else of the process lies, so that they cannot be extended.
//!
//! Contract: that of `state`, under the same lock. An end is remembered for a second, because what lies there may go.

/// As many ends are remembered; a later one replaces the oldest.
const ENDS: usize = 32;

/// How long an end is remembered.
const REMEMBERED_MS: u64 = 1000;

/// The ends, each with the time when it was found.
#[derive(Default)]
pub(super) struct ForeignEnds {
    ends: [(usize, u64); ENDS],
    next: usize,
}

impl ForeignEnds {
    /// Remembers an end.
    pub fn add(&mut self, end: usize, now: u64) {
        self.ends[self.next] = (end, now);
        self.next = (self.next + 1) % ENDS;
    }

    /// Whether the end was found less than a second ago.
    pub fn has(&self, end: usize, now: u64) -> bool {
        self.ends.iter().any(|(found, ms)| *found == end && now.saturating_sub(*ms) < REMEMBERED_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_remembered_for_a_second_and_until_others_replace_it() {
        let mut ends = ForeignEnds::default();
        ends.add(0x1000, 50);
        assert!(ends.has(0x1000, 50) && ends.has(0x1000, 1049));
        assert!(!ends.has(0x1000, 1050) && !ends.has(0x2000, 50));
        (1..ENDS).for_each(|at| ends.add(at << 16, 60));
        assert!(ends.has(0x1000, 60));
        ends.add(0x2000, 60);
        assert!(!ends.has(0x1000, 60) && ends.has(0x2000, 60));
    }
}
