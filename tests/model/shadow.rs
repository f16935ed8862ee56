//! Evaluates an expression again over copies of its leaves, which nothing may overwrite: the value must be equal, bit
//! by bit.
//!
//! Contract: leaves no trace in the library. The copies are imported memory with the strides and the alignment of the
//! originals, so no operation overwrites them. Every node is held until the end.

use super::api::*;
use super::calls::Build;
use super::compute::float;
use super::driver::Driver;
use super::graph::{Form, Operation, Progress};
use super::handle::Ref;
use super::layout::Layout;
use super::library::{Library, must};
use super::rules::Status;
use core::mem::size_of;
use core::ptr::null_mut;
use std::collections::BTreeMap;
use tenure::types::*;

/// Copies keep their address modulo this.
const ALIGN: usize = 256;

/// Handles to release, and the memory behind them.
#[derive(Default)]
struct Copies {
    arrays: Vec<*mut tn_array>,
    exprs: Vec<*mut tn_expr>,
    memory: Vec<Vec<u8>>,
}

impl Driver {
    /// The elements of the value, or the status. None if there is nothing to compute, or if the address of a part is
    /// unknown.
    pub fn apart(&self, expr: Ref) -> Option<Result<Vec<f64>, Status>> {
        let root = self.model.expr(expr).ok()?;
        if self.model.nodes[root].progress != Progress::Waiting {
            return None;
        }
        let mut copies = Copies::default();
        let mut made = BTreeMap::new();
        let value = self.build_apart(root, &mut made, &mut copies).map(|expr| {
            let mut array = null_mut();
            // SAFETY: handles are checked ids, the output is writable.
            let status = unsafe { tn_expr_compute(expr, 0, &mut array) };
            if status != TN_OK {
                return Err(status);
            }
            copies.arrays.push(array);
            Ok(self.library.elements(array))
        });
        // SAFETY: handles are checked ids; the memory outlives them.
        unsafe {
            copies.exprs.iter().for_each(|&expr| must(tn_expr_release(expr), "the same of copies"));
            copies.arrays.iter().for_each(|&array| must(tn_array_release(array), "the same of copies"));
        }
        drop(copies.memory);
        value
    }

    fn build_apart(
        &self,
        node: usize,
        made: &mut BTreeMap<usize, *mut tn_expr>,
        copies: &mut Copies,
    ) -> Option<*mut tn_expr> {
        if let Some(&expr) = made.get(&node) {
            return Some(expr);
        }
        let n = &self.model.nodes[node];
        if n.progress == Progress::Done && n.form == Form::Factors {
            return None;
        }
        let expr = if n.progress == Progress::Done {
            let layout = &n.value.as_ref()?.region.layout;
            if layout.count() > 0 && !self.is_known(layout.at) {
                return None;
            }
            self.library.leaf_apart(layout, n.form, copies)
        } else {
            let mut operands = [null_mut(); 2];
            for (place, &operand) in operands.iter_mut().zip(&n.operands) {
                *place = self.build_apart(operand, made, copies)?;
            }
            let what = match n.what {
                Operation::Leaf => return None,
                Operation::Add => Build::Add,
                Operation::Subtract => Build::Subtract,
                Operation::Multiply => Build::Multiply,
                Operation::Cholesky => Build::Cholesky,
                Operation::Lu => Build::Lu,
                Operation::Solve => Build::Solve,
                Operation::Scale(factor) => Build::Scale(factor),
                Operation::Transpose => Build::Transpose,
                Operation::Dense => Build::Dense,
                Operation::Sum(axis) => Build::Sum(axis as i32),
                Operation::Times => Build::Elementwise(TN_EXPR_MULTIPLY),
                Operation::Divide => Build::Elementwise(TN_EXPR_DIVIDE),
                Operation::Negate => Build::Elementwise(TN_EXPR_NEGATE),
                Operation::Sqrt => Build::Elementwise(TN_EXPR_SQRT),
                Operation::Exp => Build::Elementwise(TN_EXPR_EXP),
                Operation::Log => Build::Elementwise(TN_EXPR_LOG),
            };
            let mut expr = null_mut();
            must(self.library.build(what, operands[0], operands[1], &mut expr), "the same of copies");
            copies.exprs.push(expr);
            expr
        };
        made.insert(node, expr);
        Some(expr)
    }
}

impl Library {
    /// A leaf over a copy of these bytes.
    fn leaf_apart(&self, layout: &Layout, form: Form, copies: &mut Copies) -> *mut tn_expr {
        let (shape, strides) = (&layout.shape, &layout.strides);
        let (low, high) = layout.extent().unwrap_or((layout.at, layout.at));
        let bytes = self.peek(low, (high - low) as usize);
        let mut memory = vec![0u8; bytes.len() + 2 * ALIGN];
        let start = memory.as_mut_ptr();
        let wanted = if bytes.is_empty() { 0 } else { self.real(low) % ALIGN };
        let skip = (wanted + ALIGN - start as usize % ALIGN) % ALIGN;
        // SAFETY: less than ALIGN bytes are skipped, and the buffer has 2 * ALIGN more than are copied.
        let at = unsafe { start.add(skip) };
        // SAFETY: as above.
        unsafe { at.copy_from(bytes.as_ptr(), bytes.len()) };
        let described = tn_layout {
            size: size_of::<tn_layout>(),
            dtype: layout.dtype,
            ndim: shape.len() as i32,
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            offset: layout.at - low,
        };
        let (mut array, mut how, mut expr) = (null_mut(), 0, null_mut());
        // SAFETY: the memory outlives `copies`, the layout lies in it; outputs are writable.
        unsafe {
            let imported =
                tn_array_import_host(at.cast(), &described, TN_REQUIRE_BORROW, None, null_mut(), &mut array, &mut how);
            must(imported, "a copy of a leaf");
            must(tn_expr_leaf(array, form.raw(), &mut expr), "a copy of a leaf");
        }
        copies.arrays.push(array);
        copies.exprs.push(expr);
        copies.memory.push(memory);
        expr
    }

    /// The elements of an array of floats, last index fastest.
    pub fn elements(&self, array: *mut tn_array) -> Vec<f64> {
        let described = self.describe_array(array).expect("an array");
        if described.count == 0 {
            return vec![];
        }
        let at = self.data(array);
        let layout = Layout {
            dtype: described.dtype,
            at: 0,
            shape: described.shape.clone(),
            strides: described.strides.clone(),
        };
        let element = |offset: i64| {
            let mut bytes = [0u8; 8];
            let size = layout.item() as usize;
            // SAFETY: an element of an array that can be read, as `data` just did.
            unsafe { bytes.as_mut_ptr().copy_from((at as i64 + offset) as *const u8, size) };
            float(layout.dtype, &bytes[..size])
        };
        layout.addresses().into_iter().map(element).collect()
    }

    /// The address of a kept value.
    pub fn probe_expr(&self, expr: Ref) -> usize {
        let mut array = null_mut();
        must(self.compute(expr, 0, &mut array), "probe");
        let data = self.data(array);
        must(tn_array_release(array), "probe");
        data
    }
}
