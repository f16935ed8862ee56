//! The layers of ARCHITECTURE.md: dependencies point down only, unsafe stands only where the table says so, the table shows what is there,
//! and every exported function runs in the boundary and stays short.

#[path = "support/module_graph.rs"]
mod module_graph;
mod tools;

use std::path::Path;
use tools::{code, files, is_word, read, without_tests};

/// Module, layer, may it have unsafe code. Use within a layer is free.
const LAYERS: &[(&str, u32, bool)] = &[
    ("types", 0, false),
    ("error", 0, false),
    ("boundary", 0, false),
    ("arith", 0, false),
    ("options", 0, false),
    ("names", 0, false),
    ("flags", 0, false),
    ("sys", 1, true),
    ("thread", 1, true),
    ("dtype", 2, false),
    ("layout", 2, false),
    ("region", 2, false),
    ("slots", 2, true),
    ("copy_stats", 2, false),
    ("reclaim", 2, false),
    ("grow_unlocked", 2, false),
    ("device", 3, true),
    ("stream", 3, true),
    ("pool", 4, true),
    ("runner", 3, true),
    ("blit", 4, true),
    ("device_copy", 4, true),
    ("ledger", 5, true),
    ("address_index", 5, false),
    ("array", 6, false),
    ("borrow", 6, false),
    ("promise", 6, false),
    ("transfer", 7, false),
    ("exchange", 7, true),
    ("kernels", 7, true),
    ("expr", 8, false),
    ("plugin", 8, true),
    ("report", 9, false),
    ("ffi", 10, true),
];

/// Longest body of an exported function, in lines: conversions, one call, writing out.
const SHIM_LINES: usize = 20;

/// These try a quick way first.
const QUICK: &[&str] = &["tn_pool_allocate", "tn_pool_deallocate", "tn_pool_reallocate"];

/// These cannot fail, so they need no boundary.
const UNFAILING: &[&str] = &["tn_version", "tn_status_name", "tn_last_error"];

fn layer_of(module: &str) -> Option<(u32, bool)> {
    LAYERS.iter().find(|(name, ..)| *name == module).map(|(_, layer, has_unsafe)| (*layer, *has_unsafe))
}

/// The module at the root to which a file of `src` belongs; none for `lib.rs`.
fn module_of(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").expect("a file of src").iter().next().expect("a name").to_string_lossy();
    let name = first.trim_end_matches(".rs");
    (name != "lib").then(|| name.to_owned())
}

/// Is the file the whole module, or the head of its folder?
fn is_top(path: &Path) -> bool {
    path.iter().count() == 2 || path.ends_with("mod.rs") && path.iter().count() == 3
}

/// The names that stand behind `crate::`, also in a list in braces. `super::` in the head of a module is the same.
fn used_modules(code: &str, at_root: bool) -> Vec<String> {
    let mut found = Vec::new();
    let roots: &[&str] = if at_root { &["crate::", "super::"] } else { &["crate::"] };
    for root in roots {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(is_word) {
                continue;
            }
            let rest = code[at + root.len()..].trim_start();
            match rest.strip_prefix('{') {
                None => found.push(rest.chars().take_while(|c| is_word(*c)).collect()),
                Some(list) => found.extend(heads(list)),
            }
        }
    }
    found
}

