//! The server at the other end: connected, asked for its bounds, its refusals put into words.

use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::grpc::proto;
use crate::grpc::proto::reconciliation_service_client::ReconciliationServiceClient;
use crate::grpc::proto::server_service_client::ServerServiceClient;
use crate::server;

/// Largest answer taken; a message of differences is far below.
const ANSWER_BYTES: usize = 64 << 20;

pub struct Client {
    pub service: ReconciliationServiceClient<Channel>,
    limits: Vec<proto::Limit>,
}

impl Client {
    pub async fn connect(address: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| format!("--connect: {error}"))?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .initial_stream_window_size(server::STREAM_WINDOW)
            .initial_connection_window_size(server::CONNECTION_WINDOW);
        let channel = endpoint.connect().await.map_err(|error| format!("no server at {address}: {error}"))?;
        let info = ServerServiceClient::new(channel.clone()).get_server_info(proto::GetServerInfoRequest {}).await;
        let limits = info.map_err(|status| told(&status))?.into_inner().limits;
        let service = ReconciliationServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
        Ok(Self { service, limits })
    }

    /// A bound of the server's.
    pub fn limit(&self, name: &str) -> Result<usize, String> {
        let found = self.limits.iter().find(|limit| limit.name == name);
        let value = found.and_then(|limit| usize::try_from(limit.value).ok()).filter(|value| *value > 0);
        value.ok_or_else(|| format!("the server tells no {name}: it does not know comparisons"))
    }
}

/// A refusal: its reason, its sentence and the bad fields.
pub fn told(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map_or_else(|| format!("{:?}", status.code()), |info| info.reason.clone());
    let sentence = details.localized_message().map_or(status.message(), |message| message.message.as_str());
    let mut text = format!("{reason}: {sentence}");
    for bad in details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default() {
        text.push_str(&format!("\n  {} {}", bad.field, bad.description));
    }
    text
}
