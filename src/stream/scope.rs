//! Scopes of a stream: current from enter to leave (ST-7).
//!
//! Contract: scopes belong to the thread that entered and nest there, over all GPUs in one stack; the innermost is left first. What was
//! current before comes back, whatever was set meanwhile. A thread that ends leaves its scopes; nobody else can.

use super::argument::Stream;
use super::current::{gpu_with_streams, replace_current};
use super::queue_ref::QueueRef;
use crate::error::{Result, fail};
use crate::gpu::Gpu;
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::thread::{self, Thread};
use crate::types::*;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A scope, in a slot.
pub struct Scope {
    head: Head,
    /// The record of the thread that entered.
    owner: AtomicUsize,
    body: UnsafeCell<Option<Body>>,
}

struct Body {
    gpu: &'static Gpu,
    /// What was current; None: the default.
    before: Option<QueueRef>,
    /// What is waited for at the end.
    wait: Option<QueueRef>,
    /// The scope around it; 0: none.
    outer: usize,
}

// SAFETY: the body is touched by its thread only, or by the exit hook for a thread that is gone.
unsafe impl Sync for Scope {}

impl Slot for Scope {
    const KIND: Kind = Kind::StreamScope;
    fn new(head: Head) -> Scope {
        Scope { head, owner: AtomicUsize::new(0), body: UnsafeCell::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// Makes a stream current until the scope is left.
pub fn enter(device: tn_device, stream: Result<Stream>, flags: u32) -> Result<Id> {
    let stream = stream?;
    if flags & !TN_AUTO_SYNCHRONIZE != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("flag bits {:#x} are unknown; use 0 or TN_AUTO_SYNCHRONIZE", flags & !TN_AUTO_SYNCHRONIZE),
        ));
    }
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    let queue = stream.queue_of(gpu)?;
    let thread = thread::current();
    let scope = Table::<Scope>::take(thread)?;
    let wait = (flags & TN_AUTO_SYNCHRONIZE != 0).then(|| queue.held());
    let before = replace_current(gpu, Some(queue.held()));
    scope.owner.store(core::ptr::from_ref(thread) as usize, Ordering::Relaxed);
    // SAFETY: not published: the slot is ours alone.
    unsafe { *scope.body.get() = Some(Body { gpu, before, wait, outer: thread.stream_scope() }) };
    thread.set_stream_scope(core::ptr::from_ref(scope) as usize);
    Ok(Table::publish(scope))
}

/// Leaves the innermost scope of the calling thread: what was current before comes back, also where waiting fails.
pub fn leave(id: Id) -> Result<()> {
    let scope = Table::<Scope>::find(id)?;
    let thread = thread::current();
    if scope.owner.load(Ordering::Relaxed) != core::ptr::from_ref(thread) as usize {
        return Err(fail(TN_ERR_INVALID, format_args!("the scope {id} was entered on another thread; leave it there")));
    }
    if thread.stream_scope() != core::ptr::from_ref(scope) as usize {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("the scope {id} is not the innermost of this thread; leave those inside of it first"),
        ));
    }
    let Some(body) = take(thread, scope) else { return Ok(()) };
    let waited = body.wait.map_or(Ok(()), |held| held.queue().synchronize());
    drop(replace_current(body.gpu, body.before));
    waited
}

/// Ends it; its thread's innermost is the one around it.
fn take(thread: &'static Thread, scope: &'static Scope) -> Option<Body> {
    scope.head.make_stale(State::Kept);
    // SAFETY: our own thread's, or that of one that is gone.
    let body = unsafe { (*scope.body.get()).take() };
    thread.set_stream_scope(body.as_ref().map_or(0, |body| body.outer));
    Table::free(thread::current(), scope);
    body
}

/// A thread ends inside of scopes: they end with it.
pub(super) fn forget(record: &'static Thread, quietly: bool) {
    // SAFETY: 0 or scopes, which are never unmapped.
    while let Some(scope) = unsafe { (record.stream_scope() as *const Scope).as_ref() } {
        let body = take(record, scope);
        if quietly {
            core::mem::forget(body);
        }
    }
}
