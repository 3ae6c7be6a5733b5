//! Stories over the wire, as tables. A file of `scenarios/` is one story: it starts with `# rule:` and its source, and every
//! row is a command, with all that comes of it behind `=>`. The whole outcome is compared: an amount that is not named is 0, a
//! payer that is not named pays nothing, and a word that is not understood is an error. Every settlement is quoted first and
//! sent a second time, and must come out the same.
//!
//! Commands: `clock INSTANT`, `member NAME REGION SCHEME TIER …`, `identity NUMBER`, `credit`, `bind`, `check`, `binding`,
//! `release`, `insure`, `quote`, `settle`, `payers`, `refund`, `transfer`, `account`, `entries`, `sharing`, `verify`, `reorder`,
//! `quota`, `wallet`, `claim`, `card`, and `return` for the nightly return of transfers that nobody took; `hold`, `confirm`,
//! `free` (ReleaseHold), `state`, `resolve`, `restart`, and `sweep` for the server's own end of holds that ran out.
//! `close` and `close-region` for the close of a year.

use std::collections::BTreeMap;
use std::sync::Arc;

use gongji::domain::ids::RegionCode;
use gongji::domain::time::parse_day;
use gongji::domain::vocabulary::{
    Bucket, CardChannel, Category, Channel, Grant, InstitutionKind, InsuranceState, ListClass, Mode, Purpose, Relation,
    Scheme,
};
use gongji::grpc::enums::Wire;
use gongji::ledger::Failure;
use gongji::ledger::expire::Sweep;
use gongji::policy::{self, PolicyFiles};
use tonic::Status;

use crate::support::*;

macro_rules! scenarios {
    ($($name:ident)*) => {
        const LISTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("scenarios/", stringify!($name), ".txt")));
            }
        )*
    };
}

scenarios! {
    bill_split
    caps
    card_activation
    channels
    clocks_at_midnight
    components
    cross_province
    deductible_and_year
    draw_order
    family_service
    floor
    fund_bands
    fund_use_apart
    grants_chosen
    hold
    hold_confirm
    hold_counts
    hold_expires
    hold_quota
    identity_numbers
    in_province
    insurance_ends
    limits_and_provinces
    limits_of_today
    next_day
    own_account_reading
    own_before_relatives
    owner_conditions
    paper_authorisation
    paper_given_back
    paper_regularised
    payers
    pending_release
    premium
    prohibited
    quota
    quota_after_a_move
    quota_and_holds
    quota_ends
    quota_released_next_day
    quote_and_quota
    refund_after_release
    refund_order
    refund_over_year_end
    refund_repeated
    region_limits
    relation_codes
    relations
    release
    release_sides
    resolve
    resolve_refund
    resolve_reversed
    transfer_beforehand
    user_order
    verified_in_steps
    wallet_claims
    wallet_hours
    year_close
    year_close_of_a_region
    year_close_with_holds
    year_turn
}

#[test]
fn every_file_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/scenarios");
    let names = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let mut found: Vec<String> = names.map(|name| name.to_string_lossy().replace(".txt", "")).collect();
    found.sort();
    assert_eq!(found, LISTED);
}

fn check(text: &str) {
    assert!(text.starts_with("# rule: ") && text.contains("source"), "a story starts with its rule and source");
    let book = other_book(text);
    let case = |setup: Setup| {
        let mut setup = setup.with(|config| {
            config.reveal_personal_data = true;
            config.max_backdate_days = 3_000;
        });
        setup.book = book.clone();
        let mut story = Story::new(setup);
        let mut wrong = String::new();
        let mut rows = 0;
        for (line, row) in text.lines().enumerate() {
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            rows += 1;
            let (command, expected) = row.split_once("=>").unwrap_or((row, "ok"));
            let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
            let found = story.row(command.trim());
            if found != expected {
                wrong.push_str(&format!("line {}: {}\n  expected {expected}\n  found    {found}\n", line + 1, command));
            }
        }
        story.verifications_are_told_again();
        assert!(rows > 1, "a story has rows");
        assert!(wrong.is_empty(), "\n{wrong}");
    };
    for_each_store(case);
    println!("--- while programs of schema 1 may read it too");
    case(crate::wording::shared());
}

/// The embedded policies, with what a story says otherwise: `# policy FILE: text -> other text`, once in that file.
fn other_book(text: &str) -> Arc<gongji::domain::policy::PolicyBook> {
    let changes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# policy ")).collect();
    if changes.is_empty() {
        return book();
    }
    let mut files = PolicyFiles::embedded();
    for change in changes {
        let (file, change) = change.split_once(": ").expect("FILE: text -> other text");
        let (from, to) = change.split_once(" -> ").expect("text -> other text");
        let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
        let known = files.0.get_mut(file).unwrap_or_else(|| panic!("no file {file}"));
        assert_eq!(known.matches(&from).count(), 1, "{from:?} stands once in {file}");
        *known = known.replace(&from, &to);
    }
    Arc::new(policy::load(&files).expect("the changed policies are good"))
}

/// The words of a row: plain ones in order, and `key=value`.
struct Words<'a> {
    row: &'a str,
    plain: std::vec::IntoIter<&'a str>,
    keys: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(row: &'a str) -> Self {
        let (mut plain, mut keys) = (Vec::new(), BTreeMap::new());
        for word in row.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => assert!(keys.insert(key, value).is_none(), "{key} twice in {row}"),
                None => plain.push(word),
            }
        }
        Self { row, plain: plain.into_iter(), keys }
    }

    fn next(&mut self) -> &'a str {
        self.plain.next().unwrap_or_else(|| panic!("a word is missing in {}", self.row))
    }

    fn get(&mut self, key: &str) -> Option<&'a str> {
        self.keys.remove(key)
    }

    fn must(&mut self, key: &str) -> &'a str {
        self.get(key).unwrap_or_else(|| panic!("{key}= is missing in {}", self.row))
    }

    fn fen(&mut self, key: &str) -> Option<i64> {
        self.get(key).map(|text| text.parse().unwrap_or_else(|_| panic!("{key}={text} is no amount")))
    }

    fn text(&mut self, key: &str, default: &str) -> String {
        self.get(key).unwrap_or(default).to_owned()
    }

    /// A word of one of the closed lists.
    fn word<T: Wire>(&mut self, key: &str, default: &str, parse: fn(&str) -> Option<T>) -> i32 {
        wire(self.get(key).unwrap_or(default), parse)
    }

    fn end(mut self) {
        let left: Vec<&str> = self.plain.by_ref().collect();
        assert!(left.is_empty() && self.keys.is_empty(), "not understood: {left:?} {:?} in {}", self.keys, self.row);
    }
}

