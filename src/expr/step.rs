//! One step of an evaluation: from operands with values to a node with a value.
//!
//! The decision about overwriting is made with the operands' ledgers locked. If it needs memory, everything is
//! unlocked, the memory is allocated, and the decision is made again. Guards are opened on what is read and written,
//! and `execute` runs the kernels under no lock. If an operand takes the result, its claim passes to the operation, and
//! weak handles of the old contents end.

use super::compute::{Failure, Run, busy};
use super::node::{self, EndedNodes, Graph, Progress};
use super::op::{Op, Plan, ROWS, decide};
use super::rules::Operand;
use crate::array;
use crate::borrow::{self, Mode, Use};
use crate::copy_stats;
use crate::error::{Result, fail};
use crate::kernels::Workspace;
use crate::layout::{Form, Layout};
use crate::ledger::{self, Claim, InternalGuard, NewStore, NodeTag, Operation, Points, Root, SpareClaim, SpareGuard};
use crate::lists;
use crate::pool;
use crate::sites::Site;
use crate::slots::Id;
use crate::types::*;

/// An operation with its guards and memory.
pub(super) struct Work {
    pub(crate) op: Op,
    pub(crate) plan: Plan,
    claims: [&'static Claim; 2],
    /// By operand. Of two operands with one claim, the first has the guard.
    pub(crate) guards: [Option<InternalGuard>; 2],
    pub(crate) result: Option<NewStore>,
    pub(crate) workspace: Option<Workspace>,
}

impl Run {
    pub(crate) fn step(&self, at: u32) -> core::result::Result<(), Failure> {
        let op = Op::read(&node::graph(), at)?;
        if op.is_view() {
            return Ok(self.view(op)?);
        }
        let mut work = self.prepare(op)?;
        let worked = work.run();
        let failed = worked.is_err();
        // Guards end first, while their claims exist.
        for (side, guard) in core::mem::take(&mut work.guards).into_iter().enumerate() {
            if let Some(guard) = guard {
                guard.end(failed && work.plan.target == Some(side));
            }
        }
        let Work { op, plan, claims, result, .. } = work;
        worked?;
        if op.operation == Operation::Dense && result.is_some() {
            self.count_copy(&op, &plan);
        }
        let claim = match (plan.target, result) {
            (Some(side), _) => claims[side],
            (None, Some(fresh)) => fresh.finish_node(NodeTag { id: Id::NONE, waits: Operation::Leaf }),
            (None, None) => unreachable!("a result is new, or takes an operand's place"),
        };
        self.finish(op, claim);
        Ok(())
    }

    /// Counts a matrix that was written out to new bytes in the statistics of copies.
    fn count_copy(&self, op: &Op, plan: &Plan) {
        let key = copy_stats::Key {
            function: Some(c"tn_expr_compute"),
            site: Site::from_number(self.thread.site()),
            why: op.why_written_out(plan),
            forced: op.implied,
        };
        copy_stats::note_copy(key, op.bytes());
    }

    /// The operands, as the rule of overwriting needs them.
    fn operands(&self, graph: &Graph, op: &Op) -> Result<[Operand; 2]> {
        let of = |number: u32| -> Result<Operand> {
            let operand = &graph[number];
            let here = !self.keep || operand.run == self.number;
            let sole = here && operand.references() == graph[op.number].edges_to(number);
            // A value disappears only if another thread gives up its evaluation.
            Ok(Operand { number, claim: operand.value.ok_or_else(busy)?, sole })
        };
        Ok([of(op.numbers[0])?, of(op.numbers[op.count - 1])?])
    }

