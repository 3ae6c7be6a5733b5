//! `gongji reconcile export`: the ledger's lines as a file that `details` and `totals` read.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::aside::Aside;
use super::fields::{Column, yuan};
use super::table::{join, signed};
use super::{Book, MutualAid, Outcome};
use crate::client::{ANSWER_BYTES, Client, told};
use crate::grpc::proto;
use crate::grpc::proto::reconciliation_service_client::ReconciliationServiceClient;
use crate::terminal::{is_unread, put};

pub async fn run(book: &Book, path: Option<&Path>) -> Result<Outcome, String> {
    let client = Client::connect(&book.connect).await?;
    let page_size = i32::try_from(client.limit("page_size_max")?).unwrap_or(i32::MAX);
    let mut service = ReconciliationServiceClient::new(client.channel).max_decoding_message_size(ANSWER_BYTES);
    let mut out = path.map(Aside::create).transpose()?;
    let bar = ProgressBar::no_length();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {pos} lines [{elapsed}]").map_err(|error| error.to_string())?,
    );
    let mut write = |text: String| match &mut out {
        Some(file) => file.write(&text),
        None => {
            put!("{text}");
            Ok(())
        }
    };
    // The two that no line of the ledger has keep the shape.
    let names = ["psn_no", "mdtrt_id"].into_iter().chain(Column::ALL.map(Column::name));
    write(join(&names.map(str::to_owned).collect::<Vec<_>>()))?;
    let mut request = proto::ListLinesRequest {
        institution_code: book.institution.clone(),
        start_date: book.from.clone(),
        last_day: book.last_day().to_owned(),
        page_size,
        ..Default::default()
    };
    loop {
        let page = service.list_lines(request.clone()).await.map_err(|status| told(&status))?.into_inner();
        for line in &page.lines {
            write(text(line, book.mutual_aid))?;
        }
        bar.inc(page.lines.len() as u64);
        if page.next_page_token.is_empty() || is_unread() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    bar.finish_and_clear();
    out.map_or(Ok(()), Aside::finish)?;
    Ok(Outcome::Equal)
}

fn text(line: &proto::ReconciliationLine, mutual_aid: MutualAid) -> String {
    let amounts = line.amounts.unwrap_or_default();
    let money = |fen: Option<i64>| fen.map(|fen| yuan(signed(line, fen))).unwrap_or_default();
    let is_refund = line.kind() == proto::LineKind::Refund;
    let cell = |column: Column| match column {
        Column::SetlId => line.settlement_id.clone(),
        // A refund's message is its own request; the settlement's stands in omsgid.
        Column::Msgid if is_refund => line.request_id.clone(),
        Column::Msgid => line.msgid.clone(),
        Column::RequestId => line.request_id.clone(),
        Column::Omsgid if is_refund => line.msgid.clone(),
        Column::Omsgid => String::new(),
        Column::MedinsSetlId => line.medins_setl_id.clone(),
        Column::RefdSetlFlag => if is_refund { "1" } else { "0" }.to_owned(),
        Column::SetlTime => line.date.clone(),
        Column::MedfeeSumamt => money(Some(amounts.total_fen)),
        Column::FundPaySumamt => money(amounts.fund_fen),
        Column::HospPartAmt => money(amounts.hospital_part_fen),
        Column::AcctPay if mutual_aid == MutualAid::Beside => money(amounts.own_account_fen),
        Column::AcctPay => money(amounts.accounts_fen),
        Column::AcctMulaidPay => money(amounts.mutual_aid_fen),
        Column::PsnCashPay => money(amounts.cash_fen),
    };
    let cells = [String::new(), String::new()].into_iter().chain(Column::ALL.map(cell));
    join(&cells.collect::<Vec<_>>())
}
