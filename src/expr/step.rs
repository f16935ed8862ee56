//! One step of an evaluation: from operands with values to a node with a value.
//!
//! The decision is made with the operands' ledgers locked. Where it needs memory, all is unlocked, the memory taken and the decision made
//! anew. Guards are opened on what is read and written, and the numbers worked out under no lock (`apply`). An operand that takes the
//! result changes its owner: the claim becomes the operation's, and weak handles of what was there end.

use super::compute::{Failure, Run, busy};
use super::form::Form;
use super::node::{self, Dead, Graph};
use super::op::{Job, Plan, decide};
use super::rules::Operand;
use crate::array;
use crate::borrow::{self, Mode, Use};
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::kernels::Workspace;
use crate::layout::{Layout, Order};
use crate::ledger::{
    self, Claim, InternalGuard, NewStore, NodeTag, Operation, Points, SpareClaim, SpareGuard, SpareRoot,
};
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::types::*;

/// An operation with all that it works on.
pub(super) struct Work {
    pub(crate) job: Job,
    pub(crate) plan: Plan,
    claims: [&'static Claim; 2],
    /// By operand; of two operands with one claim the first has it.
    pub(crate) holds: [Option<InternalGuard>; 2],
    pub(crate) result: Option<NewStore>,
    pub(crate) copy: Option<NewStore>,
    pub(crate) workspace: Option<Workspace>,
}

impl Run {
    pub(crate) fn step(&self, at: u32) -> core::result::Result<(), Failure> {
        let job = Job::read(&node::graph(), at)?;
        if job.operation == Operation::Transpose {
            return Ok(self.turn(&job)?);
        }
        let mut work = self.prepare(job)?;
        let worked = work.run();
        let failed = worked.is_err();
        // Guards first: what they guard has a claim still.
        for (side, hold) in core::mem::take(&mut work.holds).into_iter().enumerate() {
            if let Some(hold) = hold {
                hold.end(failed && work.plan.target == Some(side));
            }
        }
        let Work { job, plan, claims, result, copy, .. } = work;
        drop(copy);
        worked?;
        let claim = match (plan.target, result) {
            (Some(side), _) => claims[side],
            (None, Some(fresh)) => fresh.finish_node(NodeTag { id: Id::NONE, waits: Operation::Leaf }),
            (None, None) => unreachable!("a result is new, or takes an operand's place"),
        };
        self.finish(&job, claim);
        Ok(())
    }

    /// The operands as the rule of overwriting looks at them.
    fn operands(&self, graph: &Graph, job: &Job) -> Result<[Operand; 2]> {
        let of = |number: u32| -> Result<Operand> {
            let operand = &graph[number];
            let here = !self.keep || operand.run == self.number;
            let sole = here && operand.references() == graph[job.number].edges_to(number);
            // Only an evaluation that is given up elsewhere takes a value away.
            Ok(Operand { number, claim: operand.value.ok_or_else(busy)?, sole })
        };
        Ok([of(job.numbers[0])?, of(job.numbers[job.count - 1])?])
    }

