//! `tenure pages FOLDER`: writes the pages for man and the completions for shells. `cargo xtask dist` runs it; it is
//! not in the help.

use super::Command;
use crate::{Failure, pages};
use clap::{Arg, ArgMatches, value_parser};
use std::path::PathBuf;
use std::process::ExitCode;

pub const COMMAND: Command = Command { name: "pages", describe, run };

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Writes the pages for man and the completions for shells")
        .hide(true)
        .arg(Arg::new("folder").value_name("FOLDER").required(true).value_parser(value_parser!(PathBuf)))
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let folder = arguments.get_one::<PathBuf>("folder").expect("required");
    pages::write(folder).map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
