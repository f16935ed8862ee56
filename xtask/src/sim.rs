//! `cargo xtask sim`: the simulated CUDA driver as programs load it, `target/cuda-sim/libcuda.so.1`.
//!
//! Promise: the folder has `libcuda.so.1` and the link `libcuda.so`, and nothing else: a real driver's other libraries are never
//! shadowed. A program that is started with the folder first in `LD_LIBRARY_PATH` finds the simulator, every other one does not.

use crate::dist::replace;
use crate::tools::{Done, cargo, io, link, root, run};
use std::path::{Path, PathBuf};

/// Where the driver lies, for `LD_LIBRARY_PATH`.
pub fn folder() -> PathBuf {
    root().join("target/cuda-sim")
}

/// Builds the driver and puts it there.
pub fn stage() -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--package", "tenure-cuda-sim"]))?;
    let folder = folder();
    place(&root().join("target/debug/libcuda_sim.so"), &folder)?;
    Ok(folder)
}

/// Puts a driver into a folder, by the names that programs look for.
pub fn place(driver: &Path, folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    replace(driver, folder, "libcuda.so.1")?;
    link("libcuda.so.1", &folder.join("libcuda.so"))
}
