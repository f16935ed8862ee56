//! Copies and sets plain bytes by the fastest method for their number on this processor (PH-15).
//!
//! Contract: [`copy`] is memmove, and [`set`] is memset with a pattern. Neither touches a byte outside its ranges, nor
//! forms a reference to one. `Limits` has the method for each size and kind of processor, from measurements in one
//! process (`cargo xtask bench copy`). Processors that were not measured use the C library's functions. Any thread.
//!
//! Measured on an x86-64 server with AVX-512 and fast strings, in GB/s, with glibc 2.36:
//!
//! | bytes | library | `rep movsb` | vectors | streamed | memset | `rep stosb` | vectors | streamed |
//! |---|---|---|---|---|---|---|---|---|
//! | 4 KiB | 150 | 144 | **263** | 21 | 149 | 150 | **263** | 27 |
//! | 16 KiB | 168 | 165 | **267** | 33 | 167 | 165 | **239** | 60 |
//! | 64 KiB | **133** | **133** | 97 | 39 | 171 | 170 | **248** | 81 |
//! | 512 KiB | **102** | **102** | 81 | 42 | 175 | 175 | **245** | 93 |
//! | 1 MiB | 61 | **72** | 57 | 42 | 174 | **174** | 153 | 91 |
//! | 4 MiB | 65 | **67** | 59 | 43 | 135 | **135** | 99 | 87 |
//! | 16 MiB | 37 | **50** | 37 | 40 | 117 | **129** | 58 | 71 |
//! | 256 MiB | 20 | **28** | 20 | 25 | 69 | **96** | 37 | **97** |
//!
//! On a virtual machine with AVX-512, fast strings and half that bandwidth, copies reach, in GB/s:
//!
//! | bytes | library | `rep movsb` | vectors | streamed | streamed, four pages at once |
//! |---|---|---|---|---|---|
//! | 16 MiB | 15.0 | 15.0 | 15.0 | 14.5 | 14.5 |
//! | 64 MiB | 7.8 | 8.7 | 8.4 | 13.3 | **14.4** |
//! | 256 MiB | 12.7 | 7.2 | 7.3 | 9.3 | **13.0** |
//!
//! So what is larger than most caches is streamed, four pages at once. Each page has a stream of the prefetcher, and
//! one row of the memory stays open for it.
//!
//! `rep movsb` is slow (18 GB/s at 256 MiB) if the destination is less than a cache line above the source modulo a
//! page, because the loads then wait for the stores. Such copies are streamed.
//!
//! On aarch64 nothing was measured, so all methods are the library's: glibc picks a memcpy for the processor (NEON,
//! SVE, or the copy instructions). The compiler makes pairs of NEON loads and stores of the loop that repeats a
//! pattern.

#[cfg(target_arch = "x86_64")]
use crate::sys::cpu;

/// The length of a pattern: a multiple of every item size.
const PATTERN_BYTES: usize = 64;

/// The pattern that [`set`] repeats.
#[derive(Clone, Copy)]
pub struct Pattern {
    /// The pattern twice, so that it can be read from any byte on.
    bytes: [[u8; 16]; 2 * PATTERN_BYTES / 16],
    /// Whether all bytes are equal.
    uniform: bool,
}

impl Pattern {
    /// The pattern of an item of 1, 2, 4, 8 or 16 bytes.
    #[inline]
    pub fn of(item: &[u8]) -> Pattern {
        let mut first = [0; 16];
        first[..item.len()].copy_from_slice(item);
        let first = u128::from_le_bytes(first);
        // A number whose items are all 1.
        let ones = match item.len() {
            16 => 1,
            bytes => u128::MAX / ((1 << (8 * bytes)) - 1),
        };
        let lane = first.wrapping_mul(ones);
        let uniform = lane == (lane & 0xff).wrapping_mul(u128::MAX / 0xff);
        Pattern { bytes: [lane.to_le_bytes(); 2 * PATTERN_BYTES / 16], uniform }
    }

    /// [`PATTERN_BYTES`] bytes of the pattern, from a given byte on.
    fn from(&self, at: usize) -> *const u8 {
        self.bytes.as_ptr().cast::<u8>().wrapping_add(at % PATTERN_BYTES)
    }
}

/// A method of copying or setting bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// The C library: memmove; for a set memset, or a loop if the pattern is not a single byte.
    Library,
    /// Vector instructions, through the caches.
    Vectors,
    /// The string instructions `rep movsb` and `rep stosb`.
    Strings,
    /// Vector instructions with non-temporal stores; copies interleave four pages.
    Streamed,
}

/// The size in bytes from which each method is used; the last entry that applies counts.
struct Limits {
    copy: [(usize, Method); 5],
    set: [(usize, Method); 3],
}

