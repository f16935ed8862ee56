//! The formats of an explanation: text, or a graph for Graphviz.
//!
//! Contract: pure, except that it reads the names of arrays under their ledgers' locks. Growing the text can fail.

use super::node::{Graph, Node, Progress};
use super::op::Op;
use super::predict::Step;
use crate::array::Why;
use crate::error::{Result, fail};
use crate::layout::Form;
use crate::ledger::Operation;
use crate::names::Name;
use crate::types::*;
use core::fmt::{self, Write};

/// The format of an explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One line for each node.
    Text,
    /// A graph for Graphviz.
    Dot,
}

impl Format {
    /// As C passes it.
    pub(crate) fn of(raw: u32) -> Result<Format> {
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

/// A text whose growth can fail.
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

/// A name between quotes, escaped for both formats.
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

/// Writes a leaf, or a node that is computed or has failed.
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
    op: &Op,
    label: u32,
    step: &Step,
    format: Format,
    text: &mut Buffer,
) -> fmt::Result {
    let what = What(op.form, op.dtype.name(), &op.shape);
    let operation = op.operation.name();
    let of = |side: usize| graph[op.numbers[side]].up;
    let view = op.is_view();
    let by = if step.openblas { ", by OpenBLAS" } else { "" };
    if format == Format::Dot {
        let color = if step.target.is_some() || view { "palegreen" } else { "white" };
        writeln!(text, "  n{label} [label=\"{operation}{by}\\n{what}\" style=filled fillcolor={color}];")?;
        for side in 0..op.count {
            write!(text, "  n{} -> n{label} [label=\"", of(side))?;
            match (view, step.target == Some(side)) {
                (true, _) => text.write_str("view")?,
                (_, true) => text.write_str("in place")?,
                _ if step.asked[side] && step.why[side] != 0 => write!(text, "not in place: {}", Why(step.why[side]))?,
                _ => {}
            }
            text.write_str("\"];\n")?;
        }
        return Ok(());
    }
    write!(text, "[{label}] {operation} [{}]", of(0))?;
    if op.count == 2 {
        write!(text, " [{}]", of(1))?;
    }
    write!(text, ": {what}, ")?;
    match step.target {
        _ if view => write!(text, "a view of [{}]", of(0))?,
        Some(side) => write!(text, "in place of [{}]", of(side))?,
        None => text.write_str("a new array")?,
    }
    text.write_str(by)?;
    for side in 0..op.count {
        if step.asked[side] && step.why[side] != 0 {
            write!(text, "; not [{}]: {}", of(side), Why(step.why[side]))?;
        }
    }
    text.write_str("\n")
}
