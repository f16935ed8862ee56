//! The packages of sources of a release: the crates, and the archive that pip, CMake, Meson and package managers build.
//!
//! Promise: each builds with Rust and a linker, without this repository. The archive is Python's sdist: the crate
//! `tenure`, with the Python package, the program `tenure` and the files for CMake in the folders that they have in the
//! repository, and those for pip and Meson at the top. Equal trees give equal bytes.

use crate::install::{self, archive};
use crate::portable;
use crate::tools::{Done, cargo, command, copy, io, make_folder_of, output, read, root, run, tracked};
use std::path::{Path, PathBuf};

/// The crates that are published. The first one is the library.
pub const CRATES: [&str; 2] = ["tenure", "tenure-rs"];

const PYTHON: &str = "bindings/python";
/// The packages beside the library: the Python package, and the program `tenure` with what it consists of.
const PACKAGES: [&str; 4] = [PYTHON, "command", "event-log", "static-check"];
/// What these include from beside them, and what builds and installs the library in other ways.
const MORE: [&str; 4] = ["bindings/rust/src/sys.rs", "abi/api.json", "packaging/cmake", "xtask/install"];

/// Writes the crates into a folder.
pub fn crates(folder: &Path) -> Done {
    let target = root().join("target/crates");
    let mut package = cargo();
    package.args(["package", "--quiet", "--locked", "--no-verify", "--target-dir"]).arg(&target);
    // A release is made of the tree as it is.
    run(package.arg("--allow-dirty").args(CRATES.iter().flat_map(|name| ["--package", name])))?;
    for name in CRATES {
        let file = format!("{name}-{}.crate", install::version()?);
        copy(&target.join("package").join(&file), &folder.join(&file))?;
    }
    Ok(())
}

/// Unpacks a crate of a folder below another one, and returns the folder of its sources.
pub fn unpack(name: &str, from: &Path, to: &Path) -> Done<PathBuf> {
    let name = format!("{name}-{}", install::version()?);
    io(to, std::fs::create_dir_all(to))?;
    run(command("tar").arg("-xf").arg(from.join(format!("{name}.crate"))).arg("-C").arg(to))?;
    Ok(to.join(name))
}

/// Writes the sdist into a folder that has the crates. Its description is that of a wheel.
pub fn sdist(folder: &Path, wheel: &Path) -> Done {
    let scratch = root().join("target/sdist");
    let _ = std::fs::remove_dir_all(&scratch);
    let tree = unpack(CRATES[0], folder, &scratch)?;
    for file in [".cargo_vcs_info.json", "Cargo.toml.orig"] {
        let file = tree.join(file);
        io(&file, std::fs::remove_file(&file))?;
    }
    let listed = tracked(&[&PACKAGES[..], &MORE[..]].concat())?;
    let is_test = |path: &str| {
        path.contains("/tests/")
            || path.contains("/requirements")
            || path.contains("/check/")
            || path.contains("/programs/")
    };
    for path in listed.iter().filter(|path| !is_test(path)) {
        let to = tree.join(path);
        make_folder_of(&to)?;
        if path.ends_with("/Cargo.toml") {
            write(&to, without_tests(&read(path)?))?;
        } else {
            copy(&root().join(path), &to)?;
        }
    }
    // Meson expects its files at the top.
    for file in ["meson.build", "meson_options.txt"] {
        copy(&root().join("packaging/meson").join(file), &tree.join(file))?;
    }
    // pip expects it at the top.
    let project = tree.join(PYTHON).join("pyproject.toml");
    io(&project, std::fs::remove_file(&project))?;
    let project = read(&format!("{PYTHON}/pyproject.toml"))?
        .replace("backend-path = [\".\"]", &format!("backend-path = [\"{PYTHON}\"]"))
        .replace("readme = \"", &format!("readme = \"{PYTHON}/"))
        .replace(
            "python-source = \"python\"",
            &format!("manifest-path = \"{PYTHON}/Cargo.toml\"\npython-source = \"{PYTHON}/python\""),
        )
        .replace("# `data/scripts` has the program `tenure`.\ndata = \"data\"\n", "")
        .replace("path = \"python/", &format!("path = \"{PYTHON}/python/"));
    write(&tree.join("pyproject.toml"), project)?;
    let manifest = tree.join("Cargo.toml");
    let text = io(&manifest, std::fs::read_to_string(&manifest))?;
    write(&manifest, format!("{text}\n[workspace]\nmembers = {PACKAGES:?}\nresolver = \"3\"\n"))?;
    // The versions are those of the repository, without the crates that only it has.
    copy(&root().join("Cargo.lock"), &tree.join("Cargo.lock"))?;
    output(cargo().args(["metadata", "--quiet", "--offline", "--format-version", "1"]).current_dir(&tree))?;
    let metadata = format!("tenure-{}.dist-info/METADATA", install::version()?);
    let read = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode(), end='')";
    let described = output(command(portable::environment()?).args(["-c", read]).arg(wheel).arg(metadata))?;
    write(&tree.join("PKG-INFO"), described)?;
    let name = tree.file_name().expect("it has a name").to_string_lossy().into_owned();
    archive(&folder.join(format!("{name}.tar.gz")), "gzip -9n", &scratch, &name)
}

/// The recipes of package managers.
const RECIPES: &str = "packaging";
/// The address of a release's files, which only the person knows who publishes them.
const ADDRESS: &str = "TENURE_RELEASE_URL";

/// Writes the recipes into a folder that has the sources: with the version, the address and the checksums.
pub fn recipes(folder: &Path) -> Done {
    let version = install::version()?;
    let address = std::env::var(ADDRESS).unwrap_or_else(|_| {
        println!("{ADDRESS} is not set, so the recipes name an example");
        "https://example.org/tenure".to_owned()
    });
    let archived = format!("tenure-{version}.tar.gz");
    let sum = |tool: &str| -> Done<String> {
        let printed = output(command(tool).arg(&archived).current_dir(folder))?;
        Ok(printed.split(' ').next().unwrap_or_default().to_owned())
    };
    let values = [
        ("@VERSION@", version.clone()),
        ("@URL@", address),
        ("@SHA256@", sum("sha256sum")?),
        ("@SHA512@", sum("sha512sum")?),
    ];
    let name = format!("tenure-packaging-{version}");
    let scratch = root().join("target/recipes");
    let _ = std::fs::remove_dir_all(&scratch);
    let listed = tracked(&[RECIPES])?;
    // What the sources have themselves is no recipe.
    let is_recipe =
        |path: &str| !path.starts_with("packaging/cmake/") && !path.contains("/meson.") && !path.contains("/meson_");
    for path in listed.iter().filter(|path| is_recipe(path)) {
        let to = scratch.join(&name).join(path.strip_prefix(RECIPES).unwrap_or(path).trim_start_matches('/'));
        make_folder_of(&to)?;
        write(&to, values.iter().fold(read(path)?, |text, (place, value)| text.replace(place, value)))?;
    }
    archive(&folder.join(format!("{name}.tar.gz")), "gzip -9n", &scratch, &name)
}

/// A manifest without the parts that only tests need.
fn without_tests(manifest: &str) -> String {
    let mut is_kept = true;
    let kept = manifest.split_inclusive('\n').filter(|line| {
        if line.starts_with('[') {
            is_kept = !line.starts_with("[dev-dependencies") && !line.starts_with("[[test");
        }
        is_kept
    });
    kept.collect()
}

fn write(path: &Path, text: String) -> Done {
    io(path, std::fs::write(path, text))
}
