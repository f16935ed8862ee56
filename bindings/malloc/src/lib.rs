//! `libtenure_malloc.so`: the C library's allocation functions on Tenure's pools, for any program by LD_PRELOAD.
//!
//! Contract: exports the functions of `exports.txt` and nothing else. Has a copy of the engine of its own, built from the library's own
//! files below: it shares nothing with a `libtenure.so` in the same process, and stands in none of its reports. Usable from the first
//! allocation of a process, before any constructor, to its last, on every thread, also when the thread's own data is gone, and in the
//! child of a fork; not in a signal handler, as malloc never is. Never asks Rust's heap, which would be itself: `heap` says so if it
//! happens. A panic of the engine ends the process.
//!
//! | module | what |
//! |---|---|
//! | `door` | the exported functions: C's rules for sizes, alignments, NULL and errno |
//! | `start` | the pool behind them, made at the first call, and the environment variables |
//! | `report` | wrong frees, and figures |
//! | `heap` | what stands in place of Rust's heap |
#![allow(dead_code)] // the engine's files serve the library as well

mod door;

mod heap;

mod report;

mod start;

// The engine: layers 0 to 4 of ARCHITECTURE.md, as far as pools need them.

#[path = "../../../src/types.rs"]
pub mod types;

#[path = "../../../src/error.rs"]
pub mod error;

#[path = "../../../src/options.rs"]
pub mod options;

#[path = "../../../src/names.rs"]
pub mod names;

#[path = "../../../src/sys/mod.rs"]
pub mod sys;

#[path = "../../../src/arena.rs"]
pub mod arena;

#[path = "../../../src/thread/mod.rs"]
pub mod thread;

#[path = "../../../src/slots.rs"]
pub mod slots;

#[path = "../../../src/reclaim.rs"]
pub mod reclaim;

#[path = "../../../src/stream/mod.rs"]
pub mod stream;

#[path = "../../../src/device/mod.rs"]
pub mod device;

#[path = "../../../src/pool/mod.rs"]
pub mod pool;
