//! Numbers of bytes, plural forms, and text that is safe for a terminal.

use std::borrow::Cow;
use tenure::names::is_obeyed;

/// A readable number of bytes: "1.5 GiB".
pub fn size(number: u64) -> String {
    if number < 1024 {
        return count(number, "byte");
    }
    let mut amount = number as f64;
    for unit in ["KiB", "MiB", "GiB"] {
        amount /= 1024.0;
        if amount < 1000.0 {
            return format!("{} {unit}", three_digits(amount));
        }
    }
    format!("{} TiB", three_digits(amount / 1024.0))
}

/// Three significant digits, as C's `%.3g` prints them.
fn three_digits(amount: f64) -> String {
    let text = format!("{amount:.2e}");
    let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let trimmed = |text: &str| {
        let without = text.contains('.').then(|| text.trim_end_matches('0').trim_end_matches('.'));
        without.unwrap_or(text).to_owned()
    };
    match exponent {
        -4..=2 => trimmed(&format!("{amount:.*}", (2 - exponent) as usize)),
        _ => format!("{}e{}{:02}", trimmed(digits), if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

/// The sum of numbers that other processes chose.
pub fn sum<T>(items: impl IntoIterator<Item = T>, value: impl Fn(T) -> u64) -> u64 {
    items.into_iter().map(value).fold(0, u64::saturating_add)
}

/// "1 block", "2 blocks".
pub fn count(number: u64, what: &str) -> String {
    match what.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        _ if number == 1 => format!("1 {what}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {what}s"),
    }
}

/// The text with characters replaced that a terminal obeys: names come from other processes.
pub fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(is_obeyed) {
        false => Cow::Borrowed(text),
        true => text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect::<String>().into(),
    }
}

/// JSON with such characters as escapes. Those between values are white space, and become blanks or line breaks.
pub fn printable_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut all, c| {
        match c {
            '\n' => all.push(c),
            '\r' | '\t' => all.push(' '),
            c if is_obeyed(c) => all.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => all.push(c),
        }
        all
    })
}

/// As [`printable`], line by line.
pub fn printable_lines(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |all, line| all + &printable(line) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_python() {
        let expected = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1000 * 1024 - 1, "1e+03 KiB"),
            (1000 * 1024, "0.977 MiB"),
            (8_000_000, "7.63 MiB"),
            (123_456_789, "118 MiB"),
            (5 << 40, "5 TiB"),
            (u64::MAX, "1.68e+07 TiB"),
        ];
        for (number, text) in expected {
            assert_eq!(size(number), text, "{number}");
        }
    }

    #[test]
    fn plural_forms() {
        assert_eq!([count(1, "copy"), count(2, "copy"), count(0, "array")], ["1 copy", "2 copies", "0 arrays"]);
    }

    #[test]
    fn a_terminal_gets_no_commands() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\u{7f}\n"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}");
        assert_eq!(printable("\u{202e}gnp.exe\u{2069}"), "\u{fffd}gnp.exe\u{fffd}");
        assert_eq!(
            printable_json("{\n\t\"a\": \"\u{9b}31m\u{7f}ä\u{202e}\"}\r\n"),
            "{\n \"a\": \"\\u009b31m\\u007fä\\u202e\"} \n"
        );
    }
}
