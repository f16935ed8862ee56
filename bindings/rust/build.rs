//! Finds libtenure and tells the linker: in the folder TENURE_LIB_DIR, or by pkg-config, or as a crate that cargo has
//! compiled from the library's sources.
//!
//! The package's own tests and examples get a run path. A package that depends on this one reads the folder from
//! DEP_TENURE_LIB_DIR.

use std::path::{Path, PathBuf};

/// The name by which programs load the shared library.
const SONAME: &str = "libtenure.so.0";

/// What a static libtenure needs of the system, as its pkg-config file says.
const SYSTEM_LIBRARIES: [&str; 6] = ["gcc_s", "util", "rt", "pthread", "m", "dl"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TENURE_LIB_DIR");
    println!("cargo::rustc-check-cfg=cfg(from_sources)");
    if std::env::var_os("DOCS_RS").is_some() {
        return; // documentation needs no library
    }
    let has = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let is_static = has("STATIC");
    let folder = match std::env::var_os("TENURE_LIB_DIR") {
        Some(folder) => Ok(PathBuf::from(folder)),
        // Any crate of the program may ask for the library that it shares with other languages.
        None if has("BUNDLED") && !has("SYSTEM") && !is_static => {
            println!("cargo::rustc-cfg=from_sources");
            return;
        }
        None => by_pkg_config(if is_static { "tenure-static" } else { "tenure" }),
    };
    if let Err(text) = folder.and_then(|folder| in_folder(&folder, is_static)) {
        println!("cargo::error={}", text.replace('\n', " "));
    }
}

/// The folder of an installed library.
fn by_pkg_config(package: &str) -> Result<PathBuf, String> {
    // Only the folder: the crate would link an archive that is named by its path as a shared library.
    let found = pkg_config::Config::new().atleast_version("0.1").cargo_metadata(false).probe(package).map(drop);
    let folder = found.and_then(|()| pkg_config::get_variable(package, "libdir"));
    folder
        .map(PathBuf::from)
        .map_err(|e| format!("libtenure was not found; install it, or set TENURE_LIB_DIR to its folder: {e}"))
}

fn in_folder(folder: &Path, is_static: bool) -> Result<(), String> {
    let name = if is_static { "libtenure.a" } else { "libtenure.so" };
    let library = folder.join(name);
    if !library.exists() {
        return Err(format!("{} has no {name}; set TENURE_LIB_DIR to the library's folder", folder.display()));
    }
    println!("cargo::rerun-if-changed={}", library.display());
    if is_static {
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static=tenure");
        SYSTEM_LIBRARIES.iter().for_each(|name| println!("cargo::rustc-link-lib=dylib={name}"));
        announce(folder);
        return Ok(());
    }
    let folder = if folder.join(SONAME).exists() { folder.to_owned() } else { linked(&library)? };
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=dylib=tenure");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    announce(&folder);
    Ok(())
}

/// A folder of links to what `cargo build` made, which does not know the name that programs load the library by.
fn linked(library: &Path) -> Result<PathBuf, String> {
    let own = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for name in ["libtenure.so", SONAME] {
        let path = own.join(name);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(library, &path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(own)
}

/// Tells this package's tests and other packages where the library is.
fn announce(folder: &Path) {
    println!("cargo::rustc-env=TENURE_LIB_DIR_LINKED={}", folder.display());
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=TENURE_TARGET={target}");
    println!("cargo::metadata=lib_dir={}", folder.display());
}
