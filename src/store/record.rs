//! The stored form of every record and fact: fields in stored order, variants by code. To change one, raise its version,
//! read the old one beside it, and keep its sample bytes (`tests/suite/samples/`).

use super::codec::{self, DecodeError, Stored, stored, stored_enum};
use super::entity::{
    Basis, Decided, Entity, JobDay, Key, PaperFact, PayerFact, PolicySet, Request, Standing, StoredCitation,
    StoredPolicy, StoredValue,
};
use crate::domain::account::{Account, YearEnd};
use crate::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use crate::domain::binding::{AidUse, Binding, Caps, Evidence, Family, Life, Release, Spends, Tie, Ward, Wards};
use crate::domain::card::Card;
use crate::domain::certification::Certification;
use crate::domain::draw::{Contribution, Excluded};
use crate::domain::member::{Insurance, Member, Person};
use crate::domain::paper::{Slip, Slips};
use crate::domain::policy::SetPart;
use crate::domain::posting::{Party, Posting};
use crate::domain::quota::Quota;
use crate::domain::record::{CreditKind, Event, Record, ReleasedBy, Settled, Transfer};
use crate::domain::rule::{Outcome, Rounded, Step, Subject, Trace};
use crate::domain::settlement::hold::{Hold, HoldEnd, HoldState, Mark, MarkPart};
use crate::domain::settlement::{Amounts, Parts, Refund, Reversal, Settlement};
use crate::domain::split::Split;
use crate::domain::vocabulary::Relation;
use crate::domain::wallet::{SentTransfer, TransferState, Wallet, WalletDay};
use crate::domain::wording::Told;
use crate::domain::year_close::{Tally, YearClose};
use crate::domain::year_use::{UseOf, YearUse};

/// The format of ledger records and facts.
pub const FORMAT: u8 = 2;

stored! {
    Account { member, year, current, prior, wallet, ended }
    YearEnd { year, current, prior }
    YearClose { region, year, round, started, ended, after, until, tally }
    Tally { closed, without, refused, interest }
    Member { id, sex, insurance }
    Insurance { scheme, tier, state, region, has_account, start }
    Person { member, name, id_number, card_number, personal_number, computer_number }
    Caps { per_settlement, per_day, per_year }
    Evidence { kind, reference, digest }
    Release { at, requested }
    Binding {
        id, owner, beneficiary, owner_region, beneficiary_region, relation, relation_detail, channel, evidence, grants, start,
        last_day, caps, priority, life,
    }
    Tie { binding, owner, relation, spends, start, last_day, caps, used_on, used_day, used_year, priority, filed }
    Family { ties }
    Wards { bindings }
    Ward { binding, beneficiary, last_day }
    Standing { member, masked_name, account, family, years, holds }
    Mark { settlement, expires, parts }
    MarkPart { bucket, year, amount, of_quota }
    Hold { expires, state }
    UseOf { year, region, purpose }
    YearUse { deductible, fund }
    AidUse { on, day, year }
    Visit { institution_kind, care_region, purpose, date, external }
    ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no }
    Bill { total, content }
    Line { id, item_code, item_name, category, class, amount, over_limit, first_self_pay_rate }
    Adjudicated { fund, hospital_part, deductible, first_self_pay, over_limit, full_self_pay, person_part }
    Split {
        total, full_self_pay, over_limit, first_self_pay, in_scope, deductible, fund, hospital_part, person_part,
    }
    Amounts { split, own_account, mutual_aid, cash }
    Contribution { payer, binding, relation, bucket, year, amount, refunded, counted, from_quota, paper }
    Parts { fund, hospital_part, accounts, cash }
    Refund { request_id, parts, returned, at, reversal }
    Reversal { request_id, at, after }
    Settlement {
        id, institution, patient, region, visit, amounts, contributions, excluded, policies, refunds, created_at, hold,
        reversed_by, year_deductible,
    }
    Posting { from, to, amount, from_after, to_after }
    Record { event, postings }
    Settled { id, institution, patient, region, amounts, contributions, policies, basis_digest }
    Transfer { id, owner, beneficiary, relation, relation_detail, amount }
    Trace { steps, policy_set }
    SetPart { name, start, digest }
    PolicySet { parts }
    Step { rule, subject, policy, inputs, rounded, outcome }
    Rounded { of, rate, mode }
    Request { scope, id, method, fingerprint, fields }
    Decided { trace, policies }
    Basis { salt, bill, payers, excluded, papers, used, trace }
    PayerFact { member, current, prior, cap_left }
    PaperFact { owner, user_card, phone, signature_ref }
    StoredPolicy { region, start, end, known_from, values }
    StoredValue { param, text, start, end, region, grade, note, citation }
    Certification {
        id, member, channel, by_proxy, dependant, state, began, ended, last_passed, resumed_from,
    }
    StoredCitation { id, document, article, effective, url, grade, note }
    Card { member, active, issuing_bank }
    Wallet { member, opened_at }
    WalletDay { sent, amount }
    SentTransfer { transfer, commitment, from, year, sent_on, claim_before, state }
    Quota { binding, owner, beneficiary, year, current, prior, since, ended }
    Slip { owner, relation, first, last, uses, bound }
    Slips { slips }
    JobDay { job, done }
}

