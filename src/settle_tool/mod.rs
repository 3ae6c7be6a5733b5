//! `gongji settle`: one settlement explained, and a lost answer resolved, against a running server.

mod text;

use tonic::transport::Channel;

use crate::client::{ANSWER_BYTES, connect, told};
use crate::grpc::proto;
use crate::grpc::proto::get_settlement_request::Key;
use crate::grpc::proto::settlement_service_client::SettlementServiceClient;
use crate::terminal::put;

/// `gongji settle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  gongji settle explain stl_0193d0c1f8e07d2a9c41b7e60a5f3d21\n\
  The answer to H44030001-0042 was lost; H44030001-ask-1 is a new id, of this question:\n\
  gongji settle resolve --institution H44030001 --request H44030001-ask-1 --fence H44030001-0042")]
pub struct Options {
    #[command(subcommand)]
    task: Task,
    /// Address of the server.
    #[arg(long, env = "GONGJI_CONNECT", default_value = "http://127.0.0.1:50051", global = true)]
    connect: String,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Print a settlement or hold with every step of its decision (结算依据).
    Explain {
        /// Its id, stl_….
        settlement: String,
    },
    /// Find out what became of a call whose answer was lost, and end the doubt (结果查询与冲正).
    Resolve {
        /// Institution that made the call.
        #[arg(long)]
        institution: String,
        /// request_id of this resolution; sent again with the same one, it gives the same answer.
        #[arg(long)]
        request: String,
        /// If it had no effect, see to it that it never has one.
        #[arg(long)]
        fence: bool,
        /// If it had its effect, undo it.
        #[arg(long)]
        reverse: bool,
        /// request_id of the call in doubt.
        original: String,
    },
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let printed = runtime.block_on(async {
        let client =
            SettlementServiceClient::new(connect(&options.connect).await?).max_decoding_message_size(ANSWER_BYTES);
        match &options.task {
            Task::Explain { settlement } => explain(client, settlement).await,
            Task::Resolve { institution, request, fence, reverse, original } => {
                let on_missing = if *fence { proto::OnMissing::Fence } else { proto::OnMissing::Report };
                let if_applied = if *reverse { proto::IfApplied::Reverse } else { proto::IfApplied::Keep };
                let request = proto::ResolveOutcomeRequest {
                    request_id: request.clone(),
                    institution_code: institution.clone(),
                    original_request_id: original.clone(),
                    on_missing: on_missing as i32,
                    if_applied: if_applied as i32,
                };
                resolve(client, request, original).await
            }
        }
    })?;
    put!("{printed}");
    Ok(())
}

async fn explain(mut client: SettlementServiceClient<Channel>, id: &str) -> Result<String, String> {
    let request = proto::GetSettlementRequest {
        key: Some(Key::SettlementId(id.to_owned())),
        explanation_view: proto::ExplanationView::Full as i32,
        min_ledger_position: 0,
    };
    let found = client.get_settlement(request).await.map_err(|status| told(&status))?.into_inner();
    let explanation: proto::Explanation =
        prost::Message::decode(found.explanation.as_slice()).map_err(|error| error.to_string())?;
    let settlement = found.settlement.unwrap_or_default();
    Ok(format!("{}\n{}", text::settlement(&settlement), text::explanation(&explanation)))
}

async fn resolve(
    mut client: SettlementServiceClient<Channel>,
    request: proto::ResolveOutcomeRequest,
    original: &str,
) -> Result<String, String> {
    let done = client.resolve_outcome(request).await.map_err(|status| told(&status))?.into_inner();
    Ok(format!("{original}  {}", text::resolution(&done)))
}
