//! How much free memory a pool keeps for what comes next.
//!
//! Contract: that of `state`. What was in use lately may stay: the recent peak of what spans in use had halves every
//! [`HALF_LIFE_MS`], so memory that is used again within moments is not faulted in again, and memory that nobody needs
//! goes back within a second or two. Memory goes back in portions, so that no call takes long. The idea of ages instead
//! of a threshold: jemalloc's decay ("Tick-based dirty page decay").

/// The time in which the peak halves. A step of a program that makes and drops its arrays takes less; a phase of a
/// program takes longer.
const HALF_LIFE_MS: u64 = 250;

/// The most bytes that all but free spans had, as remembered later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecentPeak {
    bytes: usize,
    since_ms: u64,
}

impl RecentPeak {
    /// Notes the bytes at a time.
    pub fn note(&mut self, bytes: usize, now: u64) {
        if bytes >= self.at(now) {
            *self = RecentPeak { bytes, since_ms: now };
        }
    }

    /// What is left of the peak: halves, and lines between them.
    pub fn at(&self, now: u64) -> usize {
        let age = now.saturating_sub(self.since_ms);
        let whole = self.bytes.checked_shr((age / HALF_LIFE_MS) as u32).unwrap_or(0);
        let part = (age % HALF_LIFE_MS) as usize;
        whole - (whole / 2).saturating_mul(part) / HALF_LIFE_MS as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{HALF_LIFE_MS, RecentPeak};

    #[test]
    fn a_peak_halves_smoothly() {
        let mut peak = RecentPeak::default();
        peak.note(1 << 30, 1000);
        assert_eq!(peak.at(1000), 1 << 30);
        for half in 1..=40 {
            assert_eq!(peak.at(1000 + half * HALF_LIFE_MS), (1_usize << 30).checked_shr(half as u32).unwrap_or(0));
        }
        let mut before = peak.at(1000);
        for ms in 1001..3000 {
            let now = peak.at(ms);
            assert!(now <= before && before - now <= (1 << 29) / HALF_LIFE_MS as usize + 1, "{ms}: {before} {now}");
            before = now;
        }
        assert_eq!(peak.at(u64::MAX), 0);
        assert_eq!(peak.at(0), 1 << 30, "clocks of threads may differ");
    }

    #[test]
    fn a_higher_peak_replaces_what_is_left() {
        let mut peak = RecentPeak::default();
        peak.note(1000, 0);
        peak.note(400, HALF_LIFE_MS / 2);
        assert_eq!(peak.at(HALF_LIFE_MS), 500);
        peak.note(600, HALF_LIFE_MS);
        assert_eq!((peak.at(HALF_LIFE_MS), peak.at(2 * HALF_LIFE_MS)), (600, 300));
    }
}
