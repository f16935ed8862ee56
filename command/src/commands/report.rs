//! `tenure report`: who holds what, the largest first, of a running process or a saved report.

mod lines;

pub use lines::holders;

use super::Command;
use crate::{Failure, new_file, print, snapshot, source, text};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::io::Write;
use std::process::ExitCode;

pub const COMMAND: Command = Command { name: "report", describe, run };

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Prints who holds memory: pools with the libraries that use them, the largest arrays with their holders")
        .after_help(source::HELP)
        .arg(source::argument())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Prints the report as JSON (docs/report.schema.json)"),
        )
        .arg(
            Arg::new("html")
                .long("html")
                .value_name("FILE")
                .conflicts_with("json")
                .help("Saves the report as a page for a browser, and prints nothing"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("N")
                .default_value("10")
                .value_parser(value_parser!(usize))
                .help("Lines of each list"),
        )
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let from: &String = arguments.get_one("from").expect("required");
    let page = arguments.get_one::<String>("html");
    let (json, from) = source::read(from, page.is_some())?;
    // Nothing leaves this command that is no report: the process may be of another user.
    let report = snapshot::parse(&json, &from)?;
    let json = String::from_utf8(json).map_err(|error| format!("{from}: {error}"))?;
    if let Some(to) = page {
        let mut page = String::new();
        tenure::report::write_around(&mut page, &json);
        new_file::save(to.as_ref(), true, |mut file| file.write_all(page.as_bytes()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let output = if arguments.get_flag("json") {
        text::printable_json(&json) + "\n"
    } else {
        let limit = *arguments.get_one::<usize>("limit").expect("has a default");
        text::printable_lines(&lines::lines(&report, limit))
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{answers, rounds};
    use proptest::prelude::*;
    use tenure::names::is_obeyed;
    use tenure::report::write_around;

    proptest! {
        #![proptest_config(rounds())]

        /// CO-28: any answer is printed without a character that a terminal obeys and put into the page as data, or
        /// refused in one line.
        #[test]
        fn any_answer_is_printed_or_refused(answer in answers(), limit in 0_usize..5) {
            let plain = |text: &str| !text.contains(|c| c != '\n' && is_obeyed(c));
            let report = match snapshot::parse(&answer, "the answer") {
                Ok(report) => report,
                Err(why) => {
                    prop_assert!(why.starts_with("the answer") && plain(&text::printable(&why)));
                    return Ok(());
                }
            };
            prop_assert!(plain(&text::printable_lines(&lines::lines(&report, limit))));
            let json = String::from_utf8(answer).expect("JSON is UTF-8");
            prop_assert!(plain(&text::printable_json(&json)));
            let mut page = String::new();
            write_around(&mut page, &json);
            prop_assert!(page.ends_with("</html>\n") && page.matches("<script").count() == page.matches("</script").count());
            let mut plain = String::new();
            write_around(&mut plain, "null");
            prop_assert_eq!(page.matches('<').count(), plain.matches('<').count());
        }
    }
}
