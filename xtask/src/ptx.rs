//! `cargo xtask ptx`: compiles CUDA kernels to PTX, which is committed beside their source.
//!
//! Promise: the compiler is pinned, so the PTX is the same on every machine. Its first lines name the command, the compiler with its options,
//! and a hash of the source and of the headers that it includes; tests/kernel_source.rs and tests/tiled_matmul.rs compare the hash. `--check`
//! compiles again and compares every byte. Both run the PTX by an interpreter, and have ptxas compile it for each generation of GPUs. They
//! do the same with the kernels of tests/kernels, whose PTX is not committed.

use crate::python;
use crate::tools::{Done, command, io, output, read, root, run};
use std::path::PathBuf;

/// A source whose PTX is committed.
struct Source {
    /// Its path without the ending: `.cu` is the source, `.ptx` what it compiles to.
    path: &'static str,
    /// The headers that it includes.
    headers: &'static [&'static str],
    options: &'static [&'static str],
    /// The script of `xtask/ptx` that runs the PTX, with its arguments.
    trial: &'static [&'static str],
}

/// compute_70 is the oldest GPU that CUDA 12 compiles for without a warning; drivers compile its PTX for all later ones.
const OLDEST: &str = "--gpu-architecture=compute_70";
/// The folder of tenure_kernel.cuh.
const INCLUDE: &str = "--include-path=include";
/// One GPU of each generation from Volta to Blackwell.
const GPUS: [&str; 9] = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"];

const SOURCES: [Source; 2] = [
    Source {
        path: "src/device_copy/kernels/strided",
        headers: &[],
        options: &[OLDEST],
        trial: &["xtask/ptx/strided.py"],
    },
    Source {
        path: "examples/tiled_matmul/tiled_matmul",
        headers: &["include/tenure_kernel.cuh"],
        options: &[OLDEST, INCLUDE],
        trial: &["xtask/ptx/views.py", "matmul"],
    },
];

/// The kernels that test tenure_kernel.cuh.
const TESTED: &str = "tests/kernels/kernels.cu";
/// Their PTX with each choice of options.
const TESTED_PTX: &str = "target/kernels.ptx";

const REQUIREMENTS: &str = "xtask/ptx/requirements.txt";
const ENVIRONMENT: &str = "target/venv-ptx";

/// Whether the compilers are installed already; a download of 64 MB otherwise.
pub fn is_installed() -> bool {
    root().join(ENVIRONMENT).join("requirements.txt").exists()
}

/// Compiles the kernels and writes the PTX.
pub fn write() -> Done {
    for source in &SOURCES {
        let (file, text) = (root().join(source.ptx()), source.compiled()?);
        io(&file, std::fs::write(&file, text))?;
    }
    try_all()
}

/// Compares the committed PTX with the sources.
pub fn check() -> Done {
    for source in &SOURCES {
        if source.compiled()? != read(&source.ptx())? {
            let (cuda, ptx) = (source.cuda(), source.ptx());
            return Err(format!("{ptx} is not what {cuda} compiles to; run `cargo xtask ptx` and commit the result"));
        }
    }
    try_all()
}

impl Source {
    fn cuda(&self) -> String {
        format!("{}.cu", self.path)
    }

    fn ptx(&self) -> String {
        format!("{}.ptx", self.path)
    }

    /// The PTX with its first lines.
    fn compiled(&self) -> Done<String> {
        let ptx = compiled(&self.cuda(), self.options)?;
        let compiler = read(REQUIREMENTS)?.lines().find(|line| line.contains("nvrtc")).unwrap_or_default().to_owned();
        let (_, name) = self.path.rsplit_once('/').expect("a source lies in a folder");
        let mut text = read(&self.cuda())?;
        for header in self.headers {
            text += &read(header)?;
        }
        Ok(format!(
            "// Compiled from {name}.cu by `cargo xtask ptx`; do not edit.\n// {compiler} {}\n// source {:016x}\n{ptx}",
            self.options.join(" "),
            hash(&text)
        ))
    }
}

fn environment() -> Done<PathBuf> {
    python::prepared(ENVIRONMENT, REQUIREMENTS, read(REQUIREMENTS)?)
}

/// What NVRTC compiles a source to.
fn compiled(source: &str, options: &[&str]) -> Done<String> {
    output(command(environment()?).args(["xtask/ptx/compile.py", "ptx", source]).args(options))
}

/// Runs PTX by an interpreter; then ptxas compiles it for each GPU.
fn try_out(ptx: &str, trial: &[&str]) -> Done {
    run(command(environment()?).args(trial).arg(ptx))?;
    run(command(environment()?).args(["xtask/ptx/compile.py", "ptxas", ptx]).args(GPUS))
}

fn try_all() -> Done {
    for source in &SOURCES {
        try_out(&source.ptx(), source.trial)?;
    }
    for (mode, options) in
        [("tests", &[OLDEST, INCLUDE][..]), ("traps", &[OLDEST, INCLUDE, "--define-macro=TN_KERNEL_CHECK"])]
    {
        let ptx = compiled(TESTED, options)?;
        // However many types use the block memory, it is one symbol (KN-3).
        if ptx.matches(".extern .shared").count() != 1 {
            return Err(format!("{TESTED}: the PTX does not have one symbol of dynamic block memory"));
        }
        let file = root().join(TESTED_PTX);
        io(&file, std::fs::write(&file, ptx))?;
        try_out(TESTED_PTX, &["xtask/ptx/views.py", mode])?;
    }
    Ok(())
}

/// FNV-1a with 64 bits, as the tests compute it too.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
