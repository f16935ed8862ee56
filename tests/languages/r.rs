//! The R binding: the package installs without a compiler's warning, `calls.R` and `collect.R` of `bindings/r/tests`
//! pass, and the README's programs print what it shows. One of them is the example that hands an array from C to R and
//! back.

use crate::support;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, files, library, output, read, root};
use support::{handover, readme};
use tenure_harness::{require, test};

const FOLDER: &str = "bindings/r";
const WARNINGS: &str = "-Wall -Wextra -Werror -Wstrict-prototypes";

/// The package, installed in a folder of one test.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn install(tag: &str) -> Package {
        require(&["R", "gcc", "make"]);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("r_{tag}"));
        let _ = std::fs::remove_dir_all(&folder);
        let package = Package { folder };
        for made in ["tenure/lib", "packages"] {
            std::fs::create_dir_all(package.folder.join(made)).expect("the target folder is writable");
        }
        // An installation as `cargo xtask dist` makes it.
        symlink(root().join("include"), package.folder.join("tenure/include")).expect("a link can be made");
        for name in ["libtenure.so", "libtenure.so.0"] {
            symlink(library(), package.folder.join("tenure/lib").join(name)).expect("a link can be made");
        }
        // R builds beside the sources.
        for file in files(FOLDER, "") {
            let copy = package.folder.join(&file);
            std::fs::create_dir_all(copy.parent().expect("a file lies in a folder"))
                .expect("the target folder is writable");
            std::fs::copy(root().join(&file), copy).expect("a source can be copied");
        }
        let mut install = Command::new("R");
        install.args(["CMD", "INSTALL", "--no-test-load", "--library=packages", FOLDER]).current_dir(&package.folder);
        output(install.env("TENURE", package.folder.join("tenure")).env("PKG_CFLAGS", WARNINGS)).unwrap();
        package
    }

    /// Compiles a library that R loads by its name.
    fn compile(&self, source: &str, name: &str) {
        let mut build = compiler("c11");
        build.args(["-shared", "-fPIC"]).arg(root().join(FOLDER).join(source)).arg(library());
        build.arg(format!("-Wl,-rpath,{}", self.folder.join("tenure/lib").display()));
        output(build.arg("-o").arg(self.folder.join(name))).unwrap();
    }

    /// What an R program prints.
    fn run(&self, program: &Path) -> String {
        let mut command = Command::new("Rscript");
        command.arg("--vanilla").arg(program).current_dir(&self.folder);
        output(command.env("R_LIBS", self.folder.join("packages")).env("LC_ALL", "C.UTF-8")).unwrap()
    }
}

#[test]
fn calls_pass() {
    let package = Package::install("calls");
    package.compile("tests/thread.c", "thread.so");
    assert_eq!(package.run(&root().join(FOLDER).join("tests/calls.R")), "all calls passed\n");
}

#[test]
fn objects_that_nothing_releases_are_collected() {
    let package = Package::install("collect");
    package.compile("tests/misuse.c", "misuse.so");
    let printed = package.run(&root().join(FOLDER).join("tests/collect.R"));
    assert!(printed.ends_with("all were collected\n"), "{printed}");
}

#[test]
fn programs_of_the_readme_print_what_it_shows() {
    let package = Package::install("readme");
    handover::compile(&package.folder);
    let page = read(format!("{FOLDER}/README.md"));
    readme::shows(&page, &[&read(format!("{FOLDER}/example/handover.R"))]);
    for (program, shown) in readme::programs(&page, "r", "library(tenure)") {
        let source = package.folder.join("example.R");
        std::fs::write(&source, program).expect("the target folder is writable");
        assert_eq!(package.run(&source), shown);
    }
}
