package remind_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/post"
	"yipan/internal/remind"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	here      = area.Children(origin)[0]
	there     = area.Children(residence)[0]
	beside    = area.Children(residence)[1]
)

const hookAddress = "https://hooks.example.cn/in?key=hidden"

// office is one node that serves both counties.
type office struct {
	testing.TB
	*harness.Site
	world *harness.World
	n     int

	mu   sync.Mutex
	sent []remind.Message
	fail error
}

func newOffice(t testing.TB, start string) *office {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), instant(t, start))
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.AddSite(storetest.Open(t, storetest.NewURL(t)), origin, origin, residence)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{TB: t, Site: s, world: w}
	o.Remind.Deliver = o.deliver
	return o
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, civil.Shanghai)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// to moves the clock.
func (o *office) to(s string) {
	o.Helper()
	d := instant(o, s).Sub(o.world.Clock.Now())
	if d < 0 {
		o.Fatalf("%s is past", s)
	}
	o.world.Clock.Add(d)
}

func (o *office) deliver(_ context.Context, m remind.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail == nil {
		o.sent = append(o.sent, m)
	}
	return o.fail
}

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *office) request() string {
	o.n++
	return fmt.Sprintf("request-%06d", o.n)
}

func document(i int) string { return ident.Make("520330", civil.MustParse("1990-01-01"), i, false) }
func name(i int) string     { return "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸")[i%10]) }

