//! Streams: queues of work, the legacy and per-thread ones with their own ordering rules, priorities, callbacks.

use crate::engine::{Dependency, Point, Work};
use crate::entry::{Call, put};
use crate::status::*;
use crate::types::{Handle, HostFn, LEGACY, PER_THREAD, StreamCallback};
use crate::world::{Kind, World};
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const LEAST_PRIORITY: c_int = 0;
pub const GREATEST_PRIORITY: c_int = -5;
const NON_BLOCKING: c_uint = 1;

pub struct Stream {
    pub context: Handle,
    pub flags: c_uint,
    pub priority: c_int,
    pub id: u64,
    pub queue: VecDeque<Op>,
    pub enqueued: u64,
    pub completed: u64,
    /// A host function or kernel of it is under way.
    pub running: bool,
    /// A test stalled it.
    pub held: bool,
    /// What each piece of work takes at least, by a test's wish, and when the next one may begin.
    pub slow: Duration,
    pub free_at: Instant,
    /// Gone for its owner; it ends with its work.
    pub destroyed: bool,
    /// Who goes first among those that may run.
    pub rank: u64,
    /// The capture that its work goes to, and the nodes that the next one follows.
    pub capture: Option<(Handle, Vec<usize>)>,
}

/// One piece of work in a queue.
pub struct Op {
    pub seq: u64,
    pub label: &'static str,
    pub after: Vec<Dependency>,
    pub work: Work,
}

impl Stream {
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.running
    }

    pub fn blocking(&self) -> bool {
        self.flags & NON_BLOCKING == 0
    }
}

impl World {
    fn create_stream(&mut self, context: Handle, flags: c_uint, priority: c_int) -> Handle {
        let handle = self.handle(Kind::Stream);
        let stream = Stream {
            context,
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

    /// The stream behind what a caller passed: 0, 1 and 2 mean streams of the current context.
    pub fn stream_of(&mut self, handle: Handle, context: Handle, per_thread: bool) -> Answer<Handle> {
        let handle = match (handle, per_thread) {
            (0, true) => PER_THREAD,
            (0, false) => LEGACY,
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

    /// Queues work behind all that its stream must wait for, or records it if the stream is capturing.
    pub fn enqueue(
        &mut self,
        handle: Handle,
        label: &'static str,
        mut after: Vec<Dependency>,
        work: Work,
    ) -> Answer<Point> {
        let stream = self.streams.get(&handle).ok_or(INVALID_HANDLE)?;
        let (context, blocking) = (stream.context, stream.blocking());
        self.sound(context)?;
        if stream.capture.is_some() {
            self.capture_node(handle, label, work)?;
            return Ok(Point { stream: handle, seq: 0 });
        }
        let legacy = self.contexts.get(&context).map_or(0, |context| context.legacy);
        if handle == legacy {
            self.uncaptured_blocking(context)?;
            let others = self.streams.iter().filter(|(_, other)| other.context == context && other.blocking());
            let unfinished = others.filter(|(other, stream)| **other != legacy && !stream.is_idle());
            after.extend(
                unfinished.map(|(other, stream)| Dependency::from(Point { stream: *other, seq: stream.enqueued })),
            );
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
        self.woken(handle);
        Ok(Point { stream: handle, seq })
    }

    /// A stream ends at once, with whatever it still had.
    pub fn forget_stream(&mut self, handle: Handle) {
        self.streams.remove(&handle);
        self.busy.remove(&handle);
    }

    /// The point behind all that is in a stream now.
    pub fn last_point(&self, handle: Handle) -> Point {
        Point { stream: handle, seq: self.streams.get(&handle).map_or(0, |stream| stream.enqueued) }
    }
}

impl Call<'_> {
    pub fn stream(&mut self, handle: Handle) -> Answer<Handle> {
        let (context, per_thread) = (self.context, self.per_thread);
        self.world.stream_of(handle, context, per_thread)
    }

    pub fn wait_for(&mut self, point: Point) -> Answer {
        let owner = self.streams.get(&point.stream).map(|stream| stream.context);
        self.wait(|world| world.reached(point))?;
        owner.map_or(Ok(()), |context| self.sound(context))
    }

    /// Waits for all that is in a stream now.
    pub fn drain(&mut self, stream: Handle) -> Answer {
        let point = self.last_point(stream);
        // Waiting for the legacy stream is waiting for what blocks it: all of it was queued before.
        let legacy = self.contexts.get(&self.context).map_or(0, |context| context.legacy);
        if stream == legacy {
            let context = self.context;
            let blockers: Vec<Point> = self
                .streams
                .iter()
                .filter(|(_, stream)| stream.context == context && stream.blocking() && !stream.is_idle())
                .map(|(handle, stream)| Point { stream: *handle, seq: stream.enqueued })
                .collect();
            self.wait(|world| blockers.iter().all(|point| world.reached(*point)))?;
        }
        self.wait_for(point)
    }

    /// Whether a stream may be asked or waited for: not while it captures.
    fn not_capturing(&mut self, handle: Handle) -> Answer {
        match self.streams.get(&handle) {
            Some(stream) if stream.capture.is_some() => {
                self.invalidate_capture_of(handle);
                Err(STREAM_CAPTURE_UNSUPPORTED)
            }
            _ => Ok(()),
        }
    }
}

/// The number of this thread, the same as long as it lives.
pub fn thread_id() -> u64 {
    // SAFETY: asks the kernel for a number.
    unsafe { libc::syscall(libc::SYS_gettid) as u64 }
}

driver! {
    fn cuStreamCreate(out: *mut Handle, flags: c_uint) in Context => |call| {
        if flags & !NON_BLOCKING != 0 {
            return Err(INVALID_VALUE);
        }
        let context = call.context;
        put(out, call.create_stream(context, flags, 0))
    }

    fn cuStreamCreateWithPriority(out: *mut Handle, flags: c_uint, priority: c_int) in Context => |call| {
        if flags & !NON_BLOCKING != 0 {
            return Err(INVALID_VALUE);
        }
        let context = call.context;
        put(out, call.create_stream(context, flags, priority))
    }

    fn cuStreamDestroy_v2(stream: Handle) in Init => |call| {
        let known = call.world.streams.get_mut(&stream).filter(|stream| !stream.destroyed).ok_or(INVALID_HANDLE)?;
        known.destroyed = true;
        if known.is_idle() {
            call.world.forget_stream(stream);
        }
        Ok(())
    }

    fn cuStreamSynchronize(stream: Handle) | cuStreamSynchronize_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        call.not_capturing(stream)?;
        call.drain(stream)?;
        call.release_unused();
        Ok(())
    }

    fn cuStreamQuery(stream: Handle) | cuStreamQuery_ptsz in Poll => |call| {
        let stream = call.stream(stream)?;
        call.not_capturing(stream)?;
        match call.streams.get(&stream) {
            Some(stream) if !stream.is_idle() => Err(NOT_READY),
            _ => Ok(()),
        }
    }

    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) | cuStreamWaitEvent_ptsz in Context => |call| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        let stream = call.stream(stream)?;
        let known = call.events.get(&event).ok_or(INVALID_HANDLE)?;
        if let Some((capture, nodes)) = known.captured.clone() {
            return call.join_capture(stream, capture, nodes);
        }
        let Some(dependency) = known.dependency() else { return Ok(()) };
        if call.streams.get(&stream).is_some_and(|stream| stream.capture.is_some()) {
            call.invalidate_capture_of(stream);
            return Err(STREAM_CAPTURE_ISOLATION);
        }
        call.enqueue(stream, "wait for an event", vec![dependency], Work::Nothing).map(|_| ())
    }

    fn cuStreamGetPriority(stream: Handle, priority: *mut c_int) | cuStreamGetPriority_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(priority, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.priority)
    }

