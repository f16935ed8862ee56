//! Probes: places that bpftrace, perf, SystemTap and gdb can watch in a program that runs.
//!
//! Contract: a probe is one instruction that does nothing, and a note in the section `.note.stapsdt` of the file, which
//! says where the instruction is and which registers have its arguments. Nobody is told unless a tracer patches the
//! instruction. Arguments are numbers that the caller has anyway, and texts that are valid during the probe. The paths
//! that serve most borrows and allocations have none. The rows EV-30 and EV-31 of docs/spec/events.md name all probes.
#![forbid(unsafe_code)]

use crate::types::tn_status;
use core::ffi::c_char;
use probe::probe;

/// An array was given: handle and promise.
#[inline(always)]
pub fn give(array: u64, promise: u64) {
    probe!(tenure, give, array, promise);
}

/// A promise was taken: promise and new handle.
#[inline(always)]
pub fn take(promise: u64, array: u64) {
    probe!(tenure, take, promise, array);
}

/// A call fails: status and message, NUL-terminated.
#[inline(always)]
pub fn refused(status: tn_status, message: *const c_char) {
    probe!(tenure, refused, status, message);
}

/// An array was written to a file: number of the pool, address, and bytes that became free.
#[inline(always)]
pub fn spill(pool: u64, address: usize, bytes: usize) {
    probe!(tenure, spill, pool, address, bytes);
}

/// An array was read back from a file: number of the pool, address, bytes.
#[inline(always)]
pub fn unspill(pool: u64, address: usize, bytes: usize) {
    probe!(tenure, unspill, pool, address, bytes);
}

/// A large block was taken from a pool: number of the pool, address, requested bytes.
#[inline(always)]
pub fn allocate_large(pool: u64, address: usize, bytes: usize) {
    probe!(tenure, allocate_large, pool, address, bytes);
}
