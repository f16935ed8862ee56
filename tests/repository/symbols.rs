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

/// The value behind a word of a line of `readelf -n`.
fn noted<'a>(note: &'a str, word: &str) -> &'a str {
    let (_, rest) = note.split_once(word).unwrap_or_else(|| panic!("no {word} in {note}"));
    rest.split(['\n', ',']).next().expect("a text has a first part").trim()
}

/// EV-30, EV-31: the notes name all probes with their arguments, and each probe is one instruction that does nothing.
#[test]
fn ev_30_probes_are_noted_and_idle() {
    require(&["readelf", "objdump"]);
    let notes = output(Command::new("readelf").args(["-W", "-n"]).arg(library())).unwrap();
    let probes: Vec<&str> = notes.split("Provider: ").skip(1).collect();
    let mut found = std::collections::BTreeSet::new();
    for probe in probes {
        assert!(probe.starts_with("tenure\n"), "{probe}");
        let arguments = noted(probe, "Arguments: ").split_whitespace().count();
        found.insert((noted(probe, "Name: "), arguments));
        let at = u64::from_str_radix(noted(probe, "Location: 0x"), 16).expect("an address");
        let (from, to) = (format!("--start-address={at}"), format!("--stop-address={}", at + 1));
        let code = output(Command::new("objdump").args(["-d", "--no-show-raw-insn", &from, &to]).arg(library()));
        let code = code.unwrap();
        let line = code.lines().last().unwrap_or_default();
        assert!(line.trim().ends_with("nop"), "{probe}\n{code}");
    }
    let expected = [("allocate_large", 3), ("give", 2), ("refused", 2), ("spill", 3), ("take", 2), ("unspill", 3)];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
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
