//! `cargo xtask release`: writes the files of a release into `target/release-files`.
//!
//! Promise: for each kind of machine, the folder has a wheel and a package for Node.js; for those with glibc also a
//! tarball, Debian packages and a part of the jar; for all of them the sources, as crates and as an archive, the packages
//! of R and Zig, recipes of package managers, an SBOM, a statement of provenance and `SHA256SUMS`. Equal trees and compilers give equal bytes. With
//! `--check`, the commands of docs/install.md run on these files alone, without Rust unless they are those of Rust. C and
//! C++ programs also run from the tarball for aarch64, under QEMU.

use crate::portable::{self, AARCH64, MACHINES};
use crate::tools::{Done, command, copy, has, io, output, root, run};
use crate::{abi, debian, install, old_programs, packages, python, sources, target};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The page with the commands.
const PAGE: &str = "docs/install.md";

/// A section of the page whose commands build and run programs.
struct Form {
    section: &'static str,
    /// What the page calls its programs: the first block of a language on a page, and the file.
    programs: &'static [(&'static str, &'static str, &'static str)],
    /// What it needs beside a shell. The check of a release needs all of it.
    tools: &'static [&'static str],
    /// Whether it needs the tarball, unpacked by the first block of the section for C.
    has_tarball: bool,
}

/// The first of them has the tarball and the Debian packages.
const FORMS: [Form; 7] = [
    Form {
        section: "C, C++ and Fortran",
        programs: &[
            ("docs/quickstart-c.md", "c", "first.c"),
            ("bindings/cpp/README.md", "cpp", "first.cpp"),
            ("bindings/fortran/README.md", "fortran", "first.f90"),
        ],
        tools: &["gcc", "g++", "gfortran", "pkg-config"],
        has_tarball: false,
    },
    Form {
        section: "Python",
        programs: &[("docs/quickstart-python.md", "python", "first.py")],
        tools: &["python3"],
        has_tarball: false,
    },
    Form {
        section: "Rust",
        programs: &[("bindings/rust/README.md", "rust", "first.rs")],
        tools: &["cargo"],
        has_tarball: false,
    },
    Form {
        section: "Node.js",
        programs: &[("bindings/node/README.md", "js", "first.mjs")],
        tools: &["node", "npm"],
        has_tarball: false,
    },
    Form {
        section: "Java",
        programs: &[("bindings/java/README.md", "java", "first.jsh")],
        tools: &["jshell"],
        has_tarball: false,
    },
    Form { section: "R", programs: &[("bindings/r/README.md", "r", "first.R")], tools: &["R"], has_tarball: true },
    Form { section: "Go", programs: &[("bindings/go/README.md", "go", "main.go")], tools: &["go"], has_tarball: true },
];

/// All programs are built and run within this time.
const LIMIT: Duration = Duration::from_secs(900);

/// The only folders with tools for the check.
const TOOLS: &str = "/usr/bin:/bin";

/// Writes the SBOM, a list of all crates in the library, from Cargo.lock.
const SBOM_TOOL: &str = "cargo-sbom";

/// `cargo xtask release` with its options.
pub fn main(options: &[&str]) -> Done {
    match options {
        ["--check"] => check(None),
        ["--check-root", other] => check(Some(Path::new(other))),
        ["--record"] => abi::record().and_then(|()| old_programs::record()),
        ["--compare"] => {
            println!("{} comparisons, {} programs ran", abi::check()?, old_programs::check()?);
            Ok(())
        }
        names => match names.iter().find(|name| MACHINES.iter().all(|machine| machine.name != **name)) {
            None => build(names),
            Some(unknown) => {
                let kinds = MACHINES.map(|machine| machine.name).join(", ");
                Err(format!(
                    "release takes --check, --check-root DIR, --record, --compare, or kinds of machines ({kinds}), not {unknown}"
                ))
            }
        },
    }
}

/// The folder of the files.
fn folder() -> PathBuf {
    root().join("target/release-files")
}

