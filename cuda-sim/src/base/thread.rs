//! What the simulator knows about the calling thread: its number, its stack of contexts, its capture mode, whether it
//! runs a callback.
//!
//! No slot has a destructor: a thread that is ending, and its other thread-locals, may still call the driver, as with
//! the real one.

use super::status::{Answer, DEINITIALIZED};
use super::types::Handle;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::ffi::c_uint;
use std::mem::ManuallyDrop;

pub const CAPTURE_GLOBAL: c_uint = 0;
pub const CAPTURE_RELAXED: c_uint = 2;

thread_local! {
    // A thread leaks its stack only if it ever had more contexts than fit inline.
    static CONTEXTS: RefCell<ManuallyDrop<SmallVec<[Handle; 8]>>> = const { RefCell::new(ManuallyDrop::new(SmallVec::new_const())) };
    static CAPTURE_MODE: Cell<c_uint> = const { Cell::new(CAPTURE_GLOBAL) };
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// The kernel's number of this thread.
pub fn thread_id() -> u64 {
    // SAFETY: queries a number from the kernel.
    unsafe { libc::syscall(libc::SYS_gettid) as u64 }
}

/// The current context; 0 if there is none.
pub fn current_context() -> Handle {
    CONTEXTS.try_with(|stack| stack.borrow().last().copied().unwrap_or(0)).unwrap_or(0)
}

pub fn push_context(context: Handle) -> Answer {
    with_contexts(|stack| stack.push(context))
}

pub fn pop_context() -> Answer<Option<Handle>> {
    with_contexts(SmallVec::pop)
}

/// Replaces the current context; 0 only removes it.
pub fn set_current_context(context: Handle) -> Answer {
    with_contexts(|stack| {
        stack.pop();
        if context != 0 {
            stack.push(context);
        }
    })
}

fn with_contexts<R>(change: impl FnOnce(&mut SmallVec<[Handle; 8]>) -> R) -> Answer<R> {
    CONTEXTS.try_with(|stack| change(&mut stack.borrow_mut())).map_err(|_| DEINITIALIZED)
}

/// Which captures forbid this thread calls that may wait.
pub fn capture_mode() -> c_uint {
    CAPTURE_MODE.try_with(Cell::get).unwrap_or(CAPTURE_GLOBAL)
}

/// Returns the mode before.
pub fn exchange_capture_mode(mode: c_uint) -> c_uint {
    CAPTURE_MODE.try_with(|slot| slot.replace(mode)).unwrap_or(CAPTURE_GLOBAL)
}

/// Whether this thread runs a host function or a kernel, from which the driver must not be called.
pub fn in_callback() -> bool {
    IN_CALLBACK.try_with(Cell::get).unwrap_or(false)
}

/// Runs a function of the program's, which must not call the driver.
pub fn as_callback<R>(run: impl FnOnce() -> R) -> R {
    let before = IN_CALLBACK.replace(true);
    let result = run();
    IN_CALLBACK.set(before);
    result
}

/// Marks this thread as one that runs nothing but callbacks.
pub fn only_callbacks() {
    IN_CALLBACK.set(true);
}

/// Starts a thread that receives no signal of the program's and that ends with the process. Without it queued work
/// still runs, whenever a caller waits or polls.
pub fn spawn(body: fn()) {
    // SAFETY: plain data; the masks are filled before they are read.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        std::thread::Builder::new().name("cuda-sim".to_owned()).spawn(body).ok();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
}
