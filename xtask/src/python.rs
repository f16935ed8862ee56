//! The virtual environment in `target/venv` and `cargo xtask wheel`.
//!
//! Promise: the environment has the packages that `bindings/python/requirements.txt` pins, and is made anew when that
//! file changes. For the demo alone it has few of them; the others are added when they are needed. The wheel has the
//! library and the program of `target/dist`, so C and Python share one.

use crate::dist::{self, Machine, THIS};
use crate::tools::{
    Done, cargo, command, copy, copy_all, each, exists, files_below, has, io, named, output, read, root, run,
};
use crate::{portable, sim};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The Python package's folder.
const PACKAGE: &str = "bindings/python";
/// Pinned packages: those of the demo.
const FOR_DEMO: &str = "bindings/python/requirements-demo.txt";
/// Those, maturin, pytest, the libraries that arrays are exchanged with, and the dependencies of the examples.
const REQUIREMENTS: &str = "bindings/python/requirements.txt";
/// Those and the large packages.
const PEERS: &str = "bindings/python/requirements-peers.txt";
/// The scripts that write the tables of docs/interop.md, of which the second one needs a driver, and docs/migration/numba.md.
const MATRIX: &str = "bindings/python/tests/matrix.py";
const GPU_MATRIX: &str = "bindings/python/tests/gpu_matrix.py";
const NUMBA_NAMES: &str = "bindings/python/tests/numba_names.py";

/// The UMF versions, each in a wheel with headers and library, and the libraries that they depend on.
const UMF: [(&str, &str); 4] = [("umf", "1.0.3"), ("umf", "1.1.0"), ("umf", "1.2.0"), ("tcmlib", "1.6.0")];

/// Why there can be no environment, for the summary, or None.
pub fn missing() -> Option<String> {
    if !exists(REQUIREMENTS) {
        return Some(format!("there is no {REQUIREMENTS}"));
    }
    let probe = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))";
    match Command::new(base()).args(["-c", probe]).output() {
        Err(_) => Some("python3 is not installed".to_owned()),
        Ok(output) if output.status.success() => None,
        Ok(output) if output.stderr.is_empty() => Some("python3 is older than 3.11".to_owned()),
        Ok(_) => Some("python3 has no venv; on Debian: apt-get install python3-venv".to_owned()),
    }
}

/// The Python that makes the environment: that of the variable PYTHON, else python3.
fn base() -> String {
    std::env::var("PYTHON").unwrap_or("python3".to_owned())
}

/// The environment's Python, with the pinned packages installed.
pub fn environment() -> Done<PathBuf> {
    prepared("target/venv", REQUIREMENTS, read(FOR_DEMO)? + &read(REQUIREMENTS)?)
}

/// The environment's Python, with at least the packages of the demo.
pub fn environment_for_demo() -> Done<PathBuf> {
    prepared("target/venv", FOR_DEMO, read(FOR_DEMO)?)
}

/// The Python of a second environment with the large packages too; the first time downloads 3 GB.
fn peers() -> Done<PathBuf> {
    prepared("target/venv-peers", PEERS, read(FOR_DEMO)? + &read(REQUIREMENTS)? + &read(PEERS)?)
}

/// The Python of the environment in `folder` with the packages of `wanted`, the text of its requirements. An
/// environment made for the beginning of this text is completed, one for more than this text is used, and any other is
/// made anew.
pub fn prepared(folder: &str, requirements: &str, wanted: String) -> Done<PathBuf> {
    if let Some(why) = missing() {
        return Err(why);
    }
    let folder = root().join(folder);
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    let have = std::fs::read_to_string(&stamp).unwrap_or_default();
    if python.exists() && have.starts_with(&wanted) {
        return Ok(python);
    }
    if have.is_empty() || !wanted.starts_with(&have) {
        let _ = std::fs::remove_dir_all(&folder);
        run(command(base()).args(["-m", "venv"]).arg(&folder))?;
    }
    // Modules are compiled when they are imported: most never are.
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:"];
    run(command(&python).args(install).args(["-r", requirements]))?;
    io(&stamp, std::fs::write(&stamp, wanted))?;
    Ok(python)
}

/// Downloads UMF's wheels, half a megabyte each, and unpacks them into target/umf for c-tests/umf.
pub fn umf() -> Done {
    let folder = root().join("target/umf");
    let stamp = folder.join("fetched");
    let wanted = format!("{UMF:?}");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let python = environment()?;
    let _ = std::fs::remove_dir_all(&folder);
    for (package, version) in UMF {
        let wheels = folder.join(format!("{package}-{version}.wheel"));
        let download = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
        let which = format!("{package}=={version}");
        run(command(&python).args(download).args(["--no-deps", &which, "--dest"]).arg(&wheels))?;
        let mut found = io(&wheels, std::fs::read_dir(&wheels))?.filter_map(|entry| Some(entry.ok()?.path()));
        let wheel = found.next().ok_or(format!("pip left no wheel of {which}"))?;
        run(command(&python).args(["-m", "zipfile", "-e"]).arg(wheel).arg(&wheels))?;
        // Headers and library are in a folder named like the wheel.
        let to = folder.join(if package == "umf" { format!("umf-{version}") } else { package.to_owned() });
        let from = wheels.join(format!("{package}-{version}.data"));
        io(&to, std::fs::rename(from, &to))?;
    }
    io(&stamp, std::fs::write(&stamp, wanted))
}

