//! The rows of the specification and the tests that name them.
//!
//! `docs/rows.txt` lists every row. A test names a row in its own name (`br_6_second_writer_is_refused`) or in a comment (`BR-6`,
//! `X12`, a range as `BR-20..26` or `X1-X40`). Rows that are due and that no test names are listed; with TENURE_ROWS=strict they
//! fail.

mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use tools::{files, is_word, read};

/// A prefix and a number: BR-6, X12.
type Row = (String, u32);

/// These are written without a hyphen, and so only count where a comment or a text has them.
const BARE: &[&str] = &["I", "X", "M", "T"];

fn shown(row: &Row) -> String {
    if BARE.contains(&row.0.as_str()) { format!("{}{}", row.0, row.1) } else { format!("{}-{}", row.0, row.1) }
}

/// Of each row of `docs/rows.txt`: is it due?
fn listed() -> BTreeMap<Row, bool> {
    let mut rows = BTreeMap::new();
    for line in read("docs/rows.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, owner, stage] = fields[..] else { panic!("docs/rows.txt: not three fields: {line}") };
        assert!(!owner.is_empty(), "docs/rows.txt: nobody owns {id}");
        assert!(["core", "later"].contains(&stage), "docs/rows.txt: {id} is {stage}, neither core nor later");
        let digits = id.find(|c: char| c.is_ascii_digit()).unwrap_or_else(|| panic!("docs/rows.txt: no number in {id}"));
        let number = id[digits..].parse().unwrap_or_else(|_| panic!("docs/rows.txt: no number in {id}"));
        let row = (id[..digits].trim_end_matches('-').to_owned(), number);
        assert_eq!(shown(&row), id, "docs/rows.txt: how a row is written");
        assert!(rows.insert(row, stage == "core").is_none(), "docs/rows.txt: {id} stands there twice");
    }
    rows
}

/// The test code of the repository: path and text.
fn tests() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["tests", "c-tests", "benches", "bindings", "src"] {
        for end in [".rs", ".c", ".h", ".cpp", ".py"] {
            for path in files(folder, end) {
                let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                let text = read(&path);
                if folder == "src" {
                    if let Some(at) = text.find("#[cfg(test)]") {
                        found.push((path, text[at..].to_owned()));
                    }
                } else if (folder != "bindings" || parts.iter().any(|p| p == "tests")) && parts[..] != ["tests", "rows.rs"] {
                    found.push((path, text));
                }
            }
        }
    }
    found
}

/// The rows that a text names.
fn named(text: &str, prefixes: &BTreeSet<String>) -> Vec<Row> {
    let mut found = Vec::new();
    for line in text.lines() {
        let comment = ["//", "/*", "*", "#", "\""].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let mut at = 0;
        while let Some(start) = line[at..].find(|c: char| c.is_ascii_alphabetic()).map(|start| at + start) {
            let whole = &line[start..];
            let word = &whole[..whole.find(|c| !is_word(c)).unwrap_or(whole.len())];
            at = start + word.len();
            if line[..start].ends_with(is_word) {
                continue;
            }
            found.extend(function_row(line, start, word, prefixes));
            let letters = word.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(word.len());
            let (prefix, digits) = word.split_at(letters);
            if !prefixes.contains(prefix) {
                continue;
            }
            let bare = BARE.contains(&prefix);
            let first = if bare && start > comment {
                digits.parse().ok()
            } else if !bare && digits.is_empty() {
                whole[word.len()..].strip_prefix('-').and_then(leading_number)
            } else {
                None
            };
            let Some(first) = first else { continue };
            let rest = whole[if bare { word.len() } else { word.len() + 1 }..].trim_start_matches(|c: char| c.is_ascii_digit());
            // BR-20..26, X1-X40
            let last = rest.strip_prefix("..").or(rest.strip_prefix(&format!("-{prefix}"))).and_then(leading_number);
            found.extend((first..=last.unwrap_or(first).max(first)).map(|number| (prefix.to_owned(), number)));
        }
    }
    found
}

