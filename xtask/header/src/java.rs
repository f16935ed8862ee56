//! `bindings/java/tenure/TenureC.java`: the C interface for Java, from the description.
//!
//! A class of static methods that JNA maps directly. A handle is a `long`, an address a `Pointer`, text a `String`.
//! Numbers to read or fill are arrays. A struct is passed by reference, a list of structs by its address. Unsigned
//! numbers are signed ones of that size, as Java has no others. A name that is a word of Java ends with an underscore.

use super::api::{Api, Function, Kind, Parameter, Signature, Struct, Type, Value};
use super::facts::Direction;
use super::first_sentence;
use std::collections::BTreeSet;
use xtask::tools::Done;

const HEAD: &str = "\
// Written by `cargo xtask header` from abi/api.json: edit src/ffi.
package tenure;

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Map;

/** Tenure's C interface, as include/tenure.h and include/tenure_bindings.h have it. */
public final class TenureC {
    private TenureC() {}

    static {
        String file = TenureLibrary.file();
        Native.register(TenureC.class, NativeLibrary.getInstance(file, Map.of(Library.OPTION_STRING_ENCODING, \"UTF-8\")));
    }
";

/// The class.
pub fn class(api: &Api) -> Done<String> {
    let mut text = HEAD.to_owned();
    for family in &api.families {
        text += &format!("\n    // {}: {}\n", family.name, first_sentence(&family.doc));
        for constant in &family.constants {
            constant_of(&mut text, constant, "int");
        }
    }
    text += "\n    // Constants outside of families.\n";
    for constant in &api.constants {
        let base = constant.base.as_ref().ok_or(format!("{}: no type", constant.name))?;
        constant_of(&mut text, constant, number(base.name())?);
    }
    for callback in &api.callbacks {
        let of = |why: String| format!("{}: {why}", callback.name);
        comment(&mut text, "\n    ", first_sentence(&callback.doc));
        text += &format!("    public interface {} extends Callback {{\n", callback.name);
        text += &format!("        {};\n    }}\n", invoked(&callback.signature).map_err(of)?);
    }
    let by_value: BTreeSet<&str> = api
        .functions
        .iter()
        .flat_map(|function| &function.parameters)
        .filter(|parameter| parameter.base.is(Kind::Struct))
        .map(|parameter| parameter.base.name())
        .collect();
    for known in &api.structs {
        structure(&mut text, known, by_value.contains(known.name.as_str()))?;
    }
    for known in &api.functions {
        comment(&mut text, "\n    ", first_sentence(&known.doc));
        text += &declared(known).map_err(|why| format!("{}: {why}", known.name))?;
    }
    text += "}\n";
    Ok(text)
}

fn comment(text: &mut String, indent: &str, doc: &str) {
    *text += &format!("{indent}/** {doc} */\n");
}

fn constant_of(text: &mut String, constant: &Value, of: &str) {
    comment(text, "    ", &constant.doc);
    let value = match of {
        "long" => format!("{}L", constant.value),
        // A bit that Java takes for the sign.
        _ if constant.value > i64::from(i32::MAX) => format!("(int) {}L", constant.value),
        _ => constant.value.to_string(),
    };
    *text += &format!("    public static final {of} {} = {value};\n", constant.name);
}

/// The Java type of a C number.
fn number(name: &str) -> Done<&'static str> {
    Ok(match name {
        "char" | "uint8_t" | "int8_t" => "byte",
        "uint16_t" | "int16_t" => "short",
        "uint32_t" | "int32_t" | "int" => "int",
        "uint64_t" | "int64_t" | "size_t" | "ptrdiff_t" => "long",
        "float" => "float",
        "double" => "double",
        _ => return Err(format!("Java: no type for {name}")),
    })
}

/// A name, which may be a word of the language.
fn named(name: &str) -> String {
    let end = if ["native", "default", "private", "interface", "class", "new"].contains(&name) { "_" } else { "" };
    format!("{name}{end}")
}

/// The type of a field, result or parameter that is passed by value.
fn value(base: &Type) -> Done<String> {
    Ok(match base {
        Type::Pointer { pointer_to, is_const } => match pointer_to.as_ref() {
            target if target.is(Kind::Handle) => "long",
            target if *is_const && target.name() == "char" && target.target().is_none() => "String",
            _ => "Pointer",
        },
        Type::Function { .. } => "Pointer",
        Type::Array { .. } => return Err("Java: an array by value".to_owned()),
        Type::Named { name, kind } => match kind {
            Kind::Callback => "Pointer",
            Kind::Family => "int",
            Kind::Scalar => number(name)?,
            Kind::Void | Kind::Struct => name,
            Kind::Handle | Kind::Foreign => return Err(format!("Java: a value of {name}")),
        },
    }
    .to_owned())
}

/// The method of a callback. Text that it gets is an address: nothing says how long it is valid.
fn invoked(signature: &Signature) -> Done<String> {
    let mut given = Vec::new();
    for parameter in &signature.parameters {
        let of = value(&parameter.base)?;
        given.push(format!("{} {}", if of == "String" { "Pointer" } else { &of }, named(&parameter.name)));
    }
    Ok(format!("{} invoke({})", value(&signature.returns)?, given.join(", ")))
}

fn structure(text: &mut String, known: &Struct, is_by_value: bool) -> Done {
    let name = &known.name;
    let names: Vec<String> = known.fields.iter().map(|field| format!("\"{}\"", named(&field.name))).collect();
    comment(text, "\n    ", first_sentence(&known.doc));
    *text += &format!("    @Structure.FieldOrder({{{}}})\n", names.join(", "));
    *text += &format!("    public static class {name} extends Structure {{\n");
    for field in &known.fields {
        comment(text, "        ", &field.doc);
        let declared = match &field.base {
            Type::Array { array_of, length, .. } => {
                let of = value(array_of)?;
                format!("{of}[] {} = new {of}[{length}]", named(&field.name))
            }
            base if base.is(Kind::Struct) => {
                let of = value(base)?;
                format!("{of} {} = new {of}()", named(&field.name))
            }
            _ if field.name == "size" && known.is_sized => format!("long size = {}", known.size),
            base => format!("{} {}", value(base)?, named(&field.name)),
        };
        *text += &format!("        public {declared};\n");
    }
    comment(text, "\n        ", "Its size in C.");
    *text += &format!("        public static final int BYTES = {};\n", known.size);
    *text += &format!("\n        public {name}() {{}}\n\n        public {name}(Pointer address) {{\n");
    *text += "            super(address);\n        }\n";
    if is_by_value {
        *text += &format!("\n        public static class ByValue extends {name} implements Structure.ByValue {{}}\n");
    }
    *text += "    }\n";
    Ok(())
}

fn declared(known: &Function) -> Done<String> {
    let mut given = Vec::new();
    for parameter in &known.parameters {
        given.push(format!("{} {}", passed(parameter)?, named(&parameter.name)));
    }
    Ok(format!("    public static native {} {}({});\n", value(&known.returns.base)?, known.name, given.join(", ")))
}

/// The type of a parameter.
fn passed(parameter: &Parameter) -> Done<String> {
    let Parameter { base, facts, .. } = parameter;
    if base.is(Kind::Callback) {
        return Ok(base.name().to_owned());
    }
    let by_value = value(base)?;
    let Some((target, _)) = base.target() else {
        return Ok(if base.is(Kind::Struct) { format!("{by_value}.ByValue") } else { by_value });
    };
    if facts.direction == Direction::In && facts.length.is_none() && by_value != "Pointer" {
        return Ok(by_value);
    }
    Ok(match target {
        Type::Named { kind: Kind::Family, .. } => "int[]".to_owned(),
        Type::Named { name, kind: Kind::Scalar } => format!("{}[]", number(name)?),
        Type::Named { name, kind: Kind::Struct } if facts.length.is_none() => name.clone(),
        Type::Pointer { pointer_to, .. } if pointer_to.is(Kind::Handle) => "long[]".to_owned(),
        Type::Pointer { .. } if facts.direction == Direction::Out => "PointerByReference".to_owned(),
        // A list of handles of several types.
        Type::Pointer { pointer_to, .. } if pointer_to.is(Kind::Void) => "long[]".to_owned(),
        _ => "Pointer".to_owned(),
    })
}
