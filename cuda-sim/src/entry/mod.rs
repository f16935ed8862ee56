//! What every call does before and after its body, and what bodies use: the locked world, waiting, the caller's devices
//! and streams.

pub mod call;
pub mod enter;
