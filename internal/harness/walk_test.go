package harness

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store/storetest"
)

// walk is one setting of DOMAIN section 3's table: two townships of two
// counties, and a third county for reroutes, served by one node or by three.
type walk struct {
	*watched
	n int
}

// settings runs fn between nodes and within one.
func settings(t *testing.T, fn func(t *testing.T, w *walk)) {
	t.Helper()
	t.Run("between nodes", func(t *testing.T) { fn(t, &walk{watched: watch(t, origin, residence, third)}) })
	t.Run("within one", func(t *testing.T) { fn(t, within(t)) })
}

// within is a walk on one node that serves all three counties.
func within(t *testing.T) *walk {
	t.Helper()
	w := watch(t)
	url := storetest.NewURL(t)
	s, err := w.AddSite(storetest.Open(t, url), origin, origin, residence, third)
	if err != nil {
		t.Fatal(err)
	}
	w.raw[s.Node], w.url[s.Node] = storetest.Raw(t, url), url
	return &walk{watched: w}
}

// in returns the walk for a subtest.
func (w *walk) in(t *testing.T, fn func(*walk)) {
	t.Helper()
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	fn(w)
}

func (w *walk) id() string {
	w.n++
	return fmt.Sprintf("walk-%06d", w.n)
}

func (w *walk) at(k area.Key) *Site {
	w.t.Helper()
	n, ok := w.Authority.Directory().Home(k)
	if !ok {
		w.t.Fatalf("nobody serves %s", k)
	}
	return w.Site(n)
}

// leg is one case on its way between two offices.
type leg struct {
	id       cases.CaseID
	kind     cases.Kind
	o, r     area.Key // offices of opener and receiver
	fields   desk.FieldsInput
	basis    cases.ConsentID // that the notice left under; zero: none
	confirm  cases.ConsentID
	document string
}

// ends returns the offices of a kind's opener and receiver.
func (w *walk) ends(k cases.Kind) (o, r area.Key) {
	x, y := originTown, towns(w.t, residence, 1)[0]
	if k.ResidenceSide() == cases.SideOpener {
		return y, x
	}
	return x, y
}

// elsewhere is where misrouted cases belong.
func (w *walk) elsewhere() area.Key { return towns(w.t, third, 1)[0] }

// how a case is opened.
type how struct {
	county  bool // addressed to the county, which distributes it
	consent bool // leaves under a consent instead of the person's request
	confirm bool // carries the person's consent to be confirmed
	alone   bool // nobody pairs it
}

// fresh returns a new person's notice that is not opened yet.
func (w *walk) fresh(k cases.Kind) *leg {
	w.n++
	o, r := w.ends(k)
	l := &leg{kind: k, o: o, r: r, document: ident.Make("520330", civil.MustParse("1990-01-01").AddDays(w.n/400), w.n%400, w.n%2 == 0)}
	l.fields = desk.FieldsInput{
		Name: "测试甲", Document: l.document, EventDay: civil.MustParse("2026-11-10"), Contact: "13800000000", Basis: desk.BasisInput{Kind: cases.BasisRequest},
	}
	if k == cases.Assist {
		l.fields.Request = "测试请求"
	}
	return l
}

// consent records what the leg's person allows, at an office.
func (w *walk) consent(l *leg, office area.Key, purpose string, to area.Key) cases.ConsentID {
	w.t.Helper()
	c, err := w.at(office).Desk.RecordConsent(w.t.Context(), Clerk(access.Clerk, office), desk.ConsentRequest{
		RequestID: w.id(), Office: office, Person: desk.PersonRef{Name: "测试甲", Document: l.document},
		Consent: desk.Consent{Recipient: to, Purpose: purpose, TextVersion: "2026-1", TextHash: [32]byte{1}, GivenHow: "paper"},
	})
	if err != nil {
		w.t.Fatalf("consent: %v", err)
	}
	return c.ID
}