/// The package's tests that need a CUDA driver.
pub fn cuda_tests() -> Done<Vec<String>> {
    let folder = format!("{PACKAGE}/tests");
    let names = named(&folder, "test_cuda", ".py")?;
    Ok(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
}

/// Builds the wheel, once in a run, and returns its path.
pub fn wheel() -> Done<PathBuf> {
    static WHEEL: OnceLock<Done<PathBuf>> = OnceLock::new();
    WHEEL.get_or_init(|| build_wheel(THIS)).clone()
}

/// Builds the wheel for a machine, and returns its path. The package's folder then has that machine's library.
pub fn build_wheel(machine: Machine) -> Done<PathBuf> {
    machine.dynamic()?;
    let package = root().join(PACKAGE).join("python/tenure");
    copy_all(&machine.folder().join("include"), &package.join("include"))?;
    copy(&machine.folder().join("lib/libtenure.so.0"), &package.join("libtenure.so.0"))?;
    torch_shim(machine, &package)?;
    script(machine)?;
    let wheels = machine.folder_like(if machine.is_tested() { "target/wheels-tested" } else { "target/wheels" });
    let _ = std::fs::remove_dir_all(&wheels); // so that the folder has exactly one wheel
    let mut maturin = match machine.triple {
        None => {
            let python = environment()?;
            let mut maturin = with_cargo(&python);
            maturin.args(["-m", "maturin", "build", "--interpreter"]).arg(&python);
            maturin
        }
        // The stable interface needs no Python of that machine.
        Some(triple) => portable::maturin(triple)?,
    };
    let profile = if machine.is_tested() { "dev" } else { "release" };
    maturin.args(["--quiet", "--locked", "--profile", profile, "--compatibility", &machine.wheel_tag()]);
    maturin.arg("--manifest-path").arg(root().join(PACKAGE).join("Cargo.toml"));
    run(maturin.arg("--out").arg(&wheels))?;
    let mut found = io(&wheels, std::fs::read_dir(&wheels))?.filter_map(|entry| Some(entry.ok()?.path()));
    found.find(|path| path.extension().is_some_and(|end| end == "whl")).ok_or("maturin left no wheel".to_owned())
}

/// Puts the program `tenure` where maturin takes the wheel's scripts from. A wheel of the tests has none.
fn script(machine: Machine) -> Done {
    let scripts = root().join(PACKAGE).join("data/scripts");
    io(&scripts, std::fs::create_dir_all(&scripts))?;
    if machine.is_tested() {
        let _ = std::fs::remove_file(scripts.join(dist::PROGRAM));
        return Ok(());
    }
    dist::replace(&machine.program()?, &scripts, dist::PROGRAM)
}

/// Compiles the functions that PyTorch loads, beside the library that they use. Without a compiler the wheel has none,
/// nor for musl, which PyTorch does not support.
fn torch_shim(machine: Machine, package: &Path) -> Done {
    let (source, shim) = (root().join(PACKAGE).join("cpp/torch.cpp"), package.join("libtenure_torch.so"));
    if machine.is_musl() {
        let _ = std::fs::remove_file(&shim);
        return Ok(());
    }
    let compiler = format!("{}g++", machine.tools);
    if !has(&compiler) {
        let _ = std::fs::remove_file(&shim);
        println!("{compiler} is not installed: the wheel is built without libtenure_torch.so");
        return Ok(());
    }
    let mut compile = command(compiler);
    compile.args(["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
    compile.args(["-Wl,-rpath,$ORIGIN", "-Wl,-soname,libtenure_torch.so"]).arg("-I").arg(package.join("include"));
    run(compile.arg(source).arg(package.join("libtenure.so.0")).arg("-o").arg(shim))
}

/// The environment's Python with the package built and installed, once in a run.
pub fn installed() -> Done<PathBuf> {
    static INSTALLED: OnceLock<Done<PathBuf>> = OnceLock::new();
    INSTALLED.get_or_init(|| install(environment()?, &wheel()?)).clone()
}

/// As `installed`, in the environment with the large packages.
pub fn installed_with_peers() -> Done<PathBuf> {
    let wheel = wheel()?;
    install(peers()?, &wheel)
}

/// The environment with the large packages if it exists, else the usual one.
pub fn installed_with_most() -> Done<PathBuf> {
    if root().join("target/venv-peers/requirements.txt").exists() { installed_with_peers() } else { installed() }
}

/// Writes docs/interop.md, or compares it, from this package and the libraries of `python`.
pub fn interop(python: &Path, how: &str) -> Done {
    run(command(python).args([NUMBA_NAMES, how, "docs/migration/numba.md"]))?;
    run(command(python).args([MATRIX, how, "docs/interop.md"]))?;
    run(command(python).env("LD_LIBRARY_PATH", sim::stage()?).args([GPU_MATRIX, how, "docs/interop.md"]))
}

/// Builds the wheel and installs it into the environment of `python`.
pub fn installed_into(python: PathBuf) -> Done<PathBuf> {
    let wheel = wheel()?;
    install(python, &wheel)
}

/// Installs the wheel into the environment of `python`.
pub fn install(python: PathBuf, wheel: &Path) -> Done<PathBuf> {
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"];
    run(command(&python).args(install).arg(wheel))?;
    let find = "import tenure, tenure._tenure; print(tenure._tenure.__file__)";
    // Started in the environment's folder, because Python would import the source folder of the same name.
    let module = output(command(&python).args(["-c", find]).current_dir(root().join("target/venv")))?;
    let module = module.trim();
    if !module.contains("/target/venv") {
        return Err(format!("import tenure finds {module}, not the wheel"));
    }
    if has("nm") {
        let defined = output(command("nm").args(["-D", "--defined-only"]).arg(module))?;
        if defined.contains(" tn_") {
            return Err(format!("{module} has functions of the library in itself: a second table of handles"));
        }
    }
    Ok(python)
}

/// Runs the Python blocks of the README and of docs, each as a file `yours.py` that starts with the imports. Compares
/// the output with the text block that follows directly. Returns the number of blocks.
///
/// A block that uses `tenure.cuda` runs on the simulated driver. One that asks whether there is a GPU runs without a
/// driver too. The kernels of a page, in blocks of the language `cuda`, are the file `kernels.cu` of the blocks behind
/// them.
pub fn document_examples(python: &Path) -> Done<usize> {
    let folder = root().join("target/document_examples");
    let _ = std::fs::remove_dir_all(&folder);
    let docs = root().join("docs");
    let mut documents = vec![root().join("README.md")];
    let listed = files_below(&docs)?.into_iter().map(|(path, _)| path);
    documents.extend(listed.filter(|path| path.extension().is_some_and(|end| end == "md")));
    let (simulator, hidden) = (sim::stage()?, sim::none()?);
    let mut examples = Vec::new();
    for document in documents {
        let text = io(&document, std::fs::read_to_string(&document))?;
        for rest in text.split("```python\n").skip(1) {
            let (block, after) = rest.split_once("```").ok_or(format!("{}: an open block", document.display()))?;
            let stem = document.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
            let own = folder.join(format!("{stem}_{}", examples.len()));
            io(&own, std::fs::create_dir_all(&own))?;
            let file = own.join("yours.py");
            io(&file, std::fs::write(&file, format!("import numpy, tenure\n{block}")))?;
            let kernels = kernels_before(&text, block);
            if !kernels.is_empty() {
                let file = own.join("kernels.cu");
                io(&file, std::fs::write(&file, kernels))?;
            }
            let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
            let simulated = ["tenure.cuda", "from tenure import cuda"].iter().any(|name| block.contains(name));
            let drivers = match (simulated, block.contains("is_available()")) {
                (true, true) => vec![Some(&simulator), Some(&hidden)],
                (true, false) => vec![Some(&simulator)],
                (false, _) => vec![None],
            };
            examples.push((own, shown.map(same_for_all), drivers));
        }
    }
    let run = |(own, shown, drivers): &(PathBuf, Option<String>, Vec<Option<&PathBuf>>)| -> Done {
        // By its bare name, which the output has: Python would print an absolute path.
        let start = "exec(compile(open('yours.py').read(), 'yours.py', 'exec'))";
        for driver in drivers {
            let mut program = command(python);
            if let Some(folder) = driver {
                program.env("LD_LIBRARY_PATH", folder);
            }
            let printed = output(program.args(["-c", start]).current_dir(own))?;
            if let Some(shown) = shown.as_ref().filter(|shown| **shown != same_for_all(&printed)) {
                let file = own.join("yours.py");
                return Err(format!("{} prints\n{printed}\nand the document shows\n{shown}", file.display()));
            }
        }
        Ok(())
    };
    each(&examples, run).into_iter().collect::<Done>()?;
    Ok(examples.len())
}

/// The kernels that a document shows before a block of it.
fn kernels_before(text: &str, block: &str) -> String {
    let before = &text[..block.as_ptr() as usize - text.as_ptr() as usize];
    before.split("```cuda\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// The text without the numbers of the process and of threads, which differ in each run.
fn same_for_all(text: &str) -> String {
    let lines = text.trim().lines().map(|line| match line.split_once(", process ") {
        Some((before, _)) => before,
        None => line.trim_end(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let parts = text.split("by thread ").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    parts.collect::<Vec<_>>().join("by thread ")
}

/// A program that calls cargo, with the environment variables that commands give cargo.
pub fn with_cargo(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let clean = cargo();
    let mut command = command(program);
    for (name, value) in clean.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("CARGO", clean.get_program());
    command
}
