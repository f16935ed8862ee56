//! What is known at one point of one path through a function.

use std::collections::BTreeMap;

/// The handles of a path. Equal places of creation have equal numbers on all paths.
pub type Id = usize;

/// What a variable or an expression holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Value {
    /// Anything.
    Unknown,
    /// This number; NULL is 0.
    Int(i64),
    /// Any number but 0: the status of a call that failed.
    NonZero,
    /// This handle.
    Handle(Id),
    /// An address that is valid until this guard ends, or a view with such addresses.
    Lent(Id),
    /// The address of a local variable.
    AddressOf(String),
}

/// Whether a handle has ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Life {
    /// No.
    Live,
    /// Yes, at this offset of the text.
    Ended(usize),
    /// Not known: other code has it too.
    Escaped,
}

/// Whether an array was given away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Giving {
    /// No.
    No,
    /// Yes, at this offset, by a promise that is outstanding or was taken.
    Given(usize),
    /// Not known: other code has the promise.
    Unknown,
}

/// A handle.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Handle {
    /// Its type: "tn_array".
    pub kind: String,
    /// The variable that it was first in.
    pub name: String,
    /// Where in the text it was made.
    pub made: usize,
    /// Whether it has ended.
    pub life: Life,
    /// Of an array: whether it was given.
    pub giving: Giving,
    /// Whether this function must end it.
    pub is_owned: bool,
    /// Of a guard or promise: the array.
    pub of: Option<Id>,
    /// Of a guard: may write.
    pub writes: bool,
    /// Of an array: the handle that has all its bytes.
    pub root: Option<Id>,
}

/// What `tn_last_error` returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Message {
    /// That of no call of this path, or of one that the program has dealt with.
    Other,
    /// That of the last call that failed.
    Fresh,
    /// A call at this offset may have replaced it.
    Replaced(usize),
}

/// One path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct State {
    /// The local variables, and fields of local structs as "x.f". What is not there is unknown.
    pub variables: BTreeMap<String, Value>,
    /// The handles.
    pub handles: BTreeMap<Id, Handle>,
    /// Variables with a status that nothing has read yet, and the offset of the call.
    pub unread: BTreeMap<String, usize>,
    /// The message of the last failure.
    pub message: Message,
    /// Whether a call of the path failed.
    pub has_failed: bool,
    /// Conditions that the path has decided: their text, and the result.
    pub decided: BTreeMap<String, bool>,
}

impl State {
    /// The beginning of a function.
    pub fn new() -> State {
        State {
            variables: BTreeMap::new(),
            handles: BTreeMap::new(),
            unread: BTreeMap::new(),
            message: Message::Other,
            has_failed: false,
            decided: BTreeMap::new(),
        }
    }

    /// Whether a variable has the handle.
    pub fn is_named(&self, id: Id) -> bool {
        self.variables.values().any(|value| *value == Value::Handle(id))
    }

    /// Forgets what conditions with this variable said.
    pub fn forget(&mut self, variable: &str) {
        let root = variable.split(['.', '[']).next().unwrap_or(variable);
        self.decided.retain(|text, _| !has_word(text, root));
    }

    /// Other code has the handle from now on.
    pub fn escape(&mut self, value: &Value) {
        match value {
            Value::Handle(id) => {
                if let Some(handle) = self.handles.get_mut(id) {
                    handle.life = Life::Escaped;
                    if handle.kind == "tn_promise"
                        && let Some(array) = handle.of.and_then(|of| self.handles.get_mut(&of))
                    {
                        array.giving = Giving::Unknown;
                    }
                }
            }
            Value::AddressOf(place) => self.escape_place(&place.clone()),
            _ => {}
        }
    }

    /// Other code may write the variable, or the struct.
    pub fn escape_place(&mut self, place: &str) {
        let inside = format!("{place}.");
        let reached: Vec<String> =
            self.variables.keys().filter(|name| *name == place || name.starts_with(&inside)).cloned().collect();
        for name in reached {
            let value = self.variables.remove(&name).unwrap_or(Value::Unknown);
            if !matches!(value, Value::AddressOf(_)) {
                self.escape(&value);
            }
        }
        self.unread.remove(place);
        self.forget(place);
    }
}

/// Whether the text has the word.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_part(c)).any(|part| part == word)
}

/// The states without doubles. Of states that differ in decided conditions only, one remains, with what both have.
pub fn merged(states: Vec<State>) -> Vec<State> {
    let mut found: BTreeMap<State, BTreeMap<String, bool>> = BTreeMap::new();
    for mut state in states {
        let decided = std::mem::take(&mut state.decided);
        found
            .entry(state)
            .and_modify(|known| known.retain(|text, result| decided.get(text) == Some(result)))
            .or_insert(decided);
    }
    found.into_iter().map(|(state, decided)| State { decided, ..state }).collect()
}
