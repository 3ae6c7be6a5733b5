//! What a hospital sends → typed commands; every bad field is noted.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, NOT_THE_SUM, Visit};
use crate::domain::ids::SettlementId;
use crate::domain::settlement::{Parts, RefundAsk, SettlementState};
use crate::grpc::fields::Fields;
use crate::grpc::{Service, proto};
use crate::ledger::queries::SettlementsBy;
use crate::ledger::settle::{Ask, Paper};
use crate::ledger::settlements::SettlementKey;

/// Lines up to which a bill's ids are compared with each other.
const SHORT_BILL: usize = 16;

impl Service {
    pub(super) fn read_ask(
        &self,
        fields: &mut Fields,
        institution_code: &str,
        patient: Option<proto::MemberRef>,
        visit: Option<proto::Visit>,
        bill: Option<proto::Bill>,
        papers: Vec<proto::PaperAuthorisation>,
    ) -> Option<Ask> {
        let institution = fields.institution("institution_code", institution_code);
        let patient = fields.person("patient", patient);
        let day_given = visit.as_ref().is_some_and(|visit| !visit.visit_date.is_empty());
        let today = self.ledger.now().civil_day();
        let visit = self.read_visit(fields, visit, today);
        let bill = self.read_bill(fields, bill);
        let papers = self.read_papers(fields, papers);
        Some(Ask {
            institution: institution?,
            patient: patient?,
            visit: visit?,
            bill: Arc::new(bill?),
            papers: papers?,
            day_given,
        })
    }