// open opens the leg with a right basis, delivers it, has it distributed and
// pairs it.
func (w *walk) open(l *leg, h how) *leg {
	w.t.Helper()
	to := l.r
	if h.county {
		to = l.r.Cut(area.County)
	}
	purpose := ledger.PurposeNotice
	if l.kind == cases.BirthService {
		purpose = ledger.PurposeBirth
	}
	if h.consent {
		l.basis = w.consent(l, l.o, purpose, to)
		l.fields.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: l.basis}
	}
	if h.confirm {
		l.confirm = w.consent(l, l.o, ledger.PurposeConfirm, to)
		l.fields.Confirm = l.confirm
	}
	v, _, err := w.at(l.o).Desk.OpenCase(w.t.Context(), Clerk(access.Clerk, l.o), desk.OpenRequest{
		RequestID: w.id(), Kind: l.kind, Origin: l.o, Destination: to, Fields: l.fields,
	})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	l.id = v.ID
	w.settle()
	if h.county {
		p := Clerk(access.Distributor, to)
		seen, err := w.at(to).Desk.GetCase(w.t.Context(), p, desk.GetRequest{Case: l.id, Purpose: "test"})
		if err != nil {
			w.t.Fatalf("the county: %v", err)
		}
		got, err := w.at(to).Desk.Distribute(w.t.Context(), p, desk.DistributeRequest{
			RequestID: w.id(), Refs: []desk.CaseRef{{Case: l.id, Etag: seen.Etag}}, Township: l.r,
		})
		if err != nil || got[0].Err != nil {
			w.t.Fatalf("distribute: %v, %v", err, got)
		}
		w.settle()
	}
	if v := w.same(l); v.Status != cases.StatusOpen || v.DeliveredAt.IsZero() || v.DueAt.IsZero() {
		w.t.Fatalf("opened: %s, delivered %v, due %v", v.Status, v.DeliveredAt, v.DueAt)
	}
	if h.alone {
		return l
	}
	if _, err := w.at(l.r).Desk.Pair(w.t.Context(), Clerk(access.Clerk, l.r), desk.PairRequest{RequestID: w.id(), Ref: w.ref(l.r, l.id)}); err != nil {
		w.t.Fatalf("pair: %v", err)
	}
	return l
}

func (w *walk) ref(office area.Key, id cases.CaseID) desk.CaseRef {
	w.t.Helper()
	return desk.CaseRef{Case: id, Etag: w.view(w.at(office), office, id).Etag}
}

func (w *walk) tryAnswer(l *leg, in desk.AnswerInput) ([]string, error) {
	w.t.Helper()
	_, warnings, err := w.at(l.r).Desk.Answer(w.t.Context(), Clerk(access.Clerk, l.r), desk.AnswerRequest{RequestID: w.id(), Ref: w.ref(l.r, l.id), Answer: in})
	return warnings, err
}

func (w *walk) reply(l *leg, in desk.AnswerInput) []string {
	w.t.Helper()
	warnings, err := w.tryAnswer(l, in)
	if err != nil {
		w.t.Fatalf("answer %s: %v", in.Outcome, err)
	}
	w.settle()
	return warnings
}

// answers holds all that each outcome needs. An outcome that is missing here
// fails the walk.
func (w *walk) answers() map[cases.Outcome]desk.AnswerInput {
	return map[cases.Outcome]desk.AnswerInput{
		cases.NoDisclosure:        {TrueReason: "declined"},
		cases.Residing:            {Check: "visit"},
		cases.NotFound:            {Check: "visit"},
		cases.MovedOn:             {Area: w.elsewhere(), Check: "call"},
		cases.Misrouted:           {Area: w.elsewhere()},
		cases.Duplicate:           {},
		cases.Unreachable:         {Attempts: 3, Channels: []string{"visit", "phone"}},
		cases.Confirmed:           {Check: "document"},
		cases.RegisteredElsewhere: {Area: third},
		cases.NotOurRegister:      {},
		cases.IdentityConflict:    {ConflictFields: []string{"name", "birth_date"}},
		cases.Done:                {},
		cases.Partly:              {Reason: "OFFICE_CLOSED"},
		cases.Cannot:              {Reason: "NO_RECORD"},
		cases.Received:            {},
	}
}

