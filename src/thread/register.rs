//! A thread gets its record at its first call, and leaves it at its end.

#[cfg(not(loom))]
use super::fork;
#[cfg(not(loom))]
use super::leave::{leave, mark_late, take_back_late};
#[cfg(loom)]
use super::model::register;
use super::record::Thread;
use super::records::current_if_registered;
#[cfg(not(loom))]
use super::records::{Absent, add, closed_gate, forget, has_left, know_absent, reuse};
#[cfg(not(loom))]
use crate::arena::Arena;
#[cfg(not(loom))]
use crate::error::NoRecord;
#[cfg(not(loom))]
use crate::sys::{os, tls};

/// The calling thread's record.
#[inline]
pub fn current() -> &'static Thread {
    current_if_registered().unwrap_or_else(register)
}

/// The calling thread's record; None where its first call finds no memory for one.
#[cfg(not(loom))]
#[inline]
pub fn try_current() -> Option<&'static Thread> {
    current_if_registered().or_else(try_register)
}

/// The calling thread's record.
#[cfg(loom)]
pub fn try_current() -> Option<&'static Thread> {
    Some(current())
}

#[cfg(not(loom))]
thread_local! {
    // Only its drop matters, which runs when the thread ends.
    static EXIT: Exit = const { Exit };
}

#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn register() -> &'static Thread {
    // Unwinds, because nothing else that needs the record can fail. The payload is no message, which would need memory.
    try_register().unwrap_or_else(|| std::panic::resume_unwind(Box::new(NoRecord)))
}

#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn try_register() -> Option<&'static Thread> {
    fork::register_handlers(end);
    let left_before = has_left();
    let record = take_record()?;
    if !cfg!(preload) {
        // A library that is being unloaded must register no destructor: its code would be gone at the thread's end.
        if !os::is_unloading() && EXIT.try_with(|_| ()).is_ok() {
            // SAFETY: the slot is that of the record, which is never freed and belongs to this thread.
            unsafe { tls::enter_in_table(&record.tls) };
        } else {
            // In the other case, a destructor of a thread-local or of a pthread key called the library after `EXIT` was
            // dropped.
            mark_late(record);
        }
        take_back_late(record);
    } else if !left_before {
        os::at_thread_end(core::ptr::from_ref(record) as usize);
    }
    Some(record)
}

/// Gives the calling thread a record, which it must leave. None: there is no memory.
#[cfg(not(loom))]
fn take_record() -> Option<&'static Thread> {
    know_absent();
    let record = match reuse() {
        Some(record) => record,
        None => {
            let record = RECORDS.get(|| Thread::new(closed_gate()))?;
            add(record);
            record
        }
    };
    record.set_number(os::thread_number());
    tls::set(core::ptr::from_ref(record).cast(), None);
    Some(record)
}

/// Runs `work` in the thread that unloads the library, which has a record meanwhile. [`try_register`] would register a
/// destructor, whose code would be gone at the thread's end. None: there is no memory for a record.
#[cfg(not(any(loom, preload)))]
pub fn visit_at_unload<R>(work: impl FnOnce() -> R) -> Option<R> {
    let own = current_if_registered();
    let record = own.or_else(take_record)?;
    let result = work();
    leave(record, || forget(record, Absent::Yet));
    Some(result)
}

/// Records, and some for threads that come when the system has no memory: they may still have handles to release.
#[cfg(not(loom))]
static RECORDS: Arena<Thread, 32> = Arena::new();

/// Runs `work` in a thread of the preload library that is not [`current_if_registered`], and has a record meanwhile. A
/// thread keeps the record after its first call, unless it has ended. None: there is no memory for a record.
#[cfg(not(loom))]
#[cold]
#[inline(never)]
pub fn visit<R>(work: impl FnOnce() -> R) -> Option<R> {
    let left_before = has_left();
    let record = try_register()?;
    let result = work();
    if left_before {
        leave(record, || forget(record, Absent::ForGood));
    }
    Some(result)
}

/// The end of a thread of the preload library. The C library calls this in each of its rounds of destructors, and the
/// last one ends the record, after the destructors of other libraries. These may still free memory, by [`visit`].
#[cfg(not(loom))]
extern "C" fn end(value: *mut core::ffi::c_void) {
    // Records are multiples of 64 bytes, so the number of the round fits into the low bits.
    const LAST_ROUND: usize = 3;
    let round = value as usize & LAST_ROUND;
    if round < LAST_ROUND {
        os::at_thread_end(value as usize + 1);
    } else if let Some(record) = current_if_registered() {
        leave(record, || forget(record, Absent::ForGood));
    }
}

#[cfg(not(loom))]
struct Exit;

#[cfg(not(loom))]
impl Drop for Exit {
    fn drop(&mut self) {
        if let Some(record) = current_if_registered() {
            leave(record, || forget(record, Absent::Yet));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::thread::{on_exit, records::records};

    #[test]
    fn a_thread_that_finds_no_memory_gets_a_record() {
        let number = std::thread::spawn(|| {
            os::fail_calls(0, u64::MAX);
            current().number()
        });
        assert_ne!(number.join().unwrap(), 0);
    }

    #[test]
    fn a_thread_that_ends_leaves_its_record_to_the_next() {
        // As a hook that takes a lock.
        fn hook(record: &'static Thread) {
            assert!(core::ptr::eq(record, current()));
        }
        on_exit(hook);
        let thread = || std::thread::spawn(|| current().number()).join().unwrap();
        thread();
        let before = records().count();
        (0..100).for_each(|_| assert_ne!(thread(), 0));
        // Threads of other tests come and go meanwhile.
        assert!(records().count() < before + 50, "{before} records became {}", records().count());
    }
}
