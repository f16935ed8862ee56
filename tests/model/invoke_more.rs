//! The calls with tables of arguments: views, chunks, parameters of enter, and the functions of expressions.
//!
//! Contract: as `invoke`.

use super::api::*;
use super::calls::Build;
use super::handle::Ref;
use super::invoke::{Got, Seen};
use super::library::{Library, UNTOUCHED};
use super::views::View;
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use tenure::types::*;

impl Library {
    pub fn view(&self, array: *mut tn_array, view: &View, out: *mut *mut tn_array) -> tn_status {
        // SAFETY: handles are checked ids; each list has the length passed beside it; `out` is writable or NULL.
        unsafe {
            match view {
                View::Reshape { shape, order } => {
                    tn_array_reshape(array, shape.len() as i32, shape.as_ptr(), *order, out)
                }
                View::Ravel { order } => tn_array_ravel(array, *order, out),
                View::Transpose => tn_array_transpose(array, out),
                View::Permute { axes } => tn_array_permute(array, axes.len() as i32, axes.as_ptr(), out),
                View::Slice { specs } => tn_array_slice(array, specs.len(), specs.as_ptr(), out),
                View::Index { axis, index } => tn_array_index(array, *axis, *index, out),
                View::Squeeze { axes: None } => tn_array_squeeze(array, 0, null(), out),
                View::Squeeze { axes: Some(axes) } => tn_array_squeeze(array, axes.len(), axes.as_ptr(), out),
                View::Expand { axis } => tn_array_expand(array, *axis, out),
                View::Broadcast { shape } => tn_array_broadcast(array, shape.len() as i32, shape.as_ptr(), out),
                View::Dtype { dtype } => tn_array_view_dtype(array, *dtype, out),
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub fn split_write(
        &self,
        array: Ref,
        axis: i32,
        n: usize,
        mode: u32,
        stream: *mut tn_stream,
        no_out: bool,
        got: &mut Got,
    ) -> tn_status {
        let empty = || tn_part {
            guard: UNTOUCHED as *mut tn_borrow,
            data: UNTOUCHED as *mut c_void,
            start: -1,
            length: -1,
            reserved: [0; 4],
        };
        let mut chunks: Vec<tn_part> = (0..n).map(|_| empty()).collect();
        let place = if no_out { null_mut() } else { chunks.as_mut_ptr() };
        // SAFETY: handles are checked ids, `chunks` has n items.
        let status = unsafe { tn_array_split_write(self.array(array), axis, n, mode, stream, place) };
        for chunk in &chunks {
            if status == TN_OK {
                got.guards.push(chunk.guard);
                got.chunks.push((chunk.start, chunk.length));
                got.views.push(Seen { data: chunk.data as usize, dtype: 0, shape: vec![], strides: vec![], bytes: 0 });
            } else {
                assert_eq!((chunk.guard as usize, chunk.start), (UNTOUCHED, -1), "a failing call wrote its outputs");
            }
        }
        status
    }

    pub fn enter(&self, params: &[Ref], no_out: bool, got: &mut Got) -> tn_status {
        let ids: Vec<*mut c_void> = params.iter().map(|&param| self.bits(param) as *mut c_void).collect();
        let mut outs = vec![UNTOUCHED as *mut tn_array; ids.len()];
        let mut scope = UNTOUCHED as *mut tn_scope;
        // One of the outputs is missing.
        let (no_outs, no_scope) = (no_out && ids.len() % 2 == 1, no_out && ids.len().is_multiple_of(2));
        let place = if no_scope { null_mut() } else { &raw mut scope };
        let params = if ids.is_empty() { null() } else { ids.as_ptr() };
        let out = if ids.is_empty() || no_outs { null_mut() } else { outs.as_mut_ptr() };
        // SAFETY: handles are checked ids, `outs` has the capacity passed beside it.
        let status = unsafe { tn_enter(ids.len(), params, out, place) };
        if status == TN_OK {
            got.arrays = outs;
            got.scope = Some(scope);
        } else {
            let untouched = outs.iter().all(|&out| out as usize == UNTOUCHED) && scope as usize == UNTOUCHED;
            assert!(untouched, "a failing enter wrote its outputs");
        }
        status
    }

    pub fn expr(&self, expr: Ref) -> *mut tn_expr {
        self.bits(expr) as *mut tn_expr
    }

    pub fn leaf(&self, array: Ref, form: u32, out: *mut *mut tn_expr) -> tn_status {
        // SAFETY: handles are checked ids; `out` is writable or NULL.
        unsafe { tn_expr_leaf(self.array(array), form, out) }
    }

    pub fn build(&self, what: Build, x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
        // SAFETY: handles are checked ids; `out` is writable or NULL.
        unsafe {
            match what {
                Build::Add => tn_expr_add(x, y, out),
                Build::Subtract => tn_expr_subtract(x, y, out),
                Build::Multiply => tn_expr_multiply(x, y, out),
                Build::Cholesky => tn_expr_cholesky(x, out),
                Build::Lu => tn_expr_lu(x, out),
                Build::Solve => tn_expr_solve(x, y, out),
                Build::Scale(factor) => tn_expr_scale(x, factor, out),
                Build::Transpose => tn_expr_transpose(x, out),
                Build::Dense => tn_expr_dense(x, out),
                Build::Sum(axis) => tn_expr_sum(x, axis, out),
                Build::Elementwise(op) => tn_expr_elementwise(op, x, y, out),
            }
        }
    }

    /// The explanation as text, if there is one.
    pub fn explain(&self, expr: *mut tn_expr) -> Option<String> {
        let (mut text, mut length) = (vec![0u8; 1 << 14], 0);
        // SAFETY: handles are checked ids; `text` has the capacity passed beside it, `length` is writable.
        let status =
            unsafe { tn_expr_explain(expr, TN_EXPLAIN_TEXT, text.len(), text.as_mut_ptr().cast(), &mut length) };
        (status == TN_OK && length < text.len()).then(|| String::from_utf8_lossy(&text[..length]).into_owned())
    }

    pub fn compute(&self, expr: Ref, flags: u32, out: *mut *mut tn_array) -> tn_status {
        // SAFETY: handles are checked ids; `out` is writable or NULL.
        unsafe { tn_expr_compute(self.expr(expr), flags, out) }
    }

    pub fn release_expr(&self, expr: *mut tn_expr) -> tn_status {
        // SAFETY: handles are checked ids.
        unsafe { tn_expr_release(expr) }
    }
}
