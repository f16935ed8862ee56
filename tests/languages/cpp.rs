//! The C++ binding: each `bindings/cpp/tests/<part>.cpp` is compiled as C++17 and as C++20 and run. The first also runs
//! under valgrind, the second with the address and undefined-behaviour sanitizers. Code that must not compile is
//! rejected for the expected reason. The examples of the README print what the README shows.

use crate::support;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use support::tools::{compiler, files, library, library_folder, made_once, output, read, root};
use tenure_harness::{require, skip, test};

const FOLDER: &str = "bindings/cpp/tests";

/// A compiler command for this standard, with the binding's header.
fn cpp(standard: &str) -> Command {
    let mut command = compiler(standard);
    command.arg("-I").arg(root().join("bindings/cpp")).arg("-I").arg(root().join(FOLDER));
    command
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Links the shared library, which the program finds by its rpath.
fn link(command: &mut Command, program: &Path) -> Result<String, String> {
    command.arg(library()).arg(format!("-Wl,-rpath,{}", library_folder().display())).arg("-o").arg(program);
    output(command)
}

/// The program of a part, compiled once for all tests that run it.
fn program(part: &str, standard: &str, sanitizers: bool) -> PathBuf {
    let tag = format!("cpp_{part}_{}{}", standard.replace("++", "pp"), if sanitizers { "_sanitizers" } else { "" });
    let program = scratch(&tag);
    made_once(&program, files("bindings/cpp", "").into_iter().map(|path| root().join(path)), || {
        let mut compile = cpp(standard);
        compile.arg(root().join(FOLDER).join(format!("{part}.cpp")));
        if sanitizers {
            compile.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]);
        }
        link(&mut compile, &program).unwrap_or_else(|text| panic!("{text}"));
    });
    program
}

/// Runs it in a folder of its own for its files.
fn run(program: &Path, tool: &[&str], name: &str) {
    let folder = scratch(&format!("{name}.files"));
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    let mut command = Command::new(tool.first().map_or(program.as_os_str(), |first| first.as_ref()));
    command.args(tool.iter().skip(1));
    if !tool.is_empty() {
        command.arg(program);
    }
    // The tests for a real driver run elsewhere.
    if support::cuda::wanted().is_none() {
        command.env("LD_LIBRARY_PATH", support::cuda::path_without_driver());
    }
    // Backtraces of provoked panics are slow under valgrind.
    output(command.current_dir(folder).env("RUST_BACKTRACE", "0")).unwrap_or_else(|text| panic!("{text}"));
}

const VALGRIND: &[&str] = &[
    "valgrind",
    "--quiet",
    "--error-exitcode=9",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
];

fn plain(part: &str, standard: &str) {
    require(&["g++"]);
    run(&program(part, standard, false), &[], &format!("{part}_{standard}"));
}

fn valgrind(part: &str, standard: &str) {
    require(&["g++", "valgrind"]);
    run(&program(part, standard, false), VALGRIND, &format!("{part}_{standard}_valgrind"));
}

fn sanitizers(part: &str, standard: &str) {
    require(&["g++"]);
    run(&program(part, standard, true), &[], &format!("{part}_{standard}_sanitizers"));
}

macro_rules! parts {
    ($($part:ident)*) => {
        $(mod $part {
            use tenure_harness::test;
            const PART: &str = stringify!($part);
            #[test]
            fn cpp17() {
                super::plain(PART, "c++17");
            }
            #[test]
            fn cpp20() {
                super::plain(PART, "c++20");
            }
            #[test]
            fn cpp17_valgrind() {
                super::valgrind(PART, "c++17");
            }
            #[test]
            fn cpp20_sanitizers() {
                super::sanitizers(PART, "c++20");
            }
        })*
        const PARTS: &[&str] = &[$(stringify!($part)),*];
    };
}

parts! { array borrow cuda cuda_launch errors event_log exchange expression function memory mirror others ownership places pool rmm rmm_virtual scope shared torch }

/// Parts that have a test function of their own below.
const OTHERS: &[&str] = &["checked", "memory_no_exceptions", "no_exceptions", "refused", "two_units"];

#[test]
fn every_file_is_run() {
    let found: Vec<String> =
        files(FOLDER, ".cpp").iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut known: Vec<&str> = PARTS.iter().chain(OTHERS).copied().collect();
    known.sort_unstable();
    assert_eq!(found, known, "a file of {FOLDER} is not run");
}

