//! Walks all paths of one function: calls of the library, of the program, and of others.

use crate::findings::Rule;
use crate::model::Role;
use crate::state::{Giving, Handle, Id, Life, Message, State, Value};
use crate::summary::{Effect, Summary, never_returns};
use crate::syntax::children;
use crate::walk::{Outcome, Walk};
use tree_sitter::Node;

/// What an array that was given still takes part in; docs/spec/ownership.md, OO-28.
const OF_GIVEN: [&str; 9] = [
    "tn_array_release",
    "tn_array_query",
    "tn_array_set_name",
    "tn_array_give",
    "tn_array_is_unique",
    "tn_array_why_not",
    "tn_array_holders",
    "tn_array_pool",
    "tn_array_overlap",
];

/// Calls that read the bytes of an array: the place of the argument.
const READS: [(&str, usize); 8] = [
    ("tn_array_borrow_read", 0),
    ("tn_read", 0),
    ("tn_array_copy", 0),
    ("tn_array_copy_to_host", 0),
    ("tn_array_copy_into", 0),
    ("tn_array_to_device", 0),
    ("tn_array_save_npy", 0),
    ("tn_array_save_npy_fd", 0),
];

/// Calls that write the bytes of an array.
const WRITES: [(&str, usize); 7] = [
    ("tn_array_borrow_write", 0),
    ("tn_write", 0),
    ("tn_array_split_write", 0),
    ("tn_array_copy_into", 1),
    ("tn_array_copy_from_host", 0),
    ("tn_array_fill", 0),
    ("tn_array_clear", 0),
];

/// Calls whose guard excludes others.
const OPENS: [&str; 4] = ["tn_array_borrow_read", "tn_array_borrow_write", "tn_read", "tn_write"];

/// Calls that read or write memory at an address of the program.
const COPIES: [&str; 3] = ["tn_array_copy_from_host", "tn_array_copy_to_host", "tn_array_import_host"];

/// The beginnings of the names of functions of the system that read or write memory.
const TOUCH: [&str; 6] = ["mem", "str", "fwrite", "fread", "qsort", "cblas_"];

/// Calls that make a handle on the same bytes, all of them.
const ALL_BYTES: [&str; 8] = [
    "tn_array_clone",
    "tn_array_reshape",
    "tn_array_ravel",
    "tn_array_transpose",
    "tn_array_permute",
    "tn_array_squeeze",
    "tn_array_expand",
    "tn_array_view_dtype",
];

/// Calls that leave the message of an earlier failure as it is.
const NO_MESSAGE: [&str; 6] = [
    "tn_version",
    "tn_status_name",
    "tn_last_error",
    "tn_stream_legacy",
    "tn_stream_per_thread",
    "tn_stream_of_thread",
];

/// How the status of a call is used.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Somehow.
    Used,
    /// Not at all.
    Ignored,
    /// Not at all, and a cast to void says so.
    Dropped,
}

