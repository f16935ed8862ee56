//! Foreign formats in and out: one module a format.

pub mod npy;
