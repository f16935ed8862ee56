//! Devices: where pools get memory from.
//!
//! Contract: a [`Device`] hands out ranges and takes them back; it keeps no list of them. It is called under no lock. Reuse, limits and
//! statistics belong to `pool`.
//!
//! | file | what |
//! |---|---|
//! | `interface` | what pools require of a device |
//! | `host` | the memory of the operating system |
//! | `upstream` | callbacks of the program: one device for each pool that is made over them |
//! | `cuda` | memory of the CUDA driver: of a GPU, page-locked, managed |
//! | `page_locked` | large page-locked memory, made resident by several threads |
//! | `mapped` | memory of a GPU that is mapped in granules, for one pool each |
//! | `driver_pool` | memory of a GPU from a pool of the driver, for one pool each |
//! | `source` | which device a pool takes its memory from |
//! | `query`, `cuda_query`, `no_info` | which devices exist, and their description |
//! | `synchronize` | waits for all work on a device |

// The preload library has no GPU.
#[cfg(not(preload))]
mod cuda;

#[cfg(not(preload))]
mod cuda_query;

#[cfg(not(preload))]
mod driver_pool;

pub mod host;

mod interface;

#[cfg(not(preload))]
mod mapped;

mod no_info;

#[cfg(not(preload))]
mod page_locked;

mod query;

mod source;

#[cfg(not(preload))]
mod synchronize;

pub mod upstream;

pub use crate::names::device_type_name as type_name;
#[cfg(not(preload))]
pub use cuda::{dead_error, is_dead, refuse_dead};
pub use interface::{Device, Terms};
pub use no_info::NO_INFO;
pub use query::{count, find, query};
pub use source::Source;
#[cfg(not(preload))]
pub use synchronize::{synchronize, synchronize_outside_captures};
