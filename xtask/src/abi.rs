//! The C interface of each release, in `abi/<release>`, and whether this tree still keeps it.
//!
//! Promise: a function that is gone or has another signature, a field that moved or has another type, a struct that
//! grew and must not, another value of a constant and another SONAME are refused, with the text of abidiff or of the
//! compiler. New functions and constants pass. So do new fields at the end of a struct whose size the program tells.
//!
//! abidiff reads types from debug information. That of the shared library describes Rust's types. So the types come
//! from a stub: a C library with the header's functions, compiled from the header. The built library is compared by its
//! symbols and its SONAME. That header and library agree is checked elsewhere: `tests/repository/header.rs`,
//! `tests/repository/symbols.rs` and `abi-check`.
//!
//! `pins.c` has two things that abidiff does not see. Constants have no debug information. And a rule that lets a
//! struct grow hides all other changes of that struct once it has grown. `pins.c` needs only a compiler, so
//! `tests/repository/symbols.rs` compiles it too.

use crate::tools::{Done, command, copy_all, each, has, io, output, printed, read, root, run};
use crate::{dist, install};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The interface as XML, which abidw writes; which structs may grow; what the compiler checks.
const XML: &str = "libtenure.abi";
const GROWTH: &str = "growth.abignore";
const PINS: &str = "pins.c";

/// Why the check cannot run.
pub fn missing() -> Option<String> {
    let absent = ["gcc", "abidiff"].into_iter().find(|tool| !has(tool))?;
    Some(format!("{absent} is not installed"))
}

/// The folder of a release's records: that of version 0.1.2 is `abi/0.1`, because a release 0.1.x changes nothing in
/// the interface.
pub fn folder_of(version: &str) -> PathBuf {
    let minor: Vec<&str> = version.split('.').take(2).collect();
    root().join("abi").join(minor.join("."))
}

/// The folders of all releases whose SONAME the library still has.
pub fn releases() -> Done<Vec<PathBuf>> {
    let abi = root().join("abi");
    let listed = io(&abi, std::fs::read_dir(&abi))?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut releases: Vec<PathBuf> = listed.filter(|path| path.join(XML).exists()).collect();
    releases.sort();
    if releases.is_empty() {
        return Err("abi has no release; `cargo xtask release --record` writes one".to_owned());
    }
    Ok(releases)
}

/// Writes the records of the interface into the folder of this version.
pub fn record() -> Done {
    write(&Api::read()?, &folder_of(&install::version()?))
}

/// Writes the records of the headers of this tree into a folder.
fn write(api: &Api, folder: &Path) -> Done {
    io(folder, std::fs::create_dir_all(folder))?;
    let stub = Stub::default().build("recorded", api)?;
    let mut abidw = command("abidw");
    abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed"]);
    run(abidw.arg("--out-file").arg(folder.join(XML)).arg(stub))?;
    for (name, text) in [(GROWTH, api.growth()?), (PINS, api.pins()?)] {
        let file = folder.join(name);
        io(&file, std::fs::write(&file, text))?;
    }
    Ok(())
}

/// Compares the headers and the shared library of `target/dist` with the record of each release. Tries first that
/// changes are refused. Returns the number of comparisons.
pub fn check() -> Done<usize> {
    let api = Api::read()?;
    let library = dist::libraries()?;
    let releases = releases()?;
    // The trials are changes of this tree's own interface, so that no change of the tree makes one of them pass.
    let own = Stub::headers("own");
    write(&api, &own)?;
    let tried = each(CHANGES, |change| change.check(&own, &api)).into_iter().collect::<Done<Vec<()>>>()?.len();
    let stub = Stub::default().build("now", &api)?;
    for release in &releases {
        // The library has no debug information, so this compares symbols and SONAME.
        for new in [&library, &stub] {
            compare(release, new)?;
        }
        pinned(release, &root().join("include"))?;
    }
    Ok(tried + 3 * releases.len())
}

