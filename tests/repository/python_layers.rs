//! The layers of the Python package's native half: dependencies point down only, and no files depend on each other in a
//! cycle.

use crate::support::module_graph;
use module_graph::{ModuleGraph, module_graph};
use std::path::Path;
use tenure_harness::test;

const SOURCE: &str = "bindings/python/src";

/// Folders and files of the crate, from the lowest layer to the highest. The head of `lib.rs` describes them.
const LAYERS: &[&[&str]] = &[
    &["sys"],
    &["api"],
    &["base"],
    &["values"],
    &["handles"],
    &["elements"],
    &["exchange"],
    &["operations"],
    &["lib"],
];

/// The file or folder below `SOURCE` that a file belongs to: `api` for `api.rs` and for `api/cuda.rs`.
fn part_of(file: &str) -> &str {
    let inside = file.strip_prefix(SOURCE).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

fn layer_of(file: &str) -> Option<u32> {
    let part = part_of(file);
    LAYERS.iter().position(|layer| layer.contains(&part)).map(|layer| layer as u32)
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Adds the Rust files below a folder of the repository, each as its path and its text.
fn add_files(folder: &str, files: &mut Vec<(String, String)>) {
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).read_dir().expect("the folder is there") {
        let entry = entry.expect("the folder can be listed");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            add_files(&path, files);
        } else if path.ends_with(".rs") {
            let text = read(&path);
            files.push((path, text));
        }
    }
}

fn graph() -> ModuleGraph {
    // `lib.rs` includes the declarations of the Rust crate as a module by its path.
    let mut files = vec![(format!("{SOURCE}/sys.rs"), read("bindings/rust/src/sys.rs"))];
    add_files(SOURCE, &mut files);
    module_graph(SOURCE, &files)
}

#[test]
fn no_layer_of_the_python_crate_uses_a_higher_one() {
    let graph = graph();
    assert!(graph.edges.len() > 100, "only {} dependencies were read", graph.edges.len());
    assert_eq!(graph.upward(layer_of), [] as [String; 0]);
}

#[test]
fn files_of_the_python_crate_have_no_cycles() {
    let graph = graph();
    assert!(graph.cycles().is_empty(), "{}", graph.describe_cycles());
}

#[test]
fn the_head_of_the_python_crate_shows_its_layers() {
    let source = read(&format!("{SOURCE}/lib.rs"));
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let shown: Vec<Vec<String>> = rows
        .map(|row| {
            let names = row.split('|').next().unwrap_or_default().split(',');
            let mut names: Vec<String> =
                names.map(|name| name.trim_matches([' ', '`']).trim_end_matches(".rs").to_owned()).collect();
            names.sort();
            names
        })
        .collect();
    let wanted: Vec<Vec<String>> = LAYERS
        .iter()
        .rev()
        .map(|layer| {
            let mut names: Vec<String> = layer.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        })
        .collect();
    assert_eq!(shown, wanted, "the table in {SOURCE}/lib.rs and LAYERS differ");
}
