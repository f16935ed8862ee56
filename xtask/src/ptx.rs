//! `cargo xtask ptx`: compiles the CUDA kernels of the library and of its tests to PTX, which is committed beside their source.
//!
//! Promise: the compiler is pinned, so the PTX is the same on every machine. Its first lines name the command, the compiler with its options,
//! and a hash of the source; tests/kernel_source.rs compares the hash. `--check` compiles again and compares every byte. Both run the PTX by
//! an interpreter, and have ptxas compile it for each generation of GPUs.

use crate::python;
use crate::tools::{Done, command, io, output, read, root, run};
use std::path::PathBuf;

const SOURCE: &str = "src/device_copy/kernels/strided.cu";
const PTX: &str = "src/device_copy/kernels/strided.ptx";
/// The kernels of c-tests/cuda_launch.c.
const TEST_SOURCE: &str = "c-tests/launch_kernels.cu";
const TEST_PTX: &str = "c-tests/launch_kernels.h";
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
    for (path, text) in generated()? {
        io(&root().join(path), std::fs::write(root().join(path), text))?;
    }
    try_out()
}

/// Compares the committed PTX with the sources.
pub fn check() -> Done {
    for (path, text) in generated()? {
        if text != read(path)? {
            return Err(format!(
                "{path} is not what its source compiles to; run `cargo xtask ptx` and commit the result"
            ));
        }
    }
    try_out()
}

/// The committed files: path and text.
fn generated() -> Done<[(&'static str, String); 2]> {
    let tests = compiled(TEST_SOURCE)?;
    let lines = tests.lines().filter(|line| !line.is_empty() && !line.starts_with("//"));
    // A list, because C compilers may refuse long strings.
    let quoted = |line: &str| line.replace('\t', "\\t").replace('"', "\\\"");
    let strings: Vec<String> = lines.map(|line| format!("    \"{}\\n\",\n", quoted(line))).collect();
    let head: Vec<&str> = tests.lines().take_while(|line| *line != "//").collect();
    let header =
        format!("{}\nstatic const char *const LAUNCH_KERNELS[] = {{\n{}}};\n", head.join("\n"), strings.concat());
    Ok([(PTX, compiled(SOURCE)?), (TEST_PTX, header)])
}

fn environment() -> Done<PathBuf> {
    python::prepared(ENVIRONMENT, REQUIREMENTS, read(REQUIREMENTS)?)
}

fn compiled(source: &str) -> Done<String> {
    let python = environment()?;
    let ptx = output(command(python).args(["xtask/ptx/compile.py", "ptx", source, OPTIONS]))?;
    let compiler = read(REQUIREMENTS)?.lines().find(|line| line.contains("nvrtc")).unwrap_or_default().to_owned();
    Ok(format!(
        "// Compiled from {} by `cargo xtask ptx`; do not edit.\n// {compiler} {OPTIONS}\n// source {:016x}\n{ptx}",
        source.rsplit('/').next().unwrap_or_default(),
        hash(&read(source)?)
    ))
}

/// Runs the library's PTX on random cases, by an interpreter; then ptxas compiles all PTX for each GPU.
fn try_out() -> Done {
    run(command(environment()?).args(["xtask/ptx/interpret.py", PTX]))?;
    let tests = root().join("target/launch_kernels.ptx");
    io(&tests, std::fs::write(&tests, compiled(TEST_SOURCE)?))?;
    for ptx in [root().join(PTX), tests] {
        run(command(environment()?).args(["xtask/ptx/compile.py", "ptxas"]).arg(ptx).args(GPUS))?;
    }
    Ok(())
}

/// FNV-1a with 64 bits, as tests/kernel_source.rs computes it too.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
