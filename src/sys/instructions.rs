//! Single instructions on memory that compilers do not make of atomics, for the fast paths of pools.
//!
//! Contract: each function does what its portable version does, with plain loads and stores of one word: x86-64 makes
//! them relaxed, and stores Release. It saves an instruction and a register.

#[cfg(not(all(target_arch = "x86_64", not(loom))))]
use core::sync::atomic::Ordering;
use core::sync::atomic::{AtomicU64, AtomicUsize};

/// Whether an element of a slice is `value`. Relaxed.
///
/// # Safety
/// - The index is one of the slice.
#[inline(always)]
pub unsafe fn is_at(words: &[AtomicU64], index: usize, value: u64) -> bool {
    debug_assert!(index < words.len());
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: reads an element, by the caller's obligation.
    unsafe {
        core::arch::asm!(
            "cmp qword ptr [{words} + 8 * {index}], {value}",
            "jne {differs}",
            words = in(reg) words.as_ptr(),
            index = in(reg) index,
            value = in(reg) value,
            differs = label { return false },
            options(nostack, readonly),
        );
        true
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    // SAFETY: the caller's obligation.
    unsafe {
        words.get_unchecked(index).load(Ordering::Relaxed) == value
    }
}

/// Subtracts from a word that only the calling thread changes, with Release. True: the result is negative.
/// `word` lies `AT` bytes behind the start of `whole`, whose address the caller has at hand.
///
/// # Safety
/// - It lies there.
#[inline(always)]
pub unsafe fn subtract_at<T, const AT: usize>(whole: &T, word: &AtomicUsize, less: usize) -> bool {
    debug_assert!(core::ptr::from_ref(whole).addr() + AT == core::ptr::from_ref(word).addr());
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: changes the word, by the caller's obligation.
    unsafe {
        core::arch::asm!(
            "sub qword ptr [{whole} + {at}], {less}",
            "js {negative}",
            whole = in(reg) core::ptr::from_ref(whole),
            at = const AT,
            less = in(reg) less,
            negative = label { return true },
            options(nostack),
        );
        false
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    {
        let left = word.load(Ordering::Relaxed).wrapping_sub(less);
        word.store(left, Ordering::Release);
        (left as isize) < 0
    }
}

/// The same value, of which the compiler knows nothing: it uses this copy, and keeps no other.
#[inline(always)]
pub fn same(value: u64) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let mut value = value;
        // SAFETY: no instruction.
        unsafe { core::arch::asm!("/* {} */", inout(reg) value, options(nomem, nostack, preserves_flags, pure)) };
        value
    }
    #[cfg(not(target_arch = "x86_64"))]
    value
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn elements_are_compared_and_differences_have_a_sign() {
        let words = [AtomicU64::new(3), AtomicU64::new(u64::MAX)];
        // SAFETY: indices of the slice.
        let is = |index, value| unsafe { is_at(&words, index, value) };
        assert!(is(0, 3) && !is(0, 4) && is(1, u64::MAX) && !is(1, 3));
        let pair = (7u64, AtomicUsize::new(20));
        const AT: usize = core::mem::offset_of!((u64, AtomicUsize), 1);
        // SAFETY: of that tuple.
        let less = |less| unsafe { subtract_at::<_, AT>(&pair, &pair.1, less) };
        assert!(!less(20) && less(1) && !less(usize::MAX) && less(usize::MAX / 2 + 1));
        assert_eq!(same(9), 9);
    }
}