/// A defect of checked.cpp.
struct Defect {
    name: &'static str,
    /// The signal that ends it; None: it goes on to its end.
    signal: Option<i32>,
    says: &'static [&'static str],
}

const fn stopped(name: &'static str, says: &'static [&'static str]) -> Defect {
    Defect { name, signal: Some(libc::SIGSEGV), says }
}

const CLOSED: &str = "of the array \"weights\" of 800 bytes at 0x";
const LAST_WRITE: &str = "its last use was a write guard, begun at ";
const LAST_READ: &str = "its last use was a read guard, begun at ";
const NOT_OPEN: &str = ", which no guard or export has open";
const ONLY_READ: &str = ", which is open for reads only";
const RELEASED: &str = ", which was released";

const DEFECTS: &[Defect] = &[
    stopped("span_outlives_its_guard", &["a write of byte 40", CLOSED, NOT_OPEN, LAST_WRITE, "checked.cpp:"]),
    stopped("view_outlives_its_guard", &["a read of byte 56", CLOSED, NOT_OPEN, LAST_READ, "checked.cpp:"]),
    stopped("lambda_keeps_a_reference", &["a read of byte 0", CLOSED, NOT_OPEN, LAST_WRITE]),
    stopped("pointer_outlives_the_gift", &["a write of byte 8", CLOSED, RELEASED, LAST_READ, "it was released at "]),
    stopped("pointer_outlives_a_promise", &["a write of byte 8", CLOSED, NOT_OPEN, LAST_WRITE]),
    stopped("write_of_what_is_read", &["a write of byte 24", CLOSED, ONLY_READ]),
    stopped("sort_of_what_is_read", &["a write of byte 0", CLOSED, ONLY_READ]),
    stopped("pointer_outlives_the_array", &["a read of byte 0", CLOSED, RELEASED, LAST_READ, "it was released at "]),
    stopped("pointer_outlives_an_assignment", &["a read of byte 16", CLOSED, RELEASED, LAST_READ]),
    stopped("thread_outlives_the_guard", &["a write of byte 32", CLOSED, NOT_OPEN, LAST_WRITE]),
    Defect {
        name: "overrun",
        signal: None,
        says: &["bytes behind the array \"weights\" of 800 bytes", "were written during a write guard", "checked.cpp:"],
    },
    stopped("far_overrun", &["a write 5600 bytes behind the array \"weights\" of 800 bytes"]),
];

/// CK-1 to CK-4: each misuse of the header is told by its array and its byte, and stops where it happens.
#[test]
fn ck_2_defects_are_told() {
    require(&["g++"]);
    for standard in ["c++17", "c++20"] {
        let program = program("checked", standard, false);
        let run = |defect: &str, check: &str| {
            let mut command = Command::new(&program);
            command.arg(defect).env("TENURE_CHECK", check).env("LD_LIBRARY_PATH", support::cuda::path_without_driver());
            tenure_harness::output(&mut command, Duration::from_secs(60)).expect("the program starts")
        };
        let listed: Vec<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
        assert_eq!(run("", "0").stdout.lines().collect::<Vec<_>>(), listed);
        for Defect { name, signal, says } in DEFECTS {
            let ended = run(name, "1");
            let text = ended.stderr;
            let status = ended.status.unwrap_or_else(|| panic!("{name} hangs"));
            assert_eq!((status.signal(), status.code()), (*signal, signal.is_none().then_some(0)), "{name}: {text}");
            says.iter().for_each(|part| assert!(text.contains(part), "{name}: no \"{part}\" in\n{text}"));
        }
        // CK-6
        let unseen = run("write_of_what_is_read", "0");
        assert!(unseen.status.is_some_and(|status| status.success()) && unseen.stderr.is_empty(), "{}", unseen.stderr);
    }
}

/// Users may turn on more warnings than the project does, and optimisation causes further warnings.
#[test]
fn header_is_quiet_under_stricter_warnings() {
    require(&["g++"]);
    for standard in ["c++17", "c++20", "c++23"] {
        let mut compile = cpp(standard);
        compile.args([
            "-Wuseless-cast",
            "-Wshadow",
            "-Wconversion",
            "-Wsign-conversion",
            "-Wextra-semi",
            "-Wnon-virtual-dtor",
            "-Wnull-dereference",
        ]);
        // Both headers.
        compile.arg("-O2").arg("-include").arg("tenure_memory.hpp").arg("-c").arg("-o");
        compile.arg(scratch(&format!("cpp_strict_{standard}.o")));
        output(compile.arg(root().join(FOLDER).join("ownership.cpp"))).unwrap();
    }
}

/// `mdspan_of`, which is in C++23 where the compiler has `std::mdspan`.
#[test]
fn guards_become_a_standard_mdspan() {
    require(&["g++"]);
    let source = scratch("cpp_has_mdspan.cpp");
    std::fs::write(&source, "#include <mdspan>\n").expect("the target folder is writable");
    if output(cpp("c++23").arg("-fsyntax-only").arg(source)).is_err() {
        skip("g++ has no std::mdspan");
    }
    plain("borrow", "c++23");
}

#[test]
fn other_compilers_agree() {
    require(&["clang++"]);
    for standard in ["-std=c++17", "-std=c++20"] {
        for part in PARTS.iter().chain(&["checked"]) {
            let mut compile = Command::new("clang++");
            compile.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wold-style-cast", "-fsyntax-only"]);
            compile.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("bindings/cpp"));
            compile.arg("-I").arg(root().join(FOLDER));
            output(compile.arg(root().join(FOLDER).join(format!("{part}.cpp")))).unwrap();
        }
    }
}

