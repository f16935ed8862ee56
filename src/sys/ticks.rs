//! The processor's counter of time: the cheapest clock for measuring which of two events came first.
//!
//! Contract: the counter runs at one rate on all processors of the machine, also while they sleep. Its unit is not
//! known here: whoever keeps ticks also keeps two pairs of ticks and nanoseconds. Any thread.

use super::os;

/// The counter now: after all earlier loads have ended, and before another thread sees any later store. Without a
/// barrier the processor reads the counter before the loads that it waits for: a thread that is handed a block would
/// free it before the time at which it was allocated.
#[inline(always)]
pub fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has these instructions, and Linux lets programs read the counter. LFENCE waits for
    // all before it, and RDTSC for LFENCE.
    return unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    };
    #[cfg(target_arch = "aarch64")]
    {
        let ticks;
        // SAFETY: reads a register that Linux lets programs read. ISB keeps the read behind earlier instructions, DMB
        // those behind earlier loads, and the compiler moves no access of memory across.
        unsafe {
            core::arch::asm!("dmb ishld", "isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack, preserves_flags));
        }
        return ticks;
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    os::time_ns()
}

/// The counter, and a monotonic clock in nanoseconds, at one moment.
pub fn pair() -> (u64, u64) {
    // The clock is read between two reads of the counter, so the mean is right unless the thread was interrupted.
    (0..4)
        .map(|_| {
            let (before, time, after) = (now(), os::time_ns(), now());
            (after.wrapping_sub(before), before.wrapping_add(after.wrapping_sub(before) / 2), time)
        })
        .min_by_key(|(between, ..)| *between)
        .map_or((0, 0), |(_, ticks, time)| (ticks, time))
}
