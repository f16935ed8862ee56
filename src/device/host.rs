//! The host as a device: anonymous mappings.
//!
//! Contract: a reserved range is mapped at once, and pages are allocated at first touch. So `commit` costs nothing and
//! cannot fail; only the pool tracks what is committed. Memory reads 0 when it is committed for the first time.

pub use super::interface::GRANULE;
use super::interface::{Device, Terms};
use crate::error::Result;
use crate::sys::file::Errno;
use crate::sys::{machine, os};
use crate::types::*;

/// The host's memory.
pub struct Host;

/// The only host.
pub static HOST: Host = Host;

/// The system is asked for the resident pages of a range from this size on, before the range is cleared. Smaller ranges
/// are usually in the processor's cache, and clearing them is cheap.
const SCAN_MIN_BYTES: usize = 32 << 20;
/// The first scan stops after this part of a range is found resident; as a divisor.
const SCAN_PART: usize = 128;
/// Positions that are sampled after a first scan that stopped early.
const SAMPLES: usize = 4;
/// Most scans of one range.
const SCANS: usize = 64;

impl Host {
    /// As [`Device::reserve`], at an address, a multiple of the granule. False: the system refuses, or has something
    /// there.
    pub fn reserve_at(&self, start: usize, bytes: usize, node: u32) -> bool {
        let mapped = os::map_at(start, bytes);
        if let Some(node) = node.checked_sub(1).filter(|_| mapped) {
            os::prefer_node(start, bytes, node);
        }
        mapped
    }
}

impl Device for Host {
    fn terms(&self) -> Terms {
        Terms {
            granule: GRANULE,
            page: os::page_bytes(),
            refusal: TN_ERR_NO_HOST_MEMORY,
            joins: true,
            splits: true,
            moves: true,
            keeps: false,
            whole: false,
            zeroed: true,
            touch: true,
            ordered: false,
            in_order: false,
        }
    }

    fn last_refusal(&self) -> Option<Errno> {
        Errno::no_memory_by_limit()
    }

    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>> {
        let Some(start) = os::map(bytes, alignment.max(GRANULE)) else { return Ok(None) };
        if let Some(node) = node.checked_sub(1) {
            os::prefer_node(start, bytes, node);
        }
        Ok(Some(start))
    }

    fn reserves_ahead(&self) -> bool {
        machine::reserves_freely()
    }

    unsafe fn set_huge(&self, start: usize, bytes: usize, how: tn_huge_pages) -> bool {
        // SAFETY: the caller's obligation.
        unsafe {
            match how {
                TN_HUGE_NEVER => os::advise_huge(start, bytes, false),
                TN_HUGE_EXPLICIT => os::map_huge(start, bytes),
                _ => os::advise_huge(start, bytes, true),
            }
        }
    }

    fn commit(&self, _start: usize, _bytes: usize) -> bool {
        true
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        // SAFETY: the caller's obligation is that of both calls.
        unsafe {
            if os::unmap(start, bytes) {
                return true;
            }
            os::discard(start, bytes);
        }
        false
    }

    unsafe fn discard(&self, start: usize, bytes: usize, _zero: bool) -> bool {
        // SAFETY: the caller's obligation.
        unsafe { os::discard(start, bytes) }
    }

    unsafe fn prefault(&self, start: usize, bytes: usize) {
        // SAFETY: the caller's obligation.
        unsafe { os::populate(start, bytes) };
    }

    unsafe fn move_pages(&self, old: usize, old_bytes: usize, to: usize, new_bytes: usize) -> bool {
        // SAFETY: the caller's obligation.
        unsafe { os::remap(old, old_bytes, to, new_bytes) }
    }

    unsafe fn move_parts(&self, parts: &[(usize, usize)], to: usize) -> bool {
        let start = parts.first().map_or(to, |part| part.0);
        for (done, &(at, bytes)) in parts.iter().enumerate() {
            // SAFETY: the caller's obligation; the old addresses stay mapped.
            if unsafe { os::remap_contents(at, bytes, to + (at - start)) } {
                continue;
            }
            // The parts that were moved already are copied back: their old addresses are still mapped.
            for &(at, bytes) in &parts[..done] {
                let there = to + (at - start);
                // SAFETY: both ranges are mapped, have that many bytes, and are not in use.
                unsafe {
                    self.copy(at, there, bytes);
                    os::discard(there, bytes);
                }
            }
            return false;
        }
        let bytes = parts.iter().map(|part| part.1).sum();
        // SAFETY: moved above, and not used again. Addresses that the system refuses to unmap hold no memory.
        unsafe { os::unmap(start, bytes) };
        true
    }

    // Pages are cleared and not given back to be faulted in again: measured with 1 to 256 MiB that are written
    // afterwards, that would take 4 to 15 times as long with small pages, and 0.8 to 1.9 times with huge ones.
    unsafe fn clear(&self, start: usize, bytes: usize) -> usize {
        let pages = if bytes < SCAN_MIN_BYTES { None } else { os::Pages::open() };
        let Some(pages) = pages else {
            // SAFETY: the caller's obligation.
            unsafe { self.fill(start, bytes, 0) };
            return 0;
        };
        let end = start + bytes;
        let mut parts = [(0, 0); 16];
        let (mut count, mut seen) = pages.present(start, end, bytes / SCAN_PART, &mut parts);
        // Resident at the beginning and at every sample: the whole range was probably written.
        if seen < end && (1..=SAMPLES).all(|n| pages.has(start + (bytes - 1) / SAMPLES * n)) {
            // SAFETY: the caller's obligation.
            unsafe { self.fill(start, bytes, 0) };
            return 0;
        }
        let (mut at, mut skipped) = (start, 0);
        for _ in 0..SCANS {
            for &(from, to) in &parts[..count] {
                let (from, to) = (from.clamp(at, end), to.clamp(at, end));
                // SAFETY: the caller's obligation; the part lies in the range.
                unsafe { self.fill(from, to - from, 0) };
                (at, skipped) = (to, skipped + from - at);
            }
            (at, skipped) = (seen.max(at), skipped + seen.saturating_sub(at));
            if at >= end {
                return skipped;
            }
            (count, seen) = pages.present(at, end, usize::MAX, &mut parts);
        }
        // SAFETY: as above.
        unsafe { self.fill(at, end - at, 0) };
        skipped
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let memory = machine::memory();
        Some((memory.total, memory.free))
    }
}

impl Host {
    /// Fills what describes the host; the free and used memory too if `with_memory`. Leaves `size` alone.
    pub fn describe(&self, with_memory: bool, info: &mut tn_device_info) {
        let mut name = [0u8; 127];
        let length = os::processor_name(&mut name);
        for (to, &from) in info.name.iter_mut().zip(&name[..length]) {
            *to = from as _;
        }
        info.multiprocessors = os::processors() as i32;
        info.warp_size = 1;
        let memory = machine::memory();
        info.total_bytes = memory.total;
        if with_memory {
            info.free_bytes = memory.free;
            info.used_bytes = memory.total - memory.free;
        }
    }
}
