//! Random layouts in a buffer, and the result of a copy between two of them, element by element.

#![allow(dead_code)] // each test program uses a part

pub use crate::support::random::Random;
use tenure::blit::HostView;
use tenure::dtype::Dtype;
use tenure::layout::Layout;
use tenure::types::*;

pub const DTYPES: [u32; 5] = [TN_BOOL, TN_F16, TN_I32, TN_F64, TN_C128];

/// Strides and the offset of element (0,..,0) inside `0..end`.
pub struct Shape {
    pub strides: Vec<i64>,
    pub offset: i64,
    pub end: i64,
}

/// A layout without self-overlap: axes nested in a random order, with gaps and signs.
pub fn random_target(random: &mut Random, shape: &[i64], item: i64) -> Shape {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below_i64(at as i64 + 1) as usize);
    }
    let (mut strides, mut offset, mut end) = (vec![0; shape.len()], 0, item);
    for axis in order {
        let gap = if random.one_in(3) { random.below_i64(2 * item + 3) } else { 0 };
        strides[axis] = end + gap;
        let reach = strides[axis] * (shape[axis] - 1).max(0);
        end += reach;
        if random.one_in(3) {
            offset += reach;
            strides[axis] = -strides[axis];
        }
    }
    Shape { strides, offset, end }
}

/// Arbitrary strides: nested like a target's, repeated (stride 0), or crossing each other.
pub fn random_source(random: &mut Random, shape: &[i64], item: i64) -> Shape {
    let nested = random_target(random, shape, item);
    if random.one_in(2) {
        return nested;
    }
    let (mut offset, mut end) = (0, item);
    let mut strides = nested.strides;
    for (stride, length) in strides.iter_mut().zip(shape) {
        match random.below_i64(4) {
            0 => *stride = 0,
            1 => *stride = random.below_i64(6 * item) - 3 * item,
            _ => {}
        }
        let reach = *stride * (length - 1).max(0);
        end += reach.abs();
        offset -= reach.min(0);
    }
    Shape { strides, offset, end }
}

pub fn random_shape(random: &mut Random) -> Vec<i64> {
    let ndim = random.below_i64(5);
    // Sometimes long enough for tiles with partial edges.
    let longest = if ndim == 2 { 40 } else { 7 };
    (0..ndim).map(|_| if random.one_in(20) { 0 } else { 1 + random.below_i64(longest) }).collect()
}

/// Byte offsets of all elements, last axis fastest.
pub fn elements(shape: &[i64], strides: &[i64], offset: i64) -> Vec<i64> {
    let mut all = vec![offset];
    for (length, stride) in shape.iter().zip(strides) {
        all = all.iter().flat_map(|start| (0..*length).map(move |at| start + at * stride)).collect();
    }
    all
}

pub fn noise(random: &mut Random, bytes: i64) -> Vec<u8> {
    (0..bytes).map(|_| random.next() as u8).collect()
}

pub fn layout(raw: u32, shape: &[i64], strides: &[i64], base: *const u8, offset: i64) -> Layout {
    Layout::strided(Dtype::of(raw).unwrap(), shape, strides, base.expose_provenance() as i64 + offset).unwrap()
}

pub fn host_view(layout: &Layout) -> HostView<'_> {
    // SAFETY: every layout in this file lies inside a live vector of its test.
    unsafe { HostView::new(layout) }
}

/// As `model`, for two layouts of one shape, each with its strides and offset.
pub fn model_of(bytes: &[u8], item: i64, shape: &[i64], dst: (&[i64], i64), src: (&[i64], i64)) -> Vec<u8> {
    model(bytes, item, &elements(shape, dst.0, dst.1), &elements(shape, src.0, src.1))
}

/// The result of `copy` on `bytes`, in which both lie: the source is read in full first.
pub fn model(bytes: &[u8], item: i64, dst: &[i64], src: &[i64]) -> Vec<u8> {
    let mut wanted = bytes.to_vec();
    for (&to, &from) in dst.iter().zip(src) {
        wanted[to as usize..(to + item) as usize].copy_from_slice(&bytes[from as usize..(from + item) as usize]);
    }
    wanted
}
