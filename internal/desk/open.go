package desk

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// OpenCase opens one case. The same request id with the same content names the
// same case and opens nothing twice.
func (d *Desk) OpenCase(ctx context.Context, p access.Principal, r OpenRequest) (CaseView, []string, error) {
	js, err := d.open(ctx, p, []OpenRequest{r})
	if err != nil {
		return CaseView{}, nil, err
	}
	j := js[0]
	if j.err != nil {
		return CaseView{}, nil, j.err
	}
	return j.view, j.warnings, nil
}

// OpenCases opens up to usher.MaxBatch cases, each with a result of its own; what is
// wrong with one does not touch the others.
func (d *Desk) OpenCases(ctx context.Context, p access.Principal, rs []OpenRequest) ([]OpenResult, error) {
	if err := usher.TooMany(len(rs)); err != nil {
		return nil, err
	}
	js, err := d.open(ctx, p, rs)
	if err != nil {
		return nil, err
	}
	out := make([]OpenResult, len(js))
	for i, j := range js {
		out[i] = OpenResult{Case: j.id, Warnings: j.warnings, Repeated: j.repeated, Err: j.err}
		if j.err != nil {
			out[i].Case = cases.CaseID{}
		}
	}
	return out, nil
}

// opening is one request on its way.
type opening struct {
	req      OpenRequest
	id       cases.CaseID
	office   area.Key
	hash     int64
	doc      ident.Doc
	fields   *cases.Fields
	limit    cases.Limit
	warnings []string

	repeated bool
	view     CaseView
	subject  [16]byte // whom the view shows
	err      error
	guarded  bool // err is of this attempt alone: what stands may be otherwise in the next
}

func (d *Desk) open(ctx context.Context, p access.Principal, rs []OpenRequest) ([]*opening, error) {
	if err := d.Allow(ctx, p, access.CaseOpen, 0); err != nil {
		return nil, err
	}
	pol, err := d.policyAt(ctx)
	if err != nil {
		return nil, err
	}
	js := make([]*opening, len(rs))
	ids := map[cases.CaseID]bool{}
	for i := range rs {
		js[i] = &opening{req: rs[i]}
		js[i].err = d.prepare(p, js[i], pol)
		if js[i].err == nil && ids[js[i].id] {
			js[i].err = fault.Invalid("REQUEST_ID_REUSED", "request id stands twice in one batch").Zh("同一批中请求编号重复").On("request_id")
		}
		ids[js[i].id] = true
	}
	d.logRefused(ctx, p, js, false)
	if len(js) == 1 && js[0].err == nil {
		err = d.combine.do(ctx, p, js[0])
	} else {
		err = d.openTogether(ctx, p, js)
	}
	if err != nil {
		return nil, err
	}
	d.logRefused(ctx, p, js, true)
	d.wake()
	for _, j := range js {
		if j.err == nil && !j.repeated {
			d.watch.changed([]cases.CaseID{j.id})
		}
	}
	return js, nil
}

// logRefused records that openings were denied, one event however many: by what
// is asked, or by what is known of the people.
func (d *Desk) logRefused(ctx context.Context, p access.Principal, js []*opening, guarded bool) {
	for _, j := range js {
		if j.guarded == guarded && fault.Is(j.err, fault.KindDenied) {
			d.LogDenied(ctx, p, access.CaseOpen, j.req.Origin)
			return
		}
	}
}

// openTogether opens cases of one account in one transaction.
func (d *Desk) openTogether(ctx context.Context, p access.Principal, js []*opening) error {
	pol, err := d.policyAt(ctx)
	if err != nil {
		return err
	}
	return d.In(ctx, p, func(tx *store.Tx) error { return d.openAll(ctx, tx, p, js, pol) })
}

// prepare checks what needs no database.
func (d *Desk) prepare(p access.Principal, j *opening, pol *policy.Policy) error {
	r := &j.req
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return err
	}
	office, err := p.Office(r.Origin.Cut(area.Township))
	if err != nil {
		return usher.OnField(err, "origin")
	}
	origin := r.Origin
	if origin == 0 {
		origin = office
	}
	r.Origin, j.office = origin, office
	j.id = cases.NewCaseID(d.Book.Self, office, r.RequestID)
	h := d.HashOf(j.req)
	j.hash = int64(binary.BigEndian.Uint64(h[:8]) | 1)
	if !r.Kind.Known() {
		return fault.Invalid("CASE_KIND", "unknown kind of case").Zh("案件类型不正确").On("kind")
	}
	if j.fields, j.doc, j.warnings, err = d.checkFields(r.Fields, r.Kind); err != nil {
		return err
	}
	if err := d.checkAreas(origin, r.Destination, civil.In(d.Now()), pol); err != nil {
		return err
	}
	l, err := pol.LimitFor(kindName(r.Kind, r.Urgent), origin, r.Destination)
	if err != nil {
		return err
	}
	j.limit = cases.Limit{Days: uint32(l.Days), Working: l.Working, Calendar: uint32(pol.Calendar)}
	return CheckCertificate(r.CertificateAsked, r.CertificateIssued, civil.In(d.Now()))
}

