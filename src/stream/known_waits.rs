//! The waits of a queue for other queues that were enqueued already: the last tick of each of a few queues.

/// Number of other queues whose last tick is stored.
const MAX_QUEUES: usize = 8;

/// Guarded by the queue's lock.
pub struct KnownWaits {
    known: [KnownWait; MAX_QUEUES],
}

#[derive(Clone, Copy)]
struct KnownWait {
    /// The number of the other queue plus one; 0: none.
    queue_plus_1: u32,
    tick: u64,
}

impl KnownWaits {
    /// Nothing is known.
    pub const NONE: KnownWaits = KnownWaits { known: [KnownWait { queue_plus_1: 0, tick: 0 }; MAX_QUEUES] };

    /// Whether new work is ordered after a tick of a queue.
    pub fn has(&self, queue: u32, tick: u64) -> bool {
        self.known.iter().any(|known| known.queue_plus_1 == queue + 1 && known.tick >= tick)
    }

    /// New work is ordered after a tick of a queue from now on. All ticks come from one clock, so the oldest entry is replaced.
    pub fn learn(&mut self, queue: u32, tick: u64) {
        let same = self.known.iter_mut().find(|known| known.queue_plus_1 == queue + 1);
        let entry = match same {
            Some(entry) => Some(entry),
            None => self.known.iter_mut().min_by_key(|known| known.tick),
        };
        if let Some(entry) = entry {
            let before = if entry.queue_plus_1 == queue + 1 { entry.tick } else { 0 };
            *entry = KnownWait { queue_plus_1: queue + 1, tick: tick.max(before) };
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
        (0..MAX_QUEUES as u32).for_each(|queue| known.learn(20 + queue, 100 + u64::from(queue)));
        assert!(!known.has(3, 1), "the oldest entry was replaced");
        assert!((0..MAX_QUEUES as u32).all(|queue| known.has(20 + queue, 100)));
    }
}
