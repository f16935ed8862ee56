//! Links the libtenure.so.0 that the wheel ships, and lets the module find it beside itself.
//!
//! The library lies in `python/tenure/` (`cargo xtask wheel` puts it there), or where TENURE_PYTHON_LIBRARY says. The linker wants the
//! name `libtenure.so`, so a link of that name is made in the build folder; what the module records is the SONAME.
use std::path::{Path, PathBuf};

fn main() {
    let staged = || Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("python/tenure/libtenure.so.0");
    let shipped = std::env::var_os("TENURE_PYTHON_LIBRARY").map_or_else(staged, PathBuf::from);
    println!("cargo::rerun-if-env-changed=TENURE_PYTHON_LIBRARY");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", shipped.display());
    if !shipped.exists() {
        println!("cargo::error={} is missing; `cargo xtask wheel` builds and stages it", shipped.display());
        return;
    }
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    let link = folder.join("libtenure.so");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&shipped, &link).expect("the build folder can be written");
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=dylib=tenure");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-rpath,$ORIGIN");
}
