//! `cargo xtask dist`: the libraries as they are shipped, in `target/dist`.
//!
//! Promise: `target/dist/lib` has `libtenure.so.0`, the link `libtenure.so` and `libtenure.a`, built with link-time optimisation
//! and nothing else in the same build: cargo drops that optimisation silently while the crate is built as rlib too. Beside them lies
//! `libtenure_malloc.so`, which nothing links.

use crate::malloc;
use crate::tools::{Done, cargo, copy, copy_all, io, link, root, run};
use std::path::{Path, PathBuf};

/// Where the libraries and headers are staged.
pub fn folder() -> PathBuf {
    root().join("target/dist")
}

/// Builds and stages.
pub fn stage() -> Done {
    staged("staticlib", "libtenure.a", "libtenure.a")?;
    replace(&malloc::build("release")?, &folder().join("lib"), malloc::LIBRARY)?;
    dynamic()
}

/// The shared library and the headers: what a program that links it needs, and the wheel.
pub fn dynamic() -> Done {
    shared()?;
    copy_all(&root().join("include"), &folder().join("include"))?;
    // The C++ headers lie with their binding, and are used from beside the C header.
    let include = folder().join("include");
    copy(&root().join("bindings/cpp/tenure_memory.hpp"), &include.join("tenure_memory.hpp"))?;
    copy(&root().join("bindings/cpp/tenure.hpp"), &include.join("tenure.hpp"))
}

/// The shared library alone: half of the time.
pub fn shared() -> Done<PathBuf> {
    let library = staged("cdylib", "libtenure.so", "libtenure.so.0")?;
    link("libtenure.so.0", &folder().join("lib/libtenure.so"))?;
    Ok(library)
}

/// Builds the library of one kind and puts it under its name.
fn staged(kind: &str, built: &str, name: &str) -> Done<PathBuf> {
    let library = folder().join("lib");
    io(&library, std::fs::create_dir_all(&library))?;
    // A folder of its own: in a common one each kind would be built anew after the other.
    let target = root().join("target").join(kind);
    eprintln!("building {built} with link-time optimisation: minutes, where much has changed");
    run(cargo()
        .args(["rustc", "--quiet", "--locked", "--release", "--lib", "--crate-type", kind, "--target-dir"])
        .arg(&target))?;
    let from = target.join("release").join(built);
    // Copied at once: the next build of another kind overwrites it.
    replace(&from, &library, name)?;
    Ok(library.join(name))
}

/// Puts a file into a folder by a name. A program that runs keeps the old one: it is replaced, not written into.
pub fn replace(from: &Path, folder: &Path, name: &str) -> Done {
    let new = folder.join(format!("{name}.new"));
    copy(from, &new)?;
    io(&new, std::fs::rename(&new, folder.join(name)))
}
