//! What of a fact and of a record stands in columns of its own, for people and for the database's checks. Nothing is read
//! back from them: a fact is its bytes.

use arrayvec::ArrayVec;
use smol_str::SmolStr;

use super::cell::Cell;
use super::tables::{STANDING, place_of, region_cell};
use crate::domain::bill::BillContent;
use crate::domain::binding::Life;
use crate::domain::money::Money;
use crate::domain::posting::{Party, Posting};
use crate::domain::settlement::hold::Mark;
use crate::domain::settlement::{Settlement, SettlementState};
use crate::domain::wallet::TransferState;
use crate::store::codec::DecodeError;
use crate::store::entity::Standing;
use crate::store::record::{decode_entity, encode_entity};
use crate::store::{Entity, Key};

/// A fact, ready to be written.
pub(super) struct FactRow {
    pub key: Key,
    pub table: usize,
    pub key_cells: ArrayVec<Cell, 2>,
    pub columns: Vec<Cell>,
    pub body: Cell,
    /// Of a standing: kept apart from it.
    pub masked_name: Option<Cell>,
}

fn fen(money: Money) -> Cell {
    Cell::Big(money.as_fen())
}

fn fen_or_null(money: Option<Money>) -> Cell {
    Cell::or_null(money, fen)
}

impl FactRow {
    /// None where what lies under the key is not of its kind.
    pub fn new(key: Key, entity: &Entity) -> Option<Self> {
        let (table, key_cells) = place_of(&key);
        let (of, columns) = columns(entity);
        let (body, masked_name) = if let Entity::Standing(standing) = entity {
            let apart = Standing { masked_name: SmolStr::default(), ..(**standing).clone() };
            (encode_entity(&Entity::Standing(apart.into())), Some(Cell::text(&standing.masked_name)))
        } else {
            (encode_entity(entity), None)
        };
        (of == table).then_some(Self { key, table, key_cells, columns, body: Cell::Bytes(body), masked_name })
    }
}

/// Reads a fact from what [`FactRow::new`] made of it.
pub(super) fn entity(body: &[u8], masked_name: Option<String>) -> Result<Entity, DecodeError> {
    let mut entity = decode_entity(body)?;
    if let Entity::Standing(standing) = &mut entity {
        std::sync::Arc::make_mut(standing).masked_name = masked_name.ok_or(DecodeError::Short)?.into();
    }
    Ok(entity)
}

/// The table of an entity, and its cells in the order of the table's columns.
fn columns(entity: &Entity) -> (usize, Vec<Cell>) {
    match entity {
        Entity::Request(it) => (0, vec![Cell::text(&it.scope), Cell::text(&it.id), Cell::small(it.method)]),
        Entity::Reference(member) => (1, vec![Cell::Uuid(member.as_u128())]),
        Entity::Person(it) => {
            let texts = [&it.name, it.id_number.reveal(), &it.card_number, &it.personal_number, &it.computer_number];
            (2, texts.into_iter().map(Cell::text).collect())
        }
        Entity::Standing(it) => (STANDING, standing(it)),
        Entity::Wards(it) => (4, vec![small_count(it.bindings.len())]),
        Entity::Binding(it) => {
            let life = match it.life {
                Life::InForce => 0,
                Life::Released(_) => 1,
                Life::Pending { .. } => 2,
                Life::ReleasedFrom { .. } => 3,
            };
            let cells = vec![
                Cell::Uuid(it.owner.as_u128()),
                Cell::Uuid(it.beneficiary.as_u128()),
                region_cell(it.owner_region),
                region_cell(it.beneficiary_region),
                Cell::small(it.relation.code()),
                Cell::small(it.channel.code()),
                Cell::Day(it.start),
                Cell::or_null(it.last_day, Cell::Day),
                Cell::Small(life),
                fen_or_null(it.caps.per_settlement),
                fen_or_null(it.caps.per_day),
                fen_or_null(it.caps.per_year),
                Cell::big(it.priority.into()),
            ];
            (5, cells)
        }
        Entity::Settlement(it) => (6, settlement(it)),
        Entity::Basis(it) => {
            let lines = match &it.bill.content {
                BillContent::Lines(lines) => Cell::count(lines.len()),
                BillContent::Adjudicated(_) => Cell::Null,
            };
            (7, vec![fen(it.bill.total), lines])
        }
        Entity::Policy(it) => {
            let days = [Cell::Day(it.start), Cell::or_null(it.end, Cell::Day), Cell::Day(it.known_from)];
            (8, [region_cell(it.region)].into_iter().chain(days).collect())
        }
        Entity::Decided(it) => (9, vec![Cell::count(it.trace.steps.len())]),
        Entity::AidUse(it) => (10, vec![Cell::or_null(it.on, Cell::Day), fen(it.day), fen(it.year)]),
        Entity::PolicySet(it) => (11, vec![Cell::count(it.parts.len())]),
        Entity::Card(it) => (12, vec![Cell::Bool(it.active), Cell::text(&it.issuing_bank)]),
        Entity::Wallet(it) => (13, vec![Cell::At(it.opened_at)]),
        Entity::WalletDay(it) => (14, vec![Cell::big(it.sent.into()), fen(it.amount)]),
        Entity::Transfer(it) => {
            let state = match it.state {
                TransferState::Pending => 0,
                TransferState::Claimed => 1,
                TransferState::Returned => 2,
            };
            let cells = vec![
                Cell::Uuid(it.transfer.owner.as_u128()),
                Cell::Uuid(it.transfer.beneficiary.as_u128()),
                Cell::small(it.transfer.relation.code()),
                fen(it.transfer.amount),
                Cell::Day(it.sent_on),
                Cell::At(it.claim_before),
                Cell::Small(state),
            ];
            (15, cells)
        }
        Entity::Quota(it) => {
            let parties = [Cell::Uuid(it.owner.as_u128()), Cell::Uuid(it.beneficiary.as_u128())];
            let money = [Cell::Small(it.year), fen(it.current), fen(it.prior), Cell::or_null(it.since, Cell::At)];
            (16, parties.into_iter().chain(money).collect())
        }
        Entity::Slips(it) => (17, vec![Cell::count(it.slips.len())]),
        Entity::JobDay(it) => (18, vec![Cell::Day(it.done)]),
        Entity::Certification(it) => {
            let days =
                [Cell::Day(it.began), Cell::or_null(it.ended, Cell::Day), Cell::or_null(it.last_passed, Cell::Day)];
            let it = [Cell::Uuid(it.id.as_u128()), Cell::small(it.state.code())];
            (19, it.into_iter().chain(days).collect())
        }
        Entity::YearClose(it) => {
            let times = [Cell::At(it.started), Cell::or_null(it.ended, Cell::At)];
            let tally = [it.tally.closed, it.tally.without, it.tally.refused].map(Cell::big);
            (20, times.into_iter().chain(tally).chain([fen(it.tally.interest)]).collect())
        }
    }
}

