//! Evaluation.
//!
//! An evaluation finds out the order of its nodes (operands first, left before right), marks them as its own, and takes one after the
//! other. For each it decides in place or not with the operands' ledgers locked, takes memory if the decision needs some and then decides
//! anew, opens guards on what is read and written, and works under no lock. An operand that takes the result changes its owner: the
//! claim becomes the operation's, and weak handles of what was there end.
//!
//! With TN_KEEP_ON_FAIL what was there before is neither overwritten nor let go until all has succeeded.

use super::build::poisoned;
use super::node::{self, Dead, Graph, NONE, Progress, Shape};
use super::rules::{self, Form, Operand};
use crate::array;
use crate::blit::{self, Place};
use crate::borrow::{self, Mode, Use};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::kernels::{self, Binary, Pivot, Side, Triangle, Unary, Workspace};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Fresh, Hold, Locked, NodeTag, Operation, Spare, SpareGuard};
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::thread::{self, Thread};
use crate::types::*;

/// The value of an expression as an array; evaluates what has no value yet.
pub fn compute(id: Id, flags: u32) -> Result<Id> {
    let thread = thread::current();
    let mut spare = Spare::take(thread)?;
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

/// Why an operation did not succeed.
enum Failure {
    /// No memory, or another thread in the way: nothing is lost, it can be tried again.
    Status(Status),
    /// The numbers do not allow it.
    Pivot(Operation, usize),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Status(status)
    }
}

/// One evaluation. Its drop lets go of the root, and of all nodes if it did not end.
struct Run {
    thread: &'static Thread,
    root: u32,
    number: u32,
    /// First node in order.
    first: u32,
    /// The node that is worked on; NONE once all is over.
    current: u32,
    keep: bool,
}

