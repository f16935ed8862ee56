//! What an evaluation would do now: per operation in place or not, and why.
//!
//! The nodes are put in the order of an evaluation and decided one after the other by the same rule (`foresee`). Other threads, and handles
//! released before `compute`, may change the outcome. Nothing is computed and nothing changes.

use super::compute::order;
use super::format::{Buffer, write_known, write_operation};
use super::node::{self, Graph, NONE, Progress};
use super::op::Job;
use super::predict::{Bytes, Location, base_of, foresee};
use crate::error::{Result, fail};
use crate::slots::Id;
use crate::types::*;
use core::fmt::{self, Write};

/// How the explanation is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A line a node.
    Text,
    /// A graph for Graphviz.
    Dot,
}

impl Format {
    /// As C passes it.
    pub fn of(raw: u32) -> Result<Format> {
        match raw {
            TN_EXPLAIN_TEXT => Ok(Format::Text),
            TN_EXPLAIN_DOT => Ok(Format::Dot),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!("format {raw} is neither TN_EXPLAIN_TEXT (0) nor TN_EXPLAIN_DOT (1)"),
            )),
        }
    }
}

/// The explanation as UTF-8; `visit` sees it once.
pub fn explain(id: Id, format: Result<Format>, visit: &mut dyn FnMut(&str)) -> Result<()> {
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
    // As it was.
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

/// Why nothing was written: memory.
struct Short;

impl From<fmt::Error> for Short {
    fn from(_: fmt::Error) -> Short {
        Short
    }
}

impl From<crate::error::Status> for Short {
    fn from(_: crate::error::Status) -> Short {
        Short
    }
}

fn write_all(
    graph: &mut Graph,
    first: u32,
    root: u32,
    format: Format,
    text: &mut Buffer,
) -> core::result::Result<(), Short> {
    if format == Format::Dot {
        text.write_str("digraph expression {\n  rankdir=BT;\n  node [shape=box];\n")?;
    }
    // Labels stand in `up`, which nobody uses between two calls: places in the list of homes.
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
    let mut homes: Vec<Location> = Vec::new();
    homes.try_reserve_exact(count).map_err(|_| Short)?;
    if first == NONE {
        graph[root].up = 0;
        write_known(&graph[root], format, text)?;
    }
    let mut outcome = Ok(());
    let mut at = first;
    while at != NONE && outcome.is_ok() {
        outcome = write_step(graph, at, &mut homes, format, text);
        at = graph[at].next;
    }
    // What counted as used up is not.
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

/// The operands of `at` have one user less, or as many as before.
fn count_uses(graph: &mut Graph, at: u32, up: bool) {
    for operand in graph[at].operands {
        if operand != NONE {
            let consumed = &mut graph[operand].consumed;
            *consumed = if up { *consumed + 1 } else { *consumed - 1 };
        }
    }
}

/// One operation: its operands that are there already, then itself.
fn write_step(
    graph: &mut Graph,
    at: u32,
    homes: &mut Vec<Location>,
    format: Format,
    text: &mut Buffer,
) -> core::result::Result<(), Short> {
    for operand in graph[at].operands {
        if operand != NONE && graph[operand].up == NONE && graph[operand].progress == Progress::Done {
            let claim = graph[operand].value.ok_or(Short)?;
            graph[operand].up = homes.len() as u32;
            let base = base_of(graph, claim, homes);
            homes.push(Location { bytes: Bytes::Claim(claim), turned: false, base, alive: 0 });
            homes[base as usize].alive += 1;
            write_known(&graph[operand], format, text)?;
        }
    }
    let job = Job::read(graph, at)?;
    let step = foresee(graph, &job, homes)?;
    let label = homes.len() as u32;
    homes.push(step.home);
    if step.home.base != label && !step.passes {
        homes[step.home.base as usize].alive += 1;
    }
    count_uses(graph, at, true);
    for (side, &number) in job.numbers[..job.count].iter().enumerate() {
        let again = side == 1 && number == job.numbers[0];
        let passed = step.passes && step.target.unwrap_or(0) == side;
        if !again && !passed && graph[number].references() == 0 {
            let base = homes[graph[number].up as usize].base;
            homes[base as usize].alive -= 1;
        }
    }
    write_operation(graph, &job, label, &step, format, text)?;
    graph[at].up = label;
    Ok(())
}
