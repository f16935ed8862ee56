//! Every exported function, one file a section of the header: each shim converts its arguments, makes one call down, and writes the
//! outputs. Of a hot function the shim calls the fast path first and, where that does not apply, the slow path.
//!
//! Contract: a body runs in `boundary::enter`, except a fast path that cannot fail or panic. A shim takes no lock; it decides nothing but
//! the order in which arguments are checked; its only loops convert lists. `convert` has the conversions and writes the texts of NULL
//! arguments. The `@param` lines are the safety section of each function, hence the lint that is off.
#![allow(clippy::missing_safety_doc)]

pub mod convert;

pub mod library;

pub mod device;

pub mod stream;

pub mod pool;

pub mod array;

pub mod view;

pub mod borrow;

pub mod promise;

pub mod transfer;

pub mod runner;

pub mod exchange;

pub mod bindings;

pub mod arrow;

pub mod safetensors;

#[cfg(not(loom))]
pub mod expr;

pub mod report;

pub mod plugin;
