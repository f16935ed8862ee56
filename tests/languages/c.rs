//! Runs the C tests: each `c-tests/<section>.c` is compiled against the header and the shared library. It runs
//! natively, under valgrind, and with the address and undefined-behaviour sanitizers in its own code. Those of arrays
//! also run with the library's checks of accesses (TENURE_CHECK). One of them runs as a user starts it.
//!
//! Each file and way of running it is a test of its own: `cargo test --test languages c_array` runs `c_array`,
//! `c_array_valgrind` and so on.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cuda;
use support::tools::{compiler, files, library, library_folder, made_once, output, root};
use tenure_harness::{Trial, missing, require};

/// How a file is run.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Valgrind,
    Sanitizers,
    /// With TENURE_CHECK=1: an access that no guard allows ends the program (CK-1).
    Checks,
    /// Without LD_LIBRARY_PATH: cargo sets one, which would hide a program that does not find the library by its rpath.
    ByHand,
    /// Linked with the archive, with the system libraries that `rustc --print native-static-libs` names. With musl no
    /// library is shared.
    Static,
}

/// The system libraries that a program needs beside `libtenure.a`.
const NATIVE: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];
/// The C tests that are also linked with the archive.
const STATIC: &[&str] = &["abi", "pool", "threads", "transfer"];

/// What does not run with the library's checks, and why.
const WITHOUT_CHECKS: &[(&str, &str)] = &[
    ("checked", "sets the option itself"),
    ("ipc", "takes 15 seconds, and shareable memory is not checked"),
    ("ipc_offer", "takes 20 seconds, and shareable memory is not checked"),
    ("pool", "expects that a pool keeps freed memory"),
    ("report", "expects blocks of one size in one span"),
    ("umf_tables", "splits and joins blocks of a pool"),
    ("upstream", "its upstream returns memory that a pool is to have kept"),
    ("use_after_free", "expects that a block moves when it grows"),
];

struct Case {
    name: String,
    file: PathBuf,
    way: Way,
    /// The other library that it tests with, and the options to build with it.
    with: Option<Umf>,
}

/// A version of UMF, unpacked from its wheel, or None.
#[derive(Clone)]
struct Umf(Option<PathBuf>);

/// The folder into which `cargo xtask umf` unpacks the wheels.
const UMF: &str = "target/umf";

impl Umf {
    /// Each UMF version that is unpacked, with its name, or one entry that is not available.
    fn all() -> Vec<(String, Umf)> {
        let listed = std::fs::read_dir(root().join(UMF)).into_iter().flatten();
        let folders = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("data").is_dir());
        let mut found: Vec<_> = folders
            .filter_map(|path| {
                let version = path.file_name()?.to_string_lossy().strip_prefix("umf-")?.replace('.', "_");
                Some((format!("_{version}"), Umf(Some(path.join("data")))))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if found.is_empty() { vec![(String::new(), Umf(None))] } else { found }
    }

    /// The folder of the libraries that libumf needs.
    fn needed() -> PathBuf {
        root().join(UMF).join("tcmlib/data/lib")
    }
}

/// Tests of one file, one for each way of running it.
fn cases() -> Vec<Case> {
    let usual = [Way::Plain, Way::Valgrind, Way::Sanitizers];
    let mut cases = Vec::new();
    for file in files("c-tests", ".c") {
        let section = file.file_stem().expect("a C file has a name").to_string_lossy().replace('-', "_");
        let mut add = |way: Way, version: &str, with: Option<Umf>| {
            cases.push(Case { name: format!("c_{section}{version}{}", way.suffix()), file: file.clone(), way, with });
        };
        if file.starts_with("c-tests/umf") {
            for (version, umf) in Umf::all() {
                usual.into_iter().for_each(|way| add(way, &version, Some(umf.clone())));
            }
            continue;
        }
        // Without a driver those of GPUs do nothing.
        let checks = !section.starts_with("cuda") && !WITHOUT_CHECKS.iter().any(|(name, _)| *name == section);
        let more =
            [(Way::Checks, checks), (Way::ByHand, section == "abi"), (Way::Static, STATIC.contains(&section.as_str()))];
        let ways = usual.into_iter().chain(more.into_iter().filter_map(|(way, has)| has.then_some(way)));
        ways.for_each(|way| add(way, "", None));
    }
    cases
}

/// The options behind `libtenure.a`. With musl: docs/porting.md has the reasons.
fn native() -> Vec<String> {
    if cfg!(target_env = "musl") {
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let mut rustc = Command::new("rustc");
        let printed = output(rustc.args(["--print", "target-libdir", "--target", &target]));
        let folder = printed.unwrap_or_else(|text| panic!("{text}"));
        let unwinder = format!("-L{}/self-contained", folder.trim());
        return ["-static", "-Wl,--eh-frame-hdr", &unwinder, "-lunwind"].map(str::to_owned).to_vec();
    }
    NATIVE.iter().map(|&option| option.to_owned()).collect()
}

/// Compiles the file, once for all ways that run the same program.
fn program(case: &Case) -> PathBuf {
    let name = match case.way {
        Way::Sanitizers | Way::Static => case.name.as_str(),
        way => case.name.strip_suffix(&way.suffix()).unwrap_or(&case.name),
    };
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let headers = files("c-tests", ".h").into_iter();
    made_once(&program, headers.chain([case.file.clone()]).map(|path| root().join(path)), || compile(case, &program));
    program
}

fn compile(case: &Case, program: &Path) {
    let mut compile = compiler("c11");
    // Exports the functions that the library looks up in the process.
    compile.arg("-rdynamic").arg(root().join(&case.file)).arg("-o").arg(program);
    if case.way == Way::Static {
        compile.arg(library().with_extension("a")).args(native());
    } else {
        compile.arg(library()).args(["-lm", "-ldl"]).arg(format!("-Wl,-rpath,{}", library_folder().display()));
    }
    match &case.with {
        None => {}
        Some(Umf(None)) => missing(format!("{UMF} has no UMF; cargo xtask umf fetches it")),
        Some(Umf(Some(folder))) => {
            // As system headers: their warnings are not ours to fix.
            compile.arg("-isystem").arg(folder.join("include")).arg(folder.join("lib/libumf.so"));
            compile.arg("-Wl,--allow-shlib-undefined");
        }
    }
    if case.way == Way::Sanitizers {
        compile.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]);
    }
    output(&mut compile).unwrap_or_else(|text| panic!("{text}"));
}

