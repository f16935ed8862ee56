//! `cargo xtask header`: all committed files that are generated from `src/types.rs` and `src/ffi`.
//!
//! - `include/tenure.h`: types and functions by cbindgen, in sections. A section has the functions of a file of
//!   `src/ffi`, and above them the types that no earlier section uses, in the order of `src/types.rs`; each family of
//!   constants is an enum;
//! - `include/tenure_bindings.h`: the sections of `IN_BINDINGS`;
//! - `include/tenure_static_checks.h`: the functions with attributes for clang's analysis;
//! - `abi/symbols.txt`: the exported functions, sorted;
//! - `abi/api.json`: functions, types and constants as data;
//! - `bindings/fortran/tenure_c.f90`: that for Fortran;
//! - `bindings/go/constants.go`, `bindings/zig/status.zig`: constants for Go, errors for Zig;
//! - `bindings/java/tenure/TenureC.java`: that for Java;
//! - `bindings/node/tenure_c.js`, `tenure_c.d.ts`: that for Node.js;
//! - `bindings/rust/src/sys.rs`: types and functions for the Rust crate, and the Python crate, which includes the file.
//!
//! Promise: equal sources give equal bytes. `--check` writes nothing and names the files that are stale.

mod api;
mod checks;
mod facts;
mod fortran;
mod go;
mod java;
mod node;
mod rust;
mod zig;

use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use xtask::tools::{self, Done, read, root};

const MARK: &str = "/* -- items -- */";
/// Longest line of the header.
const WIDTH: usize = 120;

fn main() -> std::process::ExitCode {
    let check_only = std::env::args().nth(1).is_some_and(|option| option == "--check");
    tools::ended(if check_only { check() } else { write() })
}

/// Writes every generated file that differs.
fn write() -> Done {
    for (path, text) in generate()? {
        let file = root().join(path);
        if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
            println!("{path}: unchanged");
            continue;
        }
        let folder = file.parent().expect("a generated file lies in a folder");
        std::fs::create_dir_all(folder).map_err(|e| format!("{path}: {e}"))?;
        std::fs::write(&file, text).map_err(|e| format!("{path}: {e}"))?;
        println!("{path}: written");
    }
    Ok(())
}

/// Fails with the names of the files that are stale.
fn check() -> Done {
    let stale: Vec<&str> = generate()?
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root().join(path)).ok().as_deref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale: {}; run `cargo xtask header` and commit what it writes", stale.join(", ")))
}

/// The generated files, path and text.
fn generate() -> Done<Vec<(&'static str, String)>> {
    let sections = sections()?;
    let mut names: Vec<String> =
        sections.iter().flat_map(|s| s.functions.iter().map(|f| f.sig.ident.to_string())).collect();
    names.sort();
    let constants = constants()?;
    let (header, bindings) = headers(&sections, &constants)?;
    let api = api::describe(&sections, &constants)?;
    Ok(vec![
        ("include/tenure.h", header),
        ("include/tenure_bindings.h", bindings),
        ("include/tenure_static_checks.h", checks::header(&api)),
        ("abi/symbols.txt", names.iter().fold(String::new(), |text, name| text + name + "\n")),
        ("abi/api.json", api.text()?),
        ("bindings/fortran/tenure_c.f90", fortran::module(&api)?),
        ("bindings/go/constants.go", go::constants(&api)?),
        ("bindings/zig/status.zig", zig::statuses(&api)?),
        ("bindings/java/tenure/TenureC.java", java::class(&api)?),
        ("bindings/node/tenure_c.js", node::module(&api)?),
        ("bindings/node/tenure_c.d.ts", node::types(&api)?),
        ("bindings/rust/src/sys.rs", rust::sys(&sections)?),
    ])
}

/// One file of `src/ffi` with exported functions.
struct Section {
    name: String,
    /// The first sentence of the file, without `Section "name":`.
    title: String,
    /// The Cargo feature without which the library lacks it.
    feature: Option<String>,
    functions: Vec<syn::ItemFn>,
}

