//! The commands. Each file has a [`Command`]; [`ALL`] lists them.

mod check;
mod convert;
mod doctor;
mod metrics;
mod pages;
mod profile;
mod ps;
mod replay;
mod report;
mod top;

use crate::Failure;
use clap::ArgMatches;
use std::process::ExitCode;

/// A command of the program.
pub struct Command {
    pub name: &'static str,
    /// Adds the help and the arguments.
    pub describe: fn(clap::Command) -> clap::Command,
    pub run: fn(&ArgMatches) -> Result<ExitCode, Failure>,
}

/// All commands, in the order of the help.
pub const ALL: &[Command] = &[
    report::COMMAND,
    top::COMMAND,
    ps::COMMAND,
    metrics::COMMAND,
    profile::COMMAND,
    convert::COMMAND,
    replay::COMMAND,
    doctor::COMMAND,
    check::COMMAND,
    pages::COMMAND,
];

/// The parser of the program's arguments.
pub fn parser() -> clap::Command {
    let program = clap::Command::new("tenure")
        .about("Shows who holds memory in processes that use Tenure, and what of Tenure works on this machine")
        .after_help(
            "A process answers report, top, metrics and profile only if it was started with TENURE_LISTEN=1, or has set the option \"listen\".\n\
             It answers its own user, and root.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    ALL.iter()
        .fold(program, |program, command| program.subcommand((command.describe)(clap::Command::new(command.name))))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        super::parser().debug_assert();
    }
}
