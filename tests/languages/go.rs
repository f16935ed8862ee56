//! The Go binding: `bindings/go` is formatted, `go vet` finds nothing, its tests pass, also with the race detector; the
//! programs of the README print what it shows. One of them is the example that hands an array from C to Go and back.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::handover;
use support::readme::{programs, shows};
use support::tools::{library, library_folder, output, read, root};
use tenure_harness::test;

const FOLDER: &str = "bindings/go";

/// A command of Go, without a network, which finds the header and the library. Its cache is that of `cargo xtask
/// header-tools`.
fn go(folder: &Path, arguments: &[&str]) -> Command {
    if !Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
        tenure_harness::missing("go is not installed; on Debian: apt-get install golang-go".to_owned());
    }
    let tools = root().join("target/header-tools/go");
    let deps = library().parent().expect("a file lies in a folder").to_owned();
    let mut go = Command::new("go");
    go.args(arguments).current_dir(folder).env("CGO_ENABLED", "1").env("GO111MODULE", "on");
    go.env("GOFLAGS", "-mod=mod -tags=tenure_flags").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    go.env("GOCACHE", tools.join("cache")).env("GOPATH", tools.join("path"));
    go.env("CGO_CFLAGS", format!("-O0 -I{}", root().join("include").display()));
    let (own, libraries) = (work("handover"), library_folder());
    let folders =
        format!("-L{} -L{} -Wl,-rpath,{}:{}", deps.display(), own.display(), libraries.display(), own.display());
    go.env("CGO_LDFLAGS", folders);
    go
}

/// A folder of one test.
fn work(tag: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go_{tag}"));
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

#[test]
fn sources_are_formatted_and_vetted() {
    let folder = root().join(FOLDER);
    output(&mut go(&folder, &["vet", "./..."])).unwrap();
    assert_eq!(output(Command::new("gofmt").arg("-d").arg(&folder)).unwrap(), "");
}

#[test]
fn calls_pass() {
    // Go does not see that the library changed: without -count it would show an old result.
    output(&mut go(&root().join(FOLDER), &["test", "-count=1", "."])).unwrap();
}

#[test]
fn calls_pass_with_the_race_detector() {
    output(&mut go(&root().join(FOLDER), &["test", "-count=1", "-race", "."])).unwrap();
}

#[test]
fn programs_of_the_readme_print_what_it_shows() {
    let folder = work("readme");
    handover::compile(&work("handover"));
    let page = read(format!("{FOLDER}/README.md"));
    shows(&page, &[&read(format!("{FOLDER}/example/handover.go"))]);
    let module = root().join(FOLDER);
    let requirement =
        format!("module example\n\ngo 1.19\n\nrequire tenure v0.0.0\n\nreplace tenure => {}\n", module.display());
    std::fs::write(folder.join("go.mod"), requirement).expect("the target folder is writable");
    for (program, shown) in programs(&page, "go", "func main() {\n") {
        std::fs::write(folder.join("main.go"), program).expect("the target folder is writable");
        let printed = output(&mut go(&folder, &["run", "."])).unwrap();
        assert_eq!(without_threads(&printed), shown, "of:\n{program}");
    }
}

/// A text without " by thread 123": a goroutine may change its thread between two calls.
fn without_threads(text: &str) -> String {
    let mut parts = text.split(" by thread ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn threads_are_left_out() {
    assert_eq!(without_threads("(at main.go:29 by thread 71); end"), "(at main.go:29); end");
    assert_eq!(without_threads("(at main.go:29)"), "(at main.go:29)");
}