fn small_count(number: usize) -> Cell {
    Cell::Small(i16::try_from(number).unwrap_or(i16::MAX))
}

fn standing(it: &Standing) -> Vec<Cell> {
    let account = it.account.as_ref();
    let held: Money = it.holds.iter().flat_map(|mark: &Mark| &mark.parts).map(|part| part.amount).sum();
    vec![
        region_cell(it.member.insurance.region),
        Cell::small(it.member.insurance.scheme.code()),
        Cell::small(it.member.insurance.state.code()),
        Cell::or_null(account, |account| Cell::Small(account.year)),
        fen_or_null(account.map(|account| account.current)),
        fen_or_null(account.map(|account| account.prior)),
        fen_or_null(account.map(|account| account.wallet)),
        fen(held),
        small_count(it.family.ties.len()),
    ]
}

fn settlement(it: &Settlement) -> Vec<Cell> {
    let state = match it.state() {
        SettlementState::Held => 0,
        SettlementState::Confirmed => 1,
        SettlementState::Released => 2,
        SettlementState::Expired => 3,
        SettlementState::PartiallyRefunded => 4,
        SettlementState::Refunded => 5,
    };
    let refunded: Money =
        it.refunds.iter().filter(|refund| refund.reversal.is_none()).map(|refund| refund.parts.total()).sum();
    let amounts = &it.amounts;
    let split = &amounts.split;
    let money =
        [split.total, split.fund, split.hospital_part, amounts.own_account, amounts.mutual_aid, amounts.cash, refunded];
    let names = [
        Cell::text(it.institution.as_str()),
        Cell::Uuid(it.patient.as_u128()),
        region_cell(it.region),
        Cell::Day(it.visit.date),
        Cell::Small(state),
        Cell::At(it.created_at),
    ];
    names.into_iter().chain(money.map(fen)).collect()
}

/// A side of a posting: kind, id, code, bucket, balance after.
fn side(party: &Party, after: Option<Money>) -> [Cell; 5] {
    let (kind, id, code, bucket) = match party {
        Party::Bucket(member, bucket) => (1, Cell::Uuid(member.as_u128()), Cell::Null, Cell::small(bucket.code())),
        Party::Fund(region) => (2, Cell::Null, Cell::Text(region.to_string()), Cell::Null),
        Party::Credits(region) => (3, Cell::Null, Cell::Text(region.to_string()), Cell::Null),
        Party::Institution(code) => (4, Cell::Null, Cell::text(code.as_str()), Cell::Null),
        Party::HospitalPart(code) => (5, Cell::Null, Cell::text(code.as_str()), Cell::Null),
        Party::Cash => (6, Cell::Null, Cell::Null, Cell::Null),
        Party::Quota(binding, bucket) => (7, Cell::Uuid(binding.as_u128()), Cell::Null, Cell::small(bucket.code())),
        Party::Transfer(id) => (8, Cell::Uuid(id.as_u128()), Cell::Null, Cell::Null),
        Party::Hold(id) => (9, Cell::Uuid(id.as_u128()), Cell::Null, Cell::Null),
        Party::Interest(region) => (10, Cell::Null, Cell::Text(region.to_string()), Cell::Null),
    };
    [Cell::Small(kind), id, code, bucket, fen_or_null(after)]
}

/// A posting's columns after its position: place, amount, both sides.
pub(super) fn posting(place: usize, it: &Posting) -> Vec<Cell> {
    let sides = side(&it.from, it.from_after).into_iter().chain(side(&it.to, it.to_after));
    [small_count(place), fen(it.amount)].into_iter().chain(sides).collect()
}
