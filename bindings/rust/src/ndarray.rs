//! Guards as views of `ndarray`, and arrays from and to its arrays.

use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Result, Status};
use crate::guard::{Ref, RefMut};
use ndarray::{ArrayD, ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Axis, Dimension, IxDyn, ShapeBuilder};

/// A layout without negative strides: `ndarray` takes none, and inverts axes instead.
struct Plan {
    shape: IxDyn,
    /// In elements.
    strides: IxDyn,
    /// Bytes from the first element to the one with the lowest address.
    lowest: isize,
    /// The axes to invert.
    inverted: Vec<usize>,
}

impl Plan {
    /// The plan for elements of `size` bytes. Not for arrays without elements.
    fn new(shape: &[usize], strides: &[isize], size: usize) -> Result<Plan> {
        let (mut steps, mut lowest, mut inverted) = (vec![0; shape.len()], 0, Vec::new());
        for (axis, (length, stride)) in shape.iter().zip(strides).enumerate() {
            // An axis of one element is never stepped along.
            if *length < 2 {
                continue;
            }
            if !stride.unsigned_abs().is_multiple_of(size) {
                let text = format!(
                    "tenure_rs: a stride of {stride} bytes is no multiple of the element's {size}; copy the array"
                );
                return Err(Error::new(Status::LAYOUT, text));
            }
            steps[axis] = stride.unsigned_abs() / size;
            if *stride < 0 {
                lowest += stride * (*length as isize - 1);
                inverted.push(axis);
            }
        }
        Ok(Plan { shape: IxDyn(shape), strides: IxDyn(&steps), lowest, inverted })
    }
}

impl<T: Element> Ref<'_, T> {
    /// The elements as a view of `ndarray`.
    ///
    /// # Errors
    /// [`Status::LAYOUT`] if a stride is no multiple of the element's size.
    pub fn view(&self) -> Result<ArrayViewD<'_, T>> {
        if self.is_empty() {
            return Ok(
                ArrayView::from_shape(IxDyn(self.shape()), &[]).expect("no element fills a shape without elements")
            );
        }
        let plan = Plan::new(self.shape(), self.strides(), size_of::<T>())?;
        // SAFETY: the aligned elements of this guard, from the lowest address on, which nobody writes while it is
        // borrowed.
        let mut view = unsafe {
            let lowest = self.as_ptr().byte_offset(plan.lowest);
            ArrayView::from_shape_ptr(plan.shape.strides(plan.strides), lowest)
        };
        plan.inverted.iter().for_each(|axis| view.invert_axis(Axis(*axis)));
        Ok(view)
    }
}

impl<T: Element> RefMut<'_, T> {
    /// The elements as a view of `ndarray` to write.
    ///
    /// # Errors
    /// [`Status::LAYOUT`] if a stride is no multiple of the element's size.
    pub fn view_mut(&mut self) -> Result<ArrayViewMutD<'_, T>> {
        if self.is_empty() {
            let empty = ArrayViewMut::from_shape(IxDyn(self.shape()), &mut []);
            return Ok(empty.expect("no element fills a shape without elements"));
        }
        let plan = Plan::new(self.shape(), self.strides(), size_of::<T>())?;
        // SAFETY: the aligned elements of this guard, from the lowest address on, which it alone reaches and which is
        // borrowed mutably. No two share a byte, because the library opens no writer on such a layout.
        let mut view = unsafe {
            let lowest = self.as_ptr().cast_mut().byte_offset(plan.lowest);
            ArrayViewMut::from_shape_ptr(plan.shape.strides(plan.strides), lowest)
        };
        plan.inverted.iter().for_each(|axis| view.invert_axis(Axis(*axis)));
        Ok(view)
    }
}

impl<T: Element> Array<T> {
    /// An array of an `ndarray` array's elements, in C order. Nothing is copied if they lie so.
    #[track_caller]
    pub fn from_ndarray<D: Dimension>(array: ndarray::Array<T, D>) -> Result<Array<T>> {
        let (shape, len) = (array.shape().to_vec(), array.len());
        if !array.is_standard_layout() {
            return Array::from_vec(array.iter().copied().collect(), shape);
        }
        match array.into_raw_vec_and_offset() {
            (elements, None | Some(0)) if elements.len() == len => Array::from_vec(elements, shape),
            (elements, offset) => Array::from_slice(&elements[offset.unwrap_or(0)..][..len], shape),
        }
    }

    /// A copy of the elements as an array of `ndarray`, also from a device.
    pub fn to_ndarray(&self) -> Result<ArrayD<T>> {
        Ok(ArrayD::from_shape_vec(IxDyn(self.shape()), self.to_vec()?)
            .expect("an array has as many elements as its shape"))
    }
}
