//! The `gongji` program. Everything is in the library.

use std::process::ExitCode;

/// Every call makes and drops hundreds of small strings; this allocator keeps them to the thread that made them. Its second
/// version: the third takes a slow way for every block whose size is no power of two, because Rust names an alignment.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gongji::cli::run()
}
