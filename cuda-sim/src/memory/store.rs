//! The memory file that holds all device bytes, so that mapped physical memory can appear in several places and in
//! other processes. Offsets are never used twice; the file is sparse, so bytes that were never written take no memory.

use super::pages::{self, PAGE_BYTES};
use super::process::Process;
use super::shared::{EventSlot, LIFE_BYTES, Life, SharedHandle};
use crate::base::status::*;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Store {
    file: Option<i32>,
    /// The end of the last part that was taken.
    end: u64,
    /// The slots of shared events: the offset of each by its address.
    event_slots: BTreeMap<usize, u64>,
}

impl Store {
    /// Moves the file to a new store, without the event slots.
    pub fn take_over(&mut self) -> Store {
        Store { file: self.file.take(), end: self.end, event_slots: BTreeMap::new() }
    }

    fn file(&mut self) -> Answer<i32> {
        if let Some(file) = self.file {
            return Ok(file);
        }
        // SAFETY: a name with its NUL; the result is checked.
        let file = unsafe { libc::memfd_create(c"cuda-sim".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(OPERATING_SYSTEM);
        }
        self.file = Some(file);
        Ok(file)
    }

    /// Takes `size` zero bytes; returns their offset.
    pub fn take(&mut self, size: u64) -> Answer<u64> {
        let file = self.file()?;
        let offset = self.end;
        let end = offset + size.next_multiple_of(PAGE_BYTES);
        // SAFETY: a file of ours, only ever made longer.
        if unsafe { libc::ftruncate(file, end as i64) } != 0 {
            return Err(OPERATING_SYSTEM);
        }
        self.end = end;
        Ok(offset)
    }

    /// Returns the memory behind part of the file to the system.
    pub fn punch_hole(&mut self, offset: u64, size: u64) {
        if let Some(file) = self.file {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: a file of ours; failing leaves the pages, which is a waste and no more.
            unsafe { libc::fallocate(file, mode, offset as i64, size as i64) };
        }
    }

    /// Maps part of the file at `place`, replacing what is mapped there; None: anywhere.
    pub fn map(&mut self, offset: u64, size: u64, place: Option<usize>) -> Answer<usize> {
        pages::map_file(self.file()?, offset, size, place)
    }

    /// A handle with which other processes reach part of the file.
    pub fn shared_handle(&mut self, offset: u64, size: u64, device: usize, life: u64) -> Answer<SharedHandle> {
        Ok(SharedHandle::new(self.file()?, offset, size, device as u64, life))
    }

    /// Makes a `Life`, of an allocation of this process: its offset, and where it is mapped.
    pub fn add_life(&mut self) -> Answer<(u64, Life)> {
        let offset = self.take(LIFE_BYTES)?;
        let place = self.map(offset, LIFE_BYTES, None)?;
        Ok((offset, Life::at(place, Process::own())))
    }

    /// Makes an `EventSlot`; returns its address.
    pub fn add_event_slot(&mut self) -> Answer<usize> {
        let offset = self.take(PAGE_BYTES)?;
        let place = self.map(offset, PAGE_BYTES, None)?;
        EventSlot::at(place).own();
        self.event_slots.insert(place, offset);
        Ok(place)
    }

    pub fn event_slot_offset(&self, place: usize) -> Option<u64> {
        self.event_slots.get(&place).copied()
    }
}