    fn cuStreamGetFlags(stream: Handle, flags: *mut c_uint) | cuStreamGetFlags_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(flags, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.flags)
    }

    fn cuStreamGetId(stream: Handle, id: *mut u64) | cuStreamGetId_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(id, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.id)
    }

    fn cuStreamGetCtx(stream: Handle, context: *mut Handle) | cuStreamGetCtx_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(context, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context)
    }

    fn cuStreamGetCtx_v2(stream: Handle, context: *mut Handle, green: *mut Handle) | cuStreamGetCtx_v2_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(context, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context)?;
        put(green, 0)
    }

    fn cuStreamGetDevice(stream: Handle, device: *mut c_int) | cuStreamGetDevice_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let context = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
        put(device, call.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device as c_int)
    }

    fn cuStreamCopyAttributes(to: Handle, from: Handle) | cuStreamCopyAttributes_ptsz in Context => |call| {
        call.stream(to)?;
        call.stream(from).map(|_| ())
    }

    fn cuStreamAttachMemAsync(stream: Handle, address: u64, _size: usize, _flags: c_uint) | cuStreamAttachMemAsync_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        if call.space.find(address).is_none() {
            return Err(INVALID_VALUE);
        }
        call.enqueue(stream, "attach memory", Vec::new(), Work::Nothing).map(|_| ())
    }

    fn cuLaunchHostFunc(stream: Handle, function: HostFn, data: *mut c_void) | cuLaunchHostFunc_ptsz in Context => |call| {
        let function = function.ok_or(INVALID_VALUE)?;
        let (stream, data) = (call.stream(stream)?, data as usize);
        let work = Work::Outside(Arc::new(move |status| {
            if status == SUCCESS {
                // SAFETY: the caller's function with the caller's data, as the driver's interface promises to call it.
                unsafe { function(data as *mut c_void) };
            }
            Ok(())
        }));
        call.enqueue(stream, "host function", Vec::new(), work).map(|_| ())
    }

    fn cuStreamAddCallback(stream: Handle, function: StreamCallback, data: *mut c_void, flags: c_uint) | cuStreamAddCallback_ptsz in Context => |call| {
        let function = function.filter(|_| flags == 0).ok_or(INVALID_VALUE)?;
        let (asked, stream, data) = (stream, call.stream(stream)?, data as usize);
        call.not_capturing(stream)?;
        let work = Work::Outside(Arc::new(move |status| {
            // SAFETY: as above; a callback is called on a lost context too, and told.
            unsafe { function(asked, status, data as *mut c_void) };
            Ok(())
        }));
        call.enqueue(stream, "callback", Vec::new(), work).map(|_| ())
    }
}
