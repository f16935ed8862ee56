//! `cargo xtask site`: the documentation site in `target/site`, by Sphinx, for a browser without a network.
//!
//! Promise: the site has every page below `docs`, an entry for each function, type and constant of the headers, and an
//! anchor for each row of the specification. A page outside of the navigation, a link that leads nowhere, and a name
//! without an entry are failures. `xtask/site/stage.py` collects the pages and writes the reference;
//! `xtask/site/links.py` makes names and ids links.

use crate::python;
use crate::tools::{Done, command, has, io, read, root, run};
use std::path::PathBuf;

const TOOLS: &str = "xtask/site";
const REQUIREMENTS: &str = "xtask/site/requirements.txt";

/// Why the site cannot be checked, for the summary, or None.
pub fn missing() -> Option<String> {
    let browser =
        (!has("chromium")).then(|| "chromium is not installed; on Debian: apt-get install chromium".to_owned());
    python::missing().or(browser)
}

/// Builds the site and says where it begins.
pub fn write() -> Done {
    build()?;
    println!("target/site/index.html: written");
    Ok(())
}

/// Builds the site; then checks its completeness and links, and in a browser its search and its width on a phone.
pub fn check() -> Done {
    if let Some(why) = missing() {
        return Err(why);
    }
    let python = build()?;
    run(command(python).arg(format!("{TOOLS}/check.py")).arg("target/site"))
}

/// Writes `target/site`. Returns the Python of its environment.
fn build() -> Done<PathBuf> {
    let python = python::prepared("target/venv-site", REQUIREMENTS, read(REQUIREMENTS)?)?;
    let (work, site) = (root().join("target/site-work"), root().join("target/site"));
    // Pages that the sources do not have any more must not be found.
    let _ = std::fs::remove_dir_all(&site);
    io(&site, std::fs::create_dir_all(&site))?;
    let (pages, parsed) = (work.join("pages"), work.join("parsed"));
    run(command(&python).arg(format!("{TOOLS}/stage.py")).arg(&pages))?;
    let mut sphinx = command(&python);
    // Every warning is a failure, and all are shown.
    sphinx.args(["-m", "sphinx", "--quiet", "--fail-on-warning", "--jobs", "auto", "--builder", "html"]);
    run(sphinx.args(["--conf-dir", TOOLS]).arg("--doctree-dir").arg(parsed).arg(pages).arg(&site))?;
    Ok(python)
}
