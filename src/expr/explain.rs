//! What an evaluation would do now: which operations work in place, and why the others do not.
//!
//! The nodes are taken in the order of evaluation, and `predict` decides each by the rule of evaluation. Other threads,
//! and handles that are released before `compute`, can change the outcome. Nothing is computed, and nothing changes.

use super::compute::order;
use super::format::{Buffer, Format, write_known, write_operation};
use super::node::{self, Graph, NONE, Progress};
use super::op::Op;
use super::predict::{Location, base_of, predict};
use crate::error::{Result, fail};
use crate::kernels;
use crate::slots::Id;
use crate::types::*;
use core::fmt::{self, Write};

/// Calls `visit` with the explanation.
pub fn explain(id: Id, format: Result<Format>, visit: &mut dyn FnMut(&str)) -> Result<()> {
    // The loader is asked before the lock is taken.
    kernels::look();
    let mut graph = node::graph();
    let root = graph.find(id)?;
    let format = format?;
    let mut text = Buffer(Vec::new());
    let first = match graph[root].progress {
        Progress::Waiting => {
            let run = graph.next_run();
            order(&mut graph, root, run)?
        }
        Progress::Computing => {
            return Err(fail(
                TN_ERR_IN_EXPRESSION,
                format_args!("another thread computes this expression; ask again when it is done"),
            ));
        }
        Progress::Done | Progress::Failed => NONE,
    };
    let written = write_all(&mut graph, first, root, format, &mut text);
    // Restores the graph.
    let mut at = first;
    while at != NONE {
        graph[at].progress = Progress::Waiting;
        at = graph[at].next;
    }
    drop(graph);
    if written.is_err() {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the explanation")));
    }
    visit(core::str::from_utf8(&text.0).unwrap_or(""));
    Ok(())
}

/// The explanation was not written for want of memory.
struct NoMemory;

impl From<fmt::Error> for NoMemory {
    fn from(_: fmt::Error) -> NoMemory {
        NoMemory
    }
}

impl From<crate::error::Status> for NoMemory {
    fn from(_: crate::error::Status) -> NoMemory {
        NoMemory
    }
}

fn write_all(
    graph: &mut Graph,
    first: u32,
    root: u32,
    format: Format,
    text: &mut Buffer,
) -> core::result::Result<(), NoMemory> {
    if format == Format::Dot {
        text.write_str("digraph expression {\n  rankdir=BT;\n  node [shape=box];\n")?;
    }
    // `up`, which no call keeps, has the label of each node: its position in the list of locations.
    let mut at = first;
    let mut count = 1;
    while at != NONE {
        for operand in graph[at].operands {
            if operand != NONE && graph[operand].progress == Progress::Done {
                graph[operand].up = NONE;
            }
        }
        count += 3;
        at = graph[at].next;
    }
    let mut locations: Vec<Location> = Vec::new();
    locations.try_reserve_exact(count).map_err(|_| NoMemory)?;
    if first == NONE {
        graph[root].up = 0;
        write_known(&graph[root], format, text)?;
    }
    let mut outcome = Ok(());
    let mut at = first;
    while at != NONE {
        outcome = write_step(graph, at, &mut locations, format, text);
        if outcome.is_err() {
            break;
        }
        at = graph[at].next;
    }
    // Restores the counts, which a step changes only if it succeeds.
    let end = at;
    let mut at = first;
    while at != end {
        count_uses(graph, at, false);
        at = graph[at].next;
    }
    outcome?;
    if format == Format::Dot {
        text.write_str("}\n")?;
    }
    Ok(())
}

/// Counts `at` as a finished user of its operands, or takes that back.
fn count_uses(graph: &mut Graph, at: u32, up: bool) {
    for operand in graph[at].operands {
        if operand != NONE {
            let consumed = &mut graph[operand].consumed;
            *consumed = if up { *consumed + 1 } else { *consumed - 1 };
        }
    }
}

/// Writes one operation, after its operands that have values already.
fn write_step(
    graph: &mut Graph,
    at: u32,
    locations: &mut Vec<Location>,
    format: Format,
    text: &mut Buffer,
) -> core::result::Result<(), NoMemory> {
    for operand in graph[at].operands {
        if operand != NONE && graph[operand].up == NONE && graph[operand].progress == Progress::Done {
            let claim = graph[operand].value.ok_or(NoMemory)?;
            graph[operand].up = locations.len() as u32;
            let base = base_of(graph, claim, locations);
            locations.push(Location::of_claim(claim, base));
            locations[base as usize].alive += 1;
            write_known(&graph[operand], format, text)?;
        }
    }
    let op = Op::read(graph, at)?;
    let step = predict(graph, &op, locations)?;
    let label = locations.len() as u32;
    locations.push(step.location);
    if step.location.base != label && !step.passes {
        locations[step.location.base as usize].alive += 1;
    }
    write_operation(graph, &op, label, &step, format, text)?;
    count_uses(graph, at, true);
    for (side, &number) in op.numbers[..op.count].iter().enumerate() {
        let again = side == 1 && number == op.numbers[0];
        let passed = step.passes && op.numbers[step.target.unwrap_or(0)] == number;
        if !again && !passed && graph[number].references() == 0 {
            let base = locations[graph[number].up as usize].base;
            locations[base as usize].alive -= 1;
        }
    }
    graph[at].up = label;
    Ok(())
}
