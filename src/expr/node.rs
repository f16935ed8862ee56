//! The graph: nodes with their references, and what ends with what.
//!
//! A node is a leaf or an operation. Its references are its handle, the edges from operations that use it, and an evaluation that has
//! it as its root. It goes with the last of them, and lets its operands go. Nodes stand in one list by the number of their slot; one
//! lock guards it. Lists of nodes (what ends, what is to be computed) are chained through the nodes themselves, so they need no memory
//! and nothing recurses. Claims end and slots go back after the lock is gone ([`Dead::sweep`]), because that may run callbacks.

use super::rules::Form;
use crate::borrow::HolderInfo;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::layout::Order;
use crate::ledger::{Claim, NodeTag, Operation, Origin};
use crate::names::Name;
use crate::slots::{Head, Id, Kind, Slot, State as SlotState, Table};
use crate::thread::{ColdGuard, ColdLock, Thread};
use crate::types::*;
use smallvec::SmallVec;

/// The handle of a node; everything else about it stands in the graph.
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

/// No node.
pub const NONE: u32 = u32::MAX;

/// Lengths; of a diagonal matrix one.
pub type Shape = SmallVec<[i64; 4]>;

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not computed.
    Waiting,
    /// An evaluation has it.
    Computing,
    /// It has a value, or had one that its last user took.
    Done,
    /// It cannot be computed.
    Failed,
}

/// One node.
pub struct Node {
    pub operation: Operation,
    pub form: Form,
    pub dtype: Dtype,
    pub shape: Shape,
    /// Left and right, or NONE. One that was let go is NONE too.
    pub operands: [u32; 2],
    /// Of scale.
    pub factor: f64,
    /// Of sum.
    pub axis: usize,
    pub progress: Progress,
    /// A leaf's array, or what was computed.
    pub value: Option<&'static Claim>,
    /// Order of the value's elements.
    pub order: Order,
    pub made: Origin,
    /// Its bits.
    pub id: Id,
    pub(super) handle: bool,
    /// Evaluations that have it as their root.
    pub holds: u32,
    /// From operations that use it.
    pub(super) edges: u32,
    /// Those of the edges whose operations have been computed, of an evaluation that keeps everything until it succeeds.
    pub consumed: u32,
    /// The evaluation that computed it, or does now.
    pub run: u32,
    /// First of the edges to it: number of the user and side.
    pub(super) users: Edge,
    /// Per side: the other edges to the same operand.
    pub(super) next_user: [Edge; 2],
    pub(super) previous_user: [Edge; 2],
    /// Next of the nodes of an evaluation, in order.
    pub next: u32,
    /// Way back to the root while that is found out; next of the nodes that fail.
    pub up: u32,
    /// Which operand comes next while the order is found out.
    pub side: u8,
    /// Next of the nodes that end.
    pub(super) chain: u32,
}

/// An edge, named by the node that it comes from and the side of the operand.
type Edge = Option<(u32, u8)>;

