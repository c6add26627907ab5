package keys

import (
	"fmt"
	"strings"
	"time"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

const (
	keyringName  = "keyring"
	keyringType  = "yipan keyring 1"
	keyringLimit = 1 << 20 // bytes; a key takes about 50
)

// State is a key's place in its life.
type State string

// A key goes next, current, old, and is then removed.
const (
	Next    State = "next"    // announced, not yet used to sign, encrypt or index
	Current State = "current" // in use
	Old     State = "old"     // opens, decrypts and finds only
)

// slot is one line of the keyring.
type slot struct {
	use     seal.Use
	state   State
	id      seal.KeyID
	retired time.Time // when it became old: whole seconds, UTC; else zero
}

// keyring is the order of the keys: per use one current, one next, then the old
// ones, the latest first.
type keyring []slot

func (r keyring) format() []byte {
	b := []byte(keyringType + "\n")
	for _, s := range r {
		b = fmt.Appendf(b, "%s %s %s", string(s.use), string(s.state), s.id)
		if s.state == Old {
			b = append(b, ' ')
			b = s.retired.AppendFormat(b, time.RFC3339)
		}
		b = append(b, '\n')
	}
	return b
}

// parseKeyring reads the keyring, spelt exactly as format spells it, with one
// current and one next key of every use and no key twice. Errors: Invalid
// KEYRING_MALFORMED.
func parseKeyring(content []byte) (keyring, error) {
	lines := strings.Split(string(content), "\n")
	if len(lines) < 2 || lines[0] != keyringType || lines[len(lines)-1] != "" {
		return nil, malformedRing(1)
	}
	var r keyring
	seen := map[seal.KeyID]bool{}
	count := map[seal.Use]map[State]int{}
	for _, u := range seal.Uses() {
		count[u] = map[State]int{}
	}
	for i, line := range lines[1 : len(lines)-1] {
		f := strings.Split(line, " ")
		if len(f) < 3 {
			return nil, malformedRing(i + 2)
		}
		s := slot{use: seal.Use(f[0]), state: State(f[1])}
		var err error
		if s.id, err = seal.ParseKeyID(f[2]); err != nil || !s.use.Valid() || seen[s.id] {
			return nil, malformedRing(i + 2)
		}
		switch {
		case s.state == Old && len(f) == 4:
			if s.retired, err = time.Parse(time.RFC3339, f[3]); err != nil {
				return nil, malformedRing(i + 2)
			}
			s.retired = s.retired.UTC()
		case (s.state == Current || s.state == Next) && len(f) == 3:
		default:
			return nil, malformedRing(i + 2)
		}
		seen[s.id] = true
		count[s.use][s.state]++
		r = append(r, s)
	}
	for _, u := range seal.Uses() {
		if count[u][Current] != 1 || count[u][Next] != 1 {
			return nil, fault.Invalid("KEYRING_MALFORMED", "keys: keyring without exactly one current and one next %s key", string(u))
		}
	}
	if string(r.format()) != string(content) {
		return nil, malformedRing(1)
	}
	return r, nil
}

func malformedRing(line int) error {
	return fault.Invalid("KEYRING_MALFORMED", "keys: malformed keyring, line %d", line)
}

// rotated returns the ring in which next is current, current is old since now,
// and id is next.
func (r keyring) rotated(use seal.Use, id seal.KeyID, now time.Time) keyring {
	var head, old, rest keyring
	for _, s := range r {
		switch {
		case s.use != use:
			rest = append(rest, s)
		case s.state == Next:
			head = append(head, slot{use: use, state: Current, id: s.id}, slot{use: use, state: Next, id: id})
		case s.state == Current:
			old = append(keyring{{use, Old, s.id, now.UTC().Truncate(time.Second)}}, old...)
		default:
			old = append(old, s)
		}
	}
	return append(append(head, old...), rest...)
}

// without returns the ring less the slots that drop names.
func (r keyring) without(drop func(slot) bool) (kept, dropped keyring) {
	for _, s := range r {
		if drop(s) {
			dropped = append(dropped, s)
		} else {
			kept = append(kept, s)
		}
	}
	return kept, dropped
}
