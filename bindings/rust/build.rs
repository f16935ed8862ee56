//! Finds libtenure and tells the linker: in the folder TENURE_LIB_DIR, or by pkg-config.
//!
//! The package's own tests and examples get a run path. A package that depends on this one reads the folder from DEP_TENURE_LIB_DIR.

use std::path::{Path, PathBuf};

/// What a static libtenure needs of the system, as its pkg-config file says.
const SYSTEM_LIBRARIES: [&str; 6] = ["gcc_s", "util", "rt", "pthread", "m", "dl"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TENURE_LIB_DIR");
    if std::env::var_os("DOCS_RS").is_some() {
        return; // documentation needs no library
    }
    let is_static = std::env::var_os("CARGO_FEATURE_STATIC").is_some();
    let found = match std::env::var_os("TENURE_LIB_DIR") {
        Some(folder) => in_folder(Path::new(&folder), is_static),
        None => by_pkg_config(is_static),
    };
    if let Err(text) = found {
        println!("cargo::error={}", text.replace('\n', " "));
    }
}

fn in_folder(folder: &Path, is_static: bool) -> Result<(), String> {
    let name = if is_static { "libtenure.a" } else { "libtenure.so" };
    let library = folder.join(name);
    if !library.exists() {
        return Err(format!("TENURE_LIB_DIR is {}, which has no {name}", folder.display()));
    }
    println!("cargo::rerun-if-changed={}", library.display());
    if is_static {
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static=tenure");
        SYSTEM_LIBRARIES.iter().for_each(|name| println!("cargo::rustc-link-lib=dylib={name}"));
        return Ok(());
    }
    if folder.join("libtenure.so.0").exists() {
        link(folder);
        return Ok(());
    }
    // The folder is that of `cargo build`, which does not know the name that programs load the library by.
    let own = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for name in ["libtenure.so", "libtenure.so.0"] {
        let path = own.join(name);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(&library, &path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    link(&own);
    Ok(())
}

fn by_pkg_config(is_static: bool) -> Result<(), String> {
    let found = pkg_config::Config::new().atleast_version("0.1").statik(is_static).probe("tenure");
    let found =
        found.map_err(|e| format!("libtenure was not found; install it, or set TENURE_LIB_DIR to its folder: {e}"))?;
    if !is_static {
        found.link_paths.iter().for_each(|folder| announce(folder));
    }
    Ok(())
}

fn link(folder: &Path) {
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=dylib=tenure");
    announce(folder);
}

/// Lets this package's programs find the library when they run, and tells other packages where it is.
fn announce(folder: &Path) {
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    println!("cargo::rustc-env=TENURE_LIB_DIR_LINKED={}", folder.display());
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=TENURE_TARGET={target}");
    println!("cargo::metadata=lib_dir={}", folder.display());
}
