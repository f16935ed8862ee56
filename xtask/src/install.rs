//! `cargo xtask install --prefix DIR` and the tarball of `cargo xtask dist`: all that a C or C++ project needs of
//! Tenure, in one folder.
//!
//! Promise: headers, the shared library with its links, the archive, the preload library, `tenure.pc`,
//! `tenure-static.pc`, a CMake package, the Fortran modules as sources, the program `tenure` with completions and
//! manual, and the documents. No file has an absolute path in it, so the tree can be moved, packed and unpacked
//! elsewhere. The tarball's entries are sorted and have no times and owners, so equal trees give equal bytes.

use crate::dist::{Machine, THIS};
use crate::tools::{Done, command, copy, copy_all, io, link, output, printed, read, root, run};
use crate::{dist, documents, malloc};
use std::path::{Path, PathBuf};

/// Libraries that a program with the archive in it needs; `rustc --print native-static-libs` says so.
const NATIVE: &[&str] = &["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];

/// The name by which programs load the shared library; `build.rs` sets it.
pub const SONAME: &str = "libtenure.so.0";

/// Files that are written from a template of `xtask/install`.
const WRITTEN: &[(&str, &str)] = &[
    ("tenure.pc.in", "lib/pkgconfig/tenure.pc"),
    ("tenure-static.pc.in", "lib/pkgconfig/tenure-static.pc"),
    ("tenure-config.cmake.in", "lib/cmake/tenure/tenure-config.cmake"),
    ("tenure-config-version.cmake.in", "lib/cmake/tenure/tenure-config-version.cmake"),
];

/// The modules for Fortran programs, which are compiled with the program, and what they include.
const FORTRAN: &[&str] = &["tenure_c.f90", "tenure.f90", "tenure_point.inc"];

/// Where the documents lie in the installed tree.
pub const DOCUMENTS: &str = "share/doc/tenure";

/// The library's version, from its manifest.
pub fn version() -> Done<String> {
    let manifest = read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    line.and_then(|rest| rest.split('"').next()).map(str::to_owned).ok_or("Cargo.toml has no version".to_owned())
}

/// Builds the libraries and installs everything below the prefix.
pub fn install(prefix: &Path) -> Done {
    dist::stage()?;
    lay_out(THIS, prefix)?;
    println!("installed in {}; pkg-config finds it with", prefix.display());
    println!("  PKG_CONFIG_PATH={}/lib/pkgconfig", prefix.display());
    Ok(())
}

/// Copies the files that are staged for a machine below the prefix.
pub fn lay_out(machine: Machine, prefix: &Path) -> Done {
    let version = version()?;
    let library = prefix.join("lib");
    io(&library, std::fs::create_dir_all(&library))?;
    let shared = format!("libtenure.so.{version}");
    for (from, to) in [(SONAME, shared.as_str()), ("libtenure.a", "libtenure.a"), (malloc::LIBRARY, malloc::LIBRARY)] {
        dist::replace(&machine.folder().join("lib").join(from), &library, to)?;
    }
    for (target, name) in [(shared.as_str(), SONAME), (SONAME, "libtenure.so")] {
        link(target, &library.join(name))?;
    }
    copy_all(&machine.folder().join("include"), &prefix.join("include"))?;
    let bin = prefix.join("bin");
    io(&bin, std::fs::create_dir_all(&bin))?;
    dist::replace(&machine.folder().join("bin").join(dist::PROGRAM), &bin, dist::PROGRAM)?;
    copy_tree(&machine.folder().join("share"), &prefix.join("share"))?;
    let schema = prefix.join("share/tenure/report.schema.json");
    make_folder_of(&schema)?;
    copy(&root().join("docs/report.schema.json"), &schema)?;
    let modules = prefix.join("share/tenure/fortran");
    io(&modules, std::fs::create_dir_all(&modules))?;
    for source in FORTRAN {
        copy(&root().join("bindings/fortran").join(source), &modules.join(source))?;
    }
    for document in documents::INSTALLED {
        copy_document(document, &prefix.join(DOCUMENTS))?;
    }
    for (template, to) in WRITTEN {
        let to = prefix.join(to);
        make_folder_of(&to)?;
        io(&to, std::fs::write(&to, filled(&read(&format!("xtask/install/{template}"))?, &version, &shared)))?;
    }
    Ok(())
}

/// Copies a document, or a folder of them, to its path below `folder`.
fn copy_document(path: &str, folder: &Path) -> Done {
    let (from, to) = (root().join(path), folder.join(path));
    if from.is_dir() {
        for entry in io(&from, std::fs::read_dir(&from))? {
            let name = io(&from, entry)?.file_name();
            copy_document(&format!("{path}/{}", name.to_string_lossy()), folder)?;
        }
        return Ok(());
    }
    make_folder_of(&to)?;
    if !path.ends_with(".md") {
        return copy(&from, &to);
    }
    let text = documents::keep_links(path, &read(path)?, |target| !documents::SOURCE_ONLY.contains(&target));
    io(&to, std::fs::write(&to, text))
}

/// Copies a folder with its folders.
fn copy_tree(from: &Path, to: &Path) -> Done {
    for entry in io(from, std::fs::read_dir(from))? {
        let path = io(from, entry)?.path();
        let to = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_tree(&path, &to)?;
        } else {
            make_folder_of(&to)?;
            copy(&path, &to)?;
        }
    }
    Ok(())
}

