//! Computing in the model: the order of operations, overwriting, releases, and the state after a failure.
//!
//! Contract: [`Model::compute`] is one call. All numbers are computed first, from the memory at the start of the call,
//! because overwriting never changes an expression's value (EX-4). Then the state follows operation by operation. Rows
//! EX-1 to EX-8 and EX-30 to EX-43.

use super::calls::{Crossing, Done};
use super::graph::{Form, Node, NodeClaim, Operation, Progress};
use super::handle::{CURRENT_POOL, Model, RELEASED_POOL, Ref};
use super::layout::Layout;
use super::matrices::{Trouble, Values, evaluate};
use super::numbers::{Arithmetic, Number};
use super::region::Region;
use super::rules::{Faults, Status};
use super::store::Origin;
use std::collections::BTreeMap;
use tenure::types::*;

/// The pool use of the last computation, and whether its layouts were those of a computation without overwriting.
#[derive(Clone, Default, Debug)]
pub struct Meter {
    /// Number of blocks allocated.
    pub allocations: [u64; RELEASED_POOL],
    /// Peak of live bytes.
    pub peak: [i64; RELEASED_POOL],
    /// Results that are new arrays, also empty ones.
    pub new_results: usize,
    pub moved: bool,
    /// Matrices that the library wrote out to new bytes for an operation.
    pub copies: Vec<Crossing>,
}

/// Operands that an operation may overwrite.
struct Plan {
    target: Option<usize>,
}

impl Model {
    /// The nodes below this one without a value: operands first, left before right, each once.
    pub fn waiting_under(&self, node: usize, order: &mut Vec<usize>) {
        if self.nodes[node].progress != Progress::Waiting || order.contains(&node) {
            return;
        }
        for &operand in &self.nodes[node].operands {
            self.waiting_under(operand, order);
        }
        order.push(node);
    }

    /// The elements of a value as the library has them.
    fn numbers(&self, node: usize) -> Values {
        let Node { form, shape, value, unseen, .. } = &self.nodes[node];
        if let Some(values) = unseen {
            return values.clone();
        }
        let layout = &value.as_ref().expect("a node that is done has a value").region.layout;
        let elements = self.floats(layout).into_iter().map(Number::known).collect();
        Values { form: *form, shape: shape.clone(), elements }
    }

    pub fn floats(&self, layout: &Layout) -> Vec<f64> {
        let bytes = self.memory.read(layout);
        bytes.chunks(layout.item() as usize).map(|one| float(layout.dtype, one)).collect()
    }

    /// The values of all nodes of an evaluation, up to the first one without a value.
    fn evaluate_all(&self, order: &[usize]) -> (BTreeMap<usize, Values>, Option<(usize, Trouble)>) {
        let mut all: BTreeMap<usize, Values> = BTreeMap::new();
        for &node in order {
            let Node { what, dtype, operands, .. } = &self.nodes[node];
            let of = |k: usize| all.get(&k).cloned().unwrap_or_else(|| self.numbers(k));
            let (x, y) = (of(operands[0]), operands.get(1).map(|&k| of(k)));
            match evaluate(*what, &x, y.as_ref(), Arithmetic::of(*dtype)) {
                Ok(values) => drop(all.insert(node, values)),
                Err(trouble) => return (all, Some((node, trouble))),
            }
        }
        (all, None)
    }

    /// Whether computing surely succeeds or fails, whatever rounding does. Traces compute nothing else.
    pub fn is_decided(&self, expr: Ref) -> bool {
        let Ok(node) = self.expr(expr) else { return true };
        let mut order = vec![];
        self.waiting_under(node, &mut order);
        !matches!(self.evaluate_all(&order).1, Some((_, Trouble::Open)))
    }

    /// Whether a matrix may have to be written out to new bytes while copies are forbidden. It may be refused in the
    /// middle.
    pub fn would_copy(&self, expr: Ref) -> bool {
        let Ok(node) = self.expr(expr) else { return false };
        let mut order = vec![];
        self.waiting_under(node, &mut order);
        self.forbidden > 0 && order.iter().any(|&k| self.nodes[k].is_written_out())
    }

    /// Whether computing fails after a matrix may have been written out to new bytes. Then it is open which copies are
    /// in the copy book.
    pub fn fails_after_copies(&self, expr: Ref) -> bool {
        let Ok(node) = self.expr(expr) else { return false };
        let mut order = vec![];
        self.waiting_under(node, &mut order);
        order.iter().any(|&k| self.nodes[k].is_written_out()) && self.evaluate_all(&order).1.is_some()
    }

