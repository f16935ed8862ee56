//! Scopes of a stream: it is current from enter to leave (ST-7).
//!
//! Contract: a scope belongs to the thread that entered it. The scopes of a thread nest, over all GPUs in one stack;
//! the innermost is left first. Leaving restores the stream that was current before, whatever was set meanwhile. A
//! thread that ends leaves its scopes.

use super::argument::StreamArg;
use super::current::{ends_silently, gpu_with_streams, replace_current};
use super::stream_ref::StreamRef;
use crate::error::{Result, fail};
use crate::flags;
use crate::gpu::Gpu;
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::thread::{self, Area, PerThread, Thread, area};
use crate::types::*;
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicPtr, Ordering};

/// A scope, in a slot.
pub struct Scope {
    head: Head,
    /// The record of the thread that entered.
    owner: AtomicPtr<Thread>,
    body: UnsafeCell<Option<Body>>,
}

struct Body {
    gpu: &'static Gpu,
    /// The stream that was current before; None: the default.
    before: Option<StreamRef>,
    /// The stream that leaving waits for.
    wait: Option<StreamRef>,
    outer: Option<&'static Scope>,
}

// SAFETY: the body is accessed by its thread only, or by the exit hook for a thread that is gone.
unsafe impl Sync for Scope {}

impl Slot for Scope {
    const KIND: Kind = Kind::StreamScope;
    fn new(head: Head) -> Scope {
        Scope { head, owner: AtomicPtr::new(core::ptr::null_mut()), body: UnsafeCell::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// A thread's innermost scope.
#[repr(transparent)]
struct Innermost(Cell<Option<&'static Scope>>);

// SAFETY: zeros are no scope; only the thread, or its exit hook, accesses it; the area is for this type.
unsafe impl PerThread for Innermost {
    const AREA: Area = area::STREAM_SCOPE;
}

/// Makes a stream current until the scope is left.
pub fn enter(device: tn_device, stream: Result<StreamArg>, flags: u32) -> Result<Id> {
    let stream = stream?;
    flags::check("flags", flags, TN_AUTO_SYNCHRONIZE, &flags::SCOPE)?;
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    let stream = stream.stream_of(gpu)?;
    let thread = thread::current();
    thread::on_exit(forget);
    let scope = Table::<Scope>::take(thread)?;
    let wait = (flags & TN_AUTO_SYNCHRONIZE != 0).then(|| stream.new_ref());
    let before = replace_current(gpu, Some(stream.new_ref()));
    scope.owner.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
    let outer = Innermost::of(thread).0.replace(Some(scope));
    // SAFETY: not published: the slot is ours alone.
    unsafe { *scope.body.get() = Some(Body { gpu, before, wait, outer }) };
    Ok(Table::publish(scope))
}

/// Leaves the innermost scope of the calling thread, and restores the current stream, also where waiting fails.
pub fn leave(id: Id) -> Result<()> {
    let scope = Table::<Scope>::find(id)?;
    let thread = thread::current();
    if !core::ptr::eq(scope.owner.load(Ordering::Relaxed), thread) {
        return Err(fail(TN_ERR_INVALID, format_args!("the scope {id} was entered on another thread; leave it there")));
    }
    if !Innermost::of(thread).0.get().is_some_and(|innermost| core::ptr::eq(innermost, scope)) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("the scope {id} is not the innermost of this thread; leave the scopes inside it first"),
        ));
    }
    let Some(body) = end(thread, scope) else { return Ok(()) };
    let waited = body.wait.map_or(Ok(()), |stream| stream.stream().synchronize());
    drop(replace_current(body.gpu, body.before));
    waited
}

/// Ends the innermost scope of a thread.
fn end(thread: &'static Thread, scope: &'static Scope) -> Option<Body> {
    scope.head.make_stale(State::Kept);
    // SAFETY: our own thread's, or that of one that is gone.
    let body = unsafe { (*scope.body.get()).take() };
    Innermost::of(thread).0.set(body.as_ref().and_then(|body| body.outer));
    Table::free(thread::current(), scope);
    body
}

/// A thread ends inside of scopes: they end with it.
fn forget(record: &'static Thread) {
    let silently = ends_silently(record);
    while let Some(scope) = Innermost::of(record).0.get() {
        let body = end(record, scope);
        if silently {
            core::mem::forget(body);
        }
    }
}
