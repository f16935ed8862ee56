//! The kernels of tests/kernels and examples/tiled_matmul for the simulated driver, which run on the host. It needs no
//! file of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use tenure_harness::require;

const SOURCES: [(&str, &str); 7] = [
    ("simulated.cpp", include_str!("../kernels/simulated.cpp")),
    ("simulated.hpp", include_str!("../kernels/simulated.hpp")),
    ("kernels.cu", include_str!("../kernels/kernels.cu")),
    ("tiled_matmul.cu", include_str!("../../examples/tiled_matmul/tiled_matmul.cu")),
    ("tenure_kernel.cuh", include_str!("../../include/tenure_kernel.cuh")),
    ("tenure_kernel_host.hpp", include_str!("../../include/tenure_kernel_host.hpp")),
    ("tenure_sim.h", include_str!("../../cuda-sim/include/tenure_sim.h")),
];

/// A library that gives the simulated driver the kernels when a process loads it.
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// Compiles it, in a folder that is removed with the value.
    pub fn compile() -> Library {
        require(&["g++"]);
        let folder = std::env::temp_dir().join(format!("tenure-simulated-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let library = Library { folder };
        for (name, text) in SOURCES {
            std::fs::write(library.folder.join(name), text).unwrap();
        }
        let mut compile = Command::new("g++");
        compile.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-I."]);
        let done = compile.args(["simulated.cpp", "-o", "simulated.so"]).current_dir(&library.folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        library
    }

    pub fn path(&self) -> PathBuf {
        Path::new(&self.folder).join("simulated.so")
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
