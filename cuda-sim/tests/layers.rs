//! The layers of src/lib.rs: dependencies point down only, and no files use each other in a circle.

#[path = "../../tests/support/module_graph.rs"]
mod module_graph;

use module_graph::{Edge, ModuleGraph, module_graph};
use std::collections::BTreeMap;
use std::path::Path;

/// The folders of src, the lowest first.
const LAYERS: [&str; 6] = ["base", "memory", "state", "engine", "entry", "api"];

/// Types whose methods are written in several files: a call of such a method depends on the file that defines it.
const SPREAD_TYPES: [&str; 3] = ["Machine", "World", "Call"];

/// Methods of these types that have the name of a method of the standard library or of another type, so that a call
/// tells nothing.
const AMBIGUOUS_METHODS: [&str; 4] = ["new", "deref", "deref_mut", "wait"];

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of src can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name =
                    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the crate").display().to_string();
                found.push((name, std::fs::read_to_string(&path).expect("a source is text")));
            }
        }
    }
    found.sort();
    found
}

/// The methods of the spread types, with the files that define them.
fn methods(sources: &[(String, String)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (file, text) in sources {
        let mut inside = false;
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("impl") {
                let subject = head.trim_end_matches(" {").rsplit(' ').next().unwrap_or_default();
                inside = SPREAD_TYPES.contains(&subject.split('<').next().unwrap_or_default());
            } else if line == "}" {
                inside = false;
            }
            let declared = line.trim_start().trim_start_matches("pub ").strip_prefix("fn ").filter(|_| inside);
            if let Some(name) = declared.and_then(|rest| rest.split(['(', '<']).next())
                && !AMBIGUOUS_METHODS.contains(&name)
            {
                let other = found.insert(name.to_owned(), file.clone());
                assert_eq!(other, None, "two methods are called {name}: one in {file}");
            }
        }
    }
    found
}

/// The graph of the crate's files, by paths and by calls of methods.
fn graph() -> ModuleGraph {
    let sources = sources();
    let mut graph = module_graph("src", &sources);
    let methods = methods(&sources);
    assert!(methods.len() > 50, "the methods were not recognised: {methods:?}");
    for (file, text) in &sources {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for call in line.split('.').skip(1) {
                let name = call.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
                if let Some(to) = methods.get(name).filter(|_| call[name.len()..].starts_with('(')) {
                    let place = format!("{file}:{}", number + 1);
                    graph.add(Edge { from: file.clone(), to: to.clone(), place, path: format!(".{name}()") });
                }
            }
        }
    }
    graph
}

/// A file's layer: 0 is the lowest; `lib.rs`, which declares the folders, is above all.
fn layer_of(file: &str) -> Option<u32> {
    let Some((folder, _)) = file.strip_prefix("src/")?.split_once('/') else { return Some(LAYERS.len() as u32) };
    LAYERS.iter().position(|layer| *layer == folder).map(|at| at as u32)
}

#[test]
fn no_file_uses_a_higher_layer() {
    let upward = graph().upward(layer_of);
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let graph = graph();
    assert!(graph.edges.len() > 300, "the dependencies were not recognised: {} edges", graph.edges.len());
    assert!(graph.cycles().is_empty(), "{}", graph.describe_cycles());
}

#[test]
fn the_head_of_the_crate_shows_the_layers() {
    let (_, head) = sources().into_iter().find(|(file, _)| file == "src/lib.rs").expect("a crate has a root");
    let shown: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next()).collect();
    assert_eq!(shown, LAYERS.iter().rev().copied().collect::<Vec<_>>());
}
