//! `bindings/node/tenure_c.js` and `tenure_c.d.ts`: the C interface for Node.js, from the description.
//!
//! The module has the constants, and tables of structs and functions from which `library.js` makes functions. A type in
//! a table is a C number, `handle` (an id or NULL), `pointer` (an address), `memory` (a view of a buffer, or an
//! address), `text`, or the name of a struct. An output that is always there is `out` and a type: the function returns
//! it. Every other output is `memory` that the caller passes.

use super::api::{Api, Function, Kind, Parameter, Struct, Type, Value};
use super::facts::Direction;
use super::first_sentence;
use std::fmt::Write;
use xtask::tools::Done;

const HEAD: &str = "// Written by `cargo xtask header` from abi/api.json: edit src/ffi.\n";
/// Larger constants are a BigInt.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
const WRITABLE: &str = "a String takes any text";

/// The module: constants and tables.
pub fn module(api: &Api) -> Done<String> {
    let mut text = HEAD.to_owned();
    for family in &api.families {
        writeln!(text, "\n// {}: {}", family.name, first_sentence(&family.doc)).expect(WRITABLE);
        for constant in &family.constants {
            writeln!(text, "export const {} = {};", constant.name, literal(constant)).expect(WRITABLE);
        }
    }
    text += "\n// Constants outside of families.\n";
    for constant in &api.constants {
        writeln!(text, "export const {} = {};", constant.name, literal(constant)).expect(WRITABLE);
    }
    text += "\n/** Size of each struct, and type, offset and length of its fields. */\nexport const structs = {\n";
    for known in &api.structs {
        writeln!(
            text,
            "  {}: {{\n    size: {},\n    isSized: {},\n    fields: {{",
            known.name, known.size, known.is_sized
        )
        .expect(WRITABLE);
        for field in &known.fields {
            let (of, length) = match &field.base {
                Type::Array { array_of, length, .. } => (array_of.as_ref(), *length),
                base => (base, 0),
            };
            writeln!(text, "      {}: [\"{}\", {}, {length}],", field.name, stored(of)?, field.offset).expect(WRITABLE);
        }
        text += "    },\n  },\n";
    }
    text += "};\n\n/** Result of each function, and its parameters. */\nexport const functions = {\n";
    for known in &api.functions {
        let of = |why: String| format!("{}: {why}", known.name);
        let is_status = known.returns.base.name() == "tn_status";
        let returned = if is_status { "status" } else { stored(&known.returns.base).map_err(of)? };
        writeln!(text, "  {}: [\"{returned}\", {{", known.name).expect(WRITABLE);
        for parameter in &known.parameters {
            writeln!(text, "    {}: \"{}\",", parameter.name, passed(parameter).map_err(of)?).expect(WRITABLE);
        }
        text += "  }],\n";
    }
    text += "};\n";
    Ok(text)
}

/// The declarations for TypeScript.
pub fn types(api: &Api) -> Done<String> {
    let mut text = HEAD.to_owned();
    text += "\n/** The id of an object of the library. Any thread may use it, but one object owns it. */\n";
    text += "export type Handle = bigint;\n/** A view of a buffer, or an address. */\nexport type Memory = ArrayBufferView | bigint;\n";
    text +=
        "/** Integers of 64 bits are BigInts where a number is not exact. */\nexport type Integer = number | bigint;\n";
    for constant in api.families.iter().flat_map(|family| &family.constants).chain(&api.constants) {
        comment(&mut text, "", &constant.doc);
        writeln!(text, "export const {}: {};", constant.name, literal(constant)).expect(WRITABLE);
    }
    for known in &api.structs {
        comment(&mut text, "", first_sentence(&known.doc));
        interface(&mut text, known)?;
    }
    text += "\n/** The functions. A status other than TN_OK is thrown as a TenureError; outputs are returned. */\nexport interface Functions {\n";
    for known in &api.functions {
        comment(&mut text, "  ", first_sentence(&known.doc));
        text += &declared(known).map_err(|why| format!("{}: {why}", known.name))?;
    }
    text += "}\n\nexport const structs: Record<string, unknown>;\nexport const functions: Record<string, unknown>;\n";
    Ok(text)
}

fn literal(constant: &Value) -> String {
    let end = if constant.value.unsigned_abs() > MAX_SAFE_INTEGER { "n" } else { "" };
    format!("{}{end}", constant.value)
}

fn comment(text: &mut String, indent: &str, doc: &str) {
    writeln!(text, "{indent}/** {doc} */").expect(WRITABLE);
}

