//! `cargo xtask sim`: builds the simulated CUDA driver as `target/cuda-sim/libcuda.so.1`.
//!
//! Promise: the folder has only `libcuda.so.1` and the link `libcuda.so`, so it hides no other library of a real
//! driver. Only programs with the folder first in `LD_LIBRARY_PATH` find the simulator.

use crate::dist::replace;
use crate::tools::{Done, cargo, io, link, root, run};
use std::path::{Path, PathBuf};

/// The driver's folder, for `LD_LIBRARY_PATH`.
pub fn folder() -> PathBuf {
    root().join("target/cuda-sim")
}

/// A folder that hides a real driver from programs that have it first in `LD_LIBRARY_PATH`. Its files have the driver's
/// names and are no libraries, so the loader fails on them.
pub fn none() -> Done<PathBuf> {
    let folder = root().join("target/no-driver");
    io(&folder, std::fs::create_dir_all(&folder))?;
    for name in ["libcuda.so.1", "libcuda.so"] {
        let file = folder.join(name);
        io(&file, std::fs::write(&file, "no library\n"))?;
    }
    Ok(folder)
}

/// Builds the driver and puts it into `folder()`.
pub fn stage() -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--package", "tenure-cuda-sim"]))?;
    let folder = folder();
    place(&root().join("target/debug/libcuda_sim.so"), &folder)?;
    Ok(folder)
}

/// Installs a driver in a folder under the names that programs open.
pub fn place(driver: &Path, folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    replace(driver, folder, "libcuda.so.1")?;
    link("libcuda.so.1", &folder.join("libcuda.so"))
}
