//! What a call's arguments show alone: orders, counts, steps.
//!
//! Contract: these checks know no layout, because they come before the array's state is known (the order of checks: the
//! call alone, then the handle, then the arguments against the array). All are TN_ERR_INVALID but those of
//! [`check_ndim`].
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;

/// An absent bound of a slice; TN_NONE in C.
pub const NONE: i64 = TN_NONE;

/// Order of elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Row-major: the last axis runs fastest.
    C,
    /// Column-major: the first axis runs fastest.
    F,
    /// F if the source is F- and not C-contiguous, else C.
    A,
    /// That of the source's strides.
    K,
}

impl Order {
    /// TN_ORDER_C, _F or _A; K only where there is a prototype ([`Order::of_like`]).
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

    /// As [`Order::of`], and TN_ORDER_K.
    #[inline]
    pub fn of_like(order: tn_order) -> Result<Order> {
        if order == TN_ORDER_K { Ok(Order::K) } else { Order::of(order) }
    }
}

/// A number of axes: TN_ERR_SHAPE if negative, TN_ERR_OVERFLOW above 64. For where a list of `ndim` lengths is about to be
/// read.
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

/// A number of specs or axes: not negative.
#[inline]
pub fn check_count(n: i32) -> Result<usize> {
    if n < 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("number {n} of list entries is negative; it goes from 0 up")));
    }
    Ok(n as usize)
}

/// No step may be 0.
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

/// A number of parts: at least 1. More than memory can hold are as many as an i64 has.
#[inline]
pub fn check_parts(parts: usize) -> Result<i64> {
    if parts == 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("0 parts are not possible; use 1 or more")));
    }
    Ok(i64::try_from(parts).unwrap_or(i64::MAX))
}

/// The length of a chunk: at least 1.
#[inline]
pub fn check_length(length: i64) -> Result<()> {
    if length < 1 {
        return Err(fail(TN_ERR_INVALID, format_args!("chunk length {length} is not possible; use 1 or more")));
    }
    Ok(())
}
