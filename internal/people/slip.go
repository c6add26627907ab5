package people

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// slipReads is how many looks a slip shows, the newest.
const slipReads = 200

// Slip is what a person who is present gets to see about their own record. It
// shows no address and no area where the person lives (SECURITY D11).
type Slip struct {
	Name     string
	Reads    []store.Read // newest first
	Cases    []SlipCase   // newest first
	Consents []ledger.Consent
}

// SlipCase is a case about the person, and who asked.
type SlipCase struct {
	store.Side
	AskedBy area.Key
}

// GetSlip makes the slip of a person who is present; recognisedBy is "document"
// or "known". Making it is itself a look, which the next slip shows.
func (l *People) GetSlip(ctx context.Context, p access.Principal, id cases.PersonID, recognisedBy string) (Slip, error) {
	if recognisedBy != "document" && recognisedBy != "known" {
		return Slip{}, fault.Invalid("RECOGNISED_BY", "a slip is given to a person who was recognised by document or is known").
			Zh("查看单只交给到场的本人：请注明核对了证件（document）或认识本人（known）").On("recognised_by")
	}
	var s Slip
	err := l.with(ctx, p, access.PersonSlip, id, "slip: "+recognisedBy, func(tx *store.Tx, group []store.PersonRow) error {
		s = Slip{}
		key, err := l.keyOf(&group[0])
		if err != nil {
			return err
		}
		f, err := OpenProfile(key, &group[0])
		if err != nil {
			return err
		}
		s.Name = f.Name
		sides, err := l.sides(ctx, tx, group)
		if err != nil {
			return err
		}
		subjects := make([][16]byte, 0, len(group)+len(sides))
		for i := range group {
			subjects = append(subjects, group[i].ID)
		}
		for i := range sides { // a notice is read under its own id until it is paired
			subjects = append(subjects, sides[i].Case)
			s.Cases = append(s.Cases, SlipCase{Side: sides[i], AskedBy: sides[i].X.Cut(area.Township)})
		}
		if s.Reads, err = tx.ReadsOf(ctx, subjects, slipReads); err != nil {
			return err
		}
		return l.slipConsents(ctx, tx, group, &s)
	})
	if err != nil {
		return Slip{}, err
	}
	return s, nil
}

func (l *People) slipConsents(ctx context.Context, tx *store.Tx, group []store.PersonRow, s *Slip) error {
	for i := range group {
		if group[i].Erased {
			continue
		}
		key, err := l.keyOf(&group[i])
		if err != nil {
			return err
		}
		rows, err := tx.ConsentsOf(ctx, group[i].ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			c, err := book.OpenConsent(key, row)
			if err != nil {
				return err
			}
			s.Consents = append(s.Consents, c)
		}
	}
	slices.SortStableFunc(s.Consents, func(a, b ledger.Consent) int { return b.GivenAt.Compare(a.GivenAt) })
	return nil
}
