//! The Node.js binding: `bindings/node/tests/calls.mjs` passes; the types are those that TypeScript sees; the example
//! hands an array from C to JavaScript and back; the examples of the README print what the README shows.

use crate::support;
use std::fs::{File, create_dir_all, read_dir, write};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::handover;
use support::tools::{library_folder, output, read, root};
use tenure_harness::{require, test};

const FOLDER: &str = "bindings/node";

/// A copy of the package with its dependencies, of the versions in the lock file. Tests of several processes share it.
fn package() -> PathBuf {
    require(&["node", "npm"]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    create_dir_all(&folder).expect("the target folder is writable");
    let lock = File::create(folder.join("lock")).expect("the target folder is writable");
    lock.lock().expect("a file can be locked");
    for part in ["", "tests", "example"] {
        create_dir_all(folder.join(part)).expect("the target folder is writable");
        for entry in read_dir(root().join(FOLDER).join(part)).expect("the package is there") {
            let from = entry.expect("a folder can be listed").path();
            if from.is_file() {
                update(&from, &folder.join(part).join(from.file_name().expect("a file has a name")));
            }
        }
    }
    let (versions, installed) = (read(format!("{FOLDER}/package-lock.json")), folder.join("installed.json"));
    if std::fs::read_to_string(&installed).ok().as_ref() != Some(&versions) {
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
        output(Command::new("npm").args(install).current_dir(&folder)).unwrap();
        write(&installed, versions).expect("the target folder is writable");
    }
    folder
}

/// Copies a file that differs. One that another test reads at this moment stays untouched.
fn update(from: &Path, to: &Path) {
    let bytes = std::fs::read(from).expect("a file of the package can be read");
    if std::fs::read(to).ok().as_ref() != Some(&bytes) {
        write(to, bytes).expect("the target folder is writable");
    }
}

fn node(package: &Path, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("node");
    command.arg(program.as_ref()).current_dir(package).env("TENURE_LIBRARY", library_folder().join("libtenure.so.0"));
    command
}

#[test]
fn calls_pass() {
    let package = package();
    output(&mut node(&package, "tests/calls.mjs")).unwrap();
}

#[test]
fn types_are_those_of_the_declarations() {
    let package = package();
    output(node(&package, "node_modules/typescript/bin/tsc").args(["-p", "tests"])).unwrap();
}

/// What TypeScript declares is what the module has, as the compiler does not see JavaScript.
#[test]
fn every_declared_name_exists() {
    let package = package();
    let declared: String = ["index", "tenure_c"].map(|name| read(format!("{FOLDER}/{name}.d.ts"))).concat();
    let names: Vec<&str> = declared
        .lines()
        .filter_map(|line| {
            ["export const ", "export class ", "export function "].iter().find_map(|word| line.strip_prefix(word))
        })
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect();
    assert!(names.len() > 200, "the declarations were not recognised");
    let program = format!(
        "import * as tenure from \"tenure\";\nconsole.log({names:?}.filter((name) => tenure[name] === undefined).join());\n"
    );
    write(package.join("declared.mjs"), program).expect("the target folder is writable");
    assert_eq!(output(&mut node(&package, "declared.mjs")).unwrap(), "\n");
}

/// C gives, JavaScript takes and writes in place, and C's handle is destructed.
#[test]
fn an_array_goes_from_c_to_javascript_and_back() {
    let package = package();
    require(&["gcc"]);
    let library = handover::compile(&package);
    let printed = output(node(&package, "example/handover.mjs").arg(&library)).unwrap();
    assert_eq!(printed, "C's own handle: TN_ERR_DESTRUCTED\nC reads 16, in the same bytes\n0 leaks\n");
    let readme = read(format!("{FOLDER}/README.md"));
    for part in [read(format!("{FOLDER}/example/handover.mjs")), printed] {
        assert!(readme.contains(&part), "the README does not show:\n{part}");
    }
}

#[test]
fn programs_of_the_readme_print_what_it_shows() {
    let package = package();
    let readme = read(format!("{FOLDER}/README.md"));
    let mut count = 0;
    for block in readme.split("```js\n").skip(1) {
        let (program, after) = block.split_once("```\n").expect("a block ends");
        if program.contains("process.argv") {
            continue; // the handover, which has a test
        }
        let file = package.join(format!("readme_{count}.mjs"));
        write(&file, program).expect("the target folder is writable");
        let printed = output(&mut node(&package, &file)).unwrap();
        let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
        assert_eq!(Some(printed.as_str()), shown, "program {count} prints something else");
        count += 1;
    }
    assert_eq!(count, 3, "the README's programs were not recognised");
}