fn wire<T: Wire>(name: &str, parse: fn(&str) -> Option<T>) -> i32 {
    parse(name).unwrap_or_else(|| panic!("{name} is no such word")).to_wire()
}

/// A story as it goes.
struct Story {
    server: TestServer,
    members: BTreeMap<String, String>,
    bindings: BTreeMap<String, String>,
    settlements: BTreeMap<String, String>,
    quotes: BTreeMap<String, String>,
    transfers: BTreeMap<String, String>,
    verified: Vec<(proto::VerifyBindingRequest, proto::VerifyBindingResponse)>,
    requests: u32,
}

/// Parts of an outcome that are not nothing.
#[derive(Default)]
struct Outcome(Vec<String>);

impl Outcome {
    fn fen(&mut self, name: &str, fen: i64) {
        if fen != 0 {
            self.0.push(format!("{name}={fen}"));
        }
    }

    fn list(&mut self, name: &str, items: Vec<String>) {
        if !items.is_empty() {
            self.0.push(format!("{name}={}", items.join(",")));
        }
    }

    fn words(self) -> String {
        if self.0.is_empty() { "nothing".to_owned() } else { self.0.join(" ") }
    }
}

/// A refusal by the rules shows all its reasons, every other failure its words.
fn refusal(status: &Status) -> String {
    let told = told(status);
    match told.metadata.get("reasons") {
        Some(reasons) => format!("refused {reasons}"),
        None => words(status),
    }
}

fn enum_name(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn reason_name(number: i32) -> String {
    enum_name(proto::Reason::try_from(number).expect("a known reason").as_str_name(), "REASON_")
}

fn bucket_name(number: i32) -> String {
    enum_name(proto::Bucket::try_from(number).expect("a known bucket").as_str_name(), "BUCKET_")
}

fn decision(decision: i32, reasons: &[proto::ReasonNote]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|note| reason_name(note.reason)).collect();
    if decision == proto::Decision::Yes as i32 {
        assert!(reasons.is_empty(), "a yes has no reasons");
        "yes".to_owned()
    } else {
        format!("no {}", reasons.join(","))
    }
}

impl Story {
    fn new(setup: Setup) -> Self {
        Self {
            server: setup.start(),
            members: BTreeMap::new(),
            bindings: BTreeMap::new(),
            settlements: BTreeMap::new(),
            quotes: BTreeMap::new(),
            transfers: BTreeMap::new(),
            verified: Vec::new(),
            requests: 0,
        }
    }

    fn request(&mut self) -> String {
        self.requests += 1;
        format!("r-{}", self.requests)
    }

    fn id(&self, name: &str) -> Option<proto::MemberRef> {
        by_id(self.members.get(name).unwrap_or_else(|| panic!("nobody is called {name}")))
    }

    fn name_of(&self, id: &str) -> String {
        let found = self.members.iter().find(|(_, known)| *known == id);
        found.map(|(name, _)| name.clone()).unwrap_or_else(|| panic!("nobody has {id}"))
    }

    fn owner_of(&self, binding: &str, paper_or_own: &str) -> String {
        let found = self.bindings.iter().find(|(_, known)| *known == binding);
        found.map_or(paper_or_own.to_owned(), |(pair, _)| pair.split('>').next().unwrap_or_default().to_owned())
    }

    fn row(&mut self, row: &str) -> String {
        let mut words = Words::new(row);
        let command = words.next();
        let words = &mut words;
        let outcome = match command {
            "clock" => {
                self.server.clock().set(words.next());
                "ok".to_owned()
            }
            "member" => self.member(words),
            "identity" => self.identity(words),
            "credit" => self.credit(words),
            "bind" => self.bind(words),
            "check" => self.check(words),
            "binding" => self.binding(words),
            "release" => self.release(words),
            "insure" => self.insure(words),
            "quote" => self.quote(words),
            "settle" => self.settle(words),
            "payers" => self.payers(words),
            "refund" => self.refund(words),
            "transfer" => self.transfer(words),
            "account" => self.account(words),
            "entries" => self.entries(words),
            "sharing" => self.sharing(words),
            "verify" => self.verify(words),
            "reorder" => self.reorder(words),
            "quota" => self.quota(words),
            "wallet" => self.wallet(words),
            "claim" => self.claim(words),
            "card" => self.card(words),
            "return" => self.give_back(words),
            "hold" => self.hold(words),
            "confirm" => self.confirm(words),
            "free" => self.free(words),
            "state" => self.state(words),
            "resolve" => self.resolve(words),
            "sweep" => self.sweep(),
            "restart" => {
                self.server.restart();
                "ok".to_owned()
            }
            "close" => self.close(words),
            "close-region" => self.close_region(words),
            other => panic!("{other} is no command"),
        };
        let rest = std::mem::replace(words, Words::new(""));
        rest.end();
        outcome
    }

    fn member(&mut self, words: &mut Words<'_>) -> String {
        let name = words.next().to_owned();
        let number = u32::try_from(self.members.len()).expect("few") + 1;
        let mut request = person(number, words.next());
        let insurance = request.insurance.as_mut().expect("set");
        insurance.scheme = wire(words.next(), Scheme::parse);
        insurance.tier = words.next().replace('-', "");
        insurance.state = words.word("state", "NORMAL", InsuranceState::parse);
        insurance.has_account = words.text("account", "yes") == "yes";
        request.name = format!("张{name}");
        request.card_number = Some(words.text("card", &format!("CARD-{name}")));
        if let Some(id) = words.get("id") {
            request.id_number = id.to_owned();
        }
        if let Some(birth) = words.get("born") {
            request.id_number = id_number(birth, number);
        }
        if words.text("card_state", "ACTIVE") == "INACTIVE" {
            request.card_state = proto::CardState::Inactive as i32;
        }
        if request.card_number.as_deref() == Some("-") {
            request.card_number = None;
        }
        request.issuing_bank_code = words.text("bank", "");
        let money = [("current", Bucket::CurrentYear), ("prior", Bucket::PriorYears)];
        let money = money.map(|(key, bucket)| (bucket, words.fen(key).unwrap_or(0)));
        let member = match self.server.create_member(request) {
            Err(status) => return refusal(&status),
            Ok(created) => created.member.expect("set").member_id,
        };
        self.members.insert(name, member.clone());
        for (bucket, fen) in money {
            if fen > 0 {
                let request =
                    proto::CreditAccountRequest { bucket: bucket.to_wire(), ..credit(&self.request(), &member, fen) };
                self.server.credit_account(request).expect("credited");
            }
        }
        "ok".to_owned()
    }