func (o *office) open(i int, to area.Key) cases.CaseID {
	o.Helper()
	v, _, err := o.Desk.OpenCase(o.Context(), clerk(here), desk.OpenRequest{
		RequestID: o.request(), Kind: cases.Outflow, Origin: here, Destination: to,
		Fields: desk.FieldsInput{
			Name: name(i), Document: document(i), EventDay: civil.In(o.world.Clock.Now()).AddDays(-3), Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	})
	o.must(err)
	return v.ID
}

func (o *office) ref(at area.Key, id cases.CaseID) (r desk.CaseRef) {
	o.Helper()
	o.must(o.DB.InDesk(o.Context(), []area.Key{at}, func(tx *store.Tx) error {
		sides, err := tx.SidesOf(o.Context(), []cases.CaseID{id})
		if err != nil || len(sides) != 1 {
			return fmt.Errorf("%d sides, %w", len(sides), err)
		}
		r = desk.CaseRef{Case: id, Etag: book.Etag(sides[0].Version, sides[0].Rev)}
		return nil
	}))
	return r
}

func (o *office) answer(at area.Key, id cases.CaseID, in desk.AnswerInput) {
	o.Helper()
	_, _, err := o.Desk.Answer(o.Context(), clerk(at), desk.AnswerRequest{RequestID: o.request(), Ref: o.ref(at, id), Answer: in})
	o.must(err)
}

func (o *office) pair(at area.Key, id cases.CaseID) {
	o.Helper()
	_, err := o.Desk.Pair(o.Context(), clerk(at), desk.PairRequest{RequestID: o.request(), Ref: o.ref(at, id)})
	o.must(err)
}

// set makes an office's reminder.
func (o *office) set(m remind.Reminder) {
	o.Helper()
	o.must(o.Remind.Set(o.Context(), clerk(m.Office), o.request(), m))
}

func (o *office) lines(at area.Key) (lines []string) {
	o.Helper()
	d, err := o.Remind.Preview(o.Context(), clerk(at), 0)
	o.must(err)
	for _, l := range d.Lines {
		lines = append(lines, fmt.Sprintf("%s %d %s", l.Code, l.N, l.Day))
		if l.N < 1 || !strings.Contains(l.Text, fmt.Sprint(l.N)) {
			o.Errorf("line %+v", l)
		}
	}
	return lines
}

// send lets a turn pass and returns what was sent by it.
func (o *office) send() []remind.Message {
	o.Helper()
	before := len(o.sent)
	n, err := o.Remind.Send(o.Context())
	o.must(err)
	if int(n) != len(o.sent)-before {
		o.Errorf("said %d, sent %d", n, len(o.sent)-before)
	}
	return o.sent[before:]
}

func (o *office) sends(what string, want int) {
	o.Helper()
	if got := o.send(); len(got) != want {
		o.Errorf("%s: %d messages, want %d", what, len(got), want)
	}
}

func (o *office) reads(at area.Key, want ...string) {
	o.Helper()
	if d := cmp.Diff(want, o.lines(at)); d != "" {
		o.Errorf("%s on %s: %s", at, civil.In(o.world.Clock.Now()), d)
	}
}

// none is how a line without a day ends.
var none = civil.Date{}.String()

func TestDigestCountsWhatWaits(t *testing.T) {
	o := newOffice(t, "2026-08-20 09:00")
	o.open(1, there) // due on 09-19
	o.to("2026-09-01 09:00")
	paired := o.open(2, there) // due on 10-01
	o.pair(there, paired)
	o.to("2026-09-03 09:00")
	o.open(3, there) // due on 10-03
	o.open(4, there)
	o.open(5, residence)
	o.reads(there, "to_pair 3 "+none)
	o.reads(residence, "to_distribute 1 "+none)
	o.reads(here)
	o.reads(beside)

	// The 20th, a working Sunday, is the last day for submission; a rerouted
	// notice that nobody sent anew is not submitted.
	stray := o.open(6, beside)
	o.answer(beside, stray, desk.AnswerInput{Outcome: cases.Misrouted, Area: origin})
	o.to("2026-09-16 09:00")
	o.reads(here)
	o.reads(there, "due_soon 1 2026-09-19", "to_pair 3 "+none)
	o.to("2026-09-18 09:00")
	o.reads(here, "month_end 1 2026-09-20")
	o.to("2026-09-21 09:00")
	o.reads(here)

	// The 27th, a day off, is the last one for feedback.
	o.reads(there, "overdue 1 2026-09-19", "to_pair 3 "+none)
	o.to("2026-09-24 09:00")
	o.reads(there, "overdue 1 2026-09-19", "month_end 1 2026-09-27", "to_pair 3 "+none)
	o.to("2026-09-29 09:00")
	o.reads(there, "overdue 1 2026-09-19", "due_soon 1 2026-10-01", "to_pair 3 "+none)

	// On the eve of a holiday the digest reaches through it.
	o.to("2026-09-30 09:00")
	o.reads(there, "overdue 1 2026-09-19", "due_soon 3 2026-10-01", "to_pair 3 "+none)
	o.reads(residence, "due_soon 1 2026-10-03", "to_distribute 1 "+none)
	o.answer(there, paired, desk.AnswerInput{Outcome: cases.NotFound})
	o.reads(there, "overdue 1 2026-09-19", "due_soon 2 2026-10-03", "to_pair 3 "+none)
	o.to("2026-10-04 09:00")
	o.reads(there, "overdue 3 2026-09-19", "to_pair 3 "+none)
}

func TestDaysOff(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	o.open(1, there)     // due on Saturday 10-03
	o.open(2, residence) // and here
	o.set(remind.Reminder{Office: there, Webhook: hookAddress, DaysBefore: 1})
	o.set(remind.Reminder{Office: residence, Email: "office@example.cn", DaysBefore: 1})
	o.must(o.DB.PutAccount(t.Context(), store.Account{ID: "clerk-a", Role: access.Clerk, Offices: []area.Key{there}, GrantedBy: []string{"x", "y"}}))
	o.must(o.Remind.SetDuty(t.Context(), clerk(there), o.request(), there, civil.MustParse("2026-10-01"), []string{"clerk-a"}))

	o.to("2026-09-30 08:29")
	o.sends("before the office opens", 0)
	o.to("2026-09-30 08:31")
	got := o.send()
	if len(got) != 2 {
		t.Fatalf("%d messages on the eve", len(got))
	}
	for _, m := range got {
		text := m.Text
		if !strings.Contains(text, "1 件在 2026-10-07 前到期，最早 2026-10-03") {
			t.Errorf("the eve does not say what falls due during the holiday: %s", text)
		}
		if strings.Contains(text+m.Subject+string(m.JSON), "clerk-a") {
			t.Error("who is on duty leaves the node")
		}
	}
	o.to("2026-10-01 09:00")
	if got := o.send(); len(got) != 1 || got[0].Webhook == "" {
		t.Errorf("on duty: %d messages", len(got))
	}
	o.to("2026-10-02 09:00")
	o.sends("nobody on duty", 0)
	o.to("2026-10-03 09:00")
	o.sends("both have something that falls due", 2)
	o.to("2026-10-04 09:00")
	o.sends("overdue, but nobody is there", 0)
	o.to("2026-10-08 17:31")
	o.sends("after the office closed", 0)
	o.to("2026-10-09 09:00")
	o.sends("a working day", 2)
	o.to("2026-10-10 09:00")
	o.sends("a working Saturday", 2)
	o.to("2026-10-11 09:00")
	o.sends("a Sunday", 0)

	o.to("2026-10-12 08:31")
	o.set(remind.Reminder{Office: residence})
	o.sends("one has none any more", 1)
}

// An office that has nothing to do as its day begins is told nothing that day.
func TestNothingToDo(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	o.set(remind.Reminder{Office: there, Webhook: hookAddress})
	o.sends("nothing to do", 0)
	o.open(1, there)
	o.world.Clock.Add(3 * time.Hour)
	o.sends("it came in the day", 0)
	o.to("2026-09-04 08:30")
	o.sends("the next day", 1)
	s, err := o.Remind.Get(t.Context(), clerk(there), 0)
	o.must(err)
	if s.LastError != "" || civil.In(s.DeliveredAt) != civil.MustParse("2026-09-04") {
		t.Errorf("status %+v", s)
	}
}

// However many processes serve a node, an office gets one digest a day.
func TestExactlyOnce(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	o.open(1, there)
	o.set(remind.Reminder{Office: there, Webhook: hookAddress, Email: "office@example.cn"})
	for day := range 3 {
		o.to(fmt.Sprintf("2026-09-%02d 09:00", 8+day))
		var wait sync.WaitGroup
		for range 6 {
			replica := remind.New(o.Remind.Config)
			wait.Go(func() {
				for range 3 {
					if _, err := replica.Send(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		if len(o.sent) != 2*(day+1) {
			t.Fatalf("day %d: %d messages", day, len(o.sent))
		}
		ways := []bool{o.sent[2*day].Webhook != "", o.sent[2*day+1].Webhook != ""}
		if ways[0] == ways[1] {
			t.Errorf("day %d: twice by the same channel", day)
		}
	}
}

func TestFailedDeliveryIsTriedAgain(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	o.open(1, there)
	o.set(remind.Reminder{Office: there, Webhook: hookAddress})
	status := func() remind.Status {
		t.Helper()
		s, err := o.Remind.Get(t.Context(), clerk(there), there)
		o.must(err)
		for _, secret := range []string{"hidden", "hooks"} {
			if strings.Contains(s.LastError, secret) {
				t.Errorf("error %q shows %s", s.LastError, secret)
			}
		}
		return s
	}
	o.to("2026-09-04 08:30")
	o.fail = &post.Error{Code: post.CodeStatus, Number: 503}
	o.sends("refused", 0)
	if s := status(); s.LastError != "网络回调：对方服务器拒绝接收（503）" || !s.DeliveredAt.IsZero() {
		t.Errorf("status %+v", s)
	}
	o.fail = nil
	o.world.Clock.Add(30 * time.Second)
	o.sends("it rests", 0)
	o.fail = errors.New("Post " + hookAddress + ": no such host")
	o.world.Clock.Add(31 * time.Second)
	o.sends("second try", 0)
	if s := status(); s.LastError != "网络回调：发送失败" {
		t.Errorf("status %+v", s)
	}
	o.fail = nil
	o.world.Clock.Add(61 * time.Second)
	o.sends("it rests for longer", 0)
	o.world.Clock.Add(60 * time.Second)
	o.sends("third try", 1)
	if s := status(); s.LastError != "" || s.DeliveredAt.IsZero() {
		t.Errorf("status %+v", s)
	}
	o.world.Clock.Add(5 * time.Hour)
	o.sends("delivered", 0)

	// A process that ends while it delivers leaves a claim that runs out.
	o.to("2026-09-07 08:30")
	ctx, cancel := context.WithCancel(t.Context())
	dying := remind.New(o.Remind.Config)
	dying.Deliver = func(context.Context, remind.Message) error { cancel(); return context.Canceled }
	if _, err := dying.Send(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	o.sends("claimed", 0)
	o.world.Clock.Add(2*time.Minute + time.Second)
	o.sends("the claim ran out", 1)

	// What fails all day is given up with the day.
	o.fail = &post.Error{Code: post.CodeTimeout}
	o.to("2026-09-08 08:30")
	tried := 0
	counting := remind.New(o.Remind.Config)
	counting.Deliver = func(ctx context.Context, m remind.Message) error { tried++; return o.deliver(ctx, m) }
	for range 48 * 12 {
		if _, err := counting.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.world.Clock.Add(5 * time.Minute)
		if civil.In(o.world.Clock.Now()) != civil.MustParse("2026-09-08") {
			break
		}
	}
	if tried < 10 || tried > 20 {
		t.Errorf("tried %d times in a day", tried)
	}
}

// Nothing that leaves the node names anybody, and nobody can tell from it what
// a person decided.
func TestSecurityDigestNamesNobodyAndNoDecision(t *testing.T) {
	o := newOffice(t, "2026-12-02 09:00")
	planted := []string{"clerk", "hidden"}
	for i := range 8 {
		planted = append(planted, name(i), document(i), document(i)[14:])
	}
	// Two offices, alike but for what was decided in them.
	var ids []cases.CaseID
	person := 0
	for _, at := range []area.Key{there, beside} {
		var whom []cases.PersonID
		for range 3 {
			r, err := o.People.RegisterPerson(t.Context(), clerk(at), people.RegisterRequest{RequestID: o.request(), Profile: ledger.Profile{
				Name: name(person), Documents: []ledger.Document{{Number: document(person)}}, Registered: at, Managed: at, Living: at,
			}})
			o.must(err)
			whom = append(whom, r.File.ID)
			planted = append(planted, r.File.ID.String())
			ids = append(ids, o.open(person, at))
			person++
		}
		o.must(o.DB.PutAccount(t.Context(), store.Account{ID: "clerk-" + at.Short(), Role: access.Clerk, Offices: []area.Key{at}, GrantedBy: []string{"x", "y"}}))
		o.must(o.Remind.SetDuty(t.Context(), clerk(at), o.request(), at, civil.MustParse("2026-12-31"), []string{"clerk-" + at.Short()}))
		o.set(remind.Reminder{Office: at, Webhook: hookAddress, Email: "office@example.cn"})
		result, answer := ledger.OfferDone, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}}
		if at == beside {
			result, answer = ledger.OfferDeclined, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
		}
		_, _, err := o.Services.Record(t.Context(), clerk(at), services.Input{RequestID: o.request(), Person: whom[0], Kind: ledger.ThreeChecks,
			Record: ledger.ServiceRecord{Result: result, Date: civil.MustParse("2026-12-02"), Channel: "visit"}})
		o.must(err)
		o.answer(at, ids[len(ids)-3], answer)
	}
	for _, id := range ids {
		planted = append(planted, id.String(), id.String()[:8])
	}
	o.to("2026-12-31 08:31")
	got := o.send()
	if len(got) != 4 {
		t.Fatalf("%d messages", len(got))
	}
	said := map[string][]string{}
	for _, m := range got {
		for _, secret := range planted {
			if strings.Contains(m.Subject+m.Text+string(m.JSON)+m.Key, secret) {
				t.Errorf("a message says %q", secret)
			}
		}
		way := "by e-mail"
		if m.Webhook != "" {
			way = "by webhook"
		}
		all := m.Subject + m.Text + string(m.JSON)
		for _, at := range []area.Key{there, beside} {
			all = strings.ReplaceAll(strings.ReplaceAll(all, area.FullName(at), "OFFICE"), at.String(), "KEY")
		}
		said[way] = append(said[way], all)
	}
	for way, texts := range said {
		if len(texts) != 2 || texts[0] != texts[1] {
			t.Errorf("%s two offices are told apart by what was decided: %s", way, cmp.Diff(texts[0], texts[len(texts)-1]))
		}
		if !strings.Contains(texts[0], "待告知 2 人") || !strings.Contains(texts[0], "流出通报：2 件") {
			t.Errorf("%s: %s", way, texts[0])
		}
	}
	want := `"lines":[{"code":"due_soon","text":"流出通报：2 件在 2027-01-03 前到期，最早 2027-01-01","n":2,"day":"2027-01-01"},` +
		`{"code":"to_pair","text":"待配对：2 件","n":2},{"code":"offers_due","text":"三查告知：2026年第三轮 2026-12-31 结束，待告知 2 人","n":2,"day":"2026-12-31"}]}`
	if !slices.ContainsFunc(got, func(m remind.Message) bool { return strings.HasSuffix(string(m.JSON), want) }) {
		t.Errorf("JSON %s", got[0].JSON)
	}
}

func refused(t *testing.T, err error, kind fault.Kind, reason, field string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Kind != kind || f.Reason != reason || f.Field != field || f.Text == "" && kind != fault.KindDenied {
		t.Errorf("error %v (%+v), want %v %s on %q", err, f, kind, reason, field)
	}
}

func TestSetReminder(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	ctx, p := t.Context(), clerk(there)
	o.Remind.Check = func(m remind.Message) error {
		switch {
		case m.Webhook == "off" || m.Email == "off":
			return &post.Error{Code: post.CodeOff}
		case m.Webhook == "near":
			return &post.Error{Code: post.CodeNetwork}
		case m.Webhook == "bad" || m.Email == "bad":
			return &post.Error{Code: post.CodeAddress}
		}
		return nil
	}
	for _, tt := range []struct {
		m             remind.Reminder
		kind          fault.Kind
		reason, field string
	}{
		{remind.Reminder{Webhook: "off"}, fault.KindConflict, "WEBHOOK_OFF", "reminder.webhook"},
		{remind.Reminder{Webhook: "near"}, fault.KindInvalid, "WEBHOOK_NETWORK", "reminder.webhook"},
		{remind.Reminder{Webhook: "bad"}, fault.KindInvalid, "WEBHOOK_ADDRESS", "reminder.webhook"},
		{remind.Reminder{Webhook: hookAddress, Email: "off"}, fault.KindConflict, "EMAIL_OFF", "reminder.email"},
		{remind.Reminder{Email: "bad"}, fault.KindInvalid, "EMAIL_ADDRESS", "reminder.email"},
		{remind.Reminder{Webhook: hookAddress, DaysBefore: 15}, fault.KindInvalid, "DAYS_BEFORE", "reminder.days_before"},
		{remind.Reminder{Webhook: hookAddress, DaysBefore: -1}, fault.KindInvalid, "DAYS_BEFORE", "reminder.days_before"},
		{remind.Reminder{Office: beside}, fault.KindDenied, "FOREIGN_OFFICE", "reminder.office"},
	} {
		refused(t, o.Remind.Set(ctx, p, o.request(), tt.m), tt.kind, tt.reason, tt.field)
	}
	refused(t, o.Remind.Set(ctx, p, "short", remind.Reminder{}), fault.KindInvalid, "REQUEST_ID", "request_id")
	for _, role := range []access.Role{access.Auditor, access.Admin, access.Security, access.Service} {
		if err := o.Remind.Set(ctx, harness.Clerk(role, there), o.request(), remind.Reminder{}); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s sets: %v", role, err)
		}
		if _, err := o.Remind.Preview(ctx, harness.Clerk(role, there), 0); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s reads: %v", role, err)
		}
	}
	want := remind.Status{Reminder: remind.Reminder{Office: there, Webhook: hookAddress, DaysBefore: 5}}
	id := o.request()
	for range 2 {
		o.must(o.Remind.Set(ctx, p, id, remind.Reminder{Webhook: hookAddress, DaysBefore: 5}))
	}
	refused(t, o.Remind.Set(ctx, p, id, remind.Reminder{Webhook: hookAddress}), fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	got, err := o.Remind.Get(ctx, p, 0)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if other, err := o.Remind.Get(ctx, clerk(beside), 0); err != nil || other.Webhook != "" || other.DaysBefore != 3 {
		t.Errorf("another office has %+v, %v", other, err)
	}
	_, err = o.Remind.Get(ctx, clerk(beside), there)
	refused(t, err, fault.KindDenied, "FOREIGN_OFFICE", "office")

	o.Remind.Deliver = nil
	refused(t, o.Remind.Set(ctx, p, o.request(), remind.Reminder{Webhook: hookAddress}), fault.KindConflict, "REMINDER_NO_POST", "reminder")
	o.must(o.Remind.Set(ctx, p, o.request(), remind.Reminder{}))
	if got, err := o.Remind.Get(ctx, p, 0); err != nil || got.Webhook != "" || got.DaysBefore != 3 {
		t.Errorf("after the end: %+v, %v", got, err)
	}
	if n, err := o.Remind.Send(ctx); n != 0 || err != nil {
		t.Errorf("without a post: %d, %v", n, err)
	}
}

func TestDutyRota(t *testing.T) {
	o := newOffice(t, "2026-09-03 09:00")
	ctx := t.Context()
	for id, at := range map[string]area.Key{"clerk-a": there, "clerk-b": there, "clerk-c": beside, "clerk-d": there} {
		o.must(o.DB.PutAccount(ctx, store.Account{ID: id, Role: access.Clerk, Offices: []area.Key{at}, GrantedBy: []string{"x", "y"}}))
	}
	o.must(o.DB.DisableAccount(ctx, "clerk-d"))
	o.open(1, there) // due on 10-03
	o.open(2, there)
	o.to("2026-09-30 09:00")
	day := civil.MustParse("2026-10-01")
	set := func(d civil.Date, accounts ...string) error {
		return o.Remind.SetDuty(ctx, clerk(there), o.request(), 0, d, accounts)
	}
	for _, strange := range []string{"clerk-c", "clerk-d", "nobody"} {
		err := set(day, "clerk-a", strange)
		refused(t, err, fault.KindInvalid, "DUTY_ACCOUNTS", "accounts")
		if f, _ := fault.As(err); f != nil && (!strings.Contains(f.Text, strange) || strings.Contains(f.Text, "clerk-a")) {
			t.Errorf("text %s", f.Text)
		}
	}
	refused(t, set(civil.MustParse("2026-09-29"), "clerk-a"), fault.KindInvalid, "DUTY_DAY", "day")
	refused(t, set(civil.MustParse("2027-10-02"), "clerk-a"), fault.KindInvalid, "DUTY_DAY", "day")
	refused(t, set(day, strings.Fields(strings.Repeat("a b c d e f g h i j k l m n o p q r s t u ", 1))...), fault.KindInvalid, "DUTY_ACCOUNTS", "accounts")
	refused(t, o.Remind.SetDuty(ctx, clerk(there), o.request(), beside, day, nil), fault.KindDenied, "FOREIGN_OFFICE", "office")
	o.must(set(day, "clerk-b", "clerk-a", "clerk-b"))
	o.must(set(day.AddDays(1), "clerk-a"))
	o.must(set(day.AddDays(1)))
	got, err := o.Remind.Rota(ctx, harness.Clerk(access.County, there), 0, civil.MustParse("2026-09-30"), civil.MustParse("2026-10-03"))
	want := []remind.Duty{
		{Day: civil.MustParse("2026-09-30")}, {Day: day, Accounts: []string{"clerk-a", "clerk-b"}, Off: true},
		{Day: civil.MustParse("2026-10-02"), Off: true}, {Day: civil.MustParse("2026-10-03"), Off: true, Due: 2},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if got, err := o.Remind.Rota(ctx, clerk(there), there, civil.Date{}, civil.Date{}); err != nil || len(got) != 31 || got[0].Day != civil.MustParse("2026-09-30") {
		t.Errorf("%d days, %v", len(got), err)
	}
	if got, err := o.Remind.Rota(ctx, clerk(beside), 0, day, day); err != nil || len(got) != 1 || got[0].Accounts != nil || got[0].Due != 0 {
		t.Errorf("another office's rota: %+v, %v", got, err)
	}
	for _, to := range []string{"2026-09-30", "2027-10-02"} {
		_, err := o.Remind.Rota(ctx, clerk(there), 0, day, civil.MustParse(to))
		refused(t, err, fault.KindInvalid, "DUTY_RANGE", "to")
	}
	o.to("2026-10-01 09:00")
	if d, err := o.Remind.Preview(ctx, clerk(there), 0); err != nil || !slices.Equal(d.OnDuty, []string{"clerk-a", "clerk-b"}) {
		t.Errorf("on duty %v, %v", d.OnDuty, err)
	}
}
