//! `tenure convert`: an event log for the viewers and tools of others.

use super::Command;
use crate::progress::Progress;
use crate::{Failure, new_file, print, text};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, value_parser};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tenure_event_log::{Format, Log, format};

pub const COMMAND: Command = Command { name: "convert", describe, run };

/// How often the line of progress changes.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Converts an event log for ui.perfetto.dev, pytorch.org/memory_viz or RMM")
        .after_help(
            "Without --to, the end of OUT's name says the format: .json perfetto, .pickle or .pkl torch, .csv rmm, .tnlog log.\n\
             A name that ends with .gz, such as trace.json.gz, means a file packed by gzip. LOG may be packed, too.",
        )
        .arg(
            Arg::new("log")
                .value_name("LOG")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("An event log of Tenure, or a CSV log of RMM"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("FORMAT")
                .value_parser(PossibleValuesParser::new(Format::ALL.map(Format::name)))
                .help("The format of OUT"),
        )
        .args(new_file::arguments("The file to write"))
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let path = |name| arguments.get_one::<PathBuf>(name).expect("required").as_path();
    let (from, to) = (path("log"), path("output"));
    let named = arguments.get_one::<String>("to").and_then(|name| Format::ALL.into_iter().find(|f| f.name() == name));
    let format = named.or_else(|| Format::of(to)).ok_or_else(|| {
        format!("the name {} says no format; add --to perfetto, torch, rmm or log, or end it with .json", to.display())
    })?;
    let written = AtomicU64::new(0);
    let work = || convert(from, to, format, arguments.get_flag("force"), &written);
    let log = with_progress(work, || match written.load(Ordering::Relaxed) {
        0 => format!("reading {}", from.display()),
        bytes => format!("writing {}: {}", to.display(), text::size(bytes)),
    })?;
    print(&format!("{}\n", text::printable(&summary(&log, to))))?;
    Ok(ExitCode::SUCCESS)
}

/// Converts a file, and returns its log.
fn convert(from: &Path, to: &Path, format: Format, force: bool, written: &AtomicU64) -> Result<Log, Failure> {
    let log = tenure_event_log::read(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
    new_file::save(to, force, |file| format.write(&log, format::is_packed(to), Counted { file, written }))?;
    Ok(log)
}

/// Does the work in a thread of its own, while this one says what goes on.
fn with_progress<T: Send>(work: impl FnOnce() -> T + Send, what: impl Fn() -> String) -> T {
    let mut progress = Progress::new();
    let this = thread::current();
    thread::scope(|scope| {
        let work = scope.spawn(move || {
            let done = work();
            this.unpark();
            done
        });
        while !work.is_finished() {
            progress.tick(&what);
            thread::park_timeout(PROGRESS_EVERY);
        }
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What was written, and what the log lacks.
fn summary(log: &Log, to: &Path) -> String {
    let mut summary = format!("{}: {}", to.display(), text::count(log.events.len() as u64, "event"));
    if log.dropped > 0 {
        summary += &format!("; {} found no room in the log", text::count(log.dropped, "event"));
    }
    if log.wrapped {
        summary += "; older events were overwritten";
    }
    summary
}

/// A file, with the number of bytes written.
struct Counted<'a> {
    file: File,
    written: &'a AtomicU64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
