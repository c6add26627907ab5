package people

import (
	"bytes"
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Exists is the error of a document that another file of the office has. It
// names no one.
func Exists() *fault.Error {
	return fault.Conflict("PERSON_EXISTS", "the office has a file with this document").
		Zh("本单位台帐中已有使用该证件的人员，请先按证件号码查找").On("profile.documents")
}

// Register adds the file of a person from a day on, with the first line of its
// history. The caller has authorised. Errors: Invalid by the rules of DOMAIN
// section 5, Conflict PERSON_EXISTS.
func (l *People) Register(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, f Profile, on civil.Date) (cases.PersonID, []string, error) {
	d, err := l.Draft(ctx, tx, p, office, f, on)
	if err != nil {
		return cases.PersonID{}, nil, err
	}
	return d.Row.ID, d.Warnings, l.Enter(ctx, tx, d)
}

// Enter adds the file of a draft, with its history; Conflict PERSON_EXISTS.
func (l *People) Enter(ctx context.Context, tx *store.Tx, d *Draft) error {
	var documents [][]byte
	for i := range d.Profile.Documents {
		if doc := &d.Profile.Documents[i]; doc.Number != "" && !doc.Former {
			for _, x := range l.indexesOf(d.Row.Office, useDocument, matchOf(doc.Doc())) {
				documents = append(documents, x[:])
			}
		}
	}
	add := func(ctx context.Context, row *store.PersonRow) (bool, error) {
		all, err := tx.AddFile(ctx, row, documents)
		documents = nil // those that a hidden file has are not looked for again
		return all, err
	}
	if err := l.put(ctx, tx, &d.Row, &d.Profile, d.found, add); err != nil {
		return err
	}
	if err := d.found.writeNew(ctx, tx, &d.Row); err != nil {
		return err
	}
	return tx.AddPersonEvents(ctx, d.events)
}

// checkFile is check with what only the database knows: the villages.
func (l *People) checkFile(ctx context.Context, tx *store.Tx, f, before *Profile, on civil.Date) ([]string, error) {
	today := civil.In(l.Now())
	if on.After(today) {
		return nil, fault.Invalid("FUTURE_DATE", "event date lies in the future").Zh("发生日期不能晚于今天").On("event_date")
	}
	c, err := check(f, before, on, today)
	if err != nil || len(c.villages) == 0 {
		return warningsOf(c), err
	}
	for _, v := range c.villages {
		names, loaded, err := tx.Villages(ctx, []area.Key{v.key})
		if err != nil {
			return nil, err
		}
		if _, ok := names[v.key]; loaded && !ok {
			return nil, unknownArea(v.key, v.field, v.zh)
		}
	}
	return c.warnings, nil
}

func warningsOf(c *checker) []string {
	if c == nil {
		return nil
	}
	return c.warnings
}

// known refuses documents that another file of the office has.
func (l *People) known(ctx context.Context, tx *store.Tx, office area.Key, f *Profile, self cases.PersonID) error {
	var refs []Ref
	for i := range f.Documents {
		if d := &f.Documents[i]; d.Number != "" && !d.Former {
			refs = append(refs, Ref{Office: office, Doc: d.Doc()})
		}
	}
	ids, _, err := l.Find(ctx, tx, refs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id.IsZero() || id == self {
			continue
		}
		if root, err := l.Root(ctx, tx, id); err != nil || root != self {
			if err != nil && !fault.Is(err, fault.KindNotFound) {
				return err
			}
			return Exists()
		}
	}
	return nil
}

// findable is what finds a file beside its row.
type findable struct {
	lookups []store.Lookup
	former  []store.FormerName
	key     []byte
}

func (f *findable) add(use int16, ix [16]byte) {
	same := func(o store.Lookup) bool { return o.Use == use && o.Index == ix }
	if !slices.ContainsFunc(f.lookups, same) {
		f.lookups = append(f.lookups, store.Lookup{Use: use, Index: ix, Key: f.key})
	}
}

// besideHidden moves the document's index out of the row.
func (f *findable) besideHidden(row *store.PersonRow) {
	f.add(store.LookupDocument, [16]byte(row.DocIndex))
	row.DocIndex = nil
}

func (f *findable) write(ctx context.Context, tx *store.Tx, row *store.PersonRow) error {
	if err := tx.SetLookups(ctx, row.Office, row.ID, f.lookups); err != nil {
		return err
	}
	return tx.SetFormerNames(ctx, row.Office, row.ID, f.former)
}

// writeNew is write for a file that was not there before.
func (f *findable) writeNew(ctx context.Context, tx *store.Tx, row *store.PersonRow) error {
	if err := tx.AddLookups(ctx, row.Office, row.ID, f.lookups); err != nil {
		return err
	}
	return tx.AddFormerNames(ctx, row.Office, row.ID, f.former)
}

// fill writes a checked profile into a row.
func (l *People) fill(row *store.PersonRow, key *seal.DataKey, f *Profile) (*findable, error) {
	row.Name, row.Sex, row.Birth = ident.NormalizeName(f.Name), f.Sex, f.Birth
	row.Initials, row.IndexKey = Initials(row.Name), l.indexKey()
	row.Registered, row.Managed, row.Living = f.Registered, f.Managed, f.Living
	row.DocKind, row.Doc, row.DocIndex, row.Last4, row.Phone, row.PhoneIndex = uint32(ident.KindNone), nil, nil, nil, nil, nil
	row.Household, row.DocOK = [16]byte{}, false
	ix := func(use, v string) [16]byte { return indexOf(l.Keys.Index(), row.Office, use, v) }
	out := &findable{key: row.IndexKey}
	current := f.Current()
	for i := range f.Documents {
		doc := f.Documents[i].Doc()
		if doc.Number == "" {
			continue
		}
		d, l4 := ix(useDocument, matchOf(doc)), ix(useLast4, last4Of(doc.Number))
		if doc.Number == current.Number && doc.Kind == current.Kind && row.Doc == nil {
			row.DocKind, row.Doc, row.DocIndex, row.Last4 = uint32(doc.Kind), box(key, row.ID, "doc", doc.Number), d[:], l4[:]
			row.DocOK = docOK(&f.Documents[i])
		} else {
			out.add(store.LookupDocument, d)
			out.add(store.LookupLast4, l4)
		}
		if m := doc.Match18(); m != doc.Number { // the card of today shows this end
			out.add(store.LookupLast4, ix(useLast4, last4Of(m)))
		}
	}
	for _, c := range f.Contacts {
		if c.Kind != ledger.ContactPhone {
			continue
		}
		x := ix(usePhone, phoneKey(c.Value))
		if row.Phone == nil {
			row.Phone, row.PhoneIndex = box(key, row.ID, "phone", c.Value), x[:]
		} else {
			out.add(store.LookupPhone, x)
		}
	}
	for _, n := range f.FormerNames {
		n = ident.NormalizeName(n)
		out.former = append(out.former, store.FormerName{Name: n, Initials: Initials(n)})
	}
	if f.Household != "" {
		row.Household = ix(useHousehold, f.Household)
	}
	var err error
	row.Profile, err = SealProfile(key, row.ID, f)
	return out, err
}

// docOK reports whether a document passes its check, or somebody confirmed it.
func docOK(d *ledger.Document) bool {
	if d.Number == "" || d.Kind == ident.KindNone {
		return false
	}
	_, doubts, err := ident.Parse(d.Kind, d.Number)
	return err == nil && (d.Confirmed != "" || !slices.ContainsFunc(doubts, func(w ident.Warning) bool { return w.Code == ident.WarnCheckDigit }))
}

// Change lets edit change the profile of a file, from a day on, and appends what
// changed to its history: an EventEdited only where something did, another kind
// always. The row is locked until the transaction ends. It follows merges. The
// caller has authorised. What a person decided about services is no change of a
// file and never comes this way.
func (l *People) Change(ctx context.Context, tx *store.Tx, p access.Principal, id cases.PersonID, kind ledger.EventKind, on civil.Date, reason string, edit func(*Profile) error) ([]string, error) {
	row, key, err := l.lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	_, warnings, err := l.ChangeRow(ctx, tx, p, row, key, kind, on, reason, edit)
	return warnings, err
}

// ChangeRow is Change for a file that the transaction has locked and read since,
// and which stands for itself. It returns the profile as it is then.
func (l *People) ChangeRow(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, reason string, edit func(*Profile) error) (Profile, []string, error) {
	if len([]rune(reason)) > maxReason {
		return Profile{}, nil, fault.Invalid("TEXT_LENGTH", "reason has more than %d characters", maxReason).Zh("理由最多 %d 字", maxReason).On("reason")
	}
	before, err := OpenProfile(key, row)
	if err != nil {
		return before, nil, err
	}
	after := before.Clone()
	if err := edit(&after); err != nil {
		return before, nil, err
	}
	after.Refusals = before.Refusals
	warnings, err := l.checkFile(ctx, tx, &after, &before, on)
	if err != nil {
		return before, nil, err
	}
	if ledger.Changed(&before, &after) == nil {
		if kind == ledger.EventEdited {
			return before, warnings, nil
		}
		return before, warnings, l.history(ctx, tx, p, row, key, kind, on, reason, &before, &after)
	}
	if changed(&before, &after, "documents") {
		if err := l.known(ctx, tx, row.Office, &after, row.ID); err != nil {
			return before, nil, err
		}
	}
	if err := l.rewrite(ctx, tx, row, key, &before, &after); err != nil {
		return before, nil, err
	}
	return after, warnings, l.history(ctx, tx, p, row, key, kind, on, reason, &before, &after)
}

// rewrite writes a changed profile into its row and beside it.
func (l *People) rewrite(ctx context.Context, tx *store.Tx, row *store.PersonRow, key *seal.DataKey, before, after *Profile) error {
	index, stamp := row.DocIndex, row.IndexKey
	found, err := l.fill(row, key, after)
	if err != nil {
		return err
	}
	if !bytes.Equal(index, row.DocIndex) {
		if err := l.put(ctx, tx, row, after, found, tx.PutFile); err != nil {
			return err
		}
		return found.write(ctx, tx, row)
	}
	if err := tx.PutKnownFile(ctx, row); err != nil {
		return err
	}
	stands := func(field string) bool { return !changed(before, after, field) }
	if bytes.Equal(stamp, row.IndexKey) && stands("documents") && stands("contacts") && stands("former_names") {
		return nil
	}
	return found.write(ctx, tx, row)
}

// put writes a row. Where another file has its document after all, that is one
// which a concurrent request wrote, or one that the caller may not see: then this
// one is found by the document all the same, as if the other were not there
// (SECURITY D11).
func (l *People) put(ctx context.Context, tx *store.Tx, row *store.PersonRow, f *Profile, found *findable, write func(context.Context, *store.PersonRow) (bool, error)) error {
	written, err := write(ctx, row)
	if err != nil || written {
		return err
	}
	if err := l.known(ctx, tx, row.Office, f, row.ID); err != nil {
		return err
	}
	found.besideHidden(row)
	if written, err = write(ctx, row); err == nil && !written {
		err = fault.Internal("PERSON_PUT", "a file without index was not written")
	}
	return err
}

// changed reports whether a field of the history's differs.
func changed(before, after *Profile, field string) bool {
	return before.Values()[field] != after.Values()[field]
}

// lock reads a file for a change, following merges.
func (l *People) lock(ctx context.Context, tx *store.Tx, id cases.PersonID) (*store.PersonRow, *seal.DataKey, error) {
	root, err := l.Root(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	rows, err := tx.LockPersonRows(ctx, []cases.PersonID{root})
	if err != nil {
		return nil, nil, err
	}
	if len(rows) == 0 || !rows[0].MergedInto.IsZero() {
		return nil, nil, NotFound()
	}
	key, err := l.keyOf(&rows[0])
	return &rows[0], key, err
}

// ProfileOf reads the profile of a file, and its key; NotFound where nobody is
// there to be seen. It does not follow merges. The caller logs the read.
func (l *People) ProfileOf(ctx context.Context, tx *store.Tx, id cases.PersonID) (Profile, *seal.DataKey, error) {
	rows, err := tx.PersonsByID(ctx, []cases.PersonID{id})
	if err != nil {
		return Profile{}, nil, err
	}
	if len(rows) == 0 {
		return Profile{}, nil, NotFound()
	}
	key, err := l.keyOf(&rows[0])
	if err != nil {
		return Profile{}, nil, err
	}
	f, err := OpenProfile(key, &rows[0])
	return f, key, err
}

// maxMerges bounds how far merges are followed; a chain is never that long.
const maxMerges = 16

// Root follows merges to the file that stands for the person.
func (l *People) Root(ctx context.Context, tx *store.Tx, id cases.PersonID) (cases.PersonID, error) {
	for range maxMerges {
		rows, err := tx.PersonsByID(ctx, []cases.PersonID{id})
		switch {
		case err != nil:
			return id, err
		case len(rows) == 0 || rows[0].Erased:
			return id, NotFound()
		case rows[0].MergedInto.IsZero():
			return id, nil
		}
		id = rows[0].MergedInto
	}
	return id, fault.Internal("MERGE_CHAIN", "merges of a file do not end")
}

// Group returns the file that stands for the person, and after it all files that
// were merged into it.
func (l *People) Group(ctx context.Context, tx *store.Tx, id cases.PersonID) ([]cases.PersonID, error) {
	root, err := l.Root(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	return l.GroupOf(ctx, tx, root)
}

// GroupOf is Group for a file that stands for the person.
func (l *People) GroupOf(ctx context.Context, tx *store.Tx, root cases.PersonID) ([]cases.PersonID, error) {
	group := []cases.PersonID{root}
	for next := group; len(next) > 0; {
		rows, err := tx.MergedInto(ctx, next)
		if err != nil {
			return nil, err
		}
		next = nil
		for i := range rows {
			if !slices.Contains(group, rows[i].ID) {
				next = append(next, rows[i].ID)
			}
		}
		group = append(group, next...)
	}
	return group, nil
}

// Summary is one line of a list.
type Summary struct {
	ID        cases.PersonID
	Office    area.Key
	Name      string
	Sex       uint32
	BirthYear int    // 0: not known
	Document  string // redacted
	Living    area.Key
	Presence  ledger.Presence
	FoundBy   string // the former name that a search found, else ""
}

// Summaries makes lines of rows, erased ones left out. The caller logs whom it
// shows.
func (l *People) Summaries(rows []store.PersonRow) ([]Summary, error) {
	out := make([]Summary, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if r.Erased || r.Key == nil {
			continue
		}
		key, err := l.keyOf(r)
		if err != nil {
			return nil, err
		}
		n, err := unbox(key, r, "doc", r.Doc)
		if err != nil {
			return nil, err
		}
		out = append(out, Summary{
			ID: r.ID, Office: r.Office, Name: r.Name, Sex: r.Sex, BirthYear: r.Birth.Year, Living: r.Living, Presence: r.Presence,
			Document: ident.Doc{Kind: ident.Kind(r.DocKind), Number: n}.Redact(),
		})
	}
	return out, nil
}
