//! The programs of `static-check/programs`: each line that is marked with a rule's id is reported with that rule, and
//! nothing else is. `docs/spec/static-checks.md` has the rules.
//!
//! Correct programs have no findings: the examples, and the whole programs in C of the documents.
//!
//! SC-1..12: ten functions or more of each rule's file must be reported, and ten must not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tenure_harness::{skip, test};
use tenure_static_check::preprocess::{Compilation, compiler, preprocess};
use tenure_static_check::{Checked, Model, check};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// What is found in a file of the repository.
fn checked(path: &str, options: &[&str], wants_sites: bool) -> Checked {
    let Some(compiler) = compiler() else { skip("no C compiler") };
    let include = |folder: &str| format!("-I{}", root().join(folder).display());
    let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    options.extend([include("include"), include("c-tests"), include("examples/cuda")]);
    let compilation = Compilation { file: root().join(path), folder: PathBuf::new(), options };
    let source = preprocess(&compiler, &compilation).unwrap_or_else(|why| panic!("{why}"));
    static MODEL: LazyLock<Model> = LazyLock::new(Model::new);
    check(&MODEL, &source, wants_sites)
}

/// The lines with a rule's id in a comment, and the ids.
fn marked(path: &str) -> BTreeSet<(usize, String)> {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let mut found = BTreeSet::new();
    for (at, line) in text.lines().enumerate().skip(1) {
        let marks = line.split("/* SC-").skip(1).filter_map(|rest| rest.split(" */").next());
        found.extend(marks.map(|number| (at + 1, format!("SC-{number}"))));
    }
    found
}

/// The findings of a file: line and rule.
fn found(checked: &Checked) -> BTreeSet<(usize, String)> {
    checked.findings.iter().map(|finding| (finding.place.line, finding.rule.clone())).collect()
}

/// Checks the file of a rule.
fn rule(number: u32) {
    let path = format!("static-check/programs/sc_{number}.c");
    let checked = checked(&path, &[], number == 11);
    assert!(checked.given_up.is_empty(), "{:?}", checked.given_up);
    let (expected, actual) = (marked(&path), found(&checked));
    let missed: Vec<_> = expected.difference(&actual).collect();
    let wrong: Vec<_> = actual.difference(&expected).collect();
    assert!(missed.is_empty() && wrong.is_empty(), "{path}: not reported: {missed:?}; wrongly reported: {wrong:?}");
    // Which functions have a mark: one begins at each line with a brace alone.
    let text = std::fs::read_to_string(root().join(&path)).unwrap();
    let functions: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| *line == "{").map(|(at, _)| at + 1).collect();
    let ends: Vec<usize> = text.lines().enumerate().filter(|(_, line)| *line == "}").map(|(at, _)| at + 1).collect();
    let is_bad = |begin: usize, end: usize| expected.iter().any(|(line, _)| (begin - 1..=end).contains(line));
    let bad = functions.iter().zip(&ends).filter(|(begin, end)| is_bad(**begin, **end)).count();
    assert!(bad >= 10, "{path}: only {bad} functions must be reported");
    assert!(functions.len() - bad >= 10, "{path}: only {} functions must not be reported", functions.len() - bad);
}

#[test]
fn sc_1_a_guard_is_not_ended() {
    rule(1);
}

#[test]
fn sc_2_a_handle_is_not_released() {
    rule(2);
}

#[test]
fn sc_3_a_promise_is_not_released() {
    rule(3);
}

#[test]
fn sc_4_a_handle_is_ended_twice() {
    rule(4);
}

#[test]
fn sc_5_a_handle_is_used_after_its_end() {
    rule(5);
}

#[test]
fn sc_6_an_array_is_used_after_it_was_given() {
    rule(6);
}

#[test]
fn sc_7_a_use_conflicts_with_a_guard() {
    rule(7);
}

#[test]
fn sc_8_an_address_is_used_after_its_guard() {
    rule(8);
}

#[test]
fn sc_9_a_status_is_ignored() {
    rule(9);
}

#[test]
fn sc_10_a_message_was_replaced() {
    rule(10);
}

#[test]
fn sc_11_what_is_made_has_no_site() {
    rule(11);
}

#[test]
fn sc_12_a_handle_was_never_made() {
    rule(12);
}

/// The functions of a file that have a line with one of these texts.
fn functions_with(path: &str, texts: &[&str]) -> usize {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    text.split("\n}\n").filter(|function| texts.iter().any(|text| function.contains(text))).count()
}

