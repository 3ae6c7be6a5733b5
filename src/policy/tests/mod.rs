//! Tests of the loader: what it refuses, and what the files in `policies/` mean on which day.

mod calc;
mod dates;
mod faults;
mod refusals;
mod refused_files;

use std::path::Path;
use std::sync::LazyLock;

use jiff::civil::Date;

use super::{PolicyFiles, load};
use crate::domain::ids::RegionCode;
use crate::domain::policy::PolicyBook;
use crate::domain::time::parse_day;

/// The files of this repository.
static FILES: LazyLock<PolicyFiles> = LazyLock::new(|| {
    PolicyFiles::from_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"))).expect("policies/ can be read")
});

static BOOK: LazyLock<PolicyBook> = LazyLock::new(|| load(&FILES).unwrap_or_else(|error| panic!("{error}")));

fn day(text: &str) -> Date {
    parse_day(text).expect("a day in a test")
}

fn code(text: &str) -> RegionCode {
    RegionCode::parse(text).expect("a code in a test")
}
