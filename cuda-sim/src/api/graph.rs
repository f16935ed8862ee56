//! Graphs: creating, instantiating and launching them. A launch is one piece of work; its nodes run in an order that
//! their edges allow, drawn anew each time.

use crate::base::args::{put, put_optional};
use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::graph::Graph;
use crate::state::machine::{HandleKind, Machine};
use crate::state::work::{Node, Work};
use std::ffi::{c_char, c_uint, c_ulonglong, c_void};
use std::sync::Arc;

fn instantiate(call: &mut Call, out: *mut Handle, graph: Handle) -> Answer {
    let Graph { mut nodes, objects } = call.graphs.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
    if !objects.is_empty() {
        // They live as long as any executable graph, or any launch that still runs, has these nodes.
        let keep = move |_: &mut Machine, _| {
            let _ = &objects;
            Ok(())
        };
        nodes.push(Node { label: "objects", work: Work::Inside(Arc::new(keep)), after: Vec::new() });
    }
    let nodes = Arc::new(nodes);
    let handle = call.new_handle(HandleKind::GraphExec);
    call.graphs.executable.insert(handle, nodes);
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
        let handle = call.new_handle(HandleKind::Graph);
        call.graphs.graphs.insert(handle, Graph::default());
        put(out, handle)
    }

    fn cuGraphDestroy(graph: Handle) in Init => |call| { call.graphs.graphs.remove(&graph).map(|_| ()).ok_or(INVALID_VALUE) }

    fn cuGraphClone(out: *mut Handle, graph: Handle) in Init => |call| {
        let copy = call.graphs.graphs.get(&graph).ok_or(INVALID_VALUE)?.clone();
        let handle = call.new_handle(HandleKind::Graph);
        call.graphs.graphs.insert(handle, copy);
        put(out, handle)
    }

    fn cuGraphAddEmptyNode(out: *mut Handle, graph: Handle, _after: *const Handle, _count: usize) in Init => |call| {
        let graph = call.graphs.graphs.get_mut(&graph).ok_or(INVALID_VALUE)?;
        graph.nodes.push(Node { label: "empty", work: Work::Nothing, after: Vec::new() });
        let handle = call.new_handle(HandleKind::Node);
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
            put_optional(unsafe { &raw mut (*params).result }, 0);
        }
        Ok(())
    }

    fn cuGraphExecDestroy(exec: Handle) in Init => |call| { call.graphs.executable.remove(&exec).map(|_| ()).ok_or(INVALID_VALUE) }

    fn cuGraphUpload(exec: Handle, stream: Handle) | cuGraphUpload_ptsz in Context => |call| {
        call.stream(stream)?;
        call.graphs.executable.get(&exec).map(|_| ()).ok_or(INVALID_VALUE)
    }

    fn cuGraphLaunch(exec: Handle, stream: Handle) | cuGraphLaunch_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let nodes = call.graphs.executable.get(&exec).ok_or(INVALID_VALUE)?.clone();
        call.enqueue(stream, "graph", Vec::new(), Work::Graph(nodes)).map(|_| ())
    }
}
