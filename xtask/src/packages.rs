//! The packages of Node.js, Java, R and Zig in a release.
//!
//! Promise: the packages of Node.js and Java have the library in them, for every kind of machine that these languages
//! know; those of R and Zig find an installed one by pkg-config. Equal trees and libraries give equal bytes.

use crate::dist::Machine;
use crate::install::{self, archive};
use crate::portable::MACHINES;
use crate::tools::{Done, command, copy, io, make_folder_of, output, read, root, run, tracked};
use std::path::{Path, PathBuf};

/// Where Debian's libjna-java has it.
pub const JNA: &str = "/usr/share/java/jna.jar";

/// Writes the packages for some kinds of machines into a folder.
pub fn pack(machines: &[Machine], folder: &Path) -> Done {
    let scratch = root().join("target/packages");
    let _ = std::fs::remove_dir_all(&scratch);
    node(machines, &scratch.join("node"), folder)?;
    java(machines, &scratch.join("java"), folder)?;
    for (language, name) in [("r", "tenure"), ("zig", "tenure-zig")] {
        sources(language, name, &scratch.join(language), folder)?;
    }
    Ok(())
}

/// The library that is staged for a machine.
fn library(machine: Machine) -> PathBuf {
    machine.folder().join("lib").join(install::SONAME)
}

/// Node.js's name of a machine: `linux-x64`, or `linux-x64-musl`.
fn node_platform(machine: Machine) -> (String, &'static str, &'static str) {
    let processor = if machine.processor == "aarch64" { "arm64" } else { "x64" };
    let (end, library) = if machine.is_musl() { ("-musl", "musl") } else { ("", "glibc") };
    (format!("linux-{processor}{end}"), processor, library)
}

/// The package with the library for each machine, and `tenure`, which asks npm for that of the user's machine.
fn node(machines: &[Machine], scratch: &Path, folder: &Path) -> Done {
    let version = install::version()?;
    for machine in machines {
        let (platform, processor, libc) = node_platform(*machine);
        let package = scratch.join(&platform).join("package");
        io(&package, std::fs::create_dir_all(&package))?;
        copy(&library(*machine), &package.join(install::SONAME))?;
        licences(&package)?;
        let described = serde_json::json!({
            "name": format!("tenure-{platform}"),
            "version": version,
            "description": format!("The library of the package tenure for {platform}"),
            "license": "MIT OR Apache-2.0",
            "os": ["linux"],
            "cpu": [processor],
            "libc": [libc],
            "files": [install::SONAME],
        });
        write_json(&package.join("package.json"), &described)?;
        npm(&package, &folder.join(format!("tenure-{platform}-{version}.tgz")))?;
    }
    let package = scratch.join("tenure/package");
    io(&package, std::fs::create_dir_all(&package))?;
    let own = "bindings/node";
    let mut described: serde_json::Value =
        serde_json::from_str(&read(&format!("{own}/package.json"))?).map_err(|e| format!("{own}/package.json: {e}"))?;
    let files = described["files"].as_array().cloned().unwrap_or_default();
    for file in files.iter().filter_map(|file| file.as_str()).chain(["README.md"]) {
        copy(&root().join(own).join(file), &package.join(file))?;
    }
    licences(&package)?;
    // Those of this version only: the packages are published together.
    let platforms = MACHINES.map(|machine| (format!("tenure-{}", node_platform(machine).0), version.as_str().into()));
    described["optionalDependencies"] = serde_json::Value::Object(platforms.into_iter().collect());
    write_json(&package.join("package.json"), &described)?;
    npm(&package, &folder.join(format!("tenure-node-{version}.tgz")))
}

/// Packs a folder of the name `package` as `npm pack` does, without npm.
fn npm(package: &Path, file: &Path) -> Done {
    archive(file, "gzip -9n", package.parent().expect("it lies in a folder"), "package")
}

/// A jar with the classes and the libraries. JNA has one name for glibc and musl, so the libraries are those for glibc.
fn java(machines: &[Machine], scratch: &Path, folder: &Path) -> Done {
    let classes = scratch.join("classes");
    io(&classes, std::fs::create_dir_all(&classes))?;
    let sources = crate::tools::named("bindings/java/tenure", "", ".java")?;
    let mut javac = command("javac");
    javac.args(["--release", "17", "-cp", JNA, "-d"]).arg(&classes);
    run(javac.args(sources.iter().map(|name| format!("bindings/java/tenure/{name}"))))?;
    for machine in machines.iter().filter(|machine| !machine.is_musl()) {
        let processor = if machine.processor == "x86_64" { "x86-64" } else { machine.processor };
        let to = classes.join(format!("linux-{processor}"));
        io(&to, std::fs::create_dir_all(&to))?;
        copy(&library(*machine), &to.join(install::SONAME))?;
    }
    licences(&classes.join("META-INF"))?;
    let manifest = scratch.join("manifest");
    let text = format!("Implementation-Title: tenure\nImplementation-Version: {}\n", install::version()?);
    io(&manifest, std::fs::write(&manifest, text))?;
    let file = folder.join(format!("tenure-{}.jar", install::version()?));
    let mut jar = command("jar");
    // The first time that a zip can have.
    jar.args(["--create", "--date", "1980-01-01T00:00:02Z", "--manifest"]).arg(&manifest).arg("--file").arg(&file);
    // In the order of their names, not in that of the disk.
    let listed = output(command("find").args([".", "-type", "f", "-printf", "%P\n"]).current_dir(&classes))?;
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort();
    run(jar.args(names).current_dir(&classes))
}

/// The sources of a binding, in a folder of the package's name.
fn sources(language: &str, name: &str, scratch: &Path, folder: &Path) -> Done {
    let from = format!("bindings/{language}");
    let package = scratch.join(name);
    let is_left_out = |path: &str| ["tests/", "example/", ".Rbuildignore"].iter().any(|start| path.starts_with(start));
    for path in tracked(&[&from])? {
        let own = path.strip_prefix(&from).unwrap_or(&path).trim_start_matches('/');
        if is_left_out(own) || (language == "r" && own == "README.md") {
            continue;
        }
        let to = package.join(own);
        make_folder_of(&to)?;
        copy(&root().join(&path), &to)?;
    }
    if language == "r" {
        // What `R CMD build` would add, without its time.
        let described = format!("{}Packaged: 1970-01-01 00:00:00 UTC; tenure\n", read("bindings/r/DESCRIPTION")?);
        let file = package.join("DESCRIPTION");
        io(&file, std::fs::write(&file, described))?;
    } else {
        licences(&package)?;
    }
    let file = if language == "r" {
        format!("{name}_{}.tar.gz", install::version()?)
    } else {
        format!("{name}-{}.tar.gz", install::version()?)
    };
    archive(&folder.join(file), "gzip -9n", scratch, name)
}

fn licences(folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    ["LICENSE-MIT", "LICENSE-APACHE"].iter().try_for_each(|name| copy(&root().join(name), &folder.join(name)))
}

fn write_json(file: &Path, value: &serde_json::Value) -> Done {
    io(file, std::fs::write(file, format!("{value:#}\n")))
}
