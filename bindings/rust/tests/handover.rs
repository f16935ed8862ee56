//! The handover example: a C program with the library that `examples/handover.rs` is.
#![cfg(not(feature = "static"))] // the C program would have a second copy of the library

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of this test program's examples.
fn examples() -> PathBuf {
    let program = std::env::current_exe().expect("a program has a path");
    program.ancestors().nth(2).expect("target/debug/deps").join("examples")
}

/// The output of a command that succeeds.
fn output(command: &mut Command) -> String {
    let program = command.get_program().to_owned();
    let out = command.output().unwrap_or_else(|e| panic!("{program:?}: {e}"));
    assert!(out.status.success(), "{program:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("the example prints ASCII")
}

#[test]
fn rust_takes_what_c_gives() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = examples().join("libhandover.so");
    assert!(example.exists(), "{} is missing; `cargo test` without --test builds it", example.display());
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("handover");
    let library = Path::new(env!("TENURE_LIB_DIR_LINKED"));
    let target = env!("TENURE_TARGET");
    let mut compile =
        cc::Build::new().host(target).target(target).opt_level(0).cargo_metadata(false).get_compiler().to_command();
    compile.args(["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"]).arg(package.join("../../include"));
    compile.arg(package.join("examples/handover.c")).arg("-o").arg(&program);
    for folder in [&examples(), library] {
        compile.arg("-L").arg(folder).arg(format!("-Wl,-rpath,{}", folder.display()));
    }
    output(compile.args(["-lhandover", "-ltenure"]));
    let said = output(Command::new(program).env_remove("LD_LIBRARY_PATH"));
    let expected = "C has 1.5\n\
                    given: 3 in place, and C's handle is TN_ERR_DESTRUCTED\n\
                    lent: 4 in new bytes\n\
                    given: 4 in place\n\
                    while C reads, Rust gets TN_ERR_BORROWED\n\
                    0 leaks\n";
    assert_eq!(said, expected);
}
