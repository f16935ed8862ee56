//! The allocators to compare with: where each comes from, and why one is missing.
//!
//! Promise: nothing is installed and no privilege is needed. Debian packages are downloaded and unpacked into
//! `target/peers`, unless the library is installed. Those of crates are built from `benches/peers`; UMF comes from its
//! wheel. A missing allocator has a reason.

use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tools::{Done, cargo, command, has, io, output, root, run};

/// The functions through which a program allocates; one program each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Api {
    Malloc,
    Handle,
    Umf,
}

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Api::Malloc => "malloc",
            Api::Handle => "handle",
            Api::Umf => "umf",
        }
    }
}

/// An available allocator.
pub struct Peer {
    pub name: &'static str,
    pub api: Api,
    /// The library that the program opens; "-" if it is in the process already.
    pub library: PathBuf,
    pub preload: Option<PathBuf>,
    /// Its version; empty if the program prints it.
    pub version: String,
}

/// The name of a missing allocator, and why it is missing.
pub type Missing = (&'static str, String);

impl Peer {
    /// Environment variables and the like that its library needs.
    pub fn surroundings<'a>(&self, run: &'a mut Command) -> Done<&'a mut Command> {
        if let Some(library) = &self.preload {
            run.env("LD_PRELOAD", library);
        }
        if self.api == Api::Umf {
            let needed = umf_needs()?;
            let paths: Vec<String> = needed.iter().map(|path| path.display().to_string()).collect();
            run.env("LD_LIBRARY_PATH", paths.join(":"));
        }
        Ok(run)
    }
}

