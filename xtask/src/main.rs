//! The project's commands: `cargo xtask <command>`. Without a command it lists them.
//!
//! Each command is a module; `tools` has what they share: paths, running a program, looking for one.

mod header;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  header [--check]      writes include/tenure.h, abi/symbols.txt and the Python crate's extern block; --check only compares
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["header"] => header::write(),
        ["header", "--check"] => header::check(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}
