//! Processes by the system's number and their start time, which no two processes share.

use std::sync::OnceLock;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pub id: u64,
    start: u64,
}

impl Process {
    /// The calling process. A child of fork is another one.
    pub fn own() -> Process {
        static FIRST: OnceLock<Process> = OnceLock::new();
        let id = u64::from(std::process::id());
        let first = FIRST.get_or_init(|| Process { id, start: start_time(id).unwrap_or(0) });
        if first.id == id { *first } else { Process { id, start: start_time(id).unwrap_or(0) } }
    }

    /// Whether it still runs. One that was killed does not, even while its parent has not waited for it.
    pub fn is_alive(&self) -> bool {
        start_time(self.id) == Some(self.start)
    }
}

/// When a process that runs was started, in the system's clock ticks.
fn start_time(id: u64) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may contain anything, so the fields are counted from its end: the state, then 18 others.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let start = fields.nth(18)?.parse().ok()?;
    (!is_dead).then_some(start)
}
