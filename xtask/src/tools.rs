//! What the commands share: where things are, looking for programs, running them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

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

/// Sets the time limit of a program that a command starts, seconds.
const LIMIT: &str = "TENURE_STAGE_LIMIT_SECONDS";
/// The usual limit: no stage takes half of that, where nothing else runs.
const USUAL_LIMIT_SECONDS: u64 = 2400;

/// How long a program that a command starts may take.
fn limit() -> Duration {
    let seconds = std::env::var(LIMIT).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(USUAL_LIMIT_SECONDS))
}

fn hung() -> String {
    format!("hung: not done after {} s, and killed ({LIMIT} sets the limit)", limit().as_secs())
}

/// Runs it in the foreground, up to the limit; fails with its command line.
pub fn run(command: &mut Command) -> Done {
    run_within(command, limit())
}

/// Runs it in the foreground for as long as it takes: what is asked to run for hours.
pub fn run_unlimited(command: &mut Command) -> Done {
    run_within(command, Duration::MAX)
}

/// Waits for a child up to the limit.
pub fn wait(child: &mut Child) -> Done<ExitStatus> {
    tenure_harness::wait(child, limit()).map_err(|e| e.to_string())?.ok_or_else(hung)
}

fn run_within(command: &mut Command, limit: Duration) -> Done {
    let shown = shown(command);
    let ended = command.spawn().and_then(|mut child| tenure_harness::wait(&mut child, limit));
    match ended.map_err(|e| format!("{shown}: {e}"))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{shown}: {status}")),
        None => Err(format!("{shown}: {}", hung())),
    }
}

/// Runs it up to the limit and hands over each line that it prints; did it end well?
pub fn lines(command: &mut Command, line: impl FnMut(&str)) -> Done<bool> {
    let shown = shown(command);
    let ended = tenure_harness::watch(command, limit(), line).map_err(|e| format!("{shown}: {e}"))?;
    if ended.status.is_none() {
        return Err(format!("{shown}: {}", hung()));
    }
    Ok(ended.well())
}

/// What it printed, and how it ended; the limit is a failure.
pub fn printed(command: &mut Command) -> Done<tenure_harness::Printed> {
    let shown = shown(command);
    let printed = tenure_harness::output(command, limit()).map_err(|e| format!("{shown}: {e}"))?;
    if printed.status.is_none() {
        return Err(format!("{shown}: {}\n{}{}", hung(), printed.stdout, printed.stderr));
    }
    Ok(printed)
}

/// What it printed to stdout.
pub fn output(command: &mut Command) -> Done<String> {
    let printed = printed(command)?;
    match printed.status {
        Some(status) if status.success() => Ok(printed.stdout),
        status => {
            let how = status.map_or(String::new(), |status| status.to_string());
            Err(format!("{}: {how}\n{}", shown(command), printed.stderr))
        }
    }
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
