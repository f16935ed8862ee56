//! `cargo xtask test --target`: the library for another processor or C library, built and tested on this machine.
//!
//! Promise: aarch64 programs run under QEMU, the C tests are compiled by that target's compiler, and a test that the
//! emulator cannot run is left out by name, with the reason. Without `--all`, the parts run that depend on the
//! processor, the page size, the order of memory accesses or the C library, without the linear algebra of expressions,
//! which takes most of the build. The gate runs these parts.

use crate::programs::{self, Ended, Program, Test};
use crate::tools::{self, Done, cargo, command, root};
use std::path::PathBuf;
use std::process::Command;
use tenure_harness::Outcome;

/// A target.
struct Target {
    name: &'static str,
    triple: &'static str,
    /// The compilers of C and C++, and what links.
    compilers: [&'static str; 2],
    /// The emulator and its arguments; empty: the programs run by themselves.
    runner: &'static str,
    /// The files of the usual run, below `tests`.
    files: &'static [&'static str],
    /// The other page sizes that it is tested with: the runners.
    pages: &'static [&'static str],
    /// The Debian packages with all of this.
    packages: &'static str,
}

const TARGETS: &[Target] = &[
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        compilers: ["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"],
        runner: "qemu-aarch64 -L /usr/aarch64-linux-gnu",
        // Copies, pages, threads and their memory orders, the log, and C.
        files: &[
            "blit",
            "library/blit_paths",
            "languages/c",
            "library/events",
            "library/pool_threads",
            "library/stress",
            "library/stress_calls",
        ],
        // Not 64 KiB: most programs end by a fault there, as docs/porting.md says.
        pages: &["qemu-aarch64 -L /usr/aarch64-linux-gnu -p 16384"],
        packages: "gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user",
    },
    Target {
        name: "musl",
        triple: "x86_64-unknown-linux-musl",
        compilers: ["musl-gcc", "musl-gcc"],
        runner: "",
        // Only what calls the C library: the processor is tested already.
        files: &["languages/c", "library/events", "library/fork", "library/stress_calls"],
        pages: &[],
        packages: "musl-tools",
    },
];

/// Files of the usual run that other page sizes concern. Not pool_threads, which ends by a fault there, for a reason
/// that was not found.
const OF_PAGES: &[&str] = &["tests/library/events.rs"];
/// C tests of the usual run under an emulator, and those that other page sizes concern.
const C: &[&str] = &[
    "c_abi",
    "c_abi_by_hand",
    "c_abi_static",
    "c_array",
    "c_borrow",
    "c_events",
    "c_pool",
    "c_threads",
    "c_transfer",
    "c_upstream",
];
// Not c_events: with other pages than the machine's, QEMU seems to cut a mapping that a file is to grow into.
const C_OF_PAGES: &[&str] = &["c_array", "c_pool", "c_upstream"];

/// C tests that an emulator cannot run: QEMU does not pass on whether a refused access was a read or a write.
const C_NOT_EMULATED: &[&str] = &["c_checked"];
/// C tests that musl's headers refuse: they declare a `clone` of their own.
const C_NOT_MUSL: &[&str] = &["c_checked", "c_events", "c_ipc", "c_ipc_lock", "c_ipc_offer", "c_umf_ipc"];
/// C tests of expressions, which need linear algebra.
const C_LINALG: &[&str] = &["c_expr", "c_forms", "c_function_expr"];
/// C tests that need no UMF, in contrast to `c_umf` and its versions, whose wheels are for x86-64 and glibc.
const C_NO_UMF: &[&str] = &["c_umf_ipc", "c_umf_tables"];
/// The file of the C tests.
const C_FILE: &str = "tests/languages/c.rs";
/// Files that an emulator cannot run: the system reports the emulator's memory in place of theirs.
const NOT_EMULATED: &[&str] = &["pool_page_moves", "pool_pages", "pool_pressure", "pool_release", "pool_resident"];

/// Files that `--all` leaves out, and why.
const NOT_THERE: &[(&[&str], &str)] = &[
    (
        &["arguments", "docs", "header", "kernel_source", "layers", "python_layers", "rows", "symbols", "versions"],
        "read the sources, or what is built of them for this machine",
    ),
    (
        &["bench", "bench_copy", "checkers", "compiler", "cpp", "examples", "fortran"],
        "start tools or build programs of this machine",
    ),
    (&["fuzz_short", "pool_soak"], "take minutes, and depend on no processor"),
];

