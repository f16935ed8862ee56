//! GPUs: which exist, what the driver reports about them, and whether they still work.
//!
//! Contract: a [`Gpu`] is static and costs nothing until it is entered. Its primary context is retained at the first [`Gpu::enter`] and
//! never released, because other libraries share it. Every driver call is made while the context is current, and its result goes through
//! [`Gpu::check`]. A result that means a lost device marks the [`Gpu`] as lost; no further driver call is made for it.
//!
//! | file | what |
//! |---|---|
//! | `table` | the GPUs of the process, their contexts, and lost devices |
//! | `context` | makes a GPU's context current, and restores the caller's |
//! | `copy` | copies and memsets on a stream |
//! | `info` | attributes, features and the description of a GPU |
//! | `peer` | which GPU can access the memory of which |
//! | `managed` | advice and prefetches for managed memory |
//! | `page_lock` | page-locked host memory |
//! | `virtual_memory` | granules of memory that are mapped at reserved addresses |

mod context;

pub mod copy;

mod info;

pub mod managed;

mod peer;

pub mod page_lock;

mod table;

pub mod virtual_memory;

pub use context::{Inside, Relaxed};
pub use table::{GPUS, Gpu, REGISTERED_BYTES, Traffic, any_used, count, gpu, lost_count, used};