impl Node {
    /// A place without a node.
    pub fn free() -> Node {
        Node {
            operation: Operation::Leaf,
            form: Form::Full,
            dtype: Dtype::F64,
            shape: SmallVec::new(),
            operands: [NONE; 2],
            factor: 1.0,
            axis: 0,
            progress: Progress::Waiting,
            value: None,
            order: Order::C,
            made: Origin { site: 0, thread: 0 },
            id: Id::NONE,
            handle: false,
            holds: 0,
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

    /// Everything that refers to it and still needs its value.
    pub fn references(&self) -> u32 {
        u32::from(self.handle) + self.holds + self.edges - self.consumed
    }

    /// How many of its references are edges from the node `user`.
    pub fn edges_to(&self, operand: u32) -> u32 {
        self.operands.iter().filter(|other| **other == operand).count() as u32
    }

    fn is_unused(&self) -> bool {
        !self.handle && self.holds == 0 && self.edges == 0
    }
}

/// All nodes.
pub struct Graph {
    nodes: Vec<Node>,
    runs: u32,
}

static GRAPH: ColdLock<Graph> = ColdLock::new(Graph { nodes: Vec::new(), runs: 0 });

/// Locks the graph.
pub fn graph() -> ColdGuard<'static, Graph> {
    GRAPH.lock()
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

/// A taken slot that is no node yet.
pub struct SpareNode {
    slot: &'static Expr,
    thread: &'static Thread,
    used: bool,
}

impl SpareNode {
    /// Takes a slot, and sees to it that the graph has a place for it; outside of locks.
    pub fn take(thread: &'static Thread) -> Result<SpareNode> {
        let spare = SpareNode { slot: Table::take(thread)?, thread, used: false };
        let mut graph = graph();
        let needed = spare.slot.head().number() as usize + 1;
        let there = graph.nodes.len();
        if needed > there {
            let more = needed - there;
            if graph.nodes.try_reserve(more).is_err() {
                return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {needed} nodes of expressions")));
            }
            graph.nodes.resize_with(needed, Node::free);
        }
        drop(graph);
        Ok(spare)
    }

    /// The bits that its handle will have.
    pub fn id(&self) -> Id {
        self.slot.id()
    }
}

impl Drop for SpareNode {
    fn drop(&mut self) {
        if !self.used {
            Table::free(self.thread, self.slot);
        }
    }
}

/// Nodes that ended under the lock, chained in the order in which they did; what they held goes back in [`Dead::sweep`].
#[must_use]
pub struct Dead {
    first: u32,
    last: u32,
    /// The first of them that has not let its operands go yet.
    open: u32,
}

impl Dead {
    /// None yet.
    pub fn new() -> Dead {
        Dead { first: NONE, last: NONE, open: NONE }
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

    /// Ends their claims and gives their slots back. Under no lock.
    pub fn sweep(self, thread: &'static Thread) {
        let mut at = self.first;
        while at != NONE {
            let mut graph = graph();
            // In one step: once the slot is free, its place may be another node's.
            let node = core::mem::replace(&mut graph[at], Node::free());
            drop(graph);
            if let Some(claim) = node.value {
                claim.lock_own().end_node(claim);
            }
            let slot = Table::<Expr>::slot(at).expect("nodes have slots");
            Table::free(thread, slot);
            at = node.chain;
        }
    }
}

impl Graph {
    /// A number for an evaluation.
    pub fn next_run(&mut self) -> u32 {
        self.runs = self.runs.wrapping_add(1).max(1);
        self.runs
    }

    /// The node of a handle.
    pub fn find(&self, id: Id) -> Result<u32> {
        Ok(Table::<Expr>::find(id)?.head().number())
    }

    /// The node with those bits, also where its handle was released.
    pub fn number_of(&self, id: Id) -> Option<u32> {
        let number = id.number();
        self.nodes.get(number as usize).filter(|node| node.id == id).map(|_| number)
    }

    /// `node` with its operands' edges; `spare` becomes its handle.
    pub fn insert(&mut self, mut spare: SpareNode, node: Node) -> Id {
        spare.used = true;
        let number = spare.slot.head().number();
        let operands = node.operands;
        self[number] = Node { handle: true, id: spare.slot.id(), ..node };
        for (side, operand) in operands.into_iter().enumerate() {
            if operand != NONE {
                self.link(number, side as u8, operand);
            }
        }
        Table::publish(spare.slot)
    }

    fn link(&mut self, user: u32, side: u8, operand: u32) {
        let first = self[operand].users.replace((user, side));
        self[operand].edges += 1;
        self[user].next_user[side as usize] = first;
        self[user].previous_user[side as usize] = None;
        if let Some((other, at)) = first {
            self[other].previous_user[at as usize] = Some((user, side));
        }
        let waits = self[user].operation;
        self.tag(operand, waits);
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
        let waits = self[operand].users.map_or(Operation::Leaf, |(user, _)| self[user].operation);
        self.tag(operand, waits);
        Some(operand)
    }

    /// Notes what waits for a value, for whoever is refused because of it.
    fn tag(&mut self, number: u32, waits: Operation) {
        if let Some(claim) = self[number].value {
            claim.lock_own().tag_node(claim, NodeTag { id: self[number].id, waits });
        }
    }

    /// The node needs its operands no more: what nothing refers to any more ends, and so on down.
    pub fn let_go(&mut self, number: u32, dead: &mut Dead) {
        self.unlink_all(number, dead);
        while dead.open != NONE {
            let at = dead.open;
            self.unlink_all(at, dead);
            // Only now: what it let go may stand behind it.
            dead.open = self[at].chain;
        }
    }

    fn unlink_all(&mut self, number: u32, dead: &mut Dead) {
        for side in 0..2 {
            if let Some(operand) = self.unlink(number, side)
                && self[operand].is_unused()
            {
                dead.add(self, operand);
            }
        }
    }

    /// The node is computed.
    pub fn set_value(&mut self, number: u32, claim: &'static Claim, order: Order) {
        let node = &mut self[number];
        node.value = Some(claim);
        node.order = order;
        node.progress = Progress::Done;
        let waits = node.users.map_or(Operation::Leaf, |(user, _)| self[user].operation);
        self.tag(number, waits);
    }

    /// An evaluation does not have it as its root any more.
    pub fn drop_hold(&mut self, number: u32, dead: &mut Dead) {
        self[number].holds -= 1;
        self.settle(number, dead);
    }

    fn settle(&mut self, number: u32, dead: &mut Dead) {
        if self[number].is_unused() {
            dead.add(self, number);
            self.let_go(number, dead);
        }
    }

    /// The node and all that depends on it cannot be computed, now or ever; they let their operands go.
    pub fn fail(&mut self, number: u32, dead: &mut Dead) {
        let mut last = number;
        self[number].progress = Progress::Failed;
        self[number].up = NONE;
        // First all of them, by their edges; then these go.
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
            self.let_go(at, dead);
            at = next;
        }
    }
}

/// Gives the handle of a node back. The node stays as long as operations need it.
pub fn release(id: Id) -> Result<()> {
    let mut dead = Dead::new();
    let mut graph = graph();
    let number = graph.find(id)?;
    Table::<Expr>::slot(number).expect("found").head().make_stale(SlotState::Kept);
    graph[number].handle = false;
    graph.settle(number, &mut dead);
    drop(graph);
    dead.sweep(crate::thread::current());
    Ok(())
}

/// Every expression whose handle is out.
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
                made: node.made,
                time_ns: 0,
                name: Name::NONE,
                registered: 0,
            });
        }
    });
}