/// Processors with AVX-512 and fast strings.
#[cfg(target_arch = "x86_64")]
const WIDE_AND_STRINGS: Limits = Limits {
    copy: [
        (0, Method::Library),
        (2 << 10, Method::Vectors),
        (20 << 10, Method::Library),
        (768 << 10, Method::Strings),
        (32 << 20, Method::Streamed),
    ],
    set: [(0, Method::Library), (512, Method::Vectors), (768 << 10, Method::Strings)],
};

/// All other processors.
const UNMEASURED: Limits = Limits { copy: [(0, Method::Library); 5], set: [(0, Method::Library); 3] };

/// Below this size the C library is used on every processor, without a lookup.
const SMALL_BYTES: usize = 512;

fn limits() -> &'static Limits {
    #[cfg(target_arch = "x86_64")]
    if cpu::vectors() == cpu::Vectors::Avx512 && cpu::has_fast_strings() {
        return &WIDE_AND_STRINGS;
    }
    &UNMEASURED
}

fn choose(table: &[(usize, Method)], bytes: usize) -> Method {
    table.iter().rev().find(|(from, _)| bytes >= *from).map_or(Method::Library, |(_, method)| *method)
}

/// Copies `bytes` bytes; the ranges may overlap.
///
/// # Safety
/// - `src` may be read and `dst` written for `bytes` bytes; with 0 bytes neither is accessed.
#[inline]
pub unsafe fn copy(dst: *mut u8, src: *const u8, bytes: usize) {
    if bytes == 0 {
        return;
    }
    if bytes < SMALL_BYTES || (dst as usize).abs_diff(src as usize) < bytes {
        // SAFETY: the caller's obligation; `ptr::copy` allows the overlap.
        return unsafe { core::ptr::copy(src, dst, bytes) };
    }
    // SAFETY: the caller's obligation; the ranges do not overlap.
    unsafe { copy_disjoint(dst, src, bytes) };
}

/// The method by which a number of bytes is copied.
pub fn method(bytes: usize) -> Method {
    choose(&limits().copy, bytes)
}

/// # Safety
/// As `copy`, of ranges that do not overlap.
unsafe fn copy_disjoint(dst: *mut u8, src: *const u8, bytes: usize) {
    let method = method(bytes);
    if method == Method::Library {
        // SAFETY: the caller's obligation.
        return unsafe { core::ptr::copy_nonoverlapping(src, dst, bytes) };
    }
    // SAFETY: the caller's obligation.
    unsafe { copy_by(method, dst, src, bytes) };
    end(method);
}

/// Orders the stores of a method before later stores, as [`fence`]: string instructions may be streamed, too.
#[inline]
pub fn end(method: Method) {
    if matches!(method, Method::Strings | Method::Streamed) {
        fence();
    }
}

/// Orders streamed stores before later stores, by which other threads learn of the bytes.
#[inline]
pub fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has this instruction.
    unsafe {
        core::arch::x86_64::_mm_sfence();
    }
}

/// Copies by a method. Uses the C library if the processor lacks the instructions, and for small sizes. Streamed stores
/// are not ordered with later stores before [`fence`].
///
/// # Safety
/// As [`copy`], of ranges that do not overlap.
pub unsafe fn copy_by(method: Method, dst: *mut u8, src: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if bytes >= SMALL_BYTES {
        let wide = cpu::vectors() == cpu::Vectors::Avx512;
        // Less than a cache line above the source, modulo a page.
        let chases = (dst as usize).wrapping_sub(src as usize).wrapping_sub(1) % 4096 < 63;
        // SAFETY: the caller's obligation; the processor has the instructions.
        return unsafe {
            match method {
                Method::Vectors if wide => x86::copy::<false>(dst, src, bytes),
                Method::Streamed if wide => x86::copy::<true>(dst, src, bytes),
                Method::Strings if wide && chases => x86::copy::<true>(dst, src, bytes),
                Method::Strings => x86::copy_string(dst, src, bytes),
                _ => core::ptr::copy_nonoverlapping(src, dst, bytes),
            }
        };
    }
    let _ = method;
    // SAFETY: the caller's obligation.
    unsafe { core::ptr::copy_nonoverlapping(src, dst, bytes) };
}

/// Sets `bytes` bytes to one value.
///
/// # Safety
/// - `dst` may be written for `bytes` bytes.
#[inline]
pub unsafe fn fill(dst: *mut u8, value: u8, bytes: usize) {
    if bytes < SMALL_BYTES {
        // SAFETY: the caller's obligation.
        return unsafe { dst.write_bytes(value, bytes) };
    }
    // SAFETY: the caller's obligation.
    unsafe { set(dst, &Pattern::of(&[value]), bytes) };
}

