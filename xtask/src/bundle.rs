//! `cargo xtask gpu-bundle`: one folder with every CUDA test and benchmark, for a machine with a GPU and little else.
//!
//! Promise: `target/gpu-bundle/tenure-gpu` and the tarball beside it need no Rust, no compiler, no network and no file
//! of this repository. Binaries use no symbol of a glibc newer than 2.34, or of a C++ library newer than GCC 12's;
//! Python finds the package and pytest in the folder. With `--check` the bundle runs here, from another folder and with
//! an empty environment: on the simulated driver, and on that driver disguised as a GPU's, without its control
//! functions and under another name. Every test has to pass or say why it is skipped.

use crate::tools::{Done, command, copy, files_below, has, io, make_folder_of, named, output, read, root, run};
use crate::{dist, python, sim, tools};
use std::path::{Path, PathBuf};

/// The folder is carried to other machines by hand.
const MAX_BYTES: u64 = 40 << 20;
/// The memory of the simulated device: more than any probe or test needs.
const MEMORY: &str = "16G";
/// The newest versions whose symbols binaries may use. On a machine with an older C++ library, `run.py` skips the C++
/// tests and says why.
const MAX_VERSIONS: [(&str, [u32; 3]); 2] = [("@GLIBC_", [2, 34, 0]), ("@GLIBCXX_", [3, 4, 30])];
/// The pinned packages of RMM, and the tags of the machines for which they are fetched.
const RMM: &str = "xtask/bundle/rmm.txt";
const RMM_PYTHON: &str = "3.12";
const RMM_PLATFORMS: [&str; 4] =
    ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_24_x86_64", "manylinux2014_x86_64"];
/// The names of test files begin with this: `c-tests/cuda*.c`, `bindings/cpp/tests/cuda*.cpp`,
/// `bindings/python/tests/test_cuda*.py`.
const PREFIX: &str = "cuda";
/// The library: part of the Python package, and used by all other tests too.
const LIBRARY: &str = "python/tenure/libtenure.so.0";
/// pytest and its dependencies, all pure Python; pinned in the package's requirements.
const TOOLS: [&str; 5] = ["pytest", "iniconfig", "packaging", "pluggy", "Pygments"];

/// Why the bundle cannot be made, or None.
pub fn missing() -> Option<String> {
    let tool = ["gcc", "g++", "readelf", "strip", "gzip", "tar"].into_iter().find(|tool| !has(tool));
    tool.map(|tool| format!("{tool} is not installed")).or_else(python::missing)
}

/// Makes the folder and the tarball; with `check`, runs the tarball's content on the simulated driver.
pub fn bundle(check: bool) -> Done {
    if let Some(why) = missing() {
        return Err(why);
    }
    let folder = root().join("target/gpu-bundle/tenure-gpu");
    let _ = std::fs::remove_dir_all(&folder);
    let python = package(&folder)?;
    run(command(&python).arg("-B").arg(root().join("xtask/bundle/test_run.py")))?;
    rust_tests(&folder.join("tests/rust"))?;
    c_tests(&folder)?;
    python_tests(&folder.join("tests/python"))?;
    benches(&folder)?;
    rmm(&folder.join("wheels"), &python)?;
    for name in ["run.sh", "run.py", "probe.py", "README.md"] {
        copy(&root().join("xtask/bundle").join(name), &folder.join(name))?;
    }
    // The simulator's results, to show where a GPU's driver differs.
    let mut probe = command(&python);
    probe.arg("-B").arg(folder.join("probe.py")).arg("--record").arg(folder.join("probe.json"));
    // Two devices: the answers about them are expected wherever there are two.
    probe.env("LD_LIBRARY_PATH", sim::stage()?).env("TENURE_SIM_MEMORY", MEMORY).env("TENURE_SIM_DEVICES", "2");
    run(probe.env("PYTHONPATH", folder.join("python")))?;
    let commit = output(command("git").args(["describe", "--always", "--dirty"])).unwrap_or_default();
    let about = format!("{{\"version\": \"{}\", \"commit\": \"{}\"}}\n", version()?, commit.trim());
    write(&folder.join("bundle.json"), &about)?;
    let files = files_below(&folder)?;
    check_size(&folder, &files)?;
    for (path, _) in &files {
        if io(path, std::fs::read(path))?.starts_with(b"\x7fELF") {
            check_portable(path, path.starts_with(folder.join("tests")))?;
        }
    }
    let tarball = folder.with_extension("tar.gz");
    let parent = folder.parent().expect("it lies in target/gpu-bundle");
    run(command("tar").arg("-czf").arg(&tarball).arg("-C").arg(parent).arg("tenure-gpu"))?;
    println!("{}", tarball.display());
    if check { run_elsewhere(&tarball, &python) } else { Ok(()) }
}