    pub fn compute(&mut self, expr: Ref, flags: u32) -> Result<Done, Status> {
        self.scrapped.clear();
        let mut faults = Faults::default();
        let root = faults.take(self.expr(expr));
        faults.when(flags & !TN_KEEP_ON_FAIL != 0, TN_ERR_INVALID);
        faults.none()?;
        let root = root.expect("no fault");
        if self.nodes[root].form == Form::Factors {
            return Err(TN_ERR_UNSUPPORTED);
        }
        if self.nodes[root].progress == Progress::Failed {
            return Err(TN_ERR_POISONED);
        }
        let keep = flags & TN_KEEP_ON_FAIL != 0;
        let mut order = vec![];
        self.waiting_under(root, &mut order);
        let (mut values, trouble) = self.evaluate_all(&order);
        if keep && trouble.is_some() {
            return Err(TN_ERR_FAILED);
        }
        self.meter = Some(Meter::default());
        self.meter_up(&[]);
        for &node in &order {
            let failed = trouble.is_some_and(|(bad, _)| bad == node);
            let plan = self.plan(node, &order, keep);
            self.count_copy(node, &plan, &order, keep);
            let claim = self.take_place(node, &plan);
            if failed {
                // The operand that the result was to overwrite is undefined. A store that is lent to a callback goes on
                // to exist.
                if let Some(side) = plan.target {
                    let operand = &self.nodes[self.nodes[node].operands[side]].value;
                    let region = operand.as_ref().expect("operands come first").region.clone();
                    self.stores[claim.store].poison.push(region);
                }
                self.fail(node);
                // Reading: a result that overwrote no operand is released with the operation.
                return Err(TN_ERR_FAILED);
            }
            self.finish(node, claim, values.remove(&node).expect("evaluated"), &order, keep);
        }
        if keep {
            order.iter().for_each(|&node| self.let_go(node));
        }
        let NodeClaim { store, region, readonly, lease, granted } = self.nodes[root].value.clone().expect("computed");
        let array = self.add_array(store, region, readonly, lease);
        self.arrays[array].granted = granted;
        self.arrays[array].form = self.nodes[root].form;
        Ok(Done { arrays: vec![array], ..Done::default() })
    }

    /// FM-4: a matrix that the library writes out to new bytes, which no caller asked for.
    fn count_copy(&mut self, node: usize, plan: &Plan, order: &[usize], keep: bool) {
        let Node { shape, operands, dtype, .. } = &self.nodes[node];
        if !self.nodes[node].is_written_out() || plan.target.is_some() {
            return;
        }
        let diagonal = self.nodes[operands[0]].form == Form::Diagonal;
        let why = if diagonal { TN_WHY_LAYOUT } else { self.why_not_take(node, 0, shape, order, keep) };
        let bytes = Layout::dense(*dtype, shape, TN_ORDER_C, 0).bytes();
        let copy = Crossing { function: "tn_expr_compute", why, forced: true, bytes };
        self.meter.as_mut().expect("a computation").copies.push(copy);
    }

    /// Counts newly allocated blocks beside the live ones.
    fn meter_up(&mut self, blocks: &[(usize, i64)]) {
        let mut meter = self.meter.take().unwrap_or_default();
        for pool in 0..RELEASED_POOL {
            let mine = || blocks.iter().filter(|(of, bytes)| *of == pool && *bytes > 0);
            let live = self.pool_bytes(pool).0 + mine().map(|(_, bytes)| bytes).sum::<i64>();
            meter.allocations[pool] += mine().count() as u64;
            meter.peak[pool] = meter.peak[pool].max(live);
        }
        self.meter = Some(meter);
    }