func (w *walk) answerOf(o cases.Outcome) desk.AnswerInput {
	w.t.Helper()
	in, ok := w.answers()[o]
	if !ok {
		w.t.Fatalf("say in answers what %s needs", o)
	}
	in.Outcome = o
	return in
}

// shared is what both ends must see alike of a case.
type shared struct {
	Kind                               cases.Kind
	X, Y                               area.Key
	Status                             cases.Status
	Round                              uint32
	Opened, Delivered, Due, AnsweredAt time.Time
	Assigned                           area.Key
	Fields                             *cases.Fields
	Answer                             *cases.AnswerBody
	MayConfirm, Disputed, Older, Cross bool
	Parent                             cases.CaseID
	Hops                               uint32
}

func sharedOf(v desk.CaseView) shared {
	return shared{
		v.Kind, v.X, v.Y, v.Status, v.Round, v.OpenedAt, v.DeliveredAt, v.DueAt, v.AnsweredAt, v.Assigned, v.Fields, v.Answer,
		v.MayConfirm, v.Disputed, v.OlderFields, v.Crossed, v.Parent, v.Hops,
	}
}

// same compares what both ends see of a case, and how the rates of both count
// each of its rounds, and returns the opener's view.
func (w *walk) same(l *leg) desk.CaseView {
	w.t.Helper()
	get := func(office area.Key) desk.CaseView {
		v, err := w.at(office).Desk.GetCase(w.t.Context(), Clerk(access.Clerk, office), desk.GetRequest{Case: l.id, Purpose: "test", Unmask: true})
		if err != nil {
			w.t.Fatalf("%s: %v", office, err)
		}
		return v
	}
	a, b := get(l.o), get(l.r)
	if a.Side != cases.SideOpener || b.Side != cases.SideReceiver {
		w.t.Errorf("sides %d and %d", a.Side, b.Side)
	}
	if diff := cmp.Diff(sharedOf(a), sharedOf(b), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("the ends differ:\n%s", diff)
	}
	at := w.Clock.Now()
	facts, others := w.facts(l.o, l.id), w.facts(l.r, l.id)
	if diff := cmp.Diff(facts, others); diff != "" {
		w.t.Errorf("the rounds differ:\n%s", diff)
	}
	for i, f := range facts {
		for _, when := range []time.Time{at, at.AddDate(0, 2, 0)} {
			x, y := rates.Classify(f, when, monthOf(f)), rates.Classify(others[min(i, len(others)-1)], when, monthOf(f))
			if diff := cmp.Diff(x, y); diff != "" {
				w.t.Errorf("round %d counts differently:\n%s", i+1, diff)
			}
		}
	}
	return a
}

// facts are the rounds of a case as the rates of an office count them.
func (w *walk) facts(office area.Key, id cases.CaseID) []rates.Fact {
	w.t.Helper()
	const columns = `kind, waiting, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at`
	var out []rates.Fact
	for _, r := range w.raw[w.at(office).Node].Rows(w.t, `SELECT round, `+columns+` FROM case_side WHERE case_id = $1 AND office = $2
		UNION ALL SELECT round, kind, 0::smallint, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at FROM side_round WHERE case_id = $1 AND office = $2 ORDER BY 1`, [16]byte(id), int64(office)) {
		instant := func(i int) time.Time {
			at, _ := r[i].(time.Time)
			return at
		}
		out = append(out, rates.Fact{
			Kind: cases.Kind(r[1].(int16)), Waiting: rates.Waiting(r[2].(int16)), RoundAt: instant(3), Delivered: instant(4), Due: instant(5),
			AnsweredAt: instant(6), WithdrawnAt: instant(7), ClosedAt: instant(8), Reroute: area.Key(r[9].(int64)), ReroutedAt: instant(10),
		})
	}
	if len(out) == 0 {
		w.t.Fatalf("%s has no round of the case", office)
	}
	return out
}