fn make_folder_of(file: &Path) -> Done {
    let folder = file.parent().expect("an installed file lies in a folder");
    io(folder, std::fs::create_dir_all(folder))
}

/// A template with its `@NAMES@` replaced.
fn filled(template: &str, version: &str, shared: &str) -> String {
    let flags = NATIVE.iter().map(|name| format!("-l{name}")).collect::<Vec<_>>().join(" ");
    template
        .replace("@VERSION@", version)
        .replace("@MAJOR@", version.split('.').next().unwrap_or_default())
        .replace("@SHARED@", shared)
        .replace("@SONAME@", SONAME)
        .replace("@NATIVE_FLAGS@", &flags)
        .replace("@NATIVE_LIST@", &NATIVE.join(";"))
}

/// Packs the files that are staged for a machine, and returns the tarball's path.
pub fn pack(machine: Machine) -> Done<PathBuf> {
    let name = format!("tenure-{}-{}-{}", version()?, std::env::consts::OS, machine.name);
    let tree = machine.folder().join("tree");
    let _ = std::fs::remove_dir_all(&tree);
    lay_out(machine, &tree.join(&name))?;
    let file = machine.folder().join(format!("{name}.tar.gz"));
    archive(&file, "gzip -9n", &tree, &name)?;
    io(&tree, std::fs::remove_dir_all(&tree))?;
    Ok(file)
}

