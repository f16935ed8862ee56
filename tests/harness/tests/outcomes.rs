//! A program of the harness with tests that pass, fail, hang or cannot run, and the harness's report of each.
//! `outcomes_are_told` below starts the others by name; run by themselves, some must fail.

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

mod module {
    use tenure_harness::test;

    #[test]
    #[ignore = "for a_test_is_found_without_its_modules"]
    fn of_a_module() {}

    #[test]
    #[ignore = "for a_test_is_found_without_its_modules"]
    fn passes() {}
}

#[test]
fn a_test_is_found_without_its_modules() {
    let ends_well = |name: &str| tenure_harness::again(name).output().unwrap().status.success();
    assert!(ends_well("of_a_module") && ends_well("module::of_a_module") && ends_well("passes"));
    assert!(!ends_well("a_module") && !ends_well("module"), "part of a name is no name");
}

/// A test that starts its own program, which must not run that test again without end.
#[test]
fn a_program_that_a_test_starts_is_no_test() {
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
        "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 5 filtered out",
    ] {
        assert!(text.contains(line), "no \"{line}\" in\n{text}");
    }
    // They run only on request.
    let output = program_without_arguments();
    assert!(output.contains("test hangs ... ignored, for outcomes_are_told"), "{output}");
}

fn program_without_arguments() -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.args(["--skip", "told", "--skip", "starts"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
