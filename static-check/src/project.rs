//! The files to check, and how they are compiled: named files with options, or a compile_commands.json.

use crate::preprocess::Compilation;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Options that have a value behind them, and matter to the preprocessor.
const WITH_VALUE: [&str; 6] = ["-I", "-D", "-U", "-isystem", "-iquote", "-include"];

/// The compilations of the arguments: a file ending in .json is a list of commands.
pub fn compilations(files: &[PathBuf], options: &[String]) -> Result<Vec<Compilation>, String> {
    let mut found = Vec::new();
    for file in files {
        if file.extension().is_some_and(|end| end == "json") {
            found.extend(of_commands(file, options)?);
        } else {
            found.push(Compilation { file: file.clone(), folder: PathBuf::new(), options: options.to_vec() });
        }
    }
    Ok(found)
}

/// Whether the file is C++.
pub fn is_cpp(file: &Path) -> bool {
    file.extension().and_then(|end| end.to_str()).is_some_and(|end| ["cpp", "cc", "cxx", "C", "hpp"].contains(&end))
}

fn of_commands(list: &Path, more: &[String]) -> Result<Vec<Compilation>, String> {
    let wrong = |what: &str| format!("{}: {what}", list.display());
    let text = std::fs::read_to_string(list).map_err(|error| wrong(&error.to_string()))?;
    let commands: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let commands = commands.as_array().ok_or_else(|| wrong("no list of commands: write it with CMake or bear"))?;
    let mut found = Vec::new();
    for command in commands {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        let words: Vec<String> = match command["arguments"].as_array() {
            Some(words) => words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect(),
            None => split(text("command")),
        };
        let folder = PathBuf::from(text("directory"));
        let file = folder.join(text("file"));
        if !file.extension().and_then(|end| end.to_str()).is_some_and(|end| end == "c" || is_cpp(&file)) {
            continue;
        }
        let mut options = preprocessor_options(&words);
        options.extend_from_slice(more);
        found.push(Compilation { file, folder, options });
    }
    Ok(found)
}

/// The options of a compiler's command that matter before parsing.
fn preprocessor_options(words: &[String]) -> Vec<String> {
    let mut options = Vec::new();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            options.push(word.clone());
            options.extend(words.next().cloned());
        } else if WITH_VALUE.iter().any(|option| word.starts_with(option)) || word.starts_with("-std=") {
            options.push(word.clone());
        }
    }
    options
}

/// The words of a command: quotes and backslashes as in a shell.
fn split(command: &str) -> Vec<String> {
    let (mut words, mut word, mut is_word, mut quote) = (Vec::new(), String::new(), false, None);
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                is_word = true;
            }
            (None | Some('"'), '\\') => {
                word.extend(rest.next());
                is_word = true;
            }
            (None, c) if c.is_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            _ => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_what_the_preprocessor_needs() {
        let words = split(r#"cc -O2 -Iinclude -I "a b" -DX=\"y\" -std=c11 -Wall -c -o x.o x.c"#);
        assert_eq!(preprocessor_options(&words), ["-Iinclude", "-I", "a b", "-DX=\"y\"", "-std=c11"]);
    }
}
