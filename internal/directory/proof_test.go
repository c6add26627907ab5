package directory

import (
	"testing"

	"yipan/internal/area"
	"yipan/internal/seal"
)

// apply publishes a request that no authority with rules stands before.
func (x *exchange) apply(r Request) Event {
	x.t.Helper()
	return x.publish(x.raw(r.bytes, r.proofs...))
}

func TestProofs(t *testing.T) {
	x := three(t)
	county := key(t, "3:110102")
	other := x.keys[key(t, "3:441900")]
	k, stranger := newKeys(t), newKeys(t)
	c := k.claim(county, []area.Key{county}, 0)
	all := request(t, c, k.signing()...)
	with := func(r Request, p Proof) Request { return r.with(p) }

	stolen := k
	stolen.cert = other.sign
	tests := []struct {
		name, reason string
		r            Request
	}{
		{"all", "", all},
		{"one missing", "DIRECTORY_PROOF", request(t, c, k.sign, k.next, k.cert)},
		{"none", "DIRECTORY_PROOF", request(t, c)},
		{"of another claim", "DIRECTORY_PROOF", with(request(t, c, k.sign, k.next, k.cert),
			prove(Possession, c.Node, k.log, []byte("another claim")))},
		{"of another kind", "DIRECTORY_PROOF", with(request(t, c, k.sign, k.next, k.cert),
			Proof{Possession, c.Node, k.log.ID(), k.log.Sign("directory-release", all.bytes)})},
		{"by a key that is not listed", "DIRECTORY_PROOF", with(all, prove(Possession, c.Node, stranger.sign, all.bytes))},
		{"by a listed key for another node", "DIRECTORY_PROOF", with(all, prove(Possession, 7, k.sign, all.bytes))},
		{"another node's key", "DIRECTORY_KEY_TAKEN", request(t, stolen.claim(county, []area.Key{county}, 0), stolen.signing()...)},
		{"continuity without a predecessor", "DIRECTORY_PROOF", all.Continue(k.sign)},
		{"release by a stranger", "DIRECTORY_PROOF", all.Release(node(t, "3:441900"), stranger.sign)},
		{"release by an unknown node", "DIRECTORY_PROOF", all.Release(node(t, "3:510104"), stranger.sign)},
		{"needless release", "", all.Release(node(t, "3:441900"), other.sign)},
	}
	for _, tt := range tests {
		y := x.clone()
		ev := y.apply(tt.r)
		if reason(ev.Why) != tt.reason || (ev.Kind == Applied) != (tt.reason == "") {
			t.Errorf("%s: %v %v", tt.name, ev.Kind, ev.Why)
		}
		if _, ok := y.auth.dir.Home(county); ok != (tt.reason == "") {
			t.Errorf("%s: home %t", tt.name, ok)
		}
	}
}

func TestRotation(t *testing.T) {
	x := three(t)
	id, at := node(t, "3:441900"), key(t, "3:441900")
	old := x.keys[at]
	next := newKeys(t)
	next.sign, next.cert, next.log = old.next, old.cert, old.log
	c := next.claim(at, []area.Key{at}, 2)

	// With continuity: at once, and by every honest reading.
	rotated := request(t, c, next.next).Continue(old.sign)
	rec := x.admit(rotated, Leave{})
	_, ev, err := New(x.authKey.Public()).Extend(x.records)
	if err != nil {
		t.Fatal(err)
	}
	if e := ev[3]; !e.Continued || !e.Rekeyed || e.Joined || e.Contested() || rec.Serial() != 4 {
		t.Errorf("event %+v", e)
	}
	d := x.load()
	m, ok := d.Node(id)
	if !ok || m.Signing.ID() != old.next.ID() || m.SigningNext.ID() != next.next.ID() || m.Serial != 4 || !m.Joined.Equal(start.Add(hours(2))) {
		t.Errorf("member %+v", m)
	}
	if to, ok := d.SealTo(id); !ok || to.ID() != next.seal.ID() {
		t.Error("parcels would be sealed to the old key")
	}
	for _, k := range []seal.SigningKey{old.sign, old.next, next.next} {
		v, ok := d.VerifyKey(id, k.ID())
		if !ok || !v.Verify("parcel", []byte("m"), k.Sign("parcel", []byte("m"))) {
			t.Errorf("key %s does not verify", k.ID())
		}
	}
	for name, kid := range map[string]seal.KeyID{"certificate": old.cert.ID(), "unknown": {1}, "zero": {}} {
		if _, ok := d.VerifyKey(id, kid); ok {
			t.Errorf("a %s key verifies parcels", name)
		}
	}
	if _, ok := d.VerifyKey(node(t, "3:520330"), old.sign.ID()); ok {
		t.Error("a node's key verifies another's parcels")
	}
	if _, ok := d.KeyOf(id, Certificate, old.cert.ID()); !ok {
		t.Error("no certificate key")
	}

	// The same request again, and an older one, replace another entry by now.
	_, err = x.auth.Admit(rotated, x.now, Leave{})
	wantReason(t, err, "DIRECTORY_STALE")
}

