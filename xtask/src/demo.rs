//! `cargo xtask demo`: `examples/handover`, one buffer in a C and a Python program.
//!
//! Promise: builds only what these need, in `target/demo`: the shared library without linear algebra, the Python
//! package as a folder, and one C file. Says what it builds, and how long that takes.

use crate::run::{compile_in, needs_gcc};
use crate::tools::{Done, cargo, command, copy, files_below, io, link, make_folder_of, root, run};
use crate::{dist, python};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A profile of Cargo.toml: quick to compile.
const PROFILE: &str = "demo";

/// Builds what it needs, and runs it.
pub fn demo() -> Done {
    needs_gcc()?;
    let folder = root().join("target/demo");
    let python = step("NumPy and SciPy", 10, python::environment_for_demo)?;
    let library = step("the library", 20, || library(&folder))?;
    let package = step("its Python module", 20, || package(&folder, &library))?;
    let program = step("the C file", 1, || program(&folder))?;
    run(command(python).env("PYTHONPATH", package).arg("examples/handover/handover.py").arg(program))
}

/// Runs one step and says how long it takes the first time on two cores, and how long it took.
fn step<T>(what: &str, seconds: u32, body: impl FnOnce() -> Done<T>) -> Done<T> {
    let start = Instant::now();
    eprintln!("{what}: about {seconds} s the first time ...");
    let done = body()?;
    eprintln!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// The shared library, under the names by which programs are linked and started.
fn library(folder: &Path) -> Done<PathBuf> {
    let mut build = cargo();
    build.args([
        "rustc",
        "--quiet",
        "--locked",
        "--profile",
        PROFILE,
        "--no-default-features",
        "--features",
        "managed",
    ]);
    run(build.args(["--lib", "--crate-type", "cdylib"]))?;
    let own = folder.join("lib");
    io(&own, std::fs::create_dir_all(&own))?;
    let library = own.join("libtenure.so.0");
    copy(&folder.join("libtenure.so"), &library)?;
    link("libtenure.so.0", &own.join("libtenure.so"))?;
    Ok(library)
}

/// The Python package. Returns the folder that contains it.
fn package(folder: &Path, library: &Path) -> Done<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--profile", PROFILE, "--package", "tenure-python"]);
    run(build.env("TENURE_PYTHON_LIBRARY", library))?;
    let packages = folder.join("python");
    let own = packages.join("tenure");
    let sources = root().join("bindings/python/python/tenure");
    for (source, _) in files_below(&sources)?.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "py"))
    {
        let to = own.join(source.strip_prefix(&sources).expect("below the folder"));
        make_folder_of(&to)?;
        copy(source, &to)?;
    }
    copy(library, &own.join("libtenure.so.0"))?;
    dist::replace(&folder.join("lib_tenure.so"), &own, "_tenure.abi3.so")?;
    Ok(packages)
}

/// The C file, as a shared library that Python loads.
fn program(folder: &Path) -> Done<PathBuf> {
    let program = folder.join("handover.so");
    link(root().join("include"), &folder.join("include"))?;
    compile_in(folder, "examples/handover/handover.c", &program, &["-shared", "-fPIC"])?;
    Ok(program)
}