    /// Decides, allocates what the decision needs, and opens guards.
    fn prepare(&self, mut op: Op) -> Result<Work> {
        let workspace = op.workspace()?;
        if op.operation == Operation::Lu {
            op.rows = lists::vector(op.shape[0] as usize, ROWS)?;
        }
        let mut spares = [Some(SpareGuard::take(self.thread)?), Some(SpareGuard::take(self.thread)?)];
        let mut result: Option<NewStore> = None;
        loop {
            let graph = node::graph();
            let both = self.operands(&graph, &op)?;
            let operands = &both[..op.count];
            let claims = [both[0].claim, both[1].claim];
            let mut locked = ledger::lock_claims(&claims[..op.count])?;
            let plan = decide(&locked, &op, operands);
            if plan.target.is_none() && result.is_none() {
                let pool = locked.pool(locked.ledger_of(claims[0]));
                drop(locked);
                drop(graph);
                if op.implied && op.operation == Operation::Dense && self.thread.forbids() > 0 {
                    return Err(borrow::would_copy(op.why_written_out(&plan)));
                }
                let pool = pool::like(pool, array::HOST)?;
                let mut layout = Layout::contiguous(op.dtype, &op.shape, op.order, 0)?;
                result = Some(NewStore::allocate(self.thread, pool, &mut layout, false)?);
                continue;
            }
            let writes = |side: usize| {
                let same = op.count == 2 && core::ptr::eq(claims[0], claims[1]);
                plan.target == Some(side) || (same && plan.target.is_some())
            };
            // Kernels of the host run after device work on the bytes.
            let mut points = Points::default();
            for (side, operand) in operands.iter().enumerate() {
                points.join(&locked.work_over(operand.claim, writes(side)));
            }
            if !points.is_empty() {
                drop(locked);
                drop(graph);
                points.bring_back()?;
                if points.have_passed() {
                    continue;
                }
                return Err(fail(
                    TN_ERR_PENDING,
                    format_args!(
                        "work of a device on an operand is not finished; wait for its array with tn_array_wait"
                    ),
                ));
            }
            let mut guards = [None, None];
            for (side, operand) in operands.iter().enumerate() {
                if side == 1 && core::ptr::eq(operand.claim, claims[0]) {
                    continue; // The first has it.
                }
                let writes = writes(side);
                let wanted = if writes {
                    Use::Write { mode: Mode::Unique, discard: false }
                } else {
                    Use::Read { frozen: false }
                };
                if writes {
                    locked.overwrite_node(operand.claim);
                }
                let spare = spares[side].take().expect("one per operand");
                guards[side] = Some(locked.open_internal(spare, borrow::guard_params(wanted), operand.claim));
            }
            drop(locked);
            drop(graph);
            return Ok(Work { op, plan, claims, guards, result, workspace });
        }
    }

    /// Computes a view of the operand. The operand's claim passes to it if nothing else needs the operand; otherwise it
    /// gets its own.
    fn view(&self, op: Op) -> Result<()> {
        let mut spare = SpareClaim::take(self.thread)?;
        let mut root = Some(Root::spare(self.thread, 2)?);
        let graph = node::graph();
        let Operand { number, claim, sole } = self.operands(&graph, &op)?[0];
        let mut locked = claim.lock_own();
        // A view keeps its root, by which overlaps with other views are computed.
        let kept = locked.make_root(claim, &mut root);
        debug_assert!(kept, "two axes lie inline");
        // At most two axes, so no memory is needed.
        let layout = &locked.get(claim).layout;
        let layout = if op.turns() { layout.transpose()? } else { layout.try_clone()? };
        let claim = if sole {
            locked.get_mut(claim).layout = layout;
            claim
        } else {
            let fits = spare.layout().set(&layout);
            debug_assert!(fits, "two axes lie inline");
            let tag = NodeTag { id: Id::NONE, waits: Operation::Leaf };
            let copied = locked.copy_to_node(claim, spare, tag);
            locked.get_mut(copied).layout = layout;
            copied
        };
        debug_assert!(graph[number].value.is_some());
        drop(locked);
        drop(graph);
        self.finish(op, claim);
        Ok(())
    }

    /// Sets the value of an operation, and releases operands that are no longer needed.
    fn finish(&self, mut op: Op, claim: &'static Claim) {
        let mut locked = claim.lock_own();
        let body = locked.get_mut(claim);
        body.form = op.form;
        if op.operation == Operation::Lu && op.form == Form::Factors && body.layout.is_c() {
            // In place of a matrix in order C, the factors are in order F.
            body.layout = body.layout.transpose().expect("two axes lie inline");
        }
        let order = super::build::order_of(&locked.get(claim).layout);
        drop(locked);
        let mut ended = EndedNodes::new();
        let mut over: [Option<&'static Claim>; 2] = [None; 2];
        let mut graph = node::graph();
        for number in &op.numbers[..op.count] {
            if graph[*number].value.is_some_and(|value| core::ptr::eq(value, claim)) {
                graph[*number].value = None;
            }
        }
        graph.set_value(op.number, claim, order);
        if op.form.is_factors() {
            core::mem::swap(&mut graph[op.number].rows, &mut op.rows);
        }
        if self.keep {
            // The node is done when the whole evaluation has succeeded.
            for (side, &number) in op.numbers[..op.count].iter().enumerate() {
                if graph[number].run != self.number {
                    continue;
                }
                graph[number].consumed += 1;
                if graph[number].references() == 0 {
                    over[side] = graph[number].value.take();
                }
            }
        } else {
            graph[op.number].progress = Progress::Done;
            graph.release_operands(op.number, &mut ended);
        }
        ended.free(self.thread, graph);
        for claim in over.into_iter().flatten() {
            claim.lock_own().end_node(claim);
        }
    }
}
