//! Graphs: what a capture recorded, made executable and launched. A launch is one piece of work whose nodes run in some order that
//! their edges allow, drawn anew each time.

use crate::capture::Capture;
use crate::engine::Work;
use crate::entry::{put, put_if};
use crate::random::Random;
use crate::status::*;
use crate::types::Handle;
use crate::world::{Kind, World};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_char, c_uint, c_ulonglong, c_void};
use std::sync::Arc;

#[derive(Clone)]
pub struct Node {
    pub label: &'static str,
    pub work: Work,
    pub after: Vec<usize>,
}

#[derive(Clone, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// What it keeps alive, once for each reference.
    pub objects: Vec<Arc<crate::object::Object>>,
}

#[derive(Default)]
pub struct Graphs {
    pub captures: BTreeMap<Handle, Capture>,
    pub graphs: BTreeMap<Handle, Graph>,
    pub ready: BTreeMap<Handle, Arc<Vec<Node>>>,
}

/// The work of all nodes and what it is, in a random order that respects the edges. A graph in a graph is one of its nodes.
pub fn ordered(nodes: &[Node], random: &mut Random) -> Vec<(&'static str, Work)> {
    let mut done = vec![false; nodes.len()];
    let mut order = Vec::new();
    while order.len() < nodes.len() {
        // Edges lead from nodes to later ones only, so one is always open.
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
            Node { work: Work::Graph(inner), .. } => parts.extend(ordered(inner, random)),
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

fn instantiate(call: &mut crate::entry::Call, out: *mut Handle, graph: Handle) -> Answer {
    let Graph { mut nodes, objects } = call.graphs.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
    if !objects.is_empty() {
        // They live as long as whatever may still launch, or run, these nodes.
        let keep = move |_: &mut World, _| {
            let _ = &objects;
            Ok(())
        };
        nodes.push(Node { label: "objects", work: Work::Inside(Arc::new(keep)), after: Vec::new() });
    }
    let nodes = Arc::new(nodes);
    let handle = call.handle(Kind::GraphExec);
    call.graphs.ready.insert(handle, nodes);
    put(out, handle)
}

/// CUDA_GRAPH_INSTANTIATE_PARAMS.
#[repr(C)]
struct InstantiateParams {
    flags: u64,
    upload_stream: Handle,
    error_node: Handle,
    result: c_uint,
}

driver! {
    fn cuGraphCreate(out: *mut Handle, flags: c_uint) in Init => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let handle = call.handle(Kind::Graph);
        call.graphs.graphs.insert(handle, Graph::default());
        put(out, handle)
    }

    fn cuGraphDestroy(graph: Handle) in Init => |call| { call.graphs.graphs.remove(&graph).map(|_| ()).ok_or(INVALID_VALUE) }

    fn cuGraphClone(out: *mut Handle, graph: Handle) in Init => |call| {
        let copy = call.graphs.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
        let handle = call.handle(Kind::Graph);
        call.graphs.graphs.insert(handle, copy);
        put(out, handle)
    }

    fn cuGraphAddEmptyNode(out: *mut Handle, graph: Handle, _after: *const Handle, _count: usize) in Init => |call| {
        let graph = call.graphs.graphs.get_mut(&graph).ok_or(INVALID_VALUE)?;
        graph.nodes.push(Node { label: "empty", work: Work::Nothing, after: Vec::new() });
        let handle = call.handle(Kind::Node);
        put(out, handle)
    }

    fn cuGraphGetNodes(graph: Handle, _nodes: *mut Handle, count: *mut usize) in Init => |call| {
        put(count, call.graphs.graphs.get(&graph).ok_or(INVALID_VALUE)?.nodes.len())
    }

    fn cuGraphInstantiate(out: *mut Handle, graph: Handle, _error_node: *mut Handle, _log: *mut c_char, _size: usize) in Context => |call| {
        instantiate(call, out, graph)
    }

    fn cuGraphInstantiate_v2(out: *mut Handle, graph: Handle, _error_node: *mut Handle, _log: *mut c_char, _size: usize) in Context => |call| {
        instantiate(call, out, graph)
    }

    fn cuGraphInstantiateWithFlags(out: *mut Handle, graph: Handle, _flags: c_ulonglong) in Context => |call| {
        instantiate(call, out, graph)
    }

    fn cuGraphInstantiateWithParams(out: *mut Handle, graph: Handle, params: *mut c_void) | cuGraphInstantiateWithParams_ptsz in Context => |call| {
        instantiate(call, out, graph)?;
        let params = params.cast::<InstantiateParams>();
        if !params.is_null() {
            // SAFETY: the caller's struct; only its result is written.
            put_if(unsafe { &raw mut (*params).result }, 0);
        }
        Ok(())
    }

    fn cuGraphExecDestroy(exec: Handle) in Init => |call| { call.graphs.ready.remove(&exec).map(|_| ()).ok_or(INVALID_VALUE) }

    fn cuGraphUpload(exec: Handle, stream: Handle) | cuGraphUpload_ptsz in Context => |call| {
        call.stream(stream)?;
        call.graphs.ready.get(&exec).map(|_| ()).ok_or(INVALID_VALUE)
    }

    fn cuGraphLaunch(exec: Handle, stream: Handle) | cuGraphLaunch_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let nodes = call.graphs.ready.get(&exec).ok_or(INVALID_VALUE)?.clone();
        call.enqueue(stream, "graph", Vec::new(), Work::Graph(nodes)).map(|_| ())
    }
}