    fn identity(&mut self, words: &mut Words<'_>) -> String {
        self.requests += 1;
        let request = proto::CreateMemberRequest {
            id_number: words.next().to_owned(),
            view: proto::View::Full as i32,
            ..person(self.requests, "440300")
        };
        match self.server.create_member(request) {
            Err(status) => refusal(&status),
            Ok(created) => {
                let member = created.member.expect("set");
                let sex = enum_name(member.sex().as_str_name(), "SEX_");
                format!("{sex} {} {}", member.birth_date, member.id_number)
            }
        }
    }

    fn credit(&mut self, words: &mut Words<'_>) -> String {
        let member = self.id(words.next());
        let bucket = wire(words.next(), Bucket::parse);
        let fen: i64 = words.next().parse().expect("an amount");
        let kind = if words.text("kind", "MONTHLY") == "MONTHLY" { 1 } else { 2 };
        let request_id = self.request();
        let request =
            proto::CreditAccountRequest { request_id, member, bucket, amount_fen: fen, kind, note_ref: String::new() };
        self.server.credit_account(request).map_or_else(|status| refusal(&status), |_| "ok".to_owned())
    }

    fn filing(&mut self, words: &mut Words<'_>) -> (String, proto::CreateBindingRequest) {
        let (owner, beneficiary) = (words.must("owner"), words.must("beneficiary"));
        let mut request = proto::CreateBindingRequest {
            request_id: self.request(),
            owner: self.id(owner),
            beneficiary: self.id(beneficiary),
            relation: words.word("relation", "PARENT", Relation::parse),
            relation_detail: words.text("detail", ""),
            channel: words.word("channel", "AGENCY_WINDOW", Channel::parse),
            start_date: words.text("start", ""),
            last_day: words.text("last", ""),
            priority: words.get("priority").map(|text| text.parse().expect("a number")),
            ..Default::default()
        };
        let caps = proto::Caps {
            per_settlement_fen: words.fen("per_settlement"),
            per_day_fen: words.fen("per_day"),
            per_year_fen: words.fen("per_year"),
        };
        request.caps = Some(caps);
        let grants = words.get("grants").map(|grants| grants.split(',').map(|name| wire(name, Grant::parse)).collect());
        request.grants = grants.unwrap_or_default();
        request.evidence = match words.get("evidence") {
            Some("none") => Vec::new(),
            Some(kinds) => kinds.split(',').map(evidence).collect(),
            // Whatever the channel asks for, of several the first.
            None => {
                let missing = self.server.check_binding(check_of(&request));
                let first = |kinds: &String| evidence(kinds.split('|').next().unwrap_or_default());
                missing.map(|answer| answer.missing_evidence.iter().map(first).collect()).unwrap_or_default()
            }
        };
        (format!("{owner}>{beneficiary}"), request)
    }

    /// Filing and asking whether one could file come to the same.
    fn bind(&mut self, words: &mut Words<'_>) -> String {
        let (pair, request) = self.filing(words);
        let asked = self.server.check_binding(check_of(&request));
        let made = self.server.create_binding(request);
        match (asked, made) {
            (Ok(asked), Ok(made)) => {
                assert_eq!(decision(asked.decision, &asked.reasons), "yes");
                let binding = made.binding.expect("set");
                assert_eq!(binding.grants, asked.grants);
                self.bindings.insert(pair, binding.binding_id.clone());
                assert_eq!(binding.pending_evidence, asked.pending_evidence);
                assert_eq!(binding.start_date, asked.start_date);
                let grants = binding.grants().map(|grant| enum_name(grant.as_str_name(), "GRANT_"));
                let grants = grants.collect::<Vec<_>>().join(",");
                let pending = binding.pending_evidence.join(",");
                if pending.is_empty() { grants } else { format!("{grants} pending={pending}") }
            }
            (Ok(asked), Err(status)) => {
                let refused = refusal(&status);
                assert_eq!(decision(asked.decision, &asked.reasons).replace("no ", "refused "), refused);
                refused
            }
            (asked, Err(status)) => {
                assert_eq!(refusal(&asked.expect_err("both fail")), refusal(&status));
                refusal(&status)
            }
            (asked, made) => panic!("asked {asked:?}, made {made:?}"),
        }
    }

    fn check(&mut self, words: &mut Words<'_>) -> String {
        let (_, request) = self.filing(words);
        match self.server.check_binding(check_of(&request)) {
            Err(status) => refusal(&status),
            Ok(answer) => {
                let missing = answer.missing_evidence.join(",");
                let missing = if missing.is_empty() { missing } else { format!(" missing={missing}") };
                let pending = answer.pending_evidence.join(",");
                let pending = if pending.is_empty() { pending } else { format!(" pending={pending}") };
                format!("{}{missing}{pending}", decision(answer.decision, &answer.reasons))
            }
        }
    }

    fn binding(&mut self, words: &mut Words<'_>) -> String {
        let binding_id = self.bindings.get(words.next()).expect("a bound pair").clone();
        let found = self.server.get_binding(proto::GetBindingRequest { binding_id, ..Default::default() });
        enum_name(found.expect("found").binding.expect("set").state().as_str_name(), "BINDING_STATE_")
    }