impl Walk<'_> {
    pub(crate) fn call(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let wanted = (std::mem::replace(&mut self.outcome, Outcome::Any), std::mem::take(&mut self.is_expected));
        let Some(function) = node.child_by_field_name("function") else { return vec![(state, Value::Unknown)] };
        let arguments = node.child_by_field_name("arguments").map(children).unwrap_or_default();
        let name = self.text(function);
        let paths = if self.unit.model.function(name).is_some() {
            self.library(node, name, &arguments, state, wanted)
        } else {
            self.other(node, function, &arguments, state)
        };
        (self.outcome, self.is_expected) = (Outcome::Any, false);
        paths
    }

    /// The values of arguments. A status that is an argument is checked by the function that gets it.
    fn arguments(&mut self, function: &str, arguments: &[Node], state: State) -> Vec<(State, Vec<Value>)> {
        let is_error = |argument: &Node| argument.kind() != "field_expression" && self.is_error(*argument);
        let names_error = arguments.iter().any(is_error);
        let mut paths = vec![(state, Vec::new())];
        for argument in arguments {
            let is_status = self.status_call(*argument).is_some();
            let mut after = Vec::new();
            for (state, values) in paths {
                if is_status && function == "tn_status_name" {
                    // It is shown, so it is a failure.
                    (self.outcome, self.is_expected) = (Outcome::Failure, true);
                } else if is_status {
                    (self.outcome, self.is_expected) =
                        if names_error { (Outcome::Failure, true) } else { (Outcome::Success, false) };
                }
                // A list that the library reads owns nothing.
                let list = argument.child_by_field_name("value").filter(|_| {
                    argument.kind() == "compound_literal_expression" && self.unit.model.function(function).is_some()
                });
                let found = match list {
                    Some(list) => vec![(self.aggregate(list, state, false), Value::Unknown)],
                    None => self.evaluate(*argument, state),
                };
                for (state, value) in found {
                    let mut values = values.clone();
                    values.push(value);
                    after.push((state, values));
                }
                (self.outcome, self.is_expected) = (Outcome::Any, false);
            }
            paths = after;
        }
        paths
    }

    /// A function of the program, or of another library.
    fn other(&mut self, node: Node, function: Node, arguments: &[Node], state: State) -> Vec<(State, Value)> {
        let name = self.text(function);
        let state = if function.kind() == "identifier" { state } else { self.evaluate_all(function, state) };
        let summary = self.unit.functions.get(name).cloned();
        let is_variable = self.locals.contains_key(name) || function.kind() != "identifier";
        let mut paths = Vec::new();
        for (mut state, values) in self.arguments(name, arguments, state) {
            if !is_variable && never_returns(name, &self.unit.functions) {
                continue;
            }
            // What fails ends the process there.
            let ends_failed = summary.as_ref().is_some_and(|summary| summary.may_end_process);
            if ends_failed && values.contains(&Value::NonZero) {
                continue;
            }
            let mut gives = Vec::new();
            for (at, (argument, value)) in arguments.iter().zip(&values).enumerate() {
                let touches = match &summary {
                    Some(summary) => summary.parameters.get(at).is_some_and(|parameter| parameter.touches),
                    None => TOUCH.iter().any(|known| name.starts_with(known)),
                };
                if touches && !is_variable {
                    self.touch(&mut state, value, *argument);
                }
                let effect = effect_of(name, summary.as_ref(), at, is_variable);
                match (effect, value) {
                    (Effect::Ends, Value::Handle(id)) => self.end(&mut state, *id, *argument, node.start_byte(), false),
                    (Effect::Borrows, Value::Handle(id)) => self.check_use(&mut state, *id, name, *argument, false),
                    (Effect::Gives, Value::AddressOf(place)) => gives.push(place.clone()),
                    (Effect::Unknown, _) => state.escape(value),
                    (_, Value::AddressOf(place)) => state.escape_place(&place.clone()),
                    _ => {}
                }
                if effect == Effect::Unknown
                    && let Some(place) = self.place_of(*argument)
                {
                    // A struct by value, with the handles in it.
                    let inside = format!("{place}.");
                    let fields: Vec<Value> = state
                        .variables
                        .iter()
                        .filter(|(known, _)| known.starts_with(&inside))
                        .map(|(_, value)| value.clone())
                        .collect();
                    fields.iter().for_each(|value| state.escape(value));
                }
            }
            if gives.is_empty() {
                paths.push((state, Value::Unknown));
                continue;
            }
            let mut failed = state.clone();
            failed.has_failed = true;
            for place in gives {
                let kind = self.kind_of(&place).unwrap_or("tn_array").to_owned();
                self.make(&mut state, &place, &kind, node);
            }
            let has_status = summary.as_ref().is_some_and(|summary| summary.has_status);
            if has_status && self.use_of(node) == Use::Used {
                failed.message = Message::Fresh;
                paths.push((failed, Value::NonZero));
            }
            paths.push((state, Value::Int(0)));
        }
        paths
    }

    fn library(
        &mut self,
        node: Node,
        name: &str,
        arguments: &[Node],
        state: State,
        (outcome, is_expected): (Outcome, bool),
    ) -> Vec<(State, Value)> {
        let Some(function) = self.unit.model.function(name).cloned() else { return vec![(state, Value::Unknown)] };
        let use_of = self.use_of(node);
        let mut paths = Vec::new();
        for (mut state, values) in self.arguments(name, arguments, state) {
            if name == "tn_last_error"
                && let Message::Replaced(at) = state.message
            {
                let note = "this call can replace the message of the call that failed".to_owned();
                let message =
                    "the message may be that of another call: read it right after the call that failed".to_owned();
                self.report(Rule::MessageReplaced, node.start_byte(), message, vec![(at, note)]);
            }
            let mut ends = Vec::new();
            let mut ends_null = false;
            let mut used: Vec<Id> = Vec::new();
            for ((argument, value), role) in arguments.iter().zip(&values).zip(&function.roles) {
                match (role, value) {
                    (Role::Handle { nullable }, value) => {
                        if let Value::Handle(id) = value {
                            self.check_use(&mut state, *id, name, *argument, is_expected);
                            used.push(*id);
                        }
                        if !nullable && !is_expected {
                            self.note_null(value, *argument, name);
                        }
                    }
                    (Role::Handles, value) => {
                        for id in self.handles_in(value, *argument, &state) {
                            self.check_use(&mut state, id, name, *argument, is_expected);
                            used.push(id);
                        }
                    }
                    (Role::Ends, Value::Handle(id)) => ends.push((*id, *argument)),
                    (Role::Ends, value) => ends_null |= *value == Value::Int(0),
                    (Role::Plain, value) if COPIES.contains(&name) => self.touch(&mut state, value, *argument),
                    _ => {}
                }
            }
            self.conflicts(&mut state, name, arguments, &values, is_expected);
            if name == "tn_take" || name == "tn_enter" {
                self.check_taken(&mut state, &used, node, is_expected);
            }
            if self.unit.wants_sites
                && function.roles.iter().any(|role| matches!(role, Role::Makes(_)))
                && !self.sites.iter().any(|site| *site < node.start_byte())
            {
                let message = "no TN_HERE comes before this call, so messages cannot name its line".to_owned();
                self.report(Rule::NoCallSite, node.start_byte(), message, Vec::new());
            }
            if !NO_MESSAGE.contains(&name) {
                let may_fail = ends_null || self.unit.model.must_check(name);
                if use_of != Use::Used && may_fail {
                    Walk::replaces_message(&mut state, node.start_byte());
                }
            }
            if use_of == Use::Ignored && self.unit.model.must_check(name) {
                self.report(
                    Rule::StatusIgnored,
                    node.start_byte(),
                    format!("nothing looks at the status of {name}"),
                    Vec::new(),
                );
            }
            // What is ended has ended, whatever else fails.
            for (id, argument) in ends.iter().filter(|_| outcome != Outcome::Failure) {
                self.end(&mut state, *id, *argument, node.start_byte(), is_expected);
            }
            if !function.has_status {
                paths.push((state, Value::Unknown));
                continue;
            }
            if (use_of == Use::Used && outcome == Outcome::Any) || outcome == Outcome::Failure {
                let mut failed = state.clone();
                failed.has_failed = true;
                failed.message = Message::Fresh;
                paths.push((failed, Value::NonZero));
            }
            if outcome != Outcome::Failure {
                self.succeed(&mut state, node, name, &values, &function.roles, &used);
                if is_expected {
                    // What a call makes that should have failed is not followed.
                    let made = state.handles.values_mut().filter(|handle| handle.made == node.start_byte());
                    made.for_each(|handle| handle.is_owned = false);
                }
                paths.push((state, Value::Int(0)));
            }
        }
        paths
    }

    /// What a call that succeeds changes.
    fn succeed(&mut self, state: &mut State, node: Node, name: &str, values: &[Value], roles: &[Role], used: &[Id]) {
        let mut guard = None;
        for (value, role) in values.iter().zip(roles) {
            if let (Role::Makes(kind), Value::AddressOf(place)) = (role, value) {
                let id = self.make(state, &place.clone(), kind, node);
                if kind == "tn_borrow" {
                    guard = Some(id);
                }
                let array = used.first().copied();
                let root = array.map(|array| root_of(state, array));
                if let Some(made) = state.handles.get_mut(&id) {
                    match kind.as_str() {
                        "tn_borrow" if OPENS.contains(&name) => made.of = array,
                        "tn_promise" => made.of = array,
                        "tn_array" if ALL_BYTES.contains(&name) => made.root = root,
                        _ => {}
                    }
                    made.writes = WRITES.iter().any(|(known, _)| *known == name);
                }
                if kind == "tn_promise"
                    && let Some(array) = array.and_then(|array| state.handles.get_mut(&array))
                {
                    array.giving = Giving::Given(node.start_byte());
                }
            }
        }
        for (value, role) in values.iter().zip(roles) {
            if let (Role::Lends | Role::Writes, Value::AddressOf(place)) = (role, value) {
                state.escape_place(place);
                if let (Role::Lends, Some(guard)) = (role, guard) {
                    state.variables.insert(place.clone(), Value::Lent(guard));
                }
            }
        }
        if name == "tn_promise_cancel" {
            for promise in used {
                self.undo_give(state, *promise);
            }
        }
        if name == "tn_take" || name == "tn_enter" {
            for promise in used {
                if let Some(promise) = state.handles.get_mut(promise).filter(|used| used.kind == "tn_promise") {
                    promise.giving = Giving::Given(node.start_byte());
                }
            }
        }
    }

    /// The array of a promise is the giver's again, if the promise was not taken.
    fn undo_give(&mut self, state: &mut State, promise: Id) {
        let Some(promise) = state.handles.get(&promise).cloned() else { return };
        let Some(array) = promise.of.and_then(|array| state.handles.get_mut(&array)) else { return };
        match (promise.life, promise.giving) {
            (Life::Escaped, _) | (_, Giving::Unknown) => array.giving = Giving::Unknown,
            (_, Giving::No) => array.giving = Giving::No,
            _ => {}
        }
    }

    /// Puts a new handle into a variable.
    fn make(&mut self, state: &mut State, place: &str, kind: &str, call: Node) -> Id {
        let id = self.id(call.start_byte(), place);
        let old = state.variables.remove(place);
        if let Some(Value::Handle(old)) = old {
            self.lost(state, old, call.start_byte(), "its last variable gets another handle here");
        }
        state.forget(place);
        let handle = Handle {
            kind: kind.to_owned(),
            name: place.to_owned(),
            made: call.start_byte(),
            life: Life::Live,
            giving: Giving::No,
            is_owned: true,
            of: None,
            writes: false,
            root: None,
        };
        state.handles.insert(id, handle);
        state.variables.insert(place.to_owned(), Value::Handle(id));
        id
    }

    /// Ends a handle.
    fn end(&mut self, state: &mut State, id: Id, argument: Node, call: usize, is_expected: bool) {
        if state.handles.get(&id).is_some_and(|handle| handle.kind == "tn_promise") {
            self.undo_give(state, id);
        }
        let Some(handle) = state.handles.get_mut(&id) else { return };
        match handle.life {
            Life::Ended(at) => {
                if !is_expected {
                    handle.life = Life::Escaped;
                    let message = format!("{} was ended already", handle.name);
                    let notes = vec![(at, "it ended here".to_owned())];
                    self.report(Rule::EndedTwice, argument.start_byte(), message, notes);
                }
            }
            _ => handle.life = Life::Ended(call),
        }
    }

    /// Checks a handle that a call uses.
    fn check_use(&mut self, state: &mut State, id: Id, function: &str, argument: Node, is_expected: bool) {
        let Some(handle) = state.handles.get_mut(&id).filter(|_| !is_expected) else { return };
        if let Life::Ended(at) = handle.life {
            handle.life = Life::Escaped;
            let message = format!("{} is used after its end", handle.name);
            self.report(Rule::UsedAfterEnd, argument.start_byte(), message, vec![(at, "it ended here".to_owned())]);
            return;
        }
        let is_array = handle.kind == "tn_array" && handle.life == Life::Live;
        if let Giving::Given(at) = handle.giving
            && is_array
            && !OF_GIVEN.contains(&function)
            && self.unit.model.function(function).is_some()
        {
            handle.giving = Giving::Unknown;
            let message = format!("{} was given away: it can only be released", handle.name);
            self.report(
                Rule::UsedAfterGive,
                argument.start_byte(),
                message,
                vec![(at, "it was given here".to_owned())],
            );
        }
    }

    /// A promise can be taken once.
    fn check_taken(&mut self, state: &mut State, used: &[Id], call: Node, is_expected: bool) {
        for id in used.iter().filter(|_| !is_expected) {
            let Some(promise) = state.handles.get_mut(id).filter(|handle| handle.kind == "tn_promise") else {
                continue;
            };
            if let Giving::Given(at) = promise.giving {
                promise.giving = Giving::Unknown;
                let message = format!("the promise {} was taken already", promise.name);
                self.report(
                    Rule::UsedAfterGive,
                    call.start_byte(),
                    message,
                    vec![(at, "it was taken here".to_owned())],
                );
            }
        }
    }

    /// Notes whether a call gets a handle that nothing has made.
    fn note_null(&mut self, value: &Value, argument: Node, function: &str) {
        let is_null = *value == Value::Int(0);
        let name = self.text(argument);
        let message = || format!("{name} has no handle here, so {function} always fails");
        let entry = self.never_made.entry(argument.start_byte()).or_insert_with(|| (true, message()));
        entry.0 &= is_null;
    }

    /// The handles of a list argument: `&promise`, or a list that is written there.
    fn handles_in(&mut self, value: &Value, argument: Node, state: &State) -> Vec<Id> {
        let of = |value: Option<&Value>| match value {
            Some(Value::Handle(id)) => Some(*id),
            _ => None,
        };
        if let Value::AddressOf(place) = value {
            return of(state.variables.get(place)).into_iter().collect();
        }
        let list = argument.child_by_field_name("value").filter(|_| argument.kind() == "compound_literal_expression");
        let parts = list.map(children).unwrap_or_default();
        parts.into_iter().filter_map(|part| of(state.variables.get(&self.place_of(part)?))).collect()
    }

    /// Checks a call against the guards that are open on the same bytes.
    fn conflicts(&mut self, state: &mut State, name: &str, arguments: &[Node], values: &[Value], is_expected: bool) {
        if is_expected || arguments.iter().any(|argument| self.text(*argument).contains("TN_WRITE_COW")) {
            return;
        }
        let gives = matches!(name, "tn_array_give" | "tn_give");
        let uses = READS
            .iter()
            .map(|(known, at)| (*known, *at, false))
            .chain(WRITES.iter().map(|(known, at)| (*known, *at, true)));
        let mut found: Vec<(usize, bool)> =
            uses.filter(|(known, ..)| *known == name).map(|(_, at, writes)| (at, writes)).collect();
        if gives {
            found.push((0, true));
        }
        for (at, writes) in found {
            let Some(Value::Handle(array)) = values.get(at) else { continue };
            let root = root_of(state, *array);
            let is_same = |of: Id| if gives { of == *array } else { root_of(state, of) == root };
            let open = state.handles.values().find(|guard| {
                guard.kind == "tn_borrow"
                    && guard.life == Life::Live
                    && guard.of.is_some_and(is_same)
                    && (writes || guard.writes)
            });
            let Some(guard) = open.cloned() else { continue };
            let what = if gives {
                "is given"
            } else if writes {
                "is written"
            } else {
                "is read"
            };
            let how = if guard.writes { "writing" } else { "reading" };
            let array = state.handles.get(array).map(|array| array.name.clone()).unwrap_or_default();
            let message = format!("{array} {what} while the guard {} is open for {how}", guard.name);
            let notes = vec![(guard.made, "it was opened here".to_owned())];
            self.report(Rule::Conflict, arguments[at].start_byte(), message, notes);
        }
    }

    /// How the value of a call is used.
    fn use_of(&self, call: Node) -> Use {
        let mut node = call;
        while let Some(parent) = node.parent() {
            match parent.kind() {
                "expression_statement" => return Use::Ignored,
                "parenthesized_expression" | "extension_expression" => {}
                "cast_expression" => {
                    let to = parent.child_by_field_name("type").map(|named| self.text(named).trim());
                    return if to == Some("void") { Use::Dropped } else { Use::Used };
                }
                "comma_expression" => {
                    let is_last = parent.child_by_field_name("right") == Some(node);
                    if !is_last {
                        return Use::Ignored;
                    }
                }
                _ => return Use::Used,
            }
            node = parent;
        }
        Use::Used
    }
}

/// The handle that has all bytes of an array.
fn root_of(state: &State, array: Id) -> Id {
    state.handles.get(&array).and_then(|array| array.root).unwrap_or(array)
}

/// What a function does to an argument. Functions of the system that print do nothing to a handle.
fn effect_of(name: &str, summary: Option<&Summary>, at: usize, is_variable: bool) -> Effect {
    match summary {
        _ if is_variable => Effect::Unknown,
        Some(summary) => summary.parameters.get(at).map_or(Effect::Unknown, |parameter| parameter.effect),
        None if name.ends_with("printf") => Effect::Borrows,
        None => Effect::Unknown,
    }
}
