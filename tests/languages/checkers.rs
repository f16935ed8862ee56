//! Valgrind and AddressSanitizer report a use of a freed block of a pool, raw or of an array, and an access behind a
//! block. `c-tests/use_after_free.c` makes the mistake that its argument names. Without an argument there must be no
//! report, which `c.rs` tests too.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::tools::{compiler, library, library_folder, output, root};
use tenure_harness::{require, skip, test};

const LIMIT: Duration = Duration::from_secs(60);

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

/// Runs the program without a mistake, which must succeed, then with each mistake, which must end it with the expected
/// report.
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

/// CK-7: AddressSanitizer treats the bytes of an array as poisoned while nothing has them open, and those behind it
/// always. Both reports come.
#[test]
fn ck_7_address_sanitizer_reports_accesses_that_no_guard_allows() {
    require(&["gcc"]);
    let options = ["-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = compiled_of("checked.c", "checked_by_asan", &options).unwrap();
    let poisoned = "AddressSanitizer: use-after-poison";
    let cases = [
        ("write_after_end", [poisoned, "WRITE of size 8", "a write of byte 40", "which no guard or export has open"]),
        ("read_after_end", [poisoned, "READ of size 8", "a read of byte 40", "which no guard or export has open"]),
        ("read_after_release", [poisoned, "READ of size 8", "a read of byte 0", "which was released"]),
        ("write_just_behind", [poisoned, "WRITE of size 8", "a write 0 bytes behind", "\"weights\" of 800 bytes"]),
        ("read_of_a_freed_block", [poisoned, "READ of size 1", "a read of byte 0 of the block", "which was released"]),
        // The processor alone knows of bytes that may be read and not written.
        ("write_through_a_reader", ["AddressSanitizer: SEGV", "WRITE", "a write of byte 40", "open for reads only"]),
    ];
    for (defect, expected) in cases {
        let mut run = Command::new(&program);
        let ended =
            tenure_harness::output(run.arg(defect).env("TENURE_CHECK", "1"), LIMIT).expect("the program starts");
        let text = ended.stderr;
        assert!(ended.status.is_some_and(|status| status.code() == Some(1)), "{defect}: {:?}\n{text}", ended.status);
        expected.iter().for_each(|part| assert!(text.contains(part), "{defect}: no \"{part}\" in\n{text}"));
        assert_eq!(text.matches("tenure: a ").count(), 1, "{defect}: told once\n{text}");
    }
    // Correct programs run to their end.
    for section in ["array", "borrow", "function_outputs"] {
        let name = format!("{section}_by_asan_with_checks");
        let program =
            compiled_of(&format!("{section}.c"), &name, &["-lm", "-rdynamic", options[0], options[1]]).unwrap();
        output(Command::new(&program).env("TENURE_CHECK", "1").env("TENURE_CHECKED_BY", "sanitizers")).unwrap();
    }
}

/// ThreadSanitizer reports no race where arrays and blocks pass from one thread to another, and still reports one
/// without the library.
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
