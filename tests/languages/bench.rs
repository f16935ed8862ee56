//! The program of `cargo xtask bench pool` compiles without warnings and runs each of its cases, on glibc and on this
//! build's library. The figures are not checked.

use crate::support;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, files, library, library_folder, output, root};
use tenure_harness::{require, test};

/// Compiles the program for one set of functions. Each test has its own, because several may run at once.
fn program(test: &str, api: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{test}-{api}"));
    let mut compile = compiler("c11");
    let sources = files("benches/pool", ".c");
    assert!(!sources.is_empty(), "benches/pool has no C file");
    compile.arg("-pthread").arg(format!("-DAPI_{api}")).args(sources.iter().map(|source| root().join(source)));
    output(compile.arg("-o").arg(&program).args(["-ldl", "-lm"])).unwrap_or_else(|text| panic!("{text}"));
    program
}

/// Runs one round with a turn of each case. Returns the names of the cases, each of which printed its figures.
fn cases(program: &Path, name: &str, library: &Path) -> BTreeSet<String> {
    let mut run = Command::new(program);
    figures(name, run.args(["forwards", "tiny", name]).arg(library)).into_keys().collect()
}

/// Runs the program. Returns the minima of the cases.
fn figures(name: &str, run: &mut Command) -> BTreeMap<String, f64> {
    let printed = output(run).unwrap_or_else(|text| panic!("{text}"));
    let mut cases = BTreeMap::new();
    for line in printed.lines().filter(|line| !line.starts_with("# ")) {
        let words: Vec<&str> = line.split('\t').collect();
        let numbers: Vec<f64> = words[1..].iter().filter_map(|word| word.parse().ok()).collect();
        assert!(matches!(numbers[..], [least, median] if (0.0..=median).contains(&least)), "{name}: {line}");
        assert!(cases.insert(words[0].to_owned(), numbers[0]).is_none(), "{name}: twice: {line}");
    }
    cases
}

#[test]
fn every_case_of_the_pools_runs() {
    require(&["gcc"]);
    let by_malloc = program("pool", "MALLOC");
    let theirs = cases(&by_malloc, "glibc", Path::new("-"));
    let ours = cases(&program("pool", "HANDLE"), "tenure", &library());
    for group in ["alloc.", "threads.", "memory.", "touch.", "mixes."] {
        assert!(theirs.iter().any(|case| case.starts_with(group)), "no case of {group}");
    }
    assert!(theirs.is_subset(&ours), "only glibc runs {:?}", theirs.difference(&ours));
    // A single case can be selected, and an unknown allocator is an error that names it.
    let mut one = Command::new(&by_malloc);
    assert!(output(one.args(["one", "10", "glibc", "-", "alloc.lone_64"])).is_ok());
    let refused = output(Command::new(&by_malloc).args(["forwards", "tiny", "unknown", "-"]));
    assert!(refused.is_err_and(|text| text.contains("unknown")));
}

/// The cases of `cargo xtask bench pool --threads`: only those of the selected numbers of threads, as far as there are
/// cores.
#[test]
fn threads_are_numbered() {
    require(&["gcc"]);
    let program = program("scale", "MALLOC");
    let run = |selected: &[&str]| {
        let mut process = Command::new(&program);
        figures("glibc", process.args(["forwards", "tiny", "glibc", "-"]).args(selected))
    };
    let one: Vec<String> = run(&["scale.1."]).into_keys().filter(|case| case.ends_with(".near")).collect();
    assert_eq!(one, ["scale.1.arrays.near", "scale.1.mixed.near", "scale.1.small.near"]);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        assert!(run(&["scale.2.passed."]).contains_key("scale.2.passed.near"));
    }
    assert_eq!(run(&["scale.4096."]).len(), 0, "there are no such machines");
}

/// The C++ program of `cargo xtask bench programs` computes the same with each allocator.
#[test]
fn containers_and_arrays_need_no_other_program() {
    require(&["g++"]);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-containers");
    let mut compile = Command::new("g++");
    compile
        .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Iinclude", "-Ibindings/cpp"])
        .current_dir(root());
    compile.arg("benches/programs/containers.cpp").arg("-o").arg(&program).arg(library());
    output(compile.arg(format!("-Wl,-rpath,{}", library_folder().display()))).unwrap_or_else(|text| panic!("{text}"));
    let result = |allocator: &str| {
        let printed = output(Command::new(&program).arg(allocator)).unwrap_or_else(|text| panic!("{text}"));
        printed
            .lines()
            .find(|line| line.starts_with("# result"))
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("{printed}"))
    };
    assert_eq!(result("malloc"), result("tenure"));
}