/// The sections in the order of the `mod` lines of `src/ffi/mod.rs`.
fn sections() -> Done<Vec<Section>> {
    let mut found = Vec::new();
    for item in parse("src/ffi/mod.rs")?.items {
        let syn::Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        let path = format!("src/ffi/{name}.rs");
        let file = parse(&path)?;
        let text = read(&path)?;
        let about: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//! ")).collect();
        let about = about.join(" ");
        let title = about.strip_prefix(&format!("Section \"{name}\": ")).map(str::to_owned);
        let functions: Vec<_> = file.items.into_iter().filter_map(exported).collect();
        if functions.is_empty() {
            continue;
        }
        let mut title =
            title.ok_or(format!("{path}: its first line must be `//! Section \"{name}\": what it has.`"))?;
        let feature = feature(&module.attrs);
        if let Some(feature) = &feature {
            title += &format!(" Not in a library that was built without the Cargo feature `{feature}`.");
        }
        found.push(Section { name, title, feature, functions });
    }
    Ok(found)
}

/// The feature of `#[cfg(feature = "..")]`.
fn feature(attributes: &[syn::Attribute]) -> Option<String> {
    let condition = attributes.iter().find(|attribute| attribute.path().is_ident("cfg"))?;
    let mut found = None;
    let _ = condition.parse_nested_meta(|meta| {
        found = Some(meta.value()?.parse::<syn::LitStr>()?.value());
        Ok(())
    });
    found
}

/// The item, if it is an exported function.
fn exported(item: syn::Item) -> Option<syn::ItemFn> {
    let syn::Item::Fn(function) = item else { return None };
    let named = function.attrs.iter().any(|a| a.to_token_stream().to_string().contains("no_mangle"));
    named.then_some(function)
}

fn parse(path: &str) -> Done<syn::File> {
    syn::parse_file(&read(path)?).map_err(|e| format!("{path}: {e}"))
}

/// The sections whose functions are in `include/tenure_bindings.h`. They follow all others in `src/ffi/mod.rs`.
const IN_BINDINGS: [&str; 2] = ["allocators", "bindings"];

/// `include/tenure.h` and `include/tenure_bindings.h`.
fn headers(sections: &[Section], constants: &[Constant]) -> Done<(String, String)> {
    let root = root();
    let mut config = cbindgen::Config::from_root_or_default(&root);
    // Constants are written here: cbindgen only makes macros of them, which many languages cannot read.
    config.export.exclude.extend(constants.iter().map(|constant| constant.name.clone()));
    let foreign = |name: &str| config.export.exclude.iter().any(|x| x == name);
    // All types, because those that no function mentions yet are part of the interface too.
    config.export.include = types()?.into_iter().map(|(name, _)| name).filter(|name| !foreign(name)).collect();
    let after = config.after_includes.get_or_insert_default();
    writeln!(after, "\n{MARK}").expect("a String takes any text");
    let mut raw = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/types.rs"))
        .with_src(root.join("src/ffi/mod.rs"))
        .generate()
        .map_err(|e| format!("cbindgen: {e}"))?
        .write(&mut raw);
    let raw = String::from_utf8(raw).map_err(|e| format!("cbindgen: {e}"))?;
    const OPEN: &str = "#ifdef __cplusplus\nextern \"C\" {\n#endif // __cplusplus\n";
    const CLOSE: &str = "#ifdef __cplusplus\n}  // extern \"C\"";
    let (head, rest) = raw.split_once(MARK).ok_or("cbindgen lost the mark between includes and items")?;
    let (items, rest) = rest.split_once(OPEN).ok_or("cbindgen wrote no extern \"C\" block")?;
    let (functions, tail) = rest.split_once(CLOSE).ok_or("cbindgen left the extern \"C\" block open")?;
    let (main, bindings) = divided(&type_blocks(items, constants)?, functions, sections)?;
    let body = |sections: &str| [OPEN, sections, "\n", CLOSE, tail.trim_end(), "\n"].concat();
    let header = [head.trim_end(), "\n\n", &with_checks(&body(&main))?].concat();
    let bindings = [BINDINGS_HEAD, &body(&bindings).replace("TENURE_H", "TENURE_BINDINGS_H")].concat();
    Ok((header, bindings))
}

/// The body of the header, which includes the attributes at its end.
fn with_checks(body: &str) -> Done<String> {
    let (rest, end) = body.rsplit_once("#endif").ok_or("cbindgen wrote no include guard")?;
    Ok([rest, "#ifdef TN_STATIC_CHECKS\n#include \"tenure_static_checks.h\"\n#endif\n\n#endif", end].concat())
}

const BINDINGS_HEAD: &str = "\
/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_bindings.h
 * Functions that other libraries load as their allocator, and functions of Tenure's language bindings. Most programs do
 * not need this header.
 */

