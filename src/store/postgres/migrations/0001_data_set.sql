-- The data set: who may see what is granted by schema.
--   gongji         ledger, balances, bindings: ids and amounts only
--   gongji_person  names, numbers, and what finds a person by them
--   gongji_health  bills and what was decided on them
-- A fact is a row: its natural key, the position of the change that last wrote it (version), its canonical bytes (body), and
-- the columns that people query, written from the same value in the same statement. No triggers, no stored rules.

CREATE SCHEMA gongji_person;
CREATE SCHEMA gongji_health;
COMMENT ON SCHEMA gongji_person IS 'Personal data: names, numbers, and what finds a person by them.';
COMMENT ON SCHEMA gongji_health IS 'Health data: bills and what was decided on them.';

CREATE TABLE gongji_person.secret (
    one boolean NOT NULL,
    secret bytea NOT NULL,
    PRIMARY KEY (one),
    CHECK (one),
    CHECK (octet_length(secret) = 32)
);
COMMENT ON TABLE gongji_person.secret IS 'The data sets secret: keys the hashes by which persons and requests are found.';
COMMENT ON COLUMN gongji_person.secret.one IS 'always true: there is one row';
COMMENT ON COLUMN gongji_person.secret.secret IS '32 bytes';

CREATE TABLE gongji_person.masked_name (
    member uuid NOT NULL,
    masked_name text NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji_person.masked_name IS 'Masked names for answers that name a payer; the rest of the member stands in gongji.standing.';
COMMENT ON COLUMN gongji_person.masked_name.member IS 'member id';
COMMENT ON COLUMN gongji_person.masked_name.masked_name IS 'as it is shown';

CREATE TABLE gongji.dataset (
    one boolean NOT NULL,
    partition_records bigint NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (one),
    CHECK (one),
    CHECK (partition_records > 0)
);
COMMENT ON TABLE gongji.dataset IS 'What the data set was made with.';
COMMENT ON COLUMN gongji.dataset.one IS 'always true: there is one row';
COMMENT ON COLUMN gongji.dataset.partition_records IS 'records in one partition of gongji.record and gongji.posting';
COMMENT ON COLUMN gongji.dataset.made_at IS 'when';

CREATE TABLE gongji.head (
    one boolean NOT NULL,
    position bigint NOT NULL,
    link bytea NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (one),
    CHECK (one),
    CHECK (position >= 0),
    CHECK (octet_length(link) = 32)
) WITH (fillfactor = 10);
COMMENT ON TABLE gongji.head IS 'Where the ledger stands. Every commit locks this row first.';
COMMENT ON COLUMN gongji.head.one IS 'always true: there is one row';
COMMENT ON COLUMN gongji.head.position IS 'position of the last record; 0: none';
COMMENT ON COLUMN gongji.head.link IS 'link of the last record';
COMMENT ON COLUMN gongji.head.at IS 'time of the last record';

CREATE TABLE gongji.record (
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    event smallint,
    content_hash bytea NOT NULL,
    link bytea NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (position),
    CHECK (octet_length(content_hash) = 32),
    CHECK (octet_length(link) = 32)
) PARTITION BY RANGE (position);
COMMENT ON TABLE gongji.record IS 'The ledger: one immutable record per change.';
COMMENT ON COLUMN gongji.record.position IS 'gapless, in commit order, from 1';
COMMENT ON COLUMN gongji.record.at IS 'when it was committed; never runs backwards';
COMMENT ON COLUMN gongji.record.event IS 'stored code of what happened; null: not readable by the version that wrote it';
COMMENT ON COLUMN gongji.record.content_hash IS 'SHA-256 of bytes';
COMMENT ON COLUMN gongji.record.link IS 'SHA-256 over the previous link, position, time and content hash';
COMMENT ON COLUMN gongji.record.bytes IS 'canonical bytes, kept for ever and never re-encoded';

CREATE TABLE gongji.posting (
    position bigint NOT NULL,
    place smallint NOT NULL,
    amount_fen bigint NOT NULL,
    from_kind smallint NOT NULL,
    from_id uuid,
    from_code text,
    from_bucket smallint,
    from_after_fen bigint,
    to_kind smallint NOT NULL,
    to_id uuid,
    to_code text,
    to_bucket smallint,
    to_after_fen bigint,
    PRIMARY KEY (position, place),
    CHECK (amount_fen >= 0),
    CHECK (from_after_fen >= 0),
    CHECK (to_after_fen >= 0)
) PARTITION BY RANGE (position);
COMMENT ON TABLE gongji.posting IS 'Movements of money, of the record at the same position.';
COMMENT ON COLUMN gongji.posting.position IS 'of the record';
COMMENT ON COLUMN gongji.posting.place IS 'place in the record, from 0';
COMMENT ON COLUMN gongji.posting.amount_fen IS 'moved, in fen';
COMMENT ON COLUMN gongji.posting.from_kind IS 'payer: 1 bucket, 2 fund, 3 credits, 4 institution, 5 hospital part, 6 cash, 7 quota, 8 transfer, 9 hold, 10 interest';
COMMENT ON COLUMN gongji.posting.from_id IS 'payer: member, binding, transfer or settlement id; null: of another kind';
COMMENT ON COLUMN gongji.posting.from_code IS 'payer: institution or region code; null: of another kind';
COMMENT ON COLUMN gongji.posting.from_bucket IS 'payer: bucket, names in gongji.word; null: of another kind';
COMMENT ON COLUMN gongji.posting.from_after_fen IS 'payer: balance afterwards, in fen; null: keeps none';
COMMENT ON COLUMN gongji.posting.to_kind IS 'receiver: 1 bucket, 2 fund, 3 credits, 4 institution, 5 hospital part, 6 cash, 7 quota, 8 transfer, 9 hold, 10 interest';
COMMENT ON COLUMN gongji.posting.to_id IS 'receiver: member, binding, transfer or settlement id; null: of another kind';
COMMENT ON COLUMN gongji.posting.to_code IS 'receiver: institution or region code; null: of another kind';
COMMENT ON COLUMN gongji.posting.to_bucket IS 'receiver: bucket, names in gongji.word; null: of another kind';
COMMENT ON COLUMN gongji.posting.to_after_fen IS 'receiver: balance afterwards, in fen; null: keeps none';

CREATE TABLE gongji.partition (
    first bigint NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (first),
    CHECK (first <= last)
);
COMMENT ON TABLE gongji.partition IS 'Partitions of gongji.record and gongji.posting that there are.';
COMMENT ON COLUMN gongji.partition.first IS 'first position';
COMMENT ON COLUMN gongji.partition.last IS 'last position';

CREATE TABLE gongji.list (
    kind smallint NOT NULL,
    of uuid NOT NULL,
    position bigint NOT NULL,
    subject uuid NOT NULL,
    PRIMARY KEY (kind, of, position)
);
COMMENT ON TABLE gongji.list IS 'Lists that queries walk, in position order.';
COMMENT ON COLUMN gongji.list.kind IS 'stored code of the lists kind; names in gongji.word';
COMMENT ON COLUMN gongji.list.of IS 'whose list: an id or a hash';
COMMENT ON COLUMN gongji.list.position IS 'of the record that made the row';
COMMENT ON COLUMN gongji.list.subject IS 'the id it leads to';

CREATE TABLE gongji.word (
    list text NOT NULL,
    code smallint NOT NULL,
    name text NOT NULL,
    zh text NOT NULL,
    PRIMARY KEY (list, code)
);
COMMENT ON TABLE gongji.word IS 'Names of stored codes.';
COMMENT ON COLUMN gongji.word.list IS 'which vocabulary';
COMMENT ON COLUMN gongji.word.code IS 'stored code, never reused';
COMMENT ON COLUMN gongji.word.name IS 'name in answers and policy files';
COMMENT ON COLUMN gongji.word.zh IS 'Chinese term';

CREATE TABLE gongji.request (
    hash bytea NOT NULL,
    version bigint NOT NULL,
    scope text NOT NULL,
    request_id text NOT NULL,
    method smallint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (hash),
    CHECK (octet_length(hash) = 16)
);
COMMENT ON TABLE gongji.request IS 'Request ids that had their effect: a repeat finds its work at version.';
COMMENT ON COLUMN gongji.request.hash IS 'keyed hash of scope and request id';
COMMENT ON COLUMN gongji.request.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.request.scope IS 'whose ids these are: an institution, or the shared scope';
COMMENT ON COLUMN gongji.request.request_id IS 'the callers own name for the change';
COMMENT ON COLUMN gongji.request.method IS 'stored code of the method';
COMMENT ON COLUMN gongji.request.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji_person.reference (
    hash bytea NOT NULL,
    version bigint NOT NULL,
    member uuid NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (hash),
    CHECK (octet_length(hash) = 16)
);
COMMENT ON TABLE gongji_person.reference IS 'Numbers that persons are found by.';
COMMENT ON COLUMN gongji_person.reference.hash IS 'keyed hash of kind and number';
COMMENT ON COLUMN gongji_person.reference.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji_person.reference.member IS 'whom it leads to';
COMMENT ON COLUMN gongji_person.reference.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji_person.person (
    member uuid NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    id_number text NOT NULL,
    card_number text NOT NULL,
    personal_number text NOT NULL,
    computer_number text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji_person.person IS 'Who a member is. Erasing a row leaves the ledger valid.';
COMMENT ON COLUMN gongji_person.person.member IS 'member id';
COMMENT ON COLUMN gongji_person.person.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji_person.person.name IS 'full name';
COMMENT ON COLUMN gongji_person.person.id_number IS 'identity number';
COMMENT ON COLUMN gongji_person.person.card_number IS 'card number; empty: none';
COMMENT ON COLUMN gongji_person.person.personal_number IS 'personal number of the scheme; empty: none';
COMMENT ON COLUMN gongji_person.person.computer_number IS 'computer number of the scheme; empty: none';
COMMENT ON COLUMN gongji_person.person.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.standing (
    member uuid NOT NULL,
    version bigint NOT NULL,
    region integer NOT NULL,
    scheme smallint NOT NULL,
    state smallint NOT NULL,
    account_year smallint,
    current_fen bigint,
    prior_fen bigint,
    wallet_fen bigint,
    held_fen bigint NOT NULL,
    relatives smallint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member),
    CHECK (current_fen >= 0),
    CHECK (prior_fen >= 0),
    CHECK (wallet_fen >= 0),
    CHECK (held_fen >= 0)
) WITH (fillfactor = 80);
COMMENT ON TABLE gongji.standing IS 'What decisions read of one member: insurance, account, who may pay, the years use, open holds. The masked name lies in gongji_person.masked_name.';
COMMENT ON COLUMN gongji.standing.member IS 'member id';
COMMENT ON COLUMN gongji.standing.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.standing.region IS 'pooling region of the insurance, admdvs code';
COMMENT ON COLUMN gongji.standing.scheme IS 'insurance scheme; names in gongji.word';
COMMENT ON COLUMN gongji.standing.state IS 'state of the insurance; names in gongji.word';
COMMENT ON COLUMN gongji.standing.account_year IS 'year the current-year bucket belongs to; null: no personal account';
COMMENT ON COLUMN gongji.standing.current_fen IS 'balance of the current-year bucket, in fen';
COMMENT ON COLUMN gongji.standing.prior_fen IS 'balance of the prior-years bucket, in fen';
COMMENT ON COLUMN gongji.standing.wallet_fen IS 'balance of the wallet, in fen';
COMMENT ON COLUMN gongji.standing.held_fen IS 'set aside by open holds, not part of the balances, in fen';
COMMENT ON COLUMN gongji.standing.relatives IS 'ties of those who may pay for this member';
COMMENT ON COLUMN gongji.standing.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.wards (
    member uuid NOT NULL,
    version bigint NOT NULL,
    bindings smallint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji.wards IS 'Whom a member may pay for.';
COMMENT ON COLUMN gongji.wards.member IS 'member id of the owner';
COMMENT ON COLUMN gongji.wards.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.wards.bindings IS 'number of bindings listed';
COMMENT ON COLUMN gongji.wards.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.binding (
    binding uuid NOT NULL,
    version bigint NOT NULL,
    owner uuid NOT NULL,
    beneficiary uuid NOT NULL,
    owner_region integer NOT NULL,
    beneficiary_region integer NOT NULL,
    relation smallint NOT NULL,
    channel smallint NOT NULL,
    starts date NOT NULL,
    last_day date,
    life smallint NOT NULL,
    cap_settlement_fen bigint,
    cap_day_fen bigint,
    cap_year_fen bigint,
    priority bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (binding),
    CHECK (cap_settlement_fen >= 0),
    CHECK (cap_day_fen >= 0),
    CHECK (cap_year_fen >= 0)
);
COMMENT ON TABLE gongji.binding IS 'Bindings as filed.';
COMMENT ON COLUMN gongji.binding.binding IS 'binding id';
COMMENT ON COLUMN gongji.binding.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.binding.owner IS 'member whose account pays';
COMMENT ON COLUMN gongji.binding.beneficiary IS 'member who is helped';
COMMENT ON COLUMN gongji.binding.owner_region IS 'region of the owner, admdvs code';
COMMENT ON COLUMN gongji.binding.beneficiary_region IS 'region of the beneficiary, admdvs code';
COMMENT ON COLUMN gongji.binding.relation IS 'relation; names in gongji.word';
COMMENT ON COLUMN gongji.binding.channel IS 'channel of filing; names in gongji.word';
COMMENT ON COLUMN gongji.binding.starts IS 'first day in force';
COMMENT ON COLUMN gongji.binding.last_day IS 'last day in force; null: open';
COMMENT ON COLUMN gongji.binding.life IS '0 in force, 1 released, 2 waits for steps, 3 released from a day on';
COMMENT ON COLUMN gongji.binding.cap_settlement_fen IS 'most for one settlement, in fen; null: no cap';
COMMENT ON COLUMN gongji.binding.cap_day_fen IS 'most for one day, in fen; null: no cap';
COMMENT ON COLUMN gongji.binding.cap_year_fen IS 'most for one year, in fen; null: no cap';
COMMENT ON COLUMN gongji.binding.priority IS 'order wished for by the owner';
COMMENT ON COLUMN gongji.binding.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.settlement (
    settlement uuid NOT NULL,
    version bigint NOT NULL,
    institution text NOT NULL,
    patient uuid NOT NULL,
    region integer NOT NULL,
    visit_date date NOT NULL,
    state smallint NOT NULL,
    created_at timestamptz NOT NULL,
    total_fen bigint NOT NULL,
    fund_fen bigint NOT NULL,
    hospital_part_fen bigint NOT NULL,
    own_account_fen bigint NOT NULL,
    mutual_aid_fen bigint NOT NULL,
    cash_fen bigint NOT NULL,
    refunded_fen bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (settlement),
    CHECK (total_fen = fund_fen + hospital_part_fen + own_account_fen + mutual_aid_fen + cash_fen),
    CHECK (least(fund_fen, hospital_part_fen, own_account_fen, mutual_aid_fen, cash_fen) >= 0),
    CHECK (refunded_fen BETWEEN 0 AND total_fen)
) WITH (fillfactor = 95);
COMMENT ON TABLE gongji.settlement IS 'Settlements and holds. Who paid what stands in gongji.posting.';
COMMENT ON COLUMN gongji.settlement.settlement IS 'settlement id';
COMMENT ON COLUMN gongji.settlement.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.settlement.institution IS 'institution code';
COMMENT ON COLUMN gongji.settlement.patient IS 'member id of the patient';
COMMENT ON COLUMN gongji.settlement.region IS 'region of the patients insurance, admdvs code';
COMMENT ON COLUMN gongji.settlement.visit_date IS 'day of the visit';
COMMENT ON COLUMN gongji.settlement.state IS '0 held, 1 confirmed, 2 released, 3 expired, 4 partially refunded, 5 refunded';
COMMENT ON COLUMN gongji.settlement.created_at IS 'when it was settled or held';
COMMENT ON COLUMN gongji.settlement.total_fen IS 'the bill, in fen';
COMMENT ON COLUMN gongji.settlement.fund_fen IS 'paid by the pooled fund, in fen';
COMMENT ON COLUMN gongji.settlement.hospital_part_fen IS 'borne by the institution, in fen';
COMMENT ON COLUMN gongji.settlement.own_account_fen IS 'paid by the patients own account, in fen';
COMMENT ON COLUMN gongji.settlement.mutual_aid_fen IS 'paid by relatives accounts, in fen';
COMMENT ON COLUMN gongji.settlement.cash_fen IS 'left in cash, in fen';
COMMENT ON COLUMN gongji.settlement.refunded_fen IS 'refunded so far and not put back, in fen';
COMMENT ON COLUMN gongji.settlement.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji_health.basis (
    settlement uuid NOT NULL,
    version bigint NOT NULL,
    total_fen bigint NOT NULL,
    lines integer,
    body bytea NOT NULL,
    PRIMARY KEY (settlement),
    CHECK (total_fen >= 0)
);
COMMENT ON TABLE gongji_health.basis IS 'Bill, facts and trace of a settlement: health data. The ledger holds its salted digest.';
COMMENT ON COLUMN gongji_health.basis.settlement IS 'settlement id';
COMMENT ON COLUMN gongji_health.basis.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji_health.basis.total_fen IS 'the bill, in fen';
COMMENT ON COLUMN gongji_health.basis.lines IS 'number of charges; null: the funds part was decided elsewhere';
COMMENT ON COLUMN gongji_health.basis.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.policy (
    digest bytea NOT NULL,
    version bigint NOT NULL,
    region integer NOT NULL,
    starts date NOT NULL,
    ends date,
    known_from date NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest),
    CHECK (octet_length(digest) = 32)
);
COMMENT ON TABLE gongji.policy IS 'Policy revisions as first used.';
COMMENT ON COLUMN gongji.policy.digest IS 'SHA-256 over the revisions values';
COMMENT ON COLUMN gongji.policy.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.policy.region IS 'admdvs code';
COMMENT ON COLUMN gongji.policy.starts IS 'first day in force';
COMMENT ON COLUMN gongji.policy.ends IS 'first day no longer in force; null: open';
COMMENT ON COLUMN gongji.policy.known_from IS 'day from which this text of the law was known';
COMMENT ON COLUMN gongji.policy.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.decided (
    request bytea NOT NULL,
    version bigint NOT NULL,
    steps integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (request),
    CHECK (octet_length(request) = 16)
);
COMMENT ON TABLE gongji.decided IS 'Why a change other than a settlement was decided as it was.';
COMMENT ON COLUMN gongji.decided.request IS 'keyed hash of its request id';
COMMENT ON COLUMN gongji.decided.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.decided.steps IS 'number of steps of the trace';
COMMENT ON COLUMN gongji.decided.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.aid_use (
    owner uuid NOT NULL,
    beneficiary uuid NOT NULL,
    version bigint NOT NULL,
    used_on date,
    day_fen bigint NOT NULL,
    year_fen bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (owner, beneficiary),
    CHECK (day_fen >= 0),
    CHECK (year_fen >= 0)
);
COMMENT ON TABLE gongji.aid_use IS 'What a beneficiary drew from an owners account, where the owners region limits it.';
COMMENT ON COLUMN gongji.aid_use.owner IS 'member id of the owner';
COMMENT ON COLUMN gongji.aid_use.beneficiary IS 'member id of the beneficiary';
COMMENT ON COLUMN gongji.aid_use.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.aid_use.used_on IS 'the day the counters belong to; null: never';
COMMENT ON COLUMN gongji.aid_use.day_fen IS 'drawn on that day, in fen';
COMMENT ON COLUMN gongji.aid_use.year_fen IS 'drawn in that days year, in fen';
COMMENT ON COLUMN gongji.aid_use.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.policy_set (
    digest bytea NOT NULL,
    version bigint NOT NULL,
    parts integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (digest),
    CHECK (octet_length(digest) = 32)
);
COMMENT ON TABLE gongji.policy_set IS 'What a policy set was made of, by its digest.';
COMMENT ON COLUMN gongji.policy_set.digest IS 'SHA-256 of the set';
COMMENT ON COLUMN gongji.policy_set.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.policy_set.parts IS 'number of folders';
COMMENT ON COLUMN gongji.policy_set.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.card (
    member uuid NOT NULL,
    version bigint NOT NULL,
    active boolean NOT NULL,
    issuing_bank text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji.card IS 'State of members cards.';
COMMENT ON COLUMN gongji.card.member IS 'member id';
COMMENT ON COLUMN gongji.card.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.card.active IS 'whether it may be used';
COMMENT ON COLUMN gongji.card.issuing_bank IS 'code of the bank; empty: not known';
COMMENT ON COLUMN gongji.card.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.wallet (
    member uuid NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji.wallet IS 'Wallets that were opened.';
COMMENT ON COLUMN gongji.wallet.member IS 'member id';
COMMENT ON COLUMN gongji.wallet.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.wallet.opened_at IS 'when';
COMMENT ON COLUMN gongji.wallet.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.wallet_day (
    member uuid NOT NULL,
    day date NOT NULL,
    version bigint NOT NULL,
    sent bigint NOT NULL,
    amount_fen bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member, day),
    CHECK (amount_fen >= 0)
);
COMMENT ON TABLE gongji.wallet_day IS 'What a wallet sent on a day.';
COMMENT ON COLUMN gongji.wallet_day.member IS 'member id';
COMMENT ON COLUMN gongji.wallet_day.day IS 'civil day in China';
COMMENT ON COLUMN gongji.wallet_day.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.wallet_day.sent IS 'number of transfers';
COMMENT ON COLUMN gongji.wallet_day.amount_fen IS 'their sum, in fen';
COMMENT ON COLUMN gongji.wallet_day.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.transfer (
    transfer uuid NOT NULL,
    version bigint NOT NULL,
    owner uuid NOT NULL,
    beneficiary uuid NOT NULL,
    relation smallint NOT NULL,
    amount_fen bigint NOT NULL,
    sent_on date NOT NULL,
    claim_before timestamptz NOT NULL,
    state smallint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (transfer),
    CHECK (amount_fen >= 0)
);
COMMENT ON TABLE gongji.transfer IS 'Transfers between accounts and wallets.';
COMMENT ON COLUMN gongji.transfer.transfer IS 'transfer id';
COMMENT ON COLUMN gongji.transfer.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.transfer.owner IS 'member id of the sender';
COMMENT ON COLUMN gongji.transfer.beneficiary IS 'member id of the receiver';
COMMENT ON COLUMN gongji.transfer.relation IS 'relation; names in gongji.word';
COMMENT ON COLUMN gongji.transfer.amount_fen IS 'in fen';
COMMENT ON COLUMN gongji.transfer.sent_on IS 'civil day in China';
COMMENT ON COLUMN gongji.transfer.claim_before IS 'the instant from which it cannot be taken any more';
COMMENT ON COLUMN gongji.transfer.state IS '0 on its way, 1 taken, 2 returned';
COMMENT ON COLUMN gongji.transfer.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.quota (
    binding uuid NOT NULL,
    version bigint NOT NULL,
    owner uuid NOT NULL,
    beneficiary uuid NOT NULL,
    year smallint NOT NULL,
    current_fen bigint NOT NULL,
    prior_fen bigint NOT NULL,
    since timestamptz,
    body bytea NOT NULL,
    PRIMARY KEY (binding),
    CHECK (current_fen >= 0),
    CHECK (prior_fen >= 0)
);
COMMENT ON TABLE gongji.quota IS 'What owners have set aside for one relative.';
COMMENT ON COLUMN gongji.quota.binding IS 'binding id';
COMMENT ON COLUMN gongji.quota.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.quota.owner IS 'member id of the owner';
COMMENT ON COLUMN gongji.quota.beneficiary IS 'member id of the beneficiary';
COMMENT ON COLUMN gongji.quota.year IS 'year of the current-year part';
COMMENT ON COLUMN gongji.quota.current_fen IS 'left of the current-year part, in fen';
COMMENT ON COLUMN gongji.quota.prior_fen IS 'left of the prior-years part, in fen';
COMMENT ON COLUMN gongji.quota.since IS 'since when one has been in force; null: none is';
COMMENT ON COLUMN gongji.quota.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.slips (
    member uuid NOT NULL,
    version bigint NOT NULL,
    owners integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji.slips IS 'Paper slips a patient was helped by.';
COMMENT ON COLUMN gongji.slips.member IS 'member id of the patient';
COMMENT ON COLUMN gongji.slips.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.slips.owners IS 'number of owners';
COMMENT ON COLUMN gongji.slips.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.job_day (
    job smallint NOT NULL,
    version bigint NOT NULL,
    done date NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (job)
);
COMMENT ON TABLE gongji.job_day IS 'Up to which day a job is done.';
COMMENT ON COLUMN gongji.job_day.job IS '1 return unclaimed transfers, 2 end holds';
COMMENT ON COLUMN gongji.job_day.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.job_day.done IS 'last day that is done';
COMMENT ON COLUMN gongji.job_day.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.certification (
    member uuid NOT NULL,
    version bigint NOT NULL,
    certification uuid NOT NULL,
    state smallint NOT NULL,
    began date NOT NULL,
    ended date,
    last_passed date,
    body bytea NOT NULL,
    PRIMARY KEY (member)
);
COMMENT ON TABLE gongji.certification IS 'Latest certification of eligibility of a person.';
COMMENT ON COLUMN gongji.certification.member IS 'member id';
COMMENT ON COLUMN gongji.certification.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.certification.certification IS 'certification id';
COMMENT ON COLUMN gongji.certification.state IS 'state; names in gongji.word';
COMMENT ON COLUMN gongji.certification.began IS 'day it began';
COMMENT ON COLUMN gongji.certification.ended IS 'day it ended; null: open';
COMMENT ON COLUMN gongji.certification.last_passed IS 'last day one passed; null: none';
COMMENT ON COLUMN gongji.certification.body IS 'canonical bytes from which the fact is read';

CREATE TABLE gongji.year_close (
    region integer NOT NULL,
    year smallint NOT NULL,
    version bigint NOT NULL,
    started timestamptz NOT NULL,
    ended timestamptz,
    closed bigint NOT NULL,
    without bigint NOT NULL,
    refused bigint NOT NULL,
    interest_fen bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (region, year),
    CHECK (interest_fen >= 0)
);
COMMENT ON TABLE gongji.year_close IS 'Closes of regions years.';
COMMENT ON COLUMN gongji.year_close.region IS 'admdvs code';
COMMENT ON COLUMN gongji.year_close.year IS 'calendar year';
COMMENT ON COLUMN gongji.year_close.version IS 'position of the change that last wrote it';
COMMENT ON COLUMN gongji.year_close.started IS 'when it was begun';
COMMENT ON COLUMN gongji.year_close.ended IS 'when it was done; null: runs';
COMMENT ON COLUMN gongji.year_close.closed IS 'accounts closed';
COMMENT ON COLUMN gongji.year_close.without IS 'accounts with nothing to close';
COMMENT ON COLUMN gongji.year_close.refused IS 'accounts that could not be closed';
COMMENT ON COLUMN gongji.year_close.interest_fen IS 'interest credited, in fen';
COMMENT ON COLUMN gongji.year_close.body IS 'canonical bytes from which the fact is read';

INSERT INTO gongji.head (one, position, link, at)
VALUES (true, 0, decode(repeat('00', 32), 'hex'), '1970-01-01T00:00:00Z');
