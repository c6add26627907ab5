package harness

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"yipan/internal/desk"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/people"
	_ "yipan/internal/rpc" // whose services are walked
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/todo"
)

// methods are all RPCs of all services of yipan, by full name.
func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var out []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "yipan.") {
			return true
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				out = append(out, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	if len(out) < 60 {
		t.Fatalf("only %d methods found", len(out))
	}
	slices.SortFunc(out, func(a, b protoreflect.MethodDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	return out
}

// fieldsOf calls each for every field of a message and of those in it.
func fieldsOf(m protoreflect.MessageDescriptor, each func(protoreflect.FieldDescriptor)) {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			each(f)
			if f.Message() != nil {
				walk(f.Message())
			}
		}
	}
	walk(m)
}

// Which RPCs read and which write, by the first word of their names. One whose
// word stands in neither list fails the test.
var (
	readers = []string{"List", "Search", "Get", "Count", "Compare", "Preview", "Prefill", "Recount", "Trace", "Watch"}
	writers = []string{
		"Accept", "Acknowledge", "Answer", "Apply", "Approve", "Batch", "Close", "Correct", "Declare", "Dismiss", "Dispute", "Distribute", "Merge", "Open", "Pair",
		"Record", "Register", "Reopen", "Reroute", "Resend", "Restrict", "Set", "Start", "Undo", "Unmerge", "Unpair", "Unrestrict", "Update", "Withdraw",
	}
	firstWord = regexp.MustCompile(`^[A-Z][a-z]+`)
)

// filters are the fields by which a reading RPC may select: which office, which
// page, which one thing by its id, why it is read; and of many things only what
// the office's work is ordered by, never what a person decided.
var filters = map[string]string{
	"yipan.cases.v1.GetCaseRequest":        "case_id unmask purpose",
	"yipan.cases.v1.TraceCaseRequest":      "case_id purpose",
	"yipan.cases.v1.WatchCasesRequest":     "office",
	"yipan.cases.v1.ListCandidatesRequest": "case_id purpose",
	"yipan.cases.v1.ListCasesRequest":      "page_size page_token kind states side waiting due_before office counterpart purpose",

	"yipan.consent.v1.ListConsentsRequest": "office person purpose",
	"yipan.consent.v1.Person":              "person_id name document",
	"yipan.consent.v1.GetTextRequest":      "purpose version",

	"yipan.ledger.v1.GetPersonRequest":          "person_id purpose",
	"yipan.ledger.v1.GetPersonHistoryRequest":   "person_id purpose",
	"yipan.ledger.v1.GetSlipRequest":            "person_id recognised_by",
	"yipan.ledger.v1.SearchPersonsRequest":      "office document last4 name initials phone area area_of page_size page_token purpose",
	"yipan.ledger.v1.ListDuplicatesRequest":     "office page_size page_token purpose",
	"yipan.ledger.v1.ListMovementsRequest":      "person_id purpose",
	"yipan.ledger.v1.PrefillNoticeRequest":      "case_id purpose",
	"yipan.ledger.v1.ListOffersDueRequest":      "office offer_round page_size page_token purpose",
	"yipan.ledger.v1.ListPersonServicesRequest": "person_id purpose",
	"yipan.ledger.v1.ListContactsRequest":       "person_id purpose",
	"yipan.ledger.v1.ListTodosRequest":          "office kinds page_size page_token purpose",
	"yipan.ledger.v1.CountTodosRequest":         "office",
	"yipan.ledger.v1.PreviewActionRequest":      "office action case_ids purpose",
	"yipan.ledger.v1.ListAccessRequest":         "office account subject_id denied_only from to page_size page_token",

	"yipan.rates.v1.GetRatesRequest":         "area period kind measures by_township side counterpart breakdown trend frozen",
	"yipan.rates.v1.ListRateCasesRequest":    "office period kind measure side part counterpart page_size page_token",
	"yipan.rates.v1.GetTimesRequest":         "area period kind side by_township",
	"yipan.rates.v1.ListSignalsRequest":      "area period",
	"yipan.rates.v1.RecountRatesRequest":     "area",
	"yipan.rates.v1.ListMonthsRequest":       "area",
	"yipan.rates.v1.GetMonthRequest":         "area period revision",
	"yipan.rates.v1.ListChildrenRequest":     "area period",
	"yipan.rates.v1.CompareMonthRequest":     "area period",
	"yipan.rates.v1.GetReportRequest":        "kind area period revision format",
	"yipan.rates.v1.GetReportFiguresRequest": "kind area period revision",
	"yipan.rates.v1.ListOutagesRequest":      "area",

	"yipan.node.v1.GetNodeRequest":       "",
	"yipan.node.v1.GetReminderRequest":   "office",
	"yipan.node.v1.PreviewDigestRequest": "office",
	"yipan.node.v1.ListDutyRequest":      "office from to",
	"yipan.node.v1.ListPeersRequest":     "",
	"yipan.node.v1.ListDirectoryRequest": "",
	"yipan.node.v1.ListFoldsRequest":     "page_size page_token",

	"google.protobuf.Timestamp": "seconds nanos",
}

// telling are words of what a person decided or is; no filter and no value of
// one says them.
var telling = regexp.MustCompile(`(?i)result|outcome|refus|declin|consent|marital|married|disclos|released|standing|finding|reason|child|sex|pregnan|answer_|order_by|sort|filter|query`)

// SECURITY row 12: filters are on an allow list, and none of them, nor a value
// of theirs, is about an outcome, a refusal, a consent or a marriage.
func TestSecurity12FiltersOnAllowList(t *testing.T) {
	used := map[string]bool{}
	for _, m := range methods(t) {
		word := firstWord.FindString(string(m.Name()))
		if slices.Contains(writers, word) {
			continue
		}
		if !slices.Contains(readers, word) {
			t.Errorf("say whether %s reads or writes", m.FullName())
		}
		if m.IsStreamingClient() {
			t.Errorf("%s takes a stream of filters", m.FullName())
		}
		used[string(m.Input().FullName())] = true
		if _, ok := filters[string(m.Input().FullName())]; !ok {
			t.Errorf("%s: say by which fields of %s it selects", m.FullName(), m.Input().FullName())
		}
		fieldsOf(m.Input(), func(f protoreflect.FieldDescriptor) {
			holder := string(f.ContainingMessage().FullName())
			used[holder] = true
			if !slices.Contains(strings.Fields(filters[holder]), string(f.Name())) {
				t.Errorf("%s selects by %s, which is not on the allow list", m.FullName(), f.FullName())
			}
			if telling.MatchString(string(f.Name())) {
				t.Errorf("%s selects by %s", m.FullName(), f.FullName())
			}
			if e := f.Enum(); e != nil {
				for i := range e.Values().Len() {
					if v := e.Values().Get(i); telling.MatchString(string(v.Name())) {
						t.Errorf("%s selects by %s of %s", m.FullName(), v.Name(), f.FullName())
					}
				}
			}
			if f.IsMap() || f.Kind() == protoreflect.BytesKind {
				t.Errorf("%s selects by %s, of which nobody can say what it means", m.FullName(), f.FullName())
			}
		})
	}
	for name := range filters {
		if m, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name)); err == nil && !used[name] {
			t.Errorf("%s selects nothing any more", m.FullName())
		}
	}
	for _, bad := range []string{"offer_result", "OUTCOME_RESIDING", "standing_refusals", "marital_status", "consent_id", "DECLINED"} {
		if !telling.MatchString(bad) {
			t.Errorf("%s passes", bad)
		}
	}
}

