//! Helpers of the tests of files and builds: the repository's files, programs that may be missing, the header's
//! declarations, Rust without its comments.
#![allow(dead_code)] // each test file uses its part

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The repository's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files below a folder of the repository with this ending, sorted, relative to the repository.
pub fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path.strip_prefix(root()).expect("below the repository").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The shared library of the running test. Only `deps` has the current one; a copy elsewhere may be old.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.parent().expect("a file lies in a folder").join("libtenure.so")
}

/// The folder in which programs linked with this rpath find `libtenure.so.0`.
pub fn library_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lib");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    // Several tests may run at once, also of one process: each makes a link of its own and renames it into place.
    static LINKS: AtomicUsize = AtomicUsize::new(0);
    let own = folder.join(format!("link-{}-{}", std::process::id(), LINKS.fetch_add(1, Ordering::Relaxed)));
    let _ = std::fs::remove_file(&own);
    std::os::unix::fs::symlink(library(), &own).expect("a link can be made");
    std::fs::rename(&own, folder.join("libtenure.so.0")).expect("a link can be renamed");
    folder
}

/// The C compiler, or the C++ compiler, with the project's strict warnings for this standard. `CC_<target>` and
/// `CXX_<target>` choose it.
pub fn compiler(standard: &str) -> Command {
    let cpp = standard.starts_with("c++");
    let mut build = cc::Build::new();
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    let target = format!("{}-unknown-linux-{libc}", std::env::consts::ARCH);
    build.cpp(cpp).host(&target).target(&target).opt_level(0).debug(true).cargo_metadata(false);
    let mut command = build.get_compiler().to_command();
    command.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]);
    command.args(if cpp { ["-Wold-style-cast"] } else { ["-Wstrict-prototypes"] });
    command.arg("-I").arg(root().join("include"));
    command
}

/// Makes a program unless it is newer than its sources, the headers and the library. Each test is a process of its own:
/// the first one makes it, the others wait for it.
pub fn made_once(program: &Path, sources: impl IntoIterator<Item = PathBuf>, make: impl FnOnce()) {
    let lock = std::fs::File::create(program.with_extension("lock")).expect("the target folder is writable");
    lock.lock().expect("a file of ours can be locked");
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let headers = files("include", "").into_iter().map(|path| root().join(path));
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut sources = sources.into_iter().chain(headers).chain([library(), own]);
    let is_fresh = |made| sources.all(|source| time(&source).is_some_and(|time| time < made));
    if !time(program).is_some_and(is_fresh) {
        make();
    }
}

/// Runs it. Returns its output, as an error if it failed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|e| format!("{shown}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text.into_owned()) } else { Err(format!("{shown}: {}\n{text}", output.status)) }
}

/// FNV-1a with 64 bits, as `cargo xtask ptx` computes it too.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A function of the header.
pub struct Declaration {
    pub name: String,
    /// The names of the parameters.
    pub parameters: Vec<String>,
    /// The comment above it.
    pub comment: String,
    /// Whether it returns nothing.
    pub is_void: bool,
}

/// The functions of the headers.
pub fn declarations() -> Vec<Declaration> {
    let functions: String = ["include/tenure.h", "include/tenure_bindings.h"]
        .map(|header| {
            let header = read(header);
            let (_, functions) = header.split_once("extern \"C\" {").expect("a header has an extern \"C\" block");
            functions.to_owned()
        })
        .concat();
    let mut found = Vec::new();
    for block in functions.split("\n\n").filter(|block| block.trim_start().starts_with("/**")) {
        let Some((comment, code)) = block.rsplit_once("*/") else {
            continue;
        };
        let code = code.trim().replace(" TN_MUST_CHECK;", ";");
        let is_type = ["typedef ", "static ", "TN_ENUM "].iter().any(|start| code.starts_with(start));
        let Some((head, parameters)) = code.strip_suffix(");").and_then(|c| c.split_once('(')).filter(|_| !is_type)
        else {
            continue;
        };
        let last = |text: &str| text.rsplit(|c: char| !is_word(c)).next().unwrap_or_default().to_owned();
        let parameters = parameters.split(',').map(str::trim).filter(|p| *p != "void").map(last).collect();
        let is_void = head.starts_with("void ") && !head.contains('*');
        found.push(Declaration { name: last(head), parameters, comment: comment.to_owned(), is_void });
    }
    assert!(found.len() >= 3, "the header's functions were not recognised");
    found
}

/// Whether the character may occur in a name.
pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Rust source with comments, strings and characters blanked, so that braces and words are code. Line numbers stay.
pub fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('"') {
            text_length(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let (open, close) = if rest.starts_with("r\"") { (2, "\"") } else { (3, "\"#") };
            rest[open..].find(close).map_or(rest.len(), |end| open + end + close.len())
        } else if rest.starts_with('\'') {
            character_length(rest)
        } else {
            0
        };
        if length == 0 {
            let c = rest.chars().next().expect("not at the end");
            out.push(c);
            at += c.len_utf8();
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    out
}

fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The length of a character literal; 0 for a lifetime.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |end| end + 4),
        Some(_) => characters.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// The source without the unit tests at its end.
pub fn without_tests(source: &str) -> &str {
    source.find("\nmod tests {").map_or(source, |at| &source[..at])
}
