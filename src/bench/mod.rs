//! `gongji bench`: a bare echo, quotes and settlements, measured beside each other in one run, so that what is reported is
//! a ratio and not a machine. Nothing here is used by the server.

#![allow(
    clippy::float_arithmetic,
    clippy::disallowed_methods,
    reason = "a benchmark reads clocks and divides times; nothing here is money or law"
)]

mod calculation;
mod client;
mod data;
mod database;
mod direct;
mod echo;
mod lanes;
mod many;
mod process;
mod report;
mod requests;
pub mod server;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::store::postgres::DatabaseUrl;
use client::{Cell, Client};
use process::{Folder, Probe, Process};
use report::{Bare, Disk, OpenLoop, Report, Row, Startup, StoreFacts, median};
use requests::View;
pub use wire::Kind;

/// The most calls in flight, and over how many connections.
const MOST: (usize, usize) = (256, 4);
/// How long the bare disk is tried beside every durable cell.
const PROBE: Duration = Duration::from_millis(300);

/// `gongji bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Length of one cell: one method at one concurrency.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// Rounds over all cells, every other one backwards; medians are reported.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// People, in families of four: a patient and three who pay.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// Folder on the disk to be measured; what is made in it is removed.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// An empty database for settle-postgres and batch-postgres, left out without one: its tables are made, and stay.
    #[arg(long, value_name = "URL", env = "GONGJI_BENCH_DATABASE_URL", hide_env_values = true)]
    database_url: Option<DatabaseUrl>,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// The explanation that is asked for. Thresholds are those of a summary, and told of it alone.
    #[arg(long, value_enum, default_value_t = View::Summary)]
    explanation: View,
    /// Threads of the servers.
    #[arg(long, default_value_t = 2)]
    runtimes: u32,
    /// Threads of the client, each with its part of the connections.
    #[arg(long, default_value_t = 2)]
    client_threads: usize,
    /// A small and short run that shows it works.
    #[arg(long)]
    quick: bool,
    /// Instead of all else: how fast the embedded store is back after kill -9 at the end of that many settlements.
    #[arg(long, value_name = "SETTLEMENTS", num_args = 0..=1, default_missing_value = "500000")]
    startup: Option<u64>,
    /// Instead of all else: so many calls of each method within this process, without transport.
    #[arg(long, value_name = "CALLS", num_args = 0..=1, default_missing_value = "200000")]
    direct: Option<u64>,
    /// Instead of all else: CalculateContribution beside the echo, call by call and in a stream.
    #[arg(long)]
    calculation: bool,
    /// Leaves out CheckLedger after the run: of ten million people it takes minutes, and some 7 GB of the server.
    #[arg(long, conflicts_with = "startup")]
    no_check: bool,
    /// Writes the figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// More settings for the servers, as `gongji serve` takes them: --server --cached-facts=1000000.
    #[arg(long = "server", value_name = "SETTING", allow_hyphen_values = true)]
    settings: Vec<String>,
}

/// What a run is made of, after --quick.
struct Plan<'a> {
    options: &'a Options,
    time: Duration,
    rounds: u32,
    people: u64,
}

