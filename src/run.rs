//! `gongji run`: daily jobs by hand.

use std::sync::Arc;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;

use crate::cli::{self, Settings};
use crate::client::in_words;
use crate::config::StoreChoice;
use crate::domain::ids::RegionCode;
use crate::domain::time::parse_day;
use crate::domain::year_close::YearClose;
use crate::ledger::source::RandomIds;
use crate::ledger::{Failure, Ledger};
use crate::store::embedded::{EmbeddedStore, OpenError};
use crate::telemetry;
use crate::terminal::say;

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
    /// Close a year that is over for all accounts of a region, with interest (年度结转).
    ///
    /// A server does this itself when asked (AccountService/CloseYear), beside settlements; by hand it is done at full speed,
    /// with the server stopped. Broken off, the same line goes on where it was: each account is closed once.
    CloseYear {
        /// The pooling region, six digits.
        #[arg(long, value_name = "CODE")]
        region: String,
        /// The calendar year; it must be over.
        #[arg(long)]
        year: i16,
        #[command(flatten)]
        settings: Settings,
    },
}

pub(crate) fn run(job: Job) -> Result<(), String> {
    match job {
        Job::ReturnUnclaimed { on, settings } => {
            let day = parse_day(&on).ok_or("--on: must be a day as YYYY-MM-DD")?;
            on_data(settings, async |ledger| return_unclaimed(ledger, day).await)
        }
        Job::CloseYear { region, year, settings } => {
            let region = RegionCode::parse(&region).ok_or("--region: must be a six-digit code")?;
            on_data(settings, async |ledger| close_year(ledger, region, year).await)
        }
    }
}

/// Opens the data, does the work, closes the data.
fn on_data(
    settings: Settings,
    work: impl AsyncFnOnce(&Ledger) -> Result<Result<String, Failure>, String>,
) -> Result<(), String> {
    let config = settings.read(false)?;
    if config.store == StoreChoice::Memory {
        return Err("store: the memory store keeps nothing to work on".to_owned());
    }
    telemetry::start(&config.log, config.log_json)?;
    if config.store == StoreChoice::Embedded && !EmbeddedStore::is_there(&config.data_dir) {
        return Err(OpenError::Absent { dir: config.data_dir }.to_string());
    }
    let ids = Arc::new(RandomIds::from_system());
    let book = cli::read_policies(&config)?;
    let store = cli::open_store(&config, &ids)?;
    let ledger = Ledger::new(store, Arc::new(book), cli::clock(&config)?, ids, config.ledger_limits());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let done = work(&ledger).await;
        ledger.store().close().await.map_err(|error| error.to_string())?;
        say!("{}", done?.map_err(|failure| told(&failure))?);
        Ok(())
    })
}

fn told(failure: &Failure) -> String {
    if let Failure::Invalid(bad) = failure {
        return bad.iter().map(|bad| format!("--{}: {}", bad.field, bad.description)).collect();
    }
    if let Failure::Refused(reasons) = failure {
        return reasons.iter().map(|reason| reason.sentence()).collect();
    }
    format!("broken off, and safe to run again: {}", in_words(failure))
}

fn bar(template: &str) -> Result<ProgressBar, String> {
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(template).map_err(|error| error.to_string())?);
    Ok(bar)
}

async fn return_unclaimed(ledger: &Ledger, day: Date) -> Result<Result<String, Failure>, String> {
    let bar = bar("{spinner} {pos} transfers of the day looked at, {msg} [{elapsed}]")?;
    let done = ledger
        .return_unclaimed(day, |done| {
            bar.set_position(done.looked_at.into());
            bar.set_message(format!("{} gone back", done.returned));
        })
        .await;
    bar.finish_and_clear();
    Ok(done.map(|done| {
        format!(
            "{day}: {} transfers, {} gone back now, {} fen; {} could not go back, {} can still be taken",
            done.looked_at, done.returned, done.amount, done.refused, done.waiting
        )
    }))
}

/// Accounts under way together: one sync of the disk serves them.
const STEP: usize = 1_024;

async fn close_year(ledger: &Ledger, region: RegionCode, year: i16) -> Result<Result<String, Failure>, String> {
    let bar = bar("{wide_bar} {msg} {eta} left")?;
    let done = close_to_the_end(ledger, region, year, &bar).await;
    bar.finish_and_clear();
    Ok(done.map(|close| {
        let tally = &close.tally;
        format!(
            "{region} {year}: {} accounts closed, {} fen of interest; {} had nothing to close, {} could not be closed",
            tally.closed, tally.interest, tally.without, tally.refused
        )
    }))
}

async fn close_to_the_end(
    ledger: &Ledger,
    region: RegionCode,
    year: i16,
    bar: &ProgressBar,
) -> Result<YearClose, Failure> {
    let mut close = ledger.year_close_by_hand(region, year).await?;
    bar.set_length(close.until);
    while close.is_open() {
        close = ledger.year_close_step(region, year, STEP).await?;
        bar.set_position(close.after);
        bar.set_message(format!("{} accounts closed", close.tally.closed));
    }
    Ok(close)
}