// Continuity and release are given for one state of the directory: a claim
// that is admitted again later proves nothing and is contested.
func TestOldClaimProvesNothing(t *testing.T) {
	x := three(t)
	at := key(t, "3:441900")
	old := x.keys[at]
	next := newKeys(t)
	rotate := request(t, next.claim(at, []area.Key{at}, 2), next.signing()...).Continue(old.sign)
	x.admit(rotate, Leave{})
	newest := newKeys(t)
	x.admit(request(t, newest.claim(at, []area.Key{at}, 4), newest.signing()...).Continue(next.sign), Leave{})
	if ev := x.apply(rotate); ev.Kind != Applied || ev.Continued || !ev.Rekeyed || !ev.Contested() {
		t.Errorf("an old claim still proves continuity: %+v", ev)
	}
}

func TestKeysWithoutContinuity(t *testing.T) {
	x := three(t)
	at := key(t, "3:441900")
	fresh := newKeys(t)
	r := request(t, fresh.claim(at, []area.Key{at}, 2), fresh.signing()...)
	_, err := x.auth.Admit(r, x.now, Leave{})
	wantReason(t, err, "DIRECTORY_NO_CONTINUITY")
	if x.auth.Directory().Serial() != 3 {
		t.Error("a refused request became a leaf")
	}
	if ev := x.clone().apply(r.Continue(fresh.sign)); ev.Kind != Skipped {
		t.Errorf("the new key vouched for itself: %+v", ev)
	}
	x.admit(r, Leave{Unsigned: true})
	_, events, err := New(x.authKey.Public()).Extend(x.records)
	if err != nil || !events[3].Contested() || events[3].Continued {
		t.Errorf("%+v, %v", events[3], err)
	}
}

func TestTakingAServedArea(t *testing.T) {
	county, town := "3:520330", "4:520330001"
	for _, tt := range []struct {
		name   string
		areas  []string // of the newcomer
		lost   string
		signed bool
	}{
		{"longer prefix", []string{town}, town, false},
		{"longer prefix, signed", []string{town}, town, true},
		{"same area", []string{"3:520331", county}, county, false},
		{"same area, signed", []string{"3:520331", county}, county, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := three(t)
			loser := x.keys[key(t, county)]
			k := newKeys(t)
			ks := keysOf(t, tt.areas...)
			r := request(t, k.claim(ks[0], ks, 0), k.signing()...)
			leave := Leave{}
			if tt.signed {
				r = r.Release(node(t, county), loser.next)
			} else {
				_, err := x.auth.Admit(r, x.now, leave)
				wantReason(t, err, "DIRECTORY_AREA_SERVED")
				leave.Areas = keysOf(t, tt.lost)
			}
			rec := x.admit(r, leave)
			x.records = x.records[:3]
			_, ev, err := x.load().Apply(rec)
			if err != nil {
				t.Fatal(err)
			}
			want := Reassigned{key(t, tt.lost), node(t, county), node(t, tt.areas[0]), tt.signed}
			if len(ev.Reassigned) != 1 || ev.Reassigned[0] != want || ev.Contested() == tt.signed {
				t.Errorf("event %+v", ev)
			}
			d := x.auth.Directory()
			if n, _ := d.Home(key(t, tt.lost)); n != node(t, tt.areas[0]) || !d.WasEverHome(node(t, county), key(t, tt.lost)) {
				t.Errorf("home %s", n)
			}
			if m, ok := d.Node(node(t, county)); !ok || m.Removed {
				t.Error("the loser is gone from the directory")
			}
			if _, ok := d.SealTo(node(t, county)); !ok {
				t.Error("nobody can write to the loser")
			}
		})
	}
}

