//! Numbers with a bound on the library's deviation from them.
//!
//! Contract: pure. An element-wise operation on known numbers has one right result, to the last bit, so its error is 0.
//! Where the order of additions is open (products, factors, sums), the error is a bound of the rounding; it stays 0 if
//! nothing is rounded in any order. Numbers without a useful bound (very large, very small, undefined) have an infinite
//! error.

use tenure::types::TN_F32;

/// Factor by which another order of operations may exceed the bound of one order.
const SLACK: f64 = 64.0;

/// An element type's arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arithmetic {
    single: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Number {
    pub value: f64,
    pub error: f64,
}

impl Number {
    pub const ZERO: Number = Number::known(0.0);

    /// The number as the library has it, too.
    pub const fn known(value: f64) -> Number {
        Number { value, error: 0.0 }
    }

    pub fn is_known(self) -> bool {
        self.error == 0.0
    }

    pub fn negative(self) -> Number {
        Number { value: -self.value, error: self.error }
    }

    /// Whether the library's result can be this one.
    pub fn fits(self, library: f64) -> bool {
        if self.is_known() {
            return library == self.value || library.is_nan() && self.value.is_nan();
        }
        !self.error.is_finite() || (library - self.value).abs() <= SLACK * self.error
    }

    /// Whether it is positive; None where rounding may decide that.
    pub fn is_positive(self) -> Option<bool> {
        (self.is_known() || self.value.abs() > SLACK * self.error).then_some(self.value > 0.0)
    }

    /// Whether it is 0; None where rounding may decide that.
    pub fn is_zero(self) -> Option<bool> {
        (self.is_known() || self.value.abs() > SLACK * self.error).then_some(self.value == 0.0)
    }
}

impl Arithmetic {
    pub fn of(dtype: u32) -> Arithmetic {
        Arithmetic { single: dtype == TN_F32 }
    }

    /// Correct also for a sum, product, quotient or root of two floats computed in doubles.
    pub fn round(self, value: f64) -> f64 {
        if self.single { f64::from(value as f32) } else { value }
    }

    /// Half the distance between two neighbours of 1.
    fn unit(self) -> f64 {
        if self.single { f64::from(f32::EPSILON) / 2.0 } else { f64::EPSILON / 2.0 }
    }

    /// Whether bounds of its sums and products are meaningful.
    pub fn is_tame(self, x: Number) -> bool {
        let (low, high) = if self.single { (1e-12, 1e12) } else { (1e-100, 1e100) };
        x.error.is_finite() && (x.value == 0.0 || (low..=high).contains(&x.value.abs()))
    }

    /// The result of one rounded operation, with the error that the operands' errors cause.
    fn rounded(self, value: f64, carried: f64, known: bool) -> Number {
        let value = self.round(value);
        if known {
            return Number::known(value);
        }
        let error = carried + self.unit() * value.abs() + f64::MIN_POSITIVE;
        Number { value, error: if value.is_finite() && error.is_finite() { error } else { f64::INFINITY } }
    }

    pub fn add(self, a: Number, b: Number) -> Number {
        self.rounded(a.value + b.value, a.error + b.error, a.is_known() && b.is_known())
    }

    pub fn subtract(self, a: Number, b: Number) -> Number {
        self.rounded(a.value - b.value, a.error + b.error, a.is_known() && b.is_known())
    }

    pub fn multiply(self, a: Number, b: Number) -> Number {
        let carried = a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error;
        self.rounded(a.value * b.value, carried, a.is_known() && b.is_known())
    }

    /// The sign of a zero is not tracked, because an algorithm's zero may have either. So the sign of an infinite
    /// quotient is open too.
    pub fn divide(self, a: Number, b: Number) -> Number {
        let quotient = a.value / b.value;
        if b.value == 0.0 && !quotient.is_nan() {
            return Number { value: quotient, error: f64::INFINITY };
        }
        let room = b.value.abs() - b.error;
        let carried =
            if b.is_zero() == Some(false) { (a.error + quotient.abs() * b.error) / room } else { f64::INFINITY };
        self.rounded(quotient, carried, a.is_known() && b.is_known())
    }

    pub fn sqrt(self, a: Number) -> Number {
        let root = a.value.sqrt();
        // A number that may be negative may have no root.
        self.rounded(
            root,
            if root > 0.0 && a.is_zero() == Some(false) { a.error / root } else { f64::INFINITY },
            a.is_known(),
        )
    }

    /// The exponential and the logarithm need not be correctly rounded.
    pub fn exp(self, a: Number) -> Number {
        self.about(a.value.exp(), a, |x| x.exp())
    }

