//! tenure_kernel.cuh with host compilers and with clang as a CUDA compiler. The kernels of `tests/kernels` run on the
//! host, where program.cpp checks them. `cargo xtask ptx --check` compiles them with NVRTC and for each generation of
//! GPUs.

use crate::support;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{hash, output, read, root};
use tenure_harness::{require, test};

const FOLDER: &str = "tests/kernels";

/// Users may turn on more warnings than the project does.
const WARNINGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wold-style-cast",
    "-Wcast-align",
    "-Wcast-qual",
    "-Wextra-semi",
    "-Wnon-virtual-dtor",
];

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kernel_header_{name}"))
}

/// A compiler with the headers that are installed, and the test's.
fn compiler(program: &str, options: &[&str]) -> Command {
    require(&[program]);
    let mut command = Command::new(program);
    command.args(["-std=c++17", "-pthread"]).args(WARNINGS).args(options);
    command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join(FOLDER));
    // In the C locale, because other languages have other quotes.
    command.env("LC_ALL", "C");
    command
}

/// The program of the folder.
fn program(compiled_by: &str, options: &[&str], name: &str) -> PathBuf {
    let program = scratch(name);
    let mut compile = compiler(compiled_by, options);
    compile.args(["program.cpp", "second.cpp"].map(|unit| root().join(FOLDER).join(unit)));
    output(compile.arg("-o").arg(&program)).unwrap();
    program
}

fn run(program: &Path) {
    output(&mut Command::new(program)).unwrap();
}

/// Programs are compiled with `-DN=1024` and the like, which must not replace a name of the headers.
#[test]
fn kn_3_headers_use_no_common_names_of_macros() {
    for header in ["include/tenure_kernel.cuh", "bindings/cpp/tenure.hpp"] {
        let mut compile = compiler("g++", &["-DN=1024", "-DM=16", "-DK=8", "-DI=1", "-fsyntax-only"]);
        output(compile.arg("-x").arg("c++").arg(root().join(header))).unwrap();
    }
}

#[test]
fn kn_3_to_7_gcc() {
    run(&program("g++", &["-O2", "-Wnull-dereference"], "gcc"));
}

#[test]
fn kn_3_to_7_gcc_unoptimised() {
    run(&program("g++", &["-std=c++20", "-O0", "-DTN_KERNEL_CHECK"], "gcc_unoptimised"));
}

/// In hardened programs the C library checks that `longjmp` stays on one stack, which barriers do not.
#[test]
fn kn_3_to_7_gcc_fortified() {
    run(&program("g++", &["-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fPIE", "-pie"], "gcc_fortified"));
}

#[test]
fn kn_3_to_7_clang() {
    run(&program("clang++", &["-O2"], "clang"));
}

#[test]
fn kn_3_to_7_clang_unoptimised() {
    run(&program("clang++", &["-std=c++20", "-O0", "-DTN_KERNEL_CHECK"], "clang_unoptimised"));
}

#[test]
fn kn_3_to_7_sanitizers() {
    let options = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    run(&program("g++", &options, "sanitizers"));
}

#[test]
fn kn_3_to_7_valgrind() {
    require(&["valgrind"]);
    let program = program("g++", &["-O1", "-g"], "valgrind");
    output(Command::new("valgrind").args(["--quiet", "--error-exitcode=9", "--leak-check=full"]).arg(program)).unwrap();
}

#[test]
fn kn_6_check_ends_the_program() {
    let program = program("g++", &["-O2", "-DTN_KERNEL_CHECK"], "check");
    let ended = |case: &str| {
        let ended = Command::new(&program).args(["trap", case]).output().unwrap();
        (ended.status, String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for (case, text) in [
        ("first_below", "index -1 is outside of axis 0 of a view (length 3), in thread (0, 0, 0) of block (0, 0, 0)"),
        ("first_above", "index 3 is outside of axis 0 of a view (length 3)"),
        ("last_below", "index -1 is outside of axis 1 of a view (length 4)"),
        ("last_above", "index 4 is outside of axis 1 of a view (length 4)"),
        ("offset_below", "offset -8 is no multiple of 8 in the block memory of 128 bytes"),
        ("offset_above", "offset 136 is no multiple of 8 in the block memory of 128 bytes"),
        ("offset_odd", "offset 12 is no multiple of 8 in the block memory of 128 bytes"),
    ] {
        let (status, said) = ended(case);
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{case}: {said}");
        assert!(said.contains(text), "{case}: {said}");
    }
    for case in ["inside", "offset_inside"] {
        let (status, said) = ended(case);
        assert!(status.success() && said.is_empty(), "{case}: {said}");
    }
}

/// Clang as a CUDA compiler, with the few declarations of CUDA's headers that the kernels need.
#[test]
fn kn_3_and_7_clang_for_cuda() {
    let cuda = |options: &[&str]| {
        let mut compile = compiler("clang++", &["-O2", "-nocudainc", "-nocudalib"]);
        compile.args(options).arg("--cuda-gpu-arch=sm_70").arg("-include").arg("cuda.h");
        compile.args(["-x", "cuda"]).arg(root().join(FOLDER).join("kernels.cu"));
        compile
    };
    let targets = Command::new("clang++").arg("--print-targets").output().unwrap();
    if !String::from_utf8_lossy(&targets.stdout).contains("nvptx64") {
        tenure_harness::skip("clang++ has no target nvptx64");
    }
    for check in [&[][..], &["-DTN_KERNEL_CHECK"]] {
        output(cuda(check).args(["--cuda-host-only", "-fsyntax-only"])).unwrap();
        let ptx = scratch("clang.ptx");
        output(cuda(check).args(["--cuda-device-only", "-S", "-o"]).arg(&ptx)).unwrap();
        let ptx = std::fs::read_to_string(ptx).unwrap();
        assert_eq!(ptx.matches(".extern .shared").count(), 1);
        assert!(ptx.contains(".extern .shared .align 128 .b8 tn_block_memory[];"));
        assert_eq!(ptx.contains("trap;"), !check.is_empty());
    }
}

#[test]
fn kn_3_and_7_what_the_header_declares_and_includes() {
    let header = read("include/tenure_kernel.cuh");
    let code = |text: &str| -> String { text.lines().filter(|line| !line.starts_with([' ', '/'])).collect() };
    assert_eq!(code(&header).matches("extern __shared__").count(), 1);
    let included = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.trim().strip_prefix("#include ")?.to_owned())).collect()
    };
    // Only for compilers without CUDA.
    assert_eq!(included(&header), ["\"tenure_kernel_host.hpp\""]);
    assert!(header.contains("\n#else\n\n#include \"tenure_kernel_host.hpp\"\n\n#endif\n"));
    let of_host = included(&read("include/tenure_kernel_host.hpp"));
    assert!(
        of_host.len() > 5 && of_host.iter().all(|name| name.starts_with('<') && !name.contains("tenure")),
        "{of_host:?}"
    );
}

