//! Generates the two sides of the comparison from `src/types.rs` and `include/tenure.h`.

fn main() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let types = format!("{root}/src/types.rs");
    // Without these the old files would be compared.
    println!("cargo::rerun-if-changed={root}/include/tenure.h");
    println!("cargo::rerun-if-changed={types}");
    let mut generator = ctest::TestGenerator::new();
    generator.edition(2024).include(format!("{root}/include")).header("tenure.h");
    // Opaque types have no layout in C; callback types are compared through the signatures, by the header's freshness.
    let source = std::fs::read_to_string(&types).expect("src/types.rs can be read");
    let opaque: Vec<String> = source
        .split("pub struct ")
        .filter(|item| item.split('}').next().is_some_and(|body| body.contains("_opaque")))
        .filter_map(|item| item.split_whitespace().next().map(str::to_owned))
        .collect();
    generator.skip_struct(move |s| opaque.iter().any(|name| name == s.ident()));
    generator.skip_alias(|a| a.ident().ends_with("_callback"));
    ctest::generate_test(&mut generator, &types, "abi.rs").expect("ctest reads src/types.rs");
}
