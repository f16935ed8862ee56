//! `cargo xtask release`: writes the files of a release into `target/release-files`.
//!
//! Promise: for this machine and for aarch64, the folder has a tarball, a wheel and Debian packages; and an SBOM and
//! `SHA256SUMS`, all of this tree. Equal trees and compilers give the same bytes of the tarballs and of the Debian
//! packages. With `--check`, C, C++, Python and Fortran programs run from these files alone, by the commands of
//! docs/install.md, without Rust. Those of C and C++ also run from the tarball for aarch64, under QEMU.

use crate::dist::{AARCH64, Machine, THIS};
use crate::tools::{Done, command, copy, has, io, output, root, run};
use crate::{abi, debian, install, old_programs, python, target};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The programs that the check runs: the first block of a language on a page, and its name in docs/install.md.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("docs/quickstart-c.md", "c", "first.c"),
    ("bindings/cpp/README.md", "cpp", "first.cpp"),
    ("bindings/fortran/README.md", "fortran", "first.f90"),
    ("docs/quickstart-python.md", "python", "first.py"),
];

/// The page with the commands: a block for the tarball, blocks for compilers, and one for the wheel.
const PAGE: &str = "docs/install.md";

/// All programs are built and run within this time.
const LIMIT: Duration = Duration::from_secs(300);

/// The only folders with tools for the check.
const TOOLS: &str = "/usr/bin:/bin";

/// Writes the SBOM, a list of all crates in the library, from Cargo.lock.
const SBOM_TOOL: &str = "cargo-sbom";

/// `cargo xtask release` with its options.
pub fn main(options: &[&str]) -> Done {
    match options {
        [] => build(),
        ["--check"] => check(),
        ["--record"] => abi::record().and_then(|()| old_programs::record()),
        ["--compare"] => {
            println!("{} comparisons, {} programs ran", abi::check()?, old_programs::check()?);
            Ok(())
        }
        _ => Err(format!("release takes --check, --record or --compare, not {}", options.join(" "))),
    }
}

/// The folder of the files.
fn folder() -> PathBuf {
    root().join("target/release-files")
}

/// Builds everything and writes the files.
fn build() -> Done {
    for (tool, package) in [("dpkg-deb", "apt-get install dpkg"), (SBOM_TOOL, "cargo install --locked cargo-sbom")] {
        if !has(tool) {
            return Err(format!("{tool} is not installed: {package}"));
        }
    }
    if let Some(why) = target::missing(AARCH64.processor) {
        return Err(why);
    }
    let folder = folder();
    let _ = std::fs::remove_dir_all(&folder);
    io(&folder, std::fs::create_dir_all(&folder))?;
    for machine in machines() {
        let wheel = python::build_wheel(machine)?;
        machine.stage()?;
        for file in [wheel, install::pack(machine)?] {
            copy(&file, &folder.join(file.file_name().expect("a file has a name")))?;
        }
        debian::pack(machine, &folder)?;
    }
    let sbom =
        output(command(SBOM_TOOL).args(["--cargo-package", "tenure", "--output-format", "cyclone_dx_json_1_6"]))?;
    let file = folder.join(format!("tenure-{}.cdx.json", install::version()?));
    io(&file, std::fs::write(&file, sbom))?;
    let names = files(&folder)?;
    let sums = output(command("sha256sum").args(&names).current_dir(&folder))?;
    let file = folder.join("SHA256SUMS");
    io(&file, std::fs::write(&file, &sums))?;
    print!("{sums}");
    Ok(())
}

/// The machines that a release is for. This one comes last: other commands expect its library in the Python package's
/// folder.
fn machines() -> impl Iterator<Item = Machine> {
    [AARCH64, THIS].into_iter().filter(|machine| machine.triple.is_none() || machine.processor != THIS.processor)
}

