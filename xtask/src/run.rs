//! The commands `examples` and `soak`.

use crate::tools::{Done, cargo, command, exists, has, io, named, output, read, root, run, run_unlimited};
use crate::{dist, python, sim};
use std::path::Path;

/// The project's options for C programs.
const COMPILED: [&str; 8] = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"];

/// Compiles one C file against `target/dist` with the project's warnings.
pub fn compile(source: &str, program: &Path, extra: &[&str]) -> Done {
    compile_in(&dist::folder(), source, program, extra)
}

/// Compiles one C file against the `include` and `lib` of a folder.
pub fn compile_in(built: &Path, source: &str, program: &Path, extra: &[&str]) -> Done {
    needs_gcc()?;
    let folder = program.parent().expect("a built file lies in a folder");
    io(folder, std::fs::create_dir_all(folder))?;
    let library = built.join("lib");
    let mut gcc = command("gcc");
    gcc.args(COMPILED).args(extra);
    gcc.arg("-I").arg(built.join("include")).arg(source).arg("-o").arg(program);
    gcc.arg("-L").arg(&library).arg("-ltenure").args(["-lm", "-ldl"]);
    run(gcc.arg(format!("-Wl,-rpath,{}", library.display())))
}

/// Fails early if a tool is missing.
pub fn needs_gcc() -> Done {
    if has("gcc") { Ok(()) } else { Err("gcc is not installed; on Debian: apt-get install gcc".to_owned()) }
}

/// `cargo xtask examples`: the programs of `examples/` with a C and a Python file each, except the demo, and those of
/// `examples/cuda`.
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

/// Runs the C programs of `examples/cuda` on the simulated driver and compares their output with the comment at their
/// end.
fn on_simulator() -> Done {
    dist::dynamic()?;
    let simulator = sim::stage()?;
    let folder = root().join("examples/cuda");
    for path in io(&folder, std::fs::read_dir(&folder))?.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".c")) else { continue };
        let program = root().join("target/examples").join(name);
        let source = format!("examples/cuda/{name}.c");
        compile(&source, &program, &[])?;
        let printed = output(command(&program).env("LD_LIBRARY_PATH", &simulator))?;
        let text = read(&source)?;
        let said = text.rsplit_once("/* It prints:\n").and_then(|(_, rest)| rest.split_once("*/"));
        let (said, _) = said.ok_or(format!("{source} does not end with what it prints"))?;
        if printed.trim() != said.trim() {
            return Err(format!("{source} prints\n{printed}and says that it prints\n{said}"));
        }
        println!("{source}: as it says");
    }
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