/// The source of an allocator.
enum Source {
    /// Tenure's C library.
    Tenure,
    /// Tenure's malloc.
    TenureMalloc,
    /// The C library, which is in every process.
    Glibc,
    /// A Debian package, and the library in it.
    Debian(&'static str, &'static str),
    /// A package of the workspace `benches/peers`.
    Crate(&'static str),
    /// The wheel of UMF.
    Umf,
}

/// All allocators, in the order of the tables.
const ALL: &[(&str, Source)] = &[
    ("tenure", Source::Tenure),
    ("tenure-malloc", Source::TenureMalloc),
    ("glibc", Source::Glibc),
    ("jemalloc", Source::Debian("libjemalloc2", "libjemalloc.so.2")),
    ("tcmalloc", Source::Debian("libtcmalloc-minimal4", "libtcmalloc_minimal.so.4")),
    ("tbb", Source::Debian("libtbbmalloc2", "libtbbmalloc.so.2")),
    ("mimalloc2.0", Source::Debian("libmimalloc2.0", "libmimalloc.so.2.0")),
    ("mimalloc2", Source::Crate("mimalloc2")),
    ("mimalloc3", Source::Crate("mimalloc3")),
    ("rpmalloc", Source::Crate("rpmalloc")),
    ("snmalloc", Source::Crate("snmalloc")),
    ("umf-disjoint", Source::Umf),
    ("umf-scalable", Source::Umf),
];

/// The wheel with the UMF that is measured.
const UMF: &str = "1.2.0";

/// All names, for the help text.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// The allocators with these names (all if there are none), and the missing ones with the reason.
pub fn find(asked: &[&str], tenure: &Path) -> Done<(Vec<Peer>, Vec<Missing>)> {
    if let Some(unknown) = asked.iter().find(|name| !ALL.iter().any(|(known, _)| known == *name)) {
        return Err(format!("there is no peer {unknown}; there are {}", names().join(", ")));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (name, source) in ALL.iter().filter(|(name, _)| asked.is_empty() || asked.contains(name)) {
        match source.get(name, tenure) {
            Ok(peer) => found.push(peer),
            Err(why) => missing.push((*name, why)),
        }
    }
    Ok((found, missing))
}

impl Source {
    fn get(&self, name: &'static str, tenure: &Path) -> Done<Peer> {
        let peer = |api, library: PathBuf, version: String| Peer { name, api, library, preload: None, version };
        Ok(match self {
            Source::Tenure => peer(Api::Handle, tenure.to_owned(), super::version()),
            Source::TenureMalloc => {
                peer(Api::Malloc, xtask::malloc::build(xtask::dist::THIS, "release")?, super::version())
            }
            Source::Glibc => peer(Api::Malloc, "-".into(), String::new()),
            Source::Debian(package, library) => {
                let (library, version) = debian(package, library)?;
                // Its thread-locals do not fit into a running process.
                let early = *package == "libjemalloc2";
                Peer {
                    preload: early.then(|| library.clone()),
                    ..peer(Api::Malloc, if early { "-".into() } else { library }, format!("{name} {version}"))
                }
            }
            Source::Crate(package) => peer(Api::Malloc, built(package)?, String::new()),
            Source::Umf => peer(Api::Umf, umf()?.join("lib/libumf.so.1"), format!("UMF {UMF}")),
        })
    }
}

fn folder() -> PathBuf {
    root().join("target/peers")
}

/// Builds a library of benches/peers. One package per build: two versions of one crate differ by a feature, which cargo
/// would unify.
fn built(package: &str) -> Done<PathBuf> {
    let target = folder().join("build");
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--package"]).arg(format!("peer-{package}"));
    build.arg("--target-dir").arg(&target).current_dir(root().join("benches/peers")); // cargo reads the configuration in this folder
    output(&mut build).map_err(|why| last_line(&why))?;
    Ok(target.join(format!("release/libpeer_{package}.so")))
}

/// The library of a Debian package with its version: from `target/peers`, the system, or a download.
pub fn debian(package: &str, library: &str) -> Done<(PathBuf, String)> {
    let folder = folder().join(package);
    if !folder.join("version").exists() {
        if let Some(installed) = installed(package, library) {
            return Ok(installed);
        }
        io(&folder, std::fs::create_dir_all(&folder))?;
        for tool in ["apt-get", "dpkg-deb"] {
            if !has(tool) {
                return Err(format!("{package} is not installed, and there is no {tool} to fetch it"));
            }
        }
        output(command("apt-get").args(["-qq", "download", package]).current_dir(&folder))
            .map_err(|why| last_line(&why))?;
        let packed = file(&folder, &|name| name.ends_with(".deb")).ok_or("apt-get downloaded no package")?;
        run(command("dpkg-deb").arg("-x").arg(&packed).arg(&folder))?;
        let version = output(command("dpkg-deb").arg("-f").arg(&packed).arg("Version"))?;
        io(&folder, std::fs::write(folder.join("version"), upstream(&version)))?;
    }
    let version = io(&folder, std::fs::read_to_string(folder.join("version")))?;
    let found = file(&folder, &|name| name == library);
    Ok((found.ok_or_else(|| format!("{package} has no {library}"))?, version))
}

fn installed(package: &str, library: &str) -> Option<(PathBuf, String)> {
    let version = output(command("dpkg-query").args(["-W", "-f", "${Version}", package])).ok()?;
    let listed = output(command("dpkg-query").args(["-L", package])).ok()?;
    let path = listed.lines().find(|line| line.ends_with(&format!("/{library}")))?;
    Some((path.into(), upstream(&version)))
}

/// Debian's version number without its revision.
fn upstream(version: &str) -> String {
    version.trim().split(['-', '+']).next().unwrap_or_default().to_owned()
}

/// The most telling line of a long error.
fn last_line(text: &str) -> String {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

/// A file of this name below the folder.
fn file(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.filter_map(Result::ok) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_str().is_some_and(fits) {
                return Some(entry.path());
            }
        }
    }
    None
}

/// The folder with UMF's `include` and `lib`.
pub fn umf() -> Done<PathBuf> {
    let folder = folder().join("umf");
    let data = folder.join(format!("umf-{UMF}.data/data"));
    if !data.join("lib").exists() {
        io(&folder, std::fs::create_dir_all(&folder))?;
        let mut pip = command("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]).arg(&folder);
        output(pip.arg(format!("umf=={UMF}"))).map_err(|why| last_line(&why))?;
        let wheel = file(&folder, &|name| name.ends_with(".whl")).ok_or("pip downloaded no wheel")?;
        run(command("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))?;
    }
    Ok(data)
}

/// The folder of the libraries that UMF itself opens.
fn umf_needs() -> Done<Vec<PathBuf>> {
    let needed = [("libhwloc15", "libhwloc.so.15"), ("libtbbmalloc2", "libtbbmalloc.so.2")];
    needed.iter().map(|(package, library)| Ok(debian(package, library)?.0.with_file_name(""))).collect()
}
