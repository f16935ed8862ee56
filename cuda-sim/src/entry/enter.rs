//! How a call enters: `driver!` writes the exported function, which runs its body in `enter`.
//!
//! In this order: the process (exit, fork), the call's count, closed functions, hidden symbols and injected faults,
//! initialisation, the current context and its sticky error, some queued work, the body. A panic in the body becomes
//! CUDA_ERROR_UNKNOWN.

use super::call::Call;
use crate::base::call_counts::{Entry, base_name};
use crate::base::config::{self, Pace};
use crate::base::hidden_symbols::is_hidden;
use crate::base::status::*;
use crate::base::thread::{current_context, in_callback, thread_id};
use crate::engine::fault::inject_call_fault;
use crate::state::signals::PROGRESS;
use crate::state::world;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The conditions under which the body of a function may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Works before `cuInit` and on a lost device.
    Nothing,
    /// `cuInit` has been called.
    Init,
    /// The current context exists and is not lost.
    Context,
    /// As `Context`, for a call that only queries whether work is done: it always lets the device make progress.
    Poll,
}

pub fn enter(entry: &'static Entry, need: Need, per_thread: bool, body: impl FnOnce(&mut Call) -> Answer) -> u32 {
    if world::has_ended() {
        return DEINITIALIZED;
    }
    if world::is_forked() {
        return NOT_INITIALIZED;
    }
    entry.count();
    if need != Need::Nothing && in_callback() {
        return NOT_PERMITTED;
    }
    let inner = || {
        let mut world = world::lock();
        while world.closed.contains(base_name(entry.name)) && !world::has_ended() {
            PROGRESS.wait(&mut world);
        }
        inject_call_fault(&mut world, entry.name)?;
        if need != Need::Nothing && !world.initialised {
            return Err(NOT_INITIALIZED);
        }
        let context = current_context();
        if matches!(need, Need::Context | Need::Poll) {
            world.check_exists(context)?;
            world.make_progress(need == Need::Poll);
            world.check_usable(context)?;
        }
        let mut call = Call { name: entry.name, world, context, per_thread };
        body(&mut call)?;
        if call.world.config.pace == Pace::Eager {
            while call.world.step() {}
        }
        Ok(())
    };
    let code = match catch_unwind(AssertUnwindSafe(inner)) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    };
    if config::is_tracing() {
        eprintln!("cuda-sim: {} on thread {} returns {code}", entry.name, thread_id());
    }
    code
}

/// Runs the body of a function that needs no state: it works before `cuInit`, after exit began and in a child of fork.
pub fn enter_stateless(entry: &'static Entry, body: impl FnOnce() -> Answer) -> u32 {
    entry.count();
    if is_hidden(entry.name) {
        return NOT_SUPPORTED;
    }
    body().err().unwrap_or(SUCCESS)
}

/// Exports functions of the driver: `fn name(arguments) | name_ptsz in Need => |call| { body }`. The second name, where
/// there is one, is the variant whose stream 0 is the per-thread stream. The body returns an `Answer`. After `in`
/// stands one of `Need`, or `Stateless` for `enter_stateless`.
macro_rules! driver {
    ($($(#[$doc:meta])* fn $name:ident $arguments:tt $(| $variant:ident)? in $need:ident => |$call:pat_param| $body:block)*) => {
        $(
            $crate::entry::enter::driver!(@one $name, false, $arguments, $need, $call, $body);
            $($crate::entry::enter::driver!(@one $variant, true, $arguments, $need, $call, $body);)?
        )*
    };
    (@one $name:ident, false, ($($argument:ident : $kind:ty),* $(,)?), Stateless, $call:pat_param, $body:block) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> u32 {
            static ENTRY: $crate::base::call_counts::Entry = $crate::base::call_counts::Entry::new(stringify!($name));
            $crate::entry::enter::enter_stateless(&ENTRY, || $body)
        }
    };
    (@one $name:ident, $per_thread:literal, ($($argument:ident : $kind:ty),* $(,)?), $need:ident, $call:pat_param, $body:block) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> u32 {
            static ENTRY: $crate::base::call_counts::Entry = $crate::base::call_counts::Entry::new(stringify!($name));
            $crate::entry::enter::enter(&ENTRY, $crate::entry::enter::Need::$need, $per_thread, |$call: &mut $crate::entry::call::Call| $body)
        }
    };
}
pub(crate) use driver;
