//! The `gongji` program. Everything is in the library.

use std::process::ExitCode;

/// Every call makes and drops hundreds of small strings; this allocator keeps them to the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gongji::cli::run()
}