/// The names of the targets.
pub fn names() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|target| target.name)
}

/// The target of a name.
fn target(name: &str) -> Done<&'static Target> {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.ok_or_else(|| format!("no target {name}; there are {}", names().collect::<Vec<_>>().join(", ")))
}

/// The emulator of a target, with its arguments.
pub fn runner(name: &str) -> Done<&'static str> {
    Ok(target(name)?.runner)
}

/// Why the tests of a target cannot run on this machine.
pub fn missing(name: &str) -> Option<String> {
    let target = match target(name) {
        Ok(target) => target,
        Err(why) => return Some(why),
    };
    let emulator = target.runner.split(' ').next().filter(|emulator| !emulator.is_empty());
    let mut programs = target.compilers.into_iter().chain(emulator);
    if let Some(absent) = programs.find(|program| !tools::has(program)) {
        return Some(format!("{absent} is not installed: apt-get install {}", target.packages));
    }
    match library_folder(target.triple) {
        Ok(folder) if folder.exists() => None,
        Ok(_) => Some(format!("Rust's library for it is not installed: rustup target add {}", target.triple)),
        Err(why) => Some(why),
    }
}

/// Builds and runs the tests of a target: a part of them, or all.
pub fn run(name: &str, all: bool) -> Done<Vec<Ended>> {
    let target = target(name)?;
    let mut built = programs::build_for(&mut build(target, all)?, target.runner)?;
    let mut ended = programs::run(
        &built,
        |program, test| if all { is_there(program, test) } else { usual(target, program, test) },
        |test| set_up(test, target, all),
    );
    for pages in target.pages {
        println!("-- {pages}");
        built.iter_mut().for_each(|program| program.runner = pages);
        ended.extend(programs::run(&built, of_pages, |test| set_up(test, target, all)));
    }
    Ok(ended)
}