/// Compiles the file and runs it.
fn run(case: &Case) {
    require(if case.way == Way::Valgrind { &["gcc", "valgrind"] } else { &["gcc"] });
    let program = program(case);
    let mut folders = match &case.with {
        Some(Umf(Some(folder))) => vec![folder.join("lib"), Umf::needed()],
        _ => Vec::new(),
    };
    let mut command = match case.way {
        Way::Valgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
            // A driver's threads live to the end, and their memory is found by pointers into its middle.
            let kinds = if cuda::wanted().is_some() { "definite,indirect" } else { "definite,indirect,possible" };
            valgrind
                .args([format!("--show-leak-kinds={kinds}"), format!("--errors-for-leak-kinds={kinds}")])
                .arg(program);
            valgrind
        }
        _ => tenure_harness::command(program),
    };
    if case.way == Way::ByHand {
        command.env_remove("LD_LIBRARY_PATH");
    }
    if case.way == Way::Checks {
        command.env("TENURE_CHECK", "1");
    }
    // The tests for a real driver run elsewhere.
    if cuda::wanted().is_none() && case.way != Way::ByHand {
        folders.extend(std::env::split_paths(&cuda::path_without_driver()));
    }
    if !folders.is_empty() {
        command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).expect("no colon in a path of ours"));
    }
    // A folder for files. Backtraces of provoked panics are slow under valgrind.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.files", case.name));
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    command.current_dir(folder).env("RUST_BACKTRACE", "0").env("TENURE_CHECKED_BY", case.way.checker());
    output(&mut command).unwrap_or_else(|text| panic!("{text}"));
}

impl Way {
    /// The end of the names of its tests.
    fn suffix(self) -> &'static str {
        match self {
            Way::Plain => "",
            Way::Valgrind => "_valgrind",
            Way::Sanitizers => "_sanitizers",
            Way::Checks => "_with_checks",
            Way::ByHand => "_by_hand",
            Way::Static => "_static",
        }
    }

    /// The variable with which a C test takes fewer rounds where each is slow.
    fn checker(self) -> &'static str {
        match self {
            Way::Valgrind => "valgrind",
            Way::Sanitizers => "sanitizers",
            Way::Checks => "checks",
            Way::Plain | Way::ByHand | Way::Static if tenure_harness::is_emulated() => "emulator",
            Way::Plain | Way::ByHand | Way::Static => "",
        }
    }
}

/// All of them.
pub fn trials() -> Vec<Trial> {
    let cases = cases();
    assert!(!cases.is_empty(), "c-tests has no C file");
    cases.into_iter().map(|case| Trial::new(format!("c::{}", case.name), move || run(&case))).collect()
}
