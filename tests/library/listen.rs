//! The listener: who gets the report of a process, and what clients cannot do to it. Each test is a process of its own.

use crate::support;
use std::collections::BTreeSet;
use std::ffi::{CString, c_void};
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::capi::{self, *};
use tenure::types::*;
use tenure_harness::{again, skip, test};

/// Names the part that a process started by a test plays.
const PART: &str = "TENURE_TEST_PART";

fn set_option(name: &str, value: &str) -> capi::Done {
    let (name, value) = (CString::new(name).unwrap(), CString::new(value).unwrap());
    // SAFETY: texts.
    done(|| unsafe { tenure::ffi::library::tn_option_set(name.as_ptr(), value.as_ptr()) })
}

fn option(name: &str) -> String {
    let name = CString::new(name).unwrap();
    let (mut text, mut length) = ([0u8; 64], 0);
    // SAFETY: a text, and room for another.
    done(|| unsafe { tenure::ffi::library::tn_option_get(name.as_ptr(), 64, text.as_mut_ptr().cast(), &mut length) })
        .unwrap();
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// Connects to a process's listener.
fn connect(process: u32) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(format!("tenure/{process}"))?)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// What a process answers to a request.
fn ask(process: u32, request: &[u8]) -> std::io::Result<String> {
    let mut stream = connect(process)?;
    stream.write_all(request)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The number of the listener's thread, if this process has one.
fn listener_thread() -> Option<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| Some(task.ok()?.path())).find_map(|task| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        (name.trim() == "tenure-listen").then(|| task.file_name().unwrap().to_str().unwrap().to_owned())
    })
}

fn open_descriptors() -> BTreeSet<i32> {
    // The directory's own descriptor is closed again, and is not among them at the next look.
    let listed = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut all: BTreeSet<i32> =
        listed.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    all.retain(|fd| Path::new(&format!("/proc/self/fd/{fd}")).exists());
    all
}

/// A line of /proc/self/status.
fn status_of(thread: &str, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned()
}

fn listen() {
    set_option("listen", "1").unwrap();
}

/// CO-1: nothing exists without the option.
#[test]
fn co_1_without_the_option_there_is_nothing() {
    let array = numbers(0, &[4]);
    assert_eq!((option("listen").as_str(), listener_thread()), ("0", None));
    assert!(connect(std::process::id()).is_err());
    release(array).unwrap();
}

/// CO-2: the environment makes a program listen from its load on; a value that is not "on" does not.
#[test]
fn co_2_the_environment_starts_it() {
    if std::env::var_os(PART).is_some() {
        let array = numbers(0, &[1000]);
        set_name(array, "held by the child");
        println!("ready");
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    for (value, listens) in [("1", true), ("on", true), ("0", false), ("yes", false), ("", false)] {
        let mut child = again("co_2_the_environment_starts_it");
        child.env(PART, "server").env("TENURE_LISTEN", value).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let answer = ask(child.id(), b"json\n");
        assert_eq!(answer.is_ok(), listens, "TENURE_LISTEN={value}: {answer:?}");
        if let Ok(text) = answer {
            assert!(text.contains(&format!("\"process\":{},", child.id())) && text.ends_with('}'), "{text}");
            assert!(text.contains("held by the child"), "{text}");
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

/// CO-3: the answer is the report; any number of requests one after the other.
#[test]
fn co_3_it_answers_with_the_report() {
    listen();
    assert_eq!(option("listen"), "1");
    let array = numbers(0, &[300]);
    set_name(array, "three hundred");
    let own = with_report(|report| report.to_owned()).unwrap();
    let stable = |text: &str| {
        let from = text.find("\"pools\":").unwrap();
        text[from..text.find("\"open\":").unwrap()].to_owned()
    };
    for _ in 0..20 {
        let answer = ask(std::process::id(), b"json\n").unwrap();
        assert!(ask(std::process::id(), b"page\n").unwrap().starts_with("{\"schema\":1,"));
        assert_eq!(stable(&answer), stable(&own));
    }
    assert!(ask(std::process::id(), b"no such\n").unwrap().starts_with("error: "));
    // Set again, the option stays; it cannot be turned off, and the listener goes on.
    listen();
    assert_eq!(set_option("listen", "0"), Err(TN_ERR_INVALID));
    assert!(text().contains("listens until it ends"), "{}", text());
    assert_eq!(set_option("listen", "maybe"), Err(TN_ERR_INVALID));
    assert!(ask(std::process::id(), b"json\n").is_ok());
    release(array).unwrap();
}

/// CO-4: another user gets no answer. Root does, which the other tests show where they run as root.
#[test]
fn co_4_another_user_gets_no_answer() {
    // SAFETY: no argument.
    if unsafe { libc::geteuid() } != 0 {
        skip("only root can become another user");
    }
    listen();
    let own = std::process::id();
    assert!(ask(own, b"json\n").unwrap().starts_with('{'));
    for (user, expected) in [(12345, 1), (65534, 1), (0, 0)] {
        // SAFETY: the child asks, and ends without running anything of its parent's.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: integers only.
            let is_other = unsafe { libc::setresuid(user, user, user) } == 0;
            let answer = ask(own, b"json\n").unwrap_or_default();
            // SAFETY: ends the process.
            unsafe { libc::_exit(if is_other { i32::from(answer.is_empty()) } else { 9 }) };
        }
        let mut status = 0;
        // SAFETY: our own child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status), expected, "user {user}");
    }
    // A server that has become another user answers that one, and root.
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::seteuid(12345) }, 0);
    assert!(ask(own, b"json\n").unwrap().starts_with('{'));
}

/// CO-5: clients that send garbage, nothing or too much, that leave, or that do not read cost nothing but their own
/// answer.
#[test]
fn co_5_a_bad_client_costs_nothing() {
    listen();
    let own = std::process::id();
    // Before the first client, whose connection is closed after that has its answer.
    let descriptors = open_descriptors();
    ask(own, b"json\n").unwrap();
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    for garbage in [&b"\n"[..], b"json", b"json\0\n", b"GET / HTTP/1.1\r\n\r\n", &noise, &[b'j'; 64], &[0; 65]] {
        let mut client = connect(own).unwrap();
        let _ = client.write_all(garbage);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut text = Vec::new();
        let _ = client.read_to_end(&mut text);
        assert!(text.is_empty() || text.starts_with(b"error: "), "{:?}", String::from_utf8_lossy(&text));
        assert!(ask(own, b"json\n").unwrap().ends_with('}'));
    }
    // Gone before the answer: a write to it would raise SIGPIPE, which ends this process if it is not kept off.
    // SAFETY: the default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    for _ in 0..50 {
        connect(own).unwrap().write_all(b"json\n").unwrap();
        drop(connect(own).unwrap());
    }
    // Silent: given up after a second, and the next one is served.
    let silent = connect(own).unwrap();
    let start = Instant::now();
    assert!(ask(own, b"json\n").unwrap().ends_with('}'));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(silent);
    // The listener closes a connection after its client has seen the end.
    let end = Instant::now() + Duration::from_secs(10);
    while open_descriptors() != descriptors && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(open_descriptors(), descriptors);
    assert!(listener_thread().is_some());
}

