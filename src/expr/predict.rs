//! What one operation would do, decided by the rule of overwriting on values that are not there yet.
//!
//! Contract: changes nothing. Each value is known by the bytes it would have, an operand's or new ones (`Location`); which of them are needed
//! still is counted as an evaluation would find it.

use super::form::Form;
use super::node::Graph;
use super::op::Job;
use super::rules::{self, Operand};
use crate::error::Result;
use crate::ledger::{self, Claim, Operation, ledger_of_claim};
use crate::types::*;

/// Where a value would be.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(crate) bytes: Bytes,
    /// Seen as the transpose of what lies there.
    pub(crate) turned: bool,
    /// The home that had these bytes first.
    pub(crate) base: u32,
    /// Of a base: how many values lie there that something still needs.
    pub(crate) alive: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Bytes {
    /// There already.
    Claim(&'static Claim),
    /// So many that would be the expression's alone.
    Own(i64),
}

/// The home that stands for the store of a claim: that of the first node on it, or the next one.
pub(super) fn base_of(graph: &Graph, claim: &'static Claim, homes: &[Location]) -> u32 {
    let mut base = homes.len() as u32;
    let locked = claim.lock_own();
    locked.each_claim(ledger_of_claim(claim), |other| {
        let label = locked.get(other).node.and_then(|tag| graph.number_of(tag.id)).map(|number| graph[number].up);
        // Labels of nodes that are not in this expression say nothing.
        if let Some(home) = label.and_then(|label| homes.get(label as usize))
            && matches!(home.bytes, Bytes::Claim(there) if core::ptr::eq(there, other))
        {
            base = home.base;
        }
    });
    base
}

/// What would happen to one operation.
pub(super) struct Step {
    pub(crate) target: Option<usize>,
    pub(crate) destroys: bool,
    /// An operand's claim becomes the result's.
    pub(crate) passes: bool,
    pub(crate) asked: [bool; 2],
    pub(crate) why: [u32; 2],
    pub(crate) home: Location,
}

pub(super) fn foresee(graph: &Graph, job: &Job, homes: &[Location]) -> Result<Step> {
    let numbers = &job.numbers[..job.count];
    let bytes = job.dtype.item().saturating_mul(job.shape.iter().product());
    let mut step = Step {
        target: None,
        destroys: false,
        passes: false,
        asked: [false; 2],
        why: [0; 2],
        home: Location { bytes: Bytes::Own(bytes), turned: false, base: homes.len() as u32, alive: 1 },
    };
    if job.operation == Operation::Transpose {
        let from = homes[graph[numbers[0]].up as usize];
        step.passes = is_sole(graph, job.number, numbers[0]);
        step.home = Location { turned: from.turned != (job.form != Form::Diagonal), alive: 0, ..from };
        return Ok(step);
    }
    for &k in rules::candidates(job.operation, job.forms) {
        step.asked[k] = true;
        step.why[k] = why_not(graph, job, k, &job.shape, homes)?;
        if step.why[k] == 0 {
            step.target = Some(k);
            break;
        }
    }
    if job.factors() {
        step.asked[0] = true;
        step.why[0] = why_not(graph, job, 0, &job.left.0, homes)?;
        step.destroys = step.why[0] == 0;
    }
    if let Some(k) = step.target {
        let from = homes[graph[numbers[k]].up as usize];
        let bytes = match from.bytes {
            Bytes::Own(bytes) => bytes,
            Bytes::Claim(claim) => claim.lock_own().state(ledger_of_claim(claim)).bytes,
        };
        step.home = Location { bytes: Bytes::Own(bytes), alive: 0, ..from };
        step.passes = true;
    }
    Ok(step)
}

fn is_sole(graph: &Graph, user: u32, operand: u32) -> bool {
    graph[operand].references() == graph[user].edges_to(operand)
}

fn why_not(graph: &Graph, job: &Job, k: usize, shape: &[i64], homes: &[Location]) -> Result<u32> {
    let numbers = &job.numbers[..job.count];
    let home = |number: u32| homes[graph[number].up as usize];
    let sole = |number: u32| is_sole(graph, job.number, number);
    let own = home(numbers[k]);
    let other = numbers.iter().copied().find(|number| *number != numbers[k]);
    let twice = job.count == 2 && other.is_none();
    let elementwise = job.elementwise();
    // Values on the same bytes that do not end with the operation.
    let beside = other.filter(|other| home(*other).base == own.base);
    let ours = 1 + u32::from(beside.is_some_and(sole));
    let shared = homes[own.base as usize].alive > ours;
    // Two claims that are there already are compared below.
    let there = |number: u32| matches!(home(number).bytes, Bytes::Claim(_));
    let differs = |other: u32| !(there(other) && there(numbers[k])) && home(other).turned != own.turned;
    let clash = (twice && !elementwise) || beside.is_some_and(|other| !elementwise || differs(other));
    let known = [
        (TN_WHY_IN_EXPRESSION, !sole(numbers[k]) || shared),
        (TN_WHY_LAYOUT, graph[numbers[k]].shape[..] != *shape),
        (TN_WHY_NOT_ALIASABLE, clash),
    ];
    let known = known.into_iter().fold(0, |bits, (bit, on)| if on { bits | bit } else { bits });
    let claim = match own.bytes {
        Bytes::Own(bytes) => {
            let result = job.dtype.item().saturating_mul(shape.iter().product());
            return Ok(if bytes > result.saturating_mul(2) { known | TN_WHY_WASTE } else { known });
        }
        Bytes::Claim(claim) => claim,
    };
    // Operands whose bytes are not there yet lie elsewhere.
    let mut operands = [Operand { number: numbers[k], claim, sole: sole(numbers[k]) }; 2];
    let mut count = 1;
    if let Some(number) = other
        && let Bytes::Claim(claim) = home(number).bytes
    {
        operands[1] = Operand { number, claim, sole: sole(number) };
        count = 2;
    }
    let claims = [operands[0].claim, operands[count - 1].claim];
    let locked = ledger::lock_claims(&claims[..count])?;
    let ledger = ledger_of_claim(claim);
    let flipped = [shape.last().copied().unwrap_or(0), shape.first().copied().unwrap_or(0)];
    let lies = if own.turned && shape.len() == 2 { &flipped[..] } else { shape };
    let mut bits = rules::why_not(&locked, &operands[..count], 0, lies, elementwise);
    // What the ledger cannot know: transposes that are not there yet, and claims that will have ended by then.
    bits &= !(TN_WHY_NOT_ALIASABLE | TN_WHY_IN_EXPRESSION);
    let seen = |at: usize| -> Result<_> {
        let layout = &locked.get(operands[at].claim).layout;
        let turned = home(operands[at].number).turned;
        if turned { layout.transpose() } else { layout.try_clone() }
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
