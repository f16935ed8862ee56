//! The Trace Event Format: JSON for ui.perfetto.dev and chrome://tracing.
//!
//! Contract: each pool is a counter of its bytes in use. A block whose array is known is an asynchronous slice. A
//! borrow is a slice of its thread if it nests there, else an asynchronous one. Give and take are slices of 1 ns,
//! because an arrow leads from slice to slice. All else is an instant. Addresses and handles are text: numbers of JSON
//! have 53 bits in browsers.

use crate::blocks::Blocks;
use crate::{Event, Kind, Log, client_name, detail, why_names};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

/// Writes the trace.
pub fn write(log: &Log, out: impl Write) -> io::Result<()> {
    let out = io::BufWriter::new(out);
    let mut trace = Trace { log, blocks: Blocks::of(log), out, borrows: Borrows::default() };
    trace.write()
}

/// An element of `traceEvents`, as the format names its fields.
#[derive(Serialize, Default)]
struct Entry<'a> {
    ph: &'static str,
    name: &'a str,
    cat: &'static str,
    /// Microseconds since the log began.
    ts: f64,
    pid: u64,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The scope of an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    /// The slice to which the end of an arrow belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Map<String, Value>,
}

struct Trace<'a, W> {
    log: &'a Log,
    blocks: Blocks<'a>,
    out: W,
    borrows: Borrows,
}

impl<'a, W: Write> Trace<'a, W> {
    fn write(&mut self) -> io::Result<()> {
        let log = self.log;
        let about = serde_json::json!({
            "tenure": log.version, "pid": log.pid, "start_unix_ns": log.start_unix_ns.to_string(),
            "dropped": log.dropped, "wrapped": log.wrapped,
        });
        write!(self.out, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{about},\"traceEvents\":[")?;
        let process = format!("process {}", log.pid);
        let first = self.named("process_name", 0, &process);
        serde_json::to_writer(&mut self.out, &first)?;
        for thread in log.events.iter().map(|event| event.thread).collect::<BTreeSet<_>>() {
            let name = format!("thread {thread}");
            self.put(self.named("thread_name", thread, &name))?;
        }
        let mut in_use = self.in_use_before();
        for (pool, bytes) in &in_use {
            self.put_in_use(0, *pool, *bytes)?;
        }
        let mut changes = std::mem::take(&mut self.blocks.changes).into_iter().peekable();
        for (index, event) in log.events.iter().enumerate() {
            let mut changed = BTreeSet::new();
            while let Some(change) = changes.next_if(|change| change.event == index) {
                let (pool, bytes) = (self.blocks.blocks[change.block].pool, self.blocks.blocks[change.block].bytes);
                let count = in_use.entry(pool).or_default();
                *count = if change.begins { count.saturating_add(bytes) } else { count.saturating_sub(bytes) };
                changed.insert(pool);
                self.put_array(event, change.block, change.begins)?;
            }
            for pool in changed {
                self.put_in_use(event.time_ns, pool, in_use[&pool])?;
            }
            self.put_event(event)?;
        }
        let end = log.events.last().map_or(0, |event| event.time_ns);
        for borrow in self.borrows.take_all() {
            self.put_borrow(&borrow, end, true)?;
        }
        writeln!(self.out, "\n]}}")?;
        self.out.flush()
    }

    /// Bytes of each pool in blocks that are older than the log.
    fn in_use_before(&self) -> BTreeMap<u64, u64> {
        let mut in_use = BTreeMap::new();
        for block in self.blocks.blocks.iter().filter(|block| block.begin.is_none()) {
            let count: &mut u64 = in_use.entry(block.pool).or_default();
            *count = count.saturating_add(block.bytes);
        }
        in_use
    }

    fn put(&mut self, entry: Entry) -> io::Result<()> {
        self.out.write_all(b",\n")?;
        Ok(serde_json::to_writer(&mut self.out, &entry)?)
    }

