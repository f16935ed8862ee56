//! `cargo xtask ptx`: compiles CUDA kernels to PTX, which is committed.
//!
//! Promise: the compiler is pinned, so the PTX is the same on every machine. Its first lines name the command, the
//! compiler with its options, and a hash of the source and of the headers that it includes;
//! tests/kernel_{source,header}.rs and tests/languages/tiled_matmul.rs compare the hash. `--check` compiles again and
//! compares every byte. Both run the PTX by an interpreter, and have ptxas compile it for each generation of GPUs.

use crate::python;
use crate::tools::{Done, command, each, io, output, read, root, run};
use std::path::{Path, PathBuf};

/// Kernels in CUDA C++.
struct Source {
    cuda: &'static str,
    /// The headers that it includes.
    headers: &'static [&'static str],
    options: &'static [&'static str],
    /// The files that have its PTX: `.ptx` as it is, `.h` as strings for C programs that carry it.
    committed: &'static [&'static str],
    /// The script of `xtask/ptx` that runs the PTX, with its arguments; or nothing.
    trial: &'static [&'static str],
}

/// compute_70 is the oldest GPU that CUDA 12 compiles for without a warning; drivers compile its PTX for all later
/// ones.
const OLDEST: &str = "--gpu-architecture=compute_70";
/// The folder of tenure_kernel.cuh.
const INCLUDE: &str = "--include-path=include";
const KERNEL_HEADER: &str = "include/tenure_kernel.cuh";
/// One GPU of each generation from Volta to Blackwell.
const GPUS: [&str; 9] = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"];

const SOURCES: [Source; 5] = [
    // The kernels that the library carries.
    Source {
        cuda: "src/device_copy/kernels/strided.cu",
        headers: &[],
        options: &[OLDEST],
        committed: &["src/device_copy/kernels/strided.ptx"],
        trial: &["xtask/ptx/strided.py"],
    },
    Source {
        cuda: "c-tests/launch_kernels.cu",
        headers: &[],
        options: &[OLDEST],
        committed: &["c-tests/launch_kernels.h"],
        trial: &[],
    },
    Source {
        cuda: "examples/tiled_matmul/tiled_matmul.cu",
        headers: &[KERNEL_HEADER],
        options: &[OLDEST, INCLUDE],
        committed: &["examples/tiled_matmul/tiled_matmul.ptx"],
        trial: &["xtask/ptx/views.py", "matmul"],
    },
    // The kernels that test tenure_kernel.cuh, without and with checks.
    Source {
        cuda: "tests/kernels/kernels.cu",
        headers: &[KERNEL_HEADER],
        options: &[OLDEST, INCLUDE],
        committed: &["tests/kernels/kernels.ptx"],
        trial: &["xtask/ptx/views.py", "tests"],
    },
    Source {
        cuda: "tests/kernels/kernels.cu",
        headers: &[KERNEL_HEADER],
        options: &[OLDEST, INCLUDE, "--define-macro=TN_KERNEL_CHECK"],
        committed: &[],
        trial: &["xtask/ptx/views.py", "traps"],
    },
];

const REQUIREMENTS: &str = "xtask/ptx/requirements.txt";
const ENVIRONMENT: &str = "target/venv-ptx";

/// Whether the compilers are installed already; a download of 64 MB otherwise.
pub fn is_installed() -> bool {
    root().join(ENVIRONMENT).join("requirements.txt").exists()
}

/// Compiles the kernels and writes the PTX.
pub fn write() -> Done {
    let python = environment()?;
    all(|source| {
        let ptx = source.compiled(&python)?;
        for path in source.committed {
            io(&root().join(path), std::fs::write(root().join(path), formed(path, &ptx)))?;
        }
        source.try_out(&python, &ptx)
    })
}

/// Compares the committed PTX with the sources.
pub fn check() -> Done {
    let python = environment()?;
    all(|source| {
        let ptx = source.compiled(&python)?;
        for path in source.committed {
            if formed(path, &ptx) != read(path)? {
                let cuda = source.cuda;
                return Err(format!(
                    "{path} is not what {cuda} compiles to; run `cargo xtask ptx` and commit the result"
                ));
            }
        }
        source.try_out(&python, &ptx)
    })
}

/// Does it with all sources; the first error.
fn all(work: impl Fn(&Source) -> Done + Sync) -> Done {
    each(&SOURCES, work).into_iter().collect()
}

impl Source {
    /// What NVRTC compiles it to, with its first lines.
    fn compiled(&self, python: &Path) -> Done<String> {
        let nvrtc = ["xtask/ptx/compile.py", "ptx", self.cuda];
        let ptx = output(command(python).args(nvrtc).args(self.options))?;
        let compiler = read(REQUIREMENTS)?.lines().find(|line| line.contains("nvrtc")).unwrap_or_default().to_owned();
        let mut text = read(self.cuda)?;
        for header in self.headers {
            text += &read(header)?;
        }
        // However many types use the dynamic block memory, it is one symbol (KN-3).
        if ptx.matches(".extern .shared").count() > 1 {
            return Err(format!("{}: several symbols of dynamic block memory", self.cuda));
        }
        Ok(format!(
            "// Compiled from {} by `cargo xtask ptx`; do not edit.\n// {compiler} {}\n// source {:016x}\n{ptx}",
            self.cuda.rsplit('/').next().unwrap_or_default(),
            self.options.join(" "),
            hash(&text)
        ))
    }

    /// Runs the PTX by an interpreter; then ptxas compiles it for each GPU.
    fn try_out(&self, python: &Path, ptx: &str) -> Done {
        let folder = root().join("target/kernels");
        io(&folder, std::fs::create_dir_all(&folder))?;
        let file = folder.join(format!("{:016x}.ptx", hash(ptx)));
        io(&file, std::fs::write(&file, ptx))?;
        if !self.trial.is_empty() {
            run(command(python).args(self.trial).arg(&file))?;
        }
        let used = output(command(python).args(["xtask/ptx/compile.py", "ptxas"]).arg(&file).args(GPUS))?;
        println!("{}\n{used}", self.cuda);
        Ok(())
    }
}

fn environment() -> Done<PathBuf> {
    python::prepared(ENVIRONMENT, REQUIREMENTS, read(REQUIREMENTS)?)
}

/// The content of a committed file. A header has an array of the PTX's lines that is named like the file.
fn formed(path: &str, ptx: &str) -> String {
    if !path.ends_with(".h") {
        return ptx.to_owned();
    }
    let name = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().to_uppercase();
    let head: Vec<&str> = ptx.lines().take_while(|line| *line != "//").collect();
    let lines = ptx.lines().filter(|line| !line.is_empty() && !line.starts_with("//"));
    // An array, because C compilers may refuse long strings.
    let quoted = |line: &str| line.replace('\t', "\\t").replace('"', "\\\"");
    let strings: String = lines.map(|line| format!("    \"{}\\n\",\n", quoted(line))).collect();
    format!("{}\nstatic const char *const {name}[] = {{\n{strings}}};\n", head.join("\n"))
}

/// FNV-1a with 64 bits, as the tests compute it too.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
