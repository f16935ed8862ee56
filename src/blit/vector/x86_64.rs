//! SSE2, AVX2 and AVX-512.

use super::{Lanes, Wide};
use core::arch::x86_64::*;

/// The byte shuffle that reverses the items in a lane. For items of at least 16 bytes it changes nothing.
const fn opposite(item: usize) -> [u8; 16] {
    let item = if item > 16 { 16 } else { item };
    let mut order = [0; 16];
    let mut at = 0;
    while at < 16 {
        order[at] = (16 - item - at / item * item + at % item) as u8;
        at += 1;
    }
    order
}

impl Lanes for __m128i {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn gather(at: *const u8, _: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { _mm_loadu_si128(at.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm_storeu_si128(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn stream(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm_stream_si128(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: every x86-64 processor has these instructions.
        unsafe {
            match ITEM {
                1 => _mm_unpacklo_epi8(a, b),
                2 => _mm_unpacklo_epi16(a, b),
                4 => _mm_unpacklo_epi32(a, b),
                _ => _mm_unpacklo_epi64(a, b),
            }
        }
    }
    #[inline(always)]
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: every x86-64 processor has these instructions.
        unsafe {
            match ITEM {
                1 => _mm_unpackhi_epi8(a, b),
                2 => _mm_unpackhi_epi16(a, b),
                4 => _mm_unpackhi_epi32(a, b),
                _ => _mm_unpackhi_epi64(a, b),
            }
        }
    }
}

impl Lanes for __m256i {
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn gather(at: *const u8, step: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_loadu2_m128i(at.wrapping_offset(step).cast(), at.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_storeu_si256(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn stream(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_stream_si256(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            match ITEM {
                1 => _mm256_unpacklo_epi8(a, b),
                2 => _mm256_unpacklo_epi16(a, b),
                4 => _mm256_unpacklo_epi32(a, b),
                _ => _mm256_unpacklo_epi64(a, b),
            }
        }
    }
    #[inline(always)]
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            match ITEM {
                1 => _mm256_unpackhi_epi8(a, b),
                2 => _mm256_unpackhi_epi16(a, b),
                4 => _mm256_unpackhi_epi32(a, b),
                _ => _mm256_unpackhi_epi64(a, b),
            }
        }
    }
}

impl Wide for __m256i {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
    #[inline(always)]
    unsafe fn gather_pairs(at: *const u8, _: isize) -> Self {
        // SAFETY: the caller's obligation; the vector is one pair of lanes.
        unsafe { Self::load(at) }
    }
    #[inline(always)]
    unsafe fn reversed<const ITEM: usize>(self) -> Self {
        let order = const { opposite(ITEM) };
        // SAFETY: the caller's obligation; `order` has the size of a lane.
        unsafe {
            let order = _mm256_broadcastsi128_si256(_mm_loadu_si128(order.as_ptr().cast()));
            let lanes = _mm256_shuffle_epi8(self, order);
            _mm256_permute4x64_epi64::<0b01_00_11_10>(lanes)
        }
    }
    #[inline(always)]
    unsafe fn every_second<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation. The instructions pack each lane, so halves of `a` and `b` alternate; the
        // permutation sorts them.
        unsafe {
            let packed = match ITEM {
                1 => {
                    let low = _mm256_set1_epi16(0xff);
                    _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low))
                }
                2 => {
                    let low = _mm256_set1_epi32(0xffff);
                    _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low))
                }
                4 => _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(
                    _mm256_castsi256_ps(a),
                    _mm256_castsi256_ps(b),
                )),
                _ => _mm256_unpacklo_epi64(a, b),
            };
            _mm256_permute4x64_epi64::<0b11_01_10_00>(packed)
        }
    }
}

impl Lanes for __m512i {
    const BYTES: usize = 64;

    #[inline(always)]
    unsafe fn gather(at: *const u8, step: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            let row = |lane: isize| _mm_loadu_si128(at.wrapping_offset(step.wrapping_mul(lane)).cast());
            let vector = _mm512_castsi128_si512(row(0));
            let vector = _mm512_inserti32x4::<1>(vector, row(1));
            let vector = _mm512_inserti32x4::<2>(vector, row(2));
            _mm512_inserti32x4::<3>(vector, row(3))
        }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_storeu_si512(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn stream(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_stream_si512(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            match ITEM {
                1 => _mm512_unpacklo_epi8(a, b),
                2 => _mm512_unpacklo_epi16(a, b),
                4 => _mm512_unpacklo_epi32(a, b),
                _ => _mm512_unpacklo_epi64(a, b),
            }
        }
    }
    #[inline(always)]
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            match ITEM {
                1 => _mm512_unpackhi_epi8(a, b),
                2 => _mm512_unpackhi_epi16(a, b),
                4 => _mm512_unpackhi_epi32(a, b),
                _ => _mm512_unpackhi_epi64(a, b),
            }
        }
    }
}

impl Wide for __m512i {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_loadu_si512(at.cast()) }
    }
    #[inline(always)]
    unsafe fn gather_pairs(at: *const u8, step: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe {
            let first = _mm512_castsi256_si512(_mm256_loadu_si256(at.cast()));
            _mm512_inserti64x4::<1>(first, _mm256_loadu_si256(at.wrapping_offset(step).cast()))
        }
    }
    #[inline(always)]
    unsafe fn reversed<const ITEM: usize>(self) -> Self {
        let order = const { opposite(ITEM) };
        // SAFETY: the caller's obligation; `order` has the size of a lane.
        unsafe {
            let order = _mm512_broadcast_i32x4(_mm_loadu_si128(order.as_ptr().cast()));
            let lanes = _mm512_shuffle_epi8(self, order);
            _mm512_shuffle_i64x2::<0b00_01_10_11>(lanes, lanes)
        }
    }
    #[inline(always)]
    unsafe fn every_second<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation. The permutation sorts the packed lanes, as for 32 bytes.
        unsafe {
            let packed = match ITEM {
                1 => {
                    let low = _mm512_set1_epi16(0xff);
                    _mm512_packus_epi16(_mm512_and_si512(a, low), _mm512_and_si512(b, low))
                }
                2 => {
                    let low = _mm512_set1_epi32(0xffff);
                    _mm512_packus_epi32(_mm512_and_si512(a, low), _mm512_and_si512(b, low))
                }
                4 => _mm512_castps_si512(_mm512_shuffle_ps::<0b10_00_10_00>(
                    _mm512_castsi512_ps(a),
                    _mm512_castsi512_ps(b),
                )),
                _ => _mm512_unpacklo_epi64(a, b),
            };
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed)
        }
    }
}
