//! What a queue is ordered after because it was made to wait: the last tick of each of a few other queues.

/// Other queues that a queue remembers.
const MAX_QUEUES: usize = 8;

/// Guarded by the queue's lock.
pub struct KnownWaits {
    /// The number of the other queue plus one, 0: none; and the tick.
    known: [(u32, u64); MAX_QUEUES],
}

impl KnownWaits {
    /// Nothing is known.
    pub const NONE: KnownWaits = KnownWaits { known: [(0, 0); MAX_QUEUES] };

    /// Whether new work is ordered after a tick of a queue.
    pub fn has(&self, queue: u32, tick: u64) -> bool {
        self.known.iter().any(|known| known.0 == queue + 1 && known.1 >= tick)
    }

    /// New work is ordered after a tick of a queue from now on. All ticks come from one clock, so the oldest entry is replaced.
    pub fn learn(&mut self, queue: u32, tick: u64) {
        let same = self.known.iter_mut().find(|known| known.0 == queue + 1);
        let entry = match same {
            Some(entry) => Some(entry),
            None => self.known.iter_mut().min_by_key(|known| known.1),
        };
        if let Some(entry) = entry {
            *entry = (queue + 1, tick.max(if entry.0 == queue + 1 { entry.1 } else { 0 }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_waits_are_remembered() {
        let mut known = KnownWaits::NONE;
        assert!(!known.has(0, 0));
        known.learn(3, 10);
        known.learn(3, 7);
        assert!(known.has(3, 10) && known.has(3, 2) && !known.has(3, 11) && !known.has(4, 1));
        (0..MAX_QUEUES as u32).for_each(|queue| known.learn(20 + queue, 100 + u64::from(queue)));
        assert!(!known.has(3, 1), "the oldest entry was replaced");
        assert!((0..MAX_QUEUES as u32).all(|queue| known.has(20 + queue, 100)));
    }
}
