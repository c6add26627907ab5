package closing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// KeptKey names the file of a report of frozen figures.
type KeptKey struct {
	Kind     figures.ReportKind
	Area     area.Key
	Period   policy.Period
	Revision uint32
	Format   uint8  // of the file
	View     string // what of it the caller sees (ReportData.View)
}

// Kept returns the file of a report of frozen figures as it was first made, and
// makes and keeps it where there is none: a later program, which would write
// other bytes, gives the same ones. layout is of this program's files. render is
// called at most once; of two at a time that make one, both get the first. It is
// for frozen figures alone, and what it keeps names no person. Errors: those of
// render, and Internal KEPT_REPORT where the database has changed it.
func (c *Closing) Kept(ctx context.Context, p access.Principal, key KeptKey, layout int, render func() ([]byte, error)) ([]byte, error) {
	if err := c.Allow(ctx, p, access.RatesRead, key.Area); err != nil {
		return nil, err
	}
	r := store.MadeReport{Area: key.Area, Kind: uint8(key.Kind), Period: key.Period.String(), Revision: key.Revision, Format: key.Format, View: key.View}
	kept := false
	err := c.DB.InExchange(ctx, []area.Key{key.Area}, func(tx *store.Tx) (err error) {
		kept, err = tx.KeptReport(ctx, &r)
		return err
	})
	if err == nil && !kept {
		r, err = c.firstMade(ctx, r, layout, render)
	}
	switch {
	case err != nil:
		return nil, err
	case sha256.Sum256(r.Content) != r.Digest:
		return nil, fault.Internal("KEPT_REPORT", "kept report has changed")
	}
	return r.Content, nil
}

func (c *Closing) firstMade(ctx context.Context, r store.MadeReport, layout int, render func() ([]byte, error)) (store.MadeReport, error) {
	content, err := render()
	if err != nil {
		return r, err
	}
	made := r
	made.Layout, made.Content, made.Digest, made.MadeAt = layout, content, sha256.Sum256(content), c.Now()
	offices := []area.Key{r.Area}
	if err := c.DB.InExchange(ctx, offices, func(tx *store.Tx) error { return tx.KeepReport(ctx, &made) }); err != nil {
		return r, err
	}
	// Read anew: somebody else's may have come first.
	err = c.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		kept, err := tx.KeptReport(ctx, &r)
		if err == nil && !kept {
			err = fault.Internal("KEPT_REPORT", "report was not kept")
		}
		return err
	})
	return r, err
}

// Frozen reports whether the figures are those of a frozen revision.
func (r *ReportData) Frozen() bool { return r.Basis == rates.Frozen }

// Key names the file of the report in a format for a caller. Who works at an
// area sees figures of it that others do not: callers who work at the same ones
// of its areas have the same view.
func (r *ReportData) Key(p access.Principal, format uint8) KeptKey {
	var own []area.Key
	for i := range r.Figures {
		if k := r.Figures[i].Area; owns(p, k) {
			own = append(own, k)
		}
	}
	slices.SortFunc(own, cmp.Compare)
	view := make([]string, 0, len(own))
	for _, k := range slices.Compact(own) {
		view = append(view, k.String())
	}
	return KeptKey{Kind: r.Kind, Area: r.Area, Period: r.Period, Revision: r.Revision, Format: format, View: strings.Join(view, " ")}
}
