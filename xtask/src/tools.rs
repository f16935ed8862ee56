//! Helpers of all commands: paths, looking for programs, running them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Mutex;
use std::time::Duration;
use tenure_harness::in_parallel;

/// The result of a command; the error text says what failed and what to do.
pub type Done<T = ()> = Result<T, String>;

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// The text of a file of the repository.
pub fn read(path: &str) -> Done<String> {
    std::fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))
}

/// Whether the repository has such a file or folder.
pub fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// Adds the file's path to the error of a file operation.
pub fn io<T>(path: &Path, result: std::io::Result<T>) -> Done<T> {
    result.map_err(|e| format!("{}: {e}", path.display()))
}

/// Copies a file, replacing what is there. A file with these bytes stays, so that nothing is built again because of it.
pub fn copy(from: &Path, to: &Path) -> Done {
    if std::fs::read(to).is_ok_and(|there| std::fs::read(from).is_ok_and(|bytes| bytes == there)) {
        return Ok(());
    }
    io(from, std::fs::copy(from, to)).map(drop)
}

/// Creates the folder in which a file is to lie.
pub fn make_folder_of(file: &Path) -> Done {
    let folder = file.parent().expect("a file lies in a folder");
    io(folder, std::fs::create_dir_all(folder))
}

/// The files below some folders of the repository that git tracks, as paths from the root.
pub fn tracked(folders: &[&str]) -> Done<Vec<String>> {
    let listed = output(command("git").args(["ls-files", "--"]).args(folders))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Copies the files of a folder into another one, which is created.
pub fn copy_all(from: &Path, to: &Path) -> Done {
    io(to, std::fs::create_dir_all(to))?;
    for entry in io(from, std::fs::read_dir(from))? {
        let file = io(from, entry)?.path();
        copy(&file, &to.join(file.file_name().expect("a listed file has a name")))?;
    }
    Ok(())
}

/// The sorted names of the files of a folder that begin with `prefix` and end with `end`.
pub fn named(folder: &str, prefix: &str, end: &str) -> Done<Vec<String>> {
    let path = root().join(folder);
    let listed = io(&path, std::fs::read_dir(&path))?;
    let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix) && name.ends_with(end));
    names.sort();
    if names.is_empty() { Err(format!("{folder} has no {prefix}*{end}")) } else { Ok(names) }
}

/// All files below a folder, with their sizes in bytes.
pub fn files_below(folder: &Path) -> Done<Vec<(PathBuf, u64)>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in io(&folder, std::fs::read_dir(&folder))? {
            let path = io(&folder, entry)?.path();
            match io(&path, path.symlink_metadata())? {
                about if about.is_dir() => folders.push(path),
                about => files.push((path, about.len())),
            }
        }
    }
    Ok(files)
}

/// Makes a symbolic link and replaces an existing one.
pub fn link(target: impl AsRef<Path>, link: &Path) -> Done {
    let _ = std::fs::remove_file(link);
    io(link, std::os::unix::fs::symlink(target, link))
}

/// The results of `work` for all items, in their order. Several run at the same time.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let done: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    in_parallel(items.len(), cores(), |at| {
        let result = work(&items[at]);
        *done[at].lock().expect("no panic while it is held") = Some(result);
    });
    let taken = |done: Mutex<Option<R>>| done.into_inner().ok().flatten().expect("the work was done");
    done.into_iter().map(taken).collect()
}

/// How many programs run at the same time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// A command that runs in the repository's folder.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this command.
pub fn cargo() -> Command {
    let mut command = command(env!("CARGO"));
    // `cargo xtask` sets these for this process; the cargo that it calls sets its own.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
    // The commands look for build results there, whatever target folder the user has set.
    command.env("CARGO_TARGET_DIR", root().join("target")).env_remove("CARGO_BUILD_TARGET");
    command
}

/// Runs a command that is a package of its own, without a time limit.
pub fn package(name: &str, arguments: &[&str]) -> Done {
    let run = ["run", "--quiet", "--locked", "--package", name, "--"];
    let status = cargo().args(run).args(arguments).status().map_err(|e| format!("cargo: {e}"))?;
    // It has said what is wrong.
    if status.success() { Ok(()) } else { Err(String::new()) }
}

/// Prints why a command failed, unless it has printed that itself, and gives the status with which its program ends.
pub fn ended(done: Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            if !text.is_empty() {
                eprintln!("xtask: {text}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Makes cargo's output independent of the user's settings, for code that parses it.
pub fn plainly(cargo: &mut Command) -> &mut Command {
    cargo.env("CARGO_TERM_COLOR", "never").env_remove("CARGO_TERM_QUIET").env_remove("CARGO_TERM_VERBOSE")
}

/// The environment variable for the time limit of a program that a command starts, in seconds.
const LIMIT: &str = "TENURE_STAGE_LIMIT_SECONDS";
/// The default limit: on an idle machine no stage takes half of it.
const USUAL_LIMIT_SECONDS: u64 = 2400;

/// The time limit of a program that a command starts.
fn limit() -> Duration {
    let seconds = std::env::var(LIMIT).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(USUAL_LIMIT_SECONDS))
}

fn hung() -> String {
    format!("hung: not done after {} s, and killed ({LIMIT} sets the limit)", limit().as_secs())
}

/// Runs it in the foreground within the time limit. The error has the command line.
pub fn run(command: &mut Command) -> Done {
    run_within(command, limit())
}

/// Runs it in the foreground without a time limit.
pub fn run_unlimited(command: &mut Command) -> Done {
    run_within(command, Duration::MAX)
}

/// Waits for a child within the time limit.
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

/// Runs it within the time limit and passes each line of its output to `line`. Returns whether it succeeded.
pub fn lines(command: &mut Command, line: impl FnMut(&str)) -> Done<bool> {
    let shown = shown(command);
    let ended = tenure_harness::watch(command, limit(), line).map_err(|e| format!("{shown}: {e}"))?;
    if ended.status.is_none() {
        return Err(format!("{shown}: {}", hung()));
    }
    Ok(ended.well())
}

/// Its output and how it ended; running past the time limit is an error.
pub fn printed(command: &mut Command) -> Done<tenure_harness::Printed> {
    let shown = shown(command);
    let printed = tenure_harness::output(command, limit()).map_err(|e| format!("{shown}: {e}"))?;
    if printed.status.is_none() {
        return Err(format!("{shown}: {}\n{}{}", hung(), printed.stdout, printed.stderr));
    }
    Ok(printed)
}

/// Its standard output; a failure is an error.
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

/// The command line, for messages.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Whether the program can be started.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
