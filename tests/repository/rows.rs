//! The rows of the specification, `docs/spec`, and their citations. `docs/spec/README.md` describes how both are
//! written.
//!
//! Every cited id has a row, every implemented row has a test, and the pages follow their own format.

use crate::support::tools;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use tenure_harness::test;
use tools::{files, is_word, read, root};

/// Marks after the id of a row, or in a heading above it: the row is missing, or has no test yet.
const NOT_THERE_YET: &str = "(not there yet)";

/// Prefixes without a hyphen. Such a word may also be a name in code, so it counts only in comments, strings and
/// documents.
const BARE: &[&str] = &["I", "M", "T", "X"];

/// Words that look like a bare id and are element types.
const ELEMENT_TYPES: &[&str] = &["I32", "I64"];

/// Files that are searched for ids.
const TEXT_FILES: &[&str] = &["c", "cpp", "cuh", "dot", "h", "hpp", "json", "md", "py", "pyi", "rs", "toml", "txt"];

/// This file has examples of ids.
const THIS_FILE: &str = "tests/repository/rows.rs";

/// The id of a row: BR-6, X12.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Id {
    prefix: String,
    number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hyphen = if BARE.contains(&self.prefix.as_str()) { "" } else { "-" };
        write!(f, "{}{hyphen}{}", self.prefix, self.number)
    }
}

impl Id {
    /// The id that is the whole text: upper-case letters, a hyphen if the prefix has one, digits without a leading
    /// zero.
    fn parse(text: &str) -> Option<Id> {
        let letters = text.find(|c: char| !c.is_ascii_uppercase())?;
        let (prefix, rest) = text.split_at(letters);
        let number = rest.strip_prefix('-').unwrap_or(rest).parse().ok()?;
        let id = Id { prefix: prefix.to_owned(), number };
        (!prefix.is_empty() && id.to_string() == text).then_some(id)
    }
}

/// A row of the specification.
struct Row {
    id: Id,
    page: PathBuf,
    line: usize,
    is_there: bool,
}

/// A line of a page, and whether its content is implemented.
struct Line<'a> {
    text: &'a str,
    row: Option<Id>,
    is_there: bool,
}

/// The row that a line begins: its id as written, and the text after it.
fn row_start(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix("- **") {
        let (id, rest) = rest.split_once("**")?;
        return Some((id, rest.trim_start()));
    }
    let cell = line.strip_prefix("| ")?.split(" |").next()?;
    let end = cell.find(' ').unwrap_or(cell.len());
    Some((&cell[..end], cell[end..].trim_start()))
}

/// The lines of a page. A mark in a heading holds until the next heading of its level or above, a mark in a row until
/// the row ends.
fn lines(page: &str) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut headings: Vec<(usize, bool)> = Vec::new();
    let mut row_is_there = true;
    for text in page.lines() {
        let marked = text.contains(NOT_THERE_YET);
        let level = text.bytes().take_while(|byte| *byte == b'#').count();
        if level > 0 {
            headings.retain(|(above, _)| *above < level);
            headings.push((level, !marked));
        }
        let continues = text.starts_with("  ");
        let mut row = None;
        if !continues {
            row_is_there = true;
            if let Some((id, rest)) = row_start(text) {
                row = Id::parse(id);
                row_is_there = !rest.starts_with(NOT_THERE_YET);
            }
        }
        let heading_is_there = headings.iter().all(|(_, is_there)| *is_there);
        // A mark elsewhere in a table row or in a text without an id holds for that line.
        let is_there = heading_is_there && row_is_there && (row.is_some() || continues || !marked);
        found.push(Line { text, row, is_there });
    }
    found
}

/// The pages that have rows.
fn pages() -> Vec<PathBuf> {
    let mut pages = files("docs/spec", ".md");
    pages.retain(|page| !page.ends_with("README.md"));
    assert!(!pages.is_empty(), "docs/spec has no page");
    pages
}

/// All rows, in the order of the pages.
fn rows() -> Vec<Row> {
    let mut found = Vec::new();
    for page in pages() {
        for (at, line) in lines(&read(&page)).into_iter().enumerate() {
            if let Some(id) = line.row {
                found.push(Row { id, page: page.clone(), line: at + 1, is_there: line.is_there });
            }
        }
    }
    found
}