/// Unpacks the tarball elsewhere and runs it, on the simulated driver and on the disguised one.
fn run_elsewhere(tarball: &Path, python: &Path) -> Done {
    let simulator = sim::stage()?;
    let place = std::env::temp_dir().join(format!("tenure-gpu-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&place);
    io(&place, std::fs::create_dir_all(&place))?;
    run(command("tar").arg("-xzf").arg(tarball).arg("-C").arg(&place))?;
    let disguise = disguised(&simulator, &place.join("driver"))?;
    // Benchmarks measure nothing on the simulator, and do not recognise the disguised one.
    let ways = [("report", "sim", &simulator, &[][..]), ("disguised", "gpu", &disguise, &["--without", "bench"][..])];
    let mut done = Ok(());
    for (name, device, driver, more) in ways {
        let report = root().join("target/gpu-bundle").join(name);
        let mut there = command(place.join("tenure-gpu/run.sh"));
        there.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHON", python).env("LD_LIBRARY_PATH", driver);
        // Times that are measured here say nothing about a GPU.
        there.env("TENURE_TEST_DEVICE", device).env("TENURE_TEST_TIMES", "0");
        there.env("TENURE_SIM_MEMORY", MEMORY).arg(&report).args(more);
        let ran = run(there.current_dir(&place));
        let text = report.join("report.txt");
        done = done.and(ran.map_err(|why| format!("{why}; {} says what failed", text.display())));
    }
    let _ = std::fs::remove_dir_all(&place);
    done
}

/// A copy of the simulator that programs take for a GPU's driver: its control functions and its device have other names
/// of equal length.
fn disguised(simulator: &Path, folder: &Path) -> Done<PathBuf> {
    let path = simulator.join("libcuda.so.1");
    let mut bytes = io(&path, std::fs::read(&path))?;
    let names: [(&[u8], &[u8]); 2] =
        [(b"tenure_sim_", b"nobody_has_"), (b"Tenure simulated device", b"NVIDIA disguised device")];
    for (name, other) in names {
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(name)).collect();
        if places.is_empty() {
            return Err(format!("{} has no {}", path.display(), String::from_utf8_lossy(name)));
        }
        for at in places {
            bytes[at..at + name.len()].copy_from_slice(other);
        }
    }
    io(folder, std::fs::create_dir_all(folder))?;
    let to = folder.join("libcuda.so.1");
    io(&to, std::fs::write(&to, bytes))?;
    Ok(folder.to_owned())
}

/// Unpacks the Python package's wheel and installs pytest into the folder; returns the Python that ran pip.
fn package(folder: &Path) -> Done<PathBuf> {
    let python = python::environment()?;
    let wheel = python::wheel()?;
    run(command(&python).args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder.join("python")))?;
    let pins = read("bindings/python/requirements.txt")?;
    let pinned = |name: &&str| pins.lines().find(|line| line.split("==").next() == Some(name));
    let pins: Vec<&str> = TOOLS.iter().filter_map(pinned).collect();
    if pins.len() != TOOLS.len() {
        return Err(format!("bindings/python/requirements.txt pins not all of {}", TOOLS.join(", ")));
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    let mut pip = command(&python);
    pip.args(install).args(["--no-deps", "--no-compile", "--target"]).arg(folder.join("tools")).args(pins);
    run(&mut pip)?;
    // Pygments has lexers for three hundred languages; pytest uses two.
    let lexers = folder.join("tools/pygments/lexers");
    for entry in io(&lexers, std::fs::read_dir(&lexers))? {
        let path = io(&lexers, entry)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !["__init__.py", "_mapping.py", "diff.py", "python.py"].contains(&&*name) {
            io(&path, std::fs::remove_file(&path))?;
        }
    }
    Ok(python)
}

/// The program of the Rust tests, with debug assertions, and optimised a little: its linear algebra would be large
/// otherwise. Stripping and packing makes them six times smaller.
fn rust_tests(folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    let mut build = tools::cargo();
    build.args(["test", "--locked", "--no-run", "--message-format", "json-render-diagnostics", "--test", "gpu"]);
    build.args([
        "--target-dir",
        "target/gpu-tests",
        "--config",
        "profile.dev.opt-level=1",
        "--config",
        "profile.dev.debug=0",
    ]);
    // Locations in code that a dependency generated would name this machine's folders.
    build.env("RUSTFLAGS", format!("--remap-path-prefix={}=.", root().display()));
    eprintln!("building the Rust tests: minutes, where much has changed");
    // The user sees the compiler's diagnostics.
    let messages = output(build.stderr(std::process::Stdio::inherit()))?;
    // The messages about test targets name their programs.
    for line in messages.lines().filter(|line| line.contains("\"kind\":[\"test\"]")) {
        let Some(program) = line.split("\"executable\":\"").nth(1).and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        let program = Path::new(program);
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let to = folder.join(name.rsplit_once('-').map_or(&*name, |(name, _)| name));
        run(command("strip").arg("-o").arg(&to).arg(program))?;
        check_portable(&to, true)?;
        run(command("gzip").arg("-9").arg(&to))?;
    }
    Ok(())
}

/// The C and C++ tests, which load the library of the Python package.
fn c_tests(folder: &Path) -> Done {
    let c = ["-std=c11", "-O1", "-g0"];
    // Linked with the shared C++ library: the static one uses functions of this machine's newer glibc.
    let cpp = ["-std=c++17", "-O1", "-g0", "-Ibindings/cpp/tests"];
    for (compiler, from, end, flags) in [("gcc", "c-tests", ".c", &c[..]), ("g++", "bindings/cpp/tests", ".cpp", &cpp)]
    {
        let to = folder.join("tests").join(&end[1..]);
        io(&to, std::fs::create_dir_all(&to))?;
        for name in named(from, PREFIX, end)? {
            let mut compile = command(compiler);
            // A relative folder, because assertions in the header contain its path.
            compile.args(flags).args(["-rdynamic", "-pthread", "-Itarget/dist/include"]);
            compile.arg(format!("{from}/{name}")).arg("-o").arg(to.join(name.trim_end_matches(end)));
            compile.arg(folder.join(LIBRARY)).args(["-Wl,-rpath,$ORIGIN/../../python/tenure", "-lm", "-ldl", "-s"]);
            run(&mut compile)?;
        }
    }
    Ok(())
}

/// The Python tests, and the modules that they import.
fn python_tests(folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    let from = "bindings/python/tests";
    let shared = named(from, "", ".py")?.into_iter().filter(|name| !name.starts_with("test_"));
    for name in named(from, &format!("test_{PREFIX}"), ".py")?.into_iter().chain(shared) {
        copy(&root().join(from).join(&name), &folder.join(&name))?;
    }
    // Modules named like other libraries.
    let standins = root().join(from).join("standins");
    for (path, _) in
        files_below(&standins)?.into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "py"))
    {
        let to = folder.join("standins").join(path.strip_prefix(&standins).expect("it lies below"));
        make_folder_of(&to)?;
        copy(&path, &to)?;
    }
    Ok(())
}

