//! Walks all paths of one function: expressions and conditions.

use crate::findings::Rule;
use crate::state::{Life, State, Value};
use crate::syntax::children;
use crate::walk::{Outcome, Walk};
use tree_sitter::Node;

impl Walk<'_> {
    /// The paths through an expression, each with its value.
    pub(crate) fn evaluate(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        match node.kind() {
            "identifier" => {
                let mut state = state;
                let value = self.read(node, &mut state);
                vec![(state, value)]
            }
            "number_literal" => vec![(state, number(self.text(node)))],
            "null" | "false" => vec![(state, Value::Int(0))],
            "true" => vec![(state, Value::Int(1))],
            "string_literal"
            | "char_literal"
            | "concatenated_string"
            | "sizeof_expression"
            | "alignof_expression"
            | "offsetof_expression"
            | "comment" => vec![(state, Value::Unknown)],
            "parenthesized_expression" | "extension_expression" => match children(node).first() {
                Some(inner) if inner.kind() == "compound_statement" => {
                    self.block(*inner, vec![state]).into_iter().map(|state| (state, Value::Unknown)).collect()
                }
                Some(inner) => self.evaluate(*inner, state),
                None => vec![(state, Value::Unknown)],
            },
            "cast_expression" => {
                let Some(inner) = node.child_by_field_name("value") else { return vec![(state, Value::Unknown)] };
                let is_pointer = node.child_by_field_name("type").is_some_and(|to| self.text(to).contains('*'));
                let mut paths = self.evaluate(inner, state);
                for (_, value) in &mut paths {
                    // An address as a number is compared or shown, not used.
                    if !is_pointer && matches!(value, Value::Lent(_)) {
                        *value = Value::Unknown;
                    }
                }
                paths
            }
            "comma_expression" => {
                let parts = children(node);
                let mut paths = vec![(state, Value::Unknown)];
                for part in parts {
                    paths = paths.into_iter().flat_map(|(state, _)| self.evaluate(part, state)).collect();
                }
                paths
            }
            "assignment_expression" => self.assignment(node, state),
            "update_expression" => {
                let mut state = self.evaluate_all(node, state);
                if let Some(place) = node.child_by_field_name("argument").and_then(|inner| self.place_of(inner)) {
                    // An address that moves stays an address of the same bytes.
                    if !matches!(state.variables.get(&place), Some(Value::Lent(_))) {
                        state.variables.remove(&place);
                    }
                    state.forget(&place);
                }
                vec![(state, Value::Unknown)]
            }
            "pointer_expression" => self.pointer(node, state),
            "unary_expression" if self.text(node).starts_with('!') => self.as_number(node, state),
            "unary_expression" => {
                let is_minus = self.text(node).starts_with('-');
                let inner = node.child_by_field_name("argument");
                let paths = inner
                    .map_or_else(|| vec![(state.clone(), Value::Unknown)], |inner| self.evaluate(inner, state.clone()));
                let negated = |value| match value {
                    Value::Int(number) if is_minus => Value::Int(-number),
                    _ => Value::Unknown,
                };
                paths.into_iter().map(|(state, value)| (state, negated(value))).collect()
            }
            "binary_expression" => self.binary(node, state),
            "conditional_expression" => {
                let Some(condition) = node.child_by_field_name("condition") else {
                    return vec![(state, Value::Unknown)];
                };
                let (yes, no) = self.branch(condition, state);
                let mut paths = Vec::new();
                for (states, arm) in [(yes, "consequence"), (no, "alternative")] {
                    for state in states {
                        match node.child_by_field_name(arm) {
                            Some(arm) => paths.extend(self.evaluate(arm, state)),
                            None => paths.push((state, Value::Unknown)),
                        }
                    }
                }
                paths
            }
            "call_expression" => self.call(node, state),
            "field_expression" => self.field(node, state),
            "subscript_expression" => {
                let base = node.child_by_field_name("argument");
                let index = node.child_by_field_name("index");
                let mut paths = Vec::new();
                let found = base
                    .map_or_else(|| vec![(state.clone(), Value::Unknown)], |base| self.evaluate(base, state.clone()));
                for (mut state, value) in found {
                    self.touch(&mut state, &value, node);
                    if let Some(index) = index {
                        state = self.evaluate_all_of(index, state);
                    }
                    paths.push((state, Value::Unknown));
                }
                paths
            }
            "compound_literal_expression" => {
                let keeps = node
                    .child_by_field_name("type")
                    .is_some_and(|named| self.unit.model.structs.iter().any(|known| known == self.text(named).trim()));
                match node.child_by_field_name("value") {
                    Some(list) => vec![(self.aggregate(list, state, !keeps), Value::Unknown)],
                    None => vec![(state, Value::Unknown)],
                }
            }
            "initializer_list" => vec![(self.aggregate(node, state, true), Value::Unknown)],
            _ => vec![(self.evaluate_all(node, state), Value::Unknown)],
        }
    }

    /// One state after all parts of a node, where no part decides anything.
    pub(crate) fn evaluate_all(&mut self, node: Node, state: State) -> State {
        children(node).into_iter().fold(state, |state, part| self.evaluate_all_of(part, state))
    }

    /// One state after an expression: its first path.
    fn evaluate_all_of(&mut self, node: Node, state: State) -> State {
        let before = state.clone();
        self.evaluate(node, state).into_iter().next().map_or(before, |(state, _)| state)
    }

    /// The parts of a list of initial values. Handles among them have another owner from now on, if `escape`.
    pub(crate) fn aggregate(&mut self, node: Node, state: State, escape: bool) -> State {
        let mut state = state;
        for part in children(node) {
            match part.kind() {
                "initializer_list" => state = self.aggregate(part, state, escape),
                "initializer_pair" => {
                    if let Some(value) = part.child_by_field_name("value") {
                        state = self.aggregate_part(value, state, escape);
                    }
                }
                _ => state = self.aggregate_part(part, state, escape),
            }
        }
        state
    }

    fn aggregate_part(&mut self, value: Node, state: State, escape: bool) -> State {
        if matches!(value.kind(), "initializer_list" | "compound_literal_expression") {
            let list = value.child_by_field_name("value").unwrap_or(value);
            return self.aggregate(list, state, escape);
        }
        let before = state.clone();
        let Some((mut state, found)) = self.evaluate(value, state).into_iter().next() else { return before };
        if escape || matches!(found, Value::AddressOf(_)) {
            state.escape(&found);
        }
        state
    }

    /// A variable, or a field of a local struct.
    pub(crate) fn place_of(&self, node: Node) -> Option<String> {
        match node.kind() {
            "identifier" => {
                let name = self.text(node);
                self.locals.get(name).filter(|local| !local.is_array).map(|_| name.to_owned())
            }
            "parenthesized_expression" => self.place_of(*children(node).first()?),
            "field_expression" => {
                let argument = node.child_by_field_name("argument")?;
                let field = node.child_by_field_name("field")?;
                let is_dot = self.text(node)[argument.end_byte() - node.start_byte()..].trim_start().starts_with('.');
                let base = self.place_of(argument).filter(|_| is_dot)?;
                Some(format!("{base}.{}", self.text(field)))
            }
            _ => None,
        }
    }

    fn read(&mut self, node: Node, state: &mut State) -> Value {
        let name = self.text(node);
        if let Some(status) = self.unit.model.statuses.get(name) {
            return Value::Int(*status);
        }
        self.read.extend(state.unread.remove(name));
        match self.place_of(node) {
            Some(place) => state.variables.get(&place).cloned().unwrap_or(Value::Unknown),
            None => Value::Unknown,
        }
    }

    fn field(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let argument = node.child_by_field_name("argument");
        if let Some(place) = self.place_of(node) {
            let base = argument.and_then(|argument| self.place_of(argument));
            let mut state = state;
            self.read.extend(state.unread.remove(&place));
            let value = state.variables.get(&place).or_else(|| {
                // The addresses in a view.
                base.and_then(|base| state.variables.get(&base)).filter(|base| matches!(base, Value::Lent(_)))
            });
            let value = value.cloned().unwrap_or(Value::Unknown);
            return vec![(state, value)];
        }
        let Some(argument) = argument else { return vec![(state, Value::Unknown)] };
        let mut paths = self.evaluate(argument, state);
        for (state, value) in &mut paths {
            self.touch(state, &value.clone(), node);
            *value = Value::Unknown;
        }
        paths
    }

    fn pointer(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let Some(argument) = node.child_by_field_name("argument") else { return vec![(state, Value::Unknown)] };
        if self.text(node).starts_with('&') {
            if let Some(place) = self.place_of(argument) {
                let mut state = state;
                self.read.extend(state.unread.remove(&place));
                return vec![(state, Value::AddressOf(place))];
            }
            // `&data[3]` is an address of the same bytes.
            let base = argument.child_by_field_name("argument").filter(|_| argument.kind() == "subscript_expression");
            let mut paths = self.evaluate(base.unwrap_or(argument), state);
            for (_, value) in &mut paths {
                if !matches!(value, Value::Lent(_)) {
                    *value = Value::Unknown;
                }
            }
            return paths;
        }
        let mut paths = self.evaluate(argument, state);
        for (state, value) in &mut paths {
            self.touch(state, &value.clone(), node);
            *value = match value {
                Value::AddressOf(place) => state.variables.get(place).cloned().unwrap_or(Value::Unknown),
                _ => Value::Unknown,
            };
        }
        paths
    }

    /// Bytes are read or written through an address.
    pub(crate) fn touch(&mut self, state: &mut State, value: &Value, node: Node) {
        let Value::Lent(id) = value else { return };
        let Some(guard) = state.handles.get_mut(id) else { return };
        if let Life::Ended(at) = guard.life {
            guard.life = Life::Escaped;
            let message = format!("this uses an address of the guard {}, which has ended", guard.name);
            self.report(Rule::AddressAfterEnd, node.start_byte(), message, vec![(at, "it ended here".to_owned())]);
        }
    }

    fn assignment(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) else {
            return vec![(state, Value::Unknown)];
        };
        let is_plain = node.child_by_field_name("operator").is_none_or(|operator| self.text(operator) == "=");
        let place = self.place_of(left);
        // What an assignment gives to what is around it has been looked at.
        let is_statement = node.parent().is_some_and(|parent| parent.kind() == "expression_statement");
        self.expect(self.text(left));
        let mut paths = self.evaluate(right, state);
        (self.outcome, self.is_expected) = (Outcome::Any, false);
        for (state, value) in &mut paths {
            match &place {
                Some(place) if is_plain => {
                    self.put(state, place, value.clone(), right);
                    if !is_statement {
                        self.read.extend(state.unread.remove(place));
                    }
                }
                Some(place) => {
                    self.read.extend(state.unread.remove(place));
                    if !matches!(state.variables.get(place), Some(Value::Lent(_))) {
                        state.variables.remove(place);
                    }
                    state.forget(place);
                    *value = Value::Unknown;
                }
                None => {
                    *state = self.evaluate_all_of(left, state.clone());
                    if !self.is_field_of_library(left) {
                        state.escape(&value.clone());
                    }
                    let root = self.text(left).split(['[', '.', '-']).next().unwrap_or_default().trim().to_owned();
                    state.forget(&root);
                }
            }
        }
        paths
    }

    /// Whether the place is in a local list of the library's structs, which own nothing.
    fn is_field_of_library(&self, node: Node) -> bool {
        let root = self.text(node).split(['[', '.']).next().unwrap_or_default().trim();
        self.locals.get(root).is_some_and(|local| local.pointers == 0 && self.unit.model.structs.contains(&local.base))
    }

    fn binary(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let operator = node.child_by_field_name("operator").map(|operator| self.text(operator)).unwrap_or_default();
        let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) else {
            return vec![(state, Value::Unknown)];
        };
        if matches!(operator, "&&" | "||") {
            return self.as_number(node, state);
        }
        let is_wanted = |call, error| self.status_call(call).is_some() && self.is_error(error);
        if matches!(operator, "==" | "!=") && (is_wanted(left, right) || is_wanted(right, left)) {
            self.is_expected = true;
            self.outcome = Outcome::Failure;
        }
        let mut paths = Vec::new();
        for (state, one) in self.evaluate(left, state) {
            for (state, other) in self.evaluate(right, state) {
                let value = match (operator, &one, &other) {
                    ("+" | "-", Value::Lent(_), _) => one.clone(),
                    ("+", _, Value::Lent(_)) => other,
                    _ => compared(operator, &one, &other).map_or(Value::Unknown, |holds| Value::Int(i64::from(holds))),
                };
                paths.push((state, value));
            }
        }
        (self.is_expected, self.outcome) = (false, Outcome::Any);
        paths
    }

    /// A condition as a value: 1 or 0 on each path.
    fn as_number(&mut self, node: Node, state: State) -> Vec<(State, Value)> {
        let (yes, no) = self.branch(node, state);
        let number = |number: i64| move |state: State| (state, Value::Int(number));
        yes.into_iter().map(number(1)).chain(no.into_iter().map(number(0))).collect()
    }

    /// The paths on which a condition holds, and those on which it does not.
    pub(crate) fn branch(&mut self, node: Node, state: State) -> (Vec<State>, Vec<State>) {
        let operator = node.child_by_field_name("operator").map(|operator| self.text(operator)).unwrap_or_default();
        match (node.kind(), operator) {
            ("parenthesized_expression", _) => match children(node).first() {
                Some(inner) if inner.kind() != "compound_statement" => self.branch(*inner, state),
                _ => (vec![state.clone()], vec![state]),
            },
            ("unary_expression", "!") => match node.child_by_field_name("argument") {
                Some(inner) => {
                    let (yes, no) = self.branch(inner, state);
                    (no, yes)
                }
                None => (vec![state.clone()], vec![state]),
            },
            ("binary_expression", "&&" | "||") => {
                let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right"))
                else {
                    return (vec![state.clone()], vec![state]);
                };
                let is_and = operator == "&&";
                let (yes, no) = self.branch(left, state);
                let (open, mut decided) = if is_and { (yes, no) } else { (no, yes) };
                let mut other = Vec::new();
                for state in open {
                    let (yes, no) = self.branch(right, state);
                    let (goes_on, stops) = if is_and { (yes, no) } else { (no, yes) };
                    other.extend(goes_on);
                    decided.extend(stops);
                }
                if is_and { (other, decided) } else { (decided, other) }
            }
            _ => self.decide(node, state),
        }
    }

    fn decide(&mut self, node: Node, state: State) -> (Vec<State>, Vec<State>) {
        let text: String = self.text(node).split_whitespace().collect();
        let is_pure = !text.contains('(') && !text.contains("++") && !text.contains("--") && !assigns(node);
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for (state, value) in self.evaluate(node, state) {
            let holds = match value {
                Value::Int(number) => Some(number != 0),
                Value::NonZero | Value::Handle(_) | Value::AddressOf(_) => Some(true),
                Value::Lent(_) | Value::Unknown => state.decided.get(&text).copied().filter(|_| is_pure),
            };
            match holds {
                Some(true) => yes.push(state),
                Some(false) => no.push(state),
                None => {
                    for (holds, paths) in [(true, &mut yes), (false, &mut no)] {
                        let mut state = state.clone();
                        if is_pure {
                            state.decided.insert(text.clone(), holds);
                        }
                        self.refine(node, holds, &mut state);
                        paths.push(state);
                    }
                }
            }
        }
        (yes, no)
    }

    /// What a condition says of a variable that it tests.
    fn refine(&mut self, node: Node, holds: bool, state: &mut State) {
        let is_unknown = |state: &State, place: &String| {
            matches!(state.variables.get(place), None | Some(Value::Unknown)) && !place.contains('.')
        };
        if let Some(place) = self.place_of(node) {
            if is_unknown(state, &place) {
                state.variables.insert(place, if holds { Value::NonZero } else { Value::Int(0) });
            }
            return;
        }
        if node.kind() != "binary_expression" {
            return;
        }
        let operator = node.child_by_field_name("operator").map(|operator| self.text(operator)).unwrap_or_default();
        let is_equal = match operator {
            "==" => holds,
            "!=" => !holds,
            _ => return,
        };
        let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) else {
            return;
        };
        let Some(place) = self.place_of(left).filter(|place| is_unknown(state, place)) else { return };
        let value = match right.kind() {
            "number_literal" => number(self.text(right)),
            "identifier" => {
                self.unit.model.statuses.get(self.text(right)).map_or(Value::Unknown, |status| Value::Int(*status))
            }
            _ if self.text(right).contains("(void *)0") || self.text(right).contains("(void*)0") => Value::Int(0),
            _ => Value::Unknown,
        };
        match value {
            Value::Int(_) if is_equal => drop(state.variables.insert(place, value)),
            Value::Int(0) => drop(state.variables.insert(place, Value::NonZero)),
            _ => {}
        }
    }
}

fn assigns(node: Node) -> bool {
    node.kind() == "assignment_expression" || children(node).into_iter().any(assigns)
}

/// Whether a comparison holds, if that is known.
fn compared(operator: &str, one: &Value, other: &Value) -> Option<bool> {
    if let (Value::Int(a), Value::Int(b)) = (one, other) {
        return match operator {
            "==" => Some(a == b),
            "!=" => Some(a != b),
            "<" => Some(a < b),
            "<=" => Some(a <= b),
            ">" => Some(a > b),
            ">=" => Some(a >= b),
            _ => None,
        };
    }
    let is_something = |value: &Value| matches!(value, Value::NonZero | Value::Handle(_) | Value::AddressOf(_));
    let differs = (is_something(one) && *other == Value::Int(0)) || (is_something(other) && *one == Value::Int(0));
    match operator {
        "==" if differs => Some(false),
        "!=" if differs => Some(true),
        _ => None,
    }
}

fn number(text: &str) -> Value {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let found = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    found.map_or(Value::Unknown, Value::Int)
}
