package people

import (
	"context"
	"slices"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/match"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// MergeRequest is about two files of one office.
type MergeRequest struct {
	RequestID string
	Person    cases.PersonID // the file that stays
	Other     cases.PersonID // the file that is shown with it from now on
	Reason    string
}

// Merge says that two files of an office are of one person. Nothing moves:
// cases, consents, movements and services stay with the file they are in, and
// are read together. Whom either file was offered to in a round is not asked
// again in it. An offer that both files have in a period stays two in the
// office's tally: it was made twice, and taking one out could not be undone with
// the merge, after which either may have changed. A file that has others merged into it, or was merged
// itself, is refused: undo that first; so one merge is always undone alone.
func (l *People) Merge(ctx context.Context, p access.Principal, r MergeRequest) (File, error) {
	if err := checkReason(r.Reason); err != nil {
		return File{}, err
	}
	d := decision{method: "merge", requestID: r.RequestID, a: r.Person, b: r.Other, show: r.Person, hash: l.HashOf(r)}
	return l.decide(ctx, p, d, func(tx *store.Tx, rows []store.PersonRow) error {
		keep, other := pick(rows, r.Person), pick(rows, r.Other)
		if err := l.mergeable(ctx, tx, keep, other); err != nil {
			return err
		}
		score, err := l.compare(keep, other)
		if err != nil {
			return err
		}
		if err := tx.MergeInto(ctx, other.ID, keep.ID, true); err != nil {
			return err
		}
		d := store.Duplicate{A: keep.ID, B: other.ID, Office: keep.Office, Score: score.Score, Reasons: uint32(score.Reasons), State: store.DuplicateMerged}
		if err := tx.DecideDuplicate(ctx, d, p.ID); err != nil {
			return err
		}
		return l.note(ctx, tx, p, ledger.EventMerged, r.Reason, keep, other)
	})
}

func (l *People) mergeable(ctx context.Context, tx *store.Tx, keep, other *store.PersonRow) error {
	switch {
	case keep.Office != other.Office:
		return fault.Invalid("OTHER_OFFICE", "the two files are of two offices").Zh("只能合并同一单位的档案").On("other_id")
	case !keep.MergedInto.IsZero():
		return fault.Conflict("MERGED", "the file that is to stay was merged into another").Zh("保留的档案已并入另一份档案，请改用那一份，或先撤销合并").On("person_id")
	case !other.MergedInto.IsZero():
		return fault.Conflict("MERGED", "the other file was merged already").Zh("该档案已并入另一份档案，请先撤销合并").On("other_id")
	case keep.Restricted != other.Restricted:
		return fault.Conflict("RESTRICTED_DIFFERS", "one of the two files is restricted").
			Zh("两份档案中有一份已限制查看，不能直接合并：请先解除限制，或把另一份也限制给同样的两名经办人，合并后一同保密").On("other_id")
	}
	if keep.Restricted {
		keepers, err := tx.KeepersOf(ctx, []cases.PersonID{keep.ID, other.ID})
		if err != nil {
			return err
		}
		if !slices.Equal(keepers[keep.ID], keepers[other.ID]) {
			return fault.Conflict("RESTRICTED_DIFFERS", "the two files are restricted to different keepers").
				Zh("两份档案限制给了不同的经办人，不能直接合并：请先解除其中一份的限制，再限制给与另一份相同的两名经办人").On("other_id")
		}
	}
	below, err := tx.MergedInto(ctx, []cases.PersonID{other.ID})
	if err == nil && len(below) > 0 {
		return fault.Conflict("HAS_MERGED", "%d files were merged into the other", len(below)).
			Zh("另有档案已并入要合并的这份档案：请把它作为保留的一份，或先撤销那次合并").On("other_id")
	}
	return err
}

func (l *People) compare(a, b *store.PersonRow) (match.Result, error) {
	f, err := l.open(a)
	if err != nil {
		return match.Result{}, err
	}
	g, err := l.open(b)
	if err != nil {
		return match.Result{}, err
	}
	return match.Compare(Describe(&f), Describe(&g)), nil
}

// UnmergeRequest undoes a merge.
type UnmergeRequest struct {
	RequestID string
	Person    cases.PersonID // the file that was merged into another
	Reason    string
}

// Unmerge undoes a merge; everything is as it was before it. The proposal is
// open again where the two are alike.
func (l *People) Unmerge(ctx context.Context, p access.Principal, r UnmergeRequest) (File, error) {
	if err := checkReason(r.Reason); err != nil {
		return File{}, err
	}
	d := decision{method: "unmerge", requestID: r.RequestID, a: r.Person, show: r.Person, hash: l.HashOf(r)}
	return l.decide(ctx, p, d, func(tx *store.Tx, rows []store.PersonRow) error {
		row := pick(rows, r.Person)
		root := row.MergedInto
		switch {
		case root.IsZero():
			return fault.Conflict("NOT_MERGED", "the file was not merged into another").Zh("该档案没有并入其他档案").On("person_id")
		case pick(rows, root) == nil: // restricted or erased meanwhile
			return NotFound().On("person_id")
		}
		if err := tx.MergeInto(ctx, row.ID, root, false); err != nil {
			return err
		}
		if err := tx.ReopenDuplicate(ctx, row.ID, root, match.Near, p.ID); err != nil {
			return err
		}
		return l.note(ctx, tx, p, ledger.EventUnmerged, r.Reason, row, pick(rows, root))
	})
}

// DismissRequest dismisses a proposal.
type DismissRequest struct {
	RequestID string
	A, B      cases.PersonID
}

// Dismiss says that two files are of two persons; they are not proposed again.
func (l *People) Dismiss(ctx context.Context, p access.Principal, r DismissRequest) error {
	d := decision{method: "dismiss", requestID: r.RequestID, a: r.A, b: r.B, hash: l.HashOf(r)}
	_, err := l.decide(ctx, p, d, func(tx *store.Tx, rows []store.PersonRow) error {
		a, b := pick(rows, r.A), pick(rows, r.B)
		switch {
		case a.Office != b.Office:
			return fault.Invalid("OTHER_OFFICE", "the two files are of two offices").Zh("两份档案不属于同一单位").On("other_id")
		case a.MergedInto == b.ID || b.MergedInto == a.ID:
			return fault.Conflict("MERGED", "the two files are merged").Zh("两份档案已合并，请先撤销合并").On("other_id")
		}
		score, err := l.compare(a, b)
		if err != nil {
			return err
		}
		d := store.Duplicate{A: a.ID, B: b.ID, Office: a.Office, Score: score.Score, Reasons: uint32(score.Reasons), State: store.DuplicateDismissed}
		return tx.DecideDuplicate(ctx, d, p.ID)
	})
	return err
}

// decision is what is common to what is decided about files.
type decision struct {
	method, requestID string
	a, b              cases.PersonID // b zero: about one file
	show              cases.PersonID // whose file is the answer; zero: nobody's
	hash              [32]byte
}

// decide locks the files that a decision names and lets fn decide; a file that
// is not there, or not the caller's to see, is logged as a miss.
func (l *People) decide(ctx context.Context, p access.Principal, d decision, fn func(*store.Tx, []store.PersonRow) error) (File, error) {
	var out File
	if err := l.Allow(ctx, p, access.PersonWrite, 0); err != nil {
		return out, err
	}
	if err := usher.CheckRequestID(d.requestID); err != nil {
		return out, err
	}
	if d.a == d.b {
		return out, fault.Invalid("SAME_PERSON", "both are the same file").Zh("两份档案是同一份").On("other_id")
	}
	if len(p.Offices) == 0 {
		return out, NotFound().On("person_id")
	}
	var miss error
	err := l.In(ctx, p, func(tx *store.Tx) error {
		out, miss = File{}, nil
		ids, err := l.withRoot(ctx, tx, d)
		if err != nil {
			return err
		}
		rows, err := tx.LockPersonRows(ctx, ids)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r store.PersonRow) bool { return r.Erased || !access.Can(p, access.PersonWrite, r.Office) })
		a, b := pick(rows, d.a), pick(rows, d.b)
		switch {
		case a == nil:
			miss = NotFound().On("person_id")
		case b == nil && !d.b.IsZero():
			miss = NotFound().On("other_id")
		}
		if miss != nil {
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: p.FirstOffice(), Verb: access.PersonWrite, Purpose: d.method})
		}
		event := store.Access{Principal: p, Office: a.Office, Verb: access.PersonWrite, Purpose: d.method}
		for i := range rows {
			event.Subjects = append(event.Subjects, rows[i].ID)
		}
		req := store.Request{Account: p.ID, RequestID: d.requestID, Office: a.Office, Method: d.method, Hash: d.hash}
		done, err := l.Repeated(ctx, tx, req)
		if err != nil {
			return err
		}
		if !done {
			if err := fn(tx, rows); err != nil {
				return err
			}
			if err := tx.AddRequests(ctx, []store.Request{req}); err != nil {
				return err
			}
		}
		if d.show.IsZero() {
			return tx.LogAccess(ctx, event)
		}
		group, err := l.group(ctx, tx, d.show)
		if err != nil {
			return err
		}
		for i := range group {
			if !slices.Contains(event.Subjects, [16]byte(group[i].ID)) {
				event.Subjects = append(event.Subjects, group[i].ID)
			}
		}
		if out, err = l.view(ctx, tx, group); err != nil {
			return err
		}
		return tx.LogAccess(ctx, event)
	})
	if err == nil {
		err = miss
	}
	return out, err
}

