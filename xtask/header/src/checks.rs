//! `include/tenure_static_checks.h`: the functions again, with what clang's analysis of capabilities needs.
//!
//! A handle is a capability. An output that the caller must end acquires it if the call returns TN_OK, the function
//! that ends it releases it, and a call that needs it requires it. Handles in lists, and such as may be NULL, have no
//! attribute: the analysis has no words for them.

use super::IN_BINDINGS;
use super::api::{Api, Function, Kind, Parameter};
use super::facts::Ownership;

const HEAD: &str = "\
/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_static_checks.h
 * The functions of tenure.h with attributes for clang's -Wthread-safety. tenure.h includes it if TN_STATIC_CHECKS is
 * defined; it changes nothing but warnings. See docs/static-checks.md.
 */

#ifndef TENURE_STATIC_CHECKS_H
#define TENURE_STATIC_CHECKS_H

#if defined(__clang__) && !defined(SWIG)

/* The analysis knows a call that succeeded by a comparison with a literal. */
#define TN_OK 0

";

/// The header.
pub fn header(api: &Api) -> String {
    let mut text = HEAD.to_owned();
    for handle in &api.handles {
        let what = match handle.name.as_str() {
            "tn_borrow" => "guard",
            name => &name["tn_".len()..],
        };
        text += &format!("struct TN_CHECKED(capability(\"{what}\")) {};\n", handle.name);
    }
    text += "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    for function in api.functions.iter().filter(|function| !IN_BINDINGS.contains(&function.section.as_str())) {
        let attributes: Vec<String> = function.parameters.iter().filter_map(attribute).collect();
        if !attributes.is_empty() {
            text += &declaration(function, &attributes);
        }
    }
    text + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n\n#endif\n"
}

/// The declaration, in lines that are not too long.
fn declaration(function: &Function, attributes: &[String]) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    // A parameter and its type stay on one line.
    for part in function.c.split_inclusive(", ").map(str::trim_end).chain(attributes.iter().map(String::as_str)) {
        if line.is_empty() {
            line = part.to_owned();
        } else if line.len() + 1 + part.len() < super::WIDTH {
            line += &format!(" {part}");
        } else {
            text += &(line + "\n");
            line = format!("    {part}");
        }
    }
    text + &line + ";\n"
}

fn attribute(parameter: &Parameter) -> Option<String> {
    let Parameter { name, base, facts, .. } = parameter;
    let (target, _) = base.target()?;
    match facts.ownership? {
        Ownership::Ended if target.is(Kind::Handle) => Some(format!("TN_ENDS({name})")),
        Ownership::Call if target.is(Kind::Handle) && !facts.nullable => Some(format!("TN_BORROWS({name})")),
        Ownership::Caller if facts.length.is_none() && facts.released_by.len() == 1 => {
            let (made, _) = target.target()?;
            made.is(Kind::Handle).then(|| format!("TN_GIVES({name})"))
        }
        _ => None,
    }
}
