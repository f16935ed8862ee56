//! What the commands share: where things are, looking for programs, running them.

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Is there such a file or folder in the repository?
pub fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// A file operation that names the file when it fails.
pub fn io<T>(path: &Path, result: std::io::Result<T>) -> Done<T> {
    result.map_err(|e| format!("{}: {e}", path.display()))
}

/// Copies a file, replacing what is there.
pub fn copy(from: &Path, to: &Path) -> Done {
    io(from, std::fs::copy(from, to)).map(drop)
}

/// Copies the files of a folder into another one, which is made.
pub fn copy_all(from: &Path, to: &Path) -> Done {
    io(to, std::fs::create_dir_all(to))?;
    for entry in io(from, std::fs::read_dir(from))? {
        let file = io(from, entry)?.path();
        copy(&file, &to.join(file.file_name().expect("a listed file has a name")))?;
    }
    Ok(())
}

/// The names of the files of a folder that begin with `prefix` and end with `end`, sorted.
pub fn named(folder: &str, prefix: &str, end: &str) -> Done<Vec<String>> {
    let path = root().join(folder);
    let listed = io(&path, std::fs::read_dir(&path))?;
    let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix) && name.ends_with(end));
    names.sort();
    if names.is_empty() { Err(format!("{folder} has no {prefix}*{end}")) } else { Ok(names) }
}

/// Makes a symbolic link, also where there is one already.
pub fn link(target: impl AsRef<Path>, link: &Path) -> Done {
    let _ = std::fs::remove_file(link);
    io(link, std::os::unix::fs::symlink(target, link))
}

/// The program, started in the repository.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this command.
pub fn cargo() -> Command {
    let mut command = command(env!("CARGO"));
    // `cargo xtask` sets these for us; the cargo that we call sets its own.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
    // What it builds is looked for there, wherever the user has his builds.
    command.env("CARGO_TARGET_DIR", root().join("target")).env_remove("CARGO_BUILD_TARGET");
    command
}

/// Has cargo say what it says without a terminal, whatever the user's settings are: for those who read it.
pub fn plainly(cargo: &mut Command) -> &mut Command {
    cargo.env("CARGO_TERM_COLOR", "never").env_remove("CARGO_TERM_QUIET").env_remove("CARGO_TERM_VERBOSE")
}

/// Runs it in the foreground; fails with its command line.
pub fn run(command: &mut Command) -> Done {
    let shown = shown(command);
    let status = command.status().map_err(|e| format!("{shown}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

/// What it printed to stdout.
pub fn output(command: &mut Command) -> Done<String> {
    let shown = shown(command);
    let output = command.output().map_err(|e| format!("{shown}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The command line as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Can the program be started?
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
