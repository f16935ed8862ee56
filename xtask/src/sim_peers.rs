//! `cargo xtask sim-peers`: tests of other projects, written for NVIDIA's driver, on the simulated one; and Tenure's
//! arrays in them. `docs/simulator-peers.md` has the results.
//!
//! Promise: the packages come from the package index, pinned and unchanged, into an environment of their own. The
//! package of this project is installed beside them. PyCUDA has no wheels: it is built here from its source
//! distribution with NVIDIA's headers and linked with the simulator.

use crate::python;
use crate::sim;
use crate::tools::{Done, command, exists, has, io, output, read, root, run};
use std::path::{Path, PathBuf};

const FOLDER: &str = "cuda-sim/peers";
const REQUIREMENTS: &str = "cuda-sim/peers/requirements.txt";
/// The committed results.
const TABLE: &str = "docs/simulator-peers.md";
const PYCUDA_VERSION: &str = "2026.1";
/// pip prints errors only.
const QUIET: [&str; 2] = ["--quiet", "--disable-pip-version-check"];

/// Runs all tests and writes the table, or with `--check` compares with it. With names, runs only the test files whose
/// names contain one.
pub fn all(options: &[&str]) -> Done {
    if let Some(why) = missing() {
        return Err(why);
    }
    let driver = sim::stage()?;
    let python = python::prepared("target/venv-sim", REQUIREMENTS, read(REQUIREMENTS)?)?;
    let python = python::install(python, &python::wheel()?)?;
    let pycuda = pycuda(&python, &driver)?;
    let python = python::installed_into(python)?;
    let names: Vec<&&str> = options.iter().filter(|option| **option != "--check").collect();
    let how = if names.len() == options.len() { "--write" } else { "--check" };
    let mut tests = on_the_simulator(&python, &driver);
    tests.arg(format!("{FOLDER}/run.py")).args([how, TABLE, "--pycuda"]).arg(pycuda).args(names);
    run(&mut tests)
}

/// Runs the tests of cuda.bindings alone, in the gate's Python environment; takes seconds.
pub fn smoke(python: &Path) -> Done<std::process::Command> {
    let driver = sim::stage()?;
    let mut tests = on_the_simulator(python, &driver);
    tests.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]);
    tests.args(["-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"]);
    tests.arg(format!("{FOLDER}/test_bindings.py"));
    Ok(tests)
}

/// Why the tests cannot run here; None: they can.
pub fn missing() -> Option<String> {
    if !exists(REQUIREMENTS) {
        return Some(format!("there is no {REQUIREMENTS}"));
    }
    let compiler = (!has("g++")).then_some("g++ is not installed, which builds PyCUDA; on Debian: apt-get install g++");
    compiler.map(str::to_owned).or_else(python::missing)
}

/// A Python whose `libcuda.so` is the simulator's.
fn on_the_simulator(python: &Path, driver: &Path) -> std::process::Command {
    let mut command = command(python);
    command.env("LD_LIBRARY_PATH", driver).env_remove("PYTHONPATH").env_remove("CUDA_VISIBLE_DEVICES");
    // A CUDA toolkit on this machine would compile kernels, which the simulator cannot run.
    command.env_remove("CUDA_HOME").env_remove("CUDA_PATH").env_remove("CUDA_ROOT");
    command
}

/// Builds and installs PyCUDA; returns its unpacked source distribution. Takes two minutes the first time.
fn pycuda(python: &Path, driver: &Path) -> Done<PathBuf> {
    let folder = root().join("target/pycuda");
    let source = folder.join(format!("pycuda-{PYCUDA_VERSION}"));
    let stamp = root().join("target/venv-sim/pycuda");
    if source.exists() && std::fs::read_to_string(&stamp).is_ok_and(|have| have == PYCUDA_VERSION) {
        return Ok(source);
    }
    println!("building PyCUDA {PYCUDA_VERSION}");
    let _ = std::fs::remove_dir_all(&folder);
    let pip = || {
        let mut pip = command(python);
        pip.args(["-m", "pip"]);
        pip
    };
    let plain = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest"];
    run(pip().arg("download").args(QUIET).args(plain).arg(&folder).arg(format!("pycuda=={PYCUDA_VERSION}")))?;
    run(command("tar").arg("-xf").arg(folder.join(format!("pycuda-{PYCUDA_VERSION}.tar.gz"))).arg("-C").arg(&folder))?;
    let path = |option: &str, path: &Path| format!("{option}={}", path.display());
    let mut configure = command(python);
    configure.current_dir(&source).args(["configure.py", "--cudadrv-libname=cuda", "--no-cuda-enable-curand"]);
    let find = "import nvidia.cu13; print(nvidia.cu13.__path__[0])";
    let cuda = PathBuf::from(output(command(python).args(["-c", find]))?.trim());
    configure.arg(path("--cuda-inc-dir", &cuda.join("include")));
    run(configure.arg(path("--cudadrv-lib-dir", driver)))?;
    let build = ["--no-deps", "--no-build-isolation", "--force-reinstall"];
    run(pip().current_dir(&source).arg("install").args(QUIET).args(build).arg("."))?;
    io(&stamp, std::fs::write(&stamp, PYCUDA_VERSION))?;
    Ok(source)
}