    fn read_visit(&self, fields: &mut Fields, visit: Option<proto::Visit>, today: Date) -> Option<Visit> {
        let Some(proto::Visit { institution_kind, care_region_code, purpose, visit_date, external_refs }) = visit
        else {
            fields.bad("visit", "is required");
            return None;
        };
        let institution_kind = fields.word("visit.institution_kind", institution_kind);
        let care_region = fields.region("visit.care_region_code", &care_region_code);
        if let Some(code) = care_region {
            fields.beside(self.ledger.check_care_code(code));
        }
        let purpose = fields.word("visit.purpose", purpose);
        let date = fields.optional_day("visit.visit_date", &visit_date).map(|day| day.unwrap_or(today));
        if let Some(day) = date {
            fields.beside(self.ledger.check_day("visit.visit_date", day, today));
        }
        let proto::ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no } = external_refs.unwrap_or_default();
        let mdtrt_id = fields.optional_code("visit.external_refs.mdtrt_id", mdtrt_id);
        let medins_setl_id = fields.optional_code("visit.external_refs.medins_setl_id", medins_setl_id);
        let msgid = fields.optional_code("visit.external_refs.msgid", msgid);
        let invoice_no = fields.optional_code("visit.external_refs.invoice_no", invoice_no);
        let external = ExternalRefs {
            mdtrt_id: mdtrt_id?,
            medins_setl_id: medins_setl_id?,
            msgid: msgid?,
            invoice_no: invoice_no?,
        };
        Some(Visit {
            institution_kind: institution_kind?,
            care_region: care_region?,
            purpose: purpose?,
            date: date?,
            external,
        })
    }

    fn read_bill(&self, fields: &mut Fields, bill: Option<proto::Bill>) -> Option<Bill> {
        let Some(proto::Bill { total_fen, lines, adjudicated }) = bill else {
            fields.bad("bill", "is required");
            return None;
        };
        let total = fields.positive("bill.total_fen", total_fen);
        let content = match (lines, adjudicated) {
            (lines, None) if !lines.is_empty() => {
                if lines.len() > self.limits.bill_lines as usize {
                    fields.bad("bill.lines", format!("has more than {} lines", self.limits.bill_lines));
                    return None;
                }
                let sum = lines.iter().map(|line| i128::from(line.amount_fen)).sum::<i128>();
                let read = read_lines(fields, lines).map(BillContent::Lines);
                // Lines that cannot be read have a sum all the same.
                if read.is_none() && total.is_some_and(|total| i128::from(total.as_fen()) != sum) {
                    fields.bad("bill.total_fen", NOT_THE_SUM);
                }
                read
            }
            (lines, Some(parts)) if lines.is_empty() => read_adjudicated(fields, parts).map(BillContent::Adjudicated),
            _ => {
                fields.bad("bill", "must have either lines or adjudicated");
                None
            }
        };
        let content = content?;
        let faults = content.faults(total);
        let good = faults.is_empty();
        for (field, what) in faults {
            fields.bad(field, what);
        }
        good.then_some(Bill { total: total?, content })
    }

    fn read_papers(&self, fields: &mut Fields, papers: Vec<proto::PaperAuthorisation>) -> Option<Vec<Paper>> {
        if papers.len() > self.limits.paper_authorisations as usize {
            fields.bad("paper_authorisations", format!("has more than {} entries", self.limits.paper_authorisations));
            return None;
        }
        let read = papers.into_iter().enumerate().map(|(place, paper)| {
            let proto::PaperAuthorisation { owner, user_card, relation, phone, signature_ref } = paper;
            let at = |name: &str| format!("paper_authorisations[{place}].{name}");
            let owner = fields.person(&at("owner"), owner);
            let user_card = fields.code(&at("user_card"), user_card);
            let relation = fields.word(&at("relation"), relation);
            let phone = fields.phone(&at("phone"), &phone);
            let signature_ref = fields.code(&at("signature_ref"), signature_ref);
            Some(Paper {
                owner: owner?,
                user_card: user_card?,
                relation: relation?,
                phone: phone?,
                signature_ref: signature_ref?,
            })
        });
        // Collected first, so that every entry's fields are looked at.
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

pub(super) fn read_lines(fields: &mut Fields, lines: Vec<proto::Line>) -> Option<Vec<Line>> {
    let twice = places_of_repeats(&lines);
    let mut read = Vec::with_capacity(lines.len());
    let mut good = true;
    for (place, line) in lines.into_iter().enumerate() {
        if twice.contains(&place) {
            fields.bad(format!("bill.lines[{place}].line_id"), "is not unique in the bill");
            good = false;
        }
        match read_line(fields, place, line) {
            Some(line) => read.push(line),
            None => good = false,
        }
    }
    good.then_some(read)
}

/// The places of lines whose id an earlier line has. A short bill is looked through: a set costs more than it saves.
fn places_of_repeats(lines: &[proto::Line]) -> HashSet<usize> {
    let id = |place: &usize| lines[*place].line_id.as_str();
    let places = 0..lines.len();
    if lines.len() <= SHORT_BILL {
        return places.filter(|place| (0..*place).any(|earlier| id(&earlier) == id(place))).collect();
    }
    let mut ids = HashSet::with_capacity(lines.len());
    places.filter(|place| !ids.insert(id(place))).collect()
}

pub(super) fn read_line(fields: &mut Fields, place: usize, line: proto::Line) -> Option<Line> {
    let proto::Line {
        line_id,
        item_code,
        item_name,
        category,
        list_class,
        amount_fen,
        over_limit_fen,
        first_self_pay_rate,
    } = line;
    // The path is made only where something is wrong: bills are long and mostly right.
    let before = fields.len();
    let id = fields.code("line_id", line_id);
    let item_code = fields.code("item_code", item_code);
    let item_name = fields.text("item_name", item_name, 128, false);
    let category = fields.word("category", category);
    let class = fields.word("list_class", list_class);
    let amount = fields.money("amount_fen", amount_fen);
    let over_limit = fields.money("over_limit_fen", over_limit_fen);
    let rate = fields.rate("first_self_pay_rate", &first_self_pay_rate);
    if amount.zip(over_limit).is_some_and(|(amount, over_limit)| over_limit > amount) {
        fields.bad("over_limit_fen", "is more than the line's amount_fen");
    }
    if fields.len() > before {
        fields.place_since(before, &format_args!("bill.lines[{place}]"));
        return None;
    }
    Some(Line {
        id: id?,
        item_code: item_code?,
        item_name: item_name?,
        category: category?,
        class: class?,
        amount: amount?,
        over_limit: over_limit?,
        first_self_pay_rate: rate?,
    })
}

pub(super) fn read_adjudicated(fields: &mut Fields, parts: proto::AdjudicatedBill) -> Option<Adjudicated> {
    let proto::AdjudicatedBill {
        fund_fen,
        hospital_part_fen,
        deductible_fen,
        first_self_pay_fen,
        over_limit_fen,
        full_self_pay_fen,
        person_part_fen,
    } = parts;
    let fund = fields.money("bill.adjudicated.fund_fen", fund_fen);
    let hospital_part = fields.money("bill.adjudicated.hospital_part_fen", hospital_part_fen);
    let deductible = fields.money("bill.adjudicated.deductible_fen", deductible_fen);
    let first_self_pay = fields.money("bill.adjudicated.first_self_pay_fen", first_self_pay_fen);
    let over_limit = fields.money("bill.adjudicated.over_limit_fen", over_limit_fen);
    let full_self_pay = fields.money("bill.adjudicated.full_self_pay_fen", full_self_pay_fen);
    let person_part = fields.money("bill.adjudicated.person_part_fen", person_part_fen);
    Some(Adjudicated {
        fund: fund?,
        hospital_part: hospital_part?,
        deductible: deductible?,
        first_self_pay: first_self_pay?,
        over_limit: over_limit?,
        full_self_pay: full_self_pay?,
        person_part: person_part?,
    })
}

pub(super) fn settlement_id_field(fields: &mut Fields, text: &str) -> Option<SettlementId> {
    let id = SettlementId::parse(text);
    if id.is_none() {
        fields.bad("settlement_id", "must be stl_ and 32 hexadecimal digits");
    }
    id
}

/// How long money is held, in whole seconds.
pub(super) fn read_hold_for(fields: &mut Fields, hold_for: Option<prost_types::Duration>, most: u32) -> Option<u32> {
    let Some(prost_types::Duration { seconds, nanos }) = hold_for else {
        fields.bad("hold_for", "is required");
        return None;
    };
    let whole = u32::try_from(seconds).ok().filter(|seconds| nanos == 0 && (1..=most).contains(seconds));
    if whole.is_none() {
        fields.bad("hold_for", format!("must be 1 to {most} whole seconds"));
    }
    whole
}

pub(super) fn read_on_missing(fields: &mut Fields, on_missing: i32) -> Option<bool> {
    use proto::OnMissing as M;
    match M::try_from(on_missing) {
        Ok(M::Report) => Some(false),
        Ok(M::Fence) => Some(true),
        Ok(M::Unspecified) | Err(_) => {
            fields.bad("on_missing", "is required and must be a known value");
            None
        }
    }
}

pub(super) fn read_if_applied(fields: &mut Fields, if_applied: i32) -> Option<bool> {
    use proto::IfApplied as A;
    match A::try_from(if_applied) {
        Ok(A::Keep) => Some(false),
        Ok(A::Reverse) => Some(true),
        Ok(A::Unspecified) | Err(_) => {
            fields.bad("if_applied", "is required and must be a known value");
            None
        }
    }
}

pub(super) fn read_refund(
    fields: &mut Fields,
    what: Option<proto::refund_settlement_request::What>,
) -> Option<RefundAsk> {
    use proto::refund_settlement_request::What;
    match what {
        Some(What::Whole(true)) => Some(RefundAsk::Whole),
        Some(What::Parts(proto::RefundParts { fund_fen, hospital_part_fen, accounts_fen, cash_fen })) => {
            let fund = fields.money("parts.fund_fen", fund_fen);
            let hospital_part = fields.money("parts.hospital_part_fen", hospital_part_fen);
            let accounts = fields.money("parts.accounts_fen", accounts_fen);
            let cash = fields.money("parts.cash_fen", cash_fen);
            let parts = Parts { fund: fund?, hospital_part: hospital_part?, accounts: accounts?, cash: cash? };
            if parts.is_empty() {
                fields.bad("parts", "must return something");
                return None;
            }
            Some(RefundAsk::Parts(parts))
        }
        Some(What::Whole(false)) | None => {
            fields.bad("what", "is required: whole = true, or parts");
            None
        }
    }
}

pub(super) fn read_key(fields: &mut Fields, key: Option<proto::get_settlement_request::Key>) -> Option<SettlementKey> {
    use proto::external_key::Ref;
    use proto::get_settlement_request::Key;
    match key {
        Some(Key::SettlementId(id)) => settlement_id_field(fields, &id).map(SettlementKey::Id),
        Some(Key::Request(proto::RequestKey { institution_code, request_id })) => {
            let institution = fields.institution("request.institution_code", &institution_code);
            let request_id = fields.request_id_in("request.request_id", &request_id);
            Some(SettlementKey::Request(institution?, request_id?))
        }
        Some(Key::External(proto::ExternalKey { institution_code, r#ref })) => {
            let institution = fields.institution("external.institution_code", &institution_code);
            let named = match r#ref {
                Some(Ref::MdtrtId(text)) => Some(("mdtrt_id", text)),
                Some(Ref::MedinsSetlId(text)) => Some(("medins_setl_id", text)),
                Some(Ref::Msgid(text)) => Some(("msgid", text)),
                Some(Ref::InvoiceNo(text)) => Some(("invoice_no", text)),
                None => {
                    fields.bad("external.ref", "is required: one external reference");
                    None
                }
            };
            let (kind, text) = named?;
            let text = fields.code(&format!("external.{kind}"), &text);
            Some(SettlementKey::External(institution?, kind, text?))
        }
        None => {
            fields.bad("key", "is required: settlement_id, request or external");
            None
        }
    }
}

pub(super) fn read_by(fields: &mut Fields, by: Option<proto::list_settlements_request::By>) -> Option<SettlementsBy> {
    use proto::list_settlements_request::By;
    match by {
        Some(By::InstitutionCode(code)) => {
            fields.institution("institution_code", &code).map(SettlementsBy::Institution)
        }
        Some(By::Patient(patient)) => fields.person("patient", Some(patient)).map(SettlementsBy::Patient),
        Some(By::Owner(owner)) => fields.person("owner", Some(owner)).map(SettlementsBy::Owner),
        None => {
            fields.bad("by", "is required: institution_code, patient or owner");
            None
        }
    }
}

/// What tells one listing from another; goes into a sealed digest only.
pub(super) fn filter_of(by: &SettlementsBy) -> String {
    match by {
        SettlementsBy::Institution(code) => code.as_str().to_owned(),
        SettlementsBy::Patient(person) | SettlementsBy::Owner(person) => person.parts().1.into_owned(),
    }
}

/// The state a listing asks for; none: any.
pub(super) fn read_state(fields: &mut Fields, state: Option<i32>) -> Option<Option<SettlementState>> {
    use proto::SettlementState as S;
    let Some(state) = state else { return Some(None) };
    let state = match S::try_from(state) {
        Ok(S::Held) => SettlementState::Held,
        Ok(S::Confirmed) => SettlementState::Confirmed,
        Ok(S::Released) => SettlementState::Released,
        Ok(S::Expired) => SettlementState::Expired,
        Ok(S::PartiallyRefunded) => SettlementState::PartiallyRefunded,
        Ok(S::Refunded) => SettlementState::Refunded,
        Ok(S::Unspecified) | Err(_) => {
            fields.bad("state", "must be a known value");
            return None;
        }
    };
    Some(Some(state))
}
