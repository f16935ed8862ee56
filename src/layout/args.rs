//! Checks of arguments that need no layout: orders, counts, steps.
//!
//! Contract: a call makes these checks before it checks the state of the array, so they read no layout. All errors are
//! TN_ERR_INVALID, except those of [`check_ndim`].
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;

/// An absent bound of a slice: TN_NONE.
pub const NONE: i64 = TN_NONE;

/// Order of elements in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Row-major: the last axis runs fastest.
    C,
    /// Column-major: the first axis runs fastest.
    F,
    /// F if the source is F- and not C-contiguous, else C.
    A,
    /// The order of the source's strides.
    K,
}

impl Order {
    /// The order that a constant of C stands for. TN_ORDER_K is refused: it needs a prototype, see [`Order::of_like`].
    #[inline]
    pub fn of(order: tn_order) -> Result<Order> {
        match order {
            TN_ORDER_C => Ok(Order::C),
            TN_ORDER_F => Ok(Order::F),
            TN_ORDER_A => Ok(Order::A),
            TN_ORDER_K => Err(fail(
                TN_ERR_INVALID,
                format_args!("order TN_ORDER_K needs a prototype: only tn_array_like takes it"),
            )),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!("order {order} is not known; use TN_ORDER_C, TN_ORDER_F or TN_ORDER_A"),
            )),
        }
    }

    /// As [`Order::of`], for a call with a prototype: TN_ORDER_K is accepted too.
    #[inline]
    pub fn of_like(order: tn_order) -> Result<Order> {
        if order == TN_ORDER_K { Ok(Order::K) } else { Order::of(order) }
    }
}

/// Checks a number of axes before a list of `ndim` lengths is read. TN_ERR_SHAPE: it is negative. TN_ERR_OVERFLOW: it
/// is above 64.
#[inline]
pub fn check_ndim(ndim: i32) -> Result<usize> {
    if ndim < 0 {
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!("number of axes {ndim} is negative; it goes from 0 to {TN_MAX_NDIM}"),
        ));
    }
    if ndim as usize > TN_MAX_NDIM {
        return Err(fail(
            TN_ERR_OVERFLOW,
            format_args!("{ndim} axes are more than {TN_MAX_NDIM}, the most that an array can have"),
        ));
    }
    Ok(ndim as usize)
}

/// Checks that a number of list entries is not negative.
#[inline]
pub fn check_count(n: i32) -> Result<usize> {
    if n < 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("number {n} of list entries is negative; it goes from 0 up")));
    }
    Ok(n as usize)
}

/// Checks that no step is 0, and that all reserved words are 0.
#[inline]
pub fn check_slices(specs: &[tn_slice_spec]) -> Result<()> {
    for (axis, spec) in specs.iter().enumerate() {
        if spec.reserved != [0; 4] {
            return Err(fail(TN_ERR_INVALID, format_args!("reserved of spec {axis} is not 0; set all its words to 0")));
        }
        if spec.step == 0 {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("step 0 on axis {axis}; use a positive or negative step, or TN_NONE for 1"),
            ));
        }
    }
    Ok(())
}

/// Checks that a number of parts is at least 1. A number above `i64::MAX` becomes `i64::MAX`: memory for so many parts
/// does not exist.
#[inline]
pub fn check_parts(parts: usize) -> Result<i64> {
    if parts == 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("the number of parts is 0; use 1 or more")));
    }
    Ok(i64::try_from(parts).unwrap_or(i64::MAX))
}

/// Checks that the length of a chunk is at least 1.
#[inline]
pub fn check_length(length: i64) -> Result<()> {
    if length < 1 {
        return Err(fail(TN_ERR_INVALID, format_args!("chunk length {length} is below 1; use 1 or more")));
    }
    Ok(())
}
