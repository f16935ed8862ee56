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

/// A folder that hides the driver which the machine may have from programs that have it first in `LD_LIBRARY_PATH`: what is called like
/// that in it is no library, and the loader looks no further.
pub fn none() -> Done<PathBuf> {
    let folder = root().join("target/no-driver");
    io(&folder, std::fs::create_dir_all(&folder))?;
    for name in ["libcuda.so.1", "libcuda.so"] {
        let file = folder.join(name);
        io(&file, std::fs::write(&file, "no library\n"))?;
    }
    Ok(folder)
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
