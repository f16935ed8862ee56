//! What `cargo xtask test NAME ..` runs.
//!
//! A name is that of a stage, the id of a row, a path of the repository, or a part of the name of a test. A path stands
//! for the tests in that file, or else for the stages that test what is below it.

use super::Context;
use super::Extent;
use super::stages::{Body, STAGES, Stage, stage_of};
use crate::programs::Test;
use crate::tools::{Done, exists, files_below, io, root};

/// Some stages and some tests.
#[derive(Default)]
pub struct Choice {
    stages: Vec<&'static str>,
    /// Sources of tests.
    files: Vec<String>,
    /// Parts of the names of tests.
    parts: Vec<String>,
    /// Files of the Python tests.
    python: Vec<String>,
}

/// The stage of the Python tests.
const PYTHON: &str = "Python";
const PYTHON_TESTS: &str = "bindings/python/tests/test_";

impl Choice {
    /// What the names stand for.
    pub fn of(names: &[&str]) -> Done<Choice> {
        let mut choice = Choice::default();
        for name in names {
            if let Some(stage) = STAGES.iter().find(|stage| plain(stage.name) == plain(name)) {
                choice.stages.push(stage.name);
            } else if is_row(name) {
                choice.add_row(name)?;
            } else if exists(name) {
                choice.add_path(name.trim_end_matches('/'));
            } else if name.starts_with('-') {
                return Err(format!("test takes --all, --timings and names, not {name}"));
            } else {
                choice.parts.push((*name).to_owned());
            }
        }
        Ok(choice)
    }

    /// The tests that name a row: in their own names, or, in the languages other than Rust, anywhere in their file.
    fn add_row(&mut self, id: &str) -> Done {
        let (spoken, written) = (id.to_uppercase(), id.to_lowercase().replace('-', "_"));
        self.parts.push(format!("{written}_"));
        for folder in ["c-tests", "bindings/cpp/tests", "bindings/python/tests"] {
            for (file, _) in files_below(&root().join(folder))? {
                let Some(path) = file.strip_prefix(root()).ok().and_then(|path| path.to_str()) else { continue };
                if ![".c", ".cpp", ".py"].iter().any(|end| path.ends_with(end)) {
                    continue;
                }
                let text = io(&file, std::fs::read_to_string(&file))?;
                if has_word(&text, &spoken) || has_word(&text, &written) {
                    self.add_path(path);
                }
            }
        }
        Ok(())
    }

    fn add_path(&mut self, path: &str) {
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        if path.starts_with("c-tests/") && path.ends_with(".c") {
            self.parts.push(format!("c::c_{}", stem.replace('-', "_")));
        } else if path.starts_with("bindings/cpp/tests/") && path.ends_with(".cpp") {
            self.parts.push(format!("cpp::{stem}::"));
        } else if path.starts_with(PYTHON_TESTS) {
            self.python.push(path.to_owned());
        } else if stage_of(&Test { name: String::new(), file: path.to_owned() }).is_some() && path.ends_with(".rs") {
            self.files.push(path.to_owned());
        } else {
            let touches = |other: &&str| path.starts_with(*other) || other.starts_with(path);
            let stages = STAGES.iter().filter(|stage| stage.paths.iter().any(touches));
            self.stages.extend(stages.map(|stage| stage.name));
        }
    }

    /// Whether a stage runs, whole or in part.
    pub fn has(&self, stage: &Stage) -> bool {
        let in_part = match stage.body {
            Body::Tests { .. } => !self.parts.is_empty() || self.files.iter().any(|file| self.is_stage_of(stage, file)),
            Body::Own { .. } => stage.name == PYTHON && !self.python.is_empty(),
        };
        in_part || self.stages.contains(&stage.name)
    }

    fn is_stage_of(&self, stage: &Stage, file: &str) -> bool {
        let test = Test { name: String::new(), file: file.to_owned() };
        matches!(stage.body, Body::Tests { holds, .. } if holds(&test))
    }

    /// Whether all tests of a stage run.
    pub fn has_whole(&self, stage: &Stage) -> bool {
        self.stages.contains(&stage.name)
    }

    /// Whether a test of a stage runs.
    pub fn has_test(&self, stage: &Stage, test: &Test) -> bool {
        self.stages.contains(&stage.name)
            || self.files.contains(&test.file)
            || self.parts.iter().any(|part| format!("{}_", test.name).contains(part))
    }
}

impl Context {
    /// The files to which the Python tests are confined; none: all of them run.
    pub fn python_files(&self) -> Vec<&str> {
        match &self.extent {
            Extent::Named(choice) if !choice.stages.contains(&PYTHON) => {
                choice.python.iter().map(String::as_str).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The name of a stage as one may type it: `c-with-sanitizers`.
fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == '+').collect()
}

/// Whether it is written like the id of a row: letters and a number.
fn is_row(name: &str) -> bool {
    let is_id = |(letters, number): (&str, &str)| {
        (1..=3).contains(&letters.len())
            && letters.chars().all(|c| c.is_ascii_alphabetic())
            && number.parse::<u32>().is_ok()
    };
    name.split_once('-').is_some_and(is_id)
}

/// Whether the text has the word, not as the beginning of a longer number.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()))
}
