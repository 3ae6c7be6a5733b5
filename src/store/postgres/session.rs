//! One connection: how it is made, what it is set to, the statements prepared on it, and what its failures mean.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::hosts::Hosts;
use super::measured::Measured;
use super::migrate;
use super::options::{PostgresError, PostgresOptions};
use super::quiet::Quiet;
use super::words;

/// How sessions are made.
#[derive(Clone)]
pub(super) struct Maker {
    hosts: Arc<Hosts>,
    tls: Option<MakeRustlsConnect>,
    pub options: Arc<PostgresOptions>,
    pub measured: Arc<Measured>,
    pub quiet: Arc<Quiet>,
}

pub(super) struct Session {
    pub client: Client,
    prepared: HashMap<Arc<str>, Statement, RandomState>,
    /// The database warned about something since this was last asked.
    warned: Arc<AtomicBool>,
    /// Nobody knows what it is in the middle of: not to be used again.
    pub given_up: bool,
}

/// What a failed statement says about its transaction, as long as no commit was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody was in the way: it may be tried again as it is.
    Again,
    /// The connection is gone.
    Lost,
    Full,
    /// The statement itself will not do.
    Refused,
}

impl Trouble {
    pub fn of(error: &tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else { return Self::Lost };
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
        ];
        match code {
            code if again.contains(code) => Self::Again,
            code if *code == SqlState::DISK_FULL => Self::Full,
            // Shut down, killed by an administrator, a standby by now, idle for too long.
            code if ["57P", "08", "25006", "25P03"].iter().any(|class| code.code().starts_with(class)) => Self::Lost,
            _ => Self::Refused,
        }
    }
}

/// How long something that was sent may stay unreceived, where the URL says nothing else (`tcp_user_timeout`, in seconds): as
/// long as the probes of a silent connection take.
const UNRECEIVED: Duration = Duration::from_secs(25);

/// What may be logged of an error: never its message, which may quote a row.
pub(super) fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        None => "the connection failed".to_owned(),
        Some(error) => {
            let named = |what: &str, name: Option<&str>| name.map(|name| format!(" {what} {name}")).unwrap_or_default();
            let (table, rule) = (named("table", error.table()), named("constraint", error.constraint()));
            format!("{}{table}{rule}", words::coded(error.code().code()))
        }
    }
}

impl Maker {
    pub fn new(options: Arc<PostgresOptions>) -> Result<Self, PostgresError> {
        let mut config: Config = options.url.0.parse().map_err(|_| PostgresError::Url)?;
        if config.get_hosts().is_empty() {
            return Err(PostgresError::Url);
        }
        config.connect_timeout(options.connect).target_session_attrs(TargetSessionAttrs::ReadWrite);
        // A machine that is gone says nothing: it is known by these, and where something was sent and is not even received
        // by the last, or the system would try again for a quarter of an hour, and a COMMIT is never timed out here.
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNRECEIVED);
        }
        config.application_name(migrate::session_name(options.migrations));
        let tls = if options.ca.as_os_str().is_empty() {
            if config.get_ssl_mode() == SslMode::Require {
                return Err(PostgresError::NoCa);
            }
            None
        } else {
            // Whoever names a certifier wants TLS and nothing less.
            config.ssl_mode(SslMode::Require);
            Some(tls(&options)?)
        };
        Ok(Self { hosts: Arc::new(Hosts::of(&config)), tls, options, measured: Arc::default(), quiet: Arc::default() })
    }

    /// What the database may take for a statement, and the network for a while.
    pub fn patience(&self) -> Duration {
        self.options.statement + self.options.connect
    }

    /// A new session, within the time that connecting may take.
    pub async fn connect(&self) -> Result<Session, PostgresError> {
        let unreachable = |what: String| PostgresError::Unreachable { url: self.options.url.clone(), what };
        let made = timeout(self.options.connect, self.connect_and_set()).await;
        if !matches!(made, Ok(Ok(_))) {
            self.measured.connections.refused.one();
        }
        match made {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(None)) => Err(unreachable("it takes too long".to_owned())),
            Ok(Err(Some(error))) => Err(unreachable(match error.as_db_error() {
                Some(_) => told(&error),
                None => words::connecting(&error).to_owned(),
            })),
            Err(_) => Err(unreachable("it takes too long".to_owned())),
        }
    }

    /// Each host in turn, for its part of the time; the last one's error, none where it was silent. A call waits less than
    /// connecting may take, and the part of each host is one of that.
    async fn connect_and_set(&self) -> Result<Session, Option<tokio_postgres::Error>> {
        let each = match self.hosts.count() {
            1 => self.options.connect,
            count => self.options.connect.min(self.options.wait) / count,
        };
        let mut last = None;
        for _ in 0..self.hosts.count() {
            let (place, host) = self.hosts.turn();
            last = match timeout(each, self.connect_to(host)).await {
                Ok(Ok(session)) => {
                    self.hosts.answered(place);
                    return Ok(session);
                }
                Ok(Err(error)) => Some(error),
                Err(_) => None,
            };
        }
        Err(last)
    }

    async fn connect_to(&self, host: &Config) -> Result<Session, tokio_postgres::Error> {
        let warned = Arc::new(AtomicBool::new(false));
        let client = match &self.tls {
            None => {
                let (client, connection) = host.connect(NoTls).await?;
                tokio::spawn(drive(connection, warned.clone(), self.measured.clone()));
                client
            }
            Some(tls) => {
                let (client, connection) = host.connect(tls.clone()).await?;
                tokio::spawn(drive(connection, warned.clone(), self.measured.clone()));
                client
            }
        };
        let (statement, lock) = (self.options.statement.as_millis(), self.options.lock.as_millis());
        // Whoever stands still in a transaction longer than others wait for it is cut off, so that a server that is gone
        // without a word does not keep the head locked. Every statement of the hot path looks rows up by key. A plan that
        // was made while a table was small would otherwise be kept when it is large, so scans and hashes of whole tables
        // are not considered. Whatever the database's own setting, a commit is on the disk when it is told.
        let settings = format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {lock}; \
             SET plan_cache_mode = force_generic_plan; SET jit = off; \
             SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        );
        client.batch_execute(&settings).await?;
        Ok(Session { client, prepared: HashMap::default(), warned, given_up: false })
    }
}

/// TLS with the server's certificate and name checked, always.
fn tls(options: &PostgresOptions) -> Result<MakeRustlsConnect, PostgresError> {
    let wrong = |what: String| PostgresError::Ca { path: options.ca.clone(), what };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(&options.ca).map_err(|error| wrong(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Moves bytes until the connection ends, and notes warnings.
async fn drive<S, T>(mut connection: Connection<S, T>, warned: Arc<AtomicBool>, measured: Arc<Measured>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let counted = &measured.connections;
    counted.made.one();
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                if notice.parsed_severity() == Some(Severity::Warning) {
                    warned.store(true, Ordering::Release);
                    tracing::warn!(code = notice.code().code(), "the database warns");
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                counted.lost.one();
                break;
            }
            None => break,
        }
    }
    counted.ended.one();
}

impl Session {
    /// Whether the database warned since this was last asked.
    pub fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::AcqRel)
    }

    /// The statement of this text, if it is prepared.
    pub fn known(&self, sql: &str) -> Option<&Statement> {
        self.prepared.get(sql)
    }

    /// A statement of this text, prepared once.
    pub async fn prepared(&mut self, sql: &Arc<str>) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.insert(sql.clone(), statement.clone());
        Ok(statement)
    }
}
