//! The commands `examples` and `soak`.

use crate::tools::{Done, cargo, command, exists, has, io, named, output, package, read, root, run, run_unlimited};
use crate::{cuda, dist, python, sim};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// What a long form runs.
enum Long {
    /// The arguments of `cargo test`, the variable for the seed, and a variable with the value that makes a run longer.
    Tests(&'static [&'static str], &'static str, Option<(&'static str, &'static str)>),
    /// Each run has so many seeds.
    Simulator(&'static str),
    /// The load of `xtask/bench/src/soak.rs`, which ends by itself.
    Pool,
}

const SEED: &str = "TENURE_STRESS_SEED";
/// The long forms by name; the first one is the default.
const LONG: [(&str, Long); 7] = [
    (
        "model",
        Long::Tests(
            &["--test", "model", "--", "--ignored", "--nocapture", "soak"],
            "TENURE_MODEL_SEED",
            Some(("TENURE_MODEL_ROUNDS", "20")),
        ),
    ),
    ("sim", Long::Simulator("5")),
    ("pool", Long::Pool),
    ("misuse", Long::Tests(&["--test", "library", "--", "misuse::"], SEED, Some(("TENURE_TEST_ROUNDS", "1000")))),
    (
        "mirror",
        Long::Tests(&["--test", "library", "--", "mirror_random"], SEED, Some(("TENURE_STRESS_STEPS", "5000000"))),
    ),
    // The C tests that kill processes, a thousand each, and that wait for locks of processes that were killed.
    ("processes", Long::Tests(&["--test", "languages", "--", "c_ipc", "--skip", "valgrind"], SEED, None)),
    (
        "languages",
        Long::Tests(
            &["--test", "languages", "--", "are_collected", "go::calls_pass"],
            SEED,
            Some(("TENURE_TEST_ROUNDS", "40000")),
        ),
    ),
];
const SOAK_MINUTES: &str = "10";

/// `cargo xtask soak [NAME [MINUTES]]`: repeats a long form, each time with another seed, until it fails or the time is
/// over.
pub fn soak(arguments: &[&str]) -> Done {
    let (name, minutes) = match *arguments {
        [] => (LONG[0].0, SOAK_MINUTES),
        [name] => (name, SOAK_MINUTES),
        [name, minutes] => (name, minutes),
        _ => return Err(format!("soak takes a name and a number of minutes, not \"{}\"", arguments.join(" "))),
    };
    let names = || LONG.map(|(name, _)| name).join(", ");
    let (_, long) = LONG
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("there is no soak \"{name}\"; there are {}", names()))?;
    let seconds = minutes.parse::<f64>().ok().filter(|minutes| *minutes > 0.0).map(|minutes| minutes * 60.0);
    let seconds = seconds.ok_or_else(|| format!("soak takes a number of minutes, not \"{minutes}\""))?;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        match long {
            Long::Tests(arguments, variable, longer) => {
                // 31 bits: R's numbers have no more.
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_micros());
                let seed = (now % (1 << 31)).to_string();
                println!("{variable}={seed}");
                let mut tests = cargo();
                tests.args(["test", "--quiet", "--locked", "--profile", "soak"]).args(*arguments).env(variable, seed);
                run_unlimited(tests.envs(*longer))?;
            }
            Long::Simulator(seeds) => cuda::soak(Some(seeds))?,
            Long::Pool => return package("xtask-bench", &["soak", "pool", minutes]),
        }
    }
    Ok(())
}
