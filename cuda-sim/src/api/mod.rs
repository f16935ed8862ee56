//! The exported functions, one file per concept, each with the operations behind them.
//!
//! Devices and contexts: `device`, `context`, `proc_address`. Kinds of memory: `memory` (plain device memory),
//! `pinned`, `managed`, `pool`, `mapped` (addresses apart from physical memory), `array`, `ipc` (other processes),
//! `pointer` (what an address means). Work: `stream`, `event`, `capture`, `graph`, `user_object`, `transfer` and
//! `copy`, `fill`, `module`, `kernel`, `strided` (the kernels of Tenure). `legacy` has functions of long ago, `control`
//! the simulator's own `tenure_sim_*`.

mod array;
mod capture;
mod context;
mod control;
mod copy;
mod device;
mod event;
mod fill;
mod graph;
mod ipc;
mod kernel;
mod legacy;
mod managed;
mod mapped;
mod memory;
mod module;
mod pinned;
mod pointer;
mod pool;
mod proc_address;
mod stream;
mod strided;
mod transfer;
mod user_object;
