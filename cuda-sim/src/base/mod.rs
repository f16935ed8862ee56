//! What needs no state: the driver's types and result codes, settings, randomness, the calling thread, exported names.

pub mod args;
pub mod call_counts;
pub mod config;
pub mod driver_version;
pub mod hidden_symbols;
pub mod random;
pub mod status;
pub mod thread;
pub mod types;
