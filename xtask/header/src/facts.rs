//! What comments say of functions and parameters, as data.
//!
//! The rules, by the words that comments of `src/ffi` use:
//! - an output has `@param[out]`; a struct whose `size` the caller sets is both input and output;
//! - a parameter may be NULL where a clause says `may be NULL`, or begins with `NULL:`, `NULL only`, `NULL with`, `NULL
//!   means` or `NULL and`; so may every `context`;
//! - a list has the length that its comment names: `The n_specs slices`, `n_in items`, `NULL only with n_keep 0`, `of
//!   bytes bytes`; or its count is described as `.. at text`, or as `Its size` right behind it;
//! - what an output gives ends by the function after `Released by`, `Ended by` or `Freed by`, else by the one of its
//!   handle type;
//! - an output that is `valid until` something, or `owned by the scope`, stays the library's;
//! - a handle or block ends in the function that others name so; an input that `the library owns`, or that is `moved
//!   into the library`, is the caller's no longer; callbacks, and memory that is imported or registered, are used after
//!   the call;
//! - `as for` another function: its parameter of that name. `The statuses of` another function: those too.

use super::api::{Api, Function, Kind, Parameter};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use xtask::tools::Done;

/// A comment in its parts. Lines are joined, paragraphs are not.
#[derive(Default)]
pub struct Comment {
    pub text: String,
    pub returns: String,
    parameters: Vec<(String, bool, String)>,
    note: String,
    since: String,
}

impl Comment {
    /// The comment of an item.
    pub fn of(attributes: &[syn::Attribute]) -> Comment {
        let mut comment = Comment::default();
        for line in super::doc_lines(attributes) {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("@param") {
                let (is_out, rest) = rest.strip_prefix("[out]").map_or((false, rest), |rest| (true, rest));
                let (name, text) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
                comment.parameters.push((name.to_owned(), is_out, text.trim().to_owned()));
            } else if let Some(rest) = line.strip_prefix("@return ") {
                comment.returns = rest.to_owned();
            } else if let Some(rest) = line.strip_prefix("@note ") {
                comment.note = rest.to_owned();
            } else if let Some(rest) = line.strip_prefix("@since ") {
                comment.since = rest.to_owned();
            } else if !line.starts_with('@') {
                comment.extend(line);
            }
        }
        comment.text.truncate(comment.text.trim_end().len());
        comment
    }

    /// Adds a line to the part that came last.
    fn extend(&mut self, line: &str) {
        let part = if !self.since.is_empty() {
            return;
        } else if !self.note.is_empty() {
            &mut self.note
        } else if !self.returns.is_empty() {
            &mut self.returns
        } else if let Some((_, _, text)) = self.parameters.last_mut() {
            text
        } else {
            &mut self.text
        };
        if line.is_empty() {
            part.push_str("\n\n");
        } else {
            if !part.is_empty() && !part.ends_with('\n') {
                part.push(' ');
            }
            part.push_str(line);
        }
    }

    /// Whether a parameter is an output, and its description.
    pub fn parameter(&self, name: &str) -> Option<(bool, &str)> {
        let found = self.parameters.iter().find(|(known, ..)| known == name)?;
        Some((found.1, found.2.trim_end()))
    }

    /// What the comment says of threads, waits and memory.
    pub fn notes(&self) -> Done<Notes> {
        let rest = self.note.strip_prefix("Threads: ").ok_or("its note does not begin with `Threads:`")?;
        let (rest, allocates) = parted(rest, " Allocates: ");
        let (threads, blocks) = parted(rest, " Blocks: ");
        Ok(Notes { threads: threads.trim().to_owned(), blocks, allocates, since: self.since.clone() })
    }
}

/// The note of a function.
#[derive(Serialize)]
pub struct Notes {
    pub threads: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocates: Option<String>,
    pub since: String,
}

/// The text before and after a mark.
fn parted<'a>(text: &'a str, mark: &str) -> (&'a str, Option<String>) {
    let (before, after) = text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)));
    (before, after.map(|after| after.trim().to_owned()))
}

/// Which way a parameter passes its value.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
    /// A struct to fill, with `size` set by the caller.
    InOut,
}

/// Whose the thing is that a parameter passes or points to.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// An input that is used until the call returns, and stays the caller's.
    Call,
    /// An input that the library uses after the call, and that stays the caller's.
    Kept,
    /// An input that is the library's if the call succeeds.
    Moved,
    /// A handle or block that this call ends.
    Ended,
    /// An output that the caller must end.
    Caller,
    /// An output that stays the library's.
    Library,
}

