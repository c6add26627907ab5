package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// Edited lets the cases that an office opened about a person follow an edit of
// the person's file, inside the caller's transaction: with a new name or
// document those that wait are corrected, and the warnings tell of those that
// were answered. After the commit the caller runs After.
func (d *Desk) Edited(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, id cases.PersonID, fields []string) (people.Edited, error) {
	var out people.Edited
	if !slices.Contains(fields, "name") && !slices.Contains(fields, "documents") {
		return out, nil
	}
	f, _, err := d.People.ProfileOf(ctx, tx, id)
	if err != nil {
		return out, err
	}
	group, err := tx.GroupOf(ctx, id)
	if err != nil {
		return out, err
	}
	followed, err := d.Follow(ctx, tx, p, group, FollowEvent{Office: office, Kind: ledger.Identity, Name: f.Name, Doc: f.Current(), Sex: f.Sex, Birth: f.Birth})
	if err != nil {
		return out, err
	}
	for _, c := range followed {
		if c.Change == FollowCorrected {
			out.Corrected = append(out.Corrected, c.Case)
		}
		if c.Warning != "" && !slices.Contains(out.Warnings, c.Warning) {
			out.Warnings = append(out.Warnings, c.Warning)
		}
	}
	out.After = func(ctx context.Context) { d.FollowedUp(ctx, followed) }
	return out, nil
}
