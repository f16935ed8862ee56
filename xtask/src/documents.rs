//! Documents of the installed tree: which files it has, and what becomes of their links.
//!
//! Promise: a document has the path below `share/doc/tenure` that it has in the repository, so relative links between
//! documents hold. A link to a file that only the source tree has becomes its text. `tests/repository/docs.rs` uses
//! this module too.

use std::path::{Component, Path, PathBuf};

/// Files and folders of the repository that are installed as documents.
pub const INSTALLED: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "abi/api.json",
    "abi/api.schema.json",
    "benches/record",
    "bindings/cpp/README.md",
    "bindings/fortran",
    "bindings/go",
    "bindings/handover",
    "bindings/java",
    "bindings/malloc/README.md",
    "bindings/malloc/exports.txt",
    "bindings/node/README.md",
    "bindings/node/example",
    "bindings/node/index.d.ts",
    "bindings/node/index.js",
    "bindings/node/library.js",
    "bindings/node/package.json",
    "bindings/node/tenure_c.d.ts",
    "bindings/node/tenure_c.js",
    "bindings/r",
    "bindings/zig",
    "cuda-sim/README.md",
    "docs/allocators.md",
    "docs/announcement.md",
    "docs/bindings.md",
    "docs/borrowing.md",
    "docs/command.md",
    "docs/concepts.md",
    "docs/cookbook",
    "docs/cookbook.md",
    "docs/copies.md",
    "docs/cuda.md",
    "docs/event-log.md",
    "docs/from-numpy.md",
    "docs/handle.svg",
    "docs/index.md",
    "docs/install.md",
    "docs/interop.md",
    "docs/kernels.md",
    "docs/migration",
    "docs/operations.md",
    "docs/ownership.md",
    "docs/performance",
    "docs/performance.md",
    "docs/porting.md",
    "docs/processes.md",
    "docs/python-threads.md",
    "docs/quickstart-c.md",
    "docs/quickstart-python.md",
    "docs/report",
    "docs/report.schema.json",
    "docs/scaling.md",
    "docs/seeing.md",
    "docs/simulator-peers.md",
    "docs/soak.svg",
    "docs/stability.md",
    "docs/static-checks.md",
    "examples",
];

/// Files that installed documents link and only the source tree has.
pub const SOURCE_ONLY: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/logs/README.md",
    "bindings/cpp/tests/refused.cpp",
    "bindings/rust/README.md",
    "cuda-sim/include/tenure_sim.h",
    "docs/spec/README.md",
    "docs/spec/static-checks.md",
    "include/tenure.h",
    "static-check/programs/planted.c",
    "static-check/programs/warned.cpp",
];

/// The text of a page in which a link stays only if `keep` accepts its target, a path in the repository.
pub fn keep_links(page: &str, text: &str, keep: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(close) = rest.find("](") {
        let after = &rest[close + 2..];
        let end = after.find(')').unwrap_or(after.len());
        let dropped = target(page, &after[..end]).is_some_and(|path| !keep(&path));
        match rest[..close].rfind('[').filter(|_| dropped) {
            Some(open) => {
                kept += &rest[..open];
                kept += &rest[open + 1..close];
                rest = after.get(end + 1..).unwrap_or_default();
            }
            None => {
                kept += &rest[..close + 2];
                rest = after;
            }
        }
    }
    kept + rest
}

/// The links of the pages below `folder` that lead to no file.
pub fn dangling_links(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut dangling = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(listed) = folders.pop() {
        for entry in std::fs::read_dir(listed)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                let page = path.strip_prefix(folder).expect("listed below the folder").to_string_lossy().into_owned();
                let targets = relative_links(&page, &std::fs::read_to_string(&path)?);
                let missing = targets.into_iter().filter(|target| !folder.join(target).exists());
                dangling.extend(missing.map(|target| format!("{page} links {target}, which is not there")));
            }
        }
    }
    dangling.sort();
    Ok(dangling)
}

/// The paths in the repository that a page links, outside of code.
pub fn relative_links(page: &str, text: &str) -> Vec<String> {
    // Every second part is code, also between lines of three backticks.
    let text: String = text.split('`').step_by(2).collect();
    let links = text.split("](").skip(1).filter_map(|link| link.split(')').next());
    links.filter_map(|link| target(page, link)).collect()
}

/// The path in the repository that a page's link leads to, if it leads to a file.
fn target(page: &str, link: &str) -> Option<String> {
    let path = link.split('#').next().filter(|path| !path.is_empty())?;
    // A lambda in a block of C++ looks like a link, but a link has no spaces.
    if path.contains("://") || path.starts_with("mailto:") || path.contains(char::is_whitespace) {
        return None;
    }
    let mut found = PathBuf::new();
    for part in Path::new(page).parent()?.join(path).components() {
        match part {
            Component::Normal(name) => found.push(name),
            // A link out of the tree keeps its `..`, so that no file is found for it.
            Component::ParentDir if !found.pop() => found.push(part),
            _ => {}
        }
    }
    Some(found.to_string_lossy().into_owned())
}
