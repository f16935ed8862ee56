//! Foreign formats in and out: one module a format.
//!
//! Contract: flags decide on copying in both directions: none is a copy, TN_BORROW an alias where possible, TN_REQUIRE_BORROW an alias or
//! a status. What is copied at a border stands in the copy book. A failing import leaves the foreign bytes their owner's and calls
//! nothing. Everything in a foreign struct is checked before a byte is touched.

pub mod arrow;

pub mod dlpack;

pub mod file;

pub mod host;

pub mod npy;

pub mod safetensors;