/// Builds everything, for some kinds of machines or for all, and writes the files.
fn build(names: &[&str]) -> Done {
    let machines = || MACHINES.into_iter().filter(|machine| names.is_empty() || names.contains(&machine.name));
    for (tool, package) in [("dpkg-deb", "apt-get install dpkg"), (SBOM_TOOL, "cargo install --locked cargo-sbom")] {
        if !has(tool) {
            return Err(format!("{tool} is not installed: {package}"));
        }
    }
    if let Some(why) = machines().find_map(portable::missing) {
        return Err(why);
    }
    let folder = folder();
    let _ = std::fs::remove_dir_all(&folder);
    io(&folder, std::fs::create_dir_all(&folder))?;
    sources::crates(&folder)?;
    for machine in machines() {
        let wheel = python::build_wheel(machine)?;
        copy(&wheel, &folder.join(wheel.file_name().expect("a file has a name")))?;
        if machine.is_musl() {
            continue;
        }
        machine.stage()?;
        let tarball = install::pack(machine)?;
        copy(&tarball, &folder.join(tarball.file_name().expect("a file has a name")))?;
        debian::pack(machine, &folder)?;
        if machine == portable::here() {
            sources::sdist(&folder, &wheel)?;
        }
    }
    packages::pack(&machines().collect::<Vec<_>>(), &folder)?;
    if machines().any(|machine| machine == portable::here()) {
        sources::recipes(&folder)?;
    }
    portable::check_wheels(&folder)?;
    sbom(&folder)?;
    provenance(&folder, names)?;
    let names = files(&folder)?;
    let sums = output(command("sha256sum").args(&names).current_dir(&folder))?;
    let file = folder.join("SHA256SUMS");
    io(&file, std::fs::write(&file, &sums))?;
    print!("{sums}");
    Ok(())
}

/// Writes the list of all crates in the library, without the number and the time of its making, which would differ in
/// each build.
fn sbom(folder: &Path) -> Done {
    let format = ["--cargo-package", "tenure", "--output-format", "cyclone_dx_json_1_6"];
    let text = output(command(SBOM_TOOL).args(format))?;
    let mut list: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("{SBOM_TOOL}: {e}"))?;
    for (part, name) in [("", "serialNumber"), ("/metadata", "timestamp")] {
        let fields = list.pointer_mut(part).and_then(|part| part.as_object_mut());
        fields.ok_or(format!("{SBOM_TOOL} wrote no {part}"))?.remove(name);
    }
    let file = folder.join(format!("tenure-{}.cdx.json", install::version()?));
    io(&file, std::fs::write(&file, format!("{list:#}\n")))
}

/// Writes what the files were made of and by: a statement in the form of in-toto, with SLSA's description of a build. It
/// has no time and no path, so who builds the same commit with the same tools gets the same statement.
fn provenance(folder: &Path, kinds: &[&str]) -> Done {
    let sums = output(command("sha256sum").args(files(folder)?).current_dir(folder))?;
    let subjects: Vec<serde_json::Value> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| serde_json::json!({"name": name, "digest": {"sha256": sum}}))
        .collect();
    let commit = output(command("git").args(["rev-parse", "HEAD"]))?;
    let changed = !output(command("git").args(["status", "--porcelain", "--untracked-files=no"]))?.is_empty();
    let python = output(command(portable::environment()?).args(["-m", "pip", "freeze"]))?;
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:tenure:cargo-xtask-release",
                "externalParameters": {"kinds": kinds},
                "internalParameters": {"glibc": portable::GLIBC, "changed": changed},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit.trim()}},
                    {"name": "Cargo.lock", "digest": {"sha256": sum_of("Cargo.lock")?}},
                ],
            },
            "runDetails": {
                "builder": {
                    "id": "urn:tenure:anybody",
                    "version": {
                        "rustc": output(command("rustc").arg("-vV"))?.trim(),
                        "gcc": output(command("gcc").arg("-dumpfullversion"))?.trim(),
                        "python": python.lines().collect::<Vec<_>>(),
                    },
                },
            },
        },
    });
    let file = folder.join(format!("tenure-{}.provenance.json", install::version()?));
    io(&file, std::fs::write(&file, format!("{statement:#}\n")))
}

