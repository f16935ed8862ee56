//! The commands `examples` and `soak`.

use crate::tools::{Done, cargo, command, exists, has, io, named, output, read, root, run, run_unlimited};
use crate::{dist, python, sim};
use std::path::Path;

/// The project's options for C and C++ programs.
const COMPILED: [&str; 7] = ["-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"];

/// The end of the first line of a program in `examples/documents` that needs a GPU.
const NEEDS_GPU: &str = "Needs a GPU. */";

/// Compiles one C or C++ file against `target/dist` with the project's warnings.
pub fn compile(source: &str, program: &Path, extra: &[&str]) -> Done {
    compile_in(&dist::folder(), source, program, extra)
}

/// Compiles one C or C++ file against the `include` and `lib` of a folder.
pub fn compile_in(built: &Path, source: &str, program: &Path, extra: &[&str]) -> Done {
    let (compiler, standard) = if source.ends_with(".cpp") { ("g++", "-std=c++17") } else { ("gcc", "-std=c11") };
    needs(compiler)?;
    let folder = program.parent().expect("a built file lies in a folder");
    io(folder, std::fs::create_dir_all(folder))?;
    let library = built.join("lib");
    let mut compile = command(compiler);
    compile.arg(standard).args(COMPILED).args(extra);
    compile.arg("-I").arg(built.join("include")).arg(source).arg("-o").arg(program);
    compile.arg("-L").arg(&library).arg("-ltenure").args(["-lm", "-ldl"]);
    run(compile.arg(format!("-Wl,-rpath,{}", library.display())))
}

/// Fails early if the C compiler is missing.
pub fn needs_gcc() -> Done {
    needs("gcc")
}

/// Fails early if a compiler is missing.
fn needs(compiler: &str) -> Done {
    if has(compiler) {
        return Ok(());
    }
    Err(format!("{compiler} is not installed; on Debian: apt-get install {compiler}"))
}

/// `cargo xtask examples`: the programs of `examples/` with a C and a Python file each, except the demo, and those
/// that need a GPU.
pub fn examples() -> Done {
    needs_gcc()?;
    on_simulator()?;
    let python = python::installed()?;
    let mut names = named("examples", "", "")?;
    names.retain(|name| name != "handover" && exists(&format!("examples/{name}/{name}.py")));
    if names.is_empty() {
        return Err("examples/ has no folder with a C and a Python program".to_owned());
    }
    names.iter().try_for_each(|name| two_languages(&python, name))
}

/// Runs the C programs of `examples/cuda`, and the C and C++ programs of `examples/documents` that need a GPU, on the
/// simulated driver.
fn on_simulator() -> Done {
    dist::dynamic()?;
    let simulator = sim::stage()?;
    for (folder, end) in [("examples/cuda", ".c"), ("examples/documents", ".c"), ("examples/documents", ".cpp")] {
        for name in named(folder, "", end)? {
            let source = format!("{folder}/{name}");
            let text = read(&source)?;
            if folder == "examples/cuda" || text.lines().next().is_some_and(|head| head.ends_with(NEEDS_GPU)) {
                prints_what_it_says(&source, &text, &simulator)?;
            }
        }
    }
    Ok(())
}

/// Runs a program on a driver, and compares its output with the comment at its end.
fn prints_what_it_says(source: &str, text: &str, driver: &Path) -> Done {
    let program = root().join("target").join(source.replace('.', "_"));
    compile(source, &program, &[])?;
    let printed = output(command(&program).env("LD_LIBRARY_PATH", driver))?;
    let said = text.rsplit_once("/* It prints:\n").and_then(|(_, rest)| rest.split_once("*/"));
    let (said, _) = said.ok_or(format!("{source} does not end with what it prints"))?;
    if printed.trim() != said.trim() {
        return Err(format!("{source} prints\n{printed}and says that it prints\n{said}"));
    }
    println!("{source}: as it says");
    Ok(())
}

/// Builds `examples/name/name.c` as a shared library and runs `name.py` on it.
fn two_languages(python: &Path, name: &str) -> Done {
    let library = root().join(format!("target/examples/{name}.so"));
    compile(&format!("examples/{name}/{name}.c"), &library, &["-shared", "-fPIC"])?;
    run(command(python).arg(format!("examples/{name}/{name}.py")).arg(library))
}

/// `cargo xtask soak`: the model's random traces, until one fails or the user stops it.
pub fn soak() -> Done {
    if !exists("tests/model.rs") {
        return Err("there is no tests/model.rs".to_owned());
    }
    let mut test = cargo();
    test.args(["test", "--locked", "--profile", "soak", "--test", "model", "--", "--ignored", "--nocapture", "soak"]);
    run_unlimited(test.env("TENURE_SOAK", "1"))
}
