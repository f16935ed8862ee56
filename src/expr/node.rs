//! The graph of all expressions: nodes and their references.
//!
//! A node is a leaf or an operation. Its references are its handle, the edges from operations that use it, and
//! evaluations with it as their root. The node ends with the last of them, and releases its operands. One lock guards
//! the list of nodes, whose index is the number of the slot. Lists of nodes to end or to compute are chained through
//! the nodes, so they need no memory, and no function recurses. Claims and slots are freed after unlocking
//! ([`EndedNodes::free`]), because that may run callbacks.

use crate::borrow::HolderInfo;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::layout::{Form, Order};
use crate::ledger::{Claim, NodeTag, Operation, Origin};
use crate::lists;
use crate::names::Name;
use crate::slots::{Head, Id, Kind, Slot, Spare, State as SlotState, Table};
use crate::thread::{self, ColdGuard, ColdLock, Thread};
use crate::types::*;
use core::sync::atomic::{AtomicUsize, Ordering};
use smallvec::SmallVec;

/// The handle of a node. Everything else about the node is in the graph.
pub struct Expr {
    head: Head,
}

impl Slot for Expr {
    const KIND: Kind = Kind::Expr;
    fn new(head: Head) -> Expr {
        Expr { head }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// The lengths of the axes; of a diagonal matrix its one length.
pub type Shape = SmallVec<[i64; INLINE_AXES]>;

/// No node.
pub const NONE: u32 = u32::MAX;

/// The progress of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not computed.
    Waiting,
    /// Part of an evaluation in progress.
    Computing,
    /// Has a value, or had one that its last user took.
    Done,
    /// Cannot be computed.
    Failed,
}

/// One node.
pub struct Node {
    pub(crate) operation: Operation,
    pub(crate) form: Form,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Shape,
    /// Left and right, or NONE; NONE also for an operand that was released.
    pub(crate) operands: [u32; 2],
    pub(crate) factor: f64,
    /// The axis of sum; of lu_part, the part.
    pub(crate) axis: usize,
    /// The library added it, as an operand of another node. It never has a handle.
    pub(crate) implied: bool,
    pub(crate) progress: Progress,
    /// A leaf's array, or the computed value.
    pub(crate) value: Option<&'static Claim>,
    /// Of LU factors: the row of the matrix that each row of the factors was.
    pub(crate) rows: Vec<usize>,
    /// Element order of the value.
    pub(crate) order: Order,
    pub(crate) origin: Origin,
    pub(crate) id: Id,
    pub(super) handle: bool,
    /// Number of evaluations with it as their root.
    pub(crate) root_refs: u32,
    /// Number of edges from operations that use it.
    pub(super) edges: u32,
    /// Number of the edges whose operations are computed, in an evaluation that keeps all values until it succeeds.
    pub(crate) consumed: u32,
    /// Number of the evaluation that computed it or computes it now.
    pub(crate) run: u32,
    /// First of the edges to it.
    pub(super) users: Edge,
    /// By side: the next edge to the operand.
    pub(super) next_user: [Edge; 2],
    pub(super) previous_user: [Edge; 2],
    /// Next node in the order of evaluation.
    pub(crate) next: u32,
    /// The user from which the ordering came; next of the nodes that fail.
    pub(crate) up: u32,
    /// The next operand for the ordering.
    pub(crate) side: u8,
    /// Next of the ended nodes.
    pub(super) chain: u32,
}

/// An edge: the node that uses the operand, and the operand's side.
type Edge = Option<(u32, u8)>;

/// What a node begins with.
pub struct NewNode {
    pub(crate) operation: Operation,
    pub(crate) form: Form,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Shape,
    pub(crate) operands: [u32; 2],
    pub(crate) factor: f64,
    pub(crate) axis: usize,
    pub(crate) origin: Origin,
    /// A leaf's array, and its order.
    pub(crate) leaf: Option<(&'static Claim, Order)>,
}

impl Node {
    /// Makes a free entry a node. Field by field, in place: the entry is large.
    #[inline]
    fn begin(&mut self, id: Id, new: NewNode) {
        debug_assert!(self.value.is_none() && self.is_unused() && self.rows.is_empty());
        self.operation = new.operation;
        self.form = new.form;
        self.dtype = new.dtype;
        self.shape = new.shape;
        self.operands = new.operands;
        self.factor = new.factor;
        self.axis = new.axis;
        self.implied = false;
        (self.value, self.order, self.progress) = match new.leaf {
            Some((claim, order)) => (Some(claim), order, Progress::Done),
            None => (None, Order::C, Progress::Waiting),
        };
        self.origin = new.origin;
        self.id = id;
        self.consumed = 0;
        self.run = 0;
        self.users = None;
        self.next_user = [None; 2];
        self.previous_user = [None; 2];
        (self.next, self.up) = (NONE, NONE);
    }

