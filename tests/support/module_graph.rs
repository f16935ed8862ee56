//! Which files of a crate depend on which, read from the paths in their source, and the cycles among them.
//!
//! Contract: pure, and without dependencies, so that tests of any crate can include this file with `#[path]`. Every
//! path counts: `use` trees, inline paths (`crate::a::b()`, `super::c`, `$crate::d`), and paths that begin with an
//! imported module or a child module. `mod child;` alone is no dependency. Comments, strings and code under `cfg(test)`
//! do not count. Method calls and macros without a path are not resolved; `ModuleGraph::add` takes what a test finds by
//! other means.
//!
//! ```ignore
//! let graph = module_graph("src", &[("src/lib.rs".into(), text), ...]);
//! assert!(graph.cycles().is_empty(), "{}", graph.describe_cycles());             // among files
//! let folders = graph.grouped(|file| folder_of(file).to_owned());
//! assert!(folders.cycles().is_empty(), "{}", folders.describe_cycles());         // among folders
//! assert_eq!(graph.upward(|file| layer_of(file)), [] as [String; 0]);            // against a table of layers
//! ```
#![allow(dead_code, reason = "each test that includes this file uses its part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One file names something in another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// The file and line of the path, for messages: `src/a.rs:12`.
    pub place: String,
    /// The path as the source has it, with `use` trees flattened: `crate::b::c`.
    pub path: String,
}

/// The dependencies of a crate. Its nodes are files, or groups of files after `grouped`.
#[derive(Clone, Debug, Default)]
pub struct ModuleGraph {
    pub nodes: BTreeSet<String>,
    pub edges: Vec<Edge>,
}

/// Reads the dependencies of the crate whose `lib.rs` or `main.rs` is in the folder `root`. Each file is its path and
/// its text; files outside `root` and files that are modules under `cfg(test)` are left out.
pub fn module_graph(root: &str, files: &[(String, String)]) -> ModuleGraph {
    let mut modules = Modules::default();
    for (file, _) in files {
        if let Some(module) = module_of(root, file) {
            modules.files.insert(module, file.clone());
        }
    }
    let sources: Vec<(Vec<String>, &String, Source)> =
        files.iter().filter_map(|(file, text)| Some((module_of(root, file)?, file, Source::read(text)))).collect();
    for (module, file, source) in &sources {
        for test in &source.test_modules {
            modules.remove(module, file, test);
        }
    }
    let mut graph = ModuleGraph { nodes: modules.files.values().cloned().collect(), edges: Vec::new() };
    for (module, file, source) in sources.iter().filter(|(_, file, _)| graph.nodes.contains(*file)) {
        let paths = paths_of(module, &source.tokens);
        let imports = Imports::of(&paths, &modules);
        for path in &paths {
            let Some(to) = imports.resolve(path, &modules).filter(|to| to != file) else { continue };
            let place = format!("{file}:{}", path.line);
            graph.edges.push(Edge { from: (*file).clone(), to: to.clone(), place, path: path.segments.join("::") });
        }
    }
    graph.edges.sort();
    graph.edges.dedup();
    graph
}

impl ModuleGraph {
    /// The graph of groups of files (folders, layers). Edges within a group vanish.
    pub fn grouped(&self, group: impl Fn(&str) -> String) -> ModuleGraph {
        let moved = |edge: &Edge| Edge { from: group(&edge.from), to: group(&edge.to), ..edge.clone() };
        ModuleGraph {
            nodes: self.nodes.iter().map(|node| group(node)).collect(),
            edges: self.edges.iter().map(moved).filter(|edge| edge.from != edge.to).collect(),
        }
    }

    /// Adds a dependency that no path shows, such as a method call that the caller has resolved.
    pub fn add(&mut self, edge: Edge) {
        if edge.from != edge.to {
            self.edges.push(edge);
        }
    }

