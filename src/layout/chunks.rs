//! Splits an axis into equal parts, or into pieces of one length.
//!
//! Contract: pure, and allocates nothing. The parts are consecutive, do not overlap and cover 0..n.
#![forbid(unsafe_code)]

/// Consecutive parts of an axis as (start, length), made by [`even_parts`] and [`pieces`].
#[derive(Clone, Debug)]
pub struct Parts {
    start: i64,
    end: i64,
    /// Length of a part.
    length: i64,
    /// How many of the next parts are one longer.
    longer: i64,
    left: i64,
}

/// Exactly `parts` parts whose lengths differ by at most 1, the longer first (LA-16). A number below 1 counts as 1.
#[inline]
pub fn even_parts(n: i64, parts: i64) -> Parts {
    let parts = parts.max(1);
    Parts { start: 0, end: n, length: n / parts, longer: n % parts, left: parts }
}

/// Pieces of `length`, of which the last may be shorter (LA-15). An axis of length 0 has none. A `length` below 1 counts as 1.
#[inline]
pub fn pieces(n: i64, length: i64) -> Parts {
    let length = length.max(1);
    Parts { start: 0, end: n, length, longer: 0, left: n / length + (n % length != 0) as i64 }
}

impl Iterator for Parts {
    type Item = (i64, i64);

    #[inline]
    fn next(&mut self) -> Option<(i64, i64)> {
        if self.left == 0 {
            return None;
        }
        let longer = self.longer > 0;
        let start = self.start;
        let length = (self.length + longer as i64).min(self.end - start);
        self.start += length;
        self.longer -= longer as i64;
        self.left -= 1;
        Some((start, length))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Parts {}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(parts: Parts) -> Vec<i64> {
        let announced = parts.len();
        let mut next = 0;
        let lengths: Vec<i64> = parts
            .map(|(start, length)| {
                assert_eq!(start, next);
                next = start + length;
                length
            })
            .collect();
        assert_eq!(lengths.len(), announced);
        lengths
    }

    #[test]
    fn even_parts_differ_by_one_and_the_longer_come_first() {
        assert_eq!(lengths(even_parts(10, 4)), [3, 3, 2, 2]);
        assert_eq!(lengths(even_parts(2, 3)), [1, 1, 0]);
        assert_eq!(lengths(even_parts(0, 2)), [0, 0]);
        assert_eq!(lengths(even_parts(6, 3)), [2, 2, 2]);
    }

    #[test]
    fn pieces_have_one_length_but_the_last() {
        assert_eq!(lengths(pieces(10, 4)), [4, 4, 2]);
        assert_eq!(lengths(pieces(3, 7)), [3]);
        assert_eq!(lengths(pieces(0, 7)), [0i64; 0]);
        assert_eq!(lengths(pieces(8, 4)), [4, 4]);
    }

    #[test]
    fn the_largest_axis_does_not_overflow() {
        assert_eq!(lengths(pieces(i64::MAX, i64::MAX)), [i64::MAX]);
        assert_eq!(lengths(pieces(i64::MAX, i64::MAX - 1)), [i64::MAX - 1, 1]);
        assert_eq!(even_parts(i64::MAX, 2).next(), Some((0, i64::MAX / 2 + 1)));
        assert_eq!(pieces(i64::MAX, 1).len(), i64::MAX as usize);
    }
}