/// The sorted names of the files in a folder.
fn files(folder: &Path) -> Done<Vec<String>> {
    let listed = io(folder, std::fs::read_dir(folder))?;
    let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Runs the commands of the installed docs/install.md in empty folders: once with the tarball, once with the Debian
/// packages.
fn check() -> Done {
    for tool in ["cargo", "rustc"] {
        if TOOLS.split(':').any(|folder| Path::new(folder).join(tool).exists()) {
            return Err(format!("{tool} is in {TOOLS}, so a program could be built with it unnoticed"));
        }
    }
    run(command("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(folder()))?;
    let start = Instant::now();
    let scratch = root().join("target/release-check");
    let _ = std::fs::remove_dir_all(&scratch);
    // The pages are those that the release has.
    let pages = scratch.join("pages");
    io(&pages, std::fs::create_dir_all(&pages))?;
    let version = install::version()?;
    for package in debian::names(THIS, &version) {
        run(command("dpkg-deb").arg("-x").arg(folder().join(package)).arg(&pages))?;
    }
    let pages = pages.join("usr").join(install::DOCUMENTS);
    let page = pages.join(PAGE);
    let page = io(&page, std::fs::read_to_string(&page))?;
    let commands: Vec<&str> = blocks(&page, "sh").map(|(block, _)| block).collect();
    let [unpack, compiled @ .., _] = commands.as_slice() else { return Err(format!("{PAGE} has no commands")) };
    let packages = debian::names(THIS, &version).join(" ");
    let packages = format!(
        "for package in {packages}; do dpkg-deb -x $package $HOME/unpacked; done\nln -s unpacked/usr $HOME/tenure\n"
    );
    let (tarball, debian) = (commands.concat(), [&[packages.as_str()], compiled].concat().concat());
    if !unpack.contains("tar ") || !debian.contains("gfortran ") || debian.contains(".whl") {
        return Err(format!("{PAGE}: its blocks of commands are no longer tarball, compilers, wheel"));
    }
    for (name, script, wanted) in [("tarball", tarball, PROGRAMS), ("packages", debian, &PROGRAMS[..3])] {
        from_files_alone(&scratch.join(name), &pages, &script, wanted)?;
    }
    emulated(&scratch.join("aarch64"), &pages, &[unpack, compiled[0]].concat())?;
    let took = start.elapsed();
    println!("9 programs ran from the files of the release, in {} s", took.as_secs());
    if took < LIMIT { Ok(()) } else { Err(format!("that took longer than {} s", LIMIT.as_secs())) }
}

/// Runs the page's commands with the tarball for aarch64: the compilers are those of a cross build, and QEMU runs what
/// they built.
fn emulated(home: &Path, pages: &Path, commands: &str) -> Done {
    if let Some(why) = target::missing(AARCH64.processor) {
        return Err(why);
    }
    let emulator = target::runner(AARCH64.processor)?;
    let mut script = commands.replace("$(uname -m)", AARCH64.processor);
    for compiler in ["gcc ", "g++ "] {
        script = script.replace(&format!("\n{compiler}"), &format!("\n{}{compiler}", AARCH64.tools));
    }
    from_files_alone(home, pages, &script.replace("\n./", &format!("\n{emulator} ./")), &PROGRAMS[..2])
}

/// Runs a script in a folder that has the files of the release and the programs, as a user without Rust. Compares what
/// the programs print with the pages.
fn from_files_alone(home: &Path, pages: &Path, script: &str, programs: &[(&str, &str, &str)]) -> Done {
    io(home, std::fs::create_dir_all(home))?;
    for name in files(&folder())? {
        copy(&folder().join(&name), &home.join(&name))?;
    }
    let mut expected = String::new();
    for (page, language, name) in programs {
        let file = pages.join(page);
        let text = io(&file, std::fs::read_to_string(&file))?;
        let (program, after) = blocks(&text, language).next().ok_or(format!("{page} has no block of {language}"))?;
        // The page of Python says so.
        let imports = if *language == "python" { "import numpy, tenure\n" } else { "" };
        let file = home.join(name);
        io(&file, std::fs::write(&file, format!("{imports}{program}")))?;
        let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
        expected += shown.ok_or(format!("{page} does not show what its first program prints"))?;
    }
    let mut shell = command("sh");
    shell.args(["-e", "-c", script]).current_dir(home).env_clear();
    // Where pip finds NumPy is the machine's matter.
    shell.envs(std::env::vars().filter(|(name, _)| name.starts_with("PIP_") || name.ends_with("_proxy")));
    let printed = output(shell.env("HOME", home).env("PATH", TOOLS))?;
    if printed != expected {
        return Err(format!("{}: the programs print\n{printed}\nand the pages show\n{expected}", home.display()));
    }
    Ok(())
}

/// The blocks of a language on a page, each with the text behind it.
fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let opened = format!("```{language}\n");
    let starts: Vec<usize> = page.match_indices(&opened).map(|(at, found)| at + found.len()).collect();
    starts.into_iter().filter_map(|start| page[start..].split_once("```\n"))
}