/// First names of the entries of a braced list, up to its closing brace.
fn heads(list: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut word = Some(String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(word.take());
                word = Some(String::new());
            }
            // `b::c` and `e as f` are over after the first name.
            ':' if depth == 0 => found.extend(word.take()),
            c if depth == 0 && c.is_whitespace() && word.as_ref().is_some_and(|w| !w.is_empty()) => {
                found.extend(word.take());
            }
            c if depth == 0 && is_word(c) => {
                if let Some(word) = &mut word {
                    word.push(c);
                }
            }
            _ => {}
        }
    }
    found.extend(word);
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn no_module_uses_a_higher_layer() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs") {
        let Some(module) = module_of(&path) else { continue };
        let Some((layer, _)) = layer_of(&module) else {
            wrong.push(format!("{}: module {module} stands in no layer; add it to tests/layers.rs", path.display()));
            continue;
        };
        let source = read(&path);
        let at_root = is_top(&path);
        for used in used_modules(&code(without_tests(&source)), at_root) {
            match layer_of(&used) {
                Some((other, _)) if other > layer => {
                    wrong.push(format!("{}: layer {layer} uses crate::{used} of layer {other}", path.display()));
                }
                Some(_) => {}
                None => wrong.push(format!("{}: crate::{used} stands in no layer", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn used_modules_sees_every_way_to_name_one() {
    let code = "use crate::{a, b::{c, d}, e as f};\nuse crate::g::*;\nfn x() { crate::h::y(); supercrate::z(); }\nuse super::i;";
    assert_eq!(used_modules(code, true), ["a", "b", "e", "g", "h", "i"].map(str::to_owned));
    assert_eq!(used_modules(code, false).len(), 5);
}

#[test]
fn unsafe_stands_only_where_the_table_says() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs") {
        let Some(module) = module_of(&path) else { continue };
        if is_top(&path) && layer_of(&module).is_some_and(|(_, has_unsafe)| !has_unsafe) {
            // `forbid` cannot be lifted further down, so the compiler does the rest.
            if !read(&path).contains("\n#![forbid(unsafe_code)]\n") {
                wrong.push(format!("{}: no #![forbid(unsafe_code)]", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row of the layer table of ARCHITECTURE.md: layer, paths below `src`, may they have unsafe code.
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
                wrong.push(format!("{path}: tests/layers.rs has {:?}, the map layer {layer}", layer_of(head)));
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
        // What is shown by its parts alone is shown whole.
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

/// What stands at the margin of a file with a body: the name by which the rest of the file uses it (a function's, or that of the type which
/// an `impl` is for), and its text.
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

/// Whether a function tries a quick way, which cannot panic, and leaves the rest to another one that runs in the boundary: it, or what it
/// uses of its file.
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
        let inside =
            |at: usize| lines[..at].iter().rfind(|line| line.contains("fn ")).is_some_and(|f| f.contains("slowly("));
        (1..lines.len()).any(|at| lines[at].starts_with(&enters) && lines[at - 1].ends_with('{') && inside(at))
    };
    QUICK.contains(&name) && items.iter().any(|(user, text)| reached.contains(user) && slow(text))
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
            // The text of the ABI is blanked in `code`.
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
            let entered = slow || first.starts_with(&format!("enter(\"{name}\", "));
            let ends = [")", "})"].contains(&lines[close - 1].trim());
            if !UNFAILING.contains(&name.as_str()) && !(entered && (slow || ends || close == open + 2)) {
                wrong.push(format!("{name}: its body is not `enter(\"{name}\", ..)` alone"));
            }
        }
    }
    assert!(seen >= UNFAILING.len(), "the exported functions were not recognised");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn probe() {
    let files: Vec<(String, String)> = files("src", ".rs").iter().map(|p| (p.display().to_string(), read(p))).collect();
    let graph = module_graph::module_graph("src", &files);
    let g =
        graph.grouped(|f| f.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs").to_owned());
    println!("MODULES\n{}", g.describe_cycles());
    for c in g.cycles() {
        for e in &g.edges {
            if c.contains(&e.from) && c.contains(&e.to) {
                println!("  {} -> {} {} {}", e.from, e.to, e.place, e.path);
            }
        }
    }
    println!("FILES\n{}", graph.describe_cycles());
    for c in graph.cycles() {
        println!("== {}", c.join(" "));
        for e in &graph.edges {
            if c.contains(&e.from) && c.contains(&e.to) {
                println!("  {} -> {} {} {}", e.from, e.to, e.place, e.path);
            }
        }
    }
}
