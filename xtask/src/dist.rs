//! `cargo xtask dist`: the libraries as they are shipped, in `target/dist`.
//!
//! Promise: `target/dist/lib` has `libtenure.so.0`, the link `libtenure.so` and `libtenure.a`, built with link-time optimisation
//! and nothing else in the same build: cargo drops that optimisation silently while the crate is built as rlib too.

use crate::tools::{Done, cargo, copy, copy_all, io, root, run};
use std::path::PathBuf;

/// Where the libraries and headers are staged.
pub fn folder() -> PathBuf {
    root().join("target/dist")
}

/// Builds and stages.
pub fn stage() -> Done {
    let library = folder().join("lib");
    let include = folder().join("include");
    io(&library, std::fs::create_dir_all(&library))?;
    // Copied at once: the next build of another kind overwrites it.
    for (kind, built, staged) in
        [("cdylib", "libtenure.so", "libtenure.so.0"), ("staticlib", "libtenure.a", "libtenure.a")]
    {
        // A folder of its own: in a common one each kind would be built anew after the other.
        let target = root().join("target").join(kind);
        eprintln!("building {built} with link-time optimisation: minutes, where much has changed");
        run(cargo()
            .args(["rustc", "--quiet", "--locked", "--release", "--lib", "--crate-type", kind, "--target-dir"])
            .arg(&target))?;
        let from = target.join("release").join(built);
        // A program that runs keeps the old file: it is replaced, not written into.
        let new = library.join(format!("{staged}.new"));
        copy(&from, &new)?;
        io(&new, std::fs::rename(&new, library.join(staged)))?;
    }
    let link = library.join("libtenure.so");
    let _ = std::fs::remove_file(&link);
    io(&link, std::os::unix::fs::symlink("libtenure.so.0", &link))?;
    copy_all(&root().join("include"), &include)?;
    // The C++ headers lie with their binding, and are used from beside the C header.
    copy(&root().join("bindings/cpp/tenure_memory.hpp"), &include.join("tenure_memory.hpp"))?;
    copy(&root().join("bindings/cpp/tenure.hpp"), &include.join("tenure.hpp"))
}
