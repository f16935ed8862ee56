//! What `tenure top` shows: a pure function of two reports and the state of the view. It uses no colours, only bold and
//! reversed text.

use super::view::{Sort, View};
use crate::commands::report::holders;
use crate::snapshot::{Pool, Snapshot, Store};
use crate::text::{count, printable, size, sum};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget, Wrap};
use std::cmp::Reverse;
use std::collections::HashMap;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);
/// Lines for the holders of the chosen array.
const DETAIL_LINES: u16 = 4;
const KEYS: &str = "q quit   up/down choose   s sort   p pause";

/// Draws the reports: `now`, with what changed since `before`.
pub fn draw(area: Rect, buffer: &mut Buffer, before: Option<&Snapshot>, now: &Snapshot, view: &View) {
    let pools = pool_rows(before, now);
    // The arrays get what the pools leave, and at least half.
    let pool_lines = u16::try_from(pools.len() + 1).map_or(area.height / 2, |lines| lines.min(area.height / 2));
    let detail_lines = DETAIL_LINES.min(area.height / 4);
    let [head, upper, title, list, detail, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(pool_lines),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(detail_lines),
        Constraint::Length(1),
    ])
    .areas(area);
    Line::styled(head_line(before, now, view), BOLD).render(head, buffer);
    let columns = [
        Constraint::Fill(2),
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(9),
    ];
    let names = ["POOL, CLIENT", "DEVICE", "IN USE", "CHANGE", "PEAK", "RESERVED", "LIMIT", "ALLOCS/S"];
    Widget::render(Table::new(pools, columns).header(header(&names, 2)), upper, buffer);
    let total = sum(&now.stores, |store| store.bytes);
    let stores = count(now.stores.len() as u64, "store");
    Line::styled(format!("arrays: {} in {stores}, by {}", size(total), view.sort.name()), BOLD).render(title, buffer);
    let order = sorted(before, now, view.sort);
    let chosen = view.chosen.min(order.len().saturating_sub(1));
    arrays(&order, now, chosen, list, buffer);
    if let Some(store) = order.get(chosen) {
        let text = format!("{}: {}", store.address, printable(&holders(&store.holders)));
        Paragraph::new(text).wrap(Wrap { trim: true }).render(detail, buffer);
    }
    Line::styled(KEYS, REVERSED).render(keys, buffer);
}

/// A row of names; those from `numbers` on stand at the right of their columns.
fn header(names: &[&'static str], numbers: usize) -> Row<'static> {
    let cell = |(at, name): (usize, &&'static str)| {
        Cell::from(if at < numbers { Line::from(*name) } else { Line::from(*name).right_aligned() })
    };
    Row::new(names.iter().enumerate().map(cell)).style(BOLD)
}

fn number(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

/// A change in bytes: "+1.5 MiB"; "" for none.
fn change(before: Option<u64>, now: u64) -> String {
    match before {
        Some(before) if now > before => format!("+{}", size(now - before)),
        Some(before) if now < before => format!("-{}", size(before - now)),
        _ => String::new(),
    }
}

/// Seconds between two reports.
fn seconds(before: &Snapshot, now: &Snapshot) -> f64 {
    now.time_ns.saturating_sub(before.time_ns) as f64 / 1e9
}

fn head_line(before: Option<&Snapshot>, now: &Snapshot, view: &View) -> String {
    let in_use = |report: &Snapshot| sum(&report.pools, |pool| pool.stats.in_use_bytes);
    let version: Vec<String> = now.version.iter().map(u64::to_string).collect();
    let grown = change(before.map(in_use), in_use(now));
    let grown = if grown.is_empty() { grown } else { format!(" ({grown})") };
    let paused = if view.is_paused { ", paused" } else { "" };
    format!("tenure {}, process {}: {} in use{grown}{paused}", version.join("."), now.process, size(in_use(now)))
}

/// A row for each pool, and one for each of its clients.
fn pool_rows(before: Option<&Snapshot>, now: &Snapshot) -> Vec<Row<'static>> {
    let mut pools: Vec<&Pool> = now.pools.iter().collect();
    pools.sort_by_key(|pool| Reverse(pool.stats.in_use_bytes));
    let mut rows = Vec::new();
    for pool in pools {
        let old = before.and_then(|before| before.pools.iter().find(|old| old.id == pool.id));
        let rate = before.zip(old).and_then(|(before, old)| {
            let calls = pool.stats.allocation_count.saturating_sub(old.stats.allocation_count) as f64;
            Some(format!("{:.0}", calls / seconds(before, now))).filter(|_| seconds(before, now) > 0.0)
        });
        let stats = &pool.stats;
        let limit = if stats.limit_bytes > 0 { size(stats.limit_bytes) } else { "-".to_owned() };
        rows.push(Row::new([
            Cell::from(printable(&pool.name).into_owned()),
            Cell::from(printable(&pool.device).into_owned()),
            number(size(stats.in_use_bytes)),
            number(change(old.map(|old| old.stats.in_use_bytes), stats.in_use_bytes)),
            number(size(stats.peak_in_use_bytes)),
            number(size(stats.reserved_bytes)),
            number(limit),
            number(rate.unwrap_or_default()),
        ]));
        let mut clients: Vec<_> = pool.clients.iter().filter(|client| client.live_bytes > 0).collect();
        clients.sort_by_key(|client| Reverse(client.live_bytes));
        for client in clients {
            let old =
                old.map(|old| old.clients.iter().find(|old| old.name == client.name).map_or(0, |old| old.live_bytes));
            rows.push(Row::new([
                Cell::from(format!("  {}", printable(&client.name))),
                Cell::from(count(client.live_blocks, "block")),
                number(size(client.live_bytes)),
                number(change(old, client.live_bytes)),
                number(size(client.peak_bytes)),
            ]));
        }
    }
    rows
}

/// When the first holder of a store was made; 0: unknown.
fn made_at(store: &Store) -> u64 {
    store.holders.iter().map(|holder| holder.time_ns).filter(|time| *time > 0).min().unwrap_or(0)
}

/// The stores in an order. A store that was not there before has grown by its size.
fn sorted<'a>(before: Option<&Snapshot>, now: &'a Snapshot, sort: Sort) -> Vec<&'a Store> {
    let old: HashMap<(&str, &str), u64> = match (sort, before) {
        (Sort::Growth, Some(before)) => {
            before.stores.iter().map(|store| ((store.device.as_str(), store.address.as_str()), store.bytes)).collect()
        }
        _ => HashMap::new(),
    };
    let mut stores: Vec<&Store> = now.stores.iter().collect();
    stores.sort_by_key(|store| {
        let key = match sort {
            Sort::Size => store.bytes,
            Sort::Growth => {
                let was = old.get(&(store.device.as_str(), store.address.as_str())).copied().unwrap_or(0);
                store.bytes.saturating_sub(was)
            }
            // The oldest first; those without a time last.
            Sort::Age => u64::MAX - made_at(store).wrapping_sub(1),
            Sort::Holders => store.holders.len() as u64,
        };
        (Reverse(key), Reverse(store.bytes))
    });
    stores
}