/// One program of C++17 and C++20 parts: a class whose layout differs between them would break it.
#[test]
fn units_of_two_standards_make_one_program() {
    require(&["g++"]);
    let unit = root().join(FOLDER).join("two_units.cpp");
    let object = scratch("cpp_two_units_20.o");
    output(cpp("c++20").arg("-c").arg(&unit).arg("-o").arg(&object)).unwrap();
    let program = scratch("cpp_two_units");
    link(cpp("c++17").arg(&unit).arg(&object), &program).unwrap();
    run(&program, &[], "cpp_two_units");
}

#[test]
fn works_without_exceptions() {
    require(&["g++"]);
    let program = scratch("cpp_no_exceptions");
    let mut compile = cpp("c++17");
    compile.args(["-fno-exceptions", "-fno-rtti"]).arg(root().join(FOLDER).join("no_exceptions.cpp"));
    link(&mut compile, &program).unwrap();
    let ended = Command::new(&program).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(7), "terminated by our handler: {text}");
    assert!(text.contains("TN_ERR_SHAPE: tn_array_zeros: "), "{text}");
}

/// AL-92.
#[test]
fn al_92_memory_works_without_exceptions() {
    require(&["g++"]);
    let program = scratch("cpp_memory_no_exceptions");
    let mut compile = cpp("c++17");
    compile.args(["-fno-exceptions", "-fno-rtti"]).arg(root().join(FOLDER).join("memory_no_exceptions.cpp"));
    link(&mut compile, &program).unwrap();
    for (argument, said) in
        [("limit", "tenure: more elements than can be addressed"), ("m", "TN_ERR_POOL_LIMIT: tn_cpp_allocate: ")]
    {
        let ended = Command::new(&program).arg(argument).output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(7), "terminated by our handler: {text}");
        assert!(text.contains(said), "{text}");
    }
}