// CheckCertificate holds the days on which a certificate was asked for and
// issued against each other and against today; nil: it was not.
func CheckCertificate(asked, issued *civil.Date, today civil.Date) error {
	if asked != nil && asked.After(today) || issued != nil && issued.After(today) {
		return fault.Invalid("FUTURE_DATE", "certificate asked for or issued in the future").Zh("申请或发证日期不能晚于今天").On("certificate_asked_on")
	}
	if issued != nil && (asked == nil || issued.Before(*asked)) {
		return fault.Invalid("CERTIFICATE_DATES", "certificate issued before it was asked for").Zh("发证日期早于申请日期，或没有申请日期").On("certificate_issued_on")
	}
	return nil
}

func (d *Desk) openAll(ctx context.Context, tx *store.Tx, p access.Principal, js []*opening, pol *policy.Policy) error {
	for _, j := range js {
		if j.guarded {
			j.err, j.guarded = nil, false
		}
	}
	live, err := d.settleRepeated(ctx, tx, js)
	if err != nil {
		return err
	}
	if live, err = d.bases(ctx, tx, live, pol); err != nil {
		return err
	}
	if err := d.openLive(ctx, tx, p, live, pol); err != nil {
		return err
	}
	return logOpened(ctx, tx, p, js)
}

// logOpened logs whose cases were opened, or shown again: one event per office.
func logOpened(ctx context.Context, tx *store.Tx, p access.Principal, js []*opening) error {
	type event struct {
		office area.Key
		why    string // of a confirmed document number
	}
	subjects := map[event][][16]byte{}
	for _, j := range js {
		if j.err == nil {
			e := event{j.office, j.req.Fields.DocumentConfirmed}
			subjects[e] = append(subjects[e], j.subject)
		}
	}
	for e, list := range subjects {
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: e.office, Verb: access.CaseOpen, Purpose: e.why, Subjects: list}); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) openLive(ctx context.Context, tx *store.Tx, p access.Principal, live []*opening, pol *policy.Policy) error {
	if len(live) == 0 {
		return nil
	}
	live, persons, err := d.register(ctx, tx, p, live)
	if err != nil || len(live) == 0 {
		return err
	}
	legs := make([]store.Leg, len(live))
	entries := make([]book.Entry, len(live))
	cs := make([]*book.Case, len(live))
	byID := make(map[cases.CaseID]*book.Case, len(live))
	for i, j := range live {
		cs[i], legs[i] = d.Book.New(j.id, j.req.Origin, j.req.Destination)
		cs[i].Person, cs[i].ReqHash = persons[i], j.hash
		byID[j.id] = cs[i]
		entries[i] = book.Entry{Case: cs[i], Body: cases.Body{Fields: j.fields}, Head: cases.Head{
			Kind: cases.Open, Side: cases.SideOpener, Round: 1, CaseKind: j.req.Kind, Limit: j.limit, Policy: pol.Digest, Urgent: j.req.Urgent,
		}}
	}
	n, err := tx.InsertLegs(ctx, legs)
	if err != nil {
		return err
	}
	if n < int64(len(legs)) {
		return fault.Conflict(store.ReasonDuplicate, "a case was opened by a concurrent request").Zh("请求正在处理，请稍后重试")
	}
	if _, err := d.Book.Author(ctx, tx, entries); err != nil {
		return err
	}
	if err := d.certificates(ctx, tx, live, persons); err != nil {
		return err
	}
	if err := d.Book.Project(ctx, tx, cs, p.Offices); err != nil {
		return err
	}
	for i, j := range live {
		j.view = d.viewOf(byID[j.id].Project(cases.SideOpener, j.office))
		j.view.Fields, j.view.Subject, j.subject = j.fields, mask(j.fields), persons[i]
	}
	return nil
}

