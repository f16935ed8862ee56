//! `bindings/fortran/tenure_c.f90`: the C interface for Fortran, from the description.
//!
//! Handles and addresses are `type(c_ptr)` by value, callbacks `type(c_funptr)`. What may be NULL is an optional
//! argument where Fortran passes an address. Outputs are `intent(inout)`, because a call that fails leaves them
//! untouched. Unsigned numbers are signed ones of that size, as Fortran has no others. A constant whose name differs
//! from a function's only in case ends with an underscore.

use super::api::{Api, Function, Kind, Parameter, Type, Value};
use super::facts::Direction;
use super::first_sentence;
use std::collections::BTreeSet;
use xtask::tools::Done;

/// Longest line; the standard allows 132.
const WIDTH: usize = 120;

/// The module's text.
pub fn module(api: &Api) -> Done<String> {
    let mut text = "! Written by `cargo xtask header` from abi/api.json: edit src/ffi.\n".to_owned();
    text += "!> Tenure's C interface, as include/tenure.h and include/tenure_bindings.h have it.\nmodule tenure_c\n";
    text += "  use, intrinsic :: iso_c_binding\n  implicit none\n";
    let taken: BTreeSet<&str> = api.functions.iter().map(|function| function.name.as_str()).collect();
    for family in &api.families {
        heading(&mut text, &format!("{}: {}", family.name, first_sentence(&family.doc)));
        for constant in &family.constants {
            parameter(&mut text, constant, "c_int32_t", &taken);
        }
    }
    heading(&mut text, "Constants outside of families.");
    for constant in &api.constants {
        let base = constant.base.as_ref().ok_or(format!("{}: no type", constant.name))?;
        parameter(&mut text, constant, kind(base.name())?, &taken);
    }
    for known in &api.structs {
        text.push('\n');
        comment(&mut text, "  ", first_sentence(&known.doc));
        line(&mut text, "  ", &format!("type, bind(C) :: {}", known.name));
        for field in &known.fields {
            comment(&mut text, "    ", &field.doc);
            let declared = match field.name.as_str() {
                "size" if known.is_sized => format!("integer(c_size_t) :: size = {}", known.size),
                name => component(&field.base, name)?,
            };
            line(&mut text, "    ", &declared);
        }
        text += "  end type\n";
    }
    text += "\n  interface\n";
    for (at, known) in api.functions.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        interface(&mut text, known)?;
    }
    text += "  end interface\nend module\n";
    Ok(text)
}

fn heading(text: &mut String, title: &str) {
    text.push('\n');
    wrapped(text, "  ! ", title);
}

fn comment(text: &mut String, indent: &str, doc: &str) {
    wrapped(text, &format!("{indent}!> "), doc);
}

/// Comment lines that begin with `mark`.
fn wrapped(text: &mut String, mark: &str, doc: &str) {
    let mut row = mark.to_owned();
    for word in doc.split_whitespace() {
        if row.len() + word.len() > WIDTH && row.len() > mark.len() {
            *text += row.trim_end();
            text.push('\n');
            row = mark.to_owned();
        }
        row += word;
        row.push(' ');
    }
    *text += row.trim_end();
    text.push('\n');
}

/// A statement, continued where it is too long.
fn line(text: &mut String, indent: &str, statement: &str) {
    let mut row = indent.to_owned();
    for word in statement.split_inclusive(", ") {
        if row.len() + word.trim_end().len() + 2 > WIDTH {
            *text += row.trim_end();
            *text += " &\n";
            row = format!("{indent}    ");
        }
        row += word;
    }
    *text += row.trim_end();
    text.push('\n');
}

fn parameter(text: &mut String, constant: &Value, kind: &str, taken: &BTreeSet<&str>) {
    comment(text, "  ", &constant.doc);
    let end = if taken.contains(constant.name.to_lowercase().as_str()) { "_" } else { "" };
    let (name, value) = (&constant.name, constant.value);
    line(text, "  ", &format!("integer({kind}), parameter :: {name}{end} = {value}_{kind}"));
}

