//! Injected faults: when a call or a piece of work fails because a test ordered it.
#![forbid(unsafe_code)]

use crate::base::call_counts::base_name;
use crate::base::hidden_symbols::is_hidden;
use crate::base::status::{Answer, NOT_SUPPORTED, is_sticky};
use crate::base::thread::current_context;
use crate::state::fault::{ANY_WORK, next_fault};
use crate::state::world::World;

/// Fails a call of an exported function if a fault is due. A sticky code also loses the current context.
pub fn inject_call_fault(world: &mut World, name: &str) -> Answer {
    if is_hidden(name) {
        return Err(NOT_SUPPORTED);
    }
    let Some(code) = next_fault(&mut world.faults, base_name(name)) else { return Ok(()) };
    if is_sticky(code) {
        world.lose_context(current_context(), code);
    }
    Err(code)
}

/// Fails a piece of work on a stream if a fault is due. The caller loses the context, whatever the code.
pub fn inject_fault(world: &mut World) -> Answer {
    next_fault(&mut world.faults, ANY_WORK).map_or(Ok(()), Err)
}
