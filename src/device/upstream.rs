//! An upstream: a device made of the program's callbacks, for one pool.
//!
//! Contract: callbacks run under no lock and outside of critical sections. Without TN_UPSTREAM_THREAD_SAFE they are
//! serialised by a gate. The ranges that they return are checked. `release` is called once, as the last callback, but
//! never for an upstream whose import failed.

use super::interface::{Device, GRANULE, Terms};
use super::query::check_label;
use crate::error::{Result, fail};
use crate::flags;
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The default of `granularity` and `alignment`, which 0 stands for.
const DEFAULT_BYTES: usize = 4096;
/// The largest granularity and alignment.
const MAX_GRANULE_BYTES: usize = 1 << 30;
/// The `stream` argument of callbacks: allocations and frees are in host order.
const NO_STREAM: u64 = 0;

/// An upstream with no callbacks.
pub const NO_UPSTREAM: tn_upstream = tn_upstream {
    size: 0,
    context: null_mut(),
    granularity: 0,
    alignment: 0,
    flags: 0,
    reserved: 0,
    allocate: None,
    deallocate: None,
    purge: None,
    release: None,
};

/// The upstream of a pool record, which a later pool in the record replaces.
pub struct Upstream {
    present: AtomicBool,
    /// The import succeeded, so `release` will be called.
    release_due: AtomicBool,
    given: UnsafeCell<Given>,
    gate: Gate,
    /// The last status of `allocate` other than TN_OK.
    refused: AtomicU32,
}

#[derive(Clone, Copy)]
struct Given {
    raw: tn_upstream,
    terms: Terms,
}

// SAFETY: `given` is written by `set` only, before the pool is shared. By importing its context the program ensures
// that any thread may pass it to the callbacks: one at a time, or several with TN_UPSTREAM_THREAD_SAFE.
unsafe impl Sync for Upstream {}
// SAFETY: as above.
unsafe impl Send for Upstream {}

fn invalid(field: &str, value: impl core::fmt::Display, hint: &str) -> crate::error::Status {
    fail(TN_ERR_INVALID, format_args!("upstream {field} is {value}; {hint}"))
}

/// The common multiple of the granularity and of the pools' granule, in bytes. None: too large.
fn granule_of(granularity: usize) -> Option<usize> {
    let common = 1usize << granularity.trailing_zeros().min(GRANULE.trailing_zeros());
    (granularity / common).checked_mul(GRANULE).filter(|&granule| granule <= MAX_GRANULE_BYTES)
}

fn or_default(bytes: usize) -> usize {
    if bytes == 0 { DEFAULT_BYTES } else { bytes }
}

