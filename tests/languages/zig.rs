//! The Zig binding: `bindings/zig` is formatted, its tests pass; the programs of the README print what it shows. One of
//! them is the example that hands an array from C to Zig and back. Zig is the one that `cargo xtask header-tools`
//! installs.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::handover;
use support::readme::{programs, shows};
use support::tools::{library, library_folder, output, read, root};
use tenure_harness::test;

const FOLDER: &str = "bindings/zig";

/// A folder of one test, with the header's translation.
struct Build {
    folder: PathBuf,
}

impl Build {
    fn new(tag: &str) -> Build {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("zig_{tag}"));
        std::fs::create_dir_all(&folder).expect("the target folder is writable");
        let build = Build { folder };
        let include = root().join("include");
        let mut translate = build.zig("translate-c");
        translate.arg("-lc").arg(format!("-I{}", include.display())).arg(include.join("tenure.h"));
        let translated = output(&mut translate).unwrap();
        std::fs::write(build.folder.join("c.zig"), translated).expect("the target folder is writable");
        build
    }

    /// A command of Zig in the folder. Its cache is that of `cargo xtask header-tools`, because Zig compiles parts of
    /// itself into it.
    fn zig(&self, command: &str) -> Command {
        let tools = root().join("target/header-tools");
        let python = tools.join("venv/bin/python");
        let mut zig = Command::new(&python);
        zig.args(["-m", "ziglang"]);
        if !zig.arg("version").output().is_ok_and(|output| output.status.success()) {
            tenure_harness::missing("Zig is not installed: cargo xtask header-tools installs it from PyPI".to_owned());
        }
        let mut zig = Command::new(python);
        zig.args(["-m", "ziglang", command]).current_dir(&self.folder);
        zig.env("ZIG_GLOBAL_CACHE_DIR", tools.join("zig/cache")).env("ZIG_LOCAL_CACHE_DIR", tools.join("zig/cache"));
        zig
    }

    /// Builds a program with the two modules, as the README says.
    fn program(&self, command: &str, source: &Path) -> Command {
        let mut build = self.zig(command);
        build.args(["--dep", "tenure"]).arg(format!("-Mroot={}", source.display()));
        build.args(["--dep", "c"]).arg(format!("-Mtenure={}", root().join(FOLDER).join("tenure.zig").display()));
        build.args(["-Mc=c.zig", "-lc", "-ltenure", "-L"]).arg(library().parent().expect("a file lies in a folder"));
        build.arg("-rpath").arg(library_folder());
        build
    }
}

#[test]
fn sources_are_formatted_and_calls_pass() {
    let build = Build::new("calls");
    let folder = root().join(FOLDER);
    output(build.zig("fmt").arg("--check").arg(&folder)).unwrap();
    let printed = output(&mut build.program("test", &folder.join("tests/calls.zig"))).unwrap();
    assert!(printed.ends_with("All 14 tests passed.\n"), "{printed}");
}

#[test]
fn programs_of_the_readme_print_what_it_shows() {
    let build = Build::new("readme");
    let source = build.folder.join("program.zig");
    let page = read(format!("{FOLDER}/README.md"));
    handover::compile(&build.folder);
    shows(&page, &[&read(format!("{FOLDER}/example/handover.zig"))]);
    for (program, shown) in programs(&page, "zig", "pub fn main()") {
        std::fs::write(&source, program).expect("the target folder is writable");
        let mut zig = build.program("build-exe", &source);
        if program.contains("handover_give") {
            zig.arg("-L").arg(&build.folder).arg("-lhandover").arg("-rpath").arg(&build.folder);
        }
        output(&mut zig).unwrap();
        assert_eq!(output(&mut Command::new(build.folder.join("root"))).unwrap(), shown, "of:\n{program}");
    }
}
