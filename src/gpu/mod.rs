//! GPUs: which exist, what the driver reports about them, and whether they still work.
//!
//! Contract: a [`Gpu`] is static and costs nothing until it is entered. Its primary context is retained at the first
//! [`Gpu::enter`] and never released, because other libraries share it. A reset by another library is found out at the
//! next [`Gpu::enter`]. Every driver call is made while the context is current, and its result goes through
//! [`Gpu::check`]. A result that means a lost device marks the [`Gpu`] as lost; no further driver call is made for it.
//!
//! | file | what |
//! |---|---|
//! | `table` | the GPUs of the process, their contexts, and lost devices |
//! | `context` | makes a GPU's context current, and restores the caller's |
//! | `copy` | copies and memsets on a stream |
//! | `home` | the GPU for memory that belongs to none |
//! | `info` | attributes, features and the description of a GPU |
//! | `limits` | the limits of launches |
//! | `peer` | access of GPUs to each other's memory |
//! | `numa` | the NUMA node of a GPU |
//! | `managed` | advice and prefetches for managed memory |
//! | `page_lock` | page-locked host memory |
//! | `pointer` | what the driver knows about an address of another library |
//! | `reset` | tells the layers above that a context was reset |
//! | `module` | modules of the library's own device code, and launches of their kernels |
//! | `image` | modules of the program |
//! | `kernel` | launches of any library's kernels |
//! | `virtual_memory` | granules of memory that are mapped at reserved addresses |
//! | `ipc` | memory and events that cross to other processes |
//! | `memory_pool` | the driver's memory pools, which allocate in the order of streams |

mod context;

pub mod copy;

mod home;

pub mod image;

mod info;

pub mod ipc;

pub mod kernel;

mod limits;

pub mod managed;

pub mod memory_pool;

pub mod module;

mod numa;

mod peer;

pub mod page_lock;

pub mod pointer;

mod reset;

mod table;

pub mod virtual_memory;

pub use context::Inside;
pub use home::home;
pub use reset::{Layer, on_reset};
pub use table::{GPUS, Gpu, REGISTERED_BYTES, Traffic, any_reset, any_used, count, gpu, lost_count, only, used};