/// What is known of a parameter beside its type.
#[derive(Serialize, Clone)]
pub struct Facts {
    pub direction: Direction,
    pub nullable: bool,
    /// What NULL means, or when it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null: Option<String>,
    /// The parameter with the number of items; of raw memory, of bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// The functions of which one ends the output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub released_by: Vec<String>,
    /// How long the output is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
}

impl Facts {
    /// The facts that the parameter's own comment has.
    pub fn new(is_out: bool, doc: &str) -> Facts {
        let null: Vec<&str> = clauses(doc).filter(|clause| allows_null(clause)).collect();
        let until = doc.split_once("alid until ").filter(|_| is_out).map(|(_, rest)| rest);
        Facts {
            direction: if is_out { Direction::Out } else { Direction::In },
            nullable: !null.is_empty(),
            null: (!null.is_empty()).then(|| null.join("; ")),
            length: None,
            ownership: None,
            released_by: if is_out { released_by(doc) } else { Vec::new() },
            valid_until: until.and_then(|rest| rest.split(['.', ';', ',']).next()).map(str::to_owned),
        }
    }
}

/// The parts of a text between full stops and semicolons.
fn clauses(doc: &str) -> impl Iterator<Item = &str> {
    let parts = doc.split(". ").flat_map(|part| part.split("; ")).flat_map(|part| part.split(", and "));
    parts.map(|part| part.trim_end_matches('.'))
}

fn allows_null(clause: &str) -> bool {
    let begins = ["NULL: ", "NULL only ", "NULL with ", "NULL means ", "NULL and "];
    clause.to_lowercase().contains("may be null") || begins.iter().any(|begin| clause.starts_with(begin))
}

/// The functions that a comment says to end something.
pub fn released_by(doc: &str) -> Vec<String> {
    for verb in ["eleased by ", "nded by ", "reed by "] {
        let Some((_, rest)) = doc.split_once(verb) else { continue };
        let rest = rest.trim_start_matches("its own ").trim_start_matches("one ");
        let names: Vec<String> = rest.split(" or ").map_while(|part| quoted(part).map(str::to_owned)).take(2).collect();
        if !names.is_empty() {
            return names;
        }
    }
    Vec::new()
}

/// The name of a function that stands at the start between backticks.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('`')?.split_once('`').map(|(name, _)| name).filter(|name| name.starts_with("tn_"))
}

/// The statuses that a text names.
pub fn statuses(doc: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in super::tokens(doc).filter(|word| *word == "TN_OK" || word.starts_with("TN_ERR_")) {
        if !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    }
    found
}

/// Adds the facts that depend on other parameters, functions and types.
pub fn complete(api: &mut Api) -> Done {
    let ends: BTreeMap<String, String> =
        api.handles.iter().map(|handle| (handle.name.clone(), handle.released_by.clone())).collect();
    let sized: BTreeSet<String> =
        api.structs.iter().filter(|known| known.is_sized).map(|known| known.name.clone()).collect();
    let mut frees = BTreeSet::new();
    for function in &mut api.functions {
        measure(function);
        for parameter in &mut function.parameters {
            let is_sized = parameter.base.target().is_some_and(|(target, _)| target.is(Kind::Struct))
                && sized.contains(parameter.base.name());
            if parameter.facts.direction == Direction::Out && is_sized {
                parameter.facts.direction = Direction::InOut;
            }
            frees.extend(parameter.facts.released_by.iter().cloned());
        }
    }
    for at in 0..api.functions.len() {
        own(&mut api.functions[at], &ends, &frees);
    }
    inherit(api)?;
    let unknown = frees.iter().find(|name| !api.functions.iter().any(|function| &function.name == *name));
    unknown.map_or(Ok(()), |name| Err(format!("a comment names {name}, which is no function")))
}