/// Fails with abidiff's text if `new` is not compatible with the release.
fn compare(release: &Path, new: &Path) -> Done {
    let mut abidiff = command("abidiff");
    abidiff.args(["--no-show-locs", "--no-added-syms", "--suppressions"]).arg(release.join(GROWTH));
    let done = printed(abidiff.arg(release.join(XML)).arg(new))?;
    // The exit status is a set of bits: 1 and 2 for an error of the tool, 4 for a change, 8 for one that cannot be
    // compatible.
    if done.status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("{} is not compatible with {}:\n{}{}", new.display(), release.display(), done.stdout, done.stderr))
}

/// Fails with the compiler's text if a field or a constant of the release differs in the headers of a folder.
fn pinned(release: &Path, headers: &Path) -> Done {
    let mut gcc = command("gcc");
    gcc.args(["-std=gnu11", "-fsyntax-only", "-I"]).arg(headers).arg(release.join(PINS));
    output(&mut gcc).map(drop)
}

/// A library with the functions of the headers, which do nothing.
#[derive(Default)]
struct Stub {
    /// What differs from the headers of the tree: this text, in place of that one.
    changes: &'static [(&'static str, &'static str)],
    soname: Option<&'static str>,
}

impl Stub {
    /// The folder of the stub's headers.
    fn headers(name: &str) -> PathBuf {
        root().join("target/abi").join(name)
    }

    fn build(&self, name: &str, api: &Api) -> Done<PathBuf> {
        let folder = Stub::headers(name);
        copy_all(&root().join("include"), &folder)?;
        let header = folder.join("tenure.h");
        let mut text = read("include/tenure.h")?;
        let mut source = api.stub()?;
        for (old, new) in self.changes {
            if !text.contains(old) {
                return Err(format!("include/tenure.h has no \"{old}\", which this check changes"));
            }
            (text, source) = (text.replace(old, new), source.replace(old, new));
        }
        io(&header, std::fs::write(&header, text))?;
        let file = folder.join("stub.c");
        io(&file, std::fs::write(&file, source))?;
        let library = folder.join("libtenure.so");
        let mut gcc = command("gcc");
        gcc.args(["-std=c11", "-g", "-fPIC", "-shared", "-nostdlib"]);
        gcc.arg(format!("-Wl,-soname,{}", self.soname.unwrap_or(install::SONAME)));
        // The compiler writes paths into the debug information: relative ones are the same on every machine.
        run(gcc.current_dir(&folder).args(["-I.", "stub.c", "-o"]).arg(&library))?;
        Ok(library)
    }
}

