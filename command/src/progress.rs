//! A line on standard error that shows that something takes time. It appears after a second, on terminals only.

use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shorter waits show nothing.
const QUIET: Duration = Duration::from_secs(1);
/// The time between two states of the line.
const TICK: Duration = Duration::from_millis(100);

pub struct Progress {
    start: Instant,
    line: Option<ProgressBar>,
}

impl Progress {
    pub fn new() -> Progress {
        Progress { start: Instant::now(), line: None }
    }

    /// Does the work, and states what goes on meanwhile.
    pub fn during<T: Send>(&mut self, what: &str, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let (done, finished) = std::sync::mpsc::channel::<()>();
            let work = scope.spawn(move || {
                let _done = done; // dropped at the end, also of a panic
                work()
            });
            while finished.recv_timeout(TICK) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                self.tick(|| what.to_owned());
            }
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// States what goes on; called again and again.
    pub fn tick(&mut self, what: impl FnOnce() -> String) {
        if self.start.elapsed() < QUIET || !std::io::stderr().is_terminal() {
            return;
        }
        let line = self.line.get_or_insert_with(ProgressBar::new_spinner);
        line.set_message(what());
        line.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.line.iter().for_each(ProgressBar::finish_and_clear);
    }
}
