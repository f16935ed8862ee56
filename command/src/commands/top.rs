//! `tenure top`: the memory of a running process, refreshed in a terminal.
//!
//! A thread asks the process, so keys work while a large report is on its way. What is shown is a pure function of two
//! reports and the state of the view (`screen`), and what a key does is a pure function of the state (`view`).

mod screen;
mod view;

use super::Command;
use crate::snapshot::{self, Snapshot};
use crate::{Failure, client};
use clap::{Arg, ArgMatches, value_parser};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;
use view::View;

pub const COMMAND: Command = Command { name: "top", describe, run };

/// How long a key may wait for its effect.
const TURN: Duration = Duration::from_millis(50);

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Shows the memory of a running process, refreshed in the terminal: pools, clients, arrays with their holders")
        .after_help("Keys: q quits, up and down choose an array, s sorts by size, growth, age or holders, p stops and goes on.")
        .arg(Arg::new("process").value_name("PID").required(true).value_parser(value_parser!(u32)).help("A process that listens"))
        .arg(
            Arg::new("interval")
                .long("interval")
                .value_name("SECONDS")
                .default_value("1")
                .value_parser(seconds)
                .help("Time between two reports, at least 0.1"),
        )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "it must be between 0.1 and 3600 seconds".to_owned())
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let process = *arguments.get_one::<u32>("process").expect("required");
    let interval = *arguments.get_one::<Duration>("interval").expect("has a default");
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(format!("needs a terminal; tenure report {process} prints the state once"));
    }
    // Before the screen changes, so that a process that does not listen is a plain error.
    let first = ask(process)?;
    let (reports, received) = channel();
    let (stop, stopped) = channel();
    let asking = std::thread::spawn(move || ask_again(process, interval, &reports, &stopped));
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal cannot be used: {error}"))?;
    let ended = show(&mut terminal, first, &received);
    ratatui::restore();
    drop((stop, received));
    // A request that is under way ends with the process.
    drop(asking);
    match ended {
        Ok(None) => Ok(ExitCode::SUCCESS),
        Ok(Some(why)) => Err(why),
        Err(error) => Err(format!("the terminal cannot be used: {error}")),
    }
}

fn ask(process: u32) -> Result<Snapshot, Failure> {
    snapshot::parse(&client::quiet_report(process)?, &format!("the answer of process {process}"))
}

/// Sends a report at each interval, until the receiver is gone or the process is.
fn ask_again(process: u32, interval: Duration, reports: &Sender<Result<Snapshot, Failure>>, stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
        let report = ask(process);
        let failed = report.is_err();
        if reports.send(report).is_err() || failed {
            return;
        }
    }
}

/// Draws and reads keys until the user quits. Some: why the process no longer answers.
fn show(
    terminal: &mut ratatui::DefaultTerminal,
    first: Snapshot,
    received: &Receiver<Result<Snapshot, Failure>>,
) -> std::io::Result<Option<Failure>> {
    let (mut before, mut now) = (None, first);
    let mut view = View::default();
    loop {
        terminal.draw(|frame| screen::draw(frame.area(), frame.buffer_mut(), before.as_ref(), &now, &view))?;
        if event::poll(TURN)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            let arrays = now.stores.len();
            if !view.press(key, arrays) {
                return Ok(None);
            }
        }
        match received.try_recv() {
            Ok(Ok(next)) if !view.is_paused => before = Some(std::mem::replace(&mut now, next)),
            Ok(Err(why)) => return Ok(Some(why)),
            Ok(Ok(_)) | Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
    }
}
