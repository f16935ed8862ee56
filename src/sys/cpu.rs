//! The processor's features and cache size, queried once.
//!
//! Contract: the results never change, except that tests may limit the vectors ([`limit_vectors`]). All code paths that
//! are chosen by them produce equal bytes. Processors other than x86-64 and aarch64 use the portable loops. Any thread.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Levels of vector instructions on this architecture; each includes those below it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Vectors {
    /// Loops without vector instructions of their own.
    Portable = 1,
    /// Vectors of 32 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx2 = 2,
    /// Vectors of 64 bytes, also of single bytes (F, BW and VL).
    #[cfg(target_arch = "x86_64")]
    Avx512 = 3,
    /// Vectors of 16 bytes, which every aarch64 processor has.
    #[cfg(target_arch = "aarch64")]
    Neon = 2,
}

/// All levels in ascending order, for tests.
pub const VECTORS: &[Vectors] = &[
    Vectors::Portable,
    #[cfg(target_arch = "x86_64")]
    Vectors::Avx2,
    #[cfg(target_arch = "x86_64")]
    Vectors::Avx512,
    #[cfg(target_arch = "aarch64")]
    Vectors::Neon,
];

const BEST: Vectors = VECTORS[VECTORS.len() - 1];

/// The level in the low bits, whether `rep movsb` is fast, and the limit that tests set; 0: not queried yet.
static FOUND: AtomicU32 = AtomicU32::new(0);
const LEVEL: u32 = 0xff;
const FAST_STRINGS: u32 = 1 << 8;

static LIMIT: AtomicU32 = AtomicU32::new(BEST as u32);

/// The best vectors that may be used.
#[inline]
pub fn vectors() -> Vectors {
    level(found(), LIMIT.load(Ordering::Relaxed))
}

/// The best level that is both found and within the limit.
#[inline(always)]
fn level(found: u32, limit: u32) -> Vectors {
    match (found & LEVEL).min(limit) {
        #[cfg(target_arch = "x86_64")]
        3 => Vectors::Avx512,
        #[cfg(target_arch = "x86_64")]
        2 => Vectors::Avx2,
        #[cfg(target_arch = "aarch64")]
        2 => Vectors::Neon,
        _ => Vectors::Portable,
    }
}

/// Whether the string instructions are fast, also for short strings (ERMS and FSRM), and vectors are not limited.
#[inline]
pub fn has_fast_strings() -> bool {
    found() & FAST_STRINGS != 0 && LIMIT.load(Ordering::Relaxed) == BEST as u32
}

/// For tests: limits the vectors of the whole process to a level; the best level ends the limit.
pub fn limit_vectors(most: Vectors) {
    LIMIT.store(most as u32, Ordering::Relaxed);
}

/// Prefetches the cache line of an address, which need not be mapped.
#[inline(always)]
pub fn prefetch<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 processor has this instruction, and it cannot fault.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a hint, which cannot fault.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    let _ = address;
}

