//! Stream capture: work of a capturing stream becomes nodes of a graph; events carry a capture from stream to stream; calls that
//! could break a capture are refused and break it.

use crate::engine::Work;
use crate::entry::{Call, put, put_if};
use crate::graph::{Graph, Node};
use crate::status::*;
use crate::stream::thread_id;
use crate::types::Handle;
use crate::world::{Kind, World};
use std::cell::Cell;
use std::ffi::{c_uint, c_void};

const GLOBAL: c_uint = 0;
const THREAD_LOCAL: c_uint = 1;
const RELAXED: c_uint = 2;

pub struct Capture {
    origin: Handle,
    mode: c_uint,
    thread: u64,
    nodes: Vec<Node>,
    invalid: bool,
    /// Where `cuStreamBeginCaptureToGraph` wants the nodes.
    graph: Handle,
}

thread_local! {
    static MODE: Cell<c_uint> = const { Cell::new(GLOBAL) };
}

impl World {
    /// Adds a node behind the stream's last ones.
    pub fn capture_node(&mut self, stream: Handle, label: &'static str, work: Work) -> Answer {
        let Some((capture, after)) = self.streams.get(&stream).and_then(|stream| stream.capture.clone()) else {
            return Err(INVALID_HANDLE);
        };
        let Some(known) = self.graphs.captures.get_mut(&capture) else { return Err(STREAM_CAPTURE_INVALIDATED) };
        if known.invalid {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        known.nodes.push(Node { label, work, after });
        let last = known.nodes.len() - 1;
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.capture = Some((capture, vec![last]));
        }
        Ok(())
    }

    pub fn invalidate_capture_of(&mut self, stream: Handle) {
        if let Some((capture, _)) = self.streams.get(&stream).and_then(|stream| stream.capture.as_ref())
            && let Some(capture) = self.graphs.captures.get_mut(capture)
        {
            capture.invalid = true;
        }
    }

    /// The capture of a blocking stream, for which work on the legacy stream would have to wait.
    fn blocking_capture(&self, context: Handle) -> Option<Handle> {
        let mut its = self.streams.values().filter(|stream| stream.context == context && stream.blocking());
        its.find_map(|stream| stream.capture.as_ref().map(|(capture, _)| *capture))
    }

    /// Work on the legacy stream would have to wait for a blocking stream that captures: refused, and the capture broken.
    pub fn uncaptured_blocking(&mut self, context: Handle) -> Answer {
        let Some(capture) = self.blocking_capture(context) else { return Ok(()) };
        if let Some(capture) = self.graphs.captures.get_mut(&capture) {
            capture.invalid = true;
        }
        Err(STREAM_CAPTURE_IMPLICIT)
    }
}