/// Sets `bytes` bytes to a pattern that is repeated from the first one on.
///
/// # Safety
/// - `dst` may be written for `bytes` bytes.
pub unsafe fn set(dst: *mut u8, pattern: &Pattern, bytes: usize) {
    let method = choose(&limits().set, bytes);
    // SAFETY: the caller's obligation.
    unsafe { set_by(method, dst, pattern, bytes) };
    end(method);
}

/// Sets by a method. Uses the C library if the processor lacks the instructions, and for small sizes. Streamed stores
/// are not ordered with later stores before [`fence`].
///
/// # Safety
/// As [`set`].
pub unsafe fn set_by(method: Method, dst: *mut u8, pattern: &Pattern, bytes: usize) {
    let value = pattern.bytes[0][0];
    #[cfg(target_arch = "x86_64")]
    if bytes >= SMALL_BYTES {
        let wide = cpu::vectors() == cpu::Vectors::Avx512;
        // SAFETY: the caller's obligation; the processor has the instructions.
        unsafe {
            match method {
                Method::Vectors if wide => return x86::set::<false>(dst, pattern, bytes),
                Method::Streamed if wide => return x86::set::<true>(dst, pattern, bytes),
                Method::Strings if pattern.uniform => return x86::set_string(dst, value, bytes),
                Method::Strings if wide => return x86::set::<true>(dst, pattern, bytes),
                _ => {}
            }
        }
    }
    let _ = method;
    if pattern.uniform {
        // SAFETY: the caller's obligation.
        return unsafe { dst.write_bytes(value, bytes) };
    }
    let whole = bytes / PATTERN_BYTES * PATTERN_BYTES;
    for at in (0..whole).step_by(PATTERN_BYTES) {
        // SAFETY: inside the range. The constant length lets the compiler use vectors.
        unsafe { core::ptr::copy_nonoverlapping(pattern.from(0), dst.add(at), PATTERN_BYTES) };
    }
    // SAFETY: the rest of the range, shorter than a pattern.
    unsafe { core::ptr::copy_nonoverlapping(pattern.from(0), dst.add(whole), bytes - whole) };
}

