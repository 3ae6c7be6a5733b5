//! People in answers: masked, unless the caller may see them and asks.

use smol_str::SmolStr;

use super::Service;
use super::enums::Wire;
use super::proto;
use crate::domain::card::Card;
use crate::domain::identity::{mask_name, mask_number};
use crate::domain::ids::MemberId;
use crate::domain::member::{Insurance, Member, Person};
use crate::ledger::Failure;

/// Masked names by member.
pub struct Names(Vec<(MemberId, SmolStr)>);

impl Names {
    pub fn of(&self, id: MemberId) -> String {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, name)| name.to_string()).unwrap_or_default()
    }
}

impl Service {
    /// The masked names of some members.
    pub async fn names(&self, ids: Vec<MemberId>) -> Result<Names, Failure> {
        self.names_beside(Vec::new(), ids).await
    }

    /// The same where some are at hand.
    pub async fn names_beside(
        &self,
        mut known: Vec<(MemberId, SmolStr)>,
        mut ids: Vec<MemberId>,
    ) -> Result<Names, Failure> {
        ids.retain(|id| known.iter().all(|(known, _)| known != id));
        if !ids.is_empty() {
            ids.sort_unstable();
            ids.dedup();
            known.extend(self.ledger.masked_names(&ids).await?);
        }
        Ok(Names(known))
    }

    /// Refuses a full view where it is not allowed.
    pub fn allow_view(&self, full: bool) -> Result<bool, Failure> {
        if full && !self.caller().may_reveal { Err(Failure::RevealNotAllowed) } else { Ok(full) }
    }
}

/// A member on the wire.
pub fn member(
    member: &Member,
    person: Option<&Person>,
    card: Option<&Card>,
    position: u64,
    created_millis: u64,
    full: bool,
) -> proto::Member {
    let show = |text: &str, mask: fn(&str) -> String| if full { text.to_owned() } else { mask(text) };
    let (name, id_number, birth_date, card, personal, computer) = person.map_or_else(Default::default, |person| {
        let id_number = if full { person.id_number.reveal().to_owned() } else { person.id_number.masked() };
        let birth_date = if full { person.id_number.birth_date().to_string() } else { String::new() };
        let card = (!person.card_number.is_empty()).then(|| {
            let active = card.is_none_or(|card| card.active);
            let state = if active { proto::CardState::Active } else { proto::CardState::Inactive };
            proto::Card {
                card_number: show(&person.card_number, mask_number),
                state: state as i32,
                issuing_bank_code: card.map(|card| card.issuing_bank.clone()).unwrap_or_default(),
            }
        });
        let personal = show(&person.personal_number, mask_number);
        let computer = show(&person.computer_number, mask_number);
        (show(&person.name, mask_name), id_number, birth_date, card, personal, computer)
    });
    let millis = i64::try_from(created_millis).unwrap_or(i64::MAX / 1000);
    proto::Member {
        member_id: member.id.to_string(),
        name,
        id_number,
        birth_date,
        sex: member.sex.to_wire(),
        region_code: member.insurance.region.to_string(),
        insurance: Some(insurance(&member.insurance)),
        card,
        personal_number: personal,
        computer_number: computer,
        etag: position.to_string(),
        ledger_position: super::wire_position(position),
        certification: None,
        create_time: Some(super::timestamp(crate::domain::time::Moment::from_micros(millis * 1000))),
    }
}

/// When a member was made: the time is the id's first 48 bits.
pub fn created_millis(id: MemberId) -> u64 {
    u64::try_from(id.as_u128() >> 80).unwrap_or_default()
}

fn insurance(insurance: &Insurance) -> proto::Insurance {
    proto::Insurance {
        scheme: insurance.scheme.to_wire(),
        tier: insurance.tier.clone(),
        state: insurance.state.to_wire(),
        region_code: insurance.region.to_string(),
        has_account: insurance.has_account,
        start_date: insurance.start.to_string(),
    }
}
