//! `gongji ledger prove-balance`: the balance of an account from its postings, under a chain that is computed again.

use std::collections::BTreeMap;

use super::Place;
use super::show::{time, yuan};
use super::source::Source;
use crate::backup::bar;
use crate::domain::ids::MemberId;
use crate::domain::time::Moment;
use crate::grpc::proto;
use crate::ledger::page::{hex, unhex};
use crate::store::Head;
use crate::terminal::{is_unread, say};

/// Whose balance.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    /// The member: mem_….
    member: String,
}

pub(super) async fn run(options: &Options) -> Result<(), String> {
    let Options { place, member } = options;
    if MemberId::parse(member).is_none() {
        return Err("the member must be mem_ and 32 hexadecimal digits".to_owned());
    }
    let mut source = Source::of(place).await?;
    let head = source.head().await?;
    let shown = bar("records of the chain");
    shown.set_length(head);
    let mut proof = Proof { of: format!("account:{member}/"), at: Head::EMPTY, balances: BTreeMap::new(), postings: 0 };
    let outcome = source
        .read(proto::WatchRequest::default(), |message| {
            for record in &message.records {
                for line in proof.add(record)? {
                    shown.suspend(|| say!("{line}"));
                }
            }
            shown.set_position(proof.at.position);
            Ok(proof.at.position < head && !is_unread())
        })
        .await;
    shown.finish_and_clear();
    outcome?;
    if is_unread() {
        return Ok(());
    }
    if proof.postings == 0 {
        return Err(format!("no posting of {member} in {} records", proof.at.position));
    }
    let all: i64 = proof.balances.values().sum();
    say!("{} postings; balance {}", proof.postings, yuan(all));
    for (bucket, fen) in &proof.balances {
        say!("    {bucket} {}", yuan(*fen));
    }
    say!(
        "every link from the first record to {} follows from the one before; the last is {}",
        proof.at.position,
        hex(&proof.at.link)
    );
    Ok(())
}

struct Proof {
    /// How the names of the member's ledger accounts begin.
    of: String,
    at: Head,
    balances: BTreeMap<String, i64>,
    postings: u64,
}

impl Proof {
    /// Takes in the next record; a line for each posting of the account.
    fn add(&mut self, record: &proto::Record) -> Result<Vec<String>, String> {
        let broken = |what: &str| Err(format!("record {}: {what}", record.position));
        let Some(content) = unhex(&record.content_hash) else { return broken("has no digest") };
        let next = self.at.next(&content, committed_at(record));
        if u64::try_from(record.position) != Ok(next.position) || record.link != hex(&next.link) {
            return broken("does not follow from the one before");
        }
        self.at = next;
        let mut lines = Vec::new();
        for posting in &record.postings {
            let sides = [
                (&posting.from, posting.amount_fen.checked_neg(), posting.from_balance_after_fen),
                (&posting.to, Some(posting.amount_fen), posting.to_balance_after_fen),
            ];
            for (account, amount, after) in sides {
                let Some(bucket) = account.strip_prefix(&self.of) else { continue };
                let balance = self.balances.entry(bucket.to_owned()).or_default();
                let sum = amount.and_then(|amount| balance.checked_add(amount));
                let Some(sum) = sum.filter(|sum| Some(*sum) == after && *sum >= 0) else {
                    return broken("the balance after a posting is not what the postings sum to");
                };
                *balance = sum;
                self.postings += 1;
                let (position, kind) = (record.position, record.kind().as_str_name());
                lines.push(format!(
                    "{position} {} {} {bucket} {} balance {} link {}",
                    time(record),
                    kind.trim_start_matches("RECORD_KIND_"),
                    yuan(amount.unwrap_or_default()),
                    yuan(sum),
                    record.link
                ));
            }
        }
        Ok(lines)
    }
}

/// When a record was committed, to the microsecond, as its link has it.
pub(super) fn committed_at(record: &proto::Record) -> Moment {
    let at = record.committed_at.unwrap_or_default();
    Moment::from_micros(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000))
}