/// The lengths of a function's lists.
fn measure(function: &mut Function) {
    let known = function.parameters.clone();
    let counts = || known.iter().filter(|count| count.base.is(Kind::Scalar));
    for (at, list) in function.parameters.iter_mut().enumerate().filter(|(_, list)| list.base.target().is_some()) {
        let doc = list.doc.replace('`', "");
        let of_comment = counts().find(|count| {
            let count = &count.name;
            let said = [
                format!("The {count} "),
                format!("{count} items"),
                format!("with {count} 0"),
                format!("of {count} bytes"),
            ];
            said.iter().any(|words| doc.contains(words))
        });
        let of_count = || {
            counts().find(|count| {
                let said = count.doc.replace('`', "");
                clauses(&said).any(|clause| clause.ends_with(&format!(" at {}", list.name)))
            })
        };
        let behind = || known.get(at + 1).filter(|next| next.base.is(Kind::Scalar) && next.doc.starts_with("Its size"));
        list.facts.length = of_comment.or_else(of_count).or_else(behind).map(|count| count.name.clone());
    }
}

/// The ownership of what a function's parameters pass.
fn own(function: &mut Function, ends: &BTreeMap<String, String>, frees: &BTreeSet<String>) {
    let keeps = function.parameters.iter().any(|parameter| parameter.base.name() == "tn_release_callback");
    let callee = function.name.clone();
    for parameter in &mut function.parameters {
        let Parameter { base, facts, doc, name, .. } = parameter;
        let said = |words: &[&str]| words.iter().any(|words| doc.contains(words));
        let target = base.target().map(|(target, _)| target);
        if name == "context" {
            facts.nullable = true;
        }
        facts.ownership = if facts.direction != Direction::In {
            let made = target.and_then(|target| target.target()).and_then(|(handle, _)| ends.get(handle.name()));
            if said(&["owned by the scope"]) {
                Some(Ownership::Library)
            } else if !facts.released_by.is_empty() {
                Some(Ownership::Caller)
            } else if let Some(release) = made {
                facts.released_by = vec![release.clone()];
                Some(Ownership::Caller)
            } else if said(&["The consumer ends ", "The consumer releases ", "the caller's to close"]) {
                Some(Ownership::Caller)
            } else {
                facts.valid_until.is_some().then_some(Ownership::Library)
            }
        } else if said(&["On success the library owns it", "On success it is moved into the library"]) {
            Some(Ownership::Moved)
        } else if base.is(Kind::Callback) || name == "context" {
            Some(if keeps { Ownership::Kept } else { Ownership::Call })
        } else {
            target.map(|target| {
                let ended = ends.get(target.name()) == Some(&callee) && target.is(Kind::Handle);
                if ended || name == "ptr" && frees.contains(&callee) {
                    Ownership::Ended
                } else if target.is(Kind::Void) && (keeps || said(&["must stay valid until the release"])) {
                    Ownership::Kept
                } else {
                    Ownership::Call
                }
            })
        };
    }
}

/// What comments say by the name of another function.
fn inherit(api: &mut Api) -> Done {
    let of = |api: &Api, name: &str| api.functions.iter().position(|function| function.name == name);
    for at in 0..api.functions.len() {
        for place in 0..api.functions[at].parameters.len() {
            let parameter = &api.functions[at].parameters[place];
            let Some(name) = parameter.doc.split("s for ").nth(1).and_then(quoted) else { continue };
            let source = of(api, name).ok_or(format!("{}: {name} is no function", api.functions[at].name))?;
            let source = api.functions[source].parameters.iter().find(|known| known.name == parameter.name);
            let Some(source) = source.map(|source| source.facts.clone()) else { continue };
            let facts = &mut api.functions[at].parameters[place].facts;
            if !facts.nullable {
                (facts.nullable, facts.null) = (source.nullable, source.null);
            }
            if matches!(facts.ownership, None | Some(Ownership::Call)) {
                facts.ownership = source.ownership;
            }
            facts.valid_until = facts.valid_until.take().or(source.valid_until);
        }
    }
    // A function may name one that names a third.
    loop {
        let mut changed = false;
        for at in 0..api.functions.len() {
            let doc = api.functions[at].returns.doc.clone();
            for name in doc.split("statuses of ").skip(1).filter_map(quoted) {
                let source = of(api, name).ok_or(format!("{}: {name} is no function", api.functions[at].name))?;
                let found = api.functions[source].returns.statuses.clone();
                let own = &mut api.functions[at].returns.statuses;
                let more: Vec<String> = found.into_iter().filter(|status| !own.contains(status)).collect();
                changed |= !more.is_empty();
                own.extend(more);
                if let Some(ok) = own.iter().position(|status| status == "TN_OK") {
                    own[..=ok].rotate_right(1);
                }
            }
        }
        if !changed {
            return Ok(());
        }
    }
}
