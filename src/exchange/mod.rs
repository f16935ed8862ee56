//! Import and export: one module for each foreign format.
//!
//! Contract: the flags of a call decide between copy and alias, in both directions. Without a flag the bytes are
//! copied. TN_BORROW aliases them if possible. TN_REQUIRE_BORROW aliases them or fails. The copy book records every
//! copy. A failed import calls nothing, and the foreign bytes stay with their owner. Every field of a foreign struct is
//! checked before any byte is accessed.

pub mod arrow;

pub mod cuda_array_interface;

pub mod cudamat;

pub mod device;

pub mod dlpack;

pub mod file;

pub mod host;

pub mod ipc;

mod mapping;

pub mod new_file;

pub mod npy;

pub mod safetensors;
