//! Arguments of random calls on expressions.
//!
//! Contract: as `draw`. An expression is not computed if its success depends on rounding.

use super::calls::{Build, Call, Contents};
use super::draw::Reader;
use super::graph::Progress;
use super::handle::{Ref, State};
use tenure::types::*;

impl Reader<'_> {
    pub fn expr(&mut self) -> Ref {
        let nodes = &self.model.nodes;
        match self.pick(nodes.len(), |k| nodes[k].handle, |k| nodes[k].progress == Progress::Failed, Ref::Expr) {
            // A node that the library added never had a handle.
            Ref::Expr(k) if nodes[k].implied => Ref::Null,
            expr => expr,
        }
    }

    /// Mostly an expression that is not computed yet.
    fn waiting_expr(&mut self) -> Ref {
        let nodes = &self.model.nodes;
        let waiting = |k: usize| nodes[k].handle && nodes[k].progress == Progress::Waiting;
        self.pick(nodes.len(), waiting, |k| nodes[k].handle, Ref::Expr)
    }

    /// The shape of an operand. Many of these shapes can be added, multiplied or solved with each other.
    pub fn matrix_shape(&mut self) -> Vec<i64> {
        let n = self.one(&[3, 3, 4, 1, 2]);
        match self.below(7) {
            0..=2 => vec![n, n],
            3 | 4 => vec![n],
            5 => vec![n, 3],
            _ => vec![2, n],
        }
    }

    /// Makes an array that can be a leaf: a matrix, or a vector.
    fn make_operand(&mut self) -> Call {
        let order = self.one(&[TN_ORDER_C, TN_ORDER_C, TN_ORDER_F]);
        let contents = self.one(&[Contents::Empty, Contents::Empty, Contents::Empty, Contents::Full, Contents::Zeros]);
        let dtype = self.one(&[TN_F64, TN_F64, TN_F64, TN_F32]);
        Call::Make { pool: self.pool(), dtype, shape: self.matrix_shape(), order, contents }
    }

    pub fn leaf(&mut self) -> Call {
        let arrays = &self.model.arrays;
        let fits =
            |k: usize| arrays[k].state == State::Live && matches!(arrays[k].region.layout.dtype, TN_F32 | TN_F64);
        if !(0..arrays.len()).any(fits) || self.chance(60) {
            return self.make_operand();
        }
        let array = self.pick(arrays.len(), fits, |k| arrays[k].state == State::Live, Ref::Array);
        let shape = self.region(array).map_or(vec![], |region| region.layout.shape.clone());
        let form = match (shape[..].len(), self.byte()) {
            // Forms that the shape need not allow, and unknown ones.
            (_, 250..) => self.one(&[TN_FORM_LOWER, TN_FORM_DIAGONAL, TN_FORM_OF_HANDLE + 1, 1 << 31]),
            (_, 200..) => TN_FORM_OF_HANDLE,
            (1, 0..=109) => TN_FORM_DIAGONAL,
            (2, 0..=39) if shape[0] == shape[1] => TN_FORM_LOWER,
            (2, 40..=69) if shape[0] == shape[1] => TN_FORM_UPPER,
            _ => TN_FORM_FULL,
        };
        Call::Leaf { array, form }
    }

    /// Mostly a form that fits a vector or a square matrix.
    pub fn set_form(&mut self) -> Call {
        let arrays = &self.model.arrays;
        let shapes = |k: usize| &arrays[k].region.layout.shape[..];
        let fits = |k: usize| match (arrays[k].state, shapes(k)) {
            (State::Live, [_]) => true,
            (State::Live, [rows, columns]) => rows == columns,
            _ => false,
        };
        let array = self.pick(arrays.len(), fits, |k| arrays[k].state == State::Live, Ref::Array);
        let axes = self.region(array).map_or(0, |region| region.layout.shape.len());
        let form = match (axes, self.byte()) {
            (_, 240..) => self.one(&[TN_FORM_OF_HANDLE, TN_FORM_DIAGONAL, TN_FORM_UPPER, 1 << 30]),
            (_, 200..) => TN_FORM_FULL,
            (1, _) => TN_FORM_DIAGONAL,
            _ => self.one(&[TN_FORM_LOWER, TN_FORM_UPPER]),
        };
        Call::SetForm { array, form }
    }

    /// Mostly an operation whose operands fit; otherwise any operation on any operands, which mostly fails.
    pub fn build(&mut self) -> Call {
        let op = self.one(&[TN_EXPR_MULTIPLY, TN_EXPR_DIVIDE, TN_EXPR_NEGATE, TN_EXPR_SQRT, TN_EXPR_EXP, TN_EXPR_LOG]);
        let factor = self.one(&[2.0, -1.0, 0.5, 0.0, 0.1, -3.0]);
        let axis = self.one(&[0, -1, 1, -2]);
        let all = [
            Build::Add,
            Build::Cholesky,
            Build::Multiply,
            Build::Solve,
            Build::Lu,
            Build::Solve,
            Build::Subtract,
            Build::Elementwise(op),
            Build::Scale(factor),
            Build::Transpose,
            Build::Dense,
            Build::Sum(axis),
            Build::Add,
            Build::Multiply,
        ];
        let first = self.below(all.len());
        let x = self.expr();
        if self.chance(14) {
            let what = if self.chance(20) { Build::Elementwise(self.one(&[0, 9, TN_EXPR_ADD])) } else { all[first] };
            return Call::Build { what, x, y: if self.chance(60) { Ref::Null } else { self.expr() } };
        }
        let turn = self.byte() as usize;
        let others: Vec<Ref> = (0..self.model.nodes.len())
            .filter(|&k| self.model.nodes[k].handle && Ref::Expr(k) != x)
            .map(Ref::Expr)
            .collect();
        for k in 0..all.len() {
            let what = all[(first + k) % all.len()];
            if self.model.built(what, x, Ref::Null).is_ok() {
                return Call::Build { what, x, y: Ref::Null };
            }
            // `x` is its own second operand only if no other one fits, and then only in one of 8 cases.
            let rotated = (0..others.len()).map(|j| others[(turn + j) % others.len()]);
            for y in rotated.chain(turn.is_multiple_of(8).then_some(x)) {
                if self.model.built(what, x, y).is_ok() {
                    return Call::Build { what, x, y };
                }
            }
        }
        Call::Build { what: Build::Add, x, y: x }
    }

    /// Computes an expression. One whose success depends on rounding, or on a copy that the thread forbids, is released
    /// instead.
    pub fn compute(&mut self) -> Call {
        let expr = self.waiting_expr();
        let mut flags = if self.chance(4) { 1 << 5 } else { self.one(&[0, 0, 0, TN_KEEP_ON_FAIL]) };
        if self.model.fails_after_copies(expr) {
            flags &= !TN_KEEP_ON_FAIL;
        }
        if self.model.is_decided(expr) && !self.model.would_copy(expr) {
            Call::Compute { expr, flags }
        } else {
            Call::ExprRelease { expr }
        }
    }

    /// Releases an expression, mostly an operand of another one. Computing the other one may then overwrite the
    /// operand's value.
    pub fn expr_release(&mut self) -> Call {
        let nodes = &self.model.nodes;
        let used: Vec<usize> = (0..nodes.len())
            .filter(|&k| nodes[k].handle && nodes.iter().any(|other| other.operands.contains(&k)))
            .collect();
        let expr = if self.chance(200) && !used.is_empty() { Ref::Expr(self.one(&used)) } else { self.expr() };
        Call::ExprRelease { expr }
    }

    /// Releases an array, mostly one whose store an expression has a claim on.
    pub fn release(&mut self) -> Call {
        let m = self.model;
        let claimed: Vec<usize> = (0..m.arrays.len())
            .filter(|&k| m.arrays[k].state == State::Live && m.node_claims(m.arrays[k].store).next().is_some())
            .collect();
        let array = if self.chance(170) && !claimed.is_empty() { Ref::Array(self.one(&claimed)) } else { self.array() };
        Call::Release { array }
    }
}
