//! A program of the harness, and what it says of tests that pass, fail, hang or cannot run. Started by `outcomes_are_told` below, which
//! asks for the others by name: alone they would fail, as they should.

use std::process::Command;
use tenure_harness::{LIMIT, skip, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

#[test]
#[ignore = "for outcomes_are_told"]
fn passes() {}

#[test]
#[ignore = "for outcomes_are_told"]
fn fails() {
    panic!("on purpose");
}

#[test]
#[ignore = "for outcomes_are_told"]
fn hangs() {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv();
}

#[test]
#[ignore = "for outcomes_are_told"]
fn cannot_run() {
    skip("on purpose");
}

/// A test that starts its own program: that one must not take itself for the same test, and so on without end.
#[test]
fn what_a_test_starts_is_no_test() {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", "passes"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("running 1 tests"));
}

#[test]
fn outcomes_are_told() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.env(LIMIT, "2").arg("--include-ignored");
    program.args(["--exact", "passes", "fails", "hangs", "cannot_run"]);
    let output = program.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    for line in [
        "test passes ... ok",
        "test fails ... FAILED",
        "test hangs ... FAILED",
        "hung: not done after 2 s, and killed",
        "test cannot_run ... ignored, on purpose",
        "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 2 filtered out",
    ] {
        assert!(text.contains(line), "no \"{line}\" in\n{text}");
    }
    // Without being asked for they do not run.
    let output = program_without_arguments();
    assert!(output.contains("test hangs ... ignored, for outcomes_are_told"), "{output}");
}

fn program_without_arguments() -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.args(["--skip", "told", "--skip", "starts"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