// settleRepeated finds requests that were done before and returns the others.
func (d *Desk) settleRepeated(ctx context.Context, tx *store.Tx, js []*opening) ([]*opening, error) {
	var ids []cases.CaseID
	for _, j := range js {
		j.repeated = false
		if j.err == nil && j.req.Newcomer == nil {
			ids = append(ids, j.id)
		}
	}
	var sides []store.Side
	if len(ids) > 0 {
		var err error
		if sides, err = tx.SidesOf(ctx, ids); err != nil {
			return nil, err
		}
	}
	stands := map[cases.CaseID]*store.Side{}
	for i := range sides {
		if sides[i].Side == cases.SideOpener {
			stands[sides[i].Case] = &sides[i]
		}
	}
	var live []*opening
	for _, j := range js {
		if j.err != nil {
			continue
		}
		switch s := stands[j.id]; {
		case s == nil:
			live = append(live, j)
		case s.ReqHash != j.hash:
			j.err = fault.Conflict("REQUEST_ID_REUSED", "request id stands for another request").Zh("该请求编号已用于另一项操作，请换一个新的请求编号").On("request_id")
		default:
			j.repeated = true
			j.view = d.viewOf(*s)
			j.view.Fields, j.view.Subject, j.subject = j.fields, mask(j.fields), subjectOf(*s)
		}
	}
	return live, nil
}

// bases checks by what right each notice leaves and drops those that may not.
func (d *Desk) bases(ctx context.Context, tx *store.Tx, js []*opening, pol *policy.Policy) ([]*opening, error) {
	inputs := make([]FieldsInput, len(js))
	refs := make([]people.Ref, len(js))
	for i, j := range js {
		inputs[i], refs[i] = j.req.Fields, people.Ref{Office: j.office, Doc: j.doc, Fields: j.fields}
	}
	cited := consentsCited(inputs...)
	held, err := d.Book.Consents(ctx, tx, cited)
	if err != nil {
		return nil, err
	}
	known := make([]cases.PersonID, len(js))
	if len(cited) > 0 { // who gave a consent is in the ledger already
		if known, _, err = d.People.Find(ctx, tx, refs); err != nil {
			return nil, err
		}
	}
	var live []*opening
	for i, j := range js {
		if !j.req.Person.IsZero() {
			known[i] = j.req.Person
		}
		if j.err = d.bindBases(j.fields, j.req.Fields, j.req.Kind, j.req.Destination, pol, held, known[i]); j.err == nil {
			live = append(live, j)
		}
	}
	return live, nil
}

func (d *Desk) bindBases(f *cases.Fields, in FieldsInput, kind cases.Kind, to area.Key, pol *policy.Policy, held map[cases.ConsentID]ledger.Consent, person cases.PersonID) error {
	var err error
	if f.Basis, err = d.basisOf(in.Basis, kind, to, pol, held, noticePurpose(kind), person); err != nil {
		return err
	}
	f.Confirm = cases.Basis{}
	if !in.Confirm.IsZero() {
		c, err := consent(held, in.Confirm, person, ledger.PurposeConfirm, to, d.Now(), "fields.confirm_consent_id")
		if err != nil {
			return err
		}
		f.Confirm = cases.Basis{Kind: cases.BasisConsent, Consent: c.ID, TextHash: c.TextHash}
	}
	return nil
}

// register finds or adds the people of openings in their offices' ledgers,
// drops the openings that what is known of them forbids, and returns the others
// with their people in order of case.
func (d *Desk) register(ctx context.Context, tx *store.Tx, p access.Principal, js []*opening) ([]*opening, []cases.PersonID, error) {
	persons, added := make([]cases.PersonID, len(js)), make([]bool, len(js))
	var refs []people.Ref
	var asked []int
	for i, j := range js {
		if persons[i] = j.req.Person; persons[i].IsZero() {
			refs, asked = append(refs, people.Ref{Office: j.office, Doc: j.doc, Fields: j.fields}), append(asked, i)
		}
	}
	found, fresh, err := d.People.FindOrAdd(ctx, tx, refs)
	if err != nil {
		return nil, nil, err
	}
	for n, i := range asked {
		persons[i], added[i] = found[n], fresh[n]
	}
	pass, err := d.guard(ctx, tx, p, js, persons, added)
	if err != nil {
		return nil, nil, err
	}
	var order []int
	for i := range js {
		if pass[i] {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(js[a].id[:], js[b].id[:]) })
	live, ids := make([]*opening, len(order)), make([]cases.PersonID, len(order))
	for n, i := range order {
		live[n], ids[n] = js[i], persons[i]
	}
	return live, ids, nil
}

func (d *Desk) certificates(ctx context.Context, tx *store.Tx, js []*opening, persons []cases.PersonID) error {
	var rows []store.Certificate
	for i, j := range js {
		a := j.req.CertificateAsked
		if a == nil {
			continue
		}
		c := store.Certificate{ID: j.id, Office: j.office, Person: persons[i], AskedOn: *a}
		if j.req.CertificateIssued != nil {
			c.IssuedOn = *j.req.CertificateIssued
		}
		rows = append(rows, c)
	}
	return tx.AddCertificates(ctx, rows)
}
