//! Stream capture: beginning and ending it, and how events carry it from stream to stream.

use crate::base::args::{get, put, put_optional};
use crate::base::status::*;
use crate::base::thread::{CAPTURE_RELAXED, exchange_capture_mode, thread_id};
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::graph::{Capture, Graph, ancestors};
use crate::state::machine::HandleKind;
use std::ffi::{c_uint, c_void};

impl Call<'_> {
    /// A stream waits for a captured event: it joins the capture, or its next node follows those nodes too.
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

    fn begin_capture(&mut self, stream: Handle, mode: c_uint, graph: Handle) -> Answer {
        if mode > CAPTURE_RELAXED {
            return Err(INVALID_VALUE);
        }
        let stream = self.stream(stream)?;
        let context = self.context;
        if stream == self.legacy_stream(context) {
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        if self.is_capturing(stream) {
            return Err(ILLEGAL_STATE);
        }
        let handle = self.new_handle(HandleKind::Graph);
        let nodes = Vec::new();
        let capture = Capture { origin: stream, mode, thread: thread_id(), nodes, invalid: false, graph };
        self.graphs.captures.insert(handle, capture);
        self.world.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?.capture = Some((handle, Vec::new()));
        Ok(())
    }

    fn end_capture(&mut self, stream: Handle, out: *mut Handle) -> Answer {
        let stream = self.stream(stream)?;
        let Some((handle, last)) = self.streams.get(&stream).and_then(|stream| stream.capture.clone()) else {
            return Err(ILLEGAL_STATE);
        };
        let capture = self.graphs.captures.get(&handle).ok_or(ILLEGAL_STATE)?;
        if capture.origin != stream {
            return Err(STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode != CAPTURE_RELAXED && capture.thread != thread_id() {
            return Err(STREAM_CAPTURE_WRONG_THREAD);
        }
        let capture = self.graphs.captures.remove(&handle).ok_or(ILLEGAL_STATE)?;
        let joined = ancestors(&capture.nodes, &last);
        let mut unjoined = false;
        for (_, other) in self.world.streams.iter_mut() {
            if other.capture.as_ref().is_some_and(|(capture, _)| *capture == handle) {
                unjoined |= other.capture.take().is_some_and(|(_, ends)| !ends.iter().all(|end| joined.contains(end)));
            }
        }
        for event in self.world.events.values_mut() {
            event.captured.take_if(|(capture, _)| *capture == handle);
        }
        put_optional(out, 0);
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

    fn capture_info(&mut self, stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle) -> Answer {
        let stream = self.stream(stream)?;
        // The query does not break the capture. The legacy stream exists by now: `stream` has created it.
        if stream == self.legacy_stream(self.context) && self.blocking_capture(self.context).is_some() {
            return Err(STREAM_CAPTURE_IMPLICIT);
        }
        let capture = self.streams.get(&stream).and_then(|stream| stream.capture.as_ref()).map(|(capture, _)| *capture);
        let invalid =
            capture.and_then(|capture| self.graphs.captures.get(&capture)).is_some_and(|capture| capture.invalid);
        put(status, if capture.is_none() { 0 } else { 1 + c_uint::from(invalid) })?;
        if let Some(capture) = capture {
            put_optional(id, capture);
            put_optional(graph, capture);
        }
        Ok(())
    }
}

driver! {
    fn cuStreamBeginCapture_v2(stream: Handle, mode: c_uint) | cuStreamBeginCapture_v2_ptsz in Context => |call| {
        call.begin_capture(stream, mode, 0)
    }

    fn cuStreamBeginCaptureToGraph(
        stream: Handle, graph: Handle, _after: *const Handle, _data: *const c_void, _count: usize, mode: c_uint
    ) | cuStreamBeginCaptureToGraph_ptsz in Context => |call| {
        call.begin_capture(stream, mode, graph)
    }

    fn cuStreamEndCapture(stream: Handle, graph: *mut Handle) | cuStreamEndCapture_ptsz in Context => |call| { call.end_capture(stream, graph) }

    fn cuStreamIsCapturing(stream: Handle, status: *mut c_uint) | cuStreamIsCapturing_ptsz in Context => |call| {
        call.capture_info(stream, status, std::ptr::null_mut(), std::ptr::null_mut())
    }

    fn cuStreamGetCaptureInfo(stream: Handle, status: *mut c_uint, id: *mut u64) | cuStreamGetCaptureInfo_ptsz in Context => |call| {
        call.capture_info(stream, status, id, std::ptr::null_mut())
    }

    fn cuStreamGetCaptureInfo_v2(
        stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle, _nodes: *mut *const Handle, count: *mut usize
    ) | cuStreamGetCaptureInfo_v2_ptsz in Context => |call| {
        put_optional(count, 0);
        call.capture_info(stream, status, id, graph)
    }

    fn cuStreamGetCaptureInfo_v3(
        stream: Handle, status: *mut c_uint, id: *mut u64, graph: *mut Handle, _nodes: *mut *const Handle, _data: *mut *const c_void,
        count: *mut usize
    ) | cuStreamGetCaptureInfo_v3_ptsz in Context => |call| {
        put_optional(count, 0);
        call.capture_info(stream, status, id, graph)
    }

    fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint) in Nothing => |_| {
        let wanted = get(mode)?;
        if wanted > CAPTURE_RELAXED {
            return Err(INVALID_VALUE);
        }
        let before = exchange_capture_mode(wanted);
        put(mode, before)
    }
}