/// For each prefix in `docs/spec/README.md`, the page that has its rows.
fn prefixes() -> BTreeMap<String, PathBuf> {
    let text = read("docs/spec/README.md");
    let (_, table) = text.split_once("\n## Prefixes\n").expect("docs/spec/README.md has the prefixes");
    let mut found = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, prefix, page, ..] = cells[..] else { panic!("docs/spec/README.md: no prefix and page in {line}") };
        let page = page.split_once("](").and_then(|(_, rest)| rest.strip_suffix(')'));
        let page = page.unwrap_or_else(|| panic!("docs/spec/README.md: no link to the page of {prefix}"));
        let twice = found.insert(prefix.to_owned(), Path::new("docs/spec").join(page));
        assert!(twice.is_none(), "docs/spec/README.md: {prefix} stands there twice");
    }
    found
}

/// The prefixes alone.
fn prefix_names() -> BTreeSet<String> {
    prefixes().into_keys().collect()
}

/// All text files of the repository except this one: path and text.
fn repository() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the repository can be listed") {
            let path = entry.expect("the repository can be listed").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "__pycache__" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|end| TEXT_FILES.iter().any(|known| end == *known)) {
                let relative = path.strip_prefix(root()).expect("below the repository").to_owned();
                if relative != Path::new(THIS_FILE) {
                    found.push((relative, read(&path)));
                }
            }
        }
    }
    found.sort();
    found
}

/// The test code: tests, benchmarks, and unit tests at the end of sources or in files of their own.
fn test_code(repository: Vec<(PathBuf, String)>) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for (path, text) in repository {
        let top = path.iter().next().expect("a path has a part").to_string_lossy().into_owned();
        let is_code = path.extension().is_some_and(|end| ["rs", "c", "h", "cpp", "py"].iter().any(|code| end == *code));
        match top.as_str() {
            _ if !is_code => {}
            "bindings" | "command" | "static-check" if path.iter().any(|part| part == "tests") => {
                found.push((path, text))
            }
            "src" if path.ends_with("tests.rs") => found.push((path, text)),
            "src" | "command" => {
                if let Some(at) = text.find("\nmod tests {") {
                    found.push((path, text[at..].to_owned()));
                }
            }
            "tests" | "c-tests" | "benches" => found.push((path, text)),
            "cuda-sim" if path.starts_with("cuda-sim/peers") => found.push((path, text)),
            _ => {}
        }
    }
    found
}

/// The ids that a text cites. In a document, unlike in code, bare ids count everywhere.
fn cited(text: &str, is_document: bool, prefixes: &BTreeSet<String>) -> Vec<Id> {
    let mut found = Vec::new();
    for line in text.lines() {
        let marks = ["//", "/*", "*", "#", "\""];
        let comment = marks.iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let comment = if is_document { 0 } else { comment };
        let mut at = 0;
        while let Some(start) = line[at..].find(|c: char| c.is_ascii_alphanumeric()).map(|start| at + start) {
            let whole = &line[start..];
            let word = &whole[..whole.find(|c| !is_word(c)).unwrap_or(whole.len())];
            at = start + word.len();
            if line[..start].ends_with(is_word) {
                continue;
            }
            found.extend(function_ids(line, start, word, prefixes));
            let letters = word.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(word.len());
            let (prefix, digits) = word.split_at(letters);
            if !prefixes.contains(prefix) || ELEMENT_TYPES.contains(&word) {
                continue;
            }
            let bare = BARE.contains(&prefix);
            let first = if bare && start >= comment {
                digits.parse().ok()
            } else if !bare && digits.is_empty() {
                whole[word.len()..].strip_prefix('-').and_then(leading_number)
            } else {
                None
            };
            let Some(first) = first else { continue };
            let rest = &whole[if bare { word.len() } else { word.len() + 1 }..];
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            // BR-20..26, X1-X40
            let last = rest.strip_prefix("..").or(rest.strip_prefix(&format!("-{prefix}"))).and_then(leading_number);
            found.extend(range(prefix, first, last.unwrap_or(first)));
        }
    }
    found
}

