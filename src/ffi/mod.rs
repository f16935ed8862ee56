//! Every exported function. Each file is a section of the header. Each shim converts its arguments, makes one call
//! down, and writes the outputs. The shim of a hot function calls the fast path first, and the slow path where the fast
//! path does not apply.
//!
//! Contract: a body runs in `boundary::enter`, except a fast path that cannot fail or panic. A shim takes no lock, and
//! decides only the order in which arguments are checked. Its only loops convert lists. `convert` has the conversions
//! and the messages for NULL arguments. The `@param` lines are the safety section of each function, so the lint is off.
#![allow(clippy::missing_safety_doc)]

pub mod convert;

pub mod library;
pub mod array;
pub mod borrow;
pub mod view;
pub mod promise;
pub mod pool;
pub mod transfer;
pub mod device;
pub mod stream;
pub mod runner;
pub mod exchange;
pub mod arrow;
pub mod ipc;
pub mod safetensors;
pub mod kernel;
pub mod report;
pub mod plugin;

#[cfg(feature = "managed")]
pub mod expr;
#[cfg(feature = "managed")]
pub mod shared;
#[cfg(feature = "managed")]
pub mod function;
#[cfg(feature = "managed")]
pub mod mirror;
#[cfg(feature = "managed")]
pub mod module;
#[cfg(feature = "managed")]
pub mod launch;

pub mod allocators;
pub mod bindings;