/// CO-6: while a client does not read its answer, no call of the program waits: neither one that the report locks out,
/// nor a fork.
#[test]
fn co_6_a_client_that_does_not_read_delays_nothing() {
    listen();
    let own = std::process::id();
    let array = numbers(0, &[16]);
    // Copies at more call sites than a socket takes in one go, so that the answer stops among them.
    for line in 0..4000 {
        here(c"a-file-with-a-long-name-so-that-the-answer-is-long.c", line);
        let twin = clone(array).unwrap();
        end(write(twin, TN_WRITE_COW).unwrap().id, 0).unwrap();
        release(twin).unwrap();
    }
    let mut lazy = connect(own).unwrap();
    lazy.write_all(b"json\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < Duration::from_millis(1200) {
        let call = Instant::now();
        let twin = clone(array).unwrap();
        end(write(twin, TN_WRITE_COW).unwrap().id, 0).unwrap();
        release(twin).unwrap();
        release(zeros(0, &[100]).unwrap()).unwrap();
        if calls % 64 == 0 {
            // SAFETY: the child ends at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the process.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: our own child.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
        assert!(call.elapsed() < Duration::from_millis(1200), "a call took {:?}", call.elapsed());
        calls += 1;
    }
    drop(lazy);
    // Without reading for longer than the limit, it is given up.
    let mut lazy = connect(own).unwrap();
    lazy.write_all(b"json\n").unwrap();
    let start = Instant::now();
    assert!(ask(own, b"json\n").unwrap().ends_with('}'));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let mut text = Vec::new();
    lazy.read_to_end(&mut text).unwrap();
    assert!(text.len() > 50_000 && text.last() != Some(&b'}'), "{} bytes, not cut off", text.len());
    release(array).unwrap();
}

/// CO-7: the child of a fork neither answers under its parent's name nor keeps that name. It may listen itself.
#[test]
fn co_7_the_child_of_a_fork_does_not_answer_for_its_parent() {
    if std::env::var_os(PART).is_some() {
        listen();
        // A connection that is open at the fork.
        let _waiting = connect(std::process::id()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        // SAFETY: the child calls the library and functions that it needs itself.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let quiet = option("listen") == "0" && listener_thread().is_none();
            println!("child {} {quiet}", std::process::id());
            let _ = std::io::stdin().read(&mut [0]);
            println!("listens {}", set_option("listen", "1").is_ok());
            let _ = std::io::stdin().read(&mut [0]);
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        loop {
            std::thread::park();
        }
    }
    let mut server = again("co_7_the_child_of_a_fork_does_not_answer_for_its_parent");
    let mut server = server.env(PART, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let line = lines.find_map(|line| Some(line.ok()?.strip_prefix("child ")?.to_owned())).unwrap();
    let (child, quiet) = line.split_once(' ').unwrap();
    let child: u32 = child.parse().unwrap();
    assert_eq!(quiet, "true");
    assert!(ask(server.id(), b"json\n").unwrap().contains(&format!("\"process\":{},", server.id())));
    assert!(connect(child).is_err());
    // `wait` would close it, and the child would end.
    let mut stdin = server.stdin.take().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(connect(server.id()).is_err(), "the child keeps its parent's name");
    stdin.write_all(b"1").unwrap();
    assert_eq!(lines.find_map(|line| Some(line.ok()?.strip_prefix("listens ")?.to_owned())).as_deref(), Some("true"));
    assert!(ask(child, b"json\n").unwrap().contains(&format!("\"process\":{child},")));
}

/// CO-8: the thread takes no signal, and no signal's handler changes.
#[test]
fn co_8_signals_stay_as_they_are() {
    let own = std::process::id().to_string();
    let fields = ["SigBlk:", "SigIgn:", "SigCgt:"];
    // Without the C library's own signals 32 and 33, which it takes at the start of the first thread.
    let signals = |field: &&str| u64::from_str_radix(&status_of(&own, field), 16).unwrap() & !(3 << 31);
    let before: Vec<u64> = fields.iter().map(signals).collect();
    listen();
    ask(std::process::id(), b"json\n").unwrap();
    let thread = listener_thread().unwrap();
    let blocked = u64::from_str_radix(&status_of(&thread, "SigBlk:"), 16).unwrap();
    for signal in (1..=31).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        assert!(blocked & 1 << (signal - 1) != 0, "signal {signal} is not blocked");
    }
    let after: Vec<u64> = fields.iter().map(signals).collect();
    assert_eq!(before, after);
}

/// CO-9: a library that listens is not unloaded under its thread; without the option it goes.
#[test]
fn co_9_the_library_stays_under_its_listener() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("liblisten.so");
    std::fs::copy(support::tools::library(), &file).unwrap();
    let path = CString::new(file.to_str().unwrap()).unwrap();
    let is_mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains("liblisten.so");
    let load_and_close = || {
        // SAFETY: a path; the initialisation of the library only reads the environment, and may start its listener.
        let handle: *mut c_void = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null());
        // SAFETY: opened above.
        assert_eq!(unsafe { libc::dlclose(handle) }, 0);
    };
    load_and_close();
    assert!(!is_mapped() && listener_thread().is_none());
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var("TENURE_LISTEN", "1") };
    load_and_close();
    assert!(is_mapped());
    for _ in 0..3 {
        assert!(ask(std::process::id(), b"json\n").unwrap().contains("liblisten.so"));
    }
}

