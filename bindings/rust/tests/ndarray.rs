//! The feature `ndarray`.
#![cfg(feature = "ndarray")]

use ndarray::{Array2, Axis, arr2, s};
use tenure_rs::{Array, Slice};

fn numbers(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| (10 * i + j) as f64)
}

#[test]
fn views_have_the_layout_of_the_guard() {
    let source = numbers(4, 3);
    let a = Array::from_ndarray(source.clone()).unwrap();
    assert_eq!(a.read().unwrap().view().unwrap(), source.view().into_dyn());
    let reversed = a.slice([Slice::ALL.step(-2), Slice::from(1..)]).unwrap();
    assert_eq!(reversed.read().unwrap().view().unwrap(), source.slice(s![..;-2, 1..]).into_dyn());
    let transposed = a.transpose().unwrap();
    assert_eq!(transposed.read().unwrap().view().unwrap(), source.t().into_dyn());
    assert_eq!(transposed.to_ndarray().unwrap(), source.t().into_dyn());
}

#[test]
fn views_are_written_in_place() {
    let a = Array::from_ndarray(numbers(2, 3)).unwrap();
    let mut reversed = a.slice([Slice::ALL.step(-1)]).unwrap();
    reversed.write().unwrap().view_mut().unwrap().index_axis_mut(Axis(0), 0).fill(-1.0);
    assert_eq!(a.to_ndarray().unwrap(), arr2(&[[0.0, 1.0, 2.0], [-1.0, -1.0, -1.0]]).into_dyn());
}

#[test]
fn memory_in_c_order_is_taken() {
    let source = numbers(2, 2);
    let address = source.as_ptr();
    let a = Array::from_ndarray(source).unwrap();
    assert_eq!(a.read().unwrap().as_ptr(), address);
    let part = numbers(3, 3).slice_move(s![1.., ..]);
    assert_eq!(Array::from_ndarray(part).unwrap().to_vec().unwrap(), [10.0, 11.0, 12.0, 20.0, 21.0, 22.0]);
    let turned = numbers(2, 3).reversed_axes();
    assert_eq!(Array::from_ndarray(turned.clone()).unwrap().to_ndarray().unwrap(), turned.into_dyn());
}

#[test]
fn arrays_without_elements_have_views() {
    let mut a = Array::<f64>::zeros([0, 3]).unwrap();
    assert_eq!(a.read().unwrap().view().unwrap().shape(), [0, 3]);
    assert_eq!(a.write().unwrap().view_mut().unwrap().shape(), [0, 3]);
}
