package people

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
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
	f = f.Clone()
	f.Refusals = nil // said of services alone
	var blank Profile
	warnings, err := l.checkFile(ctx, tx, &f, &blank, on)
	if err != nil {
		return cases.PersonID{}, nil, err
	}
	row := store.PersonRow{Office: office}
	_, _ = rand.Read(row.ID[:]) // never fails (crypto/rand)
	var key *seal.DataKey
	key, row.Key = l.Keys.Data().NewWrapped(book.PersonKeyAAD(row.ID))
	if f.Living.Within(office) && f.Registered.Within(office) {
		row.Presence = ledger.Here
	}
	if err := l.known(ctx, tx, office, &f, row.ID); err != nil {
		return row.ID, nil, err
	}
	found, err := l.fill(&row, key, &f)
	if err != nil {
		return row.ID, nil, err
	}
	if err := l.put(ctx, tx, &row, &f, found, tx.AddFile); err != nil {
		return row.ID, nil, err
	}
	if err := found.write(ctx, tx, &row); err != nil {
		return row.ID, nil, err
	}
	return row.ID, warnings, l.history(ctx, tx, p, &row, key, ledger.EventRegistered, on, "", &blank, &f)
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

// fill writes a checked profile into a row.
func (l *People) fill(row *store.PersonRow, key *seal.DataKey, f *Profile) (*findable, error) {
	row.Name, row.Sex, row.Birth = ident.NormalizeName(f.Name), f.Sex, f.Birth
	row.Initials, row.IndexKey = Initials(row.Name), l.indexKey()
	row.Registered, row.Managed, row.Living = f.Registered, f.Managed, f.Living
	row.DocKind, row.Doc, row.DocIndex, row.Last4, row.Phone, row.PhoneIndex = uint32(ident.KindNone), nil, nil, nil, nil, nil
	row.Household = [16]byte{}
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

// Change lets edit change the profile of a file, from a day on, and appends what
// changed to its history: an EventEdited only where something did, another kind
// always. The row is locked until the transaction ends. It follows merges. The
// caller has authorised. What a person decided about services is no change of a
// file and never comes this way.
func (l *People) Change(ctx context.Context, tx *store.Tx, p access.Principal, id cases.PersonID, kind ledger.EventKind, on civil.Date, reason string, edit func(*Profile) error) ([]string, error) {
	if len([]rune(reason)) > maxReason {
		return nil, fault.Invalid("TEXT_LENGTH", "reason has more than %d characters", maxReason).Zh("理由最多 %d 字", maxReason).On("reason")
	}
	row, key, err := l.lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	before, err := OpenProfile(key, row)
	if err != nil {
		return nil, err
	}
	after := before.Clone()
	if err := edit(&after); err != nil {
		return nil, err
	}
	after.Refusals = before.Refusals
	warnings, err := l.checkFile(ctx, tx, &after, &before, on)
	if err != nil {
		return nil, err
	}
	if ledger.Changed(&before, &after) == nil {
		if kind == ledger.EventEdited {
			return warnings, nil
		}
		return warnings, l.history(ctx, tx, p, row, key, kind, on, reason, &before, &after)
	}
	if changed(&before, &after, "documents") {
		if err := l.known(ctx, tx, row.Office, &after, row.ID); err != nil {
			return nil, err
		}
	}
	found, err := l.fill(row, key, &after)
	if err != nil {
		return nil, err
	}
	if err := l.put(ctx, tx, row, &after, found, tx.PutFile); err != nil {
		return nil, err
	}
	if err := found.write(ctx, tx, row); err != nil {
		return nil, err
	}
	return warnings, l.history(ctx, tx, p, row, key, kind, on, reason, &before, &after)
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

// history appends lines to a file's history: what changed, and one for each
// number that was newly confirmed against its check digit.
func (l *People) history(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, reason string, before, after *Profile) error {
	e := ledger.Changed(before, after)
	if e == nil {
		e = &ledger.Event{}
	}
	e.Reason = reason
	if err := l.addEvent(ctx, tx, p, row, key, kind, on, e); err != nil {
		return err
	}
	for _, d := range after.Documents {
		same := func(o ledger.Document) bool {
			return o.Number == d.Number && o.Kind == d.Kind && o.Confirmed == d.Confirmed
		}
		if d.Confirmed == "" || slices.ContainsFunc(before.Documents, same) {
			continue
		}
		c := &ledger.Event{Fields: []string{"documents"}, After: map[string]string{"documents": strings.TrimSpace(d.Kind.String() + " " + d.Number)}, Reason: d.Confirmed}
		if err := l.addEvent(ctx, tx, p, row, key, ledger.EventDocumentConfirmed, on, c); err != nil {
			return err
		}
	}
	return nil
}

// Note appends a line of a kind to the history of a file that the transaction
// has seen, without a change of its profile. The caller has authorised.
func (l *People) Note(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, kind ledger.EventKind, on civil.Date, e ledger.Event) error {
	key, err := l.keyOf(row)
	if err != nil {
		return err
	}
	return l.addEvent(ctx, tx, p, row, key, kind, on, &e)
}

func (l *People) addEvent(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, e *ledger.Event) error {
	ev := store.PersonEvent{Office: row.Office, Person: row.ID, Kind: kind, On: on, RecordedAt: l.Now(), Account: p.ID}
	if err := sealEvent(key, &ev, e); err != nil {
		return err
	}
	return tx.AddPersonEvent(ctx, ev)
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
