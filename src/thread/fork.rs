//! Forks: the process stands still for one, and what the child finds.
//!
//! Contract: a child finds no lock of the library held, no books half changed, and nothing of the threads that it does not have: their exit
//! hooks run in it. [`stop_the_world`] is the same standstill without a fork.

#[cfg(not(loom))]
use super::{FORKING, Thread, current, current_if_registered, end, leave, records};
#[cfg(not(loom))]
use crate::sys::{os, tls};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The thread that forks now.
pub(super) static FORKER: AtomicUsize = AtomicUsize::new(0);

#[cfg(not(loom))]
pub(super) fn register_fork_handlers() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if !os::register_membarrier() {
            FORKING.fetch_or(2, Ordering::Relaxed);
        }
        if cfg!(preload) {
            os::on_thread_end(end);
        }
        os::on_fork(before_fork, after_fork_parent, after_fork_child);
    });
}

/// Forks at the same time queue up here.
#[cfg(not(loom))]
static TURN: AtomicU32 = AtomicU32::new(0);

/// Runs `work` while no other thread is inside the library: they wait where they would enter. For a few microseconds, and from outside
/// only: whoever waits for others must not be waited for.
#[cfg(not(loom))]
pub fn stop_the_world<R>(work: impl FnOnce() -> R) -> R {
    debug_assert_eq!(
        current().inside.load(Ordering::Relaxed),
        0,
        "stop_the_world is no place for somebody who is inside"
    );
    struct Turn;
    impl Drop for Turn {
        fn drop(&mut self) {
            let_others_in();
        }
    }
    keep_others_out();
    let _turn = Turn;
    work()
}

/// The threads of a model take turns.
#[cfg(loom)]
pub fn stop_the_world<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(not(loom))]
fn keep_others_out() {
    while TURN.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        os::sleep_us(50);
    }
    // It may have none, and needs none for this.
    let own = tls::get().cast::<Thread>();
    FORKER.store(os::thread_number() as usize, Ordering::Relaxed);
    FORKING.fetch_or(1, Ordering::SeqCst);
    os::membarrier();
    for record in records().filter(|r| !core::ptr::eq(*r, own)) {
        // Acquire pairs with the Release at the end of `CriticalSection`.
        while record.inside.load(Ordering::Acquire) != 0 {
            os::sleep_us(5);
        }
    }
}

#[cfg(not(loom))]
fn let_others_in() {
    FORKING.fetch_and(!1, Ordering::Release);
    TURN.store(0, Ordering::Release);
}

#[cfg(not(loom))]
extern "C" fn before_fork() {
    keep_others_out();
    // The preload library has no sites.
    if !cfg!(preload) {
        crate::names::before_fork();
    }
}

#[cfg(not(loom))]
extern "C" fn after_fork_parent() {
    if !cfg!(preload) {
        crate::names::after_fork();
    }
    let_others_in();
}

/// How many forks lie between this process and the one that loaded the library.
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Bit 0: a driver of devices is loaded. Bit 1: some memory of devices cannot be worked with any more.
static DEVICES: AtomicU32 = AtomicU32::new(0);

/// From now on a child of a fork has memory of devices that it cannot use.
pub fn use_devices() {
    DEVICES.fetch_or(1, Ordering::Relaxed);
}

/// A device was lost: see [`are_devices_in_doubt`].
pub fn doubt_devices() {
    DEVICES.fetch_or(2, Ordering::Relaxed);
}

/// Whether a device was lost, or this process was forked from one that uses devices: then short ways, which do not ask, are closed to
/// what lies there. Never false again.
#[inline(always)]
pub fn are_devices_in_doubt() -> bool {
    DEVICES.load(Ordering::Relaxed) & 2 != 0
}

#[cfg(not(loom))]
extern "C" fn after_fork_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    if DEVICES.load(Ordering::Relaxed) != 0 {
        doubt_devices();
    }
    if !cfg!(preload) {
        crate::names::after_fork();
    }
    tls::forget_others();
    let own = tls::get().cast::<Thread>();
    if let Some(own) = current_if_registered() {
        own.set_number(os::thread_number());
    }
    // There is no other thread. The hooks below enter for threads that are gone, and must not wait for the fork to end.
    FORKING.fetch_and(!1, Ordering::Release);
    for record in records().filter(|r| !core::ptr::eq(*r, own)) {
        if record.used.load(Ordering::Relaxed) != 0 {
            record.inside.store(0, Ordering::Relaxed);
            leave(record, || ());
        }
    }
    TURN.store(0, Ordering::Release);
}
