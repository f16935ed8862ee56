//! Programs in a binding's README, each with the output that is shown below it.

/// The blocks of this language that contain `mark`, which makes one a whole program, each with the text block after it.
pub fn programs<'a>(readme: &'a str, language: &str, mark: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for block in readme.split(&format!("```{language}\n")).skip(1) {
        let (program, after) = block.split_once("```\n").expect("a block ends");
        if program.contains(mark) {
            let shown = after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next());
            found.push((program, shown.expect("the output follows its program")));
        }
    }
    assert!(found.len() >= 2, "the README's programs were not recognised");
    found
}

/// Fails if the README does not show a file of the example and what the example prints.
pub fn shows(readme: &str, parts: &[&str]) {
    for part in parts {
        assert!(readme.contains(part), "the README does not show:\n{part}");
    }
}
