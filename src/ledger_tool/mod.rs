//! `gongji ledger …`: the ledger checked, read and proved, in the data directory of a stopped server or over the wire of a
//! running one. Changes nothing.

mod prove;
mod show;
mod source;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
pub(crate) use source::ledger;
pub use verify::{Findings, examine};

/// Which ledger.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Data directory of a server that is not running.
    #[arg(long, env = "GONGJI_DATA_DIR", value_name = "DIR", default_value = "gongji-data")]
    data_dir: PathBuf,
    /// A running server instead, such as `http://127.0.0.1:50051`.
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
}

/// What to do with the ledger.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read everything there is and say whether it is right.
    ///
    /// Offline: files as they were written, digests chain, postings balance, balances refold to what the accounts hold,
    /// facts and lists equal what the changes made them. With --connect: what the server's CheckLedger finds.
    Verify(Place),
    /// Print records so that a person can read them.
    Show(show::Options),
    /// Print every posting of a member's account with its running balance and the link of the chain that vouches for it.
    ///
    /// The chain is computed again from the first record to the head on the way.
    ProveBalance(prove::Options),
}

/// Runs one of the commands.
pub fn run(options: Options) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    match options.command {
        Command::Verify(place) => verify::run(&place, &runtime),
        Command::Show(options) => runtime.block_on(show::run(&options)),
        Command::ProveBalance(options) => runtime.block_on(prove::run(&options)),
    }
}
