//! Splits an axis into equal parts, or into pieces of one length.
//!
//! Contract: pure, and allocates nothing. The parts are consecutive, do not overlap and cover 0..n.
#![forbid(unsafe_code)]

/// Consecutive parts of an axis as (start, length), made by [`even_parts`] and [`pieces`].
#[derive(Clone, Debug)]
pub struct Parts {
    /// Start of the next part.
    start: i64,
    /// Length of the axis.
    end: i64,
    /// Length of a part. The next `longer_left` parts have one index more, and the last one of [`pieces`] may have
    /// fewer.
    length: i64,
    longer_left: i64,
    parts_left: i64,
}

/// Divides an axis of length `n` into exactly `parts` parts. Their lengths differ by at most 1, and the longer parts
/// come first (LA-16). `parts` below 1 counts as 1.
#[inline]
pub fn even_parts(n: i64, parts: i64) -> Parts {
    let parts = parts.max(1);
    Parts { start: 0, end: n, length: n / parts, longer_left: n % parts, parts_left: parts }
}

/// Divides an axis of length `n` into pieces of `length`; the last one may be shorter (LA-15). An axis of length 0 has
/// no pieces. `length` below 1 counts as 1.
#[inline]
pub fn pieces(n: i64, length: i64) -> Parts {
    let length = length.max(1);
    Parts { start: 0, end: n, length, longer_left: 0, parts_left: n / length + (n % length != 0) as i64 }
}

impl Iterator for Parts {
    type Item = (i64, i64);

    #[inline]
    fn next(&mut self) -> Option<(i64, i64)> {
        if self.parts_left == 0 {
            return None;
        }
        let extra = (self.longer_left > 0) as i64;
        let start = self.start;
        let length = (self.length + extra).min(self.end - start);
        self.start += length;
        self.longer_left -= extra;
        self.parts_left -= 1;
        Some((start, length))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.parts_left as usize, Some(self.parts_left as usize))
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
    fn all_pieces_but_the_last_have_equal_lengths() {
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
