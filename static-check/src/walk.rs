//! Walks all paths of one function: statements.
//!
//! A loop is walked at most twice. A `goto` forward is followed. Paths that know the same are merged. A function with
//! more than [`MOST_PATHS`] paths at one place is given up: what was found in it until then is kept.

use crate::findings::{Place, Rule};
use crate::model::Model;
use crate::preprocess::Source;
use crate::state::{Giving, Handle, Id, Life, Message, State, Value, merged};
use crate::summary::{Effect, Summary};
use crate::syntax::{Local, children, declarators, declared_name, is_function, local_of};
use std::collections::{BTreeMap, BTreeSet};
use tree_sitter::Node;

/// Paths at one place, above which small differences are dropped.
const MANY_PATHS: usize = 48;
/// Paths at one place, above which the function is given up.
const MOST_PATHS: usize = 192;

/// What a call's status is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Both are followed.
    Any,
    /// Other code checks it, and a failure is its business.
    Success,
    /// The program wants this failure.
    Failure,
}

/// What all functions of a file share.
pub(crate) struct Unit<'a> {
    pub model: &'a Model,
    pub source: &'a Source,
    pub functions: BTreeMap<String, Summary>,
    pub wants_sites: bool,
}

/// Paths that leave the statement, other than by its end.
#[derive(Default)]
struct Jumps {
    breaks: Vec<State>,
    continues: Vec<State>,
    gotos: BTreeMap<String, Vec<State>>,
}

/// A message, and notes with their offsets.
pub(crate) type Report = (String, Vec<(usize, String)>);

/// The walk through one function.
pub(crate) struct Walk<'a> {
    pub unit: &'a Unit<'a>,
    pub name: String,
    pub locals: BTreeMap<String, Local>,
    /// Variables whose status is compared with one of TN_ERR_*: the program knows that such a call can fail.
    pub expects: BTreeSet<String>,
    /// Variables with a status that is shown and never tested: the program shows a failure.
    pub shows: BTreeSet<String>,
    /// Calls whose status something reads on some path.
    pub read: BTreeSet<usize>,
    /// Calls whose status is dropped on some path, and the variable.
    pub dropped: BTreeMap<usize, String>,
    /// What is found: the rule and the offset; message and notes.
    pub found: BTreeMap<(Rule, usize), Report>,
    /// Uses of a handle by offset: on all paths without a value; the message.
    pub never_made: BTreeMap<usize, (bool, String)>,
    /// Offsets of `tn_here` in the function.
    pub sites: Vec<usize>,
    pub outcome: Outcome,
    /// Misuse is wanted in the call that comes next.
    pub is_expected: bool,
    pub is_too_large: bool,
    ids: BTreeMap<(usize, String), Id>,
    jumps: Jumps,
}

