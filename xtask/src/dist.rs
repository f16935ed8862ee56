//! `cargo xtask dist`: stages the libraries in `target/dist`.
//!
//! Promise: `target/dist/lib` has `libtenure.so.0`, the link `libtenure.so` and `libtenure.a`, from one build with link-time optimisation.
//! Cargo drops that optimisation silently when the same build makes the rlib too. Beside them lies `libtenure_malloc.so`, which is only
//! preloaded. `bin` has the program `tenure`, and `share` its completions and its pages for man.

use crate::malloc;
use crate::tools::{Done, cargo, command, copy, copy_all, io, link, root, run};
use std::path::{Path, PathBuf};

/// The folder of the staged libraries and headers.
pub fn folder() -> PathBuf {
    root().join("target/dist")
}

/// Builds and stages everything.
pub fn stage() -> Done {
    replace(&malloc::build("release")?, &library_folder()?, malloc::LIBRARY)?;
    program()?;
    dynamic()
}

/// The program `tenure`, its completions and its pages for man. Returns the path of the program.
pub fn program() -> Done<PathBuf> {
    let bin = folder().join("bin");
    io(&bin, std::fs::create_dir_all(&bin))?;
    // In a folder of its own: the library with all its kinds must not replace those that other builds made alone.
    let target = root().join("target/command");
    eprintln!("building {PROGRAM} with link-time optimisation: minutes, where much has changed");
    run(cargo()
        .args(["build", "--quiet", "--locked", "--release", "--package", "tenure-command", "--no-default-features"])
        .arg("--target-dir")
        .arg(&target))?;
    replace(&target.join("release").join(PROGRAM), &bin, PROGRAM)?;
    let program = bin.join(PROGRAM);
    run(command(&program).arg("pages").arg(folder().join("share")))?;
    Ok(program)
}

/// The name of the program.
pub const PROGRAM: &str = "tenure";

/// The libraries and the headers: all that the wheel and a program that links them need.
pub fn dynamic() -> Done {
    libraries()?;
    copy_all(&root().join("include"), &folder().join("include"))?;
    // The sources of the C++ headers lie with their binding; programs include them from beside the C header.
    let include = folder().join("include");
    for header in ["tenure.hpp", "tenure_memory.hpp", "tenure_rmm.hpp"] {
        copy(&root().join("bindings/cpp").join(header), &include.join(header))?;
    }
    Ok(())
}

/// The shared and the static library. Returns the path of the shared one.
pub fn libraries() -> Done<PathBuf> {
    let library = library_folder()?;
    // In a folder of its own: other builds make the rlib too, and would replace these.
    let target = root().join("target/libraries");
    eprintln!("building the libraries with link-time optimisation: minutes, where much has changed");
    run(cargo()
        .args(["rustc", "--quiet", "--locked", "--release", "--lib", "--crate-type", "cdylib,staticlib"])
        .arg("--target-dir")
        .arg(&target))?;
    replace(&target.join("release/libtenure.a"), &library, "libtenure.a")?;
    replace(&target.join("release/libtenure.so"), &library, "libtenure.so.0")?;
    link("libtenure.so.0", &folder().join("lib/libtenure.so"))?;
    Ok(library.join("libtenure.so.0"))
}

fn library_folder() -> Done<PathBuf> {
    let library = folder().join("lib");
    io(&library, std::fs::create_dir_all(&library))?;
    Ok(library)
}

/// Puts a file into a folder as `name`. It replaces an existing file, so a program that runs keeps the old one.
pub fn replace(from: &Path, folder: &Path, name: &str) -> Done {
    let new = folder.join(format!("{name}.new"));
    copy(from, &new)?;
    io(&new, std::fs::rename(&new, folder.join(name)))
}