/// The benchmarks: Python files, and a library for each C file.
fn benches(folder: &Path) -> Done {
    let to = folder.join("benches");
    io(&to, std::fs::create_dir_all(&to))?;
    for name in named("benches/cuda", "", ".py")? {
        copy(&root().join("benches/cuda").join(&name), &to.join(name))?;
    }
    for name in named("benches/cuda", "", ".c")? {
        let mut compile = command("gcc");
        compile.args(["-std=c11", "-O2", "-g0", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]);
        compile.arg("-I").arg(dist::folder().join("include")).arg(format!("benches/cuda/{name}"));
        compile.arg("-o").arg(to.join(name.trim_end_matches(".c")).with_extension("so"));
        // Linked by its name only, so that the loader uses the library that Python has loaded.
        run(compile.arg(folder.join(LIBRARY)).arg("-s"))?;
    }
    Ok(())
}

/// RMM's wheels, packed, because unpacked they are three times as large. Where they cannot be fetched, the bundle goes
/// without: RMM is then measured only on machines that have it.
fn rmm(folder: &Path, python: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    let mut fetch = command(python);
    fetch.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--no-deps",
    ]);
    fetch
        .args(["--python-version", RMM_PYTHON])
        .args(RMM_PLATFORMS.iter().flat_map(|platform| ["--platform", platform]));
    if let Err(why) = run(fetch.arg("--dest").arg(folder).arg("-r").arg(root().join(RMM))) {
        println!("RMM is left out: {why}");
        let _ = std::fs::remove_dir_all(folder);
        return Ok(());
    }
    let wheels = files_below(folder)?.into_iter().map(|(path, _)| path);
    run(command(python).arg("-B").arg(root().join("xtask/bundle/slim_wheels.py")).args(wheels))
}