/// The folder of a target's standard library.
pub fn library_folder(triple: &str) -> Done<PathBuf> {
    let printed = tools::output(command("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    Ok(PathBuf::from(printed.trim()))
}

/// A `cargo test` for the target. A part of the tests is built without linear algebra, in the folder of the tests
/// without it.
fn build(target: &Target, all: bool) -> Done<Command> {
    let mut test = cargo();
    test.args(["test", "--locked", "--target", target.triple]);
    if !all {
        test.args(["--no-default-features", "--features", "managed", "--target-dir", "target/no-linalg"]);
        let mut programs: Vec<&str> = target.files.iter().filter_map(|file| file.split('/').next()).collect();
        programs.sort();
        programs.dedup();
        test.args(programs.iter().flat_map(|program| ["--test", program]));
    }
    let shouted = target.triple.to_uppercase().replace('-', "_");
    test.env(format!("CARGO_TARGET_{shouted}_LINKER"), target.compilers[0]);
    if target.triple.ends_with("musl") {
        test.env(format!("CARGO_TARGET_{shouted}_RUSTFLAGS"), shared_musl(target)?);
    }
    Ok(test)
}

/// Where linkers find a library of the name libgcc_s.
const MUSL: &str = "target/musl";

/// The flags with which rustc makes shared libraries for musl. Debian has no libgcc_s for musl, which rustc then links:
/// its own unwinder takes that name.
fn shared_musl(target: &Target) -> Done<String> {
    let unwinder = library_folder(target.triple)?.join("self-contained/libunwind.a");
    let folder = root().join(MUSL);
    let script = folder.join("libgcc_s.so");
    tools::io(&folder, std::fs::create_dir_all(&folder))?;
    tools::io(&script, std::fs::write(&script, format!("INPUT({})\n", unwinder.display())))?;
    Ok(format!("-Ctarget-feature=-crt-static -L{}", folder.display()))
}

/// What the tests of a target see: its compilers, and few rounds if each is slow or a part is tested.
fn set_up(test: &mut Command, target: &Target, all: bool) {
    for (variable, compiler) in ["CC", "CXX"].into_iter().zip(target.compilers) {
        test.env(format!("{variable}_{}", target.triple.replace('-', "_")), compiler);
    }
    if !all || !target.runner.is_empty() {
        test.env("TENURE_TEST_SEEDS", "10");
    }
}

/// Whether a test is one of the usual run. Without an emulator the C tests are, each in one way.
fn usual(target: &Target, program: &Program, test: &Test) -> bool {
    let c = c_test(test);
    let checks = c.ends_with("_with_checks");
    let is_file = target.files.iter().any(|file| test.file == format!("tests/{file}.rs"));
    let is_c = if program.runner.is_empty() {
        !checks && !C_NOT_MUSL.contains(&c) && !C_LINALG.contains(&c)
    } else {
        C.contains(&c)
    };
    is_file && is_there(program, test) && (test.file != C_FILE || is_c)
}

/// Whether other page sizes concern a test.
fn of_pages(_: &Program, test: &Test) -> bool {
    if test.file == C_FILE { C_OF_PAGES.contains(&c_test(test)) } else { OF_PAGES.contains(&test.file.as_str()) }
}

/// The name of a C test, without its module.
fn c_test(test: &Test) -> &str {
    test.name.trim_start_matches("c::")
}

/// Whether a test is one of all that the target has.
fn is_there(program: &Program, test: &Test) -> bool {
    let name = test.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let c = c_test(test);
    let checked = ["_valgrind", "_sanitizers"].iter().any(|end| c.ends_with(end));
    let refused = !program.runner.is_empty() && (NOT_EMULATED.contains(&name) || C_NOT_EMULATED.contains(&c));
    let plain = c.trim_end_matches("_with_checks");
    let umf = c.starts_with("c_umf") && !C_NO_UMF.contains(&plain);
    !refused && !checked && !umf && !NOT_THERE.iter().any(|(files, _)| files.contains(&name))
}

/// `cargo xtask test --target`: runs the tests, and prints the counts.
pub fn main(name: &str, all: bool) -> Done {
    if let Some(why) = missing(name) {
        return Err(why);
    }
    NOT_THERE
        .iter()
        .filter(|_| all)
        .for_each(|(files, why)| println!("left out, because they {why}: {}", files.join(", ")));
    let ended = run(name, all)?;
    let count = |kind: fn(&Outcome) -> bool| ended.iter().filter(|ended| kind(&ended.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Ignored(_)));
    println!("{} passed, {failed} failed, {skipped} skipped", ended.len() - failed - skipped);
    if failed == 0 { Ok(()) } else { Err(String::new()) }
}

/// Systems for which the library does not compile yet, and the number of the compiler's errors. It may only fall: with
/// fewer errors the check asks for the new number. docs/porting.md says what is missing.
const UNPORTED: [(&str, usize); 2] = [("x86_64-apple-darwin", 98), ("x86_64-pc-windows-gnu", 378)];

/// Why the errors of the systems without the library cannot be counted.
pub fn unported_missing() -> Option<String> {
    let absent = |triple: &&str| !library_folder(triple).is_ok_and(|folder| folder.exists());
    let triples: Vec<&str> = UNPORTED.iter().map(|(triple, _)| *triple).filter(absent).collect();
    (!triples.is_empty())
        .then(|| format!("Rust's libraries are not installed: rustup target add {}", triples.join(" ")))
}

/// Compares the number of errors with the recorded one, for each system. Returns the number of systems.
pub fn unported() -> Done<usize> {
    for (triple, recorded) in UNPORTED {
        let printed = tools::printed(tools::plainly(cargo().args(["check", "--locked", "--lib", "--target", triple])))?;
        let is_done = printed.status.is_some_and(|status| status.success());
        let count = if is_done { Some(0) } else { errors(&printed.stderr) };
        println!("{triple}: {count:?} errors");
        match count {
            Some(count) if count == recorded => {}
            Some(count) if count < recorded => {
                return Err(format!("{triple}: only {count} errors now; write that into xtask/src/target.rs"));
            }
            Some(count) => return Err(format!("{triple}: {count} errors, {recorded} before\n{}", printed.stderr)),
            None => return Err(format!("{triple}: {}", printed.stderr)),
        }
    }
    Ok(UNPORTED.len())
}

/// The number of errors that rustc counts in the library at the end of what it prints.
fn errors(printed: &str) -> Option<usize> {
    let line = printed.lines().find(|line| line.starts_with("error: could not compile `tenure` (lib) due to "))?;
    line.split(" due to ").nth(1)?.split(' ').next()?.parse().ok()
}