#ifndef TENURE_BINDINGS_H
#define TENURE_BINDINGS_H

#include \"tenure.h\"

";

/// A constant of `src/types.rs`.
struct Constant {
    name: String,
    /// Its type: a family of constants, or a plain integer.
    family: String,
    comment: Vec<String>,
    /// The value as C has it.
    value: String,
}

/// The constants of `src/types.rs`.
fn constants() -> Done<Vec<Constant>> {
    let mut found = Vec::new();
    for item in parse("src/types.rs")?.items {
        let syn::Item::Const(item) = item else { continue };
        found.push(Constant {
            name: item.ident.to_string(),
            family: item.ty.to_token_stream().to_string(),
            comment: doc_lines(&item.attrs),
            value: c_value(&item.expr).ok_or(format!("src/types.rs: {}: no such value is expected", item.ident))?,
        });
    }
    Ok(found)
}

/// The lines of an item's comment.
fn doc_lines(attributes: &[syn::Attribute]) -> Vec<String> {
    let line = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect()
}

/// The value in C: a literal, a shifted 1, or names joined by |.
fn c_value(value: &syn::Expr) -> Option<String> {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => {
            let text = number.to_string();
            let number: u64 = number.base10_parse().ok()?;
            // Only "none" is so large; a hexadecimal number would tell nothing.
            Some(if text.starts_with("0x") && number < 1 << 32 { format!("{number:#x}") } else { number.to_string() })
        }
        syn::Expr::Path(path) => Some(path.to_token_stream().to_string()),
        syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => Some(format!("-{}", c_value(expr)?)),
        syn::Expr::Binary(pair) => {
            let sign = match pair.op {
                syn::BinOp::Shl(_) => "<<",
                syn::BinOp::BitOr(_) => "|",
                _ => return None,
            };
            Some(format!("{} {sign} {}", c_value(&pair.left)?, c_value(&pair.right)?))
        }
        _ => None,
    }
}

impl Constant {
    /// Its comment, indented by `indent`.
    fn comment(&self, indent: &str) -> String {
        let lines: Vec<&str> = self.comment.iter().map(String::as_str).collect();
        if let [line] = lines[..]
            && indent.len() + line.len() + 8 <= WIDTH
        {
            return format!("{indent}/** {line} */\n");
        }
        let lines: String =
            lines.iter().map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n").collect();
        format!("{indent}/**\n{lines}{indent} */\n")
    }
}

/// A type or a family of constants, as the header has it.
struct Block {
    /// The place of its first name in `src/types.rs`.
    at: usize,
    text: String,
}

/// The families of constants as enums, each at the place of its first constant in `src/types.rs`.
fn enums(constants: &[Constant], order: &[(String, bool)]) -> Done<Vec<Block>> {
    let place = |name: &str| order.iter().position(|(known, _)| known == name).expect("types() lists all constants");
    let mut blocks: Vec<Block> = Vec::new();
    let mut done = BTreeSet::new();
    for first in constants {
        let at = place(&first.name);
        let family = first.family.as_str();
        if family.starts_with("tn_") {
            if done.insert(family) {
                let mut text = "TN_ENUM {\n".to_owned();
                for constant in constants.iter().filter(|c| c.family == family) {
                    text += &constant.comment("    ");
                    writeln!(text, "    {} = {},", constant.name, constant.value).expect("a String takes any text");
                }
                blocks.push(Block { at, text: text + "};" });
            }
        } else if family == "usize" {
            // The length of an array in structs must be a constant expression of C.
            let text = format!("TN_ENUM {{\n{}    {} = {},\n}};", first.comment("    "), first.name, first.value);
            blocks.push(Block { at, text });
        } else {
            let c = match family {
                "u32" => "uint32_t",
                "u64" => "uint64_t",
                "i32" => "int32_t",
                "i64" => "int64_t",
                other => return Err(format!("src/types.rs: {}: no constant of type {other} is expected", first.name)),
            };
            let (name, value) = (&first.name, &first.value);
            let bracketed = if value.starts_with('-') { format!("({value})") } else { value.clone() };
            let comment = first.comment("");
            let text = format!(
                "{comment}static const {c} {name} = {value};\n#ifndef SWIG\n#define {name} {bracketed}\n#endif"
            );
            blocks.push(Block { at, text });
        }
    }
    Ok(blocks)
}

