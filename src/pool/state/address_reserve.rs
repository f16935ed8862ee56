//! Addresses that a pool has reserved and not committed: the rest of its growth steps.
//!
//! Contract: under the lock of the pool. A reserve holds no memory. A pool keeps a few; others go back to the system.

/// Most reserves of a pool.
const RESERVES: usize = 8;

/// A range of addresses; empty: none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AddressReserve {
    pub start: usize,
    end: usize,
}

impl AddressReserve {
    pub fn bytes(&self) -> usize {
        self.end - self.start
    }
    /// Where a range of that size and alignment would begin, if it fits.
    fn fit(&self, bytes: usize, alignment: usize) -> Option<usize> {
        let start = self.start.checked_next_multiple_of(alignment)?;
        (self.start < self.end && start.checked_add(bytes)? <= self.end).then_some(start)
    }
}

/// The reserves of one pool.
#[derive(Default)]
pub(super) struct AddressReserves([AddressReserve; RESERVES]);

impl AddressReserves {
    /// Takes addresses from the smallest reserve that has them.
    pub fn take(&mut self, bytes: usize, alignment: usize) -> Option<usize> {
        let free = self.0.iter().position(|reserve| reserve.bytes() == 0);
        // Addresses in front of an aligned start become a reserve of their own.
        let fits = |reserve: &AddressReserve| {
            let start = reserve.fit(bytes, alignment)?;
            (start == reserve.start || start + bytes == reserve.end || free.is_some()).then_some(start)
        };
        let (at, start) = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(at, reserve)| Some((at, fits(reserve)?)))
            .min_by_key(|&(at, _)| self.0[at].bytes())?;
        let reserve = self.0[at];
        let (front, back) = (
            AddressReserve { start: reserve.start, end: start },
            AddressReserve { start: start + bytes, end: reserve.end },
        );
        match (front.bytes(), back.bytes()) {
            (0, _) => self.0[at] = back,
            (_, 0) => self.0[at] = front,
            _ => {
                self.0[at] = back;
                if let Some(free) = free {
                    self.0[free] = front;
                }
            }
        }
        Some(start)
    }

    /// Takes addresses from a reserve that begins there. False: none does, or it has fewer.
    pub fn take_at(&mut self, start: usize, bytes: usize) -> bool {
        let found = self.0.iter_mut().find(|reserve| reserve.start == start && reserve.bytes() >= bytes);
        found.map(|reserve| reserve.start += bytes).is_some()
    }

    /// Keeps a range. Returns the smallest of all, which has no place any more; it may be empty.
    pub fn put(&mut self, start: usize, bytes: usize) -> AddressReserve {
        let mut reserve = AddressReserve { start, end: start + bytes };
        if let Some(smallest) = self.0.iter_mut().min_by_key(|reserve| reserve.bytes())
            && smallest.bytes() < reserve.bytes()
        {
            core::mem::swap(smallest, &mut reserve);
        }
        reserve
    }

    /// Removes one. None: there is none.
    pub fn remove_any(&mut self) -> Option<AddressReserve> {
        self.0.iter_mut().find(|reserve| reserve.bytes() > 0).map(core::mem::take)
    }
}
