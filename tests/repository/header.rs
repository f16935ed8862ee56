//! The header: fresh, compiles in every order of includes, and documents every item fully.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, declarations, output, read, root};
use tenure_harness::{require, test};

#[test]
fn generated_files_are_fresh() {
    let mut check = Command::new(env!("CARGO"));
    check.args(["xtask", "header", "--check"]).current_dir(root());
    output(&mut check).unwrap();
}

/// Writes a source file for this test.
fn source(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the target folder is writable");
    path
}

fn compiles_as(standard: &str) {
    let end = if standard.starts_with("c++") { "cpp" } else { "c" };
    let program = if end == "cpp" { "g++" } else { "gcc" };
    require(&[program]);
    let tag = standard.replace("++", "pp");
    let alone = source(&format!("alone_{tag}.{end}"), "#include \"tenure.h\"\n");
    output(compiler(standard).arg("-fsyntax-only").arg(&alone)).unwrap();
    // Two translation units of one program, each with the header twice, which use the constants.
    let first = source(
        &format!("first_{tag}.{end}"),
        "#include \"tenure.h\"\n#include \"tenure.h\"\nint second(tn_dtype dtype);\n\
         int main(void) { return second(TN_DTYPE(TN_CODE_FLOAT, 64u)); }\n",
    );
    let second = source(
        &format!("second_{tag}.{end}"),
        "#include \"tenure.h\"\nint second(tn_dtype dtype);\nstatic const int64_t none = TN_NONE;\n\
         int second(tn_dtype dtype) {\n    switch (dtype) {\n    case TN_F64: return none == -INT64_MAX ? 0 : 2;\n\
         \x20   case TN_F32: return 3;\n    default: return 4;\n    }\n}\n",
    );
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("units_{tag}"));
    output(compiler(standard).arg(&first).arg(&second).arg("-o").arg(&program)).unwrap();
    output(&mut Command::new(&program)).unwrap();
}

#[test]
fn compiles_as_c11() {
    compiles_as("c11");
}

#[test]
fn compiles_as_c17() {
    compiles_as("c17");
}

#[test]
fn compiles_as_cpp17() {
    compiles_as("c++17");
}

#[test]
fn compiles_as_cpp20() {
    compiles_as("c++20");
}

/// The foreign structs are named by their tags, so that a program may include their own headers before or after
/// tenure.h.
#[test]
fn fits_dlpacks_own_header() {
    require(&["gcc", "g++"]);
    let theirs = "typedef struct DLManagedTensor { void *a; } DLManagedTensor;\n\
                  typedef struct DLManagedTensorVersioned { void *a; } DLManagedTensorVersioned;\n\
                  typedef struct DLPackExchangeAPI { void *a; } DLPackExchangeAPI;\n\
                  struct ArrowSchema { void *a; };\nstruct ArrowArray { void *a; };\nstruct ArrowDeviceArray { void *a; };\n";
    let ours = "#include \"tenure.h\"\n#include \"tenure_bindings.h\"\n";
    for (standard, end) in [("c11", "c"), ("c++17", "cpp")] {
        let before = source(&format!("dlpack_before.{end}"), &[theirs, ours].concat());
        let after = source(&format!("dlpack_after.{end}"), &[ours, theirs].concat());
        for unit in [before, after] {
            output(compiler(standard).arg("-fsyntax-only").arg(unit)).unwrap();
        }
    }
}

/// The parameters that a comment documents: name and first line.
fn params(comment: &str) -> Vec<(&str, &str)> {
    let lines = comment.lines().filter_map(|line| line.trim_start_matches([' ', '*']).strip_prefix("@param"));
    lines
        .filter_map(|line| line.trim_start_matches("[out]").trim_start().split_once(' '))
        .map(|(n, t)| (n, t.trim()))
        .collect()
}

