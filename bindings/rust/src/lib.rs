#![doc = include_str!("../README.md")]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("libtenure supports 64-bit platforms only");

#[rustfmt::skip]
pub mod sys;

mod array;
pub mod cuda;
mod device;
#[cfg(feature = "dlpack")]
mod dlpack;
mod element;
mod error;
mod guard;
mod handle;
#[cfg(feature = "ndarray")]
mod ndarray;
mod pool;
mod promise;
mod view;
mod weak;

pub use array::{Array, Mode, Tensor};
pub use device::{Device, MemoryInfo, memory_info};
#[cfg(feature = "dlpack")]
pub use dlpack::DlpackTensor;
pub use element::{Bool, Element};
pub use error::{Error, Refused, Result, Status};
pub use guard::{Chunk, Iter, IterMut, Ref, RefMut, SharedMut, SharedRef};
pub use pool::{CudaMemoryPool, CurrentPool, MemoryPool, Pool, PoolOptions, PoolStats};
pub use promise::{Promise, enter};
pub use view::Slice;
pub use weak::Weak;

/// The recipe in Rust of the repository's cookbook.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cookbook/share.md")]
struct Cookbook;