    fn release(&mut self, words: &mut Words<'_>) -> String {
        use proto::release_binding_request::Target;
        let (owner, beneficiary) = (words.must("owner"), words.must("beneficiary"));
        let pair = Target::Pair(proto::BindingPair { owner: self.id(owner), beneficiary: self.id(beneficiary) });
        let target = match words.text("named", "pair").as_str() {
            "pair" => pair,
            "id" => Target::BindingId(self.bindings[&format!("{owner}>{beneficiary}")].clone()),
            other => panic!("{other} is no way to name a binding"),
        };
        let by_owner = words.text("by", "OWNER") == "OWNER";
        let party = if by_owner { proto::BindingParty::Owner } else { proto::BindingParty::Beneficiary };
        let request = proto::ReleaseBindingRequest {
            explanation_view: 0,
            evidence: match words.get("evidence") {
                Some("none") => Vec::new(),
                Some(kinds) => kinds.split(',').map(evidence).collect(),
                None => release_evidence(),
            },
            request_id: self.request(),
            target: Some(target),
            requested_by: party as i32,
            channel: words.word("channel", "AGENCY_WINDOW", Channel::parse),
        };
        match self.server.release_binding(request) {
            Err(status) => refusal(&status),
            Ok(released) => {
                let binding = released.binding.expect("set");
                let state = enum_name(binding.state().as_str_name(), "BINDING_STATE_");
                let from = binding.release_effective_date;
                if state == "RELEASED" { state } else { format!("{state} until={from}") }
            }
        }
    }

    fn binding_id(&self, pair: &str) -> String {
        self.bindings.get(pair).unwrap_or_else(|| panic!("{pair} was never bound")).clone()
    }