/// The ids at the start of a function's name: `fn br_6_second_writer`, `fn x3_to_x10_reshape`, `def test_py_7_..`,
/// `void br_6_..`.
fn function_ids(line: &str, start: usize, word: &str, prefixes: &BTreeSet<String>) -> Vec<Id> {
    let mut found: Vec<Id> = Vec::new();
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
        found.extend(range(&prefix, range_from.take().unwrap_or(number), number));
        if parts.next_if_eq(&"to").is_some() {
            range_from = Some(number + 1);
        }
    }
    found
}

/// The ids from the first to the last; only the first if it is the larger one.
fn range(prefix: &str, first: u32, last: u32) -> impl Iterator<Item = Id> {
    let prefix = prefix.to_owned();
    (first..=last.max(first)).map(move |number| Id { prefix: prefix.clone(), number })
}

fn leading_number(text: &str) -> Option<u32> {
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}

/// "BR-20..23 BR-25" of sorted ids.
fn ranges(ids: &[&Id]) -> String {
    let mut text = Vec::new();
    for run in ids.chunk_by(|a, b| a.prefix == b.prefix && a.number + 1 == b.number) {
        let (first, last) = (run[0], run[run.len() - 1]);
        text.push(if run.len() == 1 { first.to_string() } else { format!("{first}..{}", last.number) });
    }
    text.join(" ")
}

#[test]
fn every_cited_row_exists() {
    let known: BTreeSet<Id> = rows().into_iter().map(|row| row.id).collect();
    let prefixes = prefix_names();
    let mut unknown = Vec::new();
    let mut citations = 0;
    for (path, text) in repository() {
        let is_document = path.extension().is_some_and(|end| end == "md");
        let ids = cited(&text, is_document, &prefixes);
        citations += ids.len();
        let wrong: BTreeSet<Id> = ids.into_iter().filter(|id| !known.contains(id)).collect();
        unknown.extend(wrong.iter().map(|id| format!("{}: {id}", path.display())));
    }
    assert!(unknown.is_empty(), "no such row in docs/spec:\n{}", unknown.join("\n"));
    assert!(citations > known.len(), "only {citations} citations were found");
}

#[test]
fn every_row_that_is_there_has_a_test() {
    let prefixes = prefix_names();
    let tests = test_code(repository());
    let named: BTreeSet<Id> = tests.iter().flat_map(|(_, text)| cited(text, false, &prefixes)).collect();
    let rows = rows();
    let mut there: Vec<&Id> = rows.iter().filter(|row| row.is_there).map(|row| &row.id).collect();
    there.sort();
    let missing: Vec<&Id> = there.iter().copied().filter(|id| !named.contains(id)).collect();
    println!("{} rows, {} of them not there yet", rows.len(), rows.len() - there.len());
    let (n, of) = (missing.len(), there.len());
    assert!(missing.is_empty(), "rows without a test, {n} of {of} that are there: {}", ranges(&missing));
}

