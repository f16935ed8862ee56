//! The execution of one operation: which kernel runs on which arrays, by the forms of the operands.
//!
//! Contract: the caller has guards on what is read and written, and guards no lock. Results have identical bits in
//! place and in new memory.

use super::compute::Failure;
use super::op::Op;
use super::step::Work;
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::kernels::{self, Binary, Factors, Pivot, Side, Triangle, Unary};
use crate::layout::Form;
use crate::ledger::Operation;

impl Work {
    /// Runs the kernels.
    pub(crate) fn run(&mut self) -> core::result::Result<(), Failure> {
        let Work { op, plan, guards, result, workspace, .. } = self;
        let [left, right] = guards;
        let left = left.as_ref().expect("an operation has an operand").host_view()?;
        let right = right.as_ref().map_or(Ok(left), |guard| guard.host_view())?;
        let target = plan.target;
        let dst = match (target, result) {
            (Some(0), _) => left,
            (Some(_), _) => right,
            (None, Some(fresh)) => fresh.host_view()?,
            (None, None) => unreachable!("a result is new, or takes an operand's place"),
        };
        let broken = |operation| move |Pivot(pivot)| Failure::Pivot(operation, pivot);
        // Copies an operand to where the result will be.
        let copy_operand = |side: usize, from: &HostView| {
            if target == Some(side) { Ok(()) } else { blit::copy(&dst, from) }
        };
        // Writes the right operand to where the result will be, with the zeros that its form implies.
        let write_out_right = || -> Result<()> {
            match op.forms[1] {
                Form::Diagonal => kernels::write_diagonal(&dst, &right),
                form => {
                    copy_operand(1, &right)?;
                    if form.is_triangle() {
                        kernels::zero_above(&dst, triangle_of(form));
                    }
                }
            }
            Ok(())
        };
        match op.operation {
            Operation::Add => add(op, (kernels::Binary::Add, Side::Plus), &dst, &left, &right, &copy_operand)?,
            Operation::Subtract => {
                add(op, (kernels::Binary::Subtract, Side::Minus), &dst, &left, &right, &copy_operand)?
            }
            Operation::Times if op.form == Form::Diagonal => kernels::times_diagonals(&dst, &left, &right),
            Operation::Times => kernels::binary(Binary::Multiply, &dst, &left, &right),
            Operation::Divide => kernels::binary(Binary::Divide, &dst, &left, &right),
            Operation::Scale => kernels::scale(op.factor, &dst, &left),
            Operation::Negate => kernels::unary(Unary::Negate, &dst, &left),
            Operation::Sqrt => kernels::unary(Unary::Sqrt, &dst, &left),
            Operation::Exp => kernels::unary(Unary::Exp, &dst, &left),
            Operation::Log => kernels::unary(Unary::Log, &dst, &left),
            // The sums of the rows, or of the columns, of a diagonal matrix are its diagonal.
            Operation::Sum if op.forms[0] == Form::Diagonal && op.shape.len() == 1 => blit::copy(&dst, &left)?,
            Operation::Dense if op.forms[0] == Form::Diagonal => kernels::write_diagonal(&dst, &left),
            Operation::Dense => {
                copy_operand(0, &left)?;
                if op.forms[0].is_triangle() {
                    kernels::zero_above(&dst, triangle_of(op.forms[0]));
                }
            }
            Operation::Sum => kernels::sum(&dst, &left, op.axis)?,
            Operation::Cholesky if op.forms[0] == Form::Diagonal => {
                kernels::check_pivots(&left).map_err(broken(op.operation))?;
                kernels::unary(Unary::Sqrt, &dst, &left);
            }
            Operation::Cholesky => {
                copy_operand(0, &left)?;
                let workspace = workspace.as_mut().expect("taken for a factorisation");
                kernels::cholesky(&dst, workspace).map_err(broken(op.operation))?;
            }
            Operation::Lu => {
                copy_operand(0, &left)?;
                let workspace = workspace.as_mut().expect("taken for a factorisation");
                kernels::lu(&dst, &mut op.rows, workspace).map_err(broken(op.operation))?;
            }
            // The zeros of a triangle are written below.
            Operation::LuPart => match op.form {
                Form::Full => kernels::write_permutation(&dst, &op.rows),
                Form::Diagonal => kernels::set_diagonal(&dst),
                form => {
                    copy_operand(0, &left)?;
                    if form == Form::Lower {
                        kernels::set_diagonal(&dst);
                    }
                }
            },
            Operation::Multiply => match op.forms {
                [Form::Diagonal, Form::Diagonal] => kernels::binary(Binary::Multiply, &dst, &left, &right),
                [factors, _] if factors.is_factors() => {
                    write_out_right()?;
                    let workspace = workspace.as_mut().expect("taken for a product");
                    kernels::times_factors(&factors_of(op, &left), &dst, workspace);
                }
                [Form::Diagonal, _] => kernels::scale_rows(&dst, &left, &right),
                [_, Form::Diagonal] => kernels::scale_columns(&dst, &right, &left),
                [Form::Full, Form::Full] => kernels::matmul(&dst, &left, &right),
                [Form::Full, triangle] => {
                    copy_operand(0, &left)?;
                    kernels::times_triangle_from_right(triangle_of(triangle), &dst, &right);
                }
                [triangle, _] => {
                    write_out_right()?;
                    kernels::times_triangle(triangle_of(triangle), &left, &dst);
                }
            },
            Operation::Solve => match op.forms[0] {
                Form::Diagonal if op.forms[1] == Form::Diagonal => kernels::binary(Binary::Divide, &dst, &right, &left),
                Form::Diagonal => kernels::divide_rows(&dst, &left, &right),
                factors if factors.is_factors() => {
                    write_out_right()?;
                    let workspace = workspace.as_mut().expect("taken for a solution");
                    kernels::solve_factors(&factors_of(op, &left), &dst, workspace);
                }
                triangle => {
                    write_out_right()?;
                    kernels::solve_triangle(triangle_of(triangle), &left, &dst);
                }
            },
            Operation::Leaf | Operation::Transpose => unreachable!("no kernel"),
        }
        if op.form.is_triangle() && op.operation != Operation::Cholesky {
            // The other half of the operands' memory is not part of the matrices.
            kernels::zero_above(&dst, triangle_of(op.form));
        }
        Ok(())
    }
}