/// The checksum of a file of the repository.
fn sum_of(path: &str) -> Done<String> {
    let printed = output(command("sha256sum").arg(path))?;
    Ok(printed.split(' ').next().unwrap_or_default().to_owned())
}

/// The sorted names of the files in a folder.
fn files(folder: &Path) -> Done<Vec<String>> {
    let listed = io(folder, std::fs::read_dir(folder))?;
    let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Runs the commands of the installed docs/install.md, each section in an empty folder: those of C also with the
/// Debian packages. With the root of another system, only those of C and Python run, in it.
fn check(other: Option<&Path>) -> Done {
    for tool in ["cargo", "rustc"] {
        if TOOLS.split(':').any(|folder| Path::new(folder).join(tool).exists()) {
            return Err(format!("{tool} is in {TOOLS}, so a program could be built with it unnoticed"));
        }
    }
    run(command("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(folder()))?;
    let start = Instant::now();
    // Not in the repository, whose settings cargo would find.
    let scratch = std::env::temp_dir().join("tenure-release-check");
    let _ = std::fs::remove_dir_all(&scratch);
    // The pages are those that the release has.
    let pages = scratch.join("pages");
    io(&pages, std::fs::create_dir_all(&pages))?;
    let debian = debian::names(portable::here(), &install::version()?);
    for package in &debian {
        run(command("dpkg-deb").arg("-x").arg(folder().join(package)).arg(&pages))?;
    }
    let pages = pages.join("usr").join(install::DOCUMENTS);
    let file = pages.join(PAGE);
    let page = io(&file, std::fs::read_to_string(&file))?;
    let [c, python, ..] = &FORMS;
    let of_c = c.commands(&page)?;
    let [unpack, compiled @ ..] = of_c.as_slice() else {
        return Err(format!("{PAGE}: no command unpacks the tarball"));
    };
    if let Some(other) = other {
        let compiled = [unpack, compiled[0]].concat();
        from_files_alone(&scratch.join("c"), &pages, &compiled, &c.programs[..2], Some(other))?;
        from_files_alone(
            &scratch.join("python"),
            &pages,
            &python.commands(&page)?.concat(),
            python.programs,
            Some(other),
        )?;
        println!("3 programs ran from the files of the release in {}", other.display());
        return Ok(());
    }
    let mut count = 0;
    for form in &FORMS {
        if let Some(absent) = form.tools.iter().find(|tool| !is_program(tool)) {
            return Err(format!("{absent} is not installed, which {PAGE}, {:?}, needs", form.section));
        }
        let own = form.commands(&page)?.concat();
        let script = if form.has_tarball { [unpack, own.as_str()].concat() } else { own };
        let name = form.section.split(['.', ',']).next().unwrap_or_default().to_lowercase();
        from_files_alone(&scratch.join(name), &pages, &script, form.programs, None)?;
        println!("{}: as {PAGE} shows", form.section);
        count += form.programs.len();
    }
    let unpacked = format!(
        "for package in {}; do dpkg-deb -x $package $HOME/unpacked; done\nln -s unpacked/usr $HOME/tenure\n",
        debian.join(" ")
    );
    let script = [&[unpacked.as_str()], compiled].concat().concat();
    from_files_alone(&scratch.join("packages"), &pages, &script, c.programs, None)?;
    emulated(&scratch.join("aarch64"), &pages, &[unpack, compiled[0]].concat())?;
    count += c.programs.len() + 2;
    let took = start.elapsed();
    println!("{count} programs ran from the files of the release, in {} s", took.as_secs());
    if took < LIMIT { Ok(()) } else { Err(format!("that took longer than {} s", LIMIT.as_secs())) }
}

impl Form {
    /// The blocks of commands of the page's section.
    fn commands<'a>(&self, page: &'a str) -> Done<Vec<&'a str>> {
        let heading = format!("\n## {}\n", self.section);
        let (_, section) = page.split_once(&heading).ok_or(format!("{PAGE} has no section {:?}", self.section))?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let commands: Vec<&str> = blocks(section, "sh").map(|(block, _)| block).collect();
        if commands.is_empty() { Err(format!("{PAGE}, {:?}, has no commands", self.section)) } else { Ok(commands) }
    }
}

/// Whether a program is in the folders of the user, which each has its own way to say its version.
fn is_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).exists()))
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
    from_files_alone(home, pages, &script.replace("\n./", &format!("\n{emulator} ./")), &FORMS[0].programs[..2], None)
}

