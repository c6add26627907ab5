package wire

import (
	"bytes"
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/seal"
)

var (
	nodeA = cases.NodeID(area.MustOf(area.County, "520330"))
	nodeB = cases.NodeID(area.MustOf(area.County, "440304"))
	nodeC = cases.NodeID(area.MustOf(area.County, "440305"))
	areaX = area.MustOf(area.Township, "520330001")
	areaY = area.MustOf(area.Township, "440304002")
	start = time.UnixMilli(1_790_000_000_123)

	signA, signB, signC = signing(1), signing(2), signing(3)
	sealB               = sealing(seal.SuiteHybrid)
)

func signing(n byte) seal.SigningKey {
	k, err := seal.ParseSigningKey(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

func sealing(s seal.Suite) seal.SealingKey {
	k, err := seal.NewSealingKey(s)
	if err != nil {
		panic(err)
	}
	return k
}

func directory(n cases.NodeID, id seal.KeyID) (seal.VerifyKey, bool) {
	k, ok := map[cases.NodeID]seal.SigningKey{nodeA: signA, nodeB: signB, nodeC: signC}[n]
	return k.Public(), ok && k.ID() == id
}

func ordinaryFields() cases.Fields {
	return cases.Fields{
		Name: "测试甲", DocumentKind: 1, DocumentNumber: "11010519491231002X", Sex: 2,
		Birth: civil.MustParse("1949-12-31"), Contact: "00000000000", ContactSafe: true, EventDay: civil.MustParse("2026-03-01"),
		Basis: cases.Basis{Kind: cases.BasisDuty, Duty: "outflow"}, Place: areaY,
		Confirm: cases.Basis{Kind: cases.BasisConsent, Consent: cases.ConsentID{1, 2}, TextHash: [32]byte{3}},
	}
}

func head(k cases.ItemKind, side cases.Side) cases.Head {
	author := nodeA
	if side == cases.SideReceiver {
		author = nodeB
	}
	return cases.Head{Author: author, Side: side, Case: cases.CaseID{7, 15: 8}, X: areaX, Y: areaY, Kind: k, Round: 1,
		T: start.UnixMilli() + int64(k), MinVersion: 1, RecordedAt: start.Add(time.Duration(k) * time.Second)}
}

type sample struct {
	name string
	head cases.Head
	body cases.Body
	pad  int
}

// samples holds at least one item of each kind, every member of head and body
// set in some.
func samples() []sample {
	note := func(s string) cases.Body { return cases.Body{Note: &s} }
	with := func(h cases.Head, change func(*cases.Head)) cases.Head { change(&h); return h }
	fields, bare := ordinaryFields(), cases.Fields{Name: "示例一"}
	helped := ordinaryFields()
	helped.Request, helped.Certificate = "请协助核对预防接种记录", "5203300012026000001"
	return []sample{
		{"open", with(head(cases.Open, cases.SideOpener), func(h *cases.Head) {
			h.CaseKind, h.Limit, h.Policy, h.Urgent = cases.Outflow, cases.Limit{Days: 10, Working: true, Calendar: 2}, [8]byte{1, 7: 2}, true
		}), cases.Body{Fields: &fields}, 0},
		{"open_child", with(head(cases.Open, cases.SideOpener), func(h *cases.Head) {
			h.CaseKind, h.Parent, h.ParentRound, h.Hops, h.Local = cases.Assist, cases.CaseID{9}, 2, 3, true
		}), cases.Body{Fields: &helped}, 0},
		{"correct", head(cases.Correct, cases.SideOpener), cases.Body{Fields: &bare}, 0},
		{"withdraw", with(head(cases.Withdraw, cases.SideOpener), func(h *cases.Head) { h.ByParent = true }), note("parent"), 0},
		{"answer_residing", with(head(cases.Answer, cases.SideReceiver), func(h *cases.Head) { h.Terminal, h.Seen = true, cases.ItemID{4} }),
			cases.Body{Answer: &cases.AnswerBody{Outcome: cases.Residing, Check: "visit",
				Basis: cases.Basis{Kind: cases.BasisConsent, Consent: cases.ConsentID{5}, TextHash: [32]byte{31: 6}}}}, 0},
		{"answer_misrouted", with(head(cases.Answer, cases.SideReceiver), func(h *cases.Head) { h.Terminal, h.Area = true, area.MustOf(area.Township, "440305001") }),
			cases.Body{Answer: &cases.AnswerBody{Outcome: cases.Misrouted, Area: area.MustOf(area.Township, "440305001")}}, 0},
		{"answer_long", head(cases.Answer, cases.SideReceiver), cases.Body{Answer: &cases.AnswerBody{
			Outcome: cases.Unreachable, DuplicateOf: cases.CaseID{1}, Attempts: 3, Channels: []string{"visit", "phone"},
			ConflictFields: []string{"name", "birth"}, Reason: "no_record", Basis: cases.Basis{Kind: cases.BasisRequest}}}, 0},
		{"close", head(cases.Close, cases.SideReceiver), note(""), 0},
		{"reopen", with(head(cases.Reopen, cases.SideOpener), func(h *cases.Head) { h.Dispute, h.Round = true, 2 }), note("answer_in_doubt"), 0},
		{"assign", with(head(cases.Assign, cases.SideReceiver), func(h *cases.Head) { h.Area = areaY }), note("by_address"), 0},
		{"feedback", with(head(cases.Feedback, cases.SideReceiver), func(h *cases.Head) { h.OfferRound = 20261 }),
			cases.Body{Feedback: &cases.FeedbackBody{Released: true, Fields: map[string]string{"date": "2026-03-31", "channel": "visit"}, Consent: cases.ConsentID{8}}}, 512},
		{"feedback_no_disclosure", with(head(cases.Feedback, cases.SideReceiver), func(h *cases.Head) { h.OfferRound = 20261 }),
			cases.Body{Feedback: &cases.FeedbackBody{}}, 512},
		{"revoke", with(head(cases.Revoke, cases.SideReceiver), func(h *cases.Head) { h.Target = cases.ItemID{2} }), note(""), 0},
		{"receipt", cases.Head{Author: nodeB, Kind: cases.Receipt, MinVersion: 1, RecordedAt: start, T: start.UnixMilli()},
			cases.Body{Receipt: &cases.ReceiptBody{Manifest: []byte("manifest"), ManifestSignature: bytes.Repeat([]byte{1}, 64), HeldAt: start,
				Covered: []cases.ItemID{{1}, {2}, {3}}, Rejected: map[cases.ItemID]cases.Reject{{2}: cases.Unreadable, {1}: cases.NotHome},
				Aside: []cases.ItemID{{3}}, KeyID: [8]byte{1}, Signature: bytes.Repeat([]byte{2}, 64)}}, 0},
	}
}

func newSample(t testing.TB, s sample) cases.Item {
	t.Helper()
	it, err := NewItem(s.head, s.body, s.pad)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return it
}

// ordinary returns n ordinary items, openings and answers in turn.
func ordinary(t testing.TB, n int) []cases.Item {
	t.Helper()
	ss := samples()
	out := make([]cases.Item, n)
	for i := range out {
		out[i] = newSample(t, ss[i%2*4])
	}
	return out
}