    /// The strongly connected components of more than one node: within each, every node depends on every other. Sorted.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let nodes: Vec<&String> = self.nodes.iter().collect();
        let index: BTreeMap<&String, usize> = nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let mut next = vec![Vec::new(); nodes.len()];
        for edge in &self.edges {
            if let (Some(from), Some(to)) = (index.get(&edge.from), index.get(&edge.to)) {
                next[*from].push(*to);
            }
        }
        let mut found: Vec<Vec<String>> = components(&next)
            .into_iter()
            .filter(|component| component.len() > 1)
            .map(|component| {
                let mut names: Vec<String> = component.into_iter().map(|at| nodes[at].clone()).collect();
                names.sort();
                names
            })
            .collect();
        found.sort();
        found
    }

    /// One text a cycle: its members, and its shortest loop with the source lines that make it.
    pub fn describe_cycles(&self) -> String {
        let mut text = String::new();
        for members in self.cycles() {
            text += &format!("{} in a cycle: {}\n", members.len(), members.join(" "));
            for edge in self.shortest_loop(&members) {
                text += &format!("    {} -> {} ({}: {})\n", edge.from, edge.to, edge.place, edge.path);
            }
        }
        text
    }

    /// The dependencies on a higher layer, as messages. `layer` gives the layer of a node, 0 the lowest; None: no such
    /// layer, a message too.
    pub fn upward(&self, layer: impl Fn(&str) -> Option<u32>) -> Vec<String> {
        let unknown = self.nodes.iter().filter(|node| layer(node).is_none()).map(|node| format!("{node}: in no layer"));
        let rising = self.edges.iter().filter_map(|edge| {
            let (from, to) = (layer(&edge.from)?, layer(&edge.to)?);
            (to > from).then(|| format!("{}: layer {from} uses {} of layer {to} ({})", edge.place, edge.to, edge.path))
        });
        unknown.chain(rising).collect()
    }

    fn shortest_loop(&self, members: &[String]) -> Vec<&Edge> {
        let inside: Vec<&Edge> =
            self.edges.iter().filter(|edge| members.contains(&edge.from) && members.contains(&edge.to)).collect();
        let loops = members.iter().filter_map(|start| {
            let mut came_by: BTreeMap<&String, &Edge> = BTreeMap::new();
            let mut queue = VecDeque::from([start]);
            while let Some(at) = queue.pop_front() {
                for edge in inside.iter().filter(|edge| edge.from == *at) {
                    if !came_by.contains_key(&edge.to) {
                        came_by.insert(&edge.to, edge);
                        queue.push_back(&edge.to);
                    }
                }
            }
            let mut back = vec![*came_by.get(start)?];
            while back.last().is_some_and(|edge| edge.from != *start) {
                back.push(came_by.get(&back.last()?.from)?);
            }
            back.reverse();
            Some(back)
        });
        loops.min_by_key(Vec::len).unwrap_or_default()
    }
}

/// Tarjan's algorithm: the strongly connected components of a graph given by its successors.
fn components(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    struct Walk<'a> {
        next: &'a [Vec<usize>],
        /// When a node was first visited, and the earliest node on the stack that it reaches.
        order: Vec<Option<usize>>,
        low: Vec<usize>,
        visited: usize,
        stack: Vec<usize>,
        found: Vec<Vec<usize>>,
    }
    impl Walk<'_> {
        fn visit(&mut self, node: usize) {
            self.order[node] = Some(self.visited);
            self.low[node] = self.visited;
            self.visited += 1;
            self.stack.push(node);
            for &successor in &self.next[node] {
                match self.order[successor] {
                    None => {
                        self.visit(successor);
                        self.low[node] = self.low[node].min(self.low[successor]);
                    }
                    Some(order) if self.stack.contains(&successor) => self.low[node] = self.low[node].min(order),
                    Some(_) => {}
                }
            }
            if self.order[node] == Some(self.low[node]) {
                let first = self.stack.iter().position(|on_stack| *on_stack == node).expect("pushed above");
                self.found.push(self.stack.split_off(first));
            }
        }
    }
    let size = next.len();
    let mut walk =
        Walk { next, order: vec![None; size], low: vec![0; size], visited: 0, stack: Vec::new(), found: Vec::new() };
    for node in 0..size {
        if walk.order[node].is_none() {
            walk.visit(node);
        }
    }
    walk.found
}

/// The module of a file, as its path from the crate's root: `src/a/mod.rs` and `src/a.rs` are `[a]`, `src/lib.rs` is
/// `[]`.
fn module_of(root: &str, file: &str) -> Option<Vec<String>> {
    let inside = file.strip_prefix(root)?.strip_prefix('/')?.strip_suffix(".rs")?;
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    match module.last().map(String::as_str) {
        Some("lib" | "main") if module.len() == 1 => module.clear(),
        Some("mod") => drop(module.pop()),
        _ => {}
    }
    Some(module)
}

/// The modules that are files.
#[derive(Default)]
struct Modules {
    files: BTreeMap<Vec<String>, String>,
}

