//! Stream capture: recording work as nodes of a graph, and refusing calls that would break a capture. A refused call
//! still invalidates it.

use crate::base::status::*;
use crate::base::thread::{CAPTURE_GLOBAL, CAPTURE_RELAXED, capture_mode, thread_id};
use crate::base::types::Handle;
use crate::state::work::{Node, Work};
use crate::state::world::World;

impl World {
    /// Records work as a node behind the stream's last ones.
    pub fn capture_work(&mut self, stream: Handle, label: &'static str, work: Work) -> Answer {
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

    /// Breaks the capture that records a stream.
    pub fn invalidate_capture_of(&mut self, stream: Handle) {
        if let Some((capture, _)) = self.streams.get(&stream).and_then(|stream| stream.capture.as_ref())
            && let Some(capture) = self.graphs.captures.get_mut(capture)
        {
            capture.invalid = true;
        }
    }

    /// The capture of a blocking stream, for which work on the legacy stream would have to wait.
    pub fn blocking_capture(&self, context: Handle) -> Option<Handle> {
        let mut blocking = self.streams.values().filter(|stream| stream.context == context && stream.is_blocking());
        blocking.find_map(|stream| stream.capture.as_ref().map(|(capture, _)| *capture))
    }

    /// Refuses work on the legacy stream that would have to wait for a blocking stream which captures.
    pub fn refuse_blocking_capture(&mut self, context: Handle) -> Answer {
        let Some(capture) = self.blocking_capture(context) else { return Ok(()) };
        if let Some(capture) = self.graphs.captures.get_mut(&capture) {
            capture.invalid = true;
        }
        Err(STREAM_CAPTURE_IMPLICIT)
    }

    /// Refuses a wait for all work of a context's device while a stream of that device captures, and breaks all captures
    /// there, whatever their modes and the caller's.
    pub fn refuse_device_wait(&mut self, context: Handle) -> Answer {
        let device_of = |context: &Handle| self.contexts.get(context).map(|context| context.device);
        let device = device_of(&context);
        let on_device =
            |stream: &Handle| self.streams.get(stream).and_then(|stream| device_of(&stream.context)) == device;
        let captures = self.graphs.captures.iter().filter(|(_, capture)| on_device(&capture.origin));
        let broken: Vec<Handle> = captures.map(|(handle, _)| *handle).collect();
        for handle in &broken {
            if let Some(capture) = self.graphs.captures.get_mut(handle) {
                capture.invalid = true;
            }
        }
        if broken.is_empty() { Ok(()) } else { Err(STREAM_CAPTURE_UNSUPPORTED) }
    }

    /// Refuses a call that might wait for a captured stream, if this thread's mode and the captures' modes forbid it.
    pub fn refuse_in_capture(&mut self) -> Answer {
        let mode = capture_mode();
        if self.graphs.captures.is_empty() || mode == CAPTURE_RELAXED {
            return Ok(());
        }
        let thread = thread_id();
        let mut broken = false;
        for capture in self.graphs.captures.values_mut() {
            let ours = capture.thread == thread && capture.mode != CAPTURE_RELAXED;
            let both_global = mode == CAPTURE_GLOBAL && capture.mode == CAPTURE_GLOBAL;
            if ours || both_global {
                capture.invalid = true;
                broken = true;
            }
        }
        if broken { Err(STREAM_CAPTURE_UNSUPPORTED) } else { Ok(()) }
    }
}