fn triangle_of(form: Form) -> Triangle {
    if form == Form::Upper { Triangle::Upper } else { Triangle::Lower }
}

fn factors_of<'a, 'b>(op: &'a Op, packed: &'a HostView<'b>) -> Factors<'a, 'b> {
    Factors { packed, rows: &op.rows, turned: op.forms[0] == Form::TurnedFactors }
}

/// Sums and differences by form.
fn add(
    op: &Op,
    (binary, side): (Binary, Side),
    dst: &HostView,
    left: &HostView,
    right: &HostView,
    copy_operand: &dyn Fn(usize, &HostView) -> Result<()>,
) -> Result<()> {
    match op.forms {
        [Form::Diagonal, Form::Diagonal] => kernels::binary(binary, dst, left, right),
        [_, Form::Diagonal] => {
            copy_operand(0, left)?;
            kernels::add_diagonal(side, dst, right);
        }
        [Form::Diagonal, _] => {
            match binary {
                Binary::Subtract => kernels::unary(Unary::Negate, dst, right),
                _ => copy_operand(1, right)?,
            }
            kernels::add_diagonal(Side::Plus, dst, left);
        }
        // Elements outside of a triangle become zeros again at the end.
        [x, y] if x == y => kernels::binary(binary, dst, left, right),
        [x, y] => kernels::combine(side, dst, (left, x), (right, y)),
    }
    Ok(())
}
