//! `abi/api.json`: the C interface as data, which generators of bindings read in place of C.
//!
//! Promise: all of it comes from `src/types.rs` and `src/ffi`. The types are the declarations'; what a type cannot say
//! comes from the comment, by the rules of `facts`.

use super::facts::{self, Comment};
use super::{Constant, IN_BINDINGS, Section, parse};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use syn::ext::IdentExt;
use xtask::install;
use xtask::tools::Done;

/// Changes when a reader of the old form could be wrong.
const FORMAT: u32 = 1;

/// The interface.
#[derive(Serialize)]
pub struct Api {
    pub format: u32,
    pub version: String,
    pub sections: Vec<Heading>,
    pub families: Vec<Family>,
    pub constants: Vec<Value>,
    pub handles: Vec<Handle>,
    /// Structs of other libraries, of which only the address passes.
    pub foreign: Vec<String>,
    pub callbacks: Vec<Callback>,
    pub structs: Vec<Struct>,
    pub functions: Vec<Function>,
}

/// A section of a header.
#[derive(Serialize)]
pub struct Heading {
    pub name: String,
    pub header: &'static str,
    /// The Cargo feature without which the library lacks the section; null: none.
    pub feature: Option<String>,
    pub doc: String,
}

/// A type of constants.
#[derive(Serialize)]
pub struct Family {
    pub name: String,
    #[serde(rename = "type")]
    pub base: Type,
    pub doc: String,
    pub constants: Vec<Value>,
}

/// A constant. One outside of a family has a type of its own.
#[derive(Serialize)]
pub struct Value {
    pub name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub base: Option<Type>,
    pub value: i64,
    pub doc: String,
}

/// A type of handles, and the function that ends one.
#[derive(Serialize)]
pub struct Handle {
    pub name: String,
    pub released_by: String,
    pub doc: String,
}

/// A named type of functions that the program passes.
#[derive(Serialize)]
pub struct Callback {
    pub name: String,
    #[serde(flatten)]
    pub signature: Signature,
    pub doc: String,
}

/// A type of functions.
#[derive(Serialize, Clone)]
pub struct Signature {
    pub returns: Type,
    pub parameters: Vec<Named>,
}

/// A parameter of a callback.
#[derive(Serialize, Clone)]
pub struct Named {
    pub name: String,
    #[serde(rename = "type")]
    pub base: Type,
}

/// A struct whose fields the program sees.
#[derive(Serialize)]
pub struct Struct {
    pub name: String,
    pub size: usize,
    pub align: usize,
    /// Begins with `size`, which the caller sets to the sizeof.
    pub is_sized: bool,
    pub doc: String,
    pub fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Serialize)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub base: Type,
    pub c: String,
    pub offset: usize,
    pub doc: String,
}

/// An exported function.
#[derive(Serialize)]
pub struct Function {
    pub name: String,
    pub section: String,
    pub c: String,
    pub doc: String,
    pub parameters: Vec<Parameter>,
    pub returns: Returns,
    #[serde(flatten)]
    pub notes: facts::Notes,
}

/// The result of a function.
#[derive(Serialize)]
pub struct Returns {
    #[serde(rename = "type")]
    pub base: Type,
    pub doc: String,
    /// The statuses that the comment names, TN_OK first.
    pub statuses: Vec<String>,
}

/// A parameter of a function.
#[derive(Serialize, Clone)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub base: Type,
    pub c: String,
    #[serde(flatten)]
    pub facts: facts::Facts,
    pub doc: String,
}

/// A type of C.
#[derive(Serialize, Clone)]
#[serde(untagged)]
pub enum Type {
    Named {
        name: String,
        kind: Kind,
    },
    Pointer {
        pointer_to: Box<Type>,
        is_const: bool,
    },
    Array {
        array_of: Box<Type>,
        length: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        length_name: Option<String>,
    },
    /// A pointer to a function without a name of its own.
    Function {
        function: Box<Signature>,
    },
}