    fn verify(&mut self, words: &mut Words<'_>) -> String {
        let binding_id = self.binding_id(words.next());
        let evidence = words.must("evidence").split(',').map(evidence).collect();
        let request =
            proto::VerifyBindingRequest { request_id: self.request(), binding_id, evidence, ..Default::default() };
        let done = match self.server.verify_binding(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        assert!(!done.replayed);
        let binding = done.binding.clone().expect("set");
        self.verified.push((request, done));
        self.verifications_are_told_again();
        let state = enum_name(binding.state().as_str_name(), "BINDING_STATE_");
        let pending = binding.pending_evidence.join(",");
        if pending.is_empty() { state } else { format!("{state} pending={pending}") }
    }

    /// A repeat shows what it did, whatever was handed in since.
    fn verifications_are_told_again(&self) {
        for (request, done) in &self.verified {
            let again = self.server.verify_binding(request.clone()).expect("a repeat succeeds");
            let current_state = again.current_state;
            assert_eq!(again, proto::VerifyBindingResponse { replayed: true, current_state, ..done.clone() });
        }
    }

    fn reorder(&mut self, words: &mut Words<'_>) -> String {
        let beneficiary = self.id(words.next());
        let binding_ids = words.must("order").split(',').map(|pair| self.binding_id(pair)).collect();
        let request = proto::ReorderBindingsRequest { request_id: self.request(), beneficiary, binding_ids };
        let done = match self.server.reorder_bindings(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.reorder_bindings(request).expect("a repeat succeeds");
        assert_eq!(proto::ReorderBindingsResponse { replayed: false, ..again }, done);
        let places: Vec<String> = done.bindings.iter().map(|binding| binding.priority.to_string()).collect();
        places.join(",")
    }

    fn quota(&mut self, words: &mut Words<'_>) -> String {
        let binding_id = self.binding_id(words.next());
        let evidence = match words.text("evidence", "OWNER_CONSENT,BENEFICIARY_CONSENT").as_str() {
            "none" => Vec::new(),
            kinds => kinds.split(',').map(evidence).collect(),
        };
        let request = proto::SetQuotaRequest {
            request_id: self.request(),
            binding_id,
            quota_fen: words.fen("fen").expect("fen="),
            evidence,
            ..Default::default()
        };
        let done = match self.server.set_quota(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.set_quota(request).expect("a repeat succeeds");
        assert!(again.replayed && !done.replayed);
        assert_eq!(proto::SetQuotaResponse { replayed: false, ..again }, done);
        let account = done.owner_account.expect("set");
        let (current, prior) =
            (posted(&account, proto::Bucket::CurrentYear), posted(&account, proto::Bucket::PriorYears));
        format!("quota={} owner={current}+{prior}", done.binding.expect("set").quota_fen)
    }

    fn wallet(&mut self, words: &mut Words<'_>) -> String {
        let request = proto::OpenWalletRequest { request_id: self.request(), member: self.id(words.next()) };
        match self.server.open_wallet(request) {
            Err(status) => refusal(&status),
            Ok(opened) => {
                assert!(opened.account.expect("set").wallet_open);
                "ok".to_owned()
            }
        }
    }

    fn claim(&mut self, words: &mut Words<'_>) -> String {
        let transfer_id = self.transfers.get(words.next()).expect("a transfer").clone();
        let beneficiary = self.id(words.must("by"));
        let request =
            proto::ClaimTransferRequest { request_id: self.request(), transfer_id, beneficiary, ..Default::default() };
        let done = match self.server.claim_transfer(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.claim_transfer(request).expect("a repeat succeeds");
        assert!(again.replayed && !done.replayed);
        assert_eq!(proto::ClaimTransferResponse { replayed: false, ..again }, done);
        format!("{} wallet={}", done.amount_fen, posted(&done.beneficiary_account.expect("set"), proto::Bucket::Wallet))
    }

    fn card(&mut self, words: &mut Words<'_>) -> String {
        let member = self.id(words.next());
        let evidence = match words.must("evidence") {
            "none" => Vec::new(),
            kinds => kinds.split(',').map(evidence).collect(),
        };
        let request = proto::ActivateCardRequest {
            request_id: self.request(),
            member,
            channel: words.word("channel", "AGENCY", CardChannel::parse),
            evidence,
            bank_code: words.text("bank", ""),
            explanation_view: 0,
        };
        let done = match self.server.activate_card(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.activate_card(request).expect("a repeat succeeds");
        assert_eq!(proto::ActivateCardResponse { replayed: false, ..again }, done);
        let member = done.member.expect("set");
        let read = proto::GetMemberRequest { member_id: member.member_id.clone(), ..Default::default() };
        let read = self.server.get_member(read).expect("read").member.expect("set");
        let both = [read.ledger_position, member.ledger_position];
        assert_eq!(both, [done.ledger_position; 2], "a card changes the record it is shown with");
        assert_eq!(read.etag, member.etag);
        enum_name(member.card.expect("it has one").state().as_str_name(), "CARD_STATE_")
    }

    /// The nightly job, by hand for a day.
    fn give_back(&mut self, words: &mut Words<'_>) -> String {
        let on = parse_day(words.must("on")).expect("a day");
        let ledger = self.server.ledger();
        match self.server.wait(ledger.return_unclaimed(on, |_| {})) {
            Err(Failure::Invalid(bad)) => format!("bad {}", bad[0].field),
            Err(failure) => panic!("{failure:?}"),
            Ok(done) => format!("returned={} of={} fen={}", done.returned, done.looked_at, done.amount),
        }
    }

    fn close(&mut self, words: &mut Words<'_>) -> String {
        let of = proto::close_year_request::Of::Member(self.id(words.next()).expect("set"));
        let year = words.next().parse().expect("a year");
        let request = proto::CloseYearRequest { request_id: self.request(), of: Some(of), year, explanation_view: 0 };
        match self.server.close_year(request.clone()) {
            Err(status) => refusal(&status),
            Ok(closed) => {
                let again = self.server.close_year(request).expect("found");
                assert_eq!(again, proto::CloseYearResponse { replayed: true, ..closed.clone() });
                let account = closed.account.expect("set");
                let posted = |bucket| posted(&account, bucket);
                let (current, prior) = (posted(proto::Bucket::CurrentYear), posted(proto::Bucket::PriorYears));
                format!("interest={} current={current} prior={prior}", closed.interest_fen)
            }
        }
    }

    /// Begun over the wire and carried out to its end, a few at a time.
    fn close_region(&mut self, words: &mut Words<'_>) -> String {
        let code = words.next().to_owned();
        let year: i16 = words.next().parse().expect("a year");
        let of = Some(proto::close_year_request::Of::RegionCode(code.clone()));
        let request =
            proto::CloseYearRequest { request_id: self.request(), of, year: year.into(), explanation_view: 0 };
        if let Err(status) = self.server.close_year(request) {
            return refusal(&status);
        }
        let (ledger, region) = (self.server.ledger(), RegionCode::parse(&code).expect("a code"));
        while self.server.wait(ledger.year_close_step(region, year, 2)).expect("a step").is_open() {}
        let request = proto::GetYearCloseRequest { region_code: code, year: year.into(), min_ledger_position: 0 };
        let found = self.server.get_year_close(request).expect("begun").region_close.expect("set");
        assert_eq!((found.state(), found.done_position), (proto::YearCloseState::Done, found.last_position));
        format!(
            "closed={} without={} refused={} interest={}",
            found.accounts_closed, found.accounts_without, found.accounts_refused, found.interest_fen
        )
    }

    fn insure(&mut self, words: &mut Words<'_>) -> String {
        let name = words.next().to_owned();
        let request = proto::GetMemberRequest { member_id: self.members[&name].clone(), ..Default::default() };
        let mut insurance =
            self.server.get_member(request).expect("found").member.expect("set").insurance.expect("set");
        if let Some(state) = words.get("state") {
            insurance.state = wire(state, InsuranceState::parse);
        }
        insurance.region_code = words.text("region", &insurance.region_code);
        insurance.tier = words.text("tier", &insurance.tier).replace('-', "");
        if let Some(scheme) = words.get("scheme") {
            insurance.scheme = wire(scheme, Scheme::parse);
        }
        insurance.has_account = words.text("account", if insurance.has_account { "yes" } else { "no" }) == "yes";
        let request_id = self.request();
        let request = proto::UpdateInsuranceRequest {
            explanation_view: 0,
            request_id,
            member: self.id(&name),
            insurance: Some(insurance),
            etag: None,
        };
        match self.server.update_insurance(request) {
            Err(status) => refusal(&status),
            Ok(updated) => {
                let pair = |id: &String| {
                    let found = self.bindings.iter().find(|(_, known)| *known == id);
                    found.expect("a known binding").0.clone()
                };
                let mut outcome = Outcome::default();
                outcome.list("released", updated.released_binding_ids.iter().map(pair).collect());
                outcome.words()
            }
        }
    }

    fn ask(&mut self, words: &mut Words<'_>) -> proto::SettleRequest {
        let patient = self.id(words.must("patient"));
        let today =
            self.server.get_server_info(proto::GetServerInfoRequest {}).expect("told").server_time.expect("set");
        let today = jiff::Timestamp::new(today.seconds + 8 * 3600, 0).expect("a time").to_string()[..10].to_owned();
        let visit = proto::Visit {
            institution_kind: words.word("kind", "LEVEL_2", InstitutionKind::parse),
            care_region_code: words.text("care", "440300"),
            purpose: words.word("purpose", "OUTPATIENT", Purpose::parse),
            visit_date: words.text("on", &today),
            external_refs: None,
        };
        let mut papers = Vec::new();
        if let Some(paper) = words.get("paper") {
            let [owner, relation, card]: [&str; 3] =
                paper.split(':').collect::<Vec<_>>().try_into().expect("owner:relation:card");
            papers.push(proto::PaperAuthorisation {
                owner: self.id(owner),
                user_card: card.to_owned(),
                relation: wire(relation, Relation::parse),
                phone: "13800000000".to_owned(),
                signature_ref: "slip-1".to_owned(),
            });
        }
        proto::SettleRequest {
            request_id: words.get("request").map_or_else(|| self.request(), str::to_owned),
            institution_code: words.text("at", HOSPITAL),
            patient,
            visit: Some(visit),
            bill: Some(bill(words)),
            paper_authorisations: papers,
            ..Default::default()
        }
    }

    fn quote(&mut self, words: &mut Words<'_>) -> String {
        let ask = self.ask(words);
        match self.server.quote_settlement(quote_of(&ask)) {
            Err(status) => refusal(&status),
            Ok(quote) => {
                if let Some(name) = words.get("as") {
                    self.quotes.insert(name.to_owned(), quote.quote_token.clone());
                }
                self.paid(&quote.amounts.expect("set"), &quote.contributions, &quote.excluded_payers)
            }
        }
    }

    fn settle(&mut self, words: &mut Words<'_>) -> String {
        let mut ask = self.ask(words);
        if let Some(quote) = words.get("quoted") {
            ask.quote_token.clone_from(&self.quotes[quote]);
        }
        let name = words.text("as", &ask.request_id);
        let quoted = self.server.quote_settlement(quote_of(&ask));
        let settled = match self.server.settle(ask.clone()) {
            Err(status) if ["REQUEST_FENCED", "QUOTE_STALE"].contains(&told(&status).reason.as_str()) => {
                return refusal(&status);
            }
            Err(status) => {
                assert_eq!(refusal(&quoted.expect_err("a quote fails as the settlement does")), refusal(&status));
                return refusal(&status);
            }
            Ok(settled) => settled,
        };
        let again = self.server.settle(ask).expect("a repeat succeeds");
        assert!(again.replayed && !settled.replayed);
        assert_eq!(proto::SettleResponse { replayed: false, ..again }, settled);
        let settlement = settled.settlement.expect("set");
        self.settlements.insert(name, settlement.settlement_id.clone());
        let amounts = settlement.amounts.expect("set");
        let quoted = quoted.expect("what is settled can be quoted");
        assert_eq!((quoted.amounts, quoted.contributions), (settlement.amounts, settlement.contributions.clone()));
        self.paid(&amounts, &settlement.contributions, &settlement.excluded_payers)
    }

    fn hold(&mut self, words: &mut Words<'_>) -> String {
        let hold_for = words.fen("for").expect("for=");
        let ask = self.ask(words);
        let name = words.text("as", &ask.request_id);
        let quoted = self.server.quote_settlement(quote_of(&ask));
        let request = hold_of(&ask, hold_for);
        let held = match self.server.hold_settlement(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(held) => held,
        };
        let again = self.server.hold_settlement(request).expect("a repeat succeeds");
        assert!(again.replayed && !held.replayed);
        assert_eq!(proto::HoldSettlementResponse { replayed: false, ..again }, held);
        let settlement = held.settlement.expect("set");
        assert_eq!(settlement.state(), proto::SettlementState::Held);
        self.settlements.insert(name, settlement.settlement_id.clone());
        let amounts = settlement.amounts.expect("set");
        let quoted = quoted.expect("what is held can be quoted");
        assert_eq!((quoted.amounts, quoted.contributions), (settlement.amounts, settlement.contributions.clone()));
        assert_eq!(settlement.held_fen, amounts.own_account_fen + amounts.mutual_aid_fen);
        self.paid(&amounts, &settlement.contributions, &settlement.excluded_payers)
    }

    fn confirm(&mut self, words: &mut Words<'_>) -> String {
        let settlement_id = self.settlements[words.next()].clone();
        let request = proto::ConfirmSettlementRequest {
            request_id: words.get("request").map_or_else(|| self.request(), str::to_owned),
            institution_code: words.text("at", HOSPITAL),
            settlement_id,
            accounts_fen: words.fen("fen"),
            explanation_view: 0,
        };
        let done = match self.server.confirm_settlement(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.confirm_settlement(request).expect("a repeat succeeds");
        assert!(again.replayed && !done.replayed);
        assert_eq!(proto::ConfirmSettlementResponse { replayed: false, ..again }, done);
        let settlement = done.settlement.as_ref().expect("set");
        assert_eq!((settlement.state(), settlement.held_fen), (proto::SettlementState::Confirmed, 0));
        let paid = self.paid(settlement.amounts.as_ref().expect("set"), &settlement.contributions, &[]);
        if done.returned_fen == 0 { paid } else { format!("{paid} returned={}", done.returned_fen) }
    }

    fn free(&mut self, words: &mut Words<'_>) -> String {
        let request = proto::ReleaseHoldRequest {
            settlement_id: self.settlements[words.next()].clone(),
            request_id: words.get("request").map_or_else(|| self.request(), str::to_owned),
            institution_code: words.text("at", HOSPITAL),
        };
        let done = match self.server.release_hold(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let again = self.server.release_hold(request).expect("a repeat succeeds");
        assert!(again.replayed && !done.replayed);
        assert_eq!(proto::ReleaseHoldResponse { replayed: false, ..again }, done);
        let state = done.settlement.expect("set").state();
        format!("{} returned={}", enum_name(state.as_str_name(), "SETTLEMENT_STATE_"), done.returned_fen)
    }

    /// A settlement as it stands: by its id, and in the list of those in this state, which say the same.
    fn state(&mut self, words: &mut Words<'_>) -> String {
        let id = self.settlements[words.next()].clone();
        let found = self.server.get_settlement(settlement_by_id(&id)).expect("found").settlement.expect("set");
        let request = proto::ListSettlementsRequest {
            by: Some(proto::list_settlements_request::By::InstitutionCode(found.institution_code.clone())),
            state: Some(found.state),
            page_size: 500,
            ..Default::default()
        };
        let listed = self.server.list_settlements(request).expect("a list").settlements;
        assert_eq!(listed.iter().find(|listed| listed.settlement_id == id), Some(&found));
        let mut outcome = Outcome::default();
        outcome.0.push(enum_name(found.state().as_str_name(), "SETTLEMENT_STATE_"));
        outcome.fen("held", found.held_fen);
        let refunded = found.refunded.expect("set");
        let back = refunded.fund_fen + refunded.hospital_part_fen + refunded.accounts_fen + refunded.cash_fen;
        outcome.fen("refunded", back);
        if !found.reversed_by.is_empty() {
            outcome.0.push(format!("reversed_by={}", found.reversed_by));
        }
        outcome.words()
    }

    /// Asks twice, under two request ids of its own, and once more under the first: all three say the same.
    fn resolve(&mut self, words: &mut Words<'_>) -> String {
        let original_request_id = words.next().to_owned();
        let fence = words.text("missing", "REPORT") == "FENCE";
        let reverse = words.text("applied", "KEEP") == "REVERSE";
        let request = proto::ResolveOutcomeRequest {
            request_id: words.get("request").map_or_else(|| self.request(), str::to_owned),
            institution_code: words.text("at", HOSPITAL),
            original_request_id,
            on_missing: 1 + i32::from(fence),
            if_applied: 1 + i32::from(reverse),
        };
        let done = match self.server.resolve_outcome(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(done) => done,
        };
        let head = self.server.head();
        let other = proto::ResolveOutcomeRequest { request_id: self.request(), ..request.clone() };
        for again in [request, other] {
            let again = self.server.resolve_outcome(again).expect("a second resolution succeeds");
            let told = |answer: &proto::ResolveOutcomeResponse| {
                (answer.outcome, answer.original_method, answer.original_position, answer.settlement.clone())
            };
            assert_eq!(told(&again), told(&done));
        }
        assert_eq!(self.server.head(), head, "what is resolved is not resolved again");
        let outcome = enum_name(done.outcome().as_str_name(), "RESOLVED_OUTCOME_");
        let method = enum_name(done.original_method().as_str_name(), "ORIGINAL_METHOD_");
        match done.settlement {
            None if done.original_method == 0 => outcome,
            None => format!("{outcome} {method}"),
            Some(found) => {
                let state = enum_name(found.state().as_str_name(), "SETTLEMENT_STATE_");
                format!("{outcome} {method} {state}")
            }
        }
    }

    /// The server's own look for holds that ran out.
    fn sweep(&mut self) -> String {
        let ledger = self.server.ledger();
        let mut sweep = Sweep::default();
        let mut ended = 0;
        loop {
            let (now, more) = self.server.wait(ledger.sweep(&mut sweep)).expect("the sweep goes on");
            ended += now;
            if !more {
                return format!("ended={ended}");
            }
        }
    }

    fn paid(
        &self,
        amounts: &proto::Amounts,
        contributions: &[proto::Contribution],
        excluded: &[proto::ExcludedPayer],
    ) -> String {
        let payers = [amounts.fund_fen, amounts.hospital_part_fen, amounts.own_account_fen, amounts.mutual_aid_fen];
        assert_eq!(payers.iter().sum::<i64>() + amounts.cash_fen, amounts.total_fen, "every fen has a payer");
        let drawn: i64 = contributions.iter().map(|contribution| contribution.amount_fen).sum();
        assert_eq!(drawn, amounts.own_account_fen + amounts.mutual_aid_fen);
        let mut outcome = Outcome::default();
        outcome.fen("full_self_pay", amounts.full_self_pay_fen);
        outcome.fen("over_limit", amounts.over_limit_fen);
        outcome.fen("first_self_pay", amounts.first_self_pay_fen);
        outcome.fen("deductible", amounts.deductible_fen);
        outcome.fen("fund", amounts.fund_fen);
        outcome.fen("hospital", amounts.hospital_part_fen);
        outcome.fen("own", amounts.own_account_fen);
        outcome.fen("aid", amounts.mutual_aid_fen);
        outcome.fen("cash", amounts.cash_fen);
        outcome.list("pays", contributions.iter().map(|paid| self.contribution(paid)).collect());
        outcome.list("out", excluded.iter().map(|excluded| self.left_out(excluded)).collect());
        outcome.words()
    }

    fn left_out(&self, excluded: &proto::ExcludedPayer) -> String {
        let own = excluded.relation() == proto::Relation::Unspecified;
        assert_eq!(own, excluded.owner_masked_name.is_empty(), "the patient is not named, everybody else is");
        let who = self.owner_of(&excluded.binding_id, if own { "self" } else { "paper" });
        format!("{who}:{}", reason_name(excluded.reason))
    }

    fn contribution(&self, paid: &proto::Contribution) -> String {
        let own = paid.payer == proto::Payer::Self_ as i32;
        let who = self.owner_of(&paid.binding_id, if own { "self" } else { "paper" });
        assert_eq!(paid.paper, who == "paper");
        let (rule, way) = match paid.mode() {
            proto::Mode::Unspecified => ("draw.own", ""),
            proto::Mode::DirectDraw => ("draw.relative", ""),
            proto::Mode::Quota => ("draw.quota", ":QUOTA"),
            mode => panic!("{mode:?} pays at no settlement"),
        };
        assert_eq!((paid.rule_id.as_str(), rule == "draw.own"), (rule, own), "the way it was paid");
        format!("{who}:{}:{}{way}", bucket_name(paid.bucket), paid.amount_fen)
    }

    fn payers(&mut self, words: &mut Words<'_>) -> String {
        let request = proto::ListPayersRequest {
            patient: self.id(words.must("patient")),
            visit_date: words.text("on", ""),
            purpose: words.word("purpose", "OUTPATIENT", Purpose::parse),
            person_part_fen: words.fen("part").expect("part="),
            ..Default::default()
        };
        let found = match self.server.list_payers(request) {
            Err(status) => return refusal(&status),
            Ok(found) => found,
        };
        let mut outcome = Outcome::default();
        outcome.fen("can", found.total_can_pay_fen);
        outcome.fen("cash", found.cash_fen);
        let offer =
            |offer: &proto::PayerOffer| format!("{}:{}", self.owner_of(&offer.binding_id, "self"), offer.can_pay_fen);
        outcome.list("pays", found.payers.iter().map(offer).collect());
        outcome.list("out", found.excluded_payers.iter().map(|excluded| self.left_out(excluded)).collect());
        outcome.words()
    }

    fn refund(&mut self, words: &mut Words<'_>) -> String {
        let settlement = self.settlements[words.next()].clone();
        let request_id = words.get("request").map_or_else(|| self.request(), str::to_owned);
        let parts = proto::RefundParts {
            fund_fen: words.fen("fund").unwrap_or(0),
            hospital_part_fen: words.fen("hospital").unwrap_or(0),
            accounts_fen: words.fen("accounts").unwrap_or(0),
            cash_fen: words.fen("cash").unwrap_or(0),
        };
        let whole = parts == proto::RefundParts::default();
        let mut request = refund_parts(&request_id, &settlement, parts);
        if whole {
            request = refund_whole(&request_id, &settlement);
        }
        request.institution_code = words.text("at", HOSPITAL);
        let refunded = match self.server.refund_settlement(request.clone()) {
            Err(status) => return refusal(&status),
            Ok(refunded) => refunded,
        };
        let again = self.server.refund_settlement(request).expect("a repeat succeeds");
        assert!(again.replayed);
        assert_eq!(proto::RefundSettlementResponse { replayed: false, ..again }, refunded);
        let parts = refunded.refunded.expect("set");
        let returned: i64 = refunded.returned.iter().map(|back| back.amount_fen).sum();
        assert_eq!(returned, parts.accounts_fen);
        let mut outcome = Outcome::default();
        outcome.0.push(enum_name(refunded.current_state().as_str_name(), "SETTLEMENT_STATE_"));
        outcome.fen("fund", parts.fund_fen);
        outcome.fen("hospital", parts.hospital_part_fen);
        outcome.fen("cash", parts.cash_fen);
        outcome.list("back", refunded.returned.iter().map(|back| self.contribution(back)).collect());
        outcome.words()
    }

    fn transfer(&mut self, words: &mut Words<'_>) -> String {
        let request = proto::TransferFundsRequest {
            request_id: self.request(),
            owner: self.id(words.must("owner")),
            beneficiary: self.id(words.must("beneficiary")),
            relation: words.word("relation", "PARENT", Relation::parse),
            relation_detail: words.text("detail", ""),
            amount_fen: words.fen("fen").expect("fen="),
            commitment_ref: "commitment-1".to_owned(),
            mode: words.get("mode").map_or(0, |name| wire(name, Mode::parse)),
            from_wallet: words.text("from", "ACCOUNT") == "WALLET",
            ..Default::default()
        };
        let name = words.text("as", &request.request_id);
        match self.server.transfer_funds(request.clone()) {
            Err(status) => refusal(&status),
            Ok(moved) => {
                let again = self.server.transfer_funds(request).expect("a repeat succeeds");
                assert_eq!(proto::TransferFundsResponse { replayed: false, ..again }, moved);
                let mode = enum_name(moved.mode().as_str_name(), "MODE_");
                let state = enum_name(moved.state().as_str_name(), "TRANSFER_STATE_");
                let account = moved.owner_account.clone().expect("set");
                self.transfers.insert(name, moved.transfer_id.clone());
                if moved.beneficiary_account.is_none() {
                    let left = format!(
                        "{}+{}+{}",
                        posted(&account, proto::Bucket::CurrentYear),
                        posted(&account, proto::Bucket::PriorYears),
                        posted(&account, proto::Bucket::Wallet)
                    );
                    return format!("{mode} {state} owner={left}");
                }
                let left = posted(&account, proto::Bucket::PriorYears);
                let got = posted(&moved.beneficiary_account.expect("set"), proto::Bucket::PriorYears);
                format!("{mode} owner={left} beneficiary={got}")
            }
        }
    }

    fn account(&mut self, words: &mut Words<'_>) -> String {
        let member = self.id(words.next());
        match self.server.get_account(proto::GetAccountRequest { member, ..Default::default() }) {
            Err(status) => refusal(&status),
            Ok(found) => {
                let account = found.account.expect("set");
                let (current, prior) =
                    (posted(&account, proto::Bucket::CurrentYear), posted(&account, proto::Bucket::PriorYears));
                let mut shown = format!(
                    "year={} current={current} prior={prior} usable={}",
                    account.year, account.usable_by_relatives_fen
                );
                let wallet = posted(&account, proto::Bucket::Wallet);
                let purses =
                    [("wallet", wallet), ("frozen", account.quota_frozen_fen), ("quota_held", account.quota_held_fen)];
                for (name, fen) in purses {
                    if fen != 0 {
                        shown.push_str(&format!(" {name}={fen}"));
                    }
                }
                for balance in &account.buckets {
                    assert_eq!(balance.available_fen, balance.posted_fen - balance.held_fen);
                    if balance.held_fen != 0 {
                        shown.push_str(&format!(" held:{}={}", bucket_name(balance.bucket), balance.held_fen));
                    }
                }
                shown
            }
        }
    }

    fn entries(&mut self, words: &mut Words<'_>) -> String {
        let name = words.next();
        let request = proto::ListEntriesRequest { member: self.id(name), ..Default::default() };
        let found = self.server.list_entries(request).expect("entries");
        let entry = |entry: &proto::Entry| {
            let kind = enum_name(entry.kind().as_str_name(), "ENTRY_KIND_");
            format!("{kind}:{}:{}:{}", bucket_name(entry.bucket), entry.amount_fen, entry.balance_after_fen)
        };
        let _ = self.name_of(&self.members[name]);
        found.entries.iter().map(entry).collect::<Vec<_>>().join(" ")
    }

    fn sharing(&mut self, words: &mut Words<'_>) -> String {
        let request = proto::CheckSharingRequest {
            owner_region_code: words.must("owner").to_owned(),
            beneficiary_region_code: words.must("beneficiary").to_owned(),
            relation: words.word("relation", "PARENT", Relation::parse),
            on: words.text("on", ""),
            explanation_view: 0,
        };
        match self.server.check_sharing(request) {
            Err(status) => refusal(&status),
            Ok(answer) => {
                let modes: Vec<String> = answer.modes().map(|mode| enum_name(mode.as_str_name(), "MODE_")).collect();
                format!("{} {}", decision(answer.decision, &answer.reasons), modes.join(",")).trim().to_owned()
            }
        }
    }
}

/// `part=FEN`; or `lines=CATEGORY/CLASS/FEN[/RATE[/OVER]],…`; or `adjudicated=name:FEN,…`.
fn bill(words: &mut Words<'_>) -> proto::Bill {
    if let Some(fen) = words.fen("part") {
        return co_payment(fen);
    }
    if let Some(parts) = words.get("adjudicated") {
        let mut bill = proto::AdjudicatedBill::default();
        for part in parts.split(',') {
            let (name, fen) = part.split_once(':').expect("name:fen");
            let place = match name {
                "fund" => &mut bill.fund_fen,
                "hospital" => &mut bill.hospital_part_fen,
                "deductible" => &mut bill.deductible_fen,
                "first" => &mut bill.first_self_pay_fen,
                "over" => &mut bill.over_limit_fen,
                "full" => &mut bill.full_self_pay_fen,
                "person" => &mut bill.person_part_fen,
                other => panic!("{other} is no part of a bill"),
            };
            *place = fen.parse().expect("an amount");
        }
        let total_fen = bill.fund_fen + bill.hospital_part_fen + bill.person_part_fen;
        return proto::Bill { total_fen, lines: Vec::new(), adjudicated: Some(bill) };
    }
    let lines: Vec<proto::Line> =
        words.must("lines").split(',').enumerate().map(|(place, text)| line(place, text)).collect();
    proto::Bill { total_fen: lines.iter().map(|line| line.amount_fen).sum(), lines, adjudicated: None }
}

fn line(place: usize, text: &str) -> proto::Line {
    let parts: Vec<&str> = text.split('/').collect();
    assert!((3..=5).contains(&parts.len()), "{text} is no line");
    proto::Line {
        line_id: format!("L{place}"),
        item_code: "X0001".to_owned(),
        item_name: String::new(),
        category: wire(parts[0], Category::parse),
        list_class: wire(parts[1], ListClass::parse),
        amount_fen: parts[2].parse().expect("an amount"),
        first_self_pay_rate: parts.get(3).copied().unwrap_or_default().to_owned(),
        over_limit_fen: parts.get(4).map_or(0, |text| text.parse().expect("an amount")),
    }
}
