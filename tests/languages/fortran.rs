//! The Fortran binding: `bindings/fortran/tests/calls.f90` passes, plain, optimised and under valgrind; the example
//! hands an array from C to Fortran and back; the examples of the README and of the cookbook print what these pages
//! show.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, library, library_folder, output, read, root};
use tenure_harness::{require, test};

const FOLDER: &str = "bindings/fortran";
/// Real numbers are compared with the very values that were written.
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-Wno-compare-reals"];

/// A folder of one test, with the objects of the two modules.
struct Build {
    folder: PathBuf,
    flags: &'static [&'static str],
}

impl Build {
    fn new(tag: &str, flags: &'static [&'static str]) -> Build {
        require(&["gfortran"]);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fortran_{tag}"));
        std::fs::create_dir_all(&folder).expect("the target folder is writable");
        let build = Build { folder, flags };
        for module in ["tenure_c", "tenure"] {
            build.compile(&root().join(FOLDER).join(format!("{module}.f90")), module);
        }
        build
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gfortran");
        command.args(["-std=f2018", "-g"]).args(WARNINGS).args(self.flags).arg("-J").arg(&self.folder);
        command
    }

    fn compile(&self, source: &Path, object: &str) {
        output(self.command().arg("-c").arg(source).arg("-o").arg(self.object(object))).unwrap();
    }

    fn object(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.o"))
    }

    /// Links a program of some objects, which finds the library by its rpath.
    fn link(&self, objects: &[&str]) -> PathBuf {
        let program = self.folder.join("program");
        let mut link = self.command();
        link.args(objects.iter().chain(&["tenure", "tenure_c"]).map(|name| self.object(name)));
        link.arg(library()).arg(format!("-Wl,-rpath,{}", library_folder().display()));
        output(link.arg("-o").arg(&program)).unwrap();
        program
    }
}

/// The test program. It ends with a status other than 0 if a call differs.
fn calls(tag: &str, flags: &'static [&'static str]) -> PathBuf {
    let build = Build::new(tag, flags);
    build.compile(&root().join(FOLDER).join("tests/calls.f90"), "calls");
    build.link(&["calls"])
}

#[test]
fn calls_pass() {
    let printed = output(&mut Command::new(calls("plain", &["-O0", "-fcheck=all"]))).unwrap();
    assert_eq!(printed, "all calls passed\n");
}

#[test]
fn calls_pass_optimised() {
    output(&mut Command::new(calls("optimised", &["-O2"]))).unwrap();
}

#[test]
fn calls_pass_under_valgrind() {
    require(&["valgrind"]);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
    output(valgrind.arg("--errors-for-leak-kinds=definite,indirect").arg(calls("valgrind", &["-O0"]))).unwrap();
}

/// C gives, Fortran takes and writes in place, and C's handle is destructed.
#[test]
fn an_array_goes_from_c_to_fortran_and_back() {
    let build = Build::new("handover", &["-O0", "-fcheck=all"]);
    require(&["gcc"]);
    let folder = root().join(FOLDER).join("example");
    build.compile(&folder.join("handover.f90"), "handover");
    output(compiler("c11").arg("-c").arg(folder.join("handover.c")).arg("-o").arg(build.object("main"))).unwrap();
    let printed = output(&mut Command::new(build.link(&["main", "handover"]))).unwrap();
    assert_eq!(printed, "C's own handle: TN_ERR_DESTRUCTED\nFortran's result: 25\n0 leaks\n");
    let readme = read(format!("{FOLDER}/README.md"));
    for part in [read(format!("{FOLDER}/example/handover.f90")), printed] {
        assert!(readme.contains(&part), "the README does not show:\n{part}");
    }
}

#[test]
fn programs_of_the_documents_print_what_they_show() {
    let build = Build::new("documents", &["-O0", "-fcheck=all"]);
    for (page, least) in [(format!("{FOLDER}/README.md"), 2), ("docs/cookbook/share.md".to_owned(), 1)] {
        let text = read(&page);
        let mut count = 0;
        for block in text.split("```fortran\n").skip(1) {
            let (program, after) = block.split_once("```\n").expect("a block ends");
            if !program.starts_with("program ") {
                continue;
            }
            let source = build.folder.join("example.f90");
            std::fs::write(&source, program).expect("the target folder is writable");
            build.compile(&source, "example");
            let printed = output(&mut Command::new(build.link(&["example"]))).unwrap();
            let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
            assert_eq!(Some(printed.as_str()), shown, "program {count} of {page} prints something else");
            count += 1;
        }
        assert!(count >= least, "the programs of {page} were not recognised");
    }
}