stored_enum! {
    BillContent { 1 = Lines(lines), 2 = Adjudicated(parts) }
    Subject { 1 = Bill, 2 = Line(place), 3 = Own, 4 = Binding(id), 5 = Paper(place), 6 = Pair }
    Outcome { 1 = Amount(amount), 2 = Yes, 3 = No(reason) }
    CreditKind { 1 = Monthly, 2 = Correction }
    ReleasedBy { 1 = Owner, 2 = Beneficiary }
    // The codes continue those of the optional release and of the flag that stood here first.
    Life { 0 = InForce, 1 = Released(release), 2 = Pending { missing }, 3 = ReleasedFrom { release, from } }
    Spends { 0 = No, 1 = Yes, 2 = Unverified, 3 = OnCare, 4 = OnPremiums }
    TransferState { 1 = Pending, 2 = Claimed, 3 = Returned }
    HoldState { 1 = Open, 2 = Confirmed { at, request }, 3 = Released { at }, 4 = Expired { at } }
    HoldEnd { 1 = Released, 2 = Expired }
    Event {
        1 = MemberCreated { member },
        2 = InsuranceUpdated { member, released },
        3 = Credited { after, bucket, amount, kind, note },
        4 = Transferred { transfer, owner_after, beneficiary_after, policies },
        5 = BindingCreated { binding, policies },
        6 = BindingReleased { binding, owner, beneficiary, by, channel },
        7 = Settled(settled),
        8 = Refunded { settlement, parts, returned, place },
        9 = Held { settled, expires },
        10 = HoldConfirmed { settlement, amounts, contributions, returned },
        11 = HoldEnded { settlement, how, returned },
        12 = Fenced { request },
        13 = RefundReversed { settlement, place, parts, taken },
        14 = SettlementReversed { settlement },
        20 = BindingVerified { binding, owner, beneficiary, evidence, missing, policies },
        21 = BindingsReordered { beneficiary, order },
        22 = QuotaSet { quota, owner_after, policies },
        23 = WalletOpened { after },
        24 = TransferSent { transfer, claim_before, owner_after, policies },
        25 = TransferClaimed { transfer, beneficiary_after, policies },
        26 = TransferReturned { transfer, owner_after },
        27 = CardActivated { member, channel, evidence, policies },
        28 = JobDone { job, day, items },
        30 = CertificationRecorded { certification },
        31 = YearClosed { after, end, interest, policies },
        32 = YearCloseStarted { close },
        33 = YearCloseAdvanced { close },
    }
    Entity {
        1 = Request(request),
        2 = Reference(member),
        3 = Person(person),
        4 = Standing(standing),
        7 = Wards(wards),
        8 = Binding(binding),
        10 = Settlement(settlement),
        11 = Basis(basis),
        12 = Policy(policy),
        13 = Decided(decided),
        20 = Card(card),
        21 = Wallet(wallet),
        22 = WalletDay(day),
        23 = Transfer(transfer),
        24 = Quota(quota),
        25 = Slips(slips),
        26 = JobDay(day),
        30 = Certification(certification),
        31 = YearClose(close),
        14 = AidUse(used),
        15 = PolicySet(set),
    }
}

impl Stored for Told {
    fn put(&self, out: &mut Vec<u8>) {
        Trace::put(self, out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Trace::take(input).map(Self::as_stored)
    }
}

/// A relation's code, or 0 for the patient's own account, which no relation leads to.
impl Stored for Excluded {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { payer, binding, relation, reason } = self;
        payer.put(out);
        binding.put(out);
        out.push(relation.map_or(0, Relation::code));
        reason.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let (payer, binding) = (Stored::take(input)?, Stored::take(input)?);
        let relation = match u8::take(input)? {
            0 => None,
            code => Some(Relation::from_code(code).ok_or(DecodeError::Value)?),
        };
        Ok(Self { payer, binding, relation, reason: Stored::take(input)? })
    }
}

impl Stored for Party {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bucket(member, bucket) => {
                out.push(1);
                member.put(out);
                bucket.put(out);
            }
            Self::Fund(region) => {
                out.push(2);
                region.put(out);
            }
            Self::Credits(region) => {
                out.push(3);
                region.put(out);
            }
            Self::Institution(code) => {
                out.push(4);
                code.put(out);
            }
            Self::HospitalPart(code) => {
                out.push(5);
                code.put(out);
            }
            Self::Cash => out.push(6),
            Self::Quota(binding, bucket) => {
                out.push(7);
                binding.put(out);
                bucket.put(out);
            }
            Self::Transfer(id) => {
                out.push(8);
                id.put(out);
            }
            Self::Hold(id) => {
                out.push(9);
                id.put(out);
            }
            Self::Interest(region) => {
                out.push(10);
                region.put(out);
            }
        }
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(match u8::take(input)? {
            1 => Self::Bucket(Stored::take(input)?, Stored::take(input)?),
            2 => Self::Fund(Stored::take(input)?),
            3 => Self::Credits(Stored::take(input)?),
            4 => Self::Institution(Stored::take(input)?),
            5 => Self::HospitalPart(Stored::take(input)?),
            6 => Self::Cash,
            7 => Self::Quota(Stored::take(input)?, Stored::take(input)?),
            8 => Self::Transfer(Stored::take(input)?),
            9 => Self::Hold(Stored::take(input)?),
            10 => Self::Interest(Stored::take(input)?),
            _ => return Err(DecodeError::Value),
        })
    }
}

