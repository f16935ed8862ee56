//! A simulated CUDA driver: `libcuda.so.1` for machines without a GPU, for tests that must find what a GPU shows only
//! now and then.
//!
//! Contract: the entry points have the driver's names, argument types and result codes. The host cannot touch device
//! memory. Work on streams runs later, in an order drawn from a seed; every access is checked against what is allocated
//! at that moment. Tests observe and control the driver through `tenure_sim_*` (include/tenure_sim.h).
//!
//! The layers, from the top; a file uses only files of its own folder and of those below it, and no files use each
//! other in a circle (tests/layers.rs):
//!
//! | folder | what it has |
//! |---|---|
//! | `api` | the exported functions, one file per concept, with the operations behind them |
//! | `entry` | what every call does around its body (`driver!`), and how bodies wait |
//! | `engine` | queues: what work waits for, when it runs, on which thread; captures; injected faults |
//! | `state` | the records: `Machine` (what queued work may change) and `World` (all of it, behind one lock) |
//! | `memory` | the address space that programs see, and the bytes behind it |
//! | `base` | what needs no state: types, result codes, settings, randomness, the calling thread |
#![allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]

mod api;
mod base;
mod engine;
mod entry;
mod memory;
mod state;