// SECURITY row 35: one person, one act. What records a consent takes one; no
// batch carries any; no verb of any room and nothing that reads files does
// either.
func TestSecurity35NoConsentByBatchOrImport(t *testing.T) {
	given := (&consentv1.Consent{}).ProtoReflect().Descriptor().FullName()
	holds := func(m protoreflect.MessageDescriptor) (yes bool) {
		yes = m.FullName() == given
		fieldsOf(m, func(f protoreflect.FieldDescriptor) {
			yes = yes || f.Message() != nil && f.Message().FullName() == given
		})
		return yes
	}
	recording := 0
	for _, m := range methods(t) {
		batch := m.IsStreamingClient() || strings.HasPrefix(string(m.Name()), "Batch")
		fieldsOf(m.Input(), func(f protoreflect.FieldDescriptor) {
			if f.Message() != nil && (f.IsList() || f.IsMap()) {
				batch = true
				if holds(f.Message()) {
					t.Errorf("%s: %s carries consents", m.FullName(), f.FullName())
				}
			}
		})
		writes := m.Parent().FullName() == "yipan.consent.v1.ConsentService" && !slices.Contains(readers, firstWord.FindString(string(m.Name())))
		if !holds(m.Input()) && !writes {
			continue
		}
		if holds(m.Input()) {
			recording++
		}
		if batch {
			t.Errorf("%s is a batch and holds a consent", m.FullName())
		}
		fieldsOf(m.Input(), func(f protoreflect.FieldDescriptor) {
			if (f.IsList() || f.IsMap()) && f.FullName() != given.Append("fields") {
				t.Errorf("%s takes many %s", m.FullName(), f.FullName())
			}
		})
	}
	if recording != 1 {
		t.Errorf("%d methods record a consent, want 1", recording)
	}

	one := []reflect.Type{reflect.TypeFor[desk.Consent](), reflect.TypeFor[desk.ConsentRequest](), reflect.TypeFor[store.ConsentRow](), reflect.TypeFor[ledger.Consent]()}
	for _, room := range []any{&desk.Desk{}, &people.People{}, &moves.Moves{}, &services.Services{}, &todo.Todo{}, &store.Tx{}, &store.DB{}} {
		typ := reflect.TypeOf(room)
		for i := range typ.NumMethod() {
			for in := range typ.Method(i).Type.Ins() {
				if k := in.Kind(); (k == reflect.Slice || k == reflect.Map || k == reflect.Array) && slices.Contains(one, in.Elem()) {
					t.Errorf("%s.%s takes many consents", typ, typ.Method(i).Name)
				}
			}
		}
	}
	notRecorded(t, "../sheet")
	notRecorded(t, "../cli")
}

// notRecorded checks that nothing in a folder records a consent, but the one
// command for one person, which reads no file.
func notRecorded(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		records, files := false, false
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				records = records || s.Sel.Name == "RecordConsent" || s.Sel.Name == "RecordConsentRequest"
				x, ok := s.X.(*ast.Ident)
				files = files || ok && x.Name == "sheet"
			}
			return true
		})
		if records && (dir != "../cli" || filepath.Base(path) != "consent.go" || files) {
			t.Errorf("%s records consents", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
