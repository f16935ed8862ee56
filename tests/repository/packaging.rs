//! The recipes of package managers: each is what its reader parses, has no value of its own that a release fills in, and
//! builds by the one CMake project, with options and versions that exist.

use crate::support;
use std::collections::BTreeSet;
use std::process::Command;
use support::tools::{files, output, read, root};
use tenure_harness::{require, test};

/// The recipes, by what their package manager calls them.
const RECIPES: &[&str] = &[
    "packaging/conan/conandata.yml",
    "packaging/conan/conanfile.py",
    "packaging/conda/recipe.yaml",
    "packaging/homebrew/tenure.rb",
    "packaging/meson/tenure.wrap",
    "packaging/spack/package.py",
    "packaging/vcpkg/portfile.cmake",
    "packaging/vcpkg/vcpkg.json",
];
/// What the sources have themselves.
const IN_SOURCES: &[&str] =
    &["packaging/cmake/CMakeLists.txt", "packaging/meson/meson.build", "packaging/meson/meson_options.txt"];
/// What `cargo xtask release` fills in.
const PLACES: &[&str] = &["@VERSION@", "@URL@", "@SHA256@", "@SHA512@"];

/// A recipe as a release has it.
fn filled(path: &str) -> String {
    let sum = "0123456789abcdef".repeat(8);
    let values = ["0.1.0", "https://example.org/tenure", &sum[..64], &sum];
    PLACES.iter().zip(values).fold(read(path), |text, (place, value)| text.replace(place, value))
}

#[test]
fn every_recipe_is_known_and_filled_in() {
    let found: BTreeSet<String> =
        files("packaging", "").into_iter().map(|path| path.to_string_lossy().into_owned()).collect();
    assert_eq!(found, RECIPES.iter().chain(IN_SOURCES).map(|path| (*path).to_owned()).collect());
    for path in RECIPES {
        let text = filled(path);
        assert!(!text.contains("@VERSION@") && !text.contains("@SHA") && !text.contains("@URL@"), "{path}");
        // Written down, a version would stay behind.
        let own = read(path).lines().find(|line| line.contains("0.1.0")).map(str::to_owned);
        assert_eq!(own, None, "{path}");
    }
}

#[test]
fn every_recipe_is_what_its_reader_parses() {
    require(&["python3"]);
    let program = "import ast, configparser, json, sys\n\
                   text = sys.stdin.read()\n\
                   kind = sys.argv[1].rsplit('.')[-1]\n\
                   if kind == 'py': ast.parse(text)\n\
                   elif kind == 'json': assert json.loads(text)['name'] == 'tenure'\n\
                   elif kind == 'wrap': configparser.ConfigParser(interpolation=None).read_string(text)\n\
                   elif kind in ('yml', 'yaml'):\n    \
                       try: import yaml\n    \
                       except ImportError: sys.exit()\n    \
                       assert yaml.safe_load(text)\n";
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    for path in RECIPES {
        let file = folder.join(path.replace('/', "_"));
        std::fs::write(&file, filled(path)).expect("the target folder is writable");
        let text = std::fs::File::open(&file).expect("it was written");
        output(Command::new("python3").args(["-c", program, path]).stdin(text))
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        if path.ends_with(".rb") && Command::new("ruby").arg("--version").output().is_ok() {
            output(Command::new("ruby").arg("-c").arg(&file)).unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }
}

/// All of them install by CMake, so that there is one description of what is installed.
#[test]
fn recipes_build_by_the_cmake_project() {
    let project = read("packaging/cmake/CMakeLists.txt");
    for path in
        ["conan/conanfile.py", "conda/recipe.yaml", "homebrew/tenure.rb", "spack/package.py", "vcpkg/portfile.cmake"]
    {
        let text = read(format!("packaging/{path}"));
        assert!(text.contains("packaging/cmake"), "{path}");
        for option in
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("TENURE_"))
        {
            assert!(project.contains(&format!("set({option} ")), "{path}: the project has no {option}");
        }
    }
    let manifest = read("Cargo.toml");
    let oldest = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).expect("it is stated");
    let oldest = oldest.trim_end_matches('"');
    for path in ["conan/conanfile.py", "vcpkg/portfile.cmake", "spack/package.py", "cmake/CMakeLists.txt"] {
        let text = read(format!("packaging/{path}"));
        assert!(
            text.contains(&format!("Rust {oldest}")) || text.contains(&format!("rust@{oldest}:")),
            "{path}: {oldest}"
        );
    }
    // What is copied to the prefix has the same names as in `cargo xtask install`.
    for template in files("xtask/install", ".in") {
        let name = template.file_stem().expect("it has a name").to_string_lossy().into_owned();
        assert!(project.contains(&name), "packaging/cmake installs no {name}");
    }
    assert!(root().join("xtask/install").exists());
}