/// SC-14: what is found of sixty planted defects. docs/static-checks.md has the numbers.
#[test]
fn sc_14_planted_defects_are_found() {
    const PLANTED: &str = "static-check/programs/planted.c";
    let checked = checked(PLANTED, &[], false);
    let (expected, actual) = (marked(PLANTED), found(&checked));
    assert_eq!(actual, expected);
    let (all, seen) =
        (functions_with(PLANTED, &["SC-", "/* missed */", "/* run time */"]), functions_with(PLANTED, &["/* SC-"]));
    let elsewhere = functions_with(PLANTED, &["/* run time */"]);
    let shown = all - elsewhere;
    assert_eq!(all, 60);
    assert!(seen * 100 >= shown * 80, "{seen} of {shown} that one function shows");
    let document = std::fs::read_to_string(root().join("docs/static-checks.md")).unwrap();
    let sentence = format!("finds {seen} of the {shown} that one function shows");
    assert!(document.contains(&sentence), "docs/static-checks.md does not say: {sentence}");
}

/// All files below a folder of the repository whose names end so.
fn below(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(below(&path, end));
        } else if path.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn sc_18_the_checker_knows_the_forms() {
    let checked = checked("static-check/programs/forms.c", &[], false);
    let expected = [(11, "SC-7"), (22, "SC-7"), (36, "SC-7"), (48, "SC-5"), (69, "SC-1")];
    assert_eq!(found(&checked), expected.map(|(line, rule)| (line, rule.to_owned())).into());
}

/// SC-13: programs that are right have no findings.
#[test]
fn sc_13_examples_have_no_findings() {
    let mut calls = 0;
    for path in below("examples", ".c").into_iter().chain(below("bindings/handover", ".c")) {
        // mpi.h is not everywhere; `cargo xtask check` on a machine with it checks these too.
        if path.contains("/mpi/") {
            continue;
        }
        let checked = checked(&path, &["-D_GNU_SOURCE"], false);
        assert!(checked.findings.is_empty(), "{path}: {:#?}", checked.findings);
        assert!(checked.given_up.is_empty(), "{path}: {:?}", checked.given_up);
        calls += checked.calls;
    }
    assert!(calls > 250, "only {calls} calls were seen");
}

/// What a block of a document without `main` stands in, as in tests/repository/docs.rs.
const BEFORE: &str = "#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <tenure.h>\n\
                      #define OK(call) do { if ((call) != TN_OK) exit(1); } while (0)\nint main(void) {\n";

/// SC-13, in the documents: blocks of C. One with the mark of a rule shows what is reported.
#[test]
fn sc_13_programs_of_the_documents_have_no_findings() {
    let (mut programs, mut calls) = (0, 0);
    let mut documents = below("docs", ".md");
    documents.push("README.md".to_owned());
    for document in documents {
        let text = std::fs::read_to_string(root().join(&document)).unwrap();
        for block in text.split("```c\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let whole = if block.contains("int main(") { block.to_owned() } else { format!("{BEFORE}{block}}}\n") };
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("document_{programs}.c"));
            std::fs::write(&path, &whole).unwrap();
            let checked = checked(path.to_str().unwrap(), &[], false);
            let expected = whole.matches("/* SC-").count();
            assert_eq!(checked.findings.len(), expected, "{document}: {:#?}", checked.findings);
            programs += 1;
            calls += checked.calls;
        }
    }
    assert!(programs > 50 && calls > 400, "only {programs} programs with {calls} calls");
}

/// SC-15: the C tests make wrong calls on purpose and handle their statuses. What the checker misunderstands is rare.
#[test]
fn sc_15_false_findings_are_rare() {
    let (mut calls, mut findings, mut given_up) = (0, 0, 0);
    for path in below("c-tests", ".c").into_iter().filter(|path| !path.contains("/umf/")) {
        let checked = checked(&path, &["-D_GNU_SOURCE"], false);
        calls += checked.calls;
        given_up += checked.given_up.len();
        for finding in &checked.findings {
            println!("{}:{}: {} [{}]", finding.place.file.display(), finding.place.line, finding.message, finding.rule);
        }
        findings += checked.findings.len();
    }
    println!("{findings} findings in {calls} calls; {given_up} functions given up");
    assert!(calls > 7000, "only {calls} calls were seen");
    let document = std::fs::read_to_string(root().join("docs/static-checks.md")).unwrap();
    let sentence = format!("the checker reports {findings} lines");
    assert!(document.contains(&sentence), "docs/static-checks.md does not say: {sentence}");
    assert!(findings * 200 <= calls, "{findings} findings in {calls} calls");
    assert!(given_up < 10, "{given_up} functions given up");
}
