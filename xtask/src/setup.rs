//! `cargo xtask setup`: which of the tools that the tests use are missing, and the command that installs them.
//!
//! The list is `.ci/tools`, which `.ci/run` reads too.

use crate::tools::{Done, command};

const TOOLS: &str = include_str!("../../.ci/tools");

/// A missing tool.
struct Missing {
    /// Its installer: a name of [`WAYS`].
    by: &'static str,
    package: &'static str,
    /// The checks that are skipped without it.
    skipped: &'static str,
}

/// The installers in `.ci/tools`, and their commands.
const WAYS: [(&str, &str); 3] = [
    ("apt", "apt-get install --no-install-recommends"),
    ("rustup", "rustup component add"),
    ("target", "rustup target add"),
];

/// The missing tools.
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

/// The commands that install the tools.
fn install(missing: &[Missing]) -> Vec<String> {
    let commands = WAYS.into_iter().filter_map(|(by, install)| {
        let packages: Vec<&str> = missing.iter().filter(|tool| tool.by == by).map(|tool| tool.package).collect();
        (!packages.is_empty()).then(|| format!("{install} {}", packages.join(" ")))
    });
    commands.collect()
}

fn print(missing: &[Missing]) {
    println!("missing tools, and what is skipped without them:");
    let width = missing.iter().map(|tool| tool.package.len()).max().unwrap_or(0);
    missing.iter().for_each(|tool| println!("  {:width$}  {}", tool.package, tool.skipped));
    println!("on Debian, these commands install them:");
    install(missing).iter().for_each(|command| println!("  {command}"));
}

/// Prints what is missing, and fails if anything is.
pub fn check() -> Done {
    let missing = missing();
    if missing.is_empty() {
        println!("all tools are installed");
        return Ok(());
    }
    print(&missing);
    Err("cargo xtask test skips the checks that need these tools; cargo xtask test --all fails".to_owned())
}

/// Printed at the start of the tests: which checks will be skipped, and how many minutes the tests take the first time.
pub fn announce(minutes: Option<u32>) {
    let missing = missing();
    if !missing.is_empty() {
        print(&missing);
    }
    if let Some(minutes) = minutes {
        println!(
            "on two cores this takes about {minutes} minutes the first time, and less when all is built and downloaded"
        );
    }
    println!();
}