impl Call<'_> {
    /// For calls that might wait for a captured stream: refused, and the capture broken, as this thread's mode says.
    pub fn uncaptured(&mut self) -> Answer {
        let mode = MODE.try_with(Cell::get).unwrap_or(GLOBAL);
        if self.graphs.captures.is_empty() || mode == RELAXED {
            return Ok(());
        }
        let thread = thread_id();
        let mut broken = false;
        for capture in self.graphs.captures.values_mut() {
            let mine = capture.thread == thread && capture.mode != RELAXED;
            if mine || mode == GLOBAL && capture.mode == GLOBAL {
                capture.invalid = true;
                broken = true;
            }
        }
        if broken { Err(STREAM_CAPTURE_UNSUPPORTED) } else { Ok(()) }
    }

    /// A stream waits for an event of a capture: it captures too from here on, or its next node follows that one as well.
    pub fn join_capture(&mut self, stream: Handle, capture: Handle, nodes: Vec<usize>) -> Answer {
        if self.graphs.captures.get(&capture).is_none_or(|capture| capture.invalid) {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        let stream = self.world.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        match &mut stream.capture {
            None => stream.capture = Some((capture, nodes)),
            Some((other, _)) if *other != capture => return Err(STREAM_CAPTURE_MERGE),
            Some((_, after)) => {
                after.extend(nodes);
                after.sort_unstable();
                after.dedup();
            }
        }
        Ok(())
    }

    fn begin(&mut self, stream: Handle, mode: c_uint, graph: Handle) -> Answer {
        if mode > RELAXED {
            return Err(INVALID_VALUE);
        }
        let stream = self.stream(stream)?;
        let context = self.context;
        let legacy = self.contexts.get(&context).map_or(0, |context| context.legacy);
        if stream == legacy {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        if self.streams.get(&stream).is_some_and(|stream| stream.capture.is_some()) {
            return Err(ILLEGAL_STATE);
        }
        let handle = self.handle(Kind::Graph);
        let nodes = Vec::new();
        let capture = Capture { origin: stream, mode, thread: thread_id(), nodes, invalid: false, graph };
        self.graphs.captures.insert(handle, capture);
        self.world.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?.capture = Some((handle, Vec::new()));
        Ok(())
    }

    fn end(&mut self, stream: Handle, out: *mut Handle) -> Answer {
        let stream = self.stream(stream)?;
        let Some((handle, last)) = self.streams.get(&stream).and_then(|stream| stream.capture.clone()) else {
            return Err(ILLEGAL_STATE);
        };
        let capture = self.graphs.captures.get(&handle).ok_or(ILLEGAL_STATE)?;
        if capture.origin != stream {
            return Err(STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode != RELAXED && capture.thread != thread_id() {
            return Err(STREAM_CAPTURE_WRONG_THREAD);
        }
        let capture = self.graphs.captures.remove(&handle).ok_or(ILLEGAL_STATE)?;
        let joined = crate::graph::ancestors(&capture.nodes, &last);
        let mut unjoined = false;
        for (_, other) in self.world.streams.iter_mut() {
            if other.capture.as_ref().is_some_and(|(capture, _)| *capture == handle) {
                unjoined |= other.capture.take().is_some_and(|(_, ends)| !ends.iter().all(|end| joined.contains(end)));
            }
        }
        for event in self.world.events.values_mut() {
            event.captured.take_if(|(capture, _)| *capture == handle);
        }
        put_if(out, 0);
        if capture.invalid {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        if unjoined {
            return Err(STREAM_CAPTURE_UNJOINED);
        }
        let graph = if capture.graph == 0 { handle } else { capture.graph };
        self.graphs.graphs.insert(graph, Graph { nodes: capture.nodes, objects: Vec::new() });
        put(out, graph)
    }

    fn info(&mut self, stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle) -> Answer {
        let stream = self.stream(stream)?;
        // Made by the line before, if nobody has used it yet.
        let legacy = self.contexts.get(&self.context).map_or(0, |context| context.legacy);
        // Asking breaks nothing.
        if stream == legacy && self.blocking_capture(self.context).is_some() {
            return Err(STREAM_CAPTURE_IMPLICIT);
        }
        let capture = self.streams.get(&stream).and_then(|stream| stream.capture.as_ref()).map(|(capture, _)| *capture);
        let invalid =
            capture.and_then(|capture| self.graphs.captures.get(&capture)).is_some_and(|capture| capture.invalid);
        put(status, if capture.is_none() { 0 } else { 1 + c_uint::from(invalid) })?;
        if let Some(capture) = capture {
            put_if(id, capture);
            put_if(graph, capture);
        }
        Ok(())
    }
}

driver! {
    fn cuStreamBeginCapture_v2(stream: Handle, mode: c_uint) | cuStreamBeginCapture_v2_ptsz in Context => |call| {
        call.begin(stream, mode, 0)
    }

    fn cuStreamBeginCaptureToGraph(
        stream: Handle, graph: Handle, _after: *const Handle, _data: *const c_void, _count: usize, mode: c_uint
    ) | cuStreamBeginCaptureToGraph_ptsz in Context => |call| {
        call.begin(stream, mode, graph)
    }

    fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) | cuStreamEndCapture_ptsz in Context => |call| { call.end(stream, graph) }

    fn cuStreamIsCapturing(stream: Handle, status: *mut c_uint) | cuStreamIsCapturing_ptsz in Context => |call| {
        call.info(stream, status, std::ptr::null_mut(), std::ptr::null_mut())
    }

    fn cuStreamGetCaptureInfo(stream: Handle, status: *mut c_uint, id: *mut u64) | cuStreamGetCaptureInfo_ptsz in Context => |call| {
        call.info(stream, status, id, std::ptr::null_mut())
    }

    fn cuStreamGetCaptureInfo_v2(
        stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle, _nodes: *mut *const Handle, count: *mut usize
    ) | cuStreamGetCaptureInfo_v2_ptsz in Context => |call| {
        put_if(count, 0);
        call.info(stream, status, id, graph)
    }

    fn cuStreamGetCaptureInfo_v3(
        stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle, _nodes: *mut *const Handle, _data: *mut *const c_void,
        count: *mut usize
    ) | cuStreamGetCaptureInfo_v3_ptsz in Context => |call| {
        put_if(count, 0);
        call.info(stream, status, id, graph)
    }

    fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint) in Nothing => |_| {
        let wanted = crate::entry::get(mode)?;
        if wanted > RELAXED {
            return Err(INVALID_VALUE);
        }
        let before = MODE.try_with(|mode| mode.replace(wanted)).unwrap_or(GLOBAL);
        put(mode, before)
    }
}

const _: () = assert!(THREAD_LOCAL == 1);
