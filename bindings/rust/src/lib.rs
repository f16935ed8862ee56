#![doc = include_str!("../README.md")]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("libtenure supports 64-bit platforms only");

// Nothing of it is named: the linker takes its C functions.
#[cfg(from_sources)]
extern crate tenure as _;

#[rustfmt::skip]
pub mod sys;

#[cfg(feature = "allocator-api2")]
mod allocator;
mod array;
mod copies;
pub mod cuda;
mod device;
#[cfg(feature = "dlpack")]
mod dlpack;
mod dynamic;
mod element;
mod error;
mod guard;
mod handle;
mod matrix;
#[cfg(feature = "ndarray")]
mod ndarray;
mod pool;
mod promise;
#[cfg(feature = "rand")]
mod random;
#[cfg(feature = "csv")]
mod text;
mod view;
mod weak;

#[cfg(feature = "allocator-api2")]
pub use allocator::PoolAllocator;
pub use array::{Array, Mode, Tensor};
pub use copies::{CopySite, copies};
pub use device::{Device, MemoryInfo, memory_info};
#[cfg(feature = "dlpack")]
pub use dlpack::DlpackTensor;
pub use dynamic::{Dtype, DynArray};
pub use element::{Bool, Element};
pub use error::{Error, Refused, Result, Status};
pub use guard::{Chunk, Iter, IterMut, Ref, RefMut, SharedMut, SharedRef};
pub use matrix::{Form, Lazy, LuPart, Matrix, Operand, Real, RightSide};
pub use pool::{CudaMemoryPool, CurrentPool, MemoryPool, Pool, PoolOptions, PoolStats};
pub use promise::{Promise, enter};
pub use view::Slice;
pub use weak::Weak;

/// The recipe in Rust of the repository's cookbook.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cookbook/share.md")]
struct Cookbook;