    fn plan(&self, node: usize, order: &[usize], keep: bool) -> Plan {
        let Node { what, shape, operands, .. } = &self.nodes[node];
        let form = |side: usize| self.nodes[operands[side]].form;
        let diagonal = |side: usize| form(side) == Form::Diagonal;
        let candidates: &[usize] =
            match what {
                Operation::Add | Operation::Subtract | Operation::Multiply if diagonal(0) != diagonal(1) => {
                    if diagonal(0) { &[1] } else { &[0] }
                }
                Operation::Times if diagonal(0) != diagonal(1) => {
                    if diagonal(0) {
                        &[0]
                    } else {
                        &[1]
                    }
                }
                Operation::Times if form(0) != form(1) && form(0) != Form::Full && form(1) != Form::Full => &[],
                Operation::Multiply => match (form(0), form(1)) {
                    (Form::Diagonal, Form::Diagonal) => &[0, 1],
                    (Form::Full, Form::Full) => &[],
                    (Form::Full, _) => &[0],
                    _ => &[1],
                },
                Operation::Add | Operation::Subtract | Operation::Times | Operation::Divide => &[0, 1],
                Operation::Solve => {
                    if diagonal(1) && !diagonal(0) {
                        &[]
                    } else {
                        &[1]
                    }
                }
                Operation::Sum(_) => &[],
                Operation::Dense if diagonal(0) => &[],
                _ => &[0],
            };
        let target = candidates.iter().copied().find(|&side| self.may_take(node, side, shape, order, keep));
        Plan { target }
    }

    /// The rule of overwriting: conditions 1 to 7 for the operand on one side.
    fn may_take(&self, node: usize, side: usize, shape: &[i64], order: &[usize], keep: bool) -> bool {
        self.why_not_take(node, side, shape, order, keep) == 0
    }

    /// The conditions that the operand on one side does not meet.
    fn why_not_take(&self, node: usize, side: usize, shape: &[i64], order: &[usize], keep: bool) -> u32 {
        let Node { what, operands, .. } = &self.nodes[node];
        let sole = |k: usize| {
            let edges = operands.iter().filter(|&&other| other == k).count();
            self.references(k) == edges && (!keep || order.contains(&k))
        };
        let claim = |k: usize| self.nodes[k].value.as_ref().expect("operands come first");
        let (k, NodeClaim { store, region, readonly, granted, .. }) = (operands[side], claim(operands[side]));
        let others_end = self.node_claims(*store).all(|(other, _)| operands.contains(&other) && sole(other));
        let layout = &region.layout;
        let fits = layout.shape == shape && (layout.is_c() || layout.is_f());
        let wastes = self.stores[*store].bytes() > 2 * shape.iter().product::<i64>() * layout.item();
        let is_diagonal = |k: usize| self.nodes[k].form == Form::Diagonal;
        let by_element = match what {
            Operation::Add | Operation::Subtract => operands.iter().all(|&other| is_diagonal(other) == is_diagonal(k)),
            Operation::Multiply | Operation::Solve => operands.iter().all(|&other| is_diagonal(other)),
            Operation::Times | Operation::Divide => true,
            _ => false,
        };
        let beside = (0..operands.len()).filter(|&other| other != side).map(|other| claim(operands[other]));
        let clash =
            beside.filter(|other| other.store == *store).any(|other| !by_element || other.region.layout != *layout);
        let mut bits = 0;
        for (condition, bit) in [
            (self.others(*store, None) > 0 || self.is_managed(*store) && !granted, TN_WHY_SHARED),
            (!sole(k) || !others_end, TN_WHY_IN_EXPRESSION),
            (self.holdings(*store).any(|(_, hold)| hold.kind.class().is_some()), TN_WHY_EXPORTED),
            (self.holdings(*store).any(|(_, hold)| hold.kind.is_guard()), TN_WHY_BORROWED),
            (*readonly, TN_WHY_READONLY),
            (self.is_foreign(*store), TN_WHY_FOREIGN),
            (self.is_poisoned(*store, region), TN_WHY_POISONED),
            (!fits, TN_WHY_LAYOUT),
            (wastes, TN_WHY_WASTE),
            (clash, TN_WHY_NOT_ALIASABLE),
        ] {
            bits |= if condition { bit } else { 0 };
        }
        bits
    }

