//! The output of measuring programs, round by round.
//!
//! A program prints a line "case <tab> minimum <tab> median" per case, and "# name <tab> value" for each fact about the
//! machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use xtask::tools::{Done, command, output};

/// Processes per program.
pub const ROUNDS: usize = 7;

/// The order in which a round goes through its cases.
pub fn direction(round: usize) -> &'static str {
    if round.is_multiple_of(2) { "forwards" } else { "backwards" }
}

/// The output of all rounds: minima and medians per case, and facts about the machine.
#[derive(Default)]
pub struct Figures {
    pub cases: BTreeMap<String, Vec<(f64, f64)>>,
    pub facts: BTreeMap<String, String>,
}

impl Figures {
    /// Runs one process per round, forwards and backwards in turn.
    pub fn measure(program: &Path, arguments: &[&Path]) -> Done<Figures> {
        let mut figures = Figures::default();
        for round in 0..ROUNDS {
            let mut run = command(program);
            figures.take(run.args(arguments).arg(direction(round)))?;
        }
        Ok(figures)
    }

    /// Adds the output of one process.
    pub fn take(&mut self, run: &mut Command) -> Done {
        for threads in ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
            run.env(threads, "1");
        }
        for line in output(run)?.lines() {
            self.read(line).ok_or_else(|| format!("{}: cannot read \"{line}\"", run.get_program().display()))?;
        }
        Ok(())
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let mut words = line.split('\t');
        let (name, first) = (words.next()?, words.next()?);
        match name.strip_prefix("# ") {
            Some(fact) => drop(self.facts.insert(fact.to_owned(), first.to_owned())),
            None => {
                let figure = (first.parse().ok()?, words.next()?.parse().ok()?);
                self.cases.entry(name.to_owned()).or_default().push(figure);
            }
        }
        Some(())
    }

    /// The minimum over all rounds.
    pub fn minimum(&self, case: &str) -> Option<f64> {
        self.cases.get(case)?.iter().map(|(least, _)| *least).reduce(f64::min)
    }

    /// The median of the rounds' medians.
    pub fn median(&self, case: &str) -> Option<f64> {
        let mut medians: Vec<f64> = self.cases.get(case)?.iter().map(|(_, median)| *median).collect();
        medians.sort_by(f64::total_cmp);
        Some(medians[medians.len() / 2])
    }

    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("unknown", String::as_str)
    }
}
