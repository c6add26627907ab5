package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
	"yipan/internal/ledger"
)

var update = flag.Bool("update", false, "write golden files")

func TestItemRoundTrip(t *testing.T) {
	seen := map[cases.ItemKind]bool{}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			seen[s.head.Kind] = true
			it := newSample(t, s)
			raw, err := proto.Marshal(ItemToProto(&it))
			if err != nil {
				t.Fatal(err)
			}
			var p wirev1.Item
			if err := proto.Unmarshal(raw, &p); err != nil {
				t.Fatal(err)
			}
			got, err := ItemFromProto(&p)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(it, got); d != "" {
				t.Errorf("item (-made +read):\n%s", d)
			}
			if d := cmp.Diff(s.head, got.Head); d != "" {
				t.Errorf("head (-want +got):\n%s", d)
			}
			body, err := DecodeBody(got.BodyRaw)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(s.body, body); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			for _, other := range samples() {
				h := got.Head
				h.Kind = other.head.Kind
				same := kindOfBody(body) == kindOfBody(other.body)
				if BodyFits(&h, &body) != same {
					t.Errorf("body fits %s: %v", h.Kind, !same)
				}
			}
		})
	}
	for k := cases.Open; k <= cases.Receipt; k++ {
		if !seen[k] {
			t.Errorf("no sample of %s", k)
		}
	}
}

func kindOfBody(b cases.Body) string {
	return fmt.Sprint(b.Fields != nil, b.Answer != nil, b.Feedback != nil, b.Note != nil, b.Receipt != nil)
}

