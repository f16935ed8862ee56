//! Mappings of the process: reservations that the host cannot touch, parts of files, host memory, and the junk in fresh
//! memory.

use crate::base::random::Random;
use crate::base::status::*;

pub const PAGE_BYTES: u64 = 4096;
/// Memory that the host may access is filled with junk at once, but above this size only at both ends.
const MAX_JUNK_BYTES: u64 = 2 << 20;

/// An unreadable mapping of `size` bytes, somewhere.
pub fn reserve(size: u64) -> Answer<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    map(None, size, libc::PROT_NONE, flags, -1, 0)
}

/// An unreadable mapping at exactly `place`, if nothing is mapped there.
pub fn reserve_at(place: usize, size: u64) -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: replaces nothing.
    let got = unsafe { libc::mmap(place as *mut libc::c_void, size as usize, libc::PROT_NONE, flags, -1, 0) };
    (got != libc::MAP_FAILED).then_some(got as usize)
}

/// Replaces part of a reservation, which had memory, by an unreadable mapping.
pub fn reserve_again(place: usize, size: u64) -> Answer {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    map(Some(place), size, libc::PROT_NONE, flags, -1, 0).map(|_| ())
}

/// Maps part of a file at `place`, replacing what is mapped there; None: anywhere.
pub fn map_file(file: i32, offset: u64, size: u64, place: Option<usize>) -> Answer<usize> {
    map(place, size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE, file, offset)
}

/// Host memory of the driver's own: pinned or managed.
pub fn map_host(size: u64) -> Answer<usize> {
    map(None, size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
}

fn map(place: Option<usize>, size: u64, protection: i32, flags: i32, file: i32, offset: u64) -> Answer<usize> {
    let fixed = if place.is_some() { libc::MAP_FIXED } else { 0 };
    let at = place.unwrap_or(0) as *mut libc::c_void;
    // SAFETY: a new mapping, or one in place of part of a reservation of ours.
    let got = unsafe { libc::mmap(at, size as usize, protection, flags | fixed, file, offset as i64) };
    if got == libc::MAP_FAILED { Err(OUT_OF_MEMORY) } else { Ok(got as usize) }
}

pub fn unmap(place: u64, size: u64) {
    if size > 0 {
        // SAFETY: a mapping of ours that no region refers to any more.
        unsafe { libc::munmap(place as *mut libc::c_void, size as usize) };
    }
}

/// Fills fresh memory with junk, so that no program relies on zeros.
pub fn fill_with_junk(bytes: usize, size: u64, random: &mut Random) {
    let edge = size.min(MAX_JUNK_BYTES);
    let parts = if size > MAX_JUNK_BYTES { [(0, edge / 2), (size - edge / 2, edge / 2)] } else { [(0, size), (0, 0)] };
    let mut junk = [0_u64; 128];
    junk.iter_mut().for_each(|word| *word = random.next());
    for (start, length) in parts {
        for at in (0..length).step_by(size_of_val(&junk)) {
            let part = (length - at).min(size_of_val(&junk) as u64) as usize;
            // SAFETY: inside the allocation whose bytes these are.
            unsafe {
                let to = (bytes as u64 + start + at) as *mut u8;
                std::ptr::copy_nonoverlapping(junk.as_ptr().cast(), to, part);
            }
        }
    }
}

/// The NUMA node that the calling thread prefers for new memory, if its policy names one.
pub fn preferred_numa_node() -> Option<u32> {
    const DEFAULT: libc::c_int = 0;
    let (mut mode, mut mask) = (DEFAULT, [0_u64; 16]);
    let bits = 8 * size_of_val(&mask);
    // SAFETY: writes the number and the mask, which are ours.
    let code = unsafe { libc::syscall(libc::SYS_get_mempolicy, &mut mode, mask.as_mut_ptr(), bits, 0_usize, 0_usize) };
    if code != 0 || mode == DEFAULT {
        return None;
    }
    let word = mask.iter().position(|word| *word != 0)?;
    Some(64 * word as u32 + mask[word].trailing_zeros())
}