/// Measures and prints.
pub fn run(options: &Options) -> Result<(), String> {
    let plan = Plan {
        options,
        time: Duration::from_secs_f64(if options.quick { options.seconds.min(1.0) } else { options.seconds }),
        rounds: if options.quick { 1 } else { options.rounds.max(1) },
        people: if options.quick { options.accounts.min(20_000) } else { options.accounts }.max(4_000),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    if options.calculation {
        return runtime.block_on(calculation::run(plan.time, plan.rounds, options.runtimes));
    }
    if let Some(calls) = options.direct {
        let folder = Folder::make(&options.dir)?;
        let kinds = plan.kinds();
        return runtime.block_on(async {
            let database = options.database_url.as_ref();
            if let Some(url) = database.filter(|_| kinds.iter().any(|kind| kind.of_postgres())) {
                database::prepare(url).await?;
            }
            direct::run(&kinds, plan.people, calls.max(1), options.explanation, &folder.0, database).await
        });
    }
    let report = runtime.block_on(async {
        match options.startup {
            Some(settlements) => startup(&plan, settlements).await,
            None => measure(&plan).await,
        }
    })?;
    print!("{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if report.is_good() { Ok(()) } else { Err("not every reply was as it should be".to_owned()) }
}

/// The servers that are measured; each runs while the others are measured, idle.
struct Servers {
    echo: Option<Process>,
    memory: Option<Process>,
    embedded: Option<Process>,
    postgres: Option<Process>,
}

impl Servers {
    fn of(&self, kind: Kind) -> Option<&Process> {
        match kind {
            Kind::Echo | Kind::EchoSized => self.echo.as_ref(),
            Kind::Quote | Kind::SettleMemory => self.memory.as_ref(),
            Kind::SettleEmbedded | Kind::BatchEmbedded | Kind::StreamEmbedded => self.embedded.as_ref(),
            Kind::SettlePostgres | Kind::BatchPostgres => self.postgres.as_ref(),
        }
    }
}

impl Plan<'_> {
    fn families(&self) -> u64 {
        self.people / data::FAMILY
    }

    fn kinds(&self) -> Vec<Kind> {
        let only = &self.options.only;
        let possible = |kind: &Kind| self.options.database_url.is_some() || !kind.of_postgres();
        let named = |kind: &Kind| only.is_empty() || only.contains(kind);
        Kind::ALL.into_iter().filter(|kind| possible(kind) && named(kind)).collect()
    }

    fn start(&self, kind: Kind, dir: &std::path::Path) -> Result<Process, String> {
        let mut arguments = vec![format!("--runtimes={}", self.options.runtimes), format!("--people={}", self.people)];
        arguments.extend(match kind {
            Kind::Echo | Kind::EchoSized => vec!["--echo".to_owned(), "--store=memory".to_owned()],
            Kind::Quote | Kind::SettleMemory => vec!["--store=memory".to_owned()],
            Kind::SettleEmbedded | Kind::BatchEmbedded | Kind::StreamEmbedded => {
                vec!["--store=embedded".to_owned(), format!("--data-dir={}", dir.join("data").display())]
            }
            Kind::SettlePostgres | Kind::BatchPostgres => vec!["--store=postgres".to_owned()],
        });
        arguments.extend(self.options.settings.iter().cloned());
        let url = self.options.database_url.as_ref().filter(|_| kind.of_postgres());
        Process::start(&arguments, url)
    }

    fn report(&self, rounds: u32) -> Report {
        let Options { runtimes, client_threads, explanation, .. } = self.options;
        Report::new(self.people, rounds, self.time, (*runtimes, *client_threads), *explanation)
    }

    async fn client(&self, server: &Process, connections: usize) -> Result<Client, String> {
        let Options { client_threads, explanation, .. } = self.options;
        Client::connect(server.address, connections, *client_threads, server, self.families(), *explanation).await
    }
}

/// Every cell, by concurrency and method, one per round.
type Cells = BTreeMap<(usize, Kind), Vec<Cell>>;

async fn measure(plan: &Plan<'_>) -> Result<Report, String> {
    let folder = Folder::make(&plan.options.dir)?;
    let dir = folder.0.as_path();
    let kinds = plan.kinds();
    if kinds.is_empty() {
        return Err("these need --database-url".to_owned());
    }
    let database = plan.options.database_url.as_ref().filter(|_| kinds.iter().any(|kind| kind.of_postgres()));
    if let Some(url) = database {
        database::prepare(url).await?;
    }
    let wanted = |wanted: &[Kind]| kinds.iter().find(|kind| wanted.contains(kind)).copied();
    let start = |kind: Option<Kind>| kind.map(|kind| plan.start(kind, dir)).transpose();
    let servers = Servers {
        echo: start(wanted(&[Kind::Echo, Kind::EchoSized]))?,
        memory: start(wanted(&[Kind::Quote, Kind::SettleMemory]))?,
        embedded: start(wanted(&[Kind::SettleEmbedded, Kind::BatchEmbedded, Kind::StreamEmbedded]))?,
        postgres: start(wanted(&[Kind::SettlePostgres, Kind::BatchPostgres]))?,
    };
    for server in [&servers.memory, &servers.embedded, &servers.postgres].into_iter().flatten() {
        server.come_to_rest()?;
    }
    let log_before = match database {
        Some(url) => database::loaded(url).await?,
        None => 0,
    };
    let stores = [("memory", &servers.memory), ("embedded", &servers.embedded), ("postgres", &servers.postgres)];
    let loaded: Vec<(&str, &Process, u64)> = stores
        .into_iter()
        .filter_map(|(name, server)| server.as_ref().map(|server| (name, server, process::resident(server.pid()))))
        .collect();
    let disk_before = process::disk_bytes(dir);
    let written_before = servers.embedded.as_ref().map_or(0, |server| process::written(server.pid()));

    let mut probe = Probe::new()?;
    let mut cells = Cells::new();
    for round in 0..plan.rounds {
        for (kind, in_flight, connections) in order(&kinds, round % 2 == 1) {
            let Some(server) = servers.of(kind) else { continue };
            if kind.is_durable() {
                probe.run(dir, PROBE)?;
            }
            let client = plan.client(server, connections).await?;
            let cell = client.closed(kind, in_flight, plan.time).await?;
            eprintln!(
                "round {}: {} × {in_flight}: {:.0}/s, p50 {:.0} µs, p99 {:.0} µs, {:.1} µs CPU",
                round + 1,
                kind.name(),
                cell.per_second,
                cell.p50_us,
                cell.p99_us,
                cell.server_cpu_us
            );
            cells.entry((in_flight, kind)).or_default().push(cell);
        }
    }

    let mut report = plan.report(plan.rounds);
    report.rows = rows(&cells);
    if let Some(url) = database {
        let settled = cells.iter().filter(|((_, kind), _)| kind.of_postgres()).flat_map(|(_, rounds)| rounds);
        let settled: u64 = settled.map(|cell| cell.calls).sum();
        let log = database::log_position(url).await?.saturating_sub(log_before);
        report.log_bytes = Some(log as f64 / settled.max(1) as f64);
    }
    if let Some(server) = &servers.embedded {
        // What was written is merged as part of what it cost.
        server.come_to_rest()?;
        report.disk = Some(disk(&cells, server, dir, (disk_before, written_before)));
    }
    for (kind, server) in [Kind::SettleEmbedded, Kind::SettlePostgres].map(|kind| (kind, servers.of(kind))) {
        if let Some(server) = server {
            report.open.push(open_loop(plan, kind, server, dir, &cells, &mut probe).await?);
            report.bare = Some(Bare::of(&probe));
        }
    }
    for (name, server, resident_loaded) in loaded {
        let resident = process::resident(server.pid());
        let checked = match plan.options.no_check {
            true => None,
            false => Some(plan.client(server, 1).await?.check_ledger().await?),
        };
        report.stores.push(StoreFacts { name: name.to_owned(), resident_loaded, resident, checked });
    }
    Ok(report)
}

/// The cells of a round: by concurrency, then by method, every other round with the methods backwards.
fn order(kinds: &[Kind], backwards: bool) -> Vec<(Kind, usize, usize)> {
    let mut cells: Vec<(Kind, usize, usize)> = Vec::new();
    for step in 0..3 {
        let of = |kind: &Kind| {
            kind.concurrency().get(step).map(|(in_flight, connections)| (*kind, *in_flight, *connections))
        };
        let mut one: Vec<_> = kinds.iter().filter_map(of).collect();
        if backwards {
            one.reverse();
        }
        cells.append(&mut one);
    }
    cells
}

fn rows(cells: &Cells) -> Vec<Row> {
    let row = |((in_flight, kind), rounds): (&(usize, Kind), &Vec<Cell>)| {
        let of = |value: fn(&Cell) -> f64| median(rounds.iter().map(value).collect());
        // Many in a call are compared with as many calls as the settlements' largest cell has.
        let echo = match kind.is_many() {
            true => cells.get(&(MOST.0, kind.one_by_one())),
            false => cells.get(&(*in_flight, Kind::Echo)),
        };
        let ratios = echo.map(|echo| rounds.iter().zip(echo).map(|(cell, echo)| cell.per_second / echo.per_second));
        let per_second = rounds.iter().map(|cell| cell.per_second);
        Row {
            kind: *kind,
            in_flight: *in_flight,
            per_second: of(|cell| cell.per_second),
            slowest: per_second.clone().fold(f64::INFINITY, f64::min),
            fastest: per_second.fold(0.0, f64::max),
            p50_us: of(|cell| cell.p50_us),
            p99_us: of(|cell| cell.p99_us),
            server_cpu_us: of(|cell| cell.server_cpu_us),
            client_cpu_us: of(|cell| cell.client_cpu_us),
            ratio: ratios.map(|ratios| median(ratios.collect())),
            calls: rounds.iter().map(|cell| cell.calls).sum(),
            failed: rounds.iter().map(|cell| cell.failed).sum(),
            aided: rounds.iter().map(|cell| cell.aided).sum(),
            failure: rounds.iter().find_map(|cell| cell.failure.clone()),
        }
    };
    cells.iter().map(row).collect()
}

/// What each settlement took of the embedded store's disk.
fn disk(cells: &Cells, server: &Process, dir: &std::path::Path, (disk_before, written_before): (u64, u64)) -> Disk {
    let of_embedded = |kind: &Kind| !kind.of_postgres() && (*kind == Kind::SettleEmbedded || kind.is_many());
    let settled = cells.iter().filter(|((_, kind), _)| of_embedded(kind)).flat_map(|(_, rounds)| rounds);
    let settled: u64 = settled.map(|cell| cell.calls).sum();
    let per = |bytes: u64| bytes as f64 / settled.max(1) as f64;
    Disk {
        grown: per(process::disk_bytes(dir).saturating_sub(disk_before)),
        written: per(process::written(server.pid()).saturating_sub(written_before)),
    }
}

/// Calls at half the most that this store took, beside the disk alone.
async fn open_loop(
    plan: &Plan<'_>,
    kind: Kind,
    server: &Process,
    dir: &std::path::Path,
    cells: &Cells,
    probe: &mut Probe,
) -> Result<OpenLoop, String> {
    let (in_flight, connections) = MOST;
    let most = cells.get(&(in_flight, kind)).map(|rounds| rounds.iter().map(|cell| cell.per_second));
    let rate = (median(most.map(Iterator::collect).unwrap_or_default()) / 2.0).max(1.0);
    let client = plan.client(server, connections).await?;
    let cell = client.open(kind, rate, plan.time).await?;
    probe.run(dir, PROBE)?;
    Ok(OpenLoop { kind, rate, cell })
}

async fn startup(plan: &Plan<'_>, settlements: u64) -> Result<Report, String> {
    let folder = Folder::make(&plan.options.dir)?;
    let dir = folder.0.as_path();
    let (in_flight, connections) = MOST;
    let server = plan.start(Kind::SettleEmbedded, dir)?;
    let before = (process::disk_bytes(dir), process::written(server.pid()));
    let cell = plan.client(&server, connections).await?.number(Kind::SettleEmbedded, in_flight, settlements).await?;
    let after = (process::disk_bytes(dir), process::written(server.pid()));
    server.kill()?;
    let began = std::time::Instant::now();
    let server = plan.start(Kind::SettleEmbedded, dir)?;
    let serving = server.started_in;
    let client = plan.client(&server, 1).await?;
    client.once(Kind::Quote).await?;
    let first_reply = began.elapsed();
    let (records, check_ok) = client.check_ledger().await?;
    let per = |bytes: u64| bytes as f64 / cell.calls.max(1) as f64;
    let mut report = plan.report(1);
    report.startup = Some(Startup {
        settlements: cell.calls,
        failed: cell.failed,
        per_second: cell.per_second,
        disk_bytes: per(after.0.saturating_sub(before.0)),
        written_bytes: per(after.1.saturating_sub(before.1)),
        serving_seconds: serving.as_secs_f64(),
        first_reply_seconds: first_reply.as_secs_f64(),
        resident: process::resident(server.pid()),
        records,
        check_ok,
    });
    Ok(report)
}