/// The kind of a C number.
fn kind(name: &str) -> Done<&'static str> {
    Ok(match name {
        "uint8_t" | "int8_t" => "c_int8_t",
        "uint16_t" | "int16_t" => "c_int16_t",
        "uint32_t" | "int32_t" => "c_int32_t",
        "uint64_t" | "int64_t" => "c_int64_t",
        "size_t" => "c_size_t",
        "ptrdiff_t" => "c_ptrdiff_t",
        "int" => "c_int",
        "float" => "c_float",
        "double" => "c_double",
        "char" => "c_char",
        _ => return Err(format!("Fortran: no kind for {name}")),
    })
}

/// The type of a value.
fn value(base: &Type) -> Done<String> {
    Ok(match base {
        Type::Pointer { .. } => "type(c_ptr)".to_owned(),
        Type::Function { .. } => "type(c_funptr)".to_owned(),
        Type::Array { array_of, .. } => value(array_of)?,
        Type::Named { name, kind: of } => match of {
            Kind::Callback => "type(c_funptr)".to_owned(),
            Kind::Struct => format!("type({name})"),
            Kind::Family => "integer(c_int32_t)".to_owned(),
            Kind::Scalar => match name.as_str() {
                "float" | "double" => format!("real({})", kind(name)?),
                "char" => "character(kind=c_char)".to_owned(),
                _ => format!("integer({})", kind(name)?),
            },
            Kind::Void | Kind::Handle | Kind::Foreign => return Err(format!("Fortran: a value of {name}")),
        },
    })
}

/// A component with its default, which is what C means by an absent one.
fn component(base: &Type, name: &str) -> Done<String> {
    let of = value(base)?;
    let shape = match base {
        Type::Array { length, .. } => format!("({length})"),
        _ => String::new(),
    };
    let default = match of.split('(').next() {
        Some("integer" | "real") => " = 0",
        Some("character") => " = c_null_char",
        _ if of == "type(c_ptr)" => " = c_null_ptr",
        _ if of == "type(c_funptr)" => " = c_null_funptr",
        _ => "",
    };
    Ok(format!("{of} :: {name}{shape}{default}"))
}

fn interface(text: &mut String, known: &Function) -> Done {
    comment(text, "    ", first_sentence(&known.doc));
    let names: Vec<&str> = known.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let name = &known.name;
    let is_void = known.returns.base.is(Kind::Void);
    let (word, result) = if is_void { ("subroutine", "") } else { ("function", " result(returned)") };
    line(text, "    ", &format!("{word} {name}({}) bind(C,name=\"{name}\"){result}", names.join(", ")));
    text.push_str("      import\n");
    for parameter in &known.parameters {
        let declared = dummy(parameter).map_err(|why| format!("{name}: {why}"))?;
        line(text, "      ", &declared);
    }
    if !is_void {
        line(text, "      ", &format!("{} :: returned", value(&known.returns.base)?));
    }
    line(text, "    ", &format!("end {word}"));
    Ok(())
}

/// The declaration of a dummy argument.
fn dummy(parameter: &Parameter) -> Done<String> {
    let Parameter { name, base, facts, .. } = parameter;
    // An address without a type of Fortran, and a handle, pass as they are.
    let opaque = |target: &Type| target.is(Kind::Void) || target.is(Kind::Handle) || target.is(Kind::Foreign);
    match base.target().filter(|(target, _)| !opaque(target)) {
        None => Ok(format!("{}, value :: {name}", value(base)?)),
        Some((target, is_const)) => {
            let is_text = is_const && target.name() == "char" && target.target().is_none();
            let shape = if is_text || facts.length.is_some() { "(*)" } else { "" };
            let intent = if facts.direction == Direction::In && is_const { "in" } else { "inout" };
            let optional = if facts.nullable { ", optional" } else { "" };
            Ok(format!("{}, intent({intent}){optional} :: {name}{shape}", value(target)?))
        }
    }
}
