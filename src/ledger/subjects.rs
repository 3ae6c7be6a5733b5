//! Whom a record is about: the members, institutions and regions that it names, or that the settlement it leads to names.

use super::Ledger;
use super::failure::Failure;
use super::reading::Reading;
use crate::domain::draw::Contribution;
use crate::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, SettlementId};
use crate::domain::money::Money;
use crate::domain::posting::Party;
use crate::domain::record::{Event, Record};
use crate::store::Key;

/// See the module. What is here never changes for a record, whenever it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    pub members: Vec<MemberId>,
    pub institutions: Vec<InstitutionCode>,
    /// Of the patient and of funds and credits; where members are insured is another question.
    pub regions: Vec<RegionCode>,
}

/// Everybody on either side of what a record says, and of the money it moves.
pub async fn subjects_of(ledger: &Ledger, record: &Record) -> Result<Subjects, Failure> {
    let mut about = Subjects::default();
    for party in record.postings.iter().flat_map(|posting| [&posting.from, &posting.to]) {
        match party {
            Party::Bucket(member, _) => about.members.push(*member),
            Party::Fund(region) | Party::Credits(region) | Party::Interest(region) => about.regions.push(*region),
            Party::Institution(code) | Party::HospitalPart(code) => about.institutions.push(code.clone()),
            // Their people are in the event.
            Party::Cash | Party::Quota(..) | Party::Transfer(_) | Party::Hold(_) => {}
        }
    }
    match &record.event {
        Event::MemberCreated { member } | Event::CardActivated { member, .. } => about.members.push(member.id),
        Event::InsuranceUpdated { member, released } => {
            about.members.push(member.id);
            about.add_bindings(ledger, released).await?;
        }
        Event::Credited { after, .. } | Event::WalletOpened { after } | Event::YearClosed { after, .. } => {
            about.members.push(after.member);
        }
        Event::YearCloseStarted { close } | Event::YearCloseAdvanced { close } => about.regions.push(close.region),
        Event::Transferred { transfer, .. }
        | Event::TransferSent { transfer, .. }
        | Event::TransferClaimed { transfer, .. }
        | Event::TransferReturned { transfer, .. } => about.members.extend([transfer.owner, transfer.beneficiary]),
        Event::BindingCreated { binding, .. } => about.members.extend([binding.owner, binding.beneficiary]),
        Event::BindingReleased { owner, beneficiary, .. } | Event::BindingVerified { owner, beneficiary, .. } => {
            about.members.extend([*owner, *beneficiary]);
        }
        Event::BindingsReordered { beneficiary, .. } => about.members.push(*beneficiary),
        Event::QuotaSet { quota, .. } => about.members.extend([quota.owner, quota.beneficiary]),
        Event::CertificationRecorded { certification } => about.members.push(certification.member),
        Event::Settled(settled) | Event::Held { settled, .. } => {
            about.members.push(settled.patient);
            about.members.extend(payers(&settled.contributions));
            about.institutions.push(settled.institution.clone());
            about.regions.push(settled.region);
        }
        Event::Refunded { settlement, returned, .. } => about.add_settlement(ledger, *settlement, returned).await?,
        Event::HoldConfirmed { settlement, contributions, .. } => {
            about.members.extend(payers(contributions));
            about.add_settlement(ledger, *settlement, &[]).await?;
            // What was held and is not taken goes back, into a quota perhaps, and its payer is among those who pay no more.
            let quotas = record.postings.iter().filter_map(|posting| match posting.to {
                Party::Quota(binding, _) => Some(binding),
                Party::Bucket(..)
                | Party::Fund(_)
                | Party::Credits(_)
                | Party::Interest(_)
                | Party::Institution(_)
                | Party::HospitalPart(_)
                | Party::Cash
                | Party::Transfer(_)
                | Party::Hold(_) => None,
            });
            about.add_bindings(ledger, &quotas.collect::<Vec<_>>()).await?;
        }
        Event::HoldEnded { settlement, returned, .. } => about.add_settlement(ledger, *settlement, returned).await?,
        Event::RefundReversed { settlement, taken, .. } => about.add_settlement(ledger, *settlement, taken).await?,
        Event::SettlementReversed { settlement } => about.add_settlement(ledger, *settlement, &[]).await?,
        // A request id that was declared void is about nobody.
        Event::Fenced { .. } | Event::JobDone { .. } => {}
    }
    Ok(about)
}

fn payers(contributions: &[Contribution]) -> impl Iterator<Item = MemberId> {
    contributions.iter().map(|contribution| contribution.payer)
}

impl Subjects {
    async fn add_bindings(&mut self, ledger: &Ledger, ids: &[BindingId]) -> Result<(), Failure> {
        let keys: Vec<Key> = ids.iter().copied().map(Key::Binding).collect();
        let mut reading = Reading::new(ledger.store());
        reading.get(&keys).await?;
        for key in &keys {
            let binding = reading.binding(key)?.ok_or(Failure::Bug("a record's binding is missing"))?;
            self.members.extend([binding.owner, binding.beneficiary]);
        }
        Ok(())
    }

    /// Of a settlement's later records: the patient, and those payers to whom something came back.
    async fn add_settlement(
        &mut self,
        ledger: &Ledger,
        id: SettlementId,
        returned: &[(u16, Money)],
    ) -> Result<(), Failure> {
        let key = Key::Settlement(id);
        let mut reading = Reading::new(ledger.store());
        reading.get(&[key]).await?;
        let settlement = reading.settlement(&key)?.ok_or(Failure::Bug("a record's settlement is missing"))?;
        self.members.push(settlement.patient);
        let back = returned.iter().filter_map(|(place, _)| settlement.contributions.get(usize::from(*place)));
        self.members.extend(back.map(|contribution| contribution.payer));
        self.institutions.push(settlement.institution.clone());
        self.regions.push(settlement.region);
        Ok(())
    }
}