/// The names in `src/types.rs` in their order, each with whether an empty line precedes it.
fn types() -> Done<Vec<(String, bool)>> {
    let mut names = Vec::new();
    let mut parted = true;
    for line in read("src/types.rs")?.lines() {
        let mut words = line.split([' ', ':', ';', '<', '{']);
        if line.is_empty() {
            parted = true;
        } else if words.next() == Some("pub") && matches!(words.next(), Some("const" | "type" | "struct")) {
            names.push((words.next().unwrap_or_default().to_owned(), std::mem::take(&mut parted)));
        }
    }
    Ok(names)
}

/// The types and families of constants, in the order of `src/types.rs`.
fn type_blocks(items: &str, constants: &[Constant]) -> Done<Vec<Block>> {
    let order = types()?;
    let mut blocks = enums(constants, &order)?;
    for block in items.split("\n\n").map(str::trim).filter(|b| !b.is_empty()) {
        let code = block.split_once("*/\n").map_or(block, |(_, code)| code);
        let from = code.find("(*").map_or(0, |at| at + 2); // a callback's name follows its return type
        let at = tokens(&code[from..]).find_map(|word| order.iter().position(|(name, _)| *name == word));
        let at = at.ok_or(format!("an item that src/types.rs does not have:\n{block}"))?;
        let text = short_comment(&block.lines().map(untagged).collect::<Vec<_>>().join("\n"));
        blocks.push(Block { at, text });
    }
    blocks.sort_by_key(|block| block.at);
    Ok(blocks)
}

/// For each block the first section that uses it, by its functions or through other types. All handles belong to the
/// first section. A block that nothing uses belongs to the section of the block below it.
fn first_uses(blocks: &[Block], sections: &[Section]) -> Done<Vec<usize>> {
    let order = types()?;
    let mut blocks_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, block) in blocks.iter().enumerate() {
        blocks_of.entry(&order[block.at].0).or_default().push(index);
        if block.text.starts_with("TN_ENUM {") {
            // With its type, which is the block above if it has one.
            let family = &order[block.at.saturating_sub(1)].0;
            blocks_of.entry(family).or_default().push(index);
        }
    }
    let mut users = vec![None; blocks.len()];
    let mut use_all_of = |words: Vec<String>, section: usize| {
        let mut pending = words;
        while let Some(word) = pending.pop() {
            for &index in blocks_of.get(word.as_str()).into_iter().flatten() {
                if users[index].is_none() {
                    users[index] = Some(section);
                    pending.extend(tokens(&without_comments(&blocks[index].text)).map(str::to_owned));
                }
            }
        }
    };
    let is_handle = |block: &&Block| {
        without_comments(&block.text).trim().starts_with("typedef struct") && !block.text.contains('{')
    };
    use_all_of(blocks.iter().filter(is_handle).map(|block| order[block.at].0.clone()).collect(), 0);
    for (section, Section { functions, .. }) in sections.iter().enumerate() {
        let signatures = functions.iter().map(|function| function.sig.to_token_stream().to_string());
        use_all_of(signatures.flat_map(|text| tokens(&text).map(str::to_owned).collect::<Vec<_>>()).collect(), section);
    }
    let mut below = 0;
    for user in users.iter_mut().rev() {
        below = *user.get_or_insert(below);
    }
    Ok(users.into_iter().flatten().collect())
}

/// The code without what stands between `/*` and `*/`.
fn without_comments(code: &str) -> String {
    code.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect()
}

/// The blocks with the empty lines of `src/types.rs` between them.
fn joined<'a>(blocks: impl Iterator<Item = &'a Block>) -> Done<String> {
    let order = types()?;
    let mut text = String::new();
    let mut joined_before = false;
    let mut last = usize::MAX;
    for Block { at, text: block } in blocks {
        let joins = block.lines().count() == 2 && !block.contains('{');
        // A family's constants come right below its type.
        let follows_type = block.starts_with("TN_ENUM {") && last.wrapping_add(1) == *at && !order[*at].1;
        if !follows_type && (order[*at].1 || !joins || !joined_before) {
            text.push('\n');
        }
        text += block;
        text.push('\n');
        (joined_before, last) = (joins, *at);
    }
    Ok(text)
}

