//! The waits of a stream for other streams that were enqueued already: the last tick of each of a few streams.

/// Number of other streams whose last tick is stored.
const MAX_STREAMS: usize = 8;

/// Guarded by the stream's lock.
pub struct KnownWaits {
    known: [KnownWait; MAX_STREAMS],
}

#[derive(Clone, Copy)]
struct KnownWait {
    /// The number of the other stream plus one; 0: none.
    queue_plus_1: u32,
    tick: u64,
}

impl KnownWaits {
    /// Nothing is known.
    pub const NONE: KnownWaits = KnownWaits { known: [KnownWait { queue_plus_1: 0, tick: 0 }; MAX_STREAMS] };

    /// Whether new work is ordered after a tick of a stream.
    pub fn has(&self, stream: u32, tick: u64) -> bool {
        self.known.iter().any(|known| known.queue_plus_1 == stream + 1 && known.tick >= tick)
    }

    /// New work is ordered after a tick of a stream from now on. All ticks come from one clock, so the oldest entry is
    /// replaced.
    pub fn learn(&mut self, stream: u32, tick: u64) {
        let same = self.known.iter_mut().find(|known| known.queue_plus_1 == stream + 1);
        let entry = match same {
            Some(entry) => Some(entry),
            None => self.known.iter_mut().min_by_key(|known| known.tick),
        };
        if let Some(entry) = entry {
            let before = if entry.queue_plus_1 == stream + 1 { entry.tick } else { 0 };
            *entry = KnownWait { queue_plus_1: stream + 1, tick: tick.max(before) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_waits_are_stored() {
        let mut known = KnownWaits::NONE;
        assert!(!known.has(0, 0));
        known.learn(3, 10);
        known.learn(3, 7);
        assert!(known.has(3, 10) && known.has(3, 2) && !known.has(3, 11) && !known.has(4, 1));
        (0..MAX_STREAMS as u32).for_each(|stream| known.learn(20 + stream, 100 + u64::from(stream)));
        assert!(!known.has(3, 1), "the oldest entry was replaced");
        assert!((0..MAX_STREAMS as u32).all(|stream| known.has(20 + stream, 100)));
    }
}