/// Each marked line of refused.cpp alone is rejected with the expected message; without the marked lines the file
/// compiles.
#[test]
fn misuse_does_not_compile() {
    require(&["g++"]);
    let text = read(format!("{FOLDER}/refused.cpp"));
    let marked: Vec<(usize, &str)> =
        text.lines().enumerate().filter_map(|(at, line)| Some((at, line.split_once("; // REFUSED: ")?.1))).collect();
    assert!(marked.len() > 40, "the marks were not recognised");
    let with = |chosen: Option<usize>| -> String {
        let keep = |at: usize| chosen == Some(at) || !marked.iter().any(|(m, _)| *m == at);
        text.lines()
            .enumerate()
            .map(|(at, line)| if keep(at) { format!("{line}\n") } else { "\n".to_owned() })
            .collect()
    };
    let compile = |chosen: Option<usize>| {
        let source = scratch(&format!("cpp_refused_{}.cpp", chosen.map_or(0, |at| at + 1)));
        std::fs::write(&source, with(chosen)).expect("the target folder is writable");
        // In the C locale, because other languages have other quotes.
        output(cpp("c++17").env("LC_ALL", "C").args(["-fsyntax-only", "-Wno-unused"]).arg(source))
    };
    compile(None).unwrap_or_else(|text| panic!("refused.cpp does not compile even without what is refused:\n{text}"));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get()) {
            scope.spawn(|| {
                while let Some((at, reason)) = marked.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    match compile(Some(*at)) {
                        Ok(_) => wrong.lock().unwrap().push(format!("line {}: compiles", at + 1)),
                        Err(said) if !said.contains(*reason) => {
                            wrong
                                .lock()
                                .unwrap()
                                .push(format!("line {}: refused, but not with `{reason}`:\n{said}", at + 1));
                        }
                        Err(_) => {}
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The programs of the README compile as both standards and print what the README shows.
#[test]
fn examples_of_the_readme_run_as_shown() {
    require(&["g++"]);
    let readme = read("bindings/cpp/README.md");
    let blocks = readme.split("```cpp\n").skip(1).map(|rest| {
        let (program, after) = rest.split_once("```").expect("blocks are closed");
        (program, after.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split("```").next()))
    });
    let mut count = 0;
    for (program, shown) in blocks {
        assert!(program.contains("int main()"), "an example that is no program is not tested:\n{program}");
        count += 1;
        for standard in ["c++17", "c++20"] {
            let folder = scratch(&format!("cpp_readme_{count}_{standard}"));
            std::fs::create_dir_all(&folder).expect("the target folder is writable");
            std::fs::write(folder.join("example.cpp"), program).expect("the target folder is writable");
            let binary = folder.join("example");
            // By its bare name, which is part of the output.
            link(cpp(standard).arg("example.cpp").current_dir(&folder), &binary).unwrap();
            let printed = output(Command::new(&binary).current_dir(&folder)).unwrap();
            let shown = shown.expect("every example shows what it prints");
            assert_eq!(printed.trim(), shown.trim(), "the README shows something else than program {count} prints");
        }
    }
    assert!(count >= 4, "the README's examples were not recognised");
}

/// Every declaration in the namespace, or public in a class, has a comment above it or `///<` behind it. Members that
/// every handle class has (moves, destructors, deleted functions) and forward declarations need none.
#[test]
fn every_public_thing_has_a_comment() {
    let text = read("bindings/cpp/tenure.hpp");
    let lines: Vec<&str> = text.lines().collect();
    let (mut inner, mut class, mut public, mut found) = (false, false, true, 0);
    let mut missing = Vec::new();
    // The last line that is no comment, and whether it was preceded by a comment for the next declaration.
    let (mut before, mut documented) = (";", false);
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim();
        match *line {
            "namespace detail {" => inner = true,
            "} // namespace detail" => inner = false,
            "};" => class = false,
            _ => {}
        }
        if code.is_empty() || code.starts_with(['#', '*']) || code.starts_with("/*") || code.starts_with("///") {
            documented = code.starts_with("///") || documented && code.is_empty();
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        let level = depth == 0 && !class || depth == 4 && class && public;
        let begins = before.ends_with([';', '}', '{', ':']) || before.contains("///<") || before.contains("// ");
        if level
            && begins
            && !inner
            && !code.starts_with(['}', '/'])
            && !code.ends_with(':')
            && !code.starts_with("namespace")
        {
            // The name is in the line below the template's parameters.
            let named = if code.starts_with("template <") {
                format!("{code} {}", lines[at + 1].trim())
            } else {
                code.to_owned()
            };
            let alike =
                ["= default", "= delete", "operator=", "&&other)", "const dims &other)", "friend class", "is_flags<"];
            let forward =
                named.ends_with(';') && !named.contains(['(', '=']) && (named.contains("class ") || class && !public);
            // Defined outside of its class, which has the comment at the declaration; or a constructor call.
            let outside = [" array::", " weak::"].iter().any(|name| named.contains(name));
            found += 1;
            if !documented
                && !forward
                && !outside
                && !alike.iter().any(|part| named.contains(part))
                && !code.contains("///<")
                && !code.starts_with('~')
                && !code.starts_with("virtual ~")
                && !code.contains(" override ")
            {
                missing.push(format!("{}: {code}", at + 1));
            }
        }
        if depth == 0
            && (code.starts_with("class ") || code.starts_with("struct ") || code.starts_with("enum "))
            && code.ends_with('{')
        {
            (class, public) = (true, !code.starts_with("class "));
        }
        match code {
            "public:" => public = true,
            "private:" | "protected:" => public = false,
            _ => {}
        }
        (before, documented) = (code, false);
    }
    assert!(found > 300, "the declarations were not recognised: {found}");
    assert!(missing.is_empty(), "no comment above:\n{}", missing.join("\n"));
}