// kinds are those of the table but the certificate's, which has no exchange
// yet.
func kinds() []cases.Kind {
	var out []cases.Kind
	for k := cases.Kind(1); k.Known(); k++ {
		if k != cases.Certificate {
			out = append(out, k)
		}
	}
	return out
}

// DOMAIN section 3: every kind with every outcome, from the opening to what
// both ends see and count.
func TestWalkEveryOutcome(t *testing.T) {
	settings(t, func(t *testing.T, w *walk) {
		for _, k := range kinds() {
			outcomes := cases.OutcomesOf(k)
			if len(outcomes) == 0 {
				t.Errorf("%s has no outcomes", k)
			}
			for _, o := range outcomes {
				for _, county := range []bool{false, true} {
					name := fmt.Sprintf("%s %s", k, o)
					if county {
						name += " distributed"
					}
					t.Run(name, func(t *testing.T) { w.in(t, func(w *walk) { w.outcome(k, o, county) }) })
				}
			}
		}
		w.mend()
	})
}

func (w *walk) outcome(k cases.Kind, o cases.Outcome, county bool) {
	t, in, l := w.t, w.answerOf(o), w.fresh(k)
	t.Helper()
	h := how{county: county, confirm: o.Discloses(), consent: k == cases.BirthService}
	if o == cases.Duplicate { // the first of two, answered, so that a second may leave
		w.open(l, h)
		in.DuplicateOf = l.id
		w.reply(l, w.answerOf(cases.NoDisclosure))
		l = &leg{kind: l.kind, o: l.o, r: l.r, document: l.document, fields: l.fields}
		h.confirm, h.consent = false, false
	}
	w.open(l, h)
	if warnings := w.reply(l, in); len(warnings) > 0 {
		t.Errorf("warned %v", warnings)
	}
	v := w.same(l)
	want := cases.StatusAnswered
	if o == cases.Misrouted {
		want = cases.StatusRerouted
	}
	if v.Status != want || v.Answer == nil || v.Answer.Outcome != o || v.AnsweredAt.IsZero() {
		t.Fatalf("%s, answer %+v", v.Status, v.Answer)
	}
	wanted := in.Area
	if o == cases.MovedOn {
		wanted = wanted.Cut(area.County) // SECURITY D1
	}
	a := v.Answer
	if a.Area != wanted || a.DuplicateOf != in.DuplicateOf || a.Attempts != in.Attempts || !slices.Equal(a.Channels, in.Channels) ||
		!slices.Equal(a.ConflictFields, in.ConflictFields) || a.Reason != in.Reason {
		t.Errorf("answered %+v, arrived %+v", in, a)
	}
	f := w.facts(l.o, l.id)[0]
	class := rates.Classify(f, w.Clock.Now(), monthOf(f))
	if o == cases.Misrouted {
		if class.Excluded != rates.ReroutedInTime {
			t.Errorf("counts as %+v", class)
		}
		child := &leg{id: cases.ChildCaseID(l.id, 1, in.Area), kind: k, o: l.o, r: in.Area}
		if v := w.same(child); v.Status != cases.StatusOpen || v.Parent != l.id || v.Hops != 1 {
			t.Errorf("the leg to the right area: %s, hops %d", v.Status, v.Hops)
		}
		last := cases.OutcomesOf(k)[0] // there it is answered too
		w.reply(child, w.answerOf(last))
		if v := w.same(child); v.Status != cases.StatusAnswered {
			t.Errorf("the leg to the right area: %s", v.Status)
		}
	} else if !class.In() || !class.Answered || !class.OnTime {
		t.Errorf("counts as %+v", class)
	}
}

