//! The version stands in `Cargo.toml`. Every other place that has one agrees.

use crate::support;
use support::tools::read;
use tenure_harness::test;

/// Manifests of what is released; those of tests and tools have the version 0.0.0.
const MANIFESTS: &[&str] = &[
    "bindings/malloc/Cargo.toml",
    "bindings/python/Cargo.toml",
    "bindings/python/pyproject.toml",
    "bindings/rust/Cargo.toml",
    "command/Cargo.toml",
    "cuda-sim/Cargo.toml",
    "event-log/Cargo.toml",
    "static-check/Cargo.toml",
];

/// Those of other languages' packages, with what stands before the version.
const OTHERS: &[(&str, &str)] = &[
    ("bindings/node/package.json", "  \"version\": \""),
    ("bindings/r/DESCRIPTION", "Version: "),
    ("bindings/zig/build.zig.zon", "    .version = \""),
    ("packaging/meson/meson.build", "project('tenure', 'c', version: '"),
];

/// Templates of the installed tree, into which `cargo xtask install` writes the version.
const TEMPLATES: &[&str] = &[
    "xtask/install/tenure.pc.in",
    "xtask/install/tenure-static.pc.in",
    "xtask/install/tenure-config-version.cmake.in",
];

/// The first version of a text that begins a line.
fn version_after<'a>(text: &'a str, start: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    let version = line.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.').next());
    version.unwrap_or_else(|| panic!("no line begins with {start}"))
}

#[test]
fn every_manifest_has_the_librarys_version() {
    let version = read("Cargo.toml");
    let version = version_after(&version, "version = \"");
    for (manifest, start) in OTHERS {
        assert_eq!(version_after(&read(manifest), start), version, "{manifest}");
    }
    for manifest in MANIFESTS {
        assert_eq!(version_after(&read(manifest), "version = \""), version, "{manifest}");
    }
}

#[test]
fn header_and_library_have_the_librarys_version() {
    let version = read("Cargo.toml");
    let version = version_after(&version, "version = \"");
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
    let [major, minor, patch] = parts[..] else { panic!("{version} has not three parts") };
    let encoded = major << 16 | minor << 8 | patch;
    assert_eq!(tenure::types::TN_VERSION, encoded, "src/types.rs");
    assert_eq!(tenure::ffi::library::tn_version(), encoded, "the library");
    assert_eq!(version_after(&read("abi/api.json"), "  \"version\": \""), version, "abi/api.json");
}

#[test]
fn changelog_and_recorded_interface_are_of_this_version() {
    let version = read("Cargo.toml");
    let version = version_after(&version, "version = \"");
    assert_eq!(version_after(&read("CHANGELOG.md"), "## "), version, "CHANGELOG.md");
    let minor = version.rsplit_once('.').expect("three parts").0;
    assert!(
        support::tools::root().join("abi").join(minor).join("libtenure.abi").exists(),
        "abi has no {minor}: cargo xtask release --record"
    );
}

#[test]
fn templates_have_no_version_of_their_own() {
    for template in TEMPLATES {
        let text = read(template);
        assert!(text.contains("@VERSION@"), "{template}");
        let is_version = |word: &str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
        let fixed = text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|word| is_version(word));
        assert_eq!(fixed, None, "{template}");
    }
}
