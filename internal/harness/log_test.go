package harness

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ident"
)

// made are names of what one RPC makes and another takes.
var made = regexp.MustCompile(`\b(movement_id|plan_token|action_id):\s*"([^"]+)"`)

var hexID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// subjectsIn are the people that a message names to an office, by their ids and
// by those of cases; of an unpaired notice, the case. Files that were merged are
// one person.
func (w *walk) subjectsIn(m proto.Message, office area.Key) map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for _, s := range hexID.FindAllString(prototext.MarshalOptions{}.Format(m), -1) {
		id, err := hex.DecodeString(s)
		if err != nil {
			w.t.Fatal(err)
		}
		w.subjects(out, office, `SELECT id FROM person WHERE id = $1 UNION SELECT coalesce(person, case_id) FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(id), int64(office))
	}
	return out
}

// subjects adds those whom a query finds.
func (w *walk) subjects(out map[string]bool, office area.Key, sql string, args ...any) {
	w.t.Helper()
	for _, r := range w.raw[w.at(office).Node].Rows(w.t, `SELECT coalesce(p.merged_into, q.id) FROM (`+sql+`) q (id) LEFT JOIN person p ON p.id = q.id`, args...) {
		p := r[0].([16]byte)
		out[hex.EncodeToString(p[:])] = true
	}
}

// SECURITY row 36 at the door: whom the answer of an RPC names is in the access
// log, and nobody whom neither it nor the request names.
func TestSecurity36EveryAnswerIsLogged(t *testing.T) {
	w := within(t)
	s := w.Sites[0]
	l := w.open(w.fresh(cases.Outflow), how{confirm: true})
	w.reply(l, w.answerOf(cases.Residing))
	waiting := w.open(w.fresh(cases.Outflow), how{})
	bare := w.open(w.fresh(cases.Outflow), how{alone: true})
	d := newDoor(t, s)
	answered, named := map[string]bool{}, map[string]bool{}
	for _, office := range []area.Key{l.o, l.r} {
		ctx := d.as(t, access.Clerk, office)
		d.as(t, access.Clerk, office)             // another keeper of a restricted file
		for i, doc := range []*ledgerv1.Document{ // two files that may be one person's
			{Number: ident.Make("520330", civil.MustParse("1992-03-04"), 12, false)}, {Kind: ledgerv1.DocumentKind_DOCUMENT_KIND_NONE},
		} {
			_, err := d.call(ctx, method(t, "yipan.ledger.v1.PersonService.RegisterPerson"), &ledgerv1.RegisterPersonRequest{
				RequestId: fmt.Sprintf("twin-%s-%d", office.Short(), i), Office: "4:" + office.Short(),
				Profile: &ledgerv1.Profile{Name: "测试丁", BirthDate: "1992-03-04", Sex: 1, Living: "4:" + office.Short(), Documents: []*ledgerv1.Document{doc}},
			})
			if err != nil {
				t.Fatalf("register: %v", err)
			}
		}
		a := argsAbout(w, office, l, waiting)
		a.values["yipan.ledger.v1.SearchPersonsRequest.name"] = "测试"
		a.values["keepers"] = fmt.Sprintf("clerk-%d clerk-%d", d.n-1, d.n)
		a.values["yipan.ledger.v1.UnmergePersonRequest.person_id"] = a.values["other_id"]
		a.values["yipan.ledger.v1.MovementInput.to"], a.values["yipan.ledger.v1.MovementInput.from"] = "4:"+office.Short(), "4:"+w.elsewhere().Short()
		for _, m := range []string{"cases.v1.ListCandidatesRequest", "ledger.v1.PrefillNoticeRequest", "ledger.v1.AcceptNoticeRequest"} {
			a.values["yipan."+m+".case_id"] = bare.id.String()
		}
		list := methods(t)
		slices.SortStableFunc(list, func(x, y protoreflect.MethodDescriptor) int { return turn(x) - turn(y) })
		for _, m := range list {
			if m.IsStreamingServer() {
				continue // its events name cases alone, without subjects
			}
			typ, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
			if err != nil {
				t.Fatal(err)
			}
			if turn(m) < 4 {
				a.values["etag"], a.values["yipan.ledger.v1.AcceptNoticeRequest.etag"] = w.view(s, office, l.id).Etag, w.view(s, office, bare.id).Etag
			}
			if got, err := d.call(ctx, method(t, "yipan.ledger.v1.PersonService.GetPerson"), &ledgerv1.GetPersonRequest{PersonId: a.values["person_id"], Purpose: "测试"}); err == nil {
				a.values["yipan.ledger.v1.UpdatePersonRequest.etag"] = got.(*ledgerv1.GetPersonResponse).GetPerson().GetEtag()
			}
			req := typ.New()
			a.fill(t, req)
			last := w.raw[s.Node].Rows(t, `SELECT coalesce(max(id), 0) FROM access_log`)[0][0].(int64)
			asked := w.subjectsIn(req.Interface(), office) // before a write changes who it is
			resp, err := d.call(ctx, m, req.Interface())
			if err != nil {
				if c := status.Code(err); c == codes.Internal || c == codes.Unimplemented || c == codes.Unknown {
					t.Errorf("%s: %v", m.FullName(), err)
				}
				continue
			}
			answered[string(m.Name())] = true
			for _, f := range made.FindAllStringSubmatch(prototext.MarshalOptions{}.Format(resp), -1) {
				a.values[f[1]] = f[2] // for what is walked after it
			}
			shown, logged := w.subjectsIn(resp, office), map[string]bool{}
			w.subjects(logged, office, `SELECT DISTINCT unnest(subjects) FROM access_log WHERE id > $1 AND NOT denied`, last)
			if len(shown) > 0 {
				named[string(m.Name())] = true
			}
			for p := range shown {
				if batch := strings.HasPrefix(string(m.Name()), "Batch"); !logged[p] && (!batch || !asked[p]) { // a refused row repeats the id that it was given
					t.Errorf("%s at %s shows somebody who is not in the log", m.FullName(), office)
				}
			}
			for p := range logged {
				if !shown[p] && !asked[p] {
					t.Errorf("%s at %s logs somebody whom it does not show", m.FullName(), office)
				}
			}
		}
	}
	// The walk says nothing about an RPC that refused what it was given.
	for _, want := range strings.Fields(`GetCase ListCases TraceCase ListCandidates ListConsents RecordConsent GetPerson GetPersonHistory GetSlip SearchPersons
		UndoMovement ApplyAction UndoAction AcknowledgeCase AcceptNotice RestrictPerson UnrestrictPerson MergePersons UnmergePerson UpdatePerson BatchRecordServices BatchRegisterMovements
		ListDuplicates RegisterPerson ListMovements RegisterMovement PrefillNotice ListPersonServices RecordService ListTodos PreviewAction`) {
		if !answered[want] {
			t.Errorf("%s was answered at neither office", want)
		}
	}
	for _, want := range strings.Fields(`GetCase ListCases TraceCase ListConsents GetPerson SearchPersons ListDuplicates ListTodos PreviewAction RegisterPerson`) {
		if !named[want] {
			t.Errorf("%s named nobody", want)
		}
	}
	for _, m := range methods(t) {
		if !answered[string(m.Name())] {
			t.Logf("not walked: %s", m.Name())
		}
	}
}

// turn says when an RPC is walked: those that read, those that write about one,
// those about many, and those after which others find nothing to do.
func turn(m protoreflect.MethodDescriptor) int {
	switch word := firstWord.FindString(string(m.Name())); {
	case slices.Contains(readers, word):
		return 0
	case word == "Batch":
		return 2
	case slices.Contains(strings.Fields("Close Withdraw Dispute Reopen Reroute Merge Unmerge Dismiss Undo Unpair"), word):
		return 3
	case word == "Restrict" || word == "Unrestrict": // hides from those who prepare the others
		return 4
	}
	return 1
}