/// The type of a field or result in the tables.
fn stored(base: &Type) -> Done<&str> {
    Ok(match base {
        Type::Pointer { pointer_to, is_const } => match pointer_to.as_ref() {
            target if target.is(Kind::Handle) => "handle",
            target if *is_const && target.name() == "char" && target.target().is_none() => "text",
            _ => "pointer",
        },
        Type::Function { .. } => "pointer",
        Type::Array { .. } => return Err("Node.js: an array of arrays".to_owned()),
        Type::Named { name, kind } => match kind {
            Kind::Callback => "pointer",
            Kind::Family => "uint32_t",
            Kind::Void | Kind::Scalar | Kind::Struct => name,
            Kind::Handle | Kind::Foreign => return Err(format!("Node.js: a value of {name}")),
        },
    })
}

/// The type of a parameter in the tables.
fn passed(parameter: &Parameter) -> Done<String> {
    let Parameter { base, facts, .. } = parameter;
    let Some((target, _)) = base.target() else { return Ok(stored(base)?.to_owned()) };
    let is_result = facts.direction != Direction::In && !facts.nullable && facts.length.is_none();
    let is_opaque = target.is(Kind::Void) || target.is(Kind::Foreign);
    Ok(match facts.direction {
        Direction::In if facts.length.is_some() && !target.is(Kind::Struct) => "memory".to_owned(),
        Direction::In => match stored(base)? {
            "pointer" if target.is(Kind::Struct) => format!("in {}", target.name()),
            "pointer" => "memory".to_owned(),
            known => known.to_owned(),
        },
        _ if is_result && !is_opaque => format!("out {}", stored(target)?),
        _ => "memory".to_owned(),
    })
}

/// The type of a table's type in TypeScript.
fn typed(of: &str) -> &str {
    match of {
        "handle" => "Handle | null",
        "pointer" => "bigint | null",
        "memory" => "Memory | null",
        "text" => "string | null",
        "void" => "void",
        "int64_t" | "uint64_t" | "size_t" | "ptrdiff_t" => "Integer",
        known if known.starts_with("tn_") => known,
        _ => "number",
    }
}

fn interface(text: &mut String, known: &Struct) -> Done {
    writeln!(text, "export interface {} {{", known.name).expect(WRITABLE);
    for field in &known.fields {
        comment(text, "  ", &field.doc);
        let of = match &field.base {
            Type::Array { array_of, .. } => match stored(array_of)? {
                "char" => "string",
                "int64_t" => "BigInt64Array",
                "uint64_t" => "BigUint64Array",
                "uint32_t" => "Uint32Array",
                "int32_t" => "Int32Array",
                "uint8_t" => "Uint8Array",
                other => return Err(format!("Node.js: an array of {other}")),
            },
            base => match stored(base)? {
                // The address of memory, for a struct that is passed.
                "pointer" => "Memory | null",
                of => typed(of),
            },
        };
        writeln!(text, "  {}: {of};", field.name).expect(WRITABLE);
    }
    *text += "}\n";
    Ok(())
}

/// The declaration of a function: parameters without results, and the results.
fn declared(known: &Function) -> Done<String> {
    let (mut given, mut results) = (Vec::new(), Vec::new());
    for parameter in &known.parameters {
        let (name, of) = (&parameter.name, passed(parameter)?);
        if let Some(of) = of.strip_prefix("out ") {
            results.push((name, typed(of).trim_end_matches(" | null").to_owned()));
            continue;
        }
        let null = if parameter.facts.nullable { " | null" } else { "" };
        let of = match of.strip_prefix("in ") {
            Some(of) if parameter.facts.length.is_some() => format!("Partial<{of}>[]{null}"),
            Some(of) => format!("Partial<{of}>{null}"),
            None => format!("{}{null}", typed(&of).trim_end_matches(" | null")),
        };
        // A word of the language cannot be a parameter.
        let mark = if name == "in" || name == "function" { "_" } else { "" };
        given.push(format!("{name}{mark}: {of}"));
    }
    let returned = match &results[..] {
        _ if known.returns.base.name() != "tn_status" => typed(stored(&known.returns.base)?).to_owned(),
        [] => "void".to_owned(),
        [(_, of)] => of.clone(),
        several => {
            let fields: Vec<String> = several.iter().map(|(name, of)| format!("{name}: {of}")).collect();
            format!("{{ {} }}", fields.join("; "))
        }
    };
    Ok(format!("  {}({}): {returned};\n", known.name, given.join(", ")))
}
