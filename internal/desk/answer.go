package desk

import (
	"context"
	"slices"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Answer answers one case. An answer that would disclose whereabouts without
// the person's consent or request leaves as NO_DISCLOSURE, and the warnings say
// so (SECURITY D1).
func (d *Desk) Answer(ctx context.Context, p access.Principal, r AnswerRequest) (CaseView, []string, error) {
	return d.one(ctx, p, d.answerVerb(), d.answerChange(r))
}

// AnswerMany answers up to usher.MaxBatch cases, each with a result of its own.
func (d *Desk) AnswerMany(ctx context.Context, p access.Principal, rs []AnswerRequest) ([]ChangeResult, error) {
	if err := usher.TooMany(len(rs)); err != nil {
		return nil, err
	}
	chs := make([]*change, len(rs))
	for i, r := range rs {
		chs[i] = d.answerChange(r)
	}
	if err := d.run(ctx, p, d.answerVerb(), chs); err != nil {
		return nil, err
	}
	return results(chs), nil
}

func results(chs []*change) []ChangeResult {
	out := make([]ChangeResult, len(chs))
	for i, ch := range chs {
		out[i] = ChangeResult{Case: ch.ref.Case, Etag: ch.view.Etag, Warnings: ch.warnings, Err: ch.err}
	}
	return out
}

func (d *Desk) answerChange(r AnswerRequest) *change {
	return &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r), answer: r.Answer}
}

func (d *Desk) answerVerb() verb {
	return verb{
		method: "answer", access: access.CaseAnswer, fold: fold.VerbAnswer, side: cases.SideReceiver, reads: true,
		make: func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
			return d.makeAnswer(ctx, tx, ch, ch.answer, bodies)
		},
	}
}

func (d *Desk) makeAnswer(ctx context.Context, tx *store.Tx, ch *change, in AnswerInput, bodies map[cases.ItemID]cases.Body) error {
	s := &ch.c.State
	if err := checkAnswer(s, in); err != nil {
		return err
	}
	if in.Outcome == cases.Duplicate {
		if err := d.checkDuplicate(ctx, tx, ch, in.DuplicateOf, bodies); err != nil {
			return err
		}
	}
	private := ledger.Private{Check: in.Check, TrueReason: in.TrueReason}
	a := &cases.AnswerBody{
		Outcome: in.Outcome, Area: in.Area, DuplicateOf: in.DuplicateOf, Attempts: in.Attempts, Channels: in.Channels,
		ConflictFields: in.ConflictFields, Reason: in.Reason, Check: in.Check,
	}
	if in.Outcome == cases.MovedOn {
		a.Area = in.Area.Cut(area.County)
	}
	if in.Outcome.Discloses() {
		basis, err := d.disclosure(ctx, tx, ch, in.Basis, book.Fields(ch.c, bodies))
		if err != nil {
			return err
		}
		if basis.Kind == cases.BasisNone {
			ch.warnings = append(ch.warnings, "本人未同意被核实，结果已改为“本人未授权共享”后发出")
			private.TrueReason = "withheld"
			in.Outcome = cases.NoDisclosure
		}
		a.Basis = basis
	}
	if in.Outcome == cases.NoDisclosure {
		a = &cases.AnswerBody{Outcome: cases.NoDisclosure} // the same bytes, whatever the reason
	}
	h := cases.Head{Kind: cases.Answer, Side: cases.SideReceiver, Round: s.Current.N, Terminal: true, Seen: s.Fields[len(s.Fields)-1]}
	if in.Outcome == cases.Misrouted {
		h.Area = in.Area
	}
	size := answerBytes
	if a.Reason != "" {
		size = reasonedBytes
	}
	ch.entries = []book.Entry{{Case: ch.c, Head: h, Body: cases.Body{Answer: a}, PadTo: size}}
	ch.private = &private
	return d.countAnswer(ch)
}

// Sizes of the bodies of answers, without and with a reason in words: the
// length of a stored body must not tell which outcome it is (SECURITY D4).
const (
	answerBytes   = 192
	reasonedBytes = 1280
)

// disclosure returns by what right whereabouts leave: the consent or request
// that the notice carries, or one of the person's own at this office; the zero
// Basis where there is none.
func (d *Desk) disclosure(ctx context.Context, tx *store.Tx, ch *change, own BasisInput, f *cases.Fields) (cases.Basis, error) {
	if f != nil && f.Confirm.Kind != cases.BasisNone {
		return f.Confirm, nil
	}
	switch own.Kind {
	case cases.BasisRequest:
		return cases.Basis{Kind: cases.BasisRequest}, nil
	case cases.BasisConsent:
		held, err := d.Book.Consents(ctx, tx, []cases.ConsentID{own.Consent})
		if err != nil {
			return cases.Basis{}, err
		}
		c, err := consent(held, own.Consent, ch.side.Person, ledger.PurposeConfirm, ch.c.X, d.Now(), "answer.basis.consent_id")
		if err != nil {
			return cases.Basis{}, err
		}
		return cases.Basis{Kind: cases.BasisConsent, Consent: c.ID, TextHash: c.TextHash}, nil
	}
	return cases.Basis{}, nil
}