/// Packs `name`, a folder below `folder`, with a compressor. Equal trees give equal bytes.
pub fn archive(file: &Path, compressor: &str, folder: &Path, name: &str) -> Done {
    let mut tar = command("tar");
    tar.args(["--format=ustar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg("--mode=u=rwX,go=rX").arg(format!("--use-compress-program={compressor}"));
    run(tar.arg("-cf").arg(file).arg("-C").arg(folder).arg(name))
}

/// Why the check cannot run.
pub fn missing() -> Option<String> {
    let absent = ["gcc", "g++", "pkg-config", "tar"].into_iter().find(|tool| !crate::tools::has(tool))?;
    Some(format!("{absent} is not installed"))
}

/// Unpacks the tarball and builds programs against it by pkg-config and by CMake. Returns the number of programs that
/// ran. `python` is an environment with CMake and Ninja; without one, CMake's part is left out.
pub fn check(python: Option<&Path>) -> Done<usize> {
    dist::stage()?;
    let tarball = pack(THIS)?;
    let bytes = io(&tarball, std::fs::read(&tarball))?;
    let again = pack(THIS)?;
    if io(&again, std::fs::read(&again))? != bytes {
        return Err(format!("{}: packed twice, and the bytes differ", tarball.display()));
    }
    let folder = root().join("target/installed");
    let _ = std::fs::remove_dir_all(&folder);
    let build = folder.join("build");
    io(&build, std::fs::create_dir_all(&build))?;
    run(command("tar").arg("-xf").arg(&tarball).args(["--strip-components=1", "-C"]).arg(&folder))?;
    check_links(&folder.join(DOCUMENTS))?;
    // The program runs where it was unpacked. Its own tests check the rest.
    run(command(folder.join("bin").join(dist::PROGRAM)).arg("--version"))?;
    for page in ["share/man/man1/tenure.1", "share/bash-completion/completions/tenure"] {
        io(Path::new(page), std::fs::metadata(folder.join(page)))?;
    }
    let programs = root().join("xtask/install/check");
    let flags = |package: &str| -> Done<Vec<String>> {
        let mut ask = command("pkg-config");
        ask.args(["--cflags", "--libs", package]).env("PKG_CONFIG_PATH", folder.join("lib/pkgconfig"));
        Ok(output(&mut ask)?.split_whitespace().map(str::to_owned).collect())
    };
    let library = folder.join("lib");
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    let mut count = 1;
    for (compiler, standard, source, package) in [
        ("gcc", "-std=c11", "program.c", "tenure"),
        ("g++", "-std=c++17", "program.cpp", "tenure"),
        ("gcc", "-std=c11", "program.c", "tenure-static"),
        ("g++", "-std=c++17", "program.cpp", "tenure-static"),
    ] {
        let program = build.join(format!("{compiler}_{package}"));
        run(command(compiler)
            .arg(standard)
            .args(strict)
            .arg(programs.join(source))
            .args(flags(package)?)
            .arg("-o")
            .arg(&program))?;
        let mut start = command(&program);
        // The loader finds an installation in /usr by itself; this folder has to be named.
        match package {
            "tenure" => start.env("LD_LIBRARY_PATH", &library),
            _ => start.env_remove("LD_LIBRARY_PATH"),
        };
        run(&mut start)?;
        count += 1;
    }
    count += preloaded(&library, &build.join("gcc_tenure-static"))?;
    count += as_documented(&build)?;
    match python {
        Some(python) => Ok(count + check_cmake(python, &folder, &build)?),
        None => Ok(count),
    }
}

/// Fails if a document below the folder links a file that is not there.
pub fn check_links(folder: &Path) -> Done {
    let dangling = io(folder, documents::dangling_links(folder))?;
    if dangling.is_empty() { Ok(()) } else { Err(format!("{}:\n{}", folder.display(), dangling.join("\n"))) }
}

/// Runs one of the programs on the preload library that is shipped.
fn preloaded(library: &Path, program: &Path) -> Done<usize> {
    let mut start = command(program);
    start.env("LD_PRELOAD", library.join(malloc::LIBRARY)).env("TENURE_MALLOC_STATS", "1");
    let done = printed(&mut start)?;
    let report = done.stderr;
    if done.status.is_some_and(|status| status.success())
        && report.contains("tenure_malloc: ")
        && report.contains(", misuses 0")
    {
        return Ok(1);
    }
    Err(format!("{} on {}: {}\n{report}", program.display(), malloc::LIBRARY, done.status.unwrap_or_default()))
}

/// The first block of a language in the guide for C.
fn block(language: &str) -> Done<String> {
    let guide = read("docs/quickstart-c.md")?;
    let block = guide.split_once(&format!("```{language}\n")).and_then(|(_, rest)| rest.split_once("```"));
    block.map(|(block, _)| block.to_owned()).ok_or(format!("docs/quickstart-c.md has no block of {language}"))
}

/// The guide's first program, built and run by the guide's own commands.
fn as_documented(build: &Path) -> Done<usize> {
    let home = build.join("home");
    io(&home, std::fs::create_dir_all(&home))?;
    link(root().join("target/installed"), &home.join("tenure"))?;
    io(&home, std::fs::write(home.join("first.c"), block("c")?))?;
    let mut shell = command("sh");
    shell.args(["-e", "-c", &block("sh")?]).env("HOME", &home).env_remove("LD_LIBRARY_PATH").current_dir(&home);
    // tests/repository/docs.rs compares its output with the guide.
    run(&mut shell).map(|()| 1)
}

/// Builds and runs the programs with CMake, and the guide's program by the guide's two lines of CMake.
fn check_cmake(python: &Path, prefix: &Path, build: &Path) -> Done<usize> {
    let programs = root().join("xtask/install/check");
    for file in ["program.c", "program.cpp"] {
        copy(&programs.join(file), &build.join(file))?;
    }
    let lists = read("xtask/install/check/CMakeLists.txt")?.replace("@VERSION@", &version()?);
    // The guide's two lines, with the guide's program.
    let lists = format!("{lists}\nadd_executable(first home/first.c)\n{}", block("cmake")?);
    io(build, std::fs::write(build.join("CMakeLists.txt"), lists))?;
    let made = build.join("cmake");
    let cmake = |arguments: &[&std::ffi::OsStr]| {
        let mut cmake = command(python);
        // CMake must find this Tenure and Ninja, and no other of either.
        cmake.env("CMAKE_GENERATOR", "Ninja").env_remove("CMAKE_PREFIX_PATH");
        let tools = python.parent().expect("a program lies in a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(tools).chain(std::env::split_paths(&path));
        cmake.env("PATH", std::env::join_paths(folders).map_err(|e| format!("PATH: {e}"))?);
        output(cmake.args(["-m", "cmake"]).args(arguments)).map(drop)
    };
    let found = format!("-DCMAKE_PREFIX_PATH={}", prefix.display());
    cmake(&[found.as_ref(), "-S".as_ref(), build.as_os_str(), "-B".as_ref(), made.as_os_str()])?;
    cmake(&["--build".as_ref(), made.as_os_str()])?;
    let names = ["program_c", "program_cpp", "program_static", "first"];
    for name in names {
        // CMake writes the library's folder into its programs.
        run(command(made.join(name)).env_remove("LD_LIBRARY_PATH"))?;
    }
    Ok(names.len())
}