impl<'a> Walk<'a> {
    pub fn new(unit: &'a Unit<'a>, name: &str) -> Walk<'a> {
        Walk {
            unit,
            name: name.to_owned(),
            locals: BTreeMap::new(),
            expects: BTreeSet::new(),
            shows: BTreeSet::new(),
            read: BTreeSet::new(),
            dropped: BTreeMap::new(),
            found: BTreeMap::new(),
            never_made: BTreeMap::new(),
            sites: Vec::new(),
            outcome: Outcome::Any,
            is_expected: false,
            is_too_large: false,
            ids: BTreeMap::new(),
            jumps: Jumps::default(),
        }
    }

    pub fn text(&self, node: Node) -> &'a str {
        &self.unit.source.text[node.byte_range()]
    }

    /// The number of what is made at an offset and put into a variable.
    pub fn id(&mut self, offset: usize, place: &str) -> Id {
        let next = self.ids.len();
        *self.ids.entry((offset, place.to_owned())).or_insert(next)
    }

    pub fn report(&mut self, rule: Rule, offset: usize, message: String, notes: Vec<(usize, String)>) {
        self.found.entry((rule, offset)).or_insert((message, notes));
    }

    /// Whether the expression is one of TN_ERR_*, or a status that the program computes. What is compared with it may
    /// fail.
    pub fn is_error(&self, node: Node) -> bool {
        match node.kind() {
            "parenthesized_expression" => children(node).first().is_some_and(|inner| self.is_error(*inner)),
            "identifier" => {
                let name = self.text(node);
                name.starts_with("TN_ERR_") || self.locals.get(name).is_some_and(|local| local.base == "tn_status")
            }
            "call_expression" => {
                let name = node.child_by_field_name("function").map(|name| self.text(name)).unwrap_or_default();
                self.unit.functions.get(name).is_some_and(|summary| summary.has_status)
            }
            "field_expression" => true,
            _ => false,
        }
    }

    /// The kind of the handle that the variable can have.
    pub fn kind_of(&self, variable: &str) -> Option<&str> {
        let local = self.locals.get(variable)?;
        let is_handle = local.pointers == 1 && !local.is_array && self.unit.model.kinds.contains(&local.base);
        is_handle.then_some(local.base.as_str())
    }

    /// Walks a function's definition.
    pub fn function(&mut self, definition: Node, summary: &Summary) {
        let Some(body) = definition.child_by_field_name("body") else { return };
        let mut tested = BTreeSet::new();
        self.look_ahead(body, &mut tested);
        self.shows.retain(|name| !tested.contains(name));
        let mut state = State::new();
        for (at, parameter) in summary.parameters.iter().enumerate() {
            self.locals.insert(parameter.name.clone(), parameter.local.clone());
            let Some(kind) = self.kind_of(&parameter.name).map(str::to_owned) else { continue };
            let id = self.id(definition.start_byte() + at, &parameter.name);
            let handle = Handle {
                kind,
                name: parameter.name.clone(),
                made: parameter.offset,
                life: Life::Live,
                giving: Giving::No,
                is_owned: parameter.is_annotated && parameter.effect == Effect::Ends,
                of: None,
                writes: false,
                root: None,
            };
            state.handles.insert(id, handle);
            state.variables.insert(parameter.name.clone(), Value::Handle(id));
        }
        let ends = self.statements(body, vec![state]);
        for state in ends {
            self.leave(state, body.end_byte() - 1, &Value::Int(0));
        }
        for (call, name) in std::mem::take(&mut self.dropped) {
            if !self.read.contains(&call) {
                let message = format!("nothing looks at the status of this call, which {name} gets");
                self.report(Rule::StatusIgnored, call, message, Vec::new());
            }
        }
        let unmade: Vec<(usize, String)> = std::mem::take(&mut self.never_made)
            .into_iter()
            .filter(|(_, (on_all_paths, _))| *on_all_paths)
            .map(|(offset, (_, message))| (offset, message))
            .collect();
        for (offset, message) in unmade {
            self.report(Rule::NeverMade, offset, message, Vec::new());
        }
    }

    /// Notes what later parts of the function say of earlier ones.
    fn look_ahead(&mut self, node: Node, tested: &mut BTreeSet<String>) {
        if node.kind() == "identifier"
            && let Some(parent) = node.parent()
        {
            let name = self.text(node);
            let is_shown = parent.parent().is_some_and(|call| self.text(call).starts_with("tn_status_name("));
            let is_target =
                parent.child_by_field_name("left") == Some(node) && parent.kind() == "assignment_expression";
            if is_shown {
                self.shows.insert(name.to_owned());
            } else if !is_target && parent.child_by_field_name("declarator") != Some(node) {
                tested.insert(name.to_owned());
            }
        }
        if node.kind() == "binary_expression" {
            let sides = [node.child_by_field_name("left"), node.child_by_field_name("right")];
            if let [Some(left), Some(right)] = sides {
                for (one, other) in [(left, right), (right, left)] {
                    if self.text(other).starts_with("TN_ERR_") {
                        self.expects.insert(self.text(one).to_owned());
                    }
                }
            }
        }
        if node.kind() == "switch_statement"
            && self.text(node).contains("case TN_ERR_")
            && let Some(of) = node.child_by_field_name("condition")
        {
            self.expects.insert(self.text(of).trim_matches(['(', ')', ' ']).to_owned());
        }
        if node.kind() == "call_expression" && self.text(node).starts_with("tn_here") {
            self.sites.push(node.start_byte());
        }
        for child in children(node) {
            self.look_ahead(child, tested);
        }
    }

    /// The states without doubles, and few.
    fn few(&mut self, states: Vec<State>) -> Vec<State> {
        let mut states = merged(states);
        if states.len() > MANY_PATHS {
            for state in &mut states {
                state.decided.clear();
                state.variables.retain(|_, value| !matches!(value, Value::Int(_) | Value::NonZero));
            }
            states = merged(states);
        }
        if states.len() > MOST_PATHS {
            self.is_too_large = true;
            states.clear();
        }
        states
    }

    /// The statements of a block.
    fn statements(&mut self, block: Node, mut states: Vec<State>) -> Vec<State> {
        let mut declared = Vec::new();
        for statement in children(block) {
            if states.is_empty() && !self.has_label(statement) {
                continue;
            }
            if statement.kind() == "declaration" {
                for declarator in declarators(statement) {
                    declared.extend(declared_name(declarator).map(|name| self.text(name).to_owned()));
                }
            }
            let after = self.statement(statement, states);
            states = self.few(after);
        }
        let end = block.end_byte().saturating_sub(1);
        for state in &mut states {
            for name in &declared {
                self.drop_variable(state, name, end);
            }
        }
        states
    }

    /// A block that is part of an expression.
    pub fn block(&mut self, block: Node, states: Vec<State>) -> Vec<State> {
        self.statements(block, states)
    }

    fn has_label(&self, node: Node) -> bool {
        node.kind() == "labeled_statement" || children(node).into_iter().any(|child| self.has_label(child))
    }

    /// Walks a statement from each state.
    fn statement(&mut self, node: Node, states: Vec<State>) -> Vec<State> {
        if self.is_too_large {
            return Vec::new();
        }
        match node.kind() {
            "compound_statement" => self.statements(node, states),
            "declaration" => {
                let mut states = states;
                for declarator in declarators(node) {
                    states = states.into_iter().flat_map(|state| self.declare(node, declarator, state)).collect();
                }
                states
            }
            "if_statement" => {
                let Some(condition) = node.child_by_field_name("condition") else { return states };
                let (yes, no) = self.branches(condition, states);
                let mut after = match node.child_by_field_name("consequence") {
                    Some(then) => self.statement(then, yes),
                    None => yes,
                };
                after.extend(match node.child_by_field_name("alternative") {
                    Some(other) => self.statement(other, no),
                    None => no,
                });
                self.few(after)
            }
            "else_clause" => children(node).into_iter().fold(states, |states, child| self.statement(child, states)),
            "while_statement" | "do_statement" | "for_statement" => self.repeat(node, states),
            "switch_statement" => self.switch(node, states),
            "labeled_statement" => {
                let label = node.child_by_field_name("label").map(|label| self.text(label)).unwrap_or_default();
                let mut states = states;
                states.extend(self.jumps.gotos.remove(label).unwrap_or_default());
                let states = self.few(states);
                children(node).into_iter().skip(1).fold(states, |states, child| self.statement(child, states))
            }
            "goto_statement" => {
                let label = node.child_by_field_name("label").map(|label| self.text(label)).unwrap_or_default();
                self.jumps.gotos.entry(label.to_owned()).or_default().extend(states);
                Vec::new()
            }
            "break_statement" => {
                self.jumps.breaks.extend(states);
                Vec::new()
            }
            "continue_statement" => {
                self.jumps.continues.extend(states);
                Vec::new()
            }
            "return_statement" => {
                for state in states {
                    match children(node).first() {
                        Some(value) => {
                            for (state, value) in self.returned(*value, state) {
                                self.leave(state, node.start_byte(), &value);
                            }
                        }
                        None => self.leave(state, node.start_byte(), &Value::Unknown),
                    }
                }
                Vec::new()
            }
            "expression_statement" | "attributed_statement" => {
                let parts = children(node);
                states
                    .into_iter()
                    .flat_map(|state| {
                        parts.iter().fold(vec![state], |states, part| {
                            let walked = states.into_iter().flat_map(|state| self.evaluate(*part, state));
                            walked.map(|(state, _)| state).collect()
                        })
                    })
                    .collect()
            }
            "case_statement" | "function_definition" | "type_definition" | "comment" => states,
            _ => states.into_iter().map(|state| self.evaluate_all(node, state)).collect(),
        }
    }

    /// The value that a function returns: the caller has its handles from now on.
    fn returned(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let place = self.place_of(node);
        let mut after = self.evaluate(node, state);
        for (state, value) in &mut after {
            state.escape(&value.clone());
            if let Some(place) = &place {
                state.escape_place(place);
            }
        }
        after
    }

    fn branches(&mut self, condition: Node, states: Vec<State>) -> (Vec<State>, Vec<State>) {
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for state in states {
            let (then, otherwise) = self.branch(condition, state);
            yes.extend(then);
            no.extend(otherwise);
        }
        (self.few(yes), self.few(no))
    }

    fn repeat(&mut self, node: Node, states: Vec<State>) -> Vec<State> {
        let mut states = states;
        let initializer = node.child_by_field_name("initializer");
        if let Some(first) = initializer {
            states = if first.kind() == "declaration" {
                self.statement(first, states)
            } else {
                states.into_iter().flat_map(|state| self.evaluate(first, state)).map(|(state, _)| state).collect()
            };
        }
        let condition = node.child_by_field_name("condition");
        let outer = std::mem::take(&mut self.jumps);
        let mut exits = Vec::new();
        for round in 0..=2 {
            let (enter, leave) = match condition {
                Some(condition) if round > 0 || node.kind() != "do_statement" => self.branches(condition, states),
                _ => (states, Vec::new()),
            };
            exits.extend(leave);
            if round == 2 {
                break;
            }
            let mut after = match node.child_by_field_name("body") {
                Some(body) => self.statement(body, enter),
                None => enter,
            };
            after.append(&mut self.jumps.continues);
            exits.append(&mut self.jumps.breaks);
            if let Some(update) = node.child_by_field_name("update") {
                after =
                    after.into_iter().flat_map(|state| self.evaluate(update, state)).map(|(state, _)| state).collect();
            }
            states = self.few(after);
        }
        let gotos = std::mem::replace(&mut self.jumps, outer).gotos;
        for (label, states) in gotos {
            self.jumps.gotos.entry(label).or_default().extend(states);
        }
        let mut exits = self.few(exits);
        if let Some(first) = initializer.filter(|first| first.kind() == "declaration") {
            for declarator in declarators(first) {
                let Some(name) = declared_name(declarator) else { continue };
                for state in &mut exits {
                    state.variables.remove(self.text(name));
                    state.unread.remove(self.text(name));
                }
            }
        }
        exits
    }

    fn switch(&mut self, node: Node, states: Vec<State>) -> Vec<State> {
        let (Some(of), Some(body)) = (node.child_by_field_name("condition"), node.child_by_field_name("body")) else {
            return states;
        };
        let entered: Vec<(State, Value)> = states.into_iter().flat_map(|state| self.evaluate(of, state)).collect();
        let cases = children(body);
        let values: Vec<Option<Value>> = cases
            .iter()
            .map(|case| {
                let value = case.child_by_field_name("value")?;
                Some(self.constant(value))
            })
            .collect();
        let outer = std::mem::take(&mut self.jumps.breaks);
        let is_certain =
            |value: &Value, case: &Value| matches!((value, case), (Value::Int(a), Value::Int(b)) if a == b);
        let is_possible = |value: &Value, case: &Value| match (value, case) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::NonZero, Value::Int(b)) => *b != 0,
            _ => true,
        };
        let mut falling: Vec<State> = Vec::new();
        let mut has_default = false;
        for (case, label) in cases.iter().zip(&values) {
            if case.kind() != "case_statement" {
                falling = self.statement(*case, falling);
                continue;
            }
            has_default |= label.is_none();
            let enters = |value: &Value| match label {
                Some(label) => is_possible(value, label),
                None => !values.iter().flatten().any(|label| is_certain(value, label)),
            };
            falling.extend(entered.iter().filter(|(_, value)| enters(value)).map(|(state, _)| state.clone()));
            falling = self.few(falling);
            let skip = usize::from(label.is_some());
            for statement in children(*case).into_iter().skip(skip) {
                let after = self.statement(statement, falling);
                falling = self.few(after);
            }
        }
        let mut after = std::mem::replace(&mut self.jumps.breaks, outer);
        after.extend(falling);
        if !has_default {
            let none = |value: &Value| !values.iter().flatten().any(|label| is_certain(value, label));
            after.extend(entered.into_iter().filter(|(_, value)| none(value)).map(|(state, _)| state));
        }
        self.few(after)
    }

    /// A number, or a status by its name.
    fn constant(&mut self, node: Node) -> Value {
        let mut found = self.evaluate(node, State::new());
        found.pop().map_or(Value::Unknown, |(_, value)| value)
    }

    /// Declares a variable.
    fn declare(&mut self, declaration: Node, declarator: Node, state: State) -> Vec<State> {
        let Some(name) = declared_name(declarator) else { return vec![self.evaluate_all(declarator, state)] };
        let name = self.text(name);
        let base = declaration.child_by_field_name("type").map(|base| self.text(base)).unwrap_or_default();
        let is_outside = children(declaration)
            .iter()
            .any(|part| part.kind() == "storage_class_specifier" && matches!(self.text(*part), "static" | "extern"));
        let local = local_of(base, declarator);
        let mut state = state;
        if is_outside || is_function(declarator) {
            self.locals.remove(name);
            return vec![state];
        }
        self.drop_variable(&mut state, name, declarator.start_byte());
        self.locals.insert(name.to_owned(), local.clone());
        let Some(value) = declarator.child_by_field_name("value").filter(|_| declarator.kind() == "init_declarator")
        else {
            if self.kind_of(name).is_some() {
                state.variables.insert(name.to_owned(), Value::Int(0));
            }
            return vec![state];
        };
        if value.kind() == "initializer_list" || local.is_array {
            let keeps = self.unit.model.structs.contains(&local.base) && local.pointers == 0;
            return vec![self.aggregate(value, state, !keeps)];
        }
        self.expect(name);
        let after = self.evaluate(value, state);
        (self.outcome, self.is_expected) = (Outcome::Any, false);
        after
            .into_iter()
            .map(|(mut state, result)| {
                self.put(&mut state, name, result, value);
                state
            })
            .collect()
    }

    /// What the call whose status a variable gets is wanted to do.
    pub fn expect(&mut self, variable: &str) {
        self.is_expected |= self.expects.contains(variable);
        if self.shows.contains(variable) {
            (self.outcome, self.is_expected) = (Outcome::Failure, true);
        }
    }

    /// A variable ends, or is declared again.
    fn drop_variable(&mut self, state: &mut State, name: &str, offset: usize) {
        let inside = format!("{name}.");
        let reached: Vec<String> =
            state.variables.keys().filter(|known| *known == name || known.starts_with(&inside)).cloned().collect();
        for place in reached {
            let value = state.variables.remove(&place);
            if let Some(Value::Handle(id)) = value {
                self.lost(state, id, offset, "its last variable ends here");
            }
        }
        if let Some(call) = state.unread.remove(name) {
            self.dropped.insert(call, name.to_owned());
        }
        state.forget(name);
    }

    /// Puts a value into a variable.
    pub fn put(&mut self, state: &mut State, place: &str, value: Value, from: Node) {
        if let Some(call) = state.unread.remove(place) {
            self.dropped.insert(call, place.to_owned());
        }
        state.forget(place);
        let inside = format!("{place}.");
        state.variables.retain(|known, _| !known.starts_with(&inside));
        let old = state.variables.insert(place.to_owned(), value.clone());
        if let Some(Value::Handle(id)) = old
            && value != Value::Handle(id)
        {
            self.lost(state, id, from.start_byte(), "its last variable gets another value here");
        }
        if let Value::AddressOf(of) = &value {
            // Who writes through the pointer is not followed.
            state.escape_place(&of.clone());
            state.variables.insert(place.to_owned(), Value::Unknown);
        }
        if let Some(call) = self.status_call(from) {
            state.unread.insert(place.to_owned(), call.start_byte());
        }
    }

    /// The call of the library whose status the expression is.
    pub fn status_call<'t>(&self, node: Node<'t>) -> Option<Node<'t>> {
        match node.kind() {
            "parenthesized_expression" => self.status_call(children(node).into_iter().next()?),
            "call_expression" => {
                let name = self.text(node.child_by_field_name("function")?);
                self.unit.model.function(name).is_some_and(|function| function.has_status).then_some(node)
            }
            _ => None,
        }
    }

    /// Reports a handle that no variable has any more.
    pub fn lost(&mut self, state: &mut State, id: Id, offset: usize, how: &str) {
        if state.is_named(id) {
            return;
        }
        let Some(handle) = state.handles.get_mut(&id) else { return };
        if handle.life != Life::Live || !handle.is_owned {
            return;
        }
        handle.life = Life::Escaped;
        let (rule, what) = leak_of(handle);
        let (made, notes) = (handle.made, vec![(offset, how.to_owned())]);
        self.report(rule, made, what, notes);
    }

    /// A path leaves the function.
    fn leave(&mut self, mut state: State, offset: usize, value: &Value) {
        self.dropped.extend(std::mem::take(&mut state.unread).into_iter().map(|(name, call)| (call, name)));
        // A program that ends because something failed leaves the rest to the system.
        let fails = match value {
            Value::Int(0) => false,
            Value::Int(_) | Value::NonZero => true,
            _ => state.has_failed,
        };
        if self.name == "main" && fails {
            return;
        }
        let how =
            if state.has_failed { "this path, on which a call failed, leaves here" } else { "this path leaves here" };
        for handle in state.handles.values().filter(|handle| handle.life == Life::Live && handle.is_owned) {
            let (rule, what) = leak_of(handle);
            self.found.entry((rule, handle.made)).or_insert((what, vec![(offset, how.to_owned())]));
        }
    }

    /// The place of an offset.
    pub fn place(&self, offset: usize) -> Place {
        self.unit.source.place(offset)
    }

    /// The message of this thread's failure may be another call's from here on.
    pub fn replaces_message(state: &mut State, offset: usize) {
        if state.message == Message::Fresh {
            state.message = Message::Replaced(offset);
        }
    }
}

/// The rule and the words for a handle that is not ended.
fn leak_of(handle: &Handle) -> (Rule, String) {
    let name = &handle.name;
    match handle.kind.as_str() {
        "tn_borrow" => (Rule::NotEnded, format!("the guard {name} is not ended on every path: call tn_borrow_end")),
        "tn_scope" => (Rule::NotEnded, format!("the scope {name} is not left on every path: call tn_leave")),
        "tn_stream_scope" => {
            (Rule::NotEnded, format!("the scope {name} is not left on every path: call tn_stream_leave"))
        }
        "tn_promise" => {
            (Rule::PromiseLost, format!("the promise {name} is not released on every path: call tn_promise_release"))
        }
        kind => (Rule::NotReleased, format!("{name} is not released on every path: call {kind}_release")),
    }
}
