package desk

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// noticePurpose is what a consent must be for to let a case of a kind leave.
func noticePurpose(k cases.Kind) string {
	if k == cases.BirthService {
		return ledger.PurposeBirth
	}
	return ledger.PurposeNotice
}

// renew checks, before the opener begins another round, that what the notice
// relied on still holds. A consent to be confirmed that lapsed is taken out, so
// that the new answer discloses nothing; a case whose own basis lapsed is not
// asked about again.
func (d *Desk) renew(ctx context.Context, tx *store.Tx, ch *change, round uint32, f *cases.Fields) error {
	if f == nil {
		return nil
	}
	live := func(b cases.Basis, purpose string) (bool, error) {
		if b.Kind != cases.BasisConsent {
			return true, nil
		}
		return d.Book.Live(ctx, tx, b.Consent, purpose, ch.c.Y, d.Now())
	}
	ok, err := live(f.Basis, noticePurpose(ch.c.State.Kind))
	if err != nil {
		return err
	}
	if !ok {
		return fault.Conflict("CONSENT_LAPSED", "the consent under which case %s left was withdrawn or has expired", ch.c.ID).
			Zh("本人的同意已撤回或过期，不能再次要求办理；取得新的同意后请另行通报")
	}
	if ok, err = live(f.Confirm, ledger.PurposeConfirm); err != nil || ok {
		return err
	}
	g := *f
	g.Confirm = cases.Basis{}
	e := correction(ch.c, &g)
	e.Head.Round = round
	ch.entries = append(ch.entries, e)
	ch.warnings = append(ch.warnings, "本人同意被核实的授权已撤回或过期，本轮不再附带")
	return nil
}

// carry checks consents anew for a case that is opened towards another area:
// one to be confirmed that does not reach it is left out, and a notice whose own
// does not reach it may not leave.
func (d *Desk) carry(ctx context.Context, tx *store.Tx, ch *change, f *cases.Fields, to area.Key) error {
	for _, b := range []struct {
		basis   *cases.Basis
		purpose string
	}{{&f.Basis, noticePurpose(ch.c.State.Kind)}, {&f.Confirm, ledger.PurposeConfirm}} {
		if b.basis.Kind != cases.BasisConsent {
			continue
		}
		live, err := d.Book.Live(ctx, tx, b.basis.Consent, b.purpose, to, d.Now())
		switch {
		case err != nil:
			return err
		case !live && b.basis == &f.Basis:
			return fault.Invalid("CONSENT_SCOPE", "the notice's consent does not reach %s", to).Zh("原同意书不适用于新的目的地，请先取得本人同意").On("destination")
		case !live:
			*b.basis = cases.Basis{}
		}
	}
	return nil
}
