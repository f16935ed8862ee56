//! The layers of ARCHITECTURE.md: dependencies point down only, also within a layer, and only the modules that the
//! table names have `unsafe` code. The table is complete. Every exported function runs in the boundary and is short.

use crate::support::module_graph;
use crate::support::tools;
use module_graph::{Edge, ModuleGraph};
use std::path::Path;
use tenure_harness::test;
use tools::{code, files, is_word, read, without_tests};

/// Module, layer, and whether it may have unsafe code. The modules are in the order of their dependencies: each uses
/// only those above it.
const LAYERS: &[(&str, u32, bool)] = &[
    ("types", 0, false),
    ("error", 0, false),
    ("boundary", 0, false),
    ("arith", 0, false),
    ("options", 0, false),
    ("names", 0, false),
    ("flags", 0, false),
    ("lists", 0, false),
    ("sys", 1, true),
    ("arena", 1, true),
    ("thread", 1, true),
    ("cuda_driver", 1, true),
    ("cuda_compiler", 1, true),
    ("dtype", 2, false),
    ("layout", 2, false),
    ("region", 2, false),
    ("block_layout", 2, false),
    ("slots", 2, true),
    ("counted", 2, true),
    ("sites", 2, true),
    ("events", 2, true),
    ("copy_stats", 2, false),
    ("reclaim", 2, false),
    ("grow_unlocked", 2, false),
    ("gpu", 3, true),
    ("stream", 3, true),
    ("runner", 3, true),
    ("device", 3, true),
    ("pool", 4, true),
    ("blit", 4, true),
    ("device_copy", 4, true),
    ("address_index", 5, false),
    ("ledger", 5, true),
    ("array", 6, false),
    ("borrow", 6, false),
    ("promise", 6, false),
    ("transfer", 7, false),
    ("exchange", 7, true),
    ("kernels", 7, true),
    ("expr", 8, false),
    ("variable", 8, false),
    ("function", 8, false),
    ("mirror", 8, false),
    ("module", 8, true),
    ("launch", 8, true),
    ("plugin", 8, true),
    ("report", 9, false),
    ("background", 9, false),
    ("listen", 9, false),
    ("load", 9, true),
    ("unload", 9, true),
    ("ffi", 10, true),
];

/// Longest body of an exported function: conversions, one call, writing out.
const SHIM_LINES: usize = 20;

/// Functions that try a fast path first.
const FAST: &[&str] = &["tn_pool_allocate", "tn_pool_deallocate", "tn_pool_reallocate"];

/// Functions that cannot fail, so they need no boundary.
const UNFAILING: &[&str] = &[
    "tn_version",
    "tn_status_name",
    "tn_last_error",
    "tn_stream_legacy",
    "tn_stream_per_thread",
    "tn_stream_of_thread",
];

fn layer_of(module: &str) -> Option<(u32, bool)> {
    LAYERS.iter().find(|(name, ..)| *name == module).map(|(_, layer, has_unsafe)| (*layer, *has_unsafe))
}

/// The module at the root to which a file of `src` belongs; None for `lib.rs`.
fn module_of(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").expect("a file of src").iter().next().expect("a name").to_string_lossy();
    let name = first.trim_end_matches(".rs");
    (name != "lib").then(|| name.to_owned())
}

/// Whether the file is the whole module, or the head of its folder.
fn is_top(path: &Path) -> bool {
    path.iter().count() == 2 || path.ends_with("mod.rs") && path.iter().count() == 3
}

/// The dependencies among the files of `src` without tests.
fn graph() -> ModuleGraph {
    let files: Vec<(String, String)> =
        files("src", ".rs").iter().map(|path| (path.display().to_string(), read(path))).collect();
    module_graph::module_graph("src", &files)
}

/// The module at the root to which a file belongs; `lib` for the root itself.
fn top_module(file: &str) -> String {
    module_of(Path::new(file)).unwrap_or_else(|| "lib".to_owned())
}

#[test]
fn no_module_uses_one_below_it_in_the_table() {
    let position = |module: &str| match module {
        "lib" => Some(LAYERS.len() as u32),
        module => LAYERS.iter().position(|(name, ..)| *name == module).map(|at| at as u32),
    };
    assert!(LAYERS.is_sorted_by_key(|(_, layer, _)| layer), "the table is in the order of the layers");
    assert_eq!(graph().grouped(top_module).upward(position), [] as [String; 0]);
}