/// Prefetches the cache line of an address, which need not be mapped, into the second-level cache.
#[inline(always)]
pub fn prefetch_far<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 processor has this instruction, and it cannot fault.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a hint, which cannot fault.
    unsafe {
        core::arch::asm!("prfm pldl2keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    let _ = address;
}

#[inline]
fn found() -> u32 {
    match FOUND.load(Ordering::Relaxed) {
        0 => detect(),
        found => found,
    }
}

#[cold]
fn detect() -> u32 {
    let found = query_features();
    FOUND.store(found, Ordering::Relaxed);
    found
}

#[cfg(target_arch = "x86_64")]
fn query_features() -> u32 {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    use std::arch::is_x86_feature_detected as has;
    let level = if has!("avx512f") && has!("avx512bw") && has!("avx512vl") {
        Vectors::Avx512
    } else if has!("avx2") {
        Vectors::Avx2
    } else {
        Vectors::Portable
    };
    // Leaf 7: ERMS is bit 9 of ebx, FSRM bit 4 of edx.
    let strings = __cpuid(0).eax >= 7 && {
        let leaf = __cpuid_count(7, 0);
        leaf.ebx >> 9 & 1 == 1 && leaf.edx >> 4 & 1 == 1
    };
    level as u32 | if strings { FAST_STRINGS } else { 0 }
}

#[cfg(not(target_arch = "x86_64"))]
fn query_features() -> u32 {
    BEST as u32
}

/// The size of the last cache where the processor does not report one.
const USUAL_CACHE: usize = 32 << 20;

/// 0: not queried yet.
static CACHE: AtomicUsize = AtomicUsize::new(0);

/// The size in bytes of the largest cache that a core uses. The processor is queried, because the C library multiplies
/// the size by the number of such caches.
#[inline]
pub fn cache_bytes() -> usize {
    match CACHE.load(Ordering::Relaxed) {
        0 => {
            let bytes = cache_or_usual(query_cache_bytes());
            CACHE.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

/// The size that the processor reported, unless it is too small for the largest cache.
fn cache_or_usual(reported: usize) -> usize {
    if reported >= 1 << 20 { reported } else { USUAL_CACHE }
}

/// For tests: sets the size of the largest cache in bytes, for the whole process; 0 restores the real size.
pub fn pretend_cache(bytes: usize) {
    CACHE.store(bytes, Ordering::Relaxed);
}

#[cfg(target_arch = "x86_64")]
fn query_cache_bytes() -> usize {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    // The list of caches: leaf 4, or 0x8000001d on AMD processors with the topology extensions (bit 22 of ecx).
    let amd = __cpuid(0x8000_0000).eax >= 0x8000_001d && __cpuid(0x8000_0001).ecx >> 22 & 1 == 1;
    let leaf = match amd {
        true => 0x8000_001d,
        false if __cpuid(0).eax >= 4 => 4,
        false => return 0,
    };
    let caches = (0..8).map(|at| __cpuid_count(leaf, at)).take_while(|cache| cache.eax & 0x1f != 0);
    // Ways, partitions, bytes of a line, and sets, each minus 1.
    let field = |register: u32, low: u32, bits: u32| (register >> low & ((1 << bits) - 1)) as usize + 1;
    caches
        .map(|cache| {
            field(cache.ebx, 22, 10) * field(cache.ebx, 12, 10) * field(cache.ebx, 0, 12) * (cache.ecx as usize + 1)
        })
        .max()
        .unwrap_or(0)
}

#[cfg(not(target_arch = "x86_64"))]
fn query_cache_bytes() -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_takes_vectors_away_and_gives_them_back() {
        let best = vectors();
        for &limit in VECTORS {
            limit_vectors(limit);
            assert_eq!(vectors(), best.min(limit));
        }
        assert_eq!(vectors(), best);
    }

    /// Covers every level, not only that of this processor.
    #[test]
    fn the_level_is_the_lower_of_what_is_found_and_the_limit() {
        for &found in VECTORS {
            for &limit in VECTORS {
                let strings = if limit == Vectors::Portable { FAST_STRINGS } else { 0 };
                assert_eq!(level(found as u32 | strings, limit as u32), found.min(limit));
            }
        }
    }

    #[test]
    fn the_cache_is_the_processors_or_the_usual_one() {
        assert_eq!([0, 4096, (1 << 20) - 1].map(cache_or_usual), [USUAL_CACHE; 3]);
        assert_eq!([1 << 20, 48 << 20].map(cache_or_usual), [1 << 20, 48 << 20]);
        assert_eq!(cache_bytes(), cache_or_usual(query_cache_bytes()));
    }

    /// The system uses the same instruction; a virtual machine may hide the caches from both.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_cache_is_the_largest_that_the_system_lists() {
        let listed = (0..8).filter_map(|index| {
            let file = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
            std::fs::read_to_string(file).ok()?.trim().strip_suffix('K')?.parse::<usize>().ok()
        });
        assert_eq!(query_cache_bytes() >> 10, listed.max().unwrap_or(0));
    }
}
