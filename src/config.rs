//! Every setting: read once, flag over environment over file over default, checked, printable.

mod limits;
mod toml_text;
mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::vocabulary::Grade;
use crate::ledger::policies::RefusedGrades;
use crate::store::postgres::DatabaseUrl;
use toml_text::ToToml;
pub use words::{MaybeAddress, StoreChoice};

macro_rules! options {
    ($(@ $heading:literal $($(#[doc = $doc:literal])* $name:ident / $flag:literal / $env:literal: $type:ty = $default:expr;)*)*) => {
        /// What the command line and the environment said.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub struct Given {
            $($(
                $(#[doc = $doc])*
                #[arg(long = $flag, env = $env, hide_env_values = true, value_name = "VALUE", num_args = <$type as ToToml>::VALUES,
                    default_missing_value = "true", help_heading = $heading)]
                pub $name: Option<$type>,
            )*)*
        }

        /// What a `--config` file may say; the names are those of the fields.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct FromFile { $($($name: Option<$type>,)*)* }

        /// The settings in force.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($($(#[doc = $doc])* pub $name: $type,)*)* }

        impl Config {
            fn merge(given: Given, file: FromFile) -> Self {
                Self { $($($name: given.$name.or(file.$name).unwrap_or_else(|| $default),)*)* }
            }

            /// What a setting is for. Empty: there is none of that name.
            fn doc(setting: &str) -> String {
                let docs: &[&str] = match setting {
                    $($(stringify!($name) => &[$($doc),*],)*)*
                    _ => &[],
                };
                docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }

            /// Each setting and its default, as a file would have it.
            pub fn defaults() -> Vec<(&'static str, String)> {
                vec![$($((stringify!($name), { let value: $type = $default; value.to_toml() }),)*)*]
            }

            /// The variables that name settings.
            pub const VARIABLES: &[&str] = &[$($($env,)*)*];

            /// The settings as a file that could be given back as `--config`.
            pub fn print(&self) -> String {
                let mut out = String::new();
                $(
                    out.push_str(concat!("\n# --- ", $heading, " ---\n"));
                    $(
                        let docs: &[&str] = &[$($doc),*];
                        for doc in docs { out.push_str(&format!("# {}\n", doc.trim())); }
                        out.push_str(&toml_text::line(stringify!($name), &self.$name.to_toml()));
                    )*
                )*
                out
            }
        }
    };
}

options! {
    @ "Where it listens, where it keeps"
    /// Address to listen on. Beyond loopback needs --insecure, since there is no authentication yet.
    listen / "listen" / "GONGJI_LISTEN": SocketAddr = SocketAddr::from(([127, 0, 0, 1], 50051));
    /// Where the ledger is kept: embedded, memory or postgres.
    store / "store" / "GONGJI_STORE": StoreChoice = StoreChoice::Embedded;
    /// Directory of the embedded store; made if it is not there.
    data_dir / "data-dir" / "GONGJI_DATA_DIR": PathBuf = PathBuf::from("gongji-data");
    @ "Metrics"
    /// Address on which a Prometheus server finds GET /metrics; empty: none. Beyond loopback needs --insecure, since there
    /// is no authentication yet.
    metrics_listen / "metrics-listen" / "GONGJI_METRICS_LISTEN": MaybeAddress = MaybeAddress(None);
    /// Most connections for metrics at once; more wait to be accepted.
    metrics_connections / "metrics-connections" / "GONGJI_METRICS_CONNECTIONS": u32 = 8;
    /// Longest time of one connection for metrics, in milliseconds; past it the connection is closed.
    metrics_time_ms / "metrics-time-ms" / "GONGJI_METRICS_TIME_MS": u32 = 5_000;
    @ "PostgreSQL"
    /// The database of --store postgres: postgres://user:password@host:5432/database, several hosts parted by commas for one
    /// that fails over. Printed without its password.
    database_url / "database-url" / "GONGJI_DATABASE_URL": DatabaseUrl = DatabaseUrl::default();
    /// PEM file of who certifies the database's server; the connections are then TLS and nothing less. Empty: no TLS.
    database_ca / "database-ca" / "GONGJI_DATABASE_CA": PathBuf = PathBuf::new();
    /// Makes the database's tables before serving, or brings them as far as this program needs: what would keep the
    /// program before from serving is left to `gongji migrate up`.
    migrate / "migrate" / "GONGJI_MIGRATE": bool = false;
    /// Connections to the database that read; one more writes.
    database_connections / "database-connections" / "GONGJI_DATABASE_CONNECTIONS": u32 = 2;
    /// Longest time of connecting to the database, in milliseconds.
    database_connect_ms / "database-connect-ms" / "GONGJI_DATABASE_CONNECT_MS": u32 = 5_000;
    /// Longest time of one statement in the database, in milliseconds. A COMMIT has none.
    database_statement_ms / "database-statement-ms" / "GONGJI_DATABASE_STATEMENT_MS": u32 = 10_000;
    /// Longest time a commit waits for those of other servers before it is tried again, in milliseconds.
    database_lock_ms / "database-lock-ms" / "GONGJI_DATABASE_LOCK_MS": u32 = 3_000;
    /// How long a transaction of the database is tried in all, in milliseconds: none is begun that could wait past this for
    /// others. Less than call_time_ms, so that a call ends with a definite outcome while somebody else holds what it needs.
    database_commit_ms / "database-commit-ms" / "GONGJI_DATABASE_COMMIT_MS": u32 = 5_000;
    /// How long a call waits for the database to come back before it is refused, in milliseconds.
    database_wait_ms / "database-wait-ms" / "GONGJI_DATABASE_WAIT_MS": u32 = 3_000;
    /// Most changes in one transaction of the database, and most looks in one statement.
    database_group / "database-group" / "GONGJI_DATABASE_GROUP": u32 = 1_024;
    /// How often a transaction of the database is tried again before its changes are refused.
    database_retries / "database-retries" / "GONGJI_DATABASE_RETRIES": u32 = 8;
    /// How often a server looks for records of other servers while somebody waits for them, in milliseconds.
    database_poll_ms / "database-poll-ms" / "GONGJI_DATABASE_POLL_MS": u32 = 20;
    /// How far a server's clock may differ from the database's before it is not ready to serve, in milliseconds.
    database_clock_ms / "database-clock-ms" / "GONGJI_DATABASE_CLOCK_MS": u32 = 1_000;
    @ "Law and clock"
    /// Directory of policy files read instead of those built in; empty: those built in.
    policies / "policies" / "GONGJI_POLICIES": PathBuf = PathBuf::new();
    /// Starts the server's clock at this instant, e.g. 2021-06-01T09:00:00+08:00. Only with --demo or --store memory.
    clock / "clock" / "GONGJI_CLOCK": String = String::new();
    @ "Safety"
    /// Allows a listener beyond loopback without authentication.
    insecure / "insecure" / "GONGJI_INSECURE": bool = false;
    /// Allows anybody who asks for view FULL to see names and numbers unmasked.
    reveal_personal_data / "reveal-personal-data" / "GONGJI_REVEAL_PERSONAL_DATA": bool = false;
    @ "Calls and streams"
    /// Threads that serve connections, each with a runtime of its own.
    runtimes / "runtimes" / "GONGJI_RUNTIMES": u32 = 2;
    /// Most calls running at once, over all threads; more are refused as OVERLOADED.
    concurrent_requests / "concurrent-requests" / "GONGJI_CONCURRENT_REQUESTS": u32 = 4096;
    /// Most connections at once; more wait to be accepted.
    connections / "connections" / "GONGJI_CONNECTIONS": u32 = 1024;
    /// Longest time until a new connection says that it speaks HTTP/2, in milliseconds; past it the connection is closed.
    hello_ms / "hello-ms" / "GONGJI_HELLO_MS": u32 = 10_000;
    /// How long a connection may be silent before its client is asked whether it is there (HTTP/2 PING), in milliseconds.
    keepalive_ms / "keepalive-ms" / "GONGJI_KEEPALIVE_MS": u32 = 30_000;
    /// Longest time until it answers that, in milliseconds; past it the connection is closed.
    keepalive_answer_ms / "keepalive-answer-ms" / "GONGJI_KEEPALIVE_ANSWER_MS": u32 = 20_000;
    /// Longest time of one call, in milliseconds; past it TIME_LIMIT.
    call_time_ms / "call-time-ms" / "GONGJI_CALL_TIME_MS": u32 = 10_000;
    /// Longest time of one CheckLedger or CompareTotals, which read very much, in milliseconds; past it TIME_LIMIT.
    check_time_ms / "check-time-ms" / "GONGJI_CHECK_TIME_MS": u32 = 1_800_000;
    /// Longest time a stream, or whoever takes a backup, may stand still, in milliseconds; past it TIME_LIMIT. Also one that is
    /// not read; who has not taken even that after as long again loses the connection. Not a Watch.
    stream_idle_ms / "stream-idle-ms" / "GONGJI_STREAM_IDLE_MS": u32 = 60_000;
    /// Most streams of Watch open at once; more are refused as OVERLOADED.
    watch_streams / "watch-streams" / "GONGJI_WATCH_STREAMS": u32 = 64;
    /// Bytes of records, as stored, after which one message of Watch ends.
    watch_message_bytes / "watch-message-bytes" / "GONGJI_WATCH_MESSAGE_BYTES": u32 = 128 << 10;
    /// Longest time a Watch is silent before it sends a checkpoint, in milliseconds.
    watch_checkpoint_ms / "watch-checkpoint-ms" / "GONGJI_WATCH_CHECKPOINT_MS": u32 = 5_000;
    /// Most values of one filter of Watch; more are INVALID_FIELDS.
    watch_filter_values / "watch-filter-values" / "GONGJI_WATCH_FILTER_VALUES": u32 = 100;
    /// Longest time a stop waits for running calls, in milliseconds.
    drain_ms / "drain-ms" / "GONGJI_DRAIN_MS": u32 = 5_000;
    /// How often a server asks whether its store answers and its clock is right, in milliseconds: what health checks tell.
    readiness_ms / "readiness-ms" / "GONGJI_READINESS_MS": u32 = 1_000;
    @ "Sizes of requests and answers"
    /// Largest message received, in bytes; a larger one is MESSAGE_TOO_LARGE.
    message_bytes / "message-bytes" / "GONGJI_MESSAGE_BYTES": u32 = 1 << 20;
    /// Most lines of one bill; more are INVALID_FIELDS.
    bill_lines / "bill-lines" / "GONGJI_BILL_LINES": u32 = 500;
    /// Items on a page when the request does not say.
    page_size_default / "page-size-default" / "GONGJI_PAGE_SIZE_DEFAULT": u32 = 50;
    /// Most items on a page; a larger page_size is INVALID_FIELDS.
    page_size_max / "page-size-max" / "GONGJI_PAGE_SIZE_MAX": u32 = 500;
    /// Most paper authorisations of one settlement; more are INVALID_FIELDS.
    paper_authorisations / "paper-authorisations" / "GONGJI_PAPER_AUTHORISATIONS": u32 = 8;
    /// Most pieces of evidence of one binding; more are INVALID_FIELDS.
    evidence / "evidence" / "GONGJI_EVIDENCE": u32 = 16;
    /// Most items in one message of CalculateBatch; more are INVALID_FIELDS.
    calculation_batch_items / "calculation-batch-items" / "GONGJI_CALCULATION_BATCH_ITEMS": u32 = 4_096;
    /// Most bytes of results in one answer of CalculateBatch; items past it are refused as MESSAGE_TOO_LARGE, which
    /// comes on top.
    calculation_answer_bytes / "calculation-answer-bytes" / "GONGJI_CALCULATION_ANSWER_BYTES": u32 = 3 << 20;
    /// Most periods of one contribution history; more are INVALID_FIELDS.
    calculation_periods / "calculation-periods" / "GONGJI_CALCULATION_PERIODS": u32 = 600;
    /// Most settlements in one BatchSettle; more are INVALID_FIELDS.
    settle_batch_items / "settle-batch-items" / "GONGJI_SETTLE_BATCH_ITEMS": u32 = 500;
    /// Most bytes in one answer that holds the results of many items: past it BatchSettle leaves explanations out.
    bulk_answer_bytes / "bulk-answer-bytes" / "GONGJI_BULK_ANSWER_BYTES": u32 = 3 << 20;
    /// Most rows of one call of ImportMembers or ImportCredits; a longer file takes several.
    import_rows / "import-rows" / "GONGJI_IMPORT_ROWS": u32 = 10_000;
    /// Longest time in which one import call takes in rows, in milliseconds.
    import_time_ms / "import-time-ms" / "GONGJI_IMPORT_TIME_MS": u32 = 600_000;
    /// Most items of one batch, stream or import under way at a time; more wait in the transport.
    bulk_window / "bulk-window" / "GONGJI_BULK_WINDOW": u32 = 256;
    /// Most items of all batches, streams and imports carried out at a time, and changes before them that may still wait
    /// for the disk; more wait for their turn.
    bulk_running / "bulk-running" / "GONGJI_BULK_RUNNING": u32 = 2_048;
    /// Most checks of the whole ledger at once (CheckLedger): each keeps some 700 bytes an account in memory, and a processor
    /// busy; more are OVERLOADED.
    ledger_checks / "ledger-checks" / "GONGJI_LEDGER_CHECKS": u32 = 1;
    /// Most comparisons of books at once (CompareTotals, CompareDetails); each indexes its lines in memory, 29 bytes a line.
    reconciliations / "reconciliations" / "GONGJI_RECONCILIATIONS": u32 = 4;
    /// Most days of one comparison of books; more are INVALID_FIELDS.
    reconciliation_days / "reconciliation-days" / "GONGJI_RECONCILIATION_DAYS": u32 = 366;
    /// Most lines of one comparison, of the ledger or of the institution; more are RECONCILIATION_TOO_LARGE.
    reconciliation_lines / "reconciliation-lines" / "GONGJI_RECONCILIATION_LINES": u32 = 2_000_000;
    /// Most lines in one message of CompareDetails.
    reconciliation_message_lines / "reconciliation-message-lines" / "GONGJI_RECONCILIATION_MESSAGE_LINES": u32 = 1_000;
    /// Most differences and bad lines of one comparison.
    reconciliation_differences / "reconciliation-differences" / "GONGJI_RECONCILIATION_DIFFERENCES": u32 = 50_000;
    @ "What may be filed and settled"
    /// How old a visit or a binding's first day may be, in days; an older one is INVALID_FIELDS.
    max_backdate_days / "max-backdate-days" / "GONGJI_MAX_BACKDATE_DAYS": u32 = 1_096;
    /// How often a change is decided anew after losing a race; past it CONTENTION.
    retries / "retries" / "GONGJI_RETRIES": u32 = 8;
    /// Grades of policy values to refuse, such as demo,unverified: a decision that rests on one is refused. Empty: none.
    refuse_grade / "refuse-grade" / "GONGJI_REFUSE_GRADE": String = String::new();
    /// Most active bindings of one person, as owner or as beneficiary; one more is
    /// BINDINGS_PER_MEMBER_EXCEEDED.
    bindings_per_member / "bindings-per-member" / "GONGJI_BINDINGS_PER_MEMBER": u32 = 32;
    /// How long a quote's token holds, in seconds; past it QUOTE_EXPIRED.
    quote_seconds / "quote-seconds" / "GONGJI_QUOTE_SECONDS": u32 = 300;
    /// Longest time for which money may be held, in seconds; a longer hold_for is INVALID_FIELDS.
    hold_seconds / "hold-seconds" / "GONGJI_HOLD_SECONDS": u32 = 86_400;
    /// Most open holds of one person, as patient or as payer; one more is HOLDS_PER_MEMBER_EXCEEDED.
    holds_per_member / "holds-per-member" / "GONGJI_HOLDS_PER_MEMBER": u32 = 32;
    /// Most refunds of one settlement; past it REFUNDS_PER_SETTLEMENT_EXCEEDED; all that is left can still
    /// be returned, in one.
    refunds_per_settlement / "refunds-per-settlement" / "GONGJI_REFUNDS_PER_SETTLEMENT": u32 = 100;
    @ "Work done by itself"
    /// How often a server looks for holds that have run out and that nobody asked about, in milliseconds; 0: never by itself.
    hold_sweep_ms / "hold-sweep-ms" / "GONGJI_HOLD_SWEEP_MS": u32 = 1_000;
    /// Time of day, in China, from which wallet transfers that nobody took go back, HH:MM:SS: those of the day before, each when
    /// it can be taken no more. Empty: never by itself, only by `gongji run return-unclaimed`.
    return_unclaimed_at / "return-unclaimed-at" / "GONGJI_RETURN_UNCLAIMED_AT": String = "06:00:00".to_owned();
    /// Most accounts in a second whose year is closed beside settlements, when a region's is (CloseYear); 0: none, only by
    /// `gongji run close-year`.
    close_year_per_second / "close-year-per-second" / "GONGJI_CLOSE_YEAR_PER_SECOND": u32 = 500;
    @ "Stores"
    /// Most records of the memory store; past it changes are refused as STORE_FULL.
    memory_records / "memory-records" / "GONGJI_MEMORY_RECORDS": u64 = 5_000_000;
    /// Blocks the embedded store keeps in memory, in bytes.
    cache_bytes / "cache-bytes" / "GONGJI_CACHE_BYTES": u64 = 256 << 20;
    /// Facts the embedded store keeps decoded in memory.
    cached_facts / "cached-facts" / "GONGJI_CACHED_FACTS": u32 = 4_000_000;
    /// Keys whose last change the embedded store remembers, to compare what a decision saw.
    recent_keys / "recent-keys" / "GONGJI_RECENT_KEYS": u32 = 400_000;
    /// Bytes that may wait for the disk; past it changes wait for room.
    queue_bytes / "queue-bytes" / "GONGJI_QUEUE_BYTES": u32 = 64 << 20;
    /// Bytes of changes that gather before the embedded store brings its index up to date: read again at the next start.
    index_bytes / "index-bytes" / "GONGJI_INDEX_BYTES": u32 = 128 << 20;
    @ "Logging"
    /// What is logged: a level, or a filter such as gongji=debug.
    log / "log" / "GONGJI_LOG": String = "info".to_owned();
    /// Logs as JSON lines.
    log_json / "log-json" / "GONGJI_LOG_JSON": bool = false;
}

/// Settings that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path}: {what}")]
    Toml { path: PathBuf, what: String },
    #[error("{0}")]
    Setting(String),
}

