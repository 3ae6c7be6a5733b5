//! The trace of a decision: which rule said what about which amount. The run that decides writes it, compactly; titles,
//! operations and citations are rendered from it and the policy revision, then or years later.

use arrayvec::ArrayVec;

use super::ids::BindingId;
use super::money::{Money, Rate, Rounding};
use super::policy::Param;
use super::reason::Reason;

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $id:literal $zh:literal [$($param:ident),*];)*) => {
        /// Every rule a decision may apply, with the policy values it rests on (the deciding one first).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $variant,)* }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            pub const fn params(self) -> &'static [Param] {
                match self { $(Self::$variant => &[$(Param::$param,)*],)* }
            }

            /// The stored code: the place in this list, which only ever grows at its end.
            pub fn code(self) -> u8 {
                self as u8
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

rules! {
    /// Class C, or not on the list: the person pays all of it.
    FullSelfPay "split.full_self_pay" "丙类或目录外费用全自费" [FullSelfPayClasses];
    /// Above a price cap.
    OverLimit "split.over_limit" "超限价部分由个人负担" [];
    /// Class B: the person pays the policy's share first.
    FirstSelfPay "split.first_self_pay" "乙类先行自付" [FirstSelfPayRate, FundRounding];
    /// What is left enters the scope of the policy.
    InScope "split.in_scope" "符合政策范围的费用" [];
    /// The part of the yearly deductible this bill uses up.
    Deductible "split.deductible" "起付标准" [Deductibles];
    /// The fund's ratio on what lies above the deductible.
    FundShare "split.fund_share" "统筹基金按比例支付" [FundShares, FundRounding];
    /// The fund pays no more in a year than this.
    FundYearCap "split.fund_year_cap" "统筹基金年度支付限额" [FundYearCap, FundYearCapPurposes];
    /// The sum of the fund's parts.
    FundTotal "split.fund" "统筹基金支付合计" [FundShares];
    /// The fund's part came decided with the bill.
    Adjudicated "split.adjudicated" "基金部分按已审核结果采用" [];
    /// total − fund − hospital part.
    PersonPart "split.person_part" "个人负担合计" [];
    /// Which parts, and whether at all, the own account may pay.
    OwnPayable "draw.own_payable" "本人账户可支付部分" [OwnComponents, OwnPurposes, ProhibitedPurposes];
    /// The own account pays.
    OwnDraw "draw.own" "本人个人账户支付" [OwnBuckets, OwnComponents];
    /// The own balance before the visit decides whether relatives may pay.
    OwnAccountOrder "draw.own_account_order" "本人账户与共济账户先后" [OwnAccountOrder];
    /// Which parts, and whether at all, relatives may pay.
    RelativesPayable "draw.relatives_payable" "家庭共济可支付部分" [RelativeComponents, RelativePurposes, ProhibitedPurposes];
    /// The order of the owners: the patient's region's, where several could have paid.
    OwnerOrder "draw.owner_order" "共济人先后顺序" [OwnerOrder];
    /// A payer the rules leave out.
    Excluded "draw.excluded" "不能使用该共济账户" [];
    /// What an owner's account may give: buckets, floor, cap.
    OwnerUsable "draw.owner_usable" "共济账户可用余额" [RelativeBuckets, Floor];
    /// An owner's account pays.
    OwnerDraw "draw.relative" "家庭共济支付" [
        RelativeBuckets, Floor, Relations, Modes, BeneficiaryScope, OwnerTiers, OwnerStates, BeneficiarySchemes,
        BeneficiaryStates, RelativePurposes, ProhibitedPurposes, AidPerSettlement, AidPerDay, AidPerYear
    ];
    /// Everything else is cash.
    Cash "draw.cash" "现金支付" [];
    /// Own account and relatives, summed for the wire.
    MutualAidTotal "draw.mutual_aid" "家庭共济支付合计" [
        RelativeComponents, Relations, Modes, BeneficiaryScope, OwnerStates, BeneficiarySchemes, BeneficiaryStates,
        RelativePurposes, ProhibitedPurposes, OwnersPerSettlement
    ];

    /// Owner and beneficiary differ.
    TwoPersons "binding.two_persons" "共济人与被共济人不同" [];
    RelationAllowed "sharing.relation" "亲属关系在允许范围内" [Relations];
    ModeBetween "sharing.mode" "两地之间的共济方式" [Modes, BeneficiaryScope];
    OwnerInsurance "sharing.owner_insurance" "共济人参保条件" [OwnerTiers, OwnerStates];
    BeneficiaryInsurance "sharing.beneficiary_insurance" "被共济人参保条件" [BeneficiarySchemes, BeneficiaryStates];
    ChannelOffered "binding.channel" "办理渠道" [Channels];
    EvidenceComplete "binding.evidence" "办理材料" [Channels];
    NotBoundYet "binding.not_bound" "尚未绑定" [];
    MembersPerOwner "binding.members_per_owner" "共济人绑定人数" [MembersPerOwner];
    OwnersPerMember "binding.owners_per_member" "被共济人绑定人数" [OwnersPerMember];
    PurposeAllowed "sharing.purpose" "用途在允许范围内" [RelativePurposes, ProhibitedPurposes];

    /// Money moved beforehand.
    Transfer "transfer.prior_years" "历年账户资金划转" [Modes, RelativeBuckets, Floor];
    /// The settlement mirrored, last drawn first.
    RefundAccounts "refund.accounts" "账户部分按支付的相反顺序退回原账户" [];
    RefundOther "refund.other" "基金、医院与现金部分退回" [];
    /// The modes between two provinces; the openings of both regions stand beside the values.
    CrossProvince "sharing.cross_province" "跨省共济开通情况" [CrossProvinceModes];
    /// What relatives may use of an account.
    UsableByRelatives "account.usable_by_relatives" "可供家庭成员使用的余额" [RelativeBuckets, Floor];
    /// The server's own bound.
    BindingsPerMember "binding.bindings_per_member" "每人绑定数量的系统上限" [];
    /// Above a price cap of the region's own.
    PriceCap "split.price_cap" "超过本地项目限价的部分由个人负担" [PriceCaps];
    FamilySize "binding.family_size" "共济家庭总人数" [FamilySize];
    OneFamilyPerPerson "binding.one_family_per_person" "每人只在一个共济家庭" [OneFamilyPerPerson];
    /// What the owner's region lets one beneficiary draw from one account.
    AidLimit "draw.aid_limit" "每名被共济人使用上限" [AidPerSettlement, AidPerDay, AidPerYear];

    /// A card that is swiped is active.
    CardActive "binding.card_active" "社保卡已激活" [Channels];
    /// What a minor hands in as well.
    MinorEvidence "binding.minor_evidence" "未成年人照片" [MinorAge, Channels];
    /// Steps that may follow.
    Verification "binding.verification" "后续核验步骤" [Channels];
    /// When a binding or its release takes effect.
    EffectiveDay "binding.effective_day" "生效时间" [Channels];
    ReleaseOffered "binding.release" "解绑渠道" [Releases];
    CardActivation "card.activation" "社保卡激活" [CardActivation];
    /// Which wallets there are, and that both are open.
    WalletsOpen "wallet.open" "双方医保钱包已开通" [WalletSources];
    WalletHours "wallet.hours" "钱包转账时段" [WalletClosedHours];
    WalletPerDay "wallet.per_day" "每日转账次数" [WalletTransfersPerDay];
    WalletPerTransfer "wallet.per_transfer" "每笔转账限额" [WalletTransferMax];
    WalletTransfer "wallet.transfer" "医保钱包转账" [WalletSources, Floor];
    WalletClaim "wallet.claim" "领取转账" [WalletReturnTime];
    QuotaBetween "quota.mode" "共济额度开通情况" [CrossProvinceModes, Modes];
    QuotaEvidence "quota.evidence" "双方同意" [QuotaEvidence];
    QuotaLimit "quota.limit" "共济额度上限" [QuotaMax];
    QuotaSet "quota.set" "设定共济额度" [RelativeBuckets, Floor];
    /// A quota pays at settlement.
    QuotaDraw "draw.quota" "共济额度支付" [
        CrossProvinceModes, Relations, Modes, BeneficiaryScope, OwnerTiers, OwnerStates, BeneficiarySchemes,
        BeneficiaryStates, RelativePurposes, ProhibitedPurposes, AidPerSettlement, AidPerDay, AidPerYear
    ];
    /// Which part of a bill the wallet may pay.
    WalletPayable "draw.wallet_payable" "医保钱包可支付部分" [WalletPurposes, OwnComponents];
    /// Taken of what was held, in draw order.
    HoldTaken "hold.taken" "按支付顺序从预留金额中支付" [];
    /// What a confirmation does not take becomes cash.
    HoldCash "hold.cash" "未确认的预留金额改为现金支付" [];
    /// A refund put back.
    RefundReversed "refund.reversed" "冲正退费，已退回的资金重新扣回" [];
    /// What the account held when the year ended; the current part became prior years'.
    YearEnded "year.ended" "年末余额，当年部分结转为历年" [];
    InterestCurrent "interest.current_year" "当年余额计息" [YearInterest];
    InterestPrior "interest.prior_years" "历年余额计息" [YearInterest];
    InterestTotal "interest.total" "利息计入历年账户" [YearInterest];
    /// What of the costs is shared before the row's next rate begins.
    FundBand "split.fund_band" "基金年度累计支付到达分段界限前的费用" [FundShares, FundRounding];
    /// What the owner chose of what the channel gives.
    GrantsOffered "binding.grants" "所选授权事项" [Channels];
    /// Why the patient's own account pays nothing though money lies in it.
    OwnExcluded "draw.own_excluded" "本人账户不能支付本次费用" [OwnPurposes, ProhibitedPurposes, OwnComponents];
    /// A binding ends because one of the two is insured otherwise from now on.
    InsuranceReleases "insurance.releases" "参保变化后解除绑定" [ReleaseOnEndOrMove, ReleaseSides];
    /// The person pays the share that the line itself brings.
    FirstSelfPayGiven "split.first_self_pay_given" "按费用明细所列比例先行自付" [FundRounding];
}

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Bill,
    /// A bill line by its place.
    Line(u16),
    /// The patient's own account.
    Own,
    Binding(BindingId),
    /// A relative named on paper, by place in the request.
    Paper(u16),
    /// An owner and a beneficiary, or their regions.
    Pair,
}

