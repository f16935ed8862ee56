//! One operation, copied from the graph, and what it may overwrite.
//!
//! Contract: reads the graph and the operands' ledgers, and changes neither.

use super::node::{Graph, NONE, Shape};
use super::rules::{self, Operand};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::kernels::Workspace;
use crate::layout::{Form, Order};
use crate::ledger::{Locked, Operation};
use crate::lists;
use crate::types::TN_WHY_LAYOUT;

/// What a message calls the entries of `Op::rows`.
pub(super) const ROWS: &str = "rows of factors";

/// One operation, copied from the graph.
pub(super) struct Op {
    pub(crate) number: u32,
    pub(crate) operation: Operation,
    pub(crate) dtype: Dtype,
    pub(crate) form: Form,
    pub(crate) shape: Shape,
    pub(crate) factor: f64,
    pub(crate) axis: usize,
    /// No caller asked for it: it writes out a form for another operation.
    pub(crate) implied: bool,
    /// 1 or 2.
    pub(crate) count: usize,
    pub(crate) numbers: [u32; 2],
    pub(crate) forms: [Form; 2],
    /// Order of a new result.
    pub(crate) order: Order,
    /// The rows of the factors that it makes, or that are its operand.
    pub(crate) rows: Vec<usize>,
}

fn copy_rows(rows: &[usize]) -> Result<Vec<usize>> {
    let mut copy = lists::vector(rows.len(), ROWS)?;
    copy.extend_from_slice(rows);
    Ok(copy)
}

fn try_clone(shape: &Shape) -> Result<Shape> {
    let mut copy = Shape::new();
    lists::reserve(&mut copy, shape.len())?;
    copy.extend_from_slice(shape);
    Ok(copy)
}

impl Op {
    pub(crate) fn read(graph: &Graph, number: u32) -> Result<Op> {
        let node = &graph[number];
        let numbers = node.operands;
        let count = 2 - usize::from(numbers[1] == NONE);
        let of = |side: usize| &graph[numbers[side.min(count - 1)]];
        let forms = [of(0).form, of(1).form];
        // The order of the operand that the result resembles: the one that it would overwrite first.
        let like = of(rules::candidates(node.operation, forms).first().copied().unwrap_or(0));
        let order = match node.operation {
            Operation::Sum => Order::C,
            // The kernel makes factors in this order.
            Operation::Lu if node.form == Form::Factors => Order::F,
            _ => like.order,
        };
        let rows = if of(0).form.is_factors() { copy_rows(&of(0).rows)? } else { Vec::new() };
        Ok(Op {
            number,
            operation: node.operation,
            dtype: node.dtype,
            form: node.form,
            shape: try_clone(&node.shape)?,
            factor: node.factor,
            axis: node.axis,
            implied: node.implied,
            count,
            numbers,
            forms,
            order,
            rows,
        })
    }

    /// Whether the result is the operand, seen as it is or transposed.
    pub(crate) fn is_view(&self) -> bool {
        match self.operation {
            Operation::Transpose => true,
            Operation::Lu => self.form != Form::Factors,
            Operation::LuPart => rules::is_own_part(self.forms[0], self.axis),
            _ => false,
        }
    }

    /// Whether it is a view with rows and columns exchanged.
    pub(crate) fn turns(&self) -> bool {
        self.operation == Operation::Transpose && self.form != Form::Diagonal && !self.form.is_factors()
    }

    /// Bytes of the result.
    pub(crate) fn bytes(&self) -> u64 {
        self.dtype.item().saturating_mul(self.shape.iter().product()) as u64
    }

    /// Why the matrix is written out to new bytes, as TN_WHY_ bits: those of a diagonal have another layout.
    pub(crate) fn why_written_out(&self, plan: &Plan) -> u32 {
        if self.forms[0] == Form::Diagonal { TN_WHY_LAYOUT } else { plan.why[0] }
    }

    pub(crate) fn elementwise(&self) -> bool {
        rules::is_elementwise(self.operation, self.forms)
    }

    pub(crate) fn workspace(&self) -> Result<Option<Workspace>> {
        let needs = match self.operation {
            Operation::Cholesky | Operation::Lu => self.forms[0] == Form::Full,
            Operation::Solve | Operation::Multiply => self.forms[0].is_factors(),
            _ => false,
        };
        if needs { Workspace::take(self.shape[0] as usize, self.dtype).map(Some) } else { Ok(None) }
    }
}

/// What an operation may overwrite.
pub(super) struct Plan {
    /// The operand that takes the result; None: a new array.
    pub(crate) target: Option<usize>,
    /// For each candidate: why it may not be overwritten, as TN_WHY_ bits.
    pub(crate) why: [u32; 2],
}

pub(super) fn decide(locked: &Locked, op: &Op, operands: &[Operand]) -> Plan {
    let mut plan = Plan { target: None, why: [0; 2] };
    for &k in rules::candidates(op.operation, op.forms) {
        plan.why[k] = rules::why_not(locked, operands, k, &op.shape, op.elementwise());
        if plan.why[k] == 0 {
            plan.target = Some(k);
            break;
        }
    }
    plan
}