/// The sections of the two headers: a line and a group, the types that the section adds, and its functions.
fn divided(types: &[Block], functions: &str, sections: &[Section]) -> Done<(String, String)> {
    let (mut main, mut bindings) = (String::new(), String::new());
    let first_uses = first_uses(types, sections)?;
    let mut blocks = functions.split("\n\n").map(str::trim).filter(|b| !b.is_empty()).peekable();
    for (index, section) in sections.iter().enumerate() {
        let text = if IN_BINDINGS.contains(&section.name.as_str()) { &mut bindings } else { &mut main };
        let bar = "=".repeat((WIDTH - 8 - section.name.len()) / 2);
        write!(text, "\n/* {bar} {} {bar} */\n{}", section.name, group(section)).expect("a String takes any text");
        *text += &joined(types.iter().zip(&first_uses).filter(|(_, user)| **user == index).map(|(block, _)| block))?;
        let is_here = |block: &&str| {
            let code = without_comments(block);
            section.functions.iter().any(|f| tokens(&code).any(|word| f.sig.ident == word))
        };
        while let Some(block) = blocks.next_if(is_here) {
            text.push('\n');
            let block: String = block.lines().flat_map(|line| [untagged(line), "\n".to_owned()]).collect();
            *text += &must_check(block);
        }
    }
    match blocks.next() {
        None => Ok((main, bindings)),
        Some(block) => Err(format!("a function that stands in no section, or before one:\n{block}")),
    }
}

/// The declaration, with the attribute if its status must not be ignored. A release is also
/// called where another failure is handled already, as is the end of a guard; a name and a call site
/// serve messages only.
fn must_check(block: String) -> String {
    let code = without_comments(&block);
    let name = code.split('(').next().unwrap_or_default();
    let has_status = code.trim_start().starts_with("tn_status");
    let may_be_ignored = ["_release", "_deallocate", "tn_borrow_end", "tn_array_set_name", "tn_here"]
        .iter()
        .any(|end| name.ends_with(end));
    if !has_status || may_be_ignored {
        block
    } else {
        block.trim_end().trim_end_matches(';').to_owned() + " TN_MUST_CHECK;\n"
    }
}

/// The comment that opens a section. Its first sentence is the title, the others follow.
fn group(section: &Section) -> String {
    let (title, rest) = section.title.split_once(". ").unwrap_or((section.title.trim_end_matches('.'), ""));
    if rest.is_empty() {
        return format!("/** @defgroup {} {title} */\n", section.name);
    }
    let mut text = format!("/**\n * @defgroup {} {title}", section.name);
    let mut room = 0;
    for word in rest.split(' ') {
        if room < word.len() + 1 {
            text += "\n *";
            room = WIDTH - 2;
        }
        text += " ";
        text += word;
        room -= word.len() + 1;
    }
    text + "\n */\n"
}

fn first_sentence(doc: &str) -> &str {
    let doc = doc.split("\n\n").next().unwrap_or_default();
    doc.find(". ").map_or(doc, |at| &doc[..=at])
}

/// All words that could be names.
fn tokens(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The name of a constant without TN_, in the case that Go and Zig use: `BorrowedWrite` of TN_BORROWED_WRITE.
fn camel(constant: &str) -> String {
    let word = |word: &str| match word {
        "CPU" | "CUDA" | "COW" | "IO" | "NPY" | "OK" => word.to_owned(),
        "DTYPE" => "DType".to_owned(),
        _ if word.contains(|c: char| c.is_ascii_digit()) => word.to_owned(),
        _ => word[..1].to_owned() + &word[1..].to_lowercase(),
    };
    constant.trim_start_matches("TN_").split('_').map(word).collect()
}

/// The line with `tn_x` for `struct tn_x`, except where it is defined.
fn untagged(line: &str) -> String {
    if line.starts_with("typedef struct") { line.to_owned() } else { line.replace("struct tn_", "tn_") }
}

/// Puts one-line comments on one line.
fn short_comment(block: &str) -> String {
    let lines: Vec<&str> = block.lines().collect();
    let mut text = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let indent = &line[..line.len() - line.trim_start().len()];
        match lines.get(at + 1..at + 3) {
            Some([body, end]) if line.trim() == "/**" && end.trim() == "*/" && body.len() + 5 <= WIDTH => {
                text.push(format!("{indent}/** {} */", body.trim().trim_start_matches("* ")));
                at += 3;
            }
            _ => {
                text.push(line.to_owned());
                at += 1;
            }
        }
    }
    text.join("\n")
}
