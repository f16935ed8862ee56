//! The Java binding: `bindings/java/tests/Calls.java` passes, also with JNI's checks, and `Collect.java`; guards
//! are arenas on JDK 22 and newer; the example hands an array from C to Java and back; the examples of the README print what the README shows.

use crate::support;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::handover;
use support::tools::{files, hash, library_folder, output, read, root};
use tenure_harness::{missing, require, skip, test};

const FOLDER: &str = "bindings/java";
/// Where Debian's libjna-java has it.
const JNA: &str = "/usr/share/java/jna.jar";

/// The classes of some programs, in a folder of one test, and those of the binding.
struct Build {
    folder: PathBuf,
    binding: PathBuf,
    program: PathBuf,
}

impl Build {
    fn new(tag: &str, programs: &[PathBuf]) -> Build {
        require(&["javac", "java"]);
        if !Path::new(JNA).exists() {
            missing(format!("{JNA} is not installed"));
        }
        let binding = binding();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("java_{tag}"));
        std::fs::create_dir_all(&folder).expect("the target folder is writable");
        if !programs.is_empty() {
            compile(&folder, &format!("{}:{JNA}", binding.display()), programs);
        }
        Build { folder, binding, program: PathBuf::from("java") }
    }

    fn java(&self, flags: &[&str], class: &str) -> Command {
        let mut java = Command::new(&self.program);
        java.args(flags).arg("-cp").arg(format!("{}:{}:{JNA}", self.folder.display(), self.binding.display()));
        java.arg(format!("-Dtenure.library={}", library_folder().join("libtenure.so.0").display())).arg(class);
        java
    }
}

fn compile(folder: &Path, path: &str, sources: &[PathBuf]) {
    std::fs::create_dir_all(folder).expect("the target folder is writable");
    let mut javac = Command::new("javac");
    javac.args(["-Xlint:all,-try", "-Werror", "--release", "17", "-cp", path, "-d"]).arg(folder).args(sources);
    output(&mut javac).unwrap();
}

/// The folder of the binding's classes, which the tests share. They are compiled again when a source has changed.
fn binding() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let lock = File::create(folder.join("lock")).expect("the target folder is writable");
    lock.lock().expect("a file can be locked");
    let sources = files(&format!("{FOLDER}/tenure"), ".java");
    let stamp = format!("{:x}", hash(&sources.iter().map(read).collect::<String>()));
    let compiled = folder.join("compiled");
    if std::fs::read_to_string(&compiled).ok().as_ref() != Some(&stamp) {
        let sources: Vec<PathBuf> = sources.iter().map(|source| root().join(source)).collect();
        compile(&folder, JNA, &sources);
        std::fs::write(&compiled, stamp).expect("the target folder is writable");
    }
    folder
}

#[test]
fn calls_pass() {
    let build = Build::new("calls", &[root().join(FOLDER).join("tests/Calls.java")]);
    assert_eq!(output(&mut build.java(&[], "Calls")).unwrap(), "all calls passed\n");
    // JNI's checks print warnings and go on, or end the process.
    let checked = output(&mut build.java(&["-Xcheck:jni"], "Calls")).unwrap();
    assert!(checked.ends_with("all calls passed\n") && !checked.contains("FATAL"), "{checked}");
}

/// The folder of a JDK with foreign memory, which is final since JDK 22.
fn newer_jdk() -> PathBuf {
    let release = |javac: &Path| {
        let version = Command::new(javac).arg("-version").output().ok()?;
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        text.trim().strip_prefix("javac ")?.split('.').next()?.parse::<u32>().ok()
    };
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|jdk| jdk.path().join("bin"));
    let found = std::env::split_paths(&on_path).chain(installed).find(|bin| release(&bin.join("javac")) >= Some(22));
    found.unwrap_or_else(|| skip("no JDK 22 or newer, neither in PATH nor in /usr/lib/jvm"))
}

/// Guards as arenas, which the compiler of an older JDK does not know.
#[test]
fn guards_are_arenas_of_foreign_memory() {
    let (jdk, mut build) = (newer_jdk(), Build::new("arenas", &[]));
    let classes = build.folder.clone();
    let sources = ["foreign/TenureArena.java", "tests/Arenas.java"].map(|source| root().join(FOLDER).join(source));
    let path = format!("{}:{JNA}", build.binding.display());
    let mut javac = Command::new(jdk.join("javac"));
    javac
        .args(["-Xlint:all,-try,-restricted", "-Werror", "--release", "22", "-cp", &path, "-d"])
        .arg(&classes)
        .args(sources);
    output(&mut javac).unwrap();
    build.program = jdk.join("java");
    let printed = output(&mut build.java(&["--enable-native-access=ALL-UNNAMED"], "Arenas")).unwrap();
    assert!(printed.ends_with("all arenas passed\n"), "{printed}");
}

#[test]
fn objects_that_nothing_closes_are_collected() {
    let build = Build::new("collect", &[root().join(FOLDER).join("tests/Collect.java")]);
    let printed = output(&mut build.java(&[], "Collect")).unwrap();
    assert!(printed.ends_with("all were collected\n"), "{printed}");
}

/// C gives, Java takes and writes in place, and C's handle is destructed.
#[test]
fn an_array_goes_from_c_to_java_and_back() {
    let program = root().join(FOLDER).join("example/Handover.java");
    let build = Build::new("handover", &[program]);
    require(&["gcc"]);
    let library = handover::compile(&build.folder);
    let printed = output(build.java(&[], "Handover").arg(&library)).unwrap();
    assert_eq!(printed, "C's own handle: TN_ERR_DESTRUCTED\nC reads 16, in the same bytes\n0 leaks\n");
    let readme = read(format!("{FOLDER}/README.md"));
    for part in [read(format!("{FOLDER}/example/Handover.java")), printed] {
        assert!(readme.contains(&part), "the README does not show:\n{part}");
    }
}

/// A block that imports is a whole program: the body of its main, below its imports.
#[test]
fn programs_of_the_readme_print_what_it_shows() {
    let readme = read(format!("{FOLDER}/README.md"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java_sources");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let (mut sources, mut expected) = (Vec::new(), Vec::new());
    for block in readme.split("```java\n").skip(1) {
        let (program, after) = block.split_once("```\n").expect("a block ends");
        if program.contains("class Handover") {
            continue; // the handover, which has a test
        }
        let (imports, body) = program.split_once("\n\n").expect("a program begins with its imports");
        let class = format!("Readme{}", sources.len());
        let source = folder.join(format!("{class}.java"));
        let text = format!(
            "{imports}\npublic final class {class} {{\npublic static void main(String[] arguments) throws Exception {{\n{body}}}\n}}\n"
        );
        std::fs::write(&source, text).expect("the target folder is writable");
        sources.push(source);
        let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
        expected.push((class, shown.expect("a program has its output below it").to_owned()));
    }
    assert_eq!(sources.len(), 2, "the README's programs were not recognised");
    let build = Build::new("readme", &sources);
    for (class, shown) in expected {
        assert_eq!(output(&mut build.java(&[], &class)).unwrap(), shown, "{class} prints something else");
    }
}
