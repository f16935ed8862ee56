//! The address space that programs see, and the bytes behind it.

pub mod pages;
pub mod process;
pub mod region;
pub mod shared;
pub mod space;
pub mod store;
