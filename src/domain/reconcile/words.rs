//! Differences in a sentence, for the person who clears them.

use super::classify::{Kind, Repair};

impl Kind {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::OnlyOurs => "医保账本有此笔，医院没有。",
            Self::OnlyTheirs => "医院有此笔，医保账本没有。",
            Self::Amount => "双方都有此笔，金额不一致。",
            Self::State => "双方都有此笔结算，结算状态不一致。",
            Self::InFlight => "此笔为在途交易，尚无最终结果。",
            Self::DateEdge => "双方都有此笔，但一方记在对账日期之内，另一方记在之外。",
            Self::ReversedPair => "一方已结算并全额退费，另一方两笔都没有，资金没有差额。",
        }
    }
}

impl Repair {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::BookLine => "请医院补记；如实际未发生该笔业务，请发起退费。",
            Self::Resolve => {
                "请用原请求编号查询结果，并作废未生效的请求（ResolveOutcome，on_missing: FENCE）；确认不会再生效后，重新结算或由医院冲销该行。"
            }
            Self::StrikeLine => "该行没有请求编号，或其请求已作废，不会再生效，请医院冲销。",
            Self::StrikeDuplicate => "该行重复，请医院冲销重复行。",
            Self::CorrectAmounts => "请医院按账本金额更正；如账本金额有误，请全额退费后重新结算。",
            Self::BookRefund => "请医院补记该笔退费。",
            Self::SendRefund => "医院已记退费而账本没有，请发起退费。",
            Self::SettleAnew => "该笔预留已结束，没有扣款，请重新结算或由医院冲销该行。",
            Self::StrikeReversed => "该笔退费已被冲正，款项已收回，原结算仍然有效，请医院冲销该退费行，不要重新结算。",
            Self::CompareLater => "请稍后再次对账。",
            Self::EndHold => "该笔仍在预留，请确认结算或释放预留。",
            Self::MoveDay => "请医院把该行的日期改为账本记录的日期。",
            Self::BookBothOrNeither => "请医院把结算和退费两笔都补记或都不记。",
        }
    }
}
