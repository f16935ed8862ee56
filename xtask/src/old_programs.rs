//! C tests that were built against each release, in `abi/<release>/programs.tar.xz`: they run on the library of this
//! tree.
//!
//! Promise: a program that was linked with a release runs on every later library of the same SONAME. The programs are
//! linked with the shared library and the C library only, and need no C library newer than the wheel does.

use crate::tools::{Done, command, each, has, io, named, output, printed, root, run};
use crate::{abi, dist, install, sim};
use std::path::{Path, PathBuf};

const ARCHIVE: &str = "programs.tar.xz";

/// The newest C library that a program may need: the wheel's tag manylinux_2_34 says the same.
const NEWEST_GLIBC: (u32, u32) = (2, 34);

/// Tests that are not kept, and why. A kept program that fails because of what docs/stability.md does not promise is
/// named here too, and runs no more.
const LEFT_OUT: &[(&str, &str)] = &[("ipc", "takes 15 seconds"), ("ipc_offer", "takes 20 seconds")];

/// Why the programs cannot run.
pub fn missing() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some("the recorded programs are those of x86-64".to_owned());
    }
    let absent = ["tar", "xz"].into_iter().find(|tool| !has(tool))?;
    Some(format!("{absent} is not installed"))
}

/// Builds the programs against the library of `target/dist` and packs them.
pub fn record() -> Done {
    dist::libraries()?;
    let folder = root().join("target/old-programs/recorded");
    let _ = std::fs::remove_dir_all(&folder);
    io(&folder, std::fs::create_dir_all(&folder))?;
    let tests = named("c-tests", "", ".c")?;
    let names = tests.iter().filter_map(|name| name.strip_suffix(".c"));
    // Those of GPUs need a driver.
    let kept: Vec<&str> = names.filter(|name| !name.starts_with("cuda_") && is_kept(name)).collect();
    each(&kept, |name| build(name, &folder)).into_iter().collect::<Done>()?;
    install::archive(&abi::folder_of(&install::version()?).join(ARCHIVE), "xz -9e", &folder, ".")
}

fn is_kept(name: &str) -> bool {
    !LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

/// Builds one program. Its folder and its paths are the same on every machine.
fn build(name: &str, folder: &Path) -> Done {
    let program = folder.join(name);
    let mut gcc = command("gcc");
    gcc.args(["-std=c11", "-Os", "-s", "-rdynamic", "-Wl,--build-id=none,--as-needed", "-Iinclude"]);
    gcc.arg(format!("c-tests/{name}.c")).arg("-o").arg(&program);
    run(gcc.arg("-L").arg(dist::folder().join("lib")).args(["-ltenure", "-lm", "-ldl"]))?;
    let read = output(command("readelf").args(["--dynamic", "--version-info", "--wide"]).arg(&program))?;
    for line in read.lines().filter(|line| line.contains("(NEEDED)")) {
        if ![install::SONAME, "libc.so.6", "libm.so.6"].iter().any(|library| line.contains(library)) {
            return Err(format!("{name} needs another library: {line}"));
        }
    }
    let newest = read.split("GLIBC_").skip(1).filter_map(glibc).max();
    match newest.filter(|newest| *newest > NEWEST_GLIBC) {
        Some((major, minor)) => Err(format!("{name} needs GLIBC_{major}.{minor}")),
        None => Ok(()),
    }
}

/// The version at the beginning of a text.
fn glibc(text: &str) -> Option<(u32, u32)> {
    let version = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Runs the programs of all releases on the shared library of `target/dist`. Returns how many ran.
pub fn check() -> Done<usize> {
    let library = dist::libraries()?;
    let mut programs = Vec::new();
    for release in abi::releases()? {
        let folder = root().join("target/old-programs").join(release.file_name().unwrap_or_default());
        let _ = std::fs::remove_dir_all(&folder);
        io(&folder, std::fs::create_dir_all(&folder))?;
        run(command("tar").arg("-xf").arg(release.join(ARCHIVE)).arg("-C").arg(&folder))?;
        let listed = io(&folder, std::fs::read_dir(&folder))?.filter_map(|entry| Some(entry.ok()?.path()));
        programs.extend(listed.filter(|path| path.file_name().is_some_and(|name| is_kept(&name.to_string_lossy()))));
    }
    programs.sort();
    let folders = [library.parent().expect("a library lies in a folder").to_owned(), sim::none()?];
    let failed: Vec<String> =
        each(&programs, |program| start(program, &folders)).into_iter().filter_map(Done::err).collect();
    match failed.is_empty() {
        true if programs.is_empty() => Err("no recorded program".to_owned()),
        true => Ok(programs.len()),
        false => Err(failed.join("\n")),
    }
}

/// Runs a program in a folder of its own, without a driver.
fn start(program: &Path, libraries: &[PathBuf]) -> Done {
    let folder = program.with_extension("files");
    io(&folder, std::fs::create_dir_all(&folder))?;
    let mut start = command(program);
    start.current_dir(folder).env("RUST_BACKTRACE", "0");
    start.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).map_err(|e| e.to_string())?);
    let done = printed(&mut start)?;
    match done.status {
        Some(status) if status.success() => Ok(()),
        status => Err(format!("{}: {status:?}\n{}{}", program.display(), done.stdout, done.stderr)),
    }
}
