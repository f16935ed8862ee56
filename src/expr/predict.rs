//! What one operation would do, decided by the rule of overwriting for values that do not exist yet.
//!
//! Contract: changes nothing. Each value has a [`Location`]: the bytes in which it would be, an operand's or new ones.
//! The values that are still needed are counted as during an evaluation.

use super::node::Graph;
use super::op::Op;
use super::rules::{self, Operand};
use crate::error::Result;
use crate::kernels;
use crate::layout::{Form, Layout, Order};
use crate::ledger::{self, Claim, Operation, ledger_of_claim};
use crate::types::*;

/// The bytes in which a value would be.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(crate) bytes: Bytes,
    /// The value is the transpose of these bytes, with another layout.
    pub(crate) transposed: bool,
    /// The transpose has the layout of these bytes, as of a matrix with one element.
    pub(crate) symmetric: bool,
    /// The label of the first value in these bytes.
    pub(crate) base: u32,
    /// Of a base: the number of values in these bytes that are still needed.
    pub(crate) alive: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Bytes {
    /// A value that exists.
    Claim(&'static Claim),
    /// This many bytes that only the expression would use.
    Own(i64),
}

impl Location {
    /// A value that exists.
    pub(super) fn of_claim(claim: &'static Claim, base: u32) -> Location {
        let symmetric = is_symmetric(&claim.lock_own().get(claim).layout);
        Location { bytes: Bytes::Claim(claim), transposed: false, symmetric, base, alive: 0 }
    }
}

/// Whether the transpose has the same layout.
fn is_symmetric(layout: &Layout) -> bool {
    layout.ndim() == 2 && layout.transpose().is_ok_and(|transposed| transposed == *layout)
}

/// The label of the store of a claim: that of the first node on it, or the next free one.
pub(super) fn base_of(graph: &Graph, claim: &'static Claim, locations: &[Location]) -> u32 {
    let mut base = locations.len() as u32;
    let locked = claim.lock_own();
    locked.each_claim(ledger_of_claim(claim), |other| {
        let label = locked.get(other).node.and_then(|tag| graph.number_of(tag.id)).map(|number| graph[number].up);
        // Labels of nodes outside of this expression are not valid.
        if let Some(location) = label.and_then(|label| locations.get(label as usize))
            && matches!(location.bytes, Bytes::Claim(there) if core::ptr::eq(there, other))
        {
            base = location.base;
        }
    });
    base
}

/// The predicted outcome of one operation.
pub(super) struct Step {
    pub(crate) target: Option<usize>,
    /// The claim of an operand passes to the result.
    pub(crate) passes: bool,
    pub(crate) asked: [bool; 2],
    pub(crate) why: [u32; 2],
    pub(crate) location: Location,
    /// OpenBLAS computes it.
    pub(crate) openblas: bool,
}

pub(super) fn predict(graph: &Graph, op: &Op, locations: &[Location]) -> Result<Step> {
    let numbers = &op.numbers[..op.count];
    let bytes = op.dtype.item().saturating_mul(op.shape.iter().product());
    let symmetric = is_symmetric(&Layout::contiguous(op.dtype, &op.shape, op.order, 0)?);
    let mut step = Step {
        target: None,
        passes: false,
        asked: [false; 2],
        why: [0; 2],
        location: Location {
            bytes: Bytes::Own(bytes),
            transposed: false,
            symmetric,
            base: locations.len() as u32,
            alive: 1,
        },
        openblas: op.operation == Operation::Multiply
            && op.forms == [Form::Full; 2]
            && is_for_openblas(graph, op, locations)?,
    };
    if op.is_view() {
        let from = locations[graph[numbers[0]].up as usize];
        step.passes = is_sole(graph, op.number, numbers[0]);
        let turns = op.turns() && !from.symmetric;
        step.location = Location { transposed: from.transposed != turns, alive: 0, ..from };
        return Ok(step);
    }
    for &k in rules::candidates(op.operation, op.forms) {
        step.asked[k] = true;
        step.why[k] = why_not(graph, op, k, &op.shape, locations)?;
        if step.why[k] == 0 {
            step.target = Some(k);
            break;
        }
    }
    if let Some(k) = step.target {
        let from = locations[graph[numbers[k]].up as usize];
        let bytes = match from.bytes {
            Bytes::Own(bytes) => bytes,
            Bytes::Claim(claim) => claim.lock_own().state(ledger_of_claim(claim)).bytes,
        };
        step.location = Location { bytes: Bytes::Own(bytes), alive: 0, ..from };
        step.passes = true;
    }
    Ok(step)
}

/// Whether OpenBLAS computes a product, by the layouts of its operands. Those that do not exist yet will be contiguous.
fn is_for_openblas(graph: &Graph, op: &Op, locations: &[Location]) -> Result<bool> {
    let layout = |side: usize| -> Result<Layout> {
        let (number, location) = (op.numbers[side], locations[graph[op.numbers[side]].up as usize]);
        match location.bytes {
            Bytes::Own(_) => Layout::contiguous(op.dtype, &graph[number].shape, Order::C, 0),
            Bytes::Claim(claim) => {
                let locked = claim.lock_own();
                let layout = &locked.get(claim).layout;
                if location.transposed { layout.transpose() } else { layout.try_clone() }
            }
        }
    };
    Ok(kernels::would_multiply(&layout(0)?, &layout(op.count - 1)?))
}

fn is_sole(graph: &Graph, user: u32, operand: u32) -> bool {
    graph[operand].references() == graph[user].edges_to(operand)
}

fn why_not(graph: &Graph, op: &Op, k: usize, shape: &[i64], locations: &[Location]) -> Result<u32> {
    let numbers = &op.numbers[..op.count];
    let location = |number: u32| locations[graph[number].up as usize];
    let sole = |number: u32| is_sole(graph, op.number, number);
    let own = location(numbers[k]);
    let other = numbers.iter().copied().find(|number| *number != numbers[k]);
    let twice = op.count == 2 && other.is_none();
    let elementwise = op.elementwise();
    // Other values in these bytes that do not end with the operation.
    let beside = other.filter(|other| location(*other).base == own.base);
    let ours = 1 + u32::from(beside.is_some_and(sole));
    let shared = locations[own.base as usize].alive > ours;
    // Two claims that exist are compared below.
    let there = |number: u32| matches!(location(number).bytes, Bytes::Claim(_));
    let differs = |other: u32| !(there(other) && there(numbers[k])) && location(other).transposed != own.transposed;
    let clash = (twice && !elementwise) || beside.is_some_and(|other| !elementwise || differs(other));
    let known = [
        (TN_WHY_IN_EXPRESSION, !sole(numbers[k]) || shared),
        (TN_WHY_LAYOUT, graph[numbers[k]].shape[..] != *shape),
        (TN_WHY_NOT_ALIASABLE, clash),
    ];
    let known = known.into_iter().fold(0, |bits, (bit, on)| if on { bits | bit } else { bits });
    let claim = match own.bytes {
        Bytes::Own(bytes) => {
            let result = op.dtype.item().saturating_mul(shape.iter().product());
            return Ok(if bytes > result.saturating_mul(2) { known | TN_WHY_WASTE } else { known });
        }
        Bytes::Claim(claim) => claim,
    };
    // Operands without bytes so far do not overlap.
    let mut operands = [Operand { number: numbers[k], claim, sole: sole(numbers[k]) }; 2];
    let mut count = 1;
    if let Some(number) = other
        && let Bytes::Claim(claim) = location(number).bytes
    {
        operands[1] = Operand { number, claim, sole: sole(number) };
        count = 2;
    }
    let claims = [operands[0].claim, operands[count - 1].claim];
    let locked = ledger::lock_claims(&claims[..count])?;
    let ledger = ledger_of_claim(claim);
    let flipped = [shape.last().copied().unwrap_or(0), shape.first().copied().unwrap_or(0)];
    let lies = if own.transposed && shape.len() == 2 { &flipped[..] } else { shape };
    let mut bits = rules::why_not(&locked, &operands[..count], 0, lies, elementwise);
    // The ledger knows neither transposes that do not exist yet, nor claims that will have ended by then.
    bits &= !(TN_WHY_NOT_ALIASABLE | TN_WHY_IN_EXPRESSION);
    let seen = |at: usize| -> Result<_> {
        let layout = &locked.get(operands[at].claim).layout;
        let transposed = location(operands[at].number).transposed;
        if transposed { layout.transpose() } else { layout.try_clone() }
    };
    if count == 2 && core::ptr::eq(ledger_of_claim(operands[1].claim), ledger) && !(elementwise && seen(0)? == seen(1)?)
    {
        bits |= TN_WHY_NOT_ALIASABLE;
    }
    let mut others = 0;
    locked.each_claim(ledger, |other| {
        let Some(tag) = locked.get(other).node else { return };
        let Some(number) = graph.number_of(tag.id) else { return };
        let ours = operands[..count].iter().any(|operand| operand.sole && core::ptr::eq(operand.claim, other));
        let over =
            graph[number].value.is_some_and(|value| core::ptr::eq(value, other)) && graph[number].references() == 0;
        others += u32::from(!ours && !over);
    });
    if others > 0 {
        bits |= TN_WHY_IN_EXPRESSION;
    }
    Ok(bits | known)
}
