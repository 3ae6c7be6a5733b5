//! What a server asks of its allocator.

/// Where mimalloc takes its settings from, once, before `main`.
const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// How long memory that is free stays with the process.
const MILLISECONDS: &str = "2000";

/// Begins this process again with the setting, unless it is set already. A server takes and frees memory all the time; by
/// itself mimalloc gives back to the system what was free for 10 ms, in small pieces, and the next use has each of them zeroed
/// again: a sixth of what a settlement in a batch costs. Whoever runs it keeps the last word by setting the variable. Where a
/// process cannot be begun again it serves as it is.
#[cfg(unix)]
pub fn begin_again() {
    use std::os::unix::process::CommandExt;

    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Returns only where it fails.
    let _failed = command.args(arguments).env(VARIABLE, MILLISECONDS).exec();
}

#[cfg(not(unix))]
pub fn begin_again() {}
