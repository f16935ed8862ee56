//! `cargo xtask header-tools`: five binding generators read `include/tenure.h` unmodified.
//!
//! Promise: of rust-bindgen, cffi, SWIG, zig translate-c and cgo each builds and runs the program of its folder in
//! `tests/header_tools`, and has every function of the header and every constant of a family. A tool that is missing is
//! skipped by name. Everything that is installed or built lies below `target/header-tools`.

use crate::tools::{Done, cargo, command, copy, each, has, io, link, output, read, root, run};
use crate::{abi, python};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = "tests/header_tools";
const REQUIREMENTS: &str = "tests/header_tools/requirements.txt";
const FOLDER: &str = "target/header-tools";

/// The result of a run.
#[derive(Default)]
pub struct Outcome {
    /// Tools that passed.
    pub passed: usize,
    /// Tools that failed, with the reason.
    pub failed: Vec<String>,
    /// Tools that did not run, with the reason.
    pub skipped: Vec<String>,
}

/// The check of a tool: builds and runs its program, and returns a text that has the names of the header.
type Check = fn(&Places) -> Done<String>;

/// Why no tool can run, or None.
pub fn missing() -> Option<String> {
    if !has("gcc") {
        return Some("gcc is not installed".to_owned());
    }
    python::missing()
}

/// Runs all tools and fails with the names of those that failed.
pub fn main() -> Done {
    let outcome = check()?;
    let (failed, skipped) = (outcome.failed.len(), outcome.skipped.len());
    println!("{} tools passed, {failed} failed, {skipped} skipped", outcome.passed);
    if failed == 0 { Ok(()) } else { Err(outcome.failed.join("\n")) }
}

/// Runs all tools.
pub fn check() -> Done<Outcome> {
    let places = Places::prepare()?;
    let names = names()?;
    let mut outcome = Outcome::default();
    let tools: [(&str, Option<String>, Check); 5] = [
        ("rust-bindgen", None, bindgen),
        ("cffi", None, cffi),
        ("SWIG", no_python_header(&places), swig),
        ("zig translate-c", None, zig),
        ("cgo", no_go(), cgo),
    ];
    let run = |(_, missing, check): &(&str, Option<String>, Check)| {
        missing.is_none().then(|| check(&places).and_then(|made| has_all(&names, &made)))
    };
    for ((tool, missing, _), ended) in tools.iter().zip(each(&tools, run)) {
        match ended {
            None => {
                let why = missing.as_deref().unwrap_or_default();
                println!("{tool}: skipped: {why}");
                outcome.skipped.push(format!("{tool}: {why}"));
            }
            Some(Ok(())) => {
                println!("{tool}: {} names, and its program runs", names.len());
                outcome.passed += 1;
            }
            Some(Err(why)) => {
                println!("{tool}: {why}");
                outcome.failed.push(format!("{tool}: {why}"));
            }
        }
    }
    Ok(outcome)
}

/// The functions and constants of the header.
fn names() -> Done<Vec<String>> {
    let other = read("include/tenure_bindings.h")?;
    let symbols = read("abi/symbols.txt")?;
    let functions = symbols.lines().filter(|name| !other.contains(&format!("{name}("))).map(str::to_owned);
    Ok(functions.chain(abi::constants()?).collect())
}

/// Whether every name is a word of the text.
fn has_all(names: &[String], text: &str) -> Done {
    let words: std::collections::HashSet<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let lost: Vec<&str> = names.iter().map(String::as_str).filter(|name| !words.contains(name)).collect();
    if lost.is_empty() {
        Ok(())
    } else {
        Err(format!("lacks {} of {} names: {}", lost.len(), names.len(), lost.join(" ")))
    }
}

/// Paths of the environment.
struct Places {
    /// The environment's Python.
    python: PathBuf,
    /// The folder of all results.
    folder: PathBuf,
    /// The folder of `libtenure.so` and `libtenure.so.0`.
    library: PathBuf,
}

/// The Python of the environment with the tools of PyPI, which tests/languages/zig.rs uses too.
pub fn environment() -> Done<PathBuf> {
    python::prepared("target/header-tools/venv", REQUIREMENTS, read(REQUIREMENTS)?)
}

impl Places {
    /// Installs the tools of PyPI and builds the library.
    fn prepare() -> Done<Places> {
        let python = environment()?;
        run(cargo().args(["build", "--quiet", "--locked", "--lib"]))?;
        let folder = root().join(FOLDER);
        let library = folder.join("lib");
        io(&library, std::fs::create_dir_all(&library))?;
        for name in ["libtenure.so", "libtenure.so.0"] {
            link(root().join("target/debug/libtenure.so"), &library.join(name))?;
        }
        Ok(Places { python, folder, library })
    }

    /// A tool's folder, with a copy of its sources.
    fn work(&self, tool: &str, sources: &[&str]) -> Done<PathBuf> {
        let folder = self.folder.join(tool);
        io(&folder, std::fs::create_dir_all(&folder))?;
        for name in sources {
            copy(&root().join(SOURCES).join(tool).join(name), &folder.join(name))?;
        }
        Ok(folder)
    }

    /// A command that finds the header and the library.
    fn with_library<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("TENURE_INCLUDE", root().join("include")).env("TENURE_LIB", &self.library);
        command.env("LD_LIBRARY_PATH", &self.library)
    }

    fn program(&self, path: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut program = command(path);
        self.with_library(&mut program);
        program
    }
}

fn include() -> String {
    format!("-I{}", root().join("include").display())
}