#[test]
fn every_function_says_everything() {
    let mut missing = Vec::new();
    for function in declarations() {
        let comment = &function.comment;
        let mut want = |there: bool, what: &str| {
            if !there {
                missing.push(format!("{}: {what}", function.name));
            }
        };
        let documented: Vec<&str> = comment
            .lines()
            .filter_map(|line| line.trim_start_matches([' ', '*']).strip_prefix("@param"))
            .filter_map(|line| line.split_whitespace().find(|word| !word.starts_with('[')))
            .collect();
        // Doxygen shows the text after the name, so it must not be a sentence that begins with the name.
        for (name, text) in params(comment) {
            let good =
                text.starts_with(|c: char| c.is_uppercase() || "0123456789{\"`".contains(c)) || text.starts_with("tn_");
            want(good, &format!("@param {name}: `{text}` does not begin as a sentence does"));
        }
        want(documented == function.parameters, &format!("@param lines {documented:?} for {:?}", function.parameters));
        let first = comment.trim_start_matches(['/', '*', '\n', ' ']);
        want(first.starts_with(char::is_uppercase), "no first sentence");
        for tag in ["@since ", "@note Threads: "] {
            want(comment.contains(tag), &format!("no `{tag}`"));
        }
        want(comment.contains("@return ") != function.is_void, "`@return`, unless it returns nothing");
        let group = comment.split("@ingroup ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let section = group.is_some_and(|group| root().join(format!("src/ffi/{group}.rs")).exists());
        want(section, &format!("@ingroup {group:?} is no section of src/ffi"));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Statuses in a function's @return line exist.
#[test]
fn every_name_in_a_comment_exists() {
    let header = read("include/tenure.h");
    let words = |text: &str| -> Vec<String> {
        text.split(|c| !support::tools::is_word(c)).filter(|w| w.starts_with("TN_")).map(str::to_owned).collect()
    };
    // A name that the header tests for is the program's to define.
    let prefixes = ["#define ", "#ifdef "];
    let macros = header
        .lines()
        .filter_map(|l| prefixes.iter().find_map(|prefix| l.strip_prefix(prefix)))
        .flat_map(|l| words(l).into_iter().take(1));
    let constants = header.lines().filter(|l| l.starts_with("    TN_")).flat_map(|l| words(l).into_iter().take(1));
    let defined: Vec<String> = macros.chain(constants).collect();
    let unknown: Vec<String> = words(&header)
        .into_iter()
        // A family is named by its prefix: TN_ERR_, TN_WHY_.
        .filter(|word| {
            if word.ends_with('_') { !defined.iter().any(|d| d.starts_with(word)) } else { !defined.contains(word) }
        })
        .collect();
    assert!(unknown.is_empty(), "named in a comment of the header, but defined nowhere: {unknown:?}");
}

#[test]
fn every_type_field_and_constant_has_a_comment() {
    let header = read("include/tenure.h");
    let mut missing = Vec::new();
    let mut documented = false;
    for line in header.lines() {
        // Deeper lines continue a list of parameters.
        let is_indented_once = line.starts_with("    ") && !line.starts_with("     ");
        let field = is_indented_once && line.ends_with(';') || line.starts_with("    TN_");
        let item = line.starts_with("typedef ")
            || line.starts_with("static const ")
            || (line.starts_with("#define ") && line != "#define TENURE_H" && !is_twin(line));
        if (field || item) && !documented {
            missing.push(line);
        }
        documented = line.trim_end().ends_with("*/");
    }
    assert!(missing.is_empty(), "no comment above:\n{}", missing.join("\n"));
}

/// `struct.in` is a syntax error in Python, and SWIG and bindgen rename such a field.
#[test]
fn no_field_is_a_keyword_of_python_or_cpp() {
    let keywords = "and as assert async await class def del elif except finally from global import in is lambda nonlocal not or pass raise \
                    try with yield catch delete explicit export friend mutable namespace new operator private protected public template \
                    this throw typename using virtual";
    let header = read("include/tenure.h");
    let fields = header.lines().filter(|line| line.starts_with("    ") && line.ends_with(';'));
    let taken: Vec<&str> = fields
        .filter(|line| {
            let name = line.trim_end_matches(';').split('[').next().expect("a first part");
            let name = name.rsplit([' ', '*']).next().expect("a last word");
            keywords.split_whitespace().any(|keyword| keyword == name)
        })
        .collect();
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

/// A macro named like a variable, which has the comment.
fn is_twin(line: &str) -> bool {
    ["TN_VERSION", "TN_NONE", "TN_POOL_NONE", "TN_ALL_AXES"]
        .iter()
        .any(|name| line.starts_with(&format!("#define {name} ")))
}

/// A signature says which constants a parameter takes.
#[test]
fn every_family_has_a_type_and_every_flag_parameter_names_one() {
    let header = read("include/tenure.h");
    let mut families = Vec::new();
    let lines: Vec<&str> = header.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let is_limit = || ["TN_MAX_NDIM", "TN_IPC_DESCRIPTOR_BYTES"].iter().any(|name| lines[at + 2].contains(name));
        if *line == "TN_ENUM {" && !is_limit() {
            let family = lines[at - 1].strip_prefix("typedef uint32_t ").and_then(|rest| rest.strip_suffix(';'));
            families.push(family.unwrap_or_else(|| panic!("line {}: a family without its type above", at + 1)));
        }
    }
    assert!(families.len() > 30, "{families:?}");
    // A bare integer type does not say which constants are meant.
    for name in ["flags", "mode", "access", "kind", "how", "order", "form", "format", "op", "advice", "why", "bits"] {
        for bare in [format!("uint32_t {name}"), format!("int32_t {name}"), format!("int32_t *{name}")] {
            let found = header.lines().find(|line| {
                line.trim_end_matches([',', ';', ')']).ends_with(&bare) && !line.trim_start().starts_with('*')
            });
            assert!(found.is_none(), "a bare integer where a family is meant: {found:?}");
        }
    }
    // Counts are size_t; only axes and their number are int32_t.
    for line in header.lines().filter(|line| line.contains(" n_") && !line.trim_start().starts_with('*')) {
        assert!(line.contains("size_t n_") || line.contains("size_t *n_"), "a count that is no size_t: {line}");
    }
}

/// PO-60: rules that are not checked are documented.
#[test]
fn signal_handlers_are_warned_of() {
    let head = read("include/tenure.h");
    let head = head.split("#ifndef TENURE_H").next().expect("a head");
    assert!(head.contains("None may be called from a signal handler"), "the head has no word on signal handlers");
}

/// `abi/api.json`, which generators of bindings read.
fn description() -> serde_json::Value {
    serde_json::from_str(&read("abi/api.json")).expect("abi/api.json is JSON")
}

/// The items of a list of the description.
fn items<'a>(value: &'a serde_json::Value, list: &str) -> &'a [serde_json::Value] {
    value[list].as_array().unwrap_or_else(|| panic!("no list {list}"))
}

fn name(item: &serde_json::Value) -> &str {
    item["name"].as_str().expect("a name")
}

/// Every function is in it, with the declaration of the header; so are all types and constants.
#[test]
fn description_has_the_whole_header() {
    let api = description();
    let header = [read("include/tenure.h"), read("include/tenure_bindings.h")].concat();
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let flat = one_line(&header);
    let functions = items(&api, "functions");
    let mut names: Vec<&str> = functions.iter().map(name).collect();
    names.sort_unstable();
    let symbols = read("abi/symbols.txt");
    assert_eq!(names, symbols.lines().collect::<Vec<_>>());
    for function in functions {
        let declared = function["c"].as_str().expect("a declaration");
        let is_declared = ["", " TN_MUST_CHECK"].iter().any(|end| flat.contains(&format!(" {declared}{end};")));
        assert!(is_declared, "the header does not declare `{declared}`");
        let parameters = items(function, "parameters");
        for parameter in parameters {
            let length = parameter["length"].as_str();
            assert!(length.is_none_or(|length| parameters.iter().any(|other| name(other) == length)), "{parameter}");
        }
    }
    let lists = ["families", "handles", "callbacks", "structs"];
    let mut described: Vec<&str> = lists.iter().flat_map(|list| items(&api, list)).map(name).collect();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| line.starts_with("typedef "))
        .map(|line| {
            let line = line.split_once("(*").map_or(line, |(_, rest)| rest.split(')').next().unwrap_or_default());
            let line = line.trim_end_matches([';', '{', ' ']);
            line.rsplit(' ').next().expect("a last word")
        })
        .collect();
    described.sort_unstable();
    declared.sort_unstable();
    assert_eq!(described, declared);
    let families = items(&api, "families").iter().flat_map(|family| items(family, "constants"));
    let mut described: Vec<&str> = families.chain(items(&api, "constants")).map(name).collect();
    let mut declared: Vec<&str> = header
        .lines()
        .filter_map(|line| line.strip_prefix("    ").or_else(|| line.strip_prefix("static const ")))
        .filter(|line| line.contains(" = "))
        .filter_map(|line| line.split(" = ").next()?.split(' ').next_back())
        .filter(|word| word.starts_with("TN_"))
        .collect();
    described.sort_unstable();
    declared.sort_unstable();
    assert_eq!(described, declared);
}

