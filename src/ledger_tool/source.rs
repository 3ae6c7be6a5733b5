//! Where records come from: the same messages of `Watch`, made here from a data directory or received from a server.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tonic::transport::Channel;

use super::Place;
use crate::client::{connect, told};
use crate::config::{Config, Given};
use crate::grpc::proto;
use crate::grpc::proto::ledger_service_client::LedgerServiceClient;
use crate::grpc::{Api, Service, server_info, watch};
use crate::ledger::Ledger;
use crate::ledger::source::{RandomIds, SystemClock};
use crate::policy::{self, PolicyFiles};
use crate::store::Store;
use crate::store::embedded::EmbeddedStore;

type Messages = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>>>>;

/// A server, or a ledger that was opened here.
pub(super) enum Source {
    Server(LedgerServiceClient<Channel>),
    Ledger(Service),
}

/// A ledger over a store, for reading.
pub(crate) fn ledger(store: Arc<dyn Store>) -> Result<(Ledger, Config), String> {
    let config = Config::read(Given::default(), None, true).map_err(|error| error.to_string())?;
    let book = policy::load(&PolicyFiles::embedded()).map_err(|error| error.to_string())?;
    let ids = Arc::new(RandomIds::from_system());
    Ok((Ledger::new(store, Arc::new(book), Arc::new(SystemClock), ids, config.ledger_limits()), config))
}

pub(super) async fn client(address: &str) -> Result<LedgerServiceClient<Channel>, String> {
    connect(address).await.map(LedgerServiceClient::new)
}

impl Source {
    pub async fn of(place: &Place) -> Result<Self, String> {
        if let Some(address) = &place.connect {
            return client(address).await.map(Self::Server);
        }
        let store = EmbeddedStore::open_existing(&place.data_dir).map_err(|error| error.to_string())?;
        let (ledger, config) = ledger(store)?;
        let info = server_info::Info { started_at: ledger.now(), limits: Vec::new(), policy_differences: Vec::new() };
        let api = Api::new(Arc::new(ledger), config.wire_limits(), false, info);
        Ok(Self::Ledger(Service(Arc::new(api))))
    }

    /// Everything that a request asks for up to the head of now, message by message; `more` says whether to go on.
    pub async fn read(
        &mut self,
        request: proto::WatchRequest,
        mut more: impl FnMut(proto::WatchResponse) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut messages: Messages = match self {
            Self::Server(client) => Box::pin(client.watch(request).await.map_err(|status| told(&status))?.into_inner()),
            Self::Ledger(service) => watch::stream(service, request).await.map_err(|status| told(&status))?,
        };
        while let Some(message) = messages.next().await {
            let message = message.map_err(|status| told(&status))?;
            let caught_up = message.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.caught_up);
            if !more(message)? || caught_up {
                return Ok(());
            }
        }
        Err("the server ended the stream".to_owned())
    }

    /// Where the ledger ends.
    pub async fn head(&mut self) -> Result<u64, String> {
        let position = match self {
            Self::Server(client) => {
                let answer = client.get_head(proto::GetHeadRequest::default()).await.map_err(|status| told(&status))?;
                answer.into_inner().head.map_or(0, |head| head.position)
            }
            Self::Ledger(service) => {
                return Ok(service.ledger.store().head().await.map_err(|error| error.to_string())?.position);
            }
        };
        u64::try_from(position).map_err(|_| "the server tells a position below 0".to_owned())
    }
}
