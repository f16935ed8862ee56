//! A checksum of the bytes of an array, which tells whether somebody changed them. It is not cryptographic.

use super::{HostView, walk};
use crate::layout::loops::Loops;

/// The multiplier of the FxHash of rustc: odd, and without a pattern in its bits.
const MULTIPLIER: u64 = 0x51_7c_c1_b7_27_22_0a_95;

/// The checksum of all elements, in an order that the layout determines. Gaps between elements do not count.
pub fn checksum(view: &HostView) -> u64 {
    let mut loops = Loops::new();
    let mut sum = 0;
    if loops.set_copy(view.layout(), view.layout()) {
        let run = loops.take_run();
        let (start, _) = walk::addresses(&loops);
        walk::walk(loops.axes(), start, start, |at, _| {
            // SAFETY: the view vouches for its elements, of which this is a run.
            sum = unsafe { add(sum, at, run) };
        });
    }
    sum
}

/// Adds a run of bytes to a checksum.
///
/// # Safety
/// - `count` bytes may be read.
unsafe fn add(mut sum: u64, at: *const u8, count: usize) -> u64 {
    const WORD: usize = size_of::<u64>();
    for offset in (0..count / WORD * WORD).step_by(WORD) {
        // SAFETY: within the run; volatile, because foreign code may write these bytes.
        let word = unsafe { at.add(offset).cast::<[u8; WORD]>().read_volatile() };
        sum = mix(sum, u64::from_le_bytes(word));
    }
    for offset in count / WORD * WORD..count {
        // SAFETY: as above.
        sum = mix(sum, u64::from(unsafe { at.add(offset).read_volatile() }));
    }
    sum
}

fn mix(sum: u64, word: u64) -> u64 {
    (sum.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::layout::{Layout, Order};

    #[test]
    fn each_changed_byte_changes_the_checksum_and_gaps_do_not() {
        let mut bytes = [7u8; 60];
        let start = bytes.as_mut_ptr();
        let address = start.expose_provenance() as i64;
        let dense = Layout::contiguous(Dtype::U8, &[60], Order::C, address).unwrap();
        let every_other = Layout::strided(Dtype::U8, &[30], &[2], address).unwrap();
        // SAFETY: the array outlives the views, and only this test touches it.
        let sums = || unsafe { (checksum(&HostView::new(&dense)), checksum(&HostView::new(&every_other))) };
        let before = sums();
        for index in 0..60 {
            // SAFETY: within the array.
            unsafe { start.add(index).write(8) };
            let now = sums();
            assert_ne!(now.0, before.0, "byte {index}");
            assert_eq!(now.1 == before.1, index % 2 == 1, "byte {index}");
            // SAFETY: within the array.
            unsafe { start.add(index).write(7) };
        }
        assert_eq!(sums(), before);
    }
}
