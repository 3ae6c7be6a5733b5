//! Social-security cards (社保卡): a card is activated once, in one of three ways, before it can be swiped for a binding.

use super::binding::Evidence;
use super::ids::MemberId;
use super::policy::Policy;
use super::reason::Reason;
use super::rule::{Rule, Subject, Trace};
use super::vocabulary::CardChannel;

/// What is known of a person's card beside its number. A card without this record is active: most come that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub member: MemberId,
    pub active: bool,
    /// Code of the bank that issued it; empty where it is not known.
    pub issuing_bank: String,
}

/// Decides an activation: the first reason against it with the evidence that is missing.
pub fn activation_refused(
    card: Option<&Card>,
    has_number: bool,
    channel: CardChannel,
    bank: &str,
    evidence: &[Evidence],
    policy: &Policy,
    trace: &mut Trace,
) -> Option<(Reason, Vec<String>)> {
    let rule = policy.rules.card_activation.iter().find(|rule| rule.channel == channel);
    let given = |kind: &&String| !evidence.iter().any(|evidence| evidence.kind == **kind);
    let missing: Vec<String> = rule.map_or(&[][..], |rule| &rule.evidence).iter().filter(given).cloned().collect();
    let issued_elsewhere = channel == CardChannel::IssuingBank
        && card.is_some_and(|card| !card.issuing_bank.is_empty() && card.issuing_bank != bank);
    let reason = match card {
        _ if !has_number => Some(Reason::CardNotOnRecord),
        None | Some(Card { active: true, .. }) => Some(Reason::CardAlreadyActive),
        Some(_) if rule.is_none() => Some(Reason::ChannelNotAvailable),
        Some(_) if issued_elsewhere => Some(Reason::NotTheIssuingBank),
        Some(_) => (!missing.is_empty()).then_some(Reason::EvidenceMissing),
    };
    trace.verdict(Rule::CardActivation, Subject::Own, 0, reason);
    reason.map(|reason| (reason, missing))
}