/// A change of the header, and what is expected of the check.
struct Change {
    name: &'static str,
    stub: Stub,
    /// The comparison that refuses it, with a part of its text. None: the change is compatible.
    refused: Option<(By, &'static str)>,
}

#[derive(PartialEq)]
enum By {
    Abidiff,
    /// The compiler, on `pins.c`.
    Pins,
    /// abidiff, on a library that has symbols only.
    Symbols,
}

impl Change {
    fn check(&self, release: &Path, api: &Api) -> Done {
        let new = self.stub.build(self.name, api)?;
        let stripped = new.with_extension("stripped");
        run(command("strip").arg("-o").arg(&stripped).arg(&new))?;
        let compared = [
            (By::Abidiff, compare(release, &new)),
            (By::Pins, pinned(release, &Stub::headers(self.name))),
            (By::Symbols, compare(release, &stripped)),
        ];
        match &self.refused {
            None => compared
                .into_iter()
                .try_for_each(|(_, done)| done)
                .map_err(|text| format!("{}: this change is compatible, and it is refused:\n{text}", self.name)),
            Some((by, expected)) => match compared.into_iter().find(|(which, _)| which == by) {
                Some((_, Err(text))) if text.contains(expected) => Ok(()),
                Some((_, done)) => Err(format!("{}: not refused because of {expected}: {done:?}", self.name)),
                None => unreachable!("all three were compared"),
            },
        }
    }
}

const CHANGES: &[Change] = &[
    Change { name: "nothing", stub: Stub { changes: &[], soname: None }, refused: None },
    Change {
        name: "grown",
        stub: Stub { changes: &[("} tn_pool_stats;", "    uint64_t added;\n} tn_pool_stats;")], soname: None },
        refused: None,
    },
    Change {
        name: "list_grown",
        stub: Stub { changes: &[("} tn_holder;", "    uint64_t added;\n} tn_holder;")], soname: None },
        refused: None,
    },
    Change {
        name: "function_added",
        stub: Stub {
            changes: &[("uint32_t tn_version(void)", "uint32_t tn_added(void);\nuint32_t tn_version(void)")],
            soname: None,
        },
        refused: None,
    },
    Change {
        name: "function_gone",
        stub: Stub { changes: &[("tn_version(void)", "tn_other(void)")], soname: None },
        refused: Some((By::Abidiff, "tn_version")),
    },
    Change {
        name: "symbol_gone",
        stub: Stub { changes: &[("tn_version(void)", "tn_other(void)")], soname: None },
        refused: Some((By::Symbols, "tn_version")),
    },
    Change {
        name: "result",
        stub: Stub { changes: &[("uint32_t tn_version(void)", "uint64_t tn_version(void)")], soname: None },
        refused: Some((By::Abidiff, "tn_version")),
    },
    Change {
        name: "parameter_added",
        stub: Stub {
            changes: &[(
                "tn_stream_synchronize(tn_stream *stream)",
                "tn_stream_synchronize(tn_stream *stream, int32_t x)",
            )],
            soname: None,
        },
        refused: Some((By::Abidiff, "tn_stream_synchronize")),
    },
    Change {
        name: "field_type",
        stub: Stub { changes: &[("    int64_t start;", "    double start;")], soname: None },
        refused: Some((By::Abidiff, "tn_slice_spec")),
    },
    Change {
        name: "field_inserted",
        stub: Stub {
            changes: &[("    uint64_t in_use_bytes;", "    uint64_t added;\n    uint64_t in_use_bytes;")],
            soname: None,
        },
        refused: Some((By::Abidiff, "tn_pool_stats")),
    },
    Change {
        name: "fixed_struct_grown",
        stub: Stub { changes: &[("} tn_slice_spec;", "    uint64_t added;\n} tn_slice_spec;")], soname: None },
        refused: Some((By::Abidiff, "tn_slice_spec")),
    },
    Change {
        name: "fixed_size",
        stub: Stub { changes: &[("} tn_slice_spec;", "    uint64_t added;\n} tn_slice_spec;")], soname: None },
        refused: Some((By::Pins, "size of tn_slice_spec")),
    },
    Change {
        name: "grown_and_changed",
        stub: Stub {
            changes: &[
                ("    uint64_t in_use_bytes;", "    double in_use_bytes;"),
                ("} tn_pool_stats;", "    uint64_t added;\n} tn_pool_stats;"),
            ],
            soname: None,
        },
        refused: Some((By::Pins, "tn_pool_stats.in_use_bytes")),
    },
    Change {
        name: "constant",
        stub: Stub { changes: &[("TN_OVERLAP_SOME = 2", "TN_OVERLAP_SOME = 3")], soname: None },
        refused: Some((By::Pins, "TN_OVERLAP_SOME")),
    },
    Change {
        name: "soname",
        stub: Stub { changes: &[], soname: Some("libtenure.so.1") },
        refused: Some((By::Symbols, "libtenure.so.1")),
    },
];

/// Each function, with the version that introduced it.
pub fn functions() -> Done<Vec<(String, String)>> {
    let api = Api::read()?;
    let functions = api.list("functions")?.iter();
    functions.map(|function| Ok((text(function, "name")?.to_owned(), text(function, "since")?.to_owned()))).collect()
}

/// The names of all constants.
pub fn constants() -> Done<Vec<String>> {
    Api::read()?.constants()?.into_iter().map(|constant| Ok(text(constant, "name")?.to_owned())).collect()
}

/// `abi/api.json`.
struct Api(Value);

impl Api {
    fn read() -> Done<Api> {
        let text = read("abi/api.json")?;
        serde_json::from_str(&text).map(Api).map_err(|e| format!("abi/api.json: {e}"))
    }

    /// A list of the interface.
    fn list(&self, name: &str) -> Done<&[Value]> {
        items(&self.0, name)
    }

