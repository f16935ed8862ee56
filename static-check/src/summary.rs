//! What the program's own functions do to the handles that they get: by their annotations, else by their bodies.

use crate::model::{Model, Role};
use crate::syntax::{Local, children, declared_name, local_of};
use std::collections::BTreeMap;
use tree_sitter::Node;

/// What a function does to an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Uses it until it returns: TN_BORROWS, or a body that passes it to such functions only.
    Borrows,
    /// Ends it: TN_TAKES, TN_ENDS, or a body that always does.
    Ends,
    /// Writes a handle that the caller ends, if it returns TN_OK: TN_GIVES.
    Gives,
    /// Not known.
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub name: String,
    pub local: Local,
    pub offset: usize,
    pub effect: Effect,
    pub is_annotated: bool,
    /// Reads or writes memory at the address; assumed of functions whose body is elsewhere.
    pub touches: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub parameters: Vec<Parameter>,
    /// Returns a tn_status.
    pub has_status: bool,
    /// Never returns.
    pub ends_process: bool,
    /// Has a path that ends the process.
    pub may_end_process: bool,
}

/// Functions of the system that do not return.
const NEVER_RETURN: [&str; 17] = [
    "exit",
    "_exit",
    "_Exit",
    "quick_exit",
    "abort",
    "__assert_fail",
    "__assert_rtn",
    "__assert",
    "__builtin_unreachable",
    "__builtin_trap",
    "longjmp",
    "siglongjmp",
    "pthread_exit",
    "err",
    "errx",
    "verr",
    "verrx",
];

/// The function that a node declares: its declarator, if it is one.
fn function_declarator(node: Node) -> Option<Node> {
    if node.kind() == "function_declarator" {
        let inner = node.child_by_field_name("declarator")?;
        return match inner.kind() {
            "identifier" => Some(node),
            _ => function_declarator(inner),
        };
    }
    children(node).into_iter().filter(|child| child.kind().ends_with("declarator")).find_map(function_declarator)
}