#[test]
fn rows_are_written_as_the_readme_says() {
    let prefixes = prefixes();
    let mut faults = Vec::new();
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows() {
        let Row { id, page, line, .. } = row;
        let place = format!("{}:{line}: {id}", page.display());
        match prefixes.get(&id.prefix) {
            None => faults.push(format!("{place}: docs/spec/README.md does not have the prefix")),
            Some(right) if *right != page => faults.push(format!("{place}: belongs into {}", right.display())),
            Some(_) => {}
        }
        let before = last.insert(id.prefix.clone(), id.number);
        if before == Some(id.number) {
            faults.push(format!("{place}: stands there twice"));
        } else if before > Some(id.number) {
            faults.push(format!("{place}: comes after number {}", before.expect("it is larger")));
        }
    }
    for prefix in prefixes.keys().filter(|prefix| !last.contains_key(*prefix)) {
        faults.push(format!("docs/spec/README.md: there is no row with the prefix {prefix}"));
    }
    for page in pages() {
        for (at, line) in read(&page).lines().enumerate() {
            // A bold word at the start of a list item, or in a first cell, is a row if it has a prefix and a number.
            let Some((word, rest)) = row_start(line) else { continue };
            let letters = word.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(word.len());
            let number = word[letters..].trim_start_matches('-');
            let meant = prefixes.contains_key(&word[..letters]) && leading_number(number).is_some();
            let is_list = line.starts_with('-');
            let has_text = !rest.strip_prefix(NOT_THERE_YET).unwrap_or(rest).trim().is_empty();
            let well_formed = Id::parse(word).is_some() && (is_list == has_text);
            if meant && !well_formed {
                faults.push(format!("{}:{}: no row as the README has them: {line}", page.display(), at + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Names of the C API in implemented rows are in the headers. `tests/repository/docs.rs` checks the other documents.
#[test]
fn names_in_rows_that_are_there_exist() {
    let header = read("include/tenure.h") + &read("include/tenure_kernel.cuh");
    let header = header
        + &read("include/tenure_bindings.h")
        + &read("include/tenure_kernel_host.hpp")
        + &read("docs/spec/README.md");
    let known: BTreeSet<&str> = header.split(|c| !is_word(c)).collect();
    let mut unknown = Vec::new();
    for page in pages() {
        for (at, line) in lines(&read(&page)).into_iter().enumerate().filter(|(_, line)| line.is_there) {
            for word in line.text.split(|c| !is_word(c)) {
                let is_name = word.starts_with("tn_") || word.starts_with("TN_");
                if is_name && !known.contains(word) {
                    unknown.push(format!("{}:{}: {word}", page.display(), at + 1));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "not in the headers:\n{}", unknown.join("\n"));
}

#[test]
fn pages_are_read_as_they_are_written() {
    let page = "\
# Page
- **BR-1** There, with BR-7.
  | BR-9 | no row: a table inside of one |
- **BR-2** (not there yet) Missing, and
  its next line too.
- **no** row
Text. (not there yet)
| X1 | a |
| X2 (not there yet) | b |
## Missing (MI) (not there yet)
- **MI-1** Missing.
### Deeper
| M1 | c |
## There
- **MI-2** There. A part is (not there yet).
";
    let found: Vec<String> = lines(page)
        .into_iter()
        .map(|line| line.row.map_or("-".to_owned(), |id| id.to_string()) + if line.is_there { "" } else { "?" })
        .collect();
    let expected = "- BR-1 - BR-2? -? - -? X1 X2? -? MI-1? -? M1? - MI-2";
    assert_eq!(found.join(" "), expected);
    assert_eq!(Id::parse("BR-6").map(|id| id.to_string()), Some("BR-6".to_owned()));
    for wrong in ["BR6", "BR-06", "X-1", "x1", "BR-", "6", "BR-6a", ""] {
        assert_eq!(Id::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn ids_are_found_as_tests_write_them() {
    let prefixes = ["BR", "X", "PY", "I"].map(str::to_owned).into();
    let find_in = |text: &str, is_document| {
        let mut found: Vec<String> = cited(text, is_document, &prefixes).iter().map(Id::to_string).collect();
        found.dedup(); // the end of a range also has an entry of its own
        found.join(" ")
    };
    let find = |text| find_in(text, false);
    assert_eq!(find("fn br_6_second_writer_is_refused() {"), "BR-6");
    assert_eq!(find("    fn x12_is_strided() {} fn x_13_too() {}"), "X12 X13");
    assert_eq!(find("fn x1_x2_orders() {} fn x_3_to_x_5_more() {} fn br_6_2_readers() {}"), "X1 X2 X3 X4 X5 BR-6");
    assert_eq!(find("def test_py_7_guards():"), "PY-7");
    assert_eq!(find("static void br_14_release(void) {"), "BR-14");
    assert_eq!(find("/* BR-1, BR-20..23: tiers */"), "BR-1 BR-20 BR-21 BR-22 BR-23");
    assert_eq!(find("    # X1-X3 and I7"), "X1 X2 X3 I7");
    assert_eq!(find("let X1 = I8; let ABR-6 = 1; br_6(); XBR-6; TN_I16 // TN_I16 I32"), "");
    assert_eq!(find_in("I7, BR-2 and X1", true), "I7 BR-2 X1");
}
