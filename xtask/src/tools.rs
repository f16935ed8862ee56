//! What the commands share: where things are, and running programs.

use std::path::{Path, PathBuf};

/// What a command returns; the text says what failed and what to do.
pub type Done<T = ()> = Result<T, String>;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// The text of a file of the repository.
pub fn read(path: &str) -> Done<String> {
    std::fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))
}
