package harness

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ident"
	"yipan/internal/keys"
	"yipan/internal/rpc"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// door is the real gRPC door of a site, on loopback.
type door struct {
	*grpc.ClientConn
	site *Site
	pem  []byte // of its certificate
	n    int
}

func newDoor(t *testing.T, s *Site) *door {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, err := keys.RenewCertificate(dir, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.New(rpc.Config{
		Desk: s.Desk, People: s.People, Moves: s.Moves, Services: s.Services, Todo: s.Todo,
		Figures: s.Figures, Closing: s.Closing, Remind: s.Remind, TLS: &tls.Config{Certificates: []tls.Certificate{cert.TLS()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: cert.Roots, MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &door{ClientConn: conn, site: s, pem: cert.PEM}
}

// as makes an account and returns a context that calls with its token.
func (d *door) as(t *testing.T, role access.Role, offices ...area.Key) context.Context {
	t.Helper()
	d.n++
	name := fmt.Sprintf("%s-%d", role, d.n)
	secret, hash := seal.Token()
	if err := d.site.DB.PutAccount(t.Context(), store.Account{ID: name, Role: role, Offices: offices, GrantedBy: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.site.DB.AddToken(t.Context(), hash, name, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+secret)
}

// call calls a method with a message and returns the answer.
func (d *door) call(ctx context.Context, m protoreflect.MethodDescriptor, req proto.Message) (proto.Message, error) {
	typ, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, err
	}
	resp, name := typ.New().Interface(), fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if !m.IsStreamingServer() {
		return resp, d.Invoke(ctx, name, req, resp)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	st, err := d.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name)
	if err == nil {
		err = st.SendMsg(req)
	}
	if err == nil {
		err = st.CloseSend()
	}
	if err == nil {
		err = st.RecvMsg(resp)
	}
	return resp, err
}

// args fills requests with what a caller would send about things that exist.
type args struct {
	values map[string]string // by field name
	times  map[string]time.Time
	n      int
}

// numbers of fields whose zero says nothing.
var numbers = map[string]uint32{"offer_round": 20263, "attempts": 1, "page_size": 50}

// choices are values of enums of which the first does not fit.
var choices = map[protoreflect.FullName]protoreflect.EnumNumber{"yipan.ledger.v1.MovementInput.kind": 2}

// said are fields that only repeat, or exclude, another one.
var said = map[protoreflect.FullName]string{
	"yipan.ledger.v1.SearchPersonsRequest":  "document last4 initials phone area area_of",
	"yipan.ledger.v1.RegisterPersonRequest": "",
	"yipan.ledger.v1.MovementInput":         "profile approval_id confirm_consent_id",
	"yipan.ledger.v1.AcceptNoticeRequest":   "movement",
	"yipan.cases.v1.OpenCaseRequest":        "certificate_asked_on certificate_issued_on",
	"yipan.cases.v1.Fields":                 "certificate document_confirmed confirm_consent_id",
	"yipan.cases.v1.Basis":                  "consent_id duty",
	"yipan.cases.v1.RecordOfferRequest":     "consent_id",
	// The latest, or as it is now.
	"yipan.rates.v1.GetMonthRequest":         "revision",
	"yipan.rates.v1.GetReportRequest":        "revision",
	"yipan.rates.v1.GetReportFiguresRequest": "revision",
	"yipan.ledger.v1.ServiceInput":           "consent_id referral",
	"yipan.cases.v1.Answer":                  "area duplicate_of channels conflict_fields attempts reason basis",
	"yipan.ledger.v1.ListAccessRequest":      "account",
	"yipan.cases.v1.ListCasesRequest":        "kind states side waiting counterpart",
	"yipan.ledger.v1.ListTodosRequest":       "kinds",
	"yipan.ledger.v1.ListOffersDueRequest":   "offer_round",
}

func (a *args) fill(t *testing.T, m protoreflect.Message) {
	t.Helper()
	skip := strings.Fields(said[m.Descriptor().FullName()])
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if oneOf := f.ContainingOneof(); oneOf != nil && !oneOf.IsSynthetic() && m.WhichOneof(oneOf) != nil || slices.Contains(skip, string(f.Name())) {
			continue
		}
		switch {
		case f.IsMap():
			continue // findings and the like: none
		case f.IsList() && f.Message() != nil:
			l := m.Mutable(f).List()
			v := l.NewElement()
			a.fill(t, v.Message())
			l.Append(v)
		case f.IsList():
			v := a.value(t, f)
			if f.Kind() != protoreflect.StringKind {
				m.Mutable(f).List().Append(v)
				continue
			}
			for _, word := range strings.Fields(v.String()) {
				m.Mutable(f).List().Append(protoreflect.ValueOfString(word))
			}
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			if at, ok := a.times[string(f.FullName())]; ok { // else no bound
				m.Set(f, protoreflect.ValueOfMessage(timestamppb.New(at).ProtoReflect()))
			}
		case f.Message() != nil:
			a.fill(t, m.Mutable(f).Message())
		default:
			if v := a.value(t, f); v.IsValid() {
				m.Set(f, v)
			}
		}
	}
}

func (a *args) value(t *testing.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	t.Helper()
	name := string(f.Name())
	switch f.Kind() {
	case protoreflect.StringKind:
		switch a.n++; name {
		case "request_id":
			return protoreflect.ValueOfString(fmt.Sprintf("role-%08d", a.n))
		case "document", "number": // of somebody new each time
			return protoreflect.ValueOfString(ident.Make("520330", civil.MustParse("1991-02-03").AddDays(a.n/400), a.n%400, true))
		}
		v, ok := a.values[string(f.FullName())]
		if !ok {
			v, ok = a.values[name]
		}
		if !ok {
			t.Fatalf("say what %s is filled with", f.FullName())
		}
		return protoreflect.ValueOfString(v)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(max(1, choices[f.FullName()]))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(name == "unmask" || name == "dry_run")
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(numbers[name])
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(numbers[name]))
	case protoreflect.Uint64Kind, protoreflect.Int64Kind:
		return protoreflect.Value{}
	}
	t.Fatalf("say how %s of kind %s is filled", f.FullName(), f.Kind())
	return protoreflect.Value{}
}

// personal are names of fields that say something of a person, or who it is.
var personal = regexp.MustCompile(`^(name|names|former_names?|found_by|document|documents|number|last4|initials|phone|contacts?|value|subject|subjects|subject_ids|` +
	`person_?ids?|persons?|fields|profile|sex|birth.*|age|marital.*|address|living|registered|managed|household.*|presence|since|before|after|answer|outcome|` +
	`result|findings|feedback|consents?|standing.*|area_hint.*|keepers)$`)

// impersonal are fields of such a name that say nothing of a person, and the
// role that may see one that does.
var impersonal = map[protoreflect.FullName]access.Role{
	"yipan.node.v1.GetNodeResponse.name":      "", // of an area
	"yipan.node.v1.Peer.name":                 "",
	"yipan.rates.v1.ChangedCase.before":       "", // a code of the round
	"yipan.node.v1.DirectoryEntry.name":       "",
	"yipan.ledger.v1.AccessEvent.subject_ids": access.Auditor, // ids, to follow who was looked at
}

// argsAbout are arguments about two cases and their people, as their office o
// would send them.
func argsAbout(w *walk, o area.Key, l, waiting *leg) *args {
	w.t.Helper()
	s := w.at(o)
	personOf := func(id cases.CaseID) string {
		p := w.raw[s.Node].Rows(w.t, `SELECT coalesce(person, case_id) FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(id), int64(o))[0][0].([16]byte)
		return hex.EncodeToString(p[:])
	}
	person, other := personOf(l.id), personOf(waiting.id)
	from, to := "4:"+o.Short(), "4:"+l.r.Short()
	if o == l.r {
		to = "4:" + l.o.Short()
	}
	now := w.Clock.Now()
	return &args{times: map[string]time.Time{
		"yipan.rates.v1.DeclareOutageRequest.from": now.Add(-time.Hour), "yipan.rates.v1.DeclareOutageRequest.to": now.Add(-time.Minute),
	}, values: map[string]string{
		"day": civil.In(now).AddDays(3).String(), "accounts": "", "webhook": "", "email": "", "yipan.node.v1.ListDutyRequest.from": "", "yipan.node.v1.ListDutyRequest.to": "",
		"yipan.rates.v1.DeclareOutageRequest.reason": "测试停电",
		"case_id": l.id.String(), "case_ids": waiting.id.String(), "etag": w.view(s, o, l.id).Etag, "person_id": person, "other_id": other,
		"subject_id": person, "consent_id": l.confirm.String(), "confirm_consent_id": l.confirm.String(),
		"movement_id": person, "approval_id": person, "action_id": person,
		"office": from, "origin": from, "from": from, "destination": to, "to": to, "township": to, "recipient": to,
		"counterpart": "", "area": from, "registered": from, "managed": from, "living": from, "area_of": "living",
		"peer": "", "page_token": "", "purpose": "测试", "reason": "测试", "account": "", "period": "2026-11",
		"name": "测试乙", "confirmed": "", "former_names": "测试丙", "last4": "0011", "initials": "cs", "phone": "13800000001", "contact": "13800000001", "value": "13800000001",
		"yipan.ledger.v1.Contact.kind": "phone", "preference": "any", "birth_date": "", "event_date": "2026-11-10", "date": "2026-11-10", "done_date": "", "appointment": "", "address": "测试路1号",
		"household": "", "household_relation": "", "standing_refusals": "", "update_fields": "address", "recognised_by": "document", "keepers": "clerk-test",
		"request": "", "check": "visit", "true_reason": "", "result": "declined", "channel": "visit", "plan_token": "00", "text_version": "2026-1", "text_sha256": strings.Repeat("01", 32),
		"given_how": "paper", "fields": "pregnancy", "yipan.consent.v1.Consent.purpose": "confirm_residence", "document_confirmed": "", "version": "", "certificate_asked_on": "", "certificate_issued_on": "", "duty": "", "relation": "",
	}}
}

// Roles that read no person get none, whatever they call and about whomever:
// each RPC denies them, or its answer has no field about a person.
func TestSecurityCountyRoleGetsNoPerson(t *testing.T) {
	w := within(t)
	s := w.Sites[0]
	l := w.open(w.fresh(cases.Outflow), how{confirm: true})
	w.reply(l, w.answerOf(cases.Residing))
	waiting := w.open(w.fresh(cases.Outflow), how{}) // to be seen in lists
	person := w.raw[s.Node].Rows(t, `SELECT person FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(l.id), int64(l.o))[0][0].([16]byte)
	other := w.raw[s.Node].Rows(t, `SELECT person FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(waiting.id), int64(l.o))[0][0].([16]byte)
	d := newDoor(t, s)
	a := argsAbout(w, l.o, l, waiting)
	clerk := d.as(t, access.Clerk, l.o)
	preview, err := d.call(clerk, method(t, "yipan.ledger.v1.TodoService.PreviewAction"), &ledgerv1.PreviewActionRequest{
		Office: "4:" + l.o.Short(), Action: ledgerv1.BulkAction_BULK_ACTION_ACKNOWLEDGE, CaseIds: []string{l.id.String()}, Purpose: "测试",
	})
	if err != nil {
		t.Errorf("no plan to apply: %v", err)
	} else {
		a.values["plan_token"] = preview.(*ledgerv1.PreviewActionResponse).GetPlanToken()
	}
	secrets := []string{"测试甲", "13800000000", l.document, l.document[14:], waiting.document, hex.EncodeToString(person[:]), hex.EncodeToString(other[:])}

	shown := 0
	for _, role := range access.Roles() {
		if role.ReadsPersons() {
			continue
		}
		for _, offices := range [][]area.Key{{origin}, {l.o}, {origin, l.o, l.r}} {
			ctx := d.as(t, role, offices...)
			for _, m := range methods(t) {
				typ, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
				if err != nil {
					t.Fatal(err)
				}
				req := typ.New()
				a.fill(t, req)
				resp, err := d.call(ctx, m, req.Interface())
				switch code := status.Code(err); code {
				case codes.PermissionDenied:
				case codes.NotFound:
					if m.Name() != "GetMonth" { // nothing is frozen yet
						t.Errorf("%s as %s of %v: %v", m.FullName(), role, offices, err)
					}
				case codes.OK:
					shown++
					fieldsOf(m.Output(), func(f protoreflect.FieldDescriptor) {
						only, excepted := impersonal[f.FullName()]
						if !f.ContainingMessage().IsMapEntry() && personal.MatchString(string(f.Name())) && (!excepted || only != "" && only != role) {
							t.Errorf("%s shows %s to %s", m.FullName(), f.FullName(), role)
						}
					})
					text := prototext.MarshalOptions{EmitASCII: false}.Format(resp)
					for i, secret := range secrets {
						if strings.Contains(text, secret) && (role != access.Auditor || i < 5) { // ids are what an auditor reads
							t.Errorf("%s shows %s secret %d of a person", m.FullName(), role, i)
						}
					}
				default:
					t.Errorf("%s as %s of %v: %s; want a denial or an answer: %v", m.FullName(), role, offices, code, err)
				}
				for i, secret := range secrets[:5] {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("the error of %s shows %s secret %d of a person", m.FullName(), role, i)
					}
				}
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d answers: the walk says little", shown)
	}
	// That the arguments are about somebody: a clerk is shown the person.
	for _, name := range []string{"yipan.cases.v1.CaseService.GetCase", "yipan.cases.v1.CaseService.ListCases", "yipan.ledger.v1.PersonService.GetPerson", "yipan.consent.v1.ConsentService.ListConsents"} {
		m := method(t, protoreflect.FullName(name))
		typ, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		req := typ.New()
		a.fill(t, req)
		if _, err := d.call(clerk, m, req.Interface()); err != nil {
			t.Errorf("%s as a clerk: %v", name, err)
		}
	}
}

// method finds an RPC by its full name.
func method(t *testing.T, name protoreflect.FullName) protoreflect.MethodDescriptor {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MethodDescriptor)
}