/// Runs a build script that writes the bindings, and returns them.
fn bindgen(places: &Places) -> Done<String> {
    let folder = places.work("rust", &[])?;
    let bindings = folder.join("bindings.rs");
    let site =
        output(command(&places.python).args(["-c", "import clang, os; print(os.path.dirname(clang.__file__))"]))?;
    let mut cargo = cargo();
    places.with_library(&mut cargo).args(["run", "--quiet", "--locked", "--manifest-path"]);
    cargo.arg(root().join(SOURCES).join("rust/Cargo.toml")).arg("--target-dir").arg(folder.join("target"));
    cargo.env("LIBCLANG_PATH", Path::new(site.trim()).join("native")).env("TENURE_BINDINGS", &bindings);
    cargo.env("COMPILER_INCLUDE", output(command("gcc").arg("-print-file-name=include"))?.trim());
    run(&mut cargo)?;
    io(&bindings, std::fs::read_to_string(&bindings))
}

/// The program prints the names.
fn cffi(places: &Places) -> Done<String> {
    output(places.program(&places.python).arg(root().join(SOURCES).join("cffi/program.py")))
}

/// Why the module that SWIG writes cannot be compiled, or None.
fn no_python_header(places: &Places) -> Option<String> {
    let path = python_include(places).ok()?;
    let there = Path::new(&path).join("Python.h").exists();
    (!there).then(|| "Python.h is missing; on Debian: apt-get install python3-dev".to_owned())
}

fn python_include(places: &Places) -> Done<String> {
    let path = "import sysconfig; print(sysconfig.get_path('include'))";
    Ok(output(command(&places.python).args(["-c", path]))?.trim().to_owned())
}

/// Builds a Python module, whose program prints its names.
fn swig(places: &Places) -> Done<String> {
    let folder = places.work("swig", &["tenure.i", "program.py"])?;
    let swig = places.python.with_file_name("swig");
    // Warning 451: a module that sets a text field of a struct leaks the old text. The test programs set none.
    run(Command::new(swig).current_dir(&folder).args(["-python", "-Werror", "-w451", &include(), "tenure.i"]))?;
    let mut gcc = Command::new("gcc");
    gcc.current_dir(&folder).args(["-shared", "-fPIC", "-O0", "-w", &include()]);
    gcc.arg(format!("-I{}", python_include(places)?)).args(["tenure_wrap.c", "-o", "_tenure.so"]);
    run(gcc.arg("-L").arg(&places.library).arg("-ltenure"))?;
    output(places.program(&places.python).arg(folder.join("program.py")))
}

/// Translates the header into Zig and returns the translation.
fn zig(places: &Places) -> Done<String> {
    let folder = places.work("zig", &["program.zig"])?;
    let zig = || {
        let mut zig = Command::new(&places.python);
        zig.current_dir(&folder).args(["-m", "ziglang"]);
        // A cache of its own, because the home folder may not be writable.
        zig.env("ZIG_GLOBAL_CACHE_DIR", folder.join("cache")).env("ZIG_LOCAL_CACHE_DIR", folder.join("cache"));
        zig
    };
    let translated = output(zig().args(["translate-c", "-lc", &include()]).arg(root().join("include/tenure.h")))?;
    let file = folder.join("tenure.zig");
    io(&file, std::fs::write(&file, &translated))?;
    let mut build = zig();
    build.args(["build-exe", "program.zig", "-lc", "-ltenure", "-L"]).arg(&places.library);
    run(build.arg("-rpath").arg(&places.library))?;
    run(&mut places.program(folder.join("program")))?;
    Ok(translated)
}

fn no_go() -> Option<String> {
    let there = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    (!there).then(|| "go is not installed; on Debian: apt-get install golang-go".to_owned())
}

/// cgo writes no list of names, so a second file uses each name and is compiled with the program.
fn cgo(places: &Places) -> Done<String> {
    let folder = places.work("go", &["go.mod", "program.go"])?;
    let names = names()?;
    let used: String = names
        .iter()
        .map(|name| {
            if name.starts_with("tn_") {
                format!("\tC.{name},\n")
            } else {
                format!("\tuint64(C.{name} & 0x7fffffffffffffff),\n")
            }
        })
        .collect();
    let (functions, constants): (Vec<&str>, Vec<&str>) =
        used.lines().partition(|line| line.trim_start().starts_with("C.tn_"));
    let functions: String =
        functions.iter().map(|line| format!("\tunsafe.Pointer({}),\n", line.trim().trim_end_matches(','))).collect();
    let text = format!(
        "package main\n\n// #include <tenure.h>\nimport \"C\"\nimport \"unsafe\"\n\n\
         var functions = []unsafe.Pointer{{\n{functions}}}\n\nvar constants = []uint64{{\n{}\n}}\n",
        constants.join("\n")
    );
    let file = folder.join("names.go");
    io(&file, std::fs::write(&file, &text))?;
    let mut go = Command::new("go");
    go.current_dir(&folder).args(["build", "-o", "program", "."]);
    go.env("CGO_ENABLED", "1").env("CGO_CFLAGS", format!("-O0 {}", include())).env("GO111MODULE", "on");
    go.env("CGO_LDFLAGS", format!("-L{}", places.library.display()));
    go.env("GOCACHE", folder.join("cache")).env("GOPATH", folder.join("path")).env("GOFLAGS", "-mod=mod");
    run(&mut go)?;
    run(&mut places.program(folder.join("program")))?;
    Ok(text)
}
