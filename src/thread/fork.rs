//! Forks: other threads wait outside of critical sections, so that the child finds complete state.
//!
//! Contract: a child finds no lock of the library held and no state half changed. The exit hooks of the threads that it
//! does not have run in it. [`stop_the_world`] does this without a fork.

#[cfg(not(loom))]
use super::critical::FORKER;
use super::critical::{DUE, RECORDING};
#[cfg(not(loom))]
use super::critical::{FORK, NO_BARRIER};
use super::gates;
#[cfg(not(loom))]
use super::leave::leave;
use super::leave::register_once;
#[cfg(not(loom))]
use super::record::Thread;
#[cfg(not(loom))]
use super::records::{current_if_registered, records};
#[cfg(not(any(loom, preload)))]
use crate::boundary;
#[cfg(not(any(loom, preload)))]
use crate::sys::race_detector;
#[cfg(not(loom))]
use crate::sys::{os, tls};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// 0: the handlers are not registered. [`REGISTERED`]: they are. Otherwise the process whose thread registers them.
#[cfg(not(loom))]
static REGISTRATION: AtomicU32 = AtomicU32::new(0);

#[cfg(not(loom))]
const REGISTERED: u32 = u32::MAX;

/// Registers the handlers around a fork, once. In the preload library `end` is called at the end of each thread.
#[cfg(not(loom))]
#[inline]
pub(super) fn register_handlers(end: extern "C" fn(*mut core::ffi::c_void)) {
    if REGISTRATION.load(Ordering::Acquire) != REGISTERED {
        register_handlers_once(end);
    }
}

/// The slow path of [`register_handlers`]. Not `std::sync::Once`: no fork waits before the handlers are registered, and
/// the child of a fork during another thread's registration would wait for that thread for ever. Here the child sees
/// the number of another process, and does the registration itself. If the handlers were there at the fork,
/// [`after_fork_child`] has noted so.
#[cfg(not(loom))]
#[cold]
fn register_handlers_once(end: extern "C" fn(*mut core::ffi::c_void)) {
    let own = os::process_number();
    loop {
        let found = REGISTRATION.load(Ordering::Acquire);
        if found == REGISTERED {
            return;
        }
        if found == own {
            os::sleep_us(5);
        } else if REGISTRATION.compare_exchange(found, own, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break;
        }
    }
    if !os::register_membarrier() {
        gates::close(NO_BARRIER);
    }
    if cfg!(preload) {
        os::on_thread_end(end);
    }
    os::on_fork(before_fork, after_fork_parent, after_fork_child);
    #[cfg(not(preload))]
    {
        os::watch_for_exit();
        if race_detector::is_present() {
            race_detector::release();
            boundary::tell_race_detector(race_detector::enter, race_detector::leave);
        }
    }
    REGISTRATION.store(REGISTERED, Ordering::Release);
}

/// 1: a thread forks, or stops the world. Others wait for their turn.
#[cfg(not(loom))]
static TURN: AtomicU32 = AtomicU32::new(0);

/// Runs `work`, for a few microseconds, while no other thread is in a critical section: they wait where they would
/// enter. The caller must be in none, because this waits until no thread is.
#[cfg(not(loom))]
pub fn stop_the_world<R>(work: impl FnOnce() -> R) -> R {
    debug_assert!(
        current_if_registered().is_none_or(|thread| !thread.is_inside()),
        "stop_the_world was called in a critical section"
    );
    struct Turn;
    impl Drop for Turn {
        fn drop(&mut self) {
            resume_others();
        }
    }
    wait_until_alone();
    let _turn = Turn;
    work()
}

/// The threads of a model take turns.
#[cfg(loom)]
pub fn stop_the_world<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Waits until no other thread is in a critical section, and keeps them from entering one.
#[cfg(not(loom))]
fn wait_until_alone() {
    while TURN.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        os::sleep_us(50);
    }
    // The calling thread may have no record, and needs none here.
    let own = tls::get().cast::<Thread>();
    FORKER.store(os::thread_number() as usize, Ordering::Relaxed);
    gates::close(FORK);
    os::membarrier();
    for record in records().filter(|r| !core::ptr::eq(*r, own)) {
        while record.is_inside() {
            os::sleep_us(5);
        }
    }
}

