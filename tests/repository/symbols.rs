//! The shared library's dynamic symbols: its name, and exactly the functions of the header.

use crate::support;
use std::process::Command;
use support::tools::{declarations, library, output, read};
use tenure_harness::{require, test};

#[test]
fn exported_symbols_are_the_headers_functions() {
    require(&["nm"]);
    let listed = output(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library())).unwrap();
    let mut exported: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    exported.sort();
    let foreign: Vec<_> = exported.iter().filter(|name| !name.starts_with("tn_")).collect();
    assert!(foreign.is_empty(), "exported without the prefix tn_: {foreign:?}");
    let mut declared: Vec<String> = declarations().into_iter().map(|d| d.name).collect();
    declared.sort();
    assert_eq!(exported, declared, "left: what the library exports, right: what the header declares");
    let reviewed = read("abi/symbols.txt");
    let reviewed: Vec<&str> = reviewed.lines().collect();
    assert_eq!(
        exported, reviewed,
        "left: what the library exports, right: abi/symbols.txt; `cargo xtask header` writes it"
    );
}

#[test]
fn soname_has_the_abi_number() {
    require(&["readelf"]);
    let dynamic = output(Command::new("readelf").arg("-d").arg(library())).unwrap();
    assert!(dynamic.contains("Library soname: [libtenure.so.0]"), "{dynamic}");
}

/// The C library is the only linked dependency: a driver, a BLAS or another runtime is looked up at run time.
#[test]
fn needs_only_the_c_library() {
    require(&["readelf"]);
    let dynamic = output(Command::new("readelf").arg("-d").arg(library())).unwrap();
    let needed: Vec<&str> =
        dynamic.lines().filter(|l| l.contains("(NEEDED)")).filter_map(|l| l.split(['[', ']']).nth(1)).collect();
    let known = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux-", "libpthread.so.", "libdl.so.", "librt.so."];
    let foreign: Vec<_> = needed.iter().filter(|n| !known.iter().any(|k| n.starts_with(k))).collect();
    assert!(!needed.is_empty() && foreign.is_empty(), "needed: {needed:?}");
}

/// `c-tests/abi.c` pins what the generated comparison cannot check: no later change moves a field.
#[test]
fn every_struct_is_pinned_in_the_c_test() {
    let pins = read("c-tests/abi.c");
    let mut missing = Vec::new();
    for item in read("include/tenure.h").split("\ntypedef struct ").skip(1) {
        let Some((name, body)) = item.split_once(" {\n") else { continue };
        let Some((body, _)) = body.split_once("\n}") else { continue };
        if name.contains(';') {
            continue; // an opaque type
        }
        if !pins.contains(&format!("SIZE({name}, ")) {
            missing.push(format!("SIZE({name}, ..)"));
        }
        for field in body.lines().filter_map(|line| line.strip_suffix(';')) {
            // A callback's name comes first: `tn_status (*allocate)(void *context)`.
            let field = field.split(['[', ')']).next().unwrap_or_default();
            let field = field.rsplit(|c| !support::tools::is_word(c)).next().unwrap_or_default();
            if !pins.contains(&format!("AT({name}, {field}, ")) {
                missing.push(format!("AT({name}, {field}, ..)"));
            }
        }
    }
    assert!(missing.is_empty(), "not in c-tests/abi.c:\n{}", missing.join("\n"));
}