    /// Decides, takes what the decision needs, and opens guards.
    fn prepare(&self, job: Job) -> Result<Work> {
        let workspace = job.workspace()?;
        let mut guards = [Some(SpareGuard::take(self.thread)?), Some(SpareGuard::take(self.thread)?)];
        let (mut result, mut copy): (Option<NewStore>, Option<NewStore>) = (None, None);
        loop {
            let graph = node::graph();
            let both = self.operands(&graph, &job)?;
            let operands = &both[..job.count];
            let claims = [both[0].claim, both[1].claim];
            let mut locked = ledger::lock_claims(&claims[..job.count])?;
            let plan = decide(&locked, &job, operands);
            let wants_result = plan.target.is_none() && result.is_none();
            let wants_copy = job.factors() && !plan.destroys && copy.is_none();
            if wants_result || wants_copy {
                let pool = locked.pool(locked.ledger_of(claims[0]));
                drop(locked);
                drop(graph);
                let pool = match pool {
                    Some(pool) => pool,
                    None => pool::current(array::HOST)?,
                };
                if wants_result {
                    result = Some(self.fresh(pool, job.dtype, &job.shape, job.order)?);
                }
                if wants_copy {
                    copy = Some(self.fresh(pool, job.dtype, &job.left.0, job.left.1)?);
                }
                continue;
            }
            let writes = |side: usize| {
                let same = job.count == 2 && core::ptr::eq(claims[0], claims[1]);
                let takes = plan.target == Some(side) || (same && plan.target.is_some());
                takes || (plan.destroys && side == 0)
            };
            // Kernels of the host come after what a device still does with the bytes.
            let mut points = Points::default();
            for (side, operand) in operands.iter().enumerate() {
                points.join(&locked.work_over(operand.claim, writes(side)));
            }
            if !points.is_empty() {
                drop(locked);
                drop(graph);
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
            let mut holds = [None, None];
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
                let spare = guards[side].take().expect("one per operand");
                holds[side] = Some(locked.open_internal(spare, borrow::guard_params(wanted), operand.claim));
            }
            drop(locked);
            drop(graph);
            return Ok(Work { job, plan, claims, holds, result, copy, workspace });
        }
    }

    fn fresh(&self, pool: &'static Pool, dtype: Dtype, shape: &[i64], order: Order) -> Result<NewStore> {
        NewStore::allocate(self.thread, pool, &mut Layout::contiguous(dtype, shape, order, 0)?, false)
    }

    /// A transpose: the same bytes seen otherwise. The claim changes its owner if nobody else needs it, else there is one more.
    fn turn(&self, job: &Job) -> Result<()> {
        let mut spare = SpareClaim::take(self.thread)?;
        let mut root = Some(SpareRoot::take(self.thread, 2)?);
        let graph = node::graph();
        let Operand { number, claim, sole } = self.operands(&graph, job)?[0];
        let mut locked = claim.lock_own();
        // As every transpose it keeps its root, which other views of the same bytes are compared by.
        let kept = locked.make_root(claim, &mut root);
        debug_assert!(kept, "two axes lie inline");
        // At most two axes, so no memory is needed.
        let turned = match job.form {
            Form::Diagonal => locked.get(claim).layout.try_clone()?,
            _ => locked.get(claim).layout.transpose()?,
        };
        let claim = if sole {
            locked.get_mut(claim).layout = turned;
            claim
        } else {
            let fits = spare.layout().set(&turned);
            debug_assert!(fits, "two axes lie inline");
            let tag = NodeTag { id: Id::NONE, waits: Operation::Leaf };
            let copied = locked.copy_to_node(claim, spare, tag);
            locked.get_mut(copied).layout = turned;
            copied
        };
        debug_assert!(graph[number].value.is_some());
        drop(locked);
        drop(graph);
        self.finish(job, claim);
        Ok(())
    }

    /// The operation has its value; operands that nothing needs any more go.
    fn finish(&self, job: &Job, claim: &'static Claim) {
        let order = super::build::order_of(&claim.lock_own().get(claim).layout);
        let mut dead = Dead::new();
        let mut over: [Option<&'static Claim>; 2] = [None; 2];
        let mut graph = node::graph();
        for number in &job.numbers[..job.count] {
            if graph[*number].value.is_some_and(|value| core::ptr::eq(value, claim)) {
                graph[*number].value = None;
            }
        }
        graph.set_value(job.number, claim, order);
        if self.keep {
            for (side, &number) in job.numbers[..job.count].iter().enumerate() {
                if graph[number].run != self.number {
                    continue;
                }
                graph[number].consumed += 1;
                if graph[number].references() == 0 {
                    over[side] = graph[number].value.take();
                }
            }
        } else {
            graph.let_go(job.number, &mut dead);
        }
        drop(graph);
        for claim in over.into_iter().flatten() {
            claim.lock_own().end_node(claim);
        }
        dead.sweep(self.thread);
    }
}