fn version() -> Done<String> {
    let manifest = read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \"")).unwrap_or("\"");
    Ok(line.trim_end_matches('"').to_owned())
}

fn write(path: &Path, text: &str) -> Done {
    io(path, std::fs::write(path, text))
}

fn check_size(folder: &Path, files: &[(PathBuf, u64)]) -> Done {
    let whole: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    println!("{}: {} files, {:.1} MiB", folder.display(), files.len(), whole as f64 / f64::from(1 << 20));
    if whole <= MAX_BYTES {
        return Ok(());
    }
    let (largest, bytes) = files.iter().max_by_key(|(_, bytes)| bytes).expect("a folder that is too large has files");
    Err(format!("{whole} bytes are more than {MAX_BYTES}; the largest file is {} with {bytes}", largest.display()))
}

/// Checks that a binary needs no system library newer than [`MAX_VERSIONS`], and that the project's own binaries
/// contain no path of this repository.
fn check_portable(path: &Path, ours: bool) -> Done {
    let symbols = output(command("readelf").args(["-W", "--dyn-syms"]).arg(path))?;
    for (line, (library, newest)) in symbols.lines().flat_map(|line| MAX_VERSIONS.map(|limit| (line, limit))) {
        let Some(version) = line.split(library).nth(1) else { continue };
        let mut numbers = version.split([' ', '.']).map(|part| part.parse::<u32>().unwrap_or(0));
        if [(); 3].map(|()| numbers.next().unwrap_or(0)) > newest {
            return Err(format!("{} needs {}", path.display(), line.trim()));
        }
    }
    let (here, bytes) = (root().to_string_lossy().into_owned(), io(path, std::fs::read(path))?);
    // Panic messages contain the paths of generated sources; no test opens those.
    let generated = b"/target/debug/build/";
    let named =
        |at: usize| bytes[at..].starts_with(here.as_bytes()) && !bytes[at + here.len()..].starts_with(generated);
    if ours && (0..bytes.len()).any(named) {
        return Err(format!(
            "{} contains {here}: a test that reads files of the repository fails on other machines; CUDA tests must not use \
             CARGO_MANIFEST_DIR and the like",
            path.display()
        ));
    }
    Ok(())
}
