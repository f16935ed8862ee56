//! The sources, the documents and the files that are generated: do they agree?

#[path = "../support"]
mod support {
    pub mod bodies;
    pub mod capi;
    pub mod cuda;
    pub mod module_graph;
    pub mod random;
    pub mod strided_cases;
    pub mod tools;
}

mod arguments;
mod docs;
mod header;
mod kernel_source;
mod layers;
mod packaging;
mod python_layers;
mod rows;
mod symbols;
mod versions;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}