/// The loops. Each begins with the bytes up to the first cache line of the destination, and ends with the rest of the
/// last one.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Pattern;
    use core::arch::asm;
    use core::arch::x86_64::*;

    /// The size of a vector, and of a cache line.
    const LINE_BYTES: usize = 64;
    /// Streamed copies interleave this many pages.
    const STREAMS: usize = 4;
    const PAGE_BYTES: usize = 4096;

    /// Bytes from `address` to the next cache line.
    fn to_line(address: *const u8) -> usize {
        (address as usize).wrapping_neg() % LINE_BYTES
    }

    /// # Safety
    /// - `bytes` is at least a line; `src` may be read and `dst` written for that many, and they do not overlap.
    pub unsafe fn copy_string(dst: *mut u8, src: *const u8, bytes: usize) {
        let head = to_line(dst);
        // SAFETY: the caller's obligation; the direction flag is clear by the platform's convention. Bytes that are
        // copied twice get equal values.
        unsafe {
            core::ptr::copy_nonoverlapping(src, dst, LINE_BYTES);
            asm!(
                "rep movsb",
                inout("rcx") bytes - head => _,
                inout("rdi") dst.add(head) => _,
                inout("rsi") src.add(head) => _,
                options(nostack, preserves_flags)
            );
        }
    }

    /// # Safety
    /// - `bytes` is at least a line; `dst` may be written for that many.
    pub unsafe fn set_string(dst: *mut u8, value: u8, bytes: usize) {
        let head = to_line(dst);
        // SAFETY: as in `copy_string`.
        unsafe {
            dst.write_bytes(value, LINE_BYTES);
            asm!(
                "rep stosb",
                inout("rcx") bytes - head => _,
                inout("rdi") dst.add(head) => _,
                in("al") value,
                options(nostack, preserves_flags)
            );
        }
    }

    /// # Safety
    /// - the processor has AVX-512;
    /// - `bytes` is at least two lines; `src` may be read and `dst` written for that many, and they do not overlap.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn copy<const STREAMED: bool>(dst: *mut u8, src: *const u8, bytes: usize) {
        let head = to_line(dst);
        let load = |at: usize| {
            // SAFETY: a vector inside of the source, by the bounds of the loops below.
            unsafe { _mm512_loadu_si512(src.add(at).cast()) }
        };
        let store = |at: usize, vector: __m512i| {
            // SAFETY: a vector inside of the destination, at a line.
            unsafe {
                match STREAMED {
                    true => _mm512_stream_si512(dst.add(at).cast(), vector),
                    false => _mm512_store_si512(dst.add(at).cast(), vector),
                }
            }
        };
        let (first, last) = (load(0), load(bytes - LINE_BYTES));
        let mut at = head;
        while STREAMED && at + STREAMS * PAGE_BYTES <= bytes {
            for line in (at..at + PAGE_BYTES).step_by(LINE_BYTES) {
                for stream in 0..STREAMS {
                    store(line + stream * PAGE_BYTES, load(line + stream * PAGE_BYTES));
                }
            }
            at += STREAMS * PAGE_BYTES;
        }
        while at + 4 * LINE_BYTES <= bytes {
            let vectors = [load(at), load(at + LINE_BYTES), load(at + 2 * LINE_BYTES), load(at + 3 * LINE_BYTES)];
            store(at, vectors[0]);
            store(at + LINE_BYTES, vectors[1]);
            store(at + 2 * LINE_BYTES, vectors[2]);
            store(at + 3 * LINE_BYTES, vectors[3]);
            at += 4 * LINE_BYTES;
        }
        while at + LINE_BYTES <= bytes {
            store(at, load(at));
            at += LINE_BYTES;
        }
        // SAFETY: the first and the last line of the destination; bytes that are written twice get equal values.
        unsafe {
            _mm512_storeu_si512(dst.cast(), first);
            _mm512_storeu_si512(dst.add(bytes - LINE_BYTES).cast(), last);
        }
    }

    /// # Safety
    /// - the processor has AVX-512;
    /// - `bytes` is at least a line; `dst` may be written for that many.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn set<const STREAMED: bool>(dst: *mut u8, pattern: &Pattern, bytes: usize) {
        let head = to_line(dst);
        let turned = |by: usize| {
            // SAFETY: a pattern is as long as a vector.
            unsafe { _mm512_loadu_si512(pattern.from(by).cast()) }
        };
        // SAFETY: the first line and the last one; each continues the pattern where it begins.
        unsafe {
            _mm512_storeu_si512(dst.cast(), turned(0));
            _mm512_storeu_si512(dst.add(bytes - LINE_BYTES).cast(), turned(bytes));
        }
        let vector = turned(head);
        let mut at = head;
        while at + LINE_BYTES <= bytes {
            // SAFETY: inside of the destination, at a line.
            unsafe {
                match STREAMED {
                    true => _mm512_stream_si512(dst.add(at).cast(), vector),
                    false => _mm512_store_si512(dst.add(at).cast(), vector),
                }
            }
            at += LINE_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHODS: [Method; 4] = [Method::Library, Method::Vectors, Method::Strings, Method::Streamed];

    #[test]
    fn every_method_copies_each_byte_and_no_other() {
        let source: Vec<u8> = (0..50_000u32).map(|at| (at * 7 + at / 251) as u8).collect();
        for method in METHODS {
            for bytes in [0, 1, 63, 511, 512, 513, 575, 640, 1000, 1024, 4096, 4099, 16_384, 16_447, 40_000] {
                for (to, from) in [(0, 0), (1, 0), (63, 5), (64, 64), (130, 131)] {
                    let mut target = vec![0xA5u8; 50_000];
                    // SAFETY: both vectors are longer.
                    unsafe { copy_by(method, target.as_mut_ptr().add(to), source.as_ptr().add(from), bytes) };
                    assert_eq!(target[to..to + bytes], source[from..from + bytes], "{method:?} {bytes} {to} {from}");
                    assert!(target[..to].iter().chain(&target[to + bytes..]).all(|byte| *byte == 0xA5));
                }
            }
        }
    }

    #[test]
    fn every_method_sets_each_byte_and_no_other() {
        let pattern: [u8; 16] = core::array::from_fn(|at| at as u8 + 1);
        for method in METHODS {
            for bytes in [0, 1, 64, 511, 512, 513, 600, 1000, 4096] {
                for (to, size) in [(0, 16), (1, 8), (77, 4), (5, 2), (9, 1)] {
                    let pattern = &pattern[..size];
                    let mut target = vec![0u8; 5000];
                    // SAFETY: the vector is longer.
                    unsafe { set_by(method, target.as_mut_ptr().add(to), &Pattern::of(pattern), bytes) };
                    let right = |(at, byte): (usize, &u8)| *byte == pattern[at % size];
                    assert!(target[to..to + bytes].iter().enumerate().all(right), "{method:?} {bytes} {to}");
                    assert!(target[..to].iter().chain(&target[to + bytes..]).all(|byte| *byte == 0));
                }
            }
        }
    }

    #[test]
    fn overlapping_ranges_are_moved() {
        for shift in [1usize, 64, 700] {
            let mut bytes: Vec<u8> = (0..4000u32).map(|at| (at * 13 + at / 256) as u8).collect();
            let before = bytes.clone();
            let base = bytes.as_mut_ptr();
            // SAFETY: inside of the vector.
            unsafe { copy(base.add(shift), base, 3000) };
            assert_eq!(bytes[shift..shift + 3000], before[..3000]);
            // SAFETY: as above.
            unsafe { copy(base, base.add(shift), 3000) };
            assert_eq!(bytes[..3000], before[..3000]);
        }
    }
}
