//! `ActivateCard`.

use std::sync::Arc;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::reading::Reading;
use super::{Caller, Command, Fresh, Ledger, Plan};
use crate::domain::binding::Evidence;
use crate::domain::card::{self, Card};
use crate::domain::ids::RequestId;
use crate::domain::member::{Member, MemberRef, Person};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::time::Moment;
use crate::domain::vocabulary::CardChannel;
use crate::domain::wording::Told;
use crate::store::entity::Decided;
use crate::store::{Entity, Key};

/// `ActivateCard`.
#[derive(Clone, Debug)]
pub struct ActivateCard {
    pub caller: Caller,
    pub request_id: RequestId,
    pub member: MemberRef,
    pub channel: CardChannel,
    pub evidence: Vec<Evidence>,
    /// Of the bank at whose counter it is done; empty elsewhere.
    pub bank: String,
}

/// The holder with an active card.
#[derive(Clone, Debug)]
pub struct CardOutcome {
    pub member: Member,
    pub person: Option<Person>,
    pub card: Option<Card>,
    /// Where the member's own record stands.
    pub member_position: u64,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

impl Command for ActivateCard {
    type Outcome = CardOutcome;
    const METHOD: u8 = 12;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields
            .person("member", &self.member)
            .field("channel", &self.channel)
            .field("evidence", &self.evidence)
            .field("bank_code", &self.bank);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<CardOutcome>, Failure> {
        let id = ledger.resolve(reading, &self.member).await?;
        let (person_key, key) = (Key::Person(id), Key::Card(id));
        reading.get(&[Key::Standing(id), person_key, key]).await?;
        let member = reading.member(id)?.clone();
        let person = reading.person(&person_key)?.cloned();
        let policy = ledger.policy_of(&member, now.civil_day())?;
        let has_number = person.as_ref().is_some_and(|person| !person.card_number.is_empty());
        let mut trace = Trace::under(ledger.book.digest);
        let before = reading.card(&key)?;
        let no =
            card::activation_refused(before, has_number, self.channel, &self.bank, &self.evidence, &policy, &mut trace);
        match no {
            None => {}
            Some((Reason::EvidenceMissing, missing)) => return Err(Failure::EvidenceMissing(missing)),
            Some((reason, _)) => return Err(Failure::refused(reason)),
        }
        let issuing_bank = match before {
            Some(card) if !card.issuing_bank.is_empty() => card.issuing_bank.clone(),
            Some(_) | None => self.bank.clone(),
        };
        let card = Card { member: id, active: true, issuing_bank };
        let policies = vec![policy.revision.digest];
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        let mut puts = vec![
            (key, Entity::Card(Arc::new(card.clone()))),
            (Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))),
        ];
        ledger.policy_puts(&[policy], &mut puts);
        let event = Event::CardActivated {
            member: member.clone(),
            channel: self.channel,
            evidence: self.evidence.iter().map(|evidence| evidence.kind.clone()).collect(),
            policies: policies.clone(),
        };
        let member_position = reading.version(&person_key);
        let outcome = CardOutcome { member, person, card: Some(card), member_position, trace, policies };
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists: Vec::new(), outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<CardOutcome, Failure> {
        let Event::CardActivated { member, policies, .. } = record.event else {
            return Err(Failure::Bug("an activation made another record"));
        };
        let (person_key, key) = (Key::Person(member.id), Key::Card(member.id));
        let decided = Key::Decided(request);
        reading.get(&[person_key, key, decided]).await?;
        let person = reading.person(&person_key)?.cloned();
        let card = reading.card(&key)?.cloned();
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        let member_position = reading.version(&person_key).max(reading.version(&key));
        Ok(CardOutcome { member, person, card, member_position, trace, policies })
    }
}
