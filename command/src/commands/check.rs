//! `tenure check FILE..`: finds misuse of handles in sources, without running them.

use super::Command;
use crate::{Failure, print};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tenure_static_check::preprocess::{self, Compilation};
use tenure_static_check::{Finding, Model, attributes, output, project, sorted};

pub const COMMAND: Command = Command { name: "check", describe, run };

fn describe(command: clap::Command) -> clap::Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    command
        .about("Finds misuse of handles in C and C++ sources, without running them")
        .after_help(
            "A file that ends in .json is a compile_commands.json. Exit status: 0: no findings; 1: findings; 2: wrong arguments, or \
             a file that cannot be checked.\n\
             A comment on the line of a finding allows it: /* tenure-check: allow SC-7 */",
        )
        .arg(Arg::new("files").value_name("FILE").required(true).num_args(1..).value_parser(value_parser!(PathBuf)))
        .arg(flag("sarif").help("Prints the findings as SARIF, for editors and code hosts"))
        .arg(flag("attributes").help("Also runs clang's analysis of the headers' attributes, for which functions must be annotated"))
        .arg(flag("sites").help("Also requires a TN_HERE before what is made"))
        .arg(flag("verbose").help("Also tells what was checked, and what was given up"))
        .arg(
            Arg::new("options")
                .value_name("OPTION")
                .num_args(0..)
                .last(true)
                .help("Options of the compiler, such as -I and -D, behind --"),
        )
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let files: Vec<PathBuf> = arguments.get_many("files").expect("required").cloned().collect();
    let mut options: Vec<String> = arguments.get_many("options").unwrap_or_default().cloned().collect();
    // The headers of this installation come last, so those that the program names win.
    options.extend(headers().map(|folder| format!("-I{}", folder.display())));
    match found(arguments, &files, &options) {
        Ok(findings) => {
            let text = if arguments.get_flag("sarif") { output::sarif(&findings) } else { output::text(&findings) };
            print(&text)?;
            Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Err(why) => {
            eprintln!("tenure check: {}", crate::text::printable(&why));
            Ok(ExitCode::from(2))
        }
    }
}

fn found(arguments: &ArgMatches, files: &[PathBuf], options: &[String]) -> Result<Vec<Finding>, Failure> {
    let model = Model::new();
    let compiler = preprocess::compiler().ok_or("no C compiler: install gcc or clang, or set CC")?;
    let (mut findings, mut functions, mut calls) = (Vec::new(), 0, 0);
    for compilation in project::compilations(files, options)? {
        let Compilation { file, .. } = &compilation;
        if project::is_cpp(file) {
            // Of C++ only clang knows enough.
            findings.extend(attributes::check(&compilation)?);
            continue;
        }
        let source = preprocess::preprocess(&compiler, &compilation)?;
        let checked = tenure_static_check::check(&model, &source, arguments.get_flag("sites"));
        functions += checked.functions;
        calls += checked.calls;
        findings.extend(checked.findings);
        if arguments.get_flag("verbose") {
            for (place, why) in checked.given_up {
                eprintln!("{}:{}: given up: {why}", place.file.display(), place.line);
            }
        }
        if arguments.get_flag("attributes") {
            findings.extend(attributes::check(&compilation)?);
        }
    }
    if arguments.get_flag("verbose") {
        eprintln!("{calls} calls of the library in {functions} functions");
    }
    Ok(sorted(findings))
}

/// The folder of the headers beside this program.
fn headers() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent().and_then(Path::parent)?.join("include");
    folder.join("tenure.h").is_file().then_some(folder)
}