/// Sizes, offsets and values are those of the compiler.
#[test]
fn description_agrees_with_the_compiler() {
    require(&["gcc"]);
    let api = description();
    let mut text = "#include \"tenure.h\"\n".to_owned();
    for known in items(&api, "structs") {
        let of = name(known);
        text += &format!("_Static_assert(sizeof({of}) == {}, \"{of}\");\n", known["size"]);
        text += &format!("_Static_assert(_Alignof({of}) == {}, \"{of}\");\n", known["align"]);
        for field in items(known, "fields") {
            let (field, offset) = (name(field), &field["offset"]);
            text += &format!("_Static_assert(offsetof({of}, {field}) == {offset}, \"{of}.{field}\");\n");
        }
    }
    for family in items(&api, "families") {
        for constant in items(family, "constants") {
            let of = name(constant);
            text += &format!("_Static_assert({of} == {}u, \"{of}\");\n", constant["value"]);
        }
    }
    for constant in items(&api, "constants") {
        let of = name(constant);
        text += &format!("_Static_assert({of} == {}, \"{of}\");\n", constant["value"]);
    }
    let unit = source("description.c", &text);
    output(compiler("c11").arg("-fsyntax-only").arg(unit)).unwrap();
}

/// What the comments say of ownership, NULL and lengths is in it. A few known parameters stand for the rules.
#[test]
fn description_knows_what_comments_say() {
    let api = description();
    let parameter = |function: &str, wanted: &str| -> serde_json::Value {
        let found = items(&api, "functions").iter().find(|known| name(known) == function).expect("a function");
        items(found, "parameters").iter().find(|known| name(known) == wanted).expect("a parameter").clone()
    };
    for (function, wanted, key, value) in [
        ("tn_array_zeros", "shape", "length", "ndim"),
        ("tn_array_slice", "specs", "length", "n_specs"),
        ("tn_leave", "keep", "length", "n_keep"),
        ("tn_report_json", "text", "length", "capacity"),
        ("tn_array_import_ipc", "descriptor", "length", "descriptor_bytes"),
        ("tn_borrow_kernel_view", "out", "length", "bytes"),
        ("tn_array_zeros", "pool", "null", "NULL: the thread's current pool of the host"),
        ("tn_array_release", "array", "ownership", "ended"),
        ("tn_array_clone", "array", "ownership", "call"),
        ("tn_array_import_dlpack_versioned", "tensor", "ownership", "moved"),
        ("tn_array_import_host", "ptr", "ownership", "kept"),
        ("tn_enter", "out", "ownership", "library"),
        ("tn_array_borrow_read", "data", "valid_until", "the guard ends"),
        ("tn_array_query", "info", "direction", "inout"),
        ("tn_array_clone", "out", "direction", "out"),
    ] {
        // What the comment of `tn_array_zeros` does not say stands in that of `tn_array_empty`.
        assert_eq!(parameter(function, wanted)[key], value, "{function}: {wanted}");
    }
    assert_eq!(parameter("tn_pool_allocate", "out")["released_by"][1], "tn_pool_reallocate");
    assert_eq!(parameter("tn_array_split_write", "parts")["released_by"][0], "tn_borrow_end");
    for (function, wanted, nullable) in [
        ("tn_array_import_host", "layout", false),
        ("tn_array_import_cudamat", "release", true),
        ("tn_array_clone", "out", false),
        ("tn_run_releases", "n_run", true),
    ] {
        assert_eq!(parameter(function, wanted)["nullable"], nullable, "{function}: {wanted}");
    }
    // An output that the caller must end says by which function, or is of a format that has its own.
    for function in items(&api, "functions") {
        for parameter in items(function, "parameters").iter().filter(|known| known["ownership"] == "caller") {
            let foreign = ["dlpack", "arrow", "ipc"].iter().any(|format| name(function).contains(format));
            assert!(foreign || parameter["released_by"].is_array(), "{}: {}", name(function), name(parameter));
        }
    }
}
