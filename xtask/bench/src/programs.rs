//! `cargo xtask bench programs`: whole programs with each allocator (T33): three on NumPy, and one in C++.
//!
//! Promise: the wheel and the library as they are released. A process per program, allocator and round; the allocators
//! take turns. A result is the minimum over the rounds. A program that computes something else with another allocator
//! is an error.

use super::figures::Figures;
use super::peers;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tools::{Done, command, io, root, run};
use xtask::{dist, malloc, python};

const ROUNDS: usize = 3;
/// Those of benches/programs/arrays.py, and the C++ program.
const PROGRAMS: [&str; 4] = ["image", "kmeans", "transformer", "containers"];

/// How a process gets its memory.
struct Allocator {
    name: &'static str,
    preload: Option<PathBuf>,
    /// The program asks the library itself.
    ours: bool,
}

/// The allocators, and the reasons why others are missing.
fn allocators() -> Done<(Vec<Allocator>, Vec<String>)> {
    let mut found = vec![
        Allocator { name: "Tenure", preload: None, ours: true },
        Allocator { name: "Tenure's malloc", preload: Some(malloc::build(dist::THIS, "release")?), ours: false },
        Allocator { name: "glibc", preload: None, ours: false },
    ];
    let mut missing = Vec::new();
    for (name, package, library) in [
        ("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
        ("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
        ("mimalloc 2.0", "libmimalloc2.0", "libmimalloc.so.2.0"),
    ] {
        match peers::debian(package, library) {
            Ok((library, _)) => found.push(Allocator { name, preload: Some(library), ours: false }),
            Err(why) => missing.push(format!("{name}: {why}")),
        }
    }
    Ok((found, missing))
}

/// Measures, and prints a table in Markdown.
pub fn bench() -> Done {
    let python = python::installed()?;
    let library = dist::libraries()?;
    let containers = compile(&library)?;
    let (allocators, missing) = allocators()?;
    let mut figures: BTreeMap<(usize, usize), Figures> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (p, program) in PROGRAMS.iter().enumerate() {
            for turn in 0..allocators.len() {
                let a = (turn + round) % allocators.len();
                let mut process = process(program, &python, &containers, allocators[a].ours);
                if let Some(preload) = &allocators[a].preload {
                    process.env("LD_PRELOAD", preload);
                }
                figures.entry((p, a)).or_default().take(&mut process)?;
            }
        }
    }
    for (p, program) in PROGRAMS.iter().enumerate() {
        let of = |a: usize| &figures[&(p, a)];
        for (a, allocator) in allocators.iter().enumerate() {
            let (first, other) = (of(0).fact("result"), of(a).fact("result"));
            if first != other {
                return Err(format!("{program}: {first} with Tenure, {other} with {}", allocator.name));
            }
        }
        println!("\n| {program} | ms a step | page faults | peak, MiB |\n|---|---|---|---|");
        for (a, allocator) in allocators.iter().enumerate() {
            let least = |name: &str| of(a).minimum(name).unwrap_or(f64::NAN);
            println!("| {} | {:.1} | {:.0} | {:.0} |", allocator.name, least("ms"), least("faults"), least("MiB"));
        }
    }
    missing.iter().for_each(|why| println!("not measured: {why}"));
    Ok(())
}

fn process(program: &str, python: &Path, containers: &Path, ours: bool) -> Command {
    if program == "containers" {
        let mut process = command(containers);
        process.arg(if ours { "tenure" } else { "malloc" });
        return process;
    }
    let mut process = command(python);
    process.arg(root().join("benches/programs/arrays.py")).args([program, if ours { "tenure" } else { "numpy" }]);
    process
}

/// The C++ program, with the staged library.
fn compile(library: &Path) -> Done<PathBuf> {
    let program = root().join("target/benches/containers");
    let folder = program.parent().expect("it lies in target/benches");
    io(folder, std::fs::create_dir_all(folder))?;
    let libraries = library.parent().expect("the library lies in a folder");
    let mut compiler = command("g++");
    compiler.args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-Ibindings/cpp"]);
    compiler.arg(root().join("benches/programs/containers.cpp")).arg("-o").arg(&program).arg(library);
    run(compiler.arg(format!("-Wl,-rpath,{}", libraries.display())))?;
    Ok(program)
}