/// An operation of a recorded program: what it does, the logarithm of the alignment, the slot, the bytes.
type Operation = (u8, u8, u32, u64);

const ALLOCATE: u8 = 0;
const FREE: u8 = 1;
const REALLOCATE: u8 = 2;

/// A file of operations, as `tenure_event_log::operations` documents it.
fn operations(slots: u64, peak: (u64, u64), list: &[Operation]) -> Vec<u8> {
    let mut bytes = b"TNREPLAY".to_vec();
    for number in [1, list.len() as u64, slots, peak.0, peak.1, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for (action, alignment_log2, slot, size) in list {
        bytes.extend([*action, *alignment_log2, 0, 0]);
        bytes.extend(slot.to_le_bytes());
        bytes.extend(size.to_le_bytes());
    }
    bytes
}

#[test]
fn a_recorded_program_is_replayed() {
    require(&["gcc"]);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-replay.operations");
    let replay = |program: &Path, name: &str, library: &Path, bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut run = Command::new(program);
        run.args(["replay", "tiny", name]).arg(library).arg("small").arg(&path);
        run
    };
    const MIB: u64 = 1 << 20;
    let good = operations(
        3,
        (9 * MIB + 100, 4),
        &[
            (ALLOCATE, 0, 0, 100),
            (ALLOCATE, 12, 1, MIB),
            (ALLOCATE, 0, 2, 1),
            (FREE, 0, 2, 0),
            (REALLOCATE, 0, 1, 9 * MIB),
            (REALLOCATE, 0, 1, 5),
            (ALLOCATE, 21, 2, 3),
            (FREE, 0, 0, 0),
            (FREE, 0, 1, 0),
            (FREE, 0, 2, 0),
        ],
    );
    let by_malloc = program("replay", "MALLOC");
    for (program, name, library) in
        [(&by_malloc, "glibc", Path::new("-")), (&program("replay", "HANDLE"), "tenure", &library())]
    {
        let figures = figures(name, &mut replay(program, name, library, &good));
        let cases: Vec<&str> = figures.keys().map(String::as_str).collect();
        assert_eq!(cases, ["replay.small.calls", "replay.small.memory", "replay.small.run"], "{name}");
        // All 9 MiB are written.
        assert!((1.0..2.0).contains(&figures["replay.small.memory"]), "{name}: {figures:?}");
        assert!(figures["replay.small.run"] > 0.0 && figures["replay.small.calls"] > 0.0, "{name}: {figures:?}");
    }
    // A file that is no such file, or whose operations do not fit its slots, is refused before anything is allocated.
    let wrong = [
        b"no file of operations, but long enough to have the header of such a file in its bytes".to_vec(),
        good[..good.len() - 1].to_vec(),
        operations(0, (0, 0), &[]),
        operations(1, (1, 0), &[(ALLOCATE, 0, 0, 1)]),
        operations(1, (1, 0), &[(FREE, 0, 0, 0)]),
        operations(1, (1, 0), &[(ALLOCATE, 0, 1, 1), (FREE, 0, 1, 0)]),
        operations(1, (1, 0), &[(ALLOCATE, 63, 0, 1), (FREE, 0, 0, 0)]),
        operations(1, (1, 0), &[(ALLOCATE, 0, 0, 0), (FREE, 0, 0, 0)]),
        operations(1 << 40, (1, 0), &[(ALLOCATE, 0, 0, 1), (FREE, 0, 0, 0)]),
        operations(1, (1, 99), &[(ALLOCATE, 0, 0, 1), (FREE, 0, 0, 0)]),
        operations(1, (1, 0), &[(3, 0, 0, 1), (FREE, 0, 0, 0)]),
    ];
    for (number, bytes) in wrong.iter().enumerate() {
        let refused = output(&mut replay(&by_malloc, "glibc", Path::new("-"), bytes));
        assert!(refused.is_err_and(|text| text.contains("bench-replay.operations: ")), "{number}");
    }
}
