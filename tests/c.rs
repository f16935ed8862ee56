//! Runs the C tests: each `c-tests/<section>.c` is compiled against the header and the shared library and run as it is, under
//! valgrind, and with the address and undefined-behaviour sanitizers in its own code; one of them as a user starts it.
//!
//! Has its own `main` so that every file is a test of its own name: `cargo test --test c array` runs `c_array` and its kin.
//! What needs a missing tool is `skipped`, with the reason; with TENURE_REQUIRE_TOOLS set it fails.

mod support {
    pub mod cuda;
    pub mod tools;
}

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::cuda;
use support::tools::{compiler, files, library, library_folder, output, root};

/// How a file is run.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Valgrind,
    Sanitizers,
    /// With no LD_LIBRARY_PATH: cargo sets one, which would hide a program that does not find the library by its rpath.
    ByHand,
    /// Linked with the archive, with the system libraries that `rustc --print native-static-libs` names.
    Static,
}

/// What a program needs beside `libtenure.a`.
const NATIVE: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

struct Case {
    name: String,
    file: PathBuf,
    way: Way,
    /// The library of others that it is about, and how it is built with that.
    with: Option<Umf>,
}

/// A version of UMF, unpacked from its wheel; None: not there.
#[derive(Clone)]
struct Umf(Option<PathBuf>);

/// Where `cargo xtask umf` puts the wheels, unpacked.
const UMF: &str = "target/umf";

impl Umf {
    /// Each version that is there, with what to call it, or one that is not.
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

    /// The folder of what libumf needs in its turn.
    fn needed() -> PathBuf {
        root().join(UMF).join("tcmlib/data/lib")
    }
}

/// One file in all ways.
fn cases() -> Vec<Case> {
    let ways = [(Way::Plain, ""), (Way::Valgrind, "_valgrind"), (Way::Sanitizers, "_sanitizers")];
    let mut cases = Vec::new();
    for file in files("c-tests", ".c") {
        let section = file.file_stem().expect("a C file has a name").to_string_lossy().replace('-', "_");
        if file.starts_with("c-tests/umf") {
            for (version, umf) in Umf::all() {
                for (way, suffix) in ways {
                    let name = format!("c_{section}{version}{suffix}");
                    cases.push(Case { name, file: file.clone(), way, with: Some(umf.clone()) });
                }
            }
            continue;
        }
        for (way, suffix) in ways {
            cases.push(Case { name: format!("c_{section}{suffix}"), file: file.clone(), way, with: None });
        }
        if section == "abi" {
            cases.push(Case { name: "c_abi_by_hand".to_owned(), file: file.clone(), way: Way::ByHand, with: None });
            cases.push(Case { name: "c_abi_static".to_owned(), file, way: Way::Static, with: None });
        }
    }
    cases
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

fn run(case: &Case) -> Outcome {
    let tool = match case.way {
        Way::Valgrind => "valgrind",
        _ => "gcc",
    };
    if Command::new(tool).arg("--version").output().is_err() {
        return Outcome::Skipped(format!("{tool} is not installed"));
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&case.name);
    let mut compile = compiler("c11");
    // A program whose functions the library looks for in the process shows them.
    compile.arg("-rdynamic").arg(root().join(&case.file)).arg("-o").arg(&program);
    if case.way == Way::Static {
        compile.arg(library().with_extension("a")).args(NATIVE);
    } else {
        compile.arg(library()).args(["-lm", "-ldl"]).arg(format!("-Wl,-rpath,{}", library_folder().display()));
    }
    let mut folders = Vec::new();
    match &case.with {
        None => {}
        Some(Umf(None)) => return Outcome::Skipped(format!("{UMF} has no UMF; cargo xtask umf fetches it")),
        Some(Umf(Some(folder))) => {
            // As headers of the system: their warnings are not ours.
            compile.arg("-isystem").arg(folder.join("include")).arg(folder.join("lib/libumf.so"));
            compile.arg("-Wl,--allow-shlib-undefined");
            folders = vec![folder.join("lib"), Umf::needed()];
        }
    }
    if case.way == Way::Sanitizers {
        compile.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]);
    }
    if let Err(text) = output(&mut compile) {
        return Outcome::Failed(text);
    }
    let mut command = match case.way {
        Way::Valgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
            // A driver's threads are there to the end, and what they have is found by pointers into its middle.
            let kinds = if cuda::wanted().is_some() { "definite,indirect" } else { "definite,indirect,possible" };
            valgrind
                .args([format!("--show-leak-kinds={kinds}"), format!("--errors-for-leak-kinds={kinds}")])
                .arg(program);
            valgrind
        }
        _ => Command::new(program),
    };
    if case.way == Way::ByHand {
        command.env_remove("LD_LIBRARY_PATH");
    }
    // A driver that this machine has is for the runs that are for it.
    if cuda::wanted().is_none() && case.way != Way::ByHand {
        folders.extend(std::env::split_paths(&cuda::path_without_driver()));
    }
    if !folders.is_empty() {
        command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).expect("no colon in a path of ours"));
    }
    // A place for files; backtraces of provoked panics are slow under valgrind.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.files", case.name));
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    command.current_dir(folder).env("RUST_BACKTRACE", "0").env("TENURE_CHECKED_BY", case.way.checker());
    match output(&mut command) {
        Ok(_) => Outcome::Passed,
        Err(text) => Outcome::Failed(text),
    }
}

