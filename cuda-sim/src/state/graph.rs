//! Graphs and the captures that record them, and the order in which the nodes of a graph may run.

use super::user_object::UserObject;
use super::work::{Node, Work};
use crate::base::random::Random;
use crate::base::types::Handle;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_uint;
use std::sync::Arc;

#[derive(Clone, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// The user objects that it keeps alive, once for each reference.
    pub objects: Vec<Arc<UserObject>>,
}

/// A capture that has not ended.
pub struct Capture {
    /// The stream in which it began.
    pub origin: Handle,
    pub mode: c_uint,
    pub thread: u64,
    pub nodes: Vec<Node>,
    pub invalid: bool,
    /// The graph that receives the nodes, by `cuStreamBeginCaptureToGraph`; 0: a new one.
    pub graph: Handle,
}

#[derive(Default)]
pub struct Graphs {
    pub captures: BTreeMap<Handle, Capture>,
    pub graphs: BTreeMap<Handle, Graph>,
    /// Executable graphs.
    pub executable: BTreeMap<Handle, Arc<Vec<Node>>>,
}

/// The labels and work of all nodes, in a random order that respects the edges. A graph inside the graph is one of its
/// nodes.
pub fn random_order(nodes: &[Node], random: &mut Random) -> Vec<(&'static str, Work)> {
    let mut done = vec![false; nodes.len()];
    let mut order = Vec::new();
    while order.len() < nodes.len() {
        // Edges lead only from earlier nodes to later ones, so at least one node is open.
        let open: Vec<usize> = (0..nodes.len())
            .filter(|&node| !done[node] && nodes[node].after.iter().all(|&before| done[before]))
            .collect();
        let chosen = open[random.below(open.len())];
        done[chosen] = true;
        order.push(chosen);
    }
    let mut parts = Vec::new();
    for node in order {
        match &nodes[node] {
            Node { work: Work::Graph(inner), .. } => parts.extend(random_order(inner, random)),
            Node { label, work, .. } => parts.push((*label, work.clone())),
        }
    }
    parts
}

/// `ends` and all nodes that come before them.
pub fn ancestors(nodes: &[Node], ends: &[usize]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = ends.to_vec();
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(&nodes[node].after);
        }
    }
    found
}