    /// An entry without a node.
    pub(crate) fn free() -> Node {
        Node {
            operation: Operation::Leaf,
            form: Form::Full,
            dtype: Dtype::F64,
            shape: SmallVec::new(),
            operands: [NONE; 2],
            factor: 1.0,
            axis: 0,
            implied: false,
            progress: Progress::Waiting,
            value: None,
            rows: Vec::new(),
            order: Order::C,
            origin: Origin { site: 0, thread: 0 },
            id: Id::NONE,
            handle: false,
            root_refs: 0,
            edges: 0,
            consumed: 0,
            run: 0,
            users: None,
            next_user: [None; 2],
            previous_user: [None; 2],
            next: NONE,
            up: NONE,
            side: 0,
            chain: NONE,
        }
    }

    /// Number of references that still need the value.
    pub(crate) fn references(&self) -> u32 {
        u32::from(self.handle) + self.root_refs + self.edges - self.consumed
    }

    /// Number of edges from this node to an operand.
    pub(crate) fn edges_to(&self, operand: u32) -> u32 {
        self.operands.iter().filter(|other| **other == operand).count() as u32
    }

    fn is_unused(&self) -> bool {
        !self.handle && self.root_refs == 0 && self.edges == 0
    }
}

/// The nodes of all expressions.
pub struct Graph {
    nodes: Vec<Node>,
    runs: u32,
}

/// The number of entries of the graph, which only grows; written under its lock.
static ROOM: AtomicUsize = AtomicUsize::new(0);

static GRAPH: ColdLock<Graph> = ColdLock::new(Graph { nodes: Vec::new(), runs: 0 });

/// Locks the graph.
pub fn graph() -> ColdGuard<'static, Graph> {
    GRAPH.lock()
}

/// Locks the graph; `thread` is the calling thread.
#[inline]
pub fn graph_as(thread: &'static Thread) -> ColdGuard<'static, Graph> {
    GRAPH.lock_as(thread)
}

/// Numbers of axes that lie inline.
const INLINE_AXES: usize = 4;

/// A shape. Up to four axes need no memory.
#[inline]
pub fn shape_of(lengths: &[i64]) -> Result<Shape> {
    if lengths.len() <= INLINE_AXES {
        let mut inline = [0; INLINE_AXES];
        inline.iter_mut().zip(lengths).for_each(|(to, from)| *to = *from);
        return Ok(SmallVec::from_buf_and_len(inline, lengths.len()));
    }
    let mut shape = Shape::new();
    lists::reserve(&mut shape, lengths.len())?;
    shape.extend_from_slice(lengths);
    Ok(shape)
}

impl core::ops::Index<u32> for Graph {
    type Output = Node;
    fn index(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }
}

impl core::ops::IndexMut<u32> for Graph {
    fn index_mut(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize]
    }
}

/// A slot that is not a node yet.
pub type SpareNode = Spare<Expr>;

impl Expr {
    /// Takes a slot, and grows the graph to its number; outside of locks.
    pub(crate) fn spare(thread: &'static Thread) -> Result<SpareNode> {
        let spare = SpareNode::take(thread)?;
        let needed = spare.slot().head().number() as usize + 1;
        // The graph never shrinks, so a number that was there once needs no lock.
        if needed > ROOM.load(Ordering::Relaxed) {
            grow(needed)?;
        }
        Ok(spare)
    }
}

#[cold]
fn grow(needed: usize) -> Result<()> {
    let mut graph = graph();
    let more = needed.saturating_sub(graph.nodes.len());
    if graph.nodes.try_reserve(more).is_err() {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {needed} nodes of expressions")));
    }
    if more > 0 {
        graph.nodes.resize_with(needed, Node::free);
        ROOM.store(needed, Ordering::Relaxed);
    }
    Ok(())
}

/// Nodes that are taken out of the graph each time that it is locked.
const FREED_AT_ONCE: usize = 4;

/// Nodes that ended under the lock, chained in this order. [`EndedNodes::free`] frees what they own.
#[must_use]
pub struct EndedNodes {
    first: u32,
    last: u32,
    /// The first of them that has not released its operands yet.
    open: u32,
}

impl EndedNodes {
    /// An empty chain.
    pub(crate) fn new() -> EndedNodes {
        EndedNodes { first: NONE, last: NONE, open: NONE }
    }

