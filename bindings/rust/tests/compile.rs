//! What the borrow checker refuses: the programs of `tests/refused`, each with the compiler's message.

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
