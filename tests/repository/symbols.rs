//! The shared library's dynamic symbols: its name, and exactly the functions of the header.

use crate::support;
use std::process::Command;
use support::tools::{compiler, declarations, files, library, output, read, root};
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

/// No size, field or constant of a release changes: each is recorded in its `pins.c`. Until the release is tagged,
/// `cargo xtask release --record` writes the record again.
#[test]
fn structs_and_constants_are_those_of_the_releases() {
    require(&["gcc"]);
    let pins = files("abi", "pins.c");
    assert!(!pins.is_empty(), "abi has no release");
    for file in pins {
        output(compiler("gnu11").arg("-fsyntax-only").arg(root().join(&file)))
            .unwrap_or_else(|text| panic!("{}:\n{text}", file.display()));
    }
}