    fn add(&mut self, graph: &mut Graph, number: u32) {
        graph[number].chain = NONE;
        match self.last {
            NONE => self.first = number,
            last => graph[last].chain = number,
        }
        self.last = number;
        if self.open == NONE {
            self.open = number;
        }
    }

    /// Unlocks the graph, ends their claims and frees their slots.
    pub(crate) fn free(self, thread: &'static Thread, locked: ColdGuard<'static, Graph>) {
        let (mut locked, mut at) = (Some(locked), self.first);
        while at != NONE {
            let mut graph = locked.take().unwrap_or_else(|| graph_as(thread));
            // Taken out first: once the slot is free, its entry can belong to another node.
            let mut batch: [(u32, Option<&'static Claim>); FREED_AT_ONCE] = [(NONE, None); FREED_AT_ONCE];
            let (mut shape, mut rows) = (Shape::new(), Vec::new());
            for freed in &mut batch {
                let node = &mut graph[at];
                *freed = (at, node.value.take());
                node.id = Id::NONE;
                at = node.chain;
                // Lists with memory of their own are freed one at a time.
                let has_lists = node.shape.spilled() || node.rows.capacity() > 0;
                if has_lists {
                    (shape, rows) = (core::mem::take(&mut node.shape), core::mem::take(&mut node.rows));
                }
                if has_lists || at == NONE {
                    break;
                }
            }
            drop(graph);
            drop((shape, rows));
            for (number, value) in batch.into_iter().take_while(|(number, _)| *number != NONE) {
                if let Some(claim) = value {
                    claim.lock_own_as(thread).end_node(claim);
                }
                let slot = Table::<Expr>::slot(number).expect("nodes have slots");
                Table::free(thread, slot);
            }
        }
    }
}

impl Graph {
    /// A number for a new evaluation.
    pub(crate) fn next_run(&mut self) -> u32 {
        self.runs = self.runs.wrapping_add(1).max(1);
        self.runs
    }

    /// The node of a handle.
    pub(crate) fn find(&self, id: Id) -> Result<u32> {
        Ok(Table::<Expr>::find(id)?.head().number())
    }

    /// The node with these bits, also after the release of its handle.
    pub(crate) fn number_of(&self, id: Id) -> Option<u32> {
        let number = id.number();
        self.nodes.get(number as usize).filter(|node| node.id == id).map(|_| number)
    }

    /// Adds a node with the edges to its operands, and publishes its handle.
    #[inline]
    pub(crate) fn insert(&mut self, thread: &'static Thread, spare: SpareNode, new: NewNode) -> Id {
        let slot = self.add(thread, spare, new);
        self[slot.head().number()].handle = true;
        Table::publish(slot)
    }

    /// Adds a node without a handle, as the operand of a node that is added next.
    pub(crate) fn insert_implied(&mut self, thread: &'static Thread, spare: SpareNode, new: NewNode) -> u32 {
        let slot = self.add(thread, spare, new);
        slot.head().make_stale(SlotState::Kept);
        let number = slot.head().number();
        self[number].implied = true;
        number
    }

    #[inline]
    fn add(&mut self, thread: &'static Thread, spare: SpareNode, new: NewNode) -> &'static Expr {
        let slot = spare.into_slot();
        let number = slot.head().number();
        let operands = new.operands;
        self[number].begin(slot.id(), new);
        for (side, operand) in operands.into_iter().enumerate() {
            if operand != NONE {
                self.link(thread, number, side as u8, operand);
            }
        }
        slot
    }

    fn link(&mut self, thread: &'static Thread, user: u32, side: u8, operand: u32) {
        let first = self[operand].users.replace((user, side));
        self[operand].edges += 1;
        self[user].next_user[side as usize] = first;
        self[user].previous_user[side as usize] = None;
        if let Some((other, at)) = first {
            self[other].previous_user[at as usize] = Some((user, side));
        }
        let waits = self[user].operation;
        self.tag(thread, operand, waits);
    }

    fn unlink(&mut self, user: u32, side: u8) -> Option<u32> {
        let operand = core::mem::replace(&mut self[user].operands[side as usize], NONE);
        if operand == NONE {
            return None;
        }
        let next = self[user].next_user[side as usize].take();
        let previous = self[user].previous_user[side as usize].take();
        match previous {
            Some((other, at)) => self[other].next_user[at as usize] = next,
            None => self[operand].users = next,
        }
        if let Some((other, at)) = next {
            self[other].previous_user[at as usize] = previous;
        }
        self[operand].edges -= 1;
        // One that nothing uses ends now, with its claim.
        if !self[operand].is_unused() {
            let waits = self[operand].users.map_or(Operation::Leaf, |(user, _)| self[user].operation);
            self.tag(thread::current(), operand, waits);
        }
        Some(operand)
    }

    /// Stores which operation waits for a value, for the messages of calls that it refuses.
    fn tag(&mut self, thread: &'static Thread, number: u32, waits: Operation) {
        if let Some(claim) = self[number].value {
            claim.lock_own_as(thread).tag_node(claim, NodeTag { id: self[number].id, waits });
        }
    }

    /// Releases the operands of a node. Operands without another reference end, and release their operands in turn.
    pub(crate) fn release_operands(&mut self, number: u32, ended: &mut EndedNodes) {
        self.unlink_all(number, ended);
        while ended.open != NONE {
            let at = ended.open;
            self.unlink_all(at, ended);
            // Read now, because the call above may have added nodes behind it.
            ended.open = self[at].chain;
        }
    }

    fn unlink_all(&mut self, number: u32, ended: &mut EndedNodes) {
        for side in 0..2 {
            if let Some(operand) = self.unlink(number, side)
                && self[operand].is_unused()
            {
                ended.add(self, operand);
            }
        }
    }

    pub(crate) fn set_value(&mut self, number: u32, claim: &'static Claim, order: Order) {
        let node = &mut self[number];
        node.value = Some(claim);
        node.order = order;
        let waits = node.users.map_or(Operation::Leaf, |(user, _)| self[user].operation);
        self.tag(thread::current(), number, waits);
    }

    /// Drops the reference of an evaluation on its root.
    pub(crate) fn drop_root_ref(&mut self, number: u32, ended: &mut EndedNodes) {
        self[number].root_refs -= 1;
        self.end_if_unused(number, ended);
    }

    fn end_if_unused(&mut self, number: u32, ended: &mut EndedNodes) {
        if self[number].is_unused() {
            ended.add(self, number);
            self.release_operands(number, ended);
        }
    }

    /// Marks the node and all that depend on it as failed, and releases their operands.
    pub(crate) fn fail(&mut self, number: u32, ended: &mut EndedNodes) {
        let mut last = number;
        self[number].progress = Progress::Failed;
        self[number].up = NONE;
        // All of them are found by their edges before any operand is released.
        let mut at = number;
        while at != NONE {
            let mut edge = self[at].users;
            while let Some((user, side)) = edge {
                edge = self[user].next_user[side as usize];
                if self[user].progress != Progress::Failed {
                    self[user].progress = Progress::Failed;
                    self[user].up = NONE;
                    self[last].up = user;
                    last = user;
                }
            }
            at = self[at].up;
        }
        let mut at = number;
        while at != NONE {
            let next = self[at].up;
            self.release_operands(at, ended);
            at = next;
        }
    }
}

/// Releases the handle of a node. The node stays as long as operations need it.
pub fn release(id: Id) -> Result<()> {
    let thread = thread::current();
    let mut ended = EndedNodes::new();
    let mut graph = graph_as(thread);
    let slot = Table::<Expr>::find(id)?;
    slot.head().make_stale(SlotState::Kept);
    let number = slot.head().number();
    graph[number].handle = false;
    graph.end_if_unused(number, &mut ended);
    ended.free(thread, graph);
    Ok(())
}

/// Calls `visit` with every expression that has a handle.
pub fn each_open(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Expr>::each(|slot| {
        let graph = graph();
        if slot.head().state() == SlotState::Live {
            let node = &graph[slot.head().number()];
            visit(HolderInfo {
                kind: TN_HOLDER_EXPRESSION,
                device: crate::array::HOST,
                id: node.id.bits(),
                bytes: 0,
                origin: node.origin,
                time_ns: 0,
                name: Name::NONE,
                form: Form::Full,
                ..HolderInfo::NONE
            });
        }
    });
}