/// What a name of a type stands for.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Void,
    Scalar,
    Family,
    Handle,
    Callback,
    Struct,
    Foreign,
}

impl Type {
    /// The declaration of a name with this type.
    pub fn declare(&self, name: &str) -> String {
        self.declarator(name.to_owned(), false)
    }

    fn declarator(&self, inner: String, is_const: bool) -> String {
        let constant = if is_const { "const " } else { "" };
        match self {
            Type::Named { name, kind } => {
                let tag = if *kind == Kind::Foreign { "struct " } else { "" };
                let space = if inner.is_empty() { "" } else { " " };
                format!("{constant}{tag}{name}{space}{inner}")
            }
            Type::Pointer { pointer_to, is_const } => pointer_to.declarator(format!("*{constant}{inner}"), *is_const),
            Type::Array { array_of, length, length_name } => {
                let length = length_name.clone().unwrap_or_else(|| length.to_string());
                array_of.declarator(format!("{inner}[{length}]"), is_const)
            }
            Type::Function { function: signature } => {
                let parameters: Vec<String> =
                    signature.parameters.iter().map(|given| given.base.declare(&given.name)).collect();
                signature.returns.declare(&format!("(*{inner})({})", parameters.join(", ")))
            }
        }
    }

    /// Whether it is a name of this kind.
    pub fn is(&self, wanted: Kind) -> bool {
        matches!(self, Type::Named { kind, .. } if *kind == wanted)
    }

    /// What it points to, and whether that is constant.
    pub fn target(&self) -> Option<(&Type, bool)> {
        match self {
            Type::Pointer { pointer_to, is_const } => Some((pointer_to, *is_const)),
            _ => None,
        }
    }

    /// The name of its innermost type.
    pub fn name(&self) -> &str {
        match self {
            Type::Named { name, .. } => name,
            Type::Pointer { pointer_to: inner, .. } | Type::Array { array_of: inner, .. } => inner.name(),
            Type::Function { .. } => "",
        }
    }
}

/// The interface of these sections and constants.
pub fn describe(sections: &[Section], constants: &[Constant]) -> Done<Api> {
    let file = parse("src/types.rs")?;
    let mut known = Names::of(&file, constants)?;
    let mut api = Api {
        format: FORMAT,
        version: install::version()?,
        sections: Vec::new(),
        families: Vec::new(),
        constants: Vec::new(),
        handles: Vec::new(),
        foreign: Vec::new(),
        callbacks: Vec::new(),
        structs: Vec::new(),
        functions: Vec::new(),
    };
    for item in &file.items {
        match item {
            syn::Item::Struct(item) if known.kind(&item.ident) == Some(Kind::Handle) => {
                let doc = Comment::of(&item.attrs).text;
                let ends = facts::released_by(&doc);
                let [released_by] = &ends[..] else {
                    return Err(format!("src/types.rs: {}: its comment names no function that ends it", item.ident));
                };
                api.handles.push(Handle { name: item.ident.to_string(), released_by: released_by.clone(), doc });
            }
            syn::Item::Struct(item) if known.kind(&item.ident) == Some(Kind::Struct) => {
                let described = known.describe(item)?;
                known.sizes.insert(described.name.clone(), (described.size, described.align));
                api.structs.push(described);
            }
            syn::Item::Type(item) => {
                let (name, doc) = (item.ident.to_string(), Comment::of(&item.attrs).text);
                match known.callable(&item.ty)? {
                    Some(signature) => api.callbacks.push(Callback { name, signature, doc }),
                    None => {
                        let constants = values(constants, &name, &known)?;
                        api.families.push(Family { name, base: known.typed(&item.ty)?, doc, constants });
                    }
                }
            }
            _ => {}
        }
    }
    for constant in constants.iter().filter(|constant| !constant.family.starts_with("tn_")) {
        let base = Some(known.typed(&syn::parse_str(&constant.family).map_err(|e| e.to_string())?)?);
        let (name, doc) = (constant.name.clone(), constant.comment.join(" "));
        api.constants.push(Value { value: known.values[&name], name, base, doc });
    }
    for section in sections {
        let (name, doc) = (section.name.clone(), section.title.clone());
        let header = if IN_BINDINGS.contains(&name.as_str()) { "tenure_bindings.h" } else { "tenure.h" };
        let feature = section.feature.clone();
        api.sections.push(Heading { name, header, feature, doc });
        for function in &section.functions {
            api.functions.push(known.function(function, &section.name)?);
        }
    }
    facts::complete(&mut api)?;
    api.foreign = known.foreign.into_inner().into_iter().collect();
    Ok(api)
}

