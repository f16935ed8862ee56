//! Tables of docs/borrowing.md that tests write from what they observe.

use std::fs::File;

/// The page as it was compiled in: a test of GPUs may run on a machine without the repository.
const PAGE: &str = include_str!("../../docs/borrowing.md");
/// With this environment variable, a test writes its tables into that file in place of comparing them.
const WRITE: &str = "TENURE_WRITE_TABLES";

/// Compares the table below this head, such as `| the value | no flag |`, with the observed rows.
pub fn check(head: &str, rows: &[Vec<String>]) {
    assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == head.matches(" | ").count() + 1));
    let body: String = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    if let Some(path) = std::env::var_os(WRITE) {
        // Other tests write other tables.
        let lock = File::open(&path).expect("the page is there");
        lock.lock().expect("it can be locked");
        let page = std::fs::read_to_string(&path).expect("the page can be read");
        let (before, _, after) = split(&page, head);
        return std::fs::write(&path, format!("{before}{body}{after}")).expect("the page can be written");
    }
    let (_, written, _) = split(PAGE, head);
    if written != body {
        let differs = |(shown, found): &(&str, &str)| shown != found;
        let first = written.lines().zip(body.lines()).find(differs);
        let (shown, found) = first.unwrap_or(("another number of rows", &body));
        panic!(
            "docs/borrowing.md, below {head}\nshows    {shown}\nobserved {found}\n`cargo xtask borrowing` writes it"
        );
    }
}

/// The page up to a table's first row, the rows, and the rest.
fn split<'a>(page: &'a str, head: &str) -> (&'a str, &'a str, &'a str) {
    let at = page.find(&format!("\n{head}\n|---")).unwrap_or_else(|| panic!("docs/borrowing.md has no table {head}"));
    let (_, rows) = page[at + 1..].split_at(head.len() + 1);
    let rows = &rows[rows.find('\n').expect("a table ends with a line") + 1..];
    let start = page.len() - rows.len();
    let end = rows.find("\n\n").map_or(rows.len(), |end| end + 1);
    // A table that has no rows yet.
    let end = if rows.starts_with('|') { end } else { 0 };
    (&page[..start], &page[start..start + end], &page[start + end..])
}
