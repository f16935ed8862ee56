//! `bindings/rust/src/sys.rs`: the C interface for Rust programs that link the shared library as any C program does.
//!
//! Contract: the text of `src/types.rs`, and the exported functions as an extern block. One file, as the package of the
//! Rust crate has none outside its folder.

use crate::Section;
use syn::visit_mut::VisitMut;
use xtask::tools::{Done, read};

const HEAD: &str = "\
//! Written by `cargo xtask header` from src/types.rs and src/ffi: edit those.
//!
//! The C interface as it is: types and constants with the comments of `tenure.h`, which documents the functions too.
#![allow(non_camel_case_types, missing_docs)]
#![allow(clippy::identity_op, clippy::missing_safety_doc, rustdoc::broken_intra_doc_links)]

use core::ffi::{c_char, c_int, c_void};
";

pub fn sys(sections: &[Section]) -> Done<String> {
    let types = read("src/types.rs")?;
    let (_, types) = types.split_once("\n\n").ok_or("src/types.rs: an empty line must end its head")?;
    let declarations = sections.iter().flat_map(|section| &section.functions).map(|function| {
        let mut signature = function.sig.clone();
        (signature.abi, signature.unsafety) = (None, None);
        quote::quote! { pub #signature; }
    });
    let mut functions: syn::File = syn::parse_quote! {
        #[allow(improper_ctypes)]
        unsafe extern "C" { #(#declarations)* }
    };
    Short.visit_file_mut(&mut functions);
    Ok([HEAD, "\n", types, "\n", &prettyplease::unparse(&functions)].concat())
}

/// Cuts paths to their last name: all types are in the same module.
struct Short;

impl VisitMut for Short {
    fn visit_type_path_mut(&mut self, node: &mut syn::TypePath) {
        if node.path.segments.len() > 1 {
            let last = node.path.segments.pop().expect("a path has a segment").into_value();
            node.path = last.into();
        }
        syn::visit_mut::visit_type_path_mut(self, node);
    }
}