/// CO-10: a program that closes the listener's descriptor and reuses its number keeps its own file, and the listener
/// ends.
#[test]
fn co_10_a_descriptor_that_the_program_closes_is_given_up() {
    let before = open_descriptors();
    listen();
    let fd = *open_descriptors().difference(&before).next().unwrap();
    let own = std::process::id();
    let waiting = connect(own).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    // The listener serves the silent client for a second, and then looks at its own descriptor again.
    let listening = std::os::unix::net::UnixListener::bind_addr(
        &SocketAddr::from_abstract_name(format!("tenure-other/{own}")).unwrap(),
    )
    .unwrap();
    // SAFETY: closes the library's descriptor, as a program does that closes all, and gives the number to a socket of
    // its own.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&listening), fd) }, fd);
    let theirs =
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(format!("tenure-other/{own}")).unwrap()).unwrap();
    drop(waiting);
    let start = Instant::now();
    while listener_thread().is_some() {
        assert!(start.elapsed() < Duration::from_secs(20), "the listener goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(option("listen"), "0");
    // The connection is still there for its own listener.
    listening.set_nonblocking(true).unwrap();
    assert!(listening.accept().is_ok(), "the library took a connection of the program");
    assert!(open_descriptors().contains(&fd), "the library closed a file of the program");
    drop(theirs);
}

/// CO-11: a name that another process took is refused with a reason, and the option stays off.
#[test]
fn co_11_a_taken_name_is_an_error() {
    let name = SocketAddr::from_abstract_name(format!("tenure/{}", std::process::id())).unwrap();
    let taken = std::os::unix::net::UnixListener::bind_addr(&name).unwrap();
    assert_eq!(set_option("listen", "1"), Err(TN_ERR_IO));
    assert!(text().contains(&std::process::id().to_string()), "{}", text());
    assert_eq!((option("listen").as_str(), listener_thread()), ("0", None));
    drop(taken);
    listen();
    assert!(ask(std::process::id(), b"json\n").unwrap().starts_with('{'));
}
