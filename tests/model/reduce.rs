//! Shrinks a failing trace by leaving out calls, one by one, as long as it still fails.
//!
//! Contract: proptest shrinks operations, whose meaning shifts when one is removed. Here the calls themselves are
//! removed, together with those that need their results, and all others keep their meaning. The result is for people to
//! read.

use super::callback::Trace;
use super::calls::{Argument, Beside, Call};
use super::driver::Driver;
use super::handle::{Model, Ref, SCRATCH};
use super::ops::Op;
use super::store::Memory;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::process::Command;

/// A call, and the sizes of the model's tables before it: arrays, weak handles, promises, guards, scopes, expressions,
/// variables and blocks.
pub struct Step {
    pub call: Call,
    pub beside: Beside,
    pub before: [usize; TABLES],
}

/// Tables of the model in which calls make things; blocks of memory are the last.
const TABLES: usize = 9;

/// The sizes of the tables in which calls make things.
pub fn sizes(model: &Model) -> [usize; TABLES] {
    let blocks = model.memory.blocks.len();
    let Model { arrays, weaks, promises, guards, scopes, nodes, variables, functions, .. } = model;
    [
        arrays.len(),
        weaks.len(),
        promises.len(),
        guards.len(),
        scopes.len(),
        nodes.len(),
        variables.len(),
        functions.len(),
        blocks,
    ]
}

/// The calls of the operations, which the model alone determines.
pub fn steps(strict: bool, ops: &[Op]) -> Vec<Step> {
    let mut model = Model::new(strict);
    let mut steps = Vec::new();
    for op in ops {
        let (call, beside) = op.call(&model);
        steps.push(Step { call: call.clone(), beside, before: sizes(&model) });
        // A failing call changed nothing.
        let _ = model.run(&call, beside);
    }
    steps
}

/// The text of the smallest failing trace that leaving out calls leads to. None if the whole trace does not fail in a
/// process of its own. `file` passes traces to that process.
pub fn reduce(strict: bool, ops: &[Op], file: &Path) -> Option<String> {
    let mut kept = vec![true; ops.len()];
    let mut text = fails(strict, ops, &kept, file)?;
    loop {
        let before = kept.clone();
        for k in (0..kept.len()).rev() {
            if kept[k] {
                kept[k] = false;
                match fails(strict, ops, &kept, file) {
                    Some(shorter) => text = shorter,
                    None => kept[k] = true,
                }
            }
        }
        if kept == before {
            // The file has the last attempt; replace it by the trace itself.
            return fails(strict, ops, &kept, file).or(Some(text));
        }
    }
}

/// Runs some of the calls in a new process, so that no failure affects another.
fn fails(strict: bool, ops: &[Op], kept: &[bool], file: &Path) -> Option<String> {
    let mut text = format!("{strict}\n");
    for (op, kept) in ops.iter().zip(kept) {
        text += &format!("{kept} {}\n", op.save());
    }
    std::fs::write(file, text).expect("a place for the trace");
    let exe = std::env::current_exe().expect("the test's own program");
    let child = Command::new(exe)
        .args(["--exact", "replay", "--ignored", "--nocapture"])
        .env(TRACE, file)
        .env("RUST_BACKTRACE", "0")
        .output();
    let child = child.expect("another process of this test");
    let output = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    // From the first panic on; the rest of the output is the harness's.
    let text =
        output.lines().skip_while(|line| !line.contains("panicked at")).filter(|line| !line.starts_with("note: "));
    (!child.status.success()).then(|| text.collect::<Vec<_>>().join("\n"))
}

/// Names the file of a trace to replay.
pub const TRACE: &str = "TENURE_MODEL_TRACE";

/// Runs the trace of a file.
pub fn replay(file: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let mut lines = text.lines();
    let strict = lines.next() == Some("true");
    let lines: Vec<(bool, Op)> =
        lines.filter_map(|line| line.split_once(' ')).map(|(kept, op)| (kept == "true", Op::load(op))).collect();
    let ops: Vec<Op> = lines.iter().map(|(_, op)| op.clone()).collect();
    let mut driver = Driver::new(strict);
    let steps = steps(strict, &ops);
    let kept = steps.iter().zip(&lines).filter(|(_, (kept, _))| *kept).map(|(step, _)| step).collect();
    driver.play(&mut Shorter { steps: kept, now: Names::default(), last: None })?;
    driver.finish()
}

/// What is left of a trace.
struct Shorter<'a> {
    steps: VecDeque<&'a Step>,
    now: Names,
    /// Sizes of the tables before the last call, in the whole trace and in this one.
    last: Option<([usize; TABLES], [usize; TABLES])>,
}

impl Trace for Shorter<'_> {
    fn next(&mut self, model: &Model) -> Option<(Call, Beside)> {
        if let Some((was, before)) = self.last.take() {
            self.now.learn(was, before, sizes(model));
        }
        while let Some(step) = self.steps.pop_front() {
            let Some(call) = self.now.rename(&step.call) else { continue };
            if let Call::Compute { expr, .. } = call
                && !model.is_decided(expr)
            {
                // Without the calls that were left out, its result is unknown.
                continue;
            }
            self.last = Some((step.before, sizes(model)));
            return Some((call, step.beside));
        }
        None
    }
}