// monthOf is the month in which a round fell due.
func monthOf(f rates.Fact) policy.Period {
	return policy.SpanMonth.Holding(policy.DueDay(f.Due))
}

// Whatever its reason, and whatever was found without a right to tell it, the
// same NO_DISCLOSURE arrives; with the person's own word it is told.
func TestWalkNoDisclosure(t *testing.T) {
	settings(t, func(t *testing.T, w *walk) {
		for _, k := range kinds() {
			if !k.AnswersWith(cases.NoDisclosure) {
				continue
			}
			var arrived []*cases.AnswerBody
			arrive := func(t *testing.T, in desk.AnswerInput, warned int) {
				w.in(t, func(w *walk) {
					l := w.open(w.fresh(k), how{})
					if warnings := w.reply(l, in); len(warnings) != warned {
						t.Errorf("warned %v", warnings)
					}
					v := w.same(l)
					if v.Status != cases.StatusAnswered || v.Answer == nil {
						t.Fatalf("%s, answer %+v", v.Status, v.Answer)
					}
					arrived = append(arrived, v.Answer)
				})
			}
			for _, reason := range ledger.TrueReasons() {
				t.Run(k.String()+" "+reason, func(t *testing.T) {
					arrive(t, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: reason}, 0)
				})
			}
			for _, o := range cases.OutcomesOf(k) {
				if !o.Discloses() {
					continue
				}
				t.Run(fmt.Sprintf("%s %s without a basis", k, o), func(t *testing.T) { arrive(t, w.answerOf(o), 1) })
				for _, own := range []cases.BasisKind{cases.BasisRequest, cases.BasisConsent} {
					t.Run(fmt.Sprintf("%s %s by the person's own basis %d", k, o, own), func(t *testing.T) {
						w.in(t, func(w *walk) {
							l, in := w.open(w.fresh(k), how{}), w.answerOf(o)
							if in.Basis.Kind = own; own == cases.BasisConsent {
								in.Basis.Consent = w.consent(l, l.r, ledger.PurposeConfirm, l.o)
							}
							w.reply(l, in)
							if v := w.same(l); v.Answer == nil || v.Answer.Outcome != o {
								t.Errorf("arrived %+v", v.Answer)
							}
						})
					})
				}
			}
			for _, a := range arrived {
				if diff := cmp.Diff(&cases.AnswerBody{Outcome: cases.NoDisclosure}, a); diff != "" {
					t.Errorf("%s: arrived more than NO_DISCLOSURE:\n%s", k, diff)
				}
			}
		}
		w.mend()
	})
}

// change does a verb that needs a reason, as an office.
func (w *walk) change(office area.Key, l *leg, verb string) error {
	w.t.Helper()
	d, p := w.at(office).Desk, Clerk(access.Clerk, office)
	r := desk.ChangeRequest{RequestID: w.id(), Ref: w.ref(office, l.id), Reason: "测试"}
	var err error
	switch verb {
	case "withdraw":
		_, err = d.Withdraw(w.t.Context(), p, r)
	case "dispute":
		_, err = d.Dispute(w.t.Context(), p, r)
	case "close":
		_, err = d.Close(w.t.Context(), p, r)
	case "reopen":
		_, err = d.Reopen(w.t.Context(), p, r)
	case "correct":
		f := l.fields
		f.Contact = "13900000000"
		_, _, err = d.Correct(w.t.Context(), p, desk.CorrectRequest{RequestID: r.RequestID, Ref: r.Ref, Fields: f})
	default:
		w.t.Fatalf("no verb %s", verb)
	}
	return err
}

// Every change of DOMAIN section 3, on every kind: who may do it, and what both
// ends see after it.
func TestWalkChanges(t *testing.T) {
	settings(t, func(t *testing.T, w *walk) {
		for _, k := range kinds() {
			t.Run(k.String(), func(t *testing.T) { w.in(t, func(w *walk) { w.changes(k) }) })
			if k.AnswersWith(cases.Misrouted) {
				t.Run(k.String()+" rerouted by hand", func(t *testing.T) { w.in(t, func(w *walk) { w.rerouted(k) }) })
			}
		}
		w.mend()
	})
}