#[test]
fn lib_rs_lists_the_modules_in_the_order_of_the_table() {
    let lib = read("src/lib.rs");
    let listed: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, LAYERS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
}

/// Whether an edge is a parent's `pub use` of its child, which makes the child's names part of the parent's interface
/// and no more.
fn is_reexport(edge: &Edge) -> bool {
    let folder = edge.from.trim_end_matches(".rs").trim_end_matches("/mod");
    let Some(line) = edge.place.rsplit(':').next().and_then(|line| line.parse::<usize>().ok()) else { return false };
    let source = read(&edge.from);
    let lines: Vec<&str> = source.lines().collect();
    let mut at = line - 1;
    while at > 0 && !lines[at - 1].ends_with([';', '}']) && !lines[at - 1].is_empty() && !lines[at - 1].starts_with('#')
    {
        at -= 1;
    }
    let statement = lines[at].trim_start();
    edge.to.starts_with(&format!("{folder}/")) && statement.starts_with("pub") && statement.contains(" use ")
}

#[test]
fn the_files_of_a_module_depend_on_each_other_in_no_cycle() {
    let mut graph = graph();
    graph.edges.retain(|edge| top_module(&edge.from) == top_module(&edge.to) && !is_reexport(edge));
    assert!(graph.cycles().is_empty(), "{}", graph.describe_cycles());
}

#[test]
fn a_reexport_is_told_from_a_use() {
    let edges = graph().edges;
    let of = |from: &str, path: &str| {
        edges.iter().find(|edge| edge.from == from && edge.path == path).unwrap_or_else(|| panic!("{from}: {path}"))
    };
    assert!(is_reexport(of("src/stream/mod.rs", "self::point::Point")));
    assert!(is_reexport(of("src/transfer/mod.rs", "raw::copy_to_host")));
    assert!(!is_reexport(of("src/transfer/mod.rs", "operand::write_use")));
    assert!(!is_reexport(of("src/transfer/mod.rs", "crate::array::HOST")));
}

