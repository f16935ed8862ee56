//! The text of a C file after preprocessing, without the parts of system headers and of Tenure's own headers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The expanded text of a program's own files, and where each line comes from.
pub struct Source {
    /// The text.
    pub text: String,
    /// File, as an index of `files`, and line, of each line of the text.
    lines: Vec<(usize, usize)>,
    /// The names of the files.
    files: Vec<PathBuf>,
    /// The offset of the beginning of each line.
    starts: Vec<usize>,
}

impl Source {
    /// The file and the line of an offset, and the column, all from 1.
    pub fn place(&self, offset: usize) -> crate::Place {
        let at = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let (file, line) = self.lines.get(at).copied().unwrap_or((0, 1));
        let column = offset - self.starts.get(at).copied().unwrap_or_default() + 1;
        crate::Place { file: self.files.get(file).cloned().unwrap_or_default(), line, column }
    }

    /// From the output of a preprocessor: text and line markers.
    pub fn from_preprocessed(output: &str) -> Source {
        let mut source = Source { text: String::new(), lines: Vec::new(), files: Vec::new(), starts: Vec::new() };
        let (mut file, mut line) = (0, 1);
        // Whether each file is the program's. gcc also marks expansions of system macros, so the first marker counts.
        let mut own: Vec<bool> = Vec::new();
        for text in output.lines() {
            if let Some((number, name, is_system)) = marker(text) {
                line = number;
                let name = PathBuf::from(name);
                file = source.files.iter().position(|known| *known == name).unwrap_or_else(|| {
                    own.push(!is_system && !is_of_library(&name) && !name.to_string_lossy().starts_with('<'));
                    source.files.push(name);
                    source.files.len() - 1
                });
                continue;
            }
            if own.get(file).copied().unwrap_or(true) && !text.trim().is_empty() {
                source.starts.push(source.text.len());
                source.lines.push((file, line));
                source.text.push_str(text);
                source.text.push('\n');
            }
            line += 1;
        }
        source
    }
}

/// Line, file and whether it is a system header: `# 12 "stdio.h" 1 3 4`.
fn marker(text: &str) -> Option<(usize, String, bool)> {
    let rest = text.strip_prefix("# ").or_else(|| text.strip_prefix("#line "))?;
    let (number, rest) = rest.split_once(' ')?;
    let (name, flags) = rest.strip_prefix('"')?.rsplit_once('"')?;
    Some((number.parse().ok()?, name.replace("\\\\", "\\"), flags.split(' ').any(|flag| flag == "3")))
}

/// Whether the file is one of Tenure's headers.
fn is_of_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    ["tenure.h", "tenure_bindings.h", "tenure_checked.h", "tenure_static_checks.h"].iter().any(|known| name == *known)
}

/// How a file is compiled.
#[derive(Clone, Debug, Default)]
pub struct Compilation {
    /// The file.
    pub file: PathBuf,
    /// The folder in which the compiler runs.
    pub folder: PathBuf,
    /// Its options, as -I and -D.
    pub options: Vec<String>,
}

/// The C compiler that preprocesses: the variable CC, or the first of cc, gcc and clang that is there.
pub fn compiler() -> Option<String> {
    let named = std::env::var("CC").ok().filter(|name| !name.trim().is_empty());
    named.or_else(|| ["cc", "gcc", "clang"].into_iter().find(|name| is_there(name)).map(str::to_owned))
}

/// Whether a program is on the path.
pub fn is_there(name: &str) -> bool {
    let done =
        Command::new(name).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Preprocesses a file.
pub fn preprocess(compiler: &str, compilation: &Compilation) -> Result<Source, String> {
    let mut words = compiler.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("cc"));
    command.args(words).args(&compilation.options);
    // The attributes stay in the text, whatever the compiler knows.
    command.args(["-E", "-DTN_CHECKED(attribute)=__attribute__((attribute))"]);
    command.arg(&compilation.file).stdin(Stdio::null());
    if !compilation.folder.as_os_str().is_empty() {
        command.current_dir(&compilation.folder);
    }
    let file = compilation.file.display();
    let done = command.output().map_err(|error| format!("{compiler}: {error}; install a C compiler, or set CC"))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        let first = text.lines().find(|line| line.contains("error")).or(text.lines().next()).unwrap_or_default();
        return Err(format!("{file}: {compiler} cannot preprocess it: {first}; pass its options behind --"));
    }
    Ok(Source::from_preprocessed(&String::from_utf8_lossy(&done.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_program_keep_their_places() {
        let output = "# 0 \"a.c\"\n# 1 \"/usr/include/stdio.h\" 1 3 4\nint puts(char *);\n# 2 \"a.c\" 2\nint x;\n\nint y;\n\
                      # 1 \"inc/tenure.h\" 1\nint tn_here(void);\n# 9 \"a.c\" 2\nint z;\n";
        let source = Source::from_preprocessed(output);
        assert_eq!(source.text, "int x;\nint y;\nint z;\n");
        let lines: Vec<usize> = [0, 7, 14].map(|offset| source.place(offset).line).to_vec();
        assert_eq!(lines, [2, 4, 9]);
        assert_eq!(source.place(18).column, 5);
        assert_eq!(source.place(18).file, Path::new("a.c"));
    }
}
