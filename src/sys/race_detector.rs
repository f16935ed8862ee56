//! ThreadSanitizer: tells it that calls of the library order the accesses of threads, because it does not see the
//! library's locks.
//!
//! Contract: nothing is linked or loaded for this. ThreadSanitizer is detected by its functions, which are bound
//! weakly. A call releases what its thread did before, and acquires what other threads did before their calls; accesses
//! in between are not recorded. So a race is not reported if calls of the library lie between its accesses, in both
//! threads.

use super::weak::weak_address;
use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::AtomicU8;

type Synchronize = unsafe extern "C" fn(*const c_void);
type Ignore = unsafe extern "C" fn();

/// Functions of ThreadSanitizer's interface.
struct Functions {
    acquire: Synchronize,
    release: Synchronize,
    ignore_begin: Ignore,
    ignore_end: Ignore,
}

/// Its address stands for all data that calls pass on.
static ALL_DATA: AtomicU8 = AtomicU8::new(0);

/// Whether ThreadSanitizer runs in this process.
pub fn is_present() -> bool {
    functions().is_some()
}

thread_local! {
    /// Calls of [`enter`] that [`leave`] has not ended. Less than the thread's depth if calls began before the detector
    /// was found.
    static ENTERED: Cell<u32> = const { Cell::new(0) };
}

/// Tells other threads what the calling thread did before, in a call that began without [`enter`].
pub fn release() {
    if let Some(functions) = functions() {
        // SAFETY: it takes any address.
        unsafe { (functions.release)((&raw const ALL_DATA).cast()) };
    }
}

/// The calling thread enters the library.
pub fn enter() {
    if let Some(functions) = functions() {
        release();
        ENTERED.set(ENTERED.get() + 1);
        // SAFETY: it takes nothing.
        unsafe { (functions.ignore_begin)() };
    }
}

/// The calling thread leaves the library.
pub fn leave() {
    if let Some(functions) = functions() {
        if let Some(rest) = ENTERED.get().checked_sub(1) {
            ENTERED.set(rest);
            // SAFETY: `enter` began what this ends. It takes nothing.
            unsafe { (functions.ignore_end)() };
        }
        // SAFETY: it takes any address.
        unsafe { (functions.acquire)((&raw const ALL_DATA).cast()) };
    }
}

fn functions() -> Option<Functions> {
    let [acquire, release, ignore_begin, ignore_end] = addresses();
    if [acquire, release, ignore_begin, ignore_end].contains(&0) {
        return None;
    }
    // SAFETY: functions of ThreadSanitizer's interface, which have these types.
    unsafe {
        Some(Functions {
            acquire: core::mem::transmute::<usize, Synchronize>(acquire),
            release: core::mem::transmute::<usize, Synchronize>(release),
            ignore_begin: core::mem::transmute::<usize, Ignore>(ignore_begin),
            ignore_end: core::mem::transmute::<usize, Ignore>(ignore_end),
        })
    }
}

/// The addresses that the loader bound to the names; 0: none.
fn addresses() -> [usize; 4] {
    [
        weak_address!("__tsan_acquire"),
        weak_address!("__tsan_release"),
        weak_address!("__tsan_ignore_thread_begin"),
        weak_address!("__tsan_ignore_thread_end"),
    ]
}
