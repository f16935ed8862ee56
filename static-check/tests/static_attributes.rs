//! clang's analysis of the headers' attributes, on programs that mark the lines with warnings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tenure_harness::{require, test};
use tenure_static_check::attributes;
use tenure_static_check::preprocess::Compilation;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// clang warns of the marked lines of a program, and of no others.
fn warns(name: &str) {
    require(&["clang"]);
    let file = root().join("static-check/programs").join(name);
    let include = |folder: &str| format!("-I{}", root().join(folder).display());
    let options = vec![include("include"), include("bindings/cpp")];
    let compilation = Compilation { file: file.clone(), folder: PathBuf::new(), options };
    let findings = attributes::check(&compilation).unwrap_or_else(|why| panic!("{why}"));
    let found: BTreeSet<(String, usize)> = findings
        .iter()
        .map(|finding| (finding.place.file.file_name().unwrap().to_string_lossy().into_owned(), finding.place.line))
        .collect();
    let text = std::fs::read_to_string(&file).unwrap();
    let marks = text.lines().enumerate().filter(|(_, line)| line.ends_with("WARNS */") || line.ends_with("// WARNS"));
    let expected: BTreeSet<(String, usize)> = marks.map(|(at, _)| (name.to_owned(), at + 1)).collect();
    assert!(expected.len() >= 7, "the marks of {name} were not recognised");
    assert_eq!(found, expected, "{findings:#?}");
}

/// The assembly of a program by a compiler.
fn assembly(compiler: &str, options: &[&str]) -> String {
    let mut command = Command::new(compiler);
    command.args(["-S", "-O1", "-w", "-o", "-"]).args(options).arg("-I").arg(root().join("include"));
    let done = command.arg(root().join("static-check/programs/sc_1.c")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn sc_16_the_code_is_the_same_with_checks() {
    require(&["clang", "gcc"]);
    for compiler in ["clang", "gcc"] {
        let checked = assembly(compiler, &["-DTN_STATIC_CHECKS"]);
        assert!(checked.contains("tn_borrow_end"));
        assert_eq!(checked, assembly(compiler, &[]), "{compiler}");
    }
}

#[test]
fn sc_16_other_compilers_do_not_warn() {
    require(&["gcc", "g++"]);
    for (compiler, language, standard) in [("gcc", "c", "-std=c11"), ("g++", "c++", "-std=c++17")] {
        let mut command = Command::new(compiler);
        command.args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-DTN_STATIC_CHECKS"]);
        command.args([standard, "-x", language, "-I"]).arg(root().join("include"));
        let done = command.arg(root().join("include/tenure_checked.h")).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).replace("#pragma once in main file", "");
        assert!(done.status.success(), "{compiler}: {said}");
    }
}

#[test]
fn sc_17_handles_are_capabilities() {
    warns("attributes.c");
}

#[test]
fn sc_18_forms_show_conflicts() {
    warns("forms.c");
}

#[test]
fn sc_20_cpp_warns() {
    require(&["clang++"]);
    warns("warned.cpp");
}
