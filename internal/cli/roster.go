package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	"yipan/internal/sheet"
)

// rosterEntry is a row of the file: a request, or why there is none.
type rosterEntry struct {
	line     int
	request  *casesv1.OpenCaseRequest
	problem  *casesv1.ItemError
	warnings []string
	confirm  bool // the row says that the person agreed to be confirmed
}

// entries reads the file.
func (c *CaseImportCommand) entries(e *Env) ([]rosterEntry, error) {
	f, err := e.open(c.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, problems, err := sheet.ReadRoster(f)
	if err != nil {
		return nil, err
	}
	entries, notes := roster(rows, problems)
	for _, n := range notes {
		e.Note("%s", "%s", n)
	}
	return entries, nil
}

// roster turns rows and problems into entries in order of their lines, and what
// belongs to no row into notes.
func roster(rows []sheet.RosterRow, problems []sheet.Problem) (entries []rosterEntry, notes []string) {
	at := make(map[int]int, len(rows)) // by line
	seen := map[string]int{}
	for _, r := range rows {
		req := openRequest(r)
		id := contentID("csv-", req, 0)
		if n := seen[id]; n > 0 {
			req.RequestId = contentID("csv-", req, n)
		} else {
			req.RequestId = id
		}
		seen[id]++
		at[r.Line] = len(entries)
		entries = append(entries, rosterEntry{line: r.Line, request: req, confirm: r.Confirm})
	}
	for _, p := range problems {
		if p.Warning {
			continue
		}
		text := p.Text
		if p.Column != "" {
			text = "“" + p.Column + "”" + text
		}
		i, ok := at[p.Line]
		if !ok {
			at[p.Line] = len(entries)
			entries = append(entries, rosterEntry{line: p.Line, problem: &casesv1.ItemError{Reason: p.Reason, Field: p.Column, Message: text}})
			continue
		}
		if x := entries[i].problem; x != nil {
			x.Message += "；" + text
		}
	}
	for _, p := range problems {
		if !p.Warning {
			continue
		}
		if i, ok := at[p.Line]; ok {
			entries[i].warnings = append(entries[i].warnings, strings.TrimPrefix(p.String(), "第 "+itoa(int64(p.Line))+" 行"))
		} else {
			notes = append(notes, p.String())
		}
	}
	slices.SortStableFunc(entries, func(a, b rosterEntry) int { return cmp.Compare(a.line, b.line) })
	return entries, notes
}

// openRequest maps a row, without a request id. An outflow is opened by the
// place left and addressed to the place lived in; an inflow the other way.
func openRequest(r sheet.RosterRow) *casesv1.OpenCaseRequest {
	opener, addressed := r.Origin, r.Destination
	if r.Kind == cases.Inflow {
		opener, addressed = addressed, opener
	}
	req := &casesv1.OpenCaseRequest{
		Kind: casesv1.Kind(r.Kind),
		Fields: &casesv1.Fields{
			Name: r.Name, Document: r.Document.Number, Sex: uint32(r.Sex), BirthDate: day(r.Birth),
			Contact: r.Phone, ContactSafe: r.PhoneSafe, EventDate: day(r.EventDay),
		},
		CertificateAskedOn: day(r.Asked), CertificateIssuedOn: day(r.Issued),
	}
	if opener != 0 {
		// Offices are townships or above; the row may name a village of theirs.
		req.Origin = opener.Cut(area.Township).String()
	}
	if addressed != 0 {
		req.Destination = addressed.String()
	}
	if r.Basis.Kind != cases.BasisNone {
		req.Fields.Basis = &casesv1.Basis{Kind: casesv1.BasisKind(r.Basis.Kind), Duty: r.Basis.Duty}
		if r.Basis.Kind == cases.BasisConsent {
			req.Fields.Basis.ConsentId = r.Basis.Consent.String()
		}
	}
	return req
}

func day(d civil.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

const lookups = 8 // consents looked up at once

// link looks up the recorded consents of those who agreed to be confirmed and
// puts them into the requests. Ids of requests are made before, so that a
// consent recorded between two runs opens no second case. A person without one
// is opened all the same, with a warning.
func (r *importing) link(ctx context.Context, entries []rosterEntry) error {
	s, err := r.e.consents()
	if err != nil {
		return err
	}
	var todo []*rosterEntry
	for i := range entries {
		if entries[i].confirm && entries[i].request != nil {
			todo = append(todo, &entries[i])
		}
	}
	if len(todo) == 0 {
		return nil
	}
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, one := range todo {
		g.Go(func() error {
			if err := find(ctx, s, one); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; done%500 == 0 || done == len(todo) {
				r.e.Note("已查同意书 %d / %d", "%d of %d consents looked up", done, len(todo))
			}
			return nil
		})
	}
	return g.Wait()
}

// find sets the consent of one row.
func find(ctx context.Context, s consentv1.ConsentServiceClient, r *rosterEntry) error {
	resp, err := s.ListConsents(ctx, &consentv1.ListConsentsRequest{
		Office:  r.request.GetOrigin(),
		Person:  &consentv1.Person{Document: r.request.GetFields().GetDocument(), Name: r.request.GetFields().GetName()},
		Purpose: "名册导入：核对本人同意",
	})
	// A person not yet in the ledger, or with a document that the opening will
	// refuse, has no consent; other errors are not about the person.
	if code := status.Code(err); code != codes.OK && code != codes.NotFound && code != codes.InvalidArgument {
		return err
	}
	to, _ := area.Parse(r.request.GetDestination())
	for _, c := range resp.GetConsents() {
		recipient, err := area.Parse(c.GetRecipient())
		if err == nil && to.Within(recipient) && c.GetPurpose() == "confirm_residence" &&
			c.GetWithdrawnAt() == nil && c.GetValidUntil().AsTime().After(time.Now()) {
			r.request.Fields.ConfirmConsentId = c.GetConsentId()
			return nil
		}
	}
	r.warnings = append(r.warnings, "名册写明本人同意核实，但台帐中没有登记有效的同意书；对方只能答复“本人未授权共享”")
	return nil
}

// RosterRequests maps the rows of a roster to the requests that `yipan case
// import` sends, ids included, so that a roster which another program sent opens
// nothing twice. Consents to be confirmed are left for the caller to fill in.
func RosterRequests(rows []sheet.RosterRow) []*casesv1.OpenCaseRequest {
	entries, _ := roster(rows, nil)
	out := make([]*casesv1.OpenCaseRequest, len(entries))
	for i := range entries {
		out[i] = entries[i].request
	}
	return out
}
