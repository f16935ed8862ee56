//! `libtenure_malloc.so`: the C library's allocation functions on Tenure's pools, for any program by LD_PRELOAD.
//!
//! Contract: exports the functions of `exports.txt` and nothing else. Compiles its own copy of the pools from the library's files: it
//! shares nothing with a `libtenure.so` in the same process and appears in none of its reports. Usable from a process's first allocation,
//! before any constructor, to its last. Usable on every thread, also after the thread's thread-local data is gone, and in the child of a
//! fork; not in a signal handler. Never allocates from Rust's heap, which would be itself. A panic ends the process.
//!
//! | module | what |
//! |---|---|
//! | `exports` | the exported functions: C's rules for sizes, alignments, NULL and errno |
//! | `start` | the pool behind them, made at the first call, and the environment variables |
//! | `report` | messages about invalid frees, and statistics |
//! | `rust_heap` | a substitute for Rust's heap, which reports its first use as a bug |
#![allow(dead_code)] // the pool's files serve the library as well

mod exports;

mod report;

mod rust_heap;

mod start;

// The pools: layers 0 to 4 of ARCHITECTURE.md, as far as host pools need them.

#[path = "../../../src/types.rs"]
pub mod types;

#[path = "../../../src/error.rs"]
pub mod error;

#[path = "../../../src/probes.rs"]
#[allow(dead_code)] // there are no arrays
pub mod probes;

#[path = "../../../src/options.rs"]
pub mod options;

#[path = "../../../src/names.rs"]
pub mod names;

#[path = "../../../src/flags.rs"]
pub mod flags;

#[path = "../../../src/sites.rs"]
pub mod sites;

#[path = "../../../src/sys/mod.rs"]
pub mod sys;

#[path = "../../../src/arena.rs"]
pub mod arena;

#[path = "../../../src/thread/mod.rs"]
pub mod thread;

#[path = "../../../src/slots.rs"]
pub mod slots;

#[path = "../../../src/events/mod.rs"]
pub mod events;

#[path = "../../../src/reclaim.rs"]
pub mod reclaim;

#[path = "../../../src/stream/mod.rs"]
pub mod stream;

#[path = "../../../src/device/mod.rs"]
pub mod device;

#[path = "../../../src/pool/mod.rs"]
pub mod pool;