/// The bytes of a key: a tag that sorts like things together, then what names it. Written and read from one table, so that
/// no key can be written that is not read.
macro_rules! keys {
    ($($tag:literal = $variant:ident($($part:ident),+);)*) => {
        impl Key {
            pub fn to_bytes(self) -> Vec<u8> {
                let mut out = Vec::with_capacity(33);
                self.write(&mut out);
                out
            }

            /// The same into a buffer at hand.
            pub fn write(self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant($($part),+) => {
                        out.push($tag);
                        $($part.put(out);)+
                    })*
                }
            }

            /// Reads what [`Key::to_bytes`] wrote.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let (tag, mut input) = bytes.split_first()?;
                let key = match tag {
                    $($tag => {
                        $(let $part = Stored::take(&mut input).ok()?;)+
                        Self::$variant($($part),+)
                    })*
                    _ => return None,
                };
                input.is_empty().then_some(key)
            }
        }
    };
}

keys! {
    1 = Request(hash);
    2 = Reference(hash);
    3 = Person(member);
    4 = Standing(member);
    7 = Wards(member);
    8 = Binding(binding);
    10 = Settlement(settlement);
    11 = Basis(settlement);
    12 = Policy(digest);
    13 = Decided(request);
    14 = AidUse(owner, beneficiary);
    15 = PolicySet(digest);
    20 = Card(member);
    21 = Wallet(member);
    22 = WalletDay(member, day);
    23 = Transfer(transfer);
    24 = Quota(binding);
    25 = Slips(member);
    26 = JobDay(job);
    30 = Certification(member);
    31 = YearClose(region, year);
}

pub fn encode_record(record: &Record, policy_set: &[u8; 32]) -> Vec<u8> {
    let mut out = codec::encode(FORMAT, record);
    out.extend_from_slice(policy_set);
    out
}

pub fn decode_record(bytes: &[u8]) -> Result<Record, DecodeError> {
    let (record, _) = bytes.split_last_chunk::<32>().ok_or(DecodeError::Short)?;
    codec::decode(FORMAT, record)
}

/// The policy set that a record was made under.
pub fn policy_set_of(bytes: &[u8]) -> Result<[u8; 32], DecodeError> {
    bytes.split_last_chunk::<32>().map(|(_, digest)| *digest).ok_or(DecodeError::Short)
}

pub fn encode_entity(entity: &Entity) -> Vec<u8> {
    codec::encode(FORMAT, entity)
}

/// The same into a buffer at hand.
pub fn encode_entity_into(entity: &Entity, out: &mut Vec<u8>) {
    out.push(FORMAT);
    entity.put(out);
}

pub fn decode_entity(bytes: &[u8]) -> Result<Entity, DecodeError> {
    codec::decode(FORMAT, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BindingId, MemberId, RegionCode, SettlementId, TransferId};
    use crate::domain::record::Job;
    use crate::domain::time::day_from_number;

    #[test]
    fn keys_read_back() {
        let (member, other) = (MemberId::from_u128(7), MemberId::from_u128(u128::MAX - 3));
        let (binding, settlement) = (BindingId::from_u128(9), SettlementId::from_u128(10));
        for key in [
            Key::Request([1; 16]),
            Key::Reference([2; 16]),
            Key::Person(member),
            Key::Standing(member),
            Key::Wards(other),
            Key::Binding(binding),
            Key::Settlement(settlement),
            Key::Basis(settlement),
            Key::Policy([12; 32]),
            Key::Decided([13; 16]),
            Key::PolicySet([15; 32]),
            Key::Certification(member),
            Key::AidUse(member, other),
            Key::Card(member),
            Key::Wallet(other),
            Key::WalletDay(member, day_from_number(20_261_122).expect("a day")),
            Key::Transfer(TransferId::from_u128(11)),
            Key::Quota(binding),
            Key::Slips(other),
            Key::Certification(member),
            Key::JobDay(Job::ReturnUnclaimed),
            Key::YearClose(RegionCode::parse("440300").expect("a code"), 2025),
        ] {
            let bytes = key.to_bytes();
            assert_eq!(Key::from_bytes(&bytes), Some(key));
            assert_eq!(Key::from_bytes(&bytes[..bytes.len() - 1]), None, "{key:?} cut short");
        }
        assert_eq!(Key::from_bytes(&[]), None);
        assert_eq!(Key::from_bytes(&[26, 9]), None);
    }
}
