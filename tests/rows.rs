//! The rows of the specification and the tests that name them.
//!
//! `docs/rows.txt` lists every row. A test names a row in its own name (`br_6_second_writer_is_refused`) or in a comment (`BR-6`,
//! `X12`, a range as `BR-20..26` or `X1-X40`). A row that is due (`core`) and that no test names is a failure.

#[path = "support/tools.rs"]
mod tools;

use std::collections::{BTreeMap, BTreeSet};
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
        let digits =
            id.find(|c: char| c.is_ascii_digit()).unwrap_or_else(|| panic!("docs/rows.txt: no number in {id}"));
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
                    if let Some(at) = text.find("\nmod tests {") {
                        found.push((path, text[at..].to_owned()));
                    }
                } else if (folder != "bindings" || parts.iter().any(|p| p == "tests"))
                    && parts[..] != ["tests", "rows.rs"]
                {
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
        let comment =
            ["//", "/*", "*", "#", "\""].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let mut at = 0;
        while let Some(start) = line[at..].find(|c: char| c.is_ascii_alphabetic()).map(|start| at + start) {
            let whole = &line[start..];
            let word = &whole[..whole.find(|c| !is_word(c)).unwrap_or(whole.len())];
            at = start + word.len();
            if line[..start].ends_with(is_word) {
                continue;
            }
            found.extend(function_rows(line, start, word, prefixes));
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
            let rest = whole[if bare { word.len() } else { word.len() + 1 }..]
                .trim_start_matches(|c: char| c.is_ascii_digit());
            // BR-20..26, X1-X40
            let last = rest.strip_prefix("..").or(rest.strip_prefix(&format!("-{prefix}"))).and_then(leading_number);
            found.extend((first..=last.unwrap_or(first).max(first)).map(|number| (prefix.to_owned(), number)));
        }
    }
    found
}

/// The rows that begin a function's name: `fn br_6_second_writer`, `fn x3_to_x10_reshape`, `def test_py_7_..`, `void br_6_..`.
fn function_rows(line: &str, start: usize, word: &str, prefixes: &BTreeSet<String>) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::new();
    if !["fn ", "def ", "void "].iter().any(|keyword| line[..start].ends_with(keyword)) {
        return found;
    }
    let mut parts = word.trim_start_matches("test_").trim_start_matches("c_").split('_').peekable();
    let mut range_from = None;
    while let Some(part) = parts.next() {
        let letters = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let prefix = part[..letters].to_uppercase();
        // `x12`, or `br` and then `6`
        let number = match part[letters..].parse() {
            Ok(number) => Some(number),
            Err(_) if letters == part.len() => {
                parts.next_if(|next| next.parse::<u32>().is_ok()).and_then(|n| n.parse().ok())
            }
            Err(_) => None,
        };
        let Some(number) = number.filter(|_| prefixes.contains(&prefix)) else { break };
        let first = range_from.take().unwrap_or(number);
        found.extend((first..=number).map(|number| (prefix.clone(), number)));
        if parts.next_if_eq(&"to").is_some() {
            range_from = Some(number + 1);
        }
    }
    found
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
    let missing: Vec<&Row> =
        rows.iter().filter(|(row, due)| **due && !named.contains(row)).map(|(row, _)| row).collect();
    if missing.is_empty() {
        return;
    }
    panic!("rows without a test: {} of {due} that are due: {}", missing.len(), ranges(&missing));
}

/// "BR-20..23 BR-25" of sorted rows.
fn ranges(rows: &[&Row]) -> String {
    let mut text = Vec::new();
    for run in rows.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1) {
        let (first, last) = (run[0], run[run.len() - 1]);
        text.push(if run.len() == 1 { shown(first) } else { format!("{}..{}", shown(first), last.1) });
    }
    text.join(" ")
}

#[test]
fn tests_name_no_unknown_row() {
    let rows = listed();
    let prefixes = prefixes(&rows);
    let mut unknown = Vec::new();
    for (path, text) in tests() {
        // A name such as T3 or X0 means other things too: only what has a hyphen or names a function is surely a row.
        let wrong = named(&text, &prefixes)
            .into_iter()
            .filter(|row| !rows.contains_key(row) && !BARE.contains(&row.0.as_str()));
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
    assert_eq!(find("fn x1_x2_orders() {} fn x_3_to_x_5_more() {} fn br_6_2_readers() {}"), "X1 X2 X3 X4 X5 BR-6");
    assert_eq!(find("def test_py_7_guards():"), "PY-7");
    assert_eq!(find("static void br_14_release(void) {"), "BR-14");
    assert_eq!(find("/* BR-1, BR-20..23: tiers */"), "BR-1 BR-20 BR-21 BR-22 BR-23");
    assert_eq!(find("    # X1-X3 and I7"), "X1 X2 X3 I7");
    assert_eq!(find("let X1 = I8; let ABR-6 = 1; br_6(); XBR-6; TN_I16 // TN_I16"), "");
}
