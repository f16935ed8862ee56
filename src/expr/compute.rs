//! Evaluation of an expression.
//!
//! An evaluation determines the order of its nodes (operands first, left before right), marks them as its own, and
//! computes them one after another (`step`). It ends with a value, with a failure of a node and all that depend on it,
//! or with an error after which it can be tried again.
//!
//! With TN_KEEP_ON_FAIL, values that existed before are neither overwritten nor released until the whole evaluation has
//! succeeded. Its nodes stay in progress until then, because a failure takes their values back: no other evaluation may
//! use such a value. So a node that is done keeps its value for all operations that depend on it.

use super::build::poisoned;
use super::node::{self, EndedNodes, Graph, NONE, Progress};
use crate::error::{Result, Status, fail};
use crate::flags;
use crate::layout::Layout;
use crate::ledger::{Operation, SpareClaim};
use crate::slots::Id;
use crate::thread::{self, Thread};
use crate::types::*;

/// The value of an expression as an array; evaluates what has no value yet.
pub fn compute(id: Id, flags: u32) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareClaim::take(thread)?;
    let mut run = Run::begin(thread, id, flags)?;
    let ndim = node::graph()[run.root].shape.len();
    *spare.layout() = Layout::room(ndim)?;
    let outcome = run.evaluate();
    run.end(outcome)?;
    let graph = node::graph();
    let claim = graph[run.root].value.expect("a root that is held keeps its value");
    let copied = claim.lock_own().copy_claim(claim, spare);
    drop(graph);
    Ok(copied)
}

/// Why an operation failed.
pub(super) enum Failure {
    /// No memory, or a conflict with another thread: nothing is lost, and the evaluation can be tried again.
    Status(Status),
    /// The values do not allow the operation: the position of the pivot.
    Pivot(Operation, usize),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Status(status)
    }
}

/// One evaluation. Its drop releases the root, and all nodes if the evaluation was interrupted.
pub(super) struct Run {
    pub(crate) thread: &'static Thread,
    root: u32,
    pub(crate) number: u32,
    /// The first node in the order of evaluation.
    first: u32,
    /// The node that is being computed; NONE at the end.
    current: u32,
    pub(crate) keep: bool,
}

#[cold]
pub(super) fn busy() -> Status {
    fail(
        TN_ERR_IN_EXPRESSION,
        format_args!(
            "another thread computes this expression, or one that shares a part with it; try again when it is done"
        ),
    )
}

