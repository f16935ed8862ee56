//! A simulated CUDA driver: `libcuda.so.1` for machines without a GPU, for tests that must find what a GPU finds only now and then.
//!
//! Contract: the entry points are the driver's, with its names, argument types and result codes. Device memory lies at addresses
//! that the host cannot touch; work on streams runs later, in an order drawn from a seed; every access is checked against what is
//! allocated at that moment. What a test wants to know or to break goes through `tenure_sim_*` (include/tenure_sim.h).
//!
//! One lock holds the whole world (`world`). Each entry point is written with `driver!` (`entry`): it counts the call, strikes the
//! faults, checks initialisation, context and sticky error, lets some queued work run (`engine`), and never panics over the border.
#![allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]

#[macro_use]
mod entry;

mod array;
mod capture;
mod config;
mod context;
mod control;
mod copy;
mod counters;
mod device;
mod engine;
mod event;
mod fault;
mod fill;
mod graph;
mod host;
mod ipc;
mod kernel;
mod legacy;
mod managed;
mod memory;
mod mempool;
mod missing;
mod module;
mod object;
mod pointer;
mod random;
mod since;
mod space;
mod status;
mod stream;
mod table;
mod types;
mod vmm;
mod world;