/// The constants of a family.
fn values(constants: &[Constant], family: &str, known: &Names) -> Done<Vec<Value>> {
    let of_family = constants.iter().filter(|constant| constant.family == family);
    let value = |constant: &Constant| Value {
        name: constant.name.clone(),
        base: None,
        value: known.values[&constant.name],
        doc: constant.comment.join(" "),
    };
    Ok(of_family.map(value).collect())
}

/// The names of `src/types.rs`.
struct Names {
    kinds: BTreeMap<String, Kind>,
    values: BTreeMap<String, i64>,
    /// Size and alignment of the structs so far.
    sizes: BTreeMap<String, (usize, usize)>,
    foreign: std::cell::RefCell<BTreeSet<String>>,
}

impl Names {
    fn of(file: &syn::File, constants: &[Constant]) -> Done<Names> {
        let mut names = Names {
            kinds: BTreeMap::new(),
            values: BTreeMap::new(),
            sizes: BTreeMap::new(),
            foreign: Default::default(),
        };
        for item in &file.items {
            let (name, kind) = match item {
                syn::Item::Struct(item) if !item.ident.to_string().starts_with("tn_") => (&item.ident, Kind::Foreign),
                syn::Item::Struct(item)
                    if item.fields.iter().any(|f| f.ident.as_ref().is_some_and(|i| i == "_opaque")) =>
                {
                    (&item.ident, Kind::Handle)
                }
                syn::Item::Struct(item) => (&item.ident, Kind::Struct),
                syn::Item::Type(item) if is_option(&item.ty) => (&item.ident, Kind::Callback),
                syn::Item::Type(item) => (&item.ident, Kind::Family),
                _ => continue,
            };
            names.kinds.insert(name.to_string(), kind);
        }
        for constant in constants {
            let value = names.value(&constant.value);
            let value = value.ok_or(format!("src/types.rs: {}: a value that cannot be computed", constant.name))?;
            names.values.insert(constant.name.clone(), value);
        }
        Ok(names)
    }

    fn kind(&self, name: &syn::Ident) -> Option<Kind> {
        self.kinds.get(&name.to_string()).copied()
    }

