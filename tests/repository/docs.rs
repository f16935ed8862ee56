//! Documents: every module has a head comment, links lead to files, commands and names in documents exist, the C
//! programs in README and docs run as shown, dependencies are pinned with a reason, and the top level has no unexpected
//! files.

use crate::support;
#[path = "../../xtask/src/diagram.rs"]
mod diagram;

#[path = "../../xtask/src/documents.rs"]
mod documents;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::cuda;
use support::tools::{compiler, files, is_word, library, library_folder, output, read, root};
use tenure_harness::{require, skip, test};

/// The documents at the top level and below docs, examples, bindings, benches and c-tests.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root())
        .expect("the repository can be listed")
        .map(|entry| PathBuf::from(entry.expect("the repository can be listed").file_name()))
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    for folder in ["docs", "examples", "bindings", "benches", "c-tests", "report-page"] {
        found.extend(files(folder, ".md"));
    }
    found
}

#[test]
fn every_module_opens_with_its_contract() {
    let sources = files("src", ".rs");
    assert!(!sources.is_empty(), "src/ was not found");
    let silent: Vec<PathBuf> =
        sources.into_iter().filter(|path| !read(path).trim_start().starts_with("//! ")).collect();
    assert!(silent.is_empty(), "no `//!` at the top: {silent:?}");
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let page = document.to_string_lossy();
        let links = documents::relative_links(&page, &read(&document));
        let missing = links.into_iter().filter(|target| !root().join(target).exists());
        broken.extend(missing.map(|target| format!("{page}: {target}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// `cargo xtask install` copies documents. Each of their links leads to an installed file or to one of SOURCE_ONLY.
#[test]
fn installed_documents_link_installed_files() {
    let is_installed = |target: &str| documents::INSTALLED.iter().any(|path| Path::new(target).starts_with(path));
    let mut seen = std::collections::BTreeSet::new();
    let mut broken = Vec::new();
    for page in documents().into_iter().chain([PathBuf::from("cuda-sim/README.md")]) {
        let page = page.to_string_lossy();
        if !is_installed(&page) {
            continue;
        }
        for target in documents::relative_links(&page, &read(Path::new(&*page))) {
            if documents::SOURCE_ONLY.contains(&target.as_str()) {
                seen.insert(target);
            } else if !is_installed(&target) {
                broken.push(format!("{page} links {target}, which is not installed: xtask/src/documents.rs"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(seen.len(), documents::SOURCE_ONLY.len(), "linked by no installed page: not all of {seen:?}");
}

#[test]
fn a_dangling_link_of_an_installed_page_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dangling");
    std::fs::create_dir_all(folder.join("docs")).expect("the target folder is writable");
    let page = "[read\nme](../README.md#top), [there](https://example.org), [source](../CONTRIBUTING.md), [gone](gone.md), \
         `[](const array &x) {}`";
    let kept = documents::keep_links("docs/page.md", page, |target| !documents::SOURCE_ONLY.contains(&target));
    assert_eq!(kept, page.replace("[source](../CONTRIBUTING.md)", "source"));
    std::fs::write(folder.join("docs/page.md"), kept).expect("the target folder is writable");
    std::fs::write(folder.join("README.md"), "[outside](../outside.md)").expect("the target folder is writable");
    let found = documents::dangling_links(&folder).expect("the folder can be listed");
    let expected =
        ["README.md links ../outside.md, which is not there", "docs/page.md links docs/gone.md, which is not there"];
    assert_eq!(found, expected);
}

#[test]
fn commands_in_documents_exist() {
    let help = read("xtask/src/main.rs");
    let mut unknown = Vec::new();
    for document in documents().into_iter().chain([PathBuf::from(".ci/run")]) {
        let text = read(&document);
        for (at, found) in text.match_indices("cargo xtask ") {
            let command: String = text[at + found.len()..].chars().take_while(|c| is_word(*c) || *c == '-').collect();
            if !command.is_empty() && !help.contains(&format!("\n  {command} ")) {
                unknown.push(format!("{}: cargo xtask {command}", document.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Every `tn_` name in a document is in a header, or of the Fortran or R binding, except in lines with "not yet" and in
/// the CHANGELOG, which has old names. `tests/repository/rows.rs` checks docs/spec.
#[test]
fn names_in_documents_exist() {
    let sources = ["tenure.h", "tenure_bindings.h", "tenure_checked.h", "tenure_kernel.cuh", "tenure_kernel_host.hpp"]
        .map(|name| format!("include/{name}"));
    let sources = sources.iter().map(String::as_str).chain([
        "bindings/fortran/tenure.f90",
        "bindings/r/R/arrays.R",
        "bindings/r/R/scopes.R",
        "bindings/python/include/tenure_numpy.h",
    ]);
    let header: String = sources.map(read).collect();
    let known: std::collections::BTreeSet<&str> = header.split(|c| !is_word(c)).collect();
    let mut unknown = Vec::new();
    for document in
        documents().into_iter().filter(|path| path != Path::new("CHANGELOG.md") && !path.starts_with("docs/spec"))
    {
        for line in read(&document).lines().filter(|line| !line.contains("not yet")) {
            for word in line.split(|c| !is_word(c)).filter(|w| w.starts_with("tn_") || w.starts_with("TN_")) {
                let family = word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
                if !family && !known.contains(word) {
                    unknown.push(format!("{}: {word}", document.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "not in the headers:\n{}", unknown.join("\n"));
}

#[test]
fn diagrams_are_fresh() {
    let sources = files("docs", ".dot");
    assert!(!sources.is_empty(), "docs/ has no diagram");
    for source in sources {
        let drawn = source.with_extension("svg");
        let is_fresh = diagram::is_drawn_from(&read(&drawn), &read(&source));
        assert!(is_fresh, "{} is not drawn from {}: cargo xtask diagram", drawn.display(), source.display());
    }
    assert!(!diagram::is_drawn_from("<svg/>", "digraph {}"));
}

/// The C blocks and C++ programs of README and docs compile without warnings and run. A C block without `main` is the
/// body of one, with `OK(call)` for calls that must succeed. Kernels, in blocks of the language `cuda`, become
/// functions of the host that later blocks call.
#[test]
fn examples_of_the_documents_run_as_shown() {
    require(&["gcc", "g++"]);
    for document in documents().into_iter().filter(|path| path == Path::new("README.md") || path.starts_with("docs")) {
        run_blocks(&document, "host", |run| {
            run.env("LD_LIBRARY_PATH", cuda::path_without_driver());
        });
    }
}

/// The first program of the header, an indented block of its comment, runs too.
#[test]
fn the_first_program_of_the_header_runs() {
    require(&["gcc"]);
    let header = read("include/tenure.h");
    let lines = header.lines().map(|line| line.trim_start_matches(" *"));
    let from_first = lines.skip_while(|line| *line != "     tn_array *a = NULL;");
    let program: String = from_first.map_while(|line| Some(line.strip_prefix("     ")?.to_owned() + "\n")).collect();
    assert!(program.ends_with("tn_array_release(a);\n"), "not the whole program:\n{program}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first_of_header");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    run_block("c", &program, &folder, &[], &|_| ()).unwrap_or_else(|e| panic!("{e}"));
}

/// The blocks of docs/kernels.md run on the simulated driver too, for which the page's kernels are those of the file
/// kernels.ptx.
#[test]
fn kernels_of_the_documents_run_on_cuda() {
    cuda::require_simulator();
    require(&["gcc", "g++"]);
    run_blocks(Path::new("docs/kernels.md"), "sim", |run| {
        let folder = run.get_current_dir().expect("a block has a folder");
        std::fs::write(folder.join("kernels.ptx"), "// no kernel\n.version 7.0\n")
            .expect("the target folder is writable");
    });
}

/// Compiles and runs the C blocks and C++ programs of a document, each in a folder that `prepare` gets before.
fn run_blocks(document: &Path, kind: &str, prepare: impl Fn(&mut Command)) {
    let text = read(document);
    let stem = document.with_extension("").to_string_lossy().to_lowercase().replace('/', "_");
    let scratch = |name: &str| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}_{kind}_{name}"));
        std::fs::create_dir_all(&folder).expect("the target folder is writable");
        folder
    };
    let (mut number, mut kernels) = (0, Vec::new());
    for (language, program, after) in blocks(&text) {
        match language {
            "cuda" => {
                let object = kernels_object(program, &scratch(&format!("kernels_{}", kernels.len())));
                kernels.push(object.unwrap_or_else(|e| panic!("{} kernels: {e}", document.display())));
            }
            "c" | "cpp" if language == "c" || program.contains("int main(") => {
                let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
                let printed = run_block(language, program, &scratch(&number.to_string()), &kernels, &prepare);
                let printed = printed.unwrap_or_else(|e| panic!("{} block {number}: {e}", document.display()));
                if let Some(shown) = shown {
                    assert_eq!(
                        printed.trim(),
                        shown.trim(),
                        "{} block {number} prints something else",
                        document.display()
                    );
                }
                number += 1;
            }
            _ => {}
        }
    }
}

/// The blocks of a document: language, text, and what follows.
fn blocks(document: &str) -> Vec<(&str, &str, &str)> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (language, block) = opened.split_once('\n').expect("blocks begin with a line of their own");
        let (block, after) = block.split_once("```").expect("blocks are closed");
        found.push((language, block, after));
        rest = after;
    }
    found
}

/// Compiles and runs a block of C, or a program of C++, in `folder`, with the kernels of its document. Returns what it
/// prints.
fn run_block(
    language: &str,
    program: &str,
    folder: &Path,
    kernels: &[PathBuf],
    prepare: &impl Fn(&mut Command),
) -> Result<String, String> {
    let binary = folder.join("example");
    let source = format!("example.{language}");
    let text = if language == "c" { whole(program) } else { program.to_owned() };
    std::fs::write(folder.join(&source), text).expect("the target folder is writable");
    let mut compile = compiler(if language == "c" { "c11" } else { "c++17" });
    compile.arg("-I").arg(root().join("bindings/cpp"));
    // By its bare name, which is part of the output.
    compile.arg(source).arg(library()).arg(format!("-Wl,-rpath,{}", library_folder().display()));
    if !kernels.is_empty() {
        compile.args(kernels).arg("-I").arg(root().join("examples/cuda")).args(["-ldl", "-lstdc++"]);
    }
    output(compile.arg("-o").arg(&binary).current_dir(folder))?;
    let mut run = Command::new(&binary);
    prepare(run.current_dir(folder));
    output(&mut run)
}

/// Compiles kernels for the host, with checks. The object also registers them with the simulated driver, if it runs.
fn kernels_object(source: &str, folder: &Path) -> Result<PathBuf, String> {
    let (file, object) = (folder.join("kernels.cpp"), folder.join("kernels.o"));
    let names: Vec<&str> =
        source.split("TN_HOST_KERNEL(").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    assert!(!names.is_empty(), "a block of kernels without TN_HOST_KERNEL");
    let simulated: String = names.iter().map(|name| format!("SIMULATE({name});\n")).collect();
    std::fs::write(&file, format!("{source}#include \"simulated.hpp\"\n{simulated}"))
        .expect("the target folder is writable");
    let mut compile = compiler("c++17");
    compile.args(["-DTN_KERNEL_CHECK", "-O1", "-c"]).arg(file).arg("-o").arg(&object);
    for folder in ["tests/kernels", "cuda-sim/include"] {
        compile.arg("-I").arg(root().join(folder));
    }
    output(&mut compile)?;
    Ok(object)
}

/// FO-6: the table of docs/migration/README.md has the lines of each guide's programs, and ours are about as short.
#[test]
fn programs_after_a_migration_are_as_short_as_before() {
    let readme = read("docs/migration/README.md");
    let (mut wrong, mut counted) = (Vec::new(), Vec::new());
    for page in files("docs/migration", ".md") {
        let Some((before, after)) = before_and_after(&read(&page)) else { continue };
        let name = page.file_name().expect("a listed file has a name").to_string_lossy().into_owned();
        if !readme.contains(&format!("]({name}) | {before} | {after} |")) {
            wrong.push(format!("{name}: {before} lines before and {after} after, which the table does not say"));
        }
        if after * 10 > before * 12 {
            wrong.push(format!("{name}: {after} lines after {before} are more than 1.2 times as many"));
        }
        counted.push(name);
    }
    assert!(counted.len() >= 7, "few pages have programs: {counted:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of code of the first program under "Before and after", and of the one that replaces it.
fn before_and_after(page: &str) -> Option<(usize, usize)> {
    let (_, section) = page.split_once("\n## Before and after\n")?;
    let programs = blocks(section.split("\n## ").next()?);
    let (_, before, _) = programs.first()?;
    let (language, after, _) = programs.iter().find(|(language, ..)| *language != "text")?;
    Some((lines_of_code(language, before), lines_of_code(language, after)))
}

/// The lines that are neither blank nor only a comment.
fn lines_of_code(language: &str, program: &str) -> usize {
    let (mut lines, mut in_comment) = (0, false);
    for line in program.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if language == "python" {
            lines += usize::from(!line.starts_with('#'));
            continue;
        }
        let is_code = !in_comment && !line.starts_with("/*") && !line.starts_with("//");
        lines += usize::from(is_code);
        in_comment = match (line.rfind("/*"), line.rfind("*/")) {
            (None, None) => in_comment,
            (opened, closed) => opened > closed,
        };
    }
    lines
}

#[test]
fn comments_and_blank_lines_are_no_code() {
    assert_eq!(lines_of_code("python", "# why\n\nx = 1  # one\n    # more\ny = 2\n"), 2);
    assert_eq!(lines_of_code("c", "/* why\n   and how */\n\nint x = 1; /* one */\n// more\n#include <y.h>\n"), 2);
    let page = "\n## Before and after\n\n```text\na\n```\n\n```python\nb\nc\n```\n\n```text\nd\n```\n\n## Next\n";
    assert_eq!(before_and_after(page), Some((1, 2)));
}

/// Each line of code on Tenure's side of the last table of docs/kernels.md stands in a block of the page that the tests
/// run, or in the example that it links.
#[test]
fn lines_beside_those_of_numba_are_tested() {
    let text = read("docs/kernels.md");
    let (_, section) = text.split_once("\n## 5. ").expect("the section has its number");
    let mut tested = read("examples/tiled_matmul/tiled_matmul.cu");
    blocks(&text).iter().filter(|(language, ..)| *language != "text").for_each(|(_, block, _)| tested += block);
    let cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split(" | ").nth(2));
    let lines: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(lines.len() >= 20, "the table was not recognised");
    let missing: Vec<&str> = lines.into_iter().filter(|line| !tested.contains(*line)).collect();
    assert!(missing.is_empty(), "in no tested block: {missing:?}");
}

/// Each numbered rule of docs/ownership.md has an example in C and one in Python.
#[test]
fn every_rule_has_both_examples() {
    let text = read("docs/ownership.md");
    let rules: Vec<&str> =
        text.split("\n## ").skip(1).filter(|rule| rule.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert!(rules.len() >= 13, "the rules were not recognised");
    for (at, rule) in rules.iter().enumerate() {
        let title = rule.lines().next().unwrap_or_default();
        assert!(title.starts_with(&format!("{}. ", at + 1)), "out of order: {title}");
        assert!(rule.contains("\n```c\n") && rule.contains("\n```python\n"), "not both examples: {title}");
    }
}

/// The whole program of a C block: the block itself, or a `main` around it, at whose end nothing may be leaked.
fn whole(block: &str) -> String {
    if block.contains("int main(") {
        return block.to_owned();
    }
    // Functions come first, before a line with dots; the rest is the body.
    let (functions, body) = block.split_once("/* ... */\n").unwrap_or(("", block));
    format!(
        "#include \"tenure.h\"\n#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
         #define OK(call) do {{ if ((TN_HERE, (call)) != TN_OK) {{ fprintf(stderr, \"%s\\n\", tn_last_error()); exit(1); }} }} while (0)\n\
         {functions}int main(void)\n{{\n{body}size_t left = 0;\nOK(tn_leaks(sizeof(tn_holder), 0, NULL, &left));\nassert(left == 0);\nreturn 0;\n}}\n"
    )
}

#[test]
fn dependencies_are_pinned_and_say_why() {
    let mut wrong = Vec::new();
    let manifests = [
        "Cargo.toml",
        "xtask/Cargo.toml",
        "xtask/bench/Cargo.toml",
        "xtask/header/Cargo.toml",
        "abi-check/Cargo.toml",
        "bindings/malloc/Cargo.toml",
        "bindings/python/Cargo.toml",
        "bindings/rust/Cargo.toml",
        "cuda-sim/Cargo.toml",
        "tests/fuzz/Cargo.toml",
        "tests/harness/Cargo.toml",
    ];
    // Two crates of a program that pin different versions of a third one cannot be built together.
    let published = ["Cargo.toml", "bindings/rust/Cargo.toml"];
    for manifest in manifests.into_iter().filter(|path| root().join(path).exists()) {
        let mut section = "";
        let mut before = "";
        let text = read(manifest);
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if section.contains("dependencies") && line.contains('=') && !line.starts_with('#') {
                let is_pinned = line.contains("\"=") || line.contains("path = ");
                let is_open = published.contains(&manifest) && !section.contains("dev-");
                if is_open && line.contains("\"=") && !line.contains("path = ") {
                    wrong.push(format!("{manifest}: programs of others need a lowest version, not '=': {line}"));
                } else if !is_open && !is_pinned {
                    wrong.push(format!("{manifest}: not pinned with '=': {line}"));
                }
                if !before.starts_with('#') {
                    wrong.push(format!("{manifest}: no line above that says why: {line}"));
                }
            }
            before = line;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unexpected_at_the_top_level() {
    const KNOWN: &[&str] = &[
        // The library.
        "Cargo.toml",
        "include",
        "src",
        "c-tests",
        "bindings",
        "command",
        "event-log",
        "static-check",
        "report-page",
        "README.md",
        // Tests, tools and documents.
        "tests",
        "benches",
        "examples",
        "docs",
        "xtask",
        "packaging",
        "abi",
        "abi-check",
        "cuda-sim",
        ".ci",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        // Files that tools expect there.
        "build.rs",
        "Cargo.lock",
        "cbindgen.toml",
        "rustfmt.toml",
        ".cargo",
        ".gitignore",
    ];
    if !root().join(".git").exists() {
        skip("an unpacked archive has no list of its files: there is no .git");
    }
    require(&["git"]);
    let text = output(Command::new("git").args(["ls-files"]).current_dir(root())).unwrap();
    let unknown: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|path| path.split('/').next()).filter(|name| !KNOWN.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
