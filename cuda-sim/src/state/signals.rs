//! What the threads inside the driver wait on, each with the world's lock.

use parking_lot::Condvar;

/// Work ended, or something else happened that may let a waiting call go on.
pub static PROGRESS: Condvar = Condvar::new();
/// The device's own thread has a reason to look: work arrived after a long pause, or its waiting time changed.
pub static WORKER: Condvar = Condvar::new();
/// A host function or kernel waits for a thread to run it.
pub static JOBS: Condvar = Condvar::new();

/// Lets the device's own thread compute its waiting time anew.
pub fn wake_worker() {
    WORKER.notify_one();
}
