//! The C and C++ programs of `examples/`, and C programs of several files in its folders, compile without warnings and
//! print what the comment at their end shows.
//!
//! So do the Rust programs, which link the library as a crate.
//!
//! `examples/handover` is run by `cargo xtask demo`, the Python programs by the package's tests.

use crate::support;
use std::path::Path;
use std::process::Command;
use support::tools::{compiler, files, library, library_folder, output, read, root};
use tenure_harness::{missing, require, test};

/// FO-1 (two_spaces.c), FO-2 (in_place.cpp), FO-3 (tensors.c).
#[test]
fn examples_print_what_they_say() {
    require(&["gcc", "g++"]);
    let folders = ["examples", "examples/documents"].map(Path::new);
    let mut programs = [files("examples", ".c"), files("examples", ".cpp")].concat();
    programs.retain(|path| path.parent().is_some_and(|folder| folders.contains(&folder)));
    // Those that need a GPU run in `cargo xtask examples`.
    programs.retain(|path| !read(path).lines().next().is_some_and(|head| head.ends_with("Needs a GPU. */")));
    assert!(programs.len() >= 6, "examples/ has few C and C++ programs: {programs:?}");
    for program in programs {
        let name = program.file_name().expect("a listed file has a name");
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("example_{}", name.to_string_lossy()));
        let is_cpp = program.extension().is_some_and(|end| end == "cpp");
        let mut compile = compiler(if is_cpp { "c++17" } else { "c11" });
        compile.arg("-I").arg(root().join("bindings/cpp"));
        compile.arg(name).arg(library()).arg(format!("-Wl,-rpath,{}", library_folder().display()));
        compile.arg("-o").arg(&binary);
        // By its bare name, which is part of the output.
        output(compile.current_dir(root().join(&program).parent().expect("a file lies in a folder"))).unwrap();
        let printed = output(&mut Command::new(&binary)).unwrap();
        compare(&program, &printed);
    }
}

/// Programs of several files: `examples/<name>/main.c` is compiled with the other C files beside it and runs in their
/// folder.
#[test]
fn programs_of_several_files_print_what_they_say() {
    require(&["gcc"]);
    let sources = files("examples", ".c");
    let programs: Vec<_> =
        sources.iter().filter(|path| path.file_name().is_some_and(|name| name == "main.c")).collect();
    assert!(!programs.is_empty(), "examples/ has no folder with a main.c");
    for program in programs {
        let folder = program.parent().expect("a listed file lies in a folder");
        let name = folder.file_name().expect("a folder below examples/ has a name").to_string_lossy();
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("example_{name}"));
        let mut compile = compiler("c11");
        compile
            .arg("-O2")
            .args(sources.iter().filter(|path| path.parent() == Some(folder)).filter_map(|path| path.file_name()));
        compile.arg(library()).arg("-lm").arg(format!("-Wl,-rpath,{}", library_folder().display()));
        compile.arg("-o").arg(&binary);
        output(compile.current_dir(root().join(folder))).unwrap();
        let printed = output(Command::new(&binary).current_dir(root().join(folder))).unwrap();
        compare(program, &printed);
    }
}

/// Checks that the program printed what the comment at its end shows.
fn compare(program: &Path, printed: &str) {
    let source = read(program);
    let said = source.rsplit_once("/* It prints:\n").and_then(|(_, rest)| rest.split_once("*/"));
    let (said, _) = said.unwrap_or_else(|| panic!("{program:?} does not end with what it prints"));
    assert_eq!(printed.trim(), said.trim(), "{program:?} prints something else than it says");
}

#[test]
fn rust_programs_print_what_they_say() {
    let programs: Vec<_> =
        files("examples", ".rs").into_iter().filter(|path| path.parent() == Some(Path::new("examples"))).collect();
    assert!(!programs.is_empty(), "examples/ has no Rust program");
    for program in programs {
        let name = program.file_stem().expect("a listed file has a name");
        // Beside `deps`, where this program is.
        let built = library().parent().expect("a file lies in a folder").with_file_name("examples").join(name);
        if !built.exists() {
            missing(format!("{} is not built: cargo build --examples", built.display()));
        }
        compare(&program, &output(&mut Command::new(built)).unwrap());
    }
}
