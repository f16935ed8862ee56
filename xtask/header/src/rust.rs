//! `bindings/rust/src/sys.rs`: the C interface for the Rust crate, whose package has no file outside its folder.
//!
//! Contract: the text of `src/types.rs` and the extern block of the Python crate, in one module. Decides nothing about
//! either.

use xtask::tools::{Done, read};

/// The file that is written.
pub const PATH: &str = "bindings/rust/src/sys.rs";

const HEAD: &str = "\
//! Written by `cargo xtask header` from src/types.rs and src/ffi: edit those.
//!
//! The C interface as it is: types and constants with the comments of `tenure.h`, which documents the functions too.
#![allow(non_camel_case_types, missing_docs)]
#![allow(clippy::identity_op, clippy::missing_safety_doc, rustdoc::broken_intra_doc_links)]

use core::ffi::{c_char, c_int, c_void};
";

/// The module, from the extern block of the Python crate.
pub fn sys(extern_block: &str) -> Done<String> {
    let types = read("src/types.rs")?;
    let (_, types) = types.split_once("\n\n").ok_or("src/types.rs: an empty line must end its head")?;
    let (_, functions) = extern_block
        .split_once("use core::ffi::{c_char, c_int, c_void};\n")
        .ok_or("the extern block has other imports")?;
    Ok([HEAD, "\n", types, "\n", functions].concat())
}