// A node that lost an area and rotates keys by an older list of areas must not
// take it back unseen.
func TestOldListOfAreas(t *testing.T) {
	x := three(t)
	at := key(t, "3:520330")
	k := x.keys[at]
	x.join(Leave{Areas: []area.Key{at}}, "3:520331", "3:520330")
	r := request(t, k.claim(at, []area.Key{at}, 1)).Continue(k.sign)
	_, err := x.auth.Admit(r, x.now, Leave{})
	wantReason(t, err, "DIRECTORY_AREA_SERVED")
	if ev := x.clone().apply(r); !ev.Contested() {
		t.Errorf("event %+v", ev)
	}
	// Without areas it stays a peer that keeps stating (rule 19).
	x.admit(request(t, k.claim(at, nil, 1)).Continue(k.sign), Leave{})
	if d := x.auth.Directory(); len(d.ServedBy(node(t, "3:520330"))) != 0 || len(d.Nodes()) != 4 {
		t.Error("the former home is not a plain peer")
	}
}

func TestRemoval(t *testing.T) {
	x := three(t)
	id, at := node(t, "3:520330"), key(t, "3:520330")
	k := x.keys[at]

	signed := x.clone()
	gone := Claim{Node: id, Removed: true, Previous: 1}
	if ev := signed.apply(request(t, gone).Continue(k.sign)); ev.Contested() || !ev.Removed ||
		len(ev.Reassigned) != 1 || ev.Reassigned[0] != (Reassigned{at, id, 0, true}) {
		t.Errorf("signed: %+v", ev)
	}

	rec, err := x.auth.Remove(id, x.now)
	if err != nil {
		t.Fatal(err)
	}
	d, ev, err := x.load().Apply(rec)
	if err != nil || !ev.Contested() || !ev.Removed {
		t.Errorf("by the authority alone: %+v, %v", ev, err)
	}
	if _, ok := d.Home(at); ok {
		t.Error("a removed node is a home")
	}
	if m, ok := d.Node(id); !ok || !m.Removed || m.Name != "示例办公室" || len(d.Nodes()) != 2 {
		t.Errorf("member %+v", m)
	}
	if _, ok := d.SealTo(id); ok {
		t.Error("parcels go to a removed node")
	}
	if _, ok := d.Speaks(id); ok {
		t.Error("a removed node speaks")
	}
	if _, ok := d.VerifyKey(id, k.sign.ID()); !ok || !d.WasEverHome(id, at) {
		t.Error("the past is forgotten")
	}
	_, err = x.auth.Remove(id, x.now)
	wantReason(t, err, "DIRECTORY_CLAIM")

	// It comes back with new keys, and its old ones remain its own.
	back := newKeys(t)
	x.admit(request(t, back.claim(at, []area.Key{at}, 0), back.signing()...), Leave{})
	d = x.auth.Directory()
	if n, ok := d.Home(at); !ok || n != id {
		t.Error("not home again")
	}
	if _, ok := d.VerifyKey(id, k.sign.ID()); !ok {
		t.Error("former key forgotten")
	}
}

// What the authority alone may change about a live node, and what of that
// somebody should have signed.
func TestChangesByTheAuthorityAlone(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "1:52")
	x.join(Leave{Areas: keysOf(t, "3:520330")}, "3:520330", "3:441900")
	at := key(t, "3:520330")
	k := x.keys[at]
	tests := []struct {
		name      string
		change    func(*Claim)
		contested bool
	}{
		{"nothing", func(*Claim) {}, false},
		{"name", func(c *Claim) { c.Name = "另一示例" }, false},
		{"unserved area more", func(c *Claim) { c.Areas = append(c.Areas, key(t, "3:110101")) }, false},
		{"area fewer", func(c *Claim) { c.Areas = c.Areas[:1] }, true},
		{"area back to the shorter prefix", func(c *Claim) { c.Areas = c.Areas[1:] }, true},
		{"floor", func(c *Claim) { c.SuiteFloor = 0 }, true},
		{"keys in other order", func(c *Claim) { c.Keys[0], c.Keys[4] = c.Keys[4], c.Keys[0] }, false},
		{"key fewer", func(c *Claim) { c.Keys = append(c.Keys[:2:2], c.Keys[3:]...) }, true},
		{"next key in use", func(c *Claim) {
			c.Keys = c.Keys[1:]
			c.Keys[0].Next = false
		}, true},
	}
	for _, tt := range tests {
		c := k.claim(at, keysOf(t, "3:520330", "3:441900"), 2)
		tt.change(&c)
		r := request(t, c)
		if ev := x.clone().apply(r); ev.Kind != Applied || ev.Contested() != tt.contested {
			t.Errorf("%s, alone: %+v", tt.name, ev)
		}
		if ev := x.clone().apply(r.Continue(k.sign)); ev.Kind != Applied || ev.Contested() {
			t.Errorf("%s, signed: %+v", tt.name, ev)
		}
		_, err := x.clone().auth.Admit(r, x.now, Leave{})
		wantReason(t, err, "DIRECTORY_NO_CONTINUITY")
	}
}
