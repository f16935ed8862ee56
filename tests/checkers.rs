//! Valgrind and AddressSanitizer report a use of a freed block of a pool, raw or of an array, and an access behind a block.
//! `c-tests/use_after_free.c` makes the mistake that its argument names. Without an argument there must be no report, which `c.rs` tests too.

mod support {
    pub mod tools;
}

use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, library, library_folder, output, root};
use tenure_harness::{require, skip, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

const MISTAKES: &[&str] = &["raw", "raw-again", "moved", "array", "strict"];

const OVERRUNS: &[&str] =
    &["behind-100", "behind-class", "behind-pages", "behind-largest-class", "behind-span", "shrunk-behind-100"];
const WRITES: &[&str] = &["behind-array", "grown-behind-class", "grown-behind-pages", "grown-behind-span"];

fn compiled(name: &str, options: &[&str]) -> PathBuf {
    compiled_of("use_after_free.c", name, options).unwrap()
}

fn compiled_of(file: &str, name: &str, options: &[&str]) -> Result<PathBuf, String> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut compile = compiler("c11");
    compile.args(options).arg(root().join("c-tests").join(file)).arg("-o").arg(&program);
    output(compile.arg(library()).arg(format!("-Wl,-rpath,{}", library_folder().display())))?;
    Ok(program)
}

/// Runs the program without a mistake, which must succeed, then with each mistake, which must end it with the expected report.
fn reports(mut run: impl FnMut() -> Command, mistakes: &[&str], expected: &[&str]) {
    output(&mut run()).unwrap();
    for mistake in mistakes {
        let text = output(run().arg(mistake)).expect_err(mistake);
        for part in expected {
            assert!(text.contains(part), "{mistake}: no \"{part}\" in\n{text}");
        }
    }
}

/// Memcheck names the place of the use and the place of the free.
#[test]
fn valgrind_reports_misuse_of_a_pools_block() {
    require(&["gcc", "valgrind"]);
    let program = compiled("use_after_free_by_valgrind", &[]);
    let run = || {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]).arg(&program);
        valgrind
    };
    reports(run, MISTAKES, &["Invalid read of size 1", "free'd"]);
    reports(run, OVERRUNS, &["Invalid read of size 1", "bytes after a"]);
    reports(run, WRITES, &["Invalid write of size", "bytes after a"]);
}

/// AddressSanitizer reports the memory as poisoned.
#[test]
fn address_sanitizer_reports_misuse_of_a_pools_block() {
    require(&["gcc"]);
    let program = compiled("use_after_free_by_asan", &["-fsanitize=address", "-fno-omit-frame-pointer"]);
    let run = || Command::new(&program);
    reports(run, MISTAKES, &["AddressSanitizer: use-after-poison", "READ of size 1"]);
    reports(run, OVERRUNS, &["AddressSanitizer: use-after-poison", "READ of size 1"]);
    reports(run, WRITES, &["AddressSanitizer: use-after-poison", "WRITE of size"]);
}

/// ThreadSanitizer reports no race where arrays and blocks pass from one thread to another, and still reports one without the library.
#[test]
fn thread_sanitizer_knows_that_calls_order_threads() {
    require(&["gcc", "setarch"]);
    let mut linked = compiler("c11");
    linked.args(["-fsanitize=thread", "-shared", "-fPIC", "-Wno-pedantic", "-x", "c", "/dev/null", "-o"]);
    linked.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty_by_tsan.so"));
    if output(&mut linked).is_err() {
        skip("gcc has no ThreadSanitizer");
    }
    let program = compiled_of("hand_over.c", "hand_over_by_tsan", &["-fsanitize=thread"]).unwrap();
    let run = || {
        // Old runtimes do not start with the address space of newer kernels.
        let mut command = Command::new("setarch");
        command.arg("-R").arg(&program).env("TSAN_OPTIONS", "exitcode=9");
        command
    };
    output(&mut run()).unwrap();
    let text = output(run().arg("race")).expect_err("a race without a report");
    assert!(text.contains("ThreadSanitizer: data race") && text.contains("unguarded"), "{text}");
}
