//! The `tenure` command on running processes: this program, started again with `TENURE_TEST_PART`, is the process that
//! is looked at.

#[path = "../../tests/support/capi.rs"]
mod capi;
#[path = "../src/profile/pprof.rs"]
mod pprof;

use capi::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tenure::types::*;
use tenure_event_log::{Event, Format, Kind, Log};
use tenure_harness::{Printed, again, output, skip, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

const PART: &str = "TENURE_TEST_PART";
const LIMIT: Duration = Duration::from_secs(120);

/// The command with arguments.
fn tenure(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(arguments).env_remove("TENURE_LISTEN").env_remove("LD_PRELOAD").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    ran(&mut tenure(arguments))
}

fn ran(command: &mut Command) -> (i32, String, String) {
    let Printed { status, stdout, stderr, .. } = output(command, LIMIT).unwrap();
    (status.and_then(|status| status.code()).unwrap_or(-1), stdout, stderr)
}

/// A file of this test.
fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// A process that holds arrays; it ends with the value.
struct Server {
    child: Child,
}

impl Server {
    /// Starts the part of a test that is the server.
    fn start(test: &str, listens: bool) -> Server {
        let mut command = again(test);
        command.env(PART, "server").env("TENURE_LISTEN", if listens { "1" } else { "0" });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.find(|line| line.as_deref().is_ok_and(|line| line == "ready")).expect("the server is ready").unwrap();
        Server { child }
    }

    fn id(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the server: tells that it is ready, and waits for its end.
fn serve() -> ! {
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0)
}

/// A log with two allocations, one of which is freed.
fn event_log() -> Log {
    let block = |event, address| Event { address, bytes: 4096, pool: 1, client: 2, site: 3, ..event };
    Log {
        start_unix_ns: 1_700_000_000_000_000_000,
        pid: 77,
        kinds: 3,
        version: "0.1.0".to_owned(),
        events: vec![
            block(Event::new(1000, 5, Kind::Allocate), 0x1000),
            block(Event::new(2000, 5, Kind::Allocate), 0x9000),
            block(Event::new(3000, 6, Kind::Free), 0x1000),
        ],
        sites: [(3, "step.py:41".to_owned())].into(),
        pools: [(1, "staging".to_owned())].into(),
        ..Log::default()
    }
}

/// CO-30: the format is that of the file's name, or that of `--to`.
#[test]
fn co_30_an_event_log_is_converted() {
    let (log, path) = (event_log(), file("events.tnlog"));
    tenure_event_log::write(&path, &log).unwrap();
    let convert = |name: &str, more: &[&str]| {
        let to = file(name);
        let arguments = ["convert", path.to_str().unwrap(), "-o", to.to_str().unwrap()];
        let (code, text, errors) = run(&[&arguments[..], more].concat());
        assert_eq!((code, errors.as_str()), (0, ""), "{text}");
        assert_eq!(text, format!("{}: 3 events\n", to.display()));
        std::fs::read(to).unwrap()
    };
    let written = |format: Format| {
        let mut bytes = Vec::new();
        format.write(&log, false, &mut bytes).unwrap();
        bytes
    };
    for (name, format) in [
        ("1.json", Format::Perfetto),
        ("1.pickle", Format::Torch),
        ("1.pkl", Format::Torch),
        ("1.csv", Format::Rmm),
        ("1.tnlog", Format::Log),
    ] {
        assert!(convert(name, &[]) == written(format), "{name}");
    }
    for format in Format::ALL {
        assert!(convert(&format!("2.{}", format.name()), &["--to", format.name()]) == written(format));
    }
    // A log that is packed, to a packed log and back.
    assert!(convert("3.tnlog.gz", &[]).starts_with(b"\x1f\x8b"));
    assert_eq!(tenure_event_log::read(file("3.tnlog.gz")).unwrap(), log);
    assert!(convert("3.json.gz", &[]).starts_with(b"\x1f\x8b"));

    let (code, text, errors) = run(&["convert", path.to_str().unwrap(), "-o", "events.odd"]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert_eq!(
        errors,
        "tenure convert: the name events.odd says no format; add --to perfetto, torch, rmm or log, or end it with .json\n"
    );
    assert_eq!(run(&["convert", path.to_str().unwrap(), "-o", "1.json", "--to", "odd"]).0, 2);
}

/// CO-31: nothing is overwritten by mistake, and no file is left of a failure.
#[test]
fn co_31_convert_overwrites_only_if_it_is_forced() {
    let path = file("events.tnlog");
    tenure_event_log::write(&path, &event_log()).unwrap();
    let to = file("there.csv");
    std::fs::write(&to, "mine").unwrap();
    let arguments = ["convert", path.to_str().unwrap(), "-o", to.to_str().unwrap()];
    let (code, text, errors) = run(&arguments);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.ends_with("there.csv is there already; name another file, or add --force\n"), "{errors}");
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");
    assert_eq!(run(&[&arguments[..], &["--force"]].concat()).0, 0);
    assert!(std::fs::read(&to).unwrap().starts_with(b"Thread,"));

    // Files may have no more than 512 bytes.
    let to = file("long.json");
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tenure")]);
    let (code, _, errors) = ran(limited.args(["convert", path.to_str().unwrap(), "-o", to.to_str().unwrap()]));
    assert_eq!((code, errors.lines().count()), (1, 1));
    assert!(errors.contains("long.json: File too large"), "{errors}");
    assert!(!to.exists());

    // An old file stays, and nothing beside it.
    std::fs::write(&to, "mine").unwrap();
    let (code, _, errors) = ran(limited.arg("--force"));
    assert!(code == 1 && errors.contains("long.json: File too large"), "{errors}");
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");
    let names = std::fs::read_dir(to.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    let beside = names.filter(|name| name.to_string_lossy().starts_with("long.json.")).count();
    assert_eq!(beside, 0);
}

/// CO-32: logs of RMM are read; a file that is no log gives one line.
#[test]
fn co_32_convert_reads_rmms_logs_and_no_other_files() {
    let (from, to) = (file("rmm.csv"), file("rmm.tnlog"));
    std::fs::write(&from, "Thread,Time,Action,Pointer,Size,Stream\n7,12:00:00.5,allocate,0x10,8,0\n").unwrap();
    let convert = || run(&["convert", from.to_str().unwrap(), "-o", to.to_str().unwrap()]);
    assert_eq!(convert().0, 0);
    let read = tenure_event_log::read(&to).unwrap();
    assert_eq!((read.events.len(), read.events[0].address, read.events[0].thread), (1, 0x10, 7));

    std::fs::remove_file(&to).unwrap();
    std::fs::write(&from, "hello").unwrap();
    let (code, text, errors) = convert();
    assert_eq!((code, text.as_str()), (1, ""));
    let expected = format!(
        "tenure convert: cannot read {}: no event log begins at byte 0; \
         name a file that Tenure or RMM's logging adaptor recorded\n",
        from.display()
    );
    assert_eq!(errors, expected);
    assert!(!to.exists());
}

/// CO-33: what the log lacks is said.
#[test]
fn co_33_convert_says_what_the_log_lacks() {
    let path = file("short.tnlog");
    tenure_event_log::write(&path, &Log { dropped: 1, wrapped: true, ..event_log() }).unwrap();
    let (code, text, _) = run(&["convert", path.to_str().unwrap(), "-o", file("short.json").to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(
        text.ends_with("short.json: 3 events; 1 event found no room in the log; older events were overwritten\n"),
        "{text}"
    );
}

/// The log has clients by number; the crate of the log does not know the library that numbers them.
#[test]
fn the_logs_clients_are_the_librarys() {
    for client in tenure::pool::Client::all() {
        assert_eq!(tenure_event_log::client_name(client.index() as u8), client.name());
    }
}

fn is_server() -> bool {
    std::env::var_os(PART).is_some()
}

/// CO-20: the report of a process, as text and as JSON, and of a saved file.
#[test]
fn co_20_report_of_a_process_and_of_a_file() {
    if is_server() {
        let pool = pool_of(|options| options.max_size = 64 << 20).unwrap();
        here(c"step.py", 41);
        let large = zeros(pool, &[1 << 17]).unwrap();
        set_name(large, "weights");
        read(clone(large).unwrap(), 0).unwrap();
        for _ in 0..12 {
            zeros(0, &[100]).unwrap();
        }
        serve();
    }
    let server = Server::start("co_20_report_of_a_process_and_of_a_file", true);
    let (code, text, errors) = run(&["report", &server.id()]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    assert!(text.starts_with(&format!("tenure 0.1.0, process {}\n", server.id())), "{text}");
    for part in [
        "1 MiB in use, peak 1 MiB",
        "limit 64 MiB",
        "     1 MiB  2 arrays \"weights\" at step.py:41, being read at step.py:41; in pool ",
        "\n  and 3 more\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (_, short, _) = run(&["report", &server.id(), "--limit", "1"]);
    assert!(short.contains("\n  and 12 more\n"), "{short}");
    let (code, json, errors) = run(&["report", &server.id(), "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let saved = file("saved.json");
    std::fs::write(&saved, &json).unwrap();
    let (code, again, errors) = run(&["report", saved.to_str().unwrap()]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let page = file("saved.html");
    let (code, nothing, errors) = run(&["report", &server.id(), "--html", page.to_str().unwrap()]);
    assert_eq!((code, nothing.as_str(), errors.as_str()), (0, "", ""));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("\"weights\""), "{}", &page[..100]);
    let page = file("of-the-file.html");
    let (code, nothing, errors) = run(&["report", saved.to_str().unwrap(), "--html", page.to_str().unwrap()]);
    assert_eq!((code, nothing.as_str(), errors.as_str()), (0, "", ""));
    assert!(std::fs::read_to_string(page).unwrap().contains("\"weights\""));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(&text));
    assert_eq!(run(&["report", saved.to_str().unwrap(), "--json"]).1.trim_end(), json.trim_end());
}

/// CO-50, CO-51: figures by pool, client and device, and nothing that a report says of arrays.
#[test]
fn co_50_metrics_of_a_process() {
    if is_server() {
        let pool = pool_of(|options| options.max_size = 64 << 20).unwrap();
        here(c"step.py", 41);
        let large = zeros(pool, &[1 << 17]).unwrap();
        set_name(large, "secret");
        read(clone(large).unwrap(), 0).unwrap();
        serve();
    }
    let server = Server::start("co_50_metrics_of_a_process", true);
    let id = server.id();
    let (code, text, errors) = run(&["metrics", &id]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let value = |metric: &str, part: &str| {
        let begin = format!("{metric}{{process=\"{id}\",");
        let mut found = text.lines().filter(|line| line.starts_with(&begin) && line.contains(part));
        let line = found.next().unwrap_or_else(|| panic!("no {metric} with {part} in {text}"));
        assert!(found.next().is_none(), "{metric} with {part} twice in {text}");
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    assert_eq!(value("tenure_up", ""), 1);
    assert_eq!(value("tenure_pool_in_use_bytes", "pool_id=\"1\""), 1 << 20);
    assert_eq!(value("tenure_pool_limit_bytes", "pool_id=\"1\""), 64 << 20);
    assert_eq!(value("tenure_pool_allocations_total", "pool_id=\"1\""), 1);
    assert_eq!(value("tenure_client_live_bytes", "client=\"arrays\""), 1 << 20);
    assert_eq!(value("tenure_arrays_bytes", "device=\"cpu\""), 1 << 20);
    assert_eq!(value("tenure_holders", "kind=\"handle\""), 2);
    assert_eq!(value("tenure_holders", "kind=\"guard_read\""), 1);
    assert!(!text.contains("secret") && !text.contains("step.py"), "{text}");
    assert!(run(&["metrics"]).1.contains(&format!("tenure_up{{process=\"{id}\"")), "without a number: all that listen");

    let silent = Server::start("co_50_metrics_of_a_process", false);
    let (code, text, errors) = run(&["metrics", &silent.id()]);
    assert_eq!((code, errors.lines().count()), (1, 1));
    assert!(text.contains("} 0\n") && errors.contains("TENURE_LISTEN=1"), "{text}{errors}");
    let (code, both, _) = run(&["metrics", &silent.id(), &id]);
    assert_eq!((code, both.matches("tenure_up{").count()), (0, 2));
}

/// A document of the repository.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a document in a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("\n```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// Each command in a block of the guides is one that this program accepts.
#[test]
fn commands_of_the_guides_are_accepted() {
    let mut seen = 0;
    for page in ["operations.md", "command.md"] {
        let text = document(page);
        let lines = blocks(&text, "sh").into_iter().flat_map(str::lines);
        for line in lines.filter(|line| line.starts_with("tenure ")) {
            let line = line.split(" # ").next().unwrap().replace("$PID", "1").replace("$!", "1");
            // Wrong arguments before it are told first.
            let arguments: Vec<&str> = line.split_whitespace().skip(1).chain(["--help"]).collect();
            let (code, _, errors) = run(&arguments);
            assert_eq!((code, errors.as_str()), (0, ""), "{page}: {line}");
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
    assert_eq!(run(&["report", "1", "--odd", "--help"]).0, 2);
}

/// CO-50: the alarms and panels of the operator's guide ask for metrics that there are, and Prometheus reads them.
#[test]
fn co_50_the_dashboard_of_the_guide_has_metrics() {
    if is_server() {
        let pool = pool_of(|options| options.name = c"frames".as_ptr()).unwrap();
        // Its value is copied, so that the book of copies is not empty.
        shared_get(shared_create(zeros(pool, &[1000]).unwrap(), 0).unwrap(), 0).unwrap();
        serve();
    }
    let server = Server::start("co_50_the_dashboard_of_the_guide_has_metrics", true);
    let (page, metrics) = (document("operations.md"), run(&["metrics", &server.id()]).1);
    let words = page.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with("tenure_"));
    let names: std::collections::BTreeSet<&str> = words.collect();
    assert!(names.len() >= 8, "{names:?}");
    let unknown: Vec<_> = names
        .into_iter()
        .filter(|name| {
            let (family, kind) = name.strip_suffix("_total").map_or((*name, "gauge"), |family| (family, "counter"));
            !metrics.contains(&format!("# TYPE {family} {kind}\n"))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in {metrics}");

    let yaml = blocks(&page, "yaml");
    let [config, rules] = yaml[..] else { panic!("a configuration and its rules: {yaml:?}") };
    let config_file = file("prometheus.yml");
    std::fs::write(&config_file, config).unwrap();
    std::fs::write(config_file.with_file_name("rules.yml"), rules).unwrap();
    if Command::new("promtool").arg("--version").output().is_err() {
        skip("the metrics are there; promtool, which reads the files, is not installed");
    }
    let (code, text, errors) = ran(Command::new("promtool").args(["check", "config"]).arg(&config_file));
    assert!(code == 0 && text.contains("SUCCESS: 2 rules found"), "{text}{errors}");
}

/// Arrays and raw blocks of two pools, made at three call sites; the second pool's array is in a file.
fn hold_for_a_profile() {
    let pool = pool_of(|options| options.name = c"frames".as_ptr()).unwrap();
    here(c"step.py", 41);
    let large = zeros(pool, &[1 << 17]).unwrap();
    zeros(pool, &[1 << 17]).unwrap();
    here(c"other.py", 1);
    // Neither this handle nor this guard made the bytes.
    read(clone(large).unwrap(), 0).unwrap();
    here(c"a:b\x1b[2J.c", 7);
    allocate(pool, 1 << 12).unwrap();
    allocate(pool, 1 << 12).unwrap();

    let spilling = pool_of(|options| options.name = c"spilling".as_ptr()).unwrap();
    let folder = std::ffi::CString::new(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = tn_spill_options {
        size: size_of::<tn_spill_options>(),
        folder: folder.as_ptr(),
        max_bytes: 0,
        min_array_bytes: 0,
    };
    // SAFETY: a struct of its size with a text.
    done(|| unsafe { tenure::ffi::pool::tn_pool_set_spill(spilling as *mut tn_pool, &options) }).unwrap();
    here(c"step.py", 41);
    zeros(spilling, &[1 << 16]).unwrap();
    let mut spilled = 0;
    // SAFETY: a writable output.
    done(|| unsafe { tenure::ffi::pool::tn_pool_spill(spilling as *mut tn_pool, usize::MAX, &mut spilled) }).unwrap();
    assert_eq!(spilled, 1 << 19);
}

/// Reads a profile with the messages that the command writes; `co_55_go_reads_a_profile` has another reader.
fn read_profile(path: &Path) -> pprof::Profile {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    prost::Message::decode(bytes.as_slice()).unwrap()
}

/// The samples of a profile in words: function, file and line, values, labels.
fn samples(profile: &pprof::Profile) -> Vec<String> {
    let text = |number: i64| profile.string_table[usize::try_from(number).unwrap()].as_str();
    let in_words = |sample: &pprof::Sample| {
        let [location] = sample.location_id[..] else { panic!("a stack of one: {sample:?}") };
        let location = profile.location.iter().find(|own| own.id == location).unwrap();
        let line = location.line[0];
        let function = profile.function.iter().find(|own| own.id == line.function_id).unwrap();
        let labels: Vec<_> =
            sample.label.iter().map(|label| format!("{}={}", text(label.key), text(label.str))).collect();
        format!(
            "{} | {} {} | {:?} | {}",
            text(function.name),
            text(function.filename),
            line.line,
            sample.value,
            labels.join(" ")
        )
    };
    profile.sample.iter().map(in_words).collect()
}

/// CO-53, CO-54: one sample for each call site and pool, with the bytes that the report has, of a process and of a saved
/// report.
#[test]
fn co_53_a_profile_has_the_bytes_of_the_report() {
    if is_server() {
        hold_for_a_profile();
        serve();
    }
    let server = Server::start("co_53_a_profile_has_the_bytes_of_the_report", true);
    let out = file("heap.pb.gz");
    let (code, text, errors) = run(&["profile", &server.id(), "-o", out.to_str().unwrap()]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(text, format!("{}: 2.01 MiB in 5 blocks, and 512 KiB in files, by 2 call sites\n", out.display()));
    let profile = read_profile(&out);
    let kinds =
        profile.sample_type.iter().map(|kind| [kind.r#type, kind.unit].map(|n| &profile.string_table[n as usize]));
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, [["inuse_objects", "count"], ["inuse_space", "bytes"], ["spilled_space", "bytes"]]);
    assert_eq!(profile.string_table[profile.default_sample_type as usize], "inuse_space");
    let begin = "pool=frames pool_id=1 device=cpu client";
    let expected = [
        format!("step.py:41 | step.py 41 | [2, 2097152, 0] | {begin}=arrays kind=array"),
        format!("a:b\u{fffd}[2J.c:7 | a:b\u{fffd}[2J.c 7 | [2, 8192, 0] | {begin}=raw kind=raw block"),
        "step.py:41 | step.py 41 | [1, 0, 524288] | pool=spilling pool_id=2 device=cpu client=arrays kind=array"
            .to_owned(),
    ];
    assert_eq!(samples(&profile), expected);

    // What the report says, in other words and in bytes.
    let (_, json, _) = run(&["report", &server.id(), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sum =
        |list: &str| report[list].as_array().unwrap().iter().map(|item| item["bytes"].as_i64().unwrap()).sum::<i64>();
    let held: i64 = profile.sample.iter().map(|sample| sample.value[1] + sample.value[2]).sum();
    assert_eq!(held, sum("stores") + sum("blocks"));
    let saved = file("saved.json");
    std::fs::write(&saved, &json).unwrap();
    let of_file = file("of-the-file.pb.gz");
    let (code, _, errors) = run(&["profile", saved.to_str().unwrap(), "-o", of_file.to_str().unwrap()]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(samples(&read_profile(&of_file)), samples(&profile));
    let time = |profile: &pprof::Profile| profile.time_nanos;
    assert_eq!(time(&read_profile(&of_file)) as u64, report["time_ns"].as_u64().unwrap());
}

/// CO-31, CO-54: a profile overwrites nothing by mistake, and no file is left of a failure.
#[test]
fn co_54_a_profile_is_written_whole_or_not_at_all() {
    if is_server() {
        hold_for_a_profile();
        serve();
    }
    let server = Server::start("co_54_a_profile_is_written_whole_or_not_at_all", true);
    let to = file("there.pb.gz");
    std::fs::write(&to, "mine").unwrap();
    let id = server.id();
    let arguments = ["profile", &id, "-o", to.to_str().unwrap()];
    let (code, text, errors) = run(&arguments);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.ends_with("there.pb.gz is there already; name another file, or add --force\n"), "{errors}");
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");

    // Files may have no byte.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tenure")]);
    let (code, _, errors) = ran(limited.args(arguments).arg("--force"));
    assert!(code == 1 && errors.contains("there.pb.gz: File too large"), "{errors}");
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");
    assert_eq!(run(&[&arguments[..], &["--force"]].concat()).0, 0);
    assert_eq!(samples(&read_profile(&to)).len(), 3);

    // A report that is none, and a process that does not answer.
    let (garbage, new) = (file("garbage.json"), file("new.pb.gz"));
    std::fs::write(&garbage, "no JSON").unwrap();
    for (from, part) in
        [(garbage.to_str().unwrap(), "is no report of Tenure"), ("4194305", "there is no process 4194305")]
    {
        let (code, text, errors) = run(&["profile", from, "-o", new.to_str().unwrap()]);
        assert!(code == 1 && text.is_empty() && errors.contains(part) && errors.lines().count() == 1, "{errors}");
        assert!(!new.exists());
    }
    assert_eq!(run(&["profile", "1"]).0, 2);
}

/// CO-55: pprof itself reads the profile, sums it by call site, and groups it by label.
#[test]
fn co_55_go_reads_a_profile() {
    if is_server() {
        hold_for_a_profile();
        serve();
    }
    if !Command::new("go").args(["tool", "-n", "pprof"]).output().is_ok_and(|output| output.status.success()) {
        tenure_harness::missing("go tool pprof is not installed; on Debian: apt-get install golang-go".to_owned());
    }
    let server = Server::start("co_55_go_reads_a_profile", true);
    let out = file("heap.pb.gz");
    assert_eq!(run(&["profile", &server.id(), "-o", out.to_str().unwrap()]).0, 0);
    let pprof = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.args(["tool", "pprof"]).args(arguments).arg(&out);
        command.env("PPROF_TMPDIR", out.parent().unwrap()).env("GOTOOLCHAIN", "local").env("LC_ALL", "C");
        let (code, text, errors) = ran(&mut command);
        assert_eq!(code, 0, "{arguments:?}: {errors}");
        text
    };
    let rows = |text: &str| -> Vec<Vec<String>> {
        let rows = text.lines().skip_while(|line| !line.contains("flat%")).skip(1);
        rows.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let top = pprof(&["-top", "-unit=B", "-nodefraction=0"]);
    assert!(top.contains("Type: inuse_space"), "{top}");
    let found: Vec<_> = rows(&top).into_iter().map(|row| [row[0].clone(), row[5..].join(" ")]).collect();
    assert_eq!(found[..2], [["2097152B", "step.py:41"], ["8192B", "a:b\u{fffd}[2J.c:7"]], "{top}");
    let objects = pprof(&["-top", "-sample_index=inuse_objects"]);
    assert_eq!(rows(&objects)[0][..1], ["3"], "{objects}");
    let spilled = pprof(&["-top", "-sample_index=spilled_space", "-unit=B", "-tagfocus=pool=spilling"]);
    assert_eq!(rows(&spilled)[0][..1], ["524288B"], "{spilled}");
    let tags = pprof(&["-tags", "-unit=B"]);
    for part in ["pool: ", "frames", "client: ", "raw block"] {
        assert!(tags.contains(part), "{part} in {tags}");
    }
}

/// CO-52: the text by HTTP, on this machine unless another address is chosen.
#[test]
fn co_52_metrics_are_served() {
    let mut command = tenure(&["metrics", "--listen", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("serving http://").and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let ask = |request: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
            .write_all(format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let metrics = ask("GET /metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 ") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(metrics.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{metrics}");
    assert!(ask("GET /report").starts_with("HTTP/1.1 404 ") && ask("POST /metrics").starts_with("HTTP/1.1 405 "));
    assert!(ask("GET /metrics?x=1").starts_with("HTTP/1.1 200 "));
    // The port is taken.
    let (code, text, errors) = run(&["metrics", "--listen", &address]);
    assert_eq!((code, text.as_str(), errors.lines().count()), (1, "", 1));
    assert!(errors.contains(&address), "{errors}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(run(&["metrics", "--listen", "here"]).0, 2);
}

/// CO-21: an answer is read only from the process that was asked for.
#[test]
fn co_21_an_impostor_is_not_believed() {
    // A process that does not listen, and another one that took its name.
    let mut victim = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let name = SocketAddr::from_abstract_name(format!("tenure/{}", victim.id())).unwrap();
    let listener = UnixListener::bind_addr(&name).unwrap();
    let served = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let _ = client.read_to_end(&mut request);
        request
    });
    let (code, text, errors) = run(&["report", &victim.id().to_string()]);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.contains(&format!("process {} listens under the name", std::process::id())), "{errors}");
    assert_eq!(served.join().unwrap(), b"", "nothing was sent to it");
}

/// CO-28: what a process sends is read as a report, or refused; nothing of it becomes a part of the page's program.
#[test]
fn co_28_an_answer_is_not_trusted() {
    const TEST: &str = "co_28_an_answer_is_not_trusted";
    let script = "</script><script>alert('of another')</script>\u{202e}";
    let report = format!(
        "{{\"schema\":1,\"version\":[0,1,0],\"process\":1,\"time_ns\":1,\"libraries\":[],\"pools\":[{{\"id\":1,\"name\":\"{script}\",\
         \"device\":\"cpu\",\"released\":false,\"stats\":{{\"in_use_bytes\":1,\"reserved_bytes\":1,\"peak_in_use_bytes\":1,\"limit_bytes\":0,\
         \"allocation_count\":1,\"oom_count\":0}},\"clients\":[]}}],\"stores\":[],\"blocks\":[],\"open\":[],\"copies\":[]}}"
    );
    let texts =
        [script.as_bytes(), b"\x1b]0;title\x07 not json", b"{\"schema\":1}", b"\xff\xfe", b"", report.as_bytes()];
    let answers = texts.map(<[u8]>::to_vec);
    if is_server() {
        let name = SocketAddr::from_abstract_name(format!("tenure/{}", std::process::id())).unwrap();
        let listener = UnixListener::bind_addr(&name).unwrap();
        std::thread::spawn(move || {
            for answer in answers.iter().flat_map(|answer| [answer; 3]) {
                let (mut client, _) = listener.accept().unwrap();
                let _ = client.read(&mut [0; 64]);
                let _ = client.write_all(answer);
            }
        });
        serve();
    }
    let server = Server::start(TEST, false);
    let page = file("of-a-liar.html");
    for (k, answer) in answers.iter().enumerate() {
        for more in [&["--html", page.to_str().unwrap()][..], &["--json"], &[]] {
            let (code, text, errors) = run(&[&["report", &server.id()], more].concat());
            let is_report = answer == report.as_bytes();
            assert_eq!(code, i32::from(!is_report), "answer {k}, {more:?}: {text}{errors}");
            let plain = |text: &str| !text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}'));
            assert!(plain(&text) && plain(&errors), "{text:?} {errors:?}");
            assert!(is_report || text.is_empty() && errors.lines().count() == 1, "{text:?} {errors:?}");
        }
        let saved = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(!saved.contains("<script>alert"), "answer {k}");
        assert_eq!(saved.contains("\\u003c/script\\u003e\\u003cscript\\u003ealert"), answer == report.as_bytes());
    }
}

/// CO-22: a failure is one line on standard error that says what to do, with status 1; wrong arguments have status 2.
#[test]
fn co_22_failures_are_one_line() {
    if is_server() {
        serve();
    }
    let server = Server::start("co_22_failures_are_one_line", false);
    let (garbage, newer, cut) = (file("garbage.json"), file("newer.json"), file("cut.json"));
    std::fs::write(&garbage, "no JSON").unwrap();
    std::fs::write(&newer, "{\"schema\":2}").unwrap();
    std::fs::write(&cut, "{\"schema\":1,\"pools\":[").unwrap();
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    for (arguments, status, part) in [
        (vec!["report".to_owned(), server.id()], 1, "TENURE_LISTEN=1"),
        (vec!["report".to_owned(), "4194305".to_owned()], 1, "there is no process 4194305"),
        (vec!["report".to_owned(), "/no/such/file".to_owned()], 1, "/no/such/file"),
        (vec!["report".to_owned(), path(&garbage)], 1, "is no report of Tenure"),
        (vec!["report".to_owned(), path(&newer)], 1, "format 2"),
        (vec!["report".to_owned(), path(&cut)], 1, "cut off"),
        (vec!["top".to_owned(), server.id()], 1, "needs a terminal"),
        (vec!["report".to_owned()], 2, "--help"),
        (vec!["report".to_owned(), "1".to_owned(), "--limit".to_owned(), "x".to_owned()], 2, "--limit"),
        (vec!["top".to_owned(), "name".to_owned()], 2, "PID"),
        (vec!["top".to_owned(), "1".to_owned(), "--interval".to_owned(), "0".to_owned()], 2, "0.1"),
        (vec!["unknown".to_owned()], 2, "unknown"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, text, errors) = run(&arguments);
        assert_eq!((code, text.as_str()), (status, ""), "{arguments:?}: {errors}");
        assert!(
            errors.contains(part) && errors.starts_with("tenure") && errors.lines().count() == 1,
            "{arguments:?}: {errors}"
        );
    }
    assert_eq!(run(&["--help"]).0, 0);
    assert_eq!(run(&["--version"]).1, "tenure 0.1.0\n");
}

/// CO-23: names from a process cannot command the terminal.
#[test]
fn co_23_control_characters_are_not_printed() {
    if is_server() {
        set_name(zeros(0, &[10]).unwrap(), "bell\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}gnp\u{2069}");
        serve();
    }
    let server = Server::start("co_23_control_characters_are_not_printed", true);
    let (_, text, _) = run(&["report", &server.id()]);
    let (_, json, _) = run(&["report", &server.id(), "--json"]);
    let obeyed = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{2069}'));
    for text in [text, json] {
        assert!(text.contains("bell") && !text.contains(obeyed), "{text:?}");
    }
}

/// CO-24: the processes that use Tenure with their shared segments, each once with all who have it.
#[allow(clippy::zombie_processes)] // the child ends with the server
#[test]
fn co_24_ps_lists_processes_and_segments() {
    if is_server() {
        let pool = pool_of(|options| options.flags = TN_POOL_SHAREABLE).unwrap();
        let array = zeros(pool, &[1 << 16]).unwrap();
        let (_, fd) = export_ipc(array, 0).unwrap();
        // Another process with the segment, and without the library's listener.
        let mut child = Command::new("sleep");
        // SAFETY: only makes the descriptor survive the exec.
        unsafe {
            child.arg("600").pre_exec(move || {
                libc::fcntl(fd, libc::F_SETFD, 0);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = child.spawn().unwrap();
        println!("child {}", child.id());
        serve();
    }
    let server = Server::start("co_24_ps_lists_processes_and_segments", true);
    // Names that are no UTF-8, or look like a line of /proc/net/unix, hide no listener.
    let name = |name: &[u8]| UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    let forged = format!("x\n0: 2 0 10000 1 1 1 @tenure/{}", server.id());
    let _others =
        [name(format!("tenure test {} \u{e9}", server.id()).as_bytes()), name(forged.as_bytes()), name(b"\xff\xfe")];
    let quiet = Server::start("co_22_failures_are_one_line", false);
    let (code, json, errors) = run(&["ps", "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let processes = found["processes"].as_array().unwrap();
    let of = |id: u64| processes.iter().find(|process| process["process"] == id);
    let own = of(server.child.id().into()).unwrap_or_else(|| panic!("{json}"));
    assert_eq!(own["listens"], true);
    let segment = own["segments"][0].as_u64().unwrap();
    let listed: Vec<_> = found["segments"].as_array().unwrap().iter().filter(|s| s["segment"] == segment).collect();
    assert_eq!(listed.len(), 1, "{json}");
    assert!(listed[0]["bytes"].as_u64().unwrap() >= 8 << 16, "{json}");
    let holders = listed[0]["processes"].as_array().unwrap();
    assert_eq!(holders.len(), 2, "{json}");
    let child = holders.iter().find(|id| **id != u64::from(server.child.id())).unwrap().as_u64().unwrap();
    assert!(of(child).is_some_and(|child| child["listens"] == false), "{json}");
    // This program links the library statically, so nothing shows that the other server uses it.
    assert!(of(quiet.child.id().into()).is_none(), "{json}");
    let (code, text, _) = run(&["ps"]);
    assert_eq!(code, 0);
    let line =
        text.lines().find(|line| line.trim_start().starts_with(&server.id())).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("yes"), "{text}");
    assert!(
        text.contains("shared segment") && text.contains(&segment.to_string()) && !text.contains('\u{1b}'),
        "{text}"
    );
}

/// Maps the beginning of a file, until the process ends.
fn map_file(path: &std::ffi::OsStr) -> std::fs::File {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: a new mapping of a file that nobody shortens.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    assert_ne!(at, libc::MAP_FAILED);
    file
}

/// CO-24: a process that has loaded the shared library is found by its file.
#[test]
fn co_24_ps_finds_a_process_with_the_library() {
    if is_server() {
        let path = std::ffi::CString::new(std::env::var("TENURE_TEST_FILE").unwrap()).unwrap();
        // SAFETY: a library whose initialisation only reads the environment.
        assert!(!unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) }.is_null());
        let _mapped = map_file(&std::env::var_os("TENURE_TEST_MAPPED").unwrap());
        serve();
    }
    let built = std::env::current_exe().unwrap().with_file_name("libtenure.so");
    if !built.exists() {
        skip("the shared library is not built");
    }
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var("TENURE_TEST_FILE", &built) };
    // A path that is no UTF-8 hides no process.
    let mapped = file("mapped").with_file_name(std::ffi::OsStr::from_bytes(b"mapped \xff.bin"));
    std::fs::write(&mapped, [0; 4096]).unwrap();
    // SAFETY: as above.
    unsafe { std::env::set_var("TENURE_TEST_MAPPED", &mapped) };
    let server = Server::start("co_24_ps_finds_a_process_with_the_library", false);
    let (_, text, _) = run(&["ps"]);
    let line =
        text.lines().find(|line| line.trim_start().starts_with(&server.id())).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("libtenure.so") && line.contains(" no "), "{text}");
}

/// CO-25: absent things are no failure; what is there and does not work is.
#[test]
fn co_25_doctor_tells_absent_from_broken() {
    let (code, text, errors) = run(&["doctor"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    for part in [
        "CUDA driver",
        "huge pages",
        "control group",
        "NUMA nodes",
        "ulimit -n",
        "ulimit -l",
        "ulimit -v",
        "LD_PRELOAD",
        "python3",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.ends_with("nothing is broken\n"));
    let folder = file("bin");
    let (code, text, _) = ran(tenure(&["doctor"]).env("PATH", &folder));
    assert!(code == 0 && text.contains("is not on the PATH"), "{text}");
    // A python3 that fails.
    std::fs::create_dir_all(&folder).unwrap();
    let _ = std::fs::remove_file(folder.join("python3"));
    std::os::unix::fs::symlink("/bin/false", folder.join("python3")).unwrap();
    let (code, text, _) = ran(tenure(&["doctor"]).env("PATH", &folder));
    assert!(code == 1 && text.contains("BROKEN   python3"), "{text}");
    assert!(text.ends_with("something is broken: see the lines marked BROKEN\n"), "{text}");
    let (code, text, _) = ran(tenure(&["doctor"]).env("LD_PRELOAD", "/no/such/libx.so"));
    assert!(code == 1 && text.contains("/no/such/libx.so"), "{text}");
}

/// CO-25: the devices are those of the library.
#[test]
fn co_25_doctor_shows_the_devices_of_the_driver() {
    let simulator = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("cuda-sim");
    if !simulator.join("libcuda.so.1").exists() {
        skip("the simulated driver is not built: cargo xtask sim");
    }
    let (code, text, errors) = ran(tenure(&["doctor"]).env("LD_LIBRARY_PATH", &simulator));
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    assert!(text.contains("supports CUDA") && text.contains("cuda:0") && text.contains("compute capability"), "{text}");
    let broken = file("driver");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("libcuda.so.1"), "no library").unwrap();
    let (_, text, _) = ran(tenure(&["doctor"]).env("LD_LIBRARY_PATH", &broken));
    assert!(text.contains("CUDA driver"), "{text}");
}

/// CO-26: the view in a terminal is refreshed, obeys keys, and leaves the terminal as it was.
#[test]
fn co_26_top_in_a_terminal() {
    if is_server() {
        here(c"grow.py", 7);
        let mut number = 0;
        set_name(zeros(0, &[1 << 18]).unwrap(), "largest");
        println!("ready");
        loop {
            number += 1;
            set_name(zeros(0, &[1000]).unwrap(), &format!("array{number}"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let server = Server::start("co_26_top_in_a_terminal", true);
    let (mut ours, theirs) = terminal(100, 30);
    let before = settings(&theirs);
    let mut top = tenure(&["top", &server.id(), "--interval", "0.1"]);
    let stdio = || Stdio::from(theirs.try_clone().unwrap());
    let mut top = top.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    let mut seen = String::new();
    wait_for(&mut ours, &mut seen, "\"largest\" at grow.py:7");
    // The change since the report before is there only after a refresh.
    wait_for(&mut ours, &mut seen, "+");
    ours.write_all(b"s").unwrap();
    wait_for(&mut ours, &mut seen, "growth");
    ours.write_all(b"\x1b[B\x1b[B").unwrap();
    wait_for(&mut ours, &mut seen, "array");
    ours.write_all(b"q").unwrap();
    let start = Instant::now();
    let status = loop {
        drain(&mut ours, &mut seen);
        match top.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() < Duration::from_secs(30) => std::thread::sleep(Duration::from_millis(10)),
            None => {
                top.kill().unwrap();
                panic!("q does not end it: {seen:?}");
            }
        }
    };
    assert_eq!(status.code(), Some(0), "{seen:?}");
    drain(&mut ours, &mut seen);
    // It leaves the alternate screen, and the terminal's settings are those of before.
    assert!(seen.contains("\x1b[?1049h") && seen.contains("\x1b[?1049l"), "{seen:?}");
    assert_eq!(settings(&theirs), before);
    // The end of the process is told.
    let mut top = tenure(&["top", &server.id(), "--interval", "0.1"]);
    let mut top = top.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    seen.clear();
    wait_for(&mut ours, &mut seen, "largest");
    let id = server.id();
    drop(server);
    wait_for(&mut ours, &mut seen, &format!("there is no process {id}"));
    assert_eq!(tenure_harness::wait(&mut top, LIMIT).unwrap().and_then(|status| status.code()), Some(1));
}

/// A terminal without a window: our side, which never waits, and that of the program.
fn terminal(columns: u16, rows: u16) -> (std::fs::File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: room for two descriptors; no name and no settings.
    let failed = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
    assert_eq!(failed, 0);
    // SAFETY: descriptors of ours, which the program started later must not inherit as such.
    unsafe {
        libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(theirs, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(ours, libc::F_SETFL, libc::O_NONBLOCK | libc::O_RDWR);
        (std::fs::File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

/// Whether the terminal edits lines and echoes.
fn settings(terminal: &OwnedFd) -> (u32, u32) {
    // SAFETY: all-zero is valid, and the call fills it.
    let mut found: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut found) }, 0);
    (found.c_lflag, found.c_iflag)
}

/// Adds what the program has written.
fn drain(terminal: &mut std::fs::File, seen: &mut String) {
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut part) {
        seen.push_str(&String::from_utf8_lossy(&part[..count]));
    }
}

fn wait_for(terminal: &mut std::fs::File, seen: &mut String, text: &str) {
    let start = Instant::now();
    loop {
        drain(terminal, seen);
        if seen.contains(text) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{text:?} does not come: {seen:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// CO-27: completions and pages for man name every command and option.
#[test]
fn co_27_pages_and_completions_are_complete() {
    let folder = file("share");
    let (code, text, errors) = run(&["pages", folder.to_str().unwrap()]);
    assert_eq!((code, text.as_str(), errors.as_str()), (0, "", ""));
    for place in [
        "bash-completion/completions/tenure",
        "zsh/site-functions/_tenure",
        "fish/vendor_completions.d/tenure.fish",
        "man/man1/tenure.1",
    ] {
        let text = std::fs::read_to_string(folder.join(place)).unwrap_or_else(|error| panic!("{place}: {error}"));
        for command in ["report", "top", "ps", "profile", "doctor"] {
            assert!(text.contains(command), "{command} in {place}");
        }
    }
    let page = std::fs::read_to_string(folder.join("man/man1/tenure-report.1")).unwrap();
    assert!(page.contains("limit") && page.contains("PID|FILE"), "{page}");
}
