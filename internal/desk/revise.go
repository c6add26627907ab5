package desk

import (
	"context"
	"crypto/sha256"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ident"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Correct replaces the fields of a case that still waits.
func (d *Desk) Correct(ctx context.Context, p access.Principal, r CorrectRequest) (CaseView, []string, error) {
	pol, err := d.policyAt(ctx)
	if err != nil {
		return CaseView{}, nil, err
	}
	v := verb{method: "correct", access: access.CaseChange, fold: fold.VerbCorrect, side: cases.SideOpener}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, _ map[cases.ItemID]cases.Body) error {
		kind := ch.c.State.Kind
		f, doc, warnings, err := d.checkFields(r.Fields, kind)
		if err != nil {
			return err
		}
		if err := d.samePerson(ctx, tx, &ch.side, doc); err != nil {
			return err
		}
		held, err := d.Book.Consents(ctx, tx, consentsCited(r.Fields))
		if err != nil {
			return err
		}
		if err := d.bindBases(f, r.Fields, kind, ch.c.Y, pol, held, ch.side.Person); err != nil {
			return err
		}
		if err := d.guardChange(ctx, tx, p, ch, cases.Correct); err != nil {
			return err
		}
		ch.warnings = warnings
		ch.entries = []book.Entry{correction(ch.c, f)}
		return nil
	}
	return d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)})
}

// samePerson keeps a correction from turning a notice into one about somebody
// else of the ledger: the limits of SECURITY D2 are counted per person.
func (d *Desk) samePerson(ctx context.Context, tx *store.Tx, side *store.Side, doc ident.Doc) error {
	ids, _, err := d.People.Find(ctx, tx, []people.Ref{{Office: side.Office, Doc: doc}})
	if err != nil || ids[0].IsZero() {
		return err
	}
	group, err := tx.GroupOf(ctx, side.Person)
	if err != nil || slices.Contains(group, ids[0]) {
		return err
	}
	return fault.Conflict("PERSON_EXISTS", "the document is that of another file of the office").
		Zh("该证件属于本单位台帐中的另一人员，不能用更正把通报改为他人；需通报另一人的，请撤回本件后另行发起").On("fields.document")
}

func correction(c *book.Case, f *cases.Fields) book.Entry {
	return book.Entry{Case: c, Body: cases.Body{Fields: f}, Head: cases.Head{Kind: cases.Correct, Side: cases.SideOpener, Round: c.State.Current.N}}
}

// Distribute gives cases that are addressed to a county to one of its
// townships on this node.
func (d *Desk) Distribute(ctx context.Context, p access.Principal, r DistributeRequest) ([]ChangeResult, error) {
	v := verb{method: "distribute", access: access.CaseDistribute, fold: fold.VerbAssign, side: cases.SideReceiver, wrong: d.checkDistribute(r)}
	v.make = func(_ context.Context, _ *store.Tx, ch *change, _ map[cases.ItemID]cases.Body) error {
		if !r.Township.Within(ch.c.Y) {
			return fault.Invalid("NOT_WITHIN", "township %s does not lie in %s", r.Township, ch.c.Y).Zh("该乡镇不在案件的目的地辖区内").On("township")
		}
		e := note(cases.Assign, ch, "")
		e.Head.Area = r.Township
		ch.entries = []book.Entry{e}
		return nil
	}
	chs := make([]*change, len(r.Refs))
	for i, ref := range r.Refs {
		chs[i] = &change{requestID: partID(r.RequestID, ref.Case), ref: ref, hash: d.HashOf(struct {
			Ref      CaseRef
			Township area.Key
		}{ref, r.Township})}
	}
	if err := d.run(ctx, p, v, chs); err != nil {
		return nil, err
	}
	return results(chs), nil
}

func (d *Desk) checkDistribute(r DistributeRequest) error {
	if err := usher.TooMany(len(r.Refs)); err != nil {
		return err
	}
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return err
	}
	if _, ok := area.Lookup(r.Township); !ok || r.Township.Level() != area.Township {
		return fault.Invalid("AREA_UNKNOWN", "area %s is no township", r.Township).Zh("没有这个乡镇（街道）").On("township")
	}
	if !d.Book.IsHome(r.Township) {
		return fault.Invalid("OTHER_NODE", "township %s is served by another node", r.Township).Zh("该乡镇由其他节点办理，请用“非本辖区”改派").On("township")
	}
	return nil
}

// partID names the part of a bulk request that is about one case.
func partID(requestID string, id cases.CaseID) string {
	h := sha256.Sum256([]byte(requestID + "/" + id.String()))
	return "p-" + cases.CaseID(h[:16]).String()
}

// Reroute opens a case anew towards another area where a person must decide:
// it was answered MISROUTED without an area, or rerouted too often.
func (d *Desk) Reroute(ctx context.Context, p access.Principal, r RerouteRequest) (CaseView, error) {
	pol, err := d.policyAt(ctx)
	if err != nil {
		return CaseView{}, err
	}
	v := verb{method: "reroute", access: access.CaseChange, fold: fold.VerbReroute, side: cases.SideOpener, reads: true}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
		s := &ch.c.State
		if a := bodies[s.Answer].Answer; a == nil || a.Outcome != cases.Misrouted {
			return fault.Conflict("STATE_FORBIDS", "case %s was not answered MISROUTED", ch.c.ID).Zh("只有答复为“非本辖区”的案件可以改派")
		}
		if r.Destination == ch.c.Y {
			return fault.Invalid("SAME_AREA", "case %s was addressed there before", ch.c.ID).Zh("不能改派回原地区").On("destination")
		}
		if err := d.checkAreas(ch.c.X, r.Destination, civil.In(d.Now()), pol); err != nil {
			return err
		}
		f := book.Fields(ch.c, bodies)
		if f == nil {
			return fault.Conflict("ERASED", "fields of case %s are erased", ch.c.ID).Zh("该案件的人员信息已删除，无法改派")
		}
		if err := d.openAnew(ctx, tx, ch, *f, r.Destination, pol); err != nil {
			return err
		}
		return takeNote(ctx, tx, ch, d.Now())
	}
	ch := &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)}
	view, _, err := d.one(ctx, p, v, ch)
	switch {
	case err != nil:
		return view, err
	case ch.fresh != nil:
		return d.viewOf(ch.fresh.Project(cases.SideOpener, ch.side.Office)), nil
	}
	// Repeated: the case that was opened then.
	err = d.In(ctx, p, func(tx *store.Tx) error {
		sides, err := tx.SidesOf(ctx, []cases.CaseID{rerouteID(d.Book.Self, ch)})
		for _, s := range sides {
			if s.Side == cases.SideOpener {
				view = d.viewOf(s)
			}
		}
		return err
	})
	return view, err
}
