//! clang's own analysis of the attributes that the headers have with TN_STATIC_CHECKS, and of those of `tenure.hpp`.
//!
//! Contract: runs clang, and reads what it prints. Its warnings keep their words and the names of their options.

use crate::findings::{Finding, Place};
use crate::preprocess::Compilation;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The warnings of C that are about handles.
const C_OPTIONS: [&str; 4] = ["-Wthread-safety", "-Wunused-result", "-Wuninitialized", "-DTN_STATIC_CHECKS"];
/// Those of C++.
const CPP_OPTIONS: [&str; 5] = ["-std=c++17", "-Wconsumed", "-Wdangling", "-Wunused-result", "-Wuninitialized"];

/// Runs clang on a file.
pub fn check(compilation: &Compilation) -> Result<Vec<Finding>, String> {
    let is_cpp = crate::project::is_cpp(&compilation.file);
    let program = if is_cpp { "clang++" } else { "clang" };
    let mut command = Command::new(program);
    command.args(["-fsyntax-only", "-fno-caret-diagnostics", "-fno-color-diagnostics", "-Wno-everything"]);
    let options: &[&str] = if is_cpp { &CPP_OPTIONS } else { &C_OPTIONS };
    command.args(options).args(&compilation.options).arg(&compilation.file).stdin(Stdio::null());
    if !compilation.folder.as_os_str().is_empty() {
        command.current_dir(&compilation.folder);
    }
    let done = command.output().map_err(|error| format!("{program}: {error}; install clang"))?;
    let text = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        let first = text.lines().find(|line| line.contains(" error: ")).unwrap_or_default();
        return Err(format!("{}: {program} cannot compile it: {first}", compilation.file.display()));
    }
    let mut found = findings(&text);
    // The other messages of this analysis ask for annotations of loops and results that are right.
    found.retain(|finding| finding.rule != "-Wconsumed" || finding.message.starts_with("invalid invocation"));
    Ok(found)
}

/// The warnings in what clang printed.
fn findings(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for line in text.lines() {
        if let Some((place, message)) = parted(line, ": warning: ") {
            let (message, option) = match message.rsplit_once(" [") {
                Some((message, option)) => (message, option.trim_end_matches(']')),
                None => (message, "clang"),
            };
            found.push(Finding {
                rule: option.to_owned(),
                rank: 2,
                place,
                message: message.to_owned(),
                notes: Vec::new(),
            });
        } else if let Some((place, message)) = parted(line, ": note: ")
            && let Some(last) = found.last_mut()
        {
            last.notes.push((place, message.to_owned()));
        }
    }
    found
}

/// `file:line:column`, and the text behind the kind.
fn parted<'a>(line: &'a str, kind: &str) -> Option<(Place, &'a str)> {
    let (place, message) = line.split_once(kind)?;
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some((Place { file: PathBuf::from(parts.next()?), line, column }, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clang_prints_is_read() {
        let text = "a.c:3:5: warning: guard 'b' is still held at the end of function [-Wthread-safety-analysis]\n\
                    a.c:1:9: note: guard acquired here\n1 warning generated.\n";
        let [finding] = &findings(text)[..] else { panic!("one") };
        assert_eq!((finding.rule.as_str(), finding.place.line), ("-Wthread-safety-analysis", 3));
        assert_eq!(finding.notes[0].0.line, 1);
    }
}