/// "12 s", "3 min", "5 h".
fn age(store: &Store, now: &Snapshot) -> String {
    let made = made_at(store);
    let seconds = now.time_ns.saturating_sub(made) / 1_000_000_000;
    match seconds {
        _ if made == 0 => "-".to_owned(),
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// The list of arrays, so far as there is room around the chosen one.
fn arrays(order: &[&Store], now: &Snapshot, chosen: usize, area: Rect, buffer: &mut Buffer) {
    // Rows are made for the visible part only: there may be a million.
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    let first = (chosen + 1).saturating_sub(room);
    let rows = order.iter().skip(first).take(room).map(|store| {
        Row::new([
            number(size(store.bytes)),
            number(age(store, now)),
            Cell::from(printable(&store.device).into_owned()),
            number(store.holders.len().to_string()),
            Cell::from(printable(&holders(&store.holders)).into_owned()),
        ])
    });
    let columns = [
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Fill(1),
    ];
    let right = |name: &'static str| Cell::from(Line::from(name).right_aligned());
    let head =
        Row::new([right("SIZE"), right("AGE"), Cell::from("DEVICE"), right("HOLDERS"), Cell::from("WHO AND WHERE")]);
    let table = Table::new(rows, columns).header(head.style(BOLD)).row_highlight_style(REVERSED);
    let mut state = TableState::new().with_selected((!order.is_empty()).then_some(chosen - first));
    StatefulWidget::render(table, area, buffer, &mut state);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;
    use crate::snapshot::tests::answers;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// A report with one pool, of `in_use` bytes, and the arrays: name, bytes, the second in which it was made, and
    /// holders.
    fn report(second: u64, in_use: u64, arrays: &[(&str, u64, u64, usize)]) -> Snapshot {
        let holder = |name: &str, made: u64| {
            format!(
                "{{\"kind\":\"handle\",\"name\":\"{name}\",\"site\":\"step.py:41\",\"time_ns\":{}}}",
                made * 1_000_000_000
            )
        };
        let stores: Vec<String> = arrays
            .iter()
            .map(|(name, bytes, made, holders)| {
                let holders = vec![holder(name, *made); *holders].join(",");
                format!(
                    "{{\"address\":\"0x{name}\",\"bytes\":{bytes},\"device\":\"cpu\",\"pool\":1,\"imports\":0,\"flags\":[],\"holders\":[{holders}]}}"
                )
            })
            .collect();
        let text = format!(
            "{{\"schema\":1,\"version\":[0,1,0],\"process\":77,\"time_ns\":{},\"libraries\":[],\"pools\":[{{\"id\":1,\"name\":\"default\",\
             \"device\":\"cpu\",\"released\":false,\"stats\":{{\"in_use_bytes\":{in_use},\"reserved_bytes\":4194304,\
             \"peak_in_use_bytes\":2097152,\"limit_bytes\":8388608,\"allocation_count\":{},\"oom_count\":0}},\"clients\":[{{\"name\":\"numpy\",\
             \"live_blocks\":3,\"live_bytes\":1024,\"peak_bytes\":2048,\"misuse_count\":0}}]}}],\"stores\":[{}],\"blocks\":[],\"open\":[],\
             \"copies\":[]}}",
            second * 1_000_000_000,
            second * 50,
            stores.join(",")
        );
        snapshot::parse(text.as_bytes(), "the test").unwrap()
    }

    fn drawn(width: u16, height: u16, before: Option<&Snapshot>, now: &Snapshot, view: &View) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame.area(), frame.buffer_mut(), before, now, view)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    fn position(lines: &[String], text: &str) -> usize {
        lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text} in {lines:#?}"))
    }

    #[test]
    fn pools_clients_and_arrays_are_shown_with_what_changed() {
        let before = report(100, 1 << 20, &[("a", 4096, 90, 1)]);
        let now = report(102, 3 << 19, &[("a", 4096, 90, 1), ("b", 8192, 101, 3)]);
        let lines = drawn(110, 20, Some(&before), &now, &View::default());
        assert_eq!(lines[0], "tenure 0.1.0, process 77: 1.5 MiB in use (+512 KiB)");
        let pool = &lines[position(&lines, "default")];
        for text in ["cpu", "1.5 MiB", "+512 KiB", "2 MiB", "4 MiB", "8 MiB", "50"] {
            assert!(pool.contains(text), "{text} in {pool}");
        }
        assert!(lines[position(&lines, "  numpy")].contains("3 blocks"));
        assert!(position(&lines, "arrays: 12 KiB in 2 stores, by size") < position(&lines, "SIZE"));
        let (largest, other) = (position(&lines, "\"b\""), position(&lines, "\"a\""));
        assert!(largest < other, "{lines:#?}");
        assert!(
            lines[largest].contains("8 KiB")
                && lines[largest].contains("1 s")
                && lines[largest].contains("3 arrays \"b\" at step.py:41")
        );
        assert!(lines[other].contains("12 s"));
        // The holders of the chosen array stand below.
        assert!(lines[lines.len() - 5].starts_with("0xb: 3 arrays"), "{lines:#?}");
        assert!(lines.last().unwrap().starts_with("q quit"));
        // Without an earlier report nothing has changed.
        let lines = drawn(110, 20, None, &now, &View::default());
        assert_eq!(lines[0], "tenure 0.1.0, process 77: 1.5 MiB in use");
    }

    #[test]
    fn each_order_begins_with_its_own_array() {
        let before = report(100, 1, &[("big", 9000, 50, 1), ("old", 100, 10, 1), ("held", 100, 60, 5)]);
        let now =
            report(101, 1, &[("big", 9000, 50, 1), ("old", 100, 10, 1), ("held", 100, 60, 5), ("new", 500, 101, 1)]);
        for (sort, first) in [(Sort::Size, "big"), (Sort::Growth, "new"), (Sort::Age, "old"), (Sort::Holders, "held")] {
            assert_eq!(sorted(Some(&before), &now, sort)[0].address, format!("0x{first}"), "{sort:?}");
        }
    }

    #[test]
    fn the_chosen_array_is_always_visible() {
        let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
        let arrays: Vec<(&str, u64, u64, usize)> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), 10_000 - at as u64, 1, 1)).collect();
        let now = report(100, 1, &arrays);
        for chosen in [0, 5, 50, 99, 1000] {
            let lines = drawn(100, 24, None, &now, &View { chosen, ..View::default() });
            position(&lines, &format!("\"n{}\"", chosen.min(99)));
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::snapshot::tests::rounds())]

        /// CO-28: any report is drawn, beside any other one.
        #[test]
        fn any_answer_is_drawn(before in answers(), now in answers(), chosen in 0_usize..9) {
            let parsed = |answer: &[u8]| crate::snapshot::parse(answer, "the answer").ok();
            if let Some(now) = parsed(&now) {
                let view = View { chosen, ..View::default() };
                let lines = drawn(70, 20, parsed(&before).as_ref(), &now, &view);
                assert!(lines.iter().all(|line| !line.contains(tenure::names::is_obeyed)));
            }
        }
    }

    #[test]
    fn small_screens_empty_reports_and_hostile_names_are_drawn() {
        let now = report(1, 0, &[("x\\u001b[2J", 1, 1, 1)]);
        for (width, height) in [(1, 1), (5, 2), (20, 5), (80, 3), (300, 100)] {
            drawn(width, height, None, &now, &View { is_paused: true, ..View::default() });
            drawn(width, height, None, &Snapshot::default(), &View::default());
        }
        let lines = drawn(100, 24, None, &now, &View { is_paused: true, ..View::default() });
        assert!(lines[0].ends_with(", paused") && lines.iter().all(|line| !line.contains('\u{1b}')));
    }
}
