//! Findings as text, in the form of compilers, and as SARIF, which editors and code hosts read.

use crate::findings::{Finding, Place, Rule};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Where the rules are explained.
const EXPLAINED: &str = "docs/static-checks.md";

/// A line of a file.
fn line_of(place: &Place) -> Option<String> {
    let text = std::fs::read_to_string(&place.file).ok()?;
    text.lines().nth(place.line.checked_sub(1)?).map(str::to_owned)
}

/// Whether the finding's line allows it: `/* tenure-check: allow SC-7 */`.
pub fn is_allowed(finding: &Finding) -> bool {
    let Some(line) = line_of(&finding.place) else { return false };
    let Some((_, allowed)) = line.split_once("tenure-check: allow ") else { return false };
    allowed.split([' ', ',', '*']).any(|rule| rule == finding.rule)
}

/// `file:line:column: warning: what [SC-4]`, the line with a mark, and notes.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        describe(&mut text, &finding.place, "warning", &format!("{} [{}]", finding.message, finding.rule));
        for (place, note) in &finding.notes {
            describe(&mut text, place, "note", note);
        }
    }
    text
}

fn describe(text: &mut String, place: &Place, kind: &str, message: &str) {
    let Place { file, line, column } = place;
    let source = line_of(place);
    // Expansions of macros move what follows them: then the line is marked at its beginning.
    let length = source.as_ref().map_or(0, |source| source.len());
    let first = source.as_ref().map_or(0, |source| length - source.trim_start().len()) + 1;
    let column = if *column > length { first } else { (*column).max(first) };
    let _ = writeln!(text, "{}:{line}:{column}: {kind}: {message}", file.display());
    if let Some(source) = source {
        let indent: String =
            source.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(text, "{source}\n{indent}^");
    }
}

/// A log of SARIF 2.1.0.
pub fn sarif(findings: &[Finding]) -> String {
    let place = |place: &Place| {
        json!({
            "artifactLocation": {"uri": uri(&place.file)},
            "region": {"startLine": place.line, "startColumn": place.column},
        })
    };
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let related: Vec<Value> = finding
                .notes
                .iter()
                .map(|(at, note)| json!({"physicalLocation": place(at), "message": {"text": note}}))
                .collect();
            json!({
                "ruleId": finding.rule,
                "level": if finding.rank <= 2 { "error" } else { "warning" },
                "rank": f64::from(6 - finding.rank.min(5)) * 20.0,
                "message": {"text": finding.message},
                "locations": [{"physicalLocation": place(&finding.place)}],
                "relatedLocations": related,
            })
        })
        .collect();
    let rules: Vec<Value> =
        Rule::ALL.iter().map(|rule| json!({"id": rule.id(), "shortDescription": {"text": rule.title()}})).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tenure check",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": EXPLAINED,
                "rules": rules,
            }},
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

/// A path as a reference of a URI.
fn uri(path: &Path) -> String {
    let mut text = if path.is_absolute() { "file://".to_owned() } else { String::new() };
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri(Path::new("/a b/x.c")), "file:///a%20b/x.c");
        assert_eq!(uri(Path::new("x.c")), "x.c");
    }
}
