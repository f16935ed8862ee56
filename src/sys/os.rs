//! Memory, futexes, threads and forks of the operating system.
//!
//! Contract: thin; no policy, no state but what is stated. Nothing here formats or allocates on the heap.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

/// Fresh zeroed pages, never given back by this module; None when the system has none.
pub fn arena(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous mapping touches no memory of ours.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED { None } else { NonNull::new(memory.cast()) }
}

/// Sleeps while the word has that value, at most so long, or shorter.
pub fn futex_wait(word: &AtomicU32, value: u32, timeout_us: u32) {
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: i64::from(timeout_us) * 1000 };
    // SAFETY: the word outlives the call; the kernel only compares it.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, &timeout);
    }
}

/// Wakes one sleeper.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: only the address is used.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    }
}

/// The system's number of the calling thread.
pub fn thread_number() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Sleeps.
pub fn sleep_us(us: u32) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(us) * 1000 };
    // SAFETY: both pointers may be what they are.
    unsafe {
        libc::nanosleep(&time, core::ptr::null_mut());
    }
}

// From linux/membarrier.h.
const MEMBARRIER_CMD_PRIVATE_EXPEDITED: i32 = 1 << 3;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

/// Registers the process for [`membarrier`]; false where the system has none.
pub fn register_membarrier() -> bool {
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// Every thread of the process passes a full barrier.
pub fn membarrier() {
    core::sync::atomic::fence(Ordering::SeqCst);
    // SAFETY: integers only.
    unsafe {
        libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
}

/// Registers what runs around a fork.
pub fn on_fork(before: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: functions of this library; the C library forgets them when it is unloaded.
    unsafe {
        libc::pthread_atfork(Some(before), Some(parent), Some(child));
    }
}

/// The wall clock in ns since the epoch, coarse: to the tick of the kernel, for a few ns.
pub fn coarse_time_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The end of a process that has no memory left for bookkeeping which nothing can do without.
#[cold]
pub fn out_of_memory(what: &str) -> ! {
    panic!("no memory for {what}");
}
