//! What each function of the library does to the handles that it gets and makes, from `abi/api.json`.

use serde_json::Value;
use std::collections::BTreeMap;

/// The description that `cargo xtask header` writes.
const API: &str = include_str!("../../abi/api.json");

/// What a call does with an argument.
#[derive(Clone, PartialEq, Debug)]
pub enum Role {
    /// Reads it.
    Plain,
    /// Uses a handle until the call returns; whether NULL is accepted.
    Handle { nullable: bool },
    /// Uses a list of handles.
    Handles,
    /// Ends a handle.
    Ends,
    /// Writes a new handle of this kind, which the caller ends.
    Makes(String),
    /// Writes an address, or a view with addresses, that is valid until the guard of the call ends.
    Lends,
    /// Writes something else.
    Writes,
}

/// A function of the library.
#[derive(Clone, Debug)]
pub struct Function {
    /// One for each parameter.
    pub roles: Vec<Role>,
    /// Whether it returns a status.
    pub has_status: bool,
}

/// All functions of the library.
pub struct Model {
    functions: BTreeMap<String, Function>,
    /// The values of TN_OK and TN_ERR_*.
    pub statuses: BTreeMap<String, i64>,
    /// The types of handles.
    pub kinds: Vec<String>,
    /// The structs, whose fields may name handles without owning them.
    pub structs: Vec<String>,
}

impl Model {
    /// The model of this version of the library.
    pub fn new() -> Model {
        let api: Value = serde_json::from_str(API).expect("cargo xtask header writes JSON");
        let names = |list: &str| -> Vec<String> { list_of(&api, list).map(|item| text(&item["name"])).collect() };
        let kinds = names("handles");
        let mut statuses = BTreeMap::new();
        for family in list_of(&api, "families").filter(|family| family["name"] == "tn_status") {
            for constant in list_of(family, "constants") {
                statuses.insert(text(&constant["name"]), constant["value"].as_i64().unwrap_or_default());
            }
        }
        let mut functions: BTreeMap<String, Function> = list_of(&api, "functions")
            .map(|function| {
                let roles = list_of(function, "parameters").map(|parameter| role(parameter, &kinds)).collect();
                let has_status = function["returns"]["type"]["name"] == "tn_status";
                (text(&function["name"]), Function { roles, has_status })
            })
            .collect();
        functions.extend(inline_forms());
        Model { functions, statuses, kinds, structs: names("structs") }
    }

    /// A function of the library.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// Whether ignoring the status of the function hides a failure: as TN_MUST_CHECK in the header.
    pub fn must_check(&self, name: &str) -> bool {
        let may_be_ignored =
            ["_release", "_deallocate", "tn_borrow_end", "tn_read_end", "tn_write_end", "tn_array_set_name", "tn_here"];
        self.function(name).is_some_and(|function| function.has_status)
            && !may_be_ignored.iter().any(|end| name.ends_with(end))
    }
}

impl Default for Model {
    fn default() -> Model {
        Model::new()
    }
}

/// The forms of `tenure_checked.h`, whose bodies the checker does not read.
fn inline_forms() -> Vec<(String, Function)> {
    let form = |name: &str, roles: &[Role]| (name.to_owned(), Function { roles: roles.to_vec(), has_status: true });
    let array = || Role::Handle { nullable: false };
    let guard = || Role::Makes("tn_borrow".to_owned());
    let mut forms = Vec::new();
    for name in ["tn_read", "tn_write"] {
        forms.push(form(name, &[array(), Role::Lends, guard()]));
        forms.push(form(&format!("{name}_end"), &[Role::Plain, Role::Ends]));
    }
    forms.push(form("tn_give", &[Role::Ends, Role::Makes("tn_promise".to_owned())]));
    forms.push(form("tn_release", &[Role::Ends]));
    forms
}

fn list_of<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn role(parameter: &Value, kinds: &[String]) -> Role {
    let target = &parameter["type"]["pointer_to"];
    let is_kind = |name: &Value| name.as_str().is_some_and(|name| kinds.iter().any(|kind| kind == name));
    let ownership = parameter["ownership"].as_str().unwrap_or_default();
    if parameter["direction"] != "in" {
        let made = &target["pointer_to"]["name"];
        return match ownership {
            // What two functions can end is followed in neither.
            "caller" if is_kind(made) && list_of(parameter, "released_by").count() == 1 => Role::Makes(text(made)),
            "library" if !is_kind(made) => Role::Lends,
            _ => Role::Writes,
        };
    }
    if is_kind(&target["name"]) {
        return match ownership {
            "ended" => Role::Ends,
            _ => Role::Handle { nullable: parameter["nullable"] == true },
        };
    }
    // `tn_promise *const *`, and `void *const *` of `tn_enter`.
    let item = &target["pointer_to"]["name"];
    if is_kind(item) || (item == "void" && parameter["name"] == "params") { Role::Handles } else { Role::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_the_description() {
        let model = Model::new();
        let roles = |name: &str| model.function(name).unwrap().roles.clone();
        let array = Role::Handle { nullable: false };
        let stream = Role::Handle { nullable: true };
        let made = Role::Makes("tn_borrow".to_owned());
        assert_eq!(
            roles("tn_array_borrow_read"),
            [array.clone(), Role::Plain, stream.clone(), Role::Lends, Role::Lends, made]
        );
        assert_eq!(roles("tn_borrow_end"), [Role::Ends, Role::Plain, stream]);
        assert_eq!(roles("tn_take")[1..], [Role::Handles, Role::Makes("tn_array".to_owned())]);
        assert_eq!(roles("tn_array_query"), [array, Role::Writes]);
        assert!(model.must_check("tn_take") && !model.must_check("tn_borrow_end") && !model.must_check("tn_version"));
        assert_eq!(model.statuses["TN_ERR_STALE"], 2);
    }
}