// A person without a birth date on paper stays without one; one born on day 0
// of the encoding keeps it.
func TestDayNumbers(t *testing.T) {
	for _, s := range []string{"", "1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31"} {
		var f cases.Fields
		if err := f.Birth.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		f.EventDay = f.Birth
		it, err := NewItem(head(cases.Open, cases.SideOpener), cases.Body{Fields: &f}, 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := DecodeBody(it.BodyRaw)
		if err != nil || b.Fields.Birth != f.Birth || b.Fields.EventDay != f.Birth {
			t.Errorf("day %q became %q, %v", s, b.Fields.Birth, err)
		}
	}
}

// The bytes of one item of each kind under a fixed nonce: what two versions of
// the program must agree on for ever.
func TestGoldenItems(t *testing.T) {
	var b strings.Builder
	for _, s := range samples() {
		it, err := newItem(s.head, s.body, s.pad, []byte("0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\nid   %s\nhead %x\nbody %x\n\n", s.name, it.ID, it.HeadRaw, it.BodyRaw)
	}
	golden(t, "testdata/items.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func TestIDBindsHeadNonceAndBody(t *testing.T) {
	it := newSample(t, samples()[0])
	seen := map[cases.ItemID]string{it.ID: "itself"}
	for part, b := range map[string][]byte{"head": it.HeadRaw, "nonce": it.Nonce, "body": it.BodyRaw} {
		for i := range b {
			b[i] ^= 1
			id := itemID(it.HeadRaw, bodyHash(it.Nonce, it.BodyRaw))
			if was, ok := seen[id]; ok {
				t.Fatalf("%s byte %d: id of %s", part, i, was)
			}
			seen[id] = fmt.Sprint(part, i)
			b[i] ^= 1
		}
	}
	if a, b := newSample(t, samples()[0]), newSample(t, samples()[0]); a.ID == b.ID {
		t.Error("two items of equal content have one id: the nonce is missing")
	}
}

func TestErasedItemKeepsItsID(t *testing.T) {
	for _, s := range samples() {
		it := newSample(t, s)
		bare := cases.Item{ID: it.ID, Head: it.Head, HeadRaw: it.HeadRaw, BodyHash: it.BodyHash}
		p := ItemToProto(&bare)
		if len(p.GetNonce())+len(p.GetBody()) > 0 {
			t.Errorf("%s: an erased item travels with nonce or body", s.name)
		}
		got, err := ItemFromProto(p)
		if err != nil || !got.Erased() {
			t.Fatalf("%s: erased %v, %v", s.name, got.Erased(), err)
		}
		if d := cmp.Diff(bare, got); d != "" {
			t.Errorf("%s (-made +read):\n%s", s.name, d)
		}
	}
}

func TestItemSizes(t *testing.T) {
	for _, s := range samples() {
		it := newSample(t, s)
		n := len(it.HeadRaw) + len(it.Nonce) + len(it.BodyRaw)
		t.Logf("%-24s %4d bytes", s.name, n)
		if n > 400 && s.pad == 0 {
			t.Errorf("%s has %d bytes, more than an ordinary item's 400", s.name, n)
		}
	}
	h := head(cases.Open, cases.SideOpener)
	fit := 0
	for _, n := range []int{MaxItemBytes - 200, MaxItemBytes - 100, MaxItemBytes - 50, MaxItemBytes, 2 * MaxItemBytes} {
		it, err := NewItem(h, cases.Body{Fields: &cases.Fields{Request: strings.Repeat("a", n)}}, 0)
		size := len(it.HeadRaw) + len(it.Nonce) + len(it.BodyRaw)
		switch {
		case err == nil && size > MaxItemBytes:
			t.Errorf("item of %d bytes was made", size)
		case err == nil:
			fit++
			if _, err := ItemFromProto(ItemToProto(&it)); err != nil {
				t.Errorf("item of %d bytes is not read: %v", size, err)
			}
		case !fault.Is(err, fault.KindInvalid):
			t.Errorf("%d: %v", n, err)
		}
	}
	if fit == 0 || fit == 5 {
		t.Errorf("%d of 5 sizes fit", fit)
	}
	big := &wirev1.Item{Head: newSample(t, samples()[0]).HeadRaw, Nonce: make([]byte, 16), Body: make([]byte, MaxItemBytes)}
	if it, err := ItemFromProto(big); err == nil || it.ID.IsZero() {
		t.Errorf("a larger item off the wire: id %s, %v", it.ID, err)
	}
}

func TestNotUTF8IsInvalid(t *testing.T) {
	_, err := NewItem(head(cases.Open, cases.SideOpener), cases.Body{Fields: &cases.Fields{Name: "\xff\xfe"}}, 0)
	if !fault.Is(err, fault.KindInvalid) {
		t.Errorf("%v", err)
	}
}

func TestPadBodyIsExact(t *testing.T) {
	sizes := []int{0, 1, 2, 3, 4, 5, 126, 127, 128, 129, 130, 131, 132, 255, 256, 512, 16383, 16384, 16385, 16386, 16387, 16388, 16389, 16390, 16391}
	for n := 2; n < 600; n++ {
		note := strings.Repeat("a", n)
		raw, err := det.Marshal(bodyToProto(cases.Body{Note: &note}))
		if err != nil {
			t.Fatal(err)
		}
		for _, gap := range sizes {
			got, ok := padBody(raw, len(raw)+gap)
			if !ok || len(got) != len(raw)+gap {
				t.Fatalf("body of %d padded by %d: %d bytes, %v", len(raw), gap, len(got), ok)
			}
			b, err := DecodeBody(got)
			if err != nil || b.Note == nil || *b.Note != note {
				t.Fatalf("body of %d padded by %d does not decode: %v", len(raw), gap, err)
			}
		}
	}
	if _, ok := padBody(make([]byte, 9), 8); ok {
		t.Error("a longer body was padded")
	}
}

// Whatever a FEEDBACK says, it has one size (PROTOCOL, 三查).
func TestFeedbackHasOneSize(t *testing.T) {
	for _, size := range []int{64, 126, 127, 128, 129, 130, 131, 132, 133, 255, 256, 257, 512, 1024, 16383, 16384, 16385, 16390} {
		rapid.Check(t, func(t *rapid.T) {
			f := cases.FeedbackBody{Released: rapid.Bool().Draw(t, "released")}
			if f.Released {
				f.Consent = cases.ConsentID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "consent"))
				n := rapid.IntRange(0, max(0, size-40)).Draw(t, "value bytes")
				f.Fields = map[string]string{"note": strings.Repeat("a", n)}
			}
			it, err := NewItem(head(cases.Feedback, cases.SideReceiver), cases.Body{Feedback: &f}, size)
			if fault.Is(err, fault.KindInvalid) && f.Released {
				plain, err := det.Marshal(bodyToProto(cases.Body{Feedback: &f}))
				if err != nil || len(plain) <= size {
					t.Fatalf("%d bytes were refused for %d: %v", len(plain), size, err)
				}
				return
			}
			if err != nil || len(it.BodyRaw) != size {
				t.Fatalf("body of %d bytes, want %d: %v", len(it.BodyRaw), size, err)
			}
			b, err := DecodeBody(it.BodyRaw)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&f, b.Feedback); d != "" {
				t.Fatalf("body (-want +got):\n%s", d)
			}
		})
	}
	long := cases.Body{Feedback: &cases.FeedbackBody{Fields: map[string]string{"a": strings.Repeat("a", 600)}}}
	if _, err := NewItem(head(cases.Feedback, cases.SideReceiver), long, 512); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("a body longer than its padding leaves: %v", err)
	}
}

