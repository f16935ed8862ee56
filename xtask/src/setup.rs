//! `cargo xtask setup`: what a machine lacks of the tools that the tests use, and the command that installs it.
//!
//! The list is `.ci/tools`, which `.ci/run` reads as well: it stands in one place.

use crate::tools::{Done, command, exists};

const TOOLS: &str = include_str!("../../.ci/tools");

/// A tool that is not there.
struct Missing {
    /// Who has it: "apt" or "rustup".
    by: &'static str,
    package: &'static str,
    /// What is skipped without it.
    skipped: &'static str,
}

/// The tools that are not there.
fn missing() -> Vec<Missing> {
    let lines = TOOLS.lines().filter(|line| !line.starts_with('#'));
    let tools = lines.filter_map(|line| {
        let (tool, rest) = line.split_once(" | ")?;
        let (probe, skipped) = rest.rsplit_once(" | ")?;
        let (by, package) = tool.split_once(':')?;
        let found = command("sh").args(["-c", probe]).output().is_ok_and(|done| done.status.success());
        (!found).then_some(Missing { by, package, skipped })
    });
    tools.collect()
}

/// The commands that install them.
fn install(missing: &[Missing]) -> Vec<String> {
    let ways = [("apt", "apt-get install --no-install-recommends"), ("rustup", "rustup component add")];
    let commands = ways.into_iter().filter_map(|(by, install)| {
        let packages: Vec<&str> = missing.iter().filter(|tool| tool.by == by).map(|tool| tool.package).collect();
        (!packages.is_empty()).then(|| format!("{install} {}", packages.join(" ")))
    });
    commands.collect()
}

fn print(missing: &[Missing]) {
    println!("missing here, and what is skipped without it:");
    let width = missing.iter().map(|tool| tool.package.len()).max().unwrap_or(0);
    missing.iter().for_each(|tool| println!("  {:width$}  {}", tool.package, tool.skipped));
    println!("on Debian, these commands install it:");
    install(missing).iter().for_each(|command| println!("  {command}"));
}

/// Says what is missing; fails if anything is.
pub fn check() -> Done {
    let missing = missing();
    if missing.is_empty() {
        println!("all tools are here");
        return Ok(());
    }
    print(&missing);
    Err("cargo xtask test skips what needs these, cargo xtask test --all fails".to_owned())
}

/// What one should know at the start of the tests: what will be skipped, and how long it takes.
pub fn announce(fast: bool) {
    let missing = missing();
    if !missing.is_empty() {
        print(&missing);
    }
    println!(
        "{}\n",
        match (exists("target/venv"), fast) {
            (_, true) => "on two cores this takes 3 minutes, the first time some more to build",
            (true, false) => "on two cores this takes up to 20 minutes; --fast takes 3",
            (false, false) => {
                "on two cores this takes up to 20 minutes, and the first time some more: it builds all there is, and downloads \
             Python packages (1 GB); --fast takes 3"
            }
        }
    );
}
