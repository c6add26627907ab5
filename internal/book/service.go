package book

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

func serviceAAD(k store.ServiceKey) seal.AAD {
	row := append(k.Person[:], byte(k.Kind))
	return seal.AAD{Table: "service", Column: "sealed", Row: binary.BigEndian.AppendUint32(row, k.Period)}
}

// SealService returns a service as it is stored, sealed under the person's key.
func SealService(key *seal.DataKey, k store.ServiceKey, office area.Key, r *ledger.ServiceRecord) (store.Service, error) {
	b, err := sealed(key, serviceAAD(k), r, ledger.ServiceBytes)
	return store.Service{ServiceKey: k, Office: office, Closed: r.Closed(), Sealed: b}, err
}

// OpenService reads what SealService wrote.
func OpenService(key *seal.DataKey, s *store.Service) (ledger.ServiceRecord, error) {
	return opened[ledger.ServiceRecord](key, serviceAAD(s.ServiceKey), s.Sealed, ledger.ServiceBytes)
}

// PersonKeys returns the keys of people; erased ones are missing.
func (b *Book) PersonKeys(ctx context.Context, tx *store.Tx, ids []cases.PersonID) (map[cases.PersonID]*seal.DataKey, error) {
	wrapped, err := tx.PersonKeys(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.PersonID]*seal.DataKey, len(wrapped))
	for id, w := range wrapped {
		if out[id], err = b.Keys.Data().Unwrap(PersonKeyAAD(id), w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ConsentsOf reads all consents of people and keeps them from being withdrawn
// until the transaction ends. All of them, whatever is needed: a lock on one
// would show in the table who cited it (SECURITY D4).
func (b *Book) ConsentsOf(ctx context.Context, tx *store.Tx, people []cases.PersonID) (map[cases.ConsentID]ledger.Consent, error) {
	ids, err := tx.ConsentIDs(ctx, people)
	if err != nil {
		return nil, err
	}
	return b.Consents(ctx, tx, ids)
}

// TallyKey names a tally.
type TallyKey struct {
	Office area.Key
	Kind   ledger.Service
	Period uint32
}

func (k TallyKey) aad() seal.AAD {
	row := binary.BigEndian.AppendUint64(nil, uint64(k.Office))
	row = append(row, byte(k.Kind))
	return seal.AAD{Table: "service_tally", Column: "sealed", Row: binary.BigEndian.AppendUint32(row, k.Period)}
}

func (k TallyKey) compare(o TallyKey) int {
	return cmp.Or(cmp.Compare(k.Office, o.Office), cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.Period, o.Period))
}

// Tally reads a tally; none is the zero one.
func (b *Book) Tally(ctx context.Context, tx *store.Tx, k TallyKey) (ledger.Tally, error) {
	box, err := tx.ReadTally(ctx, k.Office, k.Kind, k.Period)
	if err != nil || box == nil {
		return ledger.Tally{}, err
	}
	return b.openTally(k, box)
}

// ChangeTallies rewrites tallies, each locked, in order; nobody may be locked
// after them in a transaction.
func (b *Book) ChangeTallies(ctx context.Context, tx *store.Tx, changes map[TallyKey][]func(*ledger.Tally)) error {
	ks := make([]TallyKey, 0, len(changes))
	for k := range changes {
		ks = append(ks, k)
	}
	slices.SortFunc(ks, TallyKey.compare)
	for _, k := range ks {
		empty, err := b.sealTally(k, &ledger.Tally{})
		if err != nil {
			return err
		}
		box, err := tx.LockTally(ctx, k.Office, k.Kind, k.Period, empty)
		if err != nil {
			return err
		}
		t, err := b.openTally(k, box)
		if err != nil {
			return err
		}
		for _, change := range changes[k] {
			change(&t)
		}
		if box, err = b.sealTally(k, &t); err != nil {
			return err
		}
		if err := tx.PutTally(ctx, k.Office, k.Kind, k.Period, box); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) sealTally(k TallyKey, t *ledger.Tally) ([]byte, error) {
	plain, err := padded(t, ledger.TallyBytes)
	if err != nil {
		return nil, err
	}
	return b.Keys.Data().Encrypt(k.aad(), plain), nil
}

func (b *Book) openTally(k TallyKey, box []byte) (ledger.Tally, error) {
	plain, err := b.Keys.Data().Decrypt(k.aad(), box)
	if err != nil {
		return ledger.Tally{}, err
	}
	if plain, err = seal.UnpadTo(plain, ledger.TallyBytes); err != nil {
		return ledger.Tally{}, err
	}
	return ledger.Decode[ledger.Tally](plain)
}

// KeepCounted moves a person's services to the sums of erased people, before
// the key that opens them is destroyed (SECURITY D4).
func (b *Book) KeepCounted(ctx context.Context, tx *store.Tx, id cases.PersonID) error {
	// Whoever records a service now waits, and finds nobody.
	if _, err := tx.LockFiles(ctx, []cases.PersonID{id}); err != nil {
		return err
	}
	rows, err := tx.ServicesOf(ctx, []cases.PersonID{id})
	if err != nil || len(rows) == 0 {
		return err
	}
	keys, err := b.PersonKeys(ctx, tx, []cases.PersonID{id})
	if err != nil || keys[id] == nil {
		return err
	}
	changes := map[TallyKey][]func(*ledger.Tally){}
	for i := range rows {
		r, err := OpenService(keys[id], &rows[i])
		if err != nil {
			return err
		}
		k := TallyKey{Office: rows[i].Office, Kind: rows[i].Kind, Period: rows[i].Period}
		changes[k] = append(changes[k], func(t *ledger.Tally) { t.Erase(r.Result) })
		if month, state := r.VisitMonth(); month != 0 && state != "" {
			k.Kind, k.Period = ledger.VisitDue, month
			changes[k] = append(changes[k], func(t *ledger.Tally) { t.Erase(state) })
		}
	}
	return b.ChangeTallies(ctx, tx, changes)
}
