//! What the command line prints. Nobody may read it any more (`| head`), or the disk behind it may be full: neither ends what
//! is under way half done, and only the second is a failure.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

const WHOLE: u8 = 0;
const UNREAD: u8 = 1;
const LOST: u8 = 2;

/// What became of what was printed so far.
static CAME: AtomicU8 = AtomicU8::new(WHOLE);

/// Prints a line.
macro_rules! say {
    ($($words:tt)*) => { $crate::terminal::out(format_args!("{}\n", format_args!($($words)*))) };
}

/// Prints text as it is.
macro_rules! put {
    ($($words:tt)*) => { $crate::terminal::out(format_args!($($words)*)) };
}

/// Prints a line beside what is printed.
macro_rules! remark {
    ($($words:tt)*) => { $crate::terminal::beside(format_args!("{}\n", format_args!($($words)*))) };
}

pub(crate) use {put, remark, say};

pub fn out(text: fmt::Arguments<'_>) {
    note(&io::stdout().write_fmt(text));
}

/// Whoever does not read what is remarked misses it, and nothing else.
pub fn beside(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Whether nobody reads what is printed: whoever does nothing else may end.
pub fn is_unread() -> bool {
    CAME.load(Ordering::Relaxed) != WHOLE
}

fn note(written: &io::Result<()>) {
    if let Err(error) = written {
        let came = if error.kind() == ErrorKind::BrokenPipe { UNREAD } else { LOST };
        CAME.fetch_max(came, Ordering::Relaxed);
    }
}

/// How the program ends, when it would end like this.
pub fn end(code: ExitCode) -> ExitCode {
    note(&io::stdout().flush());
    if CAME.load(Ordering::Relaxed) == LOST {
        remark!("gongji: what was printed could not be written: standard output takes no more");
        return ExitCode::from(2);
    }
    code
}
