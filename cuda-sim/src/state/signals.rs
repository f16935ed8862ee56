//! Condition variables of the threads inside the driver, each used with the world's lock.

use parking_lot::Condvar;

/// Work ended, or another change may let a waiting call continue.
pub static PROGRESS: Condvar = Condvar::new();
/// Wakes the device's own thread: work arrived after a long pause, or its waiting time changed.
pub static WORKER: Condvar = Condvar::new();
/// A host function or kernel waits for a thread to run it.
pub static JOBS: Condvar = Condvar::new();

/// Lets the device's own thread compute its waiting time again.
pub fn wake_worker() {
    WORKER.notify_one();
}
