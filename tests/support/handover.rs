//! The library in C with which the examples of the bindings exchange an array.

use super::tools::{compiler, library, library_folder, output, root};
use std::path::{Path, PathBuf};

/// Compiles it into a folder.
pub fn compile(folder: &Path) -> PathBuf {
    let made = folder.join("libhandover.so");
    let mut gcc = compiler("c11");
    gcc.args(["-shared", "-fPIC"]).arg(root().join("bindings/handover/handover.c")).arg(library());
    output(gcc.arg(format!("-Wl,-rpath,{}", library_folder().display())).arg("-o").arg(&made)).unwrap();
    made
}
