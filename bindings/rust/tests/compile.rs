//! What the borrow checker refuses: the programs of `tests/refused`, each with the compiler's message.
//! `TRYBUILD=overwrite cargo test` writes the messages of another compiler; read the difference.

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