#[test]
fn unsafe_stands_only_where_the_table_says() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs") {
        let Some(module) = module_of(&path) else { continue };
        if is_top(&path) && layer_of(&module).is_some_and(|(_, has_unsafe)| !has_unsafe) {
            // A module below cannot lift `forbid`, so the compiler checks the rest.
            if !read(&path).contains("\n#![forbid(unsafe_code)]\n") {
                wrong.push(format!("{}: no #![forbid(unsafe_code)]", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rows of the layer table of ARCHITECTURE.md: layer, paths below `src`, and whether they may have unsafe code.
fn rows_of_the_map() -> Vec<(u32, Vec<String>, bool)> {
    let row = |line: &str| {
        let [layer, modules, _, has_unsafe] = line.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else {
            return None;
        };
        let layer = layer.trim().parse().ok()?;
        let named = modules.split('`').skip(1).step_by(2);
        let paths = named.flat_map(|name| match name.split_once('{') {
            None => vec![name.to_owned()],
            Some((folder, parts)) => {
                parts.trim_end_matches('}').split(',').map(|part| format!("{folder}{part}")).collect()
            }
        });
        Some((layer, paths.collect(), has_unsafe.trim() == "yes"))
    };
    read("ARCHITECTURE.md").lines().filter_map(row).collect()
}

#[test]
fn the_map_shows_every_module_where_it_is() {
    let rows = rows_of_the_map();
    let mut wrong = Vec::new();
    let mut shown = Vec::new();
    for (layer, paths, has_unsafe) in rows {
        for path in paths {
            let head = path.split('/').next().unwrap_or_default();
            if layer_of(head) != Some((layer, has_unsafe)) {
                wrong.push(format!(
                    "{path}: tests/repository/layers.rs has {:?}, the map layer {layer}",
                    layer_of(head)
                ));
            }
            let place = tools::root().join("src").join(&path);
            if !place.is_dir() && !place.with_extension("rs").is_file() {
                wrong.push(format!("{path}: neither a file nor a folder of src"));
            }
            shown.push(path);
        }
    }
    for (module, ..) in LAYERS {
        let parts: Vec<&str> = shown.iter().filter_map(|path| path.strip_prefix(module)?.strip_prefix('/')).collect();
        if parts.is_empty() && !shown.iter().any(|path| path == module) {
            wrong.push(format!("{module}: not on the map"));
        }
        if shown.iter().any(|path| path == module) {
            continue;
        }
        // A module whose parts are listed must be listed completely.
        for entry in std::fs::read_dir(tools::root().join("src").join(module)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
            if name != "mod" && !parts.contains(&name.as_str()) {
                wrong.push(format!("{module}/{name}: not on the map, which has the other parts"));
            }
        }
    }
    assert!(!shown.is_empty(), "the table of layers was not recognised");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The items of a file that have a body: the name by which the rest of the file uses an item (of a function, or of the
/// type of an `impl`), and its text.
fn items(source: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(end) = source[at..].find("\n}\n").map(|end| at + end + 3) {
        let text = &source[at..end];
        let head = text.lines().find(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.ends_with(';'));
        let name = head.and_then(|head| match head.strip_prefix("impl") {
            Some(rest) => rest.trim_end_matches(" {").rsplit(' ').next(),
            None => head.split("fn ").nth(1)?.split(|c| !is_word(c)).next(),
        });
        found.extend(name.map(|name| (name, text)));
        at = end;
    }
    found
}

/// Whether a function tries a fast path, which cannot panic, and leaves the rest to a slow path that runs in the
/// boundary: the function itself, or what it uses of its file.
fn goes_on_slow(source: &str, name: &str) -> bool {
    let items = items(source);
    let mut reached = vec![name];
    let mut next = 0;
    while let Some(user) = reached.get(next).copied() {
        next += 1;
        for (_, text) in items.iter().filter(|(name, _)| *name == user) {
            let words: Vec<&str> = text.split(|c| !is_word(c)).collect();
            let used = items.iter().map(|(name, _)| *name).filter(|name| words.contains(name));
            let new: Vec<&str> = used.filter(|name| !reached.contains(name)).collect();
            reached.extend(new);
        }
    }
    let enters = format!("enter(\"{name}\", ");
    let slow = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let inside = |at: usize| {
            lines[..at]
                .iter()
                .rfind(|line| line.contains("fn "))
                .is_some_and(|f| f.contains("_slow(") || f.contains("fn slow("))
        };
        (1..lines.len()).any(|at| lines[at].starts_with(&enters) && lines[at - 1].ends_with('{') && inside(at))
    };
    FAST.contains(&name) && items.iter().any(|(user, text)| reached.contains(user) && slow(text))
}

#[test]
fn every_exported_function_runs_in_the_boundary_and_is_short() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in files("src/ffi", ".rs") {
        let source = read(&path);
        let source = without_tests(&source);
        let code = code(source);
        let code_lines: Vec<&str> = code.lines().collect();
        let lines: Vec<&str> = source.lines().collect();
        for (at, line) in code_lines.iter().enumerate() {
            // `code` has blanks in place of the ABI string.
            let Some(name) = line.split("extern     fn ").nth(1).filter(|_| line.starts_with("pub ")) else { continue };
            let name: String = name.chars().take_while(|c| is_word(*c)).collect();
            seen += 1;
            if !lines[..at].iter().rev().take(3).any(|l| l.contains("no_mangle")) {
                wrong.push(format!("{name}: not exported"));
            }
            let open = code_lines[at..].iter().position(|l| l.ends_with('{')).map(|down| at + down);
            let close = open.and_then(|open| Some(open + code_lines[open..].iter().position(|l| *l == "}")?));
            let (Some(open), Some(close)) = (open, close) else {
                wrong.push(format!("{name}: not laid out as a function: `{{` ends a line, `}}` stands alone"));
                continue;
            };
            if close - open - 1 > SHIM_LINES {
                wrong.push(format!("{name}: {} lines, at most {SHIM_LINES}", close - open - 1));
            }
            let first = lines.get(open + 1).map_or("", |line| line.trim());
            let slow = goes_on_slow(source, &name);
            // A function whose signature another library defines returns that library's failure value.
            let boundary = if path.ends_with("allocators.rs") { ["enter", "answer"] } else { ["enter"; 2] };
            let entered = slow || boundary.iter().any(|enter| first.starts_with(&format!("{enter}(\"{name}\", ")));
            let ends = [")", "})", "});"].contains(&lines[close - 1].trim());
            if !UNFAILING.contains(&name.as_str()) && !(entered && (slow || ends || close == open + 2)) {
                wrong.push(format!("{name}: its body is not `enter(\"{name}\", ..)` alone"));
            }
        }
    }
    assert!(seen >= UNFAILING.len(), "the exported functions were not recognised");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
