//! `cargo xtask install --with-simulator --prefix DIR`: the simulated CUDA driver below `DIR/cuda-sim`, apart from all else.
//!
//! Promise: the simulator never shadows a real driver by accident. Its `libcuda.so.1` lies in a folder of its own, in which no loader,
//! pkg-config or CMake looks; only `DIR/cuda-sim/bin/with-cuda-sim PROGRAM` puts that folder in front for one program.

use crate::sim;
use crate::tools::{Done, command, copy, exists, io, root, run};
use std::path::Path;

/// Below the prefix: everything of the simulator.
pub const OWN: &str = "cuda-sim";
/// The program that starts others on it.
const STARTER: &str = "bin/with-cuda-sim";

/// Puts the simulator below `prefix/cuda-sim`.
pub fn install(prefix: &Path) -> Done {
    let driver = sim::stage()?;
    let own = prefix.join(OWN);
    sim::place(&driver.join("libcuda.so.1"), &own.join("lib"))?;
    for folder in ["include", "bin"] {
        let folder = own.join(folder);
        io(&folder, std::fs::create_dir_all(&folder))?;
    }
    for (from, to) in [
        ("cuda-sim/README.md", "README.md"),
        ("cuda-sim/include/tenure_sim.h", "include/tenure_sim.h"),
        ("xtask/install/with-cuda-sim", STARTER),
    ] {
        copy(&root().join(from), &own.join(to))?;
    }
    let starter = own.join(STARTER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    io(&starter, std::fs::set_permissions(&starter, mode))?;
    println!("the simulated driver is in {}; run a program on it with", own.display());
    println!("  {} PROGRAM", starter.display());
    println!("Tenure itself is installed by `cargo xtask install --prefix {}`", prefix.display());
    Ok(())
}

/// Installs it and runs a program with and without: it is found where it is asked for, and nowhere else. How many programs ran.
pub fn check() -> Done<usize> {
    const PROGRAM: &str = "xtask/install/check/simulator.c";
    if !exists(PROGRAM) {
        return Err(format!("there is no {PROGRAM}"));
    }
    let folder = root().join("target/installed-simulator");
    let _ = std::fs::remove_dir_all(&folder);
    install(&folder)?;
    let found = programs_named_libcuda(&folder)?;
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

/// Every file below a folder whose name begins with libcuda.
fn programs_named_libcuda(folder: &Path) -> Done<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in io(folder, std::fs::read_dir(folder))? {
        let path = io(folder, entry)?.path();
        if path.is_dir() {
            found.extend(programs_named_libcuda(&path)?);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libcuda.")) {
            found.push(path);
        }
    }
    Ok(found)
}