/// The row that begins a function's name: `fn br_6_second_writer`, `fn x12_..`, `def test_py_7_..`, `static void br_6_..`.
fn function_row(line: &str, start: usize, word: &str, prefixes: &BTreeSet<String>) -> Option<Row> {
    let declared = ["fn ", "def ", "void "].iter().any(|keyword| line[..start].ends_with(keyword));
    let name = word.trim_start_matches("test_").trim_start_matches("c_");
    let letters = name.find(|c: char| !c.is_ascii_lowercase())?;
    let prefix = name[..letters].to_uppercase();
    let rest = &name[letters..];
    let number = leading_number(rest.strip_prefix('_').unwrap_or(rest))?;
    let ends = rest.trim_start_matches('_').trim_start_matches(|c: char| c.is_ascii_digit());
    (declared && prefixes.contains(&prefix) && (ends.is_empty() || ends.starts_with('_'))).then_some((prefix, number))
}

fn leading_number(text: &str) -> Option<u32> {
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}

fn prefixes(rows: &BTreeMap<Row, bool>) -> BTreeSet<String> {
    rows.keys().map(|(prefix, _)| prefix.clone()).collect()
}

#[test]
fn every_row_that_is_due_has_a_test() {
    let rows = listed();
    let prefixes = prefixes(&rows);
    let named: BTreeSet<Row> = tests().iter().flat_map(|(_, text)| named(text, &prefixes)).collect();
    let due = rows.values().filter(|due| **due).count();
    let missing: Vec<String> = rows.iter().filter(|(row, due)| **due && !named.contains(row)).map(|(row, _)| shown(row)).collect();
    if missing.is_empty() {
        return;
    }
    // Past the capture of the test runner: the list is to be seen although the test passes.
    let text = format!("rows without a test: {} of {due} that are due: {}\n", missing.len(), missing.join(" "));
    std::io::stdout().write_all(text.as_bytes()).expect("stdout can be written");
    assert!(std::env::var("TENURE_ROWS").as_deref() != Ok("strict"), "{text}");
}

#[test]
fn tests_name_no_unknown_row() {
    let rows = listed();
    let prefixes = prefixes(&rows);
    let mut unknown = Vec::new();
    for (path, text) in tests() {
        // A name such as T3 or X0 means other things too: only what has a hyphen or names a function is surely a row.
        let wrong = named(&text, &prefixes).into_iter().filter(|row| !rows.contains_key(row) && !BARE.contains(&row.0.as_str()));
        unknown.extend(wrong.map(|row| format!("{}: {}", path.display(), shown(&row))));
    }
    assert!(unknown.is_empty(), "not in docs/rows.txt:\n{}", unknown.join("\n"));
}

#[test]
fn rows_are_found_as_tests_write_them() {
    let prefixes = ["BR", "X", "PY", "I"].map(str::to_owned).into();
    let find = |text: &str| {
        let mut found: Vec<String> = named(text, &prefixes).iter().map(shown).collect();
        found.dedup(); // the end of a range stands in it and for itself
        found.join(" ")
    };
    assert_eq!(find("fn br_6_second_writer_is_refused() {"), "BR-6");
    assert_eq!(find("    fn x12_is_strided() {} fn x_13_too() {}"), "X12 X13");
    assert_eq!(find("def test_py_7_guards():"), "PY-7");
    assert_eq!(find("static void br_14_release(void) {"), "BR-14");
    assert_eq!(find("/* BR-1, BR-20..23: tiers */"), "BR-1 BR-20 BR-21 BR-22 BR-23");
    assert_eq!(find("    # X1-X3 and I7"), "X1 X2 X3 I7");
    assert_eq!(find("let X1 = I8; let ABR-6 = 1; br_6(); XBR-6; TN_I16 // TN_I16"), "");
}
