//! Where a command gets its report: from a process that listens, or from a file that was saved.

use crate::{Failure, client};
use clap::Arg;

/// What the help says of a name that is a number.
pub const HELP: &str = "A number is a process, and anything else a file; write ./123 for a file with such a name.";

/// The argument that names it.
pub fn argument() -> Arg {
    Arg::new("from")
        .value_name("PID|FILE")
        .required(true)
        .help("A process that listens, or a file with the output of tn_report_json")
}

/// The JSON, and in words where it is from; `for_page`: with the bounded lists of a page, if a process makes it.
pub fn read(from: &str, for_page: bool) -> Result<(Vec<u8>, String), Failure> {
    if let Ok(process) = from.parse::<u32>() {
        return Ok((client::report(process, for_page)?, format!("the answer of process {process}")));
    }
    match std::fs::read(from) {
        Ok(json) => Ok((json, from.to_owned())),
        Err(error) => Err(format!("cannot read {from}: {error}; name a process or a saved report")),
    }
}
