//! The C functions that the model test calls.
//!
//! Contract: only these, and the plain types, are used of the library.

pub use tenure::ffi::{
    array::*, borrow::*, exchange::*, expr::*, function::*, launch::*, library::*, pool::*, promise::*, report::*,
    shared::*, transfer::*, view::*,
};