/// Runs a script in a folder that has the files of the release and the programs, as a user. Compares the end of what
/// it prints with the pages. Only the commands of Rust find Rust. In the root of another system the script runs there.
fn from_files_alone(
    home: &Path,
    pages: &Path,
    script: &str,
    programs: &[(&str, &str, &str)],
    other: Option<&Path>,
) -> Done {
    let inside = Path::new("/").join(home.strip_prefix(std::env::temp_dir()).expect("it lies there"));
    let home = &match other {
        Some(other) => other.join(inside.strip_prefix("/").expect("it begins so")),
        None => home.to_owned(),
    };
    let _ = std::fs::remove_dir_all(home);
    io(home, std::fs::create_dir_all(home))?;
    for name in files(&folder())? {
        copy(&folder().join(&name), &home.join(&name))?;
    }
    let (mut expected, mut path) = (String::new(), TOOLS.to_owned());
    for (page, language, name) in programs {
        // Those of the repository's bindings that are not installed.
        let file = if pages.join(page).exists() { pages.join(page) } else { root().join(page) };
        let text = io(&file, std::fs::read_to_string(&file))?;
        let (program, after) = blocks(&text, language).next().ok_or(format!("{page} has no block of {language}"))?;
        // The page of Python says so.
        let imports = if *language == "python" { "import numpy, tenure\n" } else { "" };
        let file = home.join(name);
        io(&file, std::fs::write(&file, format!("{imports}{program}")))?;
        let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
        if *language == "rust" {
            let cargo = Path::new(env!("CARGO")).parent().expect("a program lies in a folder");
            path = format!("{}:{path}", cargo.display());
            continue; // Its program compares by itself.
        }
        expected += shown.ok_or(format!("{page} does not show what its first program prints"))?;
    }
    let mut script = script.to_owned();
    let mut shell = match other {
        None => command("sh"),
        Some(other) => {
            // NumPy is fetched here: that system need not have a network.
            let python = portable::environment()?;
            let mut fetch = command(python);
            fetch.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
            run(fetch.args(["--dest"]).arg(home).arg("numpy"))?;
            script = script.replace("pip install ", "pip install --no-index --find-links . ");
            script = format!("cd {}\n{script}", inside.display());
            let mut chroot = command("/usr/sbin/chroot");
            chroot.arg(other).arg("sh");
            chroot
        }
    };
    shell.args(["-e", "-c", &script]).current_dir(home).env_clear();
    // Where pip, npm and cargo find packages is the machine's matter.
    let is_kept =
        |name: &str| ["PIP_", "npm_", "NPM_"].iter().any(|start| name.starts_with(start)) || name.ends_with("_proxy");
    shell.envs(std::env::vars().filter(|(name, _)| other.is_none() && is_kept(name)));
    shell.env("CARGO_HOME", portable::cargo_home()?);
    let home_inside = if other.is_some() { &inside } else { home };
    let printed = output(shell.env("HOME", home_inside).env("PATH", path))?;
    if !printed.ends_with(&expected) {
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
