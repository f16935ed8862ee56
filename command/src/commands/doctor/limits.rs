//! The limits that a process of this shell gets.

use super::{Finding, State};
use crate::text::size;
use std::fs;

/// A limit in /proc/self/limits, and what too little of it means.
struct Limit {
    row: &'static str,
    subject: &'static str,
    /// Below this it hinders.
    enough: u64,
    is_bytes: bool,
    lack: &'static str,
}

const LIMITS: [Limit; 3] = [
    Limit {
        row: "Max open files",
        subject: "open files (ulimit -n)",
        enough: 1024,
        is_bytes: false,
        lack: "each shared array takes one; raise it with ulimit -n",
    },
    Limit { row: "Max locked memory", subject: "locked memory (ulimit -l)", enough: 0, is_bytes: true, lack: "" },
    Limit {
        row: "Max address space",
        subject: "addresses (ulimit -v)",
        enough: 64 << 30,
        is_bytes: true,
        lack: "pools reserve addresses ahead, and a driver more than there is memory; ulimit -v unlimited",
    },
];

pub fn check() -> Vec<Finding> {
    match fs::read_to_string("/proc/self/limits") {
        Ok(text) => LIMITS.iter().map(|limit| finding(limit, &text)).collect(),
        Err(error) => vec![Finding::new(State::Absent, "limits", format!("not known: {error}"))],
    }
}

fn finding(limit: &Limit, text: &str) -> Finding {
    let row = text.lines().find_map(|line| line.strip_prefix(limit.row));
    let soft = row.and_then(|row| row.split_ascii_whitespace().next());
    let number = match soft.map(|soft| (soft, soft.parse::<u64>())) {
        Some((_, Ok(number))) => number,
        Some(("unlimited", _)) => return Finding::new(State::Works, limit.subject, "unlimited"),
        _ => return Finding::new(State::Absent, limit.subject, "not known"),
    };
    let shown = if limit.is_bytes { size(number) } else { number.to_string() };
    match number < limit.enough {
        true => Finding::new(State::Limited, limit.subject, format!("{shown}: {}", limit.lack)),
        false => Finding::new(State::Works, limit.subject, shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_judged() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            256                  1048576              files     \n\
                    Max locked memory         8388608              8388608              bytes     \n\
                    Max address space         unlimited            unlimited            bytes     \n";
        let found: Vec<Finding> = LIMITS.iter().map(|limit| finding(limit, text)).collect();
        assert_eq!(
            found.iter().map(|found| found.state).collect::<Vec<_>>(),
            [State::Limited, State::Works, State::Works]
        );
        assert!(found[0].text.starts_with("256: ") && found[1].text == "8 MiB" && found[2].text == "unlimited");
    }
}
