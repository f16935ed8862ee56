//! What a queue is known to come after, because it was made to wait: for a few other queues, the last tick.

/// Queues of which one remembers that it waited for them.
const PLACES: usize = 8;

/// Guarded by the queue.
pub struct KnownWaits {
    /// Number of the other queue plus one, 0: none; and its tick.
    known: [(u32, u64); PLACES],
}

impl KnownWaits {
    /// Nothing is known.
    pub const NONE: KnownWaits = KnownWaits { known: [(0, 0); PLACES] };

    /// Whether what comes next is ordered after that tick of that queue.
    pub fn has(&self, queue: u32, tick: u64) -> bool {
        self.known.iter().any(|known| known.0 == queue + 1 && known.1 >= tick)
    }

    /// It is from now on. Ticks are those of one clock, so the oldest is the one that is needed least.
    pub fn learn(&mut self, queue: u32, tick: u64) {
        let same = self.known.iter_mut().find(|known| known.0 == queue + 1);
        let place = match same {
            Some(place) => Some(place),
            None => self.known.iter_mut().min_by_key(|known| known.1),
        };
        if let Some(place) = place {
            *place = (queue + 1, tick.max(if place.0 == queue + 1 { place.1 } else { 0 }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_waits_are_remembered() {
        let mut order = KnownWaits::NONE;
        assert!(!order.has(0, 0));
        order.learn(3, 10);
        order.learn(3, 7);
        assert!(order.has(3, 10) && order.has(3, 2) && !order.has(3, 11) && !order.has(4, 1));
        (0..PLACES as u32).for_each(|queue| order.learn(20 + queue, 100 + u64::from(queue)));
        assert!(!order.has(3, 1), "the oldest made room");
        assert!((0..PLACES as u32).all(|queue| order.has(20 + queue, 100)));
    }
}