    fn named(&self, what: &'static str, thread: u32, name: &str) -> Entry<'static> {
        let args = [("name".to_owned(), name.into())].into_iter().collect();
        Entry { ph: "M", name: what, cat: "__metadata", pid: self.pid(), tid: thread, args, ..Entry::default() }
    }

    fn put_in_use(&mut self, time_ns: u64, pool: u64, bytes: u64) -> io::Result<()> {
        let name = format!("{}: bytes in use", self.log.pool_label(pool));
        let args = [("bytes".to_owned(), bytes.into())].into_iter().collect();
        let pid = self.pid();
        self.put(Entry { ph: "C", name: &name, cat: "memory", ts: micros(time_ns), pid, args, ..Entry::default() })
    }

    /// The beginning or end of a block in which an array was seen.
    fn put_array(&mut self, event: &Event, index: usize, begins: bool) -> io::Result<()> {
        let block = &self.blocks.blocks[index];
        if block.array == 0 {
            return Ok(());
        }
        let name = block.name.unwrap_or("array");
        let id = Some(format!("{index:#x}"));
        let Event { thread: tid, time_ns, .. } = *event;
        let end =
            Entry { ph: "e", name, cat: "array", ts: micros(time_ns), pid: self.pid(), tid, id, ..Entry::default() };
        let older = block.begin.is_none();
        let mut args = Map::new();
        args.insert("bytes".to_owned(), block.bytes.into());
        args.insert("address".to_owned(), hexadecimal(block.address));
        args.insert("array".to_owned(), hexadecimal(block.array));
        args.insert("pool".to_owned(), self.log.pool_label(block.pool).into());
        if !older {
            args.insert("client".to_owned(), client_name(block.client).into());
        }
        if let Some(site) = self.log.sites.get(&block.site) {
            args.insert("site".to_owned(), site.as_str().into());
        }
        let ts = if older { 0.0 } else { end.ts };
        let begin = Entry { ph: "b", id: end.id.clone(), ts, args, ..end };
        if begins || older {
            self.put(begin)?;
        }
        if !begins { self.put(end) } else { Ok(()) }
    }

    fn put_event(&mut self, event: &Event) -> io::Result<()> {
        match event.kind {
            Kind::Allocate if event.address == 0 => self.put_instant("allocation failed", "memory", event),
            Kind::Allocate | Kind::Free | Kind::Reallocate | Kind::Name => Ok(()),
            Kind::Copy => self.put_instant("copy", "copy", event),
            Kind::Transfer => self.put_instant(transfer_name(event.detail), "transfer", event),
            Kind::Export if event.detail != detail::ENDED => self.put_instant("export", "exchange", event),
            Kind::Export => self.put_instant("export ended", "exchange", event),
            Kind::Import if event.detail != detail::ENDED => self.put_instant("import", "exchange", event),
            Kind::Import => self.put_instant("import ended", "exchange", event),
            Kind::Give => self.put_hand_over(event, "s", None),
            Kind::Take => self.put_hand_over(event, "f", Some("e")),
            Kind::Borrow => {
                let (ended, nests) = match event.detail {
                    detail::ENDED => self.borrows.end(event),
                    _ => (self.borrows.begin(event), false),
                };
                ended.map_or(Ok(()), |borrow| self.put_borrow(&borrow, event.time_ns, nests))
            }
        }
    }

    fn put_instant(&mut self, name: &str, cat: &'static str, event: &Event) -> io::Result<()> {
        self.put(Entry { ph: "i", s: Some("t"), ..self.entry(name, cat, event) })
    }

    /// A give or a take, and its end of the arrow between them.
    fn put_hand_over(&mut self, event: &Event, arrow: &'static str, bp: Option<&'static str>) -> io::Result<()> {
        self.put(Entry { ph: "X", dur: Some(micros(1)), ..self.entry(event.kind.name(), "hand-over", event) })?;
        if event.other == 0 {
            return Ok(());
        }
        let id = Some(format!("{:#x}", event.other));
        let args = Map::new();
        self.put(Entry { ph: arrow, id, bp, args, ..self.entry("promise", "hand-over", event) })
    }

    fn put_borrow(&mut self, borrow: &Event, end_ns: u64, nests: bool) -> io::Result<()> {
        let name = if borrow.detail == detail::WRITE_BEGUN { "write" } else { "read" };
        let entry = self.entry(name, "borrow", borrow);
        if nests {
            let dur = Some(micros(end_ns - borrow.time_ns));
            return self.put(Entry { ph: "X", dur, ..entry });
        }
        let id = || Some(format!("{:#x}", borrow.other));
        self.put(Entry { ph: "b", id: id(), ..entry })?;
        let (ts, args) = (micros(end_ns), Map::new());
        self.put(Entry { ph: "e", id: id(), ts, args, ..self.entry(name, "borrow", borrow) })
    }

    /// An entry at the time of an event, with all that the event says.
    fn entry<'n>(&self, name: &'n str, cat: &'static str, event: &Event) -> Entry<'n> {
        let mut args = Map::new();
        let [subject, other] = match event.kind {
            Kind::Transfer => ["array", "to"],
            Kind::Give | Kind::Take => ["array", "promise"],
            _ => ["array", "guard"],
        };
        let address = if event.kind == Kind::Transfer { "from" } else { "address" };
        // The reasons of a copy are no address.
        let second = if event.kind == Kind::Copy { 0 } else { event.other };
        for (what, value) in [(subject, event.subject), (address, event.address), (other, second)] {
            if value != 0 {
                args.insert(what.to_owned(), hexadecimal(value));
            }
        }
        args.insert("bytes".to_owned(), event.bytes.into());
        if event.kind == Kind::Copy {
            let reasons: Vec<_> = why_names(event.other).collect();
            args.insert("reasons".to_owned(), reasons.into());
            args.insert("forced".to_owned(), (event.detail == detail::FORCED).into());
        }
        if event.stream != 0 {
            args.insert("stream".to_owned(), hexadecimal(event.stream));
        }
        if event.pool != 0 {
            args.insert("pool".to_owned(), self.log.pool_label(event.pool).into());
        }
        if let Some(site) = self.log.sites.get(&event.site) {
            args.insert("site".to_owned(), site.as_str().into());
        }
        let ts = micros(event.time_ns);
        Entry { name, cat, ts, pid: self.pid(), tid: event.thread, args, ..Entry::default() }
    }

    /// Process 0 is the idle process of the viewers.
    fn pid(&self) -> u64 {
        self.log.pid.max(1)
    }
}

/// Borrows that have not ended.
#[derive(Default)]
struct Borrows {
    open: HashMap<u64, Event>,
    /// The guards of each thread, in the order of their beginnings.
    stacks: HashMap<u32, Vec<u64>>,
}

impl Borrows {
    /// Notes a borrow, and returns an older one that lacks its end.
    fn begin(&mut self, event: &Event) -> Option<Event> {
        let (lost, _) = self.end(event);
        self.open.insert(event.other, event.clone());
        self.stacks.entry(event.thread).or_default().push(event.other);
        lost
    }

    /// The borrow that ends, and whether it is a slice of its thread.
    fn end(&mut self, event: &Event) -> (Option<Event>, bool) {
        let Some(begun) = self.open.remove(&event.other) else { return (None, false) };
        let stack = self.stacks.entry(begun.thread).or_default();
        let at = stack.iter().rposition(|guard| *guard == event.other);
        let nests = at == stack.len().checked_sub(1) && event.thread == begun.thread;
        at.map(|at| stack.remove(at));
        (Some(begun), nests)
    }

    /// Those that are open at the end of the log, in the order of their beginnings.
    fn take_all(&mut self) -> Vec<Event> {
        let mut all: Vec<Event> = std::mem::take(&mut self.open).into_values().collect();
        all.sort_by_key(|event| (event.time_ns, event.other));
        all
    }
}

fn transfer_name(detail: u8) -> &'static str {
    match detail {
        detail::HOST_TO_HOST => "copy in host memory",
        detail::HOST_TO_DEVICE => "copy to device",
        detail::DEVICE_TO_HOST => "copy to host",
        _ => "copy between devices",
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

fn hexadecimal(number: u64) -> Value {
    format!("{number:#x}").into()
}