// withRoot is the files of a decision, and of one that is about one file alone
// that into which it was merged.
func (l *People) withRoot(ctx context.Context, tx *store.Tx, d decision) ([]cases.PersonID, error) {
	if !d.b.IsZero() {
		return []cases.PersonID{d.a, d.b}, nil
	}
	group, err := tx.GroupOf(ctx, d.a)
	if err != nil || len(group) == 0 || group[0] == d.a {
		return []cases.PersonID{d.a}, err
	}
	return []cases.PersonID{d.a, group[0]}, nil
}

func pick(rows []store.PersonRow, id cases.PersonID) *store.PersonRow {
	i := slices.IndexFunc(rows, func(r store.PersonRow) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

func checkReason(r string) error {
	switch {
	case r == "":
		return fault.Invalid("REQUIRED", "reason is missing").Zh("请填写原因").On("reason")
	case utf8.RuneCountInString(r) > maxReason:
		return fault.Invalid("TEXT_LENGTH", "reason has more than %d characters", maxReason).Zh("原因最多 %d 字", maxReason).On("reason")
	}
	return nil
}

// note writes a line into the histories of files; nothing in them changes.
func (l *People) note(ctx context.Context, tx *store.Tx, p access.Principal, kind ledger.EventKind, reason string, rows ...*store.PersonRow) error {
	for _, row := range rows {
		if err := l.Note(ctx, tx, p, row, kind, civil.In(l.Now()), ledger.Event{Reason: reason}); err != nil {
			return err
		}
	}
	return nil
}
