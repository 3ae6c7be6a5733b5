//! A server at the other end, for the programs that ask one: connected, asked for its bounds, its refusals put into words.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::grpc::proto::server_service_client::ServerServiceClient;
use crate::grpc::{proto, status};
use crate::ledger::Failure;
use crate::server;

/// Largest answer taken; whatever a server sends is far below.
pub const ANSWER_BYTES: usize = 64 << 20;

/// See the module.
pub struct Client {
    pub channel: Channel,
    /// Which data set answers there.
    pub data_set: String,
    limits: Vec<proto::Limit>,
}

/// How long a connection may take, and how long a server may be silent before it is asked whether it is there, and to say
/// so: one that stands still must not be waited for without end, and a long answer may take its time.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);

/// A channel to the server at an address.
pub async fn connect(address: &str) -> Result<Channel, String> {
    // host:port, as other tools take it, is as good.
    let whole = match address.split_once("://") {
        None => format!("http://{address}"),
        Some(("http", _)) => address.to_owned(),
        Some((scheme, _)) => return Err(format!("--connect: {scheme} is not spoken here, only http: host:port")),
    };
    let endpoint =
        Endpoint::from_shared(whole).map_err(|_| format!("--connect: {address} is no address: host:port"))?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(SILENCE)
        .keep_alive_timeout(ANSWER)
        .initial_stream_window_size(server::STREAM_WINDOW)
        .initial_connection_window_size(server::CONNECTION_WINDOW);
    let connecting = aside()?.spawn(async move { endpoint.connect().await });
    let connected = connecting.await.map_err(|error| error.to_string())?;
    connected.map_err(|_| format!("no server answers at {address}"))
}

/// Where connections live, in a thread of their own: whoever works or prints for long must not keep them from hearing the
/// other end.
fn aside() -> Result<&'static Handle, String> {
    static ASIDE: OnceLock<Result<Handle, String>> = OnceLock::new();
    let begin = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(std::future::pending::<()>());
        thread::Builder::new().name("connection".to_owned()).spawn(run)?;
        Ok(handle)
    };
    let begun = ASIDE.get_or_init(|| begin().map_err(|error: std::io::Error| error.to_string()));
    begun.as_ref().map_err(Clone::clone)
}

/// What is said of a call that ended without an answer of the server's.
const BROKEN: &str = "the connection to the server broke, or the server did not answer";

impl Client {
    pub async fn connect(address: &str) -> Result<Self, String> {
        let channel = connect(address).await?;
        let info = ServerServiceClient::new(channel.clone()).get_server_info(proto::GetServerInfoRequest {}).await;
        let proto::GetServerInfoResponse { limits, data_set_id, .. } =
            info.map_err(|status| told(&status))?.into_inner();
        Ok(Self { channel, data_set: data_set_id, limits })
    }

    /// A bound of the server's.
    pub fn limit(&self, name: &str) -> Result<usize, String> {
        let found = self.limits.iter().find(|limit| limit.name == name);
        let value = found.and_then(|limit| usize::try_from(limit.value).ok()).filter(|value| *value > 0);
        value.ok_or_else(|| format!("the server tells no {name}: it is of another version"))
    }
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the contract, or else the code of the call.
    pub reason: String,
    /// For the person at the desk.
    pub sentence: String,
    /// Bad fields and what is wrong with them.
    pub fields: Vec<(String, String)>,
}

impl Refusal {
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map_or_else(|| format!("{:?}", status.code()), |info| info.reason.clone());
        // What the transport says of itself is for programmers.
        let said = if std::error::Error::source(status).is_some() { BROKEN } else { status.message() };
        let sentence = details.localized_message().map_or(said, |message| message.message.as_str());
        let bad = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let fields = bad.iter().map(|bad| (bad.field.clone(), bad.description.clone())).collect();
        Self { reason, sentence: sentence.to_owned(), fields }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.sentence)?;
        self.fields.iter().try_for_each(|(field, what)| match field.as_str() {
            "" => write!(f, "\n  {what}"),
            field => write!(f, "\n  {field} {what}"),
        })
    }
}

/// A failure within this program, in the words a caller of the service would get.
pub fn in_words(failure: &Failure) -> String {
    let status = status::of(failure);
    let named =
        status.get_error_details().error_info().and_then(|info| info.metadata.get("refused_parameters").cloned());
    match named {
        Some(named) => format!("{}\n  {}", told(&status), named.replace(',', "\n  ")),
        None => told(&status),
    }
}

/// A refusal in words.
pub fn told(status: &Status) -> String {
    Refusal::of(status).to_string()
}
