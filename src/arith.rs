//! Checked products of lengths, and greatest common divisors.
//!
//! Contract: pure. An overflow is `None`, never a wrapped number.
#![forbid(unsafe_code)]

/// The product of `item` and all lengths. A length below 1 counts as 1, because the strides of a dense array must not
/// overflow even if one of its lengths is 0. None: the product is above `i64::MAX`.
#[inline]
pub fn dense_bytes(item: i64, lengths: &[i64]) -> Option<i64> {
    let mut bytes = item;
    for &length in lengths {
        bytes = bytes.checked_mul(if length > 1 { length } else { 1 })?;
    }
    Some(bytes)
}

/// Greatest common divisor; `gcd(0, n)` is `n`.
#[inline]
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    // The binary algorithm, without divisions. Strides are mostly powers of two or multiples of one another, so it
    // needs few rounds.
    if a == 0 || b == 0 {
        return a | b;
    }
    let twos = (a | b).trailing_zeros();
    a >>= a.trailing_zeros();
    while b != 0 {
        b >>= b.trailing_zeros();
        if a > b {
            core::mem::swap(&mut a, &mut b);
        }
        b -= a;
    }
    a << twos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gcd_is_the_one_of_euclid() {
        fn euclid(a: u64, b: u64) -> u64 {
            if b == 0 { a } else { euclid(b, a % b) }
        }
        for a in 0..70 {
            for b in 0..70 {
                assert_eq!(gcd(a, b), euclid(a, b), "gcd({a}, {b})");
            }
        }
        assert_eq!(gcd(1 << 63, 3 << 40), 1 << 40);
        assert_eq!(gcd(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn zeros_count_as_one_and_overflow_is_none() {
        assert_eq!(dense_bytes(8, &[0, 3]), Some(24));
        assert_eq!(dense_bytes(1, &[i64::MAX]), Some(i64::MAX));
        assert_eq!(dense_bytes(1, &[0, 1 << 62, 1 << 62]), None);
        assert_eq!(dense_bytes(16, &[1 << 59]), None);
        assert_eq!(dense_bytes(4, &[]), Some(4));
    }
}
