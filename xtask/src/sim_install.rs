//! `cargo xtask install --with-simulator --prefix DIR`: installs the simulated CUDA driver into `DIR/cuda-sim`.
//!
//! Promise: the simulator never shadows a real driver by accident. Its `libcuda.so.1` lies in a folder of its own,
//! which no loader, pkg-config or CMake searches. Only `DIR/cuda-sim/bin/with-cuda-sim PROGRAM` puts that folder first,
//! for one program.

use crate::install::check_links;
use crate::tools::{Done, command, copy, exists, io, read, root, run};
use crate::{documents, sim};
use std::path::Path;

/// The folder below the prefix that has all files of the simulator.
pub const OWN: &str = "cuda-sim";
/// The program that starts another one on the simulator.
const STARTER: &str = "bin/with-cuda-sim";

pub fn install(prefix: &Path) -> Done {
    let driver = sim::stage()?;
    let own = prefix.join(OWN);
    sim::place(&driver.join("libcuda.so.1"), &own.join("lib"))?;
    for folder in ["include", "bin"] {
        let folder = own.join(folder);
        io(&folder, std::fs::create_dir_all(&folder))?;
    }
    for (from, to) in
        [("cuda-sim/include/tenure_sim.h", "include/tenure_sim.h"), ("xtask/install/with-cuda-sim", STARTER)]
    {
        copy(&root().join(from), &own.join(to))?;
    }
    let readme = own.join("README.md");
    // The folder has nothing of the repository but what lies below cuda-sim.
    let text =
        documents::keep_links("cuda-sim/README.md", &read("cuda-sim/README.md")?, |target| target.starts_with(OWN));
    io(&readme, std::fs::write(&readme, text))?;
    let starter = own.join(STARTER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    io(&starter, std::fs::set_permissions(&starter, mode))?;
    println!("the simulated driver is in {}; run a program on it with", own.display());
    println!("  {} PROGRAM", starter.display());
    println!("Tenure itself is installed by `cargo xtask install --prefix {}`", prefix.display());
    Ok(())
}

/// Installs the simulator and runs a program with it and without it: only the first finds it. Returns the number of
/// runs.
pub fn check() -> Done<usize> {
    const PROGRAM: &str = "xtask/install/check/simulator.c";
    if !exists(PROGRAM) {
        return Err(format!("there is no {PROGRAM}"));
    }
    let folder = root().join("target/installed-simulator");
    let _ = std::fs::remove_dir_all(&folder);
    install(&folder)?;
    check_links(&folder)?;
    let found = files_named_libcuda(&folder)?;
    if found.iter().any(|path| !path.starts_with(folder.join(OWN).join("lib"))) {
        return Err(format!("a libcuda lies outside of {OWN}/lib: {found:?}"));
    }
    let program = folder.join("program");
    let strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    run(command("gcc").args(strict).arg(PROGRAM).arg("-o").arg(&program).arg("-ldl"))?;
    let starter = folder.join(OWN).join(STARTER);
    run(command(starter).arg(&program).arg("simulated"))?;
    run(command(&program).arg("not").env_remove("LD_LIBRARY_PATH"))?;
    Ok(2)
}

/// The files below a folder whose names begin with `libcuda.`.
fn files_named_libcuda(folder: &Path) -> Done<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in io(folder, std::fs::read_dir(folder))? {
        let path = io(folder, entry)?.path();
        if path.is_dir() {
            found.extend(files_named_libcuda(&path)?);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libcuda.")) {
            found.push(path);
        }
    }
    Ok(found)
}
