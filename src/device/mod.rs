//! Devices: where pools get memory from.
//!
//! Contract: a [`Device`] hands out ranges and takes them back; it keeps no list of them. It is called under no lock.
//! Reuse, limits and statistics belong to `pool`.
//!
//! | file | what |
//! |---|---|
//! | `interface` | what pools require of a device |
//! | `host` | the memory of the operating system |
//! | `shareable` | memory of the system that other processes can map |
//! | `checked` | memory of the system that is accessible only while something may use it |
//! | `checked_ranges` | its ranges, and the order in which they were freed |
//! | `upstream` | callbacks of the program: one device for each pool that is made over them |
//! | `cuda` | memory of the CUDA driver: of a GPU, page-locked, managed |
//! | `exported` | memory of a GPU that other processes can open: for pools with TN_POOL_IPC |
//! | `imported` | memory of a GPU that another process exported |
//! | `export_file` | the file and the locks by which exporters and importers of such memory know of each other |
//! | `page_locked` | large page-locked memory, made resident by several threads |
//! | `mapped` | memory of a GPU that is mapped in granules, for one pool each |
//! | `driver_pool` | memory of a GPU from a pool of the driver, for one pool each |
//! | `source` | which device a pool takes its memory from |
//! | `query`, `cuda_query`, `no_info` | which devices exist, and their description |
//! | `synchronize` | waits for all work on a device, and captures there |

// The preload library has no arrays.
#[cfg(not(preload))]
pub mod checked;

#[cfg(not(preload))]
pub mod checked_ranges;

// The preload library has no GPU.
#[cfg(not(preload))]
mod cuda;

#[cfg(not(preload))]
mod cuda_query;

#[cfg(not(preload))]
mod driver_pool;

#[cfg(not(preload))]
mod export_file;

#[cfg(not(preload))]
pub mod exported;

pub mod host;

#[cfg(not(preload))]
pub mod imported;

mod interface;

#[cfg(not(preload))]
mod mapped;

mod no_info;

#[cfg(not(preload))]
mod page_locked;

mod query;

#[cfg(not(preload))]
pub mod shareable;

mod source;

#[cfg(not(preload))]
mod synchronize;

pub mod upstream;

pub use crate::names::device_type_name as type_name;
#[cfg(not(preload))]
pub use export_file::{Entry, check as check_export_file, is_own as is_own_export_file, lend as lend_export_file};
pub use interface::{Device, PeerAccess, Terms};
pub use no_info::NO_INFO;
pub use query::{count, find, query};
pub use source::Source;
#[cfg(not(preload))]
pub use synchronize::{captures, outlast_streams, synchronize};

/// TN_ERR_DRIVER if the memory at an address is gone: with a context that was reset, or with the process that exported
/// it. Checked before each call that uses memory: that may have happened, or been found out, after the checks of the
/// array.
#[cfg(not(preload))]
pub fn refuse_dead(address: usize) -> crate::error::Result<()> {
    cuda::refuse_dead(address)?;
    imported::refuse_ended(address)
}
