//! What can be imported: which message a row is, and which method takes it.

use std::future::Future;

use serde::de::DeserializeOwned;
use tonic::Status;
use tonic::transport::Channel;

use crate::client::ANSWER_BYTES;
use crate::grpc::proto;
use crate::grpc::proto::account_service_client::AccountServiceClient;
use crate::grpc::proto::member_service_client::MemberServiceClient;

/// What a server answered to a call: results of the first rows, and why it took no more.
pub struct Answer {
    pub results: Vec<proto::ImportResult>,
    pub stopped: Option<tonic_types::Status>,
}

/// A kind of row.
pub trait Kind: 'static {
    const NAME: &'static str;
    type Row: Clone + Default + DeserializeOwned + prost::Message + Send + 'static;

    fn request_id(row: &mut Self::Row) -> &mut String;

    /// What is summed up of the rows that are carried out; none: nothing.
    fn fen(row: &Self::Row) -> Option<i64>;

    fn send(channel: Channel, rows: Vec<Self::Row>) -> impl Future<Output = Result<Answer, Status>>;
}

/// People, as `CreateMember` takes them.
pub struct Members;

impl Kind for Members {
    const NAME: &'static str = "members";
    type Row = proto::CreateMemberRequest;

    fn request_id(row: &mut Self::Row) -> &mut String {
        &mut row.request_id
    }

    fn fen(_: &Self::Row) -> Option<i64> {
        None
    }

    async fn send(channel: Channel, rows: Vec<Self::Row>) -> Result<Answer, Status> {
        let rows = rows.into_iter().map(|row| proto::ImportMembersRequest { row: Some(row) });
        let mut client = MemberServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
        let answer = client.import_members(tokio_stream::iter(rows)).await?.into_inner();
        let proto::ImportMembersResponse { results, stopped } = answer;
        Ok(Answer { results, stopped })
    }
}

/// Money that enters accounts, as `CreditAccount` takes it.
pub struct Credits;

impl Kind for Credits {
    const NAME: &'static str = "credits";
    type Row = proto::CreditAccountRequest;

    fn request_id(row: &mut Self::Row) -> &mut String {
        &mut row.request_id
    }

    fn fen(row: &Self::Row) -> Option<i64> {
        Some(row.amount_fen)
    }

    async fn send(channel: Channel, rows: Vec<Self::Row>) -> Result<Answer, Status> {
        let rows = rows.into_iter().map(|row| proto::ImportCreditsRequest { row: Some(row) });
        let mut client = AccountServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
        let answer = client.import_credits(tokio_stream::iter(rows)).await?.into_inner();
        let proto::ImportCreditsResponse { results, stopped } = answer;
        Ok(Answer { results, stopped })
    }
}