/// All functions that the text declares or defines, by name, and the definitions in their order.
pub(crate) fn summaries<'t>(
    root: Node<'t>,
    text: &str,
    model: &Model,
) -> (BTreeMap<String, Summary>, Vec<(String, Node<'t>)>) {
    let mut known: BTreeMap<String, Summary> = BTreeMap::new();
    let mut definitions = Vec::new();
    let mut pending = vec![root];
    let mut functions = Vec::new();
    while let Some(node) = pending.pop() {
        for child in children(node).into_iter().rev() {
            match child.kind() {
                "function_definition" | "declaration" => functions.push(child),
                "linkage_specification" | "declaration_list" | "preproc_if" | "ERROR" => pending.push(child),
                _ => {}
            }
        }
    }
    functions.sort_by_key(|node| node.start_byte());
    for node in functions {
        let Some(declarator) = function_declarator(node) else { continue };
        let Some(name) = declared_name(declarator).map(|name| text[name.byte_range()].to_owned()) else { continue };
        let body = node.child_by_field_name("body").filter(|_| node.kind() == "function_definition");
        let head = &text[node.start_byte()..body.map_or(node.end_byte(), |body| body.start_byte())];
        let mut summary = known.remove(&name).unwrap_or_default();
        let parameters = parameters(declarator, text, head);
        if summary.parameters.len() == parameters.len() {
            for (old, new) in summary.parameters.iter_mut().zip(parameters) {
                let (effect, is_annotated) = (old.effect, old.is_annotated);
                *old = new;
                if is_annotated {
                    (old.effect, old.is_annotated) = (effect, true);
                }
            }
        } else {
            summary.parameters = parameters;
        }
        let base = node.child_by_field_name("type").map(|base| &text[base.byte_range()]).unwrap_or_default();
        summary.has_status = base == "tn_status";
        summary.ends_process |= head.contains("noreturn") || head.contains("_Noreturn");
        if let Some(body) = body {
            summary.ends_process |= ends_process(body, text, &known);
            summary.may_end_process = summary.ends_process || calls_end(body, text, &known);
            for parameter in &mut summary.parameters {
                parameter.touches = touches(body, &parameter.name, text, &known);
                let is_handle = parameter.local.pointers == 1 && model.kinds.contains(&parameter.local.base);
                if is_handle && !parameter.is_annotated {
                    parameter.effect = effect_in(body, &parameter.name, text, model, &known);
                }
            }
            definitions.push((name.clone(), node));
        }
        known.insert(name, summary);
    }
    (known, definitions)
}

fn parameters(declarator: Node, text: &str, head: &str) -> Vec<Parameter> {
    let Some(list) = declarator.child_by_field_name("parameters") else { return Vec::new() };
    let compact: String = head.split_whitespace().collect();
    let says = |words: &str| compact.contains(words);
    let found = children(list).into_iter().filter(|child| child.kind() == "parameter_declaration");
    found
        .map(|parameter| {
            let inner = parameter.child_by_field_name("declarator");
            let name = inner.and_then(declared_name).map(|name| text[name.byte_range()].to_owned()).unwrap_or_default();
            let base = parameter.child_by_field_name("type").map(|base| &text[base.byte_range()]).unwrap_or_default();
            let local = match inner {
                Some(inner) => local_of(base, inner),
                None => Local { base: base.to_owned(), pointers: 0, is_array: false },
            };
            let effect = if name.is_empty() {
                Effect::Unknown
            } else if says(&format!("((release_capability({name}))")) {
                Effect::Ends
            } else if says(&format!("((requires_capability({name}))")) {
                Effect::Borrows
            } else if says(&format!("((try_acquire_capability(0,*{name}))")) {
                Effect::Gives
            } else {
                Effect::Unknown
            };
            let is_annotated = effect != Effect::Unknown;
            Parameter { name, local, offset: parameter.start_byte(), effect, is_annotated, touches: true }
        })
        .collect()
}

/// Whether a function ends the process.
pub(crate) fn never_returns(name: &str, known: &BTreeMap<String, Summary>) -> bool {
    match known.get(name) {
        Some(summary) => summary.ends_process,
        None => NEVER_RETURN.contains(&name),
    }
}

/// Whether the last statement of the block ends the process.
fn ends_process(body: Node, text: &str, known: &BTreeMap<String, Summary>) -> bool {
    let Some(last) = children(body).into_iter().last().filter(|last| last.kind() == "expression_statement") else {
        return false;
    };
    let call = children(last).into_iter().next().filter(|call| call.kind() == "call_expression");
    let name = call.and_then(|call| call.child_by_field_name("function"));
    name.is_some_and(|name| never_returns(&text[name.byte_range()], known)) && !has_return(body)
}

fn has_return(node: Node) -> bool {
    node.kind() == "return_statement" || children(node).into_iter().any(has_return)
}

/// Whether a call in the body ends the process.
fn calls_end(node: Node, text: &str, known: &BTreeMap<String, Summary>) -> bool {
    let is_end = node.kind() == "call_expression"
        && node.child_by_field_name("function").is_some_and(|name| never_returns(&text[name.byte_range()], known));
    is_end || children(node).into_iter().any(|child| calls_end(child, text, known))
}

/// What the body does to a handle that it gets.
fn effect_in(body: Node, name: &str, text: &str, model: &Model, known: &BTreeMap<String, Summary>) -> Effect {
    let mut uses = Vec::new();
    let mut pending = vec![body];
    while let Some(node) = pending.pop() {
        if node.kind() == "identifier" && &text[node.byte_range()] == name {
            uses.push(node);
        }
        pending.extend(children(node));
    }
    let effects: Vec<Effect> = uses.into_iter().map(|node| effect_of_use(node, body, text, model, known)).collect();
    if effects.contains(&Effect::Unknown) {
        Effect::Unknown
    } else if effects.contains(&Effect::Ends) {
        Effect::Ends
    } else {
        Effect::Borrows
    }
}

fn effect_of_use(node: Node, body: Node, text: &str, model: &Model, known: &BTreeMap<String, Summary>) -> Effect {
    let Some(mut parent) = node.parent() else { return Effect::Unknown };
    let mut argument = node;
    if parent.kind() == "pointer_expression" && text[parent.byte_range()].starts_with('&') {
        argument = parent;
        let Some(next) = parent.parent() else { return Effect::Unknown };
        parent = next;
    }
    let is_address = argument != node;
    if parent.kind() == "argument_list" {
        let at = children(parent).iter().position(|child| *child == argument);
        let call = parent.parent().and_then(|call| call.child_by_field_name("function").map(|name| (call, name)));
        let (Some(at), Some((call, function))) = (at, call) else { return Effect::Unknown };
        let function = &text[function.byte_range()];
        let effect = if let Some(model) = model.function(function) {
            match model.roles.get(at) {
                Some(Role::Handle { .. }) if !is_address => Effect::Borrows,
                Some(Role::Handles) => Effect::Borrows,
                Some(Role::Ends) if !is_address => Effect::Ends,
                _ => Effect::Unknown,
            }
        } else {
            let parameter = known.get(function).and_then(|summary| summary.parameters.get(at));
            parameter.map_or(Effect::Unknown, |parameter| parameter.effect)
        };
        // What ends it must do so on every path: a statement of the body itself.
        if effect == Effect::Ends && !is_statement_of(call, body) {
            return Effect::Unknown;
        }
        return if effect == Effect::Gives { Effect::Unknown } else { effect };
    }
    match parent.kind() {
        "binary_expression" if !is_address => Effect::Borrows,
        "unary_expression" if !is_address => Effect::Borrows,
        _ => Effect::Unknown,
    }
}

/// Whether the body reads or writes memory at the address in a variable, or copies the address.
fn touches(node: Node, name: &str, text: &str, known: &BTreeMap<String, Summary>) -> bool {
    let is_name = |node: Node| &text[node.byte_range()] == name;
    if node.kind() == "identifier" && is_name(node) {
        let Some(parent) = node.parent() else { return false };
        return match parent.kind() {
            "binary_expression" => !matches!(
                parent.child_by_field_name("operator").map(|operator| &text[operator.byte_range()]),
                Some("==" | "!=" | "<" | ">" | "<=" | ">=" | "&&" | "||")
            ),
            "unary_expression" | "parenthesized_expression" => false,
            "cast_expression" => text[parent.byte_range()].split(')').next().is_some_and(|to| to.contains('*')),
            "argument_list" => {
                let at = children(parent).iter().position(|child| *child == node).unwrap_or_default();
                let function = parent.parent().and_then(|call| call.child_by_field_name("function"));
                let function = function.map(|function| &text[function.byte_range()]).unwrap_or_default();
                let parameter = known.get(function).and_then(|summary| summary.parameters.get(at));
                parameter.map_or(!function.ends_with("printf") && !function.starts_with("tn_"), |known| known.touches)
            }
            _ => true,
        };
    }
    children(node).into_iter().any(|child| touches(child, name, text, known))
}

/// Whether the expression is part of a statement that the body always reaches, if nothing returns before.
fn is_statement_of(expression: Node, body: Node) -> bool {
    let mut node = expression;
    while let Some(parent) = node.parent() {
        if parent == body {
            return matches!(node.kind(), "expression_statement" | "declaration" | "return_statement");
        }
        node = parent;
    }
    false
}
