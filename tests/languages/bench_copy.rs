//! The program of `cargo xtask bench copy` compiles without warnings and refuses unknown arguments. The figures are not
//! checked.

use crate::support;
use std::path::Path;
use std::process::Command;
use support::tools::{compiler, library, library_folder, output, root};
use tenure_harness::{require, test};

#[test]
fn the_program_of_copies_builds() {
    require(&["gcc"]);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-copy");
    let mut compile = compiler("c11");
    compile.arg(root().join("benches/copy.c")).arg("-o").arg(&program).arg(library());
    let folder = format!("-Wl,-rpath,{}", library_folder().display());
    output(compile.arg(folder)).unwrap_or_else(|text| panic!("{text}"));
    let refused = output(Command::new(&program).arg("sideways"));
    assert!(refused.is_err_and(|text| text.contains("forwards|backwards")));
}