impl Modules {
    /// The file of the deepest module on a path from the crate's root.
    fn deepest(&self, path: &[String]) -> Option<&String> {
        (0..=path.len()).rev().find_map(|depth| self.files.get(&path[..depth]))
    }

    fn is_module(&self, path: &[String]) -> bool {
        self.files.contains_key(path)
    }

    /// Takes a module under `cfg(test)` out, with its children.
    fn remove(&mut self, parent: &[String], parent_file: &str, test: &TestModule) {
        match &test.path {
            None => {
                let module = [parent, std::slice::from_ref(&test.name)].concat();
                self.files.retain(|path, _| !path.starts_with(&module));
            }
            Some(file) => {
                let folder = parent_file.rsplit_once('/').map_or("", |(folder, _)| folder);
                self.files.retain(|_, known| *known != format!("{folder}/{file}"));
            }
        }
    }
}

/// `#[cfg(test)] mod name;`, with the value of its `#[path]`.
struct TestModule {
    name: String,
    path: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    line: usize,
    /// A word, `::`, or one other character.
    text: String,
}

/// A file's code as tokens, without what is under `cfg(test)`.
struct Source {
    tokens: Vec<Token>,
    test_modules: Vec<TestModule>,
}

impl Source {
    fn read(text: &str) -> Source {
        let code = blanked(text);
        let mut tokens = Vec::new();
        let mut starts = Vec::new();
        let (mut at, mut line) = (0, 1);
        while at < code.len() {
            let length = match code[at] {
                b'\n' => {
                    line += 1;
                    0
                }
                byte if byte.is_ascii_whitespace() => 0,
                byte if is_word(byte) => code[at..].iter().take_while(|byte| is_word(**byte)).count(),
                b':' if code.get(at + 1) == Some(&b':') => 2,
                _ => 1,
            };
            if length > 0 {
                tokens.push(Token { line, text: String::from_utf8_lossy(&code[at..at + length]).into_owned() });
                starts.push(at);
            }
            at += length.max(1);
        }
        let mut source = Source { tokens: Vec::new(), test_modules: Vec::new() };
        let mut at = 0;
        while at < tokens.len() {
            let after = if is_test_attribute(&tokens[at..]) { end_of_item(&tokens, at) } else { at };
            if after == at {
                source.tokens.push(tokens[at].clone());
                at += 1;
                continue;
            }
            let item = &tokens[at..after];
            if let [.., module, name, end] = item
                && (module.text.as_str(), end.text.as_str()) == ("mod", ";")
            {
                let original = &text[starts[at]..starts[after - 1]];
                let path = original.split("#[path = \"").nth(1).and_then(|rest| rest.split('"').next());
                source.test_modules.push(TestModule { name: name.text.clone(), path: path.map(str::to_owned) });
            }
            at = after;
        }
        source
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Whether `#[cfg(test)]` or `#[cfg(all(test, ..` begins here.
fn is_test_attribute(tokens: &[Token]) -> bool {
    let begins = |wanted: &[&str]| {
        tokens.len() >= wanted.len() && tokens.iter().zip(wanted).all(|(token, wanted)| token.text == *wanted)
    };
    begins(&["#", "[", "cfg", "(", "test", ")"]) || begins(&["#", "[", "cfg", "(", "all", "(", "test", ","])
}

/// Where the item that starts here with its attributes is over: behind its `;` or its block.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                // `use a::{b, c};` goes on; a block is the end.
                if depth == 0 && tokens.get(at + 1).is_none_or(|next| next.text != ";") {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The bytes of a source with comments, strings and characters turned into spaces; every byte stays at its place.
fn blanked(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = match rest {
            [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => comment_length(rest),
            [b'"', ..] => string_length(rest),
            [b'r', b'"' | b'#', ..] if at == 0 || !is_word(bytes[at - 1]) || bytes[at - 1] == b'b' => {
                raw_string_length(rest)
            }
            [b'\'', ..] => character_length(rest),
            _ => 0,
        };
        for byte in &mut out[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length.max(1);
    }
    out
}

/// Block comments nest.
fn comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// 0 for a raw identifier, `r#name`.
fn raw_string_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = &rest[2 + hashes..];
    let end = body.windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| 2 + hashes + end + close.len())
}

/// 0 for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', _, tail @ ..] => tail.iter().position(|byte| *byte == b'\'').map_or(0, |end| end + 4),
        [_, first, ..] => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

/// A path in the source.
struct Path {
    line: usize,
    /// The module around it: the file's, or one in braces inside it.
    module: Vec<String>,
    segments: Vec<String>,
    /// The name that a `use` gives it, and whether this is a `use` at all.
    alias: Option<String>,
    imported: bool,
}

/// Every path of a file with two segments or more, and what its `use` lines import.
fn paths_of(file_module: &[String], tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut module = file_module.to_vec();
    // The depths of braces at which modules inside the file began.
    let (mut depth, mut inner) = (0, Vec::new());
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "mod" if text(at + 2) == "{" => {
                module.push(text(at + 1).to_owned());
                inner.push(depth);
                at += 2;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last() == Some(&depth) {
                    inner.pop();
                    module.pop();
                }
            }
            // `pub(in crate::a)` depends on nothing.
            "pub" if text(at + 1) == "(" => {
                at += tokens[at..].iter().position(|token| token.text == ")").unwrap_or(1);
            }
            "use" => {
                at = use_tree(tokens, at + 1, &module, &[], &mut found);
                continue;
            }
            word if starts_path(word) && text(at + 1) == "::" && starts_here(tokens, at) => {
                let mut segments = vec![word.to_owned()];
                let line = tokens[at].line;
                while text(at + 1) == "::" && text(at + 2).bytes().next().is_some_and(is_word) {
                    segments.push(text(at + 2).to_owned());
                    at += 2;
                }
                found.push(Path { line, module: module.clone(), segments, alias: None, imported: false });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn starts_path(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| is_word(byte) && !byte.is_ascii_digit())
}

/// Whether no path or field access leads to this word. `$crate` begins a path.
fn starts_here(tokens: &[Token], at: usize) -> bool {
    at == 0 || !matches!(tokens[at - 1].text.as_str(), "::" | ".")
}

/// Reads one level of a `use` tree from `at` on; where the tree is over.
fn use_tree(tokens: &[Token], mut at: usize, module: &[String], prefix: &[String], found: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map_or(";", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let mut alias = None;
    let mut grouped = false;
    loop {
        match text(at) {
            "{" => {
                grouped = true;
                at += 1;
                while text(at) != "}" && text(at) != ";" {
                    at = use_tree(tokens, at, module, &segments, found);
                    if text(at) == "," {
                        at += 1;
                    }
                }
            }
            "as" => {
                at += 1;
                alias = Some(text(at).to_owned());
            }
            "," | "}" | ";" => break,
            "::" | "$" => {}
            word => segments.push(word.to_owned()),
        }
        at += 1;
    }
    if !grouped && !segments.is_empty() {
        // `use a::{self}` imports `a`.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let line = tokens.get(at.saturating_sub(1)).map_or(0, |token| token.line);
        found.push(Path { line, module: module.to_vec(), segments, alias, imported: true });
    }
    at
}

/// The modules that a file's `use` lines bring into scope.
struct Imports {
    named: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl Imports {
    fn of(paths: &[Path], modules: &Modules) -> Imports {
        let mut imports = Imports { named: BTreeMap::new(), globs: Vec::new() };
        for path in paths.iter().filter(|path| path.imported) {
            let (Some(mut target), Some(last)) = (absolute(path, modules), path.segments.last()) else { continue };
            if last == "*" {
                target.pop();
                imports.globs.push(target);
            } else if modules.is_module(&target) {
                imports.named.insert(path.alias.as_ref().unwrap_or(last).clone(), target);
            }
        }
        imports
    }

    /// The file that a path leads to, if it leads into this crate.
    fn resolve<'a>(&self, path: &Path, modules: &'a Modules) -> Option<&'a String> {
        if let Some(target) = absolute(path, modules) {
            return modules.deepest(&target);
        }
        let (head, rest) = path.segments.split_first()?;
        let from_glob = || {
            let children = self.globs.iter().map(|glob| [glob.as_slice(), std::slice::from_ref(head)].concat());
            children.into_iter().find(|child| modules.is_module(child))
        };
        let base = self.named.get(head).cloned().or_else(from_glob)?;
        modules.deepest(&[base, rest.to_vec()].concat())
    }
}

/// The path from the crate's root, where the source says it: from `crate`, `self`, `super`, or a child module on.
fn absolute(path: &Path, modules: &Modules) -> Option<Vec<String>> {
    let mut base = path.module.clone();
    let mut rest = path.segments.as_slice();
    match rest.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" | "super" => {
            while let Some(head) = rest.first().filter(|head| matches!(head.as_str(), "self" | "super")) {
                if head == "super" {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        head => {
            if !modules.is_module(&[base.as_slice(), &[head.to_owned()]].concat()) {
                return None;
            }
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> ModuleGraph {
        let files: Vec<(String, String)> =
            files.iter().map(|(file, text)| (format!("src/{file}.rs"), (*text).to_owned())).collect();
        module_graph("src", &files)
    }

    /// The edges as `a>b`, by the files' names.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let short = |file: &str| file.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        let mut found: Vec<String> =
            graph(files).edges.iter().map(|edge| format!("{}>{}", short(&edge.from), short(&edge.to))).collect();
        found.dedup();
        found
    }

    #[test]
    fn every_way_to_name_a_module_is_an_edge() {
        let ways = [
            "use crate::b::Thing;",
            "use crate::{c, b::{self, Other}};",
            "use crate::b as other;",
            "pub use super::b::*;",
            "fn f() -> crate::b::Thing { todo!() }",
            "macro_rules! m { () => { $crate::b::thing() } }",
            "use crate::{c, b}; fn f() { b::thing(); }",
            "mod inner { use super::super::b; }",
            "fn f() { let x: &'static str = \"\"; let y = '\"'; crate::b::f(x, y) }",
        ];
        for way in ways {
            let found = edges(&[("a", way), ("b", ""), ("c", "")]);
            assert!(found.contains(&"a>b".to_owned()), "{way}: {found:?}");
        }
    }

    #[test]
    fn a_path_through_an_imported_or_child_module_leads_to_the_deepest_file() {
        assert_eq!(
            edges(&[("a", "use crate::b; fn f() { b::c::d() }"), ("b/mod", ""), ("b/c", "")]),
            ["a>b/c", "a>b/mod"]
        );
        assert_eq!(edges(&[("b/mod", "mod c; fn f() { c::d() }"), ("b/c", "")]), ["b/mod>b/c"]);
        assert_eq!(edges(&[("a", "use crate::b::*; fn f() { c::d() }"), ("b", ""), ("b/c", "")]), ["a>b", "a>b/c"]);
    }

    #[test]
    fn comments_strings_and_tests_make_no_edge() {
        let none = [
            "// use crate::b;",
            "/* /* crate::b::x */ crate::b::y */",
            "const A: &str = \"crate::b::x\"; const B: &str = r#\"crate::b::x\"\"#;",
            "pub(in crate::b) struct X;",
            "mod b;",
            "#[cfg(test)] mod tests { use crate::b; }",
            "#[cfg(all(test, not(loom)))] use crate::{b};",
            "use std::b::c; fn f() { other::b::c(); x.b::<u8>(); }",
        ];
        for text in none {
            assert_eq!(edges(&[("a", text), ("b", "")]), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn files_that_are_tests_are_left_out() {
        let files = [("a", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"), ("b_tests", "use crate::a;")];
        assert_eq!(edges(&files), [] as [&str; 0]);
        let files = [("a/mod", "#[cfg(test)]\nmod tests;"), ("a/tests", "use crate::c;"), ("c", "")];
        assert_eq!(edges(&files), [] as [&str; 0]);
        assert_eq!(graph(&files).nodes.len(), 2);
    }

    #[test]
    fn cycles_are_found_whole_and_shown_by_their_shortest_loop() {
        let files = [
            ("a", "use crate::b;"),
            ("b", "use crate::c;\nuse crate::d;"),
            ("c", "use crate::a;"),
            ("d", "use crate::b; use crate::e;"),
            ("e", ""),
        ];
        let graph = graph(&files);
        assert_eq!(graph.cycles(), [["src/a.rs", "src/b.rs", "src/c.rs", "src/d.rs"]]);
        let text = graph.describe_cycles();
        assert!(text.contains("src/b.rs -> src/d.rs (src/b.rs:2: crate::d)"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn groups_and_layers_are_checked_like_files() {
        let files = [("a/x", "use crate::b::y;"), ("b/y", ""), ("b/z", "use crate::a::w;"), ("a/w", "")];
        let graph = graph(&files);
        assert!(graph.cycles().is_empty());
        let folders = graph.grouped(|file| file.split('/').nth(1).unwrap_or_default().to_owned());
        assert_eq!(folders.cycles(), [["a", "b"]]);
        let upward = graph.upward(|file| Some(u32::from(file.starts_with("src/a"))));
        assert_eq!(upward, ["src/b/z.rs:1: layer 0 uses src/a/w.rs of layer 1 (crate::a::w)"]);
        assert_eq!(graph.upward(|_| None).len(), 4);
    }
}