#[test]
fn the_ptx_is_that_of_its_source() {
    let source = read(format!("{FOLDER}/kernels.cu")) + &read("include/tenure_kernel.cuh");
    let line = format!("// source {:016x}", hash(&source));
    let ptx = read(format!("{FOLDER}/kernels.ptx"));
    assert!(
        ptx.lines().take(3).any(|found| found == line),
        "kernels.cu or tenure_kernel.cuh has changed: run `cargo xtask ptx`"
    );
}

/// The example in the comment of the header is a program that works.
#[test]
fn the_example_reverses() {
    let header = read("include/tenure_kernel.cuh");
    let (_, rest) = header.split_once(" * @code\n").expect("the header has an example");
    let (example, _) = rest.split_once(" * @endcode\n").expect("the example ends");
    let example: String = example
        .lines()
        .map(|line| line.strip_prefix(" *").expect("a comment").trim_start_matches(' ').to_owned() + "\n")
        .collect();
    let test = "
        struct tn_host_block { size_t size; unsigned grid[3], block[3], index[3], reserved; void *memory; size_t bytes; };
        int main()
        {
            static float to[700], from[700];
            for (int i = 0; i < 700; i++)
                from[i] = static_cast<float>(i);
            tn_view<float, 1> to_view = {to, {700}, {4}};
            tn_view<const float, 1> from_view = {from, {700}, {4}};
            void *args[] = {&to_view, &from_view};
            for (unsigned i = 0; i < 3; i++) {
                tn_host_block block = {sizeof block, {3, 1, 1}, {256, 1, 1}, {i, 0, 0}, 0, nullptr, 0};
                reverse_host(&block, args);
            }
            for (int i = 0; i < 700; i++)
                if (to[i] != static_cast<float>(699 - i))
                    return 1;
            return 0;
        }";
    let (source, program) = (scratch("example.cpp"), scratch("example"));
    std::fs::write(&source, example + test).unwrap();
    output(compiler("g++", &["-O1"]).arg(source).arg("-o").arg(&program)).unwrap();
    run(&program);
}

/// Misuse is refused by the compiler, with a message that says why.
#[test]
fn kn_4_and_6_misuse_does_not_compile() {
    let refused = |line: &str, reason: &str| {
        let source = scratch(&format!("refused_{}.cpp", line.len()));
        let text = format!(
            "#include \"tenure_kernel.cuh\"\n\
             struct owner {{ owner(const owner &) {{}} }};\n\
             __device__ void use(tn_view<float, 2> v, tn_view<const float, 2> c);\n\
             __device__ void use(tn_view<float, 2> v, tn_view<const float, 2> c) {{ (void)v; (void)c; {line} }}\n"
        );
        std::fs::write(&source, text).unwrap();
        let compiled = output(compiler("g++", &["-fsyntax-only", "-Wno-unused"]).arg(source));
        match (compiled, reason) {
            (Ok(_), "") => {}
            (Err(text), reason) if !reason.is_empty() && text.contains(reason) => {}
            (compiled, _) => panic!("{line}: {compiled:?}"),
        }
    };
    refused("v(1, 2) = c(0, 0);", "");
    refused("v(1);", "a view takes one index for each axis");
    refused("v(1, 2, 3);", "a view takes one index for each axis");
    refused("c(1, 2) = 0;", "read-only");
    refused("tn_view<float, 9> w; (void)w;", "a view has 0 to 8 axes");
    refused("TN_BLOCK_ARRAY(float, a, 2, 2, 2, 2); (void)a;", "1 to 3 axes");
    refused("TN_THREAD_ARRAY(float, a, 0); (void)a;", "the lengths of an array in the memory of a kernel are positive");
    refused("int n = 3; TN_BLOCK_ARRAY(float, a, n); (void)a;", "not usable in a constant expression");
    refused(
        "} __global__ void k(owner o) { (void)o; } TN_HOST_KERNEL(k); void f() {",
        "arguments of kernels are plain data",
    );
}
