//! NEON, which every aarch64 processor has: a register, and two registers as one vector.
//!
//! Streaming stores are plain ones here. The pair store `stnp` is only a hint, and processors recognise long runs of
//! plain stores by themselves. SVE has no part: its interleaving is that of NEON for vectors of 16 bytes, which Grace
//! and Graviton4 have.

use super::{Lanes, Wide};
use core::arch::aarch64::*;

/// Applies an instruction of the form of NEON's zip and uzp to items of a size.
macro_rules! by_item {
    ($item:expr, $a:expr, $b:expr, $of_1:ident, $of_2:ident, $of_4:ident, $of_8:ident) => {
        match $item {
            1 => $of_1($a, $b),
            2 => vreinterpretq_u8_u16($of_2(vreinterpretq_u16_u8($a), vreinterpretq_u16_u8($b))),
            4 => vreinterpretq_u8_u32($of_4(vreinterpretq_u32_u8($a), vreinterpretq_u32_u8($b))),
            _ => vreinterpretq_u8_u64($of_8(vreinterpretq_u64_u8($a), vreinterpretq_u64_u8($b))),
        }
    };
}

impl Lanes for uint8x16_t {
    const BYTES: usize = 16;

    #[inline(always)]
    unsafe fn gather(at: *const u8, _: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { vld1q_u8(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { vst1q_u8(at, self) }
    }
    #[inline(always)]
    unsafe fn stream(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { self.store(at) }
    }
    #[inline(always)]
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: every aarch64 processor has these instructions.
        unsafe { by_item!(ITEM, a, b, vzip1q_u8, vzip1q_u16, vzip1q_u32, vzip1q_u64) }
    }
    #[inline(always)]
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: every aarch64 processor has these instructions.
        unsafe { by_item!(ITEM, a, b, vzip2q_u8, vzip2q_u16, vzip2q_u32, vzip2q_u64) }
    }
}

impl Lanes for uint8x16x2_t {
    const BYTES: usize = 32;

    #[inline(always)]
    unsafe fn gather(at: *const u8, step: isize) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { uint8x16x2_t(vld1q_u8(at), vld1q_u8(at.wrapping_offset(step))) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe {
            vst1q_u8(at, self.0);
            vst1q_u8(at.add(16), self.1);
        }
    }
    #[inline(always)]
    unsafe fn stream(self, at: *mut u8) {
        // SAFETY: the caller's obligation.
        unsafe { self.store(at) }
    }
    #[inline(always)]
    unsafe fn low<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { uint8x16x2_t(Lanes::low::<ITEM>(a.0, b.0), Lanes::low::<ITEM>(a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn high<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { uint8x16x2_t(Lanes::high::<ITEM>(a.0, b.0), Lanes::high::<ITEM>(a.1, b.1)) }
    }
}

impl Wide for uint8x16x2_t {
    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller's obligation.
        unsafe { Self::gather(at, 16) }
    }
    #[inline(always)]
    unsafe fn gather_pairs(at: *const u8, _: isize) -> Self {
        // SAFETY: the caller's obligation; the vector is one pair of lanes.
        unsafe { Self::load(at) }
    }
    #[inline(always)]
    unsafe fn reversed<const ITEM: usize>(self) -> Self {
        // SAFETY: every aarch64 processor has these instructions, which reverse each half of a register, and swap the
        // halves.
        let lane = |lane: uint8x16_t| unsafe {
            let halves = match ITEM {
                1 => vrev64q_u8(lane),
                2 => vreinterpretq_u8_u16(vrev64q_u16(vreinterpretq_u16_u8(lane))),
                4 => vreinterpretq_u8_u32(vrev64q_u32(vreinterpretq_u32_u8(lane))),
                8 => lane,
                _ => return lane,
            };
            vextq_u8::<8>(halves, halves)
        };
        uint8x16x2_t(lane(self.1), lane(self.0))
    }
    #[inline(always)]
    unsafe fn every_second<const ITEM: usize>(a: Self, b: Self) -> Self {
        // SAFETY: every aarch64 processor has these instructions.
        unsafe {
            uint8x16x2_t(
                by_item!(ITEM, a.0, a.1, vuzp1q_u8, vuzp1q_u16, vuzp1q_u32, vuzp1q_u64),
                by_item!(ITEM, b.0, b.1, vuzp1q_u8, vuzp1q_u16, vuzp1q_u32, vuzp1q_u64),
            )
        }
    }
}