/// Maps numbers of the whole trace to those of the shorter one.
#[derive(Default)]
struct Names {
    known: [HashMap<usize, usize>; TABLES],
}

impl Names {
    fn learn(&mut self, was: [usize; TABLES], before: [usize; TABLES], after: [usize; TABLES]) {
        for table in 0..TABLES {
            for k in 0..after[table] - before[table] {
                self.known[table].insert(was[table] + k, before[table] + k);
            }
        }
    }

    fn handle(&self, handle: &mut Ref) -> bool {
        let (table, index) = match handle {
            Ref::Array(index) => (0, index),
            Ref::Weak(index) => (1, index),
            Ref::Promise(index) => (2, index),
            Ref::Guard(index) => (3, index),
            Ref::Scope(index) => (4, index),
            Ref::Expr(index) => (5, index),
            Ref::Shared(index) => (6, index),
            Ref::Function(index) => (7, index),
            _ => return true,
        };
        match self.known[table].get(index) {
            Some(&now) => *index = now,
            None => return false,
        }
        true
    }

    fn address(&self, address: &mut i64) -> bool {
        match Memory::nearest(*address) {
            Some(block) if block > SCRATCH => match self.known[TABLES - 1].get(&block) {
                Some(&now) => *address += Memory::base(now) - Memory::base(block),
                None => return false,
            },
            _ => {}
        }
        true
    }

    /// The call with the new numbers; None if something that it needs was left out.
    fn rename(&self, call: &Call) -> Option<Call> {
        let mut call = call.clone();
        let known = match &mut call {
            Call::RunReleases | Call::Forbid { .. } | Call::Return { .. } => true,
            Call::Import { ptr: at, .. } | Call::HoldersOf { at, .. } | Call::WriteForeign { at, .. } => {
                self.address(at)
            }
            Call::View { array, .. }
            | Call::Parts { array, .. }
            | Call::Clone { array }
            | Call::SetForm { array, .. }
            | Call::Release { array }
            | Call::Weaken { array }
            | Call::BorrowRead { array, .. }
            | Call::BorrowWrite { array, .. }
            | Call::SplitWrite { array, .. }
            | Call::Fill { array, .. }
            | Call::Zero { array, .. }
            | Call::CopyToHost { array, .. }
            | Call::CopyFromHost { array, .. }
            | Call::Give { array, .. }
            | Call::Leaf { array, .. }
            | Call::Export { array, .. }
            | Call::Query { array }
            | Call::IsUnique { array }
            | Call::WhyNot { array, .. } => self.handle(array),
            Call::Make { pool, .. } => self.handle(pool),
            Call::Copy { array, pool } => self.handle(array) && self.handle(pool),
            Call::Upgrade { weak } | Call::WeakRelease { weak } => self.handle(weak),
            Call::End { guard, .. } => self.handle(guard),
            Call::Build { x, y, .. } => self.handle(x) && self.handle(y),
            Call::Compute { expr, .. } | Call::ExprRelease { expr } => self.handle(expr),
            Call::Cancel { promise } | Call::PromiseRelease { promise } => self.handle(promise),
            Call::BorrowAll { entries } => entries.iter_mut().all(|(array, _)| self.handle(array)),
            Call::Enter { params } => params.iter_mut().all(|param| self.handle(param)),
            Call::Leave { scope, keep } => {
                // A missing handle cannot be kept; the rest of the call still makes sense.
                keep.retain_mut(|array| self.handle(array));
                self.handle(scope)
            }
            Call::Take { promises } => promises.iter_mut().all(|promise| self.handle(promise)),
            Call::CopyInto { source, destination, .. } => self.handle(source) && self.handle(destination),
            Call::SharedCreate { value, pool, .. } => self.handle(value) && self.handle(pool),
            Call::SharedSet { shared, value, .. } => self.handle(shared) && self.handle(value),
            Call::SharedGet { shared, .. }
            | Call::SharedUpdate { shared, .. }
            | Call::UpdateBegin { shared, .. }
            | Call::UpdateEnd { shared, .. }
            | Call::SharedRelease { shared } => self.handle(shared),
            Call::FunctionCreate { inputs, updates, .. } => {
                inputs.iter_mut().all(|input| self.handle(&mut input.default) && self.handle(&mut input.shared))
                    && updates.iter_mut().all(|(target, _)| self.handle(target))
            }
            Call::RunFunction { function, arguments, .. } => {
                self.handle(function) && arguments.iter_mut().all(|argument| self.handle(argument))
            }
            Call::FunctionRelease { function } => self.handle(function),
            Call::Launch { arguments, .. } => arguments.iter_mut().all(|argument| match argument {
                Argument::Array { array, .. } => self.handle(array),
                Argument::Value { .. } => true,
            }),
            Call::Place { array, .. } => self.handle(array),
            Call::Overlap { a, b } => self.handle(a) && self.handle(b),
            Call::WriteThrough { guard } => {
                let mut handle = Ref::Guard(*guard);
                let known = self.handle(&mut handle);
                if let Ref::Guard(now) = handle {
                    *guard = now;
                }
                known
            }
        };
        known.then_some(call)
    }
}