// SECURITY D1, requirement 1: why nothing is disclosed stays with the office.
func TestSecurity01NoDisclosureSameBytes(t *testing.T) {
	const want = "12020801"
	for _, reason := range ledger.TrueReasons() {
		private := ledger.Private{TrueReason: reason} // stays in the office's own row
		b := cases.Body{Answer: &cases.AnswerBody{Outcome: cases.NoDisclosure}}
		it, err := NewItem(head(cases.Answer, cases.SideReceiver), b, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(it.BodyRaw); got != want {
			t.Errorf("%s: body %s, want %s", private.TrueReason, got, want)
		}
		if bytes.Contains(it.HeadRaw, []byte(reason)) {
			t.Errorf("%s is in the head", reason)
		}
	}
	if n := len(ledger.TrueReasons()); n < 4 {
		t.Errorf("%d true reasons", n)
	}
}

func TestHeadRefusesWhatIsNoArea(t *testing.T) {
	good := uint64(areaX)
	for _, v := range []uint64{6, 9, 10, 5203300010003, 5203300010000, 5203300010009, 99999999999950, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		for name, p := range map[string]*wirev1.Head{"author": {Author: v}, "x": {X: v, Y: good}, "y": {X: good, Y: v}, "area": {Area: v}} {
			raw, err := proto.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if h, err := DecodeHead(raw); !fault.Is(err, fault.KindInvalid) {
				t.Errorf("%s %d read as %+v, %v", name, v, h, err)
			}
		}
		for name, p := range map[string]*wirev1.Body{
			"place": {Content: &wirev1.Body_Fields{Fields: &wirev1.Fields{Place: v}}},
			"area":  {Content: &wirev1.Body_Answer{Answer: &wirev1.Answer{Area: v}}},
		} {
			raw, err := proto.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeBody(raw); !fault.Is(err, fault.KindInvalid) {
				t.Errorf("body %s %d: %v", name, v, err)
			}
		}
	}
}

// Numbers beyond a byte are unknown, not other known ones.
func TestNumbersDoNotWrap(t *testing.T) {
	raw, err := proto.Marshal(&wirev1.Head{Kind: 256 + wirev1.ItemKind(cases.Close), Side: 256 + wirev1.Side_SIDE_OPENER, CaseKind: 257, Author: uint64(nodeA)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := DecodeHead(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := cases.Head{Author: nodeA, RecordedAt: time.UnixMilli(0)}
	if d := cmp.Diff(want, h); d != "" {
		t.Errorf("head (-want +got):\n%s", d)
	}
	raw, err = proto.Marshal(&wirev1.Body{Content: &wirev1.Body_Answer{Answer: &wirev1.Answer{Outcome: 256 + 2}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := DecodeBody(raw)
	if h.Kind = cases.Answer; err != nil || b.Answer.Outcome != 0 || BodyFits(&h, &b) {
		t.Errorf("outcome 258 read as %s, %v", b.Answer.Outcome, err)
	}
}

func TestItemFromProtoRefuses(t *testing.T) {
	it := newSample(t, samples()[0])
	for name, p := range map[string]*wirev1.Item{
		"nothing":         {},
		"no nonce":        {Head: it.HeadRaw, Body: it.BodyRaw},
		"short nonce":     {Head: it.HeadRaw, Nonce: it.Nonce[:15], Body: it.BodyRaw},
		"short body hash": {Head: it.HeadRaw, BodyHash: it.BodyHash[:31]},
	} {
		if got, err := ItemFromProto(p); err == nil || !got.ID.IsZero() {
			t.Errorf("%s: id %s, %v", name, got.ID, err)
		}
	}
	got, err := ItemFromProto(&wirev1.Item{Head: []byte{0xff}, Nonce: it.Nonce, Body: it.BodyRaw})
	if err == nil || got.ID.IsZero() {
		t.Errorf("undecodable head: id %s, %v; want an id and an error", got.ID, err)
	}
}
