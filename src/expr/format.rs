//! An explanation as text or as a graph for Graphviz: how nodes and decisions are written.
//!
//! Contract: pure but for the names of arrays, which are read under their ledger's lock; grows its text fallibly.

use super::explain::Format;
use super::node::{Graph, Node, Progress};
use super::op::Job;
use super::predict::Step;
use super::rules::Form;
use crate::array::Why;
use crate::ledger::Operation;
use crate::names::Name;
use core::fmt::{self, Write};

/// A text that grows fallibly.
pub(super) struct Buffer(pub Vec<u8>);

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// `full float64 (3, 4)`
struct What<'a>(Form, &'static str, &'a [i64]);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (", self.0.name(), self.1)?;
        for (at, length) in self.2.iter().enumerate() {
            write!(f, "{}{length}", if at == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// A name between quotes, as both formats take it.
struct Escaped<'a>(&'a Name, &'static str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_none() {
            return Ok(());
        }
        write!(f, " {}", self.1)?;
        for c in self.0.as_str().chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            f.write_char(if c.is_control() { ' ' } else { c })?;
        }
        f.write_str(self.1)
    }
}

/// A leaf, or what was computed before.
pub(super) fn write_known(node: &Node, format: Format, text: &mut Buffer) -> fmt::Result {
    let label = node.up;
    let what = What(node.form, node.dtype.name(), &node.shape);
    let name = node.value.map_or(Name::NONE, |claim| claim.lock_own().get(claim).name);
    let state = match (node.operation, node.progress) {
        (_, Progress::Failed) => ", failed",
        (Operation::Leaf, _) => "",
        _ => ", computed",
    };
    let operation = node.operation.name();
    match format {
        Format::Text => writeln!(text, "[{label}] {operation}{}: {what}{state}", Escaped(&name, "\"")),
        Format::Dot => {
            writeln!(text, "  n{label} [label=\"{operation}{}\\n{what}{state}\"];", Escaped(&name, "\\\""))
        }
    }
}

pub(super) fn write_operation(
    graph: &Graph,
    job: &Job,
    label: u32,
    step: &Step,
    format: Format,
    text: &mut Buffer,
) -> fmt::Result {
    let what = What(job.form, job.dtype.name(), &job.shape);
    let operation = job.operation.name();
    let of = |side: usize| graph[job.numbers[side]].up;
    let view = job.operation == Operation::Transpose;
    if format == Format::Dot {
        let color = if step.target.is_some() || view { "palegreen" } else { "white" };
        writeln!(text, "  n{label} [label=\"{operation}\\n{what}\" style=filled fillcolor={color}];")?;
        for side in 0..job.count {
            write!(text, "  n{} -> n{label} [label=\"", of(side))?;
            match (view, step.target == Some(side), step.destroys && side == 0) {
                (true, ..) => text.write_str("view")?,
                (_, true, _) => text.write_str("in place")?,
                (_, _, true) => text.write_str("factors in place")?,
                _ if step.asked[side] && step.why[side] != 0 => write!(text, "not in place: {}", Why(step.why[side]))?,
                _ => {}
            }
            text.write_str("\"];\n")?;
        }
        return Ok(());
    }
    write!(text, "[{label}] {operation} [{}]", of(0))?;
    if job.count == 2 {
        write!(text, " [{}]", of(1))?;
    }
    write!(text, ": {what}, ")?;
    match step.target {
        _ if view => write!(text, "a view of [{}]", of(0))?,
        Some(side) => write!(text, "in place of [{}]", of(side))?,
        None => text.write_str("a new array")?,
    }
    if step.destroys {
        write!(text, ", factors in place of [{}]", of(0))?;
    }
    for side in 0..job.count {
        if step.asked[side] && step.why[side] != 0 {
            write!(text, "; not [{}]: {}", of(side), Why(step.why[side]))?;
        }
    }
    text.write_str("\n")
}