func (w *walk) changes(k cases.Kind) {
	t := w.t
	l := w.open(w.fresh(k), how{consent: k == cases.BirthService})
	in := w.answerOf(cases.OutcomesOf(k)[0])
	if in.Outcome.Discloses() {
		in.Basis.Kind = cases.BasisRequest
	}
	for i, step := range []struct {
		verb    string
		by      cases.Side
		refused string
		status  cases.Status
		round   uint32
	}{
		{"dispute", cases.SideOpener, "STATE_FORBIDS", cases.StatusOpen, 1}, // nothing was answered
		{"correct", cases.SideReceiver, "NOT_ITS_SIDE", cases.StatusOpen, 1},
		{"correct", cases.SideOpener, "", cases.StatusOpen, 1},
		{"withdraw", cases.SideReceiver, "NOT_ITS_SIDE", cases.StatusOpen, 1},
		{"withdraw", cases.SideOpener, "", cases.StatusWithdrawn, 1},
		{"answer", cases.SideReceiver, "STATE_FORBIDS", cases.StatusWithdrawn, 1},
		{"reopen", cases.SideReceiver, "STATE_FORBIDS", cases.StatusWithdrawn, 1},
		{"reopen", cases.SideOpener, "", cases.StatusOpen, 2},
		{"answer", cases.SideReceiver, "", cases.StatusAnswered, 2},
		{"correct", cases.SideOpener, "STATE_FORBIDS", cases.StatusAnswered, 2},
		{"dispute", cases.SideReceiver, "NOT_ITS_SIDE", cases.StatusAnswered, 2},
		{"dispute", cases.SideOpener, "", cases.StatusOpen, 3},
		{"answer", cases.SideReceiver, "", cases.StatusAnswered, 3},
		{"dispute", cases.SideOpener, "STATE_FORBIDS", cases.StatusAnswered, 3}, // once
		{"close", cases.SideReceiver, "", cases.StatusClosed, 3},
		{"answer", cases.SideReceiver, "STATE_FORBIDS", cases.StatusClosed, 3},
		{"reopen", cases.SideReceiver, "", cases.StatusOpen, 4},
		{"close", cases.SideOpener, "", cases.StatusClosed, 4},
		{"reopen", cases.SideOpener, "", cases.StatusOpen, 5},
		{"answer", cases.SideReceiver, "", cases.StatusAnswered, 5},
	} {
		office := l.o
		if step.by == cases.SideReceiver {
			office = l.r
		}
		var err error
		if step.verb == "answer" {
			_, err = w.tryAnswer(l, in)
		} else {
			err = w.change(office, l, step.verb)
		}
		w.settle()
		reason := ""
		if f, ok := fault.As(err); ok {
			reason = f.Reason
		}
		if reason != step.refused {
			t.Fatalf("%d, %s by side %d: %q, want %q (%v)", i, step.verb, step.by, reason, step.refused, err)
		}
		if v := w.same(l); v.Status != step.status || v.Round != step.round {
			t.Fatalf("%d, %s by side %d: %s in round %d, want %s in %d", i, step.verb, step.by, v.Status, v.Round, step.status, step.round)
		} else if i >= 2 && (v.Fields == nil || v.Fields.Contact != "13900000000") {
			t.Fatalf("%d, %s: the correction is lost", i, step.verb)
		}
	}
}

