//! The Python packages of the python3 on the PATH, and what they share with Tenure. `docs/interop.md` has the exact
//! tables.

use super::{Finding, State};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time for Python to start and to look; it imports no package.
const LIMIT: Duration = Duration::from_secs(20);

/// What the program prints after the version of Python: a line for each installed package.
const PROGRAM: &str = "\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import importlib.metadata as m
print(sys.version.split()[0], sys.executable)
for name in sys.argv[1:]:
    try: print(name, m.version(name))
    except m.PackageNotFoundError: pass
";

/// The names under which a package may be installed, and what it shares.
struct Package {
    names: &'static [&'static str],
    shares: &'static str,
}

const PACKAGES: [Package; 16] = [
    Package { names: &["tenure"], shares: "the Python package of Tenure" },
    Package { names: &["numpy"], shares: "arrays both ways, no copy; tenure.install() puts its memory into the pools" },
    Package {
        names: &["torch"],
        shares: "tensors both ways by DLPack, no copy; it ignores read-only, so read-only arrays need tenure.to_torch(reads=True)",
    },
    Package {
        names: &["cupy", "cupy-cuda12x", "cupy-cuda13x"],
        shares: "GPU arrays both ways, no copy; tenure.cupy.install() for its memory",
    },
    Package {
        names: &["numba"],
        shares: "NumPy arrays on the host, GPU arrays by the CUDA array interface; tenure.numba for its memory",
    },
    Package {
        names: &["pyarrow"],
        shares: "dense arrays of one dimension, no copy, read-only there; strided arrays are copied; bool and complex differ",
    },
    Package {
        names: &["jax"],
        shares: "aligned dense arrays by tenure.to_jax, no copy; they must not be written meanwhile",
    },
    Package { names: &["pycuda"], shares: "GPU arrays by tenure.compat, no copy" },
    Package { names: &["rmm", "rmm-cu12", "rmm-cu13"], shares: "a memory resource on Tenure's pools (tenure.rmm)" },
    Package { names: &["cudf", "cudf-cu12", "cudf-cu13"], shares: "columns by Arrow's device interface, no copy" },
    Package {
        names: &["mpi4py"],
        shares: "sends and receives arrays where they are (tenure.distributed.mpi); other machines get copies",
    },
    Package {
        names: &["dask", "distributed"],
        shares: "arrays between workers of one machine, no copy; other machines get one copy (tenure.distributed)",
    },
    Package {
        names: &["ray"],
        shares: "arrays between tasks of one machine (tenure.distributed); other machines get copies",
    },
    Package { names: &["joblib"], shares: "arrays between worker processes of one machine (tenure.distributed)" },
    Package {
        names: &["ucxx", "ucxx-cu12", "ucxx-cu13", "ucx-py"],
        shares: "sends and receives arrays where they are (tenure.distributed)",
    },
    Package { names: &["pandas"], shares: "columns as NumPy arrays; a column of objects is not shared" },
];

pub fn check() -> Vec<Finding> {
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM]).args(PACKAGES.iter().flat_map(|package| package.names));
    match printed(&mut python, LIMIT) {
        Ok(text) => findings(&text),
        Err(Problem::Absent) => vec![Finding::new(State::Absent, "python3", "is not on the PATH")],
        Err(Problem::Broken(why)) => vec![Finding::new(State::Broken, "python3", why)],
    }
}

fn findings(text: &str) -> Vec<Finding> {
    let mut lines = text.lines();
    let (version, path) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let state = if is_old(version) { State::Limited } else { State::Works };
    let mut found = vec![Finding::new(
        state,
        format!("python3 {version}"),
        format!("{path}; Tenure's package needs 3.11 or later"),
    )];
    let installed: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(' ')).collect();
    let mut absent = Vec::new();
    for package in &PACKAGES {
        let is_of = |(name, _): &&(&str, &str)| package.names.contains(name);
        match installed.iter().find(is_of) {
            Some((name, version)) => {
                found.push(Finding::new(State::Works, format!("{name} {version}"), package.shares))
            }
            None => absent.push(package.names[0]),
        }
    }
    if !absent.is_empty() {
        found.push(Finding::new(State::Absent, "not installed", absent.join(", ")));
    }
    found
}

fn is_old(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) < (Some(3), Some(11))
}

#[derive(Debug, PartialEq)]
enum Problem {
    Absent,
    Broken(String),
}

/// What a program prints, within a time limit.
fn printed(program: &mut Command, limit: Duration) -> Result<String, Problem> {
    let started = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Problem::Absent),
        Err(error) => return Err(Problem::Broken(format!("cannot be started: {error}"))),
    };
    let mut out = child.stdout.take().expect("it is piped");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let ended = wait(&mut child, limit);
    let broken = |why: String| Problem::Broken(why);
    match ended {
        Some(status) if status.success() => match reader.join() {
            Ok(Ok(text)) => Ok(text),
            _ => Err(broken("prints no text".to_owned())),
        },
        Some(status) => Err(broken(format!("ends with {status} when asked for its packages"))),
        None => Err(broken(format!("does not answer within {} s", limit.as_secs()))),
    }
}

/// Waits for a child; None: it took too long, and was killed.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_any_of_their_names() {
        let found = findings("3.10.2 /usr/bin/python3\nnumpy 2.4.6\ncupy-cuda13x 14.0\n");
        let shown: Vec<&str> =
            found.iter().filter(|found| found.state != State::Absent).map(|f| f.subject.as_str()).collect();
        assert_eq!(shown, ["python3 3.10.2", "numpy 2.4.6", "cupy-cuda13x 14.0"]);
        assert_eq!(found[0].state, State::Limited);
        assert!(!is_old("3.11.0") && !is_old("4.0") && is_old("2.7.18"));
    }

    #[test]
    fn a_program_that_hangs_or_fails_is_broken() {
        let hang = printed(Command::new("sleep").arg("60"), Duration::from_millis(100));
        assert!(matches!(hang, Err(Problem::Broken(why)) if why.contains("within")));
        assert!(matches!(printed(&mut Command::new("false"), LIMIT), Err(Problem::Broken(_))));
        assert_eq!(printed(&mut Command::new("/no/such/program"), LIMIT), Err(Problem::Absent));
    }
}
