//! Threads of the model checker: their records and the locks of statics last for one iteration of a model.

use super::record::Thread;
use crate::sys::lock::RawLock;
use core::cell::Cell;

loom::thread_local! {
    static RECORD: Cell<*const Thread> = Cell::new(core::ptr::null());
}

loom::lazy_static! {
    static ref MODEL: std::sync::Mutex<Model> = std::sync::Mutex::new(Model::default());
}

#[derive(Default)]
struct Model {
    records: Vec<Box<Thread>>,
    /// Locks by the address of the data that they guard, which is static; no lock of loom's can be.
    locks: std::collections::HashMap<usize, Box<RawLock>>,
}

// SAFETY: the threads of a model take turns.
unsafe impl Send for Model {}

/// The calling thread's record, if it has one.
pub fn current_if_registered() -> Option<&'static Thread> {
    // SAFETY: NULL, or a record that lasts as long as the threads of this iteration.
    unsafe { RECORD.with(Cell::get).as_ref() }
}

/// The calling thread's record, if it has one.
pub fn current_fast() -> Option<&'static Thread> {
    current_if_registered()
}

/// Gates are open from the start in a model: it has no forks.
pub fn closed_gate() -> *mut () {
    core::ptr::null_mut()
}

/// No thread of a model has what is looked for in the records of others.
pub fn each_record(_visit: impl FnMut(&'static Thread)) {}

pub fn register() -> &'static Thread {
    let record = Box::new(Thread::new(closed_gate()));
    let at = core::ptr::from_ref(&*record);
    MODEL.lock().unwrap().records.push(record);
    RECORD.with(|cell| cell.set(at));
    // SAFETY: lasts as long as the threads of this iteration.
    unsafe { &*at }
}

/// The lock of this iteration for static data at `address`.
pub fn lock_of(address: usize) -> &'static RawLock {
    let mut model = MODEL.lock().unwrap();
    let lock = core::ptr::from_ref(&**model.locks.entry(address).or_insert_with(|| Box::new(RawLock::new())));
    // SAFETY: lasts as long as the threads of this iteration.
    unsafe { &*lock }
}