#[cold]
fn busy() -> Status {
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
        if flags & !TN_KEEP_ON_FAIL != 0 {
            let unknown = flags & !TN_KEEP_ON_FAIL;
            return Err(fail(TN_ERR_INVALID, format_args!("flags {flags:#x} have the unknown bits {unknown:#x}")));
        }
        let number = graph.next_run();
        let first = match graph[root].progress {
            Progress::Done => NONE,
            Progress::Failed => return Err(poisoned(graph[root].operation)),
            Progress::Computing => return Err(busy()),
            Progress::Waiting => order(&mut graph, root, number)?,
        };
        graph[root].holds += 1;
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

    /// Everything is over, or given up.
    fn end(&mut self, outcome: core::result::Result<(), Failure>) -> Result<()> {
        match outcome {
            Ok(()) => {
                self.settle_kept();
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

    /// All succeeded: what was kept for the case that it did not is let go.
    fn settle_kept(&mut self) {
        if !self.keep {
            return;
        }
        let mut dead = Dead::new();
        let mut graph = node::graph();
        let mut at = self.first;
        while at != NONE {
            self.uncount(&mut graph, at);
            graph.let_go(at, &mut dead);
            at = graph[at].next;
        }
        drop(graph);
        dead.sweep(self.thread);
    }

    /// The operands that this evaluation made are no longer counted as used up by `at`.
    fn uncount(&self, graph: &mut Graph, at: u32) {
        for side in 0..2 {
            let operand = graph[at].operands[side];
            if operand != NONE && graph[operand].run == self.number {
                graph[operand].consumed -= 1;
            }
        }
    }

    /// Gives up at the current node: it and what depends on it fail (`breaks`), or all can be tried again.
    fn give_up(&mut self, breaks: bool) {
        let failed = core::mem::replace(&mut self.current, NONE);
        if self.keep {
            return self.revert();
        }
        let mut dead = Dead::new();
        let mut graph = node::graph();
        let mut at = failed;
        while at != NONE {
            if graph[at].progress == Progress::Computing {
                graph[at].progress = Progress::Waiting;
            }
            at = graph[at].next;
        }
        if breaks {
            graph.fail(failed, &mut dead);
        }
        drop(graph);
        dead.sweep(self.thread);
    }

    /// Everything as before: what was computed is forgotten.
    fn revert(&mut self) {
        let mut at = self.first;
        while at != NONE {
            let mut graph = node::graph();
            if graph[at].progress == Progress::Done {
                self.uncount(&mut graph, at);
            }
            graph[at].progress = Progress::Waiting;
            let value = graph[at].value.take();
            at = graph[at].next;
            drop(graph);
            if let Some(claim) = value {
                claim.lock_own().end_node(claim);
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.current != NONE {
            // A panic is on its way: what was worked on is undefined.
            self.give_up(true);
        }
        let mut dead = Dead::new();
        node::graph().drop_hold(self.root, &mut dead);
        dead.sweep(self.thread);
    }
}

/// Marks the nodes under `root` that have no value, and chains them: operands first, left before right.
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
                    // Another evaluation has it: nothing was marked.
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

/// What one operation is, copied from the graph.
pub(super) struct Job {
    pub number: u32,
    pub operation: Operation,
    pub dtype: Dtype,
    pub form: Form,
    pub shape: Shape,
    factor: f64,
    axis: usize,
    /// 1 or 2.
    pub count: usize,
    pub numbers: [u32; 2],
    pub forms: [Form; 2],
    /// Order of a new result.
    order: Order,
    /// Shape and order of the left operand.
    pub left: (Shape, Order),
}

fn try_clone(shape: &Shape) -> Result<Shape> {
    let mut copy = Shape::new();
    ledger::reserve(&mut copy, shape.len())?;
    copy.extend_from_slice(shape);
    Ok(copy)
}

impl Job {
    pub fn read(graph: &Graph, number: u32) -> Result<Job> {
        let node = &graph[number];
        let numbers = node.operands;
        let count = 2 - usize::from(numbers[1] == NONE);
        let of = |side: usize| &graph[numbers[side.min(count - 1)]];
        let forms = [of(0).form, of(1).form];
        // As the operand that the result resembles: the full one, the right-hand side, else the left one.
        let like = match (node.operation, forms) {
            (Operation::Add | Operation::Subtract, [Form::Diagonal, Form::Full]) | (Operation::Solve, _) => of(1),
            (Operation::Multiply, [Form::Diagonal | Form::Lower | Form::Upper, Form::Full]) => of(1),
            _ => of(0),
        };
        let order = if node.operation == Operation::Sum { Order::C } else { like.order };
        Ok(Job {
            number,
            operation: node.operation,
            dtype: node.dtype,
            form: node.form,
            shape: try_clone(&node.shape)?,
            factor: node.factor,
            axis: node.axis,
            count,
            numbers,
            forms,
            order,
            left: (try_clone(&of(0).shape)?, of(0).order),
        })
    }

    /// LU, which destroys a copy of the matrix, or the matrix itself.
    pub fn factors(&self) -> bool {
        self.operation == Operation::Solve && self.forms[0] == Form::Full
    }

    pub fn elementwise(&self) -> bool {
        rules::is_elementwise(self.operation, self.forms)
    }

    fn workspace(&self) -> Result<Option<Workspace>> {
        let needs = self.factors() || (self.operation == Operation::Cholesky && self.forms[0] == Form::Full);
        if needs { Workspace::take(self.left.0[0] as usize, self.dtype).map(Some) } else { Ok(None) }
    }
}

/// What an operation may overwrite.
struct Plan {
    /// Operand that takes the result; none: a new array.
    pub target: Option<usize>,
    /// The matrix of an LU is destroyed in place.
    pub destroys: bool,
    /// Why not, of each operand that was asked.
    pub why: [u32; 2],
}

fn decide(locked: &Locked, job: &Job, operands: &[Operand]) -> Plan {
    let mut plan = Plan { target: None, destroys: false, why: [0; 2] };
    for &k in rules::candidates(job.operation, job.forms) {
        plan.why[k] = rules::why_not(locked, operands, k, &job.shape, job.elementwise());
        if plan.why[k] == 0 {
            plan.target = Some(k);
            break;
        }
    }
    if job.factors() {
        plan.why[0] = rules::why_not(locked, operands, 0, &job.left.0, false);
        plan.destroys = plan.why[0] == 0;
    }
    plan
}

/// An operation with all that it works on.
struct Work {
    job: Job,
    plan: Plan,
    claims: [&'static Claim; 2],
    /// By operand; of two operands with one claim the first has it.
    holds: [Option<Hold>; 2],
    result: Option<Fresh>,
    copy: Option<Fresh>,
    workspace: Option<Workspace>,
}

impl Run {
    fn step(&self, at: u32) -> core::result::Result<(), Failure> {
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
        let (mut result, mut copy): (Option<Fresh>, Option<Fresh>) = (None, None);
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
            let mut holds = [None, None];
            for (side, operand) in operands.iter().enumerate() {
                if side == 1 && core::ptr::eq(operand.claim, claims[0]) {
                    continue; // The first has it.
                }
                let same = job.count == 2 && core::ptr::eq(claims[0], claims[1]);
                let takes = plan.target == Some(side) || (same && plan.target.is_some());
                let writes = takes || (plan.destroys && side == 0);
                let wanted = if writes {
                    Use::Write { mode: Mode::Unique, discard: false }
                } else {
                    Use::Read { frozen: false }
                };
                if writes {
                    locked.overwrite_node(operand.claim);
                }
                let spare = guards[side].take().expect("one per operand");
                holds[side] = Some(locked.hold(spare, borrow::terms(wanted), operand.claim));
            }
            drop(locked);
            drop(graph);
            return Ok(Work { job, plan, claims, holds, result, copy, workspace });
        }
    }

    fn fresh(&self, pool: &'static Pool, dtype: Dtype, shape: &[i64], order: Order) -> Result<Fresh> {
        Fresh::allocate(self.thread, pool, Layout::contiguous(dtype, shape, order, 0)?, false)
    }

    /// A transpose: the same bytes seen otherwise. The claim changes its owner if nobody else needs it, else there is one more.
    fn turn(&self, job: &Job) -> Result<()> {
        let mut spare = Spare::take(self.thread)?;
        let graph = node::graph();
        let Operand { number, claim, sole } = self.operands(&graph, job)?[0];
        let mut locked = claim.lock_own();
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

impl Work {
    /// The numbers.
    fn run(&mut self) -> core::result::Result<(), Failure> {
        let Work { job, plan, holds, result, copy, workspace, .. } = self;
        let [left, right] = holds;
        let left = left.as_ref().expect("an operation has an operand").place();
        let right = right.as_ref().map_or(left, |hold| hold.place());
        let target = plan.target;
        let dst = match (target, result) {
            (Some(0), _) => left,
            (Some(_), _) => right,
            (None, Some(fresh)) => fresh.place(),
            (None, None) => unreachable!("a result is new, or takes an operand's place"),
        };
        let broken = |operation| move |Pivot(pivot)| Failure::Pivot(operation, pivot);
        // The contents of an operand where the result will be.
        let bring = |side: usize, from: &Place| {
            if target == Some(side) { Ok(()) } else { blit::copy(&dst, from) }
        };
        match job.operation {
            Operation::Add => add(job, (kernels::Binary::Add, Side::Plus), &dst, &left, &right, &bring)?,
            Operation::Subtract => add(job, (kernels::Binary::Subtract, Side::Minus), &dst, &left, &right, &bring)?,
            Operation::Times => kernels::binary(Binary::Multiply, &dst, &left, &right),
            Operation::Divide => kernels::binary(Binary::Divide, &dst, &left, &right),
            Operation::Scale => kernels::scale(job.factor, &dst, &left),
            Operation::Negate => kernels::unary(Unary::Negate, &dst, &left),
            Operation::Sqrt => kernels::unary(Unary::Sqrt, &dst, &left),
            Operation::Exp => kernels::unary(Unary::Exp, &dst, &left),
            Operation::Log => kernels::unary(Unary::Log, &dst, &left),
            Operation::Sum => kernels::sum(&dst, &left, job.axis)?,
            Operation::Cholesky if job.forms[0] == Form::Diagonal => {
                kernels::all_positive(&left).map_err(broken(job.operation))?;
                kernels::unary(Unary::Sqrt, &dst, &left);
            }
            Operation::Cholesky => {
                bring(0, &left)?;
                let workspace = workspace.as_mut().expect("taken for a factorisation");
                kernels::cholesky(&dst, workspace).map_err(broken(job.operation))?;
            }
            Operation::Multiply => match job.forms {
                [Form::Diagonal, Form::Diagonal] => kernels::binary(Binary::Multiply, &dst, &left, &right),
                [Form::Diagonal, _] => kernels::scale_rows(&dst, &left, &right),
                [Form::Full, Form::Diagonal] => kernels::scale_columns(&dst, &right, &left),
                [Form::Full, _] => kernels::matmul(&dst, &left, &right),
                [triangle, _] => {
                    bring(1, &right)?;
                    kernels::times_triangle(triangle_of(triangle), &left, &dst);
                }
            },
            Operation::Solve => match job.forms[0] {
                Form::Diagonal => kernels::divide_rows(&dst, &left, &right),
                Form::Full => {
                    let matrix = match copy {
                        Some(copy) if !plan.destroys => {
                            let place = copy.place();
                            blit::copy(&place, &left)?;
                            place
                        }
                        _ => left,
                    };
                    bring(1, &right)?;
                    let workspace = workspace.as_mut().expect("taken for a factorisation");
                    kernels::lu_solve(&matrix, &dst, workspace).map_err(broken(job.operation))?;
                }
                triangle => {
                    bring(1, &right)?;
                    kernels::solve_triangle(triangle_of(triangle), &left, &dst);
                }
            },
            Operation::Leaf | Operation::Transpose => unreachable!("no kernel"),
        }
        if job.form.is_triangle() && job.operation != Operation::Cholesky {
            // What lay on the other side was no part of the operands.
            kernels::zero_above(&dst, triangle_of(job.form));
        }
        Ok(())
    }
}

fn triangle_of(form: Form) -> Triangle {
    if form == Form::Upper { Triangle::Upper } else { Triangle::Lower }
}

/// Sums and differences by form.
fn add(
    job: &Job,
    (op, side): (Binary, Side),
    dst: &Place,
    left: &Place,
    right: &Place,
    bring: &dyn Fn(usize, &Place) -> Result<()>,
) -> Result<()> {
    match job.forms {
        [Form::Full, Form::Diagonal] => {
            bring(0, left)?;
            kernels::add_diagonal(side, dst, right);
        }
        [Form::Diagonal, Form::Full] => {
            match op {
                Binary::Subtract => kernels::unary(Unary::Negate, dst, right),
                _ => bring(1, right)?,
            }
            kernels::add_diagonal(Side::Plus, dst, left);
        }
        _ => kernels::binary(op, dst, left, right),
    }
    Ok(())
}
