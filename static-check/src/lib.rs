//! Finds misuse of Tenure's handles in C programs without running them.
//!
//! Contract: reads the text after preprocessing, so macros are what they expand to; knows the functions of the library
//! from `abi/api.json`; walks all paths of each function of the program, with what each path knows of statuses and
//! handles. It reports what is wrong on some path, and nothing where it does not know: a handle that other code may
//! have is out of its sight. The rules are those of `docs/spec/static-checks.md`.
//!
//! | module | what |
//! |---|---|
//! | `model` | what each function of the library does to handles |
//! | `preprocess` | the expanded text, and where its lines come from |
//! | `summary` | what the program's own functions do to handles |
//! | `syntax` | parts of C's grammar |
//! | `state` | what is known on one path |
//! | `walk`, `evaluate`, `calls` | the walk: statements, expressions, calls |
//! | `attributes` | clang's analysis of the header's attributes |
//! | `project` | the files to check, and how they are compiled |
//! | `findings`, `output` | what is reported, and as what: text of a compiler, SARIF |
#![forbid(unsafe_code)]

pub mod attributes;
mod calls;
mod evaluate;
mod findings;
mod model;
pub mod output;
pub mod preprocess;
pub mod project;
mod state;
mod summary;
mod syntax;
mod walk;

pub use findings::{Finding, Place, Rule, sorted};
pub use model::Model;

use preprocess::Source;
use tree_sitter::{Node, Parser};
use walk::{Unit, Walk};

/// What was found in a file.
pub struct Checked {
    /// The findings, sorted.
    pub findings: Vec<Finding>,
    /// The functions that were walked.
    pub functions: usize,
    /// Calls of the library in them.
    pub calls: usize,
    /// Functions that were given up, and why.
    pub given_up: Vec<(Place, String)>,
}

/// Checks a preprocessed file. `wants_sites`: what is made needs a TN_HERE before it (SC-11).
pub fn check(model: &Model, source: &Source, wants_sites: bool) -> Checked {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_c::LANGUAGE.into()).expect("the grammar fits the parser that Cargo.toml pins");
    let tree = parser.parse(&source.text, None).expect("the parser has a language and no time limit");
    let (functions, definitions) = summary::summaries(tree.root_node(), &source.text, model);
    let unit = Unit { model, source, functions, wants_sites };
    let mut checked = Checked { findings: Vec::new(), functions: 0, calls: 0, given_up: Vec::new() };
    for (name, definition) in definitions {
        let calls = library_calls(definition, &unit);
        // A function without a word of the library has no handles.
        if !source.text[definition.byte_range()].contains("tn_") {
            continue;
        }
        if definition.has_error() {
            checked.given_up.push((source.place(definition.start_byte()), format!("{name}: not parsed")));
            continue;
        }
        let mut walk = Walk::new(&unit, &name);
        walk.function(definition, &unit.functions[&name]);
        checked.functions += 1;
        checked.calls += calls;
        if walk.is_too_large {
            checked.given_up.push((source.place(definition.start_byte()), format!("{name}: too many paths")));
        }
        for ((rule, offset), (message, notes)) in &walk.found {
            let notes = notes.iter().map(|(offset, text)| (walk.place(*offset), text.clone())).collect();
            checked.findings.push(Finding {
                rule: rule.id(),
                rank: rule.rank(),
                place: walk.place(*offset),
                message: message.clone(),
                notes,
            });
        }
    }
    checked.findings.retain(|finding| !output::is_allowed(finding));
    checked.findings = sorted(checked.findings);
    checked
}

/// The number of calls of the library.
fn library_calls(node: Node, unit: &Unit) -> usize {
    let is_call = node.kind() == "call_expression"
        && node
            .child_by_field_name("function")
            .is_some_and(|function| unit.model.function(&unit.source.text[function.byte_range()]).is_some());
    usize::from(is_call) + syntax::children(node).into_iter().map(|child| library_calls(child, unit)).sum::<usize>()
}