impl Way {
    /// What a C test reads to take fewer rounds where each is slow.
    fn checker(self) -> &'static str {
        match self {
            Way::Valgrind => "valgrind",
            Way::Sanitizers => "sanitizers",
            Way::Plain | Way::ByHand | Way::Static => "",
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Of libtest's arguments those that choose tests; `--skip x` and `--test-threads n` have a value that is no filter.
    let mut filters = Vec::new();
    let mut skips = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--skip" => skips.extend(rest.next()),
            "--test-threads" | "--format" | "--color" | "-Z" => drop(rest.next()),
            flag if flag.starts_with('-') => {}
            _ => filters.push(argument),
        }
    }
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    let exact = has("--exact");
    let matches = |name: &str, filter: &str| if exact { name == filter } else { name.contains(filter) };
    let mut chosen = cases();
    assert!(!chosen.is_empty(), "c-tests has no C file");
    let all = chosen.len();
    chosen.retain(|c| filters.is_empty() || filters.iter().any(|f| matches(&c.name, f)));
    chosen.retain(|c| !skips.iter().any(|s| matches(&c.name, s)));
    if has("--ignored") {
        chosen.clear();
    }
    if has("--list") {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }

    println!("\nrunning {} tests", chosen.len());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let required = std::env::var_os("TENURE_REQUIRE_TOOLS").is_some();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = match run(case) {
                    Outcome::Skipped(why) if required => Outcome::Failed(format!("{why}, and this run requires it")),
                    outcome => outcome,
                };
                match &outcome {
                    Outcome::Passed => println!("test {} ... ok", case.name),
                    Outcome::Skipped(why) => println!("test {} ... skipped: {why}", case.name),
                    Outcome::Failed(_) => println!("test {} ... FAILED", case.name),
                }
                if let Outcome::Failed(text) = &outcome {
                    eprintln!("---- {} ----\n{}", case.name, text.trim_end());
                }
                done.push(outcome);
            }
            done
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a worker only reports")).collect()
    });
    let count = |kind: fn(&Outcome) -> bool| outcomes.iter().filter(|o| kind(o)).count();
    let failed = count(|o| matches!(o, Outcome::Failed(_)));
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(|o| matches!(o, Outcome::Passed)),
        count(|o| matches!(o, Outcome::Skipped(_))),
        all - chosen.len(),
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
