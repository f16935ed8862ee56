//! Layouts of the model: the bytes of an array's elements.
//!
//! Contract: written from the rows AR-1..9 and LA-1..2; knows no store and no handle. It is deliberately naive:
//! elements are enumerated wherever possible, so arrays must be small.

use tenure::types::*;

/// Bytes of one element; 0 if there is no such element type.
pub fn item(dtype: u32) -> i64 {
    match dtype {
        TN_BOOL | TN_I8 | TN_U8 => 1,
        TN_I16 | TN_U16 | TN_F16 | TN_BF16 => 2,
        TN_I32 | TN_U32 | TN_F32 => 4,
        TN_I64 | TN_U64 | TN_F64 | TN_C64 => 8,
        TN_C128 => 16,
        _ => 0,
    }
}

/// Alignment of an element: its size, for complex that of one component.
pub fn align(dtype: u32) -> i64 {
    match dtype {
        TN_C64 | TN_C128 => item(dtype) / 2,
        _ => item(dtype),
    }
}

/// The positions of an array's elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    pub dtype: u32,
    /// Address of element (0,..,0).
    pub at: i64,
    pub shape: Vec<i64>,
    /// Bytes.
    pub strides: Vec<i64>,
}

impl Layout {
    /// Contiguous in order C or F; a length 0 counts as 1 in the strides (AR-3).
    pub fn dense(dtype: u32, shape: &[i64], order: u32, at: i64) -> Layout {
        let mut strides = vec![0; shape.len()];
        let mut step = item(dtype);
        for k in 0..shape.len() {
            let axis = if order == TN_ORDER_F { k } else { shape.len() - 1 - k };
            strides[axis] = step;
            step *= shape[axis].max(1);
        }
        Layout { dtype, at, shape: shape.to_vec(), strides }
    }

    pub fn item(&self) -> i64 {
        item(self.dtype)
    }

    pub fn count(&self) -> i64 {
        self.shape.iter().product()
    }

    pub fn bytes(&self) -> i64 {
        self.count() * self.item()
    }

    /// Lowest address and the end; None without elements.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let (mut low, mut high) = (self.at, self.at + self.item());
        for (&n, &stride) in self.shape.iter().zip(&self.strides) {
            if n == 0 {
                return None;
            }
            let reach = (n - 1) * stride;
            if reach < 0 { low += reach } else { high += reach }
        }
        Some((low, high))
    }

    /// The addresses of all elements, last index fastest.
    pub fn addresses(&self) -> Vec<i64> {
        let mut all = vec![self.at];
        if self.count() == 0 {
            all.clear();
        }
        for (&n, &stride) in self.shape.iter().zip(&self.strides) {
            let mut next = Vec::with_capacity(all.len() * n.max(0) as usize);
            for base in &all {
                for i in 0..n {
                    next.push(base + i * stride);
                }
            }
            all = next;
        }
        all
    }

    /// LA-2: axes of length 1 do not count, and any length 0 makes it true.
    pub fn is_c(&self) -> bool {
        self.runs((0..self.shape.len()).rev())
    }

    pub fn is_f(&self) -> bool {
        self.runs(0..self.shape.len())
    }

    fn runs(&self, axes: impl Iterator<Item = usize>) -> bool {
        if self.count() == 0 {
            return true;
        }
        let mut step = self.item();
        for axis in axes {
            if self.shape[axis] > 1 {
                if self.strides[axis] != step {
                    return false;
                }
                step *= self.shape[axis];
            }
        }
        true
    }

    /// The order that `copy` gives its result (AR-22), and that TN_ORDER_A means.
    pub fn natural_order(&self) -> u32 {
        if self.is_f() && !self.is_c() { TN_ORDER_F } else { TN_ORDER_C }
    }

    /// Reading of AR-17, taken from LA-19: the address, and the strides of axes longer than 1, are multiples of the
    /// element's alignment. An empty array is always aligned (AR-3: viewing it is TN_OK).
    pub fn is_aligned(&self) -> bool {
        let a = align(self.dtype);
        let strides = || self.shape.iter().zip(&self.strides).all(|(&n, &s)| n <= 1 || s % a == 0);
        self.count() == 0 || self.at % a == 0 && strides()
    }

    /// Sorted by |stride|, each |stride| is larger than the span of the smaller ones, so a position has only one index.
    pub fn is_nested(&self) -> bool {
        let mut axes: Vec<(i64, i64)> = self.shape.iter().zip(&self.strides).map(|(&n, &s)| (s.abs(), n)).collect();
        axes.retain(|&(_, n)| n > 1);
        axes.sort_unstable();
        let mut span = self.item();
        for (stride, n) in axes {
            if stride < span {
                return false;
            }
            span += stride * (n - 1);
        }
        true
    }

    /// Whether an axis longer than 1 has stride 0.
    pub fn is_stretched(&self) -> bool {
        self.shape.iter().zip(&self.strides).any(|(&n, &s)| n > 1 && s == 0)
    }

    /// Whether two index tuples share a byte; exact.
    pub fn shares_bytes(&self) -> bool {
        if self.count() <= 1 || self.is_nested() {
            return false;
        }
        if self.is_stretched() {
            return true;
        }
        let mut all = self.addresses();
        all.sort_unstable();
        all.windows(2).any(|pair| pair[1] - pair[0] < self.item())
    }

    /// Identical elements in the same order, whatever the shapes.
    pub fn is_exactly(&self, other: &Layout) -> bool {
        self.at == other.at
            && self.item() == other.item()
            && self.count() == other.count()
            && self.count() > 0
            && self.addresses() == other.addresses()
    }
}
