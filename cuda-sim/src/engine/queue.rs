//! Streams as queues: which stream a handle means, and what queued work must wait for.

use crate::base::status::*;
use crate::base::thread::thread_id;
use crate::base::types::{DEFAULT_STREAM, Handle, LEGACY, PER_THREAD};
use crate::state::machine::HandleKind;
use crate::state::point::{Dependency, Point};
use crate::state::signals::WORKER;
use crate::state::stream::{GREATEST_PRIORITY, LEAST_PRIORITY, Op, Stream};
use crate::state::work::Work;
use crate::state::world::World;
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::time::{Duration, Instant};

impl World {
    pub fn create_stream(&mut self, context: Handle, flags: c_uint, priority: c_int) -> Handle {
        let handle = self.new_handle(HandleKind::Stream);
        let green = if self.config.green { self.new_handle(HandleKind::Context) } else { 0 };
        let stream = Stream {
            context,
            green,
            flags,
            priority: priority.clamp(GREATEST_PRIORITY, LEAST_PRIORITY),
            id: handle >> 4 & 0xffff_ffff,
            queue: VecDeque::new(),
            enqueued: 0,
            completed: 0,
            running: false,
            held: false,
            slow: Duration::ZERO,
            free_at: self.last_call,
            destroyed: false,
            rank: self.random.next(),
            capture: None,
        };
        self.streams.insert(handle, stream);
        handle
    }

    /// Removes a stream with all work that is still in it.
    pub fn remove_stream(&mut self, handle: Handle) {
        self.streams.remove(&handle);
        self.busy.remove(&handle);
    }

    /// The stream that a caller's handle means: 0, 1 and 2 mean streams of `context`.
    pub fn stream_of(&mut self, handle: Handle, context: Handle, per_thread: bool) -> Answer<Handle> {
        let handle = match (handle, per_thread) {
            (DEFAULT_STREAM, true) => PER_THREAD,
            (DEFAULT_STREAM, false) => LEGACY,
            (other, _) => other,
        };
        let known = self.contexts.get(&context).ok_or(INVALID_CONTEXT);
        match handle {
            LEGACY => {
                let known = known?;
                if known.legacy != 0 {
                    return Ok(known.legacy);
                }
                let made = self.create_stream(context, 0, 0);
                self.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.legacy = made;
                Ok(made)
            }
            PER_THREAD => {
                let thread = thread_id();
                if let Some(stream) = known?.per_thread.get(&thread) {
                    return Ok(*stream);
                }
                let made = self.create_stream(context, 0, 0);
                self.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.per_thread.insert(thread, made);
                Ok(made)
            }
            other => match self.streams.get(&other) {
                Some(stream) if !stream.destroyed => Ok(other),
                _ => Err(INVALID_HANDLE),
            },
        }
    }

    /// Queues work behind all that its stream must wait for; records it instead if the stream is capturing.
    pub fn enqueue(
        &mut self,
        handle: Handle,
        label: &'static str,
        mut after: Vec<Dependency>,
        work: Work,
    ) -> Answer<Point> {
        let stream = self.streams.get(&handle).ok_or(INVALID_HANDLE)?;
        let (context, blocking) = (stream.context, stream.is_blocking());
        self.check_usable(context)?;
        if stream.capture.is_some() {
            self.capture_work(handle, label, work)?;
            return Ok(Point { stream: handle, seq: 0 });
        }
        let legacy = self.legacy_stream(context);
        if handle == legacy {
            self.refuse_blocking_capture(context)?;
            let unfinished = self.unfinished_blocking_streams(context).into_iter();
            after.extend(unfinished.filter(|point| point.stream != legacy).map(Dependency::from));
        } else if blocking && let Some(stream) = self.streams.get(&legacy).filter(|stream| !stream.is_idle()) {
            after.push(Point { stream: legacy, seq: stream.enqueued }.into());
        }
        let stream = self.streams.get_mut(&handle).ok_or(INVALID_HANDLE)?;
        if stream.slow > Duration::ZERO && stream.is_idle() {
            stream.free_at = Instant::now() + stream.slow;
        }
        stream.enqueued += 1;
        let seq = stream.enqueued;
        stream.queue.push_back(Op { seq, label, after, work });
        self.work_arrived(handle);
        Ok(Point { stream: handle, seq })
    }

    /// Marks a stream as busy, and wakes the device's own thread if it sleeps.
    fn work_arrived(&mut self, stream: Handle) {
        if self.busy.is_empty() {
            self.last_call = Instant::now();
            if std::mem::replace(&mut self.jobs.worker_sleeps, false) {
                WORKER.notify_one();
            }
        }
        self.busy.insert(stream);
    }

    /// The legacy stream of a context; 0 if it has not been used.
    pub fn legacy_stream(&self, context: Handle) -> Handle {
        self.contexts.get(&context).map_or(0, |context| context.legacy)
    }

    /// The position behind all that is in a stream now.
    pub fn last_point(&self, handle: Handle) -> Point {
        Point { stream: handle, seq: self.streams.get(&handle).map_or(0, |stream| stream.enqueued) }
    }

    /// The last points of all streams for which work on the legacy stream waits, itself among them.
    pub fn unfinished_blocking_streams(&self, context: Handle) -> Vec<Point> {
        self.streams
            .iter()
            .filter(|(_, stream)| stream.context == context && stream.is_blocking() && !stream.is_idle())
            .map(|(handle, stream)| Point { stream: *handle, seq: stream.enqueued })
            .collect()
    }

    pub fn is_capturing(&self, stream: Handle) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.capture.is_some())
    }

    /// Whether a context has no unfinished work.
    pub fn context_is_idle(&self, context: Handle) -> bool {
        !self.streams.values().any(|stream| stream.context == context && !stream.is_idle())
    }
}