    /// The value of a constant as C has it: numbers and earlier names, shifted or joined.
    fn value(&self, text: &str) -> Option<i64> {
        if let Some((left, right)) = text.split_once(" | ") {
            return Some(self.value(left)? | self.value(right)?);
        }
        if let Some((left, right)) = text.split_once(" << ") {
            return Some(self.value(left)? << self.value(right)?);
        }
        if let Some(rest) = text.strip_prefix('-') {
            return Some(-self.value(rest)?);
        }
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok().or_else(|| self.values.get(text).copied()),
        }
    }

    /// The C type of a Rust type.
    fn typed(&self, rust: &syn::Type) -> Done<Type> {
        Ok(match rust {
            syn::Type::Ptr(pointer) => Type::Pointer {
                pointer_to: Box::new(self.typed(&pointer.elem)?),
                is_const: pointer.const_token.is_some(),
            },
            syn::Type::Array(array) => {
                let (length, length_name) = match &array.len {
                    syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => {
                        (number.base10_parse().map_err(|e| e.to_string())?, None)
                    }
                    syn::Expr::Path(path) => {
                        let name = path.path.segments.last().expect("a path has a segment").ident.to_string();
                        let length = *self.values.get(&name).ok_or(format!("src/types.rs: {name} is no constant"))?;
                        (usize::try_from(length).map_err(|e| e.to_string())?, Some(name))
                    }
                    _ => return Err("src/types.rs: an array of a length that is no name".to_owned()),
                };
                Type::Array { array_of: Box::new(self.typed(&array.elem)?), length, length_name }
            }
            syn::Type::Path(path) => match self.callable(rust)? {
                Some(signature) => Type::Function { function: Box::new(signature) },
                None => self.named(&path.path.segments.last().expect("a path has a segment").ident.to_string()),
            },
            _ => return Err("a type that C does not have".to_owned()),
        })
    }

    fn named(&self, name: &str) -> Type {
        let scalar = match name {
            "u8" => "uint8_t",
            "u16" => "uint16_t",
            "u32" => "uint32_t",
            "u64" => "uint64_t",
            "i8" => "int8_t",
            "i16" => "int16_t",
            "i32" => "int32_t",
            "i64" => "int64_t",
            "usize" => "size_t",
            "isize" => "ptrdiff_t",
            "f32" => "float",
            "f64" => "double",
            "c_char" => "char",
            "c_int" => "int",
            "c_void" => return Type::Named { name: "void".to_owned(), kind: Kind::Void },
            _ => "",
        };
        if !scalar.is_empty() {
            return Type::Named { name: scalar.to_owned(), kind: Kind::Scalar };
        }
        // A name that src/types.rs lacks is declared by another library's header.
        let kind = self.kinds.get(name).copied().unwrap_or(Kind::Foreign);
        if kind == Kind::Foreign {
            self.foreign.borrow_mut().insert(name.to_owned());
        }
        Type::Named { name: name.to_owned(), kind }
    }

    /// The signature, if it is an optional function.
    fn callable(&self, rust: &syn::Type) -> Done<Option<Signature>> {
        let syn::Type::Path(path) = rust else { return Ok(None) };
        let last = path.path.segments.last().expect("a path has a segment");
        let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return Ok(None) };
        let Some(syn::GenericArgument::Type(syn::Type::BareFn(function))) = arguments.args.first() else {
            return Ok(None);
        };
        let mut parameters = Vec::new();
        for input in &function.inputs {
            let name = input.name.as_ref().map(|(name, _)| name.unraw().to_string());
            let name = name.ok_or("src/types.rs: a callback with a parameter that has no name")?;
            parameters.push(Named { name, base: self.typed(&input.ty)? });
        }
        Ok(Some(Signature { returns: self.returned(&function.output)?, parameters }))
    }

    fn returned(&self, output: &syn::ReturnType) -> Done<Type> {
        match output {
            syn::ReturnType::Default => Ok(Type::Named { name: "void".to_owned(), kind: Kind::Void }),
            syn::ReturnType::Type(_, rust) => self.typed(rust),
        }
    }

    /// The size and alignment of a type on the platforms that the header accepts: 64 bits.
    fn layout(&self, base: &Type) -> Done<(usize, usize)> {
        Ok(match base {
            Type::Pointer { .. } | Type::Function { .. } => (8, 8),
            Type::Array { array_of, length, .. } => {
                let (size, align) = self.layout(array_of)?;
                (size * length, align)
            }
            Type::Named { name, kind } => match (kind, name.as_str()) {
                (Kind::Callback, _) => (8, 8),
                (Kind::Family, _) => (4, 4),
                (_, "char" | "uint8_t" | "int8_t") => (1, 1),
                (_, "uint16_t" | "int16_t") => (2, 2),
                (_, "uint32_t" | "int32_t" | "int" | "float") => (4, 4),
                (_, "uint64_t" | "int64_t" | "size_t" | "ptrdiff_t" | "double") => (8, 8),
                _ => *self
                    .sizes
                    .get(name)
                    .ok_or(format!("src/types.rs: {name} must stand above the struct that has it"))?,
            },
        })
    }

    fn describe(&self, item: &syn::ItemStruct) -> Done<Struct> {
        let (mut end, mut align) = (0, 1);
        let mut fields = Vec::new();
        for field in &item.fields {
            let name =
                field.ident.as_ref().ok_or(format!("{}: a field without a name", item.ident))?.unraw().to_string();
            let base = self.typed(&field.ty)?;
            let (size, needed) = self.layout(&base)?;
            let offset = usize::next_multiple_of(end, needed);
            (end, align) = (offset + size, align.max(needed));
            fields.push(Field { c: base.declare(&name), name, base, offset, doc: Comment::of(&field.attrs).text });
        }
        let is_sized = fields.first().is_some_and(|field| field.name == "size");
        let doc = Comment::of(&item.attrs).text;
        Ok(Struct { name: item.ident.to_string(), size: end.next_multiple_of(align), align, is_sized, doc, fields })
    }

    fn function(&self, function: &syn::ItemFn, section: &str) -> Done<Function> {
        let name = function.sig.ident.to_string();
        let comment = Comment::of(&function.attrs);
        let mut parameters = Vec::new();
        for input in &function.sig.inputs {
            let syn::FnArg::Typed(input) = input else { return Err(format!("{name}: a method")) };
            let syn::Pat::Ident(pattern) = &*input.pat else { return Err(format!("{name}: a pattern")) };
            let (given, base) = (pattern.ident.unraw().to_string(), self.typed(&input.ty)?);
            let (is_out, doc) = comment.parameter(&given).ok_or(format!("{name}: no @param {given}"))?;
            let facts = facts::Facts::new(is_out, doc);
            parameters.push(Parameter { c: base.declare(&given), name: given, base, facts, doc: doc.to_owned() });
        }
        let returned = self.returned(&function.sig.output)?;
        let list: Vec<&str> = parameters.iter().map(|parameter| parameter.c.as_str()).collect();
        let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
        let c = returned.declare(&format!("{name}({list})"));
        let is_status = returned.name() == "tn_status";
        let statuses = if is_status { facts::statuses(&comment.returns) } else { Vec::new() };
        let returns = Returns { base: returned, doc: comment.returns.clone(), statuses };
        let notes = comment.notes().map_err(|why| format!("{name}: {why}"))?;
        Ok(Function { name, section: section.to_owned(), c, doc: comment.text, parameters, returns, notes })
    }
}

