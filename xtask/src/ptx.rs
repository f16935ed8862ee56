//! `cargo xtask ptx`: compiles the CUDA kernels of the library to PTX, which is committed beside their source.
//!
//! Promise: the compiler is pinned, so the PTX is the same on every machine. Its first lines name the command, the compiler with its options,
//! and a hash of the source; tests/kernel_source.rs compares the hash. `--check` compiles again and compares every byte. Both run the PTX by
//! an interpreter, and have ptxas compile it for each generation of GPUs.

use crate::python;
use crate::tools::{Done, command, io, output, read, root, run};
use std::path::PathBuf;

const SOURCE: &str = "src/device_copy/kernels/strided.cu";
const PTX: &str = "src/device_copy/kernels/strided.ptx";
const REQUIREMENTS: &str = "xtask/ptx/requirements.txt";
const ENVIRONMENT: &str = "target/venv-ptx";
/// compute_70 is the oldest GPU that CUDA 12 compiles for without a warning; drivers compile its PTX for all later ones.
const OPTIONS: &str = "--gpu-architecture=compute_70";
/// One GPU of each generation from Volta to Blackwell.
const GPUS: [&str; 9] = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"];

/// Whether the compilers are installed already; a download of 64 MB otherwise.
pub fn is_installed() -> bool {
    root().join(ENVIRONMENT).join("requirements.txt").exists()
}

/// Compiles the kernels and writes the PTX.
pub fn write() -> Done {
    let text = compiled()?;
    io(&root().join(PTX), std::fs::write(root().join(PTX), text))?;
    try_out()
}

/// Compares the committed PTX with the source.
pub fn check() -> Done {
    if compiled()? != read(PTX)? {
        return Err(format!("{PTX} is not what {SOURCE} compiles to; run `cargo xtask ptx` and commit the result"));
    }
    try_out()
}

fn environment() -> Done<PathBuf> {
    python::prepared(ENVIRONMENT, REQUIREMENTS, read(REQUIREMENTS)?)
}

fn compiled() -> Done<String> {
    let python = environment()?;
    let ptx = output(command(python).args(["xtask/ptx/compile.py", "ptx", SOURCE, OPTIONS]))?;
    let compiler = read(REQUIREMENTS)?.lines().find(|line| line.contains("nvrtc")).unwrap_or_default().to_owned();
    Ok(format!(
        "// Compiled from strided.cu by `cargo xtask ptx`; do not edit.\n// {compiler} {OPTIONS}\n// source {:016x}\n{ptx}",
        hash(&read(SOURCE)?)
    ))
}

/// Runs the PTX on random cases, by an interpreter; then ptxas compiles it for each GPU.
fn try_out() -> Done {
    run(command(environment()?).args(["xtask/ptx/interpret.py", PTX]))?;
    run(command(environment()?).args(["xtask/ptx/compile.py", "ptxas", PTX]).args(GPUS))
}

/// FNV-1a with 64 bits, as tests/kernel_source.rs computes it too.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
