//! `gongji ledger show`.

use super::Place;
use super::source::Source;
use crate::backup::bar;
use crate::domain::ids::{MemberId, SettlementId};
use crate::domain::money::Money;
use crate::grpc::proto;
use crate::terminal::{is_unread, put};

/// Which records.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// A position, or a range such as 100..200; left out: all that the other options ask for.
    #[arg(value_parser = read_range)]
    positions: Option<(u64, u64)>,
    /// Records of a member: mem_….
    #[arg(long, value_name = "MEMBER")]
    member: Option<String>,
    /// A settlement and what became of it: stl_….
    #[arg(long, value_name = "SETTLEMENT")]
    settlement: Option<String>,
}

/// `7`, or `7..9` with both ends.
fn read_range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok((first, last)),
        _ => Err("must be a position such as 7, or a range such as 7..9".to_owned()),
    }
}

pub(super) async fn run(options: &Options) -> Result<(), String> {
    let Options { place, positions, member, settlement } = options;
    if member.as_ref().is_some_and(|member| MemberId::parse(member).is_none()) {
        return Err("--member: must be mem_ and 32 hexadecimal digits".to_owned());
    }
    if settlement.as_ref().is_some_and(|settlement| SettlementId::parse(settlement).is_none()) {
        return Err("--settlement: must be stl_ and 32 hexadecimal digits".to_owned());
    }
    let mut source = Source::of(place).await?;
    let head = source.head().await?;
    let (first, last) = positions.unwrap_or((1, head));
    if first > head && positions.is_some() {
        return Err(format!("the ledger ends at {head}"));
    }
    let request = proto::WatchRequest {
        from_position: i64::try_from(first).unwrap_or(i64::MAX),
        member_ids: member.iter().cloned().collect(),
        ..Default::default()
    };
    let shown = bar("records looked at");
    shown.set_length(last);
    let mut found = 0_u64;
    let outcome = source
        .read(request, |message| {
            let position = message.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position);
            for record in &message.records {
                let within = u64::try_from(record.position).is_ok_and(|position| position <= last);
                let wanted = settlement.as_ref().is_none_or(|settlement| record.subject_id == *settlement);
                if within && wanted {
                    found += 1;
                    let text = text(record);
                    shown.suspend(|| put!("{text}"));
                }
            }
            let position = u64::try_from(position).unwrap_or_default();
            shown.set_position(position);
            Ok(position < last && !is_unread())
        })
        .await;
    shown.finish_and_clear();
    outcome?;
    if found == 0 { Err("no such record".to_owned()) } else { Ok(()) }
}

/// A record as a person reads it.
fn text(record: &proto::Record) -> String {
    let kind = record.kind().as_str_name().trim_start_matches("RECORD_KIND_").to_lowercase().replace('_', " ");
    let mut text = format!("{} {} {kind} {}\n", record.position, time(record), record.subject_id);
    for posting in &record.postings {
        let after = |balance: Option<i64>| balance.map_or(String::new(), |fen| format!(" (then {})", yuan(fen)));
        text.push_str(&format!(
            "    {} from {}{} to {}{}\n",
            yuan(posting.amount_fen),
            posting.from,
            after(posting.from_balance_after_fen),
            posting.to,
            after(posting.to_balance_after_fen)
        ));
    }
    text.push_str(&format!("    content {}\n    link    {}\n", record.content_hash, record.link));
    text
}

/// When it was committed.
pub(super) fn time(record: &proto::Record) -> String {
    super::prove::committed_at(record).to_string()
}

/// Yuan with two decimals.
pub(super) fn yuan(fen: i64) -> String {
    let money = Money::fen(fen).as_fen();
    format!("{}{}.{:02}", if money < 0 { "-" } else { "" }, money.unsigned_abs() / 100, money.unsigned_abs() % 100)
}