    /// The claim of the result: an operand's, or one on a new store.
    fn take_place(&mut self, node: usize, plan: &Plan) -> NodeClaim {
        let is_view = self.nodes[node].is_view();
        let Node { what, form, dtype, shape, operands, .. } = &self.nodes[node];
        let (what, form, dtype, shape, operands) = (*what, *form, *dtype, shape.clone(), operands.clone());
        let claims: Vec<NodeClaim> =
            operands.iter().map(|&k| self.nodes[k].value.clone().expect("operands come first")).collect();
        let claim = |side: usize| claims[side].clone();
        let forms: Vec<Form> = operands.iter().map(|&k| self.nodes[k].form).collect();
        let form_of = |side: usize| forms[side];
        if is_view {
            let value = claim(0);
            let region = if form == Form::Diagonal || what == Operation::Lu {
                value.region
            } else {
                value.region.permuted(&[1, 0])
            };
            return NodeClaim { region, ..value };
        }
        let left = claim(0);
        // Reading: an array without bytes is in no pool.
        let pool = match self.stores[left.store].origin {
            Origin::Pool(pool) if self.stores[left.store].bytes() > 0 => pool,
            _ => CURRENT_POOL,
        };
        // Reading: a new result has the layout of the operand that it resembles: the one that it would overwrite first,
        // else the left one; a sum has order C.
        let diagonals = (form_of(0) == Form::Diagonal, forms.get(1) == Some(&Form::Diagonal));
        let right = match what {
            Operation::Add | Operation::Subtract => diagonals == (true, false),
            Operation::Multiply => form_of(0) != Form::Full && diagonals.0 >= diagonals.1,
            Operation::Times => diagonals == (false, true),
            Operation::Solve => diagonals.0 || !diagonals.1,
            _ => false,
        };
        let right = right && !(what == Operation::Multiply && diagonals == (true, true));
        let like = claim(usize::from(right)).region.layout;
        let order = if matches!(what, Operation::Sum(_)) { TN_ORDER_C } else { like.natural_order() };
        let mut layout = Layout::dense(dtype, &shape, order, 0);
        let Some(side) = plan.target else {
            self.meter_up(&[(pool, layout.bytes())]);
            self.meter.as_mut().expect("a computation").new_results += 1;
            let store = self.allocate(pool, vec![0; layout.bytes() as usize]);
            layout.at = self.stores[store].start;
            return NodeClaim { store, region: Region::new(layout), readonly: false, lease: None, granted: false };
        };
        let NodeClaim { store, region, lease, granted, .. } = claim(side);
        self.meter_up(&[]);
        let there = region.layout;
        self.overwrite_at(store, &there, &layout);
        // A weak handle to the old contents finds nothing (EX-17).
        self.stores[store].epoch += 1;
        NodeClaim { store, region: Region::new(there), readonly: false, lease, granted }
    }

    /// Notes that bytes are reused in place of a new array of this layout.
    fn overwrite_at(&mut self, store: usize, there: &Layout, new: &Layout) {
        let strides = |l: &Layout| -> Vec<i64> {
            l.shape.iter().zip(&l.strides).filter(|&(&n, _)| n > 1).map(|(_, &stride)| stride).collect()
        };
        self.stores[store].writes += 1;
        let meter = self.meter.as_mut().expect("a computation");
        meter.moved |= there.at % 64 != 0 || strides(there) != strides(new);
        if !matches!(self.stores[store].origin, Origin::Pool(_)) || self.is_lent(store) {
            self.scrapped.extend(there.extent());
        }
    }

    /// The operation has its value; operands that are not needed any more are released.
    fn finish(&mut self, node: usize, claim: NodeClaim, values: Values, order: &[usize], keep: bool) {
        let layout = claim.region.layout.clone();
        let is_view = self.nodes[node].is_view();
        if !is_view {
            let bytes: Vec<u8> = values.elements.iter().flat_map(|x| bytes_of(layout.dtype, x.value)).collect();
            self.memory.write_all(&layout, &bytes);
        }
        let operands = self.nodes[node].operands.clone();
        // Contents that are only viewed by another name stay as known as before.
        let seen = is_view && self.nodes[operands[0]].unseen.is_none();
        let n = &mut self.nodes[node];
        (n.progress, n.value, n.unseen) = (Progress::Done, Some(claim), (!seen).then_some(values));
        if keep {
            for k in operands {
                if order.contains(&k) && self.references(k) == 0 {
                    (self.nodes[k].value, self.nodes[k].unseen) = (None, None);
                }
            }
        } else {
            self.let_go(node);
        }
        self.sweep();
    }
}

pub fn float(dtype: u32, bytes: &[u8]) -> f64 {
    match dtype {
        TN_F32 => f64::from(f32::from_ne_bytes(bytes.try_into().expect("four bytes"))),
        _ => f64::from_ne_bytes(bytes.try_into().expect("eight bytes")),
    }
}

pub fn bytes_of(dtype: u32, value: f64) -> Vec<u8> {
    if dtype == TN_F32 { (value as f32).to_ne_bytes().to_vec() } else { value.to_ne_bytes().to_vec() }
}
