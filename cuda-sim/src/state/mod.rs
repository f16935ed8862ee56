//! What exists in the simulated machine: plain records, and the two structs that hold them all.
//!
//! `machine` has what queued work may change: devices, contexts, memory, events. `world` adds the queues and what tests
//! control.

pub mod array;
pub mod context;
pub mod device;
pub mod device_memory;
pub mod event;
pub mod fault;
pub mod graph;
pub mod machine;
pub mod managed;
pub mod module;
pub mod physical;
pub mod pinned;
pub mod point;
pub mod pool;
pub mod signals;
pub mod stream;
pub mod user_object;
pub mod work;
pub mod world;
