//! `tenure check` as a program: what it prints, and its exit status.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tenure_harness::{Printed, output, require, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

const LIMIT: Duration = Duration::from_secs(120);

/// A guard that is not ended, and an address that is used after its guard.
const WRONG: &str = "#include <tenure.h>
int leak(tn_array *a)
{
    tn_borrow *g = NULL;
    if (tn_array_borrow_read(a, 0, NULL, NULL, NULL, &g) != TN_OK)
        return 1;
    return 0;
}
double late(tn_array *a)
{
    const void *data = NULL;
    tn_borrow *g = NULL;
    if (tn_array_borrow_read(a, 0, NULL, &data, NULL, &g) != TN_OK)
        return 0;
    tn_borrow_end(g, 0, NULL);
    return *(const double *)data;
}
";

/// A program that is right.
const RIGHT: &str = "#include <tenure.h>
int released(tn_array *a) { return tn_array_release(a) != TN_OK; }
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// A file of a test, in a folder of its own.
fn file(test: &str, name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{test}"));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Exit status, standard output, standard error.
fn check(arguments: &[&str]) -> (i32, String, String) {
    require(&["gcc"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.arg("check").args(arguments).args(["--", &format!("-I{}", root().join("include").display())]);
    let Printed { status, stdout, stderr, .. } = output(&mut command, LIMIT).unwrap();
    (status.and_then(|status| status.code()).unwrap_or(-1), stdout, stderr)
}

#[test]
fn sc_19_findings_are_printed_as_by_a_compiler() {
    let path = file("text", "wrong.c", WRONG);
    let (status, text, _) = check(&[path.to_str().unwrap()]);
    assert_eq!(status, 1, "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(": warning: ")).collect();
    let of = |line: usize, column: usize| format!("{}:{line}:{column}: warning: ", path.display());
    // What corrupts data comes first.
    assert!(lines[0].starts_with(&of(16, 12)) && lines[0].ends_with("[SC-8]"), "{text}");
    assert!(lines[1].starts_with(&of(5, 9)) && lines[1].ends_with("[SC-1]"), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    assert!(text.contains(":15:5: note: it ended here"), "{text}");
}

#[test]
fn sc_19_right_programs_print_nothing() {
    let path = file("right", "right.c", RIGHT);
    assert_eq!(check(&[path.to_str().unwrap()]), (0, String::new(), String::new()));
    let (_, _, told) = check(&["--verbose", path.to_str().unwrap()]);
    assert_eq!(told, "1 calls of the library in 1 functions\n");
}

#[test]
fn sc_19_a_file_that_cannot_be_checked_is_a_failure() {
    let (status, _, why) = check(&["no/such/file.c"]);
    assert_eq!(status, 2);
    assert!(why.starts_with("tenure check: no/such/file.c: ") && why.lines().count() == 1, "{why}");
    let path = file("list", "commands.json", "{}");
    let (status, _, why) = check(&[path.to_str().unwrap()]);
    assert_eq!(status, 2);
    assert!(why.contains("no list of commands"), "{why}");
}

#[test]
fn sc_19_sarif_is_json_with_places() {
    let path = file("sarif", "wrong.c", WRONG);
    let (status, text, _) = check(&["--sarif", path.to_str().unwrap()]);
    assert_eq!(status, 1);
    let log: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 16);
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().starts_with("file:///"));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 12);
    assert!(rules.iter().any(|rule| rule["id"] == results[0]["ruleId"]));
}

#[test]
fn sc_19_compile_commands_name_files_and_options() {
    let path = file("commands", "wrong.c", &WRONG.replace("tn_borrow_end", "END"));
    let folder = path.parent().unwrap().display().to_string();
    let include = root().join("include").display().to_string();
    let commands = format!(
        "[{{\"directory\": \"{folder}\", \"file\": \"wrong.c\", \"command\": \"gcc -DEND=tn_borrow_end -I {include} -c wrong.c\"}}]"
    );
    let list = file("commands", "compile_commands.json", &commands);
    let (status, text, why) = check(&[list.to_str().unwrap()]);
    assert_eq!(status, 1, "{why}");
    assert!(text.contains("[SC-8]") && text.contains(&format!("{folder}/wrong.c:16:12: ")), "{text}");
}