func (w *walk) rerouted(k cases.Kind) {
	t := w.t
	l := w.open(w.fresh(k), how{})
	w.reply(l, desk.AnswerInput{Outcome: cases.Misrouted})
	if v := w.same(l); v.Status != cases.StatusAnswered {
		t.Fatalf("MISROUTED without an area: %s", v.Status)
	}
	to := w.elsewhere()
	v, err := w.at(l.o).Desk.Reroute(t.Context(), Clerk(access.Clerk, l.o), desk.RerouteRequest{RequestID: w.id(), Ref: w.ref(l.o, l.id), Destination: to})
	if err != nil {
		t.Fatalf("reroute: %v", err)
	}
	w.settle()
	again := &leg{id: v.ID, kind: k, o: l.o, r: to}
	if v := w.same(again); v.Status != cases.StatusOpen {
		t.Errorf("sent anew: %s", v.Status)
	}
	if v := w.same(l); v.Answer == nil || v.Answer.Outcome != cases.Misrouted || v.Answer.Area != 0 {
		t.Errorf("the case that was answered: %s %+v", v.Status, v.Answer)
	}
}

// Every answer against the withdrawal of the consent that the notice left
// under, and of that to be confirmed: recorded on both sides before either
// hears of the other, in both orders.
func TestWalkConsentWithdrawn(t *testing.T) {
	settings(t, func(t *testing.T, w *walk) {
		for _, k := range kinds() {
			for _, o := range cases.OutcomesOf(k) {
				if o == cases.Duplicate {
					continue // needs a second notice, and says no more than that
				}
				for _, of := range []string{"basis", "confirmation"} {
					for _, first := range []string{"answer", "withdrawal"} {
						t.Run(fmt.Sprintf("%s %s, %s first, %s withdrawn", k, o, first, of), func(t *testing.T) {
							w.in(t, func(w *walk) { w.crossing(k, o, of == "basis", first == "answer") })
						})
					}
				}
			}
		}
		w.mend()
	})
}

func (w *walk) crossing(k cases.Kind, o cases.Outcome, basis, answerFirst bool) {
	t := w.t
	l := w.open(w.fresh(k), how{consent: true, confirm: true})
	in := w.answerOf(o)
	id := l.confirm
	if basis {
		id = l.basis
	}
	local := w.at(l.o) == w.at(l.r)
	var warnings []string
	var answered error
	answer := func() { warnings, answered = w.tryAnswer(l, in) }
	withdraw := func() {
		if _, _, err := w.at(l.o).Desk.WithdrawConsent(t.Context(), Clerk(access.Clerk, l.o), w.id(), id); err != nil {
			t.Fatalf("withdraw: %v", err)
		}
	}
	if answerFirst {
		answer()
		withdraw()
	} else {
		withdraw()
		answer()
	}
	w.settle()
	v := w.same(l)
	known := local && !answerFirst // the clerk who answers sees the withdrawal
	switch f, _ := fault.As(answered); {
	case known && basis:
		if f == nil || f.Reason != "STATE_FORBIDS" || v.Status != cases.StatusWithdrawn {
			t.Fatalf("answered after the notice was withdrawn: %v, %s", answered, v.Status)
		}
		return
	case answered != nil:
		t.Fatalf("answer: %v", answered)
	case known && o.Discloses():
		if len(warnings) != 1 || v.Answer == nil || v.Answer.Outcome != cases.NoDisclosure {
			t.Errorf("disclosed after the withdrawal: %+v", v.Answer)
		}
	}
	if v.Status == cases.StatusOpen || v.Status == cases.StatusNone {
		t.Errorf("it waits again: %s", v.Status)
	}
	if !basis && (v.MayConfirm || v.Fields == nil || v.Fields.Confirm.Kind != cases.BasisNone) {
		t.Errorf("the consent to be confirmed still travels: %s", v.Status)
	}
	// What is answered from now on discloses nothing under it.
	if o.Discloses() && !basis {
		warnings, err := w.tryAnswer(l, in)
		w.settle()
		if v := w.same(l); err != nil || len(warnings) != 1 || v.Answer == nil || v.Answer.Outcome != cases.NoDisclosure {
			t.Errorf("answered anew: %v, warned %v, arrived %+v", err, warnings, v.Answer)
		}
	}
}