fn is_option(rust: &syn::Type) -> bool {
    matches!(rust, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

impl Api {
    /// The text of `abi/api.json`.
    pub fn text(&self) -> Done<String> {
        let value = serde_json::to_value(self).map_err(|e| format!("abi/api.json: {e}"))?;
        let mut text = String::new();
        print(&value, 0, &mut text);
        Ok(text + "\n")
    }
}

/// Longest line that holds a whole object or list, except a parameter, field or constant.
const WIDTH: usize = 140;
/// Depth of parameters, fields and constants of a family.
const LEAF: usize = 4;

/// JSON in which each parameter, field and constant is one line.
fn print(value: &serde_json::Value, depth: usize, text: &mut String) {
    let flat = value.to_string();
    let (open, close, items): (_, _, Vec<(String, &serde_json::Value)>) = match value {
        serde_json::Value::Object(map) => (
            '{',
            '}',
            map.iter().map(|(key, item)| (format!("{}: ", serde_json::Value::from(key.as_str())), item)).collect(),
        ),
        serde_json::Value::Array(list) => ('[', ']', list.iter().map(|item| (String::new(), item)).collect()),
        _ => return text.push_str(&flat),
    };
    if items.is_empty() || depth >= LEAF || depth > 1 && 2 * depth + flat.len() <= WIDTH {
        return text.push_str(&flat);
    }
    text.push(open);
    for (at, (key, item)) in items.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        text.push_str(key);
        print(item, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}
