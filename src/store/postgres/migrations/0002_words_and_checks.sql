-- For those who read the tables: names of the stored codes that had none. For the second line of defence: what the rules
-- promise and the first schema did not ask for. Checks look at what is written from now on (NOT VALID), so that no table is read
-- through while everybody waits; `ALTER TABLE … VALIDATE CONSTRAINT …` looks at the rest, in a quiet hour, and stops nobody.

-- Whoever waits here makes all others wait: so not for long. It is tried again.
SET LOCAL lock_timeout = '300ms';
-- Whoever writes takes the head first, and so does this: none holds what the other waits for.
SELECT position FROM gongji.head FOR UPDATE;

INSERT INTO gongji.word (list, code, name, zh) VALUES
    ('event', 1, 'MEMBER_CREATED', '参保登记'),
    ('event', 2, 'INSURANCE_UPDATED', '参保变更'),
    ('event', 3, 'ACCOUNT_CREDITED', '划入、更正'),
    ('event', 4, 'FUNDS_TRANSFERRED', '划转'),
    ('event', 5, 'BINDING_CREATED', '绑定'),
    ('event', 6, 'BINDING_RELEASED', '解绑'),
    ('event', 7, 'SETTLED', '结算'),
    ('event', 8, 'REFUNDED', '退费'),
    ('event', 9, 'SETTLEMENT_HELD', '结算预留'),
    ('event', 10, 'HOLD_CONFIRMED', '预留确认'),
    ('event', 11, 'HOLD_ENDED', '预留释放、过期'),
    ('event', 12, 'REQUEST_FENCED', '请求作废'),
    ('event', 13, 'REFUND_REVERSED', '冲正退费'),
    ('event', 14, 'SETTLEMENT_REVERSED', '冲正登记'),
    ('event', 20, 'BINDING_VERIFIED', '核验'),
    ('event', 21, 'BINDINGS_REORDERED', '共济顺序变更'),
    ('event', 22, 'QUOTA_SET', '共济额度'),
    ('event', 23, 'WALLET_OPENED', '开通钱包'),
    ('event', 24, 'TRANSFER_SENT', '钱包转出'),
    ('event', 25, 'TRANSFER_CLAIMED', '领取'),
    ('event', 26, 'TRANSFER_RETURNED', '退回'),
    ('event', 27, 'CARD_ACTIVATED', '激活'),
    ('event', 28, 'JOB_DONE', '定时任务完成'),
    ('event', 30, 'CERTIFICATION_RECORDED', '资格认证'),
    ('event', 31, 'YEAR_CLOSED', '年度结转'),
    ('event', 32, 'YEAR_CLOSE_STARTED', '统筹区年度结转开始'),
    ('event', 33, 'YEAR_CLOSE_ADVANCED', '统筹区年度结转进度'),
    ('method', 1, 'Settle', '结算'),
    ('method', 2, 'RefundSettlement', '退费'),
    ('method', 3, 'HoldSettlement', '结算预留'),
    ('method', 4, 'ConfirmSettlement', '预留确认'),
    ('method', 5, 'ReleaseHold', '预留释放'),
    ('method', 6, 'ResolveOutcome', '结果确认'),
    ('method', 7, 'hold expired', '预留过期'),
    ('method', 8, 'fence', '请求作废'),
    ('method', 10, 'CreateMember', '参保登记'),
    ('method', 11, 'UpdateInsurance', '参保变更'),
    ('method', 12, 'ActivateCard', '激活'),
    ('method', 20, 'CreditAccount', '划入、更正'),
    ('method', 21, 'TransferFunds', '划转'),
    ('method', 22, 'ClaimTransfer', '领取'),
    ('method', 23, 'OpenWallet', '开通钱包'),
    ('method', 24, 'transfer returned', '退回'),
    ('method', 25, 'CloseYear of an account', '年度结转'),
    ('method', 26, 'CloseYear of a region', '统筹区年度结转'),
    ('method', 27, 'CloseYear of a region, progress', '统筹区年度结转进度'),
    ('method', 30, 'CreateBinding', '绑定'),
    ('method', 31, 'ReleaseBinding', '解绑'),
    ('method', 32, 'VerifyBinding', '核验'),
    ('method', 33, 'ReorderBindings', '共济顺序变更'),
    ('method', 34, 'SetQuota', '共济额度'),
    ('method', 40, 'job done', '定时任务完成'),
    ('method', 60, 'RecordCertification', '资格认证');

COMMENT ON COLUMN gongji.record.event IS 'what happened; names in gongji.word; null: not readable by the version that wrote it';
COMMENT ON COLUMN gongji.request.method IS 'method of the request; names in gongji.word';

CREATE TABLE gongji.copying (
    one boolean NOT NULL,
    begun_at timestamptz NOT NULL,
    PRIMARY KEY (one),
    CHECK (one)
);
COMMENT ON TABLE gongji.copying IS 'One row while a data set is copied into this database; nobody serves it then.';
COMMENT ON COLUMN gongji.copying.one IS 'always true';
COMMENT ON COLUMN gongji.copying.begun_at IS 'when the copy was begun';

ALTER TABLE gongji.record ADD CONSTRAINT record_position_check CHECK (position > 0) NOT VALID;
ALTER TABLE gongji.posting ADD CONSTRAINT posting_place_check CHECK (position > 0 AND place >= 0) NOT VALID;
ALTER TABLE gongji.posting
    ADD CONSTRAINT posting_kinds_check CHECK (from_kind BETWEEN 1 AND 10 AND to_kind BETWEEN 1 AND 10) NOT VALID;
ALTER TABLE gongji.list ADD CONSTRAINT list_position_check CHECK (position > 0) NOT VALID;
ALTER TABLE gongji.binding ADD CONSTRAINT binding_people_check CHECK (owner <> beneficiary) NOT VALID;
ALTER TABLE gongji.binding ADD CONSTRAINT binding_days_check CHECK (starts <= last_day) NOT VALID;
ALTER TABLE gongji.binding ADD CONSTRAINT binding_life_check CHECK (life BETWEEN 0 AND 3) NOT VALID;
ALTER TABLE gongji.settlement ADD CONSTRAINT settlement_state_check CHECK (state BETWEEN 0 AND 5) NOT VALID;
ALTER TABLE gongji.transfer ADD CONSTRAINT transfer_people_check CHECK (owner <> beneficiary) NOT VALID;
ALTER TABLE gongji.transfer ADD CONSTRAINT transfer_amount_check CHECK (amount_fen > 0) NOT VALID;
ALTER TABLE gongji.transfer ADD CONSTRAINT transfer_state_check CHECK (state BETWEEN 0 AND 2) NOT VALID;
ALTER TABLE gongji.wallet_day ADD CONSTRAINT wallet_day_sent_check CHECK (sent >= 0) NOT VALID;
ALTER TABLE gongji.year_close
    ADD CONSTRAINT year_close_counts_check CHECK (closed >= 0 AND without >= 0 AND refused >= 0) NOT VALID;
