//! `cargo xtask page`: bundles `report-page/` into the page that the library contains.
//!
//! Promise: the bundle depends on the sources and on the pinned versions of `package-lock.json` only. It is committed,
//! so a build of the library needs no Node.js. `--check` bundles again and compares every byte. Nothing is written
//! below `report-page/`.

use crate::python;
use crate::tools::{Done, command, copy, copy_all, has, io, read, root, run};
use std::path::PathBuf;

const SOURCES: &str = "report-page";
/// The committed page, without a snapshot.
const BUNDLE: &str = "src/report/page/bundle.html";
const SCREENSHOTS: &str = "report-page/screenshots.py";

/// Why it cannot be bundled, for the summary, or None.
pub fn missing() -> Option<String> {
    let absent = ["node", "npm"].into_iter().find(|program| !has(program))?;
    Some(format!("{absent} is not installed; on Debian: apt-get install nodejs npm"))
}

/// Writes the bundle.
pub fn write() -> Done {
    copy(&bundled()?, &root().join(BUNDLE))?;
    println!("{BUNDLE}: written");
    Ok(())
}

/// Compares the committed bundle with the sources.
pub fn check() -> Done {
    let made = bundled()?;
    if io(&made, std::fs::read_to_string(&made))? == read(BUNDLE)? {
        return Ok(());
    }
    Err(format!("{BUNDLE} is not what {SOURCES} gives; run `cargo xtask page` and commit the result"))
}

/// Draws the pictures of docs/seeing.md.
pub fn screenshots() -> Done {
    let python = python::installed()?;
    run(command(&python).arg(SCREENSHOTS).arg("docs/report"))
}

/// The page that the sources give, made in a copy of them.
fn bundled() -> Done<PathBuf> {
    if let Some(why) = missing() {
        return Err(why);
    }
    let folder = root().join("target/report-page");
    // Files that the sources do not have any more must not be found.
    let _ = std::fs::remove_dir_all(folder.join("src"));
    io(&folder, std::fs::create_dir_all(&folder))?;
    copy_all(&root().join(SOURCES).join("src"), &folder.join("src"))?;
    let lock = read(&format!("{SOURCES}/package-lock.json"))?;
    let stamp = folder.join("installed.json");
    for file in ["package.json", "package-lock.json", "build.mjs"] {
        copy(&root().join(SOURCES).join(file), &folder.join(file))?;
    }
    if std::fs::read_to_string(&stamp).ok().as_ref() != Some(&lock) {
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
        run(command("npm").args(install).current_dir(&folder))?;
        io(&stamp, std::fs::write(&stamp, lock))?;
    }
    let made = folder.join("bundle.html");
    run(command("node").arg("build.mjs").arg(&made).current_dir(&folder))?;
    Ok(made)
}