func bad(field, reason, zh string) error {
	return fault.Invalid(reason, "answer: %s", reason).Zh("%s", zh).On("answer." + field)
}

// checkAnswer holds an answer to DOMAIN section 3: the outcomes of its kind,
// and what each needs. Nothing here looks at the ledger, so MISROUTED is
// decided from the address alone.
func checkAnswer(s *fold.State, in AnswerInput) error {
	if !s.Kind.AnswersWith(in.Outcome) {
		return fault.Invalid("OUTCOME", "outcome %s is none of a case of kind %s", in.Outcome, s.Kind).Zh("这类案件没有该处理结果").On("answer.outcome")
	}
	needsArea := in.Outcome == cases.MovedOn || in.Outcome == cases.RegisteredElsewhere
	switch {
	case needsArea && in.Area == 0:
		return bad("area", "AREA_REQUIRED", "请填写去向或户籍所在地区划")
	case in.Area != 0 && !needsArea && in.Outcome != cases.Misrouted:
		return bad("area", "AREA_UNEXPECTED", "该处理结果不填区划")
	case in.Outcome == cases.Misrouted && in.Area != 0 && (in.Area.Level() < area.Prefecture || in.Area.Within(s.Y) || s.Y.Within(in.Area) || in.Area == s.X):
		return bad("area", "AREA_UNFIT", "改派地区应在原目的地之外（地级市以下）；本辖区内请由县级重新分发")
	case in.Outcome == cases.Unreachable && (in.Attempts == 0 || len(in.Channels) == 0):
		return bad("attempts", "ATTEMPTS_REQUIRED", "无法联系的，请填写联系次数和方式")
	case in.Outcome == cases.IdentityConflict && len(in.ConflictFields) == 0:
		return bad("conflict_fields", "FIELDS_REQUIRED", "请选择不一致的项目")
	case (in.Outcome == cases.Cannot || in.Outcome == cases.Partly) && in.Reason == "":
		return bad("reason", "REASON_REQUIRED", "请填写原因代码")
	case in.Outcome == cases.NoDisclosure && !slices.Contains(ledger.TrueReasons(), in.TrueReason):
		return bad("true_reason", "TRUE_REASON_REQUIRED", "请记录真实原因（拒绝、依法不提供、无资料、未询问），仅留存本单位")
	case in.Outcome != cases.NoDisclosure && in.TrueReason != "":
		return bad("true_reason", "TRUE_REASON_UNEXPECTED", "只有“本人未授权共享”需要记录真实原因")
	case in.Check != "" && !slices.Contains([]string{"visit", "call", "document"}, in.Check):
		return bad("check", "CHECK_CODE", "核实方式应为入户、电话或证件")
	}
	if utf8.RuneCountInString(in.Reason) > maxText {
		return bad("reason", "TEXT_LENGTH", "原因过长")
	}
	if in.Attempts > maxAttempts || len(in.Channels) > len(ledger.Channels()) || len(in.ConflictFields) > 5 {
		return bad("attempts", "TOO_MANY", "联系次数、方式或不一致项目过多")
	}
	for _, c := range in.Channels {
		if !slices.Contains(ledger.Channels(), c) {
			return bad("channels", "CHANNEL_CODE", "联系方式代码不正确")
		}
	}
	for _, f := range in.ConflictFields {
		if !slices.Contains([]string{"name", "document", "sex", "birth_date", "registered_area"}, f) {
			return bad("conflict_fields", "FIELD_NAME", "不一致项目的名称不正确")
		}
	}
	if in.Area != 0 && in.Area.Level() > area.None {
		if _, ok := area.Lookup(in.Area.Cut(area.Township)); !ok {
			return bad("area", "AREA_UNKNOWN", "区划不存在")
		}
	}
	return nil
}

// checkDuplicate allows only another case of the same opener about the same
// person between the same areas.
func (d *Desk) checkDuplicate(ctx context.Context, tx *store.Tx, ch *change, of cases.CaseID, bodies map[cases.ItemID]cases.Body) error {
	no := bad("duplicate_of", "DUPLICATE_OF", "重复通报应指向同一发起单位、同一人员的另一案件")
	if of.IsZero() || of == ch.c.ID {
		return no
	}
	cs, err := d.Book.Read(ctx, tx, []cases.CaseID{of})
	if err != nil {
		return err
	}
	o := cs[of]
	if o == nil || o.X != ch.c.X || book.OfficeOf(o.Y).Cut(area.County) != book.OfficeOf(ch.c.Y).Cut(area.County) {
		return no
	}
	other, err := d.Book.Bodies(ctx, tx, o, o.State.Fields)
	if err != nil {
		return err
	}
	a, b := book.Fields(ch.c, bodies), book.Fields(o, other)
	if a == nil || b == nil || a.DocumentNumber != b.DocumentNumber || a.DocumentNumber == "" && (a.Name != b.Name || a.Birth != b.Birth) {
		return no
	}
	return nil
}
