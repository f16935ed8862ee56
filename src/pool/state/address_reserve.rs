//! Addresses that a pool has reserved and not committed: the rest of its growth steps.
//!
//! Contract: that of `books`, under the same lock. Nothing here holds memory: a room counts in `address_bytes` alone. Few
//! are kept; what finds no place is handed out to be given back.

use super::{Books, Piece};
use crate::device::host::GRANULE;
use crate::pool::backing::huge::UNIT;
use crate::types::TN_POOL_DIRECT;

/// Rooms that a pool keeps.
pub(super) const ROOMS: usize = 8;

/// A range of addresses; empty: none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    start: usize,
    end: usize,
}

impl Room {
    fn bytes(&self) -> usize {
        self.end - self.start
    }
    /// Where a range of such an alignment would begin, if it fits.
    fn fit(&self, bytes: usize, alignment: usize) -> Option<usize> {
        let start = self.start.checked_next_multiple_of(alignment)?;
        (self.start < self.end && start.checked_add(bytes)? <= self.end).then_some(start)
    }
}

impl Books {
    /// Addresses for so many bytes, from the smallest room that has them. They are the caller's, and count nowhere.
    pub fn take_room(&mut self, bytes: usize, alignment: usize) -> Option<usize> {
        let free = self.rooms.iter().position(|room| room.bytes() == 0);
        // What lies in front of an aligned start becomes a room of its own.
        let fits = |room: &Room| {
            let start = room.fit(bytes, alignment)?;
            (start == room.start || start + bytes == room.end || free.is_some()).then_some(start)
        };
        let (at, start) = self
            .rooms
            .iter()
            .enumerate()
            .filter_map(|(at, room)| Some((at, fits(room)?)))
            .min_by_key(|&(at, _)| self.rooms[at].bytes())?;
        let room = self.rooms[at];
        let (front, back) = (Room { start: room.start, end: start }, Room { start: start + bytes, end: room.end });
        match (front.bytes(), back.bytes()) {
            (0, _) => self.rooms[at] = back,
            (_, 0) => self.rooms[at] = front,
            _ => {
                self.rooms[at] = back;
                if let Some(free) = free {
                    self.rooms[free] = front;
                }
            }
        }
        self.figures.address_bytes -= bytes as u64;
        Some(start)
    }

    /// Keeps addresses that were reserved and are not needed yet. What has no place is to be given back.
    pub fn add_room(&mut self, start: usize, bytes: usize) -> Option<Piece> {
        let mut room = Room { start, end: start + bytes };
        self.figures.address_bytes += bytes as u64;
        let smallest = self.rooms.iter_mut().min_by_key(|room| room.bytes())?;
        if smallest.bytes() < room.bytes() {
            core::mem::swap(smallest, &mut room);
        }
        self.leave_room(room)
    }

    /// Takes a room out, to be given back.
    pub fn drop_room(&mut self) -> Option<Piece> {
        let at = self.rooms.iter().position(|room| room.bytes() > 0)?;
        let room = core::mem::take(&mut self.rooms[at]);
        self.leave_room(room)
    }

    fn leave_room(&mut self, room: Room) -> Option<Piece> {
        self.figures.address_bytes -= room.bytes() as u64;
        self.figures.device_free_count += u64::from(room.bytes() > 0);
        (room.bytes() > 0).then(|| Piece { start: room.start, bytes: room.bytes(), segment: None })
    }

    /// Bytes that the device must be asked for where so many are needed.
    pub fn least(&self, needed: usize) -> usize {
        needed.next_multiple_of(self.settings.terms.granule)
    }

    /// How many addresses to reserve where so many bytes are needed: a step of the pool's growth. From an upstream that is memory, so only
    /// what the limit has room for.
    pub fn step(&self, needed: usize) -> usize {
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return needed;
        }
        let committed = self.figures.reserved_bytes as f64;
        // A number beyond usize becomes the largest one.
        let step = ((committed * (self.settings.growth - 1.0)) as usize).min(self.settings.max_growth);
        let unit = if step >= UNIT { UNIT } else { GRANULE };
        let step = step.checked_next_multiple_of(unit).map_or(needed, |step| self.least(step.max(needed)));
        if self.settings.terms.joins || !self.over_limit(step) { step } else { needed }
    }
}