impl Config {
    /// Puts the settings together. `demo` keeps everything in memory unless a data directory is named.
    pub fn read(given: Given, file: Option<&Path>, demo: bool) -> Result<Self, ConfigError> {
        let file = match file {
            None => FromFile::default(),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| ConfigError::File { path: path.into(), error })?;
                toml::from_str(&text)
                    .map_err(|error| ConfigError::Toml { path: path.into(), what: toml_text::told(&error, &text) })?
            }
        };
        let names_a_place =
            given.store.is_some() || given.data_dir.is_some() || file.store.is_some() || file.data_dir.is_some();
        let mut config = Self::merge(given, file);
        if demo && !names_a_place {
            config.store = StoreChoice::Memory;
        }
        config.check(demo)?;
        Ok(config)
    }

    fn check(&self, demo: bool) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Setting(text.to_owned()));
        if !self.listen.ip().is_loopback() && !self.insecure {
            return refuse("listen: an address beyond loopback needs --insecure, since there is no authentication yet");
        }
        if self.metrics_listen.0.is_some_and(|address| !address.ip().is_loopback()) && !self.insecure {
            return refuse(
                "metrics_listen: an address beyond loopback needs --insecure, since there is no authentication yet",
            );
        }
        if !self.clock.is_empty() && !demo && self.store != StoreChoice::Memory {
            return refuse(
                "clock: only with --demo or --store memory, so that a real ledger never holds an invented time",
            );
        }
        if self.store == StoreChoice::Postgres && self.database_url.is_empty() {
            return refuse("database_url: --store postgres needs --database-url or GONGJI_DATABASE_URL");
        }
        if self.database_connections > 256 {
            return refuse("database_connections: at most 256");
        }
        if self.database_group > 4_096 {
            return refuse("database_group: at most 4096");
        }
        if !self.return_unclaimed_at.is_empty() && self.nightly_return_at().is_none() {
            return refuse("return_unclaimed_at: must be a time of day as HH:MM:SS, or empty");
        }
        let at_least_one = [
            ("runtimes", self.runtimes),
            ("metrics_connections", self.metrics_connections),
            ("metrics_time_ms", self.metrics_time_ms),
            ("readiness_ms", self.readiness_ms),
            ("database_connections", self.database_connections),
            ("database_connect_ms", self.database_connect_ms),
            ("database_statement_ms", self.database_statement_ms),
            ("database_lock_ms", self.database_lock_ms),
            ("database_commit_ms", self.database_commit_ms),
            ("database_wait_ms", self.database_wait_ms),
            ("database_group", self.database_group),
            ("database_poll_ms", self.database_poll_ms),
            ("database_clock_ms", self.database_clock_ms),
            ("concurrent_requests", self.concurrent_requests),
            ("connections", self.connections),
            ("hello_ms", self.hello_ms),
            ("keepalive_ms", self.keepalive_ms),
            ("keepalive_answer_ms", self.keepalive_answer_ms),
            ("call_time_ms", self.call_time_ms),
            ("check_time_ms", self.check_time_ms),
            ("message_bytes", self.message_bytes),
            ("bill_lines", self.bill_lines),
            ("page_size_default", self.page_size_default),
            ("bindings_per_member", self.bindings_per_member),
            ("quote_seconds", self.quote_seconds),
            ("hold_seconds", self.hold_seconds),
            ("holds_per_member", self.holds_per_member),
            ("refunds_per_settlement", self.refunds_per_settlement),
            ("calculation_batch_items", self.calculation_batch_items),
            ("calculation_periods", self.calculation_periods),
            ("calculation_answer_bytes", self.calculation_answer_bytes),
            ("stream_idle_ms", self.stream_idle_ms),
            ("settle_batch_items", self.settle_batch_items),
            ("bulk_answer_bytes", self.bulk_answer_bytes),
            ("bulk_window", self.bulk_window),
            ("bulk_running", self.bulk_running),
            ("import_rows", self.import_rows),
            ("import_time_ms", self.import_time_ms),
            ("ledger_checks", self.ledger_checks),
            ("reconciliations", self.reconciliations),
            ("reconciliation_days", self.reconciliation_days),
            ("reconciliation_lines", self.reconciliation_lines),
            ("reconciliation_message_lines", self.reconciliation_message_lines),
            ("reconciliation_differences", self.reconciliation_differences),
            ("watch_streams", self.watch_streams),
            ("watch_message_bytes", self.watch_message_bytes),
            ("watch_checkpoint_ms", self.watch_checkpoint_ms),
            ("watch_filter_values", self.watch_filter_values),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                return Err(ConfigError::Setting(format!("{name}: must be at least 1")));
            }
        }
        if self.page_size_max < self.page_size_default {
            return refuse("page_size_max: must not be below page_size_default");
        }
        if let Err(word) = RefusedGrades::parse(&self.refuse_grade) {
            let known: Vec<String> = Grade::ALL.iter().map(|grade| grade.name().to_lowercase()).collect();
            return Err(ConfigError::Setting(format!("refuse_grade: {word} is none of {}", known.join(", "))));
        }
        // The sums of so many of the largest amounts still fit.
        if self.reconciliation_lines > 5_000_000 {
            return refuse("reconciliation_lines: at most 5000000");
        }
        if self.runtimes > 256 {
            return refuse("runtimes: at most 256");
        }
        // Each stands in the settlement, which is written whole, and in every answer that shows it.
        if self.refunds_per_settlement > 10_000 {
            return refuse("refunds_per_settlement: at most 10000");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