macro_rules! inputs {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// The names of amounts that enter a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Input { $($(#[$doc])* $variant,)* }

        impl Input {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The stored code: the place in this list, which only ever grows at its end.
            pub fn code(self) -> u8 {
                self as u8
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

inputs! {
    Total "total_fen";
    FullSelfPay "full_self_pay_fen";
    OverLimit "over_limit_fen";
    FirstSelfPay "first_self_pay_fen";
    InScope "in_scope_fen";
    Deductible "deductible_fen";
    DeductibleLeft "deductible_left_fen";
    AboveDeductible "above_deductible_fen";
    Fund "fund_fen";
    FundPaidThisYear "fund_paid_this_year_fen";
    HospitalPart "hospital_part_fen";
    PersonPart "person_part_fen";
    CoPayment "co_payment_fen";
    OwnBalance "own_balance_fen";
    Payable "payable_fen";
    StillToPay "still_to_pay_fen";
    Balance "balance_fen";
    Drawable "drawable_fen";
    Floor "floor_fen";
    CapLeft "cap_left_fen";
    Usable "usable_fen";
    OwnAccount "own_account_fen";
    MutualAid "mutual_aid_fen";
    Amount "amount_fen";
    Accounts "accounts_fen";
    Cash "cash_fen";
    Row "policy_row";
    PriceCap "price_cap_fen";
    LimitLeft "limit_left_fen";
    UsedToday "used_today_fen";
    UsedThisYear "used_this_year_fen";
    Number "number";
    Limit "limit";
    Quota "quota_fen";
    QuotaBefore "quota_before_fen";
    Held "held_fen";
    InterestCurrent "interest_current_fen";
    InterestPrior "interest_prior_fen";
    /// The relation that was asked, by its stored code.
    Relation "relation";
    /// What is left of the region's limits per beneficiary.
    AidPerSettlementLeft "aid_per_settlement_left_fen";
    AidPerDayLeft "aid_per_day_left_fen";
    AidPerYearLeft "aid_per_year_left_fen";
    /// How many could have paid.
    Owners "owners";
}

/// A rounding inside a step: `of × rate`, so the exact value can be shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounded {
    pub of: Money,
    pub rate: Rate,
    pub mode: Rounding,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Amount(Money),
    Yes,
    No(Reason),
}

/// The amounts that enter a step; kept in it, since a decision takes twenty steps or more.
pub type Inputs = ArrayVec<(Input, Money), 6>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub rule: Rule,
    pub subject: Subject,
    /// Whose policy decided: an index into the decision's list of policies.
    pub policy: u8,
    pub inputs: Inputs,
    pub rounded: Option<Rounded>,
    pub outcome: Outcome,
}

impl Step {
    /// An amount that entered, if it did.
    pub fn input(&self, wanted: Input) -> Option<Money> {
        self.inputs.iter().find(|(input, _)| *input == wanted).map(|(_, amount)| *amount)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub steps: Vec<Step>,
    /// The digest of the policy set it was decided under.
    pub policy_set: [u8; 32],
}

impl Trace {
    pub fn new() -> Self {
        Self { steps: Vec::with_capacity(24), policy_set: [0; 32] }
    }

    /// A trace of a decision under this set of policies.
    pub fn under(policy_set: [u8; 32]) -> Self {
        Self { policy_set, ..Self::new() }
    }

    /// A step that ends in an amount.
    pub fn amount(&mut self, rule: Rule, subject: Subject, policy: u8, inputs: &[(Input, Money)], result: Money) {
        self.push(rule, subject, policy, inputs, None, Outcome::Amount(result));
    }

    /// A step that ends in yes, or no with its reason.
    pub fn verdict(&mut self, rule: Rule, subject: Subject, policy: u8, no: Option<Reason>) {
        self.judged(rule, subject, policy, &[], no);
    }

    /// The same with what was looked at.
    pub fn judged(&mut self, rule: Rule, subject: Subject, policy: u8, inputs: &[(Input, Money)], no: Option<Reason>) {
        self.push(rule, subject, policy, inputs, None, no.map_or(Outcome::Yes, Outcome::No));
    }

    /// The owners' order, which only what came of it shows to have decided something; the step stands where it was taken. The order
    /// of money is the patient's region's, whose policy is the first.
    pub fn ordered(&mut self, place: usize, owners: i64) {
        let (subject, rounded, inputs) = (Subject::Bill, None, [(Input::Owners, Money::fen(owners))]);
        let inputs = inputs.into_iter().collect();
        self.steps
            .insert(place, Step { rule: Rule::OwnerOrder, subject, policy: 0, inputs, rounded, outcome: Outcome::Yes });
    }

    pub fn push(
        &mut self,
        rule: Rule,
        subject: Subject,
        policy: u8,
        inputs: &[(Input, Money)],
        rounded: Option<Rounded>,
        outcome: Outcome,
    ) {
        self.steps.push(Step { rule, subject, policy, inputs: inputs.iter().copied().collect(), rounded, outcome });
    }
}