/// Lets other threads enter critical sections again.
#[cfg(not(loom))]
fn resume_others() {
    gates::open(FORK);
    TURN.store(0, Ordering::Release);
}

#[cfg(not(loom))]
extern "C" fn before_fork() {
    wait_until_alone();
    CHILDREN.fetch_add(1, Ordering::Relaxed);
}

#[cfg(not(loom))]
extern "C" fn after_fork_parent() {
    resume_others();
}

/// The number of forks between this process and the one that loaded the library.
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks that this process and those before it have begun. It does not change while a [`CriticalSection`]
/// is held.
pub fn children() -> u32 {
    CHILDREN.load(Ordering::Relaxed)
}

static CHILDREN: AtomicU32 = AtomicU32::new(0);

/// Bit 0: a device driver is loaded. Bit 1: some device memory may be unusable.
static DEVICES: AtomicU32 = AtomicU32::new(0);

/// States that a device driver is loaded: a child of a fork cannot use the device memory that it inherits.
pub fn set_driver_loaded() {
    DEVICES.fetch_or(1, Ordering::Relaxed);
}

/// Whether a device driver is loaded.
pub fn is_driver_loaded() -> bool {
    DEVICES.load(Ordering::Relaxed) & 1 != 0
}

/// States that a device was lost.
pub fn set_devices_in_doubt() {
    DEVICES.fetch_or(2, Ordering::Relaxed);
}

/// Whether a device was lost, or this process was forked from one that uses devices. Then fast paths, which do not
/// check for that, must not access device memory. Stays true.
#[inline(always)]
pub fn are_devices_in_doubt() -> bool {
    DEVICES.load(Ordering::Relaxed) & 2 != 0
}

/// Turns [`FastEntry::begin`](super::FastEntry::begin) off, because events are recorded, or on again. While the world
/// is stopped, or in the child of a fork.
pub fn set_recording(on: bool) {
    gates::set(RECORDING, on);
}

/// Turns [`FastEntry::begin`](super::FastEntry::begin) off, because a pool has memory to give back, or on again. On any
/// thread.
pub fn set_due(on: bool) {
    gates::set(DUE, on);
}

/// What layers above do in the child of a fork: at most this many.
static CHILD_HOOKS: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

/// Registers what runs in the child of a fork, once however often it is called. It runs on the only thread, while no
/// lock of the library is held, and must neither allocate nor call a driver.
pub fn on_fork_child(hook: fn()) {
    register_once(&CHILD_HOOKS, hook as usize);
}

#[cfg(not(loom))]
fn run_child_hooks() {
    for hook in CHILD_HOOKS.iter().map(|entry| entry.load(Ordering::Acquire)).take_while(|hook| *hook != 0) {
        // SAFETY: stored by `on_fork_child` from a function of this type.
        unsafe { core::mem::transmute::<usize, fn()>(hook)() };
    }
}

#[cfg(not(loom))]
extern "C" fn after_fork_child() {
    REGISTRATION.store(REGISTERED, Ordering::Relaxed);
    FORKS.fetch_add(1, Ordering::Relaxed);
    if DEVICES.load(Ordering::Relaxed) != 0 {
        set_devices_in_doubt();
    }
    let own = tls::get().cast::<Thread>();
    if let Some(own) = current_if_registered() {
        own.set_number(os::thread_number());
    }
    // There is no other thread. The hooks below run for threads that are gone, and must not wait for the end of the
    // fork.
    gates::open(FORK);
    for record in records().filter(|r| !core::ptr::eq(*r, own)) {
        if record.used.load(Ordering::Relaxed) != 0 {
            record.fast.store(0, Ordering::Relaxed);
            record.inside.store(0, Ordering::Relaxed);
            tls::forget(&record.tls);
            leave(record, || ());
        }
    }
    run_child_hooks();
    TURN.store(0, Ordering::Release);
}
