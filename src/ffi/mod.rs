//! Every exported function, one file a section of the header: each shim converts, makes one call down, and writes out.
//!
//! Contract: every body runs in `boundary::enter`; no loop, no lock, no logic here. `convert` has the conversions and writes the
//! texts of NULL arguments. The `@param` lines are the safety section of each function, hence the lint that is off.
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
