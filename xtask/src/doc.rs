//! `cargo xtask doc`: Doxygen reads the header's comments. A warning is a failure.
//!
//! `tests/repository/header.rs` checks more of the comments than Doxygen does. Doxygen finds misspelt commands and
//! dangling references. The reference that people read is part of the site (`site`).

use crate::tools::{self, Done, command, has, io, root};
use std::io::Write;
use std::process::Stdio;

/// Why the comments cannot be checked, or None.
pub fn missing() -> Option<String> {
    (!has("doxygen")).then(|| "doxygen is not installed".to_owned())
}

/// Writes pages to `target/doc-c/html` for the warnings alone.
pub fn build() -> Done {
    if let Some(why) = missing() {
        return Err(format!("{why}; on Debian: apt-get install doxygen"));
    }
    let folder = root().join("target/doc-c");
    io(&folder, std::fs::create_dir_all(&folder))?;
    // Without HTML output, Doxygen warns that every function "has no return type documented".
    // Without PREDEFINED, each type of the C++ branch counts as undocumented.
    let settings = format!(
        "PROJECT_NAME=Tenure\nINPUT=include/tenure.h include/tenure_bindings.h\nOUTPUT_DIRECTORY={}\nGENERATE_HTML=YES\nGENERATE_LATEX=NO\nHAVE_DOT=NO\n\
         OPTIMIZE_OUTPUT_FOR_C=YES\nQUIET=YES\nWARN_NO_PARAMDOC=YES\nWARN_IF_INCOMPLETE_DOC=YES\n\
         WARN_AS_ERROR=FAIL_ON_WARNINGS\nPREDEFINED=__cplusplus \"TN_ENUM=enum\" SWIG\nMACRO_EXPANSION=YES\nEXPAND_ONLY_PREDEF=YES\n",
        folder.display()
    );
    let mut doxygen = command("doxygen");
    let mut child = doxygen.arg("-").stdin(Stdio::piped()).spawn().map_err(|e| format!("doxygen: {e}"))?;
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(settings.as_bytes()).map_err(|e| format!("doxygen: {e}"))?;
    drop(input);
    let status = tools::wait(&mut child).map_err(|e| format!("doxygen: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("doxygen: {status}; its warnings stand above")) }
}