impl Run {
    fn begin(thread: &'static Thread, id: Id, flags: u32) -> Result<Run> {
        let mut graph = node::graph();
        let root = graph.find(id)?;
        flags::check("flags", flags, TN_KEEP_ON_FAIL, &flags::COMPUTE)?;
        if graph[root].form.is_factors() {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!("the factors that lu makes are no array; compute a solution, a product or a part of them"),
            ));
        }
        let number = graph.next_run();
        let first = match graph[root].progress {
            Progress::Done => NONE,
            Progress::Failed => return Err(poisoned(graph[root].operation)),
            Progress::Computing => return Err(busy()),
            Progress::Waiting => order(&mut graph, root, number)?,
        };
        graph[root].root_refs += 1;
        Ok(Run { thread, root, number, first, current: first, keep: flags & TN_KEEP_ON_FAIL != 0 })
    }

    fn evaluate(&mut self) -> core::result::Result<(), Failure> {
        while self.current != NONE {
            let at = self.current;
            let next = node::graph()[at].next;
            self.step(at)?;
            self.current = next;
        }
        Ok(())
    }

    /// Ends the evaluation, and turns a failure into a status.
    fn end(&mut self, outcome: core::result::Result<(), Failure>) -> Result<()> {
        match outcome {
            Ok(()) => {
                self.publish();
                Ok(())
            }
            Err(failure) => {
                let breaks = matches!(failure, Failure::Pivot(..));
                self.give_up(breaks);
                Err(match failure {
                    Failure::Status(status) => status,
                    Failure::Pivot(operation, pivot) => {
                        let why = match operation {
                            Operation::Cholesky => "is not positive: the matrix is not positive definite",
                            _ => "is 0 or NaN: the matrix is singular",
                        };
                        fail(TN_ERR_FAILED, format_args!("{}: pivot {pivot} {why}", operation.name()))
                    }
                })
            }
        }
    }

    /// After success: publishes the values of an evaluation that keeps its operands, and releases those operands.
    fn publish(&mut self) {
        if !self.keep {
            return;
        }
        let mut ended = EndedNodes::new();
        let mut graph = node::graph();
        let mut at = self.first;
        while at != NONE {
            self.uncount(&mut graph, at);
            graph[at].progress = Progress::Done;
            graph.release_operands(at, &mut ended);
            at = graph[at].next;
        }
        ended.free(self.thread, graph);
    }

    /// Takes back the count of `at` as a finished user of the operands that this evaluation computed.
    fn uncount(&self, graph: &mut Graph, at: u32) {
        for side in 0..2 {
            let operand = graph[at].operands[side];
            if operand != NONE && graph[operand].run == self.number {
                graph[operand].consumed -= 1;
            }
        }
    }

    /// Gives up at the current node. `breaks`: it and all that depend on it fail; otherwise all can be tried again.
    fn give_up(&mut self, breaks: bool) {
        let failed = core::mem::replace(&mut self.current, NONE);
        if self.keep {
            return self.revert(failed);
        }
        let mut ended = EndedNodes::new();
        let mut graph = node::graph();
        let mut at = failed;
        while at != NONE {
            if graph[at].progress == Progress::Computing {
                graph[at].progress = Progress::Waiting;
            }
            at = graph[at].next;
        }
        if breaks {
            graph.fail(failed, &mut ended);
        }
        ended.free(self.thread, graph);
    }

    /// Discards everything that was computed before `failed`.
    fn revert(&mut self, failed: u32) {
        let mut at = self.first;
        while at != failed {
            let mut graph = node::graph();
            self.uncount(&mut graph, at);
            let value = graph[at].value.take();
            at = graph[at].next;
            drop(graph);
            if let Some(claim) = value {
                claim.lock_own().end_node(claim);
            }
        }
        // At once, when no node has a value or a count: another evaluation can begin with any of them.
        let mut graph = node::graph();
        let mut at = self.first;
        while at != NONE {
            graph[at].progress = Progress::Waiting;
            at = graph[at].next;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.current != NONE {
            // During a panic: the current value is undefined.
            self.give_up(true);
        }
        let mut ended = EndedNodes::new();
        let mut graph = node::graph();
        graph.drop_root_ref(self.root, &mut ended);
        ended.free(self.thread, graph);
    }
}

/// Marks the nodes under `root` that have no value, and chains them in the order of evaluation: operands first, left
/// before right.
pub(super) fn order(graph: &mut Graph, root: u32, run: u32) -> Result<u32> {
    fn enter(graph: &mut Graph, at: u32, up: u32, run: u32) {
        let node = &mut graph[at];
        node.progress = Progress::Computing;
        (node.run, node.up, node.side, node.next) = (run, up, 0, NONE);
    }
    let (mut first, mut last) = (NONE, NONE);
    let mut at = root;
    enter(graph, root, NONE, run);
    while at != NONE {
        let node = &mut graph[at];
        if let Some(&operand) = node.operands.get(usize::from(node.side)) {
            node.side += 1;
            if operand == NONE {
                continue;
            }
            match graph[operand].progress {
                Progress::Waiting => {
                    enter(graph, operand, at, run);
                    at = operand;
                }
                Progress::Computing if graph[operand].run != run => {
                    // Another evaluation computes it, so the marks are removed again.
                    while at != NONE {
                        graph[at].progress = Progress::Waiting;
                        at = graph[at].up;
                    }
                    while first != NONE {
                        graph[first].progress = Progress::Waiting;
                        first = graph[first].next;
                    }
                    return Err(busy());
                }
                _ => {}
            }
            continue;
        }
        let up = node.up;
        match last {
            NONE => first = at,
            last => graph[last].next = at,
        }
        last = at;
        at = up;
    }
    Ok(first)
}
