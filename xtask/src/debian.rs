//! Debian packages of the installed tree.
//!
//! Promise: `libtenure0` has the shared library and is named after its SONAME, `libtenure-dev` has all that builds
//! programs, `tenure` has the program and the malloc library. Every installed file is in exactly one of them. The
//! `symbols` file of `libtenure0` gives programs a dependency on the version that introduced the functions that they
//! call.

use crate::dist::Machine;
use crate::install::{self, SONAME};
use crate::tools::{Done, command, io, make_folder_of, output, read, root, run};
use crate::{abi, malloc};
use std::fmt::Write;
use std::path::Path;

const DESCRIPTION: &str = "who holds each buffer, and for how long";
const EXPLANATION: &str = " Tenure allocates arrays on the host and on GPUs, shares them between languages without copying, and tracks who\n \
                           holds each buffer.\n";

struct Package {
    name: &'static str,
    section: &'static str,
    depends: &'static str,
    what: &'static str,
}

/// The first package takes the files that no other one takes.
const PACKAGES: [Package; 3] = [
    Package {
        name: "libtenure-dev",
        section: "libdevel",
        depends: "libtenure0 (= @VERSION@)",
        what: "headers, archive, documents",
    },
    Package { name: "libtenure0", section: "libs", depends: "libc6 (>= 2.28)", what: "shared library" },
    Package { name: "tenure", section: "devel", depends: "libc6 (>= 2.28)", what: "program and malloc" },
];

/// The package that a file belongs to. `path` is the path below the prefix.
fn package_of(path: &str) -> usize {
    let is_program = ["bin/", "share/man/", "share/bash-completion/", "share/zsh/", "share/fish/"];
    if path.starts_with(&format!("lib/{SONAME}")) || path.starts_with("lib/libtenure.so.") {
        1
    } else if is_program.iter().any(|folder| path.starts_with(folder)) || path == format!("lib/{}", malloc::LIBRARY) {
        2
    } else {
        0
    }
}

/// Debian's name of a machine's architecture.
fn architecture(machine: Machine) -> &'static str {
    match machine.processor {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The names of a machine's package files.
pub fn names(machine: Machine, version: &str) -> Vec<String> {
    PACKAGES.iter().map(|package| format!("{}_{version}_{}.deb", package.name, architecture(machine))).collect()
}

/// Writes the packages of the files that are staged for a machine into a folder.
pub fn pack(machine: Machine, folder: &Path) -> Done {
    let scratch = root().join("target/debian");
    let _ = std::fs::remove_dir_all(&scratch);
    let all = scratch.join("all");
    install::lay_out(machine, &all)?;
    let trees: Vec<_> = PACKAGES.iter().map(|package| scratch.join(package.name)).collect();
    for path in output(command("find").args([".", "!", "-type", "d", "-printf", "%P\n"]).current_dir(&all))?.lines() {
        let to = trees[package_of(path)].join("usr").join(path);
        make_folder_of(&to)?;
        io(&to, std::fs::rename(all.join(path), &to))?;
    }
    let version = install::version()?;
    for ((package, tree), file) in PACKAGES.iter().zip(&trees).zip(names(machine, &version)) {
        let texts = tree.join("usr/share/doc").join(package.name);
        io(&texts, std::fs::create_dir_all(&texts))?;
        io(&texts, std::fs::write(texts.join("copyright"), copyright()?))?;
        let control = tree.join("DEBIAN");
        io(&control, std::fs::create_dir_all(&control))?;
        let write = |name: &str, text: String| io(&control, std::fs::write(control.join(name), text));
        write("control", package.control(machine, &version))?;
        if package.name == "libtenure0" {
            write("symbols", symbols()?)?;
            write("shlibs", format!("libtenure 0 libtenure0 (>= {version})\n"))?;
            write("triggers", "activate-noawait ldconfig\n".to_owned())?;
        }
        let mut modes = command("chmod");
        run(modes.args(["-R", "u=rwX,go=rX"]).arg(tree))?;
        let mut build = command("dpkg-deb");
        // A file's time would differ in each build. dpkg-deb takes no time later than this one.
        build.env("SOURCE_DATE_EPOCH", "0").args(["--root-owner-group", "-Zxz", "--build"]);
        run(build.arg(tree).arg(folder.join(file)).stdout(std::process::Stdio::null()))?;
    }
    Ok(())
}

impl Package {
    fn control(&self, machine: Machine, version: &str) -> String {
        let Package { name, section, depends, what } = self;
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {}\nSection: {section}\nPriority: optional\n\
             Maintainer: The Tenure project\nDepends: {}\nDescription: {DESCRIPTION} ({what})\n{EXPLANATION}",
            architecture(machine),
            depends.replace("@VERSION@", version)
        )
    }
}

/// The file from which dpkg-shlibdeps computes what a program depends on.
fn symbols() -> Done<String> {
    let mut functions = abi::functions()?;
    functions.sort();
    let mut text = format!("{SONAME} libtenure0 #MINVER#\n");
    for (name, since) in functions {
        let _ = writeln!(text, " {name}@Base {since}");
    }
    Ok(text)
}

/// Both licences, of which the user chooses one.
fn copyright() -> Done<String> {
    Ok(format!("MIT OR Apache-2.0\n\n{}\n\n{}", read("LICENSE-MIT")?, read("LICENSE-APACHE")?))
}
