//! What an evaluation would do now: per operation in place or not, and why.
//!
//! The nodes are put in the order of an evaluation and decided one after the other by the same rule, on values that are not there yet:
//! each is known by the bytes it would have, an operand's or new ones. Other threads, and handles released before `compute`, may change
//! the outcome. Nothing is computed and nothing changes.

use super::compute::{Job, order};
use super::node::{self, Graph, NONE, Node, Progress};
use super::rules::{self, Form, Operand};
use crate::array::Why;
use crate::error::{Result, fail};
use crate::ledger::{self, Claim, Operation, ledger_of_claim};
use crate::names::Name;
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

/// A text that grows fallibly.
struct Buffer(Vec<u8>);

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Where a value would be.
#[derive(Clone, Copy)]
struct Home {
    bytes: Bytes,
    /// Seen as the transpose of what lies there.
    turned: bool,
    /// The home that had these bytes first.
    base: u32,
    /// Of a base: how many values lie there that something still needs.
    alive: u32,
}

#[derive(Clone, Copy)]
enum Bytes {
    /// There already.
    Claim(&'static Claim),
    /// So many that would be the expression's alone.
    Own(i64),
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
    let mut homes: Vec<Home> = Vec::new();
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
    homes: &mut Vec<Home>,
    format: Format,
    text: &mut Buffer,
) -> core::result::Result<(), Short> {
    for operand in graph[at].operands {
        if operand != NONE && graph[operand].up == NONE && graph[operand].progress == Progress::Done {
            let claim = graph[operand].value.ok_or(Short)?;
            graph[operand].up = homes.len() as u32;
            let base = base_of(graph, claim, homes);
            homes.push(Home { bytes: Bytes::Claim(claim), turned: false, base, alive: 0 });
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

/// The home that stands for the store of a claim: that of the first node on it, or the next one.
fn base_of(graph: &Graph, claim: &'static Claim, homes: &[Home]) -> u32 {
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
struct Step {
    target: Option<usize>,
    destroys: bool,
    /// An operand's claim becomes the result's.
    passes: bool,
    asked: [bool; 2],
    why: [u32; 2],
    home: Home,
}

fn foresee(graph: &Graph, job: &Job, homes: &[Home]) -> Result<Step> {
    let numbers = &job.numbers[..job.count];
    let bytes = job.dtype.item().saturating_mul(job.shape.iter().product());
    let mut step = Step {
        target: None,
        destroys: false,
        passes: false,
        asked: [false; 2],
        why: [0; 2],
        home: Home { bytes: Bytes::Own(bytes), turned: false, base: homes.len() as u32, alive: 1 },
    };
    if job.operation == Operation::Transpose {
        let from = homes[graph[numbers[0]].up as usize];
        step.passes = is_sole(graph, job.number, numbers[0]);
        step.home = Home { turned: from.turned != (job.form != Form::Diagonal), alive: 0, ..from };
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
            Bytes::Claim(claim) => claim.lock_own().books(ledger_of_claim(claim)).bytes,
        };
        step.home = Home { bytes: Bytes::Own(bytes), alive: 0, ..from };
        step.passes = true;
    }
    Ok(step)
}

fn is_sole(graph: &Graph, user: u32, operand: u32) -> bool {
    graph[operand].references() == graph[user].edges_to(operand)
}

fn why_not(graph: &Graph, job: &Job, k: usize, shape: &[i64], homes: &[Home]) -> Result<u32> {
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
fn write_known(node: &Node, format: Format, text: &mut Buffer) -> fmt::Result {
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

fn write_operation(
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
