//! Building of leaves and operations: all checks are made here. Nothing is computed, and no bytes are allocated.

use super::node::{self, Expr, Graph, NewNode, Progress, Shape, SpareNode, shape_of};
use super::rules::{self, Kind};
use crate::array::{self, Checked, Quoted, Refusal};
use crate::borrow::{self, Use};
use crate::dtype::Dtype;
use crate::error::{FirstError, Result, Status, about, fail};
use crate::kernels;
use crate::layout::{Form, Layout, Order};
use crate::ledger::{self, Claim, Locked, NodeTag, Operation, Origin, Points, SpareClaim, UseTime};
use crate::lists;
use crate::slots::{Id, Slot};
use crate::thread;
use crate::types::*;
use smallvec::SmallVec;

/// The arguments of an operation beside its operands.
#[derive(Clone, Copy, Default)]
pub struct Arguments {
    /// The factor of scale.
    pub(crate) factor: f64,
    /// The axis of sum, or TN_ALL_AXES; a negative one counts from the end. Of lu_part, the part.
    pub(crate) axis: i32,
}

/// Makes a leaf: a claim on the array's store, which reads the array until the leaf ends.
pub fn leaf(id: Id, form: u32) -> Result<Id> {
    let thread = thread::current();
    let spare_node = Expr::spare(thread)?;
    let tag = NodeTag { id: spare_node.slot().id(), waits: Operation::Leaf };
    let mut spare = SpareClaim::take(thread)?;
    let mut room = Shape::new();
    let new = loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        let ledger = locked.ledger_of(claim);
        locked.drop_passed_work(ledger);
        let mut points = Points::default();
        let checked = check_leaf(&locked, claim, form, &mut points);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        match checked {
            Err(refusal) => borrow::wait_or_refuse(locked, Err(refusal), &mut points)?,
            Ok(form) if spare.layout().set(layout) && room.capacity() >= ndim => {
                let shape = match room.spilled() {
                    true => {
                        room.extend_from_slice(layout.shape());
                        room
                    }
                    false => shape_of(layout.shape())?,
                };
                let (dtype, order) = (layout.dtype(), order_of(layout));
                let claim = locked.copy_to_node(claim, spare, tag);
                locked.get_mut(claim).form = form;
                break NewNode {
                    operation: Operation::Leaf,
                    form,
                    dtype,
                    shape,
                    operands: [node::NONE; 2],
                    factor: 1.0,
                    axis: 0,
                    origin: Origin { site: thread.site(), thread: thread.number() },
                    leaf: Some((claim, order)),
                };
            }
            Ok(_) => {
                drop(locked);
                *spare.layout() = Layout::room(ndim)?;
                lists::reserve(&mut room, ndim)?;
            }
        }
    };
    Ok(node::graph_as(thread).insert(thread, spare_node, new))
}

/// The element order of a new array with this layout.
pub fn order_of(layout: &Layout) -> Order {
    if layout.is_c() || !layout.is_f() { Order::C } else { Order::F }
}

fn check_leaf(locked: &Locked, claim: &'static Claim, form: u32, points: &mut Points) -> Checked<Form> {
    let explicit = if form == TN_FORM_OF_HANDLE { None } else { Some(Form::of(form)?) };
    array::check_live(locked, claim)?;
    let body = locked.get(claim);
    let layout = &body.layout;
    if !kernels::computes(layout.dtype()) {
        return Err(Refusal::from(fail(
            TN_ERR_DTYPE,
            format_args!(
                "{} has {} elements; expressions compute with float32 and float64",
                Quoted(&body.name),
                layout.dtype().name()
            ),
        )));
    }
    let form = explicit.unwrap_or(body.form);
    form.check(layout.shape())?;
    let form = form.of_elements();
    let item = layout.item();
    if !layout.is_aligned() || layout.axes().any(|(length, stride)| length > 1 && stride % item != 0) {
        return Err(Refusal::from(fail(
            TN_ERR_LAYOUT,
            format_args!("the elements of {} are not at multiples of their size; copy it first", Quoted(&body.name)),
        )));
    }
    array::check_reach(locked, claim)?;
    borrow::check(locked, claim, Use::Read { frozen: false }, UseTime::HOST, points)?;
    Ok(form)
}

/// The operation of a member of TN_EXPR_.
pub fn elementwise(number: u32) -> Result<Operation> {
    Ok(match number {
        TN_EXPR_ADD => Operation::Add,
        TN_EXPR_SUBTRACT => Operation::Subtract,
        TN_EXPR_MULTIPLY => Operation::Times,
        TN_EXPR_DIVIDE => Operation::Divide,
        TN_EXPR_NEGATE => Operation::Negate,
        TN_EXPR_SQRT => Operation::Sqrt,
        TN_EXPR_EXP => Operation::Exp,
        TN_EXPR_LOG => Operation::Log,
        _ => {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("operation {number} is none of TN_EXPR_ADD (1) to TN_EXPR_LOG (8)"),
            ));
        }
    })
}

/// Whether an operation has two operands.
fn is_binary(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Add
            | Operation::Subtract
            | Operation::Multiply
            | Operation::Solve
            | Operation::Times
            | Operation::Divide
    )
}

