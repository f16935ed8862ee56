//! The boundary to foreign callers: the one place that catches panics and publishes error messages.
//!
//! Contract: no panic leaves the library, and a successful call keeps the last error message. The body of every
//! exported function runs in [`enter`]; `tests/repository/layers.rs` checks that.
#![forbid(unsafe_code)]

use crate::error::{self, NoRecord, Result, fail};
use crate::probes;
use crate::types::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a race detector must be told when a thread enters and leaves the library. On a cache line of its own, because
/// each call reads `is_set`.
#[repr(align(64))]
struct RaceDetector {
    /// Each call reads this twice, with two instructions. It changes once, and may do so during a call.
    is_set: AtomicBool,
    /// A layer above knows them.
    functions: OnceLock<Functions>,
}

struct Functions {
    enter: fn(),
    leave: fn(),
}

/// Not set without a race detector.
static RACE_DETECTOR: RaceDetector = RaceDetector { is_set: AtomicBool::new(false), functions: OnceLock::new() };

/// Calls `enter` at the beginning of each call from now on, and `leave` at its end. `leave` is also called at the end
/// of calls that have begun already.
pub fn tell_race_detector(enter: fn(), leave: fn()) {
    if RACE_DETECTOR.functions.set(Functions { enter, leave }).is_ok() {
        RACE_DETECTOR.is_set.store(true, Ordering::Release);
    }
}

/// Tells the race detector that a call begins.
#[inline(always)]
fn begin() {
    #[cold]
    #[inline(never)]
    fn begin_told() {
        RACE_DETECTOR.functions.get().into_iter().for_each(|functions| (functions.enter)());
    }
    if RACE_DETECTOR.is_set.load(Ordering::Relaxed) {
        begin_told();
    }
}

/// Tells the race detector that a call ends.
#[inline(always)]
fn end() {
    #[cold]
    #[inline(never)]
    fn end_told() {
        RACE_DETECTOR.functions.get().into_iter().for_each(|functions| (functions.leave)());
    }
    if RACE_DETECTOR.is_set.load(Ordering::Relaxed) {
        end_told();
    }
}

/// Runs `body` for the exported `function`, and turns its result into a status code.
#[inline(always)] // measured: without it a call costs 2 ns more, through the out-of-line closure
pub fn enter(function: &'static str, body: impl FnOnce() -> Result<()>) -> tn_status {
    begin();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => {
            end();
            TN_OK
        }
        Ok(Err(status)) => failed(function, status),
        Err(payload) => failed(function, panicked(payload)),
    }
}

/// Runs `body` for a function whose signature another library defines. Returns the result, or `failure` after
/// publishing the error message for `function`.
#[inline]
pub fn answer<R>(function: &'static str, failure: R, body: impl FnOnce() -> Result<R>) -> R {
    begin();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => {
            end();
            return result;
        }
        Ok(Err(status)) => failed(function, status),
        Err(payload) => failed(function, panicked(payload)),
    };
    failure
}

#[cold]
#[inline(never)]
fn failed(function: &'static str, status: error::Status) -> tn_status {
    error::publish(function);
    probes::refused(status.code(), error::published());
    end();
    status.code()
}

/// Turns a panic into a status with the panic's message. The payload is dropped under a second catch, because its drop
/// may panic; the payload of that panic is leaked.
#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> error::Status {
    if payload.is::<NoRecord>() {
        return fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!("no memory for the record of one more thread; free some, and call again"),
        );
    }
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let status = fail(TN_ERR_PANIC, format_args!("a bug in the library, please report it: {text}"));
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status() {
        assert_eq!(enter("f", || panic!("boom")), TN_ERR_PANIC);
    }

    #[test]
    fn a_payload_that_panics_in_its_drop_is_a_status() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(enter("f", || std::panic::panic_any(Bomb)), TN_ERR_PANIC);
    }
}
