//! What a release has for all machines of a kind: built with an old C library, and without a trace of this machine.
//!
//! Promise: the files need no newer glibc than [`GLIBC`], or musl, and no library of a compiler. They contain no path
//! of this machine, so equal trees and compilers give equal bytes in every folder. Zig links them: it has the interfaces
//! of all versions of glibc and of musl. `xtask/release/requirements.txt` pins it and what starts it.

use crate::dist::{Machine, THIS};
use crate::tools::{self, Done, command, output, read, root};
use crate::{install, python, target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest glibc on which the files run; `manylinux_2_28` of Python's wheels.
pub const GLIBC: &str = "2.28";
/// The tag of wheels for musl: the oldest version is 1.2.
const MUSL_TAG: &str = "musllinux_1_2";

const REQUIREMENTS: &str = "xtask/release/requirements.txt";

/// The kinds of machine. That of this machine comes last: other commands expect its library in the Python package's
/// folder.
pub const MACHINES: [Machine; 4] = [
    Machine {
        name: "aarch64-musl",
        processor: "aarch64",
        triple: Some("aarch64-unknown-linux-musl"),
        tools: "aarch64-linux-gnu-",
    },
    Machine { name: "x86_64-musl", processor: "x86_64", triple: Some("x86_64-unknown-linux-musl"), tools: "" },
    AARCH64,
    Machine {
        name: "x86_64",
        processor: "x86_64",
        triple: Some("x86_64-unknown-linux-gnu"),
        tools: "x86_64-linux-gnu-",
    },
];
/// Its programs run here under QEMU.
pub const AARCH64: Machine = Machine {
    name: "aarch64",
    processor: "aarch64",
    triple: Some("aarch64-unknown-linux-gnu"),
    tools: "aarch64-linux-gnu-",
};

/// The kind of this machine; this machine itself, if a release has nothing for it.
pub fn here() -> Machine {
    MACHINES.into_iter().find(|machine| machine.name == THIS.processor).unwrap_or(THIS)
}

impl Machine {
    /// Whether the C library is musl.
    pub fn is_musl(self) -> bool {
        self.triple.is_some_and(|triple| triple.ends_with("musl"))
    }

    /// The C library that a wheel needs, as pip writes it in the names of wheels.
    pub fn wheel_tag(self) -> String {
        match self.triple {
            // By the tools of this machine, of Debian 12.
            None => "manylinux_2_34".to_owned(),
            Some(_) if self.is_musl() => MUSL_TAG.to_owned(),
            Some(_) => format!("manylinux_{}", GLIBC.replace('.', "_")),
        }
    }
}

/// The Python of the environment with Zig and with what makes and checks wheels.
pub fn environment() -> Done<PathBuf> {
    python::prepared("target/venv-release", REQUIREMENTS, read(REQUIREMENTS)?)
}

/// Checks the wheels and the sources of a folder as the registry of Python packages does, and that each wheel runs on
/// the systems that its name says.
pub fn check_wheels(folder: &Path) -> Done {
    let python = environment()?;
    let mut files: Vec<PathBuf> = tools::files_below(folder)?.into_iter().map(|(path, _)| path).collect();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sources = format!("tenure-{}.tar.gz", install::version()?);
    files.retain(|path| name(path).ends_with(".whl") || name(path) == sources);
    files.sort();
    let mut twine = command(&python);
    output(twine.args(["-m", "twine", "check", "--strict"]).args(&files))?;
    for wheel in files.iter().filter(|path| name(path).ends_with(".whl")) {
        let shown = output(command(&python).args(["-m", "auditwheel", "show"]).arg(wheel))?;
        let tag = name(wheel).trim_end_matches(".whl").rsplit('-').next().unwrap_or_default().to_owned();
        // It breaks lines between words.
        let text = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.contains(&format!("platform tag: \"{tag}\"")) {
            return Err(format!("auditwheel show {}:\n{shown}", wheel.display()));
        }
    }
    Ok(())
}

/// Why nothing can be built for a kind of machine.
pub fn missing(machine: Machine) -> Option<String> {
    let triple = machine.triple?;
    match target::library_folder(triple) {
        Ok(folder) if folder.exists() => python::missing(),
        Ok(_) => Some(format!("Rust's library for {triple} is not installed: rustup target add {triple}")),
        Err(why) => Some(why),
    }
}

/// A cargo that builds for a kind of machine; `arguments` begin with cargo's command.
pub fn cargo(triple: &str, arguments: &[&str]) -> Done<Command> {
    let python = environment()?;
    let mut cargo = python::with_cargo(python.with_file_name("cargo-zigbuild"));
    prepare(&mut cargo, triple, &python)?;
    cargo.arg(if arguments[0] == "build" { "zigbuild" } else { arguments[0] }).args(&arguments[1..]);
    let version = if triple.ends_with("gnu") { format!(".{GLIBC}") } else { String::new() };
    cargo.arg("--target").arg(format!("{triple}{version}"));
    Ok(cargo)
}

/// The maturin that builds a wheel for a kind of machine.
pub fn maturin(triple: &str) -> Done<Command> {
    let python = environment()?;
    let mut maturin = python::with_cargo(&python);
    prepare(&mut maturin, triple, &python)?;
    maturin.args(["-m", "maturin", "build", "--zig", "--target", triple]);
    // The list of crates in the wheel gets this time, and no number of its own. No file of a zip can be older than 1980.
    maturin.env("SOURCE_DATE_EPOCH", "315532800");
    Ok(maturin)
}

/// What a command that calls cargo needs to build for a target.
fn prepare(command: &mut Command, triple: &str, python: &Path) -> Done {
    let tools = python.parent().expect("a program lies in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Zig is a package of this Python, which is started by its usual name.
    let folders = std::iter::once(tools).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).map_err(|e| format!("PATH: {e}"))?);
    command.env("RUSTFLAGS", flags(triple)?).env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(())
}

/// Where cargo has its crates and its settings.
pub fn cargo_home() -> Done<PathBuf> {
    match (std::env::var_os("CARGO_HOME"), std::env::home_dir()) {
        (Some(home), _) => Ok(PathBuf::from(home)),
        (None, Some(home)) => Ok(home.join(".cargo")),
        (None, None) => Err("neither CARGO_HOME nor HOME is set".to_owned()),
    }
}

/// The flags of rustc. Panic messages contain the paths of sources, which must not be those of this machine.
fn flags(triple: &str) -> Done<String> {
    let mut flags = Vec::new();
    for (folder, name) in [(cargo_home()?, "cargo"), (root(), "tenure")] {
        flags.push(format!("--remap-path-prefix={}=/{name}", folder.display()));
    }
    if triple.ends_with("musl") {
        // Otherwise rustc makes no shared library.
        flags.push("-Ctarget-feature=-crt-static".to_owned());
    }
    if let Some(flag) = flags.iter().find(|flag| flag.contains(' ')) {
        return Err(format!("{flag} has a blank, which RUSTFLAGS cannot pass on; move the folder"));
    }
    Ok(flags.join(" "))
}
