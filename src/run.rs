//! `gongji run`: daily jobs by hand.

use std::sync::Arc;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{self, Settings};
use crate::config::StoreChoice;
use crate::domain::time::parse_day;
use crate::ledger::source::RandomIds;
use crate::ledger::{Failure, Ledger};
use crate::telemetry;

/// The jobs there are.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Give wallet transfers that nobody took back to their senders (未领取转账退回).
    ///
    /// A server does this by itself every night (--return-unclaimed-at). By hand it is for a day that has to be looked at
    /// again, with the server stopped. Running it twice, or again after it was broken off, changes nothing more: what went
    /// back is found gone back.
    ReturnUnclaimed {
        /// The day on which the transfers were sent; it must be over.
        #[arg(long, value_name = "YYYY-MM-DD")]
        on: String,
        #[command(flatten)]
        settings: Settings,
    },
}

pub(crate) fn run(job: Job) -> Result<(), String> {
    let Job::ReturnUnclaimed { on, settings } = job;
    let day = parse_day(&on).ok_or("--on: must be a day as YYYY-MM-DD")?;
    let config = settings.read(false)?;
    if config.store == StoreChoice::Memory {
        return Err("store: the memory store keeps nothing to work on".to_owned());
    }
    telemetry::start(&config.log, config.log_json)?;
    let ids = Arc::new(RandomIds::from_system());
    let book = cli::read_policies(&config)?;
    let store = cli::open_store(&config, &ids)?;
    let ledger = Ledger::new(store, Arc::new(book), cli::clock(&config)?, ids, config.ledger_limits());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} {pos} transfers of the day looked at, {msg} [{elapsed}]");
        bar.set_style(style.map_err(|error| error.to_string())?);
        let done = ledger
            .return_unclaimed(day, |done| {
                bar.set_position(done.looked_at.into());
                bar.set_message(format!("{} gone back", done.returned));
            })
            .await;
        bar.finish_and_clear();
        ledger.store().close().await.map_err(|error| error.to_string())?;
        let done = done.map_err(|failure| {
            if let Failure::Invalid(bad) = &failure {
                return bad.iter().map(|bad| format!("--{}: {}", bad.field, bad.description)).collect();
            }
            format!("broken off, and safe to run again: {failure:?}")
        })?;
        println!(
            "{day}: {} transfers, {} gone back now, {} fen; {} could not go back, {} can still be taken",
            done.looked_at, done.returned, done.amount, done.refused, done.waiting
        );
        Ok(())
    })
}
