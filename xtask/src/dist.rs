//! `cargo xtask dist`: stages the libraries in `target/dist`.
//!
//! Promise: `target/dist/lib` has `libtenure.so.0`, the link `libtenure.so` and `libtenure.a`, from one build with
//! link-time optimisation. Cargo drops that optimisation silently when the same build makes the rlib too. Beside them
//! lies `libtenure_malloc.so`, which is only preloaded. `bin` has the program `tenure`, and `share` its completions and
//! its pages for man. What a release has for a kind of machine is staged in `target/dist-NAME` likewise; `portable`
//! builds it. A run of the tests can choose the libraries that it has built for itself instead.

use crate::tools::{Done, cargo, command, copy, copy_all, io, link, root, run};
use crate::{malloc, portable, programs};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Which build of this machine's libraries the commands use.
#[derive(Clone, Copy, PartialEq)]
pub enum Build {
    /// As they are shipped, with link-time optimisation, in `target/dist`.
    Shipped,
    /// Those of the tests, which a run of the tests has built already, in `target/dist-tested`.
    Tested,
}

static BUILD: OnceLock<Build> = OnceLock::new();

/// Decides for the whole run; the first decision counts.
pub fn choose(build: Build) {
    let _ = BUILD.set(build);
}

/// The build that the commands use: what is shipped, unless something else was chosen.
fn chosen() -> Build {
    *BUILD.get_or_init(|| Build::Shipped)
}

/// What files are built for.
#[derive(Clone, Copy, PartialEq)]
pub struct Machine {
    /// The name in the names of files: the processor, as Rust names it, and the C library if it is not glibc.
    pub name: &'static str,
    /// The processor, as Rust names it.
    pub processor: &'static str,
    /// The target of a build for all machines of a kind. Without one it is this machine's, by its own tools.
    pub triple: Option<&'static str>,
    /// What the names of its C tools begin with.
    pub tools: &'static str,
}

/// The machine that runs this command.
pub const THIS: Machine =
    Machine { name: std::env::consts::ARCH, processor: std::env::consts::ARCH, triple: None, tools: "" };

/// The name of the program.
pub const PROGRAM: &str = "tenure";

/// The folder of this machine's staged libraries and headers.
pub fn folder() -> PathBuf {
    THIS.folder()
}

/// Builds and stages everything for this machine.
pub fn stage() -> Done {
    THIS.stage()
}

/// The libraries and the headers for this machine.
pub fn dynamic() -> Done {
    THIS.dynamic()
}

/// The libraries for this machine. Returns the path of the shared one.
pub fn libraries() -> Done<PathBuf> {
    THIS.libraries()
}

impl Machine {
    /// The folder of the staged libraries and headers.
    pub fn folder(self) -> PathBuf {
        self.folder_like(if self.is_tested() { "target/dist-tested" } else { "target/dist" })
    }

    /// Whether the files are those of the tests.
    pub fn is_tested(self) -> bool {
        self.triple.is_none() && chosen() == Build::Tested
    }

    /// A folder for built files. For a kind of machine it has the kind's name behind its own.
    pub fn folder_like(self, folder: &str) -> PathBuf {
        root().join(if self.triple.is_none() { folder.to_owned() } else { format!("{folder}-{}", self.name) })
    }

    /// Builds and stages everything.
    pub fn stage(self) -> Done {
        replace(&malloc::build(self, "release")?, &self.library_folder()?, malloc::LIBRARY)?;
        self.program()?;
        self.dynamic()
    }

    /// The program `tenure`, its completions and its pages for man. Returns the path of the program.
    pub fn program(self) -> Done<PathBuf> {
        let bin = self.folder().join("bin");
        io(&bin, std::fs::create_dir_all(&bin))?;
        if self.is_tested() {
            // What builds a test of the program builds the program.
            run(programs::of_packages(&["--test", "command"]).args(["--quiet", "--no-run"]))?;
            replace(&root().join("target/debug").join(PROGRAM), &bin, PROGRAM)?;
            return Ok(bin.join(PROGRAM));
        }
        eprintln!("building {PROGRAM} with link-time optimisation: minutes, where much has changed");
        // In a folder of its own: the library with all its kinds must not replace those that other builds made alone.
        let built = self.build(
            &["build", "--package", "tenure-command", "--no-default-features"],
            "target/command",
            "release",
        )?;
        replace(&built.join(PROGRAM), &bin, PROGRAM)?;
        let program = bin.join(PROGRAM);
        // The pages are the same for all machines.
        let runs = if self == portable::here() || self.triple.is_none() {
            program.clone()
        } else {
            portable::here().program()?
        };
        run(command(runs).arg("pages").arg(self.folder().join("share")))?;
        Ok(program)
    }

    /// The libraries and the headers: all that the wheel and a program that links them need.
    pub fn dynamic(self) -> Done {
        self.libraries()?;
        let include = self.folder().join("include");
        copy_all(&root().join("include"), &include)?;
        // Those of one language lie with its binding; programs include them from beside the C header.
        for header in ["cpp/tenure.hpp", "cpp/tenure_memory.hpp", "cpp/tenure_rmm.hpp", "python/include/tenure_numpy.h"]
        {
            let header = root().join("bindings").join(header);
            copy(&header, &include.join(header.file_name().expect("a file")))?;
        }
        Ok(())
    }

    /// The shared and the static library. Returns the path of the shared one.
    pub fn libraries(self) -> Done<PathBuf> {
        let library = self.library_folder()?;
        let built = if self.is_tested() {
            run(programs::of_packages(&["--test", "repository"]).args(["--quiet", "--no-run"]))?;
            root().join("target/debug/deps")
        } else {
            eprintln!("building the libraries with link-time optimisation: minutes, where much has changed");
            // In a folder of its own: other builds make the rlib too, and would replace these.
            self.build(&["rustc", "--lib", "--crate-type", "cdylib,staticlib"], "target/libraries", "release")?
        };
        replace(&built.join("libtenure.a"), &library, "libtenure.a")?;
        replace(&built.join("libtenure.so"), &library, "libtenure.so.0")?;
        link("libtenure.so.0", &library.join("libtenure.so"))?;
        Ok(library.join("libtenure.so.0"))
    }

    /// Runs cargo with a target folder and a profile. Returns the folder of what it built.
    pub fn build(self, arguments: &[&str], target: &str, profile: &str) -> Done<PathBuf> {
        let mut built = root().join(target);
        let mut build = match self.triple {
            None => {
                let mut cargo = cargo();
                cargo.args(arguments);
                cargo
            }
            Some(triple) => portable::cargo(triple, arguments)?,
        };
        build.args(["--quiet", "--locked", "--profile", profile, "--target-dir"]).arg(&built);
        run(&mut build)?;
        built.extend(self.triple);
        Ok(built.join(profile))
    }

    fn library_folder(self) -> Done<PathBuf> {
        let library = self.folder().join("lib");
        io(&library, std::fs::create_dir_all(&library))?;
        Ok(library)
    }
}

/// Puts a file into a folder as `name`. It replaces an existing file, so a program that runs keeps the old one.
pub fn replace(from: &Path, folder: &Path, name: &str) -> Done {
    let new = folder.join(format!("{name}.new"));
    copy(from, &new)?;
    io(&new, std::fs::rename(&new, folder.join(name)))
}
