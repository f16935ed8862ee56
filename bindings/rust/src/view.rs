//! Views: handles of their own on bytes of an array, with another layout. No element is copied.

use crate::array::{Array, lengths};
use crate::element::Element;
use crate::error::Result;
use crate::handle::site;
use crate::sys;
use std::ops::{Range, RangeFrom, RangeFull, RangeTo};
use std::panic::Location;

/// Indices of one axis, as in Python: negative ones count from the end, and bounds outside the axis are clamped.
/// `Slice::from(1..)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    start: i64,
    stop: i64,
    step: i64,
}

impl Slice {
    /// The whole axis.
    pub const ALL: Slice = Slice { start: sys::TN_NONE, stop: sys::TN_NONE, step: sys::TN_NONE };

    /// In steps, not 0; a negative step goes backwards.
    pub fn step(self, step: i64) -> Slice {
        Slice { step, ..self }
    }
}

impl From<RangeFull> for Slice {
    fn from(_: RangeFull) -> Slice {
        Slice::ALL
    }
}

impl From<Range<i64>> for Slice {
    fn from(range: Range<i64>) -> Slice {
        Slice { start: range.start, stop: range.end, ..Slice::ALL }
    }
}

impl From<RangeFrom<i64>> for Slice {
    fn from(range: RangeFrom<i64>) -> Slice {
        Slice { start: range.start, ..Slice::ALL }
    }
}

impl From<RangeTo<i64>> for Slice {
    fn from(range: RangeTo<i64>) -> Slice {
        Slice { stop: range.end, ..Slice::ALL }
    }
}

impl<T: Element> Array<T> {
    /// A view of a part: a [`Slice`] for each of the first axes.
    #[track_caller]
    pub fn slice(&self, slices: impl AsRef<[Slice]>) -> Result<Array<T>> {
        site(Location::caller());
        let spec = |slice: &Slice| sys::tn_slice_spec {
            start: slice.start,
            stop: slice.stop,
            step: slice.step,
            reserved: [0; 4],
        };
        let specs: Vec<_> = slices.as_ref().iter().map(spec).collect();
        // SAFETY: as many specs as the call is told, and a place for the view.
        Array::made(|out| unsafe { sys::tn_array_slice(self.as_raw(), specs.len(), specs.as_ptr(), out) })
    }

    /// A view of one index of an axis, which the view does not have. Negative numbers count from the end.
    #[track_caller]
    pub fn index(&self, axis: i32, index: i64) -> Result<Array<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the view.
        Array::made(|out| unsafe { sys::tn_array_index(self.as_raw(), axis, index, out) })
    }

    /// A view with the axes in reverse order.
    #[track_caller]
    pub fn transpose(&self) -> Result<Array<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the view.
        Array::made(|out| unsafe { sys::tn_array_transpose(self.as_raw(), out) })
    }

    /// A view with another shape of the elements, in C order.
    ///
    /// # Errors
    /// [`Status::LAYOUT`](crate::Status::LAYOUT) if that takes a copy.
    #[track_caller]
    pub fn reshape(&self, shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        let shape = lengths(shape.as_ref())?;
        let ndim = shape.len() as i32;
        // SAFETY: as many lengths as axes, and a place for the view.
        Array::made(|out| unsafe { sys::tn_array_reshape(self.as_raw(), ndim, shape.as_ptr(), sys::TN_ORDER_C, out) })
    }
}