/// Makes a node for an operation. Each operand comes with the name of its parameter.
pub fn operation(operation: Result<Operation>, operands: &[(Id, &str)], arguments: Arguments) -> Result<Id> {
    let thread = thread::current();
    let origin = Origin { site: thread.site(), thread: thread.number() };
    let spare = Expr::spare(thread)?;
    let mut spares: SmallVec<[SpareNode; 2]> = SmallVec::new();
    loop {
        let mut graph = node::graph_as(thread);
        let NewOperation { mut node, implied } = check(&graph, operation, operands, arguments, origin)?;
        if implied == [None, None] {
            return Ok(graph.insert(thread, spare, node));
        }
        if implied.iter().flatten().count() > spares.len() {
            drop(graph);
            spares.push(Expr::spare(thread)?);
            continue;
        }
        // Both before the first is added, because they can fail.
        let mut below = [None, None];
        for (side, first) in implied.into_iter().enumerate() {
            let kind = kind(&graph, node.operands[side.min(operands.len() - 1)]);
            below[side] = first.map(|first| rules::unary(first, kind, 0).map(|made| (first, made))).transpose()?;
        }
        for (side, below) in below.into_iter().enumerate() {
            let Some((operation, (form, shape))) = below else { continue };
            let (dtype, operand) = (node.dtype, node.operands[side]);
            let operands = [operand, node::NONE];
            let below = NewNode { operation, form, dtype, shape, operands, origin, factor: 1.0, axis: 0, leaf: None };
            let number = graph.insert_implied(thread, spares.pop().expect("as many as are needed"), below);
            node.operands[side] = number;
            let written_out = operation == Operation::Dense;
            node.operands.iter_mut().filter(|at| written_out && **at == operand).for_each(|at| *at = number);
        }
        return Ok(graph.insert(thread, spare, node));
    }
}

/// A checked operation.
struct NewOperation {
    node: NewNode,
    /// By side: an operation on the operand that comes first. An operand on both sides is written out once.
    implied: [Option<Operation>; 2],
}

/// Makes all checks of an operation.
fn check(
    graph: &Graph,
    operation: Result<Operation>,
    operands: &[(Id, &str)],
    arguments: Arguments,
    origin: Origin,
) -> Result<NewOperation> {
    let mut numbers = [node::NONE; 2];
    // The first error in the order of checks. Its text is kept, because another thread may change what a second look-up
    // finds.
    let mut first = FirstError::default();
    for (number, (id, name)) in numbers.iter_mut().zip(operands) {
        match graph.find(*id) {
            Ok(found) => *number = found,
            Err(status) => first.see(about(status, name)),
        }
    }
    if let Some(status) = first.into_status() {
        return Err(status);
    }
    let operation = operation?;
    if is_binary(operation) != (operands.len() == 2) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("{} takes {} operand(s)", operation.name(), 1 + u32::from(is_binary(operation))),
        ));
    }
    let kind = |node: u32| kind(graph, node);
    let axis = match operation {
        Operation::Sum => axis_of(arguments.axis, kind(numbers[0]).dense_shape()?.len())?,
        Operation::LuPart => part_of(arguments.axis)?,
        _ => 0,
    };
    let (form, shape) = match numbers {
        [x, node::NONE] => rules::unary(operation, kind(x), axis)?,
        [x, y] => rules::binary(operation, kind(x), kind(y))?,
    };
    rules::check_supported(
        operation,
        numbers.map(|node| if node == node::NONE { Form::Full } else { graph[node].form }),
    )?;
    if let Some(failed) = numbers.into_iter().find(|n| *n != node::NONE && graph[*n].progress == Progress::Failed) {
        return Err(poisoned(graph[failed].operation));
    }
    let (dtype, factor) = (graph[numbers[0]].dtype, arguments.factor);
    let mut implied = [None, None];
    for side in 0..operands.len() {
        let operand = numbers[side];
        if side == 0 || operand != numbers[0] {
            implied[side] = rules::implied(operation, side, graph[operand].form);
        }
    }
    let node = NewNode { operation, form, dtype, shape, operands: numbers, factor, axis, origin, leaf: None };
    Ok(NewOperation { node, implied })
}

fn kind(graph: &Graph, node: u32) -> Kind<'_> {
    Kind { form: graph[node].form, dtype: graph[node].dtype, shape: &graph[node].shape }
}

/// The status of a node that failed.
pub fn poisoned(operation: Operation) -> Status {
    fail(
        TN_ERR_POISONED,
        format_args!(
            "the expression ({}) failed, or one that it is built on; release it and build it again",
            operation.name()
        ),
    )
}

/// Calls `read` with the element type, the form and the shape of the value.
pub fn query(id: Id, read: impl FnOnce(Dtype, Form, &[i64]) -> Result<()>) -> Result<()> {
    let graph = node::graph();
    let node = &graph[graph.find(id)?];
    read(node.dtype, node.form, &node.shape)
}

fn part_of(part: i32) -> Result<usize> {
    match part as u32 {
        TN_LU_P | TN_LU_L | TN_LU_U => Ok(part as usize),
        _ => Err(fail(TN_ERR_INVALID, format_args!("part {part} is none of TN_LU_P (0), TN_LU_L (1) and TN_LU_U (2)"))),
    }
}

fn axis_of(axis: i32, ndim: usize) -> Result<usize> {
    if axis == TN_ALL_AXES {
        return Ok(kernels::ALL_AXES);
    }
    let at = if axis < 0 { i64::from(axis) + ndim as i64 } else { i64::from(axis) };
    if (0..ndim as i64).contains(&at) {
        Ok(at as usize)
    } else {
        Err(fail(TN_ERR_RANGE, format_args!("axis {axis} does not exist; the expression has {ndim}")))
    }
}
