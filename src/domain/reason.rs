//! Every business "no", one enum; each with the stable name that clients switch on and the sentence a cashier reads out.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal $sentence:literal;)*) => {
        /// Why a question was answered no, a payer contributes nothing, or a change is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as in `ErrorInfo.reason`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The zh-CN sentence for the person at the counter.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// No mutual aid existed in law on that day.
    SharingNotOpen "SHARING_NOT_OPEN" "该日期尚未开展个人账户家庭共济。";
    /// The relation is not among those the policy of the day names.
    RelationNotAllowed "RELATION_NOT_ALLOWED" "该亲属关系不在当日政策允许的共济范围内。";
    /// One of the two regions was not open for cross-province sharing.
    RegionNotOpen "REGION_NOT_OPEN" "共济人或被共济人的参保统筹区在该日期尚未开通跨省共济。";
    /// The beneficiary is insured outside the area the owner's or the beneficiary's policy covers.
    BeneficiaryOutOfScope "BENEFICIARY_OUT_OF_SCOPE" "双方参保地不在当日政策允许的共济区域内。";
    /// Money between the two regions may move, but not by direct draw.
    ModeNotDirect "MODE_NOT_DIRECT" "当日政策不允许在结算时直接使用该共济账户，请改用当日允许的其他共济方式（事先划转、医保钱包转账或共济额度）。";
    /// No transfer beforehand on that day between these regions.
    ModeNotTransfer "MODE_NOT_TRANSFER" "当日政策不允许事先划转个人账户资金。";
    /// Owner and beneficiary are one person.
    SamePerson "SAME_PERSON" "共济人与被共济人不能是同一人。";
    /// Only employee insurance has personal accounts.
    OwnerNotEmployee "OWNER_NOT_EMPLOYEE" "共济人未参加职工基本医疗保险。";
    /// Insured as an employee but without a personal account.
    OwnerWithoutAccount "OWNER_WITHOUT_ACCOUNT" "共济人没有医保个人账户。";
    /// The policy names the tiers whose accounts may be shared, and the owner's is not among them.
    OwnerTierNotAllowed "OWNER_TIER_NOT_ALLOWED" "共济人的参保档次不允许家庭共济。";
    /// The owner's insurance is suspended or ended.
    OwnerStateNotAllowed "OWNER_STATE_NOT_ALLOWED" "共济人当前参保状态不能使用家庭共济。";
    /// The beneficiary is in no basic medical insurance.
    BeneficiaryNotInsured "BENEFICIARY_NOT_INSURED" "被共济人未参加基本医疗保险。";
    /// The beneficiary's insurance is suspended.
    BeneficiaryStateNotAllowed "BENEFICIARY_STATE_NOT_ALLOWED" "被共济人当前参保状态不能使用家庭共济。";
    /// The policy names the schemes a beneficiary may be in.
    BeneficiarySchemeNotAllowed "BENEFICIARY_SCHEME_NOT_ALLOWED" "被共济人参加的险种不在当日政策允许的范围内。";
    /// The channel asks for evidence that was not given.
    EvidenceMissing "EVIDENCE_MISSING" "办理材料不齐全，请补齐后再办理。";
    /// The region does not offer this channel on that day.
    ChannelNotAvailable "CHANNEL_NOT_AVAILABLE" "该统筹区当日不支持此办理渠道。";
    /// The pair is bound already.
    BindingAlreadyActive "BINDING_ALREADY_ACTIVE" "双方已存在有效的共济绑定关系。";
    /// The binding was released or has ended.
    BindingNotActive "BINDING_NOT_ACTIVE" "该共济绑定关系已解除或已失效。";
    /// The binding begins on a later day.
    BindingNotStarted "BINDING_NOT_STARTED" "该共济绑定关系尚未生效。";
    /// The binding's last day is past.
    BindingEnded "BINDING_ENDED" "该共济绑定关系已到期。";
    /// The e-card family service shows a code; it does not open the owner's account.
    FamilyServiceDoesNotSpend "FAMILY_SERVICE_DOES_NOT_SPEND" "亲情服务只能展示和代办，不能使用对方个人账户，请另行办理家庭共济绑定。";
    /// The owner has as many beneficiaries as the policy allows.
    MembersPerOwnerExceeded "MEMBERS_PER_OWNER_EXCEEDED" "共济人绑定的家庭成员已达上限。";
    /// The beneficiary has as many owners as the policy allows.
    OwnersPerMemberExceeded "OWNERS_PER_MEMBER_EXCEEDED" "被共济人已绑定的共济人数已达上限。";
    /// The owner's family, the owner included, is as large as the policy allows.
    FamilySizeExceeded "FAMILY_SIZE_EXCEEDED" "共济家庭总人数（含共济人）已达上限。";
    /// One of the two stands in another family already, and the policy allows one.
    AlreadyInAnotherFamily "ALREADY_IN_ANOTHER_FAMILY" "一方已加入其他共济家庭，按政策每人只能加入一个，请先退出。";
    /// This server's own bound on ties of one person.
    BindingsPerMemberExceeded "BINDINGS_PER_MEMBER_EXCEEDED" "该参保人的绑定关系数量已达系统上限。";
    /// The policy lets fewer owners pay for one settlement.
    OwnersPerSettlementExceeded "OWNERS_PER_SETTLEMENT_EXCEEDED" "一次结算可使用的共济账户数已达上限。";
    /// Relatives pay only when the own account was zero before the visit.
    OwnBalanceNotZero "OWN_BALANCE_NOT_ZERO" "患者本人账户就诊前仍有余额，按政策不能使用家庭共济。";
    /// Nothing above the floor, or an empty account.
    NothingUsable "NOTHING_USABLE" "共济人账户没有可供家庭成员使用的余额。";
    /// A cap agreed for the binding is used up.
    CapReached "CAP_REACHED" "该共济绑定设定的使用限额已用完。";
    /// The policy's amount for one beneficiary and one day is used up.
    DayLimitReached "DAY_LIMIT_REACHED" "该被共济人今日可使用的共济金额已达政策上限。";
    /// The policy's amount for one beneficiary and one year is used up.
    YearLimitReached "YEAR_LIMIT_REACHED" "该被共济人本年度可使用的共济金额已达政策上限。";
    /// The server refuses to decide on values of this grade.
    GradeRefused "GRADE_REFUSED" "裁决所依据的政策数值未达到本服务器要求的可信程度，不予办理。";
    /// The purpose is not among those the policy of the day lets accounts pay.
    PurposeNotAllowed "PURPOSE_NOT_ALLOWED" "该用途不在当日政策允许的个人账户支付范围内。";
    /// The law names the purpose as forbidden.
    PurposeProhibited "PURPOSE_PROHIBITED" "该用途属于政策明确禁止使用个人账户支付的范围。";
    /// No part of this bill is of a kind that the account may pay, the patient's own or a relative's.
    ComponentNotPayable "COMPONENT_NOT_PAYABLE" "本次费用没有可由该个人账户支付的部分。";
    /// Others have paid all there was.
    NothingLeftToPay "NOTHING_LEFT_TO_PAY" "前序账户已支付完毕，无需再使用该账户。";
    /// No paper authorisation under the policy of the day.
    PaperAuthorisationNotAllowed "PAPER_AUTHORISATION_NOT_ALLOWED" "当日政策不接受未绑定家庭成员的书面授权。";
    /// More was asked than the bucket holds.
    BalanceInsufficient "BALANCE_INSUFFICIENT" "账户余额不足。";
    /// A correction or credit would take a bucket past what one account may hold.
    BalanceTooLarge "BALANCE_TOO_LARGE" "账户余额超过系统允许的上限。";
    /// More than what each payer paid.
    RefundExceedsPaid "REFUND_EXCEEDS_PAID" "退费金额超过该笔结算相应项目的剩余可退金额。";
    /// Nothing is left to return.
    AlreadyRefunded "ALREADY_REFUNDED" "该笔结算已全部退费。";
    /// The hold was confirmed before.
    HoldConfirmed "HOLD_CONFIRMED" "该笔预留已确认结算。";
    /// The hold was given up before.
    HoldReleased "HOLD_RELEASED" "该笔预留已释放，未支付。";
    /// The hold ran out.
    HoldExpired "HOLD_EXPIRED" "该笔预留已超过有效期，资金已退回，请重新结算。";
    /// Settled in one step: nothing is held.
    NotHeld "NOT_HELD" "该笔结算不是预留，不能确认或释放。";
    /// Nothing was paid yet that could be refunded.
    HoldOpen "HOLD_OPEN" "该笔结算尚在预留中，请先确认或释放。";
    /// More than was held.
    ConfirmExceedsHeld "CONFIRM_EXCEEDS_HELD" "确认金额超过预留金额。";
    /// The server's own bound on open holds.
    HoldsPerMemberExceeded "HOLDS_PER_MEMBER_EXCEEDED" "参保人或共济人未了结的预留笔数已达系统上限。";
    /// The request id was declared void while resolving a lost answer.
    RequestFenced "REQUEST_FENCED" "该请求编号已作废，请使用新的编号。";
    /// What cannot be undone: a release, the resolution of another call, or a refund of what was reversed.
    NotReversible "NOT_REVERSIBLE" "该操作不能冲正。";
    /// The money that a refund gave back is no longer there.
    RefundSpent "REFUND_SPENT" "退回账户的资金已被使用，不能冲正该笔退费。";
    /// The server's own bound on refunds of one settlement.
    RefundsPerSettlementExceeded "REFUNDS_PER_SETTLEMENT_EXCEEDED" "该笔结算的退费次数已达系统上限，只能一次退清剩余金额，且退清后不能再冲正退费。";
    /// The decision would differ from the quoted one.
    QuoteStale "QUOTE_STALE" "预结算结果已变化，请重新预结算。";
    /// The quote's short life is over.
    QuoteExpired "QUOTE_EXPIRED" "预结算已过有效期，请重新预结算。";
    /// The insurance given is the one already recorded.
    InsuranceUnchanged "INSURANCE_UNCHANGED" "参保信息没有变化。";
    /// Steps of the channel are still to come.
    BindingNotVerified "BINDING_NOT_VERIFIED" "该共济绑定尚未完成核验，请先完成人脸识别等后续步骤。";
    /// Nothing is waited for.
    BindingAlreadyVerified "BINDING_ALREADY_VERIFIED" "该共济绑定已完成核验。";
    /// A step ahead of it is missing, or it is none of the steps.
    StepSkipped "STEP_SKIPPED" "前面的办理步骤尚未完成，或该步骤不属于此办理渠道，请按顺序办理。";
    /// 亲情账户 shows a relative's own code: it spends the relative's own money.
    FamilyCodeIsNotSharing "FAMILY_CODE_IS_NOT_SHARING" "亲情账户只展示家属本人的医保码，使用的是其本人的资金，不是家庭共济，请另行办理家庭共济绑定。";
    /// A card that is swiped must be active.
    CardNotActive "CARD_NOT_ACTIVE" "共济人的社保卡尚未激活，请先激活。";
    /// Nothing to activate.
    CardAlreadyActive "CARD_ALREADY_ACTIVE" "该社保卡已激活。";
    /// The person has no card.
    CardNotOnRecord "CARD_NOT_ON_RECORD" "该参保人没有登记社保卡。";
    /// Another bank issued the card.
    NotTheIssuingBank "NOT_THE_ISSUING_BANK" "该银行不是此卡的发卡银行，请到发卡银行办理。";
    /// The sender has no wallet.
    OwnerWalletNotOpen "OWNER_WALLET_NOT_OPEN" "转出人尚未开通医保钱包。";
    /// The receiver has no wallet.
    BeneficiaryWalletNotOpen "BENEFICIARY_WALLET_NOT_OPEN" "转入人尚未开通医保钱包。";
    /// Open already.
    WalletAlreadyOpen "WALLET_ALREADY_OPEN" "医保钱包已开通。";
    /// No wallets in law on that day.
    WalletNotOffered "WALLET_NOT_OFFERED" "该日期尚未开通医保钱包服务。";
    /// Wallets send nothing at this hour.
    WalletClosedHours "WALLET_CLOSED_HOURS" "当前时段不能转账，请在开放时段办理。";
    /// As many transfers today as the policy allows.
    TransfersPerDayReached "TRANSFERS_PER_DAY_REACHED" "今日转账次数已达上限。";
    /// Above what one transfer may be.
    TransferTooLarge "TRANSFER_TOO_LARGE" "转账金额超过每笔限额。";
    /// Taken already.
    TransferAlreadyClaimed "TRANSFER_ALREADY_CLAIMED" "该笔转账已领取。";
    /// Back with the sender, or about to be.
    TransferReturned "TRANSFER_RETURNED" "该笔转账未在规定时间内领取，资金已退回转出人。";
    /// No quota between the two regions on that day.
    ModeNotQuota "MODE_NOT_QUOTA" "当日政策不允许在双方之间设定共济额度。";
    /// Above the policy's limit for one relative.
    QuotaTooLarge "QUOTA_TOO_LARGE" "共济额度超过政策上限。";
    /// The quota has paid all it had.
    QuotaUsedUp "QUOTA_USED_UP" "共济额度已用完。";
    /// A quota needs a binding that does not end by itself.
    BindingHasLastDay "BINDING_HAS_LAST_DAY" "有终止日期的绑定关系不能设定共济额度。";
    /// Already so.
    QuotaUnchanged "QUOTA_UNCHANGED" "共济额度没有变化。";
    /// The order is the law's.
    OrderNotForUser "ORDER_NOT_FOR_USER" "当日政策不允许自行设定共济账户的使用顺序。";
    /// The time to bind after the first slip is over.
    PaperNotRegularised "PAPER_NOT_REGULARISED" "书面授权后未在规定期限内补办绑定，不能再次使用书面授权。";
    /// The ledger has not reached the position a read asked for.
    PositionNotReached "POSITION_NOT_REACHED" "账本尚未到达所要求的位置。";
    /// Records from that position on are not all kept any more.
    PositionCompacted "POSITION_COMPACTED" "所要求位置的账本记录已归档、不再提供，请从现存的第一条记录开始读取。";
    /// What the caller holds is of another history than this ledger's.
    ChainDiffers "CHAIN_DIFFERS" "账本在该位置的摘要与所持不一致，请核对是否恢复过备份。";
    /// Fewer contribution months than the rule asks for.
    YearsNotEnough "YEARS_NOT_ENOUGH" "缴费年限不足。";
    /// The legal age lies ahead.
    AgeNotReached "AGE_NOT_REACHED" "尚未达到法定退休年龄。";
    /// The legal age is reached: a pension, not a benefit of those who work.
    AgeReached "AGE_REACHED" "已达到法定退休年龄，不再领取失业保险金。";
    /// Contributions are not being paid.
    PaymentInterrupted "PAYMENT_INTERRUPTED" "缴费已中断，中断期间不享受该项待遇。";
    /// Paid again, but benefits are not back yet.
    WaitingPeriod "WAITING_PERIOD" "恢复缴费后尚在待遇等待期内。";
    /// Fewer continuous months than the rule asks for.
    ContinuousMonthsNotEnough "CONTINUOUS_MONTHS_NOT_ENOUGH" "连续缴费月数不足。";
    /// The injury is not recognised as a work injury.
    InjuryNotRecognised "INJURY_NOT_RECOGNISED" "尚未认定为工伤或职业病。";
    /// Work ended by the person's own will.
    LeftVoluntarily "LEFT_VOLUNTARILY" "本人主动离职，不符合领取失业保险金的条件。";
    /// Not registered as unemployed.
    NotRegistered "NOT_REGISTERED" "尚未办理失业登记。";
    /// The day lies outside the window of the change.
    TierWindowClosed "TIER_WINDOW_CLOSED" "当前不在调整缴费档次的办理期内。";
    /// As many changes as the year allows were made.
    TierChangesUsedUp "TIER_CHANGES_USED_UP" "本缴费年度内调整次数已用完。";
    /// The new tier is not above what was paid.
    TierNotHigher "TIER_NOT_HIGHER" "新档次不高于当年已缴金额。";
    /// The region changes no tiers there.
    TierChannelNotOffered "TIER_CHANNEL_NOT_OFFERED" "当地不提供该调档渠道。";
    /// The region certifies nobody there.
    CertificationChannelNotOffered "CERTIFICATION_CHANNEL_NOT_OFFERED" "当地不提供该认证渠道。";
    /// The channel asks for something the person has not.
    PreconditionMissing "PRECONDITION_MISSING" "不具备该认证渠道的前提条件。";
    /// The channel takes the person only.
    ProxyNotAllowed "PROXY_NOT_ALLOWED" "该认证渠道须由本人办理，不可代办。";
    /// The certification has ended, or may not move that way.
    CertificationNotOpen "CERTIFICATION_NOT_OPEN" "该认证已办结，或不能变更为该状态。";
    /// More lines than one comparison takes.
    ReconciliationTooLarge "RECONCILIATION_TOO_LARGE" "对账明细行数超过上限，请缩短对账日期。";
    /// More differences than one comparison tells.
    ReconciliationTooDifferent "RECONCILIATION_TOO_DIFFERENT" "差异行数超过上限，请核对机构编号和对账日期。";
    /// A year is closed when it is over.
    YearNotOver "YEAR_NOT_OVER" "该年度尚未结束，不能办理年度结转。";
    /// Closed before, or there was no account in that year.
    YearNothingToClose "YEAR_NOTHING_TO_CLOSE" "该账户该年度无可结转：已结转，或当年尚无账户。";
    /// The region's year is being closed.
    YearCloseRunning "YEAR_CLOSE_RUNNING" "该统筹区该年度的结转正在进行。";
    /// A grant was chosen that the channel does not give.
    GrantNotOffered "GRANT_NOT_OFFERED" "该办理渠道不提供所选的授权事项。";
    /// The owner opened this binding for care or for premiums, and the bill is the other.
    UseNotChosen "USE_NOT_CHOSEN" "共济人为该绑定选择的用途不包含本次费用（共济支付、共济缴费须分别选择）。";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    #[test]
    fn names_and_sentences_are_distinct() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        let sentences: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.sentence()).collect();
        assert_eq!((names.len(), sentences.len()), (Reason::ALL.len(), Reason::ALL.len()));
    }
}