/// The properties of an upstream's memory, stated to be of `device`; a status where its fields are invalid.
pub fn check(device: tn_device, raw: &tn_upstream) -> Result<Terms> {
    let known = TN_UPSTREAM_ZEROED | TN_UPSTREAM_THREAD_SAFE | TN_UPSTREAM_PARTIAL_FREE;
    flags::check("upstream flags", raw.flags, known, &flags::UPSTREAM)?;
    if raw.reserved != 0 {
        return Err(invalid("reserved", raw.reserved, "it must be 0"));
    }
    let alignment = or_default(raw.alignment);
    if !alignment.is_power_of_two() || alignment > MAX_GRANULE_BYTES {
        return Err(invalid("alignment", alignment, "it must be a power of two up to 1 GiB, or 0 for 4096"));
    }
    let Some(granule) = granule_of(or_default(raw.granularity)) else {
        let hint = "ranges are multiples of it and of 65536 bytes, and together that must be 1 GiB at most";
        return Err(invalid("granularity", raw.granularity, hint));
    };
    check_label(device)?;
    let on_host = matches!(device.r#type, TN_CPU | TN_CUDA_HOST);
    Ok(Terms {
        granule,
        page: os::page_bytes(),
        refusal: if on_host { TN_ERR_NO_HOST_MEMORY } else { TN_ERR_NO_DEVICE_MEMORY },
        joins: false,
        // Parts are cut in units of `GRANULE`.
        splits: raw.flags & TN_UPSTREAM_PARTIAL_FREE != 0 && granule == GRANULE,
        moves: false,
        keeps: false,
        whole: false,
        zeroed: raw.flags & TN_UPSTREAM_ZEROED != 0,
        touch: device.r#type != TN_CUDA,
        ordered: false,
        in_order: false,
    })
}

impl Upstream {
    /// No upstream.
    pub const fn none() -> Upstream {
        Upstream {
            present: AtomicBool::new(false),
            release_due: AtomicBool::new(false),
            given: UnsafeCell::new(Given { raw: NO_UPSTREAM, terms: Terms::NONE }),
            gate: Gate::new(),
            refused: AtomicU32::new(TN_OK),
        }
    }

    /// Sets the upstream, with the result of [`check`].
    ///
    /// # Safety
    /// - the pool is not shared yet.
    pub unsafe fn set(&self, raw: &tn_upstream, terms: Terms) {
        // SAFETY: the caller's obligation.
        unsafe { *self.given.get() = Given { raw: *raw, terms } };
        self.refused.store(TN_OK, Ordering::Relaxed);
        self.release_due.store(false, Ordering::Relaxed);
        // Release pairs with the Acquire in `is_there`.
        self.present.store(true, Ordering::Release);
    }

    /// Whether an upstream is set.
    #[inline]
    pub fn is_there(&self) -> bool {
        self.present.load(Ordering::Acquire)
    }

    /// Whether the upstream has a `purge` callback, for memory whose contents are no longer needed.
    pub fn purges(&self) -> bool {
        self.is_there() && self.given().raw.purge.is_some()
    }

    /// The import succeeded: `release` will be called when the pool ends.
    pub fn accept(&self) {
        self.release_due.store(true, Ordering::Relaxed);
    }

    /// Makes the last callback, `release`, after all ranges were freed.
    pub fn end(&self) {
        if !self.is_there() {
            return;
        }
        let raw = self.given().raw;
        if let Some(release) = raw.release.filter(|_| self.release_due.swap(false, Ordering::Relaxed)) {
            // SAFETY: the program's own function and context.
            unsafe { release(raw.context) };
        }
        self.present.store(false, Ordering::Release);
    }

    /// The last status of `allocate` other than TN_OK; TN_OK if there was none.
    pub fn refused(&self) -> tn_status {
        self.refused.load(Ordering::Relaxed)
    }

    fn given(&self) -> &Given {
        // SAFETY: written before the pool was shared; see `set`.
        unsafe { &*self.given.get() }
    }

    /// Runs a callback, through the gate unless it is thread-safe.
    fn call<R>(&self, callback: impl FnOnce(&tn_upstream) -> R) -> R {
        let raw = &self.given().raw;
        if raw.flags & TN_UPSTREAM_THREAD_SAFE != 0 {
            return callback(raw);
        }
        self.gate.enter();
        let result = callback(raw);
        self.gate.leave();
        result
    }
}

impl Device for Upstream {
    fn terms(&self) -> Terms {
        self.given().terms
    }

    fn reserve(&self, bytes: usize, alignment: usize, _node: u32) -> Result<Option<usize>> {
        let alignment = alignment.max(or_default(self.given().raw.alignment));
        let mut out: *mut c_void = null_mut();
        let status = self.call(|raw| match raw.allocate {
            // SAFETY: the program's own function and context; `out` is ours.
            Some(allocate) => unsafe { allocate(raw.context, bytes, alignment, NO_STREAM, &raw mut out) },
            None => TN_ERR_UNSUPPORTED,
        });
        if status != TN_OK {
            self.refused.store(status, Ordering::Relaxed);
            return Ok(None);
        }
        let start = out as usize;
        if start != 0 && start.is_multiple_of(alignment) && start.checked_add(bytes).is_some() {
            return Ok(Some(start));
        }
        if start != 0 {
            // SAFETY: just returned by the upstream, and not shared.
            unsafe { self.free(start, bytes) };
        }
        Err(fail(
            TN_ERR_FAILED,
            format_args!(
                "the upstream returned TN_OK with address {start:#x} for {bytes} bytes at a multiple of {alignment}; \
                 it must return a range as requested, or an error"
            ),
        ))
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        let status = self.call(|raw| match raw.deallocate {
            // SAFETY: the program's own function and context, and a range that it returned.
            Some(deallocate) => unsafe { deallocate(raw.context, start as *mut c_void, bytes, NO_STREAM) },
            None => TN_ERR_UNSUPPORTED,
        });
        status == TN_OK
    }

    unsafe fn discard(&self, start: usize, bytes: usize, zero: bool) -> bool {
        let Some(purge) = self.given().raw.purge.filter(|_| !zero) else { return false };
        // SAFETY: the program's own function and context, and a range that it returned.
        self.call(|raw| unsafe { purge(raw.context, start as *mut c_void, bytes) }) == TN_OK
    }

    fn memory(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Serialises callbacks. Not a lock of the library: its waiters are in no critical section, and a fork does not wait
/// for them. In the child of a fork a gate counts as open where a thread of the parent had closed it.
struct Gate {
    /// 0: open; else 1 + `thread::forks()` in the process whose thread closed it.
    word: AtomicU32,
    waiting: AtomicU32,
}

/// Longest sleep of a waiter, which bounds the cost of a missed wake.
const MAX_SLEEP_US: u32 = 1000;

impl Gate {
    const fn new() -> Gate {
        Gate { word: AtomicU32::new(0), waiting: AtomicU32::new(0) }
    }

    fn enter(&self) {
        let own = thread::forks().wrapping_add(1);
        let mut seen = 0;
        // Acquire pairs with the Release in `leave`: this callback sees what the last one wrote.
        while let Err(now) = self.word.compare_exchange(seen, own, Ordering::Acquire, Ordering::Relaxed) {
            // Closed by a thread of the parent process: open.
            seen = if now != own { now } else { 0 };
            if now == own {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                os::futex_wait(&self.word, own, MAX_SLEEP_US);
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn leave(&self) {
        self.word.store(0, Ordering::Release);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            os::futex_wake(&self.word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granules_are_multiples_of_both() {
        for (granularity, granule) in
            [(1, 65536), (4096, 65536), (12288, 3 * 65536), (65536, 65536), (2 << 20, 2 << 20), (5, 5 * 65536)]
        {
            assert_eq!(granule_of(granularity), Some(granule));
            assert!(granule % granularity == 0 && granule % GRANULE == 0);
        }
        assert_eq!(granule_of(usize::MAX), None);
        assert_eq!(granule_of(1 << 31), None);
    }

    #[test]
    fn po_50_the_gate_lets_one_through_at_a_time() {
        struct Shared(Gate, UnsafeCell<u64>);
        // SAFETY: the number is accessed behind the gate only.
        unsafe impl Sync for Shared {}
        impl Shared {
            fn count(&self) {
                self.0.enter();
                // SAFETY: behind the gate.
                unsafe { *self.1.get() += 1 };
                self.0.leave();
            }
        }
        let shared = Shared(Gate::new(), UnsafeCell::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5000).for_each(|_| shared.count()));
            }
        });
        assert_eq!(shared.1.into_inner(), 20_000);
    }

    #[test]
    fn a_gate_that_a_thread_of_the_parent_process_closed_is_open() {
        let gate = Gate::new();
        gate.word.store(thread::forks().wrapping_add(7), Ordering::Relaxed);
        gate.enter();
        assert_eq!(gate.word.load(Ordering::Relaxed), thread::forks() + 1);
        gate.leave();
    }
}