    pub fn log(self, a: Number) -> Number {
        self.about(a.value.ln(), a, |x| x.ln())
    }

    fn about(self, value: f64, of: Number, f: fn(f64) -> f64) -> Number {
        if of.is_known() && !value.is_finite() {
            return Number::known(self.round(value));
        }
        let off = SLACK * of.error;
        let spread = if of.is_known() { 0.0 } else { (f(of.value + off) - f(of.value - off)).abs() };
        let Number { value, error } = self.rounded(value, spread, false);
        Number { value, error: error + 4.0 * self.unit() * value.abs() }
    }

    /// The sum of products, in any order of additions and with any rounding.
    pub fn dot(self, pairs: &[(Number, Number)]) -> Number {
        let (mut sum, mut carried, mut total, mut grain) = (0.0, 0.0, 0.0f64, f64::INFINITY);
        for &(a, b) in pairs {
            if !self.is_tame(a) || !self.is_tame(b) {
                return Number { value: f64::NAN, error: f64::INFINITY };
            }
            let product = a.value * b.value;
            sum += product;
            total += product.abs();
            carried += a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error;
            let exact = a.value.mul_add(b.value, -product) == 0.0;
            grain = grain.min(if exact { lowest_bit(product) } else { 0.0 });
        }
        let places = if self.single { (1u64 << 23) as f64 } else { (1u64 << 52) as f64 };
        // All partial sums are multiples of the grain, and small enough to be exact.
        let exact = total == 0.0 || total / grain < places;
        if exact && carried == 0.0 {
            return Number::known(sum);
        }
        let rounding = self.unit() * total * (pairs.len() + 1) as f64 + f64::MIN_POSITIVE;
        Number { value: self.round(sum), error: carried + rounding }
    }

    /// A quotient within an algorithm, which may multiply by the reciprocal.
    pub fn ratio(self, a: Number, b: Number) -> Number {
        let q = self.divide(a, b);
        if b.value == 0.0 || !self.is_tame(a) || !self.is_tame(b) {
            return Number { error: f64::INFINITY, ..q };
        }
        let exact = q.is_known() && lowest_bit(b.value) == b.value.abs() && q.value * b.value == a.value;
        if exact { q } else { Number { error: q.error + 2.0 * self.unit() * q.value.abs() + f64::MIN_POSITIVE, ..q } }
    }

    /// The number as if it had just been rounded.
    pub fn blurred(self, x: Number) -> Number {
        Number { error: x.error.max(self.unit() * x.value.abs()), ..x }
    }

    /// A number computed from terms of that size, divided by a number of which only powers of 2 divide exactly.
    pub fn loosened(self, x: Number, size: f64, by: Number) -> Number {
        let exact = x.is_known() && lowest_bit(by.value) == by.value.abs();
        if exact { x } else { Number { error: x.error + 4.0 * self.unit() * size, ..x } }
    }

    /// A root within an algorithm, which may multiply by the reciprocal.
    pub fn root(self, a: Number) -> Number {
        let r = self.sqrt(a);
        if r.is_known() && lowest_bit(r.value) == r.value && r.value * r.value == a.value {
            return r;
        }
        Number { error: r.error + 2.0 * self.unit() * r.value, ..r }
    }
}

/// The place value of the last bit that is 1; infinite for 0, which has none.
fn lowest_bit(value: f64) -> f64 {
    let bits = value.to_bits();
    let (mantissa, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
    match (mantissa, exponent) {
        (0, 0) => f64::INFINITY,
        (_, 0) => f64::MIN_POSITIVE,
        (0, _) => value.abs(),
        _ => 2f64.powi(exponent - 1023 - 52 + mantissa.trailing_zeros() as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure::types::TN_F64;

    #[test]
    fn sums_that_round_nothing_are_known() {
        let a = Arithmetic::of(TN_F64);
        let pairs =
            |values: &[f64]| -> Vec<_> { values.iter().map(|&v| (Number::known(v), Number::known(1.0))).collect() };
        let sum = a.dot(&pairs(&[0.25, 3.0, -7.5]));
        assert!(sum.is_known() && sum.value == -4.25);
        let sum = a.dot(&pairs(&[1e30, -1e30, 1.0]));
        assert!(!sum.is_known() && sum.error > 1e13, "{sum:?}: another order of additions gives 0");
        let third = a.ratio(Number::known(1.0), Number::known(3.0));
        assert!(!third.is_known() && third.fits(1.0 / 3.0) && !third.fits(0.3333));
        assert_eq!((lowest_bit(12.0), lowest_bit(0.75), lowest_bit(-1.0)), (4.0, 0.25, 1.0));
    }
}
