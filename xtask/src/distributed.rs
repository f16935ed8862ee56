//! The environment in `target/venv-distributed`, and the programs of `examples/mpi`.
//!
//! Promise: the environment has the packages that `bindings/python/requirements-distributed.txt` pins, the wheel, and
//! MPI libraries with their compilers and launchers. These are wheels too. They share names such as `bin/mpiexec`, so
//! each one has the folder `mpi/<name>` there.

use crate::tools::{Done, command, has, io, printed, read, root, run};
use crate::{dist, python};
use std::path::{Path, PathBuf};
use std::process::Command;

const REQUIREMENTS: &str = "bindings/python/requirements-distributed.txt";
/// The MPI libraries.
const MPIS: [(&str, &str); 2] = [("mpich", "5.0.2"), ("openmpi", "5.0.11")];
/// What pytest runs without a CUDA driver.
pub const TESTS: &[&str] = &["bindings/python/tests/distributed", "--ignore-glob=*_cuda.py"];
/// What it runs on the simulated driver: arrays on GPUs in Dask's messages, and the page's block on NCCL.
pub const SIMULATED: &[&str] = &[
    "bindings/python/tests/distributed/test_dask_cuda.py",
    "bindings/python/tests/distributed/test_page.py::test_blocks_print_what_the_page_shows[nccl]",
];
/// The C program, and what it is built of.
const PROGRAM: &str = "examples/mpi/halo.c";
const SOURCES: [&str; 2] = [PROGRAM, "examples/mpi/messages.c"];

/// Why the stage cannot run, or None.
pub fn missing() -> Option<String> {
    let gcc = (!has("gcc")).then(|| "gcc is not installed; on Debian: apt-get install gcc".to_owned());
    python::missing().or(gcc)
}

/// The environment's Python, with the pinned packages and MPI libraries.
pub fn environment() -> Done<PathBuf> {
    let python = python::prepared("target/venv-distributed", REQUIREMENTS, read(REQUIREMENTS)?)?;
    for (name, version) in MPIS {
        let folder = folder_of(&python, name);
        let stamp = folder.join("version");
        if std::fs::read_to_string(&stamp).is_ok_and(|have| have == version) {
            continue;
        }
        let _ = std::fs::remove_dir_all(&folder);
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
        let which = format!("{name}=={version}");
        run(command(&python).args(install).args(["--no-deps", &which, "--prefix"]).arg(&folder))?;
        io(&stamp, std::fs::write(&stamp, version))?;
    }
    Ok(python)
}

/// The environment's Python, with the package built and installed.
pub fn installed() -> Done<PathBuf> {
    python::installed_into(environment()?)
}

/// The folder of an MPI library.
fn folder_of(python: &Path, name: &str) -> PathBuf {
    python.parent().and_then(Path::parent).expect("the environment's Python is in its bin").join("mpi").join(name)
}

/// Builds the C program with each MPI library, runs it with four processes, and compares what it prints with the
/// comment at its end. Returns the number of runs.
pub fn examples(python: &Path) -> Done<usize> {
    dist::dynamic()?;
    let text = read(PROGRAM)?;
    let said = text.rsplit_once("/* It prints:\n").and_then(|(_, rest)| rest.split_once("*/"));
    let (said, _) = said.ok_or(format!("{PROGRAM} does not end with what it prints"))?;
    for (name, _) in MPIS {
        let folder = folder_of(python, name);
        let program = root().join("target/examples").join(format!("halo-{name}"));
        compile(&folder, &program)?;
        let mut launch = launcher(python, name);
        let done = printed(launch.args(["-n", "4"]).arg(&program))?;
        if !done.status.is_some_and(|status| status.success()) {
            return Err(format!("{PROGRAM} with {name} fails:\n{}{}", done.stdout, done.stderr));
        }
        if done.stdout.trim() != said.trim() {
            return Err(format!("{PROGRAM} with {name} prints\n{}and says that it prints\n{said}", done.stdout));
        }
        println!("{PROGRAM} with {name}: as it says");
    }
    Ok(MPIS.len())
}

/// Compiles the program with the library's mpicc.
fn compile(mpi: &Path, program: &Path) -> Done {
    let folder = program.parent().expect("a built file lies in a folder");
    io(folder, std::fs::create_dir_all(folder))?;
    let library = dist::folder().join("lib");
    let mut mpicc = command(mpi.join("bin/mpicc"));
    mpicc.args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).args(SOURCES);
    mpicc.arg("-I").arg(dist::folder().join("include")).arg("-o").arg(program);
    mpicc.arg("-L").arg(&library).args(["-ltenure", "-lm"]);
    // Its own library, where mpicc gives no path.
    mpicc.arg(format!("-Wl,-rpath,{}:{}", library.display(), mpi.join("lib").display()));
    run(&mut mpicc)
}

/// The launcher of an MPI library, for programs in C and in Python, also for root and for more processes than cores.
pub fn launcher(python: &Path, name: &str) -> Command {
    let mpi = folder_of(python, name);
    let mut launch = command(mpi.join("bin/mpiexec"));
    let library = if name == "openmpi" { "lib/libmpi.so.40" } else { "lib/libmpi.so.12" };
    launch.env("MPI4PY_LIBMPI", mpi.join(library));
    if name == "openmpi" {
        launch.arg("--oversubscribe");
        launch.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    }
    launch
}
