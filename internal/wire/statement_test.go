package wire

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
)

func TestStatementRoundTrip(t *testing.T) {
	pair := Range{Day: 20695, HasDay: true, Pair: 1<<64 - 1, HasPair: true}
	deep := pair
	deep.Prefix = []byte{1, 2, 0}
	for name, s := range map[string]*Statement{
		"ask":       {Kind: StateAsk, Nonce: 7},
		"agree":     {Kind: StateAgree, Nonce: 1<<64 - 1, Echo: 7},
		"root":      {Kind: StateDigest, Ranges: []Digest{{Count: 5, XOR: 1<<64 - 1}}, LeastPending: start},
		"day 0":     {Kind: StateDigest, Ranges: []Digest{{Range: Range{HasDay: true}, Count: 1}}, FeedbackPending: true},
		"last day":  {Kind: StateDigest, Ranges: []Digest{{Range: Range{HasDay: true, Day: maxDay}}}},
		"receipts":  {Kind: StateDigest, Ranges: []Digest{{Range: Range{Day: 1, HasDay: true, HasPair: true}, Count: 3}}},
		"several":   {Kind: StateDigest, Ranges: []Digest{{Range: pair, Count: 2, XOR: 3}, {Range: deep, Count: 1, XOR: 4}}},
		"list":      {Kind: StateList, Ranges: []Digest{{Range: deep, IDs: []cases.ItemID{{1}, {2}}}}},
		"reply":     {Kind: StateReply, Ranges: []Digest{{Range: pair}}, Missing: []cases.ItemID{{3}, {4}}},
		"nothing":   {Kind: StateReply},
		"the least": {Kind: StateDigest, LeastPending: time.UnixMilli(1)},
	} {
		b, err := encodeStatement(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeStatement(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestStatementRefused(t *testing.T) {
	digest := func(r *wirev1.Range) *wirev1.Statement {
		return &wirev1.Statement{Kind: wirev1.StatementKind_STATEMENT_KIND_DIGEST, Ranges: []*wirev1.Range{r}}
	}
	for name, p := range map[string]*wirev1.Statement{
		"no kind":                  {},
		"kind below":               {Kind: -1},
		"kind beyond":              {Kind: 6},
		"kind that would wrap":     {Kind: 257},
		"pair without day":         digest(&wirev1.Range{HasPair: true}),
		"prefix without pair":      digest(&wirev1.Range{Day: 2, Prefix: []byte{1}}),
		"prefix of a whole id":     digest(&wirev1.Range{Day: 2, HasPair: true, Prefix: make([]byte, 16)}),
		"half an id":               digest(&wirev1.Range{Ids: make([]byte, 24)}),
		"half an id missing":       {Kind: wirev1.StatementKind_STATEMENT_KIND_REPLY, Missing: make([]byte, 8)},
		"a day after the calendar": digest(&wirev1.Range{Day: 1<<32 - 1}),
	} {
		b, err := proto.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := decodeStatement(b); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: read as %+v, %v", name, s, err)
		}
	}
	if _, err := decodeStatement([]byte{0xff}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("garbage: %v", err)
	}
	for _, day := range []int{-1, maxDay + 1, -1 << 32} {
		if _, err := encodeStatement(&Statement{Kind: StateDigest, Ranges: []Digest{{Range: Range{HasDay: true, Day: day}}}}); err == nil {
			t.Errorf("day %d was encoded", day)
		}
	}
}