    /// C source with a definition of each function.
    fn stub(&self) -> Done<String> {
        let mut source = String::from("#include <tenure.h>\n#include <tenure_bindings.h>\n");
        for function in self.list("functions")? {
            source += &format!("{} {{ __builtin_trap(); }}\n", text(function, "c")?);
        }
        Ok(source)
    }

    /// The structs that may grow, because the program tells their size: in a field `size`, or as the `item_size` of a
    /// list.
    fn growing(&self) -> Done<BTreeSet<&str>> {
        let mut names = BTreeSet::new();
        for item in self.list("structs")? {
            if item["is_sized"] == true {
                names.insert(text(item, "name")?);
            }
        }
        for function in self.list("functions")? {
            let parameters = items(function, "parameters")?;
            if !parameters.iter().any(|parameter| parameter["name"] == "item_size") {
                continue;
            }
            // The list is what the last count counts: `tn_holder *holders, size_t *n_holders`.
            let count =
                parameters.last().and_then(|last| last["name"].as_str()).and_then(|name| name.strip_prefix("n_"));
            let listed = parameters.iter().find(|parameter| parameter["name"].as_str() == count);
            let name = listed.and_then(|parameter| parameter["type"]["pointer_to"]["name"].as_str());
            names.insert(name.ok_or_else(|| format!("{}: which list does item_size describe?", function["name"]))?);
        }
        Ok(names)
    }

    /// The rule for abidiff that lets these structs grow.
    fn growth(&self) -> Done<String> {
        let names: Vec<&str> = self.growing()?.into_iter().collect();
        Ok(format!(
            "# Written by `cargo xtask release --record`.\n[suppress_type]\n  type_kind = struct\n  name_regexp = ^({})$\n  \
             has_data_member_inserted_at = end\n  has_size_change = yes\n",
            names.join("|")
        ))
    }

    /// C source that compiles if each struct has its size, each field its place and type, and each constant its value.
    fn pins(&self) -> Done<String> {
        let mut source = String::from(PINS_HEAD);
        let growing = self.growing()?;
        for item in self.list("structs")? {
            let name = text(item, "name")?;
            let size = if growing.contains(name) { "LEAST" } else { "SIZE" };
            let _ = writeln!(source, "{size}({name}, {});", item["size"]);
            for field in items(item, "fields")? {
                let (own, declared) = (text(field, "name")?, text(field, "c")?);
                let _ = writeln!(source, "FIELD({name}, {own}, {}, {declared});", field["offset"]);
            }
        }
        for constant in self.constants()? {
            let name = text(constant, "name")?;
            if name != "TN_VERSION" {
                let _ = writeln!(source, "CONSTANT({name}, {});", constant["value"]);
            }
        }
        Ok(source)
    }

    /// All constants, those of families first.
    fn constants(&self) -> Done<Vec<&Value>> {
        let families = self.list("families")?.iter().map(|family| items(family, "constants"));
        let lists = families.chain([self.list("constants")]).collect::<Done<Vec<_>>>()?;
        Ok(lists.into_iter().flatten().collect())
    }
}

const PINS_HEAD: &str = "\
/* Written by `cargo xtask release --record`. */
#include <tenure.h>
#include <tenure_bindings.h>
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), \"size of \" #type)
#define LEAST(type, bytes) _Static_assert(sizeof(type) >= (bytes), \"size of \" #type)
#define FIELD(type, field, offset, ...) \\
    _Static_assert(offsetof(type, field) == offset \\
            && __builtin_types_compatible_p(__typeof__(((type *)0)->field), \\
                                            __typeof__(((struct { __VA_ARGS__; } *)0)->field)), \\
        #type \".\" #field)
#define CONSTANT(name, value) _Static_assert((name) == (value), #name)
";

fn items<'a>(value: &'a Value, name: &str) -> Done<&'a [Value]> {
    value[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("abi/api.json: no list {name}"))
}

fn text<'a>(value: &'a Value, name: &str) -> Done<&'a str> {
    value[name].as_str().ok_or_else(|| format!("abi/api.json: no text {name} in {value}"))
}
