//! What Python reads: snapshots as pickles, traces as JSON.

mod support {
    pub mod story;
}

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tenure_event_log::{Event, Format, Kind, Log};
use tenure_harness::{Printed, output, require, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

/// The reader of pytorch.org/memory_viz knows these opcodes. It takes numbers of more than 8 bytes for another type,
/// which it cannot add.
const CHECK: &str = "
import json, pickle, pickletools, sys
known = '''PROTO APPEND APPENDS LIST TUPLE NEWFALSE NEWTRUE NONE BININT BININT1 BININT2 EMPTY_DICT EMPTY_LIST LONG1 MARK SETITEMS
    SETITEM DICT SHORT_BINUNICODE BINUNICODE STOP EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 BINFLOAT'''.split()
with open(sys.argv[1], 'rb') as file:
    pickled = file.read()
for opcode, argument, _ in pickletools.genops(pickled):
    assert opcode.name in known, opcode.name
    assert opcode.name != 'LONG1' or -1 << 63 <= argument < 1 << 63, argument
with open(sys.argv[2], encoding='utf-8') as file:
    entries = len(json.load(file)['traceEvents'])
snapshot = pickle.loads(pickled)
print(json.dumps(snapshot, sort_keys=True, separators=(',', ':'), ensure_ascii=False), entries)
";

/// What Python reads of both, in one line.
fn read_by_python(name: &str, log: &Log) -> String {
    require(&["python3"]);
    let paths = [(Format::Torch, "pickle"), (Format::Perfetto, "json")].map(|(format, extension)| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{extension}"));
        format.write(log, false, std::fs::File::create(&path).unwrap()).unwrap();
        path
    });
    let mut python = Command::new("python3");
    python.args(["-c", CHECK]).args(paths).env("PYTHONIOENCODING", "utf-8");
    let Printed { stdout, stderr, .. } = output(&mut python, Duration::from_secs(100)).unwrap();
    assert_eq!(stderr, "");
    stdout
}

#[test]
fn python_reads_the_golden_snapshot() {
    let golden = std::fs::read_to_string("tests/golden/snapshot.json").unwrap().replace('\n', "");
    let entries = std::fs::read_to_string("tests/golden/trace.json").unwrap().matches("\"ph\"").count();
    assert_eq!(read_by_python("story", &support::story::story()), format!("{golden} {entries}\n"));
}

/// Lists are appended in parts of 1000 elements.
#[test]
fn python_reads_a_long_snapshot() {
    let block = |time, kind| Event { address: 0x1000 + time / 2 * 64, bytes: 64, pool: 1, ..Event::new(time, 1, kind) };
    let events = (0..5_000).map(|time| block(time, if time % 2 == 0 { Kind::Allocate } else { Kind::Free })).collect();
    let read = read_by_python("long", &Log { events, ..Log::default() });
    assert_eq!(read.matches("\"action\":\"free_completed\"").count(), 2500);
}
